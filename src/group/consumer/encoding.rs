//! Changes as records and back, in the format of their group's protocol.

use super::change::Change;
use super::protocol::Protocol;
use super::records;
use crate::group::records::{Record, RecordError, is_of_share_group, is_of_streams_group};
use crate::group::share::records as share_records;
use crate::group::streams::records as streams_records;
use crate::wire::primitives::WireError;

/// Reads a change, and the protocol of its group: `kind` is the version of its key, `part` what the key names beside the
/// group.
///
/// # Errors
/// The value does not follow its format.
pub fn read(
    kind: i16,
    part: &str,
    key_bytes: usize,
    value: Option<&[u8]>,
) -> Result<(Protocol, Option<Change>), RecordError> {
    let protocol = if is_of_share_group(kind) {
        Protocol::Share
    } else if is_of_streams_group(kind) {
        Protocol::Streams
    } else {
        Protocol::Consumer
    };
    let change = match protocol {
        Protocol::Consumer => records::read(kind, part, key_bytes, value)?,
        Protocol::Share => share_records::read(kind, part, key_bytes, value)?,
        Protocol::Streams => streams_records::read(kind, part, key_bytes, value)?,
    };
    Ok((protocol, change))
}

/// The record of a change of this group; its bytes are entered into the change.
///
/// # Errors
/// Something is longer than Kafka's records can hold, or no such group has it.
pub fn record(protocol: Protocol, group: &str, change: &mut Change) -> Result<Record, WireError> {
    match protocol {
        Protocol::Consumer => records::record(group, change),
        Protocol::Share => share_records::record(group, change),
        Protocol::Streams => streams_records::record(group, change),
    }
}
