//! Operations on files through a shard's own io_uring.
//!
//! The shard's executor has rings of its own; this one is beside them because of what it can do
//! and they cannot: write our reference-counted, `Send` buffers without copying them into the
//! runtime's buffers first, write durably in one operation, and keep every buffer in the submission
//! table, where no dropped future can free memory that the kernel still writes to.
//! It tells of sockets too ([`Ring::watch`]): so one queue says everything that a shard waits for, it
//! can be looked at without a system call, and one call waits for all of it. The ring's own descriptor
//! is readable while completions wait to be reaped.
//!
//! A journal block is written with `RWF_DSYNC`: one command on a disk that can write through its cache,
//! and on others the kernel adds the flush by itself. A write linked with an `fdatasync` is taken where
//! somebody wants to know when the block was written. Figures are in `DECISIONS.md`.
//!
//! Operations on the same file run in any order: the engine submits what depends on a completion
//! only after it.

use super::descriptors::Descriptors;
use super::disk::PUNCH;
use super::io::{Completion, FilePath, Op, Submission};
use crate::storage::buffer::{ALIGN, Budget, Filling};
use bytes::Bytes;
use io_uring::{IoUring, opcode, squeue, types};
use slab::Slab;
use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Submission queue entries.
const DEPTH: u32 = 256;
/// Operations on files in flight at most. Descriptors that are watched come on top; where all of them
/// are ready at once, the kernel keeps what the completion queue has no room for, and [`Ring::reap`]
/// asks for it.
const IN_FLIGHT_MAX: usize = 2048;
/// Completion queue entries.
const COMPLETIONS: u32 = 2 * IN_FLIGHT_MAX as u32;
/// `user_data` bit that marks the sync half of a linked write.
const SYNC_HALF: u64 = 1 << 63;
/// `user_data` bit that marks a watched descriptor; the rest is its key.
const WATCHED: u64 = 1 << 62;
/// `user_data` of the alarm.
const ALARM: u64 = 1 << 61;

const _: () = assert!(DEPTH as usize * 2 <= IN_FLIGHT_MAX);

/// Descriptors that are kept apart for files, as placeholders while there are fewer files open: so
/// connections that take all that are left do not stop a journal file or a segment from being made.
const KEPT_APART: usize = 64;
/// How often an open that found no descriptor is tried again, each after [`RETRY_AFTER`].
const RETRIES: u8 = 50;
static RETRY_AFTER: types::Timespec = types::Timespec::new().nsec(100_000_000);

/// Who asked for an operation; comes back with its completion. Ids need be unique per asker only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The storage engine.
    Engine,
    /// The controller's log.
    Controller,
    /// A cold read; the id is its ticket.
    Read,
}

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// There is something to read, or it has failed.
    Read,
    /// It takes more, or it has failed.
    Write,
}

/// What the kernel works on.
enum Work {
    Write {
        data: Bytes,
    },
    WriteSync {
        data: Bytes,
        sync_id: u64,
    },
    Plain,
    Release,
    RemoveDir,
    Unlink,
    Rename {
        from: FilePath,
        to: FilePath,
    },
    Read {
        pos: u64,
        len: usize,
        buf: Filling,
    },
    /// Creates, and keeps the descriptor.
    Create {
        path: FilePath,
        retries: u8,
    },
    /// Opens for those that wait in [`Ring::opening`].
    Open {
        path: FilePath,
        flags: i32,
        retries: u8,
    },
    /// Opens when some time has passed.
    Later {
        open: Box<Work>,
    },
}

struct InFlight {
    asker: Asker,
    id: u64,
    work: Work,
    /// Keeps the descriptor open, although the cache may have let it go.
    file: Option<Rc<OwnedFd>>,
    /// Keeps the paths where they are.
    _paths: Option<Box<[CString]>>,
    /// A linked write has two completions.
    halves: u8,
}

/// A shard's io_uring for files, and its descriptors.
pub struct Ring {
    uring: IoUring,
    root: PathBuf,
    root_fd: OwnedFd,
    budget: Arc<Budget>,
    files: Descriptors,
    /// Placeholders; see [`KEPT_APART`].
    spare: Vec<OwnedFd>,
    /// Opens under way: each is to have the descriptor that was let go for it.
    opens: usize,
    opening: HashMap<FilePath, Vec<(Asker, Submission)>>,
    table: Slab<InFlight>,
    /// Entries that the kernel has or will get.
    entries: usize,
    backlog: VecDeque<(Asker, Submission)>,
    /// Completions made without the kernel.
    ready: Vec<(Asker, Completion)>,
    /// Keys of watched descriptors that are ready.
    seen: Vec<u64>,
    /// When the alarm goes off. The kernel reads it when it takes the entry.
    alarm: Box<types::Timespec>,
}

impl Ring {
    /// A ring over the data directory `root`, with at most `descriptors` files open; reads are
    /// charged to `budget`.
    pub fn new(root: &Path, descriptors: usize, budget: Arc<Budget>) -> io::Result<Self> {
        let uring = make_uring()?;
        let mut ring = Self {
            uring,
            root: root.to_path_buf(),
            root_fd: File::open(root)?.into(),
            budget,
            files: Descriptors { open: HashMap::new(), limit: descriptors.max(8), clock: 0 },
            spare: Vec::new(),
            opens: 0,
            opening: HashMap::new(),
            table: Slab::with_capacity(DEPTH as usize),
            entries: 0,
            backlog: VecDeque::new(),
            ready: Vec::new(),
            seen: Vec::new(),
            alarm: Box::default(),
        };
        while ring.keep_apart() {}
        Ok(ring)
    }

    /// Takes one more placeholder, if that is wanted and can be had.
    fn keep_apart(&mut self) -> bool {
        let wanted = KEPT_APART.min(self.files.limit);
        self.spare.len() + self.files.open.len() + self.opens < wanted
            && self.root_fd.try_clone().is_ok_and(|fd| {
                self.spare.push(fd);
                true
            })
    }

    /// A descriptor that is readable while there is something to [`reap`](Self::reap).
    pub fn event(&self) -> RawFd {
        self.uring.as_raw_fd()
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.table.is_empty() && self.backlog.is_empty() && self.ready.is_empty()
    }

    /// Takes an operation; the kernel sees it at the next [`flush`](Self::flush).
    pub fn submit(&mut self, asker: Asker, submission: Submission) {
        if self.entries + 2 > IN_FLIGHT_MAX || !self.backlog.is_empty() {
            self.backlog.push_back((asker, submission));
        } else {
            self.start(asker, submission);
        }
    }

    /// Hands everything that was submitted to the kernel. An error here is not that of an operation
    /// but of the ring itself: nothing can be written any more.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.uring.submission().is_empty() {
            return Ok(());
        }
        self.enter(0)
    }

    /// Hands everything that was submitted to the kernel, and waits for the next completion, for
    /// `most` at most.
    pub fn sleep(&mut self, most: Duration) -> io::Result<()> {
        if !self.ready.is_empty() || !self.uring.completion().is_empty() {
            return Ok(());
        }
        let most = types::Timespec::from(most);
        let args = types::SubmitArgs::new().timespec(&most);
        match self.uring.submitter().submit_with_args(1, &args) {
            Ok(_) => Ok(()),
            Err(e) => match e.raw_os_error() {
                Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
                _ => Err(e),
            },
        }
    }

    fn enter(&mut self, wanted: usize) -> io::Result<()> {
        loop {
            match self.uring.submit_and_wait(wanted) {
                Ok(_) => return Ok(()),
                Err(e) => match e.raw_os_error() {
                    Some(libc::EINTR) => {}
                    // The kernel is short of something; the entries stay in the queue, and the next
                    // completion, or the next submission, brings us here again.
                    Some(libc::EAGAIN | libc::EBUSY) if self.entries > 0 => return Ok(()),
                    _ => return Err(e),
                },
            }
        }
    }

    /// Says once, by [`seen`](Self::seen), that `fd` is ready, or has failed. Until then it stays open, whoever
    /// closes it. The kernel hears of it at the next [`flush`](Self::flush).
    pub fn watch(&mut self, fd: BorrowedFd<'_>, interest: Interest, key: u64) {
        debug_assert!(key < ALARM, "the marks are no part of a key");
        let events = match interest {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
        };
        let entry = opcode::PollAdd::new(types::Fd(fd.as_raw_fd()), events as u32).build();
        self.push_to_queue(&[entry.user_data(WATCHED | key)]);
    }

    /// Keys of descriptors that became ready before the last [`reap`](Self::reap), in their order.
    pub fn seen(&mut self) -> std::vec::Drain<'_, u64> {
        self.seen.drain(..)
    }

    /// Makes [`event`](Self::event) readable after so long. Each call adds one: they cannot be taken back.
    pub fn alarm(&mut self, after: Duration) -> io::Result<()> {
        *self.alarm = after.into();
        let entry = opcode::Timeout::new(&raw const *self.alarm).build();
        self.push_to_queue(&[entry.user_data(ALARM)]);
        // The kernel has read the time when this returns.
        self.flush()
    }

    /// Whether there may be something to reap. No system call.
    pub fn has_completions(&mut self) -> bool {
        !self.ready.is_empty()
            || !self.uring.completion().is_empty()
            || self.uring.submission().taskrun()
    }

    /// Moves what has completed to `out`, and starts what had to wait for it.
    pub fn reap(&mut self, out: &mut Vec<(Asker, Completion)>) -> io::Result<()> {
        if self.uring.submission().taskrun() {
            self.enter(0)?;
        }
        loop {
            out.append(&mut self.ready);
            let Some(entry) = self.uring.completion().next() else {
                if self.uring.submission().cq_overflow() {
                    self.enter(0)?;
                    continue;
                }
                break;
            };
            let user_data = entry.user_data();
            if user_data == ALARM {
                continue;
            }
            // The mark of a sync half stands in no key.
            if user_data & (WATCHED | SYNC_HALF) == WATCHED {
                self.seen.push(user_data & !WATCHED);
                continue;
            }
            self.entries -= 1;
            self.completed(user_data, entry.result());
        }
        while self.entries + 2 <= IN_FLIGHT_MAX {
            let Some((asker, submission)) = self.backlog.pop_front() else { break };
            self.start(asker, submission);
        }
        self.keep_apart();
        out.append(&mut self.ready);
        self.flush()
    }

    /// Waits for the next completion; for the time after the executor has ended, and for tests.
    pub fn wait(&mut self) -> io::Result<()> {
        self.uring.submit_and_wait(1).map(|_| ())
    }

    fn start(&mut self, asker: Asker, submission: Submission) {
        let Submission { id, op } = submission;
        match op {
            Op::Write { ref path, .. }
            | Op::WriteSync { ref path, .. }
            | Op::Release { ref path, .. }
            | Op::Sync { ref path }
            | Op::SyncDir { ref path }
            | Op::Read { ref path, .. } => match self.files.get(path) {
                Some(file) => self.start_on(file, asker, id, op),
                None => self.open(path.clone(), asker, Submission { id, op }),
            },
            Op::MakeDir { path } => {
                // Once or twice in the life of a data directory, and it has parents to make.
                let made = std::fs::create_dir_all(self.root.join(&*path));
                self.finish(asker, id, made.map(|()| Bytes::new()));
            }
            Op::Create { path } => {
                let flags = libc::O_CREAT | libc::O_TRUNC;
                self.files.open.remove(&path);
                self.start_open(asker, id, &path.clone(), flags, Work::Create { path, retries: 0 });
            }
            Op::Rename { from, to } => {
                let Some(paths) = self.c_paths(asker, id, &[&from, &to]) else { return };
                let root = types::Fd(self.root_fd.as_raw_fd());
                let entry =
                    opcode::RenameAt::new(root, paths[0].as_ptr(), root, paths[1].as_ptr()).build();
                self.push_paths(asker, id, Work::Rename { from, to }, paths, &entry);
            }
            Op::Unlink { path } => {
                self.files.open.remove(&path);
                self.start_unlink(asker, id, &path, 0, Work::Unlink);
            }
            Op::RemoveDir { path } => {
                self.files.open.remove(&path);
                self.start_unlink(asker, id, &path, libc::AT_REMOVEDIR, Work::RemoveDir);
            }
        }
    }

    fn start_unlink(&mut self, asker: Asker, id: u64, path: &str, flags: i32, work: Work) {
        let Some(paths) = self.c_paths(asker, id, &[path]) else { return };
        let root = types::Fd(self.root_fd.as_raw_fd());
        let entry = opcode::UnlinkAt::new(root, paths[0].as_ptr()).flags(flags).build();
        self.push_paths(asker, id, work, paths, &entry);
    }

    fn start_open(&mut self, asker: Asker, id: u64, path: &str, flags: i32, work: Work) {
        // The empty path is the data directory itself.
        let name = if path.is_empty() { "." } else { path };
        let Some(paths) = self.c_paths(asker, id, &[name]) else { return };
        // The file takes the placeholder's descriptor.
        self.spare.pop();
        self.opens += 1;
        let entry = opcode::OpenAt::new(types::Fd(self.root_fd.as_raw_fd()), paths[0].as_ptr())
            .flags(
                libc::O_CLOEXEC
                    | flags
                    | if flags & libc::O_DIRECTORY == 0 {
                        libc::O_RDWR | libc::O_DIRECT
                    } else {
                        libc::O_RDONLY
                    },
            )
            .mode(0o644)
            .build();
        self.push_paths(asker, id, work, paths, &entry);
    }

    fn open(&mut self, path: FilePath, asker: Asker, submission: Submission) {
        let flags = if matches!(submission.op, Op::SyncDir { .. }) { libc::O_DIRECTORY } else { 0 };
        if let Some(waiting) = self.opening.get_mut(&path) {
            waiting.push((asker, submission));
            return;
        }
        let id = submission.id;
        self.opening.insert(path.clone(), vec![(asker, submission)]);
        let work = Work::Open { path: path.clone(), flags, retries: 0 };
        self.start_open(asker, id, &path, flags, work);
    }

    /// An open found no descriptor. One of a file that nothing works on is closed for it; where there
    /// is none, it is tried again after a while, since what holds them may let go. Gives `work` back
    /// where it was tried often enough.
    fn open_again(&mut self, asker: Asker, id: u64, mut work: Work) -> Option<Work> {
        let closed = self.spare.pop().is_some() || self.files.close_one();
        let (path, flags, retries) = match &mut work {
            Work::Create { path, retries } => {
                (path.clone(), libc::O_CREAT | libc::O_TRUNC, retries)
            }
            Work::Open { path, flags, retries } => (path.clone(), *flags, retries),
            _ => return Some(work),
        };
        if closed {
            self.start_open(asker, id, &path, flags, work);
            return None;
        }
        if *retries == RETRIES {
            return Some(work);
        }
        *retries += 1;
        let entry = opcode::Timeout::new(&raw const RETRY_AFTER).build();
        let work = Work::Later { open: Box::new(work) };
        self.push(InFlight { asker, id, work, file: None, _paths: None, halves: 1 }, &entry);
        None
    }

    fn start_on(&mut self, file: Rc<OwnedFd>, asker: Asker, id: u64, op: Op) {
        let fd = types::Fd(file.as_raw_fd());
        let in_flight = |work, halves| InFlight {
            asker,
            id,
            work,
            file: Some(file.clone()),
            _paths: None,
            halves,
        };
        match op {
            Op::Write { pos, data, .. } => {
                let entry = opcode::Write::new(fd, data.as_ptr(), data.len() as u32);
                let entry = entry.offset(pos).build();
                self.push(in_flight(Work::Write { data }, 1), &entry);
            }
            Op::WriteSync { pos, data, sync_id, apart, .. } => {
                let write = opcode::Write::new(fd, data.as_ptr(), data.len() as u32).offset(pos);
                let work = Work::WriteSync { data, sync_id };
                if !apart {
                    let write = write.rw_flags(libc::RWF_DSYNC).build();
                    self.push(in_flight(work, 1), &write);
                    return;
                }
                let write = write.build().flags(squeue::Flags::IO_LINK);
                let sync = opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build();
                let key = self.table.insert(in_flight(work, 2)) as u64;
                self.push_entries(&[write.user_data(key), sync.user_data(key | SYNC_HALF)]);
            }
            Op::Release { pos, len, .. } => {
                let entry = opcode::Fallocate::new(fd, len).offset(pos).mode(PUNCH).build();
                self.push(in_flight(Work::Release, 1), &entry);
            }
            Op::Sync { .. } => {
                let entry = opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build();
                self.push(in_flight(Work::Plain, 1), &entry);
            }
            Op::SyncDir { .. } => {
                self.push(in_flight(Work::Plain, 1), &opcode::Fsync::new(fd).build());
            }
            Op::Read { pos, len, .. } => {
                let mut buf = Filling::new(len, &self.budget);
                let to = buf.spare().as_mut_ptr().cast();
                let entry = opcode::Read::new(fd, to, len as u32).offset(pos).build();
                self.push(in_flight(Work::Read { pos, len, buf }, 1), &entry);
            }
            _ => unreachable!("operations without a descriptor start elsewhere"),
        }
    }

    fn c_paths(&mut self, asker: Asker, id: u64, paths: &[&str]) -> Option<Box<[CString]>> {
        match paths.iter().map(|p| CString::new(*p)).collect() {
            Ok(paths) => Some(paths),
            Err(e) => {
                self.finish(asker, id, Err(e.into()));
                None
            }
        }
    }

    fn push_paths(
        &mut self,
        asker: Asker,
        id: u64,
        work: Work,
        paths: Box<[CString]>,
        entry: &squeue::Entry,
    ) {
        let in_flight = InFlight { asker, id, work, file: None, _paths: Some(paths), halves: 1 };
        self.push(in_flight, entry);
    }

    fn push(&mut self, in_flight: InFlight, entry: &squeue::Entry) {
        let key = self.table.insert(in_flight) as u64;
        self.push_entries(&[entry.clone().user_data(key)]);
    }

    fn push_entries(&mut self, entries: &[squeue::Entry]) {
        self.entries += entries.len();
        self.push_to_queue(entries);
    }

    fn push_to_queue(&mut self, entries: &[squeue::Entry]) {
        loop {
            // SAFETY: buffers, paths and descriptors stand in the table until the completion.
            if unsafe { self.uring.submission().push_multiple(entries) }.is_ok() {
                return;
            }
            // The queue is full. The kernel takes all of it in one call, unless it is short of
            // memory for an instant.
            let _ = self.uring.submit();
        }
    }

    fn finish(&mut self, asker: Asker, id: u64, result: io::Result<Bytes>) {
        self.ready.push((asker, Completion { id, result }));
    }

    fn completed(&mut self, user_data: u64, result: i32) {
        let sync_half = user_data & SYNC_HALF != 0;
        let key = (user_data & !SYNC_HALF) as usize;
        let outcome =
            if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result) };
        let slot = &mut self.table[key];
        if let (Work::Read { pos, len, buf }, Ok(n)) = (&mut slot.work, &outcome) {
            // SAFETY: the kernel has written so many bytes there.
            unsafe { buf.advance(*n as usize) };
            let filled = buf.len();
            // A direct read that ends at a block boundary has not necessarily met the file's end.
            if *n > 0 && filled < *len && filled.is_multiple_of(ALIGN) {
                let fd = slot.file.as_ref().expect("a read has its file").as_raw_fd();
                let to = buf.spare().as_mut_ptr().cast();
                let entry = opcode::Read::new(types::Fd(fd), to, (*len - filled) as u32)
                    .offset(*pos + filled as u64)
                    .build()
                    .user_data(user_data);
                self.push_entries(&[entry]);
                return;
            }
        }
        slot.halves -= 1;
        let asker = slot.asker;
        if slot.halves > 0 || sync_half {
            let Work::WriteSync { data, sync_id } = &slot.work else {
                unreachable!("only a linked write has two halves")
            };
            let (len, sync_id, id) = (data.len(), *sync_id, slot.id);
            if slot.halves == 0 {
                self.table.remove(key);
            }
            let done = if sync_half {
                outcome.map(|_| Bytes::new())
            } else {
                outcome.and_then(|n| whole(n, len))
            };
            self.finish(asker, if sync_half { sync_id } else { id }, done);
            return;
        }
        let InFlight { id, mut work, .. } = self.table.remove(key);
        if matches!(work, Work::Open { .. } | Work::Create { .. }) {
            self.opens -= 1;
        }
        if let Work::Later { open } = work {
            let (path, flags) = match &*open {
                Work::Open { path, flags, .. } => (path.clone(), *flags),
                Work::Create { path, .. } => (path.clone(), libc::O_CREAT | libc::O_TRUNC),
                _ => unreachable!("only opens wait"),
            };
            self.start_open(asker, id, &path, flags, *open);
            return;
        }
        if let Err(e) = &outcome
            && matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
        {
            match self.open_again(asker, id, work) {
                Some(given_up) => work = given_up,
                None => return,
            }
        }
        let done = match work {
            Work::Write { data } => outcome.and_then(|n| whole(n, data.len())),
            Work::WriteSync { data, sync_id } => {
                let both = outcome.and_then(|n| whole(n, data.len()));
                let written = both.as_ref().map(Bytes::clone).map_err(again);
                self.finish(asker, id, written);
                self.finish(asker, sync_id, both);
                return;
            }
            Work::Plain => outcome.map(|_| Bytes::new()),
            Work::Release => forgive(outcome, &[libc::EOPNOTSUPP]),
            Work::Unlink => forgive(outcome, &[libc::ENOENT]),
            Work::RemoveDir => forgive(outcome, &[libc::ENOENT, libc::ENOTEMPTY, libc::EEXIST]),
            Work::Rename { from, to } => {
                // A descriptor names the file, not the path: it goes along.
                self.files.open.remove(&to);
                if let Some((file, _)) = self.files.open.remove(&from)
                    && outcome.is_ok()
                {
                    self.files.put(to, file);
                }
                outcome.map(|_| Bytes::new())
            }
            Work::Read { buf, .. } => outcome.map(|_| buf.into_filled().freeze()),
            Work::Later { .. } => unreachable!("began anew above"),
            Work::Create { path, .. } => outcome.map(|fd| {
                self.files.put(path, Rc::new(owned(fd)));
                Bytes::new()
            }),
            Work::Open { path, .. } => {
                let waiting = self.opening.remove(&path).unwrap_or_default();
                match outcome {
                    Ok(fd) => {
                        let file = Rc::new(owned(fd));
                        self.files.put(path, file.clone());
                        for (asker, Submission { id, op }) in waiting {
                            self.start_on(file.clone(), asker, id, op);
                        }
                    }
                    Err(e) => {
                        for (asker, Submission { id, op }) in waiting {
                            if let Op::WriteSync { sync_id, .. } = op {
                                self.finish(asker, id, Err(again(&e)));
                                self.finish(asker, sync_id, Err(again(&e)));
                            } else {
                                self.finish(asker, id, Err(again(&e)));
                            }
                        }
                    }
                }
                return;
            }
        };
        self.finish(asker, id, done);
    }
}

impl Drop for Ring {
    /// The kernel may still write to buffers of reads in flight, and read from those of writes: they
    /// are waited for.
    fn drop(&mut self) {
        while self.entries > 0 && self.wait().is_ok() {
            let of_files = |it: &io_uring::cqueue::Entry| {
                let user_data = it.user_data();
                user_data != ALARM && user_data & (WATCHED | SYNC_HALF) != WATCHED
            };
            self.entries -= self.uring.completion().filter(of_files).count();
        }
        if self.entries > 0 {
            // Waiting failed; leaking is what is left that is sound.
            std::mem::forget(std::mem::take(&mut self.table));
        }
    }
}

/// The ring itself. Where the kernel can (Linux 5.19), a completion does not interrupt the thread: it is
/// taken at its next system call, or when [`Ring::has_completions`] sees the flag.
fn make_uring() -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(COMPLETIONS);
    let made = builder.clone().setup_coop_taskrun().setup_taskrun_flag().build(DEPTH);
    made.or_else(|_| builder.build(DEPTH))
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just opened it for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A short write is an error: the file system is full, or the disk is failing.
fn whole(n: i32, len: usize) -> io::Result<Bytes> {
    if n as usize == len {
        return Ok(Bytes::new());
    }
    Err(io::Error::new(io::ErrorKind::StorageFull, format!("wrote {n} of {len} bytes")))
}

/// The same error once more.
fn again(e: &io::Error) -> io::Error {
    match e.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(e.kind(), e.to_string()),
    }
}

fn forgive(outcome: io::Result<i32>, codes: &[i32]) -> io::Result<Bytes> {
    match outcome {
        Err(e) if e.raw_os_error().is_some_and(|code| codes.contains(&code)) => Ok(Bytes::new()),
        other => other.map(|_| Bytes::new()),
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::storage::buffer::AlignedBuf;

    fn ring(name: &str) -> (Ring, Arc<Budget>) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp-ring").join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let budget = Budget::new(1 << 24);
        (Ring::new(&dir, 8, budget.clone()).unwrap(), budget)
    }

    fn run(ring: &mut Ring, ops: Vec<Op>) -> Vec<(u64, io::Result<Bytes>)> {
        for (i, op) in ops.into_iter().enumerate() {
            ring.submit(Asker::Engine, Submission { id: i as u64, op });
        }
        let mut done = Vec::new();
        ring.reap(&mut done).unwrap();
        while !ring.is_idle() {
            ring.wait().unwrap();
            ring.reap(&mut done).unwrap();
        }
        let mut done: Vec<_> = done.into_iter().map(|(_, c)| (c.id, c.result)).collect();
        done.sort_by_key(|&(id, _)| id);
        done
    }

    fn path(i: usize) -> FilePath {
        format!("f{i}").into()
    }

    #[test]
    fn sockets_and_alarms_are_seen_beside_files() {
        use std::io::{Read, Write};
        use std::os::fd::AsFd;
        use std::os::unix::net::UnixStream;
        let (mut ring, budget) = ring("sockets");
        let seen = |ring: &mut Ring| {
            let mut done = Vec::new();
            ring.reap(&mut done).unwrap();
            assert!(done.is_empty());
            ring.seen().collect::<Vec<_>>()
        };
        // More at once than the queue of completions holds.
        let pairs: Vec<_> = (0..300).map(|_| UnixStream::pair().unwrap()).collect();
        for nth in 0..6_000u64 {
            let (here, _) = &pairs[nth as usize % pairs.len()];
            ring.watch(here.as_fd(), Interest::Read, nth);
        }
        assert!(seen(&mut ring).is_empty(), "nothing has come");
        for (_, there) in &pairs {
            (&*there).write_all(b"x").unwrap();
        }
        let mut all = Vec::new();
        while all.len() < 6_000 {
            ring.sleep(Duration::from_mins(1)).unwrap();
            all.extend(seen(&mut ring));
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..6_000), "each once");
        // A file's operations are as before, and one that is watched counts as none of them.
        (&pairs[0].0).read_exact(&mut [0]).unwrap();
        ring.watch(pairs[0].0.as_fd(), Interest::Read, 7);
        ring.watch(pairs[0].0.as_fd(), Interest::Write, 8);
        let data = AlignedBuf::zeroed(4096, &budget).freeze();
        let done = run(&mut ring, vec![Op::Create { path: path(0) }]);
        assert!(done[0].1.is_ok());
        let done = run(&mut ring, vec![Op::Write { path: path(0), pos: 0, data }]);
        assert!(done[0].1.is_ok());
        assert_eq!(ring.seen().collect::<Vec<_>>(), [8], "it takes more, and has nothing to read");
        ring.alarm(Duration::from_millis(1)).unwrap();
        ring.sleep(Duration::from_mins(1)).unwrap();
        assert!(ring.has_completions());
        assert!(seen(&mut ring).is_empty());
        // Nothing comes.
        ring.sleep(Duration::from_millis(1)).unwrap();
        assert!(!ring.has_completions());
    }

    #[test]
    fn writes_syncs_renames_and_reads() {
        let (mut ring, budget) = ring("ops");
        let block =
            |fill: u8, n: usize| AlignedBuf::copy_of(&vec![fill; n * 4096], &budget).freeze();
        // More files than descriptors, so that the cache turns over.
        let done = run(&mut ring, vec![Op::Create { path: path(30) }]);
        assert!(done[0].1.is_ok());
        let ops = [
            Op::Write { path: path(30), pos: 0, data: block(1, 3) },
            Op::Release { path: path(30), pos: 8192, len: 4096 },
            Op::Unlink { path: path(30) },
        ];
        for op in ops {
            let done = run(&mut ring, vec![op]);
            assert!(done[0].1.is_ok(), "{done:?}");
        }
        let created = run(&mut ring, (0..20).map(|i| Op::Create { path: path(i) }).collect());
        assert!(created.iter().all(|(_, r)| r.is_ok()));
        let writes = (0..20)
            .map(|i| Op::WriteSync {
                path: path(i),
                pos: 0,
                data: block(i as u8, 3),
                sync_id: 100 + i as u64,
                apart: i % 2 == 0,
            })
            .collect();
        let done = run(&mut ring, writes);
        assert_eq!(done.len(), 40);
        assert!(done.iter().all(|(_, r)| r.is_ok()));
        let done = run(
            &mut ring,
            vec![Op::Rename { from: path(7), to: "g".into() }, Op::SyncDir { path: "".into() }],
        );
        assert!(done.iter().all(|(_, r)| r.is_ok()));
        let done = run(
            &mut ring,
            vec![
                Op::Read { path: "g".into(), pos: 4096, len: 16384 },
                Op::Read { path: path(19), pos: 0, len: 4096 },
                Op::Unlink { path: path(19) },
                Op::Unlink { path: path(99) },
                Op::RemoveDir { path: "none".into() },
            ],
        );
        assert_eq!(done[0].1.as_ref().unwrap()[..], [7; 8192]);
        assert!(done.iter().all(|(_, r)| r.is_ok()));
        drop(done);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_file_that_is_not_there_fails_both_halves() {
        let (mut ring, budget) = ring("missing");
        let data = AlignedBuf::zeroed(4096, &budget).freeze();
        for apart in [false, true] {
            let op = Op::WriteSync { path: path(1), pos: 0, data: data.clone(), sync_id: 5, apart };
            let done = run(&mut ring, vec![op]);
            assert_eq!(done.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 5]);
            assert!(done.iter().all(|(_, r)| r.is_err()));
        }
    }

    #[test]
    fn a_write_that_fails_fails_both_halves() {
        let (mut ring, budget) = ring("failing");
        run(&mut ring, vec![Op::Create { path: path(1) }]);
        for apart in [false, true] {
            // Not aligned: the kernel refuses it.
            let data = AlignedBuf::zeroed(4096, &budget).freeze().slice(1..);
            let op = Op::WriteSync { path: path(1), pos: 0, data, sync_id: 5, apart };
            let done = run(&mut ring, vec![op]);
            assert_eq!(done.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 5]);
            assert!(done.iter().all(|(_, r)| r.is_err()));
        }
    }

    #[test]
    fn more_at_once_than_the_queue_holds() {
        let (mut ring, budget) = ring("many");
        run(&mut ring, vec![Op::Create { path: path(0) }]);
        let data = AlignedBuf::zeroed(4096, &budget).freeze();
        let ops = (0..3000)
            .map(|i| Op::Write { path: path(0), pos: i * 4096, data: data.clone() })
            .collect();
        let done = run(&mut ring, ops);
        assert_eq!(done.len(), 3000);
        assert!(done.iter().all(|(_, r)| r.is_ok()));
    }

    /// Takes every descriptor that this process may still have.
    fn take_all() -> Vec<std::fs::File> {
        std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
    }

    /// The limit is the process's, so this runs in one of its own.
    #[test]
    fn files_open_though_others_took_every_descriptor() {
        const NAME: &str =
            "storage::device::uring::tests::files_open_though_others_took_every_descriptor";
        if std::env::var_os("KLAMM_TEST_FEW_DESCRIPTORS").is_none() {
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", NAME, "--nocapture"])
                .env("KLAMM_TEST_FEW_DESCRIPTORS", "1")
                .output()
                .unwrap();
            assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
            return;
        }
        let few = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
        // SAFETY: reads one `rlimit`.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const few) }, 0);
        let (mut ring, budget) = ring("few-descriptors");
        let others = take_all();
        let data = AlignedBuf::zeroed(4096, &budget).freeze();
        // More files than are kept apart, so that some are closed for others.
        let done = run(&mut ring, (0..30).map(|i| Op::Create { path: path(i) }).collect());
        assert!(done.iter().all(|(_, r)| r.is_ok()), "{done:?}");
        let write = |i| Op::Write { path: path(i), pos: 0, data: data.clone() };
        let done = run(&mut ring, (0..30).map(write).collect());
        assert!(done.iter().all(|(_, r)| r.is_ok()), "{done:?}");
        // Not even those: it waits until somebody lets go.
        ring.spare.clear();
        ring.files.open.clear();
        let more = take_all();
        ring.submit(Asker::Engine, Submission { id: 1, op: Op::Create { path: path(50) } });
        let mut done = Vec::new();
        ring.flush().unwrap();
        ring.wait().unwrap();
        ring.reap(&mut done).unwrap();
        assert!(done.is_empty() && !ring.is_idle(), "{done:?}");
        drop((others, more));
        while !ring.is_idle() {
            ring.wait().unwrap();
            ring.reap(&mut done).unwrap();
        }
        assert!(done.len() == 1 && done[0].1.result.is_ok(), "{done:?}");
    }
}
