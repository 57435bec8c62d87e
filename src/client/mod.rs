//! A Kafka client for the tools.
//!
//! What decides is pure: `protocol` encodes requests, agrees on versions and matches responses,
//! `metadata` knows who leads, `retry` says when to ask again. `transport` and `cluster` move the
//! bytes over blocking sockets of `std::net`, so that the tools need neither io_uring nor a runtime.

pub mod admin;
mod cluster;
mod error;
mod metadata;
mod protocol;
mod retry;
mod transport;

pub use cluster::{Cluster, To};
pub use error::{ClientError, check_code};
pub use metadata::{BrokerInfo, Metadata, PartitionMeta, TopicMeta};
pub use protocol::{Protocol, Reply, Request, frame_len};
pub use retry::Retry;
pub use transport::Transport;
