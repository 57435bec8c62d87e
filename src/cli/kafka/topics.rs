//! `kafka-topics`, and `kafka-topic`, as some tutorials write it.

use super::address::{addresses, connect, property_file};
use super::error::{message_of, notice};
use super::options::{self, Options, Parsed, flag, integer, text};
use super::topic_filter::IncludeList;
use super::{ToolError, uuid};
use crate::cli::names::joined;
use crate::client::admin::{ConfigEntry, ConfigSource, NewTopic, PartitionState, Resource};
use crate::client::{ClientError, Cluster};
use crate::types::{ErrorCode, TopicId, topic_name};
use std::collections::BTreeSet;
use std::io::Write;

const ABOUT: &str = "This tool helps to create, delete, describe, or change a topic.";

static OPTIONS: Options = Options {
    all: &[
        flag("alter", "Raise the number of partitions. kafka-configs alters configurations."),
        flag("at-min-isr-partitions", "With --describe: only partitions at min.insync.replicas."),
        options::BOOTSTRAP,
        options::COMMAND_CONFIG,
        text("config", "name=value", "With --create: a configuration of the topic; repeatable."),
        flag("create", "Create a topic."),
        flag("delete", "Delete topics."),
        text("delete-config", "name", "No longer supported; kafka-configs does this."),
        flag("describe", "Show topics and their partitions."),
        flag("exclude-internal", "Leave internal topics out when listing or describing."),
        options::HELP,
        flag("if-exists", "When altering, deleting or describing: no error without a topic."),
        flag("if-not-exists", "With --create: no error where the topic exists."),
        flag("list", "List topics."),
        integer(
            "partition-size-limit-per-response",
            "maximum number of partitions per response",
            "Most partitions in one answer of the broker.",
        ),
        integer(
            "partitions",
            "# of partitions",
            "Number of partitions to create the topic with, or to raise it to. Without it, the \
             broker's num.partitions. Raising it changes which partition a key goes to.",
        ),
        text(
            "replica-assignment",
            "broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , \
             broker_id_for_part2_replica1 : broker_id_for_part2_replica2 , ...",
            "Brokers of each partition, by hand.",
        ),
        integer(
            "replication-factor",
            "replication factor",
            "Replicas of each partition. Without it, the broker's default.replication.factor.",
        ),
        text(
            "topic",
            "topic",
            "The topic. Except with --create, a regular expression that the whole name matches.",
        ),
        text("topic-id", "topic-id", "With --describe: the id of the topic."),
        flag("topics-with-overrides", "With --describe: only topics with configurations set."),
        flag("unavailable-partitions", "With --describe: only partitions without a leader."),
        flag("under-min-isr-partitions", "With --describe: only those below min.insync.replicas."),
        flag("under-replicated-partitions", "With --describe: only under-replicated partitions."),
        options::VERSION,
        options::ZOOKEEPER,
    ],
};

const ACTIONS: [&str; 5] = ["list", "describe", "create", "alter", "delete"];
/// Options that show only some partitions.
const REPORTS: [&str; 4] = [
    "under-replicated-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "unavailable-partitions",
];
const SEE_CONFIGS: &str = " (To alter topic configurations, the kafka-configs tool can be used.)";

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    if args.is_empty() {
        return Err(OPTIONS.usage("Create, delete, describe, or change a topic."));
    }
    let o = OPTIONS.parse_or_help(args, ABOUT)?;
    check(&o)?;
    let properties = property_file(&o, "command-config")?;
    let brokers = addresses(&o, &["bootstrap-server"], &properties)?.unwrap_or_default();
    let mut cluster = connect(&brokers)?;
    act(&o, &mut cluster).map_err(|e| match e {
        ToolError::Failed(text) => {
            ToolError::FailedOnOutput(format!("Error while executing topic command : {text}"))
        }
        other => other,
    })
}

fn act(o: &Parsed, cluster: &mut Cluster) -> Result<(), ToolError> {
    if o.has("create") {
        create(o, cluster)
    } else if o.has("alter") {
        alter(o, cluster)
    } else if o.has("list") {
        let names = names(o, cluster)?;
        writeln!(std::io::stdout(), "{}", names.join("\n"))?;
        Ok(())
    } else if o.has("describe") {
        describe(o, cluster)
    } else {
        let names = names(o, cluster)?;
        must_exist(o, names.is_empty())?;
        cluster.delete_topics(&names).map_err(failed)
    }
}

/// Checks which options were given together, in the order of Kafka's checks.
fn check(o: &Parsed) -> Result<(), ToolError> {
    if ACTIONS.iter().filter(|a| o.has(a)).count() != 1 {
        return Err(o.usage(
            "Command must include exactly one action: --list, --describe, --create, --alter or \
             --delete",
        ));
    }
    if o.has("delete-config") {
        notice(
            "delete-config option is no longer supported and deprecated since version 4.0. The \
             config will be fully removed in future releases.",
        );
    }
    if !o.has("bootstrap-server") && !o.has("zookeeper") {
        return Err(ToolError::failed("--bootstrap-server must be specified"));
    }
    if o.has("describe") && o.has("if-exists") {
        if !o.has("topic") && !o.has("topic-id") {
            return Err(o.usage("--topic or --topic-id is required to describe a topic"));
        }
        if o.has("topic") && o.has("topic-id") {
            writeln!(
                std::io::stdout(),
                "Only topic id will be used when both --topic and --topic-id are specified and \
                 topicId is not Uuid.ZERO_UUID"
            )?;
        }
    }
    if !o.has("list") && !o.has("describe") {
        o.require(&["topic"])?;
    }
    if o.has("alter") {
        if o.has("config") {
            return Err(o.usage(&format!(
                "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \
                 \"[alter]\"{SEE_CONFIGS}"
            )));
        }
        o.require(&["partitions"])?;
    }
    let only = |used: &str, with: &[&str]| {
        let others: Vec<_> = ACTIONS.iter().copied().filter(|a| !with.contains(a)).collect();
        o.forbid(used, &others)
    };
    only("config", &["alter", "create"])?;
    only("partitions", &["alter", "create"])?;
    only("replication-factor", &["create"])?;
    only("replica-assignment", &["alter", "create"])?;
    if o.has("create") {
        o.forbid("replica-assignment", &["partitions", "replication-factor"])?;
    }
    for report in REPORTS {
        only(report, &["describe"])?;
        o.forbid(report, &["topics-with-overrides"])?;
    }
    only("topics-with-overrides", &["describe"])?;
    only("if-exists", &["alter", "delete", "describe"])?;
    only("if-not-exists", &["create"])?;
    only("exclude-internal", &["list", "describe"])
}

/// The broker's own message about an error.
fn failed(e: ClientError) -> ToolError {
    ToolError::Failed(message_of(&e))
}

fn create(o: &Parsed, cluster: &mut Cluster) -> Result<(), ToolError> {
    let name = o.value("topic")?.unwrap_or_default();
    let partitions = o.number::<i32>("partitions")?;
    let replication_factor = o.number::<i32>("replication-factor")?;
    let assignments = assignments(o)?;
    let mut configs = Vec::new();
    for text in o.values("config") {
        let pair = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let (name, value) = pair
            .filter(|(_, value)| !value.is_empty() && !value.contains('='))
            .ok_or_else(|| {
                ToolError::failed(
                    "requirement failed: Invalid topic config: all configs to be added must be in \
                     the format \"key=val\".",
                )
            })?;
        configs.push((name.to_owned(), value.to_owned()));
    }
    if name.contains(['.', '_']) {
        writeln!(
            std::io::stdout(),
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore \
             ('_') could collide. To avoid issues it is best to use either, but not both."
        )?;
    }
    if replication_factor.is_some_and(|n| !(1..=i32::from(i16::MAX)).contains(&n)) {
        return Err(ToolError::Failed(format!(
            "The replication factor must be between 1 and {} inclusive",
            i16::MAX
        )));
    }
    if partitions.is_some_and(|n| n < 1) {
        return Err(ToolError::failed("The partitions must be greater than 0"));
    }
    if name.is_empty() {
        return Err(ToolError::failed(
            "The given topic name '' cannot be represented in a request.",
        ));
    }
    let topic = NewTopic {
        name: name.to_owned(),
        partitions,
        replication_factor: replication_factor.map(|n| n as i16),
        assignments,
        configs,
    };
    match cluster.create_topic(&topic) {
        Ok(()) => writeln!(std::io::stdout(), "Created topic {name}.")?,
        Err(e) if o.has("if-not-exists") && e.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => {}
        Err(e) => return Err(failed(e)),
    }
    Ok(())
}

/// `--replica-assignment`: brokers with colons between them, partitions with commas.
fn assignments(o: &Parsed) -> Result<Vec<Vec<i32>>, ToolError> {
    let text = o.value("replica-assignment")?.unwrap_or_default();
    let mut all: Vec<Vec<i32>> = Vec::new();
    for (i, partition) in text.split(',').enumerate().filter(|_| !text.is_empty()) {
        let mut brokers: Vec<i32> = Vec::new();
        for id in partition.split(':').map(str::trim) {
            let id =
                id.parse().map_err(|_| ToolError::Failed(format!("For input string: \"{id}\"")))?;
            brokers.push(id);
        }
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<_> = brokers.iter().filter(|id| !seen.insert(**id)).collect();
        if !twice.is_empty() {
            let twice: Vec<_> = twice.iter().map(ToString::to_string).collect();
            return Err(ToolError::Failed(format!(
                "Partition replica lists may not contain duplicate entries: {}",
                twice.join(",")
            )));
        }
        if all.first().is_some_and(|first| first.len() != brokers.len()) {
            return Err(ToolError::Failed(format!(
                "Partition {i} has different replication factor: {brokers:?}"
            )));
        }
        all.push(brokers);
    }
    Ok(all)
}

/// The topics that `--topic` matches, or all of them; by name.
fn names(o: &Parsed, cluster: &mut Cluster) -> Result<Vec<String>, ToolError> {
    cluster.refresh(None, false).map_err(failed)?;
    let exclude = o.has("exclude-internal");
    let list = o.value("topic")?.map(IncludeList::new).transpose()?;
    let all = cluster.metadata().topics.keys();
    let wanted = all.filter(|name| match &list {
        Some(list) => list.allows(name, exclude),
        None => !(exclude && topic_name::is_internal(name)),
    });
    Ok(wanted.cloned().collect())
}

/// A topic that was asked for must be there, unless `--if-exists` says otherwise.
fn must_exist(o: &Parsed, none: bool) -> Result<(), ToolError> {
    match o.value("topic")? {
        Some(name) if none && !name.is_empty() && !o.has("if-exists") => {
            Err(ToolError::Failed(format!("Topic '{name}' does not exist as expected")))
        }
        _ => Ok(()),
    }
}

fn alter(o: &Parsed, cluster: &mut Cluster) -> Result<(), ToolError> {
    let partitions = o.number::<i32>("partitions")?.unwrap_or_default();
    let assignments = assignments(o)?;
    let names = names(o, cluster)?;
    must_exist(o, names.is_empty())?;
    for name in &names {
        let have = cluster.metadata().topic(name).map_err(failed)?.partitions.len();
        let new = assignments.get(have..).unwrap_or_default();
        cluster.create_partitions(name, partitions, new).map_err(failed)?;
    }
    Ok(())
}

fn describe(o: &Parsed, cluster: &mut Cluster) -> Result<(), ToolError> {
    let id = o.value("topic-id")?.map(uuid::parse).transpose()?.filter(|id| *id != TopicId::ZERO);
    let names = if let Some(id) = id {
        cluster.refresh(None, false).map_err(failed)?;
        let topics = cluster.metadata().topics.iter();
        let names: Vec<_> =
            topics.filter(|(_, t)| t.id == id).map(|(name, _)| name.clone()).collect();
        if names.is_empty() && !o.has("if-exists") {
            return Err(ToolError::Failed(format!("TopicId '{id}' does not exist as expected")));
        }
        names
    } else {
        let names = names(o, cluster)?;
        must_exist(o, names.is_empty())?;
        names
    };
    if names.is_empty() {
        return Ok(());
    }
    let topics = cluster.describe_topics(&names).map_err(failed)?;
    let live: BTreeSet<i32> = cluster.metadata().brokers.keys().copied().collect();
    let reported = REPORTS.iter().any(|r| o.has(r));
    let mut out = std::io::stdout().lock();
    for topic in &topics {
        let resource = Resource::Topic(topic.name.clone());
        let configs = cluster.describe_configs(&resource).map_err(failed)?;
        let set: Vec<&ConfigEntry> =
            configs.iter().filter(|c| c.source != ConfigSource::DEFAULT).collect();
        if !reported && (!o.has("topics-with-overrides") || !set.is_empty()) {
            let set: Vec<_> =
                set.iter().map(|c| format!("{}={}", c.name, shown(c.value.as_deref()))).collect();
            write!(out, "Topic: {}", topic.name)?;
            if topic.id != TopicId::ZERO {
                write!(out, "\tTopicId: {}", topic.id)?;
            }
            writeln!(
                out,
                "\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}",
                topic.partitions.len(),
                topic.partitions.first().map_or(0, |p| p.replicas.len()),
                set.join(","),
            )?;
        }
        if o.has("topics-with-overrides") {
            continue;
        }
        let min_isr = configs.iter().find(|c| c.name == "min.insync.replicas");
        let min_isr = min_isr.and_then(|c| c.value.as_deref()?.parse().ok()).unwrap_or(1);
        for p in topic.partitions.iter().filter(|p| !reported || is_reported(o, p, min_isr, &live))
        {
            let leader = if p.leader < 0 { "none".to_owned() } else { p.leader.to_string() };
            let elr =
                |ids: &Option<Vec<i32>>| ids.as_ref().map_or_else(|| "N/A".to_owned(), joined);
            writeln!(
                out,
                "\tTopic: {}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}\tElr: \
                 {}\tLastKnownElr: {}",
                topic.name,
                p.partition,
                joined(&p.replicas),
                joined(&p.isr),
                elr(&p.elr),
                elr(&p.last_known_elr),
            )?;
        }
    }
    Ok(())
}

/// Whether one of [`REPORTS`] that is asked for wants the partition.
fn is_reported(o: &Parsed, p: &PartitionState, min_isr: usize, live: &BTreeSet<i32>) -> bool {
    let led = p.leader >= 0;
    (o.has("under-replicated-partitions") && p.isr.len() < p.replicas.len())
        || (o.has("unavailable-partitions") && !(led && live.contains(&p.leader)))
        || (o.has("under-min-isr-partitions") && (!led || p.isr.len() < min_isr))
        || (o.has("at-min-isr-partitions") && p.isr.len() == min_isr)
}

fn shown(value: Option<&str>) -> &str {
    value.unwrap_or("null")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Parsed {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        OPTIONS.parse(&args).expect("reads")
    }

    fn says(line: &str) -> String {
        match check(&parsed(line)) {
            Ok(()) => String::new(),
            Err(ToolError::Usage(text)) => text.lines().next().unwrap_or_default().to_owned(),
            Err(ToolError::Failed(text)) => text,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_go_together_as_in_kafka() {
        for (line, want) in [
            ("--list --bootstrap-server a:1", ""),
            ("--list --zookeeper a:1", ""),
            ("--list", "--bootstrap-server must be specified"),
            (
                "--bootstrap-server a:1",
                "Command must include exactly one action: --list, \
              --describe, --create, --alter or --delete",
            ),
            ("--bootstrap-server a:1 --create", "Missing required argument \"[topic]\""),
            (
                "--bootstrap-server a:1 --alter --topic a",
                "Missing required argument \
              \"[partitions]\"",
            ),
            (
                "--bootstrap-server a:1 --list --partitions 1",
                "Option \"[partitions]\" can't be \
              used with option \"[list]\"",
            ),
            (
                "--bootstrap-server a:1 --describe --under-replicated-partitions \
              --topics-with-overrides",
                "Option \"[under-replicated-partitions]\" can't be used \
              with option \"[topics-with-overrides]\"",
            ),
            (
                "--bootstrap-server a:1 --describe --if-exists",
                "--topic or --topic-id is required \
              to describe a topic",
            ),
        ] {
            assert_eq!(says(line), want, "{line}");
        }
        assert!(
            says("--bootstrap-server a:1 --alter --topic a --config b=c").contains(SEE_CONFIGS)
        );
    }

    #[test]
    fn assignments_name_the_brokers_of_each_partition() {
        let read = |text: &str| assignments(&parsed(&format!("--replica-assignment {text}")));
        assert_eq!(read("1:2,2:1"), Ok(vec![vec![1, 2], vec![2, 1]]));
        assert_eq!(assignments(&parsed("--create")), Ok(vec![]));
        let says = |text: &str| match read(text) {
            Err(ToolError::Failed(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(says("1:1"), "Partition replica lists may not contain duplicate entries: 1");
        assert_eq!(says("1,1:2"), "Partition 1 has different replication factor: [1, 2]");
        assert_eq!(says("x"), "For input string: \"x\"");
    }

    #[test]
    fn reports_choose_partitions() {
        let p = PartitionState {
            leader: 1,
            replicas: vec![1, 2, 3],
            isr: vec![1, 2],
            ..PartitionState::default()
        };
        let chosen = |report: &str, min_isr: usize, live: &[i32]| {
            let live = live.iter().copied().collect();
            is_reported(&parsed(&format!("--{report}")), &p, min_isr, &live)
        };
        assert!(chosen("under-replicated-partitions", 1, &[1]));
        assert!(!chosen("unavailable-partitions", 1, &[1]));
        assert!(chosen("unavailable-partitions", 1, &[2]));
        assert!(chosen("under-min-isr-partitions", 3, &[1]));
        assert!(!chosen("under-min-isr-partitions", 2, &[1]));
        assert!(chosen("at-min-isr-partitions", 2, &[1]));
        assert!(!chosen("at-min-isr-partitions", 1, &[1]));
    }
}
