//! Writes of groups that are not durable yet, and the change that each makes.

use std::collections::{BTreeMap, VecDeque};
use std::vec::IntoIter;

use bytes::Bytes;

use super::accepting::{Accepting, PendingCommit};
use super::consumer::write::ConsumerWrite;
use super::effect::Ticket;
use super::offsets::Offset;
use super::queue::Queued;
use super::records::Record;
use super::replacement::Returning;
use super::response::{Committed, GroupResponse, Left};
use super::topic_index::TopicIndex;
use super::transaction::TransactionEnd;
use super::walk::Walk;

/// The writes that are not answered yet: number and group. A group has one at most, so they may be
/// answered in any order.
#[derive(Debug, Default)]
pub struct Writes {
    last: u64,
    pending: BTreeMap<u64, usize>,
    /// Those of long commits, and of walks over members, that the coordinator itself is to go on with.
    long: VecDeque<u64>,
    /// Markers of transactions.
    ends: BTreeMap<u64, TransactionEnd>,
}

impl Writes {
    /// A new write of the group at `key`.
    pub fn begin(&mut self, key: usize) -> u64 {
        self.last += 1;
        self.pending.insert(self.last, key);
        self.last
    }

    /// Something long of the group at `key`, that is to be gone on with.
    pub fn begin_long(&mut self, key: usize) {
        let write = self.begin(key);
        self.long.push_back(write);
    }

    /// The same is to be gone on with again, after the others.
    pub fn go_on_later(&mut self, write: u64) {
        self.long.push_back(write);
    }

    /// Takes what is to be gone on with next, and its group.
    pub fn next_long(&mut self) -> Option<(u64, usize)> {
        let write = self.long.pop_front()?;
        Some((write, *self.pending.get(&write)?))
    }

    /// Whether there is something to go on with.
    pub fn has_long(&self) -> bool {
        !self.long.is_empty()
    }

    /// A new write of a marker.
    pub fn begin_end(&mut self, end: TransactionEnd) -> u64 {
        self.last += 1;
        self.ends.insert(self.last, end);
        self.last
    }

    /// A write of a marker is answered: which.
    pub fn take_end(&mut self, write: u64) -> Option<TransactionEnd> {
        self.ends.remove(&write)
    }

    /// A write is answered. Gives its group.
    pub fn end(&mut self, write: u64) -> Option<usize> {
        self.pending.remove(&write)
    }

    /// The groups that wait for one.
    pub fn groups(&self) -> impl Iterator<Item = usize> {
        self.pending.values().copied()
    }

    /// All writes are answered.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.ends.is_empty()
    }
}

/// The change that a pending write makes.
#[derive(Debug)]
pub enum Pending {
    /// The leader's assignment: the group becomes stable.
    Generation {
        /// The group's record.
        value: Bytes,
        /// By member.
        assignments: BTreeMap<String, Bytes>,
    },
    /// The group has no members.
    Empty {
        /// Who left last, if that is why: answered when the group is seen to be empty, so that it
        /// can be deleted then.
        left: Option<(Ticket, Left)>,
        /// The group's record.
        value: Bytes,
        /// Since when, by the wall's clock.
        timestamp_ms: i64,
        /// The same by the clock that offsets expire by.
        since_ms: i64,
    },
    /// A static member comes back under a new id, and the generation goes on.
    Replacement {
        /// The group's record.
        value: Bytes,
        /// Who, in whose place, and the join to answer.
        returning: Box<Returning>,
    },
    /// A consumer group changes.
    Consumer(Box<ConsumerWrite>),
    /// Something is done with each member.
    Walk(Walk),
    /// The records of a long commit are made.
    Accepting(Accepting, Vec<Record>),
    /// The offsets of a long commit are entered, or forgotten where it is not `durable`.
    Entering {
        /// The request.
        ticket: Ticket,
        /// Its answer.
        response: Committed,
        /// What is left: topic, partition, offset.
        offsets: IntoIter<(String, i32, Offset)>,
        /// It is durable.
        durable: bool,
    },
    /// Offset commits.
    Commits(Vec<PendingCommit>),
    /// One of a transaction, by the producer's id and epoch.
    Staged((i64, i16), PendingCommit),
    /// Offsets go, and perhaps the group.
    Removal {
        /// What is to be done next, before all that waits: the rest of the same removal.
        rest: Option<Queued>,
        /// Which offsets.
        offsets: Vec<(TopicIndex, i32)>,
        /// The group too.
        group: bool,
        /// Who asked for it.
        reply: Option<(Ticket, GroupResponse)>,
    },
}
