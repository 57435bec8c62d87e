//! `DescribeShareGroupOffsetsRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribeShareGroupOffsetsRequest<'a> {
    /// In every version.
    pub groups: Vec<DescribeShareGroupOffsetsRequestGroup<'a>>,
}

impl<'a> DescribeShareGroupOffsetsRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 1;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let groups = r.array(flexible, DescribeShareGroupOffsetsRequestGroup::MIN_BYTES, |r| {
            DescribeShareGroupOffsetsRequestGroup::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { groups })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.array(&self.groups, flexible, |w, x| x.encode(w, version))?;
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
        let groups = match r
            .open_array(flexible, DescribeShareGroupOffsetsRequestGroup::MIN_BYTES)?
        {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(
                        DescribeShareGroupOffsetsRequestGroup::decode_in_parts(r, version, pause)
                            .await?,
                    );
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { groups })
    }
}

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeShareGroupOffsetsRequestGroup<'a> {
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub topics: Option<Vec<DescribeShareGroupOffsetsRequestTopic<'a>>>,
}

impl Default for DescribeShareGroupOffsetsRequestGroup<'_> {
    fn default() -> Self {
        Self { group_id: "", topics: Some(Vec::new()) }
    }
}

impl<'a> DescribeShareGroupOffsetsRequestGroup<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let group_id = r.string(flexible)?;
        let topics =
            r.nullable_array(flexible, DescribeShareGroupOffsetsRequestTopic::MIN_BYTES, |r| {
                DescribeShareGroupOffsetsRequestTopic::decode(r, version)
            })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, topics })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.group_id, flexible)?;
        w.nullable_array(self.topics.as_deref(), flexible, |w, x| x.encode(w, version))?;
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
        let group_id = r.string(flexible)?;
        let topics = match r
            .open_array(flexible, DescribeShareGroupOffsetsRequestTopic::MIN_BYTES)?
        {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(
                        DescribeShareGroupOffsetsRequestTopic::decode_in_parts(r, version, pause)
                            .await?,
                    );
                    pause().await;
                }
                Some(values)
            }
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, topics })
    }
}

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribeShareGroupOffsetsRequestTopic<'a> {
    /// In every version.
    pub topic_name: &'a str,
    /// In every version.
    pub partitions: Vec<i32>,
}

impl<'a> DescribeShareGroupOffsetsRequestTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_name = r.string(flexible)?;
        let partitions = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_name, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.topic_name, flexible)?;
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
        let flexible = true;
        let topic_name = r.string(flexible)?;
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
        Ok(Self { topic_name, partitions })
    }
}
