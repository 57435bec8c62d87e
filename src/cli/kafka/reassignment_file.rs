//! The JSON files of `kafka-reassign-partitions`.

use super::ToolError;
use crate::cli::balance::{Assignment, Partition};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a file says of replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    /// In the order of the file; an entry may be there twice.
    pub partitions: Vec<(Partition, Vec<i32>)>,
    /// Directories that were asked for, by partition and broker.
    pub directories: Directories,
}

/// Directories by partition and broker.
pub type Directories = BTreeMap<(Partition, i32), String>;

/// The directory that leaves the choice to the broker.
const ANY: &str = "any";

/// `foo-0`
pub fn shown((topic, partition): &Partition) -> String {
    format!("{topic}-{partition}")
}

fn failed(text: impl Into<String>) -> ToolError {
    ToolError::Failed(text.into())
}

/// A file's object, whose version must be 1 or absent.
fn object(text: &str) -> Result<Value, ToolError> {
    let file: Value =
        serde_json::from_str(text).map_err(|_| failed("The input string is not a valid JSON"))?;
    match file.get("version") {
        None => Ok(file),
        Some(version) if version.as_i64() == Some(1) => Ok(file),
        Some(version) => Err(failed(format!("Not supported version field value {version}"))),
    }
}

fn list<'a>(file: &'a Value, name: &str) -> Result<&'a [Value], ToolError> {
    match file.get(name) {
        None => Ok(&[]),
        Some(Value::Array(all)) => Ok(all),
        Some(_) => Err(failed(format!("\"{name}\" is not a list"))),
    }
}

fn text_of<'a>(entry: &'a Value, name: &str) -> Result<&'a str, ToolError> {
    let text = entry.get(name).and_then(Value::as_str);
    text.ok_or_else(|| failed(format!("an entry lacks its \"{name}\", a text")))
}

fn number(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|it| i32::try_from(it).ok())
}

/// Reads `{"partitions":[{"topic":"foo","partition":1,"replicas":[1,2],"log_dirs":["any","any"]}],"version":1}`.
pub fn read_replicas(text: &str) -> Result<Replicas, ToolError> {
    let file = object(text)?;
    let mut found = Replicas::default();
    for entry in list(&file, "partitions")? {
        let topic = text_of(entry, "topic")?.to_owned();
        let partition = entry.get("partition").and_then(number);
        let partition =
            partition.ok_or_else(|| failed("an entry lacks its \"partition\", a number"))?;
        let replicas = entry.get("replicas").and_then(Value::as_array);
        let replicas: Option<Vec<i32>> = replicas.and_then(|it| it.iter().map(number).collect());
        let replicas =
            replicas.ok_or_else(|| failed("an entry lacks its \"replicas\", a list of numbers"))?;
        let at = (topic, partition);
        if let Some(directories) = entry.get("log_dirs") {
            let all = directories.as_array();
            let all: Option<Vec<&str>> = all.and_then(|it| it.iter().map(Value::as_str).collect());
            let all = all.ok_or_else(|| failed("\"log_dirs\" is not a list of texts"))?;
            if all.len() != replicas.len() {
                return Err(failed(format!(
                    "Size of replicas list {replicas:?} is different from size of log dirs list \
                     [{}] for partition {}",
                    all.join(", "),
                    shown(&at)
                )));
            }
            for (broker, directory) in replicas.iter().zip(all).filter(|it| it.1 != ANY) {
                found.directories.insert((at.clone(), *broker), directory.to_owned());
            }
        }
        found.partitions.push((at, replicas));
    }
    Ok(found)
}

/// Reads `{"topics":[{"topic":"foo"},{"topic":"foo1"}],"version":1}`.
pub fn read_topics(text: &str) -> Result<Vec<String>, ToolError> {
    let file = object(text)?;
    let topics: Result<Vec<String>, ToolError> =
        list(&file, "topics")?.iter().map(|it| Ok(text_of(it, "topic")?.to_owned())).collect();
    let topics = topics?;
    let twice = twice(&topics);
    if !twice.is_empty() {
        return Err(failed(format!(
            "List of topics to reassign contains duplicate entries: [{}]",
            twice.join(", ")
        )));
    }
    Ok(topics)
}

/// What is in a list more than once, in order.
pub fn twice<T: Ord + ToString>(all: &[T]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&T> = all.iter().filter(|it| !seen.insert(*it)).collect();
    twice.into_iter().map(ToString::to_string).collect()
}

/// What may be executed: something, to somebody, and each only once.
pub fn checked(found: &Replicas) -> Result<Assignment, ToolError> {
    let all = &found.partitions;
    if all.is_empty() {
        return Err(failed("Partition reassignment list cannot be empty"));
    }
    if all.iter().any(|it| it.1.is_empty()) {
        return Err(failed("Partition replica list cannot be empty"));
    }
    let names: Vec<String> = all.iter().map(|it| shown(&it.0)).collect();
    let again = twice(&names);
    if !again.is_empty() {
        return Err(failed(format!(
            "Partition reassignment contains duplicate topic partitions: {}",
            again.join(",")
        )));
    }
    let again: Vec<String> = all
        .iter()
        .map(|(at, replicas)| (at, twice(replicas)))
        .filter(|it| !it.1.is_empty())
        .map(|(at, twice)| {
            format!("{} contains multiple entries for {}", shown(at), twice.join(","))
        })
        .collect();
    if !again.is_empty() {
        return Err(failed(format!(
            "Partition replica lists may not contain duplicate entries: {}",
            again.join(". ")
        )));
    }
    Ok(all.iter().cloned().collect())
}

/// The file that makes an assignment, in one line, with directories as far as they are known.
pub fn write(assignment: &Assignment, known: &Directories) -> String {
    let partitions: Vec<Value> = assignment
        .iter()
        .map(|(at, replicas)| {
            let directory = |id: &i32| known.get(&(at.clone(), *id)).map_or(ANY, String::as_str);
            let directories: Vec<&str> = replicas.iter().map(directory).collect();
            json!({
                "topic": at.0,
                "partition": at.1,
                "replicas": replicas,
                "log_dirs": directories,
            })
        })
        .collect();
    json!({"version": 1, "partitions": partitions}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says<T: std::fmt::Debug>(result: Result<T, ToolError>) -> String {
        match result {
            Err(ToolError::Failed(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let assignment = Assignment::from([
            (("b".to_owned(), 1), vec![2, 1]),
            (("a".to_owned(), 10), vec![3]),
            (("a".to_owned(), 9), vec![3]),
        ]);
        let text = write(&assignment, &Directories::new());
        assert!(
            text.starts_with(
                "{\"version\":1,\"partitions\":[{\"topic\":\"a\",\"partition\":9,\"replicas\":[3],\
                 \"log_dirs\":[\"any\"]}"
            ),
            "{text}"
        );
        let found = read_replicas(&text).expect("reads");
        assert!(found.directories.is_empty());
        assert_eq!(checked(&found), Ok(assignment));
    }

    #[test]
    fn directories_belong_to_replicas() {
        let file = |dirs: &str| {
            read_replicas(&format!(
                r#"{{"partitions":[{{"topic":"a","partition":0,"replicas":[1,2],"log_dirs":{dirs}}}]}}"#
            ))
        };
        let found = file(r#"["any","/x"]"#).expect("reads");
        assert_eq!(found.directories[&(("a".to_owned(), 0), 2)], "/x");
        let text = write(&found.partitions.iter().cloned().collect(), &found.directories);
        assert_eq!(read_replicas(&text), Ok(found));
        assert_eq!(
            says(file(r#"["any"]"#)),
            "Size of replicas list [1, 2] is different from size of log dirs list [any] for \
             partition a-0"
        );
    }

    #[test]
    fn mistakes_get_kafkas_messages() {
        let check = |partitions: &str| {
            checked(&read_replicas(&format!("{{\"partitions\":[{partitions}]}}")).expect("reads"))
        };
        let entry =
            |replicas: &str| format!(r#"{{"topic":"a","partition":0,"replicas":{replicas}}}"#);
        assert_eq!(says(check("")), "Partition reassignment list cannot be empty");
        assert_eq!(says(check(&entry("[]"))), "Partition replica list cannot be empty");
        assert_eq!(
            says(check(&format!("{0},{0}", entry("[1]")))),
            "Partition reassignment contains duplicate topic partitions: a-0"
        );
        assert_eq!(
            says(check(&entry("[1,2,1]"))),
            "Partition replica lists may not contain duplicate entries: a-0 contains multiple \
             entries for 1"
        );
        assert_eq!(says(read_replicas("{")), "The input string is not a valid JSON");
        assert_eq!(says(read_replicas(r#"{"version":2}"#)), "Not supported version field value 2");
        assert_eq!(
            says(read_topics(r#"{"topics":[{"topic":"a"},{"topic":"a"}]}"#)),
            "List of topics to reassign contains duplicate entries: [a]"
        );
        assert_eq!(read_topics(r#"{"topics":[{"topic":"a"}]}"#), Ok(vec!["a".to_owned()]));
    }
}
