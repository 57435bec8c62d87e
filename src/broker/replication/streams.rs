//! What a shard follows, and how far each has come. Pure.

use crate::broker::links::{LinkId, Target};
use crate::types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

/// How far the following of a partition has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is to be asked for, when there is a link.
    Wanted,
    /// The leader was asked.
    Asked,
    /// Frames come.
    Runs,
    /// The leader was told to stop, for a limit; frames that are on their way are taken. It is asked again at its time.
    Pauses,
    /// The log is being cut, or begun anew; then the leader is asked again.
    Cutting,
}

/// A partition that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    /// The leader's shard.
    pub target: Target,
    /// The leader's epoch.
    pub epoch: i32,
    /// Its stream; another one each time that the leader is asked.
    pub stream: u32,
    /// How far it has come.
    pub stage: Stage,
    /// It is not asked for before this time, ms.
    pub not_before_ms: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Streams {
    all: BTreeMap<TopicPartition, Following>,
    /// By stream.
    by_stream: BTreeMap<u32, TopicPartition>,
    /// By target, what is followed there.
    by_target: BTreeMap<Target, BTreeSet<TopicPartition>>,
    next: u32,
    /// Those that are to be asked for.
    wanted: BTreeSet<TopicPartition>,
    /// Bytes of frames for which the leader of a link is to be granted others.
    owed: BTreeMap<LinkId, u64>,
}

impl Streams {
    /// Follows a partition there. Whether that is new, or another leader or epoch than before.
    pub fn follow(&mut self, tp: TopicPartition, target: Target, epoch: i32) -> bool {
        let same = |it: &Following| it.target == target && it.epoch == epoch;
        if self.all.get(&tp).is_some_and(same) {
            return false;
        }
        // What is being cut goes on being cut.
        let cutting = self.all.get(&tp).is_some_and(|it| it.stage == Stage::Cutting);
        self.forget(tp);
        let stage = if cutting { Stage::Cutting } else { Stage::Wanted };
        let following = Following { target, epoch, stream: 0, stage, not_before_ms: i64::MIN };
        self.all.insert(tp, following);
        self.by_target.entry(target).or_default().insert(tp);
        if !cutting {
            self.wanted.insert(tp);
        }
        true
    }

    /// Follows a partition no more; what it was.
    pub fn forget(&mut self, tp: TopicPartition) -> Option<Following> {
        let following = self.all.remove(&tp)?;
        self.by_stream.remove(&following.stream);
        self.wanted.remove(&tp);
        if let Some(there) = self.by_target.get_mut(&following.target) {
            there.remove(&tp);
            if there.is_empty() {
                self.by_target.remove(&following.target);
            }
        }
        Some(following)
    }

    /// How a partition is followed.
    pub fn get(&self, tp: TopicPartition) -> Option<&Following> {
        self.all.get(&tp)
    }

    /// The partition of a stream that is not over.
    pub fn of_stream(&self, stream: u32) -> Option<(TopicPartition, &Following)> {
        let tp = *self.by_stream.get(&stream)?;
        Some((tp, self.all.get(&tp)?))
    }

    /// Whether anything is followed there.
    pub fn needs(&self, target: Target) -> bool {
        self.by_target.contains_key(&target)
    }

    /// The targets at which anything is followed.
    pub fn targets(&self) -> impl Iterator<Item = Target> + '_ {
        self.by_target.keys().copied()
    }

    /// Partitions that are to be asked for now, of those with a link; some of them. Each gets a stream of its own.
    pub fn take_wanted(
        &mut self,
        now_ms: i64,
        most: usize,
        has_link: impl Fn(Target) -> bool,
    ) -> Vec<(TopicPartition, Following)> {
        let mut taken = Vec::new();
        for tp in &self.wanted {
            let Some(it) = self.all.get_mut(tp) else { continue };
            if it.not_before_ms <= now_ms && has_link(it.target) {
                self.next = self.next.wrapping_add(1);
                self.by_stream.remove(&it.stream);
                (it.stream, it.stage) = (self.next, Stage::Asked);
                self.by_stream.insert(it.stream, *tp);
                taken.push((*tp, *it));
            }
            if taken.len() == most {
                break;
            }
        }
        for (tp, _) in &taken {
            self.wanted.remove(tp);
        }
        taken
    }

    /// When the first of those that wait for their time is to be asked for, ms.
    pub fn next_ms(&self) -> Option<i64> {
        let at = |tp: &TopicPartition| self.all.get(tp).map(|it| it.not_before_ms);
        self.wanted.iter().filter_map(at).min()
    }

    /// The leader is to be asked again, not before this time.
    pub fn want(&mut self, tp: TopicPartition, not_before_ms: i64) {
        if let Some(it) = self.all.get_mut(&tp) {
            self.by_stream.remove(&it.stream);
            (it.stage, it.stream, it.not_before_ms) = (Stage::Wanted, 0, not_before_ms);
            self.wanted.insert(tp);
        }
    }

    /// A partition has come so far.
    pub fn set(&mut self, tp: TopicPartition, stage: Stage) {
        if let Some(it) = self.all.get_mut(&tp) {
            it.stage = stage;
        }
    }

    /// The leader stops the stream, and is asked again, not before this time.
    pub fn pause(&mut self, tp: TopicPartition, not_before_ms: i64) {
        if let Some(it) = self.all.get_mut(&tp).filter(|it| it.stage == Stage::Runs) {
            (it.stage, it.not_before_ms) = (Stage::Pauses, not_before_ms);
            self.wanted.insert(tp);
        }
    }

    /// There is no link there any more: all streams are over. How many it were.
    pub fn link_ended(&mut self, target: Target, link: LinkId) -> usize {
        self.owed.remove(&link);
        let there: Vec<TopicPartition> =
            self.by_target.get(&target).into_iter().flatten().copied().collect();
        for tp in &there {
            if self.all.get(tp).is_some_and(|it| it.stage != Stage::Cutting) {
                self.want(*tp, i64::MIN);
            }
        }
        there.len()
    }

    /// So many bytes of frames came on a link.
    pub fn came(&mut self, link: LinkId, bytes: u64) {
        *self.owed.entry(link).or_default() += bytes;
    }

    /// What is to be granted.
    pub fn take_owed(&mut self) -> BTreeMap<LinkId, u64> {
        std::mem::take(&mut self.owed)
    }

    /// Whether anything is to be granted.
    pub fn owes(&self) -> bool {
        !self.owed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TopicId;
    use crate::wire::peer::Lane;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition { topic: TopicId([1; 16]), partition }
    }

    fn target(node: i32) -> Target {
        Target { node, lane: Lane::Data, shard: 0 }
    }

    #[test]
    fn a_stream_is_over_when_the_leader_is_asked_again() {
        let mut streams = Streams::default();
        assert!(streams.follow(tp(0), target(2), 5));
        assert!(!streams.follow(tp(0), target(2), 5));
        assert!(streams.take_wanted(0, 10, |_| false).is_empty(), "there is no link");
        let first = streams.take_wanted(0, 10, |_| true);
        assert_eq!((first.len(), first[0].1.stage), (1, Stage::Asked));
        let stream = first[0].1.stream;
        assert_eq!(streams.of_stream(stream).map(|it| it.0), Some(tp(0)));
        streams.want(tp(0), 100);
        assert!(streams.of_stream(stream).is_none(), "what comes late is of nothing");
        assert!(streams.take_wanted(99, 10, |_| true).is_empty());
        assert_eq!(streams.next_ms(), Some(100));
        let again = streams.take_wanted(100, 10, |_| true);
        assert_ne!(again[0].1.stream, stream);
        // Another epoch is another stream, too.
        assert!(streams.follow(tp(0), target(2), 6));
        assert!(streams.of_stream(again[0].1.stream).is_none());
        streams.forget(tp(0));
        assert!(!streams.needs(target(2)) && streams.next_ms().is_none());
    }

    #[test]
    fn what_is_on_its_way_of_a_stream_that_pauses_is_taken() {
        let mut streams = Streams::default();
        streams.follow(tp(0), target(2), 5);
        let stream = streams.take_wanted(0, 10, |_| true)[0].1.stream;
        streams.pause(tp(0), 50);
        assert_eq!(streams.get(tp(0)).map(|it| it.stage), Some(Stage::Asked), "it does not run");
        streams.set(tp(0), Stage::Runs);
        streams.pause(tp(0), 100);
        assert_eq!(streams.of_stream(stream).map(|it| it.1.stage), Some(Stage::Pauses));
        assert!(streams.take_wanted(99, 10, |_| true).is_empty());
        assert_eq!(streams.next_ms(), Some(100));
        let again = streams.take_wanted(100, 10, |_| true);
        assert_ne!(again[0].1.stream, stream);
        assert!(streams.of_stream(stream).is_none());
    }

    #[test]
    fn a_cut_under_way_is_waited_for_whoever_leads() {
        let mut streams = Streams::default();
        streams.follow(tp(0), target(2), 5);
        streams.take_wanted(0, 10, |_| true);
        streams.set(tp(0), Stage::Cutting);
        assert!(streams.follow(tp(0), target(3), 6));
        assert!(streams.take_wanted(0, 10, |_| true).is_empty());
        streams.want(tp(0), i64::MIN);
        let asked = streams.take_wanted(0, 10, |_| true);
        assert_eq!((asked[0].1.target, asked[0].1.epoch), (target(3), 6));
    }
}
