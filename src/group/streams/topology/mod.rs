//! Topologies of streams groups (KIP-1071): what members declare, and what follows from it and from the topics that
//! exist. Pure.
//!
//! [`Validating`] checks what a request declares, as Kafka does before its coordinator sees it. [`Configuring`] counts
//! partitions, as Kafka's `InternalTopicManager`: a repartition topic has as many as the most that those have that are read where it is
//! written to, topics that are joined have the same, and a changelog as many as its subtopology has tasks. Both
//! go on for so many steps at a time. A step is a topic of a subtopology that is looked at: below a microsecond.

mod configure;
mod configured;
mod copartition;
mod counts;
mod declared;
mod endpoint;
mod failure;
mod repartition;
#[cfg(test)]
mod tests;
mod validate;
mod walk;

pub use configure::Configuring;
#[cfg(test)]
pub use configure::configure;
pub use configured::{
    Configured, ConfiguredSubtopology, InternalTopic, PartitionCounts, Problem, Status,
};
pub use declared::{CopartitionGroup, Subtopology, TopicConfigs, TopicInfo, Topology};
pub use endpoint::partitions_of;
#[cfg(test)]
pub use validate::validate;
pub use validate::{TopologyError, Validating};
pub use walk::Walk;
