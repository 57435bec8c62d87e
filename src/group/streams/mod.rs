//! Streams groups (KIP-1071): what members of a group run together is a topology of Kafka Streams, cut into tasks.
//!
//! A member declares a [`Topology`](topology::Topology), which is checked ([`topology::Validating`]) and, with the
//! partitions of the topics that exist, [configured](topology::Configuring): so many tasks of each subtopology, and
//! which internal topics are missing. When none is, the [assignor](assignor::Assigning) says which member has which
//! [tasks](tasks::Tasks).
//!
//! Membership is that of consumer groups (`super::consumer`), with records of its own: a
//! [beat](beat::StreamsBeat) carries a heartbeat out, and a member comes to its target as one there does, but that a
//! task is waited for (`reconcile::next`) also while the member's own process has it in another role. The first
//! assignment waits for others to join; the answer names internal topics that are missing, and whoever carries the answer has
//! them created. As in Kafka 4.3, a group's topology stays what its first member has said, members are not static, and
//! there are no warm-up tasks.

mod advance;
pub mod assignor;
pub mod beat;
mod comparing;
pub mod describe;
mod hashing;
mod heartbeat;
#[cfg(test)]
mod histories;
pub mod member;
mod owners;
mod reconcile;
pub mod records;
pub mod request;
pub mod response;
pub mod state;
pub mod tasks;
#[cfg(test)]
mod tests;
pub mod topology;
