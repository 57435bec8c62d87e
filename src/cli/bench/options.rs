//! The command line of `klamm bench`.

use super::batch::{Distribution, Keys, MARK_BYTES, Shape};
use super::machine::{Cpus, parse_cpus};
use crate::cli::{Broker, CliError};
use crate::config;
use crate::wire::records::Compression;
use jiff::SignedDuration;
use std::path::PathBuf;
use std::time::Duration;

/// Reads `10` (seconds), `10s`, `500ms`, `2m`, `1m 30s`.
fn duration(text: &str) -> Result<Duration, String> {
    const SHAPE: &str = "write a time as 10, 10s, 500ms or 2m";
    // A year is long enough, and leaves nanoseconds far from their end.
    const MAX: Duration = Duration::from_hours(365 * 24);
    let text = text.trim();
    let read = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => text.parse::<SignedDuration>().ok().and_then(|d| d.try_into().ok()),
    };
    read.filter(|d| *d <= MAX).ok_or_else(|| SHAPE.to_owned())
}

/// Reads a rate: `5000`, `20k`, `1.5M`.
fn rate(text: &str) -> Result<f64, String> {
    let text = text.trim().trim_end_matches("/s");
    let (number, factor) = match text.chars().next_back() {
        Some('k' | 'K') => (&text[..text.len() - 1], 1e3),
        Some('m' | 'M') => (&text[..text.len() - 1], 1e6),
        _ => (text, 1.0),
    };
    match number.parse::<f64>() {
        Ok(n) if n > 0.0 && n * factor <= 1e9 => Ok(n * factor),
        _ => Err("write a rate a second as 5000, 20k or 1.5M".to_owned()),
    }
}

/// Reads a size below 1 GiB.
fn size(text: &str) -> Result<usize, String> {
    match config::size(text)? {
        n if n < 1 << 30 => Ok(n as usize),
        _ => Err("this is too large".to_owned()),
    }
}

fn acks(text: &str) -> Result<i16, String> {
    match text {
        "all" | "-1" => Ok(-1),
        "1" => Ok(1),
        "0" => Ok(0),
        _ => Err("write all, 1 or 0".to_owned()),
    }
}

fn compression(text: &str) -> Result<Compression, String> {
    Compression::from_name(text).ok_or_else(|| "write none, gzip, snappy, lz4 or zstd".to_owned())
}

/// The topics of the load.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Topics")]
pub struct TopicArgs {
    /// Topic; created where it does not exist, and then deleted at the end
    #[arg(short, long, value_name = "NAME", default_value = "klamm-bench")]
    pub topic: String,
    /// Topics: NAME-0 and up, if more than one
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub topics: u32,
    /// Partitions of each [default: 1, or what an existing topic has]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// Replicas [default: the broker's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub replication_factor: Option<i16>,
    /// Setting of the topics; can be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub topic_config: Vec<String>,
    /// Do not delete the topics that this run has created
    #[arg(long)]
    pub keep: bool,
}

/// What is sent.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Records")]
pub struct RecordArgs {
    /// Bytes of each record's value
    #[arg(short = 's', long, value_name = "SIZE", default_value = "1KiB", value_parser = size)]
    pub record_size: usize,
    /// Records in a batch
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch: u32,
    /// Bytes of each record's key [default: null keys]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub key_size: Option<usize>,
    /// Number of different keys
    #[arg(long, value_name = "N", default_value_t = 100_000, requires = "key_size")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub keys: u64,
    /// How keys are drawn
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Distribution::Uniform)]
    #[arg(requires = "key_size")]
    pub key_distribution: Distribution,
    /// Compression: none, gzip, snappy, lz4, zstd. Batches are compressed before the run
    #[arg(short = 'z', long, value_name = "TYPE", default_value = "none")]
    #[arg(value_parser = compression)]
    pub compression: Compression,
    /// Who confirms: all (every in-sync replica), 1 (the leader), 0 (nobody)
    #[arg(short, long, default_value = "all", value_parser = acks, allow_hyphen_values = true)]
    pub acks: i16,
    /// Send as idempotent producers, one for each connection
    #[arg(short, long)]
    pub idempotent: bool,
}

impl RecordArgs {
    /// What batches look like, checked.
    pub fn shape(&self) -> Result<Shape, CliError> {
        if self.idempotent && self.acks != -1 {
            return Err(CliError::Usage("--idempotent needs --acks all".to_owned()));
        }
        let keys = self.key_size.map(|bytes| Keys {
            bytes,
            count: self.keys,
            distribution: self.key_distribution,
        });
        let records = self.batch as usize;
        let bytes = records.saturating_mul(self.record_size + self.key_size.unwrap_or(0) + 20);
        if bytes > 1 << 30 {
            let hint = "a batch has less than 1 GiB: lower --batch or --record-size";
            return Err(CliError::Usage(hint.to_owned()));
        }
        let compression = self.compression;
        Ok(Shape { records, value_bytes: self.record_size, keys, compression })
    }

    /// Whether records have room for the mark that tells batches apart.
    pub fn has_mark(&self) -> bool {
        self.record_size >= MARK_BYTES
    }
}

/// How the bench runs.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Run")]
pub struct RunArgs {
    /// Time that is measured
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub duration: Duration,
    /// Time of the same load before it [default: 2s; none with --count]
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    pub warmup: Option<Duration>,
    /// Threads of the bench; connections are spread over them
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: u16,
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Poll without sleeping, so that the bench's own wake-ups are not in the latencies; needs a core
    /// for each thread
    #[arg(long)]
    pub spin: bool,
    /// The run ends if a broker does not answer for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
}

/// What the bench takes of the machine, and what it watches there.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Run")]
pub struct MachineArgs {
    /// Cores for the bench's threads, in turn, such as 1 or 2-3 [default: any]
    #[arg(long, value_name = "LIST", value_parser = parse_cpus)]
    pub cpu: Option<Cpus>,
    /// Brokers' processes on this machine: their CPU time, memory and disk writes are measured, in sum
    #[arg(long, value_name = "PID,…", value_delimiter = ',')]
    pub broker_pid: Vec<u32>,
}

impl MachineArgs {
    /// Cores; empty for any.
    pub fn cpus(&self) -> Cpus {
        self.cpu.clone().unwrap_or_default()
    }
}

/// Where results go.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// One JSON object on the standard output instead of a table
    #[arg(long)]
    pub json: bool,
    /// Name of the run in plots and comparisons [default: what it is]
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// Write the percentile log of HdrHistogram, in microseconds
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,
    /// Draw latency by percentile
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Draw this earlier run, from its --json, into the same plot; can be repeated
    #[arg(long, value_name = "FILE.json", requires = "plot")]
    pub overlay: Vec<PathBuf>,
    /// No progress on the terminal
    #[arg(short, long)]
    pub quiet: bool,
}

const PRODUCE_EXAMPLES: &str = "\
Without --rate, each connection keeps --inflight requests on their way (a closed loop): throughput.
With --rate, requests leave on schedule whatever the broker does (an open loop), and latency counts
from the time at which each should have left: a stall is charged to every request that it held up.

Examples:
  klamm bench produce --partitions 6 --batch 126
  klamm bench produce --partitions 100 --record-size 512 --connections 16 --inflight 8
  klamm bench produce --rate 5000 --partitions 6 --plot latency.svg
  klamm bench produce --rate 5000 --json > after.json
  klamm bench produce --compression lz4 --key-size 16 --keys 1000000 --idempotent
  klamm bench produce --topic filled --keep --count 100000 && klamm bench consume --topic filled";

/// Flags of `klamm bench produce`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = PRODUCE_EXAMPLES)]
pub struct Produce {
    /// Connections, over all brokers
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=4095))]
    pub connections: u32,
    /// Requests in flight on each connection [default: 5; with --rate, any number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub inflight: Option<u32>,
    /// Requests a second, over all connections
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// End after this many requests instead of after --duration
    #[arg(short = 'n', long, value_name = "N", conflicts_with_all = ["rate", "duration"])]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Partitions, one batch for each, in a request
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub partitions_per_request: u32,
    /// Do not check offsets, nor that all records are there at the end
    #[arg(long)]
    pub no_verify: bool,
    #[command(flatten)]
    pub broker: Broker,
    #[command(flatten)]
    pub topics: TopicArgs,
    #[command(flatten)]
    pub records: RecordArgs,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

const E2E_EXAMPLES: &str = "\
Batches leave on schedule; latency counts from the time at which each should have left to the moment
at which a long-polling fetch has brought it back to the same process. What comes back is compared
with what was sent.

Examples:
  klamm bench e2e
  klamm bench e2e --rate 10k --partitions 6 --connections 4 --plot e2e.svg
  klamm bench e2e --rate 1000 --spin --cpu 1 --json";

/// Flags of `klamm bench e2e`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = E2E_EXAMPLES)]
pub struct E2e {
    /// Batches a second, over all partitions
    #[arg(long, value_name = "N", default_value = "1000", value_parser = rate)]
    pub rate: f64,
    /// Connections that produce; each partition belongs to one
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=4095))]
    pub connections: u32,
    /// Connections that fetch; each partition belongs to one
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=4095))]
    pub consumers: u32,
    /// How long a fetch may wait at the broker
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub max_wait: Duration,
    #[command(flatten)]
    pub broker: Broker,
    #[command(flatten)]
    pub topics: TopicArgs,
    #[command(flatten)]
    pub records: RecordArgs,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

const CONSUME_EXAMPLES: &str = "\
Reads from the first offset to the end that each partition has at the start.

Examples:
  klamm bench produce --topic filled --keep --partitions 6 --batch 126 --count 30000
  klamm bench consume --topic filled
  klamm bench consume --topic filled --no-verify --partition-bytes 4MiB --threads 2";

/// Flags of `klamm bench consume`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = CONSUME_EXAMPLES)]
pub struct Consume {
    /// Topic to read
    #[arg(short, long, value_name = "NAME", default_value = "klamm-bench")]
    pub topic: String,
    /// Topics: NAME-0 and up, if more than one
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub topics: u32,
    /// Connections, over all brokers; each partition belongs to one
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=4095))]
    pub connections: u32,
    /// Bytes asked for of each partition
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    pub partition_bytes: usize,
    /// Bytes asked for in a fetch
    #[arg(long, value_name = "SIZE", default_value = "50MiB", value_parser = size)]
    pub fetch_bytes: usize,
    /// Do not check CRCs, nor what the bench's own batches say about their order
    #[arg(long)]
    pub no_verify: bool,
    /// Threads of the bench; connections are spread over them
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: u16,
    /// The run ends if a broker does not answer for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    pub broker: Broker,
    #[command(flatten)]
    pub machine: MachineArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

const CONNECTIONS_EXAMPLES: &str = "\
Examples:
  klamm bench connections
  klamm bench connections --connections 20000 --hold 30s --broker-pid $(pgrep -f 'klamm serve')";

/// Flags of `klamm bench connections`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = CONNECTIONS_EXAMPLES)]
pub struct Connections {
    /// Connections to open
    #[arg(short = 'c', long = "connections", value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub count: u32,
    /// Time for which they are held idle
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub hold: Duration,
    #[command(flatten)]
    pub broker: Broker,
    #[command(flatten)]
    pub machine: MachineArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_and_rates() {
        for (text, ms) in
            [("10", 10_000), ("1.5s", 1500), ("500ms", 500), ("2m", 120_000), ("1m 30s", 90_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "s", "-1", "-1s", "1y", "9000h", "NaN", "1e12"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        for (text, want) in [("5000", 5e3), ("20k", 2e4), ("1.5M", 1.5e6), ("7/s", 7.0)] {
            assert_eq!(rate(text), Ok(want), "{text}");
        }
        for bad in ["", "0", "-5", "k", "1e300", "NaN"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        assert_eq!((acks("all"), acks("-1"), acks("0")), (Ok(-1), Ok(-1), Ok(0)));
        assert!(acks("2").is_err() && compression("brotli").is_err());
    }
}
