//! Kafka's messages, as Kafka 4.3.1 has them.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

#![allow(clippy::all, clippy::pedantic, unused_variables)]

use super::api_keys::{Api, ApiKey};

pub mod add_offsets_to_txn_request;
pub mod add_offsets_to_txn_response;
pub mod add_partitions_to_txn_request;
pub mod add_partitions_to_txn_response;
pub mod add_raft_voter_request;
pub mod add_raft_voter_response;
pub mod alter_configs_request;
pub mod alter_configs_response;
pub mod alter_partition_reassignments_request;
pub mod alter_partition_reassignments_response;
pub mod alter_share_group_offsets_request;
pub mod alter_share_group_offsets_response;
pub mod api_versions_request;
pub mod api_versions_response;
pub mod consumer_group_describe_request;
pub mod consumer_group_describe_response;
pub mod consumer_group_heartbeat_request;
pub mod consumer_group_heartbeat_response;
pub mod create_acls_request;
pub mod create_acls_response;
pub mod create_partitions_request;
pub mod create_partitions_response;
pub mod create_topics_request;
pub mod create_topics_response;
pub mod delete_acls_request;
pub mod delete_acls_response;
pub mod delete_groups_request;
pub mod delete_groups_response;
pub mod delete_records_request;
pub mod delete_records_response;
pub mod delete_share_group_offsets_request;
pub mod delete_share_group_offsets_response;
pub mod delete_share_group_state_request;
pub mod delete_share_group_state_response;
pub mod delete_topics_request;
pub mod delete_topics_response;
pub mod describe_acls_request;
pub mod describe_acls_response;
pub mod describe_cluster_request;
pub mod describe_cluster_response;
pub mod describe_configs_request;
pub mod describe_configs_response;
pub mod describe_groups_request;
pub mod describe_groups_response;
pub mod describe_log_dirs_request;
pub mod describe_log_dirs_response;
pub mod describe_producers_request;
pub mod describe_producers_response;
pub mod describe_quorum_request;
pub mod describe_quorum_response;
pub mod describe_share_group_offsets_request;
pub mod describe_share_group_offsets_response;
pub mod describe_topic_partitions_request;
pub mod describe_topic_partitions_response;
pub mod describe_transactions_request;
pub mod describe_transactions_response;
pub mod elect_leaders_request;
pub mod elect_leaders_response;
pub mod end_txn_request;
pub mod end_txn_response;
pub mod fetch_request;
pub mod fetch_response;
pub mod find_coordinator_request;
pub mod find_coordinator_response;
pub mod heartbeat_request;
pub mod heartbeat_response;
pub mod incremental_alter_configs_request;
pub mod incremental_alter_configs_response;
pub mod init_producer_id_request;
pub mod init_producer_id_response;
pub mod initialize_share_group_state_request;
pub mod initialize_share_group_state_response;
pub mod join_group_request;
pub mod join_group_response;
pub mod leave_group_request;
pub mod leave_group_response;
pub mod list_config_resources_request;
pub mod list_config_resources_response;
pub mod list_groups_request;
pub mod list_groups_response;
pub mod list_offsets_request;
pub mod list_offsets_response;
pub mod list_partition_reassignments_request;
pub mod list_partition_reassignments_response;
pub mod list_transactions_request;
pub mod list_transactions_response;
pub mod metadata_request;
pub mod metadata_response;
pub mod offset_commit_request;
pub mod offset_commit_response;
pub mod offset_delete_request;
pub mod offset_delete_response;
pub mod offset_fetch_request;
pub mod offset_fetch_response;
pub mod offset_for_leader_epoch_request;
pub mod offset_for_leader_epoch_response;
pub mod produce_request;
pub mod produce_response;
pub mod read_share_group_state_request;
pub mod read_share_group_state_response;
pub mod read_share_group_state_summary_request;
pub mod read_share_group_state_summary_response;
pub mod remove_raft_voter_request;
pub mod remove_raft_voter_response;
pub mod share_acknowledge_request;
pub mod share_acknowledge_response;
pub mod share_fetch_request;
pub mod share_fetch_response;
pub mod share_group_describe_request;
pub mod share_group_describe_response;
pub mod share_group_heartbeat_request;
pub mod share_group_heartbeat_response;
pub mod streams_group_describe_request;
pub mod streams_group_describe_response;
pub mod streams_group_heartbeat_request;
pub mod streams_group_heartbeat_response;
pub mod sync_group_request;
pub mod sync_group_response;
pub mod txn_offset_commit_request;
pub mod txn_offset_commit_response;
pub mod unregister_broker_request;
pub mod unregister_broker_response;
pub mod update_features_request;
pub mod update_features_response;
pub mod write_share_group_state_request;
pub mod write_share_group_state_response;
pub mod write_txn_markers_request;
pub mod write_txn_markers_response;

impl ApiKey {
    /// `Produce`.
    pub const PRODUCE: Self = Self(0);
    /// `Fetch`.
    pub const FETCH: Self = Self(1);
    /// `ListOffsets`.
    pub const LIST_OFFSETS: Self = Self(2);
    /// `Metadata`.
    pub const METADATA: Self = Self(3);
    /// `OffsetCommit`.
    pub const OFFSET_COMMIT: Self = Self(8);
    /// `OffsetFetch`.
    pub const OFFSET_FETCH: Self = Self(9);
    /// `FindCoordinator`.
    pub const FIND_COORDINATOR: Self = Self(10);
    /// `JoinGroup`.
    pub const JOIN_GROUP: Self = Self(11);
    /// `Heartbeat`.
    pub const HEARTBEAT: Self = Self(12);
    /// `LeaveGroup`.
    pub const LEAVE_GROUP: Self = Self(13);
    /// `SyncGroup`.
    pub const SYNC_GROUP: Self = Self(14);
    /// `DescribeGroups`.
    pub const DESCRIBE_GROUPS: Self = Self(15);
    /// `ListGroups`.
    pub const LIST_GROUPS: Self = Self(16);
    /// `ApiVersions`.
    pub const API_VERSIONS: Self = Self(18);
    /// `CreateTopics`.
    pub const CREATE_TOPICS: Self = Self(19);
    /// `DeleteTopics`.
    pub const DELETE_TOPICS: Self = Self(20);
    /// `DeleteRecords`.
    pub const DELETE_RECORDS: Self = Self(21);
    /// `InitProducerId`.
    pub const INIT_PRODUCER_ID: Self = Self(22);
    /// `OffsetForLeaderEpoch`.
    pub const OFFSET_FOR_LEADER_EPOCH: Self = Self(23);
    /// `AddPartitionsToTxn`.
    pub const ADD_PARTITIONS_TO_TXN: Self = Self(24);
    /// `AddOffsetsToTxn`.
    pub const ADD_OFFSETS_TO_TXN: Self = Self(25);
    /// `EndTxn`.
    pub const END_TXN: Self = Self(26);
    /// `WriteTxnMarkers`.
    pub const WRITE_TXN_MARKERS: Self = Self(27);
    /// `TxnOffsetCommit`.
    pub const TXN_OFFSET_COMMIT: Self = Self(28);
    /// `DescribeAcls`.
    pub const DESCRIBE_ACLS: Self = Self(29);
    /// `CreateAcls`.
    pub const CREATE_ACLS: Self = Self(30);
    /// `DeleteAcls`.
    pub const DELETE_ACLS: Self = Self(31);
    /// `DescribeConfigs`.
    pub const DESCRIBE_CONFIGS: Self = Self(32);
    /// `AlterConfigs`.
    pub const ALTER_CONFIGS: Self = Self(33);
    /// `DescribeLogDirs`.
    pub const DESCRIBE_LOG_DIRS: Self = Self(35);
    /// `CreatePartitions`.
    pub const CREATE_PARTITIONS: Self = Self(37);
    /// `DeleteGroups`.
    pub const DELETE_GROUPS: Self = Self(42);
    /// `ElectLeaders`.
    pub const ELECT_LEADERS: Self = Self(43);
    /// `IncrementalAlterConfigs`.
    pub const INCREMENTAL_ALTER_CONFIGS: Self = Self(44);
    /// `AlterPartitionReassignments`.
    pub const ALTER_PARTITION_REASSIGNMENTS: Self = Self(45);
    /// `ListPartitionReassignments`.
    pub const LIST_PARTITION_REASSIGNMENTS: Self = Self(46);
    /// `OffsetDelete`.
    pub const OFFSET_DELETE: Self = Self(47);
    /// `DescribeQuorum`.
    pub const DESCRIBE_QUORUM: Self = Self(55);
    /// `UpdateFeatures`.
    pub const UPDATE_FEATURES: Self = Self(57);
    /// `DescribeCluster`.
    pub const DESCRIBE_CLUSTER: Self = Self(60);
    /// `DescribeProducers`.
    pub const DESCRIBE_PRODUCERS: Self = Self(61);
    /// `UnregisterBroker`.
    pub const UNREGISTER_BROKER: Self = Self(64);
    /// `DescribeTransactions`.
    pub const DESCRIBE_TRANSACTIONS: Self = Self(65);
    /// `ListTransactions`.
    pub const LIST_TRANSACTIONS: Self = Self(66);
    /// `ConsumerGroupHeartbeat`.
    pub const CONSUMER_GROUP_HEARTBEAT: Self = Self(68);
    /// `ConsumerGroupDescribe`.
    pub const CONSUMER_GROUP_DESCRIBE: Self = Self(69);
    /// `ListConfigResources`.
    pub const LIST_CONFIG_RESOURCES: Self = Self(74);
    /// `DescribeTopicPartitions`.
    pub const DESCRIBE_TOPIC_PARTITIONS: Self = Self(75);
    /// `ShareGroupHeartbeat`.
    pub const SHARE_GROUP_HEARTBEAT: Self = Self(76);
    /// `ShareGroupDescribe`.
    pub const SHARE_GROUP_DESCRIBE: Self = Self(77);
    /// `ShareFetch`.
    pub const SHARE_FETCH: Self = Self(78);
    /// `ShareAcknowledge`.
    pub const SHARE_ACKNOWLEDGE: Self = Self(79);
    /// `AddRaftVoter`.
    pub const ADD_RAFT_VOTER: Self = Self(80);
    /// `RemoveRaftVoter`.
    pub const REMOVE_RAFT_VOTER: Self = Self(81);
    /// `InitializeShareGroupState`.
    pub const INITIALIZE_SHARE_GROUP_STATE: Self = Self(83);
    /// `ReadShareGroupState`.
    pub const READ_SHARE_GROUP_STATE: Self = Self(84);
    /// `WriteShareGroupState`.
    pub const WRITE_SHARE_GROUP_STATE: Self = Self(85);
    /// `DeleteShareGroupState`.
    pub const DELETE_SHARE_GROUP_STATE: Self = Self(86);
    /// `ReadShareGroupStateSummary`.
    pub const READ_SHARE_GROUP_STATE_SUMMARY: Self = Self(87);
    /// `StreamsGroupHeartbeat`.
    pub const STREAMS_GROUP_HEARTBEAT: Self = Self(88);
    /// `StreamsGroupDescribe`.
    pub const STREAMS_GROUP_DESCRIBE: Self = Self(89);
    /// `DescribeShareGroupOffsets`.
    pub const DESCRIBE_SHARE_GROUP_OFFSETS: Self = Self(90);
    /// `AlterShareGroupOffsets`.
    pub const ALTER_SHARE_GROUP_OFFSETS: Self = Self(91);
    /// `DeleteShareGroupOffsets`.
    pub const DELETE_SHARE_GROUP_OFFSETS: Self = Self(92);
}

/// All APIs of the table, by key.
pub const APIS: &[Api] = &[
    Api { key: ApiKey(0), name: "Produce", min: 3, max: 13, flexible_from: 9 },
    Api { key: ApiKey(1), name: "Fetch", min: 4, max: 18, flexible_from: 12 },
    Api { key: ApiKey(2), name: "ListOffsets", min: 1, max: 11, flexible_from: 6 },
    Api { key: ApiKey(3), name: "Metadata", min: 0, max: 13, flexible_from: 9 },
    Api { key: ApiKey(8), name: "OffsetCommit", min: 2, max: 10, flexible_from: 8 },
    Api { key: ApiKey(9), name: "OffsetFetch", min: 1, max: 10, flexible_from: 6 },
    Api { key: ApiKey(10), name: "FindCoordinator", min: 0, max: 6, flexible_from: 3 },
    Api { key: ApiKey(11), name: "JoinGroup", min: 0, max: 9, flexible_from: 6 },
    Api { key: ApiKey(12), name: "Heartbeat", min: 0, max: 4, flexible_from: 4 },
    Api { key: ApiKey(13), name: "LeaveGroup", min: 0, max: 5, flexible_from: 4 },
    Api { key: ApiKey(14), name: "SyncGroup", min: 0, max: 5, flexible_from: 4 },
    Api { key: ApiKey(15), name: "DescribeGroups", min: 0, max: 6, flexible_from: 5 },
    Api { key: ApiKey(16), name: "ListGroups", min: 0, max: 5, flexible_from: 3 },
    Api { key: ApiKey(18), name: "ApiVersions", min: 0, max: 4, flexible_from: 3 },
    Api { key: ApiKey(19), name: "CreateTopics", min: 2, max: 7, flexible_from: 5 },
    Api { key: ApiKey(20), name: "DeleteTopics", min: 1, max: 6, flexible_from: 4 },
    Api { key: ApiKey(21), name: "DeleteRecords", min: 0, max: 2, flexible_from: 2 },
    Api { key: ApiKey(22), name: "InitProducerId", min: 0, max: 5, flexible_from: 2 },
    Api { key: ApiKey(23), name: "OffsetForLeaderEpoch", min: 2, max: 4, flexible_from: 4 },
    Api { key: ApiKey(24), name: "AddPartitionsToTxn", min: 0, max: 5, flexible_from: 3 },
    Api { key: ApiKey(25), name: "AddOffsetsToTxn", min: 0, max: 4, flexible_from: 3 },
    Api { key: ApiKey(26), name: "EndTxn", min: 0, max: 5, flexible_from: 3 },
    Api { key: ApiKey(27), name: "WriteTxnMarkers", min: 1, max: 2, flexible_from: 1 },
    Api { key: ApiKey(28), name: "TxnOffsetCommit", min: 0, max: 5, flexible_from: 3 },
    Api { key: ApiKey(29), name: "DescribeAcls", min: 1, max: 3, flexible_from: 2 },
    Api { key: ApiKey(30), name: "CreateAcls", min: 1, max: 3, flexible_from: 2 },
    Api { key: ApiKey(31), name: "DeleteAcls", min: 1, max: 3, flexible_from: 2 },
    Api { key: ApiKey(32), name: "DescribeConfigs", min: 1, max: 4, flexible_from: 4 },
    Api { key: ApiKey(33), name: "AlterConfigs", min: 0, max: 2, flexible_from: 2 },
    Api { key: ApiKey(35), name: "DescribeLogDirs", min: 1, max: 5, flexible_from: 2 },
    Api { key: ApiKey(37), name: "CreatePartitions", min: 0, max: 3, flexible_from: 2 },
    Api { key: ApiKey(42), name: "DeleteGroups", min: 0, max: 2, flexible_from: 2 },
    Api { key: ApiKey(43), name: "ElectLeaders", min: 0, max: 2, flexible_from: 2 },
    Api { key: ApiKey(44), name: "IncrementalAlterConfigs", min: 0, max: 1, flexible_from: 1 },
    Api { key: ApiKey(45), name: "AlterPartitionReassignments", min: 0, max: 1, flexible_from: 0 },
    Api { key: ApiKey(46), name: "ListPartitionReassignments", min: 0, max: 0, flexible_from: 0 },
    Api { key: ApiKey(47), name: "OffsetDelete", min: 0, max: 0, flexible_from: i16::MAX },
    Api { key: ApiKey(55), name: "DescribeQuorum", min: 0, max: 2, flexible_from: 0 },
    Api { key: ApiKey(57), name: "UpdateFeatures", min: 0, max: 2, flexible_from: 0 },
    Api { key: ApiKey(60), name: "DescribeCluster", min: 0, max: 2, flexible_from: 0 },
    Api { key: ApiKey(61), name: "DescribeProducers", min: 0, max: 0, flexible_from: 0 },
    Api { key: ApiKey(64), name: "UnregisterBroker", min: 0, max: 0, flexible_from: 0 },
    Api { key: ApiKey(65), name: "DescribeTransactions", min: 0, max: 0, flexible_from: 0 },
    Api { key: ApiKey(66), name: "ListTransactions", min: 0, max: 2, flexible_from: 0 },
    Api { key: ApiKey(68), name: "ConsumerGroupHeartbeat", min: 0, max: 1, flexible_from: 0 },
    Api { key: ApiKey(69), name: "ConsumerGroupDescribe", min: 0, max: 1, flexible_from: 0 },
    Api { key: ApiKey(74), name: "ListConfigResources", min: 0, max: 1, flexible_from: 0 },
    Api { key: ApiKey(75), name: "DescribeTopicPartitions", min: 0, max: 0, flexible_from: 0 },
    Api { key: ApiKey(76), name: "ShareGroupHeartbeat", min: 1, max: 1, flexible_from: 1 },
    Api { key: ApiKey(77), name: "ShareGroupDescribe", min: 1, max: 1, flexible_from: 1 },
    Api { key: ApiKey(78), name: "ShareFetch", min: 1, max: 2, flexible_from: 1 },
    Api { key: ApiKey(79), name: "ShareAcknowledge", min: 1, max: 2, flexible_from: 1 },
    Api { key: ApiKey(80), name: "AddRaftVoter", min: 0, max: 1, flexible_from: 0 },
    Api { key: ApiKey(81), name: "RemoveRaftVoter", min: 0, max: 0, flexible_from: 0 },
    Api { key: ApiKey(83), name: "InitializeShareGroupState", min: 0, max: 0, flexible_from: 0 },
    Api { key: ApiKey(84), name: "ReadShareGroupState", min: 0, max: 0, flexible_from: 0 },
    Api { key: ApiKey(85), name: "WriteShareGroupState", min: 0, max: 1, flexible_from: 0 },
    Api { key: ApiKey(86), name: "DeleteShareGroupState", min: 0, max: 0, flexible_from: 0 },
    Api { key: ApiKey(87), name: "ReadShareGroupStateSummary", min: 0, max: 1, flexible_from: 0 },
    Api { key: ApiKey(88), name: "StreamsGroupHeartbeat", min: 0, max: 0, flexible_from: 0 },
    Api { key: ApiKey(89), name: "StreamsGroupDescribe", min: 0, max: 0, flexible_from: 0 },
    Api { key: ApiKey(90), name: "DescribeShareGroupOffsets", min: 0, max: 1, flexible_from: 0 },
    Api { key: ApiKey(91), name: "AlterShareGroupOffsets", min: 0, max: 0, flexible_from: 0 },
    Api { key: ApiKey(92), name: "DeleteShareGroupOffsets", min: 0, max: 0, flexible_from: 0 },
];
