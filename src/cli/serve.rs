//! `klamm serve`.

use super::CliError;
use crate::config::{self, BrokerSettings, File, LogFormat, Machine, Sources, show_size};
use crate::storage::buffer::Budget;
use crate::storage::device::disk::{DirLock, RealDisk};
use crate::types::exit;
use crate::{http, memory, shard};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::{SocketAddr, TcpListener};
use tracing_appender::non_blocking::{ErrorCounter, WorkerGuard};
use tracing_subscriber::EnvFilter;

const EXAMPLES: &str = "\
Settings come from flags, then KLAMM_… variables (KLAMM_DATA, KLAMM_LISTEN, …), then the file of
--config, then defaults.

Examples:
  klamm serve                                            on 127.0.0.1:9092, data in ./klamm-data
  klamm serve --data /srv/klamm --listen 0.0.0.0:9092 --advertise kafka.example.org:9092
  klamm serve --shards 4 --memory 8GiB --override num.partitions=4
  klamm serve --config klamm.toml
  klamm serve --node-id 2 --listen 127.0.0.1:9093 --join 127.0.0.1:9292 --data ./klamm-data-2
                                                         a second broker beside the first

A file:
  data = \"/srv/klamm\"
  memory = \"8GiB\"
  [broker]                                               # Kafka's names
  num.partitions = 4
  log.retention.hours = 24";

/// Flags of `klamm serve`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    #[command(flatten)]
    flags: config::Flags,
}

/// Serves until a signal has drained the broker.
pub fn run(serve: &Serve) -> Result<(), CliError> {
    let (settings, warnings) = settings(&serve.flags)?;
    self::serve(settings, warnings)
}

/// Serves with these settings until a signal has drained the broker; `warnings` go to the log first.
pub fn serve(settings: BrokerSettings, warnings: Vec<String>) -> Result<(), CliError> {
    // The log has a thread.
    shard::block_signals().map_err(|e| CliError::Exit(e.exit_code, e.message))?;
    let (_log, lines) = start_log(&settings);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let _lock = open_data_directory(&settings)?;
    tracing::info!(
        listen = %settings.listen,
        advertise = format!("{}:{}", settings.advertise.0, settings.advertise.1),
        data = %settings.data.display(),
        shards = settings.shards,
        memory = show_size(settings.memory),
        "klamm {} starts",
        env!("CARGO_PKG_VERSION"),
    );
    let http_socket = settings.admin_listen.map(listen_for_http).transpose()?;
    memory::keep();
    memory::small_pages();
    let beside = move |view| {
        if let Some(socket) = http_socket {
            http::start(socket, view, Box::new(move || lines.dropped_lines() as u64));
        }
    };
    shard::run(settings, beside).map_err(|e| CliError::Exit(e.exit_code, e.message))
}

fn listen_for_http(address: SocketAddr) -> Result<TcpListener, CliError> {
    let socket = shard::listen_alone(address).and_then(|socket| {
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    let socket = socket.map_err(|e| {
        CliError::Exit(exit::SYSTEM, format!("cannot listen on {address} for administration: {e}"))
    })?;
    let shown = socket.local_addr().unwrap_or(address);
    tracing::info!("/health, /ready and /metrics are on http://{shown}");
    Ok(socket)
}

fn settings(flags: &config::Flags) -> Result<(BrokerSettings, Vec<String>), CliError> {
    // Variables that are not UTF-8 cannot be any of ours.
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let path = config::config_file(flags, &env);
    let name = path.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
    let text = path
        .map(|p| std::fs::read_to_string(&p))
        .transpose()
        .map_err(|e| CliError::Exit(exit::CONFIG, format!("configuration file {name}: {e}")))?;
    let file = text.as_deref().map(|text| File { name: &name, text });
    let machine = Machine::detect();
    config::resolve(&Sources { flags, env: &env, file, machine: &machine })
        .map_err(|e| CliError::Exit(e.exit_code, e.message))
}

/// Lines that may wait for whoever reads stderr.
const LINES_MAX: usize = 10_000;

/// Starts the log. Lines are written by a thread of their own, so that none waits for whoever reads
/// stderr; where that one stalls, lines are dropped and counted. Those that wait are written when what
/// this returns is dropped.
fn start_log(settings: &BrokerSettings) -> (WorkerGuard, ErrorCounter) {
    let (writer, guard) = tracing_appender::non_blocking::NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_MAX)
        .lossy(true)
        .thread_name("klamm-log")
        .finish(std::io::stderr());
    let dropped = writer.error_counter();
    let filter = EnvFilter::new(&settings.log_filter);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(writer);
    // Fails only where a log was started before, as in a test: then that one stays.
    let _ = match settings.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    (guard, dropped)
}

/// Makes sure that the data directory can hold what is promised, and that it is ours alone: nothing
/// in it is read or changed before it is locked. Whose data it holds, and in which version, is
/// [`shard::run`]'s to check.
fn open_data_directory(settings: &BrokerSettings) -> Result<DirLock, CliError> {
    let name = settings.data.display();
    let fail_with = |e: std::io::Error, otherwise: i32| {
        let code = match e.kind() {
            std::io::ErrorKind::PermissionDenied
            | std::io::ErrorKind::ReadOnlyFilesystem
            | std::io::ErrorKind::AlreadyExists
            | std::io::ErrorKind::NotADirectory => exit::CONFIG,
            _ => otherwise,
        };
        CliError::Exit(code, format!("data directory {name}: {e}; name another with --data DIR"))
    };
    let fail = |e| fail_with(e, exit::IO);
    let disk = RealDisk::new(&settings.data, Budget::new(0))
        .map_err(|e| fail_with(e, exit::CANNOT_CREATE))?;
    let lock = disk.lock().map_err(fail)?.ok_or_else(|| {
        let message = format!(
            "data directory {name} is in use by another process; stop it, or name another \
             directory with --data DIR"
        );
        CliError::Exit(exit::CONFIG, message)
    })?;
    if !disk.direct_io_works().map_err(fail)? {
        let message = format!(
            "data directory {name}: its file system has no direct I/O (O_DIRECT); use ext4 or XFS, \
             in a container a volume"
        );
        return Err(CliError::Exit(exit::CONFIG, message));
    }
    if let Some(caveat) = disk.file_system().map_err(fail)?.caveat() {
        tracing::warn!("data directory {name}: {caveat}");
    }
    Ok(lock)
}
