//! Which configurations of a topic its copy gets.

use crate::client::admin::{ConfigEntry, Resource};
use std::collections::{BTreeMap, BTreeSet};

/// Not copied, as with MirrorMaker 2 (`config.properties.exclude`): they are of the cluster that a topic is in, or would
/// make the copy lose the times of its records.
pub const EXCLUDED: [&str; 8] = [
    "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
    "message.timestamp.difference.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.after.max.ms",
    "message.timestamp.type",
    "min.insync.replicas",
    "unclean.leader.election.enable",
];

/// Values that the target does not take: by name.
pub type Refused = BTreeMap<String, String>;

/// What is to be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Set, or taken back to the default of the target.
    pub changes: Vec<(String, Option<String>)>,
    /// Names that the target does not have.
    pub unknown: BTreeSet<String>,
}

/// What makes the copy's own configurations those of the source. `refused` is not tried again.
pub fn changes(source: &[ConfigEntry], target: &[ConfigEntry], refused: &Refused) -> Changes {
    let of_topics = Resource::Topic(String::new());
    let own = |all: &[ConfigEntry]| -> BTreeMap<String, String> {
        let own = all.iter().filter(|it| it.source.is_own(&of_topics));
        let copied = own.filter(|it| !EXCLUDED.contains(&it.name.as_str()));
        copied.filter_map(|it| Some((it.name.clone(), it.value.clone()?))).collect()
    };
    let (wanted, there) = (own(source), own(target));
    let known: BTreeSet<&str> = target.iter().map(|it| it.name.as_str()).collect();
    let mut found = Changes::default();
    for (name, value) in &wanted {
        if there.get(name) == Some(value) || refused.get(name) == Some(value) {
            continue;
        }
        if known.contains(name.as_str()) {
            found.changes.push((name.clone(), Some(value.clone())));
        } else {
            found.unknown.insert(name.clone());
        }
    }
    let gone = there.keys().filter(|name| !wanted.contains_key(*name));
    found.changes.extend(gone.map(|name| (name.clone(), None)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::admin::ConfigSource;

    fn entry(name: &str, value: &str, own: bool) -> ConfigEntry {
        ConfigEntry {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            source: if own { ConfigSource(1) } else { ConfigSource::DEFAULT },
            read_only: false,
            sensitive: false,
            synonyms: Vec::new(),
        }
    }

    #[test]
    fn own_settings_follow_and_defaults_stay_the_targets() {
        let source = [
            entry("cleanup.policy", "compact", true),
            entry("retention.ms", "1000", true),
            entry("segment.bytes", "7", false),
            entry("redpanda.remote.read", "true", true),
            entry("message.timestamp.type", "LogAppendTime", true),
        ];
        let target = [
            entry("cleanup.policy", "delete", false),
            entry("retention.ms", "1000", true),
            entry("segment.bytes", "8", true),
            entry("message.timestamp.type", "CreateTime", false),
        ];
        let found = changes(&source, &target, &Refused::new());
        let set = ("cleanup.policy".to_owned(), Some("compact".to_owned()));
        assert_eq!(found.changes, [set, ("segment.bytes".to_owned(), None)]);
        assert_eq!(found.unknown.iter().collect::<Vec<_>>(), ["redpanda.remote.read"]);
    }

    #[test]
    fn what_was_refused_is_tried_again_with_another_value() {
        let source = [entry("compression.type", "zstd", true)];
        let target = [entry("compression.type", "producer", false)];
        let refused =
            |value: &str| Refused::from([("compression.type".to_owned(), value.to_owned())]);
        assert_eq!(changes(&source, &target, &refused("zstd")), Changes::default());
        assert_eq!(changes(&source, &target, &refused("gzip")).changes.len(), 1);
    }
}
