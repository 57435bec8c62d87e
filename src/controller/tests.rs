//! The controller against a naive model, over restarts.

use super::broker::{Broker, Registration};
use super::codec::{SnapshotState, decode_snapshot, encode_snapshot};
use super::codec::{decode_batch, encode_batch};
use super::core::Controller;
use super::features;
use super::image::Image;
use super::open::{MetaError, OpenOptions};
use super::record::{NewPartition, PartitionChange, Record};
use crate::storage::buffer::Budget;
use crate::storage::device::disk::{Disk, RealDisk};
use crate::types::TopicId;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory below `target/` that goes with its test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("target/test-meta-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn disk(&self) -> Disk {
        Disk::Real(RealDisk::new(&self.0, Budget::new(usize::MAX)).unwrap())
    }

    fn file(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn options() -> OpenOptions {
    OpenOptions {
        cluster_id: "cluster".into(),
        node_id: 1,
        host: "localhost".into(),
        port: 9092,
        peer_host: String::new(),
        peer_port: 0,
        rack: None,
        incarnation: 1,
        directory: 0,
        fixed: Arc::default(),
        shards: 2,
        voters: BTreeSet::new(),
        joins: false,
        log_bytes_max: crate::controller::LOG_BYTES_MAX,
        seed: 1,
    }
}

fn open(disk: &Disk) -> Controller {
    Controller::open(disk, &options()).unwrap().0
}

pub(super) fn id(number: u8) -> TopicId {
    TopicId([number; 16])
}

pub(super) fn partitions(count: usize) -> Vec<NewPartition> {
    vec![NewPartition::new([1]); count]
}

pub(super) fn topic(number: u8, count: usize) -> Record {
    let name = format!("topic-{number}");
    Record::TopicCreated { id: id(number), name, partitions: partitions(count), settings: vec![] }
}

/// Proposes, and writes until nothing is left to write.
fn commit(controller: &mut Controller, disk: &Disk, records: &[Record]) -> Arc<Image> {
    let index = controller.propose(records);
    while let Some(persist) = controller.ready() {
        for op in persist.ops {
            disk.run(op).unwrap();
        }
        controller.persisted(persist.ticket);
    }
    let image = controller.image();
    assert_eq!(image.index, index);
    image
}

/// What an image shows, without what shares it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Model {
    topics: BTreeMap<String, ModelTopic>,
    deleting: BTreeSet<TopicId>,
    broker: BTreeMap<String, String>,
    groups: BTreeMap<String, BTreeMap<String, String>>,
    next_producer_id: i64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ModelTopic {
    id: TopicId,
    epochs: Vec<i32>,
    settings: BTreeMap<String, String>,
}

impl Model {
    pub(super) fn of(image: &Image) -> Self {
        let topics = image.topics().map(|topic| {
            assert!(image.topic_by_id(topic.id).is_some_and(|it| it.name == topic.name));
            let expected =
                crate::types::TopicConfig::effective(&topic.overrides, &image.broker_configs);
            assert_eq!(*topic.config, expected);
            let epochs = topic.partitions.iter().map(|it| it.leader_epoch).collect();
            let settings = (*topic.overrides).clone();
            (topic.name.to_string(), ModelTopic { id: topic.id, epochs, settings })
        });
        let groups = image.groups_with_settings().map(|group| {
            let settings = image.group_overrides(group).expect("it has settings");
            (group.to_string(), settings.clone())
        });
        Self {
            groups: groups.collect(),
            topics: topics.collect(),
            deleting: image.deleting().collect(),
            broker: image.dynamic_settings(Some(1)),
            next_producer_id: image.next_producer_id,
        }
    }

    fn by_id(&mut self, id: TopicId) -> Option<&mut ModelTopic> {
        self.topics.values_mut().find(|topic| topic.id == id)
    }

    pub(super) fn apply(&mut self, record: &Record) {
        let merge = |into: &mut BTreeMap<String, String>, settings: &[(String, Option<String>)]| {
            for (name, value) in settings {
                into.remove(name);
                into.extend(value.clone().map(|value| (name.clone(), value)));
            }
        };
        match record {
            Record::TopicCreated { id, name, partitions, settings } => {
                let settings = settings.iter().cloned().collect();
                let topic = ModelTopic { id: *id, epochs: vec![0; partitions.len()], settings };
                self.topics.insert(name.clone(), topic);
            }
            Record::TopicDeleted { id } => {
                let before = self.topics.len();
                self.topics.retain(|_, topic| topic.id != *id);
                if self.topics.len() < before {
                    self.deleting.insert(*id);
                }
            }
            Record::TopicForgotten { id } => drop(self.deleting.remove(id)),
            Record::PartitionsAdded { id, partitions } => {
                if let Some(topic) = self.by_id(*id) {
                    topic.epochs.extend(vec![0; partitions.len()]);
                }
            }
            Record::TopicConfigSet { id, settings } => {
                if let Some(topic) = self.by_id(*id) {
                    merge(&mut topic.settings, settings);
                }
            }
            Record::BrokerConfigSet { settings, .. } => merge(&mut self.broker, settings),
            Record::GroupConfigSet { group, settings } => {
                merge(self.groups.entry(group.clone()).or_default(), settings);
                self.groups.retain(|_, settings| !settings.is_empty());
            }
            Record::PartitionsChanged { id, changes } => {
                let Some(topic) = self.by_id(*id) else { return };
                for (at, _) in changes.iter().filter(|it| it.1.leader.is_some()) {
                    if let Some(epoch) = topic.epochs.get_mut(*at as usize) {
                        *epoch += 1;
                    }
                }
            }
            Record::BrokerFenced { .. }
            | Record::BrokerUnfenced { .. }
            | Record::BrokerSpace { .. }
            | Record::BrokerShuttingDown { .. }
            | Record::BrokerUnregistered { .. }
            | Record::FeatureLevelSet { .. } => {}
            Record::BrokerStarted { .. } | Record::BrokerRegistered(_) => {
                for epoch in self.topics.values_mut().flat_map(|it| &mut it.epochs) {
                    *epoch += 1;
                }
            }
            Record::ProducerIdsTaken { count } => self.next_producer_id += i64::from(*count),
        }
    }
}

/// Records as a controller would propose them: a name and an id are created once.
fn record() -> impl Strategy<Value = Record> {
    let setting = || {
        let value =
            prop_oneof![Just(None), (1..9u32).prop_map(|v| Some((v * 1_048_576).to_string()))];
        prop::collection::vec(
            (prop::sample::select(vec!["segment.bytes", "retention.ms"]), value),
            0..3,
        )
        .prop_map(|it| it.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Vec<_>>())
    };
    prop_oneof![
        4 => (0..12u8, 1..5usize).prop_map(|(n, count)| topic(n, count)),
        2 => (0..12u8).prop_map(|n| Record::TopicDeleted { id: id(n) }),
        1 => (0..12u8).prop_map(|n| Record::TopicForgotten { id: id(n) }),
        2 => (0..12u8, 1..4usize)
            .prop_map(|(n, count)| Record::PartitionsAdded { id: id(n), partitions: partitions(count) }),
        2 => (0..12u8, setting())
            .prop_map(|(n, settings)| Record::TopicConfigSet { id: id(n), settings }),
        1 => setting().prop_map(|mut settings| {
            for it in &mut settings {
                it.0 = format!("log.{}", it.0);
            }
            Record::BrokerConfigSet { broker: Some(1), settings }
        }),
        1 => (0..3u8, setting()).prop_map(|(n, settings)| Record::GroupConfigSet {
            group: format!("group-{n}"),
            settings,
        }),
        1 => (1..2000).prop_map(|count| Record::ProducerIdsTaken { count }),
        2 => (0..12u8, prop::collection::vec((-1..6, any::<bool>()), 0..4)).prop_map(|(n, changes)| {
            let change = |leads: bool| PartitionChange {
                leader: leads.then_some(1),
                isr: (!leads).then(|| [1].into()),
                ..PartitionChange::default()
            };
            let changes = changes.into_iter().map(|(at, leads)| (at, change(leads))).collect();
            Record::PartitionsChanged { id: id(n), changes }
        }),
        1 => (2..4, any::<bool>()).prop_map(|(broker, fenced)| if fenced {
            Record::BrokerFenced { broker }
        } else {
            Record::BrokerUnfenced { broker }
        }),
    ]
}

/// Drops creations of what was there once: ids are never used again.
fn plausible(records: Vec<Record>) -> Vec<Record> {
    let mut used = BTreeSet::new();
    let fresh = |record: &Record| match record {
        Record::TopicCreated { id, .. } => used.insert(*id),
        _ => true,
    };
    records.into_iter().filter(fresh).collect()
}

pub(super) fn started() -> Record {
    Record::BrokerStarted { broker: 1, host: "localhost".into(), port: 9092, rack: None }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_naive_model_over_restarts(
        batches in prop::collection::vec((prop::collection::vec(record(), 1..4), 0..8u8), 1..24),
        small_log in any::<bool>(),
    ) {
        let dir = Dir::new();
        let disk = dir.disk();
        let limit = if small_log { 20_000 } else { 1 << 20 };
        let open = || Controller::open(&disk, &OpenOptions { log_bytes_max: limit, ..options() }).unwrap().0;
        let mut controller = open();
        let mut model = Model::default();
        let mut used = BTreeSet::new();
        for (records, dice) in batches {
            let records: Vec<Record> = plausible(records)
                .into_iter()
                .filter(|it| !matches!(it, Record::TopicCreated { id, .. } if !used.insert(*id)))
                .collect();
            for it in &records {
                model.apply(it);
            }
            let image = commit(&mut controller, &disk, &records);
            image.invariants();
            prop_assert_eq!(&Model::of(&image), &model);
            prop_assert_eq!(controller.draft(), &*image);
            if dice == 0 {
                drop(controller);
                controller = open();
                model.apply(&started());
                prop_assert_eq!(&Model::of(&controller.image()), &model);
            }
        }
    }

    #[test]
    fn records_read_as_written(records in prop::collection::vec(record(), 0..20)) {
        prop_assert_eq!(decode_batch(&encode_batch(&records)).unwrap(), records);
    }

    #[test]
    fn any_bytes_are_refused_or_read(mut bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<usize>(), to in any::<u8>()) {
        let _ = decode_batch(&bytes);
        let _ = super::codec::decode_write(&bytes);
        let _ = super::codec::decode_snapshot(&bytes, 1, Arc::default());
        bytes = encode_batch(&[vec![topic(1, 3), started()], rich_records()].concat());
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = decode_batch(&bytes);
    }
}

fn registration(id: i32) -> Registration {
    Registration {
        id,
        incarnation: u64::MAX - 1,
        directory: 1 << 100 | 7,
        host: "clients".into(),
        port: 9092,
        peer_host: "peers".into(),
        peer_port: 9292,
        rack: Some("rack".into()),
        shards: 8,
        features: features::supported(),
    }
}

fn rich_records() -> Vec<Record> {
    let replicas: Arc<[i32]> = [1, 2, 3].into();
    let partition = NewPartition { replicas, isr: [2, 3].into() };
    let change = PartitionChange {
        leader: Some(3),
        isr: Some([3].into()),
        elr: Some([2].into()),
        replicas: Some([1, 2, 3, 4].into()),
        adding: Some([4].into()),
        removing: Some([1].into()),
        unclean: true,
    };
    let gone = PartitionChange { leader: Some(-1), isr: Some([].into()), ..Default::default() };
    let partitions = vec![partition.clone(), NewPartition::new([1]), partition];
    vec![
        Record::BrokerRegistered(registration(2)),
        Record::BrokerRegistered(Registration { id: 3, rack: None, ..registration(2) }),
        Record::BrokerRegistered(Registration { id: 4, ..Registration::default() }),
        Record::BrokerUnfenced { broker: 2 },
        Record::BrokerShuttingDown { broker: 2 },
        Record::BrokerSpace { broker: 2, lacks: true },
        Record::BrokerUnfenced { broker: 3 },
        Record::BrokerUnfenced { broker: 4 },
        Record::BrokerSpace { broker: 4, lacks: true },
        Record::BrokerSpace { broker: 4, lacks: false },
        Record::BrokerFenced { broker: 4 },
        Record::BrokerRegistered(Registration { id: 5, ..registration(5) }),
        Record::BrokerUnregistered { broker: 5 },
        Record::TopicCreated { id: id(1), name: "t".into(), partitions, settings: vec![] },
        Record::PartitionsChanged {
            id: id(1),
            changes: vec![(0, change.clone()), (1, gone), (2, change)],
        },
        Record::PartitionsChanged { id: id(1), changes: vec![] },
        Record::FeatureLevelSet { name: "group.version".into(), level: 1 },
    ]
}

#[test]
fn what_is_known_of_brokers_and_replicas_reads_as_written() {
    let records = rich_records();
    assert_eq!(decode_batch(&encode_batch(&records)).unwrap(), records);
    let mut image = Image::new("cluster", 1, Arc::default());
    for it in &records {
        image.apply(it);
        image.invariants();
    }
    let expected = Broker {
        shutting_down: true,
        fenced: false,
        lacks_space: true,
        ..Broker::new(registration(2))
    };
    assert_eq!(**image.broker(2).unwrap(), expected);
    assert!(!image.lacks_space(4));
    assert_eq!(image.topic("t").unwrap().partitions[2].unclean_epoch, 1);
    assert_eq!(image.feature_level("group.version"), 1);
    let names = |broker| image.topics_of(broker).count();
    assert_eq!([1, 2, 3, 4, 5].map(names), [1, 1, 1, 1, 0]);
    assert_eq!(image.alive().map(|it| it.id).collect::<Vec<_>>(), [3]);
    let state = SnapshotState {
        term: 1,
        hard_state: raft::eraftpb::HardState::default(),
        members: raft::eraftpb::ConfState::from((vec![2], vec![])),
        log: 1,
        node: 2,
    };
    let bytes = futures_lite::future::block_on(encode_snapshot(&image, &state, &async || {}));
    assert_eq!(decode_snapshot(&bytes, 1, Arc::default()).unwrap(), (image, state));
}

#[test]
fn a_broker_holds_topics_as_long_as_it_has_a_replica_of_them() {
    let mut image = Image::new("cluster", 1, Arc::default());
    let mut run = |records: &[Record]| {
        for it in records {
            image.apply(it);
            image.invariants();
        }
        [1, 2, 3].map(|broker| image.topics_of(broker).count())
    };
    let named = |n, replicas: &[i32]| Record::TopicCreated {
        id: id(n),
        name: format!("t{n}"),
        partitions: vec![NewPartition::new(replicas), NewPartition::new([1])],
        settings: vec![],
    };
    assert_eq!(run(&[named(1, &[1, 2]), named(2, &[1])]), [2, 1, 0]);
    let added = vec![NewPartition::new([3, 2])];
    assert_eq!(run(&[Record::PartitionsAdded { id: id(2), partitions: added }]), [2, 2, 1]);
    let moved = PartitionChange {
        leader: Some(3),
        replicas: Some([3].into()),
        isr: Some([3].into()),
        ..Default::default()
    };
    let changed = Record::PartitionsChanged { id: id(1), changes: vec![(0, moved.clone())] };
    assert_eq!(run(&[changed]), [2, 1, 2]);
    let changed = Record::PartitionsChanged { id: id(1), changes: vec![(1, moved)] };
    assert_eq!(run(&[changed]), [1, 1, 2]);
    assert_eq!(run(&[Record::TopicDeleted { id: id(2) }]), [0, 0, 1]);
    assert_eq!(run(&[Record::TopicDeleted { id: id(1) }]), [0, 0, 0]);
}

/// A node that alone votes loses its data directory's name only with the directory; what it led has no leader then.
#[test]
fn a_start_with_another_directory_leads_nothing_that_was_written_to_the_one_before() {
    let dir = Dir::new();
    let disk = dir.disk();
    let open = |directory, incarnation| {
        let options = OpenOptions { incarnation, directory, ..options() };
        Controller::open(&disk, &options).unwrap().0
    };
    commit(&mut open(7, 1), &disk, &[topic(1, 2)]);
    let leaders = |controller: &Controller| {
        let image = controller.image();
        assert!(image.is_alive(1));
        image.topic("topic-1").unwrap().partitions[1].leader
    };
    assert_eq!(leaders(&open(7, 2)), 1);
    assert_eq!(leaders(&open(8, 3)), -1);
}

#[test]
fn a_start_raises_the_epochs_of_what_the_broker_leads() {
    let dir = Dir::new();
    let disk = dir.disk();
    let mut controller = open(&disk);
    let image = commit(&mut controller, &disk, &[topic(1, 2)]);
    assert_eq!(image.topic("topic-1").unwrap().partitions[1].leader_epoch, 0);
    assert_eq!(image.broker(1).unwrap().port, 9092);
    for epoch in 1..4 {
        let image = open(&disk).image();
        let partition = &image.topic("topic-1").unwrap().partitions[1];
        assert_eq!((partition.leader_epoch, partition.partition_epoch), (epoch, epoch));
        assert_eq!((partition.leader, &*partition.isr), (1, &[1][..]));
        assert_eq!(image.controller_id, 1);
    }
}

#[test]
fn nothing_takes_effect_before_it_is_written() {
    let dir = Dir::new();
    let disk = dir.disk();
    let mut controller = open(&disk);
    let first = controller.propose(&[topic(1, 1)]);
    assert!(controller.draft().topic("topic-1").is_some());
    let persist = controller.ready().unwrap();
    assert!(controller.image().topic("topic-1").is_none());
    // What is proposed meanwhile waits for the write in flight, and goes out with one write.
    controller.propose(&[topic(2, 1)]);
    let last = controller.propose(&[topic(3, 1)]);
    assert!(controller.ready().is_none());
    for op in persist.ops {
        disk.run(op).unwrap();
    }
    controller.persisted(persist.ticket);
    let image = controller.take_image().unwrap();
    assert_eq!((image.index, image.topics().len()), (first, 1));
    let persist = controller.ready().unwrap();
    for op in persist.ops {
        disk.run(op).unwrap();
    }
    controller.persisted(persist.ticket);
    let image = controller.take_image().unwrap();
    assert_eq!((image.index, image.topics().len()), (last, 3));
    assert!(controller.ready().is_none());
}

#[test]
fn producer_ids_are_never_given_twice() {
    let dir = Dir::new();
    let disk = dir.disk();
    let mut controller = open(&disk);
    let a = controller.take_producer_ids(1000);
    let b = controller.take_producer_ids(1000);
    assert_eq!((a.first, b.first, b.count), (0, 1000, 1000));
    assert!(b.index > a.index);
    commit(&mut controller, &disk, &[]);
    drop(controller);
    assert_eq!(open(&disk).take_producer_ids(1000).first, 2000);
}

/// Most settings of brokers are not about topics: none is gone through then.
#[test]
fn settings_of_brokers_change_topics_only_where_they_are_about_them() {
    let mut image = Image::new("c", 1, Arc::default());
    let partitions = vec![NewPartition::new([1])];
    image.apply(&Record::TopicCreated {
        id: id(1),
        name: "t".into(),
        partitions,
        settings: vec![],
    });
    let set = |image: &mut Image, name: &str, value: &str| {
        let settings = vec![(name.to_owned(), Some(value.to_owned()))];
        image.apply(&Record::BrokerConfigSet { broker: None, settings });
    };
    let before = image.topic("t").unwrap().clone();
    set(&mut image, "max.connections", "100");
    assert_eq!(image.broker_configs.number("max.connections"), Some(100));
    assert!(Arc::ptr_eq(&before, image.topic("t").unwrap()), "the topic was made anew");
    set(&mut image, "log.retention.ms", "5000");
    assert_eq!(image.topic("t").unwrap().config.retention_ms, 5000);
}

#[test]
fn a_topic_is_forgotten_when_every_shard_dropped_it() {
    let dir = Dir::new();
    let disk = dir.disk();
    let mut controller = open(&disk);
    commit(&mut controller, &disk, &[topic(1, 1)]);
    assert!(!controller.topic_dropped(id(1), 0), "it is not deleted");
    let image = commit(&mut controller, &disk, &[Record::TopicDeleted { id: id(1) }]);
    assert!(image.topic("topic-1").is_none() && image.is_deleting(id(1)));
    assert!(!controller.topic_dropped(id(1), 0));
    assert!(!controller.topic_dropped(id(1), 0));
    assert!(controller.topic_dropped(id(1), 1));
    let gone = controller.take_gone();
    assert_eq!(gone, [Record::TopicForgotten { id: id(1) }]);
    let image = commit(&mut controller, &disk, &gone);
    assert!(controller.take_gone().is_empty());
    assert!(!image.is_deleting(id(1)));
    assert!(!controller.topic_dropped(id(1), 1));
}

#[test]
fn another_cluster_and_another_node_are_refused() {
    let dir = Dir::new();
    let disk = dir.disk();
    open(&disk);
    let cluster = OpenOptions { cluster_id: "other".into(), ..options() };
    let error = Controller::open(&disk, &cluster).err().unwrap();
    assert!(matches!(error, MetaError::OtherCluster { .. }), "{error}");
    let node = OpenOptions { node_id: 2, ..options() };
    let error = Controller::open(&disk, &node).err().unwrap();
    assert!(matches!(error, MetaError::OtherNode(2)), "{error}");
    open(&disk);
}

/// Cuts the log at every sector, and zeroes every sector of its last write: what was acknowledged
/// before that write is there, and nothing of that write that is not whole.
#[test]
fn a_torn_tail_is_cut() {
    let dir = Dir::new();
    let disk = dir.disk();
    let mut controller = open(&disk);
    commit(&mut controller, &disk, &[topic(1, 1)]);
    let settings = (0..100).map(|i| (format!("name.{i}"), "v".repeat(100))).collect();
    let big =
        Record::TopicCreated { id: id(2), name: "big".into(), partitions: partitions(1), settings };
    let start = std::fs::metadata(dir.file("meta/log-1")).unwrap().len();
    commit(&mut controller, &disk, &[big]);
    drop(controller);
    let whole = std::fs::read(dir.file("meta/log-1")).unwrap();
    let snapshot = std::fs::read(dir.file("meta/snapshot")).unwrap();
    let written = whole.len() - start as usize;
    assert!(written >= 3 * 4096, "the last write has several blocks");
    let mut torn: Vec<Vec<u8>> = Vec::new();
    for cut in (0..written).step_by(512) {
        torn.push(whole[..start as usize + cut].to_vec());
        let mut hole = whole.clone();
        hole[start as usize + cut..][..512].fill(0);
        torn.push(hole);
    }
    for bytes in torn {
        // Zeros at the end are padding, and no loss.
        let mut padded = bytes.clone();
        padded.resize(whole.len(), 0);
        let has_all = padded == whole;
        std::fs::remove_dir_all(dir.file("meta")).unwrap();
        std::fs::create_dir(dir.file("meta")).unwrap();
        std::fs::write(dir.file("meta/log-1"), &bytes).unwrap();
        std::fs::write(dir.file("meta/snapshot"), &snapshot).unwrap();
        let mut controller = open(&disk);
        let image = controller.image();
        assert!(image.topic("topic-1").is_some());
        assert_eq!(image.topic("big").is_some(), has_all);
        commit(&mut controller, &disk, &[topic(3, 1)]);
        drop(controller);
        let image = open(&disk).image();
        assert_eq!(image.topic("big").is_some(), has_all);
        assert!(image.topic("topic-1").is_some() && image.topic("topic-3").is_some());
    }
}

#[test]
fn damage_before_the_tail_is_refused() {
    let dir = Dir::new();
    let disk = dir.disk();
    let mut controller = open(&disk);
    for number in 1..5 {
        commit(&mut controller, &disk, &[topic(number, 1)]);
    }
    drop(controller);
    let path = dir.file("meta/log-1");
    let whole = std::fs::read(&path).unwrap();
    for block in 0..whole.len() / 4096 - 1 {
        for at in [0, 5, 20, 33, 60] {
            let mut bytes = whole.clone();
            bytes[block * 4096 + at] ^= 4;
            std::fs::write(&path, &bytes).unwrap();
            let error = Controller::open(&disk, &options()).err().expect("damage is found");
            assert!(matches!(error, MetaError::Damaged(_)), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "and nothing is touched");
        }
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(Controller::open(&disk, &options()), Err(MetaError::Damaged(_))));
    std::fs::write(&path, &whole).unwrap();
    let mut snapshot = std::fs::read(dir.file("meta/snapshot")).unwrap();
    snapshot[40] ^= 1;
    std::fs::write(dir.file("meta/snapshot"), &snapshot).unwrap();
    assert!(matches!(Controller::open(&disk, &options()), Err(MetaError::Damaged(_))));
    std::fs::remove_file(dir.file("meta/snapshot")).unwrap();
    assert!(matches!(Controller::open(&disk, &options()), Err(MetaError::Damaged(_))));
}

#[test]
fn a_long_log_is_replaced_by_a_snapshot() {
    let dir = Dir::new();
    let disk = dir.disk();
    let (mut controller, _) =
        Controller::open(&disk, &OpenOptions { log_bytes_max: 64 << 10, ..options() }).unwrap();
    for number in 0..100 {
        commit(&mut controller, &disk, &[topic(number, 1)]);
    }
    let expected = Model::of(&controller.image());
    drop(controller);
    let files: Vec<_> = disk.list("meta").unwrap();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files.iter().all(|it| it.len <= 64 << 10), "{files:?}");
    let mut expected = expected;
    expected.apply(&started());
    assert_eq!(Model::of(&open(&disk).image()), expected);
}

#[test]
fn the_generated_code_is_fresh() {
    let schema = include_bytes!("../../schemas/metadata.fbs");
    let generated = include_str!("generated/metadata.rs");
    let expected = format!("// CRC-32C of schemas/metadata.fbs: {:08x}", crc32c::crc32c(schema));
    assert_eq!(
        generated.lines().next(),
        Some(expected.as_str()),
        "schemas/metadata.fbs changed: run the `flatc` of crate flatc-fork 0.6.0+25.12.19 as \
         `flatc --rust -o src/controller/generated schemas/metadata.fbs`, rename the output to \
         metadata.rs and put the expected line above it"
    );
}
