//! Whether a schedule was held, and who could not hold it if not.

use super::latency::{Latency, group};

/// An open loop is held if this fraction of its requests was answered in time.
const HELD: f64 = 0.98;

/// A thread that is this much behind its schedule, in the median, cannot follow it.
const BEHIND_NS: u64 = 1_000_000;

/// A thread that uses this much of a core has no more to give.
const BUSY: f64 = 0.97;

/// So many answers are what the schedule asked for; two may be beyond the edges of the window.
pub fn is_held(answered: u64, asked: f64) -> bool {
    (answered + 2) as f64 >= HELD * asked
}

/// Who could not follow the schedule, if anybody.
pub fn saturated(held: bool, lag: &Latency, cpu: f64, spin: bool) -> Option<&'static str> {
    if held {
        return None;
    }
    let behind = lag.count() > 0 && lag.at(0.5) > BEHIND_NS;
    Some(if behind || (!spin && cpu > BUSY) { "bench" } else { "broker" })
}

/// What to say about it.
pub fn saturation_line(who: Option<&str>, rate: f64, reached: f64) -> Option<String> {
    let (rate, reached) = (group(rate), group(reached));
    match who? {
        "bench" => Some(format!(
            "the bench was saturated, not the broker: {reached} of {rate} requests/s; add --threads, \
             or give it more cores"
        )),
        _ => Some(format!(
            "the broker was saturated: {reached} of {rate} requests/s; latencies depend on how long \
             the run was"
        )),
    }
}
