//! `HeartbeatRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 4.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct HeartbeatRequest<'a> {
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub generation_id: i32,
    /// In every version.
    pub member_id: &'a str,
    /// From version 3, default null.
    pub group_instance_id: Option<&'a str>,
}

impl<'a> HeartbeatRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::HEARTBEAT;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 4;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 4;
        let group_id = r.string(flexible)?;
        let generation_id = r.i32()?;
        let member_id = r.string(flexible)?;
        let group_instance_id = if version >= 3 { r.nullable_string(flexible)? } else { None };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, generation_id, member_id, group_instance_id })
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
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
