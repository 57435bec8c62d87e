//! Printing messages.

use crate::wire::records::Record;
use data_encoding::BASE64;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// The parts of a message to print; its value is always printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Format {
    /// One JSON object a line, with everything.
    pub json: bool,
    /// The key.
    pub key: bool,
    /// The headers.
    pub headers: bool,
    /// Partition and offset.
    pub offset: bool,
    /// The timestamp.
    pub timestamp: bool,
}

/// Prints one message as a line: the parts that were asked for, with tabs between them, the value
/// last. Bytes of key and value go out as they are.
pub fn print(
    out: &mut impl Write,
    format: Format,
    topic: &str,
    partition: i32,
    record: &Record<'_>,
) -> io::Result<()> {
    if format.json {
        serde_json::to_writer(&mut *out, &as_json(topic, partition, record))?;
        return out.write_all(b"\n");
    }
    if format.timestamp {
        write!(out, "{}\t", record.timestamp)?;
    }
    if format.offset {
        write!(out, "{partition}:{}\t", record.offset)?;
    }
    if format.headers {
        for (i, (name, value)) in record.headers.clone().enumerate() {
            out.write_all(if i > 0 { b"," } else { b"" })?;
            out.write_all(name)?;
            out.write_all(b"=")?;
            out.write_all(value.unwrap_or(b"null"))?;
        }
        out.write_all(b"\t")?;
    }
    if format.key {
        out.write_all(record.key.unwrap_or(b"null"))?;
        out.write_all(b"\t")?;
    }
    out.write_all(record.value.unwrap_or(b"null"))?;
    out.write_all(b"\n")
}

fn as_json(topic: &str, partition: i32, record: &Record<'_>) -> Value {
    let mut object = Map::new();
    object.insert("topic".to_owned(), json!(topic));
    object.insert("partition".to_owned(), json!(partition));
    object.insert("offset".to_owned(), json!(record.offset));
    object.insert("timestamp".to_owned(), json!(record.timestamp));
    put(&mut object, "key", record.key);
    put(&mut object, "value", record.value);
    let headers: Vec<Value> = record
        .headers
        .clone()
        .map(|(name, value)| {
            let mut header = Map::new();
            put(&mut header, "key", Some(name));
            put(&mut header, "value", value);
            Value::Object(header)
        })
        .collect();
    object.insert("headers".to_owned(), Value::Array(headers));
    Value::Object(object)
}

/// Text under `name`; bytes that are not UTF-8 under `name_base64`.
fn put(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(std::str::from_utf8) {
        None => object.insert(name.to_owned(), Value::Null),
        Some(Ok(text)) => object.insert(name.to_owned(), json!(text)),
        Some(Err(_)) => {
            object.insert(format!("{name}_base64"), json!(BASE64.encode(bytes.unwrap_or_default())))
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::records::{BatchBuilder, Compression, records};

    fn shown(format: Format, key: Option<&[u8]>, value: Option<&[u8]>) -> String {
        let mut builder = BatchBuilder::new(Compression::None).appended_at(7, 0);
        builder.push(1234, key, value, &[("h", Some(b"1")), ("n", None)]);
        let batch = builder.build();
        let opened = records(&batch, 1 << 20).expect("a batch");
        let record = opened.iter().next().expect("one").expect("a record");
        let mut out = Vec::new();
        print(&mut out, format, "t", 3, &record).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn prints_what_was_asked_for() {
        let plain = Format::default();
        assert_eq!(shown(plain, Some(b"k"), Some(b"v")), "v\n");
        assert_eq!(shown(plain, None, None), "null\n");
        let all = Format { json: false, key: true, headers: true, offset: true, timestamp: true };
        assert_eq!(shown(all, Some(b"k"), Some(b"v")), "1234\t3:7\th=1,n=null\tk\tv\n");
    }

    #[test]
    fn json_keeps_bytes_and_nulls() {
        let json = Format { json: true, ..Format::default() };
        let v: Value =
            serde_json::from_str(&shown(json, Some(b"k"), Some(b"\xff\x00"))).expect("JSON");
        assert_eq!((&v["key"], &v["value_base64"]), (&json!("k"), &json!("/wA=")));
        assert_eq!((&v["offset"], &v["timestamp"]), (&json!(7), &json!(1234)));
        assert_eq!(v["headers"][1], json!({"key": "n", "value": null}));
        let v: Value = serde_json::from_str(&shown(json, None, Some(b""))).expect("JSON");
        assert_eq!((&v["key"], &v["value"]), (&Value::Null, &json!("")));
    }
}
