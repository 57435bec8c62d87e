//! What administrators ask of a cluster: topics, configurations, offsets, directories,
//! brokers, leaders, replicas, the quorum.
//!
//! Each function sends its requests and waits for the answers. An error that may pass is met with
//! another attempt, as [`Cluster::call`] does; a topic that does not exist is an answer.

mod brokers;
mod configs;
mod elections;
mod features;
mod log_dirs;
mod quorum;
mod reassignments;
mod records;
mod topics;

pub use brokers::{BrokerDescription, ClusterDescription};
pub use configs::{ConfigEntry, ConfigSource, ConfigSynonym, Resource};
pub use elections::ElectionType;
pub use features::{Feature, Features, UpgradeType};
pub use log_dirs::{LogDir, LogDirPartition};
pub use quorum::{Endpoint, Quorum, QuorumReplica};
pub use reassignments::{NewReassignment, Reassignment};
pub use topics::{NewTopic, PartitionState, TopicState};

use super::protocol::ApiRequest;
use super::{ClientError, Cluster, Reply, To};
use crate::types::ErrorCode;
use std::collections::BTreeMap;

/// How long a broker may take for a change, in milliseconds.
const TIMEOUT_MS: i32 = 30_000;

impl Cluster {
    /// As [`Cluster::call`], but that a topic is unknown is an answer, not a reason to ask again.
    fn ask<R: ApiRequest, T>(
        &mut self,
        to: To,
        request: &R,
        read: impl Fn(&Reply) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        self.call(to, request, |reply| match read(reply) {
            Err(e) if e.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => Ok(Err(e)),
            other => other.map(Ok),
        })?
    }
}

impl Cluster {
    /// As [`Cluster::call`] for what is better not asked twice: of the broker's errors only those that send the
    /// caller to another broker are met with another attempt.
    fn command<R: ApiRequest, T>(
        &mut self,
        to: To,
        request: &R,
        read: impl Fn(&Reply) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        const ELSEWHERE: [ErrorCode; 2] =
            [ErrorCode::NOT_CONTROLLER, ErrorCode::NOT_LEADER_OR_FOLLOWER];
        self.call(to, request, |reply| match read(reply) {
            Err(e) if e.code().is_some_and(|code| !ELSEWHERE.contains(&code)) => Ok(Err(e)),
            other => other.map(Ok),
        })?
    }
}

/// Partitions by topic, each topic once.
fn by_topic<'a>(
    partitions: impl IntoIterator<Item = &'a (String, i32)>,
) -> BTreeMap<&'a str, Vec<i32>> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    topics
}

/// The one result that a request about one thing gets.
fn first<T>(results: &[T]) -> Result<&T, ClientError> {
    results.first().ok_or_else(nothing_said)
}

fn nothing_said() -> ClientError {
    ClientError::Refused {
        what: "the broker's answer says nothing of it".to_owned(),
        code: ErrorCode::UNKNOWN_SERVER_ERROR,
        message: None,
    }
}
