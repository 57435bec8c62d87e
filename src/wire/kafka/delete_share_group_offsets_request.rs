//! `DeleteShareGroupOffsetsRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DeleteShareGroupOffsetsRequest<'a> {
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub topics: Vec<DeleteShareGroupOffsetsRequestTopic<'a>>,
}

impl<'a> DeleteShareGroupOffsetsRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::DELETE_SHARE_GROUP_OFFSETS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 0;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let group_id = r.string(flexible)?;
        let topics = r.array(flexible, DeleteShareGroupOffsetsRequestTopic::MIN_BYTES, |r| {
            DeleteShareGroupOffsetsRequestTopic::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, topics })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.string(self.group_id, flexible)?;
        w.array(&self.topics, flexible, |w, x| x.encode(w, version))?;
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
        let group_id = r.string(flexible)?;
        let topics =
            match r.open_array(flexible, DeleteShareGroupOffsetsRequestTopic::MIN_BYTES)? {
                None => None,
                Some((count, mut values)) => {
                    for _ in 0..count {
                        values.push(DeleteShareGroupOffsetsRequestTopic::decode(r, version)?);
                        pause().await;
                    }
                    Some(values)
                }
            }
            .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, topics })
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DeleteShareGroupOffsetsRequestTopic<'a> {
    /// In every version.
    pub topic_name: &'a str,
}

impl<'a> DeleteShareGroupOffsetsRequestTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_name = r.string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_name })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.topic_name, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
