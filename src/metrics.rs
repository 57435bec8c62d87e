//! What the broker counts while it serves. Each shard has figures of its own that no other thread
//! writes, so they need no atomics. The HTTP port asks the shards for copies.

use crate::wire::Tally;
use crate::wire::api_keys::ApiKey;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Nanoseconds of one unit in which times are counted.
const UNIT_NS: u64 = 100;
/// A minute, in units: longer times count as this one.
const LONGEST: u64 = 60_000_000_000 / UNIT_NS;

/// A histogram of times: precise to 1 % from 100 ns to a minute.
#[derive(Clone, Debug)]
pub struct Times {
    histogram: Histogram<u32>,
    sum_ns: u64,
}

impl Default for Times {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST, 2).expect("bounds that fit");
        Self { histogram, sum_ns: 0 }
    }
}

impl Times {
    /// Counts one time.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.histogram.saturating_record((ns / UNIT_NS).max(1));
        self.sum_ns += ns;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The sum of all times, ns.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// How many were not longer than each of `bounds_ns`, which ascend.
    pub fn cumulative(&self, bounds_ns: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; bounds_ns.len()];
        for it in self.histogram.iter_recorded() {
            let ns = self.histogram.lowest_equivalent(it.value_iterated_to()) * UNIT_NS;
            let at = bounds_ns.partition_point(|bound| *bound < ns);
            if let Some(count) = counts.get_mut(at) {
                *count += it.count_since_last_iteration();
            }
        }
        let mut sum = 0;
        for count in &mut counts {
            sum += *count;
            *count = sum;
        }
        counts
    }

    /// Adds what another shard has counted.
    pub fn add(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("the same bounds");
        self.sum_ns += other.sum_ns;
    }
}

/// Of the Produce requests that are answered together, the first and every eighth after it are counted
/// in the stages: to count all of them costs much under load, and tells no more.
pub const SAMPLED: usize = 8;

/// Where the time of a Produce request goes, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestStage {
    /// From the kernel's hand-over until its turn among the requests that came with it.
    Receive,
    /// Decoding and validation.
    Decode,
    /// The way to the shard that owns the partition.
    Route,
    /// Until the shard's turn takes it into a journal block.
    Turn,
    /// Until that block is on the disk.
    Journal,
    /// Writing it: a part of `Journal`. Known only of the blocks that are written and synced by two
    /// operations, which is one in [`APART`](crate::storage::engine::APART).
    Write,
    /// Syncing it: the other part.
    Sync,
    /// From there until it is on the disks of all that are in sync. Only where an answer waits for them.
    Replicate,
    /// From there until the answer stands in its connection's queue.
    Reply,
    /// Until the kernel has taken the answer; the answers before it in the same connection too.
    Send,
}

impl RequestStage {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::Receive,
        Self::Decode,
        Self::Route,
        Self::Turn,
        Self::Journal,
        Self::Write,
        Self::Sync,
        Self::Replicate,
        Self::Reply,
        Self::Send,
    ];

    /// Its name in figures and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Decode => "decode",
            Self::Route => "route",
            Self::Turn => "turn",
            Self::Journal => "journal",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Replicate => "replicate",
            Self::Reply => "reply",
            Self::Send => "send",
        }
    }
}

/// How long one request spent in each stage, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages(pub [u64; RequestStage::ALL.len()]);

impl Stages {
    /// Sets the time of one stage.
    #[inline]
    pub fn set(&mut self, stage: RequestStage, ns: u64) {
        self.0[stage as usize] = ns;
    }

    /// The time of one stage.
    pub fn get(&self, stage: RequestStage) -> u64 {
        self.0[stage as usize]
    }
}

impl std::fmt::Display for Stages {
    /// In microseconds: `receive=3 decode=1 …`, without the parts of `journal` where they are not known, and without
    /// `replicate` where nobody waited for replicas.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = |it: &RequestStage| {
            let at_times = RequestStage::Write..=RequestStage::Replicate;
            !at_times.contains(it) || self.get(*it) > 0
        };
        for (at, stage) in RequestStage::ALL.into_iter().filter(known).enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{}={}", stage.name(), self.0[stage as usize] / 1000)?;
        }
        Ok(())
    }
}

/// Requests and answers of one API.
#[derive(Clone, Debug, Default)]
pub struct ApiTraffic {
    /// Requests that were understood.
    pub requests: u64,
    /// Their bytes, without the length prefix.
    pub request_bytes: u64,
    /// Bytes of the answers.
    pub response_bytes: u64,
    /// From the last byte of the request until the kernel has taken the answer. Waiting that the
    /// client asked for (Fetch, JoinGroup) is part of it.
    pub times: Times,
    /// Error codes in the answers.
    pub errors: BTreeMap<i16, u64>,
}

/// What one shard has received and answered.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// By API key.
    apis: Vec<Option<Box<ApiTraffic>>>,
    stages: [Times; RequestStage::ALL.len()],
    /// Requests that were slower than `klamm.slow.request.ms`.
    pub slow: u64,
    /// How long each input held the shard: nothing else runs on its thread meanwhile.
    pub holds: Times,
}

impl Traffic {
    /// A request of `bytes` bytes was read.
    pub fn request(&mut self, api: ApiKey, bytes: usize) {
        let it = self.api(api);
        it.requests += 1;
        it.request_bytes += bytes as u64;
    }

    /// An answer of `bytes` bytes is sent, `ns` after its request came.
    pub fn response(&mut self, api: ApiKey, bytes: usize, ns: u64, errors: &Tally) {
        let it = self.api(api);
        it.response_bytes += bytes as u64;
        it.times.record(ns);
        for (code, times) in errors.iter() {
            *it.errors.entry(code).or_default() += u64::from(times);
        }
    }

    fn api(&mut self, api: ApiKey) -> &mut ApiTraffic {
        let index = usize::try_from(api.0).unwrap_or(0);
        if self.apis.len() <= index {
            self.apis.resize_with(index + 1, || None);
        }
        self.apis[index].get_or_insert_default()
    }

    /// The time of one request in each of these stages.
    pub fn stages(&mut self, stages: &[RequestStage], times: &Stages) {
        for stage in stages {
            self.stages[*stage as usize].record(times.0[*stage as usize]);
        }
    }

    /// Each API that was used, by its key.
    pub fn apis(&self) -> impl Iterator<Item = (ApiKey, &ApiTraffic)> {
        let apis = self.apis.iter().enumerate();
        apis.filter_map(|(key, it)| Some((ApiKey(key as i16), it.as_deref()?)))
    }

    /// The times spent in a stage.
    pub fn stage(&self, stage: RequestStage) -> &Times {
        &self.stages[stage as usize]
    }

    /// Adds what another shard has counted.
    pub fn add(&mut self, other: &Self) {
        for (key, from) in other.apis() {
            let to = self.api(key);
            to.requests += from.requests;
            to.request_bytes += from.request_bytes;
            to.response_bytes += from.response_bytes;
            to.times.add(&from.times);
            for (code, times) in &from.errors {
                *to.errors.entry(*code).or_default() += times;
            }
        }
        for (to, from) in self.stages.iter_mut().zip(&other.stages) {
            to.add(from);
        }
        self.slow += other.slow;
        self.holds.add(&other.holds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_below_their_bounds() {
        let mut times = Times::default();
        for ns in [0, 900, 1_000, 5_000, 70_000_000_000] {
            times.record(ns);
        }
        assert_eq!(times.cumulative(&[1_000, 10_000, 50_000_000_000]), [3, 4, 4]);
        assert_eq!((times.count(), times.sum_ns()), (5, 70_000_006_900));
        let mut both = times.clone();
        both.add(&times);
        assert_eq!(both.count(), 10);
    }

    #[test]
    fn traffic_is_kept_by_api_and_adds_up() {
        let mut one = Traffic::default();
        let mut errors = Tally::default();
        errors.add(3);
        one.request(ApiKey::FETCH, 100);
        one.response(ApiKey::FETCH, 50, 2_000, &errors);
        let mut stages = Stages::default();
        stages.set(RequestStage::Sync, 1_500);
        one.stages(&[RequestStage::Turn, RequestStage::Sync], &stages);
        let mut all = one.clone();
        all.request(ApiKey::PRODUCE, 7);
        all.add(&one);
        let seen: Vec<_> =
            all.apis().map(|(key, it)| (key, it.requests, it.response_bytes)).collect();
        assert_eq!(seen, [(ApiKey::PRODUCE, 1, 0), (ApiKey::FETCH, 2, 100)]);
        assert_eq!(all.apis().nth(1).unwrap().1.errors[&3], 2);
        assert_eq!(all.stage(RequestStage::Sync).sum_ns(), 3_000);
        assert_eq!(
            (all.stage(RequestStage::Turn).count(), all.stage(RequestStage::Send).count()),
            (2, 0)
        );
        assert_eq!(
            stages.to_string(),
            "receive=0 decode=0 route=0 turn=0 journal=0 sync=1 reply=0 send=0"
        );
    }
}
