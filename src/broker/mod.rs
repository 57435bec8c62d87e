//! One shard of a broker, put together: everything that decides, without sockets, files or clocks.
//!
//! [`Broker`] is driven by what runs it, the runtime in `shard/` or the simulator, in this order:
//!
//! 1. [`Broker::handle`] takes one [`Input`] and the time. It does all that follows from it at once,
//!    and runs the tasks that it wakes.
//! 2. [`Broker::poll`] gives what is to be done, one [`Output`] after the other, until there is none.
//!    All of them are taken, and carried out in their order, before the next input, but for those
//!    that ask for something and say how it comes back.
//! 3. When the inputs at hand are handed in and [`Broker::wants_turn`], [`Input::Turn`]: what they
//!    have appended, over all partitions, goes into one journal block.
//! 4. While [`Broker::has_work`], [`Input::Continue`], other work of the thread in between.
//! 5. At [`Broker::next_deadline`], if nothing came before, [`Input::Timeout`].
//!
//! Nothing is answered before it is durable: an answer to a write is made by the completion of the
//! journal write that holds it, or by the controller's.
//!
//! # Inside
//! Requests that need one step are functions; those that wait are tasks (`tasks`), which only inputs
//! move. `calls` is what shards ask of each other, `logs` the partitions, `groups` and `group_log`
//! the coordinators, `metadata` the controller's writes.
//!
//! # Panics
//! One rule. A panic in work that belongs to one request, reading, planning or answering it, ends that
//! request: its connection is closed with a line, and a shard that asked for it hears that its call
//! was given up. A panic while logs, their engine or the metadata are being changed ends the process
//! (exit 70): they may disagree then, and the next start reads what is on disk.

pub mod api;
pub mod calls;
mod clock;
mod connection;
mod drain;
mod fetch;
mod figures;
mod group_log;
#[cfg(test)]
mod group_log_tests;
mod group_requests;
mod groups;
mod logs;
mod metadata;
mod offsets;
mod output;
mod produce;
mod requests;
mod state;
mod tasks;
mod timers;
pub mod wait;
mod waits;

use crate::controller::{Controller, Image};
use crate::storage::buffer::Budget;
use crate::storage::io::Completion;
use crate::types::Now;
pub use calls::{Call, Close, CountGroups, Drain, Figures, FindEnds, Message, ShardId};
pub use clock::Clock;
pub use connection::ConnectionId;
pub use figures::{GroupFigures, OffsetFigures, ShardFigures};
pub use logs::Logs;
pub use output::{Output, Outputs, Traced};
pub use requests::{Arrived, Begun, by_owner};
pub use state::Phase;
use state::State;
use std::rc::Rc;
use std::sync::Arc;

/// What a broker is made of.
pub struct Parts {
    /// Number of the shard.
    pub id: ShardId,
    /// Shards of the process.
    pub shards: usize,
    /// Walk compressed batches record by record.
    pub strict: bool,
    /// The data directory, as clients are shown it.
    pub data: String,
    /// The metadata.
    pub image: Arc<Image>,
    /// Its partitions.
    pub logs: Logs,
    /// The memory budget of the process.
    pub budget: Arc<Budget>,
    /// The controller, on shard 0.
    pub controller: Option<Controller>,
    /// What random numbers begin with: from the operating system, so that no two lives have the same.
    pub seed: u64,
    /// The clock of stages.
    pub clock: Clock,
}

/// What the runtime counts for its shard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readings {
    /// Open connections.
    pub connections: u64,
    /// Bytes of requests in memory.
    pub request_bytes: u64,
    /// Processor time of the shard's thread, ns.
    pub cpu_ns: u64,
    /// How often it slept with work to do, or one task took long, and it was signalled.
    pub missed_beats: u64,
}

/// Something that happened.
pub enum Input {
    /// A request has arrived, whole. It begins now.
    Request(Arrived),
    /// A connection has ended: nobody hears its answers.
    Closed(ConnectionId),
    /// Another shard has sent this.
    Message {
        /// Which shard.
        from: ShardId,
        /// What.
        message: Message,
    },
    /// An operation on a file has ended.
    Completed(Completion),
    /// The inputs at hand are handed in.
    Turn,
    /// Tasks go on.
    Continue,
    /// Time has passed.
    Timeout,
    /// The space on the disk.
    Space {
        /// Bytes free for us.
        free: u64,
        /// Bytes of the file system.
        total: u64,
        /// Bytes that the other shards have yet to place.
        pending_elsewhere: u64,
    },
    /// What the runtime counts.
    Readings(Readings),
}

/// See the module.
pub struct Broker(Rc<State>);

impl Broker {
    /// A broker that begins to serve: its coordinators load, its controller writes what is due.
    pub fn new(parts: Parts, now: Now) -> Self {
        let image = parts.image.clone();
        let state = State::new(parts, now);
        state.apply(None, &image);
        state.start(state.clone().run_groups());
        state.start(state.clone().run_metadata());
        Self(state)
    }

    /// Takes one input. See the module for the order of calls.
    pub fn handle(&mut self, now: Now, input: Input) {
        let state = &self.0;
        state.enter(now);
        match input {
            Input::Request(arrived) => state.request(&arrived),
            Input::Closed(connection) => state.waits.closed(connection),
            Input::Message { from, message } => {
                state.contain(|| state.message(from, message));
            }
            Input::Completed(completion) => {
                state.contain(|| state.completed(completion));
            }
            Input::Turn => {
                state.contain(|| state.turn());
            }
            Input::Timeout => state.tick(),
            Input::Continue => {}
            Input::Space { free, total, pending_elsewhere } => {
                state.space(free, total, pending_elsewhere);
            }
            Input::Readings(readings) => state.take_readings(readings),
        }
        state.run_tasks();
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.0.outputs.pop()
    }

    /// Whether [`Input::Turn`] has something to do.
    pub fn wants_turn(&self) -> bool {
        self.0.wants_turn()
    }

    /// Whether [`Input::Continue`] has something to do.
    pub fn has_work(&self) -> bool {
        self.0.has_work()
    }

    /// When [`Input::Timeout`] has something to do, by the monotonic clock, ms.
    pub fn next_deadline(&self) -> i64 {
        self.0.next_deadline()
    }

    /// How far it is on its way out.
    pub fn phase(&self) -> Phase {
        self.0.phase.get()
    }

    /// The metadata as this shard has applied it.
    pub fn image(&self) -> Arc<Image> {
        self.0.image()
    }

    /// Bytes that are to be placed on the disk yet, for [`Input::Space`] of other shards.
    pub fn pending(&self) -> u64 {
        self.0.pending()
    }

    /// Checks what must hold between two inputs.
    pub fn invariants(&self) {
        self.0.logs.borrow().engine.invariants();
    }

    /// Counts what a connection has sent of an answer, and what it has received.
    pub fn with_traffic<T>(&self, f: impl FnOnce(&mut crate::metrics::Traffic) -> T) -> T {
        f(&mut self.0.traffic.borrow_mut())
    }

    /// Asks a shard from beside the requests: the answer, or nothing where the call was given up.
    pub fn call<C: Call>(&mut self, now: Now, shard: ShardId, call: C) -> wait::Receiver<C::Reply> {
        self.0.enter(now);
        self.0.call(shard, call)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Tasks hold the state that holds them.
        self.0.clear();
    }
}
