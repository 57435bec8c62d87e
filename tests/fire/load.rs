//! What clients do meanwhile: an idempotent producer, a group of two consumers, and somebody who looks at what
//! the group has committed.

use crate::history::{History, Value};
use crate::{PARTITIONS, TOPIC};
use klamm::client::consumer::{
    Consumer, ConsumerSettings, GroupSettings, Notice, OffsetReset, Topics,
};
use klamm::client::producer::{NewRecord, Producer, ProducerSettings};
use klamm::client::{ClientError, Cluster, groups};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use support::wait_for;

const GROUP: &str = "readers";
/// A record is sent so often.
const EVERY: Duration = Duration::from_millis(2);

/// How long each partition was without acknowledgements.
#[derive(Debug)]
struct Gaps {
    last: Instant,
    longest: Duration,
    /// When that one ended, by the clock of the nodes' logs, ms.
    ended_ms: i64,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// The readers stop when they have read this many values.
    values: AtomicU64,
    read_enough: AtomicBool,
    acknowledged: AtomicU64,
    gaps: Mutex<Vec<Gaps>>,
    read: Mutex<BTreeSet<Value>>,
    /// What has gone wrong, in one line each.
    wrong: Mutex<Vec<String>>,
}

impl Shared {
    fn wrong(&self, line: String) {
        eprintln!("{line}");
        self.wrong.lock().expect("no panic").push(line);
    }
}

/// See the module.
pub struct Load {
    shared: Arc<Shared>,
    writer: JoinHandle<History>,
    readers: Vec<JoinHandle<()>>,
    watcher: JoinHandle<()>,
}

impl Load {
    /// Starts them all.
    pub fn start(bootstrap: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let now = Instant::now();
        let gaps =
            (0..PARTITIONS).map(|_| Gaps { last: now, longest: Duration::ZERO, ended_ms: 0 });
        *shared.gaps.lock().expect("no panic") = gaps.collect();
        let spawn = |name: &str, work: fn(&str, &Shared)| {
            let (bootstrap, shared) = (bootstrap.to_owned(), shared.clone());
            let name = name.to_owned();
            std::thread::Builder::new()
                .name(name)
                .spawn(move || work(&bootstrap, &shared))
                .expect("a thread")
        };
        let readers = vec![spawn("reader-1", read), spawn("reader-2", read)];
        let watcher = spawn("watcher", watch_commits);
        let writer = {
            let (bootstrap, shared) = (bootstrap.to_owned(), shared.clone());
            std::thread::spawn(move || write(&bootstrap, &shared))
        };
        Self { shared, writer, readers, watcher }
    }

    /// Waits until so many more records are acknowledged, in each partition at least one.
    pub fn wait_for_acknowledgements(&self, count: u64) {
        let before = self.shared.acknowledged.load(Ordering::Relaxed);
        let since = Instant::now();
        let more = wait_for(Duration::from_mins(1), || {
            let enough = self.shared.acknowledged.load(Ordering::Relaxed) >= before + count;
            let gaps = self.shared.gaps.lock().expect("no panic");
            (enough && gaps.iter().all(|it| it.last > since)).then_some(())
        });
        assert!(more.is_some(), "no acknowledgements: {:?}", self.shared.gaps);
    }

    /// The longest time that a partition was without acknowledgements is measured anew.
    pub fn begin_round(&self) {
        for gap in self.shared.gaps.lock().expect("no panic").iter_mut() {
            gap.longest = Duration::ZERO;
        }
    }

    /// The longest time that any partition was without acknowledgements in this round, and which, and when it ended.
    pub fn longest_gap(&self) -> (Duration, String) {
        let gaps = self.shared.gaps.lock().expect("no panic");
        let longest =
            (0..).zip(gaps.iter()).max_by_key(|(_, it)| it.longest.max(it.last.elapsed()));
        let (partition, it) = longest.expect("there are partitions");
        let day_ms = it.ended_ms % 86_400_000;
        let (minutes, ms) = (day_ms / 60_000, day_ms % 60_000);
        let (hour, minute, second) = (minutes / 60, minutes % 60, ms as f64 / 1_000.0);
        let ended = format!("{hour:02}:{minute:02}:{second:06.3} in partition {partition}");
        (it.longest.max(it.last.elapsed()), ended)
    }

    /// What went wrong so far.
    pub fn wrong(&self) -> usize {
        self.shared.wrong.lock().expect("no panic").len()
    }

    /// Stops writing, lets the readers read everything, and gives what happened.
    pub fn end(self, patience: Duration) -> History {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut history = self.writer.join().expect("the writer");
        let acknowledged: BTreeSet<Value> = history.acknowledged.keys().copied().collect();
        let all = wait_for(patience, || {
            let read = self.shared.read.lock().expect("no panic");
            acknowledged.is_subset(&read).then_some(())
        });
        if all.is_none() {
            let read = self.shared.read.lock().expect("no panic");
            let missing: Vec<_> = acknowledged.difference(&read).take(10).collect();
            self.shared.wrong(format!("the group has not read {missing:?}"));
        }
        self.shared.read_enough.store(true, Ordering::Relaxed);
        for reader in self.readers {
            reader.join().expect("a reader");
        }
        self.watcher.join().expect("the watcher");
        history.wrong = std::mem::take(&mut *self.shared.wrong.lock().expect("no panic"));
        history
    }
}

fn connect(bootstrap: &str) -> Cluster {
    let cluster = wait_for(Duration::from_mins(1), || Cluster::connect(bootstrap).ok());
    cluster.expect("a broker")
}

fn write(bootstrap: &str, shared: &Shared) -> History {
    let settings = ProducerSettings { linger_ms: 0, ..ProducerSettings::default() };
    let mut producer = Producer::new(connect(bootstrap), settings);
    let topic = producer.topic(TOPIC).expect("the topic");
    let mut history = History::default();
    let mut next = Instant::now();
    while !shared.stop.load(Ordering::Relaxed) {
        let number = shared.values.fetch_add(1, Ordering::Relaxed);
        let partition = (number % PARTITIONS as u64) as i32;
        let value = number.to_be_bytes();
        let record = NewRecord {
            timestamp: support::now_ms(),
            key: None,
            value: Some(&value),
            headers: &[],
            tag: number,
        };
        if let Err(e) = producer.send(topic, Some(partition), &record) {
            shared.wrong(format!("send: {e}"));
        }
        // One that was held up does not make up for more than a second.
        let behind =
            Instant::now().saturating_duration_since(next).saturating_sub(Duration::from_secs(1));
        next += EVERY + behind;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            producer.poll(left, None);
            take_deliveries(&mut producer, &mut history, shared);
            if left.is_zero() {
                break;
            }
        }
    }
    producer.flush(|| false);
    take_deliveries(&mut producer, &mut history, shared);
    history
}

fn take_deliveries(producer: &mut Producer, history: &mut History, shared: &Shared) {
    while let Some(delivery) = producer.delivered() {
        match delivery.result {
            Ok(base) => {
                let now = Instant::now();
                let mut gaps = shared.gaps.lock().expect("no panic");
                let gap = &mut gaps[delivery.partition as usize];
                let since = now.saturating_duration_since(gap.last);
                if since > gap.longest {
                    (gap.longest, gap.ended_ms) = (since, support::now_ms());
                }
                gap.last = now;
                drop(gaps);
                let mut offset = base;
                for (tag, count) in delivery.tags {
                    assert_eq!(count, 1, "tags differ");
                    history.acknowledged.insert(tag, (delivery.partition, offset));
                    offset += i64::from(base >= 0);
                    shared.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(e) => {
                history.failed += delivery.tags.len() as u64;
                shared.wrong(format!("partition {}: {e}", delivery.partition));
            }
        }
    }
}

fn read(bootstrap: &str, shared: &Shared) {
    let mut group = GroupSettings::new(GROUP);
    group.session_timeout_ms = 10_000;
    group.heartbeat_interval_ms = 500;
    let settings = ConsumerSettings {
        group: Some(group),
        offset_reset: OffsetReset::Earliest,
        auto_commit_interval_ms: 200,
        ..ConsumerSettings::default()
    };
    let mut consumer = Consumer::new(connect(bootstrap), settings);
    consumer.subscribe(Topics::Named(vec![TOPIC.to_owned()]));
    while !shared.read_enough.load(Ordering::Relaxed) {
        let mut values = Vec::new();
        let result = consumer.poll(Duration::from_millis(100), None, &mut |it| {
            values.extend(it.record.value.and_then(number_of));
            ControlFlow::Continue(())
        });
        shared.read.lock().expect("no panic").extend(values);
        if let Err(e) = result {
            shared.wrong(format!("a reader ended: {e}"));
            return;
        }
        while let Some(notice) = consumer.notice() {
            if let Notice::Reset { topic, partition, offset } = notice {
                shared.wrong(format!("{topic}-{partition}: a reader was reset to {offset}"));
            }
        }
    }
    consumer.close();
}

/// The number that a value is.
pub fn number_of(value: &[u8]) -> Option<Value> {
    value.try_into().ok().map(u64::from_be_bytes)
}

fn watch_commits(bootstrap: &str, shared: &Shared) {
    let mut cluster = connect(bootstrap);
    let mut seen: BTreeMap<i32, i64> = BTreeMap::new();
    while !shared.read_enough.load(Ordering::Relaxed) {
        let found: Result<_, ClientError> =
            groups::fetch_offsets_once(&mut cluster, GROUP, None, false);
        for (partition, committed) in
            found.ok().and_then(|mut it| it.remove(TOPIC)).into_iter().flatten()
        {
            let before = seen.insert(partition, committed.offset);
            if before.is_some_and(|before| before > committed.offset) {
                let (from, to) = (before.unwrap_or(-1), committed.offset);
                shared
                    .wrong(format!("the commit of partition {partition} went from {from} to {to}"));
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
