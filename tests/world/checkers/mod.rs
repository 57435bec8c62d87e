//! What must hold, one file each. They hear what clients ask and what they are told.

pub mod commits;
pub mod generations;
pub mod records;
pub mod space;
pub mod topics;

use std::collections::BTreeSet;

/// Everything that is known of a broker from outside.
#[derive(Default)]
pub struct Facts {
    pub topics: topics::Topics,
    pub records: records::Records,
    pub commits: commits::Commits,
    pub generations: generations::Generations,
    /// Producer ids that were given out: nobody gets one twice.
    pub producer_ids: BTreeSet<i64>,
    pub counts: Counts,
    /// Counts all that is sent and answered, for what is before what.
    pub moment: u64,
    /// Counts lives.
    pub life: u64,
    /// The latest that the wall's clock has ever shown, ms.
    pub wall_ms_max: i64,
    /// All that time is to take has gone: consumers look whether it has.
    pub all_is_old: bool,
    /// Until then, nobody writes.
    pub silent_until_ms: i64,
    /// Appends may be refused, since others fill the disk now and then.
    pub disk_fills_up: bool,
}

/// What happened, so that coverage can be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub lives: u64,
    pub requests: u64,
    pub answers: u64,
    pub lost: u64,
    pub operations: u64,
    pub faults: u64,
    pub power_cuts: u64,
    pub crashes: u64,
    pub clean_ends: u64,
    pub fatal: u64,
    pub refused: u64,
    pub acknowledged: u64,
    pub read: u64,
    pub retries: u64,
    pub begun_anew: u64,
    pub full: u64,
    pub storage_errors: u64,
    pub sessions: u64,
    pub incremental: u64,
    pub long_polls: u64,
    pub moved_sessions: u64,
    pub deletes: u64,
    pub topics: u64,
    pub recreated: u64,
    pub rebalances: u64,
    /// Static members that came back under another id, and commits of what they were before.
    pub replaced: u64,
    pub fenced: u64,
    pub commits: u64,
    pub commits_fetched: u64,
    pub clock_jumps: u64,
    pub stalls: u64,
    pub retained: u64,
    /// Logs of which time has taken all.
    pub aged: u64,
    pub by_time: u64,
    /// Passes of compaction, and records that readers missed after them.
    pub compactions: u64,
    pub compacted: u64,
    pub epochs: u64,
    pub outputs_max: u64,
    /// Steps of the seed that took most.
    pub steps_max: u64,
}

impl Counts {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        macro_rules! sum {
            ($($name:ident)*) => { $(self.$name += other.$name;)* };
        }
        sum!(lives requests answers lost operations faults power_cuts crashes clean_ends fatal refused
            acknowledged read retries begun_anew full storage_errors sessions incremental long_polls
            moved_sessions deletes topics recreated rebalances replaced fenced commits commits_fetched clock_jumps stalls
            retained aged by_time compactions compacted epochs);
        self.outputs_max = self.outputs_max.max(other.outputs_max);
        self.steps_max = self.steps_max.max(other.steps_max);
    }
}

impl Counts {
    /// What should happen did happen, over all runs.
    pub fn check(&self) {
        let all = [
            ("power cuts", self.power_cuts),
            ("crashes of the process", self.crashes),
            ("clean ends", self.clean_ends),
            ("failed operations", self.faults),
            ("processes that gave up", self.fatal),
            ("connections that were refused", self.refused),
            ("batches that were sent again", self.retries),
            ("appends that found the disk full", self.full),
            ("fetches that met a failed disk", self.storage_errors),
            ("fetch sessions", self.sessions),
            ("sessions on another shard", self.moved_sessions),
            ("deletions of records", self.deletes),
            ("topics that were created again", self.recreated),
            ("records that retention took", self.retained),
            ("logs of which time has taken all", self.aged),
            ("searches by time", self.by_time),
            ("passes of compaction", self.compactions),
            ("records that compaction took", self.compacted),
            ("ends of epochs", self.epochs),
            ("rebalances", self.rebalances),
            ("static members that came back", self.replaced),
            ("commits that were fenced", self.fenced),
            ("committed offsets that were fetched", self.commits_fetched),
            ("clocks that were set", self.clock_jumps),
            ("disks that stalled", self.stalls),
        ];
        for (what, count) in all {
            assert!(count > 0, "there were no {what}");
        }
    }
}

impl Facts {
    /// A moment later than all before.
    pub fn next_moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// The process has ended: nothing that it had under way happens any more.
    pub fn life_ended(&mut self) {
        let moment = self.next_moment();
        self.records.life_ended();
        self.commits.life_ended(moment);
        self.generations.life_ended();
    }

    /// A producer id was given out.
    pub fn producer_id(&mut self, id: i64) {
        assert!(self.producer_ids.insert(id), "producer id {id} is given out twice");
    }
}
