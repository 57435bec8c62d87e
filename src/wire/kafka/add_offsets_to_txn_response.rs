//! `AddOffsetsToTxnResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 4.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AddOffsetsToTxnResponse {
    /// In every version.
    pub throttle_time_ms: i32,
    /// In every version.
    pub error_code: i16,
}

impl AddOffsetsToTxnResponse {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::ADD_OFFSETS_TO_TXN;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 4;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        let throttle_time_ms = r.i32()?;
        let error_code = r.i16()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, error_code })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
