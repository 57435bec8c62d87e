//! `klamm consume --group`: as a member of a consumer group.

use super::super::output::{Format, print};
use super::super::{CliError, signal};
use super::Consume;
use crate::client::consumer::{
    Consumer, ConsumerSettings, GroupSettings, Notice, OffsetReset, Topics,
};
use crate::client::{ClientError, Cluster};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Prints the messages of this member's partitions until a limit or a signal ends it, then commits and
/// leaves the group.
pub fn run(
    c: &Consume,
    group: &str,
    format: Format,
    timeout: Option<Duration>,
) -> Result<(), CliError> {
    if group.is_empty() {
        return Err(CliError::Usage("--group must not be empty".to_owned()));
    }
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    cluster.find_topic(&c.topic, false)?;
    let settings = ConsumerSettings {
        group: Some(GroupSettings::new(group)),
        offset_reset: if c.from_beginning { OffsetReset::Earliest } else { OffsetReset::Latest },
        auto_create_topics: false,
        fetch_max_wait_ms: super::WAIT_MS,
        ..ConsumerSettings::default()
    };
    signal::catch();
    let mut consumer = Consumer::new(cluster, settings);
    consumer.subscribe(Topics::Named(vec![c.topic.clone()]));
    let stdout = io::stdout();
    let each = stdout.is_terminal();
    let mut out = BufWriter::with_capacity(64 << 10, stdout);
    let max = c.max_messages.unwrap_or(u64::MAX);
    let mut printed = 0;
    let mut last = Instant::now();
    let mut told = Vec::new();
    let ended = loop {
        if printed >= max || signal::stopped().is_some() {
            break Ok(());
        }
        let before = printed;
        let mut written = Ok(());
        let wait = timeout.map_or(Duration::from_millis(500), |timeout| {
            timeout.saturating_sub(last.elapsed()).min(Duration::from_millis(500))
        });
        let polled = consumer.poll(wait, None, &mut |m| {
            printed += 1;
            written = print(&mut out, format, m.topic, m.partition, m.record);
            if each && written.is_ok() {
                written = out.flush();
            }
            let stop = written.is_err() || printed >= max || signal::stopped().is_some();
            if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Err(e) = written.and_then(|()| out.flush()) {
            break Err(e.into());
        }
        while let Some(notice) = consumer.notice() {
            tell(notice, &mut told);
        }
        if let Err(e) = polled {
            break Err(CliError::from(e));
        }
        if printed > before {
            last = Instant::now();
            told.clear();
        } else if timeout.is_some_and(|timeout| last.elapsed() >= timeout) {
            break match c.max_messages {
                Some(max) => Err(CliError::Failed(format!(
                    "{printed} of {max} messages came before the timeout"
                ))),
                None => Ok(()),
            };
        }
        if signal::reader_left(out.get_ref()) {
            break Err(CliError::ClosedPipe);
        }
    };
    for notice in consumer.close() {
        tell(notice, &mut told);
    }
    ended
}

/// Prints a problem once, and not with every attempt.
fn tell(notice: Notice, told: &mut Vec<ClientError>) {
    let e = match notice {
        Notice::Assigned(_) => return,
        Notice::Reset { topic, partition, offset } => {
            eprintln!(
                "klamm: partition {partition} of topic '{topic}' does not have the offset any more; \
                 going on at {offset}"
            );
            return;
        }
        Notice::Trouble(e) | Notice::CommitFailed(e) => e,
    };
    if !told.contains(&e) {
        eprintln!("klamm: {e}; trying again");
        told.push(e);
    }
}
