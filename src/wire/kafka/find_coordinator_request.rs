//! `FindCoordinatorRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 6.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FindCoordinatorRequest<'a> {
    /// In versions 0 to 3.
    pub key: &'a str,
    /// From version 1.
    pub key_type: i8,
    /// From version 4.
    pub coordinator_keys: Vec<&'a str>,
}

impl<'a> FindCoordinatorRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::FIND_COORDINATOR;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        let key = if version <= 3 { r.string(flexible)? } else { "" };
        let key_type = if version >= 1 { r.i8()? } else { 0 };
        let coordinator_keys = if version >= 4 {
            r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?
        } else {
            Vec::new()
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { key, key_type, coordinator_keys })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        if version <= 3 {
            w.string(self.key, flexible)?;
        } else {
            check_absent(self.key == "", "key")?;
        }
        if version >= 1 {
            w.i8(self.key_type);
        } else {
            check_absent(self.key_type == 0, "key_type")?;
        }
        if version >= 4 {
            w.array(&self.coordinator_keys, flexible, |w, x| w.string(x, flexible))?;
        } else {
            check_absent(self.coordinator_keys.is_empty(), "coordinator_keys")?;
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
        let flexible = version >= 3;
        let key = if version <= 3 { r.string(flexible)? } else { "" };
        let key_type = if version >= 1 { r.i8()? } else { 0 };
        let coordinator_keys = if version >= 4 {
            match r.open_array(flexible, if flexible { 1 } else { 2 })? {
                None => None,
                Some((count, mut values)) => {
                    for _ in 0..count {
                        values.push(r.string(flexible)?);
                        pause().await;
                    }
                    Some(values)
                }
            }
            .ok_or(WireError::Null)?
        } else {
            Vec::new()
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { key, key_type, coordinator_keys })
    }
}
