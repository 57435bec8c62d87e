//! `kafka-get-offsets`.

use super::ToolError;
use super::address::{addresses, connect, property_file};
use super::error::{java_message, notice};
use super::options::{self, Options, Parsed, flag, text};
use super::topic_filter::IncludeList;
use crate::client::Cluster;
use crate::config::host_port;
use std::collections::BTreeSet;
use std::io::Write;

const ABOUT: &str = "An interactive shell for getting topic-partition offsets.";

static OPTIONS: Options = Options {
    all: &[
        text(
            "bootstrap-server",
            "HOST1:PORT1,...,HOST3:PORT3",
            "REQUIRED. The broker(s) to connect to.",
        ),
        text("command-config", "config file", "Property file with settings of the client."),
        flag("exclude-internal-topics", "Leave internal topics out."),
        options::HELP,
        text(
            "partitions",
            "partition ids",
            "Partitions to show, with commas between them; all without it. Not with \
             --topic-partitions.",
        ),
        text(
            "time",
            "<timestamp> / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or \
             earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload",
            "Which offset: that of the first record at or after a timestamp in milliseconds, or \
             one of those with a name. A partition that has none is not shown.",
        )
        .default("latest"),
        text(
            "topic",
            "topic",
            "A regular expression that the names of the topics match as a whole. Not with \
             --topic-partitions.",
        ),
        text(
            "topic-partitions",
            "topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3",
            "Topics, each with a partition, or with a range whose end is not shown. Topics are \
             regular expressions; without one, all.",
        ),
        options::VERSION,
        options::ZOOKEEPER,
        // The name up to Kafka 3.
        text("broker-list", "HOST1:PORT1,...,HOST3:PORT3", ""),
    ],
};

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    if args.is_empty() {
        return Err(OPTIONS.usage(ABOUT));
    }
    let said = |e: ToolError| match e {
        ToolError::Failed(text) => ToolError::Failed(format!("Error occurred: {text}")),
        other => other,
    };
    let o = OPTIONS.parse_or_help(args, ABOUT).map_err(said)?;
    let properties = property_file(&o, "command-config").map_err(said)?;
    let brokers = addresses(&o, &["bootstrap-server", "broker-list"], &properties).map_err(said)?;
    let Some(brokers) = brokers else {
        return o.require(&["bootstrap-server"]);
    };
    if !brokers.split(',').all(|b| host_port(b, 0).is_ok_and(|(_, port)| port > 0)) {
        return Err(o.usage("Please provide valid host:port like host1:9091,host2:9092\n"));
    }
    let wanted = Wanted::read(&o).map_err(said)?;
    let timestamp = timestamp(o.value("time").map_err(said)?.unwrap_or("latest")).map_err(said)?;
    let mut cluster = connect(&brokers).map_err(said)?;
    show(&mut cluster, &wanted, timestamp, o.has("exclude-internal-topics")).map_err(said)
}

fn show(
    cluster: &mut Cluster,
    wanted: &Wanted,
    timestamp: i64,
    exclude_internal: bool,
) -> Result<(), ToolError> {
    cluster.refresh(None, false)?;
    let mut partitions: Vec<(String, i32)> = Vec::new();
    for (name, topic) in &cluster.metadata().topics {
        let numbers = topic.partitions.keys();
        let numbers = numbers.filter(|p| wanted.allows(name, **p, exclude_internal));
        partitions.extend(numbers.map(|p| (name.clone(), *p)));
    }
    if partitions.is_empty() {
        return Err(ToolError::failed(
            "Could not match any topic-partitions with the specified filters",
        ));
    }
    // Kafka's order: of topic-partition as text.
    partitions.sort_by_key(|(topic, partition)| format!("{topic}-{partition}"));
    let offsets = cluster.offsets_for(&partitions, timestamp)?;
    let mut out = std::io::stdout().lock();
    for ((topic, partition), offset) in partitions.iter().zip(offsets) {
        match offset {
            Ok(offset) if offset >= 0 => writeln!(out, "{topic}:{partition}:{offset}")?,
            Ok(_) => {}
            Err(e) => notice(&format!(
                "Skip getting offsets for topic-partition {topic}-{partition} due to error: {}",
                java_message(&e)
            )),
        }
    }
    Ok(())
}

/// The timestamp that `--time` stands for.
fn timestamp(text: &str) -> Result<i64, ToolError> {
    match text {
        "latest" => Ok(-1),
        "earliest" => Ok(-2),
        "max-timestamp" => Ok(-3),
        "earliest-local" => Ok(-4),
        "latest-tiered" => Ok(-5),
        "earliest-pending-upload" => Ok(-6),
        _ => text.parse().map_err(|_| {
            ToolError::Failed(format!(
                "Malformed time argument {text}. Please use -1 or latest / -2 or earliest / -3 or \
                 max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or \
                 earliest-pending-upload, or a specified long format timestamp"
            ))
        }),
    }
}

/// Which partitions are asked for.
enum Wanted {
    /// Of these topics the partitions with these numbers, all where there are none.
    Topics(IncludeList, BTreeSet<i32>),
    /// One of these: topics, first partition, and the one after the last.
    Ranges(Vec<(IncludeList, i32, i32)>),
}

impl Wanted {
    fn read(o: &Parsed) -> Result<Self, ToolError> {
        if let Some(list) = o.value("topic-partitions")? {
            if o.has("topic") || o.has("partitions") {
                return Err(ToolError::failed(
                    "--topic-partitions cannot be used with --topic or --partitions",
                ));
            }
            return list.split(',').map(range).collect::<Result<_, _>>().map(Self::Ranges);
        }
        let topics = IncludeList::new(o.value("topic")?.unwrap_or(".*"))?;
        let text = o.value("partitions")?.unwrap_or_default();
        let numbers = text.split(',').filter(|_| !text.is_empty()).map(str::parse);
        let numbers = numbers.collect::<Result<_, _>>().map_err(|_| {
            ToolError::Failed(format!(
                "--partitions expects a comma separated list of numeric partition ids, but \
                 received: {text}"
            ))
        })?;
        Ok(Self::Topics(topics, numbers))
    }

    fn allows(&self, topic: &str, partition: i32, exclude_internal: bool) -> bool {
        match self {
            Self::Topics(list, numbers) => {
                list.allows(topic, exclude_internal)
                    && (numbers.is_empty() || numbers.contains(&partition))
            }
            Self::Ranges(ranges) => ranges.iter().any(|(list, from, to)| {
                list.allows(topic, exclude_internal) && (*from..*to).contains(&partition)
            }),
        }
    }
}

/// `topic:3`, `topic:1-4`, `topic:2-`, `topic:-2`, `topic`, and the same without a topic.
fn range(text: &str) -> Result<(IncludeList, i32, i32), ToolError> {
    let (topics, partitions) =
        text.split_once(':').map_or((text, None), |(topics, rest)| (topics, Some(rest)));
    let list = IncludeList::new(if topics.is_empty() { ".*" } else { topics })?;
    let wrong = || ToolError::Failed(format!("Invalid rule specification: {text}"));
    let number = |text: &str, default: i32| {
        if text.is_empty() { Ok(default) } else { text.parse().map_err(|_| wrong()) }
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (from, to) = match partitions {
        None | Some("") => (0, i32::MAX),
        Some(text) => match text.split_once('-') {
            None if digits(text) => {
                let only = number(text, 0)?;
                (only, only.saturating_add(1))
            }
            Some((from, to)) if digits(from) && digits(to) => {
                (number(from, 0)?, number(to, i32::MAX)?)
            }
            _ => return Err(wrong()),
        },
    };
    Ok((list, from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(line: &str) -> Vec<(&'static str, i32)> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let wanted = Wanted::read(&OPTIONS.parse(&args).expect("reads")).expect("reads");
        let mut all = Vec::new();
        for topic in ["a", "b", "__consumer_offsets"] {
            let numbers = (0..4).filter(|p| wanted.allows(topic, *p, line.contains("exclude")));
            all.extend(numbers.map(|p| (topic, p)));
        }
        all
    }

    #[test]
    fn partitions_are_chosen_by_number_or_range() {
        assert_eq!(chosen("").len(), 12);
        assert_eq!(chosen("--exclude-internal-topics").len(), 8);
        assert_eq!(chosen("--topic a --partitions 1,3,9"), [("a", 1), ("a", 3)]);
        assert_eq!(chosen("--topic-partitions a:1-3,b:0"), [("a", 1), ("a", 2), ("b", 0)]);
        assert_eq!(chosen("--topic-partitions a:2-,b:-1"), [("a", 2), ("a", 3), ("b", 0)]);
        assert_eq!(chosen("--topic-partitions :3").len(), 3);
        assert!(range("a:x").is_err() && range("a:1-2-3").is_err() && range("a:-x").is_err());
    }

    #[test]
    fn times_have_names() {
        assert_eq!((timestamp("latest"), timestamp("-3")), (Ok(-1), Ok(-3)));
        assert_eq!(timestamp("1700000000000"), Ok(1_700_000_000_000));
        assert!(timestamp("soon").is_err());
    }
}
