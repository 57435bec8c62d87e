//! Members, the network between them, and what goes wrong.

use crate::brokers::{Brokers, check_settled};
use crate::node::{Node, Proposed};
use crate::seen::{Seen, has, topic};
use klamm::controller::{Members, Message};
use klamm::storage::device::sim_disk::{Fault, SimDisk};
use klamm::types::rng::Rng;
use std::collections::BTreeSet;

/// A member's tick, give or take a fifth, ms.
const TICK_MS: u64 = 10;
/// How long things fail, ms.
const ROUGH_MS: u64 = 4_000;
/// How long it may take until all is well when nothing fails any more, ms.
const CALM_MS: u64 = 4_000;

/// A message on its way.
struct Letter {
    at: u64,
    to: usize,
    from: usize,
    bytes: Vec<u8>,
}

/// See the module.
pub struct Cluster {
    rng: Rng,
    now: u64,
    nodes: Vec<Node>,
    voters: BTreeSet<i32>,
    letters: Vec<Letter>,
    /// Nothing goes from the one to the other.
    cut: BTreeSet<(usize, usize)>,
    rough: bool,
    next: u32,
    pub brokers: Brokers,
    pub seen: Seen,
}

impl Cluster {
    /// Three to five nodes, of which three or all vote at the start.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let count = 3 + rng.below(3) as i32;
        let voters: BTreeSet<i32> = (0..if rng.chance(50) { 3 } else { count }).collect();
        let mut node = |id: i32| {
            let disk = SimDisk::new(seed.wrapping_mul(31).wrapping_add(id as u64));
            Node::new(id, disk, rng.between(TICK_MS * 4 / 5, TICK_MS * 6 / 5))
        };
        let nodes = (0..count).map(&mut node).collect();
        let brokers = Brokers::new(count as usize, &mut rng);
        Self {
            rng,
            now: 0,
            nodes,
            voters,
            letters: Vec::new(),
            cut: BTreeSet::new(),
            rough: true,
            next: 0,
            brokers,
            seen: Seen::default(),
        }
    }

    /// Things fail, and then no more: the members have to agree in time.
    pub fn run(&mut self) {
        while self.now < ROUGH_MS {
            self.step();
            self.trouble();
        }
        self.rough = false;
        self.cut.clear();
        for node in &mut self.nodes {
            node.disk.set_fault(None);
            (node.away_until, node.full_until) = (0, 0);
        }
        let end = self.now + CALM_MS;
        let mut last = None;
        loop {
            assert!(self.now < end, "no agreement in {CALM_MS} ms: {}", self.standing());
            self.step();
            let lives = |it: &u32| self.seen.is_acknowledged(*it) || self.is_proposed(*it);
            last = last.filter(lives);
            match last {
                // Whoever had taken it does not lead any more.
                None => last = self.propose(),
                Some(number) if self.seen.is_acknowledged(number) && self.agrees() => {
                    let now = self.now;
                    let leader = self.nodes.iter_mut().find_map(|it| it.leader(now));
                    // What is decided together may be committed one after the other.
                    check_settled(leader.expect("all agree with it").draft());
                    break;
                }
                Some(_) => {}
            }
        }
    }

    /// Where nothing else fails: how long nobody leads when the leader stands still, in ticks of the slowest.
    pub fn ticks_without_a_leader(&mut self) -> u64 {
        self.rough = false;
        // It has taken something, so that the others know it.
        let until = self.now + 2 * CALM_MS;
        let mut last = None;
        while !last.is_some_and(|it| self.seen.is_acknowledged(it)) || !self.agrees() {
            assert!(self.now < until, "nobody leads: {}", self.standing());
            self.step();
            last = last.filter(|it| self.seen.is_acknowledged(*it) || self.is_proposed(*it));
            last = last.or_else(|| self.propose());
        }
        let (begun, now) = (self.now, self.now);
        let leads = self.nodes.iter_mut().find_map(|it| it.leader(now).is_some().then_some(it));
        leads.expect("all agree with it").away_until = u64::MAX;
        loop {
            self.step();
            let now = self.now;
            if self.nodes.iter_mut().any(|it| it.leader(now).is_some()) {
                let slowest = self.nodes.iter().map(|it| it.tick_ms).max().unwrap_or(TICK_MS);
                return (now - begun).div_ceil(slowest);
            }
        }
    }

    /// A millisecond.
    fn step(&mut self) {
        self.now += 1;
        for at in 0..self.nodes.len() {
            let seed = self.rng.bits();
            if self.now < self.nodes[at].away_until {
                continue;
            }
            if self.nodes[at].controller.is_none() {
                self.nodes[at].start(&self.voters, seed);
                self.disconnect(at);
                self.brokers.started(at, &mut self.rng, self.rough);
            }
            let node = &mut self.nodes[at];
            if let Some(controller) = &mut node.controller
                && self.now >= node.next_tick
            {
                node.next_tick = self.now + node.tick_ms;
                controller.tick();
            }
            self.deliver(at);
            self.send(at);
            let stall = if self.rough && self.rng.one_in(2_000) { 300 } else { 0 };
            let next = self.now + self.rng.below(3) + stall;
            self.nodes[at].write(self.now, next);
            self.seen.look(&mut self.nodes[at]);
            let cut = &self.cut;
            let reaches = |from: usize, to: usize| !cut.contains(&(from, to));
            let (nodes, conditions) = (&mut self.nodes, (self.rough, &reaches as &_));
            self.brokers.step(at, self.now, nodes, &mut self.rng, conditions);
        }
    }

    /// Whoever was connected to a member's earlier life hears that this is over.
    fn disconnect(&mut self, at: usize) {
        let id = self.nodes[at].id;
        for other in self.nodes.iter_mut().filter(|it| it.id != id) {
            if let Some(controller) = &mut other.controller {
                controller.unreachable(id);
            }
        }
    }

    fn deliver(&mut self, to: usize) {
        let due = |it: &mut Letter| it.to == to && it.at <= self.now;
        let letters: Vec<Letter> = self.letters.extract_if(.., due).collect();
        for letter in letters {
            let is_cut = self.cut.contains(&(letter.from, letter.to));
            if let Some(controller) = self.nodes[to].controller.as_mut().filter(|_| !is_cut) {
                let message = Message::decode(&letter.bytes).expect("what was encoded");
                controller.step(message).expect("no disk has lost what it had synced");
                continue;
            }
            // The connection is broken, and both ends hear of it.
            self.seen.lost += 1;
            for (end, other) in [(letter.from, to), (to, letter.from)] {
                let id = self.nodes[other].id;
                if let Some(controller) = &mut self.nodes[end].controller {
                    controller.unreachable(id);
                }
            }
        }
    }

    fn send(&mut self, from: usize) {
        let Node { id, controller: Some(controller), .. } = &mut self.nodes[from] else { return };
        while let Some(message) = controller.poll_message() {
            assert_eq!(message.from(), *id);
            self.seen.snapshots += usize::from(message.is_snapshot());
            let late = if self.rough && self.rng.chance(2) { 200 } else { 3 };
            let at = self.now + self.rng.between(1, late);
            let (to, bytes) = (message.to() as usize, message.encode());
            self.letters.push(Letter { at, to, from, bytes });
        }
    }

    /// Has whoever leads create a topic; its number.
    fn propose(&mut self) -> Option<u32> {
        let long = self.rng.chance(10);
        let now = self.now;
        let node = self.nodes.iter_mut().find_map(|it| it.leader(now).is_some().then_some(it))?;
        let controller = node.leader(now)?;
        self.seen.look_at_draft(controller.term(), controller.draft());
        self.next += 1;
        let number = self.next;
        let index = controller.propose(&[topic(number, long)]);
        assert!(has(controller.draft(), number));
        let term = controller.term();
        node.proposed.push(Proposed { term, index, number });
        Some(number)
    }

    fn is_proposed(&self, number: u32) -> bool {
        self.nodes.iter().flat_map(|it| &it.proposed).any(|it| it.number == number)
    }

    /// All members of the quorum, as its leader has them, have come as far as it has.
    fn agrees(&self) -> bool {
        let controllers = || self.nodes.iter().filter_map(|it| it.controller.as_ref());
        let Some(leader) = controllers().find(|it| it.leads()) else { return false };
        let index = leader.image().index;
        let came = |id: &i32| {
            let controller = self.nodes[*id as usize].controller.as_ref();
            controller.is_some_and(|it| it.image().index == index)
        };
        leader.members().nodes().iter().all(came)
    }

    fn standing(&self) -> String {
        let stand = |it: &Node| match &it.controller {
            None => format!("{}: down", it.id),
            Some(c) => format!(
                "{}: term {}, leads {}, leader {}, image {}, {:?}",
                it.id,
                c.term(),
                c.leads(),
                c.image().controller_id,
                c.image().index,
                c.members(),
            ),
        };
        self.nodes.iter().map(stand).collect::<Vec<_>>().join("\n")
    }

    /// Something goes wrong, or somebody wants something.
    fn trouble(&mut self) {
        if self.rng.one_in(20) {
            self.propose();
        }
        if self.rng.one_in(400) {
            self.change_members();
        }
        if !self.rng.one_in(80) {
            return;
        }
        let (at, other) = (self.rng.index(self.nodes.len()), self.rng.index(self.nodes.len()));
        let long = self.now + self.rng.between(10, 800);
        match self.rng.below(9) {
            0 => drop(self.cut.insert((at, other))),
            1 => self.cut.extend([(at, other), (other, at)]),
            2 => {
                let all = 0..self.nodes.len();
                self.cut.extend(all.flat_map(|it| [(at, it), (it, at)]));
            }
            3 | 4 => self.cut.clear(),
            5 if long.is_multiple_of(3) => self.nodes[at].full_until = long,
            5 => self.nodes[at].away_until = long,
            6 => {
                let (kind, prefix) = (None, "meta".to_owned());
                let fault = Fault { kind, prefix, skip: self.rng.below(10), count: 1 };
                self.nodes[at].disk.set_fault(Some(fault));
            }
            power => {
                let node = &mut self.nodes[at];
                if power == 7 {
                    node.disk.power_cut();
                } else {
                    node.disk.process_crash();
                }
                node.stop();
                node.away_until = long;
            }
        }
    }

    /// An operator has members join or leave, gives or takes a vote, or has the leader hand over.
    fn change_members(&mut self) {
        let mut to = Members::default();
        for id in 0..self.nodes.len() as i32 {
            match self.rng.below(4) {
                0 => drop(to.learners.insert(id)),
                1 => {}
                _ => drop(to.voters.insert(id)),
            }
        }
        let heir = self.rng.chance(20).then(|| self.rng.index(self.nodes.len()) as i32);
        let now = self.now;
        let Some(leader) = self.nodes.iter_mut().find_map(|it| it.leader(now)) else { return };
        if let Some(heir) = heir {
            leader.hand_over(heir);
        } else if to.voters.len() > 1 && leader.change_members(&to).is_ok() {
            self.seen.changes += 1;
        }
    }
}
