//! What shard 0 holds as the owner of the metadata: the controller, and how far all shards have come.

use super::figures::ControllerFigures;
use super::wait::{Condition, Gate};
use crate::controller::{Controller, Sessions};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// See the module.
pub struct MetadataOwner {
    /// The controller.
    pub controller: RefCell<Controller>,
    /// Which brokers were heard, while this node leads.
    pub sessions: RefCell<Sessions>,
    /// Whoever proposes something holds it from the look at the draft on: one at a time.
    pub turn: Gate,
    /// Somebody is about to propose that topics whose data is gone are forgotten.
    pub forgetting: Cell<bool>,
    /// The members of the quorum stay as they are for a moment.
    pub members_held: Cell<bool>,
    /// What was decided while this node led: of the rest nothing is kept here.
    pub figures: RefCell<ControllerFigures>,
    /// Every shard has applied the metadata up to this index.
    pub applied: Cell<u64>,
    /// The term in which this node leads the quorum, as it was told last.
    pub leads: Cell<Option<u64>>,
    /// The node that leads the quorum, as it was told last; -1 for none.
    pub leader: Cell<i32>,
    /// The other node that led the quorum last, and when it was heard, ms.
    pub led_before: Cell<Option<(i32, i64)>>,
    /// Nodes that have spoken as members of the quorum, and when last, ms.
    pub spoken: RefCell<BTreeMap<i32, i64>>,
    /// Wakes those that wait for `applied` or `leads`.
    pub changed: Condition,
    /// The controller may have something to write.
    pub dirty: Cell<bool>,
    /// Wakes who writes.
    pub work: Condition,
}

impl MetadataOwner {
    /// The controller, whose metadata every shard begins with.
    pub fn new(controller: Controller) -> Self {
        let configs = controller.image().broker_configs.clone();
        let timeout_ms = configs.number("broker.session.timeout.ms").unwrap_or(3_000);
        let applied = Cell::new(controller.image().index);
        let (leads, leader) = (controller.leading_term(), controller.leader());
        Self {
            sessions: RefCell::new(Sessions::new(timeout_ms.unsigned_abs())),
            leads: Cell::new(leads),
            leader: Cell::new(leader),
            controller: RefCell::new(controller),
            turn: Gate::default(),
            figures: RefCell::default(),
            led_before: Cell::new(None),
            spoken: RefCell::default(),
            forgetting: Cell::new(false),
            members_held: Cell::new(false),
            applied,
            changed: Condition::default(),
            dirty: Cell::new(true),
            work: Condition::default(),
        }
    }

    /// There may be something to write.
    pub fn kick(&self) {
        self.dirty.set(true);
        self.work.notify();
    }
}
