//! Offset lookups (ListOffsets), by time or at the two ends.

use super::{ClientError, Cluster, To, check_code};
use crate::wire::kafka::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use std::collections::BTreeMap;

/// The first offset that there is, as a timestamp.
pub const EARLIEST: i64 = -2;
/// The offset after the last record, as a timestamp.
pub const LATEST: i64 = -1;

/// The offset of each of `partitions` for `timestamp`: the first record at or after it, -1 where
/// there is none; or [`EARLIEST`], [`LATEST`].
pub fn list(
    cluster: &mut Cluster,
    topic: &str,
    partitions: &[i32],
    timestamp: i64,
) -> Result<BTreeMap<i32, i64>, ClientError> {
    let mut retry = cluster.retry();
    loop {
        match list_once(cluster, topic, partitions, timestamp, 0) {
            Ok(found) => return Ok(found),
            Err(e) => cluster.wait_or(&mut retry, e)?,
        }
        // The leaders may have moved.
        cluster.refresh(Some(&[topic]), false)?;
    }
}

/// As [`list`], without another attempt. With `isolation_level` 1 the end is the last stable offset.
pub fn list_once(
    cluster: &mut Cluster,
    topic: &str,
    partitions: &[i32],
    timestamp: i64,
    isolation_level: i8,
) -> Result<BTreeMap<i32, i64>, ClientError> {
    let mut by_leader: BTreeMap<i32, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for &partition_index in partitions {
        let leader = cluster.metadata().leader(topic, partition_index)?;
        let ask =
            ListOffsetsPartition { partition_index, timestamp, ..ListOffsetsPartition::default() };
        by_leader.entry(leader).or_default().push(ask);
    }
    let mut found = BTreeMap::new();
    for (leader, partitions) in by_leader {
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: vec![ListOffsetsTopic { name: topic, partitions }],
            ..ListOffsetsRequest::default()
        };
        let offsets = cluster.try_call_soon(To::Node(leader), &request)?;
        let response = offsets.read::<ListOffsetsRequest<'_>>()?;
        for p in response.topics.iter().flat_map(|t| &t.partitions) {
            let what = || format!("offsets of partition {} of '{topic}'", p.partition_index);
            check_code(p.error_code, what, None)?;
            found.insert(p.partition_index, p.offset);
        }
    }
    Ok(found)
}
