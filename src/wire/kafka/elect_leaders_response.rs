//! `ElectLeadersResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ElectLeadersResponse<'a> {
    /// In every version.
    pub throttle_time_ms: i32,
    /// From version 1.
    pub error_code: i16,
    /// In every version.
    pub replica_election_results: Vec<ReplicaElectionResult<'a>>,
}

impl<'a> ElectLeadersResponse<'a> {
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
        let throttle_time_ms = r.i32()?;
        let error_code = if version >= 1 { r.i16()? } else { 0 };
        let replica_election_results =
            r.array(flexible, ReplicaElectionResult::MIN_BYTES, |r| {
                ReplicaElectionResult::decode(r, version)
            })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, error_code, replica_election_results })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 2;
        w.i32(self.throttle_time_ms);
        if version >= 1 {
            w.error_code(self.error_code);
        } else {
            check_absent(self.error_code == 0, "error_code")?;
        }
        w.array(&self.replica_election_results, flexible, |w, x| x.encode(w, version))?;
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
        let flexible = version >= 2;
        w.i32(self.throttle_time_ms);
        if version >= 1 {
            w.error_code(self.error_code);
        } else {
            check_absent(self.error_code == 0, "error_code")?;
        }
        let values = Some(&self.replica_election_results[..]);
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

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ReplicaElectionResult<'a> {
    /// In every version.
    pub topic: &'a str,
    /// In every version.
    pub partition_result: Vec<PartitionResult<'a>>,
}

impl<'a> ReplicaElectionResult<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 2;
        let topic = r.string(flexible)?;
        let partition_result =
            r.array(flexible, PartitionResult::MIN_BYTES, |r| PartitionResult::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic, partition_result })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 2;
        w.string(self.topic, flexible)?;
        w.array(&self.partition_result, flexible, |w, x| x.encode(w, version))?;
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
        let flexible = version >= 2;
        w.string(self.topic, flexible)?;
        let values = Some(&self.partition_result[..]);
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

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionResult<'a> {
    /// In every version.
    pub partition_id: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version.
    pub error_message: Option<&'a str>,
}

impl Default for PartitionResult<'_> {
    fn default() -> Self {
        Self { partition_id: 0, error_code: 0, error_message: Some("") }
    }
}

impl<'a> PartitionResult<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 8;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 2;
        let partition_id = r.i32()?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { partition_id, error_code, error_message })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 2;
        w.i32(self.partition_id);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
