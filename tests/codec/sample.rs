//! Random messages, written by interpreting the table: an encoder that shares nothing with the
//! generated one.

use super::tree::{self, Tree};
use klamm::types::Rng;
use support::schema::{Api, Field, Kind, Message, Versions};

/// Makes messages of one version.
pub struct Sampler<'a> {
    rng: &'a mut Rng,
    version: i16,
    flexible: bool,
    /// Add tagged fields that nobody knows.
    pub unknown_tags: bool,
}

impl<'a> Sampler<'a> {
    pub fn new(api: &Api, version: i16, rng: &'a mut Rng) -> Self {
        let flexible = api.flexible.is_some_and(|v| v.contains(version));
        Self { rng, version, flexible, unknown_tags: false }
    }

    /// A value, with the fields of this version only, and its bytes.
    pub fn message(&mut self, message: &Message) -> (Tree, Vec<u8>) {
        let value = self.fields(&message.fields);
        let mut bytes = Vec::new();
        self.write_fields(&value, &message.fields, &mut bytes);
        (value, bytes)
    }

    fn fields(&mut self, fields: &[Field]) -> Tree {
        let version = self.version;
        let present = fields.iter().filter(|f| f.versions.contains(version));
        Tree::Struct(
            present
                .map(|f| {
                    let untouched = self.rng.one_in(if f.tag.is_some() { 2 } else { 8 });
                    let null = f.nullable.is_some_and(|v| v.contains(self.version));
                    let mut value = if null && self.rng.one_in(3) {
                        Tree::Null
                    } else {
                        self.value(&f.kind, &f.fields)
                    };
                    if untouched {
                        let default = tree::default(f, self.version);
                        if default != Tree::Null || null {
                            value = default;
                        }
                    }
                    (tree::key(&f.name), value)
                })
                .collect(),
        )
    }

    fn value(&mut self, kind: &Kind, fields: &[Field]) -> Tree {
        match kind {
            Kind::Bool => Tree::word(self.rng.one_in(2)),
            Kind::Int8 => Tree::word(self.number() as i8),
            Kind::Int16 => Tree::word(self.number() as i16),
            Kind::Uint16 => Tree::word(self.number() as u16),
            Kind::Int32 => Tree::word(self.number() as i32),
            Kind::Int64 => Tree::word(self.number()),
            Kind::Uuid => Tree::uuid([self.rng.bits(), self.rng.bits()].map(u64::to_be_bytes)),
            Kind::String => {
                let alphabet = ['a', 'Z', '7', '-', '.', '_', 'é', '漢', '🦀'];
                let len = self.len(20);
                Tree::Text((0..len).map(|_| alphabet[self.rng.index(alphabet.len())]).collect())
            }
            Kind::Bytes | Kind::Records => {
                let len = self.len(20);
                Tree::List((0..len).map(|_| Tree::word(self.rng.bits() as u8)).collect())
            }
            Kind::Struct(_) => self.fields(fields),
            Kind::Array(element) => {
                let len = self.len(if fields.is_empty() { 8 } else { 3 });
                Tree::List((0..len).map(|_| self.value(element, fields)).collect())
            }
        }
    }

    fn number(&mut self) -> i64 {
        match self.rng.index(6) {
            0 => 0,
            1 => -1,
            2 => i64::MAX,
            // The least of every width.
            3 => [i64::MIN, i64::from(i32::MIN), i64::from(i16::MIN), -128][self.rng.index(4)],
            _ => (self.rng.bits() >> self.rng.index(64)) as i64,
        }
    }

    /// Mostly small; rarely so long that a varint takes two bytes.
    fn len(&mut self, usual: usize) -> usize {
        match self.rng.index(100) {
            0 if usual == 20 => 100 + self.rng.index(200),
            1..30 => 0,
            _ => 1 + self.rng.index(usual),
        }
    }

    fn write_fields(&mut self, value: &Tree, fields: &[Field], out: &mut Vec<u8>) {
        let mut tagged = Vec::new();
        let version = self.version;
        for f in fields.iter().filter(|f| f.versions.contains(version)) {
            let value = value.field(&f.name);
            let Some(tag) = f.tag else {
                self.write(value, &f.kind, f.nullable, &f.fields, out);
                continue;
            };
            if *value != tree::default(f, self.version) {
                let mut bytes = Vec::new();
                self.write(value, &f.kind, f.nullable, &f.fields, &mut bytes);
                tagged.push((tag, bytes));
            }
        }
        if !self.flexible {
            return;
        }
        if self.unknown_tags && self.rng.one_in(2) {
            let known = fields.iter().filter_map(|f| f.tag).max().map_or(0, |tag| tag + 1);
            for tag in [known, 1_000_000].into_iter().take(1 + self.rng.index(2)) {
                let bytes = (0..self.len(20)).map(|_| self.rng.bits() as u8).collect();
                tagged.push((tag, bytes));
            }
        }
        tagged.sort_by_key(|(tag, _)| *tag);
        varint(tagged.len(), out);
        for (tag, bytes) in tagged {
            varint(tag as usize, out);
            varint(bytes.len(), out);
            out.extend(bytes);
        }
    }

    fn write(
        &mut self,
        value: &Tree,
        kind: &Kind,
        nullable: Option<Versions>,
        fields: &[Field],
        out: &mut Vec<u8>,
    ) {
        match (kind, value) {
            (Kind::Bool, value) => out.push(u8::from(value.number::<bool>())),
            (Kind::Int8, value) => out.extend(value.number::<i8>().to_be_bytes()),
            (Kind::Uint16, value) => out.extend(value.number::<u16>().to_be_bytes()),
            (Kind::Int16, value) => out.extend(value.number::<i16>().to_be_bytes()),
            (Kind::Int32, value) => out.extend(value.number::<i32>().to_be_bytes()),
            (Kind::Int64, value) => out.extend(value.number::<i64>().to_be_bytes()),
            (Kind::Uuid, Tree::Uuid(id)) => out.extend(id),
            (Kind::Struct(_), Tree::Null) => out.push(0xff),
            (Kind::Struct(_), value) => {
                if nullable.is_some() {
                    out.push(1);
                }
                self.write_fields(value, fields, out);
            }
            (kind, Tree::Null) => match (self.flexible, kind) {
                (true, _) => out.push(0),
                (false, Kind::String) => out.extend([0xff; 2]),
                (false, _) => out.extend([0xff; 4]),
            },
            (Kind::String, Tree::Text(text)) => {
                if self.flexible {
                    varint(text.len() + 1, out);
                } else {
                    out.extend((text.len() as i16).to_be_bytes());
                }
                out.extend(text.as_bytes());
            }
            (_, Tree::List(values)) => {
                if self.flexible {
                    varint(values.len() + 1, out);
                } else {
                    out.extend((values.len() as i32).to_be_bytes());
                }
                for value in values {
                    if let Kind::Array(element) = kind {
                        self.write(value, element, None, fields, out);
                    } else {
                        out.push(value.number());
                    }
                }
            }
            (kind, value) => panic!("{value:?} is no {kind:?}"),
        }
    }
}

fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
