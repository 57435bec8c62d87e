//! Connections to other brokers, of one shard: bytes in, messages out; messages in, bytes out. Pure, and
//! driven as `connection` is.
//!
//! A *link* is one connection. Who dials keeps it up: [`Links::reach`] names a [`Target`], a shard of
//! another node and what the link is for, which is dialled until [`Links::leave`]; the other side takes what
//! comes. A link is *up* when both sides have said who they are and that they mean each other: the
//! same cluster, a common version, the node that was dialled, and the secret, where there is one. Who does not know
//! the cluster yet is told of it, and its link ends ([`LinkEvent::Joins`]).
//!
//! *What happens* is told: [`connected`](Links::connected) or [`failed`](Links::failed) after
//! [`LinkEvent::Dial`]; [`accepted`](Links::accepted); [`buffer`](Links::buffer), then
//! [`received`](Links::received); [`outgoing`](Links::outgoing), then [`sent`](Links::sent);
//! [`timeout`](Links::timeout) at [`next_deadline`](Links::next_deadline). After any of these,
//! [`poll`](Links::poll) until it has nothing more. Calls for a link that has ended do nothing.
//!
//! Messages of one link keep their order. When it ends, nobody knows what of the last ones came.

mod greeting;
mod link;
#[expect(clippy::module_inception, reason = "the noun of the folder")]
mod links;
#[cfg(test)]
mod tests;

pub use links::Links;

use crate::wire::peer::{Lane, Member, PeerMessage, Secret};

/// One link of a shard. Never used for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(test, derive(Default))]
pub struct LinkId {
    index: u32,
    life: u32,
}

/// Where a link goes to, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Node id.
    pub node: i32,
    /// What for.
    pub lane: Lane,
    /// Which of its shards.
    pub shard: u16,
}

impl Target {
    /// Where a node is reached for the quorum and the controller.
    pub fn control(node: i32) -> Self {
        Self { node, lane: Lane::Control, shard: 0 }
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Node id.
    pub node: i32,
    /// Its start.
    pub incarnation: u64,
    /// How many shards it has.
    pub shards: u16,
    /// The shard at the other end.
    pub shard: u16,
    /// What the link is for.
    pub lane: Lane,
    /// We have dialled.
    pub dialled: bool,
}

impl Peer {
    /// As the controller knows it.
    pub fn member(&self) -> Member {
        Member { node: self.node, incarnation: self.incarnation }
    }
}

/// Who we are.
#[derive(Clone, Debug)]
pub struct Me {
    /// The cluster.
    pub cluster_id: String,
    /// Node id.
    pub node: i32,
    /// This start.
    pub incarnation: u64,
    /// Shards of the process.
    pub shards: u16,
    /// This shard.
    pub shard: u16,
    /// What whoever belongs to the cluster knows.
    pub secret: Option<Secret>,
    /// What nonces are made of: no other start has it.
    pub seed: u64,
}

/// What the driver is to do.
#[derive(Debug)]
pub enum LinkEvent {
    /// Connect, and tell how that went.
    Dial {
        /// Which link.
        link: LinkId,
        /// Where to.
        host: String,
        /// Its port.
        port: u16,
    },
    /// Send what is [outgoing](Links::outgoing).
    Flush(LinkId),
    /// The link has ended: close its socket.
    Close(LinkId),
    /// Somebody wants to join: for [`Links::introduce`].
    Joins(LinkId),
    /// Both sides know each other.
    Up(LinkId, Peer),
    /// One that was up has ended.
    Down(LinkId, Peer),
    /// One that was dialled did not come up. `refused`: nobody listens there.
    Unreachable {
        /// Which node.
        node: i32,
        /// The kernel at the other end says that nobody listens.
        refused: bool,
    },
    /// The other side says this.
    Message(LinkId, PeerMessage),
    /// Something for the log.
    Line(String),
}
