//! Ports.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// The names of this process's ports, see [`reserve`].
static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A loopback port that nobody listens on, and that no other test is given while this process lives.
/// It lies below the range from which the kernel takes the ports of clients: a client that tries a
/// port of that range before the broker listens can connect to itself.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(61);
    (0..10_000)
        .map(|_| {
            20_000 + (first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000) as u16
        })
        .find(|port| reserve(*port))
        .expect("a free port")
}

/// Whether `port` was free and is this process's now. A test chooses ports long before a broker listens
/// on them, so that nobody listens yet says little: what counts is an abstract Unix socket with the
/// port's name, which one process can have and which ends with it. The Python scripts take the same
/// names (`brokers.py`), in the same network namespace as the port itself.
pub fn reserve(port: u16) -> bool {
    let name = SocketAddr::from_abstract_name(format!("klamm-test-port-{port}"));
    let Ok(name) = name.and_then(|name| UnixListener::bind_addr(&name)) else { return false };
    let free = TcpListener::bind(("127.0.0.1", port)).is_ok();
    if free {
        RESERVED.lock().expect("the ports").push(name);
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_though_nobody_listens_on_it() {
        let port = free_port();
        assert!(!reserve(port));
        assert_ne!(free_port(), port);
    }
}
