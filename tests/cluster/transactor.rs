//! Transactional producers: each begins a transaction, writes batches and offsets of a group, one request at a time, and
//! commits or aborts. Some take longer than their transactions may. Some are given up in the middle, by their own process
//! that begins anew, and wake up later, when another of the same name is there.

use crate::checkers::log::Value;
use crate::client::{Cx, Facts, Role, TRANSACTED, is_elsewhere, is_moved};
use crate::session::{Asked, Session};
use klamm::client::Reply;
use klamm::client::variants::{
    AddOffsets, AddPartitions, EndTxn, OldEndTxn, OldProduce, OldTxnOffsets, TxnOffsets,
};
use klamm::types::ErrorCode;
use klamm::wire::kafka::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use klamm::wire::kafka::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
};
use klamm::wire::kafka::end_txn_request::EndTxnRequest;
use klamm::wire::kafka::find_coordinator_request::FindCoordinatorRequest;
use klamm::wire::kafka::init_producer_id_request::InitProducerIdRequest;
use klamm::wire::kafka::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use klamm::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use klamm::wire::kafka::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use klamm::wire::records::{BatchBuilder, Compression};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Kinds of coordinators.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    id: i64,
    epoch: i16,
}

struct Batch {
    bytes: Vec<u8>,
    values: Vec<Value>,
}

/// A part of a transaction.
enum Part {
    /// The coordinator is told that the partition is part of it, by old clients.
    Add(i32),
    /// A batch; it is made when it is sent first.
    Write(i32, Option<Batch>),
    /// The coordinator is told that the group's offsets are part of it, by old clients.
    AddOffsets,
    Offsets,
}

struct Open {
    number: usize,
    parts: VecDeque<Part>,
    /// A part of it was accepted, so the transaction before it is over.
    begun: bool,
    commits: bool,
    /// How often its end was asked for.
    ends: u32,
    /// The producer begins anew behind it.
    is_last: bool,
}

/// What a producer that was given up does yet.
struct Zombie {
    at_ms: i64,
    identity: Identity,
    number: usize,
    /// Commits; otherwise it writes, with this sequence.
    commits: bool,
    partition: i32,
    sequence: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Find(i8),
    Init,
    Part,
    End,
    Committed,
}

/// See the module.
pub struct Transactor {
    number: u32,
    name: String,
    group: String,
    /// Its transactions have an epoch each.
    own_epochs: bool,
    timeout_ms: i32,
    coordinator: Option<i32>,
    group_coordinator: Option<i32>,
    /// The request that is under way: its number, and to which node.
    busy: Option<(u64, i32, Step)>,
    requests: u64,
    next_ms: i64,
    identity: Option<Identity>,
    /// The newest that was given to it.
    newest: Option<Identity>,
    /// By partition, in its present epoch.
    sequences: BTreeMap<i32, i32>,
    /// By partition: values that were made.
    numbers: BTreeMap<i32, u32>,
    open: Option<Open>,
    zombies: Vec<Zombie>,
    /// By request: the transaction that a zombie wants to commit.
    zombie_ends: BTreeMap<u64, usize>,
    /// The group's offsets were looked at when it was quiet.
    checked: bool,
}

/// Whether it is to be asked again.
fn passes(error: ErrorCode) -> bool {
    is_elsewhere(error)
        || is_moved(error)
        || matches!(
            error,
            ErrorCode::CONCURRENT_TRANSACTIONS
                | ErrorCode::NOT_ENOUGH_REPLICAS
                | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                | ErrorCode::REQUEST_TIMED_OUT
                | ErrorCode::INVALID_TIMESTAMP
                | ErrorCode::UNSTABLE_OFFSET_COMMIT
        )
}

/// Whether another has the name, or its time is over.
fn is_fenced(error: ErrorCode) -> bool {
    matches!(error, ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_EPOCH)
}

/// Whether the transaction can only be aborted.
fn is_abortable(error: ErrorCode) -> bool {
    matches!(error, ErrorCode::TRANSACTION_ABORTABLE | ErrorCode::INVALID_TXN_STATE)
}

impl Transactor {
    pub fn new(number: u32, own_epochs: bool) -> Self {
        Self {
            number,
            name: format!("tx-{number}"),
            group: format!("gx-{number}"),
            own_epochs,
            timeout_ms: [1_500, 4_000, 10_000][number as usize % 3],
            coordinator: None,
            group_coordinator: None,
            busy: None,
            requests: 0,
            next_ms: 0,
            identity: None,
            newest: None,
            sequences: BTreeMap::new(),
            numbers: BTreeMap::new(),
            open: None,
            zombies: Vec::new(),
            zombie_ends: BTreeMap::new(),
            checked: false,
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>) {
        let partitions: Vec<i32> = cx.leaders.keys().copied().collect();
        if partitions.is_empty() {
            return;
        }
        let (mut parts, mut added) = (Vec::new(), BTreeSet::new());
        for _ in 0..cx.rng.between(1, 4) {
            let partition = partitions[cx.rng.index(partitions.len())];
            if !self.own_epochs && added.insert(partition) {
                parts.push(Part::Add(partition));
            }
            parts.push(Part::Write(partition, None));
        }
        if cx.rng.chance(40) {
            if !self.own_epochs {
                parts.push(Part::AddOffsets);
            }
            parts.push(Part::Offsets);
        }
        let (number, commits) = (cx.facts.transactions.begins(self.number), cx.rng.chance(70));
        let (parts, begun) = (parts.into(), false);
        self.open = Some(Open { number, parts, begun, commits, ends: 0, is_last: false });
    }

    /// Another has its name, or it has come too late: it begins anew.
    fn fenced(&mut self, facts: &mut Facts) {
        facts.counts.fenced += u64::from(self.open.is_some());
        (self.identity, self.open) = (None, None);
        self.sequences.clear();
    }

    /// It is given up, and may wake up again.
    fn dies(&mut self, cx: &mut Cx<'_>) {
        self.busy = None;
        let Some((identity, open)) = self.identity.take().zip(self.open.take()) else { return };
        let sequences = std::mem::take(&mut self.sequences);
        cx.facts.counts.zombies += 1;
        if cx.rng.chance(70) && !cx.leaders.is_empty() {
            let at = cx.rng.index(cx.leaders.len());
            let partition = *cx.leaders.keys().nth(at).expect("one of them");
            // No client of the older protocol writes before. Where all transactions have one epoch, what it wrote would
            // be of the one before, whose markers may be under way: in Kafka too (KIP-890).
            let writes = self.own_epochs || open.begun;
            self.zombies.push(Zombie {
                at_ms: cx.now_ms + cx.rng.below(6_000) as i64,
                identity,
                number: open.number,
                commits: cx.rng.chance(50) || !writes,
                partition,
                sequence: sequences.get(&partition).copied().unwrap_or(0),
            });
        }
    }

    /// A batch of some values of a transaction.
    fn batch(
        &mut self,
        cx: &mut Cx<'_>,
        identity: Identity,
        (transaction, partition, sequence): (usize, i32, i32),
    ) -> Batch {
        let next = self.numbers.entry(partition).or_default();
        let count = cx.rng.between(1, 4) as u32;
        let values: Vec<Value> = (0..count)
            .map(|n| Value { partition, producer: self.number, number: *next + n })
            .collect();
        *next += count;
        cx.facts.transactions.writes(transaction, &values);
        let Identity { id, epoch } = identity;
        let builder = BatchBuilder::new(Compression::None).producer(id, epoch, sequence);
        let mut builder = builder.transactional();
        for value in &values {
            builder.push(cx.wall_ms, None, Some(&value.encode()), &[]);
        }
        Batch { bytes: builder.build(), values }
    }

    fn produce(&self, session: &mut Session, partition: i32, bytes: &[u8], asked: Asked) {
        let request = ProduceRequest {
            transactional_id: Some(&self.name),
            acks: -1,
            timeout_ms: 5_000,
            topic_data: vec![TopicProduceData {
                name: TRANSACTED,
                partition_data: vec![PartitionProduceData {
                    index: partition,
                    records: Some(bytes),
                }],
                ..TopicProduceData::default()
            }],
        };
        if self.own_epochs {
            session.send(&request, asked);
        } else {
            session.send(&OldProduce(request), asked);
        }
    }

    fn end(&self, session: &mut Session, identity: Identity, committed: bool, asked: Asked) {
        let Identity { id: producer_id, epoch: producer_epoch } = identity;
        let transactional_id = &self.name;
        let request = EndTxnRequest { transactional_id, producer_id, producer_epoch, committed };
        if self.own_epochs {
            session.send(&EndTxn(request), asked);
        } else {
            session.send(&OldEndTxn(request), asked);
        }
    }

    /// One that was given up wakes up.
    fn wakes(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        let leads = |it: &Zombie| cx.leaders.get(&it.partition).is_some_and(|it| it.0 == node);
        let may = |it: &Zombie| {
            let there = if it.commits { self.coordinator == Some(node) } else { leads(it) };
            it.at_ms <= cx.now_ms && there
        };
        let Some(at) = self.zombies.iter().position(may) else { return };
        let it = self.zombies.swap_remove(at);
        self.requests += 1;
        let asked = Asked::Transaction(self.requests);
        if it.commits {
            cx.facts.transactions.ends(it.number, true);
            self.zombie_ends.insert(self.requests, it.number);
            self.end(session, it.identity, true, asked);
        } else {
            let at = (it.number, it.partition, it.sequence);
            let batch = self.batch(cx, it.identity, at);
            self.produce(session, it.partition, &batch.bytes, asked);
        }
    }

    /// What it does next, and at which node, where that is known.
    fn next(&mut self, cx: &mut Cx<'_>) -> Option<(Step, Option<i32>)> {
        let (step, at) = match &self.open {
            Some(open) => match open.parts.front() {
                Some(Part::Write(partition, _)) => {
                    let leader = cx.leaders.get(partition).map(|it| it.0).filter(|it| *it >= 0);
                    return leader.map(|it| (Step::Part, Some(it)));
                }
                Some(Part::Offsets) => (Step::Part, GROUP),
                Some(_) => (Step::Part, TRANSACTION),
                None => (Step::End, TRANSACTION),
            },
            None if cx.facts.quiet && !self.checked => (Step::Committed, GROUP),
            None if cx.facts.calm => return None,
            None if self.identity.is_none() => (Step::Init, TRANSACTION),
            None => {
                self.begin(cx);
                return None;
            }
        };
        let known = if at == GROUP { self.group_coordinator } else { self.coordinator };
        Some(known.map_or((Step::Find(at), None), |it| (step, Some(it))))
    }

    /// Sends a part of the transaction.
    fn part(&mut self, cx: &mut Cx<'_>, session: &mut Session, asked: Asked) {
        let identity = self.identity.expect("who has begun a transaction");
        let Identity { id, epoch } = identity;
        let Some(open) = &mut self.open else { return };
        let number = open.number;
        match open.parts.pop_front().expect("one that is left") {
            Part::Add(partition) => {
                let topic =
                    AddPartitionsToTxnTopic { name: TRANSACTED, partitions: vec![partition] };
                let request = AddPartitionsToTxnRequest {
                    v3_and_below_transactional_id: &self.name,
                    v3_and_below_producer_id: id,
                    v3_and_below_producer_epoch: epoch,
                    v3_and_below_topics: vec![topic],
                    ..AddPartitionsToTxnRequest::default()
                };
                session.send(&AddPartitions(request), asked);
                open.parts.push_front(Part::Add(partition));
            }
            Part::Write(partition, batch) => {
                let sequence = self.sequences.get(&partition).copied().unwrap_or(0);
                let batch = match batch {
                    Some(batch) => batch,
                    None => self.batch(cx, identity, (number, partition, sequence)),
                };
                self.produce(session, partition, &batch.bytes, asked);
                let open = self.open.as_mut().expect("just seen");
                open.parts.push_front(Part::Write(partition, Some(batch)));
            }
            Part::AddOffsets => {
                let request = AddOffsetsToTxnRequest {
                    transactional_id: &self.name,
                    producer_id: id,
                    producer_epoch: epoch,
                    group_id: &self.group,
                };
                session.send(&AddOffsets(request), asked);
                open.parts.push_front(Part::AddOffsets);
            }
            Part::Offsets => {
                open.parts.push_front(Part::Offsets);
                cx.facts.transactions.commits_offsets(number, false);
                let partition = TxnOffsetCommitRequestPartition {
                    committed_offset: number as i64,
                    ..TxnOffsetCommitRequestPartition::default()
                };
                let request = TxnOffsetCommitRequest {
                    transactional_id: &self.name,
                    group_id: &self.group,
                    producer_id: id,
                    producer_epoch: epoch,
                    topics: vec![TxnOffsetCommitRequestTopic {
                        name: TRANSACTED,
                        partitions: vec![partition],
                    }],
                    ..TxnOffsetCommitRequest::default()
                };
                if self.own_epochs {
                    session.send(&TxnOffsets(request), asked);
                } else {
                    session.send(&OldTxnOffsets(request), asked);
                }
            }
        }
    }

    fn committed(&self, session: &mut Session, asked: Asked) {
        let topics = vec![OffsetFetchRequestTopics {
            name: TRANSACTED,
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopics::default()
        }];
        let group = OffsetFetchRequestGroup {
            group_id: &self.group,
            member_id: None,
            member_epoch: -1,
            topics: Some(topics),
        };
        let request = OffsetFetchRequest {
            groups: vec![group],
            require_stable: true,
            ..OffsetFetchRequest::default()
        };
        session.send(&request, asked);
    }

    /// An error of what it has asked for; whether there is none.
    fn refused(&mut self, cx: &mut Cx<'_>, step: Step, error: ErrorCode) -> bool {
        if error == ErrorCode::NONE {
            return false;
        }
        let now_ms = cx.now_ms;
        if passes(error) {
            self.next_ms = now_ms + 50;
            *cx.stale = true;
            if is_moved(error) {
                (self.coordinator, self.group_coordinator) = (None, None);
            }
        } else if is_fenced(error) {
            self.fenced(cx.facts);
        } else if is_abortable(error) && step == Step::Part {
            let open = self.open.as_mut().expect("a part of it was asked for");
            (open.commits, open.is_last) = (false, true);
            open.parts.clear();
        } else if is_abortable(error) && step == Step::End {
            // It was aborted by time.
            self.fenced(cx.facts);
        } else {
            panic!("{}: {step:?}: {error}", self.name);
        }
        true
    }

    /// A part of the transaction is answered: its error.
    fn part_answered(&mut self, cx: &mut Cx<'_>, reply: &Reply) -> ErrorCode {
        let Some(Open { number, parts, begun, .. }) = &mut self.open else {
            return ErrorCode::NONE;
        };
        let error = match parts.front().expect("one that was asked for") {
            Part::Add(_) => {
                let response = reply.read::<AddPartitions<'_>>().expect("an answer");
                let topic = &response.results_by_topic_v3_and_below[0];
                ErrorCode(topic.results_by_partition[0].partition_error_code)
            }
            Part::AddOffsets => {
                let response = reply.read::<AddOffsets<'_>>().expect("an answer");
                ErrorCode(response.error_code)
            }
            Part::Write(partition, batch) => {
                let response = reply.read::<ProduceRequest<'_>>().expect("an answer");
                let answer = &response.responses[0].partition_responses[0];
                let error = ErrorCode(answer.error_code);
                if !error.is_err() {
                    let values = &batch.as_ref().expect("it was sent").values;
                    let base = answer.base_offset;
                    cx.facts.transactions.acknowledged(*number, base, values);
                    *self.sequences.entry(*partition).or_default() += values.len() as i32;
                }
                error
            }
            Part::Offsets => {
                let response = reply.read::<TxnOffsets<'_>>().expect("an answer");
                let error = ErrorCode(response.topics[0].partitions[0].error_code);
                if !error.is_err() {
                    cx.facts.transactions.commits_offsets(*number, true);
                    cx.facts.counts.offsets_in_transactions += 1;
                }
                error
            }
        };
        if !error.is_err() {
            parts.pop_front();
            *begun = true;
        }
        error
    }

    /// It has this id and epoch from now on.
    fn takes(&mut self, identity: Identity) {
        let newest = self.newest.filter(|it| it.id == identity.id);
        assert!(
            newest.is_none_or(|it| it.epoch < identity.epoch),
            "{}: {identity:?} is not newer than {newest:?}",
            self.name
        );
        (self.identity, self.newest) = (Some(identity), Some(identity));
        self.sequences.clear();
    }

    fn end_answered(&mut self, cx: &mut Cx<'_>, reply: &Reply) {
        let response = reply.read::<EndTxn<'_>>().expect("an answer");
        let error = ErrorCode(response.error_code);
        let Some(open) = &self.open else { return };
        let (number, ends, commits, is_last) = (open.number, open.ends, open.commits, open.is_last);
        if ends == 1 && (is_fenced(error) || is_abortable(error)) {
            cx.facts.transactions.not_ended(number);
        }
        if self.refused(cx, Step::End, error) {
            return;
        }
        cx.facts.transactions.ended(number, commits);
        let counts = &mut cx.facts.counts;
        *(if commits { &mut counts.committed } else { &mut counts.aborted }) += 1;
        self.open = None;
        if response.producer_id >= 0 && self.own_epochs {
            self.takes(Identity { id: response.producer_id, epoch: response.producer_epoch });
        }
        if is_last {
            // What it does not know of its last batches is of no account in another epoch (KIP-360).
            self.identity = None;
            self.sequences.clear();
        }
    }

    fn stepped(&mut self, cx: &mut Cx<'_>, step: Step, reply: &Reply) {
        match step {
            Step::Find(kind) => {
                let response = reply.read::<FindCoordinatorRequest<'_>>().expect("an answer");
                let answer = &response.coordinators[0];
                if !self.refused(cx, step, ErrorCode(answer.error_code)) {
                    let known = if kind == GROUP {
                        &mut self.group_coordinator
                    } else {
                        &mut self.coordinator
                    };
                    *known = Some(answer.node_id);
                }
            }
            Step::Init => {
                let response = reply.read::<InitProducerIdRequest<'_>>().expect("an answer");
                if !self.refused(cx, step, ErrorCode(response.error_code)) {
                    self.takes(Identity {
                        id: response.producer_id,
                        epoch: response.producer_epoch,
                    });
                }
            }
            Step::Part => {
                let error = self.part_answered(cx, reply);
                self.refused(cx, step, error);
            }
            Step::End => self.end_answered(cx, reply),
            Step::Committed => {
                let response = reply.read::<OffsetFetchRequest<'_>>().expect("an answer");
                let group = &response.groups[0];
                if self.refused(cx, step, ErrorCode(group.error_code)) {
                    return;
                }
                let answer = &group.topics[0].partitions[0];
                if !self.refused(cx, step, ErrorCode(answer.error_code)) {
                    cx.facts.transactions.committed(self.number, answer.committed_offset);
                    self.checked = true;
                }
            }
        }
    }
}

impl Role for Transactor {
    fn topic(&self) -> &'static str {
        TRANSACTED
    }

    fn is_done(&self, facts: &Facts) -> bool {
        self.open.is_none() && self.busy.is_none() && (!facts.quiet || self.checked)
    }

    fn waits(&self) -> String {
        let left = self.open.as_ref().map(|it| (it.number, it.parts.len(), it.commits));
        format!("{}: {:?} at {:?}, {left:?}", self.name, self.busy, self.coordinator)
    }

    fn act(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        if !cx.facts.created {
            return;
        }
        if cx.facts.calm {
            self.zombies.clear();
        }
        self.wakes(cx, node, session);
        if self.busy.is_some() || self.next_ms > cx.now_ms {
            return;
        }
        let Some((step, at)) = self.next(cx) else { return };
        if at.is_some_and(|it| it != node) {
            return;
        }
        self.requests += 1;
        let asked = Asked::Transaction(self.requests);
        self.busy = Some((self.requests, node, step));
        match step {
            Step::Find(kind) => {
                let key = if kind == GROUP { &self.group } else { &self.name };
                let request = FindCoordinatorRequest {
                    key_type: kind,
                    coordinator_keys: vec![key],
                    ..FindCoordinatorRequest::default()
                };
                session.send(&request, asked);
            }
            Step::Init => {
                let request = InitProducerIdRequest {
                    transactional_id: Some(&self.name),
                    transaction_timeout_ms: self.timeout_ms,
                    producer_id: -1,
                    producer_epoch: -1,
                    ..InitProducerIdRequest::default()
                };
                session.send(&request, asked);
            }
            Step::Part => self.part(cx, session, asked),
            Step::End => {
                let identity = self.identity.expect("who has begun a transaction");
                let open = self.open.as_mut().expect("one that ends");
                open.ends += 1;
                let (number, commits) = (open.number, open.commits);
                cx.facts.transactions.ends(number, commits);
                self.end(session, identity, commits, asked);
            }
            Step::Committed => self.committed(session, asked),
        }
        if !cx.facts.calm && self.open.is_some() && cx.rng.chance(3) {
            self.dies(cx);
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, _: i32, asked: &Asked, reply: &Reply) {
        let Asked::Transaction(request) = *asked else { return };
        if let Some(number) = self.zombie_ends.remove(&request) {
            let response = reply.read::<EndTxn<'_>>().expect("an answer");
            if response.error_code == 0 {
                cx.facts.transactions.ended(number, true);
            }
            return;
        }
        let Some((_, _, step)) = self.busy.take_if(|it| it.0 == request) else { return };
        self.stepped(cx, step, reply);
        if cx.facts.calm || self.open.is_none() {
            return;
        }
        if cx.rng.chance(3) {
            self.dies(cx);
        } else if cx.rng.chance(5) {
            self.next_ms = cx.now_ms + cx.rng.between(500, 4_000) as i64;
        }
    }

    fn lost(&mut self, _: i32, asked: &Asked, now_ms: i64) {
        let Asked::Transaction(request) = *asked else { return };
        self.zombie_ends.remove(&request);
        if self.busy.take_if(|it| it.0 == request).is_some() {
            (self.coordinator, self.group_coordinator) = (None, None);
            self.next_ms = now_ms + 50;
        }
    }
}
