//! Where streams groups are in their source topics, and `--delete-offsets`.

use super::super::ToolError;
use super::super::group_command::Problem;
use super::super::offset_deletion::{self, named, print_deleted};
use super::super::options::Parsed;
use crate::cli::offsets::{EARLIEST, LATEST, list};
use crate::client::consumer::Partitions;
use crate::client::groups::{self, CommittedOffsets};
use crate::client::streams_groups::{self, StreamsGroupDescription};
use crate::client::{ClientError, Cluster};
use std::collections::{BTreeMap, BTreeSet};

/// A partition that somebody processes.
pub struct Row {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The committed offset.
    pub offset: Option<i64>,
    /// The committed leader epoch.
    pub leader_epoch: Option<i32>,
    /// Where its log begins.
    pub start: i64,
    /// The offset behind its last record.
    pub end: i64,
}

impl Row {
    /// Records that are still to be read.
    pub fn lag(&self) -> i64 {
        self.end - self.offset.unwrap_or(self.start)
    }
}

/// What a group has committed of topics of the user. Those of its repartition topics are no concern of whoever sets them.
pub fn committed(
    cluster: &mut Cluster,
    group: &StreamsGroupDescription,
) -> Result<CommittedOffsets, ClientError> {
    let sources: BTreeSet<&String> =
        group.subtopologies.iter().flat_map(|it| &it.source_topics).collect();
    let mut committed = groups::fetch_offsets(cluster, &group.id)?;
    committed.retain(|topic, _| sources.contains(topic));
    Ok(committed)
}

/// The partitions of committed offsets.
pub fn partitions(committed: CommittedOffsets) -> Partitions {
    committed.into_iter().map(|(topic, all)| (topic, all.into_keys().collect())).collect()
}

/// The partitions that members process.
pub fn rows(
    cluster: &mut Cluster,
    group: &StreamsGroupDescription,
) -> Result<Vec<Row>, ClientError> {
    let mut read: BTreeMap<&String, BTreeSet<i32>> = BTreeMap::new();
    for (id, numbers) in group.members.iter().flat_map(|it| &it.assignment.active) {
        let of = group.subtopologies.iter().filter(|it| it.id == *id);
        for topic in of.flat_map(|it| it.source_topics.iter().chain(&it.repartition_source_topics))
        {
            read.entry(topic).or_default().extend(numbers);
        }
    }
    let committed = committed(cluster, group)?;
    let mut rows = Vec::new();
    for (topic, mut numbers) in read {
        cluster.refresh(Some(&[topic]), false)?;
        let known = &cluster.metadata().topic(topic)?.partitions;
        numbers.retain(|it| known.contains_key(it));
        let numbers: Vec<i32> = numbers.into_iter().collect();
        let starts = list(cluster, topic, &numbers, EARLIEST)?;
        let ends = list(cluster, topic, &numbers, LATEST)?;
        for (partition, start) in starts {
            let at = committed.get(topic).and_then(|it| it.get(&partition));
            let at = at.filter(|it| it.offset >= 0);
            rows.push(Row {
                topic: topic.clone(),
                partition,
                offset: at.map(|it| it.offset),
                leader_epoch: at.map(|it| it.leader_epoch).filter(|it| *it >= 0),
                start,
                end: ends.get(&partition).copied().unwrap_or(start),
            });
        }
    }
    Ok(rows)
}

/// The rules of the options of `--delete-offsets`.
pub fn check(parsed: &Parsed) -> Result<(), ToolError> {
    let scoped = parsed.has("input-topic") || parsed.has("all-input-topics");
    if !scoped || !parsed.has("group") {
        return Err(parsed.usage(
            "Option [delete-offsets] takes the [group] and one of these options: [all-input-topics], \
             [input-topic]",
        ));
    }
    let groups = parsed.values("group");
    if groups.len() > 1 {
        return Err(parsed.usage(&format!(
            "Option [delete-offsets] supports only one [group] at a time, but found: [{}]",
            groups.join(", ")
        )));
    }
    Ok(())
}

/// Deletes offsets, and says how that went.
pub fn delete(parsed: &Parsed, cluster: &mut Cluster) -> Result<(), Problem> {
    let id = parsed.value("group")?.unwrap_or_default();
    let (partitions, rows) = if parsed.has("all-input-topics") {
        let group = streams_groups::describe(cluster, id)?;
        (partitions(committed(cluster, &group)?), Vec::new())
    } else {
        named(parsed, cluster, "input-topic")?
    };
    let rows = offset_deletion::delete(cluster, id, &partitions, rows)?;
    Ok(print_deleted(&rows)?)
}
