//! `kafka-consumer-groups`: lists, describes and deletes groups, and sets their offsets.
//!
//! Output and exit codes are Kafka's: what goes wrong with a group is said on the standard output, and
//! the exit code is still 0.

mod describe;
mod reset;

use super::ToolError;
use super::address::{addresses, connect, property_file};
use super::group_command::{Problem, address_of, check_company, check_describe, say_error};
use super::java_errors;
use super::offset_deletion::{self, named, print_deleted};
use super::options::{HELP, Options, Parsed, VERSION, ZOOKEEPER, flag, long, text};
use super::properties::Properties;
use crate::cli::group_offsets;
use crate::client::groups::{self, GroupDescription};
use crate::client::{ClientError, Cluster};
use crate::types::ErrorCode;

/// The options.
pub static OPTIONS: Options = Options {
    all: &[
        text(
            "bootstrap-server",
            "server to connect to",
            "The brokers to connect to. REQUIRED for all options except for --validate-regex.",
        ),
        ZOOKEEPER,
        flag("new-consumer", ""),
        text("group", "consumer group", "The consumer group to act on."),
        text(
            "topic",
            "topic",
            "The topic whose offsets are to be reset or deleted; for some partitions only: \
             `topic1:0,1,2`. Can be repeated.",
        ),
        flag("all-topics", "All topics that the group has offsets for, in `reset-offsets`."),
        flag("list", "List all consumer groups."),
        flag("describe", "Describe a consumer group and list how many messages it has not read yet."),
        flag("all-groups", "All consumer groups."),
        flag("delete", "Delete groups with all their offsets, as --group g1 --group g2."),
        long("timeout", "timeout (ms)", "The time that some operations may take.").default("30000"),
        text(
            "command-config",
            "command config property file",
            "A file of properties of the client.",
        ),
        flag(
            "reset-offsets",
            "Reset offsets of a consumer group that has no members.\n--dry-run (the default) shows \
             the new offsets, --execute sets them, --export shows them as CSV.\nChoose one of: \
             --to-datetime, --by-duration, --to-earliest, --to-latest, --shift-by, --from-file, \
             --to-current, --to-offset; and of --all-topics and --topic, unless --from-file.",
        ),
        flag("delete-offsets", "Delete offsets of a consumer group, of one or more topics."),
        flag("dry-run", "Only show results. For reset-offsets."),
        flag("execute", "Do it. For reset-offsets."),
        flag("export", "Show the new offsets as CSV. For reset-offsets."),
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
        flag("members", "Describe members of the group. For describe."),
        flag("verbose", "More columns. For describe."),
        flag("offsets", "Describe the group's offsets and lag: what describe does anyway."),
        text(
            "state",
            "",
            "With '--describe', the state of the group. With '--list', the states of all groups, or \
             only groups of some, as --list --state stable,empty",
        )
        .optional(),
        text(
            "type",
            "",
            "With '--list', the types of all groups, or only groups of some, as --list --type \
             classic,consumer",
        )
        .optional(),
        text("validate-regex", "regex", "Say whether a regular expression is valid."),
        HELP,
        VERSION,
    ],
};

const ABOUT: &str = "This tool helps to list all consumer groups, describe a consumer group, delete \
                     consumer group info, or reset consumer group offsets.";

const ACTIONS: [&str; 6] =
    ["list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex"];

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let parsed = OPTIONS.parse_or_help(args, ABOUT)?;
    check(&parsed)?;
    if let Some(pattern) = parsed.value("validate-regex")? {
        match regex::Regex::new(pattern) {
            Ok(_) => println!("The regular expression `{pattern}` is valid."),
            Err(e) => {
                let text = e.to_string();
                let why = text.lines().last().unwrap_or_default().trim();
                let why = why.strip_prefix("error: ").unwrap_or(why);
                println!("The regular expression `{pattern}` is invalid: {why}.");
            }
        }
        return Ok(());
    }
    let p = property_file(&parsed, "command-config")?;
    parsed.number::<i64>("timeout")?;
    let servers =
        addresses(&parsed, &["bootstrap-server"], &Properties::new())?.unwrap_or_default();
    drop(p);
    let mut cluster = connect(&servers)?;
    cluster.refresh(Some(&[]), false)?;
    let result = match () {
        () if parsed.has("list") => list(&parsed, &mut cluster),
        () if parsed.has("describe") => describe(&parsed, &mut cluster),
        () if parsed.has("delete") => delete(&parsed, &mut cluster),
        () if parsed.has("reset-offsets") => reset::run(&parsed, &mut cluster),
        () => delete_offsets(&parsed, &mut cluster),
    };
    // What the cluster says no to is said as Kafka's tool says it.
    match result {
        Err(Problem::Client(e)) => {
            let why = java_errors::execution(&e);
            say_error(&format!("Executing consumer group command failed due to {why}"));
            Ok(())
        }
        Err(Problem::Tool(e)) => Err(e),
        Ok(()) => Ok(()),
    }
}

fn check(parsed: &Parsed) -> Result<(), ToolError> {
    if parsed.has("validate-regex") {
        return Ok(());
    }
    if !parsed.has("zookeeper") {
        parsed.require(&["bootstrap-server"])?;
    }
    let company: [(&str, &[&str]); 5] = [
        ("members", &["describe"]),
        ("verbose", &["describe"]),
        ("offsets", &["describe"]),
        ("state", &["describe", "list"]),
        ("type", &["list"]),
    ];
    check_company(parsed, &company)?;
    let has_group = parsed.has("group") || parsed.has("all-groups");
    check_describe(parsed, "[group], [all-groups]")?;
    if parsed.has("delete") {
        if !has_group {
            return Err(
                parsed.usage("Option [delete] takes one of these options: [group], [all-groups]")
            );
        }
        if parsed.has("topic") {
            return Err(parsed.usage(
                "The consumer does not support topic-specific offset deletion from a consumer group.",
            ));
        }
    }
    if parsed.has("delete-offsets") && !(parsed.has("group") && parsed.has("topic")) {
        return Err(
            parsed.usage("Option [delete-offsets] takes the following options: [group], [topic]")
        );
    }
    if parsed.has("reset-offsets") {
        reset::check(parsed)?;
    }
    parsed.forbid("group", &["all-groups", "list"])?;
    parsed.forbid("topic", &["list", "describe"])?;
    if ACTIONS.iter().filter(|action| parsed.has(action)).count() != 1 {
        return Err(parsed.usage(
            "Command must include exactly one action: --list, --describe, --delete, \
             --reset-offsets, --delete-offsets, --validate-regex",
        ));
    }
    Ok(())
}

/// The groups that the command is about.
fn chosen(parsed: &Parsed, cluster: &mut Cluster) -> Result<Vec<String>, Problem> {
    if parsed.has("all-groups") {
        return Ok(consumer_groups(cluster, &[], &[])?.into_iter().map(|g| g.id).collect());
    }
    Ok(parsed.values("group").into_iter().map(str::to_owned).collect())
}

/// Groups of consumers: others' offsets are not for this tool.
fn consumer_groups(
    cluster: &mut Cluster,
    states: &[&str],
    types: &[&str],
) -> Result<Vec<groups::GroupListing>, ClientError> {
    let mut all = groups::list(cluster, states, types)?;
    all.retain(|g| g.protocol_type.is_empty() || g.protocol_type == "consumer");
    Ok(all)
}

/// A description; a group that does not exist is an error, whichever way the broker says so.
fn described(cluster: &mut Cluster, group: &str) -> Result<GroupDescription, ClientError> {
    let found = groups::describe(cluster, group)?;
    if found.state == "Dead" {
        return Err(ClientError::Refused {
            what: format!("group '{group}'"),
            code: ErrorCode::GROUP_ID_NOT_FOUND,
            message: Some(format!("Group {group} not found.")),
        });
    }
    Ok(found)
}

const STATES: [&str; 7] = [
    "Empty",
    "Dead",
    "Assigning",
    "PreparingRebalance",
    "Stable",
    "Reconciling",
    "CompletingRebalance",
];

fn list(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let named = |option: &str, valid: &[&'static str], what: &str, kinds: &str| {
        let Some(text) = parsed.value(option)?.filter(|t| !t.is_empty()) else {
            return Ok(Vec::new());
        };
        let find = |name: &str| valid.iter().find(|v| v.eq_ignore_ascii_case(name.trim())).copied();
        text.split(',').map(find).collect::<Option<Vec<_>>>().ok_or_else(|| {
            let valid = valid.join(", ");
            parsed.usage(&format!("Invalid {what} list '{text}'. Valid {kinds} are: {valid}"))
        })
    };
    let states = named("state", &STATES, "state", "states")?;
    let types = named("type", &["Consumer", "Classic"], "types", "types")?;
    let groups = consumer_groups(cluster, &states, &types)?;
    describe::list(&groups, parsed.has("type"), parsed.has("state"))?;
    Ok(())
}

fn describe(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let mut ids = chosen(parsed, cluster)?;
    ids.sort();
    ids.dedup();
    let mut all = Vec::new();
    for id in &ids {
        all.push(described(cluster, id)?);
    }
    let verbose = parsed.has("verbose");
    for group in &all {
        if parsed.has("members") {
            describe::members(group, verbose)?;
        } else if parsed.has("state") {
            let address = address_of(cluster, group.coordinator);
            describe::state(group, &address, verbose)?;
        } else {
            let rows = group_offsets::rows(cluster, group)?;
            describe::offsets(group, &rows, verbose)?;
        }
    }
    Ok(())
}

fn delete(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for id in chosen(parsed, cluster)? {
        match groups::delete(cluster, &id) {
            Ok(()) => done.push(id),
            Err(e) if e.code().is_some() => failed.push((id, e)),
            Err(e) => return Err(e.into()),
        }
    }
    if failed.is_empty() {
        let done = done.join(", ");
        println!("Deletion of requested consumer groups ('{done}') was successful.");
        return Ok(());
    }
    say_error("Deletion of some consumer groups failed:");
    for (id, e) in &failed {
        let why = java_errors::named(e);
        println!("* Group '{id}' could not be deleted due to: {why}");
    }
    if !done.is_empty() {
        let done = done.join("', '");
        println!("\nThese consumer groups were deleted successfully: '{done}'");
    }
    Ok(())
}

fn delete_offsets(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let group = parsed.value("group")?.unwrap_or_default();
    let (partitions, rows) = named(parsed, cluster, "topic")?;
    let rows = offset_deletion::delete(cluster, group, &partitions, rows)?;
    print_deleted(&rows)?;
    Ok(())
}
