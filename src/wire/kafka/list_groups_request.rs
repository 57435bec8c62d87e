//! `ListGroupsRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ListGroupsRequest<'a> {
    /// From version 4.
    pub states_filter: Vec<&'a str>,
    /// In version 5.
    pub types_filter: Vec<&'a str>,
}

impl<'a> ListGroupsRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::LIST_GROUPS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 5;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        let states_filter = if version >= 4 {
            r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?
        } else {
            Vec::new()
        };
        let types_filter = if version >= 5 {
            r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?
        } else {
            Vec::new()
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { states_filter, types_filter })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        if version >= 4 {
            w.array(&self.states_filter, flexible, |w, x| w.string(x, flexible))?;
        } else {
            check_absent(self.states_filter.is_empty(), "states_filter")?;
        }
        if version >= 5 {
            w.array(&self.types_filter, flexible, |w, x| w.string(x, flexible))?;
        } else {
            check_absent(self.types_filter.is_empty(), "types_filter")?;
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
        let states_filter = if version >= 4 {
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
        let types_filter = if version >= 5 {
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
        Ok(Self { states_filter, types_filter })
    }
}
