//! `klamm config`.

use super::names::{check_topic, pair};
use super::{Broker, CliError};
use crate::client::Cluster;
use crate::client::admin::{ConfigEntry, ConfigSource, Resource};
use clap::Subcommand;
use serde_json::json;
use std::io::Write;

const EXAMPLES: &str = "\
Settings of brokers that can change while they run; those of the start are klamm serve's.

Examples:
  klamm config describe --topic events                 what is set on a topic
  klamm config describe --topic events --all           everything that holds for it
  klamm config set --topic events retention.ms=3600000
  klamm config unset --topic events retention.ms
  klamm config set --brokers log.retention.ms=86400000 for all brokers
  klamm config set --group readers consumer.session.timeout.ms=50000
  klamm config describe --broker 1 --json";

/// Flags of `klamm config`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Show settings
    Describe(Describe),
    /// Set settings
    Set(Set),
    /// Take settings back to their defaults
    Unset(Unset),
}

/// Whose settings.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct Target {
    /// Settings of this topic
    #[arg(short, long, value_name = "NAME")]
    topic: Option<String>,
    /// Settings of the broker with this node id
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i32).range(0..))]
    broker: Option<i32>,
    /// Settings of all brokers
    #[arg(long)]
    brokers: bool,
    /// Settings of this consumer group, whether or not it is there yet
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    group: Option<String>,
}

/// Settings that somebody has set; with `--all`, all that hold.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  klamm config describe --topic events --all\n  klamm config \
    describe --brokers")]
struct Describe {
    #[command(flatten)]
    target: Target,
    /// Settings that nobody has set as well
    #[arg(short, long)]
    all: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bootstrap: Broker,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  klamm config set --topic events retention.ms=3600000 \
    max.message.bytes=2000000\n  klamm config set --broker 1 log.segment.bytes=268435456")]
struct Set {
    #[command(flatten)]
    target: Target,
    /// Settings and their values
    #[arg(required = true, value_name = "NAME=VALUE")]
    settings: Vec<String>,
    #[command(flatten)]
    bootstrap: Broker,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  klamm config unset --topic events retention.ms")]
struct Unset {
    #[command(flatten)]
    target: Target,
    /// Names of the settings
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    bootstrap: Broker,
}

impl Target {
    /// The resource and how it is called in messages.
    fn resource(&self) -> Result<(Resource, String), CliError> {
        Ok(match (&self.topic, self.broker, &self.group) {
            (Some(name), ..) => {
                check_topic(name)?;
                (Resource::Topic(name.clone()), format!("topic {name}"))
            }
            (None, Some(id), _) => (Resource::Broker(Some(id)), format!("broker {id}")),
            (None, None, Some(id)) => (Resource::Group(id.clone()), format!("group {id}")),
            (None, None, None) => (Resource::Broker(None), "all brokers".to_owned()),
        })
    }
}

/// Runs the subcommand.
pub fn run(config: &Config) -> Result<(), CliError> {
    match &config.command {
        Command::Describe(c) => describe(c),
        Command::Set(c) => {
            let changes = c.settings.iter().map(|text| {
                let (name, value) = pair("setting", text)?;
                Ok((name.to_owned(), Some(value.to_owned())))
            });
            let changes = changes.collect::<Result<Vec<_>, CliError>>()?;
            change(&c.target, &c.bootstrap, &changes, "set")
        }
        Command::Unset(c) => {
            let changes: Vec<_> = c.names.iter().map(|name| (name.clone(), None)).collect();
            if let Some(odd) = c.names.iter().find(|name| name.contains('=')) {
                let hint = format!("'{odd}': name the setting alone, without a value");
                return Err(CliError::Usage(hint));
            }
            change(&c.target, &c.bootstrap, &changes, "unset")
        }
    }
}

/// Connects, and makes sure that the target is there.
fn connect(resource: &Resource, bootstrap: &Broker) -> Result<Cluster, CliError> {
    let mut cluster = Cluster::connect(&bootstrap.bootstrap)?;
    match resource {
        Resource::Topic(name) => {
            cluster.refresh(Some(&[name]), false)?;
            cluster.metadata().topic(name)?;
        }
        Resource::Broker(id) => {
            cluster.refresh(Some(&[]), false)?;
            let brokers = &cluster.metadata().brokers;
            if let Some(id) = id.filter(|id| !brokers.contains_key(id)) {
                let known: Vec<_> = brokers.keys().map(ToString::to_string).collect();
                let known = known.join(", ");
                let message = format!("there is no broker {id}; the cluster has {known}");
                return Err(CliError::Failed(message));
            }
        }
        Resource::Group(_) => {}
    }
    Ok(cluster)
}

fn describe(c: &Describe) -> Result<(), CliError> {
    let (resource, what) = c.target.resource()?;
    let mut cluster = connect(&resource, &c.bootstrap)?;
    let entries = cluster.describe_configs(&resource)?;
    let shown: Vec<&ConfigEntry> =
        entries.iter().filter(|e| c.all || e.source != ConfigSource::DEFAULT).collect();
    let mut out = std::io::stdout().lock();
    if c.json {
        writeln!(out, "{}", as_json(&shown))?;
        return Ok(());
    }
    if shown.is_empty() {
        let _ = writeln!(std::io::stderr(), "nothing is set for {what}; --all shows the defaults");
    }
    for e in shown {
        let value = e.value.as_deref().unwrap_or("null");
        writeln!(out, "{}={value}   {}", e.name, source(e.source, e.read_only))?;
    }
    Ok(())
}

/// Where a value comes from, in words.
fn source(source: ConfigSource, read_only: bool) -> &'static str {
    match source.name() {
        "DYNAMIC_TOPIC_CONFIG" => "topic",
        "DYNAMIC_GROUP_CONFIG" => "group",
        "DYNAMIC_BROKER_CONFIG" => "broker",
        "DYNAMIC_DEFAULT_BROKER_CONFIG" => "all brokers",
        "STATIC_BROKER_CONFIG" => "start of the broker",
        "DEFAULT_CONFIG" if read_only => "default, only at the start",
        "DEFAULT_CONFIG" => "default",
        other => other,
    }
}

fn as_json(entries: &[&ConfigEntry]) -> serde_json::Value {
    let one = |e: &&ConfigEntry| {
        let fields = json!({
            "value": e.value,
            "source": e.source.name(),
            "read_only": e.read_only,
            "sensitive": e.sensitive,
        });
        (e.name.clone(), fields)
    };
    serde_json::Value::Object(entries.iter().map(one).collect())
}

fn change(
    target: &Target,
    bootstrap: &Broker,
    changes: &[(String, Option<String>)],
    done: &str,
) -> Result<(), CliError> {
    let (resource, what) = target.resource()?;
    let mut cluster = connect(&resource, bootstrap)?;
    cluster.alter_configs(&resource, changes)?;
    let names: Vec<&str> = changes.iter().map(|(name, _)| name.as_str()).collect();
    writeln!(std::io::stdout(), "{done} {} of {what}", names.join(", "))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_a_field_for_each_setting() {
        let entry = ConfigEntry {
            name: "retention.ms".to_owned(),
            value: Some("5".to_owned()),
            source: ConfigSource(1),
            read_only: false,
            sensitive: false,
            synonyms: Vec::new(),
        };
        assert_eq!(
            as_json(&[&entry]),
            json!({"retention.ms": {"value": "5", "source": "DYNAMIC_TOPIC_CONFIG",
                "read_only": false, "sensitive": false}})
        );
        assert_eq!(source(ConfigSource(1), false), "topic");
        assert_eq!(source(ConfigSource::DEFAULT, true), "default, only at the start");
    }
}
