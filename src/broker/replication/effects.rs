//! What changes of a shard's logs mean for its followers and its leaders.

use crate::broker::logs::RoleChange;
use crate::broker::state::State;
use crate::storage::engine::Slot;
use crate::types::TopicPartition;
use std::rc::Rc;

impl State {
    /// Partitions have other roles; logs that are followed are durable up to there; watermarks have moved.
    pub(in crate::broker) fn replicate(
        self: &Rc<Self>,
        roles: Vec<RoleChange>,
        durable: Vec<(TopicPartition, i64)>,
        moved: Vec<Slot>,
    ) {
        for role in roles {
            match role {
                RoleChange::Leads { tp, slot, epoch } => {
                    self.unfollow(tp);
                    self.end_feeds(slot, epoch);
                }
                RoleChange::Follows { tp, slot, target, epoch } => {
                    self.end_feeds(slot, -1);
                    match target {
                        Some(target) => self.follow(tp, target, epoch),
                        None => self.unfollow(tp),
                    }
                }
                RoleChange::Gone { tp, slot } => {
                    self.unfollow(tp);
                    self.end_feeds(slot, -1);
                }
            }
        }
        if !durable.is_empty() {
            self.tell_durable(durable);
        }
        if !moved.is_empty() {
            let mut feeds = self.feeds.borrow_mut();
            let mut any = false;
            for slot in moved {
                any |= feeds.moved(slot);
            }
            if any {
                self.kick();
            }
        }
    }
}
