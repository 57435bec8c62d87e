use super::{Assigning, MemberSpec, Subtopologies, assign};
use crate::group::streams::tasks::{TaskIds, Tasks};
use crate::group::streams::topology::{ConfiguredSubtopology, InternalTopic};
use crate::types::Rng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Groups, and what Kafka 4.3.1 assigns to them: by `tests/conformance/streams-groups/StreamsOracle.java`.
const KAFKA: &str = include_str!("../../../../tests/conformance/expected/streams-tasks.jsonl");

#[derive(Clone, Debug)]
struct Member {
    id: String,
    process: String,
    assigned: Arc<Tasks>,
}

fn subtopologies<'a>(counts: impl IntoIterator<Item = (&'a str, i32, bool)>) -> Subtopologies {
    let of = |(id, tasks, stateful): (&str, i32, bool)| {
        let changelog = stateful.then(|| (Arc::from("changelog"), InternalTopic::default()));
        let state_changelog_topics = changelog.into_iter().collect();
        let of = ConfiguredSubtopology { tasks, state_changelog_topics, ..Default::default() };
        (Arc::from(id), of)
    };
    Arc::new(counts.into_iter().map(of).collect())
}

fn spec(it: &Member) -> MemberSpec<'_> {
    MemberSpec { id: &it.id, process_id: &it.process, assigned: &it.assigned }
}

fn specs(members: &[Member]) -> Vec<MemberSpec<'_>> {
    members.iter().map(spec).collect()
}

/// The same, some steps at a time.
fn assign_in_steps(
    subtopologies: &Subtopologies,
    standbys: usize,
    members: &[Member],
    steps: usize,
) -> Vec<Arc<Tasks>> {
    let mut assigning = Assigning::new(Arc::clone(subtopologies), standbys);
    specs(members).iter().for_each(|it| assigning.add(it));
    while assigning.step(steps) == steps {}
    assigning.finish()
}

fn settle(subtopologies: &Subtopologies, standbys: usize, members: &mut [Member]) {
    let assigned = assign(subtopologies, standbys, &specs(members));
    members.iter_mut().zip(assigned).for_each(|(member, assigned)| member.assigned = assigned);
}

fn each(tasks: &TaskIds) -> impl Iterator<Item = (Arc<str>, i32)> {
    tasks.iter().flat_map(|(id, partitions)| partitions.iter().map(|it| (Arc::clone(id), *it)))
}

/// Where each task is active. Fails where one has two owners.
fn owners(members: &[Member]) -> BTreeMap<(Arc<str>, i32), usize> {
    let mut owners = BTreeMap::new();
    for (number, member) in members.iter().enumerate() {
        for task in each(&member.assigned.active) {
            assert_eq!(owners.insert(task.clone(), number), None, "{task:?} has two owners");
        }
    }
    owners
}

fn counts(members: &[Member]) -> Vec<usize> {
    members.iter().map(|it| each(&it.assigned.active).count()).collect()
}

/// What holds of every assignment.
fn check(subtopologies: &Subtopologies, standbys: usize, members: &[Member]) {
    for tasks in members.iter().flat_map(|it| [&it.assigned.active, &it.assigned.standby]) {
        let sorted = |it: &Vec<i32>| !it.is_empty() && it.is_sorted_by(|a, b| a < b);
        assert!(tasks.values().all(sorted), "{tasks:?}");
    }
    assert!(members.iter().all(|it| it.assigned.warmup.is_empty()));
    let owners = owners(members);
    let all = subtopologies.iter();
    let all = all.flat_map(|(id, of)| (0..of.tasks).map(|it| (Arc::clone(id), it)));
    assert_eq!(owners.keys().cloned().collect::<Vec<_>>(), all.collect::<Vec<_>>());
    let processes: BTreeSet<&str> = members.iter().map(|it| &*it.process).collect();
    let mut holders: BTreeMap<(Arc<str>, i32), BTreeSet<&str>> = BTreeMap::new();
    for member in members {
        for task in each(&member.assigned.active).chain(each(&member.assigned.standby)) {
            let first = holders.entry(task.clone()).or_default().insert(&member.process);
            assert!(first, "{task:?} twice in {}", member.process);
        }
    }
    for (task, holders) in holders {
        let standbys = if subtopologies[&task.0].is_stateful() { standbys } else { 0 };
        assert_eq!(holders.len(), processes.len().min(1 + standbys), "{task:?}");
    }
}

/// No member processes more than its part. Who has less may be as Kafka has it: a process whose members keep very different
/// numbers of tasks counts by their mean.
fn check_loads(members: &[Member], seed: u64) {
    let counts = counts(members);
    let part = counts.iter().sum::<usize>().div_ceil(counts.len());
    assert!(counts.iter().all(|it| *it <= part), "seed {seed}: {counts:?}");
}

/// Within one of each other.
fn is_even(counts: &[usize]) -> bool {
    counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0) <= 1
}

#[test]
fn assigns_what_kafka_assigns() {
    let mut cases = 0;
    for line in KAFKA.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let known = case["subtopologies"].as_object().unwrap().iter();
        let known =
            known.map(|(id, it)| (&**id, it[0].as_i64().unwrap() as i32, it[1].as_bool().unwrap()));
        let subtopologies = subtopologies(known);
        let standbys = case["standbys"].as_u64().unwrap() as usize;
        let mut members: Vec<Member> = case["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| Member {
                id: it["id"].as_str().unwrap().to_owned(),
                process: it["process"].as_str().unwrap().to_owned(),
                assigned: Arc::new(tasks(it)),
            })
            .collect();
        settle(&subtopologies, standbys, &mut members);
        for member in &members {
            assert_eq!(
                *member.assigned,
                tasks(&case["assigned"][&member.id]),
                "{} of {line}",
                member.id
            );
        }
        check(&subtopologies, standbys, &members);
        cases += 1;
    }
    assert!(cases >= 36, "{cases}");
}

fn tasks(of: &Value) -> Tasks {
    let ids = |it: &Value| {
        let of = |(id, partitions): (&String, &Value)| {
            let partitions = partitions.as_array().unwrap().iter();
            (Arc::from(&**id), partitions.map(|it| it.as_i64().unwrap() as i32).collect())
        };
        it.as_object().unwrap().iter().map(of).collect()
    };
    Tasks { active: ids(&of["active"]), standby: ids(&of["standby"]), warmup: TaskIds::new() }
}

/// Members come and go, alone and with their process; subtopologies grow.
fn change(rng: &mut Rng, members: &mut Vec<Member>, known: &mut [(String, i32, bool)]) {
    match rng.index(8) {
        0..=3 => {
            let id = format!("m{:03}", rng.index(200));
            if members.iter().all(|it| it.id != id) {
                let process = format!("p{}", rng.index(6));
                members.push(Member { id, process, assigned: Arc::default() });
                members.sort_by(|a, b| a.id.cmp(&b.id));
            }
        }
        4 => {
            let process = format!("p{}", rng.index(6));
            members.retain(|it| it.process != process);
        }
        5 | 6 if !members.is_empty() => {
            let gone = rng.index(members.len());
            members.remove(gone);
        }
        _ => {
            let (_, count, _) = &mut known[rng.index(3)];
            *count += rng.index(9) as i32;
        }
    }
}

#[test]
fn tasks_have_one_owner_and_standbys_elsewhere() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut known: Vec<(String, i32, bool)> =
            (0..3).map(|it| (it.to_string(), rng.index(9) as i32, rng.chance(60))).collect();
        let (mut members, standbys) = (Vec::new(), rng.index(4));
        for _ in 0..12 {
            change(&mut rng, &mut members, &mut known);
            let all = subtopologies(known.iter().map(|it| (&*it.0, it.1, it.2)));
            let some = assign_in_steps(&all, standbys, &members, 1 + rng.index(7));
            settle(&all, standbys, &mut members);
            let told: Vec<_> = members.iter().map(|it| Arc::clone(&it.assigned)).collect();
            assert_eq!(some, told, "seed {seed}: some steps at a time");
            if !members.is_empty() {
                check(&all, standbys, &members);
                check_loads(&members, seed);
            }
            let (before, even) = (told, is_even(&counts(&members)));
            settle(&all, standbys, &mut members);
            let kept = before.iter().zip(&members).filter(|it| Arc::ptr_eq(it.0, &it.1.assigned));
            if standbys == 0 && even {
                assert_eq!(kept.count(), members.len(), "seed {seed}: what is even stays");
            }
        }
    }
}

/// Who stays gives up nothing when another goes; who comes gets all that is given up.
#[test]
fn no_more_moves_than_have_to() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let all =
            subtopologies([("a", rng.index(40) as i32, true), ("b", rng.index(40) as i32, false)]);
        let mut members: Vec<Member> = (0..2 + rng.index(9))
            .map(|it| Member {
                id: format!("m{it}"),
                process: format!("p{it}"),
                assigned: Arc::default(),
            })
            .collect();
        settle(&all, 1, &mut members);
        let before = owners(&members);
        let ids: Vec<String> = members.iter().map(|it| it.id.clone()).collect();
        let mut fewer = members.clone();
        let gone = rng.index(fewer.len());
        fewer.remove(gone);
        settle(&all, 1, &mut fewer);
        for (task, owner) in owners(&fewer) {
            let (had, has) = (&ids[before[&task]], &fewer[owner].id);
            assert!(
                had == has || *had == ids[gone],
                "seed {seed}: {task:?} of {had} moved to {has}"
            );
        }
        members.push(Member {
            id: "n".to_owned(),
            process: "pn".to_owned(),
            assigned: Arc::default(),
        });
        settle(&all, 1, &mut members);
        for (task, owner) in owners(&members) {
            let (had, has) = (&ids[before[&task]], &members[owner].id);
            assert!(had == has || has == "n", "seed {seed}: {task:?} of {had} moved to {has}");
        }
        assert!(is_even(&counts(&members)), "seed {seed}");
    }
}

/// A process with more members has more tasks.
#[test]
fn processes_are_loaded_by_their_members() {
    let all = subtopologies([("a", 8, false)]);
    let of = |id: &str, process: &str| Member {
        id: id.to_owned(),
        process: process.to_owned(),
        assigned: Arc::default(),
    };
    let mut members = vec![of("m0", "p0"), of("m1", "p0"), of("m2", "p0"), of("m3", "p1")];
    settle(&all, 0, &mut members);
    assert_eq!(counts(&members), [2, 2, 2, 2]);
    settle(&all, 0, &mut []);
    settle(&subtopologies([]), 2, &mut members);
    assert_eq!(counts(&members), [0, 0, 0, 0]);
}

/// A thousand members and ten thousand tasks are assigned in steps, each of which does a bounded part.
#[test]
fn a_large_group_is_assigned_in_steps() {
    let all = subtopologies([("a", 6_000, true), ("b", 4_000, false)]);
    let mut members: Vec<Member> = (0..1_000)
        .map(|it| Member {
            id: format!("m{it:04}"),
            process: format!("p{:03}", it % 250),
            assigned: Arc::default(),
        })
        .collect();
    for _ in 0..2 {
        let mut assigning = Assigning::new(Arc::clone(&all), 1);
        specs(&members).iter().for_each(|it| assigning.add(it));
        let mut turns = 1;
        while assigning.step(1_000) == 1_000 {
            turns += 1;
        }
        assert!((40..200).contains(&turns), "{turns}");
        let assigned = assigning.finish();
        members.iter_mut().zip(assigned).for_each(|(member, assigned)| member.assigned = assigned);
        check(&all, 1, &members);
        assert_eq!(counts(&members).iter().max(), Some(&10));
        members.remove(0);
        members.push(Member {
            id: "n".to_owned(),
            process: "p999".to_owned(),
            assigned: Arc::default(),
        });
    }
}
