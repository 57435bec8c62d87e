//! What groups take in memory, and how much they may.
//!
//! Everything that clients can make grow is counted as it changes: members with their metadata and
//! assignments, ids that were given out, offsets, records, and requests that wait. The figures are
//! those of the types, with something for the maps around them; what matters is that each is taken
//! away as it was added.

use std::cell::Cell;
use std::rc::Rc;

use super::consumer::request::ConsumerHeartbeat;
use super::request::{Commit, GroupRequest, Join, Leave, Sync};
use super::share::request::ShareHeartbeat;
use super::streams::request::StreamsHeartbeat;

/// What the groups of several coordinators, those of one shard, take together.
#[derive(Clone, Debug)]
pub struct Memory {
    used: Rc<Cell<usize>>,
    limit: Rc<Cell<usize>>,
    refused: Rc<Cell<u64>>,
}

impl Default for Memory {
    /// Without a limit.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl Memory {
    /// At most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { used: Rc::default(), limit: Rc::new(Cell::new(limit)), refused: Rc::default() }
    }

    /// Another limit from now on; what is there stays.
    pub fn set_limit(&self, limit: usize) {
        self.limit.set(limit);
    }

    /// How many requests were refused.
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used.get()
    }

    /// Whether so many bytes more are too many.
    pub(super) fn is_exceeded_by(&self, bytes: usize) -> bool {
        self.used.get().saturating_add(bytes) > self.limit.get()
    }

    /// A request is refused.
    pub(super) fn count_refused(&self) {
        self.refused.set(self.refused.get() + 1);
    }

    /// One of those who share this takes `now` bytes instead of `before`.
    pub(super) fn change(&self, before: usize, now: usize) {
        self.used.set(self.used.get() + now - before);
    }
}

pub(super) use super::entry::ENTRY;

/// What a request takes while it waits.
pub(super) fn request_bytes(request: &GroupRequest) -> usize {
    let group_id = request.group_id().len();
    size_of::<GroupRequest>() + ENTRY + group_id + added_bytes(request)
}

/// About what a request adds to its group.
pub(super) fn added_bytes(request: &GroupRequest) -> usize {
    match request {
        GroupRequest::Join(it) => join_bytes(it),
        GroupRequest::Sync(it) => sync_bytes(it),
        GroupRequest::Commit(it) => commit_bytes(it),
        GroupRequest::FetchOffsets(it) => {
            let topics = it.topics.iter().flatten();
            topics.map(|it| ENTRY + it.name.len() + 4 * it.partitions.len()).sum()
        }
        GroupRequest::DeleteOffsets(it) => {
            it.topics.iter().map(|it| ENTRY + it.name.len() + 4 * it.partitions.len()).sum()
        }
        GroupRequest::Leave(it) => leave_bytes(it),
        GroupRequest::Heartbeat(it) => {
            it.member_id.len() + it.group_instance_id.as_ref().map_or(0, String::len)
        }
        GroupRequest::ConsumerHeartbeat(it) => heartbeat_bytes(it),
        GroupRequest::ShareHeartbeat(it) => {
            let topics = it.topics.iter().flatten().map(|it| ENTRY + it.len());
            let rack = it.rack_id.as_ref().map_or(0, String::len);
            let texts = it.member_id.len() + it.client_id.len() + it.client_host.len() + rack;
            size_of::<ShareHeartbeat>() + texts + topics.sum::<usize>()
        }
        GroupRequest::ShareInitialized(it) => super::share::topics::bytes(&it.topics),
        GroupRequest::StreamsHeartbeat(it) => streams_bytes(it),
        GroupRequest::StreamsDescribe(_)
        | GroupRequest::Describe(_)
        | GroupRequest::ConsumerDescribe(_)
        | GroupRequest::ShareDescribe(_)
        | GroupRequest::ListShareTopics(_)
        | GroupRequest::DeleteGroup(_) => 0,
    }
}

fn heartbeat_bytes(it: &ConsumerHeartbeat) -> usize {
    let text = |it: &Option<String>| it.as_ref().map_or(0, String::len);
    let topics = it.topics.iter().flatten().map(|it| ENTRY + it.len());
    size_of::<ConsumerHeartbeat>()
        + 2 * it.member_id.len().max(it.fresh_member_id.len())
        + it.client_id.len()
        + it.client_host.len()
        + 2 * text(&it.instance_id)
        + text(&it.rack_id)
        + text(&it.regex)
        + text(&it.server_assignor)
        + topics.sum::<usize>()
        + it.owned.as_ref().map_or(0, super::consumer::partitions::bytes)
}

fn streams_bytes(it: &StreamsHeartbeat) -> usize {
    let text = |it: &Option<String>| it.as_ref().map_or(0, String::len);
    let tags = it.client_tags.iter().flatten();
    size_of::<StreamsHeartbeat>()
        + 2 * it.member_id.len()
        + it.client_id.len()
        + it.client_host.len()
        + text(&it.instance_id)
        + text(&it.rack_id)
        + text(&it.process_id)
        + it.endpoint.as_ref().map_or(0, |it| it.host.len())
        + tags.map(|(name, value)| ENTRY + name.len() + value.len()).sum::<usize>()
        + it.owned.as_ref().map_or(0, super::streams::member::bytes)
        + it.topology.as_ref().map_or(0, |it| super::streams::state::topology_bytes(it))
}

fn join_bytes(join: &Join) -> usize {
    let protocols = join.protocols.iter().map(|it| ENTRY + 2 * it.name.len() + it.metadata.len());
    2 * join.fresh_member_id.len()
        + join.member_id.len()
        + join.client_id.len()
        + join.client_host.len()
        + 2 * join.group_instance_id.as_ref().map_or(0, String::len)
        + protocols.sum::<usize>()
}

/// About what the assignments of a sync take.
pub(super) fn sync_bytes(sync: &Sync) -> usize {
    let assignments = sync.assignments.iter();
    assignments.map(|it| ENTRY + it.member_id.len() + it.assignment.len()).sum()
}

/// What the names in a leave take.
pub(super) fn leave_bytes(leave: &Leave) -> usize {
    let strings = |it: &super::request::Leaving| {
        it.member_id.len() + it.group_instance_id.as_ref().map_or(0, String::len)
    };
    leave.members.iter().map(|it| ENTRY + strings(it)).sum()
}

fn commit_bytes(commit: &Commit) -> usize {
    let topic = |it: &super::request::CommitTopic| {
        let metadata =
            |it: &super::request::CommitOffset| it.metadata.as_ref().map_or(0, String::len);
        let partitions = it.partitions.iter();
        it.name.len() + partitions.map(|it| 2 * ENTRY + metadata(it)).sum::<usize>()
    };
    commit.topics.iter().map(|it| ENTRY + topic(it)).sum()
}
