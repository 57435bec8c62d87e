//! The ways between shards, each of which keeps the order of its messages.

pub use super::bell::Bell;
use crate::broker::Message;
use crate::wire::peer::Preamble;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Messages of one pair of shards that may be under way; more wait at the sender.
const CHANNEL_DEPTH: usize = 4096;

/// A connection of another broker, for the shard that it means.
pub struct Handed {
    /// The socket.
    pub fd: OwnedFd,
    /// Whose it is.
    pub peer: SocketAddr,
    /// What it said first.
    pub preamble: Preamble,
}

/// What goes from one shard to another.
#[expect(clippy::large_enum_variant, reason = "nearly all are messages")]
pub enum Letter {
    /// What brokers say to each other's shards.
    Message(Message),
    /// A connection.
    Peer(Handed),
}

/// One shard's ends of the channels to and from all others.
pub struct Ends {
    /// By shard; none to itself.
    pub to: Vec<Option<Way>>,
    /// By shard; none from itself.
    pub from: Vec<Option<Inbox>>,
    /// Wakes this shard.
    pub bell: Arc<Bell>,
}

/// Channels between every two of `shards` shards.
pub fn mesh(shards: usize) -> io::Result<Vec<Ends>> {
    let mut ends = Vec::with_capacity(shards);
    for _ in 0..shards {
        let to = (0..shards).map(|_| None).collect();
        let from = (0..shards).map(|_| None).collect();
        ends.push(Ends { to, from, bell: Bell::new()? });
    }
    for a in 0..shards {
        for b in (0..shards).filter(|b| *b != a) {
            let (sender, receiver) = channel();
            let (counts, bell) = (Arc::<Counts>::default(), ends[b].bell.clone());
            let way = Way { sender, bell, counts: counts.clone(), waiting: RefCell::default() };
            ends[a].to[b] = Some(way);
            ends[b].from[a] = Some(Inbox { receiver, counts });
        }
    }
    Ok(ends)
}

/// The way to one other shard.
pub struct Way {
    sender: Sender<Letter>,
    /// Of the other shard.
    bell: Arc<Bell>,
    counts: Arc<Counts>,
    waiting: RefCell<VecDeque<Letter>>,
}

/// Messages sent, and of those how many were taken. Both wrap.
#[derive(Default)]
struct Counts {
    sent: AtomicUsize,
    taken: AtomicUsize,
}

impl Way {
    /// Sends; what does not fit goes later, in order.
    pub fn send(&self, message: Letter) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.is_empty() || !self.has_room() {
            waiting.push_back(message);
            return;
        }
        drop(waiting);
        self.put(message);
    }

    /// Sends what did not fit before. True where some of it still waits.
    pub fn send_waiting(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        while self.has_room() {
            let Some(message) = waiting.pop_front() else { break };
            self.put(message);
        }
        !waiting.is_empty()
    }

    fn has_room(&self) -> bool {
        let Counts { sent, taken } = &*self.counts;
        sent.load(Ordering::Relaxed).wrapping_sub(taken.load(Ordering::Acquire)) < CHANNEL_DEPTH
    }

    fn put(&self, message: Letter) {
        // Before it is sent: more are never taken than were sent.
        self.counts.sent.fetch_add(1, Ordering::Release);
        // An error means that the other shard has ended: nobody waits for an answer.
        if self.sender.send(message).is_ok() {
            self.bell.ring();
        }
    }
}

/// What one other shard has sent.
pub struct Inbox {
    receiver: Receiver<Letter>,
    counts: Arc<Counts>,
}

impl Inbox {
    /// The oldest message, if there is one.
    pub fn take(&self) -> Option<Letter> {
        let message = self.receiver.try_recv().ok()?;
        self.counts.taken.fetch_add(1, Ordering::Release);
        Some(message)
    }

    /// Whether there is one, or will be in a moment.
    pub fn has_some(&self) -> bool {
        self.counts.sent.load(Ordering::Acquire) != self.counts.taken.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::calls::{AppendReply, Reply, Trace};

    fn message(number: u64) -> Letter {
        let reply = AppendReply { results: Vec::new(), trace: Trace::default() };
        Letter::Message(Message::Reply { number, reply: Reply::AppendBatches(reply) })
    }

    fn number(letter: &Letter) -> u64 {
        match letter {
            Letter::Message(Message::Reply { number, .. }) => *number,
            _ => unreachable!("only replies were sent"),
        }
    }

    #[test]
    fn what_does_not_fit_waits_and_keeps_its_place() {
        let mut ends = mesh(2).unwrap();
        let way = ends[0].to[1].take().unwrap();
        let inbox = ends[1].from[0].take().unwrap();
        let all = CHANNEL_DEPTH as u64 + 10;
        (0..all).for_each(|it| way.send(message(it)));
        assert!(way.send_waiting(), "ten of them wait");
        assert_eq!(inbox.take().as_ref().map(number), Some(0));
        // Behind those that wait, although there is room for one.
        way.send(message(all));
        let mut next = 1;
        loop {
            let waits = way.send_waiting();
            while let Some(message) = inbox.take() {
                assert_eq!(number(&message), next);
                next += 1;
            }
            if !waits {
                break;
            }
        }
        assert_eq!(next, all + 1);
    }

    #[test]
    fn nothing_goes_to_a_shard_that_has_ended() {
        let mut ends = mesh(2).unwrap();
        let way = ends[0].to[1].take().unwrap();
        drop(ends.remove(1));
        way.send(message(0));
        assert!(!way.send_waiting());
    }
}
