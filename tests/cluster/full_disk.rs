//! One disk of three is full for long: clients go on with the others.

use crate::cluster::Cluster;
use crate::plan::{Admin, Fault, Plan, Planned};
use klamm::controller::Image;
use klamm::types::TopicPartition;
use std::sync::Arc;

const SEEDS: u64 = 16;
/// When the disk is full, ms.
const FULL_MS: i64 = 2_000;
/// For so long, ms: longer than a look at what happens meanwhile.
const LONG_MS: i64 = 30_000;
/// Nobody waits for longer, ms: until the shards have refused appends for a second, or a follower has not come on for half of one.
const WITHOUT_MS: i64 = 2_500;

/// Three brokers that all have everything; nothing else fails.
fn plan(seed: u64, node: usize) -> Plan {
    let planned = Planned {
        at_ms: FULL_MS,
        fault: Fault::FillDisk { node, free: if seed % 2 == 0 { 0 } else { 40_000 }, ms: LONG_MS },
    };
    Plan {
        nodes: 3,
        voters: 3,
        replicas: 3,
        min_insync: 2,
        lag_ms: 30_000,
        retention_ms: None,
        admin: Admin::default(),
        skews: vec![0; 3],
        faults: vec![planned],
        rots: false,
        replaces: false,
        rotates: false,
        // Some read at the end what their processes have written.
        rolls: seed.is_multiple_of(4),
        ..Plan::of(seed)
    }
}

fn state(image: &Arc<Image>, tp: TopicPartition) -> (i32, Vec<i32>) {
    let topic = image.topic_by_id(tp.topic).expect("the topic that all use");
    let it = &topic.partitions[tp.partition as usize];
    (it.leader, it.isr.to_vec())
}

#[test]
fn clients_go_on_with_the_others_where_one_disk_is_full() {
    let (mut led, mut controller, mut left) = (0, 0, 0);
    for seed in 0..SEEDS {
        let node = (seed % 3) as usize;
        let full = node as i32 + 1;
        let mut cluster = Cluster::with(plan(seed, node), seed, false);
        cluster.begin();
        cluster.go_on(FULL_MS);
        let topic = cluster.facts.topic_id;
        let all: Vec<TopicPartition> = (0..cluster.facts.partitions)
            .map(|partition| TopicPartition { topic, partition })
            .collect();
        let before = cluster.newest().expect("brokers that run");
        led += all.iter().filter(|tp| state(&before, **tp).0 == full).count();
        controller += usize::from(cluster.controller() == full);
        let without_ms = cluster.longest_without(LONG_MS / 2);
        assert!(without_ms <= WITHOUT_MS, "seed {seed}: {without_ms} ms without");
        // It is as it was where it lacks nothing, and leads nothing where it does.
        let now = cluster.newest().expect("brokers that run");
        for tp in &all {
            let (leader, isr) = state(&now, *tp);
            assert!(leader > 0, "seed {seed}: {tp:?} is led by nobody");
            assert!(leader != full || !now.lacks_space(full), "seed {seed}: {tp:?}");
            left += usize::from(!isr.contains(&full));
        }
        assert!(cluster.controller() > 0, "seed {seed}: nobody leads the quorum");
        assert!(cluster.runs(node), "seed {seed}: it has ended");
        // It knows as well, so that a client that asks it is not sent to it.
        let known = cluster.image_of(node);
        for tp in &all {
            assert_eq!(state(&known, *tp).0, state(&now, *tp).0, "seed {seed}: {tp:?}");
        }
        cluster.settle();
    }
    assert!(led >= 3 && controller >= 2 && left >= 10, "{led} {controller} {left}");
}
