//! `--reset-offsets`.

use super::super::ToolError;
use super::super::options::Parsed;
use super::super::time::{date_time_ms, duration_ms};
use super::{Problem, chosen, say_error};
use crate::cli::group_offsets::{self, Offsets, Target};
use crate::client::clock::wall_ms;
use crate::client::consumer::Partitions;
use crate::client::groups;
use crate::client::{ClientError, Cluster};
use crate::types::ErrorCode;
use std::collections::BTreeMap;
use std::io::{self, Write};

const SCENARIOS: [&str; 8] = [
    "to-offset",
    "to-datetime",
    "by-duration",
    "to-earliest",
    "to-latest",
    "to-current",
    "shift-by",
    "from-file",
];

/// The rules of the options.
pub fn check(parsed: &Parsed) -> Result<(), ToolError> {
    if parsed.has("dry-run") && parsed.has("execute") {
        return Err(
            parsed.usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
        );
    }
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
    for scenario in SCENARIOS {
        let others: Vec<&str> = SCENARIOS.into_iter().filter(|o| *o != scenario).collect();
        parsed.forbid(scenario, &others)?;
    }
    Ok(())
}

/// Offsets by group.
type Plans = BTreeMap<String, Offsets>;

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
            None => target(parsed)?,
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
                Problem::Tool(parsed.usage(&super::java_errors::execution(&e)))
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
        print(&plans)?;
    }
    Ok(())
}

fn target(parsed: &Parsed) -> Result<Target, Problem> {
    let failed = |why: String| {
        say_error(&format!("Executing consumer group command failed due to {why}"));
        Problem::Tool(ToolError::Exit(0))
    };
    if let Some(offset) = parsed.number("to-offset")? {
        return Ok(Target::Offset(offset));
    }
    if let Some(by) = parsed.number("shift-by")? {
        return Ok(Target::Shift(by));
    }
    if let Some(text) = parsed.value("to-datetime")? {
        return Ok(Target::Time(date_time_ms(text).map_err(failed)?));
    }
    if let Some(text) = parsed.value("by-duration")? {
        let ago = duration_ms(text).map_err(failed)?;
        return Ok(Target::Time((wall_ms() - ago).max(0)));
    }
    match () {
        () if parsed.has("to-earliest") => Ok(Target::Earliest),
        () if parsed.has("to-latest") => Ok(Target::Latest),
        () if parsed.has("to-current") => Ok(Target::Current),
        () => Err(parsed
            .usage(
                "Option '[reset-offsets]' requires one of the following scenarios: [[to-earliest], \
                 [to-current], [to-latest], [by-duration], [to-datetime], [from-file], [shift-by], \
                 [to-offset]]",
            )
            .into()),
    }
}

fn partitions(
    parsed: &Parsed,
    cluster: &mut Cluster,
    group: &str,
    target: &Target,
) -> Result<Partitions, Problem> {
    if let Target::Each(plan) = target {
        let mut partitions = Partitions::new();
        for (topic, number) in plan.keys() {
            partitions.entry(topic.clone()).or_default().push(*number);
        }
        return Ok(partitions);
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

/// `topic,partition,offset` for a single group, `group,topic,partition,offset` for several.
fn read_file(path: &str, groups: &[String]) -> Result<Plans, ToolError> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| ToolError::Failed(format!("--from-file {path}: {e}")))?;
    let mut plans = Plans::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').map(|f| f.trim().trim_matches('"')).collect();
        let read = match (&fields[..], groups) {
            ([topic, partition, offset], [group]) => {
                Some((group.as_str(), topic, partition, offset))
            }
            ([group, topic, partition, offset], _) => Some((*group, topic, partition, offset)),
            _ => None,
        };
        let read = read.and_then(|(group, topic, partition, offset)| {
            Some((group, (*topic).to_owned(), partition.parse().ok()?, offset.parse().ok()?))
        });
        let Some((group, topic, partition, offset)) = read else {
            return Err(ToolError::Failed(format!(
                "--from-file {path}, line {}: write it as TOPIC,PARTITION,OFFSET for one group, as \
                 GROUP,TOPIC,PARTITION,OFFSET for several",
                i + 1
            )));
        };
        plans.entry(group.to_owned()).or_default().insert((topic, partition), offset);
    }
    Ok(plans)
}

fn export(plans: &Plans, single: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (group, plan) in plans {
        for ((topic, partition), offset) in plan {
            if !single {
                write!(out, "{group},")?;
            }
            writeln!(out, "{topic},{partition},{offset}")?;
        }
    }
    writeln!(out)
}

fn print(plans: &Plans) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let wide = |lens: Box<dyn Iterator<Item = usize> + '_>| lens.max().unwrap_or(0).max(15);
    let g = wide(Box::new(plans.keys().map(String::len)));
    let t = wide(Box::new(plans.values().flat_map(|p| p.keys().map(|(topic, _)| topic.len()))));
    if !plans.is_empty() {
        write!(out, "\n{:g$} {:t$} {:10} NEW-OFFSET", "GROUP", "TOPIC", "PARTITION")?;
    }
    for (group, plan) in plans {
        for ((topic, partition), offset) in plan {
            write!(out, "\n{group:g$} {topic:t$} {partition:<10} {offset}")?;
        }
    }
    writeln!(out)
}
