//! A lane: reads its partitions at the source and writes them at the target, one transaction after the other. The position
//! at the source is committed in the same transaction, so each record is at the target once, whatever ends when.
//!
//! After any error at the target the lane begins anew: a new epoch of its transactional id, which aborts what was open, and
//! the positions that are committed then. Nothing is sent again.

use super::batches::{self, Outgoing, Taken};
use super::checkpoint::{Checkpoint, id_text};
use super::shared::{Event, Followed, Plan, Settings, Shared, View};
use super::source::{Answer, Source};
use super::start::{self, Elsewhere, Known, Start};
use super::translation::Translation;
use crate::client::transactional::{SendError, TransactionalProducer, TxnOffset};
use crate::client::transactions::NamedPartition;
use crate::client::{ClientError, Cluster, Retry, groups, offsets};
use crate::types::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// How long one transaction may take, ms: `transaction.timeout.ms`.
const TRANSACTION_MS: i32 = 60_000;
/// How long an operation is tried before the lane begins anew, ms.
const PATIENCE_MS: i64 = 5_000;
/// An idle lane commits a position again after this time, ms: so it learns that another has its name, and brokers do not
/// forget positions (`offsets.retention.minutes`).
const HEARTBEAT_MS: i64 = 10_000;
/// A partition that is not copied is tried again after this time, ms.
const HALT_MS: i64 = 30_000;
/// The same trouble is told again after this time, ms.
const TELL_MS: i64 = 10_000;
/// Partitions that are taken up at once.
const ADOPTED_MAX: usize = 500;

/// Why a lane cannot go on.
enum Trouble {
    /// It begins anew.
    Passes(ClientError),
    /// It begins anew without a partition.
    Halts(NamedPartition, String),
    /// Another process has the name.
    Fenced,
}

impl From<ClientError> for Trouble {
    fn from(e: ClientError) -> Self {
        Self::Passes(e)
    }
}

struct Partition {
    topic: Arc<Followed>,
    /// The next offset to read.
    next: i64,
    translation: Arc<Translation>,
}

/// See the module.
pub struct Lane<'a> {
    number: usize,
    settings: &'a Settings,
    shared: &'a Shared,
    events: Sender<Event>,
    group: String,
    source: Source,
    target: Cluster,
    producer: TransactionalProducer,
    /// The producer has an identity, and positions are those that are committed.
    sound: bool,
    plan: Arc<Plan>,
    partitions: BTreeMap<NamedPartition, Partition>,
    /// Not copied before this time.
    halted: BTreeMap<NamedPartition, i64>,
    committed_ms: i64,
    /// Leaders at the target were asked for since the lane began anew.
    leaders_known: bool,
    /// The partition whose position was committed again last.
    beat: NamedPartition,
    /// What was told, and when.
    told: BTreeMap<String, i64>,
}

/// Whether an error at the target is a partition's own, which trying again does not change.
fn is_partitions_own(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::MESSAGE_TOO_LARGE
            | ErrorCode::RECORD_LIST_TOO_LARGE
            | ErrorCode::INVALID_RECORD
            | ErrorCode::INVALID_TIMESTAMP
            | ErrorCode::POLICY_VIOLATION
            | ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
            | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
    )
}

/// Whether an error does not pass, whoever begins anew.
pub fn is_fatal(e: &ClientError) -> bool {
    match e {
        ClientError::Unsupported { .. } | ClientError::BadAddress(_) => true,
        ClientError::Refused { code, .. } => matches!(
            *code,
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                | ErrorCode::GROUP_AUTHORIZATION_FAILED
                | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
                | ErrorCode::INVALID_TRANSACTION_TIMEOUT
                | ErrorCode::OFFSET_METADATA_TOO_LARGE
                | ErrorCode::UNSUPPORTED_VERSION
        ),
        _ => false,
    }
}

/// Connects, again and again until it works or the mirror is to end.
pub fn connect(
    shared: &Shared,
    bootstrap: &str,
    tell: &mut dyn FnMut(&ClientError),
) -> Option<Cluster> {
    while !shared.stopped() {
        match Cluster::connect_as(bootstrap, "klamm-mirror") {
            Ok(mut cluster) => {
                cluster.give_up_after(PATIENCE_MS);
                return Some(cluster);
            }
            Err(e) => {
                tell(&e);
                shared.pause(Duration::from_secs(1));
            }
        }
    }
    None
}

/// Runs a lane until the mirror ends.
pub fn run(number: usize, settings: &Settings, shared: &Shared, events: &Sender<Event>) {
    let mut tell = |e: &ClientError| drop(events.send(Event::Notice(e.to_string())));
    let Some(source) = connect(shared, &settings.from, &mut tell) else { return };
    let Some(target) = connect(shared, &settings.to, &mut tell) else { return };
    let producer = TransactionalProducer::new(&settings.transactional_id(number), TRANSACTION_MS);
    let mut lane = Lane {
        number,
        settings,
        shared,
        events: events.clone(),
        group: settings.group(),
        source: Source::new(source),
        target,
        producer,
        sound: false,
        plan: Arc::default(),
        partitions: BTreeMap::new(),
        halted: BTreeMap::new(),
        committed_ms: 0,
        leaders_known: false,
        beat: NamedPartition::default(),
        told: BTreeMap::new(),
    };
    lane.run();
}

impl Lane<'_> {
    fn run(&mut self) {
        let mut retry = None;
        while !self.shared.stopped() {
            match self.step() {
                Ok(()) => retry = None,
                Err(Trouble::Fenced) => {
                    let _ = self.events.send(Event::Fenced);
                    return;
                }
                Err(Trouble::Halts(partition, why)) => {
                    self.sound = false;
                    self.halt(&partition, why);
                }
                Err(Trouble::Passes(e)) if is_fatal(&e) => {
                    let _ = self.events.send(Event::Fatal(e.to_string()));
                    return;
                }
                Err(Trouble::Passes(e)) => {
                    self.sound = false;
                    self.tell(format!("{e}; trying again"));
                    let now = self.target.now_ms();
                    let retry = retry.get_or_insert_with(|| Retry::new(now, i64::MAX));
                    let wait = retry.after_failure(now).unwrap_or(0).max(0) as u64;
                    self.shared.pause(Duration::from_millis(wait));
                }
            }
        }
    }

    fn step(&mut self) -> Result<(), Trouble> {
        if !self.sound {
            self.begin_anew()?;
        }
        self.follow_plan()?;
        self.ask();
        let wait = Duration::from_millis(200);
        let answers = self.source.poll(wait);
        let work = self.take(answers);
        // The next answers come while these are written.
        self.ask();
        if let Some(line) = self.source.trouble.take() {
            self.tell(line);
        }
        if !work.is_empty() {
            self.transfer(work)?;
        }
        self.beat()
    }

    /// One line, not one for each attempt.
    fn tell(&mut self, line: String) {
        let now = self.target.now_ms();
        self.told.retain(|_, at| now - *at < TELL_MS);
        if self.told.insert(line.clone(), now).is_none() {
            let _ = self.events.send(Event::Notice(line));
        }
    }

    fn halt(&mut self, partition: &NamedPartition, why: String) {
        self.partitions.remove(partition);
        self.shared.forget_view(partition);
        self.halted.insert(partition.clone(), self.target.now_ms() + HALT_MS);
        let _ = self.events.send(Event::Halted(partition.clone(), why));
    }

    /// Gets a new identity; what was open is aborted, and positions are read again.
    fn begin_anew(&mut self) -> Result<(), Trouble> {
        // Whoever was fenced must not fence the one that did it.
        if !self.partitions.is_empty() {
            let mut asked = BTreeMap::new();
            for ((_, number), it) in &self.partitions {
                asked.entry(it.topic.target.clone()).or_insert_with(Vec::new).push(*number);
            }
            let found =
                groups::fetch_offsets_once(&mut self.target, &self.group, Some(&asked), false)?;
            self.check_owner(&found)?;
        }
        self.producer.init(&mut self.target)?;
        self.partitions.clear();
        self.plan = Arc::default();
        self.sound = true;
        Ok(())
    }

    fn check_owner(&self, found: &groups::CommittedOffsets) -> Result<(), Trouble> {
        let all = found.values().flat_map(BTreeMap::values);
        let owners = all.filter_map(|it| Checkpoint::parse(&it.metadata)).map(|it| it.owner);
        match owners.max() {
            Some(owner) if owner > self.settings.owner => Err(Trouble::Fenced),
            _ => Ok(()),
        }
    }

    /// Takes up partitions that are new, and lets go of those that are not to be copied any more.
    fn follow_plan(&mut self) -> Result<(), Trouble> {
        let plan = self.shared.plan();
        let now = self.target.now_ms();
        let due = self.halted.values().any(|until| *until <= now);
        if Arc::ptr_eq(&plan, &self.plan) && !due {
            return Ok(());
        }
        self.halted.retain(|_, until| *until > now);
        self.partitions.retain(|(topic, _), it| {
            let planned = plan.get(topic).filter(|planned| {
                (planned.source_id, planned.target_id) == (it.topic.source_id, it.topic.target_id)
                    && planned.target == it.topic.target
            });
            if let Some(planned) = planned {
                it.topic = planned.clone();
            }
            planned.is_some()
        });
        let mut new: Vec<(NamedPartition, Arc<Followed>)> = Vec::new();
        for (name, topic) in &*plan {
            for number in (0..topic.partitions).filter(|n| topic.lane(*n) == self.number) {
                let key = (name.clone(), number);
                if !self.partitions.contains_key(&key) && !self.halted.contains_key(&key) {
                    new.push((key, topic.clone()));
                }
            }
        }
        for some in new.chunks(ADOPTED_MAX) {
            if self.shared.stopped() {
                return Ok(());
            }
            self.adopt(some)?;
        }
        self.plan = plan;
        self.source.follow(self.plan.keys().filter(|topic| {
            self.partitions
                .range(((*topic).clone(), 0)..)
                .next()
                .is_some_and(|(it, _)| it.0 == **topic)
        }));
        Ok(())
    }

    /// Finds out where partitions are to be copied from. New ones get a position at the target before anything else.
    fn adopt(&mut self, new: &[(NamedPartition, Arc<Followed>)]) -> Result<(), Trouble> {
        let mut asked: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for ((_, number), topic) in new {
            asked.entry(topic.target.clone()).or_default().push(*number);
        }
        // The first partition knows the topic longest: it tells whether this is the one that was copied. It may be another
        // lane's, and is never waited for.
        let witnesses = asked.keys().map(|topic| (topic.clone(), vec![0])).collect();
        let witnesses =
            groups::fetch_offsets_once(&mut self.target, &self.group, Some(&witnesses), false)?;
        let found = self.stable_positions(&asked)?;
        self.check_owner(&found)?;
        let witness = |topic: &Followed| witnesses.get(&topic.target)?.get(&0);
        let committed = |topic: &Followed, number: i32| {
            let it = found.get(&topic.target)?.get(&number)?;
            (it.offset >= 0).then_some((it.offset, it.metadata.as_str()))
        };
        let mut ranges = Ranges::default();
        let mut begun = BTreeMap::new();
        let mut refused = Vec::new();
        let mut adopted = Vec::new();
        for (key, topic) in new {
            let (source_id, target_id) = (id_text(topic.source_id), id_text(topic.target_id));
            let own = |text: &str| {
                Checkpoint::parse(text).filter(|it| !start::differ(&it.target, &target_id))
            };
            let witness = witness(topic).and_then(|it| own(&it.metadata));
            if witness.is_some_and(|it| start::differ(&it.source, &source_id)) {
                refused.push((key, start::created_again(&topic.source, &topic.target)));
                continue;
            }
            let committed = committed(topic, key.1);
            let goes_on = committed.is_some_and(|(_, text)| own(text).is_some());
            let (source_start, target) = if goes_on {
                (0, 0..0)
            } else {
                ranges.of(&mut self.source.cluster, &mut self.target, topic, key.1)?
            };
            let known = Known {
                topics: (&topic.source, &topic.target),
                ids: (&source_id, &target_id),
                committed,
                source_start,
                target,
                append: self.settings.append,
            };
            let (next, translation) = match start::start(&known) {
                Start::Resume(next, translation) => (next, translation),
                Start::Begin(next, translation) => {
                    let offset = self.offset(topic, next, &translation);
                    begun.insert((topic.target.clone(), key.1), offset);
                    (next, translation)
                }
                Start::Refuse(why) => {
                    refused.push((key, why));
                    continue;
                }
            };
            adopted.push((key, topic, next, Arc::new(translation)));
        }
        // Whoever has the name as well learns at once that it is taken.
        if begun.is_empty()
            && let Some((key, topic, next, translation)) = adopted.first()
        {
            let offset = self.offset(topic, *next, translation);
            begun.insert((topic.target.clone(), key.1), offset);
        }
        if !begun.is_empty() {
            self.producer.commit_offsets(&mut self.target, &self.group, &begun)?;
            self.producer.commit(&mut self.target)?;
        }
        for (key, topic, next, translation) in adopted {
            self.shared.set_view(
                key,
                View {
                    position: next,
                    end: -1,
                    target: topic.target.clone(),
                    translation: translation.clone(),
                },
            );
            let partition = Partition { topic: topic.clone(), next, translation };
            self.partitions.insert(key.clone(), partition);
        }
        for (key, why) in refused {
            self.halt(key, why);
        }
        self.committed_ms = self.target.now_ms();
        self.leaders_known = false;
        Ok(())
    }

    /// Positions, when the transaction that was open has ended: it was aborted a moment ago.
    fn stable_positions(
        &mut self,
        asked: &BTreeMap<String, Vec<i32>>,
    ) -> Result<groups::CommittedOffsets, ClientError> {
        let mut retry = self.target.retry();
        loop {
            match groups::fetch_offsets_once(&mut self.target, &self.group, Some(asked), true) {
                Err(e) if e.code() == Some(ErrorCode::UNSTABLE_OFFSET_COMMIT) => {
                    self.target.wait_or(&mut retry, e)?;
                }
                other => return other,
            }
        }
    }

    fn offset(&self, topic: &Followed, offset: i64, translation: &Translation) -> TxnOffset {
        let checkpoint = Checkpoint {
            source: id_text(topic.source_id),
            target: id_text(topic.target_id),
            owner: self.settings.owner.clone(),
            path: topic.path.clone(),
            translation: translation.clone(),
        };
        TxnOffset { offset, metadata: checkpoint.encode() }
    }

    fn ask(&mut self) {
        let wanted = self.partitions.iter().map(|(key, it)| (key, it.topic.source_id, it.next));
        self.source.ask(wanted);
    }

    /// What is to be written, of what has come.
    fn take(&mut self, answers: Vec<Answer>) -> BTreeMap<NamedPartition, Taken> {
        let mut work = BTreeMap::new();
        for answer in answers {
            let mut halted = Vec::new();
            let mut outside = Vec::new();
            let partitions = &mut self.partitions;
            let shared = self.shared;
            answer.each(&mut self.source, &mut |key, asked, data| {
                let Some(it) = partitions.get_mut(key).filter(|it| it.next == asked) else {
                    return;
                };
                match ErrorCode(data.error_code) {
                    ErrorCode::NONE => {
                        let most = it.topic.batch_bytes_max;
                        match batches::take(&key.0, data, it.next, most) {
                            Ok(taken) => {
                                let stable = data.last_stable_offset;
                                let end = if stable < 0 { data.high_watermark } else { stable };
                                shared.set_end(key, end);
                                if taken.next > it.next {
                                    it.next = taken.next;
                                    work.insert(key.clone(), taken);
                                }
                            }
                            Err(e) => halted.push((key.clone(), e.to_string())),
                        }
                    }
                    ErrorCode::OFFSET_OUT_OF_RANGE => outside.push(key.clone()),
                    code => {
                        let what =
                            format!("partition {} of topic '{}' at the source", key.1, key.0);
                        let e = ClientError::Refused { what, code, message: None };
                        halted.push((key.clone(), e.to_string()));
                    }
                }
            });
            self.source.done(answer);
            for key in outside {
                match self.find_again(&key) {
                    Ok(Some(taken)) => drop(work.insert(key, taken)),
                    Ok(None) => {}
                    Err(why) => halted.push((key, why)),
                }
            }
            for (key, why) in halted {
                work.remove(&key);
                self.halt(&key, why);
            }
        }
        work
    }

    /// The source does not have the offset that was asked for.
    fn find_again(&mut self, key: &NamedPartition) -> Result<Option<Taken>, String> {
        let Some(it) = self.partitions.get_mut(key) else { return Ok(None) };
        let cluster = &mut self.source.cluster;
        let mut list = |time| {
            let found = offsets::list_once(cluster, &key.0, &[key.1], time, 0)?;
            Ok::<_, ClientError>(found.get(&key.1).copied())
        };
        let range = list(offsets::EARLIEST).and_then(|start| Ok((start, list(offsets::LATEST)?)));
        let Ok((Some(start), Some(end))) = range else {
            self.source.look_again();
            return Ok(None);
        };
        match start::out_of_range(&key.0, &it.topic.target, it.next, &(start..end)) {
            Elsewhere::There => {
                self.source.look_again();
                Ok(None)
            }
            Elsewhere::Refuse(why) => Err(why),
            Elsewhere::Lost(count, next) => {
                it.next = next;
                let line = format!(
                    "LOST: {count} offsets of partition {} of topic '{}' were deleted at the source before they \
                     were copied; going on at offset {next}",
                    key.1, key.0
                );
                let _ = self.events.send(Event::Notice(line));
                Ok(Some(Taken { next, ..Taken::default() }))
            }
        }
    }

    /// Writes what was taken, and commits it with the positions behind it.
    fn transfer(&mut self, work: BTreeMap<NamedPartition, Taken>) -> Result<(), Trouble> {
        let mut names: BTreeMap<NamedPartition, NamedPartition> = BTreeMap::new();
        let mut sent: BTreeMap<NamedPartition, Vec<Vec<u8>>> = BTreeMap::new();
        let mut placed: BTreeMap<NamedPartition, Vec<Outgoing>> = BTreeMap::new();
        let (mut records, mut bytes) = (0, 0);
        let mut nexts = BTreeMap::new();
        for (key, mut taken) in work {
            let Some(it) = self.partitions.get(&key) else { continue };
            let target = (it.topic.target.clone(), key.1);
            records += taken.records;
            nexts.insert(key.clone(), taken.next);
            if !taken.batches.is_empty() {
                let mut all = Vec::with_capacity(taken.batches.len());
                for batch in &mut taken.batches {
                    bytes += batch.bytes.len() as u64;
                    all.push(std::mem::take(&mut batch.bytes));
                }
                sent.insert(target.clone(), all);
                placed.insert(key.clone(), taken.batches);
            }
            names.insert(target, key);
        }
        if !sent.is_empty() {
            self.know_leaders(sent.keys())?;
        }
        let bases = if sent.is_empty() {
            BTreeMap::new()
        } else {
            self.producer.send(&mut self.target, &mut sent).map_err(|e| refused(e, &names))?
        };
        let mut offsets = BTreeMap::new();
        let mut translations = Vec::new();
        for (target, key) in &names {
            let it = &self.partitions[key];
            let mut translation = it.translation.clone();
            if let Some(batches) = placed.get(key) {
                let translation = Arc::make_mut(&mut translation);
                let bases = bases.get(target).map(Vec::as_slice).unwrap_or_default();
                for (batch, base) in batches.iter().zip(bases) {
                    batch.runs(*base).for_each(|run| translation.copied(run));
                }
            }
            let next = nexts[key];
            offsets.insert(target.clone(), self.offset(&it.topic, next, &translation));
            translations.push((key, next, translation));
        }
        self.producer.commit_offsets(&mut self.target, &self.group, &offsets)?;
        self.producer.commit(&mut self.target)?;
        self.committed_ms = self.target.now_ms();
        self.shared.count(records, bytes);
        for (key, position, translation) in translations {
            let Some(it) = self.partitions.get_mut(key) else { continue };
            it.translation = translation.clone();
            let end = self.shared.view(key).map_or(-1, |it| it.end);
            let target = it.topic.target.clone();
            self.shared.set_view(key, View { position, end, target, translation });
        }
        Ok(())
    }

    /// Leaders move; whoever is told so begins anew, and asks here.
    fn know_leaders<'p>(
        &mut self,
        partitions: impl Iterator<Item = &'p NamedPartition> + Clone,
    ) -> Result<(), Trouble> {
        let known = |target: &Cluster| {
            partitions.clone().all(|(topic, n)| target.metadata().leader(topic, *n).is_ok())
        };
        if self.leaders_known && known(&self.target) {
            return Ok(());
        }
        let all = self.partitions.values().map(|it| it.topic.target.as_str());
        let topics: Vec<&str> = all.collect::<BTreeSet<_>>().into_iter().collect();
        self.target.refresh_once(Some(&topics), false)?;
        self.leaders_known = true;
        Ok(())
    }

    /// Commits a position again, if nothing was committed for long.
    fn beat(&mut self) -> Result<(), Trouble> {
        if self.partitions.is_empty() || self.target.now_ms() - self.committed_ms < HEARTBEAT_MS {
            return Ok(());
        }
        let next = self.partitions.range(self.beat.clone()..).find(|(key, _)| **key != self.beat);
        let next = next.or_else(|| self.partitions.iter().next());
        let Some((key, it)) = next.map(|(key, it)| (key.clone(), it.next)) else { return Ok(()) };
        self.beat = key.clone();
        let again = Taken { next: it, ..Taken::default() };
        self.transfer(BTreeMap::from([(key, again)]))
    }
}

fn refused(e: SendError, names: &BTreeMap<NamedPartition, NamedPartition>) -> Trouble {
    let own = e.error.code().is_some_and(is_partitions_own);
    match e.partition.and_then(|it| names.get(&it)) {
        Some(source) if own => {
            Trouble::Halts(source.clone(), format!("the target refuses a batch: {}", e.error))
        }
        _ => Trouble::Passes(e.error),
    }
}

/// First and last offsets, each topic asked for once.
#[derive(Default)]
struct Ranges {
    topics: BTreeMap<String, [BTreeMap<i32, i64>; 3]>,
}

impl Ranges {
    /// The first offset of a partition at the source, and those at the target.
    fn of(
        &mut self,
        source: &mut Cluster,
        target: &mut Cluster,
        topic: &Followed,
        partition: i32,
    ) -> Result<(i64, std::ops::Range<i64>), ClientError> {
        if !self.topics.contains_key(&topic.source) {
            source.refresh_once(Some(&[&topic.source]), false)?;
            target.refresh_once(Some(&[&topic.target]), false)?;
            let all: Vec<i32> = (0..topic.partitions).collect();
            let starts = offsets::list_once(source, &topic.source, &all, offsets::EARLIEST, 0)?;
            let first = offsets::list_once(target, &topic.target, &all, offsets::EARLIEST, 0)?;
            let last = offsets::list_once(target, &topic.target, &all, offsets::LATEST, 0)?;
            self.topics.insert(topic.source.clone(), [starts, first, last]);
        }
        let found = &self.topics[&topic.source];
        let at = |n: usize| found[n].get(&partition).copied().unwrap_or(0);
        Ok((at(0), at(1)..at(2)))
    }
}
