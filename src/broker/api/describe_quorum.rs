//! `DescribeQuorum`: the metadata quorum and how far its members have come (KIP-595, KIP-836).

use super::Body;
use super::decode;
use crate::controller::{Image, QuorumState, ReplicaState};
use crate::types::topic_name::CLUSTER_METADATA;
use crate::types::{ErrorCode, TopicId};
use crate::wire::kafka::describe_quorum_request::DescribeQuorumRequest;
use crate::wire::kafka::describe_quorum_response as answer;
use crate::wire::primitives::WireError;

/// The quorum, as the node that leads it sees it, and when.
#[derive(Clone, Debug, Default)]
pub struct QuorumView {
    /// `None` where this node does not lead.
    pub state: Option<QuorumState>,
    /// The time of the wall clock, ms.
    pub now_ms: i64,
    /// What a tick of the quorum takes, ms.
    pub tick_ms: i64,
}

/// Answers a request, in any version: of the metadata's one partition.
pub fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    quorum: &QuorumView,
) -> Result<Body, WireError> {
    let request = decode(body, |r| DescribeQuorumRequest::decode(r, version))?;
    let mut described = false;
    let mut topics = Vec::new();
    for topic in &request.topics {
        let partition = |it: &crate::wire::kafka::describe_quorum_request::PartitionData| {
            let known = topic.topic_name == CLUSTER_METADATA && it.partition_index == 0;
            let fail = |error: ErrorCode| answer::PartitionData {
                partition_index: it.partition_index,
                error_code: error.0,
                error_message: Some(error.message()),
                ..Default::default()
            };
            match &quorum.state {
                _ if !known => fail(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                None => fail(ErrorCode::NOT_LEADER_OR_FOLLOWER),
                Some(state) => {
                    described = true;
                    describe(state, version, image, quorum)
                }
            }
        };
        let partitions = topic.partitions.iter().map(partition).collect();
        topics.push(answer::TopicData { topic_name: topic.topic_name, partitions });
    }
    let nodes = quorum.state.iter().filter(|_| described && version >= 2);
    let response = answer::DescribeQuorumResponse {
        error_code: ErrorCode::NONE.0,
        error_message: None,
        topics,
        nodes: nodes.flat_map(|state| nodes_of(state, image)).collect(),
    };
    Body::new(|w| response.encode(w, version))
}

fn describe<'a>(
    state: &QuorumState,
    version: i16,
    image: &Image,
    quorum: &QuorumView,
) -> answer::PartitionData<'a> {
    let at = |ticks: Option<u64>| {
        let ago =
            |ticks: u64| i64::try_from(ticks).unwrap_or(i64::MAX).saturating_mul(quorum.tick_ms);
        ticks.filter(|_| version >= 1).map_or(-1, |it| quorum.now_ms.saturating_sub(ago(it)).max(0))
    };
    let replica = |it: &ReplicaState| {
        let directory = image.broker(it.node).map_or(0, |it| it.directory);
        answer::ReplicaState {
            replica_id: it.node,
            replica_directory_id: match version {
                ..2 => TopicId::ZERO,
                _ => TopicId(directory.to_be_bytes()),
            },
            log_end_offset: it.last as i64 + 1,
            last_fetch_timestamp: at(it.heard),
            last_caught_up_timestamp: at(it.caught_up),
        }
    };
    answer::PartitionData {
        partition_index: 0,
        error_code: ErrorCode::NONE.0,
        error_message: None,
        leader_id: state.leader,
        leader_epoch: state.term as i32,
        high_watermark: state.committed as i64 + 1,
        current_voters: state.voters.iter().map(replica).collect(),
        observers: state.learners.iter().map(replica).collect(),
    }
}

/// Where those who vote are connected to, as far as that is known.
fn nodes_of<'a>(
    state: &'a QuorumState,
    image: &'a Image,
) -> impl Iterator<Item = answer::Node<'a>> {
    state.voters.iter().filter_map(|it| image.broker(it.node)).map(|it| answer::Node {
        node_id: it.id,
        listeners: vec![answer::Listener {
            name: "CONTROLLER",
            host: &it.peer_host,
            port: it.peer_port,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{cluster, decode, encode};
    use crate::wire::kafka::describe_quorum_request::{PartitionData, TopicData};

    fn view() -> QuorumView {
        let replica = |node, last, ago| ReplicaState { node, last, heard: ago, caught_up: ago };
        let state = QuorumState {
            leader: 1,
            term: 4,
            committed: 9,
            voters: vec![replica(1, 10, Some(0)), replica(2, 9, Some(3))],
            learners: vec![replica(7, 0, None)],
            changing: false,
        };
        QuorumView { state: Some(state), now_ms: 5_000, tick_ms: 100 }
    }

    fn run<T>(
        version: i16,
        topic_name: &str,
        view: &QuorumView,
        look: impl FnOnce(&answer::DescribeQuorumResponse<'_>) -> T,
    ) -> T {
        let partitions = vec![PartitionData { partition_index: 0 }];
        let request = DescribeQuorumRequest { topics: vec![TopicData { topic_name, partitions }] };
        let body = encode(|w| request.encode(w, version));
        let body = handle(&body, version, &cluster(2), view).unwrap();
        look(&decode(&body, |r| answer::DescribeQuorumResponse::decode(r, version)))
    }

    #[test]
    fn members_are_described_with_how_far_they_are() {
        for version in 0..=2 {
            run(version, CLUSTER_METADATA, &view(), |it| {
                let partition = &it.topics[0].partitions[0];
                assert_eq!(partition.error_code, 0);
                assert_eq!((partition.leader_id, partition.leader_epoch), (1, 4));
                assert_eq!(partition.high_watermark, 10);
                let voter = &partition.current_voters[1];
                assert_eq!((voter.replica_id, voter.log_end_offset), (2, 10));
                let at = if version >= 1 { 4_700 } else { -1 };
                assert_eq!([voter.last_fetch_timestamp, voter.last_caught_up_timestamp], [at; 2]);
                let learner = &partition.observers[0];
                assert_eq!((learner.replica_id, learner.last_fetch_timestamp), (7, -1));
                let hosts: Vec<_> = it.nodes.iter().map(|it| it.listeners[0].host).collect();
                assert_eq!(hosts, if version >= 2 { vec!["peer-1", "peer-2"] } else { vec![] });
            });
        }
    }

    #[test]
    fn there_is_one_such_partition_and_its_leader_knows_it() {
        let code = |topic, view: &QuorumView| {
            run(2, topic, view, |it| ErrorCode(it.topics[0].partitions[0].error_code))
        };
        assert_eq!(code("three", &view()), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let not_leading = QuorumView::default();
        assert_eq!(code(CLUSTER_METADATA, &not_leading), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
}
