//! How both ends of a link come to know each other: Hello, then Welcome; between them Challenge and Proof, where there is
//! a secret ([`Secret`](crate::wire::peer::Secret)).

use super::link::{Link, Stage};
use super::links::{HANDSHAKE_MS, Links, RETRY_MS, STALL_MS};
use super::{LinkEvent, LinkId, Me, Peer};
use crate::wire::peer::{
    ClusterMap, Hello, Introduction, Nonce, PeerMessage, Preamble, Proof, Side, VERSIONS, Welcome,
};
use bytes::Bytes;

const NO_SECRET_HERE: &str = "it has a secret, and this node has none: --peer-secret-file";
const NO_SECRET_THERE: &str = "it has no secret, and this node has one: --peer-secret-file";
const OTHER_SECRET: &str = "its secret is another than this node's: --peer-secret-file";

/// Why who says this does not belong here; `None` where it does.
fn misfit(me: &Me, hello: &Hello) -> Option<String> {
    if hello.node < 0 || hello.shard >= hello.shards {
        return Some("it has no node id, or no such shard".to_owned());
    }
    if hello.to == Hello::ANYBODY && hello.cluster_id.is_empty() {
        return None;
    }
    if hello.cluster_id != me.cluster_id {
        Some(format!("it is of cluster {}, not of {}", hello.cluster_id, me.cluster_id))
    } else if hello.to != me.node {
        Some(format!("it means node {}, and this is node {}", hello.to, me.node))
    } else if hello.node == me.node {
        Some(format!("it says that it is node {}, which is this node", me.node))
    } else {
        None
    }
}

impl Links {
    fn nonce(&mut self) -> Option<Nonce> {
        self.nonces += 1;
        let Me { seed, incarnation, shard, .. } = self.me;
        self.me.secret.as_ref().map(|it| it.nonce(seed, incarnation, shard, self.nonces))
    }

    /// A link that was to be dialled is connected.
    pub fn connected(&mut self, now_ms: i64, id: LinkId) {
        let nonce = self.nonce();
        let me = self.me.clone();
        let Some(link) = self.get(id).filter(|it| it.stage == Stage::Dialling) else { return };
        let target = link.target.expect("it was dialled");
        let hello = Hello {
            versions: (*VERSIONS.start(), *VERSIONS.end()),
            cluster_id: me.cluster_id,
            node: me.node,
            incarnation: me.incarnation,
            shards: me.shards,
            shard: me.shard,
            to: target.node,
            nonce,
        };
        let preamble = Preamble { shard: target.shard, lane: target.lane }.encode();
        link.stage = Stage::Greeting;
        link.deadline_ms = now_ms + HANDSHAKE_MS;
        link.push(Bytes::copy_from_slice(&preamble));
        link.say(&PeerMessage::Hello(hello.clone()));
        link.greeting = Some(Box::new((hello, None)));
        self.look_at(now_ms + HANDSHAKE_MS);
        self.events.push_back(LinkEvent::Flush(id));
    }

    /// Whoever has dialled says who it is.
    pub(super) fn greeted(&mut self, now_ms: i64, id: LinkId, hello: Hello) {
        let version = hello.versions.1.min(*VERSIONS.end());
        if version < hello.versions.0.max(*VERSIONS.start()) {
            let (from, to) = hello.versions;
            let why = format!(
                "it speaks versions {from} to {to} of the protocol between brokers, and this node {} to {}",
                VERSIONS.start(),
                VERSIONS.end()
            );
            return self.turn_away(now_ms, id, why);
        }
        match (self.me.secret.is_some(), hello.nonce.is_some()) {
            (false, false) => self.admit(now_ms, id, &hello, None),
            (false, true) => self.turn_away(now_ms, id, NO_SECRET_HERE.to_owned()),
            (true, false) => self.turn_away(now_ms, id, NO_SECRET_THERE.to_owned()),
            (true, true) => {
                let nonce = self.nonce().expect("there is a secret");
                let Some(link) = self.get(id) else { return };
                link.say(&PeerMessage::Challenge(nonce));
                link.greeting = Some(Box::new((hello, Some(nonce))));
                link.stage = Stage::Challenged;
                self.events.push_back(LinkEvent::Flush(id));
            }
        }
    }

    /// Whoever was dialled wants to see that this node knows the secret.
    pub(super) fn challenged(&mut self, now_ms: i64, id: LinkId, nonce: Nonce) {
        let Some(secret) = self.me.secret.clone() else {
            return self.end(now_ms, id, Some("it wants to see a secret, and this node has none"));
        };
        let Some(link) = self.get(id) else { return };
        let (Some(target), Some(greeting)) = (link.target, link.greeting.as_mut()) else { return };
        greeting.1 = Some(nonce);
        let meant = (target.lane, target.shard);
        let introduction = Introduction { hello: &greeting.0, meant, challenge: &nonce };
        let proof = secret.prove(Side::Dials, introduction);
        link.say(&PeerMessage::Proof(proof));
        self.events.push_back(LinkEvent::Flush(id));
    }

    /// Whoever has dialled shows that it knows the secret.
    pub(super) fn proved(&mut self, now_ms: i64, id: LinkId, proof: &Proof) {
        let (secret, meant) = (self.me.secret.clone(), self.me.shard);
        let Some(link) = self.get(id) else { return };
        let meant = (link.lane, meant);
        let (Some(secret), Some(greeting)) = (secret, link.greeting.take()) else { return };
        let (hello, Some(challenge)) = *greeting else { return };
        let it = Introduction { hello: &hello, meant, challenge: &challenge };
        if !secret.verify(Side::Dials, it, proof) {
            return self.turn_away(now_ms, id, OTHER_SECRET.to_owned());
        }
        let answer = secret.prove(Side::Takes, it);
        self.admit(now_ms, id, &hello, Some(answer));
    }

    /// The other side may belong here: takes it, where it does.
    fn admit(&mut self, now_ms: i64, id: LinkId, hello: &Hello, proof: Option<Proof>) {
        if let Some(why) = misfit(&self.me, hello) {
            return self.turn_away(now_ms, id, why);
        }
        let version = hello.versions.1.min(*VERSIONS.end());
        let (incarnation, shards) = (self.me.incarnation, self.me.shards);
        let Some(link) = self.get(id) else { return };
        if hello.to == Hello::ANYBODY {
            link.stage = Stage::Introducing(proof);
            self.events.push_back(LinkEvent::Joins(id));
            return;
        }
        let peer = Peer {
            node: hello.node,
            incarnation: hello.incarnation,
            shards: hello.shards,
            shard: hello.shard,
            lane: link.lane,
            dialled: false,
        };
        link.say(&PeerMessage::Welcome(Welcome { version, incarnation, shards, proof }));
        link.stage = Stage::Up(peer);
        link.deadline_ms = now_ms + STALL_MS;
        self.look_at(now_ms + STALL_MS);
        self.events.push_back(LinkEvent::Flush(id));
        self.events.push_back(LinkEvent::Up(id, peer));
        self.is_there(now_ms, peer.node);
        // A peer has one link for one purpose: what it had before is over, whether that was heard or not.
        let same = |it: &Link| {
            it.id != id
                && it.peer().is_some_and(|at| {
                    !at.dialled
                        && (at.node, at.lane, at.shard) == (peer.node, peer.lane, peer.shard)
                })
        };
        let old: Vec<LinkId> =
            self.all.iter().filter(|(_, it)| same(it)).map(|(_, it)| it.id).collect();
        for old in old {
            self.end(now_ms, old, None);
        }
    }

    /// Tells who [joins](LinkEvent::Joins) of the cluster; its link ends behind that.
    pub fn introduce(&mut self, now_ms: i64, id: LinkId, map: ClusterMap) {
        let Some(link) = self.get(id) else { return };
        let Stage::Introducing(proof) = link.stage else { return };
        link.say(&PeerMessage::Cluster(ClusterMap { proof, ..map }));
        self.end_behind(now_ms, id);
    }

    /// Tells the other side, and the log, why it does not belong here; the link ends behind that.
    pub fn turn_away(&mut self, now_ms: i64, id: LinkId, why: String) {
        self.refused += 1;
        let Some(link) = self.get(id) else { return };
        let line = format!("peer {} is refused: {why}", link.address);
        link.say(&PeerMessage::Refused(why));
        self.end_behind(now_ms, id);
        self.tell(now_ms, line);
    }

    /// The link ends when what is outgoing has left.
    fn end_behind(&mut self, now_ms: i64, id: LinkId) {
        let Some(link) = self.get(id) else { return };
        link.stage = Stage::Refusing;
        link.deadline_ms = now_ms + HANDSHAKE_MS;
        self.look_at(now_ms + HANDSHAKE_MS);
        self.events.push_back(LinkEvent::Flush(id));
    }

    /// Whoever was dialled takes the link.
    pub(super) fn welcomed(&mut self, now_ms: i64, id: LinkId, welcome: Welcome) {
        let secret = self.me.secret.clone();
        let Some(link) = self.get(id) else { return };
        let Some(target) = link.target else { return };
        if let Some(secret) = secret {
            let greeting = link.greeting.take();
            let known = greeting.as_deref().is_some_and(|(hello, challenge)| {
                let meant = (target.lane, target.shard);
                secret.is_shown(hello, meant, challenge.as_ref(), welcome.proof.as_ref())
            });
            if !known {
                self.refused += 1;
                return self.end(now_ms, id, Some("it does not know the secret"));
            }
        }
        let peer = Peer {
            node: target.node,
            incarnation: welcome.incarnation,
            shards: welcome.shards,
            shard: target.shard,
            lane: target.lane,
            dialled: true,
        };
        link.stage = Stage::Up(peer);
        link.greeting = None;
        link.deadline_ms = if link.unsent() > 0 { now_ms + STALL_MS } else { i64::MAX };
        let deadline_ms = link.deadline_ms;
        self.look_at(deadline_ms);
        if let Some(wanted) = self.wanted.get_mut(&target) {
            wanted.backoff_ms = RETRY_MS.0;
            (wanted.refused, wanted.told) = (false, None);
        }
        self.events.push_back(LinkEvent::Up(id, peer));
    }
}
