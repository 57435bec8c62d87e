//! Files that nothing needs any more, unlinked when their time has come; or kept for segments to
//! come, which is the same for all that looks for them: see `recycling`.
//!
//! A large file is given back a part at a time, one part of all files at once: a file system gives a
//! gigabyte back in one go, and every durable write waits for that meanwhile. Its content is of use to a
//! start as long as it has its name, so it gets another one first, durably, among the recycled files.

use super::recycling::{self, Recycled};
use crate::storage::align::ALIGN;
use crate::storage::device::io::{FilePath, Op};
use crate::storage::device::outgoing::{Outgoing, Purpose};
use crate::storage::format::segment::{self, Segment};
use crate::storage::interface::Event;
use crate::storage::log::Log;
use crate::types::{TopicId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// When a file that could not be removed is tried again.
const TRY_AGAIN_MS: i64 = 10_000;
/// Removals under way at once, and unlinks in flight of each.
const UNDER_WAY: usize = 16;
const UNLINKS: usize = 16;
/// A part of a large file is at least one of so many of all that is to be given back: the more waits,
/// the faster it goes.
const PARTS: u64 = 1024;

/// A file that is to go.
#[derive(Debug)]
struct Doomed {
    path: FilePath,
    /// Bytes of it that another segment could use.
    recyclable: u64,
    /// Bytes at its start that are to be given back before it is unlinked.
    left: u64,
}

impl Doomed {
    /// Nothing of it has been given back, or is to be, under the name that it has.
    fn at_once((path, recyclable): (FilePath, u64)) -> Self {
        Self { path, recyclable, left: 0 }
    }
}

/// A file that is kept.
#[derive(Debug)]
struct Kept {
    from: FilePath,
    to: FilePath,
    bytes: u64,
    /// Only to be given back a part at a time.
    goes: bool,
}

/// Files that go together.
#[derive(Debug)]
struct Removal {
    /// Still to go.
    files: Vec<Doomed>,
    /// Could not go in this attempt.
    failed: Vec<Doomed>,
    /// Have another name, or are being renamed.
    kept: Vec<Kept>,
    /// Where they are.
    dir: FilePath,
    /// Of which log, by [`Log::id`]: another one may have its name by now.
    log: u64,
    tp: TopicPartition,
    /// With them goes the last that was left of its log.
    whole: bool,
    in_flight: usize,
    stage: RemovalStage,
    /// Its files are given back a part at a time.
    in_parts: bool,
    /// A part of the last of its files is on its way.
    part_in_flight: bool,
    /// A file is gone, perhaps not durably.
    unsynced: bool,
    /// One of the directories could not be synced.
    sync_failed: bool,
    when: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RemovalStage {
    Waits,
    Unlinks,
    /// Without this a power cut could bring files back that nothing knows any more.
    SyncsDir,
}

/// When files may go.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) enum When {
    /// At this time, ms.
    At(i64),
    /// When so many checkpoints are durable, and not before this time, ms.
    AfterCheckpoints(u64, i64),
}

/// All removals that are not finished.
#[derive(Debug, Default)]
pub(in crate::storage) struct Removals {
    all: BTreeMap<usize, Removal>,
    /// Those that wait for their time, by it.
    by_time: BTreeSet<(i64, usize)>,
    /// Those that wait for checkpoints, by their number.
    by_checkpoint: BTreeSet<(u64, usize)>,
    /// Of each log, by [`Log::id`], those that are not its last.
    partial: BTreeMap<u64, BTreeSet<usize>>,
    /// Those whose files are given back a part at a time, one after the other.
    in_parts: VecDeque<usize>,
    /// One of them is under way.
    giving_back: bool,
    /// Bytes of their files.
    backlog: u64,
    /// A part has so many bytes at least.
    part_bytes: u64,
    under_way: usize,
    last_number: usize,
    failures: u64,
    /// Some could not be removed in the stop, or not durably; or not by the life before.
    left_files: bool,
}

/// What the start of a removal depends on.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) struct Moment {
    pub now_ms: i64,
    /// Checkpoints that are durable.
    pub checkpoints: u64,
    /// In a stop nothing waits for its time.
    pub stopping: bool,
    /// The disk is full: space is to be given back at once.
    pub full: bool,
}

impl Moment {
    fn hurries(&self) -> bool {
        self.stopping || self.full
    }
}

impl Removals {
    /// None. A part of a large file has `part_bytes` at least.
    pub fn new(part_bytes: u64) -> Self {
        Self { part_bytes, ..Self::default() }
    }

    /// Whether every file is gone, durably.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether some wait for a checkpoint.
    pub fn wait_for_checkpoint(&self) -> bool {
        !self.by_checkpoint.is_empty()
    }

    /// Whether something was given up: a start is to do it.
    pub fn has_left_files(&self) -> bool {
        self.left_files
    }

    /// Operations that failed so far.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// The life before may have removed files and ended before that was durable: a power cut brings
    /// them back.
    pub fn some_may_come_back(&mut self) {
        self.left_files = true;
    }

    /// Takes segments of a log whose files are to go.
    pub fn add(&mut self, log: u64, tp: TopicPartition, segments: &[Segment], when: When) {
        if !segments.is_empty() {
            self.add_files(log, tp, files_of(tp, segments), when);
        }
    }

    /// Takes files of a log that are to go, with the bytes of each that another segment could use.
    pub fn add_files(
        &mut self,
        log: u64,
        tp: TopicPartition,
        files: Vec<(FilePath, u64)>,
        when: When,
    ) {
        if !files.is_empty() {
            let files = files.into_iter().map(Doomed::at_once).collect();
            self.insert((log, tp, segment::dir_of(tp)), files, false, when);
        }
    }

    /// Takes files that have a name among the recycled ones, and are too many there or never to be used;
    /// and their bytes.
    pub fn add_surplus(&mut self, files: Vec<(FilePath, u64)>, now_ms: i64) {
        if !files.is_empty() {
            let bytes = files.iter().map(|(_, bytes)| bytes).sum::<u64>();
            let files = files.into_iter();
            let files = files.map(|(path, left)| Doomed { path, recyclable: 0, left }).collect();
            // Of no log: their numbers begin at 1.
            let tp = TopicPartition { topic: TopicId([0; 16]), partition: 0 };
            let when = When::At(now_ms);
            self.backlog += bytes;
            self.insert((0, tp, recycling::DIR.into()), files, false, when);
        }
    }

    /// Takes all that is left of a log that was dropped durably.
    pub fn add_whole(&mut self, log: &Log, now_ms: i64) {
        let files = files_of(log.tp, &log.segments).into_iter();
        let mut files: Vec<Doomed> = files.map(Doomed::at_once).collect();
        // What waited for its time goes along. What a checkpoint was to forget first, too: the
        // durable `Drop` says more than a checkpoint.
        for number in self.partial.get(&log.id).into_iter().flatten() {
            let removal = self.all.get_mut(number).expect("it is not finished");
            if removal.stage == RemovalStage::Waits {
                files.append(&mut removal.files);
                forget_wait(&mut self.by_time, &mut self.by_checkpoint, removal.when, *number);
                removal.when = When::At(now_ms);
                self.by_time.insert((now_ms, *number));
            }
        }
        let delay = if files.is_empty() { 0 } else { log.config.file_delete_delay_ms };
        let of = (log.id, log.tp, segment::dir_of(log.tp));
        self.insert(of, files, true, When::At(now_ms + delay));
    }

    fn insert(
        &mut self,
        (log, tp, dir): (u64, TopicPartition, FilePath),
        files: Vec<Doomed>,
        whole: bool,
        when: When,
    ) {
        self.last_number += 1;
        let number = self.last_number;
        let in_parts = files.iter().any(|it| it.left > 0);
        if !whole {
            self.partial.entry(log).or_default().insert(number);
        }
        self.all.insert(
            number,
            Removal {
                files,
                failed: Vec::new(),
                kept: Vec::new(),
                dir,
                log,
                tp,
                whole,
                in_flight: 0,
                stage: RemovalStage::Waits,
                in_parts,
                part_in_flight: false,
                unsynced: false,
                sync_failed: false,
                when,
            },
        );
        match when {
            _ if in_parts => self.in_parts.push_back(number),
            When::At(due_ms) => _ = self.by_time.insert((due_ms, number)),
            When::AfterCheckpoints(checkpoints, _) => {
                self.by_checkpoint.insert((checkpoints, number));
            }
        }
    }

    /// Begins those whose time has come, a bounded number at once.
    pub fn start(
        &mut self,
        moment: Moment,
        recycled: &mut Recycled,
        out: &mut Outgoing,
        events: &mut Vec<Event>,
    ) {
        while let Some((checkpoints, number)) = self.by_checkpoint.first().copied()
            && checkpoints <= moment.checkpoints
        {
            self.by_checkpoint.pop_first();
            let removal = self.all.get_mut(&number).expect("it is not finished");
            if let When::AfterCheckpoints(_, due_ms) = removal.when {
                removal.when = When::At(due_ms);
                self.by_time.insert((due_ms, number));
            }
        }
        let mut behind_others = Vec::new();
        while self.under_way < UNDER_WAY
            && let Some((due_ms, number)) = self.by_time.first().copied()
            && (due_ms <= moment.now_ms || moment.stopping)
        {
            self.by_time.pop_first();
            // The last of a log goes after everything else of it: then nothing is left.
            let removal = &self.all[&number];
            if removal.whole && self.partial.contains_key(&removal.log) {
                behind_others.push((due_ms, number));
                continue;
            }
            self.begin(moment, number, recycled, out, events);
        }
        self.by_time.extend(behind_others);
        while (!self.giving_back || moment.hurries() && self.under_way < UNDER_WAY)
            && let Some(number) = self.in_parts.pop_front()
        {
            self.giving_back = true;
            self.begin(moment, number, recycled, out, events);
        }
    }

    fn begin(
        &mut self,
        moment: Moment,
        number: usize,
        recycled: &mut Recycled,
        out: &mut Outgoing,
        events: &mut Vec<Event>,
    ) {
        self.under_way += 1;
        let removal = self.all.get_mut(&number).expect("it is not finished");
        removal.stage = RemovalStage::Unlinks;
        self.go_on(moment, number, recycled, out, events);
    }

    /// Takes in that an operation of a removal ended, well or not. A file that could not be removed
    /// is tried again later; in a stop it is left to the sweep of a start.
    pub fn step(
        &mut self,
        moment: Moment,
        number: usize,
        done: Result<FilePath, FilePath>,
        recycled: &mut Recycled,
        out: &mut Outgoing,
        events: &mut Vec<Event>,
    ) {
        let removal = self.all.get_mut(&number).expect("it waits for this operation");
        removal.in_flight -= 1;
        let (Ok(path) | Err(path)) = &done;
        let part = removal.files.last().is_some_and(|last| last.path == *path);
        if part {
            removal.part_in_flight = false;
        }
        match (done, removal.stage) {
            (Ok(_), RemovalStage::SyncsDir) => {}
            (Ok(_), _) => removal.unsynced = true,
            (Err(_), RemovalStage::SyncsDir) => {
                self.failures += 1;
                removal.sync_failed = true;
            }
            (Err(path), _) => {
                self.failures += 1;
                if let Some(at) = removal.kept.iter().position(|kept| kept.from == path) {
                    let Kept { bytes, goes, .. } = removal.kept.swap_remove(at);
                    if !goes {
                        recycled.lost(bytes);
                    }
                }
                if let Some(last) = removal.files.last_mut().filter(|_| part) {
                    self.backlog -= std::mem::take(&mut last.left);
                } else {
                    removal.failed.push(Doomed::at_once((path, 0)));
                }
            }
        }
        self.go_on(moment, number, recycled, out, events);
    }

    fn go_on(
        &mut self,
        moment: Moment,
        number: usize,
        recycled: &mut Recycled,
        out: &mut Outgoing,
        events: &mut Vec<Event>,
    ) {
        let removal = self.all.get_mut(&number).expect("it is under way");
        if removal.stage == RemovalStage::Unlinks {
            let part = (self.backlog / PARTS).max(self.part_bytes) / ALIGN as u64 * ALIGN as u64;
            while !removal.part_in_flight
                && removal.in_flight < UNLINKS
                && let Some(Doomed { path, recyclable, left }) = removal.files.pop()
            {
                removal.in_flight += 1;
                let purpose = Purpose::Removal(number, path.clone());
                if left > part && !moment.hurries() {
                    let rest = left - part;
                    self.backlog -= part;
                    let op = Op::Release { path: path.clone(), pos: rest, len: part };
                    removal.files.push(Doomed { path, recyclable, left: rest });
                    removal.part_in_flight = true;
                    out.submit(purpose, op);
                    continue;
                }
                self.backlog -= left;
                let large = recyclable > part && !moment.hurries();
                let kept = recycled.want(recyclable).map(|to| (to, false));
                let kept = kept.or_else(|| large.then(|| (recycled.new_name(), true)));
                let op = match kept {
                    Some((to, goes)) => {
                        let from = path.clone();
                        removal.kept.push(Kept { from, to: to.clone(), bytes: recyclable, goes });
                        Op::Rename { from: path, to }
                    }
                    None => Op::Unlink { path },
                };
                out.submit(purpose, op);
            }
            if removal.in_flight > 0 {
                return;
            }
            removal.stage = RemovalStage::SyncsDir;
            removal.sync_failed = false;
            if removal.unsynced {
                // The new names first: a file that is kept has one all the time.
                let kept = (!removal.kept.is_empty()).then(|| recycling::DIR.into());
                for path in kept.into_iter().chain([removal.dir.clone()]) {
                    removal.in_flight += 1;
                    out.submit(Purpose::Removal(number, path.clone()), Op::SyncDir { path });
                }
            }
        }
        if removal.in_flight > 0 {
            return;
        }
        removal.unsynced &= removal.sync_failed;
        let mut go = Vec::new();
        if !removal.unsynced || moment.stopping {
            for Kept { to, bytes, goes, .. } in removal.kept.drain(..) {
                match (removal.unsynced, goes) {
                    (true, true) => {}
                    (true, false) => recycled.lost(bytes),
                    (false, true) => go.push((to, bytes)),
                    (false, false) => recycled.came(to, bytes),
                }
            }
        }
        self.under_way -= 1;
        if std::mem::take(&mut removal.in_parts) {
            self.giving_back = false;
        }
        let failed = removal.unsynced || !removal.failed.is_empty();
        self.add_surplus(go, moment.now_ms);
        let removal = self.all.get_mut(&number).expect("it is under way");
        if failed && !moment.stopping {
            removal.files = std::mem::take(&mut removal.failed);
            // Those that are kept wait for the directories to be synced.
            removal.stage = RemovalStage::Waits;
            let due_ms = moment.now_ms + TRY_AGAIN_MS;
            removal.when = When::At(due_ms);
            self.by_time.insert((due_ms, number));
            return;
        }
        self.left_files |= failed;
        let removal = self.all.remove(&number).expect("it is under way");
        if removal.whole {
            // What is left is of a topic that is still being deleted, as far as anybody knows.
            if !failed {
                events.push(Event::Dropped { tp: removal.tp });
            }
        } else if let Some(others) = self.partial.get_mut(&removal.log) {
            others.remove(&number);
            if others.is_empty() {
                self.partial.remove(&removal.log);
            }
        }
        self.start(moment, recycled, out, events);
    }
}

fn forget_wait(
    by_time: &mut BTreeSet<(i64, usize)>,
    by_checkpoint: &mut BTreeSet<(u64, usize)>,
    when: When,
    number: usize,
) {
    match when {
        When::At(due_ms) => by_time.remove(&(due_ms, number)),
        When::AfterCheckpoints(checkpoints, _) => by_checkpoint.remove(&(checkpoints, number)),
    };
}

/// The files of segments, and the bytes of each that another segment could use. The index file may be
/// there from before a crash though nothing knows of it.
pub(in crate::storage) fn files_of(
    tp: TopicPartition,
    segments: &[Segment],
) -> Vec<(FilePath, u64)> {
    let of = |s: &Segment| [(s.path(tp), s.recyclable()), (s.index_path(tp), 0)];
    segments.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::format::block::Journal;
    use crate::storage::log::LogConfig;

    const KIB: u64 = 1 << 10;

    struct Rig {
        removals: Removals,
        recycled: Recycled,
        out: Outgoing,
        moment: Moment,
        tp: TopicPartition,
    }

    impl Rig {
        fn new() -> Self {
            let journal = Journal { directory_id: [1; 16], life: 3, shard: 2 };
            Self {
                removals: Removals::new(8 * KIB),
                recycled: Recycled::new(journal, 1 << 20),
                out: Outgoing::default(),
                moment: Moment { now_ms: 0, checkpoints: 0, stopping: false, full: false },
                tp: TopicPartition { topic: TopicId([7; 16]), partition: 0 },
            }
        }

        /// A log with segments of so many bytes goes.
        fn drop_log(&mut self, segments: &[u64]) {
            let mut log = Log::new(self.tp, LogConfig::none());
            log.id = 1;
            log.config.file_delete_delay_ms = 0;
            for (i, length) in segments.iter().enumerate() {
                let mut segment = Segment::new(i as i64 * 10, i as u64, 0, 4096);
                segment.meta.length = *length;
                log.segments.push(segment);
            }
            self.removals.add_whole(&log, 0);
            let Self { removals, recycled, out, moment, .. } = self;
            removals.start(*moment, recycled, out, &mut Vec::new());
        }

        /// What is asked for at once; all of it ends well, but for parts where these are `refused`.
        fn round(&mut self, refused: bool) -> Vec<Op> {
            let asked = self.out.take();
            for it in &asked {
                let answered = self.out.answered(it.id, &Ok(()), false);
                let Some(Purpose::Removal(number, path)) = answered else {
                    unreachable!("nothing else is under way")
                };
                let fails = refused && matches!(it.op, Op::Release { .. });
                let done = if fails { Err(path) } else { Ok(path) };
                let Self { removals, recycled, out, moment, .. } = self;
                removals.step(*moment, number, done, recycled, out, &mut Vec::new());
            }
            asked.into_iter().map(|it| it.op).collect()
        }
    }

    #[test]
    fn a_large_file_goes_a_part_at_a_time_when_it_has_another_name() {
        let mut rig = Rig::new();
        rig.drop_log(&[40 * KIB, 8 * KIB]);
        let named = rig.round(false);
        let renamed = |op: &&Op| matches!(op, Op::Rename { .. });
        let unlinked = |op: &&Op| matches!(op, Op::Unlink { .. });
        assert_eq!(named.iter().filter(renamed).count(), 1, "{named:?}");
        assert_eq!(named.iter().filter(unlinked).count(), 3, "{named:?}");
        let synced = rig.round(false);
        assert!(synced.iter().all(|op| matches!(op, Op::SyncDir { .. })), "{synced:?}");
        for left in [32, 24, 16, 8] {
            let part = rig.round(false);
            let [Op::Release { pos, len, .. }] = &part[..] else { panic!("{part:?}") };
            assert_eq!((*pos, *len), (left * KIB, 8 * KIB));
        }
        assert!(matches!(&rig.round(false)[..], [Op::Unlink { .. }]));
        assert!(matches!(&rig.round(false)[..], [Op::SyncDir { .. }]));
        assert!(rig.removals.is_empty() && rig.round(false).is_empty());
        assert_eq!(rig.removals.backlog, 0);
    }

    #[test]
    fn one_part_of_all_files_goes_at_once_and_larger_ones_where_more_waits() {
        let mut rig = Rig::new();
        rig.drop_log(&[40 * KIB, 1 << 30, 1 << 30]);
        rig.round(false);
        rig.round(false);
        let (mut parts, mut largest) = (0, 0);
        loop {
            let asked = rig.round(false);
            let releases = asked.iter().filter_map(|op| match op {
                Op::Release { len, .. } => Some(*len),
                _ => None,
            });
            let of_round: Vec<_> = releases.collect();
            assert!(of_round.len() <= 1, "{asked:?}");
            parts += of_round.len();
            largest = largest.max(of_round.first().copied().unwrap_or(0));
            if asked.is_empty() {
                break;
            }
        }
        assert!(rig.removals.is_empty());
        assert_eq!((largest, rig.removals.backlog), (2 << 20, 0));
        assert!((1024..16 * 1024).contains(&parts), "{parts} parts");
    }

    #[test]
    fn nothing_goes_in_parts_where_space_is_needed_or_that_is_refused() {
        for (stopping, full) in [(true, false), (false, true)] {
            let mut rig = Rig::new();
            rig.moment = Moment { stopping, full, ..rig.moment };
            rig.drop_log(&[40 * KIB, 1 << 30]);
            let asked = rig.round(false);
            assert!(asked.iter().all(|op| matches!(op, Op::Unlink { .. })), "{asked:?}");
        }
        let mut rig = Rig::new();
        rig.drop_log(&[40 * KIB]);
        rig.round(true);
        rig.round(true);
        assert!(matches!(&rig.round(true)[..], [Op::Release { .. }]));
        assert!(matches!(&rig.round(true)[..], [Op::Unlink { .. }]));
        rig.round(true);
        assert_eq!((rig.removals.is_empty(), rig.removals.backlog), (true, 0));
    }
}
