//! Reading the metadata without changing it, for the tools; a broker may run meanwhile.

use super::core::apply;
use super::open::{MetaError, read};
use super::{Image, codec, log};
use crate::storage::device::disk::Disk;
use raft::eraftpb::Entry;
use std::sync::Arc;

/// The metadata of the node's data directory as far as it is written and known to be decided; `None` where
/// there is none. Beside a running broker, what is being written at that moment may be missing. Blocks.
pub fn look(disk: &Disk, node_id: i32) -> Result<Option<Image>, MetaError> {
    let unreadable = |path: &str| {
        let path = path.to_owned();
        move |source| MetaError::Unreadable { path, source }
    };
    let Some(bytes) = read(disk, log::SNAPSHOT)? else { return Ok(None) };
    let payload = log::snapshot_payload(&bytes)
        .ok_or_else(|| MetaError::Damaged(format!("the checksum of {} is wrong", log::SNAPSHOT)))?;
    let (mut image, state) = codec::decode_snapshot(payload, node_id, Arc::default())
        .map_err(unreadable(log::SNAPSHOT))?;
    let path = log::log_path(state.log);
    // A running broker may have replaced both between the two reads: then the snapshot is recent.
    let bytes = read(disk, &path)?.unwrap_or_default();
    let (mut entries, mut commit): (Vec<Entry>, u64) = (Vec::new(), state.hard_state.commit);
    for payload in log::scan(&bytes, state.log).writes {
        let (hard_state, more) = codec::decode_write(payload).map_err(unreadable(&path))?;
        // A later leader's entries replace those that an earlier one had not got through.
        let from = more.first().map_or(u64::MAX, |it| it.index);
        entries.truncate(entries.partition_point(|it| it.index < from));
        entries.extend(more);
        commit = hard_state.map_or(commit, |it| it.commit);
    }
    // The only voter commits whatever it has written.
    let alone = state.members.voters.len() == 1 && state.members.voters_outgoing.is_empty();
    entries.retain(|it| it.index > image.index && (alone || it.index <= commit));
    entries.iter().for_each(|it| apply(&mut image, it));
    Ok(Some(image))
}
