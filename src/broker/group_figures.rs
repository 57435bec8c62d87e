//! What is known of each group, for the HTTP port: a part at a time, since there may be a million
//! offsets.

use super::calls::{CountGroups, FindEnds, ShardId};
use super::figures::{GroupFigures, OffsetFigures};
use super::owners::by_owner;
use super::reply_to::ReplyTo;
use super::state::State;
use super::work;
use crate::group::{Seen, StateCursor};
use crate::types::TopicPartition;
use std::rc::Rc;

/// An offset whose lag is to be found: the group's place among the figures, and its own in the group.
type Place = (usize, usize);

impl State {
    pub(super) fn serve_count_groups(
        self: &Rc<Self>,
        _: CountGroups,
        _: ShardId,
        to: ReplyTo<CountGroups>,
    ) {
        let state = self.clone();
        self.start(async move { to.reply(state.group_figures().await) });
    }

    async fn group_figures(self: &Rc<Self>) -> Vec<GroupFigures> {
        let mut figures: Vec<GroupFigures> = Vec::new();
        for tp in self.group_logs() {
            let mut cursor = StateCursor::default();
            loop {
                let mut new = Vec::new();
                let mut see = |seen: Seen<'_>| match seen {
                    Seen::Group(it) => figures.push(GroupFigures {
                        group_id: it.group_id.to_owned(),
                        state: it.state,
                        members: it.members as u64,
                        offsets: Vec::with_capacity(it.offsets),
                    }),
                    Seen::Offset(it) => {
                        let group = figures.len().saturating_sub(1);
                        // Another group may have taken the place of the one that was shown.
                        let of = figures.last_mut().filter(|of| of.group_id == it.group_id);
                        let Some(of) = of else { return };
                        new.push((group, of.offsets.len()));
                        of.offsets.push(OffsetFigures {
                            topic: it.topic.clone(),
                            topic_id: it.topic_id,
                            partition: it.partition,
                            offset: it.offset,
                            lag: None,
                        });
                    }
                };
                let taken = match self.groups.logs.borrow().get(&tp) {
                    Some(log) => {
                        log.coordinator().look(&mut cursor, work::PIECE as usize, &mut see)
                    }
                    None => 0,
                };
                if taken == 0 {
                    break;
                }
                self.work.add(taken as u64);
                self.find_lags(&mut figures, &new).await;
                self.pause().await;
            }
        }
        figures
    }

    /// Finds the lags of these offsets.
    async fn find_lags(self: &Rc<Self>, figures: &mut [GroupFigures], places: &[Place]) {
        let image = self.image();
        let partition = |(group, offset): Place| {
            let it = &figures[group].offsets[offset];
            let topic = image.topic_by_id(it.topic_id).or_else(|| image.topic(&it.topic))?;
            let tp = TopicPartition { topic: topic.id, partition: it.partition };
            Some(((group, offset), tp))
        };
        let asked: Vec<_> = places.iter().filter_map(|it| partition(*it)).collect();
        let owners = by_owner(asked, self.shards, |(_, tp)| *tp);
        let mut calls = Vec::with_capacity(owners.len());
        for (owner, asked) in owners {
            let (places, partitions): (Vec<Place>, Vec<_>) = asked.into_iter().unzip();
            calls.push((places, self.call(owner, FindEnds(partitions))));
        }
        for (places, call) in calls {
            for ((group, offset), end) in places.into_iter().zip(call.await.unwrap_or_default()) {
                let it = &mut figures[group].offsets[offset];
                it.lag = end.map(|end| (end - it.offset).max(0));
            }
        }
    }
}
