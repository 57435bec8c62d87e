//! `AlterPartitionReassignments`: has partitions held by other brokers, or cancels that (KIP-455).

use super::decode_in_parts;
use super::metadata_change::{Handled, code_and_words};
use crate::controller::{Image, Reassignment, reassign};
use crate::types::ErrorCode;
use crate::wire::kafka::alter_partition_reassignments_request::AlterPartitionReassignmentsRequest;
use crate::wire::kafka::alter_partition_reassignments_response::{
    AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
};
use crate::wire::primitives::WireError;

/// Answers a request, in any version. Pauses after each partition.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Handled, WireError> {
    let read = decode_in_parts(body, async |r| {
        AlterPartitionReassignmentsRequest::decode_in_parts(r, version, pause).await
    });
    let request = read.await?;
    let asked = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|it| Reassignment {
            topic: topic.name,
            partition: it.partition_index,
            replicas: it.replicas.as_deref(),
        })
    });
    let (decision, results) =
        reassign(image, asked, request.allow_replication_factor_change, pause).await;
    let mut left = results.iter();
    let mut responses = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (it, result) in topic.partitions.iter().zip(left.by_ref()) {
            let (error_code, error_message) = code_and_words(result);
            let partition_index = it.partition_index;
            partitions.push(ReassignablePartitionResponse {
                partition_index,
                error_code,
                error_message,
            });
            pause().await;
        }
        responses.push(ReassignableTopicResponse { name: topic.name, partitions });
    }
    let response = AlterPartitionReassignmentsResponse {
        throttle_time_ms: 0,
        allow_replication_factor_change: request.allow_replication_factor_change,
        error_code: ErrorCode::NONE.0,
        error_message: None,
        responses,
    };
    Handled::in_parts(decision.records, async |w| response.encode_in_parts(w, version, pause).await)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{cluster, decode, encode, id};
    use crate::controller::{IsrChange, IsrRequest, Partition, alter_isr, on_fence};
    use crate::wire::kafka::alter_partition_reassignments_request::{
        ReassignablePartition, ReassignableTopic,
    };
    use futures_lite::future::block_on;

    type Asked<'a> = (&'a str, i32, Option<&'a [i32]>);

    fn run(image: &mut Image, allow: bool, asked: &[Asked<'_>]) -> Vec<(ErrorCode, String)> {
        let topics = asked
            .iter()
            .map(|(name, partition_index, replicas)| ReassignableTopic {
                name,
                partitions: vec![ReassignablePartition {
                    partition_index: *partition_index,
                    replicas: replicas.map(<[i32]>::to_vec),
                }],
            })
            .collect();
        let request = AlterPartitionReassignmentsRequest {
            topics,
            allow_replication_factor_change: allow,
            ..Default::default()
        };
        let body = encode(|w| request.encode(w, 1));
        let handled = block_on(handle(&body, 1, image, &async || {})).unwrap();
        for it in &handled.records {
            image.apply(it);
            image.invariants();
        }
        let response =
            decode(&handled.response, |r| AlterPartitionReassignmentsResponse::decode(r, 1));
        assert_eq!(response.allow_replication_factor_change, allow);
        let results = response.responses.iter().flat_map(|it| &it.partitions);
        results
            .map(|it| (ErrorCode(it.error_code), it.error_message.unwrap_or_default().to_owned()))
            .collect()
    }

    fn first(image: &Image) -> &Partition {
        &image.topic("three").unwrap().partitions[0]
    }

    /// The leader says that these are in sync.
    fn in_sync(image: &mut Image, isr: &[i32]) -> Result<(), ErrorCode> {
        let it = first(image);
        let change = IsrChange {
            topic: id(3),
            partition: 0,
            leader_epoch: it.leader_epoch,
            partition_epoch: it.partition_epoch,
            isr: isr.iter().map(|id| (*id, 1)).collect(),
        };
        let request = IsrRequest { broker: it.leader, incarnation: 1, partitions: vec![change] };
        let (decision, results) = block_on(alter_isr(image, &request, &async || {}));
        for it in &decision.records {
            image.apply(it);
            image.invariants();
        }
        results[0].clone().map(drop)
    }

    #[test]
    fn a_reassignment_ends_when_all_that_it_adds_are_in_sync() {
        let mut image = cluster(6);
        assert_eq!(run(&mut image, true, &[("three", 0, Some(&[4, 5, 1]))])[0].0, ErrorCode::NONE);
        let it = first(&image).clone();
        assert_eq!(*it.replicas, [4, 5, 1, 2, 3]);
        assert_eq!((&*it.adding, &*it.removing), (&[4, 5][..], &[2, 3][..]));
        assert_eq!((it.leader, it.leader_epoch, &*it.isr), (1, 0, &[1, 2, 3][..]));
        in_sync(&mut image, &[1, 2, 3, 4]).unwrap();
        assert!(first(&image).is_reassigned());
        in_sync(&mut image, &[1, 4, 5]).unwrap();
        let it = first(&image);
        assert_eq!((&*it.replicas, &*it.isr), (&[4, 5, 1][..], &[4, 5, 1][..]));
        // Those who went must not go on in the epoch that they know.
        assert_eq!((it.leader, it.leader_epoch, it.is_reassigned()), (1, 1, false));
    }

    #[test]
    fn a_leader_that_goes_is_followed_by_one_that_stays() {
        let mut image = cluster(6);
        run(&mut image, true, &[("three", 0, Some(&[4, 5, 6]))]);
        let error = in_sync(&mut image, &[1, 2, 3, 4, 5, 6]).unwrap_err();
        assert_eq!(error, ErrorCode::NEW_LEADER_ELECTED);
        let it = first(&image);
        assert_eq!((&*it.replicas, &*it.isr, it.leader), (&[4, 5, 6][..], &[4, 5, 6][..], 4));
    }

    #[test]
    fn what_adds_nobody_ends_at_once() {
        let mut image = cluster(6);
        run(&mut image, true, &[("three", 0, Some(&[3, 2]))]);
        let it = first(&image);
        assert_eq!((&*it.replicas, &*it.isr), (&[3, 2][..], &[3, 2][..]));
        assert!(!it.is_reassigned() && it.leader == 3);
        let before = first(&image).clone();
        run(&mut image, true, &[("three", 0, Some(&[3, 2]))]);
        assert_eq!(*first(&image), before, "nothing changes");
    }

    #[test]
    fn a_reassignment_is_cancelled_or_replaced() {
        let mut image = cluster(6);
        run(&mut image, true, &[("three", 0, Some(&[4, 5, 6]))]);
        in_sync(&mut image, &[1, 2, 3, 4]).unwrap();
        let mut replaced = image.clone();
        run(&mut image, true, &[("three", 0, None)]);
        let it = first(&image);
        assert_eq!((&*it.replicas, &*it.isr, it.leader), (&[1, 2, 3][..], &[1, 2, 3][..], 1));
        assert!(!it.is_reassigned());
        let again = run(&mut image, true, &[("three", 0, None)]);
        assert_eq!(again[0].0, ErrorCode::NO_REASSIGNMENT_IN_PROGRESS);

        run(&mut replaced, true, &[("three", 0, Some(&[5, 1]))]);
        let it = first(&replaced);
        assert_eq!((&*it.replicas, &*it.isr), (&[5, 1, 2, 3][..], &[1, 2, 3][..]));
        assert_eq!((&*it.adding, &*it.removing), (&[5][..], &[2, 3][..]));
    }

    #[test]
    fn what_would_lose_records_is_not_cancelled() {
        let mut image = cluster(6);
        run(&mut image, true, &[("three", 0, Some(&[4, 5]))]);
        in_sync(&mut image, &[1, 4]).unwrap();
        for record in block_on(on_fence(&image, 1, &async || {})).records {
            image.apply(&record);
        }
        assert_eq!(first(&image).leader, 4);
        let refused = run(&mut image, true, &[("three", 0, None)]);
        assert_eq!(refused[0].0, ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        assert!(refused[0].1.contains("unclean leader election"), "{refused:?}");
        // Nor forgotten for another one.
        run(&mut image, true, &[("three", 0, Some(&[2, 3]))]);
        let it = first(&image);
        assert_eq!((it.leader, &*it.isr), (4, &[4][..]));
        in_sync(&mut image, &[2, 3, 4]).unwrap_err();
        assert_eq!((first(&image).leader, &*first(&image).replicas), (2, &[2, 3][..]));
    }

    #[test]
    fn what_cannot_be_has_its_code() {
        let mut image = cluster(6);
        let before = image.clone();
        let asked: [Asked<'_>; 8] = [
            ("nope", 0, Some(&[1])),
            ("three", 99, Some(&[1])),
            ("three", 0, Some(&[])),
            ("three", 0, Some(&[1, 1])),
            ("three", 0, Some(&[9])),
            ("three", 0, Some(&[1, 2])),
            ("three", 0, None),
            ("three", -1, None),
        ];
        let codes: Vec<_> =
            asked.iter().map(|it| run(&mut image, false, std::slice::from_ref(it))[0].0).collect();
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let invalid = ErrorCode::INVALID_REPLICA_ASSIGNMENT;
        let none = ErrorCode::NO_REASSIGNMENT_IN_PROGRESS;
        let factor = ErrorCode::INVALID_REPLICATION_FACTOR;
        assert_eq!(codes, [unknown, unknown, invalid, invalid, invalid, factor, none, unknown]);
        assert_eq!(image, before);
        let twice = run(&mut image, true, &[("three", 1, Some(&[2])), ("three", 1, Some(&[2]))]);
        assert_eq!([twice[0].0, twice[1].0], [ErrorCode::NONE, ErrorCode::INVALID_REQUEST]);
    }
}
