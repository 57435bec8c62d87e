//! The message table in `schemas/kafka/` (its README has the notation), parsed.
#![allow(missing_docs, reason = "the names are those of the notation")]

use crate::binary::workspace;
use std::fs;
use std::path::Path;

/// Inclusive versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub min: i16,
    pub max: i16,
}

impl Versions {
    pub fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    /// What both have in common.
    pub fn clip(self, other: Self) -> Option<Self> {
        let both = Self { min: self.min.max(other.min), max: self.max.min(other.max) };
        (both.min <= both.max).then_some(both)
    }

    /// `3`, `3-7`, `3+` (up to `i16::MAX`) or `none`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok();
        if let Some(min) = text.strip_suffix('+') {
            return Some(Self { min: number(min)?, max: i16::MAX });
        }
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        Some(Self { min: number(min)?, max: number(max)? })
    }
}

/// What a field, or an element of an array, is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Int64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Kind>),
}

impl Kind {
    pub fn parse(text: &str) -> Self {
        match text {
            "bool" => Self::Bool,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "uint16" => Self::Uint16,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            _ => {
                if let Some(element) = text.strip_prefix("[]") {
                    return Self::Array(Box::new(Self::parse(element)));
                }
                assert!(text.starts_with(|c: char| c.is_ascii_uppercase()), "type {text:?}");
                Self::Struct(text.to_owned())
            }
        }
    }

    /// The struct that this is, or is an array of.
    pub fn struct_name(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(element) => element.struct_name(),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// As Kafka writes it: `TopicData`.
    pub name: String,
    pub kind: Kind,
    pub versions: Versions,
    pub nullable: Option<Versions>,
    pub tag: Option<u32>,
    /// As it stands in the table.
    pub default: Option<String>,
    pub ignorable: bool,
    /// Of the struct that `kind` names.
    pub fields: Vec<Field>,
}

impl Field {
    pub fn default_is_null(&self) -> bool {
        self.default.as_deref() == Some("null")
            || (self.kind == Kind::Records && self.nullable.is_some())
    }
}

#[derive(Clone, Debug)]
pub struct Message {
    /// `ProduceRequest`.
    pub name: String,
    pub is_request: bool,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub struct Api {
    pub key: i16,
    /// `Produce`.
    pub name: String,
    pub versions: Versions,
    pub flexible: Option<Versions>,
    /// The last version exists but is not advertised.
    pub unstable: bool,
    /// Request and response.
    pub messages: [Message; 2],
}

/// `TopicData` → `topic_data`.
pub fn snake(name: &str) -> String {
    let mut snake = String::new();
    let mut previous = '_';
    for c in name.chars() {
        if c.is_ascii_uppercase() && previous.is_ascii_lowercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        previous = if c.is_ascii_digit() { 'a' } else { c };
    }
    snake
}

/// All APIs, by key.
pub fn load() -> Vec<Api> {
    let mut apis: Vec<_> = fs::read_dir(workspace().join("schemas/kafka"))
        .expect("schemas/kafka")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .map(|path| parse(&path))
        .collect();
    apis.sort_by_key(|api| api.key);
    apis
}

fn parse(path: &Path) -> Api {
    let text = fs::read_to_string(path).expect("a readable file");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let head: Vec<&str> = lines[0].split(' ').collect();
    let (["api", key, name, versions, "flexible", flexible], rest) = head.split_at(6) else {
        panic!("{}: {}", path.display(), lines[0]);
    };
    let versions = Versions::parse(versions).expect("versions");
    let section = |which: &str| {
        let start = lines.iter().position(|line| *line == which).expect("a section") + 1;
        let len = lines[start..].iter().take_while(|line| line.starts_with(' ')).count();
        let mut rest = &lines[start..start + len];
        let fields = parse_fields(&mut rest, 2, versions, versions);
        assert!(rest.is_empty(), "{}: {}", path.display(), rest[0]);
        fields
    };
    let message = |which: &str, suffix: &str| Message {
        name: format!("{name}{suffix}"),
        is_request: which == "request",
        fields: section(which),
    };
    Api {
        key: key.parse().expect("a key"),
        name: (*name).to_owned(),
        versions,
        flexible: Versions::parse(flexible).map(|v| v.clip(versions).expect("flexible versions")),
        unstable: rest == ["unstable"],
        messages: [message("request", "Request"), message("response", "Response")],
    }
}

fn parse_fields(
    lines: &mut &[&str],
    indent: usize,
    message: Versions,
    parent: Versions,
) -> Vec<Field> {
    let mut fields = Vec::new();
    while let Some((line, rest)) = lines.split_first() {
        let depth = line.len() - line.trim_start().len();
        if depth < indent {
            break;
        }
        assert_eq!(depth, indent, "indentation of {line:?}");
        *lines = rest;
        let mut field = parse_field(line.trim_start(), message, parent);
        if field.kind.struct_name().is_some() {
            field.fields = parse_fields(lines, indent + 2, message, field.versions);
            assert!(!field.fields.is_empty(), "a struct without fields: {line:?}");
        }
        fields.push(field);
    }
    fields
}

fn parse_field(line: &str, message: Versions, parent: Versions) -> Field {
    let mut words = line.split(' ').peekable();
    let mut word = || words.next();
    let name = word().expect("a name");
    let kind = word().expect("a type");
    let (kind, nullable) = kind.split_once('?').map_or((kind, None), |(k, n)| (k, Some(n)));
    let mut field = Field {
        name: name.to_owned(),
        kind: Kind::parse(kind),
        versions: parent,
        nullable: None,
        tag: None,
        default: None,
        ignorable: false,
        fields: Vec::new(),
    };
    let versions = |text: &str| {
        let versions = Versions::parse(text).unwrap_or_else(|| panic!("{text:?} in {line:?}"));
        versions.clip(message).expect("versions of the message")
    };
    while let Some(next) = word() {
        match next {
            "tag" => field.tag = word().map(|n| n.parse().expect("a tag")),
            "=" => field.default = word().map(str::to_owned),
            "ignorable" => field.ignorable = true,
            text => field.versions = versions(text),
        }
    }
    field.nullable =
        nullable.map(|text| if text.is_empty() { field.versions } else { versions(text) });
    field
}
