//! `AlterConfigs`: replaces all settings of topics and brokers. Superseded by
//! `IncrementalAlterConfigs`, and still used by old clients.

use super::config_resource::{Change, Changes, alter_all};
use super::decode_in_parts;
use super::metadata_change::{Failure, Handled, code_and_message};
use crate::controller::Image;
use crate::types::ErrorCode;
use crate::wire::kafka::alter_configs_request::{AlterConfigsRequest, AlterConfigsResource};
use crate::wire::kafka::alter_configs_response::{
    AlterConfigsResourceResponse, AlterConfigsResponse,
};
use crate::wire::primitives::WireError;

/// Answers a request, in any version. Pauses after each resource and each of its settings.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Handled, WireError> {
    let read = decode_in_parts(body, async |r| {
        AlterConfigsRequest::decode_in_parts(r, version, pause).await
    });
    let request = read.await?;
    let mut asked = Vec::with_capacity(request.resources.len());
    for it in &request.resources {
        asked.push((it.resource_type, it.resource_name, changes(it, pause).await));
    }
    let (results, records) = alter_all(asked, REPLACES, request.validate_only, image, pause).await;
    let mut responses = Vec::with_capacity(results.len());
    for (it, result) in request.resources.iter().zip(&results) {
        let (error_code, error_message) = code_and_message(result);
        let (resource_type, resource_name) = (it.resource_type, it.resource_name);
        responses.push(AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name,
        });
        pause().await;
    }
    let response = AlterConfigsResponse { throttle_time_ms: 0, responses };
    Handled::in_parts(records, async |w| response.encode_in_parts(w, version, pause).await).await
}

/// Settings that are not mentioned are removed.
const REPLACES: bool = true;

async fn changes<'a>(
    resource: &AlterConfigsResource<'a>,
    pause: &impl AsyncFn(),
) -> Result<Changes<'a>, Failure> {
    let (mut nulls, mut changes) = (Vec::new(), Vec::with_capacity(resource.configs.len()));
    for it in &resource.configs {
        match it.value {
            Some(value) => changes.push((it.name, Change::Set(value))),
            None => nulls.push(it.name),
        }
        pause().await;
    }
    if !nulls.is_empty() {
        let message = format!("Null value not supported for : {}", nulls.join(","));
        return Err(Failure::new(ErrorCode::INVALID_REQUEST, message));
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{decode, encode, id, image};
    use crate::controller::Record;
    use crate::wire::kafka::alter_configs_request::AlterableConfig;
    use futures_lite::future::block_on;

    #[test]
    fn replaces_in_every_version() {
        for version in 0..=2 {
            for validate_only in [false, true] {
                let configs = vec![AlterableConfig { name: "segment.ms", value: Some("9000") }];
                let null = vec![AlterableConfig { name: "segment.ms", value: None }];
                let resource = |resource_name, configs| AlterConfigsResource {
                    resource_type: 2,
                    resource_name,
                    configs,
                };
                let request = AlterConfigsRequest {
                    resources: vec![
                        resource("exists", configs),
                        resource("dotted.name", null),
                        resource("zz", vec![]),
                        resource("zz", vec![]),
                    ],
                    validate_only,
                };
                let body = encode(|w| request.encode(w, version));
                let handled = block_on(handle(&body, version, &image(), &async || {})).unwrap();
                let response =
                    decode(&handled.response, |r| AlterConfigsResponse::decode(r, version));
                let codes: Vec<i16> = response.responses.iter().map(|it| it.error_code).collect();
                let invalid = ErrorCode::INVALID_REQUEST.0;
                assert_eq!(codes, [0, invalid, invalid, invalid]);
                assert_eq!(response.responses[0].error_message, None);
                assert_eq!(
                    response.responses[1].error_message,
                    Some("Null value not supported for : segment.ms")
                );
                let settings = vec![
                    ("retention.ms".to_owned(), None),
                    ("segment.ms".to_owned(), Some("9000".to_owned())),
                ];
                let mut expected = vec![Record::TopicConfigSet { id: id(1), settings }];
                expected.truncate(usize::from(!validate_only));
                assert_eq!(handled.records, expected);
            }
        }
    }
}
