//! This broker as a node of its cluster.

use std::collections::BTreeMap;

/// A host and a port that somebody connects to.
pub type Address = (String, u16);

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// A random number of this start.
    pub incarnation: u64,
    /// The id of the data directory.
    pub directory: u128,
    /// Where clients connect to.
    pub kafka: Address,
    /// Where other brokers connect to; `None` where there are none.
    pub peer: Option<Address>,
    /// Its rack, if it has one.
    pub rack: Option<String>,
    /// Nodes that vote when the cluster begins, with where brokers connect to. Empty: this node alone.
    pub voters: BTreeMap<i32, Address>,
}
