//! Goes through the topics of a topology, one at a time.

use std::sync::Arc;

use super::declared::{CopartitionGroup, Subtopology, TopicInfo};

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// A topic of the user that is read.
    Source(&'a Arc<str>),
    /// A repartition topic that is written to.
    RepartitionSink(&'a Arc<str>),
    /// A repartition topic that is read.
    RepartitionSource(&'a TopicInfo),
    /// A topic that holds state.
    Changelog(&'a TopicInfo),
    /// Sources that have to have the same number of partitions.
    Group(&'a CopartitionGroup),
    /// There is no more of this subtopology.
    End,
}

/// How far a walk has come: so many subtopologies, and so many parts of the next one, in the order of `Part`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walk {
    subtopologies: usize,
    parts: usize,
}

impl Walk {
    /// Before the first.
    pub const START: Self = Self { subtopologies: 0, parts: 0 };

    /// The next part, with its subtopology and that one's place; `None` at the end. `at` gives the subtopology of a place.
    pub fn next<'a>(
        &mut self,
        at: impl FnOnce(usize) -> Option<&'a Subtopology>,
    ) -> Option<(usize, &'a Subtopology, Part<'a>)> {
        let place = self.subtopologies;
        let subtopology = at(place)?;
        let part = part(subtopology, self.parts);
        match part {
            Part::End => *self = Self { subtopologies: place + 1, parts: 0 },
            _ => self.parts += 1,
        }
        Some((place, subtopology, part))
    }
}

fn part(of: &Subtopology, mut number: usize) -> Part<'_> {
    if let Some(topic) = of.source_topics.get(number) {
        return Part::Source(topic);
    }
    number -= of.source_topics.len();
    if let Some(topic) = of.repartition_sink_topics.get(number) {
        return Part::RepartitionSink(topic);
    }
    number -= of.repartition_sink_topics.len();
    if let Some(topic) = of.repartition_source_topics.get(number) {
        return Part::RepartitionSource(topic);
    }
    number -= of.repartition_source_topics.len();
    if let Some(topic) = of.state_changelog_topics.get(number) {
        return Part::Changelog(topic);
    }
    number -= of.state_changelog_topics.len();
    of.copartition_groups.get(number).map_or(Part::End, Part::Group)
}
