//! `ElectLeadersRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct ElectLeadersRequest<'a> {
    /// From version 1.
    pub election_type: i8,
    /// In every version, default null.
    pub topic_partitions: Option<Vec<TopicPartitions<'a>>>,
    /// In every version, default 60000.
    pub timeout_ms: i32,
}

impl Default for ElectLeadersRequest<'_> {
    fn default() -> Self {
        Self { election_type: 0, topic_partitions: None, timeout_ms: 60000 }
    }
}

impl<'a> ElectLeadersRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::ELECT_LEADERS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 2;
        let election_type = if version >= 1 { r.i8()? } else { 0 };
        let topic_partitions = r.nullable_array(flexible, TopicPartitions::MIN_BYTES, |r| {
            TopicPartitions::decode(r, version)
        })?;
        let timeout_ms = r.i32()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { election_type, topic_partitions, timeout_ms })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 2;
        if version >= 1 {
            w.i8(self.election_type);
        } else {
            check_absent(self.election_type == 0, "election_type")?;
        }
        w.nullable_array(self.topic_partitions.as_deref(), flexible, |w, x| x.encode(w, version))?;
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
        let flexible = version >= 2;
        let election_type = if version >= 1 { r.i8()? } else { 0 };
        let topic_partitions = match r.open_array(flexible, TopicPartitions::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(TopicPartitions::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        };
        let timeout_ms = r.i32()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { election_type, topic_partitions, timeout_ms })
    }
}

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TopicPartitions<'a> {
    /// In every version.
    pub topic: &'a str,
    /// In every version.
    pub partitions: Vec<i32>,
}

impl<'a> TopicPartitions<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 2;
        let topic = r.string(flexible)?;
        let partitions = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 2;
        w.string(self.topic, flexible)?;
        w.array(&self.partitions, flexible, |w, x| {
            w.i32(*x);
            Ok(())
        })?;
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
        let topic = r.string(flexible)?;
        let partitions = match r.open_array(flexible, 4)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.i32()?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic, partitions })
    }
}
