//! Levels of features: which the metadata have, who may register with them, and how one changes (KIP-584, KIP-778).

use super::broker::Registration;
use super::features::{FEATURES, METADATA_VERSION};
use super::image::Image;
use super::record::Record;
use crate::types::{ErrorCode, FeatureRange};

/// Levels of `metadata.version` that have changed what the metadata hold (`MetadataVersion.didMetadataChange` of
/// Kafka): below such a one none goes back.
const METADATA_CHANGED: [i16; 8] = [8, 11, 13, 14, 15, 17, 23, 30];

/// The level that a feature has where none was set.
fn initial(name: &str) -> i16 {
    FEATURES.iter().find(|it| it.name == name).map_or(0, |it| it.initial)
}

/// How far a level may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    /// Up.
    Upgrade,
    /// Down, where nothing is lost by it.
    SafeDowngrade,
    /// Down.
    UnsafeDowngrade,
    /// A kind that nobody knows.
    Unknown,
}

impl UpgradeType {
    /// By Kafka's code.
    pub fn from_code(code: i8) -> Self {
        match code {
            1 => Self::Upgrade,
            2 => Self::SafeDowngrade,
            3 => Self::UnsafeDowngrade,
            _ => Self::Unknown,
        }
    }
}

impl Image {
    /// The level of a feature; 0 where it is off, or not known.
    pub fn feature_level(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or_else(|| initial(name))
    }

    /// Features that are not off, by name, each with its level.
    pub fn finalized_features(&self) -> impl Iterator<Item = (&str, i16)> {
        let unset = FEATURES.iter().filter(|it| !self.features.contains_key(it.name));
        let unset = unset.map(|it| (it.name, it.initial));
        let set = self.features.iter().map(|(name, level)| (name.as_str(), *level));
        let mut all: Vec<_> = unset.chain(set).filter(|it| it.1 != 0).collect();
        all.sort_unstable();
        all.into_iter()
    }
}

/// Why a broker may not register: it does not support what the cluster uses.
pub fn check_registration(image: &Image, it: &Registration) -> Result<(), String> {
    for (name, level) in image.finalized_features() {
        let range = it.features.get(name).copied().unwrap_or(OFF);
        if !range.contains(level) {
            return Err(format!(
                "Unable to register because the broker does not support finalized version {level} of \
                 {name}. The broker wants a version between {} and {}, inclusive.",
                range.min, range.max
            ));
        }
    }
    Ok(())
}

const OFF: FeatureRange = FeatureRange { min: 0, max: 0 };

/// Checks one change of a level, as `FeatureControlManager` of Kafka does, in its order and with its words. The
/// records that make it.
///
/// # Errors
/// [`ErrorCode::INVALID_UPDATE_VERSION`]; nothing of the request is to take effect then.
pub fn update(
    image: &Image,
    name: &str,
    level: i16,
    how: UpgradeType,
) -> Result<Record, (ErrorCode, String)> {
    let invalid = |why: &str| {
        let words = format!("Invalid update version {level} for feature {name}. {why}");
        Err((ErrorCode::INVALID_UPDATE_VERSION, words))
    };
    if how == UpgradeType::Unknown {
        return invalid("The controller does not support the given upgrade type.");
    }
    let current = image.feature_level(name);
    if level < 0 {
        return invalid("A feature version cannot be less than 0.");
    }
    let local = FEATURES.iter().find(|it| it.name == name).map_or(OFF, |it| it.supported);
    let this = (format!("Local controller {}", image.node_id), local);
    let brokers = image.brokers().map(|it| {
        let range = it.features.get(name).copied().unwrap_or(OFF);
        (format!("Broker {}", it.id), range)
    });
    for (what, range) in std::iter::once(this).chain(brokers) {
        if range.contains(level) {
            continue;
        }
        return invalid(&match range.max {
            0 => format!("{what} does not support this feature."),
            _ => format!("{what} only supports versions {range}"),
        });
    }
    match level.cmp(&current) {
        std::cmp::Ordering::Less if how == UpgradeType::Upgrade => {
            return invalid(
                "Can't downgrade the version of this feature without setting the upgrade type to \
                 either safe or unsafe downgrade.",
            );
        }
        std::cmp::Ordering::Less if name == METADATA_VERSION => {
            check_downgrade(current, level, how)?;
        }
        std::cmp::Ordering::Greater if how != UpgradeType::Upgrade => {
            return invalid("Can't downgrade to a newer version.");
        }
        _ => {}
    }
    Ok(Record::FeatureLevelSet { name: name.to_owned(), level })
}

/// Whether the metadata can go back to this level without what the levels above it brought.
fn check_downgrade(from: i16, to: i16, how: UpgradeType) -> Result<(), (ErrorCode, String)> {
    if !METADATA_CHANGED.iter().any(|it| to < *it && *it <= from) {
        return Ok(());
    }
    let why = match how {
        UpgradeType::UnsafeDowngrade => {
            "Unsafe metadata downgrade is not supported in this version."
        }
        _ => {
            "Refusing to perform the requested downgrade because it might delete metadata \
             information."
        }
    };
    let words = format!("Unsupported metadata.version downgrade from {from} to {to}. {why}");
    Err((ErrorCode::INVALID_UPDATE_VERSION, words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::features::supported;
    use crate::types::FeatureRanges;
    use std::sync::Arc;

    const NAME: &str = "eligible.leader.replicas.version";

    fn image(brokers: &[(i32, i16, i16)]) -> Image {
        let mut image = Image::new("c", 1, Arc::default());
        for (id, min, max) in brokers {
            let mut features = supported();
            for range in features.values_mut() {
                (range.min, range.max) = (*min, *max);
            }
            let it = Registration { id: *id, features, ..Registration::default() };
            image.apply(&Record::BrokerRegistered(it));
        }
        image
    }

    fn refused(image: &Image, name: &str, level: i16, how: UpgradeType) -> String {
        let (code, words) = update(image, name, level, how).unwrap_err();
        assert_eq!(code, ErrorCode::INVALID_UPDATE_VERSION);
        words
    }

    #[test]
    fn a_cluster_begins_with_levels_and_keeps_what_was_set() {
        let mut image = image(&[]);
        let levels: Vec<_> = image.finalized_features().collect();
        let transactions = ("transaction.version", 2);
        let groups = ("group.version", 1);
        let (quorum, metadata) = (("kraft.version", 1), (METADATA_VERSION, 30));
        let (shares, streams) = (("share.version", 1), ("streams.version", 1));
        let all = [(NAME, 1), groups, quorum, metadata, shares, streams, transactions];
        assert_eq!(levels, all);
        image.apply(&Record::FeatureLevelSet { name: NAME.to_owned(), level: 0 });
        image.apply(&Record::FeatureLevelSet { name: "new".to_owned(), level: 3 });
        let levels: Vec<_> = image.finalized_features().collect();
        let all = [groups, quorum, metadata, ("new", 3), shares, streams, transactions];
        assert_eq!(levels, all);
        assert_eq!((image.feature_level(NAME), image.feature_level("no")), (0, 0));
    }

    #[test]
    fn what_a_broker_does_not_support_is_refused() {
        use UpgradeType::Upgrade;
        let up = refused(&image(&[]), METADATA_VERSION, 31, Upgrade);
        assert_eq!(
            up,
            "Invalid update version 31 for feature metadata.version. Local controller 1 only \
             supports versions 7-30"
        );
        let of_another = refused(&image(&[(1, 0, 30), (2, 7, 29)]), METADATA_VERSION, 30, Upgrade);
        assert!(of_another.ends_with("Broker 2 only supports versions 7-29"), "{of_another}");
        let off = refused(&image(&[(1, 0, 0)]), "group.version", 1, Upgrade);
        assert!(off.ends_with("Broker 1 does not support this feature."), "{off}");
        let unknown = refused(&image(&[]), "nonsense", 1, Upgrade);
        assert!(unknown.ends_with("Local controller 1 does not support this feature."));
        let negative = refused(&image(&[]), NAME, -1, Upgrade);
        assert!(negative.ends_with("A feature version cannot be less than 0."));
        assert!(update(&image(&[(1, 0, 30)]), METADATA_VERSION, 30, Upgrade).is_ok());
    }

    #[test]
    fn a_level_goes_down_only_where_that_is_asked_for_and_loses_nothing() {
        use UpgradeType::{SafeDowngrade, Unknown, UnsafeDowngrade, Upgrade};
        let mut image = image(&[(1, 0, 30)]);
        let words = refused(&image, METADATA_VERSION, 29, Upgrade);
        assert!(words.ends_with("either safe or unsafe downgrade."), "{words}");
        let words = refused(&image, METADATA_VERSION, 29, SafeDowngrade);
        assert_eq!(
            words,
            "Unsupported metadata.version downgrade from 30 to 29. Refusing to perform the requested \
             downgrade because it might delete metadata information."
        );
        let words = refused(&image, METADATA_VERSION, 7, UnsafeDowngrade);
        assert!(words.ends_with("downgrade is not supported in this version."), "{words}");
        let words = refused(&image, METADATA_VERSION, 30, Unknown);
        assert!(words.ends_with("does not support the given upgrade type."), "{words}");
        image.apply(&Record::FeatureLevelSet { name: METADATA_VERSION.to_owned(), level: 29 });
        assert!(update(&image, METADATA_VERSION, 24, SafeDowngrade).is_ok());
        assert!(update(&image, METADATA_VERSION, 22, SafeDowngrade).is_err());
        let words = refused(&image, METADATA_VERSION, 30, SafeDowngrade);
        assert!(words.ends_with("Can't downgrade to a newer version."), "{words}");
    }

    #[test]
    fn who_does_not_support_what_is_used_may_not_register() {
        let image = image(&[]);
        let with = |features| Registration { id: 2, features, ..Registration::default() };
        assert_eq!(check_registration(&image, &with(supported())), Ok(()));
        let mut old = supported();
        old.insert(METADATA_VERSION.to_owned(), FeatureRange { min: 7, max: 29 });
        let why = check_registration(&image, &with(old)).unwrap_err();
        assert!(why.contains("does not support finalized version 30 of metadata.version"), "{why}");
        assert!(check_registration(&image, &with(FeatureRanges::new())).is_err());
    }
}
