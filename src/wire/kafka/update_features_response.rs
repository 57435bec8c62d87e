//! `UpdateFeaturesResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateFeaturesResponse<'a> {
    /// In every version.
    pub throttle_time_ms: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version.
    pub error_message: Option<&'a str>,
    /// In versions 0 to 1, ignorable.
    pub results: Vec<UpdatableFeatureResult<'a>>,
}

impl Default for UpdateFeaturesResponse<'_> {
    fn default() -> Self {
        Self { throttle_time_ms: 0, error_code: 0, error_message: Some(""), results: Vec::new() }
    }
}

impl<'a> UpdateFeaturesResponse<'a> {
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
        let throttle_time_ms = r.i32()?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        let results = if version <= 1 {
            r.array(flexible, UpdatableFeatureResult::MIN_BYTES, |r| {
                UpdatableFeatureResult::decode(r, version)
            })?
        } else {
            Vec::new()
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, error_code, error_message, results })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        if version <= 1 {
            w.array(&self.results, flexible, |w, x| x.encode(w, version))?;
        }
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
        w.nullable_string(self.error_message, flexible)?;
        if version <= 1 {
            let values = Some(&self.results[..]);
            w.array_len(values.map(<[_]>::len), flexible)?;
            for x in values.unwrap_or_default() {
                x.encode(w, version)?;
                pause().await;
            }
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdatableFeatureResult<'a> {
    /// In every version.
    pub feature: &'a str,
    /// In every version.
    pub error_code: i16,
    /// In every version.
    pub error_message: Option<&'a str>,
}

impl Default for UpdatableFeatureResult<'_> {
    fn default() -> Self {
        Self { feature: "", error_code: 0, error_message: Some("") }
    }
}

impl<'a> UpdatableFeatureResult<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 5;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let feature = r.string(flexible)?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { feature, error_code, error_message })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.feature, flexible)?;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
