//! `FindCoordinatorResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 6.
#[derive(Clone, Debug, PartialEq)]
pub struct FindCoordinatorResponse<'a> {
    /// From version 1, ignorable.
    pub throttle_time_ms: i32,
    /// In versions 0 to 3.
    pub error_code: i16,
    /// In versions 1 to 3, ignorable.
    pub error_message: Option<&'a str>,
    /// In versions 0 to 3.
    pub node_id: i32,
    /// In versions 0 to 3.
    pub host: &'a str,
    /// In versions 0 to 3.
    pub port: i32,
    /// From version 4.
    pub coordinators: Vec<Coordinator<'a>>,
}

impl Default for FindCoordinatorResponse<'_> {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: 0,
            error_message: Some(""),
            node_id: 0,
            host: "",
            port: 0,
            coordinators: Vec::new(),
        }
    }
}

impl<'a> FindCoordinatorResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::FIND_COORDINATOR;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        let throttle_time_ms = if version >= 1 { r.i32()? } else { 0 };
        let error_code = if version <= 3 { r.i16()? } else { 0 };
        let error_message =
            if (1..=3).contains(&version) { r.nullable_string(flexible)? } else { Some("") };
        let node_id = if version <= 3 { r.i32()? } else { 0 };
        let host = if version <= 3 { r.string(flexible)? } else { "" };
        let port = if version <= 3 { r.i32()? } else { 0 };
        let coordinators = if version >= 4 {
            r.array(flexible, Coordinator::MIN_BYTES, |r| Coordinator::decode(r, version))?
        } else {
            Vec::new()
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, error_code, error_message, node_id, host, port, coordinators })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        if version <= 3 {
            w.error_code(self.error_code);
        } else {
            check_absent(self.error_code == 0, "error_code")?;
        }
        if (1..=3).contains(&version) {
            w.nullable_string(self.error_message, flexible)?;
        }
        if version <= 3 {
            w.i32(self.node_id);
        } else {
            check_absent(self.node_id == 0, "node_id")?;
        }
        if version <= 3 {
            w.string(self.host, flexible)?;
        } else {
            check_absent(self.host == "", "host")?;
        }
        if version <= 3 {
            w.i32(self.port);
        } else {
            check_absent(self.port == 0, "port")?;
        }
        if version >= 4 {
            w.array(&self.coordinators, flexible, |w, x| x.encode(w, version))?;
        } else {
            check_absent(self.coordinators.is_empty(), "coordinators")?;
        }
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
        let flexible = version >= 3;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        if version <= 3 {
            w.error_code(self.error_code);
        } else {
            check_absent(self.error_code == 0, "error_code")?;
        }
        if (1..=3).contains(&version) {
            w.nullable_string(self.error_message, flexible)?;
        }
        if version <= 3 {
            w.i32(self.node_id);
        } else {
            check_absent(self.node_id == 0, "node_id")?;
        }
        if version <= 3 {
            w.string(self.host, flexible)?;
        } else {
            check_absent(self.host == "", "host")?;
        }
        if version <= 3 {
            w.i32(self.port);
        } else {
            check_absent(self.port == 0, "port")?;
        }
        if version >= 4 {
            let values = Some(&self.coordinators[..]);
            w.array_len(values.map(<[_]>::len), flexible)?;
            for x in values.unwrap_or_default() {
                x.encode(w, version)?;
                pause().await;
            }
        } else {
            check_absent(self.coordinators.is_empty(), "coordinators")?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 4 to 6.
#[derive(Clone, Debug, PartialEq)]
pub struct Coordinator<'a> {
    /// In every version.
    pub key: &'a str,
    /// In every version.
    pub node_id: i32,
    /// In every version.
    pub host: &'a str,
    /// In every version.
    pub port: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version, ignorable.
    pub error_message: Option<&'a str>,
}

impl Default for Coordinator<'_> {
    fn default() -> Self {
        Self { key: "", node_id: 0, host: "", port: 0, error_code: 0, error_message: Some("") }
    }
}

impl<'a> Coordinator<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 14;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let key = r.string(flexible)?;
        let node_id = r.i32()?;
        let host = r.string(flexible)?;
        let port = r.i32()?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { key, node_id, host, port, error_code, error_message })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.key, flexible)?;
        w.i32(self.node_id);
        w.string(self.host, flexible)?;
        w.i32(self.port);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
