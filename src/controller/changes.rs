//! Changes of partitions on their way to records.

use super::image::Topic;
use super::partition_change::Change;
use super::record::{PartitionChange, Record};
use crate::types::TopicId;

/// So many partitions change with one record at most.
const CHANGES_MAX: usize = 1_000;

/// What the controller decided: changes, and what is to be said of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// To be proposed in this order. Each may take effect without those that follow.
    pub records: Vec<Record>,
    /// Partitions that get another leader.
    pub led: usize,
    /// Partitions that lose their leader, and have nobody else.
    pub leaderless: usize,
    /// Of those that get a leader, how many get one that was not in sync, at the cost of records
    /// (`unclean.leader.election.enable`, or an operator's wish).
    pub unclean: usize,
}

/// Gathers changes of partitions, topic by topic.
#[derive(Default)]
pub(super) struct Changes {
    decision: Decision,
    id: Option<TopicId>,
    gathered: Vec<(i32, PartitionChange)>,
}

impl Changes {
    pub(super) fn push(&mut self, record: Record) {
        self.end();
        self.decision.records.push(record);
    }

    pub(super) fn add(&mut self, topic: &Topic, partition: i32, change: Change) {
        if self.id != Some(topic.id) || self.gathered.len() == CHANGES_MAX {
            self.end();
            self.id = Some(topic.id);
        }
        if let Some(leader) = change.fields.leader.filter(|it| *it != change.led_by) {
            self.decision.led += usize::from(leader != -1);
            self.decision.leaderless += usize::from(leader == -1);
        }
        self.decision.unclean += usize::from(change.unclean);
        self.gathered.push((partition, change.fields));
    }

    fn end(&mut self) {
        if let Some(id) = self.id.take() {
            let changes = std::mem::take(&mut self.gathered);
            self.decision.records.push(Record::PartitionsChanged { id, changes });
        }
    }

    pub(super) fn finish(mut self) -> Decision {
        self.end();
        self.decision
    }
}
