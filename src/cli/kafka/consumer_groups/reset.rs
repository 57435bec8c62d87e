//! `--reset-offsets`.

use super::super::ToolError;
use super::super::group_command::{Problem, check_not_both, say_error};
use super::super::java_errors;
use super::super::offset_reset::{
    Plans, SCENARIOS, check_one_of, export, partitions_of, print_new_offsets, read_file, target,
};
use super::super::options::Parsed;
use super::chosen;
use crate::cli::group_offsets::{self, Offsets, Target};
use crate::client::consumer::Partitions;
use crate::client::groups;
use crate::client::{ClientError, Cluster};
use crate::types::ErrorCode;
use std::io::{self, Write};

/// The rules of the options.
pub fn check(parsed: &Parsed) -> Result<(), ToolError> {
    check_not_both(parsed)?;
    if !parsed.has("dry-run") && !parsed.has("execute") {
        eprintln!(
            "WARN: No action will be performed as the --execute option is missing. In version 5.0, \
             this command will require either --dry-run or --execute to be specified. You should add \
             the --dry-run option explicitly if you are scripting this command and want to keep the \
             current default behavior without prompting."
        );
    }
    if !parsed.has("group") && !parsed.has("all-groups") {
        return Err(parsed
            .usage("Option [reset-offsets] takes one of these options: [group], [all-groups]"));
    }
    check_one_of(parsed, &SCENARIOS)
}

fn failed(why: &str) -> Problem {
    say_error(&format!("Executing consumer group command failed due to {why}"));
    Problem::Tool(ToolError::Exit(0))
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
        let state = match groups::describe(cluster, id) {
            Ok(group) => group.state,
            // Offsets make a group.
            Err(e) if e.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND) => "Dead".to_owned(),
            Err(e) => return Err(e.into()),
        };
        if state != "Empty" && state != "Dead" {
            say_error(&format!(
                "Assignments can only be reset if the group '{id}' is inactive, but the current state \
                 is {state}."
            ));
            plans.insert(id.clone(), Offsets::new());
            continue;
        }
        let scoped = ["all-topics", "topic", "from-file"].iter().any(|o| parsed.has(o));
        if !scoped {
            return Err(parsed
                .usage("One of the reset scopes should be defined: --all-topics, --topic.")
                .into());
        }
        let target = match &file {
            None => target(parsed, failed)?,
            Some(file) => match file.get(id) {
                Some(plan) => Target::Each(plan.clone()),
                None => {
                    say_error(&format!("No reset plan for group {id} found"));
                    plans.insert(id.clone(), Offsets::new());
                    continue;
                }
            },
        };
        let partitions = partitions(parsed, cluster, id, &target)?;
        let planned = group_offsets::plan(cluster, id, &partitions, &target);
        let (plan, remarks) = planned.map_err(|e| match e {
            ClientError::NoOffset { .. } => {
                Problem::Tool(parsed.usage(&java_errors::execution(&e)))
            }
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
        if parsed.has("execute") {
            group_offsets::execute(cluster, id, &plan)?;
        }
        plans.insert(id.clone(), plan);
    }
    if parsed.has("export") {
        export(&plans, parsed.values("group").len() == 1)?;
    } else {
        print_new_offsets(&plans)?;
    }
    Ok(())
}

fn partitions(
    parsed: &Parsed,
    cluster: &mut Cluster,
    group: &str,
    target: &Target,
) -> Result<Partitions, Problem> {
    if let Target::Each(plan) = target {
        return Ok(partitions_of(plan));
    }
    if parsed.has("all-topics") {
        let committed = groups::fetch_offsets(cluster, group)?;
        return Ok(committed
            .into_iter()
            .map(|(topic, all)| (topic, all.into_keys().collect()))
            .collect());
    }
    let wrong = |text: String| Problem::Tool(parsed.usage(&text));
    group_offsets::scope(cluster, &parsed.values("topic"), wrong)
}
