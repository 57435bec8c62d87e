//! CRC-32C, and its arithmetic.
//!
//! A CRC is linear: the CRC of `a ++ b` follows from those of `a` and `b` and the length of `b`. So
//! the CRC of many batches follows from their own CRCs, and changing a header field does not need
//! a pass over the records. Why [`combine`] is our own: `src/wire/DECISIONS.md`.

/// Generator polynomial of CRC-32C, bits reflected.
const POLY: u32 = 0x82f6_3b78;

/// `X2N[k]` is x^(2^k) modulo the polynomial.
const X2N: [u32; 3 + usize::BITS as usize] = {
    let mut table = [0; 3 + usize::BITS as usize];
    table[0] = 1 << 30;
    let mut k = 1;
    while k < table.len() {
        table[k] = multiply(table[k - 1], table[k - 1]);
        k += 1;
    }
    table
};

/// `a · b` modulo the polynomial; the top bit is x^0.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 1 << 31;
    while bit != 0 {
        // Both without a branch: the bits of a CRC are as good as random.
        product ^= b & 0u32.wrapping_sub((a & bit != 0) as u32);
        b = (b >> 1) ^ (POLY & 0u32.wrapping_sub(b & 1));
        bit >>= 1;
    }
    product
}

/// CRC-32C of `data`.
#[inline]
pub fn crc32c(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
}

/// CRC-32C of `a ++ data`, where `crc` is that of `a`.
pub fn append(crc: u32, data: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, data)
}

/// CRC-32C of `a ++ b` from those of `a` and `b`; `len_b` is b's length in bytes.
pub fn combine(crc_a: u32, crc_b: u32, len_b: usize) -> u32 {
    // Multiplies crc_a by x^(8 · len_b).
    let mut shifted = crc_a;
    let (mut n, mut k) = (len_b, 3);
    while n != 0 {
        if n & 1 == 1 {
            shifted = multiply(X2N[k], shifted);
        }
        n >>= 1;
        k += 1;
    }
    shifted ^ crc_b
}

/// CRC-32C of `payload ++ batch` from that of `payload`, using the batch's own CRC for all but its
/// first 21 bytes. Correct only for a batch whose CRC was checked.
///
/// # Panics
/// If `batch` is shorter than a batch header.
pub fn append_batch(crc: u32, batch: &[u8]) -> u32 {
    // Below this a plain pass is cheaper than the multiplications.
    const PLAIN_MAX: usize = 4096;
    if batch.len() <= PLAIN_MAX {
        return append(crc, batch);
    }
    let own = u32::from_be_bytes([batch[17], batch[18], batch[19], batch[20]]);
    combine(append(crc, &batch[..21]), own, batch.len() - 21)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        // RFC 3720 B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn combines_as_one_pass(a: Vec<u8>, b: Vec<u8>) {
            let whole = [a.as_slice(), &b].concat();
            prop_assert_eq!(combine(crc32c(&a), crc32c(&b), b.len()), crc32c(&whole));
        }

        #[test]
        fn combines_long_runs(len in 0usize..3_000_000, crc: u32) {
            // Against the crate's matrices.
            prop_assert_eq!(combine(crc, 5, len), crc32c::crc32c_combine(crc, 5, len));
        }

        #[test]
        fn lengths_add_up(a in 0usize..1 << 62, b in 0usize..1 << 62, crc: u32) {
            // Shifting by a, then by b, is shifting by both: holds for lengths nobody can pass over.
            prop_assert_eq!(combine(combine(crc, 0, a), 0, b), combine(crc, 0, a + b));
        }
    }
}
