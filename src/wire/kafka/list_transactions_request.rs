//! `ListTransactionsRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct ListTransactionsRequest<'a> {
    /// In every version.
    pub state_filters: Vec<&'a str>,
    /// In every version.
    pub producer_id_filters: Vec<i64>,
    /// From version 1, default -1.
    pub duration_filter: i64,
    /// In version 2, default null.
    pub transactional_id_pattern: Option<&'a str>,
}

impl Default for ListTransactionsRequest<'_> {
    fn default() -> Self {
        Self {
            state_filters: Vec::new(),
            producer_id_filters: Vec::new(),
            duration_filter: -1,
            transactional_id_pattern: None,
        }
    }
}

impl<'a> ListTransactionsRequest<'a> {
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
        let state_filters =
            r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?;
        let producer_id_filters = r.array(flexible, 8, |r| r.i64())?;
        let duration_filter = if version >= 1 { r.i64()? } else { -1 };
        let transactional_id_pattern =
            if version >= 2 { r.nullable_string(flexible)? } else { None };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { state_filters, producer_id_filters, duration_filter, transactional_id_pattern })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.array(&self.state_filters, flexible, |w, x| w.string(x, flexible))?;
        w.array(&self.producer_id_filters, flexible, |w, x| {
            w.i64(*x);
            Ok(())
        })?;
        if version >= 1 {
            w.i64(self.duration_filter);
        } else {
            check_absent(self.duration_filter == -1, "duration_filter")?;
        }
        if version >= 2 {
            w.nullable_string(self.transactional_id_pattern, flexible)?;
        } else {
            check_absent(self.transactional_id_pattern.is_none(), "transactional_id_pattern")?;
        }
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
        let flexible = true;
        let state_filters = match r.open_array(flexible, if flexible { 1 } else { 2 })? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.string(flexible)?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let producer_id_filters = match r.open_array(flexible, 8)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.i64()?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let duration_filter = if version >= 1 { r.i64()? } else { -1 };
        let transactional_id_pattern =
            if version >= 2 { r.nullable_string(flexible)? } else { None };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { state_filters, producer_id_filters, duration_filter, transactional_id_pattern })
    }
}
