//! `kafka-console-consumer`: prints the messages of topics.

use super::ToolError;
use super::address::{addresses, check_client, connect_as, property_file};
use super::client_settings;
use super::console_producer::{deprecated, parse_or_usage};
use super::error::client_message;
use super::formatter::{FormatError, Formatter};
use super::options::{HELP, Options, Parsed, VERSION, ZOOKEEPER, flag, integer, long, text};
use super::properties::{self, Properties};
use crate::cli::signal;
use crate::client::consumer::{Consumer, Notice, StartAt, Topics};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

const FORMATTER: &str = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";

const FORMATTER_PROPERTIES: &str = "\
Properties of the formatter:\n print.timestamp=true|false\n print.key=true|false\n \
print.offset=true|false\n print.epoch=true|false\n print.partition=true|false\n \
print.headers=true|false\n print.value=true|false\n key.separator=<key.separator>\n \
line.separator=<line.separator>\n headers.separator=<headers.separator>\n \
null.literal=<null.literal>\n key.deserializer=<key.deserializer>\n \
value.deserializer=<value.deserializer>\n headers.deserializer=<headers.deserializer>\nDeserializers \
are those of org.apache.kafka.common.serialization.";

/// The options.
pub static OPTIONS: Options = Options {
    all: &[
        text("topic", "topic", "The topic to consume from."),
        text(
            "include",
            "regex",
            "Regular expression of the topics to consume from; it has to match the whole name.",
        ),
        text("whitelist", "regex", ""),
        text("blacklist", "regex", ""),
        integer(
            "partition",
            "partition",
            "The partition to consume from, from its end on unless --offset says otherwise.",
        ),
        text(
            "offset",
            "consume offset",
            "The offset to consume from: a number, earliest or latest.",
        )
        .default("latest"),
        text("consumer-property", "consumer_prop", "(DEPRECATED) As --command-property."),
        text(
            "command-property",
            "consumer_prop",
            "Properties of the consumer in the form key=value.",
        ),
        text("consumer.config", "config file", "(DEPRECATED) As --command-config."),
        text(
            "command-config",
            "config file",
            "A file of properties of the consumer; --command-property overrides them.",
        ),
        text(
            "formatter",
            "class",
            "The class that prints messages: Default, Logging, NoOp, Offsets or \
             GroupMetadataMessageFormatter of org.apache.kafka.tools.consumer.",
        )
        .default(FORMATTER),
        text("property", "prop", "(DEPRECATED) As --formatter-property."),
        text("formatter-property", "prop", FORMATTER_PROPERTIES),
        text(
            "formatter-config",
            "config file",
            "A file of properties of the formatter; --formatter-property overrides them.",
        ),
        flag(
            "from-beginning",
            "Where the group has no offset yet, start with the first message that there is rather \
             than with the next one to come.",
        ),
        integer("max-messages", "num_messages", "Stop after so many messages. Without it, never."),
        long("timeout-ms", "timeout_ms", "Stop if no message comes for so long."),
        flag("skip-message-on-error", "Go on after a message that cannot be printed."),
        text("bootstrap-server", "server to connect to", "REQUIRED: The brokers to connect to."),
        ZOOKEEPER,
        flag("new-consumer", ""),
        text("key-deserializer", "deserializer for keys", "As the property key.deserializer."),
        text(
            "value-deserializer",
            "deserializer for values",
            "As the property value.deserializer.",
        ),
        flag("enable-systest-events", "Say when the consumer has shut down. For system tests."),
        text("isolation-level", "", "read_committed or read_uncommitted.")
            .default("read_uncommitted"),
        text("group", "consumer group id", "The consumer group of the consumer."),
        HELP,
        VERSION,
    ],
};

const ABOUT: &str =
    "This tool helps to read data from Kafka topics and outputs it to standard output.";

struct Setup {
    servers: String,
    topic: Option<String>,
    include: Option<String>,
    partition: Option<(i32, StartAt)>,
    properties: Properties,
    formatter: Formatter,
    max_messages: Option<u64>,
    timeout: Option<Duration>,
    skip_errors: bool,
    systest: bool,
}

fn setup(parsed: &Parsed) -> Result<Setup, ToolError> {
    let include = parsed.value("include")?.or(parsed.value("whitelist")?);
    if parsed.has("blacklist") {
        return Err(parsed.usage("--blacklist is gone since Kafka 3.0; use --include"));
    }
    if parsed.has("topic") == include.is_some() {
        return Err(
            parsed.usage("Exactly one of the following arguments is required: [topic], [include]")
        );
    }
    if parsed.has("partition") {
        if !parsed.has("topic") {
            return Err(parsed.usage("The topic is required when partition is specified."));
        }
        if parsed.has("from-beginning") && parsed.has("offset") {
            return Err(
                parsed.usage("Options from-beginning and offset cannot be specified together.")
            );
        }
    } else if parsed.has("offset") {
        return Err(parsed.usage("The partition is required when offset is specified."));
    }
    let servers = addresses(parsed, &["bootstrap-server"], &Properties::new())?;
    let Some(servers) = servers else {
        return Err(parsed.usage("Missing required argument \"[bootstrap-server]\""));
    };
    deprecated(parsed, "property", "formatter-property", "Option")?;
    deprecated(parsed, "consumer-property", "command-property", "Option")?;
    deprecated(parsed, "consumer.config", "command-config", "Option")?;
    let mut of_file = property_file(parsed, "consumer.config")?;
    of_file.extend(property_file(parsed, "command-config")?);
    let mut of_words = properties::pairs(parsed.values("consumer-property"));
    of_words.extend(properties::pairs(parsed.values("command-property")));
    let properties = consumer_properties(parsed, of_file, of_words)?;
    check_client(&properties)?;
    let partition = match parsed.number("partition")? {
        Some(partition) => Some((partition, start(parsed)?)),
        None => None,
    };
    let timeout = parsed.number::<i64>("timeout-ms")?.and_then(|ms| u64::try_from(ms).ok());
    let max_messages = parsed.number::<i32>("max-messages")?;
    Ok(Setup {
        servers,
        topic: parsed.value("topic")?.map(str::to_owned),
        include: include.map(str::to_owned),
        partition,
        properties,
        formatter: formatter(parsed)?,
        max_messages: max_messages.and_then(|n| u64::try_from(n).ok()),
        timeout: timeout.map(Duration::from_millis),
        skip_errors: parsed.has("skip-message-on-error"),
        systest: parsed.has("enable-systest-events"),
    })
}

/// The properties with the group, which several options may name, and the defaults of a consumer without
/// one.
fn consumer_properties(
    parsed: &Parsed,
    of_file: Properties,
    of_words: Properties,
) -> Result<Properties, ToolError> {
    let mut groups: Vec<String> = parsed.value("group")?.map(str::to_owned).into_iter().collect();
    for more in [of_file.get("group.id"), of_words.get("group.id")].into_iter().flatten() {
        if !groups.contains(more) {
            groups.push(more.clone());
        }
    }
    if groups.len() > 1 {
        let detected: Vec<String> = groups.iter().map(|g| format!("'{g}'")).collect();
        return Err(parsed.usage(&format!(
            "The group ids provided in different places (directly using '--group', via \
             '--consumer-property', or via '--consumer.config') do not match. Detected group ids: {}",
            detected.join(", ")
        )));
    }
    if !groups.is_empty() && parsed.has("partition") {
        return Err(parsed.usage("Options group and partition cannot be specified together."));
    }
    let mut p = of_file;
    p.extend(of_words);
    let from_beginning = parsed.has("from-beginning");
    match p.get("auto.offset.reset") {
        Some(reset) if from_beginning && reset != "earliest" => {
            return Err(ToolError::Failed(format!(
                "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', \
                 please remove one option"
            )));
        }
        Some(_) => {}
        None => {
            let reset = if from_beginning { "earliest" } else { "latest" };
            p.insert("auto.offset.reset".to_owned(), reset.to_owned());
        }
    }
    if parsed.has("isolation-level") || !p.contains_key("isolation.level") {
        let level = parsed.value("isolation-level")?.unwrap_or("read_uncommitted");
        p.insert("isolation.level".to_owned(), level.to_owned());
    }
    if let Some(group) = groups.pop() {
        p.insert("group.id".to_owned(), group);
    } else {
        // A group of its own, whose offsets nobody will ask for again.
        let number = uuid::Uuid::new_v4().as_u64_pair().1 % 100_000;
        p.insert("group.id".to_owned(), format!("console-consumer-{number}"));
        p.entry("enable.auto.commit".to_owned()).or_insert_with(|| "false".to_owned());
    }
    Ok(p)
}

fn start(parsed: &Parsed) -> Result<StartAt, ToolError> {
    if !parsed.has("offset") {
        return Ok(StartAt::Reset);
    }
    let text = parsed.value("offset")?.unwrap_or("latest");
    match text.to_ascii_lowercase().as_str() {
        "earliest" | "latest" => Ok(StartAt::Reset),
        _ => match text.parse::<i64>() {
            Ok(offset) if offset >= 0 => Ok(StartAt::Offset(offset)),
            _ => Err(parsed.usage(&format!(
                "The provided offset value '{text}' is incorrect. Valid values are 'earliest', \
                 'latest', or a non-negative long."
            ))),
        },
    }
}

fn formatter(parsed: &Parsed) -> Result<Formatter, ToolError> {
    let mut p = match parsed.value("formatter-config")? {
        Some(path) => properties::load(path)?,
        None => Properties::new(),
    };
    for (option, property) in
        [("key-deserializer", "key.deserializer"), ("value-deserializer", "value.deserializer")]
    {
        if let Some(class) = parsed.value(option)?.filter(|c| !c.is_empty()) {
            p.insert(property.to_owned(), class.to_owned());
        }
    }
    p.extend(properties::pairs(parsed.values("property")));
    p.extend(properties::pairs(parsed.values("formatter-property")));
    let class = parsed.value("formatter")?.unwrap_or(FORMATTER);
    Formatter::new(class, &p).map_err(|e| match e {
        ToolError::Failed(what) => parsed.usage(&what),
        e => e,
    })
}

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let parsed = parse_or_usage(&OPTIONS, args, ABOUT)?;
    let mut setup = setup(&parsed)?;
    if parsed.has("offset") && setup.partition.is_some_and(|(_, at)| at == StartAt::Reset) {
        let word = parsed.value("offset")?.unwrap_or("latest").to_ascii_lowercase();
        setup.properties.insert("auto.offset.reset".to_owned(), word);
    }
    let settings = client_settings::consumer(&setup.properties)?;
    let pattern = setup.include.as_deref().map(whole_name).transpose()?;
    if let Some(topic) = &setup.topic {
        crate::cli::names::check_topic(topic).map_err(|e| ToolError::Failed(e.to_string()))?;
    }
    let client_id = setup.properties.get("client.id").map_or("console-consumer", String::as_str);
    let cluster = connect_as(&setup.servers, client_id)?;
    signal::catch();
    let mut consumer = Consumer::new(cluster, settings);
    match (&setup.topic, pattern, setup.partition) {
        (Some(topic), _, Some((partition, start))) => {
            consumer.assign(&[(topic, partition, start)]);
        }
        (Some(topic), _, None) => consumer.subscribe(Topics::Named(vec![topic.clone()])),
        (None, Some(pattern), _) => {
            consumer.subscribe(Topics::Matching(Box::new(move |name| pattern.is_match(name))));
        }
        (None, None, _) => {}
    }
    let stdout = io::stdout();
    let printer = Printer {
        setup: &setup,
        each: stdout.is_terminal(),
        out: BufWriter::with_capacity(64 << 10, stdout),
        count: 0,
        failure: None,
        told: Vec::new(),
    };
    printer.run(consumer)
}

/// A regular expression that has to match all of a name.
pub fn whole_name(pattern: &str) -> Result<regex::Regex, ToolError> {
    regex::Regex::new(&format!("^(?:{pattern})$")).map_err(|_| {
        ToolError::Failed(format!("--include {pattern}: it is not a regular expression"))
    })
}

struct Printer<'a> {
    setup: &'a Setup,
    /// Whether the output is a terminal: then every message is flushed at once.
    each: bool,
    out: BufWriter<Stdout>,
    count: u64,
    failure: Option<FormatError>,
    /// Problems that were printed since the last message.
    told: Vec<String>,
}

impl Printer<'_> {
    fn run(mut self, mut consumer: Consumer) -> Result<(), ToolError> {
        let ended = self.consume(&mut consumer);
        let unwritten = self.out.flush().is_err();
        for notice in consumer.close() {
            self.tell(notice);
        }
        let writes = !unwritten && !matches!(ended, Err(ToolError::ClosedPipe));
        if !writes {
            let _ = writeln!(io::stderr(), "Unable to write to standard out, closing consumer.");
        }
        let _ = writeln!(io::stderr(), "Processed a total of {} messages", self.count);
        if self.setup.systest && writes {
            println!("shutdown_complete");
        }
        match (ended, signal::stopped()) {
            (Err(ToolError::ClosedPipe), _) | (Ok(()), None) => Ok(()),
            (Err(e), _) => Err(e),
            (Ok(()), Some(signal)) => Err(ToolError::Exit(signal::exit_code(signal))),
        }
    }

    fn is_done(&self) -> bool {
        signal::stopped().is_some() || self.setup.max_messages.is_some_and(|max| self.count >= max)
    }

    fn consume(&mut self, consumer: &mut Consumer) -> Result<(), ToolError> {
        let mut last = Instant::now();
        while !self.is_done() {
            let wait = self.setup.timeout.map_or(Duration::from_millis(500), |timeout| {
                timeout.saturating_sub(last.elapsed()).min(Duration::from_millis(500))
            });
            let before = self.count;
            let polled = consumer.poll(wait, None, &mut |message| self.print(message));
            self.out.flush()?;
            match self.failure.take() {
                None => {}
                Some(FormatError::Io(e)) => return Err(e.into()),
                Some(FormatError::Data(why)) => {
                    return Err(ToolError::Failed(format!(
                        "ERROR Unknown error when running consumer: {why}"
                    )));
                }
            }
            while let Some(notice) = consumer.notice() {
                self.tell(notice);
            }
            if let Err(e) = polled {
                let why = client_message(&e);
                return Err(ToolError::Failed(format!(
                    "ERROR Error processing message, terminating consumer process: {why}"
                )));
            }
            if self.count > before {
                last = Instant::now();
                self.told.clear();
            } else if self.setup.timeout.is_some_and(|timeout| last.elapsed() >= timeout) {
                let _ = writeln!(
                    io::stderr(),
                    "ERROR Error processing message, terminating consumer process: \
                     (org.apache.kafka.tools.consumer.ConsoleConsumer)\n\
                     org.apache.kafka.common.errors.TimeoutException"
                );
                return Ok(());
            }
            if signal::reader_left(self.out.get_ref()) {
                return Err(ToolError::ClosedPipe);
            }
        }
        Ok(())
    }

    fn print(&mut self, message: &crate::client::consumer::Fetched<'_>) -> ControlFlow<()> {
        self.count += 1;
        let mut result = self.setup.formatter.print(message, &mut self.out);
        if self.setup.skip_errors
            && let Err(FormatError::Data(why)) = &result
        {
            let _ = writeln!(
                io::stderr(),
                "ERROR Error processing message, skipping this message: {why}"
            );
            result = Ok(());
        }
        if self.each && result.is_ok() {
            result = self.out.flush().map_err(FormatError::Io);
        }
        self.failure = result.err();
        if self.failure.is_some() || self.is_done() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Prints a problem once, and not with every attempt.
    fn tell(&mut self, notice: Notice) {
        let text = match notice {
            Notice::Assigned(_) => return,
            Notice::Trouble(e) => format!("WARN {}; trying again", client_message(&e)),
            Notice::CommitFailed(e) => format!("WARN {}", client_message(&e)),
            Notice::Reset { topic, partition, offset } => format!(
                "INFO partition {partition} of topic '{topic}' does not have the offset; going on at \
                 {offset}"
            ),
        };
        if !self.told.contains(&text) {
            let _ = writeln!(io::stderr(), "{text}");
            self.told.push(text);
        }
    }
}
