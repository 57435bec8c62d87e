//! Requests of administrators that the tools' client does not send.

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

            fn decode<'r>(r: &mut Reader<'r>, version: i16) -> Result<$response, WireError> {
                <$response>::decode(r, version)
            }
        }
    )*};
}

requests! {
    Reassign: k::alter_partition_reassignments_request::AlterPartitionReassignmentsRequest<'a>,
        k::alter_partition_reassignments_response::AlterPartitionReassignmentsResponse<'r>, 0, 1;
    Elect: k::elect_leaders_request::ElectLeadersRequest<'a>,
        k::elect_leaders_response::ElectLeadersResponse<'r>, 0, 2;
    AddVoter: k::add_raft_voter_request::AddRaftVoterRequest<'a>,
        k::add_raft_voter_response::AddRaftVoterResponse<'r>, 0, 1;
    RemoveVoter: k::remove_raft_voter_request::RemoveRaftVoterRequest<'a>,
        k::remove_raft_voter_response::RemoveRaftVoterResponse<'r>, 0, 0;
}
