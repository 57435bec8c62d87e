//! Members that no client library would make. Each gets Kafka's code, and the group goes on.

use std::time::Duration;

use conformance::groups::{Member, error, key};
use conformance::raw::{self, Bytes, Fields};
use conformance::{Broker, Client, DataDir, now_ms, wait_for};

const PATIENCE: Duration = Duration::from_mins(1);

fn connect(broker: &Broker) -> Client {
    Client::connect(broker.addr()).expect("a connection")
}

fn start(name: &str, delay_ms: u32) -> (DataDir, Broker, Client) {
    let dir = DataDir::new(name);
    let delay = format!("group.initial.rebalance.delay.ms={delay_ms}");
    let broker = Broker::start(&dir, &["--override", &delay]);
    let mut client = connect(&broker);
    assert_eq!(client.create_topic("t", 3, &[]).expect("an answer"), error::NONE);
    assert_eq!(client.find_coordinator("g").expect("an answer").0, error::NONE);
    (dir, broker, client)
}

#[test]
fn members_that_join_and_vanish() {
    let (_dir, mut broker, mut client) = start("group-vanish", 50);
    // Some vanish with the answer to their first request, some while they wait, some when they
    // have joined, some before they bring the assignment.
    for n in 0..40 {
        let mut member = Member::new(connect(&broker), "g");
        let first = member.join_once(b"").expect("an answer");
        assert_eq!(first.error, error::MEMBER_ID_REQUIRED);
        member.id = first.member;
        if n % 2 == 0 {
            let body = member.join_body(b"");
            member.client.send(&raw::request(key::JOIN_GROUP, 4, 9, &body)).expect("a request");
        }
        drop(member);
    }
    broker.assert_alive();
    // Their sessions end after six seconds, and then the group works.
    let mut member = Member::new(connect(&broker), "g");
    member.rebalance_timeout_ms = 10_000;
    let alone = wait_for(PATIENCE, || {
        let joined = member.join().expect("an answer");
        assert_eq!(joined.error, error::NONE, "{joined:?}");
        let all: Vec<_> = joined.members.iter().map(|it| (it.0.clone(), b"x".to_vec())).collect();
        let (code, mine) = member.sync(&all).expect("an answer");
        (code == error::NONE && mine == b"x" && joined.members.len() == 1).then_some(())
    });
    assert!(alone.is_some(), "the group is stuck");
    assert_eq!(member.commit("t", &[(0, 1, "")]).expect("an answer"), [error::NONE]);
    let (_, state, _, members) = client.describe_group("g").expect("an answer");
    assert_eq!((&*state, members.len()), ("Stable", 1));
}

#[test]
fn old_generations_and_strangers() {
    let (_dir, broker, mut client) = start("group-old", 0);
    let mut member = Member::new(connect(&broker), "g");
    member.join_alone().expect("answers");
    let old = member.generation - 1;
    let real = (member.generation, member.id.clone());
    for (generation, id, code) in [
        (old, &*real.1, error::ILLEGAL_GENERATION),
        (real.0 + 1, &*real.1, error::ILLEGAL_GENERATION),
        (real.0, "nobody", error::UNKNOWN_MEMBER_ID),
        (real.0, "", error::UNKNOWN_MEMBER_ID),
    ] {
        let commit = client.commit("g", (generation, id), "t", &[(0, 9, "")]).expect("an answer");
        assert_eq!(commit, [code], "a commit of {id} in {generation}");
        (member.generation, member.id) = (generation, id.to_owned());
        assert_eq!(member.heartbeat().expect("an answer"), code, "{id} in {generation}");
        assert_eq!(member.sync(&[]).expect("an answer").0, code, "{id} in {generation}");
    }
    // Outside of the group while it has members.
    let outside = client.commit("g", (-1, ""), "t", &[(0, 9, "")]).expect("an answer");
    assert_eq!(outside, [error::UNKNOWN_MEMBER_ID]);
    member.id = "nobody".to_owned();
    assert_eq!(member.leave().expect("an answer"), error::UNKNOWN_MEMBER_ID);
    let joined = member.join_once(b"").expect("an answer");
    assert_eq!(joined.error, error::UNKNOWN_MEMBER_ID);
    assert_eq!(client.committed("g", "t", &[0]).expect("an answer").1[0].0, -1);
    (member.generation, member.id) = real;
    assert_eq!(member.heartbeat().expect("an answer"), error::NONE, "the group goes on");
}

#[test]
fn commits_for_what_does_not_exist_and_metadata_without_end() {
    let (_dir, mut broker, mut client) = start("group-commits", 0);
    let codes =
        client.commit("g", (-1, ""), "t", &[(0, 1, ""), (3, 2, ""), (-1, 3, ""), (2, 4, "")]);
    let unknown = error::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(codes.expect("an answer"), [error::NONE, unknown, unknown, error::NONE]);
    let codes = client.commit("g", (-1, ""), "none", &[(0, 1, "")]).expect("an answer");
    assert_eq!(codes, [unknown]);
    let most = "m".repeat(4096);
    let more = "m".repeat(4097);
    let codes = client.commit("g", (-1, ""), "t", &[(0, 7, &more), (1, 8, &most)]);
    assert_eq!(codes.expect("an answer"), [error::OFFSET_METADATA_TOO_LARGE, error::NONE]);
    let found = client.committed("g", "t", &[0, 1, 2, 3]).expect("an answer").1;
    let offsets: Vec<i64> = found.iter().map(|it| it.0).collect();
    assert_eq!(offsets, [1, 8, 4, -1]);
    assert_eq!(found[1].1, most);

    // Megabytes of metadata: a string of the old versions cannot be so long, a subscription can.
    let mut member = Member::new(connect(&broker), "huge");
    member.id = member.join_once(b"").expect("an answer").member;
    let huge = vec![7; 6 << 20];
    let joined = member.join_once(&huge).expect("an answer");
    if joined.error == error::NONE {
        member.generation = joined.generation;
        let (code, _) = member.sync(&[(member.id.clone(), b"x".to_vec())]).expect("an answer");
        assert_ne!(code, error::NONE, "what no batch can hold was written");
    }
    // What is no Produce has at most 8 MiB: the connection is closed.
    let mut member = Member::new(connect(&broker), "larger");
    assert!(member.join_once(&vec![7; 10 << 20]).is_err());
    broker.assert_alive();
    client.commit_alone("other", "t", &[(0, 1, "")]);
}

#[test]
fn wrong_names_and_times() {
    let (_dir, broker, mut client) = start("group-names", 0);
    let mut member = Member::new(connect(&broker), "");
    assert_eq!(member.join_once(b"").expect("an answer").error, error::INVALID_GROUP_ID);
    assert_eq!(member.heartbeat().expect("an answer"), error::INVALID_GROUP_ID);
    assert_eq!(member.sync(&[]).expect("an answer").0, error::INVALID_GROUP_ID);
    assert_eq!(member.leave().expect("an answer"), error::INVALID_GROUP_ID);
    // Kafka keeps offsets of the group without a name.
    client.commit_alone("", "t", &[(0, 3, "")]);
    assert_eq!(client.committed("", "t", &[0]).expect("an answer").1[0].0, 3);
    for session_timeout_ms in [0, -1, 5_999, 1_800_001, i32::MAX] {
        let mut member = Member::new(connect(&broker), "g");
        member.session_timeout_ms = session_timeout_ms;
        let joined = member.join_once(b"").expect("an answer");
        assert_eq!(joined.error, error::INVALID_SESSION_TIMEOUT, "{session_timeout_ms}");
    }
    let (code, state, _, _) = client.describe_group("none").expect("an answer");
    assert_eq!((code, &*state), (error::NONE, "Dead"));
}

#[test]
fn the_topic_of_groups_is_not_for_clients() {
    let (_dir, _broker, mut client) = start("group-topic", 0);
    client.commit_alone("g", "t", &[(0, 1, "")]);
    let topic = "__consumer_offsets";
    let batch = raw::batch(&[b"one"], now_ms(), crc32c::crc32c);
    let (code, _) = client.produce(topic, 0, &batch).expect("an answer");
    assert_eq!(code, error::INVALID_TOPIC_EXCEPTION);
    let body = Bytes::new().i32(1).string(topic).i32(1).i32(0).i64(-1).i32(1000);
    let response = client.call(21, 1, &body.0).expect("an answer");
    let mut f = Fields(&response);
    let (_throttle, _topics, _name, _partitions) = (f.i32(), f.i32(), f.string(), f.i32());
    let (_partition, _low) = (f.i32(), f.i64());
    assert_eq!(f.i16(), error::INVALID_TOPIC_EXCEPTION);
    // Everybody may read it: "g" is in partition 3 of 50, by the hash of Java's strings.
    let (code, end, records) = client.fetch(topic, 103 % 50, 0).expect("an answer");
    assert_eq!((code, end), (error::NONE, 1));
    assert!(records.windows(1).count() > 61, "one batch");
}

/// A request that waits for others does not hold up other connections, nor those behind it that
/// are for other groups.
#[test]
fn a_join_that_waits_holds_up_nobody() {
    let (_dir, broker, mut client) = start("group-waits", 600_000);
    let mut members = Vec::new();
    for n in 0..200 {
        let mut member = Member::new(connect(&broker), &format!("g-{}", n % 5));
        member.id = member.join_once(b"").expect("an answer").member;
        let body = member.join_body(&vec![1; 100_000]);
        member.client.send(&raw::request(key::JOIN_GROUP, 4, 9, &body)).expect("a request");
        members.push(member);
    }
    for n in 0..20 {
        client.commit_alone("elsewhere", "t", &[(0, n, "")]);
    }
    let (code, groups) = client.list_groups().expect("an answer");
    assert_eq!((code, groups.len()), (error::NONE, 6));
}
