//! `DescribeProducersRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribeProducersRequest<'a> {
    /// In every version.
    pub topics: Vec<TopicRequest<'a>>,
}

impl<'a> DescribeProducersRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::DESCRIBE_PRODUCERS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 0;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let topics =
            r.array(flexible, TopicRequest::MIN_BYTES, |r| TopicRequest::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topics })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
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
        let topics = match r.open_array(flexible, TopicRequest::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(TopicRequest::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topics })
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TopicRequest<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub partition_indexes: Vec<i32>,
}

impl<'a> TopicRequest<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let name = r.string(flexible)?;
        let partition_indexes = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, partition_indexes })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.name, flexible)?;
        w.array(&self.partition_indexes, flexible, |w, x| {
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
        let flexible = true;
        let name = r.string(flexible)?;
        let partition_indexes = match r.open_array(flexible, 4)? {
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
        Ok(Self { name, partition_indexes })
    }
}
