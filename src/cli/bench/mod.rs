//! `klamm bench`: load on any broker that speaks Kafka's protocol, and how long it took.
//!
//! The client of the tools agrees on versions and finds leaders; the load itself goes over sockets
//! that never block, one epoll a thread, many requests in flight, with batches that are built before
//! the run (`batch`) and sent with what they have in common uncopied (`conn`). So that the broker is
//! measured and not the bench: latencies of an open loop count from the time at which a request
//! should have left (`schedule`), the bench's own delays are measured beside them, and a bench that
//! could not keep up says so.
//!
//! `produce`, `e2e`, `consume` and `connections` each run one kind of load and give an
//! [`report::Outcome`], whole or in part; `report`, `plot` and `compare` show it, and `results` is its JSON.

mod batch;
mod check;
mod compare;
mod conn;
mod connections;
mod consume;
mod cost;
mod e2e;
mod files;
mod lane;
mod latency;
mod live;
mod load;
mod machine;
mod options;
mod plot;
mod poll;
mod produce;
mod report;
mod results;
mod roundtrip;
mod saturation;
mod schedule;
mod setup;
mod threads;
mod topics;
mod writer;

use super::CliError;
use clap::Subcommand;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  klamm bench produce --partitions 6 --batch 126             throughput
  klamm bench produce --rate 5000 --plot acks.svg            latency at a fixed rate
  klamm bench e2e --rate 1000 --json > before.json           from producer to consumer
  klamm bench connections --connections 10000                idle connections
  klamm bench --compare before.json after.json --plot both.svg

Exit codes: 0 done; 1 the broker refused, or the data is wrong; 2 wrong usage; 74 a broker or a file
cannot be reached, or a broker vanished; 78 the machine's limits are too low; 130 interrupted. What
was measured until a run ended early is printed, with \"complete\": false in its JSON.";

/// Flags of `klamm bench`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
#[command(arg_required_else_help = true)]
pub struct Bench {
    #[command(subcommand)]
    command: Option<Command>,
    /// Compare runs, from their --json, with the first of them
    #[arg(long, value_name = "FILE.json", num_args = 2.., required = true)]
    compare: Vec<PathBuf>,
    /// With --compare: draw the runs into one plot
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// With --compare: one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Append records, as fast as answers come or at a fixed rate
    Produce(Box<options::Produce>),
    /// Read topics from their beginning to their end
    Consume(Box<options::Consume>),
    /// Produce at a fixed rate and fetch at once: latency from end to end
    E2e(Box<options::E2e>),
    /// Open connections, hold them idle, and see that all still answer
    Connections(Box<options::Connections>),
}

/// Runs the subcommand.
pub fn run(bench: &Bench) -> Result<(), CliError> {
    let (outcome, output) = match &bench.command {
        None => return compare::run(&bench.compare, bench.plot.as_deref(), bench.json),
        Some(Command::Produce(c)) => {
            report::check_files(&c.output)?;
            (produce::run(c), &c.output)
        }
        Some(Command::Consume(c)) => {
            report::check_files(&c.output)?;
            (consume::run(c), &c.output)
        }
        Some(Command::E2e(c)) => {
            report::check_files(&c.output)?;
            (e2e::run(c), &c.output)
        }
        Some(Command::Connections(c)) => {
            report::check_files(&c.output)?;
            (connections::run(c), &c.output)
        }
    };
    report::finish(outcome?, output)
}
