//! `RemoveRaftVoterRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoveRaftVoterRequest<'a> {
    /// In every version.
    pub cluster_id: Option<&'a str>,
    /// In every version.
    pub voter_id: i32,
    /// In every version.
    pub voter_directory_id: TopicId,
}

impl Default for RemoveRaftVoterRequest<'_> {
    fn default() -> Self {
        Self { cluster_id: Some(""), voter_id: 0, voter_directory_id: TopicId::ZERO }
    }
}

impl<'a> RemoveRaftVoterRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::REMOVE_RAFT_VOTER;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 0;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let cluster_id = r.nullable_string(flexible)?;
        let voter_id = r.i32()?;
        let voter_directory_id = r.uuid()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { cluster_id, voter_id, voter_directory_id })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.nullable_string(self.cluster_id, flexible)?;
        w.i32(self.voter_id);
        w.uuid(self.voter_directory_id);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
