//! Looking offsets up: the client's, under a name that the commands share.

pub use crate::client::offsets::{EARLIEST, LATEST, list};
