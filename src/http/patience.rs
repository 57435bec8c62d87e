//! Which clients of the HTTP port are served, and for how long.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// Clients at a time. For one more, the one goes that has been silent for longest.
const CLIENTS_MAX: usize = 64;
/// A client that has connected asks before long.
const FIRST: Duration = Duration::from_secs(10);
/// Between two requests: more than most scrape intervals.
const IDLE: Duration = Duration::from_secs(150);
/// Until an answer is made and taken.
const ANSWER: Duration = Duration::from_mins(1);
/// How often the time is looked at.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Idle,
    Answering,
}

/// One client.
pub struct Client {
    phase: Cell<(Phase, Instant)>,
    /// It goes for another.
    replaced: Cell<bool>,
}

impl Client {
    fn new() -> Self {
        Self { phase: Cell::new((Phase::New, Instant::now())), replaced: Cell::new(false) }
    }

    /// It has sent a request.
    pub fn asks(&self) {
        self.phase.set((Phase::Answering, Instant::now()));
    }

    /// Its request is answered.
    pub fn waits(&self) {
        self.phase.set((Phase::Idle, Instant::now()));
    }

    fn is_over(&self, now: Instant) -> bool {
        let (phase, since) = self.phase.get();
        let limit = match phase {
            Phase::New => FIRST,
            Phase::Idle => IDLE,
            Phase::Answering => ANSWER,
        };
        self.replaced.get() || now.saturating_duration_since(since) > limit
    }

    /// Returns when it has had its time.
    pub async fn patience(&self) {
        while !self.is_over(Instant::now()) {
            glommio::timer::sleep(LOOK).await;
        }
    }
}

/// All clients.
#[derive(Default)]
pub struct Clients(RefCell<Vec<Weak<Client>>>);

impl Clients {
    /// One more.
    pub fn enter(&self) -> Rc<Client> {
        let mut all = self.0.borrow_mut();
        all.retain(|it| it.strong_count() > 0);
        let staying: Vec<_> =
            all.iter().filter_map(Weak::upgrade).filter(|it| !it.replaced.get()).collect();
        if staying.len() >= CLIENTS_MAX
            && let Some(longest) = staying.iter().min_by_key(|it| it.phase.get().1)
        {
            longest.replaced.set(true);
        }
        let client = Rc::new(Client::new());
        all.push(Rc::downgrade(&client));
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_limit() {
        let client = Client::new();
        let begun = client.phase.get().1;
        assert!(!client.is_over(begun + FIRST) && client.is_over(begun + FIRST + LOOK));
        client.asks();
        let begun = client.phase.get().1;
        assert!(!client.is_over(begun + ANSWER) && client.is_over(begun + ANSWER + LOOK));
        client.waits();
        let begun = client.phase.get().1;
        assert!(!client.is_over(begun + IDLE) && client.is_over(begun + IDLE + LOOK));
    }

    #[test]
    fn the_one_that_is_silent_for_longest_goes_for_another() {
        let clients = Clients::default();
        let all: Vec<_> = (0..CLIENTS_MAX).map(|_| clients.enter()).collect();
        all[0].waits();
        assert!(all.iter().all(|it| !it.is_over(Instant::now())));
        let _more = clients.enter();
        assert!(all[1].replaced.get() && !all[0].replaced.get());
        drop(all);
        for _ in 0..1_000 {
            clients.enter();
        }
        assert!(clients.0.borrow().len() < 10);
    }
}
