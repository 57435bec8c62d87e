//! The types that Kafka's messages are made of.
//!
//! Most of them have two forms, and the message's version says which: *flexible* versions (KIP-482)
//! write lengths as unsigned varints of length + 1, the others as a signed 16- or 32-bit number.
//! `flexible` in this module is that choice.
//!
//! **Nothing is allocated on the word of the peer.** An array's count times the least size of an
//! element is compared with the bytes that remain; and all arrays of a message together take at
//! most [`ALLOCATION_FACTOR`] times the message's bytes, so that many tiny or nested elements, which
//! take less on the wire than in memory, cost no more than that either.

use super::tally::Tally;
use crate::types::TopicId;

/// Why bytes are not a message, or a value is not encodable. The peer is at fault when decoding,
/// the caller when encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The message ends inside a field, or claims more elements than its bytes could hold.
    #[error("the message ends too early")]
    TooShort,
    /// A string or an array is longer than its length field, or Kafka, allows.
    #[error("a field is too long")]
    TooLong,
    /// The message's arrays would take too much memory for a message of its size.
    #[error("too many elements for the size of the message")]
    TooManyElements,
    /// A varint of more than 32 bits.
    #[error("an invalid varint")]
    InvalidVarint,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    InvalidUtf8,
    /// Null in a field that is not nullable in this version.
    #[error("null in a field that is not nullable")]
    Null,
    /// The message does not exist in this version.
    #[error("version {0} is not supported")]
    UnsupportedVersion(i16),
    /// Bytes are left after the message or after a tagged field's value.
    #[error("bytes are left after the end of the message")]
    TrailingBytes,
    /// The field is set, but this version has no such field, and it may not be dropped.
    #[error("{0} is set, but is not in this version")]
    NotInVersion(&'static str),
}

/// Kafka refuses longer strings in every version.
const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// What the arrays of a message may take in memory, per byte of the message. Real requests stay far
/// below: a topic's name alone is longer than the two bytes that would reach it.
pub const ALLOCATION_FACTOR: usize = 16;

/// What the arrays of a message may take in memory besides, in bytes.
pub const ALLOCATION_BASE: usize = 1024;

type Result<T> = std::result::Result<T, WireError>;

/// Reads a message; what it returns borrows from the message.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Bytes that arrays may still allocate.
    allocatable: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        let allocatable = bytes.len().saturating_mul(ALLOCATION_FACTOR);
        Self::with_allocatable(bytes, allocatable.saturating_add(ALLOCATION_BASE))
    }

    /// Starts at the first of `bytes`; arrays may take `allocatable` bytes of memory in all.
    pub const fn with_allocatable(bytes: &'a [u8], allocatable: usize) -> Self {
        Self { rest: bytes, allocatable }
    }

    /// Bytes not read yet.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Ends the message: an error if bytes are left.
    pub const fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::TrailingBytes) }
    }

    /// The next `len` bytes.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(WireError::TooShort)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::TooShort)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// BOOLEAN: any byte but zero is true.
    #[inline]
    pub fn bool(&mut self) -> Result<bool> {
        Ok(self.i8()? != 0)
    }

    /// INT8.
    #[inline]
    pub fn i8(&mut self) -> Result<i8> {
        self.fixed().map(i8::from_be_bytes)
    }

    /// INT16.
    #[inline]
    pub fn i16(&mut self) -> Result<i16> {
        self.fixed().map(i16::from_be_bytes)
    }

    /// UINT16.
    #[inline]
    pub fn u16(&mut self) -> Result<u16> {
        self.fixed().map(u16::from_be_bytes)
    }

    /// INT32.
    #[inline]
    pub fn i32(&mut self) -> Result<i32> {
        self.fixed().map(i32::from_be_bytes)
    }

    /// INT64.
    #[inline]
    pub fn i64(&mut self) -> Result<i64> {
        self.fixed().map(i64::from_be_bytes)
    }

    /// UUID.
    #[inline]
    pub fn uuid(&mut self) -> Result<TopicId> {
        self.fixed().map(TopicId)
    }

    /// `UNSIGNED_VARINT`: up to 32 bits, seven to a byte, the lowest first.
    #[inline]
    pub fn varint(&mut self) -> Result<u32> {
        let [first] = self.fixed()?;
        if first < 0x80 { Ok(u32::from(first)) } else { self.long_varint(first) }
    }

    fn long_varint(&mut self, first: u8) -> Result<u32> {
        let mut value = u32::from(first & 0x7f);
        for shift in [7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::InvalidVarint)
    }

    /// The length of a string, bytes or array; `short` is a string's 16-bit form. Any negative
    /// length is null, as in Kafka.
    #[inline]
    fn length(&mut self, flexible: bool, short: bool) -> Result<Option<usize>> {
        if flexible {
            Ok((self.varint()? as usize).checked_sub(1))
        } else if short {
            Ok(usize::try_from(self.i16()?).ok())
        } else {
            Ok(usize::try_from(self.i32()?).ok())
        }
    }

    /// STRING or `COMPACT_STRING`.
    #[inline]
    pub fn string(&mut self, flexible: bool) -> Result<&'a str> {
        self.nullable_string(flexible)?.ok_or(WireError::Null)
    }

    /// `NULLABLE_STRING` or `COMPACT_NULLABLE_STRING`.
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<&'a str>> {
        let Some(len) = self.length(flexible, true)? else { return Ok(None) };
        if len > MAX_STRING_BYTES {
            return Err(WireError::TooLong);
        }
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map(Some).map_err(|_| WireError::InvalidUtf8)
    }

    /// BYTES or `COMPACT_BYTES`.
    #[inline]
    pub fn bytes(&mut self, flexible: bool) -> Result<&'a [u8]> {
        self.nullable_bytes(flexible)?.ok_or(WireError::Null)
    }

    /// `NULLABLE_BYTES` or `COMPACT_NULLABLE_BYTES`, and records.
    #[inline]
    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<&'a [u8]>> {
        match self.length(flexible, false)? {
            Some(len) => self.take(len).map(Some),
            None => Ok(None),
        }
    }

    /// The count of an array whose elements take at least `element_bytes_min` each: never more than
    /// the bytes that remain could hold.
    pub fn array_len(&mut self, flexible: bool, element_bytes_min: usize) -> Result<Option<usize>> {
        let Some(count) = self.length(flexible, false)? else { return Ok(None) };
        if count > self.remaining() / element_bytes_min.max(1) {
            return Err(WireError::TooShort);
        }
        Ok(Some(count))
    }

    /// A nullable ARRAY or `COMPACT_ARRAY`; `element` reads one element of at least
    /// `element_bytes_min` bytes.
    #[inline]
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        element_bytes_min: usize,
        mut element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        let Some((count, mut values)) = self.open_array(flexible, element_bytes_min)? else {
            return Ok(None);
        };
        for _ in 0..count {
            values.push(element(self)?);
        }
        Ok(Some(values))
    }

    /// The beginning of a nullable ARRAY or `COMPACT_ARRAY`: how many elements are to be read next, and
    /// the room for them. So that what has many elements is read some at a time.
    #[inline]
    pub fn open_array<T>(
        &mut self,
        flexible: bool,
        element_bytes_min: usize,
    ) -> Result<Option<(usize, Vec<T>)>> {
        let Some(count) = self.array_len(flexible, element_bytes_min)? else { return Ok(None) };
        let size = count.saturating_mul(size_of::<T>());
        self.allocatable = self.allocatable.checked_sub(size).ok_or(WireError::TooManyElements)?;
        Ok(Some((count, Vec::with_capacity(count))))
    }

    /// An ARRAY or `COMPACT_ARRAY`: [`Reader::nullable_array`] without null.
    #[inline]
    pub fn array<T>(
        &mut self,
        flexible: bool,
        element_bytes_min: usize,
        element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.nullable_array(flexible, element_bytes_min, element)?.ok_or(WireError::Null)
    }

    /// A nullable struct: a byte says whether it follows.
    #[inline]
    pub fn nullable_struct<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.i8()? < 0 { Ok(None) } else { read(self).map(Some) }
    }

    /// The tagged fields at the end of a struct (KIP-482). `field` gets a tag and a reader of that
    /// field's value alone; it returns whether it knows the tag. A known field has to be read to
    /// its end, others are skipped.
    #[inline]
    pub fn tagged_fields(
        &mut self,
        mut field: impl FnMut(u32, &mut Self) -> Result<bool>,
    ) -> Result<()> {
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let len = self.varint()? as usize;
            let mut value = Self { rest: self.take(len)?, allocatable: self.allocatable };
            if field(tag, &mut value)? {
                value.finish()?;
                self.allocatable = value.allocatable;
            }
        }
        Ok(())
    }

    /// Skips the tagged fields of a struct that has none.
    #[inline]
    pub fn skip_tagged_fields(&mut self) -> Result<()> {
        self.tagged_fields(|_, _| Ok(false))
    }
}

/// Writes a message into memory of its own.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    errors: Tally,
}

impl Writer {
    /// An empty message.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty message with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), errors: Tally::default() }
    }

    /// A message behind what `bytes` holds already.
    pub fn append(bytes: Vec<u8>) -> Self {
        Self { bytes, errors: Tally::default() }
    }

    /// Bytes written.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing is written.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is written.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// What is written, as a vector.
    pub fn into_vec(self) -> Vec<u8> {
        self.bytes
    }

    /// What is written, and the error codes in it.
    pub fn into_parts(self) -> (Vec<u8>, Tally) {
        (self.bytes, self.errors)
    }

    /// Forgets what is written; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.errors = Tally::default();
    }

    /// Appends `bytes` as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// INT16 that is an error code: it is counted.
    #[inline]
    pub fn error_code(&mut self, code: i16) {
        self.errors.add(code);
        self.i16(code);
    }

    /// Overwrites the INT32 written at `position`: a frame's size, once it is known.
    ///
    /// # Panics
    /// When fewer than four bytes are written from `position` on.
    pub fn set_i32(&mut self, position: usize, value: i32) {
        self.bytes[position..position + 4].copy_from_slice(&value.to_be_bytes());
    }

    /// BOOLEAN.
    pub fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    /// INT8.
    pub fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    /// INT16.
    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    /// UINT16.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// INT32.
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    /// INT64.
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// UUID.
    pub fn uuid(&mut self, value: TopicId) {
        self.raw(&value.0);
    }

    /// `UNSIGNED_VARINT`.
    #[inline]
    pub fn varint(&mut self, value: u32) {
        if value < 0x80 {
            self.raw(&[value as u8]);
        } else {
            self.long_varint(value);
        }
    }

    fn long_varint(&mut self, value: u32) {
        let (bytes, len) = varint_bytes(value);
        self.raw(&bytes[..len]);
    }

    #[inline]
    fn length(&mut self, len: Option<usize>, flexible: bool, short: bool) -> Result<()> {
        let too_long = |_| WireError::TooLong;
        if flexible {
            // Lengths are limited to 31 bits, so length + 1 fits.
            let len = len.map_or(Ok(0), |len| i32::try_from(len).map(|len| len as u32 + 1));
            self.varint(len.map_err(too_long)?);
        } else if short {
            self.i16(len.map_or(Ok(-1), i16::try_from).map_err(too_long)?);
        } else {
            self.i32(len.map_or(Ok(-1), i32::try_from).map_err(too_long)?);
        }
        Ok(())
    }

    /// STRING or `COMPACT_STRING`.
    pub fn string(&mut self, value: &str, flexible: bool) -> Result<()> {
        self.nullable_string(Some(value), flexible)
    }

    /// `NULLABLE_STRING` or `COMPACT_NULLABLE_STRING`.
    pub fn nullable_string(&mut self, value: Option<&str>, flexible: bool) -> Result<()> {
        let bytes = value.map(str::as_bytes);
        if bytes.is_some_and(|bytes| bytes.len() > MAX_STRING_BYTES) {
            return Err(WireError::TooLong);
        }
        self.length(bytes.map(<[u8]>::len), flexible, true)?;
        self.raw(bytes.unwrap_or_default());
        Ok(())
    }

    /// BYTES or `COMPACT_BYTES`.
    pub fn bytes(&mut self, value: &[u8], flexible: bool) -> Result<()> {
        self.nullable_bytes(Some(value), flexible)
    }

    /// `NULLABLE_BYTES` or `COMPACT_NULLABLE_BYTES`, and records.
    pub fn nullable_bytes(&mut self, value: Option<&[u8]>, flexible: bool) -> Result<()> {
        self.bytes_len(value.map(<[u8]>::len), flexible)?;
        self.raw(value.unwrap_or_default());
        Ok(())
    }

    /// The length that stands before BYTES or records of `len` bytes, which the caller sends after
    /// it; `None` is null.
    pub fn bytes_len(&mut self, len: Option<usize>, flexible: bool) -> Result<()> {
        self.length(len, flexible, false)
    }

    /// The count that stands before the elements of an ARRAY or `COMPACT_ARRAY`; `None` is null.
    pub fn array_len(&mut self, count: Option<usize>, flexible: bool) -> Result<()> {
        self.length(count, flexible, false)
    }

    /// Opens an array that was written as an empty one, `behind` bytes before the end: its `count` elements
    /// are to be written next, and then, as they are, the bytes that this gives. So that what has many
    /// elements is written some at a time.
    ///
    /// # Panics
    /// If no empty array stands there.
    pub fn open_array(&mut self, count: usize, flexible: bool, behind: usize) -> Result<Vec<u8>> {
        let empty: &[u8] = if flexible { &[1] } else { &[0; 4] };
        let tail = self.bytes.split_off(self.bytes.len() - behind);
        assert!(self.bytes.ends_with(empty), "no empty array");
        self.bytes.truncate(self.bytes.len() - empty.len());
        self.array_len(Some(count), flexible)?;
        Ok(tail)
    }

    /// An ARRAY or `COMPACT_ARRAY`.
    pub fn array<T>(
        &mut self,
        values: &[T],
        flexible: bool,
        element: impl FnMut(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        self.nullable_array(Some(values), flexible, element)
    }

    /// A nullable ARRAY or `COMPACT_ARRAY`.
    pub fn nullable_array<T>(
        &mut self,
        values: Option<&[T]>,
        flexible: bool,
        mut element: impl FnMut(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        self.array_len(values.map(<[T]>::len), flexible)?;
        for value in values.unwrap_or_default() {
            element(self, value)?;
        }
        Ok(())
    }

    /// A nullable struct: a byte says whether it follows.
    pub fn nullable_struct<T>(
        &mut self,
        value: Option<&T>,
        write: impl FnOnce(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        self.i8(if value.is_some() { 1 } else { -1 });
        value.map_or(Ok(()), |value| write(self, value))
    }

    /// One tagged field; their number stands before the first, and their tags ascend.
    ///
    /// The value is written first and then moved to make room for its length: tagged values are
    /// small, and a pass that computes sizes would double the generated code.
    pub fn tagged_field(
        &mut self,
        tag: u32,
        write: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.varint(tag);
        let start = self.len();
        write(self)?;
        let size = i32::try_from(self.len() - start).map_err(|_| WireError::TooLong)?;
        let (bytes, len) = varint_bytes(size as u32);
        self.bytes.splice(start..start, bytes[..len].iter().copied());
        Ok(())
    }
}

/// The bytes of an unsigned varint and how many of them it takes.
fn varint_bytes(mut value: u32) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let mut len = 0;
    while value >= 0x80 {
        bytes[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value as u8;
    (bytes, len + 1)
}

/// An error when `version` is outside the versions of a message.
pub(crate) const fn check_version(version: i16, min: i16, max: i16) -> Result<()> {
    if min <= version && version <= max {
        Ok(())
    } else {
        Err(WireError::UnsupportedVersion(version))
    }
}

/// An error for null where this version does not allow it.
pub(crate) fn check_null<T>(value: Option<T>, nullable: bool) -> Result<Option<T>> {
    if value.is_none() && !nullable { Err(WireError::Null) } else { Ok(value) }
}

/// An error for a field that is set although this version does not have it.
pub(crate) const fn check_absent(is_default: bool, field: &'static str) -> Result<()> {
    if is_default { Ok(()) } else { Err(WireError::NotInVersion(field)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_at_every_length() {
        for value in [
            0,
            1,
            0x7f,
            0x80,
            0x3fff,
            0x4000,
            0x1f_ffff,
            0x20_0000,
            0xfff_ffff,
            0x1000_0000,
            u32::MAX,
        ] {
            let mut w = Writer::new();
            w.varint(value);
            let mut r = Reader::new(w.as_slice());
            assert_eq!(r.varint(), Ok(value));
            assert_eq!(r.finish(), Ok(()));
        }
    }

    #[test]
    fn varints_of_more_than_32_bits_are_refused() {
        for bytes in [[0xff, 0xff, 0xff, 0xff, 0x10], [0x80, 0x80, 0x80, 0x80, 0x80]] {
            assert_eq!(Reader::new(&bytes).varint(), Err(WireError::InvalidVarint));
        }
        assert_eq!(Reader::new(&[0x80, 0x80]).varint(), Err(WireError::TooShort));
    }

    #[test]
    fn arrays_claim_no_more_than_the_bytes_that_follow() {
        let mut bytes = 1_000_000_i32.to_be_bytes().to_vec();
        bytes.extend([0; 100]);
        assert_eq!(Reader::new(&bytes).array(false, 4, Reader::i32), Err(WireError::TooShort));
        assert_eq!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).array(true, 1, Reader::i8),
            Err(WireError::TooShort)
        );
        assert_eq!(Reader::new(&[0xff; 4]).nullable_array(false, 4, Reader::i32), Ok(None));
        assert_eq!(Reader::new(&[0]).array(true, 4, Reader::i32), Err(WireError::Null));
    }

    #[test]
    fn arrays_share_what_may_be_allocated() {
        // Three arrays, of which the last is in a tagged field, of two elements of 8 bytes each.
        let bytes = [3, 1, 1, 3, 1, 1, 1, 0, 3, 3, 1, 1];
        let read = |allocatable| {
            let mut r = Reader::with_allocatable(&bytes, allocatable);
            let element = |r: &mut Reader<'_>| r.i8().map(i64::from);
            r.array(true, 1, element)?;
            r.array(true, 1, element)?;
            r.tagged_fields(|_, r| r.array(true, 1, element).map(|_| true))
        };
        assert_eq!(read(48), Ok(()));
        assert_eq!(read(47), Err(WireError::TooManyElements));
    }

    #[test]
    fn strings_are_checked() {
        assert_eq!(Reader::new(&[0, 2, b'a', b'b']).string(false), Ok("ab"));
        assert_eq!(Reader::new(&[3, b'a', b'b']).string(true), Ok("ab"));
        assert_eq!(Reader::new(&[0, 3, b'a', b'b']).string(false), Err(WireError::TooShort));
        assert_eq!(Reader::new(&[2, 0xff]).string(true), Err(WireError::InvalidUtf8));
        assert_eq!(Reader::new(&[0]).string(true), Err(WireError::Null));
        let long = "a".repeat(MAX_STRING_BYTES + 1);
        assert_eq!(Writer::new().string(&long, true), Err(WireError::TooLong));
        let mut w = Writer::new();
        w.bytes(long.as_bytes(), true).unwrap();
        assert_eq!(Reader::new(w.as_slice()).string(true), Err(WireError::TooLong));
    }

    #[test]
    fn tagged_fields_are_bounded_and_skipped() {
        let mut w = Writer::new();
        w.varint(2);
        w.tagged_field(1, |w| w.string(&"x".repeat(200), true)).unwrap();
        w.tagged_field(7, |w| {
            w.i32(5);
            Ok(())
        })
        .unwrap();
        let mut r = Reader::new(w.as_slice());
        let mut seen = None;
        r.tagged_fields(|tag, r| {
            if tag == 1 {
                seen = Some(r.string(true)?.len());
            }
            Ok(tag == 1)
        })
        .unwrap();
        assert_eq!((seen, r.remaining()), (Some(200), 0));
        // A known field that does not fill its size, and one that wants more than its size.
        assert_eq!(
            Reader::new(&[1, 1, 2, 0, 0]).tagged_fields(|_, r| r.i8().map(|_| true)),
            Err(WireError::TrailingBytes)
        );
        assert_eq!(
            Reader::new(&[1, 1, 1, 0, 0]).tagged_fields(|_, r| r.i16().map(|_| true)),
            Err(WireError::TooShort)
        );
    }
}
