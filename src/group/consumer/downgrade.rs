//! A consumer group becomes a classic one when the last member of the new protocol has gone, some members at a time: its
//! record as a classic group is written, its own records are taken back, and when both are durable, the classic group
//! is loaded from its record.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::downgrading::{Downgrading, Draft, Stage};
use super::write::{ConsumerWrite, Downgrade};
use crate::group::context::Cx;
use crate::group::loading::Loading;
use crate::group::members::winner;
use crate::group::state::Group;
use crate::group::walk::Task;

impl Group {
    /// Writes what has changed. Where no member of the new protocol is left, the group becomes a classic one with the same
    /// write.
    pub(super) fn write_or_downgrade(
        &mut self,
        cx: &mut Cx<'_>,
        write: ConsumerWrite,
        goes_on: bool,
    ) {
        let stage = Stage::Vote(None, BTreeMap::new());
        let downgrading = Downgrading { write, goes_on, stage };
        if self.is_to_downgrade(cx) {
            self.walk(cx, Task::Downgrade(Box::new(downgrading)));
        } else {
            self.end_downgrade(cx, downgrading);
        }
    }

    fn is_to_downgrade(&self, cx: &Cx<'_>) -> bool {
        let max = usize::try_from(cx.settings.group_max_size).unwrap_or(0);
        self.consumer.as_deref().is_some_and(|group| {
            let len = group.len();
            let fits = 0 < len && len <= max;
            fits && group.classic_len() == len && cx.settings.consumer_migration_policy.downgrades()
        })
    }

    /// Goes on with it, about so many steps; how many. Fewer are the last.
    pub(in crate::group) fn downgrade_some(
        &mut self,
        cx: &Cx<'_>,
        it: &mut Downgrading,
        room: usize,
    ) -> usize {
        let mut taken = 0;
        while taken < room {
            let Some(group) = self.consumer.as_deref() else { return taken };
            let left = room - taken;
            let (steps, next) = match std::mem::replace(&mut it.stage, Stage::Done) {
                Stage::Done => return taken,
                Stage::Vote(mut last, mut votes) => {
                    let steps = group.visit(&mut last, left, |_, member| {
                        let protocols = member.metadata.classic.iter().flat_map(|it| &it.protocols);
                        let mut known = protocols.filter(|it| group.is_known_to_classic(&it.name));
                        if let Some(liked) = known.next() {
                            *votes.entry(liked.name.clone()).or_insert(0) += 1;
                        }
                    });
                    let next = if steps == left {
                        Stage::Vote(last, votes)
                    } else if let Some(protocol) = winner(votes) {
                        Stage::Write(None, Draft::new(group, protocol, cx.now.wall_ms))
                    } else {
                        Stage::Done
                    };
                    (steps, next)
                }
                Stage::Write(mut last, mut draft) => {
                    let (view, mut steps) = (cx.cluster.view(), 0);
                    let rest = group.members_after(last.as_deref());
                    let mut reached = None;
                    for (id, _) in rest {
                        steps += 1 + draft.push(group, id, &*view);
                        reached = Some(id.to_owned());
                        if steps >= left {
                            break;
                        }
                    }
                    last = reached.or(last);
                    let is_last = group.members_after(last.as_deref()).next().is_none();
                    let next = match draft.value {
                        Ok(_) if !is_last => Stage::Write(last, draft),
                        Ok(w) => {
                            let (value, goes_on) = (Bytes::from(w.into_vec()), it.goes_on);
                            it.write.downgrades = Some(Box::new(Downgrade { value, goes_on }));
                            Stage::Currents(None)
                        }
                        // It does not fit into a record.
                        Err(_) => Stage::Done,
                    };
                    (steps, next)
                }
                Stage::Currents(mut last) => {
                    let mut ids = Vec::new();
                    let steps = group.visit(&mut last, left, |id, _| ids.push(id.to_owned()));
                    let mut editor = self.edit(&mut it.write.changes);
                    ids.iter().for_each(|id| editor.remove_current(id));
                    (steps, if steps < left { Stage::Targets } else { Stage::Currents(last) })
                }
                Stage::Targets => {
                    let ids: Vec<String> =
                        group.targets_after(None).take(left).map(str::to_owned).collect();
                    let mut editor = self.edit(&mut it.write.changes);
                    ids.iter().for_each(|id| editor.remove_target(id));
                    if ids.len() < left {
                        editor.remove_target_epoch();
                    }
                    (ids.len(), if ids.len() < left { Stage::Members } else { Stage::Targets })
                }
                Stage::Members => {
                    let ids = group.members_after(None).take(left);
                    let ids: Vec<String> = ids.map(|(id, _)| id.to_owned()).collect();
                    let mut editor = self.edit(&mut it.write.changes);
                    ids.iter().for_each(|id| editor.remove_metadata(id));
                    (ids.len(), if ids.len() < left { Stage::Patterns } else { Stage::Members })
                }
                Stage::Patterns => {
                    let mut editor = self.edit(&mut it.write.changes);
                    let steps = editor.remove_some_patterns(left);
                    if steps < left {
                        editor.remove_epoch();
                    }
                    (steps, if steps < left { Stage::Done } else { Stage::Patterns })
                }
            };
            it.stage = next;
            taken += 1 + steps;
        }
        taken
    }

    /// All of it is to be written.
    pub(in crate::group) fn end_downgrade(&mut self, cx: &mut Cx<'_>, it: Downgrading) {
        let Downgrading { mut write, goes_on, .. } = it;
        if write.downgrades.is_none() && !goes_on {
            // Somebody has gone.
            let mut editor = self.edit(&mut write.changes);
            let (next, hash) = (editor.group.next_epoch(), editor.group.metadata_hash());
            editor.set_epoch(next, hash);
        }
        self.write_consumer(cx, write);
    }

    /// It is durable: the classic group is loaded.
    pub(super) fn downgraded(&mut self, cx: &mut Cx<'_>, downgrade: Downgrade) {
        let Downgrade { value, goes_on } = downgrade;
        match self.load(cx.live_bytes, Some(&value)) {
            Ok(loading) => self.walk(cx, Task::LoadClassic { loading, goes_on }),
            Err(_) => debug_assert!(false, "it was written here"),
        }
    }

    /// Loads some members; how many.
    pub(in crate::group) fn load_classic(&mut self, loading: &mut Loading, room: usize) -> usize {
        self.go_on_loading(loading, room).unwrap_or(0)
    }

    /// All are loaded: nothing is left of the consumer group.
    pub(in crate::group) fn classic_loaded(&mut self, cx: &mut Cx<'_>, goes_on: bool) {
        self.consumer = None;
        self.since_ms = cx.clock_ms;
        self.walk(cx, Task::Start { rebalances: !goes_on });
    }
}
