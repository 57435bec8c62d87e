//! DeleteGroups (KIP-229): groups without members go, with their offsets.

use super::Response;
use super::decode;
use crate::group::{DeleteGroup, DeletedGroup};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::delete_groups_request::DeleteGroupsRequest;
use crate::wire::kafka::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
use std::collections::HashSet;

/// Reads a request. A group that it names twice is there once.
pub fn plan(body: &[u8], version: i16) -> Result<Vec<DeleteGroup>, WireError> {
    let request = decode(body, |r| DeleteGroupsRequest::decode(r, version))?;
    let mut seen = HashSet::new();
    let groups = request.groups_names.iter().filter(|it| seen.insert(**it));
    Ok(groups.map(|it| DeleteGroup { group_id: (*it).to_owned() }).collect())
}

/// The answer: for each group of the plan, what its coordinator said.
pub fn response(
    header: &RequestHeader<'_>,
    groups: &[(String, DeletedGroup)],
) -> Result<Response, WireError> {
    let results = groups
        .iter()
        .map(|(group_id, it)| DeletableGroupResult { group_id, error_code: it.error.0 });
    let response = DeleteGroupsResponse { throttle_time_ms: 0, results: results.collect() };
    Response::new(header, |w| response.encode(w, header.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{body_of, encode, header};
    use crate::types::ErrorCode;
    use crate::wire::api_keys::ApiKey;

    #[test]
    fn every_version_both_ways() {
        for version in 0..=2 {
            let request = DeleteGroupsRequest { groups_names: vec!["a", "b", "a"] };
            let body = encode(|w| request.encode(w, version));
            let groups = plan(&body, version).unwrap();
            let ids: Vec<_> = groups.iter().map(|it| &*it.group_id).collect();
            assert_eq!(ids, ["a", "b"]);
            let results = [
                ("a".to_owned(), DeletedGroup { error: ErrorCode::NONE }),
                ("b".to_owned(), DeletedGroup { error: ErrorCode::NON_EMPTY_GROUP }),
            ];
            let sent = response(&header(ApiKey::DELETE_GROUPS, version), &results).unwrap();
            body_of(&sent, ApiKey::DELETE_GROUPS, version, |r| {
                let it = DeleteGroupsResponse::decode(r, version)?;
                let codes: Vec<_> =
                    it.results.iter().map(|it| (it.group_id, it.error_code)).collect();
                assert_eq!(codes, [("a", 0), ("b", 68)]);
                Ok(())
            });
        }
    }
}
