//! One member: a controller, and a disk that carries out its writes one after the other.

use klamm::controller::{Controller, MetaError, OpenOptions, Persist, Ticket};
use klamm::storage::device::disk::Disk;
use klamm::storage::device::io::Op;
use klamm::storage::device::sim_disk::SimDisk;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// So small that a log is often replaced, and that one who was away needs a snapshot.
const LOG_BYTES: u64 = 20_000;

/// A write on its way: the operations that are left, and when the next of them ends.
struct Writing {
    ops: VecDeque<Op>,
    ticket: Ticket,
    at: u64,
}

/// Something that a leader has proposed, and that is not acknowledged.
pub struct Proposed {
    /// The term that it leads.
    pub term: u64,
    /// Where it stands in the log.
    pub index: u64,
    /// Number of the topic.
    pub number: u32,
}

/// See the module.
pub struct Node {
    pub id: i32,
    pub disk: SimDisk,
    /// None while its process is gone.
    pub controller: Option<Controller>,
    writing: Option<Writing>,
    /// Its clock is a little fast or slow.
    pub tick_ms: u64,
    pub next_tick: u64,
    /// It does nothing before.
    pub away_until: u64,
    /// Its disk has no space before: what it writes waits.
    pub full_until: u64,
    /// Of the last image that was seen.
    pub image_index: u64,
    pub proposed: Vec<Proposed>,
}

impl Node {
    pub fn new(id: i32, disk: SimDisk, tick_ms: u64) -> Self {
        Self {
            id,
            disk,
            controller: None,
            writing: None,
            tick_ms,
            next_tick: 0,
            away_until: 0,
            full_until: 0,
            image_index: 0,
            proposed: Vec::new(),
        }
    }

    /// Starts its process.
    pub fn start(&mut self, voters: &BTreeSet<i32>, seed: u64) {
        let options = OpenOptions {
            cluster_id: "cluster".into(),
            node_id: self.id,
            host: "host".into(),
            port: 9092,
            peer_host: String::new(),
            peer_port: 0,
            rack: None,
            incarnation: 1,
            directory: 0,
            fixed: Arc::default(),
            shards: 1,
            voters: voters.clone(),
            joins: !voters.contains(&self.id),
            log_bytes_max: LOG_BYTES,
            seed,
        };
        match Controller::open(&Disk::Sim(self.disk.clone()), &options) {
            Ok((controller, image)) => {
                self.image_index = image.index;
                self.controller = Some(controller);
            }
            Err(MetaError::Io { .. }) => self.stop(),
            Err(error) => panic!("a crash looks like damage: {error}"),
        }
    }

    /// Its process is gone. Its disk has power, or has it again.
    pub fn stop(&mut self) {
        self.controller = None;
        self.writing = None;
        self.proposed.clear();
        self.disk.restart();
    }

    /// The disk goes on by one operation, which ends at `next`, or gets something to do.
    pub fn write(&mut self, now: u64, next: u64) {
        let Some(controller) = &mut self.controller else { return };
        if self.writing.is_some() && self.full_until > now {
            // It does not lead so.
            if let Some(successor) = controller.successor() {
                controller.hand_over(successor);
            }
            return;
        }
        let Some(mut writing) = self.writing.take() else {
            if let Some(Persist { ops, ticket, .. }) = controller.ready() {
                self.writing = Some(Writing { ops: ops.into(), ticket, at: next });
            }
            return;
        };
        if writing.at > now {
            self.writing = Some(writing);
        } else if let Some(op) = writing.ops.pop_front() {
            match self.disk.run(op) {
                Ok(_) => self.writing = Some(Writing { at: next, ..writing }),
                // The process ends, as it does where a write of metadata fails.
                Err(_) => self.stop(),
            }
        } else {
            controller.persisted(writing.ticket);
        }
    }

    /// The controller, where it leads and is there at this moment.
    pub fn leader(&mut self, now: u64) -> Option<&mut Controller> {
        self.controller.as_mut().filter(|it| self.away_until <= now && it.leads())
    }
}
