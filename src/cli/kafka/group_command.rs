//! What the tools of groups have in common.

use super::ToolError;
use super::options::Parsed;
use crate::client::ClientError;
use crate::client::groups::GroupListing;
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
