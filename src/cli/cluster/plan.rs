//! What a cluster holds, and what is to be moved: read from the cluster, and shown.

use crate::cli::balance::{Assignment, Node, Partition};
use crate::cli::names::{count, joined};
use crate::client::admin::{ClusterDescription, Reassignment};
use crate::client::{ClientError, Cluster};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Partitions and brokers at one moment.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    /// All brokers that are registered.
    pub cluster: ClusterDescription,
    /// What each partition is on its way to: its replicas, without those that a reassignment removes.
    pub target: Assignment,
    /// What holds each partition now.
    pub current: Assignment,
    /// What is under way.
    pub under_way: BTreeMap<Partition, Reassignment>,
}

impl Holdings {
    /// Asks the cluster.
    pub fn read(cluster: &mut Cluster) -> Result<Self, ClientError> {
        let description = cluster.describe_cluster(true)?;
        // What ends between the two questions is seen as done, not as still to be moved.
        let under_way = cluster.reassignments(None)?;
        cluster.refresh(None, false)?;
        let mut current = Assignment::new();
        for (name, topic) in &cluster.metadata().topics {
            for (number, it) in &topic.partitions {
                current.insert((name.clone(), *number), it.replicas.clone());
            }
        }
        let mut target = current.clone();
        for (at, it) in &under_way {
            let stay = it.replicas.iter().filter(|id| !it.removing.contains(id));
            target.insert(at.clone(), stay.copied().collect());
        }
        Ok(Self { cluster: description, target, current, under_way })
    }

    /// The brokers that may get partitions: those that are there.
    pub fn nodes(&self) -> Vec<Node> {
        let there = self.cluster.brokers.iter().filter(|it| !it.fenced);
        there.map(|it| Node { id: it.id, rack: it.rack.clone() }).collect()
    }
}

/// How many replicas a plan copies to brokers that do not have them.
pub fn copies(from: &Assignment, plan: &Assignment) -> usize {
    let new = plan.iter().flat_map(|(at, ids)| {
        ids.iter().filter(move |id| !from.get(at).is_some_and(|it| it.contains(id)))
    });
    new.count()
}

/// Partitions shown of a long plan.
const SHOWN: usize = 20;

/// Prints what a plan moves.
pub fn show(out: &mut impl Write, from: &Assignment, plan: &Assignment) -> io::Result<()> {
    for (at, to) in plan.iter().take(SHOWN) {
        let old = from.get(at).map_or(&[][..], Vec::as_slice);
        writeln!(
            out,
            "  {:<32} {:>14} -> {}",
            format!("{}-{}", at.0, at.1),
            joined(old),
            joined(to)
        )?;
    }
    if plan.len() > SHOWN {
        writeln!(out, "  … and {} more", plan.len() - SHOWN)?;
    }
    let copied = copies(from, plan);
    writeln!(out, "{}, {} to copy", count(plan.len(), "partition"), count(copied, "replica"))
}

/// A plan as JSON.
pub fn as_json(from: &Assignment, plan: &Assignment, done: bool) -> Value {
    let moves: Vec<Value> = plan
        .iter()
        .map(|(at, to)| json!({"topic": at.0, "partition": at.1, "from": from.get(at), "to": to}))
        .collect();
    json!({"moves": moves, "replicas_to_copy": copies(from, plan), "done": done})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_say_what_is_copied() {
        let at = |partition| ("t".to_owned(), partition);
        let from = Assignment::from([(at(0), vec![1, 2]), (at(1), vec![1, 2])]);
        let plan = Assignment::from([(at(0), vec![3, 1]), (at(1), vec![2, 1])]);
        assert_eq!(copies(&from, &plan), 1);
        let mut out = Vec::new();
        show(&mut out, &from, &plan).expect("memory");
        let text = String::from_utf8(out).expect("text");
        assert!(
            text.contains("1,2 -> 3,1") && text.ends_with("2 partitions, 1 replica to copy\n"),
            "{text}"
        );
        let json = as_json(&from, &plan, false);
        assert_eq!(json["moves"][0]["to"], json!([3, 1]));
        let long: Assignment = (0..25).map(|it| (at(it), vec![1])).collect();
        let mut out = Vec::new();
        show(&mut out, &from, &long).expect("memory");
        assert!(String::from_utf8(out).expect("text").contains("… and 5 more"));
    }
}
