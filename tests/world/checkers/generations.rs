//! Group generations only go up, and one generation means one leader and one assignment. A static
//! member is itself under whatever id.

use std::collections::BTreeMap;

#[derive(Default)]
struct Group {
    /// The highest generation whose assignment was given out, which is durable.
    settled: i32,
    /// The highest that anybody joined in this life.
    joined: i32,
    /// Of this life: leader of each generation.
    leaders: BTreeMap<i32, String>,
    /// What each member was assigned, by generation.
    assigned: BTreeMap<(i32, String), Vec<u8>>,
    /// What the leader sent; a leader that is not sure of it sends it again.
    sent: BTreeMap<(i32, String), Vec<Vec<u8>>>,
}

#[derive(Default)]
pub struct Generations(BTreeMap<String, Group>);

/// How far a group was when a request was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupFloor {
    settled: i32,
    joined: i32,
}

/// Who a member is: a static one, by its instance, or an id.
fn identity(member: &str) -> String {
    let end = member.match_indices('-').nth(1).filter(|_| member.starts_with("static-"));
    member[..end.map_or(member.len(), |(at, _)| at)].to_owned()
}

impl Generations {
    pub fn floor(&self, group: &str) -> GroupFloor {
        let it = self.0.get(group);
        it.map(|it| GroupFloor { settled: it.settled, joined: it.joined }).unwrap_or_default()
    }

    /// A member has joined.
    pub fn joined(&mut self, group: &str, generation: i32, leader: &str, floor: GroupFloor) {
        let it = self.0.entry(group.to_owned()).or_default();
        if it.settled == 0 {
            // A group of which nothing is durable may be forgotten when its last member goes, and then
            // it begins anew.
            it.leaders.clear();
            it.assigned.clear();
            it.joined = generation;
            return;
        }
        assert!(
            generation >= floor.settled && generation >= floor.joined,
            "{group}: generation {generation} after {floor:?}"
        );
        it.joined = it.joined.max(generation);
        let leader = identity(leader);
        let known = it.leaders.entry(generation).or_insert_with(|| leader.clone());
        assert_eq!(*known, leader, "{group}: two leaders in generation {generation}");
    }

    /// The leader sends what each member is assigned.
    pub fn assigning(&mut self, group: &str, generation: i32, member: &str, assignment: &[u8]) {
        let it = self.0.entry(group.to_owned()).or_default();
        it.sent.entry((generation, identity(member))).or_default().push(assignment.to_vec());
    }

    /// A member is told what it is assigned.
    pub fn assigned(&mut self, group: &str, generation: i32, member: &str, assignment: &[u8]) {
        let it = self.0.entry(group.to_owned()).or_default();
        it.settled = it.settled.max(generation);
        let key = (generation, identity(member));
        let sent = it.sent.get(&key);
        let was_sent = sent.is_none_or(Vec::is_empty) && assignment.is_empty()
            || sent.is_some_and(|sent| sent.iter().any(|it| it == assignment));
        assert!(was_sent, "{group}: {member} is not told what its leader assigned");
        let known = it.assigned.entry(key).or_insert_with(|| assignment.to_vec());
        assert_eq!(known, assignment, "{group}: {member} is assigned two things");
    }

    pub fn life_ended(&mut self) {
        for it in self.0.values_mut() {
            it.joined = it.settled;
            it.leaders.clear();
        }
    }
}
