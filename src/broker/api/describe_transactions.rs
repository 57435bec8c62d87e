//! DescribeTransactions (KIP-664).

use super::Response;
use super::decode;
use crate::transaction::Described;
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::describe_transactions_request::DescribeTransactionsRequest;
use crate::wire::kafka::describe_transactions_response::{
    DescribeTransactionsResponse, TopicData, TransactionState,
};
use std::collections::BTreeMap;

/// Reads a request: the ids.
pub fn plan(body: &[u8], version: i16) -> Result<Vec<String>, WireError> {
    let request = decode(body, |r| DescribeTransactionsRequest::decode(r, version))?;
    Ok(request.transactional_ids.iter().map(|it| (*it).to_owned()).collect())
}

/// The answer, with what the coordinators said of each id. Pauses after each partition.
pub async fn response(
    header: &RequestHeader<'_>,
    all: &[(String, Result<Described, ErrorCode>)],
    pause: &impl AsyncFn(),
) -> Result<Response, WireError> {
    let version = header.version;
    let mut transaction_states = Vec::with_capacity(all.len());
    for (id, described) in all {
        let mut state = TransactionState { transactional_id: id, ..TransactionState::default() };
        match described {
            Err(error) => {
                state.error_code = error.0;
            }
            Ok(it) => {
                let mut topics = BTreeMap::<&str, Vec<i32>>::new();
                for (topic, partition) in &it.partitions {
                    topics.entry(topic).or_default().push(*partition);
                    pause().await;
                }
                let topic = |(topic, partitions)| TopicData { topic, partitions };
                state.transaction_state = it.state.name();
                state.transaction_timeout_ms = it.timeout_ms;
                state.transaction_start_time_ms = it.start_ms;
                state.producer_id = it.producer.id;
                state.producer_epoch = it.producer.epoch;
                state.topics = topics.into_iter().map(topic).collect();
            }
        }
        transaction_states.push(state);
        pause().await;
    }
    let response = DescribeTransactionsResponse { throttle_time_ms: 0, transaction_states };
    Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await).await
}
