//! A quorum that is lost for good: the metadata of one node that is left become those of a quorum of that node alone.
//! Blocks: nothing runs.
//!
//! It takes all that is in its log for decided. What the others had decided without it is lost, and nobody can know what that
//! was: a broker may have been in sync less than the metadata here say, and then its records, too. So an operator
//! decides on it, and nothing else does.

use super::codec::SnapshotState;
use super::core::apply;
use super::elections;
use super::image::Image;
use super::log;
use super::members::{Members, raft_id};
use super::open::{self, MetaError, OpenOptions, load, write_snapshot};
use super::quorum::Quorum;
use crate::storage::device::disk::Disk;
use futures_lite::future::block_on;
use raft::eraftpb::HardState;
use std::collections::BTreeSet;

/// What a directory has of a quorum that is lost.
pub struct LostQuorum {
    quorum: Quorum,
    node: i32,
    /// With everything in the log.
    image: Image,
    /// Index and term of the last entry.
    last: (u64, u64),
}

/// What becomes of partitions, by their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// This node is in sync for them, or eligible, and leads them.
    pub led: usize,
    /// It holds them and is not: they have no leader until an operator elects one, at the cost of records.
    pub behind: usize,
    /// It does not hold them: they have no leader, unless a broker that does comes back with its directory.
    pub elsewhere: usize,
}

impl LostQuorum {
    /// Reads a directory; `None` where no metadata is in it.
    pub fn read(disk: &Disk, options: &OpenOptions) -> Result<Option<Self>, MetaError> {
        if open::read(disk, log::SNAPSHOT)?.is_none() {
            return Ok(None);
        }
        let (quorum, mut image) = load(disk, options)?;
        let mut term = quorum.term_of(image.index).unwrap_or(0);
        for entry in quorum.entries_after(image.index) {
            apply(&mut image, &entry);
            term = entry.term;
        }
        let last = (image.index, term);
        Ok(Some(Self { quorum, node: options.node_id, image, last }))
    }

    /// Index and term of the last entry of the log.
    pub fn last(&self) -> (u64, u64) {
        self.last
    }

    /// Who belongs to the quorum, as far as is known here.
    pub fn members(&self) -> Members {
        self.quorum.members()
    }

    /// Other brokers are fenced: this node leads what it can. What becomes of partitions.
    pub fn take_over(&mut self) -> Outcome {
        let others: Vec<i32> =
            self.image.brokers().map(|it| it.id).filter(|id| *id != self.node).collect();
        for broker in others {
            let fenced = block_on(elections::on_fence(&self.image, broker, &async || {}));
            fenced.records.iter().for_each(|it| self.image.apply(it));
        }
        let unfenced = block_on(elections::on_unfence(&self.image, self.node, &async || {}));
        unfenced.records.iter().for_each(|it| self.image.apply(it));
        let mut outcome = Outcome::default();
        for it in self.image.topics.values().flat_map(|it| it.partitions.iter()) {
            if it.leader == self.node {
                outcome.led += 1;
            } else if it.replicas.contains(&self.node) {
                outcome.behind += 1;
            } else {
                outcome.elsewhere += 1;
            }
        }
        outcome
    }

    /// Writes the metadata as those of a quorum of this node alone. A crash leaves them as they were, or so.
    pub fn write(self, disk: &Disk) -> Result<(), MetaError> {
        let (index, last_term) = self.last;
        // A quorum that is not lost after all has terms of its own: those of this one are later.
        let term = self.quorum.term().max(last_term) + 1;
        let hard_state = HardState { term, vote: 0, commit: index, ..HardState::default() };
        let alone = Members { voters: BTreeSet::from([self.node]), learners: BTreeSet::new() };
        let file = self.quorum.file() + 1;
        let state = SnapshotState {
            term: last_term,
            hard_state,
            members: alone.state(),
            log: file,
            node: raft_id(self.node),
        };
        write_snapshot(disk, &self.image, &state)?;
        open::remove_leftovers(disk, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::tests::options;
    use crate::controller::{Controller, NewPartition, Record, Registration};
    use crate::storage::device::sim_disk::SimDisk;
    use crate::types::TopicId;

    fn member(id: i32) -> OpenOptions {
        OpenOptions { node_id: id, voters: BTreeSet::from([1, 2, 3]), directory: 7, ..options() }
    }

    /// Three that have decided on a topic, of which the third has heard.
    fn decided() -> [SimDisk; 3] {
        let disks = [SimDisk::new(1), SimDisk::new(2), SimDisk::new(3)];
        let open = |at: usize| {
            let disk = Disk::Sim(disks[at].clone());
            Controller::open(&disk, &member(at as i32 + 1)).unwrap().0
        };
        let mut nodes = [open(0), open(1), open(2)];
        let settle = |nodes: &mut [Controller; 3]| {
            for _ in 0..200 {
                for (at, disk) in disks.iter().enumerate() {
                    while let Some(persist) = nodes[at].ready() {
                        persist.ops.into_iter().for_each(|op| _ = disk.run(op).unwrap());
                        nodes[at].persisted(persist.ticket);
                    }
                    while let Some(message) = nodes[at].poll_message() {
                        nodes[(message.to() - 1) as usize].step(message).unwrap();
                    }
                }
            }
        };
        while !nodes.iter().any(Controller::leads) {
            nodes.iter_mut().for_each(Controller::tick);
            settle(&mut nodes);
        }
        let leader = nodes.iter_mut().find(|it| it.leads()).unwrap();
        for id in 1..=3 {
            let it = Registration { id, directory: 7, ..Registration::default() };
            leader.propose(&[Record::BrokerRegistered(it), Record::BrokerUnfenced { broker: id }]);
        }
        let partitions = vec![
            NewPartition::new([1, 3]),
            NewPartition { replicas: [2, 3].into(), isr: [2].into() },
            NewPartition::new([1, 2]),
        ];
        leader.propose(&[Record::TopicCreated {
            id: TopicId([4; 16]),
            name: "t".to_owned(),
            partitions,
            settings: Vec::new(),
        }]);
        settle(&mut nodes);
        disks
    }

    #[test]
    fn one_that_is_left_goes_on_alone_with_what_it_has() {
        let [_, _, disk] = decided();
        let disk = Disk::Sim(disk);
        let before = {
            let mut lost = LostQuorum::read(&disk, &member(3)).unwrap().unwrap();
            assert_eq!(lost.members().voters, BTreeSet::from([1, 2, 3]));
            let outcome = lost.take_over();
            assert_eq!(outcome, Outcome { led: 1, behind: 1, elsewhere: 1 });
            let last = lost.last();
            lost.write(&disk).unwrap();
            last
        };
        let (controller, image) = Controller::open(&disk, &member(3)).unwrap();
        assert!(controller.leads() && controller.term() > before.1);
        assert_eq!(controller.members().voters, BTreeSet::from([3]));
        let leaders: Vec<i32> =
            image.topic("t").unwrap().partitions.iter().map(|it| it.leader).collect();
        assert_eq!(leaders, [3, -1, -1], "nobody is elected who was not in sync");
        assert!(image.is_alive(3) && !image.is_alive(1) && !image.is_alive(2));
        // Another node's directory, and one without metadata.
        assert!(LostQuorum::read(&disk, &member(2)).is_err());
        let empty = Disk::Sim(SimDisk::new(9));
        assert!(LostQuorum::read(&empty, &member(2)).unwrap().is_none());
    }
}
