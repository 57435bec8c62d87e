//! ListTransactions (KIP-664; KIP-994 by how long they last, KIP-1152 by a pattern of their id).

use super::Response;
use super::decode;
use crate::transaction::{List, Listed, State};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::list_transactions_request::ListTransactionsRequest;
use crate::wire::kafka::list_transactions_response::{ListTransactionsResponse, TransactionState};
use regex::Regex;

/// What is asked for.
#[derive(Debug)]
pub struct Plan {
    /// What the coordinators are asked.
    pub list: List,
    unknown: Vec<String>,
    /// An expression that the whole id is to match, or the error that it is none.
    pattern: Result<Option<Regex>, ErrorCode>,
}

/// Longer patterns are refused, and such that take more memory than this, bytes.
const PATTERN_BYTES_MAX: usize = 1 << 10;
const COMPILED_BYTES_MAX: usize = 64 << 10;

/// Reads a request.
pub fn plan(body: &[u8], version: i16) -> Result<Plan, WireError> {
    let request = decode(body, |r| ListTransactionsRequest::decode(r, version))?;
    let own = |it: &&str| (*it).to_owned();
    let known = request.state_filters.iter().filter(|it| State::is_known(it));
    let unknown = request.state_filters.iter().filter(|it| !State::is_known(it));
    let mut list = List {
        states: known.map(own).collect(),
        producer_ids: request.producer_id_filters,
        duration_ms: request.duration_filter,
    };
    let unknown: Vec<String> = unknown.map(own).collect();
    if list.states.is_empty() && !unknown.is_empty() {
        // Of states that nobody knows there is nothing.
        list.states.clone_from(&unknown);
    }
    let compiled = |pattern: &str| {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(ErrorCode::INVALID_REGULAR_EXPRESSION);
        }
        let whole = format!("^(?:{pattern})$");
        let builder = regex::RegexBuilder::new(&whole).size_limit(COMPILED_BYTES_MAX).build();
        builder.map_err(|_| ErrorCode::INVALID_REGULAR_EXPRESSION)
    };
    let pattern = request.transactional_id_pattern.filter(|it| !it.is_empty()).map(compiled);
    Ok(Plan { list, unknown, pattern: pattern.transpose() })
}

impl Plan {
    /// The answer, with what the coordinators listed. Pauses after each id.
    pub async fn response(
        &self,
        header: &RequestHeader<'_>,
        listed: Result<Vec<Listed>, ErrorCode>,
        pause: &impl AsyncFn(),
    ) -> Result<Response, WireError> {
        let version = header.version;
        let unknown_state_filters = self.unknown.iter().map(String::as_str).collect();
        let mut response = ListTransactionsResponse { unknown_state_filters, ..Default::default() };
        match (&self.pattern, &listed) {
            (Err(error), _) | (_, Err(error)) => response.error_code = error.0,
            (Ok(pattern), Ok(listed)) => {
                for it in listed {
                    if pattern.as_ref().is_none_or(|p| p.is_match(&it.transactional_id)) {
                        response.transaction_states.push(TransactionState {
                            transactional_id: &it.transactional_id,
                            producer_id: it.producer_id,
                            transaction_state: it.state.name(),
                        });
                    }
                    pause().await;
                }
            }
        }
        Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await)
            .await
    }
}
