//! A broker as the metadata have it.

use crate::types::FeatureRanges;
use std::ops::Deref;

/// What a broker says of itself when it registers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// Its node id.
    pub id: i32,
    /// A number that each start of its process draws anew.
    pub incarnation: u64,
    /// The id of its data directory: a wiped disk is another directory. 0 where it is not known.
    pub directory: u128,
    /// Host that clients connect to.
    pub host: String,
    /// Port that clients connect to.
    pub port: u16,
    /// Host that other brokers connect to.
    pub peer_host: String,
    /// Port that other brokers connect to; 0 for a broker without others.
    pub peer_port: u16,
    /// Rack, if it has one.
    pub rack: Option<String>,
    /// Its shards; 0 where that is not known.
    pub shards: u16,
    /// The levels of features that it supports.
    pub features: FeatureRanges,
}

/// One broker that has registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Broker {
    /// What the process said that has registered last.
    pub registration: Registration,
    /// It neither leads nor is in sync: it has not caught up with the metadata yet, or was not heard of for too
    /// long.
    pub fenced: bool,
    /// It is about to stop, and leads only what nobody else can lead.
    pub shutting_down: bool,
    /// Its disk has no space: it leads only what nobody else can lead.
    pub lacks_space: bool,
}

impl Broker {
    /// One that begins fenced.
    pub(super) fn new(registration: Registration) -> Self {
        Self { registration, fenced: true, shutting_down: false, lacks_space: false }
    }

    /// Whether it may be made a leader, and join those in sync.
    pub fn is_alive(&self) -> bool {
        !self.fenced && !self.shutting_down
    }

    /// Whether it may be made a leader, and can take records.
    pub fn can_lead(&self) -> bool {
        self.is_alive() && !self.lacks_space
    }
}

impl Deref for Broker {
    type Target = Registration;

    fn deref(&self) -> &Registration {
        &self.registration
    }
}
