//! What of the memory that is touched nobody has needed lately.
//!
//! Buffers come and go: what is free at one moment may be needed in the next. So what counts is the most
//! that was in use while so many pages were taken, now and in the period before; whoever makes use of what
//! is left over is counted in.

/// A period ends when so many pages were taken in it: 64 MiB.
const PERIOD: u32 = 16 << 10;

/// See the module. Pages.
#[derive(Debug, Default)]
pub(super) struct Spare {
    taken: u32,
    /// The most in use in this period.
    most: u32,
    /// The most that was needed in the period before, with what was granted then.
    before: u32,
    granted: u32,
}

impl Spare {
    /// So many pages were taken; so many are in use now.
    pub fn took(&mut self, pages: u32, in_use: u32) {
        self.most = self.most.max(in_use);
        self.taken = self.taken.saturating_add(pages);
        if self.taken >= PERIOD {
            self.before = self.most.saturating_add(self.granted);
            (self.taken, self.most, self.granted) = (0, in_use, 0);
        }
    }

    /// Whether `pages` pages, which are in use, may stay so, though nobody needs them: of `backed` pages
    /// `reserve` are to be left to those that do.
    pub fn grant(&mut self, pages: u32, backed: u32, reserve: u32) -> bool {
        let needed = self.most.max(self.before).saturating_add(self.granted);
        let granted = backed.saturating_sub(needed).saturating_sub(reserve) >= pages;
        self.granted += if granted { pages } else { 0 };
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_is_not_spare() {
        let mut spare = Spare::default();
        // 300 pages and then 100, again and again.
        for _ in 0..2 * PERIOD / 200 {
            spare.took(200, 300);
        }
        spare.took(0, 100);
        assert!(!spare.grant(101, 450, 50));
        assert!(spare.grant(60, 450, 50));
        assert!(!spare.grant(60, 450, 50), "what was granted is not spare any more");
        assert!(spare.grant(40, 450, 50));
        // Two periods later it is in use.
        for _ in 0..2 * (PERIOD / 200 + 1) {
            spare.took(200, 400);
        }
        assert!(!spare.grant(1, 450, 50));
        assert!(spare.grant(1, 451, 50));
    }

    #[test]
    fn a_need_that_is_long_over_is_forgotten() {
        let mut spare = Spare::default();
        spare.took(1, 1_000);
        assert!(!spare.grant(1, 1_000, 0));
        for _ in 0..2 {
            spare.took(PERIOD, 100);
        }
        assert!(spare.grant(900, 1_000, 0));
    }
}
