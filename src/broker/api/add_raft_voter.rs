//! `AddRaftVoter`: a broker gets a vote in the metadata quorum (KIP-853).

use super::decode;
use super::describe_quorum::QuorumView;
use super::metadata_change::{Failure, Handled, code_and_message};
use super::response::Body;
use crate::controller::{Image, Members, QuorumState, ReplicaState};
use crate::types::{ErrorCode, TopicId};
use crate::wire::kafka::add_raft_voter_request::AddRaftVoterRequest;
use crate::wire::kafka::add_raft_voter_response::AddRaftVoterResponse;
use crate::wire::primitives::WireError;
use std::collections::BTreeSet;

/// Who has had everything in so many ticks may be given a vote.
const CAUGHT_UP_TICKS: u64 = 50;

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
        let mut to = members(state);
        if to.voters.contains(&id) {
            let message = format!("The voter id for {id} is already part of the set of voters.");
            return Err(Failure::new(ErrorCode::DUPLICATE_VOTER, message));
        }
        if image.broker(id).is_none_or(|it| it.directory.to_be_bytes() != directory.0) {
            let message = format!("No broker {id} with directory {directory} is registered.");
            return Err(Failure::new(ErrorCode::INVALID_VOTER_KEY, message));
        }
        // One that is not there, or lacks much, would hold up what a majority has to decide.
        let follows = |it: &ReplicaState| {
            it.node == id && it.caught_up.is_some_and(|ago| ago <= CAUGHT_UP_TICKS)
        };
        if !state.learners.iter().any(follows) {
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

/// Who belongs to it now.
pub(super) fn members(state: &QuorumState) -> Members {
    let nodes = |replicas: &[ReplicaState]| -> BTreeSet<i32> {
        replicas.iter().map(|it| it.node).collect()
    };
    Members { voters: nodes(&state.voters), learners: nodes(&state.learners) }
}
