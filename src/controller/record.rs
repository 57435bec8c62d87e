//! Changes to the metadata.

use super::broker::Registration;
use crate::types::TopicId;
use std::sync::Arc;

/// Settings to set, or to remove where there is no value.
pub type ConfigChanges = Vec<(String, Option<String>)>;

/// A partition that comes into being, led by the first of those in sync.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewPartition {
    /// Brokers that hold it, the preferred leader first.
    pub replicas: Arc<[i32]>,
    /// Those of them that are in sync at the start, in the same order.
    pub isr: Arc<[i32]>,
}

impl NewPartition {
    /// One whose replicas are all there.
    pub fn new(replicas: impl Into<Arc<[i32]>>) -> Self {
        let replicas = replicas.into();
        Self { isr: replicas.clone(), replicas }
    }
}

/// What changes of a partition; what is absent stays. Its partition epoch rises by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionChange {
    /// The leader, -1 for none. The leader epoch rises by one, also where the leader is the one of before.
    pub leader: Option<i32>,
    /// Those in sync.
    pub isr: Option<Arc<[i32]>>,
    /// Eligible leader replicas.
    pub elr: Option<Arc<[i32]>>,
    /// All replicas.
    pub replicas: Option<Arc<[i32]>>,
    /// Those that a reassignment adds.
    pub adding: Option<Arc<[i32]>>,
    /// Those that it removes.
    pub removing: Option<Arc<[i32]>>,
    /// The new leader does not have all that was committed.
    pub unclean: bool,
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
    /// A broker registers and is not fenced, and the leader epoch of each partition that it leads rises by one. Of a
    /// version that knew one broker.
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
    /// A process of a broker registers. It begins fenced. The leader epoch of each partition that the broker leads
    /// rises by one: what it had shipped and not synced before is never mistaken for what it writes from now on.
    BrokerRegistered(Registration),
    /// A broker is not to lead, nor to be in sync.
    BrokerFenced {
        /// Its node id.
        broker: i32,
    },
    /// A broker may lead again.
    BrokerUnfenced {
        /// Its node id.
        broker: i32,
    },
    /// The disk of a broker that is not fenced has no space any more, or has some again.
    BrokerSpace {
        /// Its node id.
        broker: i32,
        /// It has none.
        lacks: bool,
    },
    /// A broker is about to stop.
    BrokerShuttingDown {
        /// Its node id.
        broker: i32,
    },
    /// A broker will not come back.
    BrokerUnregistered {
        /// Its node id.
        broker: i32,
    },
    /// Partitions of a topic change.
    PartitionsChanged {
        /// Which topic.
        id: TopicId,
        /// The changes, each with the number of its partition.
        changes: Vec<(i32, PartitionChange)>,
    },
    /// Settings of a consumer group change, whether or not there is such a group.
    GroupConfigSet {
        /// Its id.
        group: String,
        /// The changes.
        settings: ConfigChanges,
    },
    /// A feature has this level from now on.
    FeatureLevelSet {
        /// Its name.
        name: String,
        /// Its level; 0 is off.
        level: i16,
    },
}
