//! Whether a member runs the topology of its group, some topics at a time: every join says all of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::topology::{Topology, Walk};
use crate::group::entry::ENTRY;

/// How far both are compared; their subtopologies may come in any order. A step is a topic or a subtopology.
#[derive(Debug)]
pub struct Comparing {
    known: Arc<Topology>,
    said: Arc<Topology>,
    /// Places of the known subtopologies, by id, of so many as were looked at.
    places: BTreeMap<Arc<str>, usize>,
    walk: Walk,
}

impl Comparing {
    /// Nothing is compared yet.
    pub const fn new(known: Arc<Topology>, said: Arc<Topology>) -> Self {
        Self { known, said, places: BTreeMap::new(), walk: Walk::START }
    }

    /// Goes on for so many steps, which it takes off the room: whether they are the same, once that is known.
    pub fn step(&mut self, room: &mut usize) -> Option<bool> {
        let (known, said) = (&self.known.subtopologies, &self.said.subtopologies);
        if self.known.epoch != self.said.epoch || known.len() != said.len() {
            return Some(false);
        }
        while *room > 0 {
            *room -= 1;
            if let Some(it) = known.get(self.places.len()) {
                self.places.insert(Arc::clone(&it.id), self.places.len());
                continue;
            }
            let mut twin = self.walk;
            let Some((_, it, part)) = self.walk.next(|place| said.get(place)) else {
                return Some(true);
            };
            let other = self.places.get(&it.id).map(|place| &known[*place]);
            let regexes =
                other.is_some_and(|other| other.source_topic_regex == it.source_topic_regex);
            if !regexes || twin.next(|_| other).is_none_or(|other| other.2 != part) {
                return Some(false);
            }
        }
        None
    }

    /// Memory that it takes beside both, bytes.
    pub fn bytes(&self) -> usize {
        2 * ENTRY * self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::streams::topology::{Subtopology, TopicInfo};

    fn subtopology(id: &str, topics: usize) -> Subtopology {
        let name = |it: usize| Arc::<str>::from(format!("{id}.{it}"));
        let internal = |it| TopicInfo { name: name(it), ..TopicInfo::default() };
        Subtopology {
            id: id.into(),
            source_topics: (0..topics).map(name).collect(),
            repartition_sink_topics: vec![name(topics)],
            state_changelog_topics: (0..topics).map(internal).collect(),
            ..Subtopology::default()
        }
    }

    fn topology(epoch: i32, subtopologies: Vec<Subtopology>) -> Arc<Topology> {
        Arc::new(Topology { epoch, subtopologies })
    }

    fn compare(known: &Arc<Topology>, said: &Arc<Topology>) -> bool {
        let mut comparing = Comparing::new(Arc::clone(known), Arc::clone(said));
        loop {
            if let Some(same) = comparing.step(&mut 1) {
                return same;
            }
        }
    }

    #[test]
    fn the_order_of_subtopologies_does_not_matter_and_all_else_does() {
        let all = |epoch| topology(epoch, vec![subtopology("a", 3), subtopology("b", 2)]);
        assert!(compare(&all(1), &all(1)));
        let turned = topology(1, vec![subtopology("b", 2), subtopology("a", 3)]);
        assert!(compare(&all(1), &turned) && compare(&turned, &all(1)));
        for other in [
            all(2),
            topology(1, vec![subtopology("a", 3)]),
            topology(1, vec![subtopology("a", 3), subtopology("c", 2)]),
            topology(1, vec![subtopology("a", 3), subtopology("b", 3)]),
            topology(1, vec![subtopology("a", 2), subtopology("b", 2)]),
        ] {
            assert!(!compare(&all(1), &other) && !compare(&other, &all(1)), "{other:?}");
        }
        let mut regex = subtopology("b", 2);
        regex.source_topic_regex.push("x.*".into());
        assert!(!compare(&all(1), &topology(1, vec![subtopology("a", 3), regex])));
        let mut settings = subtopology("b", 2);
        settings.state_changelog_topics[1].configs = [("a".into(), "b".into())].into();
        assert!(!compare(&all(1), &topology(1, vec![subtopology("a", 3), settings])));
    }

    #[test]
    fn many_topics_are_compared_some_at_a_time() {
        let many = || topology(0, vec![subtopology("a", 20_000), subtopology("b", 20_000)]);
        let mut comparing = Comparing::new(many(), many());
        let mut turns = 0;
        loop {
            let mut room = 100;
            turns += 1;
            match comparing.step(&mut room) {
                Some(same) => {
                    assert!(same);
                    break;
                }
                None => assert_eq!(room, 0),
            }
        }
        // Each topic is a step: sources and changelogs of both.
        assert!(turns > 80_000 / 100, "{turns}");
    }
}
