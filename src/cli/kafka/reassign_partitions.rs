//! `kafka-reassign-partitions`.

use super::ToolError;
use super::address::{addresses, connect_as, property_file};
use super::error::{java_message, message_of};
use super::options::{self, Options, Parsed, flag, long, text};
use super::reassignment_file::{
    Directories, Replicas, checked, read_replicas, read_topics, shown, twice, write,
};
use crate::cli::balance::{self, Assignment, Node, Partition};
use crate::cli::names::joined;
use crate::cli::throttle;
use crate::client::admin::{LogDir, NewReassignment};
use crate::client::{ClientError, Cluster, clock};
use crate::types::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

const ABOUT: &str = "This tool helps to move topic partitions between replicas.";

static OPTIONS: Options = Options {
    all: &[
        flag("additional", "With --execute: beside what is under way, or to change its throttle."),
        text(
            "bootstrap-controller",
            "controller to connect to",
            "As --bootstrap-server, for --cancel.",
        ),
        options::BOOTSTRAP,
        text("broker-list", "brokerlist", "With --generate: brokers to move to, as \"0,1,2\"."),
        flag("cancel", "Cancel reassignments that are under way."),
        options::COMMAND_CONFIG,
        flag("disable-rack-aware", "With --generate: pay no attention to racks."),
        flag(
            "disallow-replication-factor-change",
            "With --execute: refuse to change how many replicas a partition has.",
        ),
        flag("execute", "Begin the reassignments of --reassignment-json-file."),
        flag("generate", "Print a reassignment for --topics-to-move-json-file; nothing is moved."),
        options::HELP,
        flag("list", "List all reassignments that are under way."),
        flag("preserve-throttles", "With --verify or --cancel: leave the throttles as they are."),
        text(
            "reassignment-json-file",
            "manual assignment json file path",
            "JSON file with the replicas of partitions. Its format:\n{\"partitions\":\n  \
             [{\"topic\": \"foo\",\n    \"partition\": 1,\n    \"replicas\": [1,2,3],\n    \
             \"log_dirs\": [\"any\",\"any\",\"any\"] }],\n \"version\":1\n}\n\"log_dirs\" may be \
             left out.",
        ),
        long(
            "replica-alter-log-dirs-throttle",
            "replicaAlterLogDirsThrottle",
            "Bytes per second of replicas that move between the directories of a broker.",
        )
        .default("-1"),
        long(
            "throttle",
            "throttle",
            "With --execute: bytes per second that a broker may send, and receive, for partitions \
             that are moved. --verify takes the throttle away when all are done.",
        )
        .default("-1"),
        long("timeout", "timeout", "Time in ms for moves between directories to begin.")
            .default("10000"),
        text(
            "topics-to-move-json-file",
            "topics to reassign json file path",
            "JSON file with topics. Its format:\n{\"topics\":\n  [{\"topic\": \"foo\"},{\"topic\": \
             \"foo1\"}],\n \"version\":1\n}",
        ),
        flag(
            "verify",
            "Show how far the reassignments are, and take throttles away after the last.",
        ),
        options::VERSION,
        options::ZOOKEEPER,
    ],
};

const ACTIONS: [&str; 5] = ["generate", "execute", "verify", "cancel", "list"];

const EXISTING: &str = "Cannot execute because there is an existing partition assignment.  Use \
                        --additional to override this and create a new partition assignment in \
                        addition to the existing one. The --additional flag can also be used to \
                        change the throttle by resubmitting the current reassignment.";

/// What went wrong with a reassignment: Kafka says it plainly where it is the answer, otherwise after "Error: ".
enum Failure {
    Plain(String),
    Error(String),
    Tool(ToolError),
}

impl From<ToolError> for Failure {
    fn from(e: ToolError) -> Self {
        match e {
            ToolError::Failed(why) => Self::Error(why),
            other => Self::Tool(other),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(e: ClientError) -> Self {
        Self::Error(java_message(&e))
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Self::Tool(e.into())
    }
}

fn error(why: impl Into<String>) -> Failure {
    Failure::Error(why.into())
}

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let o = OPTIONS.parse_or_help(args, ABOUT)?;
    let action = check(&o)?;
    act(&o, action).map_err(|failure| match failure {
        Failure::Plain(why) => ToolError::FailedOnOutput(why),
        Failure::Error(why) => ToolError::FailedOnOutput(format!("Error: {why}")),
        Failure::Tool(e) => e,
    })
}

/// Options that go with every action.
const ALWAYS: [&str; 4] =
    ["bootstrap-server", "bootstrap-controller", "zookeeper", "command-config"];

/// Which action, and whether the other options go with it.
fn check(o: &Parsed) -> Result<&'static str, ToolError> {
    let actions: Vec<&'static str> = ACTIONS.into_iter().filter(|it| o.has(it)).collect();
    let [action] = actions[..] else {
        return Err(o.usage(&format!(
            "Command must include exactly one action: {}",
            ACTIONS.map(|it| format!("--{it}")).join(", ")
        )));
    };
    let server = o.has("bootstrap-server") || o.has("zookeeper");
    match (server, o.has("bootstrap-controller")) {
        (true, true) => {
            let why = "Please don't specify both --bootstrap-server and --bootstrap-controller";
            return Err(o.usage(why));
        }
        (false, false) => {
            let why = "Please specify either --bootstrap-server or --bootstrap-controller";
            return Err(o.usage(why));
        }
        _ => {}
    }
    let (required, allowed): (&[&str], &[&str]) = match action {
        "verify" => (&["reassignment-json-file"], &["preserve-throttles"]),
        "generate" => (&["topics-to-move-json-file", "broker-list"], &["disable-rack-aware"]),
        "execute" => (
            &["reassignment-json-file"],
            &[
                "additional",
                "throttle",
                "replica-alter-log-dirs-throttle",
                "timeout",
                "disallow-replication-factor-change",
            ],
        ),
        "cancel" => (&["reassignment-json-file"], &["preserve-throttles", "timeout"]),
        _ => (&[], &[]),
    };
    o.require(required)?;
    let goes = |name: &str| {
        name == action
            || required.contains(&name)
            || allowed.contains(&name)
            || ALWAYS.contains(&name)
    };
    if let Some(name) = o.names().find(|name| !goes(name)) {
        return Err(
            o.usage(&format!("Option \"[{name}]\" can't be used with action \"[{action}]\""))
        );
    }
    Ok(action)
}

fn act(o: &Parsed, action: &str) -> Result<(), Failure> {
    let properties = property_file(o, "command-config")?;
    if o.has("bootstrap-controller") && action != "cancel" {
        return Err(error("The --bootstrap-controller option is not supported with these action."));
    }
    let flags = ["bootstrap-server", "bootstrap-controller"];
    let brokers = addresses(o, &flags, &properties)?.unwrap_or_default();
    let mut cluster = connect_as(&brokers, "reassign-partitions-tool")?;
    let cluster = &mut cluster;
    let file = |name: &str| -> Result<String, Failure> {
        let path = o.value(name)?.unwrap_or_default();
        std::fs::read_to_string(path).map_err(|e| error(format!("Unable to read file {path}: {e}")))
    };
    match action {
        "generate" => {
            let topics = file("topics-to-move-json-file")?;
            generate(o, cluster, &topics)
        }
        "execute" => execute(o, cluster, &read_replicas(&file("reassignment-json-file")?)?),
        "verify" => verify(o, cluster, &read_replicas(&file("reassignment-json-file")?)?),
        "cancel" => cancel(o, cluster, &read_replicas(&file("reassignment-json-file")?)?),
        _ => list(cluster),
    }
}

fn list(cluster: &mut Cluster) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let under_way = cluster.reassignments(None)?;
    if under_way.is_empty() {
        writeln!(out, "No partition reassignments found.")?;
        return Ok(());
    }
    writeln!(out, "Current partition reassignments:")?;
    for (at, it) in &under_way {
        write!(out, "{}: replicas: {}.", shown(at), joined(&it.replicas))?;
        for (what, ids) in [("adding", &it.adding), ("removing", &it.removing)] {
            if !ids.is_empty() {
                write!(out, " {what}: {}.", joined(ids))?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The replicas of all partitions of topics; a topic that does not exist is an error.
fn replicas_of(cluster: &mut Cluster, topics: &BTreeSet<&str>) -> Result<Assignment, Failure> {
    let names: Vec<&str> = topics.iter().copied().collect();
    cluster.refresh(Some(&names), false)?;
    let mut all = Assignment::new();
    for name in topics {
        let topic = cluster.metadata().topic(name).map_err(|e| match e {
            ClientError::UnknownTopic(_) => unknown(format!("Topic {name} not found.")),
            other => other.into(),
        })?;
        for (partition, it) in &topic.partitions {
            all.insert(((*name).to_owned(), *partition), it.replicas.clone());
        }
    }
    Ok(all)
}

/// Where replicas are, on the brokers that are there.
fn directories_of(cluster: &mut Cluster, current: &Assignment) -> Result<Directories, Failure> {
    let mut found = Directories::new();
    for broker in cluster.describe_cluster(false)?.brokers {
        if !current.values().any(|it| it.contains(&broker.id)) {
            continue;
        }
        for dir in cluster.log_dirs(broker.id)? {
            let held = dir.partitions.into_iter().filter(|it| !it.is_future);
            for at in held.map(|it| (it.topic, it.partition)) {
                if current.contains_key(&at) {
                    found.insert((at, broker.id), dir.path.clone());
                }
            }
        }
    }
    Ok(found)
}

fn unknown(why: String) -> Failure {
    let what = String::new();
    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    Failure::Error(java_message(&ClientError::Refused { what, code, message: Some(why) }))
}

fn generate(o: &Parsed, cluster: &mut Cluster, file: &str) -> Result<(), Failure> {
    let mut wanted = Vec::new();
    for text in o.value("broker-list")?.unwrap_or_default().split(',') {
        let id: i32 = text.parse().map_err(|_| error(format!("For input string: \"{text}\"")))?;
        wanted.push(id);
    }
    let again = twice(&wanted);
    if !again.is_empty() {
        let again = again.join(", ");
        return Err(error(format!("Broker list contains duplicate entries: [{again}]")));
    }
    let topics = read_topics(file)?;
    let current = replicas_of(cluster, &topics.iter().map(String::as_str).collect())?;
    let racks = !o.has("disable-rack-aware");
    let brokers = cluster.describe_cluster(false)?.brokers.into_iter();
    let nodes: Vec<Node> = brokers
        .filter(|it| wanted.contains(&it.id))
        .map(|it| Node { id: it.id, rack: it.rack.filter(|_| racks) })
        .collect();
    let rackless = nodes.iter().filter(|it| it.rack.is_none()).count();
    if rackless != 0 && rackless != nodes.len() {
        return Err(error(
            "Not all brokers have rack information. Add --disable-rack-aware in command line to \
             make replica assignment without rack information.",
        ));
    }
    let mut proposed = Assignment::new();
    for topic in &topics {
        let of_topic: Vec<_> = current.iter().filter(|it| it.0.0 == *topic).collect();
        let Some((_, first)) = of_topic.first() else { continue };
        if first.len() > nodes.len() {
            return Err(error(format!(
                "The target replication factor of {} cannot be reached because only {} broker(s) \
                 are registered or some brokers have all their log directories cordoned.",
                first.len(),
                nodes.len()
            )));
        }
        let seed = clock::wall_ms() as u64;
        let placed = balance::stripe(&nodes, of_topic.len(), first.len(), seed);
        proposed.extend(of_topic.iter().map(|it| it.0.clone()).zip(placed));
    }
    let directories = directories_of(cluster, &current)?;
    let mut out = std::io::stdout().lock();
    let (current, proposed) = (write(&current, &directories), write(&proposed, &BTreeMap::new()));
    writeln!(out, "Current partition replica assignment\n{current}\n")?;
    writeln!(out, "Proposed partition reassignment configuration\n{proposed}")?;
    Ok(())
}

fn execute(o: &Parsed, cluster: &mut Cluster, file: &Replicas) -> Result<(), Failure> {
    let proposed = checked(file)?;
    let under_way = cluster.reassignments(None)?;
    if !o.has("additional") && !under_way.is_empty() {
        return Err(Failure::Plain(EXISTING.to_owned()));
    }
    let known: BTreeSet<i32> =
        cluster.describe_cluster(false)?.brokers.iter().map(|it| it.id).collect();
    if let Some(id) = proposed.values().flatten().find(|id| !known.contains(id)) {
        return Err(error(format!("Unknown broker id {id}")));
    }
    let topics = proposed.keys().map(|it| it.0.as_str()).collect();
    let mut current = replicas_of(cluster, &topics)?;
    current.retain(|at, _| proposed.contains_key(at));
    let missing: Vec<String> =
        proposed.keys().filter(|at| !current.contains_key(*at)).map(shown).collect();
    if !missing.is_empty() {
        return Err(unknown(format!("Unable to find partition: {}", missing.join(", "))));
    }
    if !file.directories.is_empty() {
        return Err(error("a broker of Klamm has one directory: \"log_dirs\" can only be \"any\""));
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Current partition replica assignment\n\n{}\n\nSave this to use as the \
         --reassignment-json-file option during rollback",
        write(&current, &directories_of(cluster, &current)?)
    )?;
    let rate: i64 = o.number("throttle")?.unwrap_or(-1);
    let directories: i64 = o.number("replica-alter-log-dirs-throttle")?.unwrap_or(-1);
    if rate >= 0 || directories >= 0 {
        writeln!(
            out,
            "Warning: You must run --verify periodically, until the reassignment completes, to \
             ensure the throttle is removed."
        )?;
    }
    if rate >= 0 {
        let moves = throttle::moves(&under_way, &proposed, &current);
        throttle::set(cluster, &moves, rate)?;
        writeln!(out, "The inter-broker throttle limit was set to {rate} B/s")?;
    }
    if directories >= 0 {
        // It is set on the brokers of "log_dirs", of which there are none.
        writeln!(out, "The replica-alter-dir throttle limit was set to {directories} B/s")?;
    }
    let wanted: Vec<NewReassignment> =
        proposed.iter().map(|(at, ids)| (at.clone(), Some(ids.clone()))).collect();
    let change_factor = !o.has("disallow-replication-factor-change");
    let results = cluster.reassign(&wanted, change_factor)?;
    if let Some(errors) = errors_of(&results) {
        return Err(Failure::Plain(format!("Error reassigning partition(s):\n{errors}")));
    }
    let names: Vec<String> = proposed.keys().map(shown).collect();
    let s = plural(names.len());
    writeln!(out, "Successfully started partition reassignment{s} for {}", names.join(","))?;
    Ok(())
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn errors_of(results: &BTreeMap<Partition, Result<(), ClientError>>) -> Option<String> {
    let errors = results.iter().filter_map(|(at, it)| Some((at, it.as_ref().err()?)));
    let errors: Vec<String> =
        errors.map(|(at, e)| format!("{}: {}", shown(at), message_of(e))).collect();
    (!errors.is_empty()).then(|| errors.join("\n"))
}

/// Takes the throttles of topics and of all brokers away: which of them were set is not known any more.
fn clear_throttles(cluster: &mut Cluster, file: &Replicas) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let mut brokers: BTreeSet<i32> =
        cluster.describe_cluster(false)?.brokers.iter().map(|it| it.id).collect();
    brokers.extend(file.partitions.iter().flat_map(|it| &it.1));
    let ids: Vec<i32> = brokers.iter().copied().collect();
    let s = plural(ids.len());
    writeln!(out, "Clearing broker-level throttles on broker{s} {}", joined(&ids))?;
    throttle::clear_brokers(cluster, &brokers)?;
    let topics: BTreeSet<&str> = file.partitions.iter().map(|it| it.0.0.as_str()).collect();
    let names: Vec<&str> = topics.iter().copied().collect();
    let s = plural(names.len());
    writeln!(out, "Clearing topic-level throttles on topic{s} {}", names.join(","))?;
    throttle::clear_topics(cluster, &topics)?;
    Ok(())
}

fn verify(o: &Parsed, cluster: &mut Cluster, file: &Replicas) -> Result<(), Failure> {
    let under_way = cluster.reassignments(None)?;
    let wanted: BTreeMap<&Partition, &Vec<i32>> =
        file.partitions.iter().map(|it| (&it.0, &it.1)).collect();
    let topics: BTreeSet<&str> = wanted.keys().map(|at| at.0.as_str()).collect();
    let names: Vec<&str> = topics.iter().copied().collect();
    cluster.refresh(Some(&names), false)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "Status of partition reassignment:")?;
    for (at, target) in &wanted {
        let name = shown(at);
        if under_way.contains_key(*at) {
            writeln!(out, "Reassignment of partition {name} is still in progress.")?;
            continue;
        }
        let current = match cluster.metadata().topic(&at.0) {
            Ok(topic) => topic.partitions.get(&at.1).map(|it| it.replicas.clone()),
            Err(ClientError::UnknownTopic(_)) => None,
            Err(e) => return Err(e.into()),
        };
        let current = current.unwrap_or_default();
        if current == **target {
            writeln!(out, "Reassignment of partition {name} is completed.")?;
        } else {
            writeln!(
                out,
                "There is no active reassignment of partition {name}, but replica set is {} rather \
                 than {}.",
                joined(&current),
                joined(*target)
            )?;
        }
    }
    let (lines, moving) = directory_states(cluster, file)?;
    writeln!(out, "{}", lines.join("\n"))?;
    drop(out);
    if under_way.is_empty() && !moving && !o.has("preserve-throttles") {
        clear_throttles(cluster, file)?;
    }
    Ok(())
}

/// What is said of the directories that were asked for, and whether a replica moves to one now.
fn directory_states(
    cluster: &mut Cluster,
    file: &Replicas,
) -> Result<(Vec<String>, bool), Failure> {
    let mut by_broker: BTreeMap<i32, Vec<(&Partition, &str)>> = BTreeMap::new();
    for ((at, broker), directory) in &file.directories {
        by_broker.entry(*broker).or_default().push((at, directory));
    }
    let (mut lines, mut moving) = (Vec::new(), false);
    for (broker, wanted) in by_broker {
        let dirs = cluster.log_dirs(broker)?;
        for ((topic, partition), target) in wanted {
            let holds = |dir: &&LogDir, future: bool| {
                let mut all = dir.partitions.iter();
                all.any(|p| p.topic == *topic && p.partition == *partition && p.is_future == future)
            };
            let current = dirs.iter().find(|dir| holds(dir, false));
            let future = dirs.iter().find(|dir| holds(dir, true));
            let replica = format!("{topic}-{partition}-{broker}");
            let name = format!("{topic}-{partition}");
            lines.push(match (current, future) {
                (None, _) => format!(
                    "Partition {name} is not found in any live log dir on broker {broker}. There \
                     is likely an offline log directory on the broker."
                ),
                (Some(_), Some(future)) if future.path == target => {
                    moving = true;
                    format!("Reassignment of replica {replica} is still in progress.")
                }
                (Some(_), Some(future)) => {
                    moving = true;
                    format!(
                        "Partition {name} on broker {broker} is being moved to log dir {} instead \
                         of {target}.",
                        future.path
                    )
                }
                (Some(current), None) if current.path == target => {
                    format!("Reassignment of replica {replica} completed successfully.")
                }
                (Some(current), None) => format!(
                    "Partition {name} on broker {broker} is not being moved from log dir {} to \
                     {target}.",
                    current.path
                ),
            });
        }
    }
    Ok((lines, moving))
}

fn cancel(o: &Parsed, cluster: &mut Cluster, file: &Replicas) -> Result<(), Failure> {
    let partitions: BTreeSet<&Partition> = file.partitions.iter().map(|it| &it.0).collect();
    let partitions: Vec<Partition> = partitions.into_iter().cloned().collect();
    let under_way = cluster.reassignments(Some(&partitions))?;
    let wanted: Vec<NewReassignment> = under_way.keys().map(|at| (at.clone(), None)).collect();
    let mut out = std::io::stdout().lock();
    if wanted.is_empty() {
        writeln!(out, "None of the specified partition reassignments are active.")?;
    } else {
        let results = cluster.reassign(&wanted, true)?;
        if let Some(errors) = errors_of(&results) {
            let s = plural(results.values().filter(|it| it.is_err()).count());
            let why = format!("Error cancelling partition reassignment{s} for:\n{errors}");
            return Err(Failure::Plain(why));
        }
        let names: Vec<String> = wanted.iter().map(|it| shown(&it.0)).collect();
        let s = plural(names.len());
        writeln!(out, "Successfully cancelled partition reassignment{s} for: {}", names.join(","))?;
    }
    // Moves between the directories of a broker are not begun here, so there are none to cancel.
    write!(out, "None of the specified partition moves are active.")?;
    drop(out);
    if !o.has("preserve-throttles") {
        clear_throttles(cluster, file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(line: &str) -> String {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match check(&OPTIONS.parse(&args).expect("reads")) {
            Ok(action) => action.to_owned(),
            Err(ToolError::Usage(text)) => text.lines().next().unwrap_or_default().to_owned(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_go_together_as_in_kafka() {
        for (line, want) in [
            ("--bootstrap-server a:1 --list", "list"),
            ("--bootstrap-server a:1 --execute --reassignment-json-file x --throttle 5", "execute"),
            (
                "--bootstrap-server a:1 --list --execute",
                "Command must include exactly one action: --generate, --execute, --verify, \
                 --cancel, --list",
            ),
            ("--list", "Please specify either --bootstrap-server or --bootstrap-controller"),
            (
                "--bootstrap-server a:1 --bootstrap-controller b:1 --list",
                "Please don't specify both --bootstrap-server and --bootstrap-controller",
            ),
            (
                "--bootstrap-server a:1 --execute",
                "Missing required argument \"[reassignment-json-file]\"",
            ),
            (
                "--bootstrap-server a:1 --list --throttle 5",
                "Option \"[throttle]\" can't be used with action \"[list]\"",
            ),
        ] {
            assert_eq!(says(line), want, "{line}");
        }
    }
}
