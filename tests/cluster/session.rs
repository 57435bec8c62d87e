//! A client's connection to one node, and what was asked on it.

use crate::node::At;
use bytes::Bytes;
use klamm::client::{ApiRequest, Protocol, Reply};
use std::collections::VecDeque;

/// What an answer is for.
#[derive(Clone, Debug)]
pub enum Asked {
    Hello,
    Metadata,
    ProducerId,
    /// To one partition.
    Produce(i32),
    /// From one partition, from this offset.
    Fetch(i32, i64),
    /// The latest offset of one partition.
    Latest(i32),
    /// An administrator's.
    Admin,
    FindCoordinator,
    Join,
    Sync,
    Heartbeat,
    /// Of one partition, this number.
    Commit(i32, i64),
    /// Of one partition, which had this number at least.
    Committed(i32, i64),
    /// The request of a transactional producer that has this number.
    Transaction(u64),
    /// The request in a share session that has this number.
    Share(u64),
}

/// See the module.
pub struct Session {
    pub at: At,
    protocol: Protocol,
    pub ready: bool,
    pub asked: VecDeque<Asked>,
    /// Frames on their way, each with its length before it.
    pub out: Vec<Bytes>,
}

impl Session {
    pub fn new(at: At) -> Self {
        let mut protocol = Protocol::new("sim");
        let hello = protocol.hello().expect("a request that can be written");
        let asked = VecDeque::from([Asked::Hello]);
        Self { at, protocol, ready: false, asked, out: vec![hello.into()] }
    }

    pub fn send<R: ApiRequest>(&mut self, request: &R, asked: Asked) {
        let frame = self.protocol.request(request, true).expect("a request that can be written");
        self.out.push(frame.into());
        self.asked.push_back(asked);
    }

    /// A frame has come; nothing where it only says which versions there are.
    pub fn receive(&mut self, frame: &[u8]) -> Option<(Asked, Reply)> {
        let reply = self.protocol.answered(frame.to_vec()).expect("an answer, in order");
        let asked = self.asked.pop_front().expect("an answer is to a request");
        if let Asked::Hello = asked {
            self.protocol.hello_answered(&reply).expect("versions");
            self.ready = true;
            return None;
        }
        Some((asked, reply))
    }
}
