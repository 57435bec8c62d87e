//! Memory that is touched before somebody needs it.

use super::super::align::ALIGN;
use super::{Arena, HUGE};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Pages of a huge page.
const STEP: u32 = (HUGE / ALIGN) as u32;
/// Pages that are to be ready beyond those that were ever in use.
const AHEAD: u32 = 2 * STEP;

/// How far a part is touched.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Pages of the part.
    pages: u32,
    /// Pages that the helper need not look at any more: it has populated them, or somebody used them.
    populated: AtomicU32,
    /// The helper was woken and has not looked yet.
    wanted: AtomicBool,
}

impl Ahead {
    /// Nothing of so many pages.
    pub fn new(pages: u32) -> Self {
        Self { pages, populated: AtomicU32::new(0), wanted: AtomicBool::new(false) }
    }

    /// Whether the helper is to be woken, now that so many pages were ever in use. Once for each time
    /// that it looks.
    pub fn is_wanted(&self, touched: u32) -> bool {
        (touched + AHEAD / 2).min(self.pages) > self.populated()
            && !self.wanted.load(Ordering::Relaxed)
            && !self.wanted.swap(true, Ordering::AcqRel)
    }

    /// Pages up to the last one that the helper need not look at.
    pub fn populated(&self) -> u32 {
        self.populated.load(Ordering::Relaxed)
    }
}

impl Arena {
    /// Starts a thread that touches memory a little ahead of its use, for as long as the process runs.
    pub fn touch_ahead(self: &Arc<Self>) -> io::Result<()> {
        let arena = self.clone();
        let work = move || {
            while arena.populate_ahead().is_ok() {
                std::thread::park();
            }
            // This kernel cannot: who needs memory touches it. Nobody wakes a thread that has ended.
        };
        let helper = std::thread::Builder::new().name("klamm-memory".to_owned()).spawn(work)?;
        let _ = self.helper.set(helper.thread().clone());
        Ok(())
    }

    /// Touches what is to be ready in each part that wants it.
    pub(super) fn populate_ahead(&self) -> io::Result<()> {
        for (index, part) in self.parts.iter().enumerate() {
            let start = index * self.part_pages;
            part.ahead.wanted.store(false, Ordering::Release);
            loop {
                let touched = self.locked(part).touched();
                // What shards have touched themselves meanwhile is passed over.
                let from = part.ahead.populated().max(touched / STEP * STEP);
                part.ahead.populated.store(from, Ordering::Relaxed);
                let to = (from + STEP).min(part.ahead.pages);
                if from >= to || from >= touched + AHEAD {
                    break;
                }
                let bytes = |pages: u32| pages as usize * ALIGN;
                self.mapping.populate(start * ALIGN + bytes(from), bytes(to - from))?;
                part.ahead.populated.store(to, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}
