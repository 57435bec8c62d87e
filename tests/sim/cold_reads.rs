//! Orders of cold reads and of what becomes of their logs meanwhile. Whoever waits for a read is told.

use crate::orders::world;
use crate::world::World;
use klamm::storage::format::segment;
use klamm::storage::log::LogConfig;
use klamm::storage::read::{Read, Ticket};
use klamm::types::{TopicId, TopicPartition};

const ONE: TopicPartition = TopicPartition { topic: TopicId([9; 16]), partition: 7 };
const OTHER: TopicPartition = TopicPartition { partition: 8, ..ONE };

/// Two logs, nearly all of which is on the disk alone, and a disk that reads once at a time.
fn cold_world(seed: u64) -> World {
    let mut world = world(seed, 64 << 10);
    (world.sizes.reads_at_once, world.sizes.read_ahead) = (4096, 0);
    for tp in [ONE, OTHER] {
        world.create(tp, LogConfig { segment_bytes: 4 << 20, ..LogConfig::none() }, true);
    }
    for _ in 0..200 {
        world.append(ONE, 1, 4000);
        world.append(OTHER, 1, 4000);
        world.settle();
    }
    assert!(world.stop());
    world.open(1, 0);
    leave_memory(&mut world);
    world
}

/// Others take all of the memory for a moment, and nothing that was read stays in it.
fn leave_memory(world: &mut World) {
    let left = world.budget.left();
    world.budget.charge(left);
    world.pass_time(1);
    world.budget.release(left);
}

/// Wants what is at several places of a log at once. One read is under way then, and the others wait for
/// their turn.
fn want_several(world: &mut World, tp: TopicPartition) -> Vec<Ticket> {
    let (shard, slot) = world.find(tp).expect("an open log");
    let upto = world.engines[shard].offsets(slot).durable_end;
    let mut tickets = Vec::new();
    for from in (0..upto).step_by(20) {
        if let Ok(Read::Wait(ticket)) = world.engines[shard].read(slot, from, upto, 1, true)
            && !tickets.contains(&ticket)
        {
            tickets.push(ticket);
        }
    }
    world.pump(shard);
    assert!(tickets.len() > 2, "{} reads are wanted", tickets.len());
    tickets
}

#[test]
fn who_waits_for_reads_of_a_log_that_is_cut_or_dropped_is_told_and_others_get_their_turn() {
    for seed in 0..10 {
        for cut in [false, true] {
            let mut world = cold_world(seed);
            let tickets = want_several(&mut world, ONE);
            world.late.extend(tickets.into_iter().map(|it| (0, it)));
            if cut {
                // Where it is cut nothing is to be read first.
                world.append(ONE, 1, 100);
                world.settle_elsewhere(segment::DIR);
                let last = world.model.logs[&ONE].current.last().expect("batches").base;
                assert!(world.truncate(ONE, last));
            } else {
                world.drop_log(ONE, false);
            }
            // The log changes while the disk reads.
            world.settle_elsewhere(segment::DIR);
            assert!(!world.late.iter().all(|it| world.filled.contains_key(it)), "it still reads");
            world.settle();
            leave_memory(&mut world);
            for ticket in want_several(&mut world, OTHER) {
                world.wait_for(0, ticket).expect("power").expect("it is read");
            }
        }
    }
}
