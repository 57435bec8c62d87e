//! `DescribeClusterResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeClusterResponse<'a> {
    /// In every version.
    pub throttle_time_ms: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version, default null.
    pub error_message: Option<&'a str>,
    /// From version 1, default 1.
    pub endpoint_type: i8,
    /// In every version.
    pub cluster_id: &'a str,
    /// In every version, default -1.
    pub controller_id: i32,
    /// In every version.
    pub brokers: Vec<DescribeClusterBroker<'a>>,
    /// In every version, default -2147483648.
    pub cluster_authorized_operations: i32,
}

impl Default for DescribeClusterResponse<'_> {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: 0,
            error_message: None,
            endpoint_type: 1,
            cluster_id: "",
            controller_id: -1,
            brokers: Vec::new(),
            cluster_authorized_operations: -2147483648,
        }
    }
}

impl<'a> DescribeClusterResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::DESCRIBE_CLUSTER;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let throttle_time_ms = r.i32()?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        let endpoint_type = if version >= 1 { r.i8()? } else { 1 };
        let cluster_id = r.string(flexible)?;
        let controller_id = r.i32()?;
        let brokers = r.array(flexible, DescribeClusterBroker::MIN_BYTES, |r| {
            DescribeClusterBroker::decode(r, version)
        })?;
        let cluster_authorized_operations = r.i32()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            throttle_time_ms,
            error_code,
            error_message,
            endpoint_type,
            cluster_id,
            controller_id,
            brokers,
            cluster_authorized_operations,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        if version >= 1 {
            w.i8(self.endpoint_type);
        } else {
            check_absent(self.endpoint_type == 1, "endpoint_type")?;
        }
        w.string(self.cluster_id, flexible)?;
        w.i32(self.controller_id);
        w.array(&self.brokers, flexible, |w, x| x.encode(w, version))?;
        w.i32(self.cluster_authorized_operations);
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
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        if version >= 1 {
            w.i8(self.endpoint_type);
        } else {
            check_absent(self.endpoint_type == 1, "endpoint_type")?;
        }
        w.string(self.cluster_id, flexible)?;
        w.i32(self.controller_id);
        let values = Some(&self.brokers[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        w.i32(self.cluster_authorized_operations);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribeClusterBroker<'a> {
    /// In every version.
    pub broker_id: i32,
    /// In every version.
    pub host: &'a str,
    /// In every version.
    pub port: i32,
    /// In every version, default null.
    pub rack: Option<&'a str>,
    /// In version 2.
    pub is_fenced: bool,
}

impl<'a> DescribeClusterBroker<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 11;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let broker_id = r.i32()?;
        let host = r.string(flexible)?;
        let port = r.i32()?;
        let rack = r.nullable_string(flexible)?;
        let is_fenced = if version >= 2 { r.bool()? } else { false };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { broker_id, host, port, rack, is_fenced })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.broker_id);
        w.string(self.host, flexible)?;
        w.i32(self.port);
        w.nullable_string(self.rack, flexible)?;
        if version >= 2 {
            w.bool(self.is_fenced);
        } else {
            check_absent(!self.is_fenced, "is_fenced")?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
