//! A random life of a broker, and how it ends.

use crate::model::{Drop, LogModel};
use crate::reads;
use crate::space;
use crate::world::{Crash, Sizes, World};
use klamm::storage::device::sim_disk::{Fault, OpKind};
use klamm::storage::log::{Compaction, LogConfig};
use klamm::types::TopicPartition;

/// What is done to a run from outside, besides what its seed chooses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meddling {
    /// The power goes at this operation.
    pub cut_at: Option<u64>,
    /// This operation fails.
    pub fail_at: Option<u64>,
    /// No other crashes than the above.
    pub calm: bool,
}

/// What a run was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub trace: u64,
    pub ops: u64,
    pub faults: u64,
    pub appended: u64,
    pub rounds: u64,
    /// Bytes that went past the journal.
    pub direct: u64,
    /// Passes of compaction.
    pub passes: u64,
}

/// Which things happen how often in this seed.
struct Mix {
    truncates: bool,
    relaxed: bool,
    huge: bool,
    pushy: bool,
    /// Much goes past the journal, into files that are soon used again.
    bulk: bool,
    /// Most logs are compacted, and there is time for it.
    compacts: bool,
    /// Logs follow a leader's, some of the time.
    follows: bool,
}

fn random_sizes(world: &mut World, mix: &Mix) -> Sizes {
    let mut sizes = Sizes::random(&mut world.rng);
    if mix.bulk {
        sizes.direct_bytes = 512 << world.rng.below(4);
        sizes.recycle_bytes = 4096;
        sizes.journal_bytes = (16 << 10) << world.rng.below(4);
        sizes.max_block = sizes.max_block.max(32 << 10);
    }
    sizes
}

fn random_config(world: &mut World, mix: &Mix) -> LogConfig {
    let rng = &mut world.rng;
    let compaction = Compaction {
        min_cleanable_ratio: [0.0, 0.0, 0.4][rng.index(3)],
        min_lag_ms: [0, 0, 200][rng.index(3)],
        max_lag_ms: [i64::MAX, 400][rng.index(2)],
        delete_retention_ms: [0, 300, 4000][rng.index(3)],
    };
    if rng.chance(if mix.compacts { 80 } else { 25 }) {
        return LogConfig {
            segment_bytes: (4 << 10) << rng.below(if mix.compacts { 2 } else { 5 }),
            segment_ms: [100, 2000, i64::MAX][rng.index(3)],
            retention_bytes: [-1, -1, 60_000][rng.index(3)],
            file_delete_delay_ms: [0, 0, 700][rng.index(3)],
            compaction: Some(compaction),
            ..LogConfig::none()
        };
    }
    if mix.bulk && rng.chance(70) {
        return LogConfig {
            segment_bytes: (8 << 10) << rng.below(4),
            retention_bytes: [20_000, 60_000][rng.index(2)],
            file_delete_delay_ms: [0, 0, 50][rng.index(3)],
            ..LogConfig::none()
        };
    }
    LogConfig {
        segment_bytes: (4 << 10) << rng.below(7),
        segment_ms: [100, 2000, i64::MAX][rng.index(3)],
        segment_jitter_ms: [0, 50][rng.index(2)],
        index_interval_bytes: [0, 4096, 16384][rng.index(3)],
        retention_ms: [-1, -1, 500, 3000][rng.index(4)],
        retention_bytes: [-1, -1, 20_000, 200_000][rng.index(4)],
        flush_messages: if mix.relaxed && rng.chance(30) { 100 } else { 1 },
        flush_ms: 1000,
        file_delete_delay_ms: [0, 0, 700][rng.index(3)],
        compaction: None,
    }
}

fn create_some(world: &mut World, mix: &Mix) {
    let topic = world.new_topic();
    for partition in 0..world.rng.between(1, 4) as i32 {
        let config = random_config(world, mix);
        let own_frames = mix.truncates && !config.relaxed() && world.rng.chance(50);
        let tp = TopicPartition { topic, partition };
        world.create(tp, config, own_frames);
        let follows = mix.follows && world.rng.chance(60);
        world.model.logs.get_mut(&tp).expect("just created").follows = follows;
    }
}

fn append_some(world: &mut World, mix: &Mix) {
    let live = world.model.live();
    if live.is_empty() {
        return;
    }
    // Some logs get most of it, so that others stay nearly idle.
    let favourite = world.rng.chance(60);
    let index =
        if favourite { world.rng.index(live.len().min(2)) } else { world.rng.index(live.len()) };
    let tp = live[index];
    let Some((shard, _)) = world.find(tp) else { return };
    for _ in 0..world.rng.between(1, 4) {
        if !mix.pushy && !world.engines[shard].admits(false) {
            return;
        }
        let bytes = match world.rng.below(100) {
            0 if mix.huge => world.rng.between(1 << 20, 1300 << 10),
            0..=3 => world.rng.between(20 << 10, 200 << 10),
            4..=25 => world.rng.between(1500, 20 << 10),
            26..=70 if mix.bulk => world.rng.between(1000, 12 << 10),
            _ => world.rng.between(100, 1500),
        };
        let log = &world.model.logs[&tp];
        if log.follows {
            let count = if log.own_frames { 1 } else { world.rng.between(1, 4) };
            world.append_frame(tp, count, bytes as usize);
        } else {
            let records = world.rng.between(1, 5);
            world.append(tp, records, bytes as usize);
        }
    }
}

fn step(world: &mut World, mix: &Mix) {
    let live = world.model.live();
    let some = if live.is_empty() { None } else { Some(live[world.rng.index(live.len())]) };
    if mix.compacts && world.rng.chance(20) {
        // Nothing is written meanwhile.
        world.settle();
        world.pass_time(100);
        return if world.rng.chance(60) { world.settle() } else { world.turn_all() };
    }
    match world.rng.below(100) {
        0..=29 => append_some(world, mix),
        30..=44 => world.turn_all(),
        45..=69 => {
            for _ in 0..world.rng.between(1, 12) {
                if !world.complete_one() || world.over() {
                    break;
                }
            }
        }
        80..=84 => {
            let ms = [1, 20, 300, 2000][world.rng.index(4)];
            world.pass_time(ms);
        }
        85..=88 => {
            let Some(tp) = some else { return };
            let Some((shard, slot)) = world.find(tp) else { return };
            let offsets = world.engines[shard].offsets(slot);
            let room = (offsets.durable_end - offsets.start + 1) as u64;
            let some = world.rng.below(room) as i64;
            let most = mix.bulk && world.rng.chance(60);
            let offset = if most { offsets.durable_end } else { offsets.start + some };
            world.set_log_start(tp, offset);
        }
        89..=90 if mix.truncates => {
            let Some(tp) = some.filter(|tp| world.model.logs[tp].own_frames) else { return };
            let Some((shard, slot)) = world.find(tp) else { return };
            let start = world.engines[shard].offsets(slot).start;
            let log = &world.model.logs[&tp];
            let cuts: Vec<i64> = log
                .current
                .iter()
                .map(|b| b.base)
                .filter(|base| *base >= start.max(log.stable))
                .collect();
            if !cuts.is_empty() {
                let cut = cuts[world.rng.index(cuts.len())];
                world.truncate(tp, cut);
            }
        }
        91 if mix.follows => {
            let log = some.map(|tp| &world.model.logs[&tp]);
            let Some(log) = log.filter(|log| log.follows && !log.is_compacted()) else { return };
            let (tp, relaxed) = (log.tp, log.config.relaxed());
            let Some((shard, slot)) = world.find(tp).filter(|_| !relaxed) else { return };
            let offsets = world.engines[shard].offsets(slot);
            let room = (offsets.end - offsets.start + 20) as u64;
            let offset = offsets.start + world.rng.below(room) as i64;
            // As one that leads again, and appends itself.
            if offset > 0 && !world.restart_at(tp, offset) {
                world.model.logs.get_mut(&tp).expect("a live log").follows = false;
            }
        }
        92 => {
            if let Some(tp) = some {
                let metadata = world.rng.chance(50);
                world.drop_log(tp, metadata);
            }
        }
        93 if live.len() < 12 => {
            let logs = world.model.logs.values();
            let gone: Vec<_> = logs
                .filter(|l| l.drop == Drop::Done && !world.deleting.contains(&l.tp.topic))
                .map(|l| l.tp)
                .collect();
            match gone.first() {
                Some(tp) if world.rng.chance(60) => world.create_again(*tp),
                _ => create_some(world, mix),
            }
        }
        94 => {
            let Some(tp) = some else { return };
            let mut config = random_config(world, mix);
            config.flush_messages = world.model.logs[&tp].config.flush_messages;
            config.compaction = world.model.logs[&tp].config.compaction;
            if let Some((shard, slot)) = world.find(tp) {
                world.engines[shard].configure(slot, &config);
                let log = world.model.logs.get_mut(&tp).expect("a live log");
                (log.config, log.reconfigured) = (config, true);
            }
        }
        95..=96 => world.settle(),
        _ => reads::some(world),
    }
}

/// Runs a seed to its end, which is where it panics if the storage did wrong.
pub fn run(world: &mut World, seed: u64, meddling: Meddling) -> Outcome {
    let mix = Mix {
        truncates: seed % 3 == 0,
        relaxed: seed % 5 == 1,
        huge: seed % 4 == 2,
        pushy: seed % 7 == 3,
        bulk: seed % 2 == 0,
        compacts: seed % 5 == 2,
        follows: seed % 4 == 1,
    };
    let faulty = !meddling.calm && seed % 8 == 7;
    world.faulty = faulty || meddling.fail_at.is_some();
    let (mut rounds, mut direct, mut passes) = (0, 0, 0);
    let lives = world.rng.between(2, 5);
    for life in 0..lives {
        world.sizes = random_sizes(world, &mix);
        let shards = world.rng.between(1, 3) as u16;
        if life == 0 {
            world.disk.set_fuel(meddling.cut_at);
            if let Some(skip) = meddling.fail_at {
                let prefix = String::new();
                world.disk.set_fault(Some(Fault { kind: None, prefix, skip, count: 1 }));
            }
        }
        let cuts = if !meddling.calm && world.rng.chance(30) { world.rng.between(1, 3) } else { 0 };
        open(world, shards, cuts, life == 0 && meddling.calm);
        if life == 0 && world.model.logs.is_empty() && !world.over() {
            create_some(world, &mix);
        }
        if !meddling.calm && world.rng.chance(45) {
            let most = if mix.bulk { 1200 } else { 400 };
            world.disk.set_fuel(Some(world.rng.below(most)));
        }
        if faulty {
            let kinds = [
                None,
                Some(OpKind::Write),
                Some(OpKind::Sync),
                Some(OpKind::SyncDir),
                Some(OpKind::Read),
                Some(OpKind::Unlink),
            ];
            let kind = kinds[world.rng.index(kinds.len())];
            // Once, or from then on; anywhere, or below one directory.
            let skip = world.rng.below(150);
            let count = [1, 1, u64::MAX][world.rng.index(3)];
            let prefix = ["", "", "journal/", "topics/", "checkpoint/"][world.rng.index(5)];
            let prefix = prefix.to_owned();
            world.disk.set_fault(Some(Fault { kind, prefix, skip, count }));
        }
        let (least, most) = if mix.bulk { (80, 260) } else { (30, 130) };
        for _ in 0..world.rng.between(least, most) {
            if world.over() {
                break;
            }
            step(world, &mix);
            world.invariants();
        }
        rounds += world.engines.iter().map(|e| e.stats().rounds).sum::<u64>();
        direct += world.engines.iter().map(|e| e.stats().direct_bytes).sum::<u64>();
        passes += world.engines.iter().map(|e| e.stats().compaction_passes).sum::<u64>();
        end_life(world, meddling.calm);
    }
    world.faulty = false;
    world.disk.set_fault(None);
    world.disk.set_fuel(None);
    // What is left in the end: after an open that sweeps, and whatever was due.
    world.sizes = Sizes::random(&mut world.rng);
    world.open(2, 0);
    world.settle();
    // Retention, then the delay before files go; each pass of compaction has some that go.
    let compacted = world.model.logs.values().any(LogModel::is_compacted);
    for _ in 0..if compacted { 20 } else { 3 } {
        world.pass_time(100_000);
        world.settle();
    }
    // A start makes up for what could not be removed, after a crash and after a stop.
    space::check(world);
    assert!(world.stop(), "a stop with nothing in its way");
    world.open(1, 0);
    assert!(world.report.clean && world.report.blocks == 0, "a clean start replays nothing");
    space::check(world);
    let appended = world.model.next_token;
    let (trace, ops) = (world.disk.trace_hash(), world.disk.ops());
    let faults = world.disk.faults_hit();
    Outcome { trace, ops, faults, appended, rounds, direct, passes }
}

/// Opens; under `meddled` limits set by the caller stay in force for the first attempt.
fn open(world: &mut World, shards: u16, cuts: u64, meddled: bool) {
    if meddled {
        if world.try_open(shards).is_err() {
            if !world.disk.is_off() {
                assert!(world.disk.faults_hit() > 0, "does not open");
            }
            world.disk.process_crash();
            world.disk.restart();
        } else {
            return;
        }
    }
    world.open(shards, cuts);
}

fn end_life(world: &mut World, calm: bool) {
    if world.failed {
        let how = if world.rng.chance(50) { Crash::Power } else { Crash::Process };
        world.crash(how);
        return;
    }
    if world.disk.is_off() {
        world.crash(Crash::Power);
        return;
    }
    match world.rng.below(100) {
        0..=59 if !calm => world.crash(Crash::Power),
        60..=69 if !calm => world.crash(Crash::Process),
        _ => {
            let clean = world.stop();
            if !clean {
                let how = if world.rng.chance(50) || world.disk.is_off() {
                    Crash::Power
                } else {
                    Crash::Process
                };
                world.crash(how);
            } else if world.rng.chance(50) && !calm {
                world.crash(Crash::Power);
            } else {
                // The next open follows a clean stop.
                world.disk.restart();
            }
        }
    }
}
