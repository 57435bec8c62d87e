//! A group's record: what of the group is durable.

use bytes::Bytes;

use super::context::Cx;
use super::draft::{Draft, Purpose};
use super::loading::Loading;
use super::members::{Member, Members};
use super::pending::Pending;
use super::records::{GroupValue, MemberValue, RecordError, group_record, group_record_bytes};
use super::request::Protocol;
use super::response::{GroupResponse, Joined};
use super::state::{Group, State};
use crate::types::ErrorCode;

impl Group {
    /// The group's last durable record is another one.
    pub(super) fn set_durable(&mut self, live_bytes: &mut u64, value: Option<Bytes>) {
        if let Some(old) = &self.durable {
            *live_bytes -= group_record_bytes(&self.id, old);
        }
        if let Some(new) = &value {
            *live_bytes += group_record_bytes(&self.id, new);
        }
        self.durable = value;
    }

    /// The value of a group without members. It keeps its protocol type, by which it is not a group
    /// that only holds offsets.
    pub(super) fn empty_value(&self, generation_id: i32, since_ms: i64) -> Bytes {
        let value = GroupValue {
            protocol_type: self.protocol_type.as_deref().unwrap_or_default(),
            generation_id,
            protocol: None,
            leader: None,
            state_timestamp_ms: since_ms,
            members: Vec::new(),
        };
        value.write().expect("strings of requests are short enough").into()
    }

    /// The beginning of the current generation's record.
    pub(super) fn draft(&self, purpose: Purpose) -> Draft {
        let (mut leader, mut bytes) = (self.leader.clone(), self.members.bytes());
        match &purpose {
            Purpose::Generation(all) => bytes += all.values().map(Bytes::len).sum::<usize>(),
            Purpose::Replacement(it) if leader.as_ref() == Some(&it.replacement.old_id) => {
                leader = Some(it.replacement.new_id.clone());
            }
            Purpose::Replacement(_) => {}
        }
        let head = GroupValue {
            protocol_type: self.protocol_type.as_deref().unwrap_or_default(),
            generation_id: self.generation_id,
            protocol: self.protocol_name.as_deref(),
            leader: leader.as_deref(),
            state_timestamp_ms: self.state_timestamp_ms,
            members: Vec::new(),
        };
        Draft::new(&head, self.members.len(), bytes, purpose)
    }

    /// Appends a record whose members are all written.
    pub(super) fn write_draft(&mut self, cx: &mut Cx<'_>, draft: Draft) {
        match draft.finish() {
            (Ok(value), purpose) => {
                let record = group_record(&self.id, Some(&value));
                let pending = match purpose {
                    Purpose::Generation(assignments) => Pending::Generation { value, assignments },
                    Purpose::Replacement(returning) => Pending::Replacement { value, returning },
                };
                self.write(cx, pending, vec![record]);
            }
            (Err(_), Purpose::Generation(_)) => {
                self.call_members(cx, ErrorCode::UNKNOWN_SERVER_ERROR);
            }
            (Err(_), Purpose::Replacement(it)) => {
                let refused = Joined::refused("", ErrorCode::INVALID_REQUEST);
                cx.reply(it.ticket, GroupResponse::Join(refused));
            }
        }
    }

    /// The group is gone from the log. Its offsets have records of their own.
    pub(super) fn forget(&mut self) {
        self.state = State::Empty;
        self.state_timestamp_ms = -1;
        self.since_ms = -1;
        self.generation_id = 0;
        self.protocol_type = None;
        self.protocol_name = None;
        self.leader = None;
        self.wanted = None;
        self.consumer = None;
        self.members = Members::default();
    }

    /// Begins to become what a record says; `None` is a tombstone.
    pub fn load(
        &mut self,
        live_bytes: &mut u64,
        value: Option<&[u8]>,
    ) -> Result<Loading, RecordError> {
        let value = value.map(Bytes::copy_from_slice);
        let rest = match &value {
            Some(value) => {
                let (head, left) = GroupValue::read_head(value)?;
                self.state_timestamp_ms = head.state_timestamp_ms;
                self.since_ms = head.state_timestamp_ms;
                self.generation_id = head.generation_id;
                let protocol_type = head.protocol_type;
                self.protocol_type = (!protocol_type.is_empty()).then(|| protocol_type.to_owned());
                self.protocol_name = head.protocol.map(str::to_owned);
                self.leader = head.leader.map(str::to_owned);
                Some((value.clone(), left))
            }
            None => None,
        };
        self.set_durable(live_bytes, value);
        Ok(Loading { old: self.members.len(), rest })
    }

    /// Goes on with it, about so many members; of how many, 0 at the end.
    pub fn go_on_loading(
        &mut self,
        loading: &mut Loading,
        steps: usize,
    ) -> Result<usize, RecordError> {
        let mut taken = 0;
        while loading.old > 0 && taken < steps {
            loading.old -= 1;
            self.members.remove_first();
            taken += 1;
        }
        while taken < steps {
            let Some((value, left)) = &mut loading.rest else { break };
            let value = value.clone();
            let member = left.next(&value);
            if let Ok(Some(it)) = &member {
                taken += 1;
                self.load_member(&value, it);
                continue;
            }
            loading.rest = None;
            // Of a damaged record, the members before the damage are there.
            self.loaded();
            member?;
        }
        if taken == 0 && self.durable.is_none() {
            self.forget();
        }
        Ok(taken)
    }

    fn load_member(&mut self, value: &Bytes, it: &MemberValue<'_>) {
        let rebalance_timeout_ms = match it.rebalance_timeout_ms {
            -1 => it.session_timeout_ms,
            known => known,
        };
        let member = Member::loaded(
            it.group_instance_id.map(str::to_owned),
            (it.client_id.to_owned(), it.client_host.to_owned()),
            it.session_timeout_ms,
            rebalance_timeout_ms,
            // The members' bytes are slices of the value, which is kept anyway.
            Protocol {
                name: self.protocol_name.clone().unwrap_or_default(),
                metadata: value.slice_ref(it.subscription),
            },
            value.slice_ref(it.assignment),
        );
        if !self.members.contains(it.member_id) {
            self.members.add(it.member_id.to_owned(), member);
        }
    }

    fn loaded(&mut self) {
        self.state = if self.members.is_empty() { State::Empty } else { State::Stable };
        let leader = self.leader.take().filter(|id| self.members.contains(id));
        let first = || self.members.first().map(|(id, _)| id.to_owned());
        self.leader = leader.or_else(first);
    }
}
