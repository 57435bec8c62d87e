//! What a shard does for the followers of what it leads.

use super::feeds::Feed;
use super::throttle;
use crate::broker::links::{LinkId, Peer};
use crate::broker::logs::Outbox;
use crate::broker::state::{Phase, State};
use crate::broker::work;
use crate::replica::{Common, FollowerEnd, Partition};
use crate::storage::read::{ReadError, ReadFrames};
use crate::types::ErrorCode;
use crate::wire::peer::{DurableEnd, PeerMessage, Start, StreamStart, StreamStarted, StreamStop};
use bytes::Bytes;
use futures_lite::FutureExt;
use std::rc::Rc;

/// Streams that begin with one answer, and in one go.
const AT_ONCE: usize = 64;
/// A subscription waits for so long, ms, for this shard to hear that it leads: followers often hear it first.
const HOLD_MS: i64 = 200;
/// Bytes of frames that are read for one follower before others have a turn.
const READ_BYTES: usize = 1 << 20;
/// What a limit holds is looked at again after this time at least, and at most: the limit may be another one by then, ms.
const HELD_MIN_MS: i64 = 20;
const HELD_MAX_MS: i64 = 1_000;
/// Bytes of frames in one message, unless the first is longer.
const MESSAGE_BYTES: usize = 512 << 10;

impl State {
    /// A follower's shard has dialled.
    pub(in crate::broker) fn feeds_up(&self, link: LinkId, peer: &Peer) {
        self.feeds.borrow_mut().up(link, peer.node);
    }

    /// A follower wants these.
    pub(in crate::broker) fn peer_subscribes(
        self: &Rc<Self>,
        link: LinkId,
        peer: &Peer,
        streams: Vec<StreamStart>,
    ) {
        let (state, peer) = (self.clone(), *peer);
        let until = self.monotonic_ms() + HOLD_MS;
        self.start(async move {
            let mut streams = streams;
            while !streams.is_empty() {
                let seen = state.image_now().index;
                streams = state.begin_streams(link, &peer, &streams, until).await;
                if !streams.is_empty() {
                    let newer = state.changed_image.until(|| state.image_now().index != seen);
                    newer.or(state.timers.sleep_until(until)).await;
                }
            }
        });
    }

    /// Begins those that can begin, and refuses those that cannot; the others, of which this shard may hear in a
    /// moment that it leads them. None after `until`, ms.
    async fn begin_streams(
        self: &Rc<Self>,
        link: LinkId,
        peer: &Peer,
        streams: &[StreamStart],
        until: i64,
    ) -> Vec<StreamStart> {
        let mut held = Vec::new();
        for part in streams.chunks(AT_ONCE) {
            let mut started = Vec::with_capacity(part.len());
            for it in part {
                if self.links.borrow().peer(link).is_none() {
                    return Vec::new();
                }
                if self.monotonic_ms() < until && self.may_lead_soon(peer, it) {
                    held.push(*it);
                } else {
                    let start = self.begin_stream(link, peer, it);
                    started.push(StreamStarted { stream: it.stream, start });
                }
                self.work.add(1);
            }
            // No pause before it is told: a follower takes no frames of a stream that it does not know to have begun.
            if !started.is_empty() {
                let message = PeerMessage::Subscribed(started);
                self.links.borrow_mut().send(self.monotonic_ms(), link, &message);
                self.catch_up();
                self.kick();
            }
            self.pause().await;
        }
        held
    }

    /// Whether a follower has newer metadata than this shard: of the partition, of its leader, or of the follower itself.
    fn may_lead_soon(&self, peer: &Peer, it: &StreamStart) -> bool {
        if self.phase.get() >= Phase::Closing {
            return false;
        }
        let registered = self.image_now().broker(peer.node).map(|it| it.incarnation);
        let logs = self.logs.borrow();
        let Some((_, core)) = logs.core(it.tp) else { return true };
        core.leader_epoch() < it.leader_epoch || registered != Some(peer.incarnation)
    }

    fn begin_stream(self: &Rc<Self>, link: LinkId, peer: &Peer, it: &StreamStart) -> Start {
        let registered = self.image_now().broker(peer.node).map(|it| it.incarnation);
        if self.phase.get() >= Phase::Closing {
            return Start::Refused(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        if registered != Some(peer.incarnation) {
            // This node may not have heard of it yet: it asks again.
            return Start::Refused(ErrorCode::STALE_BROKER_EPOCH);
        }
        let ordinal = self.feeds.borrow_mut().ordinal(peer.node, peer.incarnation);
        let (now, mut out) = (self.monotonic_ms(), Outbox::default());
        let start = self.change_logs(|logs| {
            let Some((slot, core)) = logs.core(it.tp) else {
                return Start::Refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            };
            if let Err(error) = core.check_fetch_epoch(it.leader_epoch) {
                return Start::Refused(error);
            }
            if !core.leads() {
                return Start::Refused(ErrorCode::NOT_LEADER_OR_FOLLOWER);
            }
            if !core.is_followed_by(peer.node) {
                // The metadata that make it a replica have not come here yet: it asks again.
                return Start::Refused(ErrorCode::NOT_LEADER_OR_FOLLOWER);
            }
            match core.find_common(it.last_epoch, it.end) {
                Common::TruncateTo { epoch, end } => Start::TruncateTo { epoch, offset: end },
                Common::BehindLogStart(start) => Start::RestartAt(start),
                Common::GoOn => {
                    let told = FollowerEnd {
                        node: peer.node,
                        incarnation: ordinal,
                        leader_epoch: it.leader_epoch,
                        end: it.end,
                    };
                    logs.follower_subscribed(slot, &told, now, &mut out);
                    let (_, core) = logs.core(it.tp).expect("just seen");
                    let (high_watermark, log_start) = (core.high_watermark(), core.log_start());
                    let feed = Feed {
                        tp: it.tp,
                        slot,
                        epoch: it.leader_epoch,
                        next: it.end,
                        ordinal,
                        is_live: false,
                        told: (high_watermark, log_start),
                    };
                    self.feeds.borrow_mut().begin(link, it.stream, feed);
                    Start::GoOn { high_watermark }
                }
            }
        });
        self.send_out(out);
        self.look_at_isr(it.tp);
        start
    }

    /// A follower says how far it is durable.
    pub(in crate::broker) fn peer_durable(
        self: &Rc<Self>,
        link: LinkId,
        peer: &Peer,
        ends: &[DurableEnd],
    ) {
        self.work.add(ends.len() as u64);
        let (now, mut out) = (self.monotonic_ms(), Outbox::default());
        let mut joins = Vec::new();
        self.change_logs(|logs| {
            let mut feeds = self.feeds.borrow_mut();
            let Some(feeds) = feeds.link(link) else { return };
            for it in ends {
                let Some(feed) = feeds.feed(it.stream) else { continue };
                let told = FollowerEnd {
                    node: peer.node,
                    incarnation: feed.ordinal,
                    leader_epoch: feed.epoch,
                    end: it.end,
                };
                if logs.follower_durable(feed.slot, &told, now, &mut out) {
                    joins.push(feed.tp);
                }
            }
        });
        self.send_out(out);
        for tp in joins {
            self.look_at_isr(tp);
        }
        self.kick();
    }

    /// A follower grants bytes.
    pub(in crate::broker) fn peer_grants(self: &Rc<Self>, link: LinkId, bytes: u64) {
        if let Some(feeds) = self.feeds.borrow_mut().link(link) {
            feeds.grant(bytes);
        }
        self.catch_up();
    }

    /// A follower does not follow these any more.
    pub(in crate::broker) fn peer_unsubscribes(&self, link: LinkId, streams: &[StreamStop]) {
        let mut feeds = self.feeds.borrow_mut();
        for it in streams {
            feeds.end(link, it.stream);
        }
    }

    /// Hands the frames that the last turn has made to those who follow.
    pub(in crate::broker) fn feed_frames(&self) {
        let frames = self.change_logs(|logs| {
            let frames = logs.engine.take_frames();
            let with_ends = |(slot, frame)| {
                let ends = logs.ends(slot)?;
                Some((slot, frame, ends))
            };
            frames.into_iter().filter_map(with_ends).collect::<Vec<_>>()
        });
        let mut feeds = self.feeds.borrow_mut();
        for (slot, frame, ends) in frames {
            feeds.made(slot, &frame, ends);
            self.work.add(1);
        }
    }

    /// Sends what followers are to hear.
    pub(in crate::broker) fn flush_feeds(&self) {
        let waiting = self.feeds.borrow().waiting();
        for link in waiting {
            let now = self.monotonic_ms();
            let (frames, marks) = {
                let mut feeds = self.feeds.borrow_mut();
                let Some(it) = feeds.link(link) else { continue };
                let frames = it.take_frames();
                (frames, it.take_marks(|slot| self.logs.borrow().ends(slot)))
            };
            let (mut of, mut parts) = frames;
            let mut links = self.links.borrow_mut();
            while !of.is_empty() {
                let (mut count, mut bytes) = (0, 0);
                while count < of.len() && (count == 0 || bytes < MESSAGE_BYTES) {
                    bytes += of[count].length as usize;
                    count += 1;
                }
                let (rest_of, rest) = (of.split_off(count), parts.split_off(2 * count));
                links.send_parts(now, link, &PeerMessage::Frames(of, Bytes::new()), parts);
                (of, parts) = (rest_of, rest);
            }
            if !marks.is_empty() {
                links.send(now, link, &PeerMessage::Watermarks(marks));
            }
        }
    }

    /// Begins to read for those that are behind.
    pub(in crate::broker) fn catch_up(self: &Rc<Self>) {
        let lagging = self.feeds.borrow().lagging();
        for link in lagging {
            if let Some(it) = self.feeds.borrow_mut().link(link) {
                it.catches_up = true;
            }
            self.start(self.clone().catch_up_link(link));
        }
    }

    async fn catch_up_link(self: Rc<Self>, link: LinkId) {
        loop {
            let next = self.feeds.borrow_mut().link(link).and_then(|it| {
                let (credit, node) = (it.credit(), it.node());
                if credit > 0 { it.next_behind().map(|next| (next, credit, node)) } else { None }
            });
            let Some(((stream, feed), credit, node)) = next else { break };
            let rate = self.leader_limit(&feed, node);
            if let Some(rate) = rate
                && let Some(wait) = self.node.throttles.leader.wait_ms(rate, self.monotonic_ms())
            {
                self.hold_feed(link, stream, wait);
                self.pause().await;
                continue;
            }
            let most = credit.min(READ_BYTES);
            let most = rate.and_then(|it| usize::try_from(it).ok()).map_or(most, |it| most.min(it));
            let read = self.read_logs(|logs| {
                let read = logs.engine.read_frames(feed.slot, feed.next, i64::MAX, most);
                (read, logs.ends(feed.slot))
            });
            let stops = match read {
                (_, None) => Some(ErrorCode::NOT_LEADER_OR_FOLLOWER),
                (Ok(ReadFrames::Ready { frames, .. }), Some(ends)) => {
                    let mut feeds = self.feeds.borrow_mut();
                    let it = feeds.link(link);
                    if let Some(it) = it.filter(|it| it.is_at(stream, feed.next)) {
                        if frames.is_empty() {
                            it.is_at_end(stream);
                        }
                        let mut sent = 0;
                        for frame in &frames {
                            self.work.add(work::bytes(frame.len()));
                            it.push(stream, frame, ends.0, ends.1);
                            sent += frame.len();
                        }
                        if let Some(rate) = rate {
                            self.node.throttles.leader.take(sent, rate, self.monotonic_ms());
                        }
                    }
                    None
                }
                (Ok(ReadFrames::Wait(ticket)), _) => self.fill(ticket).await.err(),
                (Err(ReadError::OutOfRange), _) => Some(ErrorCode::OFFSET_OUT_OF_RANGE),
                (Err(ReadError::Storage(why)), _) => {
                    tracing::error!(
                        topic = %feed.tp.topic,
                        partition = feed.tp.partition,
                        "cannot read for a follower: {why}"
                    );
                    Some(ErrorCode::KAFKA_STORAGE_ERROR)
                }
            };
            if let Some(error) = stops {
                self.feeds.borrow_mut().end(link, stream);
                let message = PeerMessage::Stop(vec![StreamStop { stream, error }]);
                self.links.borrow_mut().send(self.monotonic_ms(), link, &message);
            }
            self.flush_feeds();
            self.pause().await;
        }
        if let Some(it) = self.feeds.borrow_mut().link(link) {
            it.catches_up = false;
        }
    }

    /// The rate that a stream which is behind is held to, bytes a second: while its follower is not in sync.
    fn leader_limit(&self, feed: &Feed, follower: i32) -> Option<i64> {
        let image = self.image();
        let rate = throttle::leader_rate(&image.broker_configs)?;
        let topic = image.topic_by_id(feed.tp.topic)?;
        let is_held = topic.config.leader_throttled.contains(feed.tp.partition, image.node_id);
        let in_sync = |core: &Partition| core.isr().contains(&follower);
        let logs = self.logs.borrow();
        (is_held && !logs.core(feed.tp).is_some_and(|it| in_sync(it.1))).then_some(rate)
    }

    /// A stream goes on later: those that are held look again all together.
    fn hold_feed(self: &Rc<Self>, link: LinkId, stream: u32, wait_ms: i64) {
        let holds = {
            let mut feeds = self.feeds.borrow_mut();
            if let Some(it) = feeds.link(link) {
                it.hold(stream);
            }
            std::mem::replace(&mut feeds.holds, true)
        };
        if !holds {
            let state = self.clone();
            self.start(async move {
                state.sleep(wait_ms.clamp(HELD_MIN_MS, HELD_MAX_MS)).await;
                {
                    let mut feeds = state.feeds.borrow_mut();
                    feeds.holds = false;
                    feeds.release();
                }
                state.catch_up();
            });
        }
    }

    /// Streams of a log are over that is not led any more, or in a later epoch.
    pub(in crate::broker) fn end_feeds(&self, slot: crate::storage::engine::Slot, epoch: i32) {
        let stops = self.feeds.borrow_mut().end_log(slot, epoch);
        let now = self.monotonic_ms();
        for (link, stop) in stops {
            self.links.borrow_mut().send(now, link, &PeerMessage::Stop(vec![stop]));
        }
    }
}
