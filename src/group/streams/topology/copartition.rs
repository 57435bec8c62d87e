//! Topics that are joined have the same number of partitions.

use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;
use std::sync::Arc;

use super::configured::{Problem, Status};
use super::counts::Counts;
use super::declared::Subtopology;
use super::failure::Failure;
use super::validate::TopologyError;

/// Goes through the copartition groups of all subtopologies, by rank. What the user's topics of a group have, its
/// repartition topics get. Where it has none of the user's, they get what the topology says, or else the most that one of them has.
#[derive(Debug, Default)]
pub struct Copartition {
    /// The least and the greatest count that the topology gives a repartition topic, in whichever group. That it is over all groups
    /// is as in Kafka 4.3.1: a group without topics of the user's takes what is given anywhere.
    given: Option<(i32, i32)>,
    /// So many subtopologies are done, so many groups of the next one, and so many topics of the next of those.
    at: (usize, usize, usize),
    /// Topics of the group so far, and their counts: of the user, and repartition topics.
    external: BTreeMap<Arc<str>, i32>,
    repartition: BTreeMap<Arc<str>, i32>,
    /// The group's count goes to these.
    coerce: Option<(i32, IntoIter<Arc<str>, i32>)>,
}

impl Copartition {
    /// The topology gives a repartition topic so many partitions, or it has them already.
    pub fn give(&mut self, count: i32) {
        let (least, most) = self.given.unwrap_or((count, count));
        self.given = Some((least.min(count), most.max(count)));
    }

    /// Goes on for so many steps; `None` where they did not do.
    pub fn step<'a>(
        &mut self,
        counts: &mut Counts,
        is_repartition: impl Fn(&str) -> bool,
        is_given: impl Fn(&str) -> bool,
        at: impl Fn(usize) -> Option<&'a Subtopology>,
        room: &mut usize,
    ) -> Option<Result<(), Failure>> {
        while *room > 0 {
            *room -= 1;
            if self.coerce.is_some() {
                if let Err(failure) = self.coerce(counts, &is_given) {
                    return Some(Err(failure));
                }
                continue;
            }
            let (rank, number, topic) = self.at;
            let Some(subtopology) = at(rank) else { return Some(Ok(())) };
            let Some(group) = subtopology.copartition_groups.get(number) else {
                self.at = (rank + 1, 0, 0);
                continue;
            };
            let (sources, rest) =
                (&group.source_topics, topic.saturating_sub(group.source_topics.len()));
            let name = match (sources.get(topic), group.repartition_source_topics.get(rest)) {
                (Some(place), _) => subtopology.source_topics.get(*place as usize),
                (None, Some(place)) => {
                    subtopology.repartition_source_topics.get(*place as usize).map(|it| &it.name)
                }
                (None, None) => {
                    self.at = (rank, number + 1, 0);
                    if let Err(failure) = self.decide() {
                        return Some(Err(failure));
                    }
                    continue;
                }
            };
            self.at.2 += 1;
            if let Some((name, count)) = name.and_then(|it| Some((it, counts.count(it)?))) {
                let of =
                    if is_repartition(name) { &mut self.repartition } else { &mut self.external };
                of.insert(Arc::clone(name), count);
            }
        }
        None
    }

    /// What the group's repartition topics are to have.
    fn decide(&mut self) -> Result<(), Failure> {
        let external = std::mem::take(&mut self.external);
        let repartition = std::mem::take(&mut self.repartition);
        let differ = |topics: &BTreeMap<Arc<str>, i32>| {
            let shown: Vec<String> = topics.iter().map(|it| format!("{}={}", it.0, it.1)).collect();
            incorrect(format!(
                "Following topics do not have the same number of partitions: [{{{}}}]",
                shown.join(", ")
            ))
        };
        let count = match (external.values().next(), self.given) {
            (Some(count), _) if external.values().any(|it| it != count) => {
                return Err(differ(&external));
            }
            (Some(count), _) => *count,
            (None, _) if repartition.is_empty() => return Ok(()),
            (None, Some((least, most))) if least != most => return Err(differ(&repartition)),
            (None, Some((count, _))) => count,
            (None, None) => repartition.values().copied().max().unwrap_or_default(),
        };
        if count <= 0 {
            let names: Vec<&str> = repartition.keys().map(|it| &**it).collect();
            return Err(Failure::Invalid(TopologyError::Invalid(format!(
                "All topics in the copartition group had undefined partition number: [{}]",
                names.join(", ")
            ))));
        }
        self.coerce = Some((count, repartition.into_iter()));
        Ok(())
    }

    /// One more topic of the group gets its count.
    fn coerce(
        &mut self,
        counts: &mut Counts,
        is_given: impl Fn(&str) -> bool,
    ) -> Result<(), Failure> {
        let Some((count, rest)) = &mut self.coerce else { return Ok(()) };
        let Some((name, before)) = rest.next() else {
            self.coerce = None;
            return Ok(());
        };
        if before != *count && is_given(&name) {
            return Err(incorrect(format!(
                "Number of partitions [{before}] of repartition topic [{name}] doesn't match number of partitions \
                 [{count}] of the source topic."
            )));
        }
        counts.decide(&name, *count);
        Ok(())
    }
}

fn incorrect(detail: String) -> Failure {
    Failure::Problem(Problem { status: Status::IncorrectlyPartitionedTopics, detail })
}
