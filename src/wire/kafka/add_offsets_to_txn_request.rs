//! `AddOffsetsToTxnRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 4.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AddOffsetsToTxnRequest<'a> {
    /// In every version.
    pub transactional_id: &'a str,
    /// In every version.
    pub producer_id: i64,
    /// In every version.
    pub producer_epoch: i16,
    /// In every version.
    pub group_id: &'a str,
}

impl<'a> AddOffsetsToTxnRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::ADD_OFFSETS_TO_TXN;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 4;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        let transactional_id = r.string(flexible)?;
        let producer_id = r.i64()?;
        let producer_epoch = r.i16()?;
        let group_id = r.string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { transactional_id, producer_id, producer_epoch, group_id })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        w.string(self.transactional_id, flexible)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.string(self.group_id, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
