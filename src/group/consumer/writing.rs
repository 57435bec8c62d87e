//! What becomes of a consumer group when its write is durable, and when it is not.

use super::beat::Asker;
use super::changes::Changes;
use super::response::{ConsumerHeartbeaten, Refusal};
use super::write::ConsumerWrite;
use crate::group::context::Cx;
use crate::group::effect::Ticket;
use crate::group::pending::Pending;
use crate::group::records::group_record;
use crate::group::response::{GroupResponse, Joined};
use crate::group::share::response::ListedShareTopics;
use crate::group::state::Group;
use crate::group::streams::response::StreamsHeartbeaten;
use crate::group::writes::write_error;
use crate::types::ErrorCode;

impl Group {
    /// Writes what has changed, and answers then; at once where nothing has.
    pub(in crate::group) fn write_consumer(&mut self, cx: &mut Cx<'_>, mut write: ConsumerWrite) {
        let mut records = std::mem::take(&mut write.changes.records);
        if write.upgrades && self.durable.is_some() {
            records.insert(0, group_record(&self.id, None));
        }
        if let Some(it) = &write.downgrades {
            records.push(group_record(&self.id, Some(&it.value)));
        }
        if records.is_empty() {
            self.drop_vacant_consumer();
            if let Some((ticket, response)) = write.reply {
                cx.reply(ticket, response);
            }
            return;
        }
        let bytes = write.changes.bytes();
        self.write(cx, Pending::Consumer(Box::new(write)), records);
        self.pending_bytes += bytes;
    }

    /// It is durable, or never will be.
    pub(in crate::group) fn consumer_written(
        &mut self,
        cx: &mut Cx<'_>,
        write: ConsumerWrite,
        result: Result<(), ErrorCode>,
    ) {
        let ConsumerWrite { changes, reply, upgrades, downgrades } = write;
        match result {
            Ok(()) => {
                if upgrades {
                    self.set_durable(cx.live_bytes, None);
                    self.forget_classic(cx);
                }
                // A group that becomes a classic one is shown as it was until that is there.
                if downgrades.is_none() {
                    if let Some(group) = self.consumer.as_deref_mut() {
                        group.show_changes();
                    }
                    self.drop_vacant_consumer();
                }
                if let Some((ticket, response)) = reply {
                    self.renew_answered(cx, &response);
                    cx.reply(ticket, response);
                }
                if let Some(it) = downgrades {
                    self.downgraded(cx, *it);
                }
            }
            Err(error) => {
                let error = write_error(error);
                self.take_back(cx, changes);
                if let Some((ticket, response)) = reply {
                    cx.reply(ticket, refused(response, error));
                }
            }
        }
    }

    /// Whoever is told something has his whole session for the next heartbeat.
    fn renew_answered(&mut self, cx: &Cx<'_>, response: &GroupResponse) {
        let id = match response {
            GroupResponse::ConsumerHeartbeat(it) => it.member_id.as_deref(),
            GroupResponse::StreamsHeartbeat(it) => Some(&*it.member_id),
            GroupResponse::Join(it) => Some(&*it.member_id),
            _ => None,
        };
        if let Some(id) = id {
            self.renew_consumer(cx, id);
        }
    }

    /// What has changed is as it was.
    pub(in crate::group) fn take_back(&mut self, cx: &Cx<'_>, changes: Changes) {
        let Some(group) = self.consumer.as_deref_mut() else { return };
        let mut ids: Vec<String> = changes.members().map(str::to_owned).collect();
        ids.dedup();
        changes.take_back(group);
        group.forget_versions();
        // Members that are there again have their sessions anew.
        for id in ids {
            self.renew_consumer(cx, &id);
            self.watch_revocation(cx, &id);
        }
        self.drop_vacant_consumer();
    }

    /// A beat comes to nothing.
    pub(super) fn give_up(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        asker: &Asker,
        changes: Changes,
        (error, why): Refusal,
    ) {
        self.take_back(cx, changes);
        let response = match asker {
            Asker::Heartbeat { .. } => {
                let refused = ConsumerHeartbeaten::refused(error, Some(why));
                GroupResponse::ConsumerHeartbeat(refused)
            }
            Asker::Join => GroupResponse::Join(Joined::refused("", error)),
        };
        cx.reply(ticket, response);
    }
}

/// The same kind of answer, for a write that failed.
fn refused(response: GroupResponse, error: ErrorCode) -> GroupResponse {
    match response {
        GroupResponse::ConsumerHeartbeat(_) => {
            GroupResponse::ConsumerHeartbeat(ConsumerHeartbeaten::refused(error, None))
        }
        GroupResponse::StreamsHeartbeat(_) => {
            GroupResponse::StreamsHeartbeat(Box::new(StreamsHeartbeaten::refused(error, None)))
        }
        GroupResponse::Join(it) => GroupResponse::Join(Joined::refused(it.member_id, error)),
        GroupResponse::Leave(mut it) => {
            it.error = error;
            it.members.clear();
            GroupResponse::Leave(it)
        }
        GroupResponse::ListShareTopics(_) => {
            GroupResponse::ListShareTopics(ListedShareTopics::refused(error))
        }
        // These never wait for what a group of consumers writes.
        GroupResponse::Sync(_)
        | GroupResponse::Heartbeat(_)
        | GroupResponse::Commit(_)
        | GroupResponse::FetchOffsets(_)
        | GroupResponse::DeleteOffsets(_)
        | GroupResponse::Describe(_)
        | GroupResponse::DeleteGroup(_)
        | GroupResponse::ConsumerDescribe(_)
        | GroupResponse::StreamsDescribe(_) => response,
    }
}
