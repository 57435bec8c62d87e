//! When the targets of a consumer group are computed anew: at most once in an interval, and when racks have changed.

use super::tests::Client;
use crate::group::context::CoordinatorSettings;
use crate::group::testing::Bench;
use crate::types::{ErrorCode, GroupConfig};

/// With Kafka's interval of a second.
fn waiting() -> Bench {
    let mut bench = Bench::new(CoordinatorSettings::default());
    bench.set_topic("t", 4);
    bench
}

fn epochs(bench: &mut Bench) -> (i32, i32) {
    let about = bench.about();
    (about.epoch, about.target_epoch)
}

#[test]
fn targets_are_computed_once_in_an_interval() {
    let mut bench = waiting();
    let (mut a, mut b) = (Client::new("a"), Client::new("b"));
    let told = bench.beat(a.full());
    a.hears(&told);
    assert_eq!((a.epoch, a.numbers().len()), (1, 4), "the first is computed at once");
    bench.pass_ms(999);
    let told = bench.beat(b.full());
    b.hears(&told);
    assert_eq!((b.epoch, b.numbers()), (1, vec![]), "it has a part in the targets that there are");
    assert_eq!((epochs(&mut bench), bench.about().state), ((2, 1), "Assigning"));
    let told = bench.beat(a.short());
    assert_eq!((told.member_epoch, told.assignment), (1, None), "too early by a millisecond");
    bench.check_log();
    bench.pass_ms(1);
    let told = bench.beat(a.short());
    assert_eq!(told.assignment.expect("others").values().flatten().count(), 2);
    assert_eq!(epochs(&mut bench), (2, 2));
    bench.converge(&mut [&mut a, &mut b]);
    assert_eq!((a.numbers().len(), b.numbers().len()), (2, 2));
    bench.check_log();
}

#[test]
fn a_restart_knows_when_targets_were_computed() {
    let mut bench = waiting();
    let (mut a, b) = (Client::new("a"), Client::new("b"));
    let told = bench.beat(a.full());
    a.hears(&told);
    bench.pass_ms(400);
    bench.restart();
    bench.beat(b.full());
    assert_eq!(epochs(&mut bench), (2, 1));
    bench.pass_ms(600);
    bench.beat(b.full());
    assert_eq!(epochs(&mut bench), (2, 2));
}

#[test]
fn a_clock_that_was_set_back_holds_nothing_up() {
    let mut bench = waiting();
    let (a, b) = (Client::new("a"), Client::new("b"));
    bench.beat(a.full());
    bench.ahead_ms -= 3_600_000;
    bench.beat(b.full());
    assert_eq!(epochs(&mut bench), (2, 2));
}

#[test]
fn a_group_has_an_interval_of_its_own() {
    let mut bench = waiting();
    bench.topics.config =
        GroupConfig { consumer_assignment_interval_ms: Some(15_000), ..GroupConfig::default() };
    bench.set_topic("t", 4);
    let (a, b) = (Client::new("a"), Client::new("b"));
    bench.beat(a.full());
    bench.pass_ms(14_999);
    bench.beat(b.full());
    assert_eq!(epochs(&mut bench), (2, 1));
    bench.pass_ms(1);
    bench.beat(b.full());
    assert_eq!(epochs(&mut bench), (2, 2));
}

/// Nobody is told to join again before there is something to be told.
#[test]
fn members_of_the_classic_protocol_are_called_when_targets_may_be_computed() {
    let mut bench = waiting();
    let joined = bench.classic_group(&["x"], &[&[0, 1, 2, 3]]);
    let mut a = Client::new("a");
    let told = bench.beat(a.full());
    a.hears(&told);
    // Its own target is another since the upgrade, which no interval holds up.
    assert_eq!(epochs(&mut bench), (3, 3));
    assert_eq!(bench.classic_beat(&joined[0]), ErrorCode::REBALANCE_IN_PROGRESS);
    let mut x = joined[0].clone();
    for _ in 0..3 {
        if bench.classic_beat(&x) == ErrorCode::REBALANCE_IN_PROGRESS {
            x = bench.rejoin(&x);
        }
    }
    assert_eq!((x.generation_id, bench.classic_beat(&x)), (3, ErrorCode::NONE));
    bench.beat(Client::new("b").full());
    assert_eq!(epochs(&mut bench), (4, 3));
    assert_eq!(bench.classic_beat(&x), ErrorCode::NONE);
    bench.pass_ms(1_000);
    assert_eq!(bench.classic_beat(&x), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn other_racks_give_another_epoch() {
    let mut bench = Bench::default();
    let racks = |bench: &mut Bench, partition: i32, of: &[&str]| {
        let of = of.iter().map(|it| (*it).to_owned()).collect();
        bench.topics.racks.insert(("t".to_owned(), partition), of);
        bench.set_topic("t", 3);
    };
    bench.set_topic("t", 3);
    let a = Client::new("a");
    let epoch = |bench: &mut Bench| {
        bench.beat(a.full());
        epochs(bench).0
    };
    assert_eq!(epoch(&mut bench), 1);
    racks(&mut bench, 0, &["r1", "r2"]);
    assert_eq!(epoch(&mut bench), 2);
    racks(&mut bench, 2, &["r1", "r2"]);
    assert_eq!(epoch(&mut bench), 3);
    // The same again, and other metadata with the same racks.
    racks(&mut bench, 2, &["r1", "r2"]);
    assert_eq!(epoch(&mut bench), 3);
    racks(&mut bench, 2, &["r1", "r3"]);
    assert_eq!(epoch(&mut bench), 4);
    racks(&mut bench, 2, &["r1", "r3", "r3"]);
    assert_eq!(epoch(&mut bench), 5);
    racks(&mut bench, 2, &["r1r3", "r3"]);
    assert_eq!(epoch(&mut bench), 6);
    // Those of another topic do not matter.
    bench.topics.racks.insert(("u".to_owned(), 0), vec!["r9".to_owned()]);
    bench.set_topic("u", 1);
    assert_eq!(epoch(&mut bench), 6);
}

/// A step is a partition: one topic with many of them holds nobody up.
#[test]
fn racks_of_many_partitions_are_hashed_in_parts() {
    let mut bench = Bench::default();
    bench.coordinator.pause_after(3);
    for partition in 0..40 {
        bench.topics.racks.insert(("t".to_owned(), partition), vec!["r".to_owned()]);
    }
    bench.set_topic("t", 40);
    let mut a = Client::new("a");
    bench.converge(&mut [&mut a]);
    assert_eq!((a.numbers().len(), epochs(&mut bench)), (40, (1, 1)));
    bench.topics.racks.insert(("t".to_owned(), 39), vec!["s".to_owned()]);
    bench.set_topic("t", 40);
    bench.converge(&mut [&mut a]);
    assert_eq!(epochs(&mut bench), (2, 2));
}
