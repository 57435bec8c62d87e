//! Files for the journal's ring: written with zeros and synced, with their directory, before they
//! join it.

use super::buffer::AlignedBuf;
use super::engine::{Engine, Purpose};
use super::io::{FilePath, Op};
use super::journal;
use super::round::Round;

#[derive(Debug)]
pub(super) struct Preparing {
    path: FilePath,
    size: u64,
    stage: PrepareStage,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum PrepareStage {
    Create,
    Zero(u64),
    Sync,
    SyncDir,
}

impl Preparing {
    pub fn path(&self) -> &FilePath {
        &self.path
    }
}

impl Engine {
    pub(super) fn prepare_journal(&mut self) {
        // A block that found no room waits for a running round to free a file, unless that round
        // itself waits for blocks, or none will come.
        let must = self.need_room.filter(|needed| {
            *needed > journal::MAX_FILE
                || self.ring.size() + needed <= self.ring.limit()
                || self.round.as_ref().is_none_or(Round::waits_for_journal)
        });
        if self.preparing.is_none()
            && let Some((path, size, _)) =
                self.ring.prepare(must).or_else(|| self.ring.prepare(None))
        {
            self.preparing =
                Some(Preparing { path: path.clone(), size, stage: PrepareStage::Create });
            self.submit(Purpose::Prepare, Op::Create { path });
        }
    }

    pub(super) fn prepare_step(&mut self) {
        const PIECE: u64 = 1 << 20;
        let preparing = self.preparing.as_mut().expect("a file is being prepared");
        let (path, size) = (preparing.path.clone(), preparing.size);
        let next = match preparing.stage {
            PrepareStage::Create => PrepareStage::Zero(0),
            PrepareStage::Zero(done) if done + PIECE < size => PrepareStage::Zero(done + PIECE),
            PrepareStage::Zero(_) => PrepareStage::Sync,
            PrepareStage::Sync => PrepareStage::SyncDir,
            PrepareStage::SyncDir => {
                self.preparing = None;
                self.ring.prepared(path);
                self.need_room = None;
                self.zeros = None;
                return;
            }
        };
        preparing.stage = next;
        let op = match next {
            PrepareStage::Zero(pos) => {
                let budget = &self.options.budget;
                let zeros = self
                    .zeros
                    .get_or_insert_with(|| AlignedBuf::zeroed(PIECE as usize, budget).freeze());
                let data = zeros.slice(..PIECE.min(size - pos) as usize);
                Op::Write { path, pos, data }
            }
            PrepareStage::Sync => Op::Sync { path },
            _ => Op::SyncDir { path: journal::DIR.into() },
        };
        self.submit(Purpose::Prepare, op);
    }
}
