//! Consumers that read all there is, with fetch sessions or without, and check each record.

use super::producer::{key_of, value_of};
use super::{
    EARLIEST, LATEST, MAX_TIMESTAMP, epoch_end_found, find_epoch_end, list_offsets, offset_listed,
    some_log, start_is,
};
use crate::checkers::Facts;
use crate::checkers::records::{Floor, Owed, Uid};
use crate::checkers::topics::{LogKey, Stamp};
use crate::client::{Asked, Cx, Link, Patience, Role, Wanted};
use klamm::client::Reply;
use klamm::types::ErrorCode;
use klamm::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use klamm::wire::kafka::fetch_response::PartitionData;
use klamm::wire::records::{DECOMPRESSED_BYTES_MAX, Record, batches, records};
use std::collections::{BTreeMap, BTreeSet};

/// After so long, a fetch that waits must have heard of a record, ms.
const FORGOTTEN_MS: i64 = 2000;

/// Where it reads one log.
#[derive(Clone, Debug)]
struct Position {
    stamp: Stamp,
    /// The next offset; none where the start is not known yet.
    offset: Option<i64>,
    asking: bool,
    /// The base offset of the batch that it has read last, and its bytes.
    last: Option<(i64, usize)>,
    /// What it has not seen of a compacted log.
    owed: Owed,
}

/// A fetch session as the client remembers it.
#[derive(Debug, Default)]
struct Session {
    id: i32,
    epoch: i32,
    /// What the broker knows.
    parts: BTreeMap<LogKey, (i64, i32)>,
    /// In which life it began.
    life: u64,
    /// On which shard it was used last.
    shard: usize,
}

pub struct Consumer {
    number: usize,
    with_sessions: bool,
    positions: BTreeMap<LogKey, Position>,
    session: Option<Session>,
    fetching: bool,
    /// Reads from the start again, now and then.
    again: bool,
    life: u64,
    /// The highest epoch of a leader that it has seen.
    epoch: i32,
    /// Logs of which it has seen that time has taken all.
    aged: BTreeSet<LogKey>,
}

impl Consumer {
    pub fn new(number: usize, with_sessions: bool, again: bool) -> Self {
        Self {
            number,
            with_sessions,
            positions: BTreeMap::new(),
            session: None,
            fetching: false,
            again,
            life: 0,
            epoch: 0,
            aged: BTreeSet::new(),
        }
    }

    /// Follows the topics that there are.
    fn follow(&mut self, facts: &Facts) {
        self.positions.retain(|_, it| facts.topics.holds(it.stamp));
        for key in facts.topics.logs() {
            let stamp = facts.topics.stamp(key.topic);
            self.positions.entry(key).or_insert(Position {
                stamp,
                offset: None,
                asking: false,
                last: None,
                owed: Owed::new(),
            });
        }
    }

    fn has_more(&self, facts: &Facts) -> bool {
        let behind = |key: LogKey| {
            let at = self.positions.get(&key).and_then(|it| it.offset);
            at.is_none_or(|at| at < facts.records.end(key))
        };
        facts.topics.logs().into_iter().any(behind)
    }

    /// The next log of which time must have taken all, and of which that is not known.
    fn next_aged(&self, facts: &Facts) -> Option<LogKey> {
        let takes = |key: &LogKey| facts.topics.0[key.topic].retention_ms.is_some();
        let mut logs = facts.topics.logs().into_iter().filter(takes);
        logs.find(|key| facts.all_is_old && !self.aged.contains(key))
    }

    /// Asks about some log what consumers ask now and then.
    fn look_around(&self, cx: &mut Cx<'_>, link: &mut Link) {
        let Some(key) = some_log(cx) else { return };
        match cx.rng.below(4) {
            0 => list_offsets(cx, link, key, MAX_TIMESTAMP),
            1 => {
                let time = cx.now.wall_ms - cx.rng.below(5000) as i64;
                list_offsets(cx, link, key, time);
            }
            2 => list_offsets(cx, link, key, LATEST),
            _ => {
                let epoch = cx.rng.below(self.epoch as u64 + 2) as i32;
                find_epoch_end(cx, link, key, epoch);
            }
        }
    }

    fn fetch(&mut self, cx: &mut Cx<'_>, link: &mut Link) {
        let mut max_wait = [0, 0, 20, 500, 5000, 5000][cx.rng.index(6)];
        let mut min_bytes = [0, 1, 1, cx.rng.between(1, 4000) as i32, 100_000][cx.rng.index(5)];
        let mut part_max = [1 << 20, 1 << 20, 4096, 300][cx.rng.index(4)];
        let mut max_bytes = [50 << 20, 50 << 20, 20_000][cx.rng.index(3)];
        let mut known: BTreeMap<LogKey, i64> =
            self.positions.iter().filter_map(|(key, it)| Some((*key, it.offset?))).collect();
        if known.is_empty() {
            return;
        }
        // One log is of one shard, which alone knows when there is enough. What is read again is likely
        // to come from the disk, and more to be appended meanwhile, to the log beside it as well.
        if !self.with_sessions && cx.rng.chance(40) {
            let (key, offset) = known.iter().nth(cx.rng.index(known.len())).expect("there is one");
            let (key, mut offset) = (*key, *offset);
            let last = self.positions.get(&key).and_then(|it| it.last);
            let beside = cx.rng.index(known.len() * 4 / 3 + 1);
            let beside = known.iter().nth(beside).map(|(key, offset)| (*key, *offset));
            let mut few = BTreeMap::new();
            match last {
                // The last batch once more, and a little of what comes next.
                Some((base, bytes)) if !cx.calm && cx.rng.chance(50) => {
                    offset = base;
                    (max_wait, part_max, max_bytes) = (5000, 1 << 20, 50 << 20);
                    min_bytes = (bytes as u64 + cx.rng.between(1, 300)) as i32;
                    few.extend(beside);
                }
                _ => offset -= if cx.calm { 0 } else { cx.rng.below(4) as i64 },
            }
            few.insert(key, offset.max(0));
            known = few;
        }
        if max_wait > 0 {
            cx.facts.counts.long_polls += 1;
        }
        // What a request without a session, or the first of one, says: all of it.
        let mut named: BTreeMap<LogKey, (i64, i32)> =
            known.iter().map(|(key, offset)| (*key, (*offset, part_max))).collect();
        let mut forgotten: Vec<LogKey> = Vec::new();
        let (mut id, mut epoch) = (0, -1);
        if self.with_sessions {
            match &mut self.session {
                None => (id, epoch) = (0, 0),
                Some(session) => {
                    (id, epoch) = (session.id, session.epoch);
                    if session.shard != link.at.0 {
                        cx.facts.counts.moved_sessions += 1;
                        session.shard = link.at.0;
                    }
                    forgotten.extend(session.parts.keys().filter(|key| !known.contains_key(key)));
                    session.parts.retain(|key, _| known.contains_key(key));
                    named.retain(|key, (offset, _)| {
                        session.parts.get(key).is_none_or(|(told, _)| told != offset)
                    });
                    session.parts.extend(named.iter().map(|(key, it)| (*key, *it)));
                    cx.facts.counts.incremental += 1;
                }
            }
        }
        let topics = &cx.facts.topics;
        let name = |key: &LogKey| topics.0[key.topic].name.as_str();
        let mut by_topic: BTreeMap<&str, Vec<FetchPartition>> = BTreeMap::new();
        for (key, (offset, max)) in &named {
            by_topic.entry(name(key)).or_default().push(FetchPartition {
                partition: key.partition,
                current_leader_epoch: -1,
                fetch_offset: *offset,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: *max,
                ..FetchPartition::default()
            });
        }
        // The topic may be there again under its name: then it is not forgotten, but fetched anew.
        let mut forget: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for key in &forgotten {
            let again =
                known.keys().any(|it| (it.topic, it.partition) == (key.topic, key.partition));
            if !again {
                forget.entry(name(key)).or_default().push(key.partition);
            }
        }
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: max_wait,
            min_bytes,
            max_bytes,
            isolation_level: cx.rng.below(2) as i8,
            session_id: id,
            session_epoch: epoch,
            topics: by_topic
                .into_iter()
                .map(|(topic, partitions)| FetchTopic {
                    topic,
                    partitions,
                    ..FetchTopic::default()
                })
                .collect(),
            forgotten_topics_data: forget
                .into_iter()
                .map(|(topic, partitions)| ForgottenTopic {
                    topic,
                    partitions,
                    ..ForgottenTopic::default()
                })
                .collect(),
            ..FetchRequest::default()
        };
        let parts = known.iter().map(|(key, offset)| Wanted {
            key: *key,
            stamp: topics.stamp(key.topic),
            offset: *offset,
            floor: cx.facts.records.floor(*key),
        });
        let patience =
            Patience { sent_ms: cx.now.monotonic_ms, max_wait_ms: i64::from(max_wait), min_bytes };
        let asked = Asked::Fetch { parts: parts.collect(), patience };
        link.send(cx, &request, asked);
        self.fetching = true;
        if epoch == 0 {
            let parts = named;
            let shard = link.at.0;
            self.session = Some(Session { id: 0, epoch: 0, parts, life: cx.life, shard });
        }
    }

    fn fetched(&mut self, cx: &mut Cx<'_>, link: &mut Link, parts: &[Wanted], reply: &Reply) {
        self.fetching = false;
        let response = reply.read::<FetchRequest<'_>>().expect("an answer");
        match ErrorCode(response.error_code) {
            ErrorCode::NONE => {}
            error @ (ErrorCode::FETCH_SESSION_ID_NOT_FOUND
            | ErrorCode::INVALID_FETCH_SESSION_EPOCH) => {
                let session = self.session.take().expect("an error of its session");
                let stale = session.id != 0 && session.life < cx.life;
                assert!(stale, "a session is gone: {error}");
                return;
            }
            error => panic!("fetch: {error}"),
        }
        if let Some(session) = &mut self.session {
            if session.id == 0 {
                session.id = response.session_id;
                cx.facts.counts.sessions += 1;
                if session.id == 0 {
                    self.session = None;
                }
            } else {
                assert_eq!(session.id, response.session_id, "another session answers");
            }
        }
        if let Some(session) = &mut self.session {
            session.epoch = if session.epoch == i32::MAX { 1 } else { session.epoch + 1 };
        }
        let mut told: BTreeSet<LogKey> = BTreeSet::new();
        for topic in &response.responses {
            for data in &topic.partitions {
                let found = wanted_of(cx.facts, parts, topic.topic, data.partition_index);
                let Some(wanted) = found else { continue };
                told.insert(wanted.key);
                if cx.facts.topics.holds(wanted.stamp) {
                    self.take(cx, link, wanted, data);
                }
            }
        }
        if self.session.is_none() {
            let missing = parts.iter().find(|it| !told.contains(&it.key));
            assert!(missing.is_none(), "an answer without a session leaves out {missing:?}");
        }
    }

    /// Takes what an answer says of one partition.
    fn take(
        &mut self,
        cx: &mut Cx<'_>,
        link: &mut Link,
        wanted: &Wanted,
        data: &PartitionData<'_>,
    ) {
        let key = wanted.key;
        let floor = link.floor(key, wanted.floor);
        let Some(position) = self.positions.get_mut(&key) else { return };
        match ErrorCode(data.error_code) {
            ErrorCode::NONE => {}
            ErrorCode::KAFKA_STORAGE_ERROR => {
                cx.facts.counts.storage_errors += 1;
                return;
            }
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                let max = cx.facts.records.start_max(key);
                let deletes = !cx.facts.topics.retains_all(key.topic);
                assert!(
                    deletes || wanted.offset < max,
                    "{key:?}: {} is out of range",
                    wanted.offset
                );
                position.offset = None;
                return;
            }
            error => panic!("{key:?}: fetch: {error}"),
        }
        cx.facts.records.end_is(key, data.high_watermark, floor);
        start_is(cx, key, data.log_start_offset, Floor { end: 0, ..floor });
        link.raise(key, Floor { end: data.high_watermark, start: 0 });
        let topic = &cx.facts.topics.0[key.topic];
        let (compacted, stay) = (topic.compacted, topic.tombstones_stay);
        let compression = topic.compression;
        let mut next = wanted.offset;
        for (header, batch) in batches(data.records.unwrap_or_default()) {
            let stored = header.compression().expect("a compression that there is");
            // What compaction has emptied has nothing to compress.
            if let Some(compression) = compression.filter(|_| header.record_count > 0) {
                assert_eq!(stored, compression, "{key:?}: offset {}", header.base_offset);
            }
            for record in &records(batch, DECOMPRESSED_BYTES_MAX).expect("a batch that was checked")
            {
                let record = record.expect("a record");
                // A batch comes whole, also where it begins earlier.
                if record.offset < wanted.offset {
                    continue;
                }
                if compacted && record.offset > next {
                    let gone = next..record.offset;
                    let passed = cx.facts.records.passed(key, gone, stay, &mut position.owed);
                    cx.facts.counts.compacted += passed;
                    next = record.offset;
                }
                assert_eq!(record.offset, next, "{key:?}: a gap, read from {}", wanted.offset);
                next += 1;
                let uid = if compacted { keyed(&record) } else { plain(&record) };
                if compacted {
                    position.owed.remove(&Uid::decode(uid).key());
                }
                cx.facts.records.read(key, record.offset, uid, record.timestamp);
                cx.facts.counts.read += 1;
            }
            // A batch covers what is gone behind its last record.
            let gone = next..header.next_offset();
            if compacted && !gone.is_empty() {
                next = gone.end;
                let passed = cx.facts.records.passed(key, gone, stay, &mut position.owed);
                cx.facts.counts.compacted += passed;
            }
            position.last = Some((header.base_offset, batch.len()));
            let epoch = header.partition_leader_epoch;
            cx.facts.records.has_epoch(key, header.base_offset, epoch);
            self.epoch = self.epoch.max(epoch);
            if cx.facts.topics.0[key.topic].stamps_rise {
                cx.facts.records.stamped(key, header.base_offset, header.max_timestamp);
            }
        }
        assert!(
            next <= data.high_watermark,
            "{key:?}: read up to {next}, beyond {}",
            data.high_watermark
        );
        position.offset = Some(next);
        if compacted && next == data.high_watermark {
            cx.facts.records.settled(key, stay, &position.owed);
        }
    }
}

/// The identity of a record as producers make it.
fn plain(record: &Record<'_>) -> u64 {
    let value = record.value.expect("a value");
    let uid = u64::from_be_bytes(value[..8].try_into().expect("an identity"));
    assert!(value == value_of(uid, value.len() - 8), "{}: other bytes", record.offset);
    uid
}

/// That of a record as they make it for a compacted topic.
fn keyed(record: &Record<'_>) -> u64 {
    let (name, uid) = record.headers.clone().next().expect("a header");
    assert_eq!(name, b"uid");
    let uid = u64::from_be_bytes(uid.expect("an identity").try_into().expect("an identity"));
    assert_eq!(record.key, Some(&key_of(uid)[..]), "{}: another key", record.offset);
    match record.value {
        None => assert!(Uid::decode(uid).is_tombstone(), "{}: no value", record.offset),
        Some(_) => assert_eq!(plain(record), uid, "{}: another value", record.offset),
    }
    uid
}

/// What was asked of a partition.
fn wanted_of<'a>(
    facts: &Facts,
    parts: &'a [Wanted],
    topic: &str,
    partition: i32,
) -> Option<&'a Wanted> {
    let same =
        |it: &&Wanted| facts.topics.0[it.key.topic].name == topic && it.key.partition == partition;
    parts.iter().find(same)
}

/// A fetch that has waited as long as it may was not forgotten: nothing that it waits for has been
/// there for long.
fn check_patience(cx: &Cx<'_>, parts: &[Wanted], patience: Patience, reply: &Reply) {
    let Patience { sent_ms, max_wait_ms, min_bytes } = patience;
    let now = cx.now.monotonic_ms;
    if max_wait_ms < 5000 || now - sent_ms < max_wait_ms || !cx.unhurried {
        return;
    }
    let response = reply.read::<FetchRequest<'_>>().expect("an answer");
    // A log that lost its start meanwhile leaves its room to the others.
    if response.responses.iter().flat_map(|it| &it.partitions).any(|it| it.error_code != 0) {
        return;
    }
    let mut old = 0;
    for (topic, data) in
        response.responses.iter().flat_map(|it| it.partitions.iter().map(|data| (it.topic, data)))
    {
        let Some(wanted) = wanted_of(cx.facts, parts, topic, data.partition_index) else {
            continue;
        };
        // Where compaction has taken what came before, the first batch may be a larger one than it was.
        let compacted = cx.facts.topics.0[wanted.key.topic].compacted;
        if compacted || !cx.facts.topics.holds(wanted.stamp) {
            continue;
        }
        for (header, batch) in batches(data.records.unwrap_or_default()) {
            let last = header.base_offset + i64::from(header.last_offset_delta);
            let since = cx.facts.records.known_since(wanted.key, last);
            if since.is_some_and(|since| now - since >= FORGOTTEN_MS) {
                old += batch.len();
            }
        }
    }
    assert!(
        old < min_bytes.max(1) as usize,
        "a fetch for {min_bytes} bytes waited from {sent_ms} to {now}, and {old} were there long ago"
    );
    if min_bytes > 1 {
        return;
    }
    for it in parts.iter().filter(|it| cx.facts.topics.holds(it.stamp)) {
        let since = cx.facts.records.known_since(it.key, it.offset);
        assert!(
            since.is_none_or(|since| now - since < FORGOTTEN_MS),
            "{:?}: a fetch at {} waited from {sent_ms} to {now} for what is there since {since:?}",
            it.key,
            it.offset
        );
    }
}

impl Role for Consumer {
    fn act(&mut self, cx: &mut Cx<'_>, link: &mut Link) {
        self.follow(cx.facts);
        let reborn = std::mem::replace(&mut self.life, cx.life) != cx.life;
        // After a crash, what was read before must be there again.
        let anew =
            if reborn { cx.calm || cx.rng.chance(60) } else { self.again && cx.rng.chance(3) };
        if anew && !self.fetching && (reborn || !cx.calm) {
            self.positions.values_mut().for_each(|it| it.offset = None);
        }
        let unknown: Vec<LogKey> = self
            .positions
            .iter()
            .filter(|(_, it)| it.offset.is_none() && !it.asking)
            .map(|(key, _)| *key)
            .collect();
        for key in unknown {
            if link.sent.len() < 6 {
                list_offsets(cx, link, key, EARLIEST);
                self.positions.get_mut(&key).expect("it was just found").asking = true;
            }
        }
        if let Some(key) = self.next_aged(cx.facts)
            && link.sent.is_empty()
        {
            list_offsets(cx, link, key, EARLIEST);
            return;
        }
        if !cx.calm && link.sent.len() < 6 && cx.rng.chance(8) {
            self.look_around(cx, link);
        }
        if !self.fetching && (!cx.calm || self.has_more(cx.facts)) {
            self.fetch(cx, link);
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, link: &mut Link, asked: Asked, reply: Option<&Reply>) {
        let reply = reply.expect("an answer");
        match &asked {
            Asked::Fetch { parts, patience } => {
                check_patience(cx, parts, *patience, reply);
                self.fetched(cx, link, parts, reply);
            }
            Asked::EpochEnd { .. } => epoch_end_found(cx, link, &asked, reply),
            Asked::ListOffsets { time, .. } if *time != EARLIEST => {
                offset_listed(cx, link, &asked, reply);
            }
            Asked::ListOffsets { key, .. } => {
                let offset = offset_listed(cx, link, &asked, reply);
                let end = cx.facts.records.end(*key);
                if offset.is_some_and(|it| it >= end) && self.next_aged(cx.facts) == Some(*key) {
                    cx.facts.counts.aged += u64::from(end > 0);
                    self.aged.insert(*key);
                }
                if let Some(it) = self.positions.get_mut(key) {
                    it.asking = false;
                    if it.offset.is_none() {
                        (it.offset, it.owed) = (offset, Owed::new());
                    }
                }
            }
            _ => unreachable!("a consumer asks nothing else"),
        }
    }

    fn lost(&mut self, _: &mut Cx<'_>, asked: Asked) {
        match asked {
            Asked::Fetch { .. } => {
                // Nobody knows whether the broker has counted it.
                self.fetching = false;
                self.session = None;
            }
            Asked::ListOffsets { key, time: EARLIEST, .. } => {
                if let Some(it) = self.positions.get_mut(&key) {
                    it.asking = false;
                }
            }
            _ => {}
        }
    }

    fn disconnected(&mut self, _: &mut Cx<'_>) {}

    fn is_done(&self, facts: &Facts) -> bool {
        self.life == facts.life && !self.has_more(facts) && self.next_aged(facts).is_none()
    }

    fn name(&self) -> String {
        format!("consumer-{}", self.number)
    }
}
