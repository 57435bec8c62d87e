//! `kafka-streams-groups`: lists, describes and deletes streams groups (KIP-1071), and sets their offsets.
//!
//! Output and exit codes are Kafka's: other than those of the other groups' tools, the exit code of a command that fails is 1.

mod delete;
mod describe;
mod offsets;
mod reset;

use super::ToolError;
use super::address::{addresses, connect, property_file};
use super::group_command::{
    Problem, address_of, check_company, check_describe, list_groups, named_states, say_error,
};
use super::java_errors;
use super::options::{HELP, Options, Parsed, VERSION, flag, long, text};
use super::properties::Properties;
use crate::client::groups::{self, GroupListing};
use crate::client::streams_groups;
use crate::client::{ClientError, Cluster};

/// The options.
pub static OPTIONS: Options = Options {
    all: &[
        text("bootstrap-server", "server to connect to", "REQUIRED: The brokers to connect to."),
        text("group", "streams group", "The streams group to act on."),
        text(
            "input-topic",
            "topic",
            "The source topic whose offsets are to be deleted or reset. For some partitions only: \
             `topic1:0,1,2`. Can be repeated.",
        ),
        flag("all-input-topics", "All source topics of the group's topology."),
        flag("list", "List all streams groups."),
        flag("describe", "Describe a streams group: its offsets and lag, its members or its state."),
        flag("all-groups", "All streams groups."),
        flag("delete", "Delete groups with all their offsets, as --group g1 --group g2."),
        flag("delete-offsets", "Delete offsets of a streams group, of one or more topics."),
        long("timeout", "timeout (ms)", "The time that some operations may take.").default("30000"),
        text(
            "command-config",
            "command config property file",
            "A file of properties of the client.",
        ),
        text(
            "state",
            "",
            "With '--describe', the state of the group. With '--list', the states of all groups, or only \
             groups of some, as --list --state stable,notready",
        )
        .optional(),
        flag("members", "Describe members of the group. For describe."),
        flag("offsets", "Describe the group's offsets and lag: what describe does anyway."),
        flag(
            "reset-offsets",
            "Reset offsets of a streams group that has no members.\n--dry-run shows the new offsets, --execute \
             sets them.\nChoose one of: --to-datetime, --by-duration, --to-earliest, --to-latest, --shift-by, \
             --from-file, --to-current, --to-offset; and of --all-input-topics and --input-topic, unless \
             --from-file.",
        ),
        long("to-offset", "offset", "Reset offsets to a specific offset."),
        text("from-file", "path to CSV file", "Reset offsets to values defined in CSV file."),
        text(
            "to-datetime",
            "datetime",
            "Reset offsets to offset from datetime. Format: 'YYYY-MM-DDThh:mm:ss.sss'",
        ),
        text(
            "by-duration",
            "duration",
            "Reset offsets to offset by duration from current timestamp. Format: 'PnDTnHnMnS'",
        ),
        flag("to-earliest", "Reset offsets to earliest offset."),
        flag("to-latest", "Reset offsets to latest offset."),
        flag("to-current", "Reset offsets to current offset."),
        long("shift-by", "number-of-offsets", "Reset offsets by 'n', which may be negative."),
        text(
            "delete-internal-topic",
            "topic",
            "Delete this internal topic of the group. For reset-offsets with --execute. Can be repeated.",
        ),
        flag(
            "delete-all-internal-topics",
            "Delete all internal topics of the group. For delete, and for reset-offsets with --execute.",
        ),
        flag("verbose", "More columns. For describe."),
        flag("dry-run", "Only show results. For reset-offsets."),
        flag("execute", "Do it. For reset-offsets."),
        flag("export", "Show the new offsets as CSV. For reset-offsets."),
        HELP,
        VERSION,
    ],
};

const ABOUT: &str = "This tool helps to list, or describe streams groups.";
const ACTIONS: [&str; 5] = ["list", "describe", "delete", "reset-offsets", "delete-offsets"];
const STATES: [&str; 6] = ["Empty", "NotReady", "Stable", "Assigning", "Reconciling", "Dead"];

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let parsed = OPTIONS.parse_or_help(args, ABOUT)?;
    check(&parsed)?;
    property_file(&parsed, "command-config")?;
    parsed.number::<i64>("timeout")?;
    let servers =
        addresses(&parsed, &["bootstrap-server"], &Properties::new())?.unwrap_or_default();
    let mut cluster = connect(&servers)?;
    cluster.refresh(Some(&[]), false)?;
    let result = match () {
        () if parsed.has("list") => list(&parsed, &mut cluster),
        () if parsed.has("describe") => describe(&parsed, &mut cluster),
        () if parsed.has("delete") => delete::run(&parsed, &mut cluster),
        () if parsed.has("reset-offsets") => reset::run(&parsed, &mut cluster),
        () => offsets::delete(&parsed, &mut cluster),
    };
    match result {
        Err(Problem::Client(e)) => {
            failed(&java_errors::execution(&e));
            Err(ToolError::Exit(1))
        }
        Err(Problem::Tool(e)) => Err(e),
        Ok(()) => Ok(()),
    }
}

fn failed(why: &str) {
    say_error(&format!("Executing streams group command failed due to {why}"));
}

fn check(parsed: &Parsed) -> Result<(), ToolError> {
    let company: [(&str, &[&str]); 4] = [
        ("state", &["describe", "list"]),
        ("members", &["describe"]),
        ("offsets", &["describe"]),
        ("verbose", &["describe"]),
    ];
    check_company(parsed, &company)?;
    parsed.require(&["bootstrap-server"])?;
    let none_of = |options: &[&str]| !options.iter().any(|it| parsed.has(it));
    check_describe(parsed, "[all-groups], [group]")?;
    if parsed.has("delete") {
        if none_of(&["group", "all-groups"]) {
            return Err(
                parsed.usage("Option [delete] takes one of these options: [all-groups], [group]")
            );
        }
        if !none_of(&["input-topic", "all-input-topics"]) {
            return Err(parsed.usage(
                "Kafka Streams does not support topic-specific offset deletion from a streams group.",
            ));
        }
    }
    if parsed.has("delete-offsets") {
        offsets::check(parsed)?;
    }
    if parsed.has("reset-offsets") {
        reset::check(parsed)?;
    }
    if parsed.has("delete-all-internal-topics") {
        if none_of(&["reset-offsets", "delete"]) {
            return Err(parsed.usage(
                "Option [delete-all-internal-topics] takes one of these options: [delete], \
                 [reset-offsets]",
            ));
        }
        if parsed.has("reset-offsets") && !parsed.has("execute") {
            return Err(parsed.usage(
                "Option [delete-all-internal-topics] takes [execute] when [reset-offsets] is used.",
            ));
        }
    }
    let resets = parsed.has("reset-offsets") && parsed.has("execute");
    if parsed.has("delete-internal-topic") && !resets {
        return Err(parsed.usage(
            "Option [delete-internal-topic] takes [reset-offsets] when [execute] is used.",
        ));
    }
    if !none_of(&["dry-run", "execute"]) && !parsed.has("reset-offsets") {
        return Err(parsed.usage("Only Option [reset-offsets] accepts [execute] or [dry-run]"));
    }
    parsed.forbid("list", &["members", "offsets"])?;
    parsed.forbid("group", &["all-groups"])?;
    parsed.forbid("group", &["list"])?;
    parsed.forbid("input-topic", &["list", "describe", "delete"])?;
    if ACTIONS.iter().filter(|action| parsed.has(action)).count() != 1 {
        return Err(parsed.usage(
            "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, or \
             --delete-offsets.",
        ));
    }
    Ok(())
}

fn listed(cluster: &mut Cluster, states: &[&str]) -> Result<Vec<GroupListing>, ClientError> {
    groups::list(cluster, states, &["streams"])
}

fn chosen(parsed: &Parsed, cluster: &mut Cluster) -> Result<Vec<String>, ClientError> {
    if parsed.has("all-groups") {
        return Ok(listed(cluster, &[])?.into_iter().map(|it| it.id).collect());
    }
    Ok(parsed.values("group").into_iter().map(str::to_owned).collect())
}

fn list(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let states = named_states(parsed, &STATES)?;
    Ok(list_groups(&listed(cluster, &states)?, parsed.has("state"))?)
}

fn describe(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let verbose = parsed.has("verbose");
    for id in chosen(parsed, cluster)? {
        let group = streams_groups::describe(cluster, &id)?;
        if parsed.has("members") {
            describe::members(&group, verbose)?;
        } else if parsed.has("state") {
            let address = address_of(cluster, group.coordinator);
            describe::state(&group, &address, verbose)?;
        } else {
            let rows = offsets::rows(cluster, &group)?;
            describe::offsets(&group, &rows, verbose)?;
        }
    }
    Ok(())
}
