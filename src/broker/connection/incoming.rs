//! Bytes of one connection on their way in, until they are frames.

use crate::storage::buffer::{Budget, Filling};
use crate::wire::api_keys::ApiKey;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Frames up to this come through the connection's common buffer; larger ones have their own.
pub(super) const SMALL_FRAME: usize = 16 << 10;
/// Bytes of a large frame that arrive in the common buffer, before it gets one of its own: whoever has
/// sent no more than a header holds no more than that.
const LARGE_FROM: usize = 4 << 10;
/// Room that a large frame gets at first.
const FIRST_STEP: usize = 64 << 10;
/// Up to this a large frame's room grows fourfold each time it is full, beyond it twofold.
const QUICK_STEPS: usize = 1 << 20;
/// Room left in the common buffer below which there is to be more.
const SPARE_MIN: usize = 1024;

/// What stands at the start of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// Nothing, or the beginning of a frame, for which the common buffer does.
    Part,
    /// A frame, this long with its prefix.
    Whole { bytes: usize, api: ApiKey },
    /// The beginning of a frame that is too large for the common buffer, of which some has arrived.
    Large { bytes: usize, api: ApiKey },
    /// What cannot be the beginning of a request.
    Bad { len: i32, most: usize },
}

/// The most bytes that a frame may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameLimits {
    /// Any.
    pub most: usize,
    /// What is no Produce: it is decoded into many small things, of which each takes more than it
    /// takes on the wire.
    pub other: usize,
}

/// A large frame on its way: it has pages of its own, which hold nothing else.
struct Large {
    /// Bytes of the frame with its prefix.
    bytes: usize,
    order: u64,
    buf: Filling,
}

/// See the module.
#[derive(Default)]
pub(super) struct Incoming {
    /// The common buffer. Empty, and without memory, while there is a large frame.
    buf: BytesMut,
    large: Option<Large>,
    /// The largest frame with a buffer of its own that has arrived: the next one gets as much room at
    /// once. What it costs to claim that was paid before.
    credit: usize,
}

impl Incoming {
    /// Bytes that are there.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    fn bytes(&self) -> &[u8] {
        self.large.as_ref().map_or(&self.buf, |large| large.buf.as_slice())
    }

    /// Bytes of memory that it holds, without what was cut from it.
    pub fn capacity(&self) -> usize {
        self.large.as_ref().map_or(self.buf.capacity(), |large| large.buf.room())
    }

    /// The number of the large frame that has the buffer.
    pub fn large(&self) -> Option<u64> {
        self.large.as_ref().map(|it| it.order)
    }

    /// What stands at the start.
    pub fn front(&self, limits: FrameLimits) -> Front {
        let all = self.bytes();
        let Some(prefix) = all.first_chunk::<4>() else { return Front::Part };
        let len = i32::from_be_bytes(*prefix);
        let Ok(bytes) = usize::try_from(len) else {
            return Front::Bad { len, most: limits.most };
        };
        if bytes > limits.most {
            return Front::Bad { len, most: limits.most };
        }
        let api = match all.get(4..6) {
            // The frame has no room for a key: it is refused when it is decoded.
            _ if bytes < 2 => ApiKey(-1),
            Some(key) => ApiKey(i16::from_be_bytes([key[0], key[1]])),
            None => return Front::Part,
        };
        if api != ApiKey::PRODUCE && bytes > limits.other {
            return Front::Bad { len, most: limits.other };
        }
        let bytes = 4 + bytes;
        if all.len() >= bytes {
            Front::Whole { bytes, api }
        } else if bytes > SMALL_FRAME && all.len() >= LARGE_FROM {
            Front::Large { bytes, api }
        } else {
            Front::Part
        }
    }

    /// Takes the frame at the start, which is [`Front::Whole`], without its prefix.
    pub fn cut(&mut self, bytes: usize) -> Bytes {
        if let Some(large) = self.large.take() {
            self.credit = self.credit.max(bytes);
            return large.buf.into_filled().freeze().slice(4..bytes);
        }
        self.buf.advance(4);
        self.buf.split_to(bytes - 4).freeze()
    }

    /// Whether the common buffer needs more memory before more is read into it.
    pub fn needs_room(&self) -> bool {
        self.buf.capacity() - self.buf.len() < SPARE_MIN
    }

    /// Makes room in the common buffer.
    pub fn make_room(&mut self) {
        self.buf.reserve(SMALL_FRAME);
    }

    /// The capacities that the buffer of a large frame of so many bytes may have next: the one that
    /// is best, and the least one. None where it has all that it needs.
    pub fn next_capacity(&self, bytes: usize) -> Option<(usize, usize)> {
        let have = if self.large.is_some() { self.capacity() } else { 0 };
        if have > 0 && self.len() < have {
            return None;
        }
        let step = if have < QUICK_STEPS { 4 * have } else { 2 * have };
        let mut least = bytes.min(step.max(FIRST_STEP));
        if bytes - least < bytes / 4 {
            least = bytes;
        }
        Some((bytes.min(least.max(self.credit)), least))
    }

    /// Gives the large frame at the start a buffer of this capacity, of `budget`'s memory.
    pub fn grow(&mut self, order: u64, bytes: usize, capacity: usize, budget: &Arc<Budget>) {
        let mut buf = Filling::new(capacity, budget);
        buf.push(self.bytes());
        self.buf = BytesMut::new();
        self.large = Some(Large { bytes, order, buf });
    }

    /// Where the next bytes go.
    pub fn read_into(&mut self) -> ReadInto<'_> {
        match &mut self.large {
            Some(large) => {
                let room = large.buf.room().min(large.bytes);
                let limit = room - large.buf.len();
                ReadInto { to: To::Large(&mut large.buf), limit }
            }
            None => {
                let limit = self.buf.capacity() - self.buf.len();
                ReadInto { to: To::Common(&mut self.buf), limit }
            }
        }
    }

    /// Nothing more is there now: gives back what need not wait in memory.
    pub fn shrink(&mut self) {
        if self.large.is_some() {
            return;
        }
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
        } else if self.buf.capacity() > 4 * self.buf.len() + 1024 {
            // The little that is there waits in a little buffer: many clients may stop in the middle
            // of a request.
            self.buf = BytesMut::from(&self.buf[..]);
        }
    }

    /// Gives back everything.
    pub fn clear(&mut self) {
        self.buf = BytesMut::new();
        self.large = None;
    }
}

/// The room that a connection's next bytes are read into.
pub struct ReadInto<'a> {
    to: To<'a>,
    limit: usize,
}

enum To<'a> {
    Common(&'a mut BytesMut),
    Large(&'a mut Filling),
}

impl ReadInto<'_> {
    /// The room, which is never empty.
    pub fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        let spare = match &mut self.to {
            To::Common(buf) => buf.spare_capacity_mut(),
            To::Large(buf) => buf.spare(),
        };
        &mut spare[..self.limit]
    }

    /// The first `n` bytes of [`spare`](Self::spare) are there.
    ///
    /// # Safety
    ///
    /// Somebody has written them: the kernel.
    pub unsafe fn filled(self, n: usize) {
        assert!(n <= self.limit, "more was read than there was room for");
        // SAFETY: the caller's promise, and they lie within the capacity.
        unsafe {
            match self.to {
                To::Common(buf) => buf.advance_mut(n),
                To::Large(buf) => buf.advance(n),
            }
        }
    }

    /// Copies as much of `bytes` as there is room for; how much that is.
    pub fn put(self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.limit);
        match self.to {
            To::Common(buf) => buf.extend_from_slice(&bytes[..n]),
            To::Large(buf) => buf.push(&bytes[..n]),
        }
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits { most: 1 << 20, other: 1 << 18 };

    fn with(bytes: &[u8]) -> Incoming {
        Incoming { buf: bytes.into(), ..Incoming::default() }
    }

    #[test]
    fn lengths_are_checked_before_anything_is_read() {
        let front = |bytes: &[u8]| with(bytes).front(LIMITS);
        assert_eq!(front(&[0, 0, 0]), Front::Part);
        assert_eq!(front(&[0, 0, 0, 5, 0]), Front::Part);
        let api = ApiKey(18);
        assert_eq!(front(&[0, 0, 0, 3, 0, 18, 1]), Front::Whole { bytes: 7, api });
        assert_eq!(front(&[0, 0, 0, 3, 0, 18]), Front::Part);
        let begun = |head: &[u8], len: usize| {
            let mut bytes = head.to_vec();
            bytes.resize(len, 0);
            with(&bytes).front(LIMITS)
        };
        let large = [0, 0, 0x80, 0, 0, 18];
        assert_eq!(begun(&large, LARGE_FROM - 1), Front::Part);
        assert_eq!(begun(&large, LARGE_FROM), Front::Large { bytes: 4 + (32 << 10), api });
        // A Produce may be larger than others.
        assert_eq!(front(&[0, 8, 0, 0, 0, 18]), Front::Bad { len: 1 << 19, most: 1 << 18 });
        let produce = begun(&[0, 8, 0, 0, 0, 0], LARGE_FROM);
        assert!(matches!(produce, Front::Large { api: ApiKey::PRODUCE, .. }));
        for bad in [&[255; 4][..], b"GET / HTTP/1.1", &[0x16, 3, 1, 2], &[0, 16, 0, 1]] {
            assert!(matches!(front(bad), Front::Bad { .. }), "{bad:?}");
        }
        let none = ApiKey(-1);
        assert_eq!(front(&[0, 0, 0, 0, 9]), Front::Whole { bytes: 4, api: none });
        assert_eq!(front(&[0, 0, 0, 1, 9]), Front::Whole { bytes: 5, api: none });
    }

    #[test]
    fn a_large_frame_grows_as_it_arrives() {
        let bytes = 4 + (1 << 20);
        let mut incoming = with(&[&[0, 16, 0, 0][..], &[0; LARGE_FROM - 4]].concat());
        let mut order = 0;
        let mut capacities = Vec::new();
        let mut taken = 0;
        let budget = Budget::new(8 << 20);
        loop {
            match incoming.front(LIMITS) {
                Front::Large { bytes, .. } => {
                    if let Some((best, _)) = incoming.next_capacity(bytes) {
                        order += 1;
                        capacities.push(best);
                        incoming.grow(order, bytes, best, &budget);
                    }
                    taken += incoming.read_into().put(&vec![0; 50_000]);
                }
                Front::Whole { bytes, .. } => {
                    assert_eq!(incoming.cut(bytes).len(), 1 << 20);
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(taken, bytes - LARGE_FROM);
        assert_eq!(capacities, [64 << 10, 256 << 10, bytes]);
        // Who has sent one may send the next one without copies.
        assert_eq!(incoming.next_capacity(bytes), Some((bytes, 64 << 10)));
        assert_eq!(incoming.next_capacity(3 * bytes), Some((bytes, 64 << 10)));
        assert_eq!(incoming.next_capacity(20_000), Some((20_000, 20_000)));
    }

    #[test]
    fn what_waits_takes_little_memory() {
        let mut incoming = Incoming::default();
        assert!(incoming.needs_room());
        incoming.make_room();
        incoming.read_into().put(&[0, 0]);
        assert!(incoming.capacity() >= SMALL_FRAME);
        incoming.shrink();
        assert!(incoming.capacity() < 100 && incoming.len() == 2);
        incoming.buf.clear();
        incoming.shrink();
        assert_eq!(incoming.capacity(), 0);
    }
}
