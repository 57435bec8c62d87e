//! The next step of a member of a streams group towards its target.

use std::sync::Arc;

use super::member::{self, OwnedTasks, Role};
use super::tasks::Tasks;
use crate::group::consumer::assigned_since::AssignedSince;
use crate::group::consumer::member::{Current, MemberState};
use crate::group::consumer::partitions;
use crate::group::consumer::reconcile::{Difference, Onward, difference, onward};

/// A member's target.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The epoch of the targets.
    pub epoch: i32,
    /// What the member is to have.
    pub tasks: &'a Tasks,
}

/// What the member is told next: as it was, where it has to do something first. `owned` is what it says that it
/// has, if it says so; `is_unreleased` says of a task that it does not have in this role whether it has to wait for it: an active one
/// until no other member has it, any until its own process does not have it in another role.
///
/// `None` where only a newer version knows what the member does: it has to begin anew.
pub fn next(
    current: &Current,
    target: Target<'_>,
    owned: Option<&Tasks>,
    is_unreleased: &dyn Fn(Role, &Arc<str>, i32) -> bool,
) -> Option<Current> {
    let none = OwnedTasks::default();
    let tasks = current.tasks.as_deref().unwrap_or(&none);
    let keeps = may_have(owned, &tasks.revoking);
    let has_nothing = owned.is_some_and(Tasks::is_empty);
    match onward(current, target.epoch, keeps, has_nothing) {
        Onward::Stay => Some(current.clone()),
        Onward::From(epoch) => Some(step(current, tasks, epoch, target, owned, is_unreleased)),
        Onward::Unknown => None,
    }
}

/// Whether the member may have one of these. One that does not say what it has may have all.
fn may_have(owned: Option<&Tasks>, these: &Tasks) -> bool {
    owned.is_none_or(|owned| member::meet(owned, these))
}

fn step(
    current: &Current,
    tasks: &OwnedTasks,
    epoch: i32,
    target: Target<'_>,
    owned: Option<&Tasks>,
    is_unreleased: &dyn Fn(Role, &Arc<str>, i32) -> bool,
) -> Current {
    let differ = |role: Role| {
        difference(role.of(&tasks.assigned), role.of(target.tasks), |task, number| {
            is_unreleased(role, task, number)
        })
    };
    let [active, standby, warmup] = Role::ALL.map(differ);
    let unreleased = active.unreleased || standby.unreleased || warmup.unreleased;
    let (mut kept, mut revoking, mut new) = (Tasks::default(), Tasks::default(), Tasks::default());
    let part = |it: Difference<Arc<str>>| (it.kept, it.revoking, it.new);
    (kept.active, revoking.active, new.active) = part(active);
    (kept.standby, revoking.standby, new.standby) = part(standby);
    (kept.warmup, revoking.warmup, new.warmup) = part(warmup);
    let asks = !revoking.is_empty() && may_have(owned, &revoking);
    if !asks {
        revoking = Tasks::default();
        for (all, more) in [
            (&mut kept.active, new.active),
            (&mut kept.standby, new.standby),
            (&mut kept.warmup, new.warmup),
        ] {
            partitions::add(all, more);
        }
    }
    let state = match (asks, unreleased) {
        (true, _) => MemberState::UnrevokedPartitions,
        (false, true) => MemberState::UnreleasedPartitions,
        (false, false) => MemberState::Stable,
    };
    let since = AssignedSince::new([&kept.active, &revoking.active], |task: &Arc<str>, number| {
        tasks.since.get(task, number).unwrap_or(target.epoch)
    });
    Current {
        epoch: if asks { epoch } else { target.epoch },
        previous_epoch: current.epoch,
        state,
        tasks: Some(Box::new(OwnedTasks { assigned: kept, revoking, since })),
        ..Current::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::streams::tasks::TaskIds;

    fn ids(numbers: &[i32]) -> TaskIds {
        partitions::collect([(Arc::from("0"), numbers.to_vec())])
    }

    fn tasks(active: &[i32], standby: &[i32]) -> Tasks {
        Tasks { active: ids(active), standby: ids(standby), warmup: TaskIds::new() }
    }

    fn current(epoch: i32, assigned: Tasks) -> Current {
        let none = TaskIds::new();
        let since = AssignedSince::new([&assigned.active, &none], |_, _| epoch);
        let owned = OwnedTasks { assigned, revoking: Tasks::default(), since };
        Current { epoch, previous_epoch: epoch, tasks: Some(Box::new(owned)), ..Current::default() }
    }

    fn go(
        it: &Current,
        epoch: i32,
        to: &Tasks,
        owned: Option<&Tasks>,
        held: &[(Role, i32)],
    ) -> Current {
        let target = Target { epoch, tasks: to };
        next(it, target, owned, &|role, _, number| held.contains(&(role, number))).expect("known")
    }

    fn assigned(it: &Current) -> &Tasks {
        &it.tasks.as_deref().expect("tasks").assigned
    }

    #[test]
    fn tasks_are_given_up_before_others_come() {
        let at_2 = current(2, tasks(&[0, 1], &[2]));
        let to = tasks(&[0, 2], &[1]);
        let asked = go(&at_2, 3, &to, None, &[(Role::Active, 2), (Role::Standby, 1)]);
        assert_eq!((asked.epoch, asked.state), (2, MemberState::UnrevokedPartitions));
        assert_eq!(assigned(&asked), &tasks(&[0], &[]));
        let revoking = &asked.tasks.as_deref().expect("tasks").revoking;
        assert_eq!(revoking, &tasks(&[1], &[2]));
        // It has one of them still.
        assert_eq!(go(&asked, 3, &to, Some(&tasks(&[0], &[2])), &[]), asked);
        // It has given them up, but its process is known to have them until this is written.
        let held = [(Role::Active, 2), (Role::Standby, 1)];
        let waits = go(&asked, 3, &to, Some(&tasks(&[0], &[])), &held);
        assert_eq!((waits.epoch, waits.previous_epoch), (3, 2));
        assert_eq!(waits.state, MemberState::UnreleasedPartitions);
        let done = go(&waits, 3, &to, None, &[]);
        assert_eq!((done.state, assigned(&done)), (MemberState::Stable, &to));
        let since = &done.tasks.as_deref().expect("tasks").since;
        assert_eq!([0, 2].map(|it| since.get("0", it)), [Some(2), Some(3)]);
        assert_eq!(since.get("0", 1), None, "standbys have none");
    }

    #[test]
    fn a_state_of_a_newer_version_lets_a_member_begin_anew() {
        let odd = Current { state: MemberState::Unknown, ..current(4, tasks(&[0], &[])) };
        let (to, empty) = (tasks(&[], &[]), Tasks::default());
        let target = Target { epoch: 5, tasks: &to };
        let free = |_: Role, _: &Arc<str>, _| false;
        assert_eq!(next(&odd, target, None, &free), None);
        assert_eq!(next(&odd, target, Some(&tasks(&[0], &[])), &free), None);
        let anew = next(&odd, target, Some(&empty), &free).expect("it has nothing");
        assert_eq!((anew.epoch, anew.state), (5, MemberState::Stable));
    }
}
