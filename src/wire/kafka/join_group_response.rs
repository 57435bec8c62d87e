//! `JoinGroupResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_null, check_version};

/// In versions 0 to 9.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinGroupResponse<'a> {
    /// From version 2, ignorable.
    pub throttle_time_ms: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version, default -1.
    pub generation_id: i32,
    /// From version 7, default null, ignorable.
    pub protocol_type: Option<&'a str>,
    /// In every version, nullable from version 7.
    pub protocol_name: Option<&'a str>,
    /// In every version.
    pub leader: &'a str,
    /// In version 9.
    pub skip_assignment: bool,
    /// In every version.
    pub member_id: &'a str,
    /// In every version.
    pub members: Vec<JoinGroupResponseMember<'a>>,
}

impl Default for JoinGroupResponse<'_> {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: 0,
            generation_id: -1,
            protocol_type: None,
            protocol_name: Some(""),
            leader: "",
            skip_assignment: false,
            member_id: "",
            members: Vec::new(),
        }
    }
}

impl<'a> JoinGroupResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::JOIN_GROUP;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 9;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 6;
        let throttle_time_ms = if version >= 2 { r.i32()? } else { 0 };
        let error_code = r.i16()?;
        let generation_id = r.i32()?;
        let protocol_type = if version >= 7 { r.nullable_string(flexible)? } else { None };
        let protocol_name = check_null(r.nullable_string(flexible)?, version >= 7)?;
        let leader = r.string(flexible)?;
        let skip_assignment = if version >= 9 { r.bool()? } else { false };
        let member_id = r.string(flexible)?;
        let members = r.array(flexible, JoinGroupResponseMember::MIN_BYTES, |r| {
            JoinGroupResponseMember::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            throttle_time_ms,
            error_code,
            generation_id,
            protocol_type,
            protocol_name,
            leader,
            skip_assignment,
            member_id,
            members,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 6;
        if version >= 2 {
            w.i32(self.throttle_time_ms);
        }
        w.error_code(self.error_code);
        w.i32(self.generation_id);
        if version >= 7 {
            w.nullable_string(self.protocol_type, flexible)?;
        }
        check_null(self.protocol_name.as_ref(), version >= 7)?;
        w.nullable_string(self.protocol_name, flexible)?;
        w.string(self.leader, flexible)?;
        if version >= 9 {
            w.bool(self.skip_assignment);
        } else {
            check_absent(!self.skip_assignment, "skip_assignment")?;
        }
        w.string(self.member_id, flexible)?;
        w.array(&self.members, flexible, |w, x| x.encode(w, version))?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }

    /// Writes it as [`encode`](Self::encode) does; pauses after each element.
    pub async fn encode_in_parts(
        &self,
        w: &mut Writer,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 6;
        if version >= 2 {
            w.i32(self.throttle_time_ms);
        }
        w.error_code(self.error_code);
        w.i32(self.generation_id);
        if version >= 7 {
            w.nullable_string(self.protocol_type, flexible)?;
        }
        check_null(self.protocol_name.as_ref(), version >= 7)?;
        w.nullable_string(self.protocol_name, flexible)?;
        w.string(self.leader, flexible)?;
        if version >= 9 {
            w.bool(self.skip_assignment);
        } else {
            check_absent(!self.skip_assignment, "skip_assignment")?;
        }
        w.string(self.member_id, flexible)?;
        let values = Some(&self.members[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 9.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct JoinGroupResponseMember<'a> {
    /// In every version.
    pub member_id: &'a str,
    /// From version 5, default null, ignorable.
    pub group_instance_id: Option<&'a str>,
    /// In every version.
    pub metadata: &'a [u8],
}

impl<'a> JoinGroupResponseMember<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 4;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 6;
        let member_id = r.string(flexible)?;
        let group_instance_id = if version >= 5 { r.nullable_string(flexible)? } else { None };
        let metadata = r.bytes(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { member_id, group_instance_id, metadata })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 6;
        w.string(self.member_id, flexible)?;
        if version >= 5 {
            w.nullable_string(self.group_instance_id, flexible)?;
        }
        w.bytes(self.metadata, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
