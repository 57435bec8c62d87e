//! The clients of one shard: accepts them, reads from them, and sends them their answers.
//!
//! A connection is read from when there may be something. Answers leave from wherever the last one
//! that was missing came from, with a vectored send for each piece; the ring tells when a full socket takes more.

use super::connection::{Attempt, Connection, Reading};
use super::listener::Listener;
use super::state::{LISTENER, Shard, Watched};
use super::transport::Transport;
use crate::broker::{ConnectionId, Input, Phase};
use crate::storage::device::uring::Interest;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A turn looks at messages and connections for so long before the block that they have filled is
/// written, completions are looked at, and answers are sent.
const SLICE: Duration = Duration::from_micros(200);

/// Connections accepted in one go.
const AT_ONCE: usize = 16;

/// After an error that is not one connection's, accepting is tried again after this, ms.
const PAUSE_MS: i64 = 100;

/// What is to follow on an attempt to accept.
enum Accepted {
    /// There may be more at once.
    More,
    /// The ring tells when somebody comes.
    All,
    /// It is tried again at this time, ms.
    Later(i64),
}

/// Adds a connection that is in none of the lists.
fn list(list: &RefCell<VecDeque<Rc<Connection>>>, connection: Rc<Connection>) {
    if !connection.listed.replace(true) {
        list.borrow_mut().push_back(connection);
    }
}

impl Shard {
    // ---- Accepting ----

    pub(super) fn accept_some(self: &Rc<Self>) {
        let Some(listener) = self.listener.take() else {
            self.accept_ms.set(i64::MAX);
            return;
        };
        match self.accept_from(&listener) {
            Accepted::More => {}
            Accepted::All => {
                self.accept_ms.set(i64::MAX);
                self.ring.borrow_mut().watch(listener.event(), Interest::Read, LISTENER);
            }
            Accepted::Later(ms) => self.accept_ms.set(ms),
        }
        *self.listener.borrow_mut() = Some(listener);
    }

    /// Accepts those who wait, some at a time.
    fn accept_from(self: &Rc<Self>, listener: &Listener) -> Accepted {
        for _ in 0..AT_ONCE {
            if self.phase() != Phase::Serving {
                return Accepted::All;
            }
            match listener.accept() {
                Ok(Some((transport, peer))) => {
                    self.common.counters.accepted.fetch_add(1, Ordering::Relaxed);
                    let Some(peer) = peer else { continue };
                    self.accept(peer, transport);
                }
                Ok(None) => return Accepted::All,
                Err(e) => {
                    // Out of descriptors, most likely: some will be free later.
                    tracing::warn!("cannot accept: {e}");
                    return Accepted::Later(self.common.now().monotonic_ms + PAUSE_MS);
                }
            }
        }
        Accepted::More
    }

    /// Takes a client, unless there are too many.
    fn accept(self: &Rc<Self>, peer: SocketAddr, transport: Transport) {
        let now = self.common.now();
        let accepted = self.with_broker(|broker| broker.accept(now, peer));
        match accepted {
            Ok(id) => {
                let connection = Connection::new(id, transport);
                self.connections.borrow_mut().insert(id, connection.clone());
                self.read_later(connection);
            }
            Err(refused) => {
                if let Some(line) = refused.line {
                    tracing::warn!(peer = %line.peer, "{}", line.text);
                }
            }
        }
        self.carry_out();
    }

    /// Has the ring tell when a connection is ready.
    fn watch(&self, connection: &Rc<Connection>, interest: Interest) {
        self.watch_for(Watched::Client(connection.clone()), interest);
    }

    /// A connection is ready for what it was watched for.
    pub(super) fn ready(self: &Rc<Self>, connection: Rc<Connection>, interest: Interest) {
        match interest {
            Interest::Read => {
                connection.readable();
                self.read_later(connection);
            }
            Interest::Write => {
                connection.writing.set(false);
                self.flush(connection);
            }
        }
    }

    // ---- Reading ----

    /// Reads from a connection soon.
    fn read_later(&self, connection: Rc<Connection>) {
        self.reads.borrow_mut().push_back(connection);
    }

    /// The broker has room for more of this connection.
    pub(super) fn resume(&self, connection: &Rc<Connection>) {
        if connection.reading.get() == Reading::Stopped {
            connection.reading.set(Reading::Now);
            self.read_later(connection.clone());
        }
    }

    /// Reads from connections in turn, until none has more or others want a turn.
    pub(super) fn read_some(self: &Rc<Self>, begun: Instant) -> bool {
        let mut any = false;
        loop {
            let next = self.reads.borrow_mut().pop_front();
            let Some(connection) = next else { break };
            any = true;
            if self.read(&connection) {
                self.read_later(connection);
            }
            if begun.elapsed() > SLICE {
                break;
            }
        }
        any
    }

    /// Reads once. True where there may be more. A panic ends this connection and no other.
    fn read(self: &Rc<Self>, connection: &Rc<Connection>) -> bool {
        let read = || self.read_once(connection);
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
            self.caught_panic();
            connection.reading.set(Reading::Ended);
            self.input(Input::Failed(connection.id));
            false
        })
    }

    fn read_once(self: &Rc<Self>, connection: &Rc<Connection>) -> bool {
        if connection.is_closed() {
            return false;
        }
        let id = connection.id;
        match self.with_broker(|broker| connection.receive(broker)) {
            None => {
                connection.reading.set(Reading::Stopped);
                // Looking may have let a request begin, and that may make room.
                self.input(Input::Continue);
            }
            Some(Ok(Attempt::Came(bytes))) => {
                self.input(Input::Received { connection: id, bytes });
                return !connection.is_closed();
            }
            Some(Ok(Attempt::Empty)) => {
                self.input(Input::Blocked(id));
                if !connection.is_closed() {
                    connection.reading.set(Reading::Watched);
                    self.watch(connection, Interest::Read);
                }
            }
            Some(Ok(Attempt::End)) => {
                connection.reading.set(Reading::Ended);
                self.input(Input::HungUp(id));
            }
            Some(Err(_)) => {
                connection.reading.set(Reading::Ended);
                self.input(Input::Failed(id));
            }
        }
        false
    }

    // ---- Sending ----

    /// Sends what a connection has ready, soon.
    pub(super) fn flush_later(&self, connection: Rc<Connection>) {
        list(&self.flushes, connection);
    }

    /// Sends what connections have ready, a piece of each, until others want a turn. A small answer does
    /// not wait for the rest of large ones, of which some goes in each turn.
    pub(super) fn flush_some(self: &Rc<Self>) {
        let begun = Instant::now();
        for list in [&self.flushes, &self.rests] {
            loop {
                let next = list.borrow_mut().pop_front();
                let Some(connection) = next else { break };
                connection.listed.set(false);
                self.flush(connection);
                if begun.elapsed() > SLICE {
                    break;
                }
            }
        }
    }

    /// Sends a piece of what is outgoing; the rest when others have had a turn, or when the kernel takes more.
    fn flush(self: &Rc<Self>, connection: Rc<Connection>) {
        if connection.writing.get() || connection.is_closed() {
            return;
        }
        let sent = self.with_broker(|broker| connection.send(broker));
        match sent {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                if !self.sent(connection.id, bytes) {
                    return;
                }
                if bytes == 0 {
                    connection.writing.set(true);
                    self.watch(&connection, Interest::Write);
                } else {
                    list(&self.rests, connection);
                }
            }
            Err(_) => self.input(Input::Failed(connection.id)),
        }
    }

    /// The kernel has taken so many bytes of a connection. True where more is to be sent.
    fn sent(self: &Rc<Self>, connection: ConnectionId, bytes: usize) -> bool {
        let now = self.common.now();
        let more = self.with_broker(|broker| broker.sent(now, connection, bytes));
        self.carry_out();
        more
    }
}
