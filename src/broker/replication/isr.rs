//! Who is in sync: proposals to the controller.

use crate::broker::calls::ProposeIsr;
use crate::broker::logs::Outbox;
use crate::broker::state::State;
use crate::replica::{self, Patience};
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::peer::{IsrChange, Member};
use futures_lite::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// All partitions that are led are looked at so often, ms: for members that lag.
const SWEEP_MS: i64 = 1_000;
/// While a broker lacks space, so often, ms: clients wait for one that takes nothing more.
const SWEEP_SHORT_MS: i64 = 250;
/// A follower whose disk has no space leaves those in sync when it was not at the log's end for so long, ms: it may still have
/// room for a while, and then keeps up; where it has not, everybody would wait for it in vain.
const WITHOUT_SPACE_MS: i64 = 500;
/// Lines about those that took effect.
const LINES: usize = 8;
/// Proposals that go together.
const AT_ONCE: usize = 1_000;

/// Whether somebody of these is not among those.
fn gone(these: &[i32], those: &[i32]) -> bool {
    these.iter().any(|it| !those.contains(it))
}

/// How long is waited for whom, see [`Patience`].
#[derive(Default)]
struct Waits {
    lag_max_ms: i64,
    /// Brokers whose disk has no space, and how long is waited for each, ms.
    without_space: BTreeMap<i32, i64>,
    /// Of them, those that were waited for in vain. A client's requests wait for each other: of each partition anew, their times
    /// would add up.
    in_vain: BTreeSet<i32>,
}

impl Waits {
    /// The brokers without space are these.
    fn look(&mut self, lag_max_ms: i64, without_space: Vec<i32>) {
        self.lag_max_ms = lag_max_ms;
        let most = |node| if self.in_vain.contains(&node) { 0 } else { WITHOUT_SPACE_MS };
        self.without_space = without_space.into_iter().map(|node| (node, most(node))).collect();
        self.in_vain.retain(|node| self.without_space.contains_key(node));
    }

    /// An ISR is another one now.
    fn changed(&mut self, before: &[i32], isr: &[i32]) {
        for node in self.without_space.keys() {
            match (before.contains(node), isr.contains(node)) {
                (true, false) => self.in_vain.insert(*node),
                (false, true) => self.in_vain.remove(node),
                _ => false,
            };
        }
    }

    fn patience(&self) -> Patience<'_> {
        Patience { lag_max_ms: self.lag_max_ms, without_space: &self.without_space }
    }
}

impl State {
    /// Something has happened by which a replica of this partition may join, soon.
    pub(in crate::broker) fn look_at_isr(&self, tp: TopicPartition) {
        self.isr_due.borrow_mut().insert(tp);
        self.changed_isr.notify();
    }

    /// Proposes changes of the ISR of what this shard leads, for ever.
    pub(in crate::broker) async fn run_isr(self: Rc<Self>) {
        if self.node.peer.is_none() {
            return;
        }
        let mut swept_ms = self.monotonic_ms();
        let (mut seen, mut alive) = (self.image_now().index, self.alive());
        let (mut later, mut waits) = (BTreeSet::new(), Waits::default());
        loop {
            let next = later.first().map_or(i64::MAX, |it: &(i64, TopicPartition)| it.0);
            let every_ms = if waits.without_space.is_empty() { SWEEP_MS } else { SWEEP_SHORT_MS };
            let wait = self.timers.sleep_until(next.min(swept_ms + every_ms));
            let due = self.changed_isr.until(|| !self.isr_due.borrow().is_empty());
            let other = self.changed_image.until(|| self.image_now().index != seen);
            due.or(other).or(wait).await;
            waits.look(self.lag_ms(), self.without_space());
            let now = self.monotonic_ms();
            while later.first().is_some_and(|it| it.0 <= now) {
                let (_, tp) = later.pop_first().expect("just seen");
                self.isr_due.borrow_mut().insert(tp);
            }
            // Who has just been let in may have everything already.
            let mut let_in = false;
            if self.image_now().index != seen {
                seen = self.image_now().index;
                let before = std::mem::replace(&mut alive, self.alive());
                let_in = alive.iter().any(|it| !before.contains(it));
            }
            if let_in || now >= swept_ms + every_ms {
                swept_ms = now;
                // Nobody lags where nobody else is.
                if self.image_now().brokers().len() > 1 {
                    self.sweep(waits.patience()).await;
                }
            }
            let mut due: Vec<TopicPartition> =
                std::mem::take(&mut *self.isr_due.borrow_mut()).into_iter().collect();
            while !due.is_empty() {
                let rest = due.split_off(due.len().min(AT_ONCE));
                self.propose_isr(std::mem::replace(&mut due, rest), &mut later, &mut waits).await;
            }
        }
    }

    /// Notes what may have something to propose, of all that is led here.
    async fn sweep(self: &Rc<Self>, patience: Patience<'_>) {
        let (mut place, mut lags) = (Some(0), BTreeMap::new());
        while let Some(from) = place {
            let (next, looks) = {
                let (logs, mut due) = (self.logs.borrow(), self.isr_due.borrow_mut());
                logs.due_isr(from, self.monotonic_ms(), patience, &mut due, &mut lags)
            };
            self.work.add(looks);
            place = next;
            self.pause().await;
        }
        self.replication.borrow_mut().lag = lags;
    }

    fn lag_ms(&self) -> i64 {
        self.image_now().broker_configs.number("replica.lag.time.max.ms").unwrap_or(30_000)
    }

    /// Brokers whose disk has no space.
    fn without_space(&self) -> Vec<i32> {
        let image = self.image_now();
        image.brokers().filter(|it| it.lacks_space).map(|it| it.id).collect()
    }

    /// Brokers that may join those in sync.
    fn alive(&self) -> BTreeSet<i32> {
        let image = self.image_now();
        self.work.add(image.brokers().len() as u64);
        image.brokers().filter(|it| it.is_alive()).map(|it| it.id).collect()
    }

    /// Proposes what is to be proposed of these. `later` gets those that are to be looked at again at some time, ms.
    async fn propose_isr(
        self: &Rc<Self>,
        due: Vec<TopicPartition>,
        later: &mut BTreeSet<(i64, TopicPartition)>,
        waits: &mut Waits,
    ) {
        let (now, patience) = (self.monotonic_ms(), waits.patience());
        let mut proposed = Vec::new();
        for tp in due {
            let mut out = Outbox::default();
            let look = self.change_logs(|logs| {
                let image = self.image_now();
                let may_join = |node| image.broker(node).is_some_and(|it| it.is_alive());
                logs.isr_change(tp, (now, patience), may_join, &mut out)
            });
            self.send_out(out);
            later.extend(look.again_ms.map(|at| (at, tp)));
            if let Some((change, before)) = look.change {
                let asked = self.named(tp, &change);
                proposed.push((tp, change, before, asked));
            }
            self.pause().await;
        }
        if proposed.is_empty() {
            return;
        }
        let asked = proposed.iter().map(|it| it.3.clone()).collect();
        // Without an answer a proposal may be committed: it is made again after some time.
        let Some(Some(errors)) = self.call(0, ProposeIsr(asked)).await else { return };
        let now = self.monotonic_ms();
        let mut altered = 0;
        for ((tp, change, before, asked), error) in proposed.iter().zip(errors) {
            let isr: Vec<i32> = asked.isr.iter().map(|it| it.node).collect();
            if error.is_err() && error != ErrorCode::NOT_CONTROLLER {
                tracing::debug!(topic = %tp.topic, partition = tp.partition, ?isr, %error, "the ISR stays");
                let mut out = Outbox::default();
                self.change_logs(|logs| logs.isr_refused(*tp, change, error, now, &mut out));
                self.send_out(out);
            } else if !error.is_err() {
                altered += 1;
                waits.changed(before, &isr);
                let (shrinks, expands) = (gone(before, &isr), gone(&isr, before));
                let mut figures = self.replication.borrow_mut();
                figures.isr_shrinks += u64::from(shrinks);
                figures.isr_expands += u64::from(expands);
                if altered <= LINES {
                    let image = self.image_now();
                    let topic = image.name_of(tp.topic);
                    let why = match (shrinks, expands) {
                        (true, false) => "a replica was behind for too long",
                        (false, true) => "a replica has caught up",
                        (true, true) => "a replica has caught up, and another was behind",
                        (false, false) => "it was not known what had been committed",
                    };
                    let partition = tp.partition;
                    tracing::info!(%topic, partition, ?before, ?isr, "another ISR: {why}");
                }
            }
        }
        if altered > LINES {
            tracing::info!(more = altered - LINES, "other partitions have another ISR, too");
        }
    }

    /// A change with the incarnations as they are registered.
    fn named(&self, tp: TopicPartition, change: &replica::IsrChange) -> IsrChange {
        let (image, feeds) = (self.image(), self.feeds.borrow());
        let member = |(node, ordinal): &(i32, i64)| {
            // One that was not heard in this epoch is in sync already: nothing new is said of it.
            let registered = || image.broker(*node).map(|it| it.incarnation);
            let incarnation = if *node == image.node_id {
                Some(self.node.incarnation)
            } else {
                feeds.incarnation(*ordinal).or_else(registered)
            };
            Member { node: *node, incarnation: incarnation.unwrap_or(0) }
        };
        IsrChange {
            tp,
            leader_epoch: change.leader_epoch,
            partition_epoch: change.partition_epoch,
            isr: change.isr.iter().map(member).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_waited_for_in_vain_is_not_waited_for_again_while_it_has_no_space() {
        let mut waits = Waits::default();
        let most = |waits: &mut Waits, without: &[i32]| {
            waits.look(30_000, without.to_vec());
            waits.without_space.get(&3).copied()
        };
        assert_eq!(most(&mut waits, &[3]), Some(500));
        waits.changed(&[1, 2, 3], &[1, 3]);
        assert_eq!(most(&mut waits, &[3]), Some(500), "another one");
        waits.changed(&[1, 2, 3], &[1, 2]);
        assert_eq!(most(&mut waits, &[3]), Some(0));
        waits.changed(&[1], &[1, 3]);
        assert_eq!(most(&mut waits, &[3]), Some(500), "it has come on");
        waits.changed(&[1, 3], &[1]);
        assert_eq!(
            [&[3][..], &[2], &[3]].map(|it| most(&mut waits, it)),
            [Some(0), None, Some(500)]
        );
    }
}
