//! What administrators ask of a cluster: topics, configurations, offsets, directories.
//!
//! Each function sends its requests and waits for the answers. An error that may pass is met with
//! another attempt, as [`Cluster::call`] does; a topic that does not exist is an answer.

mod configs;
mod log_dirs;
mod records;
mod topics;

pub use configs::{ConfigEntry, ConfigSource, ConfigSynonym, Resource};
pub use log_dirs::{LogDir, LogDirPartition};
pub use topics::{NewTopic, PartitionState, TopicState};

use super::protocol::ApiRequest;
use super::{ClientError, Cluster, Reply, To};
use crate::types::ErrorCode;

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
