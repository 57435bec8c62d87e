//! The table against the message definitions in Kafka's client jar, where that is present:
//! `KAFKA_CLIENTS_JAR=…/kafka-clients-4.3.1.jar`.

use flate2::read::DeflateDecoder;
use serde_json::Value;
use std::io::Read;
use std::{env, fs};
use support::schema::{self, Api, Field, Kind, Versions};

#[test]
fn the_table_is_what_kafka_defines() {
    let Some(path) = env::var_os("KAFKA_CLIENTS_JAR") else {
        println!("skipped: KAFKA_CLIENTS_JAR is not set");
        return;
    };
    let jar = fs::read(path).expect("a readable jar");
    for api in &schema::load() {
        for message in &api.messages {
            let name = format!("common/message/{}.json", message.name);
            let json = entry(&jar, &name).unwrap_or_else(|| panic!("no {name}"));
            compare(api, message, &json);
        }
    }
}

fn compare(api: &Api, message: &schema::Message, json: &str) {
    // The definitions have comments, on lines of their own or after a value.
    let lines = json.lines().map(|line| line.split(" // ").next().unwrap_or_default());
    let lines: Vec<&str> = lines.filter(|line| !line.trim_start().starts_with("//")).collect();
    let json: Value = serde_json::from_str(&lines.join("\n")).expect("JSON");
    let name = &message.name;
    assert_eq!(json["name"], name.as_str());
    assert_eq!(json["apiKey"], api.key, "{name}");
    assert_eq!(versions(&json["validVersions"]), Some(api.versions), "{name}");
    let flexible = versions(&json["flexibleVersions"]).and_then(|v| v.clip(api.versions));
    assert_eq!(flexible, api.flexible, "{name}");
    if message.is_request {
        let unstable = json["latestVersionUnstable"] == true;
        assert_eq!(unstable, api.unstable, "{name}");
    }
    let defined = fields(&json["fields"], &json["commonStructs"], api.versions);
    assert_eq!(defined, message.fields, "{name}");
}

fn versions(value: &Value) -> Option<Versions> {
    Versions::parse(value.as_str()?)
}

/// The fields of a struct; those of a struct of several fields stand in `common`.
fn fields(json: &Value, common: &Value, parent: Versions) -> Vec<Field> {
    let Some(json) = json.as_array() else { return Vec::new() };
    json.iter().filter_map(|json| field(json, common, parent)).collect()
}

/// A field as the table has it; `None` when no version of this Kafka has it.
fn field(json: &Value, common: &Value, parent: Versions) -> Option<Field> {
    let versions_of = |key: &str| versions(&json[key]);
    let own = versions_of("versions").expect("versions").clip(parent)?;
    let kind = Kind::parse(json["type"].as_str().expect("a type"));
    let tag = json["tag"].as_u64().map(|tag| tag as u32);
    if tag.is_some() {
        assert_eq!(versions_of("taggedVersions").and_then(|v| v.clip(parent)), Some(own));
    }
    let default = match &json["default"] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let default = default.map(|text| match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).expect("hexadecimal").to_string(),
        None => text,
    });
    // What a field has anyway is not in the table.
    let default = default.filter(|text| !["", "0", "false"].contains(&text.as_str()));
    let of_struct = kind
        .struct_name()
        .and_then(|name| common.as_array().into_iter().flatten().find(|it| it["name"] == name));
    Some(Field {
        name: json["name"].as_str().expect("a name").to_owned(),
        fields: fields(of_struct.map_or(&json["fields"], |it| &it["fields"]), common, own),
        kind,
        versions: own,
        nullable: versions_of("nullableVersions").and_then(|v| v.clip(own)),
        tag,
        default,
        ignorable: json["ignorable"] == true,
    })
}

/// One file of a zip archive.
fn entry(zip: &[u8], name: &str) -> Option<String> {
    let short = |at: usize| usize::from(u16::from_le_bytes([zip[at], zip[at + 1]]));
    let long = |at: usize| short(at) | short(at + 2) << 16;
    // The directory's end is a record without comment at the end of the file.
    let end = zip.len() - 22;
    assert_eq!(&zip[end..end + 4], b"PK\x05\x06");
    let mut at = long(end + 16);
    for _ in 0..short(end + 10) {
        let (packed, name_len, skip) =
            (long(at + 20), short(at + 28), short(at + 30) + short(at + 32));
        if &zip[at + 46..at + 46 + name_len] == name.as_bytes() {
            let local = long(at + 42);
            let data = local + 30 + short(local + 26) + short(local + 28);
            let data = &zip[data..data + packed];
            let mut text = String::new();
            if short(at + 10) == 0 {
                return String::from_utf8(data.to_vec()).ok();
            }
            DeflateDecoder::new(data).read_to_string(&mut text).expect("deflated text");
            return Some(text);
        }
        at += 46 + name_len + skip;
    }
    None
}
