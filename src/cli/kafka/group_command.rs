//! What the tools of groups have in common.

use super::ToolError;
use super::options::Parsed;
use crate::client::groups::GroupListing;
use crate::client::{ClientError, Cluster};
use std::io::{self, Write};

/// Why an action ends early.
pub enum Problem {
    /// The cluster refused, or did not answer.
    Client(ClientError),
    /// Wrong usage, a file, the output.
    Tool(ToolError),
}

impl From<ClientError> for Problem {
    fn from(e: ClientError) -> Self {
        Self::Client(e)
    }
}

impl From<ToolError> for Problem {
    fn from(e: ToolError) -> Self {
        Self::Tool(e)
    }
}

impl From<io::Error> for Problem {
    fn from(e: io::Error) -> Self {
        Self::Tool(e.into())
    }
}

/// As Kafka's tool: on the standard output, after an empty line.
pub fn say_error(what: &str) {
    println!("\nError: {what}");
}

/// Where there is no value.
pub const MISSING: &str = "-";

/// A value, or the sign for none.
pub fn or_missing(value: Option<impl ToString>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |v| v.to_string())
}

/// The widest of the values, at least `min`.
pub fn width<'a>(min: usize, values: impl IntoIterator<Item = &'a str>) -> usize {
    values.into_iter().map(|v| v.chars().count()).max().unwrap_or(0).max(min)
}

/// Options that are there only with one of others.
pub fn check_company(parsed: &Parsed, options: &[(&str, &[&str])]) -> Result<(), ToolError> {
    let alone = |(option, with): &&(&str, &[&str])| {
        parsed.has(option) && !with.iter().any(|it| parsed.has(it))
    };
    options.iter().find(alone).map_or(Ok(()), |(option, _)| {
        Err(ToolError::Failed(format!(
            "Option(s) [{option}] are unavailable given other options on the command line"
        )))
    })
}

/// The rules of the options of `--describe`, if it is given. `scopes` names those that say which groups, as Kafka's tool does.
pub fn check_describe(parsed: &Parsed, scopes: &str) -> Result<(), ToolError> {
    if !parsed.has("describe") {
        return Ok(());
    }
    if !parsed.has("group") && !parsed.has("all-groups") {
        return Err(
            parsed.usage(&format!("Option [describe] takes one of these options: {scopes}"))
        );
    }
    if ["members", "offsets", "state"].iter().filter(|it| parsed.has(it)).count() > 1 {
        return Err(parsed.usage(
            "Option [describe] takes at most one of these options: [members], [offsets], [state]",
        ));
    }
    if parsed.value("state")?.is_some() {
        return Err(parsed.usage("Option [describe] does not take a value for [state]"));
    }
    Ok(())
}

/// Not both are given, `--dry-run` and `--execute`.
pub fn check_not_both(parsed: &Parsed) -> Result<(), ToolError> {
    if parsed.has("dry-run") && parsed.has("execute") {
        return Err(
            parsed.usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
        );
    }
    Ok(())
}

/// One of `--dry-run` and `--execute` is given.
pub fn check_either(parsed: &Parsed) -> Result<(), ToolError> {
    check_not_both(parsed)?;
    if !parsed.has("dry-run") && !parsed.has("execute") {
        return Err(parsed.usage("Option [reset-offsets] takes the option: [execute] or [dry-run]"));
    }
    Ok(())
}

/// Where a node is, as `HOST:PORT`; empty where that is not known.
pub fn address_of(cluster: &Cluster, node: i32) -> String {
    let broker = cluster.metadata().brokers.get(&node);
    broker.map_or_else(String::new, |it| format!("{}:{}", it.host, it.port))
}

/// Of `--state`: names, of those that groups of this type can be in.
pub fn named_states(
    parsed: &Parsed,
    valid: &[&'static str],
) -> Result<Vec<&'static str>, ToolError> {
    let text = parsed.value("state")?.filter(|it| !it.is_empty());
    let names = text.into_iter().flat_map(|it| it.split(','));
    let find = |name: &str| valid.iter().find(|it| it.eq_ignore_ascii_case(name.trim())).copied();
    names.map(find).collect::<Option<_>>().ok_or_else(|| {
        let (text, valid) = (text.unwrap_or_default(), valid.join(", "));
        parsed.usage(&format!("Invalid state list '{text}'. Valid states are: {valid}"))
    })
}

/// Ids, one a line; with states as a table.
pub fn list_groups(groups: &[GroupListing], states: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if !states {
        return groups.iter().try_for_each(|it| writeln!(out, "{}", it.id));
    }
    let wide = width(15, groups.iter().map(|it| &*it.id));
    writeln!(out, "{:wide$} STATE", "GROUP")?;
    groups.iter().try_for_each(|it| {
        let state = if it.state.is_empty() { "Unknown" } else { &it.state };
        writeln!(out, "{:wide$} {state}", it.id)
    })
}
