//! Descriptors of files, so that each is opened once and not all stay open.

use super::io::FilePath;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// Open descriptors, least recently used out first.
pub struct Descriptors {
    /// With the time of their last use.
    pub open: HashMap<FilePath, (Rc<OwnedFd>, u64)>,
    /// So many at most.
    pub limit: usize,
    /// Counts uses.
    pub clock: u64,
}

impl Descriptors {
    /// That of this file.
    pub fn get(&mut self, path: &FilePath) -> Option<Rc<OwnedFd>> {
        self.clock += 1;
        let (file, used) = self.open.get_mut(path)?;
        *used = self.clock;
        Some(file.clone())
    }

    /// Keeps one; lets others go where there are too many.
    pub fn put(&mut self, path: FilePath, file: Rc<OwnedFd>) {
        self.clock += 1;
        self.open.insert(path, (file, self.clock));
        if self.open.len() > self.limit {
            // An eighth at a time, so that the walk is paid once for many.
            let mut ages: Vec<u64> = self.open.values().map(|&(_, used)| used).collect();
            let nth = self.limit / 8;
            let (_, &mut oldest_kept, _) = ages.select_nth_unstable(nth);
            self.open.retain(|_, &mut (_, used)| used >= oldest_kept);
        }
    }

    /// Closes the least recently used one that nothing works on. False where there is none.
    pub fn close_one(&mut self) -> bool {
        let unused = self.open.iter().filter(|(_, (file, _))| Rc::strong_count(file) == 1);
        let oldest = unused.min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone());
        oldest.is_some_and(|path| self.open.remove(&path).is_some())
    }
}
