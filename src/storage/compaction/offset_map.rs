//! The last offset of each key of the part of a log that is being compacted.
//!
//! A key is known by its hash, of which 12 bytes are kept, and some bits more by where they lie. The offset takes four: how
//! far it is from the first one. So an entry takes 16 bytes, where one of Kafka's `SkimpyOffsetMap` takes 24. The
//! memory is made of pages, each a table of its own for a part of the hashes: no page is taken before
//! something goes there, and no step is as long as it would be to clear all of it.

use crate::storage::buffer::{Budget, Filling};
use std::sync::Arc;

/// Bytes of a page.
const PAGE: usize = 256 << 10;
/// Bytes of an entry. As a little-endian number: the hash's lower 96 bits, then the distance of the offset plus one; zeros
/// are an empty one.
const ENTRY: usize = size_of::<u128>();
const HASH_BITS: u32 = 96;
const HASH: u128 = (1 << HASH_BITS) - 1;
/// Places of a page.
const PLACES: usize = PAGE / ENTRY;
/// Entries of a page at most: with more of them a search becomes long.
const FULL: usize = PLACES / 8 * 7;
/// Entries of a page that a map is made for: hashes do not fill all pages alike.
const USUAL: usize = FULL / 16 * 15;

/// See the module.
#[derive(Debug)]
pub(super) struct OffsetMap {
    pages: Vec<Option<Page>>,
    /// The first offset, from which distances count.
    first: Option<i64>,
    budget: Arc<Budget>,
}

#[derive(Debug)]
struct Page {
    entries: usize,
    bytes: Filling,
}

impl OffsetMap {
    /// A map of about so many keys, of at most so many bytes, but for one page at least.
    pub fn new(keys: u64, bytes_max: usize, budget: &Arc<Budget>) -> Self {
        let most = (bytes_max / PAGE).max(1);
        let pages = keys.div_ceil(USUAL as u64).clamp(1, most as u64) as usize;
        let pages = std::iter::repeat_with(|| None).take(pages).collect();
        Self { pages, first: None, budget: budget.clone() }
    }

    /// Bytes that it may take.
    pub fn bytes_max(&self) -> usize {
        self.pages.len() * PAGE
    }

    fn page_of(&self, key: u128) -> usize {
        // The upper half chooses the page, the lower one the place.
        (((key >> 64) * self.pages.len() as u128) >> 64) as usize
    }

    /// The offset is the last one of the key, unless a later one is known. None is less than the first that was put.
    /// How many bytes were cleared for it; `None` where there is no room for another key, or the offset is too far from the
    /// first.
    pub fn put(&mut self, key: u128, offset: i64) -> Option<usize> {
        let first = *self.first.get_or_insert(offset);
        let mark = u32::try_from(offset - first).ok()?.checked_add(1)?;
        let at = self.page_of(key);
        let mut cleared = 0;
        let page = self.pages[at].get_or_insert_with(|| {
            cleared = PAGE;
            let mut bytes = Filling::new(PAGE, &self.budget);
            bytes.push_zeros(PAGE);
            Page { entries: 0, bytes }
        });
        match page.find(key) {
            Ok((place, known)) => page.set(place, key, mark.max(known)),
            Err(_) if page.entries >= FULL => return None,
            Err(place) => {
                page.entries += 1;
                page.set(place, key, mark);
            }
        }
        Some(cleared)
    }

    /// The last offset of the key.
    pub fn get(&self, key: u128) -> Option<i64> {
        let page = self.pages[self.page_of(key)].as_ref()?;
        let (_, mark) = page.find(key).ok()?;
        Some(self.first? + i64::from(mark - 1))
    }
}

impl Page {
    /// The place of a key and its mark, or the place where it would go.
    fn find(&self, key: u128) -> Result<(usize, u32), usize> {
        let mut place = key as usize % PLACES;
        let bytes = &self.bytes.as_slice()[..PAGE];
        loop {
            let entry = &bytes[place * ENTRY..][..ENTRY];
            let entry = u128::from_le_bytes(entry.try_into().expect("sixteen bytes"));
            let mark = (entry >> HASH_BITS) as u32;
            if mark == 0 {
                return Err(place);
            }
            if (entry ^ key) & HASH == 0 {
                return Ok((place, mark));
            }
            place = (place + 1) % PLACES;
        }
    }

    fn set(&mut self, place: usize, key: u128, mark: u32) {
        let entry = key & HASH | u128::from(mark) << HASH_BITS;
        self.bytes.filled()[place * ENTRY..][..ENTRY].copy_from_slice(&entry.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Rng;
    use std::collections::BTreeMap;

    #[test]
    fn it_knows_the_last_offset_of_each_key() {
        let budget = Budget::new(usize::MAX);
        let mut rng = Rng::new(1);
        let mut map = OffsetMap::new(30_000, usize::MAX, &budget);
        let mut naive = BTreeMap::new();
        for offset in 0..60_000 {
            let key = crate::wire::records::KeyHasher::of(&rng.below(30_000).to_le_bytes());
            assert!(map.put(key, offset).is_some());
            naive.insert(key, offset);
        }
        assert!(naive.iter().all(|(key, offset)| map.get(*key) == Some(*offset)));
        assert_eq!(map.get(7), None);
        for (key, offset) in [(0, 0), (u128::MAX, 5), (u128::MAX, 3)] {
            assert!(map.put(key, offset).is_some());
        }
        assert_eq!((map.get(0), map.get(u128::MAX)), (Some(0), Some(5)));
        assert!(budget.used() <= map.bytes_max());
        drop(map);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn it_takes_no_more_memory_than_it_may_and_none_before() {
        let budget = Budget::new(usize::MAX);
        let mut map = OffsetMap::new(u64::MAX, 4 * PAGE + 5, &budget);
        assert_eq!((budget.used(), map.bytes_max()), (0, 4 * PAGE));
        let mut rng = Rng::new(2);
        let mut key = || u128::from(rng.bits()) << 64 | u128::from(rng.bits());
        let keys: Vec<_> = (0..60_000).map(|_| key()).collect();
        let fit = keys.iter().take_while(|key| map.put(**key, 1).is_some()).count();
        assert!(fit > 4 * USUAL && fit <= 4 * FULL, "{fit}");
        assert_eq!(budget.used(), 4 * PAGE);
        assert_eq!(map.put(keys[0], 9), Some(0), "a key that it knows has its place");
        assert_eq!(map.get(keys[0]), Some(9));
    }

    #[test]
    fn offsets_are_of_any_size_but_not_too_far_apart() {
        let budget = Budget::new(usize::MAX);
        let mut map = OffsetMap::new(10, usize::MAX, &budget);
        let first = i64::MAX - i64::from(u32::MAX);
        let last = first + i64::from(u32::MAX) - 1;
        let put = [(1, first), (2, last), (3, last + 1)].map(|(key, offset)| map.put(key, offset));
        assert_eq!(put, [Some(PAGE), Some(0), None]);
        assert_eq!((map.get(1), map.get(2), map.get(3)), (Some(first), Some(last), None));
    }
}
