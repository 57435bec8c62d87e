//! `LeaveGroupRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct LeaveGroupRequest<'a> {
    /// In every version.
    pub group_id: &'a str,
    /// In versions 0 to 2.
    pub member_id: &'a str,
    /// From version 3.
    pub members: Vec<MemberIdentity<'a>>,
}

impl<'a> LeaveGroupRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::LEAVE_GROUP;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 5;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 4;
        let group_id = r.string(flexible)?;
        let member_id = if version <= 2 { r.string(flexible)? } else { "" };
        let members = if version >= 3 {
            r.array(flexible, MemberIdentity::MIN_BYTES, |r| MemberIdentity::decode(r, version))?
        } else {
            Vec::new()
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, member_id, members })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 4;
        w.string(self.group_id, flexible)?;
        if version <= 2 {
            w.string(self.member_id, flexible)?;
        } else {
            check_absent(self.member_id == "", "member_id")?;
        }
        if version >= 3 {
            w.array(&self.members, flexible, |w, x| x.encode(w, version))?;
        } else {
            check_absent(self.members.is_empty(), "members")?;
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
        let flexible = version >= 4;
        let group_id = r.string(flexible)?;
        let member_id = if version <= 2 { r.string(flexible)? } else { "" };
        let members = if version >= 3 {
            match r.open_array(flexible, MemberIdentity::MIN_BYTES)? {
                None => None,
                Some((count, mut values)) => {
                    for _ in 0..count {
                        values.push(MemberIdentity::decode(r, version)?);
                        pause().await;
                    }
                    Some(values)
                }
            }
            .ok_or(WireError::Null)?
        } else {
            Vec::new()
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, member_id, members })
    }
}

/// In versions 3 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct MemberIdentity<'a> {
    /// In every version.
    pub member_id: &'a str,
    /// In every version, default null.
    pub group_instance_id: Option<&'a str>,
    /// In version 5, default null, ignorable.
    pub reason: Option<&'a str>,
}

impl<'a> MemberIdentity<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 4;
        let member_id = r.string(flexible)?;
        let group_instance_id = r.nullable_string(flexible)?;
        let reason = if version >= 5 { r.nullable_string(flexible)? } else { None };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { member_id, group_instance_id, reason })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 4;
        w.string(self.member_id, flexible)?;
        w.nullable_string(self.group_instance_id, flexible)?;
        if version >= 5 {
            w.nullable_string(self.reason, flexible)?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
