//! Who reads which partition: what the leader of a group decides.
//!
//! The names are Kafka's, as they stand in JoinGroup. A group mixes clients, so range and round robin
//! give exactly what Java's assignors give; sticky ones keep what members have and differ from
//! Java's only in which of several equally good assignments they choose.

mod range;
mod round_robin;
mod sticky;

use super::subscription::{Partitions, Subscription};
use crate::wire::WireError;
use std::collections::BTreeMap;

/// How many partitions each topic has.
pub type PartitionCounts = BTreeMap<String, i32>;

/// A member of the group as an assignor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Member id.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// Its subscription.
    pub subscription: Subscription,
}

impl GroupMember {
    /// Static members come first, by instance id; then the others by member id (Kafka's
    /// `MemberInfo.compareTo`).
    fn order(&self) -> (bool, &str) {
        match &self.instance_id {
            Some(id) => (false, id),
            None => (true, &self.id),
        }
    }
}

/// An assignment strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Each topic's partitions in runs, over the members that read it.
    Range,
    /// All partitions in turn.
    RoundRobin,
    /// Balanced, and as few moves as that allows. Eager: members give everything up first.
    Sticky,
    /// The same, while members keep what does not move (KIP-429).
    CooperativeSticky,
}

impl Assignor {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Range, Self::RoundRobin, Self::Sticky, Self::CooperativeSticky];

    /// Its name in JoinGroup.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// By the name in JoinGroup, or by the class that `partition.assignment.strategy` names.
    pub fn from_name(name: &str) -> Option<Self> {
        let class = name.strip_prefix("org.apache.kafka.clients.consumer.");
        Self::ALL.into_iter().find(|a| {
            a.name() == name
                || class
                    == Some(match a {
                        Self::Range => "RangeAssignor",
                        Self::RoundRobin => "RoundRobinAssignor",
                        Self::Sticky => "StickyAssignor",
                        Self::CooperativeSticky => "CooperativeStickyAssignor",
                    })
        })
    }

    /// Members may keep their partitions while the group rebalances.
    pub const fn is_cooperative(self) -> bool {
        matches!(self, Self::CooperativeSticky)
    }

    /// The assignor's own bytes in the subscription of a member that had `owned` in `generation`.
    pub fn user_data(
        self,
        owned: &Partitions,
        generation: i32,
    ) -> Result<Option<Vec<u8>>, WireError> {
        match self {
            Self::Range | Self::RoundRobin => Ok(None),
            Self::Sticky => sticky::encode_previous(owned, generation).map(Some),
            Self::CooperativeSticky => Ok(Some(generation.to_be_bytes().to_vec())),
        }
    }

    /// Gives every partition of every topic that somebody subscribes to one reader; members that get
    /// none are in the answer too. Topics that are not in `counts` do not exist.
    pub fn assign(
        self,
        members: &[GroupMember],
        counts: &PartitionCounts,
    ) -> BTreeMap<String, Partitions> {
        let mut members: Vec<&GroupMember> = members.iter().collect();
        members.sort_by(|a, b| a.order().cmp(&b.order()));
        match self {
            Self::Range => range::assign(&members, counts),
            Self::RoundRobin => round_robin::assign(&members, counts),
            Self::Sticky => sticky::assign(&members, counts, false),
            Self::CooperativeSticky => {
                let balanced = sticky::assign(&members, counts, true);
                sticky::withhold_moving(&members, balanced)
            }
        }
    }
}

/// An assignment in which no member has a partition.
fn nothing(members: &[&GroupMember]) -> BTreeMap<String, Partitions> {
    members.iter().map(|m| (m.id.clone(), Partitions::new())).collect()
}

fn give(
    all: &mut BTreeMap<String, Partitions>,
    member: &str,
    topic: &str,
    numbers: impl IntoIterator<Item = i32>,
) {
    if let Some(partitions) = all.get_mut(member) {
        partitions.entry(topic.to_owned()).or_default().extend(numbers);
    }
}

#[cfg(test)]
mod tests;
