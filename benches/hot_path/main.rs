//! Micro benches: each step that a request passes through, on its own.
//!
//! ```text
//! cargo bench --bench hot_path [-- FILTER]   times, by criterion
//! benches/instructions [CASE…]               instructions, by callgrind
//! benches/compare REV_A [REV_B]              either, of two commits
//! cargo test                                 runs each case once
//! ```
//!
//! For the scripts: `--cases` lists the cases, and `--count CASE` runs one as often as its line says
//! inside [`klamm_measured`], outside of which nothing is counted.

mod groups;
mod protocol;
mod routing;
mod storage;

use criterion::Criterion;
use std::time::{Duration, Instant};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Any moment.
const NOW_MS: i64 = 1_700_000_000_000;

/// A step, with what it needs.
trait Case {
    /// Makes what the next `runs` runs use up. Not measured.
    fn prepare(&mut self, _runs: usize) {}
    /// Does the step so many times.
    fn run(&mut self, runs: usize);
}

/// A line of the table.
struct Entry {
    name: &'static str,
    make: fn() -> Box<dyn Case>,
    /// The most runs between two calls of `prepare`.
    round: usize,
    /// Runs whose instructions are counted; 0 where the count would be chance.
    counted: usize,
}

const fn entry(
    name: &'static str,
    make: fn() -> Box<dyn Case>,
    round: usize,
    counted: usize,
) -> Entry {
    Entry { name, make, round, counted }
}

const CASES: &[Entry] = &[
    // Decode a Produce request, validate its batches.
    entry("produce-100x512B", || protocol::produce(100, 1, 512), 1_000, 50),
    entry("produce-1x127KiB", || protocol::produce(1, 126, 1024), 1_000, 50),
    // The answer to one.
    entry("produce-answer-100", || protocol::produce_answer(100), 200, 50),
    // The header of a frame around its payload.
    entry("frame-512B", || storage::frame(512), 100_000, 1_000),
    entry("frame-127KiB", || storage::frame(127 << 10), 10_000, 50),
    entry("frame-1MiB", || storage::frame(1 << 20), 1_000, 10),
    // Batches of that many logs in one journal block, from the append to `Done`.
    entry("append-100x512B", || storage::append(100, 1, 512), 256, 200),
    entry("append-4x127KiB", || storage::append(4, 126, 1024), 64, 60),
    // The same, and write-back into segments behind it.
    entry("append-place-100x512B", || storage::append_and_place(100, 1, 512), 10_000, 1_024),
    entry("append-place-4x127KiB", || storage::append_and_place(4, 126, 1024), 10_000, 128),
    // One such block, read and applied.
    entry("replay-100x512B", || storage::replay(100, 1, 512), 64, 64),
    entry("replay-4x127KiB", || storage::replay(4, 126, 1024), 64, 64),
    // One log of so many is written back, and a checkpoint taken of all.
    entry("checkpoint-10", || storage::checkpoint(10), 1_000, 20),
    entry("checkpoint-10000", || storage::checkpoint(10_000), 100, 2),
    // A mebibyte of a segment: in memory, and as the disk gives it. Frames of 127 KiB and 512 B.
    entry("read-cached-127KiB", || storage::read_cached(126, 1024, 4 << 20), 10_000, 100),
    entry("read-cached-512B", || storage::read_cached(1, 512, 4 << 20), 1_000, 50),
    entry("read-cold-127KiB", || storage::read_cold(126, 1024, 16 << 20), 7, 14),
    entry("read-cold-512B", || storage::read_cold(1, 512, 12 << 20), 5, 10),
    // The answer to a Fetch of 100 partitions, each with so much: copied, sliced.
    entry("fetch-layout-100x512B", || protocol::fetch_layout(100, 512), 200, 50),
    entry("fetch-layout-100x16KiB", || protocol::fetch_layout(100, 16 << 10), 200, 50),
    // A whole Fetch in a session, without the reading.
    entry("fetch-session-100x512B", || protocol::fetch_session(100, 512), 1_000, 50),
    // Batches of a request by the shard that owns them; a request and its reply over the channels
    // of two shards, on one thread and between two.
    entry("route-owners-100", || routing::owners(100, 4), 200, 50),
    entry("route-channel", routing::channel, 1_000, 200),
    entry("route-threads", routing::threads, 10_000, 0),
    // A heartbeat among 1,000 members, of as many groups or of one.
    entry("heartbeat-1000-groups", || groups::heartbeat(1_000, 1), 1_000, 1_000),
    entry("heartbeat-1000-members", || groups::heartbeat(1, 1_000), 1_000, 1_000),
];

/// Where callgrind counts.
#[inline(never)]
#[unsafe(no_mangle)]
extern "Rust" fn klamm_measured(case: &mut dyn Case, runs: usize) {
    case.run(runs);
}

fn count(entry: &Entry) {
    let mut case = (entry.make)();
    // What is made once is made by then.
    let first = entry.counted.min(entry.round);
    case.prepare(first);
    case.run(first);
    let mut left = entry.counted;
    while left > 0 {
        let runs = left.min(entry.round);
        case.prepare(runs);
        klamm_measured(&mut *case, runs);
        left -= runs;
    }
}

fn time(entry: &Entry, case: &mut dyn Case, runs: usize) -> Duration {
    let (mut left, mut spent) = (runs, Duration::ZERO);
    while left > 0 {
        let runs = left.min(entry.round);
        case.prepare(runs);
        let begun = Instant::now();
        case.run(runs);
        spent += begun.elapsed();
        left -= runs;
    }
    spent
}

/// What criterion does without `--bench`, for any arguments that a test may get.
fn test(args: &[String]) {
    let words: Vec<_> = args.iter().filter(|it| !it.starts_with('-')).collect();
    let chosen = |it: &&Entry| words.is_empty() || words.iter().any(|word| it.name.contains(*word));
    for entry in CASES.iter().filter(chosen) {
        if args.iter().any(|it| it == "--list") {
            println!("{}: test", entry.name);
        } else {
            time(entry, &mut *(entry.make)(), 2);
            println!("{} runs", entry.name);
        }
    }
}

fn main() {
    // As in the broker.
    klamm::memory::keep();
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--cases"] => {
            CASES.iter().for_each(|it| println!("{} {}", it.name, it.counted));
        }
        ["--count", name] => match CASES.iter().find(|it| it.name == *name) {
            Some(entry) => count(entry),
            None => {
                eprintln!("hot_path: no case {name}; --cases lists them");
                std::process::exit(2);
            }
        },
        all if !all.contains(&"--bench") => test(&args),
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            for entry in CASES {
                let mut case = None;
                criterion.bench_function(entry.name, |bencher| {
                    let case = case.get_or_insert_with(entry.make);
                    bencher.iter_custom(|runs| time(entry, &mut **case, runs as usize));
                });
            }
            criterion.final_summary();
        }
    }
}

/// A batch of `records` records of `bytes` bytes each.
fn batch(records: usize, bytes: usize) -> bytes::Bytes {
    use klamm::wire::records::{BatchBuilder, Compression};
    let mut builder = BatchBuilder::new(Compression::None);
    for i in 0..records {
        let value: Vec<u8> = (0..bytes).map(|at| (at * 31 + i) as u8).collect();
        builder.push(NOW_MS, None, Some(&value), &[]);
    }
    builder.build().into()
}
