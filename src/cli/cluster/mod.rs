//! `klamm cluster`: brokers, the quorum, and where partitions are.

mod members;
mod moves;
mod plan;
mod status;

use super::CliError;
use clap::Subcommand;

const EXAMPLES: &str = "\
Examples:
  klamm cluster status                 brokers, leaders, replicas, the quorum; exit code 1 if not well
  klamm cluster join 4                 gives broker 4, which follows the quorum, a vote
  klamm cluster reassign --dry-run     what evening out partitions would move
  klamm cluster drain 2 --throttle 50MiB
  klamm cluster remove 2               takes a drained broker's vote, and forgets it when it has stopped

Exit codes: 0 done, or all is well; 1 not so; 2 wrong usage; 74 no broker can be reached.";

/// Flags of `klamm cluster`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Command {
    #[command(subcommand)]
    command: Cluster,
}

#[derive(Subcommand, Debug)]
enum Cluster {
    /// Show brokers, partitions and the quorum
    Status(status::Status),
    /// Even out partitions over brokers and racks
    Reassign(moves::Reassign),
    /// Move all partitions away from a broker
    Drain(moves::Drain),
    /// Give a broker that follows the quorum a vote
    Join(members::Join),
    /// Take a drained broker's vote, and forget the broker when it has stopped
    Remove(members::Remove),
}

/// Runs a subcommand.
pub fn run(command: &Command) -> Result<(), CliError> {
    match &command.command {
        Cluster::Status(it) => status::run(it),
        Cluster::Reassign(it) => moves::reassign(it),
        Cluster::Drain(it) => moves::drain(it),
        Cluster::Join(it) => members::join(it),
        Cluster::Remove(it) => members::remove(it),
    }
}
