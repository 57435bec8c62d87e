//! Members of one share group (KIP-932): they join, fetch from whoever leads what they are assigned, and say of each record that
//! it was processed, that another may have it, or that nobody may; or nothing, so that its lock ends. When nothing fails any
//! more, they process all.

use crate::checkers::log::Value;
use crate::checkers::share::{Delivery, Outcome, Said, Standing};
use crate::client::{
    Cx, Facts, Role, TOPIC, asks, find_coordinator, found_coordinator, is_elsewhere, is_moved,
};
use crate::node::At;
use crate::session::{Asked, Session};
use klamm::client::Reply;
use klamm::types::{ErrorCode, ShareReset};
use klamm::wire::kafka::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use klamm::wire::kafka::share_acknowledge_request as acknowledge;
use klamm::wire::kafka::share_acknowledge_request::ShareAcknowledgeRequest;
use klamm::wire::kafka::share_fetch_request::{
    AcknowledgementBatch, FetchPartition, FetchTopic, ForgottenTopic, ShareFetchRequest,
};
use klamm::wire::kafka::share_group_heartbeat_request::ShareGroupHeartbeatRequest;
use klamm::wire::records::{batches, records};
use std::collections::{BTreeMap, BTreeSet};

const GROUP: &str = "s";
/// A group, as a config resource.
const GROUP_RESOURCE: i8 = 32;
/// The epoch of a request that opens a session.
const OPEN: i32 = 0;
/// The epoch of a request that closes one.
const CLOSE: i32 = -1;
/// The member leaves.
const LEAVE: i32 = -1;

/// What a request has said of records.
type Acks = BTreeMap<i32, Vec<(Delivery, Said)>>;

/// A request in a share session that is under way.
struct Sent {
    member: String,
    node: i32,
    fetches: bool,
    /// It opens the session, goes on with it, or closes it.
    epoch: i32,
    at_ms: i64,
    partitions: BTreeSet<i32>,
    /// How each of them was led.
    standing: BTreeMap<i32, Option<Standing>>,
    acks: Acks,
}

/// A share session with a node.
#[derive(Default)]
struct ShareSession {
    at: Option<At>,
    /// The epoch of the next request.
    epoch: i32,
    partitions: BTreeSet<i32>,
    /// The request that is under way.
    asked: Option<u64>,
    next_ms: i64,
    /// What it has got here and said nothing of.
    held: Vec<Delivery>,
    /// What it will never say anything of.
    ignored: Vec<Delivery>,
}

impl ShareSession {
    /// It is over: what the member has got in it is nobody's.
    fn ends(&mut self, facts: &mut Facts) {
        self.epoch = OPEN;
        let all = self.held.drain(..).chain(self.ignored.drain(..));
        all.for_each(|it| facts.share.lets_go(&it));
    }
}

/// See the module.
pub struct ShareMember {
    number: u32,
    /// It has begun anew so often.
    life: u32,
    id: String,
    /// Its epoch; 0 where it is to join.
    epoch: i32,
    coordinator: Option<i32>,
    /// A request of the membership is under way to this node.
    busy: Option<i32>,
    leaves: bool,
    heard_ms: i64,
    next_ms: i64,
    assigned: BTreeSet<i32>,
    sessions: BTreeMap<i32, ShareSession>,
    sent: BTreeMap<u64, Sent>,
    last: u64,
    /// By partition: all below is settled, as far as has to be.
    settled: BTreeMap<i32, i64>,
    /// Everything is, and every partition was asked for in this pass.
    done: u32,
    polled: (u32, BTreeSet<i32>),
}

fn standing(cx: &Cx<'_>, node: i32, partition: i32) -> Option<Standing> {
    let topic = cx.facts.topic_id;
    let newest = cx.facts.images.leader(topic, partition);
    let (epoch, loads) = cx.nodes[node as usize - 1].leads(topic, partition)?;
    (newest == Some((node, epoch))).then_some((node, epoch, loads))
}

/// Batches of offsets in a row, each with a type for every offset.
fn batches_of(said: &[(Delivery, Said)]) -> Vec<(i64, i64, Vec<i8>)> {
    let mut all: Vec<(i64, i64, Vec<i8>)> = Vec::new();
    let mut heard_ms = -1;
    for (it, said) in said {
        // Those that came at a time: they are all its own, or none is. Where some are below what is settled, nobody says of them.
        let same = std::mem::replace(&mut heard_ms, it.heard_ms) == it.heard_ms;
        match all.last_mut().filter(|batch| same && batch.1 + 1 == it.offset) {
            Some(batch) => {
                batch.1 = it.offset;
                batch.2.push(said.code());
            }
            None => all.push((it.offset, it.offset, vec![said.code()])),
        }
    }
    // One type stands for all.
    for batch in &mut all {
        if batch.2.iter().all(|it| *it == batch.2[0]) {
            batch.2.truncate(1);
        }
    }
    all
}

impl ShareMember {
    pub fn new(number: u32) -> Self {
        Self {
            number,
            life: 0,
            id: format!("s{number}-0"),
            epoch: 0,
            coordinator: None,
            busy: None,
            leaves: false,
            heard_ms: 0,
            next_ms: 0,
            assigned: BTreeSet::new(),
            sessions: BTreeMap::new(),
            sent: BTreeMap::new(),
            last: 0,
            settled: BTreeMap::new(),
            done: 0,
            polled: (0, BTreeSet::new()),
        }
    }

    /// It says no more of what it had, and is another one from now on.
    fn begin_anew(&mut self, facts: &mut Facts) {
        facts.counts.sharers_gone += 1;
        self.life += 1;
        self.id = format!("s{}-{}", self.number, self.life);
        (self.epoch, self.leaves) = (0, false);
        self.assigned.clear();
        self.sessions.values_mut().for_each(|it| it.ends(facts));
    }

    // ---- Membership ----

    /// The group is to begin at the start of each partition.
    fn configure(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        let lives = cx.nodes.iter().filter_map(|it| it.life.as_ref());
        let mut brokers = lives.flat_map(|it| &it.brokers);
        if brokers.all(|it| it.image().share_config(GROUP).reset == ShareReset::Earliest) {
            cx.facts.shares_begin = true;
            return;
        }
        if self.number > 0 || self.busy.is_some() || self.next_ms > cx.now_ms {
            return;
        }
        (self.busy, self.next_ms) = (Some(node), cx.now_ms + 300);
        let name = "share.auto.offset.reset";
        let config =
            AlterableConfig { name, value: Some("earliest"), ..AlterableConfig::default() };
        let resource = AlterConfigsResource {
            resource_type: GROUP_RESOURCE,
            resource_name: GROUP,
            configs: vec![config],
        };
        let resources = vec![resource];
        let request = IncrementalAlterConfigsRequest {
            resources,
            ..IncrementalAlterConfigsRequest::default()
        };
        session.send(&request, Asked::Admin);
    }

    fn beat(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        if self.busy.is_some() || self.next_ms > cx.now_ms {
            return;
        }
        if !asks(node, &mut self.coordinator, self.heard_ms, cx.now_ms) {
            return;
        }
        (self.busy, self.next_ms) = (Some(node), cx.now_ms + cx.rng.between(20, 600) as i64);
        if self.coordinator.is_none() {
            return find_coordinator(session, GROUP);
        }
        if !cx.facts.calm && self.epoch > 0 && cx.rng.chance(3) {
            if cx.rng.chance(50) {
                self.leaves = true;
            } else {
                // It is gone, and nobody is told.
                self.begin_anew(cx.facts);
            }
        }
        let joins = self.epoch == 0;
        let request = ShareGroupHeartbeatRequest {
            group_id: GROUP,
            member_id: &self.id,
            member_epoch: if self.leaves { LEAVE } else { self.epoch },
            subscribed_topic_names: joins.then(|| vec![TOPIC]),
            ..ShareGroupHeartbeatRequest::default()
        };
        tracing::debug!(now = cx.now_ms, node, ?request, "share beat");
        session.send(&request, Asked::Heartbeat);
    }

    fn heard(&mut self, cx: &mut Cx<'_>, reply: &Reply) {
        let response = reply.read::<ShareGroupHeartbeatRequest<'_>>().expect("an answer");
        if std::mem::take(&mut self.leaves) {
            return self.begin_anew(cx.facts);
        }
        match ErrorCode(response.error_code) {
            ErrorCode::NONE => {}
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::GROUP_ID_NOT_FOUND => {
                self.epoch = 0;
                return;
            }
            ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::REQUEST_TIMED_OUT => return,
            error if is_moved(error) => {
                self.coordinator = None;
                return;
            }
            error => panic!("share member {}: heartbeat: {error}", self.number),
        }
        if response.member_id != Some(&self.id) {
            return;
        }
        self.epoch = response.member_epoch;
        if let Some(assignment) = response.assignment {
            let all = assignment.topic_partitions.iter().flat_map(|it| &it.partitions);
            self.assigned = all.copied().collect();
        }
    }

    // ---- Records ----

    /// What it says now of records that it has from a node.
    fn judge(cx: &mut Cx<'_>, session: &mut ShareSession) -> Acks {
        let mut acks = Acks::new();
        let calm = cx.facts.calm;
        let ShareSession { held, ignored, .. } = session;
        held.retain(|it| {
            let draw = if calm { 0 } else { cx.rng.below(100) };
            let said = match draw {
                0..60 => Said::Accept,
                60..75 => Said::Release,
                75..80 => Said::Reject,
                // It says something later, or never.
                80..95 => return true,
                _ => {
                    ignored.push(*it);
                    return false;
                }
            };
            cx.facts.share.lets_go(it);
            acks.entry(it.partition).or_default().push((*it, said));
            false
        });
        acks.values_mut().for_each(|it| it.sort_by_key(|it| it.0.offset));
        acks
    }

    fn fetch(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        let led = |it: &&i32| cx.leaders.get(*it).is_some_and(|it| it.0 == node);
        let wanted: BTreeSet<i32> = self.assigned.iter().filter(led).copied().collect();
        let it = self.sessions.entry(node).or_default();
        if it.at != Some(session.at) {
            *it = ShareSession { at: Some(session.at), ..ShareSession::default() };
        }
        if it.asked.is_some() || it.next_ms > cx.now_ms {
            return;
        }
        if wanted.is_empty() && it.held.is_empty() {
            return;
        }
        it.next_ms = cx.now_ms + cx.rng.between(5, 200) as i64;
        let opens = it.epoch == OPEN;
        if opens {
            it.ends(cx.facts);
        }
        let acks = if opens { Acks::new() } else { Self::judge(cx, it) };
        let rough = !cx.facts.calm;
        let closes = !opens && rough && cx.rng.chance(3);
        let fetches = opens || !closes && (acks.is_empty() || cx.rng.chance(60));
        // One that has lost count is told so.
        let wrong = !opens && rough && cx.rng.chance(1);
        let epoch = match (closes, wrong) {
            (true, _) => CLOSE,
            (_, true) => it.epoch + 1,
            _ => it.epoch,
        };
        let before = std::mem::replace(&mut it.partitions, wanted.clone());
        let gone: Vec<i32> = before.difference(&wanted).copied().filter(|_| !opens).collect();
        self.last += 1;
        it.asked = Some(self.last);
        if closes {
            it.ends(cx.facts);
        }
        let standing = wanted.iter().map(|it| (*it, standing(cx, node, *it))).collect();
        let (topic_id, member_id) = (cx.facts.topic_id, Some(&*self.id));
        if fetches {
            let named: BTreeSet<i32> = wanted.iter().chain(acks.keys()).copied().collect();
            let partitions =
                named.iter().map(|index| FetchPartition {
                    partition_index: *index,
                    acknowledgement_batches: batches_of(acks.get(index).map_or(&[], |it| it))
                        .into_iter()
                        .map(|(first_offset, last_offset, acknowledge_types)| {
                            AcknowledgementBatch { first_offset, last_offset, acknowledge_types }
                        })
                        .collect(),
                });
            let forgotten = gone.into_iter().filter(|it| !named.contains(it)).collect::<Vec<_>>();
            let request = ShareFetchRequest {
                group_id: Some(GROUP),
                member_id,
                share_session_epoch: epoch,
                max_wait_ms: cx.rng.below(300) as i32,
                min_bytes: 1,
                // In the end there is a bound of time for all that is left.
                max_bytes: if rough { 1 << cx.rng.between(8, 18) } else { 1 << 20 },
                max_records: if rough { cx.rng.between(1, 60) as i32 } else { 1_000 },
                batch_size: cx.rng.between(1, 30) as i32,
                share_acquire_mode: i8::from(cx.rng.chance(30)),
                is_renew_ack: false,
                topics: vec![FetchTopic { topic_id, partitions: partitions.collect() }],
                forgotten_topics_data: if forgotten.is_empty() {
                    Vec::new()
                } else {
                    vec![ForgottenTopic { topic_id, partitions: forgotten }]
                },
            };
            session.send(&request, Asked::Share(self.last));
            it.partitions.clone_from(&named);
        } else {
            let partitions = acks.iter().map(|(index, said)| acknowledge::AcknowledgePartition {
                partition_index: *index,
                acknowledgement_batches: batches_of(said)
                    .into_iter()
                    .map(|(first_offset, last_offset, acknowledge_types)| {
                        acknowledge::AcknowledgementBatch {
                            first_offset,
                            last_offset,
                            acknowledge_types,
                        }
                    })
                    .collect(),
            });
            let topics =
                vec![acknowledge::AcknowledgeTopic { topic_id, partitions: partitions.collect() }];
            let request = ShareAcknowledgeRequest {
                group_id: Some(GROUP),
                member_id,
                share_session_epoch: epoch,
                is_renew_ack: false,
                topics: if acks.is_empty() { Vec::new() } else { topics },
            };
            session.send(&request, Asked::Share(self.last));
            it.partitions = before;
        }
        tracing::debug!(
            now = cx.now_ms,
            id = self.id,
            node,
            epoch,
            fetches,
            ?acks,
            "share session"
        );
        let partitions = if fetches { wanted } else { BTreeSet::new() };
        let at_ms = cx.now_ms;
        let member = self.id.clone();
        let sent = Sent { member, node, fetches, epoch, at_ms, partitions, standing, acks };
        self.sent.insert(self.last, sent);
    }

    /// What came of what it has said of a partition's records.
    fn told(facts: &mut Facts, sent: &Sent, partition: i32, outcome: Outcome, now_ms: i64) {
        let times = (sent.at_ms, now_ms);
        for (it, said) in sent.acks.get(&partition).into_iter().flatten() {
            let Facts { share, counts, .. } = facts;
            share.answered(it, *said, outcome, times, counts);
        }
    }

    fn told_all(facts: &mut Facts, sent: &Sent, outcome: Outcome, now_ms: i64) {
        let partitions: Vec<i32> = sent.acks.keys().copied().collect();
        partitions.iter().for_each(|it| Self::told(facts, sent, *it, outcome, now_ms));
    }

    fn answer(&mut self, cx: &mut Cx<'_>, number: u64, reply: &Reply) {
        let Some(sent) = self.sent.remove(&number) else { return };
        let is_own = sent.member == self.id;
        let session = self.sessions.get_mut(&sent.node).expect("it was asked in one");
        session.asked = None;
        let (top, told) = if sent.fetches {
            let response = reply.read::<ShareFetchRequest<'_>>().expect("an answer");
            let answers = response.responses.iter().flat_map(|it| &it.partitions);
            let told = answers.map(|it| (it.partition_index, it.acknowledge_error_code));
            (response.error_code, told.collect::<Vec<_>>())
        } else {
            let response = reply.read::<ShareAcknowledgeRequest<'_>>().expect("an answer");
            let answers = response.responses.iter().flat_map(|it| &it.partitions);
            let told = answers.map(|it| (it.partition_index, it.error_code));
            (response.error_code, told.collect())
        };
        match ErrorCode(top) {
            ErrorCode::NONE => {}
            ErrorCode::SHARE_SESSION_NOT_FOUND | ErrorCode::INVALID_SHARE_SESSION_EPOCH => {
                cx.facts.counts.share_sessions_lost += 1;
                if is_own {
                    session.ends(cx.facts);
                }
                return Self::told_all(cx.facts, &sent, Outcome::Refused, cx.now_ms);
            }
            error => panic!("share member {}: {error}", self.number),
        }
        if is_own {
            session.epoch = if sent.epoch == CLOSE { OPEN } else { sent.epoch + 1 };
        }
        let mut unsaid: BTreeSet<i32> = sent.acks.keys().copied().collect();
        for (partition, error) in told {
            let outcome = match ErrorCode(error) {
                ErrorCode::NONE => Outcome::Kept,
                // Its lock has ended.
                ErrorCode::INVALID_RECORD_STATE | ErrorCode::INVALID_REQUEST => Outcome::Refused,
                error if is_elsewhere(error) => {
                    *cx.stale = true;
                    Outcome::Open
                }
                error => panic!("share member {}: an acknowledgement: {error}", self.number),
            };
            if unsaid.remove(&partition) {
                Self::told(cx.facts, &sent, partition, outcome, cx.now_ms);
            }
        }
        assert!(unsaid.is_empty(), "share member {}: no answer of {unsaid:?}", self.number);
        if sent.fetches {
            self.take(cx, &sent, reply);
        }
    }

    /// Records have come.
    fn take(&mut self, cx: &mut Cx<'_>, sent: &Sent, reply: &Reply) {
        let response = reply.read::<ShareFetchRequest<'_>>().expect("an answer");
        let mut failed = BTreeSet::new();
        for answer in response.responses.iter().flat_map(|it| &it.partitions) {
            let partition = answer.partition_index;
            match ErrorCode(answer.error_code) {
                ErrorCode::NONE => {}
                error if is_elsewhere(error) => {
                    failed.insert(partition);
                    *cx.stale = true;
                    continue;
                }
                error => panic!("share member {}: {partition}: {error}", self.number),
            }
            tracing::debug!(now = cx.now_ms, id = sent.member, node = sent.node, partition, sent = sent.at_ms, acquired = ?answer.acquired_records, "shares");
            let before = sent.standing.get(&partition).copied().flatten();
            let standing = before.filter(|it| standing(cx, sent.node, partition) == Some(*it));
            let mut there = BTreeMap::new();
            for (_, batch) in batches(answer.records) {
                for record in &records(batch, 1 << 20).expect("records") {
                    let record = record.expect("a record");
                    let value = Value::decode(record.value.expect("a value"));
                    there.insert(record.offset, (value, record.timestamp));
                }
            }
            for acquired in &answer.acquired_records {
                for offset in acquired.first_offset..=acquired.last_offset {
                    let (value, stamp_ms) = there.get(&offset).expect("what is acquired is sent");
                    let Facts { log, share, counts, .. } = &mut *cx.facts;
                    log.read(partition, offset, *value, *stamp_ms);
                    let times = (sent.at_ms, cx.now_ms);
                    let what = (partition, offset, acquired.delivery_count);
                    let delivery = share.delivered(what, standing, times, counts);
                    let session = self.sessions.get_mut(&sent.node).expect("it was asked in one");
                    if sent.member == self.id {
                        // It has it anew.
                        let is_other =
                            |it: &Delivery| (it.partition, it.offset) != (partition, offset);
                        session.held.retain(is_other);
                        session.held.push(delivery);
                    } else {
                        share.lets_go(&delivery);
                    }
                }
            }
        }
        if self.polled.0 != cx.facts.pass {
            self.polled = (cx.facts.pass, BTreeSet::new());
        }
        self.polled.1.extend(sent.partitions.difference(&failed));
    }

    /// Whether all that has to be is settled, when it is quiet.
    fn look(&mut self, cx: &Cx<'_>) {
        let clock = cx.wall_ms - cx.now_ms;
        for partition in 0..cx.facts.partitions {
            let from = self.settled.entry(partition).or_insert(0);
            while let Some((offset, stamp_ms)) = cx.facts.log.next(partition, *from, cx.wall_ms) {
                if cx.facts.share.waits(partition, offset, stamp_ms - clock) {
                    return;
                }
                *from = offset + 1;
            }
        }
        let polled = self.polled.0 == cx.facts.pass && self.assigned.is_subset(&self.polled.1);
        if polled && !self.assigned.is_empty() {
            self.done = cx.facts.pass;
        }
    }
}

impl Role for ShareMember {
    fn is_done(&self, facts: &Facts) -> bool {
        !facts.quiet || self.done >= facts.pass
    }

    fn waits(&self) -> String {
        let Self { id, epoch, coordinator, busy, assigned, settled, done, .. } = self;
        let of = |(node, it): (&i32, &ShareSession)| {
            format!("{node}: epoch {}, asked {:?}, has {}", it.epoch, it.asked, it.held.len())
        };
        let sessions: Vec<String> = self.sessions.iter().map(of).collect();
        format!(
            "share member {id} at {coordinator:?}, busy {busy:?}, epoch {epoch}, {assigned:?}, \
             sessions {sessions:?}, settled below {settled:?}, pass {done}"
        )
    }

    fn act(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        if !cx.facts.created || session.asked.len() > 4 {
            return;
        }
        if !cx.facts.shares_begin {
            return self.configure(cx, node, session);
        }
        if cx.facts.quiet && self.done < cx.facts.pass {
            self.look(cx);
        }
        self.beat(cx, node, session);
        if self.epoch > 0 {
            self.fetch(cx, node, session);
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, _: i32, asked: &Asked, reply: &Reply) {
        match *asked {
            Asked::Share(number) => return self.answer(cx, number, reply),
            Asked::FindCoordinator => self.coordinator = found_coordinator(reply),
            Asked::Heartbeat => self.heard(cx, reply),
            Asked::Admin => {}
            _ => return,
        }
        (self.busy, self.heard_ms) = (None, cx.now_ms);
    }

    fn lost(&mut self, node: i32, asked: &Asked, _: i64) {
        if let Asked::FindCoordinator | Asked::Heartbeat | Asked::Admin = asked
            && self.busy == Some(node)
        {
            (self.busy, self.coordinator) = (None, None);
        }
    }

    fn closed(&mut self, facts: &mut Facts, node: i32, now_ms: i64) {
        if let Some(mut session) = self.sessions.remove(&node) {
            session.ends(facts);
        }
        let (lost, left) =
            std::mem::take(&mut self.sent).into_iter().partition(|it| it.1.node == node);
        self.sent = left;
        let lost: BTreeMap<u64, Sent> = lost;
        for sent in lost.values() {
            Self::told_all(facts, sent, Outcome::Open, now_ms);
            // It has got something of each partition of its session, perhaps.
            let all = if sent.fetches { 0..facts.partitions } else { 0..0 };
            all.for_each(|it| facts.share.unheard(it, now_ms));
        }
    }
}
