//! `DeleteTopicsRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 1 to 6.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DeleteTopicsRequest<'a> {
    /// In version 6.
    pub topics: Vec<DeleteTopicState<'a>>,
    /// In versions 1 to 5, ignorable.
    pub topic_names: Vec<&'a str>,
    /// In every version.
    pub timeout_ms: i32,
}

impl<'a> DeleteTopicsRequest<'a> {
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
        let topics = if version >= 6 {
            r.array(flexible, DeleteTopicState::MIN_BYTES, |r| {
                DeleteTopicState::decode(r, version)
            })?
        } else {
            Vec::new()
        };
        let topic_names = if version <= 5 {
            r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?
        } else {
            Vec::new()
        };
        let timeout_ms = r.i32()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topics, topic_names, timeout_ms })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 4;
        if version >= 6 {
            w.array(&self.topics, flexible, |w, x| x.encode(w, version))?;
        } else {
            check_absent(self.topics.is_empty(), "topics")?;
        }
        if version <= 5 {
            w.array(&self.topic_names, flexible, |w, x| w.string(x, flexible))?;
        }
        w.i32(self.timeout_ms);
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
        let flexible = version >= 4;
        let topics = if version >= 6 {
            match r.open_array(flexible, DeleteTopicState::MIN_BYTES)? {
                None => None,
                Some((count, mut values)) => {
                    for _ in 0..count {
                        values.push(DeleteTopicState::decode(r, version)?);
                        pause().await;
                    }
                    Some(values)
                }
            }
            .ok_or(WireError::Null)?
        } else {
            Vec::new()
        };
        let topic_names = if version <= 5 {
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
        let timeout_ms = r.i32()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topics, topic_names, timeout_ms })
    }
}

/// In versions 6 to 6.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DeleteTopicState<'a> {
    /// In every version, default null.
    pub name: Option<&'a str>,
    /// In every version.
    pub topic_id: TopicId,
}

impl<'a> DeleteTopicState<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 18;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let name = r.nullable_string(flexible)?;
        let topic_id = r.uuid()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, topic_id })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.nullable_string(self.name, flexible)?;
        w.uuid(self.topic_id);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
