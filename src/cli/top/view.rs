//! What `klamm top` shows of the time between two looks.

use super::scrape::{Interval, Scrape};
use crate::metrics::RequestStage;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// How long Produce requests spend in each stage.
pub const STAGES: &str = "klamm_produce_stage_seconds";
/// How long requests of each API take.
pub const APIS: &str = "klamm_request_duration_seconds";

/// The figures of one interval.
pub struct View<'a> {
    before: &'a Scrape,
    after: &'a Scrape,
    seconds: f64,
}

/// Seconds as microseconds, or a dash.
pub fn micros(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".into(), |it| format!("{:.0}", it * 1e6))
}

/// Bytes with a binary unit.
fn size(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.*} {}", usize::from(unit > 0), units[unit])
}

impl<'a> View<'a> {
    /// What happened from `before` to `after`, which are `seconds` apart.
    pub fn new(before: &'a Scrape, after: &'a Scrape, seconds: f64) -> Self {
        Self { before, after, seconds: seconds.max(1e-3) }
    }

    /// How fast a counter grew, a second. Never negative: a broker that started anew counts from 0.
    pub fn rate(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let grown = self.after.sum(name, labels) - self.before.sum(name, labels);
        (grown / self.seconds).max(0.0)
    }

    /// What a histogram counted.
    pub fn interval(&self, name: &str, labels: &[(&str, &str)]) -> Interval {
        Interval::new(self.before, self.after, name, labels)
    }

    /// The APIs that were used in the interval.
    fn apis(&self) -> Vec<String> {
        let mut used = self.after.values("klamm_requests_total", "api");
        used.retain(|api| self.rate("klamm_requests_total", &[("api", api)]) > 0.0);
        used
    }

    /// For a terminal of 100 columns.
    pub fn text(&self, broker: &str) -> String {
        let mut out = String::new();
        let now = |name| self.after.sum(name, &[]);
        let shards = self.after.values("klamm_logs", "shard");
        let _ = writeln!(
            out,
            "klamm {broker}   shards {}   connections {:.0}   topics {:.0}   partitions {:.0}   \
             memory {} of {}",
            shards.len(),
            now("klamm_connections"),
            now("klamm_topics"),
            now("klamm_partitions"),
            size(now("klamm_memory_used_bytes")),
            size(now("klamm_memory_limit_bytes")),
        );
        let _ = writeln!(
            out,
            "errors {:.0}/s   slow requests {:.0}/s{}\n",
            self.rate("klamm_errors_total", &[]),
            self.rate("klamm_slow_requests_total", &[]),
            if now("klamm_disk_full") > 0.0 { "   THE DISK IS FULL" } else { "" },
        );
        let _ = writeln!(
            out,
            "{:<22}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}",
            "API", "requests/s", "MB/s in", "MB/s out", "p50 µs", "p99 µs", "p99.9 µs"
        );
        for api in self.apis() {
            let labels = [("api", &*api)];
            let times = self.interval(APIS, &labels);
            let _ = writeln!(
                out,
                "{api:<22}{:>11.0}{:>11.1}{:>11.1}{:>11}{:>11}{:>11}",
                self.rate("klamm_requests_total", &labels),
                self.rate("klamm_request_bytes_total", &labels) / 1e6,
                self.rate("klamm_response_bytes_total", &labels) / 1e6,
                micros(times.quantile(0.5)),
                micros(times.quantile(0.99)),
                micros(times.quantile(0.999)),
            );
        }
        let _ = writeln!(
            out,
            "\n{:<22}{:>11}{:>11}{:>11}{:>11}",
            "produce stage", "mean µs", "p50 µs", "p99 µs", "p99.9 µs"
        );
        for stage in RequestStage::ALL {
            let times = self.interval(STAGES, &[("stage", stage.name())]);
            let _ = writeln!(
                out,
                "{:<22}{:>11}{:>11}{:>11}{:>11}",
                stage.name(),
                micros((times.count > 0.0).then_some(times.mean)),
                micros(times.quantile(0.5)),
                micros(times.quantile(0.99)),
                micros(times.quantile(0.999)),
            );
        }
        let _ = writeln!(
            out,
            "\n{:<8}{:>7}{:>13}{:>12}{:>12}{:>13}{:>12}{:>12}{:>9}",
            "shard",
            "CPU %",
            "connections",
            "blocks/s",
            "MB/s in",
            "journal",
            "pending",
            "cache",
            "rounds/s"
        );
        for shard in shards {
            let labels = [("shard", &*shard)];
            let is = |name| self.after.sum(name, &labels);
            let _ = writeln!(
                out,
                "{shard:<8}{:>7.0}{:>13.0}{:>12.0}{:>12.1}{:>12.0}%{:>12}{:>12}{:>9.1}",
                self.rate("klamm_shard_cpu_seconds_total", &labels) * 100.0,
                is("klamm_connections"),
                self.rate("klamm_journal_blocks_total", &labels),
                self.rate("klamm_appended_bytes_total", &labels) / 1e6,
                100.0 * is("klamm_journal_used_bytes") / is("klamm_journal_limit_bytes").max(1.0),
                size(is("klamm_pending_bytes")),
                size(is("klamm_cache_bytes")),
                self.rate("klamm_rounds_total", &labels),
            );
        }
        out
    }

    /// The same as one object; times in µs, null where nothing was counted.
    pub fn json(&self) -> Value {
        let times = |name: &str, labels: &[(&str, &str)]| {
            let times = self.interval(name, labels);
            let at = |q| times.quantile(q).map(|it| it * 1e6);
            json!({
                "count": times.count, "mean_us": times.mean * 1e6,
                "p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999),
            })
        };
        let mut apis = Map::new();
        for api in self.apis() {
            let labels = [("api", &*api)];
            let one = json!({
                "requests_per_s": self.rate("klamm_requests_total", &labels),
                "bytes_in_per_s": self.rate("klamm_request_bytes_total", &labels),
                "bytes_out_per_s": self.rate("klamm_response_bytes_total", &labels),
                "latency": times(APIS, &labels),
            });
            apis.insert(api, one);
        }
        let stages: Map<String, Value> = RequestStage::ALL
            .into_iter()
            .map(|it| (it.name().to_owned(), times(STAGES, &[("stage", it.name())])))
            .collect();
        let shards: Vec<Value> = self
            .after
            .values("klamm_logs", "shard")
            .iter()
            .map(|shard| {
                let labels = [("shard", &**shard)];
                json!({
                    "cpu": self.rate("klamm_shard_cpu_seconds_total", &labels),
                    "connections": self.after.sum("klamm_connections", &labels),
                    "blocks_per_s": self.rate("klamm_journal_blocks_total", &labels),
                    "appended_bytes_per_s": self.rate("klamm_appended_bytes_total", &labels),
                    "journal_used_bytes": self.after.sum("klamm_journal_used_bytes", &labels),
                    "pending_bytes": self.after.sum("klamm_pending_bytes", &labels),
                    "cache_bytes": self.after.sum("klamm_cache_bytes", &labels),
                })
            })
            .collect();
        json!({
            "seconds": self.seconds,
            "connections": self.after.sum("klamm_connections", &[]),
            "memory_used_bytes": self.after.sum("klamm_memory_used_bytes", &[]),
            "memory_limit_bytes": self.after.sum("klamm_memory_limit_bytes", &[]),
            "errors_per_s": self.rate("klamm_errors_total", &[]),
            "apis": apis, "produce_stages": stages, "shards": shards,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "klamm_logs{shard=\"0\"} 3\nklamm_requests_total{api=\"Produce\"} 100\n\
        klamm_shard_cpu_seconds_total{shard=\"0\"} 1\n";
    const AFTER: &str = "klamm_logs{shard=\"0\"} 3\nklamm_requests_total{api=\"Produce\"} 300\n\
        klamm_requests_total{api=\"Fetch\"} 0\nklamm_shard_cpu_seconds_total{shard=\"0\"} 2.5\n\
        klamm_request_duration_seconds_bucket{api=\"Produce\",le=\"0.001\"} 200\n\
        klamm_request_duration_seconds_bucket{api=\"Produce\",le=\"+Inf\"} 200\n\
        klamm_request_duration_seconds_sum{api=\"Produce\"} 0.1\n\
        klamm_request_duration_seconds_count{api=\"Produce\"} 200\n";

    #[test]
    fn shows_rates_of_the_time_between() {
        let (before, after) = (Scrape::parse(BEFORE), Scrape::parse(AFTER));
        let view = View::new(&before, &after, 2.0);
        let text = view.text("b");
        let line = text.lines().find(|it| it.starts_with("Produce")).expect("used");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["Produce", "100", "0.0", "0.0", "500", "990", "999"]);
        assert!(!text.contains("Fetch"), "{text}");
        assert!(text.lines().any(|it| it.starts_with("0            75")), "{text}");
        let json = view.json();
        assert_eq!(json["apis"]["Produce"]["requests_per_s"], json!(100.0));
        assert_eq!(json["produce_stages"]["sync"]["p50_us"], Value::Null);
        // A broker that was started anew counts from the beginning.
        assert_eq!(View::new(&after, &before, 2.0).json()["apis"], json!({}));
    }
}
