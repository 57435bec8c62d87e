//! What groups are told outlives the broker: SIGKILL, restarts, other shards, rewrites.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use conformance::groups::error;
use conformance::{Broker, Client, DataDir, Member, free_port, wait_for};

const PATIENCE: Duration = Duration::from_mins(1);

fn connect(broker: &Broker) -> Client {
    Client::connect(broker.addr()).expect("a connection")
}

fn start(dir: &DataDir, args: &[&str]) -> (Broker, Client) {
    let quick = ["--override", "group.initial.rebalance.delay.ms=0"];
    let broker = Broker::start(dir, &[&quick[..], args].concat());
    let client = connect(&broker);
    (broker, client)
}

fn create(client: &mut Client, topic: &str, partitions: i32) {
    assert_eq!(client.create_topic(topic, partitions, &[]).expect("an answer"), error::NONE);
}

/// The first question makes the topic, so that its answer is a coordinator already.
fn find(client: &mut Client, group: &str, broker: &Broker) {
    let (code, port) = client.find_coordinator(group).expect("an answer");
    assert_eq!((code, port), (error::NONE, i32::from(broker.port())));
}

/// Commits that were acknowledged, against what is there after each SIGKILL.
#[test]
fn ten_kills_under_committing_groups() {
    const PARTITIONS: i32 = 4;
    let dir = DataDir::new("group-kill");
    let port = free_port();
    let mut broker = Broker::start_at(&dir, port, &[]);
    let mut client = connect(&broker);
    create(&mut client, "t", PARTITIONS);
    find(&mut client, "g-0", &broker);
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    let told: Vec<Arc<AtomicI64>> = (0..4).map(|_| Arc::default()).collect();
    for round in 0..10 {
        let enough = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = told
            .iter()
            .enumerate()
            .map(|(n, told)| {
                let (told, addr, enough) = (told.clone(), broker.addr(), enough.clone());
                std::thread::spawn(move || {
                    let group = format!("g-{n}");
                    let Ok(mut client) = Client::connect(addr) else { return };
                    let mut next = told.load(Ordering::Acquire);
                    // The last one is lost or not, and nobody is told.
                    loop {
                        next += 1;
                        let offsets: Vec<_> = (0..PARTITIONS).map(|it| (it, next, "m")).collect();
                        match client.commit(&group, (-1, ""), "t", &offsets) {
                            Ok(codes) if codes.iter().all(|it| *it == error::NONE) => {
                                told.store(next, Ordering::Release);
                            }
                            Ok(codes) => {
                                let loading = error::COORDINATOR_LOAD_IN_PROGRESS;
                                assert!(codes.iter().all(|it| *it == loading), "{codes:?}");
                            }
                            Err(_) => {
                                assert!(enough.load(Ordering::Acquire), "a connection broke");
                                return;
                            }
                        }
                    }
                })
            })
            .collect();
        let before: Vec<i64> = told.iter().map(|it| it.load(Ordering::Acquire)).collect();
        let reached = wait_for(PATIENCE, || {
            let moved = |(n, it): (usize, &Arc<AtomicI64>)| {
                it.load(Ordering::Acquire) - before[n] >= 20 + 13 * round
            };
            told.iter().enumerate().all(moved).then_some(())
        });
        assert!(reached.is_some(), "too few commits: {told:?} from {before:?}");
        enough.store(true, Ordering::Release);
        broker.kill();
        for thread in threads {
            thread.join().expect("no error but the end of the connection");
        }
        broker = Broker::start_at(&dir, port, &["--shards", ["2", "1", "3"][round as usize % 3]]);
        let mut client = connect(&broker);
        for (n, told) in told.iter().enumerate() {
            let found = client.committed_when_loaded(&format!("g-{n}"), "t", &partitions);
            let told = told.load(Ordering::Acquire);
            for (offset, metadata) in found {
                assert!(offset == told || offset == told + 1, "{offset}, told {told}");
                assert_eq!(metadata, "m");
            }
        }
    }
}

#[test]
fn offsets_and_members_follow_their_partitions_to_other_shards() {
    let dir = DataDir::new("group-shards");
    let groups: Vec<String> = (0..40).map(|n| format!("group {n}")).collect();
    let mut want: BTreeMap<String, i64> = BTreeMap::new();
    for (round, shards) in ["1", "3", "2", "4", "1"].into_iter().enumerate() {
        let (broker, mut client) = start(&dir, &["--shards", shards]);
        if round == 0 {
            create(&mut client, "t", 1);
            find(&mut client, "x", &broker);
        }
        for (group, offset) in &want {
            let found = client.committed_when_loaded(group, "t", &[0]);
            assert_eq!(found, [(*offset, format!("of {group}"))], "{shards} shards");
        }
        for (n, group) in groups.iter().enumerate().filter(|(n, _)| n % 3 != round % 3) {
            let offset = (round * 1000 + n) as i64;
            client.commit_alone(group, "t", &[(0, offset, &format!("of {group}"))]);
            want.insert(group.clone(), offset);
        }
        let (code, listed) = client.list_groups().expect("an answer");
        assert_eq!(code, error::NONE);
        let ids: Vec<&String> = listed.iter().map(|it| &it.0).collect();
        assert_eq!(ids, want.keys().collect::<Vec<_>>());
        if round == 2 {
            let gone = groups[7].clone();
            assert_eq!(client.delete_group(&gone).expect("an answer"), error::NONE);
            assert_eq!(client.delete_group(&gone).expect("an answer"), error::GROUP_ID_NOT_FOUND);
            want.remove(&gone);
        }
        if round % 2 == 0 { broker.kill() } else { broker.stop() }
    }
}

/// A generation that was complete is there after a SIGKILL, and its member goes on.
#[test]
fn a_member_outlives_the_broker() {
    let dir = DataDir::new("group-member");
    let port = free_port();
    let quick = ["--override", "group.initial.rebalance.delay.ms=0"];
    let broker = Broker::start_at(&dir, port, &quick);
    let mut client = connect(&broker);
    create(&mut client, "t", 1);
    find(&mut client, "g", &broker);
    let mut member = Member::new(connect(&broker), "g");
    member.session_timeout_ms = 60_000;
    member.join_alone().expect("answers");
    assert_eq!(member.commit("t", &[(0, 5, "")]).expect("an answer"), [error::NONE]);
    broker.kill();
    let broker = Broker::start_at(&dir, port, &quick);
    member.client = connect(&broker);
    let mut client = connect(&broker);
    assert_eq!(client.committed_when_loaded("g", "t", &[0]), [(5, String::new())]);
    assert_eq!(member.heartbeat().expect("an answer"), error::NONE);
    assert_eq!(member.commit("t", &[(0, 6, "")]).expect("an answer"), [error::NONE]);
    let (code, state, protocol, members) = client.describe_group("g").expect("an answer");
    assert_eq!((code, &*state, &*protocol), (error::NONE, "Stable", "range"));
    assert_eq!(members, [member.id.clone()]);
    assert_eq!(client.delete_group("g").expect("an answer"), error::NON_EMPTY_GROUP);
    assert_eq!(member.leave().expect("an answer"), error::NONE);
    assert_eq!(client.delete_group("g").expect("an answer"), error::NONE);
}

/// Offsets are those of a topic, not of its name; and groups can do without their topic.
#[test]
fn offsets_go_with_their_topic() {
    let dir = DataDir::new("group-topics");
    let (broker, mut client) = start(&dir, &[]);
    create(&mut client, "t", 2);
    create(&mut client, "u", 2);
    find(&mut client, "g", &broker);
    for topic in ["t", "u"] {
        client.commit_alone("g", topic, &[(0, 5, ""), (1, 6, "")]);
    }
    assert_eq!(client.delete_topic("t").expect("an answer"), error::NONE);
    create(&mut client, "t", 2);
    let offsets = |client: &mut Client, topic: &str| {
        let found = client.committed_when_loaded("g", topic, &[0, 1]);
        found.into_iter().map(|it| it.0).collect::<Vec<_>>()
    };
    assert_eq!(offsets(&mut client, "t"), [-1, -1]);
    assert_eq!(offsets(&mut client, "u"), [5, 6]);
    client.commit_alone("g", "t", &[(1, 1, "")]);
    broker.kill();
    let (broker, mut client) = start(&dir, &[]);
    assert_eq!(offsets(&mut client, "t"), [-1, 1]);
    assert_eq!(offsets(&mut client, "u"), [5, 6]);

    assert_eq!(client.delete_topic("__consumer_offsets").expect("an answer"), error::NONE);
    assert_eq!(client.committed("g", "t", &[0]).expect("an answer").0, error::NOT_COORDINATOR);
    find(&mut client, "g", &broker);
    assert_eq!(offsets(&mut client, "u"), [-1, -1]);
    client.commit_alone("g", "t", &[(1, 2, "")]);
    broker.stop();
    let (_broker, mut client) = start(&dir, &[]);
    assert_eq!(offsets(&mut client, "t"), [-1, 2]);
}

/// A log of groups that grows beyond 64 MiB is rewritten, and SIGKILL at any moment of that loses
/// nothing.
#[test]
fn a_long_log_is_rewritten() {
    const PARTITIONS: i32 = 200;
    let dir = DataDir::new("group-rewrite");
    let port = free_port();
    let options = ["--override", "offsets.topic.num.partitions=1"];
    let mut broker = Broker::start_at(&dir, port, &options);
    let mut client = connect(&broker);
    create(&mut client, "t", PARTITIONS);
    find(&mut client, "g", &broker);
    client.commit_alone("quiet", "t", &[(3, 33, "from the beginning")]);
    let metadata = "x".repeat(4096);
    let all: Vec<i32> = (0..PARTITIONS).collect();
    let (mut told, mut rewrites, mut kills, mut start) = (0, 0, 0, 0);
    let mut since = 0;
    while rewrites < 4 {
        let next = told + 1;
        let offsets: Vec<_> = all.iter().map(|it| (*it, next, metadata.as_str())).collect();
        client.commit_alone("g", "t", &offsets);
        told = next;
        since += 1;
        assert!(since < 200, "160 MB and no rewrite");
        let (code, now) = client.list_offset("__consumer_offsets", 0, -2).expect("an answer");
        assert_eq!(code, error::NONE);
        if now > start {
            (rewrites, start, since) = (rewrites + 1, now, 0);
        }
        // About where a rewrite begins: 64 MiB are 80 commits.
        if since >= 78 && kills < 6 {
            kills += 1;
            broker.kill();
            broker = Broker::start_at(&dir, port, &options);
            client = connect(&broker);
            let found = client.committed_when_loaded("g", "t", &all);
            assert!(found.iter().all(|it| *it == (told, metadata.clone())), "an offset is lost");
        }
    }
    assert!(kills > 0);
    broker.kill();
    let broker = Broker::start_at(&dir, port, &options);
    let mut client = connect(&broker);
    let found = client.committed_when_loaded("g", "t", &all);
    assert!(found.iter().all(|it| *it == (told, metadata.clone())), "an offset is lost");
    let quiet = client.committed_when_loaded("quiet", "t", &[3]);
    assert_eq!(quiet, [(33, "from the beginning".to_owned())]);
}

#[test]
fn a_member_that_waits_does_not_hold_up_the_end() {
    let dir = DataDir::new("group-end");
    let delay = "group.initial.rebalance.delay.ms=600000";
    let broker = Broker::start(&dir, &["--override", delay]);
    let mut client = connect(&broker);
    find(&mut client, "g", &broker);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let mut member = Member::new(connect(&broker), "g");
            member.rebalance_timeout_ms = 600_000;
            let first = member.join_once(b"").expect("an answer");
            assert_eq!(first.error, error::MEMBER_ID_REQUIRED);
            member.id = first.member;
            std::thread::spawn(move || member.join_once(b"").map(|it| it.error))
        })
        .collect();
    let joined = wait_for(PATIENCE, || {
        let (_, _, _, members) = client.describe_group("g").expect("an answer");
        (members.len() == 3).then_some(())
    });
    assert!(joined.is_some(), "three members wait");
    broker.stop();
    for it in waiting {
        // Told to look for the coordinator again, or cut off.
        let answer = it.join().expect("no panic");
        assert!(answer.is_err() || answer.is_ok_and(|it| it == error::NOT_COORDINATOR));
    }
}
