//! The controller: one member of the metadata quorum, and the image that its log makes.

use super::codec;
use super::image::Image;
use super::members::Members;
use super::message::Message;
use super::open::{self, MetaError, OpenOptions};
use super::quorum::{Decided, MembersError, Persist, Quorum, StepError, Ticket};
use super::record::Record;
use crate::storage::device::disk::Disk;
use crate::types::TopicId;
use raft::eraftpb::{Entry, EntryType};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Producer ids that nobody else gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first id.
    pub first: i64,
    /// The number of ids.
    pub count: i32,
    /// They may be used when the image has this index.
    pub index: u64,
}

/// See the module. In call order as `quorum` has it; what the log decides becomes the image.
pub struct Controller {
    quorum: Quorum,
    /// What is durable on a majority.
    image: Arc<Image>,
    /// The image was changed since it was last [taken](Self::take_image).
    changed: bool,
    /// What will be when everything in the log of this leader is.
    draft: Image,
    /// The term that this node leads, as soon as `draft` is made.
    leads: Option<u64>,
    options: OpenOptions,
    /// For each deleted topic, the shards that have dropped it.
    dropped: BTreeMap<TopicId, BTreeSet<usize>>,
}

impl Controller {
    /// Opens the metadata under `meta/`, or begins it. A node that alone votes elects itself and
    /// registers; both, and the raised leader epochs that go with it, are durable when this returns. One of
    /// several waits for the others. Blocks.
    pub fn open(disk: &Disk, options: &OpenOptions) -> Result<(Self, Arc<Image>), MetaError> {
        let options = options.with_derived_settings();
        let (quorum, image) = open::load(disk, &options)?;
        let alone = quorum.members().voters == BTreeSet::from([options.node_id]);
        let mut controller = Self {
            quorum,
            draft: image.clone(),
            image: Arc::new(image),
            changed: false,
            leads: None,
            options,
            dropped: BTreeMap::new(),
        };
        if alone {
            controller.quorum.campaign();
            controller.follow();
        }
        controller.persist_all(disk)?;
        if alone {
            assert!(controller.leads(), "the only voter wins");
            controller.register();
            controller.persist_all(disk)?;
            debug_assert_eq!(
                *controller.image, controller.draft,
                "everything proposed took effect"
            );
        }
        open::remove_leftovers(disk, controller.quorum.file())?;
        controller.changed = false;
        let image = controller.image();
        Ok((controller, image))
    }

    fn persist_all(&mut self, disk: &Disk) -> Result<(), MetaError> {
        while let Some(persist) = self.ready() {
            for op in persist.ops {
                open::run(disk, op)?;
            }
            self.persisted(persist.ticket);
        }
        Ok(())
    }

    /// Registers this node with the controller, which it is itself.
    fn register(&mut self) {
        let it = &self.options;
        let (broker, host, port) = (it.node_id, it.host.clone(), it.port);
        self.propose(&[Record::BrokerStarted { broker, host, port, rack: it.rack.clone() }]);
    }

    /// The metadata as far as they are durable.
    pub fn image(&self) -> Arc<Image> {
        self.image.clone()
    }

    /// The image, where it was changed since this was asked last.
    pub fn take_image(&mut self) -> Option<Arc<Image>> {
        std::mem::take(&mut self.changed).then(|| self.image())
    }

    /// Whether this node leads the quorum, and has everything that was proposed before.
    pub fn leads(&self) -> bool {
        self.leads.is_some()
    }

    /// Raft's term.
    pub fn term(&self) -> u64 {
        self.quorum.term()
    }

    /// Who belongs to the quorum.
    pub fn members(&self) -> Members {
        self.quorum.members()
    }

    /// The metadata as they will be when everything proposed is durable. Requests are checked against
    /// this, so that two that follow each other quickly cannot create one topic twice; nobody is
    /// told about it. Of the node that leads.
    pub fn draft(&self) -> &Image {
        &self.draft
    }

    /// Time passes. See [`Quorum::tick`].
    pub fn tick(&mut self) {
        self.quorum.tick();
        self.follow();
    }

    /// Takes a message of another member. See [`Quorum::step`].
    pub fn step(&mut self, message: Message) -> Result<(), StepError> {
        let result = self.quorum.step(message);
        self.follow();
        result
    }

    /// What may be sent to other members.
    pub fn poll_message(&mut self) -> Option<Message> {
        self.quorum.poll_message()
    }

    /// The connection to this node is broken. See [`Quorum::unreachable`].
    pub fn unreachable(&mut self, node: i32) {
        self.quorum.unreachable(node);
        self.follow();
    }

    /// Begins to change who belongs to the quorum. See [`Quorum::change_members`].
    pub fn change_members(&mut self, to: &Members) -> Result<(), MembersError> {
        let result = self.quorum.change_members(to);
        self.follow();
        result
    }

    /// Hands over to this voter. See [`Quorum::hand_over`].
    pub fn hand_over(&mut self, to: i32) {
        self.quorum.hand_over(to);
        self.follow();
    }

    /// Proposes changes that take effect together. They have when an image has the index that is
    /// returned and this node led all the time. Call [`Controller::ready`] afterwards.
    ///
    /// # Panics
    ///
    /// Panics where this node does not [lead](Self::leads).
    pub fn propose(&mut self, records: &[Record]) -> u64 {
        for record in records {
            self.draft.apply(record);
        }
        let index = self.quorum.propose(codec::encode_batch(records));
        self.follow();
        index
    }

    /// Takes producer ids.
    pub fn take_producer_ids(&mut self, count: i32) -> ProducerIdBlock {
        let first = self.draft.next_producer_id;
        let index = self.propose(&[Record::ProducerIdsTaken { count }]);
        ProducerIdBlock { first, count, index }
    }

    /// A shard reports that it holds no data of a deleted topic any more. When all have, that is
    /// proposed, and true is returned. Every shard reports each topic in
    /// [`Image::deleting`] after each start, also where it holds nothing of it.
    pub fn topic_dropped(&mut self, id: TopicId, shard: usize) -> bool {
        if !self.draft.is_deleting(id) {
            return false;
        }
        let shards = self.dropped.entry(id).or_default();
        shards.insert(shard);
        if shards.len() < self.options.shards {
            return false;
        }
        self.dropped.remove(&id);
        self.propose(&[Record::TopicForgotten { id }]);
        true
    }

    /// What is to be written next; `None` where nothing is, or where the last writes have not been
    /// reported as [`persisted`](Self::persisted) yet.
    pub fn ready(&mut self) -> Option<Persist> {
        self.quorum.ready(&self.image)
    }

    /// The writes of this ticket have completed.
    pub fn persisted(&mut self, ticket: Ticket) {
        self.quorum.persisted(ticket);
        self.follow();
    }

    /// Lets take effect what the log has decided, and notes who leads.
    fn follow(&mut self) {
        while let Some(decided) = self.quorum.poll() {
            match decided {
                Decided::Entries(entries) => self.apply(&entries),
                Decided::Snapshot(bytes) => self.replace(&bytes),
            }
        }
        if self.image.controller_id != self.quorum.leader() {
            self.image = Arc::new(self.image.led_by(self.quorum.leader()));
            self.changed = true;
        }
        let leads = self.quorum.leads().then(|| self.quorum.term());
        if leads != self.leads {
            self.leads = leads;
            self.draft = (*self.image).clone();
            apply_to(&mut self.draft, &self.quorum.entries_after(self.image.index));
        }
        if leads.is_some() {
            self.draft.index = self.quorum.last_index();
        }
    }

    fn apply(&mut self, committed: &[Entry]) {
        let mut image = (*self.image).clone();
        apply_to(&mut image, committed);
        if cfg!(debug_assertions) && image.topics.len() < 100 {
            image.invariants();
        }
        self.image = Arc::new(image);
        self.changed = true;
    }

    fn replace(&mut self, snapshot: &[u8]) {
        let (node, fixed) = (self.options.node_id, self.options.fixed.clone());
        let (image, _) = codec::decode_snapshot(snapshot, node, fixed).expect("it was checked");
        self.image = Arc::new(image.led_by(self.quorum.leader()));
        self.changed = true;
    }
}

/// What these entries make of an image.
pub(super) fn apply_to(image: &mut Image, entries: &[Entry]) {
    for entry in entries {
        if entry.get_entry_type() == EntryType::EntryNormal && !entry.data.is_empty() {
            // What cannot be read was refused where it came from: the disk, or another member.
            let records = codec::decode_batch(&entry.data).expect("a batch that was checked");
            for record in &records {
                image.apply(record);
            }
        }
        image.index = entry.index;
    }
}
