//! Reading the metadata without changing it, for the tools; a broker may run meanwhile.

use super::core::read;
use super::{Image, MetaError, codec, log};
use crate::storage::device::disk::Disk;
use std::sync::Arc;

/// The metadata of the node's data directory as far as it is written; `None` where there is none.
/// Beside a running broker, what is being written at that moment may be missing. Blocks.
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
    for payload in log::scan(&bytes, state.log).writes {
        let (_, entries) = codec::decode_write(payload).map_err(unreadable(&path))?;
        // The only voter commits whatever it has written.
        let taken = image.index;
        for entry in entries.iter().filter(|e| e.index > taken && !e.data.is_empty()) {
            for record in codec::decode_batch(&entry.data).map_err(unreadable(&path))? {
                image.apply(&record);
            }
            image.index = entry.index;
        }
    }
    Ok(Some(image))
}
