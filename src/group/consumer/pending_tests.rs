//! What others see while something of a consumer group is not durable, or not done.

use super::tests::{Client, committed, with_topic};
use crate::group::coordinator::{Seen, StateCursor};
use crate::group::request::{Commit, CommitOffset, GroupRequest, LONG_COMMIT, List};
use crate::group::response::GroupResponse;
use crate::group::testing::Bench;
use crate::types::ErrorCode;

/// The group's state and type in a list, and its state, members and epoch in metrics; `None` where it is not there.
type Sight = Option<(&'static str, &'static str, usize, i32)>;

fn sight(bench: &mut Bench) -> Sight {
    let listed = bench.list(List::default()).pop();
    let mut figures = None;
    bench.coordinator.look(&mut StateCursor::default(), usize::MAX, &mut |seen| {
        if let Seen::Group(it) = seen {
            figures = Some((it.state, it.members, it.generation_id));
        }
    });
    assert_eq!(listed.is_some(), figures.is_some());
    let ((listed, figures), (_, members, epoch)) = (listed.zip(figures)?, figures?);
    assert_eq!(listed.state, figures.0);
    Some((listed.state, listed.group_type, members, epoch))
}

#[test]
fn a_group_is_seen_as_it_is_in_the_log() {
    let mut bench = with_topic(2);
    let (a, b) = (Client::new("a"), Client::new("b"));
    bench.slow = true;
    let ask = |bench: &mut Bench, client: &Client| {
        bench.ask(GroupRequest::ConsumerHeartbeat(Box::new(client.full())));
    };
    ask(&mut bench, &a);
    assert_eq!(sight(&mut bench), None, "nothing of it is durable");
    bench.written(Err(ErrorCode::NOT_ENOUGH_REPLICAS));
    assert_eq!(sight(&mut bench), None, "nothing of it came to be");
    ask(&mut bench, &a);
    bench.written(Ok(()));
    let alone = Some(("Stable", "consumer", 1, 1));
    assert_eq!(sight(&mut bench), alone);
    ask(&mut bench, &b);
    assert_eq!(sight(&mut bench), alone);
    bench.written(Err(ErrorCode::NOT_ENOUGH_REPLICAS));
    assert_eq!(sight(&mut bench), alone);
    ask(&mut bench, &b);
    bench.written(Ok(()));
    assert_eq!(sight(&mut bench), Some(("Reconciling", "consumer", 2, 2)));
}

#[test]
fn a_group_is_of_its_old_type_until_the_new_one_is_durable() {
    let mut bench = with_topic(2);
    let joined = bench.classic_group(&["x"], &[&[0, 1]]);
    let classic = Some(("Stable", "classic", 1, 2));
    assert_eq!(sight(&mut bench), classic);
    bench.slow = true;
    let a = Client::new("a");
    bench.ask(GroupRequest::ConsumerHeartbeat(Box::new(a.full())));
    assert_eq!(sight(&mut bench), classic);
    bench.written(Ok(()));
    let upgraded = sight(&mut bench);
    assert!(upgraded.is_some_and(|it| (it.1, it.2) == ("consumer", 2)), "{upgraded:?}");
    // The last that speaks the new protocol goes.
    let mut a = a;
    a.epoch = -1;
    bench.ask(GroupRequest::ConsumerHeartbeat(Box::new(a.short())));
    assert_eq!(sight(&mut bench), upgraded);
    bench.written(Ok(()));
    assert!(sight(&mut bench).is_some_and(|it| (it.1, it.2) == ("classic", 1)), "{joined:?}");
}

/// KIP-1251, of a commit that is taken in parts.
#[test]
fn a_long_commit_of_an_earlier_epoch_counts_where_all_partitions_are_kept() {
    let count = LONG_COMMIT as i32 + 1;
    let mut bench = with_topic(count);
    let (mut a, mut b) = (Client::new("a"), Client::new("b"));
    bench.converge(&mut [&mut a]);
    let (before, topic) = (a.epoch, *a.owned.keys().next().expect("a topic"));
    let long = |client: &Client, numbers: &[i32]| {
        let mut commit = committed(client, before);
        let topics = &mut commit.topics[0];
        topics.topic_id = topic;
        let first = topics.partitions[0].clone();
        let all = numbers.iter().map(|it| CommitOffset { partition: *it, ..first.clone() });
        topics.partitions = all.collect();
        commit
    };
    // The group gets another epoch, and the member keeps what it has.
    b.topics = vec!["u".to_owned()];
    bench.set_topic("u", 1);
    bench.converge(&mut [&mut a, &mut b]);
    let numbers: Vec<i32> = (0..count).collect();
    let errors = |bench: &mut Bench, commit: Commit| {
        let ticket = bench.ask(GroupRequest::Commit(commit));
        while bench.go_on(100) > 0 {}
        match bench.answer(ticket) {
            Some(GroupResponse::Commit(it)) => (it.error, it.topics.len()),
            other => panic!("{other:?}"),
        }
    };
    assert!(a.epoch > before && long(&a, &numbers).is_taken_in_parts());
    bench.pauses = true;
    assert_eq!(errors(&mut bench, long(&a, &numbers)), (ErrorCode::NONE, 1));
    let log = bench.log.len();
    let stale = (ErrorCode::STALE_MEMBER_EPOCH, 0);
    // One that it has never had, behind all others: none is accepted.
    let mut one_more = numbers.clone();
    one_more.push(count);
    assert_eq!(errors(&mut bench, long(&a, &one_more)), stale);
    assert_eq!(errors(&mut bench, long(&b, &numbers)), stale);
    bench.pauses = false;
    // Others have some of them now.
    b.topics = vec!["t".to_owned()];
    bench.converge(&mut [&mut a, &mut b]);
    bench.pauses = true;
    assert_eq!(errors(&mut bench, long(&a, &numbers)), stale);
    let offsets = bench.log[log..].iter().filter(|it| it.key.starts_with(&[0, 1]));
    assert_eq!(offsets.count(), 0, "nothing was written");
}

/// Parts that it takes to do what is under way, a few steps at a time.
fn parts(bench: &mut Bench) -> usize {
    let mut parts = 0;
    while bench.go_on(3) > 0 {
        parts += 1;
    }
    parts
}

#[test]
fn a_group_becomes_a_classic_one_in_parts() {
    let mut bench = with_topic(40);
    let names: Vec<String> = (0..20).map(|it| format!("m{it:02}")).collect();
    let ids: Vec<&str> = names.iter().map(String::as_str).collect();
    let numbers: Vec<[i32; 2]> = (0..20).map(|it| [2 * it, 2 * it + 1]).collect();
    let numbers: Vec<&[i32]> = numbers.iter().map(|it| &it[..]).collect();
    bench.classic_group(&ids, &numbers);
    let mut a = Client::new("a");
    let told = bench.beat(a.full());
    a.hears(&told);
    let upgraded = sight(&mut bench);
    assert!(upgraded.is_some_and(|it| (it.1, it.2) == ("consumer", 21)), "{upgraded:?}");
    for result in [Err(ErrorCode::NOT_ENOUGH_REPLICAS), Ok(())] {
        bench.coordinator.pause_after(3);
        (bench.pauses, bench.slow) = (true, true);
        a.epoch = -1;
        let ticket = bench.ask(GroupRequest::ConsumerHeartbeat(Box::new(a.short())));
        // Votes, the record, and what is taken back of 20 members.
        assert!(parts(&mut bench) > 20);
        assert_eq!((sight(&mut bench), bench.writes.len()), (upgraded, 1));
        bench.written(result);
        let told = bench.beaten(ticket).expect("an answer");
        assert_eq!(told.error == ErrorCode::NONE, result.is_ok());
        assert_eq!(sight(&mut bench), upgraded, "nothing is shown that is half done");
        assert_eq!(parts(&mut bench) > 10, result.is_ok(), "the members are loaded in parts");
        (bench.pauses, bench.slow) = (false, false);
    }
    let seen = sight(&mut bench);
    assert!(
        seen.is_some_and(|it| (it.0, it.1, it.2) == ("PreparingRebalance", "classic", 20)),
        "{seen:?}"
    );
    bench.check_log();
    let seen = sight(&mut bench);
    assert!(seen.is_some_and(|it| (it.0, it.1, it.2) == ("Stable", "classic", 20)), "{seen:?}");
}
