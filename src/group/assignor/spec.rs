//! What assignors are asked, and what they answer.

use crate::types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Partitions by topic, ascending. A topic without partitions is not in it.
pub type Assignment = BTreeMap<TopicId, Vec<i32>>;

/// The topics that exist.
pub trait Topics {
    /// How many partitions it has; `None` where it does not exist.
    fn partitions(&self, topic: TopicId) -> Option<i32>;
}

/// A member, as assignors see it.
#[derive(Clone, Copy, Debug)]
pub struct MemberSpec<'a> {
    /// Its id, which no other member has.
    pub id: &'a str,
    /// Of a static member (KIP-345).
    pub instance_id: Option<&'a str>,
    /// What it subscribes to. Members that share one set are told apart from others sooner.
    pub topics: &'a Arc<BTreeSet<TopicId>>,
    /// Its target assignment so far.
    pub assigned: &'a Arc<Assignment>,
}

/// How partitions are assigned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assignor {
    /// As evenly as subscriptions allow, counted over all topics; then, as few partitions as possible move. The
    /// first of Kafka's `group.consumer.assignors`, so the default.
    #[default]
    Uniform,
    /// Of each topic a range to each subscriber, as evenly as may be. Where all subscribe to the same topics, with
    /// equally many partitions, a member gets the same numbers of each. Static members come first, by instance
    /// id, so that a restart moves nothing; the others by member id. As Kafka's since 4.0, it does not look at what was
    /// assigned before: to keep would break ranges.
    Range,
    /// Of share groups alone (KIP-932): partitions go round among those who subscribe to the same topics; where there are more
    /// members than partitions, several have one.
    Simple,
}

impl Assignor {
    /// Those of consumer groups, in the order of Kafka's `group.consumer.assignors`.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Its name in requests and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
            Self::Simple => "simple",
        }
    }

    /// Reads an entry of `group.consumer.assignors`: a name, or the class that Kafka has for it.
    pub fn by_config(text: &str) -> Option<Self> {
        match text.strip_prefix("org.apache.kafka.coordinator.group.assignor.") {
            Some("UniformAssignor") => Some(Self::Uniform),
            Some("RangeAssignor") => Some(Self::Range),
            _ => Self::by_name(text),
        }
    }

    /// Reads [`Assignor::name`].
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}
