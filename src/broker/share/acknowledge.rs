//! ShareAcknowledge: takes what a member says to the owners of its partitions.

use crate::broker::api::share_acknowledge;
use crate::broker::begun::{Begun, Header};
use crate::broker::state::State;
use crate::types::ErrorCode;
use bytes::Bytes;
use std::rc::Rc;

/// Begins a request of a client.
pub fn begin(state: &Rc<State>, begun: Begun, header: Header, body: Bytes) {
    let state_2 = state.clone();
    state.respond(begun, async move {
        let image = state_2.image();
        let pause = &async || state_2.pause().await;
        let turn = state_2.turn_of(&body).await;
        let plan = share_acknowledge::plan(&body, header.version, &image, pause).await?;
        drop((turn, body));
        state_2.release(begun);
        let key = (plan.group.clone(), plan.member.clone());
        let context = if plan.error.is_err() {
            Err(plan.error)
        } else {
            state_2.share_sessions.borrow_mut().acknowledge(&key, plan.epoch)
        };
        let (error, told, lock_ms) = match context {
            Ok(context) => {
                let told = state_2.share_acknowledge(&key.0, &context.holder, plan.said).await;
                state_2.share_release(&key.0, context.released).await;
                (ErrorCode::NONE, told, state_2.share_config(&key.0).lock_ms)
            }
            Err(error) => (error, Vec::new(), 0),
        };
        let image = state_2.newest_image();
        Ok(share_acknowledge::response(&header, error, lock_ms, &told, &image)?)
    });
}
