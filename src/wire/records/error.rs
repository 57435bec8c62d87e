//! Errors of record batches.

use crate::types::ErrorCode;

/// Why bytes are not a record batch, or not one that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Fewer bytes than the header or its length field claims.
    #[error("the batch needs {needed} bytes, {available} are there")]
    Truncated {
        /// Bytes that the batch claims.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// A length field that no batch can have.
    #[error("batch length {0} is impossible")]
    Length(i32),
    /// A magic byte other than 2.
    #[error("magic {0} is not 2")]
    Magic(i8),
    /// The stored CRC is not that of the bytes.
    #[error("CRC is {stored:#010x} in the header, {computed:#010x} over the bytes")]
    Crc {
        /// CRC in the header.
        stored: u32,
        /// CRC-32C over attributes to end.
        computed: u32,
    },
    /// A compression type that Kafka does not define.
    #[error("compression type {0} does not exist")]
    Compression(u8),
    /// The compressed bytes are damaged.
    #[error("{codec} data is damaged: {what}")]
    Damaged {
        /// Name of the compression.
        codec: &'static str,
        /// What the decompressor said.
        what: String,
    },
    /// More bytes come out than the caller allows.
    #[error("more than {limit} bytes decompressed")]
    TooLarge {
        /// The caller's limit, bytes.
        limit: usize,
    },
    /// The records contradict their lengths, the header or the format.
    #[error("{0}")]
    Malformed(&'static str),
}

impl RecordError {
    /// The code that Kafka answers a Produce request with.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Truncated { .. } | Self::Malformed(_) | Self::Magic(_) | Self::Damaged { .. } => {
                ErrorCode::INVALID_RECORD
            }
            Self::Length(_) | Self::Crc { .. } => ErrorCode::CORRUPT_MESSAGE,
            Self::Compression(_) => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            Self::TooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
        }
    }
}
