//! Reading the metadata log, or beginning one. Blocks: nothing is served yet.

use super::broker::Registration;
use super::codec::{self, CodecError, SnapshotState};
use super::features;
use super::image::Image;
use super::log;
use super::members::{Members, raft_id};
use super::quorum::{Place, Quorum};
use super::store::Store;
use crate::storage::buffer::{Budget, align_up};
use crate::storage::device::disk::Disk;
use crate::storage::device::io::{Entry as DirEntry, Op};
use crate::types::rng::Rng;
use bytes::Bytes;
use futures_lite::future::block_on;
use raft::eraftpb::HardState;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// The usual [`OpenOptions::log_bytes_max`].
pub const LOG_BYTES_MAX: u64 = 8 << 20;

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
    /// Host that other brokers connect to.
    pub peer_host: String,
    /// Port that other brokers connect to; 0 for a broker without others.
    pub peer_port: u16,
    /// This node's rack, if it has one.
    pub rack: Option<String>,
    /// A number that this start of the process has drawn.
    pub incarnation: u64,
    /// The id of the data directory; 0 where it is not known.
    pub directory: u128,
    /// Broker settings from the configuration file. `node.id`, `broker.id` and
    /// `advertised.listeners` are added to them.
    pub fixed: Arc<BTreeMap<String, String>>,
    /// How many shards report that they dropped a topic.
    pub shards: usize,
    /// Nodes that vote when the cluster begins, by node id; none is this node alone. A directory that is
    /// there already knows better.
    pub voters: BTreeSet<i32>,
    /// The cluster runs, and this node begins with nothing: it waits until whoever leads takes it in. A directory that is
    /// there already knows better.
    pub joins: bool,
    /// A log file that is longer than this is replaced by a snapshot, bytes.
    pub log_bytes_max: u64,
    /// What random choices come from: when this node stands for election.
    pub seed: u64,
}

impl OpenOptions {
    /// What this node says of itself when it registers.
    pub fn registration(&self) -> Registration {
        Registration {
            id: self.node_id,
            incarnation: self.incarnation,
            directory: self.directory,
            host: self.host.clone(),
            port: self.port,
            peer_host: self.peer_host.clone(),
            peer_port: self.peer_port,
            rack: self.rack.clone(),
            shards: self.shards.try_into().unwrap_or(u16::MAX),
            features: features::supported(),
        }
    }

    /// Who votes when the cluster begins; nobody, where others know.
    fn members(&self) -> Members {
        if self.joins {
            return Members::default();
        }
        let alone = BTreeSet::from([self.node_id]);
        let voters = if self.voters.is_empty() { alone } else { self.voters.clone() };
        Members { voters, learners: BTreeSet::new() }
    }

    /// What `DescribeConfigs` shows besides what was set.
    pub(super) fn with_derived_settings(&self) -> Self {
        let mut fixed = (*self.fixed).clone();
        let node_id = self.node_id.to_string();
        let advertised = format!("PLAINTEXT://{}:{}", self.host, self.port);
        fixed.insert("node.id".to_owned(), node_id.clone());
        fixed.insert("broker.id".to_owned(), node_id);
        fixed.insert("advertised.listeners".to_owned(), advertised);
        Self { fixed: Arc::new(fixed), ..self.clone() }
    }
}

pub(super) fn run(disk: &Disk, op: Op) -> Result<Bytes, MetaError> {
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

/// Reads what is on disk, and writes the first snapshot where there is nothing.
pub(super) fn load(disk: &Disk, options: &OpenOptions) -> Result<(Quorum, Image), MetaError> {
    let node = raft_id(options.node_id);
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
        begin(disk, options)?
    };
    if *image.cluster_id != *options.cluster_id {
        return Err(MetaError::OtherCluster {
            found: image.cluster_id.to_string(),
            wanted: options.cluster_id.clone(),
        });
    }
    // Before there were several, the only voter was the node.
    let ours = if state.node == 0 { state.members.voters == [node] } else { state.node == node };
    if !ours {
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
    let mut store = Store::new(state.hard_state, state.members, (image.index, state.term));
    for payload in scan.writes {
        let (hard_state, entries) = codec::decode_write(payload).map_err(unreadable(&path))?;
        // A later leader's entries replace those that an earlier one had not got through.
        let next = entries.first().map_or(store.last() + 1, |it| it.index);
        let in_order = entries.iter().zip(next..).all(|(entry, index)| entry.index == index);
        if !in_order || next <= image.index || next > store.last() + 1 {
            let missing = store.last() + 1;
            return Err(MetaError::Damaged(format!("{path}: entry {missing} is missing")));
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
    let place = Place { file: state.log, end: scan.end, bytes_max: options.log_bytes_max };
    let rng = Rng::new(options.seed ^ node);
    let quorum = Quorum::new(node, store, place, rng)
        .map_err(|error| MetaError::Damaged(format!("{path}: {error}")))?;
    Ok((quorum, image))
}

/// Writes the snapshot of a cluster in which nothing happened yet.
fn begin(disk: &Disk, options: &OpenOptions) -> Result<(Image, SnapshotState), MetaError> {
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
    let state = SnapshotState {
        term: 0,
        hard_state: HardState::default(),
        members: options.members().state(),
        log: 0,
        node: raft_id(options.node_id),
    };
    // A directory that is there may be one whose sync failed, and then no later sync makes it
    // durable: a new one is made.
    for file in files {
        run(disk, Op::Unlink { path: format!("{}/{}", log::DIR, file.name).into() })?;
    }
    run(disk, Op::RemoveDir { path: log::DIR.into() })?;
    run(disk, Op::MakeDir { path: log::DIR.into() })?;
    run(disk, Op::SyncDir { path: "".into() })?;
    write_snapshot(disk, &image, &state)?;
    Ok((image, state))
}

/// Writes a snapshot in the place of the one that may be there, and begins the log file that it names.
pub(super) fn write_snapshot(
    disk: &Disk,
    image: &Image,
    state: &SnapshotState,
) -> Result<(), MetaError> {
    let budget: Arc<Budget> = Budget::new(usize::MAX);
    let snapshot = block_on(codec::encode_snapshot(image, state, &async || {}));
    for op in log::create(state.log).into_iter().chain(log::replace_snapshot(&snapshot, &budget)) {
        run(disk, op)?;
    }
    Ok(())
}

/// Removes what a power cut left of a replacement.
pub(super) fn remove_leftovers(disk: &Disk, file: u64) -> Result<(), MetaError> {
    for entry in list(disk)? {
        let path = format!("{}/{}", log::DIR, entry.name);
        let stale = log::log_number(&entry.name).is_some_and(|number| number != file);
        if stale || path == log::SNAPSHOT_TMP {
            run(disk, Op::Unlink { path: path.into() })?;
        }
    }
    Ok(())
}
