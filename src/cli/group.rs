//! `klamm group`.

use super::group_offsets::{self, Row, Target};
use super::{Broker, CliError};
use crate::client::groups::{self, GroupDescription};
use crate::client::{ClientError, Cluster};
use crate::types::ErrorCode;
use clap::Subcommand;
use serde_json::{Value, json};
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  klamm group list
  klamm group describe billing
  klamm group reset billing --topic events --to earliest --dry-run
  klamm group delete billing";

/// Flags of `klamm group`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Group {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List groups with their states
    List(List),
    /// Show members, offsets and lag
    Describe(Describe),
    /// Delete groups without members, with their offsets
    Delete(Delete),
    /// Set the offsets of a group without members
    Reset(Reset),
}

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  klamm group list\n  klamm group list --json | jq -r .[].group"
)]
struct List {
    /// As a JSON array
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    broker: Broker,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  klamm group describe billing\n  klamm group describe --json")]
struct Describe {
    /// Names of the groups [default: all]
    names: Vec<String>,
    /// As a JSON array
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    broker: Broker,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  klamm group delete billing")]
struct Delete {
    /// Names of the groups
    #[arg(required = true)]
    names: Vec<String>,
    #[command(flatten)]
    broker: Broker,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  klamm group reset billing --topic events --to earliest\n  \
    klamm group reset billing --topic events:0,1 --to 1200 --dry-run\n  klamm group reset billing \
    --all-topics --to @1700000000000")]
struct Reset {
    /// Name of the group
    name: String,
    /// Topic to set offsets of, or some of its partitions as TOPIC:0,1; can be repeated
    #[arg(short, long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// All topics that the group has offsets for
    #[arg(long, conflicts_with = "topic")]
    all_topics: bool,
    /// Where to: earliest, latest, current, an offset, +N or -N from where it is, or @MS for a time
    /// in milliseconds since 1970
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    to: String,
    /// Only show what would be set
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// As a JSON array
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    broker: Broker,
}

/// Runs a subcommand.
pub fn run(c: &Group) -> Result<(), CliError> {
    match &c.command {
        Command::List(c) => list(c),
        Command::Describe(c) => describe(c),
        Command::Delete(c) => delete(c),
        Command::Reset(c) => reset(c),
    }
}

fn list(c: &List) -> Result<(), CliError> {
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    let groups = groups::list(&mut cluster, &[], &[])?;
    let mut out = std::io::stdout().lock();
    if c.json {
        let all: Vec<Value> = groups
            .iter()
            .map(|g| {
                json!({
                    "group": g.id,
                    "state": g.state,
                    "type": g.kind,
                    "protocol_type": g.protocol_type,
                })
            })
            .collect();
        writeln!(out, "{}", Value::Array(all))?;
        return Ok(());
    }
    for g in groups {
        writeln!(out, "{}\t{}", g.id, g.state)?;
    }
    Ok(())
}

fn described(cluster: &mut Cluster, name: &str) -> Result<GroupDescription, CliError> {
    let unknown = || {
        CliError::Failed(format!("group '{name}' does not exist; see them with: klamm group list"))
    };
    match groups::describe(cluster, name) {
        Ok(group) if group.state == "Dead" => Err(unknown()),
        Ok(group) => Ok(group),
        Err(e) if e.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND) => Err(unknown()),
        Err(e) => Err(e.into()),
    }
}

fn describe(c: &Describe) -> Result<(), CliError> {
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    let names = if c.names.is_empty() {
        groups::list(&mut cluster, &[], &[])?.into_iter().map(|g| g.id).collect()
    } else {
        c.names.clone()
    };
    let mut out = std::io::stdout().lock();
    let mut all = Vec::new();
    for name in &names {
        let group = described(&mut cluster, name)?;
        let rows = group_offsets::rows(&mut cluster, &group)?;
        if c.json {
            all.push(as_json(&group, &rows));
            continue;
        }
        let members = match group.members.len() {
            1 => "1 member".to_owned(),
            n => format!("{n} members"),
        };
        let assignor = match group.protocol.as_str() {
            "" => String::new(),
            name => format!("   assignor {name}"),
        };
        writeln!(out, "group {name}   {}   {members}{assignor}", group.state)?;
        for m in &group.members {
            let fixed = m.instance_id.as_ref().map(|id| format!("   instance {id}"));
            let fixed = fixed.unwrap_or_default();
            writeln!(out, "  member {}   client {}   {}{fixed}", m.id, m.client_id, m.host)?;
        }
        if rows.is_empty() {
            continue;
        }
        writeln!(
            out,
            "  {:<24} {:>9} {:>12} {:>12} {:>12}  reader",
            "topic", "partition", "committed", "end", "lag"
        )?;
        for row in &rows {
            let show = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
            let (topic, partition) = row.partition.clone().unwrap_or_default();
            writeln!(
                out,
                "  {topic:<24} {partition:>9} {:>12} {:>12} {:>12}  {}",
                show(row.offset),
                show(row.end),
                show(row.lag()),
                row.member.map_or("-", |m| &m.id)
            )?;
        }
    }
    if c.json {
        writeln!(out, "{}", Value::Array(all))?;
    }
    Ok(())
}

fn as_json(group: &GroupDescription, rows: &[Row<'_>]) -> Value {
    let members: Vec<Value> = group
        .members
        .iter()
        .map(|m| {
            json!({
                "member": m.id,
                "instance": m.instance_id,
                "client": m.client_id,
                "host": m.host,
                "assignment": m.assignment,
            })
        })
        .collect();
    let offsets: Vec<Value> = rows
        .iter()
        .map(|row| {
            let (topic, partition) = row.partition.clone().unzip();
            json!({
                "topic": topic,
                "partition": partition,
                "committed": row.offset,
                "leader_epoch": row.leader_epoch,
                "end": row.end,
                "lag": row.lag(),
                "member": row.member.map(|m| &m.id),
            })
        })
        .collect();
    json!({
        "group": group.id,
        "state": group.state,
        "protocol_type": group.protocol_type,
        "assignor": group.protocol,
        "coordinator": group.coordinator,
        "members": members,
        "offsets": offsets,
    })
}

fn delete(c: &Delete) -> Result<(), CliError> {
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    for name in &c.names {
        groups::delete(&mut cluster, name).map_err(|e| match e.code() {
            Some(ErrorCode::NON_EMPTY_GROUP) => CliError::Failed(format!(
                "group '{name}' has members; stop them first, see: klamm group describe {name}"
            )),
            Some(ErrorCode::GROUP_ID_NOT_FOUND) => {
                CliError::Failed(format!("group '{name}' does not exist"))
            }
            _ => e.into(),
        })?;
    }
    Ok(())
}

fn target(text: &str) -> Option<Target> {
    Some(match text {
        "earliest" => Target::Earliest,
        "latest" => Target::Latest,
        "current" => Target::Current,
        _ if text.starts_with(['+', '-']) => Target::Shift(text.parse().ok()?),
        _ => match text.strip_prefix('@') {
            Some(ms) => Target::Time(ms.parse().ok().filter(|ms| *ms >= 0)?),
            None => Target::Offset(text.parse().ok()?),
        },
    })
}

fn reset(c: &Reset) -> Result<(), CliError> {
    let target = target(&c.to).ok_or_else(|| {
        CliError::Usage(format!(
            "--to {}: use earliest, latest, current, an offset, +N, -N or @MS",
            c.to
        ))
    })?;
    if c.topic.is_empty() && !c.all_topics {
        return Err(CliError::Usage(
            "say which offsets: --topic TOPIC, --topic TOPIC:0,1 or --all-topics".to_owned(),
        ));
    }
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    let state = match groups::describe(&mut cluster, &c.name) {
        Ok(group) => group.state,
        // Offsets make a group.
        Err(e) if e.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND) => "Dead".to_owned(),
        Err(e) => return Err(e.into()),
    };
    if state != "Empty" && state != "Dead" {
        return Err(CliError::Failed(format!(
            "group '{}' has members (it is {state}); stop them first",
            c.name
        )));
    }
    let partitions = if c.all_topics {
        let committed = groups::fetch_offsets(&mut cluster, &c.name)?;
        committed.into_iter().map(|(t, all)| (t, all.into_keys().collect())).collect()
    } else {
        let topics: Vec<&str> = c.topic.iter().map(String::as_str).collect();
        group_offsets::scope(&mut cluster, &topics, CliError::Usage)?
    };
    let (plan, remarks) = group_offsets::plan(&mut cluster, &c.name, &partitions, &target)
        .map_err(|e| match e {
            ClientError::NoOffset { topic, partition } => CliError::Failed(format!(
                "partition {partition} of topic '{topic}' has no committed offset to shift"
            )),
            e => e.into(),
        })?;
    for remark in remarks {
        eprintln!("klamm: {}", remark.trim_start_matches("WARN ").trim_start_matches("Warn: "));
    }
    if !c.dry_run {
        group_offsets::execute(&mut cluster, &c.name, &plan)?;
    }
    let mut out = std::io::stdout().lock();
    if c.json {
        let all: Vec<Value> = plan
            .iter()
            .map(|((t, p), offset)| json!({"topic": t, "partition": p, "offset": offset}))
            .collect();
        writeln!(out, "{}", Value::Array(all))?;
        return Ok(());
    }
    for ((topic, partition), offset) in &plan {
        writeln!(out, "{topic}:{partition}\t{offset}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_go() {
        assert_eq!(target("earliest"), Some(Target::Earliest));
        assert_eq!(target("12"), Some(Target::Offset(12)));
        assert_eq!((target("+3"), target("-3")), (Some(Target::Shift(3)), Some(Target::Shift(-3))));
        assert_eq!(target("@5"), Some(Target::Time(5)));
        for bad in ["", "soon", "@", "@-1", "+", "1.5"] {
            assert_eq!(target(bad), None, "{bad}");
        }
    }
}
