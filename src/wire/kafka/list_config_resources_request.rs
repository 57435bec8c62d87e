//! `ListConfigResourcesRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ListConfigResourcesRequest {
    /// In version 1.
    pub resource_types: Vec<i8>,
}

impl ListConfigResourcesRequest {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::LIST_CONFIG_RESOURCES;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 1;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let resource_types =
            if version >= 1 { r.array(flexible, 1, |r| r.i8())? } else { Vec::new() };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { resource_types })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        if version >= 1 {
            w.array(&self.resource_types, flexible, |w, x| {
                w.i8(*x);
                Ok(())
            })?;
        } else {
            check_absent(self.resource_types.is_empty(), "resource_types")?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }

    /// Reads one as [`decode`](Self::decode) does; pauses after each element.
    pub async fn decode_in_parts(
        r: &mut Reader<'_>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let resource_types = if version >= 1 {
            match r.open_array(flexible, 1)? {
                None => None,
                Some((count, mut values)) => {
                    for _ in 0..count {
                        values.push(r.i8()?);
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
        Ok(Self { resource_types })
    }
}
