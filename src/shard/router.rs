//! The ways between shards, each of which keeps the order of its messages.

use crate::broker::Message;
use glommio::channels::shared_channel::{
    ConnectedReceiver, ConnectedSender, SharedReceiver, SharedSender, new_bounded,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Messages of one pair of shards that may be under way; more wait at the sender.
const CHANNEL_DEPTH: usize = 4096;

/// One shard's ends of the channels to and from all others, on their way to its thread.
pub struct Ends {
    /// By shard; none to itself.
    pub to: Vec<Option<SharedSender<Message>>>,
    /// By shard; none from itself.
    pub from: Vec<Option<SharedReceiver<Message>>>,
}

/// Channels between every two of `shards` shards.
pub fn mesh(shards: usize) -> Vec<Ends> {
    let mut ends: Vec<Ends> = (0..shards)
        .map(|_| Ends {
            to: (0..shards).map(|_| None).collect(),
            from: (0..shards).map(|_| None).collect(),
        })
        .collect();
    for a in 0..shards {
        for b in (0..shards).filter(|b| *b != a) {
            let (tx, rx) = new_bounded(CHANNEL_DEPTH);
            ends[a].to[b] = Some(tx);
            ends[b].from[a] = Some(rx);
        }
    }
    ends
}

/// The way to one other shard.
pub struct Way {
    sender: ConnectedSender<Message>,
    waiting: RefCell<VecDeque<Message>>,
    forwarding: Cell<bool>,
}

impl Way {
    /// Sends; what does not fit goes later, in order.
    pub fn send(self: &Rc<Self>, message: Message) {
        if self.forwarding.get() {
            self.waiting.borrow_mut().push_back(message);
            return;
        }
        let Err(error) = self.sender.try_send(message) else { return };
        // A closed channel means that the other shard has ended: nobody waits for an answer.
        let glommio::GlommioError::WouldBlock(glommio::ResourceType::Channel(message)) = error
        else {
            return;
        };
        self.waiting.borrow_mut().push_back(message);
        self.forwarding.set(true);
        let way = self.clone();
        glommio::spawn_local(async move {
            loop {
                let Some(message) = way.waiting.borrow_mut().pop_front() else { break };
                if way.sender.send(message).await.is_err() {
                    break;
                }
            }
            way.forwarding.set(false);
        })
        .detach();
    }
}

/// Connects one shard's ends; returns when all others have connected theirs.
pub async fn connect(
    ends: Ends,
) -> (Vec<Option<Rc<Way>>>, Vec<(usize, ConnectedReceiver<Message>)>) {
    // Each end waits for its peer, so all of them must try at the same time.
    let receivers: Vec<_> = ends
        .from
        .into_iter()
        .enumerate()
        .filter_map(|(shard, rx)| rx.map(|rx| (shard, glommio::spawn_local(rx.connect()))))
        .collect();
    let senders: Vec<_> =
        ends.to.into_iter().map(|tx| tx.map(|tx| glommio::spawn_local(tx.connect()))).collect();
    let mut ways = Vec::new();
    for sender in senders {
        ways.push(match sender {
            Some(task) => Some(Rc::new(Way {
                sender: task.await,
                waiting: RefCell::default(),
                forwarding: Cell::new(false),
            })),
            None => None,
        });
    }
    let mut from = Vec::new();
    for (shard, task) in receivers {
        from.push((shard, task.await));
    }
    (ways, from)
}
