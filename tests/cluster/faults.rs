//! What fails, carried out.

use crate::client::Replacing;
use crate::cluster::{Cluster, NODES_MAX};
use crate::plan::{Fault, Planned};
use klamm::storage::device::sim_disk::{Fault as DiskFault, Rng};

/// A process that cannot start because its disk is full is tried again after so long, ms.
const AGAIN_MS: i64 = 500;

impl Cluster {
    pub fn start(&mut self, at: usize) {
        self.starts.remove(&at);
        let now = self.now_of(at);
        let plan = &self.facts.plan;
        let (voters, shards) = (plan.voters, plan.shards_max);
        let Self { rng, net, settings, .. } = self;
        let result = self.nodes[at].start((voters, shards), settings, now, rng, net);
        match result {
            Ok(()) => self.note(|| format!("---- node {} starts", at + 1)),
            Err(e) if self.nodes[at].suspect => {
                self.note(|| format!("---- node {} does not start: {e}", at + 1));
                self.nodes[at].disk.restart();
                self.starts.insert(at, self.now_ms + AGAIN_MS);
            }
            Err(e) => panic!("node {} does not start: {e}", at + 1),
        }
        let node = &self.nodes[at];
        self.faults_hit[at] = node.disk.faults_hit();
        self.facts.directories.insert(node.id, node.directory);
    }

    /// A process ends, and starts again after a while.
    pub fn crash(&mut self, at: usize, power: bool, down_ms: i64) {
        if self.nodes[at].life.is_none() {
            return;
        }
        self.note(|| format!("---- node {} ends, power: {power}", at + 1));
        self.nodes[at].crash(power, &mut self.net);
        self.gone(at, down_ms);
    }

    /// A process has ended.
    fn gone(&mut self, at: usize, down_ms: i64) {
        let id = self.nodes[at].id;
        for client in 0..self.clients.len() {
            self.lose(client, id);
        }
        self.starts.insert(at, self.now_ms + down_ms);
    }

    /// Nothing fails any more.
    pub fn heal(&mut self) {
        self.net.heal();
        (self.heal_ms, self.fills) = (0, [0; NODES_MAX]);
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            (node.frozen_until_ms, node.stalled_until_ms, node.skew_ms) = (0, 0, 0);
            node.set_free(None);
            node.disk.set_fault(None);
            let id = node.id;
            if node.life.is_none() && self.facts.replaced.is_none_or(|it| it.0 != id) {
                self.start(at);
            }
        }
    }

    /// Carries out what is due.
    pub fn meddle(&mut self) {
        while let Some(Planned { at_ms, .. }) = self.faults.front() {
            if *at_ms > self.now_ms - self.begun_ms {
                break;
            }
            let Planned { fault, .. } = self.faults.pop_front().expect("just seen");
            self.fail(fault);
        }
        if !self.rots.is_empty() {
            self.flip_bits();
        }
        if self.heal_ms > 0 && self.heal_ms <= self.now_ms {
            self.heal_ms = 0;
            self.net.heal();
            self.note(|| "---- the network is whole".to_owned());
        }
        for at in 0..self.nodes.len() {
            if self.fills[at] > 0 && self.fills[at] <= self.now_ms {
                self.fills[at] = 0;
                self.nodes[at].set_free(None);
                self.note(|| format!("---- node {} has space again", at + 1));
            }
        }
    }

    /// What is due whether anything fails or not: starts, and processes that have ended by themselves.
    pub fn look_after_nodes(&mut self) {
        if let Some((id, Replacing::Voteless)) = self.facts.replaced {
            self.facts.replaced = Some((id, Replacing::Joins));
            let at = id as usize - 1;
            self.nodes[at].lose_disk(self.disk_seed);
            self.starts.insert(at, self.now_ms + self.down_ms[at]);
            self.facts.directories.remove(&id);
            self.facts.counts.lost_disks += 1;
        }
        for at in 0..self.nodes.len() {
            if self.starts.get(&at).is_some_and(|it| *it <= self.now_ms) {
                self.start(at);
            }
            if self.nodes[at].is_going() {
                let now = self.now_of(at);
                if self.nodes[at].advance_stop(now, &mut self.net) {
                    self.note(|| format!("---- node {} has ended", at + 1));
                    self.facts.counts.stops += 1;
                    let down_ms = self.stopped[at];
                    self.gone(at, down_ms);
                }
            }
            let fatal = self.nodes[at].life.as_ref().and_then(|it| it.fatal.clone());
            let Some((code, why)) = fatal else { continue };
            let node = &self.nodes[at];
            let failed = node.suspect || node.disk.faults_hit() > self.faults_hit[at];
            assert!(failed && code != 70, "node {} gives up: {why}", at + 1);
            self.note(|| format!("---- node {} gives up: {why}", at + 1));
            self.faults_hit[at] = node.disk.faults_hit();
            self.facts.counts.failed_disks += 1;
            let down_ms = self.down_ms[at];
            self.crash(at, false, down_ms);
        }
    }

    /// Whether somebody else may lead each partition that is of account, as the newest metadata have it: where only the lost disk
    /// was ever in sync, the partition waits for an operator.
    fn may_lose(&self, at: usize) -> bool {
        let id = self.nodes[at].id;
        let lives = self.nodes.iter().filter_map(|it| it.life.as_ref());
        let newest = lives.map(|it| it.brokers[0].image()).max_by_key(|it| it.index);
        newest.is_some_and(|image| {
            let counts = image.topics().filter(|it| !it.name.starts_with("x-"));
            let mut all = counts.flat_map(|it| it.partitions.iter());
            all.all(|it| it.isr.iter().chain(&*it.elr).any(|other| *other != id))
        })
    }

    fn fail(&mut self, fault: Fault) {
        if let Fault::Replace { node, .. } = fault
            && !self.may_lose(node)
        {
            // It is to happen when somebody else has everything.
            let at_ms = self.now_ms - self.begun_ms + AGAIN_MS;
            let at = self.faults.partition_point(|it| it.at_ms <= at_ms);
            return self.faults.insert(at, Planned { at_ms, fault });
        }
        self.note(|| format!("---- {fault:?}"));
        let counts = &mut self.facts.counts;
        match fault {
            Fault::Rot { node, draw, down } => self.choose_rot(node, draw, down),
            Fault::End { node, power, down_ms } => {
                if self.nodes[node].life.is_some() {
                    *(if power { &mut counts.power_cuts } else { &mut counts.kills }) += 1;
                }
                self.crash(node, power, down_ms);
            }
            Fault::EndAll { down_ms } => {
                for at in 0..self.nodes.len() {
                    self.crash(at, true, down_ms);
                }
            }
            Fault::Freeze { node, ms } => {
                counts.freezes += 1;
                self.nodes[node].frozen_until_ms = self.now_ms + ms;
            }
            Fault::Cut { node, others, one_way, ms } => {
                counts.cuts += 1;
                let id = self.nodes[node].id;
                for other in others {
                    self.net.cut(id, other);
                    if !one_way {
                        self.net.cut(other, id);
                    }
                }
                self.heal_ms = self.now_ms + ms;
            }
            Fault::Break { draw } => self.net.break_one(&mut Rng::new(draw)),
            Fault::Stall { node, ms } => self.nodes[node].stalled_until_ms = self.now_ms + ms,
            Fault::FailDisk { node, kind, skip, sticky, down_ms } => {
                if self.nodes[node].life.is_none() {
                    return;
                }
                let count = if sticky { u64::MAX } else { 1 };
                let fault = DiskFault { kind: Some(kind), prefix: String::new(), skip, count };
                self.nodes[node].disk.set_fault(Some(fault));
                self.down_ms[node] = down_ms;
            }
            Fault::FillDisk { node, free, ms } => {
                counts.full_disks += 1;
                self.nodes[node].set_free(Some(free));
                self.fills[node] = self.now_ms + ms;
            }
            Fault::Jump { node, ms } => {
                counts.jumps += 1;
                self.nodes[node].skew_ms += ms;
            }
            Fault::Replace { node, seed, down_ms } => {
                self.crash(node, true, 0);
                self.starts.remove(&node);
                (self.disk_seed, self.down_ms[node]) = (seed, down_ms);
                self.facts.replaced = Some((self.nodes[node].id, Replacing::Votes));
            }
            Fault::Stop { node, down_ms } => {
                let now = self.now_of(node);
                self.nodes[node].begin_stop(now, &mut self.net);
                self.stopped[node] = down_ms;
            }
        }
    }
}
