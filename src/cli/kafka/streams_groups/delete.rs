//! `--delete`, and internal topics that go with groups.

use super::super::group_command::{Problem, say_error};
use super::super::java_errors;
use super::super::options::Parsed;
use super::{chosen, listed};
use crate::client::streams_groups;
use crate::client::{ClientError, Cluster, groups};
use crate::types::ErrorCode;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// How Kafka Streams names the topics of a group: behind the group's id.
static INTERNAL: LazyLock<Regex> = LazyLock::new(|| {
    let ends =
        "-changelog|-repartition|-subscription-registration-topic|-subscription-response-topic";
    let joins = "-KTABLE-FK-JOIN-SUBSCRIPTION-(REGISTRATION|RESPONSE)-[0-9]+-topic";
    Regex::new(&format!("({ends}|.{joins})$")).expect("it is constant")
});

/// The internal topics of a group, as its topology has them: those whose names say so.
pub fn internal_topics(cluster: &mut Cluster, id: &str) -> Result<Vec<String>, ClientError> {
    let group = streams_groups::describe(cluster, id)?;
    let sources: BTreeSet<&String> =
        group.subtopologies.iter().flat_map(|it| &it.source_topics).collect();
    let all = group.subtopologies.iter();
    let all =
        all.flat_map(|it| it.repartition_source_topics.iter().chain(&it.state_changelog_topics));
    let mut topics: Vec<String> = all.filter(|it| !sources.contains(it)).cloned().collect();
    topics.retain(|topic| {
        let behind = topic.strip_prefix(id).is_some_and(|it| it.starts_with('-'));
        let inferred = behind && INTERNAL.is_match(topic);
        if !inferred {
            say_error(&format!(
                "The internal topic '{topic}' is not inferred as internal and thus will not be deleted with the \
                 group '{id}'."
            ));
        }
        inferred
    });
    Ok(topics)
}

/// Deletes groups, and says how that went.
pub fn run(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let all = listed(cluster, &[])?;
    let mut seen = BTreeSet::new();
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    let (mut topics, mut kept) = (BTreeMap::new(), Vec::new());
    let mut ids = chosen(parsed, cluster)?;
    ids.retain(|it| seen.insert(it.clone()));
    for id in ids {
        let state = all.iter().find(|it| it.id == id).map(|it| &*it.state);
        let why = match state {
            None => format!(
                "java.lang.IllegalArgumentException: Group '{id}' does not exist or is not a streams group."
            ),
            Some("Dead") => format!(
                "java.lang.IllegalStateException: Streams group '{id}' group state is DEAD."
            ),
            Some("Empty" | "") => {
                if parsed.has("delete-all-internal-topics") {
                    let internal = internal_topics(cluster, &id)?;
                    topics.insert(id.clone(), internal);
                }
                match groups::delete(cluster, &id) {
                    Ok(()) => {
                        done.push(id);
                        continue;
                    }
                    Err(e) if e.code().is_some() => java_errors::named(&e),
                    Err(e) => return Err(e.into()),
                }
            }
            Some(_) => {
                let why = format!("Streams group '{id}' is not EMPTY.");
                java_errors::with_message(ErrorCode::NON_EMPTY_GROUP, &why)
            }
        };
        refused.push((id, why));
    }
    topics.retain(|_, it| !it.is_empty());
    for id in &done {
        let internal = topics.get(id).map_or(&[][..], |it| it);
        if let Err(e) = delete_topics(cluster, internal) {
            kept.push((id, e));
        }
    }
    let shown = done.join("', '");
    if refused.is_empty() {
        println!("Deletion of requested streams groups ('{shown}') was successful.");
    } else {
        say_error("Deletion of some streams groups failed:");
        for (id, why) in &refused {
            println!("* Group '{id}' could not be deleted due to: {why}");
        }
        if !done.is_empty() {
            println!("\nThese streams groups were deleted successfully: '{shown}'.");
        }
    }
    if topics.is_empty() || done.is_empty() {
        return Ok(());
    }
    if kept.is_empty() {
        let with: Vec<&str> =
            done.iter().filter(|it| topics.contains_key(*it)).map(|it| &**it).collect();
        println!(
            "Deletion of associated internal topics of the streams groups ('{}') was successful.",
            with.join("', '")
        );
    } else {
        println!("Deletion of some associated internal topics failed:");
        for (id, e) in kept {
            let why = java_errors::named(&e);
            println!(
                "* Internal topics of the streams group '{id}' could not be deleted due to: {why}"
            );
        }
    }
    Ok(())
}

/// Deletes topics one by one: which ones could not be is said.
fn delete_topics(cluster: &mut Cluster, topics: &[String]) -> Result<(), ClientError> {
    let mut first = Ok(());
    for topic in topics {
        if let Err(e) = cluster.delete_topics(std::slice::from_ref(topic)) {
            println!("Failed to delete internal topic: {topic}");
            if first.is_ok() {
                first = Err(e);
            }
        }
    }
    first
}
