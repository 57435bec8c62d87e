//! One client's connection: moves bytes between its socket and the broker, and decides nothing.
//!
//! One task reads. Answers leave from wherever the last one that was missing came from, with one
//! vectored send; a task waits for the socket only while the kernel's buffer is full.

use super::state::Shard;
use super::transport::Transport;
use crate::broker::connection::Admitted;
use crate::broker::wait::Event;
use crate::broker::{ConnectionId, Input};
use futures_lite::FutureExt;
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

/// Slices in one send.
const SLICES_MAX: usize = 256;

/// See the module.
pub struct Connection {
    /// Its name in the broker.
    pub id: ConnectionId,
    transport: Transport,
    /// The broker has room for more.
    may_read: Cell<bool>,
    closed: Cell<bool>,
    /// A task waits for the socket to take more.
    writing: Cell<bool>,
    /// It may be read, or has ended.
    changed: Event,
    /// Goes after the socket.
    admitted: RefCell<Option<Admitted>>,
}

/// How an attempt to read ended.
enum Attempt {
    /// So many bytes came.
    Came(usize),
    /// Nothing is there now.
    Empty,
    /// The client has closed its side.
    End,
}

impl Connection {
    /// A connection that the broker has accepted.
    pub fn new(id: ConnectionId, transport: Transport) -> Rc<Self> {
        Rc::new(Self {
            id,
            transport,
            may_read: Cell::new(true),
            closed: Cell::new(false),
            writing: Cell::new(false),
            changed: Event::default(),
            admitted: RefCell::default(),
        })
    }

    /// The broker has room for more.
    pub fn resume(&self) {
        self.may_read.set(true);
        self.changed.notify();
    }

    /// The broker has ended it.
    pub fn close(&self, admitted: Option<Admitted>) {
        self.closed.set(true);
        *self.admitted.borrow_mut() = admitted;
        self.transport.shutdown();
        self.changed.notify();
    }

    /// Sends what is outgoing, as far as the kernel takes it; the rest goes when it takes more.
    pub fn flush(self: &Rc<Self>, shard: &Rc<Shard>) {
        if !self.writing.get() && !self.closed.get() {
            match self.send(shard) {
                Ok(true) => {}
                Ok(false) => self.write_later(shard),
                Err(_) => shard.input(Input::Failed(self.id)),
            }
        }
    }

    /// False where the kernel takes no more now.
    fn send(&self, shard: &Rc<Shard>) -> io::Result<bool> {
        loop {
            let sent = shard.with_broker(|broker| {
                broker.outgoing(self.id, |parts| {
                    let slices: Vec<IoSlice<'_>> =
                        parts.take(SLICES_MAX).map(IoSlice::new).collect();
                    if slices.is_empty() {
                        return Ok(None);
                    }
                    self.transport.send(&slices).map(|sent| Some(sent.unwrap_or(0)))
                })
            })?;
            let Some(sent) = sent else { return Ok(true) };
            let more = shard.sent(self.id, sent);
            if sent == 0 || !more {
                return Ok(!more);
            }
        }
    }

    fn write_later(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.writing.set(true);
        let (connection, shard) = (self.clone(), shard.clone());
        glommio::spawn_local(async move {
            while !connection.closed.get() {
                let sent = match connection.transport.writable().await {
                    Ok(()) => connection.send(&shard),
                    Err(e) => Err(e),
                };
                match sent {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(_) => shard.input(Input::Failed(connection.id)),
                }
            }
            connection.writing.set(false);
        })
        .detach();
    }

    /// Reads until the connection ends.
    async fn read(&self, shard: &Rc<Shard>) {
        while !self.closed.get() {
            self.may_read.set(false);
            let attempt = shard.with_broker(|broker| {
                broker.buffer(self.id, |mut into| {
                    let n = self.transport.recv(into.spare())?;
                    Ok::<_, io::Error>(match n {
                        None => Attempt::Empty,
                        Some(0) => Attempt::End,
                        Some(n) => {
                            // SAFETY: the kernel has written `n` bytes of the spare room.
                            unsafe { into.filled(n) };
                            Attempt::Came(n)
                        }
                    })
                })
            });
            match attempt {
                None => {
                    // Looking may have let a request begin.
                    shard.input(Input::Continue);
                    self.changed.until(|| self.may_read.get() || self.closed.get()).await;
                }
                Some(Ok(Attempt::Came(bytes))) => {
                    shard.input(Input::Received { connection: self.id, bytes });
                    glommio::yield_if_needed().await;
                }
                Some(Ok(Attempt::Empty)) => {
                    shard.input(Input::Blocked(self.id));
                    if self.transport.readable().await.is_err() {
                        shard.input(Input::Failed(self.id));
                    }
                }
                Some(Ok(Attempt::End)) => {
                    shard.input(Input::HungUp(self.id));
                    self.changed.until(|| self.closed.get()).await;
                }
                Some(Err(_)) => shard.input(Input::Failed(self.id)),
            }
        }
    }
}

/// Serves one client until it goes. A panic ends this connection and no other.
pub async fn serve(shard: Rc<Shard>, connection: Rc<Connection>) {
    if AssertUnwindSafe(connection.read(&shard)).catch_unwind().await.is_err() {
        shard.count_panic();
        shard.input(Input::Failed(connection.id));
    }
}
