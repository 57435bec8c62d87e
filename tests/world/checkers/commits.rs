//! Committed offsets: each is a register. What is fetched is a commit that no other has certainly
//! replaced.

use super::topics::LogKey;
use std::collections::BTreeMap;

/// A commit takes effect at some moment after it was sent, if at all.
#[derive(Clone, Copy, Debug)]
struct Commit {
    sent: u64,
    /// The last moment at which it can have taken effect.
    by: u64,
    /// It has taken effect.
    certain: bool,
}

/// By group and partition: commits by their number, which is told in their metadata.
#[derive(Default)]
pub struct Commits {
    registers: BTreeMap<(String, LogKey), BTreeMap<u64, Commit>>,
    next: u64,
}

impl Commits {
    /// A commit is sent; its number.
    pub fn sent(&mut self, group: &str, key: LogKey, moment: u64) -> u64 {
        self.next += 1;
        let commit = Commit { sent: moment, by: u64::MAX, certain: false };
        self.registers.entry((group.to_owned(), key)).or_default().insert(self.next, commit);
        self.next
    }

    /// It was answered.
    pub fn answered(&mut self, group: &str, key: LogKey, number: u64, ok: bool, moment: u64) {
        let register = self.registers.entry((group.to_owned(), key)).or_default();
        if ok {
            if let Some(commit) = register.get_mut(&number) {
                commit.by = commit.by.min(moment);
                commit.certain = true;
            }
        } else if let Some(commit) = register.remove(&number) {
            assert!(!commit.certain, "{group} {key:?}: a commit was refused, and had been read");
        }
    }

    /// A fetch that was sent at one moment and answered at another found this commit, or none.
    pub fn fetched(&mut self, group: &str, key: LogKey, found: Option<u64>, sent: u64, now: u64) {
        let name = (group.to_owned(), key);
        if let Some(number) = found
            && !self.registers.get(&name).is_some_and(|it| it.contains_key(&number))
        {
            // It was meant for an earlier topic of this name, and was late.
            let late = self.registers.iter_mut().find_map(|((of, other), register)| {
                let same =
                    of == group && (other.topic, other.partition) == (key.topic, key.partition);
                let it = register.get(&number).filter(|it| same && !it.certain).copied();
                if it.is_some() {
                    register.remove(&number);
                }
                it
            });
            let late =
                late.unwrap_or_else(|| panic!("{group} {key:?}: nobody has sent commit {number}"));
            self.registers.entry(name.clone()).or_default().insert(number, late);
        }
        let register = self.registers.entry(name).or_default();
        // Whatever was done before the fetch began holds, unless it was replaced.
        let settled = |it: &Commit| it.certain && it.by < sent;
        let Some(number) = found else {
            let lost = register.iter().find(|(_, it)| settled(it));
            assert!(lost.is_none(), "{group} {key:?}: nothing is committed, but {lost:?} was");
            return;
        };
        let commit = register[&number];
        let later = register.iter().find(|(_, it)| it.sent > commit.by && settled(it));
        assert!(
            later.is_none(),
            "{group} {key:?}: commit {number}, {commit:?}, is there, but {later:?} came after it"
        );
        let it = register.get_mut(&number).expect("it was just found");
        *it = Commit { by: it.by.min(now), certain: true, ..*it };
    }

    /// What was under way has happened, or never will.
    pub fn life_ended(&mut self, moment: u64) {
        for it in self.registers.values_mut().flat_map(BTreeMap::values_mut) {
            it.by = it.by.min(moment);
        }
    }
}
