use super::{Assigning, Assignment, Assignor, MemberSpec, Topics, assign};
use crate::types::{Rng, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Partitions by topic.
type Known = BTreeMap<TopicId, i32>;

impl Topics for Known {
    fn partitions(&self, topic: TopicId) -> Option<i32> {
        self.get(&topic).copied()
    }
}

#[derive(Clone, Debug)]
struct Member {
    id: String,
    instance_id: Option<String>,
    topics: Arc<BTreeSet<TopicId>>,
    assigned: Arc<Assignment>,
}

fn topic(number: u8) -> TopicId {
    TopicId([number; 16])
}

fn known(partitions: &[i32]) -> Known {
    partitions.iter().enumerate().map(|(i, count)| (topic(i as u8), *count)).collect()
}

fn member(id: &str, topics: &[u8]) -> Member {
    Member {
        id: id.to_owned(),
        instance_id: None,
        topics: Arc::new(topics.iter().map(|it| topic(*it)).collect()),
        assigned: Arc::default(),
    }
}

fn specs(members: &[Member]) -> Vec<MemberSpec<'_>> {
    members.iter().map(spec).collect()
}

fn spec(member: &Member) -> MemberSpec<'_> {
    let Member { id, instance_id, topics, assigned } = member;
    MemberSpec { id, instance_id: instance_id.as_deref(), topics, assigned }
}

/// Assigns, and has each member keep what it got.
fn settle(assignor: Assignor, members: &mut [Member], topics: &Known) {
    let assigned = assign(assignor, &specs(members), topics);
    for (member, assigned) in members.iter_mut().zip(assigned) {
        member.assigned = assigned;
    }
}

/// Partitions by member, as `topic:partition`.
fn shown(members: &[Member]) -> Vec<String> {
    let show = |it: &Member| {
        let slots = it.assigned.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(|partition| format!("{}:{partition}", topic.0[0]))
        });
        slots.collect::<Vec<_>>().join(" ")
    };
    members.iter().map(show).collect()
}

fn loads(members: &[Member]) -> Vec<usize> {
    members.iter().map(|it| it.assigned.values().map(Vec::len).sum()).collect()
}

/// The owner of each partition. Fails where one has two, or one that does not want it.
fn owners(members: &[Member]) -> BTreeMap<(TopicId, i32), usize> {
    let mut owners = BTreeMap::new();
    for (number, member) in members.iter().enumerate() {
        for (topic, partitions) in &*member.assigned {
            assert!(!partitions.is_empty(), "a topic without partitions");
            assert!(partitions.is_sorted_by(|a, b| a < b), "{partitions:?}");
            assert!(member.topics.contains(topic), "{} does not want it", member.id);
            for partition in partitions {
                let before = owners.insert((*topic, *partition), number);
                assert_eq!(before, None, "{topic} {partition} has two owners");
            }
        }
    }
    owners
}

/// Each partition that somebody wants has one owner, and no others have any.
fn check_complete(members: &[Member], topics: &Known) {
    let owned: BTreeSet<(TopicId, i32)> = owners(members).into_keys().collect();
    let wanted = topics
        .iter()
        .filter(|(topic, _)| members.iter().any(|it| it.topics.contains(topic)))
        .flat_map(|(topic, count)| (0..*count).map(|partition| (*topic, partition)))
        .collect();
    assert_eq!(owned, wanted);
}

/// No chain of members, each of which could have a partition of the one before, leads from a member to one
/// that holds two fewer.
fn check_even(members: &[Member]) {
    let loads = loads(members);
    let mut subscribers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
    for (number, member) in members.iter().enumerate() {
        for topic in &*member.topics {
            subscribers.entry(*topic).or_default().push(number);
        }
    }
    let least = loads.iter().min().copied().unwrap_or_default();
    for (start, load) in loads.iter().enumerate().filter(|it| *it.1 >= least + 2) {
        let (mut reached, mut topics) = (vec![false; members.len()], BTreeSet::new());
        reached[start] = true;
        let mut queue = vec![start];
        while let Some(at) = queue.pop() {
            for topic in members[at].assigned.keys().filter(|it| topics.insert(**it)) {
                for &other in &subscribers[topic] {
                    if !std::mem::replace(&mut reached[other], true) {
                        assert!(loads[other] + 2 > *load, "{loads:?}: {start} to {other}");
                        queue.push(other);
                    }
                }
            }
        }
    }
}

/// How many partitions of which the owner before is there and wants them still have another owner now.
fn moved(before: &[Member], after: &[Member], topics: &Known) -> usize {
    let now = owners(after);
    let mut moved = 0;
    for member in before {
        let Some(number) = after.iter().position(|it| it.id == member.id) else { continue };
        for (topic, partitions) in &*member.assigned {
            let exists = topics.get(topic).copied().unwrap_or_default();
            let wanted = after[number].topics.contains(topic);
            let kept = partitions.iter().filter(|it| wanted && **it < exists);
            moved += kept.filter(|it| now[&(*topic, **it)] != number).count();
        }
    }
    moved
}

/// How many must move at least for members to be within one of each other, all of whom want everything.
fn moves_needed(members: &[Member], topics: &Known) -> usize {
    let total: usize = topics.values().map(|it| *it as usize).sum();
    let (each, mut more) = (total / members.len(), total % members.len());
    let mut kept: Vec<usize> = members
        .iter()
        .map(|it| {
            let kept = it.assigned.iter().filter(|(topic, _)| topics.contains_key(topic));
            kept.map(|(topic, has)| has.iter().filter(|it| **it < topics[topic]).count()).sum()
        })
        .collect();
    kept.sort_unstable();
    let mut needed = 0;
    for load in kept.into_iter().rev() {
        let quota = each + usize::from(more > 0);
        more = more.saturating_sub(1);
        needed += load.saturating_sub(quota);
    }
    needed
}

/// Topics come, go and grow, and so do members and what they want.
fn change(rng: &mut Rng, members: &mut Vec<Member>, topics: &mut Known, mixed: bool) {
    let all = 6;
    for _ in 0..=rng.index(2) {
        match rng.index(6) {
            0 | 1 => {
                let id = format!("m{}", rng.index(1_000));
                if members.iter().all(|it| it.id != id) {
                    let mut new = member(&id, &[]);
                    new.topics = Arc::new((0..all).map(topic).collect());
                    if rng.chance(30) {
                        new.instance_id = Some(format!("i{id}"));
                    }
                    members.push(new);
                }
            }
            2 if members.len() > 1 => {
                members.swap_remove(rng.index(members.len()));
            }
            3 => {
                topics.remove(&topic(rng.index(all as usize) as u8));
            }
            4 => {
                let count = topics.entry(topic(rng.index(all as usize) as u8)).or_default();
                *count += rng.index(9) as i32;
            }
            _ if mixed => {
                let at = rng.index(members.len());
                let wanted: Vec<TopicId> = (0..all).filter(|_| rng.chance(45)).map(topic).collect();
                members[at].topics = Arc::new(wanted.into_iter().collect());
            }
            _ => {}
        }
    }
    members.sort_by(|a, b| a.id.cmp(&b.id));
}

#[test]
fn one_who_wants_everything_gets_it() {
    for assignor in Assignor::ALL {
        let topics = known(&[3, 1, 0]);
        let mut members = [member("a", &[0, 1, 2, 9])];
        settle(assignor, &mut members, &topics);
        assert_eq!(shown(&members), ["0:0 0:1 0:2 1:0"]);
        settle(assignor, &mut [], &topics);
        let mut nothing = [member("a", &[]), member("b", &[7])];
        settle(assignor, &mut nothing, &topics);
        assert_eq!(shown(&nothing), ["", ""]);
    }
}

#[test]
fn names_are_kafkas() {
    assert_eq!(Assignor::default().name(), "uniform");
    for it in Assignor::ALL {
        assert_eq!(Assignor::by_name(it.name()), Some(it));
    }
    assert_eq!(Assignor::by_name("Range"), None);
    let class = "org.apache.kafka.coordinator.group.assignor.RangeAssignor";
    assert_eq!(Assignor::by_config(class), Some(Assignor::Range));
    assert_eq!(Assignor::by_config("uniform"), Some(Assignor::Uniform));
    assert_eq!(Assignor::by_config("org.example.Mine"), None);
}

#[test]
fn uniform_moves_only_what_a_new_member_is_to_get() {
    let topics = known(&[4, 5]);
    let mut members = vec![member("a", &[0, 1]), member("b", &[0, 1])];
    settle(Assignor::Uniform, &mut members, &topics);
    assert_eq!(loads(&members), [5, 4]);
    let before = members.clone();
    members.push(member("c", &[0, 1]));
    settle(Assignor::Uniform, &mut members, &topics);
    assert_eq!(loads(&members), [3, 3, 3]);
    assert_eq!(moved(&before, &members, &topics), 3);
    let before = members.clone();
    members.remove(0);
    settle(Assignor::Uniform, &mut members, &topics);
    assert_eq!(moved(&before, &members, &topics), 0, "what the others have stays");
    check_complete(&members, &topics);
}

/// Where one can only give to a second, and that one to a third, both move.
#[test]
fn uniform_finds_chains() {
    let topics = known(&[6, 2]);
    let mut members = vec![member("a", &[0]), member("b", &[0, 1]), member("c", &[1])];
    let has = |it: &[(u8, &[i32])]| -> Arc<Assignment> {
        Arc::new(it.iter().map(|(number, has)| (topic(*number), has.to_vec())).collect())
    };
    members[0].assigned = has(&[(0, &[0, 1, 2, 3])]);
    members[1].assigned = has(&[(0, &[4, 5]), (1, &[0, 1])]);
    settle(Assignor::Uniform, &mut members, &topics);
    assert_eq!(loads(&members), [3, 3, 2]);
    check_complete(&members, &topics);
    check_even(&members);
}

/// What a target names that is not there is given to nobody: too large a number, a negative one, one twice,
/// one that somebody else has.
#[test]
fn uniform_survives_targets_that_make_no_sense() {
    let topics = known(&[4]);
    let mut members = vec![member("a", &[0]), member("b", &[0])];
    members[0].assigned = Arc::new([(topic(0), vec![-1, 0, 0, 4, i32::MAX])].into());
    members[1].assigned = Arc::new([(topic(0), vec![0, 1]), (topic(3), vec![1])].into());
    settle(Assignor::Uniform, &mut members, &topics);
    assert_eq!(loads(&members), [2, 2]);
    check_complete(&members, &topics);
    assert!(members[0].assigned[&topic(0)].contains(&0), "the first who has it keeps it");
}

#[test]
fn range_gives_the_same_numbers_of_each_topic() {
    let topics = known(&[5, 5]);
    let mut members = vec![member("a", &[0, 1]), member("b", &[0, 1]), member("c", &[0, 1])];
    settle(Assignor::Range, &mut members, &topics);
    assert_eq!(
        shown(&members),
        ["0:0 0:1 1:0 1:1", "0:2 0:3 1:2 1:3", "0:4 1:4"],
        "ranges, the first two a partition more"
    );
}

#[test]
fn range_orders_static_members_by_instance_and_before_others() {
    let topics = known(&[3]);
    let mut members = vec![member("a", &[0]), member("b", &[0]), member("c", &[0])];
    members[1].instance_id = Some("z".to_owned());
    members[2].instance_id = Some("y".to_owned());
    settle(Assignor::Range, &mut members, &topics);
    assert_eq!(shown(&members), ["0:2", "0:1", "0:0"]);
}

#[test]
fn range_counts_subscribers_of_each_topic() {
    let topics = known(&[3, 2, 1]);
    let mut members = vec![member("a", &[0, 2]), member("b", &[0, 1]), member("c", &[1, 2])];
    settle(Assignor::Range, &mut members, &topics);
    assert_eq!(shown(&members), ["0:0 0:1 2:0", "0:2 1:0", "1:1"]);
}

/// The same in pieces of any size as in one go, and again for who holds it already.
#[test]
fn pieces_do_not_change_the_result() {
    let mut rng = Rng::new(7);
    for round in 0..300 {
        let (mut topics, mut members) = (known(&[4, 7, 1, 3]), vec![member("a", &[0, 1])]);
        let assignor = Assignor::ALL[round % 2];
        for _ in 0..4 {
            change(&mut rng, &mut members, &mut topics, round % 3 > 0);
            let mut pieces = Assigning::new(assignor);
            specs(&members).iter().for_each(|it| pieces.add(it));
            let steps = 1 + rng.index(20);
            let mut most = 0;
            while pieces.step(&topics, steps) == steps {
                most += 1;
                assert!(most < 100_000, "comes to an end");
            }
            let in_pieces = pieces.finish();
            settle(assignor, &mut members, &topics);
            for (member, other) in members.iter().zip(in_pieces) {
                assert_eq!(member.assigned, other);
            }
            let again = assign(assignor, &specs(&members), &topics);
            for (member, other) in members.iter().zip(again) {
                assert!(Arc::ptr_eq(&member.assigned, &other), "nothing changes");
            }
        }
    }
}

#[test]
fn every_history_is_complete_even_and_sticky() {
    let mut rng = Rng::new(1);
    for round in 0..600 {
        let mixed = round % 2 == 1;
        let (mut topics, mut members) =
            (known(&[4, 7, 1, 3]), vec![member("a", &[0, 1, 2, 3, 4, 5])]);
        for _ in 0..12 {
            change(&mut rng, &mut members, &mut topics, mixed);
            let before = members.clone();
            let needed = moves_needed(&members, &topics);
            settle(Assignor::Uniform, &mut members, &topics);
            check_complete(&members, &topics);
            check_even(&members);
            if !mixed {
                assert_eq!(moved(&before, &members, &topics), needed, "no more than needed");
            }
            let mut ranged = members.clone();
            settle(Assignor::Range, &mut ranged, &topics);
            check_complete(&ranged, &topics);
        }
    }
}

/// All ways to assign, of which none is better: the sum of squares is least, and of those that are as even,
/// not far more moves than the best.
#[test]
fn no_assignment_is_more_even_than_uniforms() {
    let mut rng = Rng::new(3);
    let (mut surplus, mut total) = (0, 0);
    for _ in 0..400 {
        let counts: Vec<i32> = (0..3).map(|_| rng.index(4) as i32).collect();
        let topics = known(&counts);
        let mut members: Vec<Member> = (0..=1 + rng.index(3))
            .map(|it| {
                let wanted: Vec<u8> = (0..3).filter(|_| rng.chance(60)).collect();
                member(&format!("m{it}"), &wanted)
            })
            .collect();
        let slots: Vec<(TopicId, i32)> =
            topics.iter().flat_map(|(id, count)| (0..*count).map(|it| (*id, it))).collect();
        for slot in &slots {
            let owner = rng.index(members.len());
            if members[owner].topics.contains(&slot.0) && rng.chance(70) {
                let assigned = Arc::make_mut(&mut members[owner].assigned);
                assigned.entry(slot.0).or_default().push(slot.1);
            }
        }
        let before = members.clone();
        settle(Assignor::Uniform, &mut members, &topics);
        check_complete(&members, &topics);
        let squares: usize = loads(&members).iter().map(|it| it * it).sum();
        let moves = moved(&before, &members, &topics);
        let had: BTreeMap<_, _> = owners(&before);
        let (best, fewest) = exhaust(&before, &slots, &had);
        assert_eq!(squares, best, "{before:?}");
        surplus += moves - fewest;
        total += fewest;
    }
    // Fewest moves of all is a matching of least cost: chains are the shortest there are, one by one.
    assert!(surplus * 20 <= total, "{surplus} moves more than {total}");
}

/// The least sum of squares, and the fewest moves to get there.
fn exhaust(
    members: &[Member],
    slots: &[(TopicId, i32)],
    had: &BTreeMap<(TopicId, i32), usize>,
) -> (usize, usize) {
    fn go(
        members: &[Member],
        slots: &[(TopicId, i32)],
        had: &BTreeMap<(TopicId, i32), usize>,
        loads: &mut [usize],
        moves: usize,
        best: &mut (usize, usize),
    ) {
        let Some((slot, rest)) = slots.split_first() else {
            let squares = loads.iter().map(|it| it * it).sum();
            *best = (*best).min((squares, moves));
            return;
        };
        let mut nobody = true;
        for (owner, member) in members.iter().enumerate() {
            if member.topics.contains(&slot.0) {
                nobody = false;
                loads[owner] += 1;
                let moved = had.get(slot).is_some_and(|it| *it != owner);
                go(members, rest, had, loads, moves + usize::from(moved), best);
                loads[owner] -= 1;
            }
        }
        if nobody {
            go(members, rest, had, loads, moves, best);
        }
    }
    let mut best = (usize::MAX, usize::MAX);
    go(members, slots, had, &mut vec![0; members.len()], 0, &mut best);
    best
}

/// Steps until the end, in pieces as a shard has them, and what each member gets.
fn steps(assignor: Assignor, members: &mut [Member], topics: &Known) -> usize {
    const PIECE: usize = 256;
    let mut assigning = Assigning::new(assignor);
    specs(members).iter().for_each(|it| assigning.add(it));
    let mut total = 0;
    loop {
        let taken = assigning.step(topics, PIECE);
        total += taken;
        if taken < PIECE {
            break;
        }
    }
    for (member, assigned) in members.iter_mut().zip(assigning.finish()) {
        member.assigned = assigned;
    }
    total
}

/// A large group: a few steps for each partition, also where all subscriptions differ.
#[test]
fn work_grows_with_the_partitions() {
    let topics = known(&[100; 100]);
    let all: Arc<BTreeSet<TopicId>> = Arc::new(topics.keys().copied().collect());
    for assignor in Assignor::ALL {
        let mut members: Vec<Member> = (0..1_000)
            .map(|it| Member { topics: all.clone(), ..member(&format!("m{it:04}"), &[]) })
            .collect();
        let first = steps(assignor, &mut members, &topics);
        check_complete(&members, &topics);
        let before = members.clone();
        members.push(Member { topics: all.clone(), ..member("n", &[]) });
        let second = steps(assignor, &mut members, &topics);
        check_complete(&members, &topics);
        // Range looks at each topic for each member.
        let most = if assignor == Assignor::Range { 150_000 } else { 40_000 };
        assert!(first < most && second < most, "{assignor:?}: {first}, {second}");
        if assignor == Assignor::Uniform {
            assert_eq!(moved(&before, &members, &topics), 9, "what the new one gets");
        }
    }
    let mut rng = Rng::new(5);
    let mut members: Vec<Member> = (0..500)
        .map(|it| {
            let wanted: Vec<u8> = (0..10).map(|_| rng.index(100) as u8).collect();
            member(&format!("m{it:03}"), &wanted)
        })
        .collect();
    let first = steps(Assignor::Uniform, &mut members, &topics);
    check_complete(&members, &topics);
    check_even(&members);
    members.swap_remove(rng.index(500));
    let second = steps(Assignor::Uniform, &mut members, &topics);
    check_even(&members);
    assert!(first < 400_000 && second < 400_000, "{first}, {second}");
}
