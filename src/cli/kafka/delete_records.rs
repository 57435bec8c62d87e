//! `kafka-delete-records`.

use super::ToolError;
use super::address::{addresses, connect, property_file};
use super::error::java_message;
use super::options::{self, Options, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;

const ABOUT: &str =
    "This tool helps to delete records of the given partitions down to the specified offset.";

static OPTIONS: Options = Options {
    all: &[
        options::BOOTSTRAP,
        options::COMMAND_CONFIG,
        options::HELP,
        text(
            "offset-json-file",
            "Offset json file path",
            "REQUIRED: JSON file with the first offset to keep of each partition, -1 for none. Its \
             format:\n{\"partitions\":\n  [{\"topic\": \"foo\", \"partition\": 1, \"offset\": \
             1}],\n \"version\":1\n}",
        ),
        options::VERSION,
        options::ZOOKEEPER,
    ],
};

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let o = OPTIONS.parse_or_help(args, ABOUT)?;
    let properties = property_file(&o, "command-config")?;
    let brokers = addresses(&o, &["bootstrap-server"], &properties)?;
    let (Some(brokers), Some(path)) = (brokers, o.value("offset-json-file")?) else {
        return o.require(&["bootstrap-server", "offset-json-file"]);
    };
    let mut cluster = connect(&brokers)?;
    let text = std::fs::read_to_string(path)
        .map_err(|e| ToolError::Failed(format!("Unable to read file {path}: {e}")))?;
    let records = read(&text)?;
    let topics: BTreeSet<&str> = records.iter().map(|(topic, ..)| topic.as_str()).collect();
    let topics: Vec<&str> = topics.into_iter().collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "Executing records delete operation")?;
    cluster.refresh(Some(&topics), false)?;
    let lows = cluster.delete_records(&records)?;
    writeln!(out, "Records delete operation completed:")?;
    for ((topic, partition, _), low) in records.iter().zip(lows) {
        match low {
            Ok(low) => writeln!(out, "partition: {topic}-{partition}\tlow_watermark: {low}")?,
            Err(e) => {
                writeln!(out, "partition: {topic}-{partition}\terror: {}", java_message(&e))?;
            }
        }
    }
    Ok(())
}

/// Topic, partition and offset of each entry of the file.
fn read(text: &str) -> Result<Vec<(String, i32, i64)>, ToolError> {
    let failed = |text: &str| ToolError::failed(text);
    let file: Value =
        serde_json::from_str(text).map_err(|_| failed("The input string is not a valid JSON"))?;
    match file.get("version").map(Value::as_i64) {
        None | Some(Some(1)) => {}
        Some(_) => {
            let version = &file["version"];
            return Err(ToolError::Failed(format!("Not supported version field value {version}")));
        }
    }
    let partitions = file.get("partitions").ok_or_else(|| failed("Missing partitions field"))?;
    let partitions =
        partitions.as_array().ok_or_else(|| failed("The partitions field is not an array"))?;
    let mut records = Vec::new();
    for entry in partitions {
        let field = |name: &str| {
            let value = entry.get(name);
            value.ok_or_else(|| ToolError::Failed(format!("No such field exists: `{name}`")))
        };
        let wrong = |name: &str, want: &str| {
            ToolError::Failed(format!("The field `{name}` of {entry} is not {want}"))
        };
        let topic = field("topic")?.as_str().ok_or_else(|| wrong("topic", "text"))?;
        let number = field("partition")?.as_i64().and_then(|n| i32::try_from(n).ok());
        let number = number.ok_or_else(|| wrong("partition", "a number"))?;
        let offset = field("offset")?.as_i64().ok_or_else(|| wrong("offset", "a number"))?;
        records.push((topic.to_owned(), number, offset));
    }
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<String> = records
        .iter()
        .filter(|(topic, p, _)| !seen.insert((topic, p)))
        .map(|(topic, p, _)| format!("{topic}-{p}"))
        .collect();
    if !twice.is_empty() {
        let twice = twice.into_iter().collect::<Vec<_>>().join(",");
        return Err(ToolError::Failed(format!(
            "Offset json file contains duplicate topic partitions: {twice}"
        )));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_kafkas_file() {
        let one = r#"{"topic":"a","partition":1,"offset":2}"#;
        let all = read(&format!("{{\"partitions\":[{one}],\"version\":1}}"));
        assert_eq!(all, Ok(vec![("a".to_owned(), 1, 2)]));
        assert!(read(&format!("{{\"partitions\":[{one}]}}")).is_ok());
        for (text, want) in [
            ("{", "not a valid JSON"),
            ("{}", "Missing partitions field"),
            (r#"{"partitions":[{"topic":"a","partition":1}]}"#, "No such field exists: `offset`"),
            (r#"{"partitions":[],"version":2}"#, "Not supported version field value 2"),
            (&format!("{{\"partitions\":[{one},{one}]}}"), "duplicate topic partitions: a-1"),
            (r#"{"partitions":[{"topic":1,"partition":1,"offset":1}]}"#, "`topic`"),
        ] {
            match read(text) {
                Err(ToolError::Failed(e)) => assert!(e.contains(want), "{text}: {e}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
