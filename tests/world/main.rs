//! Whole brokers, from Kafka's bytes to the disk's blocks, in a world that a seed determines.
//!
//! `KLAMM_WORLD_SEEDS=n` runs that many, `KLAMM_WORLD_FROM=s` starts there, `KLAMM_WORLD_SEED=x`
//! replays one and prints its trace, `KLAMM_WORLD_THREADS=n` divides them.

mod checkers;
mod client;
mod connection;
mod ending;
mod operations;
mod plan;
mod process;
mod roles;
mod scenes;
mod world;

use checkers::Counts;
use klamm::storage::device::sim_disk::{Fault, OpKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::Seeds;
use world::World;

/// Seeds in the test command.
const SEEDS: u64 = 600;

fn set_fault(world: &mut World) {
    let others = [None, Some(OpKind::Write), Some(OpKind::Sync), Some(OpKind::SyncDir)];
    // Reads are few, and only those of segments may fail without an end of the process.
    let read = world.rng.chance(50);
    let kind = if read { Some(OpKind::Read) } else { others[world.rng.index(others.len())] };
    let prefix = if read { "topics/" } else { "" };
    let most = if read { 10 } else { 400 };
    // Some disks stay broken.
    let count = if world.rng.chance(15) { u64::MAX } else { world.rng.between(1, 5) };
    let skip = world.rng.below(most);
    world.disk.set_fault(Some(Fault { kind, prefix: prefix.to_owned(), skip, count }));
}

/// Runs a seed to its end, which is where it panics if the broker did wrong.
fn run(seed: u64) -> (u64, Counts) {
    let mut world = World::new(seed, Seeds::only("WORLD").is_some());
    for _ in 0..world.plan.lives {
        let cuts = if world.rng.chance(30) { world.rng.between(1, 3) } else { 0 };
        world.open(cuts);
        if world.rng.chance(40) {
            let fuel = world.rng.below(1500);
            world.disk.set_fuel(Some(fuel));
        }
        if world.plan.faulty {
            world.faulty = true;
            set_fault(&mut world);
        }
        // What a life does first is not durable yet where it ends soon.
        let (least, most) = if world.rng.chance(25) { (20, 300) } else { (200, 3000) };
        let steps = world.rng.between(least, most);
        world.run(steps);
        if !world.over() && world.rng.chance(50) {
            world.settle();
        }
        let clean = !world.over() && world.rng.chance(40) && world.stop();
        if !clean {
            let power = world.rng.chance(70);
            world.crash(power);
        } else if world.rng.chance(50) {
            world.disk.power_cut();
            world.disk.restart();
        }
    }
    world.faulty = false;
    world.disk.set_fault(None);
    world.open(0);
    world.settle();
    assert!(world.stop(), "a stop with nothing in its way");
    // What was to go after a while goes.
    world.open(0);
    world.settle();
    world.grow_old(120_000);
    assert!(world.stop(), "a stop with nothing in its way");
    checkers::space::check(&world.disk, &world.facts);
    world.facts.counts.operations = world.disk.ops();
    world.facts.counts.faults = world.disk.faults_hit();
    (world.trace(), world.facts.counts)
}

#[test]
fn a_broker_keeps_its_promises() {
    if let Some(seed) = Seeds::only("WORLD") {
        println!("{:#?}", run(seed));
        return;
    }
    let seeds = Seeds::of("WORLD", SEEDS);
    let mut totals = Counts::default();
    seeds.all(|seed| run(seed).1).iter().for_each(|it| totals.add(it));
    println!("{} seeds: {totals:#?}", seeds.count);
    if seeds.count >= SEEDS {
        totals.check();
    }
}

/// Seeds that have found a bug, and what it was.
const PINNED: &[(u64, &str)] = &[
    (27, "a search by time was refused when the log's start moved beyond where it was"),
    (5652, "a checkpoint took one step a second where nothing else happened, and held a stop up"),
];

#[test]
fn seeds_that_have_found_a_bug_find_it_no_more() {
    for (seed, what) in PINNED {
        let result = catch_unwind(AssertUnwindSafe(|| run(*seed)));
        assert!(result.is_ok(), "seed {seed}: {what}");
    }
}

#[test]
fn the_same_seed_leaves_the_same_trace() {
    for seed in 0..8 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
