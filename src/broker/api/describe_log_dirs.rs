//! DescribeLogDirs (KIP-113, KIP-827): one directory, and the sizes of the logs in it.

use super::Response;
use super::data::LogSize;
use super::decode;
use super::response::begin;
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

/// The answer. Partitions that nobody knows are left out, as Kafka does. Pauses after each partition.
pub async fn handle(
    header: &RequestHeader<'_>,
    body: &[u8],
    image: &Image,
    volume: &Volume,
    logs: Vec<LogSize>,
    pause: impl AsyncFn(),
) -> Result<Response, WireError> {
    let version = header.version;
    let request = decode(body, |r| DescribeLogDirsRequest::decode(r, version))?;
    let mut sizes = HashMap::with_capacity(logs.len());
    for it in logs {
        sizes.insert(it.tp, it.bytes);
        pause().await;
    }
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
    let all = request.topics.is_none();
    for topic in image.topics().filter(|_| all) {
        for number in 0..topic.partitions.len() as i32 {
            if let Some(found) = partition(topic.id, number) {
                topics.entry(&topic.name).or_default().push(found);
            }
            pause().await;
        }
    }
    for wanted in request.topics.iter().flatten() {
        pause().await;
        let Some(topic) = image.topic(wanted.topic) else { continue };
        for number in &wanted.partitions {
            if let Some(found) = partition(topic.id, *number) {
                topics.entry(&topic.name).or_default().push(found);
            }
            pause().await;
        }
    }
    let known = version >= 4;
    let result = DescribeLogDirsResult {
        error_code: 0,
        log_dir: &volume.path,
        topics: Vec::new(),
        total_bytes: if known { volume.total as i64 } else { -1 },
        usable_bytes: if known { volume.usable as i64 } else { -1 },
        ..DescribeLogDirsResult::default()
    };
    let response =
        DescribeLogDirsResponse { throttle_time_ms: 0, error_code: 0, results: vec![result] };
    let mut w = begin(header);
    response.encode(&mut w, version)?;
    let flexible = version >= 2;
    let behind = 16 * usize::from(known) + usize::from(version >= 5) + 2 * usize::from(flexible);
    let after_topics = w.open_array(topics.len(), flexible, behind)?;
    for (name, partitions) in topics {
        DescribeLogDirsTopic { name, partitions: Vec::new() }.encode(&mut w, version)?;
        let after_partitions = w.open_array(partitions.len(), flexible, flexible.into())?;
        for it in partitions {
            it.encode(&mut w, version)?;
            pause().await;
        }
        w.raw(&after_partitions);
    }
    w.raw(&after_topics);
    Ok(Response::from_writer(w))
}
