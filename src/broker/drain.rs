//! The way out: every request under way is answered, then everything is written back.

use super::calls::{Close, Drain, ShardId};
use super::output::Output;
use super::reply_to::ReplyTo;
use super::state::{Phase, State};
use futures_lite::FutureExt;
use std::rc::Rc;

/// A request that is not answered does not hold up the end for longer, ms.
const PATIENCE_MS: i64 = 10_000;

impl State {
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
