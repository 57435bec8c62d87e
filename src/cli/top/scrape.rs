//! Figures in Prometheus' text format, read back.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Largest answer that is read.
const MAX_BYTES: u64 = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

/// Gets a page over HTTP/1.1; anything but 200 is an error.
pub fn fetch(address: &str, path: &str) -> io::Result<String> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no such host");
    for to in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&to, PATIENCE) {
            Ok(stream) => return get(stream, address, path),
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn get(mut stream: TcpStream, host: &str, path: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_BYTES).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.starts_with("HTTP/1.1 200") {
        Ok(body.to_owned())
    } else {
        let shown: String = status.chars().take(80).collect();
        Err(io::Error::other(format!("it answers '{shown}'")))
    }
}

/// One line: its labels, its value.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    labels: BTreeMap<String, String>,
    value: f64,
}

/// All figures of one moment, by name.
#[derive(Clone, Debug, Default)]
pub struct Scrape(BTreeMap<String, Vec<Sample>>);

impl Scrape {
    /// Reads the text format; lines that are not understood are left out.
    pub fn parse(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse() else { continue };
            let (name, labels) = match name.split_once('{') {
                Some((name, labels)) => (name, parse_labels(labels)),
                None => (name, BTreeMap::new()),
            };
            all.0.entry(name.to_owned()).or_default().push(Sample { labels, value });
        }
        all
    }

    fn matching<'a>(
        &'a self,
        name: &str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        let samples = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        samples.iter().filter(move |it| {
            labels.iter().all(|(label, value)| it.labels.get(*label).is_some_and(|v| v == value))
        })
    }

    /// The sum of a figure over everything that has these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        // Nothing is the sum of nothing, not minus nothing.
        self.matching(name, labels).map(|it| it.value).sum::<f64>() + 0.0
    }

    /// The largest value of a figure; 0 where there is none.
    pub fn most(&self, name: &str) -> f64 {
        self.matching(name, &[]).map(|it| it.value).fold(0.0, f64::max)
    }

    /// The values of a label of a figure, numbers in their order.
    pub fn values(&self, name: &str, label: &str) -> Vec<String> {
        let mut all: Vec<String> =
            self.matching(name, &[]).filter_map(|it| it.labels.get(label).cloned()).collect();
        all.sort_by_key(|it| (it.parse::<u64>().unwrap_or(u64::MAX), it.clone()));
        all.dedup();
        all
    }

    /// A histogram: upper bound, and how many were not above it, summed over what has these labels.
    fn buckets(&self, name: &str, labels: &[(&str, &str)]) -> Vec<(f64, f64)> {
        let mut all: Vec<(f64, f64)> = Vec::new();
        let bucket = format!("{name}_bucket");
        for it in self.matching(&bucket, labels) {
            let Some(Ok(bound)) = it.labels.get("le").map(|le| le.parse::<f64>()) else { continue };
            match all.iter_mut().find(|(b, _)| b.total_cmp(&bound).is_eq()) {
                Some((_, count)) => *count += it.value,
                None => all.push((bound, it.value)),
            }
        }
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all
    }
}

/// `a="x",b="y"}`
fn parse_labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut chars = after.char_indices();
        let mut end = after.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, other)) => value.push(other),
                    None => {}
                },
                other => value.push(other),
            }
        }
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        rest = &after[end..];
    }
    labels
}

/// What a histogram counted between two moments.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    /// Upper bound of each bucket, and how many are in it or below.
    buckets: Vec<(f64, f64)>,
    /// The number of values.
    pub count: f64,
    /// Their mean, in the histogram's unit; 0 where there are none.
    pub mean: f64,
}

impl Interval {
    /// What `name` counted from `before` to `after`.
    pub fn new(before: &Scrape, after: &Scrape, name: &str, labels: &[(&str, &str)]) -> Self {
        let old = before.buckets(name, labels);
        let mut buckets = after.buckets(name, labels);
        for (at, (_, count)) in buckets.iter_mut().enumerate() {
            *count -= old.get(at).map_or(0.0, |it| it.1);
        }
        let moved = |suffix: &str| {
            let name = format!("{name}_{suffix}");
            after.sum(&name, labels) - before.sum(&name, labels)
        };
        let count = moved("count");
        let mean = if count > 0.0 { moved("sum") / count } else { 0.0 };
        Self { buckets, count, mean }
    }

    /// The value that the fraction `q` does not exceed, interpolated within its bucket; `None`
    /// where nothing was counted.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.buckets.last()?.1;
        if total <= 0.0 {
            return None;
        }
        let wanted = q * total;
        let (mut low, mut below) = (0.0, 0.0);
        for &(bound, count) in &self.buckets {
            if count >= wanted {
                let within = if count > below { (wanted - below) / (count - below) } else { 1.0 };
                return Some(if bound.is_finite() { low + within * (bound - low) } else { low });
            }
            (low, below) = (bound, count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_prometheus_reads() {
        let text =
            "# TYPE a counter\na 1\na{x=\"1\",y=\"q\\\"\\\\\\n,\"} 2.5\nbad\na{x=\"2\"} nan?\n";
        let scrape = Scrape::parse(text);
        assert!((scrape.sum("a", &[]) - 3.5).abs() < 1e-9);
        assert!((scrape.sum("a", &[("y", "q\"\\\n,")]) - 2.5).abs() < 1e-9);
        assert_eq!(scrape.values("a", "x"), ["1"]);
        assert!(scrape.sum("b", &[]) == 0.0);
    }

    #[test]
    fn quantiles_are_of_the_time_between() {
        let at = |counts: [u32; 3], sum: u32| {
            let [a, b, c] = counts;
            Scrape::parse(&format!(
                "h_bucket{{le=\"0.001\"}} {a}\nh_bucket{{le=\"0.002\"}} {b}\n\
                 h_bucket{{le=\"+Inf\"}} {c}\nh_sum {sum}\nh_count {c}\n"
            ))
        };
        let interval = Interval::new(&at([100, 100, 100], 1), &at([100, 200, 201], 3), "h", &[]);
        assert!((interval.count - 101.0).abs() < 1e-9);
        let p50 = interval.quantile(0.5).expect("counted");
        assert!((0.0014..0.0016).contains(&p50), "{p50}");
        assert!((interval.quantile(1.0).expect("counted") - 0.002).abs() < 1e-9);
        assert!(Interval::default().quantile(0.5).is_none());
    }
}
