//! Requests that are sent in other versions than the tools' own: by topic id, those of transactional producers, which
//! clients of Kafka 3 and of Kafka 4 send in different versions (KIP-890), and heartbeats of consumer groups.

use super::protocol::ApiRequest;
use crate::wire::api_keys::ApiKey;
use crate::wire::kafka as k;
use crate::wire::{Reader, WireError, Writer};

macro_rules! variants {
    ($($(#[$about:meta])* $name:ident: $request:ty, $response:ty, $min:expr, $max:expr;)*) => {$(
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $name<'a>(pub $request);

        impl<'a> ApiRequest for $name<'a> {
            const KEY: ApiKey = <$request>::KEY;
            const MIN: i16 = $min;
            const MAX: i16 = $max;
            type Response<'r> = $response;

            fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
                self.0.encode(w, version)
            }

            #[allow(clippy::elidable_lifetime_names, clippy::needless_lifetimes, reason = "some responses own all that they say")]
            fn decode<'r>(r: &mut Reader<'r>, version: i16) -> Result<$response, WireError> {
                <$response>::decode(r, version)
            }
        }
    )*};
}

variants! {
    /// A Fetch that names topics by their ids (KIP-516): a topic that was created again is another one.
    FetchById: k::fetch_request::FetchRequest<'a>, k::fetch_response::FetchResponse<'r>, 13, 17;
    /// Produce of a producer that tells the coordinator of its partitions first.
    OldProduce: k::produce_request::ProduceRequest<'a>,
        k::produce_response::ProduceResponse<'r>, 3, 11;
    /// Tells the coordinator of partitions.
    AddPartitions: k::add_partitions_to_txn_request::AddPartitionsToTxnRequest<'a>,
        k::add_partitions_to_txn_response::AddPartitionsToTxnResponse<'r>, 0, 3;
    /// Tells the coordinator that offsets of a group will be committed.
    AddOffsets: k::add_offsets_to_txn_request::AddOffsetsToTxnRequest<'a>,
        k::add_offsets_to_txn_response::AddOffsetsToTxnResponse, 0, 4;
    /// Commits offsets of a group that the coordinator was told of.
    OldTxnOffsets: k::txn_offset_commit_request::TxnOffsetCommitRequest<'a>,
        k::txn_offset_commit_response::TxnOffsetCommitResponse<'r>, 0, 4;
    /// Commits offsets of a group, which become part of the transaction by that.
    TxnOffsets: k::txn_offset_commit_request::TxnOffsetCommitRequest<'a>,
        k::txn_offset_commit_response::TxnOffsetCommitResponse<'r>, 5, 5;
    /// A heartbeat of a member of a consumer group (KIP-848), under an id of its own.
    ConsumerHeartbeat: k::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest<'a>,
        k::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse<'r>, 1, 1;
    /// Ends a transaction.
    OldEndTxn: k::end_txn_request::EndTxnRequest<'a>, k::end_txn_response::EndTxnResponse, 0, 4;
    /// Ends a transaction, and with it the producer's epoch.
    EndTxn: k::end_txn_request::EndTxnRequest<'a>, k::end_txn_response::EndTxnResponse, 5, 5;
}
