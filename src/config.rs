//! Settings of a broker: flags beat `KLAMM_…` environment beats the TOML file beats defaults.
//!
//! [`resolve`] is pure: what it reads comes in as [`Sources`], so that every rule is a unit test.
//! Each value is checked where it came from, and an error names that place: a flag is wrong usage
//! (exit 2), anything else wrong configuration (exit 78).

mod check;
mod cluster;
pub mod machine;
mod sources;
mod values;

pub use machine::Machine;
pub use values::{host_port, show_size, size};

use check::check;
use sources::{from_env, from_file, from_flags};

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Kafka's port, and the default of `--listen`.
pub const DEFAULT_PORT: u16 = 9092;
/// The port that brokers connect to each other on, where `--voters` or `--join` name none.
pub const DEFAULT_PEER_PORT: u16 = 9292;
/// Where no port for brokers is given, it is so many above the one for clients: 9292 beside 9092. So brokers on one
/// machine need to be told one port each.
pub const PEER_PORT_OFFSET: u16 = DEFAULT_PEER_PORT - DEFAULT_PORT;
/// The default of `--data`, below the working directory.
pub const DEFAULT_DATA: &str = "./klamm-data";
/// Without `--memory` the budget is this fraction (1 / n) of the smaller of cgroup limit and RAM;
/// the rest is for the kernel, the program itself and whoever else lives there.
pub const MEMORY_FRACTION: u64 = 2;
/// The least memory a shard works with, in bytes.
pub const MEMORY_MIN_PER_SHARD: u64 = 32 << 20;
/// The least journal of one shard, in bytes.
pub const JOURNAL_MIN_PER_SHARD: u64 = 8 << 20;
/// Shards are numbered in 16 bits on disk; more than this is a typing error.
pub const SHARDS_MAX: usize = 1024;

/// What a broker runs with. Every value is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerSettings {
    /// Data directory. It may not exist yet.
    pub data: PathBuf,
    /// Where to listen for Kafka clients; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Host and port that clients are told to connect to; port 0: the one that is listened on.
    pub advertise: (String, u16),
    /// Number of shards, at least 1.
    pub shards: usize,
    /// The CPU of each shard, `shards` entries; a CPU repeats only where there are more shards than
    /// CPUs.
    pub cpus: Vec<usize>,
    /// Memory budget of the whole process, in bytes.
    pub memory: u64,
    /// Where to serve HTTP for administration, if at all.
    pub admin_listen: Option<SocketAddr>,
    /// Node id, at least 0.
    pub node_id: i32,
    /// Nodes of the cluster that vote when it begins, with host and port for brokers; empty: this node alone, or that of
    /// a cluster that it joins.
    pub voters: BTreeMap<i32, (String, u16)>,
    /// Brokers of a running cluster, any of which a node with an empty directory asks; empty: it joins none.
    pub join: Vec<(String, u16)>,
    /// Where to listen for other brokers, if at all.
    pub peer_listen: Option<PeerListen>,
    /// The secret of the cluster's brokers.
    pub peer_secret_file: Option<PathBuf>,
    /// The cluster that the data directory must belong to; `None` takes what it says, or a new one.
    pub cluster_id: Option<String>,
    /// Broker properties by Kafka's names, such as `num.partitions`; checked.
    pub broker: BTreeMap<String, String>,
    /// Bytes of journal of all shards together; `None` derives it from the disk.
    pub journal_bytes: Option<u64>,
    /// Walk compressed batches record by record, as Kafka does.
    pub strict_validation: bool,
    /// Produce requests that take this long are logged, ms; none where this is.
    pub slow_request_ms: Option<u64>,
    /// Lock the memory budget at start.
    pub lock_memory: bool,
    /// How to write log lines.
    pub log_format: LogFormat,
    /// What to log, in `tracing`'s filter syntax.
    pub log_filter: String,
}

/// Where a broker listens for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerListen {
    /// Address and port; port 0 takes a free one.
    pub at: SocketAddr,
    /// Host and port that they are told; port 0: the one that is listened on.
    pub advertise: (String, u16),
    /// Nobody has asked for it: a node that is alone goes without where the address is taken.
    pub is_default: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl BrokerSettings {
    /// Where a node listens for other brokers that belongs to a cluster with others, where that is another address than
    /// that of one that is alone.
    pub fn peer_listen_of_member(&self) -> Option<PeerListen> {
        let alone = self.peer_listen.as_ref().filter(|it| it.is_default)?;
        let at = SocketAddr::new(self.listen.ip(), alone.at.port());
        let unspecified = at.ip().is_unspecified();
        let host = if unspecified { self.advertise.0.clone() } else { at.ip().to_string() };
        let advertise = (host, at.port());
        (at != alone.at).then_some(PeerListen { at, advertise, is_default: true })
    }
}

/// A setting that cannot be used; one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// 2 for a flag, 78 (`EX_CONFIG`) for the environment, the file or the machine.
    pub exit_code: i32,
    /// The message.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// Flags of `klamm serve`, as written: [`resolve`] reads them.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Flags {
    /// Data directory; created if it does not exist [default: ./klamm-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Address for Kafka clients [default: 127.0.0.1:9092]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// What clients are told to connect to [default: the address of --listen]
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Number of shards, one thread each [default: the cores that affinity and cgroup quota grant]
    #[arg(long, value_name = "N")]
    pub shards: Option<String>,
    /// Memory budget, such as 512MiB or 4G [default: half of the smaller of cgroup limit and RAM]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Address for metrics and administration over HTTP [default: none]
    #[arg(long, value_name = "ADDR:PORT")]
    pub admin_listen: Option<String>,
    /// TOML file with the same settings, and Kafka's broker properties in a table of their own.
    #[arg(
        long,
        value_name = "FILE",
        help = "TOML file with the same settings, and Kafka's broker properties under [broker]"
    )]
    pub config: Option<String>,
    /// Size of the journal of all shards [default: 1 GiB a shard, at most 5 % of the disk]
    #[arg(long, value_name = "SIZE")]
    pub journal: Option<String>,
    /// Node id [default: 1]
    #[arg(long, value_name = "ID")]
    pub node_id: Option<String>,
    /// Nodes that form the cluster, this one among them, with where brokers connect to:
    /// 1@host:9292,2@host:9292,3@host:9292 [default: this node alone]
    #[arg(long, value_name = "ID@HOST:PORT,…")]
    pub voters: Option<String>,
    /// Brokers of a running cluster, any of which takes this one in: host:9292,… A directory that
    /// belongs to the cluster already needs none
    #[arg(long, value_name = "HOST:PORT,…")]
    pub join: Option<String>,
    /// Address for other brokers, or none [default: that of this node in --voters; else the port of
    /// --listen + 200, on loopback only unless --join or a secret is given]
    #[arg(long, value_name = "ADDR:PORT")]
    pub peer_listen: Option<String>,
    /// What other brokers are told to connect to [default: the address of --peer-listen]
    #[arg(long, value_name = "HOST:PORT")]
    pub peer_advertise: Option<String>,
    /// File with a secret of at least 16 bytes that all brokers of the cluster know: others are refused
    #[arg(long, value_name = "FILE")]
    pub peer_secret_file: Option<String>,
    /// Rack, zone or room of this node: replicas are spread over them
    #[arg(long, value_name = "NAME")]
    pub rack: Option<String>,
    /// Cluster id that the data directory must have [default: its own, or a new one]
    #[arg(long, value_name = "ID")]
    pub cluster_id: Option<String>,
    /// Check compressed batches record by record, as Kafka does; costs a decompression each
    #[arg(long)]
    pub strict: bool,
    /// Lock the memory budget at start, so that no page is touched for the first time under load
    #[arg(long)]
    pub lock_memory: bool,
    /// Log produce requests that take this long, ms, with where the time went; 0 never [default: 1000]
    #[arg(long, value_name = "MS")]
    pub slow_request_ms: Option<String>,
    /// Set a Kafka broker property, such as num.partitions=4; can be repeated
    #[arg(long = "override", value_name = "PROPERTY=VALUE")]
    pub overrides: Vec<String>,
    /// Log lines as text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What to log, such as debug or klamm::storage=trace; RUST_LOG is read as well [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

/// A TOML file that was read.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its name, for errors.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Everything that settings are made from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The flags.
    pub flags: &'a Flags,
    /// The environment; only `KLAMM_…` and `RUST_LOG` are read.
    pub env: &'a BTreeMap<String, String>,
    /// The file of `--config` or `KLAMM_CONFIG`, see [`config_file`].
    pub file: Option<File<'a>>,
    /// What the machine grants.
    pub machine: &'a Machine,
}

/// The file to read before [`resolve`], if one is named.
pub fn config_file(flags: &Flags, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    flags.config.as_ref().or_else(|| env.get("KLAMM_CONFIG")).map(PathBuf::from)
}

/// Makes settings, and warnings of one line each, from everything that may name them.
pub fn resolve(sources: &Sources<'_>) -> Result<(BrokerSettings, Vec<String>), ConfigError> {
    let mut warnings = Vec::new();
    let mut broker = BTreeMap::new();
    let mut values = BTreeMap::new();
    if let Some(file) = sources.file {
        from_file(file, &mut values, &mut broker)?;
    }
    from_env(sources.env, &mut values, &mut warnings);
    from_flags(sources.flags, &mut values, &mut broker)?;
    let settings = check(&values, broker, sources.machine, &mut warnings)?;
    Ok((settings, warnings))
}

#[cfg(test)]
mod tests;
