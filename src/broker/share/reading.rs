//! Reads for members of share groups: what a member gets is acquired for it.

use super::placed::PlacedShare;
use crate::broker::api::data::{ReadRequest, ReadResult};
use crate::broker::calls::{ShardId, ShareRead, ShareRecords, Waiter};
use crate::broker::reply_to::ReplyTo;
use crate::broker::state::{Phase, State};
use crate::broker::waiting::Waiting;
use crate::broker::waits::Hears;
use crate::replica::AbortedTransaction;
use crate::share::{LogBatch, Room};
use crate::types::{ErrorCode, ShareConfig};
use crate::wire::records::{BatchHeader, batches};
use bytes::Bytes;
use futures_lite::FutureExt;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// Batches without a record for anybody are passed over; after so many reads of such, others have their turn.
const PASSES_MAX: usize = 16;

/// What is read of one share-partition.
struct Reading {
    /// Its place in the request.
    index: u32,
    /// At most so many bytes, but for the first batch where this is the first partition with something.
    max_bytes: usize,
    is_first: bool,
    /// At most so many records.
    room: Room,
}

/// What came of a look at one share-partition.
enum Got {
    /// Something to send.
    Records(ShareRecords),
    /// Nothing now; this was read, and more may come behind it.
    Nothing(Option<(ReadRequest, ReadResult)>),
}

/// The batches of what was read, as the share group sees them.
fn log_batches(result: &ReadResult) -> Vec<LogBatch> {
    let mut aborted: Vec<AbortedTransaction> = result.aborted.clone();
    aborted.sort_unstable_by_key(|it| it.first);
    let (mut next, mut open) = (aborted.iter().peekable(), BTreeSet::new());
    let mut all = Vec::new();
    let headers = result.slices.iter().flat_map(|it| batches(it)).map(|(header, _)| header);
    for header in headers {
        while let Some(it) = next.next_if(|it| it.first <= header.last_offset()) {
            open.insert(it.producer_id);
        }
        let of_aborted = header.is_transactional() && open.contains(&header.producer_id);
        if header.is_control() {
            open.remove(&header.producer_id);
        }
        all.push(LogBatch {
            first: header.base_offset,
            last: header.last_offset(),
            is_wanted: !header.is_control() && !of_aborted,
        });
    }
    all
}

/// Of whole batches, those that have something of these offsets.
fn cut(slices: &[Bytes], first: i64, last: i64) -> Vec<Bytes> {
    let mut kept = Vec::with_capacity(slices.len());
    for slice in slices {
        let (mut at, mut from, mut to) = (0, None, 0);
        for (header, batch) in batches(slice) {
            let header: BatchHeader = header;
            if header.last_offset() >= first && header.base_offset <= last {
                from.get_or_insert(at);
                to = at + batch.len();
            }
            at += batch.len();
        }
        if let Some(from) = from {
            kept.push(slice.slice(from..to));
        }
    }
    kept
}

impl State {
    pub(in crate::broker) fn serve_share_read(
        self: &Rc<Self>,
        call: ShareRead,
        asker: ShardId,
        to: ReplyTo<ShareRead>,
    ) {
        let hears = Hears::Call(asker, to.number().unwrap_or(call.number));
        let state = self.clone();
        self.start(async move { to.reply(state.share_read(call, hears).await) });
    }

    /// Reads, and waits until there is something, or nobody waits any more.
    async fn share_read(self: &Rc<Self>, call: ShareRead, hears: Hears) -> Vec<ShareRecords> {
        let wait = Waiting::begin(self, hears);
        let waiter = Waiter { id: wait.id(), min_bytes: 1, alone: true };
        let mut joined: Vec<Rc<PlacedShare>> = Vec::new();
        let found = loop {
            wait.more.lower();
            // They may have changed since it began to wait.
            let config = self.share_config(&call.group);
            let (mut found, mut reads, mut results) = (Vec::new(), Vec::new(), Vec::new());
            let (mut bytes, mut records) = (0, 0);
            for &(index, tp) in &call.partitions {
                let room = Room {
                    records: call.room.records.saturating_sub(records),
                    locks: config.locks,
                    ..call.room
                };
                let left = call.max_bytes.saturating_sub(bytes);
                if room.records == 0 || (left == 0 && bytes > 0) {
                    break;
                }
                // It may have to be loaded, from a coordinator that is to be found first.
                let placed = async { Some(self.share_partition(&call.group, tp).await) };
                let over = async {
                    wait.over.raised().await;
                    None
                };
                let placed = match placed.or(over).await {
                    Some(Ok(placed)) => placed,
                    Some(Err(error)) => {
                        found.push(ShareRecords::failed(index, error));
                        continue;
                    }
                    None => break,
                };
                placed.holders.borrow_mut().insert(call.holder.clone());
                if placed.waiters.borrow_mut().insert(wait.id()) {
                    joined.push(placed.clone());
                }
                let read = Reading { index, max_bytes: left, is_first: bytes == 0, room };
                match self.share_acquire(&placed, &call.holder, &config, read).await {
                    Ok(Got::Records(it)) => {
                        bytes += it.bytes;
                        let taken = it.acquired.iter().map(|it| (it.last - it.first + 1) as usize);
                        records += taken.sum::<usize>();
                        found.push(it);
                    }
                    Ok(Got::Nothing(read)) => {
                        if let Some((read, result)) = read {
                            reads.push(read);
                            results.push(result);
                        }
                    }
                    Err(error) => found.push(ShareRecords::failed(index, error)),
                }
                self.pause().await;
            }
            let waits = self.phase.get() == Phase::Serving && !wait.over.is_raised();
            if !found.is_empty() || !waits {
                break found;
            }
            if !reads.is_empty() {
                if !self.subscribe(self.id, waiter, &reads, &results).await {
                    // There is more already.
                    self.pause().await;
                    continue;
                }
                wait.noted(self.id);
            }
            drop(results);
            wait.more.raised().or(wait.over.raised()).await;
            wait.forget();
        };
        for placed in joined {
            placed.waiters.borrow_mut().remove(&wait.id());
        }
        found
    }

    /// Reads where the group goes on, and acquires what is there.
    async fn share_acquire(
        self: &Rc<Self>,
        placed: &Rc<PlacedShare>,
        holder: &Arc<str>,
        config: &ShareConfig,
        reading: Reading,
    ) -> Result<Got, ErrorCode> {
        let Reading { index, max_bytes, is_first, room } = reading;
        let _turn = placed.reads.enter().await;
        let mut before = -1;
        for _ in 0..PASSES_MAX {
            let next = placed.with(|core| core.next_offset(room.locks));
            let Some(next) = next else {
                return Err(placed.ended.get().unwrap_or(ErrorCode::NOT_LEADER_OR_FOLLOWER));
            };
            let Some(offset) = next.filter(|it| *it > before) else { break };
            before = offset;
            let read = ReadRequest {
                index,
                committed: config.committed,
                ..ReadRequest::of_leader(placed.tp, offset, max_bytes)
            };
            let result = self.read_one(&read, max_bytes, is_first).await;
            if result.error == ErrorCode::OFFSET_OUT_OF_RANGE {
                // The log has lost its start, or, by an election that was not clean, its end.
                placed.with(|core| core.advance_to(result.log_start));
                self.keep_share(placed);
                continue;
            }
            if result.error.is_err() {
                return Err(result.error);
            }
            if result.slices.is_empty() {
                return Ok(Got::Nothing(Some((read, result))));
            }
            let found = log_batches(&result);
            self.work.add(found.len() as u64);
            let until_ms = self.monotonic_ms() + i64::from(config.lock_ms);
            let acquired = placed
                .with(|core| core.acquire(holder, offset, &found, room, until_ms))
                .ok_or(ErrorCode::NOT_LEADER_OR_FOLLOWER)?;
            self.keep_share(placed);
            if let (Some(first), Some(last)) = (acquired.first(), acquired.last()) {
                self.time_share(placed);
                let slices = cut(&result.slices, first.first, last.last);
                let bytes = slices.iter().map(Bytes::len).sum();
                let error = ErrorCode::NONE;
                return Ok(Got::Records(ShareRecords { index, error, acquired, slices, bytes }));
            }
        }
        Ok(Got::Nothing(None))
    }
}
