//! Where a consumer stands in each partition, and what a Fetch brings, without connections.

use super::aborted::Aborted;
use super::settings::ConsumerSettings;
use super::subscription::Partitions;
use crate::client::{ClientError, Metadata};
use crate::types::ErrorCode;
use crate::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use crate::wire::kafka::fetch_response::{FetchResponse, PartitionData};
use crate::wire::records::{Record, batches, records};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// A record and where it was found.
#[derive(Debug)]
pub struct Fetched<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The leader's epoch when it was written.
    pub leader_epoch: i32,
    /// Its timestamp is the broker's.
    pub log_append_time: bool,
    /// The record.
    pub record: &'a Record<'a>,
}

/// The state of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Position {
    /// The next record for the caller; none until a committed offset or a reset says so.
    next: Option<i64>,
    /// What the next Fetch asks for: ahead of `next` by what was fetched and not yet handed out.
    fetch_from: i64,
    /// The leader epoch of the last record handed out.
    epoch: i32,
    /// The offset that was committed last; -1 for none.
    committed: i64,
    /// Fetches that were sent before this change of position bring nothing.
    since: u64,
    /// The high watermark that the last Fetch reported.
    high_watermark: i64,
    reset: bool,
}

/// An offset to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitOffset {
    /// The next record that the group has to read.
    pub offset: i64,
    /// The leader epoch of the last one that it has read; -1 for none.
    pub leader_epoch: i32,
}

/// Positions by topic and partition.
#[derive(Clone, Debug, Default)]
pub struct Fetcher {
    topics: BTreeMap<String, BTreeMap<i32, Position>>,
    /// Counts assignments and seeks.
    changes: u64,
    /// Counts requests: which topic goes first changes from one to the next.
    turn: usize,
}

/// One batch decompressed; far beyond what brokers accept.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// What has to be done after an answer to a Fetch.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// Leaders may have moved, or topics changed: metadata is to be asked for.
    pub stale_metadata: bool,
    /// The first error that will not pass.
    pub fatal: Option<ClientError>,
}

impl Fetcher {
    /// Sets the assigned partitions. Those that were assigned before keep their positions, new ones have
    /// none yet.
    pub fn assign(&mut self, partitions: &Partitions) {
        self.changes += 1;
        let mut old = std::mem::take(&mut self.topics);
        for (topic, numbers) in partitions {
            let mut known = old.remove(topic).unwrap_or_default();
            let positions = numbers.iter().map(|n| {
                let position = known.remove(n).unwrap_or(Position {
                    next: None,
                    fetch_from: 0,
                    epoch: -1,
                    committed: -1,
                    since: self.changes,
                    high_watermark: -1,
                    reset: false,
                });
                (*n, position)
            });
            let positions: BTreeMap<_, _> = positions.collect();
            if !positions.is_empty() {
                self.topics.insert(topic.clone(), positions);
            }
        }
    }

    /// The assigned partitions.
    pub fn assigned(&self) -> Partitions {
        self.topics.iter().map(|(t, ps)| (t.clone(), ps.keys().copied().collect())).collect()
    }

    /// Whether nothing is assigned.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    fn get_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Position> {
        self.topics.get_mut(topic)?.get_mut(&partition)
    }

    /// Goes on at `offset`. `committed` says that the group has committed it.
    pub fn seek(&mut self, topic: &str, partition: i32, offset: i64, epoch: i32, committed: bool) {
        self.changes += 1;
        let since = self.changes;
        if let Some(p) = self.get_mut(topic, partition) {
            p.next = Some(offset);
            p.fetch_from = offset;
            p.epoch = epoch;
            p.since = since;
            p.reset = false;
            if committed {
                p.committed = offset;
            }
        }
    }

    /// Drops the position, so that `auto.offset.reset` decides where to go on.
    pub fn request_reset(&mut self, topic: &str, partition: i32) {
        self.changes += 1;
        let since = self.changes;
        if let Some(p) = self.get_mut(topic, partition) {
            p.next = None;
            p.reset = true;
            p.since = since;
        }
    }

    /// Partitions without a position, by whether the committed offset may tell (false) or a reset is
    /// due (true).
    pub fn without_position(&self, reset: bool) -> Partitions {
        let mut found = Partitions::new();
        for (topic, positions) in &self.topics {
            let numbers: Vec<i32> = positions
                .iter()
                .filter(|(_, p)| p.next.is_none() && p.reset == reset)
                .map(|(n, _)| *n)
                .collect();
            if !numbers.is_empty() {
                found.insert(topic.clone(), numbers);
            }
        }
        found
    }

    /// The next offset for the caller.
    pub fn position(&self, topic: &str, partition: i32) -> Option<i64> {
        self.topics.get(topic)?.get(&partition)?.next
    }

    /// What is to be committed: where a position has moved since the last commit, in `only` or
    /// everywhere.
    pub fn uncommitted(
        &self,
        only: Option<&Partitions>,
    ) -> BTreeMap<&str, BTreeMap<i32, CommitOffset>> {
        let mut found: BTreeMap<&str, BTreeMap<i32, CommitOffset>> = BTreeMap::new();
        for (topic, positions) in &self.topics {
            for (number, p) in positions {
                let asked =
                    only.is_none_or(|only| only.get(topic).is_some_and(|all| all.contains(number)));
                if let Some(next) = p.next.filter(|next| asked && *next != p.committed) {
                    let offset = CommitOffset { offset: next, leader_epoch: p.epoch };
                    found.entry(topic).or_default().insert(*number, offset);
                }
            }
        }
        found
    }

    /// Notes that this offset is committed.
    pub fn committed(&mut self, topic: &str, partition: i32, offset: i64) {
        if let Some(p) = self.get_mut(topic, partition) {
            p.committed = offset;
        }
    }

    /// Leaders that are to be asked for something, and whether a partition has none.
    pub fn leaders(&self, metadata: &Metadata) -> (BTreeSet<i32>, bool) {
        let mut found = BTreeSet::new();
        let mut missing = false;
        for (topic, positions) in &self.topics {
            for (number, _) in positions.iter().filter(|(_, p)| p.next.is_some()) {
                match metadata.leader(topic, *number) {
                    Ok(leader) => {
                        found.insert(leader);
                    }
                    Err(_) => missing = true,
                }
            }
        }
        (found, missing)
    }

    /// The Fetch for one leader, and the mark that its answer is to be given back with; none if it
    /// leads nothing that has a position.
    pub fn request<'a>(
        &'a mut self,
        leader: i32,
        metadata: &Metadata,
        settings: &ConsumerSettings,
    ) -> Option<(FetchRequest<'a>, u64)> {
        self.turn = self.turn.wrapping_add(1);
        let mut topics = Vec::new();
        for (topic, positions) in &self.topics {
            let partitions: Vec<FetchPartition> = positions
                .iter()
                .filter(|(n, p)| {
                    p.next.is_some() && metadata.leader(topic, **n).ok() == Some(leader)
                })
                .map(|(n, p)| FetchPartition {
                    partition: *n,
                    fetch_offset: p.fetch_from,
                    partition_max_bytes: settings.partition_fetch_bytes,
                    ..FetchPartition::default()
                })
                .collect();
            if !partitions.is_empty() {
                topics.push(FetchTopic { topic, partitions, ..FetchTopic::default() });
            }
        }
        // A broker fills an answer from the front: everybody is in front at some time.
        for topic in &mut topics {
            let by = self.turn % topic.partitions.len();
            topic.partitions.rotate_left(by);
        }
        let by = self.turn % topics.len().max(1);
        topics.rotate_left(by);
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: settings.fetch_max_wait_ms,
            min_bytes: settings.fetch_min_bytes,
            max_bytes: settings.fetch_max_bytes,
            isolation_level: i8::from(settings.read_committed),
            session_id: 0,
            session_epoch: -1,
            topics,
            ..FetchRequest::default()
        };
        (!request.topics.is_empty()).then_some((request, self.changes))
    }

    /// Takes what an answer says of each partition, except for the records, and moves the next Fetch
    /// behind them. Returns whether there is anything to hand out.
    pub fn answered(&mut self, mark: u64, response: &FetchResponse<'_>) -> (bool, Trouble) {
        let mut trouble = Trouble::default();
        let mut any = false;
        let code = ErrorCode(response.error_code);
        if code.is_err() {
            if !code.is_retriable() {
                let what = "fetching".to_owned();
                trouble.fatal = Some(ClientError::Refused { what, code, message: None });
            }
            return (false, trouble);
        }
        for topic in &response.responses {
            for data in &topic.partitions {
                let number = data.partition_index;
                let Some(p) = self.get_mut(topic.topic, number) else { continue };
                if p.since > mark {
                    continue;
                }
                match ErrorCode(data.error_code) {
                    ErrorCode::NONE => {
                        p.high_watermark = data.high_watermark;
                        let bytes = data.records.unwrap_or_default();
                        if let Some((header, _)) = batches(bytes).last() {
                            p.fetch_from = p.fetch_from.max(header.next_offset());
                            any = true;
                        } else if !bytes.is_empty() && trouble.fatal.is_none() {
                            trouble.fatal = Some(ClientError::Damaged {
                                topic: topic.topic.to_owned(),
                                partition: number,
                                offset: p.fetch_from,
                                why: "the broker sent no whole batch".to_owned(),
                            });
                        }
                    }
                    ErrorCode::OFFSET_OUT_OF_RANGE => self.request_reset(topic.topic, number),
                    code if code.is_retriable() => trouble.stale_metadata = true,
                    code => {
                        let what = format!("reading partition {number} of topic '{}'", topic.topic);
                        trouble.fatal = trouble.fatal.or(Some(ClientError::Refused {
                            what,
                            code,
                            message: None,
                        }));
                    }
                }
            }
        }
        (any, trouble)
    }

    /// Hands the records of an answer out, in order within each partition. `sink` may stop; the
    /// record that it was given then counts as read, the others do not. Returns whether it did.
    pub fn hand_out(
        &mut self,
        mark: u64,
        response: &FetchResponse<'_>,
        settings: &ConsumerSettings,
        sink: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ClientError> {
        for topic in &response.responses {
            let name = topic.topic;
            for data in &topic.partitions {
                let number = data.partition_index;
                let Some(p) = self.get_mut(name, number) else { continue };
                if p.since > mark {
                    continue;
                }
                let flow = p.hand_out(name, data, settings, sink)?;
                if flow.is_break() {
                    return Ok(flow);
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Position {
    fn hand_out(
        &mut self,
        topic: &str,
        data: &PartitionData<'_>,
        settings: &ConsumerSettings,
        sink: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ClientError> {
        let partition = data.partition_index;
        let mut aborted = Aborted::new(settings.read_committed, data);
        for (header, batch) in batches(data.records.unwrap_or_default()) {
            let Some(at) = self.next else { break };
            let hidden = aborted.hides(&header, batch);
            if header.next_offset() <= at {
                continue;
            }
            let damaged = |why: &dyn std::fmt::Display| ClientError::Damaged {
                topic: topic.to_owned(),
                partition,
                offset: header.base_offset,
                why: why.to_string(),
            };
            if settings.check_crcs {
                header.check_crc(batch).map_err(|e| damaged(&e))?;
            }
            if !header.is_control() && !hidden {
                let opened = records(batch, BATCH_BYTES_MAX).map_err(|e| damaged(&e))?;
                for record in &opened {
                    let record = record.map_err(|e| damaged(&e))?;
                    if record.offset < at {
                        continue;
                    }
                    self.next = Some(record.offset + 1);
                    self.epoch = header.partition_leader_epoch;
                    let fetched = Fetched {
                        topic,
                        partition,
                        leader_epoch: header.partition_leader_epoch,
                        log_append_time: header.is_log_append_time(),
                        record: &record,
                    };
                    if sink(&fetched).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
            self.next = Some(header.next_offset());
        }
        Ok(ControlFlow::Continue(()))
    }
}

#[cfg(test)]
mod tests;
