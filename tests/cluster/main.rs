//! Whole clusters: several brokers of some shards each, from Kafka's bytes to their disks' blocks, and the network
//! between them, in a world that a seed determines. What runs is what ships.
//!
//! Brokers are killed, lose power, stand still, and are cut off from each other one way or both; clients produce with
//! idempotence and `acks=all`, and read. Held at every answer (`history`): what was acknowledged stays where it was,
//! once and in order; nobody reads two things at one offset, or what a later leader does not have. Held at the end, when
//! nothing fails any more: within a bounded time every partition has a leader and all of its replicas in sync,
//! every producer is answered, and all that was acknowledged is read.
//!
//! `KLAMM_CLUSTER_SEEDS=n` runs that many, `KLAMM_CLUSTER_FROM=s` starts there, `KLAMM_CLUSTER_SEED=x` replays
//! one and prints its trace.

mod cluster;
mod history;
mod network;
mod node;
mod producer;
mod reader;
mod session;

use cluster::Cluster;
use history::Counts;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Seeds in the test command.
const SEEDS: u64 = 800;
const THREADS: usize = 2;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

fn run(seed: u64, told: bool) -> (u64, Counts) {
    let mut cluster = Cluster::new(seed, told);
    cluster.run();
    (cluster.trace(), cluster.history.counts)
}

#[test]
fn nothing_that_a_cluster_has_acknowledged_is_lost_and_it_comes_to_rest() {
    if let Some(seed) = variable("KLAMM_CLUSTER_SEED") {
        // What brokers would log, each line with its node.
        let lines = tracing_subscriber::fmt().without_time().with_ansi(false);
        lines.with_max_level(tracing::Level::DEBUG).with_writer(std::io::stdout).init();
        run(seed, true);
        return;
    }
    let from = variable("KLAMM_CLUSTER_FROM").unwrap_or(0);
    let count = variable("KLAMM_CLUSTER_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(from);
    let (failing, totals) = (Mutex::new(Vec::new()), Mutex::new(Counts::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                break;
            }
            match catch_unwind(|| run(seed, false)) {
                Err(_) => failing.lock().unwrap().push(seed),
                Ok((_, it)) => totals.lock().unwrap().add(&it),
            }
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    let mut failing = failing.into_inner().unwrap();
    failing.sort_unstable();
    let shown: Vec<String> = failing.iter().take(20).map(u64::to_string).collect();
    assert!(failing.is_empty(), "{} failing seeds: {}", failing.len(), shown.join(" "));
    let totals = totals.into_inner().unwrap();
    println!("{totals:?}");
    if count >= 50 {
        totals.check();
    }
}

#[test]
fn the_same_seed_leaves_the_same_trace() {
    assert_eq!(run(3, false), run(3, false));
}
