//! Streams groups from outside (KIP-1071): their topology, and the tasks of their members. Their offsets are as those of
//! consumer groups.

use super::coordinator::{self, Coordinated};
use super::{ClientError, Cluster, To, check_code, first_of};
use crate::wire::kafka::streams_group_describe_request::StreamsGroupDescribeRequest;
use crate::wire::kafka::streams_group_describe_response::{Assignment, TaskIds};

/// A streams group with its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamsGroupDescription {
    /// Group id.
    pub id: String,
    /// Its state, as `Stable`.
    pub state: String,
    /// Node id of the coordinator.
    pub coordinator: i32,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch of its target assignment.
    pub assignment_epoch: i32,
    /// The epoch of its topology; -1 where it has none.
    pub topology_epoch: i32,
    /// The parts of its topology.
    pub subtopologies: Vec<SubtopologyDescription>,
    /// Members in the coordinator's order.
    pub members: Vec<StreamsMemberDescription>,
}

/// A part of a topology.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubtopologyDescription {
    /// Its id.
    pub id: String,
    /// Topics of the user that it reads.
    pub source_topics: Vec<String>,
    /// Repartition topics that it reads.
    pub repartition_source_topics: Vec<String>,
    /// Topics that hold its state.
    pub state_changelog_topics: Vec<String>,
}

/// A member of a streams group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamsMemberDescription {
    /// Member id.
    pub id: String,
    /// `client.id`.
    pub client_id: String,
    /// The process that it is a thread of.
    pub process_id: String,
    /// Its epoch.
    pub epoch: i32,
    /// It speaks the classic protocol.
    pub is_classic: bool,
    /// The tasks that it has.
    pub assignment: TaskLists,
    /// The tasks that it is to have.
    pub target: TaskLists,
}

/// Partitions by subtopology, in the broker's order.
pub type TaskList = Vec<(String, Vec<i32>)>;

/// The tasks of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskLists {
    /// Those that it processes.
    pub active: TaskList,
    /// Those whose state it keeps.
    pub standby: TaskList,
    /// Those whose state it builds up.
    pub warmup: TaskList,
}

fn task_lists(of: &Assignment<'_>) -> TaskLists {
    let list = |of: &[TaskIds<'_>]| {
        of.iter().map(|it| (it.subtopology_id.to_owned(), it.partitions.clone())).collect()
    };
    TaskLists {
        active: list(&of.active_tasks),
        standby: list(&of.standby_tasks),
        warmup: list(&of.warmup_tasks),
    }
}

/// A group, its topology and its members.
pub fn describe(
    cluster: &mut Cluster,
    group: &str,
) -> Result<StreamsGroupDescription, ClientError> {
    type Describe<'a> = StreamsGroupDescribeRequest<'a>;
    coordinator::at(cluster, Coordinated::Group, group, |cluster, node| {
        let request = Describe { group_ids: vec![group], include_authorized_operations: false };
        let reply = cluster.try_call(To::Node(node), &request)?;
        let response = reply.read::<Describe<'_>>()?;
        let what = || format!("streams group '{group}'");
        let found = first_of(&response.groups, what)?;
        check_code(found.error_code, what, found.error_message)?;
        let members = found.members.iter().map(|it| StreamsMemberDescription {
            id: it.member_id.to_owned(),
            client_id: it.client_id.to_owned(),
            process_id: it.process_id.to_owned(),
            epoch: it.member_epoch,
            is_classic: it.is_classic,
            assignment: task_lists(&it.assignment),
            target: task_lists(&it.target_assignment),
        });
        let topology = found.topology.as_ref();
        let parts = topology.and_then(|it| it.subtopologies.as_deref()).unwrap_or_default();
        let subtopologies = parts.iter().map(|it| {
            let owned = |it: &&str| (*it).to_owned();
            SubtopologyDescription {
                id: it.subtopology_id.to_owned(),
                source_topics: it.source_topics.iter().map(owned).collect(),
                repartition_source_topics: it
                    .repartition_source_topics
                    .iter()
                    .map(|it| it.name.to_owned())
                    .collect(),
                state_changelog_topics: it
                    .state_changelog_topics
                    .iter()
                    .map(|it| it.name.to_owned())
                    .collect(),
            }
        });
        Ok(StreamsGroupDescription {
            id: group.to_owned(),
            state: found.group_state.to_owned(),
            coordinator: node,
            epoch: found.group_epoch,
            assignment_epoch: found.assignment_epoch,
            topology_epoch: topology.map_or(-1, |it| it.epoch),
            subtopologies: subtopologies.collect(),
            members: members.collect(),
        })
    })
}
