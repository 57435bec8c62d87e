//! A file system that a seed determines, for tests.
//!
//! It has two sides. Reads see the *volatile* one, which an operation changes when it completes.
//! [`SimDisk::power_cut`] leaves the *durable* one: what a sync covered, and of the rest what chance
//! keeps. Bytes survive by sector and in any order, lengths and names on their own; an overwritten
//! sector is old or new. A sync covers what had completed when it was submitted, nothing else.
//!
//! An operation that breaks a rule of [`Op`] which the real disk could not tell from luck (two
//! writes to the same bytes in flight, two submissions with one id) panics.

mod outcome;
mod rng;
#[cfg(test)]
mod tests;

use super::io::{Completion, Entry, FilePath, Op, Submission};
use crate::storage::buffer::{ALIGN, AlignedBuf, Budget};
use bytes::Bytes;
use outcome::{
    Change, NameChange, NameKind, Names, Node, has_children, is_below, move_children, parent,
    surviving_bytes, surviving_names,
};
pub use rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// What an operation is, to choose which ones fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// `MakeDir`.
    MakeDir,
    /// `Create`.
    Create,
    /// `Write`, and the first half of `WriteSync`.
    Write,
    /// `Release`.
    Release,
    /// `Sync`, and the second half of `WriteSync`.
    Sync,
    /// `SyncDir`.
    SyncDir,
    /// `Rename`.
    Rename,
    /// `Unlink`.
    Unlink,
    /// `RemoveDir`.
    RemoveDir,
    /// `Read`.
    Read,
}

impl OpKind {
    fn of(op: &Op) -> Self {
        match op {
            Op::MakeDir { .. } => Self::MakeDir,
            Op::Create { .. } => Self::Create,
            Op::Write { .. } | Op::WriteSync { .. } => Self::Write,
            Op::Release { .. } => Self::Release,
            Op::Sync { .. } => Self::Sync,
            Op::SyncDir { .. } => Self::SyncDir,
            Op::Rename { .. } => Self::Rename,
            Op::Unlink { .. } => Self::Unlink,
            Op::RemoveDir { .. } => Self::RemoveDir,
            Op::Read { .. } => Self::Read,
        }
    }
}

/// Which operations fail with EIO: of those that match, the first `skip` do not, the next `count`
/// do; `u64::MAX` is a disk that stays broken there. A write that fails may have changed some sectors; a sync that fails has made some sectors
/// durable and lost the others for good, whatever a later sync says. A failed `SyncDir` has made
/// some names durable; the others wait for the next one.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Only operations of this kind; `None` is all.
    pub kind: Option<OpKind>,
    /// Only paths that start with this.
    pub prefix: String,
    /// Matching operations that still succeed.
    pub skip: u64,
    /// Matching operations that fail after these.
    pub count: u64,
}

/// The simulated disk. Clones share it.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rng: Rng,
    /// Counts submissions and completions; orders them.
    clock: u64,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    volatile: Names,
    durable: Names,
    changes: Vec<NameChange>,
    flights: Vec<Flight>,
    off: bool,
    fuel: Option<u64>,
    fault: Option<Fault>,
    /// Files, writes that still go where they should, and how far the next one goes wrong.
    misdirected: Option<(String, u64, u64)>,
    faults_hit: u64,
    capacity: u64,
    used: u64,
    ops: u64,
    trace: u64,
    log: Option<Vec<String>>,
    /// What reads are charged to.
    budget: Arc<Budget>,
}

/// See [`SimDisk::snapshot`].
#[derive(Clone, Debug)]
pub struct Snapshot {
    inodes: BTreeMap<u64, Inode>,
    volatile: Names,
    durable: Names,
    changes: Vec<NameChange>,
    used: u64,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    volatile: Vec<u8>,
    durable: Vec<u8>,
    /// In order of completion, with its time.
    pending: Vec<(u64, Change)>,
    /// Bytes at its end whose space was given back.
    released: u64,
}

#[derive(Debug)]
struct Flight {
    id: u64,
    op: Op,
    submitted_at: u64,
    /// The file at submission, of writes, syncs and reads.
    inode: Option<u64>,
    /// The write before this sync failed.
    doomed: bool,
    /// A sync of these bytes alone: where they start, and how many.
    only: Option<(u64, usize)>,
}

impl SimDisk {
    /// An empty disk; the seed decides what power cuts and failed writes leave.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: Rng::new(seed),
            clock: 0,
            inodes: BTreeMap::new(),
            next_inode: 1,
            volatile: Names::new(),
            durable: Names::new(),
            changes: Vec::new(),
            flights: Vec::new(),
            off: false,
            fuel: None,
            fault: None,
            misdirected: None,
            faults_hit: 0,
            capacity: u64::MAX,
            used: 0,
            ops: 0,
            trace: 0,
            log: None,
            budget: Budget::new(usize::MAX),
        })))
    }

    /// From now on what is read is charged to `budget`, as on a real disk; to nobody's until then.
    pub fn charge_reads_to(&self, budget: Arc<Budget>) {
        self.state().budget = budget;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Runs one operation and waits for it; `WriteSync` is both halves.
    pub fn run(&self, op: Op) -> io::Result<Bytes> {
        let mut state = self.state();
        let sync_id = if let Op::WriteSync { sync_id, .. } = &op { Some(*sync_id) } else { None };
        let id = u64::MAX - 1;
        let mut result = Ok(Bytes::new());
        state.submit(Submission { id, op });
        for id in std::iter::once(id).chain(sync_id) {
            let Some(at) = state.flights.iter().position(|f| f.id == id) else {
                return Err(power_is_off());
            };
            let Some(done) = state.complete(at) else { return Err(power_is_off()) };
            if result.is_ok() {
                result = done.result;
            }
        }
        result
    }

    /// Starts one operation; without power it vanishes.
    pub fn submit(&self, submission: Submission) {
        self.state().submit(submission);
    }

    /// Completes one of the operations in flight, whichever `rng` says. `None` where none is, or
    /// where the power went before it completed.
    pub fn complete_next(&self, rng: &mut Rng) -> Option<Completion> {
        let mut state = self.state();
        if state.flights.is_empty() {
            return None;
        }
        let at = rng.index(state.flights.len());
        state.complete(at)
    }

    /// Completes one operation in flight, any of those that `may`; `None` where none may.
    pub fn complete_one(&self, rng: &mut Rng, may: impl Fn(OpKind) -> bool) -> Option<Completion> {
        let mut state = self.state();
        let all: Vec<usize> =
            (0..state.flights.len()).filter(|&at| may(OpKind::of(&state.flights[at].op))).collect();
        if all.is_empty() {
            return None;
        }
        state.complete(all[rng.index(all.len())])
    }

    /// Completes one operation in flight, any of those whose path does not start with `prefix`.
    pub fn complete_elsewhere(&self, rng: &mut Rng, prefix: &str) -> Option<Completion> {
        let mut state = self.state();
        let elsewhere = |at: &usize| !paths(&state.flights[*at].op).0.starts_with(prefix);
        let all: Vec<usize> = (0..state.flights.len()).filter(elsewhere).collect();
        if all.is_empty() {
            return None;
        }
        state.complete(all[rng.index(all.len())])
    }

    /// Completes the operation in flight that was submitted first.
    pub fn complete_oldest(&self) -> Option<Completion> {
        let mut state = self.state();
        let at = (0..state.flights.len()).min_by_key(|&i| state.flights[i].submitted_at)?;
        state.complete(at)
    }

    /// Operations in flight.
    pub fn in_flight(&self) -> usize {
        self.state().flights.len()
    }

    /// Those of them that `may`.
    pub fn in_flight_of(&self, may: impl Fn(OpKind) -> bool) -> usize {
        self.state().flights.iter().filter(|it| may(OpKind::of(&it.op))).count()
    }

    /// What is directly in a directory, by name; a missing one is empty.
    pub fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        let state = self.state();
        if state.off {
            return Err(power_is_off());
        }
        let entries = state.volatile.iter().filter(|(path, _)| parent(path) == dir);
        Ok(entries
            .map(|(path, node)| Entry {
                name: path[dir.len()..].trim_start_matches('/').to_owned(),
                len: state.len_of(*node),
                is_dir: *node == Node::Dir,
            })
            .collect())
    }

    /// A file's length in bytes; `None` where there is no such file.
    pub fn len(&self, path: &str) -> io::Result<Option<u64>> {
        let state = self.state();
        if state.off {
            return Err(power_is_off());
        }
        Ok(state.file(path).map(|inode| state.inodes[&inode].volatile.len() as u64))
    }

    /// Cuts the power: chooses what survives; every operation fails until [`SimDisk::restart`].
    pub fn power_cut(&self) {
        self.state().power_cut();
    }

    /// Ends the process, not the power: what is in flight happens or not, and what completed stays
    /// visible, durable or not.
    pub fn process_crash(&self) {
        let mut state = self.state();
        state.note(|| "process crash".into(), 0);
        state.fuel = None;
        state.fault = None;
        let mut rng = state.rng.fork();
        while !state.flights.is_empty() {
            let at = rng.index(state.flights.len());
            if rng.chance(50) {
                state.complete(at);
            } else {
                state.flights.swap_remove(at);
            }
        }
    }

    /// Power again, and no faults, no fuel limit.
    pub fn restart(&self) {
        let mut state = self.state();
        state.off = false;
        state.fuel = None;
        state.fault = None;
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// The power goes in place of the completion after the next `ops` ones; `None` for never.
    pub fn set_fuel(&self, ops: Option<u64>) {
        self.state().fuel = ops;
    }

    /// The next write of a file below `prefix` after `skip` of them goes to another place of that
    /// file, `by` bytes on, and the disk says that all is well. Where the file ends before, to none.
    pub fn misdirect(&self, prefix: &str, skip: u64, by: u64) {
        assert!(by > 0 && by.is_multiple_of(ALIGN as u64));
        self.state().misdirected = Some((prefix.to_owned(), skip, by));
    }

    /// Whether a write was misdirected since [`SimDisk::misdirect`].
    pub fn has_misdirected(&self) -> bool {
        self.state().misdirected.is_none()
    }

    /// Makes operations fail; replaces the previous fault.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Operations that failed by [`SimDisk::set_fault`] so far.
    pub fn faults_hit(&self) -> u64 {
        self.state().faults_hit
    }

    /// Bytes that the files may have together; a write that needs more fails with ENOSPC.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// Bytes that the files have together.
    pub fn used(&self) -> u64 {
        self.state().used
    }

    /// Operations completed so far.
    pub fn ops(&self) -> u64 {
        self.state().ops
    }

    /// A hash of everything that happened, in order.
    pub fn trace_hash(&self) -> u64 {
        self.state().trace
    }

    /// Keeps a line for each operation from now on.
    pub fn keep_log(&self) {
        self.state().log = Some(Vec::new());
    }

    /// Adds a line of the caller's to the trace and its log.
    pub fn note(&self, line: &str) {
        let hash = u64::from(crc32c::crc32c(line.as_bytes()));
        self.state().note(|| format!("# {line}"), hash);
    }

    /// Takes the lines kept.
    pub fn take_log(&self) -> Vec<String> {
        self.state().log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// All files with their lengths, by path.
    pub fn files(&self) -> Vec<(FilePath, u64)> {
        let state = self.state();
        let files = state.volatile.iter().filter(|(_, node)| **node != Node::Dir);
        files.map(|(path, node)| (path.clone(), state.len_of(*node))).collect()
    }

    /// All files with the space that they take but for what was released at their end, by path.
    pub fn spaces(&self) -> Vec<(FilePath, u64)> {
        let state = self.state();
        let of = |node: &Node| match node {
            Node::Dir => None,
            Node::File(inode) => {
                let inode = &state.inodes[inode];
                Some(inode.volatile.len() as u64 - inode.released)
            }
        };
        state.volatile.iter().filter_map(|(path, node)| Some((path.clone(), of(node)?))).collect()
    }

    /// The bytes of a file as a read would see them.
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.file(path).map(|inode| state.inodes[&inode].volatile.clone())
    }

    /// Flips bits of one byte of a file, where it has that byte: what a read sees, and what a power cut leaves.
    pub fn rot(&self, path: &str, pos: usize, mask: u8) {
        let mut state = self.state();
        state.note(|| format!("rot of {path} at {pos}"), pos as u64);
        let Some(inode) = state.file(path) else { return };
        let inode = state.inodes.get_mut(&inode).expect("a file has one");
        for bytes in [&mut inode.volatile, &mut inode.durable] {
            if let Some(byte) = bytes.get_mut(pos) {
                *byte ^= mask;
            }
        }
    }

    /// A file ends there, as if what was written behind had never been.
    pub fn shorten(&self, path: &str, len: usize) {
        let mut state = self.state();
        state.note(|| format!("{path} is short: {len}"), len as u64);
        let Some(inode) = state.file(path) else { return };
        let inode = state.inodes.get_mut(&inode).expect("a file has one");
        inode.pending.clear();
        inode.released = 0;
        let before = inode.volatile.len();
        inode.volatile.truncate(len);
        inode.durable = inode.volatile.clone();
        let gone = before - inode.volatile.len();
        state.used -= gone as u64;
    }

    /// All that is on the disk, as it is now. Nothing may be in flight.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.state();
        assert!(state.flights.is_empty(), "operations are in flight");
        Snapshot {
            inodes: state.inodes.clone(),
            volatile: state.volatile.clone(),
            durable: state.durable.clone(),
            changes: state.changes.clone(),
            used: state.used,
        }
    }

    /// Makes the disk as it was at a snapshot.
    pub fn restore(&self, snapshot: Snapshot) {
        let mut state = self.state();
        assert!(state.flights.is_empty(), "operations are in flight");
        state.inodes = snapshot.inodes;
        state.volatile = snapshot.volatile;
        state.durable = snapshot.durable;
        state.changes = snapshot.changes;
        state.used = snapshot.used;
    }

    /// Overwrites bytes with zeros on the medium: writes that it acknowledged and never did.
    pub fn zero(&self, path: &str, pos: u64, len: u64) {
        let mut state = self.state();
        state.note(|| format!("zero {path} {pos} {len}"), pos ^ len);
        let Some(inode) = state.file(path) else { return };
        let inode = state.inodes.get_mut(&inode).expect("a named file");
        for side in [&mut inode.volatile, &mut inode.durable] {
            let end = side.len().min((pos + len) as usize);
            side[(pos as usize).min(end)..end].fill(0);
        }
    }

    /// Flips bits of one byte on the medium. False where the file is not that long.
    pub fn flip(&self, path: &str, pos: u64, mask: u8) -> bool {
        let mut state = self.state();
        state.note(|| format!("flip {path} {pos} {mask:02x}"), pos ^ u64::from(mask));
        let Some(inode) = state.file(path) else { return false };
        let inode = state.inodes.get_mut(&inode).expect("a named file");
        let mut hit = false;
        for side in [&mut inode.volatile, &mut inode.durable] {
            if let Some(byte) = side.get_mut(pos as usize) {
                *byte ^= mask;
                hit = true;
            }
        }
        hit
    }
}

/// What is left of pending changes where a later one is durable: what it has replaced never comes back.
fn replaced(pending: Vec<(u64, Change)>, done_at: u64, by: &Change) -> Vec<(u64, Change)> {
    let Change::Write { pos, data } = by else { return pending };
    let range = *pos..*pos + data.len() as u64;
    let rest = |(at, change): (u64, Change)| {
        let parts = if at < done_at { change.outside(&range) } else { vec![change] };
        parts.into_iter().map(move |part| (at, part))
    };
    pending.into_iter().flat_map(rest).collect()
}

/// The error of every operation while the power is off.
fn power_is_off() -> io::Error {
    io::Error::other("simulated power cut")
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn paths(op: &Op) -> (&FilePath, Option<&FilePath>) {
    match op {
        Op::MakeDir { path }
        | Op::Create { path }
        | Op::Write { path, .. }
        | Op::WriteSync { path, .. }
        | Op::Release { path, .. }
        | Op::Sync { path }
        | Op::SyncDir { path }
        | Op::Unlink { path }
        | Op::RemoveDir { path }
        | Op::Read { path, .. } => (path, None),
        Op::Rename { from, to } => (from, Some(to)),
    }
}

fn extent(op: &Op) -> Option<(u64, &Bytes)> {
    match op {
        Op::Write { pos, data, .. } | Op::WriteSync { pos, data, .. } => Some((*pos, data)),
        _ => None,
    }
}

impl State {
    fn note(&mut self, line: impl FnOnce() -> String, hash: u64) {
        self.trace = (self.trace.rotate_left(5) ^ hash).wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 1;
        if let Some(log) = &mut self.log {
            log.push(line());
        }
    }

    fn file(&self, path: &str) -> Option<u64> {
        match self.volatile.get(path) {
            Some(Node::File(inode)) => Some(*inode),
            _ => None,
        }
    }

    fn len_of(&self, node: Node) -> u64 {
        match node {
            Node::Dir => 0,
            Node::File(inode) => self.inodes[&inode].volatile.len() as u64,
        }
    }

    fn is_dir(&self, path: &str) -> bool {
        path.is_empty() || self.volatile.get(path) == Some(&Node::Dir)
    }

    fn submit(&mut self, submission: Submission) {
        if self.off {
            return;
        }
        self.clock += 1;
        let Submission { id, op } = submission;
        let inode = self.file(paths(&op).0);
        for other in &self.flights {
            assert!(other.id != id, "two operations in flight with id {id}");
            if let (Some((a, x)), Some((b, y))) = (extent(&op), extent(&other.op)) {
                let apart = a + x.len() as u64 <= b || b + y.len() as u64 <= a;
                assert!(
                    apart || inode.is_none() || inode != other.inode,
                    "writes in flight overlap: {} at {a} and {b}",
                    paths(&op).0
                );
            }
        }
        let submitted_at = self.clock;
        let flight = Flight { id, op, submitted_at, inode, doomed: false, only: None };
        self.flights.push(flight);
    }

    /// Completes a flight; `None` where the power goes instead.
    fn complete(&mut self, at: usize) -> Option<Completion> {
        if let Some(fuel) = &mut self.fuel {
            if *fuel == 0 {
                self.power_cut();
                return None;
            }
            *fuel -= 1;
        }
        let flight = self.flights.swap_remove(at);
        self.clock += 1;
        self.ops += 1;
        let result = self.perform(&flight);
        let (path, to) = paths(&flight.op);
        let mut hash = u64::from(crc32c::crc32c(path.as_bytes())) << 8
            | (OpKind::of(&flight.op) as u64) << 1
            | u64::from(result.is_ok());
        if let Some((pos, data)) = extent(&flight.op) {
            hash ^= pos.rotate_left(40) ^ u64::from(crc32c::crc32c(data)) << 16;
        }
        if let (Op::Read { pos, .. }, Ok(bytes)) = (&flight.op, &result) {
            hash ^= pos.rotate_left(40) ^ u64::from(crc32c::crc32c(bytes)) << 16;
        }
        let line = || {
            let kind = OpKind::of(&flight.op);
            let place = match &flight.op {
                Op::Write { pos, data, .. } | Op::WriteSync { pos, data, .. } => {
                    format!(" at {pos} len {}", data.len())
                }
                Op::Read { pos, len, .. } => format!(" at {pos} len {len}"),
                _ => String::new(),
            };
            let to = to.map(|to| format!(" to {to}")).unwrap_or_default();
            let end = match &result {
                Ok(_) => String::new(),
                Err(error) => format!(": {error}"),
            };
            format!("{kind:?} {path}{to}{place} [{}]{end}", flight.id)
        };
        self.note(line, hash);
        if let Op::WriteSync { path, pos, data, sync_id, .. } = &flight.op {
            self.clock += 1;
            self.flights.push(Flight {
                id: *sync_id,
                op: Op::Sync { path: path.clone() },
                submitted_at: self.clock,
                inode: flight.inode,
                doomed: result.is_err(),
                only: Some((*pos, data.len())),
            });
        }
        Some(Completion { id: flight.id, result })
    }

    fn hits_fault(&mut self, op: &Op) -> bool {
        let Some(fault) = &mut self.fault else { return false };
        if fault.count == 0
            || fault.kind.is_some_and(|kind| kind != OpKind::of(op))
            || !paths(op).0.starts_with(&fault.prefix)
        {
            return false;
        }
        if fault.skip > 0 {
            fault.skip -= 1;
            return false;
        }
        fault.count -= 1;
        self.faults_hit += 1;
        true
    }

    fn perform(&mut self, flight: &Flight) -> io::Result<Bytes> {
        if flight.doomed {
            return Err(errno(libc::ECANCELED));
        }
        let fails = self.hits_fault(&flight.op);
        let (now, started) = (self.clock, flight.submitted_at);
        match &flight.op {
            Op::Write { pos, data, .. } | Op::WriteSync { pos, data, .. } => {
                return self.write(flight, *pos, data, fails);
            }
            Op::Sync { .. } => return self.sync(flight, fails),
            Op::SyncDir { path } => return self.sync_dir(path, started, fails),
            _ if fails => return Err(errno(libc::EIO)),
            Op::MakeDir { path } => {
                let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
                for dir in ends.map(|end| &path[..end]) {
                    match self.volatile.get(dir) {
                        Some(Node::Dir) => {}
                        Some(Node::File(_)) => return Err(errno(libc::ENOTDIR)),
                        None => self.link(&dir.into(), Node::Dir, now),
                    }
                }
            }
            Op::Create { path } => {
                if !self.is_dir(parent(path)) {
                    return Err(errno(libc::ENOENT));
                }
                match self.volatile.get(path) {
                    Some(Node::Dir) => return Err(errno(libc::EISDIR)),
                    Some(Node::File(inode)) => {
                        let inode = self.inodes.get_mut(inode).expect("a named file");
                        self.used -= inode.volatile.len() as u64;
                        inode.volatile.clear();
                        inode.pending.push((now, Change::Empty));
                    }
                    None => {
                        let inode = self.next_inode;
                        self.next_inode += 1;
                        self.inodes.insert(inode, Inode::default());
                        self.link(path, Node::File(inode), now);
                    }
                }
            }
            // The range holds zeros then; its space is not counted back.
            Op::Release { pos, len, .. } => {
                let inode = flight.inode.and_then(|inode| self.inodes.get_mut(&inode));
                let inode = inode.ok_or_else(|| errno(libc::ENOENT))?;
                let whole = inode.volatile.len() as u64;
                if pos + len >= whole.saturating_sub(inode.released) {
                    // What lies behind the end of a file was never its own.
                    inode.released = whole.saturating_sub(*pos);
                }
                let end = (pos + len).min(whole);
                let zeros = vec![0; end.saturating_sub(*pos) as usize];
                let change = Change::Write { pos: *pos, data: zeros };
                change.apply(&mut inode.volatile);
                inode.pending.push((now, change));
            }
            Op::Rename { from, to } => self.rename(from, to, now)?,
            Op::Unlink { path } => match self.volatile.get(path) {
                Some(Node::Dir) => return Err(errno(libc::EISDIR)),
                Some(node) => {
                    self.used -= self.len_of(*node);
                    self.volatile.remove(path);
                    let kind = NameKind::Unlink { path: path.clone() };
                    self.changes.push(NameChange { done_at: now, kind });
                }
                None => {}
            },
            Op::RemoveDir { path } => {
                if self.volatile.get(path) == Some(&Node::Dir)
                    && !has_children(&self.volatile, path)
                {
                    self.volatile.remove(path);
                    let kind = NameKind::RemoveDir { path: path.clone() };
                    self.changes.push(NameChange { done_at: now, kind });
                }
            }
            Op::Read { pos, len, .. } => {
                let inode = flight.inode.and_then(|inode| self.inodes.get(&inode));
                let bytes = &inode.ok_or_else(|| errno(libc::ENOENT))?.volatile;
                if !(*pos as usize).is_multiple_of(ALIGN) || !len.is_multiple_of(ALIGN) {
                    return Err(errno(libc::EINVAL));
                }
                let start = (*pos as usize).min(bytes.len());
                let end = (start + len).min(bytes.len());
                let buf = AlignedBuf::copy_of(&bytes[start..end], &self.budget);
                return Ok(buf.freeze().slice(..end - start));
            }
        }
        Ok(Bytes::new())
    }

    fn link(&mut self, path: &FilePath, node: Node, now: u64) {
        self.volatile.insert(path.clone(), node);
        let kind = NameKind::Link { path: path.clone(), node };
        self.changes.push(NameChange { done_at: now, kind });
    }

    fn rename(&mut self, from: &FilePath, to: &FilePath, now: u64) -> io::Result<()> {
        let node = *self.volatile.get(from).ok_or_else(|| errno(libc::ENOENT))?;
        if !self.is_dir(parent(to)) {
            return Err(errno(libc::ENOENT));
        }
        match (node, self.volatile.get(to)) {
            (_, None) => {}
            (Node::File(_), Some(old @ Node::File(_))) => {
                if *old == node {
                    return Ok(());
                }
                self.used -= self.len_of(*old);
            }
            _ => return Err(errno(libc::EEXIST)),
        }
        if is_below(to, from) {
            return Err(errno(libc::EINVAL));
        }
        self.volatile.remove(from);
        self.volatile.insert(to.clone(), node);
        if node == Node::Dir {
            move_children(&mut self.volatile, from, to);
            self.changes.iter_mut().for_each(|change| change.kind.relocate(from, to));
        }
        let (from, to) = (from.clone(), to.clone());
        let kind = NameKind::Rename { from, to, node, from_synced: false, to_synced: false };
        self.changes.push(NameChange { done_at: now, kind });
        Ok(())
    }

    fn write(&mut self, flight: &Flight, pos: u64, data: &Bytes, fails: bool) -> io::Result<Bytes> {
        let inode = flight.inode.and_then(|inode| self.inodes.get_mut(&inode));
        let inode = inode.ok_or_else(|| errno(libc::ENOENT))?;
        if !(pos as usize).is_multiple_of(ALIGN)
            || !data.len().is_multiple_of(ALIGN)
            || !(data.as_ptr() as usize).is_multiple_of(ALIGN)
        {
            return Err(errno(libc::EINVAL));
        }
        let mut change = Change::Write { pos, data: data.to_vec() };
        if let Some((prefix, skip, by)) = &mut self.misdirected
            && paths(&flight.op).0.starts_with(&**prefix)
        {
            if *skip > 0 {
                *skip -= 1;
            } else {
                let there = pos + *by;
                self.misdirected = None;
                let fits = there + data.len() as u64 <= inode.volatile.len() as u64;
                let data = if fits { data.to_vec() } else { Vec::new() };
                change = Change::Write { pos: if fits { there } else { pos }, data };
            }
        }
        if fails {
            // Some sectors of what was there before changed; the file does not grow.
            let len = inode.volatile.len();
            change.apply_torn(&mut inode.volatile, 50, &mut self.rng);
            inode.volatile.truncate(len);
            change.apply_torn(&mut inode.durable, 30, &mut self.rng);
            return Err(errno(libc::EIO));
        }
        let growth = (pos + data.len() as u64).saturating_sub(inode.volatile.len() as u64);
        if self.used + growth > self.capacity {
            return Err(errno(libc::ENOSPC));
        }
        self.used += growth;
        let held = inode.volatile.len() as u64 - inode.released;
        inode.released -= (pos + data.len() as u64).saturating_sub(held).min(inode.released);
        change.apply(&mut inode.volatile);
        inode.pending.push((self.clock, change));
        Ok(Bytes::new())
    }

    fn sync(&mut self, flight: &Flight, fails: bool) -> io::Result<Bytes> {
        let inode = flight.inode.and_then(|inode| self.inodes.get_mut(&inode));
        let inode = inode.ok_or_else(|| errno(libc::ENOENT))?;
        let started = flight.submitted_at;
        let covered = inode.pending.partition_point(|(done_at, _)| *done_at < started);
        let asked = |change: &Change| match (flight.only, change) {
            (None, _) => true,
            (Some((at, len)), Change::Write { pos, data }) => (*pos, data.len()) == (at, len),
            (Some(_), Change::Empty) => false,
        };
        let synced = inode.pending.extract_if(..covered, |(_, change)| asked(change));
        for (done_at, change) in synced.collect::<Vec<_>>() {
            if fails {
                change.apply_torn(&mut inode.durable, 30, &mut self.rng);
                continue;
            }
            change.apply(&mut inode.durable);
            if flight.only.is_some() {
                inode.pending = replaced(std::mem::take(&mut inode.pending), done_at, &change);
            }
        }
        if fails { Err(errno(libc::EIO)) } else { Ok(Bytes::new()) }
    }

    fn sync_dir(&mut self, dir: &str, started: u64, fails: bool) -> io::Result<Bytes> {
        if !self.is_dir(dir) {
            return Err(errno(libc::ENOENT));
        }
        let mut changes = std::mem::take(&mut self.changes);
        let rng = &mut self.rng;
        let durable = &mut self.durable;
        changes.retain_mut(|change| {
            if change.done_at >= started {
                return true;
            }
            if fails && rng.chance(50) {
                return true;
            }
            !change.kind.sync(dir, durable)
        });
        self.changes = changes;
        if fails {
            return Err(errno(libc::EIO));
        }
        for (path, node) in &self.volatile {
            let Node::File(inode) = node else { continue };
            if parent(path) != dir {
                continue;
            }
            let inode = self.inodes.get_mut(inode).expect("a named file");
            let emptied = |(done_at, change): &(u64, Change)| {
                *done_at < started && matches!(change, Change::Empty)
            };
            if let Some(last) = inode.pending.iter().rposition(emptied) {
                inode.durable.clear();
                inode.pending.drain(..=last);
            }
        }
        self.forget_inodes();
        Ok(Bytes::new())
    }

    /// Drops the files that nothing can name any more.
    fn forget_inodes(&mut self) {
        let mut named: BTreeSet<u64> = BTreeSet::new();
        let changed = self.changes.iter().filter_map(|change| match &change.kind {
            NameKind::Link { node, .. } | NameKind::Rename { node, .. } => Some(node),
            _ => None,
        });
        for node in self.volatile.values().chain(self.durable.values()).chain(changed) {
            if let Node::File(inode) = node {
                named.insert(*inode);
            }
        }
        named.extend(self.flights.iter().filter_map(|flight| flight.inode));
        self.inodes.retain(|inode, _| named.contains(inode));
    }

    fn power_cut(&mut self) {
        if self.off {
            return;
        }
        let mut rng = self.rng.fork();
        // What is in flight happens, or not, or partly, like what completed without a sync.
        while !self.flights.is_empty() {
            let at = rng.index(self.flights.len());
            let flight = self.flights.swap_remove(at);
            let inode = flight.inode.and_then(|inode| self.inodes.get_mut(&inode));
            match (&flight.op, inode) {
                (Op::Write { pos, data, .. } | Op::WriteSync { pos, data, .. }, Some(inode)) => {
                    let change = Change::Write { pos: *pos, data: data.to_vec() };
                    inode.pending.push((self.clock, change));
                }
                (Op::Write { .. } | Op::WriteSync { .. } | Op::Read { .. }, _) => {}
                _ if rng.chance(50) => {
                    let _ = self.perform(&flight);
                }
                _ => {}
            }
        }
        surviving_names(&mut self.durable, std::mem::take(&mut self.changes), &mut rng);
        for inode in self.inodes.values_mut() {
            let pending = std::mem::take(&mut inode.pending).into_iter().map(|(_, c)| c).collect();
            surviving_bytes(&mut inode.durable, pending, &mut rng);
            inode.volatile.clone_from(&inode.durable);
        }
        self.volatile = self.durable.clone();
        self.forget_inodes();
        self.used = self.volatile.values().map(|node| self.len_of(*node)).sum();
        self.off = true;
        self.fuel = None;
        let mut hash = self.used;
        for inode in self.inodes.values() {
            hash = hash.rotate_left(7) ^ u64::from(crc32c::crc32c(&inode.durable));
        }
        self.note(|| "power cut".into(), hash);
    }
}
