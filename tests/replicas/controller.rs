//! The controller: one that never fails, and whose decisions arrive late.

use klamm::replica::IsrChange;
use klamm::types::{ErrorCode, Rng};

/// What it has decided, as every broker hears of it some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// -1: nobody leads.
    pub leader: i32,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    pub isr: Vec<i32>,
}

pub struct Controller {
    /// All images, the newest last.
    pub images: Vec<Image>,
    /// By node: the incarnation that is registered, and whether it is fenced.
    registered: Vec<(i64, bool)>,
    next_incarnation: i64,
}

impl Controller {
    pub fn new(nodes: &[i32]) -> Self {
        let image = Image { leader: -1, leader_epoch: 0, partition_epoch: 0, isr: nodes.to_vec() };
        let registered = vec![(-1, true); nodes.len()];
        Self { images: vec![image], registered, next_incarnation: 0 }
    }

    pub fn image(&self) -> &Image {
        self.images.last().expect("there is one from the start")
    }

    fn commit(&mut self, change: impl FnOnce(&mut Image)) {
        let mut image = self.image().clone();
        change(&mut image);
        image.partition_epoch += 1;
        self.images.push(image);
    }

    fn is_live(&self, node: i32) -> bool {
        !self.registered[node as usize - 1].1
    }

    /// A broker starts: its incarnation, and the number of the first image that it is to hear of. One
    /// whose disk is new has nothing of what it had.
    pub fn register(&mut self, node: i32, is_wiped: bool, rng: &mut Rng) -> (i64, usize) {
        self.next_incarnation += 1;
        let incarnation = self.next_incarnation;
        self.registered[node as usize - 1] = (incarnation, false);
        let isr = if is_wiped { self.isr_without(node) } else { self.image().isr.clone() };
        // What it led before it leads in another epoch.
        if self.image().leader == node || self.image().leader == -1 {
            self.elect(isr, rng);
        } else {
            self.shrink_to(isr);
        }
        (incarnation, self.images.len() - 1)
    }

    /// A broker was not heard for long.
    pub fn fence(&mut self, node: i32, rng: &mut Rng) {
        self.registered[node as usize - 1].1 = true;
        let isr = self.isr_without(node);
        if self.image().leader == node {
            self.elect(isr, rng);
        } else {
            self.shrink_to(isr);
        }
    }

    /// It is heard again.
    pub fn unfence(&mut self, node: i32, rng: &mut Rng) {
        self.registered[node as usize - 1].1 = false;
        if self.image().leader == -1 {
            self.move_leader(rng);
        }
    }

    /// The ISR when that node leaves it; the last member stays.
    fn isr_without(&self, node: i32) -> Vec<i32> {
        let isr = &self.image().isr;
        let left: Vec<i32> = isr.iter().copied().filter(|it| *it != node).collect();
        if left.is_empty() { isr.clone() } else { left }
    }

    fn shrink_to(&mut self, isr: Vec<i32>) {
        if isr != self.image().isr {
            self.commit(|image| image.isr = isr);
        }
    }

    fn elect(&mut self, isr: Vec<i32>, rng: &mut Rng) {
        let live: Vec<i32> = isr.iter().copied().filter(|node| self.is_live(*node)).collect();
        let leader = if live.is_empty() { -1 } else { live[rng.index(live.len())] };
        self.commit(|image| {
            image.leader = leader;
            image.isr = isr;
            image.leader_epoch += 1;
        });
    }

    /// Another leader, of those in sync.
    pub fn move_leader(&mut self, rng: &mut Rng) {
        self.elect(self.image().isr.clone(), rng);
    }

    /// A leader proposes an ISR.
    pub fn propose(&mut self, leader: i32, change: &IsrChange) -> ErrorCode {
        let image = self.image();
        if image.leader != leader || image.leader_epoch != change.leader_epoch {
            return ErrorCode::FENCED_LEADER_EPOCH;
        }
        if image.partition_epoch != change.partition_epoch {
            return ErrorCode::INVALID_UPDATE_VERSION;
        }
        let ineligible = |(node, incarnation): &(i32, i64)| {
            let (registered, fenced) = self.registered[*node as usize - 1];
            let known = *incarnation == -1 && image.isr.contains(node);
            let joins = !image.isr.contains(node);
            !known && *incarnation != registered || fenced && joins
        };
        if change.isr.iter().any(ineligible) {
            return ErrorCode::INELIGIBLE_REPLICA;
        }
        let isr = change.isr.iter().map(|it| it.0).collect();
        self.commit(|image| image.isr = isr);
        ErrorCode::NONE
    }

    /// Whether that node, wiped now, leaves another one in sync that is not wiped.
    pub fn may_wipe(&self, node: i32, intact: impl Fn(i32) -> bool) -> bool {
        let isr = &self.image().isr;
        !isr.contains(&node) || isr.iter().any(|it| *it != node && intact(*it))
    }
}
