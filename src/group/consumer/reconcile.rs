//! A member's next step towards its target.

use super::assigned_since::AssignedSince;
use super::member::{Current, MemberState};
use super::partitions::{self, Numbers, Partitions};
use crate::types::TopicId;

/// A member's target.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The epoch of the targets.
    pub epoch: i32,
    /// What the member is to have.
    pub partitions: &'a Partitions,
}

/// How a member goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// It is where it is to be, or has to do something first.
    Stay,
    /// Towards its target, from this epoch.
    From(i32),
    /// Only a newer version knows what it does: it has to begin anew.
    Unknown,
}

/// How a member goes on towards the targets of that epoch. `keeps` says that it may still have what it is to give up,
/// `has_nothing` that it has said so.
pub fn onward(current: &Current, target_epoch: i32, keeps: bool, has_nothing: bool) -> Onward {
    if current.is_reconciled_to(target_epoch) {
        return Onward::Stay;
    }
    match current.state {
        MemberState::UnrevokedPartitions if keeps => Onward::Stay,
        // It has given them up, and is one epoch further.
        MemberState::UnrevokedPartitions => Onward::From(current.epoch + 1),
        MemberState::Stable | MemberState::UnreleasedPartitions => Onward::From(current.epoch),
        MemberState::Unknown if has_nothing => Onward::From(target_epoch),
        MemberState::Unknown => Onward::Unknown,
    }
}

/// What becomes of what a member has.
#[derive(Debug)]
pub struct Difference<K> {
    /// It stays.
    pub kept: Numbers<K>,
    /// It goes.
    pub revoking: Numbers<K>,
    /// It comes.
    pub new: Numbers<K>,
    /// More is to come, which others have not given up.
    pub unreleased: bool,
}

/// What lies between a member's assignment and its target. `is_owned` says of what it does not have whether others have it.
pub fn difference<K: Ord + Clone>(
    assigned: &Numbers<K>,
    target: &Numbers<K>,
    is_owned: impl Fn(&K, i32) -> bool,
) -> Difference<K> {
    let (mut kept, mut revoking, mut new) = (Vec::new(), Vec::new(), Vec::new());
    let mut unreleased = false;
    for (topic, numbers) in assigned {
        let (stay, go) = numbers.iter().partition(|it| partitions::contains(target, topic, **it));
        kept.push((topic.clone(), stay));
        revoking.push((topic.clone(), go));
    }
    for (topic, numbers) in target {
        let more = numbers.iter().copied();
        let more = more.filter(|it| !partitions::contains(assigned, topic, *it));
        let (others, free): (Vec<i32>, Vec<i32>) = more.partition(|it| is_owned(topic, *it));
        unreleased |= !others.is_empty();
        new.push((topic.clone(), free));
    }
    Difference {
        kept: partitions::collect(kept),
        revoking: partitions::collect(revoking),
        new: partitions::collect(new),
        unreleased,
    }
}

/// What the member is told next: as it was, where it has to do something first. `owned` is what it says that it
/// has, if it says so; `is_owned` says whether some member has a partition, or may have it still.
///
/// `None` where only a newer version knows what the member does: it has to begin anew.
pub fn next(
    current: &Current,
    target: Target<'_>,
    owned: Option<&Partitions>,
    is_owned: &dyn Fn(TopicId, i32) -> bool,
) -> Option<Current> {
    let keeps = has_any(owned, &current.revoking);
    let has_nothing = owned.is_some_and(Partitions::is_empty);
    match onward(current, target.epoch, keeps, has_nothing) {
        Onward::Stay => Some(current.clone()),
        Onward::From(epoch) => Some(step(current, epoch, target, owned, is_owned)),
        Onward::Unknown => None,
    }
}

/// The same for a member that shares partitions: it has its target at once.
pub fn shared(current: &Current, target: Target<'_>) -> Current {
    if current.epoch == target.epoch {
        return current.clone();
    }
    Current {
        epoch: target.epoch,
        previous_epoch: current.epoch,
        state: MemberState::Stable,
        assigned: target.partitions.clone(),
        ..Current::default()
    }
}

/// Whether the member may have one of these. One that does not say what it has may have all.
fn has_any(owned: Option<&Partitions>, these: &Partitions) -> bool {
    owned.is_none_or(|owned| partitions::meet(owned, these))
}

fn step(
    current: &Current,
    epoch: i32,
    target: Target<'_>,
    owned: Option<&Partitions>,
    is_owned: &dyn Fn(TopicId, i32) -> bool,
) -> Current {
    let Difference { mut kept, revoking, new, unreleased } =
        difference(&current.assigned, target.partitions, |topic, number| is_owned(*topic, number));
    let since = |assigned: &Partitions, revoking: &Partitions| {
        AssignedSince::new([assigned, revoking], |topic, partition| {
            current.since.get(topic, partition).unwrap_or(target.epoch)
        })
    };
    if !revoking.is_empty() && has_any(owned, &revoking) {
        return Current {
            epoch,
            previous_epoch: current.epoch,
            state: MemberState::UnrevokedPartitions,
            since: since(&kept, &revoking),
            assigned: kept,
            revoking,
            tasks: None,
        };
    }
    partitions::add(&mut kept, new);
    let assigned = kept;
    Current {
        epoch: target.epoch,
        previous_epoch: current.epoch,
        state: if unreleased { MemberState::UnreleasedPartitions } else { MemberState::Stable },
        since: since(&assigned, &Partitions::new()),
        assigned,
        revoking: Partitions::new(),
        tasks: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: TopicId = TopicId([1; 16]);

    fn set(numbers: &[i32]) -> Partitions {
        partitions::collect([(TOPIC, numbers.to_vec())])
    }

    fn current(epoch: i32, state: MemberState, assigned: &[i32], revoking: &[i32]) -> Current {
        let (assigned, revoking) = (set(assigned), set(revoking));
        let since = AssignedSince::new([&assigned, &revoking], |_, _| epoch);
        Current { epoch, previous_epoch: epoch, state, assigned, revoking, since, tasks: None }
    }

    fn go(it: &Current, epoch: i32, to: &[i32], owned: Option<&[i32]>, others: &[i32]) -> Current {
        let (partitions, owned) = (set(to), owned.map(set));
        let target = Target { epoch, partitions: &partitions };
        next(it, target, owned.as_ref(), &|_, number| others.contains(&number))
            .expect("a known state")
    }

    #[test]
    fn a_partition_is_given_up_before_the_epoch_is_left() {
        let at_1 = current(1, MemberState::Stable, &[0, 1], &[]);
        // It does not say what it has, or has what is to go.
        for owned in [None, Some(&[0, 1][..])] {
            let asked = go(&at_1, 2, &[0, 2], owned, &[]);
            assert_eq!(asked, current(1, MemberState::UnrevokedPartitions, &[0], &[1]));
            // It has it still.
            assert_eq!(go(&asked, 2, &[0, 2], Some(&[0, 1]), &[]), asked);
            assert_eq!(go(&asked, 2, &[0, 2], None, &[]), asked);
            let done = go(&asked, 2, &[0, 2], Some(&[0]), &[]);
            assert_eq!((done.epoch, done.previous_epoch, done.state), (2, 1, MemberState::Stable));
            assert_eq!(done.assigned, set(&[0, 2]));
            let since = [0, 1, 2].map(|number| done.since.get(&TOPIC, number));
            assert_eq!(since, [Some(1), None, Some(2)], "what it keeps it has since it got it");
        }
        // It has given it up already.
        let done = go(&at_1, 2, &[0], Some(&[0]), &[]);
        assert_eq!((done.epoch, done.state, done.assigned), (2, MemberState::Stable, set(&[0])));
    }

    #[test]
    fn what_others_have_is_waited_for() {
        let new = Current::default();
        let some = go(&new, 3, &[0, 1, 2], Some(&[]), &[1, 2]);
        assert_eq!((some.epoch, some.state), (3, MemberState::UnreleasedPartitions));
        assert_eq!(some.assigned, set(&[0]));
        // Nothing has changed but the epoch before.
        let same = go(&some, 3, &[0, 1, 2], None, &[1, 2]);
        assert_eq!((same.previous_epoch, &same.assigned), (3, &some.assigned));
        let more = go(&some, 3, &[0, 1, 2], None, &[2]);
        assert_eq!((more.state, more.assigned), (MemberState::UnreleasedPartitions, set(&[0, 1])));
        let all = go(&some, 3, &[0, 1, 2], None, &[]);
        assert_eq!((all.state, all.assigned), (MemberState::Stable, set(&[0, 1, 2])));
    }

    #[test]
    fn a_state_of_a_newer_version_lets_a_member_begin_anew() {
        let odd = current(4, MemberState::Unknown, &[0], &[]);
        let empty = Partitions::new();
        let target = Target { epoch: 5, partitions: &empty };
        assert_eq!(next(&odd, target, None, &|_, _| false), None);
        assert_eq!(next(&odd, target, Some(&set(&[0])), &|_, _| false), None);
        let anew = next(&odd, target, Some(&empty), &|_, _| false).expect("it has nothing");
        assert_eq!((anew.epoch, anew.state), (5, MemberState::Stable));
    }
}
