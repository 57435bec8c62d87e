//! Every shard listens on the same address; the kernel spreads new connections over them.

use super::connection;
use super::socket::{Socket, accept};
use super::state::{Phase, Shard};
use futures_lite::FutureExt;
use std::net::TcpListener;
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
    while shard.phase.get() == Phase::Serving {
        match accept(socket.get_ref()) {
            Ok(Some(fd)) => {
                shard.common.counters.accepted.fetch_add(1, Ordering::Relaxed);
                let peer = peer_of(&fd);
                match Socket::new(fd) {
                    Ok(client) => {
                        glommio::spawn_local(connection::serve(shard.clone(), client, peer))
                            .detach();
                    }
                    Err(e) => tracing::warn!("cannot serve a connection: {e}"),
                }
            }
            Ok(None) => {
                let readable = async {
                    // An error shows at the next accept.
                    let _ = socket.readable().await;
                };
                let draining = shard.changed.until(|| shard.phase.get() != Phase::Serving);
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

fn peer_of(fd: &OwnedFd) -> String {
    let Ok(copy) = fd.try_clone() else { return "unknown".to_owned() };
    let stream = std::net::TcpStream::from(copy);
    stream.peer_addr().map_or_else(|_| "unknown".to_owned(), |it| it.to_string())
}
