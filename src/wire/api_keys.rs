//! Kafka's API keys, and what the broker advertises.

use std::fmt;

pub use super::kafka::APIS;

/// An API key as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKey(pub i16);

/// What the table of messages says of one API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its key.
    pub key: ApiKey,
    /// Its name as Kafka writes it.
    pub name: &'static str,
    /// The first version.
    pub min: i16,
    /// The last version that Kafka advertises.
    pub max: i16,
    /// The first version with tagged fields (KIP-482); `i16::MAX` when none has them.
    pub flexible_from: i16,
}

/// [`Api::flexible_from`] by key, for the header of every request; the keys are dense enough.
const FLEXIBLE_FROM: [i16; APIS[APIS.len() - 1].key.0 as usize + 1] = {
    let mut from = [i16::MAX; _];
    let mut i = 0;
    while i < APIS.len() {
        from[APIS[i].key.0 as usize] = APIS[i].flexible_from;
        i += 1;
    }
    from
};

impl ApiKey {
    /// What is known of the API; `None` when its messages are not in the table.
    pub fn api(self) -> Option<&'static Api> {
        APIS.binary_search_by_key(&self, |api| api.key).ok().map(|i| &APIS[i])
    }

    /// Its name as Kafka writes it, or `None` when it is not in the table.
    pub fn name(self) -> Option<&'static str> {
        self.api().map(|api| api.name)
    }

    /// `version` of this API has tagged fields. False for an API that is not in the table.
    #[inline]
    pub fn is_flexible(self, version: i16) -> bool {
        // A negative key is no index either.
        FLEXIBLE_FROM.get(self.0 as usize).is_some_and(|&from| version >= from)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "api {}", self.0),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What the broker advertises: key, first and last version. An API stands here when it has a
/// handler.
///
/// Produce starts at 0, although versions 0–2 are refused: librdkafka turns compression off
/// otherwise (KAFKA-18659).
pub const SUPPORTED: &[(ApiKey, i16, i16)] = &[
    (ApiKey::PRODUCE, 0, 13),
    (ApiKey::FETCH, 4, 18),
    (ApiKey::LIST_OFFSETS, 1, 11),
    (ApiKey::METADATA, 0, 13),
    (ApiKey::OFFSET_COMMIT, 2, 10),
    (ApiKey::OFFSET_FETCH, 1, 10),
    (ApiKey::FIND_COORDINATOR, 0, 6),
    (ApiKey::JOIN_GROUP, 0, 9),
    (ApiKey::HEARTBEAT, 0, 4),
    (ApiKey::LEAVE_GROUP, 0, 5),
    (ApiKey::SYNC_GROUP, 0, 5),
    (ApiKey::DESCRIBE_GROUPS, 0, 6),
    (ApiKey::LIST_GROUPS, 0, 5),
    (ApiKey::API_VERSIONS, 0, 4),
    (ApiKey::CREATE_TOPICS, 2, 7),
    (ApiKey::DELETE_TOPICS, 1, 6),
    (ApiKey::DELETE_RECORDS, 0, 2),
    // Version 6 is two-phase commit (KIP-939), which Kafka does not advertise either.
    (ApiKey::INIT_PRODUCER_ID, 0, 5),
    (ApiKey::OFFSET_FOR_LEADER_EPOCH, 2, 4),
    (ApiKey::DESCRIBE_CONFIGS, 1, 4),
    (ApiKey::ALTER_CONFIGS, 0, 2),
    (ApiKey::DESCRIBE_LOG_DIRS, 1, 5),
    (ApiKey::CREATE_PARTITIONS, 0, 3),
    (ApiKey::DELETE_GROUPS, 0, 2),
    (ApiKey::INCREMENTAL_ALTER_CONFIGS, 0, 1),
    (ApiKey::OFFSET_DELETE, 0, 0),
    (ApiKey::DESCRIBE_CLUSTER, 0, 2),
    (ApiKey::LIST_CONFIG_RESOURCES, 0, 1),
    (ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, 0),
];

/// The versions of `key` that the broker advertises.
pub fn supported(key: ApiKey) -> Option<(i16, i16)> {
    SUPPORTED.iter().find(|(k, ..)| *k == key).map(|&(_, min, max)| (min, max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advertised_can_be_decoded() {
        for &(key, min, max) in SUPPORTED {
            let api = key.api().expect("in the table");
            let produce = key == ApiKey::PRODUCE && min == 0;
            assert!((api.min <= min || produce) && min <= max && max <= api.max, "{key}");
        }
        assert!(APIS.is_sorted_by_key(|api| api.key));
    }

    #[test]
    fn shows_names() {
        assert_eq!(ApiKey::PRODUCE.to_string(), "Produce");
        assert_eq!(ApiKey(-3).to_string(), "api -3");
        assert!(!ApiKey(-3).is_flexible(9) && !ApiKey(1000).is_flexible(9));
        assert!(ApiKey::API_VERSIONS.is_flexible(3) && !ApiKey::API_VERSIONS.is_flexible(2));
    }
}
