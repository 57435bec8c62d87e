//! What a group needs beside its own log is created on behalf of this shard.

use super::state::State;
use std::rc::Rc;

/// Topics or states of a group are being created. One member's heartbeat has that done; the others hear of it with their next
/// ones.
pub struct Creating {
    state: Rc<State>,
    group: String,
}

impl Creating {
    /// Begins; `None` where that is under way.
    pub fn begin(state: &Rc<State>, group: &str) -> Option<Self> {
        let begins = state.creating.borrow_mut().insert(group.to_owned());
        begins.then(|| Self { state: state.clone(), group: group.to_owned() })
    }

    /// The shard.
    pub fn state(&self) -> &Rc<State> {
        &self.state
    }

    /// The group's id.
    pub fn group(&self) -> &str {
        &self.group
    }
}

impl Drop for Creating {
    fn drop(&mut self) {
        self.state.creating.borrow_mut().remove(&self.group);
    }
}
