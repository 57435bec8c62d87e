//! Values without types, read from what `Debug` shows: how values of this codec, of the oracle
//! and of the table are compared without code for each message.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::str::FromStr;
use support::schema::{Field, Kind};

#[derive(Clone, PartialEq, Eq)]
pub enum Tree {
    Null,
    /// A number or a bool.
    Word(String),
    Text(String),
    Uuid(Vec<u8>),
    /// An array, or bytes.
    List(Vec<Tree>),
    /// By [`key`].
    Struct(BTreeMap<String, Tree>),
}

impl Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => Debug::fmt(text, f),
            Self::Uuid(id) => write!(f, "uuid {id:x?}"),
            Self::List(values) => f.debug_list().entries(values).finish(),
            Self::Struct(fields) => f.debug_map().entries(fields).finish(),
        }
    }
}

/// The name of a field without its style: `TopicId`, `topic_id` → `topicid`.
pub fn key(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

impl Tree {
    pub fn word(value: impl Display) -> Self {
        Self::Word(value.to_string())
    }

    pub fn uuid(halves: [[u8; 8]; 2]) -> Self {
        Self::Uuid(halves.concat())
    }

    /// The number or bool that this is.
    pub fn number<T: FromStr<Err: Debug>>(&self) -> T {
        let Self::Word(word) = self else { panic!("{self:?} is no number") };
        word.parse().expect("a number")
    }

    pub fn field(&self, name: &str) -> &Self {
        let Self::Struct(fields) = self else { panic!("{self:?} is no struct") };
        &fields[&key(name)]
    }

    /// Reads what a derived `Debug` shows. `Some(x)` and newtypes are their contents.
    pub fn parse(shown: &str) -> Self {
        let mut parser = Parser { rest: shown };
        let tree = parser.value();
        assert!(parser.rest.is_empty(), "{:?} is left of {shown:?}", parser.rest);
        tree
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) {
        assert!(self.eat(token), "{token:?} is not at {:?}", self.rest);
    }

    fn value(&mut self) -> Tree {
        if self.eat("b\"") {
            return self.byte_text();
        }
        if self.eat("\"") {
            let end = self.rest.find('"').expect("an end");
            let text = self.rest[..end].to_owned();
            assert!(!text.contains('\\'), "samples have no escapes");
            self.rest = &self.rest[end + 1..];
            return Tree::Text(text);
        }
        if self.eat("{}") {
            // The oracle's unknown tagged fields.
            return Tree::Struct(BTreeMap::new());
        }
        if self.eat("[") {
            return Tree::List(self.until("]", Self::value));
        }
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if self.eat("(") {
            let value = self.value();
            self.expect(")");
            return value;
        }
        if self.eat(" { ") {
            let fields = self.until(" }", |parser| {
                let (name, rest) = parser.rest.split_once(": ").expect("a field");
                parser.rest = rest;
                (key(name), parser.value())
            });
            return Tree::Struct(fields.into_iter().collect());
        }
        match word {
            "None" => Tree::Null,
            _ if word.len() == 36 => {
                let hex = word.replace('-', "");
                let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).expect("a UUID");
                Tree::Uuid((0..32).step_by(2).map(byte).collect())
            }
            _ if word.len() == 22 => Tree::Uuid(base64(word)),
            _ if word.starts_with(|c: char| c.is_ascii_uppercase()) => {
                Tree::Struct(BTreeMap::new())
            }
            _ => Tree::word(word),
        }
    }

    fn until<T>(&mut self, end: &str, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut values = Vec::new();
        while !self.eat(end) {
            values.push(value(self));
            self.eat(", ");
        }
        values
    }

    /// The rest of a `b"…"`.
    fn byte_text(&mut self) -> Tree {
        let mut bytes = Vec::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            let byte = match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Tree::List(bytes);
                }
                '\\' => match chars.next().expect("an escape").1 {
                    'n' => b'\n',
                    'r' => b'\r',
                    't' => b'\t',
                    '0' => 0,
                    'x' => {
                        chars.nth(1);
                        u8::from_str_radix(&self.rest[at + 2..at + 4], 16).expect("hex")
                    }
                    c => c as u8,
                },
                c => c as u8,
            };
            bytes.push(Tree::word(byte));
        }
        panic!("no end: {:?}", self.rest)
    }
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => panic!("{c} in base64"),
    };
    // 22 digits are 132 bits, of which the last four are padding.
    let mut bits = text.bytes().take(21).fold(0_u128, |bits, c| bits << 6 | u128::from(digit(c)));
    bits = bits << 2 | u128::from(digit(text.as_bytes()[21]) >> 4);
    bits.to_be_bytes().to_vec()
}

/// A field's default, with the fields of its structs that `version` has.
pub fn default(f: &Field, version: i16) -> Tree {
    if f.default_is_null() {
        return Tree::Null;
    }
    match (&f.kind, &f.default) {
        (Kind::String, default) => {
            Tree::Text(default.as_deref().unwrap_or_default().trim_matches('"').to_owned())
        }
        (_, Some(default)) => Tree::word(default),
        (Kind::Bool, None) => Tree::word(false),
        (Kind::Uuid, None) => Tree::Uuid(vec![0; 16]),
        (Kind::Bytes | Kind::Records | Kind::Array(_), None) => Tree::List(Vec::new()),
        (Kind::Struct(_), None) => {
            let present = f.fields.iter().filter(|f| f.versions.contains(version));
            Tree::Struct(present.map(|f| (key(&f.name), default(f, version))).collect())
        }
        (_, None) => Tree::word(0),
    }
}

/// A field's default with all fields of its structs.
fn whole_default(f: &Field) -> Tree {
    if matches!(f.kind, Kind::Struct(_)) && !f.default_is_null() {
        let fields = f.fields.iter().map(|f| (key(&f.name), whole_default(f)));
        return Tree::Struct(fields.collect());
    }
    default(f, 0)
}

/// `f` of the structs in a field's value.
fn map_structs<E>(
    value: &Tree,
    kind: &Kind,
    f: &mut impl FnMut(&Tree) -> Result<Tree, E>,
) -> Result<Tree, E> {
    match (kind, value) {
        (Kind::Struct(_), Tree::Struct(_)) => f(value),
        (Kind::Array(element), Tree::List(values)) => {
            let values = values.iter().map(|value| map_structs(value, element, f));
            Ok(Tree::List(values.collect::<Result<_, _>>()?))
        }
        _ => Ok(value.clone()),
    }
}

/// A value with the fields of `version`, and all other fields at their defaults.
pub fn with_defaults(value: &Tree, fields: &[Field], version: i16) -> Tree {
    let all = fields.iter().map(|f| {
        let value = if f.versions.contains(version) {
            let mut inner = |value: &Tree| Ok::<_, ()>(with_defaults(value, &f.fields, version));
            map_structs(value.field(&f.name), &f.kind, &mut inner).expect("never fails")
        } else {
            whole_default(f)
        };
        (key(&f.name), value)
    });
    Tree::Struct(all.collect())
}

/// What is left of a value with all fields after a trip through `version`; an error when the
/// version has no place for something that may not be dropped.
pub fn fit(value: &Tree, fields: &[Field], version: i16) -> Result<Tree, ()> {
    let all = fields.iter().map(|f| {
        let old = value.field(&f.name);
        let new = if f.versions.contains(version) {
            if *old == Tree::Null && !f.nullable.is_some_and(|v| v.contains(version)) {
                return Err(());
            }
            map_structs(old, &f.kind, &mut |value| fit(value, &f.fields, version))?
        } else if f.ignorable || *old == whole_default(f) {
            whole_default(f)
        } else {
            return Err(());
        };
        Ok((key(&f.name), new))
    });
    Ok(Tree::Struct(all.collect::<Result<_, _>>()?))
}

/// An error unless the oracle's value has the fields of ours with equal values. Ours may have
/// fields, at their defaults, that only versions after `oracle_max` have; the oracle's may have numbers, zeros, that only
/// versions before ours have.
pub fn assert_same(
    ours: &Tree,
    oracle: &Tree,
    fields: &[Field],
    oracle_max: i16,
) -> Result<(), String> {
    let (Tree::Struct(our_fields), Tree::Struct(oracle_fields)) = (ours, oracle) else {
        return if ours == oracle { Ok(()) } else { Err(format!("{ours:?} is not {oracle:?}")) };
    };
    for f in fields {
        let ours = ours.field(&f.name);
        let Some(oracle) = oracle_fields.get(&key(&f.name)) else {
            if f.versions.min > oracle_max && *ours == whole_default(f) {
                continue;
            }
            return Err(format!("the oracle lacks {}", f.name));
        };
        match (ours, oracle) {
            (Tree::List(a), Tree::List(b)) if a.len() == b.len() => {
                for (a, b) in a.iter().zip(b) {
                    assert_same(a, b, &f.fields, oracle_max)?;
                }
            }
            _ => assert_same(ours, oracle, &f.fields, oracle_max)
                .map_err(|e| format!("{}: {e}", f.name))?,
        }
    }
    let mut more = oracle_fields.iter().filter(|(k, _)| !our_fields.contains_key(*k));
    let allowed = |k: &str, v: &Tree| k == "unknowntaggedfields" || *v == Tree::Word("0".into());
    match more.find(|(k, v)| !allowed(k, v)) {
        Some((more, _)) => Err(format!("only the oracle has {more}")),
        None => Ok(()),
    }
}
