//! Finding offsets in a partition of this shard.

use super::calls::{FindOffsets, ShardId};
use super::reply_to::ReplyTo;
use super::state::State;
use super::work;
use crate::broker::api::data::{OffsetAnswer, OffsetQuery, ReadRequest};
use crate::broker::api::list_offsets::{
    EARLIEST, EARLIEST_LOCAL, EARLIEST_PENDING_UPLOAD, LATEST, LATEST_TIERED, MAX_TIMESTAMP,
};
use crate::types::ErrorCode;
use crate::wire::records::{
    BatchHeader, DECOMPRESSED_BYTES_MAX, Progress as Searched, RecordError, TimeSearch,
    TimedOffset, Wanted, batches,
};
use std::rc::Rc;

/// Bytes that are read at once on the way to a record.
const STEP: usize = 1 << 20;

/// Indexes that are read on the way to a time, at most: without them it takes longer, no more. One segment
/// may go while its index is read, and another one take its place.
const INDEX_READS: usize = 4;

/// Bytes that are decompressed in one step of a search: some tens of microseconds.
const SEARCH_STEP: usize = 64 << 10;

/// Where the search begins, and what it looks for.
enum Search {
    /// The first record that is not earlier.
    Time(i64),
    /// The first record with the largest timestamp.
    Max,
}

impl State {
    pub(super) fn serve_find_offsets(
        self: &Rc<Self>,
        call: FindOffsets,
        _: ShardId,
        to: ReplyTo<FindOffsets>,
    ) {
        let state = self.clone();
        self.start(async move {
            let mut answers = Vec::with_capacity(call.0.len());
            for query in &call.0 {
                let mut answer = find(&state, query).await;
                // The log's start has moved beyond where the search was: what it looked for is gone.
                while answer.error == ErrorCode::OFFSET_OUT_OF_RANGE {
                    answer = find(&state, query).await;
                }
                answers.push(answer);
                state.pause().await;
            }
            to.reply(answers);
        });
    }
}

/// Answers one query; may read from the disk.
async fn find(state: &Rc<State>, query: &OffsetQuery) -> OffsetAnswer {
    let index = query.index;
    let answer = |timestamp, offset, leader_epoch| OffsetAnswer {
        index,
        error: ErrorCode::NONE,
        timestamp,
        offset,
        leader_epoch,
    };
    let found = state.read_logs(|logs| {
        let Some((slot, core)) = logs.core(query.tp) else {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        };
        core.check_fetch_epoch(query.current_leader_epoch)?;
        let follows = query.of_replica && core.leader().is_some();
        if !core.leads() && !follows {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        // Records may be committed beyond what a new leader knows of: "latest" must not fall (KIP-207).
        if query.timestamp == LATEST && !query.of_replica && !core.latest_is_known() {
            return Err(ErrorCode::OFFSET_NOT_AVAILABLE);
        }
        if query.timestamp == LATEST && query.of_replica {
            let end = core.log_end();
            return Ok((slot, end, core.log_start(), -1, core.leader_epoch()));
        }
        let upto = if query.committed { core.last_stable() } else { core.high_watermark() };
        let start = core.log_start();
        let earliest_epoch = core.epoch_for_offset(start).unwrap_or(-1);
        Ok((slot, upto, start, earliest_epoch, core.leader_epoch()))
    });
    let (slot, upto, start, earliest_epoch, leader_epoch) = match found {
        Ok(found) => found,
        Err(error) => return OffsetAnswer::failed(index, error),
    };
    let (search, from) = match query.timestamp {
        LATEST => return answer(-1, upto, leader_epoch),
        EARLIEST | EARLIEST_LOCAL => return answer(-1, start, earliest_epoch),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => return answer(-1, -1, -1),
        MAX_TIMESTAMP => match state.read_logs(|logs| logs.engine.max_timestamp(slot, upto)) {
            Some((timestamp, from)) if timestamp >= 0 => (Search::Max, from),
            _ => return answer(-1, -1, -1),
        },
        time => {
            for _ in 0..INDEX_READS {
                let wanted = state.read_logs(|logs| logs.engine.index_for_time(slot, time));
                let Some(ticket) = wanted else { break };
                // An index that cannot be read is no more than slower.
                let _ = state.fill(ticket).await;
                if state.read_logs(|logs| logs.core(query.tp).map(|(now, _)| now)) != Some(slot) {
                    let gone = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                    return OffsetAnswer::failed(index, gone);
                }
            }
            let hint = state.read_logs(|logs| logs.engine.offset_hint_for_time(slot, time));
            (Search::Time(time), hint)
        }
    };
    match scan(state, query, &search, from.max(start), upto).await {
        Ok(Some((found, epoch))) => answer(found.timestamp, found.offset, epoch),
        Ok(None) => answer(-1, -1, -1),
        Err(error) => OffsetAnswer::failed(index, error),
    }
}

async fn scan(
    state: &Rc<State>,
    query: &OffsetQuery,
    search: &Search,
    mut from: i64,
    upto: i64,
) -> Result<Option<(TimedOffset, i32)>, ErrorCode> {
    let mut best: Option<(TimedOffset, i32)> = None;
    let start = from;
    while from < upto {
        let read = ReadRequest {
            committed: query.committed,
            from_followers: query.of_replica,
            ..ReadRequest::of_leader(query.tp, from, STEP)
        };
        let result = state.read_one(&read, STEP, true).await;
        if result.error.is_err() {
            return Err(result.error);
        }
        let mut next = from;
        for slice in &result.slices {
            for item in batches(slice) {
                let (header, batch) = item;
                next = next.max(header.next_offset());
                let wanted = match search {
                    Search::Time(timestamp) => {
                        Wanted::NotBefore { offset: start, timestamp: *timestamp }
                    }
                    Search::Max if is_later(&header, best.as_ref()) => Wanted::Latest,
                    Search::Max => continue,
                };
                let Some(found) = find_in(state, batch, wanted).await.map_err(|e| e.code())? else {
                    continue;
                };
                if found.offset >= upto {
                    return Ok(best);
                }
                best = Some((found, header.partition_leader_epoch));
                if matches!(search, Search::Time(_)) {
                    return Ok(best);
                }
            }
        }
        if next <= from || matches!(search, Search::Max) && best.is_some() {
            // The engine knows the frame with the largest timestamp: it is in what was read first.
            break;
        }
        from = next;
        state.pause().await;
    }
    Ok(best)
}

/// Looks into one batch, and lets others work between two steps.
async fn find_in(
    state: &State,
    batch: &[u8],
    wanted: Wanted,
) -> Result<Option<TimedOffset>, RecordError> {
    let mut search = TimeSearch::new(batch, wanted, DECOMPRESSED_BYTES_MAX)?;
    loop {
        match search.step(SEARCH_STEP)? {
            Searched::Done(found) => return Ok(found),
            Searched::More => {
                state.work.add(work::decompressed(SEARCH_STEP));
                state.pause().await;
            }
        }
    }
}

fn is_later(header: &BatchHeader, best: Option<&(TimedOffset, i32)>) -> bool {
    best.is_none_or(|(best, _)| header.max_timestamp > best.timestamp)
}
