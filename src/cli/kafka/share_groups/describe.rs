//! The tables of `kafka-share-groups`.

use super::super::group_command::{or_missing, say_error, width};
use crate::client::consumer::Partitions;
use crate::client::share_groups::{ShareGroupDescription, ShareOffsets};
use std::io::{self, Write};

/// Says when the group has nobody or is not there; whether there is something to show.
fn notice(group: &ShareGroupDescription) -> bool {
    match &*group.state {
        "Dead" => say_error(&format!("Share group '{}' does not exist.", group.id)),
        "Empty" => {
            let _ = io::stdout().lock().flush();
            // Who has closed the error output does not want to know.
            let text = format!("\nShare group '{}' has no active members.", group.id);
            let _ = writeln!(io::stderr(), "{text}");
        }
        _ => {}
    }
    group.state != "Dead"
}

/// Where the group reads from, and its lag.
pub fn offsets(id: &str, offsets: &ShareOffsets, verbose: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if offsets.is_empty() {
        return writeln!(out, "\nShare group '{id}' has no offset information.");
    }
    let g = width(15, [id]);
    let t = width(15, offsets.keys().map(|it| &*it.0));
    let mut line = |[group, topic, partition, epoch, start, lag]: [&str; 6]| {
        write!(out, "\n{group:g$} {topic:t$} {partition:10} ")?;
        if verbose {
            write!(out, "{epoch:13} ")?;
        }
        write!(out, "{start:13} {lag}")
    };
    line(["GROUP", "TOPIC", "PARTITION", "LEADER-EPOCH", "START-OFFSET", "LAG"])?;
    for ((topic, partition), at) in offsets {
        let (epoch, start, lag) =
            (or_missing(at.leader_epoch), or_missing(at.start), or_missing(at.lag));
        line([id, topic, &partition.to_string(), &epoch, &start, &lag])?;
    }
    writeln!(out)
}

/// `t:0,1;u:2`.
fn assignment(partitions: &Partitions) -> String {
    let topics = partitions.iter().filter(|it| !it.1.is_empty()).map(|(topic, numbers)| {
        let mut numbers = numbers.clone();
        numbers.sort_unstable();
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        format!("{topic}:{}", numbers.join(","))
    });
    let mut topics: Vec<String> = topics.collect();
    topics.sort();
    topics.join(";")
}

/// Members, with what they read.
pub fn members(group: &ShareGroupDescription, verbose: bool) -> io::Result<()> {
    if !notice(group) || group.members.is_empty() {
        return Ok(());
    }
    let mut all: Vec<_> = group.members.iter().collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let g = width(15, [&*group.id]);
    let c = width(15, all.iter().map(|it| &*it.id));
    let h = width(15, all.iter().map(|it| &*it.host));
    let i = width(15, all.iter().map(|it| &*it.client_id));
    let mut out = io::stdout().lock();
    let mut line = |[group, id, host, client, count, epoch, assignment]: [&str; 7]| {
        write!(out, "\n{group:g$} {id:c$} {host:h$} {client:i$} {count:12} ")?;
        if verbose {
            write!(out, "{epoch:13} ")?;
        }
        write!(out, "{assignment}")
    };
    line([
        "GROUP",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
        "#PARTITIONS",
        "MEMBER-EPOCH",
        "ASSIGNMENT",
    ])?;
    for it in all {
        let count = it.assignment.values().map(Vec::len).sum::<usize>().to_string();
        let (epoch, assignment) = (it.epoch.to_string(), assignment(&it.assignment));
        line([&group.id, &it.id, &it.host, &it.client_id, &count, &epoch, &assignment])?;
    }
    writeln!(out)
}

/// The state.
pub fn state(group: &ShareGroupDescription, address: &str, verbose: bool) -> io::Result<()> {
    notice(group);
    let coordinator = format!("{address}  ({})", group.coordinator);
    let (g, c) = (width(15, [&*group.id]), width(25, [&*coordinator]));
    let mut out = io::stdout().lock();
    let mut line = |[group, coordinator, state, epoch, target, count]: [&str; 6]| {
        write!(out, "\n{group:g$} {coordinator:c$} {state:15} ")?;
        if verbose {
            write!(out, "{epoch:12} {target:17} ")?;
        }
        write!(out, "{count}")
    };
    line(["GROUP", "COORDINATOR (ID)", "STATE", "GROUP-EPOCH", "ASSIGNMENT-EPOCH", "#MEMBERS"])?;
    let (epoch, target) = (group.epoch.to_string(), group.assignment_epoch.to_string());
    let count = group.members.len().to_string();
    line([&group.id, &coordinator, &group.state, &epoch, &target, &count])?;
    writeln!(out)
}

/// How deleting offsets went, by topic.
pub fn deleted_offsets(rows: &[(&str, String)]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let wide = width(15, rows.iter().map(|it| it.0));
    write!(out, "\n{:wide$} STATUS", "TOPIC")?;
    rows.iter().try_for_each(|(topic, status)| write!(out, "\n{topic:wide$} {status}"))?;
    writeln!(out)
}
