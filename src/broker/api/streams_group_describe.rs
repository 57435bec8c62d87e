//! StreamsGroupDescribe (KIP-1071): state, epochs, topologies and members of streams groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Response;
use super::decode;
use super::metadata_change::OPERATIONS_OMITTED;
use super::response::begin;
use super::streams_group_heartbeat::disabled;
use crate::controller::Image;
use crate::group::streams::tasks::{TaskIds, Tasks};
use crate::group::streams::topology::{InternalTopic, TopicConfigs, TopicInfo as Declared};
use crate::group::{DescribedTopology, StreamsDescribe, StreamsDescribed, StreamsDescribedMember};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::streams_group_describe_request::StreamsGroupDescribeRequest;
use crate::wire::kafka::streams_group_describe_response::{
    Assignment, DescribedGroup, Endpoint, KeyValue, Member, StreamsGroupDescribeResponse,
    Subtopology, TaskIds as Shown, TopicInfo, Topology,
};

/// What is asked for.
#[derive(Debug)]
pub struct Plan {
    /// The groups, in the order of the request.
    pub groups: Vec<StreamsDescribe>,
    /// The answer for each of them, where nobody is asked.
    pub refused: Option<ErrorCode>,
    operations: bool,
}

/// Reads a request.
pub fn plan(body: &[u8], version: i16, image: &Image) -> Result<Plan, WireError> {
    let request = decode(body, |r| StreamsGroupDescribeRequest::decode(r, version))?;
    let groups = request.group_ids.iter().map(|it| StreamsDescribe { group_id: (*it).to_owned() });
    Ok(Plan {
        groups: groups.collect(),
        refused: disabled(image),
        operations: request.include_authorized_operations,
    })
}

fn names<'a>(names: impl IntoIterator<Item = &'a Arc<str>>) -> Vec<&'a str> {
    names.into_iter().map(|it| &**it).collect()
}

fn topic<'a>(
    name: &'a str,
    (partitions, replication_factor): (i32, i16),
    configs: &'a TopicConfigs,
) -> TopicInfo<'a> {
    let configs = configs.iter().map(|(key, value)| KeyValue { key, value });
    TopicInfo { name, partitions, replication_factor, topic_configs: configs.collect() }
}

fn declared(topics: &[Declared]) -> Vec<TopicInfo<'_>> {
    let sizes = |it: &Declared| (it.partitions, it.replication_factor);
    topics.iter().map(|it| topic(&it.name, sizes(it), &it.configs)).collect()
}

fn configured(topics: &BTreeMap<Arc<str>, InternalTopic>) -> Vec<TopicInfo<'_>> {
    let sizes = |it: &InternalTopic| (it.partitions, it.replication_factor);
    topics.iter().map(|(name, it)| topic(name, sizes(it), &it.configs)).collect()
}

/// The topology; with the partitions of its topics, where those are known.
async fn topology<'a>(of: &'a DescribedTopology, pause: &impl AsyncFn()) -> Topology<'a> {
    let mut subtopologies = Vec::new();
    let epoch = match of {
        DescribedTopology::Declared(it) => {
            for it in &it.subtopologies {
                subtopologies.push(Subtopology {
                    subtopology_id: &it.id,
                    source_topics: names(&it.source_topics),
                    repartition_sink_topics: names(&it.repartition_sink_topics),
                    state_changelog_topics: declared(&it.state_changelog_topics),
                    repartition_source_topics: declared(&it.repartition_source_topics),
                });
                pause().await;
            }
            it.epoch
        }
        DescribedTopology::Configured(it) => {
            for (id, it) in it.subtopologies.iter().flat_map(|it| it.iter()) {
                subtopologies.push(Subtopology {
                    subtopology_id: id,
                    source_topics: names(&it.source_topics),
                    repartition_sink_topics: names(&it.repartition_sink_topics),
                    state_changelog_topics: configured(&it.state_changelog_topics),
                    repartition_source_topics: configured(&it.repartition_source_topics),
                });
                pause().await;
            }
            it.epoch
        }
    };
    Topology { epoch, subtopologies: Some(subtopologies) }
}

fn assignment(tasks: &Tasks) -> Assignment<'_> {
    Assignment {
        active_tasks: shown(&tasks.active),
        standby_tasks: shown(&tasks.standby),
        warmup_tasks: shown(&tasks.warmup),
    }
}

fn shown(ids: &TaskIds) -> Vec<Shown<'_>> {
    ids.iter()
        .map(|(id, numbers)| Shown { subtopology_id: id, partitions: numbers.clone() })
        .collect()
}

fn member(it: &StreamsDescribedMember) -> Member<'_> {
    let tags = it.streams.client_tags.iter();
    let endpoint = it.streams.endpoint.as_ref();
    Member {
        member_id: &it.member_id,
        member_epoch: it.member_epoch,
        instance_id: it.instance_id.as_deref(),
        rack_id: it.rack_id.as_deref(),
        client_id: &it.client_id,
        client_host: &it.client_host,
        topology_epoch: it.streams.topology_epoch,
        process_id: &it.streams.process_id,
        user_endpoint: endpoint.map(|it| Endpoint { host: &it.host, port: it.port }),
        client_tags: tags.map(|(key, value)| KeyValue { key, value }).collect(),
        task_offsets: Vec::new(),
        task_end_offsets: Vec::new(),
        assignment: assignment(&it.assigned),
        target_assignment: assignment(&it.target),
        is_classic: false,
    }
}

impl Plan {
    /// The answer, with what the coordinators said, in the order of the request. Pauses after each group, and each of its
    /// subtopologies and members.
    pub async fn response(
        &self,
        header: &RequestHeader<'_>,
        described: Vec<StreamsDescribed>,
        pause: impl AsyncFn(),
    ) -> Result<Response, WireError> {
        let version = header.version;
        let mut w = begin(header);
        StreamsGroupDescribeResponse::default().encode(&mut w, version)?;
        let tail = w.open_array(described.len(), true, 1)?;
        for it in described {
            let told = self.operations && !it.error.is_err();
            let operations = super::describe_groups::GROUP_OPERATIONS;
            let topology = match &it.topology {
                Some(it) => Some(topology(it, &pause).await),
                None => None,
            };
            let group = DescribedGroup {
                error_code: it.error.0,
                error_message: it.error_message.as_deref(),
                group_id: &it.group_id,
                group_state: it.state,
                group_epoch: it.epoch,
                assignment_epoch: it.target_epoch,
                topology,
                members: Vec::new(),
                authorized_operations: if told { operations } else { OPERATIONS_OMITTED },
            };
            group.encode(&mut w, version)?;
            // Behind the members: operations and no tagged field.
            let after_members = w.open_array(it.members.len(), true, 5)?;
            for it in &it.members {
                member(it).encode(&mut w, version)?;
                pause().await;
            }
            w.raw(&after_members);
            pause().await;
        }
        w.raw(&tail);
        Ok(Response::from_writer(w))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{body_of, encode, header, image};
    use crate::group::StreamsMetadata;
    use crate::group::streams::topology::{Subtopology as Part, Topology as Whole};
    use crate::wire::api_keys::ApiKey;
    use futures_lite::future::block_on;

    #[test]
    fn both_ways() {
        let request = StreamsGroupDescribeRequest {
            group_ids: vec!["g", "none"],
            include_authorized_operations: true,
        };
        let body = encode(|w| request.encode(w, 0));
        let plan = plan(&body, 0, &image()).unwrap();
        assert_eq!((plan.groups.len(), plan.refused), (2, None));
        let part = Part { id: "0".into(), source_topics: vec!["in".into()], ..Part::default() };
        let topology = Whole { epoch: 3, subtopologies: vec![part] };
        let active = TaskIds::from([("0".into(), vec![0, 1])]);
        let found = StreamsDescribed {
            state: "Stable",
            epoch: 4,
            target_epoch: 3,
            topology: Some(DescribedTopology::Declared(Arc::new(topology))),
            members: vec![StreamsDescribedMember {
                member_id: "m".to_owned(),
                member_epoch: 3,
                instance_id: None,
                rack_id: Some("r".to_owned()),
                client_id: "c".to_owned(),
                client_host: "/h".to_owned(),
                streams: StreamsMetadata { process_id: "p".to_owned(), ..Default::default() },
                assigned: Tasks { active, ..Tasks::default() },
                target: Tasks::default(),
            }],
            ..StreamsDescribed::refused("g".to_owned(), ErrorCode::NONE, None)
        };
        let why = Some("Group none not found.".into());
        let gone = StreamsDescribed::refused("none".to_owned(), ErrorCode::GROUP_ID_NOT_FOUND, why);
        let header = header(ApiKey::STREAMS_GROUP_DESCRIBE, 0);
        let sent = block_on(plan.response(&header, vec![found, gone], async || {})).unwrap();
        body_of(&sent, ApiKey::STREAMS_GROUP_DESCRIBE, 0, |r| {
            let it = StreamsGroupDescribeResponse::decode(r, 0)?;
            let group = &it.groups[0];
            assert_eq!(
                (group.group_state, group.group_epoch, group.assignment_epoch),
                ("Stable", 4, 3)
            );
            let topology = group.topology.as_ref().unwrap();
            assert_eq!(topology.epoch, 3);
            assert_eq!(topology.subtopologies.as_ref().unwrap()[0].source_topics, ["in"]);
            let member = &group.members[0];
            assert_eq!((member.process_id, member.rack_id), ("p", Some("r")));
            assert_eq!(member.assignment.active_tasks[0].partitions, [0, 1]);
            assert!(member.target_assignment.active_tasks.is_empty());
            assert_eq!((it.groups[1].error_code, it.groups[1].group_id), (69, "none"));
            assert!(it.groups[1].topology.is_none());
            Ok(())
        });
    }
}
