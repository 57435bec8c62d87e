//! Several controllers over simulated disks and a simulated network: messages that are late, lost or cut off one way,
//! members that stop, lose power or a disk, and a quorum whose members change. One seed decides it all.
//!
//! Held at every step: a term has one leader; images of the same index are the same everywhere; what was
//! acknowledged is in every later image, and known to every later leader. What is held of brokers and their partitions
//! stands in `brokers`. Held at the end, when nothing
//! fails any more: within a bounded time one member leads, takes what is proposed, and all have come as far.
//!
//! `KLAMM_QUORUM_SEEDS=n` runs that many, `KLAMM_QUORUM_FROM=s` starts there.

mod brokers;
mod cluster;
mod node;
mod seen;

use cluster::Cluster;
use seen::Seen;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const SEEDS: u64 = 600;
const THREADS: usize = 2;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

fn run(seed: u64) -> Seen {
    let mut cluster = Cluster::new(seed);
    cluster.run();
    cluster.seen.brokers = cluster.brokers.seen;
    cluster.seen
}

#[test]
fn nothing_that_a_quorum_has_acknowledged_is_lost_and_it_comes_to_rest() {
    let from = variable("KLAMM_QUORUM_FROM").unwrap_or(0);
    let count = variable("KLAMM_QUORUM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(from);
    let (failing, totals) = (Mutex::new(Vec::new()), Mutex::new([0; 9]));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                break;
            }
            match catch_unwind(|| run(seed)) {
                Err(_) => failing.lock().unwrap().push(seed),
                Ok(it) => {
                    let acknowledged = it.acknowledged.len();
                    let brokers = &it.brokers;
                    let of_run = [
                        acknowledged,
                        it.leaders.len(),
                        it.snapshots,
                        it.changes,
                        it.lost,
                        brokers.elections,
                        brokers.fences,
                        brokers.committed(),
                        brokers.wiped,
                    ];
                    let mut totals = totals.lock().unwrap();
                    *totals = std::array::from_fn(|at| totals[at] + of_run[at]);
                }
            }
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    let mut failing = failing.into_inner().unwrap();
    failing.sort_unstable();
    let shown: Vec<String> = failing.iter().take(20).map(u64::to_string).collect();
    assert!(failing.is_empty(), "failing seeds: {}", shown.join(" "));
    let totals = totals.into_inner().unwrap();
    let [acknowledged, elections, snapshots, changes, lost, led, fences, committed, wiped] = totals;
    println!(
        "{acknowledged} acknowledged, {elections} elections, {snapshots} snapshots, \
         {changes} changes of members, {lost} messages lost; {led} partitions led, \
         {fences} brokers fenced, {wiped} wiped, {committed} records committed"
    );
    let happened = totals.iter().all(|it| *it as u64 >= count);
    assert!(happened, "runs in which nothing happens show nothing");
}

#[test]
fn a_seed_replays_exactly() {
    assert_eq!(run(11), run(11));
}

/// Two members hold different outgoing voters at the same entry, each waits for somebody else, and nobody is elected.
#[test]
#[ignore = "an open fault of changes of the membership: 1 seed of some 6,000"]
fn seed_630_comes_to_rest() {
    run(630);
}

/// A member of an ISR lacks what was committed: of the model of leaders here, or of the controller, is not known.
#[test]
#[ignore = "not understood yet: 1 seed of some 6,000"]
fn seed_1722_loses_nothing() {
    run(1722);
}
