//! The controller: one voter's Raft node and the image that its log makes.

use super::codec::{self, CodecError, SnapshotState};
use super::image::Image;
use super::log;
use super::record::Record;
use super::store::Store;
use crate::storage::buffer::{Budget, align_up};
use crate::storage::device::disk::Disk;
use crate::storage::device::io::{Entry as DirEntry, Op};
use crate::types::TopicId;
use bytes::Bytes;
use futures_lite::future::block_on;
use raft::eraftpb::{Entry, HardState};
use raft::{Config, RawNode, StateRole};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

/// A log file that is longer than this is replaced by a snapshot.
const LOG_BYTES_MAX: u64 = 8 << 20;

/// The most that an entry takes in a write to the log beside its data, bytes.
const ENTRY_OVERHEAD: usize = 64;

/// Why the metadata cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The disk failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// The error of the system.
        source: io::Error,
    },
    /// Something that was acknowledged does not read as it was written.
    #[error("metadata is damaged: {0}")]
    Damaged(String),
    /// A file is of a version that this program cannot read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        source: CodecError,
    },
    /// The directory belongs to another cluster.
    #[error("the metadata is that of cluster {found}, not of {wanted}")]
    OtherCluster {
        /// The cluster id that was found.
        found: String,
        /// The cluster id that was expected.
        wanted: String,
    },
    /// The directory belongs to another node.
    #[error("the metadata is not that of node {0}")]
    OtherNode(i32),
}

/// The node that opens the metadata, and the cluster that it expects.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The cluster's id.
    pub cluster_id: String,
    /// This node's id.
    pub node_id: i32,
    /// Host that clients connect to.
    pub host: String,
    /// Port that clients connect to.
    pub port: u16,
    /// This node's rack, if it has one.
    pub rack: Option<String>,
    /// Broker settings from the configuration file. `node.id`, `broker.id` and
    /// `advertised.listeners` are added to them.
    pub fixed: Arc<BTreeMap<String, String>>,
    /// How many shards report that they dropped a topic.
    pub shards: usize,
}

impl OpenOptions {
    /// What `DescribeConfigs` shows besides what was set.
    fn with_derived_settings(&self) -> Self {
        let mut fixed = (*self.fixed).clone();
        let node_id = self.node_id.to_string();
        let advertised = format!("PLAINTEXT://{}:{}", self.host, self.port);
        fixed.insert("node.id".to_owned(), node_id.clone());
        fixed.insert("broker.id".to_owned(), node_id);
        fixed.insert("advertised.listeners".to_owned(), advertised);
        Self { fixed: Arc::new(fixed), ..self.clone() }
    }
}

/// Writes that make proposed changes durable.
#[derive(Debug)]
pub struct Persist {
    /// To be run one after the other, each when the one before has completed. Where one fails, the
    /// process ends: what is on disk is not known any more.
    pub ops: Vec<Op>,
    /// For [`Controller::persisted`], when all of them have completed.
    pub ticket: Ticket,
}

/// Stands for a [`Persist`] that is being carried out. It cannot be copied or made up.
#[derive(Debug)]
pub struct Ticket {
    number: u64,
}

/// A snapshot that is to replace the log.
#[derive(Debug)]
pub struct DueSnapshot {
    image: Arc<Image>,
    state: SnapshotState,
}

impl DueSnapshot {
    /// It, in bytes. Pauses after each topic.
    pub async fn encode(self, pause: &impl AsyncFn()) -> EncodedSnapshot {
        let bytes = codec::encode_snapshot(&self.image, &self.state, pause).await;
        EncodedSnapshot { index: self.image.index, term: self.state.term, bytes }
    }
}

/// See [`DueSnapshot`].
#[derive(Debug)]
pub struct EncodedSnapshot {
    index: u64,
    term: u64,
    bytes: Vec<u8>,
}

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

/// Entries and state that Raft has handed out to be written, and that are not durable yet.
struct Pending {
    number: u64,
    entries: Vec<Entry>,
    /// The ticket, while it is being written.
    writing: Option<Writing>,
}

struct Writing {
    /// Where the log ends when it is written.
    end: u64,
    /// Index, term: the snapshot that is written with it holds the entries up to there.
    snapshot: Option<(u64, u64)>,
}

/// The controller of a cluster whose only voter is this node.
pub struct Controller {
    node: RawNode<Store>,
    /// What is durable.
    image: Arc<Image>,
    /// What each entry makes that was proposed and has not taken effect, in their order.
    proposed: VecDeque<Image>,
    pending: Option<Pending>,
    /// The log file, and where it ends.
    file: u64,
    end: u64,
    log_bytes_max: u64,
    /// Set from the start to the first write.
    replace_log: bool,
    shards: usize,
    /// For each deleted topic, the shards that have dropped it.
    dropped: BTreeMap<TopicId, BTreeSet<usize>>,
    /// Those that every shard has dropped.
    gone: Vec<TopicId>,
    budget: Arc<Budget>,
}

/// Raft's id of a node: it has no node 0.
fn raft_id(node_id: i32) -> u64 {
    node_id as u64 + 1
}

fn run(disk: &Disk, op: Op) -> Result<Bytes, MetaError> {
    let what = match &op {
        Op::Read { path, .. } => format!("read {path}"),
        Op::Write { path, .. } => format!("write {path}"),
        Op::Sync { path } | Op::SyncDir { path } => format!("sync {path}"),
        Op::Rename { from, to } => format!("rename {from} to {to}"),
        Op::Unlink { path } => format!("remove {path}"),
        Op::Create { path } | Op::MakeDir { path } => format!("create {path}"),
        _ => "run an operation".to_owned(),
    };
    disk.run(op).map_err(|source| MetaError::Io { what, source })
}

/// A whole file; `None` where there is none.
pub(super) fn read(disk: &Disk, path: &str) -> Result<Option<Bytes>, MetaError> {
    let len =
        disk.len(path).map_err(|source| MetaError::Io { what: format!("read {path}"), source })?;
    let Some(len) = len else { return Ok(None) };
    if len == 0 {
        return Ok(Some(Bytes::new()));
    }
    let bytes = run(disk, Op::Read { path: path.into(), pos: 0, len: align_up(len as usize) })?;
    Ok(Some(bytes))
}

fn list(disk: &Disk) -> Result<Vec<DirEntry>, MetaError> {
    disk.list(log::DIR)
        .map_err(|source| MetaError::Io { what: format!("list {}", log::DIR), source })
}

impl Controller {
    /// Opens the metadata under `meta/`, or begins it. This node elects itself and registers; both,
    /// and the raised leader epochs that go with it, are durable when this returns. Blocks.
    pub fn open(disk: &Disk, options: &OpenOptions) -> Result<(Self, Arc<Image>), MetaError> {
        Self::open_with(disk, options, LOG_BYTES_MAX)
    }

    pub(super) fn open_with(
        disk: &Disk,
        options: &OpenOptions,
        log_bytes_max: u64,
    ) -> Result<(Self, Arc<Image>), MetaError> {
        let options = &options.with_derived_settings();
        let mut controller = Self::load(disk, options, log_bytes_max)?;
        controller
            .node
            .campaign()
            .expect("a node that is neither leading nor being changed can stand for election");
        assert_eq!(controller.node.raft.state, StateRole::Leader, "the only voter wins");
        controller.persist_all(disk)?;
        Arc::make_mut(&mut controller.image).controller_id = options.node_id;
        controller.propose(&[Record::BrokerStarted {
            broker: options.node_id,
            host: options.host.clone(),
            port: options.port,
            rack: options.rack.clone(),
        }]);
        controller.persist_all(disk)?;
        controller.remove_leftovers(disk)?;
        let image = controller.image();
        debug_assert!(controller.proposed.is_empty(), "everything proposed took effect");
        Ok((controller, image))
    }

    /// Reads what is on disk, and writes the first snapshot where there is nothing.
    fn load(disk: &Disk, options: &OpenOptions, log_bytes_max: u64) -> Result<Self, MetaError> {
        let budget = Budget::new(usize::MAX);
        let voter = raft_id(options.node_id);
        let unreadable = |path: &str| {
            let path = path.to_owned();
            move |source| MetaError::Unreadable { path, source }
        };
        let (image, state) = if let Some(bytes) = read(disk, log::SNAPSHOT)? {
            let payload = log::snapshot_payload(&bytes).ok_or_else(|| {
                MetaError::Damaged(format!("the checksum of {} is wrong", log::SNAPSHOT))
            })?;
            codec::decode_snapshot(payload, options.node_id, options.fixed.clone())
                .map_err(unreadable(log::SNAPSHOT))?
        } else {
            Self::begin(disk, options, &budget)?
        };
        if *image.cluster_id != *options.cluster_id {
            return Err(MetaError::OtherCluster {
                found: image.cluster_id.to_string(),
                wanted: options.cluster_id.clone(),
            });
        }
        if state.voters != [voter] {
            return Err(MetaError::OtherNode(options.node_id));
        }

        let path = log::log_path(state.log);
        let bytes =
            read(disk, &path)?.ok_or_else(|| MetaError::Damaged(format!("{path} is not there")))?;
        let scan = log::scan(&bytes, state.log);
        if let Some(later) = scan.valid_after {
            return Err(MetaError::Damaged(format!(
                "{path} does not check at byte {}, but at byte {later} it does",
                scan.end
            )));
        }
        let mut store = Store::new(state.hard_state, state.voters, (image.index, state.term));
        for payload in scan.writes {
            let (hard_state, entries) = codec::decode_write(payload).map_err(unreadable(&path))?;
            let next = store.last() + 1;
            let in_order = entries.iter().zip(next..).all(|(entry, index)| entry.index == index);
            if !in_order {
                return Err(MetaError::Damaged(format!("{path}: entry {next} is missing")));
            }
            for entry in entries.iter().filter(|entry| !entry.data.is_empty()) {
                codec::decode_batch(&entry.data).map_err(unreadable(&path))?;
            }
            store.append(&entries);
            store.hard_state = hard_state.unwrap_or(store.hard_state);
        }
        store.hard_state.commit = store.hard_state.commit.max(image.index);
        if store.hard_state.commit > store.last() {
            return Err(MetaError::Damaged(format!(
                "{path} ends at entry {}, and entry {} was committed",
                store.last(),
                store.hard_state.commit
            )));
        }
        let config = Config {
            id: voter,
            applied: image.index,
            max_size_per_msg: 1 << 20,
            max_inflight_msgs: 256,
            ..Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, store, &logger)
            .map_err(|error| MetaError::Damaged(format!("{path}: {error}")))?;
        Ok(Self {
            node,
            proposed: VecDeque::new(),
            image: Arc::new(image),
            pending: None,
            file: state.log,
            end: scan.end,
            log_bytes_max,
            // What was read may not be durable: a process that was killed, or whose sync failed,
            // leaves what can be read and what no later sync brings to the medium. So nothing is
            // appended to it; all of it is written anew, to new files.
            replace_log: true,
            shards: options.shards,
            dropped: BTreeMap::new(),
            gone: Vec::new(),
            budget,
        })
    }

    /// Writes the snapshot of a cluster in which nothing happened yet.
    fn begin(
        disk: &Disk,
        options: &OpenOptions,
        budget: &Arc<Budget>,
    ) -> Result<(Image, SnapshotState), MetaError> {
        let files = list(disk)?;
        // A start that was cut short leaves an empty log file; one that was not leaves a snapshot.
        for entry in files.iter().filter(|it| log::log_number(&it.name).is_some()) {
            let path = format!("{}/{}", log::DIR, entry.name);
            if read(disk, &path)?.is_some_and(|bytes| bytes.iter().any(|byte| *byte != 0)) {
                let missing = format!("{} is not there, but {path} is", log::SNAPSHOT);
                return Err(MetaError::Damaged(missing));
            }
        }
        let image = Image::new(&options.cluster_id, options.node_id, options.fixed.clone());
        let voters = vec![raft_id(options.node_id)];
        let state = SnapshotState { term: 0, hard_state: HardState::default(), voters, log: 0 };
        // A directory that is there may be one whose sync failed, and then no later sync makes it
        // durable: a new one is made.
        for file in files {
            run(disk, Op::Unlink { path: format!("{}/{}", log::DIR, file.name).into() })?;
        }
        run(disk, Op::RemoveDir { path: log::DIR.into() })?;
        run(disk, Op::MakeDir { path: log::DIR.into() })?;
        run(disk, Op::SyncDir { path: "".into() })?;
        let snapshot = block_on(codec::encode_snapshot(&image, &state, &async || {}));
        for op in log::create(0).into_iter().chain(log::replace_snapshot(&snapshot, budget)) {
            run(disk, op)?;
        }
        Ok((image, state))
    }

    fn persist_all(&mut self, disk: &Disk) -> Result<(), MetaError> {
        while let Some(persist) = self.ready() {
            for op in persist.ops {
                run(disk, op)?;
            }
            self.persisted(persist.ticket);
        }
        Ok(())
    }

    /// Removes what a power cut left of a replacement.
    fn remove_leftovers(&self, disk: &Disk) -> Result<(), MetaError> {
        for entry in list(disk)? {
            let path = format!("{}/{}", log::DIR, entry.name);
            let stale = log::log_number(&entry.name).is_some_and(|number| number != self.file);
            if stale || path == log::SNAPSHOT_TMP {
                run(disk, Op::Unlink { path: path.into() })?;
            }
        }
        Ok(())
    }

    /// The metadata as far as it is durable.
    pub fn image(&self) -> Arc<Image> {
        self.image.clone()
    }

    /// The metadata as it will be when everything proposed is durable. Requests are checked against
    /// this, so that two that follow each other quickly cannot create one topic twice; nobody is
    /// told about it.
    pub fn draft(&self) -> &Image {
        self.proposed.back().unwrap_or(&self.image)
    }

    /// Entries that were proposed and have not taken effect.
    pub fn in_flight(&self) -> usize {
        self.proposed.len()
    }

    /// Proposes changes that take effect together. They have when an image has the index that is
    /// returned. Call [`Controller::ready`] afterwards.
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
        self.node
            .propose(Vec::new(), codec::encode_batch(records))
            .expect("the only voter leads, and does not bound what is proposed");
        let index = self.node.raft.raft_log.last_index();
        made.index = index;
        self.proposed.push_back(made);
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
        if shards.len() < self.shards {
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

    /// The snapshot that [`ready_with`](Self::ready_with) is to be given next, where the log has become too
    /// long.
    pub fn due_snapshot(&mut self) -> Option<DueSnapshot> {
        self.take_ready();
        let pending = self.pending.as_ref().filter(|it| it.writing.is_none())?;
        let bytes: usize = pending.entries.iter().map(|it| it.data.len() + ENTRY_OVERHEAD).sum();
        let is_long = self.end + bytes as u64 > self.log_bytes_max && self.end > 0;
        if !self.replace_log && !is_long {
            return None;
        }
        let store = self.node.store();
        let index = self.image.index;
        let term = store.term_of(index).expect("what took effect is in the log or the snapshot");
        let hard_state = self.node.raft.hard_state();
        let (voters, log) = (store.voters.clone(), self.file + 1);
        let state = SnapshotState { term, hard_state, voters, log };
        Some(DueSnapshot { image: self.image.clone(), state })
    }

    /// What is to be written next; `None` where nothing is, or where the last writes have not been
    /// reported as [`persisted`](Self::persisted) yet. Encodes a snapshot, where one is due, in one go.
    pub fn ready(&mut self) -> Option<Persist> {
        let snapshot = self.due_snapshot().map(|it| block_on(it.encode(&async || {})));
        self.ready_with(snapshot)
    }

    /// As [`ready`](Self::ready), with the [due snapshot](Self::due_snapshot), as long as nothing was
    /// written since that was asked for.
    pub fn ready_with(&mut self, snapshot: Option<EncodedSnapshot>) -> Option<Persist> {
        self.take_ready();
        let pending = self.pending.as_mut().filter(|it| it.writing.is_none())?;
        let hard_state = self.node.raft.hard_state();
        let number = pending.number;
        assert!(snapshot.is_some() || !self.replace_log, "what was read is not appended to");
        let Some(EncodedSnapshot { index, term, bytes }) = snapshot else {
            let payload = codec::encode_write(Some(&hard_state), &pending.entries);
            let data = log::frame(&payload, self.file, self.end, &self.budget);
            let path = log::log_path(self.file);
            let end = self.end + data.len() as u64;
            pending.writing = Some(Writing { end, snapshot: None });
            let write = Op::Write { path: path.clone(), pos: self.end, data };
            return Some(Persist {
                ops: vec![write, Op::Sync { path }],
                ticket: Ticket { number },
            });
        };
        assert_eq!(index, self.image.index, "nothing was written meanwhile");
        // The new file begins with every entry that the new snapshot does not hold.
        let store = self.node.store();
        let skip = (index - store.snapshot.0) as usize;
        let payload = codec::encode_write(Some(&hard_state), &store.entries()[skip..]);
        let file = self.file + 1;
        let data = log::frame(&payload, file, 0, &self.budget);
        pending.writing = Some(Writing { end: data.len() as u64, snapshot: Some((index, term)) });
        let path = log::log_path(file);
        let mut ops = log::create(file);
        ops.push(Op::Write { path: path.clone(), pos: 0, data });
        ops.push(Op::Sync { path });
        ops.extend(log::replace_snapshot(&bytes, &self.budget));
        ops.push(Op::Unlink { path: log::log_path(self.file) });
        Some(Persist { ops, ticket: Ticket { number } })
    }

    /// The writes of this ticket have completed. Returns the new image, if there is one.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn persisted(&mut self, ticket: Ticket) -> Option<Arc<Image>> {
        let Ticket { number } = ticket;
        let pending = self.pending.take().expect("a ticket stands for what is pending");
        assert_eq!(pending.number, number, "tickets are not made up");
        let writing = pending.writing.expect("a ticket is given for a write");
        self.end = writing.end;
        if let Some((index, term)) = writing.snapshot {
            self.file += 1;
            self.replace_log = false;
            self.node.mut_store().compact(index, term);
        }
        let before = self.image.index;
        self.node.on_persist_ready(number);
        self.take_ready();
        (self.image.index > before).then(|| self.image())
    }

    /// Takes what Raft has ready: lets committed entries take effect, and keeps new ones to be
    /// written.
    fn take_ready(&mut self) {
        while self.pending.is_none() && self.node.has_ready() {
            let mut ready = self.node.ready();
            debug_assert!(ready.messages().is_empty(), "there is nobody to send to");
            let committed = ready.take_committed_entries();
            let entries = ready.take_entries();
            let (number, must_write) = (ready.number(), ready.must_sync());
            if let Some(hard_state) = ready.hs() {
                self.node.mut_store().hard_state = hard_state.clone();
            }
            self.node.mut_store().append(&entries);
            self.node.advance_append_async(ready);
            self.apply(&committed);
            if must_write {
                self.pending = Some(Pending { number, entries, writing: None });
            } else {
                // At most the commit index moved. It follows from the log, and goes out with the
                // next write.
                self.node.on_persist_ready(number);
            }
        }
    }

    fn apply(&mut self, committed: &[Entry]) {
        let Some(last) = committed.last() else { return };
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
                // Of a life before, or the entry that a leader begins with.
                apply(Arc::make_mut(&mut self.image), entry);
            }
        }
        self.node.advance_apply_to(last.index);
    }
}

/// What an entry makes of an image.
fn apply(image: &mut Image, entry: &Entry) {
    if !entry.data.is_empty() {
        // What cannot be read was refused by `load`; what was proposed can be read.
        let records = codec::decode_batch(&entry.data).expect("a batch that was checked");
        records.iter().for_each(|it| image.apply(it));
    }
    image.index = entry.index;
}
