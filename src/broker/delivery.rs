//! What is noted of an answer when the kernel has taken it.

use super::connection::{ConnectionId, Traced};
use super::state::State;
use crate::metrics::{RequestStage, SAMPLED, Stages};
use crate::wire::api_keys::ApiKey;
use std::net::SocketAddr;

/// Lines about slow requests in a second.
const SLOW_LINES: u32 = 10;

impl State {
    /// The kernel has taken so many bytes of what is to be sent. True where there is more.
    pub(super) fn sent(&self, connection: ConnectionId, bytes: usize) -> bool {
        let mut connections = self.connections.borrow_mut();
        let more = connections.sent(self.monotonic_ms(), connection, bytes);
        let mut next = connections.next_delivered(connection);
        if next.is_none() {
            return more;
        }
        let now = self.ticks();
        let mut traffic = self.traffic.borrow_mut();
        let mut number = 0;
        while let Some(it) = next {
            let ns = self.ns(it.asked.received, now);
            traffic.response(it.asked.api, it.bytes, ns, &it.errors);
            if let Some(Traced { mut stages, queued }) = it.traced {
                stages.set(RequestStage::Send, self.ns(queued, now));
                if usize::is_multiple_of(number, SAMPLED) {
                    traffic.stages(
                        &[
                            RequestStage::Receive,
                            RequestStage::Decode,
                            RequestStage::Route,
                            RequestStage::Reply,
                            RequestStage::Send,
                        ],
                        &stages,
                    );
                }
                number += 1;
                if ns >= self.slow_ns {
                    traffic.slow += 1;
                    self.tell_slow(connections.peer(connection), it.asked.api, ns, &stages);
                }
            }
            next = connections.next_delivered(connection);
        }
        more
    }

    /// Logs a slow request: a few of them each second, so that a slow disk is not kept busy with it.
    fn tell_slow(&self, peer: Option<SocketAddr>, api: ApiKey, ns: u64, stages: &Stages) {
        let second = self.monotonic_ms() / 1000;
        let (since, told) = self.slow.get();
        let told = if since == second { told } else { 0 };
        self.slow.set((second, told + 1));
        if told < SLOW_LINES {
            let peer = peer.map(tracing::field::display);
            tracing::warn!(shard = self.id, peer, %api, ms = ns / 1_000_000, "slow, µs: {stages}");
        }
    }
}
