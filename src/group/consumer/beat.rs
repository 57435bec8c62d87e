//! A member's heartbeat, or its join, while it is carried out: in stages, each some steps at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::vec::IntoIter;

use super::changes::Changes;
use super::hashing::Hashing;
use super::member::MemberMetadata;
use super::partitions::Partitions;
use super::response::Refusal;
use crate::group::assignor::Assigning;
use crate::group::cluster::ClusterView;
use crate::group::effect::Ticket;
use crate::group::entry::ENTRY;
use crate::group::share::topics::Uninitialized;
use crate::group::topic_regex::{Resolving, TopicRegex};
use crate::types::TopicId;

/// Who asks.
#[derive(Debug)]
pub enum Asker {
    /// A heartbeat.
    Heartbeat {
        /// It said everything: it may not know its assignment.
        full: bool,
    },
    /// A `JoinGroup` of a member of the classic protocol.
    Join,
}

/// A member that joins or stays, as it is to be.
#[derive(Debug)]
pub struct Joining {
    /// Its id.
    pub id: String,
    /// The instance's member whose place it takes.
    pub replaces: Option<String>,
    /// What it says of itself.
    pub metadata: MemberMetadata,
    /// Its regular expression, compiled, where that is new.
    pub regex: Option<TopicRegex>,
}

/// A subscription: the place of a set of names that members share, and a regular expression.
pub type SubscriptionKey = (*const BTreeSet<String>, Option<String>);

/// What is done.
#[derive(Debug)]
pub enum Stage {
    /// Members of a classic group are taken over, from behind this one.
    Upgrade(Option<String>, Box<Joining>),
    /// A member joins, or says something.
    Join(Box<Joining>),
    /// Regular expressions are resolved.
    Resolve(Resolving),
    /// The topics that are subscribed to are hashed.
    Hash(Hashing),
    /// The assignor is told of members.
    Collect {
        /// Ids of those that it was told of.
        ids: Vec<String>,
        /// The assignor.
        assigning: Box<Assigning>,
        /// Topics by subscription.
        sets: BTreeMap<SubscriptionKey, Arc<BTreeSet<TopicId>>>,
    },
    /// The assignor works.
    Assign(Vec<String>, Box<Assigning>),
    /// Targets are set, by member.
    Place(IntoIter<(String, Arc<Partitions>)>),
    /// Targets of members that are gone go, from behind this one.
    Sweep(Option<String>),
    /// The member is told what comes next.
    Reconcile,
    /// All is done.
    Done,
}

/// See the module.
#[derive(Debug)]
pub struct Beat {
    /// The request.
    pub ticket: Ticket,
    /// The member.
    pub member_id: String,
    /// Who asks.
    pub asker: Asker,
    /// What the member says that it has.
    pub owned: Option<Partitions>,
    /// What it was assigned before.
    pub before: Partitions,
    /// The metadata that all of it is done with, and their version.
    pub view: Rc<dyn ClusterView>,
    /// The topics' version of them.
    pub topics_version: u64,
    /// Of a share group: partitions that members want, and of which there are no states yet.
    pub uninitialized: Vec<Uninitialized>,
    /// Somebody's subscription has changed: the group gets another epoch.
    pub bumps: bool,
    /// What has changed.
    pub changes: Changes,
    /// The group was a classic one, whose record goes.
    pub upgrades: bool,
    /// A static member took the place of another.
    pub replaced: bool,
    /// It comes to nothing, since this is wrong.
    pub refused: Option<Refusal>,
    /// What is done next.
    pub stage: Stage,
}

impl Beat {
    /// Memory that it takes, bytes.
    pub fn bytes(&self) -> usize {
        let stage = match &self.stage {
            Stage::Collect { ids, assigning, .. } | Stage::Assign(ids, assigning) => {
                ids.len() * 2 * ENTRY + assigning.bytes()
            }
            Stage::Place(rest) => rest.len() * 2 * ENTRY,
            _ => 0,
        };
        size_of::<Self>() + self.changes.bytes() + stage
    }
}
