//! TxnOffsetCommit (KIP-98): a group's next offsets, as part of a transaction.

use super::Response;
use super::decode_in_parts;
use super::offset_commit::has_partition;
use crate::controller::Image;
use crate::group::{Commit, CommitOffset, CommitTopic, Committed, TransactionProducer};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::txn_offset_commit_request::TxnOffsetCommitRequest;
use crate::wire::kafka::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};

/// The first versions whose clients know `TRANSACTION_ABORTABLE`, and for which the broker adds the partition
/// of the group's state to the transaction (KIP-890).
const ABORTABLE_FROM: i16 = 4;
const ADDS_FROM: i16 = 5;

/// What became of a request.
#[derive(Debug)]
pub struct Plan {
    /// What the coordinator of the group is to be asked, unless nothing is left to ask.
    pub commit: Option<Commit>,
    /// The transactional id.
    pub transactional_id: String,
    /// The client knows `TRANSACTION_ABORTABLE`.
    pub abortable: bool,
    /// The broker adds the partition of the group's state to the transaction.
    pub adds: bool,
    /// By topic: partitions, and the errors of those that do not exist.
    topics: Vec<(String, Vec<PartitionError>)>,
}

/// A partition, and its error where it does not exist.
type PartitionError = (i32, Option<ErrorCode>);

/// Reads a request. What does not exist is answered without the coordinator, as Kafka does.
///
/// Pauses after each partition.
pub async fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Plan, WireError> {
    let request = decode_in_parts(body, async |r| {
        TxnOffsetCommitRequest::decode_in_parts(r, version, pause).await
    })
    .await?;
    let (mut asked, mut topics) = (Vec::new(), Vec::with_capacity(request.topics.len()));
    for topic in &request.topics {
        let known = image.topic(topic.name);
        let mut offsets = Vec::new();
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for it in &topic.partitions {
            let is_there = known.is_some_and(|known| has_partition(known, it.partition_index));
            if is_there {
                offsets.push(CommitOffset {
                    partition: it.partition_index,
                    offset: it.committed_offset,
                    leader_epoch: it.committed_leader_epoch,
                    metadata: it.committed_metadata.map(str::to_owned),
                });
            }
            let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            partitions.push((it.partition_index, (!is_there).then_some(unknown)));
            pause().await;
        }
        topics.push((topic.name.to_owned(), partitions));
        if let Some(known) = known.filter(|_| !offsets.is_empty()) {
            let name = known.name.to_string();
            asked.push(CommitTopic { name, topic_id: known.id, partitions: offsets });
        }
        pause().await;
    }
    let producer = TransactionProducer {
        id: request.producer_id,
        epoch: request.producer_epoch,
        markers: None,
    };
    let commit = (!asked.is_empty()).then(|| Commit {
        group_id: request.group_id.to_owned(),
        generation_id: request.generation_id,
        member_id: request.member_id.to_owned(),
        group_instance_id: request.group_instance_id.map(str::to_owned),
        retention_ms: -1,
        knows_group_id_not_found: false,
        topics: asked,
        producer: Some(producer),
    });
    Ok(Plan {
        commit,
        transactional_id: request.transactional_id.to_owned(),
        abortable: version >= ABORTABLE_FROM,
        adds: version >= ADDS_FROM,
        topics,
    })
}

impl Plan {
    /// The answer, with what the coordinator said of [`commit`](Self::commit). Pauses after each
    /// partition.
    pub async fn response(
        &self,
        header: &RequestHeader<'_>,
        committed: Option<&Committed>,
        pause: &impl AsyncFn(),
    ) -> Result<Response, WireError> {
        let version = header.version;
        let all = committed.map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |it| it.error);
        let said = committed.into_iter().flat_map(|it| &it.topics).flat_map(|it| &it.partitions);
        let mut said = said.map(|it| if it.error.is_err() { it.error } else { all });
        let mut topics = Vec::with_capacity(self.topics.len());
        for (name, asked) in &self.topics {
            let mut partitions = Vec::with_capacity(asked.len());
            for &(partition_index, error) in asked {
                let error_code = error.unwrap_or_else(|| said.next().unwrap_or(all)).0;
                let answer = TxnOffsetCommitResponsePartition { partition_index, error_code };
                partitions.push(answer);
                pause().await;
            }
            topics.push(TxnOffsetCommitResponseTopic { name, partitions });
            pause().await;
        }
        let response = TxnOffsetCommitResponse { throttle_time_ms: 0, topics };
        Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await)
            .await
    }
}
