//! Damaged logs: this replica gives up being in sync and eligible, and then has the log from its leader anew.
//!
//! Nothing of a damaged log is believed: it does not lead where another one can, and follows nobody. It asks the
//! controller to be left out of those in sync and those eligible, which refuses where nobody else has everything; then
//! all stays as it is, and reads of what is damaged fail. Once that is committed, in a newer leader epoch than the one
//! in which the damage was found, no leader counts anything that this replica has said of its log; only then does it
//! [begin anew](crate::storage::damage), where its leader's log starts, and copies what that has, as any replica that is new.

use crate::broker::calls::ProposeIsr;
use crate::broker::logs::Logs;
use crate::broker::state::{Phase, State};
use crate::controller::Image;
use crate::storage::damage::Damage;
use crate::types::TopicPartition;
use crate::wire::peer::{IsrChange, Member};
use futures_lite::FutureExt;
use std::rc::Rc;

/// The controller is asked again after this time, ms, where nothing happens before.
const AGAIN_MS: i64 = 500;
/// Partitions that are given up with one message.
const AT_ONCE: usize = 1_000;

/// What is to be done about a damaged log.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Nothing can be done now.
    Wait,
    /// The controller is to be asked for an ISR without this replica.
    GiveUp(IsrChange),
    /// It may begin anew.
    BeginAnew,
}

/// What is to be done about this log, by the metadata: it was found to be damaged in the leader epoch `found`.
fn next(image: &Image, tp: TopicPartition, incarnation: u64, found: i32) -> Next {
    let me = image.node_id;
    let Some(state) = image.partition(tp) else { return Next::Wait };
    // What was there before this process registered may be old.
    let registered = image.broker(me).is_some_and(|it| it.incarnation == incarnation);
    if !registered || !state.replicas.contains(&me) {
        return Next::Wait;
    }
    let eligible = || state.isr.iter().chain(&*state.elr);
    let counts = eligible().any(|it| *it == me);
    // Its leader may have been told how far the log goes.
    let is_believed = state.leader_epoch <= found;
    if counts || is_believed {
        if !eligible().any(|it| *it != me) {
            return Next::Wait;
        }
        let member = |node: &i32| {
            let incarnation = image.broker(*node).map_or(0, |it| it.incarnation);
            Member { node: *node, incarnation }
        };
        return Next::GiveUp(IsrChange {
            tp,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            isr: state.isr.iter().filter(|it| **it != me).map(member).collect(),
        });
    }
    if state.leader == -1 || state.leader == me { Next::Wait } else { Next::BeginAnew }
}

/// Whether this replica is in sync or eligible in any of these partitions, or the metadata do not say that yet: nothing
/// in which this process has not registered does.
pub fn counts_in_any(image: &Image, damaged: &[TopicPartition], incarnation: u64) -> bool {
    let me = image.node_id;
    let counts = |tp: &TopicPartition| {
        let state = image.partition(*tp);
        state.is_some_and(|it| it.isr.contains(&me) || it.elr.contains(&me))
    };
    image.broker(me).is_none_or(|it| it.incarnation != incarnation) || damaged.iter().any(counts)
}

/// Whether others than this node have all that was committed of a partition, as the metadata have it.
pub fn is_elsewhere(image: &Image, tp: TopicPartition) -> bool {
    let state = image.partition(tp);
    state.is_some_and(|it| it.isr.iter().chain(&*it.elr).any(|node| *node != image.node_id))
}

impl State {
    /// Whether a log is known to be damaged.
    pub(super) fn is_damaged(&self, tp: TopicPartition) -> bool {
        self.logs.borrow().damaged.contains_key(&tp)
    }

    /// Whether a damaged log may begin anew now.
    pub(super) fn may_begin_anew(&self, logs: &Logs, tp: TopicPartition) -> bool {
        let (Some(found), Some((slot, core))) = (logs.damaged.get(&tp), logs.core(tp)) else {
            return false;
        };
        // This shard has taken over the epoch in which it counts for nothing.
        logs.engine.damage(slot) == Some(Damage::Marked)
            && core.leader_epoch() > *found
            && next(&self.image(), tp, self.node.incarnation, *found) == Next::BeginAnew
    }

    /// Logs were found to be damaged.
    pub(in crate::broker) fn found_damaged(&self, damaged: Vec<(TopicPartition, Box<str>)>) {
        self.replication.borrow_mut().damaged += damaged.len() as u64;
        for (tp, why) in damaged {
            let image = self.image_now();
            let name = image.name_of(tp.topic);
            tracing::error!(topic = %name, partition = tp.partition, "the log is damaged: {why}");
        }
        self.changed_damage.notify();
    }

    /// The mending of these has come a step further.
    pub(in crate::broker) fn mended(&self, mended: Vec<TopicPartition>) {
        for tp in mended {
            self.streams.borrow_mut().want(tp, i64::MIN);
        }
        self.changed_streams.notify();
        self.changed_damage.notify();
    }

    /// These have everything again.
    pub(in crate::broker) fn repaired(&self, repaired: Vec<TopicPartition>) {
        self.replication.borrow_mut().repaired += repaired.len() as u64;
        for tp in repaired {
            let image = self.image_now();
            let name = image.name_of(tp.topic);
            tracing::info!(topic = %name, partition = tp.partition, "the damaged log is whole again");
        }
    }

    /// Has damaged logs mended, for ever.
    pub(in crate::broker) async fn run_repairs(self: Rc<Self>) {
        if self.node.peer.is_none() {
            return;
        }
        loop {
            self.changed_damage.until(|| !self.logs.borrow().damaged.is_empty()).await;
            let seen = self.image_now().index;
            if self.phase.get() < Phase::Closing {
                self.mend().await;
            }
            let newer = self.changed_image.until(|| self.image_now().index != seen);
            newer.or(self.changed_damage.until_notified()).or(self.sleep(AGAIN_MS)).await;
        }
    }

    /// Does what can be done now about each.
    async fn mend(self: &Rc<Self>) {
        let all: Vec<_> = self.logs.borrow().damaged.iter().map(|it| (*it.0, *it.1)).collect();
        let mut asked = Vec::new();
        for (tp, found) in all {
            match next(&self.image(), tp, self.node.incarnation, found) {
                Next::Wait => {}
                Next::GiveUp(change) => asked.push(change),
                Next::BeginAnew => self.change_logs(|logs| {
                    if let Some(slot) = logs.find(tp) {
                        logs.engine.mark_damaged(slot);
                    }
                }),
            }
            self.kick();
            self.pause().await;
        }
        for part in asked.chunks(AT_ONCE) {
            // What is refused is asked for again: others may have caught up by then.
            let Some(Some(errors)) = self.call(0, ProposeIsr(part.to_vec())).await else { return };
            for (change, error) in part.iter().zip(errors) {
                let (topic, partition) = (change.tp.topic, change.tp.partition);
                tracing::debug!(%topic, partition, %error, "asked to be left out of the ISR");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{NewPartition, PartitionChange, Record, Registration};
    use crate::types::TopicId;
    use std::sync::Arc;

    const TP: TopicPartition = TopicPartition { topic: TopicId([7; 16]), partition: 0 };

    /// Node 2 of three with a replica each; its process is 12.
    fn image() -> Image {
        let mut image = Image::new("cluster", 2, Arc::default());
        for id in 1..=3 {
            let incarnation = 10 + id as u64;
            let it = Registration { id, incarnation, ..Registration::default() };
            image.apply(&Record::BrokerRegistered(it));
            image.apply(&Record::BrokerUnfenced { broker: id });
        }
        let partitions = vec![NewPartition::new([1, 2, 3])];
        let name = "t".into();
        image.apply(&Record::TopicCreated { id: TP.topic, name, partitions, settings: Vec::new() });
        image
    }

    fn change(image: &mut Image, leader: Option<i32>, isr: &[i32], elr: &[i32]) {
        let fields = PartitionChange {
            leader,
            isr: Some(isr.into()),
            elr: Some(elr.into()),
            ..PartitionChange::default()
        };
        image.apply(&Record::PartitionsChanged { id: TP.topic, changes: vec![(0, fields)] });
    }

    #[test]
    fn a_damaged_log_begins_anew_only_when_it_counts_for_nothing_and_another_leads() {
        let mut image = image();
        let look = |image: &Image, found| next(image, TP, 12, found);
        let Next::GiveUp(asked) = look(&image, 0) else { panic!("it is in sync") };
        let isr: Vec<_> = asked.isr.iter().map(|it| (it.node, it.incarnation)).collect();
        assert_eq!((isr, asked.leader_epoch), (vec![(1, 11), (3, 13)], 0));
        assert_eq!(next(&image, TP, 13, 0), Next::Wait, "another process has registered");
        // It left those in sync, and the leader goes on with what it was told.
        change(&mut image, None, &[1, 3], &[]);
        assert!(matches!(look(&image, 0), Next::GiveUp(_)));
        assert_eq!(look(&image, -1), Next::BeginAnew, "it was found before anything was told");
        change(&mut image, Some(1), &[1, 3], &[]);
        assert_eq!(look(&image, 0), Next::BeginAnew);
        assert!(matches!(look(&image, 1), Next::GiveUp(_)));
        // It may still be elected.
        change(&mut image, Some(1), &[1], &[2]);
        assert!(matches!(look(&image, 0), Next::GiveUp(_)));
        // Nobody leads, or itself; nobody else has everything.
        change(&mut image, Some(-1), &[], &[1]);
        assert_eq!(look(&image, 0), Next::Wait);
        change(&mut image, Some(2), &[2], &[]);
        assert_eq!(look(&image, 0), Next::Wait);
        assert!(!is_elsewhere(&image, TP) && counts_in_any(&image, &[TP], 12));
        change(&mut image, Some(2), &[2], &[3]);
        assert!(matches!(look(&image, 0), Next::GiveUp(it) if it.isr.is_empty()));
        change(&mut image, Some(3), &[3], &[]);
        assert!(is_elsewhere(&image, TP) && !counts_in_any(&image, &[TP], 12));
        assert!(counts_in_any(&image, &[TP], 13), "what it knows may be old");
    }
}
