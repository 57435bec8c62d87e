//! The controller: one member of the metadata quorum, and the image that its log makes.

use super::codec;
use super::describe::QuorumState;
use super::due_snapshot::{DueSnapshot, EncodedSnapshot};
use super::elections;
use super::image::Image;
use super::members::Members;
use super::message::Message;
use super::open::{self, MetaError, OpenOptions};
use super::quorum::{Decided, MembersError, Persist, Quorum, StepError, Ticket};
use super::record::Record;
use crate::storage::device::disk::Disk;
use crate::storage::device::io::Op;
use crate::types::TopicId;
use futures_lite::future::block_on;
use raft::eraftpb::{Entry, EntryType};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// Of a leader: what each entry makes that was proposed and has not taken effect, in their order. The first
    /// of a new leader is what its whole log makes.
    proposed: VecDeque<Image>,
    /// The term that this node leads.
    leads: Option<u64>,
    options: OpenOptions,
    /// For each deleted topic, the shards that have dropped it.
    dropped: BTreeMap<TopicId, BTreeSet<usize>>,
    /// Those that every shard has dropped.
    gone: Vec<TopicId>,
}

impl Controller {
    /// Opens the metadata under `meta/`, or begins it. A node that alone votes elects itself and
    /// registers; both, and the raised leader epochs that go with it, are durable when this returns. One of
    /// several waits for the others. Blocks.
    pub fn open(disk: &Disk, options: &OpenOptions) -> Result<(Self, Arc<Image>), MetaError> {
        let options = options.with_derived_settings();
        let (quorum, image) = open::load(disk, &options)?;
        let only_us = BTreeSet::from([options.node_id]);
        let alone = quorum.members().voters == only_us;
        let mut controller = Self {
            quorum,
            proposed: VecDeque::new(),
            image: Arc::new(image),
            changed: false,
            leads: None,
            options,
            dropped: BTreeMap::new(),
            gone: Vec::new(),
        };
        // What was read takes effect first: the snapshot that replaces it names the members of the image's own entry.
        controller.follow();
        if alone {
            controller.quorum.campaign();
            controller.follow();
        }
        controller.persist_all(disk)?;
        // What was not committed yet may have given others a vote: nothing is decided without them any more.
        if alone && controller.members().voters == only_us {
            assert!(controller.leads(), "the only voter wins");
            controller.register();
            controller.persist_all(disk)?;
            debug_assert!(controller.proposed.is_empty(), "everything proposed took effect");
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

    /// Registers this node with the controller, which it is itself. It has the metadata, and leads at once what it led.
    fn register(&mut self) {
        let it = self.options.registration();
        let (broker, known) = (it.id, self.draft().broker(it.id));
        // What a broker without others led goes on; only its epochs rise.
        let stays = known.is_none_or(|old| old.directory == 0 || old.directory == it.directory);
        if stays {
            self.propose(&[Record::BrokerRegistered(it), Record::BrokerUnfenced { broker }]);
        } else {
            let decision = block_on(elections::on_register(self.draft(), &it, &async || {}));
            decision.records.chunks(1).for_each(|it| _ = self.propose(it));
        }
        let decision = block_on(elections::on_unfence(self.draft(), broker, &async || {}));
        decision.records.chunks(1).for_each(|it| _ = self.propose(it));
    }

    /// The metadata as far as they are durable.
    pub fn image(&self) -> Arc<Image> {
        self.image.clone()
    }

    /// The metadata with every topic that the log has ever made, committed or not, and none that it deletes: what had
    /// taken effect before a start is among it, and may not be known to be committed yet.
    pub fn with_every_topic(&self) -> Image {
        let mut made = (*self.image).clone();
        for entry in self.quorum.entries_after(self.image.index) {
            for record in records_of(&entry) {
                if !matches!(record, Record::TopicDeleted { .. }) {
                    made.apply(&record);
                }
            }
        }
        made
    }

    /// The image, where it was changed since this was asked last.
    pub fn take_image(&mut self) -> Option<Arc<Image>> {
        std::mem::take(&mut self.changed).then(|| self.image())
    }

    /// Whether this node leads the quorum, and has everything that was proposed before.
    pub fn leads(&self) -> bool {
        self.leads.is_some()
    }

    /// The term in which this node [leads](Self::leads).
    pub fn leading_term(&self) -> Option<u64> {
        self.leads
    }

    /// The node that leads the quorum as far as this one knows; -1 for none.
    pub fn leader(&self) -> i32 {
        self.quorum.leader()
    }

    /// Raft's term.
    pub fn term(&self) -> u64 {
        self.quorum.term()
    }

    /// Whether this node [joins](OpenOptions::joins) a cluster, and does not know yet who belongs to it.
    pub fn is_joining(&self) -> bool {
        self.quorum.is_joining()
    }

    /// Index of the last entry of the log that a majority has.
    pub fn committed(&self) -> u64 {
        self.quorum.committed()
    }

    /// Who belongs to the quorum.
    pub fn members(&self) -> Members {
        self.quorum.members()
    }

    /// What is known of the members of the quorum, where this node leads it.
    pub fn describe_quorum(&self) -> Option<QuorumState> {
        self.quorum.describe()
    }

    /// The metadata as they will be when everything proposed is durable. Requests are checked against
    /// this, so that two that follow each other quickly cannot create one topic twice; nobody is
    /// told about it. Of the node that leads.
    pub fn draft(&self) -> &Image {
        self.proposed.back().unwrap_or(&self.image)
    }

    /// Entries that were proposed and have not taken effect.
    pub fn in_flight(&self) -> usize {
        self.proposed.len()
    }

    /// A tick passes, which takes the same time on each member: one that has heard no leader for 10 to 20 of them
    /// stands for election.
    pub fn tick(&mut self) {
        self.quorum.tick();
        self.follow();
    }

    /// Takes a message of another member. An error means that it is for somebody else, or that this node has
    /// lost entries that it had promised to keep.
    pub fn step(&mut self, message: Message) -> Result<(), StepError> {
        let result = self.quorum.step(message);
        self.follow();
        result
    }

    /// What may be sent to other members.
    pub fn poll_message(&mut self) -> Option<Message> {
        self.quorum.poll_message()
    }

    /// A connection to or from this node is broken: messages may be lost. Whether it has got a snapshot is not
    /// asked before this is said.
    pub fn unreachable(&mut self, node: i32) {
        self.quorum.unreachable(node);
        self.follow();
    }

    /// Begins to change who belongs to the quorum, for a node that [leads](Self::leads): by joint consensus where
    /// more than one changes. It has ended when [`members`](Self::members) says so.
    pub fn change_members(&mut self, to: &Members) -> Result<(), MembersError> {
        let result = self.quorum.change_members(to);
        self.follow();
        result
    }

    /// The process of this member is gone, as the kernel of its machine says: where it leads, another election follows at
    /// once.
    pub fn leader_is_gone(&mut self, node: i32) {
        self.quorum.leader_is_gone(node);
        self.follow();
    }

    /// What this member has answered was of an earlier directory: it gets no vote before it has answered again.
    pub fn forget_answers(&mut self, node: i32) {
        self.quorum.forget_answers(node);
    }

    /// The voter that could lead next, where this node leads.
    pub fn successor(&self) -> Option<i32> {
        self.quorum.successor()
    }

    /// Hands over to this voter, once it has everything. Others may lead instead.
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
        let mut made = self.draft().clone();
        for record in records {
            made.apply(record);
        }
        self.propose_made(records, made)
    }

    /// As [`propose`](Self::propose), with what the changes make of the present draft: for a caller that
    /// has applied them in parts, while nobody else proposes anything.
    pub fn propose_made(&mut self, records: &[Record], mut made: Image) -> u64 {
        assert_eq!(made.index, self.draft().index, "nobody has proposed anything meanwhile");
        made.index = self.quorum.propose(codec::encode_batch(records));
        let index = made.index;
        self.proposed.push_back(made);
        self.follow();
        index
    }

    /// Takes producer ids.
    pub fn take_producer_ids(&mut self, count: i32) -> ProducerIdBlock {
        let first = self.draft().next_producer_id;
        let index = self.propose(&[Record::ProducerIdsTaken { count }]);
        ProducerIdBlock { first, count, index }
    }

    /// A shard reports that it holds no data of a deleted topic any more. When all have, true is
    /// returned, and [`take_gone`](Self::take_gone) has it. Every shard reports each topic in
    /// [`Image::deleting`] after each start, also where it holds nothing of it.
    pub fn topic_dropped(&mut self, id: TopicId, shard: usize) -> bool {
        if !self.draft().is_deleting(id) {
            return false;
        }
        let shards = self.dropped.entry(id).or_default();
        shards.insert(shard);
        if shards.len() < self.options.shards {
            return false;
        }
        self.dropped.remove(&id);
        self.gone.push(id);
        true
    }

    /// What is to be proposed of topics whose data is gone.
    pub fn take_gone(&mut self) -> Vec<Record> {
        let gone = std::mem::take(&mut self.gone).into_iter();
        gone.map(|id| Record::TopicForgotten { id }).collect()
    }

    /// The snapshot that [`ready_with`](Self::ready_with) is to be given next: where the log has become too long, or
    /// where another member is too far behind for it.
    pub fn due_snapshot(&mut self) -> Option<DueSnapshot> {
        self.quorum.due_snapshot(&self.image)
    }

    /// What is to be written next; `None` where nothing is, or where the last writes have not been
    /// reported as [`persisted`](Self::persisted) yet. Encodes a snapshot, where one is due, in one go.
    pub fn ready(&mut self) -> Option<Persist> {
        let snapshot = self.due_snapshot().map(|it| block_on(it.encode(&async || {})));
        self.ready_with(snapshot)
    }

    /// As [`ready`](Self::ready), with the [due snapshot](Self::due_snapshot).
    pub fn ready_with(&mut self, snapshot: Option<EncodedSnapshot>) -> Option<Persist> {
        let persist = self.quorum.ready_with(snapshot);
        self.follow();
        persist
    }

    /// The writes of this ticket have completed.
    pub fn persisted(&mut self, ticket: Ticket) {
        self.quorum.persisted(ticket);
        self.follow();
    }

    /// There was no space for what these writes were to replace the log with, and that is [undone](Persist::undo). Otherwise as
    /// [`made_room`](Self::made_room).
    pub fn not_replaced(&mut self, ticket: Ticket) -> bool {
        let hands_over = self.quorum.not_replaced(ticket);
        self.follow();
        hands_over
    }

    /// What gives the log more space ahead, between two writes, for [`made_room`](Self::made_room).
    pub fn wanted_room(&self) -> Option<[Op; 2]> {
        self.quorum.wanted_room()
    }

    /// That was carried out, or there was no space for it: then, the first time, a leader hands over. Says whether it does.
    pub fn made_room(&mut self, made: bool) -> bool {
        let hands_over = self.quorum.made_room(made);
        self.follow();
        hands_over
    }

    /// Lets take effect what the log has decided, and notes who leads.
    fn follow(&mut self) {
        while let Some(decided) = self.quorum.poll() {
            match decided {
                Decided::Entries(entries) => self.apply(&entries),
                Decided::Snapshot(bytes) => self.replace(&bytes),
            }
        }
        let leader = self.quorum.leader();
        if self.image.controller_id != leader {
            Arc::make_mut(&mut self.image).controller_id = leader;
            self.changed = true;
        }
        let leads = self.quorum.leads().then(|| self.quorum.term());
        if leads != self.leads {
            self.leads = leads;
            self.proposed.clear();
            let index = self.image.index;
            let entries = leads.map_or_else(Vec::new, |_| self.quorum.entries_after(index));
            if !entries.is_empty() {
                let mut made = (*self.image).clone();
                entries.iter().for_each(|it| apply(&mut made, it));
                self.proposed.push_back(made);
            }
        }
    }

    fn apply(&mut self, committed: &[Entry]) {
        for entry in committed {
            if self.proposed.front().is_some_and(|it| it.index == entry.index) {
                let made = self.proposed.pop_front().expect("just seen");
                if cfg!(debug_assertions) && made.topics.len() < 100 {
                    let mut read = (*self.image).clone();
                    apply(&mut read, entry);
                    assert_eq!(read, made, "a start reads what was proposed");
                    made.invariants();
                }
                self.image = Arc::new(made);
            } else {
                // Of another leader, of a life before, or not a change of the metadata.
                apply(Arc::make_mut(&mut self.image), entry);
            }
        }
        self.changed = true;
    }

    fn replace(&mut self, snapshot: &[u8]) {
        let (node, fixed) = (self.options.node_id, self.options.fixed.clone());
        let (image, _) = codec::decode_snapshot(snapshot, node, fixed).expect("it was checked");
        self.image = Arc::new(image);
        self.changed = true;
    }
}

/// What an entry makes of an image.
pub(super) fn apply(image: &mut Image, entry: &Entry) {
    records_of(entry).iter().for_each(|it| image.apply(it));
    image.index = entry.index;
}

fn records_of(entry: &Entry) -> Vec<Record> {
    if entry.get_entry_type() != EntryType::EntryNormal || entry.data.is_empty() {
        return Vec::new();
    }
    // What cannot be read was refused where it came from: the disk, or another member.
    codec::decode_batch(&entry.data).expect("a batch that was checked")
}
