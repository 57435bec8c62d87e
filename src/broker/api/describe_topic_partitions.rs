//! `DescribeTopicPartitions`: topics page by page, by name (KIP-966).

use super::Body;
use super::decode_in_parts;
use super::metadata::{leader, leader_error, offline};
use super::metadata_change::TOPIC_OPERATIONS;
use crate::controller::{Image, Partition};
use crate::types::ErrorCode;
use crate::types::topic_name::{check_topic_name, is_internal};
use crate::wire::kafka::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest,
};
use crate::wire::kafka::describe_topic_partitions_response as answer;
use crate::wire::primitives::WireError;
use std::collections::BTreeSet;

/// Answers a request, in any version. Pauses after each topic and each partition.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Body, WireError> {
    let read = decode_in_parts(body, async |r| {
        DescribeTopicPartitionsRequest::decode_in_parts(r, version, pause).await
    });
    let request = read.await?;
    let cursor = request.cursor.as_ref();
    let mut names = BTreeSet::new();
    for topic in &request.topics {
        names.insert(topic.name);
        pause().await;
    }
    let mut response = answer::DescribeTopicPartitionsResponse::default();
    if contradicts(cursor, &names) {
        for name in names {
            response.topics.push(answer::DescribeTopicPartitionsResponseTopic {
                error_code: ErrorCode::INVALID_REQUEST.0,
                name: Some(name),
                ..Default::default()
            });
            pause().await;
        }
        return Body::in_parts(async |w| response.encode_in_parts(w, version, pause).await).await;
    }
    let from = cursor.map_or("", |it| it.topic_name);
    let all = names.is_empty().then(|| image.topics_from(from));
    let all = all.into_iter().flatten().map(|topic| (&*topic.name, Some(topic)));
    let named = names.range(from..).map(|name| (*name, image.topic(name)));
    let limit = image.broker_configs.number("max.request.partition.size.limit").unwrap_or(2000);
    let mut left = i64::from(request.response_partition_limit).min(limit).max(1) as usize;
    for (name, topic) in all.chain(named) {
        pause().await;
        if left == 0 {
            let cursor = answer::Cursor { topic_name: name, partition_index: 0 };
            response.next_cursor = Some(cursor);
            break;
        }
        let mut shown = answer::DescribeTopicPartitionsResponseTopic {
            name: Some(name),
            is_internal: is_internal(name),
            topic_authorized_operations: TOPIC_OPERATIONS,
            ..Default::default()
        };
        let Some(topic) = topic else {
            let code = match check_topic_name(name) {
                Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
            };
            shown.error_code = code.0;
            response.topics.push(shown);
            continue;
        };
        shown.topic_id = topic.id;
        let first = cursor.filter(|it| it.topic_name == name).map_or(0, |it| it.partition_index);
        let rest = topic.partitions.iter().zip(0..).skip(first as usize);
        for (it, index) in rest.take(left) {
            shown.partitions.push(partition(it, index, image));
            pause().await;
        }
        left -= shown.partitions.len();
        let next = first as usize + shown.partitions.len();
        response.topics.push(shown);
        if next < topic.partitions.len() {
            let partition_index = next as i32;
            response.next_cursor = Some(answer::Cursor { topic_name: name, partition_index });
            break;
        }
    }
    Body::in_parts(async |w| response.encode_in_parts(w, version, pause).await).await
}

/// A cursor must name one of the topics that are asked for, if any are.
fn contradicts(cursor: Option<&Cursor<'_>>, names: &BTreeSet<&str>) -> bool {
    cursor.is_some_and(|cursor| {
        cursor.partition_index < 0 || !names.is_empty() && !names.contains(cursor.topic_name)
    })
}

fn partition(
    it: &Partition,
    index: i32,
    image: &Image,
) -> answer::DescribeTopicPartitionsResponsePartition {
    answer::DescribeTopicPartitionsResponsePartition {
        error_code: leader_error(it, image).0,
        partition_index: index,
        leader_id: leader(it, image),
        leader_epoch: it.leader_epoch,
        replica_nodes: it.replicas.to_vec(),
        isr_nodes: it.isr.to_vec(),
        eligible_leader_replicas: Some(it.elr.to_vec()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: offline(it, image),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{cluster, decode, encode, id, image};
    use crate::controller::{PartitionChange, Record};
    use crate::wire::kafka::describe_topic_partitions_request::TopicRequest;
    use futures_lite::future::block_on;

    #[test]
    fn who_may_lead_is_shown() {
        let mut image = cluster(3);
        let change = PartitionChange {
            leader: Some(-1),
            isr: Some([].into()),
            elr: Some([2].into()),
            ..PartitionChange::default()
        };
        image.apply(&Record::PartitionsChanged { id: id(3), changes: vec![(0, change)] });
        image.apply(&Record::BrokerFenced { broker: 2 });
        let it = partition(&image.topic("three").unwrap().partitions[0], 0, &image);
        assert_eq!((it.error_code, it.leader_id), (ErrorCode::LEADER_NOT_AVAILABLE.0, -1));
        assert_eq!((it.leader_epoch, it.isr_nodes), (1, vec![]));
        assert_eq!((it.eligible_leader_replicas, it.offline_replicas), (Some(vec![2]), vec![2]));
    }

    type Page = (Vec<(String, ErrorCode, Vec<i32>)>, Option<(String, i32)>);

    fn run(names: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> Page {
        let request = DescribeTopicPartitionsRequest {
            topics: names.iter().map(|name| TopicRequest { name }).collect(),
            response_partition_limit: limit,
            cursor: cursor
                .map(|(topic_name, partition_index)| Cursor { topic_name, partition_index }),
        };
        let body = encode(|w| request.encode(w, 0));
        let body = block_on(handle(&body, 0, &image(), &async || {})).unwrap();
        let response = decode(&body, |r| answer::DescribeTopicPartitionsResponse::decode(r, 0));
        let topics = response.topics.iter().map(|it| {
            let partitions = it.partitions.iter().map(|it| it.partition_index).collect();
            (it.name.unwrap().to_owned(), ErrorCode(it.error_code), partitions)
        });
        let next = response.next_cursor.as_ref();
        (topics.collect(), next.map(|it| (it.topic_name.to_owned(), it.partition_index)))
    }

    fn page(topic: &str, partitions: std::ops::Range<i32>) -> (String, ErrorCode, Vec<i32>) {
        (topic.to_owned(), ErrorCode::NONE, partitions.collect())
    }

    #[test]
    fn pages_follow_each_other() {
        let all = vec![page("dotted.name", 0..5), page("exists", 0..2)];
        assert_eq!(run(&[], 2000, None), (all.clone(), None));
        assert_eq!(run(&["exists", "dotted.name", "exists"], 2000, None), (all, None));
        let (found, next) = run(&[], 3, None);
        assert_eq!(found, [page("dotted.name", 0..3)]);
        assert_eq!(next, Some(("dotted.name".into(), 3)));
        let (found, next) = run(&[], 3, Some(("dotted.name", 3)));
        assert_eq!(found, [page("dotted.name", 3..5), page("exists", 0..1)]);
        assert_eq!(next, Some(("exists".into(), 1)));
        assert_eq!(run(&[], 3, Some(("exists", 1))), (vec![page("exists", 1..2)], None));
        // A page that ends with a topic leads to the next one.
        let (found, next) = run(&[], 5, None);
        assert_eq!((found.len(), next), (1, Some(("exists".into(), 0))));
        // A limit that is not positive is one.
        assert_eq!(run(&[], -7, None).0, [page("dotted.name", 0..1)]);
        // A cursor at a topic that is gone goes on with the one after it.
        assert_eq!(run(&[], 9, Some(("dotted.zzz", 4))).0, [page("exists", 0..2)]);
        assert_eq!(run(&[], 9, Some(("exists", i32::MAX))).0, [page("exists", 0..0)]);
    }

    #[test]
    fn unknown_topics_and_bad_cursors_have_their_codes() {
        let codes = |page: Page| page.0.into_iter().map(|it| it.1).collect::<Vec<_>>();
        assert_eq!(
            codes(run(&["a b", "exists", "zz"], 10, None)),
            [
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                ErrorCode::NONE,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            ]
        );
        let invalid = [ErrorCode::INVALID_REQUEST];
        assert_eq!(codes(run(&["exists"], 10, Some(("other", 0)))), invalid);
        assert_eq!(codes(run(&["exists"], 10, Some(("exists", -1)))), invalid);
    }
}
