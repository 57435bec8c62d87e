//! One batch on its way through a pass: looked at, and rewritten where some of its records go. In
//! steps, since a batch may decompress to many times its size.

use super::rules::{Fate, Rules, Verdict};
use crate::wire::records::{
    BatchHeader, DECOMPRESSED_BYTES_MAX, RecordError, RecordScan, Rewriting,
};
use bytes::Bytes;

/// What a batch costs of a step's budget, beside its records.
const BATCH_COST: usize = 256;

enum Stage {
    Looks(RecordScan, Verdict),
    Rewrites(Rewriting),
}

/// See the module.
pub(super) struct Cleaning {
    header: BatchHeader,
    batch: Bytes,
    stage: Stage,
}

impl std::fmt::Debug for Cleaning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cleaning({})", self.header.base_offset)
    }
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cleaned {
    /// This is left, with records.
    Left(Bytes),
    /// No record is left.
    Emptied,
}

impl Cleaning {
    /// Begins with a batch.
    ///
    /// # Errors
    /// The batch cannot be read.
    pub fn new(header: BatchHeader, batch: Bytes) -> Result<Self, RecordError> {
        let scan = RecordScan::new(&batch, DECOMPRESSED_BYTES_MAX)?;
        let stage = Stage::Looks(scan, Verdict::new(&header));
        Ok(Self { header, batch, stage })
    }

    /// Its header, as it was.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Goes on for what is left of `budget`; `None` where that was not enough.
    ///
    /// # Errors
    /// The batch cannot be read.
    pub fn step(
        &mut self,
        rules: &Rules,
        budget: &mut usize,
    ) -> Result<Option<Cleaned>, RecordError> {
        while *budget > 0 {
            match &mut self.stage {
                Stage::Looks(scan, verdict) => {
                    let see = |seen| {
                        verdict.see(seen, rules);
                        0
                    };
                    if !scan.step(budget, see)? {
                        return Ok(None);
                    }
                    *budget = budget.saturating_sub(BATCH_COST);
                    let verdict = std::mem::replace(verdict, Verdict::new(&self.header));
                    match verdict.fate(rules) {
                        Fate::Stays => return Ok(Some(Cleaned::Left(self.batch.clone()))),
                        Fate::Empties => return Ok(Some(Cleaned::Emptied)),
                        Fate::Shrinks(kept, horizon_ms) => {
                            let batch = &self.batch;
                            self.stage = Stage::Rewrites(Rewriting::new(
                                batch,
                                kept,
                                horizon_ms,
                                DECOMPRESSED_BYTES_MAX,
                            )?);
                        }
                    }
                }
                Stage::Rewrites(rewriting) => {
                    let made = rewriting.step(budget)?;
                    return Ok(made.map(|batch| Cleaned::Left(batch.into())));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::offset_map::OffsetMap;
    use super::*;
    use crate::storage::buffer::Budget;
    use crate::types::Rng;
    use crate::wire::records::{BatchBuilder, Compression, KeyHasher, records};
    use std::collections::BTreeMap;

    const LIMIT: usize = 1 << 24;

    /// Offset, key, value.
    type Plain = (i64, Option<Vec<u8>>, Option<Vec<u8>>);

    fn read(batch: &[u8]) -> Vec<Plain> {
        let records = records(batch, LIMIT).unwrap();
        let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let plain = |it: crate::wire::records::Record<'_>| (it.offset, own(it.key), own(it.value));
        records.iter().map(|it| plain(it.unwrap())).collect()
    }

    fn append(rng: &mut Rng, log: &mut Vec<Bytes>, end: &mut i64) {
        let compression = Compression::ALL[rng.index(5)];
        let mut builder = BatchBuilder::new(compression).appended_at(*end, 1);
        for _ in 0..rng.between(1, 8) {
            let key = [rng.below(12) as u8];
            let value = vec![rng.bits() as u8; rng.below(300) as usize];
            let value = rng.chance(70).then_some(&value[..]);
            builder.push(1000 + *end, rng.chance(95).then_some(&key[..]), value, &[]);
        }
        *end += i64::from(builder.count());
        log.push(builder.build().into());
    }

    /// One pass over all of `log` up to `end`, of which all below `first` was in one before; the map
    /// has no more keys than `keys`. How far it came.
    fn pass(
        log: &mut Vec<Bytes>,
        first: i64,
        end: i64,
        now_ms: i64,
        retention_ms: i64,
        step: usize,
    ) -> i64 {
        let map = OffsetMap::new(100, usize::MAX, &Budget::new(usize::MAX));
        let mut rules = Rules { map, latest: end - 1, now_ms, delete_retention_ms: retention_ms };
        for batch in log.iter() {
            for (offset, key, _) in read(batch) {
                if let Some(key) = key.filter(|_| (first..end).contains(&offset)) {
                    assert!(rules.map.put(KeyHasher::of(&key), offset).is_some());
                }
            }
        }
        let old = std::mem::take(log);
        for batch in old {
            let header = BatchHeader::parse(&batch).unwrap();
            if rules.passes_over(&header) {
                log.push(batch);
                continue;
            }
            let mut cleaning = Cleaning::new(header, batch).unwrap();
            let cleaned = loop {
                if let Some(cleaned) = cleaning.step(&rules, &mut { step }).unwrap() {
                    break cleaned;
                }
            };
            if let Cleaned::Left(batch) = cleaned {
                log.push(batch);
            }
        }
        end
    }

    /// Beside a naive model: what is left is the last record of each key, in its place; a tombstone goes
    /// in no pass before one that comes so long after the one in which the records before it went.
    #[test]
    fn passes_leave_what_a_naive_model_leaves() {
        for seed in 0..150 {
            let rng = &mut Rng::new(seed);
            let (mut log, mut end, mut first, mut now_ms) = (Vec::new(), 0, 0, 10_000);
            let mut all: BTreeMap<i64, Plain> = BTreeMap::new();
            // By tombstone, the time of the first pass that found it.
            let mut met: BTreeMap<i64, i64> = BTreeMap::new();
            let mut gone = 0;
            for _ in 0..rng.between(2, 8) {
                for _ in 0..rng.between(1, 10) {
                    append(rng, &mut log, &mut end);
                    let last = log.last().expect("just appended");
                    all.extend(read(last).into_iter().map(|it| (it.0, it)));
                }
                now_ms += rng.below(400) as i64;
                // Up to a batch's end.
                let stop = rng.index(log.len() + 1);
                let upto = match log.get(stop) {
                    Some(batch) => BatchHeader::parse(batch).unwrap().base_offset,
                    None => end,
                };
                if upto < first {
                    continue;
                }
                let step = rng.between(1, 3000) as usize;
                first = pass(&mut log, first, upto, now_ms, 300, step);
                let mut last_of: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
                for (offset, key, _) in all.range(..upto).map(|it| it.1.clone()) {
                    if let Some(key) = key {
                        last_of.insert(key, offset);
                    }
                }
                let left: Vec<_> = log.iter().flat_map(|batch| read(batch)).collect();
                assert!(left.is_sorted_by_key(|it| it.0));
                assert!(left.iter().all(|it| all[&it.0] == *it), "seed {seed}: a record changed");
                let there = |offset: i64| left.iter().any(|it| it.0 == offset);
                for (offset, (_, key, value)) in &all {
                    let is_last = key.as_ref().is_some_and(|key| last_of.get(key) == Some(offset));
                    if *offset >= upto || is_last && value.is_some() {
                        assert!(there(*offset), "seed {seed}: {offset} is gone");
                    } else if is_last {
                        let since_ms = now_ms - *met.entry(*offset).or_insert(now_ms);
                        assert_eq!(there(*offset), since_ms < 300, "seed {seed}: {offset}");
                        gone += usize::from(!there(*offset));
                    } else {
                        assert!(!there(*offset), "seed {seed}: {offset} is still there");
                    }
                }
            }
            assert!(seed > 0 || gone > 0, "tombstones go some time");
        }
    }
}
