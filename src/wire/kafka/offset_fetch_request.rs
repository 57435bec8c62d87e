//! `OffsetFetchRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_null, check_version};

/// In versions 1 to 10.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetFetchRequest<'a> {
    /// In versions 1 to 7.
    pub group_id: &'a str,
    /// In versions 1 to 7, nullable in versions 2 to 7.
    pub topics: Option<Vec<OffsetFetchRequestTopic<'a>>>,
    /// From version 8.
    pub groups: Vec<OffsetFetchRequestGroup<'a>>,
    /// From version 7.
    pub require_stable: bool,
}

impl Default for OffsetFetchRequest<'_> {
    fn default() -> Self {
        Self { group_id: "", topics: Some(Vec::new()), groups: Vec::new(), require_stable: false }
    }
}

impl<'a> OffsetFetchRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::OFFSET_FETCH;
    /// The first version.
    pub const MIN_VERSION: i16 = 1;
    /// The last version.
    pub const MAX_VERSION: i16 = 10;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 6;
        let group_id = if version <= 7 { r.string(flexible)? } else { "" };
        let topics = if version <= 7 {
            check_null(
                r.nullable_array(flexible, OffsetFetchRequestTopic::MIN_BYTES, |r| {
                    OffsetFetchRequestTopic::decode(r, version)
                })?,
                version >= 2,
            )?
        } else {
            Some(Vec::new())
        };
        let groups = if version >= 8 {
            r.array(flexible, OffsetFetchRequestGroup::MIN_BYTES, |r| {
                OffsetFetchRequestGroup::decode(r, version)
            })?
        } else {
            Vec::new()
        };
        let require_stable = if version >= 7 { r.bool()? } else { false };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, topics, groups, require_stable })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 6;
        if version <= 7 {
            w.string(self.group_id, flexible)?;
        } else {
            check_absent(self.group_id == "", "group_id")?;
        }
        if version <= 7 {
            check_null(self.topics.as_ref(), version >= 2)?;
            w.nullable_array(self.topics.as_deref(), flexible, |w, x| x.encode(w, version))?;
        } else {
            check_absent(self.topics.as_ref().is_some_and(Vec::is_empty), "topics")?;
        }
        if version >= 8 {
            w.array(&self.groups, flexible, |w, x| x.encode(w, version))?;
        } else {
            check_absent(self.groups.is_empty(), "groups")?;
        }
        if version >= 7 {
            w.bool(self.require_stable);
        } else {
            check_absent(!self.require_stable, "require_stable")?;
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
        let flexible = version >= 6;
        let group_id = if version <= 7 { r.string(flexible)? } else { "" };
        let topics = if version <= 7 {
            check_null(
                match r.open_array(flexible, OffsetFetchRequestTopic::MIN_BYTES)? {
                    None => None,
                    Some((count, mut values)) => {
                        for _ in 0..count {
                            values.push(
                                OffsetFetchRequestTopic::decode_in_parts(r, version, pause).await?,
                            );
                            pause().await;
                        }
                        Some(values)
                    }
                },
                version >= 2,
            )?
        } else {
            Some(Vec::new())
        };
        let groups = if version >= 8 {
            match r.open_array(flexible, OffsetFetchRequestGroup::MIN_BYTES)? {
                None => None,
                Some((count, mut values)) => {
                    for _ in 0..count {
                        values.push(
                            OffsetFetchRequestGroup::decode_in_parts(r, version, pause).await?,
                        );
                        pause().await;
                    }
                    Some(values)
                }
            }
            .ok_or(WireError::Null)?
        } else {
            Vec::new()
        };
        let require_stable = if version >= 7 { r.bool()? } else { false };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, topics, groups, require_stable })
    }
}

/// In versions 1 to 7.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct OffsetFetchRequestTopic<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub partition_indexes: Vec<i32>,
}

impl<'a> OffsetFetchRequestTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 6;
        let name = r.string(flexible)?;
        let partition_indexes = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, partition_indexes })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 6;
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
        let flexible = version >= 6;
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

/// In versions 8 to 10.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetFetchRequestGroup<'a> {
    /// In every version.
    pub group_id: &'a str,
    /// From version 9, default null, ignorable.
    pub member_id: Option<&'a str>,
    /// From version 9, default -1, ignorable.
    pub member_epoch: i32,
    /// In every version.
    pub topics: Option<Vec<OffsetFetchRequestTopics<'a>>>,
}

impl Default for OffsetFetchRequestGroup<'_> {
    fn default() -> Self {
        Self { group_id: "", member_id: None, member_epoch: -1, topics: Some(Vec::new()) }
    }
}

impl<'a> OffsetFetchRequestGroup<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let group_id = r.string(flexible)?;
        let member_id = if version >= 9 { r.nullable_string(flexible)? } else { None };
        let member_epoch = if version >= 9 { r.i32()? } else { -1 };
        let topics = r.nullable_array(flexible, OffsetFetchRequestTopics::MIN_BYTES, |r| {
            OffsetFetchRequestTopics::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, member_id, member_epoch, topics })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.group_id, flexible)?;
        if version >= 9 {
            w.nullable_string(self.member_id, flexible)?;
        }
        if version >= 9 {
            w.i32(self.member_epoch);
        }
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
        let member_id = if version >= 9 { r.nullable_string(flexible)? } else { None };
        let member_epoch = if version >= 9 { r.i32()? } else { -1 };
        let topics = match r.open_array(flexible, OffsetFetchRequestTopics::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values
                        .push(OffsetFetchRequestTopics::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, member_id, member_epoch, topics })
    }
}

/// In versions 8 to 10.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct OffsetFetchRequestTopics<'a> {
    /// In versions 8 to 9, ignorable.
    pub name: &'a str,
    /// In version 10, ignorable.
    pub topic_id: TopicId,
    /// In every version.
    pub partition_indexes: Vec<i32>,
}

impl<'a> OffsetFetchRequestTopics<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let name = if version <= 9 { r.string(flexible)? } else { "" };
        let topic_id = if version >= 10 { r.uuid()? } else { TopicId::ZERO };
        let partition_indexes = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, topic_id, partition_indexes })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        if version <= 9 {
            w.string(self.name, flexible)?;
        }
        if version >= 10 {
            w.uuid(self.topic_id);
        }
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
        let name = if version <= 9 { r.string(flexible)? } else { "" };
        let topic_id = if version >= 10 { r.uuid()? } else { TopicId::ZERO };
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
        Ok(Self { name, topic_id, partition_indexes })
    }
}
