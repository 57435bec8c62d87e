//! Requests as they come in.

use crate::wire::primitives::{ALLOCATION_BASE, ALLOCATION_FACTOR};
use crate::wire::{Reader, WireError};

/// What the arrays of one request may take in memory, bytes. A request of all partitions of a broker
/// that has a hundred thousand of them takes half of it; without the limit, 100 MiB of the shortest
/// elements would take 1.6 GiB. Records, and other bytes, are not copied and do not count.
pub const DECODED_BYTES_MAX: usize = 16 << 20;

/// Reads the body of a request to its end: every handler reads its requests with this.
///
/// # Errors
/// The client's: the body is not such a request, something follows it, or its arrays are too large.
pub fn decode<'a, T>(
    body: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<T, WireError> {
    let mut reader = reader(body);
    let request = read(&mut reader)?;
    reader.finish()?;
    Ok(request)
}

/// As [`decode`], with a `read` that pauses where there are many elements.
///
/// # Errors
/// As of [`decode`].
pub async fn decode_in_parts<'a, T>(
    body: &'a [u8],
    read: impl AsyncFnOnce(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<T, WireError> {
    let mut reader = reader(body);
    let request = read(&mut reader).await?;
    reader.finish()?;
    Ok(request)
}

/// As [`decode_in_parts`], for a request that clients are known to send with bytes behind it, which Kafka
/// ignores.
///
/// # Errors
/// As of [`decode`], but for what follows.
pub async fn decode_start_in_parts<'a, T>(
    body: &'a [u8],
    read: impl AsyncFnOnce(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<T, WireError> {
    read(&mut reader(body)).await
}

fn reader(body: &[u8]) -> Reader<'_> {
    let allocatable = body.len().saturating_mul(ALLOCATION_FACTOR).saturating_add(ALLOCATION_BASE);
    Reader::with_allocatable(body, allocatable.min(DECODED_BYTES_MAX))
}
