//! A consumer: partitions that it is told, or its share of a group's (classic protocol).
//!
//! Pure: `subscription` and `assignor` (what members agree on), `membership` (one member's life),
//! `fetcher` (positions and records). [`Consumer`] does what they say, over [`Channels`]: membership in
//! `coordination`, committed offsets and resets in `positions`, commits in `commits`.

mod aborted;
mod assignor;
mod commits;
mod coordination;
mod fetcher;
mod membership;
mod positions;
mod settings;
mod subscription;

pub use aborted::Aborted;
pub use assignor::{Assignor, GroupMember, PartitionCounts};
pub use fetcher::{CommitOffset, Fetched};
pub use membership::{GroupSettings, Membership, Release, Step};
pub use settings::{ConsumerSettings, OffsetReset};
pub use subscription::{Partitions, Subscription, decode_assignment};

use super::channels::{Channels, Lane, LaneEvent};
use super::{ClientError, Cluster, Reply, groups};
use crate::types::ErrorCode;
use crate::wire::kafka::fetch_request::FetchRequest;
use crate::wire::kafka::heartbeat_request::HeartbeatRequest;
use crate::wire::kafka::join_group_request::JoinGroupRequest;
use crate::wire::kafka::sync_group_request::SyncGroupRequest;
use fetcher::Fetcher;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Which topics a group's member reads.
pub enum Topics {
    /// These.
    Named(Vec<String>),
    /// Those whose names match.
    Matching(Box<dyn Fn(&str) -> bool>),
}

/// Where to start in a partition that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At this offset.
    Offset(i64),
    /// As `auto.offset.reset` says.
    Reset,
}

/// News of [`Consumer::poll`], besides records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// These partitions are this member's from now on: all that it has.
    Assigned(Partitions),
    /// An error that may pass; the consumer tries again.
    Trouble(ClientError),
    /// A commit failed; its offsets will be part of the next one.
    CommitFailed(ClientError),
    /// A partition has no such offset; it goes on where `auto.offset.reset` says.
    Reset {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where it goes on.
        offset: i64,
    },
}

/// A consumer.
pub struct Consumer {
    cluster: Cluster,
    channels: Channels,
    settings: ConsumerSettings,
    topics: Option<Topics>,
    group: Option<Membership>,
    fetcher: Fetcher,
    events: Vec<LaneEvent>,
    /// Answers that hold records, with their lanes and marks.
    ready: VecDeque<(Lane, u64, Reply)>,
    notices: VecDeque<Notice>,
    next_metadata_ms: i64,
    /// When the cluster was asked last.
    asked_ms: i64,
    next_commit_ms: i64,
    /// The time before which no Fetch is sent, after an error.
    fetch_not_before_ms: i64,
    commit_in_flight: bool,
    out_of_range: Partitions,
}

// Kinds of requests, in the lowest bits of a tag; the rest is the request's own.
const FETCH: u64 = 0;
const JOIN: u64 = 1;
const SYNC: u64 = 2;
const HEARTBEAT: u64 = 3;
const COMMIT: u64 = 4;

const fn tag(kind: u64, value: u64) -> u64 {
    value << 3 | kind
}

/// Time between two requests for metadata while something is missing, ms.
const SOON_MS: i64 = 250;
/// A broker that has not answered for so long may not be what it was, ms: the cluster is asked.
const SILENCE_MS: i64 = 1_000;

impl Consumer {
    /// A consumer without partitions.
    pub fn new(cluster: Cluster, settings: ConsumerSettings) -> Self {
        Self {
            cluster,
            channels: Channels::default(),
            settings,
            topics: None,
            group: None,
            fetcher: Fetcher::default(),
            events: Vec::new(),
            ready: VecDeque::new(),
            notices: VecDeque::new(),
            next_metadata_ms: 0,
            asked_ms: 0,
            next_commit_ms: 0,
            fetch_not_before_ms: 0,
            commit_in_flight: false,
            out_of_range: Partitions::new(),
        }
    }

    /// Becomes a member of the group of the settings.
    pub fn subscribe(&mut self, topics: Topics) {
        let named = match &topics {
            Topics::Named(names) => names.clone(),
            Topics::Matching(_) => Vec::new(),
        };
        self.topics = Some(topics);
        self.group = self.settings.group.clone().map(|group| Membership::new(group, named));
        self.next_metadata_ms = 0;
        self.next_commit_ms = self.cluster.now_ms() + self.settings.auto_commit_interval_ms;
    }

    /// Reads these partitions, without a group's help. Commits go to the group, if there is one.
    pub fn assign(&mut self, partitions: &[(&str, i32, StartAt)]) {
        let mut all = Partitions::new();
        for (topic, partition, _) in partitions {
            all.entry((*topic).to_owned()).or_default().push(*partition);
        }
        self.fetcher.assign(&all);
        for (topic, partition, start) in partitions {
            match start {
                StartAt::Offset(offset) => self.fetcher.seek(topic, *partition, *offset, -1, false),
                StartAt::Reset => self.fetcher.request_reset(topic, *partition),
            }
        }
        self.next_commit_ms = self.cluster.now_ms() + self.settings.auto_commit_interval_ms;
    }

    /// The cluster.
    pub fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// What is assigned.
    pub fn assigned(&self) -> Partitions {
        self.fetcher.assigned()
    }

    /// The next offset of a partition, once it is known.
    pub fn position(&self, topic: &str, partition: i32) -> Option<i64> {
        self.fetcher.position(topic, partition)
    }

    /// News, the oldest first.
    pub fn notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Member id and generation; ("", -1) outside a group.
    pub fn identity(&self) -> (&str, i32) {
        self.group.as_ref().map_or(("", -1), Membership::identity)
    }

    /// Does what is due, and hands out records of one answer. Returns when it has handed out some,
    /// when `sink` stops, when there is a [`Notice`], when `also` becomes readable, after `timeout`
    /// or at a signal.
    ///
    /// # Errors
    /// What trying again will not change.
    pub fn poll(
        &mut self,
        timeout: Duration,
        also: Option<BorrowedFd<'_>>,
        sink: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        let end = self.cluster.now_ms() + timeout.as_millis().min(1 << 40) as i64;
        loop {
            let wait_until = self.drive()?.min(end);
            if let Some((lane, mark, reply)) = self.ready.pop_front() {
                // The next answer comes while this one is handed out.
                self.send_fetches()?;
                self.channels.poll(Duration::ZERO, None, &mut self.events);
                return self.hand_out(lane, mark, reply, sink);
            }
            self.send_fetches()?;
            let now = self.cluster.now_ms();
            let wait = Duration::from_millis((wait_until - now).max(0) as u64);
            let before = self.events.len();
            let also_ready = self.channels.poll(wait, also, &mut self.events);
            let woken = self.events.len() == before && self.cluster.now_ms() < wait_until;
            self.take_events()?;
            let now = self.cluster.now_ms();
            if self.ready.is_empty()
                && (now >= end || also_ready || woken || !self.notices.is_empty())
            {
                return Ok(());
            }
        }
    }

    fn hand_out(
        &mut self,
        lane: Lane,
        mark: u64,
        reply: Reply,
        sink: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        let response = reply.read::<FetchRequest<'_>>()?;
        let flow = self.fetcher.hand_out(mark, &response, &self.settings, sink)?;
        drop(response);
        if flow.is_break() {
            self.ready.push_front((lane, mark, reply));
        } else {
            self.channels.recycle(reply);
        }
        Ok(())
    }

    /// Metadata, the group, positions and commits, as far as they are due; returns when the next of
    /// them will be.
    fn drive(&mut self) -> Result<i64, ClientError> {
        self.take_events()?;
        let now = self.cluster.now_ms();
        if self.silent().next().is_some() {
            self.next_metadata_ms = self.next_metadata_ms.min(self.asked_ms + SILENCE_MS);
        }
        if now >= self.next_metadata_ms {
            self.refresh()?;
        }
        let mut next = self.next_metadata_ms.min(self.drive_group()?);
        if self.channels.silence().next().is_some() {
            next = next.min(now + SILENCE_MS);
        }
        self.find_positions()?;
        let commits = self.settings.group.is_some() && self.settings.auto_commit;
        if commits && self.group.as_ref().is_none_or(Membership::is_stable) {
            if self.cluster.now_ms() >= self.next_commit_ms {
                self.next_commit_ms = self.cluster.now_ms() + self.settings.auto_commit_interval_ms;
                self.send_commit(None)?;
            }
            next = next.min(self.next_commit_ms);
        }
        if self.fetch_not_before_ms > self.cluster.now_ms() {
            next = next.min(self.fetch_not_before_ms);
        }
        Ok(next)
    }

    /// Turns an error that may pass into a notice; returns the others.
    fn passes(&mut self, e: ClientError) -> Result<(), ClientError> {
        if !e.is_retriable() {
            return Err(e);
        }
        // One line, not one for each attempt.
        if !self.notices.iter().any(|n| matches!(n, Notice::Trouble(_))) {
            self.notices.push_back(Notice::Trouble(e));
        }
        Ok(())
    }

    /// Connections to brokers that are silent for longer than a Fetch may wait.
    fn silent(&self) -> impl Iterator<Item = Lane> {
        let usual = SILENCE_MS + i64::from(self.settings.fetch_max_wait_ms.max(0));
        self.channels
            .silence()
            .filter(move |(_, it)| it.as_millis() as i64 >= usual)
            .map(|(lane, _)| lane)
    }

    /// Does not wait for the answers of a silent broker that leads nothing any more, or that the cluster
    /// does not list: a coordinator may be silent for long while the group rebalances.
    fn give_up_the_silent(&mut self) {
        let metadata = self.cluster.metadata();
        let (leaders, _) = self.fetcher.leaders(metadata);
        let over: Vec<Lane> = self
            .silent()
            .filter(|lane| match lane {
                Lane::Data(node) => !leaders.contains(node),
                Lane::Group(node) => !metadata.brokers.contains_key(node),
            })
            .collect();
        for lane in over {
            self.channels.give_up(lane, &mut self.events);
        }
    }

    fn refresh(&mut self) -> Result<(), ClientError> {
        self.next_metadata_ms = self.cluster.now_ms() + self.settings.metadata_max_age_ms;
        let create = self.settings.auto_create_topics;
        let result = match &self.topics {
            Some(Topics::Matching(_)) => self.cluster.refresh_once(None, false),
            Some(Topics::Named(names)) => {
                let mut all: Vec<&str> = names.iter().map(String::as_str).collect();
                let watched =
                    self.group.as_ref().map(Membership::watched_topics).unwrap_or_default();
                all.extend(
                    watched.iter().map(String::as_str).filter(|t| !names.iter().any(|n| n == t)),
                );
                self.cluster.refresh_once(Some(&all), create)
            }
            None => {
                let assigned = self.fetcher.assigned();
                let all: Vec<&str> = assigned.keys().map(String::as_str).collect();
                self.cluster.refresh_once(Some(&all), create)
            }
        };
        self.asked_ms = self.cluster.now_ms();
        if let Err(e) = result {
            self.next_metadata_ms = self.cluster.now_ms() + SOON_MS;
            return self.passes(e);
        }
        self.give_up_the_silent();
        let metadata = self.cluster.metadata();
        let mut missing = false;
        match &self.topics {
            Some(Topics::Matching(matches)) => {
                let hide_internal = self.settings.exclude_internal;
                let found = metadata
                    .topics
                    .iter()
                    .filter(|(name, t)| !(hide_internal && t.internal) && matches(name))
                    .map(|(name, _)| name.clone())
                    .collect();
                if let Some(group) = &mut self.group {
                    group.subscribe(found);
                }
            }
            Some(Topics::Named(names)) => {
                for name in names {
                    match metadata.topic(name) {
                        Ok(_) => {}
                        Err(ClientError::UnknownTopic(_)) => missing = true,
                        Err(e) if e.is_retriable() => missing = true,
                        Err(e) => return Err(e),
                    }
                }
            }
            None => {}
        }
        let (_, leaderless) = self.fetcher.leaders(metadata);
        if missing || leaderless {
            self.next_metadata_ms = self.cluster.now_ms() + SOON_MS;
        }
        if let Some(group) = &mut self.group {
            let metadata = self.cluster.metadata();
            let counts = group.watched_topics().into_iter().filter_map(|name| {
                let count = metadata.topics.get(&name)?.partitions.len() as i32;
                Some((name, count))
            });
            let counts = counts.collect();
            group.partitions_counted(&counts);
        }
        Ok(())
    }

    fn open(&mut self, lane: Lane) -> Result<(), ClientError> {
        if self.channels.has(lane) {
            return Ok(());
        }
        let (Lane::Data(node) | Lane::Group(node)) = lane;
        let transport = self.cluster.open(node)?;
        self.channels.add(lane, transport)
    }

    fn send_fetches(&mut self) -> Result<(), ClientError> {
        let now = self.cluster.now_ms();
        if self.fetcher.is_empty() || now < self.fetch_not_before_ms {
            return Ok(());
        }
        let (leaders, leaderless) = self.fetcher.leaders(self.cluster.metadata());
        if leaderless {
            self.next_metadata_ms = self.next_metadata_ms.min(now + SOON_MS);
        }
        for leader in leaders {
            let lane = Lane::Data(leader);
            if self.channels.in_flight(lane) > 0 || self.ready.iter().any(|(l, ..)| *l == lane) {
                continue;
            }
            if let Err(e) = self.open(lane) {
                self.fetch_not_before_ms = now + SOON_MS;
                self.next_metadata_ms = now;
                self.passes(e)?;
                continue;
            }
            let metadata = self.cluster.metadata();
            let request = self.fetcher.request(leader, metadata, &self.settings);
            if let Some((request, mark)) = request {
                let wait = i64::from(self.settings.fetch_max_wait_ms);
                let patience = (self.settings.request_timeout_ms + wait).max(0) as u64;
                let patience = Duration::from_millis(patience);
                self.channels.send(lane, tag(FETCH, mark), &request, patience)?;
            }
        }
        Ok(())
    }

    fn take_events(&mut self) -> Result<(), ClientError> {
        for event in std::mem::take(&mut self.events) {
            match event {
                LaneEvent::Reply { lane, tag, reply } => self.answered(lane, tag, reply)?,
                LaneEvent::Lost { lane, tags, error } => {
                    let now = self.cluster.now_ms();
                    match lane {
                        Lane::Data(node) => {
                            self.cluster.forget(node);
                            self.fetch_not_before_ms = now + SOON_MS;
                            self.next_metadata_ms = now;
                        }
                        Lane::Group(node) => {
                            if let Some(group) = &mut self.group
                                && group.coordinator() == Some(node)
                            {
                                group.coordinator_lost(now);
                            }
                        }
                    }
                    if tags.iter().any(|t| t & 7 == COMMIT) {
                        self.commit_in_flight = false;
                    }
                    if !tags.is_empty() {
                        self.passes(error)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn answered(&mut self, lane: Lane, tag: u64, reply: Reply) -> Result<(), ClientError> {
        let now = self.cluster.now_ms();
        let value = tag >> 3;
        match (tag & 7, &mut self.group) {
            (FETCH, _) => return self.fetched(lane, value, reply),
            (COMMIT, _) => {
                self.commit_in_flight = false;
                return self.commit_answered(&reply);
            }
            (JOIN, Some(group)) => group.joined(now, &reply.read::<JoinGroupRequest<'_>>()?)?,
            (SYNC, Some(group)) => {
                let assigned = group.synced(now, &reply.read::<SyncGroupRequest<'_>>()?)?;
                if let Some(assigned) = assigned {
                    self.apply(assigned)?;
                }
            }
            (HEARTBEAT, Some(group)) => {
                let response = reply.read::<HeartbeatRequest<'_>>()?;
                let code = ErrorCode(response.error_code);
                group.heartbeat_answered(now, value as u32 as i32, code)?;
            }
            _ => {}
        }
        self.channels.recycle(reply);
        Ok(())
    }

    /// Commits, where that is automatic, and leaves the group, so that the others need not wait for
    /// the session to end. A static member stays.
    pub fn close(mut self) -> Vec<Notice> {
        if self.settings.auto_commit && self.settings.group.is_some() {
            let stays = self.group.as_ref().is_none_or(|g| g.identity().1 >= 0);
            if stays && let Err(e) = self.commit_and_wait(None) {
                self.notices.push_back(Notice::CommitFailed(e));
            }
        }
        if let Some(group) = &self.group {
            let (member, _) = group.identity();
            let dynamic = group.settings().instance_id.is_none();
            if let (Some(node), true) = (group.coordinator(), dynamic && !member.is_empty()) {
                // The lane may be waiting for a JoinGroup: another connection does not.
                let left = groups::leave(
                    &mut self.cluster,
                    node,
                    &group.settings().group_id,
                    member,
                    "the consumer is being closed",
                );
                if let Err(e) = left {
                    self.notices.push_back(Notice::Trouble(e));
                }
            }
        }
        self.notices.into()
    }
}
