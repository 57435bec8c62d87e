//! Connections by a time that mostly moves on without anybody looking.

use super::ConnectionId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A queue by time in which entries may be too early, never too late: who moves its time on leaves
/// its entry where it is, which costs nothing, and whoever takes the entry out puts it back with the
/// right time. So the first entry whose time is right is the first of all.
#[derive(Default)]
pub(super) struct Queue(BinaryHeap<Reverse<(i64, ConnectionId)>>);

impl Queue {
    /// Puts in an entry.
    pub fn push(&mut self, at_ms: i64, connection: ConnectionId) {
        self.0.push(Reverse((at_ms, connection)));
    }

    /// The earliest time that an entry has.
    pub fn first(&self) -> Option<i64> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out the earliest entry whose time is not after `now_ms`.
    pub fn pop(&mut self, now_ms: i64) -> Option<(i64, ConnectionId)> {
        if self.first()? > now_ms {
            return None;
        }
        self.0.pop().map(|Reverse(it)| it)
    }

    /// Drops entries of connections that are gone, where these are more than the others: `live` is
    /// how many there are.
    pub fn prune(&mut self, live: usize, lives: impl Fn(ConnectionId) -> bool) {
        if self.0.len() > 2 * live + 64 {
            self.0.retain(|Reverse((_, it))| lives(*it));
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_the_order_of_their_times() {
        let id = |index| ConnectionId { index, life: 1 };
        let mut queue = Queue::default();
        for (at, index) in [(5, 1), (3, 2), (9, 3)] {
            queue.push(at, id(index));
        }
        assert_eq!((queue.first(), queue.pop(2)), (Some(3), None));
        assert_eq!(queue.pop(10), Some((3, id(2))));
        // It was not that late: back with the right time.
        queue.push(7, id(2));
        assert_eq!(queue.pop(10), Some((5, id(1))));
        assert_eq!(queue.pop(10), Some((7, id(2))));
        for index in 0..100 {
            queue.push(1, id(index));
        }
        queue.prune(1, |it| it.index == 3);
        assert_eq!(queue.len(), 2);
    }
}
