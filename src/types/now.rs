//! The time, as an argument.

/// One moment by two clocks.
///
/// What is kept and shown is stamped with the wall's; how long something took, and when something is
/// due, is told by the monotonic one, since the wall's may be set at any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970. May jump forth and back.
    pub wall_ms: i64,
    /// Milliseconds since some moment of this process's life; never fewer than before.
    pub monotonic_ms: i64,
}

impl Now {
    /// A moment at which both clocks show the same: for tests.
    pub const fn at(ms: i64) -> Self {
        Self { wall_ms: ms, monotonic_ms: ms }
    }
}
