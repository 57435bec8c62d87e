//! No member of a streams group gets an active task while another has it: until that says that it has given it up, or its
//! session or its time to give tasks up is over. Epochs never go back, whoever coordinates the group.
//!
//! A coordinator that was deposed and does not know may go on with what it had: what it says is not judged.

use std::collections::{BTreeMap, BTreeSet};

/// A subtopology, and a partition.
pub type Task = (u8, i32);

/// What a member has heard of its coordinator.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    pub member: &'a str,
    /// It was a join.
    pub joins: bool,
    pub epoch: i32,
    /// What it was asked at, and when the answer came, ms.
    pub sent_ms: i64,
    pub now_ms: i64,
    /// Of the coordinator all the while.
    pub judged: bool,
    /// It has nothing that it is to give up, and has said so with this.
    pub clean: bool,
}

#[derive(Debug)]
struct Member {
    epoch: i32,
    /// The coordinator has heard it then, or later, ms.
    heard_ms: i64,
    /// It had nothing to give up then, ms.
    clean_ms: i64,
    rebalance_ms: i64,
}

/// See the module.
#[derive(Default)]
pub struct Owned {
    owners: BTreeMap<Task, String>,
    members: BTreeMap<String, Member>,
    /// What members that are there were told: epoch, tasks.
    pub told: BTreeMap<u32, (i32, BTreeSet<Task>)>,
}

impl Owned {
    /// A member's session lasts so long, ms.
    const SESSION_MS: i64 = 6_000;

    /// Whether a member may be thought to be gone, and not know.
    fn may_be_gone(&self, owner: &str, now_ms: i64) -> bool {
        self.members.get(owner).is_none_or(|it| {
            now_ms >= it.heard_ms + Self::SESSION_MS || now_ms >= it.clean_ms + it.rebalance_ms
        })
    }

    /// A member was answered without an error; `assigned` is what it is to have, as far as it knows now.
    pub fn heard(&mut self, it: Heard<'_>, rebalance_ms: i64, assigned: &BTreeSet<Task>) {
        let Heard { member, joins, epoch, sent_ms, now_ms, judged, clean } = it;
        if !judged {
            return;
        }
        let is_there = |it: &&Member| now_ms < it.heard_ms + Self::SESSION_MS;
        let others = self.members.iter().filter(|it| *it.0 != member).map(|it| it.1);
        let highest = others.filter(is_there).map(|it| it.epoch).max().unwrap_or(0);
        let known = self.members.get(member);
        let before = known.map_or(0, |it| it.epoch);
        let clean_ms = known.filter(|_| !clean && !joins).map_or(sent_ms, |it| it.clean_ms);
        let least = if joins { highest } else { before };
        assert!(epoch >= least, "{it:?}: the epoch was {least}");
        for task in assigned {
            if let Some(owner) = self.owners.get(task).filter(|it| *it != member) {
                let gone = self.may_be_gone(owner, now_ms);
                let of = self.members.get(owner);
                assert!(gone, "{it:?}: it gets {task:?}, which {owner:?} has: {of:?}");
            }
            self.owners.insert(*task, member.to_owned());
        }
        let known = Member { epoch, heard_ms: sent_ms, clean_ms, rebalance_ms };
        self.members.insert(member.to_owned(), known);
    }

    /// A member says that it has these and no others, or begins anew with none.
    pub fn has(&mut self, member: &str, tasks: &BTreeSet<Task>) {
        self.owners.retain(|task, it| it != member || tasks.contains(task));
    }

    /// A member leaves, or begins anew.
    pub fn leaves(&mut self, member: &str) {
        self.has(member, &BTreeSet::new());
        self.members.remove(member);
    }
}
