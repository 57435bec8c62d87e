//! This broker as the controller knows it: it registers, and says again and again that it is there.

use super::calls::{ProposeIsr, ShardId};
use super::replication::repair::counts_in_any;
use super::reply_to::ReplyTo;
use super::state::State;
use crate::controller::features;
use crate::types::ErrorCode;
use crate::wire::peer::{Call, Member, Outcome, Register};
use futures_lite::FutureExt;
use std::rc::Rc;

/// A controller is asked again after this time where it gave no answer, ms.
const RETRY_MS: i64 = 100;
/// A broker that wants to end asks again after this time, ms.
const LEAVING_MS: i64 = 20;
/// A broker that waits because of damaged logs says so this often, ms, and of so many logs.
const HELD_MS: i64 = 10_000;
const HELD_LINES: usize = 8;
/// A registration is answered within this time, ms, or tried again: leaders of many partitions may change by it.
const REGISTER_MS: i64 = 10_000;

impl State {
    /// Who this broker is to the controller.
    pub(super) fn this_member(&self) -> Member {
        Member { node: self.node_id(), incarnation: self.node.incarnation }
    }

    /// Registers, and sends heartbeats, for ever.
    pub(super) async fn run_membership(self: Rc<Self>) {
        let Some(metadata) = self.metadata.as_ref().filter(|_| self.node.peer.is_some()) else {
            return;
        };
        let mut told = None;
        let (mut held, mut told_ms) = (!self.node.damaged.is_empty(), None);
        loop {
            self.has_company().await;
            held = held && counts_in_any(&self.image(), &self.node.damaged, self.node.incarnation);
            let interval = self.interval_ms();
            let registered = self.standing.registered.get();
            let wants_shutdown = self.standing.leaving.get();
            let (call, patience) = if registered {
                // What it could lead must not be what is damaged: until others know that, it is as if it knew nothing.
                let applied = if held { 0 } else { metadata.applied.get() };
                let now_ms = self.monotonic_ms();
                if held && told_ms.is_none_or(|it| now_ms - it >= HELD_MS) {
                    told_ms = Some(now_ms);
                    self.tell_held();
                }
                let lacks_space = !self.standing.without_space.borrow().is_empty();
                (Call::Heartbeat { applied, wants_shutdown, lacks_space }, 2 * interval)
            } else {
                (Call::Register(self.registration()), REGISTER_MS)
            };
            let pause = match self.ask_controller(call, patience).await {
                Some(Outcome::Standing { error, message, fenced, may_shut_down }) => {
                    self.stands(error, message, fenced, may_shut_down, &mut told);
                    // What was asked last is asked soon again where the answer leads on.
                    match wants_shutdown {
                        true => LEAVING_MS,
                        false if !registered || fenced => RETRY_MS,
                        false => interval,
                    }
                }
                _ => RETRY_MS,
            };
            let changed = self.changed_quorum.until_notified();
            self.sleep(pause).or(changed).await;
        }
    }

    /// Says what it waits for that has damaged logs.
    fn tell_held(&self) {
        let image = self.image();
        for tp in self.node.damaged.iter().take(HELD_LINES) {
            let name = image.name_of(tp.topic);
            tracing::warn!(
                topic = %name,
                partition = tp.partition,
                "the log is damaged, and this broker stays fenced until another replica that has everything is there to \
                 copy it from; where all of them are lost, move its data directory away and start it with an empty one"
            );
        }
    }

    /// Whether the controller has let this broker in, as far as it has heard within a session.
    pub(super) fn is_let_in(&self) -> bool {
        let session = self.image_now().broker_configs.number("broker.session.timeout.ms");
        let silent_ms = self.monotonic_ms() - self.standing.heard_ms.get();
        !self.standing.fenced.get() && silent_ms <= session.unwrap_or(3_000)
    }

    fn registration(&self) -> Register {
        Register {
            directory: self.node.directory,
            kafka: self.node.kafka.clone(),
            peer: self.node.peer.clone().unwrap_or_default(),
            rack: self.node.rack.clone(),
            shards: self.shards as u16,
            features: Some(features::supported()),
        }
    }

    fn interval_ms(&self) -> i64 {
        let image = self.image_now();
        image.broker_configs.number("broker.heartbeat.interval.ms").unwrap_or(500).max(10)
    }

    /// Takes in what the controller says of this broker.
    fn stands(
        &self,
        error: ErrorCode,
        message: Option<String>,
        fenced: bool,
        may_end: bool,
        told: &mut Option<ErrorCode>,
    ) {
        let standing = &self.standing;
        standing.heard_ms.set(self.monotonic_ms());
        if error.is_err() {
            // Another start of this node has registered, or nobody knows this one.
            standing.registered.set(false);
            if told.replace(error) != Some(error) {
                let why = message.unwrap_or_else(|| error.to_string());
                tracing::warn!("the controller does not take this broker: {why}");
            }
            return;
        }
        *told = None;
        if !standing.registered.replace(true) {
            tracing::info!("the controller has registered this broker");
        }
        if standing.fenced.replace(fenced) != fenced {
            if fenced {
                tracing::warn!("the controller has fenced this broker: it leads nothing");
            } else {
                tracing::info!("the controller has let this broker in");
            }
        }
        if may_end && !standing.may_end.replace(true) {
            self.changed.notify();
        }
    }

    pub(super) fn serve_propose_isr(
        self: &Rc<Self>,
        call: ProposeIsr,
        _: ShardId,
        to: ReplyTo<ProposeIsr>,
    ) {
        let state = self.clone();
        self.start(async move {
            let answer = state.ask_controller(Call::AlterIsr(call.0), REGISTER_MS).await;
            to.reply(match answer {
                Some(Outcome::IsrAltered(errors)) => Some(errors),
                _ => None,
            });
        });
    }

    /// Asks whoever leads the quorum, this node or another. `None` where nobody does, or no answer came: then
    /// it may have been carried out or not.
    pub(super) async fn ask_controller(
        self: &Rc<Self>,
        call: Call,
        patience_ms: i64,
    ) -> Option<Outcome> {
        let metadata = self.metadata();
        if metadata.controller.borrow().leads() {
            return Some(self.carry_out(self.this_member(), call).await);
        }
        let leader = match metadata.leader.get() {
            -1 => self.next_to_ask(),
            leader => leader,
        };
        self.ask_node(leader, call, patience_ms).await
    }
}
