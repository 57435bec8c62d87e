//! Asking share coordinators, wherever they are.

use crate::broker::api::find_coordinator::share_partition_of;
use crate::broker::api::share_group_state;
use crate::broker::calls::{AskPeer, AskShareState, AutoCreate};
use crate::broker::state::State;
use crate::share::{Key, Request, Response};
use crate::types::ErrorCode;
use crate::types::topic_name::SHARE_STATE;
use futures_lite::FutureExt;
use std::rc::Rc;

/// A coordinator that moves, or is being loaded, is asked again; the pause doubles from here, ms.
const AGAIN_MS: i64 = 10;
/// The longest pause, ms.
const AGAIN_MS_MAX: i64 = 500;
/// It is waited for so long, ms.
const PATIENCE_MS: i64 = 10_000;

/// Whether another answer may come later.
fn passes(error: ErrorCode, request: &Request) -> bool {
    // Its broker may not have heard of a new topic yet.
    let is_new = matches!(request, Request::Initialize { .. });
    (is_new && error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        || matches!(
            error,
            ErrorCode::COORDINATOR_NOT_AVAILABLE
                | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
                | ErrorCode::NOT_COORDINATOR
                | ErrorCode::NETWORK_EXCEPTION
        )
}

impl State {
    /// Asks the share coordinator of this share-partition, again and again while that may help. What is asked may be carried
    /// out twice.
    pub(in crate::broker) async fn ask_share_coordinator(
        self: &Rc<Self>,
        key: &Key,
        request: &Request,
    ) -> Response {
        let until_ms = self.monotonic_ms() + PATIENCE_MS;
        let mut pause_ms = AGAIN_MS;
        loop {
            let left_ms = until_ms - self.monotonic_ms();
            let over = async {
                self.sleep(left_ms).await;
                Response::Done(ErrorCode::COORDINATOR_NOT_AVAILABLE)
            };
            match self.ask_share_coordinator_once(key, request).or(over).await {
                Response::Done(error)
                    if passes(error, request) && self.monotonic_ms() < until_ms =>
                {
                    self.sleep(pause_ms).await;
                    pause_ms = (pause_ms * 2).min(AGAIN_MS_MAX);
                }
                response => return response,
            }
        }
    }

    async fn ask_share_coordinator_once(self: &Rc<Self>, key: &Key, request: &Request) -> Response {
        let find = || share_partition_of(&key.group, key.topic, key.partition, &self.image());
        let mut found = find();
        if found.is_none() {
            self.call(0, AutoCreate(vec![SHARE_STATE.to_owned()])).await;
            found = find();
        }
        let unavailable = Response::Done(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        let Some(tp) = found else { return unavailable };
        let image = self.image();
        let topic = image.topic_by_id(tp.topic);
        match topic.and_then(|it| it.partition(tp.partition)).map(|it| it.leader) {
            Some(leader) if leader == image.node_id => {
                let call = AskShareState { tp, key: key.clone(), request: request.clone() };
                self.call(tp.shard(self.shards), call).await.unwrap_or(unavailable)
            }
            Some(node) if node >= 0 => {
                let Ok((api, version, body)) = share_group_state::request(key, request) else {
                    return Response::Done(ErrorCode::INVALID_REQUEST);
                };
                let call = AskPeer { node, api, version, body: body.into() };
                let body = self.call(0, call).await.flatten();
                let answered =
                    body.and_then(|body| share_group_state::answered(request, &body).ok()?);
                answered.unwrap_or(Response::Done(ErrorCode::NETWORK_EXCEPTION))
            }
            _ => unavailable,
        }
    }
}
