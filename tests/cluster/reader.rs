//! Readers: each partition from its start to its end, and over again.

use crate::cluster::Cx;
use crate::history::Value;
use crate::session::{Asked, Session};
use klamm::client::Reply;
use klamm::types::ErrorCode;
use klamm::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use klamm::wire::kafka::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use klamm::wire::records::{batches, records};
use std::collections::BTreeMap;

#[derive(Default)]
struct Partition {
    next: i64,
    in_flight: bool,
    not_before_ms: i64,
    /// All that was read since the last start.
    all: BTreeMap<i64, Value>,
    /// In the calm: where the partition ends.
    latest: Option<i64>,
    asked_latest: bool,
    /// How far it had read when it asked.
    asked_at: i64,
    /// It was read from its start to its end in the calm.
    whole: bool,
    /// It was begun anew in the calm.
    begun: bool,
}

/// See the module.
#[derive(Default)]
pub struct Reader {
    partitions: BTreeMap<i32, Partition>,
}

impl Reader {
    /// In the calm it has read all.
    pub fn is_done(&self, partitions: i32) -> bool {
        (0..partitions).all(|it| self.partitions.get(&it).is_some_and(|it| it.whole))
    }

    /// What it has not read.
    pub fn waits(&self) -> String {
        let of = |(number, it): (&i32, &Partition)| {
            format!("{number}: {} of {:?}, in flight {}", it.next, it.latest, it.in_flight)
        };
        self.partitions.iter().map(of).collect::<Vec<_>>().join("; ")
    }

    pub fn act(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        for partition in 0..cx.partitions {
            let Some((leader, epoch)) = cx.leaders.get(&partition).copied() else { continue };
            if leader != node || session.asked.len() > 4 {
                continue;
            }
            let it = self.partitions.entry(partition).or_default();
            if it.in_flight || it.not_before_ms > cx.now_ms || it.whole {
                continue;
            }
            if cx.quiet && !it.begun {
                (it.begun, it.next) = (true, 0);
                it.all.clear();
            }
            if cx.quiet && it.latest.is_none() {
                if !it.asked_latest {
                    it.asked_latest = true;
                    ask_latest(cx, session, partition, epoch);
                }
                continue;
            }
            if !cx.quiet && !it.asked_latest && cx.rng.chance(10) {
                (it.asked_latest, it.asked_at) = (true, it.next);
                ask_latest(cx, session, partition, epoch);
            }
            it.in_flight = true;
            let wanted = FetchPartition {
                partition,
                fetch_offset: it.next,
                current_leader_epoch: epoch,
                partition_max_bytes: 1 << cx.rng.between(8, 18),
                ..FetchPartition::default()
            };
            let request = FetchRequest {
                max_wait_ms: cx.rng.below(300) as i32,
                min_bytes: 1,
                max_bytes: 1 << 20,
                session_epoch: -1,
                topics: vec![FetchTopic {
                    topic: cx.topic,
                    topic_id: cx.topic_id,
                    partitions: vec![wanted],
                }],
                ..FetchRequest::default()
            };
            session.send(&request, Asked::Fetch(partition, it.next));
        }
    }

    pub fn answered(&mut self, cx: &mut Cx<'_>, asked: &Asked, reply: &Reply) {
        match *asked {
            Asked::Latest(partition) => {
                let response = reply.read::<ListOffsetsRequest<'_>>().expect("an answer");
                let answer = &response.topics[0].partitions[0];
                let it = self.partitions.get_mut(&partition).expect("it was asked");
                it.asked_latest = false;
                match ErrorCode(answer.error_code) {
                    ErrorCode::NONE if cx.quiet => it.latest = Some(answer.offset),
                    // The leader of this epoch knows of all that was read in it, and before.
                    ErrorCode::NONE => {
                        let (latest, read) = (answer.offset, it.asked_at);
                        assert!(
                            latest >= read,
                            "partition {partition}: latest {latest}, {read} was read"
                        );
                    }
                    ErrorCode::NOT_LEADER_OR_FOLLOWER
                    | ErrorCode::OFFSET_NOT_AVAILABLE
                    | ErrorCode::FENCED_LEADER_EPOCH
                    | ErrorCode::UNKNOWN_LEADER_EPOCH
                    | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => *cx.stale = true,
                    error => panic!("partition {partition}: latest: {error}"),
                }
                self.ends(cx, partition);
            }
            Asked::Fetch(partition, from) => {
                let response = reply.read::<FetchRequest<'_>>().expect("an answer");
                let it = self.partitions.get_mut(&partition).expect("it was asked");
                it.in_flight = false;
                let top = ErrorCode(response.error_code);
                let Some(answer) = response.responses.first().and_then(|it| it.partitions.first())
                else {
                    assert_eq!(top, ErrorCode::NONE, "partition {partition}: a fetch");
                    return;
                };
                match ErrorCode(answer.error_code) {
                    ErrorCode::NONE => {}
                    ErrorCode::NOT_LEADER_OR_FOLLOWER
                    | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                    | ErrorCode::UNKNOWN_TOPIC_ID
                    | ErrorCode::OFFSET_NOT_AVAILABLE
                    | ErrorCode::FENCED_LEADER_EPOCH
                    | ErrorCode::UNKNOWN_LEADER_EPOCH
                    | ErrorCode::KAFKA_STORAGE_ERROR => {
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
                        cx.history.read(partition, record.offset, value);
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
            _ => {}
        }
    }

    /// Whether a partition was read whole, in the calm.
    fn ends(&mut self, cx: &mut Cx<'_>, partition: i32) {
        let it = self.partitions.get_mut(&partition).expect("it was asked");
        if cx.quiet && it.begun && it.latest.is_some_and(|latest| it.next >= latest) && !it.whole {
            it.whole = true;
            cx.history.read_whole(partition, &it.all);
        }
    }

    pub fn lost(&mut self, asked: &Asked, now_ms: i64) {
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

/// Asks a leader up to where its partition may be read.
fn ask_latest(cx: &Cx<'_>, session: &mut Session, partition: i32, epoch: i32) {
    let wanted = ListOffsetsPartition {
        partition_index: partition,
        timestamp: -1,
        current_leader_epoch: epoch,
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic { name: cx.topic, partitions: vec![wanted] }],
        ..ListOffsetsRequest::default()
    };
    session.send(&request, Asked::Latest(partition));
}
