//! Who holds which partitions while `uniform` is at work.

use super::subscriptions::Subscriptions;
use std::collections::{BTreeMap, BTreeSet};

/// A partition: the number of its topic, and its own.
pub type Slot = (u32, u32);

/// Nobody.
const NOBODY: u32 = u32::MAX;

/// Holders of this many partitions of a topic are compared before one of them gives: what is looked at
/// for one move is bounded.
const COMPARED_MAX: usize = 64;

/// What a member holds.
#[derive(Debug, Default)]
struct Held {
    /// All of it.
    slots: BTreeSet<Slot>,
    /// What it did not have before: goes first, since it moves anyway.
    gained: BTreeSet<Slot>,
    /// Whether it may hold something else than before.
    changed: bool,
}

/// The owners of a topic's partitions.
#[derive(Debug)]
struct Owners {
    before: Vec<u32>,
    now: Vec<u32>,
}

/// The members of a class, and what they hold together.
#[derive(Debug, Default)]
struct ClassHoldings {
    /// By how much they hold.
    by_load: BTreeSet<(u32, u32)>,
    /// Partitions by topic, none empty. Not kept where there is one class only.
    by_topic: BTreeMap<u32, BTreeSet<u32>>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Holdings {
    topics: Vec<Owners>,
    members: Vec<Held>,
    classes: Vec<ClassHoldings>,
}

impl Holdings {
    /// The next topic has so many partitions.
    pub fn open(&mut self, partitions: usize) {
        let nobody = vec![NOBODY; partitions];
        self.topics.push(Owners { before: nobody.clone(), now: nobody });
    }

    /// Begins with nothing held. Costs a few words a member and a class.
    pub fn begin(&mut self, subscriptions: &Subscriptions) {
        self.members.resize_with(subscriptions.class_of.len(), Held::default);
        self.classes.resize_with(subscriptions.classes.len(), ClassHoldings::default);
    }

    /// A member keeps what it had, unless it is somebody's already, or is not there.
    pub fn keep(&mut self, slot: Slot, member: u32, class: u32) -> bool {
        let owners = &mut self.topics[slot.0 as usize];
        match owners.now.get(slot.1 as usize) {
            Some(&NOBODY) => {
                owners.before[slot.1 as usize] = member;
                self.enter(slot, member, class);
                true
            }
            _ => false,
        }
    }

    /// A member keeps no more: it stands in its class by what it holds.
    pub fn rank(&mut self, member: u32, class: u32) {
        let load = self.load(member);
        self.classes[class as usize].by_load.insert((load, member));
    }

    /// A member holds something else than before.
    pub fn change(&mut self, member: u32) {
        self.members[member as usize].changed = true;
    }

    /// Whether somebody holds it.
    pub fn is_held(&self, slot: Slot) -> bool {
        self.topics[slot.0 as usize].now[slot.1 as usize] != NOBODY
    }

    /// What the least loaded member of a class holds.
    pub fn least(&self, class: u32) -> u32 {
        self.classes[class as usize].by_load.first().map_or(u32::MAX, |it| it.0)
    }

    /// What the most loaded member of a class holds.
    pub fn most(&self, class: u32) -> u32 {
        self.classes[class as usize].by_load.last().map_or(0, |it| it.0)
    }

    /// The first topic after this one of which a class holds partitions.
    pub fn next_topic(&self, class: u32, after: Option<u32>) -> Option<u32> {
        let from = after.map_or(0, |it| it + 1);
        self.classes[class as usize].by_topic.range(from..).next().map(|it| *it.0)
    }

    /// Gives a partition that nobody holds to the least loaded member of a class: to the one that had it, if it is one
    /// of those.
    pub fn give(&mut self, slot: Slot, class: u32) {
        let by_load = &self.classes[class as usize].by_load;
        let Some(&(load, first)) = by_load.first() else { return };
        let before = self.topics[slot.0 as usize].before[slot.1 as usize];
        let member = if by_load.contains(&(load, before)) { before } else { first };
        self.reload(member, class, |it| it.enter(slot, member, class));
        self.change(member);
        if member != before {
            self.members[member as usize].gained.insert(slot);
        }
    }

    /// Evens a class out by one partition, where its members are further apart than one: whether they were.
    pub fn even_out(&mut self, class: u32) -> bool {
        let by_load = &self.classes[class as usize].by_load;
        let (Some(&(least, _)), Some(&(most, member))) = (by_load.first(), by_load.last()) else {
            return false;
        };
        if most < least + 2 {
            return false;
        }
        let held = &self.members[member as usize];
        let Some(&slot) = held.gained.last().or_else(|| held.slots.last()) else { return false };
        self.take(slot, member, class);
        self.give(slot, class);
        true
    }

    /// Moves a partition of a topic from one class that holds some to another: from the most loaded holder, to
    /// the least loaded member.
    pub fn hand_over(&mut self, topic: u32, from: u32, to: u32) {
        let Some(partitions) = self.classes[from as usize].by_topic.get(&topic) else { return };
        let owners = &self.topics[topic as usize];
        let best = partitions.iter().take(COMPARED_MAX).max_by_key(|partition| {
            let member = owners.now[**partition as usize];
            (self.load(member), owners.before[**partition as usize] != member)
        });
        let Some(&partition) = best else { return };
        let member = owners.now[partition as usize];
        self.take((topic, partition), member, from);
        self.give((topic, partition), to);
    }

    /// Takes what a member holds, for good: a partition at a time, ascending.
    pub fn pop(&mut self, member: u32) -> Option<Slot> {
        self.members[member as usize].slots.pop_first()
    }

    /// Whether a member may hold something else than before.
    pub fn is_changed(&self, member: u32) -> bool {
        self.members[member as usize].changed
    }

    /// About so much memory is taken, bytes.
    pub fn bytes(&self) -> usize {
        let partitions: usize = self.topics.iter().map(|it| it.now.len()).sum();
        partitions * 64 + self.members.len() * 128
    }

    fn load(&self, member: u32) -> u32 {
        self.members[member as usize].slots.len() as u32
    }

    fn enter(&mut self, slot: Slot, member: u32, class: u32) {
        self.topics[slot.0 as usize].now[slot.1 as usize] = member;
        self.members[member as usize].slots.insert(slot);
        if self.classes.len() > 1 {
            let by_topic = &mut self.classes[class as usize].by_topic;
            by_topic.entry(slot.0).or_default().insert(slot.1);
        }
    }

    fn take(&mut self, slot: Slot, member: u32, class: u32) {
        self.reload(member, class, |it| {
            it.topics[slot.0 as usize].now[slot.1 as usize] = NOBODY;
            it.change(member);
            let held = &mut it.members[member as usize];
            held.slots.remove(&slot);
            held.gained.remove(&slot);
            let by_topic = &mut it.classes[class as usize].by_topic;
            if let Some(partitions) = by_topic.get_mut(&slot.0) {
                partitions.remove(&slot.1);
                if partitions.is_empty() {
                    by_topic.remove(&slot.0);
                }
            }
        });
    }

    /// Changes what a member holds, and so where it stands in its class.
    fn reload(&mut self, member: u32, class: u32, change: impl FnOnce(&mut Self)) {
        let before = self.load(member);
        change(self);
        let after = self.load(member);
        let by_load = &mut self.classes[class as usize].by_load;
        by_load.remove(&(before, member));
        by_load.insert((after, member));
    }
}
