//! From settings to shards that can run: everything that may block, and may refuse.

use super::bind::{self, Claim};
use super::pulse::Pulse;
use super::state::{Common, Counters};
use super::{ServeError, join, limits, memory};
use crate::broker::{self, Address, Node, WINDOW};
use crate::config::{BrokerSettings, PeerListen};
use crate::controller::{Controller, Image, LOG_BYTES_MAX, MetaError, OpenOptions as MetaOptions};
use crate::replica;
use crate::storage::device::disk::{Disk, RealDisk};
use crate::storage::engine::Engine;
use crate::storage::recovery::identity::{Expected, Identity};
use crate::storage::recovery::{
    self, Damaged, LastLife, OpenError, OpenOptions, StateError, TopicState,
};
use crate::storage::space;
use crate::types::{TopicPartition, exit};
use crate::wire::peer::Secret;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

/// Everything that shards are made of.
pub struct Opened {
    /// What all of them know.
    pub common: Arc<Common>,
    /// The metadata.
    pub image: Arc<Image>,
    /// The same with every topic that the log names: see [`Controller::with_every_topic`].
    pub whole: Arc<Image>,
    /// The controller.
    pub controller: Controller,
    /// Each shard's storage.
    pub engines: Vec<Engine>,
    /// Each shard's socket.
    pub sockets: Vec<TcpListener>,
    /// Keeps other brokers from there until the process ends.
    pub claim: Claim,
    /// Files that each shard may hold open.
    pub descriptors: usize,
    /// Connections that there are descriptors for.
    pub connections_max: usize,
    /// Bytes of requests that each shard may hold.
    pub request_bytes: usize,
    /// For the mark of a clean end.
    pub identity: Identity,
    /// This broker in its cluster.
    pub node: Arc<Node>,
    /// Where other brokers connect to; it listens.
    pub peer_socket: Option<TcpListener>,
}

fn refused(e: &OpenError) -> ServeError {
    let code = match e {
        OpenError::Io { .. } => exit::IO,
        OpenError::Damaged(_) => exit::DAMAGED,
        OpenError::Refused(_) => exit::CONFIG,
    };
    let elsewhere = match e {
        OpenError::Damaged(_) => {
            "; where other brokers have all of its partitions, move this directory away and start with an empty one"
        }
        _ => "",
    };
    ServeError::new(code, format!("{e}{elsewhere}"))
}

fn meta_refused(e: &MetaError) -> ServeError {
    let code = match e {
        MetaError::Io { .. } => exit::IO,
        MetaError::Damaged(_) => exit::DAMAGED,
        MetaError::Unreadable { .. } | MetaError::OtherCluster { .. } | MetaError::OtherNode(_) => {
            exit::CONFIG
        }
    };
    ServeError::new(code, e.to_string())
}

/// Opens everything.
pub fn open(settings: &BrokerSettings, begun: Instant) -> Result<Opened, ServeError> {
    let shards = settings.shards;
    limits::check_io_uring()?;
    let files = limits::raise(shards)?;
    let budget = memory::reserve(settings);
    let disk = RealDisk::new(&settings.data, budget).map_err(|e| {
        ServeError::new(
            exit::CANNOT_CREATE,
            format!("data directory {}: {e}", settings.data.display()),
        )
    })?;
    if let Ok((free, total)) = disk.space()
        && space::reserve_goes_for_start(free, total)
    {
        disk.set_reserve(space::RESERVE, 0);
    }
    let real = Disk::Real(disk.clone());
    let mut random = [0; 32];
    random[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    random[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    let secret = settings.peer_secret_file.as_deref().map(read_secret).transpose()?;
    let found = Identity::read(&real).map_err(|e| refused(&e))?;
    let joined = join::ask(settings, secret.as_ref(), found.as_ref())?;
    let joins = found.is_none() && joined.cluster_id.is_some();
    let cluster_id = settings.cluster_id.clone().or(joined.cluster_id);
    let expected = Expected { cluster_id, node_id: settings.node_id, random };
    let identity = Identity::open(&real, &expected).map_err(|e| refused(&e))?;
    let cannot_listen = |e: std::io::Error| {
        ServeError::new(exit::SYSTEM, format!("cannot listen on {}: {e}", settings.listen))
    };
    let (claim, sockets) = bind::bind(settings.listen, shards).map_err(cannot_listen)?;
    // Before the metadata is opened, which writes to it: a directory that is refused stays as it is.
    let last = read_last_life(&real, &identity)?;
    let address = sockets[0].local_addr().map_err(cannot_listen)?;
    let (mut peer_socket, peer) = listen_for_peers(settings.peer_listen.as_ref())?;
    let (host, port) = settings.advertise.clone();
    let port = if port == 0 { address.port() } else { port };
    let rack = settings.broker.get("broker.rack").cloned();
    let mut node = Node {
        incarnation: uuid::Uuid::new_v4().as_u64_pair().0,
        directory: u128::from_be_bytes(identity.directory_id),
        kafka: (host.clone(), port),
        peer,
        rack: rack.clone(),
        known: if settings.voters.is_empty() { joined.known } else { settings.voters.clone() },
        secret,
        window: WINDOW,
        damaged: Vec::new(),
        throttles: Arc::default(),
    };
    let mut fixed = settings.broker.clone();
    fixed.insert("listeners".to_owned(), format!("PLAINTEXT://{address}"));
    fixed.insert("log.dirs".to_owned(), settings.data.display().to_string());
    let (peer_host, peer_port) = node.peer.clone().unwrap_or_else(|| (host.clone(), 0));
    let (controller, image) = Controller::open(
        &real,
        &MetaOptions {
            cluster_id: identity.cluster_id.clone(),
            node_id: settings.node_id,
            peer_host,
            peer_port,
            host,
            port,
            rack,
            incarnation: node.incarnation,
            directory: node.directory,
            fixed: Arc::new(fixed),
            shards,
            voters: settings.voters.keys().copied().collect(),
            joins,
            log_bytes_max: LOG_BYTES_MAX,
            seed: uuid::Uuid::new_v4().as_u64_pair().0,
        },
    )
    .map_err(|e| meta_refused(&e))?;
    if controller.is_joining() && node.known.is_empty() {
        let message = "this node has not come to know its cluster yet: say with --join where it is";
        return Err(ServeError::new(exit::CONFIG, message));
    }
    let others = controller.members().nodes().iter().any(|it| *it != settings.node_id);
    if let Some(wide) = settings.peer_listen_of_member().filter(|_| others) {
        // It was alone when nobody had to reach it from elsewhere.
        drop(peer_socket);
        (peer_socket, node.peer) = listen_for_peers(Some(&wide))?;
    }
    if peer_socket.is_none() && (others || controller.is_joining()) {
        let message = "the other brokers of the cluster need a port of this one: --peer-listen";
        return Err(ServeError::new(exit::CONFIG, message));
    }
    let whole = Arc::new(controller.with_every_topic());
    let engines;
    (engines, node.damaged) = begin_life(settings, last, &disk, &identity, (&image, &whole))?;
    let common = Arc::new(Common {
        shards,
        disk,
        counters: Counters::default(),
        pulses: (0..shards).map(|_| Pulse::default()).collect(),
        begun,
        pending: (0..shards).map(|_| AtomicU64::new(0)).collect(),
        files_left: AtomicBool::new(false),
    });
    Ok(Opened {
        common,
        image,
        whole,
        controller,
        engines,
        sockets,
        claim,
        descriptors: (files / 4 / shards as u64).clamp(16, 2048) as usize,
        // A quarter is for the shards' files, some are for everything else.
        connections_max: (files - files / 4).saturating_sub(64) as usize,
        request_bytes: (memory::of_requests(settings.memory) / shards as u64) as usize,
        identity,
        node: Arc::new(node),
        peer_socket,
    })
}

/// The socket that other brokers connect to, and what they are told to connect to. They wait until this broker serves.
fn listen_for_peers(
    wanted: Option<&PeerListen>,
) -> Result<(Option<TcpListener>, Option<Address>), ServeError> {
    let Some(PeerListen { at, advertise, is_default }) = wanted else { return Ok((None, None)) };
    let listen = || {
        let socket = bind::listen_alone(*at)?;
        socket.set_nonblocking(true)?;
        let port = socket.local_addr()?.port();
        Ok((socket, port))
    };
    match listen() {
        Ok((socket, port)) => {
            let told = if advertise.1 == 0 { port } else { advertise.1 };
            Ok((Some(socket), Some((advertise.0.clone(), told))))
        }
        Err(e) if *is_default => {
            let e: std::io::Error = e;
            tracing::warn!(
                "no other broker can join this one: cannot listen for brokers on {at}: {e}; choose with --peer-listen"
            );
            Ok((None, None))
        }
        Err(e) => {
            Err(ServeError::new(exit::SYSTEM, format!("cannot listen for brokers on {at}: {e}")))
        }
    }
}

fn read_secret(path: &Path) -> Result<Secret, ServeError> {
    let fail = |why: String| {
        ServeError::new(exit::CONFIG, format!("--peer-secret-file {}: {why}", path.display()))
    };
    let text = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
    let secret = Secret::read(&text).map_err(fail)?;
    let mode = std::fs::metadata(path).map_or(0, |it| it.permissions().mode());
    if mode & 0o077 != 0 {
        tracing::warn!(
            "--peer-secret-file {}: others may read it (mode {:o})",
            path.display(),
            mode & 0o777
        );
    }
    Ok(secret)
}

fn read_last_life(disk: &Disk, identity: &Identity) -> Result<LastLife, ServeError> {
    let fold: recovery::Fold<'_> = &|state, start, end, batches| {
        replica::fold(state, start, end, batches).map_err(|e| match e {
            replica::SnapshotError::Version(_) => StateError::Newer(e.to_string()),
            _ => StateError::Damaged(e.to_string()),
        })
    };
    LastLife::read(disk, identity, fold).map_err(|e| refused(&e))
}

fn begin_life(
    settings: &BrokerSettings,
    mut last: LastLife,
    disk: &RealDisk,
    identity: &Identity,
    (image, whole): (&Image, &Image),
) -> Result<(Vec<Engine>, Vec<TopicPartition>), ServeError> {
    last.repairable(|tp| broker::is_elsewhere(whole, tp));
    // A follower of the metadata quorum knows of less than it had applied before, until it hears from a leader.
    let (free, total) = disk.space().map_err(|e| ServeError::new(exit::IO, e.to_string()))?;
    let journal = settings
        .journal_bytes
        .unwrap_or_else(|| ((1u64 << 30) * settings.shards as u64).min(total / 20).min(free / 2));
    let options = OpenOptions::usual(settings.shards as u16, disk.budget().clone(), journal);
    let topic_state = |id| {
        if whole.topic_by_id(id).is_some() {
            TopicState::Live
        } else if image.is_deleting(id) {
            TopicState::Deleting
        } else {
            TopicState::Unknown
        }
    };
    let real = Disk::Real(disk.clone());
    let (engines, report) =
        recovery::begin(last, &real, identity, &options, &topic_state).map_err(|e| refused(&e))?;
    if !report.clean {
        tracing::info!(
            blocks = report.blocks,
            frames = report.frames,
            bytes = report.bytes,
            "the last run did not end cleanly: its journal was replayed"
        );
    }
    for orphan in &report.orphans {
        tracing::warn!("{orphan} is of a topic that the metadata does not know: moved to orphans/");
    }
    for Damaged { tp, why, .. } in &report.damaged {
        let name = whole.name_of(tp.topic);
        tracing::error!(
            topic = %name,
            partition = tp.partition,
            "the log is damaged, and will be copied from another replica: {why}"
        );
    }
    let held = report.damaged.into_iter().filter(|it| it.state_lost);
    Ok((engines, held.map(|it| it.tp).collect()))
}
