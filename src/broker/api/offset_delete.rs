//! OffsetDelete (KIP-496): a group forgets its offsets of some partitions.

use super::Response;
use super::decode_in_parts;
use super::offset_commit::has_partition;
use crate::controller::Image;
use crate::group::{DeleteOffsets, DeletedOffsets, TopicPartitions};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::offset_delete_request::OffsetDeleteRequest;
use crate::wire::kafka::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

/// The coordinator is asked for so many partitions in one go.
const PARTITIONS_A_STEP: usize = 512;

/// What became of a request.
#[derive(Debug)]
pub struct Plan {
    /// What the coordinator is to be asked, in parts, one after the other; one at least: the group counts
    /// even where no partition is left.
    pub deletes: Vec<DeleteOffsets>,
    /// Why the coordinator is not to be asked at all.
    pub refused: Option<ErrorCode>,
    topics: Vec<Answered>,
}

/// A topic of the answer.
#[derive(Debug)]
struct Answered {
    name: String,
    /// Partition, and its error; `None` where the coordinator is asked.
    partitions: Vec<(i32, Option<ErrorCode>)>,
}

/// Reads a request. Partitions that do not exist are answered without the coordinator; the group
/// without a name is refused, although Kafka keeps offsets of it.
///
/// Pauses after each partition.
pub async fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Plan, WireError> {
    let request = decode_in_parts(body, async |r| {
        OffsetDeleteRequest::decode_in_parts(r, version, pause).await
    })
    .await?;
    let group_id = request.group_id;
    let mut topics = Vec::with_capacity(request.topics.len());
    let part = || DeleteOffsets { group_id: group_id.to_owned(), topics: Vec::new() };
    let (mut deletes, mut asked) = (vec![part()], 0);
    for topic in &request.topics {
        let known = image.topic(topic.name);
        let mut answered = Vec::with_capacity(topic.partitions.len());
        let mut begun = false;
        for it in &topic.partitions {
            let number = it.partition_index;
            let exists = known.is_some_and(|it| has_partition(it, number));
            answered.push((number, (!exists).then_some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)));
            pause().await;
            if !exists {
                continue;
            }
            if asked == PARTITIONS_A_STEP {
                deletes.push(part());
                (asked, begun) = (0, false);
            }
            let last = deletes.last_mut().map(|it| &mut it.topics).expect("one at least");
            if !std::mem::replace(&mut begun, true) {
                last.push(TopicPartitions { name: topic.name.to_owned(), partitions: Vec::new() });
            }
            last.last_mut().expect("it has begun").partitions.push(number);
            asked += 1;
        }
        topics.push(Answered { name: topic.name.to_owned(), partitions: answered });
        pause().await;
    }
    let refused = request.group_id.is_empty().then_some(ErrorCode::INVALID_GROUP_ID);
    Ok(Plan { deletes, refused, topics })
}

impl Plan {
    /// The answer, with what the coordinator said of each part; an error of one is that of the request.
    /// Pauses after each partition.
    pub async fn response(
        &self,
        header: &RequestHeader<'_>,
        deleted: &[DeletedOffsets],
        pause: &impl AsyncFn(),
    ) -> Result<Response, WireError> {
        let failed = deleted.iter().map(|it| it.error).find(|it| it.is_err());
        let said = deleted.iter().flat_map(|it| &it.topics).flat_map(|it| &it.partitions);
        let mut said = said.map(|it| it.error);
        let mut topics = Vec::new();
        // Kafka says nothing of partitions where the request as a whole is refused.
        for topic in self.topics.iter().filter(|_| failed.is_none()) {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for &(partition_index, error) in &topic.partitions {
                let error = error.or_else(|| said.next());
                let error_code = error.unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR).0;
                partitions.push(OffsetDeleteResponsePartition { partition_index, error_code });
                pause().await;
            }
            topics.push(OffsetDeleteResponseTopic { name: &topic.name, partitions });
            pause().await;
        }
        let error_code = failed.unwrap_or(ErrorCode::NONE).0;
        let response = OffsetDeleteResponse { error_code, throttle_time_ms: 0, topics };
        let version = header.version;
        Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{NO_PAUSE, body_of, encode, header, image};
    use crate::group::{CommittedTopic, PartitionResult};
    use crate::types::TopicId;
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::offset_delete_request::{
        OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    };
    use futures_lite::future::block_on;

    #[test]
    fn asks_for_what_exists_and_answers_the_rest() {
        let partition = |partition_index| OffsetDeleteRequestPartition { partition_index };
        let topic =
            |name| OffsetDeleteRequestTopic { name, partitions: vec![partition(5), partition(1)] };
        let request =
            OffsetDeleteRequest { group_id: "g", topics: vec![topic("none"), topic("exists")] };
        let body = encode(|w| request.encode(w, 0));
        let plan = block_on(plan(&body, 0, &image(), &NO_PAUSE)).unwrap();
        let asked = TopicPartitions { name: "exists".into(), partitions: vec![1] };
        assert_eq!(plan.deletes.len(), 1);
        assert_eq!(plan.deletes[0].topics, [asked]);
        let error = ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC;
        let deleted = DeletedOffsets {
            error: ErrorCode::NONE,
            topics: vec![CommittedTopic {
                name: "exists".into(),
                topic_id: TopicId::ZERO,
                partitions: vec![PartitionResult { partition: 1, error }],
            }],
        };
        let header = header(ApiKey::OFFSET_DELETE, 0);
        let sent = block_on(plan.response(&header, &[deleted], &NO_PAUSE)).unwrap();
        body_of(&sent, ApiKey::OFFSET_DELETE, 0, |r| {
            let it = OffsetDeleteResponse::decode(r, 0)?;
            let codes = it.topics.iter().flat_map(|it| &it.partitions).map(|it| it.error_code);
            assert_eq!(codes.collect::<Vec<_>>(), [3, 3, 3, 86]);
            Ok(())
        });
        assert_eq!(plan.refused, None);
        let nameless = OffsetDeleteRequest { group_id: "", ..request };
        let body = encode(|w| nameless.encode(w, 0));
        let refused = block_on(super::plan(&body, 0, &image(), &NO_PAUSE)).unwrap().refused;
        assert_eq!(refused, Some(ErrorCode::INVALID_GROUP_ID));
        let refused = DeletedOffsets::refused(&plan.deletes[0], ErrorCode::GROUP_ID_NOT_FOUND);
        let sent = block_on(plan.response(&header, &[refused], &NO_PAUSE)).unwrap();
        body_of(&sent, ApiKey::OFFSET_DELETE, 0, |r| {
            let it = OffsetDeleteResponse::decode(r, 0)?;
            assert_eq!((it.error_code, it.topics.len()), (69, 0));
            Ok(())
        });
    }
}
