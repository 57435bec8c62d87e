//! Every shard listens on the same address; the kernel spreads new connections over them.

use super::connection;
use super::socket::{Socket, accept};
use super::state::Shard;
use super::transport::Transport;
use crate::broker::Phase;
use futures_lite::FutureExt;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Accepts until the shard drains. Dropping the socket refuses who comes later.
pub async fn run(shard: Rc<Shard>, socket: TcpListener) {
    let socket = match glommio::io::PollableFd::new(socket) {
        Ok(socket) => socket,
        Err(e) => super::state::fatal(&format!("cannot listen: {e}")),
    };
    while shard.phase() == Phase::Serving {
        match accept(socket.get_ref()) {
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
