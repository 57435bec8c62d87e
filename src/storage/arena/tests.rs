//! The arena beside a naive model, and on several threads.

use super::super::buffer::{AlignedBuf, Budget, Filling};
use super::free_pages::FreePages;
use super::*;
use crate::types::rng::Rng;
use bytes::Bytes;
use std::collections::VecDeque;

/// Pages as a list: free or not.
struct Naive(Vec<bool>);

impl Naive {
    fn take(&mut self, n: usize) -> Option<u32> {
        let first = self.0.windows(n).position(|range| range.iter().all(|free| *free))?;
        self.0[first..first + n].fill(false);
        Some(first as u32)
    }

    fn give(&mut self, first: u32, n: u32) {
        self.0[first as usize..(first + n) as usize].fill(true);
    }

    fn longest(&self) -> u32 {
        self.0.split(|free| !free).map(<[bool]>::len).max().unwrap_or(0) as u32
    }
}

#[test]
fn ranges_are_those_of_a_naive_search() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let pages = 1 + rng.below(1500) as u32;
        let (mut free, mut naive) = (FreePages::new(pages), Naive(vec![true; pages as usize]));
        let mut held: Vec<(u32, u32)> = Vec::new();
        let mut touched = 0;
        for _ in 0..400 {
            if !held.is_empty() && rng.below(5) < 2 {
                let (first, n) = held.swap_remove(rng.index(held.len()));
                free.give(first, n);
                naive.give(first, n);
            } else {
                // Most are short; some are longer than a word, some than everything.
                let most = [3, 70, 300, u64::from(pages) + 1][rng.index(4)];
                let n = 1 + rng.below(most) as u32;
                let first = free.take(n);
                assert_eq!(first, naive.take(n as usize), "seed {seed}: the lowest range of {n}");
                if let Some(first) = first {
                    held.push((first, n));
                    touched = touched.max(first + n);
                }
            }
            let in_use: u32 = held.iter().map(|(_, n)| n).sum();
            assert_eq!(
                (free.in_use(), free.longest(), free.touched()),
                (in_use, naive.longest(), touched),
                "seed {seed}"
            );
        }
        for (first, n) in held.drain(..) {
            free.give(first, n);
        }
        assert_eq!(free.take(pages), Some(0), "seed {seed}: one range again");
    }
}

#[test]
#[should_panic(expected = "not as they should be")]
fn what_is_given_back_twice_is_noticed() {
    let mut free = FreePages::new(100);
    assert_eq!(free.take(70), Some(0));
    free.give(0, 70);
    free.give(69, 1);
}

#[test]
fn what_was_given_back_last_is_used_next() {
    let arena = Arena::reserve(64 << 20, 1).expect("address space");
    let budget = Budget::of_arena(64 << 20, arena.clone());
    let _cached = AlignedBuf::zeroed(1 << 20, &budget);
    let mut addresses = Vec::new();
    for _ in 0..100 {
        let receive = Filling::new(130_000, &budget);
        addresses.push(receive.as_slice().as_ptr());
    }
    addresses.dedup();
    assert_eq!(addresses.len(), 1);
    assert_eq!(arena.figures().touched, (1 << 20) + 131_072);
}

#[test]
fn a_range_costs_its_own_pages() {
    let arena = Arena::reserve(8 << 20, 1).expect("address space");
    let budget = Budget::of_arena(8 << 20, arena.clone());
    let held = (AlignedBuf::zeroed((1 << 20) + 1, &budget), Filling::new(1, &budget));
    let pages = (257 + 1) * ALIGN;
    assert_eq!((budget.used(), arena.figures().in_use), (pages, pages as u64));
    drop(held);
    assert_eq!((budget.used(), arena.figures().in_use), (0, 0));
}

#[test]
fn a_shard_may_use_what_others_do_not() {
    let arena = Arena::reserve(8 << 20, 4).expect("address space");
    let budget = Budget::of_arena(8 << 20, arena.clone());
    let all: Vec<_> = (0..8).map(|_| AlignedBuf::zeroed(1 << 20, &budget.on_shard(2))).collect();
    let figures = arena.figures();
    assert_eq!((figures.in_use, figures.outside), (8 << 20, 0));
    // Beyond it there is the heap.
    let more = AlignedBuf::zeroed(5000, &budget);
    assert_eq!((arena.figures().outside, budget.used()), (8192, (8 << 20) + 8192));
    drop((all, more));
    let figures = arena.figures();
    assert_eq!((figures.in_use, figures.outside, figures.outside_total), (0, 0, 1));
    // A range does not cross from one part into the next, and is there all the same.
    let long = AlignedBuf::zeroed(3 << 20, &budget);
    assert_eq!((long.len(), arena.figures().outside), (3 << 20, 3 << 20));
}

#[test]
fn a_buffer_keeps_the_memory_where_it_is() {
    let arena = Arena::reserve(4 << 20, 1).expect("address space");
    let budget = Budget::of_arena(4 << 20, arena);
    let slice = AlignedBuf::copy_of(&[9; 10], &budget).freeze().slice(3..6);
    drop(budget);
    assert_eq!(&slice[..], [9; 3]);
}

/// Buffers are filled on one thread and checked and dropped on another, while both shards take more.
#[test]
fn what_other_threads_drop_comes_home() {
    const ROUNDS: u64 = 20_000;
    let arena = Arena::reserve(16 << 20, 2).expect("address space");
    let budget = Budget::of_arena(16 << 20, arena.clone());
    let (to, from): (Vec<_>, Vec<_>) =
        (0..2).map(|_| std::sync::mpsc::sync_channel::<(u8, Bytes)>(64)).unzip();
    std::thread::scope(|scope| {
        for (shard, from) in from.into_iter().enumerate() {
            let (to, budget) = (to[1 - shard].clone(), budget.on_shard(shard));
            scope.spawn(move || {
                let mut rng = Rng::new(shard as u64);
                let mut own = VecDeque::new();
                let check = |(fill, bytes): (u8, Bytes)| {
                    assert!(bytes.iter().all(|b| *b == fill), "memory of two buffers overlaps");
                };
                for round in 0..ROUNDS {
                    let fill = rng.below(256) as u8;
                    let mut filling = Filling::new(1 + rng.below(40_000) as usize, &budget);
                    filling.push(&[fill; 4096]);
                    let buffer = (fill, filling.into_filled().freeze());
                    if rng.below(2) == 0 {
                        own.push_back(buffer);
                    } else if let Err(std::sync::mpsc::TrySendError::Full(back)) =
                        to.try_send(buffer)
                    {
                        check(back);
                    }
                    if own.len() > 20 {
                        own.pop_front().into_iter().for_each(check);
                    }
                    if round % 3 == 0 {
                        from.try_iter().for_each(check);
                    }
                }
                drop(to);
                own.into_iter().for_each(check);
                from.try_iter().for_each(check);
            });
        }
        drop(to);
    });
    let figures = arena.figures();
    assert_eq!((budget.used(), figures.in_use, figures.outside), (0, 0, 0));
    for part in &arena.parts {
        assert_eq!(arena.locked(part).longest(), 2048, "all in one range again");
    }
}

#[test]
fn pages_wait_as_strays_while_their_part_is_locked() {
    let arena = Arena::reserve(2 << 20, 1).expect("address space");
    let budget = Budget::of_arena(2 << 20, arena.clone());
    let buffers = [1, 5, 2].map(|pages| AlignedBuf::zeroed(pages * ALIGN, &budget));
    let locked = arena.parts[0].free.lock().unwrap();
    drop(buffers);
    assert_eq!((locked.in_use(), budget.used()), (8, 0));
    drop(locked);
    assert_eq!(arena.figures().in_use, 0);
    assert_eq!(arena.take(0, 512).map(|at| at == arena.mapping.start()), Some(true));
}

#[test]
fn locked_memory_is_touched_or_the_limit_is_named() {
    let arena = Arena::reserve(6 << 20, 2).expect("address space");
    assert_eq!(arena.figures().touched, 0);
    match arena.lock() {
        Ok(()) => assert_eq!(arena.figures().touched, 6 << 20),
        Err(e) => {
            let known = [libc::ENOMEM, libc::EPERM, libc::EAGAIN];
            assert!(known.iter().any(|it| e.raw_os_error() == Some(*it)), "{e}");
        }
    }
}

fn populate(arena: &Arena) -> io::Result<()> {
    while arena.populate()? != Populated::All {}
    Ok(())
}

#[test]
fn memory_is_ready_a_little_ahead_of_its_use() {
    let arena = Arena::reserve(32 << 20, 2).expect("address space");
    let budget = Budget::of_arena(32 << 20, arena.clone());
    let touched = || arena.figures().touched;
    if populate(&arena).is_err() {
        // Before Linux 5.14.
        return;
    }
    assert_eq!(touched(), 2 * (4 << 20), "the first of each part");
    let held = AlignedBuf::zeroed(5 << 20, &budget);
    populate(&arena).expect("once it could");
    assert_eq!(touched(), (10 << 20) + (4 << 20));
    // No part is touched beyond its end.
    let more = AlignedBuf::zeroed(10 << 20, &budget);
    populate(&arena).expect("once it could");
    assert_eq!(touched(), (16 << 20) + (4 << 20));
    let (end, ahead) = (arena.locked(&arena.parts[0]).touched(), &arena.parts[0].ahead);
    assert!(!ahead.is_wanted(end) && !ahead.is_wanted(16 << 8), "nothing is left to touch");
    drop((held, more));
    // What a shard was faster with is none of the helper's.
    let rest = AlignedBuf::zeroed(16 << 20, &budget.on_shard(1));
    populate(&arena).expect("once it could");
    assert!(!arena.parts[1].ahead.is_wanted(16 << 8));
    drop(rest);
}

#[test]
fn a_part_that_is_short_comes_before_one_that_could_have_more() {
    let arena = Arena::reserve(256 << 20, 2).expect("address space");
    let budget = Budget::of_arena(256 << 20, arena.clone());
    if populate(&arena).is_err() {
        return;
    }
    let held = AlignedBuf::zeroed(1 << 20, &budget);
    assert!(arena.parts[0].ahead.is_welcome(1 << 8));
    let more = AlignedBuf::zeroed(3 << 20, &budget.on_shard(1));
    assert!(arena.parts[1].ahead.is_short(3 << 8));
    let before = arena.parts[1].ahead.populated();
    assert_eq!(arena.populate().expect("once it could"), Populated::Enough);
    assert!(arena.parts[1].ahead.populated() > before);
    populate(&arena).expect("once it could");
    assert!(!arena.parts[0].ahead.is_welcome(1 << 8));
    drop((held, more));
}

#[test]
fn the_helper_is_woken_once_and_again_after_it_has_looked() {
    let arena = Arena::reserve(64 << 20, 1).expect("address space");
    let ahead = &arena.parts[0].ahead;
    assert_eq!([ahead.is_wanted(1), ahead.is_wanted(1)], [true, false]);
    if populate(&arena).is_ok() {
        let pages = (4 << 20) / ALIGN as u32;
        assert_eq!([ahead.is_wanted(1), ahead.is_wanted(pages / 2)], [false, false]);
        assert_eq!([ahead.is_wanted(pages / 2 + 1), ahead.is_wanted(pages)], [true, false]);
    }
}

#[test]
fn half_of_what_is_touched_ahead_is_left_to_those_that_cannot_do_without() {
    let arena = Arena::reserve(64 << 20, 1).expect("address space");
    let budget = Budget::of_arena(64 << 20, arena.clone());
    assert!(budget.spare(1 << 30), "nobody touches memory ahead");
    if populate(&arena).is_err() {
        return;
    }
    arena.helped_by(std::thread::current());
    let first = AlignedBuf::zeroed(1 << 20, &budget);
    assert!(!budget.spare((1 << 20) + 1));
    assert!(budget.spare(1 << 20));
    assert!(!budget.spare(1));
    let second = AlignedBuf::zeroed(2 << 20, &budget);
    drop((first, second));
    assert!(!budget.spare(1), "what comes and goes touches new memory");
    populate(&arena).expect("once it could");
    assert!(budget.spare(1 << 20));
    let all = AlignedBuf::zeroed(64 << 20, &budget);
    assert!(!budget.spare(1));
    drop(all);
}

#[test]
fn no_more_address_space_than_there_is() {
    assert!(Arena::reserve(usize::MAX / 2, 1).is_err());
}
