use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn member(id: &str, topics: &[&str]) -> GroupMember {
    let topics = topics.iter().map(|t| (*t).to_owned()).collect();
    let subscription = Subscription { topics, ..Subscription::default() };
    GroupMember { id: id.to_owned(), instance_id: None, subscription }
}

fn counts(all: &[(&str, i32)]) -> PartitionCounts {
    all.iter().map(|(t, n)| ((*t).to_owned(), *n)).collect()
}

fn shown(assignment: &BTreeMap<String, Partitions>) -> String {
    let members: Vec<String> = assignment
        .iter()
        .map(|(id, topics)| {
            let topics: Vec<String> = topics.iter().map(|(t, ps)| format!("{t}{ps:?}")).collect();
            format!("{id}:{}", topics.join(" "))
        })
        .collect();
    members.join("; ")
}

/// The assignments are those of `RangeAssignor` and `RoundRobinAssignor` of kafka-clients 4.3.1.
#[test]
fn range_and_round_robin_are_javas() {
    let three = [member("c", &["t", "u"]), member("a", &["t", "u"]), member("b", &["u"])];
    let sizes = counts(&[("t", 5), ("u", 4), ("other", 9)]);
    assert_eq!(
        shown(&Assignor::Range.assign(&three, &sizes)),
        "a:t[0, 1, 2] u[0, 1]; b:u[2]; c:t[3, 4] u[3]"
    );
    assert_eq!(
        shown(&Assignor::RoundRobin.assign(&three, &sizes)),
        "a:t[0, 2, 4] u[2]; b:u[0, 3]; c:t[1, 3] u[1]"
    );
    // Static members are in the order of their instance ids, before the others.
    let mut fixed = three.to_vec();
    fixed[0].instance_id = Some("i".to_owned());
    assert_eq!(
        shown(&Assignor::Range.assign(&fixed, &sizes)),
        "a:t[3, 4] u[2]; b:u[3]; c:t[0, 1, 2] u[0, 1]"
    );
    assert_eq!(
        shown(&Assignor::RoundRobin.assign(&fixed, &sizes)),
        "a:t[1, 3] u[0, 3]; b:u[1]; c:t[0, 2, 4] u[2]"
    );
    // More members than partitions; topics that do not exist.
    let many = [member("a", &["t"]), member("b", &["t"]), member("c", &["t", "gone"])];
    assert_eq!(shown(&Assignor::Range.assign(&many, &counts(&[("t", 2)]))), "a:t[0]; b:t[1]; c:");
}

fn owning(mut member: GroupMember, topic: &str, numbers: &[i32], generation: i32) -> GroupMember {
    member.subscription.owned = Partitions::from([(topic.to_owned(), numbers.to_vec())]);
    member.subscription.generation = generation;
    member
}

/// As `CooperativeStickyAssignor` of kafka-clients 4.3.1.
#[test]
fn sticky_moves_only_what_balance_needs() {
    let a = owning(member("a", &["t"]), "t", &[0, 1, 2], 5);
    let b = owning(member("b", &["t"]), "t", &[3, 4, 5], 5);
    let sizes = counts(&[("t", 6)]);
    let all = [a.clone(), b.clone()];
    let same = Assignor::CooperativeSticky.assign(&all, &sizes);
    assert_eq!(shown(&same), "a:t[0, 1, 2]; b:t[3, 4, 5]");
    // A third member: one partition of each moves, and not in this rebalance.
    let all = [a.clone(), b, member("c", &["t"])];
    let first = Assignor::CooperativeSticky.assign(&all, &sizes);
    assert_eq!(shown(&first), "a:t[0, 1]; b:t[3, 4]; c:");
    let eager = sticky::assign(&all.iter().collect::<Vec<_>>(), &sizes, true);
    assert_eq!(shown(&eager), "a:t[0, 1]; b:t[3, 4]; c:t[2, 5]");
    // One that was away still claims what another has got since.
    let old = owning(member("d", &["t"]), "t", &[0, 1, 2], 4);
    let kept = Assignor::CooperativeSticky.assign(&[a, old], &sizes);
    assert_eq!(shown(&kept), "a:t[0, 1, 2]; d:t[3, 4, 5]");
}

#[test]
fn eager_sticky_reads_what_members_remember() {
    let remembers = |id: &str, numbers: &[i32]| {
        let mut m = member(id, &["t"]);
        let owned = Partitions::from([("t".to_owned(), numbers.to_vec())]);
        m.subscription.user_data = Assignor::Sticky.user_data(&owned, 7).expect("encodes");
        m
    };
    let all = [remembers("a", &[3, 1]), remembers("b", &[0, 2])];
    let given = Assignor::Sticky.assign(&all, &counts(&[("t", 4)]));
    assert_eq!(shown(&given), "a:t[1, 3]; b:t[0, 2]");
}

#[test]
fn names_and_classes() {
    for assignor in Assignor::ALL {
        assert_eq!(Assignor::from_name(assignor.name()), Some(assignor));
    }
    let class = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    assert_eq!(Assignor::from_name(class), Some(Assignor::CooperativeSticky));
    assert_eq!(Assignor::from_name("foo"), None);
}

fn groups() -> impl Strategy<Value = (Vec<GroupMember>, PartitionCounts)> {
    const TOPICS: &[&str] = &["t", "u", "v"];
    let subscriptions =
        proptest::collection::vec(proptest::sample::subsequence(TOPICS, 0..=3), 1..6);
    (subscriptions, proptest::collection::vec(0..9i32, 3)).prop_map(|(subs, sizes)| {
        let members = subs.iter().enumerate().map(|(i, s)| member(&format!("m{i}"), s)).collect();
        let counts = TOPICS.iter().zip(sizes).map(|(t, n)| ((*t).to_owned(), n)).collect();
        (members, counts)
    })
}

proptest! {
    #[test]
    fn every_partition_has_one_reader_that_wants_it((members, counts) in groups(), rounds in 1..4usize) {
        for assignor in Assignor::ALL {
            let mut members = members.clone();
            let mut given = BTreeMap::new();
            // Cooperative: what moves arrives after its owner has let it go.
            for generation in 0..rounds as i32 + 2 {
                given = assignor.assign(&members, &counts);
                let mut seen = BTreeSet::new();
                for m in &mut members {
                    let mine = given.get(&m.id).expect("everybody is in the answer").clone();
                    for (topic, numbers) in &mine {
                        prop_assert!(m.subscription.topics.contains(topic));
                        for n in numbers {
                            prop_assert!(*n < counts[topic]);
                            prop_assert!(seen.insert((topic.clone(), *n)), "two readers");
                        }
                    }
                    m.subscription.user_data = assignor.user_data(&mine, generation).expect("encodes");
                    m.subscription.owned = mine;
                    m.subscription.generation = generation;
                }
            }
            let total: usize = given.values().flat_map(|p| p.values().map(Vec::len)).sum();
            let wanted: i32 = counts
                .iter()
                .filter(|(t, _)| members.iter().any(|m| m.subscription.topics.contains(t)))
                .map(|(_, n)| *n)
                .sum();
            prop_assert_eq!(total as i32, wanted, "{} leaves some out", assignor.name());
        }
    }

    #[test]
    fn sticky_is_balanced_where_all_read_the_same(n in 1..6usize, sizes in proptest::collection::vec(0..9i32, 3)) {
        let members: Vec<_> = (0..n).map(|i| member(&format!("m{i}"), &["t", "u", "v"])).collect();
        let counts = ["t", "u", "v"].iter().zip(sizes).map(|(t, n)| ((*t).to_owned(), n)).collect();
        let given = Assignor::Sticky.assign(&members, &counts);
        let loads: Vec<usize> = given.values().map(|p| p.values().map(Vec::len).sum()).collect();
        let (min, max) = (loads.iter().min().expect("one"), loads.iter().max().expect("one"));
        prop_assert!(max - min <= 1, "{:?}", loads);
    }
}
