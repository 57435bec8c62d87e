//! The command line of `kafka-producer-perf-test`.

use super::super::ToolError;
use super::super::address::check_client;
use super::super::properties::{self, Properties};
use crate::cli::names::check_topic;
use std::collections::BTreeMap;
use std::time::Duration;

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

pub(super) const USAGE: &str = "\
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

pub(super) const HELP: &str = "
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

pub(super) type Values = BTreeMap<&'static str, Vec<String>>;

/// A wrong command line, in argparse4j's words.
pub(super) fn wrong(what: &str) -> ToolError {
    ToolError::Failed(format!("{USAGE}kafka-producer-perf-test: error: {what}"))
}

pub(super) fn parse(args: &[String]) -> Result<Values, ToolError> {
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
pub(super) enum Payload {
    /// This many random capital letters.
    Random(usize),
    /// One of these payloads, at random.
    Choice(Vec<Vec<u8>>),
    /// The number of the record.
    Number,
}

/// What the command line asks for.
pub(super) struct Setup {
    pub(super) topic: String,
    pub(super) records: u64,
    pub(super) throughput: f64,
    pub(super) payload: Payload,
    pub(super) servers: String,
    pub(super) properties: Properties,
    pub(super) warmup: u64,
    pub(super) interval: Duration,
    pub(super) metrics: bool,
}

fn number<T: std::str::FromStr>(values: &Values, name: &str) -> Result<Option<T>, ToolError> {
    let Some(text) = values.get(name).and_then(|v| v.first()) else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| wrong(&format!("argument {name}: could not convert '{text}' to a number")))
}

pub(super) fn setup(values: &Values) -> Result<Setup, ToolError> {
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
}
