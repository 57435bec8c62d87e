//! What the tools of groups have in common as to deleting offsets.

use super::group_command::{Problem, say_error, width};
use super::java_errors;
use super::options::Parsed;
use crate::cli::group_offsets;
use crate::client::consumer::Partitions;
use crate::client::{ClientError, Cluster, groups};
use crate::types::ErrorCode;
use std::io::{self, Write};

/// Topic, partition, or -1 where no partitions are known, and what became of it.
pub type Deleted = (String, i32, String);

/// The partitions that an option names, and the topics that do not exist.
pub fn named(
    parsed: &Parsed,
    cluster: &mut Cluster,
    option: &str,
) -> Result<(Partitions, Vec<Deleted>), Problem> {
    let mut partitions = Partitions::new();
    let mut rows = Vec::new();
    for topic in parsed.values(option) {
        let wrong = |text: String| Problem::Tool(parsed.usage(&text));
        match group_offsets::scope(cluster, &[topic], wrong) {
            Ok(found) => partitions.extend(found),
            Err(Problem::Client(e @ ClientError::UnknownTopic(_))) => {
                rows.push((topic.to_owned(), -1, format!("Error: {}", java_errors::named(&e))));
            }
            Err(e) => return Err(e),
        }
    }
    Ok((partitions, rows))
}

/// Deletes the offsets of a group and says how that went, in all; what became of each partition, besides the rows that there are.
pub fn delete(
    cluster: &mut Cluster,
    group: &str,
    partitions: &Partitions,
    mut rows: Vec<Deleted>,
) -> Result<Vec<Deleted>, Problem> {
    let all = partitions.iter().flat_map(|(t, ns)| ns.iter().map(move |n| (t.clone(), *n)));
    match groups::delete_offsets(cluster, group, partitions) {
        Ok(results) => {
            // As in Kafka, a topic that is not there has its row alone: nothing was asked of it.
            if results.values().any(|code| code.is_err()) {
                say_error("Encountered some partition-level error, see the follow-up details.");
            } else {
                println!("Request succeeded for deleting offsets from group {group}.");
            }
            rows.extend(all.map(|(topic, number)| {
                let code =
                    results.get(&(topic.clone(), number)).copied().unwrap_or(ErrorCode::NONE);
                let status = if code.is_err() {
                    format!("Error: {}", java_errors::of_code(code))
                } else {
                    "Successful".to_owned()
                };
                (topic, number, status)
            }));
        }
        Err(e) => {
            let Some(code) = e.code() else { return Err(e.into()) };
            say_error(java_errors::message(code));
            let status = format!("Error: {}", java_errors::of_code(code));
            rows.extend(all.map(|(topic, number)| (topic, number, status.clone())));
        }
    }
    rows.sort();
    Ok(rows)
}

/// Prints what became of each.
pub fn print_deleted(rows: &[Deleted]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let wide = width(15, rows.iter().map(|(topic, ..)| topic.as_str()));
    write!(out, "\n{:wide$} {:10} {:15}", "TOPIC", "PARTITION", "STATUS")?;
    for (topic, partition, status) in rows {
        let partition = if *partition < 0 { "-".to_owned() } else { partition.to_string() };
        write!(out, "\n{topic:wide$} {partition:10} {status:15}")?;
    }
    writeln!(out)
}
