//! Where to read on: committed offsets, resets, and answers to Fetch that move positions.

use super::super::channels::Lane;
use super::super::clock::wall_ms;
use super::super::{ClientError, Reply, groups, offsets};
use super::{Consumer, Notice, OffsetReset, SOON_MS};
use crate::types::ErrorCode;
use crate::wire::kafka::fetch_request::FetchRequest;
use std::collections::BTreeMap;

impl Consumer {
    /// Committed offsets and resets for partitions that have no position.
    pub(super) fn find_positions(&mut self) -> Result<(), ClientError> {
        let now = self.cluster.now_ms();
        if now < self.fetch_not_before_ms {
            return Ok(());
        }
        let fresh = self.fetcher.without_position(false);
        if !fresh.is_empty() {
            let group_id = self.settings.group.as_ref().map(|g| g.group_id.clone());
            let committed = match group_id {
                Some(id) => groups::fetch_offsets_once(&mut self.cluster, &id, Some(&fresh), true),
                None => Ok(BTreeMap::new()),
            };
            match committed {
                Ok(committed) => {
                    for (topic, numbers) in &fresh {
                        for number in numbers {
                            match committed.get(topic).and_then(|t| t.get(number)) {
                                Some(found) if found.offset >= 0 => {
                                    let (offset, epoch) = (found.offset, found.leader_epoch);
                                    self.fetcher.seek(topic, *number, offset, epoch, true);
                                }
                                _ => self.fetcher.request_reset(topic, *number),
                            }
                        }
                    }
                }
                Err(e) => return self.later(e),
            }
        }
        for (topic, numbers) in self.fetcher.without_position(true) {
            let timestamp = match self.settings.offset_reset {
                OffsetReset::Earliest => offsets::EARLIEST,
                OffsetReset::Latest => offsets::LATEST,
                OffsetReset::ByDuration(ms) => wall_ms().saturating_sub(ms).max(0),
                OffsetReset::None => {
                    return Err(ClientError::NoOffset { topic, partition: numbers[0] });
                }
            };
            let isolation = i8::from(self.settings.read_committed);
            let found =
                offsets::list_once(&mut self.cluster, &topic, &numbers, timestamp, isolation)
                    .and_then(|mut found| {
                        // Nothing is that new: what comes next is.
                        let late: Vec<i32> =
                            found.iter().filter(|(_, o)| **o < 0).map(|(n, _)| *n).collect();
                        if !late.is_empty() {
                            found.extend(offsets::list_once(
                                &mut self.cluster,
                                &topic,
                                &late,
                                offsets::LATEST,
                                isolation,
                            )?);
                        }
                        Ok(found)
                    });
            match found {
                Ok(found) => {
                    for (number, offset) in found {
                        self.fetcher.seek(&topic, number, offset, -1, false);
                        let was_out = self.out_of_range.get_mut(&topic);
                        if let Some(at) =
                            was_out.and_then(|all| all.iter().position(|n| *n == number))
                        {
                            self.out_of_range.get_mut(&topic).map(|all| all.swap_remove(at));
                            let (topic, partition) = (topic.clone(), number);
                            self.notices.push_back(Notice::Reset { topic, partition, offset });
                        }
                    }
                }
                Err(e) => return self.later(e),
            }
        }
        Ok(())
    }

    /// Positions and fetches again in a moment, with new metadata.
    pub(super) fn later(&mut self, e: ClientError) -> Result<(), ClientError> {
        let now = self.cluster.now_ms();
        self.fetch_not_before_ms = now + SOON_MS;
        self.next_metadata_ms = self.next_metadata_ms.min(now + SOON_MS);
        let group_lost = matches!(
            e.code(),
            Some(ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE)
        );
        if group_lost || e.code() == Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) {
            return Ok(());
        }
        let unknown =
            matches!(e, ClientError::UnknownTopic(_) | ClientError::UnknownPartition { .. });
        if unknown { Ok(()) } else { self.passes(e) }
    }

    pub(super) fn fetched(
        &mut self,
        lane: Lane,
        mark: u64,
        reply: Reply,
    ) -> Result<(), ClientError> {
        let response = reply.read::<FetchRequest<'_>>()?;
        for topic in &response.responses {
            for p in &topic.partitions {
                if p.error_code == ErrorCode::OFFSET_OUT_OF_RANGE.0 {
                    let all = self.out_of_range.entry(topic.topic.to_owned()).or_default();
                    all.push(p.partition_index);
                }
            }
        }
        let (any, trouble) = self.fetcher.answered(mark, &response);
        drop(response);
        if any {
            self.ready.push_back((lane, mark, reply));
        } else {
            self.channels.recycle(reply);
        }
        if trouble.stale_metadata {
            let now = self.cluster.now_ms();
            self.next_metadata_ms = self.next_metadata_ms.min(now + SOON_MS);
            self.fetch_not_before_ms = now + SOON_MS;
        }
        trouble.fatal.map_or(Ok(()), Err)
    }
}
