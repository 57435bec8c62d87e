//! What a broker wants done by what runs it.

use super::calls::{Message, ShardId};
use super::connection::{Admitted, ConnectionId};
use super::links::LinkId;
use crate::storage::device::io::Submission;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

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
    /// Ask for room to read into again: [`Broker::buffer`](super::Broker::buffer).
    Resume(ConnectionId),
    /// Send what is [`outgoing`](super::Broker::outgoing), before long.
    Flush(ConnectionId),
    /// A connection has ended: close its socket.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// To be dropped after the socket.
        admitted: Admitted,
    },
    /// Connect to another broker, and hand in [`Input::Peer`](super::Input::Peer).
    Dial {
        /// What the connection is called.
        link: LinkId,
        /// Where to.
        host: String,
        /// Its port.
        port: u16,
    },
    /// Send what is [outgoing to a peer](super::Broker::peer_outgoing), before long.
    FlushPeer(LinkId),
    /// A link has ended: close its socket.
    ClosePeer(LinkId),
    /// Clients may connect from now on: once, when the broker begins to serve them.
    LetIn,
    /// Look at the disk's space now, and hand it in as [`Input::Space`](super::Input::Space).
    LookAtSpace,
    /// Give the reserve file this many bytes.
    Reserve(u64),
    /// Everything is written back.
    Ended {
        /// Files that nothing needs could not be removed.
        files_left: bool,
    },
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
