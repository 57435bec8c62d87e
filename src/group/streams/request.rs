//! What a streams group is asked.

use std::sync::Arc;

use super::member::Endpoint;
use super::tasks::Tasks;
use super::topology::Topology;
use crate::group::consumer::response::Refusal;

/// `StreamsGroupHeartbeat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsHeartbeat {
    /// The group.
    pub group_id: String,
    /// The member, which has chosen its id itself.
    pub member_id: String,
    /// Its epoch: 0 to join, -1 to leave, -2 to leave for a while.
    pub member_epoch: i32,
    /// The last epoch of endpoints that it has heard of.
    pub endpoint_epoch: i32,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// `client.rack`; `None` where it has not changed.
    pub rack_id: Option<String>,
    /// How long it may take to give up tasks; -1 where it has not changed.
    pub rebalance_timeout_ms: i32,
    /// What it runs; only with a join.
    pub topology: Option<Arc<Topology>>,
    /// What it has; `None` where that has not changed.
    pub owned: Option<Tasks>,
    /// The instance that it is a thread of; `None` where it has not changed.
    pub process_id: Option<String>,
    /// Where others can ask for its state; `None` where it has not changed.
    pub endpoint: Option<Endpoint>,
    /// Names and values by which standby tasks are spread, sorted; `None` where they have not changed.
    pub client_tags: Option<Vec<(String, String)>>,
    /// All members are to shut down.
    pub shutdown: bool,
    /// What can be seen to be wrong without its group.
    pub refused: Option<Refusal>,
    /// `client.id` of the request's header.
    pub client_id: String,
    /// Address that the request came from, as Kafka shows it: `/127.0.0.1`.
    pub client_host: String,
}

impl Default for StreamsHeartbeat {
    fn default() -> Self {
        Self {
            group_id: String::new(),
            member_id: String::new(),
            member_epoch: 0,
            endpoint_epoch: 0,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: -1,
            topology: None,
            owned: None,
            process_id: None,
            endpoint: None,
            client_tags: None,
            shutdown: false,
            refused: None,
            client_id: String::new(),
            client_host: String::new(),
        }
    }
}

/// `StreamsGroupDescribe` of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamsDescribe {
    /// The group.
    pub group_id: String,
}
