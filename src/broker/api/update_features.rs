//! `UpdateFeatures`: levels of features change (KIP-584, KIP-1022).

use super::decode_in_parts;
use super::metadata_change::Handled;
use crate::controller::Image;
use crate::controller::feature_levels::{self, UpgradeType};
use crate::types::ErrorCode;
use crate::wire::kafka::update_features_request::UpdateFeaturesRequest;
use crate::wire::kafka::update_features_response::{
    UpdatableFeatureResult, UpdateFeaturesResponse,
};
use crate::wire::primitives::WireError;

/// Answers a request, in any version: all changes take effect, or none. Pauses after each.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Handled, WireError> {
    let request = decode_in_parts(body, async |r| {
        UpdateFeaturesRequest::decode_in_parts(r, version, pause).await
    })
    .await?;
    let (mut records, mut failure) = (Vec::new(), None);
    for it in &request.feature_updates {
        let how = UpgradeType::from_code(it.upgrade_type);
        match feature_levels::update(image, it.feature, it.max_version_level, how) {
            Ok(record) => records.push(record),
            Err(why) => {
                failure = Some(why);
                break;
            }
        }
        pause().await;
    }
    if request.validate_only || failure.is_some() {
        records.clear();
    }
    let code = failure.as_ref().map_or(ErrorCode::NONE, |it| it.0);
    let words = failure.map(|(_, words)| {
        format!(
            "The update failed for all features since the following feature had an error: {words}"
        )
    });
    let result = |feature| UpdatableFeatureResult {
        feature,
        error_code: code.0,
        error_message: code.is_err().then(|| code.message()),
    };
    let response = UpdateFeaturesResponse {
        throttle_time_ms: 0,
        error_code: code.0,
        error_message: words.as_deref(),
        results: request.feature_updates.iter().map(|it| result(it.feature)).collect(),
    };
    Handled::in_parts(records, async |w| response.encode_in_parts(w, version, pause).await).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{decode, encode, image};
    use crate::controller::Record;
    use crate::wire::kafka::update_features_request::FeatureUpdateKey;
    use futures_lite::future::block_on;

    const METADATA: &str = crate::controller::features::METADATA_VERSION;

    fn run(
        version: i16,
        validate_only: bool,
        asked: &[(&str, i16, i8)],
    ) -> (Vec<Record>, i16, usize) {
        let updates = asked.iter().map(|(feature, level, how)| FeatureUpdateKey {
            feature,
            max_version_level: *level,
            upgrade_type: *how,
            ..FeatureUpdateKey::default()
        });
        let feature_updates = updates.collect();
        let request =
            UpdateFeaturesRequest { feature_updates, validate_only, ..Default::default() };
        let body = encode(|w| request.encode(w, version));
        let handled = block_on(handle(&body, version, &image(), &async || {})).unwrap();
        let response = decode(&handled.response, |r| UpdateFeaturesResponse::decode(r, version));
        let failed = response.error_code != 0;
        assert_eq!(response.error_message.is_some(), failed);
        assert!(response.results.iter().all(|it| it.error_code == response.error_code));
        (handled.records, response.error_code, response.results.len())
    }

    #[test]
    fn all_changes_take_effect_or_none() {
        let set = |name: &str, level| Record::FeatureLevelSet { name: name.to_owned(), level };
        let both = [(METADATA, 30, 1), ("kraft.version", 1, 1)];
        let made = vec![set(METADATA, 30), set("kraft.version", 1)];
        assert_eq!(run(2, false, &both), (made, 0, 0));
        assert_eq!(run(1, true, &both), (Vec::new(), 0, 2));
        let one_is_wrong = [(METADATA, 30, 1), ("kraft.version", 2, 1)];
        let invalid = ErrorCode::INVALID_UPDATE_VERSION.0;
        assert_eq!(run(1, false, &one_is_wrong), (Vec::new(), invalid, 2));
        assert_eq!(run(2, false, &one_is_wrong), (Vec::new(), invalid, 0));
        assert_eq!(run(0, false, &[(METADATA, 30, 1)]), (vec![set(METADATA, 30)], 0, 1));
    }
}
