//! Kafka's error codes.

use std::fmt;

/// A Kafka error code as it stands on the wire (`org.apache.kafka.common.protocol.Errors` of 4.3).
///
/// A code that this broker does not know is kept as it is, so that tools can show what a newer
/// broker said.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub i16);

macro_rules! codes {
    ($($name:ident = $code:literal, $message:literal;)*) => {
        impl ErrorCode {
            $(#[doc = $message] pub const $name: Self = Self($code);)*

            /// Every code of Kafka 4.3, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Kafka's name of the code, such as `OFFSET_OUT_OF_RANGE`; `UNKNOWN` for one that
            /// Kafka 4.3 does not have.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($code => stringify!($name),)*
                    _ => "UNKNOWN",
                }
            }

            /// One sentence for people, used where a response has room for a message and the
            /// broker has nothing more exact to say. The wording is ours; clients decide by code.
            pub const fn message(self) -> &'static str {
                match self.0 {
                    $($code => $message,)*
                    _ => "An error code that this version does not know.",
                }
            }
        }
    };
}

codes! {
    UNKNOWN_SERVER_ERROR = -1, "The broker met an error it did not expect.";
    NONE = 0, "No error.";
    OFFSET_OUT_OF_RANGE = 1, "The offset lies outside the partition's log.";
    CORRUPT_MESSAGE = 2, "The record batch is damaged: its checksum, length or format does not hold.";
    UNKNOWN_TOPIC_OR_PARTITION = 3, "This broker has no such topic or partition.";
    INVALID_FETCH_SIZE = 4, "The fetch size is not valid.";
    LEADER_NOT_AVAILABLE = 5, "The partition has no leader at the moment.";
    NOT_LEADER_OR_FOLLOWER = 6, "This broker is not the leader, or not a replica, of the partition.";
    REQUEST_TIMED_OUT = 7, "The request was not completed in time.";
    BROKER_NOT_AVAILABLE = 8, "The broker is not available.";
    REPLICA_NOT_AVAILABLE = 9, "The replica is not available on this broker.";
    MESSAGE_TOO_LARGE = 10, "The record batch is larger than max.message.bytes allows.";
    STALE_CONTROLLER_EPOCH = 11, "The controller has moved to another node.";
    OFFSET_METADATA_TOO_LARGE = 12, "The metadata string of the committed offset is too long.";
    NETWORK_EXCEPTION = 13, "The connection ended before the response came.";
    COORDINATOR_LOAD_IN_PROGRESS = 14, "The coordinator is still loading its state.";
    COORDINATOR_NOT_AVAILABLE = 15, "The coordinator is not available.";
    NOT_COORDINATOR = 16, "This broker is not the coordinator asked for.";
    INVALID_TOPIC_EXCEPTION = 17, "The topic name is not valid, or the topic does not permit the operation.";
    RECORD_LIST_TOO_LARGE = 18, "The records are larger than a segment may be.";
    NOT_ENOUGH_REPLICAS = 19, "Fewer replicas are in sync than min.insync.replicas asks for.";
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20, "The records were written, but to fewer in-sync replicas than required.";
    INVALID_REQUIRED_ACKS = 21, "The value of acks must be -1, 0 or 1.";
    ILLEGAL_GENERATION = 22, "The group's generation is another one.";
    INCONSISTENT_GROUP_PROTOCOL = 23, "The member shares no protocol with the other members of its group.";
    INVALID_GROUP_ID = 24, "The group id is not valid.";
    UNKNOWN_MEMBER_ID = 25, "The coordinator does not know this member.";
    INVALID_SESSION_TIMEOUT = 26, "The session timeout is outside the range that the broker allows.";
    REBALANCE_IN_PROGRESS = 27, "The group is rebalancing; join again.";
    INVALID_COMMIT_OFFSET_SIZE = 28, "The size of the offset commit is not valid.";
    TOPIC_AUTHORIZATION_FAILED = 29, "Not authorized for this topic.";
    GROUP_AUTHORIZATION_FAILED = 30, "Not authorized for this group.";
    CLUSTER_AUTHORIZATION_FAILED = 31, "Not authorized for the cluster.";
    INVALID_TIMESTAMP = 32, "A record's timestamp is outside the accepted range.";
    UNSUPPORTED_SASL_MECHANISM = 33, "The broker does not offer this SASL mechanism.";
    ILLEGAL_SASL_STATE = 34, "The request does not fit the state of the SASL exchange.";
    UNSUPPORTED_VERSION = 35, "This version of the API is not supported.";
    TOPIC_ALREADY_EXISTS = 36, "A topic of this name exists already.";
    INVALID_PARTITIONS = 37, "The number of partitions is not valid.";
    INVALID_REPLICATION_FACTOR = 38, "The replication factor is not valid.";
    INVALID_REPLICA_ASSIGNMENT = 39, "The replica assignment is not valid.";
    INVALID_CONFIG = 40, "The configuration is not valid.";
    NOT_CONTROLLER = 41, "This node is not the controller of the cluster.";
    INVALID_REQUEST = 42, "The request is malformed or contradicts itself.";
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, "The message format does not permit this request.";
    POLICY_VIOLATION = 44, "The request breaks a configured policy.";
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45, "The producer's sequence number does not follow the last one.";
    DUPLICATE_SEQUENCE_NUMBER = 46, "The producer's sequence number was used before.";
    INVALID_PRODUCER_EPOCH = 47, "The producer's epoch is older than the last one seen.";
    INVALID_TXN_STATE = 48, "The transaction's state does not permit the operation.";
    INVALID_PRODUCER_ID_MAPPING = 49, "The producer id does not belong to this transactional id.";
    INVALID_TRANSACTION_TIMEOUT = 50, "The transaction timeout exceeds transaction.max.timeout.ms.";
    CONCURRENT_TRANSACTIONS = 51, "Another operation on the same transaction is under way.";
    TRANSACTION_COORDINATOR_FENCED = 52, "The sender no longer coordinates this producer's transactions.";
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53, "Not authorized for this transactional id.";
    SECURITY_DISABLED = 54, "Security features are switched off.";
    OPERATION_NOT_ATTEMPTED = 55, "Not attempted, because another part of the request failed.";
    KAFKA_STORAGE_ERROR = 56, "The partition's log could not be read or written.";
    LOG_DIR_NOT_FOUND = 57, "The broker has no such log directory.";
    SASL_AUTHENTICATION_FAILED = 58, "SASL authentication failed.";
    UNKNOWN_PRODUCER_ID = 59, "The broker holds no state for this producer id.";
    REASSIGNMENT_IN_PROGRESS = 60, "The partition is being reassigned.";
    DELEGATION_TOKEN_AUTH_DISABLED = 61, "Delegation tokens are switched off.";
    DELEGATION_TOKEN_NOT_FOUND = 62, "The broker has no such delegation token.";
    DELEGATION_TOKEN_OWNER_MISMATCH = 63, "The principal neither owns the delegation token nor may renew it.";
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64, "Delegation tokens cannot be requested on this kind of connection.";
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65, "Not authorized for this delegation token.";
    DELEGATION_TOKEN_EXPIRED = 66, "The delegation token has expired.";
    INVALID_PRINCIPAL_TYPE = 67, "The type of the principal is not supported.";
    NON_EMPTY_GROUP = 68, "The group still has members.";
    GROUP_ID_NOT_FOUND = 69, "The group does not exist.";
    FETCH_SESSION_ID_NOT_FOUND = 70, "The broker has no such fetch session.";
    INVALID_FETCH_SESSION_EPOCH = 71, "The epoch of the fetch session is not the next one.";
    LISTENER_NOT_FOUND = 72, "The leader has no listener of the name that the request came in on.";
    TOPIC_DELETION_DISABLED = 73, "Topic deletion is switched off.";
    FENCED_LEADER_EPOCH = 74, "The request's leader epoch is older than the partition's.";
    UNKNOWN_LEADER_EPOCH = 75, "The request's leader epoch is newer than the partition's.";
    UNSUPPORTED_COMPRESSION_TYPE = 76, "The compression type is not supported here.";
    STALE_BROKER_EPOCH = 77, "The broker has registered anew since.";
    OFFSET_NOT_AVAILABLE = 78, "The new leader's high watermark has not caught up yet.";
    MEMBER_ID_REQUIRED = 79, "Join again with the member id of this response.";
    PREFERRED_LEADER_NOT_AVAILABLE = 80, "The preferred leader is not available.";
    GROUP_MAX_SIZE_REACHED = 81, "The group has as many members as it may have.";
    FENCED_INSTANCE_ID = 82, "Another member has taken over this group.instance.id.";
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, "No replica that may lead the partition is available.";
    ELECTION_NOT_NEEDED = 84, "The partition needs no leader election.";
    NO_REASSIGNMENT_IN_PROGRESS = 85, "The partition is not being reassigned.";
    GROUP_SUBSCRIBED_TO_TOPIC = 86, "The group is subscribed to the topic, so its offsets cannot be deleted.";
    INVALID_RECORD = 87, "The records break a rule of the broker or of the record format.";
    UNSTABLE_OFFSET_COMMIT = 88, "Offsets of an open transaction are still pending.";
    THROTTLING_QUOTA_EXCEEDED = 89, "A quota was exceeded.";
    PRODUCER_FENCED = 90, "A newer producer uses the same transactional id.";
    RESOURCE_NOT_FOUND = 91, "The resource does not exist.";
    DUPLICATE_RESOURCE = 92, "The request names the same resource twice.";
    UNACCEPTABLE_CREDENTIAL = 93, "The credential does not meet the rules.";
    INCONSISTENT_VOTER_SET = 94, "Sender or receiver is not one of the expected voters.";
    INVALID_UPDATE_VERSION = 95, "The version of the update is not valid.";
    FEATURE_UPDATE_FAILED = 96, "The features could not be updated.";
    PRINCIPAL_DESERIALIZATION_FAILURE = 97, "The forwarded principal could not be read.";
    SNAPSHOT_NOT_FOUND = 98, "The snapshot does not exist.";
    POSITION_OUT_OF_RANGE = 99, "The position lies outside the snapshot.";
    UNKNOWN_TOPIC_ID = 100, "This broker has no topic of this id.";
    DUPLICATE_BROKER_REGISTRATION = 101, "The broker id is in use.";
    BROKER_ID_NOT_REGISTERED = 102, "The broker id is not registered.";
    INCONSISTENT_TOPIC_ID = 103, "The topic id of the request is not that of the log.";
    INCONSISTENT_CLUSTER_ID = 104, "The cluster id of the request is not this cluster's.";
    TRANSACTIONAL_ID_NOT_FOUND = 105, "The transactional id does not exist.";
    FETCH_SESSION_TOPIC_ID_ERROR = 106, "The fetch session mixes topic ids and topic names.";
    INELIGIBLE_REPLICA = 107, "The new ISR holds a replica that may not join it.";
    NEW_LEADER_ELECTED = 108, "The partition was changed, but its leader is another one now.";
    OFFSET_MOVED_TO_TIERED_STORAGE = 109, "The offset was moved to tiered storage.";
    FENCED_MEMBER_EPOCH = 110, "The coordinator fenced the member's epoch; give up all partitions and join again.";
    UNRELEASED_INSTANCE_ID = 111, "Another member still holds this instance id.";
    UNSUPPORTED_ASSIGNOR = 112, "The group does not support this assignor or its version.";
    STALE_MEMBER_EPOCH = 113, "The member's epoch is stale; retry after the next heartbeat.";
    MISMATCHED_ENDPOINT_TYPE = 114, "The request went to the wrong kind of endpoint.";
    UNSUPPORTED_ENDPOINT_TYPE = 115, "This kind of endpoint is not supported.";
    UNKNOWN_CONTROLLER_ID = 116, "There is no such controller.";
    UNKNOWN_SUBSCRIPTION_ID = 117, "The telemetry subscription is unknown or outdated.";
    TELEMETRY_TOO_LARGE = 118, "The telemetry push is larger than the broker accepts.";
    INVALID_REGISTRATION = 119, "The controller refuses the broker's registration.";
    TRANSACTION_ABORTABLE = 120, "The transaction failed; it can be aborted and the producer used further.";
    INVALID_RECORD_STATE = 121, "The state of the record does not permit the acknowledgement.";
    SHARE_SESSION_NOT_FOUND = 122, "The broker has no such share session.";
    INVALID_SHARE_SESSION_EPOCH = 123, "The epoch of the share session is not the next one.";
    FENCED_STATE_EPOCH = 124, "The epoch of the share group's state is another one.";
    INVALID_VOTER_KEY = 125, "The voter key is not this replica's.";
    DUPLICATE_VOTER = 126, "The voter is in the set already.";
    VOTER_NOT_FOUND = 127, "The voter is not in the set.";
    INVALID_REGULAR_EXPRESSION = 128, "The regular expression is not valid.";
    REBOOTSTRAP_REQUIRED = 129, "The client's metadata is too old; bootstrap again.";
    STREAMS_INVALID_TOPOLOGY = 130, "The topology is not valid.";
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131, "The epoch of the topology is not valid.";
    STREAMS_TOPOLOGY_FENCED = 132, "The epoch of the topology is outdated.";
    SHARE_SESSION_LIMIT_REACHED = 133, "The broker has as many share sessions as it may have.";
}

impl ErrorCode {
    /// Whether Kafka's clients may send the same request again (the exception behind the code is a
    /// `RetriableException`).
    pub const fn is_retriable(self) -> bool {
        matches!(
            self,
            Self::CORRUPT_MESSAGE
                | Self::UNKNOWN_TOPIC_OR_PARTITION
                | Self::LEADER_NOT_AVAILABLE
                | Self::NOT_LEADER_OR_FOLLOWER
                | Self::REQUEST_TIMED_OUT
                | Self::REPLICA_NOT_AVAILABLE
                | Self::NETWORK_EXCEPTION
                | Self::COORDINATOR_LOAD_IN_PROGRESS
                | Self::COORDINATOR_NOT_AVAILABLE
                | Self::NOT_COORDINATOR
                | Self::NOT_ENOUGH_REPLICAS
                | Self::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                | Self::NOT_CONTROLLER
                | Self::CONCURRENT_TRANSACTIONS
                | Self::KAFKA_STORAGE_ERROR
                | Self::FETCH_SESSION_ID_NOT_FOUND
                | Self::INVALID_FETCH_SESSION_EPOCH
                | Self::LISTENER_NOT_FOUND
                | Self::FENCED_LEADER_EPOCH
                | Self::UNKNOWN_LEADER_EPOCH
                | Self::OFFSET_NOT_AVAILABLE
                | Self::PREFERRED_LEADER_NOT_AVAILABLE
                | Self::ELIGIBLE_LEADERS_NOT_AVAILABLE
                | Self::ELECTION_NOT_NEEDED
                | Self::UNSTABLE_OFFSET_COMMIT
                | Self::THROTTLING_QUOTA_EXCEEDED
                | Self::UNKNOWN_TOPIC_ID
                | Self::INCONSISTENT_TOPIC_ID
                | Self::FETCH_SESSION_TOPIC_ID_ERROR
                | Self::SHARE_SESSION_NOT_FOUND
                | Self::INVALID_SHARE_SESSION_EPOCH
                | Self::SHARE_SESSION_LIMIT_REACHED
        )
    }

    /// Whether this is an error at all.
    pub const fn is_err(self) -> bool {
        self.0 != 0
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> i16 {
        code.0
    }
}

impl std::error::Error for ErrorCode {}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}: {}", self.message())
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dense_and_named() {
        let numbers: Vec<i16> = ErrorCode::ALL.iter().map(|c| c.0).collect();
        assert_eq!(numbers, (-1..=133).collect::<Vec<_>>());
        assert_eq!(ErrorCode::OFFSET_OUT_OF_RANGE.name(), "OFFSET_OUT_OF_RANGE");
        assert_eq!(ErrorCode(999).name(), "UNKNOWN");
        assert_eq!(format!("{:?}", ErrorCode::INVALID_RECORD), "INVALID_RECORD (87)");
        assert!(!ErrorCode::NONE.is_err());
    }

    #[test]
    fn retriable_as_in_kafka() {
        // 32 of 4.3.1's exceptions are retriable; these are on both sides of the line.
        assert_eq!(ErrorCode::ALL.iter().filter(|c| c.is_retriable()).count(), 32);
        assert!(ErrorCode::NOT_LEADER_OR_FOLLOWER.is_retriable());
        assert!(ErrorCode::CORRUPT_MESSAGE.is_retriable());
        assert!(!ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.is_retriable());
        assert!(!ErrorCode::OFFSET_OUT_OF_RANGE.is_retriable());
    }
}
