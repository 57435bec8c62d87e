//! What groups of each kind are not asked.

use super::request::GroupRequest;
use super::state::Group;
use crate::types::ErrorCode;

impl Group {
    /// Why a group of this kind is not asked such a thing.
    pub(super) fn refusal_of_kind(&self, request: &GroupRequest) -> Option<ErrorCode> {
        let (is_share, is_streams) = (self.is_share(), self.is_streams());
        let is_either = is_share || is_streams;
        match request {
            // All but the first two answer themselves where there is no such group.
            GroupRequest::Describe(_)
            | GroupRequest::DeleteGroup(_)
            | GroupRequest::ShareHeartbeat(_)
            | GroupRequest::ShareDescribe(_)
            | GroupRequest::ListShareTopics(_)
            | GroupRequest::ShareInitialized(_)
            | GroupRequest::StreamsHeartbeat(_)
            | GroupRequest::StreamsDescribe(_) => None,
            // A streams group without members makes room for a classic one.
            GroupRequest::Join(_) => {
                let refused = is_share || (is_streams && self.member_count() > 0);
                refused.then_some(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)
            }
            GroupRequest::Sync(_) | GroupRequest::Heartbeat(_) | GroupRequest::Leave(_) => {
                is_either.then_some(ErrorCode::UNKNOWN_MEMBER_ID)
            }
            GroupRequest::Commit(_)
            | GroupRequest::FetchOffsets(_)
            | GroupRequest::DeleteOffsets(_) => is_share.then_some(ErrorCode::GROUP_ID_NOT_FOUND),
            GroupRequest::ConsumerHeartbeat(_) | GroupRequest::ConsumerDescribe(_) => {
                is_either.then_some(ErrorCode::GROUP_ID_NOT_FOUND)
            }
        }
    }
}
