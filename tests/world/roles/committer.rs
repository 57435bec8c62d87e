//! Clients that keep offsets in a group without members: several of them share one.

use super::group::{
    Committing, commit, committed, committed_fetched, coordinator_found, fetch_committed,
    find_coordinator, is_elsewhere, some_logs,
};
use crate::checkers::Facts;
use crate::client::{Asked, Cx, Link, Role};
use klamm::client::Reply;
use klamm::types::ErrorCode;

pub struct Committer {
    number: usize,
    group: String,
    found: bool,
    next_ms: i64,
    /// Everything was looked at since the last commit.
    audited: bool,
}

impl Committer {
    pub fn new(number: usize, group: &str) -> Self {
        Self { number, group: group.to_owned(), found: false, next_ms: 0, audited: false }
    }
}

impl Role for Committer {
    fn act(&mut self, cx: &mut Cx<'_>, link: &mut Link) {
        if cx.now.monotonic_ms < self.next_ms || link.sent.len() > 3 {
            return;
        }
        self.next_ms = cx.now.monotonic_ms + cx.rng.between(1, 100) as i64;
        if let Some(until) = cx.silence() {
            self.next_ms = until;
            return;
        }
        if !self.found {
            if link.sent.is_empty() {
                find_coordinator(cx, link, &self.group);
            }
            return;
        }
        if cx.calm {
            let all = cx.facts.topics.logs();
            let all = all.into_iter().map(|key| (key, cx.facts.topics.stamp(key.topic))).collect();
            fetch_committed(cx, link, &self.group, all);
            return;
        }
        self.audited = false;
        for _ in 0..cx.rng.between(1, 3) {
            if cx.rng.chance(60) {
                commit(cx, link, &self.group, Committing::NOBODY);
            } else {
                let keys = some_logs(cx);
                fetch_committed(cx, link, &self.group, keys);
            }
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, _: &mut Link, asked: Asked, reply: Option<&Reply>) {
        let reply = reply.expect("an answer");
        match asked {
            Asked::FindCoordinator => self.found = coordinator_found(reply),
            Asked::Commit { commits, .. } => {
                for error in committed(cx, &self.group, &commits, reply) {
                    let passes = is_elsewhere(error) || error == ErrorCode::KAFKA_STORAGE_ERROR;
                    assert!(passes, "{}: commit: {error}", self.group);
                }
            }
            Asked::FetchCommitted { keys, moment } => {
                let told = committed_fetched(cx, &self.group, &keys, moment, reply);
                self.audited = told && cx.calm;
            }
            _ => unreachable!("it asks nothing else"),
        }
    }

    fn lost(&mut self, _: &mut Cx<'_>, _: Asked) {}

    fn disconnected(&mut self, _: &mut Cx<'_>) {
        (self.found, self.audited) = (false, false);
    }

    fn is_done(&self, _: &Facts) -> bool {
        self.audited
    }

    fn wake_ms(&self) -> i64 {
        self.next_ms
    }

    fn name(&self) -> String {
        format!("committer-{}", self.number)
    }
}
