//! How this broker stands with the controller.

use super::calls::ShardId;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// A broker that hears no controller for so long after its start lets clients in all the same, ms: they are told what
/// it knows, which may be old, and it leads nothing. Kafka's broker would not answer at all.
pub const LET_IN_MS: i64 = 10_000;

/// On shard 0.
pub struct Standing {
    /// The controller has registered this start of the broker.
    pub registered: Cell<bool>,
    /// It is fenced, as far as it has heard.
    pub fenced: Cell<bool>,
    /// When the controller was heard last, ms.
    pub heard_ms: Cell<i64>,
    /// It wants to end: others are to lead what it leads.
    pub leaving: Cell<bool>,
    /// The controller says that it may end.
    pub may_end: Cell<bool>,
    /// The node that was asked last while no controller was known.
    pub asked: Cell<i32>,
    /// Shards whose appends are refused for want of space. Where there are any, others are to lead what this broker leads.
    pub without_space: RefCell<BTreeSet<ShardId>>,
}

impl Standing {
    /// Of a node that is its own controller, which has registered it at the start.
    pub fn of_its_own() -> Self {
        Self { registered: Cell::new(true), fenced: Cell::new(false), ..Self::default() }
    }
}

impl Default for Standing {
    /// Nobody knows it yet.
    fn default() -> Self {
        Self {
            registered: Cell::new(false),
            fenced: Cell::new(true),
            heard_ms: Cell::new(0),
            leaving: Cell::new(false),
            may_end: Cell::new(false),
            asked: Cell::new(-1),
            without_space: RefCell::default(),
        }
    }
}
