//! Who belongs to the metadata quorum, as its leader brings it about by itself.

use super::describe::QuorumState;
use super::image::Image;
use super::members::Members;

/// A quorum of one voter gets so many, where there are brokers for it.
///
/// Three go on without any one of them. Two would not, and would fail twice as often as one: so one becomes three in a
/// single step, by joint consensus, when two more brokers have all of the metadata. A quorum of two or more is what
/// operators have made of it: they add votes and take them (KIP-853).
pub const VOTERS_WANTED: usize = 3;

/// What is to be changed: a broker that has registered follows the quorum, one that was unregistered does not any more, and
/// votes as [`VOTERS_WANTED`] has it, where `gives_votes`. `None` where nothing is, or another change is under way.
pub fn due_members(state: &QuorumState, image: &Image, gives_votes: bool) -> Option<Members> {
    if state.changing {
        return None;
    }
    let members = state.members();
    let mut to = members.clone();
    to.learners.retain(|id| image.broker(*id).is_some());
    let strangers = image.brokers().map(|it| it.id).filter(|id| !members.voters.contains(id));
    to.learners.extend(strangers);
    if to != members {
        return Some(to);
    }
    if !gives_votes || members.voters.len() != 1 {
        return None;
    }
    let reachable = |id: i32| image.broker(id).is_some_and(|it| it.peer_port != 0);
    // Whoever leads would lose its voice to others that cannot reach it.
    if !reachable(state.leader) {
        return None;
    }
    let fit = state.learners.iter().filter(|it| it.is_caught_up() && image.is_alive(it.node));
    let fit = fit.map(|it| it.node).filter(|id| reachable(*id));
    let chosen: Vec<i32> = fit.take(VOTERS_WANTED - 1).collect();
    if chosen.len() < VOTERS_WANTED - 1 {
        return None;
    }
    for id in chosen {
        to.learners.remove(&id);
        to.voters.insert(id);
    }
    Some(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::tests::options;
    use crate::controller::{Controller, Message, OpenOptions, Record, Registration, ReplicaState};
    use crate::storage::device::disk::Disk;
    use crate::storage::device::sim_disk::SimDisk;
    use std::sync::Arc;

    fn image(brokers: &[i32]) -> Image {
        let mut image = Image::new("cluster", 1, Arc::default());
        for id in brokers {
            let it = Registration { id: *id, peer_port: 9292, ..Registration::default() };
            image.apply(&Record::BrokerRegistered(it));
            image.apply(&Record::BrokerUnfenced { broker: *id });
        }
        image
    }

    fn state(voters: &[i32], learners: &[i32]) -> QuorumState {
        let replica =
            |node: &i32| ReplicaState { node: *node, caught_up: Some(2), ..Default::default() };
        QuorumState {
            leader: voters[0],
            voters: voters.iter().map(replica).collect(),
            learners: learners.iter().map(replica).collect(),
            ..QuorumState::default()
        }
    }

    fn members(voters: &[i32], learners: &[i32]) -> Option<Members> {
        let set = |nodes: &[i32]| nodes.iter().copied().collect();
        Some(Members { voters: set(voters), learners: set(learners) })
    }

    #[test]
    fn brokers_follow_from_their_registration_to_its_end() {
        let state = state(&[1], &[2, 9]);
        assert_eq!(due_members(&state, &image(&[1, 2, 4, 3]), true), members(&[1], &[2, 3, 4]));
        assert_eq!(due_members(&state, &image(&[]), true), members(&[1], &[]), "a voter stays");
        let busy = QuorumState { changing: true, ..state };
        assert_eq!(due_members(&busy, &image(&[1, 2, 3]), true), None);
    }

    #[test]
    fn one_voter_becomes_three_at_once_and_no_other_number_does() {
        let all = image(&[1, 2, 3, 4]);
        assert_eq!(due_members(&state(&[1], &[2, 3, 4]), &all, true), members(&[1, 2, 3], &[4]));
        assert_eq!(
            due_members(&state(&[1], &[2, 3, 4]), &all, false),
            None,
            "it was not wished for"
        );
        assert_eq!(due_members(&state(&[1, 2], &[3, 4]), &all, true), None);
        assert_eq!(due_members(&state(&[1], &[2]), &image(&[1, 2]), true), None, "two are worse");
        // Those who lack something, or are not there, wait.
        let mut slow = state(&[1], &[2, 3, 4]);
        slow.learners[1].caught_up = Some(1_000);
        assert_eq!(due_members(&slow, &all, true), members(&[1, 2, 4], &[3]));
        slow.learners[0].caught_up = None;
        assert_eq!(due_members(&slow, &all, true), None);
        let mut fenced = all.clone();
        fenced.apply(&Record::BrokerFenced { broker: 3 });
        assert_eq!(
            due_members(&state(&[1], &[2, 3]), &fenced, true).map(|it| it.voters.len()),
            Some(1)
        );
        // Others would elect one of themselves, and never reach it.
        let mut deaf = all;
        deaf.apply(&Record::BrokerRegistered(Registration { id: 1, ..Registration::default() }));
        deaf.apply(&Record::BrokerUnfenced { broker: 1 });
        assert_eq!(due_members(&state(&[1], &[2, 3, 4]), &deaf, true), None);
    }

    fn open(disk: &SimDisk, node_id: i32, joins: bool) -> Controller {
        let options = OpenOptions { node_id, joins, ..options() };
        Controller::open(&Disk::Sim(disk.clone()), &options).unwrap().0
    }

    /// A node that leads, and has another one follow, which joins.
    fn leader_and_joiner(disks: &[SimDisk; 2]) -> [Controller; 2] {
        let mut nodes = [open(&disks[0], 1, false), open(&disks[1], 2, true)];
        assert!(nodes[0].leads() && nodes[1].is_joining());
        let learners = [2].into();
        nodes[0].change_members(&Members { learners, ..nodes[0].members() }).unwrap();
        nodes
    }

    /// Time passes for both, and what `drops` does not want arrives.
    fn talk(nodes: &mut [Controller; 2], disks: &[SimDisk; 2], drops: &dyn Fn(&Message) -> bool) {
        for _ in 0..100 {
            nodes.iter_mut().for_each(Controller::tick);
            for at in [0, 1] {
                while let Some(persist) = nodes[at].ready() {
                    persist.ops.into_iter().for_each(|op| _ = disks[at].run(op).unwrap());
                    nodes[at].persisted(persist.ticket);
                }
                while let Some(message) = nodes[at].poll_message() {
                    if !drops(&message) {
                        nodes[1 - at].step(message).unwrap();
                    }
                }
            }
        }
    }

    /// A leader waits for a snapshot until it has come, or its link has ended: so whoever does not take one ends the link.
    #[test]
    fn a_snapshot_that_was_not_taken_comes_again_when_its_link_has_ended() {
        let disks = [SimDisk::new(1), SimDisk::new(2)];
        let mut nodes = leader_and_joiner(&disks);
        talk(&mut nodes, &disks, &Message::is_snapshot);
        talk(&mut nodes, &disks, &|_| false);
        assert!(nodes[1].is_joining(), "nobody has asked for it again");
        nodes[0].unreachable(2);
        talk(&mut nodes, &disks, &|_| false);
        assert_eq!(nodes[1].image().index, nodes[0].image().index);
    }

    #[test]
    fn who_joins_learns_who_votes_by_a_snapshot_although_the_whole_log_is_there() {
        let disks = [SimDisk::new(1), SimDisk::new(2)];
        let mut nodes = leader_and_joiner(&disks);
        talk(&mut nodes, &disks, &|_| false);
        assert_eq!(Some(nodes[1].members()), members(&[1], &[2]));
        assert_eq!(nodes[1].image().index, nodes[0].image().index);
        assert!(nodes[0].due_snapshot().is_none(), "one that has come is not sent again");
        // Its directory knows it from now on.
        let again = open(&disks[1], 2, false);
        assert_eq!(Some(again.members()), members(&[1], &[2]));
    }
}
