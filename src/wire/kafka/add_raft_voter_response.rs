//! `AddRaftVoterResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct AddRaftVoterResponse<'a> {
    /// In every version.
    pub throttle_time_ms: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version.
    pub error_message: Option<&'a str>,
}

impl Default for AddRaftVoterResponse<'_> {
    fn default() -> Self {
        Self { throttle_time_ms: 0, error_code: 0, error_message: Some("") }
    }
}

impl<'a> AddRaftVoterResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::ADD_RAFT_VOTER;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 1;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let throttle_time_ms = r.i32()?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, error_code, error_message })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
