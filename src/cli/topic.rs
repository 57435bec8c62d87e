//! `klamm topic`.

use super::names::{check_topic, count, joined, pair};
use super::offsets::{self, EARLIEST, LATEST};
use super::{Broker, CliError};
use crate::client::{ClientError, Cluster, Reply, To, TopicMeta, check_code};
use crate::types::ErrorCode;
use crate::wire::kafka as k;
use clap::Subcommand;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;

use k::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use k::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use k::delete_topics_request::DeleteTopicsRequest;
use k::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use k::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

const EXAMPLES: &str = "\
Examples:
  klamm topic create events --partitions 12 --config retention.ms=86400000
  klamm topic list
  klamm topic describe events
  klamm topic alter events --partitions 24 --config retention.ms=3600000
  klamm topic delete events";

/// Flags of `klamm topic`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Topic {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Create topics
    Create(Create),
    /// List topics
    List(List),
    /// Show partitions, offsets and configuration
    Describe(Describe),
    /// Add partitions, set or reset configuration
    Alter(Alter),
    /// Delete topics and all their messages
    Delete(Delete),
}

/// Where partitions and replicas are not named, the broker's settings decide.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  klamm topic create events\n  klamm topic create events \
    --partitions 12 --config retention.ms=86400000 --config max.message.bytes=2000000")]
struct Create {
    /// Names of the topics
    #[arg(required = true)]
    names: Vec<String>,
    /// Number of partitions [default: the broker's num.partitions]
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Number of replicas [default: the broker's default.replication.factor]
    #[arg(short, long, value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// Setting of the topic; can be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    config: Vec<String>,
    /// Succeed where the topic exists, whatever its settings
    #[arg(long)]
    if_not_exists: bool,
    #[command(flatten)]
    broker: Broker,
}

#[derive(clap::Args, Debug)]
struct List {
    /// The cluster's own topics as well
    #[arg(long)]
    internal: bool,
    /// One JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    broker: Broker,
}

#[derive(clap::Args, Debug)]
struct Describe {
    /// Names of the topics [default: all but the cluster's own]
    names: Vec<String>,
    /// One JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    broker: Broker,
}

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  klamm topic alter events --partitions 24\n  klamm topic alter \
    events --config retention.ms=3600000 --delete-config max.message.bytes"
)]
struct Alter {
    /// Name of the topic
    name: String,
    /// New number of partitions; it can only grow
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Setting of the topic; can be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    config: Vec<String>,
    /// Setting to take back to its default; can be repeated
    #[arg(long, value_name = "NAME")]
    delete_config: Vec<String>,
    #[command(flatten)]
    broker: Broker,
}

#[derive(clap::Args, Debug)]
struct Delete {
    /// Names of the topics
    #[arg(required = true)]
    names: Vec<String>,
    /// Succeed where the topic does not exist
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    broker: Broker,
}

/// Runs the subcommand.
pub fn run(topic: &Topic) -> Result<(), CliError> {
    match &topic.command {
        Command::Create(c) => create(c),
        Command::List(c) => list(c),
        Command::Describe(c) => describe(c),
        Command::Alter(c) => alter(c),
        Command::Delete(c) => delete(c),
    }
}

fn create(c: &Create) -> Result<(), CliError> {
    c.names.iter().try_for_each(|name| check_topic(name))?;
    let configs = c
        .config
        .iter()
        .map(|text| {
            let (name, value) = pair("--config", text)?;
            Ok(CreatableTopicConfig { name, value: Some(value) })
        })
        .collect::<Result<Vec<_>, CliError>>()?;
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    let mut out = std::io::stdout().lock();
    for name in &c.names {
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name,
                num_partitions: c.partitions.unwrap_or(-1),
                replication_factor: c.replication_factor.unwrap_or(-1),
                configs: configs.clone(),
                ..CreatableTopic::default()
            }],
            timeout_ms: 30_000,
            validate_only: false,
        };
        let created = cluster.call(To::Controller, &request, |reply| {
            let response = reply.read::<CreateTopicsRequest<'_>>()?;
            let topic = first(&response.topics)?;
            check_code(topic.error_code, || format!("topic '{name}'"), topic.error_message)?;
            Ok(topic.num_partitions)
        });
        match created {
            Ok(partitions) if partitions > 0 => {
                writeln!(out, "created topic {name}, {}", count(partitions, "partition"))?;
            }
            Ok(_) => writeln!(out, "created topic {name}")?,
            Err(e) if exists(&e) && c.if_not_exists => {
                writeln!(out, "topic {name} exists already")?;
            }
            Err(e) if exists(&e) => {
                return Err(CliError::Failed(format!("topic '{name}' exists already")));
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn exists(e: &ClientError) -> bool {
    e.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS)
}

fn list(c: &List) -> Result<(), CliError> {
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    cluster.refresh(None, false)?;
    let topics = cluster.metadata().topics.iter().filter(|(_, t)| c.internal || !t.internal);
    let mut out = std::io::stdout().lock();
    if c.json {
        let names: Vec<&String> = topics.map(|(name, _)| name).collect();
        writeln!(out, "{}", json!(names))?;
    } else {
        for (name, _) in topics {
            writeln!(out, "{name}")?;
        }
    }
    Ok(())
}

fn describe(c: &Describe) -> Result<(), CliError> {
    c.names.iter().try_for_each(|name| check_topic(name))?;
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    let names: Vec<&str> = c.names.iter().map(String::as_str).collect();
    cluster.refresh((!names.is_empty()).then_some(&names), false)?;
    let metadata = cluster.metadata();
    let topics: Vec<(String, TopicMeta)> = if names.is_empty() {
        let shown = metadata.topics.iter().filter(|(_, t)| !t.internal);
        shown.map(|(name, t)| (name.clone(), t.clone())).collect()
    } else {
        names
            .iter()
            .map(|name| Ok(((*name).to_owned(), metadata.topic(name)?.clone())))
            .collect::<Result<_, ClientError>>()?
    };
    let mut out = std::io::stdout().lock();
    let mut all = Vec::new();
    for (name, topic) in &topics {
        let configs = configs(&mut cluster, name)?;
        let led: Vec<i32> =
            topic.partitions.iter().filter(|(_, p)| p.leader >= 0).map(|(p, _)| *p).collect();
        let starts = offsets::list(&mut cluster, name, &led, EARLIEST)?;
        let ends = offsets::list(&mut cluster, name, &led, LATEST)?;
        if c.json {
            all.push(as_json(name, topic, &configs, &starts, &ends));
            continue;
        }
        let replicas = topic.partitions.values().map(|p| p.replicas.len()).max().unwrap_or(0);
        writeln!(
            out,
            "topic {name}   id {}   {}   {}",
            topic.id,
            count(topic.partitions.len() as i32, "partition"),
            count(replicas as i32, "replica"),
        )?;
        for (name, value) in &configs {
            writeln!(out, "  {name}={}", value.as_deref().unwrap_or("null"))?;
        }
        writeln!(
            out,
            "  {:>9} {:>7} {:>6} {:>12} {:>12}  {:<10} in sync",
            "partition", "leader", "epoch", "start", "end", "replicas"
        )?;
        for (index, p) in &topic.partitions {
            let show = |offsets: &BTreeMap<i32, i64>| {
                offsets.get(index).map_or_else(|| "-".to_owned(), ToString::to_string)
            };
            let leader = if p.leader < 0 { "none".to_owned() } else { p.leader.to_string() };
            writeln!(
                out,
                "  {index:>9} {leader:>7} {:>6} {:>12} {:>12}  {:<10} {}",
                p.leader_epoch,
                show(&starts),
                show(&ends),
                joined(&p.replicas),
                joined(&p.isr),
            )?;
        }
    }
    if c.json {
        writeln!(out, "{}", serde_json::Value::Array(all))?;
    }
    Ok(())
}

fn as_json(
    name: &str,
    topic: &TopicMeta,
    configs: &BTreeMap<String, Option<String>>,
    starts: &BTreeMap<i32, i64>,
    ends: &BTreeMap<i32, i64>,
) -> serde_json::Value {
    let partitions: Vec<_> = topic
        .partitions
        .iter()
        .map(|(index, p)| {
            json!({
                "partition": index,
                "leader": if p.leader < 0 { None } else { Some(p.leader) },
                "leader_epoch": p.leader_epoch,
                "start_offset": starts.get(index),
                "end_offset": ends.get(index),
                "replicas": p.replicas,
                "isr": p.isr,
            })
        })
        .collect();
    json!({
        "topic": name,
        "id": topic.id.to_string(),
        "internal": topic.internal,
        "configs": configs,
        "partitions": partitions,
    })
}

/// `ConfigResource.Type.TOPIC` of Kafka.
const TOPIC: i8 = 2;
/// `ConfigSource.TOPIC_CONFIG`: set on the topic itself.
const TOPIC_CONFIG: i8 = 1;

/// What is set on the topic itself.
pub(super) fn configs(
    cluster: &mut Cluster,
    topic: &str,
) -> Result<BTreeMap<String, Option<String>>, CliError> {
    type Describe<'a> = DescribeConfigsRequest<'a>;
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: topic,
        configuration_keys: None,
    };
    let request = Describe { resources: vec![resource], ..Describe::default() };
    let configs = cluster.call(To::Any, &request, |reply| {
        let response = reply.read::<Describe<'_>>()?;
        let result = first(&response.results)?;
        let what = || format!("configuration of topic '{topic}'");
        check_code(result.error_code, what, result.error_message)?;
        let own = result.configs.iter().filter(|c| c.config_source == TOPIC_CONFIG);
        Ok(own.map(|c| (c.name.to_owned(), c.value.map(str::to_owned))).collect())
    })?;
    Ok(configs)
}

fn alter(c: &Alter) -> Result<(), CliError> {
    /// `AlterConfigOp.OpType` of Kafka.
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    check_topic(&c.name)?;
    let set = c.config.iter().map(|text| {
        let (name, value) = pair("--config", text)?;
        Ok(AlterableConfig { name, config_operation: SET, value: Some(value) })
    });
    let reset = c
        .delete_config
        .iter()
        .map(|name| Ok(AlterableConfig { name, config_operation: DELETE, value: None }));
    let configs = set.chain(reset).collect::<Result<Vec<_>, CliError>>()?;
    if configs.is_empty() && c.partitions.is_none() {
        let hint = "nothing to change: add --partitions, --config or --delete-config";
        return Err(CliError::Usage(hint.to_owned()));
    }
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    cluster.refresh(Some(&[&c.name]), false)?;
    cluster.metadata().topic(&c.name)?;
    let mut out = std::io::stdout().lock();
    let what = || format!("topic '{}'", c.name);
    if !configs.is_empty() {
        let changed = configs.len() as i32;
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: &c.name,
                configs,
            }],
            validate_only: false,
        };
        cluster.call(To::Any, &request, |reply| {
            let response = reply.read::<IncrementalAlterConfigsRequest<'_>>()?;
            let result = first(&response.responses)?;
            check_code(result.error_code, what, result.error_message)
        })?;
        writeln!(out, "changed {} of topic {}", count(changed, "setting"), c.name)?;
    }
    if let Some(partitions) = c.partitions {
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: &c.name,
                count: partitions,
                assignments: None,
            }],
            timeout_ms: 30_000,
            validate_only: false,
        };
        cluster.call(To::Controller, &request, |reply| {
            let response = reply.read::<CreatePartitionsRequest<'_>>()?;
            let result = first(&response.results)?;
            check_code(result.error_code, what, result.error_message)
        })?;
        writeln!(out, "topic {} has {} now", c.name, count(partitions, "partition"))?;
    }
    Ok(())
}

fn delete(c: &Delete) -> Result<(), CliError> {
    c.names.iter().try_for_each(|name| check_topic(name))?;
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    let mut out = std::io::stdout().lock();
    for name in &c.names {
        let request = DeleteTopicsRequest {
            topic_names: vec![name],
            timeout_ms: 30_000,
            ..DeleteTopicsRequest::default()
        };
        let read = |reply: &Reply| {
            let response = reply.read::<DeleteTopicsRequest<'_>>()?;
            let topic = first(&response.responses)?;
            if topic.error_code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0 {
                // Retriable by Kafka's book, but here it is the answer.
                return Ok(false);
            }
            check_code(topic.error_code, || format!("topic '{name}'"), topic.error_message)?;
            Ok(true)
        };
        match cluster.call(To::Controller, &request, read)? {
            true => writeln!(out, "deleted topic {name}")?,
            false if c.if_exists => writeln!(out, "topic {name} does not exist")?,
            false => return Err(CliError::Failed(format!("topic '{name}' does not exist"))),
        }
    }
    Ok(())
}

/// The one result that a request about one thing gets.
fn first<T>(results: &[T]) -> Result<&T, ClientError> {
    results.first().ok_or_else(|| ClientError::Refused {
        what: "the broker's answer is empty".to_owned(),
        code: ErrorCode::UNKNOWN_SERVER_ERROR,
        message: None,
    })
}
