//! `InitProducerIdRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 6.
#[derive(Clone, Debug, PartialEq)]
pub struct InitProducerIdRequest<'a> {
    /// In every version.
    pub transactional_id: Option<&'a str>,
    /// In every version.
    pub transaction_timeout_ms: i32,
    /// From version 3, default -1.
    pub producer_id: i64,
    /// From version 3, default -1.
    pub producer_epoch: i16,
    /// In version 6.
    pub enable2_pc: bool,
    /// In version 6.
    pub keep_prepared_txn: bool,
}

impl Default for InitProducerIdRequest<'_> {
    fn default() -> Self {
        Self {
            transactional_id: Some(""),
            transaction_timeout_ms: 0,
            producer_id: -1,
            producer_epoch: -1,
            enable2_pc: false,
            keep_prepared_txn: false,
        }
    }
}

impl<'a> InitProducerIdRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::INIT_PRODUCER_ID;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 2;
        let transactional_id = r.nullable_string(flexible)?;
        let transaction_timeout_ms = r.i32()?;
        let producer_id = if version >= 3 { r.i64()? } else { -1 };
        let producer_epoch = if version >= 3 { r.i16()? } else { -1 };
        let enable2_pc = if version >= 6 { r.bool()? } else { false };
        let keep_prepared_txn = if version >= 6 { r.bool()? } else { false };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            transactional_id,
            transaction_timeout_ms,
            producer_id,
            producer_epoch,
            enable2_pc,
            keep_prepared_txn,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 2;
        w.nullable_string(self.transactional_id, flexible)?;
        w.i32(self.transaction_timeout_ms);
        if version >= 3 {
            w.i64(self.producer_id);
        } else {
            check_absent(self.producer_id == -1, "producer_id")?;
        }
        if version >= 3 {
            w.i16(self.producer_epoch);
        } else {
            check_absent(self.producer_epoch == -1, "producer_epoch")?;
        }
        if version >= 6 {
            w.bool(self.enable2_pc);
        } else {
            check_absent(!self.enable2_pc, "enable2_pc")?;
        }
        if version >= 6 {
            w.bool(self.keep_prepared_txn);
        } else {
            check_absent(!self.keep_prepared_txn, "keep_prepared_txn")?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
