//! Record batches that are built once and then patched: what a bench sends.
//!
//! Each batch carries a number, so that whoever reads it back can tell what is missing, what came
//! twice and what came out of order. It lies in the first record's value; the CRC, which is true
//! for every batch that is sent, covers the rest. CRCs are linear, so patching the front of a batch
//! does not cost a pass over its end ([`crc::combine`]).
//!
//! The value of a batch's first record, where it has at least 16 bytes: [`MAGIC`], the writer
//! (which run, which connection) in 4 bytes, the batch's number in 8, big-endian. Compressed batches
//! cannot be patched inside: of these, [`VARIANTS`] different ones are built and sent in turn, and
//! the number is that of the variant.

use crate::types::Rng;
use crate::wire::records::crc;
use crate::wire::records::{BatchBuilder, BatchHeader, Compression, records};
use std::sync::Arc;

/// Begins the value of a batch's first record.
pub const MAGIC: [u8; 4] = *b"klmb";
/// Bytes of the mark: magic, writer, number.
pub const MARK_BYTES: usize = 16;
/// How many different compressed batches a writer has.
pub const VARIANTS: u64 = 32;

/// Batches of at least this many bytes are sent without copying their unchanging end.
const SHARE_FROM: usize = 8 << 10;
/// Where fields lie in a batch's header.
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const BASE_SEQUENCE_AT: usize = 53;

/// How keys are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Distribution {
    /// Each as likely as any other
    Uniform,
    /// Few are frequent (Zipf, exponent 0.99)
    Zipf,
    /// One after the other
    Sequence,
}

/// Which keys records have.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// Bytes of a key.
    pub bytes: usize,
    /// Number of different keys.
    pub count: u64,
    /// How they are drawn.
    pub distribution: Distribution,
}

/// The shape of the batches of a run.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Records in a batch.
    pub records: usize,
    /// Bytes of each record's value.
    pub value_bytes: usize,
    /// Keys; `None` for null keys.
    pub keys: Option<Keys>,
    /// Compression.
    pub compression: Compression,
}

/// Draws keys.
#[derive(Clone, Debug)]
struct KeySource {
    keys: Keys,
    rng: Rng,
    next: u64,
    zipf: Zipf,
}

/// Gray et al., "Quickly generating billion-record synthetic databases" (1994), as in YCSB.
#[derive(Clone, Debug, Default)]
struct Zipf {
    zeta: f64,
    alpha: f64,
    eta: f64,
}

const ZIPF_THETA: f64 = 0.99;

impl Zipf {
    fn new(n: u64) -> Self {
        let zeta = |n: u64| (1..=n).map(|i| (i as f64).powf(-ZIPF_THETA)).sum::<f64>();
        let all = zeta(n);
        let eta = (1.0 - (2.0 / n as f64).powf(1.0 - ZIPF_THETA)) / (1.0 - zeta(2) / all);
        Self { zeta: all, alpha: 1.0 / (1.0 - ZIPF_THETA), eta }
    }

    /// A number in 0..n, the smaller the likelier; `u` is uniform in 0..1.
    fn draw(&self, n: u64, u: f64) -> u64 {
        let uz = u * self.zeta;
        if uz < 1.0 || n == 1 {
            return 0;
        }
        if uz < 1.0 + 0.5f64.powf(ZIPF_THETA) {
            return 1;
        }
        ((n as f64 * (self.eta * u - self.eta + 1.0).powf(self.alpha)) as u64).min(n - 1)
    }
}

impl KeySource {
    fn new(keys: Keys, seed: u64) -> Self {
        let zipf = match keys.distribution {
            Distribution::Zipf => Zipf::new(keys.count),
            _ => Zipf::default(),
        };
        Self { keys, rng: Rng::new(seed), next: 0, zipf }
    }

    fn draw(&mut self) -> u64 {
        let n = self.keys.count;
        match self.keys.distribution {
            Distribution::Uniform => self.rng.below(n),
            Distribution::Zipf => self.zipf.draw(n, self.rng.unit()),
            Distribution::Sequence => {
                self.next = (self.next + 1) % n;
                self.next
            }
        }
    }

    /// Fills `key` with the digits of the next key, zeros before them.
    fn fill(&mut self, key: &mut [u8]) {
        let mut n = self.draw();
        for digit in key.iter_mut().rev() {
            *digit = b'0' + (n % 10) as u8;
            n /= 10;
        }
    }
}

/// One batch: the front, which changes each time it is sent, and the rest.
#[derive(Clone, Debug)]
struct Variant {
    front: Vec<u8>,
    /// Empty where the whole batch is in the front.
    rest: Arc<[u8]>,
    rest_crc: u32,
}

/// The batches of one writer.
#[derive(Clone, Debug)]
pub struct Batches {
    variants: Vec<Variant>,
    /// Where the number lies in the front.
    number_at: Option<usize>,
    /// Where keys lie in the front, if they change each time.
    keys_at: Vec<usize>,
    keys: Option<KeySource>,
    records: usize,
    producer: Option<(i64, i16)>,
}

impl Batches {
    /// Builds the batches of `writer`, of an idempotent producer if `producer` (id and epoch) is
    /// given.
    pub fn new(shape: &Shape, writer: u32, producer: Option<(i64, i16)>) -> Self {
        let mut keys = shape.keys.map(|keys| KeySource::new(keys, u64::from(writer)));
        let count = if shape.compression == Compression::None { 1 } else { VARIANTS };
        let mut this = Self {
            variants: Vec::new(),
            number_at: None,
            keys_at: Vec::new(),
            keys: None,
            records: shape.records,
            producer,
        };
        for variant in 0..count {
            let mut rng = Rng::new(u64::from(writer) << 8 | variant);
            let mut builder = BatchBuilder::new(shape.compression);
            if let Some((id, epoch)) = producer {
                builder = builder.producer(id, epoch, 0);
            }
            let mut key = vec![0; shape.keys.map_or(0, |k| k.bytes)];
            for record in 0..shape.records {
                let mut value = value(shape, &mut rng);
                if record == 0 && value.len() >= MARK_BYTES {
                    value[..4].copy_from_slice(&MAGIC);
                    value[4..8].copy_from_slice(&writer.to_be_bytes());
                    value[8..16].copy_from_slice(&variant.to_be_bytes());
                }
                let key = keys.as_mut().map(|keys| {
                    keys.fill(&mut key);
                    key.as_slice()
                });
                builder.push(0, key, Some(&value), &[]);
            }
            let batch = builder.build();
            let front = this.find_front(shape, &batch);
            this.variants.push(Variant {
                front: batch[..front].to_vec(),
                rest: batch[front..].into(),
                rest_crc: crc::crc32c(&batch[front..]),
            });
        }
        this.keys = keys.filter(|_| !this.keys_at.is_empty());
        this
    }

    /// The number of bytes at the batch's front that change each time it is sent; notes where they lie.
    fn find_front(&mut self, shape: &Shape, batch: &[u8]) -> usize {
        if shape.compression != Compression::None {
            return BatchHeader::LEN;
        }
        let at = |part: &[u8]| part.as_ptr() as usize - batch.as_ptr() as usize;
        let opened = records(batch, batch.len()).expect("it was just built");
        let mut records = opened.iter().map(|r| r.expect("it was just built"));
        let first = records.next().expect("a batch has a record");
        if shape.value_bytes >= MARK_BYTES {
            self.number_at = first.value.map(|value| at(value) + 8);
        }
        if shape.keys.is_some_and(|keys| keys.bytes > 0 && keys.count > 1) {
            self.keys_at.extend(first.key.map(at));
            self.keys_at.extend(records.filter_map(|r| r.key).map(at));
            return batch.len();
        }
        let front = self.number_at.map_or(BatchHeader::LEN, |at| at + 8);
        if batch.len() - front < SHARE_FROM { batch.len() } else { front }
    }

    /// Bytes of batch `number`.
    pub fn len(&self, number: u64) -> usize {
        let variant = &self.variants[number as usize % self.variants.len()];
        variant.front.len() + variant.rest.len()
    }

    /// The idempotent producer's id and epoch.
    pub fn producer(&self) -> Option<(i64, i16)> {
        self.producer
    }

    /// Records of a batch.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Batch `number`, made at `unix_ms`: the bytes to copy, and the shared bytes that follow them.
    /// `sequence` is the idempotent producer's number of its first record.
    pub fn patch(
        &mut self,
        number: u64,
        sequence: Option<i32>,
        unix_ms: i64,
    ) -> (&[u8], &Arc<[u8]>) {
        let at = number as usize % self.variants.len();
        let Variant { front, rest, rest_crc } = &mut self.variants[at];
        let mut put = |at: usize, bytes: &[u8]| front[at..at + bytes.len()].copy_from_slice(bytes);
        put(BASE_TIMESTAMP_AT, &unix_ms.to_be_bytes());
        put(MAX_TIMESTAMP_AT, &unix_ms.to_be_bytes());
        if let Some(sequence) = sequence {
            put(BASE_SEQUENCE_AT, &sequence.to_be_bytes());
        }
        if let Some(at) = self.number_at {
            put(at, &number.to_be_bytes());
        }
        if let Some(keys) = &mut self.keys {
            for &at in &self.keys_at {
                keys.fill(&mut front[at..at + keys.keys.bytes]);
            }
        }
        let own = crc::crc32c(&front[BatchHeader::CRC_FROM..]);
        let crc = if rest.is_empty() { own } else { crc::combine(own, *rest_crc, rest.len()) };
        front[BatchHeader::CRC_AT..BatchHeader::CRC_FROM].copy_from_slice(&crc.to_be_bytes());
        (front, rest)
    }
}

/// A value that does not compress; or, where batches are compressed, to about half, as text does.
fn value(shape: &Shape, rng: &mut Rng) -> Vec<u8> {
    let mut value = Vec::with_capacity(shape.value_bytes + 8);
    while value.len() < shape.value_bytes {
        value.extend_from_slice(&rng.bits().to_le_bytes());
        if shape.compression != Compression::None {
            value.extend_from_slice(b"klamm=ok");
        }
    }
    value.truncate(shape.value_bytes);
    value
}

/// What the mark of a batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Who wrote it.
    pub writer: u32,
    /// Its number; of a compressed batch, modulo [`VARIANTS`].
    pub number: u64,
}

impl Mark {
    /// Reads the mark in the value of a batch's first record; `None` where no bench wrote it.
    pub fn read(value: &[u8]) -> Option<Self> {
        let (mark, _) = value.split_first_chunk::<MARK_BYTES>()?;
        let rest = mark.strip_prefix(&MAGIC)?;
        let (writer, number) = rest.split_first_chunk::<4>()?;
        let number = number.first_chunk::<8>()?;
        Some(Self { writer: u32::from_be_bytes(*writer), number: u64::from_be_bytes(*number) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn shape(records: usize, value_bytes: usize, compression: Compression) -> Shape {
        Shape { records, value_bytes, keys: None, compression }
    }

    fn whole(batches: &mut Batches, number: u64, sequence: Option<i32>) -> Vec<u8> {
        let len = batches.len(number);
        let (front, rest) = batches.patch(number, sequence, 1_700_000_000_000);
        let batch = [front, rest].concat();
        assert_eq!(batch.len(), len);
        batch
    }

    /// Every batch that is sent is valid: header, CRC, number, count, time and sequence.
    #[test]
    fn patched_batches_are_whole() {
        let keys = Keys { bytes: 12, count: 1000, distribution: Distribution::Uniform };
        for compression in Compression::ALL {
            for (records_in, bytes) in [(1, 16), (1, 512), (3, 40_000), (126, 1024), (1, 20_000)] {
                for keys in [None, Some(keys)] {
                    let shape = Shape { keys, ..shape(records_in, bytes, compression) };
                    let mut batches = Batches::new(&shape, 77, Some((9, 2)));
                    for number in [0, 1, 31, 32, 1 << 40] {
                        let batch = whole(&mut batches, number, Some(12));
                        let header = BatchHeader::parse(&batch).expect("a batch");
                        header.check_crc(&batch).expect("the CRC fits");
                        assert_eq!(header.record_count, records_in as i32);
                        assert_eq!((header.producer_id, header.base_sequence), (9, 12));
                        let opened = records(&batch, 1 << 24).expect("records");
                        let all: Vec<_> = opened.iter().map(|r| r.expect("a record")).collect();
                        assert_eq!(all.len(), records_in);
                        assert!(all.iter().all(|r| r.timestamp == 1_700_000_000_000));
                        assert!(all.iter().all(|r| r.value.map(<[u8]>::len) == Some(bytes)));
                        assert!(
                            all.iter().all(|r| r.key.map(<[u8]>::len) == keys.map(|k| k.bytes))
                        );
                        let mark = Mark::read(all[0].value.expect("a value")).expect("a mark");
                        let modulo =
                            if compression == Compression::None { u64::MAX } else { VARIANTS };
                        assert_eq!(mark, Mark { writer: 77, number: number % modulo });
                    }
                }
            }
        }
    }

    #[test]
    fn small_records_have_no_mark_and_are_still_whole() {
        for bytes in [0, 1, 15] {
            let mut batches = Batches::new(&shape(2, bytes, Compression::None), 1, None);
            let batch = whole(&mut batches, 5, None);
            BatchHeader::parse(&batch).expect("a batch").check_crc(&batch).expect("the CRC fits");
            assert_eq!(Mark::read(&vec![0; bytes]), None);
        }
        assert_eq!(Mark::read(b"another program's bytes"), None);
    }

    #[test]
    fn keys_follow_their_distribution() {
        let draw = |distribution, count| {
            let mut source = KeySource::new(Keys { bytes: 4, count, distribution }, 3);
            (0..10_000).map(|_| source.draw()).collect::<Vec<_>>()
        };
        let first = |keys: &[u64]| keys.iter().filter(|k| **k == 0).count();
        let uniform = draw(Distribution::Uniform, 100);
        assert_eq!(uniform.iter().collect::<BTreeSet<_>>().len(), 100);
        assert!((50..200).contains(&first(&uniform)), "{}", first(&uniform));
        let zipf = draw(Distribution::Zipf, 100);
        assert!(zipf.iter().all(|k| *k < 100));
        // 1/zeta(100) is about 19 %.
        assert!((1500..2500).contains(&first(&zipf)), "{}", first(&zipf));
        assert_eq!(first(&draw(Distribution::Zipf, 1)), 10_000);
        assert_eq!(draw(Distribution::Sequence, 3)[..4], [1, 2, 0, 1]);
        let mut source =
            KeySource::new(Keys { bytes: 4, count: 20, distribution: Distribution::Sequence }, 3);
        let mut key = [0; 4];
        source.fill(&mut key);
        assert_eq!(&key, b"0001");
    }
}
