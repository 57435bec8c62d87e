//! Messages between brokers as `FlatBuffers` (`schemas/peer.fbs`).

use super::error::PeerError;
use super::framing::header;
use super::generated::peer::klamm::peer as fb;
use super::message::{
    Call, ClusterMap, ClusterNode, DurableEnd, FrameOf, Hello, IsrChange, Member, Outcome,
    PeerMessage, Register, Start, StreamStart, StreamStarted, StreamStop, Watermark, Welcome,
};
use crate::types::{ErrorCode, FeatureRange, FeatureRanges, TopicId, TopicPartition};
use bytes::Bytes;
use flatbuffers::{
    FlatBufferBuilder, ForwardsUOffset, UnionWIPOffset, Vector, VerifierOptions, WIPOffset,
};

type Builder = FlatBufferBuilder<'static>;
type Body = (fb::Body, WIPOffset<UnionWIPOffset>);

fn to_id(tp: TopicPartition) -> fb::Id {
    id_of(u128::from_be_bytes(tp.topic.0))
}

fn id_of(bits: u128) -> fb::Id {
    fb::Id::new((bits >> 64) as u64, bits as u64)
}

fn bits_of(id: &fb::Id) -> u128 {
    u128::from(id.high()) << 64 | u128::from(id.low())
}

fn from_id(id: &fb::Id, partition: i32) -> Result<TopicPartition, PeerError> {
    if partition < 0 {
        return Err(PeerError::Nonsense("a partition below 0"));
    }
    Ok(TopicPartition { topic: TopicId(bits_of(id).to_be_bytes()), partition })
}

/// As it goes out: the header with the table, and the payload.
pub fn encode(message: &PeerMessage) -> (Bytes, Bytes) {
    let payload = match message {
        PeerMessage::Quorum(payload)
        | PeerMessage::Frames(_, payload)
        | PeerMessage::Ask { call: Call::ChangeMetadata { body: payload, .. }, .. }
        | PeerMessage::Answer {
            outcome: Outcome::MetadataChanged { body: Some(payload), .. },
            ..
        } => payload.clone(),
        _ => Bytes::new(),
    };
    (encode_table(message, payload.len()), payload)
}

/// The header with the table of a message whose payload has so many bytes, and comes from elsewhere.
pub fn encode_table(message: &PeerMessage, payload: usize) -> Bytes {
    let mut b = Builder::new();
    let (body_type, body) = put(&mut b, message);
    let args = fb::MessageArgs { body_type, body: Some(body) };
    let message = fb::Message::create(&mut b, &args);
    b.finish_minimal(message);
    let table = b.finished_data();
    let mut out = Vec::with_capacity(super::framing::HEADER + table.len());
    out.extend_from_slice(&header(table, payload));
    out.extend_from_slice(table);
    out.into()
}

fn put(b: &mut Builder, message: &PeerMessage) -> Body {
    match message {
        PeerMessage::Hello(it) => {
            let nonce = it.nonce.map(|it| b.create_vector(&it));
            let args = fb::HelloArgs {
                version_min: it.versions.0,
                version_max: it.versions.1,
                cluster_id: Some(b.create_string(&it.cluster_id)),
                node: it.node,
                incarnation: it.incarnation,
                shards: it.shards,
                shard: it.shard,
                to: it.to,
                nonce,
            };
            (fb::Body::Hello, fb::Hello::create(b, &args).as_union_value())
        }
        PeerMessage::Welcome(it) => {
            let Welcome { version, incarnation, shards, proof } = *it;
            let mac = proof.map(|it| b.create_vector(&it));
            let args = fb::WelcomeArgs { version, incarnation, shards, mac };
            (fb::Body::Welcome, fb::Welcome::create(b, &args).as_union_value())
        }
        PeerMessage::Refused(reason) => {
            let args = fb::RefusedArgs { reason: Some(b.create_string(reason)) };
            (fb::Body::Refused, fb::Refused::create(b, &args).as_union_value())
        }
        PeerMessage::Quorum(_) => {
            (fb::Body::Quorum, fb::Quorum::create(b, &fb::QuorumArgs {}).as_union_value())
        }
        PeerMessage::Ask { number, call } => {
            let (call_type, call) = put_call(b, call);
            let args = fb::AskArgs { number: *number, call_type, call: Some(call) };
            (fb::Body::Ask, fb::Ask::create(b, &args).as_union_value())
        }
        PeerMessage::Answer { number, outcome } => {
            let (outcome_type, outcome) = put_outcome(b, outcome);
            let args = fb::AnswerArgs { number: *number, outcome_type, outcome: Some(outcome) };
            (fb::Body::Answer, fb::Answer::create(b, &args).as_union_value())
        }
        PeerMessage::Subscribe(streams) => {
            let one = |it: &StreamStart| {
                let id = to_id(it.tp);
                let (epoch, last) = (it.leader_epoch, it.last_epoch);
                fb::StreamStart::new(&id, it.end, it.tp.partition, it.stream, epoch, last)
            };
            let all: Vec<_> = streams.iter().map(one).collect();
            let args = fb::SubscribeArgs { streams: Some(b.create_vector(&all)) };
            (fb::Body::Subscribe, fb::Subscribe::create(b, &args).as_union_value())
        }
        PeerMessage::Subscribed(streams) => {
            let all: Vec<_> = streams.iter().map(put_started).collect();
            let args = fb::SubscribedArgs { streams: Some(b.create_vector(&all)) };
            (fb::Body::Subscribed, fb::Subscribed::create(b, &args).as_union_value())
        }
        PeerMessage::Frames(frames, _) => {
            let one = |it: &FrameOf| {
                fb::FrameOf::new(it.stream, it.length, it.high_watermark, it.log_start)
            };
            let all: Vec<_> = frames.iter().map(one).collect();
            let args = fb::FramesArgs { frames: Some(b.create_vector(&all)) };
            (fb::Body::Frames, fb::Frames::create(b, &args).as_union_value())
        }
        PeerMessage::Watermarks(all) => {
            let one =
                |it: &Watermark| fb::Watermark::new(it.high_watermark, it.log_start, it.stream, 0);
            let all: Vec<_> = all.iter().map(one).collect();
            let args = fb::WatermarksArgs { watermarks: Some(b.create_vector(&all)) };
            (fb::Body::Watermarks, fb::Watermarks::create(b, &args).as_union_value())
        }
        PeerMessage::Durable(ends) => {
            let one = |it: &DurableEnd| fb::DurableEnd::new(it.end, it.stream, 0);
            let all: Vec<_> = ends.iter().map(one).collect();
            let args = fb::DurableArgs { ends: Some(b.create_vector(&all)) };
            (fb::Body::Durable, fb::Durable::create(b, &args).as_union_value())
        }
        PeerMessage::Credit(bytes) => {
            let args = fb::CreditArgs { bytes: *bytes };
            (fb::Body::Credit, fb::Credit::create(b, &args).as_union_value())
        }
        PeerMessage::Stop(streams) => {
            let one = |it: &StreamStop| fb::StreamStop::new(it.stream, it.error.0, 0);
            let all: Vec<_> = streams.iter().map(one).collect();
            let args = fb::StopArgs { streams: Some(b.create_vector(&all)) };
            (fb::Body::Stop, fb::Stop::create(b, &args).as_union_value())
        }
        PeerMessage::Challenge(nonce) => {
            let args = fb::ChallengeArgs { nonce: Some(b.create_vector(nonce)) };
            (fb::Body::Challenge, fb::Challenge::create(b, &args).as_union_value())
        }
        PeerMessage::Proof(mac) => {
            let args = fb::ProofArgs { mac: Some(b.create_vector(mac)) };
            (fb::Body::Proof, fb::Proof::create(b, &args).as_union_value())
        }
        PeerMessage::Cluster(it) => put_cluster(b, it),
    }
}

fn put_cluster(b: &mut Builder, it: &ClusterMap) -> Body {
    let mut one = |it: &ClusterNode| {
        let args = fb::ClusterNodeArgs {
            node: it.node,
            directory: Some(&id_of(it.directory)),
            host: Some(b.create_string(&it.peer.0)),
            port: it.peer.1,
            fenced: it.fenced,
        };
        fb::ClusterNode::create(b, &args)
    };
    let brokers: Vec<_> = it.brokers.iter().map(&mut one).collect();
    let args = fb::ClusterArgs {
        cluster_id: Some(b.create_string(&it.cluster_id)),
        voters: Some(b.create_vector(&it.voters)),
        brokers: Some(b.create_vector(&brokers)),
        mac: it.proof.map(|it| b.create_vector(&it)),
    };
    (fb::Body::Cluster, fb::Cluster::create(b, &args).as_union_value())
}

fn put_started(it: &StreamStarted) -> fb::StreamStarted {
    let (start, epoch, offset, high_watermark, error) = match it.start {
        Start::GoOn { high_watermark } => (fb::Start::GoOn, -1, -1, high_watermark, 0),
        Start::TruncateTo { epoch, offset } => (fb::Start::TruncateTo, epoch, offset, -1, 0),
        Start::RestartAt(offset) => (fb::Start::RestartAt, -1, offset, -1, 0),
        Start::Refused(error) => (fb::Start::Refused, -1, -1, -1, error.0),
    };
    fb::StreamStarted::new(it.stream, epoch, offset, high_watermark, error, start)
}

fn put_features(
    b: &mut Builder,
    ranges: &FeatureRanges,
) -> WIPOffset<Vector<'static, ForwardsUOffset<fb::FeatureRange<'static>>>> {
    let all: Vec<_> = ranges
        .iter()
        .map(|(name, range)| {
            let name = Some(b.create_string(name));
            let args = fb::FeatureRangeArgs { name, min: range.min, max: range.max };
            fb::FeatureRange::create(b, &args)
        })
        .collect();
    b.create_vector(&all)
}

fn put_call(b: &mut Builder, call: &Call) -> (fb::Call, WIPOffset<UnionWIPOffset>) {
    match call {
        Call::Register(it) => {
            let args = fb::RegisterArgs {
                directory: Some(&id_of(it.directory)),
                host: Some(b.create_string(&it.kafka.0)),
                port: it.kafka.1,
                peer_host: Some(b.create_string(&it.peer.0)),
                peer_port: it.peer.1,
                rack: it.rack.as_ref().map(|rack| b.create_string(rack)),
                shards: it.shards,
                features: it.features.as_ref().map(|it| put_features(b, it)),
            };
            (fb::Call::Register, fb::Register::create(b, &args).as_union_value())
        }
        Call::Heartbeat { applied, wants_shutdown, lacks_space } => {
            let args = fb::HeartbeatArgs {
                applied: *applied,
                wants_shutdown: *wants_shutdown,
                lacks_space: *lacks_space,
            };
            (fb::Call::Heartbeat, fb::Heartbeat::create(b, &args).as_union_value())
        }
        Call::AlterIsr(changes) => {
            let all: Vec<_> = changes.iter().map(|it| put_isr(b, it)).collect();
            let args = fb::AlterIsrArgs { changes: Some(b.create_vector(&all)) };
            (fb::Call::AlterIsr, fb::AlterIsr::create(b, &args).as_union_value())
        }
        Call::ChangeMetadata { api, version, .. } => {
            let args = fb::ChangeMetadataArgs { api: *api, version: *version };
            (fb::Call::ChangeMetadata, fb::ChangeMetadata::create(b, &args).as_union_value())
        }
        Call::AutoCreate(names) => {
            let names: Vec<_> = names.iter().map(|it| b.create_string(it)).collect();
            let args = fb::AutoCreateArgs { names: Some(b.create_vector(&names)) };
            (fb::Call::AutoCreate, fb::AutoCreate::create(b, &args).as_union_value())
        }
        Call::TakeProducerIds => {
            let it = fb::TakeProducerIds::create(b, &fb::TakeProducerIdsArgs {});
            (fb::Call::TakeProducerIds, it.as_union_value())
        }
    }
}

fn put_isr(b: &mut Builder, it: &IsrChange) -> WIPOffset<fb::IsrChange<'static>> {
    let isr: Vec<_> = it.isr.iter().map(|m| fb::Member::new(m.node, m.incarnation)).collect();
    let args = fb::IsrChangeArgs {
        topic: Some(&to_id(it.tp)),
        partition: it.tp.partition,
        leader_epoch: it.leader_epoch,
        partition_epoch: it.partition_epoch,
        isr: Some(b.create_vector(&isr)),
    };
    fb::IsrChange::create(b, &args)
}

fn put_outcome(b: &mut Builder, outcome: &Outcome) -> (fb::Outcome, WIPOffset<UnionWIPOffset>) {
    match outcome {
        Outcome::NotController => {
            let it = fb::NotController::create(b, &fb::NotControllerArgs {});
            (fb::Outcome::NotController, it.as_union_value())
        }
        Outcome::Standing { error, message, fenced, may_shut_down } => {
            let args = fb::StandingArgs {
                error: error.0,
                message: message.as_ref().map(|it| b.create_string(it)),
                fenced: *fenced,
                may_shut_down: *may_shut_down,
            };
            (fb::Outcome::Standing, fb::Standing::create(b, &args).as_union_value())
        }
        Outcome::IsrAltered(errors) => {
            let errors: Vec<i16> = errors.iter().map(|it| it.0).collect();
            let args = fb::IsrAlteredArgs { errors: Some(b.create_vector(&errors)) };
            (fb::Outcome::IsrAltered, fb::IsrAltered::create(b, &args).as_union_value())
        }
        Outcome::MetadataChanged { index, body } => {
            let args = fb::MetadataChangedArgs { index: *index, malformed: body.is_none() };
            (fb::Outcome::MetadataChanged, fb::MetadataChanged::create(b, &args).as_union_value())
        }
        Outcome::ProducerIds { first, count } => {
            let args = fb::ProducerIdsArgs { first: *first, count: *count };
            (fb::Outcome::ProducerIds, fb::ProducerIds::create(b, &args).as_union_value())
        }
    }
}

/// What [`encode`] wrote, without the header.
pub fn decode(table: &[u8], payload: Bytes) -> Result<PeerMessage, PeerError> {
    // The length of a table is bounded, and so is what it can hold.
    let options = VerifierOptions { max_tables: 1 << 20, ..VerifierOptions::default() };
    let message = flatbuffers::root_with_opts::<fb::Message<'_>>(&options, table)?;
    let unknown = PeerError::Unknown;
    Ok(match message.body_type() {
        fb::Body::Hello => {
            let it = message.body_as_hello().ok_or(unknown)?;
            PeerMessage::Hello(Hello {
                versions: (it.version_min(), it.version_max()),
                cluster_id: it.cluster_id().to_owned(),
                node: it.node(),
                incarnation: it.incarnation(),
                shards: it.shards(),
                shard: it.shard(),
                to: it.to(),
                nonce: it.nonce().map(|it| array(it.bytes())).transpose()?,
            })
        }
        fb::Body::Welcome => {
            let it = message.body_as_welcome().ok_or(unknown)?;
            let (version, incarnation, shards) = (it.version(), it.incarnation(), it.shards());
            let proof = it.mac().map(|it| array(it.bytes())).transpose()?;
            PeerMessage::Welcome(Welcome { version, incarnation, shards, proof })
        }
        fb::Body::Refused => {
            let it = message.body_as_refused().ok_or(unknown)?;
            PeerMessage::Refused(it.reason().to_owned())
        }
        fb::Body::Quorum => PeerMessage::Quorum(payload),
        fb::Body::Ask => {
            let it = message.body_as_ask().ok_or(unknown)?;
            PeerMessage::Ask { number: it.number(), call: get_call(&it, payload)? }
        }
        fb::Body::Answer => {
            let it = message.body_as_answer().ok_or(unknown)?;
            PeerMessage::Answer { number: it.number(), outcome: get_outcome(&it, payload)? }
        }
        fb::Body::Subscribe => {
            let it = message.body_as_subscribe().ok_or(unknown)?;
            let one = |it: &fb::StreamStart| {
                Ok(StreamStart {
                    tp: from_id(it.topic(), it.partition())?,
                    stream: it.stream(),
                    leader_epoch: it.leader_epoch(),
                    end: it.end(),
                    last_epoch: it.last_epoch(),
                })
            };
            PeerMessage::Subscribe(it.streams().iter().map(one).collect::<Result<_, PeerError>>()?)
        }
        fb::Body::Subscribed => {
            let it = message.body_as_subscribed().ok_or(unknown)?;
            let all = it.streams().iter().map(get_started).collect::<Result<_, _>>()?;
            PeerMessage::Subscribed(all)
        }
        fb::Body::Frames => get_frames(&message.body_as_frames().ok_or(unknown)?, payload)?,
        fb::Body::Watermarks => {
            let it = message.body_as_watermarks().ok_or(unknown)?;
            let one = |it: &fb::Watermark| Watermark {
                stream: it.stream(),
                high_watermark: it.high_watermark(),
                log_start: it.log_start(),
            };
            PeerMessage::Watermarks(it.watermarks().iter().map(one).collect())
        }
        fb::Body::Durable => {
            let it = message.body_as_durable().ok_or(unknown)?;
            let one = |it: &fb::DurableEnd| DurableEnd { stream: it.stream(), end: it.end() };
            PeerMessage::Durable(it.ends().iter().map(one).collect())
        }
        fb::Body::Credit => PeerMessage::Credit(message.body_as_credit().ok_or(unknown)?.bytes()),
        fb::Body::Stop => {
            let it = message.body_as_stop().ok_or(unknown)?;
            let one = |it: &fb::StreamStop| StreamStop {
                stream: it.stream(),
                error: ErrorCode(it.error()),
            };
            PeerMessage::Stop(it.streams().iter().map(one).collect())
        }
        fb::Body::Challenge => {
            let it = message.body_as_challenge().ok_or(unknown)?;
            PeerMessage::Challenge(array(it.nonce().bytes())?)
        }
        fb::Body::Proof => {
            let it = message.body_as_proof().ok_or(unknown)?;
            PeerMessage::Proof(array(it.mac().bytes())?)
        }
        fb::Body::Cluster => get_cluster(&message.body_as_cluster().ok_or(unknown)?)?,
        _ => return Err(unknown),
    })
}

fn array(bytes: &[u8]) -> Result<[u8; 32], PeerError> {
    bytes.try_into().map_err(|_| PeerError::Nonsense("a nonce or a proof of another length"))
}

fn get_cluster(it: &fb::Cluster<'_>) -> Result<PeerMessage, PeerError> {
    let one = |it: fb::ClusterNode<'_>| ClusterNode {
        node: it.node(),
        directory: bits_of(it.directory()),
        peer: (it.host().to_owned(), it.port()),
        fenced: it.fenced(),
    };
    Ok(PeerMessage::Cluster(ClusterMap {
        cluster_id: it.cluster_id().to_owned(),
        voters: it.voters().iter().collect(),
        brokers: it.brokers().iter().map(one).collect(),
        proof: it.mac().map(|it| array(it.bytes())).transpose()?,
    }))
}

fn get_frames(it: &fb::Frames<'_>, payload: Bytes) -> Result<PeerMessage, PeerError> {
    let one = |it: &fb::FrameOf| FrameOf {
        stream: it.stream(),
        length: it.length(),
        high_watermark: it.high_watermark(),
        log_start: it.log_start(),
    };
    let frames: Vec<FrameOf> = it.frames().iter().map(one).collect();
    let bytes: u64 = frames.iter().map(|it| u64::from(it.length)).sum();
    if bytes != payload.len() as u64 {
        return Err(PeerError::Nonsense("frames of another length than they say"));
    }
    Ok(PeerMessage::Frames(frames, payload))
}

fn get_started(it: &fb::StreamStarted) -> Result<StreamStarted, PeerError> {
    let start = match it.start() {
        fb::Start::GoOn => Start::GoOn { high_watermark: it.high_watermark() },
        fb::Start::TruncateTo => Start::TruncateTo { epoch: it.epoch(), offset: it.offset() },
        fb::Start::RestartAt => Start::RestartAt(it.offset()),
        fb::Start::Refused => Start::Refused(ErrorCode(it.error())),
        _ => return Err(PeerError::Unknown),
    };
    Ok(StreamStarted { stream: it.stream(), start })
}

fn get_call(ask: &fb::Ask<'_>, payload: Bytes) -> Result<Call, PeerError> {
    let unknown = PeerError::Unknown;
    Ok(match ask.call_type() {
        fb::Call::Register => {
            let it = ask.call_as_register().ok_or(unknown)?;
            Call::Register(Register {
                directory: bits_of(it.directory()),
                kafka: (it.host().to_owned(), it.port()),
                peer: (it.peer_host().to_owned(), it.peer_port()),
                rack: it.rack().map(str::to_owned),
                shards: it.shards(),
                features: it.features().map(|it| {
                    let range =
                        |it: &fb::FeatureRange<'_>| FeatureRange { min: it.min(), max: it.max() };
                    it.iter().map(|it| (it.name().to_owned(), range(&it))).collect()
                }),
            })
        }
        fb::Call::Heartbeat => {
            let it = ask.call_as_heartbeat().ok_or(unknown)?;
            Call::Heartbeat {
                applied: it.applied(),
                wants_shutdown: it.wants_shutdown(),
                lacks_space: it.lacks_space(),
            }
        }
        fb::Call::AlterIsr => {
            let it = ask.call_as_alter_isr().ok_or(unknown)?;
            let member =
                |it: &fb::Member| Member { node: it.node(), incarnation: it.incarnation() };
            let one = |it: fb::IsrChange<'_>| {
                Ok(IsrChange {
                    tp: from_id(it.topic(), it.partition())?,
                    leader_epoch: it.leader_epoch(),
                    partition_epoch: it.partition_epoch(),
                    isr: it.isr().iter().map(member).collect(),
                })
            };
            Call::AlterIsr(it.changes().iter().map(one).collect::<Result<_, PeerError>>()?)
        }
        fb::Call::ChangeMetadata => {
            let it = ask.call_as_change_metadata().ok_or(unknown)?;
            Call::ChangeMetadata { api: it.api(), version: it.version(), body: payload }
        }
        fb::Call::AutoCreate => {
            let it = ask.call_as_auto_create().ok_or(unknown)?;
            Call::AutoCreate(it.names().iter().map(str::to_owned).collect())
        }
        fb::Call::TakeProducerIds => Call::TakeProducerIds,
        _ => return Err(unknown),
    })
}

fn get_outcome(answer: &fb::Answer<'_>, payload: Bytes) -> Result<Outcome, PeerError> {
    let unknown = PeerError::Unknown;
    Ok(match answer.outcome_type() {
        fb::Outcome::NotController => Outcome::NotController,
        fb::Outcome::Standing => {
            let it = answer.outcome_as_standing().ok_or(unknown)?;
            Outcome::Standing {
                error: ErrorCode(it.error()),
                message: it.message().map(str::to_owned),
                fenced: it.fenced(),
                may_shut_down: it.may_shut_down(),
            }
        }
        fb::Outcome::IsrAltered => {
            let it = answer.outcome_as_isr_altered().ok_or(unknown)?;
            Outcome::IsrAltered(it.errors().iter().map(ErrorCode).collect())
        }
        fb::Outcome::MetadataChanged => {
            let it = answer.outcome_as_metadata_changed().ok_or(unknown)?;
            let body = (!it.malformed()).then_some(payload);
            Outcome::MetadataChanged { index: it.index(), body }
        }
        fb::Outcome::ProducerIds => {
            let it = answer.outcome_as_producer_ids().ok_or(unknown)?;
            Outcome::ProducerIds { first: it.first(), count: it.count() }
        }
        _ => return Err(unknown),
    })
}
