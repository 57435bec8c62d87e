//! Placement: what becomes of records after the journal has them. Write-back rounds bring them into
//! segments, truncation and retention give them up, removal unlinks files.

pub(super) mod removal;
pub(super) mod round;
mod truncation;
