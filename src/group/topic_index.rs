//! Names of topics as numbers.

/// The number of a topic's name, as long as there are offsets of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicIndex(pub(super) u32);
