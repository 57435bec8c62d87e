//! Orders of events and crashes that must come out right, one test each. What is random in them is
//! only what a power cut leaves, so each runs over many seeds.

use crate::model::Drop;
use crate::reads;
use crate::world::{Crash, Sizes, World};
use klamm::storage::buffer::AlignedBuf;
use klamm::storage::device::io::Op;
use klamm::storage::device::sim_disk::{Fault, OpKind};
use klamm::storage::format::block::{self, Journal, Place};
use klamm::storage::format::segment;
use klamm::storage::journal;
use klamm::storage::log::LogConfig;
use klamm::types::{TopicId, TopicPartition};

const TP: TopicPartition = TopicPartition { topic: TopicId([9; 16]), partition: 3 };

fn config() -> LogConfig {
    LogConfig { file_delete_delay_ms: 1000, segment_bytes: 64 << 10, ..LogConfig::none() }
}

/// One shard with a journal of `journal_bytes`, one log, every batch of which is a frame.
fn world(seed: u64, journal_bytes: u64) -> World {
    let mut world = World::new(seed);
    world.sizes = Sizes {
        journal_bytes,
        small_bytes: 1024,
        idle_ms: 60_000,
        logs_a_step: 1,
        direct_bytes: 1 << 20,
        max_block: 16 << 10,
        cache_bytes: 0,
    };
    world.open(1, 0);
    world.create(TP, config(), true);
    world
}

/// Appends and waits until it is durable.
fn append(world: &mut World, records: u64, bytes: usize) {
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
fn a_disk_that_is_full_loses_nothing_that_was_acknowledged() {
    for seed in 0..40 {
        let mut world = world(seed, 64 << 10);
        for _ in 0..world.rng.between(1, 30) {
            append(&mut world, 1, 3000);
        }
        world.faulty = true;
        let room = world.rng.below(100_000);
        world.disk.set_capacity(world.disk.used() + room);
        for _ in 0..60 {
            if world.over() {
                break;
            }
            append(&mut world, 1, 3000);
        }
        world.disk.set_capacity(u64::MAX);
        world.faulty = false;
        world.crash(if seed % 2 == 0 { Crash::Power } else { Crash::Process });
        world.open(1, 0);
    }
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
