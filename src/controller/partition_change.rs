//! What becomes of one partition: the rules that ISR, eligible leaders, reassignment and election follow, as
//! Kafka's `PartitionChangeBuilder` has them (KIP-966, KIP-455).

use super::image::{Image, Topic};
use super::partition::Partition;
use super::record::PartitionChange;
use std::sync::Arc;

/// A change, and what it means.
pub(super) struct Change {
    pub fields: PartitionChange,
    /// The leader before.
    pub led_by: i32,
    /// The new leader was not in sync.
    pub unclean: bool,
}

/// Who is to lead where several can.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Who leads goes on.
    Keep,
    /// The preferred leader takes over.
    Preferred,
}

/// Builds the change of one partition. `image` says who is alive.
pub(super) struct Builder<'a> {
    image: &'a Image,
    partition: &'a Partition,
    min_isr: usize,
    rule: Rule,
    unclean: bool,
    /// Its log is gone, and with it what it was in sync for.
    lost: Option<i32>,
    /// The leader has said who is in sync.
    by_leader: bool,
    /// What was told in this leader epoch is not to count any more, whoever leads in the next one.
    renews: bool,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    adding: Vec<i32>,
    removing: Vec<i32>,
}

impl<'a> Builder<'a> {
    pub fn new(image: &'a Image, topic: &Topic, partition: &'a Partition) -> Self {
        Self {
            image,
            partition,
            min_isr: usize::try_from(topic.config.min_insync_replicas).unwrap_or(1),
            rule: Rule::Keep,
            unclean: topic.config.unclean_leader_election,
            lost: None,
            by_leader: false,
            renews: false,
            replicas: partition.replicas.to_vec(),
            isr: partition.isr.to_vec(),
            adding: partition.adding.to_vec(),
            removing: partition.removing.to_vec(),
        }
    }

    /// This broker is not in sync any more.
    pub fn leave(mut self, broker: i32) -> Self {
        self.isr.retain(|it| *it != broker);
        self
    }

    /// Nor is this one, if enough are left, and one of them can lead.
    pub fn leave_to_others(self, broker: i32) -> Self {
        let others = || self.isr.iter().filter(|it| **it != broker);
        let may = self.is_enough(others().count()) && others().any(|it| self.image.can_lead(*it));
        if may { self.leave(broker) } else { self }
    }

    /// Nor are those that are fenced or not registered.
    pub fn leave_fenced(mut self) -> Self {
        self.isr.retain(|it| self.image.is_unfenced(*it));
        self
    }

    /// This broker has lost its log.
    pub fn lose(mut self, broker: i32) -> Self {
        self.lost = Some(broker);
        self.leave(broker)
    }

    /// This broker's log is damaged: it is neither in sync nor eligible. It may begin anew, so the leader must not go on
    /// with what it was told of that log: the leader's epoch rises, also where the leader stays.
    pub fn give_up(self, broker: i32) -> Self {
        self.lose(broker).renew()
    }

    /// The leader's epoch rises.
    fn renew(mut self) -> Self {
        self.renews = true;
        self
    }

    /// These are in sync, as the leader says. Also where they were before, the partition's epoch rises: then the leader
    /// knows that nothing it has proposed earlier can take effect any more.
    pub fn set_isr(mut self, isr: Vec<i32>) -> Self {
        (self.isr, self.by_leader) = (isr, true);
        self
    }

    /// Replicas as a reassignment wants them. Those that are no replicas any more are not in sync either.
    pub fn reassign(mut self, replicas: Vec<i32>, adding: Vec<i32>, removing: Vec<i32>) -> Self {
        self.isr.retain(|it| replicas.contains(it));
        (self.replicas, self.adding, self.removing) = (replicas, adding, removing);
        self
    }

    /// The preferred leader is to lead, if it is in sync.
    pub fn prefer(mut self) -> Self {
        self.rule = Rule::Preferred;
        self
    }

    /// Where nobody has everything, anybody may lead.
    pub fn unclean(mut self) -> Self {
        self.unclean = true;
        self
    }

    /// The change; `None` where there is none.
    pub fn build(mut self) -> Option<Change> {
        self.complete_reassignment();
        let mut elr = self.eligible();
        let (leader, unclean) = self.elect(&elr);
        if leader != -1 && !self.isr.contains(&leader) {
            if unclean {
                // Whatever the others have may be more than the new leader, or other than it.
                self.isr.clear();
                elr.clear();
            }
            self.isr.push(leader);
            elr.retain(|it| *it != leader);
        }
        if self.is_enough(self.isr.len()) {
            elr.clear();
        }
        self.sort();
        let before = self.partition;
        let change = |now: Vec<i32>, before: &[i32]| (*now != *before).then(|| Arc::from(now));
        // A replica that goes must not go on with what it was told in this epoch.
        let someone_goes = before.replicas.iter().any(|it| !self.replicas.contains(it));
        let fields = PartitionChange {
            leader: (leader != before.leader || someone_goes || self.renews).then_some(leader),
            isr: if self.by_leader {
                Some(Arc::from(self.isr))
            } else {
                change(self.isr, &before.isr)
            },
            elr: change(elr, &before.elr),
            replicas: change(self.replicas, &before.replicas),
            adding: change(self.adding, &before.adding),
            removing: change(self.removing, &before.removing),
            unclean,
        };
        let led_by = before.leader;
        (fields != PartitionChange::default()).then_some(Change { fields, led_by, unclean })
    }

    /// In the order of the replicas.
    fn sort(&mut self) {
        let place = |it: &i32| self.replicas.iter().position(|other| other == it);
        self.isr.sort_by_key(place);
    }

    /// Whether so many in sync are as many as are asked for.
    fn is_enough(&self, count: usize) -> bool {
        count >= self.min_isr.min(self.replicas.len())
    }

    /// Ends a reassignment when all that it adds are in sync, and somebody who stays is. It does not take a partition
    /// below `min.insync.replicas` that is not below it already.
    fn complete_reassignment(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let stays = |it: &i32| !self.removing.contains(it);
        let isr: Vec<i32> = self.isr.iter().copied().filter(stays).collect();
        let replicas: Vec<i32> = self.replicas.iter().copied().filter(stays).collect();
        let enough = isr.len() >= self.min_isr.min(replicas.len());
        let added = self.adding.iter().all(|it| isr.contains(it));
        if added && !isr.is_empty() && (enough || !self.is_enough(self.isr.len())) {
            (self.replicas, self.isr) = (replicas, isr);
            self.adding.clear();
            self.removing.clear();
        }
    }

    /// Who may lead besides those in sync: whoever was in sync or eligible before, as long as fewer than
    /// `min.insync.replicas` are in sync.
    fn eligible(&self) -> Vec<i32> {
        if self.is_enough(self.isr.len()) {
            return Vec::new();
        }
        let before = |it: &&i32| self.partition.isr.contains(it) || self.partition.elr.contains(it);
        let now = |it: &&i32| !self.isr.contains(it) && self.lost != Some(**it);
        self.replicas.iter().filter(before).filter(now).copied().collect()
    }

    /// The leader, and whether it may lack records. One whose disk has no space leads where nobody else is in sync: it refuses
    /// what comes, and is read. Where it is no leader yet, an eligible one with space is better.
    fn elect(&self, elr: &[i32]) -> (i32, bool) {
        let (is_alive, can_lead) =
            (|it: i32| self.image.is_alive(it), |it: i32| self.image.can_lead(it));
        let in_sync = |it: i32| self.isr.contains(&it) && can_lead(it);
        let eligible = |it: i32| elr.contains(&it) && can_lead(it);
        let preferred = self.replicas.first().copied().filter(|it| in_sync(*it));
        let current = Some(self.partition.leader).filter(|it| in_sync(*it));
        let first = match self.rule {
            Rule::Preferred => preferred.or(current),
            Rule::Keep => current,
        };
        let any = |may: &dyn Fn(i32) -> bool| self.replicas.iter().copied().find(|it| may(*it));
        let full = |among: &[i32], it: i32| among.contains(&it) && is_alive(it);
        let found = first
            .or_else(|| any(&in_sync))
            .or_else(|| Some(self.partition.leader).filter(|it| full(&self.isr, *it)))
            .or_else(|| any(&eligible))
            .or_else(|| any(&|it| full(&self.isr, it)))
            .or_else(|| any(&|it| full(elr, it)));
        if let Some(leader) = found {
            return (leader, false);
        }
        // One that shuts down leads until it is gone, where nobody else can.
        let stays = |it: &i32| self.isr.contains(it) && self.image.is_unfenced(*it);
        if let Some(leader) = Some(self.partition.leader).filter(stays) {
            return (leader, false);
        }
        match any(&can_lead).or_else(|| any(&is_alive)).filter(|_| self.unclean) {
            Some(leader) => (leader, true),
            None => (-1, false),
        }
    }
}
