//! The network between one client and a broker: bytes on their way in both directions.

use bytes::{Buf, BytesMut};
use klamm::broker::ConnectionId;

/// See the module.
pub struct Connection {
    /// Whose it is.
    pub client: usize,
    /// Its name in the broker.
    pub id: ConnectionId,
    /// It is not reset: the broker ends it when all that was begun on it has ended.
    pub orderly: bool,
    /// What the client has sent and the broker has not read.
    pub sent: BytesMut,
    /// What the broker has sent and the client has not read.
    pub received: BytesMut,
    /// The broker has room for more.
    pub may_read: bool,
    /// The broker has something to send.
    pub flush: bool,
    /// The client has left.
    pub left: bool,
    /// The broker has noticed.
    pub told: bool,
}

impl Connection {
    pub fn new(client: usize, id: ConnectionId, orderly: bool) -> Self {
        Self {
            client,
            id,
            orderly,
            sent: BytesMut::new(),
            received: BytesMut::new(),
            may_read: true,
            flush: false,
            left: false,
            told: false,
        }
    }

    fn answer_len(&self) -> Option<usize> {
        let len = u32::from_be_bytes(*self.received.first_chunk()?) as usize + 4;
        (self.received.len() >= len).then_some(len)
    }

    /// Whether a whole answer has reached the client.
    pub fn has_answer(&self) -> bool {
        self.answer_len().is_some()
    }

    /// The next answer, with its length before it.
    pub fn take_answer(&mut self) -> Option<Vec<u8>> {
        let len = self.answer_len()?;
        let answer = self.received[..len].to_vec();
        self.received.advance(len);
        Some(answer)
    }
}
