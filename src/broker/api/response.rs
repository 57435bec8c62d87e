//! Answers as they go out.

use crate::storage::buffer::{Budget, Filling};
use crate::types::ErrorCode;
use crate::wire::Tally;
use crate::wire::header::{RequestHeader, encode_response};
use crate::wire::{WireError, Writer};
use bytes::Bytes;
use std::sync::Arc;

/// Parts of this size and more go into pages, whose cost is known: a vector that has grown may hold twice
/// what is in it.
const PAGES_FROM: usize = 64 << 10;
/// So much of one is copied at once.
const COPIED_AT_ONCE: usize = 64 << 10;

/// An error as a client knows it: one that has not heard of `PRODUCER_FENCED` (KIP-588) knows
/// `INVALID_PRODUCER_EPOCH` only.
pub fn fenced_as_known(error: ErrorCode, knows_fenced: bool) -> ErrorCode {
    match error {
        ErrorCode::PRODUCER_FENCED if !knows_fenced => ErrorCode::INVALID_PRODUCER_EPOCH,
        error => error,
    }
}

/// An answer as it goes out: `head`, which begins with the length of everything, then `rest`.
#[derive(Clone, Debug)]
pub struct Response {
    /// The first part, and the only one of most answers.
    pub head: Bytes,
    /// What follows, records among it.
    pub rest: Vec<Bytes>,
    /// The error codes in it.
    pub errors: Tally,
    /// Large parts are in pages already.
    paged: bool,
}

/// A response's body, on its way to the header that it is for.
#[derive(Clone, Debug)]
pub struct Body {
    bytes: Vec<u8>,
    errors: Tally,
}

impl Body {
    /// What `encode` writes.
    pub fn new(
        encode: impl FnOnce(&mut Writer) -> Result<(), WireError>,
    ) -> Result<Self, WireError> {
        let mut w = Writer::with_capacity(256);
        encode(&mut w)?;
        Ok(w.into())
    }

    /// As [`new`](Self::new), with an `encode` that pauses where there are many elements.
    pub async fn in_parts(
        encode: impl AsyncFnOnce(&mut Writer) -> Result<(), WireError>,
    ) -> Result<Self, WireError> {
        let mut w = Writer::with_capacity(256);
        encode(&mut w).await?;
        Ok(w.into())
    }
}

impl Body {
    /// One that another node has made. Which errors it has is counted there.
    pub fn received(bytes: Bytes) -> Self {
        Self { bytes: bytes.into(), errors: Tally::default() }
    }
}

impl From<Writer> for Body {
    fn from(written: Writer) -> Self {
        let (bytes, errors) = written.into_parts();
        Self { bytes, errors }
    }
}

impl std::ops::Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Response {
    /// The answer whose body `encode` writes.
    pub fn new(
        header: &RequestHeader<'_>,
        encode: impl FnOnce(&mut Writer) -> Result<(), WireError>,
    ) -> Result<Self, WireError> {
        let mut w = begin(header);
        encode(&mut w)?;
        Ok(Self::from_writer(w))
    }

    /// As [`new`](Self::new), with an `encode` that pauses where there are many elements.
    pub async fn in_parts(
        header: &RequestHeader<'_>,
        encode: impl AsyncFnOnce(&mut Writer) -> Result<(), WireError>,
    ) -> Result<Self, WireError> {
        let mut w = begin(header);
        encode(&mut w).await?;
        Ok(Self::from_writer(w))
    }

    /// The answer of these parts.
    pub fn of(head: Bytes, rest: Vec<Bytes>, errors: Tally) -> Self {
        Self { head, rest, errors, paged: false }
    }

    /// The answer that was written behind what [`begin`] gave.
    pub(super) fn from_writer(mut w: Writer) -> Self {
        let len = w.len() as i32 - 4;
        w.set_i32(0, len);
        let (head, errors) = w.into_parts();
        Self::of(head.into(), Vec::new(), errors)
    }

    /// The answer with a body that is written already.
    pub fn from_body(header: &RequestHeader<'_>, body: Body) -> Self {
        let mut w = begin(header);
        let len = w.len() as i32 - 4 + body.len() as i32;
        w.set_i32(0, len);
        let Body { bytes, errors } = body;
        Self::of(w.into_vec().into(), vec![bytes.into()], errors)
    }

    /// The same, large parts in pages of `memory`. Not for records, which are there already. `pause` is told what
    /// was copied, some at a time.
    pub async fn into_pages(mut self, memory: &Arc<Budget>, pause: &impl AsyncFn(usize)) -> Self {
        let parts = std::iter::once(&mut self.head).chain(&mut self.rest);
        for part in parts.filter(|it| !self.paged && it.len() >= PAGES_FROM) {
            let mut pages = Filling::new(part.len(), memory);
            for some in part.chunks(COPIED_AT_ONCE) {
                pages.push(some);
                pause(some.len()).await;
            }
            *part = pages.into_filled().freeze();
        }
        self.paged = true;
        self
    }

    /// Its body alone, of the answer to a request with this header.
    pub fn into_body(self, header: &RequestHeader<'_>) -> Bytes {
        let head = self.head.slice(begin(header).len()..);
        if self.rest.is_empty() {
            return head;
        }
        std::iter::once(head).chain(self.rest).flatten().collect()
    }

    /// Bytes of all parts.
    pub fn len(&self) -> usize {
        self.head.len() + self.rest.iter().map(Bytes::len).sum::<usize>()
    }

    /// Never: it has a length, at least.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// A writer that holds room for the length, and the header.
pub(super) fn begin(header: &RequestHeader<'_>) -> Writer {
    let mut w = Writer::with_capacity(128);
    w.i32(0);
    encode_response(header.api_key, header.version, header.correlation_id, &mut w);
    w
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;
    use std::cell::Cell;

    #[test]
    fn large_parts_take_their_own_pages_and_small_ones_none() {
        let memory = Budget::new(1 << 20);
        let part = |bytes: usize| Bytes::from(vec![bytes as u8; bytes]);
        let parts = [part(PAGES_FROM - 1), part(PAGES_FROM + 1)];
        let [head, large] = parts.clone();
        let response = Response::of(head, vec![large], Tally::default());
        let copied = Cell::new(0);
        let pause = &async |bytes: usize| copied.update(|it| it + bytes.min(COPIED_AT_ONCE));
        let response = block_on(response.into_pages(&memory, pause));
        assert_eq!([response.head.clone(), response.rest[0].clone()], parts);
        assert_eq!(copied.get(), PAGES_FROM + 1);
        let response = block_on(response.into_pages(&memory, pause));
        assert_eq!(copied.get(), PAGES_FROM + 1, "once");
        assert_eq!(memory.used(), PAGES_FROM + 4096);
        drop(response);
        assert_eq!(memory.used(), 0);
    }
}
