//! All links of a shard.

use super::link::{Link, Stage};
use super::{LinkEvent, LinkId, Me, Peer, Target};
use crate::wire::peer::{Lane, PeerMessage, Preamble};
use bytes::Bytes;
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::mem::MaybeUninit;

/// A link must be up after this time, ms.
pub(super) const HANDSHAKE_MS: i64 = 5_000;
/// What is outgoing must get on within this time, ms.
pub(super) const STALL_MS: i64 = 10_000;
/// A link that failed is dialled again after this time, ms; twice as long each time, up to the second.
pub(super) const RETRY_MS: (i64, i64) = (50, 800);
/// Ends that are due are looked for no more often than this, ms: a look goes over all links.
const LOOK_MS: i64 = 100;
/// Bytes of a greeting, at most: a stranger gets no memory for more.
const GREETING_MAX: usize = 16 << 10;
/// Strangers that have not said who they are yet: more are turned away.
const STRANGERS: usize = 64;
/// Bytes of messages to a peer that may wait: beyond it the peer does not read, and hears no more.
const UNSENT_MAX: usize = 256 << 20;

pub(super) struct Wanted {
    host: String,
    port: u16,
    link: Option<LinkId>,
    retry_at_ms: i64,
    pub backoff_ms: i64,
    /// Nobody listened there when it was dialled last.
    pub refused: bool,
    /// What the log was told last of why it is not up.
    pub told: Option<String>,
}

/// See [the module](super).
pub struct Links {
    pub(super) me: Me,
    pub(super) all: Slab<Link>,
    lives: u32,
    pub(super) wanted: BTreeMap<Target, Wanted>,
    /// Targets without a link, by when they are dialled, ms.
    due: BTreeSet<(i64, Target)>,
    /// No link is to end before this time, ms: the least of their deadlines, or earlier.
    look_at_ms: i64,
    pub(super) events: VecDeque<LinkEvent>,
    /// What the log was told of strangers, and when, ms.
    told: HashMap<String, i64>,
    /// Peers that this node has refused, or that have refused it.
    pub(super) refused: u64,
    /// Nonces that were said.
    pub(super) nonces: u64,
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
            refused: 0,
            nonces: 0,
        }
    }

    /// Peers that this node has refused, and that have refused it, since the start.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    pub(super) fn get(&mut self, id: LinkId) -> Option<&mut Link> {
        self.all.get_mut(id.index as usize).filter(|it| it.id == id)
    }

    /// A link ends at this time, ms, where nothing else comes.
    pub(super) fn look_at(&mut self, deadline_ms: i64) {
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
    pub(super) fn is_there(&mut self, now_ms: i64, node: i32) {
        let first = Target::control(node);
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
        let target = Target::control(node);
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
    #[cfg(test)]
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
        let is_stranger = |it: &Link| matches!(it.stage, Stage::Awaiting | Stage::Challenged);
        let strangers = self.all.iter().filter(|(_, it)| is_stranger(it)).count();
        if strangers >= STRANGERS {
            self.tell(now_ms, format!("{peer}: too many peers that have not said who they are"));
            return None;
        }
        let deadline = now_ms + HANDSHAKE_MS;
        Some(self.insert(preamble.lane, peer.to_owned(), Stage::Awaiting, deadline))
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
                (Stage::Awaiting, PeerMessage::Hello(hello)) => self.greeted(now_ms, id, hello),
                (Stage::Challenged, PeerMessage::Proof(it)) => self.proved(now_ms, id, &it),
                (Stage::Greeting, PeerMessage::Challenge(it)) => self.challenged(now_ms, id, it),
                (Stage::Greeting, PeerMessage::Welcome(it)) => self.welcomed(now_ms, id, it),
                (Stage::Greeting, PeerMessage::Refused(why)) => {
                    self.refused += 1;
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

    /// Ends the links with earlier processes of this node, for the one of this incarnation is known now: what they have said,
    /// and what has not come yet, is of a disk that may be lost.
    pub fn end_former(&mut self, now_ms: i64, node: i32, incarnation: u64) {
        let former = |it: Peer| it.node == node && it.incarnation != incarnation;
        let why = "another process of the node has taken its place";
        self.end_all(now_ms, |it| it.peer().is_some_and(former), Some(why));
    }

    /// Ends all links of this kind, for the process ends.
    pub fn end_lane(&mut self, now_ms: i64, lane: Lane) {
        self.wanted.retain(|target, _| target.lane != lane);
        self.due.retain(|(_, target)| target.lane != lane);
        self.end_all(now_ms, |it| it.lane == lane, None);
    }

    fn end_all(&mut self, now_ms: i64, ends: impl Fn(&Link) -> bool, why: Option<&str>) {
        let all: Vec<LinkId> =
            self.all.iter().filter(|(_, it)| ends(it)).map(|(_, it)| it.id).collect();
        for id in all {
            self.end(now_ms, id, why);
        }
    }

    pub(super) fn end(&mut self, now_ms: i64, id: LinkId, why: Option<&str>) {
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
    pub(super) fn tell(&mut self, now_ms: i64, line: String) {
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
