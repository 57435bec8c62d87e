//! The metadata of a shard: taken over a part at a time, and shown to requests when all of it is there.

use super::calls::{ApplyImage, ShardId};
use super::image_changes::{Change, changes};
use super::logs::Outbox;
use super::output::Output;
use super::reply_to::ReplyTo;
use super::state::State;
use crate::controller::Image;
use std::cell::Ref;
use std::rc::Rc;
use std::sync::Arc;

/// Steps of work in which metadata is taken over in one go.
const CHANGES: u64 = 64;
impl State {
    pub(super) fn serve_apply_image(
        self: &Rc<Self>,
        call: ApplyImage,
        _: ShardId,
        to: ReplyTo<ApplyImage>,
    ) {
        let (before, state) = (self.image(), self.clone());
        *self.coming.borrow_mut() = Some(call.0.clone());
        self.start(async move {
            state.apply(&before, &call.0).await;
            to.reply(());
        });
    }

    /// The metadata as this shard has applied it.
    pub(super) fn image(&self) -> Arc<Image> {
        self.image.borrow().clone()
    }

    /// The newest metadata that this shard has heard of: who is refused because another leads is told who (KIP-951).
    pub(super) fn newest_image(&self) -> Arc<Image> {
        self.coming.borrow().clone().unwrap_or_else(|| self.image())
    }

    /// As [`image`](Self::image), for a look.
    pub(super) fn image_now(&self) -> Ref<'_, Arc<Image>> {
        self.image.borrow()
    }

    /// Takes over the metadata that the broker begins with, at once: nobody is served yet.
    pub(super) fn apply_at_start(self: &Rc<Self>, image: &Arc<Image>) {
        let before = Image::new(&image.cluster_id, image.node_id, Arc::default());
        let mut changes = changes(&before, image);
        while self.apply_some(&mut changes, image) {}
        self.show(&before, image);
    }

    /// Takes over metadata, a part at a time: opens what is new, drops what is gone, and then shows it
    /// to requests. One at a time: the controller waits for the end before the next.
    async fn apply(self: &Rc<Self>, before: &Arc<Image>, image: &Arc<Image>) {
        let mut changes = changes(before, image);
        while self.apply_some(&mut changes, image) {
            self.pause().await;
        }
        self.show(before, image);
        self.apply_groups(before, image).await;
        self.renew_group_topics(before, image).await;
        self.kick();
    }

    /// Carries out some changes; whether there may be more.
    fn apply_some(
        self: &Rc<Self>,
        changes: &mut dyn Iterator<Item = Change<'_>>,
        image: &Image,
    ) -> bool {
        let (now, mut out, mut steps) = (self.now(), Outbox::default(), 0);
        let more = self.change_logs(|logs| {
            while steps < CHANGES {
                let Some(change) = changes.next() else { return false };
                steps += logs.change(&change, image, now, &mut out);
            }
            true
        });
        self.work.add(steps);
        self.send_out(out);
        self.kick();
        more
    }

    /// From now on, requests see this metadata.
    fn show(self: &Rc<Self>, before: &Image, image: &Arc<Image>) {
        *self.image.borrow_mut() = image.clone();
        self.show_groups(image);
        self.coming.take();
        self.changed_image.notify();
        self.let_clients_in(image);
        if !image.has_brokers_of(before) {
            // Leaders may be elsewhere than they were.
            self.streams.borrow_mut().look_for_targets();
            self.changed_streams.notify();
        }
        if !Arc::ptr_eq(&before.broker_configs, &image.broker_configs) {
            let settings = self.bounds.settings(&image.broker_configs);
            self.connections.borrow_mut().configure(settings);
        }
        self.apply_group_topic(image);
        self.apply_transaction_topic(image);
        self.apply_share_topic(image);
        self.apply_shares();
    }

    /// Clients may connect, once: when these metadata have everything that was committed when this process registered.
    /// What a start reads of its own log may be old, and clients would be sent to brokers that lead no more.
    fn let_clients_in(&self, image: &Image) {
        let registered = image.broker(image.node_id).map(|it| it.incarnation);
        let is_caught_up = self.node.peer.is_none() || registered == Some(self.node.incarnation);
        if is_caught_up && !self.lets_in.replace(true) {
            self.outputs.push(Output::LetIn);
        }
    }

    /// Lets clients in although no controller was heard: see [`LET_IN_MS`](super::standing::LET_IN_MS).
    pub(super) fn let_clients_in_late(&self) {
        if self.monotonic_ms() >= self.lets_in_by_ms && !self.lets_in.replace(true) {
            tracing::warn!(
                shard = self.id,
                "no controller was heard: clients are told what was known before"
            );
            self.outputs.push(Output::LetIn);
        }
    }
}
