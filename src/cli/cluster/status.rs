//! `klamm cluster status`.

use crate::cli::names::{count, joined};
use crate::cli::{Broker, CliError};
use crate::client::admin::{ClusterDescription, Quorum, QuorumReplica};
use crate::client::{ClientError, Cluster, clock};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Flags of `klamm cluster status`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Exit code 0: every broker is there, every partition has its leader and all \
    its replicas in sync,\nand the quorum has a leader and everybody follows it. 1: not so.\n\n\
    Examples:\n  klamm cluster status\n  klamm cluster status --json | jq .problems"
)]
pub struct Status {
    /// As one JSON object
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    broker: Broker,
}

/// A member of the quorum that has not had everything for so long lags.
const LAGS_MS: i64 = 5_000;

/// What a broker has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    /// Partitions that it leads.
    leads: usize,
    /// Partitions that it leads when all is well.
    preferred: usize,
    /// Partitions that it holds.
    holds: usize,
    /// Those of them that it has not all of.
    out_of_sync: usize,
}

/// The cluster at one moment.
#[derive(Debug, Default)]
struct Report {
    cluster: ClusterDescription,
    quorum: Quorum,
    now_ms: i64,
    topics: usize,
    partitions: usize,
    shares: BTreeMap<i32, Share>,
    under_replicated: usize,
    offline: usize,
    reassigning: usize,
}

/// Runs the command.
pub fn run(c: &Status) -> Result<(), CliError> {
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    let report = Report::read(&mut cluster)?;
    let problems = report.problems();
    let mut out = io::stdout().lock();
    if c.json {
        writeln!(out, "{}", report.json(&problems))?;
    } else {
        report.show(&mut out)?;
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(CliError::Failed(format!("not well: {}", problems.join("; "))))
}

impl Report {
    fn read(cluster: &mut Cluster) -> Result<Self, ClientError> {
        let description = cluster.describe_cluster(true)?;
        let quorum = cluster.describe_quorum()?;
        let under_way = cluster.reassignments(None)?;
        cluster.refresh(None, false)?;
        let mut report = Self {
            cluster: description,
            quorum,
            now_ms: clock::wall_ms(),
            topics: cluster.metadata().topics.len(),
            reassigning: under_way.len(),
            ..Self::default()
        };
        for (name, topic) in &cluster.metadata().topics {
            for (number, it) in &topic.partitions {
                let moving = under_way.get(&(name.clone(), *number));
                let adding = moving.map_or(&[][..], |it| &it.adding);
                report.count(it.leader, &it.replicas, &it.isr, adding);
            }
        }
        Ok(report)
    }

    /// Counts a partition. A replica that is being added need not be in sync yet.
    fn count(&mut self, leader: i32, replicas: &[i32], isr: &[i32], adding: &[i32]) {
        self.partitions += 1;
        if leader >= 0 {
            self.shares.entry(leader).or_default().leads += 1;
        } else {
            self.offline += 1;
        }
        if let Some(first) = replicas.first() {
            self.shares.entry(*first).or_default().preferred += 1;
        }
        let mut lacking = false;
        for id in replicas {
            let share = self.shares.entry(*id).or_default();
            share.holds += 1;
            if !isr.contains(id) {
                share.out_of_sync += 1;
                lacking |= !adding.contains(id);
            }
        }
        self.under_replicated += usize::from(lacking);
    }

    fn share(&self, id: i32) -> Share {
        self.shares.get(&id).copied().unwrap_or_default()
    }

    /// Who follows the quorum, with a vote and without.
    fn members(&self) -> impl Iterator<Item = (&QuorumReplica, &'static str)> {
        let voters = self.quorum.voters.iter().map(|it| (it, "voter"));
        voters.chain(self.quorum.observers.iter().map(|it| (it, "observer")))
    }

    fn lags(&self, it: &QuorumReplica) -> bool {
        it.id != self.quorum.leader && self.now_ms - it.last_caught_up_ms > LAGS_MS
    }

    fn behind(&self, it: &QuorumReplica) -> i64 {
        let leader = self.quorum.leading().map_or(it.log_end_offset, |it| it.log_end_offset);
        (leader - it.log_end_offset).max(0)
    }

    /// What is not as it should be, each in a few words.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let name = |ids: Vec<i32>| {
            let noun = if ids.len() == 1 { "broker" } else { "brokers" };
            format!("{noun} {}", joined(&ids))
        };
        let fenced = self.cluster.brokers.iter().filter(|it| it.fenced);
        let fenced: Vec<i32> = fenced.map(|it| it.id).collect();
        if !fenced.is_empty() {
            problems.push(format!("{} fenced", name(fenced)));
        }
        if self.offline > 0 {
            problems.push(format!("{} without a leader", count(self.offline, "partition")));
        }
        if self.under_replicated > 0 {
            let partitions = count(self.under_replicated, "partition");
            problems.push(format!("{partitions} under-replicated"));
        }
        if self.quorum.leading().is_none() {
            problems.push("the quorum has no leader".to_owned());
        }
        let lagging: Vec<i32> =
            self.quorum.voters.iter().filter(|it| self.lags(it)).map(|it| it.id).collect();
        if !lagging.is_empty() {
            problems.push(format!("{} behind the quorum", name(lagging)));
        }
        problems
    }

    fn show(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "cluster {}   {}   {}   {}",
            self.cluster.id,
            count(self.cluster.brokers.len(), "broker"),
            count(self.topics, "topic"),
            count(self.partitions, "partition"),
        )?;
        writeln!(
            out,
            "under-replicated {}   offline {}   reassigning {}\n",
            self.under_replicated, self.offline, self.reassigning
        )?;
        let address = |host: &str, port: i32| format!("{host}:{port}");
        let wide = self.cluster.brokers.iter().map(|it| address(&it.host, it.port).len());
        let wide = wide.max().unwrap_or(0).max(7);
        writeln!(
            out,
            "{:>6}  {:<wide$}  {:<10} {:<7} {:>7} {:>10} {:>7} {:>12}",
            "broker", "address", "rack", "state", "leads", "preferred", "holds", "out of sync"
        )?;
        for it in &self.cluster.brokers {
            let share = self.share(it.id);
            writeln!(
                out,
                "{:>6}  {:<wide$}  {:<10} {:<7} {:>7} {:>10} {:>7} {:>12}",
                it.id,
                address(&it.host, it.port),
                it.rack.as_deref().unwrap_or("-"),
                if it.fenced { "fenced" } else { "up" },
                share.leads,
                share.preferred,
                share.holds,
                share.out_of_sync,
            )?;
        }
        writeln!(
            out,
            "\nquorum: leader {}   epoch {}   committed {}",
            self.quorum.leader, self.quorum.leader_epoch, self.quorum.high_watermark
        )?;
        writeln!(out, "{:>6}  {:<9} {:>10} {:>16}", "node", "role", "behind", "caught up ms ago")?;
        for (it, role) in self.members() {
            let role = if it.id == self.quorum.leader { "leader" } else { role };
            let ago = match it.last_caught_up_ms {
                ..0 => "-".to_owned(),
                ms => (self.now_ms - ms).max(0).to_string(),
            };
            writeln!(out, "{:>6}  {role:<9} {:>10} {ago:>16}", it.id, self.behind(it))?;
        }
        Ok(())
    }

    fn json(&self, problems: &[String]) -> Value {
        let brokers: Vec<Value> = self
            .cluster
            .brokers
            .iter()
            .map(|it| {
                let share = self.share(it.id);
                json!({
                    "id": it.id, "host": it.host, "port": it.port, "rack": it.rack,
                    "fenced": it.fenced, "leads": share.leads, "preferred": share.preferred,
                    "holds": share.holds, "out_of_sync": share.out_of_sync,
                })
            })
            .collect();
        let members: Vec<Value> = self
            .members()
            .map(|(it, role)| {
                json!({
                    "id": it.id, "role": role, "directory_id": it.directory.to_string(),
                    "behind": self.behind(it),
                    "caught_up_ms_ago": (it.last_caught_up_ms >= 0)
                        .then(|| (self.now_ms - it.last_caught_up_ms).max(0)),
                })
            })
            .collect();
        json!({
            "cluster_id": self.cluster.id,
            "healthy": problems.is_empty(),
            "problems": problems,
            "topics": self.topics,
            "partitions": self.partitions,
            "under_replicated": self.under_replicated,
            "offline": self.offline,
            "reassigning": self.reassigning,
            "brokers": brokers,
            "quorum": {
                "leader": self.quorum.leader,
                "epoch": self.quorum.leader_epoch,
                "committed": self.quorum.high_watermark,
                "members": members,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::admin::BrokerDescription;

    fn report() -> Report {
        let broker = |id| BrokerDescription { id, host: "h".into(), port: 9, ..Default::default() };
        let voter = |id| QuorumReplica {
            id,
            log_end_offset: 10,
            last_caught_up_ms: 99_000,
            ..QuorumReplica::default()
        };
        let voters = vec![voter(1), voter(2)];
        Report {
            cluster: ClusterDescription {
                brokers: vec![broker(1), broker(2)],
                ..ClusterDescription::default()
            },
            quorum: Quorum { leader: 1, voters, ..Quorum::default() },
            now_ms: 100_000,
            ..Report::default()
        }
    }

    #[test]
    fn partitions_are_counted_where_they_are() {
        let mut it = report();
        it.count(1, &[1, 2], &[1, 2], &[]);
        it.count(2, &[1, 2], &[2], &[]);
        it.count(-1, &[2, 1], &[], &[]);
        assert_eq!(it.share(1), Share { leads: 1, preferred: 2, holds: 3, out_of_sync: 2 });
        assert_eq!(it.share(2), Share { leads: 1, preferred: 1, holds: 3, out_of_sync: 1 });
        assert_eq!((it.partitions, it.under_replicated, it.offline), (3, 2, 1));
        assert_eq!(
            it.problems(),
            ["1 partition without a leader", "2 partitions under-replicated"]
        );
    }

    #[test]
    fn what_moves_is_well() {
        let mut it = report();
        it.count(1, &[3, 1], &[1], &[3]);
        assert_eq!(it.problems(), [""; 0]);
        it.count(1, &[3, 1, 2], &[1], &[3]);
        assert_eq!(it.under_replicated, 1);
    }

    #[test]
    fn brokers_and_members_that_lag_are_named() {
        let mut it = report();
        it.cluster.brokers[1].fenced = true;
        it.quorum.voters[1].last_caught_up_ms = 90_000;
        assert_eq!(it.problems(), ["broker 2 fenced", "broker 2 behind the quorum"]);
        it.quorum.leader = -1;
        assert!(it.problems().contains(&"the quorum has no leader".to_owned()));
        let json = it.json(&it.problems());
        assert_eq!(
            (&json["healthy"], &json["brokers"][1]["fenced"]),
            (&json!(false), &json!(true))
        );
        let mut out = Vec::new();
        it.show(&mut out).expect("memory");
        assert!(String::from_utf8(out).expect("text").contains("fenced"));
    }
}
