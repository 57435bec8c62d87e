//! `klamm cluster join` and `klamm cluster remove`: who belongs to the quorum, and to the cluster.

use super::plan::Holdings;
use crate::cli::names::count;
use crate::cli::{Broker, CliError};
use crate::client::admin::{Quorum, QuorumReplica};
use crate::client::{Cluster, Retry};
use crate::types::{ErrorCode, TopicId};
use serde_json::json;
use std::io::{self, Write};
use std::time::Duration;

/// Flags of `klamm cluster join`.
#[derive(clap::Args, Debug)]
#[command(after_help = "A broker that was started with --join follows the quorum without a vote. \
    It gets one when it has\ncaught up. Have an odd number of votes: three stand the loss of one, \
    five that of two.\n\nExamples:\n  klamm serve --node-id 4 --join broker1:9292\n  klamm cluster \
    join 4")]
pub struct Join {
    /// Node id of the broker
    node: i32,
    /// Seconds that it may take to catch up
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u32,
    /// As one JSON object
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    broker: Broker,
}

/// Flags of `klamm cluster remove`.
#[derive(clap::Args, Debug)]
#[command(after_help = "In this order: klamm cluster drain, then klamm cluster remove while it \
    runs, which takes its vote;\nthen stop it, and klamm cluster remove again, which has the \
    cluster forget it.\n\nExamples:\n  klamm cluster drain 2 && klamm cluster remove 2")]
pub struct Remove {
    /// Node id of the broker
    node: i32,
    /// As one JSON object
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    broker: Broker,
}

/// What is known of a node in the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Voter(TopicId),
    Observer(TopicId),
    Stranger,
}

fn role(quorum: &Quorum, node: i32) -> Role {
    let find = |all: &[QuorumReplica]| all.iter().find(|it| it.id == node).map(|it| it.directory);
    match (find(&quorum.voters), find(&quorum.observers)) {
        (Some(directory), _) => Role::Voter(directory),
        (None, Some(directory)) => Role::Observer(directory),
        (None, None) => Role::Stranger,
    }
}

/// Gives a vote.
pub fn join(c: &Join) -> Result<(), CliError> {
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    let node = c.node;
    let mut retry = Retry::new(cluster.now_ms(), i64::from(c.timeout) * 1000);
    let added = loop {
        let quorum = cluster.describe_quorum()?;
        let directory = match role(&quorum, node) {
            Role::Voter(_) => break false,
            Role::Observer(directory) => directory,
            Role::Stranger => {
                return Err(CliError::Failed(format!(
                    "node {node} does not follow the quorum; start it with: klamm serve --node-id \
                     {node} --join HOST:PORT"
                )));
            }
        };
        let endpoints = quorum.endpoints.get(&node).cloned().unwrap_or_default();
        match cluster.add_voter(node, directory, &endpoints) {
            Ok(()) => break true,
            Err(e) if e.code() == Some(ErrorCode::DUPLICATE_VOTER) => break false,
            // It has not caught up, or another change is under way.
            Err(e) if e.code() == Some(ErrorCode::REQUEST_TIMED_OUT) => {
                let Some(ms) = retry.after_failure(cluster.now_ms()) else {
                    return Err(e.into());
                };
                std::thread::sleep(Duration::from_millis(ms.unsigned_abs()));
            }
            Err(e) => return Err(e.into()),
        }
    };
    let mut out = io::stdout().lock();
    if c.json {
        writeln!(out, "{}", json!({"node": node, "voter": true, "changed": added}))?;
    } else if added {
        writeln!(out, "node {node} votes now")?;
    } else {
        writeln!(out, "node {node} votes already")?;
    }
    Ok(())
}

/// Takes a vote, and has the cluster forget a broker that has stopped.
pub fn remove(c: &Remove) -> Result<(), CliError> {
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    let node = c.node;
    let holdings = Holdings::read(&mut cluster)?;
    let quorum = cluster.describe_quorum()?;
    let broker = holdings.cluster.brokers.iter().find(|it| it.id == node);
    let voter = match role(&quorum, node) {
        Role::Voter(directory) => Some(directory),
        _ => None,
    };
    if broker.is_none() && voter.is_none() {
        return Err(CliError::Failed(format!("node {node} does not belong to the cluster")));
    }
    let held = holdings.current.values().filter(|it| it.contains(&node)).count();
    if held > 0 {
        return Err(CliError::Failed(format!(
            "broker {node} holds {}; move them first: klamm cluster drain {node}",
            count(held, "partition")
        )));
    }
    if let Some(directory) = voter {
        if quorum.voters.len() == 1 {
            return Err(CliError::Failed(format!(
                "node {node} has the only vote; give another node one first: klamm cluster join"
            )));
        }
        if quorum.leader == node {
            return Err(CliError::Failed(format!(
                "node {node} leads the quorum; stop it, so that another one does, then repeat this"
            )));
        }
        cluster.remove_voter(node, directory)?;
    }
    let running = broker.is_some_and(|it| !it.fenced);
    let forgotten = broker.is_some() && !running;
    if forgotten {
        match cluster.unregister_broker(node) {
            Err(e) if e.code() == Some(ErrorCode::BROKER_ID_NOT_REGISTERED) => {}
            other => other?,
        }
    }
    say(c, voter.is_some(), running)
}

fn say(c: &Remove, vote_taken: bool, running: bool) -> Result<(), CliError> {
    let node = c.node;
    let mut out = io::stdout().lock();
    if c.json {
        let object = json!({"node": node, "vote_taken": vote_taken, "removed": !running});
        writeln!(out, "{object}")?;
    } else {
        if vote_taken {
            writeln!(out, "node {node} has no vote any more")?;
        }
        if !running {
            writeln!(out, "broker {node} does not belong to the cluster any more")?;
        }
    }
    if running {
        return Err(CliError::Failed(format!(
            "broker {node} still runs, and would come back: stop it, then repeat this"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_told_apart() {
        let replica = |id| QuorumReplica { id, ..QuorumReplica::default() };
        let quorum = Quorum {
            voters: vec![replica(1), replica(2)],
            observers: vec![replica(3)],
            ..Quorum::default()
        };
        assert_eq!(role(&quorum, 2), Role::Voter(TopicId::ZERO));
        assert_eq!(role(&quorum, 3), Role::Observer(TopicId::ZERO));
        assert_eq!(role(&quorum, 4), Role::Stranger);
    }
}
