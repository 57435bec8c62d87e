//! What a broker is made of.

use super::calls::ShardId;
use super::clock::Clock;
use super::connection::{Admission, ConnectionSettings, Limits};
use super::logs::Logs;
use super::node::Node;
use crate::controller::{Controller, Image};
use crate::storage::buffer::Budget;
use crate::types::{BrokerConfigs, ip_limits};
use std::sync::Arc;

/// See the module.
pub struct Parts {
    /// Number of the shard.
    pub id: ShardId,
    /// Shards of the process.
    pub shards: usize,
    /// Walk compressed batches record by record.
    pub strict: bool,
    /// The data directory, as clients are shown it.
    pub data: String,
    /// The metadata.
    pub image: Arc<Image>,
    /// Its partitions.
    pub logs: Logs,
    /// The memory budget of the process.
    pub budget: Arc<Budget>,
    /// The controller, on shard 0.
    pub controller: Option<Controller>,
    /// What random numbers begin with: from the operating system, so that no two lives have the same.
    pub seed: u64,
    /// The clock of stages.
    pub clock: Clock,
    /// Counts the connections of all shards.
    pub admission: Admission,
    /// What connections are bounded by besides settings.
    pub bounds: Bounds,
    /// Produce requests that take this long are logged, ns.
    pub slow_ns: u64,
    /// This broker in its cluster.
    pub node: Arc<Node>,
}

/// What connections are bounded by besides settings.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of requests that the shard may hold.
    pub request_bytes: usize,
    /// Connections that the process has descriptors for.
    pub connections: usize,
}

impl Bounds {
    pub(super) fn settings(self, configs: &BrokerConfigs) -> ConnectionSettings {
        let number = |name: &str, default: usize| {
            configs.number(name).map_or(default, |it| usize::try_from(it).unwrap_or(0))
        };
        ConnectionSettings {
            request_bytes: self.request_bytes,
            answer_bytes: self.request_bytes,
            request_max: number("socket.request.max.bytes", 100 << 20),
            idle_ms: configs.number("connections.max.idle.ms").unwrap_or(600_000),
            limits: Limits {
                total: number("max.connections", usize::MAX).min(self.connections),
                per_ip: number("max.connections.per.ip", usize::MAX),
                // What cannot be read is refused where it is set.
                overrides: configs
                    .text("max.connections.per.ip.overrides")
                    .and_then(|text| ip_limits::parse(text).ok())
                    .map(Arc::new)
                    .unwrap_or_default(),
            },
        }
    }
}
