//! ShareFetch: takes what a member says, asks the owners of its partitions, and waits until one has something for it.

use super::sessions::{Context, Ended, Holder, SessionKey};
use crate::broker::api::Response;
use crate::broker::api::partitions::led;
use crate::broker::api::share_fetch::{self, CLOSE, PartitionAnswer, Plan, Said};
use crate::broker::begun::{Begun, Header};
use crate::broker::calls::{ShareAck, ShareRead, ShareRecords, ShareRelease};
use crate::broker::owners::by_owner;
use crate::broker::state::{Phase, State};
use crate::broker::wait::{Condition, Flag};
use crate::broker::waiting::Waiting;
use crate::broker::waits::Hears;
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::WireError;
use bytes::Bytes;
use futures_lite::FutureExt;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A shard's own calls of itself are numbered from here on: no call of another shard has such a number.
const OWN_CALLS: u64 = 1 << 63;

/// What owners have found so far.
#[derive(Default)]
struct Found {
    results: RefCell<Vec<ShareRecords>>,
    /// Owners that have not answered.
    left: Cell<usize>,
    /// Nobody waits any more: there is something, the time is over, or the client is gone.
    over: Flag,
    /// Wakes who waits for the last of them.
    answered: Condition,
}

/// Begins a request of a client. Nothing behind it on its connection begins before it is answered, so a session's requests
/// are taken in order.
pub fn begin(state: &Rc<State>, begun: Begun, header: Header, body: Bytes) {
    let state_2 = state.clone();
    state.respond_with_records(begun, async move {
        let state = state_2;
        let image = state.image();
        let pause = &async || state.pause().await;
        let turn = state.turn_of(&body).await;
        let plan = share_fetch::plan(&body, header.version, &image, pause).await?;
        drop((turn, body));
        // It may wait long.
        state.release(begun);
        let key = (plan.group.clone(), plan.member.clone());
        let context = if plan.error.is_err() {
            Err(plan.error)
        } else {
            let (added, forgotten) = (&plan.added, &plan.forgotten);
            let mut sessions = state.share_sessions.borrow_mut();
            sessions.fetch(&key, begun.connection, plan.epoch, added, forgotten)
        };
        Ok(state.share_fetch(begun, header, plan, key, context).await?)
    });
}

impl State {
    async fn share_fetch(
        self: &Rc<Self>,
        begun: Begun,
        header: Header,
        mut plan: Plan,
        key: SessionKey,
        context: Result<Context, ErrorCode>,
    ) -> Result<Response, WireError> {
        let context = match context {
            Ok(context) => context,
            Err(error) => {
                return share_fetch::response(&header, error, 0, Vec::new(), &self.image());
            }
        };
        let Context { holder, partitions, released } = context;
        let mut answers = BTreeMap::new();
        let said = std::mem::take(&mut plan.said);
        for (tp, ack_error) in self.share_acknowledge(&key.0, &holder, said).await {
            answers.insert(tp, PartitionAnswer { ack_error, ..PartitionAnswer::new(tp) });
        }
        self.share_release(&key.0, released).await;
        if plan.epoch != CLOSE && !plan.renews && plan.room.records > 0 {
            for (tp, found) in self.share_records(begun, &plan, &holder, &partitions).await {
                let answer = answers.entry(tp).or_insert_with(|| PartitionAnswer::new(tp));
                answer.error = found.error;
                answer.acquired = found.acquired;
                (answer.slices, answer.bytes) = (found.slices, found.bytes);
            }
            if !self.share_sessions.borrow().has(&key, &holder) {
                // The client is gone, and will not hear what it has.
                self.share_release(&key.0, Some((holder, partitions))).await;
            }
        }
        let lock_ms = self.share_config(&key.0).lock_ms;
        let answers = answers.into_values().collect();
        share_fetch::response(&header, ErrorCode::NONE, lock_ms, answers, &self.newest_image())
    }

    /// Takes what a member says to the owners of the partitions: what went wrong with each.
    pub(super) async fn share_acknowledge(
        self: &Rc<Self>,
        group: &Arc<str>,
        holder: &Holder,
        said: Vec<Said>,
    ) -> Vec<(TopicPartition, ErrorCode)> {
        let image = self.image();
        let (mut told, mut asked) = (Vec::with_capacity(said.len()), Vec::new());
        for (tp, batches) in said {
            let index = told.len() as u32;
            let error = match (self.share_led(tp), batches) {
                (Err(error), _) | (Ok(()), Err(error)) => error,
                (Ok(()), Ok(batches)) => {
                    asked.push((index, tp, batches));
                    ErrorCode::NONE
                }
            };
            told.push((tp, error));
            self.pause().await;
        }
        drop(image);
        let owners = by_owner(asked, self.shards, |it| it.1);
        let calls: Vec<_> = owners
            .into_iter()
            .map(|(owner, partitions)| {
                let indexes: Vec<u32> = partitions.iter().map(|it| it.0).collect();
                let (group, holder) = (group.clone(), holder.clone());
                (indexes, self.call(owner, ShareAck { group, holder, partitions }))
            })
            .collect();
        for (indexes, call) in calls {
            let lost = || indexes.iter().map(|it| (*it, ErrorCode::UNKNOWN_SERVER_ERROR)).collect();
            for (index, error) in call.await.unwrap_or_else(lost) {
                told[index as usize].1 = error;
            }
        }
        told
    }

    /// Whether a partition exists, and is led here.
    fn share_led(&self, tp: TopicPartition) -> Result<(), ErrorCode> {
        let image = self.image_now();
        let Some(topic) = image.topic_by_id(tp.topic) else {
            return Err(ErrorCode::UNKNOWN_TOPIC_ID);
        };
        led(&image, Some(topic), tp.partition).map(|_| ())
    }

    /// What a session had is available again.
    pub(super) async fn share_release(self: &Rc<Self>, group: &Arc<str>, ended: Option<Ended>) {
        let Some((holder, released)) = ended else { return };
        let owners = by_owner(released, self.shards, |it| *it);
        let calls: Vec<_> = owners
            .into_iter()
            .map(|(owner, partitions)| {
                let (group, holder) = (group.clone(), holder.clone());
                self.call(owner, ShareRelease { group, holder, partitions })
            })
            .collect();
        for call in calls {
            call.await;
        }
    }

    /// The sessions of a connection end with it.
    pub(in crate::broker) fn share_connection_closed(
        self: &Rc<Self>,
        connection: crate::broker::connection::ConnectionId,
    ) {
        let gone = self.share_sessions.borrow_mut().closed(connection);
        if gone.is_empty() {
            return;
        }
        let state = self.clone();
        self.start(async move {
            for (group, ended) in gone {
                state.share_release(&group, Some(ended)).await;
            }
        });
    }

    /// Records for a member: of all owners at once, as soon as one has some.
    async fn share_records(
        self: &Rc<Self>,
        begun: Begun,
        plan: &Plan,
        holder: &Holder,
        partitions: &[TopicPartition],
    ) -> Vec<(TopicPartition, ShareRecords)> {
        let wait = Waiting::begin(self, Hears::Connection(begun.connection));
        let deadline_ms = self.monotonic_ms().saturating_add(plan.max_wait_ms);
        let (mut told, mut asked) = (Vec::new(), Vec::new());
        for (index, tp) in partitions.iter().enumerate() {
            match self.share_led(*tp) {
                Ok(()) => asked.push((index as u32, *tp)),
                Err(error) => told.push((*tp, ShareRecords::failed(index as u32, error))),
            }
            self.pause().await;
        }
        let max_bytes = plan.max_bytes.min(self.share_fetch_bytes()).max(1);
        let owners = by_owner(asked, self.shards, |it| it.1);
        let found = Rc::new(Found::default());
        found.left.set(owners.len());
        let is_late = || self.monotonic_ms() >= deadline_ms;
        if !told.is_empty() || is_late() || self.phase.get() != Phase::Serving {
            // What there is: nobody waits.
            found.over.raise();
        }
        for (owner, partitions) in owners {
            let number = OWN_CALLS | self.share_calls.replace(self.share_calls.get() + 1);
            let (group, holder) = (plan.group.clone(), holder.clone());
            let room = plan.room;
            let call = ShareRead { group, holder, partitions, max_bytes, room, number };
            let (state, found) = (self.clone(), found.clone());
            self.start(async move {
                let over = async {
                    found.over.raised().await;
                    // A call of another shard is told by its number.
                    state.waits.hung_up(state.id, number);
                };
                let results = state.call_until(owner, call, over).await.unwrap_or_default();
                if !results.is_empty() {
                    found.over.raise();
                }
                found.results.borrow_mut().extend(results);
                found.left.set(found.left.get() - 1);
                found.answered.notify();
            });
        }
        let all = || found.left.get() == 0;
        let late = wait.over.raised().or(self.timers.sleep_until(deadline_ms));
        let late = async {
            late.or(found.over.raised()).await;
            found.over.raise();
            std::future::pending::<()>().await;
        };
        found.answered.until(all).or(late).await;
        drop(wait);
        let results = found.results.take();
        told.extend(results.into_iter().map(|it| (partitions[it.index as usize], it)));
        told
    }

    /// Bytes that one answer may have: what is sent stays in memory until the client has taken it.
    fn share_fetch_bytes(&self) -> usize {
        let max = self.image_now().broker_configs.number("fetch.max.bytes").unwrap_or(55 << 20);
        usize::try_from(max).unwrap_or(0).min(self.budget.left() / 4)
    }
}
