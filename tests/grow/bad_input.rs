//! What must not be: each gets Kafka's code, or one line that says what to do, and nothing is lost.

use crate::TOPIC;
use crate::cluster::Brokers;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use support::{broker_can_run, klamm, run};

/// The exit codes: what is wrong is in the settings, or nobody is there.
const CONFIG: i32 = 78;
const UNAVAILABLE: i32 = 69;

/// Kafka's codes.
const NONE: i16 = 0;
const INVALID_REPLICA_ASSIGNMENT: i16 = 39;

#[test]
fn who_cannot_join_is_told_why_and_leaves_no_trace() {
    if !broker_can_run() {
        return;
    }
    let mut brokers = Brokers::new();
    brokers.start(0, &[]);
    let first = brokers.peer(0);
    let refused = |brokers: &Brokers, at: usize, args: &[&str], code: i32, why: &str| {
        let line = brokers.refused(at, args, code);
        assert!(line.contains(why), "{line}");
    };
    // Its id is another's, which runs.
    let data = brokers.data(1);
    refused(&brokers, 1, &["--node-id", "1", "--join", &first], CONFIG, "choose another --node-id");
    assert!(!data.join("meta.properties").exists(), "an empty directory stays empty");
    // Nobody listens there, and somebody who is no broker.
    let nobody = format!("127.0.0.1:{}", support::free_port());
    refused(&brokers, 1, &["--join", &nobody], UNAVAILABLE, "no broker of a cluster answers");
    refused(
        &brokers,
        1,
        &["--join", &brokers.bootstrap_of(0)],
        UNAVAILABLE,
        "perhaps it is no port for brokers",
    );
    assert!(!data.join("meta.properties").exists(), "an empty directory stays empty");
    let of_peers =
        brokers.log(0).lines().filter(|it| it.contains("this is the one for clients")).count();
    assert!(of_peers > 0, "{}", brokers.log(0));

    // A broker that has joined, and its directory under other names.
    brokers.start(1, &["--join", &first]);
    brokers.wait_for_brokers(2);
    brokers.stop(1);
    refused(&brokers, 1, &["--node-id", "3"], CONFIG, "belongs to node 2");
    brokers.start(2, &["--node-id", "7"]);
    let other = brokers.peer(2);
    refused(&brokers, 1, &["--join", &other], CONFIG, "belongs to cluster");
    // It needs nobody to find its cluster again, and says so where those of --join are gone.
    brokers.start(1, &["--join", &nobody]);
    brokers.wait_for_brokers(2);
}

#[test]
fn whoever_does_not_know_the_secret_is_refused_on_both_sides() {
    if !broker_can_run() {
        return;
    }
    let mut brokers = Brokers::new();
    let secret = |brokers: &Brokers, name: &str, text: &str| -> PathBuf {
        let path = brokers.path(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let ours = secret(&brokers, "ours", "a secret of this cluster\n").display().to_string();
    let theirs = secret(&brokers, "theirs", "another cluster's secret\n").display().to_string();
    let short = secret(&brokers, "short", "hunter2\n").display().to_string();
    let line = brokers.refused(0, &["--peer-secret-file", &short], 78);
    assert!(line.contains("at least 16 bytes"), "{line}");
    brokers.start(0, &["--peer-secret-file", &ours]);
    let first = brokers.peer(0);
    let line = brokers.refused(1, &["--join", &first], 78);
    assert!(line.contains("it has no secret, and this node has one"), "{line}");
    let line = brokers.refused(1, &["--join", &first, "--peer-secret-file", &theirs], 78);
    assert!(line.contains("its secret is another"), "{line}");
    let told = brokers.log(0);
    for why in ["it has no secret", "its secret is another"] {
        assert!(told.lines().any(|it| it.contains("is refused") && it.contains(why)), "{told}");
    }
    brokers.start(1, &["--join", &first, "--peer-secret-file", &ours]);
    brokers.wait_for_brokers(2);
    // One that has joined, and has lost its secret.
    brokers.stop(1);
    brokers.start(1, &[]);
    brokers.wait_for_line(1, "it has no secret, and this node has one");
    // A stranger, whatever it says, is gone after a line.
    let mut stranger = TcpStream::connect(&first).expect("a connection");
    stranger.write_all(b"GET /metrics HTTP/1.1\r\nHost: klamm\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    let _ = stranger.read_to_end(&mut answer);
    assert!(answer.is_empty(), "a stranger is told nothing");
    brokers.wait_for_line(0, "not a broker");
}

#[test]
fn lists_of_voters_that_differ_make_no_cluster() {
    if !broker_can_run() {
        return;
    }
    let mut brokers = Brokers::new();
    let [one, two, three] = [0, 1, 2].map(|it| brokers.peer(it));
    let first = format!("1@{one},2@{two}");
    let second = format!("1@{one},2@{two},3@{three}");
    brokers.start(0, &["--voters", &first]);
    brokers.start(1, &["--voters", &second]);
    brokers.wait_for_line(0, "it is of cluster");
    brokers.wait_for_line(1, "it refuses this node: it is of cluster");
}

#[test]
fn what_brokers_are_missing_for_gets_kafkas_codes() {
    if !broker_can_run() {
        return;
    }
    let mut brokers = Brokers::new();
    brokers.start(0, &[]);
    let bootstrap = brokers.bootstrap_of(0);
    let create = ["topic", "create", "-b", &bootstrap, TOPIC, "--replication-factor", "2"];
    let line = run(klamm(), &create).failed(1);
    assert!(line.contains("only 1 broker(s) are registered"), "{line}");
    brokers.create_topic(1, "1");
    assert_eq!(brokers.try_reassign(&[&[1, 2, 3]]), [INVALID_REPLICA_ASSIGNMENT], "nobody is 2");
    let first = brokers.peer(0);
    brokers.start(1, &["--join", &first]);
    brokers.wait_for_brokers(2);
    brokers.kill(1);
    brokers.wait_for_brokers(1);
    // It is registered, and may come back: until then who is in sync stays, and leads.
    assert_eq!(brokers.try_reassign(&[&[2]]), [NONE]);
    let kept = brokers.replicas_and_leader(0);
    assert_eq!(kept, (vec![2, 1], 1), "the last one in sync does not go");
    let produce = ["produce", "-b", &bootstrap, TOPIC, "--partition", "0", "--acks", "all"];
    let mut command = support::command(klamm());
    let sent = support::program::ended_with_input(command.args(produce), "kept\n");
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(brokers.cancel_reassignment(), [NONE]);
    assert_eq!(brokers.replicas_and_leader(0), (vec![1], 1));
    let create = ["topic", "create", "-b", &bootstrap, "two", "--replication-factor", "3"];
    let line = run(klamm(), &create).failed(1);
    assert!(line.contains("only 2 broker(s) are registered"), "{line}");
}
