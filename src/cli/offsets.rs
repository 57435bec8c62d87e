//! Offset lookups of the client, for all commands.

pub use crate::client::offsets::{EARLIEST, LATEST, list};
