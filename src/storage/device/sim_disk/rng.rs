//! Random numbers that a seed determines: those of the whole crate.

pub use crate::types::rng::Rng;
