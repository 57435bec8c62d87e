//! ApiVersions (KIP-35, KIP-511), with features (KIP-584).

use super::Response;
use super::decode;
use super::table::TABLE;
use crate::controller::{Image, features};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::api_versions_request::ApiVersionsRequest;
use crate::wire::kafka::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

/// Answers. A version that is not known is answered in version 0 with `UNSUPPORTED_VERSION` and
/// everything that is supported, so that the client can choose (KIP-511).
pub fn handle(
    header: &RequestHeader<'_>,
    body: &[u8],
    image: &Image,
) -> Result<Response, WireError> {
    let supported = (0..=ApiVersionsRequest::MAX_VERSION).contains(&header.version);
    let (version, error) = if supported {
        let request = decode(body, |r| ApiVersionsRequest::decode(r, header.version))?;
        let named = header.version < 3
            || (valid_name(request.client_software_name)
                && valid_name(request.client_software_version));
        (header.version, if named { ErrorCode::NONE } else { ErrorCode::INVALID_REQUEST })
    } else {
        (0, ErrorCode::UNSUPPORTED_VERSION)
    };
    let api_keys = TABLE
        .iter()
        .map(|it| ApiVersion { api_key: it.key.0, min_version: it.min, max_version: it.max })
        .collect();
    let mut response = ApiVersionsResponse { error_code: error.0, ..Default::default() };
    if error != ErrorCode::INVALID_REQUEST {
        response.api_keys = api_keys;
    }
    let supported = features::supported();
    if version >= 3 && !error.is_err() {
        // Clients of version 3 do not take a range that begins at 0 (KAFKA-17011).
        let shown = supported.iter().filter(|(_, range)| version >= 4 || range.min > 0);
        let shown = shown.map(|(name, range)| SupportedFeatureKey {
            name,
            min_version: range.min,
            max_version: range.max,
        });
        response.supported_features = shown.collect();
        // They change with the metadata: an epoch that is not older is not older.
        response.finalized_features_epoch = i64::try_from(image.index).unwrap_or(i64::MAX);
        let levels = image.finalized_features();
        let levels = levels.map(|(name, level)| FinalizedFeatureKey {
            name,
            max_version_level: level,
            min_version_level: level,
        });
        response.finalized_features = levels.collect();
    }
    Response::new(&RequestHeader { version, ..*header }, |w| response.encode(w, version))
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`, as `ApiVersionsRequest.isValid` of Kafka has it.
fn valid_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|&b| inner(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::image;
    use crate::wire::Reader;
    use crate::wire::api_keys::ApiKey;
    use crate::wire::header::decode_response;

    fn answer(version: i16, body: &[u8]) -> (i16, usize) {
        let header = RequestHeader {
            api_key: ApiKey::API_VERSIONS,
            version,
            correlation_id: 1,
            client_id: None,
        };
        let response = handle(&header, body, &image()).unwrap();
        let v = if (0..=4).contains(&version) { version } else { 0 };
        let mut r = Reader::new(&response.head[4..]);
        decode_response(ApiKey::API_VERSIONS, v, &mut r).unwrap();
        let body = ApiVersionsResponse::decode(&mut r, v).unwrap();
        (body.error_code, body.api_keys.len())
    }

    #[test]
    fn an_unknown_version_is_answered_in_version_0() {
        assert_eq!(answer(0, &[]), (0, TABLE.len()));
        assert_eq!(answer(4, &[2, b'a', 2, b'1', 0]), (0, TABLE.len()));
        assert_eq!(answer(99, b"anything"), (35, TABLE.len()));
    }

    #[test]
    fn features_are_shown_as_the_version_can_say_them() {
        let shown = |version, body: &[u8]| {
            let header = RequestHeader {
                api_key: ApiKey::API_VERSIONS,
                version,
                correlation_id: 1,
                client_id: None,
            };
            let mut image = image();
            image.index = 77;
            let response = handle(&header, body, &image).unwrap();
            let mut r = Reader::new(&response.head[4..]);
            decode_response(ApiKey::API_VERSIONS, version, &mut r).unwrap();
            let body = ApiVersionsResponse::decode(&mut r, version).unwrap();
            let supported = body.supported_features.iter();
            let supported =
                supported.map(|it| (it.name.to_owned(), it.min_version, it.max_version));
            let levels = body.finalized_features.iter();
            let levels = levels.map(|it| (it.name.to_owned(), it.max_version_level));
            let (supported, levels): (Vec<_>, Vec<_>) = (supported.collect(), levels.collect());
            (supported, levels, body.finalized_features_epoch)
        };
        let request = &[2, b'a', 2, b'1', 0];
        let (supported, levels, epoch) = shown(4, request);
        assert!(supported.contains(&("metadata.version".to_owned(), 7, 30)));
        assert!(supported.contains(&("group.version".to_owned(), 0, 1)));
        assert!(levels.contains(&("metadata.version".to_owned(), 30)));
        assert!(levels.iter().all(|it| it.1 > 0) && epoch == 77);
        let (supported, levels_3, _) = shown(3, request);
        assert!(supported.iter().all(|it| it.1 > 0) && !supported.is_empty());
        assert_eq!(levels_3, levels);
        assert_eq!(shown(2, &[]), (Vec::new(), Vec::new(), -1));
    }

    #[test]
    fn names_as_in_kafka() {
        assert!(valid_name("librdkafka") && valid_name("a-b.c1") && valid_name("1"));
        assert!(!valid_name("") && !valid_name("-a") && !valid_name("a.") && !valid_name("a b"));
        assert_eq!(answer(3, &[1, 1, 0]).0, ErrorCode::INVALID_REQUEST.0);
    }
}
