//! The directories of a broker.

use crate::client::{ClientError, Cluster, To, check_code};
use crate::types::ErrorCode;
use crate::wire::kafka::describe_log_dirs_request::DescribeLogDirsRequest;

/// Bytes of a partition in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirPartition {
    /// The topic's name.
    pub topic: String,
    /// Number of the partition.
    pub partition: i32,
    /// Bytes.
    pub size: i64,
    /// Offsets behind the high watermark.
    pub offset_lag: i64,
    /// Whether it is being moved to another directory.
    pub is_future: bool,
}

/// A directory of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    /// Its path.
    pub path: String,
    /// The error of the directory.
    pub error: Option<ErrorCode>,
    /// Its partitions.
    pub partitions: Vec<LogDirPartition>,
}

impl Cluster {
    /// The directories of a broker.
    pub fn log_dirs(&mut self, node: i32) -> Result<Vec<LogDir>, ClientError> {
        let request = DescribeLogDirsRequest { topics: None };
        self.ask(To::Node(node), &request, |reply| {
            let response = reply.read::<DescribeLogDirsRequest<'_>>()?;
            check_code(response.error_code, || format!("directories of broker {node}"), None)?;
            let dirs = response.results.iter().map(|dir| LogDir {
                path: dir.log_dir.to_owned(),
                error: Some(ErrorCode(dir.error_code)).filter(|code| code.is_err()),
                partitions: dir
                    .topics
                    .iter()
                    .flat_map(|topic| {
                        topic.partitions.iter().map(|p| LogDirPartition {
                            topic: topic.name.to_owned(),
                            partition: p.partition_index,
                            size: p.partition_size,
                            offset_lag: p.offset_lag,
                            is_future: p.is_future_key,
                        })
                    })
                    .collect(),
            });
            Ok(dirs.collect())
        })
    }
}
