//! `DescribeAcls`, `CreateAcls`, `DeleteAcls`: as Kafka answers where no authorizer is configured. Clients that look
//! for ACLs, MirrorMaker 2 among them, go on without when they are told so; a broker that does not know these
//! APIs is an error to them.

use super::Body;
use super::{decode, decode_in_parts};
use crate::types::ErrorCode;
use crate::wire::kafka::create_acls_request::CreateAclsRequest;
use crate::wire::kafka::create_acls_response::{AclCreationResult, CreateAclsResponse};
use crate::wire::kafka::delete_acls_request::DeleteAclsRequest;
use crate::wire::kafka::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsResponse};
use crate::wire::kafka::describe_acls_request::DescribeAclsRequest;
use crate::wire::kafka::describe_acls_response::DescribeAclsResponse;
use crate::wire::primitives::WireError;

/// Kafka's words.
const NO_AUTHORIZER: &str = "No Authorizer is configured.";

/// What is to be done with ACLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acls {
    /// `DescribeAcls`.
    Describe,
    /// `CreateAcls`.
    Create,
    /// `DeleteAcls`.
    Delete,
}

/// Answers a request, in any version, with `SECURITY_DISABLED` for each thing that it names. Pauses after each.
pub async fn handle(
    api: Acls,
    body: &[u8],
    version: i16,
    pause: &impl AsyncFn(),
) -> Result<Body, WireError> {
    let (error_code, error_message) = (ErrorCode::SECURITY_DISABLED.0, Some(NO_AUTHORIZER));
    match api {
        Acls::Describe => {
            decode(body, |r| DescribeAclsRequest::decode(r, version))?;
            let response = DescribeAclsResponse { error_code, error_message, ..Default::default() };
            Body::new(|w| response.encode(w, version))
        }
        Acls::Create => {
            let read = decode_in_parts(body, async |r| {
                CreateAclsRequest::decode_in_parts(r, version, pause).await
            });
            let mut response = CreateAclsResponse::default();
            for _ in read.await?.creations {
                response.results.push(AclCreationResult { error_code, error_message });
                pause().await;
            }
            Body::in_parts(async |w| response.encode_in_parts(w, version, pause).await).await
        }
        Acls::Delete => {
            let read = decode_in_parts(body, async |r| {
                DeleteAclsRequest::decode_in_parts(r, version, pause).await
            });
            let mut response = DeleteAclsResponse::default();
            for _ in read.await?.filters {
                let matching_acls = Vec::new();
                let result = DeleteAclsFilterResult { error_code, error_message, matching_acls };
                response.filter_results.push(result);
                pause().await;
            }
            Body::in_parts(async |w| response.encode_in_parts(w, version, pause).await).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{decode, encode};
    use crate::wire::kafka::create_acls_request::AclCreation;
    use crate::wire::kafka::delete_acls_request::DeleteAclsFilter;
    use futures_lite::future::block_on;

    const TOLD: (i16, Option<&str>) = (54, Some("No Authorizer is configured."));

    fn run(api: Acls, body: &[u8], version: i16) -> Body {
        block_on(handle(api, body, version, &async || {})).unwrap()
    }

    #[test]
    fn each_thing_that_is_named_has_the_error() {
        for version in 1..=3 {
            let request = DescribeAclsRequest::default();
            let body = encode(|w| request.encode(w, version));
            let answer = run(Acls::Describe, &body, version);
            let it = decode(&answer, |r| DescribeAclsResponse::decode(r, version));
            assert_eq!((it.error_code, it.error_message), TOLD);
            assert!(it.resources.is_empty());

            let request = CreateAclsRequest { creations: vec![AclCreation::default(); 3] };
            let body = encode(|w| request.encode(w, version));
            let answer = run(Acls::Create, &body, version);
            let it = decode(&answer, |r| CreateAclsResponse::decode(r, version));
            let told: Vec<_> =
                it.results.iter().map(|it| (it.error_code, it.error_message)).collect();
            assert_eq!(told, [TOLD; 3]);

            let request = DeleteAclsRequest { filters: vec![DeleteAclsFilter::default(); 2] };
            let body = encode(|w| request.encode(w, version));
            let answer = run(Acls::Delete, &body, version);
            let it = decode(&answer, |r| DeleteAclsResponse::decode(r, version));
            let told = it.filter_results.iter().map(|it| (it.error_code, it.error_message));
            assert_eq!(told.collect::<Vec<_>>(), [TOLD; 2]);
            assert!(it.filter_results.iter().all(|it| it.matching_acls.is_empty()));
        }
    }

    #[test]
    fn a_request_that_cannot_be_read_is_an_error() {
        for api in [Acls::Describe, Acls::Create, Acls::Delete] {
            assert!(block_on(handle(api, &[0xff; 5], 3, &async || {})).is_err());
        }
    }
}
