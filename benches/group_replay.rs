//! How long a coordinator takes to load a million committed offsets, and how much memory it holds
//! then: `cargo bench --bench group_replay`.

use std::time::Instant;

use klamm::group::{
    Commit, CommitOffset, CommitTopic, Coordinator, CoordinatorSettings, Effect, GroupRequest,
    Record,
};
use klamm::types::{Now, TopicId};

const COMMITS: usize = 1_000_000;
const NOW_MS: i64 = 1_700_000_000_000;

/// Records of `groups` groups that have committed offsets of `COMMITS / groups` partitions each, a
/// hundred to a topic, in turn: a partition of each group after the other.
fn records(groups: usize) -> Vec<Record> {
    let mut coordinator = Coordinator::new(CoordinatorSettings::default());
    let mut out = Vec::new();
    let mut records = Vec::with_capacity(COMMITS);
    for partition in 0..COMMITS / groups {
        for group in 0..groups {
            // A small one, whose memory does not blur what is measured.
            if records.len() % 1_000 == 0 {
                coordinator = Coordinator::new(CoordinatorSettings::default());
            }
            let topic = CommitTopic {
                name: format!("topic-{:05}", partition / 100),
                topic_id: TopicId([(partition / 100) as u8; 16]),
                partitions: vec![CommitOffset {
                    partition: (partition % 100) as i32,
                    offset: 123_456_789,
                    leader_epoch: 3,
                    metadata: None,
                }],
            };
            let group_id = format!("group-of-a-service-{group:06}");
            let commit = Commit { group_id, topics: vec![topic], ..Commit::default() };
            coordinator.request(Now::at(NOW_MS), 1, GroupRequest::Commit(commit), &mut out);
            for effect in std::mem::take(&mut out) {
                if let Effect::Append { write, records: new, .. } = effect {
                    records.extend(new);
                    coordinator.written(Now::at(NOW_MS), write, Ok(()), &mut out);
                }
            }
            out.clear();
        }
    }
    records
}

/// Resident memory, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|it| it.parse::<u64>().ok());
    pages.unwrap_or_default() * 4096
}

/// Time that this process was on a core, in milliseconds.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let ns = stat.split_whitespace().next().and_then(|it| it.parse::<u64>().ok());
    ns.unwrap_or_default() / 1_000_000
}

fn main() {
    for groups in [1, 1_000, 250_000] {
        let records = records(groups);
        let before = resident();
        let (begun, begun_cpu_ms) = (Instant::now(), cpu_ms());
        let mut coordinator = Coordinator::new(CoordinatorSettings::default());
        for record in &records {
            let value = record.value.as_deref();
            coordinator.replay(Some(&record.key), value, NOW_MS).expect("records of its own");
        }
        let (replayed, replayed_cpu_ms) = (begun.elapsed(), cpu_ms() - begun_cpu_ms);
        let mut out = Vec::new();
        coordinator.start(Now::at(NOW_MS), &mut out);
        let memory = resident().saturating_sub(before) / (1 << 20);
        let begun = Instant::now();
        let live = coordinator.live_state().len();
        let rewritten = begun.elapsed();
        println!(
            "{} commits of {groups} groups: {} ms to load ({replayed_cpu_ms} ms on a core), {memory} \
             MiB more; {} ms to write {live} records of the state, {} MiB",
            records.len(),
            replayed.as_millis(),
            rewritten.as_millis(),
            coordinator.live_bytes() / (1 << 20),
        );
    }
}
