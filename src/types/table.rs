//! A table by small, dense numbers.

/// Places of one chunk.
const CHUNK: usize = 64;

/// Values by number: small numbers, nearly all of them in use. It grows by a chunk at a time and never
/// moves what it has: a vector that doubles would copy all of a hundred thousand logs in one step, and
/// stand half empty after it.
#[derive(Debug)]
pub struct Table<T> {
    chunks: Vec<Box<[Option<T>]>>,
    /// Places that were ever in use: all below this one.
    len: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Table<T> {
    /// Places that are or were in use: all below this one.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no place was ever in use.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?[index % CHUNK].as_ref()
    }

    /// What is at `index`.
    #[inline]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / CHUNK)?[index % CHUNK].as_mut()
    }

    /// Puts `value` at `index`; what was there before.
    pub fn insert(&mut self, index: usize, value: T) -> Option<T> {
        while self.chunks.len() <= index / CHUNK {
            self.chunks.push(std::iter::repeat_with(|| None).take(CHUNK).collect());
        }
        self.len = self.len.max(index + 1);
        self.chunks[index / CHUNK][index % CHUNK].replace(value)
    }

    /// Takes what is at `index`.
    pub fn take(&mut self, index: usize) -> Option<T> {
        self.chunks.get_mut(index / CHUNK)?[index % CHUNK].take()
    }

    /// What there is, by number.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_vector_of_options() {
        let mut table = Table::default();
        let mut naive: Vec<Option<u64>> = Vec::new();
        let mut rng = crate::types::Rng::new(7);
        for step in 0..4_000 {
            let index = rng.below(300) as usize;
            if rng.below(3) == 0 {
                let before = naive.get_mut(index).and_then(Option::take);
                assert_eq!(table.take(index), before);
            } else {
                naive.resize(naive.len().max(index + 1), None);
                assert_eq!(table.insert(index, step), naive[index].replace(step));
            }
            let at = rng.below(400) as usize;
            assert_eq!(table.get(at), naive.get(at).and_then(Option::as_ref));
            assert_eq!(table.get_mut(at), naive.get_mut(at).and_then(Option::as_mut));
            assert_eq!(table.len(), naive.len());
        }
        assert!(table.values().eq(naive.iter().flatten()));
    }

    #[test]
    fn what_it_has_stays_where_it_is() {
        let mut table = Table::default();
        table.insert(0, 1_u8);
        let before = &raw const *table.get(0).expect("just put there");
        (1..10_000).for_each(|index| assert_eq!(table.insert(index, 0), None));
        assert_eq!(before, &raw const *table.get(0).expect("still there"));
    }
}
