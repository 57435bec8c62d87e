//! `IncrementalAlterConfigs`: sets, removes, appends to and subtracts from settings.

use super::config_resource::{Change, Changes, alter_all};
use super::decode_in_parts;
use super::metadata_change::{Failure, Handled, code_and_message};
use crate::controller::Image;
use crate::types::ErrorCode;
use crate::wire::kafka::incremental_alter_configs_request::{
    AlterConfigsResource, IncrementalAlterConfigsRequest,
};
use crate::wire::kafka::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
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
        IncrementalAlterConfigsRequest::decode_in_parts(r, version, pause).await
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
    let response = IncrementalAlterConfigsResponse { throttle_time_ms: 0, responses };
    Handled::in_parts(records, async |w| response.encode_in_parts(w, version, pause).await).await
}

/// Settings that are not mentioned stay.
const REPLACES: bool = false;

async fn changes<'a>(
    resource: &AlterConfigsResource<'a>,
    pause: &impl AsyncFn(),
) -> Result<Changes<'a>, Failure> {
    let mut nulls = Vec::new();
    let mut changes = Vec::new();
    for config in &resource.configs {
        pause().await;
        let value = config.value.unwrap_or_default();
        let change = match config.config_operation {
            0 => Change::Set(value),
            1 => Change::Delete,
            2 => Change::Append(value),
            3 => Change::Subtract(value),
            other => {
                let message = format!("Unknown operation type {other} for {}", config.name);
                return Err(Failure::new(ErrorCode::INVALID_REQUEST, message));
            }
        };
        if config.value.is_none() && change != Change::Delete {
            nulls.push(config.name);
        }
        changes.push((config.name, change));
    }
    if nulls.is_empty() {
        return Ok(changes);
    }
    let message = format!("Null value not supported for : {}", nulls.join(","));
    Err(Failure::new(ErrorCode::INVALID_REQUEST, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{decode, encode, id, image};
    use crate::controller::Record;
    use crate::wire::kafka::incremental_alter_configs_request::AlterableConfig;
    use futures_lite::future::block_on;

    fn run(
        configs: &[(&str, i8, Option<&str>)],
        version: i16,
        validate_only: bool,
    ) -> (ErrorCode, String, Vec<Record>) {
        let configs = configs
            .iter()
            .map(|(name, config_operation, value)| AlterableConfig {
                name,
                config_operation: *config_operation,
                value: *value,
            })
            .collect();
        let resource = AlterConfigsResource { resource_type: 2, resource_name: "exists", configs };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only };
        let body = encode(|w| request.encode(w, version));
        let handled = block_on(handle(&body, version, &image(), &async || {})).unwrap();
        let response =
            decode(&handled.response, |r| IncrementalAlterConfigsResponse::decode(r, version));
        let answer = &response.responses[0];
        assert_eq!((answer.resource_type, answer.resource_name), (2, "exists"));
        let message = answer.error_message.unwrap_or_default().to_owned();
        (ErrorCode(answer.error_code), message, handled.records)
    }

    #[test]
    fn carries_out_each_operation() {
        for version in 0..=1 {
            let asked = [
                ("segment.ms", 0, Some("9000")),
                ("retention.ms", 1, None),
                ("cleanup.policy", 2, Some("delete")),
                ("leader.replication.throttled.replicas", 3, Some("0:1")),
            ];
            let (code, _, records) = run(&asked, version, false);
            assert_eq!(code, ErrorCode::NONE);
            let settings = [
                ("retention.ms", None),
                ("cleanup.policy", Some("delete")),
                ("leader.replication.throttled.replicas", Some("")),
                ("segment.ms", Some("9000")),
            ];
            let own = |it: (&str, Option<&str>)| (it.0.to_owned(), it.1.map(str::to_owned));
            let settings = settings.map(own).to_vec();
            assert_eq!(records, [Record::TopicConfigSet { id: id(1), settings }]);
            let (code, _, records) = run(&asked, version, true);
            assert_eq!((code, records), (ErrorCode::NONE, vec![]));
        }
    }

    #[test]
    fn refuses_nulls_and_unknown_operations() {
        let (code, message, _) = run(&[("retention.ms", 0, None)], 1, false);
        assert_eq!(code, ErrorCode::INVALID_REQUEST);
        assert_eq!(message, "Null value not supported for : retention.ms");
        let (code, _, _) = run(&[("retention.ms", 7, Some("1"))], 1, false);
        assert_eq!(code, ErrorCode::INVALID_REQUEST);
        // One bad setting keeps the others of its resource from taking effect.
        let asked = [("segment.ms", 0, Some("9000")), ("retention.ms", 0, Some("x"))];
        let (code, _, records) = run(&asked, 1, false);
        assert_eq!((code, records), (ErrorCode::INVALID_CONFIG, vec![]));
    }
}
