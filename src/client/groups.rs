//! Consumer groups from outside: their coordinators, their members, and their offsets.
//!
//! Functions that end in `_once` make one attempt; the others try again while an error may pass, and
//! look for the coordinator anew.

use super::consumer::{CommitOffset, Partitions};
use super::coordinator::{self, Coordinated};
use super::{ClientError, Cluster, To, check_code, first_of};
use crate::types::ErrorCode;
use crate::wire::kafka::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use crate::wire::kafka::consumer_group_describe_response::Assignment as ConsumerAssignment;
use crate::wire::kafka::delete_groups_request::DeleteGroupsRequest;
use crate::wire::kafka::describe_groups_request::DescribeGroupsRequest;
use crate::wire::kafka::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use crate::wire::kafka::list_groups_request::ListGroupsRequest;
use crate::wire::kafka::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::wire::kafka::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use crate::wire::kafka::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use std::collections::BTreeMap;

/// Offsets to commit, by topic and partition.
pub type Commits = BTreeMap<String, BTreeMap<i32, CommitOffset>>;

/// A committed offset; -1 for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next record that the group has to read.
    pub offset: i64,
    /// Leader epoch of the last one that it has read; -1 for none.
    pub leader_epoch: i32,
    /// What the group stored with it.
    pub metadata: String,
}

/// Committed offsets, by topic and partition.
pub type CommittedOffsets = BTreeMap<String, BTreeMap<i32, Committed>>;

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupListing {
    /// Group id.
    pub id: String,
    /// Its state, as `Stable`; empty where the broker does not say.
    pub state: String,
    /// `Classic` or `Consumer`; empty where the broker does not say.
    pub kind: String,
    /// `consumer`, `connect`, or empty for a group that only has offsets.
    pub protocol_type: String,
}

/// A group with its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupDescription {
    /// Group id.
    pub id: String,
    /// Its state; `Dead` for a group that does not exist.
    pub state: String,
    /// `consumer` for the groups of consumers.
    pub protocol_type: String,
    /// The assignor.
    pub protocol: String,
    /// Members in the coordinator's order.
    pub members: Vec<MemberDescription>,
    /// Node id of the coordinator.
    pub coordinator: i32,
    /// Epochs of the group and of its targets, of one of the new protocol (KIP-848).
    pub epochs: Option<(i32, i32)>,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberDescription {
    /// Member id.
    pub id: String,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// The host that it is connected from.
    pub host: String,
    /// The partitions that it reads.
    pub assignment: Partitions,
    /// Its epoch and its target, of a group of the new protocol.
    pub target: Option<(i32, Partitions)>,
    /// It speaks the new protocol; `None` of a classic group, or where the broker does not say.
    pub upgraded: Option<bool>,
}

/// Node id of the group's coordinator.
pub fn find_coordinator_once(cluster: &mut Cluster, group: &str) -> Result<i32, ClientError> {
    coordinator::find_once(cluster, Coordinated::Group, group)
}

/// Does `work` at the group's coordinator, again while an error may pass.
fn at_coordinator<T>(
    cluster: &mut Cluster,
    group: &str,
    work: impl FnMut(&mut Cluster, i32) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    coordinator::at(cluster, Coordinated::Group, group, work)
}

/// The topics of a request that commits `offsets`, of each of which `parts` gives offset, leader epoch and metadata.
pub fn commit_topics<'a, O>(
    offsets: &'a BTreeMap<String, BTreeMap<i32, O>>,
    parts: impl Fn(&'a O) -> (i64, i32, &'a str),
) -> Vec<OffsetCommitRequestTopic<'a>> {
    let partition = |(number, offset): (&i32, &'a O)| {
        let (committed_offset, committed_leader_epoch, metadata) = parts(offset);
        OffsetCommitRequestPartition {
            partition_index: *number,
            committed_offset,
            committed_leader_epoch,
            committed_metadata: Some(metadata),
        }
    };
    let topic = |(name, partitions): (&'a String, &'a BTreeMap<i32, O>)| OffsetCommitRequestTopic {
        name,
        partitions: partitions.iter().map(partition).collect(),
        ..OffsetCommitRequestTopic::default()
    };
    offsets.iter().map(topic).collect()
}

/// The request that commits `offsets`; ("", -1) as member and generation is whoever sets offsets from
/// outside.
pub fn commit_request<'a>(
    group: &'a str,
    member: &'a str,
    generation: i32,
    instance_id: Option<&'a str>,
    offsets: &'a Commits,
) -> OffsetCommitRequest<'a> {
    let topics = commit_topics(offsets, |it| (it.offset, it.leader_epoch, ""));
    OffsetCommitRequest {
        group_id: group,
        generation_id_or_member_epoch: generation,
        member_id: member,
        group_instance_id: instance_id,
        topics,
        ..OffsetCommitRequest::default()
    }
}

/// Sets offsets of a group without members. The first partition that is refused is the error.
pub fn commit(cluster: &mut Cluster, group: &str, offsets: &Commits) -> Result<(), ClientError> {
    at_coordinator(cluster, group, |cluster, node| {
        let request = commit_request(group, "", -1, None, offsets);
        let reply = cluster.try_call(To::Node(node), &request)?;
        let response = reply.read::<OffsetCommitRequest<'_>>()?;
        for topic in &response.topics {
            for p in &topic.partitions {
                let what = || {
                    let partition = p.partition_index;
                    format!("the offset of partition {partition} of topic '{}'", topic.name)
                };
                check_code(p.error_code, what, None)?;
            }
        }
        Ok(())
    })
}

/// Offsets that a group has committed; of these partitions, or all. With `stable`, an offset of an
/// open transaction is an error that passes.
pub fn fetch_offsets_once(
    cluster: &mut Cluster,
    group: &str,
    partitions: Option<&Partitions>,
    stable: bool,
) -> Result<CommittedOffsets, ClientError> {
    let node = find_coordinator_once(cluster, group)?;
    fetch_offsets_at(cluster, node, group, partitions, stable)
}

/// As [`fetch_offsets_once`] for all partitions, with patience.
pub fn fetch_offsets(cluster: &mut Cluster, group: &str) -> Result<CommittedOffsets, ClientError> {
    at_coordinator(cluster, group, |cluster, node| {
        fetch_offsets_at(cluster, node, group, None, false)
    })
}

fn fetch_offsets_at(
    cluster: &mut Cluster,
    node: i32,
    group: &str,
    partitions: Option<&Partitions>,
    stable: bool,
) -> Result<CommittedOffsets, ClientError> {
    type Fetch<'a> = OffsetFetchRequest<'a>;
    let version = cluster.version::<Fetch<'_>>(To::Node(node))?;
    let require_stable = stable && version >= 7;
    let request = if version >= 8 {
        let topics = partitions.map(|all| {
            let topics = all.iter().map(|(name, numbers)| OffsetFetchRequestTopics {
                name,
                partition_indexes: numbers.clone(),
                ..OffsetFetchRequestTopics::default()
            });
            topics.collect()
        });
        let asked = OffsetFetchRequestGroup {
            group_id: group,
            topics,
            ..OffsetFetchRequestGroup::default()
        };
        Fetch { groups: vec![asked], require_stable, ..Fetch::default() }
    } else {
        let topics = partitions.map(|all| {
            let topics = all.iter().map(|(name, numbers)| OffsetFetchRequestTopic {
                name,
                partition_indexes: numbers.clone(),
            });
            topics.collect()
        });
        Fetch { group_id: group, topics, require_stable, ..Fetch::default() }
    };
    let reply = cluster.try_call_soon(To::Node(node), &request)?;
    let response = reply.read::<Fetch<'_>>()?;
    let what = || format!("the offsets of group '{group}'");
    check_code(response.error_code, what, None)?;
    let mut found = CommittedOffsets::new();
    let mut put = |topic: &str, number, code, offset, leader_epoch, metadata: Option<&str>| {
        check_code(code, what, None)?;
        let metadata = metadata.unwrap_or_default().to_owned();
        let committed = Committed { offset, leader_epoch, metadata };
        found.entry(topic.to_owned()).or_default().insert(number, committed);
        Ok::<(), ClientError>(())
    };
    for topic in &response.topics {
        for p in &topic.partitions {
            let (number, code) = (p.partition_index, p.error_code);
            let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
            put(topic.name, number, code, offset, epoch, p.metadata)?;
        }
    }
    for group in &response.groups {
        check_code(group.error_code, what, None)?;
        for topic in &group.topics {
            for p in &topic.partitions {
                let (number, code) = (p.partition_index, p.error_code);
                let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
                put(topic.name, number, code, offset, epoch, p.metadata)?;
            }
        }
    }
    Ok(found)
}

/// Tells the coordinator at `node` that a member leaves.
pub fn leave(
    cluster: &mut Cluster,
    node: i32,
    group: &str,
    member: &str,
    reason: &str,
) -> Result<(), ClientError> {
    type Leave<'a> = LeaveGroupRequest<'a>;
    let version = cluster.version::<Leave<'_>>(To::Node(node))?;
    let request = if version >= 3 {
        let identity =
            MemberIdentity { member_id: member, reason: Some(reason), ..MemberIdentity::default() };
        Leave { group_id: group, members: vec![identity], ..Leave::default() }
    } else {
        Leave { group_id: group, member_id: member, ..Leave::default() }
    };
    let reply = cluster.try_call(To::Node(node), &request)?;
    let response = reply.read::<Leave<'_>>()?;
    let code = response.members.first().map_or(response.error_code, |m| m.error_code);
    match ErrorCode(code) {
        // The coordinator has forgotten it already: it is gone, as it should be.
        ErrorCode::UNKNOWN_MEMBER_ID => Ok(()),
        _ => check_code(code, || format!("leaving group '{group}'"), None),
    }
}

/// All groups of the cluster, in order of their ids. The filters are names of states and types, none
/// for all; a broker that cannot filter is asked for everything.
pub fn list(
    cluster: &mut Cluster,
    states: &[&str],
    types: &[&str],
) -> Result<Vec<GroupListing>, ClientError> {
    cluster.refresh(Some(&[]), false)?;
    let nodes: Vec<i32> = cluster.metadata().brokers.keys().copied().collect();
    let mut groups = Vec::new();
    for node in nodes {
        let version = cluster.version::<ListGroupsRequest<'_>>(To::Node(node))?;
        let request = ListGroupsRequest {
            states_filter: if version >= 4 { states.to_vec() } else { Vec::new() },
            types_filter: if version >= 5 { types.to_vec() } else { Vec::new() },
        };
        let found = cluster.call(To::Node(node), &request, |reply| {
            let response = reply.read::<ListGroupsRequest<'_>>()?;
            check_code(response.error_code, || "listing groups".to_owned(), None)?;
            let listed = response.groups.iter().map(|g| GroupListing {
                id: g.group_id.to_owned(),
                state: g.group_state.to_owned(),
                kind: g.group_type.to_owned(),
                protocol_type: g.protocol_type.to_owned(),
            });
            Ok(listed.collect::<Vec<_>>())
        })?;
        groups.extend(found);
    }
    groups.sort();
    groups.dedup();
    Ok(groups)
}

/// A group and its members. A group that does not exist is [`ErrorCode::GROUP_ID_NOT_FOUND`], from
/// brokers that say so, or has the state `Dead`.
pub fn describe(cluster: &mut Cluster, group: &str) -> Result<GroupDescription, ClientError> {
    at_coordinator(cluster, group, |cluster, node| {
        if let Some(found) = describe_consumer(cluster, node, group)? {
            return Ok(found);
        }
        let request =
            DescribeGroupsRequest { groups: vec![group], include_authorized_operations: false };
        let reply = cluster.try_call(To::Node(node), &request)?;
        let response = reply.read::<DescribeGroupsRequest<'_>>()?;
        let what = || format!("group '{group}'");
        let found = first_of(&response.groups, what)?;
        check_code(found.error_code, what, found.error_message)?;
        let members = found
            .members
            .iter()
            .map(|m| MemberDescription {
                id: m.member_id.to_owned(),
                instance_id: m.group_instance_id.map(str::to_owned),
                client_id: m.client_id.to_owned(),
                host: m.client_host.to_owned(),
                // Other protocol types than consumers' have a format of their own.
                assignment: super::consumer::decode_assignment(m.member_assignment)
                    .unwrap_or_default(),
                target: None,
                upgraded: None,
            })
            .collect();
        Ok(GroupDescription {
            id: group.to_owned(),
            state: found.group_state.to_owned(),
            protocol_type: found.protocol_type.to_owned(),
            protocol: found.protocol_data.to_owned(),
            members,
            coordinator: node,
            epochs: None,
        })
    })
}

fn named(it: &ConsumerAssignment<'_>) -> Partitions {
    let topics = it.topic_partitions.iter();
    topics.map(|it| (it.topic_name.to_owned(), it.partitions.clone())).collect()
}

/// Describes a group of the new protocol; `None` where the broker does not know that, or the group is
/// none of that kind.
fn describe_consumer(
    cluster: &mut Cluster,
    node: i32,
    group: &str,
) -> Result<Option<GroupDescription>, ClientError> {
    type Describe<'a> = ConsumerGroupDescribeRequest<'a>;
    if cluster.version::<Describe<'_>>(To::Node(node)).is_err() {
        return Ok(None);
    }
    let request = Describe { group_ids: vec![group], include_authorized_operations: false };
    let reply = cluster.try_call(To::Node(node), &request)?;
    let response = reply.read::<Describe<'_>>()?;
    let Some(found) = response.groups.first() else { return Ok(None) };
    let code = ErrorCode(found.error_code);
    if code == ErrorCode::GROUP_ID_NOT_FOUND || code == ErrorCode::UNSUPPORTED_VERSION {
        return Ok(None);
    }
    check_code(found.error_code, || format!("group '{group}'"), found.error_message)?;
    let members = found.members.iter().map(|it| MemberDescription {
        id: it.member_id.to_owned(),
        instance_id: it.instance_id.map(str::to_owned),
        client_id: it.client_id.to_owned(),
        host: it.client_host.to_owned(),
        assignment: named(&it.assignment),
        target: Some((it.member_epoch, named(&it.target_assignment))),
        upgraded: (it.member_type >= 0).then_some(it.member_type == 1),
    });
    Ok(Some(GroupDescription {
        id: group.to_owned(),
        state: found.group_state.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocol: found.assignor_name.to_owned(),
        members: members.collect(),
        coordinator: node,
        epochs: Some((found.group_epoch, found.assignment_epoch)),
    }))
}

/// Deletes a group without members, with its offsets.
pub fn delete(cluster: &mut Cluster, group: &str) -> Result<(), ClientError> {
    at_coordinator(cluster, group, |cluster, node| {
        let request = DeleteGroupsRequest { groups_names: vec![group] };
        let reply = cluster.try_call(To::Node(node), &request)?;
        let response = reply.read::<DeleteGroupsRequest<'_>>()?;
        let code = response.results.first().map_or(0, |r| r.error_code);
        check_code(code, || format!("deleting group '{group}'"), None)
    })
}

/// Deletes offsets; says of each partition how it went.
pub fn delete_offsets(
    cluster: &mut Cluster,
    group: &str,
    partitions: &Partitions,
) -> Result<BTreeMap<(String, i32), ErrorCode>, ClientError> {
    at_coordinator(cluster, group, |cluster, node| {
        let topics = partitions
            .iter()
            .map(|(name, numbers)| OffsetDeleteRequestTopic {
                name,
                partitions: numbers
                    .iter()
                    .map(|n| OffsetDeleteRequestPartition { partition_index: *n })
                    .collect(),
            })
            .collect();
        let request = OffsetDeleteRequest { group_id: group, topics };
        let reply = cluster.try_call(To::Node(node), &request)?;
        let response = reply.read::<OffsetDeleteRequest<'_>>()?;
        check_code(response.error_code, || format!("the offsets of group '{group}'"), None)?;
        let mut results = BTreeMap::new();
        for topic in &response.topics {
            for p in &topic.partitions {
                results.insert((topic.name.to_owned(), p.partition_index), ErrorCode(p.error_code));
            }
        }
        Ok(results)
    })
}
