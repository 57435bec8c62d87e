//! Nothing is left on the disk of topics that are deleted.

use super::Facts;
use super::topics::Presence;
use klamm::storage::device::sim_disk::SimDisk;

pub fn check(disk: &SimDisk, facts: &Facts) {
    let files = disk.files();
    for topic in &facts.topics.0 {
        assert_ne!(topic.presence, Presence::Unsure, "{} is known in the end", topic.name);
        for id in &topic.gone {
            let name = id.hex();
            let left = files.iter().find(|(path, _)| path.contains(&name));
            assert!(left.is_none(), "{} is deleted, but there is {left:?}", topic.name);
        }
    }
    let odd = files.iter().find(|(path, _)| path.starts_with("orphans/"));
    assert!(odd.is_none(), "there is data without metadata: {odd:?}");
}
