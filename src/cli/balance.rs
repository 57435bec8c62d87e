//! Which brokers are to hold which partitions: plans of moves, without a cluster. Pure.
//!
//! Racks come first, then even numbers of replicas, then even numbers of preferred leaders. No plan moves what need
//! not be moved.

use crate::types::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// A broker that may hold partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Node id.
    pub id: i32,
    /// Rack, where it has one.
    pub rack: Option<String>,
}

/// A partition: topic and number.
pub type Partition = (String, i32);

/// Replicas of partitions, the preferred leader first.
pub type Assignment = BTreeMap<Partition, Vec<i32>>;

/// Places partitions anew: each replica on another rack as long as there are some, and there on the broker that has
/// least. A seed orders those that are equal. Each has as many replicas as there are brokers, at most.
pub fn stripe(nodes: &[Node], count: usize, factor: usize, seed: u64) -> Vec<Vec<i32>> {
    let mut order: Vec<&Node> = nodes.iter().collect();
    let mut rng = Rng::new(seed);
    for at in (1..order.len()).rev() {
        order.swap(at, rng.index(at + 1));
    }
    let mut loads = Loads::default();
    let mut placed = Vec::with_capacity(count);
    for number in 0..count {
        let mut replicas: Vec<i32> = Vec::with_capacity(factor);
        while replicas.len() < factor.min(order.len()) {
            let first = replicas.is_empty();
            let key = |(at, it): &(usize, &&Node)| {
                let leads = if first { loads.leads(it.id) } else { 0 };
                // What is equal takes turns.
                let turn = (at + order.len() - number % order.len()) % order.len();
                (leads, in_rack(nodes, &replicas, it), loads.holds(it.id), turn)
            };
            let free = order.iter().enumerate().filter(|(_, it)| !replicas.contains(&it.id));
            let Some((_, found)) = free.min_by_key(key) else { break };
            replicas.push(found.id);
        }
        loads.add(&replicas);
        placed.push(replicas);
    }
    placed
}

/// How many of the replicas are in the rack of a node.
fn in_rack(nodes: &[Node], replicas: &[i32], node: &Node) -> usize {
    let rack = |id: &i32| nodes.iter().find(|it| it.id == *id).and_then(|it| it.rack.as_ref());
    replicas.iter().filter(|id| **id != node.id && rack(id) == node.rack.as_ref()).count()
}

/// What each broker leads and holds.
#[derive(Debug, Default)]
struct Loads {
    leads: BTreeMap<i32, usize>,
    holds: BTreeMap<i32, usize>,
}

impl Loads {
    fn of(assignment: &Assignment) -> Self {
        let mut loads = Self::default();
        assignment.values().for_each(|replicas| loads.add(replicas));
        loads
    }

    fn leads(&self, id: i32) -> usize {
        self.leads.get(&id).copied().unwrap_or(0)
    }

    fn holds(&self, id: i32) -> usize {
        self.holds.get(&id).copied().unwrap_or(0)
    }

    fn add(&mut self, replicas: &[i32]) {
        for (at, id) in replicas.iter().enumerate() {
            *self.holds.entry(*id).or_default() += 1;
            *self.leads.entry(*id).or_default() += usize::from(at == 0);
        }
    }

    fn take(&mut self, replicas: &[i32]) {
        for (at, id) in replicas.iter().enumerate() {
            *self.holds.entry(*id).or_default() -= 1;
            *self.leads.entry(*id).or_default() -= usize::from(at == 0);
        }
    }
}

/// Why a plan cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The brokers that stay are fewer than a partition's replicas.
    #[error(
        "{topic}-{partition} has {replicas} replicas, and only {brokers} brokers stay: add a \
         broker, or lower its replication factor"
    )]
    TooFew {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Its replicas.
        replicas: usize,
        /// Brokers that stay.
        brokers: usize,
    },
}

/// Moves everything away from brokers: their replicas go to one of `nodes`, which they are not among. What is not
/// moved is not in the plan.
pub fn drain(
    nodes: &[Node],
    current: &Assignment,
    leaving: &BTreeSet<i32>,
) -> Result<Assignment, PlanError> {
    let mut loads = Loads::of(current);
    let mut plan = Assignment::new();
    for (at, replicas) in current {
        if !replicas.iter().any(|id| leaving.contains(id)) {
            continue;
        }
        if replicas.len() > nodes.len() {
            return Err(PlanError::TooFew {
                topic: at.0.clone(),
                partition: at.1,
                replicas: replicas.len(),
                brokers: nodes.len(),
            });
        }
        loads.take(replicas);
        let mut target = replicas.clone();
        for place in 0..target.len() {
            if !leaving.contains(&target[place]) {
                continue;
            }
            let stay: Vec<i32> =
                target.iter().copied().filter(|id| !leaving.contains(id)).collect();
            let key = |it: &&Node| {
                (in_rack(nodes, &stay, it), loads.holds(it.id), loads.leads(it.id), it.id)
            };
            let free = nodes.iter().filter(|it| !target.contains(&it.id));
            if let Some(found) = free.min_by_key(key) {
                target[place] = found.id;
            }
        }
        lead_evenly(&mut target, &loads);
        loads.add(&target);
        plan.insert(at.clone(), target);
    }
    Ok(plan)
}

/// Where the preferred leader is new, whoever of the replicas leads least becomes it.
fn lead_evenly(target: &mut [i32], loads: &Loads) {
    let least = (0..target.len()).min_by_key(|at| (loads.leads(target[*at]), *at));
    if let Some(least) = least.filter(|at| loads.leads(target[*at]) < loads.leads(target[0])) {
        target.swap(0, least);
    }
}

/// Evens out what brokers hold and lead, with few moves: replicas go from who has most to who has least as long as
/// the racks of a partition do not get fewer by it, then preferred leaders change places within their partitions.
pub fn balance(nodes: &[Node], current: &Assignment) -> Assignment {
    let mut wanted = current.clone();
    let mut loads = Loads::of(current);
    for replicas in wanted.values_mut() {
        spread_over_racks(nodes, replicas, &mut loads);
    }
    even_holders(nodes, &mut wanted, &mut loads);
    even_leaders(nodes, &mut wanted, &mut loads);
    wanted.retain(|at, replicas| current.get(at) != Some(replicas));
    wanted
}

/// Replicas that share a rack although another one has none go there.
fn spread_over_racks(nodes: &[Node], replicas: &mut [i32], loads: &mut Loads) {
    loop {
        let all: Vec<i32> = replicas.to_vec();
        let node = |id: i32| nodes.iter().find(|it| it.id == id);
        let crowd = |id: i32| node(id).map_or(0, |it| in_rack(nodes, &all, it));
        // The last of those in a rack with others: the preferred leader stays where that is possible.
        let crowded = all.iter().copied().filter(|id| crowd(*id) > 0);
        let Some(from) = crowded.max_by_key(|id| crowd(*id)) else { return };
        let others: Vec<i32> = all.iter().copied().filter(|id| *id != from).collect();
        let free = nodes.iter().filter(|it| !all.contains(&it.id));
        let key = |it: &&Node| (in_rack(nodes, &others, it), loads.holds(it.id), it.id);
        let Some(to) = free.min_by_key(key) else { return };
        if in_rack(nodes, &others, to) >= crowd(from) {
            return;
        }
        shift(replicas, loads, from, to.id);
    }
}

/// Replicas go from brokers above the mean to others, and to brokers below it from others: so each move is one that
/// must be.
fn even_holders(nodes: &[Node], wanted: &mut Assignment, loads: &mut Loads) {
    let total: usize = nodes.iter().map(|it| loads.holds(it.id)).sum();
    let (low, high) = (total / nodes.len().max(1), total.div_ceil(nodes.len().max(1)));
    loop {
        let mut moved = false;
        for replicas in wanted.values_mut() {
            for place in (0..replicas.len()).rev() {
                let from = replicas[place];
                let has = loads.holds(from);
                let fewer = |it: &&Node| {
                    let holds = loads.holds(it.id);
                    (has > high && holds < high) || (has > low && holds < low)
                };
                let all: &[i32] = replicas;
                let fits = |it: &&Node| fewer(it) && can_move(nodes, all, from, it);
                let found = nodes.iter().filter(fits).min_by_key(|it| (loads.holds(it.id), it.id));
                let Some(to) = found.map(|it| it.id) else { continue };
                shift(replicas, loads, from, to);
                moved = true;
            }
        }
        if !moved {
            return;
        }
    }
}

/// Whether a replica may go to another broker: that has none, and its rack is no worse.
fn can_move(nodes: &[Node], replicas: &[i32], from: i32, to: &Node) -> bool {
    let Some(old) = nodes.iter().find(|it| it.id == from) else { return false };
    let others: Vec<i32> = replicas.iter().copied().filter(|id| *id != from).collect();
    !replicas.contains(&to.id) && in_rack(nodes, &others, to) <= in_rack(nodes, &others, old)
}

fn shift(replicas: &mut [i32], loads: &mut Loads, from: i32, to: i32) {
    loads.take(replicas);
    for id in replicas.iter_mut().filter(|id| **id == from) {
        *id = to;
    }
    loads.add(replicas);
}

/// Preferred leaders change places with other replicas until nobody leads two more than somebody who could instead.
fn even_leaders(nodes: &[Node], wanted: &mut Assignment, loads: &mut Loads) {
    loop {
        let mut moved = false;
        for replicas in wanted.values_mut() {
            let led = |at: &usize| loads.leads(replicas[*at]);
            let may = |at: &usize| nodes.iter().any(|it| it.id == replicas[*at]);
            let Some(least) = (1..replicas.len()).filter(may).min_by_key(led) else { continue };
            if led(&0) > led(&least) + 1 {
                loads.take(replicas);
                replicas.swap(0, least);
                loads.add(replicas);
                moved = true;
            }
        }
        if !moved {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(racks: &[&str]) -> Vec<Node> {
        let rack = |it: &str| (!it.is_empty()).then(|| it.to_owned());
        (1..).zip(racks).map(|(id, it)| Node { id, rack: rack(it) }).collect()
    }

    fn assignment(replicas: &[&[i32]]) -> Assignment {
        (0..).zip(replicas).map(|(at, it)| (("t".to_owned(), at), it.to_vec())).collect()
    }

    fn applied(current: &Assignment, plan: &Assignment) -> Assignment {
        let mut all = current.clone();
        all.extend(plan.clone());
        all
    }

    /// Each replica on a broker of its own, and the racks of each partition as many as can be.
    fn check(nodes: &[Node], assignment: &Assignment) {
        let racks: BTreeSet<_> = nodes.iter().map(|it| &it.rack).collect();
        for (at, replicas) in assignment {
            let ids: BTreeSet<_> = replicas.iter().collect();
            assert_eq!(ids.len(), replicas.len(), "{at:?}: {replicas:?}");
            let rack = |id: &i32| nodes.iter().find(|it| it.id == *id).map(|it| &it.rack);
            let used: BTreeSet<_> = replicas.iter().map(rack).collect();
            assert_eq!(used.len(), racks.len().min(replicas.len()), "{at:?}: {replicas:?}");
        }
    }

    fn spread(of: impl Fn(i32) -> usize, nodes: &[Node]) -> usize {
        let all: Vec<usize> = nodes.iter().map(|it| of(it.id)).collect();
        all.iter().max().unwrap_or(&0) - all.iter().min().unwrap_or(&0)
    }

    #[test]
    fn stripes_are_even_and_over_racks() {
        for racks in [
            &["", "", ""][..],
            &["a", "b", "c"],
            &["a", "a", "b", "b"],
            &["a", "a", "b", "b", "c", "c"],
        ] {
            let nodes = nodes(racks);
            for factor in 1..=3 {
                for seed in 0..5 {
                    let placed = stripe(&nodes, 4 * nodes.len(), factor, seed);
                    let all =
                        (0..).zip(placed).map(|(at, it)| (("t".to_owned(), at), it)).collect();
                    check(&nodes, &all);
                    let loads = Loads::of(&all);
                    assert_eq!(spread(|id| loads.leads(id), &nodes), 0);
                    assert!(
                        spread(|id| loads.holds(id), &nodes) <= 2,
                        "{racks:?} {factor}: {loads:?}"
                    );
                }
            }
        }
        assert_eq!(stripe(&nodes(&[""]), 1, 3, 1), [[1]]);
    }

    #[test]
    fn who_leaves_holds_nothing_and_what_stays_is_not_moved() {
        let all = nodes(&["a", "a", "b", "b"]);
        let placed = stripe(&all, 24, 2, 3);
        let current: Assignment =
            (0..).zip(placed).map(|(at, it)| (("t".to_owned(), at), it)).collect();
        let rest: Vec<Node> = all.iter().filter(|it| it.id != 3).cloned().collect();
        let plan = drain(&rest, &current, &BTreeSet::from([3])).expect("there are enough");
        for (at, replicas) in &plan {
            assert!(current[at].contains(&3) && !replicas.contains(&3), "{at:?}");
            let stay = current[at].iter().filter(|id| **id != 3);
            assert!(stay.clone().all(|id| replicas.contains(id)), "{at:?}: {replicas:?}");
        }
        let after = applied(&current, &plan);
        check(&rest, &after);
        assert!(after.values().all(|it| !it.contains(&3)));
        assert_eq!(plan.len(), current.values().filter(|it| it.contains(&3)).count());
        let loads = Loads::of(&after);
        // The last one of its rack holds all, and leads no more for that.
        assert!(spread(|id| loads.leads(id), &rest) <= 3, "{loads:?}");
    }

    #[test]
    fn nobody_leaves_where_too_few_stay() {
        let current = assignment(&[&[1, 2, 3]]);
        let rest = nodes(&["", ""]);
        let e = drain(&rest, &current, &BTreeSet::from([3])).expect_err("two for three");
        assert!(e.to_string().starts_with("t-0 has 3 replicas, and only 2 brokers stay"), "{e}");
    }

    #[test]
    fn a_broker_that_is_new_gets_its_part() {
        let three = nodes(&["", "", ""]);
        let current: Assignment = (0..)
            .zip(stripe(&three, 30, 2, 1))
            .map(|(at, it)| (("t".to_owned(), at), it))
            .collect();
        let four = nodes(&["", "", "", ""]);
        let plan = balance(&four, &current);
        let after = applied(&current, &plan);
        check(&four, &after);
        let loads = Loads::of(&after);
        assert_eq!(spread(|id| loads.holds(id), &four), 0, "{loads:?}");
        assert!(spread(|id| loads.leads(id), &four) <= 1, "{loads:?}");
        let moved: usize = plan
            .iter()
            .map(|(at, it)| it.iter().filter(|id| !current[at].contains(id)).count())
            .sum();
        assert_eq!(moved, 15, "only what the new one gets is moved");
        assert!(balance(&four, &after).is_empty());
    }

    #[test]
    fn racks_come_before_even_numbers() {
        let nodes = nodes(&["a", "a", "b"]);
        // 1 and 2 share a rack: one of each pair goes to 3, and stays there although 3 has most then.
        let current = assignment(&[&[1, 2], &[2, 1], &[1, 2]]);
        let after = applied(&current, &balance(&nodes, &current));
        check(&nodes, &after);
        assert_eq!(Loads::of(&after).holds(3), 3);
    }

    #[test]
    fn leaders_alone_are_no_reason_to_move_replicas() {
        let nodes = nodes(&["", "", ""]);
        let current = assignment(&[&[1, 2, 3], &[1, 2, 3], &[1, 3, 2]]);
        let plan = balance(&nodes, &current);
        let after = applied(&current, &plan);
        let loads = Loads::of(&after);
        assert!(spread(|id| loads.leads(id), &nodes) <= 1, "{after:?}");
        for (at, replicas) in &plan {
            let ids = |it: &Vec<i32>| it.iter().copied().collect::<BTreeSet<_>>();
            assert_eq!(ids(replicas), ids(&current[at]));
        }
    }
}
