//! The assignor `uniform`: as even as subscriptions allow, and then as few moves as possible.
//!
//! Members keep what they had; what nobody has goes to the least loaded of its subscribers, topics with most
//! partitions for each subscriber first; then [`Balance`] moves what it must.

use super::balance::Balance;
use super::holdings::Holdings;
use super::spec::Assignment;
use super::subscriptions::Subscriptions;
use crate::types::TopicId;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

/// See the module.
#[derive(Debug, Default)]
pub struct Uniform {
    holdings: Holdings,
    phase: Phase,
    /// Topics to be handed out: most partitions for each subscriber first, then fewest subscribers.
    order: BTreeSet<(Reverse<u64>, usize, u32)>,
    balance: Balance,
}

#[derive(Debug)]
enum Phase {
    /// Of so many topics the owners are noted.
    Open(usize),
    /// So many members keep what they had; the next one has come to this topic, and so many of its partitions.
    Keep(usize, Option<TopicId>, usize),
    /// What nobody has is handed out: of a topic, from this partition, to classes by what their least loaded member
    /// holds; so many of its classes stand there.
    HandOut { topic: Option<u32>, partition: u32, least: BTreeSet<(u32, u32)>, classes: usize },
    /// Members are made even.
    Balance,
    /// So many members have their assignment; that of the next one so far.
    Tell(usize, Assignment),
}

impl Default for Phase {
    fn default() -> Self {
        Self::Open(0)
    }
}

impl Phase {
    fn hand_out(topic: Option<u32>) -> Self {
        Self::HandOut { topic, partition: 0, least: BTreeSet::new(), classes: 0 }
    }
}

impl Uniform {
    /// Goes on; `subscribed` is what each member subscribes to, `assigned` what it had, and gets. `false` where there
    /// was not enough room.
    pub fn step(
        &mut self,
        subscriptions: &Subscriptions,
        subscribed: &[Arc<BTreeSet<TopicId>>],
        assigned: &mut [Arc<Assignment>],
        room: &mut usize,
    ) -> bool {
        while *room > 0 {
            match self.phase {
                Phase::Open(_) => self.open(subscriptions, room),
                Phase::Keep(..) => self.keep(subscriptions, subscribed, assigned, room),
                Phase::HandOut { .. } => self.hand_out(subscriptions, room),
                Phase::Balance => {
                    if self.balance.step(subscriptions, &mut self.holdings, room) {
                        self.phase = Phase::Tell(0, Assignment::new());
                    }
                }
                Phase::Tell(..) => {
                    if self.tell(subscriptions, assigned, room) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// About so much memory is taken, bytes.
    pub fn bytes(&self) -> usize {
        self.holdings.bytes() + self.order.len() * 48
    }

    fn open(&mut self, subscriptions: &Subscriptions, room: &mut usize) {
        let Phase::Open(opened) = &mut self.phase else { return };
        while let Some(topic) = subscriptions.topics.get(*opened) {
            if *room == 0 {
                return;
            }
            *room = room.saturating_sub(1 + topic.partitions / 1_024);
            self.holdings.open(topic.partitions);
            let share = ((topic.partitions as u64) << 32) / topic.subscribers as u64;
            self.order.insert((Reverse(share), topic.subscribers, *opened as u32));
            *opened += 1;
        }
        self.holdings.begin(subscriptions);
        self.phase = Phase::Keep(0, None, 0);
    }

    fn keep(
        &mut self,
        subscriptions: &Subscriptions,
        subscribed: &[Arc<BTreeSet<TopicId>>],
        assigned: &[Arc<Assignment>],
        room: &mut usize,
    ) {
        let Phase::Keep(member, last, kept) = &mut self.phase else { return };
        while let Some(topics) = subscribed.get(*member) {
            let (number, class) = (*member as u32, subscriptions.class_of[*member]);
            let from = last.map_or(Bound::Unbounded, Bound::Included);
            for (id, partitions) in assigned[*member].range((from, Bound::Unbounded)) {
                if *last != Some(*id) {
                    if *room == 0 {
                        return;
                    }
                    *room -= 1;
                    (*last, *kept) = (Some(*id), 0);
                }
                let wanted = topics.contains(id);
                let topic = wanted.then(|| subscriptions.topic(*id)).flatten();
                let Some(topic) = topic else {
                    self.holdings.change(number);
                    continue;
                };
                while let Some(partition) = partitions.get(*kept) {
                    if *room == 0 {
                        return;
                    }
                    *room -= 1;
                    *kept += 1;
                    // A negative one is beyond all that there are.
                    if !self.holdings.keep((topic, *partition as u32), number, class) {
                        self.holdings.change(number);
                    }
                }
            }
            *room = room.saturating_sub(1);
            self.holdings.rank(number, class);
            (*member, *last, *kept) = (*member + 1, None, 0);
            if *room == 0 {
                return;
            }
        }
        let first = self.order.pop_first().map(|it| it.2);
        self.phase = Phase::hand_out(first);
    }

    fn hand_out(&mut self, subscriptions: &Subscriptions, room: &mut usize) {
        let Phase::HandOut { topic, partition, least, classes } = &mut self.phase else { return };
        let Some(number) = *topic else {
            self.phase = Phase::Balance;
            return;
        };
        let topic = &subscriptions.topics[number as usize];
        while (*partition as usize) < topic.partitions {
            if *room == 0 {
                return;
            }
            let slot = (number, *partition);
            if self.holdings.is_held(slot) {
                // Eight are looked at in the time of a step.
                *room -= usize::from(*partition % 8 == 0);
                *partition += 1;
                continue;
            }
            while let Some(class) = topic.classes.get(*classes) {
                if *room == 0 {
                    return;
                }
                *room -= 1;
                *classes += 1;
                least.insert((self.holdings.least(*class), *class));
            }
            if let Some((_, class)) = least.pop_first() {
                self.holdings.give(slot, class);
                least.insert((self.holdings.least(class), class));
            }
            *room = room.saturating_sub(1);
            *partition += 1;
        }
        *room = room.saturating_sub(1);
        let next = self.order.pop_first().map(|it| it.2);
        self.phase = Phase::hand_out(next);
    }

    /// Writes down who gets what: all of it, if `true`.
    fn tell(
        &mut self,
        subscriptions: &Subscriptions,
        assigned: &mut [Arc<Assignment>],
        room: &mut usize,
    ) -> bool {
        let Phase::Tell(member, to_get) = &mut self.phase else { return false };
        while let Some(had) = assigned.get_mut(*member) {
            let changed = self.holdings.is_changed(*member as u32);
            while let Some((topic, partition)) = self.holdings.pop(*member as u32) {
                if changed {
                    let id = subscriptions.topics[topic as usize].id;
                    to_get.entry(id).or_default().push(partition as i32);
                }
                *room = room.saturating_sub(1);
                if *room == 0 {
                    return false;
                }
            }
            let to_get = std::mem::take(to_get);
            if changed && **had != to_get {
                *had = Arc::new(to_get);
            }
            *member += 1;
            *room = room.saturating_sub(1);
            if *room == 0 {
                return false;
            }
        }
        true
    }
}
