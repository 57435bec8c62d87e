//! Every message of the table by its API key.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use futures_lite::future::block_on;
use klamm::wire::{Reader, WireError, Writer, kafka};

/// Decodes a whole message, and encodes it again in version `to`: its value, shown, and
/// the bytes.
pub fn round_trip(
    key: i16,
    request: bool,
    version: i16,
    to: i16,
    bytes: &[u8],
) -> Result<(String, Result<Vec<u8>, WireError>), WireError> {
    macro_rules! round_trip {
        ($module:ident, $message:ident) => {
            (|| {
                let mut r = Reader::new(bytes);
                let value = kafka::$module::$message::decode(&mut r, version)?;
                r.finish()?;
                let mut w = Writer::new();
                let encoded = value.encode(&mut w, to);
                Ok((format!("{value:?}"), encoded.map(|()| w.into_vec())))
            })()
        };
    }
    match (key, request) {
        (0, true) => round_trip!(produce_request, ProduceRequest),
        (0, false) => round_trip!(produce_response, ProduceResponse),
        (1, true) => round_trip!(fetch_request, FetchRequest),
        (1, false) => round_trip!(fetch_response, FetchResponse),
        (2, true) => round_trip!(list_offsets_request, ListOffsetsRequest),
        (2, false) => round_trip!(list_offsets_response, ListOffsetsResponse),
        (3, true) => round_trip!(metadata_request, MetadataRequest),
        (3, false) => round_trip!(metadata_response, MetadataResponse),
        (8, true) => round_trip!(offset_commit_request, OffsetCommitRequest),
        (8, false) => round_trip!(offset_commit_response, OffsetCommitResponse),
        (9, true) => round_trip!(offset_fetch_request, OffsetFetchRequest),
        (9, false) => round_trip!(offset_fetch_response, OffsetFetchResponse),
        (10, true) => round_trip!(find_coordinator_request, FindCoordinatorRequest),
        (10, false) => round_trip!(find_coordinator_response, FindCoordinatorResponse),
        (11, true) => round_trip!(join_group_request, JoinGroupRequest),
        (11, false) => round_trip!(join_group_response, JoinGroupResponse),
        (12, true) => round_trip!(heartbeat_request, HeartbeatRequest),
        (12, false) => round_trip!(heartbeat_response, HeartbeatResponse),
        (13, true) => round_trip!(leave_group_request, LeaveGroupRequest),
        (13, false) => round_trip!(leave_group_response, LeaveGroupResponse),
        (14, true) => round_trip!(sync_group_request, SyncGroupRequest),
        (14, false) => round_trip!(sync_group_response, SyncGroupResponse),
        (15, true) => round_trip!(describe_groups_request, DescribeGroupsRequest),
        (15, false) => round_trip!(describe_groups_response, DescribeGroupsResponse),
        (16, true) => round_trip!(list_groups_request, ListGroupsRequest),
        (16, false) => round_trip!(list_groups_response, ListGroupsResponse),
        (18, true) => round_trip!(api_versions_request, ApiVersionsRequest),
        (18, false) => round_trip!(api_versions_response, ApiVersionsResponse),
        (19, true) => round_trip!(create_topics_request, CreateTopicsRequest),
        (19, false) => round_trip!(create_topics_response, CreateTopicsResponse),
        (20, true) => round_trip!(delete_topics_request, DeleteTopicsRequest),
        (20, false) => round_trip!(delete_topics_response, DeleteTopicsResponse),
        (21, true) => round_trip!(delete_records_request, DeleteRecordsRequest),
        (21, false) => round_trip!(delete_records_response, DeleteRecordsResponse),
        (22, true) => round_trip!(init_producer_id_request, InitProducerIdRequest),
        (22, false) => round_trip!(init_producer_id_response, InitProducerIdResponse),
        (23, true) => round_trip!(offset_for_leader_epoch_request, OffsetForLeaderEpochRequest),
        (23, false) => round_trip!(offset_for_leader_epoch_response, OffsetForLeaderEpochResponse),
        (24, true) => round_trip!(add_partitions_to_txn_request, AddPartitionsToTxnRequest),
        (24, false) => round_trip!(add_partitions_to_txn_response, AddPartitionsToTxnResponse),
        (25, true) => round_trip!(add_offsets_to_txn_request, AddOffsetsToTxnRequest),
        (25, false) => round_trip!(add_offsets_to_txn_response, AddOffsetsToTxnResponse),
        (26, true) => round_trip!(end_txn_request, EndTxnRequest),
        (26, false) => round_trip!(end_txn_response, EndTxnResponse),
        (27, true) => round_trip!(write_txn_markers_request, WriteTxnMarkersRequest),
        (27, false) => round_trip!(write_txn_markers_response, WriteTxnMarkersResponse),
        (28, true) => round_trip!(txn_offset_commit_request, TxnOffsetCommitRequest),
        (28, false) => round_trip!(txn_offset_commit_response, TxnOffsetCommitResponse),
        (29, true) => round_trip!(describe_acls_request, DescribeAclsRequest),
        (29, false) => round_trip!(describe_acls_response, DescribeAclsResponse),
        (30, true) => round_trip!(create_acls_request, CreateAclsRequest),
        (30, false) => round_trip!(create_acls_response, CreateAclsResponse),
        (31, true) => round_trip!(delete_acls_request, DeleteAclsRequest),
        (31, false) => round_trip!(delete_acls_response, DeleteAclsResponse),
        (32, true) => round_trip!(describe_configs_request, DescribeConfigsRequest),
        (32, false) => round_trip!(describe_configs_response, DescribeConfigsResponse),
        (33, true) => round_trip!(alter_configs_request, AlterConfigsRequest),
        (33, false) => round_trip!(alter_configs_response, AlterConfigsResponse),
        (35, true) => round_trip!(describe_log_dirs_request, DescribeLogDirsRequest),
        (35, false) => round_trip!(describe_log_dirs_response, DescribeLogDirsResponse),
        (37, true) => round_trip!(create_partitions_request, CreatePartitionsRequest),
        (37, false) => round_trip!(create_partitions_response, CreatePartitionsResponse),
        (42, true) => round_trip!(delete_groups_request, DeleteGroupsRequest),
        (42, false) => round_trip!(delete_groups_response, DeleteGroupsResponse),
        (43, true) => round_trip!(elect_leaders_request, ElectLeadersRequest),
        (43, false) => round_trip!(elect_leaders_response, ElectLeadersResponse),
        (44, true) => {
            round_trip!(incremental_alter_configs_request, IncrementalAlterConfigsRequest)
        }
        (44, false) => {
            round_trip!(incremental_alter_configs_response, IncrementalAlterConfigsResponse)
        }
        (45, true) => {
            round_trip!(alter_partition_reassignments_request, AlterPartitionReassignmentsRequest)
        }
        (45, false) => {
            round_trip!(alter_partition_reassignments_response, AlterPartitionReassignmentsResponse)
        }
        (46, true) => {
            round_trip!(list_partition_reassignments_request, ListPartitionReassignmentsRequest)
        }
        (46, false) => {
            round_trip!(list_partition_reassignments_response, ListPartitionReassignmentsResponse)
        }
        (47, true) => round_trip!(offset_delete_request, OffsetDeleteRequest),
        (47, false) => round_trip!(offset_delete_response, OffsetDeleteResponse),
        (55, true) => round_trip!(describe_quorum_request, DescribeQuorumRequest),
        (55, false) => round_trip!(describe_quorum_response, DescribeQuorumResponse),
        (57, true) => round_trip!(update_features_request, UpdateFeaturesRequest),
        (57, false) => round_trip!(update_features_response, UpdateFeaturesResponse),
        (60, true) => round_trip!(describe_cluster_request, DescribeClusterRequest),
        (60, false) => round_trip!(describe_cluster_response, DescribeClusterResponse),
        (61, true) => round_trip!(describe_producers_request, DescribeProducersRequest),
        (61, false) => round_trip!(describe_producers_response, DescribeProducersResponse),
        (64, true) => round_trip!(unregister_broker_request, UnregisterBrokerRequest),
        (64, false) => round_trip!(unregister_broker_response, UnregisterBrokerResponse),
        (65, true) => round_trip!(describe_transactions_request, DescribeTransactionsRequest),
        (65, false) => round_trip!(describe_transactions_response, DescribeTransactionsResponse),
        (66, true) => round_trip!(list_transactions_request, ListTransactionsRequest),
        (66, false) => round_trip!(list_transactions_response, ListTransactionsResponse),
        (68, true) => round_trip!(consumer_group_heartbeat_request, ConsumerGroupHeartbeatRequest),
        (68, false) => {
            round_trip!(consumer_group_heartbeat_response, ConsumerGroupHeartbeatResponse)
        }
        (69, true) => round_trip!(consumer_group_describe_request, ConsumerGroupDescribeRequest),
        (69, false) => round_trip!(consumer_group_describe_response, ConsumerGroupDescribeResponse),
        (74, true) => round_trip!(list_config_resources_request, ListConfigResourcesRequest),
        (74, false) => round_trip!(list_config_resources_response, ListConfigResourcesResponse),
        (75, true) => {
            round_trip!(describe_topic_partitions_request, DescribeTopicPartitionsRequest)
        }
        (75, false) => {
            round_trip!(describe_topic_partitions_response, DescribeTopicPartitionsResponse)
        }
        (76, true) => round_trip!(share_group_heartbeat_request, ShareGroupHeartbeatRequest),
        (76, false) => round_trip!(share_group_heartbeat_response, ShareGroupHeartbeatResponse),
        (77, true) => round_trip!(share_group_describe_request, ShareGroupDescribeRequest),
        (77, false) => round_trip!(share_group_describe_response, ShareGroupDescribeResponse),
        (78, true) => round_trip!(share_fetch_request, ShareFetchRequest),
        (78, false) => round_trip!(share_fetch_response, ShareFetchResponse),
        (79, true) => round_trip!(share_acknowledge_request, ShareAcknowledgeRequest),
        (79, false) => round_trip!(share_acknowledge_response, ShareAcknowledgeResponse),
        (80, true) => round_trip!(add_raft_voter_request, AddRaftVoterRequest),
        (80, false) => round_trip!(add_raft_voter_response, AddRaftVoterResponse),
        (81, true) => round_trip!(remove_raft_voter_request, RemoveRaftVoterRequest),
        (81, false) => round_trip!(remove_raft_voter_response, RemoveRaftVoterResponse),
        (83, true) => {
            round_trip!(initialize_share_group_state_request, InitializeShareGroupStateRequest)
        }
        (83, false) => {
            round_trip!(initialize_share_group_state_response, InitializeShareGroupStateResponse)
        }
        (84, true) => round_trip!(read_share_group_state_request, ReadShareGroupStateRequest),
        (84, false) => round_trip!(read_share_group_state_response, ReadShareGroupStateResponse),
        (85, true) => round_trip!(write_share_group_state_request, WriteShareGroupStateRequest),
        (85, false) => round_trip!(write_share_group_state_response, WriteShareGroupStateResponse),
        (86, true) => round_trip!(delete_share_group_state_request, DeleteShareGroupStateRequest),
        (86, false) => {
            round_trip!(delete_share_group_state_response, DeleteShareGroupStateResponse)
        }
        (87, true) => {
            round_trip!(read_share_group_state_summary_request, ReadShareGroupStateSummaryRequest)
        }
        (87, false) => {
            round_trip!(read_share_group_state_summary_response, ReadShareGroupStateSummaryResponse)
        }
        (88, true) => round_trip!(streams_group_heartbeat_request, StreamsGroupHeartbeatRequest),
        (88, false) => round_trip!(streams_group_heartbeat_response, StreamsGroupHeartbeatResponse),
        (89, true) => round_trip!(streams_group_describe_request, StreamsGroupDescribeRequest),
        (89, false) => round_trip!(streams_group_describe_response, StreamsGroupDescribeResponse),
        (90, true) => {
            round_trip!(describe_share_group_offsets_request, DescribeShareGroupOffsetsRequest)
        }
        (90, false) => {
            round_trip!(describe_share_group_offsets_response, DescribeShareGroupOffsetsResponse)
        }
        (91, true) => round_trip!(alter_share_group_offsets_request, AlterShareGroupOffsetsRequest),
        (91, false) => {
            round_trip!(alter_share_group_offsets_response, AlterShareGroupOffsetsResponse)
        }
        (92, true) => {
            round_trip!(delete_share_group_offsets_request, DeleteShareGroupOffsetsRequest)
        }
        (92, false) => {
            round_trip!(delete_share_group_offsets_response, DeleteShareGroupOffsetsResponse)
        }
        _ => panic!("no API {key}"),
    }
}

/// Decodes and forgets a message.
pub fn decode(key: i16, request: bool, version: i16, bytes: &[u8]) -> Result<(), WireError> {
    macro_rules! decode {
        ($module:ident, $message:ident) => {
            kafka::$module::$message::decode(&mut Reader::new(bytes), version).map(drop)
        };
    }
    match (key, request) {
        (0, true) => decode!(produce_request, ProduceRequest),
        (0, false) => decode!(produce_response, ProduceResponse),
        (1, true) => decode!(fetch_request, FetchRequest),
        (1, false) => decode!(fetch_response, FetchResponse),
        (2, true) => decode!(list_offsets_request, ListOffsetsRequest),
        (2, false) => decode!(list_offsets_response, ListOffsetsResponse),
        (3, true) => decode!(metadata_request, MetadataRequest),
        (3, false) => decode!(metadata_response, MetadataResponse),
        (8, true) => decode!(offset_commit_request, OffsetCommitRequest),
        (8, false) => decode!(offset_commit_response, OffsetCommitResponse),
        (9, true) => decode!(offset_fetch_request, OffsetFetchRequest),
        (9, false) => decode!(offset_fetch_response, OffsetFetchResponse),
        (10, true) => decode!(find_coordinator_request, FindCoordinatorRequest),
        (10, false) => decode!(find_coordinator_response, FindCoordinatorResponse),
        (11, true) => decode!(join_group_request, JoinGroupRequest),
        (11, false) => decode!(join_group_response, JoinGroupResponse),
        (12, true) => decode!(heartbeat_request, HeartbeatRequest),
        (12, false) => decode!(heartbeat_response, HeartbeatResponse),
        (13, true) => decode!(leave_group_request, LeaveGroupRequest),
        (13, false) => decode!(leave_group_response, LeaveGroupResponse),
        (14, true) => decode!(sync_group_request, SyncGroupRequest),
        (14, false) => decode!(sync_group_response, SyncGroupResponse),
        (15, true) => decode!(describe_groups_request, DescribeGroupsRequest),
        (15, false) => decode!(describe_groups_response, DescribeGroupsResponse),
        (16, true) => decode!(list_groups_request, ListGroupsRequest),
        (16, false) => decode!(list_groups_response, ListGroupsResponse),
        (18, true) => decode!(api_versions_request, ApiVersionsRequest),
        (18, false) => decode!(api_versions_response, ApiVersionsResponse),
        (19, true) => decode!(create_topics_request, CreateTopicsRequest),
        (19, false) => decode!(create_topics_response, CreateTopicsResponse),
        (20, true) => decode!(delete_topics_request, DeleteTopicsRequest),
        (20, false) => decode!(delete_topics_response, DeleteTopicsResponse),
        (21, true) => decode!(delete_records_request, DeleteRecordsRequest),
        (21, false) => decode!(delete_records_response, DeleteRecordsResponse),
        (22, true) => decode!(init_producer_id_request, InitProducerIdRequest),
        (22, false) => decode!(init_producer_id_response, InitProducerIdResponse),
        (23, true) => decode!(offset_for_leader_epoch_request, OffsetForLeaderEpochRequest),
        (23, false) => decode!(offset_for_leader_epoch_response, OffsetForLeaderEpochResponse),
        (24, true) => decode!(add_partitions_to_txn_request, AddPartitionsToTxnRequest),
        (24, false) => decode!(add_partitions_to_txn_response, AddPartitionsToTxnResponse),
        (25, true) => decode!(add_offsets_to_txn_request, AddOffsetsToTxnRequest),
        (25, false) => decode!(add_offsets_to_txn_response, AddOffsetsToTxnResponse),
        (26, true) => decode!(end_txn_request, EndTxnRequest),
        (26, false) => decode!(end_txn_response, EndTxnResponse),
        (27, true) => decode!(write_txn_markers_request, WriteTxnMarkersRequest),
        (27, false) => decode!(write_txn_markers_response, WriteTxnMarkersResponse),
        (28, true) => decode!(txn_offset_commit_request, TxnOffsetCommitRequest),
        (28, false) => decode!(txn_offset_commit_response, TxnOffsetCommitResponse),
        (29, true) => decode!(describe_acls_request, DescribeAclsRequest),
        (29, false) => decode!(describe_acls_response, DescribeAclsResponse),
        (30, true) => decode!(create_acls_request, CreateAclsRequest),
        (30, false) => decode!(create_acls_response, CreateAclsResponse),
        (31, true) => decode!(delete_acls_request, DeleteAclsRequest),
        (31, false) => decode!(delete_acls_response, DeleteAclsResponse),
        (32, true) => decode!(describe_configs_request, DescribeConfigsRequest),
        (32, false) => decode!(describe_configs_response, DescribeConfigsResponse),
        (33, true) => decode!(alter_configs_request, AlterConfigsRequest),
        (33, false) => decode!(alter_configs_response, AlterConfigsResponse),
        (35, true) => decode!(describe_log_dirs_request, DescribeLogDirsRequest),
        (35, false) => decode!(describe_log_dirs_response, DescribeLogDirsResponse),
        (37, true) => decode!(create_partitions_request, CreatePartitionsRequest),
        (37, false) => decode!(create_partitions_response, CreatePartitionsResponse),
        (42, true) => decode!(delete_groups_request, DeleteGroupsRequest),
        (42, false) => decode!(delete_groups_response, DeleteGroupsResponse),
        (43, true) => decode!(elect_leaders_request, ElectLeadersRequest),
        (43, false) => decode!(elect_leaders_response, ElectLeadersResponse),
        (44, true) => decode!(incremental_alter_configs_request, IncrementalAlterConfigsRequest),
        (44, false) => decode!(incremental_alter_configs_response, IncrementalAlterConfigsResponse),
        (45, true) => {
            decode!(alter_partition_reassignments_request, AlterPartitionReassignmentsRequest)
        }
        (45, false) => {
            decode!(alter_partition_reassignments_response, AlterPartitionReassignmentsResponse)
        }
        (46, true) => {
            decode!(list_partition_reassignments_request, ListPartitionReassignmentsRequest)
        }
        (46, false) => {
            decode!(list_partition_reassignments_response, ListPartitionReassignmentsResponse)
        }
        (47, true) => decode!(offset_delete_request, OffsetDeleteRequest),
        (47, false) => decode!(offset_delete_response, OffsetDeleteResponse),
        (55, true) => decode!(describe_quorum_request, DescribeQuorumRequest),
        (55, false) => decode!(describe_quorum_response, DescribeQuorumResponse),
        (57, true) => decode!(update_features_request, UpdateFeaturesRequest),
        (57, false) => decode!(update_features_response, UpdateFeaturesResponse),
        (60, true) => decode!(describe_cluster_request, DescribeClusterRequest),
        (60, false) => decode!(describe_cluster_response, DescribeClusterResponse),
        (61, true) => decode!(describe_producers_request, DescribeProducersRequest),
        (61, false) => decode!(describe_producers_response, DescribeProducersResponse),
        (64, true) => decode!(unregister_broker_request, UnregisterBrokerRequest),
        (64, false) => decode!(unregister_broker_response, UnregisterBrokerResponse),
        (65, true) => decode!(describe_transactions_request, DescribeTransactionsRequest),
        (65, false) => decode!(describe_transactions_response, DescribeTransactionsResponse),
        (66, true) => decode!(list_transactions_request, ListTransactionsRequest),
        (66, false) => decode!(list_transactions_response, ListTransactionsResponse),
        (68, true) => decode!(consumer_group_heartbeat_request, ConsumerGroupHeartbeatRequest),
        (68, false) => decode!(consumer_group_heartbeat_response, ConsumerGroupHeartbeatResponse),
        (69, true) => decode!(consumer_group_describe_request, ConsumerGroupDescribeRequest),
        (69, false) => decode!(consumer_group_describe_response, ConsumerGroupDescribeResponse),
        (74, true) => decode!(list_config_resources_request, ListConfigResourcesRequest),
        (74, false) => decode!(list_config_resources_response, ListConfigResourcesResponse),
        (75, true) => decode!(describe_topic_partitions_request, DescribeTopicPartitionsRequest),
        (75, false) => decode!(describe_topic_partitions_response, DescribeTopicPartitionsResponse),
        (76, true) => decode!(share_group_heartbeat_request, ShareGroupHeartbeatRequest),
        (76, false) => decode!(share_group_heartbeat_response, ShareGroupHeartbeatResponse),
        (77, true) => decode!(share_group_describe_request, ShareGroupDescribeRequest),
        (77, false) => decode!(share_group_describe_response, ShareGroupDescribeResponse),
        (78, true) => decode!(share_fetch_request, ShareFetchRequest),
        (78, false) => decode!(share_fetch_response, ShareFetchResponse),
        (79, true) => decode!(share_acknowledge_request, ShareAcknowledgeRequest),
        (79, false) => decode!(share_acknowledge_response, ShareAcknowledgeResponse),
        (80, true) => decode!(add_raft_voter_request, AddRaftVoterRequest),
        (80, false) => decode!(add_raft_voter_response, AddRaftVoterResponse),
        (81, true) => decode!(remove_raft_voter_request, RemoveRaftVoterRequest),
        (81, false) => decode!(remove_raft_voter_response, RemoveRaftVoterResponse),
        (83, true) => {
            decode!(initialize_share_group_state_request, InitializeShareGroupStateRequest)
        }
        (83, false) => {
            decode!(initialize_share_group_state_response, InitializeShareGroupStateResponse)
        }
        (84, true) => decode!(read_share_group_state_request, ReadShareGroupStateRequest),
        (84, false) => decode!(read_share_group_state_response, ReadShareGroupStateResponse),
        (85, true) => decode!(write_share_group_state_request, WriteShareGroupStateRequest),
        (85, false) => decode!(write_share_group_state_response, WriteShareGroupStateResponse),
        (86, true) => decode!(delete_share_group_state_request, DeleteShareGroupStateRequest),
        (86, false) => decode!(delete_share_group_state_response, DeleteShareGroupStateResponse),
        (87, true) => {
            decode!(read_share_group_state_summary_request, ReadShareGroupStateSummaryRequest)
        }
        (87, false) => {
            decode!(read_share_group_state_summary_response, ReadShareGroupStateSummaryResponse)
        }
        (88, true) => decode!(streams_group_heartbeat_request, StreamsGroupHeartbeatRequest),
        (88, false) => decode!(streams_group_heartbeat_response, StreamsGroupHeartbeatResponse),
        (89, true) => decode!(streams_group_describe_request, StreamsGroupDescribeRequest),
        (89, false) => decode!(streams_group_describe_response, StreamsGroupDescribeResponse),
        (90, true) => {
            decode!(describe_share_group_offsets_request, DescribeShareGroupOffsetsRequest)
        }
        (90, false) => {
            decode!(describe_share_group_offsets_response, DescribeShareGroupOffsetsResponse)
        }
        (91, true) => decode!(alter_share_group_offsets_request, AlterShareGroupOffsetsRequest),
        (91, false) => decode!(alter_share_group_offsets_response, AlterShareGroupOffsetsResponse),
        (92, true) => decode!(delete_share_group_offsets_request, DeleteShareGroupOffsetsRequest),
        (92, false) => {
            decode!(delete_share_group_offsets_response, DeleteShareGroupOffsetsResponse)
        }
        _ => panic!("no API {key}"),
    }
}

/// Reads a request, or writes a response, in parts: the bytes of the whole, and how often it
/// paused. `None` for a message without arrays.
pub fn in_parts(
    key: i16,
    request: bool,
    version: i16,
    bytes: &[u8],
) -> Result<Option<(Vec<u8>, usize)>, WireError> {
    let pauses = std::cell::Cell::new(0);
    let pause = async || pauses.set(pauses.get() + 1);
    let mut r = Reader::new(bytes);
    let mut w = Writer::new();
    macro_rules! read {
        ($module:ident, $message:ident) => {{
            let read = kafka::$module::$message::decode_in_parts(&mut r, version, &pause);
            let value = block_on(read)?;
            r.finish()?;
            value.encode(&mut w, version)?;
        }};
    }
    macro_rules! written {
        ($module:ident, $message:ident) => {{
            let value = kafka::$module::$message::decode(&mut r, version)?;
            block_on(value.encode_in_parts(&mut w, version, &pause))?;
        }};
    }
    match (key, request) {
        (0, true) => {
            read!(produce_request, ProduceRequest);
        }
        (0, false) => {
            written!(produce_response, ProduceResponse);
        }
        (1, true) => {
            read!(fetch_request, FetchRequest);
        }
        (1, false) => {
            written!(fetch_response, FetchResponse);
        }
        (2, true) => {
            read!(list_offsets_request, ListOffsetsRequest);
        }
        (2, false) => {
            written!(list_offsets_response, ListOffsetsResponse);
        }
        (3, true) => {
            read!(metadata_request, MetadataRequest);
        }
        (3, false) => {
            written!(metadata_response, MetadataResponse);
        }
        (8, true) => {
            read!(offset_commit_request, OffsetCommitRequest);
        }
        (8, false) => {
            written!(offset_commit_response, OffsetCommitResponse);
        }
        (9, true) => {
            read!(offset_fetch_request, OffsetFetchRequest);
        }
        (9, false) => {
            written!(offset_fetch_response, OffsetFetchResponse);
        }
        (10, true) => {
            read!(find_coordinator_request, FindCoordinatorRequest);
        }
        (10, false) => {
            written!(find_coordinator_response, FindCoordinatorResponse);
        }
        (11, true) => {
            read!(join_group_request, JoinGroupRequest);
        }
        (11, false) => {
            written!(join_group_response, JoinGroupResponse);
        }
        (13, true) => {
            read!(leave_group_request, LeaveGroupRequest);
        }
        (13, false) => {
            written!(leave_group_response, LeaveGroupResponse);
        }
        (14, true) => {
            read!(sync_group_request, SyncGroupRequest);
        }
        (15, true) => {
            read!(describe_groups_request, DescribeGroupsRequest);
        }
        (15, false) => {
            written!(describe_groups_response, DescribeGroupsResponse);
        }
        (16, true) => {
            read!(list_groups_request, ListGroupsRequest);
        }
        (16, false) => {
            written!(list_groups_response, ListGroupsResponse);
        }
        (18, false) => {
            written!(api_versions_response, ApiVersionsResponse);
        }
        (19, true) => {
            read!(create_topics_request, CreateTopicsRequest);
        }
        (19, false) => {
            written!(create_topics_response, CreateTopicsResponse);
        }
        (20, true) => {
            read!(delete_topics_request, DeleteTopicsRequest);
        }
        (20, false) => {
            written!(delete_topics_response, DeleteTopicsResponse);
        }
        (21, true) => {
            read!(delete_records_request, DeleteRecordsRequest);
        }
        (21, false) => {
            written!(delete_records_response, DeleteRecordsResponse);
        }
        (23, true) => {
            read!(offset_for_leader_epoch_request, OffsetForLeaderEpochRequest);
        }
        (23, false) => {
            written!(offset_for_leader_epoch_response, OffsetForLeaderEpochResponse);
        }
        (24, true) => {
            read!(add_partitions_to_txn_request, AddPartitionsToTxnRequest);
        }
        (24, false) => {
            written!(add_partitions_to_txn_response, AddPartitionsToTxnResponse);
        }
        (27, true) => {
            read!(write_txn_markers_request, WriteTxnMarkersRequest);
        }
        (27, false) => {
            written!(write_txn_markers_response, WriteTxnMarkersResponse);
        }
        (28, true) => {
            read!(txn_offset_commit_request, TxnOffsetCommitRequest);
        }
        (28, false) => {
            written!(txn_offset_commit_response, TxnOffsetCommitResponse);
        }
        (29, false) => {
            written!(describe_acls_response, DescribeAclsResponse);
        }
        (30, true) => {
            read!(create_acls_request, CreateAclsRequest);
        }
        (30, false) => {
            written!(create_acls_response, CreateAclsResponse);
        }
        (31, true) => {
            read!(delete_acls_request, DeleteAclsRequest);
        }
        (31, false) => {
            written!(delete_acls_response, DeleteAclsResponse);
        }
        (32, true) => {
            read!(describe_configs_request, DescribeConfigsRequest);
        }
        (32, false) => {
            written!(describe_configs_response, DescribeConfigsResponse);
        }
        (33, true) => {
            read!(alter_configs_request, AlterConfigsRequest);
        }
        (33, false) => {
            written!(alter_configs_response, AlterConfigsResponse);
        }
        (35, true) => {
            read!(describe_log_dirs_request, DescribeLogDirsRequest);
        }
        (35, false) => {
            written!(describe_log_dirs_response, DescribeLogDirsResponse);
        }
        (37, true) => {
            read!(create_partitions_request, CreatePartitionsRequest);
        }
        (37, false) => {
            written!(create_partitions_response, CreatePartitionsResponse);
        }
        (42, true) => {
            read!(delete_groups_request, DeleteGroupsRequest);
        }
        (42, false) => {
            written!(delete_groups_response, DeleteGroupsResponse);
        }
        (43, true) => {
            read!(elect_leaders_request, ElectLeadersRequest);
        }
        (43, false) => {
            written!(elect_leaders_response, ElectLeadersResponse);
        }
        (44, true) => {
            read!(incremental_alter_configs_request, IncrementalAlterConfigsRequest);
        }
        (44, false) => {
            written!(incremental_alter_configs_response, IncrementalAlterConfigsResponse);
        }
        (45, true) => {
            read!(alter_partition_reassignments_request, AlterPartitionReassignmentsRequest);
        }
        (45, false) => {
            written!(alter_partition_reassignments_response, AlterPartitionReassignmentsResponse);
        }
        (46, true) => {
            read!(list_partition_reassignments_request, ListPartitionReassignmentsRequest);
        }
        (46, false) => {
            written!(list_partition_reassignments_response, ListPartitionReassignmentsResponse);
        }
        (47, true) => {
            read!(offset_delete_request, OffsetDeleteRequest);
        }
        (47, false) => {
            written!(offset_delete_response, OffsetDeleteResponse);
        }
        (55, true) => {
            read!(describe_quorum_request, DescribeQuorumRequest);
        }
        (55, false) => {
            written!(describe_quorum_response, DescribeQuorumResponse);
        }
        (57, true) => {
            read!(update_features_request, UpdateFeaturesRequest);
        }
        (57, false) => {
            written!(update_features_response, UpdateFeaturesResponse);
        }
        (60, false) => {
            written!(describe_cluster_response, DescribeClusterResponse);
        }
        (61, true) => {
            read!(describe_producers_request, DescribeProducersRequest);
        }
        (61, false) => {
            written!(describe_producers_response, DescribeProducersResponse);
        }
        (65, true) => {
            read!(describe_transactions_request, DescribeTransactionsRequest);
        }
        (65, false) => {
            written!(describe_transactions_response, DescribeTransactionsResponse);
        }
        (66, true) => {
            read!(list_transactions_request, ListTransactionsRequest);
        }
        (66, false) => {
            written!(list_transactions_response, ListTransactionsResponse);
        }
        (68, true) => {
            read!(consumer_group_heartbeat_request, ConsumerGroupHeartbeatRequest);
        }
        (69, true) => {
            read!(consumer_group_describe_request, ConsumerGroupDescribeRequest);
        }
        (69, false) => {
            written!(consumer_group_describe_response, ConsumerGroupDescribeResponse);
        }
        (74, true) => {
            read!(list_config_resources_request, ListConfigResourcesRequest);
        }
        (74, false) => {
            written!(list_config_resources_response, ListConfigResourcesResponse);
        }
        (75, true) => {
            read!(describe_topic_partitions_request, DescribeTopicPartitionsRequest);
        }
        (75, false) => {
            written!(describe_topic_partitions_response, DescribeTopicPartitionsResponse);
        }
        (76, true) => {
            read!(share_group_heartbeat_request, ShareGroupHeartbeatRequest);
        }
        (77, true) => {
            read!(share_group_describe_request, ShareGroupDescribeRequest);
        }
        (77, false) => {
            written!(share_group_describe_response, ShareGroupDescribeResponse);
        }
        (78, true) => {
            read!(share_fetch_request, ShareFetchRequest);
        }
        (78, false) => {
            written!(share_fetch_response, ShareFetchResponse);
        }
        (79, true) => {
            read!(share_acknowledge_request, ShareAcknowledgeRequest);
        }
        (79, false) => {
            written!(share_acknowledge_response, ShareAcknowledgeResponse);
        }
        (80, true) => {
            read!(add_raft_voter_request, AddRaftVoterRequest);
        }
        (83, true) => {
            read!(initialize_share_group_state_request, InitializeShareGroupStateRequest);
        }
        (83, false) => {
            written!(initialize_share_group_state_response, InitializeShareGroupStateResponse);
        }
        (84, true) => {
            read!(read_share_group_state_request, ReadShareGroupStateRequest);
        }
        (84, false) => {
            written!(read_share_group_state_response, ReadShareGroupStateResponse);
        }
        (85, true) => {
            read!(write_share_group_state_request, WriteShareGroupStateRequest);
        }
        (85, false) => {
            written!(write_share_group_state_response, WriteShareGroupStateResponse);
        }
        (86, true) => {
            read!(delete_share_group_state_request, DeleteShareGroupStateRequest);
        }
        (86, false) => {
            written!(delete_share_group_state_response, DeleteShareGroupStateResponse);
        }
        (87, true) => {
            read!(read_share_group_state_summary_request, ReadShareGroupStateSummaryRequest);
        }
        (87, false) => {
            written!(read_share_group_state_summary_response, ReadShareGroupStateSummaryResponse);
        }
        (88, true) => {
            read!(streams_group_heartbeat_request, StreamsGroupHeartbeatRequest);
        }
        (88, false) => {
            written!(streams_group_heartbeat_response, StreamsGroupHeartbeatResponse);
        }
        (89, true) => {
            read!(streams_group_describe_request, StreamsGroupDescribeRequest);
        }
        (89, false) => {
            written!(streams_group_describe_response, StreamsGroupDescribeResponse);
        }
        (90, true) => {
            read!(describe_share_group_offsets_request, DescribeShareGroupOffsetsRequest);
        }
        (90, false) => {
            written!(describe_share_group_offsets_response, DescribeShareGroupOffsetsResponse);
        }
        (91, true) => {
            read!(alter_share_group_offsets_request, AlterShareGroupOffsetsRequest);
        }
        (91, false) => {
            written!(alter_share_group_offsets_response, AlterShareGroupOffsetsResponse);
        }
        (92, true) => {
            read!(delete_share_group_offsets_request, DeleteShareGroupOffsetsRequest);
        }
        (92, false) => {
            written!(delete_share_group_offsets_response, DeleteShareGroupOffsetsResponse);
        }
        _ => return Ok(None),
    }
    Ok(Some((w.into_vec(), pauses.get())))
}
