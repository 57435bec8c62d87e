//! What a share group answers.

use std::sync::Arc;

use super::topics::ShareTopics;
use crate::types::ErrorCode;

/// The states that the share coordinator has for a share group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedShareTopics {
    /// `GROUP_ID_NOT_FOUND` when there is no such share group.
    pub error: ErrorCode,
    /// How many members it has.
    pub members: usize,
    /// The topics.
    pub topics: Arc<ShareTopics>,
}

impl ListedShareTopics {
    /// A refusal.
    pub fn refused(error: ErrorCode) -> Self {
        Self { error, members: 0, topics: Arc::default() }
    }
}
