//! `klamm recover-quorum`: the metadata quorum of a cluster is lost for good, and one node is left.

use super::CliError;
use crate::controller::{LOG_BYTES_MAX, LostQuorum, OpenOptions};
use crate::storage::buffer::Budget;
use crate::storage::device::disk::{Disk, RealDisk};
use crate::storage::recovery::identity::Identity;
use crate::types::exit;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
For when a majority of those who vote in the metadata quorum will never come back with their data. While
a majority can be started, start it instead: nothing is lost then.

The node whose directory this is becomes the only voter. What the others had decided without it is lost,
and records with it, where it was less in sync than it knows. Choose the node with the latest metadata:
run this without --yes for each that is left, and compare what it says.

The other nodes of the old quorum must never be started with their old directories again: they would be
another cluster of the same name. They come back with empty ones, by --join.

Examples:
  klamm recover-quorum --data /srv/klamm           says what would be done, and changes nothing
  klamm recover-quorum --data /srv/klamm --yes
  klamm serve --data /srv/klamm …                  then the others: klamm serve --join HOST:9292 …";

/// Flags of `klamm recover-quorum`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RecoverQuorum {
    /// Data directory of a node that is left, and does not run
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Do it, although what the other nodes alone knew is lost
    #[arg(long)]
    yes: bool,
}

/// Carries it out, or says what it would do.
pub fn run(command: &RecoverQuorum) -> Result<(), CliError> {
    let name = command.data.display();
    let fail =
        |code: i32, why: String| CliError::Exit(code, format!("data directory {name}: {why}"));
    if !command.data.is_dir() {
        return Err(fail(exit::CONFIG, "there is no such directory".to_owned()));
    }
    let io = |e: std::io::Error| fail(exit::IO, e.to_string());
    let disk = RealDisk::new(&command.data, Budget::new(usize::MAX)).map_err(io)?;
    let _lock = disk
        .lock()
        .map_err(io)?
        .ok_or_else(|| fail(exit::CONFIG, "is in use: stop the broker first".to_owned()))?;
    let disk = Disk::Real(disk);
    let identity = Identity::read(&disk).map_err(|e| fail(exit::DAMAGED, e.to_string()))?;
    let nothing = || fail(exit::CONFIG, "no broker has ever run there".to_owned());
    let identity = identity.ok_or_else(nothing)?;
    let options = options(&identity);
    let found =
        LostQuorum::read(&disk, &options).map_err(|e| fail(exit::DAMAGED, e.to_string()))?;
    let mut lost = found.ok_or_else(nothing)?;
    let members = lost.members();
    if members.voters == BTreeSet::from([identity.node_id]) {
        let why = format!("node {} is the only voter already: start it", identity.node_id);
        return Err(fail(exit::FAILED, why));
    }
    if members.voters.is_empty() {
        let why = "this node has never come to know its cluster: nothing can be made of it";
        return Err(fail(exit::FAILED, why.to_owned()));
    }
    let (index, term) = lost.last();
    let outcome = lost.take_over();
    let voters: Vec<String> = members.voters.iter().map(ToString::to_string).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "cluster:   {}", identity.cluster_id)?;
    writeln!(out, "node:      {} (voters: {})", identity.node_id, voters.join(", "))?;
    writeln!(out, "metadata:  up to entry {index} of term {term}: what is later is lost")?;
    writeln!(out, "partitions led by this node from now on:           {}", outcome.led)?;
    writeln!(out, "held, but not in sync when it last heard of them:   {}", outcome.behind)?;
    writeln!(out, "not held here:                                     {}", outcome.elsewhere)?;
    if outcome.behind > 0 {
        writeln!(
            out,
            "Those that are held and not in sync stay without a leader; kafka-leader-election --election-type \
             unclean elects this node, and what the others alone had is lost."
        )?;
    }
    if !command.yes {
        return Err(CliError::Failed(
            "nothing was changed: with --yes this node becomes the only voter, and what others alone knew is lost"
                .to_owned(),
        ));
    }
    lost.write(&disk).map_err(|e| fail(exit::IO, e.to_string()))?;
    writeln!(
        out,
        "Node {} is the only voter now. Start it; bring the others back with empty directories and --join, never with \
         their old ones.",
        identity.node_id
    )?;
    Ok(())
}

fn options(identity: &Identity) -> OpenOptions {
    OpenOptions {
        cluster_id: identity.cluster_id.clone(),
        node_id: identity.node_id,
        host: String::new(),
        port: 0,
        peer_host: String::new(),
        peer_port: 0,
        rack: None,
        incarnation: 0,
        directory: u128::from_be_bytes(identity.directory_id),
        fixed: Arc::default(),
        shards: 1,
        voters: BTreeSet::new(),
        joins: false,
        log_bytes_max: LOG_BYTES_MAX,
        seed: 0,
    }
}
