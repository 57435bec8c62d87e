//! What a coordinator is asked, and its answers, independent of versions.

use super::state::State;
use crate::types::ErrorCode;
use std::sync::Arc;

/// A partition by the name of its topic, as records have it.
pub type Partition = (Arc<str>, i32);

/// A producer's id and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// One request about one transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `InitProducerId`.
    Init(InitProducer),
    /// `AddPartitionsToTxn`, `AddOffsetsToTxn`, and what leaders of partitions ask.
    Add(AddPartitions),
    /// `EndTxn`.
    End(End),
    /// `DescribeTransactions` of one id. Answered at once.
    Describe(String),
}

impl Request {
    /// The transactional id.
    pub fn transactional_id(&self) -> &str {
        match self {
            Self::Init(it) => &it.transactional_id,
            Self::Add(it) => &it.transactional_id,
            Self::End(it) => &it.transactional_id,
            Self::Describe(id) => id,
        }
    }
}

/// `InitProducerId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitProducer {
    /// The transactional id.
    pub transactional_id: String,
    /// How long its transactions may take.
    pub timeout_ms: i32,
    /// What the producer was told before, where it goes on after an error (KIP-360).
    pub expected: Option<Producer>,
    /// A producer id that nobody else gets, once the answer was [`Response::NeedsProducerId`].
    pub fresh_id: Option<i64>,
}

/// Partitions that a transaction writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPartitions {
    /// The transactional id.
    pub transactional_id: String,
    /// The producer.
    pub producer: Producer,
    /// Which.
    pub partitions: Vec<Partition>,
    /// Adds nothing: says which are part of the transaction.
    pub verify_only: bool,
    /// The protocol that the client speaks: `transaction.version`.
    pub version: i16,
}

/// `EndTxn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The transactional id.
    pub transactional_id: String,
    /// The producer.
    pub producer: Producer,
    /// Commits, or aborts.
    pub commits: bool,
    /// The protocol that the client speaks: from 2 on each transaction gets an epoch of its own.
    pub version: i16,
    /// As in [`InitProducer`].
    pub fresh_id: Option<i64>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// It is refused; `NONE`: it is done.
    Done(ErrorCode),
    /// The producer from now on.
    Producer(Producer),
    /// By partition, to a request that only verifies.
    Verified(Vec<ErrorCode>),
    /// It is to be asked again with a producer id that nobody has.
    NeedsProducerId,
    /// See [`Described`].
    Described(Described),
}

/// `DescribeTransactions` of one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its state.
    pub state: State,
    /// How long its transactions may take.
    pub timeout_ms: i32,
    /// When its transaction began; -1 for none.
    pub start_ms: i64,
    /// The producer.
    pub producer: Producer,
    /// Partitions of its transaction.
    pub partitions: Vec<Partition>,
}

/// Which ids `ListTransactions` is for.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Names of states; empty for all.
    pub states: Vec<String>,
    /// Producer ids; empty for all.
    pub producer_ids: Vec<i64>,
    /// Only transactions that are open for longer than this, ms; negative for all.
    pub duration_ms: i64,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// Its producer id.
    pub producer_id: i64,
    /// Its state.
    pub state: State,
}
