//! `kafka-consumer-perf-test`: reads records as fast as it can, and says how fast that was.

use super::ToolError;
use super::address::{addresses, check_client, connect_as, property_file};
use super::client_settings;
use super::console_producer::parse_or_usage;
use super::options::{HELP, Options, Parsed, VERSION, ZOOKEEPER, flag, integer, long, text};
use super::properties::{self, Properties};
use super::time::show_date_time;
use crate::cli::signal;
use crate::client::clock::wall_ms;
use crate::client::consumer::{Consumer, Notice, Topics};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

const DATE_FORMAT: &str = "yyyy-MM-dd HH:mm:ss:SSS";

/// The options.
pub static OPTIONS: Options = Options {
    all: &[
        text("bootstrap-server", "server to connect to", "REQUIRED: The brokers to connect to."),
        text("broker-list", "brokers", ""),
        ZOOKEEPER,
        text("topic", "topic", "The topic to consume from."),
        text("include", "regex", "Regular expression of the topics to consume from."),
        text("group", "gid", "The group id to consume on. (default: perf-consumer- and a number)"),
        integer("fetch-size", "size", "The most to fetch from a partition at a time.")
            .default("1048576"),
        flag(
            "from-latest",
            "Where the group has no offset yet, start with the latest record rather than the \
             earliest.",
        ),
        integer("socket-buffer-size", "size", "Accepted; the system chooses.").default("2097152"),
        text("command-property", "prop1=val1", "Properties of the consumer in the form key=value."),
        text("consumer.config", "config file", "(DEPRECATED) As --command-config."),
        text("command-config", "config file", "A file of properties of the consumer."),
        flag("print-metrics", "Print out the metrics."),
        flag("show-detailed-stats", "Report for each interval."),
        long("timeout", "milliseconds", "The longest time between records.")
            .optional()
            .default("10000"),
        long("messages", "count", "(DEPRECATED) As --num-records."),
        long("num-records", "count", "REQUIRED: The number of records to consume."),
        long("reporting-interval", "interval_ms", "Milliseconds between reports.").default("5000"),
        text("date-format", "date format", "The format of the time; only this one.")
            .default(DATE_FORMAT),
        flag("hide-header", "No header."),
        integer("threads", "count", ""),
        HELP,
        VERSION,
    ],
};

struct Setup {
    servers: String,
    topics: Topics,
    properties: Properties,
    records: u64,
    timeout: Duration,
    interval: Duration,
    detailed: bool,
}

fn setup(parsed: &Parsed) -> Result<Setup, ToolError> {
    let flags = ["bootstrap-server", "broker-list"];
    let Some(servers) = addresses(parsed, &flags, &Properties::new())? else {
        return Err(parsed.usage("Missing required argument \"[bootstrap-server]\""));
    };
    if parsed.has("messages") == parsed.has("num-records") {
        return Err(parsed.usage(
            "Exactly one of the following arguments is required: [messages], [num-records]",
        ));
    }
    if parsed.has("topic") == parsed.has("include") {
        return Err(
            parsed.usage("Exactly one of the following arguments is required: [topic], [include]")
        );
    }
    if parsed.has("messages") {
        println!("Warning: --messages is deprecated. Use --num-records instead.");
    }
    if parsed.value("date-format")? != Some(DATE_FORMAT) {
        return Err(ToolError::Failed(format!("--date-format: only '{DATE_FORMAT}' is available")));
    }
    let mut p = property_file(parsed, "consumer.config")?;
    p.extend(property_file(parsed, "command-config")?);
    p.extend(properties::pairs(parsed.values("command-property")));
    check_client(&p)?;
    let group = match parsed.value("group")? {
        Some(group) => group.to_owned(),
        None => format!("perf-consumer-{}", wall_ms() % 100_000),
    };
    p.insert("group.id".to_owned(), group);
    let reset = if parsed.has("from-latest") { "latest" } else { "earliest" };
    p.insert("auto.offset.reset".to_owned(), reset.to_owned());
    p.insert("check.crcs".to_owned(), "false".to_owned());
    let fetch = parsed.number::<i32>("fetch-size")?.unwrap_or(1 << 20);
    p.insert("max.partition.fetch.bytes".to_owned(), fetch.to_string());
    let topics = match (parsed.value("topic")?, parsed.value("include")?) {
        (Some(topic), _) => {
            crate::cli::names::check_topic(topic).map_err(|e| ToolError::Failed(e.to_string()))?;
            Topics::Named(vec![topic.to_owned()])
        }
        (None, pattern) => {
            let pattern = super::console_consumer::whole_name(pattern.unwrap_or_default())?;
            Topics::Matching(Box::new(move |name| pattern.is_match(name)))
        }
    };
    let count = if parsed.has("messages") { "messages" } else { "num-records" };
    let positive = |name: &str| parsed.number::<i64>(name).map(|n| n.unwrap_or(0).max(0) as u64);
    Ok(Setup {
        servers,
        topics,
        properties: p,
        records: positive(count)?,
        timeout: Duration::from_millis(positive("timeout")?),
        interval: Duration::from_millis(positive("reporting-interval")?.max(1)),
        detailed: parsed.has("show-detailed-stats"),
    })
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    records: u64,
    bytes: u64,
}

/// One line for what was read in `elapsed`, of which `joining` went by without partitions.
fn figures(now: Counts, before: Counts, elapsed: Duration, joining: Duration) -> String {
    let mb = |bytes: u64| bytes as f64 / 1_048_576.0;
    let (records, bytes) = (now.records - before.records, now.bytes - before.bytes);
    let seconds = elapsed.as_millis() as f64 / 1000.0;
    let fetching = elapsed.as_millis() as i64 - joining.as_millis() as i64;
    let fetch_seconds = fetching as f64 / 1000.0;
    // Java divides by what there is, and prints its infinity.
    let rate = |x: f64, y: f64| if y > 0.0 { x / y } else { 0.0 };
    format!(
        "{:.4}, {:.4}, {}, {:.4}, {}, {fetching}, {:.4}, {:.4}",
        mb(now.bytes),
        rate(mb(bytes), seconds),
        now.records,
        rate(records as f64, seconds),
        joining.as_millis(),
        rate(mb(bytes), fetch_seconds),
        rate(records as f64, fetch_seconds),
    )
}

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let about = "This tool is used to verify the consumer performance.";
    let parsed = parse_or_usage(&OPTIONS, args, about)?;
    let setup = setup(&parsed)?;
    let settings = client_settings::consumer(&setup.properties)?;
    let client_id =
        setup.properties.get("client.id").map_or("perf-consumer-client", String::as_str);
    let cluster = connect_as(&setup.servers, client_id)?;
    signal::catch();
    let mut out = io::stdout();
    if !parsed.has("hide-header") {
        let first = if setup.detailed { "time, threadId" } else { "start.time, end.time" };
        writeln!(
            out,
            "{first}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, \
             rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
        )?;
    }
    let mut consumer = Consumer::new(cluster, settings);
    consumer.subscribe(setup.topics);
    let (start_ms, start) = (wall_ms(), Instant::now());
    let (mut counts, mut reported) = (Counts::default(), Counts::default());
    let (mut joining, mut joining_now) = (Duration::ZERO, Duration::ZERO);
    let (mut last, mut last_report, mut join_start) = (start, start, start);
    while counts.records < setup.records
        && last.elapsed() <= setup.timeout
        && signal::stopped().is_none()
    {
        let before = counts.records;
        consumer.poll(Duration::from_millis(100), None, &mut |m| {
            counts.records += 1;
            let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len) as u64;
            counts.bytes += len(m.record.key) + len(m.record.value);
            ControlFlow::Continue(())
        })?;
        while let Some(notice) = consumer.notice() {
            match notice {
                Notice::Assigned(_) => {
                    let took = join_start.elapsed();
                    (joining, joining_now) = (joining + took, joining_now + took);
                    join_start = Instant::now();
                }
                Notice::Trouble(e) | Notice::CommitFailed(e) => {
                    // Who has closed the error output does not want to know.
                    let _ = writeln!(io::stderr(), "WARN {e}");
                }
                Notice::Reset { .. } => {}
            }
        }
        if counts.records == before {
            continue;
        }
        last = Instant::now();
        if last_report.elapsed() >= setup.interval {
            if setup.detailed {
                let line = figures(counts, reported, last_report.elapsed(), joining_now);
                writeln!(out, "{}, 0, {line}", show_date_time(wall_ms()))?;
            }
            (reported, last_report, joining_now) = (counts, last, Duration::ZERO);
        }
    }
    let elapsed = start.elapsed();
    if counts.records < setup.records && signal::stopped().is_none() {
        writeln!(
            out,
            "WARNING: Exiting before consuming the expected number of records: timeout ({} ms) \
             exceeded. You can use the --timeout option to increase the timeout.",
            setup.timeout.as_millis()
        )?;
    }
    let end_ms = wall_ms();
    consumer.close();
    if !setup.detailed {
        let line = figures(counts, Counts::default(), elapsed, joining);
        writeln!(out, "{}, {}, {line}", show_date_time(start_ms), show_date_time(end_ms))?;
    }
    if parsed.has("print-metrics") {
        let width = 75;
        writeln!(out, "\n{:width$}   Value", "Metric Name")?;
        let tags = format!("{{client-id={client_id}}}");
        for (name, value) in
            [("bytes-consumed-total", counts.bytes), ("records-consumed-total", counts.records)]
        {
            let name = format!("consumer-fetch-manager-metrics:{name}:{tags}");
            writeln!(out, "{name:width$} : {:.3}", value as f64)?;
        }
    }
    match signal::stopped() {
        Some(signal) => Err(ToolError::Exit(signal::exit_code(signal))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_all_and_of_the_interval() {
        let now = Counts { records: 300, bytes: 3 << 20 };
        let before = Counts { records: 100, bytes: 1 << 20 };
        let second = Duration::from_secs(1);
        assert_eq!(
            figures(now, before, 2 * second, second),
            "3.0000, 1.0000, 300, 100.0000, 1000, 1000, 2.0000, 200.0000"
        );
        let none = figures(now, before, second, 2 * second);
        assert!(none.ends_with("2000, -1000, 0.0000, 0.0000"), "{none}");
    }
}
