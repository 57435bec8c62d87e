//! Checks that what is not needed is given back.

use crate::world::World;
use klamm::storage::format::segment;
use klamm::storage::journal;
use klamm::types::{TopicId, TopicPartition};
use std::collections::BTreeMap;

/// After everything settled: no segment file but those of live logs, and of those no more bytes than
/// the engine counts.
pub fn check(world: &World) {
    let mut bytes: BTreeMap<TopicPartition, Vec<u64>> = BTreeMap::new();
    for (path, len) in world.disk.spaces() {
        assert!(!path.starts_with("recycled/"), "{path} waits to be a segment again, for too long");
        let Some(rest) = path.strip_prefix(&format!("{}/", segment::DIR)) else { continue };
        let (topic, name) = rest.split_once('/').expect("a file in a topic's directory");
        let topic = TopicId::from_hex(topic).expect("a topic's directory");
        let (partition, _, _, extension) = segment::parse_name(name).expect("a segment's name");
        let tp = TopicPartition { topic, partition };
        assert!(world.find(tp).is_some(), "{path} is of a log that does not exist");
        if extension == "log" {
            bytes.entry(tp).or_default().push(len);
        }
    }
    for (tp, files) in bytes {
        let (shard, slot) = world.find(tp).expect("just found");
        let counted = world.engines[shard].offsets(slot).bytes;
        // Behind what it knows may stand chunks that a crashed round wrote, one at most in each.
        let on_disk: u64 = files.iter().sum();
        let reserved = world.engines[shard].reserved(slot);
        let most = if counted == 0 { 0 } else { counted + counted / 2 + (256 << 10) };
        let most = most + reserved;
        assert!(
            on_disk <= most,
            "{tp:?}: {on_disk} bytes on disk in {} files, the engine knows {counted} and {reserved} reserved; {:?}",
            files.len(),
            world.engines[shard].offsets(slot)
        );
    }
    let lives: std::collections::BTreeSet<u64> = world
        .disk
        .files()
        .iter()
        .filter_map(|(path, _)| journal::parse_name(path.strip_prefix("journal/")?))
        .map(|(life, _, _)| life)
        .collect();
    assert!(lives.len() <= 1, "journals of lives {lives:?}");
}
