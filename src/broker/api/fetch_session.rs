//! Fetch sessions (KIP-227): what a client fetches is remembered, so that a request need only say
//! what changes, and an answer only what is new. Pure.
//!
//! A session belongs to the shard of the connection on which it began. Its id names that shard
//! ([`owner_of`]), so that a request on any other connection finds it. Ids are drawn from a seed: a
//! client that remembers one of the broker's earlier life does not meet another client's session.

use crate::types::{ErrorCode, Rng, TopicId};
use crate::wire::kafka::fetch_request::FetchRequest;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// No session.
pub const NO_SESSION: i32 = 0;
/// Epoch of a request that begins a session.
pub const FIRST_EPOCH: i32 = 0;
/// Epoch of a request without a session, or that ends one.
pub const FINAL_EPOCH: i32 = -1;
/// A session that was not used for so long may make room for a new one
/// (`min.incremental.fetch.session.eviction.ms`).
const EVICTION_MS: i64 = 120_000;

/// A topic as the client names it: by id from version 13 on, by name before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicKey {
    /// Up to version 12.
    Name(Arc<str>),
    /// From version 13.
    Id(TopicId),
}

/// One partition that a client fetches.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its topic.
    pub topic: TopicKey,
    /// Its number.
    pub partition: i32,
    /// From which offset.
    pub offset: i64,
    /// At most so many bytes.
    pub max_bytes: i32,
    /// The client's idea of the leader's epoch, -1 for none.
    pub leader_epoch: i32,
}

/// What the client knows of a partition already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    high_watermark: i64,
    log_start: i64,
}

const NOTHING: Told = Told { high_watermark: -1, log_start: -1 };

#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    told: Told,
}

#[derive(Debug)]
struct Session {
    by_id: bool,
    next_epoch: i32,
    used_ms: i64,
    /// Memory that it takes.
    bytes: usize,
    /// In the order in which they are served: who got records goes to the end.
    entries: Vec<Entry>,
    /// A request has taken the entries, and brings them back.
    taken: bool,
}

/// How a request stands to sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// It has none.
    Sessionless,
    /// It begins one.
    Full,
    /// It goes on with this one.
    Incremental(i32),
}

/// What a partition's answer says, as far as sessions are concerned.
#[derive(Clone, Copy, Debug)]
pub struct PartitionAnswer {
    /// Its error.
    pub error: ErrorCode,
    /// It has records.
    pub has_records: bool,
    /// It names another node to read from.
    pub is_elsewhere: bool,
    /// Its high watermark.
    pub high_watermark: i64,
    /// Its log start.
    pub log_start: i64,
}

/// The sessions of one shard.
#[derive(Debug)]
pub struct Sessions {
    by_id: HashMap<i32, Session>,
    limit: usize,
    /// Memory that they take.
    bytes: usize,
    /// Memory that they may take for a new one.
    bytes_max: usize,
    /// Sessions that were not begun for want of memory.
    refused: u64,
    shard: usize,
    shards: usize,
    ids: Rng,
}

/// The shard, of so many, that keeps this session: every shard has its own residue class of ids.
/// `None` where it is the id of no session.
pub fn owner_of(session_id: i32, shards: usize) -> Option<usize> {
    (session_id > NO_SESSION).then(|| session_id as usize % shards)
}

impl Sessions {
    /// At most `limit` sessions on shard `shard` of `shards`. The `seed` must be one that no earlier
    /// life of the broker has had.
    pub fn new(limit: usize, shard: usize, shards: usize, seed: u64) -> Self {
        let ids = Rng::new(seed);
        let by_id = HashMap::new();
        Self { by_id, limit, bytes: 0, bytes_max: usize::MAX, refused: 0, shard, shards, ids }
    }

    /// Memory that they take, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// New sessions may take so many bytes together with those that are there. Where there is no
    /// room, a client is told of no session, and sends all of its partitions with each request.
    pub fn set_bytes_max(&mut self, bytes: usize) {
        self.bytes_max = bytes;
    }

    /// Sessions that were not begun for want of memory.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Sessions that there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Forgets a session: its client begins another, on this shard or elsewhere.
    pub fn close(&mut self, id: i32) {
        if let Some(session) = self.by_id.remove(&id) {
            self.bytes -= session.bytes;
        }
    }

    /// Takes a request: how it stands to sessions, and everything that it fetches, in order. The
    /// error is one for the whole answer.
    pub fn begin(
        &mut self,
        request: &FetchRequest<'_>,
        version: i16,
        now_ms: i64,
    ) -> Result<(Context, Vec<Wanted>), ErrorCode> {
        let by_id = version >= 13;
        let (id, epoch) = (request.session_id, request.session_epoch);
        if epoch == FIRST_EPOCH || epoch == FINAL_EPOCH {
            self.close(id);
            let context = if epoch == FINAL_EPOCH { Context::Sessionless } else { Context::Full };
            return Ok((context, wanted(request, by_id).collect()));
        }
        let session = self.by_id.get_mut(&id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        session.check(epoch, by_id)?;
        if session.update(request, by_id) {
            self.bytes -= session.bytes;
            session.bytes = session_bytes(session.entries.iter().map(|it| &it.wanted));
            self.bytes += session.bytes;
        }
        if session.entries.is_empty() {
            self.close(id);
            return Ok((Context::Sessionless, Vec::new()));
        }
        session.used_ms = now_ms;
        session.next_epoch = next_epoch(epoch);
        let all = session.entries.iter().map(|it| it.wanted.clone()).collect();
        Ok((Context::Incremental(id), all))
    }

    /// Takes the answers to what [`begin`](Self::begin) gave, in the same order: the session's id
    /// for the response, and which of the answers are to be in it.
    pub fn finish(
        &mut self,
        context: Context,
        wanted: &[Wanted],
        answers: &[PartitionAnswer],
        now_ms: i64,
    ) -> (i32, Vec<bool>) {
        debug_assert_eq!(wanted.len(), answers.len());
        match context {
            Context::Sessionless => (NO_SESSION, vec![true; answers.len()]),
            Context::Full => (self.create(wanted, answers, now_ms), vec![true; answers.len()]),
            Context::Incremental(id) => {
                let told = match self.by_id.get_mut(&id) {
                    Some(session) => session.tell(wanted, answers),
                    // Evicted meanwhile: the client hears of it with its next request.
                    None => vec![true; answers.len()],
                };
                (id, told)
            }
        }
    }

    fn create(&mut self, wanted: &[Wanted], answers: &[PartitionAnswer], now_ms: i64) -> i32 {
        let bytes = session_bytes(wanted.iter());
        if wanted.is_empty() || !self.make_room(now_ms, bytes) {
            return NO_SESSION;
        }
        let id = self.new_id();
        let mut session = Session {
            by_id: matches!(wanted[0].topic, TopicKey::Id(_)),
            next_epoch: next_epoch(FIRST_EPOCH),
            used_ms: now_ms,
            bytes,
            entries: wanted.iter().cloned().map(Entry::new).collect(),
            taken: false,
        };
        session.tell(wanted, answers);
        self.by_id.insert(id, session);
        self.bytes += bytes;
        id
    }

    /// How many partitions are in a session; 0 where there is none.
    pub fn partitions(&self, id: i32) -> usize {
        self.by_id.get(&id).map_or(0, |it| it.entries.len())
    }

    /// Takes what a session fetches out of it, to bring it back changed. Until then, no other request is
    /// heard in it: it was sent before the answer to this one. `None` where it is gone, or taken.
    fn take(&mut self, id: i32) -> Option<Vec<Entry>> {
        let session = self.by_id.get_mut(&id).filter(|it| !it.taken)?;
        session.taken = true;
        Some(std::mem::take(&mut session.entries))
    }

    /// Brings back what was taken, which takes so many bytes now. A session that was closed meanwhile
    /// stays closed.
    fn bring_back(&mut self, id: i32, entries: Vec<Entry>, bytes: usize) {
        if let Some(session) = self.by_id.get_mut(&id).filter(|it| it.taken) {
            session.taken = false;
            session.entries = entries;
            self.bytes -= std::mem::replace(&mut session.bytes, bytes);
            self.bytes += bytes;
        }
    }

    /// Begins a session that fetches this, of so many bytes, where there is room for it.
    fn open(&mut self, entries: Vec<Entry>, bytes: usize, now_ms: i64) -> i32 {
        if entries.is_empty() || !self.make_room(now_ms, bytes) {
            return NO_SESSION;
        }
        let id = self.new_id();
        let by_id = matches!(entries[0].wanted.topic, TopicKey::Id(_));
        let next_epoch = next_epoch(FIRST_EPOCH);
        let session = Session { by_id, next_epoch, used_ms: now_ms, bytes, entries, taken: false };
        self.by_id.insert(id, session);
        self.bytes += bytes;
        id
    }

    /// An id of this shard's that is in nobody's use.
    fn new_id(&mut self) -> i32 {
        let classes = i32::MAX as u64 / self.shards as u64;
        loop {
            let id = self.ids.below(classes) * self.shards as u64 + self.shard as u64;
            let id = id as i32;
            if id != NO_SESSION && !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.by_id.len() < self.limit && self.bytes.saturating_add(bytes) <= self.bytes_max
    }

    /// Makes room for a session of so many bytes: evicts the one that was not used for longest, if it
    /// may go.
    fn make_room(&mut self, now_ms: i64, bytes: usize) -> bool {
        if self.has_room(bytes) {
            return true;
        }
        let oldest = self.by_id.iter().min_by_key(|(id, it)| (it.used_ms, **id));
        if let Some((&id, it)) = oldest
            && now_ms - it.used_ms > EVICTION_MS
        {
            self.close(id);
        }
        let room = self.has_room(bytes);
        let full = self.by_id.len() >= self.limit;
        self.refused += u64::from(!room && !full);
        room
    }
}

/// Memory of a session that fetches this, bytes. A topic's name is counted with each partition, with
/// which it may come.
fn session_bytes<'a>(wanted: impl Iterator<Item = &'a Wanted>) -> usize {
    SESSION_BYTES + wanted.map(entry_bytes).sum::<usize>()
}

const SESSION_BYTES: usize = 2 * size_of::<(i32, Session)>();

fn entry_bytes(wanted: &Wanted) -> usize {
    let name = match &wanted.topic {
        TopicKey::Name(name) => name.len(),
        TopicKey::Id(_) => 0,
    };
    size_of::<Entry>() + name
}

/// As [`Sessions::begin`], for very many partitions: pauses after each.
pub async fn begin_in_parts(
    sessions: &RefCell<Sessions>,
    request: &FetchRequest<'_>,
    version: i16,
    now_ms: i64,
    pause: &impl AsyncFn(),
) -> Result<(Context, Vec<Wanted>), ErrorCode> {
    let by_id = version >= 13;
    let (id, epoch) = (request.session_id, request.session_epoch);
    let mut all = Vec::new();
    if epoch == FIRST_EPOCH || epoch == FINAL_EPOCH {
        sessions.borrow_mut().close(id);
        let context = if epoch == FINAL_EPOCH { Context::Sessionless } else { Context::Full };
        for wanted in wanted(request, by_id) {
            all.push(wanted);
            pause().await;
        }
        return Ok((context, all));
    }
    let mut entries = {
        let mut sessions = sessions.borrow_mut();
        let session = sessions.by_id.get_mut(&id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        session.check(epoch, by_id)?;
        session.used_ms = now_ms;
        session.next_epoch = next_epoch(epoch);
        sessions.take(id).ok_or(ErrorCode::INVALID_FETCH_SESSION_EPOCH)?
    };
    if !request.topics.is_empty() || !request.forgotten_topics_data.is_empty() {
        entries = update_in_parts(entries, request, by_id, pause).await;
    }
    let mut bytes = SESSION_BYTES;
    all.reserve_exact(entries.len());
    for it in &entries {
        bytes += entry_bytes(&it.wanted);
        all.push(it.wanted.clone());
        pause().await;
    }
    sessions.borrow_mut().bring_back(id, entries, bytes);
    if all.is_empty() {
        sessions.borrow_mut().close(id);
        return Ok((Context::Sessionless, all));
    }
    Ok((Context::Incremental(id), all))
}

/// As [`Session::update`], of the entries alone; what is fetched then.
async fn update_in_parts(
    mut entries: Vec<Entry>,
    request: &FetchRequest<'_>,
    by_id: bool,
    pause: &impl AsyncFn(),
) -> Vec<Entry> {
    let mut at: HashMap<(TopicKey, i32), usize> = HashMap::with_capacity(entries.len());
    for (i, it) in entries.iter().enumerate() {
        at.insert((it.wanted.topic.clone(), it.wanted.partition), i);
        pause().await;
    }
    for wanted in wanted(request, by_id) {
        let key = (wanted.topic.clone(), wanted.partition);
        if let Some(&i) = at.get(&key) {
            entries[i].wanted = wanted;
        } else {
            at.insert(key, entries.len());
            entries.push(Entry::new(wanted));
        }
        pause().await;
    }
    let mut gone = vec![false; entries.len()];
    for topic in &request.forgotten_topics_data {
        let topic_key = key(topic.topic, topic.topic_id, by_id);
        for &partition in &topic.partitions {
            if let Some(&i) = at.get(&(topic_key.clone(), partition)) {
                gone[i] = true;
            }
            pause().await;
        }
    }
    if !gone.contains(&true) {
        return entries;
    }
    let mut kept = Vec::with_capacity(entries.len());
    for (entry, gone) in entries.into_iter().zip(gone) {
        if !gone {
            kept.push(entry);
        }
        pause().await;
    }
    kept
}

/// As [`Sessions::finish`], for very many partitions: pauses after each.
pub async fn finish_in_parts(
    sessions: &RefCell<Sessions>,
    context: Context,
    wanted: &[Wanted],
    answers: &[PartitionAnswer],
    now_ms: i64,
    pause: &impl AsyncFn(),
) -> (i32, Vec<bool>) {
    let mut told = vec![true; answers.len()];
    let (id, entries) = match context {
        Context::Sessionless => return (NO_SESSION, told),
        Context::Full => {
            let mut entries = Vec::with_capacity(wanted.len());
            for it in wanted {
                entries.push(Entry::new(it.clone()));
                pause().await;
            }
            (NO_SESSION, entries)
        }
        Context::Incremental(id) => match sessions.borrow_mut().take(id) {
            Some(entries) => (id, entries),
            // Evicted meanwhile: the client hears of it with its next request.
            None => return (id, told),
        },
    };
    let mut bytes = SESSION_BYTES;
    let mut same = entries.len() == wanted.len();
    for (entry, wanted) in entries.iter().zip(wanted) {
        bytes += entry_bytes(&entry.wanted);
        same &= entry.is_of(wanted);
        pause().await;
    }
    let mut entries = entries;
    if same {
        let (mut back, mut front) = (Vec::new(), Vec::with_capacity(entries.len()));
        for ((mut entry, answer), told) in entries.into_iter().zip(answers).zip(&mut told) {
            *told = entry.tell(answer);
            if answer.has_records {
                back.push(entry);
            } else {
                front.push(entry);
            }
            pause().await;
        }
        front.append(&mut back);
        entries = front;
    }
    if id == NO_SESSION {
        let id = sessions.borrow_mut().open(entries, bytes, now_ms);
        return (id, vec![true; answers.len()]);
    }
    sessions.borrow_mut().bring_back(id, entries, bytes);
    (id, told)
}

impl Entry {
    fn new(wanted: Wanted) -> Self {
        Self { wanted, told: NOTHING }
    }

    fn is_of(&self, wanted: &Wanted) -> bool {
        self.wanted.partition == wanted.partition && self.wanted.topic == wanted.topic
    }

    /// Remembers what is told now; whether that is anything new.
    fn tell(&mut self, answer: &PartitionAnswer) -> bool {
        let now = Told { high_watermark: answer.high_watermark, log_start: answer.log_start };
        let is_new = answer.error.is_err() || answer.has_records || answer.is_elsewhere;
        let changed = is_new || now != self.told;
        // An error is told each time.
        self.told = if answer.error.is_err() { NOTHING } else { now };
        changed
    }
}

impl Session {
    /// Whether a request of that epoch may go on with it.
    fn check(&self, epoch: i32, by_id: bool) -> Result<(), ErrorCode> {
        if self.next_epoch != epoch || self.taken {
            Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH)
        } else if self.by_id != by_id {
            Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR)
        } else {
            Ok(())
        }
    }

    /// Takes over what a request changes; whether it changes what is fetched.
    fn update(&mut self, request: &FetchRequest<'_>, by_id: bool) -> bool {
        let mut at: HashMap<(TopicKey, i32), usize> = HashMap::new();
        let changes = !request.topics.is_empty() || !request.forgotten_topics_data.is_empty();
        if changes {
            let keyed = self.entries.iter().enumerate();
            at.extend(keyed.map(|(i, it)| ((it.wanted.topic.clone(), it.wanted.partition), i)));
        }
        for wanted in wanted(request, by_id) {
            let key = (wanted.topic.clone(), wanted.partition);
            if let Some(&i) = at.get(&key) {
                self.entries[i].wanted = wanted;
            } else {
                at.insert(key, self.entries.len());
                self.entries.push(Entry::new(wanted));
            }
        }
        let mut gone = vec![false; self.entries.len()];
        for topic in &request.forgotten_topics_data {
            let topic_key = key(topic.topic, topic.topic_id, by_id);
            for &partition in &topic.partitions {
                if let Some(&i) = at.get(&(topic_key.clone(), partition)) {
                    gone[i] = true;
                }
            }
        }
        if gone.contains(&true) {
            let mut gone = gone.into_iter();
            self.entries.retain(|_| gone.next() == Some(false));
        }
        changes
    }

    /// Remembers what is told now, and moves who got records behind those that did not.
    fn tell(&mut self, wanted: &[Wanted], answers: &[PartitionAnswer]) -> Vec<bool> {
        let mut told = Vec::with_capacity(answers.len());
        // Nothing else ran on this session meanwhile, unless the client sent two at once.
        let same = self.entries.len() == wanted.len()
            && self.entries.iter().zip(wanted).all(|(entry, wanted)| entry.is_of(wanted));
        if !same {
            return vec![true; answers.len()];
        }
        for (entry, answer) in self.entries.iter_mut().zip(answers) {
            told.push(entry.tell(answer));
        }
        let mut served = answers.iter().map(|it| it.has_records);
        let (mut back, mut front) = (Vec::new(), Vec::with_capacity(self.entries.len()));
        for entry in self.entries.drain(..) {
            if served.next() == Some(true) { back.push(entry) } else { front.push(entry) }
        }
        front.append(&mut back);
        self.entries = front;
        told
    }
}

fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

fn key(name: &str, id: TopicId, by_id: bool) -> TopicKey {
    if by_id { TopicKey::Id(id) } else { TopicKey::Name(name.into()) }
}

fn wanted<'r>(request: &'r FetchRequest<'_>, by_id: bool) -> impl Iterator<Item = Wanted> + 'r {
    request.topics.iter().flat_map(move |topic| {
        let key = key(topic.topic, topic.topic_id, by_id);
        topic.partitions.iter().map(move |it| Wanted {
            topic: key.clone(),
            partition: it.partition,
            offset: it.fetch_offset,
            max_bytes: it.partition_max_bytes,
            leader_epoch: it.current_leader_epoch,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::kafka::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
    use futures_lite::future::block_on;

    const QUIET: PartitionAnswer = PartitionAnswer {
        error: ErrorCode::NONE,
        has_records: false,
        is_elsewhere: false,
        high_watermark: 5,
        log_start: 0,
    };

    fn request(id: i32, epoch: i32, partitions: &[i32], forget: &[i32]) -> FetchRequest<'static> {
        let partitions: Vec<_> = partitions
            .iter()
            .map(|&partition| FetchPartition { partition, ..FetchPartition::default() })
            .collect();
        let topic = FetchTopic { topic: "t", topic_id: TopicId::ZERO, partitions };
        let forgotten =
            ForgottenTopic { topic: "t", topic_id: TopicId::ZERO, partitions: forget.to_vec() };
        FetchRequest {
            session_id: id,
            session_epoch: epoch,
            topics: if topic.partitions.is_empty() { vec![] } else { vec![topic] },
            forgotten_topics_data: if forget.is_empty() { vec![] } else { vec![forgotten] },
            ..FetchRequest::default()
        }
    }

    fn numbers(wanted: &[Wanted]) -> Vec<i32> {
        wanted.iter().map(|it| it.partition).collect()
    }

    /// Random requests and answers come to the same, whole and in parts.
    #[test]
    fn in_parts_sessions_are_the_same() {
        let mut random = Rng::new(7);
        let (mut whole, parts) = (Sessions::new(3, 0, 1, 5), Sessions::new(3, 0, 1, 5));
        let parts = RefCell::new(parts);
        let (mut id, mut epoch) = (0, 0);
        for now_ms in 0..2_000 {
            let some = |random: &mut Rng| -> Vec<i32> {
                (0..random.index(4)).map(|_| random.index(8) as i32).collect()
            };
            let (wanted, forgotten) = (some(&mut random), some(&mut random));
            if random.one_in(20) {
                epoch = [FIRST_EPOCH, FINAL_EPOCH, 77][random.index(3)];
            }
            let request = request(id, epoch, &wanted, &forgotten);
            let begun = whole.begin(&request, 12, now_ms);
            let again = block_on(begin_in_parts(&parts, &request, 12, now_ms, &async || {}));
            assert_eq!(begun, again);
            let Ok((context, all)) = begun else {
                epoch = FIRST_EPOCH;
                continue;
            };
            let answer = |_: &Wanted| PartitionAnswer {
                error: if random.one_in(9) {
                    ErrorCode::NOT_LEADER_OR_FOLLOWER
                } else {
                    ErrorCode::NONE
                },
                has_records: random.one_in(3),
                is_elsewhere: random.one_in(9),
                high_watermark: random.index(3) as i64,
                log_start: 0,
            };
            let answers: Vec<_> = all.iter().map(answer).collect();
            let finished = whole.finish(context, &all, &answers, now_ms);
            let pause = async || {};
            let again = finish_in_parts(&parts, context, &all, &answers, now_ms, &pause);
            assert_eq!(finished, block_on(again));
            assert_eq!(whole.bytes(), parts.borrow().bytes());
            id = finished.0;
            epoch = if id == NO_SESSION { FIRST_EPOCH } else { next_epoch(epoch.max(0)) };
        }
        assert!(!whole.is_empty());
    }

    /// Nobody is heard in a session while a request has taken what it fetches; it can be closed.
    #[test]
    fn a_session_that_is_taken_hears_nobody_else() {
        let mut sessions = Sessions::new(10, 0, 1, 5);
        let (context, all) = sessions.begin(&request(0, 0, &[0, 1], &[]), 12, 0).unwrap();
        let (id, _) = sessions.finish(context, &all, &[QUIET; 2], 0);
        let entries = sessions.take(id).unwrap();
        assert!(sessions.take(id).is_none());
        let refused = sessions.begin(&request(id, 1, &[], &[]), 12, 0);
        assert_eq!(refused, Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
        sessions.bring_back(id, entries, 1_000);
        assert_eq!((sessions.partitions(id), sessions.bytes()), (2, 1_000));
        let entries = sessions.take(id).unwrap();
        sessions.close(id);
        sessions.bring_back(id, entries, 1_000);
        assert_eq!((sessions.len(), sessions.bytes()), (0, 0));
    }

    #[test]
    fn tells_only_what_changed_and_rotates() {
        let mut sessions = Sessions::new(10, 1, 2, 5);
        let (context, all) = sessions.begin(&request(0, 0, &[0, 1, 2], &[]), 12, 0).unwrap();
        assert_eq!(context, Context::Full);
        let (id, told) = sessions.finish(context, &all, &[QUIET; 3], 0);
        assert!(id > 0);
        assert_eq!(told, [true; 3]);

        let (context, all) = sessions.begin(&request(id, 1, &[], &[]), 12, 0).unwrap();
        assert_eq!((context, numbers(&all)), (Context::Incremental(id), vec![0, 1, 2]));
        let moved = PartitionAnswer { high_watermark: 6, ..QUIET };
        let records = PartitionAnswer { has_records: true, ..QUIET };
        let (_, told) = sessions.finish(context, &all, &[records, moved, QUIET], 0);
        assert_eq!(told, [true, true, false]);

        // Who got records is served last; one more is added, one is forgotten.
        let (context, all) = sessions.begin(&request(id, 2, &[3], &[1]), 12, 0).unwrap();
        assert_eq!(numbers(&all), [2, 0, 3]);
        let failed = PartitionAnswer { error: ErrorCode::OFFSET_OUT_OF_RANGE, ..QUIET };
        let (_, told) = sessions.finish(context, &all, &[failed, QUIET, QUIET], 0);
        assert_eq!(told, [true, false, true]);
        // An error is told again, and so is what comes after it.
        let (context, all) = sessions.begin(&request(id, 3, &[], &[]), 12, 0).unwrap();
        let (_, told) = sessions.finish(context, &all, &[QUIET; 3], 0);
        assert_eq!(told, [true, false, false]);
        // Another node to read from is told each time.
        for epoch in [4, 5] {
            let (context, all) = sessions.begin(&request(id, epoch, &[], &[]), 12, 0).unwrap();
            let elsewhere = PartitionAnswer { is_elsewhere: true, ..QUIET };
            let (_, told) = sessions.finish(context, &all, &[QUIET, elsewhere, QUIET], 0);
            assert_eq!(told, [false, true, false]);
        }
    }

    #[test]
    fn wrong_epochs_and_ids_are_refused() {
        let mut sessions = Sessions::new(10, 0, 1, 5);
        let (context, all) = sessions.begin(&request(0, 0, &[0], &[]), 12, 0).unwrap();
        let (id, _) = sessions.finish(context, &all, &[QUIET], 0);
        let refused = |s: &mut Sessions, r, v| s.begin(&r, v, 0).unwrap_err();
        let none = request(id + 1, 1, &[], &[]);
        assert_eq!(refused(&mut sessions, none, 12), ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        let late = request(id, 2, &[], &[]);
        assert_eq!(refused(&mut sessions, late, 12), ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        let by_id = request(id, 1, &[], &[]);
        assert_eq!(refused(&mut sessions, by_id, 13), ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        // The session is still there; its last partition ends it.
        let (context, all) = sessions.begin(&request(id, 1, &[], &[0]), 12, 0).unwrap();
        assert_eq!((context, all.len(), sessions.len()), (Context::Sessionless, 0, 0));
        assert_eq!(next_epoch(i32::MAX), 1);
    }

    #[test]
    fn only_an_old_session_makes_room() {
        let mut sessions = Sessions::new(1, 0, 1, 5);
        let mut create = |now| {
            let (context, all) = sessions.begin(&request(0, 0, &[0], &[]), 12, now).unwrap();
            sessions.finish(context, &all, &[QUIET], now).0
        };
        let first = create(0);
        assert_ne!(first, NO_SESSION);
        assert_eq!(create(EVICTION_MS), NO_SESSION);
        let second = create(EVICTION_MS + 1);
        assert!(second != NO_SESSION && second != first);
        let (context, _) = sessions.begin(&request(second, -1, &[0], &[]), 12, 0).unwrap();
        assert_eq!((context, sessions.len()), (Context::Sessionless, 0));
    }

    #[test]
    fn ids_name_their_shard_and_are_drawn_anew_in_each_life() {
        let shards = 3;
        let life = |seed| {
            let mut ids = Vec::new();
            for shard in 0..shards {
                let mut sessions = Sessions::new(100, shard, shards, seed + shard as u64);
                for _ in 0..100 {
                    let first = request(0, 0, &[0], &[]);
                    let (context, all) = sessions.begin(&first, 12, 0).unwrap();
                    let (id, _) = sessions.finish(context, &all, &[QUIET], 0);
                    assert_eq!(owner_of(id, shards), Some(shard));
                    ids.push(id);
                }
            }
            ids
        };
        let (one, other) = (life(1), life(100));
        assert_eq!(one, life(1));
        let distinct: std::collections::BTreeSet<_> = one.iter().chain(&other).collect();
        assert_eq!(distinct.len(), 600);
        assert_eq!((owner_of(0, shards), owner_of(-1, shards)), (None, None));
    }

    /// A client that begins anew and names the session that it leaves takes that one's place.
    #[test]
    fn a_session_that_is_left_makes_room_for_its_successor() {
        let mut sessions = Sessions::new(1, 0, 1, 5);
        let (context, all) = sessions.begin(&request(0, 0, &[0], &[]), 12, 0).unwrap();
        let (first, _) = sessions.finish(context, &all, &[QUIET], 0);
        let (context, all) = sessions.begin(&request(first, 0, &[0], &[]), 12, 0).unwrap();
        let (second, _) = sessions.finish(context, &all, &[QUIET], 0);
        assert!(second != NO_SESSION && second != first);
        assert_eq!(sessions.len(), 1);
    }
}
