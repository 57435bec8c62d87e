//! `kafka-leader-election`.

use super::ToolError;
use super::address::{addresses, connect, property_file};
use super::error::java_message;
use super::options::{self, Options, Parsed, flag, integer, text};
use crate::client::admin::ElectionType;
use crate::client::{ClientError, Cluster};
use crate::types::ErrorCode;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;

const ABOUT: &str = "This tool attempts to elect a new leader for a set of topic partitions. The \
                     type of elections supported are preferred replicas and unclean replicas.";

static OPTIONS: Options = Options {
    all: &[
        text("admin.config", "config file", "(DEPRECATED) As --command-config."),
        flag("all-topic-partitions", "All partitions that may have an election of this type."),
        options::BOOTSTRAP,
        options::COMMAND_CONFIG,
        text(
            "election-type",
            "election type",
            "REQUIRED: \"preferred\": the first replica leads again, where another one does; \
             \"unclean\": somebody leads where nobody does, even if records are lost.",
        ),
        options::HELP,
        integer("partition", "partition id", "The partition of --topic."),
        text(
            "path-to-json-file",
            "Path to JSON file",
            "JSON file with the partitions. Its format:\n{\"partitions\":\n  [{\"topic\": \"foo\", \
             \"partition\": 1},\n   {\"topic\": \"foobar\", \"partition\": 2}]\n}",
        ),
        text("topic", "topic name", "The topic; with --partition."),
        options::VERSION,
        options::ZOOKEEPER,
    ],
};

/// Which partitions: one of these.
const WHICH: [&str; 3] = ["topic", "all-topic-partitions", "path-to-json-file"];

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let o = OPTIONS.parse_or_help(args, ABOUT)?;
    check(&o)?;
    let election = election_type(o.value("election-type")?.unwrap_or_default())?;
    let partitions = partitions(&o)?;
    let settings = if o.has("admin.config") {
        writeln!(
            std::io::stdout(),
            "Option --admin.config has been deprecated and will be removed in a future version. \
             Use --command-config instead."
        )?;
        "admin.config"
    } else {
        "command-config"
    };
    let properties = property_file(&o, settings)?;
    let brokers = addresses(&o, &["bootstrap-server"], &properties)?.unwrap_or_default();
    elect(&mut connect(&brokers)?, election, partitions.as_deref())
}

fn check(o: &Parsed) -> Result<(), ToolError> {
    let mut missing = Vec::new();
    if !o.has("bootstrap-server") && !o.has("zookeeper") {
        missing.push("bootstrap-server");
    }
    if !o.has("election-type") {
        missing.push("election-type");
    }
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(ToolError::Failed(format!("Missing required option(s): {missing}")));
    }
    o.forbid("admin.config", &["command-config"])?;
    if WHICH.iter().filter(|it| o.has(it)).count() != 1 {
        return Err(ToolError::Failed(format!(
            "One and only one of the following options is required: {}",
            WHICH.join(", ")
        )));
    }
    match (o.has("topic"), o.has("partition")) {
        (true, false) => Err(ToolError::failed("Missing required option(s): partition")),
        (false, true) => {
            Err(ToolError::failed("Option partition is only allowed if topic is used"))
        }
        _ => Ok(()),
    }
}

fn election_type(text: &str) -> Result<ElectionType, ToolError> {
    match &*text.to_ascii_uppercase() {
        "PREFERRED" => Ok(ElectionType::Preferred),
        "UNCLEAN" => Ok(ElectionType::Unclean),
        _ => Err(ToolError::Failed(format!(
            "Cannot parse argument '{text}' of option election-type"
        ))),
    }
}

/// The partitions that are named; `None` for all.
fn partitions(o: &Parsed) -> Result<Option<Vec<(String, i32)>>, ToolError> {
    if let Some(path) = o.value("path-to-json-file")? {
        let text = std::fs::read_to_string(path)
            .map_err(|e| ToolError::Failed(format!("Unable to read file {path}: {e}")))?;
        return read(&text).map(Some);
    }
    let Some(topic) = o.value("topic")? else { return Ok(None) };
    Ok(o.number("partition")?.map(|partition| vec![(topic.to_owned(), partition)]))
}

/// Topic and partition of each entry of the file.
fn read(text: &str) -> Result<Vec<(String, i32)>, ToolError> {
    let failed = |text: &str| ToolError::failed(text);
    let file: Value =
        serde_json::from_str(text).map_err(|_| failed("Replica election data is empty"))?;
    let partitions = file
        .get("partitions")
        .ok_or_else(|| failed("Replica election data is missing \"partitions\" field"))?;
    let mut found = Vec::new();
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for it in partitions.as_array().into_iter().flatten() {
        let topic = it.get("topic").and_then(Value::as_str);
        let topic = topic.ok_or_else(|| failed("A partition lacks its \"topic\", a text"))?;
        let partition = it.get("partition").and_then(Value::as_i64);
        let partition = partition.and_then(|it| i32::try_from(it).ok());
        let partition =
            partition.ok_or_else(|| failed("A partition lacks its \"partition\", a number"))?;
        let entry = (topic.to_owned(), partition);
        if !seen.insert(entry.clone()) {
            twice.insert(format!("{topic}-{partition}"));
        }
        found.push(entry);
    }
    if !twice.is_empty() {
        let twice: Vec<_> = twice.into_iter().collect();
        return Err(ToolError::Failed(format!(
            "Replica election data contains duplicate partitions: [{}]",
            twice.join(", ")
        )));
    }
    Ok(found)
}

fn elect(
    cluster: &mut Cluster,
    election: ElectionType,
    partitions: Option<&[(String, i32)]>,
) -> Result<(), ToolError> {
    let mut out = std::io::stdout().lock();
    let results = match cluster.elect_leaders(election, partitions) {
        Ok(results) => results,
        Err(e) if e.code() == Some(ErrorCode::REQUEST_TIMED_OUT) => {
            writeln!(out, "Timeout waiting for election results")?;
            return Err(ToolError::failed("Timeout waiting for election results"));
        }
        Err(e) => return Err(ToolError::Failed(java_message(&e))),
    };
    let election = match election {
        ElectionType::Preferred => "PREFERRED",
        ElectionType::Unclean => "UNCLEAN",
    };
    let shown = |(topic, partition): &(String, i32)| format!("{topic}-{partition}");
    let needless = |e: &ClientError| e.code() == Some(ErrorCode::ELECTION_NOT_NEEDED);
    let elected: Vec<_> = results.iter().filter(|it| it.1.is_ok()).map(|it| shown(it.0)).collect();
    if !elected.is_empty() {
        writeln!(
            out,
            "Successfully completed leader election ({election}) for partitions {}",
            elected.join(", ")
        )?;
    }
    let refused = || results.iter().filter_map(|(it, result)| Some((it, result.as_ref().err()?)));
    let valid: Vec<_> = refused().filter(|it| needless(it.1)).map(|it| shown(it.0)).collect();
    if !valid.is_empty() {
        writeln!(out, "Valid replica already elected for partitions {}", valid.join(", "))?;
    }
    let mut failed = 0;
    for (it, e) in refused().filter(|it| !needless(it.1)) {
        failed += 1;
        writeln!(
            out,
            "Error completing leader election ({election}) for partition: {}: {}",
            shown(it),
            java_message(e)
        )?;
    }
    if failed > 0 {
        return Err(ToolError::Failed(format!("{failed} replica(s) could not be elected")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(line: &str) -> String {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match check(&OPTIONS.parse(&args).expect("reads")) {
            Ok(()) => String::new(),
            Err(ToolError::Failed(text)) => text,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_go_together_as_in_kafka() {
        for (line, want) in [
            ("", "Missing required option(s): bootstrap-server, election-type"),
            ("--bootstrap-server a:1", "Missing required option(s): election-type"),
            (
                "--bootstrap-server a:1 --election-type x",
                "One and only one of the following options is required: topic, \
                 all-topic-partitions, path-to-json-file",
            ),
            (
                "--bootstrap-server a:1 --election-type x --topic a",
                "Missing required option(s): partition",
            ),
            (
                "--bootstrap-server a:1 --election-type x --all-topic-partitions --partition 1",
                "Option partition is only allowed if topic is used",
            ),
            ("--bootstrap-server a:1 --election-type x --all-topic-partitions", ""),
        ] {
            assert_eq!(says(line), want, "{line}");
        }
        assert_eq!(election_type("Unclean"), Ok(ElectionType::Unclean));
        assert!(election_type("x").is_err());
    }

    #[test]
    fn files_name_each_partition_once() {
        let file = r#"{"partitions":[{"topic":"a","partition":1},{"topic":"a","partition":0}]}"#;
        assert_eq!(read(file), Ok(vec![("a".to_owned(), 1), ("a".to_owned(), 0)]));
        for (file, want) in [
            ("{", "Replica election data is empty"),
            ("{}", "Replica election data is missing \"partitions\" field"),
            (
                r#"{"partitions":[{"topic":"a","partition":1},{"topic":"a","partition":1}]}"#,
                "Replica election data contains duplicate partitions: [a-1]",
            ),
        ] {
            assert_eq!(read(file), Err(ToolError::failed(want)), "{file}");
        }
        assert!(read(r#"{"partitions":[{"topic":"a"}]}"#).is_err());
    }
}
