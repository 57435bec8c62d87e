//! What an engine does about damaged logs: see [`damage`](super::damage).

use super::damage::{After, Change, Damage, Mark, Repair};
use super::device::io::FilePath;
use super::engine::Engine;
use super::format::segment::Segment;
use super::interface::{Event, Slot};
use super::placement::removal::{When, files_of};
use crate::types::TopicPartition;

impl Engine {
    /// How far the mending of a log has come; `None` where it is sound, as far as anybody knows.
    pub fn damage(&self, slot: Slot) -> Option<Damage> {
        self.logs.get(slot)?.repair.as_ref()?.damage
    }

    /// The bytes of a log on the disk are not what was written: why. It is told once.
    pub fn found_damage(&mut self, slot: Slot, why: &str) {
        let Some(log) = self.logs.get_mut(slot).filter(|log| !log.dropped) else { return };
        let repair = log.repair.get_or_insert_default();
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
        let repair = self.logs.log_mut(slot).repair.get_or_insert_default();
        repair.damage.get_or_insert(Damage::Found);
    }

    /// The copy of a log that had begun anew is whole: what it had before goes. Whether there was such a copy.
    pub fn let_go_of_aside(&mut self, slot: Slot) -> bool {
        let is_sound = |log: &super::log::Log| {
            log.repair.as_ref().is_some_and(|it| it.damage.is_none() && it.mark.is_some())
        };
        let is_whole = self.logs.get(slot).is_some_and(is_sound);
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
            let change = Change { slot, log: id, ops, after: After::Nothing };
            self.marks.push(change, &mut self.out);
            self.aside.remove(&slot);
        }
    }

    fn set_mark(&mut self, slot: Slot, mark: Option<Mark>, after: After) {
        let log = self.logs.log_mut(slot);
        let (id, tp) = (log.id, log.tp);
        let Some(repair) = &mut log.repair else { return };
        let ops = Mark::set(repair.mark, mark, tp);
        repair.mark = mark;
        let change = Change { slot, log: id, ops, after };
        self.marks.push(change, &mut self.out);
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
