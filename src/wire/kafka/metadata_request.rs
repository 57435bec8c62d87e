//! `MetadataRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_null, check_version};

/// In versions 0 to 13.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataRequest<'a> {
    /// In every version, nullable from version 1.
    pub topics: Option<Vec<MetadataRequestTopic<'a>>>,
    /// From version 4, default true.
    pub allow_auto_topic_creation: bool,
    /// In versions 8 to 10.
    pub include_cluster_authorized_operations: bool,
    /// From version 8.
    pub include_topic_authorized_operations: bool,
}

impl Default for MetadataRequest<'_> {
    fn default() -> Self {
        Self {
            topics: Some(Vec::new()),
            allow_auto_topic_creation: true,
            include_cluster_authorized_operations: false,
            include_topic_authorized_operations: false,
        }
    }
}

impl<'a> MetadataRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::METADATA;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 13;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 9;
        let topics = check_null(
            r.nullable_array(flexible, MetadataRequestTopic::MIN_BYTES, |r| {
                MetadataRequestTopic::decode(r, version)
            })?,
            version >= 1,
        )?;
        let allow_auto_topic_creation = if version >= 4 { r.bool()? } else { true };
        let include_cluster_authorized_operations =
            if (8..=10).contains(&version) { r.bool()? } else { false };
        let include_topic_authorized_operations = if version >= 8 { r.bool()? } else { false };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            topics,
            allow_auto_topic_creation,
            include_cluster_authorized_operations,
            include_topic_authorized_operations,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 9;
        check_null(self.topics.as_ref(), version >= 1)?;
        w.nullable_array(self.topics.as_deref(), flexible, |w, x| x.encode(w, version))?;
        if version >= 4 {
            w.bool(self.allow_auto_topic_creation);
        } else {
            check_absent(self.allow_auto_topic_creation, "allow_auto_topic_creation")?;
        }
        if (8..=10).contains(&version) {
            w.bool(self.include_cluster_authorized_operations);
        } else {
            check_absent(
                !self.include_cluster_authorized_operations,
                "include_cluster_authorized_operations",
            )?;
        }
        if version >= 8 {
            w.bool(self.include_topic_authorized_operations);
        } else {
            check_absent(
                !self.include_topic_authorized_operations,
                "include_topic_authorized_operations",
            )?;
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
        let flexible = version >= 9;
        let topics = check_null(
            match r.open_array(flexible, MetadataRequestTopic::MIN_BYTES)? {
                None => None,
                Some((count, mut values)) => {
                    for _ in 0..count {
                        values.push(MetadataRequestTopic::decode(r, version)?);
                        pause().await;
                    }
                    Some(values)
                }
            },
            version >= 1,
        )?;
        let allow_auto_topic_creation = if version >= 4 { r.bool()? } else { true };
        let include_cluster_authorized_operations =
            if (8..=10).contains(&version) { r.bool()? } else { false };
        let include_topic_authorized_operations = if version >= 8 { r.bool()? } else { false };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            topics,
            allow_auto_topic_creation,
            include_cluster_authorized_operations,
            include_topic_authorized_operations,
        })
    }
}

/// In versions 0 to 13.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataRequestTopic<'a> {
    /// From version 10, ignorable.
    pub topic_id: TopicId,
    /// In every version, nullable from version 10.
    pub name: Option<&'a str>,
}

impl Default for MetadataRequestTopic<'_> {
    fn default() -> Self {
        Self { topic_id: TopicId::ZERO, name: Some("") }
    }
}

impl<'a> MetadataRequestTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 9;
        let topic_id = if version >= 10 { r.uuid()? } else { TopicId::ZERO };
        let name = check_null(r.nullable_string(flexible)?, version >= 10)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_id, name })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 9;
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        check_null(self.name.as_ref(), version >= 10)?;
        w.nullable_string(self.name, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
