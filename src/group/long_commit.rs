//! What becomes of a commit: the records of its offsets, and its answer. Of very many offsets, some at a
//! time.
//!
//! While a long commit is taken apart, and again when its write is durable and its offsets are entered, the
//! group does nothing else, as while a write is pending: whoever waits in its queue sees all of the commit
//! or nothing of it. Its records are one write.

use super::accepting::PendingCommit;
use super::commits::accepting;
use super::context::Cx;
use super::effect::{Effect, Ticket};
use super::memory::{ENTRY, request_bytes};
use super::pending::Pending;
use super::request::{Commit, GroupRequest};
use super::response::GroupResponse;
use super::state::Group;

impl Group {
    /// Begins with a long commit: to be gone on with by [`go_on_with_commit`](Self::go_on_with_commit).
    pub(super) fn accept_long(&mut self, cx: &mut Cx<'_>, ticket: Ticket, commit: Commit) {
        let request = GroupRequest::Commit(commit);
        self.pending_bytes = request_bytes(&request);
        let GroupRequest::Commit(commit) = request else { unreachable!("just made") };
        let since = self.earlier_epoch(&commit);
        let accepting = accepting(cx, ticket, commit).with_earlier_epoch(since);
        self.pending = Some(Box::new(Pending::Accepting(accepting, Vec::new())));
        cx.writes.begin_long(cx.key);
    }

    /// A long commit is durable, or failed: its offsets are entered, or forgotten, by
    /// [`go_on_with_commit`](Self::go_on_with_commit).
    pub(super) fn enter_long(&mut self, cx: &mut Cx<'_>, commit: PendingCommit, durable: bool) {
        let PendingCommit { ticket, response, offsets } = commit;
        self.pending_bytes = ENTRY * offsets.len();
        let offsets = offsets.into_iter();
        self.pending = Some(Box::new(Pending::Entering { ticket, response, offsets, durable }));
        cx.writes.begin_long(cx.key);
    }

    /// Goes on with a long commit, about as many steps as are at hand. `write` is the number that stands for
    /// it.
    pub(super) fn go_on_with_commit(&mut self, cx: &mut Cx<'_>, write: u64) {
        let steps = cx.left;
        let mut pending = self.pending.take();
        let taken = match pending.as_deref_mut() {
            Some(Pending::Accepting(accepting, records)) => {
                accepting.go_on(&self.id, steps, records, |since, topic, partition| {
                    self.has_had(since, topic, partition)
                })
            }
            Some(Pending::Entering { offsets, durable, .. }) => {
                let mut taken = 0;
                for (topic, partition, offset) in offsets.by_ref().take(steps) {
                    taken += 1;
                    if *durable {
                        self.staged.supersede(&topic, partition);
                        self.offsets.insert(&mut cx.of(&self.id), &topic, partition, offset);
                    }
                }
                taken
            }
            _ => {
                debug_assert!(false, "nothing long is under way");
                0
            }
        };
        if taken > 0 {
            cx.take(taken);
            self.pending = pending;
            cx.writes.go_on_later(write);
            return;
        }
        match pending.map(|it| *it) {
            Some(Pending::Accepting(accepting, records)) => {
                let commit = accepting.finish();
                if records.is_empty() {
                    self.pending_bytes = 0;
                    cx.writes.end(write);
                    cx.reply(commit.ticket, GroupResponse::Commit(commit.response));
                } else {
                    self.pending = Some(Box::new(Pending::Commits(vec![commit])));
                    cx.out.push(Effect::Append { write, records, producer: None });
                }
            }
            Some(Pending::Entering { ticket, response, .. }) => {
                self.pending_bytes = 0;
                cx.writes.end(write);
                cx.reply(ticket, GroupResponse::Commit(response));
            }
            other => self.pending = other.map(Box::new),
        }
    }
}
