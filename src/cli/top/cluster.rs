//! What `klamm top` shows of several brokers: a line for each.

use super::scrape::Scrape;
use super::view::{APIS, STAGES, View, micros};
use crate::metrics::RequestStage;
use serde_json::{Value, json};
use std::fmt::Write;

/// A broker at two moments; `None` where it could not be reached.
#[derive(Debug)]
pub struct BrokerScrapes {
    /// Its address for figures.
    pub admin: String,
    /// Its figures, and later.
    pub scrapes: Option<(Scrape, Scrape)>,
}

/// The figures of one interval.
#[derive(Debug)]
pub struct ClusterView<'a> {
    /// The brokers.
    pub brokers: &'a [BrokerScrapes],
    /// The time between the two moments.
    pub seconds: f64,
}

/// What is shown of a broker.
struct Line {
    controller: bool,
    leads: f64,
    under_replicated: f64,
    under_min_isr: f64,
    connections: f64,
    requests: f64,
    bytes_in: f64,
    bytes_out: f64,
    errors: f64,
    produce_p99: Option<f64>,
    replicate_p99: Option<f64>,
    lag_records: f64,
}

impl Line {
    fn new(before: &Scrape, after: &Scrape, seconds: f64) -> Self {
        let view = View::new(before, after, seconds);
        let now = |name| after.sum(name, &[]);
        let produce = view.interval(APIS, &[("api", "Produce")]);
        let replicate = view.interval(STAGES, &[("stage", RequestStage::Replicate.name())]);
        Self {
            controller: now("klamm_controller") > 0.0,
            leads: now("klamm_partitions_led"),
            under_replicated: now("klamm_partitions_under_replicated"),
            under_min_isr: now("klamm_partitions_under_min_isr"),
            connections: now("klamm_connections"),
            requests: view.rate("klamm_requests_total", &[]),
            bytes_in: view.rate("klamm_request_bytes_total", &[]),
            bytes_out: view.rate("klamm_response_bytes_total", &[]),
            errors: view.rate("klamm_errors_total", &[]),
            produce_p99: produce.quantile(0.99),
            replicate_p99: replicate.quantile(0.99),
            lag_records: after.most("klamm_replica_lag_records"),
        }
    }
}

impl ClusterView<'_> {
    fn lines(&self) -> impl Iterator<Item = (&str, Option<Line>)> {
        self.brokers.iter().map(|it| {
            let line = |(before, after): &(Scrape, Scrape)| Line::new(before, after, self.seconds);
            (&*it.admin, it.scrapes.as_ref().map(line))
        })
    }

    /// A figure that all brokers know alike, of the one that knows most: one may be behind.
    fn most(&self, name: &str) -> f64 {
        let known =
            self.brokers.iter().filter_map(|it| Some(it.scrapes.as_ref()?.1.sum(name, &[])));
        known.fold(0.0, f64::max)
    }

    /// For a terminal of 150 columns.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let lines: Vec<_> = self.lines().collect();
        let up = lines.iter().filter(|it| it.1.is_some()).count();
        let sum = |of: fn(&Line) -> f64| {
            lines.iter().filter_map(|it| it.1.as_ref()).map(of).fold(0.0, |sum, it| sum + it)
        };
        let _ = writeln!(
            out,
            "brokers {up} of {}   topics {:.0}   partitions {:.0}   under-replicated {:.0}   \
             under min ISR {:.0}   offline {:.0}\n",
            lines.len(),
            self.most("klamm_topics"),
            self.most("klamm_partitions"),
            sum(|it| it.under_replicated),
            sum(|it| it.under_min_isr),
            self.most("klamm_partitions_offline"),
        );
        let wide = lines.iter().map(|it| it.0.len()).max().unwrap_or(0).max(6) + 1;
        let _ = writeln!(
            out,
            "{:<wide$}{:>7}{:>12}{:>12}{:>11}{:>10}{:>10}{:>10}{:>15}{:>17}{:>13}",
            "broker",
            "leads",
            "under-repl.",
            "connections",
            "requests/s",
            "MB/s in",
            "MB/s out",
            "errors/s",
            "produce p99 µs",
            "replicate p99 µs",
            "lag, records",
        );
        for (admin, line) in &lines {
            let Some(it) = line else {
                let _ = writeln!(out, "{admin:<wide$}  cannot be reached");
                continue;
            };
            let star = if it.controller { "*" } else { "" };
            let _ = writeln!(
                out,
                "{:<wide$}{:>7.0}{:>12.0}{:>12.0}{:>11.0}{:>10.1}{:>10.1}{:>10.1}{:>15}{:>17}{:>13.0}",
                format!("{admin}{star}"),
                it.leads,
                it.under_replicated,
                it.connections,
                it.requests,
                it.bytes_in / 1e6,
                it.bytes_out / 1e6,
                it.errors,
                micros(it.produce_p99),
                micros(it.replicate_p99),
                it.lag_records,
            );
        }
        out.push_str("\n* leads the metadata quorum\n");
        out
    }

    /// The same as one object; times in µs, null where nothing was counted.
    pub fn json(&self) -> Value {
        let brokers: Vec<Value> = self
            .lines()
            .map(|(admin, line)| {
                let Some(it) = line else { return json!({"admin": admin, "up": false}) };
                json!({
                    "admin": admin, "up": true, "controller": it.controller, "leads": it.leads,
                    "under_replicated": it.under_replicated, "under_min_isr": it.under_min_isr,
                    "connections": it.connections, "requests_per_s": it.requests,
                    "bytes_in_per_s": it.bytes_in, "bytes_out_per_s": it.bytes_out,
                    "errors_per_s": it.errors,
                    "produce_p99_us": it.produce_p99.map(|it| it * 1e6),
                    "replicate_p99_us": it.replicate_p99.map(|it| it * 1e6),
                    "lag_records": it.lag_records,
                })
            })
            .collect();
        json!({
            "seconds": self.seconds,
            "topics": self.most("klamm_topics"),
            "partitions": self.most("klamm_partitions"),
            "offline": self.most("klamm_partitions_offline"),
            "brokers": brokers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broker_has_a_line_and_who_is_gone_says_so() {
        let at = |requests: u32, controller: u32| {
            Scrape::parse(&format!(
                "klamm_requests_total{{api=\"Produce\"}} {requests}\nklamm_controller {controller}\n\
                 klamm_partitions_led 4\nklamm_topics 2\n\
                 klamm_replica_lag_records{{shard=\"0\",node=\"2\"}} 7\n\
                 klamm_replica_lag_records{{shard=\"0\",node=\"3\"}} 5\n"
            ))
        };
        let brokers = [
            BrokerScrapes { admin: "a:1".into(), scrapes: Some((at(100, 1), at(300, 1))) },
            BrokerScrapes { admin: "b:2".into(), scrapes: Some((at(0, 0), at(0, 0))) },
            BrokerScrapes { admin: "c:3".into(), scrapes: None },
        ];
        let view = ClusterView { brokers: &brokers, seconds: 2.0 };
        let text = view.text();
        assert!(text.starts_with("brokers 2 of 3   topics 2 "), "{text}");
        let line = text.lines().find(|it| it.starts_with("a:1*")).expect("the controller");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1..5], ["4", "0", "0", "100"], "{line}");
        assert_eq!(words.last(), Some(&"7"), "{line}");
        let gone = text.lines().find(|it| it.starts_with("c:3"));
        assert!(gone.is_some_and(|it| it.ends_with("cannot be reached")), "{text}");
        let json = view.json();
        assert_eq!(json["brokers"][0]["requests_per_s"], json!(100.0));
        assert_eq!((&json["brokers"][2]["up"], &json["topics"]), (&json!(false), &json!(2.0)));
    }
}
