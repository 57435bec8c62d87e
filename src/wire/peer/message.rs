//! Messages between brokers as values. `schemas/peer.fbs` says what each is for.

use crate::types::{ErrorCode, FeatureRanges, TopicPartition};
use bytes::Bytes;

/// Bytes of a nonce.
pub const NONCE: usize = 32;
/// Bytes that are never said twice.
pub type Nonce = [u8; NONCE];
/// What proves that somebody knows the secret.
pub type Proof = [u8; 32];

/// The first message of who dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The first version of the protocol that it knows, and the last.
    pub versions: (u16, u16),
    /// Its cluster.
    pub cluster_id: String,
    /// Its node id.
    pub node: i32,
    /// A number of its own for each start.
    pub incarnation: u64,
    /// How many shards it has.
    pub shards: u16,
    /// The one that dials.
    pub shard: u16,
    /// The node that it means; [`Hello::ANYBODY`] of who wants to join.
    pub to: i32,
    /// Of who has a secret.
    pub nonce: Option<Nonce>,
}

impl Hello {
    /// Whoever it is: of who does not know the cluster yet, and is told [`PeerMessage::Cluster`].
    pub const ANYBODY: i32 = -1;
}

/// The answer of who takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version of the protocol that both use.
    pub version: u16,
    /// As in [`Hello`].
    pub incarnation: u64,
    /// As in [`Hello`].
    pub shards: u16,
    /// It knows the secret, where there is one.
    pub proof: Option<Proof>,
}

/// One broker, for who joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// Node id.
    pub node: i32,
    /// The id of its data directory.
    pub directory: u128,
    /// Host and port that brokers connect to; port 0 where that is not known.
    pub peer: (String, u16),
    /// It was not heard lately.
    pub fenced: bool,
}

/// What who joins is told of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterMap {
    /// Its id.
    pub cluster_id: String,
    /// Nodes that vote.
    pub voters: Vec<i32>,
    /// Brokers that have registered, and voters whose address is known.
    pub brokers: Vec<ClusterNode>,
    /// Whoever says it knows the secret, where there is one.
    pub proof: Option<Proof>,
}

/// A broker registers with the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// The id of its data directory.
    pub directory: u128,
    /// Host and port that clients connect to.
    pub kafka: (String, u16),
    /// Host and port that brokers connect to.
    pub peer: (String, u16),
    /// Its rack, if it has one.
    pub rack: Option<String>,
    /// How many shards it has.
    pub shards: u16,
    /// The levels of features that it supports; `None` where it says nothing of them.
    pub features: Option<FeatureRanges>,
}

/// One life of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Node id.
    pub node: i32,
    /// Its incarnation.
    pub incarnation: u64,
}

/// A leader proposes who is in sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrChange {
    /// Of which partition.
    pub tp: TopicPartition,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// The epoch of the partition that it builds on.
    pub partition_epoch: i32,
    /// Who is in sync.
    pub isr: Vec<Member>,
}

/// What the controller is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// To register who asks.
    Register(Register),
    /// Who asks is there.
    Heartbeat {
        /// It has applied the metadata up to this entry.
        applied: u64,
        /// It wants to shut down.
        wants_shutdown: bool,
        /// Its disk has no space.
        lacks_space: bool,
    },
    /// To change who is in sync.
    AlterIsr(Vec<IsrChange>),
    /// To change metadata as a client asks.
    ChangeMetadata {
        /// The key of the API.
        api: i16,
        /// Its version.
        version: i16,
        /// The body of the request.
        body: Bytes,
    },
    /// To create topics with the defaults.
    AutoCreate(Vec<String>),
    /// For producer ids that nobody else gets.
    TakeProducerIds,
}

/// What the controller answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Who was asked does not lead the quorum.
    NotController,
    /// To [`Call::Register`] and [`Call::Heartbeat`].
    Standing {
        /// Kafka's code.
        error: ErrorCode,
        /// Words for it, if there are any.
        message: Option<String>,
        /// Who asks is fenced.
        fenced: bool,
        /// Nothing is left that keeps it.
        may_shut_down: bool,
    },
    /// To [`Call::AlterIsr`]: by change.
    IsrAltered(Vec<ErrorCode>),
    /// To [`Call::ChangeMetadata`] and [`Call::AutoCreate`].
    MetadataChanged {
        /// The metadata have it from this entry on.
        index: u64,
        /// The body of the response; `None` where the request cannot be read.
        body: Option<Bytes>,
    },
    /// To [`Call::TakeProducerIds`].
    ProducerIds {
        /// The first.
        first: i64,
        /// How many.
        count: i32,
    },
}

/// What a follower has of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStart {
    /// Which partition.
    pub tp: TopicPartition,
    /// The name of the stream on this connection, of the follower's choice.
    pub stream: u32,
    /// The epoch of the leader that it means.
    pub leader_epoch: i32,
    /// The offset that it wants next.
    pub end: i64,
    /// The epoch of its last record; -1 for none.
    pub last_epoch: i32,
}

/// How a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Frames follow.
    GoOn {
        /// The leader's watermark.
        high_watermark: i64,
    },
    /// The follower has what the leader has not.
    TruncateTo {
        /// An epoch that both know.
        epoch: i32,
        /// Where it ends at the leader.
        offset: i64,
    },
    /// The leader's log begins here.
    RestartAt(i64),
    /// It does not begin.
    Refused(ErrorCode),
}

/// The leader's answer to one [`StreamStart`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStarted {
    /// Which stream.
    pub stream: u32,
    /// How.
    pub start: Start,
}

/// One frame among those of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameOf {
    /// Which stream.
    pub stream: u32,
    /// Bytes of the frame.
    pub length: u32,
    /// The leader's watermark.
    pub high_watermark: i64,
    /// The leader's log start.
    pub log_start: i64,
}

/// Where a partition may be read, at the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Which stream.
    pub stream: u32,
    /// Up to here.
    pub high_watermark: i64,
    /// From here.
    pub log_start: i64,
}

/// How far a follower is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurableEnd {
    /// Which stream.
    pub stream: u32,
    /// Everything below.
    pub end: i64,
}

/// A stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStop {
    /// Which.
    pub stream: u32,
    /// Why; `NONE` from a follower that does not follow any more.
    pub error: ErrorCode,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerMessage {
    /// The first of who dials.
    Hello(Hello),
    /// The first of who was dialled.
    Welcome(Welcome),
    /// Or this, and the connection ends.
    Refused(String),
    /// Of the metadata quorum.
    Quorum(Bytes),
    /// To the controller.
    Ask {
        /// Comes back with the answer.
        number: u64,
        /// What.
        call: Call,
    },
    /// Of the controller.
    Answer {
        /// Of the question.
        number: u64,
        /// What.
        outcome: Outcome,
    },
    /// A follower wants these.
    Subscribe(Vec<StreamStart>),
    /// A leader answers to some.
    Subscribed(Vec<StreamStarted>),
    /// Frames, whose bytes are back to back.
    Frames(Vec<FrameOf>, Bytes),
    /// Where followers may read.
    Watermarks(Vec<Watermark>),
    /// How far a follower is durable.
    Durable(Vec<DurableEnd>),
    /// So many bytes of frames more may be sent.
    Credit(u64),
    /// Streams end.
    Stop(Vec<StreamStop>),
    /// Whoever was dialled wants a proof.
    Challenge(Nonce),
    /// Who has dialled knows the secret.
    Proof(Proof),
    /// The answer to who joins.
    Cluster(ClusterMap),
}
