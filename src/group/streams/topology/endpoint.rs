//! Which partitions somebody who has tasks can be asked about (interactive queries).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::configured::{ConfiguredSubtopology, PartitionCounts};
use crate::group::streams::tasks::TaskIds;

/// The partitions that tasks read, by topic, both ascending: of each source of their subtopologies those that it has. It
/// costs as many steps as there are tasks times sources. Tasks of subtopologies that are not there are left out.
///
/// Kafka 4.3 takes the first of the tasks' numbers where a topic has fewer partitions than there are tasks, and so
/// names partitions that do not exist, or too few; here it is those that both have.
pub fn partitions_of(
    tasks: &TaskIds,
    subtopologies: &BTreeMap<Arc<str>, ConfiguredSubtopology>,
    topics: &impl PartitionCounts,
) -> BTreeMap<Arc<str>, Vec<i32>> {
    let mut read: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    for (id, partitions) in tasks {
        let Some(subtopology) = subtopologies.get(id) else { continue };
        let sources =
            subtopology.source_topics.iter().chain(subtopology.repartition_source_topics.keys());
        for topic in sources {
            let count = topics.partitions(topic).unwrap_or_default();
            let exist = partitions.partition_point(|it| *it < count);
            if exist > 0 {
                read.entry(Arc::clone(topic)).or_default().extend(&partitions[..exist]);
            }
        }
    }
    // Two subtopologies that read the same topic are rare: a source belongs to one, by how they are made.
    for partitions in read.values_mut().filter(|it| !it.is_sorted_by(|a, b| a < b)) {
        partitions.sort_unstable();
        partitions.dedup();
    }
    read
}
