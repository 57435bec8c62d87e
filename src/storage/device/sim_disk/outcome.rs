//! What a power cut leaves of one file and of the names.

use super::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// What survives or not on its own when the power goes.
pub const SECTOR: usize = 512;

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Dir,
    /// A file, by inode number.
    File(u64),
}

/// Paths and what they name. A directory sorts before what is in it.
pub type Names = BTreeMap<Arc<str>, Node>;

/// The directory of a path; empty for the root.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// Whether `path` lies below `dir`, at any depth.
pub fn is_below(path: &str, dir: &str) -> bool {
    path.len() > dir.len() && path.starts_with(dir) && path.as_bytes()[dir.len()] == b'/'
}

/// Whether anything lies in this directory.
pub fn has_children(names: &Names, dir: &str) -> bool {
    let first: Arc<str> = format!("{dir}/").into();
    names.range(first..).next().is_some_and(|(path, _)| is_below(path, dir))
}

/// Moves a directory's entries along with it.
pub fn move_children(names: &mut Names, from: &str, to: &str) {
    let below: Vec<_> = names.keys().filter(|path| is_below(path, from)).cloned().collect();
    for path in below {
        let node = names.remove(&path).expect("just listed");
        names.insert(format!("{to}{}", &path[from.len()..]).into(), node);
    }
}

/// A change of names that no `SyncDir` has covered.
#[derive(Clone, Debug)]
pub struct NameChange {
    /// When it completed.
    pub done_at: u64,
    /// What changed.
    pub kind: NameKind,
}

/// See [`NameChange`].
#[derive(Clone, Debug)]
pub enum NameKind {
    /// A name for a new file or directory.
    Link { path: Arc<str>, node: Node },
    /// A name removed.
    Unlink { path: Arc<str> },
    /// A directory removed, unless something in it survives.
    RemoveDir { path: Arc<str> },
    /// A move. Over two directories both must be synced; the new name first, so that a file that
    /// was durable is never without one.
    Rename { from: Arc<str>, to: Arc<str>, node: Node, from_synced: bool, to_synced: bool },
}

impl NameKind {
    /// Makes the change in the durable names.
    pub fn apply(&self, names: &mut Names) {
        match self {
            Self::Link { path, node } => {
                names.insert(path.clone(), *node);
            }
            Self::Unlink { path } => {
                if matches!(names.get(path), Some(Node::File(_))) {
                    names.remove(path);
                }
            }
            Self::RemoveDir { path } => {
                if names.get(path) == Some(&Node::Dir) && !has_children(names, path) {
                    names.remove(path);
                }
            }
            Self::Rename { from, to, node, to_synced, .. } => {
                names.remove(from);
                if !to_synced {
                    names.insert(to.clone(), *node);
                    if *node == Node::Dir {
                        move_children(names, from, to);
                    }
                }
            }
        }
    }

    /// A `SyncDir` of `dir` covers this change: true when nothing of it is left to do.
    pub fn sync(&mut self, dir: &str, names: &mut Names) -> bool {
        match self {
            Self::Link { path, .. } | Self::Unlink { path } | Self::RemoveDir { path } => {
                let covered = parent(path) == dir;
                if covered {
                    self.apply(names);
                }
                covered
            }
            Self::Rename { from, to, node, from_synced, to_synced } => {
                *from_synced |= parent(from) == dir;
                if !*to_synced && parent(to) == dir {
                    if *node == Node::Dir || *from_synced {
                        self.apply(names);
                        return true;
                    }
                    names.insert(to.clone(), *node);
                    *to_synced = true;
                }
                if *from_synced && *to_synced {
                    names.remove(from);
                    return true;
                }
                false
            }
        }
    }

    /// Follows a directory that moved.
    pub fn relocate(&mut self, old: &str, new: &str) {
        let fix = |path: &mut Arc<str>| {
            if is_below(path, old) {
                *path = format!("{new}{}", &path[old.len()..]).into();
            }
        };
        match self {
            Self::Link { path, .. } | Self::Unlink { path } | Self::RemoveDir { path } => fix(path),
            Self::Rename { from, to, .. } => {
                fix(from);
                fix(to);
            }
        }
    }
}

/// The names after a power cut: some of the pending changes, and nothing without its directory.
pub fn surviving_names(durable: &mut Names, pending: Vec<NameChange>, rng: &mut Rng) {
    let total = pending.len();
    // A file system with an ordered journal keeps a prefix; POSIX promises nothing.
    let (prefix, percent) = match rng.below(5) {
        0 => (0, 0),
        1 => (total, 0),
        2 => (rng.below(total as u64 + 1) as usize, 0),
        3 => (0, 50),
        _ => (0, rng.between(5, 95)),
    };
    for (i, change) in pending.into_iter().enumerate() {
        if i < prefix || (percent > 0 && rng.chance(percent)) {
            change.kind.apply(durable);
        }
    }
    let mut dirs: BTreeSet<Arc<str>> = BTreeSet::from(["".into()]);
    durable.retain(|path, node| {
        let kept = dirs.contains(parent(path));
        if kept && *node == Node::Dir {
            dirs.insert(path.clone());
        }
        kept
    });
}

/// A change of a file's bytes that no sync has covered.
#[derive(Clone, Debug)]
pub enum Change {
    /// Bytes at a position.
    Write { pos: u64, data: Vec<u8> },
    /// The file was emptied.
    Empty,
}

impl Change {
    /// Makes the change.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { pos, data } => {
                let (start, end) = (*pos as usize, *pos as usize + data.len());
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[start..end].copy_from_slice(data);
            }
            Self::Empty => bytes.clear(),
        }
    }

    /// The change outside of a range of bytes.
    pub fn outside(self, range: &Range<u64>) -> Vec<Self> {
        let Self::Write { pos, mut data } = self else { return vec![self] };
        let len = data.len() as u64;
        let (start, end) =
            (range.start.clamp(pos, pos + len) - pos, range.end.clamp(pos, pos + len) - pos);
        let behind = data.split_off(end as usize);
        data.truncate(start as usize);
        let parts = [(pos, data), (pos + end, behind)].into_iter();
        parts.filter(|it| !it.1.is_empty()).map(|(pos, data)| Self::Write { pos, data }).collect()
    }

    /// Makes the change in some sectors only, each with this chance.
    pub fn apply_torn(&self, bytes: &mut Vec<u8>, percent: u64, rng: &mut Rng) {
        let Self::Write { pos, data } = self else { return };
        for (i, sector) in data.chunks(SECTOR).enumerate() {
            if rng.chance(percent) {
                let at = *pos as usize + i * SECTOR;
                if bytes.len() < at + sector.len() {
                    bytes.resize(at + sector.len(), 0);
                }
                bytes[at..at + sector.len()].copy_from_slice(sector);
            }
        }
    }
}

/// A file's bytes after a power cut: what was durable, and of the pending changes what chance
/// keeps, by sector and in any order.
pub fn surviving_bytes(durable: &mut Vec<u8>, mut pending: Vec<Change>, rng: &mut Rng) {
    // Emptying and what is written afterwards are one chain: without the first the blocks written
    // later belong to nothing.
    while let Some(at) = pending.iter().position(|c| matches!(c, Change::Empty)) {
        if rng.chance(50) {
            durable.clear();
            pending.drain(..=at);
        } else {
            pending.truncate(at);
        }
    }
    let durable_len = durable.len();
    let ends: Vec<usize> = pending
        .iter()
        .filter_map(|c| match c {
            Change::Write { pos, data } => Some(*pos as usize + data.len()),
            Change::Empty => None,
        })
        .filter(|end| *end > durable_len)
        .collect();
    let total = pending.len();
    match rng.below(8) {
        0 => {}
        1 | 2 => pending.iter().for_each(|c| c.apply(durable)),
        3 => {
            let prefix = rng.below(total as u64 + 1) as usize;
            pending[..prefix].iter().for_each(|c| c.apply(durable));
        }
        4 | 5 => {
            for change in &pending {
                if rng.chance(50) {
                    change.apply(durable);
                }
            }
        }
        6 => {
            // One write torn, the others whole or not.
            let torn = rng.below(total.max(1) as u64) as usize;
            for (i, change) in pending.iter().enumerate() {
                if i == torn {
                    change.apply_torn(durable, 50, rng);
                } else if rng.chance(50) {
                    change.apply(durable);
                }
            }
        }
        _ => {
            let percent = [10, 50, 90, 98][rng.index(4)];
            for change in &pending {
                change.apply_torn(durable, percent, rng);
            }
        }
    }
    // The length is metadata: it may be lost though the bytes are there, or be there without them.
    if !ends.is_empty() {
        match rng.below(4) {
            0 => {
                let choice = rng.index(ends.len() + 1);
                let len = ends.get(choice).copied().unwrap_or(durable_len);
                durable.truncate(len);
            }
            1 => {
                let len = ends[rng.index(ends.len())];
                if durable.len() < len {
                    durable.resize(len, 0);
                }
            }
            _ => {}
        }
    }
}
