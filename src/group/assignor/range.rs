//! The assignor `range`: of each topic a range to each subscriber.

use super::spec::Assignment;
use super::subscriptions::Subscriptions;
use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;
use std::sync::Arc;

/// Where a member stands: static members first, by instance id; then the others, by member id.
pub type Place = (bool, Box<str>);

/// What has been assigned so far.
#[derive(Debug)]
pub struct Range {
    /// Who comes next.
    rest: IntoIter<Place, usize>,
    /// How many subscribers of each topic had their part, and how many of its partitions those have.
    given: Vec<(usize, usize)>,
    /// Who is given partitions: of so many topics so far, these.
    current: Option<(usize, usize, Assignment)>,
}

impl Range {
    /// Begins, with the members by their places.
    pub fn new(members: BTreeMap<Place, usize>) -> Self {
        Self { rest: members.into_iter(), given: Vec::new(), current: None }
    }

    /// Goes on; `assigned` is what each member had, and gets. `false` where there was not enough room.
    pub fn step(
        &mut self,
        subscriptions: &Subscriptions,
        assigned: &mut [Arc<Assignment>],
        room: &mut usize,
    ) -> bool {
        // Two words a topic.
        self.given.resize(subscriptions.topics.len(), (0, 0));
        loop {
            let next = self.current.take();
            let next = next.or_else(|| self.rest.next().map(|it| (it.1, 0, Assignment::new())));
            let Some((member, mut visited, mut to_get)) = next else { return true };
            let class = &subscriptions.classes[subscriptions.class_of[member] as usize];
            while let Some(number) = class.topics.get(visited) {
                if *room == 0 {
                    self.current = Some((member, visited, to_get));
                    return false;
                }
                visited += 1;
                let topic = &subscriptions.topics[*number as usize];
                let (place, start) = self.given[*number as usize];
                let more = usize::from(place < topic.partitions % topic.subscribers);
                let end = start + topic.partitions / topic.subscribers + more;
                self.given[*number as usize] = (place + 1, end);
                *room = room.saturating_sub(1 + (end - start) / 64);
                if start < end {
                    to_get.insert(topic.id, (start as i32..end as i32).collect());
                }
            }
            *room = room.saturating_sub(1);
            if *assigned[member] != to_get {
                assigned[member] = Arc::new(to_get);
            }
        }
    }
}
