//! `klamm mirror` between two brokers, which are killed, as it is.

use klamm::client::consumer::{CommitOffset, Consumer, ConsumerSettings, StartAt};
use klamm::client::transactional::TransactionalProducer;
use klamm::client::transactions::NamedPartition;
use klamm::client::{Cluster, groups, offsets};
use klamm::wire::records::{BatchBuilder, Compression};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use support::clock::{PATIENCE, now_ms};
use support::program::{Running, ended};
use support::{Broker, Ended, Scratch, broker_can_run, klamm, wait_for};

const SMALL: [&str; 6] = ["--shards", "1", "--memory", "64MiB", "--journal", "16MiB"];

/// A broker that can be killed and started again where it was.
struct Place {
    home: Scratch,
    broker: Option<Broker>,
    port: u16,
}

impl Place {
    fn start(name: &str) -> Self {
        let home = Scratch::new(name);
        let broker = Broker::start(&home, &SMALL);
        let port = broker.port();
        Self { home, broker: Some(broker), port }
    }

    fn kill(&mut self) {
        self.broker.take().expect("a broker").kill();
    }

    fn start_again(&mut self) {
        self.broker = Some(Broker::start_at(&self.home, self.port, &SMALL));
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn cluster(&self) -> Cluster {
        Cluster::connect(&self.address()).expect("a broker")
    }

    /// A tool succeeds at this broker.
    #[track_caller]
    fn done(&self, line: &str) -> String {
        let mut command = support::command(klamm());
        let (tool, rest) = line.split_once(' ').expect("a tool and what it is to do");
        if tool == "kafka-features" {
            command.args([tool, "--bootstrap-server", &self.address()]);
            command.args(rest.split_whitespace());
        } else {
            command.args(line.split_whitespace()).args(["--bootstrap-server", &self.address()]);
        }
        ended(&mut command).done()
    }

    /// All that is committed, by partition.
    fn read(&self, topic: &str) -> BTreeMap<i32, Vec<Read>> {
        let mut cluster = self.cluster();
        cluster.refresh(Some(&[topic]), false).expect("metadata");
        let all = &cluster.metadata().topic(topic).expect("the topic").partitions;
        let all: Vec<i32> = all.keys().copied().collect();
        let ends = offsets::list_once(&mut cluster, topic, &all, offsets::LATEST, 1).expect("ends");
        let settings = ConsumerSettings { read_committed: true, ..ConsumerSettings::default() };
        let mut consumer = Consumer::new(cluster, settings);
        let start = |n: &i32| (topic, *n, StartAt::Offset(0));
        consumer.assign(&all.iter().map(start).collect::<Vec<_>>());
        let mut found: BTreeMap<i32, Vec<Read>> = all.iter().map(|n| (*n, Vec::new())).collect();
        let behind = |consumer: &Consumer| {
            all.iter().any(|n| consumer.position(topic, *n).unwrap_or(0) < ends[n])
        };
        while behind(&consumer) {
            let polled = consumer.poll(Duration::from_millis(100), None, &mut |it| {
                let record = it.record;
                let owned = |bytes: &[u8]| bytes.to_vec();
                found.entry(it.partition).or_default().push(Read {
                    offset: record.offset,
                    record: Content {
                        timestamp: record.timestamp,
                        key: record.key.map(owned),
                        value: record.value.map(owned),
                        headers: record
                            .headers
                            .clone()
                            .map(|(key, value)| (key.to_vec(), value.map(owned)))
                            .collect(),
                    },
                });
                ControlFlow::Continue(())
            });
            polled.expect("records");
        }
        found
    }
}

/// A record, and where it is.
#[derive(Debug)]
struct Read {
    offset: i64,
    record: Content,
}

#[derive(Debug, PartialEq, Eq)]
struct Content {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// The copy has the same records in the same order, each once.
#[track_caller]
fn assert_copied(source: &BTreeMap<i32, Vec<Read>>, copy: &BTreeMap<i32, Vec<Read>>) {
    for (partition, want) in source {
        let got = &copy[partition];
        let differs = want.iter().zip(got).position(|(a, b)| a.record != b.record);
        if let Some(at) = differs {
            panic!("partition {partition}, record {at}: {:?}, not {:?}", got[at], want[at]);
        }
        assert_eq!(got.len(), want.len(), "records of partition {partition}");
    }
}

/// Two brokers, and the mirror between them.
struct Pair {
    source: Place,
    target: Place,
}

impl Pair {
    fn start(name: &str) -> Self {
        let source = Place::start(&format!("mirror-{name}-source"));
        Self { source, target: Place::start(&format!("mirror-{name}-target")) }
    }

    fn command(&self, flags: &str) -> std::process::Command {
        let mut command = support::command(klamm());
        command.args(["mirror", "--from", &self.source.address(), "--to", &self.target.address()]);
        command.args(flags.split_whitespace());
        command
    }

    fn mirror(&self, flags: &str) -> Running {
        Running::start(self.command(flags))
    }

    fn once(&self, flags: &str) -> Ended {
        ended(&mut self.command(&format!("--once {flags}")))
    }

    /// How far the mirror's positions are, together.
    fn positions(&self) -> i64 {
        let mut cluster = self.target.cluster();
        let found = groups::list(&mut cluster, &[], &[]).expect("groups");
        let mirrors = found.iter().filter(|it| it.id.starts_with("klamm-mirror."));
        let mut sum = 0;
        for group in mirrors {
            let all = groups::fetch_offsets(&mut cluster, &group.id).expect("offsets");
            sum += all.values().flat_map(BTreeMap::values).map(|it| it.offset).sum::<i64>();
        }
        sum
    }
}

#[track_caller]
fn wait(what: &str, probe: impl FnMut() -> Option<()>) {
    assert!(wait_for(PATIENCE, probe).is_some(), "no {what}");
}

/// Writes transactions of some batches with all that records can have; every fifth is aborted.
struct Writer {
    cluster: Cluster,
    producer: TransactionalProducer,
    topic: String,
    partitions: i32,
    number: u64,
    began_ms: i64,
}

impl Writer {
    fn new(place: &Place, topic: &str, partitions: i32) -> Self {
        let mut cluster = place.cluster();
        cluster.refresh(Some(&[topic]), false).expect("metadata");
        let mut producer = TransactionalProducer::new("writer", 60_000);
        producer.init(&mut cluster).expect("a producer");
        let began_ms = now_ms();
        Self { cluster, producer, topic: topic.to_owned(), partitions, number: 0, began_ms }
    }

    /// One batch of some records for some partitions.
    fn write(&mut self) {
        let mut batches: BTreeMap<NamedPartition, Vec<Vec<u8>>> = BTreeMap::new();
        let step = self.number;
        for partition in 0..self.partitions {
            if (step + partition as u64) % 3 == 2 {
                continue;
            }
            let compression = Compression::ALL[(step % 5) as usize];
            let mut batch = BatchBuilder::new(compression);
            for n in 0..=step % 7 {
                let key = format!("{step}.{n}");
                let value = vec![n as u8; 10 + (step % 50) as usize * 20];
                let value = (n != 3).then_some(&value[..]);
                let header = step.to_be_bytes();
                let headers: [(&str, Option<&[u8]>); 2] = [("step", Some(&header)), ("none", None)];
                let headers = if n == 1 { &headers[..] } else { &[] };
                let key = (n != 4).then_some(key.as_bytes());
                batch.push(self.began_ms - 10_000 + step as i64 % 1_000, key, value, headers);
            }
            batches.insert((self.topic.clone(), partition), vec![batch.build()]);
        }
        self.number += 1;
        if batches.is_empty() {
            return;
        }
        self.producer.send(&mut self.cluster, &mut batches).expect("written");
        if step % 5 == 4 {
            // Aborts what is open.
            self.producer.init(&mut self.cluster).expect("a producer");
        } else {
            self.producer.commit(&mut self.cluster).expect("committed");
        }
    }
}

/// Offsets that a group has committed, by partition.
fn committed(place: &Place, group: &str, topic: &str) -> BTreeMap<i32, i64> {
    let found = groups::fetch_offsets(&mut place.cluster(), group).expect("offsets");
    let found = found.get(topic).into_iter().flatten();
    found.filter(|(_, it)| it.offset >= 0).map(|(n, it)| (*n, it.offset)).collect()
}

fn commit(place: &Place, group: &str, topic: &str, at: &BTreeMap<i32, i64>) {
    let at = at.iter().map(|(n, offset)| (*n, CommitOffset { offset: *offset, leader_epoch: -1 }));
    let offsets = BTreeMap::from([(topic.to_owned(), at.collect())]);
    groups::commit(&mut place.cluster(), group, &offsets).expect("committed");
}

#[test]
fn every_record_is_copied_once_whatever_is_killed() {
    if !broker_can_run() {
        return;
    }
    let mut pair = Pair::start("kills");
    pair.source.done("topic create orders --partitions 3 --config retention.ms=86400000");
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut writer = Writer::new(&pair.source, "orders", 3);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                writer.write();
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 0..5 {
            let mirror = pair.mirror("--interval 0.3");
            let before = pair.positions();
            wait("progress", || (pair.positions() > before + 50).then_some(()));
            if round == 2 {
                // The mirror goes on by itself when its target is there again.
                pair.target.kill();
                pair.target.start_again();
                let before = pair.positions();
                wait("progress", || (pair.positions() > before + 50).then_some(()));
            }
            drop(mirror); // SIGKILL.
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(written.load(Ordering::Relaxed) > 10);
    let source = pair.source.read("orders");
    // Groups that have read nothing, half, all but one and all.
    let group = |name: &str, at: &dyn Fn(&Vec<Read>) -> i64| {
        let at = source.iter().map(|(n, all)| (*n, at(all))).collect();
        commit(&pair.source, name, "orders", &at);
    };
    group("none", &|_| 0);
    group("half", &|all| all[all.len() / 2].offset);
    group("last", &|all| all[all.len() - 1].offset);
    group("all", &|all| all[all.len() - 1].offset + 1);

    // One that is in use at the target keeps its own.
    group("busy", &|_| 0);
    let mut member = support::command(klamm());
    member.args(["consume", "orders", "--group", "busy", "-b", &pair.target.address()]);
    let member = Running::start(member);
    wait("member", || {
        let found = groups::describe(&mut pair.target.cluster(), "busy").ok()?;
        (found.state == "Stable" && found.members.len() == 1).then_some(())
    });

    let out = pair.once("").done();
    assert!(out.starts_with("done: "), "{out}");
    let own = committed(&pair.target, "busy", "orders");
    assert!(own.values().all(|at| *at > 0), "{own:?}");
    drop(member);
    let copy = pair.target.read("orders");
    assert_copied(&source, &copy);
    let config = pair.target.done("config describe --topic orders");
    assert!(config.contains("retention.ms") && config.contains("86400000"), "{config}");

    for name in ["none", "half", "last", "all"] {
        let (there, here) =
            (committed(&pair.source, name, "orders"), committed(&pair.target, name, "orders"));
        for (partition, at) in &there {
            let read = source[partition].iter().filter(|it| it.offset < *at).count();
            let moved = copy[partition].iter().filter(|it| it.offset < here[partition]).count();
            assert!(moved <= read, "group {name} would miss {} records", moved - read);
            // What was copied of late is translated to the record; what was long ago, to one before it.
            let exact = ["none", "last", "all"].contains(&name);
            assert!(!exact || moved == read, "group {name}: {moved} for {read}");
            assert!(read == 0 || moved > 0, "group {name} begins anew");
        }
    }
    // All of it is there.
    assert_eq!(pair.once("").done(), "done: 0 records copied, 0.0 MB\n");
    assert_copied(&source, &pair.target.read("orders"));
}

#[test]
fn of_two_mirrors_with_one_name_the_later_goes_on() {
    if !broker_can_run() {
        return;
    }
    let pair = Pair::start("fence");
    pair.source.done("topic create t --partitions 2");
    let mut writer = Writer::new(&pair.source, "t", 2);
    writer.write();
    let first = pair.mirror("--name m");
    wait("position", || (pair.positions() > 0).then_some(()));
    let second = pair.mirror("--name m");
    let (code, err) = first.end();
    assert_eq!(code, Some(75), "{err}");
    let last = err.lines().last().unwrap_or_default();
    assert_eq!(last, "klamm: another mirror of the name 'm' has taken over");
    // The other one does the work, and ends when it is told to.
    let before = pair.positions();
    writer.write();
    wait("progress", || (pair.positions() > before).then_some(()));
    let (code, err) = second.interrupt();
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(pair.once("--name m").code, Some(0));
    assert_copied(&pair.source.read("t"), &pair.target.read("t"));
    // One of another name leaves the copy alone.
    let other = pair.once("--name other");
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.err.contains("the copy of the mirror with --name m"), "{other:?}");
}

#[test]
fn topics_follow_and_copies_are_known() {
    if !broker_can_run() {
        return;
    }
    let pair = Pair::start("topics");
    pair.source.done("topic create a --partitions 1 --config cleanup.policy=compact");
    pair.source.done("topic create a-tmp --partitions 1");
    let mut writer = Writer::new(&pair.source, "a-tmp", 1);
    writer.write();
    let flags = "--prefix us. --exclude .*-tmp --interval 0.2";
    let mirror = pair.mirror(flags);
    let described = || pair.target.done("topic list");
    wait("copy", || described().contains("us.a").then_some(()));
    // What changes there changes here.
    pair.source.done("topic alter a --partitions 3");
    pair.source.done("config set --topic a segment.ms=7200000");
    pair.source.done("topic create b --partitions 1");
    let config = || pair.target.done("config describe --topic us.a");
    wait("settings", || {
        let all = config();
        (all.contains("compact") && all.contains("7200000")).then_some(())
    });
    wait("partitions", || {
        let mut cluster = pair.target.cluster();
        cluster.refresh(Some(&["us.a", "us.b"]), false).expect("metadata");
        let count = |topic| cluster.metadata().topic(topic).map_or(0, |it| it.partitions.len());
        (count("us.a") == 3 && count("us.b") == 1).then_some(())
    });
    let mut writer = Writer::new(&pair.source, "b", 1);
    writer.write();
    wait("position", || (pair.positions() > 0).then_some(()));
    let (code, err) = mirror.interrupt();
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(!described().contains("tmp"));
    assert_copied(&pair.source.read("b"), &pair.target.read("us.b"));

    // What came from a cluster does not go back to it.
    let mut back = support::command(klamm());
    back.args([
        "mirror",
        "--from",
        &pair.target.address(),
        "--to",
        &pair.source.address(),
        "--once",
    ]);
    let back = ended(&mut back);
    assert_eq!(back.code, Some(0), "{back:?}");
    assert!(back.err.contains("topic 'us.b' is a copy of what is at the target"), "{back:?}");
    assert!(!pair.source.done("topic list").contains("us."));

    // Another topic of the name is not written behind what was copied from the first.
    pair.source.done("topic delete b");
    pair.source.done("topic create b --partitions 1");
    let refused = pair.once(flags);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let why = "topic 'b' was deleted and created again at the source: delete 'us.b' at the target";
    assert!(refused.err.contains(why), "{refused:?}");
    pair.target.done("topic delete us.b");
    let mut writer = Writer::new(&pair.source, "b", 1);
    writer.write();
    assert_eq!(pair.once(flags).code, Some(0));
    assert_copied(&pair.source.read("b"), &pair.target.read("us.b"));

    // Nor is anything written behind what others have written, unless that is asked for.
    pair.target.done("topic create us.c --partitions 1");
    pair.source.done("topic create c --partitions 1");
    Writer::new(&pair.target, "us.c", 1).write();
    Writer::new(&pair.source, "c", 1).write();
    let refused = pair.once(flags);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("--append"), "{refused:?}");
    assert_eq!(pair.once(&format!("{flags} --append")).code, Some(0));
    let both = pair.target.read("us.c")[&0].len();
    assert_eq!(both, 2 * pair.source.read("c")[&0].len());
}

#[test]
fn what_retention_took_is_counted_and_old_transactions_do() {
    if !broker_can_run() {
        return;
    }
    let pair = Pair::start("lost");
    // As clusters before Kafka 4 have them.
    pair.target.done("kafka-features downgrade --feature transaction.version=0");
    pair.source.done("topic create t --partitions 1");
    let mut writer = Writer::new(&pair.source, "t", 1);
    (0..8).for_each(|_| writer.write());
    let before = pair.source.read("t").remove(&0).expect("records");
    assert_eq!(pair.once("").code, Some(0));
    (0..8).for_each(|_| writer.write());
    let all = pair.source.read("t").remove(&0).expect("records");
    let gone = all[before.len() + 5].offset;
    let request = format!(r#"{{"partitions":[{{"topic":"t","partition":0,"offset":{gone}}}]}}"#);
    let file = pair.source.home.join("delete.json");
    std::fs::write(&file, request).expect("a file");
    pair.source.done(&format!("kafka-delete-records --offset-json-file {}", file.display()));
    let again = pair.once("");
    assert_eq!(again.code, Some(0), "{again:?}");
    let lost = again.err.lines().find(|it| it.contains("LOST")).expect("a line");
    assert!(lost.contains("offsets of partition 0 of topic 't' were deleted"), "{lost}");
    assert!(lost.ends_with(&format!("going on at offset {gone}")), "{lost}");
    let copy = pair.target.read("t").remove(&0).expect("records");
    let kept = all.iter().enumerate().filter(|(n, it)| *n < before.len() || it.offset >= gone);
    let kept: Vec<&Content> = kept.map(|(_, it)| &it.record).collect();
    assert_eq!(copy.iter().map(|it| &it.record).collect::<Vec<_>>(), kept);
}
