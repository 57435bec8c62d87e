//! `DeleteTopics`: by name, and from version 6 by id.

use super::decode_in_parts;
use super::metadata_change::{Failure, Handled, code_and_message, count};
use crate::controller::{Image, Record};
use crate::types::{ErrorCode, TopicId};
use crate::wire::kafka::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use crate::wire::kafka::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use crate::wire::primitives::WireError;
use std::collections::BTreeSet;

/// Answers a request, in any version. Pauses after each topic.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Handled, WireError> {
    let read = decode_in_parts(body, async |r| {
        DeleteTopicsRequest::decode_in_parts(r, version, pause).await
    });
    let request = read.await?;
    // By name, or by name or id: there is one of the two lists.
    let mut asked = request.topics;
    for name in request.topic_names {
        asked.push(DeleteTopicState { name: Some(name), ..DeleteTopicState::default() });
        pause().await;
    }
    let names = count(asked.iter().map(|it| it.name), pause).await;
    let nameless = asked.iter().map(|it| it.name.is_none().then_some(it.topic_id));
    let ids = count(nameless, pause).await;
    let enabled = image.broker_configs.is_on("delete.topic.enable");
    let mut seen = BTreeSet::new();
    let mut deleted = BTreeSet::new();
    let mut results: Vec<(Option<&str>, TopicId, Result<(), Failure>)> = Vec::new();
    let mut records = Vec::new();
    for topic in &asked {
        pause().await;
        if !seen.insert((topic.name, topic.topic_id)) {
            continue;
        }
        let found = if !enabled {
            Err(disabled(version))
        } else if topic.name.is_some() && names[&topic.name] > 1 {
            Err(Failure::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name."))
        } else if topic.name.is_none() && ids[&Some(topic.topic_id)] > 1 {
            Err(Failure::new(ErrorCode::INVALID_REQUEST, "Duplicate topic id."))
        } else {
            find(topic, image)
        };
        let result = found.and_then(|(name, id)| {
            if deleted.insert(id) {
                return Ok((name, id));
            }
            let message = "The provided topic name maps to an ID that was already supplied.";
            Err(Failure::new(ErrorCode::INVALID_REQUEST, message))
        });
        results.push(match result {
            Ok((name, id)) => {
                records.push(Record::TopicDeleted { id });
                (Some(name), id, Ok(()))
            }
            Err(failure) => (topic.name, topic.topic_id, Err(failure)),
        });
    }
    let mut responses = Vec::with_capacity(results.len());
    for (name, topic_id, result) in &results {
        let (error_code, error_message) = code_and_message(result);
        let (name, topic_id) = (*name, *topic_id);
        responses.push(DeletableTopicResult { name, topic_id, error_code, error_message });
        pause().await;
    }
    let response = DeleteTopicsResponse { throttle_time_ms: 0, responses };
    Handled::in_parts(records, async |w| response.encode_in_parts(w, version, pause).await).await
}

fn disabled(version: i16) -> Failure {
    if version < 3 {
        Failure::new(ErrorCode::INVALID_REQUEST, "Topic deletion is disabled.")
    } else {
        Failure::new(ErrorCode::TOPIC_DELETION_DISABLED, "Topic deletion is disabled.")
    }
}

fn find<'a>(topic: &DeleteTopicState<'_>, image: &'a Image) -> Result<(&'a str, TopicId), Failure> {
    let found = match (topic.name, topic.topic_id) {
        (Some(_), id) if id != TopicId::ZERO => {
            let message = "You may not specify both topic name and topic id.";
            return Err(Failure::new(ErrorCode::INVALID_REQUEST, message));
        }
        (None, TopicId::ZERO) => {
            let message = "Neither topic name nor id were specified.";
            return Err(Failure::new(ErrorCode::INVALID_REQUEST, message));
        }
        (Some(name), _) => {
            let message = "This server does not host this topic-partition.";
            let unknown = || Failure::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message);
            image.topic(name).ok_or_else(unknown)?
        }
        (None, id) => {
            let message = "This server does not host this topic ID.";
            image
                .topic_by_id(id)
                .ok_or_else(|| Failure::new(ErrorCode::UNKNOWN_TOPIC_ID, message))?
        }
    };
    Ok((&found.name, found.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{decode, encode, id, image};
    use futures_lite::future::block_on;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    type Results = Vec<(Option<String>, TopicId, ErrorCode)>;

    fn run(
        topics: &[(Option<&str>, TopicId)],
        version: i16,
        image: &Image,
    ) -> (Results, Vec<Record>) {
        let state =
            |(name, topic_id): &(_, _)| DeleteTopicState { name: *name, topic_id: *topic_id };
        let mut request = DeleteTopicsRequest { timeout_ms: 1, ..Default::default() };
        if version >= 6 {
            request.topics = topics.iter().map(state).collect();
        } else {
            request.topic_names = topics.iter().filter_map(|it| it.0).collect();
        }
        let body = encode(|w| request.encode(w, version));
        let handled = block_on(handle(&body, version, image, &async || {})).unwrap();
        let response = decode(&handled.response, |r| DeleteTopicsResponse::decode(r, version));
        let results = response.responses.iter();
        let results = results
            .map(|it| (it.name.map(str::to_owned), it.topic_id, ErrorCode(it.error_code)))
            .collect();
        (results, handled.records)
    }

    #[test]
    fn deletes_by_name_in_every_version() {
        for version in 1..=6 {
            let asked = [(Some("exists"), TopicId::ZERO), (Some("nope"), TopicId::ZERO)];
            let (results, records) = run(&asked, version, &image());
            assert_eq!(records, [Record::TopicDeleted { id: id(1) }]);
            assert_eq!(results[0].2, ErrorCode::NONE);
            assert_eq!(results[1].2, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            if version == 6 {
                assert_eq!(results[0].1, id(1));
            }
        }
    }

    #[test]
    fn deletes_by_id() {
        let (results, records) = run(&[(None, id(2)), (None, id(9))], 6, &image());
        assert_eq!(records, [Record::TopicDeleted { id: id(2) }]);
        assert_eq!(results[0], (Some("dotted.name".into()), id(2), ErrorCode::NONE));
        assert_eq!(results[1], (None, id(9), ErrorCode::UNKNOWN_TOPIC_ID));
    }

    #[test]
    fn refuses_contradictions() {
        let invalid = ErrorCode::INVALID_REQUEST;
        for asked in [
            vec![(Some("exists"), id(1))],
            vec![(None, TopicId::ZERO)],
            vec![(Some("exists"), TopicId::ZERO), (Some("exists"), TopicId::ZERO)],
            vec![(None, id(1)), (None, id(1))],
        ] {
            let (results, records) = run(&asked, 6, &image());
            assert_eq!((results.len(), results[0].2), (1, invalid), "{asked:?}");
            assert!(records.is_empty());
        }
        let (results, records) =
            run(&[(Some("exists"), TopicId::ZERO), (None, id(1))], 6, &image());
        assert_eq!((results[0].2, results[1].2), (ErrorCode::NONE, invalid));
        assert_eq!(records.len(), 1);
    }

    #[test]
    fn deletion_can_be_switched_off() {
        let off = BTreeMap::from([("delete.topic.enable".to_owned(), "false".to_owned())]);
        let image = Image::new("cluster", 1, Arc::new(off));
        let code = |version| run(&[(Some("exists"), TopicId::ZERO)], version, &image).0[0].2;
        assert_eq!(code(6), ErrorCode::TOPIC_DELETION_DISABLED);
        assert_eq!(code(2), ErrorCode::INVALID_REQUEST);
    }
}
