//! `klamm bench --compare`: runs beside the first of them.

use super::files::{check_writable, write_file};
use super::latency::{PERCENTILES, group, round};
use super::plot;
use super::results::{SERIES, label, read_run};
use crate::cli::CliError;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Figures that are compared besides latencies: name, and path in the JSON.
const FIGURES: [(&str, &[&str]); 10] = [
    ("requests/s", &["requests_per_s"]),
    ("records/s", &["records_per_s"]),
    ("MB/s", &["mb_per_s"]),
    ("s to open all", &["open_s"]),
    ("broker CPU s/GB", &["broker", "cpu_s_per_gb"]),
    ("broker CPU s/million requests", &["broker", "cpu_s_per_million_requests"]),
    ("broker cores", &["broker", "cores"]),
    ("broker RSS bytes at most", &["broker", "rss_bytes_max"]),
    ("broker bytes written", &["broker", "written_bytes"]),
    ("bench cores", &["bench", "cores"]),
];

/// One line: its name, and each run's figure.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    name: String,
    values: Vec<Option<f64>>,
}

impl Row {
    /// Each run's figure divided by the first run's.
    fn ratios(&self) -> Vec<Option<f64>> {
        let first = self.values.first().copied().flatten().filter(|v| *v > 0.0);
        self.values.iter().map(|v| first.zip(*v).map(|(first, v)| round(v / first))).collect()
    }
}

fn rows(runs: &[Value]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |name: String, path: &[&str]| {
        let at = |run: &Value| path.iter().fold(run, |v, field| &v[*field]).as_f64();
        let values: Vec<Option<f64>> = runs.iter().map(at).collect();
        if values.iter().any(Option::is_some) {
            rows.push(Row { name, values });
        }
    };
    for (name, path) in &FIGURES[..4] {
        add((*name).to_owned(), path);
    }
    for (field, what) in SERIES {
        add(format!("{what} mean µs"), &[field, "mean"]);
        for (name, _) in PERCENTILES {
            add(format!("{what} {name} µs"), &[field, name]);
        }
    }
    for (name, path) in &FIGURES[4..] {
        add((*name).to_owned(), path);
    }
    rows
}

/// Settings in which the runs differ, and how.
fn differences(runs: &[Value]) -> Vec<String> {
    let mut names: Vec<&String> =
        runs.iter().filter_map(|r| r["settings"].as_object()).flat_map(Map::keys).collect();
    names.sort();
    names.dedup();
    let show = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let workloads: Vec<String> = runs.iter().map(|r| show(&r["workload"])).collect();
    let mut out = Vec::new();
    let mut add = |name: &str, values: Vec<String>| {
        if values.iter().any(|v| *v != values[0]) {
            out.push(format!("{name} ({})", values.join(", ")));
        }
    };
    add("workload", workloads);
    for name in names {
        add(name, runs.iter().map(|r| show(&r["settings"][name.as_str()])).collect());
    }
    out
}

fn table(names: &[String], rows: &[Row]) -> String {
    let mut cells: Vec<Vec<String>> = Vec::new();
    let mut head = vec![String::new()];
    head.extend(names.iter().cloned());
    head.extend(names[1..].iter().enumerate().map(|(i, _)| match names.len() {
        2 => "ratio".to_owned(),
        _ => format!("{}/1", i + 2),
    }));
    cells.push(head);
    let show = |v: &Option<f64>| v.map_or("-".to_owned(), group);
    for row in rows {
        let mut line = vec![row.name.clone()];
        line.extend(row.values.iter().map(show));
        line.extend(
            row.ratios()[1..].iter().map(|r| r.map_or("-".to_owned(), |r| format!("{r:.2}"))),
        );
        cells.push(line);
    }
    let columns = cells[0].len();
    let widths: Vec<usize> = (0..columns)
        .map(|i| cells.iter().map(|line| line[i].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for line in &cells {
        let mut text = format!("{:<1$}", line[0], widths[0]);
        for (cell, width) in line[1..].iter().zip(&widths[1..]) {
            let _ = write!(text, "  {cell:>width$}");
        }
        out += text.trim_end();
        out.push('\n');
    }
    out
}

/// Compares the runs in these files.
pub fn run(files: &[PathBuf], plot: Option<&Path>, as_json: bool) -> Result<(), CliError> {
    let runs = files.iter().map(|f| read_run(f)).collect::<Result<Vec<_>, _>>()?;
    plot.map_or(Ok(()), check_writable)?;
    let rows = rows(&runs);
    let mut names: Vec<String> = runs.iter().map(label).collect();
    // Runs of one name are told apart by their files.
    for i in 0..names.len() {
        if (0..names.len()).any(|j| i != j && label(&runs[i]) == label(&runs[j])) {
            let stem = files[i].file_stem().unwrap_or_default().to_string_lossy();
            names[i] = format!("{} ({stem})", label(&runs[i]));
        }
        if runs[i]["complete"] == json!(false) {
            names[i] += " INCOMPLETE";
        }
    }
    let differences = differences(&runs);
    let mut out = std::io::stdout().lock();
    if as_json {
        let figures: Map<String, Value> = rows
            .iter()
            .map(|r| (r.name.clone(), json!({ "values": r.values, "ratios": r.ratios() })))
            .collect();
        let object = json!({ "runs": names, "figures": figures, "differences": differences });
        writeln!(out, "{object}")?;
    } else {
        write!(out, "{}", table(&names, &rows))?;
        if !differences.is_empty() {
            writeln!(out, "the runs differ in: {}", differences.join(", "))?;
        }
    }
    out.flush()?;
    if let Some(file) = plot {
        let named = runs.into_iter().zip(&names).map(|(mut run, name)| {
            run["label"] = json!(name.trim_end_matches(" INCOMPLETE"));
            run
        });
        write_file(file, &plot::svg(&named.collect::<Vec<_>>()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rate: f64, p99: f64, connections: u32) -> Value {
        json!({
            "workload": "produce", "settings": { "connections": connections, "acks": -1 },
            "requests_per_s": rate, "ack_us": { "p99": p99, "distribution": [] },
        })
    }

    #[test]
    fn ratios_are_to_the_first() {
        let runs = [run(1000.0, 50.0, 4), run(2500.0, 25.0, 8)];
        let rows = rows(&runs);
        let row = |name: &str| rows.iter().find(|r| r.name == name).expect("a row");
        assert_eq!(row("requests/s").ratios(), [Some(1.0), Some(2.5)]);
        assert_eq!(row("acknowledged p99 µs").ratios(), [Some(1.0), Some(0.5)]);
        assert!(!rows.iter().any(|r| r.name.contains("end to end")));
        assert_eq!(differences(&runs), ["connections (4, 8)"]);
        let text = table(&["a".to_owned(), "b".to_owned()], &rows);
        let line = text.lines().find(|l| l.starts_with("requests/s")).expect("a line");
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words, ["requests/s", "1,000", "2,500", "2.50"]);
    }

    #[test]
    fn what_one_run_lacks_has_no_ratio() {
        let runs = [json!({ "mb_per_s": 0.0 }), json!({ "mb_per_s": 3.0, "records_per_s": 5.0 })];
        for row in rows(&runs) {
            assert_eq!(row.ratios(), [None, None], "{}", row.name);
        }
    }
}
