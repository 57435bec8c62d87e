//! Operations on files, as data.
//!
//! The engine emits [`Submission`]s and takes [`Completion`]s; it never waits. Recovery and the
//! tools run the same [`Op`]s one by one on a [`Disk`](super::disk). Paths are relative to the data
//! directory and name the file: descriptors are the disk's own affair.

use bytes::Bytes;
use std::io;
use std::sync::Arc;

/// A path below the data directory, with `/` between its parts.
pub type FilePath = Arc<str>;

/// One operation on a file.
#[derive(Clone, Debug)]
pub enum Op {
    /// Creates a directory and its parents; one that exists is fine. Durable after `SyncDir` of the
    /// parent.
    MakeDir {
        /// The directory.
        path: FilePath,
    },
    /// Creates an empty file, or empties one that exists. Durable after `SyncDir` of its directory.
    Create {
        /// The file.
        path: FilePath,
    },
    /// Writes at `pos`, of which it and the length and address of `data` are multiples of
    /// [`ALIGN`](crate::storage::buffer::ALIGN). Not durable before a `Sync` that was *submitted after this
    /// write completed*. A file that does not exist is an error.
    Write {
        /// The file.
        path: FilePath,
        /// Where, in bytes.
        pos: u64,
        /// What.
        data: Bytes,
    },
    /// Writes, and makes durable what was written: of the file's other writes nothing is promised.
    /// The file's length must not change. Two completions: the write's with the submission's id,
    /// then the sync's with `sync_id`. Where the write fails, the sync fails too.
    WriteSync {
        /// The file.
        path: FilePath,
        /// Where, in bytes.
        pos: u64,
        /// What.
        data: Bytes,
        /// Id of the sync's completion.
        sync_id: u64,
        /// The write's completion comes as soon as it is written. Otherwise it may come with the
        /// sync's, which costs less.
        apart: bool,
    },
    /// Gives the space of a range back that holds nothing; the file's length stays. Where the file
    /// system cannot, nothing happens.
    Release {
        /// The file.
        path: FilePath,
        /// Where it begins, in bytes.
        pos: u64,
        /// How many bytes.
        len: u64,
    },
    /// `fdatasync`: what completed before this was submitted is durable, with the file's length.
    Sync {
        /// The file.
        path: FilePath,
    },
    /// Makes creates, renames and unlinks directly in this directory durable (`fsync`).
    SyncDir {
        /// The directory; the empty path is the data directory itself.
        path: FilePath,
    },
    /// Renames, replacing what is there. Durable after `SyncDir` of both directories.
    Rename {
        /// Old path.
        from: FilePath,
        /// New path.
        to: FilePath,
    },
    /// Removes a file; one that does not exist is fine.
    Unlink {
        /// The file.
        path: FilePath,
    },
    /// Removes a directory if it is empty; otherwise does nothing.
    RemoveDir {
        /// The directory.
        path: FilePath,
    },
    /// Reads up to `len` bytes, fewer only where the file ends. `pos` and `len` are multiples of
    /// [`ALIGN`](crate::storage::buffer::ALIGN).
    Read {
        /// The file.
        path: FilePath,
        /// Where, in bytes.
        pos: u64,
        /// How many bytes.
        len: usize,
    },
}

/// Whether an error says that there is no space; others are the disk's, and what it has done is not
/// known.
pub fn is_want_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Op {
    /// Whether it may be tried again when it has failed: nothing has come of it then, or only what it does once more. Of a
    /// sync nobody knows what it has left out.
    pub fn may_be_repeated(&self) -> bool {
        matches!(
            self,
            Self::Write { .. } | Self::Create { .. } | Self::MakeDir { .. } | Self::Rename { .. }
        )
    }

    /// The file or directory that it is about; of a rename the old name.
    pub fn path(&self) -> &FilePath {
        match self {
            Self::MakeDir { path }
            | Self::Create { path }
            | Self::Write { path, .. }
            | Self::WriteSync { path, .. }
            | Self::Release { path, .. }
            | Self::Sync { path }
            | Self::SyncDir { path }
            | Self::Unlink { path }
            | Self::RemoveDir { path }
            | Self::Read { path, .. }
            | Self::Rename { from: path, .. } => path,
        }
    }
}

/// An operation that is asked for; `id` is the asker's and comes back in the [`Completion`].
#[derive(Clone, Debug)]
pub struct Submission {
    /// Unique among those in flight.
    pub id: u64,
    /// What to do.
    pub op: Op,
}

/// How an operation ended.
#[derive(Debug)]
pub struct Completion {
    /// Of the submission.
    pub id: u64,
    /// For `Read` the bytes, otherwise empty.
    pub result: io::Result<Bytes>,
}

/// A file in a directory listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name within the directory.
    pub name: String,
    /// Length in bytes; 0 for a directory.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}
