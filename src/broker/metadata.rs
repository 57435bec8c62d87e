//! The controller on shard 0: carries out its writes, and tells all shards what they made.

use super::calls::{ApplyImage, AutoCreate, ChangeMetadata, ShardId, TakeProducerIds};
use super::metadata_owner::MetadataOwner;
use super::reply_to::ReplyTo;
use super::state::State;
use super::tasks::yield_now;
use super::work;
use crate::broker::api::create_topics::auto_create;
use crate::broker::api::execute::execute;
use crate::broker::api::metadata_change::Handled;
use crate::controller::{Image, Record};
use crate::storage::device::io::Op;
use crate::types::{TopicId, exit};
use std::rc::Rc;

/// Producer ids that a shard takes at once.
const PRODUCER_IDS: i32 = 1000;
/// Changes of one entry take so many steps of work at most, or are one.
const PROPOSED: u64 = work::PIECE;
/// So many entries are on their way to the disk at most: a write holds no more.
const IN_FLIGHT: usize = 8;

/// What a change costs, in steps of work: the topic is made anew, and found by its name and by its id.
fn steps_of(record: &Record) -> u64 {
    match record {
        Record::TopicCreated { partitions, .. } | Record::PartitionsAdded { partitions, .. } => {
            3 + work::copied(partitions.len())
        }
        _ => 3,
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
    fn metadata(&self) -> &MetadataOwner {
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
            let pause = &async || state.pause().await;
            let new_id = &mut || state.new_topic_id();
            let turn = state.metadata().turn.enter().await;
            let draft = state.draft();
            let handled = execute(&draft, api, version, &body, new_id, pause).await;
            drop(draft);
            match handled {
                Ok(Handled { response, records }) => {
                    let index = state.propose(records).await;
                    drop(turn);
                    state.applied(index).await;
                    to.reply(Ok(response));
                }
                Err(e) => to.reply(Err(e)),
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
            let pause = &async || state.pause().await;
            let new_id = &mut || state.new_topic_id();
            let turn = state.metadata().turn.enter().await;
            let draft = state.draft();
            let records = auto_create(&call.0, &draft, new_id, pause).await;
            drop(draft);
            let index = state.propose(records).await;
            drop(turn);
            state.applied(index).await;
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
            let metadata = state.metadata();
            let turn = metadata.turn.enter().await;
            let take = || metadata.controller.borrow_mut().take_producer_ids(PRODUCER_IDS);
            let block = state.vital(take);
            drop(turn);
            metadata.kick();
            state.applied(block.index).await;
            to.reply((block.first, block.count));
        });
    }

    /// The metadata with everything that was proposed.
    fn draft(&self) -> Image {
        self.metadata().controller.borrow().draft().clone()
    }

    /// Proposes changes, for whoever has the [turn](MetadataOwner::turn): some at a time, as fast as they
    /// are written. All of them have taken effect when an image has the index that this gives, and all that
    /// was proposed before: where there are no changes, because they are on their way by somebody else, too.
    /// A crash may leave the first of them; each is whole.
    async fn propose(self: &Rc<Self>, records: Vec<Record>) -> u64 {
        let metadata = self.metadata();
        let pause = &async || self.pause().await;
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let room = || metadata.controller.borrow().in_flight() < IN_FLIGHT;
            metadata.changed.until(room).await;
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
            self.vital(|| metadata.controller.borrow_mut().propose_made(&piece, made));
            metadata.kick();
            // Its bytes, too, are made of the records.
            self.work.add(steps);
            self.pause().await;
        }
        metadata.controller.borrow().draft().index
    }

    /// Waits until every shard has applied the metadata up to this index.
    async fn applied(&self, index: u64) {
        let metadata = self.metadata();
        metadata.changed.until(|| metadata.applied.get() >= index).await;
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
    async fn forget_topics(self: Rc<Self>) {
        let metadata = self.metadata();
        yield_now().await;
        let _turn = metadata.turn.enter().await;
        metadata.forgetting.set(false);
        let gone = metadata.controller.borrow_mut().take_gone();
        self.propose(gone).await;
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
                let Some(persist) = self.vital(ready) else { break };
                self.work.add(persist.ops.iter().map(copied).sum());
                for op in persist.ops {
                    if let Err(e) = self.run_op(op).await {
                        self.fatal(exit::IO, format!("cannot write the metadata: {e}"));
                        return;
                    }
                }
                let ticket = persist.ticket;
                let image = self.vital(|| {
                    let mut controller = metadata.controller.borrow_mut();
                    controller.persisted(ticket);
                    controller.take_image()
                });
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
            }
        }
    }
}
