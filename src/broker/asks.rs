//! Questions to controllers of other nodes that were not answered yet.

use super::links::LinkId;
use super::wait::{Receiver, Sender, oneshot};
use crate::wire::peer::Outcome;
use std::collections::HashMap;

/// See the module.
#[derive(Default)]
pub struct Asks {
    next: u64,
    open: HashMap<u64, (LinkId, Sender<Outcome>)>,
}

impl Asks {
    /// A number for a question that goes out on this link, and its answer.
    pub fn begin(&mut self, link: LinkId) -> (u64, Receiver<Outcome>) {
        let (to, answer) = oneshot();
        self.next += 1;
        self.open.insert(self.next, (link, to));
        (self.next, answer)
    }

    /// An answer came. One to a question that went elsewhere, or that nobody waits for, is none.
    pub fn answered(&mut self, link: LinkId, number: u64, outcome: Outcome) {
        if self.open.get(&number).is_some_and(|(asked, _)| *asked == link)
            && let Some((_, to)) = self.open.remove(&number)
        {
            to.send(outcome);
        }
    }

    /// Nobody waits for this answer any more.
    pub fn give_up(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// No more answers come from there.
    pub fn link_ended(&mut self, link: LinkId) {
        self.open.retain(|_, (asked, _)| *asked != link);
    }
}
