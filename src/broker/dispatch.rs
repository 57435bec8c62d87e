//! Brings calls to the shards that are asked, and what other shards ask to what serves it here.

use super::calls::{
    AppendBatches, ApplyImage, AskGroup, AskPeer, AskShareState, AskTransaction, AutoCreate, Call,
    CallRequest, ChangeMetadata, Close, CountGroups, DescribeProducers, Drain, FetchInSession,
    Figures, FindEnds, FindEpochEnds, FindOffsets, HandOver, ListGroups, ListTransactions, Message,
    Notice, ProposeIsr, Read, ReadEnough, ShardId, ShareAck, ShareRead, ShareRelease, Sizes,
    StageOffsets, TakeProducerIds, Then, Trim, WriteMarkers,
};
use super::output::Output;
use super::reply_to::ReplyTo;
use super::state::State;
use super::wait::{Receiver, oneshot};
use futures_lite::FutureExt;
use std::rc::Rc;

/// A call that a shard can serve.
pub trait Serve: Call {
    /// Takes the call on the shard that was asked. `asker` is the shard that asks.
    fn serve(self, state: &Rc<State>, asker: ShardId, to: ReplyTo<Self>);
}

/// Which function serves each call.
macro_rules! served_by {
    ($($call:ident => $serve:path;)*) => {
        $(
            impl Serve for $call {
                fn serve(self, state: &Rc<State>, asker: ShardId, to: ReplyTo<Self>) {
                    $serve(state, self, asker, to);
                }
            }
        )*

        /// Takes a call of another shard, which has given it this number.
        fn serve_request(state: &Rc<State>, request: CallRequest, asker: ShardId, number: u64) {
            match request {
                $(
                    CallRequest::$call(call) => {
                        let to = ReplyTo::shard(state.outputs.clone(), asker, number);
                        call.serve(state, asker, to);
                    }
                )*
            }
        }
    };
}

served_by! {
    AppendBatches => State::serve_append;
    Read => State::serve_read;
    ReadEnough => State::serve_read_enough;
    FindOffsets => State::serve_find_offsets;
    FindEpochEnds => State::serve_find_epoch_ends;
    Trim => State::serve_trim;
    Sizes => State::serve_sizes;
    Figures => State::serve_figures;
    ApplyImage => State::serve_apply_image;
    ChangeMetadata => State::serve_change_metadata;
    AutoCreate => State::serve_auto_create;
    TakeProducerIds => State::serve_take_producer_ids;
    ProposeIsr => State::serve_propose_isr;
    AskGroup => State::serve_ask_group;
    StageOffsets => State::serve_stage_offsets;
    AskTransaction => State::serve_ask_transaction;
    AskShareState => State::serve_ask_share_state;
    ShareRead => State::serve_share_read;
    ShareAck => State::serve_share_ack;
    ShareRelease => State::serve_share_release;
    ListTransactions => State::serve_list_transactions;
    WriteMarkers => State::serve_write_markers;
    DescribeProducers => State::serve_describe_producers;
    AskPeer => State::serve_ask_peer;
    ListGroups => State::serve_list_groups;
    CountGroups => State::serve_count_groups;
    FindEnds => State::serve_find_ends;
    FetchInSession => State::serve_fetch_in_session;
    HandOver => State::serve_hand_over;
    Drain => State::serve_drain;
    Close => State::serve_close;
}

impl State {
    /// Asks a shard, this one too: `then` gets the answer, or `None` where the call was given up.
    /// What is asked of this shard begins before this returns. The number of a call that crosses.
    pub fn ask<C: Serve>(
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
    pub fn call<C: Serve>(self: &Rc<Self>, shard: ShardId, call: C) -> Receiver<C::Reply> {
        if shard == self.id {
            let (to, rx) = ReplyTo::task();
            call.serve(self, self.id, to);
            return rx;
        }
        self.numbered_call(shard, call).1
    }

    /// As [`call`](Self::call), for one that may wait long: when `over` ends first, the shard is told that
    /// nobody waits any more, and answers at once.
    pub async fn call_until<C: Serve>(
        self: &Rc<Self>,
        shard: ShardId,
        call: C,
        over: impl Future<Output = ()>,
    ) -> Option<C::Reply> {
        let (number, mut rx) = self.numbered_call(shard, call);
        let over = async {
            over.await;
            None
        };
        if let Some(answer) = async { Some((&mut rx).await) }.or(over).await {
            return answer;
        }
        if let Some(number) = number {
            self.tell(shard, Notice::HungUp(number));
        }
        rx.await
    }

    fn numbered_call<C: Serve>(
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
            Message::Request { number, request } => serve_request(self, request, from, number),
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
            Notice::LacksSpace(lacks) => self.shard_lacks_space(from, lacks),
        }
    }
}
