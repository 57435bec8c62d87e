//! Group generations only go up, and one generation means one leader and one assignment.

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
    /// What the leader sent.
    sent: BTreeMap<(i32, String), Vec<u8>>,
}

#[derive(Default)]
pub struct Generations(BTreeMap<String, Group>);

/// How far a group was when a request was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupFloor {
    settled: i32,
    joined: i32,
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
        let known = it.leaders.entry(generation).or_insert_with(|| leader.to_owned());
        assert_eq!(known, leader, "{group}: two leaders in generation {generation}");
    }

    /// The leader sends what each member is assigned.
    pub fn assigning(&mut self, group: &str, generation: i32, member: &str, assignment: &[u8]) {
        let it = self.0.entry(group.to_owned()).or_default();
        it.sent.insert((generation, member.to_owned()), assignment.to_vec());
    }

    /// A member is told what it is assigned.
    pub fn assigned(&mut self, group: &str, generation: i32, member: &str, assignment: &[u8]) {
        let it = self.0.entry(group.to_owned()).or_default();
        it.settled = it.settled.max(generation);
        let key = (generation, member.to_owned());
        let sent = it.sent.get(&key).map_or(&[][..], Vec::as_slice);
        assert_eq!(assignment, sent, "{group}: {member} is not told what its leader assigned");
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
