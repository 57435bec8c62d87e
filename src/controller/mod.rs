//! The controller: topics, brokers and settings, through Raft. Pure but for [`Controller::open`],
//! which reads the disk while nothing is served yet.
//!
//! A change is a [`Record`]. `propose` appends records to the Raft log, `ready` gives the writes
//! that make them durable, and only `persisted` gives the [`Image`] that they make. So nothing that
//! is not on disk can be seen. What an entry makes is computed once, when it is proposed: the draft that
//! requests are checked against becomes the image when the entry is durable.

mod codec;
#[allow(warnings, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
mod generated {
    pub mod metadata;
}
mod core;
#[cfg(test)]
mod crash_tests;
mod image;
mod log;
mod look;
mod record;
mod store;
#[cfg(test)]
mod tests;

pub use self::core::{
    Controller, DueSnapshot, EncodedSnapshot, MetaError, OpenOptions, Persist, ProducerIdBlock,
    Ticket,
};
pub use image::{Broker, Image, Partition, Topic, TopicChange};
pub use look::look;
pub use record::{NewPartition, Record};
