//! Clients: connections that are made and lost, and what each request on them asked.

use crate::checkers::Facts;
use crate::checkers::generations::GroupFloor;
use crate::checkers::records::Floor;
use crate::checkers::topics::{LogKey, Stamp};
use crate::process::At;
use bytes::Bytes;
use klamm::client::{ApiRequest, Protocol, Reply};
use klamm::storage::device::sim_disk::Rng;
use klamm::types::Now;
use std::collections::{BTreeMap, VecDeque};

/// What a client sees of the world.
pub struct Cx<'a> {
    pub rng: &'a mut Rng,
    pub now: Now,
    pub facts: &'a mut Facts,
    /// Nothing new is begun: what was begun is finished.
    pub calm: bool,
    pub life: u64,
    /// Nothing makes the broker slow: neither do others take its memory, nor does time fly.
    pub unhurried: bool,
    /// Everything is told.
    pub told: bool,
}

impl Cx<'_> {
    /// When the silence ends that there is now.
    pub fn silence(&self) -> Option<i64> {
        let until = self.facts.silent_until_ms;
        (!self.calm && self.now.monotonic_ms < until).then_some(until)
    }
}

/// A request that was sent, as its role needs it when the answer comes.
#[derive(Clone, Debug)]
pub enum Asked {
    Hello,
    Produce {
        acks: i16,
        batches: Vec<Sending>,
    },
    ProducerId,
    Fetch {
        parts: Vec<Wanted>,
        patience: Patience,
    },
    /// A question about the ends of one log: -1 the latest, -2 the earliest, or a time.
    ListOffsets {
        key: LogKey,
        stamp: Stamp,
        time: i64,
        floor: Floor,
    },
    DeleteRecords {
        key: LogKey,
        stamp: Stamp,
        number: u64,
    },
    CreateTopic {
        topic: usize,
    },
    DeleteTopic {
        topic: usize,
    },
    CreatePartitions {
        topic: usize,
        count: i32,
    },
    AlterConfig {
        topic: usize,
        name: &'static str,
        value: Option<String>,
    },
    DescribeConfig {
        topic: usize,
        name: &'static str,
    },
    Metadata {
        topic: usize,
        stamp: Stamp,
    },
    EpochEnd {
        key: LogKey,
        stamp: Stamp,
        epoch: i32,
        floor: Floor,
    },
    FindCoordinator,
    Join {
        floor: GroupFloor,
    },
    Sync {
        generation: i32,
    },
    Heartbeat,
    Leave,
    Commit {
        commits: Vec<(LogKey, Stamp, u64)>,
        /// By a static member whose place another has taken: it must be refused.
        fenced: bool,
    },
    FetchCommitted {
        keys: Vec<(LogKey, Stamp)>,
        moment: u64,
    },
}

/// A batch on its way.
#[derive(Clone, Debug)]
pub struct Sending {
    pub key: LogKey,
    pub stamp: Stamp,
    pub sequence: i32,
    pub uids: Vec<u64>,
    pub floor: Floor,
}

/// How long a fetch waits, for how much.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub sent_ms: i64,
    pub max_wait_ms: i64,
    pub min_bytes: i32,
}

/// A partition of a fetch.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub key: LogKey,
    pub stamp: Stamp,
    pub offset: i64,
    pub floor: Floor,
}

pub struct Sent {
    pub asked: Asked,
    /// Whether an answer comes.
    pub answered: bool,
    pub at_ms: i64,
}

/// A connection as its client sees it.
pub struct Link {
    pub at: At,
    protocol: Protocol,
    /// What is not answered.
    pub sent: VecDeque<Sent>,
    /// Frames on their way, each with its length before it.
    pub out: Vec<Bytes>,
    /// What this connection was told, or has done.
    floors: BTreeMap<LogKey, Floor>,
    pub ready: bool,
    pub requests: u64,
}

impl Link {
    pub fn new(at: At, name: &str, now_ms: i64) -> Self {
        let mut protocol = Protocol::new(name);
        let hello = protocol.hello().expect("a request that can be written");
        let sent = Sent { asked: Asked::Hello, answered: true, at_ms: now_ms };
        Self {
            at,
            protocol,
            sent: VecDeque::from([sent]),
            out: vec![Bytes::from(hello)],
            floors: BTreeMap::new(),
            ready: false,
            requests: 1,
        }
    }

    /// Sends a request.
    pub fn send<R: ApiRequest>(&mut self, cx: &Cx<'_>, request: &R, asked: Asked) {
        let answered = !matches!(asked, Asked::Produce { acks: 0, .. });
        let frame =
            self.protocol.request(request, answered).expect("a request that can be written");
        self.out.push(Bytes::from(frame));
        self.sent.push_back(Sent { asked, answered, at_ms: cx.now.monotonic_ms });
        self.requests += 1;
    }

    /// How far a log reaches at least, for what is asked now and answered later: what anybody was told
    /// before it was asked, and what this connection was told before it is answered.
    pub fn raise(&mut self, key: LogKey, floor: Floor) {
        self.floors.entry(key).or_default().raise(floor);
    }

    pub fn floor(&self, key: LogKey, asked: Floor) -> Floor {
        let mut floor = self.floors.get(&key).copied().unwrap_or_default();
        floor.raise(asked);
        floor
    }
}

/// What a client does.
pub trait Role {
    /// Sends what it wants to send now, if anything.
    fn act(&mut self, cx: &mut Cx<'_>, link: &mut Link);

    /// An answer has come; none where none comes and the request has taken effect.
    fn answered(&mut self, cx: &mut Cx<'_>, link: &mut Link, asked: Asked, reply: Option<&Reply>);

    /// The answer will not come.
    fn lost(&mut self, cx: &mut Cx<'_>, asked: Asked);

    /// The connection is gone, and all that was lost is told.
    fn disconnected(&mut self, cx: &mut Cx<'_>);

    /// It has nothing left to finish.
    fn is_done(&self, facts: &Facts) -> bool;

    /// When it wants to act again, ms; in the past where it may act at any time.
    fn wake_ms(&self) -> i64 {
        0
    }

    /// Whether it comes back only when all that it had begun has ended.
    fn waits_for_itself(&self) -> bool {
        false
    }

    /// For the trace.
    fn name(&self) -> String;
}

pub struct Client {
    pub role: Box<dyn Role>,
    pub link: Option<Link>,
    name: String,
}

impl Client {
    pub fn new(role: Box<dyn Role>) -> Self {
        let name = role.name();
        Self { role, link: None, name }
    }

    pub fn connect(&mut self, at: At, now_ms: i64) {
        self.link = Some(Link::new(at, &self.name, now_ms));
    }

    pub fn act(&mut self, cx: &mut Cx<'_>) {
        if let Some(link) = self.link.as_mut().filter(|it| it.ready) {
            self.role.act(cx, link);
        }
    }

    /// What it waits for, if it does.
    pub fn waits(&self, facts: &Facts) -> Option<String> {
        let asked = self.link.iter().flat_map(|it| &it.sent).filter(|it| it.answered);
        let asked: Vec<String> = asked.map(|it| format!("{} {:?}", it.at_ms, it.asked)).collect();
        let done = self.role.is_done(facts);
        (!done || !asked.is_empty()).then(|| format!("{}, done {done}: {asked:?}", self.name))
    }

    /// A frame has come, its length before it.
    pub fn receive(&mut self, cx: &mut Cx<'_>, frame: &[u8]) {
        let link = self.link.as_mut().expect("answers come on connections");
        let len = i32::from_be_bytes(frame[..4].try_into().expect("a length"));
        assert_eq!(len as usize, frame.len() - 4, "an answer is as long as it says");
        let reply = link.protocol.answered(frame[4..].to_vec()).expect("an answer, in order");
        cx.facts.counts.answers += 1;
        while link.sent.front().is_some_and(|it| !it.answered) {
            let sent = link.sent.pop_front().expect("there is a first");
            self.role.answered(cx, link, sent.asked, None);
        }
        let sent = link.sent.pop_front().expect("an answer is to a request");
        if let Asked::Hello = sent.asked {
            let again = link.protocol.hello_answered(&reply).expect("versions");
            assert!(again.is_none(), "the broker knows the version of its own client");
            link.ready = true;
        } else {
            if cx.told {
                println!("    answer to {:?}", sent.asked);
            }
            self.role.answered(cx, link, sent.asked, Some(&reply));
        }
    }

    /// The connection is gone.
    pub fn disconnect(&mut self, cx: &mut Cx<'_>) {
        let Some(link) = self.link.take() else { return };
        for sent in link.sent {
            cx.facts.counts.lost += 1;
            self.role.lost(cx, sent.asked);
        }
        self.role.disconnected(cx);
    }
}
