//! Processes, their members, and how loaded they are.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::heap::Heap;

/// Tasks for each member: what processes are compared by.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    tasks: u32,
    members: u32,
}

impl PartialOrd for Load {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let across = |a: &Self, b: &Self| u64::from(a.tasks) * u64::from(b.members);
        Some(across(self, other).cmp(&across(other, self)))
    }
}

impl PartialEq for Load {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

/// The members, by the order in which they were added, and their processes.
#[derive(Debug, Default)]
pub struct Processes {
    by_id: BTreeMap<Box<str>, u32>,
    all: Vec<Process>,
    members: Vec<Member>,
}

#[derive(Debug, Default)]
struct Process {
    members: Vec<u32>,
    tasks: u32,
    /// Its members by their tasks; dropped when one of them is given a task by name.
    by_tasks: Option<Heap>,
}

#[derive(Debug)]
struct Member {
    process: u32,
    tasks: u32,
}

impl Processes {
    /// Adds a member.
    pub fn add(&mut self, process_id: &str) {
        let process = match self.by_id.get(process_id) {
            Some(process) => *process,
            None => {
                let process = self.all.len() as u32;
                self.by_id.insert(process_id.into(), process);
                self.all.push(Process::default());
                process
            }
        };
        self.all[process as usize].members.push(self.members.len() as u32);
        self.members.push(Member { process, tasks: 0 });
    }

    /// How many processes there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The process of a member.
    pub fn of(&self, member: u32) -> u32 {
        self.members[member as usize].process
    }

    /// How many tasks a member has.
    pub fn tasks(&self, member: u32) -> usize {
        self.members[member as usize].tasks as usize
    }

    /// How loaded a process is.
    pub fn load(&self, process: u32) -> Load {
        let Process { members, tasks, .. } = &self.all[process as usize];
        Load { tasks: *tasks, members: members.len() as u32 }
    }

    /// All processes by their load.
    pub fn by_load(&self) -> Heap {
        let mut heap = Heap::with_capacity(self.all.len());
        self.by_id.values().for_each(|it| heap.push(*it, |it| self.load(it)));
        heap
    }

    /// Gives a member one more task; how many it has then.
    pub fn give(&mut self, member: u32) -> usize {
        let process = &mut self.all[self.members[member as usize].process as usize];
        process.by_tasks = None;
        process.tasks += 1;
        self.members[member as usize].tasks += 1;
        self.tasks(member)
    }

    /// Gives one more task to the member of a process that has the fewest: which one. It takes steps for each member when that is
    /// not known.
    pub fn give_to_least(&mut self, process: u32, room: &mut usize) -> u32 {
        let members = &mut self.members;
        let process = &mut self.all[process as usize];
        process.tasks += 1;
        if let [only] = process.members[..] {
            members[only as usize].tasks += 1;
            return only;
        }
        let heap = process.by_tasks.get_or_insert_with(|| {
            let mut heap = Heap::with_capacity(process.members.len());
            let tasks = |it: u32| members[it as usize].tasks;
            process.members.iter().for_each(|it| heap.push(*it, tasks));
            *room = room.saturating_sub(process.members.len() / 16);
            heap
        });
        let least = heap.pop(|it| members[it as usize].tasks).unwrap_or_default();
        members[least as usize].tasks += 1;
        heap.push(least, |it| members[it as usize].tasks);
        least
    }

    /// About so much memory is taken, bytes.
    pub fn bytes(&self) -> usize {
        let heaps = self.all.iter().filter_map(|it| it.by_tasks.as_ref());
        self.members.len() * 16 + self.all.len() * 160 + heaps.map(Heap::bytes).sum::<usize>()
    }
}
