//! An assignment that is made in pieces.

use super::range::{Place, Range};
use super::simple::Simple;
use super::spec::{Assignment, Assignor, MemberSpec, Topics};
use super::subscriptions::Subscriptions;
use super::uniform::Uniform;
use crate::types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Assigns partitions, some steps at a time: [`add`](Self::add) for each member, then [`step`](Self::step) until it
/// takes fewer steps than it may, then [`finish`](Self::finish). A step is a topic of a subscription or a partition
/// that is looked at: well below a microsecond.
#[derive(Debug)]
pub struct Assigning {
    assignor: Assignor,
    /// What each member subscribes to.
    subscribed: Vec<Arc<BTreeSet<TopicId>>>,
    /// What each member had, and gets.
    assigned: Vec<Arc<Assignment>>,
    /// Members by where they stand; only for `range`.
    places: BTreeMap<Place, usize>,
    subscriptions: Subscriptions,
    uniform: Uniform,
    range: Option<Range>,
    simple: Simple,
}

impl Assigning {
    /// Begins.
    pub fn new(assignor: Assignor) -> Self {
        Self {
            assignor,
            subscribed: Vec::new(),
            assigned: Vec::new(),
            places: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            uniform: Uniform::default(),
            range: None,
            simple: Simple::default(),
        }
    }

    /// Adds a member, before the first step.
    pub fn add(&mut self, member: &MemberSpec<'_>) {
        if self.assignor == Assignor::Range {
            let name = member.instance_id.unwrap_or(member.id);
            let place = (member.instance_id.is_none(), name.into());
            self.places.insert(place, self.subscribed.len());
        }
        self.subscribed.push(Arc::clone(member.topics));
        self.assigned.push(Arc::clone(member.assigned));
    }

    /// Goes on for so many steps, or a few more; how many were taken. Fewer are the last. `topics` is asked for each topic
    /// once, and is free to change meanwhile.
    pub fn step(&mut self, topics: &impl Topics, steps: usize) -> usize {
        let mut room = steps;
        let done = self.go_on(topics, &mut room);
        if done { steps.saturating_sub(room.max(1)) } else { steps }
    }

    /// The assignments, in the order in which members were added. Call it once all steps were taken.
    pub fn finish(self) -> Vec<Arc<Assignment>> {
        self.assigned
    }

    /// About so much memory is taken, bytes; what is shared with the group is not counted.
    pub fn bytes(&self) -> usize {
        let subscriptions = &self.subscriptions;
        let topics = subscriptions.topics.len();
        let classes: usize = subscriptions.classes.iter().map(|it| 128 + 8 * it.topics.len()).sum();
        self.subscribed.len() * 128 + topics * 160 + classes + self.uniform.bytes()
    }

    fn go_on(&mut self, topics: &impl Topics, room: &mut usize) -> bool {
        while let Some(subscribed) = self.subscribed.get(self.subscriptions.class_of.len()) {
            if *room == 0 || !self.subscriptions.read(subscribed, topics, room) {
                return false;
            }
        }
        if *room == 0 || !self.subscriptions.count(room) {
            return false;
        }
        match self.assignor {
            Assignor::Uniform => {
                self.uniform.step(&self.subscriptions, &self.subscribed, &mut self.assigned, room)
            }
            Assignor::Range => {
                let places = &mut self.places;
                let range = self.range.get_or_insert_with(|| Range::new(std::mem::take(places)));
                range.step(&self.subscriptions, &mut self.assigned, room)
            }
            Assignor::Simple => self.simple.step(&self.subscriptions, &mut self.assigned, room),
        }
    }
}

/// Assigns in one go: for tests and small groups.
pub fn assign(
    assignor: Assignor,
    members: &[MemberSpec<'_>],
    topics: &impl Topics,
) -> Vec<Arc<Assignment>> {
    let mut assigning = Assigning::new(assignor);
    members.iter().for_each(|it| assigning.add(it));
    while assigning.step(topics, usize::MAX) == usize::MAX {}
    assigning.finish()
}
