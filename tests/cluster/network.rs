//! The network between nodes: sockets with bytes on their way, and who cannot reach whom.

use klamm::broker::LinkId;
use klamm::storage::device::sim_disk::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// One end of a socket: node, shard, and what the broker calls it.
pub type Ends = (i32, usize, LinkId);

/// What was sent and does not arrive ends a connection after so long, ms, as the kernel does.
const UNACKNOWLEDGED_MS: i64 = 5_000;

/// A connection between two nodes.
#[derive(Debug)]
pub struct Wire {
    pub dialler: Ends,
    pub to: i32,
    /// The other end, once the preamble has come.
    pub taker: Option<Ends>,
    pub connected: bool,
    /// Bytes on their way, from the dialler and to it.
    pub forth: Vec<u8>,
    pub back: Vec<u8>,
    /// The broker has something to send: the dialler's, the taker's.
    pub flush: [bool; 2],
    /// An end is gone: the dialler's, the taker's.
    pub gone: [bool; 2],
    /// Bytes do not arrive since then, ms.
    stuck_ms: Option<i64>,
}

/// What may happen next.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The connection is made, or refused.
    Connect(u64),
    /// The broker at this end sends.
    Send(u64, usize),
    /// Bytes arrive at this end.
    Arrive(u64, usize),
    /// This end notices that the other is gone.
    Notice(u64, usize),
}

/// See the module.
#[derive(Default)]
pub struct Network {
    pub wires: BTreeMap<u64, Wire>,
    next: u64,
    by_end: BTreeMap<Ends, (u64, usize)>,
    /// Nodes whose bytes do not reach the other.
    cuts: BTreeSet<(i32, i32)>,
    alive: BTreeSet<i32>,
}

impl Network {
    pub fn started(&mut self, node: i32) {
        self.alive.insert(node);
    }

    /// A process has ended, and its sockets with it.
    pub fn ended(&mut self, node: i32) {
        self.alive.remove(&node);
        for wire in self.wires.values_mut() {
            let ends = [Some(wire.dialler), wire.taker];
            for (side, end) in ends.iter().enumerate() {
                if end.is_some_and(|it| it.0 == node) || (side == 1 && wire.to == node) {
                    wire.gone[side] = true;
                    wire.flush[side] = false;
                    if let Some(end) = end {
                        self.by_end.remove(end);
                    }
                }
            }
        }
        self.bury();
    }

    fn bury(&mut self) {
        self.wires.retain(|_, it| !(it.gone[0] && it.gone[1]));
    }

    pub fn dial(&mut self, from: Ends, to: i32) {
        self.next += 1;
        let wire = Wire {
            dialler: from,
            to,
            taker: None,
            connected: false,
            forth: Vec::new(),
            back: Vec::new(),
            flush: [false; 2],
            gone: [false; 2],
            stuck_ms: None,
        };
        self.wires.insert(self.next, wire);
        self.by_end.insert(from, (self.next, 0));
    }

    /// A connection was taken by a shard.
    pub fn taken(&mut self, id: u64, end: Ends) {
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.taker = Some(end);
            self.by_end.insert(end, (id, 1));
        }
    }

    pub fn flush(&mut self, end: Ends) {
        if let Some((id, side)) = self.by_end.get(&end)
            && let Some(wire) = self.wires.get_mut(id)
        {
            wire.flush[*side] = true;
        }
    }

    /// A broker closes its end.
    pub fn close(&mut self, end: Ends) {
        let Some((id, side)) = self.by_end.remove(&end) else { return };
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.gone[side] = true;
            wire.flush[side] = false;
            // One that nobody has taken yet is nobody's.
            if side == 0 && wire.taker.is_none() {
                wire.gone[1] = true;
            }
        }
        self.bury();
    }

    // ---- Faults ----

    pub fn cut(&mut self, from: i32, to: i32) {
        self.cuts.insert((from, to));
    }

    pub fn heal(&mut self) {
        self.cuts.clear();
    }

    /// This end of a connection, if both are there.
    pub fn end(&self, id: u64, side: usize) -> Option<Ends> {
        let wire = self.wires.get(&id).filter(|it| !it.gone[side])?;
        if side == 0 { Some(wire.dialler) } else { wire.taker }
    }

    pub fn is_alive(&self, node: i32) -> bool {
        self.alive.contains(&node)
    }

    /// One connection breaks.
    pub fn break_one(&mut self, rng: &mut Rng) {
        if self.wires.is_empty() {
            return;
        }
        let at = rng.index(self.wires.len());
        let wire = self.wires.values_mut().nth(at).expect("one of them");
        for side in 0..2 {
            if !wire.gone[side] && wire.connected {
                wire.forth.clear();
                wire.back.clear();
                // Each end finds the other one gone.
                wire.stuck_ms = Some(i64::MIN);
            }
        }
    }

    /// What may happen next.
    pub fn events(&mut self, now_ms: i64, out: &mut impl FnMut(Event)) {
        let Self { wires, cuts, .. } = self;
        for (id, wire) in wires {
            let (a, b) = (wire.dialler.0, wire.to);
            let blocked = [cuts.contains(&(b, a)), cuts.contains(&(a, b))];
            if !wire.connected {
                // A connection takes a packet each way.
                if !wire.gone[0] && !blocked[0] && !blocked[1] {
                    out(Event::Connect(*id));
                }
                continue;
            }
            for side in 0..2 {
                let end = if side == 0 { Some(wire.dialler) } else { wire.taker };
                if wire.flush[side] && !wire.gone[side] && end.is_some() {
                    out(Event::Send(*id, side));
                }
            }
            let stuck =
                wire.stuck_ms.is_some_and(|at| now_ms.saturating_sub(at) > UNACKNOWLEDGED_MS);
            let mut waits = false;
            for side in 0..2 {
                // What arrives at the dialler's side comes back.
                let bytes = if side == 0 { &wire.back } else { &wire.forth };
                if !bytes.is_empty() && !wire.gone[side] {
                    // Acknowledgements take the other way.
                    waits |= blocked[0] || blocked[1];
                    if !blocked[side] && !stuck {
                        out(Event::Arrive(*id, side));
                    }
                }
                let other_gone = wire.gone[1 - side] && bytes.is_empty() && !blocked[side];
                if !wire.gone[side] && (other_gone || stuck) && (side == 0 || wire.taker.is_some())
                {
                    out(Event::Notice(*id, side));
                }
            }
            if !waits && wire.stuck_ms.is_some_and(|at| at > i64::MIN) {
                wire.stuck_ms = None;
            } else if waits && wire.stuck_ms.is_none() {
                wire.stuck_ms = Some(now_ms);
            }
        }
    }

    /// When somebody notices that bytes do not arrive, ms.
    pub fn next_deadline(&self) -> i64 {
        let stuck = self.wires.values().filter_map(|it| it.stuck_ms);
        stuck.map(|at| at.saturating_add(UNACKNOWLEDGED_MS + 1)).min().unwrap_or(i64::MAX)
    }
}
