//! Memory that is touched before somebody needs it.
//!
//! A margin beyond what was ever in use: a quarter of that, within bounds, so an idle broker takes little
//! and a busy one is seldom faster than the helper. What only makes use of memory that is there, as the
//! cache does, leaves half of the margin to the others (`Arena::spare`).

use super::super::align::ALIGN;
use super::{Arena, HUGE, Part};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::Thread;

/// Pages of a huge page.
const STEP: u32 = (HUGE / ALIGN) as u32;

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
        self.has_less(touched) && self.wake()
    }

    fn wake(&self) -> bool {
        !self.wanted.load(Ordering::Relaxed) && !self.wanted.swap(true, Ordering::AcqRel)
    }

    /// Whether less than half of the margin is ready beyond so many pages.
    pub fn is_short(&self, touched: u32) -> bool {
        self.lacks(touched, margin(touched) / 2)
    }

    /// Whether less than the margin is.
    fn has_less(&self, touched: u32) -> bool {
        self.lacks(touched, margin(touched))
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

/// What a step of touching memory has left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Populated {
    /// Nothing: the margin is ready.
    All,
    /// More, which nobody is likely to need at once.
    Enough,
    /// More, and it is needed.
    Short,
}

impl Arena {
    /// From here on `helper` is unparked when memory is to be touched by [`populate`](Self::populate).
    pub fn helped_by(&self, helper: Thread) {
        let _ = self.helper.set(helper);
        self.helped.store(true, Ordering::Relaxed);
    }

    /// Nobody touches memory ahead any more.
    pub fn not_helped(&self) {
        self.helped.store(false, Ordering::Relaxed);
    }

    /// Touches a huge page of what is to be ready, on the helper's thread: of a part that is short of it, if any
    /// is. Fails before Linux 5.14: who needs memory touches it then.
    pub fn populate(&self) -> io::Result<Populated> {
        for part in &self.parts {
            part.ahead.wanted.store(false, Ordering::Release);
        }
        let touched = |part: &Part| part.touched.load(Ordering::Relaxed);
        let short = |part: &Part| part.ahead.is_short(touched(part));
        let less = |part: &Part| part.ahead.has_less(touched(part));
        let found = self.parts.iter().position(short).or_else(|| self.parts.iter().position(less));
        let Some(index) = found else { return Ok(Populated::All) };
        let part = &self.parts[index];
        // What shards have touched themselves meanwhile is passed over.
        let from = part.ahead.populated().max(touched(part) / STEP * STEP);
        let to = (from + STEP).min(part.ahead.pages);
        let (start, bytes) = (index * self.part_pages, (to - from) as usize * ALIGN);
        self.mapping.populate((start + from as usize) * ALIGN, bytes)?;
        part.ahead.populated.store(to, Ordering::Relaxed);
        Ok(if short(part) { Populated::Short } else { Populated::Enough })
    }
}
