//! What a run says at its end: a table or JSON, files, and how the process ends.

use super::check::Verdict;
use super::files::{check_writable, write_file};
use super::latency::{Latency, PERCENTILES, group, show_us};
use super::options::OutputArgs;
use super::plot;
use super::results::{FORMAT, SERIES, read_run};
use crate::cli::CliError;
use serde_json::{Map, Value, json};
use std::io::Write;

/// What a run has measured, whole or in part.
#[derive(Debug)]
pub struct Outcome {
    /// The JSON object, without the fields that [`finish`] adds.
    pub json: Map<String, Value>,
    /// The latency that matters most, for the percentile log.
    main: Latency,
    /// Whether the run went to its end.
    pub complete: bool,
    /// Why it ended early, or what is wrong with the data.
    pub stop: Option<CliError>,
    /// Lines for the standard error output.
    pub warnings: Vec<String>,
}

impl Outcome {
    /// A complete run; `main` is its latency under the name `field`.
    pub fn new(mut json: Map<String, Value>, field: &str, main: Latency) -> Self {
        json.entry(field.to_owned()).or_insert_with(|| main.to_json());
        Self { json, main, complete: true, stop: None, warnings: Vec::new() }
    }
}

/// A signal ended the run.
pub fn interrupted_run() -> CliError {
    CliError::Exit(130, "interrupted: the figures are of the time until then".to_owned())
}

/// The field `check`; `None` if nothing was checked.
pub fn verdict_json(verdict: Option<&Verdict>) -> Value {
    match verdict {
        None => json!({ "checked": false }),
        Some(v) => json!({
            "checked": true, "batches": v.batches, "records": v.records, "lost": v.lost,
            "duplicates": v.duplicates, "reordered": v.reordered, "corrupt": v.corrupt,
            "offset_gaps": v.offset_gaps, "first": v.first,
        }),
    }
}

/// Before a run: the files that it is to write can be written, those that it is to read are there.
pub fn check_files(output: &OutputArgs) -> Result<(), CliError> {
    for file in output.hgrm.iter().chain(&output.plot) {
        check_writable(file)?;
    }
    output.overlay.iter().try_for_each(|file| read_run(file).map(drop))
}

fn own_label(json: &Map<String, Value>) -> String {
    let settings = &json.get("settings").cloned().unwrap_or_default();
    let workload = json.get("workload").and_then(Value::as_str).unwrap_or("run");
    match settings["rate"].as_f64() {
        Some(rate) => format!("{workload} {}/s", group(rate)),
        None => workload.to_owned(),
    }
}

/// Prints and writes everything; the error is how the process ends.
pub fn finish(outcome: Outcome, output: &OutputArgs) -> Result<(), CliError> {
    let Outcome { mut json, main, complete, stop, warnings } = outcome;
    let label = output.label.clone().unwrap_or_else(|| own_label(&json));
    json.insert("klamm_bench".to_owned(), json!(FORMAT));
    json.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
    json.insert("label".to_owned(), json!(label));
    json.insert("complete".to_owned(), json!(complete));
    json.insert("reason".to_owned(), json!(stop.as_ref().map(ToString::to_string)));
    let run = Value::Object(json);
    let mut out = std::io::stdout().lock();
    if output.json {
        writeln!(out, "{run}")?;
    } else {
        write!(out, "{}", table(&run))?;
    }
    out.flush()?;
    for line in &warnings {
        eprintln!("klamm: {line}");
    }
    if let Some(file) = &output.hgrm {
        write_file(file, &main.to_hgrm())?;
    }
    if let Some(file) = &output.plot {
        let mut runs = output.overlay.iter().map(|f| read_run(f)).collect::<Result<Vec<_>, _>>()?;
        runs.push(run);
        write_file(file, &plot::svg(&runs))?;
    }
    stop.map_or(Ok(()), Err)
}

fn number(value: &Value) -> Option<String> {
    value.as_f64().map(group)
}

/// The table of a run.
fn table(run: &Value) -> String {
    let mut lines = Vec::new();
    let s = &run["settings"];
    let mut what = vec![run["workload"].as_str().unwrap_or("run").to_owned()];
    let mut part = |value: &Value, one: &str, many: &str| {
        if let Some(n) = value.as_f64() {
            let noun = if (n - 1.0).abs() < f64::EPSILON { one } else { many };
            what.push(format!("{} {noun}", group(n)));
        }
    };
    part(&s["rate"], "request/s", "requests/s");
    part(&s["partitions"], "partition", "partitions");
    part(&s["connections"], "connection", "connections");
    part(&s["inflight"], "in flight on each", "in flight on each");
    part(&s["batch"], "record a batch", "records a batch");
    part(&s["record_size"], "byte a record", "bytes a record");
    if let Some(compression) = s["compression"].as_str().filter(|c| *c != "none") {
        what.push(compression.to_owned());
    }
    if let Some(acks) = s["acks"].as_i64() {
        what.push(if acks < 0 { "acks=all".to_owned() } else { format!("acks={acks}") });
    }
    if run["complete"] == json!(false) {
        what.push("INCOMPLETE".to_owned());
    }
    lines.push(what.join(", "));

    let rates: Vec<String> = [
        ("seconds", "s"),
        ("requests_per_s", "requests/s"),
        ("records_per_s", "records/s"),
        ("mb_per_s", "MB/s"),
        ("open_s", "s to open all"),
    ]
    .iter()
    .filter_map(|(field, unit)| number(&run[*field]).map(|n| format!("{n} {unit}")))
    .collect();
    lines.push(format!("  {}", rates.join("   ")));

    let series: Vec<_> = SERIES.iter().filter(|(field, _)| run[*field].is_object()).collect();
    if !series.is_empty() {
        let names = ["min", "mean"].into_iter().chain(PERCENTILES.iter().map(|(n, _)| *n));
        let names: Vec<&str> = names.filter(|n| *n != "p75" && *n != "p99.5").collect();
        let row = |name: &str, cells: Vec<String>, count: &str| {
            let cells: Vec<String> = cells.iter().map(|c| format!("{c:>9}")).collect();
            format!("  {name:<14} {} {count:>11}", cells.join(" "))
        };
        let head = names.iter().map(|n| (*n).to_owned()).collect();
        lines.push(row("latency, µs", head, "count"));
        for (field, name) in series {
            let h = &run[*field];
            let cell = |n: &&str| h[*n].as_f64().map_or("-".to_owned(), show_us);
            let cells = names.iter().map(cell).collect();
            let count = number(&h["count"]).unwrap_or_default();
            lines.push(row(name, cells, &count));
        }
    }
    lines.extend(costs(run));
    lines.extend(check_line(&run["check"]));
    lines.join("\n") + "\n"
}

fn costs(run: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let fields = |value: &Value, fields: &[(&str, &str, f64)]| {
        let shown: Vec<String> = fields
            .iter()
            .filter_map(|(field, unit, per)| {
                value[*field].as_f64().map(|n| format!("{} {unit}", group(n / per)))
            })
            .collect();
        shown.join("   ")
    };
    let broker = &run["broker"];
    if broker.is_object() {
        let text = fields(
            broker,
            &[
                ("cores", "cores", 1.0),
                ("cpu_s_per_gb", "CPU s/GB", 1.0),
                ("cpu_s_per_million_requests", "CPU s/million requests", 1.0),
                ("rss_bytes_max", "MB RSS at most", 1e6),
                ("written_bytes", "MB written", 1e6),
                ("rss_bytes_per_connection", "bytes RSS a connection", 1.0),
            ],
        );
        lines.push(format!("  {:<14} {text}", "broker"));
    }
    if run["bench"].is_object() {
        let text = fields(&run["bench"], &[("cores", "cores", 1.0)]);
        lines.push(format!("  {:<14} {text}", "bench"));
    }
    lines
}

fn check_line(check: &Value) -> Option<String> {
    let text = if check["checked"] == json!(false) {
        "nothing".to_owned()
    } else {
        let records = number(&check["records"])?;
        let bad: Vec<String> = [
            ("lost", "lost"),
            ("duplicates", "twice"),
            ("reordered", "out of order"),
            ("corrupt", "corrupt"),
            ("offset_gaps", "offsets skipped"),
        ]
        .iter()
        .filter(|(field, _)| check[*field].as_u64().is_some_and(|n| n > 0))
        .map(|(field, name)| format!("{} {name}", check[*field]))
        .collect();
        let found = if bad.is_empty() { "all in order".to_owned() } else { bad.join(", ") };
        format!("{records} records: {found}")
    };
    Some(format!("  {:<14} {text}", "checked"))
}
