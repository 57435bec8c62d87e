//! The JSON object of a run as `--json` prints it, and reading it back.

use super::files::cannot;
use crate::cli::CliError;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Version of the JSON's field names.
pub const FORMAT: u64 = 1;

/// The latencies that a run may have: their JSON field, and what a reader calls them.
pub const SERIES: [(&str, &str); 5] = [
    ("e2e_us", "end to end"),
    ("ack_us", "acknowledged"),
    ("sent_us", "sent"),
    ("fetch_us", "fetch"),
    ("connect_us", "connect"),
];

/// Reads what `--json` printed; several objects may be there, one a line: the last counts.
pub fn read_run(file: &Path) -> Result<Value, CliError> {
    let text = fs::read_to_string(file).map_err(|e| cannot("read", file, &e))?;
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let run: Option<Value> =
        serde_json::from_str(&text).ok().or_else(|| serde_json::from_str(last).ok());
    match run {
        Some(run) if run["klamm_bench"].as_u64() == Some(FORMAT) => Ok(run),
        Some(run) if run["klamm_bench"].is_u64() => Err(CliError::Failed(format!(
            "{} is of another version of klamm bench",
            file.display()
        ))),
        _ => Err(CliError::Failed(format!(
            "{} is not what 'klamm bench … --json' prints",
            file.display()
        ))),
    }
}

/// The name of a run in plots and comparisons.
pub fn label(run: &Value) -> String {
    run["label"].as_str().unwrap_or("run").to_owned()
}
