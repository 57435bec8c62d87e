//! The running broker: one thread per core, each with a loop over an io_uring of its own, partitions,
//! connections and files. The only part that waits. The runtime, glommio, starts the threads and runs
//! what is beside the loop: the HTTP port and signals (`runtime`).
//!
//! `state` is the loop and what it holds, `clients` what it does with connections: `listener` accepts
//! them, `connection` is one of them, over a `transport` on a `socket`. `router` has the channels
//! between shards, and `bell` wakes the one that sleeps. `pace` and `writes` say when a shard sleeps;
//! `pulse` watches that none stands still.

mod bell;
mod bind;
mod clients;
mod connection;
mod errno;
mod figures;
mod interrupt;
mod join;
mod limits;
mod listener;
mod memory;
mod pace;
mod peer_socket;
mod peers;
mod pulse;
mod rounds;
pub mod router;
mod runtime;
mod scheduling;
mod socket;
mod start;
mod state;
mod transport;
mod view;
mod writes;

use crate::broker::{Admission, Bounds, Broker, Clock, Close, Drain, HandOver, Logs, Parts};
use crate::config::BrokerSettings;
use crate::storage::device::disk::Disk;
use crate::storage::device::uring::Ring;
use crate::storage::engine::Engine;
use crate::storage::recovery::mark_clean;
use crate::types::exit;
pub use bind::listen_alone;
pub use figures::ProcessFigures;
use futures_lite::FutureExt;
use glommio::Placement;
use router::Ends;
use start::Opened;
use state::{Common, Shard, end_process, fatal};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
pub use view::View;

/// Why the broker does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeError {
    /// Exit code of the process, of `sysexits.h`.
    pub exit_code: i32,
    /// One line.
    pub message: String,
}

impl ServeError {
    fn new(exit_code: i32, message: impl Into<String>) -> Self {
        Self { exit_code, message: message.into() }
    }
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ServeError {}

/// What one shard's thread begins with.
struct Seed {
    id: usize,
    common: Arc<Common>,
    image: Arc<crate::controller::Image>,
    /// With all that the metadata log has.
    whole: Arc<crate::controller::Image>,
    engine: Engine,
    controller: Option<crate::controller::Controller>,
    socket: TcpListener,
    ends: Ends,
    descriptors: usize,
    request_bytes: usize,
    strict: bool,
    slow_ns: u64,
    admission: Admission,
    connections_max: usize,
    node: Arc<crate::broker::Node>,
    /// On shard 0: where other brokers connect to.
    peer_socket: Option<TcpListener>,
    beside: Option<Beside>,
}

type Beside = Box<dyn FnOnce(View) + Send>;

/// Keeps the signals that end the broker for whoever waits for them. To be called before there is any
/// other thread: all inherit it, and one that does not would be ended by them, and the process with it.
pub fn block_signals() -> Result<(), ServeError> {
    glommio::signal::block(&[libc::SIGTERM, libc::SIGINT])
        .map_err(|e| ServeError::new(exit::SYSTEM, format!("cannot handle signals: {e}")))
}

/// Serves until SIGTERM or SIGINT, then writes everything back. A second signal ends the process at
/// once. The caller has made the data directory, holds its lock, and has checked that direct I/O
/// works there. `beside` is started on shard 0's reactor when the broker serves.
#[expect(clippy::needless_pass_by_value, reason = "this is where the settings end up")]
pub fn run(
    settings: BrokerSettings,
    beside: impl FnOnce(View) + Send + 'static,
) -> Result<(), ServeError> {
    let begun = std::time::Instant::now();
    block_signals()?;
    let opened = start::open(&settings, begun)?;
    let Opened { common, image, whole, controller, engines, sockets, identity, .. } = opened;
    let _claim = opened.claim;
    let mut controller = Some(controller);
    let mut peer_socket = opened.peer_socket;
    let mut beside: Option<Beside> = Some(Box::new(beside));
    let mut threads = Vec::new();
    crate::memory::give_back();
    let admission = Admission::default();
    let ends = router::mesh(settings.shards)
        .map_err(|e| ServeError::new(exit::SYSTEM, format!("cannot connect the shards: {e}")))?;
    let seeds = engines.into_iter().zip(sockets).zip(ends).enumerate();
    for (id, ((engine, socket), ends)) in seeds {
        let seed = Seed {
            id,
            common: common.clone(),
            image: image.clone(),
            whole: whole.clone(),
            engine,
            controller: controller.take(),
            socket,
            ends,
            descriptors: opened.descriptors,
            request_bytes: opened.request_bytes,
            strict: settings.strict_validation,
            slow_ns: settings.slow_request_ms.map_or(u64::MAX, |ms| ms.saturating_mul(1_000_000)),
            admission: admission.clone(),
            connections_max: opened.connections_max,
            node: opened.node.clone(),
            peer_socket: peer_socket.take(),
            beside: beside.take(),
        };
        let place = settings.cpus.get(id).map_or(Placement::Unbound, |cpu| Placement::Fixed(*cpu));
        let run = move || {
            scheduling::run_soon();
            let executor = runtime::executor(place, &format!("klamm-{id}")).map_err(|e| {
                ServeError::new(exit::SYSTEM, format!("cannot start shard {id}: {e}"))
            })?;
            executor.run(serve(seed));
            Ok(())
        };
        let thread = std::thread::Builder::new()
            .name(format!("klamm-{id}"))
            .spawn(run)
            .map_err(|e| ServeError::new(exit::SYSTEM, format!("cannot start shard {id}: {e}")))?;
        threads.push(thread);
    }
    pulse::watch(common.pulses.clone())
        .map_err(|e| ServeError::new(exit::SYSTEM, format!("cannot watch the shards: {e}")))?;
    for (id, thread) in threads.into_iter().enumerate() {
        thread
            .join()
            .map_err(|_| ServeError::new(exit::BUG, format!("shard {id} ended in a panic")))??;
    }
    let files_left = common.files_left.load(Ordering::Relaxed);
    mark_clean(&Disk::Real(common.disk.clone()), &identity, files_left)
        .map_err(|e| ServeError::new(exit::IO, e.to_string()))?;
    tracing::info!("everything is written back");
    Ok(())
}

/// The shard's partitions; what cannot be restored is damage.
fn open_logs(
    engine: Engine,
    image: &crate::controller::Image,
    (id, shards): (usize, usize),
    incarnation: u64,
) -> Result<Logs, ServeError> {
    Logs::open(engine, image, (id, shards), incarnation)
        .map_err(|e| ServeError::new(exit::DAMAGED, format!("the data is damaged: {e}")))
}

/// One shard's thread, from its first task to its last.
async fn serve(seed: Seed) {
    let Seed { id, common, image, engine, controller, socket, .. } = seed;
    let logs = open_logs(engine, &seed.whole, (id, common.shards), seed.node.incarnation)
        .unwrap_or_else(|e| end_process(e.exit_code, &e.message));
    let budget = common.disk.budget().on_shard(id);
    let ring = Ring::new(common.disk.root(), seed.descriptors, budget.clone())
        .unwrap_or_else(|e| fatal(&format!("cannot make the ring of shard {id}: {e}")));
    let parts = Parts {
        id,
        shards: common.shards,
        strict: seed.strict,
        data: common.disk.root().display().to_string(),
        image,
        logs,
        budget,
        controller,
        seed: uuid::Uuid::new_v4().as_u64_pair().0,
        clock: Clock::Processor(quanta::Clock::new()),
        admission: seed.admission,
        bounds: Bounds { request_bytes: seed.request_bytes, connections: seed.connections_max },
        slow_ns: seed.slow_ns,
        node: seed.node,
    };
    let broker = Broker::new(parts, common.now());
    crate::memory::give_back();
    let shard = Shard::new(id, common, broker, ring, seed.ends);
    shard.common.pulses[id].begin(shard.event());
    shard.listen_when_let_in(socket);
    if let Some(socket) = seed.peer_socket {
        shard.listen_for_peers(socket);
    }
    Shard::spawn_vital("the shard", shard.clone().run());
    if id == 0
        && let Some(beside) = seed.beside
    {
        beside(View::new(shard.clone()));
    }
    if id == 0 {
        wait_for_the_end(&shard).await;
    }
    shard.ended().await;
    shard.common.pulses[id].end();
}

/// On shard 0: waits for a signal, then takes all shards down, each step after all have done the one
/// before.
async fn wait_for_the_end(shard: &Rc<Shard>) {
    let signals = match glommio::signal::Signals::new(&[libc::SIGTERM, libc::SIGINT]) {
        Ok(signals) => signals,
        Err(e) => fatal(&format!("cannot wait for signals: {e}")),
    };
    let received = signals.recv().await;
    tracing::info!(signal = received.unwrap_or(0), "finishing what is under way");
    let down = async {
        shard.call(0, HandOver).await;
        let all = 0..shard.common.shards;
        let calls: Vec<_> = all.clone().map(|it| shard.call(it, Drain)).collect();
        for call in calls {
            call.await;
        }
        let calls: Vec<_> = all.map(|it| shard.call(it, Close)).collect();
        for call in calls {
            call.await;
        }
    };
    let again = async {
        let again = signals.recv().await;
        tracing::warn!("a second signal: ending at once; the next start replays the journal");
        std::process::exit(128 + again.unwrap_or(libc::SIGTERM));
    };
    down.or(again).await;
}
