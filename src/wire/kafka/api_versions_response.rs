//! `ApiVersionsResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 4.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiVersionsResponse<'a> {
    /// In every version.
    pub error_code: i16,
    /// In every version.
    pub api_keys: Vec<ApiVersion>,
    /// From version 1, ignorable.
    pub throttle_time_ms: i32,
    /// From version 3, tag 0, ignorable.
    pub supported_features: Vec<SupportedFeatureKey<'a>>,
    /// From version 3, tag 1, default -1, ignorable.
    pub finalized_features_epoch: i64,
    /// From version 3, tag 2, ignorable.
    pub finalized_features: Vec<FinalizedFeatureKey<'a>>,
    /// From version 3, tag 3, ignorable.
    pub zk_migration_ready: bool,
}

impl Default for ApiVersionsResponse<'_> {
    fn default() -> Self {
        Self {
            error_code: 0,
            api_keys: Vec::new(),
            throttle_time_ms: 0,
            supported_features: Vec::new(),
            finalized_features_epoch: -1,
            finalized_features: Vec::new(),
            zk_migration_ready: false,
        }
    }
}

impl<'a> ApiVersionsResponse<'a> {
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
        let error_code = r.i16()?;
        let api_keys =
            r.array(flexible, ApiVersion::MIN_BYTES, |r| ApiVersion::decode(r, version))?;
        let throttle_time_ms = if version >= 1 { r.i32()? } else { 0 };
        let mut supported_features = Vec::new();
        let mut finalized_features_epoch = -1;
        let mut finalized_features = Vec::new();
        let mut zk_migration_ready = false;
        if flexible {
            r.tagged_fields(|tag, r| {
                match tag {
                    0 => {
                        supported_features =
                            r.array(flexible, SupportedFeatureKey::MIN_BYTES, |r| {
                                SupportedFeatureKey::decode(r, version)
                            })?
                    }
                    1 => finalized_features_epoch = r.i64()?,
                    2 => {
                        finalized_features =
                            r.array(flexible, FinalizedFeatureKey::MIN_BYTES, |r| {
                                FinalizedFeatureKey::decode(r, version)
                            })?
                    }
                    3 => zk_migration_ready = r.bool()?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(Self {
            error_code,
            api_keys,
            throttle_time_ms,
            supported_features,
            finalized_features_epoch,
            finalized_features,
            zk_migration_ready,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        w.error_code(self.error_code);
        w.array(&self.api_keys, flexible, |w, x| x.encode(w, version))?;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        if flexible {
            let set_0 = !(self.supported_features.is_empty());
            let set_1 = !(self.finalized_features_epoch == -1);
            let set_2 = !(self.finalized_features.is_empty());
            let set_3 = !(!self.zk_migration_ready);
            w.varint(u32::from(set_0) + u32::from(set_1) + u32::from(set_2) + u32::from(set_3));
            if set_0 {
                w.tagged_field(0, |w| {
                    w.array(&self.supported_features, flexible, |w, x| x.encode(w, version))?;
                    Ok(())
                })?;
            }
            if set_1 {
                w.tagged_field(1, |w| {
                    w.i64(self.finalized_features_epoch);
                    Ok(())
                })?;
            }
            if set_2 {
                w.tagged_field(2, |w| {
                    w.array(&self.finalized_features, flexible, |w, x| x.encode(w, version))?;
                    Ok(())
                })?;
            }
            if set_3 {
                w.tagged_field(3, |w| {
                    w.bool(self.zk_migration_ready);
                    Ok(())
                })?;
            }
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
        let flexible = version >= 3;
        w.error_code(self.error_code);
        let values = Some(&self.api_keys[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        if flexible {
            let set_0 = !(self.supported_features.is_empty());
            let set_1 = !(self.finalized_features_epoch == -1);
            let set_2 = !(self.finalized_features.is_empty());
            let set_3 = !(!self.zk_migration_ready);
            w.varint(u32::from(set_0) + u32::from(set_1) + u32::from(set_2) + u32::from(set_3));
            if set_0 {
                w.tagged_field(0, |w| {
                    w.array(&self.supported_features, flexible, |w, x| x.encode(w, version))?;
                    Ok(())
                })?;
            }
            if set_1 {
                w.tagged_field(1, |w| {
                    w.i64(self.finalized_features_epoch);
                    Ok(())
                })?;
            }
            if set_2 {
                w.tagged_field(2, |w| {
                    w.array(&self.finalized_features, flexible, |w, x| x.encode(w, version))?;
                    Ok(())
                })?;
            }
            if set_3 {
                w.tagged_field(3, |w| {
                    w.bool(self.zk_migration_ready);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// In versions 0 to 4.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ApiVersion {
    /// In every version.
    pub api_key: i16,
    /// In every version.
    pub min_version: i16,
    /// In every version.
    pub max_version: i16,
}

impl ApiVersion {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 3;
        let api_key = r.i16()?;
        let min_version = r.i16()?;
        let max_version = r.i16()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { api_key, min_version, max_version })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 3;
        w.i16(self.api_key);
        w.i16(self.min_version);
        w.i16(self.max_version);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 3 to 4.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct SupportedFeatureKey<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub min_version: i16,
    /// In every version.
    pub max_version: i16,
}

impl<'a> SupportedFeatureKey<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let name = r.string(flexible)?;
        let min_version = r.i16()?;
        let max_version = r.i16()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, min_version, max_version })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.name, flexible)?;
        w.i16(self.min_version);
        w.i16(self.max_version);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 3 to 4.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FinalizedFeatureKey<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub max_version_level: i16,
    /// In every version.
    pub min_version_level: i16,
}

impl<'a> FinalizedFeatureKey<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let name = r.string(flexible)?;
        let max_version_level = r.i16()?;
        let min_version_level = r.i16()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, max_version_level, min_version_level })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.name, flexible)?;
        w.i16(self.max_version_level);
        w.i16(self.min_version_level);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
