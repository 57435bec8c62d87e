//! The memory that the requests of one shard may take.
//!
//! # Two lanes
//!
//! What is read into the common buffer of a connection, which is most of what arrives, takes from the
//! *small* lane; a frame that has a buffer of its own takes from the *large* one. A shard whose large
//! lane is full of half a dozen 50 MiB requests still serves everybody else.
//!
//! What is charged is memory that is held, not what a length announces: the capacity of a buffer while
//! bytes are read into it, and what was cut from it until the request is answered or
//! [released](super::Connections::release).
//!
//! # Why nobody waits for ever
//!
//! *Small lane.* It is held by requests that have begun, which end without another request being
//! read, and by bytes that wait in a buffer. Of the latter, those whose client has made no progress
//! for [`EVICT_AFTER_MS`](super::EVICT_AFTER_MS) are closed while somebody waits, longest first, and
//! the others become requests. Who waits is served in order.
//!
//! *Large lane.* Two frames that are half there could each hold what the other one needs. So the
//! *oldest* frame that is being received may always grow, beyond the limit if need be, unless large
//! requests that have begun are still under way, whose end it waits for then. It is never blocked by
//! another frame: it arrives in full, or its client stalls and is closed since others wait; the next
//! one is the oldest then. Frames that are blocked are let on in the order in which they were begun.
//! So the lane holds at most its limit and one frame more.

use super::ConnectionId;
use std::collections::{BTreeMap, VecDeque};

/// Which part of the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Small,
    Large,
}

/// Bytes taken from a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    pub lane: Lane,
    pub bytes: usize,
}

impl Charge {
    /// Nothing.
    pub const NONE: Self = Self { lane: Lane::Small, bytes: 0 };
}

/// Bytes that were kept for somebody who had waited for them. They are charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub connection: ConnectionId,
    pub charge: Charge,
}

/// See the module.
pub(super) struct Room {
    limit: usize,
    small: usize,
    large: usize,
    /// Part of `large`: requests that have begun.
    begun: usize,
    /// Who waits for how much of the small lane, in order.
    waiting: VecDeque<(ConnectionId, usize)>,
    /// Large frames that are being received, by the order in which they were begun.
    receiving: BTreeMap<u64, ConnectionId>,
    /// Those of them that wait for so many bytes more.
    blocked: BTreeMap<u64, usize>,
}

impl Room {
    /// Room for `limit` bytes in each lane.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            small: 0,
            large: 0,
            begun: 0,
            waiting: VecDeque::new(),
            receiving: BTreeMap::new(),
            blocked: BTreeMap::new(),
        }
    }

    /// Bytes taken from both lanes.
    pub fn used(&self) -> usize {
        self.small + self.large
    }

    /// Takes bytes without asking: of what was asked for, the exact number is known only afterwards.
    pub fn take(&mut self, charge: Charge) {
        match charge.lane {
            Lane::Small => self.small += charge.bytes,
            Lane::Large => self.large += charge.bytes,
        }
    }

    /// Gives bytes back. Who waited for them is found with [`next_grant`](Self::next_grant).
    pub fn give(&mut self, charge: Charge) {
        match charge.lane {
            Lane::Small => self.small -= charge.bytes,
            Lane::Large => self.large -= charge.bytes,
        }
    }

    /// Whether somebody waits for a lane.
    pub fn is_short(&self, lane: Lane) -> bool {
        match lane {
            Lane::Small => !self.waiting.is_empty(),
            Lane::Large => !self.blocked.is_empty(),
        }
    }

    // ---- Small ----

    /// Whether `bytes` may be taken from the small lane now.
    pub fn admits_small(&self, bytes: usize) -> bool {
        self.waiting.is_empty() && self.fits_small(bytes)
    }

    fn fits_small(&self, bytes: usize) -> bool {
        self.small == 0 || self.small + bytes <= self.limit
    }

    /// The connection waits for so much of the small lane.
    pub fn wait_small(&mut self, connection: ConnectionId, bytes: usize) {
        self.waiting.push_back((connection, bytes));
    }

    // ---- Large ----

    /// A large frame begins to be received; `order` grows from one to the next.
    pub fn begin_large(&mut self, order: u64, connection: ConnectionId) {
        self.receiving.insert(order, connection);
    }

    /// It is received in full, or its connection is closed.
    pub fn end_large(&mut self, order: u64) {
        self.receiving.remove(&order);
        self.blocked.remove(&order);
    }

    /// Whether the frame may take `bytes` more.
    pub fn admits_large(&self, order: u64, bytes: usize) -> bool {
        self.blocked.keys().next().is_none_or(|first| *first >= order)
            && self.fits_large(order, bytes)
    }

    fn fits_large(&self, order: u64, bytes: usize) -> bool {
        let oldest = self.receiving.keys().next() == Some(&order);
        self.large + bytes <= self.limit || (oldest && self.begun == 0)
    }

    /// The frame waits for so much of the large lane.
    pub fn wait_large(&mut self, order: u64, bytes: usize) {
        self.blocked.insert(order, bytes);
    }

    /// A large request has begun. Its bytes are charged already.
    pub fn begun(&mut self, bytes: usize) {
        self.begun += bytes;
    }

    /// A large request that had [`begun`](Self::begun) has ended, or needs its bytes no more. They
    /// are to be given back besides.
    pub fn ended(&mut self, bytes: usize) {
        self.begun -= bytes;
    }

    // ---- Those that wait ----

    /// Takes bytes for the next one that waits, where they fit. `lives` says whether it still does.
    pub fn next_grant(&mut self, lives: impl Fn(ConnectionId) -> bool) -> Option<Grant> {
        while let Some(&(connection, bytes)) = self.waiting.front() {
            if !lives(connection) {
                self.waiting.pop_front();
                continue;
            }
            if !self.fits_small(bytes) {
                break;
            }
            self.waiting.pop_front();
            let charge = Charge { lane: Lane::Small, bytes };
            self.take(charge);
            return Some(Grant { connection, charge });
        }
        let (&order, &bytes) = self.blocked.first_key_value()?;
        if !self.fits_large(order, bytes) {
            return None;
        }
        self.blocked.remove(&order);
        let charge = Charge { lane: Lane::Large, bytes };
        self.take(charge);
        Some(Grant { connection: self.receiving[&order], charge })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnectionId = ConnectionId { index: 0, life: 1 };
    const B: ConnectionId = ConnectionId { index: 1, life: 2 };
    const C: ConnectionId = ConnectionId { index: 2, life: 3 };

    fn large(bytes: usize) -> Charge {
        Charge { lane: Lane::Large, bytes }
    }

    #[test]
    fn who_waits_for_the_small_lane_is_served_in_order() {
        let mut room = Room::new(10);
        let all = Charge { lane: Lane::Small, bytes: 10 };
        room.take(all);
        assert!(!room.admits_small(1));
        for it in [A, B, C] {
            room.wait_small(it, 6);
        }
        assert_eq!(room.next_grant(|_| true), None);
        room.give(all);
        // Who comes now waits behind those that wait already.
        assert!(!room.admits_small(1));
        let grant = room.next_grant(|it| it != A).expect("room for B");
        assert_eq!((grant.connection, grant.charge.bytes), (B, 6));
        assert_eq!(room.next_grant(|_| true), None);
        room.give(grant.charge);
        assert_eq!(room.next_grant(|_| true).map(|it| it.connection), Some(C));
    }

    #[test]
    fn the_oldest_large_frame_may_always_grow() {
        let mut room = Room::new(10);
        for (order, it) in [(1, A), (2, B), (3, C)] {
            room.begin_large(order, it);
        }
        room.take(large(9));
        // B and C hold what A needs, and A what they need.
        assert!(!room.admits_large(2, 5));
        room.wait_large(2, 5);
        assert!(!room.admits_large(3, 1), "B was first");
        room.wait_large(3, 1);
        assert_eq!(room.next_grant(|_| true), None);
        assert!(room.admits_large(1, 100), "the oldest");
        room.take(large(100));
        // It has arrived; while it is under way, nobody else goes beyond the limit.
        room.end_large(1);
        room.begun(103);
        assert_eq!(room.next_grant(|_| true), None);
        room.ended(103);
        room.give(large(103));
        let grants: Vec<_> = std::iter::from_fn(|| room.next_grant(|_| true)).collect();
        assert_eq!(grants.iter().map(|it| it.connection).collect::<Vec<_>>(), [B]);
        // C fits as soon as B has gone, although nothing was given back.
        room.end_large(2);
        assert_eq!(room.next_grant(|_| true).map(|it| it.connection), Some(C));
    }
}
