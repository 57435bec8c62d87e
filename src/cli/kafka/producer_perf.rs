//! `kafka-producer-perf-test`: sends records as fast as it can, or as fast as it is told, and says how
//! long they took.

use super::ToolError;
use super::address::{check_client, connect_as};
use super::client_settings;
use super::properties::{self, Properties};
use crate::cli::names::check_topic;
use crate::cli::signal;
use crate::client::clock::wall_ms;
use crate::client::producer::{NewRecord, Producer};
use crate::types::Rng;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Kafka's tool parses with argparse4j, not with joptsimple like the others: these are its options,
/// with how many values each has (2: one or more).
const OPTIONS: &[(&str, u8)] = &[
    ("--help", 0),
    ("--bootstrap-server", 1),
    ("--topic", 1),
    ("--num-records", 1),
    ("--payload-delimiter", 1),
    ("--throughput", 1),
    ("--producer-props", 2),
    ("--command-property", 2),
    ("--producer.config", 1),
    ("--command-config", 1),
    ("--print-metrics", 0),
    ("--transactional-id", 1),
    ("--transaction-duration-ms", 1),
    ("--warmup-records", 1),
    ("--reporting-interval", 1),
    ("--record-size", 1),
    ("--payload-file", 1),
    ("--payload-monotonic", 0),
];

const USAGE: &str = "\
usage: kafka-producer-perf-test
       [-h] [--bootstrap-server BOOTSTRAP-SERVER] --topic TOPIC
       --num-records NUM-RECORDS [--payload-delimiter PAYLOAD-DELIMITER]
       --throughput THROUGHPUT
       [--producer-props PROP-NAME=PROP-VALUE [PROP-NAME=PROP-VALUE ...]]
       [--command-property PROP-NAME=PROP-VALUE [PROP-NAME=PROP-VALUE ...]]
       [--producer.config CONFIG-FILE] [--command-config CONFIG-FILE]
       [--print-metrics] [--transactional-id TRANSACTIONAL-ID]
       [--transaction-duration-ms TRANSACTION-DURATION]
       [--warmup-records WARMUP-RECORDS] [--reporting-interval INTERVAL-MS]
       (--record-size RECORD-SIZE | --payload-file PAYLOAD-FILE |
       --payload-monotonic)
";

const HELP: &str = "
This tool is used to verify the producer performance.

optional arguments:
  -h, --help             show this help message and exit
  --bootstrap-server BOOTSTRAP-SERVER
                         The brokers to connect to.
  --topic TOPIC          Produce records to this topic.
  --num-records NUM-RECORDS
                         Number of records to produce.
  --payload-delimiter PAYLOAD-DELIMITER
                         What is between payloads in --payload-file. (default: \\n)
  --throughput THROUGHPUT
                         Records a second, approximately; -1 for no limit.
  --producer-props PROP-NAME=PROP-VALUE [PROP-NAME=PROP-VALUE ...]
                         (DEPRECATED) As --command-property.
  --command-property PROP-NAME=PROP-VALUE [PROP-NAME=PROP-VALUE ...]
                         Properties of the producer, such as linger.ms=10 batch.size=32768.
  --producer.config CONFIG-FILE
                         (DEPRECATED) As --command-config.
  --command-config CONFIG-FILE
                         A file of properties of the producer.
  --print-metrics        Print metrics at the end of the test. (default: false)
  --transactional-id, --transaction-duration-ms
                         Not available: this producer has no transactions.
  --warmup-records WARMUP-RECORDS
                         So many records at the start are not part of the steady state, which has a
                         line of its own. (default: 0)
  --reporting-interval INTERVAL-MS
                         Time between lines of progress. (default: 5000)
  --record-size RECORD-SIZE
                         Record size in bytes.
  --payload-file PAYLOAD-FILE
                         A file of payloads, of which one is chosen for each record.
  --payload-monotonic    The payload is the number of the record.
";

type Values = BTreeMap<&'static str, Vec<String>>;

fn wrong(what: &str) -> ToolError {
    ToolError::Failed(format!("{USAGE}kafka-producer-perf-test: error: {what}"))
}

fn parse(args: &[String]) -> Result<Values, ToolError> {
    let mut values = Values::new();
    let mut rest = args.iter().peekable();
    while let Some(arg) = rest.next() {
        let (name, attached) =
            arg.split_once('=').map_or((arg.as_str(), None), |(n, v)| (n, Some(v)));
        let name = if name == "-h" { "--help" } else { name };
        let Some((name, count)) = OPTIONS.iter().find(|(known, _)| *known == name) else {
            return Err(wrong(&format!("unrecognized arguments: '{arg}'")));
        };
        let found = values.entry(name).or_default();
        match (count, attached) {
            (0, _) => {}
            (1, Some(value)) => *found = vec![value.to_owned()],
            (_, Some(value)) => found.push(value.to_owned()),
            (1, None) => {
                let value = rest.next().filter(|v| !v.starts_with("--"));
                let value = value
                    .ok_or_else(|| wrong(&format!("argument {name}: expected one argument")))?;
                *found = vec![value.clone()];
            }
            (_, None) => {
                while let Some(value) = rest.next_if(|v| !v.starts_with("--")) {
                    found.push(value.clone());
                }
            }
        }
    }
    Ok(values)
}

/// What a record holds.
#[derive(Debug)]
enum Payload {
    /// This many random capital letters.
    Random(usize),
    /// One of these payloads, at random.
    Choice(Vec<Vec<u8>>),
    /// The number of the record.
    Number,
}

struct Setup {
    topic: String,
    records: u64,
    throughput: f64,
    payload: Payload,
    servers: String,
    properties: Properties,
    warmup: u64,
    interval: Duration,
    metrics: bool,
}

fn number<T: std::str::FromStr>(values: &Values, name: &str) -> Result<Option<T>, ToolError> {
    let Some(text) = values.get(name).and_then(|v| v.first()) else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| wrong(&format!("argument {name}: could not convert '{text}' to a number")))
}

fn setup(values: &Values) -> Result<Setup, ToolError> {
    for name in ["--topic", "--num-records", "--throughput"] {
        if !values.contains_key(name) {
            return Err(wrong(&format!("argument {name} is required")));
        }
    }
    let has = |name: &str| values.contains_key(name);
    let one = |name: &str| values.get(name).and_then(|v| v.first()).cloned();
    let payloads = ["--record-size", "--payload-file", "--payload-monotonic"];
    let given: Vec<&str> = payloads.into_iter().filter(|p| has(p)).collect();
    match given[..] {
        [] => {
            return Err(wrong(
                "one of the arguments --record-size --payload-file --payload-monotonic is required",
            ));
        }
        [_] => {}
        [first, second, ..] => {
            return Err(wrong(&format!("argument {first}: not allowed with argument {second}")));
        }
    }
    if has("--transactional-id") || has("--transaction-duration-ms") {
        return Err(wrong("this producer has no transactions; leave --transaction… out"));
    }
    let mut p = Properties::new();
    for option in ["--producer.config", "--command-config"] {
        if let Some(path) = one(option) {
            p.extend(properties::load(&path)?);
        }
    }
    for option in ["--producer-props", "--command-property"] {
        for word in values.get(option).into_iter().flatten() {
            if word.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
                return Err(ToolError::Failed(format!("Invalid property: {word}")));
            }
            p.extend(properties::pairs([word.as_str()]));
        }
    }
    check_client(&p)?;
    let configured = [
        "--bootstrap-server",
        "--command-property",
        "--producer-props",
        "--producer.config",
        "--command-config",
    ];
    if !configured.iter().any(|o| has(o)) {
        return Err(wrong(
            "At least one of --bootstrap-server, --command-property, --producer-props, \
             --producer.config or --command-config must be specified.",
        ));
    }
    let servers = one("--bootstrap-server").or_else(|| p.get("bootstrap.servers").cloned());
    let servers = servers.ok_or_else(|| {
        ToolError::failed("no brokers: give --bootstrap-server HOST:PORT or bootstrap.servers")
    })?;
    let records: u64 = number(values, "--num-records")?.unwrap_or(0);
    let topic = one("--topic").unwrap_or_default();
    check_topic(&topic).map_err(|e| ToolError::Failed(e.to_string()))?;
    let payload = if let Some(size) = number::<i64>(values, "--record-size")? {
        let size = usize::try_from(size).ok().filter(|s| *s > 0);
        Payload::Random(size.ok_or_else(|| wrong("--record-size should be greater than zero."))?)
    } else if let Some(path) = one("--payload-file") {
        Payload::Choice(read_payloads(&path, one("--payload-delimiter").as_deref())?)
    } else {
        Payload::Number
    };
    let interval: u64 = number(values, "--reporting-interval")?.unwrap_or(5000);
    let warmup: u64 = number(values, "--warmup-records")?.unwrap_or(0);
    if warmup > 0 && warmup >= records {
        return Err(wrong(
            "The value for --warmup-records must be strictly fewer than --num-records",
        ));
    }
    Ok(Setup {
        topic,
        records,
        throughput: number(values, "--throughput")?.unwrap_or(-1.0),
        payload,
        servers,
        properties: p,
        warmup,
        interval: Duration::from_millis(interval.max(1)),
        metrics: has("--print-metrics"),
    })
}

fn read_payloads(path: &str, delimiter: Option<&str>) -> Result<Vec<Vec<u8>>, ToolError> {
    let shown =
        std::path::absolute(path).map_or_else(|_| path.to_owned(), |p| p.display().to_string());
    println!("Reading payloads from: {shown}");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    if text.is_empty() {
        return Err(ToolError::failed("File does not exist or empty file provided."));
    }
    let delimiter = delimiter.unwrap_or("\n").replace("\\n", "\n").replace("\\t", "\t");
    let mut payloads: Vec<Vec<u8>> =
        text.split(&delimiter).map(|part| part.as_bytes().to_vec()).collect();
    // As Java's split: nothing at the end does not count.
    while payloads.last().is_some_and(Vec::is_empty) {
        payloads.pop();
    }
    println!("Number of messages read: {}", payloads.len());
    if payloads.is_empty() {
        return Err(ToolError::failed("File does not exist or empty file provided."));
    }
    Ok(payloads)
}

/// Latencies in milliseconds, of all records or of those after the warm-up.
#[derive(Debug, Default)]
struct Stats {
    /// Records by latency; what is longer than the last counts as the last.
    by_latency: Vec<u64>,
    count: u64,
    bytes: u64,
    total_ms: u64,
    max_ms: u64,
}

const LATENCY_MAX_MS: usize = 600_000;

impl Stats {
    fn record(&mut self, ms: u64, count: u64, bytes: u64) {
        let at = (ms as usize).min(LATENCY_MAX_MS);
        if self.by_latency.len() <= at {
            self.by_latency.resize(at + 1, 0);
        }
        self.by_latency[at] += count;
        self.count += count;
        self.bytes += bytes;
        self.total_ms += ms * count;
        self.max_ms = self.max_ms.max(ms);
    }

    fn average(&self) -> f64 {
        self.total_ms as f64 / self.count as f64
    }

    fn percentile(&self, share: f64) -> usize {
        let rank = (self.count as f64 * share) as u64;
        let mut seen = 0;
        self.by_latency
            .iter()
            .position(|n| {
                seen += n;
                seen > rank
            })
            .unwrap_or(self.max_ms as usize)
    }

    fn line(&self, elapsed: Duration, what: &str) -> String {
        let seconds = elapsed.as_millis().max(1) as f64 / 1000.0;
        format!(
            "{} {what}records sent, {:.6} records/sec ({:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max \
             latency, {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.",
            self.count,
            self.count as f64 / seconds,
            self.bytes as f64 / seconds / 1_048_576.0,
            self.average(),
            self.max_ms as f64,
            self.percentile(0.5),
            self.percentile(0.95),
            self.percentile(0.99),
            self.percentile(0.999),
        )
    }

    fn window(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_millis().max(1) as f64 / 1000.0;
        format!(
            "{} records sent, {:.1} records/sec ({:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max \
             latency.",
            self.count,
            self.count as f64 / seconds,
            self.bytes as f64 / seconds / 1_048_576.0,
            self.average(),
            self.max_ms as f64,
        )
    }
}

struct Test {
    producer: Producer,
    topic: usize,
    start: Instant,
    all: Stats,
    steady: Stats,
    steady_start: Option<Instant>,
    window: Stats,
    window_start: Instant,
    interval: Duration,
    warmup: u64,
    failed: bool,
    value_bytes: usize,
}

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    if args.is_empty() {
        print!("{USAGE}{HELP}");
        return Ok(());
    }
    let values = parse(args)?;
    if values.contains_key("--help") {
        return Err(ToolError::FailedOnOutput(format!("{USAGE}{HELP}")));
    }
    for (old, new) in
        [("--producer-props", "--command-property"), ("--producer.config", "--command-config")]
    {
        if values.contains_key(old) && values.contains_key(new) {
            return Err(wrong(&format!("argument {new}: not allowed with argument {old}")));
        }
        if values.contains_key(old) {
            println!("Warning: {old} is deprecated. Use {new} instead.");
        }
    }
    let setup = setup(&values)?;
    let settings = client_settings::producer(&setup.properties)?;
    let client_id =
        setup.properties.get("client.id").map_or("perf-producer-client", String::as_str);
    let cluster = connect_as(&setup.servers, client_id)?;
    signal::catch();
    if setup.warmup > 0 {
        println!(
            "Warmup first {} records. Steady state results will print after the complete test summary.",
            setup.warmup
        );
    }
    let mut producer = Producer::new(cluster, settings);
    let topic = producer.topic(&setup.topic)?;
    let now = Instant::now();
    let mut test = Test {
        producer,
        topic,
        start: now,
        all: Stats::default(),
        steady: Stats::default(),
        steady_start: None,
        window: Stats::default(),
        window_start: now,
        interval: setup.interval,
        warmup: setup.warmup,
        failed: false,
        value_bytes: 0,
    };
    test.send_all(&setup)?;
    test.producer.flush(|| false);
    test.take();
    let mut out = io::stdout().lock();
    writeln!(out, "{}", test.all.line(test.start.elapsed(), ""))?;
    if let Some(start) = test.steady_start {
        writeln!(out, "{}", test.steady.line(start.elapsed(), "steady state "))?;
    }
    if setup.metrics {
        let width = 60;
        writeln!(out, "\n{:width$}   Value", "Metric Name")?;
        let tags = format!("{{client-id={client_id}}}");
        for (name, value) in [
            ("outgoing-byte-total", test.all.bytes as f64),
            ("record-send-total", test.all.count as f64),
        ] {
            writeln!(out, "{:width$} : {value:.3}", format!("producer-metrics:{name}:{tags}"))?;
        }
    }
    match signal::stopped() {
        Some(signal) => Err(ToolError::Exit(signal::exit_code(signal))),
        None if test.failed => Err(ToolError::Exit(1)),
        None => Ok(()),
    }
}

/// Letters to cut payloads from: drawing each anew would take longer than sending it.
const POOL_BYTES: usize = 1 << 20;

impl Test {
    fn send_all(&mut self, setup: &Setup) -> Result<(), ToolError> {
        let mut rng = Rng::new(0);
        let longest = if let Payload::Random(size) = setup.payload { size } else { 0 };
        let pool: Vec<u8> = (0..POOL_BYTES + longest).map(|_| b'A' + rng.below(26) as u8).collect();
        let mut digits = Vec::new();
        for i in 0..setup.records {
            if signal::stopped().is_some() {
                return Ok(());
            }
            let value = match &setup.payload {
                Payload::Random(size) => {
                    let at = rng.index(POOL_BYTES);
                    &pool[at..at + size]
                }
                Payload::Choice(all) => &all[rng.index(all.len())],
                Payload::Number => {
                    digits.clear();
                    write!(digits, "{i}")?;
                    &digits
                }
            };
            let sent = self.start.elapsed().as_millis() as u64;
            let record = NewRecord {
                timestamp: wall_ms(),
                key: None,
                value: Some(value),
                headers: &[],
                tag: sent,
            };
            self.value_bytes = value.len();
            self.producer.send(self.topic, None, &record)?;
            if i % 64 == 0 {
                self.take();
            }
            if setup.throughput > 0.0 {
                self.throttle(i + 1, setup.throughput);
            }
        }
        Ok(())
    }

    /// Waits, while the producer works, until this many records are due.
    fn throttle(&mut self, records: u64, throughput: f64) {
        let due = Duration::from_secs_f64(records as f64 / throughput);
        loop {
            let early = due.saturating_sub(self.start.elapsed());
            if early < Duration::from_millis(1) || signal::stopped().is_some() {
                return;
            }
            self.producer.poll(early, None);
            self.take();
        }
    }

    fn take(&mut self) {
        while let Some(delivery) = self.producer.delivered() {
            let now = self.start.elapsed().as_millis() as u64;
            if let Err(e) = &delivery.result {
                self.failed = true;
                // Who has closed the error output does not want to know.
                let _ = writeln!(io::stderr(), "{} record(s): {e}", delivery.records);
                continue;
            }
            // All of a kind, but for payloads of a file: their mean.
            let bytes = self.value_bytes as u64;
            for (sent, count) in &delivery.tags {
                let (ms, count) = (now.saturating_sub(*sent), u64::from(*count));
                self.all.record(ms, count, count * bytes);
                self.window.record(ms, count, count * bytes);
                if self.warmup > 0 && self.all.count > self.warmup {
                    if self.steady_start.is_none() {
                        self.steady_start = Some(Instant::now());
                        println!("In steady state.");
                    }
                    self.steady.record(ms, count, count * bytes);
                }
            }
            if self.window_start.elapsed() >= self.interval {
                println!("{}", self.window.window(self.window_start.elapsed()));
                self.window = Stats::default();
                self.window_start = Instant::now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn message<T>(result: Result<T, ToolError>) -> String {
        match result {
            Err(ToolError::Failed(text)) => text,
            _ => panic!("no failure"),
        }
    }

    #[test]
    fn options_follow_argparse() {
        let line = "--topic t --num-records 5 --throughput -1 --record-size=10 --producer-props \
                    acks=1 bootstrap.servers=h:1 --print-metrics";
        let values = parse(&words(line)).expect("reads");
        let s = setup(&values).expect("complete");
        assert_eq!((s.records, s.servers.as_str(), s.metrics), (5, "h:1", true));
        assert_eq!(s.properties["acks"], "1");
        assert!(matches!(s.payload, Payload::Random(10)));
        let e = |line: &str| message(parse(&words(line)).and_then(|v| setup(&v)));
        assert!(e("--topic t").ends_with("error: argument --num-records is required"));
        assert!(e("--foo").ends_with("unrecognized arguments: '--foo'"));
        let base = "--topic t --num-records 1 --throughput 1";
        assert!(e(&format!("{base} --payload-monotonic")).contains("At least one of"));
        assert!(e(base).contains("is required"));
        let both = format!("{base} --payload-monotonic --record-size 1");
        assert!(e(&both).contains("not allowed with argument --payload-monotonic"));
        assert!(e(&format!("{base} --record-size 0 --bootstrap-server h:1")).contains("greater"));
    }

    #[test]
    fn lines_look_as_kafkas() {
        let mut s = Stats::default();
        for ms in 1..=100 {
            s.record(ms, 1, 1_048_576);
        }
        let line = s.line(Duration::from_secs(2), "");
        assert_eq!(
            line,
            "100 records sent, 50.000000 records/sec (50.00 MB/sec), 50.50 ms avg latency, 100.00 ms max \
             latency, 51 ms 50th, 96 ms 95th, 100 ms 99th, 100 ms 99.9th."
        );
        assert_eq!(
            s.window(Duration::from_secs(1)),
            "100 records sent, 100.0 records/sec (100.00 MB/sec), 50.5 ms avg latency, 100.0 ms max \
             latency."
        );
    }
}
