//! Connections to other brokers: dials them, accepts them, and moves their bytes.
//!
//! All brokers connect to one port, where shard 0 listens. The first bytes say which shard they mean; that
//! shard gets the socket by the way that messages take.

use super::peer_socket::{Dialled, PeerSocket, Pending, Resolved};
use super::router::{Handed, Letter};
use super::socket::{Socket, accept};
use super::state::{FIRST_CONNECTION, PEER_LISTENER, Shard, Watched};
use super::transport::Transport;
use crate::broker::{Input, LinkId, PeerInput, Phase};
use crate::storage::device::uring::Interest;
use crate::wire::peer::{PREAMBLE, Preamble};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// What was sent and is not acknowledged for so long ends a connection, ms: the other side, or the network to it,
/// is gone. Without it the kernel would try for a quarter of an hour.
const UNACKNOWLEDGED_MS: u32 = 5_000;
/// A connection that is silent for so long is asked whether the other side still has it, and again after as long. One that
/// was closed there while nothing came through would stay open here for ever: a follower that waits for frames says
/// nothing by which it could find out.
const SILENT: Duration = Duration::from_secs(1);
/// So many questions without an answer end it.
const UNANSWERED: u32 = 4;
/// Who has connected says within this time which shard is meant.
const PATIENCE: Duration = Duration::from_secs(5);
/// Those who have not: more are turned away.
const PENDING_MAX: usize = 64;
/// Slices in one send.
const SLICES_MAX: usize = 256;
/// Bytes in one send: others have a turn in between.
const PIECE: usize = 512 << 10;
/// Peers read from for so long in one turn.
const SLICE: Duration = Duration::from_micros(200);

fn connect(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(e) => Err(e.into()),
    }
}

/// Has the kernel end a connection whose other side is gone.
fn bound_silence(fd: &OwnedFd) -> io::Result<()> {
    sockopt::set_tcp_user_timeout(fd, UNACKNOWLEDGED_MS)?;
    sockopt::set_socket_keepalive(fd, true)?;
    sockopt::set_tcp_keepidle(fd, SILENT)?;
    sockopt::set_tcp_keepintvl(fd, SILENT)?;
    sockopt::set_tcp_keepcnt(fd, UNANSWERED)?;
    Ok(())
}

fn is_refusal(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::ConnectionRefused
}

impl Shard {
    // ---- Dialling ----

    pub(super) fn dial(self: &Rc<Self>, link: LinkId, host: &str, port: u16) {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return self.connect(link, SocketAddr::new(ip, port));
        }
        if host == "localhost" {
            return self.connect(link, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        }
        // Asking for a name may take seconds.
        let (to, bell, name) = (self.resolved_to(), self.bell.clone(), host.to_owned());
        let ask = move || {
            let address = (&*name, port).to_socket_addrs().ok().and_then(|mut all| all.next());
            if to.send(Resolved { link, address }).is_ok() {
                bell.ring();
            }
        };
        if std::thread::Builder::new().name("klamm-resolve".to_owned()).spawn(ask).is_err() {
            self.peer_input(link, PeerInput::Failed { refused: false });
        }
    }

    fn resolved_to(&self) -> Sender<Resolved> {
        self.resolved.0.clone()
    }

    /// Goes on with names that were resolved.
    pub(super) fn take_resolved(self: &Rc<Self>) -> bool {
        let mut any = false;
        while let Ok(Resolved { link, address }) = self.resolved.1.try_recv() {
            any = true;
            match address {
                Some(address) => self.connect(link, address),
                None => self.peer_input(link, PeerInput::Failed { refused: false }),
            }
        }
        any
    }

    fn connect(self: &Rc<Self>, link: LinkId, address: SocketAddr) {
        match connect(address) {
            Ok(fd) => {
                self.watch_for(Watched::Dialled(Rc::new(Dialled { link, fd })), Interest::Write);
            }
            Err(e) => self.peer_input(link, PeerInput::Failed { refused: is_refusal(&e) }),
        }
    }

    /// A socket that was to be connected is, or has failed.
    pub(super) fn dialled(self: &Rc<Self>, dialled: Rc<Dialled>) {
        let link = dialled.link;
        let Ok(Dialled { fd, .. }) = Rc::try_unwrap(dialled).map_err(drop) else { return };
        match sockopt::socket_error(&fd) {
            Ok(Ok(())) => {
                self.insert_peer(link, fd);
                self.peer_input(link, PeerInput::Connected);
            }
            Ok(Err(e)) | Err(e) => {
                let refused = e == Errno::CONNREFUSED;
                self.peer_input(link, PeerInput::Failed { refused });
            }
        }
    }

    fn insert_peer(self: &Rc<Self>, link: LinkId, fd: OwnedFd) {
        if let Err(e) = bound_silence(&fd) {
            tracing::warn!("a peer that is gone will be noticed late: {e}");
        }
        let peer = Rc::new(PeerSocket {
            link,
            transport: Transport::plain(Socket::new(fd)),
            writing: Cell::new(false),
            closed: Cell::new(false),
        });
        self.peers.borrow_mut().insert(link, peer.clone());
        self.peer_reads.borrow_mut().push_back(peer);
    }

    // ---- Accepting ----

    /// Accepts other brokers from here on, until the shard drains.
    pub(super) fn listen_for_peers(&self, socket: TcpListener) {
        self.ring.borrow_mut().watch(socket.as_fd(), Interest::Read, PEER_LISTENER);
        *self.peer_listener.borrow_mut() = Some(socket);
    }

    pub(super) fn accept_peers(self: &Rc<Self>) {
        let Some(listener) = self.peer_listener.take() else { return };
        if self.phase() == Phase::Closed {
            return;
        }
        loop {
            match accept(&listener) {
                Ok(Some(fd)) => self.peer_accepted(fd),
                Ok(None) => break,
                Err(e) => {
                    tracing::warn!("cannot accept a peer: {e}");
                    break;
                }
            }
        }
        self.ring.borrow_mut().watch(listener.as_fd(), Interest::Read, PEER_LISTENER);
        *self.peer_listener.borrow_mut() = Some(listener);
    }

    fn peer_accepted(self: &Rc<Self>, fd: OwnedFd) {
        let peer = rustix::net::getpeername(&fd).ok().flatten();
        let Some(peer) = peer.and_then(|it| SocketAddr::try_from(it).ok()) else { return };
        self.pending_peers.borrow_mut().retain(|it| it.since.elapsed() < PATIENCE);
        if self.pending_peers.borrow().len() >= PENDING_MAX {
            tracing::warn!(%peer, "too many peers that have not said which shard they mean");
            return;
        }
        let preamble = RefCell::new((0, [0; PREAMBLE]));
        let pending =
            Rc::new(Pending { socket: Socket::new(fd), peer, preamble, since: Instant::now() });
        self.pending_peers.borrow_mut().push(pending.clone());
        self.preamble(pending);
    }

    /// Reads on what a peer says first.
    pub(super) fn preamble(self: &Rc<Self>, pending: Rc<Pending>) {
        let is_waited_for = self.pending_peers.borrow().iter().any(|it| Rc::ptr_eq(it, &pending));
        if !is_waited_for {
            return;
        }
        let mut rest = [MaybeUninit::uninit(); PREAMBLE];
        let have = pending.preamble.borrow().0;
        let came = pending.socket.recv(&mut rest[..PREAMBLE - have]);
        match came {
            Ok(None) => return self.watch_for(Watched::Pending(pending), Interest::Read),
            Ok(Some(n)) if n > 0 => {
                let (len, bytes) = &mut *pending.preamble.borrow_mut();
                for byte in &rest[..n] {
                    // SAFETY: the kernel has written the first `n`.
                    bytes[*len] = unsafe { byte.assume_init() };
                    *len += 1;
                }
            }
            _ => return self.forget_pending(&pending),
        }
        let (len, bytes) = *pending.preamble.borrow();
        if len < PREAMBLE {
            return self.watch_for(Watched::Pending(pending), Interest::Read);
        }
        self.forget_pending(&pending);
        let peer = pending.peer;
        let Ok(Pending { socket, .. }) = Rc::try_unwrap(pending).map_err(drop) else { return };
        let preamble = Preamble::decode(&bytes);
        let Some(preamble) = preamble.filter(|it| usize::from(it.shard) < self.common.shards)
        else {
            tracing::warn!(%peer, "not a broker, or one that means a shard that is not here");
            return;
        };
        let handed = Handed { fd: socket.into_fd(), peer, preamble };
        match &self.ways[usize::from(preamble.shard)] {
            Some(way) => way.send(Letter::Peer(handed)),
            None => self.take_peer(handed),
        }
    }

    fn forget_pending(&self, pending: &Rc<Pending>) {
        self.pending_peers.borrow_mut().retain(|it| !Rc::ptr_eq(it, pending));
    }

    /// Takes a peer that means this shard.
    pub(super) fn take_peer(self: &Rc<Self>, handed: Handed) {
        let Handed { fd, peer, preamble } = handed;
        let now = self.common.now();
        let link = self.with_broker(|it| it.accept_peer(now, &peer.to_string(), preamble));
        if let Some(link) = link {
            self.insert_peer(link, fd);
        }
        self.carry_out();
    }

    // ---- Bytes ----

    pub(super) fn peer_input(self: &Rc<Self>, link: LinkId, input: PeerInput) {
        self.input(Input::Peer(link, input));
    }

    /// A peer's socket is ready for what it was watched for.
    pub(super) fn peer_ready(self: &Rc<Self>, peer: Rc<PeerSocket>, interest: Interest) {
        match interest {
            Interest::Read => {
                peer.transport.readable();
                self.peer_reads.borrow_mut().push_back(peer);
            }
            Interest::Write => {
                peer.writing.set(false);
                self.flush_peer(&peer);
            }
        }
    }

    /// Reads from peers in turn, until none has more or others want a turn.
    pub(super) fn read_peers(self: &Rc<Self>) -> bool {
        let (begun, mut any) = (Instant::now(), false);
        loop {
            let next = self.peer_reads.borrow_mut().pop_front();
            let Some(peer) = next else { break };
            any = true;
            if self.read_peer(&peer) {
                self.peer_reads.borrow_mut().push_back(peer);
            }
            if begun.elapsed() > SLICE {
                break;
            }
        }
        any
    }

    /// Reads once. Whether there may be more.
    fn read_peer(self: &Rc<Self>, peer: &Rc<PeerSocket>) -> bool {
        if peer.closed.get() {
            return false;
        }
        let link = peer.link;
        match self.with_broker(|it| it.peer_buffer(link, |into| peer.transport.recv(into))) {
            Some(Ok(None)) => {
                self.watch_for(Watched::Peer(peer.clone()), Interest::Read);
                false
            }
            Some(Ok(Some(n))) if n > 0 => {
                self.peer_input(link, PeerInput::Received(n));
                true
            }
            None => false,
            _ => {
                self.peer_input(link, PeerInput::Failed { refused: false });
                false
            }
        }
    }

    pub(super) fn flush_peer_later(&self, link: LinkId) {
        self.peer_flushes.borrow_mut().push_back(link);
    }

    /// Sends what peers are to hear.
    pub(super) fn flush_peers(self: &Rc<Self>) {
        let count = self.peer_flushes.borrow().len();
        for _ in 0..count {
            let Some(link) = self.peer_flushes.borrow_mut().pop_front() else { break };
            let peer = self.peers.borrow().get(&link).cloned();
            if let Some(peer) = peer {
                self.flush_peer(&peer);
            }
        }
    }

    fn flush_peer(self: &Rc<Self>, peer: &Rc<PeerSocket>) {
        if peer.writing.get() || peer.closed.get() {
            return;
        }
        let link = peer.link;
        let sent = self.with_broker(|it| {
            it.peer_outgoing(link, |parts| {
                let mut room = PIECE;
                let mut slices = Vec::new();
                for part in parts.take(SLICES_MAX) {
                    let part = &part[..part.len().min(room)];
                    slices.push(IoSlice::new(part));
                    room -= part.len();
                    if room == 0 {
                        break;
                    }
                }
                if slices.is_empty() {
                    return Ok(None);
                }
                peer.transport.send(&slices).map(|it| Some(it.unwrap_or(0)))
            })
        });
        match sent {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                let now = self.common.now();
                let more = self.with_broker(|it| it.peer_sent(now, link, bytes));
                self.carry_out();
                if more && bytes == 0 {
                    peer.writing.set(true);
                    self.watch_for(Watched::Peer(peer.clone()), Interest::Write);
                } else if more {
                    self.flush_peer_later(link);
                }
            }
            Err(_) => self.peer_input(link, PeerInput::Failed { refused: false }),
        }
    }

    pub(super) fn close_peer(&self, link: LinkId) {
        if let Some(peer) = self.peers.borrow_mut().remove(&link) {
            peer.closed.set(true);
            peer.transport.shutdown();
        }
    }

    /// Has the ring tell when this is ready.
    pub(super) fn watch_for(&self, watched: Watched, interest: Interest) {
        let mut all = self.watched.borrow_mut();
        let entry = all.vacant_entry();
        let key = FIRST_CONNECTION + entry.key() as u64;
        self.ring.borrow_mut().watch(watched.event(), interest, key);
        entry.insert((watched, interest));
    }
}
