//! Simulators by seed: how many are run, from where, on how many threads, and which of them fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// No more seeds are run when so many have failed, or `KLAMM_FAILING_MAX`.
const FAILING_MAX: usize = 20;

/// A number from the environment.
///
/// # Panics
/// Where it is no number.
pub fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

/// How many failing seeds are enough for whoever runs them, where it is said: a mutant is caught by one.
pub fn failing_max() -> Option<usize> {
    variable("KLAMM_FAILING_MAX").map(|it| usize::try_from(it).unwrap_or(usize::MAX))
}

/// The seeds of one simulator, `KLAMM_<NAME>_SEEDS` of them from `KLAMM_<NAME>_FROM` on, divided over
/// `KLAMM_<NAME>_THREADS`.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    name: &'static str,
    from: u64,
    /// How many.
    pub count: u64,
}

impl Seeds {
    /// Those of a simulator, by its name in capitals; `usual` of them where the environment says nothing, and one where it
    /// asks for [one](Self::only).
    pub fn of(name: &'static str, usual: u64) -> Self {
        if let Some(seed) = Self::only(name) {
            return Self { name, from: seed, count: 1 };
        }
        let from = variable(&format!("KLAMM_{name}_FROM")).unwrap_or(0);
        let count = variable(&format!("KLAMM_{name}_SEEDS")).unwrap_or(usual);
        Self { name, from, count }
    }

    /// The one seed that `KLAMM_<NAME>_SEED` asks for, to be replayed and told.
    pub fn only(name: &str) -> Option<u64> {
        variable(&format!("KLAMM_{name}_SEED"))
    }

    /// Runs them all; what each came to, in any order, and those that have panicked.
    pub fn run<T: Send>(self, run: impl Fn(u64) -> T + Sync) -> (Vec<T>, Vec<u64>) {
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        let threads = variable(&format!("KLAMM_{}_THREADS", self.name)).unwrap_or_else(cores);
        let failing_max = failing_max().unwrap_or(FAILING_MAX);
        let next = AtomicU64::new(self.from);
        let (done, failing) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let enough = failing.lock().expect("no panic holds it").len() >= failing_max;
                if seed >= self.from + self.count || enough {
                    break;
                }
                if let Ok(it) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
                    done.lock().expect("no panic holds it").push(it);
                } else {
                    let name = self.name;
                    eprintln!("seed {seed} failed: KLAMM_{name}_SEED={seed} replays it");
                    failing.lock().expect("no panic holds it").push(seed);
                }
            }
        };
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        let mut failing = failing.into_inner().expect("no panic holds it");
        failing.sort_unstable();
        (done.into_inner().expect("no panic holds it"), failing)
    }

    /// As [`run`](Self::run), where none may fail.
    ///
    /// # Panics
    /// Where one fails: the message names those that have.
    pub fn all<T: Send>(self, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
        let (done, failing) = self.run(run);
        none_failed(&failing);
        done
    }
}

/// # Panics
/// Where there are some: the message names them.
pub fn none_failed(failing: &[u64]) {
    let shown: Vec<String> = failing.iter().map(u64::to_string).collect();
    assert!(failing.is_empty(), "failing seeds: {}", shown.join(" "));
}
