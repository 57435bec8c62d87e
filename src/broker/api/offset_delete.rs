//! OffsetDelete (KIP-496): a group forgets its offsets of some partitions.

use super::Response;
use super::decode;
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

/// What became of a request.
#[derive(Debug)]
pub struct Plan {
    /// What the coordinator is to be asked; the group counts even where no partition is left.
    pub delete: DeleteOffsets,
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
pub fn plan(body: &[u8], version: i16, image: &Image) -> Result<Plan, WireError> {
    let request = decode(body, |r| OffsetDeleteRequest::decode(r, version))?;
    let (mut topics, mut asked) = (Vec::new(), Vec::new());
    for topic in &request.topics {
        let known = image.topic(topic.name);
        let exists = |number| known.is_some_and(|it| has_partition(it, number));
        let numbers: Vec<i32> = topic.partitions.iter().map(|it| it.partition_index).collect();
        let unknown = |number| (!exists(number)).then_some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let name = topic.name.to_owned();
        let answered = numbers.iter().map(|it| (*it, unknown(*it))).collect();
        topics.push(Answered { name: name.clone(), partitions: answered });
        let partitions: Vec<i32> = numbers.into_iter().filter(|it| exists(*it)).collect();
        if !partitions.is_empty() {
            asked.push(TopicPartitions { name, partitions });
        }
    }
    let refused = request.group_id.is_empty().then_some(ErrorCode::INVALID_GROUP_ID);
    let delete = DeleteOffsets { group_id: request.group_id.to_owned(), topics: asked };
    Ok(Plan { delete, refused, topics })
}

impl Plan {
    /// The answer, with what the coordinator said.
    pub fn response(
        &self,
        header: &RequestHeader<'_>,
        deleted: &DeletedOffsets,
    ) -> Result<Response, WireError> {
        let mut said = deleted.topics.iter().flat_map(|it| &it.partitions).map(|it| it.error);
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|(partition_index, error)| {
                let error = error.or_else(|| said.next());
                let error_code = error.unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR).0;
                OffsetDeleteResponsePartition { partition_index: *partition_index, error_code }
            });
            OffsetDeleteResponseTopic { name: &topic.name, partitions: partitions.collect() }
        });
        let response = OffsetDeleteResponse {
            error_code: deleted.error.0,
            throttle_time_ms: 0,
            // Kafka says nothing of partitions where the request as a whole is refused.
            topics: if deleted.error.is_err() { Vec::new() } else { topics.collect() },
        };
        Response::new(header, |w| response.encode(w, header.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{body_of, encode, header, image};
    use crate::group::{CommittedTopic, PartitionResult};
    use crate::types::TopicId;
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::offset_delete_request::{
        OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    };

    #[test]
    fn asks_for_what_exists_and_answers_the_rest() {
        let partition = |partition_index| OffsetDeleteRequestPartition { partition_index };
        let topic =
            |name| OffsetDeleteRequestTopic { name, partitions: vec![partition(5), partition(1)] };
        let request =
            OffsetDeleteRequest { group_id: "g", topics: vec![topic("none"), topic("exists")] };
        let body = encode(|w| request.encode(w, 0));
        let plan = plan(&body, 0, &image()).unwrap();
        let asked = TopicPartitions { name: "exists".into(), partitions: vec![1] };
        assert_eq!(plan.delete.topics, [asked]);
        let error = ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC;
        let deleted = DeletedOffsets {
            error: ErrorCode::NONE,
            topics: vec![CommittedTopic {
                name: "exists".into(),
                topic_id: TopicId::ZERO,
                partitions: vec![PartitionResult { partition: 1, error }],
            }],
        };
        let sent = plan.response(&header(ApiKey::OFFSET_DELETE, 0), &deleted).unwrap();
        body_of(&sent, ApiKey::OFFSET_DELETE, 0, |r| {
            let it = OffsetDeleteResponse::decode(r, 0)?;
            let codes = it.topics.iter().flat_map(|it| &it.partitions).map(|it| it.error_code);
            assert_eq!(codes.collect::<Vec<_>>(), [3, 3, 3, 86]);
            Ok(())
        });
        assert_eq!(plan.refused, None);
        let nameless = OffsetDeleteRequest { group_id: "", ..request };
        let body = encode(|w| nameless.encode(w, 0));
        let refused = super::plan(&body, 0, &image()).unwrap().refused;
        assert_eq!(refused, Some(ErrorCode::INVALID_GROUP_ID));
        let refused = DeletedOffsets::refused(&plan.delete, ErrorCode::GROUP_ID_NOT_FOUND);
        let sent = plan.response(&header(ApiKey::OFFSET_DELETE, 0), &refused).unwrap();
        body_of(&sent, ApiKey::OFFSET_DELETE, 0, |r| {
            let it = OffsetDeleteResponse::decode(r, 0)?;
            assert_eq!((it.error_code, it.topics.len()), (69, 0));
            Ok(())
        });
    }
}
