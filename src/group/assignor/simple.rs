//! The assignor `simple` of share groups (KIP-932).

use super::spec::Assignment;
use super::subscriptions::{Class, Subscriptions};
use std::sync::Arc;

/// Members of a class get the partitions of its topics in turn, counted over all topics: each partition goes to one of
/// them at least, and each of them has one at least, where there are any. Where members come or go, many partitions
/// change their places: nobody has to give one up before somebody else reads it, so that costs little.
#[derive(Debug, Default)]
pub struct Simple {
    /// So many members have what they get.
    done: usize,
    /// By class: how many of its members had their turn, and how many partitions it has.
    classes: Vec<(usize, usize)>,
    /// The member in its turn has this so far, and comes next to the partition of this place among its class's.
    current: Option<(Assignment, usize)>,
}

/// Which partition has this place among those of a class: topic by its number, and partition.
fn at(subscriptions: &Subscriptions, class: &Class, mut place: usize) -> Option<(usize, i32)> {
    for number in &class.topics {
        let topic = &subscriptions.topics[*number as usize];
        if place < topic.partitions {
            return Some((*number as usize, place as i32));
        }
        place -= topic.partitions;
    }
    None
}

impl Simple {
    /// Goes on; `assigned` is what each member had, and gets. `false` where there was not enough room.
    pub fn step(
        &mut self,
        subscriptions: &Subscriptions,
        assigned: &mut [Arc<Assignment>],
        room: &mut usize,
    ) -> bool {
        while let Some(class) = subscriptions.classes.get(self.classes.len()) {
            if *room == 0 {
                return false;
            }
            *room = room.saturating_sub(1 + class.topics.len());
            let partitions =
                class.topics.iter().map(|it| subscriptions.topics[*it as usize].partitions);
            self.classes.push((0, partitions.sum()));
        }
        while self.done < assigned.len() {
            let number = subscriptions.class_of[self.done] as usize;
            let (class, (turn, partitions)) =
                (&subscriptions.classes[number], &mut self.classes[number]);
            let (mut to_get, mut place) = self.current.take().unwrap_or((Assignment::new(), *turn));
            // A member of more than there are partitions has one, any other every so-many-th.
            let (members, partitions) = (class.members, *partitions);
            while place < partitions.max(*turn + 1) && partitions > 0 {
                if *room == 0 {
                    self.current = Some((to_get, place));
                    return false;
                }
                *room = room.saturating_sub(1 + class.topics.len() / 16);
                if let Some((topic, partition)) = at(subscriptions, class, place % partitions) {
                    to_get.entry(subscriptions.topics[topic].id).or_default().push(partition);
                }
                place += members;
            }
            *turn += 1;
            *room = room.saturating_sub(1);
            if *assigned[self.done] != to_get {
                assigned[self.done] = Arc::new(to_get);
            }
            self.done += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::{Assigning, assign};
    use super::super::spec::{Assignor, MemberSpec, Topics};
    use super::*;
    use crate::types::{Rng, TopicId};
    use std::collections::{BTreeMap, BTreeSet};

    struct Known(BTreeMap<TopicId, i32>);

    impl Topics for Known {
        fn partitions(&self, topic: TopicId) -> Option<i32> {
            self.0.get(&topic).copied()
        }
    }

    /// Everybody who can has a partition, every partition has somebody, and nobody has two more than others of the
    /// same subscription.
    #[test]
    fn partitions_and_members_find_each_other() {
        for seed in 0..500 {
            let mut rng = Rng::new(seed);
            let topic = |number| TopicId([number; 16]);
            let topics: BTreeMap<_, _> =
                (0..4).map(|it| (topic(it), rng.below(6) as i32)).collect();
            let known = Known(topics.clone());
            let sets: Vec<Arc<BTreeSet<TopicId>>> = (0..3)
                .map(|_| Arc::new((0..5).filter(|_| rng.chance(50)).map(topic).collect()))
                .collect();
            let ids: Vec<String> = (0..rng.below(9)).map(|it| it.to_string()).collect();
            let none = Arc::default();
            let members: Vec<_> = ids
                .iter()
                .map(|id| {
                    let topics = &sets[rng.index(3)];
                    MemberSpec { id, instance_id: None, topics, assigned: &none }
                })
                .collect();
            let all = assign(Assignor::Simple, &members, &known);
            let mut in_steps = Assigning::new(Assignor::Simple);
            members.iter().for_each(|it| in_steps.add(it));
            while in_steps.step(&known, 2) == 2 {}
            assert_eq!(in_steps.finish(), all, "seed {seed}: some steps at a time");
            for (member, assigned) in members.iter().zip(&all) {
                let wanted = member.topics.iter().map(|it| topics.get(it).copied().unwrap_or(0));
                let wanted = wanted.sum::<i32>() > 0;
                assert_eq!(wanted, !assigned.is_empty(), "seed {seed}: {}", member.id);
                assert!(assigned.keys().all(|it| member.topics.contains(it)), "seed {seed}");
                assert!(assigned.values().all(|it| it.is_sorted()), "seed {seed}");
                for (other, theirs) in members.iter().zip(&all) {
                    let count = |it: &Assignment| it.values().map(Vec::len).sum::<usize>();
                    let alike = Arc::ptr_eq(other.topics, member.topics);
                    assert!(!alike || count(assigned) <= count(theirs) + 1, "seed {seed}");
                }
            }
            for (id, count) in &topics {
                let subscribed = members.iter().any(|it| it.topics.contains(id));
                for partition in 0..*count {
                    let has =
                        |it: &Arc<Assignment>| it.get(id).is_some_and(|it| it.contains(&partition));
                    assert_eq!(all.iter().any(has), subscribed, "seed {seed}");
                }
            }
        }
    }
}
