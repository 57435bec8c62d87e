//! `klamm cluster drain` and `klamm cluster reassign`: plans that the controller carries out, some partitions at a
//! time.

use super::plan::{Holdings, as_json, show};
use crate::cli::balance::{self, Assignment, Partition};
use crate::cli::names::count;
use crate::cli::{Broker, CliError, signal, throttle};
use crate::client::Cluster;
use crate::client::admin::{ElectionType, NewReassignment};
use crate::config;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// How moves are carried out.
#[derive(clap::Args, Debug)]
struct Pace {
    /// Bytes a second that each broker may send, and receive, for what is moved [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = config::size)]
    throttle: Option<u64>,
    /// Partitions that are moved at a time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    at_a_time: u32,
    /// Only show what would be moved
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// What was moved as one JSON object
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    broker: Broker,
}

/// Flags of `klamm cluster drain`.
#[derive(clap::Args, Debug)]
#[command(after_help = "The replicas go to the other brokers, over racks and evenly; leaders go \
    with them. Ctrl-C stops it\nafter what is under way; the same command goes on from there.\n\n\
    Examples:\n  klamm cluster drain 2 --dry-run\n  klamm cluster drain 2 --throttle 50MiB")]
pub struct Drain {
    /// Node id of the broker
    node: i32,
    #[command(flatten)]
    pace: Pace,
}

/// Flags of `klamm cluster reassign`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Moves as few replicas as possible: racks first, then even numbers of \
    replicas, then of leaders.\nThe plan is shown first, and nothing is moved without --yes, or an \
    answer at the terminal.\nkafka-reassign-partitions takes plans of your own.\n\n\
    Examples:\n  klamm cluster reassign --dry-run\n  klamm cluster reassign --topic orders --yes \
    --throttle 50MiB")]
pub struct Reassign {
    /// Only this topic; can be repeated [default: all]
    #[arg(short, long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    pace: Pace,
}

/// Moves all away from a broker.
pub fn drain(c: &Drain) -> Result<(), CliError> {
    let mut cluster = Cluster::connect(&c.pace.broker.bootstrap)?;
    let holdings = Holdings::read(&mut cluster)?;
    let node = c.node;
    if !holdings.cluster.brokers.iter().any(|it| it.id == node) {
        return Err(CliError::Failed(format!(
            "broker {node} is not registered; see them with: klamm cluster status"
        )));
    }
    let rest: Vec<_> = holdings.nodes().into_iter().filter(|it| it.id != node).collect();
    let plan = balance::drain(&rest, &holdings.target, &BTreeSet::from([node]))
        .map_err(|e| CliError::Failed(e.to_string()))?;
    // What an earlier call began goes on.
    let leaving = holdings
        .under_way
        .iter()
        .filter(|(at, it)| it.removing.contains(&node) && !plan.contains_key(*at));
    let leaving: BTreeSet<Partition> = leaving.map(|(at, _)| at.clone()).collect();
    let done = format!("broker {node} holds nothing any more");
    carry_out(&mut cluster, &c.pace, &holdings, &plan, leaving, &done)
}

/// Evens out what brokers have.
pub fn reassign(c: &Reassign) -> Result<(), CliError> {
    let mut cluster = Cluster::connect(&c.pace.broker.bootstrap)?;
    let holdings = Holdings::read(&mut cluster)?;
    let mut considered = holdings.target.clone();
    for name in &c.topic {
        if !considered.keys().any(|at| at.0 == *name) {
            return Err(CliError::Failed(format!("topic '{name}' does not exist")));
        }
    }
    if !c.topic.is_empty() {
        considered.retain(|at, _| c.topic.contains(&at.0));
    }
    let plan = balance::balance(&holdings.nodes(), &considered);
    if !c.pace.dry_run && !c.yes && !plan.is_empty() {
        if !io::stdin().is_terminal() {
            return Err(CliError::Usage("say --yes to move partitions, or --dry-run".to_owned()));
        }
        let mut err = io::stderr().lock();
        show(&mut err, &holdings.target, &plan)?;
        write!(err, "move them? [y/N] ")?;
        err.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(CliError::Failed("nothing was moved".to_owned()));
        }
    }
    let done = "partitions are even";
    carry_out(&mut cluster, &c.pace, &holdings, &plan, BTreeSet::new(), done)
}

/// How often the controller is asked how far it is.
const POLL: Duration = Duration::from_millis(500);

/// Shows the plan where it is not carried out, and otherwise has it carried out.
fn carry_out(
    cluster: &mut Cluster,
    pace: &Pace,
    holdings: &Holdings,
    plan: &Assignment,
    under_way: BTreeSet<Partition>,
    done: &str,
) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    if pace.dry_run {
        if pace.json {
            writeln!(out, "{}", as_json(&holdings.target, plan, false))?;
        } else {
            show(&mut out, &holdings.target, plan)?;
        }
        return Ok(());
    }
    signal::catch();
    let moved = Mover { cluster, pace, bar: Bar::new(plan.len() + under_way.len()) }
        .run(holdings, plan, under_way)?;
    if pace.json {
        writeln!(out, "{}", as_json(&holdings.target, plan, moved.is_ok()))?;
    } else if moved.is_ok() {
        writeln!(out, "{done}: {} moved", count(plan.len(), "partition"))?;
    }
    moved
}

/// Carries a plan out.
struct Mover<'a> {
    cluster: &'a mut Cluster,
    pace: &'a Pace,
    bar: Bar,
}

impl Mover<'_> {
    /// The inner result is what came of the plan: it may end early, at a signal or a refusal.
    fn run(
        &mut self,
        holdings: &Holdings,
        plan: &Assignment,
        mut under_way: BTreeSet<Partition>,
    ) -> Result<Result<(), CliError>, CliError> {
        if let Some(rate) = self.pace.throttle {
            let moves = throttle::moves(&holdings.under_way, plan, &holdings.current);
            let rate = i64::try_from(rate).unwrap_or(i64::MAX);
            throttle::set(self.cluster, &moves, rate)?;
        }
        let mut left = plan.iter();
        let mut result = Ok(());
        loop {
            if let Some(signal) = signal::stopped() {
                result = Err(stopped(signal));
                break;
            }
            let room = (self.pace.at_a_time as usize).saturating_sub(under_way.len());
            let next: Vec<_> = left.by_ref().take(room).collect();
            if !next.is_empty() {
                if let Err(e) = self.begin(&next) {
                    result = Err(e);
                    break;
                }
                under_way.extend(next.into_iter().map(|it| it.0.clone()));
            }
            if under_way.is_empty() {
                break;
            }
            let asked: Vec<Partition> = under_way.iter().cloned().collect();
            let ongoing = self.cluster.reassignments(Some(&asked))?;
            under_way.retain(|at| ongoing.contains_key(at));
            self.bar.show(left.len(), under_way.len());
            if !under_way.is_empty() {
                std::thread::sleep(POLL);
            }
        }
        self.bar.end();
        if result.is_ok() {
            self.prefer(plan)?;
            self.unthrottle(holdings, plan)?;
        }
        Ok(result)
    }

    fn begin(&mut self, next: &[(&Partition, &Vec<i32>)]) -> Result<(), CliError> {
        let wanted: Vec<NewReassignment> =
            next.iter().map(|(at, ids)| ((*at).clone(), Some((*ids).clone()))).collect();
        let results = self.cluster.reassign(&wanted, true)?;
        results.into_values().collect::<Result<(), _>>().map_err(CliError::from)
    }

    /// The preferred leaders of what was moved lead, where they do not yet.
    fn prefer(&mut self, plan: &Assignment) -> Result<(), CliError> {
        let all: Vec<Partition> = plan.keys().cloned().collect();
        for some in all.chunks(self.pace.at_a_time as usize) {
            // One that cannot lead now does so later by itself.
            self.cluster.elect_leaders(ElectionType::Preferred, Some(some))?;
        }
        Ok(())
    }

    fn unthrottle(&mut self, holdings: &Holdings, plan: &Assignment) -> Result<(), CliError> {
        if self.pace.throttle.is_none() || !self.cluster.reassignments(None)?.is_empty() {
            return Ok(());
        }
        let moves: BTreeMap<Partition, throttle::Move> =
            throttle::moves(&holdings.under_way, plan, &holdings.current);
        let brokers = moves.values().flat_map(|it| it.sources.iter().chain(&it.destinations));
        throttle::clear_brokers(self.cluster, &brokers.copied().collect())?;
        let topics = moves.keys().map(|at| at.0.as_str()).collect();
        Ok(throttle::clear_topics(self.cluster, &topics)?)
    }
}

fn stopped(signal: i32) -> CliError {
    let code = i32::from(signal::exit_code(signal));
    let why = "stopped; what is under way goes on, and the same command does the rest";
    CliError::Exit(code, why.to_owned())
}

/// A bar on the standard error output, where that is a terminal.
struct Bar {
    total: usize,
    shown: bool,
}

impl Bar {
    fn new(total: usize) -> Self {
        Self { total, shown: io::stderr().is_terminal() }
    }

    fn show(&self, left: usize, under_way: usize) {
        if self.shown {
            // Nobody is told if the terminal is gone.
            let _ = write!(io::stderr(), "\r\x1b[K{}", self.text(left, under_way));
        }
    }

    fn text(&self, left: usize, under_way: usize) -> String {
        const WIDTH: usize = 30;
        let done = self.total.saturating_sub(left + under_way);
        let full = WIDTH * done / self.total.max(1);
        let bar = format!("{}{}", "#".repeat(full), ".".repeat(WIDTH - full));
        format!("[{bar}] {done} of {}, {under_way} under way", count(self.total, "partition"))
    }

    fn end(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills() {
        let bar = Bar { total: 4, shown: false };
        assert!(bar.text(4, 0).contains("[..............................] 0 of 4 partitions"));
        assert!(
            bar.text(0, 2)
                .contains("[###############...............] 2 of 4 partitions, 2 under way")
        );
        assert!(bar.text(0, 0).contains("[##############################] 4 of 4"));
        assert!(Bar { total: 0, shown: false }.text(0, 0).contains("0 of 0"));
    }
}
