//! The features of Apache Kafka 4.3 and their levels: what `kafka-features` knows without asking a broker.

/// The name of the feature that is the format of the metadata.
pub const METADATA_VERSION: &str = "metadata.version";

/// The level of the first of [`METADATA_VERSIONS`]; the others follow one by one.
const FIRST_LEVEL: i16 = 7;

/// Names of the levels of the metadata. The last one is not released.
pub const METADATA_VERSIONS: [&str; 25] = [
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2",
    "3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0",
    "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0",
    "4.4-IV0",
];

/// The level of the metadata that is the default of this release.
pub const LATEST: i16 = FIRST_LEVEL + METADATA_VERSIONS.len() as i16 - 2;

/// A feature beside the metadata's format.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// For each level the metadata whose default it is, and the metadata that it needs, 0 for none.
    levels: &'static [(i16, i16)],
}

/// Those that are in production, in the order of Kafka.
pub const FEATURES: [Feature; 6] = [
    Feature { name: "kraft.version", levels: &[(7, 0), (21, 0)] },
    Feature { name: "transaction.version", levels: &[(7, 0), (24, 0), (24, 0)] },
    Feature { name: "group.version", levels: &[(7, 0), (22, 0)] },
    Feature { name: "eligible.leader.replicas.version", levels: &[(7, 0), (26, 23)] },
    Feature { name: "share.version", levels: &[(7, 0), (28, 0)] },
    Feature { name: "streams.version", levels: &[(7, 0), (29, 0)] },
];

impl Feature {
    /// The feature of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        FEATURES.iter().find(|it| it.name == name)
    }

    /// Its level where the metadata has this one.
    pub fn default_level(&self, metadata: i16) -> i16 {
        let defaults = self.levels.iter().rposition(|it| it.0 <= metadata);
        defaults.unwrap_or(0) as i16
    }

    /// The level of the metadata that a level needs, 0 for none; `None` where there is no such level.
    pub fn needs(&self, level: i16) -> Option<i16> {
        usize::try_from(level).ok().and_then(|at| self.levels.get(at)).map(|it| it.1)
    }
}

/// The name of a level of the metadata.
pub fn metadata_name(level: i16) -> Option<&'static str> {
    let at = usize::try_from(level.checked_sub(FIRST_LEVEL)?).ok()?;
    METADATA_VERSIONS.get(at).copied()
}

/// The level of the metadata that a name says: `4.1-IV0`, or a release, whose last level it is.
///
/// # Errors
/// Kafka's message.
pub fn metadata_level(name: &str) -> Result<i16, String> {
    // 3.9.0 is 3.9.
    let release: Vec<&str> = name.split('.').take(2).collect();
    let release = format!("{}-", release.join("."));
    let exact = METADATA_VERSIONS.iter().position(|it| *it == name);
    let last = || METADATA_VERSIONS.iter().rposition(|it| it.starts_with(&release));
    exact.or_else(last).map(|at| FIRST_LEVEL + at as i16).ok_or_else(|| {
        format!(
            "Unknown metadata.version '{name}'. Supported metadata.version are: {}",
            METADATA_VERSIONS.join(", ")
        )
    })
}

/// A level as it is shown: the metadata's by its name.
pub fn shown(feature: &str, level: i16) -> String {
    if feature != METADATA_VERSION {
        return level.to_string();
    }
    metadata_name(level).map_or_else(|| format!("UNKNOWN {level}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_kafkas_names() {
        assert_eq!((metadata_name(LATEST), LATEST), (Some("4.3-IV0"), 30));
        assert_eq!(
            (metadata_name(7), metadata_name(6), metadata_name(32)),
            (Some("3.3-IV3"), None, None)
        );
        for (name, level) in
            [("4.1", 27), ("4.1-IV0", 26), ("3.9", 21), ("3.9.0", 21), ("4.4-IV0", 31)]
        {
            assert_eq!(metadata_level(name), Ok(level), "{name}");
        }
        for name in ["9", "3.0", "", "4.1-IV9", "4."] {
            assert!(metadata_level(name).is_err(), "{name}");
        }
    }

    #[test]
    fn releases_have_their_levels() {
        let of = |metadata| FEATURES.map(|it| it.default_level(metadata));
        assert_eq!(of(LATEST), [1, 2, 1, 1, 1, 1]);
        assert_eq!(of(26), [1, 2, 1, 1, 0, 0]);
        assert_eq!(of(7), [0; 6]);
        let elr = Feature::find("eligible.leader.replicas.version").expect("is there");
        assert_eq!(
            (elr.needs(1), elr.needs(0), elr.needs(2), elr.needs(-1)),
            (Some(23), Some(0), None, None)
        );
    }
}
