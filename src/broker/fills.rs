//! Who waits for which read of the disk.

use super::wait::Sender;
use crate::storage::read::Ticket;
use crate::types::ErrorCode;
use std::collections::BTreeMap;

/// How a read of the disk ended. An error is one of the partition that is read.
pub type Filled = Result<(), ErrorCode>;

/// By read, who waits for it: several may.
pub type Fills = BTreeMap<Ticket, Vec<Sender<Filled>>>;
