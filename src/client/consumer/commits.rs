//! Committing offsets.

use super::super::channels::{Lane, LaneEvent};
use super::super::{ClientError, Reply, groups};
use super::{COMMIT, Consumer, Membership, Notice, Partitions, tag};
use crate::types::ErrorCode;
use crate::wire::kafka::offset_commit_request::OffsetCommitRequest;
use std::time::Duration;

impl Consumer {
    /// Sends a commit of what has moved; returns whether there was anything to send.
    pub(super) fn send_commit(&mut self, only: Option<&Partitions>) -> Result<bool, ClientError> {
        if self.commit_in_flight {
            return Ok(false);
        }
        let Some(settings) = self.settings.group.clone() else { return Ok(false) };
        let offsets = self.fetcher.uncommitted(only);
        if offsets.is_empty() {
            return Ok(false);
        }
        let offsets: groups::Commits =
            offsets.into_iter().map(|(t, all)| (t.to_owned(), all)).collect();
        let node = match self.group.as_ref() {
            Some(group) => group.coordinator(),
            None => groups::find_coordinator_once(&mut self.cluster, &settings.group_id).ok(),
        };
        let Some(node) = node else { return Ok(false) };
        let lane = Lane::Group(node);
        let result = self.open(lane).and_then(|()| {
            let version = self.channels.version::<OffsetCommitRequest<'_>>(lane)?;
            let (member, generation) = self.group.as_ref().map_or(("", -1), Membership::identity);
            let request = groups::commit_request(
                &settings.group_id,
                member,
                generation,
                settings.instance_id.as_deref().filter(|_| version >= 7),
                &offsets,
            );
            let patience = Duration::from_millis(self.settings.request_timeout_ms.max(0) as u64);
            self.channels.send(lane, tag(COMMIT, 0), &request, patience)
        });
        match result {
            Ok(()) => {
                self.commit_in_flight = true;
                for (topic, all) in &offsets {
                    for (number, commit) in all {
                        // Taken back if the answer says otherwise.
                        self.fetcher.committed(topic, *number, commit.offset);
                    }
                }
                Ok(true)
            }
            Err(e) => {
                self.notices.push_back(Notice::CommitFailed(e));
                Ok(false)
            }
        }
    }

    pub(super) fn commit_answered(&mut self, reply: &Reply) -> Result<(), ClientError> {
        let response = reply.read::<OffsetCommitRequest<'_>>()?;
        let now = self.cluster.now_ms();
        let mut first = None;
        for topic in &response.topics {
            for p in topic.partitions.iter().filter(|p| p.error_code != 0) {
                self.fetcher.committed(topic.name, p.partition_index, -1);
                let code = ErrorCode(p.error_code);
                first = first.or(Some((code, topic.name, p.partition_index)));
            }
        }
        if let Some((code, topic, partition)) = first {
            let what = format!("committing the offset of partition {partition} of topic '{topic}'");
            let e = ClientError::Refused { what, code, message: None };
            self.notices.push_back(Notice::CommitFailed(e));
            if let Some(group) = &mut self.group {
                group.commit_refused(now, code)?;
            }
        }
        Ok(())
    }

    /// Commits what has been handed out, and waits for the answer, at most a request's time. Failure
    /// is a notice: whoever reads the partition next reads some records again.
    pub fn commit(&mut self) -> Result<(), ClientError> {
        self.commit_and_wait(None)
    }

    pub(super) fn commit_and_wait(&mut self, only: Option<&Partitions>) -> Result<(), ClientError> {
        let end = self.cluster.now_ms() + self.settings.request_timeout_ms;
        self.wait_for_commit(end)?;
        // Its answer may have failed for what is to be committed now.
        if self.send_commit(only)? {
            self.wait_for_commit(end)?;
        }
        Ok(())
    }

    pub(super) fn wait_for_commit(&mut self, end: i64) -> Result<(), ClientError> {
        while self.commit_in_flight {
            let left = end - self.cluster.now_ms();
            if left <= 0 {
                return Ok(());
            }
            let mut events = Vec::new();
            self.channels.poll(Duration::from_millis(left as u64), None, &mut events);
            for event in events {
                match event {
                    LaneEvent::Reply { tag, reply, .. } if tag & 7 == COMMIT => {
                        self.commit_in_flight = false;
                        self.commit_answered(&reply)?;
                    }
                    LaneEvent::Lost { lane, tags, error } => {
                        if tags.iter().any(|t| t & 7 == COMMIT) {
                            self.commit_in_flight = false;
                            self.notices.push_back(Notice::CommitFailed(error.clone()));
                        }
                        self.events.push(LaneEvent::Lost { lane, tags, error });
                    }
                    other @ LaneEvent::Reply { .. } => self.events.push(other),
                }
            }
        }
        Ok(())
    }
}
