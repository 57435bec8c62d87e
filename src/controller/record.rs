//! Changes to the metadata.

use crate::types::TopicId;
use std::sync::Arc;

/// Settings to set, or to remove where there is no value.
pub type ConfigChanges = Vec<(String, Option<String>)>;

/// A partition that comes into being, led by the first of its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartition {
    /// Brokers that hold it, the preferred leader first. All of them are in sync at the start.
    pub replicas: Arc<[i32]>,
}

/// One change to the metadata. Applying one is total: a record that refers to what is not there
/// changes nothing, so a log can always be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A topic comes into being.
    TopicCreated {
        /// Its id, never used before.
        id: TopicId,
        /// Its name, unused at this point of the log.
        name: String,
        /// Its partitions, by number.
        partitions: Vec<NewPartition>,
        /// Its settings.
        settings: Vec<(String, String)>,
    },
    /// A topic is gone for clients; its id stays in [`Image::deleting`](super::Image::deleting)
    /// until its data is gone.
    TopicDeleted {
        /// Which.
        id: TopicId,
    },
    /// Every shard has dropped the data of a deleted topic.
    TopicForgotten {
        /// Which.
        id: TopicId,
    },
    /// Partitions are added to a topic, numbered after those that exist.
    PartitionsAdded {
        /// Which topic.
        id: TopicId,
        /// The new ones.
        partitions: Vec<NewPartition>,
    },
    /// Settings of a topic change.
    TopicConfigSet {
        /// Which topic.
        id: TopicId,
        /// The changes.
        settings: ConfigChanges,
    },
    /// Dynamic settings of brokers change.
    BrokerConfigSet {
        /// Which broker; `None` is all.
        broker: Option<i32>,
        /// The changes.
        settings: ConfigChanges,
    },
    /// A broker registers, and the leader epoch of each partition that it leads rises by one: what
    /// it had shipped and not synced before is never mistaken for what it writes from now on.
    BrokerStarted {
        /// Its node id.
        broker: i32,
        /// Host that clients connect to.
        host: String,
        /// Port that clients connect to.
        port: u16,
        /// Rack, if it has one.
        rack: Option<String>,
    },
    /// The next `count` producer ids are taken.
    ProducerIdsTaken {
        /// How many.
        count: i32,
    },
}
