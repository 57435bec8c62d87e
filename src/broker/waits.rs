//! Requests that wait for more to read, and who would hear their answers.

use super::calls::ShardId;
use super::connection::ConnectionId;
use super::wait::Flag;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Who hears the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hears {
    /// The client of this connection.
    Connection(ConnectionId),
    /// Another shard, which calls it by this number.
    Call(ShardId, u64),
}

/// One request that waits.
#[derive(Default)]
pub struct Wait {
    /// There is more to read.
    pub more: Flag,
    /// Nobody hears the answer any more, or the broker drains.
    pub over: Flag,
}

/// All of one shard. A connection has one at most: a request behind it does not begin before it is
/// answered.
#[derive(Default)]
pub struct Waits {
    by_id: RefCell<HashMap<u64, Rc<Wait>>>,
    by_hearer: RefCell<HashMap<Hears, u64>>,
    next: Cell<u64>,
}

impl Waits {
    /// A number for a request that waits, and what it waits on.
    pub fn begin(&self, hears: Hears) -> (u64, Rc<Wait>) {
        let id = self.next.get();
        self.next.set(id + 1);
        let wait = Rc::new(Wait::default());
        self.by_id.borrow_mut().insert(id, wait.clone());
        self.by_hearer.borrow_mut().insert(hears, id);
        (id, wait)
    }

    /// Requests that wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.by_id.borrow().len()
    }

    /// The request does not wait any more.
    pub fn end(&self, hears: Hears, id: u64) {
        self.by_id.borrow_mut().remove(&id);
        self.by_hearer.borrow_mut().remove(&hears);
    }

    /// There is as much as this request waits for.
    pub fn advanced(&self, id: u64) {
        let wait = self.by_id.borrow().get(&id).cloned();
        if let Some(wait) = wait {
            wait.more.raise();
        }
    }

    /// A connection has ended.
    pub fn closed(&self, connection: ConnectionId) {
        self.over(Hears::Connection(connection));
    }

    /// Another shard does not wait for the answer to its call any more.
    pub fn hung_up(&self, shard: ShardId, number: u64) {
        self.over(Hears::Call(shard, number));
    }

    fn over(&self, hears: Hears) {
        let id = self.by_hearer.borrow().get(&hears).copied();
        let wait = id.and_then(|id| self.by_id.borrow().get(&id).cloned());
        if let Some(wait) = wait {
            wait.over.raise();
        }
    }

    /// All of them are to be answered with what there is.
    pub fn end_all(&self) {
        let mut all: Vec<(u64, Rc<Wait>)> =
            self.by_id.borrow().iter().map(|(id, wait)| (*id, wait.clone())).collect();
        // In the order in which they began: a map's own order differs from run to run.
        all.sort_unstable_by_key(|(id, _)| *id);
        for (_, wait) in all {
            wait.over.raise();
        }
    }
}
