//! Who belongs to the cluster: brokers that join it, and a node that is alone until they do.

use super::links::LinkId;
use super::metadata::NotController;
use super::state::State;
use crate::controller;
use crate::wire::peer::{ClusterMap, ClusterNode, Lane};
use std::rc::Rc;

/// A change of the quorum's members is tried again after this time, ms.
const RETRY_MS: i64 = 50;

impl State {
    /// Whether this node is a cluster by itself: nobody else belongs to the quorum, nor has registered. Of shard 0.
    pub(super) fn is_alone(&self) -> bool {
        let controller = self.metadata().controller.borrow();
        let (members, me) = (controller.members(), self.node_id());
        let quorum = members.voters.contains(&me) && members.nodes().len() == 1;
        quorum && self.image_now().brokers().all(|it| it.id == me)
    }

    /// Waits until this node is not [alone](Self::is_alone).
    pub(super) async fn has_company(&self) {
        self.metadata().changed.until(|| !self.is_alone()).await;
    }

    /// Somebody wants to join, and asks what the cluster is.
    pub(super) fn peer_joins(&self, link: LinkId) {
        let now = self.monotonic_ms();
        match self.cluster_map() {
            Some(map) => self.links.borrow_mut().introduce(now, link, map),
            None => {
                let why = "this node does not know its cluster yet".to_owned();
                self.links.borrow_mut().turn_away(now, link, why);
            }
        }
    }

    fn cluster_map(&self) -> Option<ClusterMap> {
        let metadata = self.metadata.as_ref()?;
        let members = metadata.controller.borrow().members();
        let image = self.image_now();
        let voters: Vec<i32> = members.voters.iter().copied().collect();
        if voters.is_empty() {
            return None;
        }
        self.work.add(image.brokers().len() as u64);
        let registered = image.brokers().map(|it| ClusterNode {
            node: it.id,
            directory: it.directory,
            peer: (it.peer_host.clone(), it.peer_port),
            fenced: it.fenced,
        });
        let mut brokers: Vec<ClusterNode> = registered.collect();
        for node in voters.iter().filter(|it| image.broker(**it).is_none()) {
            if let Some(peer) = self.peer_address(*node) {
                brokers.push(ClusterNode { node: *node, directory: 0, peer, fenced: true });
            }
        }
        let cluster_id = image.cluster_id.to_string();
        Some(ClusterMap { cluster_id, voters, brokers, proof: None })
    }

    /// Of whoever leads the quorum: has those follow it, and vote, who are to.
    pub(super) fn tend_members(self: &Rc<Self>) {
        let metadata = self.metadata();
        if metadata.members_held.get() {
            return;
        }
        let to = {
            let controller = metadata.controller.borrow();
            let Some(state) = controller.describe_quorum() else { return };
            let draft = controller.draft();
            self.work.add(draft.brokers().len() as u64);
            let gives = draft.broker_configs.is_on("controller.quorum.auto.join.enable");
            let due = controller::due_members(&state, draft, gives);
            due.map(|to| (to.voters.len() > state.voters.len(), to))
        };
        let Some((votes, to)) = to else { return };
        if votes {
            tracing::info!(voters = ?to.voters, "the quorum gets voters: it goes on without any one of them");
        }
        // One change at a time: the next look finds what it was too early for.
        let _ = self.vital(|| metadata.controller.borrow_mut().change_members(&to));
        self.quorum_moved();
    }

    /// Of whoever leads the quorum: internal topics get more replicas where more brokers are there.
    pub(super) async fn raise_internal_topics(self: &Rc<Self>) -> Result<(), NotController> {
        let pause = &async || self.pause().await;
        let draft = self.draft();
        let seed = draft.index;
        if controller::raise_internal(&draft, seed, pause).await.records.is_empty() {
            return Ok(());
        }
        drop(draft);
        let (_, changed) = self
            .decide("raised", async |draft| {
                let decision = controller::raise_internal(draft, seed, pause).await;
                let changed = !decision.records.is_empty();
                (decision, changed)
            })
            .await?;
        if changed {
            tracing::info!("partitions of internal topics get more replicas");
        }
        Ok(())
    }

    /// A broker that follows the quorum without a vote has another directory than before: what it is known to have is gone, and
    /// it is taken in anew.
    pub(super) async fn forget_learner(self: &Rc<Self>, node: i32) {
        let metadata = self.metadata();
        metadata.members_held.set(true);
        // Where another leads meanwhile, its own progress for that node begins with nothing.
        while self.leading().is_ok() {
            let mut to = metadata.controller.borrow().members();
            if !to.learners.remove(&node) {
                break;
            }
            let _ = self.vital(|| metadata.controller.borrow_mut().change_members(&to));
            self.quorum_moved();
            self.sleep(RETRY_MS).await;
        }
        metadata.members_held.set(false);
    }

    /// A node to ask for whoever leads the quorum while that is not known: each that is connected in turn. One that has joined, or
    /// comes back after it was unregistered, hears of the leader only when that has taken it in.
    pub(super) fn next_to_ask(&self) -> i32 {
        let links = self.links.borrow();
        let up: Vec<i32> = links
            .targets()
            .filter(|it| it.lane == Lane::Control && links.link_to(*it).is_some())
            .map(|it| it.node)
            .collect();
        let asked = self.standing.asked.get();
        let next = up.iter().find(|it| **it > asked).or(up.first()).copied().unwrap_or(-1);
        self.standing.asked.set(next);
        next
    }
}
