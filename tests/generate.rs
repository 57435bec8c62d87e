//! Generates `src/wire/kafka/` from `schemas/kafka/`, and fails when what is committed is stale.
//!
//! `KLAMM_BLESS=1 cargo test --test generate` rewrites it.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};
use support::binary::workspace;
use support::schema::{self, Api, Field, Kind, Message, Versions, snake};

const BANNER: &str = "// @generated from schemas/kafka by tests/generate.rs: do not edit.\n";
const FOLDER: &str = "src/wire/kafka";
const DISPATCH: &str = "tests/codec/dispatch.rs";

#[test]
fn generated_code_is_fresh() {
    let root = workspace();
    let files = generate();
    if env::var_os("KLAMM_BLESS").is_some() {
        let _ = fs::remove_dir_all(root.join(FOLDER));
        for (path, text) in &files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("creatable");
            fs::write(path, text).expect("writable");
        }
    }
    for (path, text) in &files {
        let committed = fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(committed == *text, "{path} is stale: run with KLAMM_BLESS=1");
    }
    let committed = fs::read_dir(root.join(FOLDER)).expect(FOLDER).count();
    let generated = files.iter().filter(|(path, _)| path.starts_with(FOLDER)).count();
    assert_eq!(committed, generated, "{FOLDER} has files that nothing generates");
}

/// Paths from the root of the repository, and contents, formatted.
fn generate() -> Vec<(String, String)> {
    let apis = schema::load();
    let mut files =
        vec![(format!("{FOLDER}/mod.rs"), module(&apis)), (DISPATCH.to_owned(), dispatch(&apis))];
    for api in &apis {
        for message in &api.messages {
            let path = format!("{FOLDER}/{}.rs", snake(&message.name));
            files.push((path, Generator { api }.file(message)));
        }
    }
    rustfmt(&mut files);
    files
}

/// Formats all files with one call.
fn rustfmt(files: &mut [(String, String)]) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("generate");
    fs::create_dir_all(&folder).expect("creatable");
    let paths: Vec<_> = files
        .iter()
        .map(|(path, text)| {
            let path = folder.join(path.rsplit_once('/').expect("a folder").1);
            fs::write(&path, text).expect("writable");
            path
        })
        .collect();
    let done = Command::new("rustfmt")
        .arg("--config-path")
        .arg(workspace())
        .args(["--edition", "2024"])
        .args(&paths)
        .output()
        .expect("rustfmt is part of the toolchain: rustup component add rustfmt");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for ((_, text), path) in files.iter_mut().zip(&paths) {
        *text = fs::read_to_string(path).expect("readable");
    }
}

/// `mod.rs`: the modules, the table of APIs, the constants of their keys.
fn module(apis: &[Api]) -> String {
    let mut out = format!(
        "//! Kafka's messages, as Kafka 4.3.1 has them.\n{BANNER}\n\
         #![allow(clippy::all, clippy::pedantic, unused_variables)]\n\n\
         use super::api_keys::{{Api, ApiKey}};\n\n"
    );
    for message in apis.iter().flat_map(|api| &api.messages) {
        writeln!(out, "pub mod {};", snake(&message.name)).unwrap();
    }
    out += "\nimpl ApiKey {";
    for api in apis {
        let (name, constant) = (&api.name, snake(&api.name).to_uppercase());
        write!(out, "/// `{name}`.\npub const {constant}: Self = Self({});\n", api.key).unwrap();
    }
    out += "}\n\n/// All APIs of the table, by key.\npub const APIS: &[Api] = &[";
    for api in apis {
        let Versions { min, max } = api.versions;
        let flexible = api.flexible.map_or("i16::MAX".to_owned(), |v| v.min.to_string());
        write!(
            out,
            "Api {{ key: ApiKey({}), name: {:?}, min: {min}, max: {}, flexible_from: {flexible} }},",
            api.key,
            api.name,
            if api.unstable { max - 1 } else { max },
        )
        .unwrap();
    }
    out + "];\n"
}

/// Calls of every message by key, for the tests.
fn dispatch(apis: &[Api]) -> String {
    let mut out = format!(
        "//! Every message of the table by its API key.\n{BANNER}\n\
         use futures_lite::future::block_on;\n\
         use klamm::wire::{{Reader, WireError, Writer, kafka}};\n\n\
         /// Decodes a whole message, and encodes it again in version `to`: its value, shown, and\n\
         /// the bytes.\n\
         pub fn round_trip(key: i16, request: bool, version: i16, to: i16, bytes: &[u8]) \
         -> Result<(String, Result<Vec<u8>, WireError>), WireError> {{\n\
         macro_rules! round_trip {{ ($module:ident, $message:ident) => {{\n(|| {{\n\
         let mut r = Reader::new(bytes);\n\
         let value = kafka::$module::$message::decode(&mut r, version)?;\nr.finish()?;\n\
         let mut w = Writer::new();\nlet encoded = value.encode(&mut w, to);\n\
         Ok((format!(\"{{value:?}}\"), encoded.map(|()| w.into_vec())))\n}})()\n}}; }}\n\
         match (key, request) {{\n"
    );
    let each = |out: &mut String, call: &str| {
        for api in apis {
            for message in &api.messages {
                writeln!(
                    out,
                    "({}, {}) => {call}!({}, {}),",
                    api.key,
                    message.is_request,
                    snake(&message.name),
                    message.name
                )
                .unwrap();
            }
        }
    };
    each(&mut out, "round_trip");
    out += "_ => panic!(\"no API {key}\"), }\n}\n\n\
         /// Decodes and forgets a message.\n\
         pub fn decode(key: i16, request: bool, version: i16, bytes: &[u8]) \
         -> Result<(), WireError> {\n\
         macro_rules! decode { ($module:ident, $message:ident) => {\n\
         kafka::$module::$message::decode(&mut Reader::new(bytes), version).map(drop)\n}; }\n\
         match (key, request) {\n";
    each(&mut out, "decode");
    out += "_ => panic!(\"no API {key}\"), }\n}\n\n\
         /// Reads a request, or writes a response, in parts: the bytes of the whole, and how often it\n\
         /// paused. `None` for a message without arrays.\n\
         pub fn in_parts(key: i16, request: bool, version: i16, bytes: &[u8]) \
         -> Result<Option<(Vec<u8>, usize)>, WireError> {\n\
         let pauses = std::cell::Cell::new(0);\n\
         let pause = async || pauses.set(pauses.get() + 1);\n\
         let mut r = Reader::new(bytes);\nlet mut w = Writer::new();\n\
         macro_rules! read { ($module:ident, $message:ident) => {{\n\
         let read = kafka::$module::$message::decode_in_parts(&mut r, version, &pause);\n\
         let value = block_on(read)?;\nr.finish()?;\nvalue.encode(&mut w, version)?;\n}}; }\n\
         macro_rules! written { ($module:ident, $message:ident) => {{\n\
         let value = kafka::$module::$message::decode(&mut r, version)?;\n\
         block_on(value.encode_in_parts(&mut w, version, &pause))?;\n}}; }\n\
         match (key, request) {\n";
    for api in apis {
        for message in api.messages.iter().filter(|it| has_arrays(&it.fields)) {
            let call = if message.is_request { "read" } else { "written" };
            let (key, request) = (api.key, message.is_request);
            let (module, name) = (snake(&message.name), &message.name);
            writeln!(out, "({key}, {request}) => {{ {call}!({module}, {name}); }}").unwrap();
        }
    }
    out + "_ => return Ok(None), }\nOk(Some((w.into_vec(), pauses.get())))\n}\n"
}

/// What is done with a message that a broker serves, some elements at a time where it has many.
#[derive(Clone, Copy)]
enum Parts {
    Read,
    Written,
}

/// Whether there are arrays, but for those in nullable structs, and in tagged fields: none of those has
/// many elements.
fn has_arrays(fields: &[Field]) -> bool {
    fields.iter().any(|f| f.tag.is_none() && matches!(f.kind, Kind::Array(_)))
}

/// The least range that has both.
fn union(a: Versions, b: Versions) -> Versions {
    Versions { min: a.min.min(b.min), max: a.max.max(b.max) }
}

/// The code of one API's messages.
struct Generator<'a> {
    api: &'a Api,
}

/// The parameter of a read or write: in which versions the length fields are varints.
const FLEXIBLE: &str = "flexible";

impl Generator<'_> {
    fn file(&self, message: &Message) -> String {
        let mut out = format!("//! `{}`.\n{BANNER}\n", message.name);
        let mut code = String::new();
        let parts = if message.is_request { Parts::Read } else { Parts::Written };
        self.structs(&mut code, &message.name, &message.fields, self.api.versions, (true, parts));
        let mut uses = vec!["Reader", "WireError", "Writer"];
        for name in ["check_absent", "check_null", "check_version"] {
            if code.contains(name) {
                uses.push(name);
            }
        }
        out += "use crate::wire::api_keys::ApiKey;\n";
        writeln!(out, "use crate::wire::primitives::{{{}}};", uses.join(", ")).unwrap();
        if code.contains("TopicId") {
            out += "use crate::types::TopicId;\n";
        }
        out + "\n" + &code
    }

    /// A struct, and after it those of its fields.
    fn structs(
        &self,
        out: &mut String,
        name: &str,
        fields: &[Field],
        versions: Versions,
        (top, parts): (bool, Parts),
    ) {
        // Two fields may be of one struct.
        if [" {", "<'a> {"].iter().any(|it| out.contains(&format!("pub struct {name}{it}"))) {
            return;
        }
        let lifetime = if borrows(fields) { "<'a>" } else { "" };
        let derived = fields.iter().all(default_is_derived);
        let derives = if derived { ", Default" } else { "" };
        let Versions { min, max } = versions;
        writeln!(
            out,
            "/// In versions {min} to {max}.\n#[derive(Clone, Debug, PartialEq{derives})]\n\
             pub struct {name}{lifetime} {{"
        )
        .unwrap();
        for f in fields {
            let doc = document(f, versions);
            writeln!(out, "/// {doc}\npub {}: {},", snake(&f.name), rust_type(f)).unwrap();
        }
        *out += "}\n\n";
        if !derived {
            let anonymous = if lifetime.is_empty() { "" } else { "<'_>" };
            writeln!(out, "impl Default for {name}{anonymous} {{ fn default() -> Self {{ Self {{")
                .unwrap();
            for f in fields {
                writeln!(out, "{}: {},", snake(&f.name), default(f)).unwrap();
            }
            *out += "} } }\n\n";
        }
        let reader = if lifetime.is_empty() { "'_" } else { "'a" };
        let size = (min..=max).map(|v| self.size(fields, v)).min().unwrap_or(0);
        let decode = self.decode(fields, versions, false);
        let encode = self.encode(fields, versions, false);
        writeln!(out, "impl{lifetime} {name}{lifetime} {{").unwrap();
        let check = if top {
            "check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;\n"
        } else {
            ""
        };
        if top {
            write!(
                out,
                "/// The API key.\npub const KEY: ApiKey = ApiKey::{};\n\
                 /// The first version.\npub const MIN_VERSION: i16 = {min};\n\
                 /// The last version.\npub const MAX_VERSION: i16 = {max};\n\n",
                snake(&self.api.name).to_uppercase()
            )
            .unwrap();
        } else {
            writeln!(
                out,
                "/// The least bytes that one takes, in any version.\n\
                 pub const MIN_BYTES: usize = {size};\n"
            )
            .unwrap();
        }
        let flexible = |body: &str| {
            if body.contains(FLEXIBLE) {
                let condition = match self.api.flexible {
                    Some(v) => self::condition(v, versions).unwrap_or("true".to_owned()),
                    None => "false".to_owned(),
                };
                format!("let {FLEXIBLE} = {condition};\n")
            } else {
                String::new()
            }
        };
        write!(
            out,
            "/// Reads one.\n\
             pub fn decode(r: &mut Reader<{reader}>, version: i16) -> Result<Self, WireError> {{\n\
             {check}{}{decode}}}\n\n\
             /// Writes it; fails when a field is set that this version has no place for.\n\
             pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {{\n\
             {check}{}{encode}Ok(())\n}}\n\n",
            flexible(&decode),
            flexible(&encode),
        )
        .unwrap();
        match parts {
            _ if !has_arrays(fields) => {}
            Parts::Read => {
                let decode = self.decode(fields, versions, true);
                let flexible = flexible(&decode);
                write!(
                    out,
                    "/// Reads one as [`decode`](Self::decode) does; pauses after each element.\n\
                     pub async fn decode_in_parts(r: &mut Reader<{reader}>, version: i16, \
                     pause: &impl AsyncFn()) -> Result<Self, WireError> {{\n\
                     {check}{flexible}{decode}}}\n\n",
                )
                .unwrap();
            }
            Parts::Written => {
                let encode = self.encode(fields, versions, true);
                let flexible = flexible(&encode);
                write!(
                    out,
                    "/// Writes it as [`encode`](Self::encode) does; pauses after each element.\n\
                     pub async fn encode_in_parts(&self, w: &mut Writer, version: i16, \
                     pause: &impl AsyncFn()) -> Result<(), WireError> {{\n\
                     {check}{flexible}{encode}Ok(())\n}}\n\n",
                )
                .unwrap();
            }
        }
        *out += "}\n\n";
        for f in fields {
            if let Some(name) = f.kind.struct_name() {
                let (fields, versions) = self.occurrences(name, f);
                self.structs(out, name, &fields, versions, (false, parts));
            }
        }
    }

    /// The fields and versions of a struct, which several fields may be of, each in versions of its own.
    fn occurrences(&self, name: &str, first: &Field) -> (Vec<Field>, Versions) {
        let (mut fields, mut versions) = (first.fields.clone(), first.versions);
        let mut rest: Vec<&Field> = self.api.messages.iter().flat_map(|it| &it.fields).collect();
        while let Some(f) = rest.pop() {
            rest.extend(&f.fields);
            if f.kind.struct_name() != Some(name) || f.fields.len() != fields.len() {
                continue;
            }
            versions = union(versions, f.versions);
            for (known, other) in fields.iter_mut().zip(&f.fields) {
                assert_eq!(known.name, other.name, "{name}");
                known.versions = union(known.versions, other.versions);
            }
        }
        (fields, versions)
    }

    fn decode(&self, fields: &[Field], versions: Versions, in_parts: bool) -> String {
        let mut out = String::new();
        for f in fields.iter().filter(|f| f.tag.is_none()) {
            let read = match &f.kind {
                Kind::Array(element) if in_parts => read_in_parts(f, element),
                kind => format!("{}?", read(f, kind, f.nullable)),
            };
            match condition(f.versions, versions) {
                None => writeln!(out, "let {} = {read};", snake(&f.name)),
                Some(condition) => writeln!(
                    out,
                    "let {} = if {condition} {{ {read} }} else {{ {} }};",
                    snake(&f.name),
                    default(f)
                ),
            }
            .unwrap();
        }
        let tagged: Vec<_> = fields.iter().filter(|f| f.tag.is_some()).collect();
        for f in &tagged {
            writeln!(out, "let mut {} = {};", snake(&f.name), default(f)).unwrap();
        }
        if self.api.flexible.is_some_and(|v| v.clip(versions).is_some()) {
            writeln!(out, "if {FLEXIBLE} {{").unwrap();
            if tagged.is_empty() {
                out += "r.skip_tagged_fields()?;";
            } else {
                out += "r.tagged_fields(|tag, r| { match tag {";
                for f in &tagged {
                    let guard = condition(f.versions, self.flexible_part(versions))
                        .map_or(String::new(), |c| format!("if {c}"));
                    let read = read(f, &f.kind, f.nullable);
                    let tag = f.tag.expect("tagged");
                    writeln!(out, "{tag} {guard} => {} = {read}?,", snake(&f.name)).unwrap();
                }
                out += "_ => return Ok(false), } Ok(true) })?;";
            }
            out += "}\n";
        }
        let names: Vec<_> = fields.iter().map(|f| snake(&f.name)).collect();
        writeln!(out, "Ok(Self {{ {} }})", names.join(", ")).unwrap();
        out
    }

    fn encode(&self, fields: &[Field], versions: Versions, in_parts: bool) -> String {
        let mut out = String::new();
        let absent = |f: &Field| {
            if f.ignorable {
                return String::new();
            }
            format!("check_absent({}, {:?})?;", is_default(f), snake(&f.name))
        };
        for f in fields.iter().filter(|f| f.tag.is_none()) {
            let write = match &f.kind {
                Kind::Array(element) if in_parts => write_in_parts(f, element),
                _ => write_field(f),
            };
            match (condition(f.versions, versions), absent(f)) {
                (None, _) => writeln!(out, "{write}"),
                (Some(c), absent) if absent.is_empty() => writeln!(out, "if {c} {{ {write} }}"),
                (Some(c), absent) => writeln!(out, "if {c} {{ {write} }} else {{ {absent} }}"),
            }
            .unwrap();
        }
        let tagged: Vec<_> = fields.iter().filter(|f| f.tag.is_some()).collect();
        for f in &tagged {
            match (condition(f.versions, versions), absent(f)) {
                (Some(c), absent) if !absent.is_empty() => {
                    writeln!(out, "if !({c}) {{ {absent} }}").unwrap();
                }
                _ => {}
            }
        }
        if self.api.flexible.is_some_and(|v| v.clip(versions).is_some()) {
            writeln!(out, "if {FLEXIBLE} {{").unwrap();
            let mut counts = Vec::new();
            for f in &tagged {
                let set = format!("set_{}", f.tag.expect("tagged"));
                let version = condition(f.versions, self.flexible_part(versions))
                    .map_or(String::new(), |c| format!("{c} && "));
                writeln!(out, "let {set} = {version}!({});", is_default(f)).unwrap();
                counts.push(format!("u32::from({set})"));
            }
            let count = if counts.is_empty() { "0".to_owned() } else { counts.join("+") };
            writeln!(out, "w.varint({count});").unwrap();
            for f in &tagged {
                let tag = f.tag.expect("tagged");
                let write = write_field(f);
                writeln!(
                    out,
                    "if set_{tag} {{ w.tagged_field({tag}, |w| {{ {write} Ok(()) }})?; }}"
                )
                .unwrap();
            }
            out += "}\n";
        }
        out
    }

    /// Where tagged fields can be at all.
    fn flexible_part(&self, versions: Versions) -> Versions {
        self.api.flexible.and_then(|v| v.clip(versions)).unwrap_or(versions)
    }

    /// The least bytes of these fields in this version.
    fn size(&self, fields: &[Field], version: i16) -> usize {
        let flexible = self.api.flexible.is_some_and(|v| v.contains(version));
        let fields: usize = fields
            .iter()
            .filter(|f| f.tag.is_none() && f.versions.contains(version))
            .map(|f| match &f.kind {
                Kind::Int16 | Kind::Uint16 => 2,
                Kind::Int32 => 4,
                Kind::Int64 => 8,
                Kind::Uuid => 16,
                Kind::Struct(_) if f.nullable.is_none() => self.size(&f.fields, version),
                Kind::Bool | Kind::Int8 | Kind::Struct(_) => 1,
                _ if flexible => 1,
                Kind::String => 2,
                Kind::Bytes | Kind::Records | Kind::Array(_) => 4,
            })
            .sum();
        fields + usize::from(flexible)
    }
}

/// `version` is in `versions`, for a struct that exists in `parent` only; `None` when it always is.
fn condition(versions: Versions, parent: Versions) -> Option<String> {
    let Versions { min, max } = versions;
    match (min <= parent.min, max >= parent.max) {
        (true, true) => None,
        _ if versions.clip(parent).is_none() => Some("false".to_owned()),
        (false, true) => Some(format!("version >= {min}")),
        (true, false) => Some(format!("version <= {max}")),
        (false, false) => Some(format!("({min}..={max}).contains(&version)")),
    }
}

fn borrows(fields: &[Field]) -> bool {
    fn borrows_kind(kind: &Kind) -> bool {
        match kind {
            Kind::String | Kind::Bytes | Kind::Records => true,
            Kind::Array(element) => borrows_kind(element),
            _ => false,
        }
    }
    fields.iter().any(|f| borrows_kind(&f.kind) || borrows(&f.fields))
}

fn rust_type(f: &Field) -> String {
    fn of(kind: &Kind, f: &Field) -> String {
        match kind {
            Kind::Bool => "bool".to_owned(),
            Kind::Int8 => "i8".to_owned(),
            Kind::Int16 => "i16".to_owned(),
            Kind::Uint16 => "u16".to_owned(),
            Kind::Int32 => "i32".to_owned(),
            Kind::Int64 => "i64".to_owned(),
            Kind::Uuid => "TopicId".to_owned(),
            Kind::String => "&'a str".to_owned(),
            Kind::Bytes | Kind::Records => "&'a [u8]".to_owned(),
            Kind::Struct(name) if borrows(&f.fields) => format!("{name}<'a>"),
            Kind::Struct(name) => name.clone(),
            Kind::Array(element) => format!("Vec<{}>", of(element, f)),
        }
    }
    let plain = of(&f.kind, f);
    if f.nullable.is_some() { format!("Option<{plain}>") } else { plain }
}

fn document(f: &Field, parent: Versions) -> String {
    let show = |v: Versions| match v {
        Versions { min, max } if min == max => format!("in version {min}"),
        Versions { min, max } if max >= parent.max => format!("from version {min}"),
        Versions { min, max } => format!("in versions {min} to {max}"),
    };
    let mut parts = Vec::new();
    match condition(f.versions, parent) {
        Some(_) => parts.push(show(f.versions)),
        None => parts.push("in every version".to_owned()),
    }
    if let Some(nullable) = f.nullable.filter(|n| *n != f.versions) {
        parts.push(format!("nullable {}", show(nullable)));
    }
    parts.extend(f.tag.map(|tag| format!("tag {tag}")));
    parts.extend(f.default.as_ref().map(|default| format!("default {default}")));
    parts.extend(f.ignorable.then(|| "ignorable".to_owned()));
    let text = parts.join(", ");
    format!("{}{}.", text[..1].to_uppercase(), &text[1..])
}

fn default_is_derived(f: &Field) -> bool {
    if f.nullable.is_some() { f.default_is_null() } else { f.default.is_none() }
}

fn default(f: &Field) -> String {
    if f.default_is_null() {
        return "None".to_owned();
    }
    let plain = match (&f.kind, &f.default) {
        (_, Some(default)) => default.clone(),
        (Kind::Bool, None) => "false".to_owned(),
        (Kind::Int8 | Kind::Int16 | Kind::Uint16 | Kind::Int32 | Kind::Int64, None) => {
            "0".to_owned()
        }
        (Kind::Uuid, None) => "TopicId::ZERO".to_owned(),
        (Kind::String, None) => "\"\"".to_owned(),
        (Kind::Bytes | Kind::Records, None) => "&[]".to_owned(),
        (Kind::Array(_), None) => "Vec::new()".to_owned(),
        (Kind::Struct(name), None) => format!("{name}::default()"),
    };
    if f.nullable.is_some() { format!("Some({plain})") } else { plain }
}

fn is_default(f: &Field) -> String {
    let name = format!("self.{}", snake(&f.name));
    if f.default_is_null() {
        return format!("{name}.is_none()");
    }
    match (&f.kind, f.nullable) {
        (Kind::Array(_), None) => format!("{name}.is_empty()"),
        (Kind::Array(_), Some(_)) => format!("{name}.as_ref().is_some_and(Vec::is_empty)"),
        (Kind::Bool, None) if f.default.as_deref() == Some("true") => name,
        (Kind::Bool, None) => format!("!{name}"),
        _ => format!("{name} == {}", default(f)),
    }
}

/// The least bytes of an element of an array.
fn least_bytes(element: &Kind) -> String {
    match element {
        Kind::Bool | Kind::Int8 => "1".to_owned(),
        Kind::Int16 | Kind::Uint16 => "2".to_owned(),
        Kind::Int32 => "4".to_owned(),
        Kind::Int64 => "8".to_owned(),
        Kind::Uuid => "16".to_owned(),
        Kind::String => format!("if {FLEXIBLE} {{ 1 }} else {{ 2 }}"),
        Kind::Struct(name) => format!("{name}::MIN_BYTES"),
        other => panic!("an array of {other:?}"),
    }
}

/// The expression that reads an array, and pauses after each element.
fn read_in_parts(f: &Field, element: &Kind) -> String {
    let each = match element {
        Kind::Struct(name) if has_arrays(&f.fields) => {
            format!("{name}::decode_in_parts(r, version, pause).await?")
        }
        _ => format!("{}?", read(f, element, None)),
    };
    let min = least_bytes(element);
    let read = format!(
        "match r.open_array({FLEXIBLE}, {min})? {{ None => None, Some((count, mut values)) => {{ \
         for _ in 0..count {{ values.push({each}); pause().await; }} Some(values) }} }}"
    );
    match f.nullable.map(|nullable| condition(nullable, f.versions)) {
        None => format!("{read}.ok_or(WireError::Null)?"),
        Some(None) => read,
        Some(Some(condition)) => format!("check_null({read}, {condition})?"),
    }
}

/// The expression that reads a field: a `Result`.
fn read(f: &Field, kind: &Kind, nullable: Option<Versions>) -> String {
    let prefix = if nullable.is_some() { "nullable_" } else { "" };
    let read = match kind {
        Kind::Bool => "r.bool()".to_owned(),
        Kind::Int8 => "r.i8()".to_owned(),
        Kind::Int16 => "r.i16()".to_owned(),
        Kind::Uint16 => "r.u16()".to_owned(),
        Kind::Int32 => "r.i32()".to_owned(),
        Kind::Int64 => "r.i64()".to_owned(),
        Kind::Uuid => "r.uuid()".to_owned(),
        Kind::String => format!("r.{prefix}string({FLEXIBLE})"),
        Kind::Bytes | Kind::Records => format!("r.{prefix}bytes({FLEXIBLE})"),
        Kind::Struct(name) => {
            let plain = format!("{name}::decode(r, version)");
            if nullable.is_some() { format!("r.nullable_struct(|r| {plain})") } else { plain }
        }
        Kind::Array(element) => {
            let min = least_bytes(element);
            format!("r.{prefix}array({FLEXIBLE}, {min}, |r| {})", read(f, element, None))
        }
    };
    match nullable.and_then(|nullable| condition(nullable, f.versions)) {
        Some(condition) => format!("check_null({read}?, {condition})"),
        None => read,
    }
}

/// The statement that writes an array, and pauses after each element.
fn write_in_parts(f: &Field, element: &Kind) -> String {
    let name = format!("self.{}", snake(&f.name));
    let each = match element {
        Kind::Struct(_) if has_arrays(&f.fields) => {
            "x.encode_in_parts(w, version, pause).await?;".to_owned()
        }
        _ => {
            let (write, fails) = write_element(element);
            write + if fails { "?;" } else { ";" }
        }
    };
    let values = if f.nullable.is_some() {
        format!("{name}.as_deref()")
    } else {
        format!("Some(&{name}[..])")
    };
    let statement = format!(
        "let values = {values}; w.array_len(values.map(<[_]>::len), {FLEXIBLE})?; \
         for x in values.unwrap_or_default() {{ {each} pause().await; }}"
    );
    match f.nullable.and_then(|nullable| condition(nullable, f.versions)) {
        Some(condition) => format!("check_null({name}.as_ref(), {condition})?; {statement}"),
        None => statement,
    }
}

/// The statement that writes a field.
fn write_field(f: &Field) -> String {
    let name = format!("self.{}", snake(&f.name));
    let nullable = f.nullable.is_some();
    let prefix = if nullable { "nullable_" } else { "" };
    let statement = match &f.kind {
        Kind::Bool => format!("w.bool({name});"),
        Kind::Int8 => format!("w.i8({name});"),
        Kind::Int16 if f.name == "ErrorCode" => format!("w.error_code({name});"),
        Kind::Int16 => format!("w.i16({name});"),
        Kind::Uint16 => format!("w.u16({name});"),
        Kind::Int32 => format!("w.i32({name});"),
        Kind::Int64 => format!("w.i64({name});"),
        Kind::Uuid => format!("w.uuid({name});"),
        Kind::String => format!("w.{prefix}string({name}, {FLEXIBLE})?;"),
        Kind::Bytes | Kind::Records => format!("w.{prefix}bytes({name}, {FLEXIBLE})?;"),
        Kind::Struct(_) if nullable => {
            format!("w.nullable_struct({name}.as_ref(), |w, x| x.encode(w, version))?;")
        }
        Kind::Struct(_) => format!("{name}.encode(w, version)?;"),
        Kind::Array(element) => {
            let values = if nullable { format!("{name}.as_deref()") } else { format!("&{name}") };
            let (element, fails) = write_element(element);
            let element = if fails { element } else { format!("{{ {element}; Ok(()) }}") };
            format!("w.{prefix}array({values}, {FLEXIBLE}, |w, x| {element})?;")
        }
    };
    match f.nullable.and_then(|nullable| condition(nullable, f.versions)) {
        Some(condition) => {
            format!("check_null({name}.as_ref(), {condition})?; {statement}")
        }
        None => statement,
    }
}

/// The expression that writes an element of an array, and whether it may fail.
fn write_element(element: &Kind) -> (String, bool) {
    let plain = |method: &str| (format!("w.{method}(*x)"), false);
    match element {
        Kind::Bool => plain("bool"),
        Kind::Int8 => plain("i8"),
        Kind::Int16 => plain("i16"),
        Kind::Uint16 => plain("u16"),
        Kind::Int32 => plain("i32"),
        Kind::Int64 => plain("i64"),
        Kind::Uuid => plain("uuid"),
        Kind::String => (format!("w.string(x, {FLEXIBLE})"), true),
        Kind::Struct(_) => ("x.encode(w, version)".to_owned(), true),
        other => panic!("an array of {other:?}"),
    }
}
