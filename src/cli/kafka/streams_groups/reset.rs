//! `--reset-offsets`.

use super::super::ToolError;
use super::super::group_command::{Problem, check_either, say_error};
use super::super::java_errors;
use super::super::offset_reset::{
    Plans, SCENARIOS, check_one_of, export, partitions_of, read_file, target,
};
use super::super::options::Parsed;
use super::delete::internal_topics;
use super::offsets::{committed, partitions};
use super::{chosen, failed};
use crate::cli::group_offsets::{self, Offsets, Target};
use crate::client::consumer::Partitions;
use crate::client::streams_groups::{self, StreamsGroupDescription};
use crate::client::{ClientError, Cluster, groups};
use crate::types::ErrorCode;
use std::io::{self, Write};

/// The rules of the options.
pub fn check(parsed: &Parsed) -> Result<(), ToolError> {
    check_either(parsed)?;
    if !parsed.has("group") && !parsed.has("all-groups") {
        return Err(parsed
            .usage("Option [reset-offsets] takes one of these options: [all-groups], [group]"));
    }
    check_one_of(parsed, &SCENARIOS)
}

/// Resets, or shows what would be reset.
pub fn run(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let ids = chosen(parsed, cluster)?;
    let file = match parsed.value("from-file")? {
        Some(path) => Some(read_file(path, &ids)?),
        None => None,
    };
    let mut plans = Plans::new();
    for id in &ids {
        let group = match streams_groups::describe(cluster, id) {
            Ok(group) => group,
            Err(e) if e.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND) => {
                StreamsGroupDescription { id: id.clone(), ..StreamsGroupDescription::default() }
            }
            Err(e) => return Err(e.into()),
        };
        if !matches!(&*group.state, "Empty" | "Dead" | "") {
            say_error(&format!(
                "Assignments can only be reset if the group '{id}' is inactive, but the current state is {}.",
                group.state
            ));
            plans.insert(id.clone(), Offsets::new());
            continue;
        }
        let plan = plan(parsed, cluster, &group, file.as_ref())?;
        if parsed.has("execute") {
            group_offsets::execute(cluster, id, &plan)?;
            delete_internal_topics(parsed, cluster, id)?;
        }
        plans.insert(id.clone(), plan);
    }
    if parsed.has("export") {
        export(&plans, parsed.values("group").len() == 1)?;
    } else {
        print(&plans)?;
    }
    Ok(())
}

fn plan(
    parsed: &Parsed,
    cluster: &mut Cluster,
    group: &StreamsGroupDescription,
    file: Option<&Plans>,
) -> Result<Offsets, Problem> {
    let id = &group.id;
    let wrong = |text: String| Problem::Tool(parsed.usage(&text));
    let mut scope = match () {
        () if parsed.has("all-input-topics") => partitions(committed(cluster, group)?),
        () if parsed.has("input-topic") => {
            let named = group_offsets::scope(cluster, &parsed.values("input-topic"), wrong)?;
            let known = groups::fetch_offsets(cluster, id)?;
            let has = |topic: &String, number: &i32| {
                known.get(topic).is_some_and(|it| it.contains_key(number))
            };
            if named.iter().all(|(topic, numbers)| numbers.iter().all(|it| has(topic, it))) {
                named
            } else {
                say_error(&format!("One or more topics are not part of the group '{id}'."));
                Partitions::new()
            }
        }
        () if file.is_some() => Partitions::new(),
        () => {
            let why = "One of the reset scopes should be defined: --all-topics, --topic.";
            return Err(wrong(why.to_owned()));
        }
    };
    let target = match file {
        None => target(parsed, |why| {
            failed(why);
            Problem::Tool(ToolError::Exit(1))
        })?,
        Some(file) => match file.get(id) {
            Some(plan) => {
                scope = partitions_of(plan);
                Target::Each(plan.clone())
            }
            None => {
                say_error(&format!("No reset plan for group {id} found"));
                return Ok(Offsets::new());
            }
        },
    };
    let planned = group_offsets::plan(cluster, id, &scope, &target);
    let (plan, remarks) = planned.map_err(|e| match e {
        ClientError::NoOffset { .. } => wrong(java_errors::execution(&e)),
        e => e.into(),
    })?;
    for remark in remarks {
        if remark.starts_with("Warn: ") {
            println!("\n{remark}");
        } else {
            // Who has closed the error output does not want to know.
            let _ = writeln!(io::stderr(), "{remark}");
        }
    }
    Ok(plan)
}

fn delete_internal_topics(parsed: &Parsed, cluster: &mut Cluster, id: &str) -> Result<(), Problem> {
    let topics = if parsed.has("delete-all-internal-topics") {
        internal_topics(cluster, id)?
    } else {
        parsed.values("delete-internal-topic").into_iter().map(str::to_owned).collect()
    };
    if topics.is_empty() {
        return Ok(());
    }
    match cluster.delete_topics(&topics) {
        Ok(()) => {}
        Err(e) if e.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => say_error(&format!(
            "Deleting internal topics for group '{id}' failed because the topics do not exist."
        )),
        Err(e) if e.code().is_some() => say_error(&format!(
            "Deleting internal topics for group '{id}' failed due to {}",
            java_errors::execution(&e)
        )),
        Err(e) => return Err(e.into()),
    }
    Ok(())
}

/// Prints what offsets are to be, or are now.
fn print(plans: &Plans) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut line = |[group, topic, partition, offset]: [&str; 4]| {
        write!(out, "\n{group:30} {topic:30} {partition:10} {offset:15}")
    };
    if !plans.is_empty() {
        line(["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"])?;
    }
    for (group, plan) in plans {
        for ((topic, partition), offset) in plan {
            line([group, topic, &partition.to_string(), &offset.to_string()])?;
        }
    }
    println!();
    Ok(())
}
