//! `klamm consume`: the messages of a topic, of all of its partitions or as a member of a group.

mod group;

use super::names::check_topic;
use super::offsets::{self, EARLIEST, LATEST};
use super::output::{Format, print};
use super::{Broker, CliError, signal};
use crate::client::{ClientError, Cluster, Retry, Transport, check_code};
use crate::types::ErrorCode;
use crate::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use crate::wire::records::{batches, records};
use std::collections::BTreeMap;
use std::io::{BufWriter, IsTerminal, Stdout, Write};
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Follows the topic until Ctrl-C, --max-messages, --until-end or --timeout.

Examples:
  klamm consume events                               what comes from now on
  klamm consume events --from-beginning --until-end  all that is there
  klamm consume events --offset -10 --partition 0    the last ten of partition 0, then on
  klamm consume events --from-beginning --json | jq .value
  klamm consume events --group billing               a share, from where the group stopped on";

/// Flags of `klamm consume`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Consume {
    /// Topic to read
    topic: String,
    /// As a member of this consumer group: a share of the partitions, from its committed offsets on
    #[arg(short, long, value_name = "GROUP")]
    #[arg(conflicts_with_all = ["partitions", "offset", "until_end"])]
    group: Option<String>,
    /// Start with the first message that there is; in a group, where it has no offset yet
    #[arg(short, long, conflicts_with = "offset")]
    from_beginning: bool,
    /// Start here: a number, -N for the last N, earliest, latest, or @MS for a time in milliseconds
    /// since 1970 [default: latest]
    #[arg(short, long, allow_hyphen_values = true)]
    offset: Option<String>,
    /// Only this partition; can be repeated
    #[arg(short, long = "partition", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    partitions: Vec<i32>,
    /// Stop after this many messages
    #[arg(short = 'n', long, value_name = "N")]
    max_messages: Option<u64>,
    /// Stop at the end that each partition has at the start
    #[arg(short = 'e', long)]
    until_end: bool,
    /// Stop when no message came for this many seconds; fails if --max-messages was not reached
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// Print the key before the value
    #[arg(short = 'k', long)]
    print_key: bool,
    /// Print the headers before the value
    #[arg(long)]
    print_headers: bool,
    /// Print partition and offset before the value
    #[arg(long)]
    print_offset: bool,
    /// Print the time, in milliseconds since 1970, before the value
    #[arg(long)]
    print_timestamp: bool,
    /// Each message as a JSON object in a line; what is not text is in …_base64
    #[arg(short, long, conflicts_with_all = ["print_key", "print_headers", "print_offset"])]
    #[arg(conflicts_with = "print_timestamp")]
    json: bool,
    #[command(flatten)]
    broker: Broker,
}

/// How long a broker holds an answer when nothing is there; also how late Ctrl-C is noticed.
const WAIT_MS: i32 = 250;
const FETCH_BYTES: i32 = 8 << 20;
const PARTITION_BYTES: i32 = 1 << 20;
/// One batch decompressed; far beyond what brokers accept.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// Where to start.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    Offset(i64),
    FromEnd(i64),
    Time(i64),
}

fn parse_offset(text: &str) -> Result<Start, CliError> {
    let from = match text {
        "earliest" | "beginning" => Some(Start::Time(EARLIEST)),
        "latest" | "end" => Some(Start::Time(LATEST)),
        _ => match (text.strip_prefix('@'), text.strip_prefix('-')) {
            (Some(ms), _) => ms.parse().ok().filter(|ms| *ms >= 0).map(Start::Time),
            (_, Some(n)) => n.parse().ok().filter(|n| *n >= 0).map(Start::FromEnd),
            (None, None) => text.parse().ok().map(Start::Offset),
        },
    };
    from.ok_or_else(|| {
        CliError::Usage(format!("--offset {text}: use a number, -N, earliest, latest or @MS"))
    })
}

/// Prints messages until a limit, an error or a signal ends it.
pub fn run(c: &Consume) -> Result<(), CliError> {
    check_topic(&c.topic)?;
    let from = match &c.offset {
        Some(text) => parse_offset(text)?,
        None if c.from_beginning => Start::Time(EARLIEST),
        None => Start::Time(LATEST),
    };
    let timeout =
        c.timeout.map(|s| Duration::try_from_secs_f64(s).map_err(|_| s)).transpose().map_err(
            |s| CliError::Usage(format!("--timeout {s}: use seconds, such as 5 or 0.5")),
        )?;
    let format = Format {
        json: c.json,
        key: c.print_key,
        headers: c.print_headers,
        offset: c.print_offset,
        timestamp: c.print_timestamp,
    };
    if let Some(name) = &c.group {
        return group::run(c, name, format, timeout);
    }
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    cluster.find_topic(&c.topic, false)?;
    let partitions: Vec<i32> = if c.partitions.is_empty() {
        cluster.metadata().topic(&c.topic)?.partitions.keys().copied().collect()
    } else {
        for partition in &c.partitions {
            cluster.metadata().leader(&c.topic, *partition)?;
        }
        c.partitions.clone()
    };
    let positions = start_positions(&mut cluster, c, &partitions, from)?;
    let ends = if c.until_end {
        Some(offsets::list(&mut cluster, &c.topic, &partitions, LATEST)?)
    } else {
        None
    };
    let stdout = std::io::stdout();
    signal::catch();
    let follow = Follow {
        command: c,
        format,
        flush_each: stdout.is_terminal(),
        out: BufWriter::with_capacity(64 << 10, stdout),
        cluster,
        positions,
        ends,
        printed: 0,
    };
    follow.run(timeout)
}

fn start_positions(
    cluster: &mut Cluster,
    c: &Consume,
    partitions: &[i32],
    from: Start,
) -> Result<BTreeMap<i32, i64>, CliError> {
    let topic = &c.topic;
    match from {
        Start::Time(time) => {
            let mut found = offsets::list(cluster, topic, partitions, time)?;
            if found.values().any(|offset| *offset < 0) {
                // Nothing is that new: what comes next is.
                let ends = offsets::list(cluster, topic, partitions, LATEST)?;
                for (partition, offset) in found.iter_mut().filter(|(_, o)| **o < 0) {
                    *offset = ends.get(partition).copied().unwrap_or(0);
                }
            }
            Ok(found)
        }
        Start::FromEnd(n) => {
            let starts = offsets::list(cluster, topic, partitions, EARLIEST)?;
            let mut found = offsets::list(cluster, topic, partitions, LATEST)?;
            for (partition, offset) in &mut found {
                *offset = (*offset - n).max(starts.get(partition).copied().unwrap_or(0));
            }
            Ok(found)
        }
        Start::Offset(offset) => {
            let starts = offsets::list(cluster, topic, partitions, EARLIEST)?;
            let ends = offsets::list(cluster, topic, partitions, LATEST)?;
            for (partition, start) in &starts {
                let end = ends.get(partition).copied().unwrap_or(*start);
                if !(*start..=end).contains(&offset) {
                    return Err(CliError::Failed(format!(
                        "partition {partition} of topic '{topic}' has no offset {offset}: it has \
                         {start} to {end}"
                    )));
                }
            }
            Ok(partitions.iter().map(|p| (*p, offset)).collect())
        }
    }
}

struct Follow<'a> {
    command: &'a Consume,
    format: Format,
    flush_each: bool,
    out: BufWriter<Stdout>,
    cluster: Cluster,
    /// The next offset of each partition.
    positions: BTreeMap<i32, i64>,
    /// With `--until-end`, where each partition ends.
    ends: Option<BTreeMap<i32, i64>>,
    printed: u64,
}

impl Follow<'_> {
    fn run(mut self, timeout: Option<Duration>) -> Result<(), CliError> {
        let mut last_message = Instant::now();
        let mut retry = None;
        while signal::stopped().is_none() && !self.is_done() {
            let before = self.printed;
            let result = self.round();
            self.out.flush()?;
            match result {
                Ok(()) => retry = None,
                Err(CliOrClient::Cli(e)) => return Err(e),
                Err(CliOrClient::Client(e)) => {
                    let now = self.cluster.now_ms();
                    let retry = retry.get_or_insert_with(|| Retry::new(now, Cluster::PATIENCE_MS));
                    self.cluster.wait_or(retry, e)?;
                    self.cluster.refresh(Some(&[&self.command.topic]), false)?;
                    self.cluster.metadata().topic(&self.command.topic)?;
                }
            }
            if self.printed > before {
                last_message = Instant::now();
            } else if timeout.is_some_and(|t| last_message.elapsed() >= t) {
                return match self.command.max_messages {
                    Some(max) => Err(CliError::Failed(format!(
                        "{} of {max} messages came before the timeout",
                        self.printed
                    ))),
                    None => Ok(()),
                };
            }
            if signal::reader_left(self.out.get_ref()) {
                return Err(CliError::ClosedPipe);
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.command.max_messages.is_some_and(|max| self.printed >= max)
            || self.ends.as_ref().is_some_and(|ends| {
                self.positions.iter().all(|(p, at)| ends.get(p).is_none_or(|end| at >= end))
            })
    }

    /// Asks every leader at once, then prints what each has.
    fn round(&mut self) -> Result<(), CliOrClient> {
        let topic = &self.command.topic;
        let mut by_leader: BTreeMap<i32, Vec<FetchPartition>> = BTreeMap::new();
        for (&partition, &fetch_offset) in &self.positions {
            let leader = self.cluster.metadata().leader(topic, partition)?;
            by_leader.entry(leader).or_default().push(FetchPartition {
                partition,
                fetch_offset,
                partition_max_bytes: PARTITION_BYTES,
                ..FetchPartition::default()
            });
        }
        let leaders: Vec<i32> = by_leader.keys().copied().collect();
        for (leader, partitions) in by_leader {
            let request = FetchRequest {
                replica_id: -1,
                max_wait_ms: WAIT_MS,
                min_bytes: 1,
                max_bytes: FETCH_BYTES,
                session_id: 0,
                session_epoch: -1,
                topics: vec![FetchTopic { topic, partitions, ..FetchTopic::default() }],
                ..FetchRequest::default()
            };
            let sent = self.cluster.node(leader).and_then(|connection| connection.send(&request));
            if let Err(e) = sent {
                // Answers to what was sent before would be taken for others'.
                for id in leaders {
                    self.cluster.forget(id);
                }
                return Err(e.into());
            }
        }
        // All answers first: what one of them leads to may need a connection that another is due on.
        let mut replies = Vec::with_capacity(leaders.len());
        for leader in leaders {
            let reply = self.cluster.node(leader).and_then(Transport::receive);
            if reply.is_err() {
                self.cluster.forget(leader);
            }
            replies.push(reply);
        }
        let mut first_error = None;
        for reply in replies {
            match reply.map_err(CliOrClient::from).and_then(|reply| self.take(&reply)) {
                Err(CliOrClient::Client(e)) if e.is_retriable() => {
                    first_error = first_error.or(Some(e));
                }
                other => other?,
            }
        }
        first_error.map_or(Ok(()), |e| Err(e.into()))
    }

    fn take(&mut self, reply: &crate::client::Reply) -> Result<(), CliOrClient> {
        let response = reply.read::<FetchRequest<'_>>()?;
        let topic = &self.command.topic;
        check_code(response.error_code, || format!("reading topic '{topic}'"), None)?;
        // A partition in trouble does not hold the others up.
        let mut first_error = None;
        for p in response.responses.iter().flat_map(|t| &t.partitions) {
            let index = p.partition_index;
            if p.error_code == ErrorCode::OFFSET_OUT_OF_RANGE.0 {
                self.start_over(index)?;
                continue;
            }
            let what = || format!("partition {index} of topic '{topic}'");
            if let Err(e) = check_code(p.error_code, what, None) {
                first_error = first_error.or(Some(e));
                continue;
            }
            self.print(index, p.records.unwrap_or_default())?;
        }
        first_error.map_or(Ok(()), |e| Err(e.into()))
    }

    /// The offset does not exist any more: retention has removed it, or the topic was created again.
    fn start_over(&mut self, partition: i32) -> Result<(), CliOrClient> {
        let topic = &self.command.topic;
        let starts = offsets::list(&mut self.cluster, topic, &[partition], EARLIEST)?;
        let start = starts.get(&partition).copied().unwrap_or(0);
        let at = self.positions.insert(partition, start).unwrap_or(0);
        eprintln!(
            "klamm: partition {partition} of topic '{topic}' has no offset {at} any more; going on \
             at {start}"
        );
        Ok(())
    }

    fn print(&mut self, partition: i32, bytes: &[u8]) -> Result<(), CliOrClient> {
        let damaged = |offset: i64, why: &dyn std::fmt::Display| {
            CliError::Failed(format!(
                "damaged batch at offset {offset} of partition {partition}: {why}"
            ))
        };
        let max = self.command.max_messages.unwrap_or(u64::MAX);
        let end = self.ends.as_ref().and_then(|ends| ends.get(&partition)).copied();
        for (header, batch) in batches(bytes) {
            let at = self.positions.get(&partition).copied().unwrap_or(0);
            if header.next_offset() <= at {
                continue;
            }
            header.check_crc(batch).map_err(|e| damaged(header.base_offset, &e))?;
            if !header.is_control() {
                let opened =
                    records(batch, BATCH_BYTES_MAX).map_err(|e| damaged(header.base_offset, &e))?;
                for record in &opened {
                    let record = record.map_err(|e| damaged(header.base_offset, &e))?;
                    if record.offset < at || end.is_some_and(|end| record.offset >= end) {
                        continue;
                    }
                    if self.printed >= max {
                        return Ok(());
                    }
                    print(&mut self.out, self.format, &self.command.topic, partition, &record)
                        .map_err(CliError::from)?;
                    self.printed += 1;
                    self.positions.insert(partition, record.offset + 1);
                    if self.flush_each {
                        self.out.flush().map_err(CliError::from)?;
                    }
                }
            }
            self.positions.insert(partition, header.next_offset());
        }
        Ok(())
    }
}

/// What ends a round: trouble with a broker, which may pass, or anything else, which does not.
enum CliOrClient {
    Cli(CliError),
    Client(ClientError),
}

impl From<CliError> for CliOrClient {
    fn from(e: CliError) -> Self {
        Self::Cli(e)
    }
}

impl From<ClientError> for CliOrClient {
    fn from(e: ClientError) -> Self {
        Self::Client(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offsets() {
        let ok = |text: &str| parse_offset(text).expect("an offset");
        assert_eq!(ok("earliest"), Start::Time(-2));
        assert_eq!(ok("latest"), Start::Time(-1));
        assert_eq!(ok("@1700000000000"), Start::Time(1_700_000_000_000));
        assert_eq!(ok("42"), Start::Offset(42));
        assert_eq!(ok("-5"), Start::FromEnd(5));
        for bad in ["", "x", "@", "@-1", "--5", "1.5", "99999999999999999999"] {
            assert!(parse_offset(bad).is_err(), "{bad}");
        }
    }
}
