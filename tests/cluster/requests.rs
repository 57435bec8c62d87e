//! Requests that the tools' client does not send: those of transactional producers, as clients of Kafka 3 have them, and those
//! of Kafka 4, whose transactions have an epoch each (KIP-890); heartbeats of consumer groups (KIP-848).

use klamm::client::ApiRequest;
use klamm::wire::api_keys::ApiKey;
use klamm::wire::kafka as k;
use klamm::wire::{Reader, WireError, Writer};

macro_rules! requests {
    ($($name:ident: $request:ty, $response:ty, $min:expr, $max:expr;)*) => {$(
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

requests! {
    OldProduce: k::produce_request::ProduceRequest<'a>,
        k::produce_response::ProduceResponse<'r>, 3, 11;
    AddPartitions: k::add_partitions_to_txn_request::AddPartitionsToTxnRequest<'a>,
        k::add_partitions_to_txn_response::AddPartitionsToTxnResponse<'r>, 0, 3;
    AddOffsets: k::add_offsets_to_txn_request::AddOffsetsToTxnRequest<'a>,
        k::add_offsets_to_txn_response::AddOffsetsToTxnResponse, 0, 4;
    OldOffsets: k::txn_offset_commit_request::TxnOffsetCommitRequest<'a>,
        k::txn_offset_commit_response::TxnOffsetCommitResponse<'r>, 3, 4;
    Offsets: k::txn_offset_commit_request::TxnOffsetCommitRequest<'a>,
        k::txn_offset_commit_response::TxnOffsetCommitResponse<'r>, 5, 5;
    OldEnd: k::end_txn_request::EndTxnRequest<'a>, k::end_txn_response::EndTxnResponse, 0, 4;
    Beat: k::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest<'a>,
        k::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse<'r>, 1, 1;
    End: k::end_txn_request::EndTxnRequest<'a>, k::end_txn_response::EndTxnResponse, 5, 5;
}
