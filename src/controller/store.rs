//! The log as Raft sees it: in memory, kept in step with what is on disk.

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};
use std::cell::{Cell, RefCell};

/// Entries after the snapshot, and the hard state. Raft keeps count of which entries are durable;
/// those that are being written are in here already.
#[derive(Debug)]
pub struct Store {
    /// The hard state that is on disk.
    pub hard_state: HardState,
    /// Who votes and who follows, as of the entries that took effect.
    members: ConfState,
    /// Index and term of the last entry that was forgotten: what came up to it is in snapshots only.
    pub forgotten: (u64, u64),
    /// What follows it, without a gap.
    entries: Vec<Entry>,
    /// Raft has to send a snapshot, and there is none.
    wants_snapshot: Cell<bool>,
    /// One for Raft to send.
    snapshot: RefCell<Option<Snapshot>>,
}

impl Store {
    /// An empty log after a snapshot of this index and term.
    pub fn new(hard_state: HardState, members: ConfState, snapshot: (u64, u64)) -> Self {
        Self {
            hard_state,
            members,
            forgotten: snapshot,
            entries: Vec::new(),
            wants_snapshot: Cell::new(false),
            snapshot: RefCell::new(None),
        }
    }

    /// Begins anew after a snapshot of a leader.
    pub fn restart(&mut self, members: ConfState, snapshot: (u64, u64)) {
        *self = Self::new(self.hard_state.clone(), members, snapshot);
    }

    /// Whether Raft waits for a snapshot to send since this was asked last.
    pub fn take_wish(&self) -> bool {
        self.wants_snapshot.take()
    }

    /// One that Raft may send, once. One in which the members are others is refused by who has joined since.
    pub fn offer(&self, snapshot: Snapshot) {
        if *snapshot.get_metadata().get_conf_state() == self.members {
            *self.snapshot.borrow_mut() = Some(snapshot);
        }
    }

    /// Who votes and who follows.
    pub fn members(&self) -> &ConfState {
        &self.members
    }

    /// An entry that took effect has changed them.
    pub fn set_members(&mut self, members: ConfState) {
        self.members = members;
        self.snapshot.take();
    }

    /// Adds entries; those with an index that is there already replace it and what follows.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(
            first.index > self.forgotten.0 && first.index <= self.last() + 1,
            "a gap in the log"
        );
        self.entries.truncate((first.index - self.forgotten.0 - 1) as usize);
        self.entries.extend_from_slice(entries);
    }

    /// Forgets the entries up to `index`.
    pub fn compact(&mut self, index: u64, term: u64) {
        let count = index.saturating_sub(self.forgotten.0) as usize;
        self.entries.drain(..count.min(self.entries.len()));
        self.forgotten = self.forgotten.max((index, term));
    }

    /// The last entry's index.
    pub fn last(&self) -> u64 {
        self.forgotten.0 + self.entries.len() as u64
    }

    /// The entries after this one, which must be there.
    pub fn entries_after(&self, index: u64) -> &[Entry] {
        &self.entries[(index - self.forgotten.0) as usize..]
    }

    /// The term of an entry that is there, or of the last one that was forgotten.
    pub fn term_of(&self, index: u64) -> Option<u64> {
        let at = index.checked_sub(self.forgotten.0)?;
        match at.checked_sub(1) {
            None => Some(self.forgotten.1),
            Some(at) => self.entries.get(at as usize).map(|entry| entry.term),
        }
    }
}

impl Storage for Store {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState { hard_state: self.hard_state.clone(), conf_state: self.members.clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.forgotten.0 {
            return Err(StorageError::Compacted.into());
        }
        let at = |index: u64| (index - self.forgotten.0 - 1) as usize;
        let slice = self.entries.get(at(low)..at(high)).ok_or(StorageError::Unavailable)?;
        let mut entries = slice.to_vec();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index < self.forgotten.0 {
            return Err(StorageError::Compacted.into());
        }
        self.term_of(index).ok_or_else(|| StorageError::Unavailable.into())
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.forgotten.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        // One that is older leaves a gap before the entries that are there.
        let least = request_index.max(self.forgotten.0);
        match self.snapshot.take() {
            Some(it) if it.get_metadata().index >= least => Ok(it),
            _ => {
                self.wants_snapshot.set(true);
                Err(StorageError::SnapshotTemporarilyUnavailable.into())
            }
        }
    }
}
