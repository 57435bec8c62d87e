//! A request while it waits for more to read.

use super::calls::{Notice, ShardId};
use super::state::State;
use super::waits::{Hears, Wait};
use std::cell::RefCell;
use std::rc::Rc;

/// Entered with its shard until this goes, however it ends.
pub struct Waiting {
    state: Rc<State>,
    hears: Hears,
    id: u64,
    wait: Rc<Wait>,
    /// Shards that have noted it.
    noted: RefCell<Vec<ShardId>>,
}

impl Waiting {
    /// Begins to wait.
    pub fn begin(state: &Rc<State>, hears: Hears) -> Self {
        let (id, wait) = state.waits.begin(hears);
        Self { state: state.clone(), hears, id, wait, noted: RefCell::default() }
    }

    /// Its name on its shard.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// This shard has noted it.
    pub fn noted(&self, by: ShardId) {
        self.noted.borrow_mut().push(by);
    }

    /// Tells the shards that have noted it that it does not wait for them any more.
    pub fn forget(&self) {
        for owner in self.noted.take() {
            self.state.tell(owner, Notice::Forget(self.id));
        }
    }
}

impl std::ops::Deref for Waiting {
    type Target = Wait;

    fn deref(&self) -> &Wait {
        &self.wait
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.forget();
        self.state.waits.end(self.hears, self.id);
    }
}
