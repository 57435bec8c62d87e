//! An assignment that is made in pieces.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::heap::Heap;
use super::order::{ByPartition, Next};
use super::owners::Owners;
use super::process::Processes;
use super::quota::Quota;
use super::spec::{MemberSpec, Subtopologies};
use crate::group::streams::tasks::Tasks;

/// Assigns tasks, some steps at a time: [`add`](Self::add) for each member, then [`step`](Self::step) until it takes fewer
/// steps than it may, then [`finish`](Self::finish). A step is a task that is looked at: below a microsecond.
///
/// Each part of the work goes through tasks in an order of its own, which decides who keeps what when not everything
/// can be kept:
///
/// 1. a task stays with whom it is active at, while that one has not had its part of all tasks;
/// 2. else it goes to one who has it as a standby, likewise;
/// 3. what is left goes to the least loaded process, and there to the member with the fewest tasks;
/// 4. a standby goes to whom the task was active at, else to one who has it as a standby, while those have not had
///    their part of all tasks and standbys;
/// 5. what is left goes to the least loaded process that does not have the task.
#[derive(Debug)]
pub struct Assigning {
    subtopologies: Subtopologies,
    standby_replicas: usize,
    /// What each member had, and gets.
    assigned: Vec<Arc<Tasks>>,
    processes: Processes,
    /// The subtopologies by rank, which is by id.
    parts: Vec<Part>,
    /// The orders of 1, 2 and 4.
    staying: ByPartition,
    taking_over: ByPartition,
    standing_by: ByPartition,
    /// Who had what, and who gets it; by the number of a task.
    before: Owners,
    after: Owners,
    /// A member's part of the active tasks, and of all.
    active: Quota,
    total: Quota,
    /// The processes by their load, once that is asked for.
    by_load: Option<Heap>,
    phase: Phase,
}

/// A subtopology.
#[derive(Debug)]
struct Part {
    id: Arc<str>,
    /// The number of its first task: tasks are numbered by subtopology, then by partition.
    first: u32,
    count: u32,
}

#[derive(Debug)]
enum Phase {
    /// Subtopologies are read; the last was this. There are so many standbys.
    Parts(Option<Arc<str>>, usize),
    /// What members had is read: from this member on, of its active tasks or its standbys from a subtopology and a place there on.
    Had { member: usize, standby: bool, last: Option<Arc<str>>, at: usize },
    /// 1. above.
    Stay,
    /// 2.
    TakeOver,
    /// 3., from this task on.
    HandOut(u32),
    /// 4. Of this task so many standbys are looked for, and how many of the others are left to be handed out.
    StandBy(Option<(u32, usize)>, BTreeMap<u32, usize>),
    /// 5.
    HandOutStandbys(BTreeMap<u32, usize>),
    /// Tasks are told to those who get them: of this subtopology from this partition on.
    Tell(usize, u32, Vec<Tasks>),
    /// So many members have their tasks, or keep what they had.
    Keep(usize, Vec<Tasks>),
}

impl Assigning {
    /// Begins. Tasks with state are to have so many standbys.
    pub fn new(subtopologies: Subtopologies, standby_replicas: usize) -> Self {
        Self {
            subtopologies,
            standby_replicas,
            assigned: Vec::new(),
            processes: Processes::default(),
            parts: Vec::new(),
            staying: ByPartition::up(),
            taking_over: ByPartition::up(),
            standing_by: ByPartition::down(),
            before: Owners::default(),
            after: Owners::default(),
            active: Quota::default(),
            total: Quota::default(),
            by_load: None,
            phase: Phase::Parts(None, 0),
        }
    }

    /// Adds a member, before the first step.
    pub fn add(&mut self, member: &MemberSpec<'_>) {
        self.processes.add(member.process_id);
        self.assigned.push(Arc::clone(member.assigned));
    }

    /// Goes on for so many steps, or a few more; how many were taken. Fewer are the last.
    pub fn step(&mut self, steps: usize) -> usize {
        let mut room = steps;
        while room > 0 {
            let done = match self.phase {
                Phase::Parts(..) => self.read_parts(&mut room),
                Phase::Had { .. } => self.read_members(&mut room),
                Phase::Stay => self.stay(&mut room),
                Phase::TakeOver => self.take_over(&mut room),
                Phase::HandOut(_) => self.hand_out(&mut room),
                Phase::StandBy(..) => self.stand_by(&mut room),
                Phase::HandOutStandbys(_) => self.hand_out_standbys(&mut room),
                Phase::Tell(..) => self.tell(&mut room),
                Phase::Keep(..) => self.keep(&mut room),
            };
            if done {
                return steps.saturating_sub(room.max(1));
            }
        }
        steps
    }

    /// The tasks, in the order in which members were added. Call it once all steps were taken.
    pub fn finish(self) -> Vec<Arc<Tasks>> {
        self.assigned
    }

    /// About so much memory is taken, bytes; what is shared with the group is not counted.
    pub fn bytes(&self) -> usize {
        let told = match &self.phase {
            Phase::Tell(.., tasks) | Phase::Keep(_, tasks) => tasks.len() * 256,
            _ => 0,
        };
        self.assigned.len() * 8
            + self.processes.bytes()
            + self.parts.len() * 160
            + self.before.bytes()
            + self.after.bytes()
            + self.by_load.as_ref().map_or(0, Heap::bytes)
            + told
    }

    fn read_parts(&mut self, room: &mut usize) -> bool {
        let Phase::Parts(last, standbys) = &mut self.phase else { return false };
        while *room > 0 {
            let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.subtopologies.range::<Arc<str>, _>((from, Bound::Unbounded)).next();
            let Some((id, subtopology)) = next else {
                let (tasks, members) = (self.after.count(), self.assigned.len());
                self.active = Quota::new(tasks, members);
                self.total = Quota::new(tasks + *standbys, members);
                self.phase = Phase::Had { member: 0, standby: false, last: None, at: 0 };
                // Without members, nobody is to be told anything.
                return members == 0;
            };
            let count = u32::try_from(subtopology.tasks).unwrap_or_default();
            *room = room.saturating_sub(1 + count as usize / 1_024);
            let (rank, first) = (self.parts.len() as u32, self.after.count() as u32);
            self.parts.push(Part { id: Arc::clone(id), first, count });
            self.before.add(count);
            self.after.add(count);
            self.staying.add(rank, count);
            self.taking_over.add(rank, count);
            if subtopology.is_stateful() && self.standby_replicas > 0 {
                *standbys += count as usize * self.standby_replicas;
                self.standing_by.add(rank, count);
            }
            *last = Some(Arc::clone(id));
        }
        false
    }

    fn read_members(&mut self, room: &mut usize) -> bool {
        let Phase::Had { member, standby, last, at } = &mut self.phase else { return false };
        while let Some(had) = self.assigned.get(*member) {
            let had = if *standby { &had.standby } else { &had.active };
            let from = last.as_ref().map_or(Bound::Unbounded, Bound::Included);
            for (id, partitions) in had.range::<Arc<str>, _>((from, Bound::Unbounded)) {
                if last.as_ref() != Some(id) {
                    if *room == 0 {
                        return false;
                    }
                    *room -= 1;
                    (*last, *at) = (Some(Arc::clone(id)), 0);
                }
                let Ok(rank) = self.parts.binary_search_by(|it| it.id.cmp(id)) else { continue };
                let Part { first, count, .. } = self.parts[rank];
                while let Some(partition) = partitions.get(*at) {
                    if *room == 0 {
                        return false;
                    }
                    *room -= 1;
                    *at += 1;
                    if let Some(partition) = u32::try_from(*partition).ok().filter(|it| *it < count)
                    {
                        let task = first + partition;
                        if *standby {
                            self.before.add_standby(task, *member as u32);
                        } else {
                            self.before.set_active(task, *member as u32);
                        }
                    }
                }
            }
            if *room == 0 {
                return false;
            }
            *room -= 1;
            (*last, *at) = (None, 0);
            if *standby {
                *member += 1;
            }
            *standby = !*standby;
        }
        self.phase = Phase::Stay;
        false
    }

    fn stay(&mut self, room: &mut usize) -> bool {
        while *room > 0 {
            *room -= 1;
            match self.staying.next() {
                Next::Task(rank, partition) => {
                    let task = self.parts[rank as usize].first + partition;
                    if let Some(member) = self.before.active(task) {
                        self.keep_active(task, member);
                    }
                }
                Next::Later => {}
                Next::Done => {
                    self.phase = Phase::TakeOver;
                    return false;
                }
            }
        }
        false
    }

    fn take_over(&mut self, room: &mut usize) -> bool {
        while *room > 0 {
            *room -= 1;
            match self.taking_over.next() {
                Next::Task(rank, partition) => {
                    let task = self.parts[rank as usize].first + partition;
                    if self.after.active(task).is_none()
                        && let Some(member) = self.least_standby(task, false, room)
                    {
                        self.keep_active(task, member);
                    }
                }
                Next::Later => {}
                Next::Done => {
                    self.phase = Phase::HandOut(0);
                    return false;
                }
            }
        }
        false
    }

    fn hand_out(&mut self, room: &mut usize) -> bool {
        let Phase::HandOut(mut task) = self.phase else { return false };
        let count = self.after.count() as u32;
        while *room > 0 && task < count {
            *room -= 1;
            if self.after.active(task).is_none()
                && let Some(process) = self.pop_least(room)
            {
                let member = self.processes.give_to_least(process, room);
                self.give_active(task, member);
                self.push(process);
            }
            task += 1;
        }
        self.phase = Phase::HandOut(task);
        if task == count {
            self.by_load = None;
            self.phase = Phase::StandBy(None, BTreeMap::new());
        }
        false
    }

    fn stand_by(&mut self, room: &mut usize) -> bool {
        let Phase::StandBy(current, left) = &mut self.phase else { return false };
        let (mut current, mut left) = (current.take(), std::mem::take(left));
        while *room > 0 {
            *room -= 1;
            let Some((task, wanted)) = current.take() else {
                match self.standing_by.next() {
                    Next::Task(rank, partition) => {
                        let task = self.parts[rank as usize].first + partition;
                        current = Some((task, self.standby_replicas));
                    }
                    Next::Later => {}
                    Next::Done => {
                        self.phase = Phase::HandOutStandbys(left);
                        return false;
                    }
                }
                continue;
            };
            if wanted == 0 {
                continue;
            }
            match self.who_stands_by(task, room) {
                Some(member) => {
                    let has = self.processes.give(member);
                    self.after.add_standby(task, member);
                    self.total.given(has);
                    current = Some((task, wanted - 1));
                }
                None => _ = left.insert(task, wanted),
            }
        }
        self.phase = Phase::StandBy(current, left);
        false
    }

    fn hand_out_standbys(&mut self, room: &mut usize) -> bool {
        let Phase::HandOutStandbys(left) = &mut self.phase else { return false };
        let mut left = std::mem::take(left);
        // The last task comes first.
        while *room > 0
            && let Some((task, wanted)) = left.pop_last()
        {
            *room -= 1;
            // Where all processes have it, no more of its standbys are placed.
            if self.hand_out_standby(task, room) && wanted > 1 {
                left.insert(task, wanted - 1);
            }
        }
        if left.is_empty() {
            let tasks = vec![Tasks::default(); self.assigned.len()];
            *room = room.saturating_sub(tasks.len() / 64);
            self.phase = Phase::Tell(0, 0, tasks);
        } else {
            self.phase = Phase::HandOutStandbys(left);
        }
        false
    }

    fn tell(&mut self, room: &mut usize) -> bool {
        let Phase::Tell(rank, partition, tasks) = &mut self.phase else { return false };
        while let Some(Part { id, first, count }) = self.parts.get(*rank) {
            while *partition < *count {
                if *room == 0 {
                    return false;
                }
                *room -= 1;
                let (task, number) = (first + *partition, *partition as i32);
                if let Some(member) = self.after.active(task) {
                    let of = &mut tasks[member as usize].active;
                    of.entry(Arc::clone(id)).or_default().push(number);
                }
                for member in self.after.standbys(task) {
                    *room = room.saturating_sub(1);
                    let of = &mut tasks[*member as usize].standby;
                    of.entry(Arc::clone(id)).or_default().push(number);
                }
                *partition += 1;
            }
            (*rank, *partition) = (*rank + 1, 0);
            *room = room.saturating_sub(1);
        }
        self.phase = Phase::Keep(0, std::mem::take(tasks));
        false
    }

    fn keep(&mut self, room: &mut usize) -> bool {
        let Phase::Keep(member, tasks) = &mut self.phase else { return false };
        while let Some(had) = self.assigned.get_mut(*member) {
            if *room == 0 {
                return false;
            }
            let tasks = std::mem::take(&mut tasks[*member]);
            let lists = tasks.active.values().chain(tasks.standby.values());
            *room = room.saturating_sub(1 + lists.map(|it| 1 + it.len() / 64).sum::<usize>());
            if **had != tasks {
                *had = Arc::new(tasks);
            }
            *member += 1;
        }
        true
    }

    /// A task goes to a member that had it, if this one has not had its part.
    fn keep_active(&mut self, task: u32, member: u32) {
        if self.active.has_room(self.processes.tasks(member)) {
            self.processes.give(member);
            self.give_active(task, member);
        }
    }

    /// Notes that a member was given a task.
    fn give_active(&mut self, task: u32, member: u32) {
        let has = self.processes.tasks(member);
        self.after.set_active(task, member);
        self.active.given(has);
        self.total.given(has);
    }

    /// Who gets a standby since it had the task.
    fn who_stands_by(&self, task: u32, room: &mut usize) -> Option<u32> {
        let takes = |it: &u32| self.total.has_room(self.processes.tasks(*it));
        let was_active =
            self.before.active(task).filter(|it| !self.has(self.processes.of(*it), task));
        was_active.filter(takes).or_else(|| self.least_standby(task, true, room).filter(takes))
    }

    /// Who of those who had a standby of a task is less loaded than those before, and its process too; with `again` only one
    /// whose process has not got the task yet.
    ///
    /// As in Kafka 4.3.1, the first is not looked at as to that, and nobody is found when the process of the first has it.
    fn least_standby(&self, task: u32, again: bool, room: &mut usize) -> Option<u32> {
        let standbys = self.before.standbys(task);
        *room = room.saturating_sub(standbys.len());
        let first = *standbys.first()?;
        if again && self.has(self.processes.of(first), task) {
            return None;
        }
        let mut least = first;
        for &member in &standbys[1..] {
            let process = self.processes.of(member);
            if self.processes.load(process) < self.processes.load(self.processes.of(least))
                && self.processes.tasks(member) < self.processes.tasks(least)
                && !(again && self.has(process, task))
            {
                least = member;
            }
        }
        Some(least)
    }

    /// Whether a process has a task already.
    fn has(&self, process: u32, task: u32) -> bool {
        let mut members =
            self.after.active(task).into_iter().chain(self.after.standbys(task).iter().copied());
        members.any(|it| self.processes.of(it) == process)
    }

    /// A standby goes to the least loaded process that does not have the task; `false` where all have it.
    fn hand_out_standby(&mut self, task: u32, room: &mut usize) -> bool {
        let mut passed = Vec::new();
        let mut found = None;
        while let Some(process) = self.pop_least(room) {
            if !self.has(process, task) {
                found = Some(process);
                break;
            }
            passed.push(process);
        }
        if let Some(process) = found {
            let member = self.processes.give_to_least(process, room);
            self.after.add_standby(task, member);
            self.total.given(self.processes.tasks(member));
            self.push(process);
        }
        passed.into_iter().rev().for_each(|it| self.push(it));
        found.is_some()
    }

    /// Takes out the least loaded process.
    fn pop_least(&mut self, room: &mut usize) -> Option<u32> {
        *room = room.saturating_sub(1);
        let by_load = self.by_load.get_or_insert_with(|| {
            *room = room.saturating_sub(self.processes.count() / 16);
            self.processes.by_load()
        });
        by_load.pop(|it| self.processes.load(it))
    }

    /// Puts a process back.
    fn push(&mut self, process: u32) {
        if let Some(by_load) = &mut self.by_load {
            by_load.push(process, |it| self.processes.load(it));
        }
    }
}

/// Assigns in one go.
#[cfg(test)]
pub fn assign(
    subtopologies: &Subtopologies,
    standby_replicas: usize,
    members: &[MemberSpec<'_>],
) -> Vec<Arc<Tasks>> {
    let mut assigning = Assigning::new(Arc::clone(subtopologies), standby_replicas);
    members.iter().for_each(|it| assigning.add(it));
    while assigning.step(usize::MAX) == usize::MAX {}
    assigning.finish()
}
