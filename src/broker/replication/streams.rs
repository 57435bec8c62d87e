//! What a shard follows, and how far each has come. Pure.

use crate::broker::links::{LinkId, Target};
use crate::types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

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
    not_before_ms: i64,
}

/// What is followed at one shard of a leader.
#[derive(Debug, Default)]
struct There {
    all: BTreeSet<TopicPartition>,
    /// Those of them that are to be asked for as soon as there is a link.
    wanted: BTreeSet<TopicPartition>,
}

/// See the module.
///
/// Nothing is looked for among all that is followed: what waits for its time stands in the order of that, what waits
/// for a link under its target, and what a link that has ended leaves is gone through in pieces.
#[derive(Debug, Default)]
pub struct Streams {
    all: BTreeMap<TopicPartition, Following>,
    /// By stream.
    by_stream: BTreeMap<u32, TopicPartition>,
    by_target: BTreeMap<Target, There>,
    next: u32,
    /// Those that are to be asked for at some time, ms.
    later: BTreeSet<(i64, TopicPartition)>,
    /// Targets with a link.
    up: BTreeSet<Target>,
    /// Those with a link at which something is to be asked for.
    askable: BTreeSet<Target>,
    /// Those whose link has ended, and behind which partition its streams have yet to end.
    ended: BTreeMap<Target, Option<TopicPartition>>,
    /// Links to other targets than before may be needed.
    look: bool,
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
        self.look |= !self.by_target.contains_key(&target);
        self.by_target.entry(target).or_default().all.insert(tp);
        if !cutting {
            self.want(tp, i64::MIN);
        }
        true
    }

    /// Follows a partition no more; what it was.
    pub fn forget(&mut self, tp: TopicPartition) -> Option<Following> {
        let following = self.all.remove(&tp)?;
        self.by_stream.remove(&following.stream);
        self.later.remove(&(following.not_before_ms, tp));
        if let Some(there) = self.by_target.get_mut(&following.target) {
            there.all.remove(&tp);
            there.wanted.remove(&tp);
            if there.all.is_empty() {
                self.by_target.remove(&following.target);
                self.look = true;
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

    /// Links may be needed to other targets, or to where these are now.
    pub fn look_for_targets(&mut self) {
        self.look = true;
    }

    /// Whether they may, since this was asked last.
    pub fn takes_look(&mut self) -> bool {
        std::mem::take(&mut self.look)
    }

    /// Whether there is something to be done now: to look for targets, to end streams, or to ask.
    pub fn has_work(&self) -> bool {
        self.look || !self.ended.is_empty() || !self.askable.is_empty()
    }

    /// Partitions that are to be asked for now, of those with a link; at most so many. Each gets a stream of its own.
    /// Whether there may be more.
    pub fn take_wanted(
        &mut self,
        now_ms: i64,
        most: usize,
    ) -> (Vec<(TopicPartition, Following)>, bool) {
        for _ in 0..most {
            let Some(&(at, tp)) = self.later.first().filter(|it| it.0 <= now_ms) else { break };
            self.later.remove(&(at, tp));
            self.ask_soon(tp);
        }
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(target) = self.askable.first().copied()
        {
            let next = self.by_target.get_mut(&target).and_then(|it| it.wanted.pop_first());
            let Some(tp) = next else {
                self.askable.remove(&target);
                continue;
            };
            let it = self.all.get_mut(&tp).expect("what is wanted is followed");
            self.next = self.next.wrapping_add(1);
            self.by_stream.remove(&it.stream);
            (it.stream, it.stage) = (self.next, Stage::Asked);
            self.by_stream.insert(it.stream, tp);
            taken.push((tp, *it));
        }
        let more = taken.len() == most || self.next_ms().is_some_and(|at| at <= now_ms);
        (taken, more)
    }

    /// When the first of those that wait for their time is to be asked for, ms.
    pub fn next_ms(&self) -> Option<i64> {
        self.later.first().map(|it| it.0)
    }

    /// The leader is to be asked again, not before this time.
    pub fn want(&mut self, tp: TopicPartition, not_before_ms: i64) {
        let Some(it) = self.all.get_mut(&tp) else { return };
        self.by_stream.remove(&it.stream);
        self.later.remove(&(it.not_before_ms, tp));
        (it.stage, it.stream, it.not_before_ms) = (Stage::Wanted, 0, not_before_ms);
        if not_before_ms == i64::MIN {
            return self.ask_soon(tp);
        }
        if let Some(there) = self.by_target.get_mut(&it.target) {
            there.wanted.remove(&tp);
        }
        self.later.insert((not_before_ms, tp));
    }

    /// The leader is to be asked as soon as there is a link.
    fn ask_soon(&mut self, tp: TopicPartition) {
        let Some(it) = self.all.get(&tp) else { return };
        if let Some(there) = self.by_target.get_mut(&it.target) {
            there.wanted.insert(tp);
        }
        if self.up.contains(&it.target) {
            self.askable.insert(it.target);
        }
    }

    /// A partition has come so far.
    pub fn set(&mut self, tp: TopicPartition, stage: Stage) {
        if let Some(it) = self.all.get_mut(&tp) {
            it.stage = stage;
        }
    }

    /// The leader stops the stream, and is asked again at this time.
    pub fn pause(&mut self, tp: TopicPartition, until_ms: i64) {
        if let Some(it) = self.all.get_mut(&tp).filter(|it| it.stage == Stage::Runs) {
            self.later.remove(&(it.not_before_ms, tp));
            (it.stage, it.not_before_ms) = (Stage::Pauses, until_ms);
            self.later.insert((until_ms, tp));
        }
    }

    /// There is a link there.
    pub fn link_up(&mut self, target: Target) {
        self.up.insert(target);
        if self.by_target.get(&target).is_some_and(|it| !it.wanted.is_empty()) {
            self.askable.insert(target);
        }
    }

    /// There is no link there any more: all of its streams are over, which [`end_some`](Self::end_some) notes.
    pub fn link_ended(&mut self, target: Target, link: LinkId) {
        self.owed.remove(&link);
        self.up.remove(&target);
        self.askable.remove(&target);
        self.ended.insert(target, None);
    }

    /// Ends at most so many streams of links that have ended: their leaders are to be asked anew. How many it were;
    /// none where all have ended. What was asked on a new link meanwhile may be asked once more.
    pub fn end_some(&mut self, most: usize) -> usize {
        let mut count = 0;
        while count < most
            && let Some((&target, &after)) = self.ended.first_key_value()
        {
            let there = self.by_target.get(&target).map(|it| &it.all);
            let next = there.and_then(|all| match after {
                None => all.first().copied(),
                Some(after) => {
                    all.range((Bound::Excluded(after), Bound::Unbounded)).next().copied()
                }
            });
            let Some(tp) = next else {
                self.ended.remove(&target);
                continue;
            };
            self.ended.insert(target, Some(tp));
            count += 1;
            if self.all.get(&tp).is_some_and(|it| matches!(it.stage, Stage::Asked | Stage::Runs)) {
                self.want(tp, i64::MIN);
            }
        }
        count
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

    /// What is asked for now.
    fn asked(streams: &mut Streams, now_ms: i64) -> Vec<(TopicPartition, Following)> {
        let (taken, more) = streams.take_wanted(now_ms, 100);
        assert!(!more && streams.askable.is_empty());
        taken
    }

    #[test]
    fn a_stream_is_over_when_the_leader_is_asked_again() {
        let mut streams = Streams::default();
        assert!(streams.follow(tp(0), target(2), 5));
        assert!(!streams.follow(tp(0), target(2), 5));
        assert!(streams.takes_look() && !streams.takes_look());
        assert!(asked(&mut streams, 0).is_empty() && !streams.has_work(), "there is no link");
        streams.link_up(target(2));
        assert!(streams.has_work());
        let first = asked(&mut streams, 0);
        assert_eq!((first.len(), first[0].1.stage), (1, Stage::Asked));
        let stream = first[0].1.stream;
        assert_eq!(streams.of_stream(stream).map(|it| it.0), Some(tp(0)));
        streams.want(tp(0), 100);
        assert!(streams.of_stream(stream).is_none(), "what comes late is of nothing");
        assert!(asked(&mut streams, 99).is_empty());
        assert_eq!(streams.next_ms(), Some(100));
        let again = asked(&mut streams, 100);
        assert_ne!(again[0].1.stream, stream);
        // Another epoch is another stream, too.
        assert!(streams.follow(tp(0), target(2), 6));
        assert!(streams.of_stream(again[0].1.stream).is_none());
        streams.forget(tp(0));
        assert!(!streams.needs(target(2)) && streams.next_ms().is_none());
        assert!(streams.takes_look(), "nobody needs the link");
        // It is still there when something is followed there again.
        assert!(streams.follow(tp(1), target(2), 1));
        assert_eq!(asked(&mut streams, 0).len(), 1);
    }

    #[test]
    fn what_is_on_its_way_of_a_stream_that_pauses_is_taken() {
        let mut streams = Streams::default();
        streams.follow(tp(0), target(2), 5);
        streams.link_up(target(2));
        let stream = asked(&mut streams, 0)[0].1.stream;
        streams.pause(tp(0), 50);
        assert_eq!(streams.get(tp(0)).map(|it| it.stage), Some(Stage::Asked), "it does not run");
        streams.set(tp(0), Stage::Runs);
        streams.pause(tp(0), 100);
        assert_eq!(streams.of_stream(stream).map(|it| it.1.stage), Some(Stage::Pauses));
        assert!(asked(&mut streams, 99).is_empty());
        assert_eq!(streams.next_ms(), Some(100));
        let again = asked(&mut streams, 100);
        assert_ne!(again[0].1.stream, stream);
        assert!(streams.of_stream(stream).is_none());
    }

    #[test]
    fn a_cut_under_way_is_waited_for_whoever_leads() {
        let mut streams = Streams::default();
        streams.link_up(target(2));
        streams.link_up(target(3));
        streams.follow(tp(0), target(2), 5);
        asked(&mut streams, 0);
        streams.set(tp(0), Stage::Cutting);
        assert!(streams.follow(tp(0), target(3), 6));
        assert!(asked(&mut streams, 0).is_empty());
        streams.link_ended(target(3), LinkId::default());
        assert_eq!((streams.end_some(10), streams.end_some(10)), (1, 0));
        streams.link_up(target(3));
        assert!(asked(&mut streams, 0).is_empty(), "it goes on");
        streams.want(tp(0), i64::MIN);
        let asked = asked(&mut streams, 0);
        assert_eq!((asked[0].1.target, asked[0].1.epoch), (target(3), 6));
    }

    #[test]
    fn what_a_link_leaves_is_asked_for_anew_piece_by_piece() {
        let mut streams = Streams::default();
        streams.link_up(target(2));
        for partition in 0..10 {
            streams.follow(tp(partition), target(2), 1);
        }
        let before = asked(&mut streams, 0);
        assert_eq!(before.len(), 10);
        streams.set(tp(3), Stage::Runs);
        streams.want(tp(4), 500);
        streams.link_ended(target(2), LinkId::default());
        assert!(streams.has_work());
        assert_eq!(streams.end_some(4), 4);
        assert!(asked(&mut streams, 0).is_empty(), "there is no link");
        streams.link_up(target(2));
        let first: Vec<_> = asked(&mut streams, 0).iter().map(|it| it.0.partition).collect();
        assert_eq!(first, [0, 1, 2, 3]);
        assert_eq!((streams.end_some(100), streams.end_some(100)), (6, 0));
        let rest: Vec<_> = asked(&mut streams, 0).iter().map(|it| it.0.partition).collect();
        assert_eq!(rest, [5, 6, 7, 8, 9], "the fourth has its time");
        assert!(
            before
                .iter()
                .all(|(tp, it)| { tp.partition == 4 || streams.of_stream(it.stream).is_none() })
        );
        assert_eq!(asked(&mut streams, 500).len(), 1);
    }
}
