//! Who belongs to the metadata quorum.

use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState};
use std::collections::BTreeSet;

/// Raft's id of a node: it has no node 0.
pub fn raft_id(node_id: i32) -> u64 {
    node_id as u64 + 1
}

/// The node of an id of Raft's; -1 for none.
pub fn node_id(raft_id: u64) -> i32 {
    raft_id as i32 - 1
}

/// Nodes that vote, and nodes that follow without a vote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// A majority of these decides.
    pub voters: BTreeSet<i32>,
    /// These have the metadata, and no vote.
    pub learners: BTreeSet<i32>,
}

impl Members {
    /// As Raft has them. While a change is under way, the voters of before and after are all voters.
    pub(super) fn of(state: &ConfState) -> Self {
        let nodes = |ids: &[u64]| ids.iter().map(|id| node_id(*id)).collect::<BTreeSet<_>>();
        let mut voters = nodes(&state.voters);
        voters.extend(nodes(&state.voters_outgoing));
        let mut learners = nodes(&state.learners);
        learners.extend(nodes(&state.learners_next));
        Self { learners: &learners - &voters, voters }
    }

    /// All of them.
    pub fn nodes(&self) -> BTreeSet<i32> {
        &self.voters | &self.learners
    }

    pub(super) fn state(&self) -> ConfState {
        let ids = |nodes: &BTreeSet<i32>| nodes.iter().map(|it| raft_id(*it)).collect::<Vec<_>>();
        ConfState::from((ids(&self.voters), ids(&self.learners)))
    }

    /// What has to change to come from these to those.
    pub(super) fn change_to(&self, to: &Self) -> ConfChangeV2 {
        let change = |node: &i32, kind| ConfChangeSingle {
            change_type: kind,
            node_id: raft_id(*node),
            ..ConfChangeSingle::default()
        };
        let voters = (&to.voters - &self.voters).into_iter();
        let learners = (&to.learners - &self.learners).into_iter();
        let gone = (&self.nodes() - &to.nodes()).into_iter();
        let changes = voters
            .map(|it| change(&it, ConfChangeType::AddNode))
            .chain(learners.map(|it| change(&it, ConfChangeType::AddLearnerNode)))
            .chain(gone.map(|it| change(&it, ConfChangeType::RemoveNode)));
        ConfChangeV2 { changes: changes.collect::<Vec<_>>().into(), ..ConfChangeV2::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConfChangeType::{AddLearnerNode, AddNode, RemoveNode};

    fn members(voters: &[i32], learners: &[i32]) -> Members {
        let set = |it: &[i32]| it.iter().copied().collect();
        Members { voters: set(voters), learners: set(learners) }
    }

    #[test]
    fn a_change_names_what_differs() {
        let change = members(&[0, 1, 2], &[3]).change_to(&members(&[0, 3, 4], &[1]));
        let changes: Vec<_> =
            change.changes.iter().map(|it| (node_id(it.node_id), it.get_change_type())).collect();
        let expected = [(3, AddNode), (4, AddNode), (1, AddLearnerNode), (2, RemoveNode)];
        assert_eq!(changes, expected);
        let same = members(&[0], &[1]);
        assert_eq!(same.change_to(&same).changes.len(), 0);
        assert_eq!(Members::of(&same.state()), same);
    }

    #[test]
    fn during_a_change_the_voters_of_before_and_after_vote() {
        let mut state = members(&[0, 1], &[5]).state();
        state.voters_outgoing = vec![raft_id(1), raft_id(2)];
        state.learners_next = vec![raft_id(2)];
        assert_eq!(Members::of(&state), members(&[0, 1, 2], &[5]));
    }
}
