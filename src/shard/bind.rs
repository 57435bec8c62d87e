//! The addresses that a broker listens on, which are its own.
//!
//! Every shard has a listening socket on the same address, which takes `SO_REUSEPORT`; with it, the
//! kernel lets a second broker of the same user bind that address too, and gives each of them half of
//! the clients. Binding the address once without it refuses that only while somebody *listens*, and a
//! broker listens when its data is open, which takes a while. So a broker also claims each of its
//! addresses from before it binds it until it ends, by a name that only one process can have.

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long an address may be in use yet. The kernel takes down the rings of a killed process after
/// the process itself is gone, and its sockets with them: a restart right after a SIGKILL would find
/// its own address in use.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// An address that no other broker of this machine may listen on until this is dropped.
///
/// An abstract Unix socket (`unix(7)`): its name is unique in a network namespace, as ports are, and
/// goes with the process, however that ends.
pub struct Claim {
    _name: UnixDatagram,
}

fn take_name(address: SocketAddr) -> io::Result<UnixDatagram> {
    let name = UnixAddr::from_abstract_name(format!("klamm listens on {address}"))?;
    UnixDatagram::bind_addr(&name)
}

impl Claim {
    fn take(address: SocketAddr) -> io::Result<Self> {
        let name = take_name(address)?;
        // Who has all addresses of the port has this one.
        let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        for ip in all.into_iter().filter(|it| *it != address.ip()) {
            take_name(SocketAddr::new(ip, address.port()))?;
        }
        Ok(Self { _name: name })
    }
}

/// Until it works, or the address was in use for too long.
fn when_free<T>(patience: Duration, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < patience => {
                std::thread::sleep(PAUSE);
            }
            other => return other,
        }
    }
}

/// Listens on an address that nobody else listens on, as soon as it is free.
pub fn listen_alone(address: SocketAddr) -> io::Result<TcpListener> {
    when_free(PATIENCE, || TcpListener::bind(address))
}

/// Binds one socket for each shard, all to one address, which is claimed. Nothing listens yet.
pub fn bind(address: SocketAddr, shards: usize) -> io::Result<(Claim, Vec<TcpListener>)> {
    bind_within(PATIENCE, address, shards)
}

fn bind_within(
    patience: Duration,
    address: SocketAddr,
    shards: usize,
) -> io::Result<(Claim, Vec<TcpListener>)> {
    // Others than brokers claim nothing: it is tried whether they listen. A port that is chosen by
    // the kernel is nobody's.
    let claim = if address.port() == 0 {
        None
    } else {
        Some(when_free(patience, || {
            let claim = Claim::take(address)?;
            TcpListener::bind(address)?;
            Ok(claim)
        })?)
    };
    let mut address = address;
    let mut sockets = Vec::with_capacity(shards);
    for _ in 0..shards {
        let socket = bind_one(address)?;
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    let claim = claim.map_or_else(|| Claim::take(address), Ok)?;
    Ok((claim, sockets))
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(TcpListener::from(socket))
}

/// Begins to listen.
pub fn listen(socket: &TcpListener) -> io::Result<()> {
    Ok(rustix::net::listen(socket, BACKLOG)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().expect("an address")
    }

    fn is_refused(address: SocketAddr) -> bool {
        bind_within(AT_ONCE, address, 2).is_err_and(|e| e.kind() == io::ErrorKind::AddrInUse)
    }

    #[test]
    fn shards_share_an_address_and_others_do_not() {
        let (claim, sockets) = bind(any(), 3).expect("a free port");
        let address = sockets[0].local_addr().expect("bound");
        assert!(sockets.iter().all(|it| it.local_addr().is_ok_and(|it| it == address)));
        // Bound, and not listening yet: the data is still being opened.
        assert!(is_refused(address));
        for it in &sockets {
            listen(it).expect("listening");
        }
        assert!(is_refused(address));
        let everywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        assert!(is_refused(everywhere));
        assert!(listen_alone_at_once(address).is_err());
        drop((claim, sockets));
        assert!(!is_refused(address), "it is free again");
        let (_, six) = bind("[::1]:0".parse().expect("an address"), 1).expect("a free port");
        assert!(six[0].local_addr().expect("bound").is_ipv6());
    }

    fn listen_alone_at_once(address: SocketAddr) -> io::Result<TcpListener> {
        when_free(AT_ONCE, || TcpListener::bind(address))
    }

    #[test]
    fn who_binds_all_addresses_has_each_of_them() {
        let all = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let (_claim, sockets) = bind(all, 1).expect("a free port");
        let port = sockets[0].local_addr().expect("bound").port();
        assert!(is_refused(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)));
    }

    #[test]
    fn an_address_that_becomes_free_is_waited_for() {
        let (claim, sockets) = bind(any(), 1).expect("a free port");
        let address = sockets[0].local_addr().expect("bound");
        let waiting = std::thread::spawn(move || bind(address, 1).is_ok());
        drop((claim, sockets));
        assert!(waiting.join().expect("no panic"));
    }
}
