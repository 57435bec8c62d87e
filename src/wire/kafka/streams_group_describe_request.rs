//! `StreamsGroupDescribeRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct StreamsGroupDescribeRequest<'a> {
    /// In every version.
    pub group_ids: Vec<&'a str>,
    /// In every version.
    pub include_authorized_operations: bool,
}

impl<'a> StreamsGroupDescribeRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::STREAMS_GROUP_DESCRIBE;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 0;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let group_ids = r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?;
        let include_authorized_operations = r.bool()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_ids, include_authorized_operations })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.array(&self.group_ids, flexible, |w, x| w.string(x, flexible))?;
        w.bool(self.include_authorized_operations);
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
        let group_ids = match r.open_array(flexible, if flexible { 1 } else { 2 })? {
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
        let include_authorized_operations = r.bool()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_ids, include_authorized_operations })
    }
}
