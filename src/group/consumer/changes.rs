//! Changes of a consumer group that are on their way to the log.

use std::sync::Arc;

use super::change::{AssignedBy, Change, Epoch, Kept, Resolved, TargetEpoch};
use super::encoding::record;
use super::member::{Current, MemberMetadata};
use super::partitions::Partitions;
use super::state::ConsumerGroup;
use crate::group::entry::ENTRY;
use crate::group::records::Record;
use crate::group::share::topics::ShareTopics;
use crate::group::streams::tasks::Tasks;
use crate::group::streams::topology::Topology;

/// Changes that were made, with their records, and what takes them back.
#[derive(Debug, Default)]
pub struct Changes {
    /// The records, in order.
    pub records: Vec<Record>,
    /// What takes each change back, in order.
    undo: Vec<Change>,
    /// One of them does not fit into a record: none of all may stay.
    pub too_long: bool,
    bytes: usize,
}

impl Changes {
    /// Memory that they take, bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes a change, which others do not see yet.
    pub fn put(&mut self, group_id: &str, group: &mut ConsumerGroup, mut change: Change) {
        match record(group.protocol(), group_id, &mut change) {
            Ok(record) => {
                let value = record.value.as_ref().map_or(0, Vec::len);
                self.bytes += 2 * (ENTRY + record.key.len() + value);
                self.records.push(record);
                group.hide_changes();
                self.undo.push(group.apply(change));
            }
            Err(_) => self.too_long = true,
        }
    }

    /// Takes all changes back.
    pub fn take_back(self, group: &mut ConsumerGroup) {
        for change in self.undo.into_iter().rev() {
            group.apply(change);
        }
        group.show_changes();
    }

    /// Ids of members that have changed.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.undo.iter().filter_map(|it| match it {
            Change::Metadata(id, _) | Change::Current(id, _) => Some(id.as_str()),
            _ => None,
        })
    }
}

/// A group with its name, and what is changed.
pub struct Editor<'a> {
    /// The name.
    pub group_id: &'a str,
    /// The group.
    pub group: &'a mut ConsumerGroup,
    /// The changes.
    pub changes: &'a mut Changes,
}

fn kept<T>(value: T) -> Option<Kept<T>> {
    Some(Kept { value, record_bytes: 0 })
}

impl Editor<'_> {
    fn put(&mut self, change: Change) {
        self.changes.put(self.group_id, self.group, change);
    }

    /// The group has this epoch.
    pub fn set_epoch(&mut self, epoch: i32, metadata_hash: i64) {
        let streams = self.group.assigned_by().cloned();
        self.put(Change::Epoch(kept(Epoch { number: epoch, metadata_hash, streams })));
    }

    /// A streams group has this epoch.
    pub fn set_streams_epoch(&mut self, epoch: i32, metadata_hash: i64, by: AssignedBy) {
        let streams = Some(Arc::new(by));
        self.put(Change::Epoch(kept(Epoch { number: epoch, metadata_hash, streams })));
    }

    /// Members run this topology.
    pub fn set_topology(&mut self, topology: Arc<Topology>) {
        self.put(Change::Topology(kept(topology)));
    }

    /// A member of a streams group has this target.
    pub fn set_tasks(&mut self, id: &str, target: Arc<Tasks>) {
        self.put(Change::Tasks(id.to_owned(), kept(target)));
    }

    /// The targets have this epoch, and were computed then.
    pub fn set_target_epoch(&mut self, epoch: i32, timestamp_ms: i64) {
        self.put(Change::TargetEpoch(kept(TargetEpoch { epoch, timestamp_ms })));
    }

    /// A member says this of itself.
    pub fn set_metadata(&mut self, id: &str, metadata: MemberMetadata) {
        self.put(Change::Metadata(id.to_owned(), kept(Box::new(metadata))));
    }

    /// A member has this target.
    pub fn set_target(&mut self, id: &str, target: Arc<Partitions>) {
        self.put(Change::Target(id.to_owned(), kept(target)));
    }

    /// A member is told this.
    pub fn set_current(&mut self, id: &str, current: Current) {
        self.put(Change::Current(id.to_owned(), kept(current)));
    }

    /// A regular expression stands for these topics.
    pub fn set_resolved(&mut self, pattern: &str, resolved: Resolved) {
        self.put(Change::Regex(pattern.to_owned(), kept(resolved)));
    }

    /// The share coordinator has states of these topics.
    pub fn set_share_topics(&mut self, topics: Arc<ShareTopics>) {
        self.put(Change::ShareTopics(kept(topics)));
    }

    /// A member is gone.
    pub fn remove_member(&mut self, id: &str) {
        self.remove_current(id);
        self.remove_target(id);
        self.remove_metadata(id);
    }

    /// What a member was told is gone.
    pub fn remove_current(&mut self, id: &str) {
        self.put(Change::Current(id.to_owned(), None));
    }

    /// What a member says of itself is gone.
    pub fn remove_metadata(&mut self, id: &str) {
        self.put(Change::Metadata(id.to_owned(), None));
    }

    /// The epoch of the targets is gone.
    pub fn remove_target_epoch(&mut self) {
        self.put(Change::TargetEpoch(None));
    }

    /// The group is gone.
    pub fn remove_epoch(&mut self) {
        self.put(Change::Epoch(None));
    }

    /// A target is gone.
    pub fn remove_target(&mut self, id: &str) {
        if self.group.target(id).is_some() {
            self.put(Change::Target(id.to_owned(), None));
        }
        if self.group.streams().is_some_and(|it| it.target(id).is_some()) {
            self.put(Change::Tasks(id.to_owned(), None));
        }
    }

    /// Regular expressions that no member has are gone.
    pub fn remove_unused_patterns(&mut self) {
        self.remove_some_patterns(usize::MAX);
    }

    /// So many of them at most; how many.
    pub fn remove_some_patterns(&mut self, room: usize) -> usize {
        let unused: Vec<String> =
            self.group.unused_patterns().take(room).map(str::to_owned).collect();
        let count = unused.len();
        for pattern in unused {
            self.put(Change::Regex(pattern, None));
        }
        count
    }

    /// All is gone of a group without members, in the order of Kafka's tombstones.
    pub fn remove_all(&mut self) {
        let targets: Vec<String> = self.group.targets_after(None).map(str::to_owned).collect();
        for id in targets {
            self.put(Change::Target(id, None));
        }
        self.remove_target_epoch();
        self.remove_unused_patterns();
        self.remove_epoch();
        if self.group.streams().is_some_and(|it| it.topology().is_some()) {
            self.put(Change::Topology(None));
        }
    }
}
