//! The metadata quorum on shard 0: time passes for it, and its messages travel.

use super::links::{Peer, Target};
use super::node::Address;
use super::state::State;
use crate::controller::Message;
use crate::types::exit;
use crate::wire::peer::{Lane, PeerMessage};
use std::collections::BTreeSet;
use std::rc::Rc;

/// A tick of the quorum, ms: one that has heard no leader for 10 to 20 of them stands for election.
pub(super) const TICK_MS: i64 = 100;
/// Who has sent a message of the quorum is reached for so long after it, ms.
const SPOKEN_MS: i64 = 10_000;

impl State {
    /// Lets time pass for the quorum, for ever. A node that is alone has nothing to wait for but company.
    pub(super) async fn run_quorum(self: Rc<Self>) {
        let Some(metadata) = &self.metadata else { return };
        if self.node.peer.is_none() {
            return;
        }
        loop {
            self.has_company().await;
            self.reach_members();
            self.vital(|| metadata.controller.borrow_mut().tick());
            self.quorum_moved();
            self.sleep(TICK_MS).await;
        }
    }

    /// Keeps links up to all members of the quorum, and to whoever speaks as one: a member that is behind does not know
    /// those that were added since, and one of them may lead, or need its vote.
    fn reach_members(&self) {
        let Some(metadata) = &self.metadata else { return };
        let mut members = metadata.controller.borrow().members().nodes();
        if members.is_empty() {
            // It joins: any of them may know who leads.
            members.extend(self.node.known.keys());
        }
        let now = self.monotonic_ms();
        let mut spoken = metadata.spoken.borrow_mut();
        spoken.retain(|_, at| now - *at < SPOKEN_MS);
        members.extend(spoken.keys());
        let mut links = self.links.borrow_mut();
        for node in members.iter().copied().filter(|it| *it != self.node_id()) {
            if let Some((host, port)) = self.peer_address(node) {
                links.reach(now, Target::control(node), &host, port);
            }
        }
        let over: BTreeSet<Target> = links
            .targets()
            .filter(|it| it.lane == Lane::Control && !members.contains(&it.node))
            .collect();
        for target in over {
            links.leave(now, target);
        }
    }

    /// Where brokers connect to this node, if that is known.
    pub(super) fn peer_address(&self, node: i32) -> Option<Address> {
        let image = self.image_now();
        let registered = image.broker(node).filter(|it| it.peer_port != 0);
        let registered = registered.map(|it| (it.peer_host.clone(), it.peer_port));
        registered.or_else(|| self.node.known.get(&node).cloned())
    }

    pub(super) fn node_id(&self) -> i32 {
        self.image_now().node_id
    }

    /// Something of the quorum has moved on: what it says is sent, and what it wants written is written.
    pub(super) fn quorum_moved(self: &Rc<Self>) {
        let Some(metadata) = &self.metadata else { return };
        let mut unsent = BTreeSet::new();
        loop {
            let message = metadata.controller.borrow_mut().poll_message();
            let Some(message) = message else { break };
            let (now, node) = (self.monotonic_ms(), message.to());
            let mut links = self.links.borrow_mut();
            match links.link_to(Target::control(node)) {
                Some(link) => {
                    let bytes = message.encode().into();
                    links.send(now, link, &PeerMessage::Quorum(bytes));
                }
                None => {
                    unsent.insert(node);
                }
            }
        }
        for node in unsent {
            self.vital(|| metadata.controller.borrow_mut().unreachable(node));
        }
        metadata.kick();
        self.look_who_leads();
    }

    /// The link to or from a member is broken.
    pub(super) fn quorum_lost_touch(self: &Rc<Self>, node: i32) {
        let Some(metadata) = &self.metadata else { return };
        if metadata.controller.borrow().members().nodes().contains(&node) {
            self.vital(|| metadata.controller.borrow_mut().unreachable(node));
            self.quorum_moved();
        }
    }

    /// A member cannot be dialled; `refused`: nobody listens there.
    pub(super) fn quorum_cannot_reach(self: &Rc<Self>, node: i32, refused: bool) {
        if !refused {
            return;
        }
        // The kernel at the other end says that the process is gone: nobody needs to wait for the session's end.
        if self.leading().is_err() {
            self.vital(|| self.metadata().controller.borrow_mut().leader_is_gone(node));
            return self.quorum_moved();
        }
        let there = self.metadata().controller.borrow().draft().is_unfenced(node);
        if there {
            let state = self.clone();
            self.start(async move {
                let _ = state.fence(node, "nobody listens where it listened").await;
            });
        }
    }

    /// A message of a member. An error says why its link is to end.
    pub(super) fn quorum_message(self: &Rc<Self>, peer: &Peer, bytes: &[u8]) -> Result<(), String> {
        let Some(metadata) = &self.metadata else {
            return Err("it means the controller, which is not on this shard".to_owned());
        };
        self.work.add(super::work::bytes(bytes.len()));
        let message = Message::decode(bytes).map_err(|e| e.to_string())?;
        if message.from() != peer.node || message.to() != self.node_id() {
            return Err("it speaks for another node".to_owned());
        }
        metadata.spoken.borrow_mut().insert(peer.node, self.monotonic_ms());
        let joins = metadata.controller.borrow().is_joining();
        if joins && !self.standing.registered.get() {
            return message.before_registration().map_err(str::to_owned);
        }
        let result = self.vital(|| metadata.controller.borrow_mut().step(message));
        if let Err(e) = result {
            // Entries that this node had promised to keep are gone: it must not vote, nor lead.
            self.fatal(exit::DAMAGED, format!("the metadata log: {e}"));
        }
        if metadata.controller.borrow().leader() == peer.node {
            metadata.led_before.set(Some((peer.node, self.monotonic_ms())));
        }
        self.quorum_moved();
        Ok(())
    }

    /// Tells of another leader of the quorum.
    fn look_who_leads(self: &Rc<Self>) {
        let Some(metadata) = &self.metadata else { return };
        let (leads, term, leader) = {
            let controller = metadata.controller.borrow();
            (controller.leading_term(), controller.term(), controller.leader())
        };
        if metadata.leads.replace(leads) != leads {
            if leads.is_some() {
                tracing::info!(term, "this node is the controller");
            }
            metadata.changed.notify();
        }
        if metadata.leader.replace(leader) != leader {
            if leader >= 0 {
                tracing::info!(term, controller = leader, "a controller was elected");
            } else if self.node.peer.is_some() {
                tracing::warn!(term, "no controller is known");
            }
            self.changed_quorum.notify();
        }
    }
}
