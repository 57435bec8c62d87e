//! `kafka-cluster`.

use super::ToolError;
use super::address::connect;
use super::arguments::{
    Argument, Arguments, Command, NONE, Namespace, Program, flag, integer, text,
};
use super::error::java_message;
use super::properties::{self, Properties};
use crate::client::{ClientError, Cluster};
use std::io::Write;

const BROKERS: &[Argument] = &[
    text(
        &["--bootstrap-server", "-b"],
        "A list of host/port pairs to use for establishing the connection to the cluster.",
    ),
    text(
        &["--bootstrap-controller", "-C"],
        "The same: brokers of Klamm are controllers, and have no other port for clients.",
    ),
];
const CONFIG: Argument = text(&["--config"], "(DEPRECATED) As --command-config.");
const COMMAND_CONFIG: Argument =
    text(&["--command-config", "-c"], "Property file with settings of the client.");

const fn arguments(all: &'static [Argument]) -> Arguments {
    Arguments { all, one_of: BROKERS, one_required: true }
}

const PROGRAM: Program = Program {
    name: "kafka-cluster",
    about: "The Kafka cluster tool.",
    help_fails: true,
    arguments: NONE,
    commands: &[
        Command {
            name: "cluster-id",
            help: "Get information about the ID of a cluster.",
            arguments: arguments(&[CONFIG, COMMAND_CONFIG]),
        },
        Command {
            name: "unregister",
            help: "Unregister a broker.",
            arguments: arguments(&[
                CONFIG,
                COMMAND_CONFIG,
                integer(&["--id", "-i"], "The ID of the broker to unregister.").required(),
            ]),
        },
        Command {
            name: "list-endpoints",
            help: "List endpoints",
            arguments: arguments(&[
                CONFIG,
                COMMAND_CONFIG,
                flag(&["--include-fenced-brokers"], "Brokers that are fenced as well."),
            ]),
        },
    ],
};

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let found = PROGRAM.parse(args).map_err(|e| e.error(&PROGRAM))?;
    let mut cluster = connect(&brokers(&found)?)?;
    match found.command {
        "cluster-id" => {
            let id = cluster.describe_cluster(false).map_err(failed)?.id;
            writeln!(std::io::stdout(), "Cluster ID: {id}")?;
            Ok(())
        }
        "unregister" => unregister(&mut cluster, found.integer("id").unwrap_or_default()),
        _ => list_endpoints(&found, &mut cluster),
    }
}

/// The addresses to connect to, once the settings of the client are read.
fn brokers(found: &Namespace) -> Result<String, ToolError> {
    if found.has("config") && found.has("command-config") {
        let why = "--config and --command-config cannot be specified together.".to_owned();
        return Err(ToolError::Failed(why));
    }
    if found.has("config") {
        writeln!(
            std::io::stdout(),
            "Option --config has been deprecated and will be removed in a future version. Use \
             --command-config instead."
        )?;
    }
    let file = found.value("command-config").or(found.value("config"));
    let settings: Properties = file.map(properties::load).transpose()?.unwrap_or_default();
    super::address::check_client(&settings)?;
    let addresses = found.value("bootstrap-server").or(found.value("bootstrap-controller"));
    Ok(addresses.unwrap_or_default().to_owned())
}

/// As Java says what came of a request: the exception's class is part of it.
fn failed(e: ClientError) -> ToolError {
    ToolError::Failed(java_message(&e))
}

fn unregister(cluster: &mut Cluster, id: i32) -> Result<(), ToolError> {
    let mut out = std::io::stdout();
    match cluster.unregister_broker(id) {
        Ok(()) => writeln!(out, "Broker {id} is no longer registered.")?,
        Err(ClientError::Unsupported { .. }) => {
            writeln!(out, "The target cluster does not support the broker unregistration API.")?;
        }
        Err(e) => return Err(failed(e)),
    }
    Ok(())
}

fn list_endpoints(found: &Namespace, cluster: &mut Cluster) -> Result<(), ToolError> {
    let fenced = found.has("include-fenced-brokers");
    if fenced && found.has("bootstrap-controller") {
        let why = "The option --include-fenced-brokers is only supported with --bootstrap-server \
                   option";
        return Err(ToolError::failed(why));
    }
    let brokers = cluster.describe_cluster(fenced).map_err(failed)?.brokers;
    let host = brokers.iter().map(|it| it.host.len()).max().unwrap_or(100);
    let rack = brokers.iter().filter_map(|it| it.rack.as_ref()).map(String::len).max();
    let rack = rack.unwrap_or(10);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<10} {:<host$} {:<10} {:<rack$} {:<10} {:<15}",
        "ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"
    )?;
    for it in &brokers {
        let shown_rack = it.rack.as_deref().unwrap_or("null");
        let state = if it.fenced { "fenced" } else { "unfenced" };
        writeln!(
            out,
            "{:<10} {:<host$} {:<10} {shown_rack:<rack$} {state:<10} {:<15}",
            it.id, it.host, it.port, "broker"
        )?;
    }
    Ok(())
}
