//! This broker as a node of its cluster.

use super::replication::throttle::Throttles;
use crate::types::TopicPartition;
use crate::wire::peer::Secret;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A host and a port that somebody connects to.
pub type Address = (String, u16);

/// Bytes of frames that a follower grants a leader's shard at once, usually. Frames that are pushed wait in memory until
/// they have left; what is more than this is read again later.
pub const WINDOW: u64 = 8 << 20;

/// See the module.
#[derive(Clone, Debug)]
pub struct Node {
    /// A random number of this start.
    pub incarnation: u64,
    /// The id of the data directory.
    pub directory: u128,
    /// Where clients connect to.
    pub kafka: Address,
    /// Where other brokers connect to; `None` where none can.
    pub peer: Option<Address>,
    /// Its rack, if it has one.
    pub rack: Option<String>,
    /// Where brokers connect to nodes that were known at the start: those that vote when the cluster begins, or brokers of
    /// the cluster that this one joins.
    pub known: BTreeMap<i32, Address>,
    /// The secret of the cluster's brokers, where there is one.
    pub secret: Option<Secret>,
    /// Bytes of frames that this broker grants each leader's shard at once: [`WINDOW`].
    pub window: u64,
    /// Logs that its start has found to be damaged, and whose state is not known by that: it is not let in before others know
    /// that these do not count.
    pub damaged: Vec<TopicPartition>,
    /// What its shards have together of the limits for replication.
    pub throttles: Arc<Throttles>,
}

impl Default for Node {
    /// One that is alone.
    fn default() -> Self {
        Self {
            incarnation: 0,
            directory: 0,
            kafka: Address::default(),
            peer: None,
            rack: None,
            known: BTreeMap::new(),
            secret: None,
            window: WINDOW,
            damaged: Vec::new(),
            throttles: Arc::default(),
        }
    }
}
