//! Share groups from outside (KIP-932): their members, and the offsets from which they read.
//!
//! Each function looks for the group's coordinator, again while an error may pass.

use super::consumer::Partitions;
use super::coordinator::{self, Coordinated};
use super::{ClientError, Cluster, To, check_code, first_of};
use crate::wire::kafka::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
};
use crate::wire::kafka::delete_share_group_offsets_request::{
    DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequestTopic,
};
use crate::wire::kafka::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsRequestGroup,
};
use crate::wire::kafka::share_group_describe_request::ShareGroupDescribeRequest;
use std::collections::BTreeMap;

/// A share group with its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareGroupDescription {
    /// Group id.
    pub id: String,
    /// Its state, as `Stable`.
    pub state: String,
    /// Node id of the coordinator.
    pub coordinator: i32,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch of its assignment.
    pub assignment_epoch: i32,
    /// Members in the coordinator's order.
    pub members: Vec<ShareMemberDescription>,
}

/// A member of a share group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareMemberDescription {
    /// Member id.
    pub id: String,
    /// `client.id`.
    pub client_id: String,
    /// The host that it is connected from.
    pub host: String,
    /// Its epoch.
    pub epoch: i32,
    /// The partitions that it reads.
    pub assignment: Partitions,
}

/// Where a share group reads a partition from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShareOffset {
    /// The first record that is not settled; `None` where the group has not read yet.
    pub start: Option<i64>,
    /// The leader epoch that it was written in.
    pub leader_epoch: Option<i32>,
    /// How many records are still to be settled, where that is known.
    pub lag: Option<i64>,
}

/// Offsets by topic and partition.
pub type ShareOffsets = BTreeMap<(String, i32), ShareOffset>;

/// A group and its members.
pub fn describe(cluster: &mut Cluster, group: &str) -> Result<ShareGroupDescription, ClientError> {
    type Describe<'a> = ShareGroupDescribeRequest<'a>;
    coordinator::at(cluster, Coordinated::Group, group, |cluster, node| {
        let request = Describe { group_ids: vec![group], include_authorized_operations: false };
        let reply = cluster.try_call(To::Node(node), &request)?;
        let response = reply.read::<Describe<'_>>()?;
        let found = first_of(&response.groups, || shown(group))?;
        check_code(found.error_code, || shown(group), found.error_message)?;
        let members = found.members.iter().map(|it| {
            let topics = it.assignment.topic_partitions.iter();
            ShareMemberDescription {
                id: it.member_id.to_owned(),
                client_id: it.client_id.to_owned(),
                host: it.client_host.to_owned(),
                epoch: it.member_epoch,
                assignment: topics
                    .map(|it| (it.topic_name.to_owned(), it.partitions.clone()))
                    .collect(),
            }
        });
        Ok(ShareGroupDescription {
            id: group.to_owned(),
            state: found.group_state.to_owned(),
            coordinator: node,
            epoch: found.group_epoch,
            assignment_epoch: found.assignment_epoch,
            members: members.collect(),
        })
    })
}

/// The offsets of all partitions that a group reads. Partitions whose offset cannot be told are left out.
pub fn offsets(cluster: &mut Cluster, group: &str) -> Result<ShareOffsets, ClientError> {
    type Describe<'a> = DescribeShareGroupOffsetsRequest<'a>;
    coordinator::at(cluster, Coordinated::Group, group, |cluster, node| {
        let asked = DescribeShareGroupOffsetsRequestGroup { group_id: group, topics: None };
        let request = Describe { groups: vec![asked] };
        let reply = cluster.try_call(To::Node(node), &request)?;
        let response = reply.read::<Describe<'_>>()?;
        let found = first_of(&response.groups, || shown(group))?;
        check_code(found.error_code, || shown(group), found.error_message)?;
        let mut offsets = ShareOffsets::new();
        for topic in &found.topics {
            for it in topic.partitions.iter().filter(|it| it.error_code == 0) {
                let read = it.start_offset >= 0;
                let offset = ShareOffset {
                    start: read.then_some(it.start_offset),
                    leader_epoch: Some(it.leader_epoch).filter(|it| read && *it >= 0),
                    lag: Some(it.lag).filter(|it| read && *it >= 0),
                };
                offsets.insert((topic.topic_name.to_owned(), it.partition_index), offset);
            }
        }
        Ok(offsets)
    })
}

/// Has a group without members read from these offsets; the partitions that are refused.
pub fn alter_offsets(
    cluster: &mut Cluster,
    group: &str,
    offsets: &BTreeMap<(String, i32), i64>,
) -> Result<Vec<(String, i32)>, ClientError> {
    type Alter<'a> = AlterShareGroupOffsetsRequest<'a>;
    coordinator::at(cluster, Coordinated::Group, group, |cluster, node| {
        let mut topics: Vec<AlterShareGroupOffsetsRequestTopic<'_>> = Vec::new();
        for ((topic_name, partition_index), start_offset) in offsets {
            let (partition_index, start_offset) = (*partition_index, *start_offset);
            let it = AlterShareGroupOffsetsRequestPartition { partition_index, start_offset };
            match topics.last_mut().filter(|it| it.topic_name == topic_name) {
                Some(topic) => topic.partitions.push(it),
                None => topics
                    .push(AlterShareGroupOffsetsRequestTopic { topic_name, partitions: vec![it] }),
            }
        }
        let request = Alter { group_id: group, topics };
        let reply = cluster.try_call(To::Node(node), &request)?;
        let response = reply.read::<Alter<'_>>()?;
        check_code(response.error_code, || shown(group), response.error_message)?;
        let mut refused = Vec::new();
        for topic in &response.responses {
            let failed = topic.partitions.iter().filter(|it| it.error_code != 0);
            refused.extend(failed.map(|it| (topic.topic_name.to_owned(), it.partition_index)));
        }
        Ok(refused)
    })
}

/// Deletes the offsets of topics; says of each topic how it went.
pub fn delete_offsets(
    cluster: &mut Cluster,
    group: &str,
    topics: &[&str],
) -> Result<BTreeMap<String, Result<(), ClientError>>, ClientError> {
    type Delete<'a> = DeleteShareGroupOffsetsRequest<'a>;
    coordinator::at(cluster, Coordinated::Group, group, |cluster, node| {
        let topics = topics.iter().map(|it| DeleteShareGroupOffsetsRequestTopic { topic_name: it });
        let request = Delete { group_id: group, topics: topics.collect() };
        let reply = cluster.try_call(To::Node(node), &request)?;
        let response = reply.read::<Delete<'_>>()?;
        check_code(response.error_code, || shown(group), response.error_message)?;
        let results = response.responses.iter().map(|it| {
            let what = || format!("the offsets of topic '{}'", it.topic_name);
            (it.topic_name.to_owned(), check_code(it.error_code, what, it.error_message))
        });
        Ok(results.collect())
    })
}

fn shown(group: &str) -> String {
    format!("share group '{group}'")
}
