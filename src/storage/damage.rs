//! Logs whose bytes on the disk are not what was written.
//!
//! Where others have what a damaged log should have, it gets a *mark*, a file of its own, before anything else follows: a
//! start that finds the mark takes the log for damaged, whatever it sees of it. Such a log may [begin anew](Engine::restart_at), as
//! another replica has it. The files that it had are *set aside*: they keep their names, no checkpoint names them, and
//! they go when the copy is whole ([`Engine::let_go_of_aside`]), or when the disk is full.
//!
//! *What a crash must find.* The mark is durable before the log begins anew, and says so until it has begun anew
//! durably: a crash in between finds a log that is damaged, or empty and taken for damaged, and it begins anew once
//! more. Then the mark is renamed: the log is sound, and its files set aside stay over a start. Only after that may
//! the log be copied, so that no copy is taken for damaged. The second mark goes before the files do; where a crash
//! brings it back, there is less to set aside, and nothing else.

use super::device::io::{FilePath, Op};
use super::device::outgoing::{Outgoing, Purpose};
use super::engine::Engine;
use super::format::segment::Segment;
use super::interface::{Event, Slot};
use super::placement::removal::{When, files_of};
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
#[derive(Debug)]
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
enum After {
    Marked,
    Sound,
    Nothing,
}

#[derive(Debug)]
struct Change {
    slot: Slot,
    /// The log, by [`Log::id`](super::log::Log::id).
    log: u64,
    ops: VecDeque<Op>,
    after: After,
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
    fn ended(&mut self, done: bool, out: &mut Outgoing) -> Option<Change> {
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

impl Engine {
    /// How far the mending of a log has come; `None` where it is sound, as far as anybody knows.
    pub fn damage(&self, slot: Slot) -> Option<Damage> {
        self.logs.get(slot)?.repair.as_ref()?.damage
    }

    /// The bytes of a log on the disk are not what was written: why. It is told once.
    pub fn found_damage(&mut self, slot: Slot, why: &str) {
        let Some(log) = self.logs.get_mut(slot).filter(|log| !log.dropped) else { return };
        let none = || Box::new(Repair { damage: None, mark: None, aside: Vec::new() });
        let repair = log.repair.get_or_insert_with(none);
        if repair.damage.is_some() {
            return;
        }
        repair.damage = Some(Damage::Found);
        self.events.push(Event::Damaged { slot, message: why.into() });
    }

    /// A damaged log is to begin anew: it gets its mark. [`Event::Mended`] says when it has it.
    pub fn mark_damaged(&mut self, slot: Slot) {
        let mark = self.logs.get(slot).and_then(|log| Some(log.repair.as_ref()?.mark));
        if self.damage(slot) == Some(Damage::Found)
            && mark.is_some_and(|it| it != Some(Mark::Damaged))
        {
            self.set_mark(slot, Some(Mark::Damaged), After::Marked);
        }
    }

    /// Takes over the mark that a start has found of a log, and files that no checkpoint names.
    pub(super) fn adopt_repair(&mut self, tp: TopicPartition, mark: Mark, files: Vec<FilePath>) {
        let Some(slot) = self.logs.find(tp) else { return };
        let damage = (mark == Mark::Damaged).then_some(Damage::Marked);
        // Behind what counted of them may be holes.
        let aside = files.into_iter().map(|path| (path, 0)).collect();
        let repair = Repair { damage, mark: Some(mark), aside };
        self.logs.log_mut(slot).repair = Some(Box::new(repair));
        self.aside.insert(slot);
    }

    /// A start has found that a log is damaged, which has a mark or not.
    pub(super) fn adopt_damage(&mut self, tp: TopicPartition) {
        let Some(slot) = self.logs.find(tp) else { return };
        let none = || Box::new(Repair { damage: None, mark: None, aside: Vec::new() });
        let repair = self.logs.log_mut(slot).repair.get_or_insert_with(none);
        repair.damage.get_or_insert(Damage::Found);
    }

    /// The copy of a log that had begun anew is whole: what it had before goes. Whether there was such a copy.
    pub fn let_go_of_aside(&mut self, slot: Slot) -> bool {
        let is_sound = |log: &&super::log::Log| {
            log.repair.as_ref().is_some_and(|it| it.damage.is_none() && it.mark.is_some())
        };
        let is_whole = self.logs.get(slot).filter(is_sound).is_some();
        if is_whole {
            self.set_mark(slot, None, After::Nothing);
            self.remove_aside(slot);
        }
        is_whole
    }

    /// Files that are set aside go, since their space is needed.
    pub(super) fn remove_aside(&mut self, slot: Slot) {
        let Some(log) = self.logs.get_mut(slot) else { return };
        let Some(repair) = &mut log.repair else { return };
        let files = std::mem::take(&mut repair.aside);
        let (id, tp) = (log.id, log.tp);
        let when = When::AfterCheckpoints(self.placement.checkpoints_until_covered(), i64::MIN);
        self.removals.add_files(id, tp, files, when);
        self.aside.remove(&slot);
    }

    /// Files that a log had are set aside, where it is damaged; false where they are to go.
    pub(super) fn set_aside(&mut self, slot: Slot, gone: &[Segment]) -> bool {
        let log = self.logs.log_mut(slot);
        let tp = log.tp;
        let Some(repair) = log.repair.as_mut().filter(|it| it.damage.is_some()) else {
            return false;
        };
        repair.damage = Some(Damage::Begun);
        repair.aside.extend(files_of(tp, gone));
        self.aside.insert(slot);
        if self.disk_full {
            self.remove_aside(slot);
        }
        true
    }

    /// A log has begun anew, durably.
    pub(super) fn has_begun_anew(&mut self, slot: Slot) {
        if self.damage(slot) == Some(Damage::Begun) {
            self.set_mark(slot, Some(Mark::Aside), After::Sound);
        }
    }

    /// A log was dropped: what is left of its mending, before the last of it goes.
    pub(super) fn drop_repair(&mut self, slot: Slot, now_ms: i64) {
        let log = self.logs.log_mut(slot);
        let (id, tp) = (log.id, log.tp);
        if let Some(repair) = log.repair.take() {
            self.removals.add_files(id, tp, repair.aside, When::At(now_ms));
            let ops = Mark::set(repair.mark, None, tp);
            self.change_mark(Change { slot, log: id, ops, after: After::Nothing });
            self.aside.remove(&slot);
        }
    }

    fn set_mark(&mut self, slot: Slot, mark: Option<Mark>, after: After) {
        let log = self.logs.log_mut(slot);
        let (id, tp) = (log.id, log.tp);
        let Some(repair) = &mut log.repair else { return };
        let ops = Mark::set(repair.mark, mark, tp);
        repair.mark = mark;
        self.change_mark(Change { slot, log: id, ops, after });
    }

    fn change_mark(&mut self, change: Change) {
        if !change.ops.is_empty() {
            self.marks.changes.push_back(change);
            self.marks.go_on(&mut self.out);
        }
    }

    /// An operation for a mark has ended; not done, for want of space.
    pub(super) fn mark_ended(&mut self, done: bool) {
        let Some(Change { slot, log: id, after, .. }) = self.marks.ended(done, &mut self.out)
        else {
            return;
        };
        let log = self.logs.get_mut(slot).filter(|log| log.id == id && !log.dropped);
        let Some(log) = log else { return };
        let Some(repair) = &mut log.repair else { return };
        match after {
            After::Marked if repair.damage == Some(Damage::Found) => {
                repair.damage = Some(Damage::Marked);
            }
            After::Sound => repair.damage = None,
            After::Nothing if repair.mark.is_none() => log.repair = None,
            After::Marked | After::Nothing => return,
        }
        self.events.push(Event::Mended { slot });
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
