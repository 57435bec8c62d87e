//! A snapshot of the metadata on its way to bytes: long where there are many topics, so it is made in parts.

use super::codec::{self, SnapshotState};
use super::image::Image;
use std::sync::Arc;

/// One that is to replace the log, or to go to another member.
#[derive(Debug)]
pub struct DueSnapshot {
    pub(super) image: Arc<Image>,
    pub(super) state: SnapshotState,
}

impl DueSnapshot {
    /// It, in bytes. Pauses after each topic.
    pub async fn encode(self, pause: &impl AsyncFn()) -> EncodedSnapshot {
        let bytes = codec::encode_snapshot(&self.image, &self.state, pause).await;
        let (index, term, log) = (self.image.index, self.state.term, self.state.log);
        EncodedSnapshot { index, term, log, bytes }
    }
}

/// See [`DueSnapshot`].
#[derive(Debug)]
pub struct EncodedSnapshot {
    /// Index and term of the last entry that it holds.
    pub(super) index: u64,
    pub(super) term: u64,
    /// Number of the log file that holds what follows; 0 for another member.
    pub(super) log: u64,
    pub(super) bytes: Vec<u8>,
}
