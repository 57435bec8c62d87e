//! `AddRaftVoter`: a broker gets a vote in the metadata quorum (KIP-853).

use super::decode;
use super::describe_quorum::QuorumView;
use super::metadata_change::{Failure, Handled, code_and_message};
use super::response::Body;
use crate::controller::{Image, QuorumState};
use crate::types::{ErrorCode, TopicId};
use crate::wire::kafka::add_raft_voter_request::AddRaftVoterRequest;
use crate::wire::kafka::add_raft_voter_response::AddRaftVoterResponse;
use crate::wire::primitives::WireError;

/// Answers a request, in any version. The answer is for when the change has taken effect.
pub fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    quorum: &QuorumView,
) -> Result<Handled, WireError> {
    let request = decode(body, |r| AddRaftVoterRequest::decode(r, version))?;
    let result = leading(quorum, request.cluster_id, image).and_then(|state| {
        let (id, directory) = (request.voter_id, request.voter_directory_id);
        if directory == TopicId::ZERO {
            let message = "Add voter request didn't include the voter's directory id.";
            return Err(Failure::new(ErrorCode::INVALID_REQUEST, message));
        }
        let mut to = state.members();
        if to.voters.contains(&id) {
            let message = format!("The voter id for {id} is already part of the set of voters.");
            return Err(Failure::new(ErrorCode::DUPLICATE_VOTER, message));
        }
        if image.broker(id).is_none_or(|it| it.directory.to_be_bytes() != directory.0) {
            let message = format!("No broker {id} with directory {directory} is registered.");
            return Err(Failure::new(ErrorCode::INVALID_VOTER_KEY, message));
        }
        if !state.learners.iter().any(|it| it.node == id && it.is_caught_up()) {
            let message = format!("Node {id} did not catch up with the leader in time.");
            return Err(Failure::new(ErrorCode::REQUEST_TIMED_OUT, message));
        }
        to.learners.remove(&id);
        to.voters.insert(id);
        Ok(to)
    });
    let (error_code, error_message) = code_and_message(&result);
    let response = AddRaftVoterResponse { throttle_time_ms: 0, error_code, error_message };
    let response = Body::new(|w| response.encode(w, version))?;
    Ok(Handled { members: result.ok(), ..Handled::new(response, Vec::new()) })
}

/// The quorum, where this node leads it and a change of it can begin.
pub(super) fn leading<'a>(
    quorum: &'a QuorumView,
    cluster_id: Option<&str>,
    image: &Image,
) -> Result<&'a QuorumState, Failure> {
    if cluster_id.is_some_and(|it| *it != *image.cluster_id) {
        let message = "The request is for another cluster.";
        return Err(Failure::new(ErrorCode::INCONSISTENT_CLUSTER_ID, message));
    }
    let state = quorum.state.as_ref().ok_or_else(|| {
        Failure::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, "This node does not lead the quorum.")
    })?;
    if state.changing {
        let message =
            "Request timed out waiting for leader to handle previous voter change request.";
        return Err(Failure::new(ErrorCode::REQUEST_TIMED_OUT, message));
    }
    Ok(state)
}
