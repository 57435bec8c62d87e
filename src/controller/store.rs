//! The log as Raft sees it: in memory, kept in step with what is on disk.

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};

/// Entries after the snapshot, and the hard state. Raft keeps count of which entries are durable;
/// those that are being written are in here already.
#[derive(Debug)]
pub struct Store {
    /// The hard state that is on disk.
    pub hard_state: HardState,
    /// The voters.
    pub voters: Vec<u64>,
    /// Index and term of the last entry that the snapshot holds.
    pub snapshot: (u64, u64),
    /// What follows it, without a gap.
    entries: Vec<Entry>,
}

impl Store {
    /// An empty log after a snapshot of this index and term.
    pub fn new(hard_state: HardState, voters: Vec<u64>, snapshot: (u64, u64)) -> Self {
        Self { hard_state, voters, snapshot, entries: Vec::new() }
    }

    /// Adds entries; those with an index that is there already replace it and what follows.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(
            first.index > self.snapshot.0 && first.index <= self.last() + 1,
            "a gap in the log"
        );
        self.entries.truncate((first.index - self.snapshot.0 - 1) as usize);
        self.entries.extend_from_slice(entries);
    }

    /// Forgets the entries up to `index`, which a durable snapshot holds now.
    pub fn compact(&mut self, index: u64, term: u64) {
        let count = (index - self.snapshot.0) as usize;
        self.entries.drain(..count.min(self.entries.len()));
        self.snapshot = (index, term);
    }

    /// The last entry's index.
    pub fn last(&self) -> u64 {
        self.snapshot.0 + self.entries.len() as u64
    }

    /// The entries after the snapshot.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The term of an entry that is there, or of the last one in the snapshot.
    pub fn term_of(&self, index: u64) -> Option<u64> {
        let at = index.checked_sub(self.snapshot.0)?;
        match at.checked_sub(1) {
            None => Some(self.snapshot.1),
            Some(at) => self.entries.get(at as usize).map(|entry| entry.term),
        }
    }
}

impl Storage for Store {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let conf_state = ConfState::from((self.voters.clone(), Vec::new()));
        Ok(RaftState { hard_state: self.hard_state.clone(), conf_state })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.snapshot.0 {
            return Err(StorageError::Compacted.into());
        }
        let at = |index: u64| (index - self.snapshot.0 - 1) as usize;
        let slice = self.entries.get(at(low)..at(high)).ok_or(StorageError::Unavailable)?;
        let mut entries = slice.to_vec();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index < self.snapshot.0 {
            return Err(StorageError::Compacted.into());
        }
        self.term_of(index).ok_or_else(|| StorageError::Unavailable.into())
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.snapshot.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        // Only a follower that lags behind asks, and there is none while there is one voter.
        Err(StorageError::SnapshotTemporarilyUnavailable.into())
    }
}
