//! One link.

use super::{LinkId, Peer, Target};
use crate::wire::peer::{Assembler, Hello, Lane, Nonce, PeerMessage, Proof, encode, encode_table};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;

/// How far a link has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is being connected.
    Dialling,
    /// Hello was sent.
    Greeting,
    /// Hello is waited for.
    Awaiting,
    /// It was asked to prove that it knows the secret.
    Challenged,
    /// It wants to join, and is to be told of the cluster, with this proof.
    Introducing(Option<Proof>),
    /// Both sides know each other.
    Up(Peer),
    /// It ends when what is outgoing has left: the other side was refused, or was told of the cluster.
    Refusing,
}

#[derive(Debug)]
pub(super) struct Link {
    pub id: LinkId,
    /// Where it goes to; `None` where the other side has dialled.
    pub target: Option<Target>,
    pub lane: Lane,
    /// The other end's address, for lines.
    pub address: String,
    pub stage: Stage,
    /// Until it is up: the Hello that was sent or has come, and the nonce of the Challenge to it.
    pub greeting: Option<Box<(Hello, Option<Nonce>)>>,
    pub incoming: Assembler,
    outgoing: VecDeque<Bytes>,
    unsent: usize,
    /// It ends at this time, ms, unless there is progress.
    pub deadline_ms: i64,
}

impl Link {
    pub fn new(id: LinkId, lane: Lane, address: String, stage: Stage, deadline_ms: i64) -> Self {
        Self {
            id,
            target: None,
            lane,
            address,
            stage,
            greeting: None,
            incoming: Assembler::default(),
            outgoing: VecDeque::new(),
            unsent: 0,
            deadline_ms,
        }
    }

    pub fn peer(&self) -> Option<Peer> {
        match self.stage {
            Stage::Up(peer) => Some(peer),
            _ => None,
        }
    }

    /// Whether there was nothing to send before.
    pub fn push(&mut self, bytes: Bytes) -> bool {
        let was_empty = self.unsent == 0;
        self.unsent += bytes.len();
        if !bytes.is_empty() {
            self.outgoing.push_back(bytes);
        }
        was_empty
    }

    /// As [`push`](Self::push).
    pub fn say(&mut self, message: &PeerMessage) -> bool {
        let (table, payload) = encode(message);
        let was_empty = self.push(table);
        self.push(payload);
        was_empty
    }

    /// As [`push`](Self::push), with the payload in parts.
    pub fn say_parts(&mut self, message: &PeerMessage, parts: Vec<Bytes>) -> bool {
        let bytes = parts.iter().map(Bytes::len).sum();
        let was_empty = self.push(encode_table(message, bytes));
        for part in parts {
            self.push(part);
        }
        was_empty
    }

    pub fn unsent(&self) -> usize {
        self.unsent
    }

    pub fn outgoing(&self) -> impl Iterator<Item = &[u8]> {
        self.outgoing.iter().map(|it| &**it)
    }

    /// So many bytes have left. Whether there are more.
    pub fn sent(&mut self, mut n: usize) -> bool {
        self.unsent -= n;
        while n > 0 {
            let first = self.outgoing.front_mut().expect("no more leaves than there is");
            let part = n.min(first.len());
            first.advance(part);
            n -= part;
            if first.is_empty() {
                self.outgoing.pop_front();
            }
        }
        self.unsent > 0
    }
}
