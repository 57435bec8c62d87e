//! Latencies: histograms, their percentiles, and the forms in which they are written.

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Ten minutes, in nanoseconds: longer latencies count as this one.
const LONGEST_NS: u64 = 600_000_000_000;

/// The percentiles of tables and of JSON, as their names and as fractions.
pub const PERCENTILES: [(&str, f64); 10] = [
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.5", 0.995),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
    ("p99.999", 0.99999),
    ("max", 1.0),
];

/// Points of a distribution for each time that the distance to 100 % halves.
const POINTS_PER_HALF: u32 = 5;

/// Latencies in nanoseconds, to three significant digits.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are valid"))
    }
}

impl Latency {
    /// Counts one latency.
    pub fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    /// Counts one latency `n` times.
    pub fn record_n(&mut self, ns: u64, n: u64) {
        self.0.saturating_record_n(ns, n);
    }

    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// Sets all counts to zero.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// The number of latencies counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that a fraction `quantile` of all does not exceed, nanoseconds.
    pub fn at(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// Minimum, mean, [`PERCENTILES`], maximum in microseconds, the count, and the whole
    /// distribution as pairs of percentile and microseconds.
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("count".to_owned(), json!(self.count()));
        if self.count() > 0 {
            out.insert("min".to_owned(), json!(us(self.0.min())));
            out.insert("mean".to_owned(), json!((self.0.mean().round()) / 1e3));
            for (name, quantile) in PERCENTILES {
                out.insert(name.to_owned(), json!(us(self.at(quantile))));
            }
        }
        let mut points: Vec<(f64, f64)> = Vec::new();
        for v in self.0.iter_quantiles(POINTS_PER_HALF) {
            points.push((percent(v.quantile_iterated_to()), us(v.value_iterated_to())));
        }
        points.dedup();
        out.insert("distribution".to_owned(), json!(points));
        Value::Object(out)
    }

    /// The percentile log that HdrHistogram's tools read, in microseconds.
    pub fn to_hgrm(&self) -> String {
        let mut out = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
        let mut total = 0;
        for v in self.0.iter_quantiles(POINTS_PER_HALF) {
            total += v.count_since_last_iteration();
            let (value, q) = (us(v.value_iterated_to()), v.quantile_iterated_to());
            let _ = write!(out, "{value:12.3} {q:1.12} {total:10}");
            let _ =
                if q < 1.0 { writeln!(out, " {:14.2}", 1.0 / (1.0 - q)) } else { writeln!(out) };
        }
        let h = &self.0;
        let (mean, deviation) = (h.mean() / 1e3, h.stdev() / 1e3);
        let _ = writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
        let _ = writeln!(out, "#[Max     = {:12.3}, Total count    = {:12}]", us(h.max()), h.len());
        let buckets = h.buckets();
        let sub_buckets = h.distinct_values() / (usize::from(buckets) + 1) * 2;
        let _ = writeln!(out, "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]");
        out
    }
}

/// Nanoseconds as microseconds.
pub fn us(ns: u64) -> f64 {
    ns as f64 / 1e3
}

/// A fraction as a percentage without the noise of binary fractions.
fn percent(quantile: f64) -> f64 {
    (quantile * 1e11).round() / 1e9
}

/// A rate or a ratio, rounded to the digits that mean something.
pub fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powi(4 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

/// A latency of `us` microseconds for a table.
pub fn show_us(us: f64) -> String {
    match us {
        v if v >= 100.0 => group(v.round()),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// A number with commas between groups of three digits; fractions only where they matter.
pub fn group(value: f64) -> String {
    if value.abs() < 100.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut out = String::from(if value < 0.0 { "-" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Latency {
        let mut latency = Latency::default();
        for i in 1..=100_000u64 {
            latency.record(i * 1000);
        }
        latency
    }

    #[test]
    fn percentiles_are_in_microseconds() {
        let json = filled().to_json();
        let near = |name: &str, want: f64| {
            let got = json[name].as_f64().expect("a number");
            assert!((got / want - 1.0).abs() < 0.002, "{name}: {got}, not {want}");
        };
        near("p50", 50_000.0);
        near("p99", 99_000.0);
        near("p99.999", 99_999.0);
        near("max", 100_000.0);
        near("min", 1.0);
        near("mean", 50_000.0);
        assert_eq!(json["count"], 100_000);
        let points = json["distribution"].as_array().expect("points");
        assert!(points.is_sorted_by_key(|p| p[0].as_f64().expect("a percentile") as i64));
        assert_eq!(points.last().expect("one")[0], 100.0);
        assert!(Latency::default().to_json()["p50"].is_null());
    }

    #[test]
    fn the_log_is_what_hdrhistograms_tools_read() {
        let text = filled().to_hgrm();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("       Value     Percentile TotalCount 1/(1-Percentile)"));
        assert_eq!(lines.next(), Some(""));
        let mut last = 0.0;
        let mut total = 0;
        for line in lines.by_ref().take_while(|l| !l.starts_with('#')) {
            let fields: Vec<f64> =
                line.split_whitespace().map(|f| f.parse().expect("a number")).collect();
            assert!(fields.len() == 4 || fields[1] >= 1.0, "{line}");
            assert!(fields[0] >= last, "{line}");
            last = fields[0];
            total = fields[2] as u64;
        }
        assert_eq!(total, 100_000);
        assert!(text.contains("Total count    =       100000]"), "{text}");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(group(1_234_567.8), "1,234,568");
        assert_eq!(group(999.6), "1,000");
        assert_eq!(group(12.5), "12.5");
        assert_eq!(group(0.0), "0");
        assert_eq!(round(123_456.789).to_string(), "123460");
    }
}
