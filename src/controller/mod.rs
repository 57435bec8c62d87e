//! The controller: topics, brokers and settings, through Raft. Pure but for [`Controller::open`],
//! which reads the disk while nothing is served yet.
//!
//! A change is a [`Record`]. `propose` appends records to the Raft log, `ready` gives the writes
//! that make them durable, and only `persisted` gives the [`Image`] that they make. So nothing that
//! is not on disk can be seen.

mod codec;
#[allow(warnings, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
mod generated {
    pub mod metadata;
}
mod core;
#[cfg(test)]
mod crash_tests;
mod due_snapshot;
mod image;
mod log;
mod look;
mod members;
mod message;
mod open;
mod quorum;
mod record;
mod store;
#[cfg(test)]
mod tests;

pub use self::core::{Controller, ProducerIdBlock};
pub use due_snapshot::{DueSnapshot, EncodedSnapshot};
pub use image::{Broker, Image, Partition, Topic, TopicChange};
pub use look::look;
pub use members::Members;
pub use message::Message;
pub use open::{LOG_BYTES_MAX, MetaError, OpenOptions};
pub use quorum::{MembersError, Persist, StepError, Ticket};
pub use record::{NewPartition, Record};
