//! What time it is, for code that may not look itself.

/// One look at both clocks. Deadlines and durations are measured by the monotonic one; stamps that
/// others read are taken from the wall clock, which may be set at any moment, by any amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Since 1970, ms.
    pub wall_ms: i64,
    /// Since some moment before the process served, ms. Never less than before.
    pub monotonic_ms: i64,
}
