//! `SyncGroupRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct SyncGroupRequest<'a> {
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub generation_id: i32,
    /// In every version.
    pub member_id: &'a str,
    /// From version 3, default null.
    pub group_instance_id: Option<&'a str>,
    /// In version 5, default null, ignorable.
    pub protocol_type: Option<&'a str>,
    /// In version 5, default null, ignorable.
    pub protocol_name: Option<&'a str>,
    /// In every version.
    pub assignments: Vec<SyncGroupRequestAssignment<'a>>,
}

impl<'a> SyncGroupRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::SYNC_GROUP;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 5;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 4;
        let group_id = r.string(flexible)?;
        let generation_id = r.i32()?;
        let member_id = r.string(flexible)?;
        let group_instance_id = if version >= 3 { r.nullable_string(flexible)? } else { None };
        let protocol_type = if version >= 5 { r.nullable_string(flexible)? } else { None };
        let protocol_name = if version >= 5 { r.nullable_string(flexible)? } else { None };
        let assignments = r.array(flexible, SyncGroupRequestAssignment::MIN_BYTES, |r| {
            SyncGroupRequestAssignment::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            group_id,
            generation_id,
            member_id,
            group_instance_id,
            protocol_type,
            protocol_name,
            assignments,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 4;
        w.string(self.group_id, flexible)?;
        w.i32(self.generation_id);
        w.string(self.member_id, flexible)?;
        if version >= 3 {
            w.nullable_string(self.group_instance_id, flexible)?;
        } else {
            check_absent(self.group_instance_id.is_none(), "group_instance_id")?;
        }
        if version >= 5 {
            w.nullable_string(self.protocol_type, flexible)?;
        }
        if version >= 5 {
            w.nullable_string(self.protocol_name, flexible)?;
        }
        w.array(&self.assignments, flexible, |w, x| x.encode(w, version))?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }

    /// Reads one as [`decode`](Self::decode) does; pauses after each element.
    pub async fn decode_in_parts(
        r: &mut Reader<'a>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 4;
        let group_id = r.string(flexible)?;
        let generation_id = r.i32()?;
        let member_id = r.string(flexible)?;
        let group_instance_id = if version >= 3 { r.nullable_string(flexible)? } else { None };
        let protocol_type = if version >= 5 { r.nullable_string(flexible)? } else { None };
        let protocol_name = if version >= 5 { r.nullable_string(flexible)? } else { None };
        let assignments = match r.open_array(flexible, SyncGroupRequestAssignment::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(SyncGroupRequestAssignment::decode(r, version)?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            group_id,
            generation_id,
            member_id,
            group_instance_id,
            protocol_type,
            protocol_name,
            assignments,
        })
    }
}

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct SyncGroupRequestAssignment<'a> {
    /// In every version.
    pub member_id: &'a str,
    /// In every version.
    pub assignment: &'a [u8],
}

impl<'a> SyncGroupRequestAssignment<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 4;
        let member_id = r.string(flexible)?;
        let assignment = r.bytes(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { member_id, assignment })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 4;
        w.string(self.member_id, flexible)?;
        w.bytes(self.assignment, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
