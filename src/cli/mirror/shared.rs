//! What the threads of a mirror share.

use super::checkpoint::{GROUP_PREFIX, Owner};
use super::selection::Selection;
use super::translation::Translation;
use crate::client::transactions::NamedPartition;
use crate::types::TopicId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Lanes of a mirror. Each has a transactional id, and partitions that no other lane has, always the same ones: two
/// processes that mirror the same partition have the same id, and one of them is fenced.
pub const LANES: usize = 8;

/// Settings of a mirror.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Brokers of the source, `host:port` with commas between them.
    pub from: String,
    /// Brokers of the target.
    pub to: String,
    /// The mirror's name.
    pub name: String,
    /// This process.
    pub owner: Owner,
    /// What is copied.
    pub selection: Selection,
    /// Replicas of topics that are created; `None` for the target's default.
    pub replication_factor: Option<i16>,
    /// Records are written behind those of others.
    pub append: bool,
    /// Between two looks at topics, configurations and groups.
    pub interval: Duration,
}

impl Settings {
    /// The group at the target that has the positions.
    pub fn group(&self) -> String {
        format!("{GROUP_PREFIX}{}", self.name)
    }

    /// The transactional id of a lane.
    pub fn transactional_id(&self, lane: usize) -> String {
        format!("{GROUP_PREFIX}{}.{lane}", self.name)
    }
}

/// A topic that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Name at the source.
    pub source: String,
    /// Name at the target.
    pub target: String,
    /// Id at the source; zero where the cluster has none.
    pub source_id: TopicId,
    /// Id at the target.
    pub target_id: TopicId,
    /// The clusters that its records come through, the source first.
    pub path: Vec<String>,
    /// Number of partitions at the source.
    pub partitions: i32,
    /// The largest batch that is made, bytes.
    pub batch_bytes_max: usize,
}

impl Followed {
    /// The lane that copies a partition.
    pub fn lane(&self, partition: i32) -> usize {
        (crc32c::crc32c(self.target.as_bytes()) as usize).wrapping_add(partition as usize) % LANES
    }
}

/// The topics that are copied, by their names at the source.
pub type Plan = BTreeMap<String, Arc<Followed>>;

/// How far a partition is.
#[derive(Clone, Debug)]
pub struct View {
    /// The next offset of the source; what is before it is committed at the target.
    pub position: i64,
    /// The last stable offset of the source, when it was heard of last; -1 before that.
    pub end: i64,
    /// The name of the copy.
    pub target: String,
    /// Offsets.
    pub translation: Arc<Translation>,
}

/// What a thread has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A line for the user, about what passes by itself.
    Notice(String),
    /// A line about a partition that is not copied, by its topic's name at the source.
    Halted(NamedPartition, String),
    /// Another process has the mirror's name.
    Fenced,
    /// What does not pass by itself.
    Fatal(String),
}

/// See the module.
#[derive(Debug, Default)]
pub struct Shared {
    plan: Mutex<Arc<Plan>>,
    views: Mutex<BTreeMap<NamedPartition, View>>,
    stop: AtomicBool,
    records: AtomicU64,
    bytes: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The plan.
    pub fn plan(&self) -> Arc<Plan> {
        lock(&self.plan).clone()
    }

    /// A new plan, if it is one. Forgets how far partitions are that it does not have.
    pub fn set_plan(&self, plan: Plan) {
        let mut at = lock(&self.plan);
        if **at != plan {
            let has = |(topic, number): &NamedPartition| {
                plan.get(topic).is_some_and(|it| *number < it.partitions)
            };
            lock(&self.views).retain(|partition, _| has(partition));
            *at = Arc::new(plan);
        }
    }

    /// How far a partition is, by its topic's name at the source.
    pub fn set_view(&self, partition: &NamedPartition, view: View) {
        lock(&self.views).insert(partition.clone(), view);
    }

    /// A partition is not copied any more.
    pub fn forget_view(&self, partition: &NamedPartition) {
        lock(&self.views).remove(partition);
    }

    /// The source of a partition ends here now.
    pub fn set_end(&self, partition: &NamedPartition, end: i64) {
        if let Some(view) = lock(&self.views).get_mut(partition) {
            view.end = end;
        }
    }

    /// How far a partition is.
    pub fn view(&self, partition: &NamedPartition) -> Option<View> {
        lock(&self.views).get(partition).cloned()
    }

    /// Position and end of each partition.
    pub fn positions(&self) -> BTreeMap<NamedPartition, (i64, i64)> {
        lock(&self.views).iter().map(|(it, view)| (it.clone(), (view.position, view.end))).collect()
    }

    /// So much was committed.
    pub fn count(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Records and bytes that were committed.
    pub fn counted(&self) -> (u64, u64) {
        (self.records.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// All threads are to end, when what they do is done.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether they are.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits, unless the threads are to end.
    pub fn pause(&self, mut wait: Duration) {
        const STEP: Duration = Duration::from_millis(50);
        while !wait.is_zero() && !self.stopped() {
            std::thread::sleep(wait.min(STEP));
            wait = wait.saturating_sub(STEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_go_round_the_lanes() {
        let it = Followed {
            source: "t".to_owned(),
            target: "x.t".to_owned(),
            source_id: TopicId::ZERO,
            target_id: TopicId::ZERO,
            path: Vec::new(),
            partitions: 8,
            batch_bytes_max: 1,
        };
        let mut lanes: Vec<usize> = (0..8).map(|n| it.lane(n)).collect();
        // Fixed for ever: another lane would not be fenced by the one that had the partition.
        assert_eq!(it.lane(0), crc32c::crc32c(b"x.t") as usize % 8);
        lanes.sort_unstable();
        assert_eq!(lanes, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
