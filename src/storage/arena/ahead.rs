//! Memory that is touched before somebody needs it.
//!
//! A margin beyond what was ever in use: a quarter of that, within bounds, so an idle broker takes little
//! and a busy one is seldom faster than the helper. What only makes use of memory that is there, as the
//! cache does, leaves half of the margin to the others (`Arena::spare`), and the helper, which may share
//! the processor of a shard, works a quarter of the time while no more than that is missing.

use super::super::align::ALIGN;
use super::{Arena, HUGE};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

/// Pages of a huge page.
const STEP: u32 = (HUGE / ALIGN) as u32;
/// The helper rests so many times as long as it worked, while nobody is short of memory.
const REST: u32 = 3;

/// Pages that are to be ready beyond those that were ever in use, which are so many.
fn margin(touched: u32) -> u32 {
    (touched / 4).clamp(2 * STEP, 32 * STEP)
}

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

    /// Whether the helper is to be woken, now that so many pages were ever in use: half of the margin is gone.
    /// Once for each time that it looks.
    pub fn is_wanted(&self, touched: u32) -> bool {
        self.is_short(touched) && self.wake()
    }

    /// The same where somebody could make use of more, and there is less than the whole margin.
    pub fn is_welcome(&self, touched: u32) -> bool {
        self.lacks(touched, margin(touched)) && self.wake()
    }

    fn wake(&self) -> bool {
        !self.wanted.load(Ordering::Relaxed) && !self.wanted.swap(true, Ordering::AcqRel)
    }

    /// Whether less than half of the margin is ready beyond so many pages.
    pub fn is_short(&self, touched: u32) -> bool {
        self.lacks(touched, margin(touched) / 2)
    }

    fn lacks(&self, touched: u32, pages: u32) -> bool {
        (touched + pages).min(self.pages) > self.populated()
    }

    /// Pages that are touched, where so many were ever in use, and how many of them are for those that cannot do
    /// without.
    pub fn reserve(&self, touched: u32) -> (u32, u32) {
        let backed = touched.max(self.populated());
        (backed, if backed == self.pages { 0 } else { margin(touched) / 2 })
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
            arena.helped.store(false, Ordering::Relaxed);
        };
        self.helped.store(true, Ordering::Relaxed);
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
                if from >= to || from >= touched + margin(touched) {
                    break;
                }
                let bytes = |pages: u32| pages as usize * ALIGN;
                let begun = Instant::now();
                self.mapping.populate(start * ALIGN + bytes(from), bytes(to - from))?;
                part.ahead.populated.store(to, Ordering::Relaxed);
                if !part.ahead.is_short(self.locked(part).touched()) {
                    std::thread::sleep(begun.elapsed() * REST);
                }
            }
        }
        Ok(())
    }
}
