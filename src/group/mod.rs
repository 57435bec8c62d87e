//! Consumer groups: membership, rebalances, committed offsets, also such of transactions; classic ones, and those of
//! KIP-848 (`consumer`); and the membership of share groups (`share`) and of streams groups (`streams`). Pure: no clock, no randomness, no I/O.
//!
//! A [`Coordinator`] holds the groups of one partition of `__consumer_offsets`. Its owner calls
//!
//! 1. [`Coordinator::replay`] with every record of that partition, oldest first, then
//!    [`Coordinator::start`];
//! 2. [`Coordinator::request`] for each request, [`Coordinator::written`] when an
//!    [`Effect::Append`] is durable or has failed, [`Coordinator::tick`] at
//!    [`Coordinator::next_deadline`], [`Coordinator::go_on_with_long`] while
//!    [`Coordinator::has_long`];
//! 3. [`Coordinator::live_records`], until there are no more, when the partition has grown too long
//!    for its state.
//!
//! **A change takes effect, and its reply leaves, when its record is durable.** While a group has a
//! write pending, later requests of that group wait in its queue; other groups go on. They wait likewise
//! while a group goes through very many members or offsets, some at a time. So what
//! anybody was told, a restart tells too, and nothing that failed to become durable has to be taken
//! back. Joining is not persisted in Kafka either: what the log holds of a group is its last
//! complete generation.

mod accepting;
pub mod assignor;
mod cluster;
mod commits;
mod consumer;
mod consumer_protocol;
mod context;
mod coordinator;
mod draft;
mod effect;
mod entry;
mod expiry;
#[cfg(test)]
mod histories;
mod join;
mod kinds;
mod leave;
mod loading;
mod long_commit;
#[cfg(test)]
mod long_commit_tests;
mod look;
mod members;
mod memory;
#[cfg(test)]
mod naive_consumer;
mod offsets;
mod pending;
mod persisted;
mod queue;
mod rebalance;
mod records;
mod replacement;
mod request;
mod response;
mod share;
mod staged;
mod staging;
#[cfg(test)]
mod staging_tests;
mod state;
pub mod streams;
mod subscription;
mod sync;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod topic_index;
pub mod topic_regex;
mod transaction;
mod walk;
#[cfg(test)]
mod walk_tests;
mod walking;
#[cfg(test)]
mod write_tests;
mod writes;

pub use cluster::{Cluster, ClusterView, TopicView};
pub use consumer::partitions;
pub use consumer::request::{ConsumerDescribe, ConsumerHeartbeat};
pub use consumer::response::{
    ConsumerDescribed, ConsumerDescribedMember, ConsumerHeartbeaten, DescribedTopic,
};
pub use context::{CoordinatorSettings, MigrationPolicy};
pub use coordinator::{
    Coordinator, GoneTopic, GroupFigures, OffsetFigures, Seen, Start, StateCursor,
};
pub use effect::{Effect, Ticket};
pub use memory::Memory;
pub use records::{Record, RecordError};
pub use request::{
    Assignment, Commit, CommitOffset, CommitTopic, DeleteGroup, DeleteOffsets, Describe,
    FetchOffsets, FetchTopic, GroupRequest, Heartbeat, Join, Leave, Leaving, List, OffsetPlace,
    Protocol, Sync, TopicPartitions,
};
pub use response::{
    Committed, CommittedTopic, DeletedGroup, DeletedOffsets, Described, DescribedMember,
    FetchedOffset, FetchedOffsets, FetchedTopic, GroupResponse, Heartbeaten, JoinMember, Joined,
    Left, LeftMember, Listed, PartitionResult, Synced,
};
pub use share::request::{ListShareTopics, ShareHeartbeat, ShareInitialized};
pub use share::response::ListedShareTopics;
pub use share::topics::{ShareTopic, ShareTopics, Uninitialized};
pub use streams::member::{Endpoint, StreamsMetadata};
pub use streams::request::{StreamsDescribe, StreamsHeartbeat};
pub use streams::response::{
    DescribedTopology, EndpointPartitions, Status, StreamsDescribed, StreamsDescribedMember,
    StreamsHeartbeaten,
};
pub use transaction::{TransactionEnd, TransactionProducer};
