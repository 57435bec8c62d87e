//! `ElectLeaders`: has preferred leaders lead, or anybody where nobody does (KIP-460).

use super::decode_in_parts;
use super::metadata_change::{Handled, code_and_words};
use crate::controller::{Election, Image, elect_leaders};
use crate::types::ErrorCode;
use crate::wire::kafka::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use crate::wire::kafka::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use crate::wire::primitives::WireError;

/// Answers a request, in any version. Of partitions that were not named, those that need no election are not told.
/// Pauses after each partition.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Handled, WireError> {
    let read = decode_in_parts(body, async |r| {
        ElectLeadersRequest::decode_in_parts(r, version, pause).await
    });
    let request = read.await?;
    let election = match request.election_type {
        0 => Some(Election::Preferred),
        1 => Some(Election::Unclean),
        _ => None,
    };
    let all = request.topic_partitions.is_none();
    let asked = match request.topic_partitions {
        Some(asked) => asked,
        None => everything(image, pause).await,
    };
    let (records, results) = if let Some(election) = election {
        let partitions =
            asked.iter().flat_map(|it| it.partitions.iter().map(|index| (it.topic, *index)));
        let (decision, results) = elect_leaders(image, election, partitions, pause).await;
        (decision.records, results)
    } else {
        let message = format!("Value {} must be one of 0, 1", request.election_type);
        let count = asked.iter().map(|it| it.partitions.len()).sum();
        (Vec::new(), vec![Err((ErrorCode::INVALID_REQUEST, message.into())); count])
    };
    let mut left = results.iter();
    let mut shown = Vec::with_capacity(asked.len());
    for it in &asked {
        let mut partition_result = Vec::new();
        for (partition_id, result) in it.partitions.iter().zip(left.by_ref()) {
            pause().await;
            let (error_code, error_message) = code_and_words(result);
            if all && error_code == ErrorCode::ELECTION_NOT_NEEDED.0 {
                continue;
            }
            let partition_id = *partition_id;
            partition_result.push(PartitionResult { partition_id, error_code, error_message });
        }
        shown.push(ReplicaElectionResult { topic: it.topic, partition_result });
    }
    let error = if election.is_some() { ErrorCode::NONE } else { ErrorCode::INVALID_REQUEST };
    let response = ElectLeadersResponse {
        throttle_time_ms: 0,
        // The first version has no place for it.
        error_code: if version >= 1 { error.0 } else { 0 },
        replica_election_results: shown,
    };
    Handled::in_parts(records, async |w| response.encode_in_parts(w, version, pause).await).await
}

async fn everything<'a>(image: &'a Image, pause: &impl AsyncFn()) -> Vec<TopicPartitions<'a>> {
    let mut all = Vec::with_capacity(image.topics().len());
    for topic in image.topics() {
        let partitions = (0..topic.partitions.len() as i32).collect();
        all.push(TopicPartitions { topic: &topic.name, partitions });
        pause().await;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{cluster, decode, encode};
    use crate::controller::{on_fence, on_unfence};
    use futures_lite::future::block_on;

    type Shown = (ErrorCode, Vec<(String, i32, ErrorCode)>);

    fn run(
        image: &mut Image,
        version: i16,
        election_type: i8,
        asked: Option<&[(&str, &[i32])]>,
    ) -> Shown {
        let topic_partitions = asked.map(|asked| {
            asked
                .iter()
                .map(|(topic, partitions)| TopicPartitions {
                    topic,
                    partitions: partitions.to_vec(),
                })
                .collect()
        });
        let request = ElectLeadersRequest { election_type, topic_partitions, ..Default::default() };
        let body = encode(|w| request.encode(w, version));
        let handled = block_on(handle(&body, version, image, &async || {})).unwrap();
        for it in &handled.records {
            image.apply(it);
            image.invariants();
        }
        let response = decode(&handled.response, |r| ElectLeadersResponse::decode(r, version));
        let results = response.replica_election_results.iter().flat_map(|topic| {
            topic
                .partition_result
                .iter()
                .map(|it| (topic.topic.to_owned(), it.partition_id, ErrorCode(it.error_code)))
        });
        (ErrorCode(response.error_code), results.collect())
    }

    /// Node 1 was away for a while, and others lead what it led.
    fn after_a_restart() -> Image {
        let mut image = cluster(3);
        for record in block_on(on_fence(&image, 1, &async || {})).records {
            image.apply(&record);
        }
        for record in block_on(on_unfence(&image, 1, &async || {})).records {
            image.apply(&record);
        }
        image
    }

    #[test]
    fn preferred_leaders_lead_where_they_are_in_sync() {
        for version in 0..=2 {
            let mut image = after_a_restart();
            let asked: &[(&str, &[i32])] = &[("exists", &[0]), ("three", &[0, 0, 9]), ("no", &[1])];
            let (error, results) = run(&mut image, version, 0, Some(asked));
            let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            let unavailable = ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE;
            let expected = [
                ("exists".to_owned(), 0, ErrorCode::ELECTION_NOT_NEEDED),
                ("three".to_owned(), 0, unavailable),
                ("three".to_owned(), 0, ErrorCode::ELECTION_NOT_NEEDED),
                ("three".to_owned(), 9, unknown),
                ("no".to_owned(), 1, unknown),
            ];
            assert_eq!((error, results), (ErrorCode::NONE, expected.to_vec()));
        }
        let mut image = after_a_restart();
        let (_, results) = run(&mut image, 2, 0, None);
        let unavailable = ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE;
        let expected = [0, 1].map(|it| ("three".to_owned(), it, unavailable));
        assert_eq!(results, expected);
        let mut healthy = cluster(3);
        assert_eq!(run(&mut healthy, 2, 0, None).1, []);
    }

    #[test]
    fn an_unclean_election_is_for_what_has_no_leader() {
        let mut image = cluster(3);
        let (_, results) = run(&mut image, 1, 1, Some(&[("three", &[0])]));
        assert_eq!(results[0].2, ErrorCode::ELECTION_NOT_NEEDED);
        for broker in [2, 3, 1] {
            for record in block_on(on_fence(&image, broker, &async || {})).records {
                image.apply(&record);
            }
        }
        let (_, results) = run(&mut image, 1, 1, Some(&[("three", &[0])]));
        assert_eq!(results[0].2, ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE);
        for record in block_on(on_unfence(&image, 3, &async || {})).records {
            image.apply(&record);
        }
        assert_eq!(image.topic("three").unwrap().partitions[0].leader, -1);
        let (_, results) = run(&mut image, 1, 1, None);
        let made = results.iter().filter(|it| it.0 == "three").map(|it| it.2);
        assert_eq!(made.collect::<Vec<_>>(), [ErrorCode::NONE; 2]);
        assert_eq!(image.topic("three").unwrap().partitions[0].leader, 3);
    }

    #[test]
    fn there_are_two_kinds_of_election() {
        let mut image = cluster(3);
        let asked: &[(&str, &[i32])] = &[("three", &[1])];
        let (error, results) = run(&mut image, 2, 7, Some(asked));
        assert_eq!((error, results[0].2), (ErrorCode::INVALID_REQUEST, ErrorCode::INVALID_REQUEST));
    }
}
