//! Every shard listens on the same address; the kernel spreads new connections over them.

use super::connection;
use super::socket::{Socket, accept};
use super::state::Shard;
use super::transport::Transport;
use crate::broker::Phase;
use futures_lite::FutureExt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Connections that wait to be accepted.
const BACKLOG: libc::c_int = 1024;

/// Binds one socket for each shard, all to one address. Nothing listens yet. An address that
/// somebody listens on is refused: with `SO_REUSEPORT` alone, a second broker of the same user
/// would take half of the first one's clients.
pub fn bind(address: SocketAddr, shards: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    probe(address)?;
    let mut address = address;
    let mut sockets = Vec::with_capacity(shards);
    for _ in 0..shards {
        let socket = bind_one(address)?;
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok((address, sockets))
}

/// Waits until nobody listens. The kernel takes down the rings of a killed process after the
/// process itself is gone, and its sockets with them: a restart right after a SIGKILL would find
/// its own address in use.
fn probe(address: SocketAddr) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(20);
    const TRIES: u32 = 100;
    for _ in 1..TRIES {
        match TcpListener::bind(address) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => std::thread::sleep(PAUSE),
            other => return other.map(drop),
        }
    }
    TcpListener::bind(address).map(drop)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: a call without pointers.
    let fd = unsafe { libc::socket(family, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    for option in [libc::SO_REUSEADDR, libc::SO_REUSEPORT] {
        let on: libc::c_int = 1;
        // SAFETY: the option's value is one int.
        let done = unsafe {
            libc::setsockopt(
                fd,
                libc::SOL_SOCKET,
                option,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: all zeros is a valid `sockaddr_storage`.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let len = match address {
        SocketAddr::V4(v4) => {
            let to = (&raw mut storage).cast::<libc::sockaddr_in>();
            // SAFETY: a `sockaddr_storage` has room for a `sockaddr_in`, and is aligned for it.
            unsafe {
                (*to).sin_family = libc::AF_INET as libc::sa_family_t;
                (*to).sin_port = v4.port().to_be();
                (*to).sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            }
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let to = (&raw mut storage).cast::<libc::sockaddr_in6>();
            // SAFETY: as above, for a `sockaddr_in6`.
            unsafe {
                (*to).sin6_family = libc::AF_INET6 as libc::sa_family_t;
                (*to).sin6_port = v6.port().to_be();
                (*to).sin6_addr.s6_addr = v6.ip().octets();
                (*to).sin6_scope_id = v6.scope_id();
            }
            size_of::<libc::sockaddr_in6>()
        }
    };
    // SAFETY: `len` bytes of the address were filled in.
    let done = unsafe { libc::bind(fd, (&raw const storage).cast(), len as libc::socklen_t) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(TcpListener::from(socket))
}

/// Begins to listen.
pub fn listen(socket: &TcpListener) -> io::Result<()> {
    // SAFETY: a call without pointers.
    if unsafe { libc::listen(socket.as_raw_fd(), BACKLOG) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Accepts until the shard drains. Dropping the socket refuses who comes later.
pub async fn run(shard: Rc<Shard>, socket: TcpListener) {
    let socket = match glommio::io::PollableFd::new(socket) {
        Ok(socket) => socket,
        Err(e) => super::state::fatal(&format!("cannot listen: {e}")),
    };
    while shard.phase() == Phase::Serving {
        match accept(&socket) {
            Ok(Some(fd)) => {
                shard.common.counters.accepted.fetch_add(1, Ordering::Relaxed);
                let Some(peer) = peer_of(&fd) else { continue };
                match Socket::new(fd) {
                    Ok(client) => {
                        if let Some(connection) = shard.accept(peer, Transport::plain(client)) {
                            let serve = connection::serve(shard.clone(), connection);
                            glommio::spawn_local(serve).detach();
                        }
                    }
                    Err(e) => tracing::warn!("cannot serve a connection: {e}"),
                }
            }
            Ok(None) => {
                let readable = async {
                    // An error shows at the next accept.
                    let _ = socket.readable().await;
                };
                let draining = shard.changed.until(|| shard.phase() != Phase::Serving);
                readable.or(draining).await;
            }
            Err(e) => {
                // Out of descriptors, most likely: some will be free later.
                tracing::warn!("cannot accept: {e}");
                glommio::timer::sleep(Duration::from_millis(100)).await;
            }
        }
        glommio::yield_if_needed().await;
    }
}

/// The client's address; `None` where it has gone already.
fn peer_of(fd: &OwnedFd) -> Option<SocketAddr> {
    let copy = fd.try_clone().ok()?;
    std::net::TcpStream::from(copy).peer_addr().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_an_address_and_others_do_not() {
        let any = "127.0.0.1:0".parse().unwrap();
        let (address, sockets) = bind(any, 3).unwrap();
        assert_eq!(sockets.len(), 3);
        assert!(sockets.iter().all(|it| it.local_addr().unwrap() == address));
        for it in &sockets {
            listen(it).unwrap();
        }
        assert_eq!(bind(address, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(sockets);
        let (_, six) = bind("[::1]:0".parse().unwrap(), 1).unwrap();
        assert!(six[0].local_addr().unwrap().is_ipv6());
    }
}
