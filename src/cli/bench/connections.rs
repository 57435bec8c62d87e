//! `klamm bench connections`: many connections that do nothing.

use super::conn::CLIENT_ID;
use super::cost::{Meter, check_pids};
use super::latency::{Latency, group, round};
use super::machine::{Clock, open_files};
use super::options::Connections;
use super::report::{Outcome, interrupted_run};
use crate::cli::{CliError, signal};
use crate::client::{ClientError, Cluster, Transport};
use crate::wire::kafka::metadata_request::MetadataRequest;
use serde_json::json;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens the connections, holds them idle, then sends a request on each.
pub fn run(c: &Connections) -> Result<Outcome, CliError> {
    check_pids(&c.machine.broker_pid)?;
    open_files(u64::from(c.count) + 64)?;
    c.machine.cpus().pin(0)?;
    signal::catch();
    let addresses = brokers(c)?;
    let clock = Clock::start();
    let mut meter = Meter::begin(&c.machine.broker_pid);
    let (mut connect, mut answer) = (Latency::default(), Latency::default());
    let mut held = Vec::with_capacity(c.count as usize);
    let mut stop = None;
    for i in 0..c.count as usize {
        let (host, port) = &addresses[i % addresses.len()];
        let begun = clock.now();
        match Transport::connect(host, *port, CLIENT_ID, CONNECT_TIMEOUT, ANSWER_TIMEOUT) {
            Ok(transport) => held.push(transport),
            Err(e) => {
                stop = Some(after(i, e));
                break;
            }
        }
        connect.record(clock.now() - begun);
        if signal::stopped().is_some() {
            stop = Some(interrupted_run());
            break;
        }
    }
    let open_s = clock.now() as f64 / 1e9;
    meter.sample();
    let rss = meter.rss_bytes();
    let mut idle = Meter::begin(&c.machine.broker_pid);
    let until = clock.now() + c.hold.as_nanos() as u64;
    while clock.now() < until && stop.is_none() {
        clock.sleep_until(until.min(clock.now() + 100_000_000));
        idle.sample();
        if signal::stopped().is_some() {
            stop = Some(interrupted_run());
        }
    }
    idle.stop();
    let mut lost = 0u64;
    let mut first = None;
    if stop.is_none() {
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        for transport in &mut held {
            let begun = clock.now();
            match transport.call(&request) {
                Ok(_) => answer.record(clock.now() - begun),
                Err(e) => {
                    lost += 1;
                    first.get_or_insert(e);
                }
            }
        }
    }
    let complete = stop.is_none();
    if let Some(e) = first {
        let all = group(held.len() as f64);
        stop = Some(CliError::Failed(format!("{lost} of {all} connections do not answer: {e}")));
    }

    let mut out = idle.end(c.hold.as_secs_f64(), 0.0, 0.0);
    if let (Some((before, after)), Some(broker)) = (rss, out.get_mut("broker")) {
        let each = after.saturating_sub(before) as f64 / held.len().max(1) as f64;
        broker["rss_bytes_before"] = json!(before);
        broker["rss_bytes_per_connection"] = json!(round(each));
    }
    out.insert("workload".to_owned(), json!("connections"));
    out.insert(
        "settings".to_owned(),
        json!({ "connections": c.count, "hold_s": c.hold.as_secs_f64() }),
    );
    out.insert("connections".to_owned(), json!(held.len()));
    out.insert("open_s".to_owned(), json!(round(open_s)));
    out.insert("lost".to_owned(), json!(lost));
    out.insert("answer_us".to_owned(), answer.to_json());
    let mut outcome = Outcome::new(out, "connect_us", connect);
    outcome.complete = complete;
    outcome.stop = stop;
    Ok(outcome)
}

/// Every broker of the cluster.
fn brokers(c: &Connections) -> Result<Vec<(String, u16)>, CliError> {
    let mut cluster = Cluster::connect(&c.broker.bootstrap)?;
    cluster.refresh(Some(&[]), false)?;
    let brokers = cluster.metadata().brokers.values();
    let addresses: Vec<_> =
        brokers.map(|b| (b.host.clone(), u16::try_from(b.port).unwrap_or(0))).collect();
    if addresses.is_empty() {
        return Err(CliError::Failed("the cluster names no broker".to_owned()));
    }
    Ok(addresses)
}

/// The error that says why no more than `open` connections could be opened.
fn after(open: usize, e: ClientError) -> CliError {
    let text = e.to_string();
    let hint = if text.contains("assign requested address") {
        "; this machine has no more local ports for that address: widen \
         net.ipv4.ip_local_port_range, or use several brokers or addresses"
    } else {
        ""
    };
    let line = format!("after {} connections: {text}{hint}", group(open as f64));
    match CliError::from(e) {
        CliError::Io(_) => CliError::Io(line),
        _ => CliError::Failed(line),
    }
}
