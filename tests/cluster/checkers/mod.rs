//! What must hold, one file each, and what happened, so that coverage can be seen.

pub mod images;
pub mod log;
pub mod offsets;
pub mod share;
pub mod tasks;
pub mod topics;
pub mod transactions;

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub acknowledged: u64,
    pub read: u64,
    pub retries: u64,
    pub refused: u64,
    pub commits: u64,
    pub rebalances: u64,
    pub member_epochs: u64,
    pub kills: u64,
    pub power_cuts: u64,
    pub freezes: u64,
    pub cuts: u64,
    pub failed_disks: u64,
    pub lost_disks: u64,
    pub full_disks: u64,
    pub rots: u64,
    pub damaged: u64,
    pub repaired: u64,
    pub jumps: u64,
    pub stops: u64,
    pub leaders: u64,
    pub controllers: u64,
    pub topics: u64,
    pub partitions_added: u64,
    pub reassigned: u64,
    pub cancelled: u64,
    pub elections: u64,
    pub settings: u64,
    pub records_deleted: u64,
    pub votes: u64,
    pub committed: u64,
    pub aborted: u64,
    pub fenced: u64,
    pub zombies: u64,
    pub offsets_in_transactions: u64,
    pub read_committed: u64,
    pub rotations: u64,
    pub delivered: u64,
    pub settled: u64,
    pub given_back: u64,
    pub redelivered: u64,
    pub used_up: u64,
    pub share_sessions_lost: u64,
    pub sharers_gone: u64,
    pub deliveries_not_judged: u64,
    pub tasks: u64,
    pub tasks_given_up: u64,
    pub threads_gone: u64,
    pub threads_fenced: u64,
    pub steps_max: u64,
    pub settle_ms_max: u64,
}

macro_rules! each {
    ($macro:ident) => {
        $macro!(acknowledged read retries refused commits rebalances member_epochs kills power_cuts freezes cuts
            failed_disks lost_disks full_disks rots damaged repaired jumps stops leaders controllers topics partitions_added reassigned
            cancelled elections settings records_deleted votes committed aborted fenced zombies
            offsets_in_transactions read_committed rotations delivered settled given_back redelivered used_up
            share_sessions_lost sharers_gone deliveries_not_judged tasks tasks_given_up threads_gone threads_fenced)
    };
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        macro_rules! sum {
            ($($name:ident)*) => { $(self.$name += other.$name;)* };
        }
        each!(sum);
        self.steps_max = self.steps_max.max(other.steps_max);
        self.settle_ms_max = self.settle_ms_max.max(other.settle_ms_max);
    }

    /// What should happen and never did, over all runs.
    pub fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        macro_rules! look {
            ($($name:ident)*) => { $(if self.$name == 0 { missing.push(stringify!($name)); })* };
        }
        each!(look);
        missing.retain(|it| *it != "lost_disks" || crate::plan::loses_disks());
        missing
    }
}
