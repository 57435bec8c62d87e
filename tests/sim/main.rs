//! Storage over a simulated disk: seeds, power cuts, faults, rot.
//!
//! `KLAMM_SIM_SEEDS=n` runs that many, `KLAMM_SIM_FROM=s` starts there, `KLAMM_SIM_SEED=x` replays
//! one and prints its trace, `KLAMM_SIM_THREADS=n` divides them.

mod acks;
mod cold_reads;
mod compacted;
mod full_disk;
mod model;
mod orders;
mod reads;
mod recovered;
mod space;
mod workload;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use support::Seeds;
use workload::{Meddling, Outcome};
use world::World;

fn run(seed: u64, meddling: Meddling) -> Outcome {
    let mut world = World::new(seed);
    if Seeds::only("SIM").is_some() {
        world.disk.keep_log();
    }
    let result = catch_unwind(AssertUnwindSafe(|| workload::run(&mut world, seed, meddling)));
    for line in world.disk.take_log() {
        println!("{line}");
    }
    match result {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_invented() {
    if let Some(seed) = Seeds::only("SIM") {
        println!("{:?}", run(seed, Meddling::default()));
        return;
    }
    let all = Seeds::of("SIM", 2000);
    let seeds = all.count;
    let done = all.all(|seed| run(seed, Meddling::default()));
    let sum = |of: fn(&Outcome) -> u64| done.iter().map(of).sum::<u64>();
    let (ops, faults, asked) = (sum(|it| it.ops), sum(|it| it.faults), sum(|it| it.appended));
    let (rounds, direct, passes) = (sum(|it| it.rounds), sum(|it| it.direct), sum(|it| it.passes));
    let recycled = sum(|it| u64::from(it.direct > 0));
    println!("{seeds} seeds, {asked} requests, {ops} operations, {rounds} rounds, {faults} faults");
    println!("{recycled} seeds with recycled files, {direct} bytes past the journal");
    println!("{passes} passes of compaction");
    // What hardly happens is hardly tested.
    assert!(seeds < 1000 || recycled > seeds / 10, "{recycled} seeds used a file again");
    assert!(seeds < 1000 || passes > seeds / 2, "{passes} passes of compaction");
}

#[test]
fn the_same_seed_leaves_the_same_trace() {
    for seed in 0..24 {
        let first = run(seed, Meddling::default());
        assert_eq!(first, run(seed, Meddling::default()), "seed {seed}");
    }
}

/// Small runs without other crashes, so that every operation of their first life can be meddled with.
fn at_every_operation(meddle: impl Fn(u64) -> Meddling) {
    for seed in [0, 4, 8] {
        let calm = Meddling { calm: true, ..Meddling::default() };
        let ops = run(seed, calm).ops.min(250);
        for at in 0..ops {
            let meddling = Meddling { calm: true, ..meddle(at) };
            let result = catch_unwind(AssertUnwindSafe(|| run(seed, meddling)));
            assert!(result.is_ok(), "seed {seed}, operation {at}");
        }
    }
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing() {
    at_every_operation(|at| Meddling { cut_at: Some(at), ..Meddling::default() });
}

#[test]
fn an_error_at_any_operation_ends_the_run_and_loses_nothing() {
    at_every_operation(|at| Meddling { fail_at: Some(at), ..Meddling::default() });
}

#[test]
fn a_flipped_bit_is_found_or_harmless_and_never_served() {
    let mut refused = 0;
    for seed in 0..150 {
        let mut world = World::new(seed);
        workload::run(&mut world, seed, Meddling { calm: true, ..Meddling::default() });
        assert!(world.stop(), "a stop with nothing in its way");
        let files: Vec<_> = world
            .disk
            .files()
            .into_iter()
            .filter(|(path, len)| {
                *len > 0 && !path.starts_with("journal/") && **path != *"meta.properties"
            })
            .collect();
        let (path, len) = files[world.rng.index(files.len())].clone();
        // Beginnings hold what counts; the rest of a small file is padding.
        let reach = if world.rng.chance(50) { len.min(200) } else { len };
        let (position, mask) = (world.rng.below(reach), 1 << world.rng.below(8));
        assert!(world.disk.flip(&path, position, mask));
        world.faulty = true;
        match world.try_open(1) {
            Ok(()) => world.compare(),
            Err(why) => {
                assert!(why.contains("damaged") || why.contains("refused"), "{path}: {why}");
                refused += 1;
            }
        }
    }
    assert!(refused > 5, "flips in checkpoints and manifests are found at the start: {refused}");
}
