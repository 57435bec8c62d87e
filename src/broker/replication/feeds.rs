//! What a shard feeds to its followers, link by link. Pure.

use crate::broker::links::LinkId;
use crate::storage::engine::Slot;
use crate::storage::format::whole_frame::Frame;
use crate::types::TopicPartition;
use crate::wire::peer::{FrameOf, StreamStop, Watermark};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Bytes that a follower may have granted and not used, at most.
const CREDIT_MAX: i64 = 64 << 20;

/// One follower's stream of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    /// Which partition.
    pub tp: TopicPartition,
    /// Its log.
    pub slot: Slot,
    /// The epoch that it is led in.
    pub epoch: i32,
    /// The number of the follower's incarnation: a later one has a larger one.
    pub ordinal: i64,
    /// The offset that is sent next.
    pub next: i64,
    /// It is at the end of what turns have made, and gets what they make.
    pub is_live: bool,
    /// What the follower was told last: high watermark, log start.
    pub told: (i64, i64),
}

/// One follower's shard.
#[derive(Debug)]
pub struct LinkFeeds {
    /// Bytes that may be sent. A frame may exceed it.
    credit: i64,
    feeds: BTreeMap<u32, Feed>,
    /// The node that it is on.
    node: i32,
    /// The stream of each partition.
    by_partition: HashMap<TopicPartition, u32>,
    /// Streams that are not live.
    behind: BTreeSet<u32>,
    /// Streams that are not live, and are to wait for a limit.
    held: BTreeSet<u32>,
    /// The stream behind which the next look begins.
    last: u32,
    /// Frames of live streams that are to be sent.
    frames: Vec<(FrameOf, Bytes, Bytes)>,
    /// Streams whose follower was told of another watermark.
    marks: BTreeSet<u32>,
    /// A task sends what is behind.
    pub catches_up: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Feeds {
    links: HashMap<LinkId, LinkFeeds>,
    /// By log, who gets its frames; some of the links may have ended.
    by_slot: HashMap<Slot, Vec<(LinkId, u32)>>,
    /// Incarnations, by the order in which they were seen.
    incarnations: Vec<(i32, u64)>,
    /// A task waits to [release](Self::release) those that are held.
    pub holds: bool,
}

impl Feeds {
    /// The number of this incarnation of a node, which is registered now.
    pub fn ordinal(&mut self, node: i32, incarnation: u64) -> i64 {
        let last = self.incarnations.iter().rposition(|(at, _)| *at == node);
        if let Some(at) = last.filter(|at| self.incarnations[*at].1 == incarnation) {
            return at as i64;
        }
        self.incarnations.push((node, incarnation));
        self.incarnations.len() as i64 - 1
    }

    /// The incarnation of this number.
    pub fn incarnation(&self, ordinal: i64) -> Option<u64> {
        let at = usize::try_from(ordinal).ok()?;
        self.incarnations.get(at).map(|it| it.1)
    }

    /// A follower's shard has dialled.
    pub fn up(&mut self, link: LinkId, node: i32) {
        let feeds = LinkFeeds {
            node,
            held: BTreeSet::new(),
            credit: 0,
            feeds: BTreeMap::new(),
            by_partition: HashMap::new(),
            behind: BTreeSet::new(),
            last: 0,
            frames: Vec::new(),
            marks: BTreeSet::new(),
            catches_up: false,
        };
        self.links.insert(link, feeds);
    }

    /// A link has ended. What logs know of its streams goes when somebody else follows them, or when they end.
    pub fn down(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    /// A follower's shard.
    pub fn link(&mut self, link: LinkId) -> Option<&mut LinkFeeds> {
        self.links.get_mut(&link)
    }

    /// A stream begins. One that was there under its name, or for its partition, is over. Where a follower has asked twice,
    /// what it asked first may come last, since subscriptions pause for others: it is not begun.
    pub fn begin(&mut self, link: LinkId, stream: u32, feed: Feed) {
        let Some(it) = self.links.get_mut(&link) else { return };
        let before = it.by_partition.get(&feed.tp).copied();
        if before.is_some_and(|before| is_newer(before, stream)) {
            return;
        }
        for old in before.into_iter().chain([stream]) {
            self.end(link, old);
        }
        let Some(it) = self.links.get_mut(&link) else { return };
        it.feeds.insert(stream, feed);
        it.by_partition.insert(feed.tp, stream);
        it.behind.insert(stream);
        let of_slot = self.by_slot.entry(feed.slot).or_default();
        of_slot.retain(|(link, _)| self.links.contains_key(link));
        of_slot.push((link, stream));
    }

    /// A stream is over.
    pub fn end(&mut self, link: LinkId, stream: u32) {
        let Some(it) = self.links.get_mut(&link) else { return };
        it.behind.remove(&stream);
        it.held.remove(&stream);
        it.marks.remove(&stream);
        it.frames.retain(|(of, ..)| of.stream != stream);
        if let Some(feed) = it.feeds.remove(&stream) {
            it.by_partition.remove(&feed.tp);
            self.take_from_slot(feed.slot, link, stream);
        }
    }

    fn take_from_slot(&mut self, slot: Slot, link: LinkId, stream: u32) {
        if let Some(all) = self.by_slot.get_mut(&slot) {
            all.retain(|it| *it != (link, stream));
            if all.is_empty() {
                self.by_slot.remove(&slot);
            }
        }
    }

    /// A log is not led any more, or not in this epoch: its streams are over. Who is to hear of it.
    pub fn end_log(&mut self, slot: Slot, epoch: i32) -> Vec<(LinkId, StreamStop)> {
        let mut all = self.by_slot.get(&slot).cloned().unwrap_or_default();
        all.retain(|(link, _)| self.links.contains_key(link));
        if all.is_empty() {
            self.by_slot.remove(&slot);
        }
        let mut stops = Vec::new();
        for (link, stream) in all {
            let feed = self.links.get(&link).and_then(|it| it.feeds.get(&stream));
            if feed.is_some_and(|it| it.epoch != epoch) {
                self.end(link, stream);
                let error = crate::types::ErrorCode::NOT_LEADER_OR_FOLLOWER;
                stops.push((link, StreamStop { stream, error }));
            }
        }
        stops
    }

    /// A turn has made a frame: it goes to those that are live, as far as they have granted bytes.
    pub fn made(&mut self, slot: Slot, frame: &Frame, (high_watermark, log_start): (i64, i64)) {
        let Some(all) = self.by_slot.get(&slot) else { return };
        for (link, stream) in all {
            let Some(it) = self.links.get_mut(link) else { continue };
            let Some(feed) = it.feeds.get_mut(stream).filter(|it| it.is_live) else { continue };
            // It was read already, by what catches up.
            if frame.next_offset() <= feed.next {
                continue;
            }
            if it.credit <= 0 || feed.next != frame.base_offset() {
                feed.is_live = false;
                it.behind.insert(*stream);
                continue;
            }
            it.push(*stream, frame, high_watermark, log_start);
        }
    }

    /// The watermark of a log, or its start, has moved: followers are to hear of it.
    pub fn moved(&mut self, slot: Slot) -> bool {
        let Some(all) = self.by_slot.get(&slot) else { return false };
        for (link, stream) in all {
            if let Some(it) = self.links.get_mut(link) {
                it.marks.insert(*stream);
            }
        }
        true
    }

    /// Links on which something is to be sent.
    pub fn waiting(&self) -> Vec<LinkId> {
        let waits = |it: &LinkFeeds| !it.frames.is_empty() || !it.marks.is_empty();
        let mut all: Vec<LinkId> =
            self.links.iter().filter(|(_, it)| waits(it)).map(|(link, _)| *link).collect();
        all.sort_unstable();
        all
    }

    /// What was held may go on.
    pub fn release(&mut self) {
        for it in self.links.values_mut() {
            it.behind.append(&mut it.held);
        }
    }

    /// Links with streams that are behind, for which bytes are granted, and which no task serves yet.
    pub fn lagging(&self) -> Vec<LinkId> {
        let lags = |it: &LinkFeeds| !it.behind.is_empty() && it.credit > 0 && !it.catches_up;
        let mut all: Vec<LinkId> =
            self.links.iter().filter(|(_, it)| lags(it)).map(|(link, _)| *link).collect();
        all.sort_unstable();
        all
    }
}

/// Whether a follower has asked for this stream after that one: it counts them, and begins with 0 again after the largest.
fn is_newer(stream: u32, than: u32) -> bool {
    let ahead = stream.wrapping_sub(than);
    ahead != 0 && ahead < u32::MAX / 2
}

impl LinkFeeds {
    /// The follower grants more bytes.
    pub fn grant(&mut self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.credit = self.credit.saturating_add(bytes).min(CREDIT_MAX);
    }

    /// The node that the follower is on.
    pub fn node(&self) -> i32 {
        self.node
    }

    /// A stream that is behind waits until those that are held are [released](Feeds::release).
    pub fn hold(&mut self, stream: u32) {
        if self.behind.remove(&stream) {
            self.held.insert(stream);
        }
    }

    /// Bytes that may be sent.
    pub fn credit(&self) -> usize {
        usize::try_from(self.credit).unwrap_or(0)
    }

    /// A stream.
    pub fn feed(&self, stream: u32) -> Option<&Feed> {
        self.feeds.get(&stream)
    }

    /// Whether a stream is there, and goes on from here.
    pub fn is_at(&self, stream: u32, next: i64) -> bool {
        self.feeds.get(&stream).is_some_and(|it| it.next == next && !it.is_live)
    }

    /// The next stream that is behind, each in its turn.
    pub fn next_behind(&mut self) -> Option<(u32, Feed)> {
        let after = self.behind.range(self.last.saturating_add(1)..).next();
        let stream = *after.or_else(|| self.behind.first())?;
        self.last = stream;
        Some((stream, self.feeds[&stream]))
    }

    /// A frame that was read, or made, is to be sent.
    pub fn push(&mut self, stream: u32, frame: &Frame, high_watermark: i64, log_start: i64) {
        let Some(feed) = self.feeds.get_mut(&stream) else { return };
        feed.next = frame.next_offset();
        feed.told = (high_watermark, log_start);
        let length = frame.len() as u32;
        self.credit -= i64::from(length);
        self.marks.remove(&stream);
        let of = FrameOf { stream, length, high_watermark, log_start };
        let header = Bytes::copy_from_slice(frame.header_bytes());
        self.frames.push((of, header, frame.payload().clone()));
    }

    /// A stream has got all that turns have made.
    pub fn is_at_end(&mut self, stream: u32) {
        self.behind.remove(&stream);
        if let Some(feed) = self.feeds.get_mut(&stream) {
            feed.is_live = true;
        }
    }

    /// The frames that are to be sent, with their bytes in order.
    pub fn take_frames(&mut self) -> (Vec<FrameOf>, Vec<Bytes>) {
        let mut parts = Vec::with_capacity(2 * self.frames.len());
        let mut of = Vec::with_capacity(self.frames.len());
        for (it, header, payload) in self.frames.drain(..) {
            of.push(it);
            parts.extend([header, payload]);
        }
        (of, parts)
    }

    /// Streams whose follower is to hear of another watermark than it was told, of these logs.
    pub fn take_marks(&mut self, of: impl Fn(Slot) -> Option<(i64, i64)>) -> Vec<Watermark> {
        let mut marks = Vec::new();
        for stream in std::mem::take(&mut self.marks) {
            let Some(feed) = self.feeds.get_mut(&stream) else { continue };
            let Some((high_watermark, log_start)) = of(feed.slot) else { continue };
            if feed.told != (high_watermark, log_start) {
                feed.told = (high_watermark, log_start);
                marks.push(Watermark { stream, high_watermark, log_start });
            }
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TopicId;

    fn feed(next: i64) -> Feed {
        let tp = TopicPartition { topic: TopicId([1; 16]), partition: 0 };
        let slot = Slot::from_index(0);
        Feed { tp, slot, epoch: 1, ordinal: 0, next, is_live: false, told: (0, 0) }
    }

    #[test]
    fn the_subscription_that_was_asked_for_last_stays_whichever_is_begun_last() {
        let (mut feeds, link) = (Feeds::default(), LinkId::default());
        feeds.up(link, 2);
        feeds.begin(link, 8, feed(20));
        feeds.begin(link, 7, feed(10));
        // The follower does not know the one that was asked for first any more.
        feeds.end(link, 7);
        let it = feeds.link(link).expect("it is up");
        assert_eq!((it.feed(7).is_none(), it.feed(8).map(|it| it.next)), (true, Some(20)));
        feeds.begin(link, 9, feed(30));
        let it = feeds.link(link).expect("it is up");
        assert_eq!((it.feed(8).is_none(), it.feed(9).map(|it| it.next)), (true, Some(30)));
        assert!(is_newer(0, u32::MAX) && !is_newer(u32::MAX, 0) && !is_newer(3, 3));
        // A link that has ended has none, and leaves nothing that is in the way.
        feeds.down(link);
        assert!(feeds.end_log(Slot::from_index(0), -1).is_empty());
    }
}
