//! `ShareGroupHeartbeat`: who may say what; and what states there are.

use std::rc::Rc;
use std::sync::Arc;

use super::request::{ShareHeartbeat, ShareInitialized};
use super::response::ListedShareTopics;
use super::topics::ShareTopics;
use crate::group::consumer::beat::{Asker, Joining, Stage};
use crate::group::consumer::changes::Changes;
use crate::group::consumer::heartbeat::{check_epoch, unknown};
use crate::group::consumer::member::LEAVE_EPOCH;
use crate::group::consumer::member::MemberMetadata;
use crate::group::consumer::partitions::Partitions;
use crate::group::consumer::protocol::Protocol;
use crate::group::consumer::response::{ConsumerHeartbeaten, Refusal};
use crate::group::consumer::state::ConsumerGroup;
use crate::group::consumer::write::ConsumerWrite;
use crate::group::context::Cx;
use crate::group::effect::Ticket;
use crate::group::join::ID_BYTES_MAX;
use crate::group::response::GroupResponse;
use crate::group::state::Group;
use crate::types::ErrorCode;

/// What can be seen of a request without its group.
fn check(request: &ShareHeartbeat) -> Result<(), Refusal> {
    let refuse = |why: &str| Err((ErrorCode::INVALID_REQUEST, why.to_owned()));
    let blank = |it: &str| it.trim().is_empty();
    if blank(&request.group_id) {
        return refuse("GroupId can't be empty.");
    }
    if blank(&request.member_id) {
        return refuse("MemberId can't be empty.");
    }
    if request.member_id.len() > ID_BYTES_MAX {
        return refuse("MemberId is too long.");
    }
    if request.rack_id.as_deref().is_some_and(blank) {
        return refuse("RackId can't be empty.");
    }
    match request.member_epoch {
        0 if request.topics.as_ref().is_none_or(Vec::is_empty) => {
            refuse("SubscribedTopicNames must be set in first request.")
        }
        0.. | LEAVE_EPOCH => Ok(()),
        _ => refuse("MemberEpoch is invalid."),
    }
}

impl Group {
    /// Whether its members share partitions.
    pub(in crate::group) fn is_share(&self) -> bool {
        self.consumer.as_deref().is_some_and(ConsumerGroup::is_share)
    }

    /// Why there is no share group.
    pub(in crate::group) fn no_share_group(&self) -> Refusal {
        let what = if self.is_vacant() { "not found" } else { "is not a share group" };
        (ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {} {what}.", self.id))
    }

    /// Answers a heartbeat, now or when what it changes is durable.
    pub(in crate::group) fn share_heartbeat(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        request: ShareHeartbeat,
    ) {
        let done = check(&request).and_then(|()| match request.member_epoch {
            LEAVE_EPOCH => self.share_leave(cx, ticket, &request.member_id),
            _ => self.begin_share_heartbeat(cx, ticket, request),
        });
        if let Err((error, why)) = done {
            self.drop_vacant_consumer();
            let refused = ConsumerHeartbeaten::refused(error, Some(why));
            cx.reply(ticket, GroupResponse::ConsumerHeartbeat(refused));
        }
    }

    fn share_leave(&mut self, cx: &mut Cx<'_>, ticket: Ticket, id: &str) -> Result<(), Refusal> {
        let Some(group) = self.consumer.as_deref().filter(|it| it.is_share()) else {
            return Err(self.no_share_group());
        };
        if group.member(id).is_none() {
            return Err(unknown(&self.id, id));
        }
        let reply = ConsumerHeartbeaten {
            member_id: Some(id.to_owned()),
            member_epoch: LEAVE_EPOCH,
            ..ConsumerHeartbeaten::refused(ErrorCode::NONE, None)
        };
        let reply = Some((ticket, GroupResponse::ConsumerHeartbeat(reply)));
        self.fence(cx, vec![id.to_owned()], reply);
        Ok(())
    }

    fn begin_share_heartbeat(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        request: ShareHeartbeat,
    ) -> Result<(), Refusal> {
        let joins = request.member_epoch == 0;
        let may_begin = joins && self.is_vacant();
        if !self.is_share() && !may_begin {
            return Err(self.no_share_group());
        }
        let new = || Box::new(ConsumerGroup::of(Protocol::Share));
        let group = self.consumer.get_or_insert_with(new);
        let id = request.member_id;
        let known = group.member(&id);
        // One that does not say its latest epoch has not heard what it was told with that.
        let lags = known.is_some_and(|it| it.current.epoch != request.member_epoch);
        match known {
            // It says what it has by its epoch alone.
            Some(member) => check_epoch(member, request.member_epoch, Some(&Partitions::new()))?,
            None if !joins => return Err(unknown(&self.id, &id)),
            None => {
                let max = usize::try_from(cx.settings.share_group_max_size).unwrap_or(0);
                if group.len() >= max {
                    let why = format!(
                        "The share group has reached its maximum capacity of {max} members."
                    );
                    return Err((ErrorCode::GROUP_MAX_SIZE_REACHED, why));
                }
            }
        }
        let old = known.map(|it| it.metadata.clone()).unwrap_or_default();
        let topics = request.topics;
        let metadata = MemberMetadata {
            rack_id: request.rack_id.or(old.rack_id),
            client_id: request.client_id,
            client_host: request.client_host,
            topics: topics.map_or(old.topics, |it| Rc::new(it.into_iter().collect())),
            ..MemberMetadata::default()
        };
        let joining = Joining { id, replaces: None, metadata, regex: None };
        let stage = Stage::Join(Box::new(joining));
        self.begin_beat(cx, ticket, Asker::Heartbeat { full: joins || lags }, None, false, stage);
        Ok(())
    }

    /// Answers with the topics that the share coordinator has states of.
    pub(in crate::group) fn list_share_topics(
        &self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        begins: bool,
    ) {
        let listed = match self.consumer.as_deref().filter(|it| it.is_share()) {
            Some(group) => ListedShareTopics {
                error: ErrorCode::NONE,
                members: group.len(),
                topics: group.share_topics(),
            },
            None if begins && self.is_vacant() => {
                ListedShareTopics { error: ErrorCode::NONE, members: 0, topics: Arc::default() }
            }
            None => ListedShareTopics::refused(ErrorCode::GROUP_ID_NOT_FOUND),
        };
        cx.reply(ticket, GroupResponse::ListShareTopics(listed));
    }

    /// The share coordinator has states of some topics, or none any more; nobody is refused for that.
    pub(in crate::group) fn share_initialized(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        request: ShareInitialized,
    ) {
        if request.begins && self.is_vacant() {
            self.consumer = Some(Box::new(ConsumerGroup::of(Protocol::Share)));
        }
        if !self.is_share() {
            let gone = ListedShareTopics::refused(ErrorCode::GROUP_ID_NOT_FOUND);
            return cx.reply(ticket, GroupResponse::ListShareTopics(gone));
        }
        let view = cx.cluster.view();
        let mut changes = Changes::default();
        let editor = self.edit(&mut changes);
        // What members want is looked at anew with the next heartbeat.
        editor.group.hashed_at = None;
        let old = editor.group.share_topics();
        let mut topics: ShareTopics = (*old).clone();
        topics.retain(|id, _| view.topic_by_id(*id).is_some());
        for (id, topic) in request.topics {
            if topic.partitions == 0 {
                topics.remove(&id);
                continue;
            }
            let known = topics.entry(id).or_default();
            known.partitions = known.partitions.max(topic.partitions);
            known.name = topic.name;
        }
        let members = editor.group.len();
        let mut editor = self.edit(&mut changes);
        let topics = if topics == *old {
            old
        } else {
            let topics = Arc::new(topics);
            editor.set_share_topics(Arc::clone(&topics));
            topics
        };
        let done = ListedShareTopics { error: ErrorCode::NONE, members, topics };
        let reply = Some((ticket, GroupResponse::ListShareTopics(done)));
        self.write_consumer(
            cx,
            ConsumerWrite { changes, reply, upgrades: false, downgrades: None },
        );
    }
}
