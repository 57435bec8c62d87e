//! `ShareGroupDescribeResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 1 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ShareGroupDescribeResponse<'a> {
    /// In every version.
    pub throttle_time_ms: i32,
    /// In every version.
    pub groups: Vec<DescribedGroup<'a>>,
}

impl<'a> ShareGroupDescribeResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::SHARE_GROUP_DESCRIBE;
    /// The first version.
    pub const MIN_VERSION: i16 = 1;
    /// The last version.
    pub const MAX_VERSION: i16 = 1;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let throttle_time_ms = r.i32()?;
        let groups =
            r.array(flexible, DescribedGroup::MIN_BYTES, |r| DescribedGroup::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, groups })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.array(&self.groups, flexible, |w, x| x.encode(w, version))?;
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
        let values = Some(&self.groups[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 1 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedGroup<'a> {
    /// In every version.
    pub error_code: i16,
    /// In every version, default null.
    pub error_message: Option<&'a str>,
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub group_state: &'a str,
    /// In every version.
    pub group_epoch: i32,
    /// In every version.
    pub assignment_epoch: i32,
    /// In every version.
    pub assignor_name: &'a str,
    /// In every version.
    pub members: Vec<Member<'a>>,
    /// In every version, default -2147483648.
    pub authorized_operations: i32,
}

impl Default for DescribedGroup<'_> {
    fn default() -> Self {
        Self {
            error_code: 0,
            error_message: None,
            group_id: "",
            group_state: "",
            group_epoch: 0,
            assignment_epoch: 0,
            assignor_name: "",
            members: Vec::new(),
            authorized_operations: -2147483648,
        }
    }
}

impl<'a> DescribedGroup<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 20;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        let group_id = r.string(flexible)?;
        let group_state = r.string(flexible)?;
        let group_epoch = r.i32()?;
        let assignment_epoch = r.i32()?;
        let assignor_name = r.string(flexible)?;
        let members = r.array(flexible, Member::MIN_BYTES, |r| Member::decode(r, version))?;
        let authorized_operations = r.i32()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            error_code,
            error_message,
            group_id,
            group_state,
            group_epoch,
            assignment_epoch,
            assignor_name,
            members,
            authorized_operations,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        w.string(self.group_id, flexible)?;
        w.string(self.group_state, flexible)?;
        w.i32(self.group_epoch);
        w.i32(self.assignment_epoch);
        w.string(self.assignor_name, flexible)?;
        w.array(&self.members, flexible, |w, x| x.encode(w, version))?;
        w.i32(self.authorized_operations);
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
        let flexible = true;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        w.string(self.group_id, flexible)?;
        w.string(self.group_state, flexible)?;
        w.i32(self.group_epoch);
        w.i32(self.assignment_epoch);
        w.string(self.assignor_name, flexible)?;
        let values = Some(&self.members[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        w.i32(self.authorized_operations);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 1 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Member<'a> {
    /// In every version.
    pub member_id: &'a str,
    /// In every version, default null.
    pub rack_id: Option<&'a str>,
    /// In every version.
    pub member_epoch: i32,
    /// In every version.
    pub client_id: &'a str,
    /// In every version.
    pub client_host: &'a str,
    /// In every version.
    pub subscribed_topic_names: Vec<&'a str>,
    /// In every version.
    pub assignment: Assignment<'a>,
}

impl<'a> Member<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 12;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let member_id = r.string(flexible)?;
        let rack_id = r.nullable_string(flexible)?;
        let member_epoch = r.i32()?;
        let client_id = r.string(flexible)?;
        let client_host = r.string(flexible)?;
        let subscribed_topic_names =
            r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?;
        let assignment = Assignment::decode(r, version)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            member_id,
            rack_id,
            member_epoch,
            client_id,
            client_host,
            subscribed_topic_names,
            assignment,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.member_id, flexible)?;
        w.nullable_string(self.rack_id, flexible)?;
        w.i32(self.member_epoch);
        w.string(self.client_id, flexible)?;
        w.string(self.client_host, flexible)?;
        w.array(&self.subscribed_topic_names, flexible, |w, x| w.string(x, flexible))?;
        self.assignment.encode(w, version)?;
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
        let flexible = true;
        w.string(self.member_id, flexible)?;
        w.nullable_string(self.rack_id, flexible)?;
        w.i32(self.member_epoch);
        w.string(self.client_id, flexible)?;
        w.string(self.client_host, flexible)?;
        let values = Some(&self.subscribed_topic_names[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            w.string(x, flexible)?;
            pause().await;
        }
        self.assignment.encode(w, version)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 1 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Assignment<'a> {
    /// In every version.
    pub topic_partitions: Vec<TopicPartitions<'a>>,
}

impl<'a> Assignment<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_partitions =
            r.array(flexible, TopicPartitions::MIN_BYTES, |r| TopicPartitions::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.array(&self.topic_partitions, flexible, |w, x| x.encode(w, version))?;
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
        let flexible = true;
        let values = Some(&self.topic_partitions[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 1 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TopicPartitions<'a> {
    /// In every version.
    pub topic_id: TopicId,
    /// In every version.
    pub topic_name: &'a str,
    /// In every version.
    pub partitions: Vec<i32>,
}

impl<'a> TopicPartitions<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 19;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_id = r.uuid()?;
        let topic_name = r.string(flexible)?;
        let partitions = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_id, topic_name, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.uuid(self.topic_id);
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

    /// Writes it as [`encode`](Self::encode) does; pauses after each element.
    pub async fn encode_in_parts(
        &self,
        w: &mut Writer,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<(), WireError> {
        let flexible = true;
        w.uuid(self.topic_id);
        w.string(self.topic_name, flexible)?;
        let values = Some(&self.partitions[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            w.i32(*x);
            pause().await;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
