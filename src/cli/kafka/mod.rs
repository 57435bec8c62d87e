//! Kafka's command line tools by their own names: `kafka-topics`, `kafka-configs` and so on.
//!
//! The program looks at the name that it was started under, with or without `.sh`; `klamm
//! kafka-topics …` is the same. Flags, output and exit codes are those of Apache Kafka 4.3's tools,
//! so that scripts and tutorials work as written. What differs on purpose: an error is its message,
//! never a stack trace, and a broker that cannot be reached is an error after seconds, not minutes.
//!
//! They parse by joptsimple's rules ([`options`]), not by clap's: `src/cli/DECISIONS.md` says why.

mod address;
mod arguments;
mod broker_api_versions;
mod client_settings;
mod cluster;
mod configs;
mod console_consumer;
mod console_producer;
mod consumer_groups;
mod consumer_perf;
mod delete_records;
mod error;
mod feature_levels;
mod features;
mod formatter;
mod get_offsets;
mod group_command;
mod internal_records;
mod java_errors;
mod leader_election;
mod line_reader;
mod log_dirs;
mod metadata_quorum;
mod offset_deletion;
mod offset_reset;
mod options;
mod producer_perf;
mod properties;
mod reassign_partitions;
mod reassignment_file;
mod server_properties;
mod server_start;
mod server_stop;
mod share_groups;
mod streams_groups;
mod table;
mod time;
mod topic_filter;
mod topics;
mod transactions;
mod uuid;
mod zookeeper;

pub use error::ToolError;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

/// A tool by name.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// Its name without `.sh`.
    pub name: &'static str,
    /// Runs it with what follows its name.
    run: fn(&[String]) -> Result<(), ToolError>,
}

/// All tools, by name.
pub static TOOLS: &[Tool] = &[
    Tool { name: "kafka-broker-api-versions", run: broker_api_versions::run },
    Tool { name: "kafka-cluster", run: cluster::run },
    Tool { name: "kafka-configs", run: configs::run },
    Tool { name: "kafka-console-consumer", run: console_consumer::run },
    Tool { name: "kafka-console-producer", run: console_producer::run },
    Tool { name: "kafka-consumer-groups", run: consumer_groups::run },
    Tool { name: "kafka-consumer-perf-test", run: consumer_perf::run },
    Tool { name: "kafka-delete-records", run: delete_records::run },
    Tool { name: "kafka-features", run: features::run },
    Tool { name: "kafka-get-offsets", run: get_offsets::run },
    Tool { name: "kafka-leader-election", run: leader_election::run },
    Tool { name: "kafka-log-dirs", run: log_dirs::run },
    Tool { name: "kafka-metadata-quorum", run: metadata_quorum::run },
    Tool { name: "kafka-producer-perf-test", run: producer_perf::run },
    Tool { name: "kafka-reassign-partitions", run: reassign_partitions::run },
    Tool { name: "kafka-server-start", run: server_start::run },
    Tool { name: "kafka-server-stop", run: server_stop::run },
    Tool { name: "kafka-share-groups", run: share_groups::run },
    Tool { name: "kafka-streams-groups", run: streams_groups::run },
    Tool { name: "kafka-topic", run: topics::run },
    Tool { name: "kafka-topics", run: topics::run },
    Tool { name: "kafka-transactions", run: transactions::run },
    // ZooKeeper's own distribution has these names for them.
    Tool { name: "zkCli", run: zookeeper::shell },
    Tool { name: "zkServer", run: zookeeper::server },
    Tool { name: "zookeeper-server-start", run: zookeeper::start },
    Tool { name: "zookeeper-server-stop", run: zookeeper::stop },
    Tool { name: "zookeeper-shell", run: zookeeper::shell },
];

impl Tool {
    /// The tool that a program's path or name says, `bin/kafka-topics.sh` or `kafka-topics`.
    pub fn named(program: &OsStr) -> Option<&'static Self> {
        let name = Path::new(program).file_name()?.to_str()?;
        let name = name.strip_suffix(".sh").unwrap_or(name);
        TOOLS.iter().find(|tool| tool.name == name)
    }

    /// Runs it with `args`, those after its name, and says how it ended.
    pub fn run(&self, args: &[OsString]) -> ExitCode {
        let text: Option<Vec<String>> =
            args.iter().map(|arg| arg.to_str().map(str::to_owned)).collect();
        let result = match text {
            Some(args) => (self.run)(&args),
            None => Err(ToolError::Failed("arguments must be UTF-8".to_owned())),
        };
        ExitCode::from(result.err().map_or(0, |e| e.report()))
    }
}

/// The tool that the command line asks for, and its arguments: by the program's name, or as its
/// first argument.
pub fn asked_for(args: &[OsString]) -> Option<(&'static Tool, &[OsString])> {
    let (program, rest) = args.split_first()?;
    if let Some(tool) = Tool::named(program) {
        return Some((tool, rest));
    }
    let (first, rest) = rest.split_first()?;
    // `klamm ./kafka-topics` is not a name.
    let tool = Tool::named(first).filter(|_| !first.as_encoded_bytes().contains(&b'/'))?;
    Some((tool, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_unique() {
        assert!(TOOLS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
