//! Levels of features (KIP-584).

use std::collections::BTreeMap;
use std::fmt;

/// The levels of a feature that a node supports, both included. 0 is a feature that is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureRange {
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

/// By the names of the features.
pub type FeatureRanges = BTreeMap<String, FeatureRange>;

impl FeatureRange {
    /// Whether it has this level.
    pub fn contains(self, level: i16) -> bool {
        (self.min..=self.max).contains(&level)
    }
}

/// As `VersionRange` of Kafka shows itself.
impl fmt::Display for FeatureRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { min, max } if min == max => write!(f, "{min}"),
            Self { min, max: i16::MAX } => write!(f, "{min}+"),
            Self { min, max } => write!(f, "{min}-{max}"),
        }
    }
}
