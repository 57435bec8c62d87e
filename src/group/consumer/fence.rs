//! Members that go: by themselves, or since they were silent for too long, or did not give up partitions.

use super::changes::Changes;
use super::heartbeat::speaker;
use super::member::{Current, LEFT_STATIC_EPOCH};
use super::partitions::Partitions;
use super::request::ConsumerHeartbeat;
use super::response::{ConsumerHeartbeaten, Refusal};
use super::write::ConsumerWrite;
use crate::group::context::Cx;
use crate::group::effect::Ticket;
use crate::group::response::GroupResponse;
use crate::group::state::Group;
use crate::group::walk::Task;
use crate::types::ErrorCode;

/// So many members go with one write.
pub(in crate::group) const FENCED_AT_ONCE: usize = 128;

impl Group {
    /// Answers a member that leaves.
    pub(super) fn consumer_leave(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        request: &ConsumerHeartbeat,
    ) -> Result<(), Refusal> {
        let Some(group) = self.consumer.as_deref() else { return Err(self.no_consumer_group()) };
        let id = request.member_id.as_str();
        let member = speaker(&self.id, group, id, request.instance_id.as_deref())?;
        let reply = GroupResponse::ConsumerHeartbeat(ConsumerHeartbeaten {
            member_id: Some(id.to_owned()),
            member_epoch: request.member_epoch,
            ..ConsumerHeartbeaten::refused(ErrorCode::NONE, None)
        });
        let reply = Some((ticket, reply));
        if request.member_epoch == LEFT_STATIC_EPOCH {
            let (epoch, revoking) = (LEFT_STATIC_EPOCH, Partitions::new());
            let since = member.current.since.of(&member.current.assigned);
            let current = Current { epoch, revoking, since, ..member.current.clone() };
            let mut changes = Changes::default();
            self.edit(&mut changes).set_current(id, current);
            self.watch_revocation(cx, id);
            let write = ConsumerWrite { changes, reply, upgrades: false, downgrades: None };
            self.write_consumer(cx, write);
        } else {
            self.fence(cx, vec![id.to_owned()], reply);
        }
        Ok(())
    }

    /// Removes members: the group gets another epoch, and becomes a classic one where all others are.
    pub(in crate::group) fn fence(
        &mut self,
        cx: &mut Cx<'_>,
        ids: Vec<String>,
        reply: Option<(Ticket, GroupResponse)>,
    ) {
        let mut changes = Changes::default();
        let mut editor = self.edit(&mut changes);
        for id in &ids {
            editor.remove_member(id);
        }
        editor.remove_unused_patterns();
        editor.group.hashed_at = None;
        if editor.group.is_empty()
            && let Some(streams) = editor.group.streams_mut()
        {
            streams.shutdown_by = None;
        }
        let write = ConsumerWrite { changes, reply, upgrades: false, downgrades: None };
        self.write_or_downgrade(cx, write, false);
    }

    /// How long members may stay silent that do not say so themselves, ms.
    pub(super) fn consumer_session_timeout_ms(&self, cx: &Cx<'_>) -> i32 {
        let own = cx.cluster.view().group_config(&self.id);
        if self.is_share() {
            let own = own.share_session_timeout_ms;
            return own.unwrap_or(cx.settings.share_session_timeout_ms);
        }
        if self.is_streams() {
            let own = own.streams_session_timeout_ms;
            return own.unwrap_or(cx.settings.streams_session_timeout_ms);
        }
        own.consumer_session_timeout_ms.unwrap_or(cx.settings.consumer_session_timeout_ms)
    }

    /// Starts a member's session anew.
    pub(in crate::group) fn renew_consumer(&mut self, cx: &Cx<'_>, id: &str) {
        let timeout_ms = self.consumer_session_timeout_ms(cx);
        let member = self.consumer.as_deref_mut().and_then(|it| it.member_mut(id));
        if let Some(member) = member {
            let at_ms = member.renew(cx.now.monotonic_ms, timeout_ms);
            self.wake_by(at_ms);
        }
    }

    /// A member that is to give up partitions has its time for that anew; one that is not needs none.
    pub(in crate::group) fn watch_revocation(&mut self, cx: &Cx<'_>, id: &str) {
        let member = self.consumer.as_deref_mut().and_then(|it| it.member_mut(id));
        if let Some(at_ms) = member.and_then(|it| it.watch_revocation(cx.now.monotonic_ms)) {
            self.wake_by(at_ms);
        }
    }

    /// A member of a group that was loaded begins its session; what is left of one that is gone is
    /// forgotten.
    pub(in crate::group) fn start_consumer(&mut self, cx: &Cx<'_>, ids: &[String]) {
        for id in ids {
            if let Some(group) = self.consumer.as_deref_mut() {
                group.forget_lost(id);
            }
            self.renew_consumer(cx, id);
            self.watch_revocation(cx, id);
        }
    }

    /// All have begun.
    pub(in crate::group) fn consumer_started(&mut self) {
        self.drop_vacant_consumer();
    }

    /// Looks for members whose time is over.
    pub(in crate::group) fn expire_consumers(&mut self, cx: &mut Cx<'_>) {
        let at_ms = cx.now.monotonic_ms;
        self.walk(cx, Task::ConsumerExpire { at_ms, next_ms: i64::MAX, gone: Vec::new() });
    }

    /// Those were found, of whom some go now; the next has time until `next_ms`.
    pub(in crate::group) fn consumers_expired(
        &mut self,
        cx: &mut Cx<'_>,
        at_ms: i64,
        next_ms: i64,
        mut gone: Vec<String>,
    ) {
        let more = gone.len() > FENCED_AT_ONCE;
        gone.truncate(FENCED_AT_ONCE);
        self.set_wake(if more { at_ms } else { next_ms });
        if !gone.is_empty() {
            self.fence(cx, gone, None);
        }
    }
}
