//! One Snappy block, a piece at a time: a block may be as large as a batch, and what decodes it whole
//! would hold up whoever looks into it. Small ones are left to the crate.
//!
//! The format is that of Snappy's `format_description.txt`: the length of what comes out, then elements,
//! each a literal or a copy of what came out before.

use super::input::Input;
use std::io;

/// A block that is decoded in pieces.
pub(super) struct Block<'a> {
    /// What is left of a literal, then elements that were not read yet.
    rest: Input<'a>,
    /// Bytes of the literal.
    literal: usize,
    /// Bytes that the block says will come out.
    claimed: usize,
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

const CUT_OFF: &str = "the block is cut off";

impl<'a> Block<'a> {
    /// A block of which `claimed` bytes will come out, as [`snap::raw::decompress_len`] says.
    pub fn new(mut block: Input<'a>, claimed: usize) -> io::Result<Self> {
        let length = block.as_slice().iter().position(|it| it & 0x80 == 0).ok_or(bad(CUT_OFF))?;
        block.pass(length + 1);
        Ok(Self { rest: block, literal: 0, claimed })
    }

    /// Decodes about `bytes` more into `out`, which holds all that came out before; false at the end.
    pub fn more(&mut self, out: &mut Vec<u8>, bytes: usize) -> io::Result<bool> {
        let before = out.len();
        let until = before.saturating_add(bytes.max(1));
        let (mut rest, mut literal) = (self.rest.as_slice(), self.literal);
        let all = rest.len();
        while out.len() < until {
            if literal == 0 && rest.is_empty() {
                break;
            }
            if literal == 0 {
                literal = element(&mut rest, out)?;
            } else {
                let now = take(&mut rest, literal.min(until - out.len()))?;
                out.extend_from_slice(now);
                literal -= now.len();
            }
            if out.len() + literal > self.claimed {
                return Err(bad("more comes out of the block than it claims"));
            }
        }
        let passed = all - rest.len();
        self.rest.pass(passed);
        self.literal = literal;
        let more = out.len() > before;
        if !more && out.len() < self.claimed {
            return Err(bad("less comes out of the block than it claims"));
        }
        Ok(more)
    }
}

/// Carries out a copy, or finds a literal: how many bytes of one follow.
fn element(rest: &mut &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
    let tag = usize::from(take(rest, 1)?[0]);
    let (len, offset) = match tag & 3 {
        0 => {
            let len = match tag >> 2 {
                short @ 0..60 => short,
                long => number(rest, long - 59)?,
            };
            let len = len.saturating_add(1);
            return if len <= rest.len() { Ok(len) } else { Err(bad(CUT_OFF)) };
        }
        1 => (4 + (tag >> 2 & 7), tag >> 5 << 8 | number(rest, 1)?),
        2 => (1 + (tag >> 2), number(rest, 2)?),
        _ => (1 + (tag >> 2), number(rest, 4)?),
    };
    let start = out.len().checked_sub(offset).filter(|_| offset > 0);
    let start = start.ok_or(bad("a copy of what is not there"))?;
    // What is copied may reach into what the copy makes: it repeats then.
    let mut left = len;
    while left > 0 {
        let n = left.min(offset);
        out.extend_from_within(start..start + n);
        left -= n;
    }
    Ok(0)
}

fn take<'b>(rest: &mut &'b [u8], n: usize) -> io::Result<&'b [u8]> {
    let (taken, after) = rest.split_at_checked(n).ok_or(bad(CUT_OFF))?;
    *rest = after;
    Ok(taken)
}

/// A number of so many bytes, little-endian.
fn number(rest: &mut &[u8], bytes: usize) -> io::Result<usize> {
    Ok(take(rest, bytes)?.iter().rev().fold(0, |all, it| all << 8 | usize::from(*it)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Rng;

    fn decode(block: &[u8], claimed: usize, piece: usize) -> io::Result<Vec<u8>> {
        let (mut decoder, mut out) = (Block::new(Input::Borrowed(block), claimed)?, Vec::new());
        loop {
            let before = out.len();
            if !decoder.more(&mut out, piece)? {
                return Ok(out);
            }
            // An element makes 64 bytes at most, and a literal is cut.
            assert!(out.len() - before <= piece.max(1) + 64);
        }
    }

    #[test]
    fn gives_what_the_crate_gives_in_pieces_of_any_size() {
        let mut rng = Rng::new(5);
        for round in 0..200 {
            let len = rng.below(200_000) as usize;
            let kinds = 1 + rng.below(255);
            let mut bytes = Vec::with_capacity(len);
            while bytes.len() < len {
                let run = 1 + rng.below(if round % 2 == 0 { 1 } else { 90 }) as usize;
                let byte = rng.below(kinds) as u8;
                bytes.extend(std::iter::repeat_n(byte, run));
            }
            let block = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
            let piece = 1 + rng.below(70_000) as usize;
            assert_eq!(decode(&block, bytes.len(), piece).unwrap(), bytes);
            // Damaged, it gives an error or other bytes, and the crate says the same.
            let mut damaged = block.clone();
            let at = rng.below(damaged.len() as u64) as usize;
            damaged[at] ^= 1 << rng.below(8);
            let Ok(claimed @ 0..10_000_000) = snap::raw::decompress_len(&damaged) else { continue };
            let theirs = snap::raw::Decoder::new().decompress_vec(&damaged).ok();
            assert_eq!(decode(&damaged, claimed, piece).ok(), theirs);
        }
    }
}
