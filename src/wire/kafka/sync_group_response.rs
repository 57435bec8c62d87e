//! `SyncGroupResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct SyncGroupResponse<'a> {
    /// From version 1, ignorable.
    pub throttle_time_ms: i32,
    /// In every version.
    pub error_code: i16,
    /// In version 5, default null, ignorable.
    pub protocol_type: Option<&'a str>,
    /// In version 5, default null, ignorable.
    pub protocol_name: Option<&'a str>,
    /// In every version.
    pub assignment: &'a [u8],
}

impl<'a> SyncGroupResponse<'a> {
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
        let throttle_time_ms = if version >= 1 { r.i32()? } else { 0 };
        let error_code = r.i16()?;
        let protocol_type = if version >= 5 { r.nullable_string(flexible)? } else { None };
        let protocol_name = if version >= 5 { r.nullable_string(flexible)? } else { None };
        let assignment = r.bytes(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, error_code, protocol_type, protocol_name, assignment })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 4;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.error_code(self.error_code);
        if version >= 5 {
            w.nullable_string(self.protocol_type, flexible)?;
        }
        if version >= 5 {
            w.nullable_string(self.protocol_name, flexible)?;
        }
        w.bytes(self.assignment, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
