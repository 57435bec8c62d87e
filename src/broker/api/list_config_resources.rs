//! `ListConfigResources`: what has configurations. Version 0 asks for client metrics only.

use super::Body;
use super::config_resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use super::decode;
use crate::controller::Image;
use crate::types::ErrorCode;
use crate::wire::kafka::list_config_resources_request::ListConfigResourcesRequest;
use crate::wire::kafka::list_config_resources_response::{
    ConfigResource, ListConfigResourcesResponse,
};
use crate::wire::primitives::WireError;

/// Answers a request, in any version.
pub fn handle(body: &[u8], version: i16, image: &Image) -> Result<Body, WireError> {
    let request = decode(body, |r| ListConfigResourcesRequest::decode(r, version))?;
    let known = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];
    let types = match &request.resource_types[..] {
        _ if version == 0 => &[CLIENT_METRICS],
        [] => &known[..],
        types => types,
    };
    let mut response = ListConfigResourcesResponse::default();
    let node_id = image.node_id.to_string();
    if types.iter().all(|it| known.contains(it)) {
        let mut add = |resource_name, resource_type| {
            response.config_resources.push(ConfigResource { resource_name, resource_type });
        };
        if types.contains(&BROKER) {
            add(&node_id, BROKER);
        }
        if types.contains(&TOPIC) {
            image.topics().for_each(|topic| add(&topic.name, TOPIC));
        }
        // There are no groups, subscriptions and loggers with configurations.
    } else {
        response.error_code = ErrorCode::UNSUPPORTED_VERSION.0;
    }
    Body::new(|w| response.encode(w, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{decode, encode, image};

    fn run(resource_types: Vec<i8>, version: i16) -> (i16, Vec<(String, i8)>) {
        let request = ListConfigResourcesRequest { resource_types };
        let body = handle(&encode(|w| request.encode(w, version)), version, &image()).unwrap();
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
        assert_eq!(run(vec![GROUP], 1), (0, vec![]));
        assert_eq!(run(vec![], 1), (0, [vec![broker], topics.to_vec()].concat()));
        assert_eq!(run(vec![TOPIC, 3], 1), (ErrorCode::UNSUPPORTED_VERSION.0, vec![]));
    }
}
