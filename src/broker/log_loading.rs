//! Where coordinators are, reading the log of a coordinator's state from its start to its end, and appending to it.

use super::calls::AppendBatches;
use super::logs::Logs;
use super::state::State;
use super::work;
use crate::broker::api::data::{AppendRequest, ReadRequest};
use crate::controller::Topic;
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::records::{
    BatchBuilder, BatchHeader, Compression, DECOMPRESSED_BYTES_MAX, Record, batches, records,
};
use bytes::Bytes;
use futures_lite::FutureExt;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

/// What is not known to be committed yet is waited for so long, ms, again and again.
const COMMITTED_MS: i64 = 10;
/// After an error a log is loaded again; the pause doubles from here, ms.
const RELOAD_MS: i64 = 1000;
/// The longest pause, ms.
const RELOAD_MS_MAX: i64 = 60_000;

/// The partitions that have a coordinator here, with the epoch in which they are led.
type Epochs = BTreeMap<TopicPartition, i32>;

impl State {
    /// Takes in which partitions of a topic of coordinators are led here: those that were until now, in that epoch,
    /// and those that are from now on.
    pub(super) fn coordinators_moved(
        &self,
        topic: Option<&Arc<Topic>>,
        epochs: &RefCell<Epochs>,
    ) -> (Vec<TopicPartition>, Epochs) {
        let mut led = Epochs::new();
        let logs = self.logs.borrow();
        for (topic, n) in topic.iter().flat_map(|it| (0..it.partitions.len()).map(|n| (it.id, n))) {
            let tp = TopicPartition { topic, partition: n as i32 };
            if let Some((_, core)) = logs.core(tp).filter(|(_, core)| core.leads()) {
                led.insert(tp, core.leader_epoch());
            }
        }
        let before = epochs.replace(led.clone());
        let gone = before.iter().filter(|(tp, epoch)| led.get(tp) != Some(epoch));
        let gone = gone.map(|(tp, _)| *tp).collect();
        led.retain(|tp, epoch| before.get(tp) != Some(epoch));
        (gone, led)
    }

    /// Loads such a log, and again where that fails, until it does not, or its coordinator is another one by then, which `broken`
    /// tells before the pause and `again` behind it: what was loaded before the error is not to be loaded twice.
    pub(super) async fn load_again_and_again(
        &self,
        what: &str,
        load: impl AsyncFn() -> Result<(), String>,
        broken: impl Fn() -> bool,
        again: impl Fn() -> bool,
    ) {
        let mut pause_ms = RELOAD_MS;
        while let Err(why) = load().await {
            let seconds = pause_ms / 1000;
            tracing::error!("{what} cannot be loaded, next try in {seconds} s: {why}");
            if !broken() {
                return;
            }
            self.sleep(pause_ms).await;
            pause_ms = (pause_ms * 2).min(RELOAD_MS_MAX);
            if !again() {
                return;
            }
        }
    }

    /// Whether such a log has nothing, and nothing can be committed in it that is not known here.
    pub(super) fn is_empty_log(&self, tp: TopicPartition) -> bool {
        let look = |logs: &mut Logs| {
            logs.core(tp).is_some_and(|(_, core)| {
                core.log_end() == core.log_start() && core.latest_is_known()
            })
        };
        self.read_logs(look)
    }

    /// Reads all of a log that is led here, so many bytes at once, and gives `each` its batches, in order, with
    /// the log's start as of the beginning: records below that do not count. Ends early as soon as it is not
    /// `wanted` any more. The number that `each` has counted. A panic in it is an error, too.
    pub(super) async fn read_whole_log(
        self: &Rc<Self>,
        tp: TopicPartition,
        max_bytes: usize,
        wanted: impl Fn() -> bool,
        each: impl AsyncFnMut(&BatchHeader, &[u8], i64) -> Result<u64, String>,
    ) -> Result<u64, String> {
        let loading = AssertUnwindSafe(self.read_batches(tp, max_bytes, wanted, each));
        loading.catch_unwind().await.unwrap_or_else(|_| {
            self.panicked();
            Err("a bug in loading it".to_owned())
        })
    }

    /// Gives `replay` the records of a batch from the log's start on, in order; how many. Pauses after each.
    pub(super) async fn replay_batch(
        &self,
        header: &BatchHeader,
        batch: &[u8],
        start: i64,
        mut replay: impl FnMut(&Record<'_>) -> Result<(), String>,
    ) -> Result<u64, String> {
        if header.is_control() {
            return Ok(0);
        }
        let mut count = 0;
        let all = records(batch, DECOMPRESSED_BYTES_MAX).map_err(|e| e.to_string())?;
        for record in &all {
            let record = record.map_err(|e| format!("a batch at {}: {e}", header.base_offset))?;
            if record.offset >= start {
                replay(&record)
                    .map_err(|e| format!("the record at offset {}: {e}", record.offset))?;
                self.work.add(work::bytes(record.value.map_or(0, <[u8]>::len)));
                count += 1;
            }
            self.pause().await;
        }
        Ok(count)
    }

    /// Appends a coordinator's record to a log of this shard. `then` is told its offset when it is committed, however long
    /// that takes, or the error when it never will be.
    pub(super) fn append_record(
        self: &Rc<Self>,
        tp: TopicPartition,
        (key, value): (&[u8], Option<&[u8]>),
        then: impl FnOnce(&Rc<Self>, Result<i64, ErrorCode>) + 'static,
    ) {
        let max_bytes = {
            let image = self.image_now();
            image.topic_by_id(tp.topic).map_or(0, |it| it.config.max_message_bytes as usize)
        };
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(self.wall_ms(), Some(key), value, &[]);
        self.work.add(work::bytes(builder.len()));
        let batch = Bytes::from(builder.build());
        let header = match BatchHeader::parse(&batch) {
            Ok(header) if batch.len() <= max_bytes => header,
            _ => return then(self, Err(ErrorCode::MESSAGE_TOO_LARGE)),
        };
        let append = AppendRequest::new(0, tp, batch, header);
        let call = AppendBatches {
            batches: vec![append],
            routed: self.mark(),
            committed_by_ms: Some(i64::MAX),
        };
        let state = self.clone();
        self.ask(self.id, call, move |reply| {
            let Some(it) = reply.and_then(|mut it| it.results.pop()) else { return };
            then(&state, if it.error.is_err() { Err(it.error) } else { Ok(it.base_offset) });
        });
    }

    async fn read_batches(
        self: &Rc<Self>,
        tp: TopicPartition,
        max_bytes: usize,
        wanted: impl Fn() -> bool,
        mut each: impl AsyncFnMut(&BatchHeader, &[u8], i64) -> Result<u64, String>,
    ) -> Result<u64, String> {
        // What was committed before this epoch is what the state is: it is all there when the watermark has come to
        // where the epoch begins.
        let look = || {
            let core = self.logs.borrow();
            let core = core.core(tp).map(|(_, core)| (core.log_start(), core.latest_is_known()));
            core.filter(|_| wanted())
        };
        let start = loop {
            match look() {
                Some((start, true)) => break start,
                Some((_, false)) => self.sleep(COMMITTED_MS).await,
                None => return Ok(0),
            }
        };
        let (mut offset, mut count) = (start, 0);
        loop {
            let read = ReadRequest::of_leader(tp, offset, max_bytes);
            let result = self.read_one(&read, max_bytes, true).await;
            if result.error.is_err() {
                return Err(result.error.to_string());
            }
            if result.slices.is_empty() {
                return Ok(count);
            }
            let from = offset;
            for slice in &result.slices {
                for (header, batch) in batches(slice) {
                    count += each(&header, batch, start).await?;
                    offset = header.next_offset();
                }
            }
            if offset == from {
                return Err(format!("there is no whole batch at {offset}"));
            }
        }
    }
}
