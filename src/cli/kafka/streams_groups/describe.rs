//! The tables of `kafka-streams-groups`.

use super::super::group_command::{or_missing, say_error, width};
use super::offsets::Row;
use crate::client::streams_groups::{StreamsGroupDescription, TaskList};
use std::io::{self, Write};

/// Says when the group has nobody or is not there.
fn notice(group: &StreamsGroupDescription) {
    match &*group.state {
        "Dead" => say_error(&format!("Streams group '{}' does not exist.", group.id)),
        "Empty" => say_error(&format!("Streams group '{}' has no active members.", group.id)),
        _ => {}
    }
}

/// `ACTIVE: 0:[0,1]; 1:[2]; `.
fn tasks(kind: &str, of: &TaskList) -> String {
    if of.is_empty() {
        return String::new();
    }
    let each = of.iter().map(|(id, partitions)| {
        let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        format!("{id}:[{}]; ", partitions.join(","))
    });
    format!("{kind}: {}", each.collect::<String>())
}

/// Members, with their tasks.
pub fn members(group: &StreamsGroupDescription, verbose: bool) -> io::Result<()> {
    let all = &group.members;
    if group.state == "Dead" || all.is_empty() {
        return Ok(());
    }
    notice(group);
    let g = width(15, [&*group.id]);
    let m = width(15, all.iter().map(|it| &*it.id));
    let p = width(15, all.iter().map(|it| &*it.process_id));
    let c = width(15, all.iter().map(|it| &*it.client_id));
    let mut out = io::stdout().lock();
    let mut line = |[group, member, process, client, tasks]: [&str; 5], epochs: [&str; 4]| {
        write!(out, "{group:g$} ")?;
        let [target, topology, protocol, epoch] = epochs;
        if verbose {
            write!(out, "{target:25} {topology:15}{member:m$} {protocol:15} {epoch:15} ")?;
        } else {
            write!(out, "{member:m$} ")?;
        }
        writeln!(out, "{process:p$} {client:c$} {tasks}")
    };
    line(
        ["GROUP", "MEMBER", "PROCESS", "CLIENT-ID", "ASSIGNMENTS"],
        ["TARGET-ASSIGNMENT-EPOCH", "TOPOLOGY-EPOCH", "MEMBER-PROTOCOL", "MEMBER-EPOCH"],
    )?;
    let (target_epoch, topology_epoch) =
        (group.assignment_epoch.to_string(), group.topology_epoch.to_string());
    for it in all {
        let mut shown = tasks("ACTIVE", &it.assignment.active)
            + &tasks("STANDBY", &it.assignment.standby)
            + &tasks("WARMUP", &it.assignment.warmup);
        if verbose {
            shown += &(tasks("TARGET-ACTIVE", &it.target.active)
                + &tasks("TARGET-STANDBY", &it.target.standby)
                + &tasks("TARGET-WARMUP", &it.target.warmup));
        }
        let protocol = if it.is_classic { "classic" } else { "streams" };
        line(
            [&group.id, &it.id, &it.process_id, &it.client_id, &shown],
            [&target_epoch, &topology_epoch, protocol, &it.epoch.to_string()],
        )?;
    }
    Ok(())
}

/// The state.
pub fn state(group: &StreamsGroupDescription, address: &str, verbose: bool) -> io::Result<()> {
    notice(group);
    let coordinator = format!("{address} ({})", group.coordinator);
    let (g, c) = (width(15, [&*group.id]), width(25, [&*coordinator]));
    let mut out = io::stdout().lock();
    let mut line = |[group, coordinator, state, epoch, target, count]: [&str; 6]| {
        write!(out, "{group:g$} {coordinator:c$} {state:25} ")?;
        if verbose {
            write!(out, "{epoch:15} {target:25} ")?;
        }
        writeln!(out, "{count}")
    };
    line([
        "GROUP",
        "COORDINATOR (ID)",
        "STATE",
        "GROUP-EPOCH",
        "TARGET-ASSIGNMENT-EPOCH",
        "#MEMBERS",
    ])?;
    let (epoch, target) = (group.epoch.to_string(), group.assignment_epoch.to_string());
    let count = group.members.len().to_string();
    line([&group.id, &coordinator, &group.state, &epoch, &target, &count])
}

/// Offsets and lag of the partitions that members process.
pub fn offsets(group: &StreamsGroupDescription, rows: &[Row], verbose: bool) -> io::Result<()> {
    if group.state == "Dead" || group.members.is_empty() {
        return Ok(());
    }
    notice(group);
    let g = width(15, [&*group.id]);
    let t = width(15, rows.iter().map(|it| &*it.topic));
    let mut out = io::stdout().lock();
    let mut line = |[group, topic, partition, at, epoch, end, lag]: [&str; 7]| {
        write!(out, "{group:g$} {topic:t$} {partition:10} ")?;
        if verbose {
            writeln!(out, "{at:15} {epoch:15} {end:15} {lag:15}")
        } else {
            writeln!(out, "{lag}")
        }
    };
    line([
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LEADER-EPOCH",
        "LOG-END-OFFSET",
        "OFFSET-LAG",
    ])?;
    for it in rows {
        let (at, epoch) = (or_missing(it.offset), or_missing(it.leader_epoch));
        let (partition, end, lag) =
            (it.partition.to_string(), it.end.to_string(), it.lag().to_string());
        line([&group.id, &it.topic, &partition, &at, &epoch, &end, &lag])?;
    }
    Ok(())
}
