//! What a group needs beside its own log is created on behalf of this shard.

use super::state::State;
use super::wait::oneshot;
use futures_lite::FutureExt;
use std::rc::Rc;

/// A heartbeat waits so long for what is to be created, ms; it is created all the same.
const WAIT_MS: i64 = 1_000;

/// Topics or states of a group are being created.
struct Creating {
    state: Rc<State>,
    group: String,
}

impl Creating {
    /// Begins; `None` where that is under way.
    fn begin(state: &Rc<State>, group: &str) -> Option<Self> {
        let begins = state.creating.borrow_mut().insert(group.to_owned());
        begins.then(|| Self { state: state.clone(), group: group.to_owned() })
    }
}

impl Drop for Creating {
    fn drop(&mut self) {
        self.state.creating.borrow_mut().remove(&self.group);
    }
}

/// Has `work` done for a group: what came of it; `None` where that takes long, or the heartbeat of another member on this shard
/// has it done. Who is not told hears of it with its next heartbeat.
pub async fn create<T: 'static>(
    state: &Rc<State>,
    group: &str,
    work: impl Future<Output = T> + 'static,
) -> Option<T> {
    let creating = Creating::begin(state, group)?;
    let (tx, created) = oneshot();
    state.start(async move {
        let done = work.await;
        drop(creating);
        tx.send(done);
    });
    let late = async {
        state.sleep(WAIT_MS).await;
        None
    };
    created.or(late).await
}
