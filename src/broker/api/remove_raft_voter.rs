//! `RemoveRaftVoter`: a node loses its vote in the metadata quorum (KIP-853).

use super::add_raft_voter::leading;
use super::decode;
use super::describe_quorum::QuorumView;
use super::metadata_change::{Failure, Handled, code_and_message};
use super::response::Body;
use crate::controller::Image;
use crate::types::{ErrorCode, TopicId};
use crate::wire::kafka::remove_raft_voter_request::RemoveRaftVoterRequest;
use crate::wire::kafka::remove_raft_voter_response::RemoveRaftVoterResponse;
use crate::wire::primitives::WireError;

/// Answers a request, in any version. The answer is for when the change has taken effect. A broker that is registered
/// is taken in again, without a vote, by the controller's next look at the members: it must not keep its place, since what
/// the leader knows of its log may be of a directory that was replaced, and would count when it gets a vote again.
pub fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    quorum: &QuorumView,
) -> Result<Handled, WireError> {
    let request = decode(body, |r| RemoveRaftVoterRequest::decode(r, version))?;
    let result = leading(quorum, request.cluster_id, image).and_then(|state| {
        let (id, directory) = (request.voter_id, request.voter_directory_id);
        let mut to = state.members();
        // A directory that is not known, or was not asked for, is any.
        let other = |known: [u8; 16]| {
            let known = TopicId(known);
            known != TopicId::ZERO && directory != TopicId::ZERO && known != directory
        };
        let mistaken = image.broker(id).is_some_and(|it| other(it.directory.to_be_bytes()));
        if !to.voters.remove(&id) || mistaken {
            let message =
                format!("Cannot remove voter {id} because it's not in the set of voters.");
            return Err(Failure::new(ErrorCode::VOTER_NOT_FOUND, message));
        }
        if to.voters.is_empty() {
            let message = format!("Cannot remove voter {id} because it is the only one.");
            return Err(Failure::new(ErrorCode::INVALID_REQUEST, message));
        }
        if id == state.leader {
            let message = format!("Cannot remove voter {id} while it leads the quorum.");
            return Err(Failure::new(ErrorCode::INVALID_REQUEST, message));
        }
        Ok(to)
    });
    let (error_code, error_message) = code_and_message(&result);
    let response = RemoveRaftVoterResponse { throttle_time_ms: 0, error_code, error_message };
    let response = Body::new(|w| response.encode(w, version))?;
    Ok(Handled { members: result.ok(), ..Handled::new(response, Vec::new()) })
}

#[cfg(test)]
mod tests {
    use super::super::add_raft_voter;
    use super::*;
    use crate::broker::api::testing::{cluster, decode, encode};
    use crate::controller::{Members, QuorumState, Record, Registration, ReplicaState};
    use crate::wire::kafka::add_raft_voter_request::AddRaftVoterRequest;
    use crate::wire::kafka::add_raft_voter_response::AddRaftVoterResponse;

    fn replica(node: i32) -> ReplicaState {
        ReplicaState { node, ..ReplicaState::default() }
    }

    /// Nodes 1 and 2 vote, 3 and 5 follow, 5 from afar; 4 has registered with directory 4.
    fn view(changing: bool) -> QuorumView {
        let state = QuorumState {
            leader: 1,
            voters: vec![replica(1), replica(2)],
            learners: vec![
                ReplicaState { caught_up: Some(1), ..replica(3) },
                ReplicaState { caught_up: Some(1_000), ..replica(5) },
            ],
            changing,
            ..QuorumState::default()
        };
        QuorumView { state: Some(state), now_ms: 0, tick_ms: 100 }
    }

    fn image() -> Image {
        let mut image = cluster(3);
        for id in [3, 4, 5] {
            let it = Registration { id, directory: id as u128, ..Registration::default() };
            image.apply(&Record::BrokerRegistered(it));
        }
        image
    }

    fn members(voters: &[i32], learners: &[i32]) -> Option<Members> {
        let set = |nodes: &[i32]| nodes.iter().copied().collect();
        Some(Members { voters: set(voters), learners: set(learners) })
    }

    fn directory(number: u8) -> TopicId {
        TopicId(u128::from(number).to_be_bytes())
    }

    #[test]
    fn a_registered_broker_gets_a_vote() {
        let run = |view: &QuorumView, cluster_id, voter_id, number| {
            let voter_directory_id = directory(number);
            let request = AddRaftVoterRequest {
                cluster_id,
                voter_id,
                voter_directory_id,
                ..Default::default()
            };
            let body = encode(|w| request.encode(w, 1));
            let handled = add_raft_voter::handle(&body, 1, &image(), view).unwrap();
            let response = decode(&handled.response, |r| AddRaftVoterResponse::decode(r, 1));
            (ErrorCode(response.error_code), handled.members)
        };
        assert_eq!(run(&view(false), None, 3, 3), (ErrorCode::NONE, members(&[1, 2, 3], &[5])));
        let ours = Some("cluster");
        assert_eq!(run(&view(false), ours, 3, 3).0, ErrorCode::NONE);
        for (view, cluster, voter, number, code) in [
            (view(false), Some("other"), 3, 3, ErrorCode::INCONSISTENT_CLUSTER_ID),
            (QuorumView::default(), None, 3, 3, ErrorCode::NOT_LEADER_OR_FOLLOWER),
            (view(true), None, 3, 3, ErrorCode::REQUEST_TIMED_OUT),
            (view(false), None, 4, 4, ErrorCode::REQUEST_TIMED_OUT),
            (view(false), None, 5, 5, ErrorCode::REQUEST_TIMED_OUT),
            (view(false), None, 2, 2, ErrorCode::DUPLICATE_VOTER),
            (view(false), None, 3, 4, ErrorCode::INVALID_VOTER_KEY),
            (view(false), None, 9, 9, ErrorCode::INVALID_VOTER_KEY),
            (view(false), None, 3, 0, ErrorCode::INVALID_REQUEST),
        ] {
            assert_eq!(run(&view, cluster, voter, number), (code, None));
        }
    }

    #[test]
    fn a_voter_loses_its_vote_and_its_place() {
        let run = |voter_id, number| {
            let voter_directory_id = directory(number);
            let request = RemoveRaftVoterRequest { cluster_id: None, voter_id, voter_directory_id };
            let body = encode(|w| request.encode(w, 0));
            let handled = handle(&body, 0, &image(), &view(false)).unwrap();
            let response = decode(&handled.response, |r| RemoveRaftVoterResponse::decode(r, 0));
            (ErrorCode(response.error_code), handled.members)
        };
        assert_eq!(run(2, 0), (ErrorCode::NONE, members(&[1], &[3, 5])));
        assert_eq!(run(3, 3), (ErrorCode::VOTER_NOT_FOUND, None));
        assert_eq!(run(1, 0), (ErrorCode::INVALID_REQUEST, None), "it leads");
    }
}
