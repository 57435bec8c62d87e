//! The controller on shard 0: carries out its writes, and tells all shards what they made.

use super::calls::{ApplyImage, AutoCreate, ChangeMetadata, ShardId, TakeProducerIds, Unchanged};
use super::metadata_owner::MetadataOwner;
use super::quorum::TICK_MS;
use super::reply_to::ReplyTo;
use super::state::{Phase, State};
use super::tasks::yield_now;
use super::work;
use crate::broker::api::Body;
use crate::broker::api::create_topics::auto_create;
use crate::broker::api::describe_quorum::QuorumView;
use crate::broker::api::execute::execute;
use crate::broker::api::metadata_change::Handled;
use crate::broker::api::table;
use crate::controller::{Decision, Image, Members, Persist, Record};
use crate::storage::device::io::{Op, is_want_of_space};
use crate::types::{TopicId, exit};
use crate::wire::WireError;
use crate::wire::peer::{Call, Outcome};
use std::io;
use std::rc::Rc;

/// Producer ids that a shard takes at once.
const PRODUCER_IDS: i32 = 1000;
/// Changes of one entry take so many steps of work at most, or are one.
const PROPOSED: u64 = work::PIECE;
/// So many entries are on their way to the disk at most: a write holds no more.
const IN_FLIGHT: usize = 8;

/// A request that changes metadata waits for a controller for so long, ms.
const PATIENCE_MS: i64 = 30_000;
/// What the disk had no space for is tried again after this time, ms.
const SPACE_MS: i64 = 1_000;
/// A question to a controller is asked again after this time, ms.
const RETRY_MS: i64 = 50;
/// A controller on another node answers within this time, ms, or is asked again.
const ANSWER_MS: i64 = 30_000;

/// This node does not lead the quorum, or does not any more: what was proposed may take effect or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotController;

/// What a change costs, in steps of work: the topic is made anew, and found by its name and by its id.
fn steps_of(record: &Record) -> u64 {
    match record {
        Record::TopicCreated { partitions, .. } | Record::PartitionsAdded { partitions, .. } => {
            3 + work::copied(partitions.len())
        }
        // The topic is made anew, whole, for each of them.
        Record::PartitionsChanged { changes, .. } => 3 + work::copied(changes.len()),
        _ => 3,
    }
}

/// Partitions that get a leader by a change.
fn elected_by(record: &Record) -> usize {
    let Record::PartitionsChanged { changes, .. } = record else { return 0 };
    changes.iter().filter(|(_, it)| it.leader.is_some_and(|leader| leader >= 0)).count()
}

/// Why a request has leaders elected.
fn reason_of(api: table::Controller) -> &'static str {
    match api {
        table::Controller::ElectLeaders => "asked_for",
        table::Controller::AlterPartitionReassignments => "reassigned",
        table::Controller::UnregisterBroker => "unregistered",
        _ => "settings",
    }
}

/// Bytes that were copied for an operation, in steps of work: the log's, the frame's, and its checksum.
fn copied(op: &Op) -> u64 {
    match op {
        Op::Write { data, .. } => 3 * work::bytes(data.len()),
        _ => 0,
    }
}

impl State {
    pub(super) fn metadata(&self) -> &MetadataOwner {
        self.metadata.as_ref().expect("only shard 0 is asked")
    }

    /// An id that was never used. Kafka takes none that begins with `-` in text, where a command line
    /// would take it for an option.
    fn new_topic_id(&self) -> TopicId {
        loop {
            let id = self.new_uuid().into_bytes();
            if id[0] >> 2 != 62 {
                return TopicId(id);
            }
        }
    }

    pub(super) fn serve_change_metadata(
        self: &Rc<Self>,
        call: ChangeMetadata,
        _: ShardId,
        to: ReplyTo<ChangeMetadata>,
    ) {
        let ChangeMetadata { api, version, body } = call;
        let state = self.clone();
        self.start(async move {
            let patience = state.monotonic_ms() + PATIENCE_MS;
            loop {
                let call = Call::ChangeMetadata { api: api.key().0, version, body: body.clone() };
                let changed = match state.at_controller(call).await {
                    None => match state.change_here(api, version, &body).await {
                        Ok((index, result)) => Some((index, result.map_err(Unchanged::Malformed))),
                        Err(NotController) => None,
                    },
                    Some(Outcome::MetadataChanged { index, body }) => {
                        let body = body.ok_or(Unchanged::Malformed(WireError::TooShort));
                        Some((index, body.map(Body::received)))
                    }
                    Some(_) => None,
                };
                if let Some((index, result)) = changed {
                    state.applied(index).await;
                    return to.reply(result);
                }
                if state.monotonic_ms() >= patience {
                    return to.reply(Err(Unchanged::NoController));
                }
                state.sleep(RETRY_MS).await;
            }
        });
    }

    pub(super) fn serve_auto_create(
        self: &Rc<Self>,
        call: AutoCreate,
        _: ShardId,
        to: ReplyTo<AutoCreate>,
    ) {
        let state = self.clone();
        self.start(async move {
            let index = match state.at_controller(Call::AutoCreate(call.0.clone())).await {
                None => state.create_here(&call.0).await.ok(),
                Some(Outcome::MetadataChanged { index, .. }) => Some(index),
                Some(_) => None,
            };
            // Without a controller nothing is created: the client asks again.
            if let Some(index) = index {
                state.applied(index).await;
            }
            to.reply(());
        });
    }

    pub(super) fn serve_take_producer_ids(
        self: &Rc<Self>,
        _: TakeProducerIds,
        _: ShardId,
        to: ReplyTo<TakeProducerIds>,
    ) {
        let state = self.clone();
        self.start(async move {
            let ids = match state.at_controller(Call::TakeProducerIds).await {
                None => state.take_ids_here().await.ok(),
                Some(Outcome::ProducerIds { first, count }) => Some((first, count)),
                Some(_) => None,
            };
            to.reply(ids);
        });
    }

    /// Asks the node that leads the quorum. `None` where that is this node: what is asked is carried out
    /// here. [`Outcome::NotController`] where nobody leads, or no answer came.
    async fn at_controller(self: &Rc<Self>, call: Call) -> Option<Outcome> {
        let (leads, leader) = {
            let controller = self.metadata().controller.borrow();
            (controller.leads(), controller.leader())
        };
        if leads {
            return None;
        }
        Some(self.ask_node(leader, call, ANSWER_MS).await.unwrap_or(Outcome::NotController))
    }

    /// Carries out a request that changes metadata: the index from which on they have the change, and the
    /// answer.
    pub(super) async fn change_here(
        self: &Rc<Self>,
        api: table::Controller,
        version: i16,
        body: &[u8],
    ) -> Result<(u64, Result<Body, WireError>), NotController> {
        let pause = &async || self.pause().await;
        let new_id = &mut || self.new_topic_id();
        let turn = self.metadata().turn.enter().await;
        let term = self.leading()?;
        let draft = self.draft();
        let quorum = self.quorum_view();
        let handled = execute(&draft, &quorum, api, version, body, new_id, pause).await;
        drop(draft);
        match handled {
            Ok(Handled { response, records, members }) => {
                let index = self.propose(term, reason_of(api), records).await?;
                if let Some(members) = &members {
                    self.begin_members(term, members)?;
                }
                drop(turn);
                self.decided(term, index).await?;
                if let Some(members) = members {
                    self.members_are(term, &members).await?;
                }
                Ok((index, Ok(response)))
            }
            Err(e) => Ok((0, Err(e))),
        }
    }

    /// The quorum as this node sees it, for those who ask how it is.
    fn quorum_view(&self) -> QuorumView {
        let state = self.metadata().controller.borrow().describe_quorum();
        QuorumView { state, now_ms: self.wall_ms(), tick_ms: TICK_MS }
    }

    /// Begins to have others belong to the quorum.
    fn begin_members(self: &Rc<Self>, term: u64, to: &Members) -> Result<(), NotController> {
        self.still_leads(term)?;
        let metadata = self.metadata();
        let begun = self.vital(|| metadata.controller.borrow_mut().change_members(to));
        self.quorum_moved();
        // What could stand against it was looked at before.
        begun.map_err(|_| NotController)
    }

    /// Waits until these belong to the quorum.
    async fn members_are(&self, term: u64, to: &Members) -> Result<(), NotController> {
        let metadata = self.metadata();
        let over = || metadata.leads.get() != Some(term);
        let done = || over() || metadata.controller.borrow().members() == *to;
        metadata.changed.until(done).await;
        if over() { Err(NotController) } else { Ok(()) }
    }

    /// Creates topics with the defaults; the index from which on they are there.
    pub(super) async fn create_here(
        self: &Rc<Self>,
        names: &[String],
    ) -> Result<u64, NotController> {
        let pause = &async || self.pause().await;
        let new_id = &mut || self.new_topic_id();
        let (index, ()) = self
            .decide("created", async |draft| {
                let records = auto_create(names, draft, new_id, pause).await;
                (Decision { records, ..Decision::default() }, ())
            })
            .await?;
        Ok(index)
    }

    /// Takes producer ids: the first, and how many.
    pub(super) async fn take_ids_here(self: &Rc<Self>) -> Result<(i64, i32), NotController> {
        let metadata = self.metadata();
        let turn = metadata.turn.enter().await;
        let term = self.leading()?;
        let take = || metadata.controller.borrow_mut().take_producer_ids(PRODUCER_IDS);
        let block = self.vital(take);
        drop(turn);
        self.quorum_moved();
        self.decided(term, block.index).await?;
        Ok((block.first, block.count))
    }

    /// The term that this node leads the quorum in.
    pub(super) fn leading(&self) -> Result<u64, NotController> {
        self.metadata().controller.borrow().leading_term().ok_or(NotController)
    }

    /// Proposes what a look at the draft decides, and waits until it has taken effect: the index from which on it
    /// has, and what else the look gave. One at a time. `why` is a word for leaders that are elected by it.
    pub(super) async fn decide<T>(
        self: &Rc<Self>,
        why: &'static str,
        look: impl AsyncFnOnce(&Image) -> (Decision, T),
    ) -> Result<(u64, T), NotController> {
        let turn = self.metadata().turn.enter().await;
        let term = self.leading()?;
        let draft = self.draft();
        let (decision, result) = look(&draft).await;
        drop(draft);
        self.metadata().figures.borrow_mut().unclean += decision.unclean as u64;
        self.metadata().figures.borrow_mut().leaderless += decision.leaderless as u64;
        let index = self.propose(term, why, decision.records).await?;
        drop(turn);
        self.decided(term, index).await?;
        Ok((index, result))
    }

    /// The metadata with everything that was proposed.
    pub(super) fn draft(&self) -> Image {
        self.metadata().controller.borrow().draft().clone()
    }

    /// Proposes changes, for whoever has the [turn](MetadataOwner::turn): some at a time, as fast as they
    /// are written. All of them have taken effect when an image has the index that this gives, and all that
    /// was proposed before: where there are no changes, because they are on their way by somebody else, too.
    /// A crash may leave the first of them; each is whole.
    async fn propose(
        self: &Rc<Self>,
        term: u64,
        why: &'static str,
        records: Vec<Record>,
    ) -> Result<u64, NotController> {
        let metadata = self.metadata();
        let elected: usize = records.iter().map(elected_by).sum();
        if elected > 0 {
            *metadata.figures.borrow_mut().elections.entry(why).or_default() += elected as u64;
            tracing::info!(reason = why, partitions = elected, "other brokers lead");
        }
        let pause = &async || self.pause().await;
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let room = || {
                metadata.leads.get() != Some(term)
                    || metadata.controller.borrow().in_flight() < IN_FLIGHT
            };
            metadata.changed.until(room).await;
            self.still_leads(term)?;
            let (mut made, mut piece, mut steps) = (self.draft(), Vec::new(), 0);
            while steps < PROPOSED
                && let Some(record) = records.next()
            {
                let cost = steps_of(&record);
                self.work.add(cost);
                made.apply_in_parts(&record, pause).await;
                steps += cost;
                piece.push(record);
            }
            // Another may have been elected while the piece was made.
            self.still_leads(term)?;
            self.vital(|| metadata.controller.borrow_mut().propose_made(&piece, made));
            self.quorum_moved();
            // Its bytes, too, are made of the records.
            self.work.add(steps);
            self.pause().await;
        }
        self.still_leads(term)?;
        let index = metadata.controller.borrow().draft().index;
        Ok(index)
    }

    fn still_leads(&self, term: u64) -> Result<(), NotController> {
        if self.leading()? == term { Ok(()) } else { Err(NotController) }
    }

    /// Waits until every shard has applied the metadata up to this index.
    pub(super) async fn applied(&self, index: u64) {
        let metadata = self.metadata();
        metadata.changed.until(|| metadata.applied.get() >= index).await;
    }

    /// As [`applied`](Self::applied), of what was proposed in this term: where it has ended, it may be
    /// something else that stands there.
    async fn decided(&self, term: u64, index: u64) -> Result<(), NotController> {
        let metadata = self.metadata();
        let over = || metadata.leads.get() != Some(term);
        metadata.changed.until(|| over() || metadata.applied.get() >= index).await;
        if over() { Err(NotController) } else { Ok(()) }
    }

    /// A shard holds nothing of a deleted topic any more.
    pub(super) fn topic_dropped(self: &Rc<Self>, id: TopicId, shard: ShardId) {
        let Some(metadata) = &self.metadata else { return };
        self.work.add(1);
        let by_all = metadata.controller.borrow_mut().topic_dropped(id, shard);
        if by_all && !metadata.forgetting.replace(true) {
            self.start(self.clone().forget_topics());
        }
    }

    /// Proposes that topics whose data is gone are forgotten: many come at once.
    pub(super) async fn forget_topics(self: Rc<Self>) {
        let metadata = self.metadata();
        yield_now().await;
        let _turn = metadata.turn.enter().await;
        metadata.forgetting.set(false);
        // A node that does not lead keeps them for when it does.
        if let Ok(term) = self.leading() {
            let gone = metadata.controller.borrow_mut().take_gone();
            let _ = self.propose(term, "forgotten", gone).await;
        }
    }

    /// Carries out one operation on the metadata log. For want of space it waits: the broker can serve what it has meanwhile. As long
    /// as nothing is written, nothing that it would promise is said: this node gives no vote and takes no entries. What the
    /// others decide it learns later. It cannot lead them so: it hands over.
    async fn write_metadata(self: &Rc<Self>, op: Op) -> io::Result<()> {
        loop {
            let Err(error) = self.run_op(op.clone()).await else { return Ok(()) };
            let waits = self.phase.get() < Phase::Closing && op.may_be_repeated();
            if !waits || !is_want_of_space(&error) {
                return Err(error);
            }
            tracing::error!("the metadata wait for space on the disk");
            let successor = self.metadata().controller.borrow().successor();
            if let Some(successor) = successor {
                self.vital(|| self.metadata().controller.borrow_mut().hand_over(successor));
                self.quorum_moved();
            }
            self.sleep(SPACE_MS).await;
        }
    }

    /// Makes durable what is to be. Where there is no space for a new log, the old one goes on.
    async fn persist(self: &Rc<Self>, persist: Persist) -> io::Result<()> {
        let controller = &self.metadata().controller;
        let Persist { ops, ticket, mut undo } = persist;
        for op in ops {
            if matches!(op, Op::Rename { .. }) {
                undo = None;
            }
            let Some(undo) = undo.clone() else {
                self.write_metadata(op).await?;
                continue;
            };
            match self.run_op(op).await {
                Ok(_) => {}
                Err(e) if is_want_of_space(&e) => {
                    for op in undo {
                        self.run_op(op).await?;
                    }
                    self.hands_over(|| controller.borrow_mut().not_replaced(ticket));
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
        self.vital(|| controller.borrow_mut().persisted(ticket));
        self.quorum_moved();
        Ok(())
    }

    /// Gives the metadata log space ahead of what it may have to say while the disk is full.
    async fn make_room(self: &Rc<Self>) -> io::Result<()> {
        let controller = &self.metadata().controller;
        loop {
            let Some([write, sync]) = controller.borrow().wanted_room() else { return Ok(()) };
            let made = match self.run_op(write).await {
                Ok(_) => self.run_op(sync).await.map(|_| true)?,
                Err(e) if is_want_of_space(&e) => false,
                Err(e) => return Err(e),
            };
            self.hands_over(|| controller.borrow_mut().made_room(made));
            if !made {
                return Ok(());
            }
        }
    }

    /// Tells the others where this takes the lead of the quorum away from this node for want of space.
    fn hands_over(self: &Rc<Self>, report: impl FnOnce() -> bool) {
        if self.vital(report) {
            tracing::warn!("the disk is full: another node is to be the controller");
            self.quorum_moved();
        }
    }

    /// Carries out what the controller wants written, for ever. It ends with the process: metadata
    /// that is half written, or applied by some shards only, is not gone on with.
    pub(super) async fn run_metadata(self: Rc<Self>) {
        let Some(metadata) = &self.metadata else { return };
        loop {
            metadata.work.until(|| metadata.dirty.replace(false)).await;
            loop {
                let due = self.vital(|| metadata.controller.borrow_mut().due_snapshot());
                let snapshot = match due {
                    Some(due) => Some(due.encode(&async || self.pause().await).await),
                    None => None,
                };
                let ready = || metadata.controller.borrow_mut().ready_with(snapshot);
                let persist = self.vital(ready);
                let wrote = persist.is_some();
                if let Some(persist) = persist {
                    self.work.add(persist.ops.iter().map(copied).sum());
                    if let Err(e) = self.persist(persist).await {
                        self.fatal(exit::IO, format!("cannot write the metadata: {e}"));
                        return;
                    }
                }
                // What others have written may have decided something, too.
                let image = metadata.controller.borrow_mut().take_image();
                if !wrote && image.is_none() {
                    break;
                }
                if let Some(image) = image {
                    let calls: Vec<_> = (0..self.shards)
                        .map(|it| self.call(it, ApplyImage(image.clone())))
                        .collect();
                    for call in calls {
                        if call.await.is_none() {
                            self.fatal(exit::BUG, "a bug in applying the metadata".to_owned());
                            return;
                        }
                    }
                    metadata.applied.set(image.index);
                    metadata.changed.notify();
                }
                if wrote && let Err(e) = self.make_room().await {
                    self.fatal(exit::IO, format!("cannot write the metadata: {e}"));
                    return;
                }
            }
        }
    }
}
