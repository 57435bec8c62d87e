//! `ListTransactionsResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ListTransactionsResponse<'a> {
    /// In every version, ignorable.
    pub throttle_time_ms: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version.
    pub unknown_state_filters: Vec<&'a str>,
    /// In every version.
    pub transaction_states: Vec<TransactionState<'a>>,
}

impl<'a> ListTransactionsResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::LIST_TRANSACTIONS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let throttle_time_ms = r.i32()?;
        let error_code = r.i16()?;
        let unknown_state_filters =
            r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?;
        let transaction_states = r.array(flexible, TransactionState::MIN_BYTES, |r| {
            TransactionState::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, error_code, unknown_state_filters, transaction_states })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.array(&self.unknown_state_filters, flexible, |w, x| w.string(x, flexible))?;
        w.array(&self.transaction_states, flexible, |w, x| x.encode(w, version))?;
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
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        let values = Some(&self.unknown_state_filters[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            w.string(x, flexible)?;
            pause().await;
        }
        let values = Some(&self.transaction_states[..]);
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

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TransactionState<'a> {
    /// In every version.
    pub transactional_id: &'a str,
    /// In every version.
    pub producer_id: i64,
    /// In every version.
    pub transaction_state: &'a str,
}

impl<'a> TransactionState<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 11;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let transactional_id = r.string(flexible)?;
        let producer_id = r.i64()?;
        let transaction_state = r.string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { transactional_id, producer_id, transaction_state })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.transactional_id, flexible)?;
        w.i64(self.producer_id);
        w.string(self.transaction_state, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
