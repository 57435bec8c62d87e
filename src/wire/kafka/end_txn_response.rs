//! `EndTxnResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq)]
pub struct EndTxnResponse {
    /// In every version.
    pub throttle_time_ms: i32,
    /// In every version.
    pub error_code: i16,
    /// In version 5, default -1, ignorable.
    pub producer_id: i64,
    /// In version 5, default -1, ignorable.
    pub producer_epoch: i16,
}

impl Default for EndTxnResponse {
    fn default() -> Self {
        Self { throttle_time_ms: 0, error_code: 0, producer_id: -1, producer_epoch: -1 }
    }
}

impl EndTxnResponse {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::END_TXN;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 5;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        let throttle_time_ms = r.i32()?;
        let error_code = r.i16()?;
        let producer_id = if version >= 5 { r.i64()? } else { -1 };
        let producer_epoch = if version >= 5 { r.i16()? } else { -1 };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, error_code, producer_id, producer_epoch })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        if version >= 5 {
            w.i64(self.producer_id);
        }
        if version >= 5 {
            w.i16(self.producer_epoch);
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
