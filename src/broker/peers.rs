//! What other brokers say: from a link's bytes to what serves each message.

use super::calls::{AskPeer, ShardId};
use super::links::{LinkEvent, LinkId, Peer, Target};
use super::output::Output;
use super::reply_to::ReplyTo;
use super::state::State;
use crate::wire::peer::{Call, Lane, Outcome, PeerMessage};
use futures_lite::FutureExt;
use std::rc::Rc;

/// Another broker that does not answer is waited for so long, ms.
const PEER_PATIENCE_MS: i64 = 10_000;

/// What happened on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerInput {
    /// It is connected, as [`Output::Dial`] asked.
    Connected,
    /// So many bytes were put where [`Broker::peer_buffer`](super::Broker::peer_buffer) said.
    Received(usize),
    /// It has failed, or the other side has closed it. `refused`: nobody listens there.
    Failed {
        /// See above.
        refused: bool,
    },
}

impl State {
    pub(super) fn peer_input(self: &Rc<Self>, link: LinkId, input: PeerInput) {
        let now = self.monotonic_ms();
        let mut links = self.links.borrow_mut();
        match input {
            PeerInput::Connected => links.connected(now, link),
            PeerInput::Failed { refused } => links.failed(now, link, refused),
            PeerInput::Received(n) => {
                // SAFETY: whoever drives the broker has written them where it was told to.
                unsafe { links.received(now, link, n) };
            }
        }
        drop(links);
        self.take_link_events();
    }

    /// Carries out what links want.
    pub(super) fn take_link_events(self: &Rc<Self>) {
        loop {
            let event = self.links.borrow_mut().poll();
            let Some(event) = event else { break };
            match event {
                LinkEvent::Dial { link, host, port } => {
                    self.outputs.push(Output::Dial { link, host, port });
                }
                LinkEvent::Flush(link) => self.outputs.push(Output::FlushPeer(link)),
                LinkEvent::Close(link) => self.outputs.push(Output::ClosePeer(link)),
                LinkEvent::Joins(link) => self.peer_joins(link),
                LinkEvent::Up(link, peer) => self.peer_up(link, &peer),
                LinkEvent::Down(link, peer) => self.peer_down(link, &peer),
                LinkEvent::Unreachable { node, refused } => self.peer_unreachable(node, refused),
                LinkEvent::Message(link, message) => self.peer_message(link, message),
                LinkEvent::Line(line) => tracing::warn!("{line}"),
            }
        }
    }

    fn peer_up(self: &Rc<Self>, link: LinkId, peer: &Peer) {
        match (peer.lane, peer.dialled) {
            (Lane::Control, true) => {
                tracing::info!(node = peer.node, "connected to a node of the cluster");
                self.changed_quorum.notify();
            }
            (Lane::Control, false) => {}
            (Lane::Data, true) => self.leader_up(link, peer),
            (Lane::Data, false) => self.feeds_up(link, peer),
        }
    }

    fn peer_down(self: &Rc<Self>, link: LinkId, peer: &Peer) {
        self.asks.borrow_mut().link_ended(link);
        match (peer.lane, peer.dialled) {
            (Lane::Control, _) => self.quorum_lost_touch(peer.node),
            (Lane::Data, true) => self.leader_down(link, peer),
            (Lane::Data, false) => self.feeds.borrow_mut().down(link),
        }
    }

    fn peer_unreachable(self: &Rc<Self>, node: i32, refused: bool) {
        self.work.add(1);
        if self.metadata.is_some() {
            self.quorum_cannot_reach(node, refused);
        }
    }

    fn peer_message(self: &Rc<Self>, link: LinkId, message: PeerMessage) {
        let Some(peer) = self.links.borrow().peer(link) else { return };
        self.work.add(1);
        let refused = match (peer.lane, message) {
            (Lane::Control, PeerMessage::Quorum(bytes)) => self.quorum_message(&peer, &bytes),
            (Lane::Control, PeerMessage::Ask { number, call }) if self.metadata.is_some() => {
                self.peer_asks(link, &peer, number, call);
                Ok(())
            }
            (Lane::Control, PeerMessage::Answer { number, outcome }) => {
                self.asks.borrow_mut().answered(link, number, outcome);
                Ok(())
            }
            (Lane::Data, message) if peer.dialled => self.leader_says(link, &peer, message),
            (Lane::Data, message) => self.follower_says(link, &peer, message),
            _ => Err("it says what nobody says here".to_owned()),
        };
        if let Err(why) = refused {
            self.links.borrow_mut().refuse(self.monotonic_ms(), link, &why);
        }
    }

    /// What a leader's shard says.
    fn leader_says(
        self: &Rc<Self>,
        link: LinkId,
        peer: &Peer,
        message: PeerMessage,
    ) -> Result<(), String> {
        match message {
            PeerMessage::Subscribed(started) => self.peer_subscribed(peer, &started),
            PeerMessage::Frames(frames, payload) => {
                return self.peer_frames(link, peer, &frames, payload);
            }
            PeerMessage::Watermarks(marks) => self.peer_watermarks(peer, &marks),
            PeerMessage::Stop(stops) => self.peer_stops(peer, &stops),
            _ => return Err("it says what no leader says".to_owned()),
        }
        Ok(())
    }

    /// What a follower's shard says.
    fn follower_says(
        self: &Rc<Self>,
        link: LinkId,
        peer: &Peer,
        message: PeerMessage,
    ) -> Result<(), String> {
        match message {
            PeerMessage::Subscribe(streams) => self.peer_subscribes(link, peer, streams),
            PeerMessage::Durable(ends) => self.peer_durable(link, peer, &ends),
            PeerMessage::Credit(bytes) => self.peer_grants(link, bytes),
            PeerMessage::Stop(stops) => self.peer_unsubscribes(link, &stops),
            _ => return Err("it says what no follower says".to_owned()),
        }
        Ok(())
    }

    fn peer_asks(self: &Rc<Self>, link: LinkId, peer: &Peer, number: u64, call: Call) {
        let (state, asker) = (self.clone(), peer.member());
        self.start(async move {
            let outcome = state.carry_out(asker, call).await;
            let answer = PeerMessage::Answer { number, outcome };
            state.links.borrow_mut().send(state.monotonic_ms(), link, &answer);
        });
    }

    pub(super) fn serve_ask_peer(self: &Rc<Self>, call: AskPeer, _: ShardId, to: ReplyTo<AskPeer>) {
        let AskPeer { node, api, version, body } = call;
        let state = self.clone();
        self.start(async move {
            let call = Call::ChangeMetadata { api: api.0, version, body };
            let outcome = state.ask_node(node, call, PEER_PATIENCE_MS).await;
            to.reply(match outcome {
                Some(Outcome::MetadataChanged { body, .. }) => body,
                _ => None,
            });
        });
    }

    /// Asks another node's controller. `None` where there is no link to it, the link ends, or `patience_ms`
    /// is over: then it may have been carried out or not.
    pub(super) async fn ask_node(
        self: &Rc<Self>,
        node: i32,
        call: Call,
        patience_ms: i64,
    ) -> Option<Outcome> {
        let target = Target::control(node);
        let link = self.links.borrow().link_to(target)?;
        let (number, answer) = self.asks.borrow_mut().begin(link);
        let message = PeerMessage::Ask { number, call };
        self.links.borrow_mut().send(self.monotonic_ms(), link, &message);
        let over = async {
            self.sleep(patience_ms).await;
            None
        };
        let outcome = answer.or(over).await;
        self.asks.borrow_mut().give_up(number);
        outcome
    }
}
