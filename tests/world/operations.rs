//! Operations of several shards on one disk: whose each is stands in its id.

use klamm::storage::device::io::{Completion, Op, Submission};
use klamm::storage::device::sim_disk::{OpKind, Rng, SimDisk};

/// Bits of a submission's id that are the broker's own; above them is the shard, and the highest says
/// who within the broker asked.
const ID_BITS: u32 = 48;
const OWN_OP: u64 = 1 << 63;

/// A shard has the disk do this.
pub fn submit(disk: &SimDisk, shard: usize, Submission { id, op }: Submission) {
    let tag = |id: u64| {
        assert!((id & !OWN_OP) < 1 << ID_BITS, "ids of operations count from 0");
        (shard as u64) << ID_BITS | id
    };
    let op = match op {
        Op::WriteSync { path, pos, data, sync_id, apart } => {
            Op::WriteSync { path, pos, data, sync_id: tag(sync_id), apart }
        }
        other => other,
    };
    disk.submit(Submission { id: tag(id), op });
}

/// Completes one operation, of those that `may`: whose it is.
pub fn complete(
    disk: &SimDisk,
    rng: &mut Rng,
    may: impl Fn(OpKind) -> bool,
) -> Option<(usize, Completion)> {
    let done = disk.complete_one(rng, may)?;
    let shard = ((done.id & !OWN_OP) >> ID_BITS) as usize;
    let id = done.id & (OWN_OP | ((1 << ID_BITS) - 1));
    Some((shard, Completion { id, result: done.result }))
}
