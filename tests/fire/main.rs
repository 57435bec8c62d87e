//! Three brokers, as processes, under load while they are killed, frozen, cut off and restarted.
//!
//! The test below is short. `tests/fire/run` has many rounds, with a network of its own, and measures how long
//! a client is without acknowledgements.

mod disk;
mod history;
mod load;
mod moves;
mod network;
mod nodes;
mod rot;
mod rounds;

use load::Load;
use nodes::Nodes;
use std::time::Duration;
use support::broker_can_run;

/// Partitions of the topic.
const PARTITIONS: i32 = 6;
/// The topic.
const TOPIC: &str = "fire";

#[test]
fn nothing_acknowledged_is_lost_when_leaders_are_killed() {
    if !broker_can_run() {
        return;
    }
    let mut nodes = Nodes::on_loopback();
    nodes.start_all();
    let load = Load::start(&nodes.bootstrap());
    for round in 0..3 {
        load.wait_for_acknowledgements(200);
        let victim = nodes.leader_of(round);
        nodes.kill(victim);
        load.wait_for_acknowledgements(200);
        nodes.start(victim);
        nodes.wait_until_whole();
    }
    load.wait_for_acknowledgements(200);
    let history = load.end(Duration::from_mins(1));
    nodes.wait_until_whole();
    history.check(&nodes.bootstrap());
}

#[test]
fn what_rots_on_one_node_is_read_all_the_same_and_copied_from_another() {
    if !broker_can_run() {
        return;
    }
    let mut nodes = Nodes::on_loopback();
    nodes.start_all();
    let load = Load::start(&nodes.bootstrap());
    load.wait_for_acknowledgements(2_000);
    let history = load.end(Duration::from_mins(1));
    // Everything is in segments, and nothing of it in memory.
    for node in 0..3 {
        nodes.stop(node);
        nodes.start(node);
        nodes.wait_until_whole();
    }
    let (told, whole) = ("the log is damaged", "the damaged log is whole again");
    let rotten = nodes.leader_of(0);
    assert!(rot::flip(&nodes.data(rotten)) >= PARTITIONS as usize);
    history.check(&nodes.bootstrap());
    assert!(nodes.lines(rotten, told) > 0, "nothing of it was read there");
    nodes.wait_for_line(rotten, whole);
    nodes.wait_until_whole();
    history.check(&nodes.bootstrap());
    // Found at the start: what is missing is longer than what a start takes for torn.
    let before = nodes.lines(rotten, whole);
    nodes.kill(rotten);
    assert!(rot::cut(&nodes.data(rotten)) >= 1);
    nodes.start(rotten);
    nodes.wait_for_line(rotten, "will be copied from another replica");
    nodes.wait_until_whole();
    assert!(nodes.lines(rotten, whole) > before);
    history.check(&nodes.bootstrap());
}

#[test]
#[ignore = "takes minutes, and root: tests/fire/run"]
fn many_rounds() {
    rounds::run();
}
