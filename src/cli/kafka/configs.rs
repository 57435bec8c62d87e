//! `kafka-configs`, for topics, brokers and groups.

use super::ToolError;
use super::address::{addresses, connect, property_file};
use super::error::java_message;
use super::options::{self, Options, Parsed, flag, text};
use super::properties;
use crate::client::admin::{ConfigEntry, Resource};
use crate::client::{ClientError, Cluster, groups};
use crate::types::ErrorCode;
use std::collections::BTreeSet;
use std::io::Write;

const ABOUT: &str = "This tool helps to manipulate and describe entity config for a topic, client, \
                     user, broker, ip, client-metrics or group";

static OPTIONS: Options = Options {
    all: &[
        text(
            "add-config",
            "",
            "Configurations to set: 'k1=v1,k2=[v1,v2,v2],k3=v3', brackets around values with \
             commas. 'kafka-configs --describe --all' lists those that there are.",
        ),
        text("add-config-file", "", "Property file with configurations to set."),
        flag("all", "With --describe: all configurations, not only those that were set."),
        flag("alter", "Set configurations, or take them back."),
        text(
            "bootstrap-controller",
            "controller to connect to",
            "The controller(s) to connect to.",
        ),
        text("bootstrap-server", "server to connect to", "The broker(s) to connect to."),
        text("broker", "", "The broker's id."),
        flag("broker-defaults", "The defaults of all brokers."),
        text("broker-logger", "", "The id of a broker whose loggers are meant."),
        text("client", "", "The client's id."),
        flag("client-defaults", "The defaults of all clients."),
        text("client-metrics", "", "The name of a subscription to clients' metrics."),
        options::COMMAND_CONFIG,
        text("delete-config", "", "Configurations to take back: 'k1,k2'.").separated_by(','),
        flag("describe", "Show configurations."),
        flag("entity-default", "The default of all brokers, clients, users or ips."),
        text("entity-name", "", "Name of a topic, id of a broker, …"),
        text(
            "entity-type",
            "",
            "What is configured: topics, brokers or groups. Clients, users, ips, client-metrics and \
             broker-loggers are Kafka's and not supported.",
        ),
        text("group", "", "The group's id."),
        options::HELP,
        text("ip", "", "The IP address."),
        flag("ip-defaults", "The defaults of all IP addresses."),
        text("topic", "", "The topic's name."),
        text("user", "", "The user's principal name."),
        flag("user-defaults", "The defaults of all users."),
        options::VERSION,
        options::ZOOKEEPER,
    ],
};

const ADDRESSES: [&str; 2] = ["bootstrap-server", "bootstrap-controller"];

/// Entity types in the order of Kafka's message.
const TYPES: [&str; 8] =
    ["topics", "clients", "users", "brokers", "ips", "client-metrics", "groups", "broker-loggers"];

/// Options that name an entity, and its type.
const NAMED: [(&str, &str); 8] = [
    ("topic", "topics"),
    ("client", "clients"),
    ("user", "users"),
    ("broker", "brokers"),
    ("broker-logger", "broker-loggers"),
    ("ip", "ips"),
    ("client-metrics", "client-metrics"),
    ("group", "groups"),
];

/// Options for the default of all entities of a type.
const DEFAULTS: [(&str, &str); 4] = [
    ("client-defaults", "clients"),
    ("user-defaults", "users"),
    ("broker-defaults", "brokers"),
    ("ip-defaults", "ips"),
];

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let o = OPTIONS.parse_or_help(args, ABOUT)?;
    let entity = Entity::read(&o)?;
    let properties = property_file(&o, "command-config")?;
    let brokers = addresses(&o, &ADDRESSES, &properties)?.unwrap_or_default();
    let changes = if o.has("alter") { changes(&o)? } else { Vec::new() };
    let resource = entity.resource()?;
    let mut cluster = connect(&brokers)?;
    cluster.refresh(None, false)?;
    let done = match (o.has("alter"), resource) {
        (true, resource) => {
            let resource = resource.ok_or_else(|| ToolError::failed("name an entity"))?;
            alter(&mut cluster, &resource, &changes)
        }
        (false, Some(resource)) => describe(&mut cluster, &[resource], &o),
        (false, None) => {
            let all = everything(&entity, &mut cluster)?;
            describe(&mut cluster, &all, &o)
        }
    };
    done.map_err(|e| match e {
        Failure::Client(e) => ToolError::Failed(format!(
            "Error while executing config command with args '{}'\n{}",
            args.join(" "),
            java_message(&e)
        )),
        Failure::Tool(e) => e,
    })
}

/// An error of a request, or of printing its answer.
enum Failure {
    Client(ClientError),
    Tool(ToolError),
}

impl From<ClientError> for Failure {
    fn from(e: ClientError) -> Self {
        Self::Client(e)
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Self::Tool(e.into())
    }
}

/// What is configured: a type, and a name; `Some("")` is the default of all.
#[derive(Debug)]
struct Entity {
    kind: String,
    name: Option<String>,
}

impl Entity {
    /// The checks and their order are Kafka's.
    fn read(o: &Parsed) -> Result<Self, ToolError> {
        let failed = |text: String| Err(ToolError::Failed(text));
        if o.has("alter") == o.has("describe") {
            return Err(o.usage("Command must include exactly one action: --describe, --alter"));
        }
        o.forbid("describe", &["alter", "add-config", "delete-config"])?;
        let mut kinds: Vec<&str> = o.values("entity-type");
        let mut names: Vec<String> =
            o.values("entity-name").into_iter().map(str::to_owned).collect();
        if o.has("entity-default") {
            names.push(String::new());
        }
        for (option, kind) in NAMED.iter().filter(|(option, _)| o.has(option)) {
            kinds.push(kind);
            names.push(o.value(option)?.unwrap_or_default().to_owned());
        }
        for (_, kind) in DEFAULTS.iter().filter(|(option, _)| o.has(option)) {
            kinds.push(kind);
            names.push(String::new());
        }
        let twice: Vec<_> = (0..kinds.len())
            .filter(|i| kinds[..*i].contains(&kinds[*i]))
            .map(|i| kinds[i])
            .collect();
        if !twice.is_empty() {
            return failed(format!("Duplicate entity type(s) specified: {}", twice.join(",")));
        }
        if !ADDRESSES.iter().any(|a| o.has(a)) && !o.has("zookeeper") {
            return failed(
                "Either --bootstrap-server or --bootstrap-controller must be specified.".to_owned(),
            );
        }
        if let Some(stranger) = kinds.iter().find(|kind| !TYPES.contains(kind)) {
            return failed(format!(
                "Invalid entity type {stranger}, the entity type must be one of {} with a \
                 --bootstrap-server or --bootstrap-controller argument",
                TYPES.join(", ")
            ));
        }
        let Some(&kind) = kinds.first() else {
            return failed("At least one entity type must be specified".to_owned());
        };
        let both = |a, b| kinds.contains(&a) && kinds.contains(&b);
        if kinds.len() > 1 && !(kinds.len() == 2 && both("users", "clients")) {
            return failed(
                "Only 'users' and 'clients' entity types may be specified together".to_owned(),
            );
        }
        let by_type = ["entity-name", "entity-type", "entity-default"].iter().any(|n| o.has(n));
        if by_type && NAMED.iter().chain(&DEFAULTS).any(|(option, _)| o.has(option)) {
            return failed(
                "--entity-{type,name,default} should not be used in conjunction with specific \
                 entity flags"
                    .to_owned(),
            );
        }
        if ADDRESSES.iter().all(|a| o.has(a)) {
            return failed(
                "Only one of --bootstrap-server or --bootstrap-controller can be specified"
                    .to_owned(),
            );
        }
        let name = names.first().cloned();
        let named = names.iter().any(|name| !name.is_empty());
        let brokers = ["brokers", "broker-loggers"].contains(&kind);
        let id = name.as_ref().filter(|id| brokers && !id.is_empty());
        if let Some(id) = id.filter(|id| id.parse::<i32>().is_err()) {
            return failed(format!(
                "The entity name for {kind} must be a valid integer broker id, but it is: {id}"
            ));
        }
        let has_default = ["users", "clients", "brokers", "ips"].contains(&kind);
        if o.has("describe") && o.has("entity-default") && !has_default {
            return failed(format!(
                "--entity-default must not be specified with --describe of {}",
                kinds.join(",")
            ));
        }
        if o.has("describe") && kind == "broker-loggers" && !named {
            return failed(format!("An entity name must be specified with --describe of {kind}"));
        }
        if o.has("alter") {
            if has_default && names.is_empty() {
                return failed(
                    "An entity-name or default entity must be specified with --alter of users, \
                     clients, brokers or ips"
                        .to_owned(),
                );
            }
            if !has_default && !named {
                return failed(format!("An entity name must be specified with --alter of {kind}"));
            }
            if o.has("add-config") && o.has("add-config-file") {
                return failed(
                    "Only one of --add-config or --add-config-file must be specified".to_owned(),
                );
            }
            if !["add-config", "add-config-file", "delete-config"].iter().any(|n| o.has(n)) {
                return failed(
                    "At least one of --add-config, --add-config-file, or --delete-config must be \
                     specified with --alter"
                        .to_owned(),
                );
            }
        }
        Ok(Self { kind: kind.to_owned(), name })
    }

    /// The name of the resource at the broker; `None` for all of its type.
    fn resource(&self) -> Result<Option<Resource>, ToolError> {
        match (self.kind.as_str(), self.name.as_deref()) {
            ("topics" | "brokers" | "groups", None) => Ok(None),
            ("groups", Some(id)) => Ok(Some(Resource::Group(id.to_owned()))),
            ("topics", Some(name)) => Ok(Some(Resource::Topic(name.to_owned()))),
            // Checked: a number where there is one.
            ("brokers", Some(id)) => Ok(Some(Resource::Broker(id.parse().ok()))),
            (kind, _) => Err(ToolError::Failed(format!(
                "Klamm has no configurations of {kind} yet: the entity type must be one of topics, \
                 brokers, groups"
            ))),
        }
    }
}

/// All resources of a type: of groups those that there are, and those of which something was set.
fn everything(entity: &Entity, cluster: &mut Cluster) -> Result<Vec<Resource>, ClientError> {
    if entity.kind == "groups" {
        return Ok(all_groups(cluster)?.into_iter().map(Resource::Group).collect());
    }
    let metadata = cluster.metadata();
    if entity.kind == "topics" {
        return Ok(metadata.topics.keys().cloned().map(Resource::Topic).collect());
    }
    let brokers = metadata.brokers.keys().map(|id| Some(*id));
    Ok(brokers.chain([None]).map(Resource::Broker).collect())
}

fn all_groups(cluster: &mut Cluster) -> Result<BTreeSet<String>, ClientError> {
    let there = groups::list(cluster, &[], &[])?.into_iter().map(|it| it.id);
    Ok(there.chain(cluster.groups_with_settings()?).collect())
}

fn describe(cluster: &mut Cluster, resources: &[Resource], o: &Parsed) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let which = if o.has("all") { "All" } else { "Dynamic" };
    // They are of one type; groups are listed once, however many there are.
    let groups = match resources.first() {
        Some(Resource::Group(_)) if !o.has("all") => all_groups(cluster)?,
        _ => BTreeSet::new(),
    };
    for resource in resources {
        let missing = match resource {
            Resource::Topic(name) if !cluster.metadata().topics.contains_key(name) => {
                Some(format!("topic '{name}'"))
            }
            Resource::Broker(Some(id)) if !cluster.metadata().brokers.contains_key(id) => {
                Some(format!("broker '{id}'"))
            }
            Resource::Group(id) if !o.has("all") && !groups.contains(id) => {
                Some(format!("group '{id}'"))
            }
            _ => None,
        };
        if let Some(what) = missing {
            writeln!(out, "The {what} doesn't exist and doesn't have dynamic config.")?;
            continue;
        }
        match resource {
            Resource::Topic(name) => writeln!(out, "{which} configs for topic {name} are:")?,
            Resource::Group(id) => writeln!(out, "{which} configs for group {id} are:")?,
            Resource::Broker(Some(id)) => writeln!(out, "{which} configs for broker {id} are:")?,
            Resource::Broker(None) => {
                writeln!(out, "Default configs for brokers in the cluster are:")?;
            }
        }
        for entry in cluster.describe_configs(resource)? {
            if o.has("all") || entry.source.is_own(resource) {
                writeln!(out, "{}", line(&entry))?;
            }
        }
    }
    Ok(())
}

fn line(entry: &ConfigEntry) -> String {
    let shown = |value: &Option<String>| value.as_deref().unwrap_or("null").to_owned();
    let synonyms = entry
        .synonyms
        .iter()
        .map(|s| format!("{}:{}={}", s.source.name(), s.name, shown(&s.value)))
        .collect::<Vec<_>>()
        .join(", ");
    let (name, sensitive) = (&entry.name, entry.sensitive);
    format!("  {name}={} sensitive={sensitive} synonyms={{{synonyms}}}", shown(&entry.value))
}

fn alter(
    cluster: &mut Cluster,
    resource: &Resource,
    changes: &[(String, Option<String>)],
) -> Result<(), Failure> {
    if let Resource::Broker(Some(id)) = resource
        && !cluster.metadata().brokers.contains_key(id)
    {
        return Err(Failure::Client(ClientError::Refused {
            what: String::new(),
            code: ErrorCode::INVALID_REQUEST,
            message: Some(format!("broker {id} is not in the cluster")),
        }));
    }
    cluster.alter_configs(resource, changes)?;
    let mut out = std::io::stdout().lock();
    match resource {
        Resource::Topic(name) => writeln!(out, "Completed updating config for topic {name}.")?,
        Resource::Group(id) => writeln!(out, "Completed updating config for group {id}.")?,
        Resource::Broker(Some(id)) => {
            writeln!(out, "Completed updating config for broker {id}.")?;
        }
        Resource::Broker(None) => {
            writeln!(out, "Completed updating default config for brokers in the cluster.")?;
        }
    }
    Ok(())
}

/// What is to be set and, without a value, taken back.
fn changes(o: &Parsed) -> Result<Vec<(String, Option<String>)>, ToolError> {
    let mut changes = Vec::new();
    if let Some(path) = o.value("add-config-file")? {
        changes
            .extend(properties::load(path)?.into_iter().map(|(name, value)| (name, Some(value))));
    }
    if let Some(text) = o.value("add-config")? {
        for item in split_outside_brackets(text, ',') {
            let pair = split_outside_brackets(item, '=');
            let [name, value] = pair[..] else {
                return Err(ToolError::failed(
                    "requirement failed: Invalid entity config: all configs to be added must be in \
                     the format \"key=val\" or  \"key=[val1,val2]\" to group values which contain \
                     commas.",
                ));
            };
            let value = value.replace(['[', ']'], "");
            changes.push((name.trim().to_owned(), Some(value.trim().to_owned())));
        }
    }
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c));
    if let Some((name, _)) = changes.iter().find(|(name, _)| name.contains(odd)) {
        return Err(ToolError::Failed(format!("Invalid character found for config key: {name}")));
    }
    changes.extend(o.values("delete-config").into_iter().map(|n| (n.trim().to_owned(), None)));
    Ok(changes)
}

/// Splits where the next bracket, if there is one, opens.
fn split_outside_brackets(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices().filter(|(_, c)| *c == separator) {
        let rest = &text[at + c.len_utf8()..];
        if rest.find(['[', ']']).is_none_or(|next| rest[next..].starts_with('[')) {
            parts.push(&text[start..at]);
            start = at + c.len_utf8();
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::admin::{ConfigSource, ConfigSynonym};

    fn parsed(line: &str) -> Parsed {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        OPTIONS.parse(&args).expect("reads")
    }

    #[test]
    fn brackets_hold_values_together() {
        let set = |text: &str| changes(&parsed(&format!("--add-config {text}")));
        let pair = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        assert_eq!(
            set("a=1,b=[2,3],c=[4=5],d="),
            Ok(vec![pair("a", "1"), pair("b", "2,3"), pair("c", "4=5"), pair("d", "")])
        );
        for wrong in ["a", "a=1,b", "a=b=c", "a=1,2"] {
            let Err(ToolError::Failed(e)) = set(wrong) else { panic!("{wrong} is accepted") };
            assert!(e.contains("key=[val1,val2]"), "{e}");
        }
        assert_eq!(
            set("a/b=1"),
            Err(ToolError::failed("Invalid character found for config key: a/b"))
        );
        assert_eq!(
            changes(&parsed("--delete-config a,b")),
            Ok(vec![("a".to_owned(), None), ("b".to_owned(), None)])
        );
    }

    #[test]
    fn entities_are_checked_in_kafkas_order() {
        let says = |line: &str| match Entity::read(&parsed(line)).and_then(|e| e.resource()) {
            Ok(resource) => format!("{resource:?}"),
            Err(ToolError::Usage(text) | ToolError::Failed(text)) => {
                text.lines().next().unwrap_or_default().to_owned()
            }
            Err(other) => panic!("{other:?}"),
        };
        let b = "--bootstrap-server a:1";
        for (line, want) in [
            ("--describe --topic a", "Either --bootstrap-server or"),
            (&format!("{b} --describe --topic a"), "Some(Topic(\"a\"))"),
            (&format!("{b} --describe --entity-type topics"), "None"),
            (
                &format!("{b} --describe --entity-type brokers --entity-default"),
                "Some(Broker(None))",
            ),
            (&format!("{b} --describe --broker-defaults"), "Some(Broker(None))"),
            (&format!("{b} --describe --broker 1"), "Some(Broker(Some(1)))"),
            (&format!("{b} --describe --group g"), "Some(Group(\"g\"))"),
            (&format!("{b} --describe --entity-type groups"), "None"),
            (&format!("{b} --alter --entity-type groups --add-config a=b"), "An entity name must"),
            (&format!("{b} --describe --broker x"), "The entity name for brokers must be"),
            (&format!("{b} --describe --entity-type x"), "Invalid entity type x, the"),
            (&format!("{b} --describe"), "At least one entity type"),
            (&format!("{b} --describe --topic a --broker 1"), "Only 'users' and 'clients'"),
            (&format!("{b} --describe --topic a --entity-type topics"), "Duplicate entity type"),
            (&format!("{b} --describe --topic a --entity-type brokers"), "Only 'users' and"),
            (&format!("{b} --describe --user a"), "Klamm has no configurations of users"),
            (&format!("{b} --alter --topic a"), "At least one of --add-config"),
            (&format!("{b} --alter --entity-type topics --add-config a=b"), "An entity name must"),
            (&format!("{b} --alter --entity-type brokers --add-config a=b"), "An entity-name or"),
            (b, "Command must include exactly one action"),
        ] {
            let got = says(line);
            assert!(got.starts_with(want), "{line}: {got}");
        }
    }

    #[test]
    fn lines_are_kafkas() {
        let entry = ConfigEntry {
            name: "a".to_owned(),
            value: None,
            source: ConfigSource(5),
            read_only: false,
            sensitive: false,
            synonyms: vec![
                ConfigSynonym {
                    name: "a".to_owned(),
                    value: Some("1".to_owned()),
                    source: ConfigSource(3),
                },
                ConfigSynonym { name: "b".to_owned(), value: None, source: ConfigSource(5) },
            ],
        };
        assert_eq!(
            line(&entry),
            "  a=null sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:a=1, \
             DEFAULT_CONFIG:b=null}"
        );
    }
}
