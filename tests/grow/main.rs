//! A broker that was alone becomes a cluster of three while it serves, and is killed then: nothing that clients were told is
//! lost. A cluster that lost two of three directories for good is made one again from the third.

mod cluster;
#[path = "../fire/history.rs"]
mod history;
#[expect(dead_code, reason = "rounds of tests/fire measure more")]
#[path = "../fire/load.rs"]
mod load;

use cluster::Brokers;
use load::Load;
use std::time::Duration;
use support::broker_can_run;

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
