//! What a shard does to follow leaders on other nodes.

use super::logs::{Cut, CutStep};
use super::streams::{Following, Stage, Streams};
use super::throttle;
use crate::broker::links::{LinkId, Peer, Target};
use crate::broker::logs::Outbox;
use crate::broker::state::{Phase, State};
use crate::broker::work;
use crate::controller::Image;
use crate::storage::format::frame::HEADER;
use crate::storage::format::whole_frame::Frame;
use crate::types::{ErrorCode, TopicPartition, exit};
use crate::wire::peer::{
    DurableEnd, FrameOf, Lane, PeerMessage, Start, StreamStart, StreamStarted, StreamStop,
    Watermark,
};
use bytes::Bytes;
use futures_lite::FutureExt;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Streams that are asked for with one message.
const AT_ONCE: usize = 1_000;
/// A leader that refuses a stream is asked again after this time, ms.
const AGAIN_MS: i64 = 100;
/// A stream that a limit has stopped is begun anew after this time at most, ms: the limit may be another one by then.
const HELD_MAX_MS: i64 = 1_000;
/// A damaged log that may not begin anew yet is looked at again after this time at most, ms.
const MENDED_MS: i64 = 200;
/// What is not durable yet is waited for so long, ms.
const SETTLE_MS: i64 = 2;

impl State {
    /// A partition is led elsewhere, in this epoch.
    pub(in crate::broker) fn follow(&self, tp: TopicPartition, target: Target, epoch: i32) {
        if self.phase.get() < Phase::Closing && self.streams.borrow_mut().follow(tp, target, epoch)
        {
            self.changed_streams.notify();
        }
    }

    /// Follows nothing any more, and feeds nobody: the broker ends.
    pub(in crate::broker) fn end_streams(self: &Rc<Self>) {
        let now = self.monotonic_ms();
        *self.streams.borrow_mut() = Streams::default();
        self.cuts.borrow_mut().clear();
        self.links.borrow_mut().end_lane(now, Lane::Data);
        self.take_link_events();
    }

    /// A partition is not followed any more.
    pub(in crate::broker) fn unfollow(&self, tp: TopicPartition) {
        self.cuts.borrow_mut().remove(&tp);
        let Some(before) = self.streams.borrow_mut().forget(tp) else { return };
        if before.stage == Stage::Runs {
            let mut links = self.links.borrow_mut();
            if let Some(link) = links.link_to(before.target) {
                let stop = StreamStop { stream: before.stream, error: ErrorCode::NONE };
                links.send(self.monotonic_ms(), link, &PeerMessage::Stop(vec![stop]));
            }
        }
        self.changed_streams.notify();
    }

    /// Keeps links to the leaders of what is followed, and asks them for frames, for ever.
    pub(in crate::broker) async fn run_streams(self: Rc<Self>) {
        if self.node.peer.is_none() {
            return;
        }
        loop {
            self.reach_leaders();
            while self.end_lost_streams() || self.ask_leaders() {
                self.pause().await;
            }
            let next = self.streams.borrow().next_ms().unwrap_or(i64::MAX);
            let changed = self.changed_streams.until(|| {
                let streams = self.streams.borrow();
                streams.has_work() || streams.next_ms().is_some_and(|at| at < next)
            });
            changed.or(self.timers.sleep_until(next)).await;
        }
    }

    /// Keeps links up to where something is followed, where that is elsewhere than before.
    fn reach_leaders(&self) {
        if !self.streams.borrow_mut().takes_look() {
            return;
        }
        let now = self.monotonic_ms();
        let targets: Vec<Target> = self.streams.borrow().targets().collect();
        for target in targets {
            if let Some((host, port)) = self.peer_address(target.node) {
                self.links.borrow_mut().reach(now, target, &host, port);
            }
        }
        let streams = self.streams.borrow();
        let mut links = self.links.borrow_mut();
        let over: Vec<Target> =
            links.targets().filter(|it| it.lane == Lane::Data && !streams.needs(*it)).collect();
        for target in over {
            links.leave(now, target);
        }
    }

    /// Ends some of the streams of links that have ended; whether there may be more.
    fn end_lost_streams(&self) -> bool {
        let ended = self.streams.borrow_mut().end_some(AT_ONCE);
        self.work.add(ended as u64);
        ended > 0
    }

    /// Asks for some of what is to be asked for; whether there may be more.
    fn ask_leaders(&self) -> bool {
        let now = self.monotonic_ms();
        let (taken, more) = self.streams.borrow_mut().take_wanted(now, AT_ONCE);
        let mut by_target: BTreeMap<Target, Vec<StreamStart>> = BTreeMap::new();
        let image = self.image();
        let limit = throttle::follower_rate(&image.broker_configs);
        let wait = limit.and_then(|rate| self.node.throttles.follower.wait_ms(rate, now));
        for (tp, following) in taken {
            self.work.add(1);
            if let Some(wait) = wait.filter(|_| Self::is_limited(&image, tp)) {
                self.streams.borrow_mut().want(tp, now + wait.min(HELD_MAX_MS));
                continue;
            }
            let logs = self.logs.borrow();
            let Some((slot, core)) = logs.core(tp) else { continue };
            let damage = logs.engine.damage(slot);
            if damage.is_some() && !self.may_begin_anew(&logs, tp) {
                // What it has is not to be believed: not before others know that it is not in sync.
                self.streams.borrow_mut().want(tp, now + MENDED_MS);
                continue;
            }
            let Some(subscription) = core.subscription() else {
                self.streams.borrow_mut().want(tp, now + SETTLE_MS);
                continue;
            };
            // With nothing, below where any log starts, it is told where that of the leader does.
            let (end, last_epoch) = if damage.is_some() { (-1, -1) } else { subscription };
            by_target.entry(following.target).or_default().push(StreamStart {
                tp,
                stream: following.stream,
                leader_epoch: following.epoch,
                end,
                last_epoch,
            });
        }
        let mut links = self.links.borrow_mut();
        for (target, streams) in by_target {
            if let Some(link) = links.link_to(target) {
                links.send(now, link, &PeerMessage::Subscribe(streams));
            }
        }
        more
    }

    /// A leader's shard was dialled.
    pub(in crate::broker) fn leader_up(&self, link: LinkId, peer: &Peer) {
        let now = self.monotonic_ms();
        self.links.borrow_mut().send(now, link, &PeerMessage::Credit(self.node.window));
        self.streams.borrow_mut().link_up(Self::target_of(peer));
        self.changed_streams.notify();
    }

    /// The link to a leader's shard has ended.
    pub(in crate::broker) fn leader_down(&self, link: LinkId, peer: &Peer) {
        self.streams.borrow_mut().link_ended(Self::target_of(peer), link);
        self.changed_streams.notify();
    }

    fn target_of(peer: &Peer) -> Target {
        Target { node: peer.node, lane: peer.lane, shard: peer.shard }
    }

    /// The partition that a leader's stream is of, where it has come to this stage: what a leader says of
    /// a stream before, of another's, or of one that has ended, is not listened to.
    fn stream_of(
        &self,
        peer: &Peer,
        stream: u32,
        stages: &[Stage],
    ) -> Option<(TopicPartition, Following)> {
        let streams = self.streams.borrow();
        let (tp, following) = streams.of_stream(stream)?;
        let is_it = following.target == Self::target_of(peer) && stages.contains(&following.stage);
        is_it.then_some((tp, *following))
    }

    /// Whether a partition is held to the limit of this follower: while it is not in sync.
    fn is_limited(image: &Image, tp: TopicPartition) -> bool {
        image.topic_by_id(tp.topic).is_some_and(|topic| {
            topic.config.follower_throttled.contains(tp.partition, image.node_id)
                && topic.partition(tp.partition).is_some_and(|it| !it.isr.contains(&image.node_id))
        })
    }

    /// Stops these streams, one at least, for a limit, if it is exceeded by what came.
    fn hold_streams(&self, link: LinkId, rate: i64, held: &BTreeMap<TopicPartition, u32>) {
        let now = self.monotonic_ms();
        let Some(wait) = self.node.throttles.follower.wait_ms(rate, now) else { return };
        let mut stops = Vec::new();
        for (tp, stream) in held {
            self.streams.borrow_mut().pause(*tp, now + wait.min(HELD_MAX_MS));
            stops.push(StreamStop { stream: *stream, error: ErrorCode::NONE });
        }
        self.links.borrow_mut().send(now, link, &PeerMessage::Stop(stops));
        self.changed_streams.notify();
    }

    /// A leader has answered.
    pub(in crate::broker) fn peer_subscribed(
        self: &Rc<Self>,
        peer: &Peer,
        started: &[StreamStarted],
    ) {
        let (now, mut out) = (self.monotonic_ms(), Outbox::default());
        let mut unwanted = Vec::new();
        for it in started {
            self.work.add(1);
            let found = self.stream_of(peer, it.stream, &[Stage::Asked]);
            let Some((tp, following)) = found else {
                // Nobody waits for it any more: its frames would be sent for nothing.
                if matches!(it.start, Start::GoOn { .. }) {
                    unwanted.push(StreamStop { stream: it.stream, error: ErrorCode::NONE });
                }
                continue;
            };
            match it.start {
                Start::GoOn { .. } if self.is_damaged(tp) => {
                    unwanted.push(StreamStop { stream: it.stream, error: ErrorCode::NONE });
                    self.streams.borrow_mut().want(tp, now + MENDED_MS);
                }
                Start::RestartAt(offset) if self.is_damaged(tp) => {
                    // It may have been found after the question.
                    let may = self.may_begin_anew(&self.logs.borrow(), tp);
                    if may {
                        self.cut(tp, Cut::Anew { offset });
                    } else {
                        self.streams.borrow_mut().want(tp, now + MENDED_MS);
                    }
                }
                Start::GoOn { high_watermark } => {
                    self.streams.borrow_mut().set(tp, Stage::Runs);
                    self.change_logs(|logs| {
                        logs.joins(tp, following.epoch, high_watermark, &mut out);
                    });
                }
                Start::TruncateTo { epoch, offset } => {
                    self.cut(tp, Cut::To { epoch, end: offset });
                }
                Start::RestartAt(offset) => self.cut(tp, Cut::Restart { offset }),
                Start::Refused(error) => {
                    tracing::debug!(topic = %tp.topic, partition = tp.partition, %error, "not led there");
                    self.streams.borrow_mut().want(tp, now + AGAIN_MS);
                    self.changed_streams.notify();
                }
            }
        }
        let link = self.links.borrow().link_to(Self::target_of(peer));
        if let Some(link) = link.filter(|_| !unwanted.is_empty()) {
            self.links.borrow_mut().send(now, link, &PeerMessage::Stop(unwanted));
        }
        self.send_out(out);
    }

    /// Frames of a leader.
    pub(in crate::broker) fn peer_frames(
        self: &Rc<Self>,
        link: LinkId,
        peer: &Peer,
        frames: &[FrameOf],
        mut payload: Bytes,
    ) -> Result<(), String> {
        self.streams.borrow_mut().came(link, payload.len() as u64);
        self.work.add(work::bytes(payload.len()));
        let (now, mut out) = (self.now(), Outbox::default());
        let (mut result, mut held) = (Ok(()), BTreeMap::new());
        let image = self.image();
        let limit = throttle::follower_rate(&image.broker_configs);
        for of in frames {
            let mut bytes = payload.split_to(of.length as usize);
            let found = self.stream_of(peer, of.stream, &[Stage::Runs, Stage::Pauses]);
            let Some((tp, following)) = found else { continue };
            if bytes.len() < HEADER {
                result = Err("a frame that is too short".to_owned());
                break;
            }
            let header = bytes.split_to(HEADER);
            let frame = match Frame::read(&header, bytes) {
                Ok(frame) => frame,
                Err(e) => {
                    result = Err(format!("a frame of {}-{}: {e}", tp.topic, tp.partition));
                    break;
                }
            };
            if let Some(rate) = limit.filter(|_| Self::is_limited(&image, tp)) {
                let throttle = &self.node.throttles.follower;
                throttle.take(of.length as usize, rate, now.monotonic_ms);
                if following.stage == Stage::Runs {
                    held.insert(tp, of.stream);
                }
            }
            let marks = (of.high_watermark, of.log_start);
            let taken = self.change_logs(|logs| {
                logs.take_frame(tp, following.epoch, frame, marks, now, &mut out)
            });
            if let Err(why) = taken {
                tracing::warn!(
                    topic = %tp.topic,
                    partition = tp.partition,
                    "a leader's frame is not taken: {why}"
                );
                self.streams.borrow_mut().want(tp, now.monotonic_ms + AGAIN_MS);
                self.changed_streams.notify();
            }
        }
        self.send_out(out);
        if let Some(rate) = limit.filter(|_| !held.is_empty()) {
            self.hold_streams(link, rate, &held);
        }
        self.kick();
        result
    }

    /// Where partitions may be read, at their leaders.
    pub(in crate::broker) fn peer_watermarks(self: &Rc<Self>, peer: &Peer, marks: &[Watermark]) {
        let mut out = Outbox::default();
        for it in marks {
            self.work.add(1);
            let found = self.stream_of(peer, it.stream, &[Stage::Runs]);
            if let Some((tp, following)) = found {
                let marks = (it.high_watermark, it.log_start);
                self.change_logs(|logs| logs.told(tp, following.epoch, marks, &mut out));
            }
        }
        self.send_out(out);
        self.kick();
    }

    /// A leader stops streams.
    pub(in crate::broker) fn peer_stops(&self, peer: &Peer, stops: &[StreamStop]) {
        let now = self.monotonic_ms();
        for it in stops {
            let mut streams = self.streams.borrow_mut();
            let found = streams.of_stream(it.stream).map(|(tp, following)| (tp, *following));
            if let Some((tp, following)) = found
                && following.target == Self::target_of(peer)
                && following.stage != Stage::Cutting
            {
                streams.want(tp, now + AGAIN_MS);
            }
        }
        self.changed_streams.notify();
    }

    /// Partitions that are followed are durable up to there: their leaders hear of it.
    pub(in crate::broker) fn tell_durable(&self, ends: Vec<(TopicPartition, i64)>) {
        let mut by_target: BTreeMap<Target, Vec<DurableEnd>> = BTreeMap::new();
        let streams = self.streams.borrow();
        for (tp, end) in ends {
            if let Some(it) = streams.get(tp).filter(|it| it.stage == Stage::Runs) {
                by_target.entry(it.target).or_default().push(DurableEnd { stream: it.stream, end });
            }
        }
        let now = self.monotonic_ms();
        let mut links = self.links.borrow_mut();
        for (target, ends) in by_target {
            if let Some(link) = links.link_to(target) {
                links.send(now, link, &PeerMessage::Durable(ends));
            }
        }
    }

    /// Grants leaders as many bytes as came, where there is room for more.
    pub(in crate::broker) fn grant(&self) {
        if !self.streams.borrow().owes() || !self.logs.borrow().engine.admits(true) {
            return;
        }
        let now = self.monotonic_ms();
        let owed = self.streams.borrow_mut().take_owed();
        let mut links = self.links.borrow_mut();
        for (link, bytes) in owed {
            links.send(now, link, &PeerMessage::Credit(bytes));
        }
    }

    // ---- Truncation ----

    /// Cuts a log to what its leader has.
    fn cut(self: &Rc<Self>, tp: TopicPartition, cut: Cut) {
        self.streams.borrow_mut().set(tp, Stage::Cutting);
        self.cuts.borrow_mut().insert(tp, cut);
        self.go_on_cutting(tp);
    }

    /// Goes on with it, as far as it goes now.
    pub(in crate::broker) fn go_on_cutting(self: &Rc<Self>, tp: TopicPartition) {
        let Some(cut) = self.cuts.borrow().get(&tp).copied() else { return };
        let step = self.change_logs(|logs| logs.cut(tp, cut));
        match step {
            // The engine tells when it may be.
            CutStep::Waits => {}
            CutStep::Reads(ticket) => {
                let state = self.clone();
                self.start(async move {
                    if state.fill(ticket).await.is_err() {
                        if state.is_damaged(tp) {
                            return state.cut_ended(tp);
                        }
                        state.sleep(AGAIN_MS).await;
                    }
                    state.go_on_cutting(tp);
                });
            }
            CutStep::Begun { from, to } => {
                self.cuts.borrow_mut().remove(&tp);
                let mut figures = self.replication.borrow_mut();
                figures.truncations += 1;
                figures.truncated_offsets += u64::try_from(from - to).unwrap_or(0);
                let why = match cut {
                    Cut::To { .. } => "the log is cut to what its leader has",
                    Cut::Restart { .. } => "the log begins anew where its leader's starts",
                    Cut::Anew { .. } => "the damaged log begins anew where its leader's starts",
                };
                tracing::info!(topic = %tp.topic, partition = tp.partition, from, to, "{why}");
            }
            CutStep::Nothing | CutStep::Damaged => self.cut_ended(tp),
            CutStep::Refused(why) => {
                let (topic, partition) = (tp.topic, tp.partition);
                self.fatal(exit::DAMAGED, format!("{topic}-{partition}: {why}"));
            }
        }
        self.kick();
    }

    /// A log was cut, durably: its leader is asked again.
    pub(in crate::broker) fn cut_ended(&self, tp: TopicPartition) {
        self.cuts.borrow_mut().remove(&tp);
        self.streams.borrow_mut().want(tp, self.monotonic_ms());
        self.changed_streams.notify();
    }
}
