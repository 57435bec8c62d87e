//! Carrying out what the membership of a group asks for.

use super::super::channels::{Channels, Lane};
use super::super::{ApiRequest, ClientError, groups};
use super::{
    Consumer, GroupSettings, HEARTBEAT, JOIN, Membership, Notice, Partitions, Release, SOON_MS,
    SYNC, Step, membership, tag,
};
use crate::types::ErrorCode;
use crate::wire::kafka::heartbeat_request::HeartbeatRequest;
use crate::wire::kafka::join_group_request::JoinGroupRequest;
use crate::wire::kafka::sync_group_request::SyncGroupRequest;
use std::time::Duration;

impl Consumer {
    /// Does every step of the membership that needs no answer; returns when the next is due.
    pub(super) fn drive_group(&mut self) -> Result<i64, ClientError> {
        loop {
            let now = self.cluster.now_ms();
            let Some(group) = &mut self.group else { return Ok(i64::MAX) };
            match group.step(now) {
                Step::Wait(until) => return Ok(until),
                Step::FindCoordinator => {
                    let group_id = group.settings().group_id.clone();
                    match groups::find_coordinator_once(&mut self.cluster, &group_id) {
                        Ok(node) => {
                            if let Some(group) = &mut self.group {
                                group.coordinator_found(node);
                            }
                        }
                        Err(e) => {
                            let now = self.cluster.now_ms();
                            if let Some(group) = &mut self.group {
                                group.coordinator_not_found(now);
                            }
                            // A new cluster makes its offsets topic first.
                            if e.code() != Some(ErrorCode::COORDINATOR_NOT_AVAILABLE) {
                                self.passes(e)?;
                            }
                        }
                    }
                }
                Step::Prepare(release) => self.prepare(release)?,
                Step::CountPartitions(topics) => {
                    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
                    if let Err(e) = self.cluster.refresh_once(Some(&names), false) {
                        self.passes(e)?;
                        return Ok(self.cluster.now_ms() + SOON_MS);
                    }
                    let known = &self.cluster.metadata().topics;
                    let counts = topics.iter().filter_map(|name| {
                        Some((name.clone(), known.get(name)?.partitions.len() as i32))
                    });
                    let counts = counts.collect();
                    if let Some(group) = &mut self.group {
                        group.assign(counts)?;
                    }
                }
                Step::Join => self.send_group::<JoinGroupRequest<'_>>(tag(JOIN, 0))?,
                Step::Sync => self.send_group::<SyncGroupRequest<'_>>(tag(SYNC, 0))?,
                Step::Heartbeat => {
                    let generation = group.identity().1 as u32;
                    self.send_group::<HeartbeatRequest<'_>>(tag(HEARTBEAT, generation.into()))?;
                }
            }
        }
    }

    /// Sends what a step says to the coordinator; a connection that fails is the membership's to
    /// know.
    fn send_group<R: GroupRequest>(&mut self, tag: u64) -> Result<(), ClientError> {
        let Some(node) = self.group.as_ref().and_then(Membership::coordinator) else {
            return Ok(());
        };
        let lane = Lane::Group(node);
        let result = self.open(lane).and_then(|()| {
            let Some(group) = &mut self.group else { return Ok(()) };
            let version = self.channels.version::<R>(lane)?;
            let patience = R::patience_ms(group.settings(), self.settings.request_timeout_ms);
            let patience = Duration::from_millis(patience.max(0) as u64);
            R::send(group, version, &mut self.channels, lane, tag, patience)
        });
        if let Err(e) = result {
            let now = self.cluster.now_ms();
            if let Some(group) = &mut self.group {
                group.coordinator_lost(now);
            }
            self.channels.close(lane);
            self.passes(e)?;
        }
        Ok(())
    }

    pub(super) fn prepare(&mut self, release: Release) -> Result<(), ClientError> {
        if release != Release::Lost && self.settings.auto_commit {
            self.commit_and_wait(None)?;
        }
        let kept = if release == Release::Nothing {
            self.fetcher.assigned()
        } else {
            self.fetcher.assign(&Partitions::new());
            Partitions::new()
        };
        if let Some(group) = &mut self.group {
            group.prepared(kept);
        }
        Ok(())
    }

    /// What the leader of the group gave to this member.
    pub(super) fn apply(&mut self, assigned: Partitions) -> Result<(), ClientError> {
        if self.settings.auto_commit {
            let mut leaving = self.fetcher.assigned();
            for (topic, numbers) in &mut leaving {
                let kept = assigned.get(topic);
                numbers.retain(|n| kept.is_none_or(|kept| !kept.contains(n)));
            }
            leaving.retain(|_, numbers| !numbers.is_empty());
            if !leaving.is_empty() {
                self.commit_and_wait(Some(&leaving))?;
            }
        }
        self.fetcher.assign(&assigned);
        // A pattern's or another member's topics may be new to this one.
        let metadata = self.cluster.metadata();
        if assigned.keys().any(|topic| !metadata.topics.contains_key(topic)) {
            self.next_metadata_ms = 0;
        }
        self.notices.push_back(Notice::Assigned(assigned));
        Ok(())
    }
}

/// The three requests of a membership.
trait GroupRequest: ApiRequest {
    /// How long its answer may take, in milliseconds.
    fn patience_ms(settings: &GroupSettings, request_timeout_ms: i64) -> i64;
    /// Sends it.
    fn send(
        group: &mut Membership,
        version: i16,
        channels: &mut Channels,
        lane: Lane,
        tag: u64,
        patience: Duration,
    ) -> Result<(), ClientError>;
}

macro_rules! group_request {
    ($request:ty, $method:ident, $patience:expr) => {
        impl GroupRequest for $request {
            fn patience_ms(settings: &GroupSettings, request_timeout_ms: i64) -> i64 {
                let patience: fn(&GroupSettings, i64) -> i64 = $patience;
                patience(settings, request_timeout_ms)
            }
            fn send(
                group: &mut Membership,
                version: i16,
                channels: &mut Channels,
                lane: Lane,
                tag: u64,
                patience: Duration,
            ) -> Result<(), ClientError> {
                group.$method(version, |r| channels.send(lane, tag, r, patience))
            }
        }
    };
}

// The coordinator answers JoinGroup and SyncGroup when all members are there.
group_request!(JoinGroupRequest<'_>, join_request, |g, request| {
    (i64::from(g.rebalance_timeout_ms) + membership::JOIN_GRACE_MS).max(request)
});
group_request!(SyncGroupRequest<'_>, sync_request, |g, request| {
    (i64::from(g.rebalance_timeout_ms) + membership::JOIN_GRACE_MS).max(request)
});
group_request!(HeartbeatRequest<'_>, heartbeat_request, |g, request| {
    request.min(i64::from(g.session_timeout_ms))
});
