//! Figures in Prometheus' text format (version 0.0.4).
//!
//! Names follow Prometheus' conventions: base units (bytes, seconds), `_total` for what only grows.
//! All begin with `klamm_`. Figures of a shard carry `shard`; figures of an API (`api="Produce"`) are
//! those of all shards.
//!
//! | names | labels | what |
//! |---|---|---|
//! | `requests_total`, `request_bytes_total`, `response_bytes_total` | `api` | requests understood; their bytes; bytes of the answers that were sent |
//! | `request_duration_seconds` (histogram) | `api` | from the last byte of the request until the kernel has taken the answer; waiting that the client asked for (Fetch, JoinGroup) is part of it |
//! | `errors_total` | `api`, `error` | error codes in answers, each as often as it stands there |
//! | `produce_stage_seconds` (histogram) | `shard`, `stage` | where Produce requests spend their time (under load a sample of them): `receive` (waiting for those that came with it), `decode`, `route` (to the shard that owns the partition), `turn` (until a journal block takes it), `journal` (until that block is on the disk), `reply`, `send`; `write` and `sync` are parts of `journal`, of one block in 64; `replicate` (from there until all that are in sync have it on their disks) only of requests that wait for replicas. `turn` and these four are of the owning shard, the others of the connection's |
//! | `group_members` | `group`, `state` | members of a consumer group |
//! | `group_committed_offset`, `group_lag_records` | `group`, `topic`, `partition` | the next offset that the group will read; records from there to the high watermark (no line where the partition is gone) |
//! | `slow_requests_total` | `shard` | Produce requests slower than `--slow-request-ms` |
//! | `connections`, `request_bytes` | `shard` | open connections; bytes of requests in memory |
//! | `connections_over_limit_total`, `connections_stalled_total`, `connections_evicted_total`, `connections_refused_total` | `shard` | connections that were not taken, or closed by the broker, by reason |
//! | `unsent_bytes`, `log_lines_left_out_total` | `shard` | answers that clients have not taken; lines about clients kept out of the log |
//! | `log_lines_dropped_total` | | lines of the log that were dropped, since whoever reads stderr had stalled |
//! | `shard_missed_beats_total` | `shard` | times that a shard slept with work to do, and was woken from outside: a fault |
//! | `shard_held_total`, `shard_blocked_total`, `shard_displaced_total` | `shard` | times that a shard did not come round for 50 ms: one task took that long, a system call did, or others had its processor |
//! | `shard_hold_seconds` (histogram) | `shard` | how long one input (bytes of a client, a message, a completion, a turn) held the shard, which does nothing else meanwhile |
//! | `shard_steps_total`, `shard_steps_most` | `shard` | the same counted in steps of work (partitions, groups, offsets, bytes) rather than in time: in all; of the input that cost most |
//! | `shard_cpu_seconds_total` | `shard` | processor time of the shard's thread |
//! | `producer_state_bytes`, `group_state_bytes`, `fetch_session_bytes` | `shard` | parts of the memory budget |
//! | `producers_refused_total`, `group_requests_refused_total`, `fetch_sessions_refused_total` | `shard` | what was new and found no room there |
//! | `memory_used_bytes`, `memory_limit_bytes` | | the memory budget |
//! | `arena_reserved_bytes`, `arena_touched_bytes`, `arena_used_bytes` | | where buffers come from |
//! | `arena_outside_bytes`, `arena_outside_total` | | buffers that found no room there |
//! | `journal_*`, `segment_*`, `checkpoint_*`, `rounds_total` | `shard` | storage: see the help texts |
//! | `compaction_*`, `uncleanable_partitions` | `shard` | compacted topics: see the help texts |
//! | `partitions_led`, `partitions_under_replicated`, `partitions_under_min_isr`, `partitions_offline`, `controller` | | the cluster as this broker sees it: see the help texts |
//! | `peers_refused_total` | `shard` | brokers that were refused on the port for brokers, and that have refused this one: of another cluster, or without its secret |
//! | `isr_shrinks_total`, `isr_expands_total`, `truncations_total`, `truncated_offsets_total` | `shard` | of partitions that are led here; of those that are followed |
//! | `damaged_logs_total`, `repaired_logs_total` | `shard` | logs whose bytes on the disk are not what was written; those of them that were copied from their leaders, and are in sync again |
//! | `replica_lag_records`, `replica_lag_bytes`, `replica_lag_seconds` | `shard`, `node` | how far a node that follows what is led here is behind, in the partition where that is most; as of the last second |
//! | `raft_term`, `raft_committed_index`, `raft_applied_index` | | the metadata quorum as this node knows it |
//! | `leader_elections_total` | `reason` | leaders that this node has had elected as the controller: a broker was `fenced`, has `registered` anew, `stops`, has `stopped` or was `let_in`; `preferred`, `asked_for`, `reassigned`, `unregistered`, `settings`; `left_over` by the controller before |
//! | `unclean_leader_elections_total`, `leaders_lost_total`, `brokers_fenced_total` | | the same of leaders that were not in sync, of partitions that have lost theirs, and of brokers that nobody heard |
//! | `topics`, `partitions`, `logs` | (`logs`: `shard`) | how many |

use super::cluster;
use super::text::Text;
use crate::broker::{GroupFigures, OffsetFigures, ShardFigures};
use crate::metrics::{RequestStage, Traffic};
use crate::shard::{ProcessFigures, View};
use crate::types::ErrorCode;

/// Media type of the response.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

type ShardFigure = (&'static str, &'static str, &'static str, fn(&ShardFigures) -> u64);

const SHARD: &[ShardFigure] = &[
    ("klamm_connections", "gauge", "Open connections.", |s| s.connections.open),
    ("klamm_requests_in_memory_bytes", "gauge", "Bytes of requests in memory.", |s| {
        s.connections.request_bytes
    }),
    (
        "klamm_peers_refused_total",
        "counter",
        "Brokers that were refused on the port for brokers, and that have refused this one.",
        |s| s.peers_refused,
    ),
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
    ("klamm_disk_read_bytes_total", "counter", "Read from segments and their indexes.", |s| {
        s.engine.read_bytes
    }),
    ("klamm_disk_read_ahead_bytes_total", "counter", "Part of that: before a reader asked.", |s| {
        s.engine.ahead_bytes
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
    ("klamm_recycled_bytes", "gauge", "Bytes of files that wait to be segments again.", |s| {
        s.engine.recycled_bytes
    }),
    ("klamm_direct_bytes_total", "counter", "Bytes written straight into segments.", |s| {
        s.engine.direct_bytes
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
    ("klamm_slow_requests_total", "counter", "Produce requests over --slow-request-ms.", |s| {
        s.traffic.slow
    }),
    (
        "klamm_shard_missed_beats_total",
        "counter",
        "Times that a shard slept with work to do, and was woken from outside: a fault.",
        |s| s.readings.missed_beats,
    ),
    ("klamm_shard_held_total", "counter", "Times that one task took 50 ms.", |s| s.readings.held),
    ("klamm_shard_blocked_total", "counter", "Times that a system call took 50 ms.", |s| {
        s.readings.blocked
    }),
    (
        "klamm_shard_displaced_total",
        "counter",
        "Times that others, or the machine's host, had the shard's processor for most of 50 ms.",
        |s| s.readings.displaced,
    ),
    (
        "klamm_shard_steps_total",
        "counter",
        "Steps of work: partitions, groups, offsets, bytes.",
        |s| s.steps,
    ),
    (
        "klamm_shard_steps_most",
        "gauge",
        "Steps of the input that cost most since the start; a task pauses after some hundreds.",
        |s| s.steps_most,
    ),
    ("klamm_producer_state_bytes", "gauge", "What is known of idempotent producers.", |s| {
        s.producer_bytes
    }),
    (
        "klamm_producers_refused_total",
        "counter",
        "Batches of new idempotent producers that were refused for want of memory.",
        |s| s.producers_refused,
    ),
    (
        "klamm_group_state_bytes",
        "gauge",
        "Members of groups, their offsets, requests that wait.",
        |s| s.group_bytes,
    ),
    (
        "klamm_group_requests_refused_total",
        "counter",
        "Requests of groups that were refused for want of memory.",
        |s| s.group_requests_refused,
    ),
    ("klamm_fetch_session_bytes", "gauge", "Fetch sessions.", |s| s.session_bytes),
    (
        "klamm_fetch_sessions_refused_total",
        "counter",
        "Fetch sessions that were not begun for want of memory.",
        |s| s.sessions_refused,
    ),
    ("klamm_rounds_total", "counter", "Write-back rounds finished.", |s| s.engine.rounds),
    ("klamm_failed_removals_total", "counter", "Removals of files that failed.", |s| {
        s.engine.failed_removals
    }),
    (
        "klamm_compaction_passes_total",
        "counter",
        "Passes of compaction through a log that came to their end.",
        |s| s.engine.compaction_passes,
    ),
    (
        "klamm_compaction_cut_short_total",
        "counter",
        "Those of them for whose keys there was no room: another one goes on.",
        |s| s.engine.compaction_cut_short,
    ),
    ("klamm_compaction_read_bytes_total", "counter", "Bytes that compaction read.", |s| {
        s.engine.compaction_read_bytes
    }),
    (
        "klamm_compaction_written_bytes_total",
        "counter",
        "Bytes that compaction wrote, of what it left.",
        |s| s.engine.compaction_written_bytes,
    ),
    (
        "klamm_compaction_dirty_percent_max",
        "gauge",
        "The largest share of a log that compaction could look at and has not yet.",
        |s| (s.engine.max_dirty_ratio * 100.0) as u64,
    ),
    (
        "klamm_uncleanable_partitions",
        "gauge",
        "Partitions whose compaction has failed: it is tried again after the next start.",
        |s| s.engine.uncleanable,
    ),
    ("klamm_unsent_bytes", "gauge", "Answers that clients have not taken yet.", |s| {
        s.connections.unsent_bytes
    }),
    (
        "klamm_connections_over_limit_total",
        "counter",
        "Connections not taken, for there were too many.",
        |s| s.connections.over_limit,
    ),
    ("klamm_connections_stalled_total", "counter", "Connections closed without progress.", |s| {
        s.connections.closed_stalled
    }),
    (
        "klamm_connections_evicted_total",
        "counter",
        "Connections without progress that were closed while memory was short.",
        |s| s.connections.closed_for_memory,
    ),
    (
        "klamm_connections_refused_total",
        "counter",
        "Connections closed for what the client sent.",
        |s| s.connections.refused,
    ),
    (
        "klamm_log_lines_left_out_total",
        "counter",
        "Lines about clients that the limit kept out of the log.",
        |s| s.connections.lines_left_out,
    ),
];

/// Lines of groups in one piece.
const LINES_MAX: usize = 500;

/// Asks all shards.
pub async fn collect(view: &View, lines_dropped: u64) -> Page {
    let shards = view.shards().await;
    let groups = view.groups().await;
    let mut page = Page::new(view.process().await, shards, groups);
    page.lines_dropped = lines_dropped;
    page
}

/// The whole text, piece by piece: there may be a million offsets, and whoever sends them does other
/// things between two pieces.
pub struct Page {
    process: ProcessFigures,
    lines_dropped: u64,
    shards: Vec<ShardFigures>,
    traffic: Traffic,
    groups: Vec<GroupFigures>,
    next: Next,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Next {
    Figures,
    /// The times of the nth API.
    Api(usize),
    /// The stages of a shard.
    Stages(usize),
    /// How long inputs held each shard.
    Holds,
    Members {
        group: usize,
    },
    Offsets {
        figure: usize,
        group: usize,
        offset: usize,
    },
    End,
}

impl Page {
    pub(super) fn new(
        process: ProcessFigures,
        shards: Vec<ShardFigures>,
        groups: Vec<GroupFigures>,
    ) -> Self {
        let mut traffic = Traffic::default();
        for shard in &shards {
            traffic.add(&shard.traffic);
        }
        Self { process, lines_dropped: 0, shards, traffic, groups, next: Next::Figures }
    }

    fn figures(&self, out: &mut Text) {
        let process = &self.process;
        let panics = process.panics + self.shards.iter().map(|it| it.panics).sum::<u64>();
        let whole: [(&str, &str, &str, u64); 17] = [
            (
                "klamm_connections_accepted_total",
                "counter",
                "Connections accepted.",
                process.accepted,
            ),
            (
                "klamm_log_lines_dropped_total",
                "counter",
                "Lines of the log that were dropped, since nobody took them from stderr.",
                self.lines_dropped,
            ),
            ("klamm_panics_total", "counter", "Requests and connections ended by a panic.", panics),
            (
                "klamm_memory_used_bytes",
                "gauge",
                "Charged to the memory budget.",
                process.memory_used,
            ),
            ("klamm_memory_limit_bytes", "gauge", "The memory budget.", process.memory_limit),
            (
                "klamm_arena_reserved_bytes",
                "gauge",
                "Address space of buffers.",
                process.arena.reserved,
            ),
            (
                "klamm_arena_touched_bytes",
                "gauge",
                "Of that, what was in use at any time: no more than this is memory.",
                process.arena.touched,
            ),
            ("klamm_arena_used_bytes", "gauge", "Of that, in use now.", process.arena.in_use),
            (
                "klamm_arena_outside_bytes",
                "gauge",
                "Buffers that found no room in the arena and are on the general heap.",
                process.arena.outside,
            ),
            (
                "klamm_arena_outside_total",
                "counter",
                "How many buffers found no room in the arena.",
                process.arena.outside_total,
            ),
            ("klamm_topics", "gauge", "Topics.", process.topics),
            ("klamm_partitions", "gauge", "Partitions.", process.partitions),
            ("klamm_partitions_led", "gauge", "Partitions that this broker leads.", process.led),
            (
                "klamm_partitions_under_replicated",
                "gauge",
                "Partitions that this broker leads and that have a replica which is not in sync.",
                process.under_replicated,
            ),
            (
                "klamm_partitions_under_min_isr",
                "gauge",
                "Partitions that this broker leads and that have fewer replicas in sync than min.insync.replicas.",
                process.under_min_isr,
            ),
            ("klamm_partitions_offline", "gauge", "Partitions that nobody leads.", process.offline),
            (
                "klamm_controller",
                "gauge",
                "1 where this broker leads the metadata quorum.",
                u64::from(process.is_controller),
            ),
        ];
        for (name, kind, help, value) in whole {
            out.head(name, kind, help);
            out.line(name, &[], value);
        }
        for (name, kind, help, value) in SHARD {
            out.head(name, kind, help);
            for (shard, figures) in self.shards.iter().enumerate() {
                out.line(name, &[("shard", &shard.to_string())], value(figures));
            }
        }
        let name = "klamm_shard_cpu_seconds_total";
        out.head(name, "counter", "Processor time of a shard's thread.");
        for (shard, figures) in self.shards.iter().enumerate() {
            out.line(name, &[("shard", &shard.to_string())], figures.readings.cpu_ns as f64 / 1e9);
        }
        cluster::figures(out, &self.shards);
        apis(out, &self.traffic);
    }

    fn api_times(&self, out: &mut Text, nth: usize) -> Next {
        let name = "klamm_request_duration_seconds";
        if nth == 0 {
            out.head(
                name,
                "histogram",
                "From the last byte of a request until its answer is sent.",
            );
        }
        let Some((api, it)) = self.traffic.apis().nth(nth) else { return Next::Stages(0) };
        out.histogram(name, &[("api", &api.to_string())], &it.times);
        Next::Api(nth + 1)
    }

    fn stages(&self, out: &mut Text, shard: usize) -> Next {
        let name = "klamm_produce_stage_seconds";
        if shard == 0 {
            out.head(name, "histogram", "Where Produce requests spend their time.");
        }
        let Some(figures) = self.shards.get(shard) else { return Next::Holds };
        for stage in RequestStage::ALL {
            let labels = [("shard", &*shard.to_string()), ("stage", stage.name())];
            out.histogram(name, &labels, figures.traffic.stage(stage));
        }
        Next::Stages(shard + 1)
    }

    fn holds(&self, out: &mut Text) -> Next {
        let name = "klamm_shard_hold_seconds";
        let help = "How long one input held a shard, which does nothing else meanwhile.";
        out.head(name, "histogram", help);
        for (shard, figures) in self.shards.iter().enumerate() {
            out.histogram(name, &[("shard", &*shard.to_string())], &figures.traffic.holds);
        }
        Next::Members { group: 0 }
    }

    fn members(&self, out: &mut Text, first: usize) -> Next {
        let name = "klamm_group_members";
        if first == 0 {
            out.head(name, "gauge", "Members of a consumer group.");
        }
        for group in self.groups.iter().skip(first).take(LINES_MAX) {
            out.line(name, &[("group", &group.group_id), ("state", group.state)], group.members);
        }
        if first + LINES_MAX < self.groups.len() {
            return Next::Members { group: first + LINES_MAX };
        }
        Next::Offsets { figure: 0, group: 0, offset: 0 }
    }

    fn offsets(&self, out: &mut Text, figure: usize, group: usize, offset: usize) -> Next {
        let Some((name, help, value)) = OFFSET.get(figure) else { return Next::End };
        if group == 0 && offset == 0 {
            out.head(name, "gauge", help);
        }
        let Some(of) = self.groups.get(group) else {
            return Next::Offsets { figure: figure + 1, group: 0, offset: 0 };
        };
        for it in of.offsets.iter().skip(offset).take(LINES_MAX) {
            let partition = it.partition.to_string();
            let labels =
                [("group", &*of.group_id), ("topic", &it.topic), ("partition", &partition)];
            match value(it) {
                Some(value) => out.line(name, &labels, value),
                // Looked at all the same.
                None => out.lines += 1,
            }
        }
        if offset + LINES_MAX < of.offsets.len() {
            return Next::Offsets { figure, group, offset: offset + LINES_MAX };
        }
        Next::Offsets { figure, group: group + 1, offset: 0 }
    }
}

impl Page {
    /// Frees as much of it as a piece has lines; whether there is more. It cannot be read any further.
    pub fn free_some(&mut self) -> bool {
        self.next = Next::End;
        let mut left = LINES_MAX;
        while left > 0 {
            let Some(group) = self.groups.last_mut() else { return false };
            let offsets = group.offsets.len();
            group.offsets.truncate(offsets.saturating_sub(left));
            left = left.saturating_sub(offsets.max(1));
            if group.offsets.is_empty() {
                self.groups.pop();
            }
        }
        !self.groups.is_empty()
    }
}

impl Iterator for Page {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if matches!(self.next, Next::End) {
            return None;
        }
        let mut out = Text::default();
        // Groups of one offset each would make a piece each.
        while out.lines < LINES_MAX {
            self.next = match self.next {
                Next::Figures => {
                    self.figures(&mut out);
                    Next::Api(0)
                }
                Next::Api(nth) => self.api_times(&mut out, nth),
                Next::Stages(shard) => self.stages(&mut out, shard),
                Next::Holds => self.holds(&mut out),
                Next::Members { group } => self.members(&mut out, group),
                Next::Offsets { figure, group, offset } => {
                    self.offsets(&mut out, figure, group, offset)
                }
                Next::End => break,
            };
        }
        Some(out.text)
    }
}

type OffsetFigure = (&'static str, &'static str, fn(&OffsetFigures) -> Option<i64>);

const OFFSET: &[OffsetFigure] = &[
    ("klamm_group_committed_offset", "The next offset that a group will read.", |it| {
        Some(it.offset)
    }),
    (
        "klamm_group_lag_records",
        "Records between a group's committed offset and the high watermark.",
        |it| it.lag,
    ),
];

type ApiFigure = (&'static str, &'static str, fn(&crate::metrics::ApiTraffic) -> u64);

const API: &[ApiFigure] = &[
    ("klamm_requests_total", "Requests that were understood.", |it| it.requests),
    ("klamm_request_bytes_total", "Their bytes.", |it| it.request_bytes),
    ("klamm_response_bytes_total", "Bytes of the answers sent.", |it| it.response_bytes),
];

fn apis(out: &mut Text, all: &Traffic) {
    for (name, help, value) in API {
        out.head(name, "counter", help);
        for (api, it) in all.apis() {
            out.line(name, &[("api", &api.to_string())], value(it));
        }
    }
    let name = "klamm_errors_total";
    out.head(name, "counter", "Error codes in answers.");
    for (api, it) in all.apis() {
        for (code, times) in &it.errors {
            let error = ErrorCode(*code).name();
            out.line(name, &[("api", &api.to_string()), ("error", error)], *times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::connection::Stats;
    use crate::broker::{ControllerFigures, ReplicaLag};
    use crate::types::TopicId;
    use crate::wire::Tally;
    use crate::wire::api_keys::ApiKey;

    #[test]
    fn every_figure_has_its_type_and_a_line_for_each_shard() {
        let mut shard = ShardFigures {
            connections: Stats { open: 3, ..Stats::default() },
            ..ShardFigures::default()
        };
        let mut errors = Tally::default();
        errors.add(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0);
        shard.traffic.request(ApiKey::PRODUCE, 10);
        shard.traffic.response(ApiKey::PRODUCE, 20, 40_000, &errors);
        let offset = OffsetFigures {
            topic: "t".into(),
            topic_id: TopicId::ZERO,
            partition: 2,
            offset: 5,
            lag: Some(7),
        };
        let group = GroupFigures {
            group_id: "g\"1".into(),
            state: "Stable",
            members: 3,
            offsets: vec![offset],
        };
        let lag = ReplicaLag { records: 4, bytes: 500, ms: 1_500 };
        shard.replication.lag.insert(3, lag);
        shard.controller = Some(ControllerFigures {
            term: 9,
            elections: [("fenced", 6)].into(),
            ..ControllerFigures::default()
        });
        let shards = vec![shard, ShardFigures::default()];
        let page = Page::new(ProcessFigures::default(), shards, vec![group]);
        let text: String = page.collect();
        for expected in [
            "# TYPE klamm_connections gauge\nklamm_connections{shard=\"0\"} 3\n",
            "klamm_requests_total{api=\"Produce\"} 1\n",
            "klamm_errors_total{api=\"Produce\",error=\"UNKNOWN_TOPIC_OR_PARTITION\"} 1\n",
            "klamm_request_duration_seconds_bucket{api=\"Produce\",le=\"0.00003\"} 0\n",
            "klamm_request_duration_seconds_bucket{api=\"Produce\",le=\"0.00005\"} 1\n",
            "klamm_request_duration_seconds_bucket{api=\"Produce\",le=\"+Inf\"} 1\n",
            "klamm_request_duration_seconds_sum{api=\"Produce\"} 0.00004\n",
            "klamm_group_members{group=\"g\\\"1\",state=\"Stable\"} 3\n",
            "klamm_group_lag_records{group=\"g\\\"1\",topic=\"t\",partition=\"2\"} 7\n",
            "klamm_replica_lag_seconds{shard=\"0\",node=\"3\"} 1.5\n",
            "klamm_isr_shrinks_total{shard=\"1\"} 0\n",
            "klamm_raft_term 9\n",
            "klamm_leader_elections_total{reason=\"fenced\"} 6\n",
            "klamm_produce_stage_seconds_count{shard=\"1\",stage=\"sync\"} 0\n",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').expect("name and value");
            assert!(name.starts_with("klamm_") && value.parse::<f64>().is_ok(), "{line}");
        }
    }

    /// A million offsets, of few groups and of many.
    #[test]
    fn no_piece_is_long() {
        for (groups, offsets) in [(1, 20_000), (20_000, 1), (3, 0)] {
            let offset = |partition| OffsetFigures {
                topic: "t".into(),
                topic_id: TopicId::ZERO,
                partition,
                offset: 5,
                lag: None,
            };
            let group = |n: usize| GroupFigures {
                group_id: format!("g{n}"),
                offsets: (0..offsets).map(offset).collect(),
                ..GroupFigures::default()
            };
            let all = (0..groups).map(group).collect();
            let page = Page::new(ProcessFigures::default(), Vec::new(), all);
            let pieces: Vec<String> = page.collect();
            let lines = |it: &String| it.lines().filter(|it| it.starts_with("klamm_g")).count();
            assert!(pieces.iter().map(lines).all(|n| n <= 2 * LINES_MAX));
            let of = |name: &str| -> usize {
                pieces.iter().map(|it| it.lines().filter(|it| it.starts_with(name)).count()).sum()
            };
            assert_eq!(of("klamm_group_members{"), groups);
            assert_eq!(of("klamm_group_committed_offset{"), groups * offsets as usize);
            assert_eq!(of("klamm_group_lag_records{"), 0);
        }
    }

    #[test]
    fn labels_are_escaped() {
        let mut text = Text::default();
        text.line("n", &[("a", "x\"\\\ny")], 1);
        assert_eq!(text.text, "n{a=\"x\\\"\\\\\\ny\"} 1\n");
    }
}
