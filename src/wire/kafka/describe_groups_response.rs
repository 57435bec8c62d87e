//! `DescribeGroupsResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 6.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribeGroupsResponse<'a> {
    /// From version 1, ignorable.
    pub throttle_time_ms: i32,
    /// In every version.
    pub groups: Vec<DescribedGroup<'a>>,
}

impl<'a> DescribeGroupsResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::DESCRIBE_GROUPS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 5;
        let throttle_time_ms = if version >= 1 { r.i32()? } else { 0 };
        let groups =
            r.array(flexible, DescribedGroup::MIN_BYTES, |r| DescribedGroup::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, groups })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 5;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.array(&self.groups, flexible, |w, x| x.encode(w, version))?;
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
        let flexible = version >= 5;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        let values = Some(&self.groups[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 6.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedGroup<'a> {
    /// In every version.
    pub error_code: i16,
    /// In version 6, default null.
    pub error_message: Option<&'a str>,
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub group_state: &'a str,
    /// In every version.
    pub protocol_type: &'a str,
    /// In every version.
    pub protocol_data: &'a str,
    /// In every version.
    pub members: Vec<DescribedGroupMember<'a>>,
    /// From version 3, default -2147483648.
    pub authorized_operations: i32,
}

impl Default for DescribedGroup<'_> {
    fn default() -> Self {
        Self {
            error_code: 0,
            error_message: None,
            group_id: "",
            group_state: "",
            protocol_type: "",
            protocol_data: "",
            members: Vec::new(),
            authorized_operations: -2147483648,
        }
    }
}

impl<'a> DescribedGroup<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 12;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 5;
        let error_code = r.i16()?;
        let error_message = if version >= 6 { r.nullable_string(flexible)? } else { None };
        let group_id = r.string(flexible)?;
        let group_state = r.string(flexible)?;
        let protocol_type = r.string(flexible)?;
        let protocol_data = r.string(flexible)?;
        let members = r.array(flexible, DescribedGroupMember::MIN_BYTES, |r| {
            DescribedGroupMember::decode(r, version)
        })?;
        let authorized_operations = if version >= 3 { r.i32()? } else { -2147483648 };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            error_code,
            error_message,
            group_id,
            group_state,
            protocol_type,
            protocol_data,
            members,
            authorized_operations,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 5;
        w.error_code(self.error_code);
        if version >= 6 {
            w.nullable_string(self.error_message, flexible)?;
        } else {
            check_absent(self.error_message.is_none(), "error_message")?;
        }
        w.string(self.group_id, flexible)?;
        w.string(self.group_state, flexible)?;
        w.string(self.protocol_type, flexible)?;
        w.string(self.protocol_data, flexible)?;
        w.array(&self.members, flexible, |w, x| x.encode(w, version))?;
        if version >= 3 {
            w.i32(self.authorized_operations);
        } else {
            check_absent(self.authorized_operations == -2147483648, "authorized_operations")?;
        }
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
        let flexible = version >= 5;
        w.error_code(self.error_code);
        if version >= 6 {
            w.nullable_string(self.error_message, flexible)?;
        } else {
            check_absent(self.error_message.is_none(), "error_message")?;
        }
        w.string(self.group_id, flexible)?;
        w.string(self.group_state, flexible)?;
        w.string(self.protocol_type, flexible)?;
        w.string(self.protocol_data, flexible)?;
        let values = Some(&self.members[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        if version >= 3 {
            w.i32(self.authorized_operations);
        } else {
            check_absent(self.authorized_operations == -2147483648, "authorized_operations")?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 6.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribedGroupMember<'a> {
    /// In every version.
    pub member_id: &'a str,
    /// From version 4, default null, ignorable.
    pub group_instance_id: Option<&'a str>,
    /// In every version.
    pub client_id: &'a str,
    /// In every version.
    pub client_host: &'a str,
    /// In every version.
    pub member_metadata: &'a [u8],
    /// In every version.
    pub member_assignment: &'a [u8],
}

impl<'a> DescribedGroupMember<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 7;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 5;
        let member_id = r.string(flexible)?;
        let group_instance_id = if version >= 4 { r.nullable_string(flexible)? } else { None };
        let client_id = r.string(flexible)?;
        let client_host = r.string(flexible)?;
        let member_metadata = r.bytes(flexible)?;
        let member_assignment = r.bytes(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            member_id,
            group_instance_id,
            client_id,
            client_host,
            member_metadata,
            member_assignment,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 5;
        w.string(self.member_id, flexible)?;
        if version >= 4 {
            w.nullable_string(self.group_instance_id, flexible)?;
        }
        w.string(self.client_id, flexible)?;
        w.string(self.client_host, flexible)?;
        w.bytes(self.member_metadata, flexible)?;
        w.bytes(self.member_assignment, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
