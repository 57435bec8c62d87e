//! The controller on shard 0: carries out its writes, and tells all shards what they made.

use super::logs::ReplyTo;
use super::router::{Reply, Request};
use super::state::{Shard, fatal};
use super::sync::Event;
use crate::broker::api::admin::{auto_create, execute};
use crate::controller::Controller;
use crate::types::TopicId;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Producer ids that a shard takes at once.
const PRODUCER_IDS: i32 = 1000;

/// See the module.
pub struct Admin {
    controller: RefCell<Controller>,
    /// Every shard has applied the metadata up to this index.
    applied: Cell<u64>,
    changed: Event,
    dirty: Cell<bool>,
    work: Event,
}

/// An id that was never used. Kafka takes none that begins with `-` in text, where a command line
/// would take it for an option.
fn new_id() -> TopicId {
    loop {
        let id = uuid::Uuid::new_v4().into_bytes();
        if id[0] >> 2 != 62 {
            return TopicId(id);
        }
    }
}

impl Admin {
    /// The controller, whose metadata every shard begins with.
    pub fn new(controller: Controller) -> Self {
        let applied = Cell::new(controller.image().index);
        Self {
            controller: RefCell::new(controller),
            applied,
            changed: Event::default(),
            dirty: Cell::new(true),
            work: Event::default(),
        }
    }

    fn kick(&self) {
        self.dirty.set(true);
        self.work.notify();
    }

    /// Takes a request. What it checks, it checks now; the answer goes when every shard has applied
    /// what it changed.
    pub fn serve(&self, shard: &Rc<Shard>, request: Request, to: ReplyTo) {
        let mut controller = self.controller.borrow_mut();
        let (reply, wait_for) = match request {
            Request::Admin { api, version, body } => {
                match execute(&mut controller, api, version, &body, &mut new_id) {
                    Ok(outcome) => (Reply::Admin(Ok(outcome.response)), outcome.wait_for),
                    Err(e) => (Reply::Admin(Err(e)), None),
                }
            }
            Request::AutoCreate(names) => {
                (Reply::Done, auto_create(&mut controller, &names, &mut new_id))
            }
            Request::ProducerIds => {
                let block = controller.take_producer_ids(PRODUCER_IDS);
                (Reply::ProducerIds(block.first, block.count), Some(block.index))
            }
            _ => unreachable!("only these are for the controller"),
        };
        drop(controller);
        // What was asked for may be on its way already, by somebody else.
        let wait_for = wait_for.unwrap_or_else(|| self.controller.borrow().draft().index);
        self.kick();
        let shard_2 = shard.clone();
        shard.start(async move {
            if let Some(admin) = &shard_2.admin {
                admin.changed.until(|| admin.applied.get() >= wait_for).await;
            }
            shard_2.reply(to, reply);
        });
    }

    /// A shard holds nothing of a deleted topic any more.
    pub fn topic_dropped(&self, id: TopicId, shard: usize) {
        self.controller.borrow_mut().topic_dropped(id, shard);
        self.kick();
    }

    /// Carries out what the controller wants written, for ever.
    pub async fn run(shard: Rc<Shard>) {
        let Some(admin) = &shard.admin else { return };
        loop {
            admin.work.until(|| admin.dirty.replace(false)).await;
            loop {
                let persist = admin.controller.borrow_mut().ready();
                let Some(persist) = persist else { break };
                for op in persist.ops {
                    if let Err(e) = shard.run_op(op).await {
                        fatal(&format!("cannot write the metadata: {e}"));
                    }
                }
                let image = admin.controller.borrow_mut().persisted(persist.ticket);
                if let Some(image) = image {
                    let calls: Vec<_> = (0..shard.common.shards)
                        .map(|it| shard.call(it, Request::Apply(image.clone())))
                        .collect();
                    for call in calls {
                        call.await;
                    }
                    admin.applied.set(image.index);
                    admin.changed.notify();
                }
            }
        }
    }
}
