//! A partition as the metadata have it.

use super::record::{NewPartition, PartitionChange};
use std::sync::Arc;

/// Leadership and replicas of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    /// Node id of the leader, -1 for none.
    pub leader: i32,
    /// Rises whenever the leader changes or starts anew.
    pub leader_epoch: i32,
    /// Rises with every change of this partition.
    pub partition_epoch: i32,
    /// Brokers that hold it, the preferred leader first. While replicas are reassigned, those of before and after.
    pub replicas: Arc<[i32]>,
    /// The brokers that are in sync (ISR). Empty where none of them is there.
    pub isr: Arc<[i32]>,
    /// Eligible leader replicas (KIP-966): they left the ISR while it was smaller than `min.insync.replicas`, so
    /// nothing was acknowledged that they do not have. Until this is empty again the watermark must not advance.
    pub elr: Arc<[i32]>,
    /// Replicas that a reassignment adds.
    pub adding: Arc<[i32]>,
    /// Replicas that go when it ends.
    pub removing: Arc<[i32]>,
    /// The last leader epoch whose leader did not have all that was committed when it was elected; 0 for none. Replicas
    /// with records of earlier epochs alone may have to give up some of them.
    pub unclean_epoch: i32,
}

impl Partition {
    pub(super) fn new(from: &NewPartition) -> Self {
        Self {
            leader: from.isr.first().copied().unwrap_or(-1),
            replicas: from.replicas.clone(),
            isr: from.isr.clone(),
            ..Self::default()
        }
    }

    /// Whether its replicas are being reassigned.
    pub fn is_reassigned(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// How many must be in sync for the watermark to advance, where `min.insync.replicas` is `configured`: as long as
    /// there are eligible leaders outside the ISR, more than there are in it, whatever the setting says by now.
    pub fn min_in_sync(&self, configured: usize) -> usize {
        let frozen = if self.elr.is_empty() { 0 } else { self.isr.len() + 1 };
        configured.min(self.replicas.len()).max(frozen)
    }

    pub(super) fn apply(&mut self, change: &PartitionChange) {
        if let Some(leader) = change.leader {
            self.leader = leader;
            self.leader_epoch += 1;
            if change.unclean {
                self.unclean_epoch = self.leader_epoch;
            }
        }
        let set = |into: &mut Arc<[i32]>, from: &Option<Arc<[i32]>>| {
            if let Some(from) = from {
                *into = from.clone();
            }
        };
        set(&mut self.isr, &change.isr);
        set(&mut self.elr, &change.elr);
        set(&mut self.replicas, &change.replicas);
        set(&mut self.adding, &change.adding);
        set(&mut self.removing, &change.removing);
        self.partition_epoch += 1;
    }

    /// Checks that the parts agree with each other.
    pub(super) fn invariants(&self) {
        let within = |some: &[i32], all: &[i32]| some.iter().all(|it| all.contains(it));
        assert!(self.leader == -1 || self.isr.contains(&self.leader), "{self:?}");
        assert!(within(&self.isr, &self.replicas) && within(&self.elr, &self.replicas), "{self:?}");
        assert!(!self.elr.iter().any(|it| self.isr.contains(it)), "{self:?}");
        assert!(within(&self.adding, &self.replicas), "{self:?}");
        assert!(within(&self.removing, &self.replicas), "{self:?}");
    }
}
