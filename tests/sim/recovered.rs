//! Checks what a start found: nothing acknowledged is missing, nothing is invented.

use crate::compacted;
use crate::model::{Drop, State, end_of};
use crate::reads;
use crate::world::World;

/// Compares every log with the model, which goes on from what was found.
pub fn check(world: &mut World) {
    for (shard, engine) in world.engines.iter().enumerate() {
        for (_, tp) in engine.logs() {
            assert_eq!(tp.shard(world.engines.len()), shard, "{tp:?} lies in another shard");
            let log = world.model.logs.get(&tp);
            let log = log.unwrap_or_else(|| panic!("{tp:?} was never created"));
            assert!(log.drop != Drop::Done, "{tp:?} was dropped, and is back");
            assert!(!world.deleting.contains(&tp.topic), "{tp:?} is deleted in the metadata");
        }
    }
    for tp in world.model.logs.keys().copied().collect::<Vec<_>>() {
        let missing = world.find(tp).is_none();
        let log = world.model.logs.get_mut(&tp).expect("just listed");
        match log.drop {
            Drop::Done => continue,
            // The entry was durable though its token did not come back; or nothing ever was.
            Drop::Asked if missing || world.deleting.contains(&tp.topic) => {
                log.drop = Drop::Done;
                log.later.clear();
                continue;
            }
            Drop::Asked => log.drop = Drop::No,
            Drop::No => {}
        }
        world.ensure(tp);
        check_log(world, tp);
        if world.over() {
            return;
        }
    }
}

fn check_log(world: &mut World, tp: klamm::types::TopicPartition) {
    let (shard, slot) = world.find(tp).expect("just opened");
    let offsets = world.engines[shard].offsets(slot);
    let (start, end) = (offsets.start, offsets.end);
    let log = &world.model.logs[&tp];
    assert_eq!(offsets.durable_end, end, "{tp:?}: all that is found is durable");
    assert!(start <= end, "{tp:?}: starts at {start}, ends at {end}");
    if !log.config.relaxed() {
        assert!(start >= log.start, "{tp:?}: log start {} went back to {start}", log.start);
    }
    assert!(
        start <= log.start_asked.max(log.start),
        "{tp:?}: log start {start}, nobody asked for more than {}",
        log.start_asked
    );
    let mut found = Vec::new();
    let mut at = start;
    let is_compacted = log.is_compacted();
    if is_compacted {
        let Some(all) = compacted::scan(world, tp, start, end) else {
            assert!(world.faulty, "{tp:?}: cannot be read");
            return;
        };
        (found, at) = (all, end);
    }
    while at < end {
        let max_bytes = [4096, 1 << 20][world.rng.index(2)];
        let Some(more) = reads::read(world, tp, at, end, max_bytes, true) else {
            assert!(world.faulty, "{tp:?}: cannot be read at {at}");
            return;
        };
        let last = more.last().expect("a read below the end brings something");
        let header = klamm::wire::records::BatchHeader::parse(&last.1).expect("a whole batch");
        assert!(header.last_offset() >= at, "{tp:?}: no progress at {at}");
        at = header.last_offset() + 1;
        found.extend(more);
    }
    let log = &world.model.logs[&tp];
    let acknowledged = end_of(&log.settled);
    let mut why = format!("ends at {end}");
    let fits = log.candidates().find(|state| {
        if end_of(state) != end {
            return false;
        }
        if is_compacted {
            why = String::new();
            let cleaned = world.engines[shard].cleaned_end(slot);
            let checked = compacted::check(log, state, &found, (start, end), cleaned, world.now_ms);
            return checked.map_err(|error| why = error).is_ok();
        }
        let expected = state.iter().filter(|b| b.last >= start).count();
        if expected != found.len() {
            why = format!("{} batches where {expected} should be", found.len());
            return false;
        }
        match reads::matches(&found, state, start) {
            Ok(()) => true,
            Err(error) => {
                why = error;
                false
            }
        }
    });
    let Some(state) = fits else {
        panic!(
            "{tp:?}: {why}; acknowledged up to {acknowledged}, appended up to {}, start {start}, \
             {} changes unacknowledged",
            log.end(),
            log.later.len()
        )
    };
    let recovered = State::decode(&world.engines[shard].recovered_state(slot));
    let log = world.model.logs.get_mut(&tp).expect("just opened");
    log.adopt(state, start);
    assert!(
        recovered == log.state,
        "{tp:?}: recovered state {recovered:?}, should be {:?}",
        log.state
    );
}
