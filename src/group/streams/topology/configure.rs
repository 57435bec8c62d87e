//! A topology is given its partitions, some steps at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::configured::{
    Configured, ConfiguredSubtopology, InternalTopic, PartitionCounts, Problem, Status,
};
use super::copartition::Copartition;
use super::counts::Counts;
use super::declared::{Subtopology, TopicInfo, Topology};
use super::failure::Failure;
use super::repartition::Repartition;
use super::validate::TopologyError;
use super::walk::{Part, Walk};

/// Kafka's words for repartition topics that nobody can count.
const LOOPS: &str = "Failed to compute number of partitions for all repartition topics. There may be loops in the \
                     topology that cannot be resolved.";
const NO_SINK: &str = "Failed to compute number of partitions for all repartition topics, because a repartition source \
                       topic is never used as a sink topic.";

/// Configures a topology that was found [valid](super::Validating).
///
/// Subtopologies are ranked by their ids. Kafka's order is that of a hash table, which is the same for ids of one digit;
/// what a repartition topic gets that several write to may depend on it.
#[derive(Debug)]
pub struct Configuring {
    topology: Arc<Topology>,
    phase: Phase,
    /// The places of subtopologies in the topology, by rank.
    order: Vec<u32>,
    counts: Counts,
    repartition: Repartition,
    copartition: Copartition,
    /// Repartition topics to which the topology gives a count.
    given: BTreeSet<Arc<str>>,
}

#[derive(Debug)]
enum Phase {
    /// Subtopologies are ranked: these, which are so many as were looked at, but for ids that come twice.
    Order(BTreeMap<Arc<str>, u32>, usize),
    /// Topics are looked for. These sources are missing.
    Look(Walk, BTreeSet<Arc<str>>),
    /// What the topology gives is told to the readers of those topics; this was the last.
    Give(Option<Arc<str>>),
    /// Repartition topics get their counts.
    Count,
    /// All of them have one; some that are read do not.
    Check(Walk, bool),
    /// Topics that are joined get the same.
    Join,
    /// Changelogs get what the subtopology's sources have at most.
    Changelogs(Walk, Option<i32>),
    /// The result is put together.
    Build { walk: Walk, current: ConfiguredSubtopology, built: Built },
    /// Internal topics that exist have what they are to have.
    Compare { built: Built, to_create: BTreeMap<Arc<str>, InternalTopic> },
}

/// Subtopologies by id, and internal topics by name.
#[derive(Debug, Default)]
struct Built {
    subtopologies: BTreeMap<Arc<str>, ConfiguredSubtopology>,
    internal: BTreeMap<Arc<str>, InternalTopic>,
}

impl Configuring {
    /// Begins.
    pub fn new(topology: Arc<Topology>) -> Self {
        Self {
            topology,
            phase: Phase::Order(BTreeMap::new(), 0),
            order: Vec::new(),
            counts: Counts::default(),
            repartition: Repartition::default(),
            copartition: Copartition::default(),
            given: BTreeSet::new(),
        }
    }

    /// Goes on for so many steps; `None` where they did not do. `topics` is asked for each topic once, and is free to change
    /// meanwhile.
    ///
    /// # Errors
    /// The topology cannot be worked out, whichever topics there are.
    pub fn step(
        &mut self,
        topics: &impl PartitionCounts,
        room: &mut usize,
    ) -> Option<Result<Configured, TopologyError>> {
        while *room > 0 {
            let done = match &self.phase {
                Phase::Order(..) => self.rank(room),
                Phase::Look(..) => self.look(topics, room),
                Phase::Give(_) => self.give(room),
                Phase::Count => self.count(room),
                Phase::Check(..) => self.check(room),
                Phase::Join => self.join(room),
                Phase::Changelogs(..) => self.changelogs(room),
                Phase::Build { .. } => self.build(room),
                Phase::Compare { .. } => match self.compare(room) {
                    Ok(Some(configured)) => return Some(Ok(configured)),
                    Ok(None) => Ok(()),
                    Err(failure) => Err(failure),
                },
            };
            match done {
                Ok(()) => {}
                Err(Failure::Invalid(error)) => return Some(Err(error)),
                Err(Failure::Problem(problem)) => {
                    return Some(Ok(Configured {
                        epoch: self.topology.epoch,
                        subtopologies: None,
                        to_create: BTreeMap::new(),
                        problem: Some(problem),
                    }));
                }
            }
        }
        None
    }

    fn rank(&mut self, room: &mut usize) -> Result<(), Failure> {
        let Phase::Order(ranks, next) = &mut self.phase else { return Ok(()) };
        while *room > 0 {
            *room -= 1;
            let Some(subtopology) = self.topology.subtopologies.get(*next) else {
                self.order = std::mem::take(ranks).into_values().collect();
                self.repartition = Repartition::new(self.order.len());
                self.phase = Phase::Look(Walk::default(), BTreeSet::new());
                return Ok(());
            };
            ranks.insert(Arc::clone(&subtopology.id), *next as u32);
            *next += 1;
        }
        Ok(())
    }

    fn look(&mut self, topics: &impl PartitionCounts, room: &mut usize) -> Result<(), Failure> {
        let Phase::Look(walk, missing) = &mut self.phase else { return Ok(()) };
        while *room > 0 {
            *room -= 1;
            let Some((rank, _, part)) = walk.next(|rank| at(&self.topology, &self.order, rank))
            else {
                if !missing.is_empty() {
                    let detail = format!("Source topics {} are missing.", summary(missing.iter()));
                    return Err(Failure::Problem(Problem {
                        status: Status::MissingSourceTopics,
                        detail,
                    }));
                }
                self.phase = Phase::Give(None);
                return Ok(());
            };
            match part {
                Part::Source(name) => match self.counts.look(name, topics) {
                    Some(count) => self.repartition.know(rank, count),
                    None => _ = missing.insert(Arc::clone(name)),
                },
                Part::RepartitionSource(topic) => {
                    self.counts.look(&topic.name, topics);
                    self.repartition.add_reader(&topic.name, rank);
                    if topic.partitions != 0 {
                        self.counts.decide(&topic.name, topic.partitions);
                        self.given.insert(Arc::clone(&topic.name));
                    }
                }
                Part::Changelog(topic) => _ = self.counts.look(&topic.name, topics),
                Part::RepartitionSink(_) | Part::Group(_) | Part::End => {}
            }
        }
        Ok(())
    }

    fn give(&mut self, room: &mut usize) -> Result<(), Failure> {
        let Phase::Give(last) = &mut self.phase else { return Ok(()) };
        while *room > 0 {
            *room -= 1;
            if self.repartition.go_on_telling(&self.counts) {
                continue;
            }
            let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let Some(topic) = self.given.range::<Arc<str>, _>((from, Bound::Unbounded)).next()
            else {
                self.phase = Phase::Count;
                return Ok(());
            };
            self.copartition.give(self.counts.count(topic).unwrap_or_default());
            self.repartition.tell(topic);
            *last = Some(Arc::clone(topic));
        }
        Ok(())
    }

    fn count(&mut self, room: &mut usize) -> Result<(), Failure> {
        let subtopology = |rank: usize| &self.topology.subtopologies[self.order[rank] as usize];
        if self.repartition.step(&mut self.counts, subtopology, room) {
            self.phase = Phase::Check(Walk::default(), false);
        }
        Ok(())
    }

    fn check(&mut self, room: &mut usize) -> Result<(), Failure> {
        let Phase::Check(walk, uncounted) = &mut self.phase else { return Ok(()) };
        let invalid = |message: &str| Failure::Invalid(TopologyError::Invalid(message.to_owned()));
        while *room > 0 {
            *room -= 1;
            let Some((.., part)) = walk.next(|rank| at(&self.topology, &self.order, rank)) else {
                if *uncounted {
                    return Err(invalid(NO_SINK));
                }
                self.phase = Phase::Join;
                return Ok(());
            };
            match part {
                Part::RepartitionSink(topic) if self.counts.decided(topic).is_none() => {
                    return Err(invalid(LOOPS));
                }
                Part::RepartitionSource(topic) => {
                    *uncounted |= self.counts.decided(&topic.name).is_none();
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn join(&mut self, room: &mut usize) -> Result<(), Failure> {
        let done = self.copartition.step(
            &mut self.counts,
            |topic| self.repartition.is_read(topic),
            |topic| self.given.contains(topic),
            |rank| at(&self.topology, &self.order, rank),
            room,
        );
        match done {
            Some(Ok(())) => self.phase = Phase::Changelogs(Walk::default(), None),
            Some(Err(failure)) => return Err(failure),
            None => {}
        }
        Ok(())
    }

    fn changelogs(&mut self, room: &mut usize) -> Result<(), Failure> {
        let Phase::Changelogs(walk, most) = &mut self.phase else { return Ok(()) };
        while *room > 0 {
            *room -= 1;
            let next = walk.next(|rank| at(&self.topology, &self.order, rank));
            let Some((_, subtopology, part)) = next else {
                let (walk, current, built) = Default::default();
                self.phase = Phase::Build { walk, current, built };
                return Ok(());
            };
            match part {
                Part::Source(topic) => *most = (*most).max(self.counts.count(topic)),
                Part::RepartitionSource(topic) => {
                    *most = (*most).max(self.counts.count(&topic.name));
                }
                Part::Changelog(topic) => self.counts.decide(&topic.name, most.unwrap_or_default()),
                Part::End if most.take().is_none() => {
                    let id = &subtopology.id;
                    let message = format!("No source topics found for subtopology {id}");
                    return Err(Failure::Invalid(TopologyError::Invalid(message)));
                }
                Part::RepartitionSink(_) | Part::Group(_) | Part::End => {}
            }
        }
        Ok(())
    }

    fn build(&mut self, room: &mut usize) -> Result<(), Failure> {
        let Phase::Build { walk, current, built } = &mut self.phase else { return Ok(()) };
        let counts = &self.counts;
        let configured = |topic: &TopicInfo| {
            let decided = counts.decided(&topic.name).unwrap_or_default();
            InternalTopic {
                partitions: if topic.partitions == 0 { decided } else { topic.partitions },
                replication_factor: topic.replication_factor,
                configs: Arc::clone(&topic.configs),
            }
        };
        while *room > 0 {
            *room -= 1;
            let next = walk.next(|rank| at(&self.topology, &self.order, rank));
            let Some((_, subtopology, part)) = next else {
                let (built, to_create) = (std::mem::take(built), BTreeMap::new());
                self.phase = Phase::Compare { built, to_create };
                return Ok(());
            };
            match part {
                Part::Source(topic) => {
                    current.tasks = current.tasks.max(counts.count(topic).unwrap_or_default());
                    current.source_topics.insert(Arc::clone(topic));
                }
                Part::RepartitionSink(topic) => {
                    current.repartition_sink_topics.insert(Arc::clone(topic));
                }
                Part::RepartitionSource(topic) => {
                    let (name, of) = (Arc::clone(&topic.name), configured(topic));
                    current.tasks = current.tasks.max(counts.count(&name).unwrap_or_default());
                    built.internal.insert(Arc::clone(&name), of.clone());
                    current.repartition_source_topics.insert(name, of);
                }
                Part::Changelog(topic) => {
                    let (name, of) = (Arc::clone(&topic.name), configured(topic));
                    built.internal.insert(Arc::clone(&name), of.clone());
                    current.state_changelog_topics.insert(name, of);
                }
                Part::Group(_) => {}
                Part::End => {
                    let current = std::mem::take(current);
                    built.subtopologies.insert(Arc::clone(&subtopology.id), current);
                }
            }
        }
        Ok(())
    }

    fn compare(&mut self, room: &mut usize) -> Result<Option<Configured>, Failure> {
        let Phase::Compare { built, to_create } = &mut self.phase else { return Ok(None) };
        while *room > 0 {
            *room -= 1;
            let Some((name, topic)) = built.internal.pop_first() else {
                let problem = (!to_create.is_empty()).then(|| Problem {
                    status: Status::MissingInternalTopics,
                    detail: format!("Internal topics are missing: {}", summary(to_create.keys())),
                });
                return Ok(Some(Configured {
                    epoch: self.topology.epoch,
                    subtopologies: Some(Arc::new(std::mem::take(&mut built.subtopologies))),
                    to_create: std::mem::take(to_create),
                    problem,
                }));
            };
            match self.counts.existing(&name) {
                None => _ = to_create.insert(name, topic),
                Some(found) if found == topic.partitions => {}
                Some(found) => {
                    let expected = topic.partitions;
                    let detail = format!(
                        "Existing topic {name} has different number of partitions: expected {expected}, found {found}"
                    );
                    let status = Status::IncorrectlyPartitionedTopics;
                    return Err(Failure::Problem(Problem { status, detail }));
                }
            }
        }
        Ok(None)
    }
}

/// The subtopology of a rank.
fn at<'a>(topology: &'a Topology, order: &[u32], rank: usize) -> Option<&'a Subtopology> {
    Some(&topology.subtopologies[*order.get(rank)? as usize])
}

/// The first three names, and how many more there are.
fn summary<'a>(names: impl ExactSizeIterator<Item = &'a Arc<str>>) -> String {
    let more = names.len().saturating_sub(3);
    let shown: Vec<&str> = names.take(3).map(|it| &**it).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} additional topics", shown.join(", ")),
    }
}

/// Configures a topology in one go.
///
/// # Errors
/// The topology cannot be worked out, whichever topics there are.
#[cfg(test)]
pub fn configure(
    topology: &Arc<Topology>,
    topics: &impl PartitionCounts,
) -> Result<Configured, TopologyError> {
    let mut configuring = Configuring::new(Arc::clone(topology));
    loop {
        let mut room = usize::MAX;
        if let Some(done) = configuring.step(topics, &mut room) {
            return done;
        }
    }
}
