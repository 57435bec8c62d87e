//! Produce: what is asked for, what may be appended where, and the answer.

use super::Response;
use super::data::{AppendRequest, Appended, InTransaction};
use super::endpoints::endpoints;
use super::{decode, decode_in_parts};
use crate::controller::{self, Image};
use crate::types::topic_name::is_internal;
use crate::types::{ErrorCode, TopicId, TopicPartition};
use crate::wire::header::RequestHeader;
use crate::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use crate::wire::kafka::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    ProduceResponse, TopicProduceResponse,
};
use crate::wire::records::{
    Accepted, AtOnce, BatchHeader, Checked, Compression, Limits, RECORDS_LISTED_MAX, Refusal, Rest,
    Rewrite, set_max_timestamp, validate_at_once,
};
use crate::wire::{Reader, WireError};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// A topic of the answer.
#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    id: TopicId,
    /// How many entries of [`Plan::outcomes`] are its.
    partitions: usize,
}

/// How it went with one partition.
#[derive(Debug)]
struct Outcome {
    partition: i32,
    result: Appended,
    /// Why its batch is refused, where more is to be said than the error code.
    refusal: Option<Box<Refusal>>,
}

/// A Produce request that is under way.
#[derive(Debug, Default)]
pub struct Plan {
    acks: i16,
    timeout_ms: i32,
    topics: Vec<Topic>,
    outcomes: Vec<Outcome>,
    /// Records that are listed in refusals.
    listed: usize,
}

/// What a broker's settings and the clock say.
#[derive(Clone, Copy, Debug)]
pub struct ProduceSettings {
    /// The time, ms.
    pub now_ms: i64,
    /// Walk compressed batches too.
    pub strict: bool,
    /// How much of all batches of a request together is checked in one go.
    pub at_once: AtOnce,
}

/// What a request asks to be appended.
#[derive(Debug, Default)]
pub struct Batches {
    /// Batches that may be appended.
    pub appends: Vec<AppendRequest>,
    /// Batches that are large, decompress to much, or are to be compressed anew: whether they may be appended is to
    /// be found out.
    pub unchecked: Vec<Unchecked>,
    /// Bytes that were checked, as they came.
    pub checked: usize,
    /// Bytes that were decompressed, or what cost as much.
    pub decompressed: usize,
    /// Those of `appends`, by their place there, that are not part of the request: they were compressed anew.
    pub recompressed: Vec<usize>,
}

/// A batch that a [`LargeBatch`](crate::wire::records::LargeBatch) is to validate.
#[derive(Debug)]
pub struct Unchecked {
    index: u32,
    tp: TopicPartition,
    transaction: Option<Arc<InTransaction>>,
    /// The batch.
    pub batch: Bytes,
    /// What it is validated by.
    pub limits: Limits,
    /// What is still to be checked.
    pub rest: Rest,
}

impl Unchecked {
    /// Whether it may have to be decompressed.
    pub fn is_compressed(&self) -> bool {
        let compression = BatchHeader::parse(&self.batch).and_then(|it| it.compression());
        compression != Ok(Compression::None)
    }

    /// Whether its topic has another codec: it is compressed anew.
    pub fn is_recompressed(&self) -> bool {
        BatchHeader::parse(&self.batch).is_ok_and(|it| self.limits.other_codec(&it).is_some())
    }

    /// Where it stands in the request.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// It may be appended, or what is in its place: `keep` takes care of that and of its memory.
    pub fn accept(self, accepted: Accepted, keep: impl FnOnce(Vec<u8>) -> Bytes) -> AppendRequest {
        append(self.index, self.tp, self.batch, accepted, self.transaction, keep)
    }
}

#[inline]
fn append(
    index: u32,
    tp: TopicPartition,
    batch: Bytes,
    accepted: Accepted,
    transaction: Option<Arc<InTransaction>>,
    keep: impl FnOnce(Vec<u8>) -> Bytes,
) -> AppendRequest {
    let header = *accepted.header();
    let batch = match accepted {
        Accepted::AsItCame(it) if it.rewrite == Rewrite::MaxTimestamp => {
            with_max_timestamp(batch, header.max_timestamp)
        }
        Accepted::AsItCame(_) => batch,
        Accepted::Recompressed(it) => keep(it.batch),
    };
    let transaction = transaction.filter(|_| header.is_transactional());
    AppendRequest { index, tp, batch, header, transaction, own_epoch: false, markers: None }
}

/// Rare enough for a copy: no current client leaves the field out.
#[cold]
fn with_max_timestamp(batch: Bytes, max_timestamp: i64) -> Bytes {
    let mut copy = BytesMut::from(batch);
    set_max_timestamp(&mut copy, max_timestamp);
    copy.freeze()
}

/// Whether a request is so long that it may name more than so many topics and partitions, and does.
pub fn names_more_than(entries: usize, body: &[u8], version: i16) -> bool {
    body.len() / TopicProduceData::MIN_BYTES > entries
        && count_entries(body, version, entries).is_ok_and(|it| it > entries)
}

/// Counts topics and partitions until there are more than `enough`. What a large request usually is costs
/// little: the partitions of the last topic are not gone through.
fn count_entries(body: &[u8], version: i16, enough: usize) -> Result<usize, WireError> {
    let flexible = version >= 9;
    let mut r = Reader::new(body);
    r.nullable_string(flexible)?;
    let (_acks, _timeout_ms) = (r.i16()?, r.i32()?);
    let topics = r.array_len(flexible, TopicProduceData::MIN_BYTES)?.unwrap_or(0);
    let mut count = topics;
    for left in (0..topics).rev() {
        if version >= 13 {
            r.uuid()?;
        } else {
            r.string(flexible)?;
        }
        let partitions = r.array_len(flexible, PartitionProduceData::MIN_BYTES)?.unwrap_or(0);
        count += partitions;
        if count > enough || left == 0 {
            break;
        }
        for _ in 0..partitions {
            r.i32()?;
            r.nullable_bytes(flexible)?;
            if flexible {
                r.skip_tagged_fields()?;
            }
        }
        if flexible {
            r.skip_tagged_fields()?;
        }
    }
    Ok(count)
}

/// Reads a request and validates its batches, as far as that can be done in one go. `body` is what
/// follows the header; the batches are slices of it.
pub fn plan(
    body: &Bytes,
    version: i16,
    image: &Image,
    settings: ProduceSettings,
) -> Result<(Plan, Batches), WireError> {
    let request = decode(body, |r| ProduceRequest::decode(r, version))?;
    let mut planner = Planner::new(body, version, &request, image, settings);
    for data in &request.topic_data {
        let topic = planner.topic(data);
        planner.reserve(data.partition_data.len());
        for part in &data.partition_data {
            planner.partition(topic, part);
        }
    }
    let left = planner.at_once;
    let (plan, mut batches) = (planner.plan, planner.batches);
    batches.checked = settings.at_once.bytes - left.bytes;
    batches.decompressed = settings.at_once.decompressed - left.decompressed;
    Ok((plan, batches))
}

/// The same for one of very many topics or partitions: pauses after each one, and tells how much of its batch
/// was checked. What may be checked in one go is for each of them.
pub async fn plan_in_parts(
    body: &Bytes,
    version: i16,
    image: &Image,
    settings: ProduceSettings,
    pause: &impl AsyncFn(AtOnce),
) -> Result<(Plan, Batches), WireError> {
    let nothing = AtOnce { bytes: 0, decompressed: 0, recompressed: 0 };
    let read = &async || pause(nothing).await;
    let request =
        decode_in_parts(body, async |r| ProduceRequest::decode_in_parts(r, version, read).await)
            .await?;
    let mut planner = Planner::new(body, version, &request, image, settings);
    for data in &request.topic_data {
        let topic = planner.topic(data);
        pause(nothing).await;
        for part in &data.partition_data {
            planner.at_once = settings.at_once;
            planner.partition(topic, part);
            let left = planner.at_once;
            pause(AtOnce {
                bytes: settings.at_once.bytes - left.bytes,
                decompressed: settings.at_once.decompressed - left.decompressed,
                recompressed: settings.at_once.recompressed - left.recompressed,
            })
            .await;
        }
    }
    Ok((planner.plan, planner.batches))
}

/// A request on its way to a plan.
struct Planner<'a> {
    body: &'a Bytes,
    version: i16,
    image: &'a Image,
    settings: ProduceSettings,
    /// How much may still be checked in this go.
    at_once: AtOnce,
    plan: Plan,
    batches: Batches,
    /// The transaction that its batches may be part of.
    transaction: Option<Arc<InTransaction>>,
}

impl<'a> Planner<'a> {
    fn new(
        body: &'a Bytes,
        version: i16,
        request: &ProduceRequest<'_>,
        image: &'a Image,
        settings: ProduceSettings,
    ) -> Self {
        let (acks, timeout_ms) = (request.acks, request.timeout_ms);
        let plan = Plan { acks, timeout_ms, ..Plan::default() };
        let (at_once, batches) = (settings.at_once, Batches::default());
        let id = request.transactional_id.filter(|it| !it.is_empty());
        let transaction = id.map(|id| Arc::new(InTransaction { id: id.into(), version }));
        Self { body, version, image, settings, at_once, plan, batches, transaction }
    }

    /// The next topic, whose partitions follow; `None` where it is not known.
    fn topic(&mut self, data: &TopicProduceData<'_>) -> Option<&'a Arc<controller::Topic>> {
        let topic = if self.version >= 13 {
            self.image.topic_by_id(data.topic_id)
        } else {
            self.image.topic(data.name)
        };
        self.plan.topics.push(Topic {
            name: topic.map_or_else(|| data.name.into(), |it| it.name.clone()),
            id: topic.map_or(data.topic_id, |it| it.id),
            partitions: data.partition_data.len(),
        });
        topic
    }

    /// So many partitions follow, most of which are to be appended to.
    fn reserve(&mut self, partitions: usize) {
        self.plan.outcomes.reserve(partitions);
        self.batches.appends.reserve(partitions);
    }

    /// The next partition of the topic.
    #[inline]
    fn partition(
        &mut self,
        topic: Option<&Arc<controller::Topic>>,
        part: &PartitionProduceData<'_>,
    ) {
        let Self { body, version, image, settings, .. } = *self;
        let acks = self.plan.acks;
        let index = self.plan.outcomes.len() as u32;
        let mut refusal = None;
        let error = 'found: {
            if !matches!(acks, -1..=1) {
                break 'found ErrorCode::INVALID_REQUIRED_ACKS;
            }
            let Some(topic) = topic else {
                let by_id = version >= 13;
                let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                break 'found if by_id { ErrorCode::UNKNOWN_TOPIC_ID } else { unknown };
            };
            let Some(state) = topic.partition(part.index) else {
                break 'found ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            };
            if is_internal(&topic.name) {
                let text = format!("Cannot append to internal topic {}", topic.name);
                let error = ErrorCode::INVALID_TOPIC_EXCEPTION;
                refusal = Some(Refusal::new(error, text));
                break 'found error;
            }
            if state.leader != image.node_id {
                break 'found ErrorCode::NOT_LEADER_OR_FOLLOWER;
            }
            if acks == -1 && state.isr.len() < min_isr(topic, state) {
                break 'found ErrorCode::NOT_ENOUGH_REPLICAS;
            }
            let batch = part.records.unwrap_or_default();
            let mut limits = Limits::new(&topic.config, version, settings.now_ms);
            limits.strict = settings.strict;
            let tp = TopicPartition { topic: topic.id, partition: part.index };
            let transaction = self.transaction.clone();
            match validate_at_once(batch, &limits, &mut self.at_once) {
                Ok(Checked::Valid(accepted)) => {
                    if accepted.header().is_transactional() && transaction.is_none() {
                        break 'found ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
                    }
                    let batch = body.slice_ref(batch);
                    let Batches { appends, recompressed, .. } = &mut self.batches;
                    let at = appends.len();
                    let keep = |batch: Vec<u8>| {
                        recompressed.push(at);
                        batch.into()
                    };
                    appends.push(append(index, tp, batch, accepted, transaction, keep));
                }
                Ok(Checked::UpTo(rest)) => {
                    let is_part = |it: BatchHeader| it.is_transactional();
                    if transaction.is_none() && BatchHeader::parse(batch).is_ok_and(is_part) {
                        break 'found ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
                    }
                    let batch = body.slice_ref(batch);
                    let it = Unchecked { index, tp, transaction, batch, limits, rest };
                    self.batches.unchecked.push(it);
                }
                Err(found) => {
                    let error = found.error;
                    refusal = Some(found);
                    break 'found error;
                }
            }
            ErrorCode::NONE
        };
        let result = Appended::failed(index, error);
        let refusal = refusal.map(|it| Box::new(self.plan.told(it)));
        self.plan.outcomes.push(Outcome { partition: part.index, result, refusal });
    }
}

/// Replicas that must be in sync for `acks=all`: `min.insync.replicas`, or all where there are fewer
/// (`Partition.effectiveMinIsr` of Kafka 4.3).
fn min_isr(topic: &controller::Topic, state: &controller::Partition) -> usize {
    state.min_in_sync(usize::try_from(topic.config.min_insync_replicas).unwrap_or(0))
}

impl Plan {
    /// Its batches are to be committed within this time, ms (`acks=all`); `None` where the leader's own disk is
    /// enough.
    pub fn commit_within_ms(&self) -> Option<i64> {
        (self.acks == -1).then_some(i64::from(self.timeout_ms.max(0)))
    }

    /// The client waits for an answer.
    pub fn wants_answer(&self) -> bool {
        self.acks != 0
    }

    /// Enters that a batch was found to be one that may not be appended.
    pub fn refuse(&mut self, batch: &Unchecked, refusal: Refusal) {
        let result = Appended::failed(batch.index, refusal.error);
        let refusal = Some(Box::new(self.told(refusal)));
        let outcome = &mut self.outcomes[batch.index as usize];
        (outcome.result, outcome.refusal) = (result, refusal);
    }

    /// A refusal as the client is told of it: all refusals of a request list no more records than one may.
    #[cold]
    fn told(&mut self, mut refusal: Refusal) -> Refusal {
        refusal.records.truncate(RECORDS_LISTED_MAX - self.listed);
        self.listed += refusal.records.len();
        refusal
    }

    /// Enters what the owner of a partition said.
    pub fn enter(&mut self, result: Appended) {
        let outcome = &mut self.outcomes[result.index as usize];
        outcome.result = result;
    }

    /// The first error of all, for a client that does not wait for an answer: its connection is
    /// closed, as Kafka does, which is the only way to tell it.
    pub fn error(&self) -> Option<ErrorCode> {
        self.outcomes.iter().map(|it| it.result.error).find(|error| error.is_err())
    }

    /// How many topics and partitions it names.
    pub fn entries(&self) -> usize {
        self.topics.len() + self.outcomes.len()
    }

    /// The answer.
    pub fn response(
        &self,
        header: &RequestHeader<'_>,
        image: &Image,
    ) -> Result<Response, WireError> {
        let version = header.version;
        let mut rest = &self.outcomes[..];
        let mut moved = false;
        let mut responses = Vec::with_capacity(self.topics.len());
        for topic in &self.topics {
            let (mine, others) = rest.split_at(topic.partitions);
            rest = others;
            let partitions = mine.iter().map(|it| topic.answer(it, version, image, &mut moved));
            responses.push(topic.response(version, partitions.collect()));
        }
        let body = answer(responses, moved, image);
        Response::new(header, |w| body.encode(w, version))
    }

    /// The same; pauses after each topic and each partition.
    pub async fn response_in_parts(
        &self,
        header: &RequestHeader<'_>,
        image: &Image,
        pause: &impl AsyncFn(),
    ) -> Result<Response, WireError> {
        let version = header.version;
        let mut rest = &self.outcomes[..];
        let mut moved = false;
        let mut responses = Vec::with_capacity(self.topics.len());
        for topic in &self.topics {
            let (mine, others) = rest.split_at(topic.partitions);
            rest = others;
            let mut partitions = Vec::with_capacity(mine.len());
            for it in mine {
                partitions.push(topic.answer(it, version, image, &mut moved));
                pause().await;
            }
            responses.push(topic.response(version, partitions));
            pause().await;
        }
        let body = answer(responses, moved, image);
        Response::in_parts(header, async |w| body.encode_in_parts(w, version, pause).await).await
    }
}

impl Topic {
    /// What the client is told of a partition; `moved` where that is that it has another leader.
    #[inline]
    fn answer<'a>(
        &self,
        it: &'a Outcome,
        version: i16,
        image: &Image,
        moved: &mut bool,
    ) -> PartitionProduceResponse<'a> {
        let result = &it.result;
        let mut leader = LeaderIdAndEpoch::default();
        if version >= 10 && result.error == ErrorCode::NOT_LEADER_OR_FOLLOWER {
            let known = image.topic_by_id(self.id);
            if let Some(at) = known.and_then(|t| t.partitions.get(it.partition as usize)) {
                leader.leader_id = at.leader;
                leader.leader_epoch = at.leader_epoch;
                *moved = true;
            }
        }
        let refusal = it.refusal.as_deref();
        PartitionProduceResponse {
            index: it.partition,
            error_code: result.error.0,
            base_offset: result.base_offset,
            log_append_time_ms: result.log_append_time_ms,
            log_start_offset: result.log_start_offset,
            record_errors: refusal.map_or_else(Vec::new, record_errors),
            error_message: refusal.map(|it| it.message.as_str()),
            current_leader: leader,
        }
    }

    fn response<'a>(
        &'a self,
        version: i16,
        partition_responses: Vec<PartitionProduceResponse<'a>>,
    ) -> TopicProduceResponse<'a> {
        TopicProduceResponse {
            name: if version <= 12 { &self.name } else { "" },
            topic_id: if version >= 13 { self.id } else { TopicId::ZERO },
            partition_responses,
        }
    }
}

/// The records that a batch was refused for (KIP-467).
#[cold]
fn record_errors(refusal: &Refusal) -> Vec<BatchIndexAndErrorMessage<'_>> {
    let told = refusal.records.iter().map(|it| BatchIndexAndErrorMessage {
        batch_index: it.index,
        batch_index_error_message: Some(&it.message),
    });
    told.collect()
}

fn answer<'a>(
    responses: Vec<TopicProduceResponse<'a>>,
    moved: bool,
    image: &'a Image,
) -> ProduceResponse<'a> {
    let node_endpoints = endpoints(image, moved).map(|it| NodeEndpoint {
        node_id: it.id,
        host: &it.host,
        port: it.port.into(),
        rack: it.rack.as_deref(),
    });
    let node_endpoints = node_endpoints.collect();
    ProduceResponse { responses, throttle_time_ms: 0, node_endpoints }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Writer;
    use crate::wire::api_keys::ApiKey;
    use futures_lite::future::block_on;

    fn image() -> Image {
        let mut image = Image::new("c", 1, Arc::default());
        let replicas: Arc<[i32]> = [1].into();
        image.apply(&crate::controller::Record::TopicCreated {
            id: TopicId([7; 16]),
            name: "t".into(),
            partitions: vec![crate::controller::NewPartition::new(replicas)],
            settings: Vec::new(),
        });
        image
    }

    #[test]
    fn who_asks_in_vain_is_told_where_brokers_are() {
        let mut image = crate::broker::api::testing::image();
        image.apply(&crate::controller::Record::BrokerStarted {
            broker: 1,
            host: "host".into(),
            port: 9092,
            rack: Some("rack".into()),
        });
        let told = answer(Vec::new(), true, &image).node_endpoints;
        let told: Vec<_> = told.iter().map(|it| (it.node_id, it.host, it.port, it.rack)).collect();
        let all = image.brokers();
        let all: Vec<_> =
            all.map(|it| (it.id, &*it.host, i32::from(it.port), it.rack.as_deref())).collect();
        assert_eq!((told, all[0].3), (all.clone(), Some("rack")));
        assert!(answer(Vec::new(), false, &image).node_endpoints.is_empty());
    }

    fn request(version: i16, acks: i16, topics: Vec<TopicProduceData<'_>>) -> Bytes {
        let request =
            ProduceRequest { transactional_id: None, acks, timeout_ms: 1000, topic_data: topics };
        let mut w = Writer::new();
        request.encode(&mut w, version).unwrap();
        w.into_vec().into()
    }

    fn topic(name: &str, index: i32) -> TopicProduceData<'_> {
        let partition_data = vec![PartitionProduceData { index, records: None }];
        TopicProduceData { name, topic_id: TopicId::ZERO, partition_data }
    }

    fn errors(body: &Bytes, version: i16) -> Vec<i16> {
        let settings = ProduceSettings { now_ms: 5, strict: false, at_once: AtOnce::ALL };
        let image = image();
        let (plan, batches) = plan(body, version, &image, settings).unwrap();
        assert!(batches.appends.is_empty() && batches.unchecked.is_empty());
        let header =
            RequestHeader { api_key: ApiKey::PRODUCE, version, correlation_id: 3, client_id: None };
        let response = plan.response(&header, &image).unwrap();
        let pause = async |_: AtOnce| {};
        let in_parts = block_on(plan_in_parts(body, version, &image, settings, &pause));
        let (in_parts, _) = in_parts.unwrap();
        let in_parts = block_on(in_parts.response_in_parts(&header, &image, &async || {}));
        assert_eq!(in_parts.unwrap().head, response.head);
        let mut r = Reader::new(&response.head[4..]);
        assert_eq!(
            crate::wire::header::decode_response(ApiKey::PRODUCE, version, &mut r).unwrap(),
            3
        );
        let body = ProduceResponse::decode(&mut r, version).unwrap();
        body.responses
            .iter()
            .flat_map(|t| t.partition_responses.iter().map(|p| p.error_code))
            .collect()
    }

    #[test]
    fn what_coordinators_keep_is_theirs() {
        let mut image = image();
        let replicas: Arc<[i32]> = [1].into();
        image.apply(&crate::controller::Record::TopicCreated {
            id: TopicId([8; 16]),
            name: "__consumer_offsets".into(),
            partitions: vec![crate::controller::NewPartition::new(replicas)],
            settings: Vec::new(),
        });
        let settings = ProduceSettings { now_ms: 5, strict: false, at_once: AtOnce::ALL };
        let body = request(9, -1, vec![topic("__consumer_offsets", 0)]);
        let (plan, batches) = plan(&body, 9, &image, settings).unwrap();
        assert!(batches.appends.is_empty() && batches.unchecked.is_empty());
        assert_eq!(plan.error(), Some(ErrorCode::INVALID_TOPIC_EXCEPTION));
    }

    #[test]
    fn a_compacted_topic_takes_no_record_without_a_key() {
        let mut image = image();
        let policy = ("cleanup.policy".into(), Some("compact".into()));
        let id = TopicId([7; 16]);
        let plain = image.clone();
        image.apply(&crate::controller::Record::TopicConfigSet { id, settings: vec![policy] });
        for compression in Compression::ALL {
            for (keys, taken) in [([true, true], true), ([true, false], false)] {
                let mut builder = crate::wire::records::BatchBuilder::new(compression);
                for has_key in keys {
                    builder.push(5, has_key.then_some(b"k"), Some(b"v"), &[]);
                }
                let batch = builder.build();
                let mut asked = topic("t", 0);
                asked.partition_data[0].records = Some(&batch);
                let body = request(9, -1, vec![asked]);
                let settings = ProduceSettings { now_ms: 5, strict: false, at_once: AtOnce::ALL };
                let (plan_of_it, batches) = plan(&body, 9, &image, settings).unwrap();
                assert_eq!(batches.appends.len(), usize::from(taken));
                let error = (!taken).then_some(ErrorCode::INVALID_RECORD);
                assert_eq!(plan_of_it.error(), error, "{}", compression.name());
                let (_, batches) = plan(&body, 9, &plain, settings).unwrap();
                assert_eq!(batches.appends.len(), 1, "any other topic does");
            }
        }
    }

    #[test]
    fn records_that_a_batch_is_refused_for_are_told() {
        let mut image = image();
        let policy = ("cleanup.policy".into(), Some("compact".into()));
        let id = TopicId([7; 16]);
        image.apply(&crate::controller::Record::TopicConfigSet { id, settings: vec![policy] });
        let batch = |keys: &[bool]| {
            let mut builder = crate::wire::records::BatchBuilder::new(Compression::None);
            for it in keys {
                builder.push(5, it.then_some(b"k"), Some(b"v"), &[]);
            }
            builder.build()
        };
        let (some, many) = (batch(&[true, false, true, false]), batch(&[false; 700]));
        let settings = ProduceSettings { now_ms: 5, strict: false, at_once: AtOnce::ALL };
        let listed = |batches: &[&[u8]], version: i16| -> Vec<Vec<i32>> {
            let mut partition_data = Vec::new();
            for it in batches {
                partition_data.push(PartitionProduceData { index: 0, records: Some(it) });
            }
            let body =
                request(version, -1, vec![TopicProduceData { partition_data, ..topic("t", 0) }]);
            let (plan, _) = plan(&body, version, &image, settings).unwrap();
            let (api_key, correlation_id) = (ApiKey::PRODUCE, 3);
            let header = RequestHeader { api_key, version, correlation_id, client_id: None };
            let response = plan.response(&header, &image).unwrap();
            let mut r = Reader::new(&response.head[4..]);
            crate::wire::header::decode_response(ApiKey::PRODUCE, version, &mut r).unwrap();
            let response = ProduceResponse::decode(&mut r, version).unwrap();
            let partitions = &response.responses[0].partition_responses;
            for record in partitions.iter().flat_map(|it| &it.record_errors) {
                let start = format!("Record {} has no key", record.batch_index);
                assert!(record.batch_index_error_message.unwrap().starts_with(&start));
            }
            let indexes = |it: &PartitionProduceResponse<'_>| -> Vec<i32> {
                assert_eq!(it.error_code, ErrorCode::INVALID_RECORD.0);
                it.record_errors.iter().map(|it| it.batch_index).collect()
            };
            partitions.iter().map(indexes).collect()
        };
        assert_eq!(listed(&[&some], 7), [[0; 0]], "no place for them");
        for version in 8..=12 {
            assert_eq!(listed(&[&some], version), [[1, 3]]);
        }
        let told: Vec<usize> = listed(&[&many, &many, &some], 9).iter().map(Vec::len).collect();
        assert_eq!(told, [700, RECORDS_LISTED_MAX - 700, 0], "so many in all");
    }

    #[test]
    fn no_more_replicas_are_wanted_in_sync_than_there_are() {
        let mut image = image();
        let setting = ("min.insync.replicas".into(), Some("3".into()));
        let id = TopicId([7; 16]);
        image.apply(&crate::controller::Record::TopicConfigSet { id, settings: vec![setting] });
        assert_eq!(image.topic("t").unwrap().config.min_insync_replicas, 3);
        // Not `NOT_ENOUGH_REPLICAS`: the only replica is in sync.
        assert_eq!(errors(&request(9, -1, vec![topic("t", 0)]), 9), [ErrorCode::INVALID_RECORD.0]);
    }

    #[test]
    fn topics_and_partitions_are_counted_as_far_as_need_be() {
        for version in 3..=13 {
            let topics = || {
                ["a", "b"].map(|name| {
                    let name = if version < 13 { name } else { "" };
                    let first = topic(name, 0);
                    let records = Some(&[7; 40][..]);
                    let mut partition_data = vec![PartitionProduceData { index: 1, records }; 3];
                    partition_data.extend(first.partition_data.clone());
                    TopicProduceData { partition_data, ..first }
                })
            };
            let body = request(version, -1, topics().into());
            for enough in 0..10 {
                assert!(names_more_than(enough, &body, version), "{enough}, version {version}");
            }
            assert!(!names_more_than(10, &body, version), "version {version}");
            // What cannot be read is refused by whoever reads it.
            for cut in 0..body.len() {
                names_more_than(10, &body[..cut], version);
            }
            let nothing = TopicProduceData::default();
            let body = request(version, -1, vec![nothing; 9]);
            assert!(names_more_than(8, &body, version) && !names_more_than(9, &body, version));
        }
    }

    #[test]
    fn each_partition_has_its_own_error() {
        let topics = vec![topic("t", 0), topic("t", 1), topic("u", 0)];
        let body = request(9, -1, topics);
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
        assert_eq!(errors(&body, 9), [ErrorCode::INVALID_RECORD.0, unknown, unknown]);
        let body = request(9, 2, vec![topic("t", 0)]);
        assert_eq!(errors(&body, 9), [ErrorCode::INVALID_REQUIRED_ACKS.0]);
        let mut by_id = topic("", 0);
        by_id.topic_id = TopicId([8; 16]);
        let body = request(13, 1, vec![by_id]);
        assert_eq!(errors(&body, 13), [ErrorCode::UNKNOWN_TOPIC_ID.0]);
    }
}
