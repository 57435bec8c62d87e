//! Turning written settings into checked ones, with their defaults.

use super::cluster::{self, Cluster, Near};
use super::sources::{Values, Written};
use super::values::{host_port, show_size, size};
use super::{
    BrokerSettings, ConfigError, DEFAULT_DATA, DEFAULT_PORT, JOURNAL_MIN_PER_SHARD, LogFormat,
    MEMORY_FRACTION, MEMORY_MIN_PER_SHARD, Machine, SHARDS_MAX,
};
use crate::types::topic_config::BrokerConfigs;
use crate::types::{GroupConfig, exit};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// Checks every value; a value that is not written has its default. Warnings are one line each.
pub(super) fn check(
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
    let near = Near { node_id, listen, advertise: &advertise.0 };
    let Cluster { voters, join, peer_listen, peer_secret_file, id: cluster_id } =
        cluster::check(values, &mut broker, near, cluster_id)?;
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
    let wrong = |e: String| ConfigError {
        exit_code: exit::CONFIG,
        message: format!("broker property: {}", e.trim_end_matches('.')),
    };
    BrokerConfigs::check_static(&broker).map_err(wrong)?;
    let fixed = BrokerConfigs { fixed: Arc::new(broker.clone()), ..BrokerConfigs::default() };
    GroupConfig::check_broker(&fixed).map_err(wrong)?;
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
        voters,
        join,
        peer_listen,
        peer_secret_file,
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
