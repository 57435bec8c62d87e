//! What is known of one connection.

use super::admission::Admitted;
use super::answers::Answers;
use super::incoming::{FrameLimits, Front, Incoming};
use super::outgoing::Outgoing;
use super::room::{Charge, Lane};
use super::{ConnectionId, IN_FLIGHT_MAX, LINGER_MS, PROGRESS, Peer, UNSENT_MAX};
use crate::types::Principal;
use crate::wire::api_keys::ApiKey;

/// Since when something has made no progress.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// When it made some last.
    pub at_ms: i64,
    /// Bytes since then: too few to count.
    bytes: usize,
}

impl Progress {
    /// Begins now.
    pub fn begin(&mut self, now_ms: i64) {
        *self = Self { at_ms: now_ms, bytes: 0 };
    }

    /// Bytes came or went, of something that holds `held`.
    pub fn add(&mut self, now_ms: i64, bytes: usize, held: usize) {
        self.bytes += bytes;
        if self.bytes >= PROGRESS.max(held / 16) {
            self.begin(now_ms);
        }
    }
}

/// Where a connection's reading stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The driver reads when there is something to read.
    Open,
    /// The driver was told to read nothing, and is told when to go on.
    Paused,
    /// The same, since there is no memory: whoever gives some back lets it go on.
    Short,
}

/// Which queues of stalled connections have an entry of this one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Listed {
    pub small: bool,
    pub large: bool,
    pub sending: bool,
}

/// See the module.
pub(super) struct Connection {
    pub id: ConnectionId,
    pub peer: Peer,
    pub principal: Principal,
    /// None once it is closed: what is left then are requests that hold some of the room.
    pub admitted: Option<Admitted>,
    pub incoming: Incoming,
    /// The number of the large frame that waits for its first room.
    pub waiting_large: Option<u64>,
    pub answers: Answers,
    pub outgoing: Outgoing,
    pub reading: Reading,
    /// Stands in the queue of those whose next request is to begin.
    pub ready: bool,
    /// A [`Flush`](super::ConnectionEvent::Flush) was given, and nothing was asked for since.
    pub flushing: bool,
    /// The client has closed its side, when.
    pub ended_ms: Option<i64>,
    /// What the buffer holds of the room.
    pub held: Charge,
    /// Bytes of the room that were kept for it.
    pub granted: Charge,
    /// When the kernel handed something over last, in ticks.
    pub received: u64,
    /// When it did anything last.
    pub active_ms: i64,
    pub receiving: Progress,
    pub sending: Progress,
    /// The time of its entry in the queue of timers; others of it are stale.
    pub timer_ms: i64,
    pub listed: Listed,
}

/// When a connection is to be looked at, and what ends then if nothing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nobody did anything for too long.
    Idle(i64),
    /// The client stopped in the middle of a request or an answer.
    Stalled(i64),
    /// Its side is closed, and answers had time to leave.
    Lingered(i64),
    /// Requests are under way: to be looked at again.
    Busy,
}

impl Connection {
    pub fn new(id: ConnectionId, peer: Peer, admitted: Admitted, now_ms: i64) -> Self {
        Self {
            id,
            peer,
            principal: Principal::ANONYMOUS,
            admitted: Some(admitted),
            incoming: Incoming::default(),
            waiting_large: None,
            answers: Answers::default(),
            outgoing: Outgoing::default(),
            reading: Reading::Open,
            ready: false,
            flushing: false,
            ended_ms: None,
            held: Charge::NONE,
            granted: Charge::NONE,
            received: 0,
            active_ms: now_ms,
            receiving: Progress::default(),
            sending: Progress::default(),
            timer_ms: 0,
            listed: Listed::default(),
        }
    }

    pub fn is_open(&self) -> bool {
        self.admitted.is_some()
    }

    /// Bytes of answers that the kernel has not taken.
    pub fn unsent(&self) -> usize {
        self.outgoing.unsent() + self.answers.waiting()
    }

    /// Whether a request of this API may begin now.
    pub fn may_begin(&self, api: ApiKey) -> bool {
        self.answers.allow(api)
            && self.answers.in_flight() < IN_FLIGHT_MAX
            && self.unsent() < UNSENT_MAX
    }

    /// Whether something can be done for what stands at the start of the buffer: begin it, or read
    /// more of it. A large frame is not read before it could begin: it would hold memory behind a
    /// request that may wait long. Once it is being read, nothing before it can begin any more.
    pub fn may_go_on(&self, front: Front) -> bool {
        match front {
            Front::Part | Front::Bad { .. } => true,
            Front::Large { api, .. } => self.incoming.large().is_some() || self.may_begin(api),
            Front::Whole { api, .. } => self.may_begin(api),
        }
    }

    /// Nothing is under way, and nothing is to be sent.
    pub fn is_quiet(&self) -> bool {
        self.answers.is_empty() && self.outgoing.is_empty()
    }

    /// The lane that the buffer takes from.
    pub fn lane(&self) -> Lane {
        if self.incoming.large().is_some() { Lane::Large } else { Lane::Small }
    }

    /// Whether bytes wait in the buffer for the client, or for its own requests before them: not for
    /// memory.
    pub fn holds_bytes(&self) -> bool {
        self.incoming.len() > 0 && self.reading != Reading::Short
    }

    /// When it is to be looked at.
    pub fn due(&self, idle_ms: i64, limits: FrameLimits) -> Due {
        if let Some(ended) = self.ended_ms {
            return Due::Lingered(ended + LINGER_MS);
        }
        if idle_ms <= 0 {
            return Due::Busy;
        }
        let mut due = None;
        // What waits behind requests of its own is not the client's to complete.
        if self.holds_bytes() {
            let front = self.incoming.front(limits);
            if !matches!(front, Front::Whole { .. }) && self.may_go_on(front) {
                due = Some(self.receiving.at_ms);
            }
        }
        if self.outgoing.unsent() > 0 {
            due = Some(due.map_or(self.sending.at_ms, |it: i64| it.min(self.sending.at_ms)));
        }
        match due {
            Some(since) => Due::Stalled(since + idle_ms),
            None if self.answers.unfinished() == 0 && self.incoming.len() == 0 => {
                Due::Idle(self.active_ms + idle_ms)
            }
            None => Due::Busy,
        }
    }
}
