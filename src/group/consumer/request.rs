//! What a consumer group is asked.

use super::partitions::Partitions;

/// `ConsumerGroupHeartbeat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    /// The group.
    pub group_id: String,
    /// The member; empty for a new one of version 0.
    pub member_id: String,
    /// The id to give if a new one is needed.
    pub fresh_member_id: String,
    /// A member has chosen its id itself (version 1+).
    pub requires_member_id: bool,
    /// Its epoch: 0 to join, -1 to leave, -2 to leave for a while.
    pub member_epoch: i32,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.rack`; `None` where it has not changed.
    pub rack_id: Option<String>,
    /// How long it may take to give up partitions; -1 where it has not changed.
    pub rebalance_timeout_ms: i32,
    /// Topics that it wants; `None` where they have not changed.
    pub topics: Option<Vec<String>>,
    /// A regular expression for topics that it wants; `None` where it has not changed.
    pub regex: Option<String>,
    /// The assignor that it wants; `None` where it has not changed.
    pub server_assignor: Option<String>,
    /// What it has; `None` where it has not changed.
    pub owned: Option<Partitions>,
    /// `client.id` of the request's header.
    pub client_id: String,
    /// Address that the request came from, as Kafka shows it: `/127.0.0.1`.
    pub client_host: String,
}

impl Default for ConsumerHeartbeat {
    fn default() -> Self {
        Self {
            group_id: String::new(),
            member_id: String::new(),
            fresh_member_id: String::new(),
            requires_member_id: false,
            member_epoch: 0,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: -1,
            topics: None,
            regex: None,
            server_assignor: None,
            owned: None,
            client_id: String::new(),
            client_host: String::new(),
        }
    }
}

/// `ConsumerGroupDescribe` of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerDescribe {
    /// The group.
    pub group_id: String,
}
