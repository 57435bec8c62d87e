//! What shards ask of each other, with the type of each answer: one message there, one back, in order
//! for each pair of shards. A call to the own shard is a function call.
//!
//! A call always ends: with its answer, or with none where the shard that was asked gave it up, which
//! it does only when a bug has ended its work on it. Dropping a [`ReplyTo`] says so.

use super::figures::{GroupFigures, ShardFigures};
use super::state::State;
use super::wait::{Receiver, Sender, oneshot};
use super::{Output, Outputs};
use crate::broker::api::data::{
    AppendRequest, Appended, EpochAnswer, EpochQuery, LogSize, OffsetAnswer, OffsetQuery,
    ReadRequest, ReadResult, TrimRequest, Trimmed,
};
use crate::broker::api::table::Controller;
use crate::broker::api::{Body, Response};
use crate::controller::Image;
use crate::group;
use crate::storage::engine::Moments;
use crate::types::{ErrorCode, TopicId, TopicPartition};
use crate::wire::WireError;
use bytes::Bytes;
use std::rc::Rc;
use std::sync::Arc;

/// Number of a shard.
pub type ShardId = usize;

/// Something that one shard asks of another.
pub trait Call: Sized + 'static {
    /// The answer.
    type Reply: 'static;

    /// Takes the call on the shard that was asked. `asker` is the shard that asks.
    fn serve(self, state: &Rc<State>, asker: ShardId, to: ReplyTo<Self>);

    /// As it crosses to another shard.
    fn into_request(self) -> CallRequest;

    /// The answer as it crosses back.
    fn wrap(reply: Self::Reply) -> Reply;

    /// The answer as it came; `None` where the call was given up.
    fn unwrap(reply: Reply) -> Option<Self::Reply>;
}

/// Where the answer to a call goes.
pub struct ReplyTo<C: Call>(Option<Way<C>>);

enum Way<C: Call> {
    Function(Box<dyn FnOnce(Option<C::Reply>)>),
    Task(Sender<C::Reply>),
    Shard { outputs: Outputs, asker: ShardId, number: u64 },
}

impl<C: Call> ReplyTo<C> {
    /// To a function on this shard.
    pub fn function(then: impl FnOnce(Option<C::Reply>) + 'static) -> Self {
        Self(Some(Way::Function(Box::new(then))))
    }

    /// To a task on this shard.
    pub fn task() -> (Self, Receiver<C::Reply>) {
        let (tx, rx) = oneshot();
        (Self(Some(Way::Task(tx))), rx)
    }

    pub(super) fn shard(outputs: Outputs, asker: ShardId, number: u64) -> Self {
        Self(Some(Way::Shard { outputs, asker, number }))
    }

    /// The asker's number of a call that came from another shard.
    pub fn number(&self) -> Option<u64> {
        match &self.0 {
            Some(Way::Shard { number, .. }) => Some(*number),
            _ => None,
        }
    }

    /// Answers.
    pub fn reply(mut self, reply: C::Reply) {
        match self.0.take() {
            Some(Way::Function(then)) => then(Some(reply)),
            Some(Way::Task(sender)) => sender.send(reply),
            Some(Way::Shard { outputs, asker, number }) => {
                let message = Message::Reply { number, reply: C::wrap(reply) };
                outputs.push(Output::Message { to: asker, message });
            }
            None => {}
        }
    }
}

impl<C: Call> Drop for ReplyTo<C> {
    fn drop(&mut self) {
        // A task that waits hears of it as its sender goes.
        match self.0.take() {
            Some(Way::Function(then)) => then(None),
            Some(Way::Shard { outputs, asker, number }) => {
                let message = Message::Reply { number, reply: Reply::GivenUp };
                outputs.push(Output::Message { to: asker, message });
            }
            Some(Way::Task(_)) | None => {}
        }
    }
}

/// Batches of one request, all for partitions of one shard. Answered when they are durable.
pub struct AppendBatches {
    /// The batches.
    pub batches: Vec<AppendRequest>,
    /// When they were sent on their way, in ticks.
    pub routed: u64,
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

/// To shard 0: producer ids that nobody else gets; the first, and how many.
pub struct TakeProducerIds;

/// Asks the group coordinator of this partition of `__consumer_offsets`.
pub struct AskGroup(pub TopicPartition, pub group::GroupRequest);

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

/// Finish the requests that are under way, and take no more.
pub struct Drain;

/// Write everything back.
pub struct Close;

/// What crosses between shards, and how each call is told from the others there.
macro_rules! calls {
    ($($call:ident => $reply:ty, $serve:path;)*) => {
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

                fn serve(self, state: &Rc<State>, asker: ShardId, to: ReplyTo<Self>) {
                    $serve(state, self, asker, to);
                }

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

        impl CallRequest {
            fn serve(self, state: &Rc<State>, asker: ShardId, number: u64) {
                match self {
                    $(
                        Self::$call(call) => {
                            let to = ReplyTo::shard(state.outputs.clone(), asker, number);
                            call.serve(state, asker, to);
                        }
                    )*
                }
            }
        }
    };
}

calls! {
    AppendBatches => AppendReply, State::serve_append;
    Read => ReadReply, State::serve_read;
    FindOffsets => Vec<OffsetAnswer>, State::serve_find_offsets;
    FindEpochEnds => Vec<EpochAnswer>, State::serve_find_epoch_ends;
    Trim => Vec<Trimmed>, State::serve_trim;
    Sizes => Vec<LogSize>, State::serve_sizes;
    Figures => Box<ShardFigures>, State::serve_figures;
    ApplyImage => (), State::serve_apply_image;
    ChangeMetadata => Result<Body, WireError>, State::serve_change_metadata;
    AutoCreate => (), State::serve_auto_create;
    TakeProducerIds => (i64, i32), State::serve_take_producer_ids;
    AskGroup => group::GroupResponse, State::serve_ask_group;
    ListGroups => Result<Vec<group::Listed>, ErrorCode>, State::serve_list_groups;
    CountGroups => Vec<GroupFigures>, State::serve_count_groups;
    FindEnds => Vec<Option<i64>>, State::serve_find_ends;
    FetchInSession => Result<Response, WireError>, State::serve_fetch_in_session;
    Drain => (), State::serve_drain;
    Close => (), State::serve_close;
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

impl State {
    /// Asks a shard, this one too: `then` gets the answer, or `None` where the call was given up.
    /// What is asked of this shard begins before this returns. The number of a call that crosses.
    pub fn ask<C: Call>(
        self: &Rc<Self>,
        shard: ShardId,
        call: C,
        then: impl FnOnce(Option<C::Reply>) + 'static,
    ) -> Option<u64> {
        if shard == self.id {
            call.serve(self, self.id, ReplyTo::function(then));
            return None;
        }
        let then: Then = Box::new(move |reply| then(C::unwrap(reply)));
        let number = self.calls.borrow_mut().insert(then) as u64;
        let message = Message::Request { number, request: call.into_request() };
        self.outputs.push(Output::Message { to: shard, message });
        Some(number)
    }

    /// Asks a shard, this one too; the answer may be waited for, `None` where the call was given up.
    /// What is asked of this shard begins before this returns.
    pub fn call<C: Call>(self: &Rc<Self>, shard: ShardId, call: C) -> Receiver<C::Reply> {
        if shard == self.id {
            let (to, rx) = ReplyTo::task();
            call.serve(self, self.id, to);
            return rx;
        }
        self.numbered_call(shard, call).1
    }

    /// As [`call`](Self::call), with the number of a call that crosses: for [`Notice::HungUp`].
    pub fn numbered_call<C: Call>(
        self: &Rc<Self>,
        shard: ShardId,
        call: C,
    ) -> (Option<u64>, Receiver<C::Reply>) {
        let (tx, rx) = oneshot();
        let number = self.ask(shard, call, move |reply| {
            if let Some(reply) = reply {
                tx.send(reply);
            }
        });
        (number, rx)
    }

    /// Tells a shard, this one too.
    pub fn tell(self: &Rc<Self>, shard: ShardId, notice: Notice) {
        if shard == self.id {
            self.notice(self.id, notice);
        } else {
            self.outputs.push(Output::Message { to: shard, message: Message::Notice(notice) });
        }
    }

    /// Takes a message of another shard.
    pub fn message(self: &Rc<Self>, from: ShardId, message: Message) {
        match message {
            Message::Request { number, request } => request.serve(self, from, number),
            Message::Reply { number, reply } => {
                let then = self.calls.borrow_mut().try_remove(number as usize);
                if let Some(then) = then {
                    then(reply);
                }
            }
            Message::Notice(notice) => self.notice(from, notice),
        }
    }

    fn notice(self: &Rc<Self>, from: ShardId, notice: Notice) {
        match notice {
            Notice::Advanced(id) => self.waits.advanced(id),
            Notice::HungUp(number) => self.waits.hung_up(from, number),
            Notice::Forget(id) => {
                if self.logs.borrow_mut().forget(from, id) {
                    self.kick();
                }
            }
            Notice::Dropped(topic) => self.topic_dropped(topic, from),
        }
    }
}
