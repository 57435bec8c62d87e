//! Which brokers hold new partitions, as Kafka's `StripedReplicaPlacer` has it in spirit.
//!
//! Each replica goes to another rack as long as there are some, and there to the broker that has least of the topic:
//! the first replica, which leads, to the one that leads least of it. So leaders and replicas are spread evenly. Of
//! brokers that are equal in that, it goes to the one whose shard for this partition has least of the topic, then
//! least of all topics: a partition's number says on which shard it is.
//! Brokers that are not alive get replicas only where the others do not suffice, and never lead. A seed
//! orders those that are equal: small topics would all begin at the same broker otherwise.

use super::broker::Broker;
use super::image::Image;
use super::partition::Partition;
use super::record::NewPartition;
use super::weights::Planned;
use crate::types::rng::Rng;
use crate::types::{TopicId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why partitions cannot be placed, in Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// There are fewer brokers than replicas.
    #[error(
        "Unable to replicate the partition {factor} time(s): The target replication factor of \
         {factor} cannot be reached because only {brokers} broker(s) are registered."
    )]
    TooFewBrokers {
        /// Replicas that are wanted.
        factor: usize,
        /// Brokers that there are.
        brokers: usize,
    },
    /// Nobody could lead.
    #[error(
        "Unable to replicate the partition {factor} time(s): All brokers are currently fenced."
    )]
    AllFenced {
        /// Replicas that are wanted.
        factor: usize,
    },
}

/// A broker, and what it has of the topic at hand.
struct Load<'a> {
    id: i32,
    rack: Option<&'a str>,
    alive: bool,
    leads: usize,
    holds: usize,
    /// The same by shard.
    by_shard: Vec<usize>,
}

/// The brokers of an image, in an order that a seed says.
pub(super) struct Loads<'a> {
    topic: TopicId,
    brokers: Vec<Load<'a>>,
    places: BTreeMap<i32, usize>,
}

impl<'a> Loads<'a> {
    pub fn new(image: &'a Image, topic: TopicId, seed: u64) -> Self {
        let load = |it: &'a Arc<Broker>| Load {
            id: it.id,
            rack: it.rack.as_deref(),
            alive: it.is_alive(),
            leads: 0,
            holds: 0,
            by_shard: vec![0; usize::from(it.shards.max(1))],
        };
        let mut brokers: Vec<Load<'a>> = image.brokers().map(load).collect();
        let mut rng = Rng::new(seed);
        for at in (1..brokers.len()).rev() {
            brokers.swap(at, rng.index(at + 1));
        }
        let places = brokers.iter().enumerate().map(|(at, it)| (it.id, at)).collect();
        Self { topic, brokers, places }
    }

    fn tp(&self, number: usize) -> TopicPartition {
        TopicPartition { topic: self.topic, partition: number as i32 }
    }

    /// The partition with this number is on these brokers.
    pub fn count(&mut self, number: usize, replicas: &[i32]) {
        self.change(number, replicas, |count, by| *count += by);
    }

    /// Takes back what was [counted](Self::count).
    pub fn forget(&mut self, number: usize, replicas: &[i32]) {
        self.change(number, replicas, |count, by| *count -= by);
    }

    fn change(&mut self, number: usize, replicas: &[i32], apply: fn(&mut usize, usize)) {
        let tp = self.tp(number);
        for (nth, id) in replicas.iter().enumerate() {
            if let Some(at) = self.places.get(id) {
                let broker = &mut self.brokers[*at];
                apply(&mut broker.holds, 1);
                apply(&mut broker.leads, usize::from(nth == 0));
                let shard = tp.shard(broker.by_shard.len());
                apply(&mut broker.by_shard[shard], 1);
            }
        }
    }

    /// Which of these brokers leads least, of those that are alive; the first of those that are equal.
    pub fn leads_least(&self, replicas: &[i32]) -> Option<usize> {
        let load = |id: &i32| self.places.get(id).map(|at| &self.brokers[*at]);
        let alive = replicas.iter().enumerate().filter_map(|(at, id)| Some((at, load(id)?)));
        alive.filter(|it| it.1.alive).min_by_key(|it| it.1.leads).map(|it| it.0)
    }

    /// These replicas of the partition with this number, and others until there are enough. Pauses while it looks through
    /// the brokers.
    pub async fn extend(
        &self,
        mut replicas: Vec<i32>,
        number: usize,
        factor: usize,
        planned: &Planned,
        pause: &impl AsyncFn(),
    ) -> Vec<i32> {
        let tp = self.tp(number);
        let rack_of = |id: &i32| self.places.get(id).and_then(|at| self.brokers[*at].rack);
        let mut racks: Vec<Option<&str>> = replicas.iter().map(rack_of).collect();
        while replicas.len() < factor {
            let first = replicas.is_empty();
            let key = |(at, it): &(usize, &Load<'_>)| {
                let in_rack = racks.iter().filter(|rack| **rack == it.rack).count();
                let leads = if first { it.leads } else { 0 };
                // What is equal takes turns.
                let turn =
                    (at + self.brokers.len() - number % self.brokers.len()) % self.brokers.len();
                let of_topic = it.by_shard[tp.shard(it.by_shard.len())];
                let of_all = planned.of(it.id, tp);
                (!it.alive, leads, in_rack, it.holds, of_topic, of_all, turn)
            };
            let brokers = self.brokers.iter().enumerate();
            let free = brokers.filter(|(_, it)| !replicas.contains(&it.id));
            let Some((_, found)) = free.min_by_key(key) else { break };
            replicas.push(found.id);
            racks.push(found.rack);
            for _ in 0..self.brokers.len().div_ceil(LOOKS) {
                pause().await;
            }
        }
        replicas
    }
}

/// So many brokers are looked at in one step of work.
const LOOKS: usize = 32;

/// Places partitions, one topic after the other: what was placed before counts. See the module.
pub struct Placer<'a> {
    image: &'a Image,
    planned: Planned,
}

impl<'a> Placer<'a> {
    /// One that begins with what is there.
    pub fn new(image: &'a Image) -> Self {
        Self { image, planned: image.planned() }
    }

    /// Places so many more partitions of a topic, with so many replicas each, beside those that it has. Pauses after
    /// each of them.
    pub async fn place(
        &mut self,
        topic: TopicId,
        existing: &[Partition],
        count: usize,
        factor: usize,
        pause: &impl AsyncFn(),
    ) -> Result<Vec<NewPartition>, PlacementError> {
        let image = self.image;
        let brokers = image.brokers().len();
        if factor > brokers {
            return Err(PlacementError::TooFewBrokers { factor, brokers });
        }
        if image.alive().next().is_none() {
            return Err(PlacementError::AllFenced { factor });
        }
        let seed = topic.0.iter().fold(0u64, |it, byte| it.rotate_left(8) ^ u64::from(*byte));
        let mut loads = Loads::new(image, topic, seed);
        for (number, it) in existing.iter().enumerate() {
            loads.count(number, &it.replicas);
        }
        let mut lists = BTreeSet::new();
        let mut placed = Vec::with_capacity(count);
        for number in existing.len()..existing.len() + count {
            let replicas = Vec::with_capacity(factor);
            let replicas = loads.extend(replicas, number, factor, &self.planned, pause).await;
            loads.count(number, &replicas);
            self.planned.add(loads.tp(number), &replicas);
            let isr = image.first_in_sync(&replicas);
            let replicas = shared(&mut lists, replicas);
            placed.push(NewPartition { isr: shared(&mut lists, isr), replicas });
            pause().await;
        }
        Ok(placed)
    }
}

/// Equal lists share an allocation: there are few that differ.
fn shared(lists: &mut BTreeSet<Arc<[i32]>>, list: Vec<i32>) -> Arc<[i32]> {
    if let Some(known) = lists.get(&*list) {
        return known.clone();
    }
    let list: Arc<[i32]> = list.into();
    lists.insert(list.clone());
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{PartitionChange, Record, Registration};
    use futures_lite::future::block_on;

    fn image(brokers: &[(i32, &str, bool)]) -> Image {
        let mut image = Image::new("cluster", 0, Arc::default());
        for (id, rack, alive) in brokers {
            let rack = (!rack.is_empty()).then(|| (*rack).to_owned());
            let it = Registration { id: *id, rack, ..Registration::default() };
            image.apply(&Record::BrokerRegistered(it));
            if *alive {
                image.apply(&Record::BrokerUnfenced { broker: *id });
            }
        }
        image
    }

    /// An id of which all bytes differ from those of the others.
    fn topic(number: u64) -> TopicId {
        let mut rng = Rng::new(number);
        TopicId(std::array::from_fn(|_| rng.bits() as u8))
    }

    fn run(image: &Image, count: usize, factor: usize, number: u64) -> Vec<NewPartition> {
        let topic = topic(number);
        block_on(Placer::new(image).place(topic, &[], count, factor, &async || {})).unwrap()
    }

    /// For each broker how much it leads, and how much it holds.
    fn loads(placed: &[NewPartition]) -> BTreeMap<i32, (usize, usize)> {
        let mut loads: BTreeMap<i32, (usize, usize)> = BTreeMap::new();
        for it in placed {
            loads.entry(it.replicas[0]).or_default().0 += 1;
            for id in &*it.replicas {
                loads.entry(*id).or_default().1 += 1;
            }
        }
        loads
    }

    #[test]
    fn leaders_and_replicas_are_spread_evenly_and_over_racks() {
        for racks in 1..=4 {
            for a_rack in 1..=4 {
                let names = ["", "b", "c", "d"];
                let count = (racks * a_rack) as i32;
                let brokers: Vec<_> =
                    (0..count).map(|id| (id, names[id as usize % racks], true)).collect();
                let image = image(&brokers);
                for factor in 1..=3.min(count as usize) {
                    let each = 5;
                    let placed = run(&image, each * count as usize, factor, 7);
                    for (leads, holds) in loads(&placed).values() {
                        assert_eq!(*leads, each, "{racks} racks of {a_rack}, factor {factor}");
                        assert!(holds.abs_diff(each * factor) <= 1, "{holds} of {placed:?}");
                    }
                    for it in &placed {
                        let nodes: BTreeSet<i32> = it.replicas.iter().copied().collect();
                        assert_eq!(nodes.len(), factor);
                        let of = |id: &i32| *id as usize % racks;
                        let spread: BTreeSet<usize> = it.replicas.iter().map(of).collect();
                        assert_eq!(spread.len(), factor.min(racks), "{it:?}");
                        assert_eq!(it.isr, it.replicas);
                    }
                }
            }
        }
    }

    #[test]
    fn who_is_not_alive_comes_last_and_is_not_in_sync() {
        let image = image(&[(1, "", true), (2, "", false), (3, "", true), (4, "", true)]);
        assert!(run(&image, 12, 3, 1).iter().all(|it| !it.replicas.contains(&2)));
        for it in run(&image, 12, 4, 1) {
            assert_eq!((it.replicas[3], it.isr.len()), (2, 3));
            assert_eq!(*it.isr, it.replicas[..3]);
        }
    }

    #[test]
    fn partitions_that_are_added_go_where_the_topic_has_least() {
        let image = image(&[(1, "", true), (2, "", true), (3, "", true)]);
        let old = NewPartition::new([1, 2]);
        let existing = vec![Partition::new(&old); 2];
        let topic = topic(3);
        let mut placer = Placer::new(&image);
        let added = block_on(placer.place(topic, &existing, 4, 2, &async || {})).unwrap();
        let all: Vec<_> = added.into_iter().chain([old.clone(), old]).collect();
        let even = |it: &(usize, usize)| it.0 == 2 && it.1.abs_diff(4) <= 1;
        assert!(loads(&all).values().all(even), "{all:?}");
    }

    /// Brokers with so many shards each.
    fn with_shards(shards: &[u16]) -> Image {
        let mut image = Image::new("cluster", 0, Arc::default());
        for (id, shards) in (1..).zip(shards) {
            let it = Registration { id, shards: *shards, ..Registration::default() };
            image.apply(&Record::BrokerRegistered(it));
            image.apply(&Record::BrokerUnfenced { broker: id });
        }
        image
    }

    fn create(image: &mut Image, number: u64, partitions: Vec<NewPartition>) {
        let (id, name) = (topic(number), format!("t{number}"));
        image.apply(&Record::TopicCreated { id, name, partitions, settings: Vec::new() });
        image.invariants();
    }

    #[test]
    fn a_topic_goes_to_all_shards_of_its_brokers() {
        for (shards, factor) in
            [(&[2, 2][..], 1), (&[2, 2], 2), (&[4, 4, 4, 4], 1), (&[3, 3, 3], 2)]
        {
            let mut image = with_shards(shards);
            let count = 4 * shards.iter().map(|it| usize::from(*it)).sum::<usize>();
            let placed = run(&image, count, factor, 9);
            create(&mut image, 9, placed);
            for (id, shards) in (1..).zip(shards) {
                let weights = image.weights_of(id);
                let (least, most) = (weights.iter().min(), weights.iter().max());
                assert_eq!(weights.len(), usize::from(*shards));
                assert!(
                    most.zip(least).is_some_and(|(most, least)| most - least <= 3),
                    "{weights:?}"
                );
            }
        }
    }

    #[test]
    fn small_topics_go_where_there_is_least() {
        let mut image = with_shards(&[2, 2, 2]);
        for number in 0..60 {
            let placed = run(&image, 1, 2, number);
            create(&mut image, number, placed);
        }
        let total = |image: &Image, id| image.weights_of(id).iter().sum::<u32>();
        let totals = [1, 2, 3].map(|id| total(&image, id));
        assert!(totals.iter().all(|it| it.abs_diff(60) <= 6), "{totals:?}");
        // One that comes later gets what is new, until it has as much as the others.
        let late = Registration { id: 4, shards: 2, ..Registration::default() };
        image.apply(&Record::BrokerRegistered(late));
        image.apply(&Record::BrokerUnfenced { broker: 4 });
        for number in 60..70 {
            assert!(run(&image, 1, 2, number)[0].replicas.contains(&4));
            let placed = run(&image, 1, 2, number);
            create(&mut image, number, placed);
        }
        // Those of one request, too, know of each other.
        let mut placer = Placer::new(&image);
        let mut seen = BTreeMap::new();
        for number in 100..220 {
            let placed = block_on(placer.place(topic(number), &[], 1, 1, &async || {})).unwrap();
            *seen.entry(placed[0].replicas[0]).or_insert(0) += 1;
        }
        assert!(seen.len() == 4 && seen.values().all(|it| *it >= 20), "{seen:?}");
    }

    #[test]
    fn weights_follow_what_happens() {
        let mut image = with_shards(&[2, 1]);
        create(&mut image, 1, vec![NewPartition::new([1, 2]), NewPartition::new([2, 1])]);
        let sum = |image: &Image, id| image.weights_of(id).iter().sum::<u32>();
        assert_eq!((sum(&image, 1), sum(&image, 2)), (3, 3));
        let id = topic(1);
        let change = PartitionChange { replicas: Some([2].into()), ..Default::default() };
        let isr = PartitionChange { isr: Some([2].into()), leader: Some(2), ..change };
        image.apply(&Record::PartitionsChanged { id, changes: vec![(0, isr)] });
        image.invariants();
        assert_eq!((sum(&image, 1), sum(&image, 2)), (1, 4));
        image.apply(&Record::PartitionsAdded { id, partitions: vec![NewPartition::new([1])] });
        let other = Registration { id: 1, shards: 3, ..Registration::default() };
        image.apply(&Record::BrokerRegistered(other));
        image.invariants();
        assert_eq!((image.weights_of(1).len(), sum(&image, 1)), (3, 3));
        image.apply(&Record::BrokerUnregistered { broker: 1 });
        image.apply(&Record::TopicDeleted { id });
        image.invariants();
        assert_eq!((image.weights_of(1).len(), sum(&image, 2)), (0, 0));
    }

    #[test]
    fn a_seed_decides_and_seeds_differ() {
        let image = image(&[(1, "", true), (2, "", true), (3, "", true), (4, "", true)]);
        assert_eq!(run(&image, 9, 2, 5), run(&image, 9, 2, 5));
        let first = |seed| run(&image, 1, 1, seed)[0].replicas[0];
        let seen: BTreeSet<i32> = (0..50).map(first).collect();
        assert_eq!(seen.len(), 4);
    }

    #[test]
    fn what_cannot_be_placed_is_said_in_kafkas_words() {
        let one = image(&[(1, "", true)]);
        let fail = |image, factor| {
            let mut placer = Placer::new(image);
            let placed = placer.place(TopicId::ZERO, &[], 1, factor, &async || {});
            block_on(placed).unwrap_err().to_string()
        };
        assert_eq!(
            fail(&one, 3),
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot \
             be reached because only 1 broker(s) are registered."
        );
        assert_eq!(
            fail(&image(&[(1, "", false)]), 1),
            "Unable to replicate the partition 1 time(s): All brokers are currently fenced."
        );
    }
}
