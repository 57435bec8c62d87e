//! Whether the asked rate was reached, and whether broker or bench limited it.

use super::latency::{Latency, group};

/// An open loop reached its rate if this fraction of its requests was answered in time.
const HELD: f64 = 0.98;

/// A thread that is this much behind its schedule, in the median, cannot follow it.
const BEHIND_NS: u64 = 1_000_000;

/// A thread that uses this fraction of a core is at its limit.
const BUSY: f64 = 0.97;

/// Whether this many answers are what the schedule asked for; two may lie beyond the edges of the
/// window.
pub fn is_held(answered: u64, asked: f64) -> bool {
    (answered + 2) as f64 >= HELD * asked
}

/// Who limited the rate: nobody where it was reached; the bench, if its own delays make up much of the
/// latencies or its busiest thread (`cpu`, a fraction of a core) is at its limit; else the broker.
pub fn saturated(
    held: bool,
    lag: &Latency,
    latency: &Latency,
    cpu: f64,
    spin: bool,
) -> Option<&'static str> {
    if held {
        return None;
    }
    let late = lag.at(0.5);
    let behind = lag.count() > 0 && late > BEHIND_NS && late * 4 > latency.at(0.5);
    Some(if behind || (!spin && cpu > BUSY) { "bench" } else { "broker" })
}

/// The warning about it, if any.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_that_is_late_is_told_from_a_broker_that_is_slow() {
        let of = |ms: u64| {
            let mut latency = Latency::default();
            latency.record_n(ms * 1_000_000, 100);
            latency
        };
        assert_eq!(saturated(true, &of(50), &of(60), 1.0, false), None);
        assert_eq!(saturated(false, &of(50), &of(60), 0.5, false), Some("bench"));
        // Some lateness is nothing beside such latencies.
        assert_eq!(saturated(false, &of(5), &of(4000), 0.5, false), Some("broker"));
        assert_eq!(saturated(false, &of(0), &of(60), 0.99, false), Some("bench"));
        // Who spins is always busy.
        assert_eq!(saturated(false, &of(0), &of(60), 1.0, true), Some("broker"));
        assert!(is_held(98, 100.0) && !is_held(90, 100.0) && is_held(1, 3.0));
    }
}
