//! A group's record: what of the group is durable.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::members::{Member, Members};
use super::pending::Replacement;
use super::records::{GroupValue, MemberValue, RecordError, group_record_bytes};
use super::request::Protocol;
use super::state::{Group, State};
use crate::wire::primitives::WireError;

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

    /// The value of the current generation with these assignments, or with those that the members
    /// have, and with one member in the place of another.
    pub(super) fn generation_value(
        &self,
        assignments: Option<&BTreeMap<String, Bytes>>,
        replacement: Option<&Replacement>,
    ) -> Result<Bytes, WireError> {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let mut leader = self.leader.as_deref();
        let mut members = Vec::with_capacity(self.members.len());
        for (id, old) in self.members.iter() {
            let (member_id, member) = match replacement {
                Some(it) if it.old_id == id => {
                    if leader == Some(id) {
                        leader = Some(&it.new_id);
                    }
                    (it.new_id.as_str(), &it.member)
                }
                _ => (id, old),
            };
            let known = member.protocols.iter().find(|it| it.name == protocol);
            members.push(MemberValue {
                member_id,
                group_instance_id: member.instance_id.as_deref(),
                client_id: &member.client_id,
                client_host: &member.client_host,
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                session_timeout_ms: member.session_timeout_ms,
                subscription: known.map_or(&[], |it| it.metadata.as_ref()),
                assignment: match assignments {
                    Some(all) => all.get(id).map_or(&[], |it| it.as_ref()),
                    None => &old.assignment,
                },
            });
        }
        let value = GroupValue {
            protocol_type: self.protocol_type.as_deref().unwrap_or_default(),
            generation_id: self.generation_id,
            protocol: self.protocol_name.as_deref(),
            leader,
            state_timestamp_ms: self.state_timestamp_ms,
            members,
        };
        value.write().map(Bytes::from)
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
        self.members = Members::default();
    }

    /// Becomes what a record says; `None` is a tombstone.
    pub fn load(&mut self, live_bytes: &mut u64, value: Option<&[u8]>) -> Result<(), RecordError> {
        let Some(value) = value else {
            self.set_durable(live_bytes, None);
            self.forget();
            return Ok(());
        };
        let durable = Bytes::copy_from_slice(value);
        let parsed = GroupValue::read(&durable)?;
        self.set_durable(live_bytes, Some(durable.clone()));
        self.members = Members::default();
        for it in &parsed.members {
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
                    name: parsed.protocol.unwrap_or_default().to_owned(),
                    metadata: durable.slice_ref(it.subscription),
                },
                durable.slice_ref(it.assignment),
            );
            if !self.members.contains(it.member_id) {
                self.members.add(it.member_id.to_owned(), member);
            }
        }
        let protocol_type = parsed.protocol_type;
        self.state = if self.members.is_empty() { State::Empty } else { State::Stable };
        self.state_timestamp_ms = parsed.state_timestamp_ms;
        self.since_ms = parsed.state_timestamp_ms;
        self.generation_id = parsed.generation_id;
        self.protocol_type = (!protocol_type.is_empty()).then(|| protocol_type.to_owned());
        self.protocol_name = parsed.protocol.map(str::to_owned);
        let leader = parsed.leader.filter(|id| self.members.contains(id));
        let first = self.members.iter().next().map(|(id, _)| id);
        self.leader = leader.or(first).map(str::to_owned);
        Ok(())
    }
}
