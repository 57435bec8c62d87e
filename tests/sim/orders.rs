//! Orders of events and crashes that must come out right, one test each. What is random in them is
//! only what a power cut leaves, so each runs over many seeds.

use crate::model::Drop;
use crate::reads;
use crate::world::{Crash, Sizes, World};
use klamm::storage::buffer::AlignedBuf;
use klamm::storage::damage::Damage;
use klamm::storage::device::io::Op;
use klamm::storage::device::sim_disk::{Fault, OpKind};
use klamm::storage::format::block::{self, Journal, Place};
use klamm::storage::format::{checkpoint, segment};
use klamm::storage::journal;
use klamm::storage::log::LogConfig;
use klamm::types::{TopicId, TopicPartition};

pub const TP: TopicPartition = TopicPartition { topic: TopicId([9; 16]), partition: 3 };

fn config() -> LogConfig {
    LogConfig { file_delete_delay_ms: 1000, segment_bytes: 64 << 10, ..LogConfig::none() }
}

/// One shard with a journal of `journal_bytes`, one log, every batch of which is a frame.
pub fn world(seed: u64, journal_bytes: u64) -> World {
    let mut world = World::new(seed);
    world.sizes = Sizes {
        journal_bytes,
        journal_start: journal_bytes,
        small_bytes: 1024,
        idle_ms: 60_000,
        logs_a_step: 1,
        direct_bytes: 1 << 20,
        recycle_bytes: 1 << 20,
        max_block: 16 << 10,
        cache_bytes: 0,
        read_ahead: 4 << 20,
        reads_at_once: 64 << 10,
        memory: 1 << 30,
    };
    world.open(1, 0);
    world.create(TP, config(), true);
    world
}

/// Appends and waits until it is durable.
pub fn append(world: &mut World, records: u64, bytes: usize) {
    world.append(TP, records, bytes);
    world.settle();
}

/// Whether the newest timestamp, and every place in the index, is that of what the log holds now.
fn check_times(world: &mut World) {
    let (shard, slot) = world.find(TP).expect("an open log");
    let log = &world.model.logs[&TP];
    let newest = log.current.iter().map(|b| b.max_timestamp).max();
    let found = world.engines[shard].max_timestamp(slot, i64::MAX).map(|m| m.0);
    assert_eq!(found, newest, "the largest timestamp is that of what is left");
    let beyond = newest.map_or(0, |t| t + 1);
    let end = world.engines[shard].offsets(slot).end;
    assert_eq!(world.engines[shard].offset_hint_for_time(slot, beyond), end);
}

#[test]
fn a_truncation_leaves_the_log_as_if_what_went_had_never_been() {
    for seed in 0..40 {
        let mut world = world(seed, 64 << 10);
        // Placed in several chunks, the newest timestamps at the end.
        for _ in 0..60 {
            world.now_ms += 100;
            append(&mut world, 3, 3000);
        }
        let (shard, slot) = world.find(TP).expect("an open log");
        assert!(world.engines[shard].stats().rounds > 0, "the journal wrapped");
        let bytes = world.engines[shard].offsets(slot).bytes;
        let cut = 3 * world.rng.between(3, 50) as i64;
        assert!(world.truncate(TP, cut));
        check_times(&mut world);
        let left = world.engines[shard].offsets(slot).bytes;
        assert!(left < bytes / 60 * (cut as u64 / 3 + 8), "{left} of {bytes} bytes up to {cut}");
        world.settle();
        let crash = if seed % 2 == 0 { Crash::Power } else { Crash::Process };
        world.crash(crash);
        world.open(1 + (seed % 3) as u16, seed % 4);
        check_times(&mut world);
        // On top of it, through a checkpoint, and once more.
        for _ in 0..30 {
            world.now_ms += 1;
            append(&mut world, 2, 3000);
        }
        check_times(&mut world);
        world.crash(crash);
        world.open(1, 0);
        check_times(&mut world);
    }
}

#[test]
fn files_of_what_is_cut_off_stay_until_a_checkpoint_forgets_them() {
    for seed in 0..20 {
        let mut world = world(seed, 64 << 10);
        for _ in 0..100 {
            append(&mut world, 1, 3000);
        }
        assert!(world.stop());
        world.open(1, 0);
        assert!(world.truncate(TP, 10));
        // The cut is not durable, or it is and no checkpoint knows of it.
        let waits = if seed % 2 == 0 { journal::DIR } else { checkpoint::DIR };
        for _ in 0..3 {
            world.settle_elsewhere(waits);
            world.pass_time(1000);
        }
        world.crash(Crash::Power);
        world.open(1, 0);
    }
}

#[test]
fn a_log_that_begins_anew_is_as_it_was_or_empty() {
    for seed in 0..40 {
        let mut world = world(seed, 64 << 10);
        for _ in 0..100 {
            append(&mut world, 1, 3000);
        }
        assert!(world.stop());
        world.open(1, 0);
        let before = files(&world);
        assert!(!before.is_empty(), "some of it is in segments");
        // Within what it has, or beyond.
        let offset = if seed % 2 == 0 { 60 } else { 500 };
        assert!(world.restart_at(TP, offset));
        // That is not durable, or it is and no checkpoint knows of it, or all is at rest.
        let waits = [journal::DIR, checkpoint::DIR, ""][seed as usize / 2 % 3];
        if waits.is_empty() {
            for _ in 0..30 {
                append(&mut world, 1, 3000);
                world.pass_time(100);
            }
            assert!(files(&world).iter().all(|file| !before.contains(file)), "its files went");
        } else {
            for _ in 0..3 {
                world.settle_elsewhere(waits);
                world.pass_time(1000);
            }
        }
        world.crash(if seed % 5 == 0 { Crash::Process } else { Crash::Power });
        world.open(1 + (seed % 2) as u16, seed % 3);
        append(&mut world, 1, 100);
        world.crash(Crash::Power);
        world.open(1, 0);
    }
}

#[test]
fn a_damaged_log_is_marked_until_it_has_begun_anew_and_what_it_had_stays_until_the_copy_is_whole() {
    for seed in 0..72 {
        let mut world = world(seed, 64 << 10);
        for _ in 0..100 {
            append(&mut world, 1, 3000);
        }
        assert!(world.stop());
        world.repairs = true;
        world.open(1, 0);
        let before = files(&world);
        let damage = |world: &World| {
            let (shard, slot) = world.find(TP).expect("an open log");
            world.engines[shard].damage(slot)
        };
        let cut = |world: &mut World, waits: &str| {
            for _ in 0..3 {
                world.settle_elsewhere(waits);
                world.pass_time(100);
            }
            world.crash(if seed % 5 == 0 { Crash::Process } else { Crash::Power });
            world.open(1 + (seed % 2) as u16, seed % 3);
        };
        let (shard, slot) = world.find(TP).expect("an open log");
        world.faulty = true;
        world.engines[shard].found_damage(slot, "a test");
        assert_eq!(damage(&world), Some(Damage::Found));
        world.engines[shard].mark_damaged(slot);
        let stage = seed / 2 % 6;
        if stage == 0 {
            // It is marked, or not yet.
            cut(&mut world, "damaged");
            assert!([None, Some(Damage::Marked)].contains(&damage(&world)));
            continue;
        }
        world.settle();
        assert_eq!(damage(&world), Some(Damage::Marked));
        if stage == 1 {
            cut(&mut world, "nothing");
            assert_eq!(damage(&world), Some(Damage::Marked));
            continue;
        }
        assert!(world.restart_at(TP, 60));
        assert_eq!(damage(&world), Some(Damage::Begun));
        if stage < 4 {
            // It has not begun anew, or has and the mark does not say so.
            cut(&mut world, if stage == 2 { journal::DIR } else { "damaged" });
            if stage == 2 {
                assert_eq!(damage(&world), Some(Damage::Marked));
            }
            let all_there = files(&world).iter().filter(|it| before.contains(it)).count();
            assert_eq!(all_there, before.len(), "nothing of it goes");
            continue;
        }
        world.settle();
        assert_eq!(damage(&world), None);
        append(&mut world, 1, 3000);
        if stage == 5 {
            cut(&mut world, "nothing");
        }
        assert_eq!(damage(&world), None, "it is a copy");
        for _ in 0..40 {
            append(&mut world, 1, 3000);
            world.pass_time(100);
        }
        let there = |world: &World| {
            let files = files(world);
            before.iter().filter(|it| files.contains(it)).count()
        };
        assert_eq!(there(&world), before.len(), "it is set aside");
        let (shard, slot) = world.find(TP).expect("an open log");
        assert!(world.engines[shard].let_go_of_aside(slot));
        for _ in 0..40 {
            append(&mut world, 1, 3000);
            world.pass_time(100);
        }
        assert_eq!(there(&world), 0, "the copy is whole");
        assert!(!world.engines[shard].let_go_of_aside(slot));
        world.crash(Crash::Power);
        world.open(1, 0);
        assert_eq!(damage(&world), None);
    }
}

#[test]
fn a_log_that_comes_back_under_its_id_is_another_one() {
    for seed in 0..60 {
        let mut world = world(seed, 64 << 10);
        for _ in 0..40 {
            append(&mut world, 1, 3000);
        }
        let before: Vec<_> = files(&world);
        assert!(!before.is_empty(), "some of it is in segments");
        world.drop_log(TP, false);
        world.settle();
        assert_eq!(world.model.logs[&TP].drop, Drop::Done);
        world.create_again(TP);
        // The old files wait for their time while the new ones are made.
        let again = world.rng.between(0, 40);
        for _ in 0..again {
            append(&mut world, 1, 3000);
        }
        let new: Vec<_> = files(&world).into_iter().filter(|f| !before.contains(f)).collect();
        world.pass_time(2000);
        world.settle();
        let left = files(&world);
        assert!(left.iter().all(|f| !before.contains(f)), "the old files are gone");
        assert!(new.iter().all(|f| left.contains(f)), "a delayed unlink took a new file");
        world.crash(if seed % 2 == 0 { Crash::Power } else { Crash::Process });
        world.open(1 + (seed % 2) as u16, seed % 3);
        append(&mut world, 1, 100);
    }
}

fn files(world: &World) -> Vec<String> {
    let prefix = format!("{}/", segment::dir_of(TP));
    let files = world.disk.files().into_iter().map(|(path, _)| path.to_string());
    files.filter(|path| path.starts_with(&prefix)).collect()
}

#[test]
fn every_byte_of_an_idle_shards_journal_is_found_or_holds_nothing() {
    let mut world = world(1, 1 << 20);
    for i in 0..6 {
        append(&mut world, 2, 700 + 1500 * i);
    }
    // Idle: the marker comes at the second tick, and no other after it.
    let blocks = |world: &World| world.engines[0].stats().blocks;
    let written = blocks(&world);
    for _ in 0..5 {
        world.pass_time(1000);
        world.settle();
    }
    assert_eq!(blocks(&world), written + 1, "one marker, once");
    world.crash(Crash::Process);
    let (path, _) = world
        .disk
        .files()
        .into_iter()
        .find(|(path, _)| path.starts_with(journal::DIR))
        .expect("a journal file");
    let used = world.disk.contents(&path).expect("a file");
    let used = used.iter().rposition(|b| *b != 0).expect("blocks") as u64 + 1;
    let mut found = 0;
    for at in (0..used).step_by(7) {
        let snapshot = world.disk.snapshot();
        assert!(world.disk.flip(&path, at, 1 << (at % 8)));
        match world.try_open(1) {
            Err(why) => {
                assert!(why.contains("block") || why.contains("newer"), "byte {at}: {why}");
                found += 1;
            }
            Ok(()) => world.compare(),
        }
        world.engines.clear();
        world.disk.restore(snapshot);
    }
    assert!(found > 1000, "{found} flips were found");
    world.open(1, 0);
}

#[test]
fn what_a_checkpoint_covers_is_missed_when_it_is_gone() {
    for seed in 0..20 {
        let mut world = world(seed, 64 << 10);
        while world.engines[0].stats().rounds == 0 {
            append(&mut world, 1, 3000);
        }
        world.crash(Crash::Process);
        // The first blocks that the checkpoint still needs, and all behind them, never reached the
        // disk: it lied.
        for (path, len) in world.disk.files() {
            if path.starts_with(journal::DIR) {
                world.disk.zero(&path, 0, len);
            }
        }
        let why = world.try_open(1).expect_err("it was durable");
        assert!(why.contains("damaged") && why.contains("was synced"), "{why}");
        let unlinked: Vec<_> = world.disk.files();
        let why = world.try_open(1).expect_err("refused again");
        assert!(why.contains("damaged"), "{why}");
        assert_eq!(world.disk.files(), unlinked, "a refusal changes nothing");
    }
}

#[test]
fn a_state_that_cannot_be_used_is_refused_before_anything_changes() {
    let mut world = world(3, 64 << 10);
    for _ in 0..10 {
        append(&mut world, 1, 3000);
    }
    world.crash(Crash::Process);
    let before = world.disk.files();
    world.bad_states = true;
    for _ in 0..2 {
        let why = world.try_open(1).expect_err("the fold fails");
        assert!(why.contains("damaged") && why.contains("partition 3"), "{why}");
        assert_eq!(world.disk.files(), before);
    }
    world.bad_states = false;
    world.open(1, 0);
}

#[test]
fn what_is_set_aside_survives_a_power_cut() {
    for seed in 0..40 {
        let mut world = world(seed, 64 << 10);
        for _ in 0..40 {
            append(&mut world, 1, 3000);
        }
        world.crash(Crash::Process);
        world.unknown.insert(TP.topic);
        world.try_open(1).expect("the topic is set aside");
        let aside: Vec<_> =
            world.disk.files().into_iter().filter(|(p, _)| p.starts_with("orphans/")).collect();
        assert!(aside.len() > 1, "segments, and what the journal had");
        world.disk.power_cut();
        world.disk.restart();
        for (path, len) in aside {
            let now = world.disk.files().into_iter().find(|(p, _)| *p == path);
            assert_eq!(now, Some((path, len)), "seed {seed}");
        }
    }
}

#[test]
fn what_a_start_removes_of_a_deleted_topic_does_not_come_back() {
    for seed in 0..40 {
        let mut world = world(seed, 64 << 10);
        for _ in 0..40 {
            append(&mut world, 1, 3000);
        }
        let files = files(&world);
        assert!(!files.is_empty(), "some of it is in segments");
        world.drop_log(TP, true);
        world.settle();
        // The process ends when they are unlinked, and before that is synced.
        for path in files {
            world.disk.run(Op::Unlink { path: path.as_str().into() }).expect("a file");
        }
        world.crash(Crash::Process);
        world.try_open(1).expect("what is left of the topic is removed");
        // So the metadata forgets it.
        world.deleting.remove(&TP.topic);
        world.unknown.insert(TP.topic);
        world.disk.power_cut();
        world.disk.restart();
        world.try_open(1).expect("nothing is left of the topic");
        let aside = world.disk.files().into_iter().find(|(p, _)| p.starts_with("orphans/"));
        assert_eq!(aside, None, "seed {seed}");
    }
}

#[test]
fn a_misdirected_journal_write_is_found_once_something_says_that_it_was_there() {
    let mut found = 0;
    for seed in 0..60 {
        let mut world = world(seed, 1 << 20);
        let before = world.rng.between(1, 5);
        world.disk.misdirect(journal::DIR, before, 4096 * (1 + seed % 40));
        for _ in 0..=before {
            append(&mut world, 1, 2000);
        }
        assert!(world.disk.has_misdirected());
        for _ in 0..3 {
            world.pass_time(1000);
            world.settle();
        }
        world.crash(Crash::Process);
        match world.try_open(1) {
            Err(why) => {
                assert!(why.contains("damaged") && why.contains("block"), "{why}");
                found += 1;
            }
            Ok(()) => panic!("seed {seed}: an acknowledged block is gone, and nothing is said"),
        }
    }
    assert_eq!(found, 60);
}

#[test]
fn a_disk_that_stays_broken_in_one_place_stops_only_what_lies_there() {
    for seed in 0..10 {
        let mut world = world(seed, 64 << 10);
        // More than stays in memory.
        for _ in 0..200 {
            append(&mut world, 1, 3000);
        }
        // Reads of segments fail, for ever: what is in memory is served, appends go on.
        world.faulty = true;
        let prefix = segment::DIR.to_owned();
        world.disk.set_fault(Some(Fault {
            kind: Some(OpKind::Read),
            prefix,
            skip: 0,
            count: u64::MAX,
        }));
        let offsets = {
            let (shard, slot) = world.find(TP).expect("an open log");
            world.engines[shard].offsets(slot)
        };
        let mut failed = 0;
        for from in (0..offsets.durable_end).step_by(3) {
            failed += usize::from(reads::read(&mut world, TP, from, from + 1, 1, true).is_none());
        }
        assert!(failed > 0, "some of it lies on the disk alone");
        append(&mut world, 1, 3000);
        assert!(!world.failed, "a failed read ends nothing");
        // A sticky error below one file that is to be written ends the run, and names it.
        world.disk.set_fault(Some(Fault {
            kind: Some(OpKind::Write),
            prefix: journal::DIR.to_owned(),
            skip: 0,
            count: u64::MAX,
        }));
        world.append(TP, 1, 100);
        world.settle();
        assert!(world.failed, "a journal that cannot be written");
        let why = world.last_fatal.clone();
        assert!(why.contains("journal/") && why.contains(".jnl"), "{why}");
        world.faulty = false;
        world.crash(Crash::Power);
        world.open(1, 0);
    }
}

#[test]
fn a_file_that_cannot_be_removed_is_tried_again() {
    let mut world = world(5, 64 << 10);
    for _ in 0..40 {
        append(&mut world, 1, 3000);
    }
    let before = files(&world);
    world.faulty = true;
    let prefix = segment::DIR.to_owned();
    world.disk.set_fault(Some(Fault { kind: Some(OpKind::Unlink), prefix, skip: 0, count: 5 }));
    world.drop_log(TP, false);
    world.settle();
    world.pass_time(1000);
    world.settle();
    assert!(files(&world).len() >= before.len().min(5), "the first attempts failed");
    assert!(world.engines[0].stats().failed_removals > 0 && !world.failed);
    for _ in 0..6 {
        world.pass_time(10_000);
        world.settle();
    }
    assert!(files(&world).is_empty(), "{:?}", files(&world));
    assert_eq!(world.disk.faults_hit(), 5);
}

#[test]
fn a_block_that_does_not_chain_is_not_taken() {
    let mut world = world(2, 1 << 20);
    for _ in 0..4 {
        append(&mut world, 1, 500);
    }
    for _ in 0..3 {
        world.pass_time(1000);
        world.settle();
    }
    world.crash(Crash::Process);
    let files = world.disk.files();
    let path = &files.iter().find(|(p, _)| p.starts_with(journal::DIR)).expect("a journal").0;
    let bytes = world.disk.contents(path).expect("a file");
    // The second block, sound in itself, as if it followed another one.
    let at = 4096;
    let journal = Journal { directory_id: [7; 16], life: 1, shard: 0 };
    let (header, entries) = block::read(&bytes[at..], journal).expect("a block");
    let mut forged = bytes[at..at + header.len()].to_vec();
    let place = Place {
        sequence: header.sequence(),
        durable_through: header.durable_through(),
        previous_checksum: header.previous_checksum() ^ 1,
    };
    block::seal(&mut forged, journal, place, entries.len());
    let data = AlignedBuf::copy_of(&forged, &world.budget).freeze();
    world.disk.run(Op::Write { path: path.clone(), pos: at as u64, data }).expect("written");
    let why = world.try_open(1).expect_err("it does not follow the first");
    assert!(why.contains("damaged") && why.contains("block 2"), "{why}");
}

#[test]
fn what_could_not_be_removed_in_a_stop_goes_with_the_next_start() {
    for metadata in [false, true] {
        let mut world = world(6, 64 << 10);
        for _ in 0..40 {
            append(&mut world, 1, 3000);
        }
        assert!(!files(&world).is_empty(), "some of it is in segments");
        world.drop_log(TP, metadata);
        world.settle();
        world.faulty = true;
        let prefix = segment::DIR.to_owned();
        let kind = Some(OpKind::Unlink);
        world.disk.set_fault(Some(Fault { kind, prefix, skip: 1, count: u64::MAX }));
        assert!(world.stop(), "a file that cannot be removed does not hold the stop up");
        let left = files(&world);
        assert!(!left.is_empty());
        world.disk.restart();
        world.faulty = false;
        world.open(1, 0);
        assert!(world.report.clean, "nothing is to be replayed");
        assert_eq!(files(&world), Vec::<String>::new(), "{left:?} had been left");
        // Once: the next start looks for nothing.
        assert!(world.stop());
        world.open(1, 0);
    }
}

/// A world with a file that waits to be a segment again, which frames of 2 KiB may go to.
fn world_with_recycled(seed: u64) -> World {
    let mut world = world(seed, 64 << 10);
    world.sizes.direct_bytes = 2048;
    world.sizes.recycle_bytes = 4096;
    // Files are kept for longer than it takes to be idle.
    world.sizes.idle_ms = 5000;
    world.crash(Crash::Process);
    let log = world.model.logs.get_mut(&TP).expect("its log");
    log.config.file_delete_delay_ms = 0;
    world.open(1, 0);
    let mut steps = 0;
    while world.engines[0].stats().recycled_bytes == 0 {
        append(&mut world, 1, 3000);
        if steps % 30 == 29 {
            forget_all(&mut world);
            world.pass_time(1000);
            world.settle();
        }
        steps += 1;
        assert!(steps < 1000, "no file is kept");
    }
    world
}

/// Moves the log start to the end.
fn forget_all(world: &mut World) {
    let (shard, slot) = world.find(TP).expect("an open log");
    let end = world.engines[shard].offsets(slot).durable_end;
    world.set_log_start(TP, end);
    world.settle();
}

/// Appends large batches until one has gone past the journal.
fn append_directly(world: &mut World) {
    let before = world.engines[0].stats().direct_bytes;
    let mut steps = 0;
    while world.engines[0].stats().direct_bytes == before {
        append(world, 1, 3000);
        steps += 1;
        assert!(steps < 10, "nothing goes past the journal");
    }
}

#[test]
fn batches_that_only_the_journal_had_count_though_a_run_stands_behind_them() {
    for seed in 0..20 {
        let mut world = world_with_recycled(seed);
        // In no segment and in no checkpoint, and deleted before a segment takes them.
        for _ in 0..3 {
            append(&mut world, 1, 300);
        }
        forget_all(&mut world);
        append_directly(&mut world);
        world.crash(if seed % 2 == 0 { Crash::Power } else { Crash::Process });
        world.open(1, 0);
    }
}

#[test]
fn files_of_runs_stay_until_a_checkpoint_has_what_they_say() {
    for seed in 0..20 {
        let mut world = world_with_recycled(seed);
        for _ in 0..=seed % 3 {
            append_directly(&mut world);
        }
        forget_all(&mut world);
        // Their time has come.
        world.pass_time(1000);
        world.settle();
        world.crash(if seed % 2 == 0 { Crash::Power } else { Crash::Process });
        world.open(1, 0);
    }
}

/// One turn, and one operation of the disk.
fn step(world: &mut World) {
    world.turn_all();
    world.complete_one();
}

/// One log gets much and others little, until what those have is being copied forward in the journal:
/// a pass is under way. A block takes few of the copies, a step of placement some logs.
fn world_in_a_pass(seed: u64, logs_a_step: usize) -> World {
    let mut world = world(seed, 64 << 10);
    world.sizes.max_block = 8 << 10;
    world.sizes.logs_a_step = logs_a_step;
    world.crash(Crash::Process);
    world.open(1, 0);
    for partition in 10..30 {
        let tp = TopicPartition { partition, ..TP };
        world.create(tp, config(), true);
        world.append(tp, 1, 400);
    }
    world.settle();
    let mut steps = 0;
    while world.engines[0].stats().copied_bytes == 0 {
        if world.disk.in_flight() == 0 && !world.engines[0].wants_turn() {
            world.append(TP, 1, 3000);
        }
        step(&mut world);
        steps += 1;
        assert!(steps < 10_000, "nothing is copied forward");
    }
    world
}

#[test]
fn a_checkpoint_waits_until_all_that_is_copied_forward_is_durable() {
    for seed in 0..4 {
        for steps in (0..120).step_by(3) {
            let mut world = world_in_a_pass(seed, 64);
            for _ in 0..steps {
                step(&mut world);
            }
            world.crash(Crash::Power);
            world.open(1, 0);
        }
    }
}

/// What lies behind a frame that was not copied, as its log was dropped or truncated meanwhile, would be
/// without it.
#[test]
fn a_checkpoint_waits_for_what_took_away_a_frame_that_was_to_be_copied() {
    for before in 0..60 {
        for steps in (0..60).step_by(5) {
            let mut world = world_in_a_pass(1, 64);
            // The checkpoint has captured the logs, and waits for copies.
            for _ in 0..before {
                step(&mut world);
            }
            let logs = (10..30).map(|partition| TopicPartition { partition, ..TP });
            for tp in logs.clone() {
                world.append(tp, 1, 400);
            }
            // They are written long before what is done to the logs.
            for _ in 0..20 {
                world.append(TP, 1, 7000);
            }
            for tp in logs {
                world.drop_log(tp, false);
            }
            for _ in 0..steps {
                step(&mut world);
            }
            world.crash(Crash::Process);
            world.open(1, 0);
        }
    }
}

#[test]
fn a_journal_file_is_used_again_only_when_the_checkpoint_that_covers_it_is_durable() {
    for seed in 0..20 {
        let mut world = world_in_a_pass(seed, 64);
        // Nothing of the checkpoint reaches the disk, and what is appended looks for room.
        for _ in 0..60 {
            world.append(TP, 1, 3000);
            world.settle_elsewhere(checkpoint::DIR);
        }
        world.crash(Crash::Power);
        world.open(1, 0);
    }
}

#[test]
fn what_was_appended_before_an_older_frame_was_copied_is_copied_or_written_back_too() {
    // The next pass copies what is little, and writes back what is much.
    for (seed, bytes) in (0..10).flat_map(|seed| [(seed, 60), (seed, 1000)]) {
        for steps in 0..10 {
            let mut world = world_in_a_pass(seed, 64);
            for _ in 0..steps {
                step(&mut world);
            }
            // Their block may be the last one in a file, and the copies of what is older in the next.
            for partition in 10..30 {
                world.append(TopicPartition { partition, ..TP }, 1, bytes);
            }
            let rounds = world.engines[0].stats().rounds;
            while world.engines[0].stats().rounds < rounds + 2 {
                world.append(TP, 1, 3000);
                for _ in 0..4 {
                    step(&mut world);
                }
            }
            world.crash(if steps % 2 == 0 { Crash::Power } else { Crash::Process });
            world.open(1, 0);
        }
    }
}

#[test]
fn a_log_that_is_dropped_while_it_waits_to_be_copied_does_not_come_back() {
    for seed in 0..20 {
        let mut world = world_in_a_pass(seed, 64);
        for _ in 0..world.rng.below(20) {
            step(&mut world);
        }
        for partition in 10..30 {
            world.drop_log(TopicPartition { partition, ..TP }, false);
        }
        // What is acknowledged of that is so before anything else is removed of the logs.
        for _ in 0..4 + world.rng.below(20) {
            step(&mut world);
        }
        world.crash(if seed % 2 == 0 { Crash::Power } else { Crash::Process });
        world.open(1, 0);
    }
}

#[test]
fn what_is_cut_off_while_a_checkpoint_captures_the_logs_stays_cut_off() {
    let mut cuts = 0;
    for seed in 0..2 {
        // The log that is cut is the first that the checkpoint captures; the others follow one by one.
        for steps in (0..120).step_by(2) {
            let mut world = world_in_a_pass(seed, 1);
            let rounds = world.engines[0].stats().rounds;
            for _ in 0..steps {
                step(&mut world);
            }
            let during = world.engines[0].stats().rounds == rounds;
            if world.truncate(TP, 2) && during {
                cuts += 1;
            }
            world.settle();
            assert!(world.engines[0].stats().rounds > rounds, "the checkpoint is durable");
            world.crash(if steps % 4 == 0 { Crash::Power } else { Crash::Process });
            world.open(1, 0);
        }
    }
    assert!(cuts > 20, "{cuts} cuts fell into a pass");
}

#[test]
fn a_run_that_a_start_has_found_survives_the_power_cut_after_it() {
    for seed in 0..60 {
        let mut world = world_with_recycled(seed);
        append_directly(&mut world);
        world.append(TP, 1, 3000);
        for _ in 0..seed % 5 {
            step(&mut world);
        }
        // Written, and perhaps not synced.
        world.crash(Crash::Process);
        world.open(1, 0);
        world.crash(Crash::Power);
        world.open(1, 0);
    }
}

#[test]
fn a_checkpoint_does_not_cover_runs_that_it_has_not_seen_in_their_segment() {
    let other = TopicPartition { partition: 4, ..TP };
    for seed in 0..20 {
        let mut world = world_with_recycled(seed);
        append_directly(&mut world);
        world.create(other, config(), true);
        let before = world.engines[0].stats();
        while world.engines[0].stats().rounds == before.rounds {
            // Its block is the last one in a file of the journal, some time; its run takes long.
            world.append(TP, 1, 3000);
            world.settle_elsewhere(segment::DIR);
            for _ in 0..3 {
                world.append(other, 1, 900);
            }
            world.settle_elsewhere(segment::DIR);
            world.settle();
        }
        assert!(world.engines[0].stats().direct_bytes > before.direct_bytes);
        world.crash(Crash::Power);
        world.open(1, 0);
    }
}

/// One turn after another, and one operation of the disk in each, until `done` or a checkpoint is durable;
/// whether it was `done`.
fn step_until(world: &mut World, done: impl Fn(&World) -> bool) -> bool {
    let rounds = world.engines[0].stats().rounds;
    for _ in 0..10_000 {
        if world.engines[0].stats().rounds > rounds {
            return false;
        }
        if done(world) {
            return true;
        }
        step(world);
    }
    panic!("neither comes");
}

/// A pass under way that has brought a chunk of a log into its segment, and has other logs to go
/// through before its checkpoint. A file waits to be the log's next segment.
fn world_with_a_chunk(seed: u64) -> World {
    let mut world = world_with_recycled(seed);
    // A checkpoint has all that was before.
    world.pass_time(world.sizes.idle_ms);
    world.settle();
    for _ in 0..4 {
        append(&mut world, 1, 700);
    }
    let (_, slot) = world.find(TP).expect("an open log");
    let rounds = world.engines[0].stats().rounds;
    for partition in 10.. {
        // Everything is acknowledged then, and writes into segments do not end: a pass has begun.
        if !world.engines[0].can_truncate(slot) {
            break;
        }
        let tp = TopicPartition { partition, ..TP };
        world.create(tp, config(), true);
        for _ in 0..4 {
            world.append(tp, 1, 700);
        }
        world.settle_elsewhere(segment::DIR);
    }
    assert!(step_until(&mut world, |world| world.engines[0].can_truncate(slot)));
    assert_eq!(world.engines[0].stats().rounds, rounds, "its checkpoint is to come");
    assert!(world.engines[0].stats().recycled_bytes > 0, "a file is kept");
    world
}

/// Appends large batches to the log, one after the other, and waits until they are acknowledged: how
/// many of them before a checkpoint is durable.
fn append_before_the_checkpoint(world: &mut World, batches: u32) -> u32 {
    let (_, slot) = world.find(TP).expect("an open log");
    for appended in 0..batches {
        world.append(TP, 1, 3000);
        if !step_until(world, |world| world.engines[0].can_truncate(slot)) {
            return appended;
        }
    }
    batches
}

#[test]
fn what_a_truncation_took_of_a_chunk_is_not_said_to_stand_before_a_run() {
    for seed in 0..20 {
        let cut = |world: &mut World| {
            let last = world.model.logs[&TP].current.last().expect("batches").base;
            assert!(world.truncate(TP, last - 1), "half of the chunk goes");
        };
        let mut world = world_with_a_chunk(seed);
        cut(&mut world);
        assert_eq!(append_before_the_checkpoint(&mut world, 3), 3);
        world.crash(Crash::Power);
        world.open(1, 0);
        // Where the checkpoint has the chunk, these batches are runs: there is a file for them.
        let mut world = world_with_a_chunk(seed);
        assert!(!step_until(&mut world, |_| false), "the checkpoint is durable");
        cut(&mut world);
        let before = world.engines[0].stats().direct_bytes;
        for _ in 0..3 {
            append(&mut world, 1, 3000);
        }
        assert!(world.engines[0].stats().direct_bytes > before);
        world.crash(Crash::Power);
        world.open(1, 0);
    }
}

#[test]
fn an_idle_log_keeps_no_space_that_it_does_not_use() {
    for passes in 0..3 {
        let mut world = world_with_recycled(passes);
        let (shard, slot) = world.find(TP).expect("an open log");
        append_directly(&mut world);
        assert!(world.engines[shard].reserved(slot) > 0, "a file that is not full yet");
        // Passes that another log brings about, in which this one is not idle.
        let other = TopicPartition { partition: 4, ..TP };
        world.create(other, config(), true);
        for _ in 0..30 * passes {
            world.append(other, 1, 1500);
            world.settle();
        }
        for _ in 0..6 {
            world.pass_time(2 * world.sizes.idle_ms);
            world.settle();
        }
        assert_eq!(world.engines[shard].reserved(slot), 0);
        assert_eq!(world.engines[shard].stats().recycled_bytes, 0);
        assert!(world.stop());
        world.open(1, 0);
        crate::space::check(&world);
    }
}

#[test]
fn space_of_what_is_cut_off_is_given_back_only_when_the_cut_is_durable() {
    for seed in 0..60 {
        let mut world = world_with_recycled(seed);
        for _ in 0..4 {
            append_directly(&mut world);
        }
        // A pass is due, which gives back what idle segments do not use.
        world.pass_time(2 * world.sizes.idle_ms);
        let last = world.model.logs[&TP].current.last().expect("batches").base;
        assert!(world.truncate(TP, last - 1));
        for _ in 0..seed % 8 {
            step(&mut world);
        }
        world.crash(Crash::Power);
        world.open(1, 0);
        world.settle();
        assert!(world.stop());
        world.open(1, 0);
        crate::space::check(&world);
    }
}
