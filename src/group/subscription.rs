//! Which topics the members of a group want.

use std::collections::BTreeSet;

use super::memory::ENTRY;

/// About the bytes of a topic's name.
const TOPIC: usize = 64;

/// Which topics the members of a group want.
#[derive(Debug, PartialEq, Eq)]
pub enum Subscription {
    /// These.
    Topics(BTreeSet<String>),
    /// Unknown, and so perhaps any: a consumer's metadata cannot be read.
    Unknown,
    /// The members are no consumers, or there are none.
    None,
}

impl Subscription {
    /// Whether a member may want the topic.
    pub fn includes(&self, topic: &str) -> bool {
        match self {
            Self::Topics(topics) => topics.contains(topic),
            Self::Unknown => true,
            Self::None => false,
        }
    }

    /// Memory that it takes, bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Topics(topics) => topics.len() * (ENTRY + TOPIC),
            Self::Unknown | Self::None => 0,
        }
    }
}
