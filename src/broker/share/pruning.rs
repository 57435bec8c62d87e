//! Records of `__share_group_state` that nobody needs are deleted: all before the oldest of the newest snapshots. A
//! share-partition that is not written is written once more, so that it holds up nobody, or goes where its topic is gone.

use crate::broker::api::data::TrimRequest;
use crate::broker::calls::Trim;
use crate::broker::coordinating::Phase;
use crate::broker::state::{Phase as BrokerPhase, State};
use crate::types::TopicPartition;
use std::rc::Rc;

/// So many states are written once more in one go.
const COLD_AT_ONCE: usize = 64;

impl State {
    /// Does that, for ever.
    pub(in crate::broker) async fn run_share_pruning(self: Rc<Self>) {
        let of = &self.share_states;
        let (mut prune_ms, mut cold_ms) =
            (self.monotonic_ms() + of.prune_ms, self.monotonic_ms() + of.cold_ms);
        loop {
            self.timers.sleep_until(prune_ms.min(cold_ms)).await;
            if self.phase.get() != BrokerPhase::Serving {
                return;
            }
            let now_ms = self.monotonic_ms();
            let all: Vec<_> = of.all.borrow().keys().copied().collect();
            if now_ms >= cold_ms {
                cold_ms = now_ms + of.cold_ms;
                for tp in &all {
                    self.snapshot_cold_shares(*tp).await;
                }
            }
            if now_ms >= prune_ms {
                prune_ms = now_ms + of.prune_ms;
                for tp in all {
                    self.prune_share_states(tp).await;
                }
            }
        }
    }

    fn is_serving_shares(&self, tp: TopicPartition) -> bool {
        self.share_states.all.borrow().get(&tp).is_some_and(|it| it.phase == Phase::Serving)
    }

    /// States whose snapshots are from before the last look are written once more, or go with their topics.
    async fn snapshot_cold_shares(self: &Rc<Self>, tp: TopicPartition) {
        let Some(end) = self.read_logs(|logs| logs.visible_end(tp, false)) else { return };
        let before = match self.share_states.all.borrow_mut().get_mut(&tp) {
            Some(it) => std::mem::replace(&mut it.looked_at, end),
            None => return,
        };
        let image = self.image();
        let mut taken = COLD_AT_ONCE;
        while taken == COLD_AT_ONCE && self.is_serving_shares(tp) {
            self.step_share_states(tp, |core, out| {
                let exists = |topic| image.topic_by_id(topic).is_some();
                taken = core.tend_below(self.now(), before, COLD_AT_ONCE, exists, out);
            });
            self.work.add(taken as u64);
            self.pause().await;
        }
    }

    async fn prune_share_states(self: &Rc<Self>, tp: TopicPartition) {
        if !self.is_serving_shares(tp) {
            return;
        }
        let Some(end) = self.read_logs(|logs| logs.visible_end(tp, false)) else { return };
        let start = self.logs.borrow().core(tp).map_or(0, |(_, core)| core.log_start());
        let redundant = {
            let all = self.share_states.all.borrow();
            all.get(&tp).map_or(0, |it| it.core.redundant_below(end))
        };
        let offset = redundant.min(end);
        if offset > start {
            self.call(self.id, Trim(vec![TrimRequest { index: 0, tp, offset }])).await;
        }
        self.pause().await;
    }
}
