//! Which brokers were heard when, and what their heartbeats are answered.
//!
//! Of the controller that leads; a new one begins with [`lead`](Sessions::lead). Time is monotonic, in ms, and decides
//! who is fenced and when, never what is safe.

use super::broker::Registration;
use super::image::Image;
use crate::types::ErrorCode;
use std::collections::BTreeMap;

/// A broker says that it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// Its node id.
    pub broker: i32,
    /// Its process.
    pub incarnation: u64,
    /// How far it has applied the metadata.
    pub applied: u64,
    /// It wants to be fenced, because it cannot serve.
    pub wants_fence: bool,
    /// It wants to stop.
    pub wants_shutdown: bool,
}

/// What it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// Kafka's code; with an error the rest says nothing.
    pub error: ErrorCode,
    /// It has applied the metadata as far as was asked of it.
    pub caught_up: bool,
    /// It is fenced.
    pub fenced: bool,
    /// It leads nothing any more, everybody knows, and it may end.
    pub may_shut_down: bool,
}

/// What is to be decided on a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propose {
    /// [`on_unfence`](super::on_unfence).
    Unfence,
    /// [`on_fence`](super::on_fence).
    Fence,
    /// [`on_shutdown`](super::on_shutdown); then [`Sessions::shutdown_begun`].
    ShutDown,
}

#[derive(Debug)]
struct Session {
    incarnation: u64,
    heard_ms: u64,
    applied: u64,
    /// It may be unfenced when it has applied the metadata this far: its own registration.
    unfence_at: u64,
    /// It may end when all have applied the metadata this far: then they know that others lead.
    end_at: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub struct Sessions {
    timeout_ms: u64,
    brokers: BTreeMap<i32, Session>,
}

impl Sessions {
    /// Nobody was heard. A broker that is silent for `timeout_ms` is [expired](Self::expired).
    pub fn new(timeout_ms: u64) -> Self {
        Self { timeout_ms, brokers: BTreeMap::new() }
    }

    /// This controller begins to lead, with everything up to `image`: each broker has a whole session from now on,
    /// also one that this controller has never heard, and never will (KAFKA-18138).
    pub fn lead(&mut self, now_ms: u64, image: &Image) {
        let begin = |broker: &std::sync::Arc<super::broker::Broker>| {
            let session = Session {
                incarnation: broker.incarnation,
                heard_ms: now_ms,
                applied: 0,
                unfence_at: image.index,
                end_at: broker.shutting_down.then_some(image.index),
            };
            (broker.id, session)
        };
        self.brokers = image.brokers().map(begin).collect();
    }

    /// Whether a process may register: then it is decided with [`on_register`](super::on_register), and
    /// [`registered`](Self::registered) told.
    pub fn may_register(
        &self,
        now_ms: u64,
        image: &Image,
        cluster_id: &str,
        it: &Registration,
    ) -> Result<(), ErrorCode> {
        if *cluster_id != *image.cluster_id {
            return Err(ErrorCode::INCONSISTENT_CLUSTER_ID);
        }
        let Some(before) = image.broker(it.id) else { return Ok(()) };
        // Two processes cannot have one directory open: the one of before is gone.
        let same_directory = it.directory != 0 && before.directory == it.directory;
        if before.incarnation == it.incarnation || same_directory {
            return Ok(());
        }
        let lives = self.brokers.get(&it.id).is_some_and(|session| self.ends(session) > now_ms);
        if lives && !before.fenced {
            return Err(ErrorCode::DUPLICATE_BROKER_REGISTRATION);
        }
        Ok(())
    }

    /// A registration was proposed; it takes effect with this entry of the log.
    pub fn registered(&mut self, now_ms: u64, broker: i32, incarnation: u64, index: u64) {
        if self.brokers.get(&broker).is_some_and(|it| it.incarnation == incarnation) {
            return self.heard(now_ms, broker, incarnation);
        }
        let session =
            Session { incarnation, heard_ms: now_ms, applied: 0, unfence_at: index, end_at: None };
        self.brokers.insert(broker, session);
    }

    /// What a broker's shutdown changes was proposed; it has taken effect with this entry of the log.
    pub fn shutdown_begun(&mut self, broker: i32, index: u64) {
        if let Some(session) = self.brokers.get_mut(&broker) {
            session.end_at = Some(index);
        }
    }

    /// A broker will not come back.
    pub fn unregistered(&mut self, broker: i32) {
        self.brokers.remove(&broker);
    }

    /// This process of a broker is there: whatever it says shows that.
    pub fn heard(&mut self, now_ms: u64, broker: i32, incarnation: u64) {
        if let Some(session) = self.brokers.get_mut(&broker)
            && session.incarnation == incarnation
        {
            session.heard_ms = session.heard_ms.max(now_ms);
        }
    }

    fn ends(&self, session: &Session) -> u64 {
        session.heard_ms.saturating_add(self.timeout_ms)
    }

    /// Brokers that are to be fenced, because they were silent for too long: those that `image` does not have as fenced
    /// already. Each is given until it is fenced.
    pub fn expired(&self, now_ms: u64, image: &Image) -> Vec<i32> {
        let silent = self.brokers.iter().filter(|(_, it)| self.ends(it) <= now_ms);
        silent.map(|(id, _)| *id).filter(|id| image.is_unfenced(*id)).collect()
    }

    /// When the next session of a broker ends that is not fenced.
    pub fn next_deadline(&self, image: &Image) -> Option<u64> {
        let unfenced = self.brokers.iter().filter(|(id, _)| image.is_unfenced(**id));
        unfenced.map(|(_, it)| self.ends(it)).min()
    }

    /// A broker says that it is there. `image` has everything that was proposed.
    pub fn heartbeat(
        &mut self,
        now_ms: u64,
        image: &Image,
        it: &Heartbeat,
    ) -> (HeartbeatReply, Option<Propose>) {
        let reply = HeartbeatReply {
            error: ErrorCode::NONE,
            caught_up: false,
            fenced: true,
            may_shut_down: false,
        };
        let refuse = |error| (HeartbeatReply { error, ..reply }, None);
        let Some(broker) = image.broker(it.broker) else {
            return refuse(ErrorCode::BROKER_ID_NOT_REGISTERED);
        };
        if broker.incarnation != it.incarnation {
            return refuse(ErrorCode::STALE_BROKER_EPOCH);
        }
        let fresh = Session {
            incarnation: it.incarnation,
            heard_ms: now_ms,
            applied: 0,
            unfence_at: image.index,
            end_at: None,
        };
        let session = self.brokers.entry(it.broker).or_insert(fresh);
        if session.incarnation != it.incarnation {
            return refuse(ErrorCode::STALE_BROKER_EPOCH);
        }
        session.heard_ms = session.heard_ms.max(now_ms);
        session.applied = session.applied.max(it.applied);
        let caught_up = session.applied >= session.unfence_at;
        let end_at = session.end_at;
        let propose = if it.wants_shutdown {
            match end_at {
                _ if broker.fenced => None,
                _ if !broker.shutting_down => Some(Propose::ShutDown),
                Some(at) if !self.all_know(now_ms, image, at) => None,
                _ => Some(Propose::Fence),
            }
        } else if it.wants_fence {
            (!broker.fenced).then_some(Propose::Fence)
        } else {
            (broker.fenced && caught_up).then_some(Propose::Unfence)
        };
        let may_shut_down = it.wants_shutdown && broker.fenced;
        (HeartbeatReply { caught_up, fenced: broker.fenced, may_shut_down, ..reply }, propose)
    }

    /// Whether all brokers that are there have applied the metadata this far.
    fn all_know(&self, now_ms: u64, image: &Image, index: u64) -> bool {
        let there = self
            .brokers
            .iter()
            .filter(|(id, it)| self.ends(it) > now_ms && image.is_unfenced(**id));
        there.map(|(_, it)| it.applied).all(|applied| applied >= index)
    }
}
