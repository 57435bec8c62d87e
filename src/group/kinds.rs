//! What groups of each kind are not asked.

use super::request::GroupRequest;
use super::state::Group;
use crate::types::ErrorCode;

impl Group {
    /// Whether consumers are its members, beside which classic ones may be.
    pub(super) fn has_consumers(&self) -> bool {
        self.consumer.is_some() && !self.is_share() && !self.is_streams()
    }

    /// Why a group of this kind is not asked such a thing.
    pub(super) fn refusal_of_kind(&self, request: &GroupRequest) -> Option<ErrorCode> {
        let (is_share, is_streams) = (self.is_share(), self.is_streams());
        let is_either = is_share || is_streams;
        match request {
            // These answer themselves where there is no such group, where it has no such member, or no offsets.
            GroupRequest::Describe(_)
            | GroupRequest::DeleteGroup(_)
            | GroupRequest::Leave(_)
            | GroupRequest::FetchOffsets(_)
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
            GroupRequest::Sync(_) | GroupRequest::Heartbeat(_) => {
                is_either.then_some(ErrorCode::UNKNOWN_MEMBER_ID)
            }
            GroupRequest::Commit(_) | GroupRequest::DeleteOffsets(_) => {
                is_share.then_some(ErrorCode::GROUP_ID_NOT_FOUND)
            }
            GroupRequest::ConsumerHeartbeat(_) | GroupRequest::ConsumerDescribe(_) => {
                is_either.then_some(ErrorCode::GROUP_ID_NOT_FOUND)
            }
        }
    }
}
