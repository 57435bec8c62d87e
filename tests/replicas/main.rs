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
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const SEEDS: u64 = 5_000;
const THREADS: usize = 2;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

fn run(seed: u64) -> Seen {
    let mut cluster = Cluster::new(seed);
    cluster.run();
    cluster.seen
}

#[test]
fn nothing_acknowledged_is_lost_and_the_replicas_become_equal() {
    let from = variable("KLAMM_REPLICAS_FROM").unwrap_or(0);
    let count = variable("KLAMM_REPLICAS_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(from);
    let (failing, totals) = (Mutex::new(Vec::new()), Mutex::new(Seen::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count || failing.lock().unwrap().len() > 20 {
                break;
            }
            match catch_unwind(|| run(seed)) {
                Err(_) => failing.lock().unwrap().push(seed),
                Ok(it) => totals.lock().unwrap().add(&it),
            }
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    let mut failing = failing.into_inner().unwrap();
    failing.sort_unstable();
    let shown: Vec<String> = failing.iter().take(20).map(u64::to_string).collect();
    assert!(failing.is_empty(), "failing seeds: {}", shown.join(" "));
    let totals = totals.into_inner().unwrap();
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
