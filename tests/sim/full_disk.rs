//! A disk without space: what was promised is kept, and goes on when there is space.

use crate::orders::{TP, append, world};
use crate::reads;
use crate::world::{Crash, World};
use klamm::storage::format::segment;

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
            world.append(TP, 1, 3000);
            go_on(&mut world);
        }
        world.disk.set_capacity(u64::MAX);
        world.faulty = false;
        world.crash(if seed % 2 == 0 { Crash::Power } else { Crash::Process });
        world.open(1, 0);
    }
}

/// Everything that the log has is read.
fn read_all(world: &mut World) {
    let (shard, slot) = world.find(TP).expect("an open log");
    let end = world.engines[shard].offsets(slot).durable_end;
    let mut at = 0;
    while at < end {
        let found = reads::read(world, TP, at, end, 1 << 20, true).expect("the power is on");
        let current = &world.model.logs[&TP].current;
        reads::matches(&found, current, at).unwrap_or_else(|why| panic!("from {at}: {why}"));
        let next = current.partition_point(|it| it.last < at) + found.len();
        at = current.get(next).map_or(end, |it| it.base);
        assert!(!found.is_empty());
    }
}

/// Lets everything end that can. What has no space does not.
fn go_on(world: &mut World) {
    loop {
        world.turn_all();
        if !world.complete_one() || world.over() {
            return;
        }
    }
}

/// Bytes of segments.
fn placed(world: &World) -> u64 {
    let files = world.disk.files().into_iter();
    files.filter(|it| it.0.starts_with(segment::DIR)).map(|it| it.1).sum()
}

/// Others take what the disk had left, also what writes into segments, their indexes, the checkpoint and new files of the journal need. The
/// engine takes no more, and gives what it has. When there is space again, everything that waited for it goes on, whatever
/// it was.
#[test]
fn what_there_is_no_space_for_waits_and_nothing_ends() {
    let (mut held, mut later) = (0, 0);
    for seed in 0..60 {
        let mut world = world(seed, 256 << 10);
        for _ in 0..world.rng.between(1, 40) {
            append(&mut world, 1, 3000);
        }
        let room = world.rng.below(200_000);
        world.disk.set_capacity(world.disk.used() + room);
        let mut refused = 0;
        for step in 0..120 {
            let (shard, _) = world.find(TP).expect("an open log");
            if world.engines[shard].disk_is_full() {
                refused += 1;
            } else {
                world.append(TP, 1, 3000);
                go_on(&mut world);
            }
            if step % 10 == 0 {
                world.pass_time(61_000);
                go_on(&mut world);
            }
            assert!(!world.over(), "seed {seed}: {}", world.last_fatal);
            if refused > 0 && world.rng.chance(20) {
                read_all(&mut world);
            }
        }
        held += u64::from(refused > 0);
        read_all(&mut world);
        if seed % 3 == 0 {
            world.disk.set_capacity(u64::MAX);
            world.crash(if seed % 2 == 0 { Crash::Power } else { Crash::Process });
            world.open(1, 0);
            continue;
        }
        let before = placed(&world);
        world.disk.set_capacity(u64::MAX);
        let (shard, _) = world.find(TP).expect("an open log");
        world.engines[shard].set_disk_full(false, u64::MAX);
        for _ in 0..20 {
            world.pass_time(61_000);
            world.settle();
        }
        assert!(!world.engines[shard].disk_is_full(), "seed {seed}");
        later += placed(&world) - before;
        append(&mut world, 1, 3000);
        read_all(&mut world);
        assert!(world.stop());
        world.open(1, 0);
    }
    assert!(held > 20 && later > 100_000, "{held} runs had no space, {later} bytes came later");
}

/// A stop does not wait for space: it ends with an error, and the next start finds everything.
#[test]
fn a_stop_without_space_ends() {
    let mut fatal = 0;
    for seed in 0..20 {
        let mut world = world(seed, 256 << 10);
        for _ in 0..30 {
            append(&mut world, 1, 3000);
        }
        world.disk.set_capacity(world.disk.used());
        world.faulty = true;
        if !world.stop() {
            fatal += 1;
            world.crash(Crash::Process);
        }
        world.faulty = false;
        world.disk.set_capacity(u64::MAX);
        world.open(1, 0);
    }
    assert!(fatal > 0);
}
