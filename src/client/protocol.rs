//! One connection's side of Kafka's protocol, without the connection.
//!
//! Call order: [`Protocol::hello`], send it, [`Protocol::hello_answered`] with the answer (which may
//! ask for one more); then any number of [`Protocol::request`]s in flight, each answered by one
//! frame for [`Protocol::answered`], in order. A frame on the wire is its length, 4 bytes, then that
//! many bytes: [`frame_len`] reads the first, `answered` takes the rest.

use super::ClientError;
use crate::types::ErrorCode;
use crate::wire::api_keys::ApiKey;
use crate::wire::header::{self, RequestHeader};
use crate::wire::kafka as k;
use crate::wire::{Reader, WireError, Writer};
use std::collections::VecDeque;

/// A request that has an answer. `MIN` and `MAX` are the versions that the tools are written for.
pub trait ApiRequest {
    /// The API.
    const KEY: ApiKey;
    /// First version.
    const MIN: i16;
    /// Last version.
    const MAX: i16;
    /// The answer; borrows from the reply.
    type Response<'r>;
    /// Writes the body.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError>;
    /// Reads the answer's body.
    fn decode<'r>(r: &mut Reader<'r>, version: i16) -> Result<Self::Response<'r>, WireError>;
}

macro_rules! requests {
    ($($request:ty, $response:ty, $min:expr, $max:expr;)*) => {$(
        impl ApiRequest for $request {
            const KEY: ApiKey = <$request>::KEY;
            const MIN: i16 = $min;
            const MAX: i16 = $max;
            type Response<'r> = $response;
            fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
                <$request>::encode(self, w, version)
            }
            #[allow(clippy::needless_lifetimes, clippy::elidable_lifetime_names, reason = "one response owns all that it says")]
            fn decode<'r>(r: &mut Reader<'r>, version: i16) -> Result<$response, WireError> {
                <$response>::decode(r, version)
            }
        }
    )*};
}

// Produce and Fetch stop before 13, where topics go by id, DeleteTopics before 6 and OffsetCommit and
// OffsetFetch before 10 for the same reason: the tools know topics by name, and names are what all brokers since Kafka 2.4 take.
requests! {
    k::api_versions_request::ApiVersionsRequest<'_>,
        k::api_versions_response::ApiVersionsResponse<'r>, 0, 4;
    k::metadata_request::MetadataRequest<'_>, k::metadata_response::MetadataResponse<'r>, 4, 13;
    k::produce_request::ProduceRequest<'_>, k::produce_response::ProduceResponse<'r>, 3, 12;
    k::fetch_request::FetchRequest<'_>, k::fetch_response::FetchResponse<'r>, 4, 12;
    k::list_offsets_request::ListOffsetsRequest<'_>,
        k::list_offsets_response::ListOffsetsResponse<'r>, 1, 11;
    k::init_producer_id_request::InitProducerIdRequest<'_>,
        k::init_producer_id_response::InitProducerIdResponse, 0, 5;
    k::create_topics_request::CreateTopicsRequest<'_>,
        k::create_topics_response::CreateTopicsResponse<'r>, 2, 7;
    k::delete_topics_request::DeleteTopicsRequest<'_>,
        k::delete_topics_response::DeleteTopicsResponse<'r>, 1, 5;
    k::create_partitions_request::CreatePartitionsRequest<'_>,
        k::create_partitions_response::CreatePartitionsResponse<'r>, 0, 3;
    k::describe_configs_request::DescribeConfigsRequest<'_>,
        k::describe_configs_response::DescribeConfigsResponse<'r>, 1, 4;
    k::list_config_resources_request::ListConfigResourcesRequest,
        k::list_config_resources_response::ListConfigResourcesResponse<'r>, 1, 1;
    k::incremental_alter_configs_request::IncrementalAlterConfigsRequest<'_>,
        k::incremental_alter_configs_response::IncrementalAlterConfigsResponse<'r>, 0, 1;
    k::delete_records_request::DeleteRecordsRequest<'_>,
        k::delete_records_response::DeleteRecordsResponse<'r>, 0, 2;
    k::describe_log_dirs_request::DescribeLogDirsRequest<'_>,
        k::describe_log_dirs_response::DescribeLogDirsResponse<'r>, 1, 5;
    k::describe_topic_partitions_request::DescribeTopicPartitionsRequest<'_>,
        k::describe_topic_partitions_response::DescribeTopicPartitionsResponse<'r>, 0, 0;
    k::describe_cluster_request::DescribeClusterRequest,
        k::describe_cluster_response::DescribeClusterResponse<'r>, 0, 2;
    k::unregister_broker_request::UnregisterBrokerRequest,
        k::unregister_broker_response::UnregisterBrokerResponse<'r>, 0, 0;
    k::describe_quorum_request::DescribeQuorumRequest<'_>,
        k::describe_quorum_response::DescribeQuorumResponse<'r>, 0, 2;
    k::add_raft_voter_request::AddRaftVoterRequest<'_>,
        k::add_raft_voter_response::AddRaftVoterResponse<'r>, 0, 1;
    k::remove_raft_voter_request::RemoveRaftVoterRequest<'_>,
        k::remove_raft_voter_response::RemoveRaftVoterResponse<'r>, 0, 0;
    k::elect_leaders_request::ElectLeadersRequest<'_>,
        k::elect_leaders_response::ElectLeadersResponse<'r>, 0, 2;
    k::alter_partition_reassignments_request::AlterPartitionReassignmentsRequest<'_>,
        k::alter_partition_reassignments_response::AlterPartitionReassignmentsResponse<'r>, 0, 1;
    k::list_partition_reassignments_request::ListPartitionReassignmentsRequest<'_>,
        k::list_partition_reassignments_response::ListPartitionReassignmentsResponse<'r>, 0, 0;
    k::update_features_request::UpdateFeaturesRequest<'_>,
        k::update_features_response::UpdateFeaturesResponse<'r>, 0, 2;
    k::find_coordinator_request::FindCoordinatorRequest<'_>,
        k::find_coordinator_response::FindCoordinatorResponse<'r>, 0, 6;
    k::join_group_request::JoinGroupRequest<'_>,
        k::join_group_response::JoinGroupResponse<'r>, 0, 9;
    k::sync_group_request::SyncGroupRequest<'_>,
        k::sync_group_response::SyncGroupResponse<'r>, 0, 5;
    k::heartbeat_request::HeartbeatRequest<'_>, k::heartbeat_response::HeartbeatResponse, 0, 4;
    k::leave_group_request::LeaveGroupRequest<'_>,
        k::leave_group_response::LeaveGroupResponse<'r>, 0, 5;
    k::consumer_group_describe_request::ConsumerGroupDescribeRequest<'_>,
        k::consumer_group_describe_response::ConsumerGroupDescribeResponse<'r>, 0, 1;
    k::offset_commit_request::OffsetCommitRequest<'_>,
        k::offset_commit_response::OffsetCommitResponse<'r>, 2, 9;
    k::offset_fetch_request::OffsetFetchRequest<'_>,
        k::offset_fetch_response::OffsetFetchResponse<'r>, 1, 9;
    k::offset_delete_request::OffsetDeleteRequest<'_>,
        k::offset_delete_response::OffsetDeleteResponse<'r>, 0, 0;
    k::list_groups_request::ListGroupsRequest<'_>,
        k::list_groups_response::ListGroupsResponse<'r>, 0, 5;
    k::describe_groups_request::DescribeGroupsRequest<'_>,
        k::describe_groups_response::DescribeGroupsResponse<'r>, 0, 6;
    k::list_transactions_request::ListTransactionsRequest<'_>,
        k::list_transactions_response::ListTransactionsResponse<'r>, 0, 2;
    k::describe_transactions_request::DescribeTransactionsRequest<'_>,
        k::describe_transactions_response::DescribeTransactionsResponse<'r>, 0, 0;
    k::describe_producers_request::DescribeProducersRequest<'_>,
        k::describe_producers_response::DescribeProducersResponse<'r>, 0, 0;
    k::write_txn_markers_request::WriteTxnMarkersRequest<'_>,
        k::write_txn_markers_response::WriteTxnMarkersResponse<'r>, 1, 2;
    k::delete_groups_request::DeleteGroupsRequest<'_>,
        k::delete_groups_response::DeleteGroupsResponse<'r>, 0, 2;
    k::share_group_heartbeat_request::ShareGroupHeartbeatRequest<'_>,
        k::share_group_heartbeat_response::ShareGroupHeartbeatResponse<'r>, 1, 1;
    k::share_fetch_request::ShareFetchRequest<'_>,
        k::share_fetch_response::ShareFetchResponse<'r>, 1, 2;
    k::share_acknowledge_request::ShareAcknowledgeRequest<'_>,
        k::share_acknowledge_response::ShareAcknowledgeResponse<'r>, 1, 2;
    k::share_group_describe_request::ShareGroupDescribeRequest<'_>,
        k::share_group_describe_response::ShareGroupDescribeResponse<'r>, 1, 1;
    k::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequest<'_>,
        k::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponse<'r>, 0, 1;
    k::alter_share_group_offsets_request::AlterShareGroupOffsetsRequest<'_>,
        k::alter_share_group_offsets_response::AlterShareGroupOffsetsResponse<'r>, 0, 0;
    k::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequest<'_>,
        k::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponse<'r>, 0, 0;
    k::streams_group_heartbeat_request::StreamsGroupHeartbeatRequest<'_>,
        k::streams_group_heartbeat_response::StreamsGroupHeartbeatResponse<'r>, 0, 0;
    k::streams_group_describe_request::StreamsGroupDescribeRequest<'_>,
        k::streams_group_describe_response::StreamsGroupDescribeResponse<'r>, 0, 0;
}

/// The bytes of one answer.
#[derive(Clone, Debug)]
pub struct Reply {
    key: ApiKey,
    version: i16,
    frame: Vec<u8>,
    body_at: usize,
}

impl Reply {
    /// The version of the answer.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Reads the answer to an `R`.
    pub fn read<R: ApiRequest>(&self) -> Result<R::Response<'_>, ClientError> {
        self.read_as::<R>(self.version)
    }

    /// The memory of the answer, to be used again.
    pub fn into_frame(self) -> Vec<u8> {
        self.frame
    }

    fn read_as<R: ApiRequest>(&self, version: i16) -> Result<R::Response<'_>, ClientError> {
        debug_assert_eq!(self.key, R::KEY, "the reply is to this kind of request");
        let mut r = Reader::new(&self.frame[self.body_at..]);
        R::decode(&mut r, version)
            .map_err(|why| ClientError::BadResponse { api: self.key.to_string(), why })
    }
}

/// Bounds of a frame's length: a correlation id, and 1 GiB, which is far beyond what the tools ask for.
const FRAME_BYTES: std::ops::RangeInclusive<i32> = 4..=1 << 30;

/// Length in bytes of the frame that `prefix` announces, or why the peer cannot be a Kafka broker.
pub fn frame_len(prefix: [u8; 4]) -> Result<usize, &'static str> {
    let len = i32::from_be_bytes(prefix);
    match &prefix {
        b"HTTP" => Err("it speaks HTTP"),
        [0x15 | 0x16, 3, 0..=4, _] => Err("it wants TLS"),
        b"SSH-" => Err("it speaks SSH"),
        _ if FRAME_BYTES.contains(&len) => Ok(len as usize),
        _ => Err("its answer makes no sense"),
    }
}

/// State of one connection.
#[derive(Clone, Debug)]
pub struct Protocol {
    client_id: String,
    next_correlation_id: i32,
    /// Requests without an answer, the oldest first.
    waiting: VecDeque<(i32, ApiKey, i16)>,
    /// What the broker offers.
    offered: Vec<(ApiKey, i16, i16)>,
}

impl Protocol {
    /// A new connection of a client that calls itself `client_id`.
    pub fn new(client_id: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            next_correlation_id: 0,
            waiting: VecDeque::new(),
            offered: Vec::new(),
        }
    }

    /// The first frame to send: which versions does the broker offer?
    pub fn hello(&mut self) -> Result<Vec<u8>, ClientError> {
        self.say_hello(k::api_versions_request::ApiVersionsRequest::MAX_VERSION)
    }

    fn say_hello(&mut self, version: i16) -> Result<Vec<u8>, ClientError> {
        let request = k::api_versions_request::ApiVersionsRequest {
            client_software_name: if version >= 3 { "klamm" } else { "" },
            client_software_version: if version >= 3 { env!("CARGO_PKG_VERSION") } else { "" },
        };
        self.encode(&request, version, true)
    }

    /// Takes the answer to [`Protocol::hello`]. A frame that comes back is to be sent, and its
    /// answer given to this function again: the broker is older than the question (KIP-511).
    pub fn hello_answered(&mut self, reply: &Reply) -> Result<Option<Vec<u8>>, ClientError> {
        type Hello = k::api_versions_request::ApiVersionsRequest<'static>;
        // An error code comes first in every version, and this one is always in a v0 answer.
        let refused = ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes();
        if reply.frame[reply.body_at..].starts_with(&refused) && reply.version > 0 {
            let offered = reply
                .read_as::<Hello>(0)
                .ok()
                .and_then(|r| {
                    r.api_keys.iter().find(|a| a.api_key == ApiKey::API_VERSIONS.0).cloned()
                })
                .map_or(0, |api| api.max_version);
            // Strictly lower than the version that was refused, so this ends.
            return self.say_hello(offered.clamp(0, reply.version - 1)).map(Some);
        }
        let response = reply.read::<Hello>()?;
        super::error::check_code(response.error_code, || "asking for versions".to_owned(), None)?;
        self.offered = response
            .api_keys
            .iter()
            .map(|a| (ApiKey(a.api_key), a.min_version, a.max_version))
            .collect();
        Ok(None)
    }

    /// What the broker offers: each API with its first and last version.
    pub fn offered(&self) -> &[(ApiKey, i16, i16)] {
        &self.offered
    }

    /// The version to use for an `R`: the latest that both sides know.
    pub fn version<R: ApiRequest>(&self) -> Result<i16, ClientError> {
        let offered = self.offered.iter().find(|(key, ..)| *key == R::KEY);
        let common = offered.map(|&(_, min, max)| (R::MIN.max(min), R::MAX.min(max)));
        match common {
            Some((min, max)) if min <= max => Ok(max),
            _ => {
                Err(ClientError::Unsupported { api: R::KEY.to_string(), min: R::MIN, max: R::MAX })
            }
        }
    }

    /// The frame of a request, length first. `answered` is false only for Produce with acks=0.
    pub fn request<R: ApiRequest>(
        &mut self,
        request: &R,
        answered: bool,
    ) -> Result<Vec<u8>, ClientError> {
        let version = self.version::<R>()?;
        self.encode(request, version, answered)
    }

    /// As [`Protocol::request`], behind what `out` has already: nothing is allocated but what `out`
    /// needs to grow. After an error `out` is as it was.
    pub fn request_into<R: ApiRequest>(
        &mut self,
        request: &R,
        answered: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ClientError> {
        let version = self.version::<R>()?;
        self.encode_into(request, version, answered, out)
    }

    fn encode<R: ApiRequest>(
        &mut self,
        request: &R,
        version: i16,
        answered: bool,
    ) -> Result<Vec<u8>, ClientError> {
        let mut frame = Vec::with_capacity(256);
        self.encode_into(request, version, answered, &mut frame)?;
        Ok(frame)
    }

    fn encode_into<R: ApiRequest>(
        &mut self,
        request: &R,
        version: i16,
        answered: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ClientError> {
        let correlation_id = self.next_correlation_id;
        let header = RequestHeader {
            api_key: R::KEY,
            version,
            correlation_id,
            client_id: Some(&self.client_id),
        };
        let start = out.len();
        let mut w = Writer::append(std::mem::take(out));
        w.i32(0);
        let written = header::encode_request(&header, &mut w)
            .and_then(|()| request.encode(&mut w, version))
            .and_then(|()| i32::try_from(w.len() - start - 4).map_err(|_| WireError::TooLong))
            .map(|len| w.set_i32(start, len));
        *out = w.into_vec();
        if let Err(why) = written {
            out.truncate(start);
            return Err(ClientError::BadRequest { api: R::KEY.to_string(), why });
        }
        self.next_correlation_id = self.next_correlation_id.wrapping_add(1);
        if answered {
            self.waiting.push_back((correlation_id, R::KEY, version));
        }
        Ok(())
    }

    /// Takes a frame, without its length: the answer to the oldest request that has none.
    pub fn answered(&mut self, frame: Vec<u8>) -> Result<Reply, ClientError> {
        let mut r = Reader::new(&frame);
        let got = Reader::new(&frame).i32().unwrap_or(-1);
        let Some((want, key, version)) = self.waiting.pop_front() else {
            return Err(ClientError::OutOfOrder { want: -1, got });
        };
        if got != want {
            return Err(ClientError::OutOfOrder { want, got });
        }
        header::decode_response(key, version, &mut r)
            .map_err(|why| ClientError::BadResponse { api: key.to_string(), why })?;
        let body_at = frame.len() - r.remaining();
        Ok(Reply { key, version, frame, body_at })
    }

    /// Number of requests without an answer.
    pub fn in_flight(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::kafka::api_versions_request::ApiVersionsRequest;
    use crate::wire::kafka::api_versions_response::{ApiVersion, ApiVersionsResponse};
    use crate::wire::kafka::metadata_request::MetadataRequest;
    use crate::wire::kafka::metadata_response::MetadataResponse;

    /// A broker's side: reads the request's header, answers with `write`.
    fn answer(
        request: &[u8],
        write: impl FnOnce(&RequestHeader<'_>, &mut Writer),
    ) -> (RequestHeader<'_>, Vec<u8>) {
        let prefix = request[..4].try_into().expect("four bytes");
        assert_eq!(frame_len(prefix), Ok(request.len() - 4));
        let mut r = Reader::new(&request[4..]);
        let header = header::decode_request(&mut r).expect("a request");
        let mut w = Writer::new();
        header::encode_response(header.api_key, header.version, header.correlation_id, &mut w);
        write(&header, &mut w);
        (header, w.into_vec())
    }

    fn versions(error_code: i16, keys: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse<'static> {
        let api_keys = keys
            .iter()
            .map(|(key, min, max)| ApiVersion {
                api_key: key.0,
                min_version: *min,
                max_version: *max,
            })
            .collect();
        ApiVersionsResponse { error_code, api_keys, ..ApiVersionsResponse::default() }
    }

    fn connected(keys: &[(ApiKey, i16, i16)]) -> Protocol {
        let mut p = Protocol::new("test");
        let hello = p.hello().expect("a frame");
        let (_, frame) = answer(&hello, |h, w| {
            versions(0, keys).encode(w, h.version).expect("encodes");
        });
        let reply = p.answered(frame).expect("in order");
        assert_eq!(p.hello_answered(&reply), Ok(None));
        p
    }

    #[test]
    fn an_older_broker_is_asked_again_in_its_version() {
        for offered in [Some(2), None] {
            let mut p = Protocol::new("test");
            let hello = p.hello().expect("a frame");
            let (header, frame) = answer(&hello, |_, w| {
                let keys: Vec<_> =
                    offered.map(|max| (ApiKey::API_VERSIONS, 0, max)).into_iter().collect();
                versions(35, &keys).encode(w, 0).expect("encodes");
            });
            assert_eq!(header.version, ApiVersionsRequest::MAX_VERSION);
            let reply = p.answered(frame).expect("in order");
            let again = p.hello_answered(&reply).expect("an answer").expect("one more");
            let (header, frame) = answer(&again, |h, w| {
                let keys = [(ApiKey::METADATA, 0, 5)];
                versions(0, &keys).encode(w, h.version).expect("encodes");
            });
            assert_eq!(header.version, offered.unwrap_or(0));
            let reply = p.answered(frame).expect("in order");
            assert_eq!(p.hello_answered(&reply), Ok(None));
            assert_eq!(p.version::<MetadataRequest<'_>>(), Ok(5));
        }
    }

    #[test]
    fn the_version_is_the_latest_that_both_know() {
        let v =
            |min, max| connected(&[(ApiKey::METADATA, min, max)]).version::<MetadataRequest<'_>>();
        assert_eq!(v(0, 9), Ok(9));
        assert_eq!(v(0, 99), Ok(13));
        for (min, max) in [(0, 3), (14, 20), (9, 8)] {
            assert!(matches!(v(min, max), Err(ClientError::Unsupported { .. })), "{min}-{max}");
        }
        let none = connected(&[]).version::<MetadataRequest<'_>>();
        assert!(matches!(none, Err(ClientError::Unsupported { .. })));
    }

    #[test]
    fn answers_match_requests_in_order() {
        let mut p = connected(&[(ApiKey::METADATA, 0, 12)]);
        let request = MetadataRequest::default();
        let first = p.request(&request, true).expect("a frame");
        let second = p.request(&request, true).expect("a frame");
        assert_eq!(p.in_flight(), 2);
        let reply_to = |frame: &[u8], controller_id| {
            let response = MetadataResponse { controller_id, ..MetadataResponse::default() };
            answer(frame, |h, w| response.encode(w, h.version).expect("encodes")).1
        };
        let reply = p.answered(reply_to(&first, 5)).expect("in order");
        assert_eq!(reply.read::<MetadataRequest<'_>>().expect("reads").controller_id, 5);
        let mut other = p.clone();
        let e = other.answered(reply_to(&first, 6)).expect_err("first was answered");
        assert_eq!(e, ClientError::OutOfOrder { want: 2, got: 1 });
        p.answered(reply_to(&second, 6)).expect("in order");
        let e = p.answered(reply_to(&second, 7)).expect_err("nothing is due");
        assert!(matches!(e, ClientError::OutOfOrder { .. }));
        assert!(p.answered(vec![1]).is_err());
    }

    #[test]
    fn an_answer_that_ends_early_is_an_error() {
        let mut p = connected(&[(ApiKey::METADATA, 0, 12)]);
        let frame = p.request(&MetadataRequest::default(), true).expect("a frame");
        let (_, mut frame) = answer(&frame, |h, w| {
            MetadataResponse::default().encode(w, h.version).expect("encodes");
        });
        frame.truncate(frame.len() - 3);
        let reply = p.answered(frame).expect("the header is whole");
        let e = reply.read::<MetadataRequest<'_>>().expect_err("cut");
        assert!(matches!(e, ClientError::BadResponse { .. }), "{e}");
    }

    #[test]
    fn foreign_protocols_are_named() {
        assert_eq!(frame_len(*b"HTTP"), Err("it speaks HTTP"));
        assert_eq!(frame_len([0x15, 3, 3, 0]), Err("it wants TLS"));
        assert_eq!(frame_len([0xff; 4]), Err("its answer makes no sense"));
        assert_eq!(frame_len([0, 0, 0, 3]), Err("its answer makes no sense"));
        assert_eq!(frame_len([0, 0, 1, 0]), Ok(256));
    }
}
