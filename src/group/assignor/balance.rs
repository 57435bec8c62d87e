//! How `uniform` gets from an assignment to one that subscriptions allow no better.
//!
//! A partition may go from its owner to any subscriber of its topic, that one may give another of its own away, and so
//! on. An assignment is as even as can be (in the sense that the sum of the squares of what members hold is least, so that
//! the most loaded hold least as well) exactly where no such chain leads from a member to another that holds
//! two or more partitions fewer (Harvey, Ladner, Lovász, Tamir: "Semi-matchings for bipartite graphs and load balancing",
//! 2006). Members of one class can give each other whatever they hold, so a class is kept even within itself, and
//! chains are looked for between classes, shortest first: each link is a partition that moves.
//!
//! A search that begins at the most loaded class and finds nothing has seen classes from which no chain will
//! ever lead anywhere: they are closed, and left out from then on.

use super::holdings::Holdings;
use super::subscriptions::Subscriptions;
use std::collections::{BTreeSet, VecDeque};

/// How far it is.
#[derive(Debug, Default)]
pub struct Balance {
    /// Classes that were made even within themselves.
    evened: u32,
    /// Classes that are not closed, by what their most loaded member holds.
    open: BTreeSet<(u32, u32)>,
    /// By class: whether it is closed.
    closed: Vec<bool>,
    /// By topic and by class: the last search that came there.
    topics_seen: Vec<u32>,
    classes_seen: Vec<u32>,
    /// By class: from where the search came, and by a partition of which topic.
    parents: Vec<(u32, u32)>,
    searches: u32,
    search: Option<Search>,
}

/// A search for a chain.
#[derive(Debug)]
struct Search {
    /// Where it begins: what the most loaded member there holds, and the class.
    start: (u32, u32),
    /// Classes that were reached; the first is looked at.
    queue: VecDeque<u32>,
    /// The last topic of which it was asked.
    topic: Option<u32>,
    /// How many of that topic's classes were reached.
    reached: usize,
    /// All that were reached.
    seen: Vec<u32>,
}

impl Balance {
    /// Goes on. `false` where there was not enough room.
    pub fn step(
        &mut self,
        subscriptions: &Subscriptions,
        holdings: &mut Holdings,
        room: &mut usize,
    ) -> bool {
        let classes = subscriptions.classes.len();
        while (self.evened as usize) < classes {
            if *room == 0 {
                return false;
            }
            *room -= 1;
            if !holdings.even_out(self.evened) {
                self.open.insert((holdings.most(self.evened), self.evened));
                self.evened += 1;
            }
        }
        if classes < 2 {
            return true;
        }
        self.closed.resize(classes, false);
        self.classes_seen.resize(classes, 0);
        self.parents.resize(classes, (0, 0));
        self.topics_seen.resize(subscriptions.topics.len(), 0);
        loop {
            if *room == 0 {
                return false;
            }
            let search = self.search.take().or_else(|| self.begin());
            let Some(mut search) = search else { return true };
            match self.look(&mut search, subscriptions, holdings, room) {
                Look::Paused => self.search = Some(search),
                Look::Found(end) => self.follow(search.start, end, holdings, room),
                Look::Nothing => {
                    for class in search.seen {
                        *room = room.saturating_sub(1);
                        self.closed[class as usize] = true;
                        self.open.remove(&(holdings.most(class), class));
                    }
                }
            }
        }
    }

    /// Begins a search at the most loaded class.
    fn begin(&mut self) -> Option<Search> {
        let start = *self.open.last().filter(|it| it.0 >= 2)?;
        self.searches += 1;
        self.classes_seen[start.1 as usize] = self.searches;
        let queue = VecDeque::from([start.1]);
        Some(Search { start, queue, topic: None, reached: 0, seen: vec![start.1] })
    }

    fn look(
        &mut self,
        search: &mut Search,
        subscriptions: &Subscriptions,
        holdings: &Holdings,
        room: &mut usize,
    ) -> Look {
        while let Some(&class) = search.queue.front() {
            if let Some(topic) = search.topic {
                let others = &subscriptions.topics[topic as usize].classes;
                while let Some(&other) = others.get(search.reached) {
                    if *room == 0 {
                        return Look::Paused;
                    }
                    *room -= 1;
                    search.reached += 1;
                    let at = other as usize;
                    if self.closed[at] || self.classes_seen[at] == self.searches {
                        continue;
                    }
                    self.classes_seen[at] = self.searches;
                    self.parents[at] = (class, topic);
                    if holdings.least(other).saturating_add(2) <= search.start.0 {
                        return Look::Found(other);
                    }
                    search.seen.push(other);
                    search.queue.push_back(other);
                }
            }
            if *room == 0 {
                return Look::Paused;
            }
            *room -= 1;
            search.topic = holdings.next_topic(class, search.topic);
            search.reached = 0;
            match search.topic {
                None => {
                    search.queue.pop_front();
                }
                Some(topic) if self.topics_seen[topic as usize] == self.searches => {
                    search.reached = usize::MAX;
                }
                Some(topic) => self.topics_seen[topic as usize] = self.searches,
            }
        }
        Look::Nothing
    }

    /// Moves a partition along each link, the last first: so each class has what it is to give.
    fn follow(&mut self, start: (u32, u32), end: u32, holdings: &mut Holdings, room: &mut usize) {
        let mut to = end;
        self.open.remove(&(holdings.most(end), end));
        while to != start.1 {
            let (from, topic) = self.parents[to as usize];
            self.open.remove(&(holdings.most(from), from));
            holdings.hand_over(topic, from, to);
            *room = room.saturating_sub(8);
            to = from;
        }
        to = end;
        loop {
            while holdings.even_out(to) {
                *room = room.saturating_sub(4);
            }
            self.open.insert((holdings.most(to), to));
            if to == start.1 {
                break;
            }
            to = self.parents[to as usize].0;
        }
    }
}

/// What a search came to.
enum Look {
    Paused,
    Found(u32),
    Nothing,
}
