//! Random histories of a partition against a naive model: a list of all batches ever appended, from
//! which every answer is worked out anew.

use super::*;
use crate::types::{ErrorCode, Now};
use crate::wire::records::BatchHeader;
use proptest::collection::vec;
use proptest::prelude::*;

const PRODUCERS: i64 = 4;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// The producer's next batch, as a correct client sends it.
    Next { producer: i64, count: i32 },
    /// The batch that the producer sent `back` batches ago, again.
    Retry { producer: i64, back: usize },
    /// A batch whose sequence is off by `by`.
    Gap { producer: i64, by: i32 },
    /// The producer begins a new epoch (`by` > 0) or an older instance of it wakes up (`by` < 0),
    /// with this sequence.
    Epoch { producer: i64, by: i16, sequence: i32 },
    /// Jumps close to the largest sequence, in a new epoch, as no real client does.
    NearWrap { producer: i64 },
    /// A batch of nobody.
    Plain { count: i32 },
    /// Storage has come `percent` of the way from durable end to log end, to a batch boundary.
    Durable { percent: i64 },
    /// Retention or DeleteRecords, `percent` of the way to the high watermark.
    LogStart { percent: i64 },
    /// Power cut: what is not durable is gone; `percent` of the durable log was in the last
    /// checkpoint, the rest is replayed. Then the next leader epoch.
    Restart { percent: i64 },
    /// Time passes and producers expire.
    Expire { ms: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let producer = || 0..PRODUCERS;
    prop_oneof![
        12 => (producer(), 1..4).prop_map(|(producer, count)| Step::Next { producer, count }),
        6 => (producer(), 0usize..8).prop_map(|(producer, back)| Step::Retry { producer, back }),
        3 => (producer(), -6..6).prop_map(|(producer, by)| Step::Gap { producer, by }),
        2 => (producer(), -2i16..3, 0..2)
            .prop_map(|(producer, by, sequence)| Step::Epoch { producer, by, sequence }),
        1 => producer().prop_map(|producer| Step::NearWrap { producer }),
        3 => (1..4).prop_map(|count| Step::Plain { count }),
        6 => (0i64..=100).prop_map(|percent| Step::Durable { percent }),
        1 => (0i64..=100).prop_map(|percent| Step::LogStart { percent }),
        2 => (0i64..=100).prop_map(|percent| Step::Restart { percent }),
        1 => (0i64..2_000).prop_map(|ms| Step::Expire { ms }),
    ]
}

const EXPIRATION_MS: i64 = 3_000;

/// A batch in the model's log. Never leaves the log but by a power cut.
#[derive(Clone, Copy, Debug)]
struct Logged {
    header: BatchHeader,
    /// The producer's state was not forgotten since.
    remembered: bool,
}

/// When a producer last appended.
#[derive(Clone, Copy, Debug)]
enum Used {
    /// At this time.
    At(i64),
    /// Before the restart, and nobody has looked since: so much earlier than the last of all.
    Earlier(i64),
}

#[derive(Default)]
struct Model {
    log: Vec<Logged>,
    log_start: i64,
    durable_end: i64,
    leader_epoch: i32,
    now_ms: i64,
    used: std::collections::BTreeMap<i64, Used>,
}

impl Model {
    fn log_end(&self) -> i64 {
        self.log.last().map_or(0, |b| b.header.next_offset())
    }

    /// The producer's remembered batches of its newest epoch, oldest first.
    fn known(&self, producer: i64) -> Vec<BatchHeader> {
        let all: Vec<BatchHeader> = self
            .log
            .iter()
            .filter(|b| b.remembered && b.header.producer_id == producer)
            .map(|b| b.header)
            .collect();
        let epoch = all.last().map(|b| b.producer_epoch);
        all.into_iter().filter(|b| Some(b.producer_epoch) == epoch).collect()
    }

    fn expect(&self, batch: &BatchHeader) -> Result<AppendOutcome, ErrorCode> {
        let base_offset = self.log_end();
        let accept = Ok(AppendOutcome::Accept {
            base_offset,
            last_offset: base_offset + i64::from(batch.last_offset_delta),
            log_append_time_ms: None,
        });
        let known = self.known(batch.producer_id);
        let Some(last) = known.last().filter(|_| batch.producer_id >= 0) else { return accept };
        if batch.producer_epoch < last.producer_epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if batch.producer_epoch > last.producer_epoch {
            return if batch.base_sequence == 0 {
                accept
            } else {
                Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
            };
        }
        let recent = &known[known.len().saturating_sub(5)..];
        let original = recent.iter().find(|b| {
            b.base_sequence == batch.base_sequence && b.record_count == batch.record_count
        });
        if let Some(original) = original {
            return Ok(AppendOutcome::Duplicate {
                base_offset: original.base_offset,
                last_offset: original.last_offset(),
                log_append_time_ms: original.max_timestamp,
            });
        }
        if batch.base_sequence == after(last.base_sequence, last.record_count) {
            accept
        } else {
            Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
        }
    }

    fn end_offset_for_epoch(&self, epoch: i32) -> (i32, i64) {
        let epoch_at = |b: &Logged| b.header.partition_leader_epoch;
        if epoch > self.leader_epoch || epoch < 0 {
            return (-1, -1);
        }
        if epoch == self.leader_epoch {
            return (epoch, self.log_end());
        }
        let visible = || self.log.iter().filter(|b| b.header.next_offset() > self.log_start);
        // The first record above, or where the current epoch began without any.
        let end = visible()
            .find(|b| epoch_at(b) > epoch)
            .map_or(self.log_end(), |b| b.header.base_offset.max(self.log_start));
        let floor = visible().map(epoch_at).filter(|e| *e <= epoch).max().unwrap_or(epoch);
        (floor, end)
    }
}

/// The sequence after `count` records from `base`.
fn after(base: i32, count: i32) -> i32 {
    ((i64::from(base) + i64::from(count)) % (1 << 31)) as i32
}

fn header(producer_id: i64, producer_epoch: i16, base_sequence: i32, count: i32) -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        batch_length: 100,
        partition_leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id,
        producer_epoch,
        base_sequence,
        record_count: count,
        marker: None,
    }
}

/// What a client of this producer would send next, by what it was told.
fn next(model: &Model, producer: i64, count: i32) -> BatchHeader {
    match model.known(producer).last() {
        Some(b) => {
            header(producer, b.producer_epoch, after(b.base_sequence, b.record_count), count)
        }
        None => header(producer, 0, 0, count),
    }
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut p = Partition::new(0);
    let mut model = Model::default();
    let mut memory = ProducerMemory::new(usize::MAX);
    let mut taking = None;
    for step in steps {
        take_piece(&mut p, &mut taking)?;
        let batch = match *step {
            Step::Next { producer, count } => Some(next(&model, producer, count)),
            Step::Retry { producer, back } => {
                let sent = |b: &&Logged| b.header.producer_id == producer;
                model.log.iter().rev().filter(sent).nth(back).map(|b| b.header)
            }
            Step::Gap { producer, by } => {
                let mut batch = next(&model, producer, 1);
                batch.base_sequence = batch.base_sequence.saturating_add(by).max(0);
                Some(batch)
            }
            Step::Epoch { producer, by, sequence } => {
                let epoch = model.known(producer).last().map_or(0, |b| b.producer_epoch);
                Some(header(producer, (epoch + by).max(0), sequence, 2))
            }
            Step::NearWrap { producer } if model.known(producer).is_empty() => {
                Some(header(producer, 0, i32::MAX - 3, 2))
            }
            Step::Plain { count } => Some(header(-1, -1, -1, count)),
            _ => None,
        };
        if let Some(mut batch) = batch {
            batch.max_timestamp = model.now_ms;
            let expected = model.expect(&batch);
            let now = Now { wall_ms: -model.now_ms, monotonic_ms: model.now_ms };
            prop_assert_eq!(p.append(now, &batch, &mut memory), expected, "{:?}", batch);
            if let Ok(AppendOutcome::Accept { base_offset, .. }) = expected {
                batch.base_offset = base_offset;
                batch.partition_leader_epoch = model.leader_epoch;
                model.log.push(Logged { header: batch, remembered: true });
                if batch.producer_id >= 0 {
                    model.used.insert(batch.producer_id, Used::At(model.now_ms));
                }
            }
            model.now_ms += 10;
        }
        match *step {
            Step::Durable { percent } => {
                let goal =
                    model.durable_end + (model.log_end() - model.durable_end) * percent / 100;
                let ends = model.log.iter().map(|b| b.header.next_offset());
                let end = ends.filter(|end| *end <= goal).max().unwrap_or(0).max(model.durable_end);
                prop_assert_eq!(p.durable(end), end > model.durable_end);
                model.durable_end = end;
            }
            Step::LogStart { percent } => {
                let start = model.log_start + (model.durable_end - model.log_start) * percent / 100;
                p.advance_log_start(start);
                model.log_start = start;
            }
            Step::Restart { percent } => {
                memory.give(p.producers().charged_bytes());
                p = restart(&p, &mut model, percent)?;
                taking = None;
                memory.hold(p.producers().charged_bytes());
            }
            Step::Expire { ms } => {
                model.now_ms += ms;
                let now = model.now_ms;
                let mut next = Some(0);
                while let Some(from) = next {
                    next = p.expire_producers(now, EXPIRATION_MS, from, 2, &mut memory);
                }
                model.used.retain(|_, used| {
                    let at = match *used {
                        Used::At(at) => at,
                        Used::Earlier(by) => now - by,
                    };
                    *used = Used::At(at);
                    now - at < EXPIRATION_MS
                });
                for b in &mut model.log {
                    b.remembered &= model.used.contains_key(&b.header.producer_id);
                }
            }
            _ => {}
        }
        check(&p, &model)?;
        let charged = p.producers().len() * ProducerMemory::PRODUCER_BYTES;
        prop_assert_eq!(memory.used(), charged);
    }
    Ok(())
}

/// One producer more of a snapshot, which is to be what the partition was when it was begun; the next
/// is begun when it is whole. `taking`: what it is to be, and what there is of it.
fn take_piece(
    p: &mut Partition,
    taking: &mut Option<(Vec<u8>, Vec<u8>)>,
) -> Result<(), TestCaseError> {
    let is_last = if let Some((_, taken)) = taking {
        snapshot::go_on(&mut p.producers, 1, taken)
    } else {
        let (_, taken) = taking.insert((p.snapshot(), Vec::new()));
        p.begin_snapshot_of(1, taken)
    };
    if let Some((whole, taken)) = taking.take_if(|_| is_last) {
        prop_assert_eq!(taken, whole);
    }
    Ok(())
}

/// A power cut and the start after it.
fn restart(p: &Partition, model: &mut Model, percent: i64) -> Result<Partition, TestCaseError> {
    // The checkpoint's snapshot was taken when the log ended somewhere before the durable end; it
    // is built by replay here, as storage folds it. Taken now instead, it holds what the cut
    // takes away.
    let goal = model.log_start + (model.durable_end - model.log_start) * percent / 100;
    if percent % 2 == 0 {
        // A snapshot holds the last five batches of each producer, the ones that go included. No
        // client has more than five in flight, so what the older ones could tell is not needed.
        for producer in 0..PRODUCERS {
            let known = model.known(producer);
            let oldest = known.get(known.len().saturating_sub(5)).map_or(0, |b| b.base_offset);
            for b in model.log.iter_mut().filter(|b| b.header.producer_id == producer) {
                b.remembered &= b.header.base_offset >= oldest;
            }
        }
    }
    model.log.retain(|b| b.header.base_offset < model.durable_end);
    let durable: Vec<BatchHeader> = model.log.iter().map(|b| b.header).collect();
    let snapshot = if percent % 2 == 0 {
        p.snapshot()
    } else {
        // Producers that expired do not come back through a snapshot.
        let remembered = |h: &BatchHeader| {
            model.log.iter().any(|b| b.header == *h && (b.remembered || h.producer_id < 0))
        };
        let kept = durable.iter().map(|h| {
            let mut h = *h;
            if !remembered(&h) {
                h.producer_id = -1;
            }
            h
        });
        let (old, new): (Vec<_>, Vec<_>) = kept.partition(|h| h.base_offset < goal);
        let at = old.last().map_or(0, BatchHeader::next_offset);
        let snapshot = fold(&[], 0, 0, &mut old.into_iter()).expect("nothing to restore");
        fold(&snapshot, model.log_start.min(at), at, &mut new.into_iter())
            .expect("the snapshot ends where the batches begin")
    };
    model.leader_epoch += 1;
    let restored =
        Partition::restore(&snapshot, model.log_start, model.durable_end, model.leader_epoch);
    let restored = restored.map_err(|e| TestCaseError::fail(e.to_string()))?;
    // Its own snapshot restores to the same state.
    let twice = Partition::restore(
        &restored.snapshot(),
        model.log_start,
        model.durable_end,
        model.leader_epoch,
    );
    prop_assert_eq!(twice.expect("its own snapshot").snapshot(), restored.snapshot());
    let at = |used: &Used| if let Used::At(at) = used { Some(*at) } else { None };
    let newest = model.used.values().filter_map(at).max();
    for used in model.used.values_mut() {
        *used = Used::Earlier(match *used {
            _ if percent % 2 != 0 => 0,
            Used::At(at) => newest.expect("one of them") - at,
            Used::Earlier(by) => by,
        });
    }
    // Of producers whose last five batches all went, nothing is left.
    for producer in 0..PRODUCERS {
        let known = restored.producers().contains(producer);
        let all_lost = !known;
        for b in model.log.iter_mut().filter(|b| b.header.producer_id == producer) {
            b.remembered &= !all_lost;
        }
        if all_lost {
            model.used.remove(&producer);
        }
    }
    Ok(restored)
}

fn check(p: &Partition, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(p.log_start(), model.log_start);
    prop_assert_eq!(p.log_end(), model.log_end());
    prop_assert_eq!(p.durable_end(), model.durable_end);
    prop_assert_eq!(p.high_watermark(), model.durable_end);
    prop_assert_eq!(p.last_stable(), model.durable_end);
    prop_assert_eq!(p.leader_epoch(), model.leader_epoch);
    for epoch in -1..model.leader_epoch + 2 {
        prop_assert_eq!(
            p.end_offset_for_epoch(epoch),
            model.end_offset_for_epoch(epoch),
            "epoch {}",
            epoch
        );
    }
    for b in &model.log {
        if b.header.base_offset >= model.log_start {
            let epoch = p.epoch_for_offset(b.header.base_offset);
            prop_assert_eq!(epoch, Some(b.header.partition_leader_epoch));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn behaves_as_the_model(steps in vec(step(), 1..80)) {
        run(&steps)?;
    }
}

proptest! {
    #[test]
    fn damaged_snapshots_are_refused(
        steps in vec((0..PRODUCERS, 1..4), 0..20),
        at: prop::sample::Index,
        bit in 0u8..8,
        cut: prop::sample::Index,
        noise in vec(any::<u8>(), 1..200),
    ) {
        let mut p = Partition::new(3);
        for (i, (producer, count)) in steps.iter().enumerate() {
            let batch = header(*producer, i as i16, 0, *count);
            p.append(Now::at(i as i64), &batch, &mut ProducerMemory::new(usize::MAX)).unwrap();
        }
        p.durable(p.log_end());
        let snapshot = p.snapshot();
        let end = p.log_end();
        let restored = Partition::restore(&snapshot, 0, end, 3).unwrap();
        prop_assert_eq!(restored.snapshot(), snapshot.clone());

        let mut flipped = snapshot.clone();
        flipped[at.index(snapshot.len())] ^= 1 << bit;
        prop_assert!(Partition::restore(&flipped, 0, end, 3).is_err());
        let cut = cut.index(snapshot.len());
        prop_assert!(cut == 0 || Partition::restore(&snapshot[..cut], 0, end, 3).is_err());
        prop_assert!(Partition::restore(&noise, 0, end, 3).is_err());
        // With a checksum that fits, noise reaches the decoder; it may say what it likes.
        let mut sealed = vec![1];
        sealed.extend_from_slice(&noise);
        let crc = crate::wire::records::crc::crc32c(&sealed);
        sealed.extend_from_slice(&crc.to_le_bytes());
        let _ = Partition::restore(&sealed, 0, 0, 3);
    }
}
