//! What was acknowledged, and whether it is there: once, in order, where it was said to be.

use crate::load::number_of;
use crate::{PARTITIONS, TOPIC};
use klamm::client::consumer::{Consumer, ConsumerSettings, StartAt};
use klamm::client::{Cluster, offsets};
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// A value: how many were sent before it.
pub type Value = u64;

/// See the module.
#[derive(Debug, Default)]
pub struct History {
    /// Partition and offset of each value; the offset is -1 where nobody said it.
    pub acknowledged: BTreeMap<Value, (i32, i64)>,
    /// Records that the producer gave up.
    pub failed: u64,
    /// What clients saw that they must not see.
    pub wrong: Vec<String>,
}

impl History {
    /// Reads everything back, and panics where something is wrong.
    pub fn check(&self, bootstrap: &str) {
        let faults = self.faults(bootstrap);
        assert!(
            faults.is_empty(),
            "{} faults: {:#?}",
            faults.len(),
            &faults[..faults.len().min(20)]
        );
    }

    /// Reads everything back; what is wrong.
    pub fn faults(&self, bootstrap: &str) -> Vec<String> {
        let mut faults = self.wrong.clone();
        assert!(!self.acknowledged.is_empty(), "nothing was acknowledged: vacuous");
        let logs = read_all(bootstrap);
        let mut places: HashMap<Value, (i32, i64)> = HashMap::new();
        for (partition, log) in &logs {
            let mut last: Option<Value> = None;
            for (offset, value) in log {
                if let Some(before) = places.insert(*value, (*partition, *offset)) {
                    faults
                        .push(format!("{value} is at {before:?} and at {:?}", (partition, offset)));
                } else if last.is_some_and(|last| last > *value) {
                    faults.push(format!("{value} is behind {last:?} at {:?}", (partition, offset)));
                }
                last = last.max(Some(*value));
            }
        }
        for (value, told) in &self.acknowledged {
            match places.get(value) {
                None => faults.push(format!("{value} was acknowledged at {told:?}, and is lost")),
                Some(at) if told.1 >= 0 && at != told => {
                    faults.push(format!("{value} was acknowledged at {told:?}, and is at {at:?}"));
                }
                Some(_) => {}
            }
        }
        faults
    }
}

/// Offsets and values of each partition.
fn read_all(bootstrap: &str) -> BTreeMap<i32, Vec<(i64, Value)>> {
    let mut cluster = Cluster::connect(bootstrap).expect("a broker");
    cluster.find_topic(TOPIC, false).expect("the topic");
    let all: Vec<i32> = (0..PARTITIONS).collect();
    let ends = offsets::list(&mut cluster, TOPIC, &all, offsets::LATEST).expect("the ends");
    let mut consumer = Consumer::new(cluster, ConsumerSettings::default());
    let starts: Vec<_> = all.iter().map(|p| (TOPIC, *p, StartAt::Offset(0))).collect();
    consumer.assign(&starts);
    let mut logs: BTreeMap<i32, Vec<(i64, Value)>> = BTreeMap::new();
    let until = Instant::now() + Duration::from_mins(1);
    let is_done = |consumer: &Consumer| {
        ends.iter().all(|(p, end)| consumer.position(TOPIC, *p).is_some_and(|at| at >= *end))
    };
    while !is_done(&consumer) {
        assert!(Instant::now() < until, "not all can be read: {ends:?}");
        let result = consumer.poll(Duration::from_millis(100), None, &mut |it| {
            let value = it.record.value.and_then(number_of).expect("a value of the writer's");
            logs.entry(it.partition).or_default().push((it.record.offset, value));
            ControlFlow::Continue(())
        });
        result.expect("it reads");
        while consumer.notice().is_some() {}
    }
    logs
}
