//! A binary heap whose order among equals is that of Java's `PriorityQueue`: so that what equals get is what they get in
//! Kafka.

/// Numbers by a key that is kept elsewhere; the smallest first. The key of one that is in it does not change.
#[derive(Clone, Debug, Default)]
pub struct Heap {
    items: Vec<u32>,
}

impl Heap {
    /// With room for so many.
    pub fn with_capacity(count: usize) -> Self {
        Self { items: Vec::with_capacity(count) }
    }

    /// Adds one: it rises above those with a greater key.
    pub fn push<K: PartialOrd>(&mut self, item: u32, key: impl Fn(u32) -> K) {
        let mut at = self.items.len();
        self.items.push(item);
        let own = key(item);
        while at > 0 {
            let parent = (at - 1) / 2;
            if own >= key(self.items[parent]) {
                break;
            }
            self.items.swap(at, parent);
            at = parent;
        }
    }

    /// Takes the first. The last one goes to its place and sinks below those with a smaller key.
    pub fn pop<K: PartialOrd>(&mut self, key: impl Fn(u32) -> K) -> Option<u32> {
        if self.items.is_empty() {
            return None;
        }
        let first = self.items.swap_remove(0);
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let Some(&item) = self.items.get(left) else { break };
            let (child, least) = match self.items.get(right) {
                Some(&other) if key(item) > key(other) => (right, other),
                _ => (left, item),
            };
            if key(self.items[at]) <= key(least) {
                break;
            }
            self.items.swap(at, child);
            at = child;
        }
        Some(first)
    }

    /// About so much memory is taken, bytes.
    pub fn bytes(&self) -> usize {
        self.items.capacity() * 4
    }
}
