//! `DeleteTopicsResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_null, check_version};

/// In versions 1 to 6.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DeleteTopicsResponse<'a> {
    /// In every version, ignorable.
    pub throttle_time_ms: i32,
    /// In every version.
    pub responses: Vec<DeletableTopicResult<'a>>,
}

impl<'a> DeleteTopicsResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::DELETE_TOPICS;
    /// The first version.
    pub const MIN_VERSION: i16 = 1;
    /// The last version.
    pub const MAX_VERSION: i16 = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 4;
        let throttle_time_ms = r.i32()?;
        let responses = r.array(flexible, DeletableTopicResult::MIN_BYTES, |r| {
            DeletableTopicResult::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, responses })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 4;
        w.i32(self.throttle_time_ms);
        w.array(&self.responses, flexible, |w, x| x.encode(w, version))?;
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
        let flexible = version >= 4;
        w.i32(self.throttle_time_ms);
        let values = Some(&self.responses[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 1 to 6.
#[derive(Clone, Debug, PartialEq)]
pub struct DeletableTopicResult<'a> {
    /// In every version, nullable in version 6.
    pub name: Option<&'a str>,
    /// In version 6, ignorable.
    pub topic_id: TopicId,
    /// In every version.
    pub error_code: i16,
    /// From version 5, default null, ignorable.
    pub error_message: Option<&'a str>,
}

impl Default for DeletableTopicResult<'_> {
    fn default() -> Self {
        Self { name: Some(""), topic_id: TopicId::ZERO, error_code: 0, error_message: None }
    }
}

impl<'a> DeletableTopicResult<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 4;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 4;
        let name = check_null(r.nullable_string(flexible)?, version >= 6)?;
        let topic_id = if version >= 6 { r.uuid()? } else { TopicId::ZERO };
        let error_code = r.i16()?;
        let error_message = if version >= 5 { r.nullable_string(flexible)? } else { None };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, topic_id, error_code, error_message })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 4;
        check_null(self.name.as_ref(), version >= 6)?;
        w.nullable_string(self.name, flexible)?;
        if version >= 6 {
            w.uuid(self.topic_id);
        }
        w.error_code(self.error_code);
        if version >= 5 {
            w.nullable_string(self.error_message, flexible)?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
