//! `AlterConfigsRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AlterConfigsRequest<'a> {
    /// In every version.
    pub resources: Vec<AlterConfigsResource<'a>>,
    /// In every version.
    pub validate_only: bool,
}

impl<'a> AlterConfigsRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::ALTER_CONFIGS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 2;
        let resources = r.array(flexible, AlterConfigsResource::MIN_BYTES, |r| {
            AlterConfigsResource::decode(r, version)
        })?;
        let validate_only = r.bool()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { resources, validate_only })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 2;
        w.array(&self.resources, flexible, |w, x| x.encode(w, version))?;
        w.bool(self.validate_only);
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
        let flexible = version >= 2;
        let resources = match r.open_array(flexible, AlterConfigsResource::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(AlterConfigsResource::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let validate_only = r.bool()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { resources, validate_only })
    }
}

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AlterConfigsResource<'a> {
    /// In every version.
    pub resource_type: i8,
    /// In every version.
    pub resource_name: &'a str,
    /// In every version.
    pub configs: Vec<AlterableConfig<'a>>,
}

impl<'a> AlterConfigsResource<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 4;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 2;
        let resource_type = r.i8()?;
        let resource_name = r.string(flexible)?;
        let configs =
            r.array(flexible, AlterableConfig::MIN_BYTES, |r| AlterableConfig::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { resource_type, resource_name, configs })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 2;
        w.i8(self.resource_type);
        w.string(self.resource_name, flexible)?;
        w.array(&self.configs, flexible, |w, x| x.encode(w, version))?;
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
        let flexible = version >= 2;
        let resource_type = r.i8()?;
        let resource_name = r.string(flexible)?;
        let configs = match r.open_array(flexible, AlterableConfig::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(AlterableConfig::decode(r, version)?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { resource_type, resource_name, configs })
    }
}

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterableConfig<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub value: Option<&'a str>,
}

impl Default for AlterableConfig<'_> {
    fn default() -> Self {
        Self { name: "", value: Some("") }
    }
}

impl<'a> AlterableConfig<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 2;
        let name = r.string(flexible)?;
        let value = r.nullable_string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, value })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 2;
        w.string(self.name, flexible)?;
        w.nullable_string(self.value, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
