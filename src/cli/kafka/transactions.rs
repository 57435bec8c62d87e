//! `kafka-transactions` (KIP-664).

use super::ToolError;
use super::address::{check_client, connect};
use super::arguments::{
    Argument, Arguments, Command, NONE, Namespace, Program, flag, integer, long, short, text,
};
use super::error::message_of;
use super::reassignment_file::shown;
use super::{properties, table};
use crate::client::transactions::{self, Abort, ActiveProducer, Filter, NamedPartition};
use crate::client::{ClientError, Cluster, clock};
use crate::types::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};

const TOPIC: Argument = text(&["--topic"], "topic name");
const PARTITION: Argument = integer(&["--partition"], "partition number");

const PROGRAM: Program = Program {
    name: "kafka-transactions.sh",
    about: "This tool is used to analyze the transactional state of producers in the cluster. It can \
            be used to detect and recover from hanging transactions.",
    help_fails: true,
    arguments: Arguments {
        all: &[
            flag(&["--version", "-v"], "show the version of this Kafka distribution and exit"),
            text(&["--command-config"], "property file with settings of the client"),
            text(
                &["--bootstrap-server"],
                "hostname and port for the broker to connect to, in the form `host:port` (multiple \
                 comma-separated entries can be given)",
            )
            .required(),
        ],
        ..NONE
    },
    commands: &[
        Command {
            name: "list",
            help: "list transactions",
            arguments: Arguments {
                all: &[
                    long(
                        &["--duration-filter"],
                        "Duration (in millis) to filter by: if < 0, all transactions will be \
                         returned; otherwise, only transactions running longer than this duration \
                         will be returned",
                    ),
                    text(
                        &["--transactional-id-pattern"],
                        "Transactional id regular expression pattern to filter by",
                    ),
                ],
                ..NONE
            },
        },
        Command {
            name: "describe",
            help: "describe the state of an active transactional-id",
            arguments: Arguments {
                all: &[text(&["--transactional-id"], "transactional id").required()],
                ..NONE
            },
        },
        Command {
            name: "describe-producers",
            help: "describe the states of active producers for a topic partition",
            arguments: Arguments {
                all: &[
                    integer(
                        &["--broker-id"],
                        "optional broker id to describe the producer state on a specific replica",
                    ),
                    TOPIC.required(),
                    PARTITION.required(),
                ],
                ..NONE
            },
        },
        Command {
            name: "abort",
            help: "abort a hanging transaction (requires administrative privileges)",
            arguments: Arguments {
                all: &[
                    TOPIC.required(),
                    PARTITION.required(),
                    long(&["--start-offset"], "start offset of the transaction to abort"),
                    long(&["--producer-id"], "producer id, for brokers older than 3.0"),
                    short(&["--producer-epoch"], "producer epoch, for brokers older than 3.0"),
                    integer(&["--coordinator-epoch"], "coordinator epoch, for the same"),
                ],
                ..NONE
            },
        },
        Command {
            name: "find-hanging",
            help: "find hanging transactions",
            arguments: Arguments {
                all: &[
                    integer(&["--broker-id"], "broker id to search for hanging transactions"),
                    integer(
                        &["--max-transaction-timeout"],
                        "maximum transaction timeout in minutes to limit the scope of the search \
                         (15 minutes by default)",
                    ),
                    text(
                        &["--topic"],
                        "topic name to limit search to (required if --partition is specified)",
                    ),
                    PARTITION,
                ],
                ..NONE
            },
        },
        Command {
            name: "forceTerminateTransaction",
            help: "Force abort an ongoing transaction on transactionalId (requires administrative \
                   privileges)",
            arguments: Arguments {
                all: &[text(&["--transactionalId"], "transactional id").required()],
                ..NONE
            },
        },
    ],
};

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    if PROGRAM.starts_with_flag(args, "version") {
        return Err(ToolError::Version);
    }
    let found = PROGRAM.parse(args).map_err(|e| e.error(&PROGRAM))?;
    if let Some(path) = found.value("command-config") {
        check_client(&properties::load(path)?)?;
    }
    let addresses = found.value("bootstrap-server").unwrap_or_default();
    match found.command {
        "list" => list(&found, &mut connect(addresses)?),
        "describe" => describe(&found, &mut connect(addresses)?),
        "describe-producers" => describe_producers(&found, &mut connect(addresses)?),
        "abort" => {
            let asked = Asked::read(&found)?;
            abort(asked, &mut connect(addresses)?)
        }
        "find-hanging" => {
            let scope = Scope::read(&found)?;
            find_hanging(&scope, &mut connect(addresses)?)
        }
        _ => terminate(&found, &mut connect(addresses)?),
    }
}

/// What could not be done, and why.
fn failed(what: &str, why: &str) -> ToolError {
    ToolError::Failed(format!("{what}: {why}. Enable debug logging for additional detail."))
}

fn number<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "None".to_owned(), |it| it.to_string())
}

/// The transactional ids of the cluster, by their coordinators; or why they are not known, as Kafka's client has it.
fn listed(
    cluster: &mut Cluster,
    filter: &Filter,
) -> Result<BTreeMap<i32, Vec<transactions::Listing>>, String> {
    cluster.refresh(Some(&[]), false).map_err(|e| message_of(&e))?;
    let nodes: Vec<i32> = cluster.metadata().brokers.keys().copied().collect();
    let mut all = BTreeMap::new();
    for node in nodes {
        let some = transactions::list(cluster, node, filter).map_err(|e| match e.code() {
            Some(_) => format!(
                "ListTransactions request sent to broker {node} failed with an unexpected exception"
            ),
            None => message_of(&e),
        })?;
        all.insert(node, some);
    }
    Ok(all)
}

fn list(found: &Namespace, cluster: &mut Cluster) -> Result<(), ToolError> {
    let filter = Filter {
        producer_ids: Vec::new(),
        duration_ms: found.long("duration-filter"),
        pattern: found.value("transactional-id-pattern").map(str::to_owned),
    };
    let listed =
        listed(cluster, &filter).map_err(|why| failed("Failed to list transactions", &why))?;
    let rows = listed.into_iter().flat_map(|(coordinator, all)| {
        all.into_iter().map(move |it| {
            let producer_id = it.producer_id.to_string();
            [it.transactional_id, coordinator.to_string(), producer_id, it.state]
        })
    });
    let head = ["TransactionalId", "Coordinator", "ProducerId", "TransactionState"];
    table::print(head, rows, &mut std::io::stdout().lock())?;
    Ok(())
}

fn describe(found: &Namespace, cluster: &mut Cluster) -> Result<(), ToolError> {
    let id = found.value("transactional-id").unwrap_or_default();
    let it = transactions::describe(cluster, id).map_err(|e| {
        let what = format!("Failed to describe transaction state of transactional-id `{id}`");
        failed(&what, &why_not_described(id, &e))
    })?;
    let now_ms = clock::wall_ms();
    let partitions: Vec<String> = it.partitions.iter().map(shown).collect();
    let row = [
        it.coordinator.to_string(),
        id.to_owned(),
        it.producer_id.to_string(),
        it.producer_epoch.to_string(),
        it.state,
        it.timeout_ms.to_string(),
        number(it.started_ms),
        number(it.started_ms.map(|ms| now_ms - ms)),
        partitions.join(","),
    ];
    let head = [
        "CoordinatorId",
        "TransactionalId",
        "ProducerId",
        "ProducerEpoch",
        "TransactionState",
        "TransactionTimeoutMs",
        "CurrentTransactionStartTimeMs",
        "TransactionDurationMs",
        "TopicPartitions",
    ];
    table::print(head, [row], &mut std::io::stdout().lock())?;
    Ok(())
}

/// As Kafka's client has it, where the broker says no more than a code.
fn why_not_described(id: &str, e: &ClientError) -> String {
    let request = format!("DescribeTransactions request for transactionalId `{id}` failed");
    match e.code() {
        Some(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND) => {
            format!("{request} because the ID could not be found")
        }
        Some(_) => format!("{request} due to unexpected error"),
        None => message_of(e),
    }
}

/// The partition that the command names.
fn named(found: &Namespace) -> NamedPartition {
    let topic = found.value("topic").unwrap_or_default().to_owned();
    (topic, found.integer("partition").unwrap_or_default())
}

/// Why the producers of a partition are not known.
fn why_no_producers(partition: &NamedPartition, broker: Option<i32>, e: &ClientError) -> String {
    let what = format!("Failed to describe active producers for partition {}", shown(partition));
    match (e.code(), broker) {
        (Some(ErrorCode::NOT_LEADER_OR_FOLLOWER), Some(id)) => format!("{what} on brokerId {id}"),
        (Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) | None, _) => message_of(e),
        (Some(_), _) => format!("{what} due to unexpected error"),
    }
}

fn describe_producers(found: &Namespace, cluster: &mut Cluster) -> Result<(), ToolError> {
    let (partition, broker) = (named(found), found.integer("broker-id"));
    let known = transactions::producers(cluster, broker, std::slice::from_ref(&partition));
    let known = known.map_err(|e| {
        let place = broker.map_or_else(|| "leader".to_owned(), |id| format!("broker {id}"));
        let what =
            format!("Failed to describe producers for partition {} on {place}", shown(&partition));
        failed(&what, &why_no_producers(&partition, broker, &e))
    })?;
    let rows = known.into_values().flatten().map(|it| {
        [
            it.id.to_string(),
            it.epoch.to_string(),
            it.coordinator_epoch.unwrap_or(-1).to_string(),
            it.last_sequence.to_string(),
            it.last_timestamp_ms.to_string(),
            number(it.transaction_start),
        ]
    });
    let head = [
        "ProducerId",
        "ProducerEpoch",
        "LatestCoordinatorEpoch",
        "LastSequence",
        "LastTimestamp",
        "CurrentTransactionStartOffset",
    ];
    table::print(head, rows, &mut std::io::stdout().lock())?;
    Ok(())
}

/// Which transaction is to be aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// The one that begins there.
    Start(NamedPartition, i64),
    /// That of a producer.
    Producer(Abort),
}

impl Asked {
    fn read(found: &Namespace) -> Result<Self, ToolError> {
        let partition = named(found);
        if let Some(start) = found.long("start-offset") {
            return Ok(Self::Start(partition, start));
        }
        let Some(producer_id) = found.long("producer-id") else {
            return Err(ToolError::failed(
                "The transaction to abort must be identified either with --start-offset (for \
                 brokers on 3.0 or above) or with --producer-id, --producer-epoch, and \
                 --coordinator-epoch (for older brokers)",
            ));
        };
        let missing = |name: &str| ToolError::Failed(format!("Missing required argument --{name}"));
        let epoch = found.integer("producer-epoch").ok_or_else(|| missing("producer-epoch"))?;
        let coordinator = found.integer("coordinator-epoch");
        let coordinator = coordinator.ok_or_else(|| missing("coordinator-epoch"))?;
        Ok(Self::Producer(Abort {
            partition,
            producer_id,
            producer_epoch: epoch as i16,
            // No coordinator has written there yet: the least epoch is not beyond any.
            coordinator_epoch: coordinator.max(0),
        }))
    }
}

fn abort(asked: Asked, cluster: &mut Cluster) -> Result<(), ToolError> {
    let abort = match asked {
        Asked::Producer(abort) => abort,
        Asked::Start(partition, start) => {
            let known = transactions::producers(cluster, None, std::slice::from_ref(&partition));
            let known = known.map_err(|e| {
                let what = format!(
                    "Failed to validate producer state for partition {}",
                    shown(&partition)
                );
                failed(&what, &why_no_producers(&partition, None, &e))
            })?;
            let mut all = known.into_values().flatten();
            let Some(it) = all.find(|it| it.transaction_start == Some(start)) else {
                return Err(ToolError::Failed(format!(
                    "Could not find any open transactions starting at offset {start} on partition {}",
                    shown(&partition)
                )));
            };
            Abort {
                partition,
                producer_id: it.id,
                producer_epoch: it.epoch as i16,
                coordinator_epoch: it.coordinator_epoch.unwrap_or(0),
            }
        }
    };
    transactions::abort(cluster, &abort).map_err(|e| {
        let spec = format!(
            "AbortTransactionSpec(topicPartition={}, producerId={}, producerEpoch={}, \
             coordinatorEpoch={})",
            shown(&abort.partition),
            abort.producer_id,
            abort.producer_epoch,
            abort.coordinator_epoch
        );
        let request = format!("WriteTxnMarkers request with {spec} failed");
        let why = match e.code() {
            Some(ErrorCode::INVALID_PRODUCER_EPOCH) => {
                format!("{request} due an invalid producer epoch")
            }
            Some(ErrorCode::TRANSACTION_COORDINATOR_FENCED) => format!(
                "{request} since the provided coordinator epoch {} has been fenced by the active \
                 coordinator",
                abort.coordinator_epoch
            ),
            Some(code) if code != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                format!("{request} due to unexpected error: {}", code.message())
            }
            _ => message_of(&e),
        };
        failed(&format!("Failed to abort transaction {spec}"), &why)
    })
}

fn terminate(found: &Namespace, cluster: &mut Cluster) -> Result<(), ToolError> {
    let id = found.value("transactionalId").unwrap_or_default();
    transactions::terminate(cluster, id).map_err(|e| {
        let why = if e.code().is_some() {
            format!(
                "InitProducerId request for transactionalId `{id}` failed due to unexpected error"
            )
        } else {
            message_of(&e)
        };
        failed(&format!("Failed to force terminate transactionalId `{id}`"), &why)
    })
}

/// Where hanging transactions are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Scope {
    broker: Option<i32>,
    topic: Option<String>,
    partition: Option<i32>,
    /// Whoever has not written for longer may hang, ms.
    timeout_ms: i64,
}

impl Scope {
    fn read(found: &Namespace) -> Result<Self, ToolError> {
        let (broker, topic) = (found.integer("broker-id"), found.value("topic"));
        if topic.is_none() && broker.is_none() {
            return Err(ToolError::failed(
                "The `find-hanging` command requires either --topic or --broker-id to limit the \
                 scope of the search",
            ));
        }
        let partition = found.integer("partition");
        if partition.is_some() && topic.is_none() {
            let why = "The --partition argument requires --topic to be provided";
            return Err(ToolError::failed(why));
        }
        let minutes = found.integer("max-transaction-timeout").unwrap_or(15);
        let (topic, timeout_ms) = (topic.map(str::to_owned), i64::from(minutes) * 60_000);
        Ok(Self { broker, topic, partition, timeout_ms })
    }

    /// The partitions in it.
    fn partitions(&self, cluster: &mut Cluster) -> Result<Vec<NamedPartition>, ToolError> {
        if let (Some(topic), Some(partition)) = (&self.topic, self.partition) {
            return Ok(vec![(topic.clone(), partition)]);
        }
        match &self.topic {
            Some(topic) => {
                let known = cluster.refresh(Some(&[topic]), false);
                known
                    .and_then(|()| cluster.metadata().topic(topic).map(|_| ()))
                    .map_err(|e| failed("Failed to describe 1 topics", &message_of(&e)))?;
            }
            None => {
                let all = cluster.refresh(None, false);
                all.map_err(|e| failed("Failed to list topics", &message_of(&e)))?;
            }
        }
        let is_asked = |name: &String| self.topic.as_ref().is_none_or(|topic| topic == name);
        let mut found = Vec::new();
        for (name, topic) in cluster.metadata().topics.iter().filter(|it| is_asked(it.0)) {
            for (number, partition) in &topic.partitions {
                if self.broker.is_none_or(|id| partition.replicas.contains(&id)) {
                    found.push((name.clone(), *number));
                }
            }
        }
        Ok(found)
    }
}

/// So many partitions are asked for at once.
const BATCH: usize = 500;

fn find_hanging(scope: &Scope, cluster: &mut Cluster) -> Result<(), ToolError> {
    let partitions = scope.partitions(cluster)?;
    let now_ms = clock::wall_ms();
    let mut open: Vec<(NamedPartition, ActiveProducer)> = Vec::new();
    for some in partitions.chunks(BATCH) {
        let known = transactions::producers(cluster, scope.broker, some).map_err(|e| {
            let broker = scope
                .broker
                .map_or_else(|| "Optional.empty".to_owned(), |id| format!("Optional[{id}]"));
            let what = format!(
                "Failed to describe producers for {} partitions on broker {broker}",
                some.len()
            );
            let why = some
                .first()
                .map_or_else(|| message_of(&e), |it| why_no_producers(it, scope.broker, &e));
            failed(&what, &why)
        })?;
        let all = known.into_iter();
        let all = all.flat_map(|(at, active)| active.into_iter().map(move |it| (at.clone(), it)));
        open.extend(all.filter(|(_, it)| {
            it.transaction_start.is_some() && now_ms - it.last_timestamp_ms > scope.timeout_ms
        }));
    }
    let hanging = hanging(open, cluster)?;
    let rows = hanging.into_iter().map(|((topic, partition), it)| {
        [
            topic,
            partition.to_string(),
            it.id.to_string(),
            it.epoch.to_string(),
            it.coordinator_epoch.unwrap_or(-1).to_string(),
            it.transaction_start.unwrap_or(-1).to_string(),
            it.last_timestamp_ms.to_string(),
            ((now_ms - it.last_timestamp_ms) / 60_000).to_string(),
        ]
    });
    let head = [
        "Topic",
        "Partition",
        "ProducerId",
        "ProducerEpoch",
        "CoordinatorEpoch",
        "StartOffset",
        "LastTimestamp",
        "Duration(min)",
    ];
    table::print(head, rows, &mut std::io::stdout().lock())?;
    Ok(())
}

/// Those of which no coordinator knows: nobody will end them.
fn hanging(
    open: Vec<(NamedPartition, ActiveProducer)>,
    cluster: &mut Cluster,
) -> Result<Vec<(NamedPartition, ActiveProducer)>, ToolError> {
    let producer_ids: BTreeSet<i64> = open.iter().map(|it| it.1.id).collect();
    if producer_ids.is_empty() {
        return Ok(Vec::new());
    }
    let asked = producer_ids.len();
    let filter = Filter { producer_ids: producer_ids.into_iter().collect(), ..Filter::default() };
    let listed = listed(cluster, &filter).map_err(|why| {
        failed(&format!("Failed to list transactions for {asked} producers"), &why)
    })?;
    let ids: BTreeMap<i64, String> =
        listed.into_values().flatten().map(|it| (it.producer_id, it.transactional_id)).collect();
    let mut known = BTreeMap::new();
    for id in ids.values() {
        match transactions::describe(cluster, id) {
            Ok(it) => {
                known.insert(id.as_str(), it.partitions);
            }
            Err(e) if e.code() == Some(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND) => {}
            Err(e) => {
                let what = format!("Failed to describe {} transactions", ids.len());
                return Err(failed(&what, &why_not_described(id, &e)));
            }
        }
    }
    let hangs = |at: &NamedPartition, it: &ActiveProducer| {
        let partitions = ids.get(&it.id).and_then(|id| known.get(id.as_str()));
        partitions.is_none_or(|partitions| !partitions.contains(at))
    };
    Ok(open.into_iter().filter(|(at, it)| hangs(at, it)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Namespace, ToolError> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        PROGRAM.parse(&args).map_err(|e| e.error(&PROGRAM))
    }

    fn says<T: std::fmt::Debug>(result: Result<T, ToolError>) -> String {
        match result {
            Err(ToolError::Failed(text)) => text.lines().last().unwrap_or_default().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn command_lines_are_checked_as_by_kafka() {
        let b = "--bootstrap-server a:1";
        for (line, want) in [
            ("list", "argument --bootstrap-server is required"),
            (b, "too few arguments"),
            (
                &format!("{b} list --duration-filter x"),
                "argument --duration-filter: could not convert 'x' to Long (For input string: \"x\")",
            ),
            (&format!("{b} describe"), "argument --transactional-id is required"),
            (
                &format!("{b} abort --topic t --partition 0 --producer-epoch 70000"),
                "argument --producer-epoch: could not convert '70000' to Short (Value out of range. \
                 Value:\"70000\" Radix:10)",
            ),
        ] {
            let got = says(parsed(line));
            assert_eq!(got, format!("kafka-transactions.sh: error: {want}"), "{line}");
        }
        let abort = |more: &str| {
            Asked::read(&parsed(&format!("{b} abort --topic t --partition 3 {more}")).unwrap())
        };
        assert!(says(abort("")).starts_with("The transaction to abort must be identified"));
        assert_eq!(says(abort("--producer-id 5")), "Missing required argument --producer-epoch");
        assert_eq!(
            says(abort("--producer-id 5 --producer-epoch 1")),
            "Missing required argument --coordinator-epoch"
        );
        let partition = ("t".to_owned(), 3);
        assert_eq!(
            abort("--producer-id 5 --producer-epoch 1 --coordinator-epoch -1"),
            Ok(Asked::Producer(Abort {
                partition: partition.clone(),
                producer_id: 5,
                producer_epoch: 1,
                coordinator_epoch: 0,
            }))
        );
        assert_eq!(abort("--start-offset 9"), Ok(Asked::Start(partition, 9)));
        let scope = |more: &str| Scope::read(&parsed(&format!("{b} find-hanging {more}")).unwrap());
        assert!(says(scope("")).contains("requires either --topic or --broker-id"));
        assert!(says(scope("--broker-id 1 --partition 1")).contains("requires --topic"));
        assert_eq!(scope("--broker-id 1").unwrap().timeout_ms, 900_000);
    }
}
