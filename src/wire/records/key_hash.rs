//! What stands for a record's key where very many keys are to be told apart.

use std::hash::{DefaultHasher, Hasher};

/// Hashes a key to 128 bits, so many that two keys with the same hash do not happen: compaction takes
/// keys with the same hash for one, as Kafka does with 128 bits of MD5 (`SkimpyOffsetMap`).
#[derive(Clone, Debug)]
pub struct KeyHasher {
    low: DefaultHasher,
    high: DefaultHasher,
}

impl Default for KeyHasher {
    fn default() -> Self {
        let (low, mut high) = (DefaultHasher::new(), DefaultHasher::new());
        high.write_u8(1);
        Self { low, high }
    }
}

impl KeyHasher {
    /// The next bytes of the key. Where one piece ends and the next begins does not matter.
    pub fn write(&mut self, bytes: &[u8]) {
        self.low.write(bytes);
        self.high.write(bytes);
    }

    /// The hash of all that was written.
    pub fn finish(&self) -> u128 {
        u128::from(self.high.finish()) << 64 | u128::from(self.low.finish())
    }

    /// The hash of a whole key.
    pub fn of(key: &[u8]) -> u128 {
        let mut hasher = Self::default();
        hasher.write(key);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn pieces_do_not_matter_and_keys_do() {
        let key: Vec<u8> = (0..100).collect();
        let mut hashes = BTreeSet::new();
        for len in 0..=key.len() {
            let whole = KeyHasher::of(&key[..len]);
            for cut in 0..=len {
                let mut pieces = KeyHasher::default();
                pieces.write(&key[..cut]);
                pieces.write(&key[cut..len]);
                assert_eq!(pieces.finish(), whole, "{len} bytes cut at {cut}");
            }
            assert!(hashes.insert(whole));
            assert_ne!((whole >> 64) as u64, whole as u64);
        }
    }
}
