//! Reading settings as they were written: file, environment, flags.

use super::{ConfigError, File, Flags};
use crate::types::exit;
use std::collections::BTreeMap;

/// Key in the file; the flag is `--key`, the variable `KLAMM_KEY` with `_` for `-`.
const KEYS: [&str; 21] = [
    "data",
    "listen",
    "advertise",
    "shards",
    "memory",
    "admin-listen",
    "journal",
    "node-id",
    "cluster-id",
    "voters",
    "join",
    "peer-listen",
    "peer-advertise",
    "peer-secret-file",
    "rack",
    "strict",
    "slow-request-ms",
    "lock-memory",
    "log-format",
    "log",
    "broker",
];

/// A value as it was written, and the place where.
pub(super) struct Written {
    pub(super) text: String,
    place: String,
    exit_code: i32,
}

impl Written {
    pub(super) fn error(&self, why: &str) -> ConfigError {
        ConfigError { exit_code: self.exit_code, message: format!("{}: {why}", self.place) }
    }
}

pub(super) type Values = BTreeMap<&'static str, Written>;

pub(super) fn from_file(
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

pub(super) fn from_env(
    env: &BTreeMap<String, String>,
    values: &mut Values,
    warnings: &mut Vec<String>,
) {
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

pub(super) fn from_flags(
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
        ("voters", &flags.voters),
        ("join", &flags.join),
        ("peer-listen", &flags.peer_listen),
        ("peer-advertise", &flags.peer_advertise),
        ("peer-secret-file", &flags.peer_secret_file),
        ("rack", &flags.rack),
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

/// The known name that `name` was probably meant to be: at most a third of it mistyped.
fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |k: &str| strsim::levenshtein(&name.to_lowercase().replace('_', "-"), k);
    known
        .into_iter()
        .map(|k| (near(k), k))
        .min()
        .filter(|(d, k)| *d <= (k.len().max(name.len()) / 3).max(1))
        .map(|(_, k)| k)
}
