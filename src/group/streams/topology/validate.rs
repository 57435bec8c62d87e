//! Checks what a request declares.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::declared::{CopartitionGroup, Subtopology, TopicInfo, Topology};
use super::walk::{Part, Walk};
use crate::types::ErrorCode;
use crate::types::topic_name::{check_topic_name, is_internal};

/// Why a topology is refused, with the message for the client: Kafka's where Kafka refuses it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopologyError {
    /// It has what is not supported.
    Unsupported(String),
    /// No topology of Kafka Streams looks like this, or it cannot be worked out.
    Invalid(String),
}

impl TopologyError {
    /// Its code.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unsupported(_) => ErrorCode::INVALID_REQUEST,
            Self::Invalid(_) => ErrorCode::STREAMS_INVALID_TOPOLOGY,
        }
    }

    /// Its message.
    pub fn message(&self) -> &str {
        match self {
            Self::Unsupported(message) | Self::Invalid(message) => message,
        }
    }
}

/// A topology is checked, some steps at a time.
///
/// Beyond what Kafka 4.3.1 refuses, it refuses what makes Kafka fail later with `UNKNOWN_SERVER_ERROR`: an id or an
/// internal topic that comes twice, a negative number of partitions, a place that is not in the lists.
#[derive(Debug, Default)]
pub struct Validating {
    walk: Walk,
    /// Names of coordinators' topics, in the order in which they came.
    prohibited: Vec<Arc<str>>,
    /// Names that no topic can have, likewise.
    malformed: Vec<Arc<str>>,
    /// Those of both.
    bad: BTreeSet<Arc<str>>,
    ids: BTreeSet<Arc<str>>,
    /// Internal topics of the subtopology so far; whether they are changelogs.
    internal: BTreeSet<(bool, Arc<str>)>,
    /// The first that Kafka looks for last.
    wrong: Option<TopologyError>,
}

impl Validating {
    /// Goes on for so many steps with the topology that it began with; `None` where they did not do.
    pub fn step(
        &mut self,
        topology: &Topology,
        room: &mut usize,
    ) -> Option<Result<(), TopologyError>> {
        while *room > 0 {
            *room -= 1;
            match self.walk.next(|place| topology.subtopologies.get(place)) {
                None => return Some(self.result()),
                Some((_, subtopology, part)) => self.look_at(subtopology, part),
            }
        }
        None
    }

    fn result(&mut self) -> Result<(), TopologyError> {
        if !self.prohibited.is_empty() {
            let names = self.prohibited.join(",");
            return Err(TopologyError::Invalid(format!(
                "Use of Kafka internal topics {names} in a Kafka Streams topology is prohibited."
            )));
        }
        if !self.malformed.is_empty() {
            let names = self.malformed.join(",");
            return Err(TopologyError::Invalid(format!(
                "Topic names {names} are not valid topic names."
            )));
        }
        self.wrong.take().map_or(Ok(()), Err)
    }

    fn look_at(&mut self, subtopology: &Subtopology, part: Part<'_>) {
        match part {
            Part::Source(name) | Part::RepartitionSink(name) => self.check_name(name),
            Part::RepartitionSource(topic) => self.check_internal(topic, false),
            Part::Changelog(topic) => self.check_internal(topic, true),
            Part::Group(group) => self.check_group(subtopology, group),
            Part::End => {
                self.internal.clear();
                let id = &subtopology.id;
                if !subtopology.source_topic_regex.is_empty() {
                    // Kafka looks for these first, so it is what is said whatever else is wrong.
                    if !matches!(self.wrong, Some(TopologyError::Unsupported(_))) {
                        let message =
                            "Regular expressions for source topics are not supported yet.";
                        self.wrong = Some(TopologyError::Unsupported(message.to_owned()));
                    }
                } else if !self.ids.insert(Arc::clone(id)) {
                    self.invalid(format!("Subtopology {id} is declared twice."));
                }
            }
        }
    }

    fn check_name(&mut self, name: &Arc<str>) {
        let (prohibited, malformed) = (is_internal(name), check_topic_name(name).is_err());
        if (prohibited || malformed) && self.bad.insert(Arc::clone(name)) {
            let names = if prohibited { &mut self.prohibited } else { &mut self.malformed };
            names.push(Arc::clone(name));
        }
    }

    fn check_internal(&mut self, topic: &TopicInfo, is_changelog: bool) {
        let TopicInfo { name, partitions, .. } = topic;
        self.check_name(name);
        if is_changelog && *partitions != 0 {
            self.invalid(format!(
                "Changelog topic {name} must have an undefined partition count, but it is set to {partitions}."
            ));
        } else if *partitions < 0 {
            self.invalid(format!("Repartition topic {name} has {partitions} partitions."));
        } else if !self.internal.insert((is_changelog, Arc::clone(name))) {
            self.invalid(format!("Internal topic {name} is declared twice."));
        }
    }

    /// A group of at most all sources: so this takes no longer than they did.
    fn check_group(&mut self, of: &Subtopology, group: &CopartitionGroup) {
        let fits = |places: &[i16], count: usize| {
            places.len() <= count
                && places.iter().all(|it| usize::try_from(*it).is_ok_and(|it| it < count))
        };
        if !fits(&group.source_topics, of.source_topics.len())
            || !fits(&group.source_topic_regex, of.source_topic_regex.len())
            || !fits(&group.repartition_source_topics, of.repartition_source_topics.len())
        {
            let id = &of.id;
            self.invalid(format!(
                "A copartition group of subtopology {id} has topics that it does not read."
            ));
        }
    }

    fn invalid(&mut self, message: String) {
        self.wrong.get_or_insert(TopologyError::Invalid(message));
    }
}

/// Checks a topology in one go.
///
/// # Errors
/// Why it is refused.
#[cfg(test)]
pub fn validate(topology: &Topology) -> Result<(), TopologyError> {
    let mut room = usize::MAX;
    Validating::default().step(topology, &mut room).unwrap_or(Ok(()))
}
