//! `ApiVersionsRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 4.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ApiVersionsRequest<'a> {
    /// From version 3, ignorable.
    pub client_software_name: &'a str,
    /// From version 3, ignorable.
    pub client_software_version: &'a str,
}

impl<'a> ApiVersionsRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::API_VERSIONS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 4;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        let client_software_name = if version >= 3 { r.string(flexible)? } else { "" };
        let client_software_version = if version >= 3 { r.string(flexible)? } else { "" };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { client_software_name, client_software_version })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        if version >= 3 {
            w.string(self.client_software_name, flexible)?;
        }
        if version >= 3 {
            w.string(self.client_software_version, flexible)?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
