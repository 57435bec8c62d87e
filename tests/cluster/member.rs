//! Members of one group, classic or of consumers (KIP-848): they join, share the partitions, beat, commit, and come back where
//! their coordinator has gone elsewhere.

use crate::client::{
    Cx, Facts, PATIENCE_MS, Role, TOPIC, find_coordinator, found_coordinator, is_moved,
};
use crate::session::{Asked, Session};
use klamm::client::Reply;
use klamm::client::variants::ConsumerHeartbeat;
use klamm::types::ErrorCode;
use klamm::wire::kafka::consumer_group_heartbeat_request::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use klamm::wire::kafka::heartbeat_request::HeartbeatRequest;
use klamm::wire::kafka::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use klamm::wire::kafka::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm::wire::kafka::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use klamm::wire::kafka::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use std::collections::{BTreeMap, BTreeSet};

const GROUP: &str = "g";

/// How far a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its coordinator is not known.
    Lost,
    Out,
    /// It is assigned something, or will be.
    In,
    Stable,
}

/// See the module.
pub struct Member {
    number: u32,
    /// It is of a consumer group: its generation is its epoch, 0 where it has none.
    consumes: bool,
    /// Its epoch is one of before.
    behind: bool,
    stage: Stage,
    coordinator: Option<i32>,
    /// A request is under way to this node.
    busy: Option<i32>,
    heard_ms: i64,
    next_ms: i64,
    id: String,
    generation: i32,
    /// What it gives to whom, where it leads the group.
    members: Vec<String>,
    leads: bool,
    share: BTreeSet<i32>,
    /// What this coordinator has acknowledged, by partition.
    acknowledged: BTreeMap<i32, i64>,
    /// Of these all was there that was acknowledged, when it was quiet, before anything else was committed.
    kept: BTreeSet<i32>,
    /// What was looked at, when it was quiet.
    checked: BTreeSet<i32>,
}

fn encode(share: &BTreeSet<i32>) -> Vec<u8> {
    share.iter().flat_map(|it| it.to_be_bytes()).collect()
}

fn decode(bytes: &[u8]) -> BTreeSet<i32> {
    bytes.chunks_exact(4).map(|it| i32::from_be_bytes(it.try_into().expect("four"))).collect()
}

impl Member {
    pub fn new(number: u32, consumes: bool) -> Self {
        Self {
            number,
            consumes,
            behind: false,
            stage: Stage::Lost,
            coordinator: None,
            busy: None,
            heard_ms: 0,
            next_ms: 0,
            id: if consumes { format!("m{number}") } else { String::new() },
            generation: if consumes { 0 } else { -1 },
            members: Vec::new(),
            leads: false,
            share: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
            kept: BTreeSet::new(),
            checked: BTreeSet::new(),
        }
    }

    fn goes(&mut self, facts: &mut Facts, to: Stage) {
        if self.stage == Stage::Stable {
            facts.shares.remove(&self.number);
        }
        if to == Stage::Lost {
            self.acknowledged.clear();
            self.coordinator = None;
        }
        self.stage = to;
    }

    /// An error says where it stands.
    fn refused(&mut self, facts: &mut Facts, what: &str, error: ErrorCode) {
        match error {
            ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::ILLEGAL_GENERATION => {
                self.goes(facts, Stage::Out);
            }
            ErrorCode::STALE_MEMBER_EPOCH if self.consumes => self.behind = true,
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::GROUP_ID_NOT_FOUND
                if self.consumes =>
            {
                // Others may have what it had.
                self.generation = 0;
                self.share.clear();
                self.goes(facts, Stage::Out);
            }
            ErrorCode::UNKNOWN_MEMBER_ID => {
                self.id.clear();
                self.goes(facts, Stage::Out);
            }
            ErrorCode::KAFKA_STORAGE_ERROR
            | ErrorCode::REQUEST_TIMED_OUT
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {}
            error if is_moved(error) => self.goes(facts, Stage::Lost),
            error => panic!("member {}: {what}: {error}", self.number),
        }
    }

    fn join(&self, cx: &mut Cx<'_>, session: &mut Session) {
        if self.consumes {
            return self.say(cx, session);
        }
        let request = JoinGroupRequest {
            group_id: GROUP,
            session_timeout_ms: 6_000,
            rebalance_timeout_ms: cx.rng.between(1_000, 6_000) as i32,
            member_id: &self.id,
            group_instance_id: None,
            protocol_type: "consumer",
            protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: b"any" }],
            reason: None,
        };
        session.send(&request, Asked::Join);
    }

    fn sync(&self, cx: &Cx<'_>, session: &mut Session) {
        let mut shares = vec![BTreeSet::new(); self.members.len()];
        if !shares.is_empty() {
            for (at, partition) in cx.leaders.keys().enumerate() {
                let to = at % shares.len();
                shares[to].insert(*partition);
            }
        }
        let shares: Vec<Vec<u8>> = shares.iter().map(encode).collect();
        let assignments = self.members.iter().zip(&shares);
        let assignments = assignments
            .map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment });
        let request = SyncGroupRequest {
            group_id: GROUP,
            generation_id: self.generation,
            member_id: &self.id,
            group_instance_id: None,
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            assignments: assignments.collect(),
        };
        session.send(&request, Asked::Sync);
    }

    /// All of what a member of a consumer group has to say.
    fn say(&self, cx: &mut Cx<'_>, session: &mut Session) {
        let partitions: Vec<i32> = self.share.iter().copied().collect();
        let owned = TopicPartitions { topic_id: cx.facts.topic_id, partitions };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: GROUP,
            member_id: &self.id,
            member_epoch: self.generation,
            rebalance_timeout_ms: cx.rng.between(1_000, 6_000) as i32,
            subscribed_topic_names: Some(vec![TOPIC]),
            topic_partitions: Some(if self.share.is_empty() { vec![] } else { vec![owned] }),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        session.send(&ConsumerHeartbeat(request), Asked::Heartbeat);
    }

    fn heard(&mut self, cx: &mut Cx<'_>, reply: &Reply) {
        let response = reply.read::<ConsumerHeartbeat<'_>>().expect("an answer");
        let error = ErrorCode(response.error_code);
        if error.is_err() {
            return self.refused(cx.facts, "heartbeat", error);
        }
        self.behind = false;
        cx.facts.counts.member_epochs += u64::from(self.generation < response.member_epoch);
        self.generation = response.member_epoch;
        if let Some(assignment) = response.assignment {
            // What it has no more it has given up with that.
            let all = assignment.topic_partitions.iter().flat_map(|it| &it.partitions);
            self.share = all.copied().collect();
        }
        self.stage = Stage::Stable;
        cx.facts.shares.insert(self.number, (self.generation, self.share.clone()));
    }

    fn beat(&self, cx: &mut Cx<'_>, session: &mut Session) {
        if self.consumes {
            return self.say(cx, session);
        }
        let request = HeartbeatRequest {
            group_id: GROUP,
            generation_id: self.generation,
            member_id: &self.id,
            group_instance_id: None,
        };
        session.send(&request, Asked::Heartbeat);
    }

    fn commit(&self, cx: &mut Cx<'_>, session: &mut Session, partition: i32) {
        let number = cx.facts.offsets.next(partition);
        let request = OffsetCommitRequest {
            group_id: GROUP,
            generation_id_or_member_epoch: self.generation,
            member_id: &self.id,
            topics: vec![OffsetCommitRequestTopic {
                name: TOPIC,
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: number,
                    committed_leader_epoch: -1,
                    committed_metadata: None,
                }],
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        session.send(&request, Asked::Commit(partition, number));
    }

    fn fetch(&self, cx: &Cx<'_>, session: &mut Session, partition: i32) {
        let own = self.acknowledged.get(&partition).copied().unwrap_or(0);
        let floor = match cx.facts.quiet {
            // Who was deposed and does not know yet may say less, and is asked again.
            true if !self.kept.contains(&partition) => 0,
            true => cx.facts.offsets.floor(partition),
            false => own,
        };
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: GROUP,
                member_id: None,
                member_epoch: -1,
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: TOPIC,
                    partition_indexes: vec![partition],
                    ..OffsetFetchRequestTopics::default()
                }]),
            }],
            ..OffsetFetchRequest::default()
        };
        session.send(&request, Asked::Committed(partition, floor));
    }

    fn live(&self, cx: &mut Cx<'_>, session: &mut Session) {
        if self.behind {
            return self.beat(cx, session);
        }
        let unchecked = self.share.iter().find(|it| !self.checked.contains(it));
        if let Some(partition) = unchecked.filter(|_| cx.facts.quiet) {
            // Another commit would hide that the last ones are lost.
            if !self.kept.contains(partition) {
                return self.fetch(cx, session, *partition);
            }
            // Whoever takes a commit now leads for certain.
            if self.acknowledged.contains_key(partition) && cx.rng.chance(50) {
                self.fetch(cx, session, *partition);
            } else {
                self.commit(cx, session, *partition);
            }
            return;
        }
        let partitions: Vec<i32> = self.share.iter().copied().collect();
        if partitions.is_empty() || cx.facts.calm || cx.rng.chance(50) {
            return self.beat(cx, session);
        }
        let partition = partitions[cx.rng.index(partitions.len())];
        if cx.rng.chance(70) {
            self.commit(cx, session, partition);
        } else {
            self.fetch(cx, session, partition);
        }
    }

    fn joined(&mut self, cx: &mut Cx<'_>, reply: &Reply) {
        let response = reply.read::<JoinGroupRequest<'_>>().expect("an answer");
        match ErrorCode(response.error_code) {
            ErrorCode::NONE => {}
            ErrorCode::MEMBER_ID_REQUIRED => {
                response.member_id.clone_into(&mut self.id);
                return;
            }
            error => return self.refused(cx.facts, "join", error),
        }
        response.member_id.clone_into(&mut self.id);
        self.generation = response.generation_id;
        self.leads = response.leader == response.member_id;
        cx.facts.counts.rebalances += u64::from(self.leads);
        self.members = response.members.iter().map(|it| it.member_id.to_owned()).collect();
        self.stage = Stage::In;
        self.next_ms = cx.now_ms;
    }
}

impl Role for Member {
    fn is_done(&self, facts: &Facts) -> bool {
        if !facts.quiet {
            return true;
        }
        let same = |it: &(i32, BTreeSet<i32>)| it.0 == self.generation;
        let (mut all, mut count) = (BTreeSet::new(), 0);
        for (_, share) in facts.shares.values() {
            all.extend(share.iter().copied());
            count += share.len();
        }
        self.stage == Stage::Stable
            && self.share.iter().all(|it| self.checked.contains(it))
            && facts.shares.len() == facts.plan.members as usize
            && facts.shares.values().all(same)
            && count == all.len()
            && (0..facts.partitions).all(|it| all.contains(&it))
    }

    fn waits(&self) -> String {
        let Self { number, stage, coordinator, busy, generation, share, kept, checked, .. } = self;
        format!(
            "member {number} {stage:?} at {coordinator:?}, busy {busy:?}, generation {generation}, \
             {share:?}, kept {kept:?}, checked {checked:?}"
        )
    }

    fn act(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        if !cx.facts.created || self.busy.is_some() {
            return;
        }
        if self.stage != Stage::Lost && self.heard_ms + PATIENCE_MS < cx.now_ms {
            self.goes(cx.facts, Stage::Lost);
        }
        if self.next_ms > cx.now_ms || self.stage != Stage::Lost && self.coordinator != Some(node) {
            return;
        }
        self.next_ms = cx.now_ms + cx.rng.between(20, 600) as i64;
        self.busy = Some(node);
        match self.stage {
            Stage::Lost => find_coordinator(session, GROUP),
            Stage::Out => self.join(cx, session),
            Stage::In => self.sync(cx, session),
            Stage::Stable => {
                let assigned: usize = cx.facts.shares.values().map(|it| it.1.len()).sum();
                let all = cx.facts.shares.len() == cx.facts.plan.members as usize;
                if self.leads && all && assigned < cx.leaders.len() {
                    // There are more partitions than there were.
                    self.goes(cx.facts, Stage::Out);
                    return self.join(cx, session);
                }
                self.live(cx, session);
            }
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, _: i32, asked: &Asked, reply: &Reply) {
        self.busy = None;
        self.heard_ms = cx.now_ms;
        match *asked {
            Asked::FindCoordinator => {
                if let Some(node) = found_coordinator(reply) {
                    (self.coordinator, self.stage) = (Some(node), Stage::Out);
                }
            }
            Asked::Join => self.joined(cx, reply),
            Asked::Sync => {
                let response = reply.read::<SyncGroupRequest<'_>>().expect("an answer");
                let error = ErrorCode(response.error_code);
                if error.is_err() {
                    self.stage = Stage::Out;
                    return self.refused(cx.facts, "sync", error);
                }
                self.share = decode(response.assignment);
                self.stage = Stage::Stable;
                cx.facts.shares.insert(self.number, (self.generation, self.share.clone()));
            }
            Asked::Heartbeat if self.consumes => self.heard(cx, reply),
            Asked::Heartbeat => {
                let response = reply.read::<HeartbeatRequest<'_>>().expect("an answer");
                let error = ErrorCode(response.error_code);
                if error.is_err() {
                    self.refused(cx.facts, "heartbeat", error);
                }
            }
            Asked::Commit(partition, number) => {
                let response = reply.read::<OffsetCommitRequest<'_>>().expect("an answer");
                let error = ErrorCode(response.topics[0].partitions[0].error_code);
                if error.is_err() {
                    return self.refused(cx.facts, "commit", error);
                }
                cx.facts.counts.commits += 1;
                cx.facts.offsets.acknowledged(partition, number);
                self.acknowledged.insert(partition, number);
            }
            Asked::Committed(partition, floor) => {
                let response = reply.read::<OffsetFetchRequest<'_>>().expect("an answer");
                let group = &response.groups[0];
                let error = ErrorCode(group.error_code);
                if error.is_err() {
                    return self.refused(cx.facts, "fetch offsets", error);
                }
                let answer = &group.topics[0].partitions[0];
                let error = ErrorCode(answer.error_code);
                if error.is_err() {
                    return self.refused(cx.facts, "fetch an offset", error);
                }
                let quiet = cx.facts.quiet;
                cx.facts.offsets.fetched(partition, answer.committed_offset, floor);
                if quiet && self.kept.contains(&partition) {
                    self.checked.insert(partition);
                } else if quiet
                    && answer.committed_offset.max(0) >= cx.facts.offsets.floor(partition)
                {
                    self.kept.insert(partition);
                }
            }
            _ => {}
        }
    }

    fn lost(&mut self, node: i32, asked: &Asked, _: i64) {
        if let Asked::Metadata | Asked::Hello = asked {
            return;
        }
        if self.busy == Some(node) {
            self.busy = None;
        }
        // What was acknowledged there is not held against another.
        self.acknowledged.clear();
        self.coordinator = None;
        if self.stage != Stage::Stable {
            self.stage = Stage::Lost;
        }
        self.heard_ms = i64::MIN / 2;
    }
}
