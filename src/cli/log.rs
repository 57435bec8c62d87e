//! `klamm log`: what is in a data directory. Nothing in it is changed, so the broker may run.

use super::CliError;
use crate::config::show_size;
use crate::controller::{self, Image};
use crate::storage::buffer::Budget;
use crate::storage::device::disk::{Disk, RealDisk};
use crate::storage::recovery::OpenError;
use crate::storage::recovery::inspect::{self, LogInfo, Overview, Verified};
use crate::types::exit;
use clap::Subcommand;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Reads only: the broker may run, and what it writes at that moment may be missing.

Examples:
  klamm log inspect ./klamm-data
  klamm log inspect ./klamm-data --segments --json
  klamm log verify ./klamm-data          exit code 1 where something is damaged";

/// Flags of `klamm log`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Log {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Show whose directory it is, its journals, and each partition's offsets
    Inspect(Inspect),
    /// Read every segment and check every checksum in it
    Verify(Verify),
}

#[derive(clap::Args, Debug)]
struct Inspect {
    /// Data directory
    directory: PathBuf,
    /// Each segment as well
    #[arg(short, long)]
    segments: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct Verify {
    /// Data directory
    directory: PathBuf,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(log: &Log) -> Result<(), CliError> {
    match &log.command {
        Command::Inspect(c) => inspect(c),
        Command::Verify(c) => verify(c),
    }
}

fn open(directory: &Path) -> Result<(Disk, Overview), CliError> {
    let name = directory.display();
    let disk = RealDisk::existing(directory, Budget::new(usize::MAX))
        .map_err(|e| CliError::Io(format!("data directory {name}: {e}")))?;
    if !disk.root().is_dir() {
        return Err(CliError::Io(format!("data directory {name}: not a directory")));
    }
    let disk = Disk::Real(disk);
    let overview = inspect::overview(&disk).map_err(|e| match e {
        OpenError::Refused(_) => CliError::Exit(exit::CONFIG, format!("{name}: {e}")),
        OpenError::Io { .. } => CliError::Io(format!("{name}: {e}")),
        OpenError::Damaged(_) => CliError::Failed(format!("{name}: {e}")),
    })?;
    Ok((disk, overview))
}

fn inspect(c: &Inspect) -> Result<(), CliError> {
    let (disk, overview) = open(&c.directory)?;
    // Names are a help; without them the rest is worth showing all the same.
    let image = controller::look(&disk, overview.identity.node_id).unwrap_or_else(|e| {
        eprintln!("klamm: {}: no topic names: {e}", c.directory.display());
        None
    });
    let name = |log: &LogInfo| topic_name(image.as_ref(), log);
    let mut out = std::io::stdout().lock();
    if c.json {
        writeln!(out, "{}", overview_json(&overview, c.segments, &name))?;
        return Ok(());
    }
    let identity = &overview.identity;
    writeln!(out, "cluster {}   node {}", identity.cluster_id, identity.node_id)?;
    match &overview.manifest {
        Some(m) => writeln!(
            out,
            "run {}   {} shards   {}",
            m.life,
            m.shards,
            if m.clean { "stopped cleanly" } else { "running, or ended without a checkpoint" },
        )?,
        None => writeln!(out, "never served")?,
    }
    for journal in &overview.journals {
        let blocks = match journal.blocks {
            Some((first, last)) => format!("blocks {first} to {last}"),
            None => "no block of this run".to_owned(),
        };
        writeln!(out, "{}   {}   {blocks}", journal.path, show_size(journal.size))?;
    }
    if !overview.logs.is_empty() {
        writeln!(
            out,
            "{:<22} {:>9} {:>5} {:>12} {:>12} {:>12} {:>8} {:>10} {:>10}  topic",
            "topic id",
            "partition",
            "shard",
            "start",
            "in segments",
            "end",
            "segments",
            "bytes",
            "in journal"
        )?;
    }
    for log in &overview.logs {
        writeln!(
            out,
            "{:<22} {:>9} {:>5} {:>12} {:>12} {:>12} {:>8} {:>10} {:>10}  {}",
            log.tp.topic.to_string(),
            log.tp.partition,
            log.shard,
            log.start,
            log.placed_end,
            log.end,
            log.segments.len(),
            show_size(segment_bytes(log)),
            show_size(log.journaled_bytes),
            name(log).unwrap_or_else(|| "(not in the metadata)".to_owned()),
        )?;
        for segment in log.segments.iter().filter(|_| c.segments) {
            writeln!(
                out,
                "  {}   offsets {} to {}   {}{}",
                segment.path,
                segment.base,
                segment.next,
                show_size(segment.length),
                if segment.sealed { "   sealed" } else { "" },
            )?;
        }
    }
    Ok(())
}

/// `None` for a topic that the metadata does not know, or that is being deleted.
fn topic_name(image: Option<&Image>, log: &LogInfo) -> Option<String> {
    Some(image?.topic_by_id(log.tp.topic)?.name.to_string())
}

fn segment_bytes(log: &LogInfo) -> u64 {
    log.segments.iter().map(|s| s.length).sum()
}

fn overview_json(
    overview: &Overview,
    segments: bool,
    name: &dyn Fn(&LogInfo) -> Option<String>,
) -> Value {
    let logs: Vec<Value> = overview
        .logs
        .iter()
        .map(|log| {
            let mut value = json!({
                "topic": name(log),
                "topic_id": log.tp.topic.to_string(),
                "partition": log.tp.partition,
                "shard": log.shard,
                "start_offset": log.start,
                "end_offset_in_segments": log.placed_end,
                "end_offset": log.end,
                "segment_bytes": segment_bytes(log),
                "journal_frames": log.journaled_frames,
                "journal_bytes": log.journaled_bytes,
            });
            if segments {
                let segments = log.segments.iter().map(|s| {
                    json!({
                        "path": s.path,
                        "base_offset": s.base,
                        "next_offset": s.next,
                        "bytes": s.length,
                        "max_timestamp": s.max_timestamp,
                        "sealed": s.sealed,
                    })
                });
                value["segments"] = segments.collect();
            }
            value
        })
        .collect();
    let journals: Vec<Value> = overview
        .journals
        .iter()
        .map(|j| json!({ "path": j.path, "bytes": j.size, "blocks": j.blocks }))
        .collect();
    json!({
        "cluster_id": overview.identity.cluster_id,
        "node_id": overview.identity.node_id,
        "run": overview.manifest.map(|m| m.life),
        "shards": overview.manifest.map(|m| m.shards),
        "clean": overview.manifest.map(|m| m.clean),
        "journals": journals,
        "logs": logs,
    })
}

fn verify(c: &Verify) -> Result<(), CliError> {
    let (disk, overview) = open(&c.directory)?;
    let verified = inspect::verify(&disk, &overview, &mut |_| {})
        .map_err(|e| CliError::Failed(format!("{}: {e}", c.directory.display())))?;
    let mut out = std::io::stdout().lock();
    if c.json {
        writeln!(out, "{}", verified_json(&verified))?;
    } else {
        for finding in &verified.findings {
            writeln!(out, "{}: {}", finding.path, finding.problem)?;
        }
        writeln!(
            out,
            "{} frames, {} batches, {} read",
            verified.frames,
            verified.batches,
            show_size(verified.bytes)
        )?;
    }
    if verified.findings.is_empty() {
        return Ok(());
    }
    let damaged = verified.findings.len();
    let places = if damaged == 1 { "place is" } else { "places are" };
    Err(CliError::Failed(format!("{}: {damaged} {places} damaged", c.directory.display())))
}

fn verified_json(verified: &Verified) -> Value {
    let findings: Vec<Value> =
        verified.findings.iter().map(|f| json!({ "path": f.path, "problem": f.problem })).collect();
    json!({
        "frames": verified.frames,
        "batches": verified.batches,
        "bytes": verified.bytes,
        "findings": findings,
    })
}
