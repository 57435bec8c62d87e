//! Figures of replication and of the controller, for [`metrics`](super::metrics).

use super::text::Text;
use crate::broker::{ControllerFigures, ReplicaLag, ReplicationFigures, ShardFigures};

type OfShard = (&'static str, &'static str, fn(&ReplicationFigures) -> u64);

const SHARD: [OfShard; 6] = [
    ("klamm_isr_shrinks_total", "In-sync replicas that became fewer, of what is led here.", |it| {
        it.isr_shrinks
    }),
    ("klamm_isr_expands_total", "In-sync replicas that became more, of what is led here.", |it| {
        it.isr_expands
    }),
    ("klamm_truncations_total", "Logs that were cut to what their leaders have.", |it| {
        it.truncations
    }),
    ("klamm_truncated_offsets_total", "Offsets that were cut off by that.", |it| {
        it.truncated_offsets
    }),
    ("klamm_damaged_logs_total", "Logs that were found to be damaged.", |it| it.damaged),
    ("klamm_repaired_logs_total", "Damaged logs that were copied from their leaders.", |it| {
        it.repaired
    }),
];

type OfNode = (&'static str, &'static str, fn(&ReplicaLag) -> f64);

const LAG: [OfNode; 3] = [
    ("klamm_replica_lag_records", "Records that a follower lacks, where that is most.", |it| {
        it.records as f64
    }),
    ("klamm_replica_lag_bytes", "Bytes of them.", |it| it.bytes as f64),
    ("klamm_replica_lag_seconds", "Since it was at the log's end, where that is longest.", |it| {
        it.ms as f64 / 1e3
    }),
];

type OfController = (&'static str, &'static str, &'static str, fn(&ControllerFigures) -> u64);

const CONTROLLER: [OfController; 6] = [
    ("klamm_raft_term", "gauge", "Term of the metadata quorum.", |it| it.term),
    ("klamm_raft_committed_index", "gauge", "Last entry that a majority has.", |it| it.committed),
    ("klamm_raft_applied_index", "gauge", "Last entry that all shards have applied.", |it| {
        it.applied
    }),
    (
        "klamm_unclean_leader_elections_total",
        "counter",
        "Leaders that this controller had elected although they were not in sync.",
        |it| it.unclean,
    ),
    (
        "klamm_leaders_lost_total",
        "counter",
        "Partitions that lost their leader under this controller, and had nobody else.",
        |it| it.leaderless,
    ),
    (
        "klamm_brokers_fenced_total",
        "counter",
        "Brokers that this controller has fenced, since nobody heard them.",
        |it| it.fenced,
    ),
];

/// Writes them.
pub(super) fn figures(out: &mut Text, shards: &[ShardFigures]) {
    for (name, help, value) in SHARD {
        out.head(name, "counter", help);
        for (shard, it) in shards.iter().enumerate() {
            out.line(name, &[("shard", &shard.to_string())], value(&it.replication));
        }
    }
    for (name, help, value) in LAG {
        out.head(name, "gauge", help);
        for (shard, it) in shards.iter().enumerate() {
            for (node, lag) in &it.replication.lag {
                let labels = [("shard", &*shard.to_string()), ("node", &*node.to_string())];
                out.line(name, &labels, value(lag));
            }
        }
    }
    let Some(controller) = shards.iter().find_map(|it| it.controller.as_ref()) else { return };
    for (name, kind, help, value) in CONTROLLER {
        out.head(name, kind, help);
        out.line(name, &[], value(controller));
    }
    let name = "klamm_leader_elections_total";
    out.head(name, "counter", "Leaders that this controller had elected, by reason.");
    for (reason, count) in &controller.elections {
        out.line(name, &[("reason", reason)], *count);
    }
}
