//! `kafka-console-producer`: lines of the standard input as messages.
//!
//! As Kafka's, but for its ends: a message that could not be delivered makes the exit code 1 (Kafka's
//! says so on the standard error output and exits with 0), and a name that is no topic's is refused at
//! once.

use super::ToolError;
use super::address::{addresses, check_client, property_file};
use super::client_settings;
use super::line_reader::{LineReader, Lines};
use super::options::{HELP, Options, Parsed, VERSION, ZOOKEEPER, flag, integer, long, text};
use super::properties::{self, Properties};
use crate::cli::names::check_topic;
use crate::cli::signal;
use crate::client::ClientError;
use crate::client::clock::wall_ms;
use crate::client::producer::{NewRecord, Producer};
use rustix::io::Errno;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

const LINE_READER: &str = "org.apache.kafka.tools.LineMessageReader";

const READER_PROPERTIES: &str = "\
Properties of the line reader in the form key=value.\nThe defaults are:\n parse.key=false\n \
parse.headers=false\n ignore.error=false\n key.separator=\\t\n headers.delimiter=\\t\n \
headers.separator=,\n headers.key.separator=:\n null.marker=   A key, value or header equal to this is \
null\nA line is then:\n parse.headers=true and parse.key=true:\n  \"h1:v1,h2:v2...\\tkey\\tvalue\"\n \
parse.key=true:\n  \"key\\tvalue\"\n parse.headers=true:\n  \"h1:v1,h2:v2...\\tvalue\"";

/// The options.
pub static OPTIONS: Options = Options {
    all: &[
        text("topic", "topic", "REQUIRED: The topic to produce messages to."),
        text(
            "bootstrap-server",
            "server to connect to",
            "REQUIRED: The brokers to connect to, as HOST1:PORT1,HOST2:PORT2.",
        ),
        text("broker-list", "brokers", ""),
        ZOOKEEPER,
        flag("sync", "Send the messages one at a time, each when the one before is confirmed."),
        text(
            "compression-codec",
            "compression-codec",
            "The compression codec: none, gzip, snappy, lz4 or zstd. Without a value it is gzip.",
        )
        .optional(),
        integer("batch-size", "size", "Bytes of a batch: batch.size of the producer.")
            .default("16384"),
        integer(
            "message-send-max-retries",
            "",
            "How often a batch that failed is sent again: retries of the producer.",
        )
        .default("3"),
        long(
            "retry-backoff-ms",
            "",
            "The time before a batch is sent again: retry.backoff.ms of the producer.",
        )
        .default("100"),
        long(
            "timeout",
            "timeout_ms",
            "How long a message may wait for a full batch: linger.ms of the producer.",
        )
        .default("1000"),
        text(
            "request-required-acks",
            "request required acks",
            "Who confirms a message: acks of the producer.",
        )
        .default("-1"),
        integer(
            "request-timeout-ms",
            "request timeout ms",
            "How long an answer may take: request.timeout.ms of the producer.",
        )
        .default("1500"),
        long(
            "metadata-expiry-ms",
            "metadata expiration interval",
            "The age at which metadata is asked for again: metadata.max.age.ms of the producer.",
        )
        .default("300000"),
        long("max-block-ms", "max block on send", "How long sending may wait for room or a topic.")
            .default("60000"),
        long(
            "max-memory-bytes",
            "total memory in bytes",
            "Bytes that may wait to be sent: buffer.memory of the producer.",
        )
        .default("33554432"),
        integer(
            "max-partition-memory-bytes",
            "memory in bytes per partition",
            "(Deprecated) As --batch-size, which it overrides.",
        )
        .default("16384"),
        text("line-reader", "reader_class", "The class that reads lines; only this one.")
            .default(LINE_READER),
        integer("socket-buffer-size", "size", "Accepted; the system chooses.").default("102400"),
        text("property", "prop", "(DEPRECATED) As --reader-property."),
        text("reader-property", "prop", READER_PROPERTIES),
        text(
            "reader-config",
            "config file",
            "A file of properties of the line reader; --reader-property overrides them.",
        ),
        text("producer-property", "producer_prop", "(DEPRECATED) As --command-property."),
        text(
            "command-property",
            "producer_prop",
            "Properties of the producer in the form key=value.",
        ),
        text("producer.config", "config file", "(DEPRECATED) As --command-config."),
        text(
            "command-config",
            "config file",
            "A file of properties of the producer; --command-property overrides them.",
        ),
        HELP,
        VERSION,
    ],
};

const ABOUT: &str = "This tool helps to read data from standard input and publish it to Kafka.";

/// Two options of which the first is the old name of the second: not both, and a warning.
pub fn deprecated(parsed: &Parsed, old: &str, new: &str, says: &str) -> Result<(), ToolError> {
    if parsed.has(old) && parsed.has(new) {
        let (first, second) = if says == "Option" { (old, new) } else { (new, old) };
        return Err(parsed
            .usage(&format!("Options --{first} and --{second} cannot be specified together.")));
    }
    if parsed.has(old) {
        println!(
            "{says} --{old} is deprecated and will be removed in a future version. Use --{new} \
             instead."
        );
    }
    Ok(())
}

/// Parses as those tools do that print all options after a mistake.
pub fn parse_or_usage(
    options: &Options,
    args: &[String],
    about: &str,
) -> Result<Parsed, ToolError> {
    options.parse_or_help(args, about).map_err(|e| match e {
        ToolError::Failed(what) => options.usage(&what),
        e => e,
    })
}

/// The topic, the reader of lines, and the producer's properties.
struct Setup {
    servers: String,
    topic: String,
    properties: Properties,
    reader: LineReader,
    sync: bool,
}

fn setup(parsed: &Parsed) -> Result<Setup, ToolError> {
    parsed.require(&["topic"])?;
    deprecated(parsed, "property", "reader-property", "Warning:")?;
    deprecated(parsed, "producer-property", "command-property", "Warning:")?;
    deprecated(parsed, "producer.config", "command-config", "Warning:")?;
    if parsed.has("max-partition-memory-bytes") {
        println!(
            "Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache Kafka \
             5.0. Use --batch-size instead."
        );
    }
    let mut p = property_file(parsed, "producer.config")?;
    p.extend(property_file(parsed, "command-config")?);
    p.extend(properties::pairs(parsed.values("producer-property")));
    p.extend(properties::pairs(parsed.values("command-property")));
    check_client(&p)?;
    let flags = ["bootstrap-server", "broker-list"];
    let servers = addresses(parsed, &flags, &Properties::new())?
        .filter(|s| !s.trim().is_empty())
        .ok_or_else(|| parsed.usage("Error while validating the bootstrap address\n"))?;
    let has_port =
        |host: &str| crate::config::host_port(host.trim(), 0).is_ok_and(|(_, port)| port > 0);
    if !servers.split(',').all(has_port) {
        return Err(parsed.usage("Please provide valid host:port like host1:9091,host2:9092\n"));
    }
    let codec = if parsed.has("compression-codec") {
        parsed.value("compression-codec")?.filter(|c| !c.is_empty()).unwrap_or("gzip")
    } else {
        "none"
    };
    p.insert("compression.type".to_owned(), codec.to_owned());
    let merged = [
        ("linger.ms", "timeout"),
        ("acks", "request-required-acks"),
        ("request.timeout.ms", "request-timeout-ms"),
        ("retries", "message-send-max-retries"),
        ("retry.backoff.ms", "retry-backoff-ms"),
        ("send.buffer.bytes", "socket-buffer-size"),
        ("buffer.memory", "max-memory-bytes"),
        ("batch.size", "batch-size"),
        ("batch.size", "max-partition-memory-bytes"),
        ("metadata.max.age.ms", "metadata-expiry-ms"),
        ("max.block.ms", "max-block-ms"),
    ];
    for (property, option) in merged {
        if parsed.has(option) || !p.contains_key(property) {
            if option != "request-required-acks" {
                parsed.number::<i64>(option)?;
            }
            let value = parsed.value(option)?.unwrap_or_default();
            p.insert(property.to_owned(), value.to_owned());
        }
    }
    let reader_class = parsed.value("line-reader")?.unwrap_or(LINE_READER);
    if !["LineMessageReader", LINE_READER, "kafka.tools.ConsoleProducer$LineMessageReader"]
        .contains(&reader_class)
    {
        return Err(ToolError::Failed(format!(
            "--line-reader {reader_class}: there are no classes here; leave the option out, or use \
             {LINE_READER}"
        )));
    }
    let mut of_reader = match parsed.value("reader-config")? {
        Some(path) => properties::load(path)?,
        None => Properties::new(),
    };
    of_reader.extend(properties::pairs(parsed.values("property")));
    of_reader.extend(properties::pairs(parsed.values("reader-property")));
    let topic = parsed.value("topic")?.unwrap_or_default().to_owned();
    check_topic(&topic).map_err(|e| ToolError::Failed(e.to_string()))?;
    let reader = LineReader::new(&of_reader)?;
    Ok(Setup { servers, topic, properties: p, reader, sync: parsed.has("sync") })
}

/// Prints an error for each batch that was not delivered; true if there was one.
fn report(producer: &mut Producer) -> bool {
    let mut failed = false;
    while let Some(delivery) = producer.delivered() {
        if let Err(e) = delivery.result {
            failed = true;
            let topic = producer.topic_name(delivery.topic);
            // Who has closed the error output does not want to know.
            let _ = writeln!(
                io::stderr(),
                "ERROR Error when sending {} message(s) to topic {topic}: {e}",
                delivery.records
            );
        }
    }
    failed
}

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let parsed = parse_or_usage(&OPTIONS, args, ABOUT)?;
    let mut setup = setup(&parsed)?;
    let settings = client_settings::producer(&setup.properties)?;
    let client_id = setup.properties.get("client.id").map_or("console-producer", String::as_str);
    let cluster = super::address::connect_as(&setup.servers, client_id)?;
    signal::catch();
    let mut producer = Producer::new(cluster, settings);
    let topic = producer.topic(&setup.topic)?;
    let prompts = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut failed = false;
    let read = produce(&mut producer, topic, &mut setup, prompts, &mut failed);
    producer.flush(|| false);
    failed |= report(&mut producer);
    read?;
    match signal::stopped() {
        Some(signal) => Err(ToolError::Exit(signal::exit_code(signal))),
        None if failed => Err(ToolError::Exit(1)),
        None => Ok(()),
    }
}

fn prompt(prompts: bool) {
    if prompts {
        let mut out = io::stdout();
        let _ = out.write_all(b">").and_then(|()| out.flush());
    }
}

fn produce(
    producer: &mut Producer,
    topic: usize,
    setup: &mut Setup,
    prompts: bool,
    failed: &mut bool,
) -> Result<(), ToolError> {
    let mut input = io::stdin().lock();
    let mut lines = Lines::default();
    let mut chunk = vec![0; 64 << 10];
    let sync = setup.sync;
    let reader = &mut setup.reader;
    let mut send = |producer: &mut Producer, line: &[u8], failed: &mut bool| {
        let message = reader.read(line)?;
        let record = NewRecord {
            timestamp: wall_ms(),
            key: message.key,
            value: message.value,
            headers: &message.headers,
            tag: 0,
        };
        match producer.send(topic, None, &record) {
            Ok(()) => {}
            // One message too large does not stop the others.
            Err(e @ ClientError::RecordTooLarge { .. }) => {
                *failed = true;
                eprintln!("ERROR Error when sending 1 message(s): {e}");
            }
            Err(e) => return Err(e.into()),
        }
        if sync {
            producer.flush(|| false);
            if report(producer) {
                return Err(ToolError::Exit(1));
            }
        }
        prompt(prompts);
        Ok::<(), ToolError>(())
    };
    prompt(prompts);
    while signal::stopped().is_none() {
        let readable = producer.poll(Duration::from_millis(500), Some(input.as_fd()));
        *failed |= report(producer);
        if !readable {
            continue;
        }
        let count = match input.read(&mut chunk) {
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            // A terminal that went away.
            Err(e) if e.raw_os_error() == Some(Errno::IO.raw_os_error()) => 0,
            Err(e) => return Err(ToolError::Failed(format!("standard input: {e}"))),
        };
        if count == 0 {
            if let Some(rest) = lines.rest() {
                send(producer, &rest, failed)?;
            }
            return Ok(());
        }
        lines.push(&chunk[..count], |line| send(producer, line, failed))?;
    }
    Ok(())
}
