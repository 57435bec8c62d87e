//! What the controller is asked by other nodes, and by its own.

use super::metadata::NotController;
use super::state::State;
use crate::broker::api::table::{Api, Handler, Owners};
use crate::controller::{
    self, Decision, Heartbeat, Image, IsrChange, IsrRequest, Propose, Registration, feature_levels,
    features,
};
use crate::types::ErrorCode;
use crate::wire::api_keys::ApiKey;
use crate::wire::header::RequestHeader;
use crate::wire::peer::{self, Call, Member, Outcome, Register};
use bytes::Bytes;
use std::rc::Rc;

/// The controller looks for brokers that are silent so often, ms.
const LOOK_MS: i64 = 100;
/// A broker that has come back leads nothing again by itself before this time, or that between two looks where it is
/// shorter, ms.
const SETTLED_MS: i64 = 60_000;
/// It looks so often whether internal topics may have more replicas, ms.
const RAISE_MS: i64 = 1_000;
/// Partitions that preferred leaders take back in one go.
const BALANCED_AT_ONCE: usize = 1_000;

impl State {
    /// Carries out what a node asks. The answer is given when what it says has taken effect.
    pub(super) async fn carry_out(self: &Rc<Self>, asker: Member, call: Call) -> Outcome {
        // A request of a coordinator for the leader of partitions, or the other way round: whoever is asked
        // serves it.
        if let Call::ChangeMetadata { api, version, body } = &call {
            let served = Api::find(ApiKey(*api)).filter(|it| it.serves(*version));
            let served = served.map(|it| it.handler);
            if let Some(Handler::ShareState(of)) = served {
                let body = self.share_states_for_peer(of, ApiKey(*api), *version, body).await;
                return Outcome::MetadataChanged { index: 0, body };
            }
            if let Some(Handler::Owners(Owners::ListOffsets)) = served {
                let (api_key, version) = (ApiKey(*api), *version);
                let header = RequestHeader { api_key, version, correlation_id: 0, client_id: None };
                let answer = self.list_offsets(&header, body).await;
                let body = answer.ok().map(|it| it.into_body(&header));
                return Outcome::MetadataChanged { index: 0, body };
            }
            if matches!(served, Some(Handler::Transactions(_))) {
                let answer = self.transactions_for_peer(ApiKey(*api), *version, body.clone());
                return Outcome::MetadataChanged { index: 0, body: answer.await };
            }
        }
        self.try_to_carry_out(asker, call).await.unwrap_or(Outcome::NotController)
    }

    async fn try_to_carry_out(
        self: &Rc<Self>,
        asker: Member,
        call: Call,
    ) -> Result<Outcome, NotController> {
        self.leading()?;
        let now = self.session_ms();
        self.metadata().sessions.borrow_mut().heard(now, asker.node, asker.incarnation);
        match call {
            Call::Register(it) => self.register(asker, it).await,
            Call::Heartbeat { applied, wants_shutdown, lacks_space } => {
                let heartbeat = Heartbeat {
                    broker: asker.node,
                    incarnation: asker.incarnation,
                    applied,
                    wants_fence: false,
                    wants_shutdown,
                    lacks_space,
                };
                self.heartbeat(heartbeat).await
            }
            Call::AlterIsr(changes) => self.alter_isr(asker, changes).await,
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
        }
    }

    /// The time of sessions, ms.
    fn session_ms(&self) -> u64 {
        u64::try_from(self.monotonic_ms()).unwrap_or(0)
    }

    async fn register(
        self: &Rc<Self>,
        asker: Member,
        it: Register,
    ) -> Result<Outcome, NotController> {
        let metadata = self.metadata();
        let registration = Registration {
            id: asker.node,
            incarnation: asker.incarnation,
            directory: it.directory,
            host: it.kafka.0,
            port: it.kafka.1,
            peer_host: it.peer.0,
            peer_port: it.peer.1,
            rack: it.rack,
            shards: it.shards,
            features: it.features.unwrap_or_else(features::unsaid),
        };
        let pause = &async || self.pause().await;
        let cluster_id = self.image_now().cluster_id.clone();
        let directory = registration.directory;
        let mut before = None;
        let (index, result) = self
            .decide("registered", async |draft| {
                before = draft.broker(registration.id).map(|it| it.directory);
                let may = {
                    let (now, sessions) = (self.session_ms(), metadata.sessions.borrow());
                    sessions.may_register(now, draft, &cluster_id, &registration)
                };
                let may = may.map_err(|it| (it, it.to_string())).and_then(|()| {
                    let supports = feature_levels::check_registration(draft, &registration);
                    supports.map_err(|why| (ErrorCode::UNSUPPORTED_VERSION, why))
                });
                if let Err(refusal) = may {
                    return (Decision::default(), Err(refusal));
                }
                (controller::on_register(draft, &registration, pause).await, Ok(()))
            })
            .await?;
        if let Err((error, message)) = result {
            return Ok(standing(error, Some(message), true, false));
        }
        tracing::info!(broker = asker.node, "a broker has registered");
        let now = self.session_ms();
        metadata.sessions.borrow_mut().registered(now, asker.node, asker.incarnation, index);
        if before.is_some_and(|it| it != 0 && it != directory) {
            // What the process before has said of its log must not count for the new one, however late it comes.
            let (now, incarnation) = (self.monotonic_ms(), asker.incarnation);
            self.links.borrow_mut().end_former(now, asker.node, incarnation);
            self.take_link_events();
            metadata.controller.borrow_mut().forget_answers(asker.node);
            self.forget_learner(asker.node).await;
        }
        self.tend_members();
        Ok(standing(ErrorCode::NONE, None, true, false))
    }

    async fn heartbeat(self: &Rc<Self>, heartbeat: Heartbeat) -> Result<Outcome, NotController> {
        let metadata = self.metadata();
        let (reply, propose) = {
            let draft = self.draft();
            let now = self.session_ms();
            metadata.sessions.borrow_mut().heartbeat(now, &draft, &heartbeat)
        };
        let mut fenced = reply.fenced;
        if let Some(propose) = propose {
            let pause = &async || self.pause().await;
            let broker = heartbeat.broker;
            // When its turn comes, another process of the broker may have registered.
            let holds = |draft: &Image| {
                draft.broker(broker).is_some_and(|it| it.incarnation == heartbeat.incarnation)
            };
            let why = match propose {
                Propose::Unfence => "let_in",
                Propose::Fence => "stopped",
                Propose::ShutDown => "stops",
                Propose::Space { .. } => "space",
            };
            let (index, led) = self
                .decide(why, async |draft| {
                    if !holds(draft) {
                        return (Decision::default(), 0);
                    }
                    let decision = match propose {
                        Propose::Unfence => controller::on_unfence(draft, broker, pause).await,
                        Propose::Fence => controller::on_fence(draft, broker, pause).await,
                        Propose::ShutDown => controller::on_shutdown(draft, broker, pause).await,
                        Propose::Space { lacks } => {
                            controller::on_space(draft, broker, lacks, pause).await
                        }
                    };
                    let led = decision.led;
                    (decision, led)
                })
                .await?;
            let what = match propose {
                Propose::Unfence => {
                    fenced = false;
                    metadata.sessions.borrow_mut().let_in(self.session_ms(), broker);
                    "a broker is let in"
                }
                Propose::Fence => {
                    fenced = true;
                    "a broker that stops is fenced"
                }
                Propose::ShutDown => {
                    metadata.sessions.borrow_mut().shutdown_begun(broker, index);
                    "a broker hands over what it leads"
                }
                Propose::Space { lacks: true } => {
                    "a broker has no space: others lead what they can"
                }
                Propose::Space { lacks: false } => "a broker has space again",
            };
            tracing::info!(broker, led, "{what}");
        }
        Ok(standing(reply.error, None, fenced, reply.may_shut_down))
    }

    async fn alter_isr(
        self: &Rc<Self>,
        asker: Member,
        changes: Vec<peer::IsrChange>,
    ) -> Result<Outcome, NotController> {
        let partition = |it: peer::IsrChange| IsrChange {
            topic: it.tp.topic,
            partition: it.tp.partition,
            leader_epoch: it.leader_epoch,
            partition_epoch: it.partition_epoch,
            isr: it.isr.iter().map(|it| (it.node, it.incarnation)).collect(),
        };
        let partitions = changes.into_iter().map(partition).collect();
        let request = IsrRequest { broker: asker.node, incarnation: asker.incarnation, partitions };
        let pause = &async || self.pause().await;
        let decided = self
            .decide("isr", async |draft| controller::alter_isr(draft, &request, pause).await)
            .await?;
        let errors = decided.1.into_iter().map(|it| it.err().unwrap_or(ErrorCode::NONE));
        Ok(Outcome::IsrAltered(errors.collect()))
    }

    // ---- What the controller does of itself ----

    /// Fences brokers that are silent, and finishes what a controller before has left half done, for ever.
    pub(super) async fn run_controller(self: Rc<Self>) {
        let Some(metadata) = self.metadata.as_ref().filter(|_| self.node.peer.is_some()) else {
            return;
        };
        let (mut led, mut balanced_ms, mut raised_ms) = (None, 0, 0);
        loop {
            metadata.changed.until(|| metadata.leads.get().is_some()).await;
            if self.is_alone() {
                // Nobody was heard, and nobody is missed.
                self.has_company().await;
                led = None;
            }
            let term = metadata.leads.get();
            if led != term {
                led = term;
                balanced_ms = self.monotonic_ms();
                self.begin_sessions();
                let pause = &async || self.pause().await;
                let finished = self
                    .decide("left_over", async |draft| {
                        (controller::on_lead(draft, pause).await, ())
                    })
                    .await;
                if finished.is_err() {
                    led = None;
                }
                self.fence_the_gone().await;
                self.clone().forget_topics().await;
            }
            // Leadership that is lost meanwhile is noticed at the next turn of the loop.
            let _ = self.look_after_brokers(&mut balanced_ms).await;
            if self.monotonic_ms() - raised_ms >= RAISE_MS {
                raised_ms = self.monotonic_ms();
                let _ = self.raise_internal_topics().await;
            }
            self.sleep(LOOK_MS).await;
        }
    }

    /// Each broker has a session from now on; of who led before it has begun.
    fn begin_sessions(&self) {
        let (metadata, now) = (self.metadata(), self.session_ms());
        let draft = self.draft();
        let mut sessions = metadata.sessions.borrow_mut();
        sessions.lead(now, &draft);
        if let Some((node, heard_ms)) = metadata.led_before.take() {
            sessions.led_before(now, node, u64::try_from(heard_ms).unwrap_or(0));
        }
    }

    /// Fences brokers that this node knows to be gone since before it led.
    async fn fence_the_gone(self: &Rc<Self>) {
        let draft = self.draft();
        let gone: Vec<i32> = {
            let links = self.links.borrow();
            let unfenced = draft.brokers().filter(|it| !it.fenced);
            unfenced.map(|it| it.id).filter(|id| links.is_refused_by(*id)).collect()
        };
        for node in gone {
            let _ = self.fence(node, "nobody listens where it listened").await;
        }
    }

    async fn look_after_brokers(
        self: &Rc<Self>,
        balanced_ms: &mut i64,
    ) -> Result<(), NotController> {
        let metadata = self.metadata();
        let draft = self.draft();
        let silent = metadata.sessions.borrow().expired(self.session_ms(), &draft);
        for broker in silent {
            // It may have been heard while others were fenced.
            let now = self.session_ms();
            if metadata.sessions.borrow().expired(now, &draft).contains(&broker) {
                self.fence(broker, "it was not heard for broker.session.timeout.ms").await?;
            }
        }
        self.tend_members();
        let every =
            self.image_now().broker_configs.number("leader.imbalance.check.interval.seconds");
        let every = every.unwrap_or(300).saturating_mul(1_000);
        let wanted = self.image_now().broker_configs.is_on("auto.leader.rebalance.enable");
        if wanted && self.monotonic_ms() - *balanced_ms >= every {
            *balanced_ms = self.monotonic_ms();
            let pause = &async || self.pause().await;
            let settled_ms = u64::try_from(every.min(SETTLED_MS)).unwrap_or(0);
            let unsettled = metadata.sessions.borrow().unsettled(self.session_ms(), settled_ms);
            let most = BALANCED_AT_ONCE;
            let (_, moved) = self
                .decide("preferred", async |draft| {
                    let decision = controller::imbalanced(draft, &unsettled, most, pause).await;
                    let led = decision.led;
                    (decision, led)
                })
                .await?;
            if moved > 0 {
                tracing::info!(partitions = moved, "preferred leaders lead again");
            }
        }
        Ok(())
    }

    /// Fences a broker: it leads nothing, and is in sync for nothing that somebody else is in sync for.
    pub(super) async fn fence(
        self: &Rc<Self>,
        broker: i32,
        why: &'static str,
    ) -> Result<(), NotController> {
        let pause = &async || self.pause().await;
        let process = |image: &Image| image.broker(broker).map(|it| it.incarnation);
        let meant = process(self.metadata().controller.borrow().draft());
        let (_, (led, leaderless, unclean)) = self
            .decide("fenced", async |draft| {
                // When its turn comes, another process of the broker may have registered.
                if process(draft) != meant {
                    return (Decision::default(), (0, 0, 0));
                }
                let it = controller::on_fence(draft, broker, pause).await;
                let counts = (it.led, it.leaderless, it.unclean);
                (it, counts)
            })
            .await?;
        self.metadata().figures.borrow_mut().fenced += 1;
        tracing::warn!(broker, led, leaderless, unclean, "a broker is fenced: {why}");
        Ok(())
    }
}

fn standing(
    error: ErrorCode,
    message: Option<String>,
    fenced: bool,
    may_shut_down: bool,
) -> Outcome {
    Outcome::Standing { error, message, fenced, may_shut_down }
}
