//! An administrator: makes the topic that all use, and then what the plan lets it do, one request at a time.

use crate::client::{Cx, Facts, Replacing, Role, TOPIC, TRANSACTED};
use crate::session::{Asked, Session};
use klamm::client::Reply;
use klamm::types::{ErrorCode, TopicId};
use klamm::wire::kafka::add_raft_voter_request::{AddRaftVoterRequest, Listener};
use klamm::wire::kafka::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use klamm::wire::kafka::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use klamm::wire::kafka::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use klamm::wire::kafka::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use klamm::wire::kafka::delete_topics_request::DeleteTopicsRequest;
use klamm::wire::kafka::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use klamm::wire::kafka::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use klamm::wire::kafka::metadata_request::MetadataRequest;
use klamm::wire::kafka::remove_raft_voter_request::RemoveRaftVoterRequest;
use std::collections::{BTreeMap, BTreeSet};

/// A topic, as a config resource.
const TOPIC_RESOURCE: i8 = 2;
const TIMEOUT_MS: i32 = 5_000;
const PARTITIONS_MAX: i32 = 6;
/// Topics that come and go.
const OTHERS: [&str; 3] = ["x-0", "x-1", "x-2"];

#[derive(Clone, Debug)]
enum Doing {
    Create,
    CreateOther(&'static str),
    DeleteOther(&'static str),
    Grow(i32),
    Reassign {
        cancels: bool,
    },
    Elect,
    Set,
    DeleteRecords,
    Vote {
        adds: bool,
    },
    /// For a node whose disk is lost.
    Replace {
        adds: bool,
    },
    /// The replicas of each partition in another order, and then an election of the first ones.
    Rotate,
    List,
}

/// See the module.
#[derive(Default)]
pub struct Admin {
    doing: Option<Doing>,
    next_ms: i64,
    /// Where every partition is to be led: its replicas.
    targets: BTreeMap<i32, Vec<i32>>,
    rotated: bool,
    /// A partition whose replicas may be moving.
    moving: Option<i32>,
    /// Nodes that have said which topics there are, when it was quiet, and were right.
    listed: BTreeSet<i32>,
    /// What another has said that is not so.
    wrong: Option<String>,
}

fn reassignment<'a>(
    partitions: impl IntoIterator<Item = (i32, Option<Vec<i32>>)>,
) -> AlterPartitionReassignmentsRequest<'a> {
    let partition =
        |(partition_index, replicas)| ReassignablePartition { partition_index, replicas };
    AlterPartitionReassignmentsRequest {
        timeout_ms: TIMEOUT_MS,
        topics: vec![ReassignableTopic {
            name: TOPIC,
            partitions: partitions.into_iter().map(partition).collect(),
        }],
        ..AlterPartitionReassignmentsRequest::default()
    }
}

fn election<'a>(partitions: Vec<i32>) -> ElectLeadersRequest<'a> {
    ElectLeadersRequest {
        election_type: 0,
        topic_partitions: Some(vec![TopicPartitions { topic: TOPIC, partitions }]),
        timeout_ms: TIMEOUT_MS,
    }
}

impl Admin {
    fn create(cx: &Cx<'_>, session: &mut Session) -> Doing {
        let plan = &cx.facts.plan;
        let mut settings = vec![("min.insync.replicas", plan.min_insync.to_string())];
        if let Some(ms) = plan.retention_ms {
            settings.extend([("retention.ms", ms.to_string()), ("segment.ms", "1000".to_owned())]);
        }
        let configs =
            settings.iter().map(|(name, value)| CreatableTopicConfig { name, value: Some(value) });
        let topic = CreatableTopic {
            name: TOPIC,
            num_partitions: plan.partitions,
            replication_factor: plan.replicas,
            configs: configs.collect(),
            ..CreatableTopic::default()
        };
        let mut topics = vec![topic.clone()];
        if plan.transactors > 0 {
            let configs = topic.configs.iter().take(1).cloned().collect();
            topics.push(CreatableTopic { name: TRANSACTED, configs, ..topic });
        }
        let request =
            CreateTopicsRequest { topics, timeout_ms: 10_000, ..CreateTopicsRequest::default() };
        session.send(&request, Asked::Admin);
        Doing::Create
    }

    fn some_topic(cx: &mut Cx<'_>, session: &mut Session) -> Doing {
        let name = OTHERS[cx.rng.index(OTHERS.len())];
        cx.facts.topics.asked(name);
        if cx.rng.chance(60) {
            let topic = CreatableTopic {
                name,
                num_partitions: cx.rng.between(1, 3) as i32,
                replication_factor: cx.rng.between(1, 3) as i16,
                ..CreatableTopic::default()
            };
            let request = CreateTopicsRequest {
                topics: vec![topic],
                timeout_ms: TIMEOUT_MS,
                ..CreateTopicsRequest::default()
            };
            session.send(&request, Asked::Admin);
            return Doing::CreateOther(name);
        }
        let request = DeleteTopicsRequest {
            topic_names: vec![name],
            timeout_ms: TIMEOUT_MS,
            ..DeleteTopicsRequest::default()
        };
        session.send(&request, Asked::Admin);
        Doing::DeleteOther(name)
    }

    fn grow(cx: &Cx<'_>, session: &mut Session) -> Option<Doing> {
        let count = cx.leaders.len() as i32 + 1;
        if count > PARTITIONS_MAX {
            return None;
        }
        let topic = CreatePartitionsTopic { name: TOPIC, count, assignments: None };
        let request = CreatePartitionsRequest {
            topics: vec![topic],
            timeout_ms: TIMEOUT_MS,
            ..CreatePartitionsRequest::default()
        };
        session.send(&request, Asked::Admin);
        Some(Doing::Grow(count))
    }

    fn reassign(&mut self, cx: &mut Cx<'_>, session: &mut Session) -> Option<Doing> {
        let count = cx.leaders.len();
        if count == 0 {
            return None;
        }
        let moving = self.moving.take().filter(|_| cx.rng.chance(50));
        let (partition, cancels) = match moving {
            Some(partition) => (partition, true),
            None => (cx.rng.index(count) as i32, false),
        };
        let mut nodes: Vec<i32> = (1..=cx.facts.plan.nodes).collect();
        let replicas = (0..cx.facts.plan.replicas)
            .map(|_| {
                let at = cx.rng.index(nodes.len());
                nodes.swap_remove(at)
            })
            .collect();
        let request = reassignment([(partition, (!cancels).then_some(replicas))]);
        session.send(&request, Asked::Admin);
        if !cancels {
            self.moving = Some(partition);
        }
        Some(Doing::Reassign { cancels })
    }

    fn elect_or_set(cx: &mut Cx<'_>, session: &mut Session) -> Doing {
        if cx.rng.chance(50) {
            let partitions = cx.leaders.keys().copied().collect();
            session.send(&election(partitions), Asked::Admin);
            return Doing::Elect;
        }
        let (name, value) = match cx.rng.below(3) {
            0 => {
                let least = if cx.facts.plan.replaces { 2 } else { 1 };
                ("min.insync.replicas", cx.rng.between(least, cx.facts.plan.replicas as u64))
            }
            1 => ("segment.ms", cx.rng.between(200, 60_000)),
            _ => ("max.message.bytes", cx.rng.between(1 << 20, 4 << 20)),
        };
        let value = value.to_string();
        let config = AlterableConfig { name, value: Some(&value), ..AlterableConfig::default() };
        let resource = AlterConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: TOPIC,
            configs: vec![config],
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![resource],
            ..IncrementalAlterConfigsRequest::default()
        };
        session.send(&request, Asked::Admin);
        Doing::Set
    }

    fn delete_records(cx: &mut Cx<'_>, node: i32, session: &mut Session) -> Option<Doing> {
        let led: Vec<i32> = cx.leaders.iter().filter(|it| it.1.0 == node).map(|it| *it.0).collect();
        if led.is_empty() {
            return None;
        }
        let partition = led[cx.rng.index(led.len())];
        let offset = cx.rng.below(cx.facts.log.end(partition) as u64 + 1) as i64;
        cx.facts.log.deleting(partition, offset);
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: TOPIC,
                partitions: vec![DeleteRecordsPartition { partition_index: partition, offset }],
            }],
            timeout_ms: TIMEOUT_MS,
        };
        session.send(&request, Asked::Admin);
        Some(Doing::DeleteRecords)
    }

    fn vote(cx: &mut Cx<'_>, session: &mut Session) -> Doing {
        let voter_id = cx.rng.between(1, cx.facts.plan.nodes as u64) as i32;
        let adds = cx.rng.chance(50);
        Self::ask_for_vote(cx, session, voter_id, adds);
        Doing::Vote { adds }
    }

    /// Has a node get a vote, or lose it.
    fn ask_for_vote(cx: &Cx<'_>, session: &mut Session, voter_id: i32, adds: bool) {
        let directory = cx.facts.directories.get(&voter_id).copied().unwrap_or(0);
        let voter_directory_id = TopicId(directory.to_be_bytes());
        if adds {
            let host = crate::node::name_of(voter_id);
            let listener = Listener { name: "CONTROLLER", host: &host, port: 9292 };
            let request = AddRaftVoterRequest {
                cluster_id: None,
                timeout_ms: TIMEOUT_MS,
                voter_id,
                voter_directory_id,
                listeners: vec![listener],
                ack_when_committed: true,
            };
            session.send(&request, Asked::Admin);
        } else {
            let request = RemoveRaftVoterRequest { cluster_id: None, voter_id, voter_directory_id };
            session.send(&request, Asked::Admin);
        }
    }

    /// Has another replica of each partition lead: first it becomes the preferred one.
    fn rotate(&mut self, cx: &mut Cx<'_>, session: &mut Session) -> Option<Doing> {
        let leads = |(partition, replicas): (&i32, &Vec<i32>)| {
            cx.facts.seen.get(partition).is_some_and(|it| it.leader == replicas[0])
        };
        if self.rotated && self.targets.iter().all(leads) {
            (self.rotated, cx.facts.rotate) = (false, false);
            self.targets.clear();
            cx.facts.counts.rotations += 1;
            return None;
        }
        if self.rotated {
            session.send(&election(self.targets.keys().copied().collect()), Asked::Admin);
            return Some(Doing::Elect);
        }
        if self.targets.is_empty() {
            for (partition, it) in &cx.facts.seen {
                let mut replicas = it.replicas.clone();
                replicas.rotate_left(1);
                self.targets.insert(*partition, replicas);
            }
        }
        let wanted = self.targets.iter().map(|(partition, it)| (*partition, Some(it.clone())));
        session.send(&reassignment(wanted), Asked::Admin);
        Some(Doing::Rotate)
    }
}

impl Role for Admin {
    fn is_done(&self, facts: &Facts) -> bool {
        self.doing.is_none()
            && facts.replaced.is_none()
            && (!facts.quiet || self.listed.len() == facts.plan.nodes as usize)
            && !facts.rotate
    }

    fn waits(&self) -> String {
        let Self { doing, targets, listed, wrong, .. } = self;
        format!("admin {doing:?}, targets {targets:?}, right are {listed:?}, wrong {wrong:?}")
    }

    fn act(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        if self.doing.is_some() || self.next_ms > cx.now_ms {
            return;
        }
        let lists = cx.facts.quiet && cx.facts.replaced.is_none() && !cx.facts.rotate;
        if lists && self.listed.contains(&node) {
            return;
        }
        self.next_ms = cx.now_ms + cx.rng.between(100, 1_500) as i64;
        if !cx.facts.created {
            self.doing = Some(Self::create(cx, session));
            return;
        }
        if let Some((id, step)) = cx.facts.replaced {
            let adds = step == Replacing::Joins;
            self.next_ms = cx.now_ms + 300;
            // It gets a vote when it is there again, with its new directory.
            let there = cx.facts.directories.contains_key(&id);
            if step == Replacing::Votes || adds && there {
                Self::ask_for_vote(cx, session, id, adds);
                self.doing = Some(Doing::Replace { adds });
            }
            return;
        }
        if cx.facts.quiet {
            self.next_ms = cx.now_ms + 200;
            if cx.facts.rotate {
                self.doing = self.rotate(cx, session);
            } else {
                session.send(
                    &MetadataRequest { topics: None, ..MetadataRequest::default() },
                    Asked::Admin,
                );
                self.doing = Some(Doing::List);
            }
            return;
        }
        if cx.facts.calm {
            return;
        }
        let may = cx.facts.plan.admin;
        let doing = match cx.rng.below(6) {
            0 if may.topics => Some(Self::some_topic(cx, session)),
            1 if may.grows => Self::grow(cx, session),
            // Before it is over it may be cancelled.
            _ if self.moving.is_some() => self.reassign(cx, session),
            2 if may.reassigns => self.reassign(cx, session),
            3 if may.elects => Some(Self::elect_or_set(cx, session)),
            4 if may.deletes => Self::delete_records(cx, node, session),
            5 if may.votes => Some(Self::vote(cx, session)),
            _ => None,
        };
        self.doing = doing;
        if self.moving.is_some() {
            self.next_ms = cx.now_ms + cx.rng.below(200) as i64;
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, node: i32, _: &Asked, reply: &Reply) {
        let Some(doing) = self.doing.take() else { return };
        let Facts { counts, topics, .. } = &mut *cx.facts;
        let add = |count: &mut u64, error: ErrorCode| *count += u64::from(!error.is_err());
        let error = match doing {
            Doing::Create | Doing::CreateOther(_) => {
                let response = reply.read::<CreateTopicsRequest<'_>>().expect("an answer");
                let errors = || response.topics.iter().map(|it| ErrorCode(it.error_code));
                let is_there = |it| matches!(it, ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS);
                let (error, there) = (errors().next().expect("one"), errors().all(is_there));
                if let Doing::CreateOther(name) = doing {
                    add(&mut counts.topics, error);
                    if there {
                        topics.answered(name, true);
                    }
                } else {
                    // The brokers may not have registered yet.
                    cx.facts.created |= there;
                }
                error
            }
            Doing::DeleteOther(name) => {
                let response = reply.read::<DeleteTopicsRequest<'_>>().expect("an answer");
                let error = ErrorCode(response.responses[0].error_code);
                if matches!(error, ErrorCode::NONE | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) {
                    topics.answered(name, false);
                }
                error
            }
            Doing::Grow(count) => {
                let response = reply.read::<CreatePartitionsRequest<'_>>().expect("an answer");
                let error = ErrorCode(response.results[0].error_code);
                add(&mut counts.partitions_added, error);
                if !error.is_err() {
                    cx.facts.partitions = count.max(cx.facts.partitions);
                }
                error
            }
            Doing::Reassign { .. } | Doing::Rotate => {
                let response =
                    reply.read::<AlterPartitionReassignmentsRequest<'_>>().expect("an answer");
                let mut error = ErrorCode(response.error_code);
                let all = response.responses.iter().flat_map(|it| &it.partitions);
                let refused = all.map(|it| ErrorCode(it.error_code)).find(|it| it.is_err());
                error = refused.unwrap_or(error);
                match doing {
                    Doing::Rotate => self.rotated = !error.is_err(),
                    Doing::Reassign { cancels: true } => add(&mut counts.cancelled, error),
                    _ => add(&mut counts.reassigned, error),
                }
                error
            }
            Doing::Elect => {
                let response = reply.read::<ElectLeadersRequest<'_>>().expect("an answer");
                let error = ErrorCode(response.error_code);
                add(&mut counts.elections, error);
                error
            }
            Doing::Set => {
                let response = reply.read::<IncrementalAlterConfigsRequest<'_>>();
                let error = ErrorCode(response.expect("an answer").responses[0].error_code);
                add(&mut counts.settings, error);
                error
            }
            Doing::DeleteRecords => {
                let response = reply.read::<DeleteRecordsRequest<'_>>().expect("an answer");
                let error = ErrorCode(response.topics[0].partitions[0].error_code);
                add(&mut counts.records_deleted, error);
                error
            }
            Doing::Vote { adds } | Doing::Replace { adds } => {
                let error = if adds {
                    reply.read::<AddRaftVoterRequest<'_>>().expect("an answer").error_code
                } else {
                    reply.read::<RemoveRaftVoterRequest<'_>>().expect("an answer").error_code
                };
                let error = ErrorCode(error);
                add(&mut counts.votes, error);
                let done = matches!(
                    error,
                    ErrorCode::NONE | ErrorCode::VOTER_NOT_FOUND | ErrorCode::DUPLICATE_VOTER
                );
                if matches!(doing, Doing::Replace { .. }) && done {
                    let next = (!adds).then_some(Replacing::Voteless);
                    cx.facts.replaced = cx.facts.replaced.and_then(|(id, _)| Some((id, next?)));
                }
                error
            }
            Doing::List => {
                let response = reply.read::<MetadataRequest<'_>>().expect("an answer");
                let names = response.topics.iter().filter_map(|it| it.name);
                let names = names.map(ToOwned::to_owned).collect();
                // Who was cut off may be behind, and is asked again.
                match cx.facts.topics.all(&names) {
                    Ok(()) => _ = self.listed.insert(node),
                    Err(wrong) => self.wrong = Some(format!("{wrong}, at node {node}")),
                }
                ErrorCode::NONE
            }
        };
        assert_ne!(error, ErrorCode::UNKNOWN_SERVER_ERROR, "an administrator's {doing:?}");
        tracing::debug!(now = cx.now_ms, ?doing, %error, "an administrator is answered");
    }

    fn lost(&mut self, _: i32, asked: &Asked, _: i64) {
        if let Asked::Admin = asked {
            // It may take effect yet.
            self.doing = None;
        }
    }
}
