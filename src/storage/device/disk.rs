//! A disk that runs one [`Op`] after the other, waiting for each: for recovery and for the tools.
//! While the broker serves, the shards run the same operations through [`ring`](super::uring).

use super::io::{Entry, Op};
use super::sim_disk::SimDisk;
use crate::storage::buffer::{ALIGN, Budget, Filling};
use bytes::Bytes;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the data directory is.
///
/// An enum and not a trait: there are exactly these, and no type that holds a disk needs a
/// parameter for it.
#[derive(Clone, Debug)]
pub enum Disk {
    /// A directory of a file system.
    Real(RealDisk),
    /// A simulated one, for tests.
    Sim(SimDisk),
}

impl Disk {
    /// Runs one operation to its end. `WriteSync` gives one result for both of its halves.
    pub fn run(&self, op: Op) -> io::Result<Bytes> {
        match self {
            Self::Real(disk) => disk.run(op),
            Self::Sim(disk) => disk.run(op),
        }
    }

    /// What is in a directory, in no particular order; a directory that is not there is empty.
    pub fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        match self {
            Self::Real(disk) => disk.list(dir),
            Self::Sim(disk) => disk.list(dir),
        }
    }

    /// Length of a file in bytes; `None` where there is no such file.
    pub fn len(&self, path: &str) -> io::Result<Option<u64>> {
        match self {
            Self::Real(disk) => disk.len(path),
            Self::Sim(disk) => disk.len(path),
        }
    }
}

/// A data directory on a real file system, through `O_DIRECT`.
#[derive(Clone, Debug)]
pub struct RealDisk {
    root: Arc<Path>,
    /// What reads are charged to.
    budget: Arc<Budget>,
}

/// What kind of file system the data directory is on, by `statfs(2)`'s magic number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4 (or ext2/ext3, which share its number).
    Ext4,
    /// XFS.
    Xfs,
    /// Memory: `O_DIRECT` is accepted and ignored, and nothing survives a power cut.
    Tmpfs,
    /// A container's writable layer.
    Overlay,
    /// Copy on write: pre-written files are not overwritten in place.
    Btrfs,
    /// Copy on write.
    Zfs,
    /// Network.
    Nfs,
    /// FUSE: whatever stands behind it.
    Fuse,
    /// Any other, by its number.
    Other(i64),
}

impl FileSystem {
    fn from_magic(magic: i64) -> Self {
        match magic {
            0xEF53 => Self::Ext4,
            0x5846_5342 => Self::Xfs,
            0x0102_1994 | 0x8584_58f6 => Self::Tmpfs,
            0x794c_7630 => Self::Overlay,
            0x9123_683E => Self::Btrfs,
            0x2fc1_2fc1 => Self::Zfs,
            0x6969 | 0xFF53_4D42 | 0xFE53_4D42 | 0x517B => Self::Nfs,
            0x6573_5546 => Self::Fuse,
            other => Self::Other(other),
        }
    }

    /// What is not guaranteed there; `None` where everything is.
    pub fn caveat(self) -> Option<&'static str> {
        match self {
            Self::Ext4 | Self::Xfs => None,
            Self::Tmpfs => Some("tmpfs is memory: nothing survives a reboot or a power cut"),
            Self::Overlay => Some(
                "overlay is a container's writable layer: it goes with the container, and durability depends on the layer below; mount a volume",
            ),
            Self::Btrfs | Self::Zfs => Some(
                "a copy-on-write file system: recycled files are not overwritten in place, so syncs are slower, and a full disk can fail a write that only overwrites",
            ),
            Self::Nfs => Some(
                "a network file system: whether a sync reaches the server's disk, and whether the lock excludes other machines, depends on the server",
            ),
            Self::Fuse => Some(
                "a FUSE file system: whether a sync is durable depends on what stands behind it",
            ),
            Self::Other(_) => {
                Some("a file system that was not tested: only ext4 and XFS are supported")
            }
        }
    }
}

/// The lock on a data directory: held until it is dropped, or the process ends.
#[derive(Debug)]
pub struct DirLock(#[expect(dead_code, reason = "its descriptor holds the lock")] File);

impl RealDisk {
    /// The directory `root`, which is created if it is not there.
    pub fn new(root: &Path, budget: Arc<Budget>) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self { root: root.canonicalize()?.into(), budget })
    }

    /// The directory `root` as it is, for tools that only look.
    pub fn existing(root: &Path, budget: Arc<Budget>) -> io::Result<Self> {
        Ok(Self { root: root.canonicalize()?.into(), budget })
    }

    /// The data directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What reads are charged to.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// `path` as the operating system knows it.
    pub fn full(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.to_path_buf() } else { self.root.join(path) }
    }

    /// Takes the lock file `LOCK` of the directory; `None` where another process has it.
    pub fn lock(&self) -> io::Result<Option<DirLock>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .read(true)
            .open(self.full("LOCK"))?;
        // SAFETY: the descriptor is open while `file` lives.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
            return Ok(Some(DirLock(file)));
        }
        let error = io::Error::last_os_error();
        if error.kind() == ErrorKind::WouldBlock { Ok(None) } else { Err(error) }
    }

    /// What kind of file system this is.
    pub fn file_system(&self) -> io::Result<FileSystem> {
        let path = self.root_c()?;
        let mut out = std::mem::MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: a path that ends in zero and room for one `statfs`.
        if unsafe { libc::statfs(path.as_ptr(), out.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: filled in by the call, which succeeded.
        let magic = unsafe { out.assume_init() }.f_type;
        #[allow(clippy::unnecessary_cast, reason = "its width differs between targets")]
        Ok(FileSystem::from_magic(magic as i64))
    }

    /// Bytes that this process may still write, and bytes in all.
    pub fn space(&self) -> io::Result<(u64, u64)> {
        let path = self.root_c()?;
        let mut out = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: a path that ends in zero and room for one `statvfs`.
        if unsafe { libc::statvfs(path.as_ptr(), out.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: filled in by the call, which succeeded.
        let s = unsafe { out.assume_init() };
        Ok((s.f_bavail * s.f_frsize, s.f_blocks * s.f_frsize))
    }

    /// Makes the file `path` take `len` bytes of space, or removes it where that is 0. As far as it
    /// goes: a reserve that cannot be had is none.
    pub fn set_reserve(&self, path: &str, len: u64) {
        let path = self.full(path);
        let now = fs::metadata(&path).map_or(0, |meta| meta.len());
        if len == 0 && now > 0 {
            let _ = fs::remove_file(&path);
        } else if len > now {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            if file.is_ok_and(|file| fallocate(&file, 0, 0, len).is_err()) {
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// Whether files here can be opened for direct I/O.
    pub fn direct_io_works(&self) -> io::Result<bool> {
        let path = self.full(".direct-io-probe");
        let result = direct(OpenOptions::new().create(true).truncate(true)).open(&path);
        let removed = fs::remove_file(&path);
        match result {
            Ok(_) => removed.map(|()| true),
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn root_c(&self) -> io::Result<CString> {
        Ok(CString::new(self.root.as_os_str().as_bytes())?)
    }

    fn open(&self, path: &str) -> io::Result<File> {
        direct(&mut OpenOptions::new()).open(self.full(path))
    }

    fn run(&self, op: Op) -> io::Result<Bytes> {
        let done = Ok(Bytes::new());
        match op {
            Op::MakeDir { path } => fs::create_dir_all(self.full(&path))?,
            Op::Create { path } => {
                direct(OpenOptions::new().create(true).truncate(true)).open(self.full(&path))?;
            }
            Op::Write { path, pos, data } => self.open(&path)?.write_all_at(&data, pos)?,
            Op::WriteSync { path, pos, data, .. } => {
                let file = self.open(&path)?;
                file.write_all_at(&data, pos)?;
                file.sync_data()?;
            }
            Op::Release { path, pos, len } => {
                match fallocate(&self.open(&path)?, PUNCH, pos, len) {
                    Err(e) if e.raw_os_error() != Some(libc::EOPNOTSUPP) => return Err(e),
                    _ => {}
                }
            }
            Op::Sync { path } => self.open(&path)?.sync_data()?,
            Op::SyncDir { path } => File::open(self.full(&path))?.sync_all()?,
            Op::Rename { from, to } => fs::rename(self.full(&from), self.full(&to))?,
            Op::Unlink { path } => match fs::remove_file(self.full(&path)) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => {}
            },
            Op::RemoveDir { path } => match fs::remove_dir(self.full(&path)) {
                Err(e)
                    if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) =>
                {
                    return Err(e);
                }
                _ => {}
            },
            Op::Read { path, pos, len } => {
                let file = self.open(&path)?;
                let mut buf = Filling::new(len, &self.budget);
                read_up_to(&file, &mut buf, len, pos)?;
                return Ok(buf.into_filled().freeze());
            }
        }
        done
    }

    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        let entries = match fs::read_dir(self.full(dir)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        entries
            .map(|entry| {
                let entry = entry?;
                let meta = entry.metadata()?;
                let is_dir = meta.is_dir();
                let name = entry.file_name().into_string().map_err(|name| {
                    io::Error::new(ErrorKind::InvalidData, format!("file name {}", name.display()))
                })?;
                Ok(Entry { name, len: if is_dir { 0 } else { meta.len() }, is_dir })
            })
            .collect()
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        match fs::metadata(self.full(path)) {
            Ok(meta) => Ok(Some(meta.len())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// Takes space out of a file and leaves its length: see fallocate(2).
pub(super) const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;

fn fallocate(file: &File, mode: i32, pos: u64, len: u64) -> io::Result<()> {
    // SAFETY: the descriptor is open while `file` lives.
    let done =
        unsafe { libc::fallocate(file.as_raw_fd(), mode, pos as libc::off_t, len as libc::off_t) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn direct(options: &mut OpenOptions) -> &OpenOptions {
    options.read(true).write(true).custom_flags(libc::O_DIRECT)
}

/// A direct read that stops short of `buf` has met the end of the file when what it gave is not a
/// whole number of blocks; otherwise it may go on.
fn read_up_to(file: &File, buf: &mut Filling, len: usize, pos: u64) -> io::Result<()> {
    while buf.len() < len && buf.len().is_multiple_of(ALIGN) {
        let at = pos + buf.len() as u64;
        let rest = len - buf.len();
        match rustix::io::pread(file, &mut buf.spare()[..rest], at) {
            Ok(([], _)) => break,
            Ok((read, _)) => {
                let n = read.len();
                // SAFETY: the kernel has written them.
                unsafe { buf.advance(n) };
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::buffer::AlignedBuf;

    fn scratch(name: &str) -> PathBuf {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp-disk").join(name);
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn runs_every_operation() {
        let budget = Budget::new(1 << 20);
        let disk = Disk::Real(RealDisk::new(&scratch("ops"), budget.clone()).unwrap());
        let path = |p: &str| -> Arc<str> { p.into() };
        let block = |fill| AlignedBuf::copy_of(&[fill; 4096], &budget).freeze();
        disk.run(Op::MakeDir { path: path("a/b") }).unwrap();
        disk.run(Op::SyncDir { path: path("") }).unwrap();
        let missing = Op::Write { path: path("a/x"), pos: 0, data: block(1) };
        assert_eq!(disk.run(missing).unwrap_err().kind(), ErrorKind::NotFound);
        disk.run(Op::Create { path: path("a/x") }).unwrap();
        disk.run(Op::Write { path: path("a/x"), pos: 4096, data: block(1) }).unwrap();
        disk.run(Op::WriteSync {
            path: path("a/x"),
            pos: 0,
            data: block(2),
            sync_id: 9,
            apart: true,
        })
        .unwrap();
        disk.run(Op::Sync { path: path("a/x") }).unwrap();
        disk.run(Op::Create { path: path("a/z") }).unwrap();
        let zeros = AlignedBuf::zeroed(64 << 10, &budget).freeze();
        disk.run(Op::Write { path: path("a/z"), pos: 0, data: zeros }).unwrap();
        disk.run(Op::Release { path: path("a/z"), pos: 4096, len: (64 << 10) - 4096 }).unwrap();
        assert_eq!(disk.len("a/z").unwrap(), Some(64 << 10), "it never shrinks");
        disk.run(Op::Unlink { path: path("a/z") }).unwrap();
        disk.run(Op::Rename { from: path("a/x"), to: path("a/b/y") }).unwrap();
        let read = disk.run(Op::Read { path: path("a/b/y"), pos: 0, len: 16384 }).unwrap();
        assert_eq!((read.len(), read[0], read[4096]), (8192, 2, 1));
        assert_eq!(disk.len("a/b/y").unwrap(), Some(8192));
        assert_eq!(disk.len("a/x").unwrap(), None);
        assert_eq!(
            disk.list("a/b").unwrap(),
            [Entry { name: "y".into(), len: 8192, is_dir: false }]
        );
        assert_eq!(disk.list("nowhere").unwrap(), []);
        disk.run(Op::RemoveDir { path: path("a/b") }).unwrap();
        disk.run(Op::Unlink { path: path("a/b/y") }).unwrap();
        disk.run(Op::Unlink { path: path("a/b/y") }).unwrap();
        disk.run(Op::RemoveDir { path: path("a/b") }).unwrap();
        assert_eq!(disk.list("a").unwrap(), []);
    }

    #[test]
    fn one_process_at_a_time() {
        let disk = RealDisk::new(&scratch("lock"), Budget::new(0)).unwrap();
        let held = disk.lock().unwrap();
        assert!(held.is_some());
        assert!(disk.lock().unwrap().is_none());
        drop(held);
        assert!(disk.lock().unwrap().is_some());
        let (free, total) = disk.space().unwrap();
        assert!(0 < free && free <= total);
        disk.file_system().unwrap();
    }
}
