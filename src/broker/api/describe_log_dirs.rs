//! DescribeLogDirs (KIP-113, KIP-827): one directory, and the sizes of the logs in it.

use super::Response;
use super::data::LogSize;
use super::decode;
use crate::controller::Image;
use crate::types::{TopicId, TopicPartition};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::describe_log_dirs_request::DescribeLogDirsRequest;
use crate::wire::kafka::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use std::collections::{BTreeMap, HashMap};

/// The directory and its volume.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Absolute path of the data directory.
    pub path: String,
    /// Bytes of the volume.
    pub total: u64,
    /// Bytes of it that are free.
    pub usable: u64,
}

/// The answer. Partitions that nobody knows are left out, as Kafka does.
pub fn handle(
    header: &RequestHeader<'_>,
    body: &[u8],
    image: &Image,
    volume: &Volume,
    sizes: &[LogSize],
) -> Result<Response, WireError> {
    let version = header.version;
    let request = decode(body, |r| DescribeLogDirsRequest::decode(r, version))?;
    let sizes: HashMap<TopicPartition, u64> = sizes.iter().map(|it| (it.tp, it.bytes)).collect();
    let partition = |id: TopicId, number: i32| {
        let bytes = sizes.get(&TopicPartition { topic: id, partition: number })?;
        Some(DescribeLogDirsPartition {
            partition_index: number,
            partition_size: *bytes as i64,
            offset_lag: 0,
            is_future_key: false,
        })
    };
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    if let Some(asked) = &request.topics {
        for wanted in asked {
            let Some(topic) = image.topic(wanted.topic) else { continue };
            let found = wanted.partitions.iter().filter_map(|it| partition(topic.id, *it));
            topics.entry(&topic.name).or_default().extend(found);
        }
    } else {
        for topic in image.topics() {
            let all = 0..topic.partitions.len() as i32;
            let found = all.filter_map(|it| partition(topic.id, it)).collect();
            topics.insert(&topic.name, found);
        }
    }
    let topics = topics
        .into_iter()
        .filter(|(_, partitions)| !partitions.is_empty())
        .map(|(name, partitions)| DescribeLogDirsTopic { name, partitions })
        .collect();
    let known = version >= 4;
    let result = DescribeLogDirsResult {
        error_code: 0,
        log_dir: &volume.path,
        topics,
        total_bytes: if known { volume.total as i64 } else { -1 },
        usable_bytes: if known { volume.usable as i64 } else { -1 },
        ..DescribeLogDirsResult::default()
    };
    let response =
        DescribeLogDirsResponse { throttle_time_ms: 0, error_code: 0, results: vec![result] };
    Response::new(header, |w| response.encode(w, version))
}
