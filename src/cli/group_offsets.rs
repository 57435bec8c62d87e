//! Where consumer groups stand, and where they could be set to: what `klamm group` and
//! `kafka-consumer-groups` have in common.

use super::offsets::{EARLIEST, LATEST, list};
use crate::client::consumer::{CommitOffset, Partitions};
use crate::client::groups::{self, CommittedOffsets, GroupDescription, MemberDescription};
use crate::client::{ClientError, Cluster};
use std::collections::BTreeMap;

/// One partition that a group reads or has an offset for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The topic and the partition; none for a member without partitions.
    pub partition: Option<(String, i32)>,
    /// The committed offset.
    pub offset: Option<i64>,
    /// The committed leader epoch.
    pub leader_epoch: Option<i32>,
    /// The offset after the last record; `None` where it is not known, as for a topic that is gone.
    pub end: Option<i64>,
    /// The member that reads it.
    pub member: Option<&'a MemberDescription>,
}

impl Row<'_> {
    /// The lag: records between the committed offset and the end.
    pub fn lag(&self) -> Option<i64> {
        Some(self.end? - self.offset?)
    }
}

/// Offsets by topic and partition.
pub type Offsets = BTreeMap<(String, i32), i64>;

/// Where each of the partitions ends. One that does not exist is left out.
fn ends(cluster: &mut Cluster, partitions: &Partitions) -> Result<Offsets, ClientError> {
    let mut found = Offsets::new();
    for (topic, numbers) in partitions {
        cluster.refresh(Some(&[topic]), false)?;
        let known: Vec<i32> = match cluster.metadata().topic(topic) {
            Ok(meta) => {
                numbers.iter().copied().filter(|n| meta.partitions.contains_key(n)).collect()
            }
            Err(ClientError::UnknownTopic(_)) => continue,
            Err(e) => return Err(e),
        };
        if !known.is_empty() {
            let ends = list(cluster, topic, &known, LATEST)?;
            found.extend(ends.into_iter().map(|(n, offset)| ((topic.clone(), n), offset)));
        }
    }
    Ok(found)
}

/// The partitions of a group: first those that members read, the members with most partitions first,
/// then those that only have an offset.
pub fn rows<'a>(
    cluster: &mut Cluster,
    group: &'a GroupDescription,
) -> Result<Vec<Row<'a>>, ClientError> {
    let committed = groups::fetch_offsets(cluster, &group.id)?;
    let mut unread: Partitions = committed
        .iter()
        .map(|(topic, all)| {
            let with = all.iter().filter(|(_, c)| c.offset >= 0).map(|(n, _)| *n);
            (topic.clone(), with.collect())
        })
        .collect();
    let mut all = unread.clone();
    for (topic, numbers) in group.members.iter().flat_map(|m| &m.assignment) {
        let known = all.entry(topic.clone()).or_default();
        known.extend(numbers);
        known.sort_unstable();
        known.dedup();
    }
    let ends = ends(cluster, &all)?;
    let row = |topic: &str, number: i32, member| {
        let at = committed.get(topic).and_then(|t| t.get(&number)).filter(|c| c.offset >= 0);
        Row {
            partition: Some((topic.to_owned(), number)),
            offset: at.map(|c| c.offset),
            leader_epoch: at.map(|c| c.leader_epoch).filter(|e| *e >= 0),
            end: ends.get(&(topic.to_owned(), number)).copied(),
            member,
        }
    };
    let count = |m: &MemberDescription| m.assignment.values().map(Vec::len).sum::<usize>();
    let mut members: Vec<&MemberDescription> =
        group.members.iter().filter(|m| count(m) > 0).collect();
    members.sort_by_key(|m| std::cmp::Reverse(count(m)));
    let mut rows = Vec::new();
    for member in members {
        for (topic, numbers) in &member.assignment {
            rows.extend(numbers.iter().map(|n| row(topic, *n, Some(member))));
            if let Some(left) = unread.get_mut(topic) {
                left.retain(|n| !numbers.contains(n));
            }
        }
    }
    for (topic, numbers) in &unread {
        rows.extend(numbers.iter().map(|n| row(topic, *n, None)));
    }
    Ok(rows)
}

/// What offsets are set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The first record.
    Earliest,
    /// Behind the last record.
    Latest,
    /// The committed offset; the end where there is none.
    Current,
    /// An offset, within what there is.
    Offset(i64),
    /// This many records further (negative: back), within what there is.
    Shift(i64),
    /// The first record at or after this time, in milliseconds since 1970; the end if there is none.
    Time(i64),
    /// An offset for each partition, within what there is.
    Each(Offsets),
}

/// A warning about a plan, one sentence.
pub type Remark = String;

/// New offsets for these partitions of a group, and warnings about them.
pub fn plan(
    cluster: &mut Cluster,
    group: &str,
    partitions: &Partitions,
    target: &Target,
) -> Result<(Offsets, Vec<Remark>), ClientError> {
    let committed = match target {
        Target::Current | Target::Shift(_) => groups::fetch_offsets(cluster, group)?,
        _ => CommittedOffsets::new(),
    };
    let at = |topic: &str, number: i32| {
        let found = committed.get(topic).and_then(|t| t.get(&number));
        found.map(|c| c.offset).filter(|offset| *offset >= 0)
    };
    let mut plan = Offsets::new();
    let mut remarks = Vec::new();
    for (topic, numbers) in partitions {
        cluster.refresh(Some(&[topic]), false)?;
        for number in numbers {
            cluster.metadata().leader(topic, *number)?;
        }
        let mut wanted: BTreeMap<i32, i64> = BTreeMap::new();
        match target {
            Target::Earliest => wanted = list(cluster, topic, numbers, EARLIEST)?,
            Target::Latest => wanted = list(cluster, topic, numbers, LATEST)?,
            Target::Offset(offset) => wanted.extend(numbers.iter().map(|n| (*n, *offset))),
            Target::Each(each) => wanted.extend(
                numbers.iter().filter_map(|n| Some((*n, *each.get(&(topic.clone(), *n))?))),
            ),
            Target::Shift(by) => {
                for number in numbers {
                    let offset = at(topic, *number).ok_or_else(|| ClientError::NoOffset {
                        topic: topic.clone(),
                        partition: *number,
                    })?;
                    wanted.insert(*number, offset.saturating_add(*by));
                }
            }
            Target::Current => {
                wanted.extend(numbers.iter().filter_map(|n| Some((*n, at(topic, *n)?))));
                let without: Vec<i32> =
                    numbers.iter().copied().filter(|n| !wanted.contains_key(n)).collect();
                if !without.is_empty() {
                    wanted.extend(list(cluster, topic, &without, LATEST)?);
                }
            }
            Target::Time(ms) => {
                wanted = list(cluster, topic, numbers, *ms)?;
                let late: Vec<i32> =
                    wanted.iter().filter(|(_, o)| **o < 0).map(|(n, _)| *n).collect();
                if !late.is_empty() {
                    remarks.extend(late.iter().map(|n| {
                        format!(
                            "Warn: Partition {n} from topic {topic} is empty. Falling back to latest \
                             known offset."
                        )
                    }));
                    wanted.extend(list(cluster, topic, &late, LATEST)?);
                }
            }
        }
        if matches!(target, Target::Offset(_) | Target::Shift(_) | Target::Each(_)) {
            let starts = list(cluster, topic, numbers, EARLIEST)?;
            let ends = list(cluster, topic, numbers, LATEST)?;
            for (number, offset) in &mut wanted {
                let (start, end) = (starts[number], ends[number]);
                let (limit, what) = match *offset {
                    o if o > end => (end, "higher than latest"),
                    o if o < start => (start, "lower than earliest"),
                    _ => continue,
                };
                remarks.push(format!(
                    "WARN New offset ({offset}) is {what} offset for topic partition \
                     {topic}-{number}. Value will be set to {limit}"
                ));
                *offset = limit;
            }
        }
        plan.extend(wanted.into_iter().map(|(n, offset)| ((topic.clone(), n), offset)));
    }
    Ok((plan, remarks))
}

/// Commits a plan for a group without members.
pub fn execute(cluster: &mut Cluster, group: &str, plan: &Offsets) -> Result<(), ClientError> {
    let mut commits = groups::Commits::new();
    for ((topic, number), offset) in plan {
        let commit = CommitOffset { offset: *offset, leader_epoch: -1 };
        commits.entry(topic.clone()).or_default().insert(*number, commit);
    }
    if commits.is_empty() { Ok(()) } else { groups::commit(cluster, group, &commits) }
}

/// `topic` (all its partitions) or `topic:0,1,2`.
///
/// # Errors
/// The text is neither, in Kafka's words; or the topic does not exist.
pub fn scope<E: From<ClientError>>(
    cluster: &mut Cluster,
    topics: &[&str],
    wrong: impl Fn(String) -> E,
) -> Result<Partitions, E> {
    let mut all = Partitions::new();
    for text in topics {
        match text.split_once(':') {
            Some((topic, numbers)) if !topic.is_empty() && !numbers.contains(':') => {
                for number in numbers.split(',') {
                    let number = number.parse().map_err(|_| {
                        wrong(format!(
                            "Invalid partition '{number}' specified in topic arg '{text}''"
                        ))
                    })?;
                    all.entry(topic.to_owned()).or_default().push(number);
                }
            }
            Some(_) => {
                return Err(wrong(format!(
                    "Invalid topic arg '{text}', expected topic name and partitions"
                )));
            }
            None => {
                cluster.refresh(Some(&[text]), false)?;
                let partitions = &cluster.metadata().topic(text)?.partitions;
                all.entry((*text).to_owned()).or_default().extend(partitions.keys());
            }
        }
    }
    for numbers in all.values_mut() {
        numbers.sort_unstable();
        numbers.dedup();
    }
    Ok(all)
}
