//! A reader of what transactions have committed: each partition from its start to its end, and over again.

use crate::checkers::log::Value;
use crate::client::{Cx, Facts, Role, TRANSACTED, is_elsewhere};
use crate::reader::ask_fetch;
use crate::session::{Asked, Session};
use klamm::client::Reply;
use klamm::client::consumer::Aborted;
use klamm::types::{ErrorCode, TopicId};
use klamm::wire::kafka::fetch_request::FetchRequest;
use klamm::wire::records::{batches, records};
use std::collections::BTreeMap;

const READ_COMMITTED: i8 = 1;

#[derive(Default)]
struct Partition {
    next: i64,
    in_flight: bool,
    not_before_ms: i64,
    /// All that was read since the last start.
    all: BTreeMap<i64, Value>,
    /// It was begun anew when it was quiet, and read to its end since.
    begun: bool,
    whole: bool,
}

/// See the module.
#[derive(Default)]
pub struct CommittedReader {
    partitions: BTreeMap<i32, Partition>,
}

impl Role for CommittedReader {
    fn topic(&self) -> &'static str {
        TRANSACTED
    }

    fn is_done(&self, facts: &Facts) -> bool {
        let whole = |it: i32| self.partitions.get(&it).is_some_and(|it| it.whole);
        !facts.quiet || (0..facts.plan.partitions).all(whole)
    }

    fn waits(&self) -> String {
        let of = |(number, it): (&i32, &Partition)| format!("{number}: {}, {}", it.next, it.whole);
        let all = self.partitions.iter().map(of).collect::<Vec<_>>();
        format!("reader of what is committed {}", all.join("; "))
    }

    fn act(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        for (partition, (leader, epoch)) in cx.leaders {
            let (partition, epoch) = (*partition, *epoch);
            if *leader != node || session.asked.len() > 4 {
                continue;
            }
            let it = self.partitions.entry(partition).or_default();
            if it.in_flight || it.not_before_ms > cx.now_ms || it.whole {
                continue;
            }
            if cx.facts.quiet && !it.begun {
                (it.begun, it.next) = (true, 0);
                it.all.clear();
            }
            it.in_flight = true;
            let (topic, from) = ((TRANSACTED, TopicId::ZERO), it.next);
            ask_fetch(cx.rng, session, topic, (partition, epoch, from), READ_COMMITTED);
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, _: i32, asked: &Asked, reply: &Reply) {
        let Asked::Fetch(partition, from) = *asked else { return };
        let it = self.partitions.get_mut(&partition).expect("it was asked");
        it.in_flight = false;
        let response = reply.read::<FetchRequest<'_>>().expect("an answer");
        let Some(answer) = response.responses.first().and_then(|it| it.partitions.first()) else {
            let error = ErrorCode(response.error_code);
            assert_eq!(error, ErrorCode::NONE, "partition {partition}: a fetch");
            return;
        };
        match ErrorCode(answer.error_code) {
            ErrorCode::NONE => {}
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
        let (end, stable) = (answer.high_watermark, answer.last_stable_offset);
        let bytes = answer.records.unwrap_or_default();
        let mut aborted = Aborted::new(true, answer);
        for (header, batch) in batches(bytes) {
            assert!(
                header.next_offset() <= stable,
                "partition {partition}: {} is not stable, up to {stable}",
                header.base_offset
            );
            let hidden = aborted.hides(&header, batch);
            if header.next_offset() <= from {
                continue;
            }
            if !hidden && !header.is_control() {
                for record in &records(batch, 1 << 20).expect("records") {
                    let record = record.expect("a record");
                    if record.offset < from {
                        continue;
                    }
                    let value = Value::decode(record.value.expect("a value"));
                    cx.facts.counts.read_committed += 1;
                    cx.facts.transactions.read(partition, record.offset, value);
                    it.all.insert(record.offset, value);
                }
            }
            it.next = header.next_offset();
        }
        if bytes.is_empty() {
            it.not_before_ms = cx.now_ms + 20;
        }
        // All that was begun has ended, and was read.
        if cx.facts.quiet && it.begun && stable == end && it.next >= end {
            it.whole = true;
            cx.facts.transactions.read_whole(partition, &it.all);
        } else if !cx.facts.quiet && it.next >= stable && cx.rng.chance(10) {
            it.next = 0;
            it.all.clear();
        }
    }

    fn lost(&mut self, _: i32, asked: &Asked, now_ms: i64) {
        if let Asked::Fetch(partition, _) = *asked {
            let it = self.partitions.entry(partition).or_default();
            (it.in_flight, it.not_before_ms) = (false, now_ms + 50);
        }
    }
}
