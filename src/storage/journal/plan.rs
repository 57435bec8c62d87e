//! What goes into the next journal block, before anything is copied.

use crate::storage::format::block::{PLACED, block_len};
use crate::storage::format::frame::{HEADER, MAX_FRAME};
use crate::storage::interface::{Append, Slot};
use bytes::Bytes;

/// One entry of the block.
#[derive(Clone, Copy, Debug)]
pub struct PlanEntry {
    /// Index of its first staged item.
    pub first: usize,
    last: usize,
    /// Bytes of its frame or body.
    pub frame_len: usize,
    leader_epoch: i32,
    /// The log whose frame it is; none of a control entry.
    pub slot: Option<Slot>,
}

/// Staged items by entry: the batches of one log that arrived in this turn share a frame.
#[derive(Debug, Default)]
pub struct BlockPlan {
    entries: Vec<PlanEntry>,
    /// For each staged item the next one of the same frame, plus one.
    next: Vec<u32>,
    slots: Vec<Slot>,
    copies: usize,
    /// Entries whose frames go past the block, and those that say where.
    outside: usize,
    runs: usize,
    /// Bytes of the longest frame.
    longest: usize,
    bodies: usize,
}

impl BlockPlan {
    /// Staged items that the block takes.
    pub fn items(&self) -> usize {
        self.next.len()
    }

    /// Entries of the block.
    pub fn entries(&self) -> usize {
        self.entries.len() - self.outside + self.runs + self.copies
    }

    /// Bytes of its longest frame.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Frames of so many entries and bytes go past the block, which gets `runs` entries in their place.
    pub fn take_out(&mut self, entries: usize, bytes: usize, runs: usize) {
        self.outside += entries;
        self.runs += runs;
        self.bodies = self.bodies - bytes + runs * PLACED;
    }

    /// Bytes of the block.
    pub fn block_len(&self) -> usize {
        block_len(self.entries(), self.bodies)
    }

    /// The entries but for the copies, in order.
    pub fn iter(&self) -> impl Iterator<Item = &PlanEntry> {
        self.entries.iter()
    }

    /// The entry of that index, among those but for the copies.
    pub fn entry(&self, index: usize) -> &PlanEntry {
        &self.entries[index]
    }

    /// Logs that have an open frame in this plan.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.iter().copied()
    }

    /// The staged items of a frame, in order.
    pub fn batches(&self, entry: &PlanEntry) -> impl Iterator<Item = usize> + '_ {
        let mut at = Some(entry.first);
        std::iter::from_fn(move || {
            let here = at?;
            at = (self.next[here] > 0).then(|| self.next[here] as usize - 1);
            Some(here)
        })
    }

    fn fits(&self, entries: usize, bytes: usize, max_block: usize) -> bool {
        let len = block_len(self.entries.len() + entries, self.bodies + bytes);
        self.next.is_empty() || len <= max_block
    }

    fn push(&mut self, entry: PlanEntry, bytes: usize) {
        self.entries.push(entry);
        self.bodies += bytes;
        self.next.push(0);
    }

    /// Adds a batch: to the log's open frame where there is one that takes it. `open_frame` is the
    /// log's: the entry of its open frame, plus one. False: the block is full.
    pub fn add_append(
        &mut self,
        slot: Slot,
        append: &Append,
        open_frame: &mut u32,
        max_block: usize,
    ) -> bool {
        let len = append.batch.len();
        let item = self.next.len();
        if *open_frame > 0 {
            let open = self.entries[*open_frame as usize - 1];
            let joins =
                open.leader_epoch == append.leader_epoch && open.frame_len + len <= MAX_FRAME;
            if joins {
                if !self.fits(0, len, max_block) {
                    return false;
                }
                let open = &mut self.entries[*open_frame as usize - 1];
                self.next[open.last] = item as u32 + 1;
                open.last = item;
                open.frame_len += len;
                self.longest = self.longest.max(open.frame_len);
                self.bodies += len;
                self.next.push(0);
                return true;
            }
        }
        if !self.fits(1, HEADER + len, max_block) {
            return false;
        }
        let leader_epoch = append.leader_epoch;
        let frame_len = HEADER + len;
        self.longest = self.longest.max(frame_len);
        self.push(
            PlanEntry { first: item, last: item, frame_len, leader_epoch, slot: Some(slot) },
            frame_len,
        );
        *open_frame = self.entries.len() as u32;
        self.slots.push(slot);
        true
    }

    /// Adds a leader's frame of `len` bytes, which stays as it is: the caller closes the log's open one.
    /// False: the block is full.
    pub fn add_frame(&mut self, slot: Slot, len: usize, max_block: usize) -> bool {
        if !self.fits(1, len, max_block) {
            return false;
        }
        let item = self.next.len();
        self.longest = self.longest.max(len);
        let (frame_len, slot) = (len, Some(slot));
        self.push(PlanEntry { first: item, last: item, frame_len, leader_epoch: 0, slot }, len);
        true
    }

    /// Makes room for a frame that is copied forward, behind everything else.
    pub fn add_copy(&mut self, frame: &Bytes) {
        self.copies += 1;
        self.bodies += frame.len();
    }

    /// Adds a control entry with that many bytes of body. What follows it in its log goes into another frame: the caller closes
    /// the log's open one.
    pub fn add_control(&mut self, body: usize, max_block: usize) -> bool {
        let item = self.next.len();
        if !self.fits(1, body, max_block) {
            return false;
        }
        let entry =
            PlanEntry { first: item, last: item, frame_len: body, leader_epoch: 0, slot: None };
        self.push(entry, body);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(epoch: i32, len: usize) -> Append {
        Append {
            base_offset: 0,
            last_offset: 0,
            leader_epoch: epoch,
            max_timestamp: 0,
            log_append_time: None,
            batch: Bytes::from(vec![0; len]),
            token: 0,
        }
    }

    #[test]
    fn batches_of_a_log_share_a_frame_within_an_epoch_and_a_mebibyte() {
        let (a, b) = (Slot::from_index(0), Slot::from_index(1));
        let (mut open_a, mut open_b) = (0, 0);
        let mut plan = BlockPlan::default();
        assert!(plan.add_append(a, &append(1, 100), &mut open_a, 1 << 22));
        assert!(plan.add_append(b, &append(1, 100), &mut open_b, 1 << 22));
        assert!(plan.add_append(a, &append(1, 100), &mut open_a, 1 << 22));
        assert!(plan.add_append(a, &append(2, 100), &mut open_a, 1 << 22));
        assert!(plan.add_append(a, &append(2, MAX_FRAME), &mut open_a, 1 << 22));
        let frames: Vec<Vec<_>> = plan.iter().map(|e| plan.batches(e).collect()).collect();
        assert_eq!(frames, [vec![0, 2], vec![1], vec![3], vec![4]]);
        assert_eq!(plan.items(), 5);
    }

    #[test]
    fn a_full_block_takes_no_more_but_always_takes_one() {
        let slot = Slot::from_index(0);
        let mut open = 0;
        let mut plan = BlockPlan::default();
        assert!(plan.add_append(slot, &append(1, 9000), &mut open, 4096));
        assert!(!plan.add_append(slot, &append(1, 1), &mut open, 4096));
        assert!(!plan.add_control(32, 4096));
        assert_eq!(plan.block_len(), 12288);
    }
}
