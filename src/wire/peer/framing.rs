//! The bytes around messages.
//!
//! ```text
//! preamble (16 bytes): u32 "KLPR", u16 layout (1), u16 shard, u8 lane, 7 bytes of zeros
//! message: u32 bytes of the table, u32 bytes of the payload,
//!          u32 CRC-32C of the table, u32 CRC-32C of the twelve bytes before, table, payload
//! ```
//! Little-endian. The payload has no checksum here: frames and messages of the quorum have their own.

use super::error::PeerError;

/// Bytes of a preamble.
pub const PREAMBLE: usize = 16;
/// Bytes before each message.
pub(super) const HEADER: usize = 16;
const MAGIC: [u8; 4] = *b"KLPR";
const LAYOUT: u16 = 1;

/// Whether a request of Kafka's protocol that claims so many bytes is the preamble of a broker, which has taken the port for
/// clients for that for brokers.
pub fn is_preamble(kafka_length: i32) -> bool {
    kafka_length == i32::from_be_bytes(MAGIC)
}
/// A table is no longer than this.
const TABLE_MAX: usize = 16 << 20;
/// A payload is no longer than this: one batch may be as long as the longest request.
const PAYLOAD_MAX: usize = 256 << 20;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The metadata quorum and the controller.
    Control,
    /// Frames of partitions.
    Data,
}

/// The first bytes of who dials: before anything is verified, they say which shard takes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preamble {
    /// Which shard.
    pub shard: u16,
    /// What for.
    pub lane: Lane,
}

impl Preamble {
    /// As it is sent.
    pub fn encode(self) -> [u8; PREAMBLE] {
        let mut out = [0; PREAMBLE];
        out[..4].copy_from_slice(&MAGIC);
        out[4..6].copy_from_slice(&LAYOUT.to_le_bytes());
        out[6..8].copy_from_slice(&self.shard.to_le_bytes());
        out[8] = self.lane as u8;
        out
    }

    /// What [`encode`](Self::encode) wrote; `None` for anything else.
    pub fn decode(bytes: &[u8; PREAMBLE]) -> Option<Self> {
        let lane = match bytes[8] {
            0 => Lane::Control,
            1 => Lane::Data,
            _ => return None,
        };
        let it = Self { shard: u16::from_le_bytes([bytes[6], bytes[7]]), lane };
        (it.encode() == *bytes).then_some(it)
    }
}

/// The header of a message with this table and so many bytes of payload.
pub(super) fn header(table: &[u8], payload: usize) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[..4].copy_from_slice(&(table.len() as u32).to_le_bytes());
    out[4..8].copy_from_slice(&(payload as u32).to_le_bytes());
    out[8..12].copy_from_slice(&crc32c::crc32c(table).to_le_bytes());
    let checksum = crc32c::crc32c(&out[..12]);
    out[12..].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// The header of a message.
pub(super) struct Header {
    /// Bytes of its table.
    pub table: usize,
    payload: usize,
    /// Of the table.
    pub checksum: u32,
}

impl Header {
    /// Of the first bytes of a message; `None` where there are not enough.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, PeerError> {
        let Some(bytes) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
        if crc32c::crc32c(&bytes[..12]) != word(12) {
            return Err(PeerError::Checksum);
        }
        let it = Self { table: word(0) as usize, payload: word(4) as usize, checksum: word(8) };
        if it.table > TABLE_MAX || it.payload > PAYLOAD_MAX {
            return Err(PeerError::TooLong(it.table + it.payload));
        }
        Ok(Some(it))
    }

    /// Bytes of the whole message.
    pub fn len(&self) -> usize {
        HEADER + self.table + self.payload
    }
}
