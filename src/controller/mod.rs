//! The controller: topics, brokers and settings, through Raft. Pure but for [`Controller::open`],
//! which reads the disk while nothing is served yet.
//!
//! A change is a [`Record`]. `propose` appends records to the log of the member that leads, `ready` gives the
//! writes that make them durable, and `take_image` the [`Image`] that they make: once a majority of those
//! who vote has them on disk, this node among them or not. So nothing that could be lost can be seen.
//!
//! A node that alone votes needs nobody else. What several say to each other (`poll_message`, `step`) the broker
//! carries.
//!
//! Which changes are to be made when brokers come and go, and what operators and leaders of partitions ask for, are
//! functions of the image that has everything proposed: `elections`, `isr`, `reassignment`, `placement`.
//! [`Sessions`] says which broker was heard when. `tests/quorum` runs several controllers with all of that.

mod broker;
mod changes;
mod codec;
#[allow(warnings, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
mod generated {
    pub mod metadata;
}
mod core;
#[cfg(test)]
mod crash_tests;
mod describe;
mod due_snapshot;
mod elections;
#[cfg(test)]
mod elections_tests;
pub mod feature_levels;
pub mod features;
mod image;
mod isr;
mod log;
mod look;
mod lost_quorum;
mod members;
mod membership;
mod message;
mod open;
mod partition;
mod partition_change;
mod placement;
mod quorum;
mod raising;
mod reassignment;
mod record;
mod room;
mod sessions;
mod store;
#[cfg(test)]
mod tests;
mod weights;

pub use self::broker::{Broker, Registration};
pub use self::core::{Controller, ProducerIdBlock};
pub use changes::Decision;
pub use describe::{QuorumState, ReplicaState};
pub use due_snapshot::{DueSnapshot, EncodedSnapshot};
pub use elections::{
    Election, Refusal, elect_leaders, imbalanced, on_fence, on_lead, on_register, on_settings,
    on_shutdown, on_space, on_unfence, on_unregister,
};
pub use image::{Image, Topic, TopicChange};
pub use isr::{IsrChange, IsrRequest, IsrState, alter_isr};
pub use look::look;
pub use lost_quorum::{LostQuorum, Outcome as LostQuorumOutcome};
pub use members::Members;
pub use membership::{VOTERS_WANTED, due_members};
pub use message::Message;
pub use open::{LOG_BYTES_MAX, MetaError, OpenOptions};
pub use partition::Partition;
pub use placement::{PlacementError, Placer};
pub use quorum::{MembersError, Persist, StepError, Ticket};
pub use raising::raise_internal;
pub use reassignment::{Reassignment, reassign};
pub use record::{NewPartition, PartitionChange, Record};
pub use sessions::{Heartbeat, HeartbeatReply, Propose, Sessions};
