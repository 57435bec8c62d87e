//! What a seed makes of a run before it begins: how large the cluster is, what its clients do, and what fails when. A
//! failure stands for itself, so that a run can be repeated without some of them.

use klamm::storage::device::sim_disk::{OpKind, Rng};
use std::collections::BTreeSet;

/// The wall clocks of nodes are off by this at most, ms.
const SKEW_MS: u64 = 5_000;

/// Something that fails, with all that is chosen of it.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A process is killed, or its machine loses power; it starts again after a while.
    End { node: usize, power: bool, down_ms: i64 },
    /// All machines lose power at once.
    EndAll { down_ms: i64 },
    /// A process stands still.
    Freeze { node: usize, ms: i64 },
    /// A node is cut off from these, one way or both.
    Cut { node: usize, others: BTreeSet<i32>, one_way: bool, ms: i64 },
    /// A connection between two nodes breaks.
    Break { draw: u64 },
    /// A disk completes nothing.
    Stall { node: usize, ms: i64 },
    /// Operations of a disk fail, once or from now on: the process ends, and starts again after a while.
    FailDisk { node: usize, kind: OpKind, skip: u64, sticky: bool, down_ms: i64 },
    /// A disk has so few bytes free for a while.
    FillDisk { node: usize, free: u64, ms: i64 },
    /// The wall clock of a node jumps.
    Jump { node: usize, ms: i64 },
    /// A node ends as on SIGTERM, and starts again after a while.
    Stop { node: usize, down_ms: i64 },
    /// Bits of stored frames, or of their index, flip: of one replica, where others in sync have the same. `down`: while
    /// its process does not run.
    Rot { node: usize, draw: u64, down: bool },
    /// A machine is lost with its disk: its vote is taken, it starts after a while with an empty disk, and joins anew.
    Replace { node: usize, seed: u64, down_ms: i64 },
}

/// A fault, and when, in ms after the topic was there.
#[derive(Clone, Debug)]
pub struct Planned {
    pub at_ms: i64,
    pub fault: Fault,
}

/// What an administrator may do besides the topic that all use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Admin {
    /// Topics come and go.
    pub topics: bool,
    /// The topic gets more partitions.
    pub grows: bool,
    /// Replicas move, some on their way back before they are there.
    pub reassigns: bool,
    /// Preferred leaders are elected, and settings changed.
    pub elects: bool,
    /// Records are deleted.
    pub deletes: bool,
    /// Nodes get a vote and lose it.
    pub votes: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    pub nodes: i32,
    /// Of these, how many vote at the start.
    pub voters: i32,
    pub shards_max: u64,
    pub partitions: i32,
    pub replicas: i16,
    pub min_insync: i32,
    pub lag_ms: i64,
    pub producers: u32,
    pub members: u32,
    /// They are of a consumer group (KIP-848), not of a classic one.
    pub consumers: bool,
    /// Transactional producers; whether their transactions have an epoch each (KIP-890).
    pub transactors: u32,
    pub own_epochs: bool,
    /// Members of a share group: how many there are at a time, how long locks last, ms, and how often a record is
    /// delivered at most.
    pub sharers: u32,
    pub lock_ms: i64,
    pub deliveries: i16,
    /// Members of a streams group at a time.
    pub threads: u32,
    /// Records go after so many ms.
    pub retention_ms: Option<i64>,
    pub admin: Admin,
    /// By node: how far its wall clock is off at the start, ms.
    pub skews: Vec<i64>,
    /// How long things fail, ms.
    pub rough_ms: i64,
    pub faults: Vec<Planned>,
    /// Bits flip: little is kept in memory of what is on a disk.
    pub rots: bool,
    /// A disk is lost, so that at least two must have what is acknowledged.
    pub replaces: bool,
    /// At the end every replica leads once, and what it has is read.
    pub rotates: bool,
    /// At the end every node is stopped and started once.
    pub rolls: bool,
}

/// Whether disks are lost: unless `KLAMM_CLUSTER_LOSE_DISKS` is 0.
pub fn loses_disks() -> bool {
    support::seeds::variable("KLAMM_CLUSTER_LOSE_DISKS").is_none_or(|it| it > 0)
}

/// How often something happens: one of its kind in so many ms, on average, where a run has it.
const KINDS: [i64; 10] = [4_000, 60_000, 5_000, 3_000, 2_500, 1_500, 9_000, 9_000, 6_000, 7_000];
/// Of a hundred runs so many have a share group, and so many a streams group.
const SHARE_PERCENT: u64 = 20;
const STREAMS_PERCENT: u64 = 20;
/// Bits flip once in so many ms, on average.
const ROT_MS: u64 = 500;

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x9e37_79b9_7f4a_7c15);
        let rng = &mut rng;
        let nodes = if rng.chance(80) { 3 } else { 5 };
        let voters = if nodes == 5 && rng.chance(50) { 3 } else { nodes };
        let replicas = rng.between(2, 3) as i16;
        let rough_ms = rng.between(5_000, 25_000) as i64;
        let mut plan = Self {
            nodes,
            voters,
            shards_max: rng.between(1, 3),
            partitions: rng.between(1, 4) as i32,
            replicas,
            min_insync: rng.between(1, replicas as u64) as i32,
            lag_ms: [500, 3_000, 30_000][rng.index(3)],
            producers: rng.between(1, 3) as u32,
            members: rng.below(4) as u32,
            consumers: false,
            transactors: 0,
            own_epochs: false,
            sharers: 0,
            lock_ms: 0,
            deliveries: 0,
            threads: 0,
            retention_ms: rng.chance(15).then(|| rng.between(2_000, 8_000) as i64),
            admin: Admin {
                topics: rng.chance(30),
                grows: rng.chance(15),
                reassigns: rng.chance(35),
                elects: rng.chance(35),
                deletes: rng.chance(20),
                votes: rng.chance(25),
            },
            skews: vec![0; nodes as usize],
            rough_ms,
            faults: Vec::new(),
            rots: false,
            replaces: false,
            rotates: rng.chance(30),
            rolls: rng.chance(15),
        };
        // Whose clock is wrong takes records before their time.
        let clocks = plan.retention_ms.is_none() && rng.chance(40);
        if clocks {
            let skew = |_: &i64| rng.below(2 * SKEW_MS) as i64 - SKEW_MS as i64;
            plan.skews = plan.skews.iter().map(skew).collect();
        }
        // Some runs have all kinds of faults, some few, and some none.
        let has: Vec<bool> = (0..KINDS.len()).map(|_| rng.chance(50)).collect();
        for (kind, every) in KINDS.iter().enumerate() {
            if !has[kind] || kind == 8 && !clocks {
                continue;
            }
            let mut at_ms = 0;
            loop {
                at_ms += rng.between(1, 2 * *every as u64) as i64;
                if at_ms >= rough_ms {
                    break;
                }
                plan.faults.push(Planned { at_ms, fault: fault(kind, nodes, rng) });
            }
        }
        // Nobody but the lost disk may be alone with what was acknowledged.
        if plan.min_insync >= 2 && rng.chance(40) && loses_disks() {
            let at_ms = rng.below(rough_ms as u64) as i64;
            let (node, seed) = (rng.index(nodes as usize), rng.bits());
            let fault = Fault::Replace { node, seed, down_ms: [0, 1_000, 5_000][rng.index(3)] };
            plan.faults.push(Planned { at_ms, fault });
            (plan.replaces, plan.admin.votes) = (true, false);
        }
        if rng.chance(35) {
            (plan.transactors, plan.own_epochs) = (rng.between(1, 3) as u32, rng.chance(70));
        }
        plan.consumers = rng.chance(50);
        plan.add_rots(seed);
        plan.add_groups(seed);
        plan.faults.sort_by_key(|it| it.at_ms);
        plan
    }

    /// Some runs have a share group, some a streams group.
    fn add_groups(&mut self, seed: u64) {
        let mut rng = Rng::new(seed ^ 0x2545_f491_4f6c_dd1d);
        if rng.chance(SHARE_PERCENT) {
            self.sharers = rng.between(1, 3) as u32;
            self.lock_ms = [1_000, 3_000, 15_000][rng.index(3)];
            self.deliveries = [2, 5, 10][rng.index(3)];
        }
        if rng.chance(STREAMS_PERCENT) {
            self.threads = rng.between(1, 4) as u32;
        }
    }

    /// Has bits flip, in some runs. Of the copies that there are one is always good: so in none in which a disk is lost, or
    /// replicas move away.
    fn add_rots(&mut self, seed: u64) {
        let mut rng = Rng::new(seed ^ 0x517c_c1b7_2722_0a95);
        if self.replaces || self.admin.reassigns || !rng.chance(40) {
            return;
        }
        self.rots = true;
        let mut at_ms = 1_000;
        loop {
            at_ms += rng.between(1, 2 * ROT_MS) as i64;
            if at_ms >= self.rough_ms {
                return;
            }
            let node = rng.index(self.nodes as usize);
            let fault = Fault::Rot { node, draw: rng.bits(), down: rng.chance(30) };
            self.faults.push(Planned { at_ms, fault });
        }
    }
}

fn fault(kind: usize, nodes: i32, rng: &mut Rng) -> Fault {
    let node = rng.index(nodes as usize);
    let down_ms = [0, 200, 1_000, 5_000, 9_000][rng.index(5)];
    match kind {
        0 => Fault::End { node, power: rng.chance(50), down_ms },
        1 => Fault::EndAll { down_ms },
        2 => Fault::Freeze { node, ms: [50, 500, 2_000, 6_000][rng.index(4)] },
        3 => {
            let id = node as i32 + 1;
            let others = (1..=nodes).filter(|it| *it != id && !rng.chance(25)).collect();
            let ms = rng.between(100, 9_000) as i64;
            Fault::Cut { node, others, one_way: rng.chance(40), ms }
        }
        4 => Fault::Break { draw: rng.bits() },
        5 => Fault::Stall { node, ms: [5, 20, 100, 1_000][rng.index(4)] },
        6 => {
            let kind = [OpKind::Write, OpKind::Sync, OpKind::SyncDir][rng.index(3)];
            let skip = rng.below(if kind == OpKind::Write { 60 } else { 8 });
            Fault::FailDisk { node, kind, skip, sticky: rng.chance(30), down_ms }
        }
        7 => Fault::FillDisk { node, free: rng.below(3 << 20), ms: rng.between(200, 5_000) as i64 },
        8 => {
            let far = [100, 10_000, 3_600_000, 86_400_000][rng.index(4)];
            Fault::Jump { node, ms: if rng.chance(50) { far } else { -far } }
        }
        _ => Fault::Stop { node, down_ms },
    }
}
