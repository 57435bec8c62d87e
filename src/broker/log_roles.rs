//! What each partition is to this broker, as the metadata say: led here, followed, or not here.

use super::links::Target;
use super::logs::{Logs, Outbox, RoleChange, Task, committed, log_config, place, restore};
use super::part::Part;
use crate::controller::{self, Image, Topic};
use crate::replica::{Leading, Partition};
use crate::storage::engine::Slot;
use crate::types::{ErrorCode, Now, TopicPartition};
use crate::wire::peer::Lane;
use std::sync::Arc;

/// Steps of work that it takes to open a log, and to drop one.
const OPENED: u64 = 4;
const DROPPED: u64 = 4;

impl Logs {
    /// Opens a partition that is new here, or takes over its settings, and what it is to this broker; the
    /// steps that it took.
    pub(super) fn open_partition(
        &mut self,
        topic: &Arc<Topic>,
        partition: i32,
        image: &Image,
        now: Now,
        out: &mut Outbox,
    ) -> u64 {
        let tp = TopicPartition { topic: topic.id, partition };
        if tp.shard(self.shards) != self.shard {
            return 1;
        }
        let state = &topic.partitions[partition as usize];
        if !state.replicas.contains(&image.node_id) {
            // It was moved to other brokers: all of the new replicas are in sync.
            return self.give_up(tp, out);
        }
        let mut steps = 1;
        let slot = if let Some(slot) = self.find(tp) {
            self.engine.configure(slot, &log_config(topic));
            self.part(slot).config = topic.config.clone();
            slot
        } else {
            steps = OPENED;
            let slot = self.open_log(tp, topic, now.wall_ms, out);
            let Some(slot) = slot else { return steps };
            slot
        };
        self.take_role(tp, slot, topic, state, image, now, out);
        steps
    }

    /// Opens a log that is new here, or that recovery found before its topic was known.
    fn open_log(
        &mut self,
        tp: TopicPartition,
        topic: &Arc<Topic>,
        now_ms: i64,
        out: &mut Outbox,
    ) -> Option<Slot> {
        if let Some(slot) = self.engine.find(tp) {
            match restore(&mut self.engine, slot, tp, topic) {
                Ok(part) => {
                    self.producers.hold(part.core.producers().charged_bytes());
                    place(&mut self.parts, slot, part);
                    return Some(slot);
                }
                Err(message) => {
                    out.fatal = Some(message);
                    return None;
                }
            }
        }
        let slot = self.engine.create(tp, &log_config(topic), now_ms);
        place(&mut self.parts, slot, Part::new(Partition::new(-1), topic));
        Some(slot)
    }

    /// Leads or follows, as the metadata say.
    #[expect(clippy::too_many_arguments, reason = "the parts of one partition's metadata")]
    fn take_role(
        &mut self,
        tp: TopicPartition,
        slot: Slot,
        topic: &Topic,
        state: &controller::Partition,
        image: &Image,
        now: Now,
        out: &mut Outbox,
    ) {
        let epoch = state.leader_epoch;
        // What this broker led before its last start, others may lead by now: it leads only what it was
        // given after this start.
        let registered = image.broker(image.node_id).map(|it| it.incarnation);
        let leads =
            state.leader == image.node_id && registered.is_none_or(|it| it == self.incarnation);
        if registered == Some(self.incarnation)
            && state.isr.contains(&image.node_id)
            && self.engine.let_go_of_aside(slot)
        {
            out.repaired.push(tp);
        }
        let part = self.parts.get_mut(slot.index()).expect("an open partition");
        if leads {
            let before = (part.core.leads(), part.core.leader_epoch());
            let leading = Leading {
                node: image.node_id,
                epoch,
                partition_epoch: state.partition_epoch,
                replicas: &state.replicas,
                isr: &state.isr,
                min_insync: state
                    .min_in_sync(usize::try_from(topic.config.min_insync_replicas).unwrap_or(1)),
                now_ms: now.monotonic_ms,
            };
            let moved = part.core.lead(&leading);
            self.engine.set_committed(slot, committed(&part.core));
            self.engine.set_replicated(slot, state.replicas.len() > 1);
            if before != (true, epoch) {
                out.roles.push(RoleChange::Leads { tp, slot, epoch });
            }
            if moved {
                self.watermark_moved(slot, out);
            }
            if before.1 != epoch {
                self.fire_all(slot, out);
            }
            return;
        }
        let (led, epoch_before) = (part.core.leads(), part.core.leader_epoch());
        let always = topic.config.unclean_leader_election;
        let unclean_epoch = if always { i32::MAX } else { state.unclean_epoch };
        // A leader that this broker was before it started anew is nobody.
        let leader = if state.leader == image.node_id { -1 } else { state.leader };
        part.core.follow(epoch, leader, unclean_epoch);
        self.engine.set_committed(slot, committed(&part.core));
        if led {
            self.engine.set_replicated(slot, false);
            self.refuse_awaiting(slot, ErrorCode::NOT_LEADER_OR_FOLLOWER, out);
        }
        // Who waits here may have to go elsewhere.
        if led || epoch_before != epoch {
            self.fire_all(slot, out);
        }
        let target = image.broker(leader).filter(|it| it.peer_port != 0).map(|it| Target {
            node: leader,
            lane: Lane::Data,
            shard: tp.shard(usize::from(it.shards.max(1))) as u16,
        });
        out.roles.push(RoleChange::Follows { tp, slot, target, epoch });
    }

    /// Gives up a replica that belongs to other brokers now; the steps that it took.
    fn give_up(&mut self, tp: TopicPartition, out: &mut Outbox) -> u64 {
        let Some(slot) = self.find(tp) else { return 1 };
        self.refuse_awaiting(slot, ErrorCode::NOT_LEADER_OR_FOLLOWER, out);
        self.drop_log(tp, slot, out)
    }

    /// Drops a partition of a deleted topic; the steps that it took.
    pub(super) fn drop_partition(&mut self, tp: TopicPartition, out: &mut Outbox) -> u64 {
        let Some(slot) = self.find(tp) else { return 1 };
        *self.dropping.entry(tp.topic).or_default() += 1;
        self.refuse_awaiting(slot, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, out);
        self.drop_log(tp, slot, out)
    }

    fn drop_log(&mut self, tp: TopicPartition, slot: Slot, out: &mut Outbox) -> u64 {
        self.damaged.remove(&tp);
        let token = self.tasks.insert(Task::Drop) as u64;
        self.engine.drop_log(slot, token);
        let part = self.parts.take(slot.index()).expect("found");
        self.producers.give(part.core.producers().charged_bytes());
        let producers = part.core.into_producers();
        if !producers.is_empty() {
            self.left_behind.push(producers);
        }
        let steps = DROPPED + (part.waiters.len() + part.duplicates.len()) as u64;
        // They ask again, and hear that the topic is gone.
        for key in part.waiters {
            self.fire(key, out);
        }
        for (_, key, _) in part.duplicates {
            self.appended(key, out);
        }
        out.roles.push(RoleChange::Gone { tp, slot });
        steps
    }
}
