//! Tasks by their partition, then by their subtopology: so that subtopologies are served alike.

use std::collections::BTreeSet;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Of the subtopology with this rank the task of this partition.
    Task(u32, u32),
    /// Nothing yet: ask again.
    Later,
    /// There are no more.
    Done,
}

/// Goes through them, up or down. A question takes no longer for more subtopologies.
#[derive(Debug, Default)]
pub struct ByPartition {
    down: bool,
    /// Subtopologies by how many tasks they have: those that are still to go out of the row, or to come in.
    by_count: BTreeSet<(u32, u32)>,
    /// Those that have a task of this partition.
    row: BTreeSet<u32>,
    partition: u32,
    /// The row is made.
    changes: bool,
    /// The last subtopology of the row that was named.
    last: Option<u32>,
}

impl ByPartition {
    /// Upward.
    pub fn up() -> Self {
        Self::default()
    }

    /// Downward.
    pub fn down() -> Self {
        Self { down: true, ..Self::default() }
    }

    /// Adds a subtopology with so many tasks by its rank; before the first question.
    pub fn add(&mut self, rank: u32, count: u32) {
        if count == 0 {
            return;
        }
        self.by_count.insert((count, rank));
        if self.down {
            // There is no task of this partition: the first row is the one below.
            self.partition = self.partition.max(count);
        } else {
            self.row.insert(rank);
        }
    }

    /// The next task.
    pub fn next(&mut self) -> Next {
        if self.changes {
            let next = if self.down { self.by_count.last() } else { self.by_count.first() };
            match next.copied() {
                Some((count, rank)) if self.down && count > self.partition => {
                    self.by_count.pop_last();
                    self.row.insert(rank);
                    return Next::Later;
                }
                Some((count, rank)) if !self.down && count <= self.partition => {
                    self.by_count.pop_first();
                    self.row.remove(&rank);
                    return Next::Later;
                }
                None if !self.down => return Next::Done,
                _ => self.changes = false,
            }
        }
        let rank = match (self.down, self.last) {
            (false, None) => self.row.first(),
            (false, Some(last)) => self.row.range(last + 1..).next(),
            (true, None) => self.row.last(),
            (true, Some(last)) => self.row.range(..last).next_back(),
        };
        if let Some(rank) = rank.copied() {
            self.last = Some(rank);
            return Next::Task(rank, self.partition);
        }
        if self.down && self.partition == 0 {
            return Next::Done;
        }
        self.partition = if self.down { self.partition - 1 } else { self.partition + 1 };
        (self.last, self.changes) = (None, true);
        Next::Later
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_by_partition_and_back() {
        for counts in [vec![], vec![0], vec![3, 0, 1, 5, 3], vec![1, 1, 1], vec![0, 2]] {
            let (mut up, mut down) = (ByPartition::up(), ByPartition::down());
            let mut expected = Vec::new();
            for (rank, count) in (0..).zip(&counts) {
                up.add(rank, *count);
                down.add(rank, *count);
                expected.extend((0..*count).map(|partition| (partition, rank)));
            }
            expected.sort_unstable();
            for mut order in [up, down] {
                let mut seen = Vec::new();
                loop {
                    match order.next() {
                        Next::Task(rank, partition) => seen.push((partition, rank)),
                        Next::Later => {}
                        Next::Done => break,
                    }
                }
                assert_eq!(order.next(), Next::Done);
                assert_eq!(seen, expected, "{counts:?}");
                expected.reverse();
            }
        }
    }
}
