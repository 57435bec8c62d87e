//! The metadata log over a disk that loses power, tears writes and fails: nothing that was
//! acknowledged is lost, and nothing is there that was not proposed.

use super::core::Controller;
use super::open::{MetaError, OpenOptions};
use super::quorum::Persist;
use super::record::Record;
use super::tests::{Model, options, partitions, started, topic};
use crate::storage::device::disk::Disk;
use crate::storage::device::io::Op;
use crate::storage::device::sim_disk::{Fault, Rng, SimDisk};
use crate::types::TopicId;

const SEEDS: u64 = 2_000;

/// What the disk may hold: everything acknowledged, and some beginning of what was not.
struct Possible(Vec<Model>);

impl Possible {
    /// A batch begins to be written: it will be there, or not.
    fn maybe(&mut self, records: &[Record]) {
        let mut last = self.0.last().expect("never empty").clone();
        for record in records {
            last.apply(record);
        }
        self.0.push(last);
    }

    /// Everything that began to be written was acknowledged.
    fn all(&mut self) {
        self.0.drain(..self.0.len() - 1);
    }

    /// A start that may have failed raised the epochs, or not.
    fn maybe_started(&mut self) {
        let raised: Vec<Model> = self.0.iter().map(after_start).collect();
        for model in raised {
            if !self.0.contains(&model) {
                self.0.push(model);
            }
        }
    }

    /// A start succeeded, and found this.
    fn found(&mut self, model: Model) {
        let known = self.0.iter().any(|it| after_start(it) == model);
        assert!(known, "lost or invented: {model:#?}\nmay be, before the start: {:#?}", self.0);
        self.0 = vec![model];
    }
}

fn after_start(model: &Model) -> Model {
    let mut model = model.clone();
    model.apply(&started());
    model
}

fn batch(rng: &mut Rng, next: &mut u32) -> Vec<Record> {
    let old = |rng: &mut Rng, next: u32| TopicId([rng.below(u64::from(next).max(1)) as u8; 16]);
    (0..rng.between(1, 3))
        .map(|_| match rng.below(10) {
            0..4 if *next < 250 => {
                *next += 1;
                topic(*next as u8, rng.between(1, 20) as usize)
            }
            4 => Record::TopicDeleted { id: old(rng, *next) },
            5 => Record::TopicForgotten { id: old(rng, *next) },
            6 => Record::PartitionsAdded { id: old(rng, *next), partitions: partitions(2) },
            7 => {
                let value = "x".repeat(rng.below(20_000) as usize);
                let settings = vec![("nonsense".to_owned(), Some(value))];
                Record::TopicConfigSet { id: old(rng, *next), settings }
            }
            _ => Record::ProducerIdsTaken { count: 1000 },
        })
        .collect()
}

/// Writes; sometimes there is no space for a new log and its snapshot, and they are given up at any point.
fn carry_out(
    disk: &Disk,
    rng: &mut Rng,
    controller: &mut Controller,
    persist: Persist,
) -> Option<()> {
    let Persist { ops, ticket, undo } = persist;
    let renames = ops.iter().position(|it| matches!(it, Op::Rename { .. }));
    let undo = undo.filter(|_| rng.chance(30));
    let given_up = undo.as_ref().map(|_| rng.below(renames.expect("a snapshot") as u64) as usize);
    for op in ops.into_iter().take(given_up.unwrap_or(usize::MAX)) {
        disk.run(op).ok()?;
    }
    let Some(undo) = undo else {
        controller.persisted(ticket);
        return Some(());
    };
    for op in undo {
        disk.run(op).ok()?;
    }
    controller.not_replaced(ticket);
    Some(())
}

/// Runs a controller until its disk fails.
fn serve(
    disk: &Disk,
    rng: &mut Rng,
    possible: &mut Possible,
    next: &mut u32,
    batches: u64,
) -> Option<()> {
    let before = possible.0.len();
    possible.maybe_started();
    let controller =
        match Controller::open(disk, &OpenOptions { log_bytes_max: 40_000, ..options() }) {
            Ok((controller, image)) => {
                image.invariants();
                possible.0.truncate(before);
                possible.found(Model::of(&image));
                Ok(controller)
            }
            Err(error) => Err(error),
        };
    let mut controller = match controller {
        Ok(controller) => controller,
        Err(MetaError::Io { .. }) => return None,
        Err(error) => panic!("a crash looks like damage: {error}"),
    };
    for _ in 0..batches {
        for _ in 0..rng.between(1, 3) {
            let records = batch(rng, next);
            possible.maybe(&records);
            controller.propose(&records);
        }
        // What is written now is whole or not there, in order; the rest waits.
        while let Some(persist) = controller.ready() {
            carry_out(disk, rng, &mut controller, persist)?;
            while rng.chance(50)
                && let Some([write, sync]) = controller.wanted_room()
            {
                let made = !rng.chance(20);
                if made {
                    disk.run(write).and_then(|_| disk.run(sync)).ok()?;
                }
                controller.made_room(made);
            }
        }
        possible.all();
        assert_eq!(Model::of(&controller.image()), possible.0[0]);
    }
    Some(())
}

fn run(seed: u64) -> u64 {
    let sim = SimDisk::new(seed);
    let disk = Disk::Sim(sim.clone());
    let mut rng = Rng::new(seed);
    let mut possible = Possible(vec![Model::default()]);
    let mut next = 0;
    for _ in 0..rng.between(2, 12) {
        match rng.below(4) {
            0 => sim.set_fuel(None),
            1 => sim.set_fault(Some(Fault {
                kind: None,
                prefix: "meta".to_owned(),
                skip: rng.below(60),
                count: 1,
            })),
            _ => sim.set_fuel(Some(rng.below(80))),
        }
        let batches = rng.below(8);
        let _ = serve(&disk, &mut rng, &mut possible, &mut next, batches);
        if rng.chance(30) && !sim.is_off() {
            sim.process_crash();
        } else {
            sim.power_cut();
        }
        sim.restart();
    }
    // In the end, a start without trouble finds it all.
    serve(&disk, &mut rng, &mut possible, &mut next, 1).expect("nothing fails any more");
    sim.trace_hash()
}

#[test]
fn survives_power_cuts_and_io_errors() {
    for seed in 0..SEEDS {
        let result = std::panic::catch_unwind(|| run(seed));
        assert!(result.is_ok(), "seed {seed} failed");
    }
}

#[test]
fn a_seed_replays_exactly() {
    assert_eq!(run(7), run(7));
}
