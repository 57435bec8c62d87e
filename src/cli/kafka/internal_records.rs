//! Records of `__consumer_offsets` as JSON, as Kafka's formatters of that topic show them.

use crate::wire::{Reader, WireError};
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

/// Key types: commits are 0 and 1, groups are 2.
const GROUP_KEY: i16 = 2;
const VALUE_MAX: i16 = 4;

fn object(pairs: Vec<(&str, Value)>) -> Value {
    Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>())
}

/// One line for a commit, `None` for a record of another kind.
///
/// # Errors
/// It cannot be read.
pub fn offsets(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<String>, String> {
    show(key, value, |kind| (0..GROUP_KEY).contains(&kind), commit_key, commit_value)
}

/// One line for a group, `None` for a record of another kind.
///
/// # Errors
/// It cannot be read.
pub fn group_metadata(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<String>, String> {
    show(key, value, |kind| kind == GROUP_KEY, group_key, group_value)
}

fn show(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    wanted: impl Fn(i16) -> bool,
    read_key: impl Fn(&mut Reader<'_>) -> Result<Value, WireError>,
    read_value: impl Fn(&mut Reader<'_>, i16) -> Result<Value, WireError>,
) -> Result<Option<String>, String> {
    let damaged = |e: WireError| format!("a record of __consumer_offsets cannot be read: {e}");
    let Some(key) = key else { return Ok(None) };
    let mut r = Reader::new(key);
    let kind = r.i16().map_err(damaged)?;
    if !wanted(kind) {
        return Ok(None);
    }
    let data = read_key(&mut r).map_err(damaged)?;
    let key = object(vec![("type", json!(kind)), ("data", data)]);
    let value = match value {
        None => Value::Null,
        Some(bytes) => {
            let mut r = Reader::new(bytes);
            let version = r.i16().map_err(damaged)?;
            let data = if (0..=VALUE_MAX).contains(&version) {
                read_value(&mut r, version).map_err(damaged)?
            } else {
                json!("unknown")
            };
            object(vec![("version", json!(version)), ("data", data)])
        }
    };
    Ok(Some(object(vec![("key", key), ("value", value)]).to_string()))
}

fn commit_key(r: &mut Reader<'_>) -> Result<Value, WireError> {
    Ok(object(vec![
        ("group", json!(r.string(false)?)),
        ("topic", json!(r.string(false)?)),
        ("partition", json!(r.i32()?)),
    ]))
}

fn commit_value(r: &mut Reader<'_>, version: i16) -> Result<Value, WireError> {
    let flexible = version >= 4;
    let mut fields = vec![("offset", json!(r.i64()?))];
    if version >= 3 {
        fields.push(("leaderEpoch", json!(r.i32()?)));
    }
    fields.push(("metadata", json!(r.string(flexible)?)));
    fields.push(("commitTimestamp", json!(r.i64()?)));
    if version == 1 {
        fields.push(("expireTimestamp", json!(r.i64()?)));
    }
    if flexible {
        let mut topic_id = None;
        r.tagged_fields(|tag, r| {
            if tag == 0 {
                topic_id = Some(r.uuid()?);
            }
            Ok(tag == 0)
        })?;
        fields.extend(topic_id.map(|id| ("topicId", json!(id.to_string()))));
    }
    Ok(object(fields))
}

fn group_key(r: &mut Reader<'_>) -> Result<Value, WireError> {
    Ok(object(vec![("group", json!(r.string(false)?))]))
}

fn group_value(r: &mut Reader<'_>, version: i16) -> Result<Value, WireError> {
    let flexible = version >= 4;
    let mut fields = vec![
        ("protocolType", json!(r.string(flexible)?)),
        ("generation", json!(r.i32()?)),
        ("protocol", json!(r.nullable_string(flexible)?)),
        ("leader", json!(r.nullable_string(flexible)?)),
    ];
    if version >= 2 {
        fields.push(("currentStateTimestamp", json!(r.i64()?)));
    }
    let members = r.array(flexible, 8, |r| {
        let mut member = vec![("memberId", json!(r.string(flexible)?))];
        if version >= 3 {
            member.push(("groupInstanceId", json!(r.nullable_string(flexible)?)));
        }
        member.push(("clientId", json!(r.string(flexible)?)));
        member.push(("clientHost", json!(r.string(flexible)?)));
        if version >= 1 {
            member.push(("rebalanceTimeout", json!(r.i32()?)));
        }
        member.push(("sessionTimeout", json!(r.i32()?)));
        let base64 = |bytes: &[u8]| BASE64.encode(bytes);
        member.push(("subscription", json!(base64(r.bytes(flexible)?))));
        member.push(("assignment", json!(base64(r.bytes(flexible)?))));
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(object(member))
    })?;
    fields.push(("members", Value::Array(members)));
    if flexible {
        r.skip_tagged_fields()?;
    }
    Ok(object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Writer;

    fn written(write: impl Fn(&mut Writer) -> Result<(), WireError>) -> Vec<u8> {
        let mut w = Writer::new();
        write(&mut w).expect("encodes");
        w.into_vec()
    }

    #[test]
    fn commits_look_as_kafka_prints_them() {
        let key = written(|w| {
            w.i16(1);
            w.string("g1", false)?;
            w.string("t1", false)?;
            w.i32(0);
            Ok(())
        });
        let value = written(|w| {
            w.i16(3);
            w.i64(3);
            w.i32(-1);
            w.string("m", false)?;
            w.i64(1_795_255_882_435);
            Ok(())
        });
        let shown = offsets(Some(&key), Some(&value)).expect("reads");
        assert_eq!(
            shown.as_deref(),
            Some(
                "{\"key\":{\"type\":1,\"data\":{\"group\":\"g1\",\"topic\":\"t1\",\"partition\":0}},\
                 \"value\":{\"version\":3,\"data\":{\"offset\":3,\"leaderEpoch\":-1,\"metadata\":\"m\",\
                 \"commitTimestamp\":1795255882435}}}"
            )
        );
        assert_eq!(group_metadata(Some(&key), Some(&value)), Ok(None));
        let tombstone = offsets(Some(&key), None).expect("reads").expect("a line");
        assert!(tombstone.ends_with("\"value\":null}"), "{tombstone}");
        assert!(offsets(Some(&key), Some(&value[..9])).is_err());
        assert_eq!(offsets(None, None), Ok(None));
    }

    #[test]
    fn groups_look_as_kafka_prints_them() {
        let key = written(|w| {
            w.i16(2);
            w.string("g", false)
        });
        let value = written(|w| {
            w.i16(0);
            w.string("consumer", false)?;
            w.i32(2);
            w.nullable_string(None, false)?;
            w.nullable_string(None, false)?;
            w.array_len(Some(1), false)?;
            w.string("m", false)?;
            w.string("c", false)?;
            w.string("/h", false)?;
            w.i32(45_000);
            w.bytes(b"\x00", false)?;
            w.bytes(b"", false)
        });
        let shown = group_metadata(Some(&key), Some(&value)).expect("reads").expect("a line");
        assert!(shown.contains("\"protocol\":null,\"leader\":null,\"members\":[{"), "{shown}");
        assert!(shown.contains("\"subscription\":\"AA==\",\"assignment\":\"\""), "{shown}");
        assert_eq!(offsets(Some(&key), Some(&value)), Ok(None));
    }
}
