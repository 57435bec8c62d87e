//! Fetch: what is to be read where, when there is enough to answer, and the answer, which is laid
//! out by hand so that records are not copied.

use super::Response;
use super::data::{ReadRequest, ReadResult};
use super::endpoints::write_endpoints;
use super::fetch_session::{
    Context, NO_SESSION, PartitionAnswer, Sessions, TopicKey, Wanted, begin_in_parts,
    finish_in_parts,
};
use super::layout::Layout;
use super::partitions::{held, led};
use super::{decode, decode_in_parts};
use crate::controller::{Image, Topic};
use crate::types::{ErrorCode, TopicId, TopicPartition};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::fetch_request::FetchRequest;
use std::cell::RefCell;
use std::sync::Arc;

/// What a broker grants a Fetch request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `fetch.max.bytes`.
    pub max_bytes: usize,
    /// Bytes of memory that there are for the answer: what is sent stays until the client took it.
    pub memory: usize,
}

/// A Fetch request that is under way.
#[derive(Debug)]
pub struct Plan {
    context: Context,
    wanted: Vec<Wanted>,
    /// Why a partition is not read at all.
    refused: Vec<ErrorCode>,
    committed: bool,
    /// A replica that does not lead may answer: from version 11 on (KIP-392).
    from_followers: bool,
    /// The client's rack, where that is to be looked at.
    rack: String,
    /// An error for the whole answer.
    error: ErrorCode,
    /// What the client waits for, and at most wants; as far as the broker's setting allows.
    asked: (usize, usize),
    /// There is no memory for records now: nothing is to be read before [`Plan::grant`] gives some,
    /// or the time is over.
    pub starved: bool,
    /// PartitionAnswer as soon as there are so many bytes.
    pub min_bytes: usize,
    /// At most so many bytes, unless the first batch is larger.
    pub max_bytes: usize,
    /// Wait no longer than this, ms.
    pub max_wait_ms: u64,
}

/// The session that a request names; `None` where it names none.
pub fn session_id(body: &[u8], version: i16) -> Option<i32> {
    // Before it: replica id (up to version 14), three numbers of four bytes, the isolation level.
    let at = match version {
        ..7 => return None,
        7..15 => 17,
        _ => 13,
    };
    let id = body.get(at..)?.first_chunk().map(|it| i32::from_be_bytes(*it))?;
    (id != NO_SESSION).then_some(id)
}

/// Reads a request and takes it into its session.
pub fn plan(
    body: &[u8],
    version: i16,
    sessions: &mut Sessions,
    image: &Image,
    limits: Limits,
    now_ms: i64,
) -> Result<Plan, WireError> {
    let request = decode(body, |r| FetchRequest::decode(r, version))?;
    let mut plan = Plan::new(&request, version, image, limits);
    match sessions.begin(&request, version, now_ms) {
        Ok((context, wanted)) => {
            plan.refused = wanted.iter().map(|it| plan.refusal(it, image)).collect();
            (plan.context, plan.wanted) = (context, wanted);
        }
        Err(error) => plan.error = error,
    }
    Ok(plan)
}

/// The same, for very many partitions: pauses after each.
pub async fn plan_in_parts(
    body: &[u8],
    version: i16,
    sessions: &RefCell<Sessions>,
    image: &Image,
    limits: Limits,
    now_ms: i64,
    pause: &impl AsyncFn(),
) -> Result<Plan, WireError> {
    let request =
        decode_in_parts(body, async |r| FetchRequest::decode_in_parts(r, version, pause).await)
            .await?;
    let mut plan = Plan::new(&request, version, image, limits);
    match begin_in_parts(sessions, &request, version, now_ms, pause).await {
        Ok((context, wanted)) => {
            plan.refused.reserve_exact(wanted.len());
            for it in &wanted {
                plan.refused.push(plan.refusal(it, image));
                pause().await;
            }
            (plan.context, plan.wanted) = (context, wanted);
        }
        Err(error) => plan.error = error,
    }
    Ok(plan)
}

fn topic_of<'a>(wanted: &Wanted, image: &'a Image) -> Option<&'a Arc<Topic>> {
    match &wanted.topic {
        TopicKey::Id(id) => image.topic_by_id(*id),
        TopicKey::Name(name) => image.topic(name),
    }
}

/// Replicas in this rack that may be named instead of the leader, which is this node; none where the leader itself is in
/// the rack (`RackAwareReplicaSelector` of Kafka). Which of them is in sync and has what is wanted the leader knows.
fn nearer(image: &Image, topic: &Topic, partition: i32, rack: &str) -> Vec<i32> {
    let in_rack = |node: &i32| {
        let broker = image.broker(*node).filter(|it| !it.fenced);
        broker.is_some_and(|it| it.rack.as_deref() == Some(rack))
    };
    let state = topic.partition(partition);
    match state.filter(|it| it.leader == image.node_id && !in_rack(&it.leader)) {
        Some(state) => state.isr.iter().copied().filter(in_rack).collect(),
        None => Vec::new(),
    }
}

/// The selector of `replica.selector.class` that looks at racks.
const RACK_AWARE: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

impl Plan {
    fn new(request: &FetchRequest<'_>, version: i16, image: &Image, limits: Limits) -> Self {
        let by_rack = || image.broker_configs.text("replica.selector.class") == Some(RACK_AWARE);
        let rack = if !request.rack_id.is_empty() && by_rack() { request.rack_id } else { "" };
        let mut plan = Self {
            context: Context::Sessionless,
            wanted: Vec::new(),
            refused: Vec::new(),
            committed: request.isolation_level == 1,
            from_followers: version >= 11,
            rack: rack.to_owned(),
            error: ErrorCode::NONE,
            asked: (
                usize::try_from(request.min_bytes).unwrap_or(0),
                usize::try_from(request.max_bytes).unwrap_or(0).min(limits.max_bytes),
            ),
            starved: false,
            min_bytes: 0,
            max_bytes: 0,
            max_wait_ms: u64::try_from(request.max_wait_ms).unwrap_or(0),
        };
        plan.grant(limits.memory);
        plan
    }

    fn refusal(&self, wanted: &Wanted, image: &Image) -> ErrorCode {
        let unknown = match &wanted.topic {
            TopicKey::Id(_) => ErrorCode::UNKNOWN_TOPIC_ID,
            TopicKey::Name(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        let Some(topic) = topic_of(wanted, image) else { return unknown };
        let find = if self.from_followers { held } else { led };
        find(image, Some(topic), wanted.partition).err().unwrap_or(ErrorCode::NONE)
    }

    /// How many partitions it fetches.
    pub fn partitions(&self) -> usize {
        self.wanted.len()
    }

    /// So much memory is there for the answer now. It bounds `min_bytes` too, since a limit below
    /// what is waited for would never be met; but a client that waits for records is never answered
    /// at once and without any because there is no memory for them: it would ask again at once.
    pub fn grant(&mut self, memory: usize) {
        let (min_bytes, max_bytes) = self.asked;
        self.starved = memory == 0 && max_bytes > 0;
        self.max_bytes = max_bytes.min(memory);
        self.min_bytes = min_bytes.min(max_bytes).min(memory.max(1));
    }

    /// What is to be read, in the order in which it is to be served.
    pub fn reads(&self, image: &Image) -> Vec<ReadRequest> {
        (0..self.wanted.len()).filter_map(|i| self.read(i, image)).collect()
    }

    /// The read of one partition, unless it is refused.
    pub fn read(&self, i: usize, image: &Image) -> Option<ReadRequest> {
        if self.refused[i].is_err() {
            return None;
        }
        let wanted = &self.wanted[i];
        let topic = match &wanted.topic {
            TopicKey::Id(id) => *id,
            TopicKey::Name(name) => image.topic(name)?.id,
        };
        let near_to = if self.rack.is_empty() { None } else { topic_of(wanted, image) };
        let nearer = match near_to {
            Some(topic) => nearer(image, topic, wanted.partition, &self.rack),
            None => Vec::new(),
        };
        Some(ReadRequest {
            index: i as u32,
            tp: TopicPartition { topic, partition: wanted.partition },
            from_followers: self.from_followers,
            nearer,
            offset: wanted.offset,
            max_bytes: usize::try_from(wanted.max_bytes).unwrap_or(0),
            current_leader_epoch: wanted.leader_epoch,
            committed: self.committed,
        })
    }

    /// Whether these results are to be sent now, although the time has not passed yet
    /// (`ReplicaManager.fetchMessages`).
    pub fn is_satisfied(&self, results: &[ReadResult]) -> bool {
        let counted: usize = results.iter().map(|it| it.counted).sum();
        self.error.is_err()
            || self.max_wait_ms == 0
            || results.is_empty()
            || counted >= self.min_bytes
            || results.iter().any(ReadResult::is_final)
    }

    /// The answer. `results` may lack partitions and have any order.
    pub fn response(
        self,
        header: &RequestHeader<'_>,
        results: Vec<ReadResult>,
        sessions: &mut Sessions,
        image: &Image,
        now_ms: i64,
    ) -> Result<Response, WireError> {
        let mut all = self.all(results);
        let mut room = Room::new(self.max_bytes);
        all.iter_mut().for_each(|it| room.limit(it));
        let (session_id, told) = if self.error.is_err() {
            (0, Vec::new())
        } else {
            let answers: Vec<PartitionAnswer> = all.iter().map(answer).collect();
            sessions.finish(self.context, &self.wanted, &answers, now_ms)
        };
        let mut layout = Layout::new(header);
        layout.fetch_response(header.version, &self, session_id, &told, all, image)?;
        Ok(layout.finish())
    }

    /// The same, for very many partitions: pauses after each.
    pub async fn response_in_parts(
        self,
        header: &RequestHeader<'_>,
        results: Vec<ReadResult>,
        sessions: &RefCell<Sessions>,
        image: &Image,
        now_ms: i64,
        pause: &impl AsyncFn(),
    ) -> Result<Response, WireError> {
        let mut all = Vec::with_capacity(self.refused.len());
        for i in 0..self.refused.len() {
            all.push(self.without_result(i));
            pause().await;
        }
        for result in results {
            let index = result.index as usize;
            all[index] = result;
            pause().await;
        }
        let (mut room, mut answers) = (Room::new(self.max_bytes), Vec::with_capacity(all.len()));
        for it in &mut all {
            room.limit(it);
            answers.push(answer(it));
            pause().await;
        }
        let (session_id, told) = if self.error.is_err() {
            (0, Vec::new())
        } else {
            let (context, wanted) = (self.context, &self.wanted);
            finish_in_parts(sessions, context, wanted, &answers, now_ms, pause).await
        };
        let mut layout = Layout::new(header);
        layout.begin(header.version, &self, session_id);
        let mut runs = Vec::new();
        for ((wanted, result), _) in
            self.wanted.iter().zip(all).zip(&told).filter(|(_, told)| **told)
        {
            enter(&mut runs, wanted, result);
            pause().await;
        }
        let flexible = header.version >= 12;
        layout.w.array_len(Some(runs.len()), flexible)?;
        let mut moved = false;
        for run in runs {
            let topic_id = layout.begin_topic(&run, flexible, image)?;
            for (wanted, result) in run {
                moved |= layout.partition(
                    header.version,
                    topic_id,
                    wanted.partition,
                    result,
                    self.committed,
                    image,
                )?;
                pause().await;
            }
            if flexible {
                layout.w.varint(0);
            }
        }
        layout.end(header.version, moved, image)?;
        Ok(layout.finish())
    }

    /// The results of all partitions, in their order.
    fn all(&self, results: Vec<ReadResult>) -> Vec<ReadResult> {
        let is_whole = results.len() == self.refused.len();
        if is_whole && results.iter().zip(0..).all(|(it, index)| it.index == index) {
            return results;
        }
        let mut all: Vec<_> = (0..self.refused.len()).map(|i| self.without_result(i)).collect();
        for result in results {
            let index = result.index as usize;
            all[index] = result;
        }
        all
    }

    /// What a partition's answer is unless it has a result.
    fn without_result(&self, i: usize) -> ReadResult {
        let (refused, lost) = (self.refused[i], ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        ReadResult::failed(i as u32, if refused.is_err() { refused } else { lost })
    }
}

#[inline]
fn answer(it: &ReadResult) -> PartitionAnswer {
    PartitionAnswer {
        error: it.error,
        has_records: it.bytes > 0,
        is_elsewhere: it.preferred >= 0,
        high_watermark: it.high_watermark,
        log_start: it.log_start,
    }
}

/// Room in an answer. Several shards were each given all of it: what is too much goes, and comes first
/// the next time, since only who got records moves back.
struct Room {
    max_bytes: usize,
    total: usize,
}

impl Room {
    const fn new(max_bytes: usize) -> Self {
        Self { max_bytes, total: 0 }
    }

    #[inline]
    fn limit(&mut self, result: &mut ReadResult) {
        // It was waited for: the leader knows whether it exists.
        if result.is_ahead {
            result.error = ErrorCode::OFFSET_NOT_AVAILABLE;
        }
        if result.bytes > 0 && self.total > 0 && self.total + result.bytes > self.max_bytes {
            result.slices.clear();
            result.aborted.clear();
            result.bytes = 0;
        }
        self.total += result.bytes;
    }
}

/// Partitions of one topic in a row, each with its result.
type Run<'a> = Vec<(&'a Wanted, ReadResult)>;

/// One entry per run of the same topic: the order of partitions stays what the client asked for, or
/// what the session made of it.
#[inline]
fn enter<'a>(runs: &mut Vec<Run<'a>>, wanted: &'a Wanted, result: ReadResult) {
    match runs.last_mut() {
        Some(run) if run[0].0.topic == wanted.topic => run.push((wanted, result)),
        _ => runs.push(vec![(wanted, result)]),
    }
}

impl Layout {
    fn fetch_response(
        &mut self,
        version: i16,
        plan: &Plan,
        session_id: i32,
        told: &[bool],
        results: Vec<ReadResult>,
        image: &Image,
    ) -> Result<(), WireError> {
        let flexible = version >= 12;
        self.begin(version, plan, session_id);
        let mut runs = Vec::new();
        for ((wanted, result), _) in
            plan.wanted.iter().zip(results).zip(told).filter(|(_, told)| **told)
        {
            enter(&mut runs, wanted, result);
        }
        self.w.array_len(Some(runs.len()), flexible)?;
        let mut moved = false;
        for run in runs {
            let topic_id = self.begin_topic(&run, flexible, image)?;
            for (wanted, result) in run {
                moved |= self.partition(
                    version,
                    topic_id,
                    wanted.partition,
                    result,
                    plan.committed,
                    image,
                )?;
            }
            if flexible {
                self.w.varint(0);
            }
        }
        self.end(version, moved, image)
    }

    fn begin(&mut self, version: i16, plan: &Plan, session_id: i32) {
        self.w.i32(0);
        if version >= 7 {
            self.w.error_code(plan.error.0);
            self.w.i32(session_id);
        }
    }

    /// A topic up to its partitions; its id.
    fn begin_topic(
        &mut self,
        run: &Run<'_>,
        flexible: bool,
        image: &Image,
    ) -> Result<TopicId, WireError> {
        let topic_id = match &run[0].0.topic {
            TopicKey::Name(name) => {
                self.w.string(name, flexible)?;
                image.topic(name).map_or(TopicId::ZERO, |it| it.id)
            }
            TopicKey::Id(id) => {
                self.w.uuid(*id);
                *id
            }
        };
        self.w.array_len(Some(run.len()), flexible)?;
        Ok(topic_id)
    }

    /// What is behind the topics; whether the client was told of other leaders.
    fn end(&mut self, version: i16, moved: bool, image: &Image) -> Result<(), WireError> {
        let flexible = version >= 12;
        if flexible {
            let endpoints = version >= 16 && moved;
            self.w.varint(u32::from(endpoints));
            if endpoints {
                self.w.tagged_field(0, |w| write_endpoints(w, image, moved))?;
            }
        }
        Ok(())
    }

    /// Whether the client is told of another leader.
    #[inline]
    fn partition(
        &mut self,
        version: i16,
        topic: TopicId,
        partition: i32,
        result: ReadResult,
        committed: bool,
        image: &Image,
    ) -> Result<bool, WireError> {
        let flexible = version >= 12;
        let w = &mut self.w;
        w.i32(partition);
        w.error_code(result.error.0);
        w.i64(result.high_watermark);
        w.i64(result.last_stable);
        if version >= 5 {
            w.i64(result.log_start);
        }
        // Null says that it was not asked for.
        w.array_len(committed.then_some(result.aborted.len()), flexible)?;
        for it in &result.aborted {
            w.i64(it.producer_id);
            w.i64(it.first);
            if flexible {
                w.varint(0);
            }
        }
        if version >= 11 {
            w.i32(result.preferred);
        }
        self.records(result.slices, result.bytes, flexible)?;
        let fenced = matches!(
            result.error,
            ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH
        );
        let current = (version >= 16 && fenced)
            .then(|| image.topic_by_id(topic)?.partitions.get(partition as usize))
            .flatten();
        if flexible {
            self.w.varint(u32::from(current.is_some()));
            if let Some(current) = current {
                self.w.tagged_field(1, |w| {
                    w.i32(current.leader);
                    w.i32(current.leader_epoch);
                    w.varint(0);
                    Ok(())
                })?;
            }
        }
        Ok(current.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{NewPartition, Record, Registration};
    use crate::wire::api_keys::ApiKey;
    use crate::wire::header::decode_response;
    use crate::wire::kafka::fetch_request::{FetchPartition, FetchTopic};
    use crate::wire::kafka::fetch_response::FetchResponse;
    use crate::wire::{Reader, Writer};
    use std::sync::Arc;

    const LIMITS: Limits = Limits { max_bytes: 1 << 20, memory: 1 << 20 };

    fn image() -> Image {
        let mut image = Image::new("c", 1, Arc::default());
        let replicas: Arc<[i32]> = [1].into();
        let partition = crate::controller::NewPartition::new(replicas);
        image.apply(&crate::controller::Record::TopicCreated {
            id: TopicId([7; 16]),
            name: "t".into(),
            partitions: vec![partition.clone(), partition],
            settings: Vec::new(),
        });
        image
    }

    fn fetch(version: i16, partitions: &[i32], results: &[(u32, usize)]) -> Vec<(i32, i16, usize)> {
        let image = image();
        let mut sessions = Sessions::new(10, 0, 1, 5);
        let partitions = partitions
            .iter()
            .map(|&partition| FetchPartition {
                partition,
                partition_max_bytes: 1 << 20,
                ..FetchPartition::default()
            })
            .collect();
        let by_id = version >= 13;
        let request = FetchRequest {
            max_wait_ms: 100,
            min_bytes: 1,
            max_bytes: 50_000,
            session_epoch: if version >= 7 { 0 } else { -1 },
            topics: vec![FetchTopic {
                topic: if by_id { "" } else { "t" },
                topic_id: if by_id { TopicId([7; 16]) } else { TopicId::ZERO },
                partitions,
            }],
            ..FetchRequest::default()
        };
        let mut w = Writer::new();
        request.encode(&mut w, version).unwrap();
        let plan = plan(w.as_slice(), version, &mut sessions, &image, LIMITS, 0).unwrap();
        let results: Vec<ReadResult> = plan
            .reads(&image)
            .iter()
            .map(|read| {
                let bytes = results.iter().find(|(i, _)| *i == read.index).map_or(0, |r| r.1);
                let slices = if bytes > 0 { vec![vec![9; bytes].into()] } else { vec![] };
                ReadResult {
                    slices,
                    bytes,
                    error: ErrorCode::NONE,
                    ..ReadResult::failed(read.index, ErrorCode::NONE)
                }
            })
            .collect();
        let header =
            RequestHeader { api_key: ApiKey::FETCH, version, correlation_id: 5, client_id: None };
        let response = plan.response(&header, results, &mut sessions, &image, 0).unwrap();
        let mut bytes = response.head.to_vec();
        response.rest.iter().for_each(|part| bytes.extend_from_slice(part));
        assert_eq!(bytes.len(), response.len());
        assert_eq!(bytes[..4], ((bytes.len() - 4) as i32).to_be_bytes());
        let mut r = Reader::new(&bytes[4..]);
        assert_eq!(decode_response(ApiKey::FETCH, version, &mut r).unwrap(), 5);
        let body = FetchResponse::decode(&mut r, version).unwrap();
        r.finish().unwrap();
        body.responses
            .iter()
            .flat_map(|t| &t.partitions)
            .map(|p| {
                let records = p.records.unwrap_or_default();
                assert!(records.iter().all(|b| *b == 9));
                (p.partition_index, p.error_code, records.len())
            })
            .collect()
    }

    #[test]
    fn answers_decode_in_every_version() {
        for version in 4..=18 {
            let answer = fetch(version, &[0, 1, 2], &[(0, 10_000), (1, 20)]);
            assert_eq!(answer, [(0, 0, 10_000), (1, 0, 20), (2, 3, 0)], "version {version}");
        }
    }

    #[test]
    fn the_first_batch_is_whole_and_the_rest_keeps_to_the_limit() {
        assert_eq!(fetch(12, &[0, 1], &[(0, 60_000), (1, 10)]), [(0, 0, 60_000), (1, 0, 0)]);
        assert_eq!(fetch(12, &[0, 1], &[(0, 0), (1, 60_000)]), [(0, 0, 0), (1, 0, 60_000)]);
        assert_eq!(fetch(12, &[0, 1], &[(0, 30_000), (1, 30_000)]), [(0, 0, 30_000), (1, 0, 0)]);
    }

    #[test]
    fn waits_for_enough() {
        let image = image();
        let mut sessions = Sessions::new(10, 0, 1, 5);
        let request = FetchRequest {
            max_wait_ms: 100,
            min_bytes: 10,
            max_bytes: 1000,
            session_epoch: -1,
            ..FetchRequest::default()
        };
        let mut w = Writer::new();
        request.encode(&mut w, 12).unwrap();
        let plan = plan(w.as_slice(), 12, &mut sessions, &image, LIMITS, 0).unwrap();
        let result = |bytes, error| ReadResult {
            error,
            bytes,
            counted: bytes,
            ..ReadResult::failed(0, error)
        };
        assert!(plan.is_satisfied(&[]));
        assert!(!plan.is_satisfied(&[result(9, ErrorCode::NONE)]));
        assert!(plan.is_satisfied(&[result(9, ErrorCode::NONE), result(1, ErrorCode::NONE)]));
        assert!(plan.is_satisfied(&[result(0, ErrorCode::OFFSET_OUT_OF_RANGE)]));
        // What a limit cut counts as the limit.
        let cut = ReadResult { counted: 10, ..result(6, ErrorCode::NONE) };
        assert!(plan.is_satisfied(&[cut]));
    }

    /// A cluster of three racks; node 1 leads partition 0, node 2 the other one.
    fn racks(selector: bool) -> Image {
        let settings =
            selector.then(|| ("replica.selector.class".to_owned(), RACK_AWARE.to_owned()));
        let mut image = Image::new("c", 1, Arc::new(settings.into_iter().collect()));
        for id in 1..=3 {
            let rack = Some(format!("r{id}"));
            let it = Registration { id, rack, ..Registration::default() };
            image.apply(&Record::BrokerRegistered(it));
            image.apply(&Record::BrokerUnfenced { broker: id });
        }
        let partitions = vec![NewPartition::new([1, 2, 3]), NewPartition::new([2, 1])];
        let (id, name) = (TopicId([7; 16]), "t".into());
        image.apply(&Record::TopicCreated { id, name, partitions, settings: Vec::new() });
        image
    }

    /// What is asked of the owners: whether followers may answer, and who is nearer.
    fn asked(image: &Image, version: i16, rack_id: &str) -> Vec<(bool, Vec<i32>)> {
        let partitions = [0, 1].map(|partition| FetchPartition { partition, ..Default::default() });
        let topics =
            vec![FetchTopic { topic: "t", partitions: partitions.into(), ..Default::default() }];
        let request = FetchRequest { rack_id, topics, session_epoch: -1, ..Default::default() };
        let mut w = Writer::new();
        request.encode(&mut w, version).unwrap();
        let mut sessions = Sessions::new(10, 0, 1, 5);
        let plan = plan(w.as_slice(), version, &mut sessions, image, LIMITS, 0).unwrap();
        plan.reads(image).into_iter().map(|it| (it.from_followers, it.nearer)).collect()
    }

    #[test]
    fn consumers_are_sent_to_their_rack() {
        let mut image = racks(true);
        assert_eq!(asked(&image, 12, "r3"), [(true, vec![3]), (true, vec![])]);
        assert_eq!(asked(&image, 12, "r1"), [(true, vec![]), (true, vec![])], "as the leader");
        assert_eq!(asked(&image, 12, "r9"), [(true, vec![]), (true, vec![])]);
        assert_eq!(asked(&image, 12, ""), [(true, vec![]), (true, vec![])]);
        assert_eq!(asked(&image, 10, ""), [(false, vec![])], "only the leader, in old versions");
        image.apply(&Record::BrokerFenced { broker: 3 });
        assert_eq!(asked(&image, 12, "r3"), [(true, vec![]), (true, vec![])]);
        assert_eq!(asked(&racks(false), 12, "r3"), [(true, vec![]), (true, vec![])]);
    }

    #[test]
    fn another_node_to_read_from_is_told_at_once() {
        let image = racks(true);
        let mut sessions = Sessions::new(10, 0, 1, 5);
        let mut w = Writer::new();
        let partitions = vec![FetchPartition::default()];
        let topics =
            vec![FetchTopic { topic_id: TopicId([7; 16]), partitions, ..Default::default() }];
        let (max_wait_ms, min_bytes) = (100, 1);
        let request = FetchRequest {
            max_wait_ms,
            min_bytes,
            max_bytes: 1_000,
            session_epoch: -1,
            rack_id: "r3",
            topics,
            ..Default::default()
        };
        request.encode(&mut w, 18).unwrap();
        let plan = plan(w.as_slice(), 18, &mut sessions, &image, LIMITS, 0).unwrap();
        let there = ReadResult { high_watermark: 9, ..ReadResult::failed(0, ErrorCode::NONE) };
        let is_ahead = ReadResult { is_ahead: true, ..there.clone() };
        assert!(!plan.is_satisfied(std::slice::from_ref(&is_ahead)), "it may come");
        let elsewhere = ReadResult { preferred: 3, ..there };
        assert!(plan.is_satisfied(std::slice::from_ref(&elsewhere)));
        let header = crate::broker::api::testing::header(ApiKey::FETCH, 18);
        let mut answer = |plan: Plan, result| {
            let response = plan.response(&header, vec![result], &mut sessions, &image, 0).unwrap();
            let mut r = Reader::new(&response.head[4..]);
            decode_response(ApiKey::FETCH, 18, &mut r).unwrap();
            let it = &FetchResponse::decode(&mut r, 18).unwrap().responses[0].partitions[0];
            (ErrorCode(it.error_code), it.preferred_read_replica, it.high_watermark)
        };
        assert_eq!(answer(plan, elsewhere), (ErrorCode::NONE, 3, 9));
        let mut sessions = Sessions::new(10, 0, 1, 5);
        let plan = super::plan(w.as_slice(), 18, &mut sessions, &image, LIMITS, 0).unwrap();
        assert_eq!(answer(plan, is_ahead), (ErrorCode::OFFSET_NOT_AVAILABLE, -1, 9));
    }

    #[test]
    fn without_memory_it_waits() {
        let request = FetchRequest {
            max_wait_ms: 100,
            min_bytes: 10,
            max_bytes: 1000,
            session_epoch: -1,
            ..FetchRequest::default()
        };
        let mut w = Writer::new();
        request.encode(&mut w, 12).unwrap();
        let mut sessions = Sessions::new(10, 0, 1, 5);
        let none = Limits { memory: 0, ..LIMITS };
        let mut plan = plan(w.as_slice(), 12, &mut sessions, &image(), none, 0).unwrap();
        let empty = ReadResult::failed(0, ErrorCode::NONE);
        assert!(plan.starved && !plan.is_satisfied(std::slice::from_ref(&empty)));
        plan.grant(5);
        assert_eq!((plan.starved, plan.min_bytes, plan.max_bytes), (false, 5, 5));
        plan.grant(1 << 30);
        assert_eq!((plan.starved, plan.min_bytes, plan.max_bytes), (false, 10, 1000));
    }
}
