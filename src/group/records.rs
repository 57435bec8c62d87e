//! The records of `__consumer_offsets`.

/// A record to append: Kafka's own format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `OffsetCommitKey` or `GroupMetadataKey`, after its version.
    pub key: Vec<u8>,
    /// `OffsetCommitValue` or `GroupMetadataValue`, after its version; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// Why a record of `__consumer_offsets` cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record of a coordinator always has a key.
    #[error("a record without key")]
    NoKey,
    /// The key does not follow its format.
    #[error("the key is damaged: {0}")]
    Key(crate::wire::primitives::WireError),
    /// The value does not follow its format.
    #[error("the value is damaged: {0}")]
    Value(crate::wire::primitives::WireError),
}
