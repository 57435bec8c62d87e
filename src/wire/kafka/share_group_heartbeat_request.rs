//! `ShareGroupHeartbeatRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 1 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ShareGroupHeartbeatRequest<'a> {
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub member_id: &'a str,
    /// In every version.
    pub member_epoch: i32,
    /// In every version, default null.
    pub rack_id: Option<&'a str>,
    /// In every version, default null.
    pub subscribed_topic_names: Option<Vec<&'a str>>,
}

impl<'a> ShareGroupHeartbeatRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::SHARE_GROUP_HEARTBEAT;
    /// The first version.
    pub const MIN_VERSION: i16 = 1;
    /// The last version.
    pub const MAX_VERSION: i16 = 1;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let group_id = r.string(flexible)?;
        let member_id = r.string(flexible)?;
        let member_epoch = r.i32()?;
        let rack_id = r.nullable_string(flexible)?;
        let subscribed_topic_names =
            r.nullable_array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, member_id, member_epoch, rack_id, subscribed_topic_names })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.string(self.group_id, flexible)?;
        w.string(self.member_id, flexible)?;
        w.i32(self.member_epoch);
        w.nullable_string(self.rack_id, flexible)?;
        w.nullable_array(self.subscribed_topic_names.as_deref(), flexible, |w, x| {
            w.string(x, flexible)
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
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let group_id = r.string(flexible)?;
        let member_id = r.string(flexible)?;
        let member_epoch = r.i32()?;
        let rack_id = r.nullable_string(flexible)?;
        let subscribed_topic_names = match r.open_array(flexible, if flexible { 1 } else { 2 })? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.string(flexible)?);
                    pause().await;
                }
                Some(values)
            }
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, member_id, member_epoch, rack_id, subscribed_topic_names })
    }
}
