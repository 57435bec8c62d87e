//! Reading the log of a coordinator's state from its start to its end.

use super::logs::Logs;
use super::state::State;
use crate::broker::api::data::ReadRequest;
use crate::types::TopicPartition;
use crate::wire::records::{BatchHeader, batches};
use std::rc::Rc;

/// What is not known to be committed yet is waited for so long, ms, again and again.
const COMMITTED_MS: i64 = 10;

impl State {
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
    /// `wanted` any more. The number that `each` has counted.
    pub(super) async fn read_whole_log(
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
