//! All links of a shard.

use super::link::{Link, Stage};
use super::{LinkEvent, LinkId, Me, Peer, Target};
use crate::wire::peer::{Hello, Lane, PeerMessage, Preamble, VERSIONS, Welcome};
use bytes::Bytes;
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::mem::MaybeUninit;

/// A link must be up after this time, ms.
const HANDSHAKE_MS: i64 = 5_000;
/// What is outgoing must get on within this time, ms.
const STALL_MS: i64 = 10_000;
/// A link that failed is dialled again after this time, ms; twice as long each time, up to the second.
const RETRY_MS: (i64, i64) = (50, 800);
/// Ends that are due are looked for no more often than this, ms: a look goes over all links.
const LOOK_MS: i64 = 100;
/// Bytes of a greeting, at most: a stranger gets no memory for more.
const GREETING_MAX: usize = 16 << 10;
/// Strangers that have not said who they are yet: more are turned away.
const STRANGERS: usize = 64;
/// Bytes of messages to a peer that may wait: beyond it the peer does not read, and hears no more.
const UNSENT_MAX: usize = 256 << 20;

struct Wanted {
    host: String,
    port: u16,
    link: Option<LinkId>,
    retry_at_ms: i64,
    backoff_ms: i64,
    /// Nobody listened there when it was dialled last.
    refused: bool,
    /// What the log was told last of why it is not up.
    told: Option<String>,
}

/// See [the module](super).
pub struct Links {
    me: Me,
    all: Slab<Link>,
    lives: u32,
    wanted: BTreeMap<Target, Wanted>,
    /// Targets without a link, by when they are dialled, ms.
    due: BTreeSet<(i64, Target)>,
    /// No link is to end before this time, ms: the least of their deadlines, or earlier.
    look_at_ms: i64,
    events: VecDeque<LinkEvent>,
    /// What the log was told of strangers, and when, ms.
    told: HashMap<String, i64>,
}

impl Links {
    /// No links.
    pub fn new(me: Me) -> Self {
        Self {
            me,
            all: Slab::new(),
            lives: 0,
            wanted: BTreeMap::new(),
            due: BTreeSet::new(),
            look_at_ms: i64::MAX,
            events: VecDeque::new(),
            told: HashMap::new(),
        }
    }

    fn get(&mut self, id: LinkId) -> Option<&mut Link> {
        self.all.get_mut(id.index as usize).filter(|it| it.id == id)
    }

    /// A link ends at this time, ms, where nothing else comes.
    fn look_at(&mut self, deadline_ms: i64) {
        self.look_at_ms = self.look_at_ms.min(deadline_ms);
    }

    fn insert(&mut self, lane: Lane, address: String, stage: Stage, deadline_ms: i64) -> LinkId {
        self.look_at(deadline_ms);
        self.lives = self.lives.wrapping_add(1);
        let entry = self.all.vacant_entry();
        let id = LinkId { index: entry.key() as u32, life: self.lives };
        entry.insert(Link::new(id, lane, address, stage, deadline_ms));
        id
    }

    // ---- What is wanted ----

    /// Keeps a link up to there. An address that is another than before is dialled next time.
    pub fn reach(&mut self, now_ms: i64, target: Target, host: &str, port: u16) {
        let wanted = self.wanted.entry(target).or_insert_with(|| Wanted {
            host: String::new(),
            port: 0,
            link: None,
            retry_at_ms: now_ms,
            backoff_ms: RETRY_MS.0,
            refused: false,
            told: None,
        });
        if wanted.host != host || wanted.port != port {
            (wanted.host, wanted.port) = (host.to_owned(), port);
            self.due.remove(&(wanted.retry_at_ms, target));
            wanted.retry_at_ms = now_ms;
        }
        if wanted.link.is_none() && wanted.retry_at_ms <= now_ms {
            self.dial(now_ms, target);
        }
    }

    /// A node was heard: where it is to be reached, it is tried at once.
    fn is_there(&mut self, now_ms: i64, node: i32) {
        let first = Target { node, lane: Lane::Control, shard: 0 };
        let of_node = self.wanted.range(first..).take_while(|(it, _)| it.node == node);
        let waiting: Vec<Target> =
            of_node.filter(|(_, it)| it.link.is_none()).map(|(target, _)| *target).collect();
        for target in waiting {
            if let Some(wanted) = self.wanted.get_mut(&target) {
                wanted.backoff_ms = RETRY_MS.0;
            }
            self.dial(now_ms, target);
        }
    }

    /// Nobody needs a link to there any more.
    pub fn leave(&mut self, now_ms: i64, target: Target) {
        let Some(wanted) = self.wanted.remove(&target) else { return };
        self.due.remove(&(wanted.retry_at_ms, target));
        if let Some(link) = wanted.link {
            self.end(now_ms, link, None);
        }
    }

    /// The link to there, where it is up.
    pub fn link_to(&self, target: Target) -> Option<LinkId> {
        let id = self.wanted.get(&target)?.link?;
        self.all[id.index as usize].peer().map(|_| id)
    }

    /// Whether nobody listened where this node is reached for the quorum, when it was tried last.
    pub fn is_refused_by(&self, node: i32) -> bool {
        let target = Target { node, lane: Lane::Control, shard: 0 };
        self.wanted.get(&target).is_some_and(|it| it.refused)
    }

    /// The targets that are wanted.
    pub fn targets(&self) -> impl Iterator<Item = Target> + '_ {
        self.wanted.keys().copied()
    }

    /// Who is at the other end of a link that is up.
    pub fn peer(&self, id: LinkId) -> Option<Peer> {
        self.all.get(id.index as usize).filter(|it| it.id == id)?.peer()
    }

    /// Links that are up.
    pub fn up(&self) -> usize {
        self.all.iter().filter(|(_, it)| it.peer().is_some()).count()
    }

    /// Sends a message. One to a link that has ended is lost, as one that was on its way would be.
    pub fn send(&mut self, now_ms: i64, id: LinkId, message: &PeerMessage) {
        let Some(link) = self.get(id).filter(|it| it.peer().is_some()) else { return };
        if link.unsent() > UNSENT_MAX {
            return self.end(now_ms, id, Some("it does not read what it is sent"));
        }
        if link.say(message) {
            link.deadline_ms = now_ms + STALL_MS;
            self.look_at(now_ms + STALL_MS);
            self.events.push_back(LinkEvent::Flush(id));
        }
    }

    /// Sends a message with its payload in parts, which are not copied.
    pub fn send_parts(
        &mut self,
        now_ms: i64,
        id: LinkId,
        message: &PeerMessage,
        parts: Vec<Bytes>,
    ) {
        let Some(link) = self.get(id).filter(|it| it.peer().is_some()) else { return };
        if link.say_parts(message, parts) {
            link.deadline_ms = now_ms + STALL_MS;
            self.look_at(now_ms + STALL_MS);
            self.events.push_back(LinkEvent::Flush(id));
        }
    }

    /// Bytes that wait to be sent on this link.
    pub fn unsent(&self, id: LinkId) -> usize {
        self.all.get(id.index as usize).filter(|it| it.id == id).map_or(0, Link::unsent)
    }

    // ---- What happens ----

    /// Somebody has dialled, and has said this. `None` where too many have whom nobody knows.
    pub fn accepted(&mut self, now_ms: i64, peer: &str, preamble: Preamble) -> Option<LinkId> {
        let strangers = self.all.iter().filter(|(_, it)| it.stage == Stage::Awaiting).count();
        if strangers >= STRANGERS {
            self.tell(now_ms, format!("{peer}: too many peers that have not said who they are"));
            return None;
        }
        let deadline = now_ms + HANDSHAKE_MS;
        Some(self.insert(preamble.lane, peer.to_owned(), Stage::Awaiting, deadline))
    }

    /// A link that was to be dialled is connected.
    pub fn connected(&mut self, now_ms: i64, id: LinkId) {
        let me = self.me.clone();
        let Some(link) = self.get(id).filter(|it| it.stage == Stage::Dialling) else { return };
        let target = link.target.expect("it was dialled");
        let hello = PeerMessage::Hello(Hello {
            versions: (*VERSIONS.start(), *VERSIONS.end()),
            cluster_id: me.cluster_id,
            node: me.node,
            incarnation: me.incarnation,
            shards: me.shards,
            shard: me.shard,
            to: target.node,
        });
        let preamble = Preamble { shard: target.shard, lane: target.lane }.encode();
        link.stage = Stage::Greeting;
        link.deadline_ms = now_ms + HANDSHAKE_MS;
        link.push(Bytes::copy_from_slice(&preamble));
        link.say(&hello);
        self.look_at(now_ms + HANDSHAKE_MS);
        self.events.push_back(LinkEvent::Flush(id));
    }

    /// A link has failed, or could not be connected: `refused`, because nobody listens there.
    pub fn failed(&mut self, now_ms: i64, id: LinkId, refused: bool) {
        let Some(link) = self.get(id) else { return };
        let dialled = link.target.filter(|_| link.stage == Stage::Dialling);
        let why = match (refused, dialled) {
            (true, _) => "nobody listens there",
            (false, Some(_)) => "it cannot be reached",
            (false, None) => "the connection is broken",
        };
        if let Some(target) = dialled {
            if let Some(wanted) = self.wanted.get_mut(&target) {
                wanted.refused = refused;
            }
            self.events.push_back(LinkEvent::Unreachable { node: target.node, refused });
        }
        self.end(now_ms, id, Some(why));
    }

    /// Room for the next bytes of a link.
    pub fn buffer(&mut self, id: LinkId) -> Option<&mut [MaybeUninit<u8>]> {
        let link = self.get(id).filter(|it| it.stage != Stage::Refusing)?;
        Some(link.incoming.spare())
    }

    /// So many bytes were put there.
    ///
    /// # Safety
    /// The first `n` bytes of [`buffer`](Self::buffer) were written since it was asked.
    pub unsafe fn received(&mut self, now_ms: i64, id: LinkId, n: usize) {
        let Some(link) = self.get(id) else { return };
        // SAFETY: the caller says so.
        unsafe { link.incoming.filled(n) };
        self.read(now_ms, id);
    }

    /// These bytes came: for those who have them elsewhere.
    pub fn put(&mut self, now_ms: i64, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.get(id) else { return };
        link.incoming.put(bytes);
        self.read(now_ms, id);
    }

    fn read(&mut self, now_ms: i64, id: LinkId) {
        while let Some(link) = self.get(id) {
            let stage = link.stage;
            let message = match link.incoming.take() {
                Ok(Some(message)) => message,
                Ok(None)
                    if !matches!(stage, Stage::Up(_)) && link.incoming.len() > GREETING_MAX =>
                {
                    return self.end(now_ms, id, Some("it does not say who it is"));
                }
                Ok(None) => return,
                Err(e) => return self.end(now_ms, id, Some(&e.to_string())),
            };
            match (stage, message) {
                (Stage::Awaiting, PeerMessage::Hello(hello)) => self.greeted(now_ms, id, &hello),
                (Stage::Greeting, PeerMessage::Welcome(it)) => self.welcomed(now_ms, id, it),
                (Stage::Greeting, PeerMessage::Refused(why)) => {
                    return self.end(now_ms, id, Some(&format!("it refuses this node: {why}")));
                }
                (Stage::Up(_), PeerMessage::Hello(_) | PeerMessage::Welcome(_)) => {
                    return self.end(now_ms, id, Some("it greets twice"));
                }
                (Stage::Up(_), message) => {
                    self.events.push_back(LinkEvent::Message(id, message));
                }
                (Stage::Refusing, _) => return,
                _ => return self.end(now_ms, id, Some("it does not say who it is")),
            }
        }
    }

    /// Whoever has dialled says who it is.
    fn greeted(&mut self, now_ms: i64, id: LinkId, hello: &Hello) {
        let me = self.me.clone();
        let version = hello.versions.1.min(*VERSIONS.end());
        let refusal = if version < hello.versions.0.max(*VERSIONS.start()) {
            let (from, to) = hello.versions;
            Some(format!(
                "it speaks versions {from} to {to} of the protocol between brokers, and this node {} to {}",
                VERSIONS.start(),
                VERSIONS.end()
            ))
        } else if hello.cluster_id != me.cluster_id {
            Some(format!("it is of cluster {}, not of {}", hello.cluster_id, me.cluster_id))
        } else if hello.to != me.node {
            Some(format!("it means node {}, and this is node {}", hello.to, me.node))
        } else if hello.node == me.node {
            Some(format!("it says that it is node {}, which is this node", me.node))
        } else if hello.node < 0 || hello.shard >= hello.shards {
            Some("it has no node id, or no such shard".to_owned())
        } else {
            None
        };
        let Some(link) = self.get(id) else { return };
        if let Some(why) = refusal {
            link.say(&PeerMessage::Refused(why.clone()));
            link.stage = Stage::Refusing;
            link.deadline_ms = now_ms + HANDSHAKE_MS;
            let line = format!("peer {} is refused: {why}", link.address);
            self.look_at(now_ms + HANDSHAKE_MS);
            self.events.push_back(LinkEvent::Flush(id));
            return self.tell(now_ms, line);
        }
        let peer = Peer {
            node: hello.node,
            incarnation: hello.incarnation,
            shards: hello.shards,
            shard: hello.shard,
            lane: link.lane,
            dialled: false,
        };
        let (incarnation, shards) = (me.incarnation, me.shards);
        link.say(&PeerMessage::Welcome(Welcome { version, incarnation, shards }));
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

    /// Whoever was dialled takes the link.
    fn welcomed(&mut self, now_ms: i64, id: LinkId, welcome: Welcome) {
        let Some(link) = self.get(id) else { return };
        let Some(target) = link.target else { return };
        let peer = Peer {
            node: target.node,
            incarnation: welcome.incarnation,
            shards: welcome.shards,
            shard: target.shard,
            lane: target.lane,
            dialled: true,
        };
        link.stage = Stage::Up(peer);
        link.deadline_ms = if link.unsent() > 0 { now_ms + STALL_MS } else { i64::MAX };
        let deadline_ms = link.deadline_ms;
        self.look_at(deadline_ms);
        if let Some(wanted) = self.wanted.get_mut(&target) {
            wanted.backoff_ms = RETRY_MS.0;
            (wanted.refused, wanted.told) = (false, None);
        }
        self.events.push_back(LinkEvent::Up(id, peer));
    }

    /// What is to be sent on a link, in order.
    pub fn outgoing(&self, id: LinkId) -> impl Iterator<Item = &[u8]> {
        let link = self.all.get(id.index as usize).filter(|it| it.id == id);
        link.into_iter().flat_map(Link::outgoing)
    }

    /// So many bytes of it have left; 0 where no more leaves now. Whether there is more.
    pub fn sent(&mut self, now_ms: i64, id: LinkId, n: usize) -> bool {
        let Some(link) = self.get(id) else { return false };
        let more = link.sent(n);
        if n > 0 && link.peer().is_some() {
            link.deadline_ms = if more { now_ms + STALL_MS } else { i64::MAX };
        }
        let (deadline_ms, is_over) = (link.deadline_ms, !more && link.stage == Stage::Refusing);
        self.look_at(deadline_ms);
        if is_over {
            self.end(now_ms, id, None);
        }
        more
    }

    /// Ends a link that says what it must not.
    pub fn refuse(&mut self, now_ms: i64, id: LinkId, why: &str) {
        self.end(now_ms, id, Some(why));
    }

    /// Ends all links of this kind, for the process ends.
    pub fn end_lane(&mut self, now_ms: i64, lane: Lane) {
        self.wanted.retain(|target, _| target.lane != lane);
        self.due.retain(|(_, target)| target.lane != lane);
        let ends = |it: &Link| it.lane == lane;
        let all: Vec<LinkId> =
            self.all.iter().filter(|(_, it)| ends(it)).map(|(_, it)| it.id).collect();
        for id in all {
            self.end(now_ms, id, None);
        }
    }

    fn end(&mut self, now_ms: i64, id: LinkId, why: Option<&str>) {
        let Some(link) = self.get(id) else { return };
        let (target, peer, address) = (link.target, link.peer(), link.address.clone());
        self.all.remove(id.index as usize);
        self.events.push_back(LinkEvent::Close(id));
        if let Some(peer) = peer {
            self.events.push_back(LinkEvent::Down(id, peer));
        }
        let wanted = target.and_then(|it| self.wanted.get_mut(&it).map(|wanted| (it, wanted)));
        if let Some((target, wanted)) = wanted {
            wanted.link = None;
            wanted.retry_at_ms = now_ms + wanted.backoff_ms;
            self.due.insert((wanted.retry_at_ms, target));
            wanted.backoff_ms = (2 * wanted.backoff_ms).min(RETRY_MS.1);
            // While it stays so, it is said once.
            if let Some(why) = why
                && target.lane == Lane::Control
                && wanted.told.as_deref() != Some(why)
            {
                wanted.told = Some(why.to_owned());
                let line = format!("no connection to node {} at {address}: {why}", target.node);
                self.events.push_back(LinkEvent::Line(line));
            }
        } else if let Some(why) = why {
            self.tell(now_ms, format!("peer {address}: {why}"));
        }
    }

    /// A line of each kind in ten seconds.
    fn tell(&mut self, now_ms: i64, line: String) {
        self.told.retain(|_, at| now_ms.saturating_sub(*at) < 10_000);
        if self.told.len() < 100 && self.told.insert(line.clone(), now_ms).is_none() {
            self.events.push_back(LinkEvent::Line(line));
        }
    }

    fn dial_due(&mut self, now_ms: i64) {
        while let Some((_, target)) = self.due.first().copied().filter(|(at, _)| *at <= now_ms) {
            self.dial(now_ms, target);
        }
    }

    fn dial(&mut self, now_ms: i64, target: Target) {
        let Some(wanted) = self.wanted.get(&target) else { return };
        self.due.remove(&(wanted.retry_at_ms, target));
        let (host, port) = (wanted.host.clone(), wanted.port);
        let address = format!("{host}:{port}");
        let id = self.insert(target.lane, address, Stage::Dialling, now_ms + HANDSHAKE_MS);
        self.all[id.index as usize].target = Some(target);
        self.wanted.get_mut(&target).expect("it is wanted").link = Some(id);
        self.events.push_back(LinkEvent::Dial { link: id, host, port });
    }

    /// When [`timeout`](Self::timeout) has something to do, ms.
    pub fn next_deadline(&self) -> Option<i64> {
        let retry = self.due.first().map_or(i64::MAX, |it| it.0);
        Some(retry.min(self.look_at_ms)).filter(|it| *it < i64::MAX)
    }

    /// Time has passed.
    pub fn timeout(&mut self, now_ms: i64) {
        if self.look_at_ms <= now_ms {
            self.end_late(now_ms);
        }
        self.dial_due(now_ms);
    }

    /// Ends links that did not get on in time.
    fn end_late(&mut self, now_ms: i64) {
        let over: Vec<(LinkId, Option<Target>)> = self
            .all
            .iter()
            .filter(|(_, it)| it.deadline_ms <= now_ms)
            .map(|(_, it)| (it.id, it.target.filter(|_| it.peer().is_none())))
            .collect();
        for (id, dialled) in over {
            if let Some(target) = dialled {
                let event = LinkEvent::Unreachable { node: target.node, refused: false };
                self.events.push_back(event);
            }
            self.end(now_ms, id, Some("it does not answer in time"));
        }
        let next = self.all.iter().map(|(_, it)| it.deadline_ms).min().unwrap_or(i64::MAX);
        self.look_at_ms = next.max(now_ms + LOOK_MS);
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }
}
