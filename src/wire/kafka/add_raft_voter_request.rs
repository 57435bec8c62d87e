//! `AddRaftVoterRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct AddRaftVoterRequest<'a> {
    /// In every version.
    pub cluster_id: Option<&'a str>,
    /// In every version.
    pub timeout_ms: i32,
    /// In every version.
    pub voter_id: i32,
    /// In every version.
    pub voter_directory_id: TopicId,
    /// In every version.
    pub listeners: Vec<Listener<'a>>,
    /// In version 1, default true.
    pub ack_when_committed: bool,
}

impl Default for AddRaftVoterRequest<'_> {
    fn default() -> Self {
        Self {
            cluster_id: Some(""),
            timeout_ms: 0,
            voter_id: 0,
            voter_directory_id: TopicId::ZERO,
            listeners: Vec::new(),
            ack_when_committed: true,
        }
    }
}

impl<'a> AddRaftVoterRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::ADD_RAFT_VOTER;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 1;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let cluster_id = r.nullable_string(flexible)?;
        let timeout_ms = r.i32()?;
        let voter_id = r.i32()?;
        let voter_directory_id = r.uuid()?;
        let listeners = r.array(flexible, Listener::MIN_BYTES, |r| Listener::decode(r, version))?;
        let ack_when_committed = if version >= 1 { r.bool()? } else { true };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            cluster_id,
            timeout_ms,
            voter_id,
            voter_directory_id,
            listeners,
            ack_when_committed,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.nullable_string(self.cluster_id, flexible)?;
        w.i32(self.timeout_ms);
        w.i32(self.voter_id);
        w.uuid(self.voter_directory_id);
        w.array(&self.listeners, flexible, |w, x| x.encode(w, version))?;
        if version >= 1 {
            w.bool(self.ack_when_committed);
        } else {
            check_absent(self.ack_when_committed, "ack_when_committed")?;
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
        let flexible = true;
        let cluster_id = r.nullable_string(flexible)?;
        let timeout_ms = r.i32()?;
        let voter_id = r.i32()?;
        let voter_directory_id = r.uuid()?;
        let listeners = match r.open_array(flexible, Listener::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(Listener::decode(r, version)?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let ack_when_committed = if version >= 1 { r.bool()? } else { true };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            cluster_id,
            timeout_ms,
            voter_id,
            voter_directory_id,
            listeners,
            ack_when_committed,
        })
    }
}

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Listener<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub host: &'a str,
    /// In every version.
    pub port: u16,
}

impl<'a> Listener<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 5;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let name = r.string(flexible)?;
        let host = r.string(flexible)?;
        let port = r.u16()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, host, port })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.name, flexible)?;
        w.string(self.host, flexible)?;
        w.u16(self.port);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
