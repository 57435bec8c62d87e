//! `kafka-log-dirs`.

use super::ToolError;
use super::address::{addresses, connect, property_file};
use super::error::java_class;
use super::options::{self, Options, flag, text};
use crate::cli::names::joined;
use crate::client::admin::LogDir;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

const ABOUT: &str = "This tool helps to query log directory usage on the specified brokers.";

static OPTIONS: Options = Options {
    all: &[
        options::BOOTSTRAP,
        text("broker-list", "Broker list", "Brokers to ask, as \"0,1,2\"; all without it."),
        options::COMMAND_CONFIG,
        flag("describe", "REQUIRED: Show the directories of the brokers."),
        options::HELP,
        text("topic-list", "Topic list", "Topics to show, as \"topic1,topic2\"; all without it."),
        options::VERSION,
        options::ZOOKEEPER,
    ],
};

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let o = OPTIONS.parse_or_help(args, ABOUT)?;
    let properties = property_file(&o, "command-config")?;
    let Some(brokers) = addresses(&o, &["bootstrap-server"], &properties)? else {
        return o.require(&["bootstrap-server"]);
    };
    o.require(&["describe"])?;
    let items = |name: &str| -> Result<BTreeSet<String>, ToolError> {
        let list = o.value(name)?.unwrap_or_default();
        Ok(list.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect())
    };
    let topics = items("topic-list")?;
    let mut wanted = BTreeSet::new();
    for id in items("broker-list")? {
        let id: i32 =
            id.parse().map_err(|_| ToolError::Failed(format!("For input string: \"{id}\"")))?;
        wanted.insert(id);
    }
    let mut cluster = connect(&brokers)?;
    cluster.refresh(Some(&[]), false)?;
    let known: BTreeSet<i32> = cluster.metadata().brokers.keys().copied().collect();
    let strangers: BTreeSet<i32> = wanted.difference(&known).copied().collect();
    if !strangers.is_empty() {
        return Err(ToolError::Failed(format!(
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent \
             brokers: {}",
            joined(&strangers),
            joined(&known)
        )));
    }
    let asked = if wanted.is_empty() { known } else { wanted };
    let mut out = std::io::stdout().lock();
    writeln!(out, "Querying brokers for log directories information")?;
    let mut answers = Vec::new();
    for id in &asked {
        answers.push((*id, cluster.log_dirs(*id)?));
    }
    writeln!(out, "Received log directory information from brokers {}", joined(&asked))?;
    writeln!(out, "{}", as_json(&answers, &topics))?;
    Ok(())
}

/// The names and their order are Kafka's.
fn as_json(brokers: &[(i32, Vec<LogDir>)], topics: &BTreeSet<String>) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut json = "{\"brokers\":[".to_owned();
    for (i, (id, dirs)) in brokers.iter().enumerate() {
        json.push_str(if i > 0 { "," } else { "" });
        let _ = write!(json, "{{\"broker\":{id},\"logDirs\":[");
        for (i, dir) in dirs.iter().enumerate() {
            json.push_str(if i > 0 { ",{\"partitions\":[" } else { "{\"partitions\":[" });
            let shown = dir.partitions.iter();
            let shown = shown.filter(|p| topics.is_empty() || topics.contains(&p.topic));
            for (i, p) in shown.enumerate() {
                json.push_str(if i > 0 { "," } else { "" });
                let _ = write!(
                    json,
                    "{{\"partition\":{},\"size\":{},\"offsetLag\":{},\"isFuture\":{}}}",
                    quoted(&format!("{}-{}", p.topic, p.partition)),
                    p.size,
                    p.offset_lag,
                    p.is_future
                );
            }
            let error = dir.error.map_or_else(|| "null".to_owned(), |e| quoted(&java_class(e)));
            let _ = write!(json, "],\"error\":{error},\"logDir\":{}}}", quoted(&dir.path));
        }
        json.push_str("]}");
    }
    json.push_str("],\"version\":1}");
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::admin::LogDirPartition;
    use crate::types::ErrorCode;

    #[test]
    fn json_is_kafkas() {
        let partition = |topic: &str| LogDirPartition {
            topic: topic.to_owned(),
            partition: 0,
            size: 7,
            offset_lag: 0,
            is_future: false,
        };
        let dirs = vec![LogDir {
            path: "/data \"1\"".to_owned(),
            error: Some(ErrorCode::KAFKA_STORAGE_ERROR),
            partitions: vec![partition("a"), partition("b")],
        }];
        let text = as_json(&[(1, dirs)], &BTreeSet::from(["b".to_owned()]));
        assert_eq!(
            text,
            "{\"brokers\":[{\"broker\":1,\"logDirs\":[{\"partitions\":[{\"partition\":\"b-0\",\
             \"size\":7,\"offsetLag\":0,\"isFuture\":false}],\"error\":\
             \"org.apache.kafka.common.errors.KafkaStorageException\",\"logDir\":\
             \"/data \\\"1\\\"\"}]}],\"version\":1}"
        );
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
    }
}
