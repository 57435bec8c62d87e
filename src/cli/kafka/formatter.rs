//! How `kafka-console-consumer` prints a message: Kafka's formatters by the names of their classes.

use super::ToolError;
use super::internal_records as internal;
use super::properties::Properties;
use crate::client::consumer::Fetched;
use std::io::{self, Write};

/// Why a message is not printed.
#[derive(Debug)]
pub enum FormatError {
    /// Writing to the output failed.
    Io(io::Error),
    /// The message is not what the deserializer expects.
    Data(String),
}

impl From<io::Error> for FormatError {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

/// A formatter.
#[derive(Clone, Debug)]
pub enum Formatter {
    /// Parts of the message, with separators.
    Default(Parts),
    /// The same, and the message again as a line of log.
    Logging(Parts),
    /// Nothing.
    NoOp,
    /// Commits in `__consumer_offsets`, as JSON.
    Offsets,
    /// Groups in `__consumer_offsets`, as JSON.
    GroupMetadata,
}

/// The parts of a message to print, and the separators.
#[derive(Clone, Debug)]
pub struct Parts {
    timestamp: bool,
    key: bool,
    offset: bool,
    partition: bool,
    headers: bool,
    value: bool,
    epoch: bool,
    delivery: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null_literal: Vec<u8>,
    key_deserializer: Deserializer,
    value_deserializer: Deserializer,
    headers_deserializer: Deserializer,
}

/// How bytes become text: Kafka's deserializers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deserializer {
    /// As they are: no deserializer, `ByteArrayDeserializer`, `ByteBufferDeserializer`.
    Raw,
    String,
    Bytes,
    Short,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Uuid,
    Void,
}

const COMMON: &str = "org.apache.kafka.common.serialization.";

impl Deserializer {
    fn named(class: &str) -> Option<Self> {
        let name = class.strip_prefix(COMMON)?.strip_suffix("Deserializer")?;
        Some(match name {
            "ByteArray" | "ByteBuffer" => Self::Raw,
            "String" => Self::String,
            "Bytes" => Self::Bytes,
            "Short" => Self::Short,
            "Integer" => Self::Integer,
            "Long" => Self::Long,
            "Float" => Self::Float,
            "Double" => Self::Double,
            "Boolean" => Self::Boolean,
            "UUID" => Self::Uuid,
            "Void" => Self::Void,
            _ => return None,
        })
    }

    fn print(self, bytes: &[u8], out: &mut dyn Write) -> Result<(), FormatError> {
        fn fixed<const N: usize>(bytes: &[u8], name: &str) -> Result<[u8; N], FormatError> {
            bytes.try_into().map_err(|_| {
                FormatError::Data(format!("Size of data received by {name}Deserializer is not {N}"))
            })
        }
        match self {
            Self::Raw => out.write_all(bytes)?,
            Self::String => out.write_all(String::from_utf8_lossy(bytes).as_bytes())?,
            Self::Bytes => {
                for byte in bytes {
                    match byte {
                        b'\\' => out.write_all(b"\\\\")?,
                        b' '..=b'~' => out.write_all(&[*byte])?,
                        _ => write!(out, "\\x{byte:02X}")?,
                    }
                }
            }
            Self::Short => write!(out, "{}", i16::from_be_bytes(fixed(bytes, "Short")?))?,
            Self::Integer => write!(out, "{}", i32::from_be_bytes(fixed(bytes, "Integer")?))?,
            Self::Long => write!(out, "{}", i64::from_be_bytes(fixed(bytes, "Long")?))?,
            Self::Float => write!(out, "{:?}", f32::from_be_bytes(fixed(bytes, "Float")?))?,
            Self::Double => write!(out, "{:?}", f64::from_be_bytes(fixed(bytes, "Double")?))?,
            Self::Boolean => match fixed::<1>(bytes, "Boolean")? {
                [0] => out.write_all(b"false")?,
                [1] => out.write_all(b"true")?,
                [other] => {
                    let why = format!("Unexpected byte received by BooleanDeserializer: {other}");
                    return Err(FormatError::Data(why));
                }
            },
            Self::Uuid => {
                let text =
                    std::str::from_utf8(bytes).ok().and_then(|t| uuid::Uuid::parse_str(t).ok());
                match text {
                    Some(id) => write!(out, "{id}")?,
                    None => {
                        let why = "Error parsing data into UUID".to_owned();
                        return Err(FormatError::Data(why));
                    }
                }
            }
            Self::Void if bytes.is_empty() => out.write_all(b"null")?,
            Self::Void => {
                return Err(FormatError::Data(
                    "Data should be null for a VoidDeserializer.".to_owned(),
                ));
            }
        }
        Ok(())
    }
}

impl Formatter {
    /// The formatter of this class, as the properties say.
    ///
    /// # Errors
    /// There is no such class here: its name, as Kafka says it.
    pub fn new(class: &str, properties: &Properties) -> Result<Self, ToolError> {
        let name = class
            .strip_prefix("org.apache.kafka.tools.consumer.")
            .or_else(|| class.strip_prefix("kafka.tools."))
            .or_else(|| class.strip_prefix("kafka.coordinator.group.GroupMetadataManager$"))
            .unwrap_or("");
        match name {
            "DefaultMessageFormatter" => Parts::new(properties).map(Self::Default),
            "LoggingMessageFormatter" => Parts::new(properties).map(Self::Logging),
            "NoOpMessageFormatter" => Ok(Self::NoOp),
            "OffsetsMessageFormatter" => Ok(Self::Offsets),
            "GroupMetadataMessageFormatter" => Ok(Self::GroupMetadata),
            _ => Err(ToolError::Failed(class.to_owned())),
        }
    }

    /// Prints a message.
    pub fn print(&self, message: &Fetched<'_>, out: &mut dyn Write) -> Result<(), FormatError> {
        match self {
            Self::Default(parts) => parts.print(message, out),
            Self::Logging(parts) => {
                parts.print(message, out)?;
                let kind = if message.log_append_time { "LogAppendTime" } else { "CreateTime" };
                let text = |bytes: Option<&[u8]>, null: &str| {
                    bytes.map_or_else(
                        || null.to_owned(),
                        |b| String::from_utf8_lossy(b).into_owned(),
                    )
                };
                let key = match message.record.key {
                    Some(key) => format!("{}, ", text(Some(key), "")),
                    None => "null ".to_owned(),
                };
                let time = match message.record.timestamp {
                    -1 => String::new(),
                    at => format!("{kind}:{at}, "),
                };
                let value = text(message.record.value, "null");
                // Who has closed the error output does not want the log.
                let _ = writeln!(io::stderr(), "INFO {time}key:{key}value:{value}");
                Ok(())
            }
            Self::NoOp => Ok(()),
            Self::Offsets => json(internal::offsets(message.record.key, message.record.value), out),
            Self::GroupMetadata => {
                json(internal::group_metadata(message.record.key, message.record.value), out)
            }
        }
    }
}

fn json(shown: Result<Option<String>, String>, out: &mut dyn Write) -> Result<(), FormatError> {
    match shown {
        // As Kafka's: nothing stands between two of them.
        Ok(Some(text)) => Ok(out.write_all(text.as_bytes())?),
        Ok(None) => Ok(()),
        Err(why) => Err(FormatError::Data(why)),
    }
}

impl Parts {
    fn new(p: &Properties) -> Result<Self, ToolError> {
        let truth = |name: &str, default: bool| {
            p.get(name).map_or(default, |v| v.trim().eq_ignore_ascii_case("true"))
        };
        let text = |name: &str, default: &str| {
            p.get(name).map_or(default, String::as_str).as_bytes().to_vec()
        };
        let deserializer = |name: &str| {
            match p.get(name).filter(|class| !class.is_empty()) {
            None => Ok(Deserializer::Raw),
            Some(class) => Deserializer::named(class).ok_or_else(|| {
                ToolError::Failed(format!(
                    "{name}={class}: use ByteArray, String, Short, Integer, Long, Float, Double, \
                     Boolean, Bytes, UUID or VoidDeserializer of org.apache.kafka.common.serialization"
                ))
            }),
        }
        };
        Ok(Self {
            timestamp: truth("print.timestamp", false),
            key: truth("print.key", false),
            offset: truth("print.offset", false),
            partition: truth("print.partition", false),
            headers: truth("print.headers", false),
            value: truth("print.value", true),
            epoch: truth("print.epoch", false),
            delivery: truth("print.delivery", false),
            key_separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null_literal: text("null.literal", "null"),
            key_deserializer: deserializer("key.deserializer")?,
            value_deserializer: deserializer("value.deserializer")?,
            headers_deserializer: deserializer("headers.deserializer")?,
        })
    }

    fn bytes(
        &self,
        deserializer: Deserializer,
        bytes: Option<&[u8]>,
        out: &mut dyn Write,
    ) -> Result<(), FormatError> {
        match bytes {
            Some(bytes) => deserializer.print(bytes, out),
            None => Ok(out.write_all(&self.null_literal)?),
        }
    }

    fn print(&self, m: &Fetched<'_>, out: &mut dyn Write) -> Result<(), FormatError> {
        let record = m.record;
        // Between two parts stands the separator, after the last one the end of the line.
        let after = |more: bool| if more { &self.key_separator } else { &self.line_separator };
        let mut more = self.key || self.value;
        let after_headers = more;
        more |= self.headers;
        let after_epoch = more;
        more |= self.epoch;
        let after_delivery = more;
        more |= self.delivery;
        let after_offset = more;
        more |= self.offset;
        let after_partition = more;
        more |= self.partition;
        let after_timestamp = more;
        if self.timestamp {
            let kind = if m.log_append_time { "LogAppendTime" } else { "CreateTime" };
            write!(out, "{kind}:{}", record.timestamp)?;
            out.write_all(after(after_timestamp))?;
        }
        if self.partition {
            write!(out, "Partition:{}", m.partition)?;
            out.write_all(after(after_partition))?;
        }
        if self.offset {
            write!(out, "Offset:{}", record.offset)?;
            out.write_all(after(after_offset))?;
        }
        if self.delivery {
            out.write_all(b"Delivery:NOT_PRESENT")?;
            out.write_all(after(after_delivery))?;
        }
        if self.epoch {
            match m.leader_epoch {
                ..0 => out.write_all(b"Epoch:NOT_PRESENT")?,
                epoch => write!(out, "Epoch:{epoch}")?,
            }
            out.write_all(after(after_epoch))?;
        }
        if self.headers {
            let headers = record.headers.clone();
            if headers.len() == 0 {
                out.write_all(b"NO_HEADERS")?;
            }
            for (i, (name, value)) in headers.enumerate() {
                out.write_all(if i > 0 { &self.headers_separator } else { b"" })?;
                out.write_all(name)?;
                out.write_all(b":")?;
                self.bytes(self.headers_deserializer, value, out)?;
            }
            out.write_all(after(after_headers))?;
        }
        if self.key {
            self.bytes(self.key_deserializer, record.key, out)?;
            out.write_all(after(self.value))?;
        }
        if self.value {
            self.bytes(self.value_deserializer, record.value, out)?;
            out.write_all(&self.line_separator)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::properties::pairs;
    use super::*;
    use crate::wire::records::{BatchBuilder, Compression, records};

    fn shown(words: &[&str], key: Option<&[u8]>, value: Option<&[u8]>, headers: bool) -> String {
        let mut builder = BatchBuilder::new(Compression::None).appended_at(7, 3);
        let all: [(&str, Option<&[u8]>); 2] = [("h", Some(b"1")), ("n", None)];
        builder.push(1234, key, value, if headers { &all } else { &[] });
        let batch = builder.build();
        let opened = records(&batch, 1 << 20).expect("a batch");
        let record = opened.iter().next().expect("one").expect("a record");
        let fetched = Fetched {
            topic: "t",
            partition: 2,
            leader_epoch: 3,
            log_append_time: false,
            record: &record,
        };
        let class = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";
        let formatter = Formatter::new(class, &pairs(words.iter().copied())).expect("a formatter");
        let mut out = Vec::new();
        match formatter.print(&fetched, &mut out) {
            Ok(()) => String::from_utf8(out).expect("text"),
            Err(FormatError::Data(why)) => why,
            Err(FormatError::Io(e)) => panic!("{e}"),
        }
    }

    #[test]
    fn parts_come_in_kafkas_order() {
        let (k, v) = (Some(&b"k"[..]), Some(&b"v"[..]));
        assert_eq!(shown(&[], k, v, true), "v\n");
        let all = [
            "print.key=true",
            "print.timestamp=true",
            "print.headers=true",
            "print.offset=true",
            "print.partition=true",
            "print.epoch=true",
        ];
        assert_eq!(
            shown(&all, k, v, true),
            "CreateTime:1234\tPartition:2\tOffset:7\tEpoch:3\th:1,n:null\tk\tv\n"
        );
        assert_eq!(shown(&all[2..3], k, v, false), "NO_HEADERS\tv\n");
        assert_eq!(shown(&["print.value=false", "print.key=true"], k, v, false), "k\n");
        let own = ["print.key=true", "key.separator=|", "line.separator=;", "null.literal=-"];
        assert_eq!(shown(&own, None, None, false), "-|-;");
    }

    #[test]
    fn deserializers_by_class() {
        let value = |name: &str, bytes: &[u8]| {
            let word = format!("value.deserializer={COMMON}{name}Deserializer");
            shown(&[&word], None, Some(bytes), false)
        };
        assert_eq!(value("String", b"a\xff"), "a\u{fffd}\n");
        assert_eq!(value("ByteArray", b"a"), "a\n");
        assert_eq!(value("Integer", &[0, 0, 1, 0]), "256\n");
        assert_eq!(value("Long", &(-5i64).to_be_bytes()), "-5\n");
        assert_eq!(value("Double", &1.0f64.to_be_bytes()), "1.0\n");
        assert_eq!(value("Long", b"a"), "Size of data received by LongDeserializer is not 8");
        assert_eq!(value("Bytes", b"a\\\x01"), "a\\\\\\x01\n");
        assert!(Formatter::new("foo", &pairs([])).is_err());
        let unknown = pairs(["key.deserializer=foo"]);
        let class = "org.apache.kafka.tools.consumer.LoggingMessageFormatter";
        assert!(Formatter::new(class, &unknown).is_err());
    }
}
