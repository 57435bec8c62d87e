//! A broker that was alone becomes a cluster of three while it serves, and is killed then: nothing that clients were told is
//! lost. A cluster that lost two of three directories for good is made one again from the third.

mod bad_input;
mod cluster;
#[path = "../fire/history.rs"]
mod history;
#[expect(dead_code, reason = "rounds of tests/fire measure more")]
#[path = "../fire/load.rs"]
mod load;

use cluster::Brokers;
use load::Load;
use std::time::Duration;
use support::{broker_can_run, klamm, run};

/// Partitions of the topic.
const PARTITIONS: i32 = 6;
/// The topic.
const TOPIC: &str = "growing";
/// The topic that holds the state of groups.
const GROUPS: &str = "__consumer_offsets";

#[test]
fn one_broker_becomes_three_under_load_and_the_first_is_killed() {
    if !broker_can_run() {
        return;
    }
    let mut brokers = Brokers::new();
    brokers.start(0, &[]);
    brokers.create_topic(1, "1");
    let load = Load::start(&brokers.bootstrap());
    load.wait_for_acknowledgements(200);
    let first = brokers.peer(0);
    brokers.start(1, &["--join", &first]);
    brokers.wait_for_brokers(2);
    assert_eq!(brokers.voters(), [1], "two voters are worse than one");
    brokers.start(2, &["--join", &first]);
    brokers.wait_for_brokers(3);
    brokers.wait_for_voters(&[1, 2, 3]);
    brokers.reassign(&[[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3], [2, 3, 1], [3, 1, 2]]);
    brokers.wait_until_whole(TOPIC, 3);
    // Of the state of groups nobody had to think.
    brokers.wait_until_whole(GROUPS, 3);
    brokers.set_min_in_sync("2");
    load.wait_for_acknowledgements(200);
    // The first one was never stopped until now.
    brokers.kill(0);
    load.wait_for_acknowledgements(200);
    // It knows its cluster by now.
    brokers.start(0, &[]);
    brokers.wait_until_whole(TOPIC, 3);
    brokers.stop(1);
    load.wait_for_acknowledgements(100);
    brokers.start(1, &[]);
    brokers.wait_until_whole(TOPIC, 3);
    load.wait_for_acknowledgements(100);
    load.end(Duration::from_mins(1)).check(&brokers.bootstrap());
}

#[test]
fn a_quorum_that_is_lost_for_good_is_made_again_from_one_that_is_left() {
    if !broker_can_run() {
        return;
    }
    let mut brokers = Brokers::new();
    brokers.start(0, &[]);
    let first = brokers.peer(0);
    brokers.start(1, &["--join", &first]);
    brokers.start(2, &["--join", &first]);
    brokers.wait_for_brokers(3);
    brokers.wait_for_voters(&[1, 2, 3]);
    brokers.create_topic(3, "2");
    brokers.wait_until_whole(TOPIC, 3);
    let load = Load::start(&brokers.bootstrap());
    load.wait_for_acknowledgements(300);
    brokers.wait_until_whole(GROUPS, 3);
    // Two of three are gone with all that they had.
    for at in [0, 1] {
        brokers.kill(at);
        std::fs::remove_dir_all(brokers.data(at)).expect("it goes");
    }
    // The last one runs, and is no quorum; it would not let anybody touch its directory.
    let data = brokers.data(2).display().to_string();
    let recover = |args: &[&str]| {
        let all: Vec<&str> =
            ["recover-quorum", "--data", &data].iter().chain(args).copied().collect();
        run(klamm(), &all)
    };
    assert!(recover(&["--yes"]).failed(78).contains("stop the broker first"));
    brokers.kill(2);
    let (code, out, err) = recover(&[]).parts();
    assert!(code == 1 && err.contains("--yes"), "{err}");
    assert!(out.contains("voters: 1, 2, 3"), "{out}");
    assert!(recover(&["--yes"]).done().contains("Node 3 is the only voter now"));
    assert!(recover(&["--yes"]).failed(1).contains("the only voter already"));
    brokers.start(2, &[]);
    brokers.wait_for_brokers(1);
    brokers.set_min_in_sync("1");
    load.wait_for_acknowledgements(100);
    // The two come back with empty directories, and vote again.
    let third = brokers.peer(2);
    brokers.start(0, &["--join", &third]);
    brokers.start(1, &["--join", &third]);
    brokers.wait_for_voters(&[1, 2, 3]);
    brokers.wait_until_whole(TOPIC, 3);
    brokers.wait_until_whole(GROUPS, 3);
    brokers.set_min_in_sync("2");
    brokers.kill(2);
    load.wait_for_acknowledgements(100);
    brokers.start(2, &[]);
    brokers.wait_until_whole(TOPIC, 3);
    load.end(Duration::from_mins(1)).check(&brokers.bootstrap());
}
