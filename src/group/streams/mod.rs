//! Streams groups (KIP-1071): what members of a group run together is a topology of Kafka Streams, cut into tasks.
//!
//! A member declares a [`Topology`](topology::Topology), which is checked ([`topology::Validating`]) and, with the
//! partitions of the topics that exist, [configured](topology::Configuring): so many tasks of each subtopology, and
//! which internal topics are missing. When none is, the [assignor](assignor::Assigning) says which member has which
//! [tasks](tasks::Tasks).

pub mod assignor;
pub mod tasks;
pub mod topology;
