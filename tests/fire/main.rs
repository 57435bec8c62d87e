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
    (0..3).for_each(|it| nodes.start(it));
    nodes.create_topic();
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
#[ignore = "takes minutes, and root: tests/fire/run"]
fn many_rounds() {
    rounds::run();
}
