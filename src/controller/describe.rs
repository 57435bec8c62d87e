//! What the leader of the quorum knows of its members.

use super::members::Members;
use std::collections::BTreeMap;

/// Who has had everything in so many ticks may be given a vote.
const CAUGHT_UP_TICKS: u64 = 50;

/// The quorum, as its leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumState {
    /// The node that leads.
    pub leader: i32,
    /// Its term.
    pub term: u64,
    /// The last entry that is known to be decided.
    pub committed: u64,
    /// Those who vote; while a change is under way, before and after it.
    pub voters: Vec<ReplicaState>,
    /// Those who follow without a vote.
    pub learners: Vec<ReplicaState>,
    /// A change of the members is under way.
    pub changing: bool,
}

impl QuorumState {
    /// Who belongs to it.
    pub fn members(&self) -> Members {
        let nodes = |all: &[ReplicaState]| all.iter().map(|it| it.node).collect();
        Members { voters: nodes(&self.voters), learners: nodes(&self.learners) }
    }
}

/// One member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaState {
    /// Its node id.
    pub node: i32,
    /// The last entry that it is known to have on disk; 0 for none.
    pub last: u64,
    /// When it has last answered the leader, in ticks before now.
    pub heard: Option<u64>,
    /// When it last had everything that the leader had, in ticks before now.
    pub caught_up: Option<u64>,
}

impl ReplicaState {
    /// Whether it has had everything lately: one that is not there, or lacks much, would hold up what a majority has to
    /// decide.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up.is_some_and(|ago| ago <= CAUGHT_UP_TICKS)
    }
}

/// What one has answered in the present term.
#[derive(Default)]
struct Answers {
    /// The tick of the last.
    heard: u64,
    /// The end of the leader's log then.
    end: u64,
    caught_up: Option<u64>,
}

/// When members have answered, in ticks.
#[derive(Default)]
pub(super) struct Hearing {
    now: u64,
    members: BTreeMap<u64, Answers>,
}

impl Hearing {
    pub fn tick(&mut self) {
        self.now += 1;
    }

    /// Another term, or none that this member leads.
    pub fn forget(&mut self) {
        self.members.clear();
    }

    /// Only what these have answered counts: who left, and comes back, may have another disk.
    pub fn keep(&mut self, stays: impl Fn(u64) -> bool) {
        self.members.retain(|id, _| stays(*id));
    }

    /// A member has everything up to `last`, of a log that ends at `end`.
    pub fn answered(&mut self, member: u64, last: u64, end: u64) {
        let now = self.now;
        let it = self.members.entry(member).or_insert(Answers { heard: now, end, caught_up: None });
        // One that follows a log that grows all the time has what there was when it was heard before.
        if last >= end {
            it.caught_up = Some(now);
        } else if last >= it.end {
            it.caught_up = it.caught_up.max(Some(it.heard));
        }
        (it.heard, it.end) = (now, end);
    }

    /// Ticks since it was heard, and since it had everything.
    pub fn of(&self, member: u64) -> (Option<u64>, Option<u64>) {
        let Some(it) = self.members.get(&member) else { return (None, None) };
        (Some(self.now - it.heard), it.caught_up.map(|at| self.now - at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_follows_a_growing_log_closely_is_caught_up() {
        let mut it = Hearing::default();
        assert_eq!(it.of(1), (None, None));
        it.answered(1, 5, 9);
        it.tick();
        assert_eq!(it.of(1), (Some(1), None));
        it.answered(1, 9, 12);
        it.tick();
        assert_eq!(it.of(1), (Some(1), Some(2)), "it has what there was when it was first heard");
        it.answered(1, 12, 12);
        it.tick();
        it.answered(1, 12, 20);
        it.tick();
        assert_eq!(it.of(1), (Some(1), Some(2)));
        it.answered(1, 13, 30);
        it.tick();
        assert_eq!(it.of(1), (Some(1), Some(3)));
        it.answered(2, 30, 30);
        it.keep(|id| id != 2);
        assert_eq!((it.of(1), it.of(2)), ((Some(1), Some(3)), (None, None)));
        it.forget();
        assert_eq!(it.of(1), (None, None));
    }
}
