//! What `--memory` is divided into, and the arena that most of it is.
//!
//! A part of it that no arena knows are answers other than records, which wait for their clients: they take
//! pages of the arena when they are large, up to as much as requests may.

use super::scheduling;
use crate::config::{BrokerSettings, show_size};
use crate::storage::arena::{Arena, Populated};
use crate::storage::buffer::Budget;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// While memory is touched that nobody needs at once, so many times as long as it took.
const REST: u32 = 3;

/// The part of the memory that requests may take: a quarter.
pub fn of_requests(memory: u64) -> u64 {
    memory / 4
}

/// What the arena has: all of storage, and of requests the half that is for large frames. The other
/// half is for the small buffers of many connections, on the general heap (`broker::connection`).
fn of_arena(memory: u64) -> u64 {
    memory - of_requests(memory) / 2
}

/// Reserves the arena, and locks it where that is asked for. What the kernel refuses is one line in
/// the log: without the arena buffers come from the general heap, within the same budget.
pub fn reserve(settings: &BrokerSettings) -> Arc<Budget> {
    let bytes = of_arena(settings.memory) as usize;
    let limit = (settings.memory - of_requests(settings.memory)) as usize;
    let arena = match Arena::reserve(bytes, settings.shards) {
        Ok(arena) => arena,
        Err(e) => {
            tracing::warn!(
                "cannot reserve {} of address space ({e}): buffers come from the general heap, which \
                 is slower, and --lock-memory has no effect; see ulimit -v and vm.overcommit_memory",
                show_size(bytes as u64)
            );
            return Budget::new(limit);
        }
    };
    if !arena.huge() {
        tracing::info!("the kernel has no transparent huge pages: memory is touched by 4 KiB");
    }
    let locked = settings.lock_memory && lock(&arena);
    if !locked && let Err(e) = touch_ahead(&arena) {
        tracing::warn!("cannot start a thread: {e}; shards touch memory themselves");
    }
    Budget::of_arena(limit, arena)
}

/// Starts a thread that touches memory ahead of its use, for as long as the process runs. It may share the
/// processor of a shard, which goes first, and it rests while nobody is short of memory.
fn touch_ahead(arena: &Arc<Arena>) -> io::Result<()> {
    let of_helper = arena.clone();
    let work = move || {
        scheduling::run_when_idle();
        std::thread::park();
        loop {
            let begun = Instant::now();
            match of_helper.populate() {
                Ok(Populated::All) => std::thread::park(),
                Ok(Populated::Enough) => std::thread::park_timeout(begun.elapsed() * REST),
                Ok(Populated::Short) => {}
                Err(_) => return of_helper.not_helped(),
            }
        }
    };
    let helper = std::thread::Builder::new().name("klamm-memory".to_owned()).spawn(work)?;
    arena.helped_by(helper.thread().clone());
    helper.thread().unpark();
    Ok(())
}

/// Whether that went well.
fn lock(arena: &Arena) -> bool {
    let begun = Instant::now();
    let bytes = arena.reserved() as u64;
    let locked = arena.lock();
    match &locked {
        Ok(()) => {
            let ms = begun.elapsed().as_millis() as u64;
            tracing::info!(memory = show_size(bytes), ms, "locked");
        }
        Err(e) => tracing::warn!(
            "cannot lock {} of memory: {e}; raise the limit (ulimit -l {}, LimitMEMLOCK={}K), without \
             it memory is touched as it is needed",
            show_size(bytes),
            (bytes >> 10) + (64 << 10),
            (bytes >> 10) + (64 << 10),
        ),
    }
    locked.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arena_and_small_buffers_are_the_memory() {
        let memory = 1 << 30;
        let small = of_requests(memory) / 2;
        assert_eq!(of_arena(memory) + small, memory);
        // Storage fits in with all large frames.
        assert_eq!(of_arena(memory), memory / 4 * 3 + of_requests(memory) / 2);
    }
}
