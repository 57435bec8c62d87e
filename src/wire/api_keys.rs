//! Kafka's API keys.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_names() {
        assert_eq!(ApiKey::PRODUCE.to_string(), "Produce");
        assert_eq!(ApiKey(-3).to_string(), "api -3");
        assert!(!ApiKey(-3).is_flexible(9) && !ApiKey(1000).is_flexible(9));
        assert!(ApiKey::API_VERSIONS.is_flexible(3) && !ApiKey::API_VERSIONS.is_flexible(2));
    }
}
