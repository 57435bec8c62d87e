//! The controller on shard 0: carries out its writes, and tells all shards what they made.

use super::calls::{ApplyImage, AutoCreate, Call, ChangeMetadata, ShardId, TakeProducerIds};
use super::metadata_owner::MetadataOwner;
use super::reply_to::ReplyTo;
use super::state::State;
use crate::broker::api::execute::{auto_create, execute};
use crate::types::{TopicId, exit};
use std::rc::Rc;

/// Producer ids that a shard takes at once.
const PRODUCER_IDS: i32 = 1000;

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
        let executed = self.contain(|| {
            let mut controller = self.metadata().controller.borrow_mut();
            execute(&mut controller, api, version, &body, &mut || self.new_topic_id())
        });
        match executed {
            Some(Ok(outcome)) => {
                self.reply_when_applied(outcome.wait_for, to, Ok(outcome.response));
            }
            Some(Err(e)) => to.reply(Err(e)),
            None => {}
        }
    }

    pub(super) fn serve_auto_create(
        self: &Rc<Self>,
        call: AutoCreate,
        _: ShardId,
        to: ReplyTo<AutoCreate>,
    ) {
        let wait_for = self.contain(|| {
            let mut controller = self.metadata().controller.borrow_mut();
            auto_create(&mut controller, &call.0, &mut || self.new_topic_id())
        });
        if let Some(wait_for) = wait_for {
            self.reply_when_applied(wait_for, to, ());
        }
    }

    pub(super) fn serve_take_producer_ids(
        self: &Rc<Self>,
        _: TakeProducerIds,
        _: ShardId,
        to: ReplyTo<TakeProducerIds>,
    ) {
        let block = self.metadata().controller.borrow_mut().take_producer_ids(PRODUCER_IDS);
        self.reply_when_applied(Some(block.index), to, (block.first, block.count));
    }

    /// Answers when every shard has applied the metadata up to this index; without one, all that was
    /// asked for so far: it may be on its way already, by somebody else.
    fn reply_when_applied<C: Call>(
        self: &Rc<Self>,
        wait_for: Option<u64>,
        to: ReplyTo<C>,
        reply: C::Reply,
    ) {
        let metadata = self.metadata();
        let wait_for = wait_for.unwrap_or_else(|| metadata.controller.borrow().draft().index);
        metadata.kick();
        let state = self.clone();
        self.start(async move {
            let metadata = state.metadata();
            metadata.changed.until(|| metadata.applied.get() >= wait_for).await;
            to.reply(reply);
        });
    }

    /// A shard holds nothing of a deleted topic any more.
    pub(super) fn topic_dropped(&self, id: TopicId, shard: ShardId) {
        if let Some(metadata) = &self.metadata {
            metadata.controller.borrow_mut().topic_dropped(id, shard);
            metadata.kick();
        }
    }

    /// Carries out what the controller wants written, for ever. It ends with the process: metadata
    /// that is half written, or applied by some shards only, is not gone on with.
    pub(super) async fn run_metadata(self: Rc<Self>) {
        let Some(metadata) = &self.metadata else { return };
        loop {
            metadata.work.until(|| metadata.dirty.replace(false)).await;
            loop {
                let persist = self.vital(|| metadata.controller.borrow_mut().ready());
                let Some(persist) = persist else { break };
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
