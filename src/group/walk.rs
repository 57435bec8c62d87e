//! What a group does with each of its members, of which there may be very many: some at a time.
//!
//! While a walk is under way, the group does nothing else, as while a write is pending: whoever asks waits in
//! its queue, so nobody sees what is half done. A walk that fits into the steps at hand is over at once.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::IntoIter;

use bytes::Bytes;

use super::consumer::beat::Beat;
use super::consumer::downgrading::Downgrading;
use super::consumer::response::ConsumerDescribed;
use super::draft::Draft;
use super::effect::Ticket;
use super::loading::Loading;
use super::replacement::Returning;
use super::request::{Assignment, DeleteOffsets, Leaving};
use super::response::{Described, JoinMember, Joined, LeftMember};
use super::streams::beat::StreamsBeat;
use super::streams::response::StreamsDescribed;
use crate::types::ErrorCode;

/// A walk over members, and how far it has come.
#[derive(Debug)]
pub struct Walk {
    /// The last member that was visited.
    pub last: Option<String>,
    /// What is done.
    pub task: Task,
}

/// What is done with each member, and then with the group.
#[derive(Debug)]
pub enum Task {
    /// Nothing: what waits in the queue is gone on with.
    Queue,
    /// Its session begins.
    Start {
        /// Then all join again.
        rebalances: bool,
    },
    /// It goes if it was silent for too long when the walk began: what has come since then waits, and is
    /// not heard. Those that stay say when the next look is due.
    Expire {
        /// When it began.
        at_ms: i64,
        /// When the next look is due.
        next_ms: i64,
        /// Some went.
        removed: bool,
    },
    /// It goes if it owes a `SyncGroup`.
    RemoveOwing,
    /// Its `SyncGroup` is answered with an error, and it owes none any more: it is to join again.
    Call(ErrorCode),
    /// It goes if it has not joined, unless it is static. The first that has joined is noted.
    RemoveUnjoined {
        /// Its id.
        first: Option<String>,
    },
    /// It votes for the protocol that it likes best, of those that all know.
    Vote {
        /// By protocol.
        votes: BTreeMap<String, usize>,
        /// What for.
        choice: Choice,
    },
    /// It is told of the generation; the leader at the end, of all members.
    Tell {
        /// Those that were visited.
        members: Vec<JoinMember>,
        /// The leader's join.
        leader: Option<Ticket>,
    },
    /// It is shown to the leader, who is told of the generation once more.
    Show {
        /// Those that were visited.
        members: Vec<JoinMember>,
        /// The leader's join.
        ticket: Ticket,
        /// Its answer, without them.
        joined: Joined,
    },
    /// None is visited: the leader's assignments are taken in, those to strangers dropped.
    Gather {
        /// Bytes of all.
        bytes: usize,
        /// What is left.
        rest: IntoIter<Assignment>,
        /// By member.
        assignments: BTreeMap<String, Bytes>,
    },
    /// It is written into the group's record.
    Write(Draft),
    /// It gets its assignment, which is durable.
    Assign(BTreeMap<String, Bytes>),
    /// None is visited: those that leave go.
    Leave {
        /// The request.
        ticket: Ticket,
        /// Its bytes.
        bytes: usize,
        /// Who is left.
        rest: IntoIter<Leaving>,
        /// The answer, as far as it goes.
        left: Vec<LeftMember>,
        /// Somebody went.
        any: bool,
    },
    /// It is described.
    Describe {
        /// The request.
        ticket: Ticket,
        /// The answer, as far as it goes.
        described: Described,
    },
    /// A heartbeat of a consumer group is carried out.
    Beat(Box<Beat>),
    /// A consumer group becomes a classic one.
    Downgrade(Box<Downgrading>),
    /// A classic group that was one of consumers is loaded from its record.
    LoadClassic {
        /// How far.
        loading: Loading,
        /// Its members need not join again.
        goes_on: bool,
    },
    /// Of a consumer group: its session begins.
    ConsumerStart,
    /// Of a consumer group: it goes if its time was over when the walk began.
    ConsumerExpire {
        /// When it began.
        at_ms: i64,
        /// When the next look is due.
        next_ms: i64,
        /// Who goes.
        gone: Vec<String>,
    },
    /// Of a consumer group: it is described.
    ConsumerDescribe {
        /// The request.
        ticket: Ticket,
        /// The answer, as far as it goes.
        described: ConsumerDescribed,
    },
    /// A heartbeat of a streams group is carried out.
    StreamsBeat(Box<StreamsBeat>),
    /// Of a streams group: it is described.
    StreamsDescribe {
        /// The request.
        ticket: Ticket,
        /// The answer, as far as it goes.
        described: Box<StreamsDescribed>,
    },
    /// It says which topics it wants.
    Subscribe {
        /// The topics; `None` where one cannot be understood.
        topics: Option<BTreeSet<String>>,
        /// Who asks.
        asker: Asker,
    },
}

impl Task {
    /// Memory of the request that is carried out, or of the record that is written, bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Gather { bytes, .. } | Self::Leave { bytes, .. } => *bytes,
            Self::Write(draft) => draft.bytes(),
            Self::Beat(beat) => beat.bytes(),
            Self::StreamsBeat(beat) => beat.bytes(),
            Self::Downgrade(it) => it.bytes(),
            _ => 0,
        }
    }
}

/// What a protocol is chosen for.
#[derive(Debug)]
pub enum Choice {
    /// A generation.
    Generation,
    /// A static member that comes back: whether the generation can go on with it.
    Replacement(Box<Returning>),
}

/// Who wants to know which topics the members want.
#[derive(Debug)]
pub enum Asker {
    /// `OffsetDelete`.
    Delete(Ticket, DeleteOffsets),
    /// The look for expired offsets.
    Sweep,
}
