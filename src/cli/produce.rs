//! `klamm produce`: lines of the standard input as messages.

use super::names::{check_topic, pair};
use super::{Broker, CliError};
use crate::client::clock::wall_ms;
use crate::client::producer::{partitioner, producer_id};
use crate::client::{ClientError, Cluster, Retry, To, check_code};
use crate::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use crate::wire::records::{BatchBuilder, Compression};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Each line is a message; its end is not part of it. What was sent is counted at the end.

Examples:
  echo hello | klamm produce events
  klamm produce events < lines.txt --compression zstd
  echo user1:login | klamm produce events --key-separator :
  klamm produce events --header source=shell --acks 1";

/// Flags of `klamm produce`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Produce {
    /// Topic to send to; created where the broker allows it
    topic: String,
    /// Lines are KEY, this text, VALUE; a line without it has no key. \t is a tab
    #[arg(short, long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// Header of every message; can be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// Partition to send to [default: by key, as Kafka's clients do; without a key, in turn]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Who confirms: all (every in-sync replica), 1 (the leader), 0 (nobody)
    #[arg(short, long, default_value = "all", value_parser = ["all", "-1", "1", "0"])]
    acks: String,
    /// Compression of the batches
    #[arg(short = 'z', long, value_name = "TYPE", default_value = "none")]
    #[arg(value_parser = ["none", "gzip", "snappy", "lz4", "zstd"])]
    compression: String,
    /// Messages arrive once and in order, also when a request has to be sent again
    #[arg(short, long)]
    idempotent: bool,
    /// An empty value is a null value: a tombstone in a compacted topic
    #[arg(long)]
    null_empty: bool,
    /// Do not say how many messages were sent
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    broker: Broker,
}

/// A batch is sent when it has this many bytes, when the input pauses, or when it ends.
const BATCH_BYTES: usize = 512 << 10;
/// A pause of the input, for one who types.
const PAUSE: Duration = Duration::from_millis(5);
/// Lines read ahead of what is sent.
const LINES_AHEAD: usize = 4096;
const REQUEST_TIMEOUT_MS: i32 = 30_000;

/// Sends until the input ends.
pub fn run(c: &Produce) -> Result<(), CliError> {
    check_topic(&c.topic)?;
    let acks: i16 = match c.acks.as_str() {
        "0" => 0,
        "1" => 1,
        _ => -1,
    };
    if c.idempotent && acks != -1 {
        return Err(CliError::Usage("--idempotent needs --acks all".to_owned()));
    }
    let headers = c
        .headers
        .iter()
        .map(|text| pair("--header", text).map(|(name, value)| (name, Some(value.as_bytes()))))
        .collect::<Result<Vec<_>, _>>()?;
    let separator = c.key_separator.as_deref().map(|s| s.replace("\\t", "\t"));
    if separator.as_deref() == Some("") {
        return Err(CliError::Usage("--key-separator must not be empty".to_owned()));
    }
    let compression = Compression::from_name(&c.compression).unwrap_or_default();

    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    cluster.find_topic(&c.topic, true)?;
    if let Some(partition) = c.partition {
        cluster.metadata().leader(&c.topic, partition)?;
    }
    let partitions = cluster.metadata().topic(&c.topic)?.partitions.len() as i32;
    let mut sender = Sender {
        topic: &c.topic,
        acks,
        producer: if c.idempotent { Some(producer_id(&mut cluster)?) } else { None },
        sequences: BTreeMap::new(),
        sent: 0,
        cluster,
    };
    let (lines, input) = mpsc::sync_channel(LINES_AHEAD);
    // Ends with the process: a thread that waits for a terminal cannot be woken.
    std::thread::spawn(move || read_lines(&lines));

    let start = Instant::now();
    let mut batches: BTreeMap<i32, BatchBuilder> = BTreeMap::new();
    let mut bytes = 0;
    let mut keyless = wall_ms().rem_euclid(i64::from(partitions)) as i32;
    loop {
        let (line, ended) = match next_line(&input, bytes > 0) {
            Next::Line(line) => (Some(line), false),
            Next::Pause => (None, false),
            Next::End => (None, true),
            Next::Error(why) => {
                sender.send(&mut batches)?;
                return Err(CliError::Io(format!("standard input: {why}")));
            }
        };
        if let Some(line) = &line {
            let (key, value) = match separator.as_deref().and_then(|s| split(line, s.as_bytes())) {
                Some((key, value)) => (Some(key), value),
                None => (None, line.as_slice()),
            };
            let partition = c.partition.unwrap_or_else(|| {
                key.map_or(keyless, |key| partitioner::partition(key, partitions))
            });
            let batch = batches.entry(partition).or_insert_with(|| BatchBuilder::new(compression));
            let before = batch.len();
            let value = Some(value).filter(|v| !(c.null_empty && v.is_empty()));
            batch.push(wall_ms(), key, value, &headers);
            bytes += batch.len() - before;
        }
        if bytes > 0 && (line.is_none() || bytes >= BATCH_BYTES) {
            sender.send(&mut batches)?;
            bytes = 0;
            keyless = (keyless + 1) % partitions;
        }
        if ended {
            break;
        }
    }
    if !c.quiet {
        let seconds = start.elapsed().as_secs_f64();
        // Who has closed the error output does not want to know.
        let noun = if sender.sent == 1 { "message" } else { "messages" };
        let _ = writeln!(std::io::stderr(), "{} {noun} sent in {seconds:.1} s", sender.sent);
    }
    Ok(())
}

enum Next {
    Line(Vec<u8>),
    Pause,
    End,
    Error(std::io::Error),
}

fn next_line(input: &Receiver<std::io::Result<Vec<u8>>>, something_waits: bool) -> Next {
    let received = if something_waits {
        input.recv_timeout(PAUSE)
    } else {
        input.recv().map_err(|_| RecvTimeoutError::Disconnected)
    };
    match received {
        Ok(Ok(line)) => Next::Line(line),
        Ok(Err(e)) => Next::Error(e),
        Err(RecvTimeoutError::Timeout) => Next::Pause,
        Err(RecvTimeoutError::Disconnected) => Next::End,
    }
}

fn read_lines(lines: &SyncSender<std::io::Result<Vec<u8>>>) {
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let result = match input.read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {
                if line.last() == Some(&b'\n') {
                    line.pop();
                    if line.last() == Some(&b'\r') {
                        line.pop();
                    }
                }
                Ok(line)
            }
            Err(e) => Err(e),
        };
        let failed = result.is_err();
        if lines.send(result).is_err() || failed {
            return;
        }
    }
}

fn split<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = line.windows(separator.len()).position(|w| w == separator)?;
    Some((&line[..at], &line[at + separator.len()..]))
}

struct Sender<'a> {
    cluster: Cluster,
    topic: &'a str,
    acks: i16,
    /// Producer id and epoch.
    producer: Option<(i64, i16)>,
    /// The next sequence number of each partition.
    sequences: BTreeMap<i32, i32>,
    sent: u64,
}

impl Sender<'_> {
    /// Sends every batch and waits until all are confirmed. One request is in flight to a leader at
    /// a time, and a batch is sent again as it was, so order and sequence numbers hold.
    fn send(&mut self, batches: &mut BTreeMap<i32, BatchBuilder>) -> Result<(), CliError> {
        let mut waiting = BTreeMap::new();
        for (partition, batch) in std::mem::take(batches) {
            let count = batch.count();
            let batch = match self.producer {
                Some((id, epoch)) => {
                    let sequence = self.sequences.entry(partition).or_insert(0);
                    let base = *sequence;
                    // Numbers wrap within the positive range, as in Kafka.
                    *sequence = ((i64::from(base) + i64::from(count)) & i64::from(i32::MAX)) as i32;
                    batch.producer(id, epoch, base)
                }
                None => batch,
            };
            waiting.insert(partition, (batch.build(), count));
        }
        let mut retry = Retry::new(self.cluster.now_ms(), i64::from(REQUEST_TIMEOUT_MS));
        while !waiting.is_empty() {
            let Err(e) = self.attempt(&mut waiting) else { continue };
            self.cluster.wait_or(&mut retry, e)?;
            self.cluster.refresh(Some(&[self.topic]), false)?;
        }
        Ok(())
    }

    /// Sends the waiting batches to their leaders, and removes those that are confirmed from `waiting`.
    /// Returns the first error of those that remain.
    fn attempt(&mut self, waiting: &mut BTreeMap<i32, (Vec<u8>, i32)>) -> Result<(), ClientError> {
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for &partition in waiting.keys() {
            let leader = self.cluster.metadata().leader(self.topic, partition)?;
            by_leader.entry(leader).or_default().push(partition);
        }
        let mut first_error = None;
        for (leader, partitions) in by_leader {
            if let Err(e) = self.attempt_leader(leader, &partitions, waiting) {
                if !e.is_retriable() {
                    return Err(e);
                }
                first_error = first_error.or(Some(e));
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    fn attempt_leader(
        &mut self,
        leader: i32,
        partitions: &[i32],
        waiting: &mut BTreeMap<i32, (Vec<u8>, i32)>,
    ) -> Result<(), ClientError> {
        let partition_data = partitions
            .iter()
            .map(|p| PartitionProduceData { index: *p, records: Some(&waiting[p].0) })
            .collect();
        let request = ProduceRequest {
            acks: self.acks,
            timeout_ms: REQUEST_TIMEOUT_MS,
            topic_data: vec![TopicProduceData {
                name: self.topic,
                partition_data,
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        if self.acks == 0 {
            let result = self.cluster.node(leader)?.send_only(&request);
            if result.is_err() {
                self.cluster.forget(leader);
            }
            result?;
            drop(request);
            for partition in partitions {
                let count = waiting.remove(partition).map_or(0, |(_, count)| count);
                self.sent += count as u64;
            }
            return Ok(());
        }
        let reply = self.cluster.try_call(To::Node(leader), &request)?;
        drop(request);
        let response = reply.read::<ProduceRequest<'_>>()?;
        let mut first_error = None;
        for p in response.responses.iter().flat_map(|t| &t.partition_responses) {
            let what = || format!("partition {} of topic '{}'", p.index, self.topic);
            match check_code(p.error_code, what, p.error_message) {
                Ok(()) => {
                    let count = waiting.remove(&p.index).map_or(0, |(_, count)| count);
                    self.sent += count as u64;
                }
                Err(e) if !e.is_retriable() => return Err(e),
                Err(e) => first_error = first_error.or(Some(e)),
            }
        }
        let missing = partitions.iter().find(|p| waiting.contains_key(p));
        match (first_error, missing) {
            (Some(e), _) => Err(e),
            (None, Some(p)) => {
                Err(ClientError::NoLeader { topic: self.topic.to_owned(), partition: *p })
            }
            (None, None) => Ok(()),
        }
    }
}
