//! Logs whose bytes on the disk are not what was written: what is known of them, and their marks. `mending` says when
//! which is changed.
//!
//! Where others have what a damaged log should have, it gets a *mark*, a file of its own, before anything else follows: a
//! start that finds the mark takes the log for damaged, whatever it sees of it. Such a log may [begin anew](super::engine::Engine::restart_at), as
//! another replica has it. The files that it had are *set aside*: they keep their names, no checkpoint names them, and
//! they go when the copy is whole ([`let_go_of_aside`](super::engine::Engine::let_go_of_aside)), or when the disk is full.
//!
//! *What a crash must find.* The mark is durable before the log begins anew, and says so until it has begun anew
//! durably: a crash in between finds a log that is damaged, or empty and taken for damaged, and it begins anew once
//! more. Then the mark is renamed: the log is sound, and its files set aside stay over a start. Only after that may
//! the log be copied, so that no copy is taken for damaged. The second mark goes before the files do; where a crash
//! brings it back, there is less to set aside, and nothing else.

use super::device::io::{FilePath, Op};
use super::device::outgoing::{Outgoing, Purpose};
use super::interface::Slot;
use crate::types::{TopicId, TopicPartition};
use std::collections::VecDeque;

/// The directory of marks.
pub(super) const DIR: &str = "damaged";

/// What a mark says of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is damaged.
    Damaged,
    /// It is sound, and has begun anew: what it had before is set aside.
    Aside,
}

impl Mark {
    const fn extension(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Aside => "aside",
        }
    }

    /// Its file.
    pub fn path(self, tp: TopicPartition) -> FilePath {
        format!("{DIR}/{}-{:08}.{}", tp.topic.hex(), tp.partition, self.extension()).into()
    }

    /// Reads a mark's file name back.
    pub fn parse(name: &str) -> Option<(TopicPartition, Self)> {
        let (stem, extension) = name.split_once('.')?;
        let (topic, partition) = stem.split_once('-')?;
        let tp =
            TopicPartition { topic: TopicId::from_hex(topic)?, partition: partition.parse().ok()? };
        let mark =
            [Self::Damaged, Self::Aside].into_iter().find(|it| it.extension() == extension)?;
        Some((tp, mark))
    }

    /// Brings one in place of `before`, durably.
    pub fn set(before: Option<Self>, after: Option<Self>, tp: TopicPartition) -> VecDeque<Op> {
        let change = match (before, after) {
            (None, Some(after)) => Op::Create { path: after.path(tp) },
            (Some(before), Some(after)) if before != after => {
                Op::Rename { from: before.path(tp), to: after.path(tp) }
            }
            (Some(before), None) => Op::Unlink { path: before.path(tp) },
            _ => return VecDeque::new(),
        };
        [change, Op::SyncDir { path: DIR.into() }].into()
    }
}

/// How far the mending of a log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It is damaged; a start would have to find that again.
    Found,
    /// It is damaged, as its mark says durably: it may begin anew.
    Marked,
    /// It has begun anew, and a start would take it for damaged yet.
    Begun,
}

/// What is to be known of a log that is damaged, or was.
#[derive(Debug, Default)]
pub(super) struct Repair {
    /// `None` when it is sound again.
    pub damage: Option<Damage>,
    /// Its mark, when all operations that were submitted have ended.
    pub mark: Option<Mark>,
    /// Files that it had, and bytes of them that another segment could use.
    pub aside: Vec<(FilePath, u64)>,
}

/// What a change of a mark means for its log.
#[derive(Clone, Copy, Debug)]
pub(super) enum After {
    Marked,
    Sound,
    Nothing,
}

#[derive(Debug)]
pub(super) struct Change {
    pub slot: Slot,
    /// The log, by [`Log::id`](super::log::Log::id).
    pub log: u64,
    pub ops: VecDeque<Op>,
    pub after: After,
}

/// Changes of marks that are under way, one after the other.
#[derive(Debug, Default)]
pub(super) struct Marks {
    changes: VecDeque<Change>,
    in_flight: bool,
    /// The disk had no space for the next one.
    waits: bool,
}

impl Marks {
    /// Whether none is under way, nor can go on.
    pub fn is_idle(&self) -> bool {
        self.changes.is_empty() || self.waits
    }

    /// What had no space is tried again.
    pub fn tick(&mut self, out: &mut Outgoing) {
        self.waits = false;
        self.go_on(out);
    }

    /// Begins with a change when those before have ended.
    pub fn push(&mut self, change: Change, out: &mut Outgoing) {
        if !change.ops.is_empty() {
            self.changes.push_back(change);
            self.go_on(out);
        }
    }

    fn go_on(&mut self, out: &mut Outgoing) {
        if self.in_flight || self.waits {
            return;
        }
        if let Some(op) = self.changes.front().and_then(|it| it.ops.front()) {
            self.in_flight = true;
            out.submit(Purpose::Mark(op.path().clone()), op.clone());
        }
    }

    /// An operation has ended: the change, if it has ended with that.
    pub fn ended(&mut self, done: bool, out: &mut Outgoing) -> Option<Change> {
        self.in_flight = false;
        self.waits = !done;
        let mut ended = None;
        if let Some(change) = self.changes.front_mut().filter(|_| done) {
            change.ops.pop_front();
            if change.ops.is_empty() {
                ended = self.changes.pop_front();
            }
        }
        self.go_on(out);
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_mark_says_of_which_log_it_is() {
        let tp = TopicPartition { topic: TopicId([7; 16]), partition: 12 };
        for mark in [Mark::Damaged, Mark::Aside] {
            let path = mark.path(tp);
            let name = path.strip_prefix("damaged/").expect("in its directory");
            assert_eq!(Mark::parse(name), Some((tp, mark)));
        }
        assert_eq!(Mark::parse("00-1.damaged"), None);
        assert_eq!(Mark::parse("x"), None);
    }
}
