//! Replicas to which limits for replication apply (KIP-73).

use super::config_def::split_list;
use std::collections::BTreeSet;

/// What a topic says of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// None of them.
    #[default]
    None,
    /// All of them.
    All,
    /// These: partition and broker.
    Some(BTreeSet<(i32, i32)>),
}

impl ThrottledReplicas {
    /// From a value that was checked: `*`, or `partition:broker` with commas between.
    pub(super) fn of(text: &str) -> Self {
        let pair = |it: &str| {
            let (partition, broker) = it.split_once(':')?;
            Some((partition.trim().parse().ok()?, broker.trim().parse().ok()?))
        };
        match &*split_list(text) {
            [] => Self::None,
            ["*"] => Self::All,
            all => Self::Some(all.iter().filter_map(|it| pair(it)).collect()),
        }
    }

    /// Whether the replica on this broker is one of them.
    pub fn contains(&self, partition: i32, broker: i32) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some(pairs) => pairs.contains(&(partition, broker)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_tools_write() {
        let some = ThrottledReplicas::of("0:1,0:2, 12:3");
        assert!(some.contains(0, 1) && some.contains(0, 2) && some.contains(12, 3));
        assert!(!some.contains(1, 1) && !some.contains(12, 1));
        assert!(ThrottledReplicas::of("*").contains(7, 9));
        assert_eq!(ThrottledReplicas::of(""), ThrottledReplicas::None);
    }
}
