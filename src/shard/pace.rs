//! What a shard's thread does next. Decides, and does nothing.
//!
//! A shard has one ring for its files, its sockets and the messages of other shards. While things
//! happen it waits for that ring by itself: looking at it, or sleeping in it. The runtime, in which
//! the HTTP port and signals live, has a round at intervals; a shard to which nothing happens is left
//! to the runtime, which sleeps for as long as it takes.

/// The runtime has a round after this at the latest, ns.
const ROUND: u64 = 5_000_000;
/// Nothing has happened for so long: the shard is left to the runtime, ns.
const LINGER: u64 = 20_000_000;
/// Something waits for room that another shard makes, which does not ring for that: looked at this
/// often, ns.
const BACKLOG: u64 = 1_000_000;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Turn,
    /// Let the runtime have a round.
    Round,
    /// Look at the ring without a pause, until this time at the latest, ns.
    LookOut(u64),
    /// Sleep in the ring, for so long at most, ns.
    Sleep(u64),
    /// Sleep in the runtime until the ring has something.
    Park,
}

/// How things stand after a turn. Times are of the monotonic clock, ns.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    /// Now.
    pub now: u64,
    /// Something has happened in this turn.
    pub happened: bool,
    /// There is more to do at once.
    pub more: bool,
    /// A task of the runtime waits for a pause of the shard.
    pub others: bool,
    /// Messages wait for room at another shard.
    pub backlog: bool,
    /// Until when to look out for a write.
    pub look_out_until: Option<u64>,
    /// When there is something to do, whatever happens.
    pub deadline: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Pace {
    happened: u64,
    round: u64,
}

impl Pace {
    /// The runtime has had a round, or was slept in.
    pub fn rounded(&mut self, now: u64) {
        self.round = now;
    }

    /// What to do after a turn.
    pub fn next(&mut self, it: State) -> Next {
        if it.happened || it.more {
            self.happened = it.now;
        }
        let round = self.round + ROUND;
        let quiet = !it.more && !it.backlog && it.now >= self.happened + LINGER;
        if it.others || (it.now >= round && !quiet) {
            return Next::Round;
        }
        if it.more || it.deadline <= it.now {
            return Next::Turn;
        }
        let wake = it.deadline.min(round);
        match it.look_out_until {
            Some(until) if it.now < until => return Next::LookOut(until.min(wake)),
            _ => {}
        }
        if quiet {
            return Next::Park;
        }
        let most = if it.backlog { BACKLOG } else { u64::MAX };
        Next::Sleep((wake - it.now).min(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const NEVER: u64 = u64::MAX;

    fn idle(now: u64) -> State {
        State { now, deadline: NEVER, ..State::default() }
    }

    #[test]
    fn sleeps_in_the_ring_while_things_happen_and_parks_when_they_do_not() {
        let mut pace = Pace::default();
        let now = 100 * MS;
        assert_eq!(pace.next(State { happened: true, ..idle(now) }), Next::Round);
        pace.rounded(now);
        assert_eq!(pace.next(idle(now)), Next::Sleep(ROUND));
        assert_eq!(pace.next(idle(now + MS)), Next::Sleep(ROUND - MS));
        let mut at = now;
        let mut rounds = 0;
        loop {
            match pace.next(idle(at)) {
                Next::Sleep(most) => at += most,
                Next::Round => {
                    pace.rounded(at);
                    rounds += 1;
                }
                Next::Park => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((at, rounds), (now + LINGER, LINGER / ROUND - 1));
        // However long that takes.
        assert_eq!(pace.next(idle(at + 1_000 * MS)), Next::Park);
        pace.rounded(at + 1_000 * MS);
        let woken = State { happened: true, ..idle(at + 1_000 * MS) };
        assert_eq!(pace.next(woken), Next::Sleep(ROUND));
    }

    #[test]
    fn a_busy_shard_gives_the_runtime_its_rounds_and_does_not_sleep() {
        let mut pace = Pace::default();
        let mut rounds = Vec::new();
        for now in (100 * MS..120 * MS).step_by(100_000) {
            let state =
                State { happened: true, more: true, look_out_until: Some(NEVER), ..idle(now) };
            match pace.next(state) {
                Next::Round => {
                    pace.rounded(now);
                    rounds.push(now);
                }
                other => assert_eq!(other, Next::Turn),
            }
        }
        assert_eq!(rounds, [100 * MS, 105 * MS, 110 * MS, 115 * MS]);
    }

    #[test]
    fn looks_out_for_a_write_until_then_and_not_past_what_else_is_due() {
        let mut pace = Pace::default();
        let now = 100 * MS;
        pace.rounded(now);
        let state = State { happened: true, look_out_until: Some(now + 150_000), ..idle(now) };
        assert_eq!(pace.next(state), Next::LookOut(now + 150_000));
        let due = State { deadline: now + 50_000, ..state };
        assert_eq!(pace.next(due), Next::LookOut(now + 50_000));
        assert_eq!(pace.next(State { now: now + 50_000, ..due }), Next::Turn);
        let late = State { now: now + 150_000, ..state };
        assert_eq!(pace.next(late), Next::Sleep(ROUND - 150_000));
    }

    #[test]
    fn what_is_due_is_done_and_others_come_between() {
        let mut pace = Pace::default();
        let now = 1_000 * MS;
        // A parked shard whose alarm has gone off.
        assert_eq!(pace.next(State { deadline: now, ..idle(now) }), Next::Turn);
        assert_eq!(pace.next(State { others: true, more: true, ..idle(now) }), Next::Round);
        pace.rounded(now);
        assert_eq!(pace.next(State { more: true, ..idle(now) }), Next::Turn);
    }

    #[test]
    fn a_shard_that_waits_for_room_looks_again_soon() {
        let mut pace = Pace::default();
        let now = 1_000 * MS;
        let state = State { backlog: true, ..idle(now) };
        assert_eq!(pace.next(state), Next::Round);
        pace.rounded(now);
        assert_eq!(pace.next(state), Next::Sleep(BACKLOG));
    }
}
