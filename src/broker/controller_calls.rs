//! What the controller is asked by other nodes, and by its own.

use super::metadata::NotController;
use super::state::State;
use crate::broker::api::table::{Api, Handler};
use crate::wire::api_keys::ApiKey;
use crate::wire::peer::{Call, Member, Outcome};
use bytes::Bytes;
use std::rc::Rc;

impl State {
    /// Carries out what a node asks. The answer is given when what it says has taken effect.
    pub(super) async fn carry_out(self: &Rc<Self>, asker: Member, call: Call) -> Outcome {
        self.try_to_carry_out(asker, call).await.unwrap_or(Outcome::NotController)
    }

    async fn try_to_carry_out(
        self: &Rc<Self>,
        _asker: Member,
        call: Call,
    ) -> Result<Outcome, NotController> {
        self.leading()?;
        match call {
            Call::ChangeMetadata { api, version, body } => {
                let served = Api::find(ApiKey(api)).filter(|it| it.serves(version));
                let Some(Handler::Controller(api)) = served.map(|it| it.handler) else {
                    return Ok(Outcome::MetadataChanged { index: 0, body: None });
                };
                let (index, result) = self.change_here(api, version, &body).await?;
                let body = result.ok().map(|body| Bytes::copy_from_slice(&body));
                Ok(Outcome::MetadataChanged { index, body })
            }
            Call::AutoCreate(names) => {
                let index = self.create_here(&names).await?;
                Ok(Outcome::MetadataChanged { index, body: Some(Bytes::new()) })
            }
            Call::TakeProducerIds => {
                let (first, count) = self.take_ids_here().await?;
                Ok(Outcome::ProducerIds { first, count })
            }
            Call::Register(_) | Call::Heartbeat { .. } | Call::AlterIsr(_) => Err(NotController),
        }
    }
}
