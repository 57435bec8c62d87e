//! The replicas of one partition: the core that ships, over logs that are lists of frames, with a network
//! between them that loses, delays and holds back, and a controller that decides late. One seed decides it
//! all.
//!
//! Held at every step: what is below any watermark is the same everywhere, is durable on every member of the
//! controller's ISR, and in the log of every later leader; what was acknowledged is below a watermark; the
//! watermark of no leader falls; producers and epochs of a log are what its batches say, after truncations
//! and restarts too. Held at the end, when nothing fails any more: within a bounded time all logs are
//! equal, all of it is committed, and all replicas are in sync.
//!
//! `KLAMM_REPLICAS_SEEDS=n` runs that many, `KLAMM_REPLICAS_FROM=s` starts there.

mod cluster;
mod controller;
mod node;

use cluster::{Cluster, Seen};
use support::Seeds;

const SEEDS: u64 = 5_000;

fn run(seed: u64) -> Seen {
    let mut cluster = Cluster::new(seed);
    cluster.run();
    cluster.seen
}

#[test]
fn nothing_acknowledged_is_lost_and_the_replicas_become_equal() {
    let seeds = Seeds::of("REPLICAS", SEEDS);
    let count = seeds.count;
    let mut totals = Seen::default();
    seeds.all(run).iter().for_each(|it| totals.add(it));
    println!("{totals:?}");
    let happened = totals.all().into_iter().all(|it| it >= count / 10);
    assert!(happened, "runs in which nothing happens show nothing: {totals:?}");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 11] {
        assert_eq!(run(seed), run(seed));
    }
}
