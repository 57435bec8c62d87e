//! Zigzag varints, as in Kafka's records (`ByteUtils.readVarint`, `readVarlong`).

use super::RecordError;

/// Appends a 32-bit varint, 1 to 5 bytes.
pub(super) fn put_i32(out: &mut Vec<u8>, value: i32) {
    put(out, u64::from(((value << 1) ^ (value >> 31)).cast_unsigned()));
}

/// Appends a 64-bit varint, 1 to 10 bytes.
pub(super) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

fn put(out: &mut Vec<u8>, mut bits: u64) {
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// Reads a 32-bit varint from a source of bytes.
pub(super) fn read_i32(
    mut byte: impl FnMut() -> Result<u8, RecordError>,
) -> Result<i32, RecordError> {
    let bits = read(&mut byte, 5)?;
    let bits = u32::try_from(bits).map_err(|_| RecordError::Malformed("a varint is too large"))?;
    Ok((bits >> 1).cast_signed() ^ -((bits & 1).cast_signed()))
}

/// Reads a 64-bit varint from a source of bytes.
pub(super) fn read_i64(
    mut byte: impl FnMut() -> Result<u8, RecordError>,
) -> Result<i64, RecordError> {
    let bits = read(&mut byte, 10)?;
    Ok((bits >> 1).cast_signed() ^ -((bits & 1).cast_signed()))
}

fn read(
    byte: &mut impl FnMut() -> Result<u8, RecordError>,
    len_max: u32,
) -> Result<u64, RecordError> {
    let mut bits = 0;
    for i in 0..len_max {
        let b = byte()?;
        let part = u64::from(b & 0x7f);
        let shifted = part << (7 * i);
        if shifted >> (7 * i) != part {
            return Err(RecordError::Malformed("a varint is too large"));
        }
        bits |= shifted;
        if b & 0x80 == 0 {
            return Ok(bits);
        }
    }
    Err(RecordError::Malformed("a varint is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reader(bytes: &[u8]) -> impl FnMut() -> Result<u8, RecordError> {
        let mut bytes = bytes.iter().copied();
        move || bytes.next().ok_or(RecordError::Malformed("end"))
    }

    #[test]
    fn as_kafka_writes_them() {
        // From ByteUtilsTest: value, bytes.
        for (value, expected) in [
            (0, &[0][..]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut out = Vec::new();
            put_i32(&mut out, value);
            assert_eq!(out, expected);
            assert_eq!(read_i32(reader(expected)), Ok(value));
        }
        assert!(read_i32(reader(&[0xff, 0xff, 0xff, 0xff, 0x1f])).is_err());
        assert!(read_i32(reader(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x01])).is_err());
        assert!(read_i64(reader(&[0xff; 11])).is_err());
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(a: i32, b: i64) {
            let (mut x, mut y) = (Vec::new(), Vec::new());
            put_i32(&mut x, a);
            put_i64(&mut y, b);
            prop_assert_eq!(read_i32(reader(&x)), Ok(a));
            prop_assert_eq!(read_i64(reader(&y)), Ok(b));
        }
    }
}
