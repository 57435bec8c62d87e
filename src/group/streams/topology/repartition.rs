//! How many partitions repartition topics are to have, where the topology does not say.
//!
//! A subtopology that has a source whose count is known gives the greatest of those to the repartition topics that it writes to and that have none
//! yet. Kafka goes through all subtopologies again and again until nothing is left to be counted; what a topic gets depends on that
//! order. Here only those are visited that have something to give, in the very same order: by passes, and in each by rank.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::counts::Counts;
use super::declared::Subtopology;

/// The repartition topics that are read.
#[derive(Debug, Default)]
pub struct Repartition {
    /// By topic: the ranks of those who read it.
    readers: BTreeMap<Arc<str>, Vec<u32>>,
    /// By rank: the greatest count among its sources that is known.
    known: Vec<Option<i32>>,
    /// Who is to be visited: pass and rank.
    queue: BTreeSet<(u32, u32)>,
    /// Who is visited.
    visit: Option<Visit>,
    /// The count of this topic is told to its readers; so many were.
    telling: Option<(Arc<str>, usize)>,
}

#[derive(Clone, Copy, Debug)]
struct Visit {
    pass: u32,
    rank: u32,
    count: i32,
    /// So many of the topics that it writes to have their count.
    sinks: usize,
}

impl Repartition {
    /// Of so many subtopologies.
    pub fn new(subtopologies: usize) -> Self {
        Self { known: vec![None; subtopologies], ..Self::default() }
    }

    /// A subtopology reads a repartition topic.
    pub fn add_reader(&mut self, topic: &Arc<str>, rank: usize) {
        self.readers.entry(Arc::clone(topic)).or_default().push(rank as u32);
    }

    /// Whether it is a repartition topic that somebody reads.
    pub fn is_read(&self, topic: &str) -> bool {
        self.readers.contains_key(topic)
    }

    /// A subtopology has a source with so many partitions.
    pub fn know(&mut self, rank: usize, count: i32) {
        let known = &mut self.known[rank];
        let first = known.is_none();
        *known = (*known).max(Some(count));
        if first {
            let rank = rank as u32;
            // Who stands before the one that is visited comes again in the next pass.
            let pass = self.visit.map_or(0, |it| it.pass + u32::from(rank <= it.rank));
            self.queue.insert((pass, rank));
        }
    }

    /// Tells those who read a topic how many partitions it is to have; [`step`](Self::step) does it.
    pub fn tell(&mut self, topic: &Arc<str>) {
        self.telling = Some((Arc::clone(topic), 0));
    }

    /// Goes on for so many steps; `false` where they did not do.
    pub fn step<'a>(
        &mut self,
        counts: &mut Counts,
        at: impl Fn(usize) -> &'a Subtopology,
        room: &mut usize,
    ) -> bool {
        while *room > 0 {
            *room -= 1;
            if !self.go_on_telling(counts) && !self.go_on_visiting(counts, &at) {
                return true;
            }
        }
        false
    }

    /// Tells one more reader; `false` where nobody is to be told.
    pub fn go_on_telling(&mut self, counts: &Counts) -> bool {
        let Some((topic, told)) = self.telling.take() else { return false };
        let reader = self.readers.get(&topic).and_then(|it| it.get(told));
        if let (Some(reader), Some(count)) = (reader, counts.decided(&topic)) {
            self.know(*reader as usize, count);
            self.telling = Some((topic, told + 1));
        }
        true
    }

    /// Gives a count to one more topic, or goes to the next subtopology; `false` where there is none.
    fn go_on_visiting<'a>(
        &mut self,
        counts: &mut Counts,
        at: impl Fn(usize) -> &'a Subtopology,
    ) -> bool {
        let Some(visit) = &mut self.visit else { return self.visit_next() };
        let sinks = &at(visit.rank as usize).repartition_sink_topics;
        let Some(topic) = sinks.get(visit.sinks) else { return self.visit_next() };
        visit.sinks += 1;
        if counts.decided(topic).is_none() {
            counts.decide(topic, visit.count);
            self.tell(topic);
        }
        true
    }

    fn visit_next(&mut self) -> bool {
        let Some((pass, rank)) = self.queue.pop_first() else { return false };
        let count = self.known[rank as usize].unwrap_or_default();
        self.visit = Some(Visit { pass, rank, count, sinks: 0 });
        true
    }
}
