//! ListGroups: the groups of this broker, from version 4 by state (KIP-518), from 5 by type
//! (KIP-848).

use super::Response;
use super::decode;
use super::response::begin;
use crate::group::{List, Listed};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::list_groups_request::ListGroupsRequest;
use crate::wire::kafka::list_groups_response::{ListGroupsResponse, ListedGroup};
use std::collections::BTreeMap;

/// Reads a request.
pub fn plan(body: &[u8], version: i16) -> Result<List, WireError> {
    let request = decode(body, |r| ListGroupsRequest::decode(r, version))?;
    let owned = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
    Ok(List { states: owned(&request.states_filter), types: owned(&request.types_filter) })
}

/// The answer: the groups of all coordinators, by name, or the error of the first that has one. Pauses
/// after each.
pub async fn response(
    header: &RequestHeader<'_>,
    listed: Result<BTreeMap<String, Listed>, ErrorCode>,
    pause: impl AsyncFn(),
) -> Result<Response, WireError> {
    let (error, groups) = match listed {
        Ok(groups) => (ErrorCode::NONE, groups),
        Err(error) => (error, BTreeMap::new()),
    };
    let version = header.version;
    let mut w = begin(header);
    let none = Vec::new();
    ListGroupsResponse { throttle_time_ms: 0, error_code: error.0, groups: none }
        .encode(&mut w, version)?;
    let flexible = version >= 3;
    let tail = w.open_array(groups.len(), flexible, flexible.into())?;
    for (_, it) in groups {
        let group = ListedGroup {
            group_id: &it.group_id,
            protocol_type: &it.protocol_type,
            group_state: it.state,
            group_type: it.group_type,
        };
        group.encode(&mut w, version)?;
        pause().await;
    }
    w.raw(&tail);
    Ok(Response::from_writer(w))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{body_of, encode, header};
    use crate::wire::api_keys::ApiKey;
    use futures_lite::future::block_on;

    #[test]
    fn every_version_both_ways() {
        for version in 0..=5 {
            let mut request = ListGroupsRequest::default();
            if version >= 4 {
                request.states_filter = vec!["Stable"];
            }
            if version >= 5 {
                request.types_filter = vec!["classic"];
            }
            let body = encode(|w| request.encode(w, version));
            let list = plan(&body, version).unwrap();
            assert_eq!(
                (list.states.len(), list.types.len()),
                (usize::from(version >= 4), usize::from(version >= 5))
            );
            let group = |id: &str| Listed {
                group_id: id.into(),
                protocol_type: "consumer".into(),
                state: "Stable",
                group_type: "classic",
            };
            let groups = Ok(["b", "a"].map(|it| (it.to_owned(), group(it))).into());
            let respond = |listed| {
                let header = header(ApiKey::LIST_GROUPS, version);
                block_on(response(&header, listed, async || {})).unwrap()
            };
            let sent = respond(groups);
            body_of(&sent, ApiKey::LIST_GROUPS, version, |r| {
                let it = ListGroupsResponse::decode(r, version)?;
                let ids: Vec<_> = it.groups.iter().map(|it| it.group_id).collect();
                assert_eq!((it.error_code, &ids[..]), (0, &["a", "b"][..]));
                assert_eq!(it.groups[0].group_type == "classic", version >= 5);
                Ok(())
            });
            let loading = Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
            let sent = respond(loading);
            body_of(&sent, ApiKey::LIST_GROUPS, version, |r| {
                assert_eq!(ListGroupsResponse::decode(r, version)?.error_code, 14);
                Ok(())
            });
        }
    }
}
