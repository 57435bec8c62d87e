//! `sticky` and `cooperative-sticky`.

use super::{GroupMember, PartitionCounts};
use crate::client::consumer::subscription::Partitions;
use crate::wire::{Reader, WireError, Writer};
use std::collections::{BTreeMap, BTreeSet};

type TopicPartition = (String, i32);

/// `StickyAssignorUserData` v1: what the member had, and when.
pub fn encode_previous(owned: &Partitions, generation: i32) -> Result<Vec<u8>, WireError> {
    let mut w = Writer::new();
    w.array_len(Some(owned.len()), false)?;
    for (topic, numbers) in owned {
        w.string(topic, false)?;
        w.array(numbers, false, |w, p| {
            w.i32(*p);
            Ok(())
        })?;
    }
    w.i32(generation);
    Ok(w.into_vec())
}

/// Reads v1 and v0, which has no generation.
fn decode_previous(bytes: &[u8]) -> Option<(Vec<TopicPartition>, i32)> {
    let mut r = Reader::new(bytes);
    let topics =
        r.array(false, 6, |r| Ok((r.string(false)?, r.array(false, 4, Reader::i32)?))).ok()?;
    let generation = r.i32().unwrap_or(-1);
    let owned =
        topics.iter().flat_map(|(t, ps)| ps.iter().map(|p| ((*t).to_owned(), *p))).collect();
    Some((owned, generation))
}

/// What the member says it has, and since which generation.
fn claimed(member: &GroupMember, cooperative: bool) -> (Vec<TopicPartition>, i32) {
    let s = &member.subscription;
    if !cooperative && let Some(previous) = s.user_data.as_deref().and_then(decode_previous) {
        return previous;
    }
    let owned = s.owned.iter().flat_map(|(t, ps)| ps.iter().map(|p| (t.clone(), *p))).collect();
    // Before version 2 of the subscription the generation stood in the assignor's bytes.
    let told = s.user_data.as_deref().and_then(|b| b.first_chunk::<4>()).copied();
    let generation =
        if s.generation < 0 { told.map_or(-1, i32::from_be_bytes) } else { s.generation };
    (owned, generation)
}

/// A balanced assignment near to what the members have. `members` are in Kafka's order.
pub fn assign(
    members: &[&GroupMember],
    counts: &PartitionCounts,
    cooperative: bool,
) -> BTreeMap<String, Partitions> {
    let mut plan = Plan::new(members, counts);
    plan.keep(members, cooperative);
    plan.fill();
    plan.balance();
    plan.result(members)
}

/// Partitions that another member still has do not go to their new one yet: it gets them in the next
/// rebalance, when the old one has let them go (KIP-429).
pub fn withhold_moving(
    members: &[&GroupMember],
    mut balanced: BTreeMap<String, Partitions>,
) -> BTreeMap<String, Partitions> {
    // Of several claims those of the latest generation count, as in `Plan::keep`.
    let mut owners: BTreeMap<(&str, i32), (i32, BTreeSet<&str>)> = BTreeMap::new();
    for member in members {
        let generation = claimed(member, true).1;
        for (topic, numbers) in &member.subscription.owned {
            for number in numbers {
                let claims =
                    owners.entry((topic, *number)).or_insert((generation, BTreeSet::new()));
                if generation > claims.0 {
                    *claims = (generation, BTreeSet::new());
                }
                if generation == claims.0 {
                    claims.1.insert(&member.id);
                }
            }
        }
    }
    for (id, partitions) in &mut balanced {
        for (topic, numbers) in partitions.iter_mut() {
            numbers.retain(|n| {
                let claims = owners.get(&(topic.as_str(), *n));
                claims.is_none_or(|(_, who)| who.iter().all(|owner| owner == id))
            });
        }
        partitions.retain(|_, numbers| !numbers.is_empty());
    }
    balanced
}

/// Members by their place in Kafka's order.
struct Plan {
    /// Who may read each partition, in ascending order.
    readers: BTreeMap<TopicPartition, Vec<usize>>,
    owned: Vec<BTreeSet<TopicPartition>>,
    free: BTreeSet<TopicPartition>,
}

impl Plan {
    fn new(members: &[&GroupMember], counts: &PartitionCounts) -> Self {
        let mut readers = BTreeMap::new();
        for (topic, &count) in counts {
            let who: Vec<usize> = (0..members.len())
                .filter(|i| members[*i].subscription.topics.contains(topic))
                .collect();
            if !who.is_empty() {
                readers.extend((0..count).map(|p| ((topic.clone(), p), who.clone())));
            }
        }
        let free = readers.keys().cloned().collect();
        Self { readers, owned: vec![BTreeSet::new(); members.len()], free }
    }

    /// Everybody keeps what is theirs: of two that claim a partition the one of the later generation,
    /// and none of them if it is the same, since one must be wrong.
    fn keep(&mut self, members: &[&GroupMember], cooperative: bool) {
        let mut claims: BTreeMap<TopicPartition, Vec<(i32, usize)>> = BTreeMap::new();
        for (i, member) in members.iter().enumerate() {
            let (owned, generation) = claimed(member, cooperative);
            for partition in owned {
                if self.readers.get(&partition).is_some_and(|who| who.contains(&i)) {
                    claims.entry(partition).or_default().push((generation, i));
                }
            }
        }
        for (partition, mut who) in claims {
            who.sort_unstable();
            let (generation, member) = who[who.len() - 1];
            let disputed = who.len() > 1 && who[who.len() - 2].0 == generation;
            if !disputed {
                self.free.remove(&partition);
                self.owned[member].insert(partition);
            }
        }
    }

    /// What nobody has goes to whoever has least, those first that few can read.
    fn fill(&mut self) {
        let mut free: Vec<_> = std::mem::take(&mut self.free).into_iter().collect();
        free.sort_by_key(|p| self.readers[p].len());
        for partition in free {
            let least = self.readers[&partition].iter().min_by_key(|i| self.owned[**i].len());
            if let Some(&member) = least {
                self.owned[member].insert(partition);
            }
        }
    }

    /// Moves partitions from those who have two more than another that could read them, until none
    /// is left to move. Every move brings the sum of squares down, so this ends.
    fn balance(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            let mut busiest: Vec<usize> = (0..self.owned.len()).collect();
            busiest.sort_by_key(|i| std::cmp::Reverse(self.owned[*i].len()));
            for from in busiest {
                while let Some((partition, to)) = self.move_from(from) {
                    self.owned[from].remove(&partition);
                    self.owned[to].insert(partition);
                    moved = true;
                }
            }
        }
    }

    fn move_from(&self, from: usize) -> Option<(TopicPartition, usize)> {
        let has = self.owned[from].len();
        // The last ones go: Kafka's constrained assignor keeps the first ones, too.
        let moves = self.owned[from].iter().rev().filter_map(|partition| {
            let to = *self.readers[partition].iter().min_by_key(|i| self.owned[**i].len())?;
            (self.owned[to].len() + 1 < has).then_some((partition, to))
        });
        moves.min_by_key(|(_, to)| self.owned[*to].len()).map(|(p, to)| (p.clone(), to))
    }

    fn result(self, members: &[&GroupMember]) -> BTreeMap<String, Partitions> {
        let mut all = BTreeMap::new();
        for (member, owned) in members.iter().zip(self.owned) {
            let mut partitions = Partitions::new();
            for (topic, number) in owned {
                partitions.entry(topic).or_default().push(number);
            }
            all.insert(member.id.clone(), partitions);
        }
        all
    }
}
