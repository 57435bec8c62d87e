//! The clean end of a broker, as a signal begins it: others lead what it led, requests are answered, everything is written
//! back.

use futures_lite::future::{block_on, poll_once};
use klamm::broker::wait::Receiver;
use klamm::broker::{Broker, Close, Drain, HandOver, Phase};
use klamm::types::Now;

/// How far it is.
pub enum Ending {
    /// Nobody has asked for it.
    No,
    HandingOver(Receiver<()>),
    Draining(Vec<Receiver<()>>),
    Closing(Vec<Receiver<()>>),
}

fn ended(call: &mut Receiver<()>) -> bool {
    block_on(poll_once(call)).is_some()
}

fn all_ended(calls: &mut Vec<Receiver<()>>) -> bool {
    calls.retain_mut(|it| !ended(it));
    calls.is_empty()
}

impl Ending {
    /// Begins it. What shard 0 has to do then is to be carried out.
    pub fn begin(&mut self, brokers: &mut [Broker], now: Now) {
        *self = Self::HandingOver(brokers[0].call(now, 0, HandOver));
    }

    /// Goes on with it; true when everything is written back. What shard 0 has to do then is to be carried out.
    pub fn advance(&mut self, brokers: &mut [Broker], now: Now) -> bool {
        let shards = 0..brokers.len();
        match self {
            Self::No => false,
            Self::HandingOver(call) => {
                if ended(call) {
                    let calls = shards.map(|it| brokers[0].call(now, it, Drain)).collect();
                    *self = Self::Draining(calls);
                }
                false
            }
            Self::Draining(calls) => {
                if all_ended(calls) {
                    let calls = shards.map(|it| brokers[0].call(now, it, Close)).collect();
                    *self = Self::Closing(calls);
                }
                false
            }
            Self::Closing(calls) => {
                all_ended(calls) && brokers.iter().all(|it| it.phase() == Phase::Closed)
            }
        }
    }
}
