//! Clients: what each of them knows of the cluster, its connections, and the part that it plays.

use crate::checkers::Counts;
use crate::checkers::images::Images;
use crate::checkers::log::Log;
use crate::checkers::offsets::Offsets;
use crate::checkers::share::Share;
use crate::checkers::tasks::Owned;
use crate::checkers::topics::Topics;
use crate::checkers::transactions::Transactions;
use crate::node::Node;
use crate::plan::Plan;
use crate::session::{Asked, Session};
use klamm::client::Reply;
use klamm::storage::device::sim_disk::Rng;
use klamm::types::{ErrorCode, TopicId};
use klamm::wire::kafka::find_coordinator_request::FindCoordinatorRequest;
use std::collections::{BTreeMap, BTreeSet};

/// The topic that all use, but for those with transactions.
pub const TOPIC: &str = "t";
/// Theirs.
pub const TRANSACTED: &str = "tx";

/// A partition as metadata have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub leader: i32,
    pub epoch: i32,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
}

/// How far the return is of a node whose disk is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacing {
    /// Its vote is to be taken.
    Votes,
    /// It may start, with an empty disk.
    Voteless,
    /// It is to get a vote.
    Joins,
}

/// What clients have in common: what they have been told, and what is to be done.
pub struct Facts {
    pub plan: Plan,
    pub counts: Counts,
    pub log: Log,
    pub offsets: Offsets,
    pub images: Images,
    pub topics: Topics,
    pub transactions: Transactions,
    pub producer_ids: BTreeSet<i64>,
    pub topic_id: TopicId,
    pub created: bool,
    /// At least so many partitions there are.
    pub partitions: i32,
    /// What metadata said last of the topic that all use.
    pub seen: BTreeMap<i32, Seen>,
    /// By node: the id of its data directory.
    pub directories: BTreeMap<i32, u128>,
    /// Nothing fails any more, and nothing new is begun.
    pub calm: bool,
    /// All producers and administrators are done besides.
    pub quiet: bool,
    /// How often everything is to be read, from the first time on that is quiet.
    pub pass: u32,
    /// Another replica of each partition is to lead.
    pub rotate: bool,
    /// The node whose disk is lost, and how far its return is.
    pub replaced: Option<(i32, Replacing)>,
    /// What members of the group have, by generation.
    pub shares: BTreeMap<u32, (i32, BTreeSet<i32>)>,
    /// By partition of the topic that all use: batches that were acknowledged.
    pub acknowledged: BTreeMap<i32, u64>,
    /// The share group begins at the start of each partition, as every node knows.
    pub shares_begin: bool,
    pub share: Share,
    pub tasks: Owned,
}

impl Facts {
    /// Every partition has a leader, and all of its replicas in sync, as metadata said last.
    pub fn is_whole(&self) -> bool {
        let whole = |it: &Seen| it.leader >= 0 && it.isr.len() == it.replicas.len();
        self.seen.values().all(whole) && self.seen.len() >= self.partitions as usize
    }
}

/// What a client sees when it acts.
pub struct Cx<'a> {
    pub rng: &'a mut Rng,
    pub now_ms: i64,
    pub wall_ms: i64,
    pub facts: &'a mut Facts,
    /// What no client could see: for checkers.
    pub nodes: &'a [Node],
    /// By partition: the leader, and its epoch.
    pub leaders: &'a BTreeMap<i32, (i32, i32)>,
    /// The leaders may be others.
    pub stale: &'a mut bool,
}

/// A part that a client plays.
pub trait Role {
    /// The topic whose leaders it has to know.
    fn topic(&self) -> &'static str {
        TOPIC
    }
    /// Sends what it wants to send on this session with `node`.
    fn act(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session);
    /// An answer has come.
    fn answered(&mut self, cx: &mut Cx<'_>, node: i32, asked: &Asked, reply: &Reply);
    /// The answer will not come.
    fn lost(&mut self, node: i32, asked: &Asked, now_ms: i64);
    /// The session with a node is over.
    fn closed(&mut self, _facts: &mut Facts, _node: i32, _now_ms: i64) {}
    /// Nothing of it is under way, and nothing is left to do.
    fn is_done(&self, facts: &Facts) -> bool;
    /// What it waits for.
    fn waits(&self) -> String;
}

/// See the module.
pub struct Client {
    pub role: Box<dyn Role>,
    pub sessions: BTreeMap<i32, Session>,
    /// By partition: the leader, and its epoch. Who is behind says what was; it is not believed (KIP-320).
    pub leaders: BTreeMap<i32, (i32, i32)>,
    pub stale: bool,
    pub asked_ms: i64,
    pub next_ms: i64,
}

impl Client {
    pub fn new(role: Box<dyn Role>) -> Self {
        Self {
            role,
            sessions: BTreeMap::new(),
            leaders: BTreeMap::new(),
            stale: true,
            asked_ms: -1_000,
            next_ms: 0,
        }
    }
}

/// Whether a partition is led elsewhere, or not now.
pub fn is_elsewhere(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::OFFSET_NOT_AVAILABLE
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
            | ErrorCode::KAFKA_STORAGE_ERROR
    )
}

/// Whether a group's coordinator is elsewhere, or does not serve now.
pub fn is_moved(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
    )
}

/// A coordinator that says nothing for so long is looked for anew, ms.
pub const PATIENCE_MS: i64 = 4_000;

/// Whether a member that has heard its coordinator at `heard_ms` has something to ask this node: who it knows, or anybody, where
/// it knows none any more.
pub fn asks(node: i32, coordinator: &mut Option<i32>, heard_ms: i64, now_ms: i64) -> bool {
    if heard_ms + PATIENCE_MS < now_ms {
        *coordinator = None;
    }
    coordinator.is_none_or(|it| it == node)
}

/// Asks where the coordinator of a group is.
pub fn find_coordinator(session: &mut Session, group: &str) {
    let coordinator_keys = vec![group];
    let request = FindCoordinatorRequest { coordinator_keys, ..FindCoordinatorRequest::default() };
    session.send(&request, Asked::FindCoordinator);
}

/// Where it is; nothing where that is not known now.
pub fn found_coordinator(reply: &Reply) -> Option<i32> {
    let response = reply.read::<FindCoordinatorRequest<'_>>().expect("an answer");
    let answer = &response.coordinators[0];
    let error = ErrorCode(answer.error_code);
    assert!(!error.is_err() || is_moved(error), "a coordinator: {error}");
    (!error.is_err()).then_some(answer.node_id)
}
