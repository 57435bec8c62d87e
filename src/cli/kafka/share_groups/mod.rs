//! `kafka-share-groups`: lists, describes and deletes share groups (KIP-932), and sets the offsets that they read from.
//!
//! Output and exit codes are Kafka's: what goes wrong with a group is mostly said on the standard output, and the exit code is
//! still 0.

mod describe;

use super::ToolError;
use super::address::{addresses, connect, property_file};
use super::group_command::{
    Problem, address_of, check_company, check_describe, check_either, list_groups, named_states,
    say_error,
};
use super::java_errors;
use super::offset_reset::{Plans, check_one_of, print_new_offsets};
use super::options::{HELP, Options, Parsed, VERSION, flag, long, text};
use super::properties::Properties;
use super::time::date_time_ms;
use crate::cli::group_offsets::{self, Target};
use crate::client::consumer::Partitions;
use crate::client::groups::{self, GroupListing};
use crate::client::share_groups;
use crate::client::{ClientError, Cluster};
use crate::types::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};

/// The options.
pub static OPTIONS: Options = Options {
    all: &[
        text("bootstrap-server", "server to connect to", "REQUIRED: The brokers to connect to."),
        text("group", "share group", "The share group to act on."),
        text(
            "topic",
            "topic",
            "The topic whose offsets are to be reset or deleted. To reset those of some partitions only: \
             `topic1:0,1,2`. Can be repeated.",
        ),
        flag("all-topics", "All topics that the group reads, in `reset-offsets`."),
        flag("list", "List all share groups."),
        flag("describe", "Describe a share group: its offsets, its members or its state."),
        flag("all-groups", "All share groups."),
        flag("delete", "Delete share groups, as --group g1 --group g2."),
        long("timeout", "timeout (ms)", "The time that some operations may take.").default("30000"),
        text(
            "command-config",
            "command config property file",
            "A file of properties of the client.",
        ),
        flag(
            "reset-offsets",
            "Reset offsets of a share group that has no members.\n--dry-run shows the new offsets, --execute \
             sets them.\nChoose one of: --to-datetime, --to-earliest, --to-latest; and of --all-topics and \
             --topic.",
        ),
        flag("delete-offsets", "Delete offsets of a share group, of one or more topics."),
        flag("dry-run", "Only show results. For reset-offsets."),
        flag("execute", "Do it. For reset-offsets."),
        text(
            "to-datetime",
            "datetime",
            "Reset offsets to offset from datetime. Format: 'YYYY-MM-DDThh:mm:ss.sss'",
        ),
        flag("to-earliest", "Reset offsets to earliest offset."),
        flag("to-latest", "Reset offsets to latest offset."),
        flag("members", "Describe members of the group. For describe."),
        flag("offsets", "Describe the group's offsets: what describe does anyway."),
        text(
            "state",
            "",
            "With '--describe', the state of the group. With '--list', the states of all groups, or only \
             groups of some, as --list --state stable,empty",
        )
        .optional(),
        flag("verbose", "More columns. For describe."),
        HELP,
        VERSION,
    ],
};

const ABOUT: &str = "This tool helps to list, describe, reset and delete share groups.";
const ACTIONS: [&str; 5] = ["list", "describe", "delete", "reset-offsets", "delete-offsets"];
const STATES: [&str; 3] = ["Stable", "Empty", "Dead"];
const SCENARIOS: [&str; 3] = ["to-datetime", "to-earliest", "to-latest"];

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
        () if parsed.has("delete") => delete(&parsed, &mut cluster),
        () if parsed.has("reset-offsets") => reset_offsets(&parsed, &mut cluster),
        () => delete_offsets(&parsed, &mut cluster),
    };
    match result {
        Err(Problem::Client(e)) => {
            // The class of an error is named where Kafka's tool has it within another.
            let why = if parsed.has("reset-offsets") {
                java_errors::said(&e)
            } else {
                java_errors::execution(&e)
            };
            failed(&why);
            Ok(())
        }
        Err(Problem::Tool(e)) => Err(e),
        Ok(()) => Ok(()),
    }
}

fn failed(why: &str) {
    say_error(&format!("Executing share group command failed due to {why}"));
}

fn check(parsed: &Parsed) -> Result<(), ToolError> {
    let company: [(&str, &[&str]); 4] = [
        ("members", &["describe"]),
        ("offsets", &["describe"]),
        ("state", &["describe", "list"]),
        ("verbose", &["describe"]),
    ];
    check_company(parsed, &company)?;
    parsed.require(&["bootstrap-server"])?;
    let none_of = |options: &[&str]| !options.iter().any(|it| parsed.has(it));
    check_describe(parsed, "[all-groups], [group]")?;
    if parsed.has("delete") {
        if none_of(&["group", "all-groups"]) {
            return Err(parsed.usage("Option [delete] takes the options [group] or [all-groups]"));
        }
        if parsed.has("group") && parsed.has("all-groups") {
            return Err(
                parsed.usage("Option [delete] takes either [group] or [all-groups], not both.")
            );
        }
        if parsed.has("topic") {
            return Err(parsed.usage("Option [delete] does not take the option: [topic]"));
        }
    }
    if parsed.has("delete-offsets") && !(parsed.has("group") && parsed.has("topic")) {
        return Err(
            parsed.usage("Option [delete-offsets] takes the following options: [group], [topic]")
        );
    }
    if parsed.has("reset-offsets") {
        check_either(parsed)?;
        if !parsed.has("group") {
            return Err(parsed.usage("Option [reset-offsets] takes the option: [group]"));
        }
        if none_of(&["topic", "all-topics"]) {
            return Err(parsed.usage(
                "Option [reset-offsets] takes one of these options: [all-topics], [topic]",
            ));
        }
        if none_of(&SCENARIOS) {
            return Err(parsed.usage(
                "Option [reset-offsets] takes one of these options: [to-datetime], [to-earliest], \
                 [to-latest]",
            ));
        }
        check_one_of(parsed, &SCENARIOS)?;
    }
    parsed.forbid("group", &["all-groups"])?;
    parsed.forbid("group", &["list"])?;
    parsed.forbid("topic", &["list", "describe"])?;
    if ACTIONS.iter().filter(|action| parsed.has(action)).count() != 1 {
        return Err(parsed.usage(
            "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, \
             --delete-offsets.",
        ));
    }
    Ok(())
}

fn listed(cluster: &mut Cluster, states: &[&str]) -> Result<Vec<GroupListing>, ClientError> {
    groups::list(cluster, states, &["share"])
}

fn list(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let states = named_states(parsed, &STATES)?;
    Ok(list_groups(&listed(cluster, &states)?, parsed.has("state"))?)
}

fn describe(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let ids: BTreeSet<String> = if parsed.has("all-groups") {
        listed(cluster, &[])?.into_iter().map(|it| it.id).collect()
    } else {
        parsed.values("group").into_iter().map(str::to_owned).collect()
    };
    let mut all = Vec::new();
    for id in &ids {
        all.push(share_groups::describe(cluster, id)?);
    }
    let verbose = parsed.has("verbose");
    for group in &all {
        if parsed.has("members") {
            describe::members(group, verbose)?;
        } else if parsed.has("state") {
            let address = address_of(cluster, group.coordinator);
            describe::state(group, &address, verbose)?;
        } else {
            let offsets = share_groups::offsets(cluster, &group.id)?;
            describe::offsets(&group.id, &offsets, verbose)?;
        }
    }
    Ok(())
}

fn delete(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let all = listed(cluster, &[])?;
    let mut ids: Vec<&str> = if parsed.has("all-groups") {
        all.iter().map(|it| &*it.id).collect()
    } else {
        parsed.values("group")
    };
    let mut seen = BTreeSet::new();
    ids.retain(|it| seen.insert(*it));
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for id in ids {
        let state = all.iter().find(|it| it.id == id).map(|it| &*it.state);
        let why = match state {
            None => {
                format!("java.lang.IllegalArgumentException: Group '{id}' is not a share group.")
            }
            Some("Dead") => {
                format!("java.lang.IllegalStateException: Share group '{id}' group state is DEAD.")
            }
            Some("Empty" | "") => match groups::delete(cluster, id) {
                Ok(()) => {
                    done.push(format!("'{id}'"));
                    continue;
                }
                Err(e) if e.code().is_some() => java_errors::named(&e),
                Err(e) => return Err(e.into()),
            },
            Some(_) => {
                let why = format!("Share group '{id}' is not EMPTY.");
                java_errors::with_message(ErrorCode::NON_EMPTY_GROUP, &why)
            }
        };
        refused.push((id, why));
    }
    let done = done.join(", ");
    if refused.is_empty() {
        println!("Deletion of requested share groups ({done}) was successful.");
        return Ok(());
    }
    say_error("Deletion of some share groups failed:");
    for (id, why) in refused {
        println!("* Group '{id}' could not be deleted due to: {why}");
    }
    if !done.is_empty() {
        println!("\nThese share groups were deleted successfully: {done}");
    }
    Ok(())
}

fn reset_offsets(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let id = parsed.value("group")?.unwrap_or_default();
    match share_groups::describe(cluster, id) {
        Ok(group) if group.state != "Empty" && group.state != "Dead" => {
            let why = format!("Share group '{id}' is not empty.");
            return Err(Problem::Tool(ToolError::Failed(why)));
        }
        Ok(_) => {}
        Err(e) if e.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND) => {}
        Err(e) if e.code().is_some() => {
            return Err(Problem::Tool(ToolError::Failed(java_errors::said(&e))));
        }
        Err(e) => return Err(e.into()),
    }
    let partitions = if parsed.has("topic") {
        let wrong = |text: String| Problem::Tool(parsed.usage(&text));
        group_offsets::scope(cluster, &parsed.values("topic"), wrong)?
    } else {
        let mut partitions = Partitions::new();
        for (topic, number) in share_groups::offsets(cluster, id)?.into_keys() {
            partitions.entry(topic).or_default().push(number);
        }
        partitions
    };
    let target = match parsed.value("to-datetime")? {
        Some(text) => match date_time_ms(text) {
            Ok(ms) => Target::Time(ms),
            Err(why) => {
                failed(&why);
                return Ok(());
            }
        },
        None if parsed.has("to-earliest") => Target::Earliest,
        None => Target::Latest,
    };
    let (plan, remarks) = group_offsets::plan(cluster, id, &partitions, &target)?;
    for remark in remarks {
        println!("\n{remark}");
    }
    if parsed.has("execute") {
        let refused = match share_groups::alter_offsets(cluster, id, &plan) {
            Ok(refused) => refused,
            Err(e) if e.code().is_some() => plan.keys().cloned().collect(),
            Err(e) => return Err(e.into()),
        };
        if !refused.is_empty() {
            let shown: Vec<String> =
                refused.iter().map(|it| format!("{}-{}", it.0, it.1)).collect();
            failed(&format!(
                "Failed altering group offsets for the following partitions: [{}]",
                shown.join(", ")
            ));
            return Ok(());
        }
    }
    Ok(print_new_offsets(&Plans::from([(id.to_owned(), plan)]))?)
}

fn delete_offsets(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let id = parsed.value("group")?.unwrap_or_default();
    let topics: BTreeSet<&str> = parsed.values("topic").into_iter().collect();
    let names: Vec<&str> = topics.iter().copied().collect();
    let (results, whole) = match share_groups::delete_offsets(cluster, id, &names) {
        Ok(results) => (results, None),
        Err(e) if e.code().is_some() => (BTreeMap::default(), Some(e)),
        Err(e) => return Err(e.into()),
    };
    // The group's error is that of each topic; else the first of a topic's is the group's.
    let error = |topic: &str| whole.as_ref().or_else(|| results.get(topic)?.as_ref().err());
    if let Some(e) = names.iter().find_map(|it| error(it)) {
        match e.code() {
            Some(
                ErrorCode::INVALID_GROUP_ID
                | ErrorCode::GROUP_ID_NOT_FOUND
                | ErrorCode::GROUP_AUTHORIZATION_FAILED
                | ErrorCode::NON_EMPTY_GROUP,
            ) => say_error(&java_errors::said(e)),
            Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {
            }
            _ => say_error(&format!("Encounter some unknown error: {}", java_errors::execution(e))),
        }
    }
    let rows = names.iter().map(|it| {
        let status = error(it).map(|e| format!("Error: {}", java_errors::said(e)));
        (*it, status.unwrap_or_else(|| "Successful".to_owned()))
    });
    let rows: Vec<(&str, String)> = rows.collect();
    Ok(describe::deleted_offsets(&rows)?)
}
