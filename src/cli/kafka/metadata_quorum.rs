//! `kafka-metadata-quorum`.

use super::ToolError;
use super::address::connect;
use super::arguments::{Arguments, Command, Namespace, Program, flag, integer, text};
use super::error::java_message;
use super::properties::{self, Properties};
use super::{table, uuid};
use crate::client::admin::{Endpoint, Quorum, QuorumReplica};
use crate::client::{ClientError, Cluster, clock};
use crate::config::host_port;
use crate::types::TopicId;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

const PROGRAM: Program = Program {
    name: "kafka-metadata-quorum",
    about: "This tool describes kraft metadata quorum status.",
    help_fails: false,
    arguments: Arguments {
        all: &[text(
            &["--command-config"],
            "Property file with settings of the client, and for add-controller those of the node \
             that is added.",
        )],
        one_of: &[
            text(
                &["--bootstrap-server"],
                "A list of host:port pairs to use for establishing the connection to the cluster.",
            ),
            text(
                &["--bootstrap-controller"],
                "The same: brokers of Klamm are controllers, and have no other port for clients.",
            ),
        ],
        one_required: true,
    },
    commands: &[
        Command {
            name: "describe",
            help: "Describe the metadata quorum info",
            arguments: Arguments {
                all: &[
                    flag(&["--status"], "A short summary of the quorum."),
                    flag(&["--replication"], "How far each of its members has come."),
                    flag(&["--human-readable"], "Times as how long ago they are."),
                ],
                ..super::arguments::NONE
            },
        },
        Command {
            name: "add-controller",
            help: "Add a controller to the KRaft controller cluster",
            arguments: Arguments {
                all: &[flag(&["--dry-run"], "Print what would be done, and do not do it.")],
                ..super::arguments::NONE
            },
        },
        Command {
            name: "remove-controller",
            help: "Remove a controller from the KRaft controller cluster",
            arguments: Arguments {
                all: &[
                    integer(&["--controller-id", "-i"], "The id of the controller to remove.")
                        .required(),
                    text(
                        &["--controller-directory-id", "-d"],
                        "The directory ID of the controller to remove.",
                    )
                    .required(),
                    flag(&["--dry-run"], "Print what would be done, and do not do it."),
                ],
                ..super::arguments::NONE
            },
        },
    ],
};

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let found = PROGRAM.parse(args).map_err(|e| e.error(&PROGRAM))?;
    let settings = settings(&found)?;
    let addresses = found.value("bootstrap-server").or(found.value("bootstrap-controller"));
    let addresses = addresses.unwrap_or_default();
    match found.command {
        "describe" => {
            let human_readable = found.has("human-readable");
            let why = match (found.has("status"), found.has("replication")) {
                (true, true) => {
                    "Only one of --status or --replication should be specified with describe \
                     sub-command"
                }
                (false, false) => {
                    "One of --status or --replication must be specified with describe sub-command"
                }
                (true, false) if human_readable => {
                    "The option --human-readable is only supported along with --replication"
                }
                (true, false) => return describe_status(&mut connect(addresses)?),
                (false, true) => {
                    return describe_replication(&mut connect(addresses)?, human_readable);
                }
            };
            Err(ToolError::failed(why))
        }
        "add-controller" => {
            let settings = settings.ok_or_else(|| {
                ToolError::failed(
                    "You must supply the configuration file of the controller you are adding when \
                     using add-controller.",
                )
            })?;
            add_controller(&mut connect(addresses)?, &settings, found.has("dry-run"))
        }
        _ => remove_controller(&found, addresses),
    }
}

fn settings(found: &Namespace) -> Result<Option<Properties>, ToolError> {
    let Some(path) = found.value("command-config") else { return Ok(None) };
    if !Path::new(path).exists() {
        return Err(ToolError::Failed(format!("Properties file {path} does not exists!")));
    }
    let settings = properties::load(path)?;
    super::address::check_client(&settings)?;
    Ok(Some(settings))
}

/// As Java says what came of a request: the exception's class is part of it.
fn failed(e: ClientError) -> ToolError {
    ToolError::Failed(java_message(&e))
}

/// The quorum and its leader, without which there is nothing to show.
fn quorum(cluster: &mut Cluster) -> Result<(Quorum, QuorumReplica), ToolError> {
    let quorum = cluster.describe_quorum().map_err(failed)?;
    let leader = quorum.leading().cloned();
    let leader = leader.ok_or_else(|| ToolError::failed("The quorum has no leader now"))?;
    Ok((quorum, leader))
}

fn describe_status(cluster: &mut Cluster) -> Result<(), ToolError> {
    let id = cluster.describe_cluster(false).map_err(failed)?.id;
    let (quorum, leader) = quorum(cluster)?;
    let last = quorum.voters.iter().min_by_key(|it| it.log_end_offset).unwrap_or(&leader);
    let lag_ms = if last.id == leader.id {
        0
    } else if leader.last_caught_up_ms >= 0 && last.last_caught_up_ms >= 0 {
        leader.last_caught_up_ms - last.last_caught_up_ms
    } else {
        -1
    };
    let mut out = std::io::stdout().lock();
    for (name, value) in [
        ("ClusterId:", id),
        ("LeaderId:", quorum.leader.to_string()),
        ("LeaderEpoch:", quorum.leader_epoch.to_string()),
        ("HighWatermark:", quorum.high_watermark.to_string()),
        ("MaxFollowerLag:", (leader.log_end_offset - last.log_end_offset).to_string()),
        ("MaxFollowerLagTimeMs:", lag_ms.to_string()),
        ("CurrentVoters:", members(&quorum, &quorum.voters)),
        ("CurrentObservers:", members(&quorum, &quorum.observers)),
    ] {
        writeln!(out, "{name:<24}{value}")?;
    }
    Ok(())
}

fn url(it: &Endpoint) -> String {
    let host = if it.host.contains(':') { format!("[{}]", it.host) } else { it.host.clone() };
    format!("{}://{host}:{}", it.name, it.port)
}

/// `[{"id": 1, "directoryId": "…", "endpoints": ["CONTROLLER://localhost:9093"]}]`
fn members(quorum: &Quorum, replicas: &[QuorumReplica]) -> String {
    let shown = replicas.iter().map(|it| {
        let mut parts = vec![format!("\"id\": {}", it.id)];
        if it.directory != TopicId::ZERO {
            parts.push(format!("\"directoryId\": \"{}\"", it.directory));
        }
        let endpoints = quorum.endpoints.get(&it.id).map_or(&[][..], Vec::as_slice);
        if !endpoints.is_empty() {
            let urls: Vec<String> = endpoints.iter().map(|it| format!("\"{}\"", url(it))).collect();
            parts.push(format!("\"endpoints\": [{}]", urls.join(", ")));
        }
        format!("{{{}}}", parts.join(", "))
    });
    format!("[{}]", shown.collect::<Vec<_>>().join(", "))
}

fn describe_replication(cluster: &mut Cluster, human_readable: bool) -> Result<(), ToolError> {
    let (quorum, leader) = quorum(cluster)?;
    let now_ms = clock::wall_ms();
    let time = |ms: i64, what: &str| {
        if !human_readable || ms < 0 {
            return Ok(ms.to_string());
        }
        if ms == 0 || ms > now_ms {
            return Err(ToolError::Failed(format!(
                "Error while computing relative time, possible drift in system clock.\nCurrent \
                 timestamp is {now_ms}, {what} timestamp is {ms}"
            )));
        }
        Ok(format!("{} ms ago", now_ms - ms))
    };
    let row = |it: &QuorumReplica, status: &str| -> Result<[String; 7], ToolError> {
        Ok([
            it.id.to_string(),
            it.directory.to_string(),
            it.log_end_offset.to_string(),
            (leader.log_end_offset - it.log_end_offset).to_string(),
            time(it.last_fetch_ms, "last fetch")?,
            time(it.last_caught_up_ms, "last caught up")?,
            status.to_owned(),
        ])
    };
    let head = [
        "NodeId",
        "DirectoryId",
        "LogEndOffset",
        "Lag",
        "LastFetchTimestamp",
        "LastCaughtUpTimestamp",
        "Status",
    ];
    let mut rows = vec![row(&leader, "Leader")?];
    for it in quorum.voters.iter().filter(|it| it.id != leader.id) {
        rows.push(row(it, "Follower")?);
    }
    for it in &quorum.observers {
        rows.push(row(it, "Observer")?);
    }
    table::print(head, rows, &mut std::io::stdout().lock())?;
    Ok(())
}

fn node_id(settings: &Properties) -> Result<i32, ToolError> {
    let is_it = "Is this a valid controller configuration file?";
    let Some(id) = settings.get("node.id") else {
        let why = format!("node.id not found in configuration file. {is_it}");
        return Err(ToolError::Failed(why));
    };
    let id: i32 =
        id.trim().parse().map_err(|_| ToolError::Failed(format!("For input string: \"{id}\"")))?;
    if id < 0 {
        let why = format!("node.id was negative in configuration file. {is_it}");
        return Err(ToolError::Failed(why));
    }
    if !settings.get("process.roles").is_some_and(|it| it.contains("controller")) {
        return Err(ToolError::Failed(format!(
            "process.roles did not contain 'controller' in configuration file. {is_it}"
        )));
    }
    Ok(id)
}

/// The first directory of the file: where its metadata is.
fn directory(settings: &Properties) -> Result<&Path, ToolError> {
    let named = settings.get("metadata.log.dir").map(String::as_str);
    let first = || settings.get("log.dirs")?.trim().split(',').next();
    named.or_else(first).map(Path::new).ok_or_else(|| {
        ToolError::failed(
            "Neither metadata.log.dir nor log.dirs were found. Is this a valid controller \
             configuration file?",
        )
    })
}

/// Where the listeners for controllers are, as the file says.
fn endpoints(settings: &Properties) -> Result<Vec<Endpoint>, ToolError> {
    let mut listeners: BTreeMap<String, Endpoint> = BTreeMap::new();
    for list in ["listeners", "advertised.listeners"].map(|it| settings.get(it)) {
        for text in list.into_iter().flat_map(|it| it.split(',')).map(str::trim) {
            let unreadable =
                || ToolError::Failed(format!("Unable to parse {text} to a broker endpoint"));
            if text.is_empty() {
                continue;
            }
            let (name, address) = text.split_once("://").ok_or_else(unreadable)?;
            let name = name.to_uppercase();
            let local = address.starts_with(':').then(|| format!("localhost{address}"));
            let (host, port) =
                host_port(local.as_deref().unwrap_or(address), 0).map_err(|_| unreadable())?;
            listeners.insert(name.clone(), Endpoint { name, host, port });
        }
    }
    let Some(names) = settings.get("controller.listener.names") else {
        return Err(ToolError::failed(
            "controller.listener.names was not found. Is this a valid controller configuration \
             file?",
        ));
    };
    let names = names.split(',').map(|it| it.trim().to_uppercase());
    names
        .map(|name| {
            listeners.get(&name).cloned().ok_or_else(|| {
                ToolError::Failed(format!(
                    "Cannot find information about controller listener name: {name}"
                ))
            })
        })
        .collect()
}

/// The id of a node's directory. Kafka's says it in `meta.properties`; of a broker of Klamm the quorum that it
/// follows knows it.
fn directory_id(cluster: &mut Cluster, id: i32, directory: &Path) -> Result<TopicId, ToolError> {
    let file = directory.join("meta.properties");
    if file.exists() {
        let properties = properties::load(&file.display().to_string())?;
        let id = properties.get("directory.id").ok_or_else(|| {
            ToolError::Failed(format!("No directory id found in {}", directory.display()))
        })?;
        return uuid::parse(id);
    }
    let quorum = cluster.describe_quorum().map_err(failed)?;
    let known = quorum.observers.iter().chain(&quorum.voters).find(|it| it.id == id);
    known.map(|it| it.directory).filter(|it| *it != TopicId::ZERO).ok_or_else(|| {
        ToolError::Failed(format!(
            "Unable to read meta.properties from {}, and node {id} does not follow the quorum",
            directory.display()
        ))
    })
}

fn add_controller(
    cluster: &mut Cluster,
    settings: &Properties,
    dry_run: bool,
) -> Result<(), ToolError> {
    let id = node_id(settings)?;
    let directory = directory_id(cluster, id, directory(settings)?)?;
    let endpoints = endpoints(settings)?;
    if !dry_run {
        cluster.add_voter(id, directory, &endpoints).map_err(failed)?;
    }
    let urls: Vec<String> = endpoints.iter().map(url).collect();
    writeln!(
        std::io::stdout(),
        "{} controller {id} with directory id {directory} and endpoints: {}",
        if dry_run { "DRY RUN of adding" } else { "Added" },
        urls.join(", ")
    )?;
    Ok(())
}

fn remove_controller(found: &Namespace, addresses: &str) -> Result<(), ToolError> {
    let id = found.integer("controller-id").unwrap_or_default();
    if id < 0 {
        return Err(ToolError::Failed(format!("Invalid negative --controller-id: {id}")));
    }
    let directory = uuid::parse(found.value("controller-directory-id").unwrap_or_default());
    let directory = directory.map_err(|e| match e {
        ToolError::Failed(why) => {
            ToolError::Failed(format!("Failed to parse --controller-directory-id: {why}"))
        }
        other => other,
    })?;
    let dry_run = found.has("dry-run");
    if !dry_run {
        connect(addresses)?.remove_voter(id, directory).map_err(failed)?;
    }
    let done = if dry_run { "DRY RUN of removing " } else { "Removed " };
    writeln!(std::io::stdout(), "{done} KRaft controller {id} with directory id {directory}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_controller_say_who_and_where_it_is() {
        let read = |text: &str| properties::parse(text).expect("reads");
        let good = read(
            "node.id=4\nprocess.roles=broker,controller\nlog.dirs=/a,/b\ncontroller.listener.names=\
             CONTROLLER\nlisteners=PLAINTEXT://:9092,controller://[::1]:9093\n",
        );
        assert_eq!(node_id(&good), Ok(4));
        assert_eq!(directory(&good), Ok(Path::new("/a")));
        let found = endpoints(&good).expect("reads");
        assert_eq!(found.iter().map(url).collect::<Vec<_>>(), ["CONTROLLER://[::1]:9093"]);
        let says = |it: Result<i32, ToolError>| match it {
            Err(ToolError::Failed(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(says(node_id(&read(""))).starts_with("node.id not found"));
        assert!(says(node_id(&read("node.id=-1"))).starts_with("node.id was negative"));
        assert!(says(node_id(&read("node.id=1"))).starts_with("process.roles did not contain"));
        assert!(directory(&read("")).is_err() && endpoints(&read("")).is_err());
        assert!(endpoints(&read("controller.listener.names=X")).is_err());
    }

    #[test]
    fn members_are_shown_as_kafka_shows_them() {
        let mut quorum = Quorum::default();
        let replica = |id, directory| QuorumReplica { id, directory, ..QuorumReplica::default() };
        let all = [replica(1, TopicId([0xff; 16])), replica(2, TopicId::ZERO)];
        let endpoint = Endpoint { name: "CONTROLLER".into(), host: "h".into(), port: 7 };
        quorum.endpoints.insert(1, vec![endpoint]);
        let want = format!(
            "[{{\"id\": 1, \"directoryId\": \"{}\", \"endpoints\": [\"CONTROLLER://h:7\"]}}, \
             {{\"id\": 2}}]",
            TopicId([0xff; 16])
        );
        assert_eq!(members(&quorum, &all), want);
        assert_eq!(members(&quorum, &[]), "[]");
    }
}
