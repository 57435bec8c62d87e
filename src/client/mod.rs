//! A Kafka client for the tools.
//!
//! What decides is pure: `protocol` encodes requests, agrees on versions and matches responses,
//! `metadata` knows who leads, `retry` says when to ask again, `consumer` and `producer` have their
//! own cores. `transport` and `cluster` move the bytes of one request over blocking sockets of
//! `std::net`, `channels` those of many at once with `poll(2)`, so that the tools need neither
//! io_uring nor a runtime.

pub mod admin;
mod channels;
pub mod clock;
mod cluster;
pub mod consumer;
mod coordinator;
mod error;
pub mod groups;
mod metadata;
pub mod offsets;
pub mod producer;
mod protocol;
mod retry;
pub mod share_groups;
pub mod streams_groups;
pub mod transactional;
pub mod transactions;
mod transport;
pub mod variants;

pub use channels::{Channels, Lane, LaneEvent};
pub use cluster::{Cluster, To};
pub use error::{ClientError, check_code, first_of};
pub use metadata::{BrokerInfo, Metadata, PartitionMeta, TopicMeta};
pub use protocol::{ApiRequest, Protocol, Reply, frame_len};
pub use retry::Retry;
pub use transport::Transport;
pub use variants::FetchById;
