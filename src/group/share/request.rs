//! What a share group is asked.

use super::topics::ShareTopics;

/// `ShareGroupHeartbeat`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareHeartbeat {
    /// The group.
    pub group_id: String,
    /// The member, which has chosen its id itself.
    pub member_id: String,
    /// Its epoch: 0 to join, -1 to leave.
    pub member_epoch: i32,
    /// `client.rack`; `None` where it has not changed.
    pub rack_id: Option<String>,
    /// Topics that it wants; `None` where they have not changed.
    pub topics: Option<Vec<String>>,
    /// `client.id` of the request's header.
    pub client_id: String,
    /// Address that the request came from, as Kafka shows it: `/127.0.0.1`.
    pub client_host: String,
}

/// What states the share coordinator has for a share group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListShareTopics {
    /// The group.
    pub group_id: String,
    /// A group that is not there yet is to begin: it has no states.
    pub begins: bool,
}

/// The share coordinator has states of these topics from now on, or none any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareInitialized {
    /// The group.
    pub group_id: String,
    /// A group that is not there begins with these topics.
    pub begins: bool,
    /// The topics; of those with 0 partitions there is no state. None at all: nothing came of what was tried.
    pub topics: ShareTopics,
}
