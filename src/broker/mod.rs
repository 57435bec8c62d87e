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
//! Bytes of clients do not travel in inputs: [`Broker::buffer`] gives the room for them, which
//! [`Input::Received`] follows, and [`Broker::outgoing`] what is to be sent, which [`Broker::sent`]
//! follows. `connection` says the rest.
//!
//! Nothing is answered before it is durable: an answer to a write is made by the completion of the
//! journal write that holds it, or by the controller's.
//!
//! # Inside
//! Requests that need one step are functions; those that wait are tasks (`tasks`), which only inputs
//! move. `state` holds what all of them share. `calls` are what shards ask of each other, and `dispatch`
//! says which function serves each. `logs` are the partitions. `coordinators` are those of groups, each
//! with its `group_log`, and `groups` drives them. `metadata_owner` is the controller on shard 0, and
//! `metadata` carries out its writes.
//!
//! # Panics
//! One rule. A panic in work that belongs to one request, reading, planning or answering it, ends that
//! request: its connection is closed with a line, and a shard that asked for it hears that its call
//! was given up. A panic while logs, their engine or the metadata are being changed ends the process
//! (exit 70): they may disagree then, and the next start reads what is on disk.

pub mod api;
mod asks;
mod begun;
pub mod calls;
mod charges;
#[cfg(test)]
mod charges_tests;
mod clock;
#[cfg(test)]
mod clock_tests;
pub mod connection;
mod controller_calls;
mod coordinating;
mod coordinators;
mod core_states;
mod creating;
mod deferred;
mod delivery;
mod disk_space;
mod dispatch;
mod drain;
mod fetch;
mod figures;
mod fills;
mod group_asks;
mod group_figures;
mod group_log;
#[cfg(test)]
mod group_log_tests;
mod group_requests;
mod group_view;
mod groups;
mod held_appends;
#[cfg(test)]
mod held_fetch_tests;
mod image_changes;
mod images;
#[cfg(test)]
mod large_group_tests;
#[cfg(test)]
mod large_request_tests;
mod line_pause;
pub mod links;
mod log_loading;
mod log_roles;
mod logs;
#[cfg(test)]
mod logs_tests;
#[cfg(test)]
mod many_topics_tests;
mod members;
mod membership;
mod metadata;
mod metadata_owner;
mod node;
mod offsets;
mod output;
mod owners;
#[cfg(test)]
mod panic_tests;
mod part;
mod parts;
mod peers;
mod produce;
mod quorum;
mod read_errors;
mod reading;
mod recompressed;
#[cfg(test)]
mod recompression_tests;
mod replication;
mod reply_to;
mod requests;
mod share;
#[cfg(test)]
mod staged_offsets_tests;
mod standing;
mod state;
mod streams_groups;
#[cfg(test)]
mod streams_groups_tests;
mod tasks;
#[cfg(test)]
mod testing;
mod timers;
mod transaction_coordinators;
mod transaction_markers;
mod transaction_requests;
mod transaction_verification;
mod transactions;
mod verified_appends;
pub mod wait;
mod waiting;
mod waits;
pub mod work;
#[cfg(test)]
mod work_tests;

use crate::controller::Image;
use crate::storage::device::io::Completion;
use crate::types::Now;
use crate::wire::peer::Preamble;
pub use calls::{Close, CountGroups, Drain, Figures, HandOver, Message, ShardId};
pub use clock::Clock;
pub use connection::{Admission, ConnectionId, ReadInto, Refused};
pub use dispatch::Serve;
pub use figures::{
    ControllerFigures, GroupFigures, OffsetFigures, Readings, ReplicaLag, ReplicationFigures,
    ShardFigures,
};
pub use links::LinkId;
pub use logs::Logs;
pub use node::{Address, Node, WINDOW};
pub use output::{Output, Outputs};
pub use owners::by_owner;
pub use parts::{Bounds, Parts};
pub use peers::PeerInput;
pub use replication::repair::is_elsewhere;
pub use state::Phase;
use state::State;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// Something that happened.
#[expect(clippy::large_enum_variant, reason = "it is handed in once, and kept nowhere")]
pub enum Input {
    /// So many bytes of a client were put where [`Broker::buffer`] said.
    Received {
        /// On which connection.
        connection: ConnectionId,
        /// How many.
        bytes: usize,
    },
    /// There is nothing more to read on this connection now.
    Blocked(ConnectionId),
    /// The client has closed its side of this connection.
    HungUp(ConnectionId),
    /// This connection is broken.
    Failed(ConnectionId),
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
    /// Something happened on a link to another broker.
    Peer(LinkId, PeerInput),
}

/// See the module.
pub struct Broker(Rc<State>);

impl Broker {
    /// A broker that begins to serve: its coordinators load, its controller writes what is due.
    pub fn new(parts: Parts, now: Now) -> Self {
        let image = parts.image.clone();
        let state = State::new(parts, now);
        state.apply_at_start(&image);
        state.work.forget();
        state.start(state.clone().run_groups());
        state.start(state.clone().run_transactions());
        state.start(state.clone().run_share_pruning());
        state.start(state.clone().run_metadata());
        state.start(state.clone().run_quorum());
        state.start(state.clone().run_membership());
        state.start(state.clone().run_controller());
        state.start(state.clone().run_streams());
        state.start(state.clone().run_isr());
        state.start(state.clone().run_repairs());
        state.start(state.clone().run_space());
        state.run();
        Self(state)
    }

    /// Takes one input. See the module for the order of calls.
    pub fn handle(&mut self, now: Now, input: Input) {
        let state = &self.0;
        // What this input makes is measured from here on, and not from the one before it.
        let begun = state.ticks();
        state.enter(now);
        match input {
            Input::Received { connection, bytes } => {
                state.connections.borrow_mut().received(now.monotonic_ms, begun, connection, bytes);
            }
            Input::Blocked(connection) => state.connections.borrow_mut().blocked(connection),
            Input::HungUp(connection) => {
                state.connections.borrow_mut().hung_up(now.monotonic_ms, connection);
            }
            Input::Failed(connection) => state.connections.borrow_mut().failed(connection),
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
            Input::Peer(link, input) => {
                state.contain(|| state.peer_input(link, input));
            }
        }
        state.run();
        state.held_since(begun);
    }

    // ---- Connections ----

    /// Somebody has connected; an error where there are too many already.
    pub fn accept(&mut self, now: Now, peer: SocketAddr) -> Result<ConnectionId, Refused> {
        self.0.connections.borrow_mut().accepted(now.monotonic_ms, peer)
    }

    /// Gives the room for a connection's next bytes to `read`, which says how many it has put there,
    /// for [`Input::Received`]. Nothing where nothing is to be read before [`Output::Resume`].
    pub fn buffer<T>(
        &mut self,
        connection: ConnectionId,
        read: impl FnOnce(ReadInto<'_>) -> T,
    ) -> Option<T> {
        self.0.connections.borrow_mut().buffer(connection).map(read)
    }

    /// Gives what is to be sent on a connection to `send`, in order, for one vectored send.
    pub fn outgoing<T>(
        &mut self,
        connection: ConnectionId,
        send: impl FnOnce(&mut dyn Iterator<Item = &[u8]>) -> T,
    ) -> T {
        send(&mut self.0.connections.borrow_mut().outgoing(connection))
    }

    /// So many bytes of what is outgoing have left; 0 where no more leaves now. True where there is
    /// more.
    pub fn sent(&mut self, now: Now, connection: ConnectionId, bytes: usize) -> bool {
        self.0.enter(now);
        let more = self.0.sent(connection, bytes);
        self.0.run();
        more
    }

    // ---- Links to other brokers ----

    /// Another broker has connected, and its preamble is for this shard; `None` where it is turned away.
    pub fn accept_peer(&mut self, now: Now, peer: &str, preamble: Preamble) -> Option<LinkId> {
        self.0.links.borrow_mut().accepted(now.monotonic_ms, peer, preamble)
    }

    /// Gives the room for a link's next bytes to `read`, which says how many it has put there, for
    /// [`PeerInput::Received`]. Nothing where nothing is to be read any more.
    pub fn peer_buffer<T>(
        &mut self,
        link: LinkId,
        read: impl FnOnce(&mut [MaybeUninit<u8>]) -> T,
    ) -> Option<T> {
        self.0.links.borrow_mut().buffer(link).map(read)
    }

    /// Gives what is to be sent on a link to `send`, in order, for one vectored send.
    pub fn peer_outgoing<T>(
        &mut self,
        link: LinkId,
        send: impl FnOnce(&mut dyn Iterator<Item = &[u8]>) -> T,
    ) -> T {
        send(&mut self.0.links.borrow().outgoing(link))
    }

    /// So many bytes of it have left; 0 where no more leaves now. True where there is more.
    pub fn peer_sent(&mut self, now: Now, link: LinkId, bytes: usize) -> bool {
        self.0.enter(now);
        let more = self.0.links.borrow_mut().sent(now.monotonic_ms, link, bytes);
        self.0.run();
        more
    }

    // ---- What is to be done ----

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

    /// Whether clients are to be sent here: not while it drains, nor, in a cluster, before the controller has let
    /// this broker in, nor when no controller was heard for a session. Of shard 0.
    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Serving && (self.0.is_alone() || self.0.is_let_in())
    }

    /// Whether whoever connects before [`Output::LetIn`] is to wait for it, and not to be refused: where nothing is
    /// known of a cluster, this may be the first of its brokers to start, and there is none to turn to.
    pub fn lets_wait(&self) -> bool {
        self.0.image_now().brokers().len() == 0
    }

    /// The metadata as this shard has applied it.
    pub fn image(&self) -> Arc<Image> {
        self.0.image()
    }

    /// Bytes that are to be placed on the disk yet, for [`Input::Space`] of other shards.
    pub fn pending(&self) -> u64 {
        self.0.pending()
    }

    /// Steps of the input that has cost most, for [`work::BOUND`].
    pub fn steps_most(&self) -> u64 {
        self.0.work.most()
    }

    /// How often this shard has read what is kept of a share-partition: what members have acquired is nobody's then.
    pub fn share_loads(&self) -> u64 {
        self.0.shares.loads.get()
    }

    /// Checks what must hold between two inputs.
    pub fn invariants(&self) {
        self.0.logs.borrow().engine.invariants();
    }

    /// Asks a shard from beside the requests: the answer, or nothing where the call was given up.
    pub fn call<C: Serve>(
        &mut self,
        now: Now,
        shard: ShardId,
        call: C,
    ) -> wait::Receiver<C::Reply> {
        self.0.enter(now);
        let receiver = self.0.call(shard, call);
        self.0.run();
        receiver
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Tasks hold the state that holds them.
        self.0.clear();
    }
}
