//! What a run that produces does before it measures, and after.

use super::cost::check_pids;
use super::machine::open_files;
use super::options::{RunArgs, TopicArgs};
use super::report::Outcome;
use super::topics::Topics;
use crate::cli::{Broker, CliError, signal};

/// Open files beside those of the connections.
const OTHER_FILES: u64 = 64;

/// Makes sure that the machine grants what `connections` need, makes the topics, measures, and deletes
/// the topics that it made. That they cannot be deleted is a warning: the figures are there.
pub fn with_topics(
    broker: &Broker,
    topics: &TopicArgs,
    run: &RunArgs,
    connections: u64,
    measure: impl FnOnce(&mut Topics) -> Result<Outcome, CliError>,
) -> Result<Outcome, CliError> {
    check_pids(&run.machine.broker_pid)?;
    open_files(connections + OTHER_FILES)?;
    run.machine.cpus().pin(0)?;
    signal::catch();
    let mut topics = Topics::prepare(&broker.bootstrap, topics, true)?;
    let result = measure(&mut topics);
    // Brokers that are gone are not waited for any longer than the run has waited.
    if result.as_ref().is_ok_and(|it| !it.complete) {
        topics.cluster.give_up_after(run.timeout.as_millis() as i64);
    }
    let deleted = topics.delete();
    let mut outcome = result?;
    if let Err(e) = deleted {
        outcome.warnings.push(format!("the topic could not be deleted: {e}"));
    }
    Ok(outcome)
}
