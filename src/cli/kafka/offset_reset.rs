//! What the tools of groups have in common as to setting offsets.

use super::ToolError;
use super::group_command::{Problem, width};
use super::options::Parsed;
use super::time::{date_time_ms, duration_ms};
use crate::cli::group_offsets::{Offsets, Target};
use crate::client::clock::wall_ms;
use crate::client::consumer::Partitions;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What offsets may be set to.
pub const SCENARIOS: [&str; 8] = [
    "to-offset",
    "to-datetime",
    "by-duration",
    "to-earliest",
    "to-latest",
    "to-current",
    "shift-by",
    "from-file",
];

/// One of these at most is given.
pub fn check_one_of(parsed: &Parsed, scenarios: &[&str]) -> Result<(), ToolError> {
    scenarios.iter().try_for_each(|scenario| {
        let others: Vec<&str> = scenarios.iter().copied().filter(|it| it != scenario).collect();
        parsed.forbid(scenario, &others)
    })
}

/// What the options say that offsets are set to, but for a file. `failed` tells of a time that cannot be read.
pub fn target(parsed: &Parsed, failed: impl Fn(&str) -> Problem) -> Result<Target, Problem> {
    if let Some(offset) = parsed.number("to-offset")? {
        return Ok(Target::Offset(offset));
    }
    if let Some(by) = parsed.number("shift-by")? {
        return Ok(Target::Shift(by));
    }
    if let Some(text) = parsed.value("to-datetime")? {
        return Ok(Target::Time(date_time_ms(text).map_err(|why| failed(&why))?));
    }
    if let Some(text) = parsed.value("by-duration")? {
        let ago = duration_ms(text).map_err(|why| failed(&why))?;
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

/// The partitions of a plan.
pub fn partitions_of(plan: &Offsets) -> Partitions {
    let mut partitions = Partitions::new();
    for (topic, number) in plan.keys() {
        partitions.entry(topic.clone()).or_default().push(*number);
    }
    partitions
}

/// Offsets by group.
pub type Plans = BTreeMap<String, Offsets>;

/// Prints what offsets are to be, or are now.
pub fn print_new_offsets(plans: &Plans) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let g = width(15, plans.keys().map(String::as_str));
    let t = width(15, plans.values().flat_map(|it| it.keys().map(|it| it.0.as_str())));
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

/// `topic,partition,offset` for a single group, `group,topic,partition,offset` for several.
pub fn read_file(path: &str, groups: &[String]) -> Result<Plans, ToolError> {
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

/// Prints offsets as such a file has them, without the group if there is a single one.
pub fn export(plans: &Plans, single: bool) -> io::Result<()> {
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
