//! `klamm mirror`: copies topics, their records and configurations, and the offsets of groups from one Kafka cluster to
//! another.
//!
//! Pure: `selection` (what is copied, under which names, and no loops), `start` (where a partition is copied from),
//! `batches` (batches of the source as batches for the target), `translation` (offsets of both), `checkpoint` (what is
//! stored with a position), `configs`, and the rules of `groups`. `topology` looks after topics, a `lane` copies its share
//! of the partitions, [`run`] watches over all of them.
//!
//! **Exactly once.** A lane writes records and the position behind them in one transaction: the position is an offset of
//! the group `klamm-mirror.NAME` at the target, for the copy's topic and partition, and is the next offset of the source.
//! It can be seen with `kafka-consumer-groups`. Whoever starts again reads it. A partition is always written with the
//! same transactional id, so two processes of one name cannot write the same partition: the later fences the earlier,
//! which finds a greater owner in the positions and ends with exit code 75. One that was fenced for another reason, such as
//! a transaction that took too long, finds itself, and begins anew.
//!
//! **A copy is known as such.** With each position the ids of both topics are stored, and those of the clusters that the
//! records came through. A topic that was created again is told from the one that was copied; what came from a cluster is
//! not brought back to it.

mod batches;
mod checkpoint;
mod configs;
mod groups;
mod lane;
mod progress;
mod selection;
mod shared;
mod source;
mod start;
mod topology;
mod translation;

use super::{CliError, signal};
use crate::client::transactions::NamedPartition;
use crate::client::{ClientError, Cluster, offsets};
use crate::types::exit;
use checkpoint::{Checkpoint, Owner};
use progress::Progress;
use selection::{Pattern, Selection};
use serde_json::json;
use shared::{Event, LANES, Plan, Settings, Shared};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use topology::{Topology, cluster_id};

const EXAMPLES: &str = "\
Runs until Ctrl-C, SIGTERM, or with --once until all is copied that was there at the start; started again it goes on
where it was. Each record is at the target once, in the order of its partition, when it is read with
isolation.level=read_committed: positions are committed in the transactions that write the records, as offsets of the
group klamm-mirror.NAME at the target.

Copied: keys, values, headers, timestamps, tombstones; partitions that are added; configurations that are set for the topic,
except those of the cluster it is in (min.insync.replicas, unclean.leader.election.enable, throttled replicas,
message.timestamp.type and its limits), and what the target refuses, each named in a line. Committed offsets of groups
are translated and committed where the group has no members at the target, never back, and never beyond what is copied.
Not copied: internal topics (__…), topics that came from the target, aborted transactions, ACLs.
Nothing is deleted at the target. A topic that is created again at the source is not copied before its copy is deleted.

Beside MirrorMaker 2: names stay as they are, as with its IdentityReplicationPolicy; --prefix 'us-west.' is its
DefaultReplicationPolicy. It needs no topics of its own (offset-syncs, checkpoints, heartbeats) and no Connect.

Exit codes: 0 ended as asked, 1 something was not copied or is refused, 2 wrong usage, 74 a cluster cannot be reached at the
start, 75 another mirror of the same name has taken over (do not restart it then: RestartPreventExitStatus=75).

Examples:
  klamm mirror --from kafka:9092 --to klamm:9092                       all topics and groups, for good
  klamm mirror --from kafka:9092 --to klamm:9092 --once                a migration: copy, and end
  klamm mirror --from kafka:9092 --to klamm:9092 --topics 'orders,pay.*' --exclude '.*-tmp' --prefix us-west.
  klamm mirror --from kafka:9092 --to klamm:9092 --json | jq .lag
  kafka-consumer-groups --bootstrap-server klamm:9092 --describe --group klamm-mirror.NAME      its positions";

/// Flags of `klamm mirror`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Mirror {
    /// Brokers of the cluster to copy from, separated by commas: Apache Kafka, Redpanda, Klamm
    #[arg(long, value_name = "HOST:PORT,…")]
    from: String,
    /// Brokers of the cluster to copy to
    #[arg(long, value_name = "HOST:PORT,…")]
    to: String,
    /// Topics to copy: regular expressions of whole names, separated by commas
    #[arg(long, value_name = "PATTERN", default_value = ".*")]
    topics: String,
    /// Topics not to copy though they match
    #[arg(long, value_name = "PATTERN")]
    exclude: Option<String>,
    /// Groups whose committed offsets are copied
    #[arg(long, value_name = "PATTERN", default_value = ".*", conflicts_with = "no_groups")]
    groups: String,
    /// Copy no offsets of groups
    #[arg(long)]
    no_groups: bool,
    /// What the names of copies begin with
    #[arg(long, default_value = "")]
    prefix: String,
    /// The mirror's name: its positions are kept under it, and of two with one name the later goes on [default: the id of
    /// the cluster it copies from]
    #[arg(long)]
    name: Option<String>,
    /// Replicas of topics that are created [default: as the target has it]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// Write also behind records that this mirror has not written
    #[arg(long)]
    append: bool,
    /// End when everything is copied that was there at the start
    #[arg(long)]
    once: bool,
    /// Seconds between two looks at topics, configurations and groups
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    interval: f64,
    /// Lines of JSON: progress each second, notices, the end
    #[arg(long)]
    json: bool,
}

/// Between two lines about progress that nobody watches.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Between two that somebody watches, or a script reads.
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at what the threads tell.
const TURN: Duration = Duration::from_millis(50);

/// Runs the mirror.
pub fn run(command: &Mirror) -> Result<(), CliError> {
    if !(0.1..=3600.0).contains(&command.interval) {
        return Err(CliError::Usage("--interval: from 0.1 to 3600 seconds".into()));
    }
    let exclude = command.exclude.as_deref().map(|it| Pattern::new("--exclude", it)).transpose()?;
    let selection = Selection {
        topics: Pattern::new("--topics", &command.topics)?,
        exclude,
        groups: (!command.no_groups)
            .then(|| Pattern::new("--groups", &command.groups))
            .transpose()?,
        prefix: command.prefix.clone(),
    };
    if !command.prefix.is_empty() {
        super::names::check_topic(&format!("{}x", command.prefix))?;
    }
    signal::catch();
    let mut source = reach("--from", &command.from)?;
    let mut target = reach("--to", &command.to)?;
    let name = mirror_name(command, &source, &target)?;
    let group = format!("{}{name}", checkpoint::GROUP_PREFIX);
    let found =
        crate::client::groups::fetch_offsets(&mut target, &group).map_err(|e| named("--to", &e))?;
    let settings = Settings {
        from: command.from.clone(),
        to: command.to.clone(),
        owner: next_owner(&found),
        name,
        selection,
        replication_factor: command.replication_factor,
        append: command.append,
        interval: Duration::from_secs_f64(command.interval),
    };
    for cluster in [&mut source, &mut target] {
        cluster.give_up_after(5_000);
    }
    let shared = Shared::default();
    let (events, told) = channel();
    std::thread::scope(|scope| {
        for number in 0..LANES {
            let (events, settings, shared) = (events.clone(), &settings, &shared);
            scope.spawn(move || lane::run(number, settings, shared, &events));
        }
        if !command.once && settings.selection.groups.is_some() {
            let (events, settings, shared) = (events.clone(), &settings, &shared);
            scope.spawn(move || groups::run(settings, shared, &events));
        }
        let topology = Topology::new(&settings, events.clone(), source, target);
        let mut watch = Watch {
            command,
            settings: &settings,
            shared: &shared,
            told,
            topology,
            screen: Screen { json: command.json, table: false },
            halted: BTreeMap::new(),
            ends: None,
        };
        watch.screen.table = std::io::stdout().is_terminal() && !command.json;
        let result = watch.run();
        shared.stop();
        result
    })
}

fn named(flag: &str, e: &ClientError) -> CliError {
    let text = e.to_string().replace("--bootstrap", flag);
    match CliError::from(e.clone()) {
        CliError::Usage(_) => CliError::Usage(format!("{flag} {text}")),
        CliError::Io(_) => CliError::Io(text),
        _ => CliError::Failed(text),
    }
}

fn reach(flag: &str, bootstrap: &str) -> Result<Cluster, CliError> {
    let connect = || {
        let mut cluster = Cluster::connect_as(bootstrap, "klamm-mirror")?;
        cluster.refresh(Some(&[]), false)?;
        Ok(cluster)
    };
    connect().map_err(|e| named(flag, &e))
}

fn mirror_name(command: &Mirror, source: &Cluster, target: &Cluster) -> Result<String, CliError> {
    let (from, to) = (cluster_id(source), cluster_id(target));
    if from == to && !from.is_empty() && command.prefix.is_empty() {
        return Err(CliError::Usage(format!(
            "--from and --to are the same cluster, {from}: copies would need other names, as --prefix gives them"
        )));
    }
    let name = command.name.clone().unwrap_or_else(|| checkpoint::cluster_text(&from));
    if name.is_empty() || name.len() > 200 || name.chars().any(char::is_whitespace) {
        return Err(CliError::Usage(
            "--name: give the mirror a name, of at most 200 characters and without blanks".into(),
        ));
    }
    Ok(name)
}

/// Who comes after all that have committed positions.
fn next_owner(found: &crate::client::groups::CommittedOffsets) -> Owner {
    let all = found.values().flat_map(BTreeMap::values);
    let owners = all.filter_map(|it| Some(Checkpoint::parse(&it.metadata)?.owner.generation));
    let token = uuid::Uuid::new_v4().simple().to_string()[..12].to_owned();
    Owner { generation: owners.max().unwrap_or(0) + 1, token }
}

fn print(line: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// Where lines go.
struct Screen {
    json: bool,
    /// The table is drawn over itself.
    table: bool,
}

impl Screen {
    fn notice(&self, line: &str) -> Result<(), CliError> {
        if self.json {
            return print(&json!({"event": "notice", "message": line}).to_string());
        }
        eprintln!("klamm: {line}");
        Ok(())
    }

    fn progress(&self, it: &Progress) -> Result<(), CliError> {
        if self.json {
            return print(&it.json().to_string());
        }
        if self.table {
            // Home, then clear to the end: the screen does not flicker.
            return print(&format!("\x1b[H\x1b[J{}", it.table()));
        }
        print(&it.line())
    }
}

/// The thread that watches over the others.
struct Watch<'a> {
    command: &'a Mirror,
    settings: &'a Settings,
    shared: &'a Shared,
    told: Receiver<Event>,
    topology: Topology<'a>,
    screen: Screen,
    /// Partitions that are not copied, and why.
    halted: BTreeMap<NamedPartition, String>,
    /// Where partitions ended when the mirror began: with `--once`.
    ends: Option<BTreeMap<NamedPartition, i64>>,
}

impl Watch<'_> {
    fn run(&mut self) -> Result<(), CliError> {
        let mut look_at = Instant::now();
        let mut shown = (Instant::now(), (0, 0));
        let every = if self.screen.json || self.screen.table { SHOW_EVERY } else { LINE_EVERY };
        let mut recent: BTreeMap<String, Instant> = BTreeMap::new();
        while signal::stopped().is_none() {
            let now = Instant::now();
            if now >= look_at {
                look_at = now + self.settings.interval;
                match self.look() {
                    Ok(()) => {}
                    Err(e) if lane::is_fatal(&e) => return Err(e.into()),
                    Err(e) => {
                        look_at = now + self.settings.interval.min(Duration::from_secs(1));
                        let line = format!("{e}; trying again");
                        recent.retain(|_, at| at.elapsed() < LINE_EVERY);
                        if recent.insert(line.clone(), now).is_none() {
                            self.screen.notice(&line)?;
                        }
                    }
                }
            }
            self.listen(&mut recent)?;
            let seconds = shown.0.elapsed();
            if seconds >= every {
                let counted = self.shared.counted();
                let positions = self.shared.positions();
                let plan = self.shared.plan();
                let progress =
                    Progress::new(&plan, &positions, counted, shown.1, seconds.as_secs_f64());
                self.screen.progress(&progress)?;
                shown = (Instant::now(), counted);
            }
            if self.is_done() {
                return self.finish();
            }
        }
        self.end("stopped")
    }

    /// Takes what the threads tell.
    fn listen(&mut self, recent: &mut BTreeMap<String, Instant>) -> Result<(), CliError> {
        let mut wait = TURN;
        while let Ok(event) = self.told.recv_timeout(wait) {
            wait = Duration::ZERO;
            match event {
                Event::Notice(line) => {
                    // Eight lanes say the same when a broker is gone.
                    recent.retain(|_, at| at.elapsed() < LINE_EVERY);
                    if recent.insert(line.clone(), Instant::now()).is_none() {
                        self.screen.notice(&line)?;
                    }
                }
                Event::Halted(partition, why) => {
                    let known = self.halted.values().any(|it| *it == why);
                    self.halted.insert(partition.clone(), why.clone());
                    if !known {
                        let (topic, number) = partition;
                        self.screen.notice(&format!("partition {number} of '{topic}': {why}"))?;
                    }
                }
                Event::Fenced => {
                    let name = &self.settings.name;
                    let line = format!("another mirror of the name '{name}' has taken over");
                    return Err(CliError::Exit(exit::FENCED, line));
                }
                Event::Fatal(line) => return Err(CliError::Failed(line)),
            }
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), ClientError> {
        let plan = self.topology.refresh()?;
        if self.command.once && self.ends.is_none() {
            self.ends = Some(self.ends_of(&plan)?);
        }
        self.shared.set_plan(plan);
        // Those that are copied after all.
        let copied: BTreeSet<NamedPartition> = self.shared.positions().into_keys().collect();
        let plan = self.shared.plan();
        self.halted.retain(|it, _| plan.contains_key(&it.0) && !copied.contains(it));
        Ok(())
    }

    /// Where each partition ends now, for readers of what is committed.
    fn ends_of(&mut self, plan: &Plan) -> Result<BTreeMap<NamedPartition, i64>, ClientError> {
        let mut ends = BTreeMap::new();
        for (topic, followed) in plan {
            let all: Vec<i32> = (0..followed.partitions).collect();
            let source = self.topology.source();
            let found = offsets::list_once(source, topic, &all, offsets::LATEST, 1)?;
            ends.extend(found.into_iter().map(|(n, end)| ((topic.clone(), n), end)));
        }
        Ok(ends)
    }

    /// Whether everything is copied that `--once` is about, or cannot be.
    fn is_done(&self) -> bool {
        let Some(ends) = &self.ends else { return false };
        let positions = self.shared.positions();
        ends.iter().all(|(partition, end)| {
            self.halted.contains_key(partition)
                || positions.get(partition).is_some_and(|(position, _)| position >= end)
        })
    }

    /// The end of `--once`: groups follow when all of their records are there.
    fn finish(&mut self) -> Result<(), CliError> {
        let (from, to) = (&self.settings.from, &self.settings.to);
        let mut source = reach("--from", from)?;
        let mut target = reach("--to", to)?;
        groups::bring_over(self.settings, self.shared, &mut source, &mut target)?;
        self.end("done")?;
        let mut troubles: BTreeSet<&str> = self.halted.values().map(String::as_str).collect();
        troubles.extend(self.topology.troubles());
        match troubles.first() {
            None => Ok(()),
            Some(first) => {
                let others = match troubles.len() {
                    1 => String::new(),
                    n => format!("; and {} more", n - 1),
                };
                Err(CliError::Failed(format!("not everything is copied: {first}{others}")))
            }
        }
    }

    fn end(&self, how: &str) -> Result<(), CliError> {
        let (records, bytes) = self.shared.counted();
        if self.screen.json {
            let line = json!({"event": how, "records": records, "bytes": bytes});
            return print(&line.to_string());
        }
        let records = super::names::count(records, "record");
        print(&format!("{how}: {records} copied, {:.1} MB", bytes as f64 / 1e6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::groups::{Committed, CommittedOffsets};

    #[test]
    fn an_owner_comes_after_all_others() {
        assert_eq!(next_owner(&CommittedOffsets::new()).generation, 1);
        let checkpoint = Checkpoint {
            source: String::new(),
            target: String::new(),
            owner: Owner { generation: 7, token: "z".to_owned() },
            path: vec![String::new()],
            translation: translation::Translation::begin(0, 0),
        };
        let it = |metadata: String| Committed { offset: 0, leader_epoch: -1, metadata };
        let all = BTreeMap::from([(0, it(checkpoint.encode())), (1, it("else".to_owned()))]);
        let found = CommittedOffsets::from([("t".to_owned(), all)]);
        let owner = next_owner(&found);
        assert!(owner.generation == 8 && owner > checkpoint.owner);
        assert_ne!(owner, next_owner(&found));
    }
}
