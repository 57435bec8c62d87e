//! `ListPartitionReassignments`: what is being reassigned (KIP-455).

use super::Body;
use super::decode_in_parts;
use crate::controller::{Image, Partition, Topic};
use crate::wire::kafka::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use crate::wire::kafka::list_partition_reassignments_response::{
    ListPartitionReassignmentsResponse, OngoingPartitionReassignment, OngoingTopicReassignment,
};
use crate::wire::primitives::WireError;

/// Answers a request, in any version: of what does not exist, and of what is not reassigned, nothing is said. Pauses
/// after each partition that is looked at.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Body, WireError> {
    let read = decode_in_parts(body, async |r| {
        ListPartitionReassignmentsRequest::decode_in_parts(r, version, pause).await
    });
    let request = read.await?;
    let mut topics = Vec::new();
    match &request.topics {
        None => {
            for topic in image.topics() {
                let count = topic.partitions.len() as i32;
                topics.extend(ongoing(topic, 0..count, pause).await);
            }
        }
        Some(asked) => {
            for it in asked {
                pause().await;
                if let Some(topic) = image.topic(it.name) {
                    let indexes = it.partition_indexes.iter().copied();
                    topics.extend(ongoing(topic, indexes, pause).await);
                }
            }
        }
    }
    let response = ListPartitionReassignmentsResponse { topics, ..Default::default() };
    Body::in_parts(async |w| response.encode_in_parts(w, version, pause).await).await
}

async fn ongoing<'a>(
    topic: &'a Topic,
    indexes: impl Iterator<Item = i32>,
    pause: &impl AsyncFn(),
) -> Option<OngoingTopicReassignment<'a>> {
    let mut partitions = Vec::new();
    for index in indexes {
        pause().await;
        let found = topic.partition(index);
        if let Some(it) = found.filter(|it| it.is_reassigned()) {
            partitions.push(shown(index, it));
        }
    }
    (!partitions.is_empty()).then_some(OngoingTopicReassignment { name: &topic.name, partitions })
}

fn shown(partition_index: i32, it: &Partition) -> OngoingPartitionReassignment {
    OngoingPartitionReassignment {
        partition_index,
        replicas: it.replicas.to_vec(),
        adding_replicas: it.adding.to_vec(),
        removing_replicas: it.removing.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{cluster, decode, encode, id};
    use crate::controller::{PartitionChange, Record};
    use crate::wire::kafka::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
    use futures_lite::future::block_on;

    fn run(image: &Image, asked: Option<&[(&str, &[i32])]>) -> Vec<(String, i32, [Vec<i32>; 3])> {
        let topics = asked.map(|asked| {
            asked
                .iter()
                .map(|(name, indexes)| ListPartitionReassignmentsTopics {
                    name,
                    partition_indexes: indexes.to_vec(),
                })
                .collect()
        });
        let request = ListPartitionReassignmentsRequest { topics, ..Default::default() };
        let body = encode(|w| request.encode(w, 0));
        let body = block_on(handle(&body, 0, image, &async || {})).unwrap();
        let response = decode(&body, |r| ListPartitionReassignmentsResponse::decode(r, 0));
        let topics = response.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|it| {
                let lists = [&it.replicas, &it.adding_replicas, &it.removing_replicas];
                (topic.name.to_owned(), it.partition_index, lists.map(Clone::clone))
            })
        });
        topics.collect()
    }

    #[test]
    fn what_is_under_way_is_listed() {
        let mut image = cluster(5);
        assert_eq!(run(&image, None), []);
        let change = PartitionChange {
            replicas: Some([4, 1, 2, 3].into()),
            adding: Some([4].into()),
            removing: Some([3].into()),
            ..Default::default()
        };
        image.apply(&Record::PartitionsChanged { id: id(3), changes: vec![(1, change)] });
        let expected = [("three".to_owned(), 1, [vec![4, 1, 2, 3], vec![4], vec![3]])];
        assert_eq!(run(&image, None), expected);
        assert_eq!(run(&image, Some(&[("nope", &[0]), ("three", &[-1, 0, 1, 99])])), expected);
        assert_eq!(run(&image, Some(&[("three", &[0])])), []);
    }
}
