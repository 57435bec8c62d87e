//! Bits that flip on a disk, of what was written a while ago: of each partition on one node alone, and where others that
//! are in sync have the same.

use crate::cluster::Cluster;
use crate::node::Node;
use klamm::controller::Image;
use klamm::storage::device::io::FilePath;
use klamm::storage::device::sim_disk::Rng;
use klamm::storage::format::frame::{self, Step};
use klamm::storage::format::segment;
use klamm::types::{TopicId, TopicPartition};
use std::sync::Arc;

/// What was written for so long is known to have been, ms: of the last that was written a flipped bit is no more than a
/// write that was torn.
const OLD_MS: i64 = 2_500;

/// A byte that is to flip.
pub struct Rot {
    node: usize,
    path: FilePath,
    pos: usize,
    byte: u8,
    mask: u8,
    at_ms: i64,
    down: bool,
    /// The file ends there instead.
    short: bool,
    /// Offset of the last record of the frame that it is in.
    offset: i64,
}

/// The partition of a segment's file, or of its index.
fn partition_of(path: &str) -> Option<TopicPartition> {
    let (topic, name) = path.strip_prefix(segment::DIR)?.strip_prefix('/')?.split_once('/')?;
    let partition = segment::parse_name(name)?.0;
    Some(TopicPartition { topic: TopicId::from_hex(topic)?, partition })
}

/// Offset of the last record in a segment's file, which may end anywhere behind it; `None` where not all of it can be read.
fn last_offset(tp: TopicPartition, bytes: &[u8]) -> Option<i64> {
    let end = bytes.iter().rposition(|it| *it != 0)?;
    let mut last = None;
    for step in frame::walk(bytes, 0, 0) {
        match step {
            Step::Frame { header, .. } if header.tp() == tp => {
                last = last.max(Some(header.last_offset()));
            }
            // What the file was before.
            Step::Frame { .. } => {}
            Step::Cut { at, .. } | Step::Bad { at, .. } if at > end => {}
            _ => return None,
        }
    }
    last
}

impl Cluster {
    /// The newest metadata of all nodes.
    pub fn newest(&self) -> Option<Arc<Image>> {
        let lives = self.nodes.iter().filter_map(|it| it.life.as_ref());
        lives.map(|it| it.brokers[0].image()).max_by_key(|it| it.index)
    }

    /// The metadata that this node has, whose process runs.
    pub fn image_of(&self, at: usize) -> Arc<Image> {
        let life = self.nodes[at].life.as_ref().expect("it runs");
        life.brokers[0].image()
    }

    /// Chooses a byte that is to flip when it is old.
    pub fn choose_rot(&mut self, node: usize, draw: u64, down: bool) {
        let mut rng = Rng::new(draw);
        if self.nodes[node].life.is_none() {
            return;
        }
        let disk = &self.nodes[node].disk;
        let files = disk.files().into_iter().filter(|it| it.1 > 0);
        let files: Vec<FilePath> =
            files.map(|it| it.0).filter(|it| partition_of(it).is_some()).collect();
        if files.is_empty() {
            return;
        }
        let path = files[rng.index(files.len())].clone();
        let bytes = disk.contents(&path).unwrap_or_default();
        let Some(end) = bytes.iter().rposition(|it| *it != 0) else { return };
        let pos = rng.index(end + 1);
        let base = path.rsplit('/').next().and_then(segment::parse_name).map_or(0, |it| it.1);
        let frames = frame::walk(&bytes, 0, 0).map_while(|step| match step {
            Step::Frame { at, header } => Some((at, header.last_offset())),
            _ => None,
        });
        // Of a file that is short all behind is gone.
        let short = down && rng.chance(50);
        let there = frames.take_while(|it| short || it.0 <= pos).map(|it| it.1).max();
        let offset = there.unwrap_or(base);
        let at_ms = self.now_ms + OLD_MS;
        let (byte, mask) = (bytes[pos], 1 << rng.below(8));
        self.rots.push(Rot { node, path, pos, byte, mask, at_ms, down, short, offset });
    }

    /// Flips what is due.
    pub fn flip_bits(&mut self) {
        let mut rots = std::mem::take(&mut self.rots);
        rots.retain_mut(|it| {
            let node = &self.nodes[it.node];
            let runs = node.life.is_some();
            let stands = node.frozen_until_ms > self.now_ms || node.stalled_until_ms > self.now_ms;
            if self.now_ms < it.at_ms {
                return runs && !stands;
            }
            if it.down && runs {
                return true;
            }
            let bytes = node.disk.contents(&it.path).unwrap_or_default();
            let same = bytes.get(it.pos).copied();
            if it.short && it.path.ends_with(".log") {
                // More may have come since.
                let tp = partition_of(&it.path).expect("it was chosen by that");
                let Some(last) = last_offset(tp, &bytes) else { return false };
                it.offset = last.max(it.offset);
            }
            if same == Some(it.byte) && self.may_rot(it.node, &it.path, it.offset) {
                let tp = partition_of(&it.path).expect("it was chosen by that");
                self.rotten.insert(tp, it.node);
                self.note(|| {
                    format!("---- node {} has {} rot at {}", it.node + 1, it.path, it.pos)
                });
                if it.short {
                    self.nodes[it.node].disk.shorten(&it.path, it.pos / 4096 * 4096);
                } else {
                    self.nodes[it.node].disk.rot(&it.path, it.pos, it.mask);
                }
                self.facts.counts.rots += 1;
            }
            false
        });
        self.rots = rots;
    }

    /// Whether another replica that is in sync knows this offset to be committed, and so has what is there; and where the node
    /// is down, whether it will know that when it starts.
    fn may_rot(&mut self, node: usize, path: &str, offset: i64) -> bool {
        let (Some(tp), Some(image)) = (partition_of(path), self.newest()) else { return false };
        let id = self.nodes[node].id;
        let state =
            image.topic_by_id(tp.topic).and_then(|it| it.partitions.get(tp.partition as usize));
        let Some(state) = state.cloned() else { return false };
        let others = state.isr.iter().filter(|it| **it != id);
        let ends = others.map(|it| *it as usize - 1).map(|at| {
            let now = self.now_of(at);
            self.nodes[at].visible_end(tp, now)
        });
        let elsewhere = ends.collect::<Vec<_>>().into_iter().flatten().any(|end| end > offset);
        let alone = self.rotten.get(&tp).is_none_or(|it| *it == node);
        let starts = |it: &Node| it.life.is_some() || it.knows_it_elsewhere(tp);
        elsewhere && alone && starts(&self.nodes[node])
    }
}
