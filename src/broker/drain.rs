//! The way out: other nodes lead what this one led, every request under way is answered, then everything is written back.

use super::calls::{Close, Drain, HandOver, ShardId};
use super::output::Output;
use super::reply_to::ReplyTo;
use super::state::{Phase, State};
use futures_lite::FutureExt;
use std::rc::Rc;

/// A request that is not answered does not hold up the end for longer, ms.
const PATIENCE_MS: i64 = 10_000;

/// The cluster has so long to find other leaders, ms.
const HAND_OVER_MS: i64 = 10_000;
/// Another node has so long to take over the quorum, ms: an election would not take longer.
const QUORUM_MS: i64 = 1_000;
/// A cluster that has no controller for so long will not find any, ms: perhaps all of its nodes end.
const NO_CONTROLLER_MS: i64 = 3_000;

impl State {
    /// The controller lets others lead first, so that clients find them when this node ends.
    pub(super) fn serve_hand_over(self: &Rc<Self>, _: HandOver, _: ShardId, to: ReplyTo<HandOver>) {
        let state = self.clone();
        self.start(async move {
            let standing = &state.standing;
            if state.node.peer.is_some() && standing.registered.get() && !state.is_alone() {
                standing.leaving.set(true);
                state.changed_quorum.notify();
                let may_end = state.changed.until(|| standing.may_end.get());
                let too_long = state.sleep(HAND_OVER_MS);
                may_end.or(too_long).or(state.controller_is_gone()).await;
                if !standing.may_end.get() {
                    tracing::warn!("ends although it may still lead partitions");
                }
                state.hand_over_quorum().await;
            }
            to.reply(());
        });
    }

    /// Has another node lead the quorum, where this one does: nobody has to miss it for the time of an election first.
    async fn hand_over_quorum(self: &Rc<Self>) {
        let metadata = self.metadata();
        let successor = metadata.controller.borrow().successor();
        let Some(successor) = successor else { return };
        self.vital(|| metadata.controller.borrow_mut().hand_over(successor));
        self.quorum_moved();
        let me = self.node_id();
        let led = self.changed_quorum.until(|| ![me, -1].contains(&metadata.leader.get()));
        led.or(self.sleep(QUORUM_MS)).await;
        let leader = metadata.leader.get();
        if leader == me {
            tracing::warn!(successor, "ends although it leads the quorum");
        } else {
            tracing::info!(controller = leader, "another node leads the quorum");
        }
    }

    /// Waits until there was no controller for a while.
    async fn controller_is_gone(&self) {
        let mut since = self.monotonic_ms();
        while self.monotonic_ms() - since < NO_CONTROLLER_MS {
            if self.metadata().leader.get() >= 0 {
                since = self.monotonic_ms();
            }
            self.sleep(100).await;
        }
    }

    pub(super) fn serve_drain(self: &Rc<Self>, _: Drain, _: ShardId, to: ReplyTo<Drain>) {
        self.phase.set(Phase::Draining);
        let now = self.monotonic_ms();
        self.connections.borrow_mut().drain(now);
        self.changed.notify();
        self.waits.end_all();
        self.drain_groups();
        let state = self.clone();
        self.start(async move {
            let quiet = state
                .changed
                .until(|| state.open_requests.get() == 0 && state.logs.borrow().is_quiet());
            quiet.or(state.sleep(PATIENCE_MS)).await;
            to.reply(());
        });
    }

    pub(super) fn serve_close(self: &Rc<Self>, _: Close, _: ShardId, to: ReplyTo<Close>) {
        let now = self.wall_ms();
        self.phase.set(Phase::Closing);
        // What others write would have to be written back here, too, without an end.
        self.end_streams();
        self.change_logs(|logs| logs.engine.begin_shutdown(now));
        self.kick();
        let state = self.clone();
        self.start(async move {
            state.changed.until(|| state.logs.borrow().engine.is_drained()).await;
            state.phase.set(Phase::Closed);
            to.reply(());
            let files_left = state.logs.borrow().engine.left_files();
            state.outputs.push(Output::Ended { files_left });
        });
    }
}
