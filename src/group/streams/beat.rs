//! A heartbeat of a member of a streams group while it is carried out: in stages, each some steps at a time.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::vec::IntoIter;

use super::assignor::Assigning;
use super::comparing::Comparing;
use super::hashing::Hashing;
use super::member::Endpoint;
use super::request::StreamsHeartbeat;
use super::response::{EndpointPartitions, Status};
use super::tasks::Tasks;
use super::topology::{Configured, Configuring};
use crate::group::cluster::ClusterView;
use crate::group::consumer::changes::Changes;
use crate::group::consumer::response::Refusal;
use crate::group::effect::Ticket;
use crate::group::entry::ENTRY;

/// What is done.
#[derive(Debug)]
pub enum Stage {
    /// What a member that joins runs is compared with what the others do.
    Compare(Box<Comparing>),
    /// A member joins, or says something.
    Join,
    /// The topics of the topology are hashed.
    Hash(Hashing),
    /// The topology is given its partitions.
    Configure(Box<Configuring>),
    /// It is looked whether the group gets another epoch, and targets.
    Assess,
    /// The assignor is told of members; without it, all get nothing.
    Collect(Vec<String>, Option<Box<Assigning>>),
    /// The assignor works.
    Assign(Vec<String>, Box<Assigning>),
    /// Targets are set, by member.
    Place(IntoIter<(String, Arc<Tasks>)>),
    /// Targets of members that are gone go, from behind this one.
    Sweep(Option<String>),
    /// The member is told what comes next.
    Reconcile,
    /// It is told where states can be asked for, of members from behind this one.
    Endpoints(Option<String>),
    /// All is done.
    Done,
}

/// See the module.
#[derive(Debug)]
pub struct StreamsBeat {
    /// Who asks.
    pub ticket: Ticket,
    /// What the member says.
    pub request: Box<StreamsHeartbeat>,
    /// What it was assigned before.
    pub before: Tasks,
    /// It may not have heard of that.
    pub behind: bool,
    /// It runs another topology than the group.
    pub differs: bool,
    /// The metadata that all of it is done with, and their topics' version.
    pub view: Rc<dyn ClusterView>,
    /// The topics' version of them.
    pub topics_version: u64,
    /// A hash of the topology's topics.
    pub metadata_hash: i64,
    /// The topology with its topics.
    pub configured: Option<Rc<Configured>>,
    /// Something has changed by which tasks are assigned: the group gets another epoch.
    pub bumps: bool,
    /// Nobody has tasks yet: the first assignment waits for others.
    pub delayed: bool,
    /// What the member is told of the group.
    pub statuses: Vec<(Status, String)>,
    /// Where states can be asked for.
    pub endpoints: Option<BTreeMap<Endpoint, EndpointPartitions>>,
    /// What has changed.
    pub changes: Changes,
    /// There was no such group.
    pub founds: bool,
    /// It comes to nothing, since this is wrong.
    pub refused: Option<Refusal>,
    /// What is done next.
    pub stage: Stage,
}

impl StreamsBeat {
    /// Memory that it takes, bytes.
    pub fn bytes(&self) -> usize {
        let stage = match &self.stage {
            Stage::Compare(it) => it.bytes(),
            Stage::Collect(ids, assigning) => {
                ids.len() * 2 * ENTRY + assigning.as_ref().map_or(0, |it| it.bytes())
            }
            Stage::Assign(ids, assigning) => ids.len() * 2 * ENTRY + assigning.bytes(),
            Stage::Place(rest) => rest.len() * 2 * ENTRY,
            _ => 0,
        };
        let endpoints = self.endpoints.iter().flatten().map(|(endpoint, it)| {
            let numbers = |it: &Vec<i32>| ENTRY + 4 * it.len();
            let sets = it.active.values().chain(it.standby.values());
            ENTRY + endpoint.host.len() + sets.map(numbers).sum::<usize>()
        });
        size_of::<Self>() + self.changes.bytes() + stage + endpoints.sum::<usize>()
    }
}
