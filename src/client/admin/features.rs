//! Features of a cluster and their levels (KIP-584, KIP-1022).

use super::TIMEOUT_MS;
use crate::client::{ClientError, Cluster, To, check_code};
use crate::types::ErrorCode;
use crate::wire::kafka::api_versions_request::ApiVersionsRequest;
use crate::wire::kafka::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use std::collections::BTreeMap;

/// A feature as a broker knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feature {
    /// The first level that the broker supports.
    pub min: i16,
    /// The last one.
    pub max: i16,
    /// The level that the cluster has agreed on; 0 for none.
    pub finalized: i16,
}

/// The features of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// By name, those that the broker supports.
    pub features: BTreeMap<String, Feature>,
    /// When the levels were changed last, as an offset of the metadata's log; `None` where the broker does not say.
    pub epoch: Option<i64>,
}

/// How a level may change, by its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    /// Up only.
    Upgrade = 1,
    /// Down where nothing of the metadata is lost.
    SafeDowngrade = 2,
    /// Down even if something is.
    UnsafeDowngrade = 3,
}

/// What came of each feature.
pub type FeatureResults = BTreeMap<String, Result<(), ClientError>>;

impl Cluster {
    /// The features that a broker knows, and the levels that are agreed on.
    pub fn features(&mut self, of: To) -> Result<Features, ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: "klamm",
            client_software_version: env!("CARGO_PKG_VERSION"),
        };
        self.ask(of, &request, |reply| {
            let response = reply.read::<ApiVersionsRequest<'_>>()?;
            check_code(response.error_code, || "asking for features".to_owned(), None)?;
            let finalized = |name: &str| {
                let found = response.finalized_features.iter().find(|it| it.name == name);
                found.map_or(0, |it| it.max_version_level)
            };
            let features = response.supported_features.iter().map(|it| {
                let (min, max) = (it.min_version, it.max_version);
                (it.name.to_owned(), Feature { min, max, finalized: finalized(it.name) })
            });
            let epoch = Some(response.finalized_features_epoch).filter(|it| *it >= 0);
            Ok(Features { features: features.collect(), epoch })
        })
    }

    /// Changes the levels of features, all or none of them.
    pub fn update_features(
        &mut self,
        levels: &BTreeMap<String, i16>,
        upgrade_type: UpgradeType,
        validate_only: bool,
    ) -> Result<FeatureResults, ClientError> {
        let updates = levels.iter().map(|(feature, level)| FeatureUpdateKey {
            feature,
            max_version_level: *level,
            upgrade_type: upgrade_type as i8,
            ..FeatureUpdateKey::default()
        });
        let request = UpdateFeaturesRequest {
            timeout_ms: TIMEOUT_MS,
            feature_updates: updates.collect(),
            validate_only,
        };
        let names: Vec<&String> = levels.keys().collect();
        self.command(To::Controller, &request, |reply| {
            let response = reply.read::<UpdateFeaturesRequest<'_>>()?;
            let code = ErrorCode(response.error_code);
            if code == ErrorCode::NOT_CONTROLLER {
                check_code(code.0, || "the features".to_owned(), response.error_message)?;
            }
            // From version 2 on there is one result for all of them.
            let all = |name: &String| {
                let what = || format!("feature {name}");
                (name.clone(), check_code(code.0, what, response.error_message))
            };
            let mut results: FeatureResults = names.iter().copied().map(all).collect();
            for it in response.results.iter().filter(|_| !code.is_err()) {
                let what = || format!("feature {}", it.feature);
                let result = check_code(it.error_code, what, it.error_message);
                results.insert(it.feature.to_owned(), result);
            }
            Ok(results)
        })
    }
}
