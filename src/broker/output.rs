//! What a broker wants done by what runs it.

use super::calls::{Message, ShardId};
use super::connection::ConnectionId;
use crate::broker::api::Response;
use crate::metrics::Stages;
use crate::storage::io::Submission;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// How long an answer took so far.
#[derive(Clone, Copy, Debug)]
pub struct Traced {
    /// Of every stage up to the last but one.
    pub stages: Stages,
    /// Since when it waits to be sent, in ticks of the broker's clock.
    pub queued: u64,
}

/// One thing to do. In the order in which they are taken with [`Broker::poll`](super::Broker::poll).
pub enum Output {
    /// Send to another shard.
    Message {
        /// To which.
        to: ShardId,
        /// What.
        message: Message,
    },
    /// Carry out, and hand in the completion as [`Input::Completed`](super::Input::Completed).
    Disk(Submission),
    /// A request is answered.
    Answer {
        /// On which connection.
        connection: ConnectionId,
        /// Its number there.
        number: u64,
        /// `None` sends nothing.
        response: Option<Response>,
        /// Where its time went, if that was watched.
        traced: Option<Traced>,
    },
    /// Nothing of this request's bytes is needed any more.
    Release {
        /// On which connection.
        connection: ConnectionId,
        /// Its number there.
        number: u64,
    },
    /// Close a connection, with one line in the log.
    Refuse {
        /// Which.
        connection: ConnectionId,
        /// The line.
        why: String,
    },
    /// Look at the disk's space now, and hand it in as [`Input::Space`](super::Input::Space).
    LookAtSpace,
    /// Give the reserve file this many bytes.
    Reserve(u64),
    /// The broker drains: read no more requests.
    Draining,
    /// Every request is answered: close connections once what is to be sent has left.
    Drained,
    /// Everything is written back.
    Closed,
    /// End the process: what is on disk, or in memory, is not known any more.
    Fatal {
        /// Exit code, of `sysexits.h`.
        exit_code: i32,
        /// One line.
        message: String,
    },
}

/// Outputs that were not taken yet, in order. A clone is the same queue.
#[derive(Clone, Default)]
pub struct Outputs(Rc<RefCell<VecDeque<Output>>>);

impl Outputs {
    /// Adds one.
    pub fn push(&self, output: Output) {
        self.0.borrow_mut().push_back(output);
    }

    /// Takes the oldest.
    pub fn pop(&self) -> Option<Output> {
        self.0.borrow_mut().pop_front()
    }
}
