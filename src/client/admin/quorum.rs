//! The metadata quorum: who votes, and how far they have come (KIP-836, KIP-853).

use super::{TIMEOUT_MS, first};
use crate::client::{ClientError, Cluster, To, check_code};
use crate::types::TopicId;
use crate::types::topic_name::CLUSTER_METADATA;
use crate::wire::kafka::add_raft_voter_request::{AddRaftVoterRequest, Listener};
use crate::wire::kafka::describe_quorum_request::{
    DescribeQuorumRequest, PartitionData, TopicData,
};
use crate::wire::kafka::describe_quorum_response::ReplicaState;
use crate::wire::kafka::remove_raft_voter_request::RemoveRaftVoterRequest;
use std::collections::BTreeMap;

/// A member of the quorum, or one that follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumReplica {
    /// Node id.
    pub id: i32,
    /// Id of its directory; zero where it is not known.
    pub directory: TopicId,
    /// The offset behind the last record that it has.
    pub log_end_offset: i64,
    /// When the leader has heard of it last, ms since 1970; -1 where that is not known.
    pub last_fetch_ms: i64,
    /// When it had everything last, ms since 1970; -1 where that is not known.
    pub last_caught_up_ms: i64,
}

/// Where a member of the quorum is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the listener.
    pub name: String,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// The quorum as its leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quorum {
    /// Node id of the leader.
    pub leader: i32,
    /// Its term.
    pub leader_epoch: i32,
    /// The offset behind the last record that is committed.
    pub high_watermark: i64,
    /// Who votes.
    pub voters: Vec<QuorumReplica>,
    /// Who follows without a vote.
    pub observers: Vec<QuorumReplica>,
    /// Endpoints by node id, as far as they are known.
    pub endpoints: BTreeMap<i32, Vec<Endpoint>>,
}

impl Quorum {
    /// The member that leads.
    pub fn leading(&self) -> Option<&QuorumReplica> {
        self.voters.iter().find(|it| it.id == self.leader)
    }
}

fn replica(it: &ReplicaState) -> QuorumReplica {
    QuorumReplica {
        id: it.replica_id,
        directory: it.replica_directory_id,
        log_end_offset: it.log_end_offset,
        last_fetch_ms: it.last_fetch_timestamp,
        last_caught_up_ms: it.last_caught_up_timestamp,
    }
}

impl Cluster {
    /// The quorum.
    pub fn describe_quorum(&mut self) -> Result<Quorum, ClientError> {
        let partitions = vec![PartitionData { partition_index: 0 }];
        let request = DescribeQuorumRequest {
            topics: vec![TopicData { topic_name: CLUSTER_METADATA, partitions }],
        };
        let what = || "the quorum".to_owned();
        self.ask(To::Controller, &request, |reply| {
            let response = reply.read::<DescribeQuorumRequest<'_>>()?;
            check_code(response.error_code, what, response.error_message)?;
            let topic = first(&response.topics)?;
            let it = first(&topic.partitions)?;
            check_code(it.error_code, what, it.error_message)?;
            let endpoints = response.nodes.iter().map(|node| {
                let listeners = node.listeners.iter().map(|it| Endpoint {
                    name: it.name.to_owned(),
                    host: it.host.to_owned(),
                    port: it.port,
                });
                (node.node_id, listeners.collect())
            });
            Ok(Quorum {
                leader: it.leader_id,
                leader_epoch: it.leader_epoch,
                high_watermark: it.high_watermark,
                voters: it.current_voters.iter().map(replica).collect(),
                observers: it.observers.iter().map(replica).collect(),
                endpoints: endpoints.collect(),
            })
        })
    }

    /// Gives a node that follows the quorum a vote.
    pub fn add_voter(
        &mut self,
        id: i32,
        directory: TopicId,
        endpoints: &[Endpoint],
    ) -> Result<(), ClientError> {
        let listeners =
            endpoints.iter().map(|it| Listener { name: &it.name, host: &it.host, port: it.port });
        let request = AddRaftVoterRequest {
            cluster_id: None,
            timeout_ms: TIMEOUT_MS,
            voter_id: id,
            voter_directory_id: directory,
            listeners: listeners.collect(),
            ack_when_committed: true,
        };
        self.command(To::Controller, &request, |reply| {
            let response = reply.read::<AddRaftVoterRequest<'_>>()?;
            check_code(response.error_code, || format!("voter {id}"), response.error_message)
        })
    }

    /// Takes a node's vote.
    pub fn remove_voter(&mut self, id: i32, directory: TopicId) -> Result<(), ClientError> {
        let request = RemoveRaftVoterRequest {
            cluster_id: None,
            voter_id: id,
            voter_directory_id: directory,
        };
        self.command(To::Controller, &request, |reply| {
            let response = reply.read::<RemoveRaftVoterRequest<'_>>()?;
            check_code(response.error_code, || format!("voter {id}"), response.error_message)
        })
    }
}
