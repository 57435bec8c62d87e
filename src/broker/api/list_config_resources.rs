//! `ListConfigResources`: what has configurations. Version 0 asks for client metrics only.

use super::Body;
use super::config_resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use super::decode_in_parts;
use crate::controller::Image;
use crate::types::ErrorCode;
use crate::wire::kafka::list_config_resources_request::ListConfigResourcesRequest;
use crate::wire::kafka::list_config_resources_response::{
    ConfigResource, ListConfigResourcesResponse,
};
use crate::wire::primitives::WireError;
use std::collections::BTreeSet;

/// Answers a request, in any version. Pauses after each resource.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Body, WireError> {
    let read = decode_in_parts(body, async |r| {
        ListConfigResourcesRequest::decode_in_parts(r, version, pause).await
    });
    let request = read.await?;
    let known = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];
    let types = match &request.resource_types[..] {
        _ if version == 0 => &[CLIENT_METRICS],
        [] => &known[..],
        types => types,
    };
    let mut asked = BTreeSet::new();
    for it in types {
        asked.insert(*it);
        pause().await;
    }
    let mut response = ListConfigResourcesResponse::default();
    let node_id = image.node_id.to_string();
    if asked.iter().all(|it| known.contains(it)) {
        let resources = &mut response.config_resources;
        if asked.contains(&BROKER) {
            resources.push(ConfigResource { resource_name: &node_id, resource_type: BROKER });
        }
        let topics = asked.contains(&TOPIC).then(|| image.topics());
        for topic in topics.into_iter().flatten() {
            resources.push(ConfigResource { resource_name: &topic.name, resource_type: TOPIC });
            pause().await;
        }
        let groups = asked.contains(&GROUP).then(|| image.groups_with_settings());
        for group in groups.into_iter().flatten() {
            resources.push(ConfigResource { resource_name: group, resource_type: GROUP });
            pause().await;
        }
        // There are no subscriptions and loggers with configurations.
    } else {
        response.error_code = ErrorCode::UNSUPPORTED_VERSION.0;
    }
    Body::in_parts(async |w| response.encode_in_parts(w, version, pause).await).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{decode, encode, image};
    use crate::controller::Record;
    use futures_lite::future::block_on;

    fn run(resource_types: Vec<i8>, version: i16) -> (i16, Vec<(String, i8)>) {
        let request = ListConfigResourcesRequest { resource_types };
        let body = encode(|w| request.encode(w, version));
        let mut image = image();
        let settings = vec![("consumer.session.timeout.ms".to_owned(), Some("50000".to_owned()))];
        image.apply(&Record::GroupConfigSet { group: "g".to_owned(), settings });
        let body = block_on(handle(&body, version, &image, &async || {})).unwrap();
        let response = decode(&body, |r| ListConfigResourcesResponse::decode(r, version));
        let found = response.config_resources.iter();
        let found = found.map(|it| (it.resource_name.to_owned(), it.resource_type)).collect();
        (response.error_code, found)
    }

    #[test]
    fn lists_what_is_asked_for() {
        let topics = [("dotted.name".to_owned(), TOPIC), ("exists".to_owned(), TOPIC)];
        let broker = ("1".to_owned(), BROKER);
        assert_eq!(run(vec![], 0), (0, vec![]));
        assert_eq!(run(vec![TOPIC], 1), (0, topics.to_vec()));
        assert_eq!(run(vec![BROKER], 1), (0, vec![broker.clone()]));
        let group = ("g".to_owned(), GROUP);
        assert_eq!(run(vec![GROUP], 1), (0, vec![group.clone()]));
        let all = [vec![broker], topics.to_vec(), vec![group]].concat();
        assert_eq!(run(vec![], 1), (0, all));
        assert_eq!(run(vec![TOPIC, 3], 1), (ErrorCode::UNSUPPORTED_VERSION.0, vec![]));
    }
}
