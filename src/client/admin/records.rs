//! Offsets by time, and deleting records before an offset.

use super::{TIMEOUT_MS, nothing_said};
use crate::client::{ClientError, Cluster, To, check_code};
use crate::wire::kafka::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use crate::wire::kafka::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use std::collections::BTreeMap;

impl Cluster {
    /// The offset of each of `partitions`, topic and number, for `timestamp`, which may be one of
    /// Kafka's special ones (-1 latest, -2 earliest, …); -1 where there is none. A partition's error
    /// is its own. The metadata must know the topics.
    pub fn offsets_for(
        &mut self,
        partitions: &[(String, i32)],
        timestamp: i64,
    ) -> Result<Vec<Result<i64, ClientError>>, ClientError> {
        let mut found: BTreeMap<(String, i32), Result<i64, ClientError>> = BTreeMap::new();
        for (leader, topics) in self.by_leader(partitions, &mut found) {
            let topics = topics.iter().map(|(name, numbers)| ListOffsetsTopic {
                name,
                partitions: numbers
                    .iter()
                    .map(|&partition_index| ListOffsetsPartition {
                        partition_index,
                        timestamp,
                        ..ListOffsetsPartition::default()
                    })
                    .collect(),
            });
            let request = ListOffsetsRequest {
                replica_id: -1,
                topics: topics.collect(),
                timeout_ms: TIMEOUT_MS,
                ..ListOffsetsRequest::default()
            };
            let answers = self.call(To::Node(leader), &request, |reply| {
                let response = reply.read::<ListOffsetsRequest<'_>>()?;
                let mut all = Vec::new();
                for topic in &response.topics {
                    for p in &topic.partitions {
                        let what =
                            || format!("partition {} of '{}'", p.partition_index, topic.name);
                        let offset = check_code(p.error_code, what, None).map(|()| p.offset);
                        all.push(((topic.name.to_owned(), p.partition_index), offset));
                    }
                }
                Ok(all)
            })?;
            found.extend(answers);
        }
        Ok(in_order(partitions, &mut found))
    }

    /// Deletes the records before an offset of each partition, topic, number and offset, -1 for the
    /// high watermark; gives the new first offset of each. The metadata must know the topics.
    pub fn delete_records(
        &mut self,
        records: &[(String, i32, i64)],
    ) -> Result<Vec<Result<i64, ClientError>>, ClientError> {
        let partitions: Vec<_> = records.iter().map(|(topic, p, _)| (topic.clone(), *p)).collect();
        let offset_of: BTreeMap<_, _> =
            records.iter().map(|(topic, p, offset)| ((topic.as_str(), *p), *offset)).collect();
        let mut found: BTreeMap<(String, i32), Result<i64, ClientError>> = BTreeMap::new();
        for (leader, topics) in self.by_leader(&partitions, &mut found) {
            let topics = topics.iter().map(|(name, numbers)| DeleteRecordsTopic {
                name,
                partitions: numbers
                    .iter()
                    .map(|&partition_index| DeleteRecordsPartition {
                        partition_index,
                        offset: offset_of[&(name.as_str(), partition_index)],
                    })
                    .collect(),
            });
            let request = DeleteRecordsRequest { topics: topics.collect(), timeout_ms: TIMEOUT_MS };
            let answers = self.call(To::Node(leader), &request, |reply| {
                let response = reply.read::<DeleteRecordsRequest<'_>>()?;
                let mut all = Vec::new();
                for topic in &response.topics {
                    for p in &topic.partitions {
                        let what =
                            || format!("partition {} of '{}'", p.partition_index, topic.name);
                        let low = check_code(p.error_code, what, None).map(|()| p.low_watermark);
                        all.push(((topic.name.to_owned(), p.partition_index), low));
                    }
                }
                Ok(all)
            })?;
            found.extend(answers);
        }
        Ok(in_order(&partitions, &mut found))
    }

    /// Sorts partitions by who leads them; those that nobody leads go to `failed`.
    fn by_leader(
        &self,
        partitions: &[(String, i32)],
        failed: &mut BTreeMap<(String, i32), Result<i64, ClientError>>,
    ) -> BTreeMap<i32, BTreeMap<String, Vec<i32>>> {
        let mut by_leader: BTreeMap<i32, BTreeMap<String, Vec<i32>>> = BTreeMap::new();
        for (topic, partition) in partitions {
            match self.metadata().leader(topic, *partition) {
                Ok(leader) => by_leader
                    .entry(leader)
                    .or_default()
                    .entry(topic.clone())
                    .or_default()
                    .push(*partition),
                Err(e) => drop(failed.insert((topic.clone(), *partition), Err(e))),
            }
        }
        by_leader
    }
}

/// The results in the order of the questions.
fn in_order(
    partitions: &[(String, i32)],
    found: &mut BTreeMap<(String, i32), Result<i64, ClientError>>,
) -> Vec<Result<i64, ClientError>> {
    partitions.iter().map(|key| found.remove(key).unwrap_or_else(|| Err(nothing_said()))).collect()
}
