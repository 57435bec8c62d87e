//! Which brokers were heard when, and what their heartbeats are answered.
//!
//! Of the controller that leads; a new one begins with [`lead`](Sessions::lead). Time is monotonic, in ms, and decides
//! who is fenced and when, never what is safe.

use super::broker::Registration;
use super::image::Image;
use crate::types::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};

/// A broker that led the quorum turns to the next controller within this time, ms.
const TURN_MS: u64 = 1_000;

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
    /// Its disk has no space.
    pub lacks_space: bool,
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
    /// [`on_space`](super::on_space): its disk has none, or has some again.
    Space {
        /// It has none.
        lacks: bool,
    },
}

#[derive(Debug)]
struct Session {
    incarnation: u64,
    heard_ms: u64,
    /// When it was let in, or this controller began.
    let_in_ms: u64,
    applied: u64,
    /// It may be unfenced when it has applied the metadata this far: its own registration.
    unfence_at: u64,
    /// It may end when all have applied the metadata this far: then they know that others lead.
    end_at: Option<u64>,
}

impl Session {
    /// Of a process that is heard now for the first time, and was registered with this entry of the metadata, or before.
    fn new(now_ms: u64, incarnation: u64, known_at: u64) -> Self {
        Self {
            incarnation,
            heard_ms: now_ms,
            let_in_ms: now_ms,
            applied: 0,
            unfence_at: known_at,
            end_at: None,
        }
    }
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
                end_at: broker.shutting_down.then_some(image.index),
                ..Session::new(now_ms, broker.incarnation, image.index)
            };
            (broker.id, session)
        };
        self.brokers = image.brokers().map(begin).collect();
    }

    /// The node that led before was heard at this time for the last time, which counts against its session: it was
    /// silent for the time of an election already. What is left of the session is long enough to turn to this controller.
    pub fn led_before(&mut self, now_ms: u64, broker: i32, heard_ms: u64) {
        let least = now_ms.saturating_sub(self.timeout_ms.saturating_sub(TURN_MS));
        if let Some(session) = self.brokers.get_mut(&broker) {
            session.heard_ms = session.heard_ms.min(heard_ms.max(least));
        }
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
        self.brokers.insert(broker, Session::new(now_ms, incarnation, index));
    }

    /// What a broker's shutdown changes was proposed; it has taken effect with this entry of the log.
    pub fn shutdown_begun(&mut self, broker: i32, index: u64) {
        if let Some(session) = self.brokers.get_mut(&broker) {
            session.end_at = Some(index);
        }
    }

    /// A broker was unfenced.
    pub fn let_in(&mut self, now_ms: u64, broker: i32) {
        if let Some(session) = self.brokers.get_mut(&broker) {
            session.let_in_ms = now_ms;
        }
    }

    /// Brokers that were let in less than so long ago.
    pub fn unsettled(&self, now_ms: u64, settled_ms: u64) -> BTreeSet<i32> {
        let is_new = |it: &Session| now_ms.saturating_sub(it.let_in_ms) < settled_ms;
        self.brokers.iter().filter(|it| is_new(it.1)).map(|it| *it.0).collect()
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
        let fresh = Session::new(now_ms, it.incarnation, image.index);
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
        } else if broker.fenced {
            caught_up.then_some(Propose::Unfence)
        } else {
            let changed = broker.lacks_space != it.lacks_space;
            changed.then_some(Propose::Space { lacks: it.lacks_space })
        };
        let may_shut_down = it.wants_shutdown && broker.fenced;
        (HeartbeatReply { caught_up, fenced: broker.fenced, may_shut_down, ..reply }, propose)
    }

    /// Whether all brokers that are there have applied the metadata this far. One without space may have none for them.
    fn all_know(&self, now_ms: u64, image: &Image, index: u64) -> bool {
        let counts = |id| image.is_unfenced(id) && !image.lacks_space(id);
        let there = self.brokers.iter().filter(|(id, it)| self.ends(it) > now_ms && counts(**id));
        there.map(|(_, it)| it.applied).all(|applied| applied >= index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::Record;
    use std::sync::Arc;

    const TIMEOUT: u64 = 3_000;

    fn registration(id: i32, incarnation: u64, directory: u128) -> Registration {
        Registration { id, incarnation, directory, ..Registration::default() }
    }

    /// Brokers 1 to `count` of incarnation 7, which are not fenced; 20 entries.
    fn image(count: i32) -> Image {
        let mut image = Image::new("cluster", 1, Arc::default());
        for broker in 1..=count {
            image.apply(&Record::BrokerRegistered(registration(broker, 7, broker as u128)));
            image.apply(&Record::BrokerUnfenced { broker });
        }
        image.index = 20;
        image
    }

    fn beat(broker: i32, applied: u64) -> Heartbeat {
        Heartbeat { broker, incarnation: 7, applied, ..Heartbeat::default() }
    }

    #[test]
    fn a_broker_that_a_new_controller_never_hears_expires_too() {
        let (mut sessions, image) = (Sessions::new(TIMEOUT), image(3));
        assert_eq!(sessions.next_deadline(&image), None);
        sessions.lead(1_000, &image);
        assert_eq!(sessions.next_deadline(&image), Some(4_000));
        sessions.heard(2_000, 1, 7);
        sessions.heard(2_000, 2, 6);
        sessions.heard(500, 1, 7);
        assert!(sessions.expired(3_999, &image).is_empty());
        assert_eq!(sessions.expired(4_000, &image), [2, 3], "what another process said is nothing");
        let mut image = image;
        image.apply(&Record::BrokerFenced { broker: 2 });
        assert_eq!(sessions.expired(4_000, &image), [3], "until it is fenced");
        image.apply(&Record::BrokerFenced { broker: 3 });
        assert_eq!(sessions.next_deadline(&image), Some(5_000));
        // A new leader begins anew.
        sessions.lead(9_000, &image);
        assert!(sessions.expired(11_999, &image).is_empty());
        assert_eq!(sessions.expired(12_000, &image), [1]);
    }

    #[test]
    fn the_silence_of_who_led_before_counts() {
        let (mut sessions, image) = (Sessions::new(TIMEOUT), image(3));
        sessions.lead(10_000, &image);
        sessions.led_before(10_000, 2, 8_500);
        sessions.led_before(10_000, 9, 8_500);
        assert_eq!(sessions.next_deadline(&image), Some(11_500));
        assert_eq!(sessions.expired(11_500, &image), [2]);
        // However long the election took, it has time to say that it is there.
        sessions.lead(20_000, &image);
        sessions.led_before(20_000, 2, 1_000);
        assert!(sessions.expired(20_999, &image).is_empty());
        assert_eq!(sessions.expired(21_000, &image), [2]);
        sessions.heard(21_000, 2, 7);
        assert!(sessions.expired(22_999, &image).is_empty());
    }

    #[test]
    fn one_process_of_a_broker_is_registered() {
        let mut image = image(2);
        let mut sessions = Sessions::new(TIMEOUT);
        sessions.lead(0, &image);
        let may = |sessions: &Sessions, now, image: &Image, cluster, it: &Registration| {
            sessions.may_register(now, image, cluster, it).err()
        };
        let here = "cluster";
        let other = Some(ErrorCode::INCONSISTENT_CLUSTER_ID);
        assert_eq!(may(&sessions, 0, &image, "other", &registration(3, 1, 1)), other);
        assert_eq!(may(&sessions, 0, &image, here, &registration(3, 1, 1)), None);
        let duplicate = Some(ErrorCode::DUPLICATE_BROKER_REGISTRATION);
        let elsewhere = registration(1, 8, 99);
        assert_eq!(may(&sessions, TIMEOUT - 1, &image, here, &elsewhere), duplicate);
        assert_eq!(may(&sessions, TIMEOUT, &image, here, &elsewhere), None, "it is silent");
        // Who has the directory has proved that the process of before is gone.
        assert_eq!(may(&sessions, 0, &image, here, &registration(1, 8, 1)), None);
        let unknown = registration(1, 8, 0);
        assert_eq!(may(&sessions, 0, &image, here, &unknown), duplicate);
        assert_eq!(may(&sessions, 0, &image, here, &registration(1, 7, 99)), None, "the same");
        image.apply(&Record::BrokerFenced { broker: 1 });
        assert_eq!(may(&sessions, 0, &image, here, &elsewhere), None);
    }

    #[test]
    fn a_broker_is_let_in_when_it_has_its_own_registration() {
        let (mut sessions, mut image) = (Sessions::new(TIMEOUT), image(1));
        sessions.lead(0, &image);
        image.apply(&Record::BrokerRegistered(registration(2, 7, 2)));
        image.index = 30;
        sessions.registered(10, 2, 7, 30);
        let (reply, propose) = sessions.heartbeat(20, &image, &beat(2, 29));
        assert_eq!((reply.caught_up, reply.fenced, propose), (false, true, None));
        // The log grows; what is asked of it does not (KAFKA-13955).
        image.index = 99;
        sessions.registered(30, 2, 7, 99);
        let (reply, propose) = sessions.heartbeat(40, &image, &beat(2, 30));
        assert_eq!((reply.caught_up, propose), (true, Some(Propose::Unfence)));
        image.apply(&Record::BrokerUnfenced { broker: 2 });
        let (reply, propose) = sessions.heartbeat(50, &image, &beat(2, 0));
        assert_eq!((reply.error, reply.fenced, propose), (ErrorCode::NONE, false, None));
        let unwell = Heartbeat { wants_fence: true, ..beat(2, 99) };
        assert_eq!(sessions.heartbeat(60, &image, &unwell).1, Some(Propose::Fence));
        image.apply(&Record::BrokerFenced { broker: 2 });
        assert_eq!(sessions.heartbeat(70, &image, &unwell).1, None);
    }

    #[test]
    fn a_process_that_is_not_registered_is_told_so() {
        let (mut sessions, image) = (Sessions::new(TIMEOUT), image(1));
        sessions.lead(0, &image);
        let (reply, propose) = sessions.heartbeat(1_000, &image, &beat(9, 0));
        assert_eq!((reply.error, propose), (ErrorCode::BROKER_ID_NOT_REGISTERED, None));
        let old = Heartbeat { incarnation: 6, ..beat(1, 99) };
        let (reply, propose) = sessions.heartbeat(1_000, &image, &old);
        assert_eq!((reply.error, propose), (ErrorCode::STALE_BROKER_EPOCH, None));
        assert_eq!(sessions.expired(TIMEOUT, &image), [1], "it says nothing of the process of now");
    }

    #[test]
    fn that_a_disk_has_no_space_is_said_again_until_it_is_known() {
        let (mut sessions, mut image) = (Sessions::new(TIMEOUT), image(2));
        sessions.lead(0, &image);
        let full = Heartbeat { lacks_space: true, ..beat(1, 20) };
        for _ in 0..2 {
            let propose = sessions.heartbeat(1, &image, &full).1;
            assert_eq!(propose, Some(Propose::Space { lacks: true }));
        }
        image.apply(&Record::BrokerSpace { broker: 1, lacks: true });
        assert_eq!(sessions.heartbeat(2, &image, &full).1, None);
        // Whichever controller is told.
        let mut sessions = Sessions::new(TIMEOUT);
        sessions.lead(3, &image);
        assert_eq!(sessions.heartbeat(4, &image, &full).1, None);
        let propose = sessions.heartbeat(5, &image, &beat(1, 20)).1;
        assert_eq!(propose, Some(Propose::Space { lacks: false }));
        // Its metadata may stand still: another one that ends does not wait for it.
        let stops = Heartbeat { wants_shutdown: true, ..beat(2, 25) };
        image.apply(&Record::BrokerShuttingDown { broker: 2 });
        sessions.shutdown_begun(2, 25);
        assert_eq!(sessions.heartbeat(6, &image, &stops).1, Some(Propose::Fence));
        image.apply(&Record::BrokerSpace { broker: 1, lacks: false });
        assert_eq!(sessions.heartbeat(7, &image, &stops).1, None);
        // One that is fenced is let in first.
        image.apply(&Record::BrokerFenced { broker: 1 });
        assert_eq!(sessions.heartbeat(8, &image, &full).1, Some(Propose::Unfence));
    }

    #[test]
    fn a_broker_ends_when_the_others_know_that_it_leads_nothing() {
        let (mut sessions, mut image) = (Sessions::new(TIMEOUT), image(3));
        sessions.lead(0, &image);
        for broker in 1..=3 {
            sessions.heartbeat(0, &image, &beat(broker, 20));
        }
        let stops = Heartbeat { wants_shutdown: true, ..beat(1, 25) };
        assert_eq!(sessions.heartbeat(1, &image, &stops).1, Some(Propose::ShutDown));
        image.apply(&Record::BrokerShuttingDown { broker: 1 });
        image.index = 25;
        sessions.shutdown_begun(1, 25);
        assert_eq!(sessions.heartbeat(2, &image, &stops).1, None, "the others do not know");
        sessions.heartbeat(3, &image, &beat(2, 25));
        let (reply, propose) = sessions.heartbeat(4, &image, &stops);
        assert_eq!((reply.may_shut_down, propose), (false, None));
        // The third is silent for too long.
        sessions.heartbeat(TIMEOUT - 1, &image, &beat(2, 26));
        let (reply, propose) = sessions.heartbeat(TIMEOUT, &image, &stops);
        assert_eq!((reply.may_shut_down, propose), (false, Some(Propose::Fence)));
        image.apply(&Record::BrokerFenced { broker: 1 });
        let (reply, propose) = sessions.heartbeat(TIMEOUT + 1, &image, &stops);
        assert_eq!((reply.may_shut_down, propose), (true, None));
    }
}
