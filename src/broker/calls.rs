//! What shards ask of each other, with the type of each answer: one message there, one back, in order
//! for each pair of shards. A call to the own shard is a function call.
//!
//! A call always ends: with its answer, or with none where the shard that was asked gave it up, which
//! it does only when a bug has ended its work on it. `dispatch` says which function serves each call.

use super::figures::{GroupFigures, ShardFigures};
use crate::broker::api::data::{
    AppendRequest, Appended, EndMarker, EpochAnswer, EpochQuery, LogSize, OffsetAnswer,
    OffsetQuery, ProducersAnswer, ReadRequest, ReadResult, TrimRequest, Trimmed, Understands,
};
use crate::broker::api::table::Controller;
use crate::broker::api::{Body, Response};
use crate::controller::Image;
use crate::group;
use crate::share;
use crate::storage::engine::Moments;
use crate::transaction;
use crate::types::{ErrorCode, TopicId, TopicPartition};
use crate::wire::WireError;
use crate::wire::api_keys::ApiKey;
use crate::wire::peer::IsrChange;
use bytes::Bytes;
use std::sync::Arc;

/// Number of a shard.
pub type ShardId = usize;

/// Something that one shard asks of another.
pub trait Call: Sized + 'static {
    /// The answer.
    type Reply: 'static;

    /// As it crosses to another shard.
    fn into_request(self) -> CallRequest;

    /// The answer as it crosses back.
    fn wrap(reply: Self::Reply) -> Reply;

    /// The answer as it came; `None` where the call was given up.
    fn unwrap(reply: Reply) -> Option<Self::Reply>;
}

/// Batches of one request, all for partitions of one shard. Answered when they are durable.
pub struct AppendBatches {
    /// The batches.
    pub batches: Vec<AppendRequest>,
    /// When they were sent on their way, in ticks.
    pub routed: u64,
    /// They are answered when they are committed (`acks=all`), or refused at this time, ms; `None`: when they
    /// are durable here.
    pub committed_by_ms: Option<i64>,
}

/// How the batches of an [`AppendBatches`] ended, in no particular order.
pub struct AppendReply {
    /// By batch.
    pub results: Vec<Appended>,
    /// Of the one that took longest.
    pub trace: Trace,
}

/// When an append got how far, in ticks; all zero where nothing was appended.
#[derive(Clone, Copy, Default)]
pub struct Trace {
    /// It was sent on its way to the owner.
    pub routed: u64,
    /// It came there.
    pub arrived: u64,
    /// Its journal block.
    pub moments: Moments,
    /// It waited for replicas.
    pub replicated: bool,
    /// They had it, for one that waited for them; otherwise zero.
    pub committed: u64,
}

impl Trace {
    /// When it was as durable as it was to be.
    pub fn durable(&self) -> u64 {
        self.moments.synced.max(self.committed)
    }
}

/// A fetch that waits where there is less than it wants.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    /// Its name on the shard that asks.
    pub id: u64,
    /// Bytes that it wants in all.
    pub min_bytes: usize,
    /// It reads from this shard alone, which so knows when there is enough. One that reads from
    /// several is told of anything that comes.
    pub alone: bool,
}

/// Reads; where that gives less than is wanted, `waiter` is told once there is more.
pub struct Read {
    /// What.
    pub reads: Vec<ReadRequest>,
    /// Bytes of all of them together, unless the first batch is larger.
    pub max_bytes: usize,
    /// Who waits for more.
    pub waiter: Option<Waiter>,
}

/// What was read.
pub struct ReadReply {
    /// By read, in their order.
    pub results: Vec<ReadResult>,
    /// The waiter was noted: it is to be told, or forgotten.
    pub noted: bool,
}

/// Reads for a fetch that reads from this shard alone. Answered when there is enough, or as soon as nobody
/// waits any more ([`Notice::HungUp`]), then with what there is.
pub struct ReadEnough {
    /// What.
    pub reads: Vec<ReadRequest>,
    /// Bytes of all of them together, unless the first batch is larger.
    pub max_bytes: usize,
    /// Bytes that are enough.
    pub min_bytes: usize,
}

/// Finds offsets.
pub struct FindOffsets(pub Vec<OffsetQuery>);

/// Finds where epochs end.
pub struct FindEpochEnds(pub Vec<EpochQuery>);

/// Deletes records. Answered when that is durable.
pub struct Trim(pub Vec<TrimRequest>);

/// How large the logs are.
pub struct Sizes;

/// What a shard counts.
pub struct Figures;

/// Take over this metadata. Answered when it is applied.
pub struct ApplyImage(pub Arc<Image>);

/// To shard 0: change the metadata. Answered when every shard has applied the change.
pub struct ChangeMetadata {
    /// By which API.
    pub api: Controller,
    /// Its version.
    pub version: i16,
    /// The request's body.
    pub body: Bytes,
}

/// To shard 0: create these topics with the defaults. Answered when every shard knows them.
pub struct AutoCreate(pub Vec<String>);

/// To shard 0: producer ids that nobody else gets; the first, and how many. `None` where no controller gives
/// any now.
pub struct TakeProducerIds;

/// Why metadata were not changed as a client asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// The request cannot be read.
    Malformed(WireError),
    /// Nobody leads the quorum.
    NoController,
}

/// To shard 0: have the controller change who is in sync. By change, Kafka's code; `None` where no answer came.
pub struct ProposeIsr(pub Vec<IsrChange>);

/// Asks the group coordinator of this partition of `__consumer_offsets`.
pub struct AskGroup(pub TopicPartition, pub group::GroupRequest);

/// Has the group coordinator of this partition of `__consumer_offsets` take a commit that is part of a
/// transaction.
pub struct StageOffsets {
    /// The coordinator's partition.
    pub tp: TopicPartition,
    /// The commit.
    pub commit: group::Commit,
    /// The transaction's id.
    pub transactional_id: String,
    /// What the client understands.
    pub understands: Understands,
}

/// Asks the transaction coordinator of this partition of `__transaction_state`.
pub struct AskTransaction(pub TopicPartition, pub transaction::Request);

/// Asks the share coordinator of this partition of `__share_group_state`.
pub struct AskShareState {
    /// The coordinator's partition.
    pub tp: TopicPartition,
    /// The share-partition.
    pub key: share::Key,
    /// What.
    pub request: share::Request,
}

/// Reads for a member of a share group, of partitions of this shard. Answered when there is something, or as soon as nobody
/// waits any more ([`Notice::HungUp`]), then with what there is.
pub struct ShareRead {
    /// The group.
    pub group: Arc<str>,
    /// The member's session.
    pub holder: Arc<str>,
    /// What to read, in the order in which it is to be served: index, and partition.
    pub partitions: Vec<(u32, TopicPartition)>,
    /// Bytes of all of them together, unless the first batch is larger.
    pub max_bytes: usize,
    /// How many records, and how.
    pub room: share::Room,
    /// The asker's name of it where it asks itself.
    pub number: u64,
}

/// What a member of a share group gets of a partition.
#[derive(Clone, Debug)]
pub struct ShareRecords {
    /// Which, as in the call.
    pub index: u32,
    /// Why nothing.
    pub error: ErrorCode,
    /// What is its own now, in order.
    pub acquired: Vec<share::Acquired>,
    /// Whole batches.
    pub slices: Vec<Bytes>,
    /// Their bytes.
    pub bytes: usize,
}

impl ShareRecords {
    /// Nothing was read.
    pub fn failed(index: u32, error: ErrorCode) -> Self {
        Self { index, error, acquired: Vec::new(), slices: Vec::new(), bytes: 0 }
    }
}

/// What a member of a share group says of records of partitions of this shard. Answered when that is kept: index and error
/// of each.
pub struct ShareAck {
    /// The group.
    pub group: Arc<str>,
    /// The member's session.
    pub holder: Arc<str>,
    /// Index, partition, and what it says.
    pub partitions: Vec<(u32, TopicPartition, Vec<share::AckBatch>)>,
}

/// A session of a member of a share group is over: what was acquired in it of these partitions of this shard is available.
pub struct ShareRelease {
    /// The group.
    pub group: Arc<str>,
    /// The member's session.
    pub holder: Arc<str>,
    /// The partitions.
    pub partitions: Vec<TopicPartition>,
}

/// Lists the transactional ids of all coordinators; an error where one cannot tell.
pub struct ListTransactions(pub transaction::List);

/// Ends transactions in partitions of this shard. Answered when the markers are committed: index and error of
/// each.
pub struct WriteMarkers(pub Vec<EndMarker>);

/// Who writes to these partitions, each with its place in the request.
pub struct DescribeProducers(pub Vec<(u32, TopicPartition)>);

/// To shard 0: have another broker serve a request in Kafka's format; the body of its answer. `None` where no
/// answer came: it may have been carried out or not.
pub struct AskPeer {
    /// Which broker.
    pub node: i32,
    /// The API.
    pub api: ApiKey,
    /// Its version.
    pub version: i16,
    /// The request's body.
    pub body: Bytes,
}

/// Lists the groups of all coordinators; an error where one cannot tell.
pub struct ListGroups(pub group::List);

/// Figures of all groups.
pub struct CountGroups;

/// How far these partitions can be read, in their order: high watermarks; `None` where there is no
/// such partition.
pub struct FindEnds(pub Vec<TopicPartition>);

/// A Fetch request whose session is of the shard that is asked.
pub struct FetchInSession {
    /// Its header.
    pub header: crate::wire::header::RequestHeader<'static>,
    /// What follows the header.
    pub body: Bytes,
}

/// Hand over to other nodes what this one leads, before it ends. To shard 0.
pub struct HandOver;

/// Finish the requests that are under way, and take no more.
pub struct Drain;

/// Write everything back.
pub struct Close;

/// What crosses between shards, and how each call is told from the others there.
macro_rules! calls {
    ($($call:ident => $reply:ty;)*) => {
        /// A call on its way to another shard.
        pub enum CallRequest {
            $(
                #[doc = concat!("[`", stringify!($call), "`]")]
                $call($call),
            )*
        }

        /// An answer on its way back.
        pub enum Reply {
            /// The call was given up.
            GivenUp,
            $(
                #[doc = concat!("To [`", stringify!($call), "`]")]
                $call($reply),
            )*
        }

        $(
            impl Call for $call {
                type Reply = $reply;

                fn into_request(self) -> CallRequest {
                    CallRequest::$call(self)
                }

                fn wrap(reply: Self::Reply) -> Reply {
                    Reply::$call(reply)
                }

                fn unwrap(reply: Reply) -> Option<Self::Reply> {
                    match reply {
                        Reply::$call(reply) => Some(reply),
                        Reply::GivenUp => None,
                        _ => unreachable!("an answer is of the kind of its call"),
                    }
                }
            }
        )*
    };
}

calls! {
    AppendBatches => AppendReply;
    Read => ReadReply;
    ReadEnough => Vec<ReadResult>;
    FindOffsets => Vec<OffsetAnswer>;
    FindEpochEnds => Vec<EpochAnswer>;
    Trim => Vec<Trimmed>;
    Sizes => Vec<LogSize>;
    Figures => Box<ShardFigures>;
    ApplyImage => ();
    ChangeMetadata => Result<Body, Unchanged>;
    AutoCreate => ();
    TakeProducerIds => Option<(i64, i32)>;
    ProposeIsr => Option<Vec<ErrorCode>>;
    AskGroup => group::GroupResponse;
    StageOffsets => group::GroupResponse;
    AskTransaction => transaction::Response;
    AskShareState => share::Response;
    ShareRead => Vec<ShareRecords>;
    ShareAck => Vec<(u32, ErrorCode)>;
    ShareRelease => ();
    ListTransactions => Result<Vec<transaction::Listed>, ErrorCode>;
    WriteMarkers => Vec<(u32, ErrorCode)>;
    DescribeProducers => Vec<ProducersAnswer>;
    AskPeer => Option<Bytes>;
    ListGroups => Result<Vec<group::Listed>, ErrorCode>;
    CountGroups => Vec<GroupFigures>;
    FindEnds => Vec<Option<i64>>;
    FetchInSession => Result<Response, WireError>;
    HandOver => ();
    Drain => ();
    Close => ();
}

/// What needs no answer.
pub enum Notice {
    /// There is as much as this waiter wanted.
    Advanced(u64),
    /// This waiter, of the sending shard, does not wait any more.
    Forget(u64),
    /// Nobody waits for the answer to this call, of the sending shard, any more.
    HungUp(u64),
    /// To shard 0: this shard holds nothing of a deleted topic.
    Dropped(TopicId),
    /// To shard 0: this shard has refused appends for a while for want of space, or has space again.
    LacksSpace(bool),
}

/// One message between shards. Messages of each pair of shards keep their order.
pub enum Message {
    /// Asks.
    Request {
        /// The asker's number.
        number: u64,
        /// What.
        request: CallRequest,
    },
    /// Answers.
    Reply {
        /// The asker's number.
        number: u64,
        /// What.
        reply: Reply,
    },
    /// Tells.
    Notice(Notice),
}

/// What is done with the answer to a call that has crossed.
pub type Then = Box<dyn FnOnce(Reply)>;
