//! Offsets that open transactions have committed (KIP-98): they take effect when the transaction commits, and
//! are forgotten when it aborts. Until then, who asks for stable offsets is told that there are such (KIP-447).

use super::memory::ENTRY;
use super::offsets::Offset;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug)]
struct StagedOffset {
    offset: Offset,
    /// What was committed without a transaction since stays, as in Kafka: it is the newer.
    superseded: bool,
}

#[derive(Clone, Debug)]
struct Staged {
    epoch: i16,
    /// By topic and partition.
    offsets: BTreeMap<Arc<str>, BTreeMap<i32, StagedOffset>>,
}

impl Staged {
    fn bytes(&self) -> usize {
        ENTRY + self.offsets.values().map(BTreeMap::len).sum::<usize>() * OFFSET
    }
}

/// The offsets of one group that open transactions have committed.
#[derive(Clone, Debug, Default)]
pub struct StagedOffsets {
    producers: BTreeMap<i64, Staged>,
    bytes: usize,
}

/// What an offset takes, bytes.
const OFFSET: usize = ENTRY + size_of::<StagedOffset>() + 2 * ENTRY;

impl StagedOffsets {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Memory that they take, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub fn counted_bytes(&self) -> usize {
        self.producers.values().map(Staged::bytes).sum()
    }

    /// A producer's transaction has committed an offset.
    pub fn insert(&mut self, producer: (i64, i16), topic: &str, partition: i32, offset: Offset) {
        let (id, epoch) = producer;
        let staged = self.producers.entry(id).or_insert_with(|| {
            self.bytes += ENTRY;
            Staged { epoch, offsets: BTreeMap::new() }
        });
        staged.epoch = epoch;
        let of_topic = staged.offsets.entry(topic.into()).or_default();
        let before = of_topic.insert(partition, StagedOffset { offset, superseded: false });
        self.bytes += if before.is_none() { OFFSET } else { 0 };
    }

    /// An offset was committed without a transaction.
    pub fn supersede(&mut self, topic: &str, partition: i32) {
        for staged in self.producers.values_mut() {
            let of_topic = staged.offsets.get_mut(topic);
            if let Some(it) = of_topic.and_then(|it| it.get_mut(&partition)) {
                it.superseded = true;
            }
        }
    }

    /// Whether a transaction may still change the offset of this partition.
    pub fn is_unstable(&self, topic: &str, partition: i32) -> bool {
        let of = |it: &Staged| it.offsets.get(topic).is_some_and(|it| it.contains_key(&partition));
        self.producers.values().any(of)
    }

    /// A producer's transaction has ended: what is committed by that, if it commits.
    pub fn end(&mut self, producer_id: i64) -> impl Iterator<Item = (Arc<str>, i32, Offset)> {
        let staged = self.producers.remove(&producer_id);
        self.bytes -= staged.as_ref().map_or(0, Staged::bytes);
        staged.into_iter().flat_map(|it| it.offsets).flat_map(|(topic, of_topic)| {
            let counts = of_topic.into_iter().filter(|(_, it)| !it.superseded);
            counts.map(move |(partition, it)| (topic.clone(), partition, it.offset))
        })
    }

    /// Those of one producer that count, with its epoch.
    pub fn of(
        &self,
        producer_id: i64,
    ) -> Option<(i16, impl Iterator<Item = (&str, i32, &Offset)>)> {
        let staged = self.producers.get(&producer_id)?;
        let all = staged.offsets.iter().flat_map(|(topic, of_topic)| {
            let counts = of_topic.iter().filter(|(_, it)| !it.superseded);
            counts.map(move |(partition, it)| (&**topic, *partition, &it.offset))
        });
        Some((staged.epoch, all))
    }
}
