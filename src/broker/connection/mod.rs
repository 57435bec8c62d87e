//! All connections of one shard: bytes in, requests out; answers in, bytes out. Pure: sockets, clocks
//! and the log belong to whoever drives it.
//!
//! # How to drive it
//!
//! [`Connections`] has one state and four kinds of methods, as quinn-proto's `Connection` has.
//!
//! *What happens* is told to it:
//! - [`accepted`](Connections::accepted): somebody has connected;
//! - [`buffer`](Connections::buffer) when there may be something to read; bytes are put into what it
//!   gives, and [`received`](Connections::received) follows. It gives nothing where nothing is to be
//!   read now: [`ConnectionEvent::Resume`] tells when to ask again. [`blocked`](Connections::blocked) where the
//!   socket is empty;
//! - [`hung_up`](Connections::hung_up) at the end of the stream, [`failed`](Connections::failed) at
//!   an error;
//! - [`answered`](Connections::answered) when a request has taken effect: *once for every request*
//!   that was handed out, with or without an answer, also where its connection is closed meanwhile;
//!   before that [`silence`](Connections::silence) where it will get no answer (`acks=0`),
//!   [`release`](Connections::release) where it needs its frame no more;
//! - [`outgoing`](Connections::outgoing) gives what is to be sent, [`sent`](Connections::sent) says
//!   how much the kernel has taken;
//! - [`refuse`](Connections::refuse) and [`close`](Connections::close) end a connection;
//! - [`timeout`](Connections::timeout) at [`next_deadline`](Connections::next_deadline) or later.
//!
//! *After any of these*, until each has nothing more:
//! 1. [`next_request`](Connections::next_request) gives requests that are to begin, in order;
//! 2. [`poll`](Connections::poll) gives [`ConnectionEvent`]s;
//! 3. after `sent`, [`next_delivered`](Connections::next_delivered) gives the answers that have left,
//!    for statistics.
//!
//! Calls for a connection that is closed do nothing, so that nobody must look first. Times are
//! milliseconds of any clock that does not go backwards; ticks are only handed through.
//!
//! # What it keeps
//!
//! - *Order* (`answers`): a request begins when everything before it on its connection that could
//!   be told apart has taken effect; at most [`IN_FLIGHT_MAX`] are under way.
//! - *Memory* (`room`): what has arrived is charged, not what is announced; nobody waits for ever.
//! - *Patience*: whoever stalls in the middle of a request or an answer is kept as long as whoever is
//!   idle, `connections.max.idle.ms`. Progress is [`PROGRESS`] bytes, or a sixteenth of what is held: a
//!   byte now and then keeps nothing. While memory is short, those who have made none for
//!   [`EVICT_AFTER_MS`] are closed, longest first.
//! - *Number* ([`admission`]): `max.connections` and its kin.
//! - *Lines in the log* ([`log_limiter`]): one for each kind and peer in ten seconds.

pub mod admission;
mod answers;
mod connections;
mod incoming;
pub mod log_limiter;
mod outgoing;
mod queue;
mod room;
mod single;
#[cfg(test)]
mod tests;

pub use admission::{Admission, Admitted, Limits};
pub use answers::{Asked, Traced};
pub use connections::{ConnectionSettings, Connections, Stats};
pub use incoming::ReadInto;
pub use log_limiter::LogLimiter;
pub use outgoing::Delivered;

use crate::types::Principal;
use crate::wire::api_keys::ApiKey;
use bytes::Bytes;
use std::net::SocketAddr;

/// Requests of one connection that may wait for their answers, or for the client to take them.
pub const IN_FLIGHT_MAX: usize = 64;
/// Bytes of answers that may wait for the client before no more of its requests begin.
pub const UNSENT_MAX: usize = 1 << 20;
/// Largest request that is no Produce.
pub const OTHER_REQUEST_MAX: usize = 8 << 20;
/// Bytes that count as progress of a request or an answer, or a sixteenth of what it holds.
pub const PROGRESS: usize = 4 << 10;
/// How long a client may make no progress while others wait for memory, ms.
pub const EVICT_AFTER_MS: i64 = 1_000;
/// How long answers under way may take to leave after the client has closed its side, ms.
pub const LINGER_MS: i64 = 30_000;

/// One connection of a shard. Never used for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    index: u32,
    life: u32,
}

impl ConnectionId {
    /// A small number that no other open connection of the shard has.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// A request that is to begin now.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// On which connection.
    pub connection: ConnectionId,
    /// Its number there.
    pub number: u64,
    /// What it asks for, as its first two bytes say; the rest is not looked at.
    pub api: ApiKey,
    /// The request without the length before it.
    pub frame: Bytes,
    /// When the kernel handed over the last of it, in ticks of the shard's clock.
    pub received: u64,
    /// Who asks.
    pub principal: Principal,
}

/// Why a connection is closed. Lines of each kind are limited for each peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A length that no request has.
    Length,
    /// A request that cannot be answered.
    Request,
    /// No progress for too long.
    Stalled,
    /// No progress while others wait for memory.
    Memory,
    /// Too many connections.
    Limit,
    /// A bug on our side.
    Bug,
}

impl Why {
    /// Its name in figures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Request => "request",
            Self::Stalled => "stalled",
            Self::Memory => "memory",
            Self::Limit => "limit",
            Self::Bug => "bug",
        }
    }
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whom it is about.
    pub peer: String,
    /// What it says.
    pub text: String,
}

/// What the driver is to do.
#[derive(Debug)]
pub enum ConnectionEvent {
    /// Ask for a [`buffer`](Connections::buffer) again, after requests were taken.
    Resume(ConnectionId),
    /// Send what is [`outgoing`](Connections::outgoing).
    Flush(ConnectionId),
    /// The connection has ended. What is under way for it ends unheard.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// What the log is told.
        line: Option<Line>,
        /// To be dropped after the socket.
        admitted: Admitted,
    },
    /// Something for the log.
    Line(Line),
}

/// A connection that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which limit it exceeds.
    pub limit: admission::OverLimit,
    /// What the log is told.
    pub line: Option<Line>,
}

/// A client's address.
pub type Peer = SocketAddr;
