//! The tables of `kafka-consumer-groups`.

use super::super::group_command::{MISSING, or_missing, width};
use crate::cli::group_offsets::Row;
use crate::client::consumer::Partitions;
use crate::client::groups::{GroupDescription, GroupListing};
use std::io::{self, Write};

/// Ids, one a line; with types or states as a table.
pub fn list(groups: &[GroupListing], types: bool, states: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if !types && !states {
        for group in groups {
            writeln!(out, "{}", group.id)?;
        }
        return Ok(());
    }
    let wide = width(15, groups.iter().map(|g| g.id.as_str())) + 10;
    let mut line = |id: &str, kind: &str, state: &str| {
        write!(out, "{id:wide$}")?;
        if types {
            write!(out, " {kind:20}")?;
        }
        if states {
            write!(out, " {state:20}")?;
        }
        writeln!(out)
    };
    line("GROUP", "TYPE", "STATE")?;
    for group in groups {
        let or_unknown = |text: &'_ str| if text.is_empty() { "Unknown" } else { text }.to_owned();
        // Brokers say it in lower case, Kafka's client in its own.
        let kind = match or_unknown(&group.kind).as_str() {
            "classic" => "Classic".to_owned(),
            "consumer" => "Consumer".to_owned(),
            other => other.to_owned(),
        };
        line(&group.id, &kind, &or_unknown(&group.state))?;
    }
    Ok(())
}

/// Prints a warning about the group's state, if it is unusual; returns whether there is something to show.
fn notice(group: &GroupDescription) -> bool {
    let _ = io::stdout().lock().flush();
    // Who has closed the error output does not want to know.
    let mut err = io::stderr().lock();
    match group.state.as_str() {
        "Empty" => {
            let _ = writeln!(err, "\nConsumer group '{}' has no active members.", group.id);
        }
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            let _ = writeln!(err, "\nWarning: Consumer group '{}' is rebalancing.", group.id);
        }
        _ => {}
    }
    group.state != "Dead"
}

/// Offsets and lag.
pub fn offsets(group: &GroupDescription, rows: &[Row<'_>], verbose: bool) -> io::Result<()> {
    if !notice(group) || rows.is_empty() {
        return Ok(());
    }
    let member = |row: &Row<'_>, of: fn(&crate::client::groups::MemberDescription) -> &str| {
        row.member.map_or(MISSING, of).to_owned()
    };
    let cells: Vec<[String; 10]> = rows
        .iter()
        .map(|row| {
            let (topic, partition) = row.partition.clone().unzip();
            [
                group.id.clone(),
                or_missing(topic),
                or_missing(partition),
                or_missing(row.leader_epoch),
                or_missing(row.offset),
                or_missing(row.end),
                or_missing(row.lag()),
                member(row, |m| &m.id),
                member(row, |m| &m.host),
                member(row, |m| &m.client_id),
            ]
        })
        .collect();
    let wide = |column: usize| width(15, cells.iter().map(|c| c[column].as_str()));
    let (g, t, c, h) = (wide(0), wide(1), wide(7), wide(8));
    let mut out = io::stdout().lock();
    let header = [
        "GROUP",
        "TOPIC",
        "PARTITION",
        "LEADER-EPOCH",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ]
    .map(str::to_owned);
    for line in std::iter::once(&header).chain(&cells) {
        let [group, topic, partition, epoch, offset, end, lag, consumer, host, client] = line;
        write!(out, "\n{group:g$} {topic:t$} {partition:10} ")?;
        if verbose {
            write!(out, "{epoch:15} ")?;
        }
        write!(out, "{offset:15} {end:15} {lag:15} {consumer:c$} {host:h$} {client}")?;
    }
    writeln!(out)
}

/// `t:0,1;u:2`, numbers in the order of their digits, as Kafka's tool sorts them.
fn assignment(partitions: &Partitions) -> String {
    let topics: Vec<String> = partitions
        .iter()
        .filter(|(_, numbers)| !numbers.is_empty())
        .map(|(topic, numbers)| {
            let mut numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            numbers.sort();
            format!("{topic}:{}", numbers.join(","))
        })
        .collect();
    if topics.is_empty() { MISSING.to_owned() } else { topics.join(";") }
}

/// Members, with what they read if `verbose`.
pub fn members(group: &GroupDescription, verbose: bool) -> io::Result<()> {
    if !notice(group) {
        return Ok(());
    }
    let all = &group.members;
    let g = width(15, [group.id.as_str()]);
    let c = width(15, all.iter().map(|m| m.id.as_str()));
    let i = width(17, all.iter().filter_map(|m| m.instance_id.as_deref()));
    let h = width(15, all.iter().map(|m| m.host.as_str()));
    let client_wide = width(15, all.iter().map(|m| m.client_id.as_str()));
    let fixed = all.iter().any(|m| m.instance_id.as_deref().is_some_and(|id| !id.is_empty()));
    let given: Vec<String> = all.iter().map(|m| assignment(&m.assignment)).collect();
    let given_wide = width(20, given.iter().map(String::as_str));
    let mut out = io::stdout().lock();
    let mut line = |cells: [&str; 6], epoch: &str, current: &str, target: [&str; 2]| {
        let [group, consumer, instance, host, client, count] = cells;
        write!(out, "\n{group:g$} {consumer:c$} ")?;
        if fixed {
            write!(out, "{instance:i$} ")?;
        }
        write!(out, "{host:h$} {client:client_wide$} {count:15} ")?;
        if verbose {
            let [target_epoch, target] = target;
            write!(out, "{epoch:15} {current:given_wide$} {target_epoch:15} {target:20}")?;
        }
        Ok::<(), io::Error>(())
    };
    line(
        ["GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS"],
        "CURRENT-EPOCH",
        "CURRENT-ASSIGNMENT",
        ["TARGET-EPOCH", "TARGET-ASSIGNMENT"],
    )?;
    for (m, given) in all.iter().zip(&given) {
        let count = m.assignment.values().map(Vec::len).sum::<usize>().to_string();
        let instance = m.instance_id.as_deref().unwrap_or_default();
        // A classic group has no epochs and no target.
        let epoch = or_missing(m.target.as_ref().map(|it| it.0));
        let target_epoch = or_missing(group.epochs.map(|it| it.1));
        let target = m.target.as_ref().map_or_else(|| MISSING.to_owned(), |it| assignment(&it.1));
        line(
            [&group.id, &m.id, instance, &m.host, &m.client_id, &count],
            &epoch,
            given,
            [&target_epoch, &target],
        )?;
    }
    writeln!(out)
}

/// The state.
pub fn state(group: &GroupDescription, address: &str, verbose: bool) -> io::Result<()> {
    if !notice(group) {
        return Ok(());
    }
    let coordinator = format!("{address}  ({})", group.coordinator);
    let (g, c) = (width(15, [group.id.as_str()]), width(25, [coordinator.as_str()]));
    let strategy = if group.protocol.is_empty() { MISSING } else { &group.protocol };
    let count = group.members.len().to_string();
    let epoch = or_missing(group.epochs.map(|it| it.0));
    let target = or_missing(group.epochs.map(|it| it.1));
    let mut out = io::stdout().lock();
    for [group, coordinator, strategy, state, epoch, target, count] in [
        [
            "GROUP",
            "COORDINATOR (ID)",
            "ASSIGNMENT-STRATEGY",
            "STATE",
            "GROUP-EPOCH",
            "TARGET-ASSIGNMENT-EPOCH",
            "#MEMBERS",
        ],
        [&group.id, &coordinator, strategy, &group.state, &epoch, &target, &count],
    ] {
        write!(out, "\n{group:g$} {coordinator:c$} {strategy:20} {state:20} ")?;
        if verbose {
            write!(out, "{epoch:15} {target:25} ")?;
        }
        write!(out, "{count}")?;
    }
    writeln!(out)
}
