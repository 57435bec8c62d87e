//! What can be wrong with what a peer says.

/// Bytes of a peer that are not what this version can read.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Not a `FlatBuffer` of the expected shape.
    #[error("a malformed message: {0}")]
    Malformed(#[from] flatbuffers::InvalidFlatbuffer),
    /// A message of a kind that this version does not know.
    #[error("a message of a kind that this version does not know")]
    Unknown,
    /// Values that no message has.
    #[error("a message that makes no sense: {0}")]
    Nonsense(&'static str),
    /// Bytes have changed on their way, or are of another protocol.
    #[error("a message whose checksum is wrong")]
    Checksum,
    /// More than any message has.
    #[error("a message of {0} bytes")]
    TooLong(usize),
}
