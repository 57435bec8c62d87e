//! Messages between shards: one there, one back, in order for each pair of shards.

use super::figures::{GroupFigures, ShardFigures};
use crate::broker::api::Body;
use crate::broker::api::data::{
    AppendRequest, Appended, EpochAnswer, EpochQuery, LogSize, OffsetAnswer, OffsetQuery,
    ReadRequest, ReadResult, TrimRequest, Trimmed,
};
use crate::broker::api::table::Controller;
use crate::controller::Image;
use crate::group;
use crate::storage::engine::Moments;
use crate::types::{ErrorCode, TopicId, TopicPartition};
use crate::wire::WireError;
use bytes::Bytes;
use glommio::channels::shared_channel::{
    ConnectedReceiver, ConnectedSender, SharedReceiver, SharedSender, new_bounded,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// Messages of one pair of shards that may be under way; more wait at the sender.
const CHANNEL_DEPTH: usize = 4096;

/// What one shard asks of another.
pub enum Request {
    /// Append, and answer when it is durable.
    Append(Appends),
    /// Read; where that gives less than is wanted, tell `waiter` once there is more.
    Read {
        /// What.
        reads: Vec<ReadRequest>,
        /// Bytes of all of them together, unless the first batch is larger.
        max_bytes: usize,
        /// Who waits for more, and for how many bytes in all.
        waiter: Option<(u64, usize)>,
    },
    /// Find offsets.
    Offsets(Vec<OffsetQuery>),
    /// Find where epochs end.
    EpochEnds(Vec<EpochQuery>),
    /// Delete records, and answer when that is durable.
    Trim(Vec<TrimRequest>),
    /// How large the logs are.
    Sizes,
    /// What it says of itself.
    Figures,
    /// Take over the metadata.
    Apply(Arc<Image>),
    /// To shard 0: change the metadata.
    Admin {
        /// Which API.
        api: Controller,
        /// Its version.
        version: i16,
        /// The request's body.
        body: Bytes,
    },
    /// To shard 0: create these topics with the defaults.
    AutoCreate(Vec<String>),
    /// To shard 0: producer ids.
    ProducerIds,
    /// Ask the group coordinator of this partition.
    Group(TopicPartition, group::Request),
    /// List the groups of all coordinators.
    ListGroups(group::List),
    /// Figures of all groups.
    GroupFigures,
    /// How far these partitions can be read.
    Ends(Vec<TopicPartition>),
    /// Finish the requests that are under way, and take no more.
    Drain,
    /// Write everything back.
    Close,
}

/// Batches of one request, all for partitions of one shard.
pub struct Appends {
    /// The batches.
    pub appends: Vec<AppendRequest>,
    /// When they were sent on their way, in ticks.
    pub routed: u64,
}

/// When the append that took longest got how far, in ticks; all zero where nothing was appended.
#[derive(Clone, Copy, Default)]
pub struct Trace {
    /// It was sent on its way to the owner.
    pub routed: u64,
    /// It came there.
    pub arrived: u64,
    /// Its journal block.
    pub moments: Moments,
}

/// What it hears.
pub enum Reply {
    /// To `Append`.
    Appended(Vec<Appended>, Trace),
    /// To `Read`, and whether the waiter was noted.
    Read(Vec<ReadResult>, bool),
    /// To `Offsets`.
    Offsets(Vec<OffsetAnswer>),
    /// To `EpochEnds`.
    EpochEnds(Vec<EpochAnswer>),
    /// To `Trim`.
    Trimmed(Vec<Trimmed>),
    /// To `Sizes`.
    Sizes(Vec<LogSize>),
    /// To `Figures`.
    Figures(Box<ShardFigures>),
    /// To `Group`.
    Group(group::Response),
    /// To `ListGroups`; an error where a coordinator cannot tell.
    Groups(Result<Vec<group::Listed>, ErrorCode>),
    /// To `GroupFigures`.
    GroupFigures(Vec<GroupFigures>),
    /// To `Ends`, in its order: high watermarks; `None` where there is no such partition.
    Ends(Vec<Option<i64>>),
    /// To `Admin`: the body of the response.
    Admin(Result<Body, WireError>),
    /// To `ProducerIds`: the first, and how many.
    ProducerIds(i64, i32),
    /// It is done.
    Done,
}

/// What needs no answer.
pub enum Notice {
    /// There is as much as this waiter wanted.
    Advanced(u64),
    /// This waiter, of the sending shard, does not wait any more.
    Forget(u64),
    /// To shard 0: this shard holds nothing of a deleted topic.
    Dropped(TopicId),
}

/// One message.
pub enum Message {
    /// Asks.
    Request {
        /// The asker's number.
        call: u64,
        /// What.
        request: Request,
    },
    /// Answers.
    Reply {
        /// The asker's number.
        call: u64,
        /// What.
        reply: Reply,
    },
    /// Tells.
    Notice(Notice),
}

/// One shard's ends of the channels to and from all others, on their way to its thread.
pub struct Ends {
    /// By shard; none to itself.
    pub to: Vec<Option<SharedSender<Message>>>,
    /// By shard; none from itself.
    pub from: Vec<Option<SharedReceiver<Message>>>,
}

/// Channels between every two of `shards` shards.
pub fn mesh(shards: usize) -> Vec<Ends> {
    let mut ends: Vec<Ends> = (0..shards)
        .map(|_| Ends {
            to: (0..shards).map(|_| None).collect(),
            from: (0..shards).map(|_| None).collect(),
        })
        .collect();
    for a in 0..shards {
        for b in (0..shards).filter(|b| *b != a) {
            let (tx, rx) = new_bounded(CHANNEL_DEPTH);
            ends[a].to[b] = Some(tx);
            ends[b].from[a] = Some(rx);
        }
    }
    ends
}

/// The way to one other shard.
pub struct Way {
    sender: ConnectedSender<Message>,
    waiting: RefCell<VecDeque<Message>>,
    forwarding: Cell<bool>,
}

impl Way {
    /// Sends; what does not fit goes later, in order.
    pub fn send(self: &Rc<Self>, message: Message) {
        if self.forwarding.get() {
            self.waiting.borrow_mut().push_back(message);
            return;
        }
        let Err(error) = self.sender.try_send(message) else { return };
        // A closed channel means that the other shard has ended: nobody waits for an answer.
        let glommio::GlommioError::WouldBlock(glommio::ResourceType::Channel(message)) = error
        else {
            return;
        };
        self.waiting.borrow_mut().push_back(message);
        self.forwarding.set(true);
        let way = self.clone();
        glommio::spawn_local(async move {
            loop {
                let Some(message) = way.waiting.borrow_mut().pop_front() else { break };
                if way.sender.send(message).await.is_err() {
                    break;
                }
            }
            way.forwarding.set(false);
        })
        .detach();
    }
}

/// Connects one shard's ends; returns when all others have connected theirs.
pub async fn connect(
    ends: Ends,
) -> (Vec<Option<Rc<Way>>>, Vec<(usize, ConnectedReceiver<Message>)>) {
    // Each end waits for its peer, so all of them must try at the same time.
    let receivers: Vec<_> = ends
        .from
        .into_iter()
        .enumerate()
        .filter_map(|(shard, rx)| rx.map(|rx| (shard, glommio::spawn_local(rx.connect()))))
        .collect();
    let senders: Vec<_> =
        ends.to.into_iter().map(|tx| tx.map(|tx| glommio::spawn_local(tx.connect()))).collect();
    let mut ways = Vec::new();
    for sender in senders {
        ways.push(match sender {
            Some(task) => Some(Rc::new(Way {
                sender: task.await,
                waiting: RefCell::default(),
                forwarding: Cell::new(false),
            })),
            None => None,
        });
    }
    let mut from = Vec::new();
    for (shard, task) in receivers {
        from.push((shard, task.await));
    }
    (ways, from)
}
