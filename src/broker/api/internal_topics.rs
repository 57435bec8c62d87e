//! Internal topics of streams groups (KIP-1071), created in the broker's own name by a `CreateTopics` to the controller.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decode;
use crate::group::streams::topology::InternalTopic;
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::kafka::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use crate::wire::kafka::create_topics_response::CreateTopicsResponse;
use crate::wire::primitives::Writer;

/// The version that is spoken.
pub const VERSION: i16 = 7;
/// The broker's default, as requests have it.
const DEFAULT: i16 = -1;

/// The request's body.
pub fn request(topics: &BTreeMap<Arc<str>, InternalTopic>) -> Result<Vec<u8>, WireError> {
    let creatable = topics.iter().map(|(name, it)| {
        let configs = it.configs.iter();
        CreatableTopic {
            name,
            num_partitions: it.partitions,
            replication_factor: match it.replication_factor {
                0 => DEFAULT,
                other => other,
            },
            assignments: Vec::new(),
            configs: configs
                .map(|(name, value)| CreatableTopicConfig { name, value: Some(value) })
                .collect(),
        }
    });
    let request =
        CreateTopicsRequest { topics: creatable.collect(), ..CreateTopicsRequest::default() };
    let mut w = Writer::with_capacity(256);
    request.encode(&mut w, VERSION)?;
    Ok(w.into_vec())
}

/// The topics of an answer that are still not there, each with why.
pub fn failures(body: &[u8]) -> Result<Vec<(String, String)>, WireError> {
    let response = decode(body, |r| CreateTopicsResponse::decode(r, VERSION))?;
    let failed = response.topics.iter().filter_map(|it| {
        let error = ErrorCode(it.error_code);
        // Another member was faster.
        let failed = error.is_err() && error != ErrorCode::TOPIC_ALREADY_EXISTS;
        let why = it.error_message.unwrap_or(error.message());
        failed.then(|| (it.name.to_owned(), why.to_owned()))
    });
    Ok(failed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::encode;
    use crate::wire::kafka::create_topics_response::CreatableTopicResult;

    #[test]
    fn topics_are_asked_for_as_the_topology_has_them() {
        let topic = |partitions, replication_factor| InternalTopic {
            partitions,
            replication_factor,
            configs: [("cleanup.policy".into(), "compact".into())].into(),
        };
        let topics = BTreeMap::from([("a".into(), topic(3, 0)), ("b".into(), topic(2, 1))]);
        let body = request(&topics).unwrap();
        let read = decode(&body, |r| CreateTopicsRequest::decode(r, VERSION)).unwrap();
        let asked: Vec<_> = read
            .topics
            .iter()
            .map(|it| (it.name, it.num_partitions, it.replication_factor, it.configs[0].value))
            .collect();
        assert_eq!(asked, [("a", 3, -1, Some("compact")), ("b", 2, 1, Some("compact"))]);
        assert!(!read.validate_only);
    }

    #[test]
    fn what_is_there_already_has_not_failed() {
        let result = |name, error: ErrorCode, error_message| CreatableTopicResult {
            name,
            error_code: error.0,
            error_message,
            ..CreatableTopicResult::default()
        };
        let topics = vec![
            result("a", ErrorCode::NONE, None),
            result("b", ErrorCode::TOPIC_ALREADY_EXISTS, Some("there")),
            result("c", ErrorCode::INVALID_CONFIG, Some("no such config")),
        ];
        let response = CreateTopicsResponse { topics, ..CreateTopicsResponse::default() };
        let body = encode(|w| response.encode(w, VERSION));
        let failed = failures(&body).unwrap();
        assert_eq!(failed, [("c".to_owned(), "no such config".to_owned())]);
    }
}
