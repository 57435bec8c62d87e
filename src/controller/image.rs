//! The metadata at one point of the log.

use super::broker::{Broker, Registration};
use super::features;
use super::partition::Partition;
use super::record::{ConfigChanges, PartitionChange, Record};
use super::weights::{Planned, Weights};
use crate::types::{BrokerConfigs, GroupConfig, ShareConfig, TopicConfig, TopicId, TopicPartition};
use imbl::ordmap::DiffItem;
use imbl::ordset::DiffItem as SetDiffItem;
use imbl::{OrdMap, OrdSet};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id.
    pub id: TopicId,
    /// Its partitions, by number.
    pub partitions: Arc<[Partition]>,
    /// The settings of the topic itself.
    pub overrides: Arc<BTreeMap<String, String>>,
    /// The effective configuration on this broker: its own settings, then the broker's.
    pub config: Arc<TopicConfig>,
}

impl Topic {
    /// The partition of this number.
    pub fn partition(&self, number: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(number).ok()?)
    }
}

/// How a topic differs from that of an earlier image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TopicChange<'a> {
    /// It is new, or not as it was.
    There(&'a Arc<Topic>),
    /// It was deleted.
    Gone(&'a Arc<Topic>),
}

/// The metadata at one point of the log: immutable where it is shared, and cheap to copy, because
/// copies share what they have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The last entry of the log that took effect.
    pub index: u64,
    /// The cluster's id.
    pub cluster_id: Arc<str>,
    /// This broker.
    pub node_id: i32,
    /// The broker whose controller leads; -1 for none.
    pub controller_id: i32,
    /// The first producer id that was never taken.
    pub next_producer_id: i64,
    /// The broker's own settings.
    pub broker_configs: Arc<BrokerConfigs>,
    /// Brokers, by node id.
    pub(super) brokers: OrdMap<i32, Arc<Broker>>,
    /// Dynamic settings of brokers, by node id; `None` holds for all.
    pub(super) settings: OrdMap<Option<i32>, Arc<BTreeMap<String, String>>>,
    /// Settings of consumer groups, by the group's id; of each at least one.
    pub(super) groups: OrdMap<Arc<str>, Arc<BTreeMap<String, String>>>,
    /// Topics, by name.
    pub(super) topics: OrdMap<Arc<str>, Arc<Topic>>,
    /// The same topics, by id.
    pub(super) ids: OrdMap<TopicId, Arc<Topic>>,
    /// Names that contain `.` or `_`, by the name with `_` in place of `.`: such names collide in metrics.
    pub(super) collisions: OrdMap<String, Arc<str>>,
    /// For each broker, the topics of which it holds a replica.
    held: OrdMap<i32, OrdSet<TopicId>>,
    /// What the shards of brokers have to do.
    weights: Weights,
    /// Deleted topics whose data is not gone yet.
    pub(super) deleting: OrdSet<TopicId>,
    /// The effective configuration of a topic without settings of its own.
    plain: Arc<TopicConfig>,
    /// Levels of features that were set, by name.
    pub(super) features: OrdMap<String, i16>,
}

impl Image {
    /// An image without topics: a cluster's id, and the settings that its broker was started with.
    pub fn new(cluster_id: &str, node_id: i32, fixed: Arc<BTreeMap<String, String>>) -> Self {
        let broker_configs = BrokerConfigs { fixed, ..BrokerConfigs::default() };
        Self {
            index: 0,
            cluster_id: cluster_id.into(),
            node_id,
            controller_id: -1,
            next_producer_id: 0,
            plain: Arc::new(TopicConfig::effective(&BTreeMap::new(), &broker_configs)),
            broker_configs: Arc::new(broker_configs),
            brokers: OrdMap::new(),
            settings: OrdMap::new(),
            groups: OrdMap::new(),
            topics: OrdMap::new(),
            ids: OrdMap::new(),
            collisions: OrdMap::new(),
            held: OrdMap::new(),
            weights: Weights::default(),
            deleting: OrdSet::new(),
            features: OrdMap::new(),
        }
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// The topic with this id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.ids.get(&id)
    }

    /// The name of the topic with this id; none where it is not known.
    pub fn name_of(&self, id: TopicId) -> &str {
        self.topic_by_id(id).map_or("", |it| &it.name)
    }

    /// A partition of the topic with this id.
    pub fn partition(&self, tp: TopicPartition) -> Option<&Partition> {
        self.topic_by_id(tp.topic)?.partition(tp.partition)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// How topics differ from those of an earlier image, by id. What both have in common is skipped:
    /// the cost is that of the changes.
    pub fn changes_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = TopicChange<'a>> {
        before.ids.diff(&self.ids).map(|it| match it {
            DiffItem::Add(_, topic) | DiffItem::Update { new: (_, topic), .. } => {
                TopicChange::There(topic)
            }
            DiffItem::Remove(_, topic) => TopicChange::Gone(topic),
        })
    }

    /// Topics that are among the deleted ones, and were not in an earlier image, by id. The cost is that of
    /// the changes.
    pub fn deleting_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = TopicId> + 'a {
        before.deleting.diff(&self.deleting).filter_map(|it| match it {
            SetDiffItem::Add(id) => Some(*id),
            SetDiffItem::Remove(_) => None,
        })
    }

    /// The topics from this name on.
    pub fn topics_from<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Arc<Topic>> + use<'a> {
        let from = (Bound::Included(name), Bound::Unbounded);
        self.topics.range::<_, str>(from).map(|(_, topic)| topic)
    }

    /// The existing topic whose name looks like this one where `.` and `_` count as the same, as in
    /// names of metrics. It may have just this name.
    pub fn collides_with(&self, name: &str) -> Option<&Arc<str>> {
        if !has_collision_chars(name) {
            return None;
        }
        self.collisions.get(&name.replace('.', "_"))
    }

    /// All brokers, by node id.
    pub fn brokers(&self) -> impl ExactSizeIterator<Item = &Arc<Broker>> {
        self.brokers.values()
    }

    /// Whether nothing has changed of any broker since an earlier image. Costs nothing; `false` says nothing.
    pub fn has_brokers_of(&self, before: &Self) -> bool {
        self.brokers.ptr_eq(&before.brokers)
    }

    /// The broker with this node id.
    pub fn broker(&self, id: i32) -> Option<&Arc<Broker>> {
        self.brokers.get(&id)
    }

    /// Whether this broker may be made a leader, and join those in sync.
    pub fn is_alive(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|it| it.is_alive())
    }

    /// Whether this broker may be made a leader, and has space for what it is to lead.
    pub fn can_lead(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|it| it.can_lead())
    }

    /// Whether this broker's disk has no space, as it says.
    pub fn lacks_space(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|it| it.lacks_space)
    }

    /// Who of the replicas of a new partition is in sync, the first of which leads: those that are there, and have space if
    /// any has.
    pub fn first_in_sync(&self, replicas: &[i32]) -> Vec<i32> {
        let those = |may: &dyn Fn(i32) -> bool| -> Vec<i32> {
            replicas.iter().copied().filter(|it| may(*it)).collect()
        };
        let able = those(&|it| self.can_lead(it));
        if able.is_empty() { those(&|it| self.is_alive(it)) } else { able }
    }

    /// The brokers that may be made leaders, by node id.
    pub fn alive(&self) -> impl Iterator<Item = &Arc<Broker>> {
        self.brokers.values().filter(|it| it.is_alive())
    }

    /// Whether this broker is registered and not fenced: it may still lead, also while it shuts down.
    pub fn is_unfenced(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|it| !it.fenced)
    }

    /// The topics of which this broker holds a replica, by id. The cost is that of these.
    pub fn topics_of(&self, broker: i32) -> impl Iterator<Item = &Arc<Topic>> {
        let ids = self.held.get(&broker).into_iter().flatten();
        ids.filter_map(|id| self.ids.get(id))
    }

    /// Dynamic settings of one broker, or of all where `broker` is `None`.
    pub fn dynamic_settings(&self, broker: Option<i32>) -> BTreeMap<String, String> {
        self.settings.get(&broker).map(|it| (**it).clone()).unwrap_or_default()
    }

    /// What was set of one group; nothing for most.
    pub fn group_overrides(&self, group: &str) -> Option<&BTreeMap<String, String>> {
        self.groups.get(group).map(|it| &**it)
    }

    /// The settings of one group, within the bounds of this broker.
    pub fn group_config(&self, group: &str) -> GroupConfig {
        let none = BTreeMap::new();
        GroupConfig::effective(self.group_overrides(group).unwrap_or(&none), &self.broker_configs)
    }

    /// What holds of records that are delivered to a share group, within the bounds of this broker.
    pub fn share_config(&self, group: &str) -> ShareConfig {
        let none = BTreeMap::new();
        ShareConfig::effective(self.group_overrides(group).unwrap_or(&none), &self.broker_configs)
    }

    /// The ids of the groups of which something was set.
    pub fn groups_with_settings(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.groups.keys()
    }

    /// Deleted topics whose data is not gone yet, by id.
    pub fn deleting(&self) -> impl ExactSizeIterator<Item = TopicId> {
        self.deleting.iter().copied()
    }

    /// Whether this deleted topic's data may still be there.
    pub fn is_deleting(&self, id: TopicId) -> bool {
        self.deleting.contains(&id)
    }

    /// Partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.topics.values().map(|topic| topic.partitions.len()).sum()
    }

    /// As [`apply`](Self::apply). Pauses after each topic that changes.
    pub async fn apply_in_parts(&mut self, record: &Record, pause: &impl AsyncFn()) {
        if let Record::BrokerConfigSet { broker, settings } = record {
            if self.set_broker_config(*broker, settings) {
                let mut last = None;
                while let Some(id) = self.reconfigure_after(last) {
                    last = Some(id);
                    pause().await;
                }
            }
        } else {
            self.apply(record);
        }
        pause().await;
    }

    /// The image after one more change. `index` stays: an entry may carry several.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::TopicCreated { id, name, partitions, settings } => {
                let overrides: BTreeMap<_, _> = settings.iter().cloned().collect();
                let partitions = partitions.iter().map(Partition::new).collect();
                self.insert_topic(*id, name.as_str().into(), partitions, overrides);
            }
            Record::TopicDeleted { id } => {
                let Some(topic) = self.ids.remove(id) else { return };
                self.topics.remove(&topic.name);
                if has_collision_chars(&topic.name) {
                    self.collisions.remove(&topic.name.replace('.', "_"));
                }
                self.release(*id, &holders(&topic.partitions));
                self.weights.take(*id, topic.partitions.iter().enumerate());
                self.deleting.insert(*id);
            }
            Record::TopicForgotten { id } => {
                self.deleting.remove(id);
            }
            Record::PartitionsAdded { id, partitions } => {
                let added: Vec<_> = partitions.iter().map(Partition::new).collect();
                if let Some(topic) = self.ids.get(id) {
                    let first = topic.partitions.len();
                    self.weights.add(*id, (first..).zip(&added));
                    self.hold(*id, &holders(&added));
                }
                self.change_topic(*id, |topic| {
                    topic.partitions = topic.partitions.iter().cloned().chain(added).collect();
                });
            }
            Record::TopicConfigSet { id, settings } => {
                let (brokers, plain) = (self.broker_configs.clone(), self.plain.clone());
                self.change_topic(*id, |topic| {
                    merge(Arc::make_mut(&mut topic.overrides), settings);
                    topic.config = effective(&topic.overrides, &brokers, &plain);
                });
            }
            Record::BrokerConfigSet { broker, settings } => {
                if self.set_broker_config(*broker, settings) {
                    let mut last = None;
                    while let Some(id) = self.reconfigure_after(last) {
                        last = Some(id);
                    }
                }
            }
            Record::GroupConfigSet { group, settings } => {
                let mut changed = self.groups.get(group.as_str()).cloned().unwrap_or_default();
                merge(Arc::make_mut(&mut changed), settings);
                self.insert_group(group.as_str().into(), changed);
            }
            Record::BrokerStarted { broker, host, port, rack } => {
                let started = Registration {
                    id: *broker,
                    host: host.clone(),
                    port: *port,
                    peer_host: host.clone(),
                    rack: rack.clone(),
                    features: features::unsaid(),
                    ..Registration::default()
                };
                self.insert_broker(Broker { fenced: false, ..Broker::new(started) });
                self.raise_epochs(*broker);
            }
            Record::BrokerRegistered(it) => {
                self.insert_broker(Broker::new(it.clone()));
                self.raise_epochs(it.id);
            }
            Record::BrokerFenced { broker } => self.change_broker(*broker, |it| it.fenced = true),
            Record::BrokerUnfenced { broker } => {
                self.change_broker(*broker, |it| it.fenced = false);
            }
            Record::BrokerSpace { broker, lacks } => {
                self.change_broker(*broker, |it| it.lacks_space = *lacks);
            }
            Record::BrokerShuttingDown { broker } => {
                self.change_broker(*broker, |it| it.shutting_down = true);
            }
            Record::BrokerUnregistered { broker } => {
                self.brokers.remove(broker);
                self.weights.unregister(*broker);
            }
            Record::PartitionsChanged { id, changes } => self.change_partitions(*id, changes),
            Record::FeatureLevelSet { name, level } => {
                self.features.insert(name.clone(), *level);
            }
            Record::ProducerIdsTaken { count } => self.next_producer_id += i64::from(*count),
        }
    }

    /// Adds a topic as a record or a snapshot has it.
    pub(super) fn insert_topic(
        &mut self,
        id: TopicId,
        name: Arc<str>,
        partitions: Arc<[Partition]>,
        overrides: BTreeMap<String, String>,
    ) {
        let config = effective(&overrides, &self.broker_configs, &self.plain);
        let overrides = Arc::new(overrides);
        let topic = Arc::new(Topic { name: name.clone(), id, partitions, overrides, config });
        if has_collision_chars(&name) {
            self.collisions.insert(name.replace('.', "_"), name.clone());
        }
        self.hold(id, &holders(&topic.partitions));
        self.weights.add(id, topic.partitions.iter().enumerate());
        self.topics.insert(name, topic.clone());
        self.ids.insert(id, topic);
    }

    /// Has the settings of a group be these.
    pub(super) fn insert_group(
        &mut self,
        group: Arc<str>,
        settings: Arc<BTreeMap<String, String>>,
    ) {
        if settings.is_empty() {
            self.groups.remove(&group);
        } else {
            self.groups.insert(group, settings);
        }
    }

    /// Adds a broker as a record or a snapshot has it, in place of the one of before.
    pub(super) fn insert_broker(&mut self, broker: Broker) {
        let (id, shards) = (broker.id, broker.shards);
        self.brokers.insert(id, Arc::new(broker));
        let mut weights = std::mem::take(&mut self.weights);
        weights.register(id, shards, self.topics_of(id).map(|it| (it.id, &*it.partitions)));
        self.weights = weights;
    }

    /// What each shard of a broker has to do: see [`Weights`].
    #[cfg(test)]
    pub(super) fn weights_of(&self, broker: i32) -> &[u32] {
        self.weights.of(broker)
    }

    /// The same of all brokers, to be added to.
    pub(super) fn planned(&self) -> Planned {
        Planned::new(self.brokers.keys().map(|id| (*id, self.weights.of(*id))))
    }

    /// These brokers hold replicas of a topic.
    fn hold(&mut self, id: TopicId, brokers: &BTreeSet<i32>) {
        for broker in brokers {
            let mut topics = self.held.get(broker).cloned().unwrap_or_default();
            topics.insert(id);
            self.held.insert(*broker, topics);
        }
    }

    /// These brokers hold no replica of a topic any more.
    fn release(&mut self, id: TopicId, brokers: &BTreeSet<i32>) {
        for broker in brokers {
            let Some(mut topics) = self.held.remove(broker) else { continue };
            topics.remove(&id);
            if !topics.is_empty() {
                self.held.insert(*broker, topics);
            }
        }
    }

    fn change_broker(&mut self, id: i32, change: impl FnOnce(&mut Broker)) {
        let Some(old) = self.brokers.get(&id) else { return };
        let mut broker = Broker::clone(old);
        change(&mut broker);
        self.brokers.insert(id, Arc::new(broker));
    }

    fn change_partitions(&mut self, id: TopicId, changes: &[(i32, PartitionChange)]) {
        let Some(before) = self.ids.get(&id).map(|it| it.partitions.clone()) else { return };
        let mut partitions = before.to_vec();
        let moved = changes.iter().filter(|it| it.1.replicas.is_some());
        let moved: BTreeSet<usize> = moved.filter_map(|it| usize::try_from(it.0).ok()).collect();
        for (index, change) in changes {
            let at = usize::try_from(*index).ok().and_then(|it| partitions.get_mut(it));
            if let Some(partition) = at {
                partition.apply(change);
            }
        }
        if !moved.is_empty() {
            self.weights.take(id, those(&moved, &before));
            self.weights.add(id, those(&moved, &partitions));
            let (before, after) = (holders(&before), holders(&partitions));
            self.hold(id, &(&after - &before));
            self.release(id, &(&before - &after));
        }
        self.change_topic(id, |topic| topic.partitions = partitions.into());
    }

    /// Changes dynamic settings of brokers. Whether topics have others by that: then all of them are to be
    /// gone through with [`reconfigure_after`](Self::reconfigure_after).
    fn set_broker_config(&mut self, broker: Option<i32>, settings: &ConfigChanges) -> bool {
        let mut changed = self.settings.get(&broker).cloned().unwrap_or_default();
        merge(Arc::make_mut(&mut changed), settings);
        if changed.is_empty() {
            self.settings.remove(&broker);
        } else {
            self.settings.insert(broker, changed);
        }
        broker.is_none_or(|id| id == self.node_id) && self.settings_changed()
    }

    /// Recomputes what follows from the settings of brokers, but for topics. Whether settings of topics have
    /// other values now: most settings of brokers are not about topics.
    pub(super) fn settings_changed(&mut self) -> bool {
        let configs = BrokerConfigs {
            fixed: self.broker_configs.fixed.clone(),
            cluster: self.dynamic_settings(None),
            broker: self.dynamic_settings(Some(self.node_id)),
        };
        let plain = TopicConfig::effective(&BTreeMap::new(), &configs);
        self.broker_configs = Arc::new(configs);
        if plain == *self.plain {
            return false;
        }
        self.plain = Arc::new(plain);
        true
    }

    /// Recomputes the settings of the topic behind this one, by id, or of the first; which one it was.
    fn reconfigure_after(&mut self, last: Option<TopicId>) -> Option<TopicId> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let id = *self.ids.range((from, Bound::Unbounded)).next()?.0;
        let (brokers, plain) = (self.broker_configs.clone(), self.plain.clone());
        self.change_topic(id, |topic| {
            topic.config = effective(&topic.overrides, &brokers, &plain);
        });
        Some(id)
    }

    fn raise_epochs(&mut self, broker: i32) {
        let led = |topic: &Arc<Topic>| topic.partitions.iter().any(|it| it.leader == broker);
        let ids: Vec<TopicId> =
            self.topics_of(broker).filter(|it| led(it)).map(|it| it.id).collect();
        for id in ids {
            self.change_topic(id, |topic| {
                topic.partitions = topic
                    .partitions
                    .iter()
                    .map(|partition| {
                        let mut partition = partition.clone();
                        if partition.leader == broker {
                            partition.leader_epoch += 1;
                            partition.partition_epoch += 1;
                        }
                        partition
                    })
                    .collect();
            });
        }
    }

    fn change_topic(&mut self, id: TopicId, change: impl FnOnce(&mut Topic)) {
        let Some(old) = self.ids.get(&id) else { return };
        let mut topic = Topic::clone(old);
        change(&mut topic);
        let topic = Arc::new(topic);
        self.topics.insert(topic.name.clone(), topic.clone());
        self.ids.insert(id, topic);
    }

    /// Checks that the parts agree with each other.
    pub fn invariants(&self) {
        assert_eq!(self.topics.len(), self.ids.len(), "each topic has one name and one id");
        for (name, topic) in &self.topics {
            assert_eq!(*name, topic.name);
            assert!(self.ids.get(&topic.id).is_some_and(|it| Arc::ptr_eq(it, topic)));
            assert!(!self.deleting.contains(&topic.id), "a topic is not deleted and alive");
            assert!(!topic.partitions.is_empty(), "a topic has partitions");
            assert!(self.collides_with(name).is_none_or(|it| it == name));
            topic.partitions.iter().for_each(Partition::invariants);
            for broker in holders(&topic.partitions) {
                assert!(self.held.get(&broker).is_some_and(|it| it.contains(&topic.id)));
            }
        }
        let mut weights = Weights::default();
        for it in self.brokers.values() {
            weights.register(it.id, it.shards, std::iter::empty());
        }
        for topic in self.ids.values() {
            weights.add(topic.id, topic.partitions.iter().enumerate());
        }
        assert_eq!(self.weights, weights, "what shards have to do is what partitions are there");
        let held: usize = self.held.values().map(OrdSet::len).sum();
        let holders = self.ids.values().map(|it| holders(&it.partitions).len()).sum::<usize>();
        assert_eq!(held, holders, "nobody holds what is not there");
        assert!(self.groups.values().all(|it| !it.is_empty()), "groups without settings go");
        assert_eq!(
            self.collisions.len(),
            self.topics.keys().filter(|name| has_collision_chars(name)).count()
        );
    }
}

/// The partitions with these numbers, as far as there are such.
fn those<'a>(
    numbers: &'a BTreeSet<usize>,
    all: &'a [Partition],
) -> impl Iterator<Item = (usize, &'a Partition)> {
    numbers.iter().filter_map(|at| Some((*at, all.get(*at)?)))
}

/// The brokers that hold replicas of these partitions.
fn holders(partitions: &[Partition]) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    let mut last: &[i32] = &[];
    for it in partitions {
        if !std::ptr::eq(last, &raw const *it.replicas) {
            last = &it.replicas;
            found.extend(last);
        }
    }
    found
}

/// Topics on which nothing was set share one configuration.
fn effective(
    overrides: &BTreeMap<String, String>,
    brokers: &BrokerConfigs,
    plain: &Arc<TopicConfig>,
) -> Arc<TopicConfig> {
    if overrides.is_empty() {
        plain.clone()
    } else {
        Arc::new(TopicConfig::effective(overrides, brokers))
    }
}

fn merge(into: &mut BTreeMap<String, String>, settings: &ConfigChanges) {
    for (name, value) in settings {
        match value {
            Some(value) => into.insert(name.clone(), value.clone()),
            None => into.remove(name),
        };
    }
}

fn has_collision_chars(name: &str) -> bool {
    name.contains(['.', '_'])
}
