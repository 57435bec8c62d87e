//! `DescribeConfigs`: values, where they come from, and what stands behind them.

use super::Body;
use super::config_resource::{BROKER, GROUP, TOPIC, unsupported};
use super::decode_in_parts;
use super::metadata_change::Failure;
use crate::controller::Image;
use crate::types::ErrorCode;
use crate::types::config_def::Source;
use crate::types::config_table::{BROKER_CONFIGS, GROUP_CONFIGS, QUOTAS, TOPIC_CONFIGS};
use crate::types::group_config::describe_of_group;
use crate::types::topic_config::{Described, describe_of_broker, describe_of_topic};
use crate::types::topic_name::check_topic_name;
use crate::wire::kafka::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use crate::wire::kafka::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use crate::wire::primitives::{WireError, Writer};
use std::collections::{BTreeMap, BTreeSet};

/// Answers a request, in any version. Pauses after each resource, each key that is asked for, and each of
/// its configs.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Body, WireError> {
    let read = decode_in_parts(body, async |r| {
        DescribeConfigsRequest::decode_in_parts(r, version, pause).await
    });
    let request = read.await?;
    let mut w = Writer::with_capacity(256);
    DescribeConfigsResponse { throttle_time_ms: 0, results: Vec::new() }.encode(&mut w, version)?;
    let flexible = version >= 4;
    let tail = w.open_array(request.resources.len(), flexible, flexible.into())?;
    for resource in &request.resources {
        pause().await;
        let described = describe(resource, image, pause).await;
        let mut answer = DescribeConfigsResult {
            error_code: ErrorCode::NONE.0,
            error_message: Some(""),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            configs: Vec::new(),
        };
        match &described {
            Ok(configs) => {
                for it in configs {
                    answer.configs.push(show(it, &request));
                    pause().await;
                }
            }
            Err(failure) => {
                answer.error_code = failure.code.0;
                answer.error_message = Some(&failure.message);
            }
        }
        answer.encode_in_parts(&mut w, version, pause).await?;
    }
    w.raw(&tail);
    Ok(w.into())
}

fn show<'a>(
    it: &'a Described,
    request: &DescribeConfigsRequest<'_>,
) -> DescribeConfigsResourceResult<'a> {
    let synonyms = it.synonyms.iter().map(|(name, value, source)| DescribeConfigsSynonym {
        name,
        value: Some(value),
        source: *source as i8,
    });
    DescribeConfigsResourceResult {
        name: it.def.name,
        value: it.value.as_deref(),
        read_only: !it.def.dynamic,
        config_source: it.source as i8,
        is_sensitive: false,
        synonyms: if request.include_synonyms { synonyms.collect() } else { Vec::new() },
        config_type: it.def.kind as i8,
        documentation: request.include_documentation.then_some(it.def.doc),
    }
}

/// The configurations of a resource, without those that are not asked for.
async fn describe(
    resource: &DescribeConfigsResource<'_>,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Vec<Described>, Failure> {
    let mut keys = BTreeSet::new();
    for key in resource.configuration_keys.iter().flatten() {
        keys.insert(*key);
        pause().await;
    }
    let asked = |name: &str| keys.is_empty() || keys.contains(name);
    let (of, configs) = (&image.broker_configs, &mut Vec::new());
    match resource.resource_type {
        TOPIC => {
            check_topic_name(resource.resource_name)
                .map_err(|message| Failure::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message))?;
            let topic = image
                .topic(resource.resource_name)
                .ok_or_else(|| Failure::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ""))?;
            for def in TOPIC_CONFIGS.iter().filter(|def| asked(def.name)) {
                configs.push(describe_of_topic(def, &topic.overrides, of));
                pause().await;
            }
        }
        BROKER => {
            let of_all = resource.resource_name.is_empty();
            if !of_all {
                check_broker_id(resource.resource_name, image)?;
            }
            let there = |name| !QUOTAS.contains(&name) || of.set(name).is_some();
            let shown = BROKER_CONFIGS.iter().filter(|def| asked(def.name) && there(def.name));
            for def in shown {
                let config = describe_of_broker(def, of);
                configs.extend(if of_all { of_all_brokers(config) } else { Some(config) });
                pause().await;
            }
        }
        GROUP => {
            if resource.resource_name.is_empty() {
                let message = "Group name must not be empty";
                return Err(Failure::new(ErrorCode::INVALID_REQUEST, message));
            }
            let none = BTreeMap::new();
            let overrides = image.group_overrides(resource.resource_name).unwrap_or(&none);
            for def in GROUP_CONFIGS.iter().filter(|def| asked(def.name)) {
                configs.push(describe_of_group(def, overrides, of));
                pause().await;
            }
        }
        other => return Err(unsupported(other)),
    }
    Ok(std::mem::take(configs))
}

/// A broker describes itself only.
fn check_broker_id(name: &str, image: &Image) -> Result<(), Failure> {
    let own = image.node_id;
    let message = match name.parse::<i32>() {
        Ok(id) if id == own => return Ok(()),
        Ok(_) => {
            format!("Unexpected broker id, expected {own} or empty string, but received {name}")
        }
        Err(_) => format!("Broker id must be an integer, but it is: {name}"),
    };
    Err(Failure::new(ErrorCode::INVALID_REQUEST, message))
}

/// What was set for all brokers, and nothing else.
fn of_all_brokers(it: Described) -> Option<Described> {
    let synonyms: Vec<_> =
        it.synonyms.into_iter().filter(|(_, _, source)| *source == Source::Cluster).collect();
    let value = synonyms.first()?.1.clone();
    Some(Described { def: it.def, value: Some(value), source: Source::Cluster, synonyms })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{decode, encode, image};
    use crate::controller::Record;
    use futures_lite::future::block_on;

    fn run(
        resource_type: i8,
        resource_name: &str,
        keys: Option<Vec<&str>>,
        version: i16,
        image: &Image,
    ) -> Body {
        let resource =
            DescribeConfigsResource { resource_type, resource_name, configuration_keys: keys };
        let request = DescribeConfigsRequest {
            resources: vec![resource],
            include_synonyms: true,
            include_documentation: version >= 3,
        };
        let body = encode(|w| request.encode(w, version));
        block_on(handle(&body, version, image, &async || {})).unwrap()
    }

    fn one(body: &[u8], version: i16) -> DescribeConfigsResult<'_> {
        decode(body, |r| DescribeConfigsResponse::decode(r, version)).results.remove(0)
    }

    fn image_with_dynamic_settings() -> Image {
        let mut image = image();
        let set = |broker, value: &str| Record::BrokerConfigSet {
            broker,
            settings: vec![("log.retention.ms".into(), Some(value.into()))],
        };
        image.apply(&set(None, "8000"));
        image.apply(&set(Some(1), "7000"));
        image
    }

    #[test]
    fn describes_topics_with_sources_and_synonyms_in_every_version() {
        let image = image_with_dynamic_settings();
        for version in 1..=4 {
            let body = run(TOPIC, "exists", None, version, &image);
            let result = one(&body, version);
            assert_eq!(result.error_code, 0);
            assert_eq!(result.configs.len(), 33, "as many as Kafka 4.3.1 has");
            let find = |name| result.configs.iter().find(|it| it.name == name).unwrap();
            let retention = find("retention.ms");
            assert_eq!((retention.value, retention.config_source), (Some("5000"), 1));
            let synonyms: Vec<_> =
                retention.synonyms.iter().map(|it| (it.name, it.value, it.source)).collect();
            assert_eq!(
                synonyms,
                [
                    ("retention.ms", Some("5000"), 1),
                    ("log.retention.ms", Some("7000"), 2),
                    ("log.retention.ms", Some("8000"), 3),
                    ("log.retention.hours", Some("168"), 5),
                ]
            );
            let flush = find("flush.messages");
            assert_eq!((flush.value, flush.config_source), (Some("1"), 5));
            assert_eq!(flush.synonyms[0].name, "log.flush.interval.messages");
            assert!(result.configs.iter().all(|it| !it.read_only && !it.is_sensitive));
            if version >= 3 {
                assert_eq!(find("cleanup.policy").config_type, 7);
                assert!(find("cleanup.policy").documentation.is_some());
            }
        }
    }

    #[test]
    fn filters_by_key() {
        let keys = Some(vec!["retention.ms", "nope"]);
        let body = run(TOPIC, "exists", keys, 4, &image());
        let names: Vec<_> = one(&body, 4).configs.iter().map(|it| it.name).collect();
        assert_eq!(names, ["retention.ms"]);
    }

    #[test]
    fn describes_this_broker_and_all() {
        let image = image_with_dynamic_settings();
        let body = run(BROKER, "1", None, 4, &image);
        let result = one(&body, 4);
        let find = |name| result.configs.iter().find(|it| it.name == name).unwrap();
        let partitions = find("num.partitions");
        assert_eq!((partitions.value, partitions.config_source), (Some("3"), 4));
        assert!(partitions.read_only);
        let retention = find("log.retention.ms");
        assert_eq!((retention.value, retention.config_source), (Some("7000"), 2));
        assert!(!retention.read_only);
        let body = run(BROKER, "", None, 4, &image);
        let result = one(&body, 4);
        let all: Vec<_> =
            result.configs.iter().map(|it| (it.name, it.value, it.config_source)).collect();
        assert_eq!(all, [("log.retention.ms", Some("8000"), 3)]);
    }

    #[test]
    fn refuses_with_kafkas_codes() {
        for (resource_type, name, code, words) in [
            (TOPIC, "zz", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ""),
            (TOPIC, "z z", ErrorCode::INVALID_TOPIC_EXCEPTION, "other than ASCII"),
            (TOPIC, "", ErrorCode::INVALID_TOPIC_EXCEPTION, "empty string"),
            (BROKER, "7", ErrorCode::INVALID_REQUEST, "Unexpected broker id, expected 1"),
            (BROKER, "x", ErrorCode::INVALID_REQUEST, "must be an integer"),
            (8, "1", ErrorCode::INVALID_REQUEST, "Unsupported resource type: BROKER_LOGGER"),
            (0, "x", ErrorCode::INVALID_REQUEST, "Unknown resource type 0"),
        ] {
            let body = run(resource_type, name, None, 2, &image());
            let result = one(&body, 2);
            assert_eq!(ErrorCode(result.error_code), code);
            assert!(result.error_message.unwrap().contains(words), "{:?}", result.error_message);
            assert!(result.configs.is_empty());
        }
    }
}
