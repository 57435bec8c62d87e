//! Checks what engines say while they run.

use crate::model::{Asked, Drop};
use crate::world::World;
use klamm::storage::engine::Event;
use klamm::storage::format::segment;

/// Takes in what an engine said, and compares it with the model.
pub fn take(world: &mut World, shard: usize, events: Vec<Event>) {
    for event in events {
        match event {
            Event::Durable { slot, end } => {
                let tp = world.by_slot[&(shard, slot)];
                let log = &world.model.logs[&tp];
                assert!(end <= log.end(), "{tp:?}: durable up to {end}, beyond what was appended");
                let known = world.engines[shard].offsets(slot).durable_end;
                assert!(known >= end, "{tp:?}: durable up to {end}, the engine says {known}");
            }
            Event::Done { token, .. } => {
                let asked = world.model.tokens.remove(&token);
                match asked.unwrap_or_else(|| panic!("token {token} was answered twice")) {
                    Asked::Change(tp) => {
                        let log = world.model.logs.get_mut(&tp).expect("logs stay in the model");
                        log.done(token);
                    }
                    Asked::LogStart(tp, offset) => {
                        let log = world.model.logs.get_mut(&tp).expect("logs stay in the model");
                        log.start = log.start.max(offset);
                    }
                    Asked::Drop(tp) => {
                        let log = world.model.logs.get_mut(&tp).expect("logs stay in the model");
                        log.drop = Drop::Done;
                        log.later.clear();
                    }
                }
            }
            Event::LogStart { slot, offset } => {
                let tp = world.by_slot[&(shard, slot)];
                let log = world.model.logs.get_mut(&tp).expect("logs stay in the model");
                let config = &log.config;
                if config.retention_bytes < 0 && !log.reconfigured && !log.is_compacted() {
                    let young = |b: &&std::rc::Rc<crate::model::Batch>| {
                        b.last < offset
                            && b.last >= log.start
                            && world.now_ms - b.max_timestamp <= config.retention_ms
                    };
                    let young = log.current.iter().find(young);
                    assert!(young.is_none(), "{tp:?}: retention took {young:?}");
                }
                log.start = log.start.max(offset);
                log.start_asked = log.start_asked.max(offset);
            }
            Event::Dropped { tp } => {
                // Without files it may come just before the `Done`.
                let log = &world.model.logs[&tp];
                if log.again {
                    // These are files of the earlier one, or of this one: nothing tells them apart.
                    continue;
                }
                assert_ne!(log.drop, Drop::No, "{tp:?} was not dropped");
                let prefix = format!("{}/{:08}-", segment::dir_of(tp), tp.partition);
                let left = world.disk.files().into_iter().find(|(p, _)| p.starts_with(&prefix));
                assert!(left.is_none() || world.faulty, "{tp:?} was dropped, but {left:?}");
            }
            Event::Truncatable { .. } | Event::Mended { .. } => {}
            Event::Damaged { slot, message } => {
                assert!(world.faulty, "{slot:?} is damaged: {message}");
            }
            Event::Uncleanable { tp, message } => {
                assert!(world.faulty, "{tp:?} cannot be compacted: {message}");
            }
            Event::Filled { ticket, result } => {
                let before = world.filled.insert((shard, ticket), result);
                assert!(before.is_none(), "the read with {ticket:?} has ended twice");
            }
            Event::Fatal { message } => {
                assert!(world.faulty, "the engine gives up: {message}");
                world.failed = true;
                world.last_fatal = message;
            }
        }
    }
}
