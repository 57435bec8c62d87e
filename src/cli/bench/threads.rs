//! Running the parts of a load in threads.

use super::machine::Cpus;
use crate::cli::CliError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

/// What a thread counted, and how it ended.
pub type Ended<T> = (T, Result<(), CliError>);

/// Runs each part in a thread of its own, tied to its core. One that fails sets `stop`, for the
/// others to see. Meanwhile `watch` runs here; it is to return when what it is given says that all
/// have ended. Gives what each part came to, in order, and what `watch` returned.
pub fn run_all<P, T, W>(
    parts: Vec<P>,
    cpus: &Cpus,
    stop: &AtomicBool,
    work: impl Fn(usize, P, &mut T) -> Result<(), CliError> + Sync,
    watch: impl FnOnce(&dyn Fn() -> bool) -> W,
) -> (Vec<Ended<T>>, W)
where
    P: Send,
    T: Default + Send,
{
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<ScopedJoinHandle<'_, Ended<T>>> = parts
            .into_iter()
            .enumerate()
            .map(|(i, part)| {
                scope.spawn(move || {
                    let mut tally = T::default();
                    let result = cpus.pin(i).and_then(|()| work(i, part, &mut tally));
                    if result.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    (tally, result)
                })
            })
            .collect();
        let watched = watch(&|| threads.iter().all(ScopedJoinHandle::is_finished));
        let join = |t: ScopedJoinHandle<'_, Ended<T>>| t.join().expect("threads do not panic");
        (threads.into_iter().map(join).collect(), watched)
    })
}
