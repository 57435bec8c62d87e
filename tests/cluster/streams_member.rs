//! Members of one streams group (KIP-1071), which are threads of Kafka Streams: they run a topology whose internal topics the
//! broker creates, get tasks, give them up when they are told, and come back where their coordinator has gone elsewhere.

use crate::checkers::tasks::{Heard, Task};
use crate::client::{Cx, Facts, Role, TOPIC, asks, find_coordinator, found_coordinator, is_moved};
use crate::session::{Asked, Session};
use klamm::client::Reply;
use klamm::types::ErrorCode;
use klamm::wire::kafka::streams_group_heartbeat_request::{
    StreamsGroupHeartbeatRequest, Subtopology, TaskIds, TopicInfo, Topology,
};
use std::collections::{BTreeMap, BTreeSet};

const GROUP: &str = "st";
const REPARTITION: &str = "st-repartition";
const CHANGELOG: &str = "st-changelog";
/// Ids of the subtopologies.
const IDS: [&str; 2] = ["0", "1"];
/// Partitions of the topic of groups.
const GROUP_PARTITIONS: i32 = 2;
/// The member leaves.
const LEAVE: i32 = -1;

/// Which node coordinates the group, and in which epoch.
type Standing = (i32, i32);

/// A heartbeat that is under way.
struct Sent {
    epoch: i32,
    at_ms: i64,
    standing: Option<Standing>,
    /// What it says it has.
    owned: BTreeSet<Task>,
}

/// See the module.
pub struct StreamsMember {
    number: u32,
    /// It has begun anew so often.
    life: u32,
    id: String,
    /// Its epoch; 0 where it is to join.
    epoch: i32,
    rebalance_ms: i64,
    coordinator: Option<i32>,
    /// A request is under way to this node.
    busy: Option<i32>,
    sent: Option<Sent>,
    leaves: bool,
    heard_ms: i64,
    next_ms: i64,
    /// What it was told to have.
    told: BTreeSet<Task>,
    /// What it has.
    owned: BTreeSet<Task>,
    /// What the coordinator was told last that it has, and has answered to.
    said: Option<BTreeSet<Task>>,
}

/// `node`, where it coordinates the group for certain.
fn standing(cx: &Cx<'_>, node: i32) -> Option<Standing> {
    let hash = GROUP.bytes().fold(0i32, |it, byte| it.wrapping_mul(31).wrapping_add(byte.into()));
    let partition = (hash & i32::MAX) % GROUP_PARTITIONS;
    let it = &cx.nodes[node as usize - 1];
    let topic = it.life.as_ref()?.brokers[0].image().topic("__consumer_offsets")?.id;
    let (epoch, _) = it.leads(topic, partition)?;
    (cx.facts.images.leader(topic, partition) == Some((node, epoch))).then_some((node, epoch))
}

fn task_ids(tasks: &BTreeSet<Task>) -> Vec<TaskIds<'static>> {
    let mut all: BTreeMap<u8, Vec<i32>> = BTreeMap::new();
    for (subtopology, partition) in tasks {
        all.entry(*subtopology).or_default().push(*partition);
    }
    let ids =
        |(it, partitions): (u8, _)| TaskIds { subtopology_id: IDS[usize::from(it)], partitions };
    all.into_iter().map(ids).collect()
}

/// Whether the topology has topics of its own: where the source gets more partitions they would have too few, which an
/// operator would have to mend.
fn has_internal_topics(facts: &Facts) -> bool {
    !facts.plan.admin.grows
}

fn topology(facts: &Facts) -> Topology<'static> {
    let replication_factor = facts.plan.replicas;
    let internal =
        |name| TopicInfo { name, partitions: 0, replication_factor, topic_configs: Vec::new() };
    let first = Subtopology {
        subtopology_id: IDS[0],
        source_topics: vec![TOPIC],
        ..Subtopology::default()
    };
    if !has_internal_topics(facts) {
        return Topology { epoch: 0, subtopologies: vec![first] };
    }
    let first = Subtopology { repartition_sink_topics: vec![REPARTITION], ..first };
    let second = Subtopology {
        subtopology_id: IDS[1],
        repartition_source_topics: vec![internal(REPARTITION)],
        state_changelog_topics: vec![internal(CHANGELOG)],
        ..Subtopology::default()
    };
    Topology { epoch: 0, subtopologies: vec![first, second] }
}

impl StreamsMember {
    pub fn new(number: u32) -> Self {
        Self {
            number,
            life: 0,
            id: format!("st{number}-0"),
            epoch: 0,
            rebalance_ms: 60_000,
            coordinator: None,
            busy: None,
            sent: None,
            leaves: false,
            heard_ms: 0,
            next_ms: 0,
            told: BTreeSet::new(),
            owned: BTreeSet::new(),
            said: None,
        }
    }

    /// It has nothing from now on.
    fn drops_all(&mut self, facts: &mut Facts) {
        facts.tasks.told.remove(&self.number);
        (self.epoch, self.said) = (0, None);
        self.told.clear();
        self.owned.clear();
    }

    fn begin_anew(&mut self, facts: &mut Facts) {
        facts.counts.threads_gone += 1;
        self.drops_all(facts);
        self.life += 1;
        (self.id, self.leaves) = (format!("st{}-{}", self.number, self.life), false);
    }

    fn beat(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        let rough = !cx.facts.calm;
        if rough && self.epoch > 0 && cx.rng.chance(3) {
            match cx.rng.below(3) {
                0 => self.leaves = true,
                // It is gone, and nobody is told.
                1 => self.begin_anew(cx.facts),
                // It has lost everything, and joins again.
                _ => self.drops_all(cx.facts),
            }
        }
        let before = self.owned.len();
        // Some are slow to give up.
        if !(rough && cx.rng.chance(30)) {
            self.owned = self.told.clone();
        }
        cx.facts.counts.tasks_given_up += before.saturating_sub(self.owned.len()) as u64;
        let joins = self.epoch == 0;
        if joins {
            self.rebalance_ms = [1_000, 60_000][cx.rng.index(2)];
        }
        if self.leaves {
            cx.facts.tasks.leaves(&self.id);
        } else {
            cx.facts.tasks.has(&self.id, &self.owned);
        }
        let unsaid = !joins && self.said.as_ref() == Some(&self.owned) && cx.rng.chance(50);
        let process_id = format!("p{}", self.number);
        let none = || joins.then(Vec::new);
        let request = StreamsGroupHeartbeatRequest {
            group_id: GROUP,
            member_id: &self.id,
            member_epoch: if self.leaves { LEAVE } else { self.epoch },
            rebalance_timeout_ms: if joins { self.rebalance_ms as i32 } else { -1 },
            topology: joins.then(|| topology(cx.facts)),
            active_tasks: (!unsaid).then(|| task_ids(&self.owned)),
            standby_tasks: if unsaid { None } else { Some(Vec::new()) },
            warmup_tasks: if unsaid { None } else { Some(Vec::new()) },
            process_id: joins.then_some(&*process_id),
            client_tags: none(),
            ..StreamsGroupHeartbeatRequest::default()
        };
        tracing::debug!(now = cx.now_ms, node, ?request, "streams beat");
        session.send(&request, Asked::Heartbeat);
        let (standing, at_ms) = (standing(cx, node), cx.now_ms);
        self.sent = Some(Sent { epoch: self.epoch, at_ms, standing, owned: self.owned.clone() });
    }

    fn heard(&mut self, cx: &mut Cx<'_>, node: i32, reply: &Reply) {
        let response = reply.read::<StreamsGroupHeartbeatRequest<'_>>().expect("an answer");
        tracing::debug!(now = cx.now_ms, id = self.id, node, ?response, "streams beaten");
        let Some(sent) = self.sent.take() else { return };
        if std::mem::take(&mut self.leaves) {
            return self.begin_anew(cx.facts);
        }
        match ErrorCode(response.error_code) {
            ErrorCode::NONE => {}
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::GROUP_ID_NOT_FOUND => {
                cx.facts.counts.threads_fenced += 1;
                return self.drops_all(cx.facts);
            }
            ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::REQUEST_TIMED_OUT => return,
            error if is_moved(error) => {
                self.coordinator = None;
                return;
            }
            error => {
                let why = response.error_message;
                panic!("streams member {}: heartbeat: {error}: {why:?}", self.number);
            }
        }
        self.epoch = response.member_epoch;
        if let Some(tasks) = &response.active_tasks {
            let of = |it: &klamm::wire::kafka::streams_group_heartbeat_response::TaskIds<'_>| {
                let at = IDS.iter().position(|id| *id == it.subtopology_id).expect("one of ours");
                it.partitions.iter().map(|partition| (at as u8, *partition)).collect::<Vec<_>>()
            };
            self.told = tasks.iter().flat_map(of).collect();
        }
        // New ones it has at once.
        let new: BTreeSet<Task> = self.told.difference(&self.owned).copied().collect();
        cx.facts.counts.tasks += new.len() as u64;
        self.owned.extend(new);
        let judged = sent.standing.is_some() && sent.standing == standing(cx, node);
        let heard = Heard {
            member: &self.id,
            joins: sent.epoch == 0,
            epoch: self.epoch,
            sent_ms: sent.at_ms,
            now_ms: cx.now_ms,
            judged,
            clean: sent.owned.is_subset(&self.told),
        };
        cx.facts.tasks.heard(heard, self.rebalance_ms, &self.told);
        self.said = Some(sent.owned);
        cx.facts.tasks.told.insert(self.number, (self.epoch, self.told.clone()));
    }
}

impl Role for StreamsMember {
    fn is_done(&self, facts: &Facts) -> bool {
        if !facts.quiet {
            return true;
        }
        let told = &facts.tasks.told;
        let (mut all, mut count) = (BTreeSet::new(), 0);
        for (epoch, tasks) in told.values() {
            if *epoch != self.epoch {
                return false;
            }
            all.extend(tasks.iter().copied());
            count += tasks.len();
        }
        let subtopologies = if has_internal_topics(facts) { 2 } else { 1 };
        let expected = facts.partitions as usize * subtopologies;
        let has = |it: u8| (0..facts.partitions).all(|partition| all.contains(&(it, partition)));
        self.epoch > 0
            && self.owned == self.told
            && told.len() == facts.plan.threads as usize
            && count == all.len()
            && count >= expected
            && (0..subtopologies as u8).all(has)
    }

    fn waits(&self) -> String {
        let Self { id, epoch, coordinator, busy, told, owned, .. } = self;
        format!(
            "streams member {id} at {coordinator:?}, busy {busy:?}, epoch {epoch}, told {told:?}, has {owned:?}"
        )
    }

    fn act(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        if !cx.facts.created || self.busy.is_some() || self.next_ms > cx.now_ms {
            return;
        }
        if !asks(node, &mut self.coordinator, self.heard_ms, cx.now_ms) {
            return;
        }
        (self.busy, self.next_ms) = (Some(node), cx.now_ms + cx.rng.between(20, 500) as i64);
        if self.coordinator.is_some() {
            return self.beat(cx, node, session);
        }
        find_coordinator(session, GROUP);
    }

    fn answered(&mut self, cx: &mut Cx<'_>, node: i32, asked: &Asked, reply: &Reply) {
        match *asked {
            Asked::FindCoordinator => self.coordinator = found_coordinator(reply),
            Asked::Heartbeat => self.heard(cx, node, reply),
            _ => return,
        }
        (self.busy, self.heard_ms) = (None, cx.now_ms);
    }

    fn lost(&mut self, node: i32, asked: &Asked, _: i64) {
        if let Asked::FindCoordinator | Asked::Heartbeat = asked
            && self.busy == Some(node)
        {
            // It does not know whether what it said was heard.
            (self.busy, self.coordinator, self.sent, self.said) = (None, None, None, None);
        }
    }
}
