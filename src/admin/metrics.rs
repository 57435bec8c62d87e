//! Figures in Prometheus' text format (version 0.0.4).
//!
//! Names follow Prometheus' conventions: base units (bytes, seconds), `_total` for what only grows.
//! Figures of a shard carry `shard`.

use crate::shard::{ProcessFigures, ShardFigures};
use std::fmt::Write;

/// Of the answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

type ShardFigure = (&'static str, &'static str, &'static str, fn(&ShardFigures) -> u64);

const SHARD: &[ShardFigure] = &[
    ("klamm_connections", "gauge", "Open connections.", |s| s.connections),
    ("klamm_request_bytes", "gauge", "Bytes of requests in memory.", |s| s.request_bytes),
    ("klamm_disk_full", "gauge", "1 while appends are refused for want of space.", |s| {
        u64::from(s.disk_full)
    }),
    ("klamm_logs", "gauge", "Partitions led by the shard.", |s| s.engine.logs as u64),
    ("klamm_journal_used_bytes", "gauge", "Journal that no checkpoint covers yet.", |s| {
        s.engine.journal_used
    }),
    ("klamm_journal_limit_bytes", "gauge", "Journal at most.", |s| s.engine.journal_limit),
    ("klamm_pending_bytes", "gauge", "Frames that are in no segment yet.", |s| {
        s.engine.pending_bytes
    }),
    ("klamm_staged_bytes", "gauge", "Batches that are in no journal block yet.", |s| {
        s.engine.staged_bytes
    }),
    ("klamm_cache_bytes", "gauge", "Verified chunks of segments in memory.", |s| {
        s.engine.cache_bytes
    }),
    ("klamm_journal_blocks_total", "counter", "Journal blocks written and synced.", |s| {
        s.engine.blocks
    }),
    ("klamm_appended_bytes_total", "counter", "Record batches appended.", |s| {
        s.engine.appended_bytes
    }),
    ("klamm_journal_written_bytes_total", "counter", "Written to the journal.", |s| {
        s.engine.journal_bytes
    }),
    ("klamm_journal_copied_bytes_total", "counter", "Frames copied forward in the journal.", |s| {
        s.engine.copied_bytes
    }),
    ("klamm_segment_written_bytes_total", "counter", "Written to segments and indexes.", |s| {
        s.engine.segment_bytes
    }),
    ("klamm_checkpoint_written_bytes_total", "counter", "Written to checkpoints.", |s| {
        s.engine.checkpoint_bytes
    }),
    ("klamm_rounds_total", "counter", "Write-back rounds finished.", |s| s.engine.rounds),
];

/// The whole answer.
pub fn render(process: &ProcessFigures, shards: &[ShardFigures]) -> String {
    let mut out = String::with_capacity(4096);
    let whole: [(&str, &str, &str, u64); 6] = [
        ("klamm_connections_accepted_total", "counter", "Connections accepted.", process.accepted),
        ("klamm_panics_total", "counter", "Connections closed by a panic.", process.panics),
        ("klamm_memory_used_bytes", "gauge", "Charged to the memory budget.", process.memory_used),
        ("klamm_memory_limit_bytes", "gauge", "The memory budget.", process.memory_limit),
        ("klamm_topics", "gauge", "Topics.", process.topics),
        ("klamm_partitions", "gauge", "Partitions.", process.partitions),
    ];
    for (name, kind, help, value) in whole {
        head(&mut out, name, kind, help);
        writeln!(out, "{name} {value}").expect("writing to a String cannot fail");
    }
    for (name, kind, help, value) in SHARD {
        head(&mut out, name, kind, help);
        for (shard, figures) in shards.iter().enumerate() {
            writeln!(out, "{name}{{shard=\"{shard}\"}} {}", value(figures))
                .expect("writing to a String cannot fail");
        }
    }
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
        .expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_type_and_a_line_for_each_shard() {
        let shard = ShardFigures { connections: 3, ..ShardFigures::default() };
        let text = render(&ProcessFigures::default(), &[shard, ShardFigures::default()]);
        assert!(
            text.contains("# TYPE klamm_connections gauge\nklamm_connections{shard=\"0\"} 3\n")
        );
        let types = text.lines().filter(|l| l.starts_with("# TYPE")).count();
        assert_eq!(types, SHARD.len() + 6);
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').expect("name and value");
            assert!(name.starts_with("klamm_") && value.parse::<u64>().is_ok(), "{line}");
        }
    }
}
