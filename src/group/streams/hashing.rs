//! A hash of the topics of a topology: another one, when they have changed, gives the group another epoch.

use super::topology::Topology;
use crate::group::cluster::ClusterView;
use crate::group::consumer::hashing::topic_hash;

/// How far the topics are hashed: names, ids, partitions, as Kafka's `Utils.computeGroupHash` has them; racks too there, which
/// no assignment looks at. The hash itself is another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hashing {
    /// The next subtopology, and the next of its topics.
    at: (usize, usize),
    sum: u64,
}

impl Hashing {
    /// Goes on for about so many steps; how many. Fewer are the last.
    pub fn step(&mut self, topology: &Topology, view: &dyn ClusterView, room: usize) -> usize {
        let mut steps = 0;
        while steps < room {
            let Some(subtopology) = topology.subtopologies.get(self.at.0) else { break };
            let topics = subtopology.required_topics().skip(self.at.1).take(room - steps);
            let mut seen = 0;
            for name in topics {
                seen += 1;
                if let Some(topic) = view.topic(name) {
                    self.sum = self.sum.wrapping_add(topic_hash(topic));
                }
            }
            let whole = seen < room - steps;
            self.at = if whole { (self.at.0 + 1, 0) } else { (self.at.0, self.at.1 + seen) };
            steps += seen + usize::from(whole);
        }
        steps
    }

    /// The hash, once all steps were taken.
    pub const fn sum(&self) -> i64 {
        self.sum as i64
    }
}
