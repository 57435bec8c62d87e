//! Which pages of a part are free: ranges of any length, the lowest that is long enough first.
//!
//! One bit a page, and above each 64 of them a binary tree that knows the longest free range below each
//! node and how far free pages reach in from both sides. So a range is found, taken and given back in
//! O(log pages), besides a 64th of its own length in words of the bitmap; what is given back joins its neighbours by itself; and
//! a range costs the pages that it has and no more. Half a byte a page, all of it outside the pages.
//!
//! The lowest range first keeps what is in use, and so what was ever touched, packed at the low end. Of
//! buffers that come and go it is also the one that was given back last.

use super::spare::Spare;

/// Bits of a word, pages of a leaf.
const WORD: u32 = u64::BITS;

/// What a node of the tree knows of the pages below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    /// Free pages from its first page on.
    prefix: u32,
    /// Free pages up to its last page.
    suffix: u32,
    /// The longest range of free pages.
    longest: u32,
}

impl Span {
    fn of_word(word: u64) -> Self {
        let (mut rest, mut longest) = (word, 0);
        while rest != 0 {
            rest >>= rest.trailing_zeros();
            let range = rest.trailing_ones();
            longest = longest.max(range);
            rest = rest.checked_shr(range).unwrap_or(0);
        }
        Self { prefix: word.trailing_ones(), suffix: word.leading_ones(), longest }
    }

    /// Of two neighbours of `width` pages each.
    fn join(left: Self, right: Self, width: u32) -> Self {
        let across = left.suffix + right.prefix;
        Self {
            prefix: if left.prefix == width { width + right.prefix } else { left.prefix },
            suffix: if right.suffix == width { width + left.suffix } else { right.suffix },
            longest: left.longest.max(right.longest).max(across),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct FreePages {
    /// A set bit is a free page.
    free: Vec<u64>,
    /// The tree: node 1 is the root, 2n and 2n + 1 are below n, the last half are the words.
    spans: Vec<Span>,
    /// Words, rounded up to a power of two; those that do not exist have nothing free.
    leaves: usize,
    in_use: u32,
    /// Pages up to the highest that was ever taken.
    touched: u32,
    /// What nobody has needed lately.
    pub spare: Spare,
}

impl FreePages {
    /// All of `pages` pages free.
    pub fn new(pages: u32) -> Self {
        assert!(pages <= 1 << 31, "page numbers and sums of two ranges fit in 32 bits");
        let words = pages.div_ceil(WORD).max(1) as usize;
        let leaves = words.next_power_of_two();
        let mut all = Self {
            free: vec![0; words],
            spans: vec![Span::default(); 2 * leaves],
            leaves,
            in_use: pages,
            touched: 0,
            spare: Spare::default(),
        };
        if pages > 0 {
            all.give(0, pages);
        }
        all
    }

    /// Pages that are taken.
    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    /// Pages up to the highest that was ever taken.
    pub fn touched(&self) -> u32 {
        self.touched
    }

    /// Says that so many pages are backed by memory, although they were not taken yet.
    pub fn touch(&mut self, pages: u32) {
        self.touched = self.touched.max(pages);
    }

    /// The longest range that is free.
    #[cfg(test)]
    pub fn longest(&self) -> u32 {
        self.spans[1].longest
    }

    /// Takes the lowest range of `pages` pages, at least one: its first page.
    pub fn take(&mut self, pages: u32) -> Option<u32> {
        debug_assert!(pages > 0, "a range has pages");
        if self.spans[1].longest < pages {
            return None;
        }
        let first = self.lowest(pages);
        self.set(first, pages, false);
        self.in_use += pages;
        self.touched = self.touched.max(first + pages);
        self.spare.took(pages, self.in_use);
        Some(first)
    }

    /// Gives back pages that are taken.
    pub fn give(&mut self, first: u32, pages: u32) {
        self.set(first, pages, true);
        self.in_use -= pages;
    }

    /// The first page of the lowest free range that is long enough; there is one.
    fn lowest(&self, pages: u32) -> u32 {
        let (mut node, mut first) = (1, 0);
        let mut width = self.leaves as u32 * WORD;
        while node < self.leaves {
            width /= 2;
            let (left, right) = (self.spans[2 * node], self.spans[2 * node + 1]);
            if left.longest >= pages {
                node *= 2;
            } else if left.suffix + right.prefix >= pages {
                return first + width - left.suffix;
            } else {
                node = 2 * node + 1;
                first += width;
            }
        }
        // Bit i stays set where `found` free pages begin at i.
        let (mut starts, mut found) = (self.free[node - self.leaves], 1);
        while found < pages {
            let step = found.min(pages - found);
            starts &= starts >> step;
            found += step;
        }
        first + starts.trailing_zeros()
    }

    /// Marks a range, and what the tree knows of it.
    fn set(&mut self, first: u32, pages: u32, free: bool) {
        let end = first + pages;
        let (mut low, mut high) = ((first / WORD) as usize, ((end - 1) / WORD) as usize);
        for at in low..=high {
            let base = at as u32 * WORD;
            let (from, to) = (first.max(base) - base, end.min(base + WORD) - base);
            let mask = (u64::MAX >> (WORD - (to - from))) << from;
            let word = &mut self.free[at];
            let before = if free { 0 } else { mask };
            assert_eq!(*word & mask, before, "pages {first}..{end} are not as they should be");
            *word ^= mask;
            self.spans[self.leaves + at] = Span::of_word(*word);
        }
        (low, high) = (low + self.leaves, high + self.leaves);
        let mut width = WORD;
        while low > 1 {
            (low, high) = (low / 2, high / 2);
            for node in low..=high {
                self.spans[node] =
                    Span::join(self.spans[2 * node], self.spans[2 * node + 1], width);
            }
            width *= 2;
        }
    }
}
