//! Settings of a broker: flags beat `KLAMM_…` environment beats the TOML file beats defaults.
//!
//! [`resolve`] is pure: what it reads comes in as [`Sources`], so that every rule is a unit test.
//! Each value is checked where it came from, and an error names that place: a flag is wrong usage
//! (exit 2), anything else wrong configuration (exit 78).

pub mod machine;

pub use machine::Machine;

use crate::types::exit;
use crate::types::topic_config::BrokerConfigs;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Kafka's port, and the default of `--listen`.
pub const DEFAULT_PORT: u16 = 9092;
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

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
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

/// Key in the file; the flag is `--key`, the variable `KLAMM_KEY` with `_` for `-`.
const KEYS: [&str; 15] = [
    "data",
    "listen",
    "advertise",
    "shards",
    "memory",
    "admin-listen",
    "journal",
    "node-id",
    "cluster-id",
    "strict",
    "slow-request-ms",
    "lock-memory",
    "log-format",
    "log",
    "broker",
];

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

/// A value as it was written, and the place where.
struct Written {
    text: String,
    place: String,
    exit_code: i32,
}

impl Written {
    fn error(&self, why: &str) -> ConfigError {
        ConfigError { exit_code: self.exit_code, message: format!("{}: {why}", self.place) }
    }
}

type Values = BTreeMap<&'static str, Written>;

fn from_file(
    file: File<'_>,
    values: &mut Values,
    broker: &mut BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    let error = |message: String| ConfigError { exit_code: exit::CONFIG, message };
    let name = file.name;
    let table: toml::Table = file.text.parse().map_err(|e: toml::de::Error| {
        let before = e.span().and_then(|span| file.text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        error(format!("{name}, line {line}: {}", e.message().replace('\n', " ")))
    })?;
    for (key, value) in table {
        let Some(known) = KEYS.iter().find(|k| **k == key) else {
            let hint = match suggest(&key, KEYS) {
                Some(near) => format!("did you mean '{near}'?"),
                None if value.is_table() || key.contains('.') => {
                    "Kafka's broker properties go under [broker]".to_owned()
                }
                None => format!("known are {}", KEYS.join(", ")),
            };
            return Err(error(format!("{name}: unknown key '{key}'; {hint}")));
        };
        if *known == "broker" {
            let toml::Value::Table(table) = value else {
                return Err(error(format!("{name}: [broker] must be a table of properties")));
            };
            flatten(name, "", table, broker)?;
            continue;
        }
        let text = scalar(&value)
            .ok_or_else(|| error(format!("{name}: '{key}' must be one value, such as \"…\"")))?;
        let place = format!("{name}: {key} = {value}");
        values.insert(known, Written { text, place, exit_code: exit::CONFIG });
    }
    Ok(())
}

/// `a.b = 1` in TOML is a table in a table; a property is its dotted path.
fn flatten(
    file: &str,
    prefix: &str,
    table: toml::Table,
    into: &mut BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    for (key, value) in table {
        let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        let text = match value {
            toml::Value::Table(inner) => {
                flatten(file, &path, inner, into)?;
                continue;
            }
            toml::Value::Array(items) => {
                items.iter().map(scalar).collect::<Option<Vec<_>>>().map(|items| items.join(","))
            }
            other => scalar(&other),
        };
        let Some(text) = text else {
            let message = format!("{file}: [broker] {path} must be text, a number or true/false");
            return Err(ConfigError { exit_code: exit::CONFIG, message });
        };
        into.insert(path, text);
    }
    Ok(())
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(s) => Some(s.clone()),
        toml::Value::Integer(i) => Some(i.to_string()),
        toml::Value::Float(f) => Some(f.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        _ => None,
    }
}

fn variable(key: &str) -> String {
    format!("KLAMM_{}", key.to_uppercase().replace('-', "_"))
}

fn from_env(env: &BTreeMap<String, String>, values: &mut Values, warnings: &mut Vec<String>) {
    if let Some(text) = env.get("RUST_LOG").filter(|t| !t.is_empty()) {
        let place = format!("RUST_LOG={text}");
        values.insert("log", Written { text: text.clone(), place, exit_code: exit::CONFIG });
    }
    let mut names = vec!["KLAMM_CONFIG".to_owned()];
    for key in KEYS.into_iter().filter(|k| *k != "broker") {
        let name = variable(key);
        if let Some(text) = env.get(&name) {
            let place = format!("{name}={text}");
            values.insert(key, Written { text: text.clone(), place, exit_code: exit::CONFIG });
        }
        names.push(name);
    }
    // Kubernetes sets KLAMM_PORT_… and KLAMM_SERVICE_… for a service named klamm, so an unknown
    // variable cannot be an error; one that is nearly a known name is worth a warning.
    for name in env.keys().filter(|n| n.starts_with("KLAMM_") && !names.contains(n)) {
        let near = names.iter().find(|n| strsim::levenshtein(n, name) <= 2);
        if let Some(near) = near {
            warnings.push(format!("{name} is not a setting and is ignored; did you mean {near}?"));
        }
    }
}

fn from_flags(
    flags: &Flags,
    values: &mut Values,
    broker: &mut BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    let strict = flags.strict.then(|| "true".to_owned());
    let lock_memory = flags.lock_memory.then(|| "true".to_owned());
    let written = [
        ("data", &flags.data),
        ("listen", &flags.listen),
        ("advertise", &flags.advertise),
        ("shards", &flags.shards),
        ("memory", &flags.memory),
        ("admin-listen", &flags.admin_listen),
        ("journal", &flags.journal),
        ("node-id", &flags.node_id),
        ("cluster-id", &flags.cluster_id),
        ("strict", &strict),
        ("lock-memory", &lock_memory),
        ("slow-request-ms", &flags.slow_request_ms),
        ("log-format", &flags.log_format),
        ("log", &flags.log),
    ];
    for (key, value) in written {
        if let Some(text) = value {
            let place = format!("--{key} {text}");
            values.insert(key, Written { text: text.clone(), place, exit_code: exit::USAGE });
        }
    }
    for text in &flags.overrides {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                broker.insert(key.trim().to_owned(), value.trim().to_owned());
            }
            _ => {
                let message = format!("--override {text}: write it as PROPERTY=VALUE");
                return Err(ConfigError { exit_code: exit::USAGE, message });
            }
        }
    }
    Ok(())
}

fn check(
    values: &Values,
    mut broker: BTreeMap<String, String>,
    machine: &Machine,
    warnings: &mut Vec<String>,
) -> Result<BrokerSettings, ConfigError> {
    let get = |key: &str| values.get(key);
    let data = match get("data") {
        Some(w) if w.text.is_empty() => return Err(w.error("name a directory")),
        Some(w) => PathBuf::from(&w.text),
        None => PathBuf::from(DEFAULT_DATA),
    };
    let listen = match get("listen") {
        Some(w) => address(w, DEFAULT_PORT)?,
        None => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT),
    };
    let admin_listen = get("admin-listen").map(|w| address(w, 9392)).transpose()?;
    let advertise = match get("advertise") {
        Some(w) => {
            let (host, port) = host_port(&w.text, listen.port()).map_err(|e| w.error(e))?;
            if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
                return Err(w.error("clients cannot connect to this; name a host that they reach"));
            }
            (host, port)
        }
        None if listen.ip().is_unspecified() => {
            let hint = "all addresses listen, so say which one clients are to use: add \
                        --advertise HOST:PORT";
            return Err(get("listen").map_or_else(
                || ConfigError { exit_code: exit::CONFIG, message: hint.to_owned() },
                |w| w.error(hint),
            ));
        }
        None => (listen.ip().to_string(), listen.port()),
    };

    let granted = machine.granted_cpus();
    let shards = match get("shards") {
        Some(w) => number(w, 1, SHARDS_MAX as u64, "the number of shards")? as usize,
        None => granted,
    };
    if shards > machine.cpus.len() {
        warnings.push(format!(
            "{shards} shards share {} CPUs: each shard polls, so one per CPU is faster",
            machine.cpus.len()
        ));
    } else if shards > granted {
        warnings.push(format!(
            "{shards} shards, but the cgroup's CPU quota is {granted}: the kernel will stop them \
             for parts of each period"
        ));
    }
    let cpus = machine.cpus.iter().copied().cycle().take(shards).collect();

    let memory_min = MEMORY_MIN_PER_SHARD * shards as u64;
    let memory = if let Some(w) = get("memory") {
        let bytes = size(&w.text).map_err(|e| w.error(&e))?;
        if bytes < memory_min {
            let min = show_size(memory_min);
            return Err(w.error(&format!("too little for {shards} shards: at least {min}")));
        }
        if bytes > machine.memory {
            let all = show_size(machine.memory);
            return Err(w.error(&format!("more than there is: cgroup and RAM grant {all}")));
        }
        bytes
    } else {
        let bytes = machine.memory / MEMORY_FRACTION;
        if bytes < memory_min {
            let message = format!(
                "half of the memory that cgroup and RAM grant is {}, too little for {shards} \
                 shards: raise the limit, or use --shards {}",
                show_size(bytes),
                (bytes / MEMORY_MIN_PER_SHARD).max(1)
            );
            return Err(ConfigError { exit_code: exit::CONFIG, message });
        }
        bytes
    };
    let journal_bytes = match get("journal") {
        Some(w) => {
            let bytes = size(&w.text).map_err(|e| w.error(&e))?;
            let min = JOURNAL_MIN_PER_SHARD * shards as u64;
            if bytes < min {
                let min = show_size(min);
                return Err(w.error(&format!("too little for {shards} shards: at least {min}")));
            }
            Some(bytes)
        }
        None => None,
    };
    let node_id = match get("node-id") {
        Some(w) => number(w, 0, i32::MAX as u64, "the node id")? as i32,
        None => 1,
    };
    let cluster_id = match get("cluster-id") {
        Some(w) => {
            let fits = (1..=64).contains(&w.text.len())
                && w.text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            if !fits {
                return Err(w.error("use 1 to 64 letters, digits, '-', '_' or '.'"));
            }
            Some(w.text.clone())
        }
        None => None,
    };
    let lock_memory = get("lock-memory").map(boolean).transpose()?.unwrap_or(false);
    let slow_request_ms = match get("slow-request-ms") {
        Some(w) => Some(number(w, 0, u64::from(u32::MAX), "the time")?).filter(|ms| *ms > 0),
        None => Some(1000),
    };
    let property = broker.remove("klamm.batch.validation");
    let strict_validation = match (get("strict"), property.as_deref()) {
        (Some(w), _) => boolean(w)?,
        (None, None | Some("relaxed")) => false,
        (None, Some("strict")) => true,
        (None, Some(other)) => {
            let message = format!("klamm.batch.validation={other}: use relaxed or strict");
            return Err(ConfigError { exit_code: exit::CONFIG, message });
        }
    };
    BrokerConfigs::check_static(&broker).map_err(|e| ConfigError {
        exit_code: exit::CONFIG,
        message: format!("broker property: {}", e.trim_end_matches('.')),
    })?;
    let log_format = match get("log-format") {
        None => LogFormat::Text,
        Some(w) => match w.text.as_str() {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => return Err(w.error("use text or json")),
        },
    };
    let log_filter = match get("log") {
        None => "info".to_owned(),
        Some(w) => {
            tracing_subscriber::EnvFilter::try_new(&w.text)
                .map_err(|e| w.error(&format!("{e}; write it as info or klamm=debug,info")))?;
            w.text.clone()
        }
    };
    Ok(BrokerSettings {
        data,
        listen,
        advertise,
        shards,
        cpus,
        memory,
        admin_listen,
        node_id,
        cluster_id,
        broker,
        journal_bytes,
        strict_validation,
        slow_request_ms,
        lock_memory,
        log_format,
        log_filter,
    })
}

fn number(w: &Written, min: u64, max: u64, what: &str) -> Result<u64, ConfigError> {
    match w.text.parse() {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        _ => Err(w.error(&format!("{what} must be a whole number from {min} to {max}"))),
    }
}

fn boolean(w: &Written) -> Result<bool, ConfigError> {
    match w.text.as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" | "" => Ok(false),
        _ => Err(w.error("use true or false")),
    }
}

fn address(w: &Written, default_port: u16) -> Result<SocketAddr, ConfigError> {
    let (host, port) = host_port(&w.text, default_port).map_err(|e| w.error(e))?;
    if host == "localhost" {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let ip = host.parse().map_err(|_| {
        w.error("listening needs an IP address, such as 127.0.0.1:9092 or 0.0.0.0:9092")
    })?;
    Ok(SocketAddr::new(ip, port))
}

/// Splits `host:port`, `host`, `[v6]:port`, `[v6]` or a bare IPv6 address.
pub fn host_port(text: &str, default_port: u16) -> Result<(String, u16), &'static str> {
    const SHAPE: &str = "write it as HOST:PORT";
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(SHAPE)?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(SHAPE),
        }
    } else if text.bytes().filter(|b| *b == b':').count() > 1 {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.:%".contains(&b) || !b.is_ascii();
    if host.is_empty() || !host.bytes().all(fits) {
        return Err(SHAPE);
    }
    if port.is_none() && host.bytes().all(|b| b.is_ascii_digit()) {
        return Err("this is only a port; write it as HOST:PORT");
    }
    let port = match port {
        Some(p) => p.parse().map_err(|_| "a port is a number from 0 to 65535")?,
        None => default_port,
    };
    Ok((host.to_owned(), port))
}

/// Reads a size in bytes: `1048576`, `64KiB`, `512MiB`, `4G`, `1.5 GiB`. `K`, `KB` and `KiB` are all
/// 1024, as in Kafka's and the kernel's tools.
pub fn size(text: &str) -> Result<u64, String> {
    const SHAPE: &str = "write a size as 512MiB or 4G";
    let text = text.trim();
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (digits, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(SHAPE.to_owned()),
    };
    let factor = 1u64 << shift;
    let bytes = if digits.contains('.') {
        let value: f64 = digits.parse().map_err(|_| SHAPE)?;
        let bytes = value * factor as f64;
        if bytes >= u64::MAX as f64 {
            return Err("this is too large".to_owned());
        }
        bytes as u64
    } else {
        let value: u64 = digits.parse().map_err(|_| SHAPE)?;
        value.checked_mul(factor).ok_or("this is too large")?
    };
    Ok(bytes)
}

/// A size in the largest unit that leaves at least 1, such as `1.5 GiB`; readable by [`size`].
pub fn show_size(bytes: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >> shift > 0 {
            let tenths = bytes * 10 / (1 << shift);
            return match tenths % 10 {
                0 => format!("{} {unit}", tenths / 10),
                rest => format!("{}.{rest} {unit}", tenths / 10),
            };
        }
    }
    format!("{bytes} B")
}

/// The known name that `name` was probably meant to be: at most a third of it mistyped.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |k: &str| strsim::levenshtein(&name.to_lowercase().replace('_', "-"), k);
    known
        .into_iter()
        .map(|k| (near(k), k))
        .min()
        .filter(|(d, k)| *d <= (k.len().max(name.len()) / 3).max(1))
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests;
