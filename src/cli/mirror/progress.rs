//! How far a mirror is, for people and for scripts.

use super::shared::Plan;
use crate::cli::names::count;
use crate::client::transactions::NamedPartition;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Topics in the table; the ones that are farthest behind.
const ROWS: usize = 20;

/// A topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Row {
    partitions: i32,
    /// Partitions that are being copied.
    copied: i32,
    /// Records at the source that are not copied yet, by offsets.
    lag: i64,
}

/// What is copied, and how fast.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    topics: BTreeMap<String, Row>,
    /// Records and bytes since the mirror began.
    counted: (u64, u64),
    /// In each second of the interval.
    rates: (f64, f64),
}

impl Progress {
    /// `positions` are position and end of each partition, the end -1 before it is known; `before` is what was counted
    /// `seconds` ago.
    pub fn new(
        plan: &Plan,
        positions: &BTreeMap<NamedPartition, (i64, i64)>,
        counted: (u64, u64),
        before: (u64, u64),
        seconds: f64,
    ) -> Self {
        let mut topics: BTreeMap<String, Row> = BTreeMap::new();
        for (name, followed) in plan {
            topics.entry(name.clone()).or_default().partitions = followed.partitions;
        }
        for ((topic, _), (position, end)) in positions {
            if let Some(row) = topics.get_mut(topic) {
                row.copied += 1;
                row.lag += (end - position).max(0);
            }
        }
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds.max(0.001);
        let rates = (rate(counted.0, before.0), rate(counted.1, before.1));
        Self { topics, counted, rates }
    }

    fn lag(&self) -> i64 {
        self.topics.values().map(|it| it.lag).sum()
    }

    fn partitions(&self) -> (i32, i32) {
        let sum = |of: fn(&Row) -> i32| self.topics.values().map(of).sum();
        (sum(|it| it.copied), sum(|it| it.partitions))
    }

    /// One line.
    pub fn line(&self) -> String {
        let (copied, partitions) = self.partitions();
        format!(
            "{} ({copied} of {}): {} copied, lag {}, {:.0} records/s, {:.1} MB/s",
            count(self.topics.len() as u64, "topic"),
            count(partitions, "partition"),
            count(self.counted.0, "record"),
            self.lag(),
            self.rates.0,
            self.rates.1 / 1e6
        )
    }

    /// The line, and below it the topics that are farthest behind.
    pub fn table(&self) -> String {
        let mut rows: Vec<(&String, &Row)> = self.topics.iter().collect();
        rows.sort_by_key(|(name, row)| (std::cmp::Reverse(row.lag), *name));
        let width = rows.iter().take(ROWS).map(|(name, _)| name.len()).max().unwrap_or(0).max(5);
        let mut text =
            format!("{}\n\n{:width$} {:>10} {:>14}\n", self.line(), "TOPIC", "PARTITIONS", "LAG");
        for (name, row) in rows.iter().take(ROWS) {
            let partitions = if row.copied == row.partitions {
                row.partitions.to_string()
            } else {
                format!("{}/{}", row.copied, row.partitions)
            };
            let _ = writeln!(text, "{name:width$} {partitions:>10} {:>14}", row.lag);
        }
        if rows.len() > ROWS {
            let _ = writeln!(text, "… and {} more", rows.len() - ROWS);
        }
        text
    }

    /// One object: of each topic its partitions, those that are copied, and its lag.
    pub fn json(&self) -> Value {
        let topics: Map<String, Value> = self
            .topics
            .iter()
            .map(|(name, it)| {
                let row = json!({"partitions": it.partitions, "copied": it.copied, "lag": it.lag});
                (name.clone(), row)
            })
            .collect();
        json!({
            "event": "progress",
            "records": self.counted.0,
            "bytes": self.counted.1,
            "records_per_second": self.rates.0,
            "bytes_per_second": self.rates.1,
            "lag": self.lag(),
            "topics": topics,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::shared::Followed;
    use super::*;
    use crate::types::TopicId;
    use std::sync::Arc;

    fn progress() -> Progress {
        let followed = |source: &str, partitions| {
            let it = Followed {
                source: source.to_owned(),
                target: source.to_owned(),
                source_id: TopicId::ZERO,
                target_id: TopicId::ZERO,
                path: Vec::new(),
                partitions,
                batch_bytes_max: 1,
            };
            (source.to_owned(), Arc::new(it))
        };
        let plan = Plan::from([followed("a", 1), followed("b", 3)]);
        let at = |topic: &str, n, position, end| ((topic.to_owned(), n), (position, end));
        let positions = BTreeMap::from([
            at("a", 0, 10, -1),
            at("b", 0, 10, 25),
            at("b", 1, 30, 40),
            at("x", 0, 0, 99),
        ]);
        Progress::new(&plan, &positions, (300, 5_000_000), (100, 1_000_000), 2.0)
    }

    #[test]
    fn lag_and_rates() {
        assert_eq!(
            progress().line(),
            "2 topics (3 of 4 partitions): 300 records copied, lag 25, 100 records/s, 2.0 MB/s"
        );
        let json = progress().json();
        assert_eq!((&json["lag"], &json["bytes_per_second"]), (&json!(25), &json!(2e6)));
        assert_eq!(json["topics"]["b"], json!({"partitions": 3, "copied": 2, "lag": 25}));
    }

    #[test]
    fn the_farthest_behind_come_first() {
        let table = progress().table();
        let rows: Vec<&str> = table.lines().skip(3).collect();
        assert_eq!(rows.len(), 2, "{table}");
        assert!(rows[0].starts_with("b ") && rows[0].contains("2/3") && rows[0].ends_with(" 25"));
        assert!(rows[1].starts_with("a "));
    }
}
