//! `UpdateFeaturesRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateFeaturesRequest<'a> {
    /// In every version, default 60000.
    pub timeout_ms: i32,
    /// In every version.
    pub feature_updates: Vec<FeatureUpdateKey<'a>>,
    /// From version 1.
    pub validate_only: bool,
}

impl Default for UpdateFeaturesRequest<'_> {
    fn default() -> Self {
        Self { timeout_ms: 60000, feature_updates: Vec::new(), validate_only: false }
    }
}

impl<'a> UpdateFeaturesRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::UPDATE_FEATURES;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let timeout_ms = r.i32()?;
        let feature_updates = r.array(flexible, FeatureUpdateKey::MIN_BYTES, |r| {
            FeatureUpdateKey::decode(r, version)
        })?;
        let validate_only = if version >= 1 { r.bool()? } else { false };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { timeout_ms, feature_updates, validate_only })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.timeout_ms);
        w.array(&self.feature_updates, flexible, |w, x| x.encode(w, version))?;
        if version >= 1 {
            w.bool(self.validate_only);
        } else {
            check_absent(!self.validate_only, "validate_only")?;
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
        let timeout_ms = r.i32()?;
        let feature_updates = match r.open_array(flexible, FeatureUpdateKey::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(FeatureUpdateKey::decode(r, version)?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let validate_only = if version >= 1 { r.bool()? } else { false };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { timeout_ms, feature_updates, validate_only })
    }
}

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureUpdateKey<'a> {
    /// In every version.
    pub feature: &'a str,
    /// In every version.
    pub max_version_level: i16,
    /// In version 0.
    pub allow_downgrade: bool,
    /// From version 1, default 1.
    pub upgrade_type: i8,
}

impl Default for FeatureUpdateKey<'_> {
    fn default() -> Self {
        Self { feature: "", max_version_level: 0, allow_downgrade: false, upgrade_type: 1 }
    }
}

impl<'a> FeatureUpdateKey<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 5;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let feature = r.string(flexible)?;
        let max_version_level = r.i16()?;
        let allow_downgrade = if version <= 0 { r.bool()? } else { false };
        let upgrade_type = if version >= 1 { r.i8()? } else { 1 };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { feature, max_version_level, allow_downgrade, upgrade_type })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.feature, flexible)?;
        w.i16(self.max_version_level);
        if version <= 0 {
            w.bool(self.allow_downgrade);
        } else {
            check_absent(!self.allow_downgrade, "allow_downgrade")?;
        }
        if version >= 1 {
            w.i8(self.upgrade_type);
        } else {
            check_absent(self.upgrade_type == 1, "upgrade_type")?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
