//! The APIs that the broker serves: key, versions, and what carries them out. The one table of them.
//!
//! Whoever carries out requests matches on [`Handler`] and the enums in it, without a wildcard: an API
//! that is entered here and has no handler does not compile, and neither does a handler of none.

use super::acls::Acls;
use crate::wire::api_keys::ApiKey;

/// An API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its key.
    pub key: ApiKey,
    /// The first version that is advertised.
    pub min: i16,
    /// The last one.
    pub max: i16,
    /// The first version that is served. The others are refused.
    pub served_from: i16,
    /// What carries it out.
    pub handler: Handler,
}

/// What carries out the requests of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// The request and the metadata say all: no shard is asked for anything.
    Local(Local),
    /// It appends to partitions.
    Produce,
    /// It reads partitions, and may wait.
    Fetch,
    /// It shows the metadata, and may create topics first.
    Metadata,
    /// The owners of the partitions that it names are asked, each once.
    Owners(Owners),
    /// The coordinators of the groups that it names, or of all, are asked.
    Groups(Groups),
    /// The controller carries it out; the answer leaves when all shards have applied the change.
    Controller(Controller),
    /// The coordinators of transactions are asked, or the owners of partitions that they write to.
    Transactions(Transactions),
    /// The shards are asked for records of share groups, and told what members say of them.
    Share(Share),
    /// The coordinators of share groups' states are asked.
    ShareState(ShareState),
    /// All shards are asked for the sizes of their logs.
    DescribeLogDirs,
}

/// APIs that are answered out of the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// Those of ACLs, of which there are none.
    Acls(Acls),
    /// In any version, even one that is not known.
    ApiVersions,
    /// `DescribeCluster`.
    DescribeCluster,
    /// `DescribeConfigs`.
    DescribeConfigs,
    /// `DescribeTopicPartitions`.
    DescribeTopicPartitions,
    /// `ListConfigResources`.
    ListConfigResources,
}

/// APIs of partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// `ListOffsets`.
    ListOffsets,
    /// `OffsetForLeaderEpoch`.
    OffsetForLeaderEpoch,
    /// `DeleteRecords`.
    DeleteRecords,
}

/// APIs of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// Says where a group's coordinator is, and creates the topic of their state where it is missing.
    FindCoordinator,
    /// `JoinGroup`.
    JoinGroup,
    /// `SyncGroup`.
    SyncGroup,
    /// `Heartbeat`.
    Heartbeat,
    /// `LeaveGroup`.
    LeaveGroup,
    /// `OffsetCommit`.
    OffsetCommit,
    /// `OffsetFetch`.
    OffsetFetch,
    /// `OffsetDelete`.
    OffsetDelete,
    /// `ListGroups`.
    ListGroups,
    /// `DescribeGroups`.
    DescribeGroups,
    /// `DeleteGroups`.
    DeleteGroups,
    /// `ConsumerGroupHeartbeat`.
    ConsumerGroupHeartbeat,
    /// `ConsumerGroupDescribe`.
    ConsumerGroupDescribe,
    /// `StreamsGroupHeartbeat`.
    StreamsGroupHeartbeat,
    /// `StreamsGroupDescribe`.
    StreamsGroupDescribe,
    /// `ShareGroupHeartbeat`.
    ShareGroupHeartbeat,
    /// `ShareGroupDescribe`.
    ShareGroupDescribe,
    /// `DescribeShareGroupOffsets`.
    DescribeShareGroupOffsets,
    /// `AlterShareGroupOffsets`.
    AlterShareGroupOffsets,
    /// `DeleteShareGroupOffsets`.
    DeleteShareGroupOffsets,
}

/// APIs of members of share groups, on partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// `ShareFetch`.
    Fetch,
    /// `ShareAcknowledge`.
    Acknowledge,
}

/// APIs between brokers, of what is kept of share groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareState {
    /// `InitializeShareGroupState`.
    Initialize,
    /// `ReadShareGroupState`.
    Read,
    /// `WriteShareGroupState`.
    Write,
    /// `DeleteShareGroupState`.
    Delete,
    /// `ReadShareGroupStateSummary`.
    Summary,
}

/// APIs of transactions, and of producers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transactions {
    /// `InitProducerId`. One without a transactional id gets an id out of a block of the controller's.
    InitProducerId,
    /// `AddPartitionsToTxn`.
    AddPartitionsToTxn,
    /// `AddOffsetsToTxn`.
    AddOffsetsToTxn,
    /// `EndTxn`.
    EndTxn,
    /// `WriteTxnMarkers`.
    WriteTxnMarkers,
    /// `TxnOffsetCommit`: the group's coordinator takes it.
    TxnOffsetCommit,
    /// `DescribeProducers`.
    DescribeProducers,
    /// `DescribeTransactions`.
    DescribeTransactions,
    /// `ListTransactions`.
    ListTransactions,
}

/// APIs that change metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// `CreateTopics`.
    CreateTopics,
    /// `DeleteTopics`.
    DeleteTopics,
    /// `CreatePartitions`.
    CreatePartitions,
    /// `AlterConfigs`.
    AlterConfigs,
    /// `IncrementalAlterConfigs`.
    IncrementalAlterConfigs,
    /// `ElectLeaders`.
    ElectLeaders,
    /// `AlterPartitionReassignments`.
    AlterPartitionReassignments,
    /// `ListPartitionReassignments`: it changes nothing, and sees what was changed before.
    ListPartitionReassignments,
    /// `DescribeQuorum`: only who leads knows how far the others have come.
    DescribeQuorum,
    /// `UnregisterBroker`.
    UnregisterBroker,
    /// `UpdateFeatures`.
    UpdateFeatures,
    /// `AddRaftVoter`.
    AddRaftVoter,
    /// `RemoveRaftVoter`.
    RemoveRaftVoter,
}

/// By key.
pub const TABLE: [Api; 64] = [
    // Versions 0 to 2 are advertised, and refused: librdkafka turns compression off where they are
    // missing (KAFKA-18659).
    Api { served_from: 3, ..api(ApiKey::PRODUCE, 0, 13, Handler::Produce) },
    api(ApiKey::FETCH, 4, 18, Handler::Fetch),
    api(ApiKey::LIST_OFFSETS, 1, 11, Handler::Owners(Owners::ListOffsets)),
    api(ApiKey::METADATA, 0, 13, Handler::Metadata),
    api(ApiKey::OFFSET_COMMIT, 2, 10, Handler::Groups(Groups::OffsetCommit)),
    api(ApiKey::OFFSET_FETCH, 1, 10, Handler::Groups(Groups::OffsetFetch)),
    api(ApiKey::FIND_COORDINATOR, 0, 6, Handler::Groups(Groups::FindCoordinator)),
    api(ApiKey::JOIN_GROUP, 0, 9, Handler::Groups(Groups::JoinGroup)),
    api(ApiKey::HEARTBEAT, 0, 4, Handler::Groups(Groups::Heartbeat)),
    api(ApiKey::LEAVE_GROUP, 0, 5, Handler::Groups(Groups::LeaveGroup)),
    api(ApiKey::SYNC_GROUP, 0, 5, Handler::Groups(Groups::SyncGroup)),
    api(ApiKey::DESCRIBE_GROUPS, 0, 6, Handler::Groups(Groups::DescribeGroups)),
    api(ApiKey::LIST_GROUPS, 0, 5, Handler::Groups(Groups::ListGroups)),
    api(ApiKey::API_VERSIONS, 0, 4, Handler::Local(Local::ApiVersions)),
    api(ApiKey::CREATE_TOPICS, 2, 7, Handler::Controller(Controller::CreateTopics)),
    api(ApiKey::DELETE_TOPICS, 1, 6, Handler::Controller(Controller::DeleteTopics)),
    api(ApiKey::DELETE_RECORDS, 0, 2, Handler::Owners(Owners::DeleteRecords)),
    // Version 6 is two-phase commit (KIP-939), which Kafka does not advertise either.
    api(ApiKey::INIT_PRODUCER_ID, 0, 5, Handler::Transactions(Transactions::InitProducerId)),
    api(ApiKey::OFFSET_FOR_LEADER_EPOCH, 2, 4, Handler::Owners(Owners::OffsetForLeaderEpoch)),
    api(
        ApiKey::ADD_PARTITIONS_TO_TXN,
        0,
        5,
        Handler::Transactions(Transactions::AddPartitionsToTxn),
    ),
    api(ApiKey::ADD_OFFSETS_TO_TXN, 0, 4, Handler::Transactions(Transactions::AddOffsetsToTxn)),
    api(ApiKey::END_TXN, 0, 5, Handler::Transactions(Transactions::EndTxn)),
    api(ApiKey::WRITE_TXN_MARKERS, 1, 2, Handler::Transactions(Transactions::WriteTxnMarkers)),
    api(ApiKey::TXN_OFFSET_COMMIT, 0, 5, Handler::Transactions(Transactions::TxnOffsetCommit)),
    api(ApiKey::DESCRIBE_ACLS, 1, 3, Handler::Local(Local::Acls(Acls::Describe))),
    api(ApiKey::CREATE_ACLS, 1, 3, Handler::Local(Local::Acls(Acls::Create))),
    api(ApiKey::DELETE_ACLS, 1, 3, Handler::Local(Local::Acls(Acls::Delete))),
    api(ApiKey::DESCRIBE_CONFIGS, 1, 4, Handler::Local(Local::DescribeConfigs)),
    api(ApiKey::ALTER_CONFIGS, 0, 2, Handler::Controller(Controller::AlterConfigs)),
    api(ApiKey::DESCRIBE_LOG_DIRS, 1, 5, Handler::DescribeLogDirs),
    api(ApiKey::CREATE_PARTITIONS, 0, 3, Handler::Controller(Controller::CreatePartitions)),
    api(ApiKey::DELETE_GROUPS, 0, 2, Handler::Groups(Groups::DeleteGroups)),
    api(ApiKey::ELECT_LEADERS, 0, 2, Handler::Controller(Controller::ElectLeaders)),
    api(
        ApiKey::INCREMENTAL_ALTER_CONFIGS,
        0,
        1,
        Handler::Controller(Controller::IncrementalAlterConfigs),
    ),
    api(
        ApiKey::ALTER_PARTITION_REASSIGNMENTS,
        0,
        1,
        Handler::Controller(Controller::AlterPartitionReassignments),
    ),
    api(
        ApiKey::LIST_PARTITION_REASSIGNMENTS,
        0,
        0,
        Handler::Controller(Controller::ListPartitionReassignments),
    ),
    api(ApiKey::OFFSET_DELETE, 0, 0, Handler::Groups(Groups::OffsetDelete)),
    api(ApiKey::DESCRIBE_QUORUM, 0, 2, Handler::Controller(Controller::DescribeQuorum)),
    api(ApiKey::UPDATE_FEATURES, 0, 2, Handler::Controller(Controller::UpdateFeatures)),
    api(ApiKey::DESCRIBE_CLUSTER, 0, 2, Handler::Local(Local::DescribeCluster)),
    api(ApiKey::DESCRIBE_PRODUCERS, 0, 0, Handler::Transactions(Transactions::DescribeProducers)),
    api(ApiKey::UNREGISTER_BROKER, 0, 0, Handler::Controller(Controller::UnregisterBroker)),
    api(
        ApiKey::DESCRIBE_TRANSACTIONS,
        0,
        0,
        Handler::Transactions(Transactions::DescribeTransactions),
    ),
    api(ApiKey::LIST_TRANSACTIONS, 0, 2, Handler::Transactions(Transactions::ListTransactions)),
    api(ApiKey::CONSUMER_GROUP_HEARTBEAT, 0, 1, Handler::Groups(Groups::ConsumerGroupHeartbeat)),
    api(ApiKey::CONSUMER_GROUP_DESCRIBE, 0, 1, Handler::Groups(Groups::ConsumerGroupDescribe)),
    api(ApiKey::LIST_CONFIG_RESOURCES, 0, 1, Handler::Local(Local::ListConfigResources)),
    api(ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, 0, Handler::Local(Local::DescribeTopicPartitions)),
    api(ApiKey::SHARE_GROUP_HEARTBEAT, 1, 1, Handler::Groups(Groups::ShareGroupHeartbeat)),
    api(ApiKey::SHARE_GROUP_DESCRIBE, 1, 1, Handler::Groups(Groups::ShareGroupDescribe)),
    api(ApiKey::SHARE_FETCH, 1, 2, Handler::Share(Share::Fetch)),
    api(ApiKey::SHARE_ACKNOWLEDGE, 1, 2, Handler::Share(Share::Acknowledge)),
    api(ApiKey::ADD_RAFT_VOTER, 0, 1, Handler::Controller(Controller::AddRaftVoter)),
    api(ApiKey::REMOVE_RAFT_VOTER, 0, 0, Handler::Controller(Controller::RemoveRaftVoter)),
    api(ApiKey::INITIALIZE_SHARE_GROUP_STATE, 0, 0, Handler::ShareState(ShareState::Initialize)),
    api(ApiKey::READ_SHARE_GROUP_STATE, 0, 0, Handler::ShareState(ShareState::Read)),
    api(ApiKey::WRITE_SHARE_GROUP_STATE, 0, 1, Handler::ShareState(ShareState::Write)),
    api(ApiKey::DELETE_SHARE_GROUP_STATE, 0, 0, Handler::ShareState(ShareState::Delete)),
    api(ApiKey::READ_SHARE_GROUP_STATE_SUMMARY, 0, 1, Handler::ShareState(ShareState::Summary)),
    api(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, 0, Handler::Groups(Groups::StreamsGroupHeartbeat)),
    api(ApiKey::STREAMS_GROUP_DESCRIBE, 0, 0, Handler::Groups(Groups::StreamsGroupDescribe)),
    api(
        ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS,
        0,
        1,
        Handler::Groups(Groups::DescribeShareGroupOffsets),
    ),
    api(ApiKey::ALTER_SHARE_GROUP_OFFSETS, 0, 0, Handler::Groups(Groups::AlterShareGroupOffsets)),
    api(ApiKey::DELETE_SHARE_GROUP_OFFSETS, 0, 0, Handler::Groups(Groups::DeleteShareGroupOffsets)),
];

const fn api(key: ApiKey, min: i16, max: i16, handler: Handler) -> Api {
    Api { key, min, max, served_from: min, handler }
}

const NONE: u8 = u8::MAX;

/// Places in [`TABLE`] by key: every request looks here.
const PLACES: [u8; TABLE[TABLE.len() - 1].key.0 as usize + 1] = {
    let mut places = [NONE; _];
    let mut i = 0;
    while i < TABLE.len() {
        places[TABLE[i].key.0 as usize] = i as u8;
        i += 1;
    }
    places
};

impl Controller {
    /// The key of its API.
    pub fn key(self) -> ApiKey {
        let api = TABLE.iter().find(|it| it.handler == Handler::Controller(self));
        api.expect("in the table").key
    }
}

impl Api {
    /// The API with this key, if it is served.
    pub fn find(key: ApiKey) -> Option<&'static Self> {
        // A negative key is no index either.
        PLACES.get(key.0 as usize).and_then(|&at| TABLE.get(usize::from(at)))
    }

    /// Whether requests of this version are carried out. `ApiVersions` is answered in every version,
    /// so that the client can choose (KIP-511).
    pub fn serves(&self, version: i16) -> bool {
        (self.served_from..=self.max).contains(&version)
            || self.handler == Handler::Local(Local::ApiVersions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::api_keys::APIS;

    #[test]
    fn what_is_advertised_can_be_decoded() {
        for it in TABLE {
            let known = it.key.api().expect("in the table of messages");
            assert!(known.min <= it.served_from && it.max <= known.max, "{}", it.key);
            assert!(it.min <= it.served_from && it.served_from <= it.max, "{}", it.key);
            assert_eq!(Api::find(it.key), Some(&it));
        }
        assert!(TABLE.is_sorted_by(|a, b| a.key < b.key));
        assert!(APIS.is_sorted_by_key(|api| api.key));
        for key in [-3, 4, 1_000, i16::MIN, i16::MAX] {
            assert_eq!(Api::find(ApiKey(key)), None);
        }
    }

    #[test]
    fn old_versions_of_produce_are_advertised_and_refused() {
        let produce = Api::find(ApiKey::PRODUCE).unwrap();
        assert!(produce.min == 0 && !produce.serves(2) && produce.serves(3) && !produce.serves(14));
        let versions = Api::find(ApiKey::API_VERSIONS).unwrap();
        assert!(versions.serves(99) && !Api::find(ApiKey::FETCH).unwrap().serves(99));
    }
}
