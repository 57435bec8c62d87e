//! `kafka-producer-perf-test`: sends records as fast as it can, or as fast as it is told, and says how
//! long they took.

mod setup;
mod stats;

use setup::{HELP, Payload, Setup, USAGE, parse, setup, wrong};
use stats::Stats;

use super::ToolError;
use super::address::connect_as;
use super::client_settings;
use crate::cli::signal;
use crate::client::clock::wall_ms;
use crate::client::producer::{NewRecord, Producer};
use crate::types::Rng;
use std::io::{self, Write};
use std::time::{Duration, Instant};

struct Test {
    producer: Producer,
    topic: usize,
    start: Instant,
    all: Stats,
    steady: Stats,
    steady_start: Option<Instant>,
    window: Stats,
    window_start: Instant,
    interval: Duration,
    warmup: u64,
    failed: bool,
    value_bytes: usize,
}

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    if args.is_empty() {
        print!("{USAGE}{HELP}");
        return Ok(());
    }
    let values = parse(args)?;
    if values.contains_key("--help") {
        return Err(ToolError::FailedOnOutput(format!("{USAGE}{HELP}")));
    }
    for (old, new) in
        [("--producer-props", "--command-property"), ("--producer.config", "--command-config")]
    {
        if values.contains_key(old) && values.contains_key(new) {
            return Err(wrong(&format!("argument {new}: not allowed with argument {old}")));
        }
        if values.contains_key(old) {
            println!("Warning: {old} is deprecated. Use {new} instead.");
        }
    }
    let setup = setup(&values)?;
    let settings = client_settings::producer(&setup.properties)?;
    let client_id =
        setup.properties.get("client.id").map_or("perf-producer-client", String::as_str);
    let cluster = connect_as(&setup.servers, client_id)?;
    signal::catch();
    if setup.warmup > 0 {
        println!(
            "Warmup first {} records. Steady state results will print after the complete test summary.",
            setup.warmup
        );
    }
    let mut producer = Producer::new(cluster, settings);
    let topic = producer.topic(&setup.topic)?;
    let now = Instant::now();
    let mut test = Test {
        producer,
        topic,
        start: now,
        all: Stats::default(),
        steady: Stats::default(),
        steady_start: None,
        window: Stats::default(),
        window_start: now,
        interval: setup.interval,
        warmup: setup.warmup,
        failed: false,
        value_bytes: 0,
    };
    test.send_all(&setup)?;
    test.producer.flush(|| false);
    test.take();
    let mut out = io::stdout().lock();
    writeln!(out, "{}", test.all.line(test.start.elapsed(), ""))?;
    if let Some(start) = test.steady_start {
        writeln!(out, "{}", test.steady.line(start.elapsed(), "steady state "))?;
    }
    if setup.metrics {
        let width = 60;
        writeln!(out, "\n{:width$}   Value", "Metric Name")?;
        let tags = format!("{{client-id={client_id}}}");
        for (name, value) in [
            ("outgoing-byte-total", test.all.bytes as f64),
            ("record-send-total", test.all.count as f64),
        ] {
            writeln!(out, "{:width$} : {value:.3}", format!("producer-metrics:{name}:{tags}"))?;
        }
    }
    match signal::stopped() {
        Some(signal) => Err(ToolError::Exit(signal::exit_code(signal))),
        None if test.failed => Err(ToolError::Exit(1)),
        None => Ok(()),
    }
}

/// Letters to cut payloads from: drawing each anew would take longer than sending it.
const POOL_BYTES: usize = 1 << 20;

impl Test {
    fn send_all(&mut self, setup: &Setup) -> Result<(), ToolError> {
        let mut rng = Rng::new(0);
        let longest = if let Payload::Random(size) = setup.payload { size } else { 0 };
        let pool: Vec<u8> = (0..POOL_BYTES + longest).map(|_| b'A' + rng.below(26) as u8).collect();
        let mut digits = Vec::new();
        for i in 0..setup.records {
            if signal::stopped().is_some() {
                return Ok(());
            }
            let value = match &setup.payload {
                Payload::Random(size) => {
                    let at = rng.index(POOL_BYTES);
                    &pool[at..at + size]
                }
                Payload::Choice(all) => &all[rng.index(all.len())],
                Payload::Number => {
                    digits.clear();
                    write!(digits, "{i}")?;
                    &digits
                }
            };
            let sent = self.start.elapsed().as_millis() as u64;
            let record = NewRecord {
                timestamp: wall_ms(),
                key: None,
                value: Some(value),
                headers: &[],
                tag: sent,
            };
            self.value_bytes = value.len();
            self.producer.send(self.topic, None, &record)?;
            if i % 64 == 0 {
                self.take();
            }
            if setup.throughput > 0.0 {
                self.throttle(i + 1, setup.throughput);
            }
        }
        Ok(())
    }

    /// Waits, while the producer works, until this many records are due.
    fn throttle(&mut self, records: u64, throughput: f64) {
        let due = Duration::from_secs_f64(records as f64 / throughput);
        loop {
            let early = due.saturating_sub(self.start.elapsed());
            if early < Duration::from_millis(1) || signal::stopped().is_some() {
                return;
            }
            self.producer.poll(early, None);
            self.take();
        }
    }

    fn take(&mut self) {
        while let Some(delivery) = self.producer.delivered() {
            let now = self.start.elapsed().as_millis() as u64;
            if let Err(e) = &delivery.result {
                self.failed = true;
                // Who has closed the error output does not want to know.
                let _ = writeln!(io::stderr(), "{} record(s): {e}", delivery.records);
                continue;
            }
            // All of a kind, but for payloads of a file: their mean.
            let bytes = self.value_bytes as u64;
            for (sent, count) in &delivery.tags {
                let (ms, count) = (now.saturating_sub(*sent), u64::from(*count));
                self.all.record(ms, count, count * bytes);
                self.window.record(ms, count, count * bytes);
                if self.warmup > 0 && self.all.count > self.warmup {
                    if self.steady_start.is_none() {
                        self.steady_start = Some(Instant::now());
                        println!("In steady state.");
                    }
                    self.steady.record(ms, count, count * bytes);
                }
            }
            if self.window_start.elapsed() >= self.interval {
                println!("{}", self.window.window(self.window_start.elapsed()));
                self.window = Stats::default();
                self.window_start = Instant::now();
            }
        }
    }
}
