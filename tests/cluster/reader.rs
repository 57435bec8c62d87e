//! Readers: each partition from its start to its end, and over again.

use crate::checkers::log::Value;
use crate::client::{Cx, Facts, Role, TOPIC, is_elsewhere};
use crate::session::{Asked, Session};
use klamm::client::Reply;
use klamm::storage::device::sim_disk::Rng;
use klamm::types::{ErrorCode, TopicId};
use klamm::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use klamm::wire::kafka::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use klamm::wire::records::{batches, records};
use std::collections::BTreeMap;

const LATEST: i64 = -1;
const READ_UNCOMMITTED: i8 = 0;

#[derive(Default)]
struct Partition {
    next: i64,
    in_flight: bool,
    not_before_ms: i64,
    /// All that was read since the last start.
    all: BTreeMap<i64, Value>,
    /// When it is quiet: where the partition ends.
    latest: Option<i64>,
    asked_latest: bool,
    /// How far it had read when it asked.
    asked_at: i64,
    /// It was read from its start to its end so often.
    whole: u32,
    /// It was begun so often.
    begun: u32,
}

/// See the module.
#[derive(Default)]
pub struct Reader {
    partitions: BTreeMap<i32, Partition>,
}

impl Role for Reader {
    fn is_done(&self, facts: &Facts) -> bool {
        let whole = |it: &Partition| it.whole >= facts.pass;
        (0..facts.partitions).all(|it| self.partitions.get(&it).is_some_and(whole))
    }

    fn waits(&self) -> String {
        let of = |(number, it): (&i32, &Partition)| {
            format!("{number}: {} of {:?}, in flight {}", it.next, it.latest, it.in_flight)
        };
        self.partitions.iter().map(of).collect::<Vec<_>>().join("; ")
    }

    fn act(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        for (partition, (leader, epoch)) in cx.leaders {
            let (partition, epoch) = (*partition, *epoch);
            if *leader != node || session.asked.len() > 4 {
                continue;
            }
            let it = self.partitions.entry(partition).or_default();
            let pass = cx.facts.pass;
            if it.in_flight || it.not_before_ms > cx.now_ms || pass > 0 && it.whole >= pass {
                continue;
            }
            if it.begun < pass && !it.asked_latest {
                (it.begun, it.next, it.latest) = (pass, 0, None);
                it.all.clear();
            }
            if cx.facts.quiet && it.latest.is_none() {
                if !it.asked_latest {
                    it.asked_latest = true;
                    ask_latest(session, partition, epoch);
                }
                continue;
            }
            if !cx.facts.quiet && !it.asked_latest && cx.rng.chance(10) {
                (it.asked_latest, it.asked_at) = (true, it.next);
                ask_latest(session, partition, epoch);
            }
            it.in_flight = true;
            let topic = (TOPIC, cx.facts.topic_id);
            ask_fetch(cx.rng, session, topic, (partition, epoch, it.next), READ_UNCOMMITTED);
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, _: i32, asked: &Asked, reply: &Reply) {
        match *asked {
            Asked::Latest(partition) => {
                let it = self.partitions.get_mut(&partition).expect("it was asked");
                it.asked_latest = false;
                let Some(latest) = listed(cx, partition, reply) else { return };
                if cx.facts.quiet && it.begun == cx.facts.pass {
                    it.latest = Some(latest);
                } else {
                    // The leader of this epoch knows of all that was read in it, and before.
                    let read = it.asked_at;
                    assert!(
                        latest >= read,
                        "partition {partition}: latest {latest}, {read} was read"
                    );
                }
                self.ends(cx, partition);
            }
            Asked::Fetch(partition, from) => self.fetched(cx, partition, from, reply),
            _ => {}
        }
    }

    fn lost(&mut self, _: i32, asked: &Asked, now_ms: i64) {
        match *asked {
            Asked::Fetch(partition, _) => {
                let it = self.partitions.entry(partition).or_default();
                (it.in_flight, it.not_before_ms) = (false, now_ms + 50);
            }
            Asked::Latest(partition) => {
                self.partitions.entry(partition).or_default().asked_latest = false;
            }
            _ => {}
        }
    }
}

impl Reader {
    fn fetched(&mut self, cx: &mut Cx<'_>, partition: i32, from: i64, reply: &Reply) {
        let response = reply.read::<FetchRequest<'_>>().expect("an answer");
        let it = self.partitions.get_mut(&partition).expect("it was asked");
        it.in_flight = false;
        let top = ErrorCode(response.error_code);
        let Some(answer) = response.responses.first().and_then(|it| it.partitions.first()) else {
            assert_eq!(top, ErrorCode::NONE, "partition {partition}: a fetch");
            return;
        };
        match ErrorCode(answer.error_code) {
            ErrorCode::NONE => {}
            // What is below the start of the log is gone; nothing that was read is above its end.
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                let start = answer.log_start_offset;
                if start < 0 {
                    it.not_before_ms = cx.now_ms + 50;
                    return;
                }
                assert!(
                    from < start,
                    "partition {partition}: {from} is out of range, from {start}"
                );
                cx.facts.log.starts(partition, start, cx.wall_ms);
                it.next = it.next.max(start);
                return self.ends(cx, partition);
            }
            error if is_elsewhere(error) => {
                it.not_before_ms = cx.now_ms + 50;
                *cx.stale = true;
                return;
            }
            error => panic!("partition {partition}: a fetch at {from}: {error}"),
        }
        if it.next != from {
            // It was begun anew meanwhile.
            return;
        }
        let bytes = answer.records.unwrap_or_default();
        for (header, batch) in batches(bytes) {
            for record in &records(batch, 1 << 20).expect("records") {
                let record = record.expect("a record");
                if record.offset < from {
                    continue;
                }
                assert_eq!(record.offset, it.next, "partition {partition}: a gap");
                let value = Value::decode(record.value.expect("a value"));
                cx.facts.counts.read += 1;
                cx.facts.log.read(partition, record.offset, value, record.timestamp);
                it.all.insert(record.offset, value);
                it.next = record.offset + 1;
            }
            assert!(header.next_offset() >= it.next);
        }
        if bytes.is_empty() {
            it.not_before_ms = cx.now_ms + 20;
        }
        self.ends(cx, partition);
    }

    /// Whether a partition was read whole, when it is quiet.
    fn ends(&mut self, cx: &mut Cx<'_>, partition: i32) {
        let it = self.partitions.get_mut(&partition).expect("it was asked");
        let begun = cx.facts.quiet && it.begun == cx.facts.pass;
        if begun && it.whole < it.begun && it.latest.is_some_and(|latest| it.next >= latest) {
            it.whole = it.begun;
            cx.facts.log.read_whole(partition, &it.all, cx.wall_ms);
        }
    }
}

/// The offset that was asked for; nothing where another leads.
fn listed(cx: &mut Cx<'_>, partition: i32, reply: &Reply) -> Option<i64> {
    let response = reply.read::<ListOffsetsRequest<'_>>().expect("an answer");
    let answer = &response.topics[0].partitions[0];
    match ErrorCode(answer.error_code) {
        ErrorCode::NONE => Some(answer.offset),
        error if is_elsewhere(error) => {
            *cx.stale = true;
            None
        }
        error => panic!("partition {partition}: an offset: {error}"),
    }
}

/// Asks the leader, in this epoch, for what a partition has from an offset on.
pub fn ask_fetch(
    rng: &mut Rng,
    session: &mut Session,
    (topic, topic_id): (&str, TopicId),
    (partition, epoch, from): (i32, i32, i64),
    isolation_level: i8,
) {
    let wanted = FetchPartition {
        partition,
        fetch_offset: from,
        current_leader_epoch: epoch,
        partition_max_bytes: 1 << rng.between(8, 18),
        ..FetchPartition::default()
    };
    let request = FetchRequest {
        max_wait_ms: rng.below(300) as i32,
        min_bytes: 1,
        max_bytes: 1 << 20,
        isolation_level,
        session_epoch: -1,
        topics: vec![FetchTopic { topic, topic_id, partitions: vec![wanted] }],
        ..FetchRequest::default()
    };
    session.send(&request, Asked::Fetch(partition, from));
}

/// Asks a leader up to where its partition may be read.
fn ask_latest(session: &mut Session, partition: i32, epoch: i32) {
    let wanted = ListOffsetsPartition {
        partition_index: partition,
        timestamp: LATEST,
        current_leader_epoch: epoch,
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic { name: TOPIC, partitions: vec![wanted] }],
        ..ListOffsetsRequest::default()
    };
    session.send(&request, Asked::Latest(partition));
}
