//! Style as a test: layering, file length, dead files, unfinished code, ambient time and randomness
//! in the pure folders, generated files that say so, and documents that name only what exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each top-level module of `src/` may import, as paths below the crate root. A prefix allows
/// everything below it. `main.rs` is not listed: it may import anything.
const LAYERS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("wire", &["types"]),
    ("storage", &["wire", "types"]),
    ("client", &["config", "wire", "types"]),
    ("config", &["types"]),
    ("replica", &["wire::records", "types"]),
    ("group", &["wire::primitives", "types"]),
    ("transaction", &["wire::primitives", "types"]),
    ("share", &["wire::primitives", "types"]),
    // The Raft log and its snapshot are operations on files as data.
    (
        "controller",
        &[
            "wire::records",
            "storage::device::io",
            "storage::buffer",
            "storage::device::disk",
            "storage::device::sim_disk",
            "types",
        ],
    ),
    (
        "broker",
        &[
            "metrics",
            "replica",
            "group",
            "transaction",
            "share",
            "controller",
            "storage",
            "wire",
            "types",
            "config",
        ],
    ),
    ("metrics", &["wire"]),
    ("memory", &[]),
    (
        "shard",
        &[
            "memory",
            "metrics",
            "broker",
            "replica",
            "group",
            "controller",
            "storage",
            "wire",
            "types",
            "config",
        ],
    ),
    ("http", &["metrics", "wire", "shard", "broker", "storage", "types", "config"]),
    (
        "cli",
        &[
            "memory",
            "metrics",
            "http",
            "shard",
            "client",
            "controller",
            "storage",
            "wire",
            "types",
            "config",
        ],
    ),
];

/// Where the runtime's types may appear, besides `main.rs`.
const RUNTIME: &[&str] = &[
    "src/http/",
    "src/shard/",
    "src/shard.rs",
    "src/storage/device/disk.rs",
    "src/storage/device/uring.rs",
];

/// Folders whose code decides and does nothing else.
const PURE: &[&str] = &[
    "types",
    "wire",
    "replica",
    "group",
    "transaction",
    "share",
    "controller",
    "storage",
    "broker",
];

/// Files inside pure folders that do the real I/O, and may say so with an `allow`.
const IO_SIDE: &[&str] = &["src/storage/device/disk.rs", "src/storage/device/uring.rs"];

/// What generators write: `tests/generate.rs`, and `flatc` as CONTRIBUTING.md has it.
const GENERATED: &[&str] = &[
    "src/wire/kafka/",
    "src/storage/format/generated/",
    "src/controller/generated/",
    "src/wire/peer/generated/",
    "tests/codec/dispatch.rs",
];

const MAX_LINES: usize = 1_000;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(dir: &Path, extension: &str, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                files_below(&path, extension, out);
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            out.push(path);
        }
    }
}

/// Rust sources below `folders`: path relative to the root, and text. Sorted.
fn sources(folders: &[&str]) -> BTreeMap<String, String> {
    let mut paths = Vec::new();
    for folder in folders {
        files_below(&root().join(folder), "rs", &mut paths);
    }
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a readable source file");
            let name =
                path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            (name, text)
        })
        .collect()
}

fn is_generated(text: &str) -> bool {
    text.lines().take(5).any(|l| l.starts_with("// @generated"))
}

/// The text without its comment lines and trailing comments; strings are left alone.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let kept = match line.find("//") {
            Some(0) => "",
            Some(at) if line[..at].trim().is_empty() || line.as_bytes()[at - 1] == b' ' => {
                &line[..at]
            }
            _ => line,
        };
        out.push_str(kept);
        out.push('\n');
    }
    out
}

/// Every path below `prefix` (`crate::` or `klamm::`) that the code names, groups expanded one
/// level at a time: `crate::{a::b, c}` gives `a::b` and `c`.
fn paths_below(code: &str, prefix: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        expand(&code[at + prefix.len()..], "", &mut out);
    }
    out
}

fn expand(rest: &str, stem: &str, out: &mut Vec<String>) {
    let rest = rest.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        let (mut depth, mut start) = (0, 0);
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => {
                    expand(&group[start..i], stem, out);
                    return;
                }
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&group[start..i], stem, out);
                    start = i + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let name = &rest[..end];
    if name.is_empty() {
        return;
    }
    let path = if stem.is_empty() { name.to_owned() } else { format!("{stem}::{name}") };
    match rest[end..].strip_prefix("::") {
        Some(more) if more.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '{') => {
            expand(more, &path, out);
        }
        _ => out.push(path),
    }
}

fn top_module(file: &str) -> &str {
    let below = file.strip_prefix("src/").unwrap_or(file);
    below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "{} problem(s):\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn imports_point_downward() {
    let mut problems = Vec::new();
    for (file, text) in sources(&["src"]) {
        let module = top_module(&file);
        if module == "main" || module == "lib" {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
            problems
                .push(format!("{file}: top-level module `{module}` is not in the table of layers"));
            continue;
        };
        for path in paths_below(&code(&text), "crate::") {
            let within = |prefix: &str| path == prefix || path.starts_with(&format!("{prefix}::"));
            let known = LAYERS.iter().any(|(name, _)| within(name));
            if known && !within(module) && !allowed.iter().any(|a| within(a)) {
                problems.push(format!("{file}: `{module}` may not import `{path}`"));
            }
        }
    }
    report(&problems);
}

#[test]
fn runtime_stays_in_the_io_layer() {
    let mut problems = Vec::new();
    for (file, text) in sources(&["src"]) {
        let allowed = file == "src/main.rs" || RUNTIME.iter().any(|r| file.starts_with(r));
        if !allowed && code(&text).contains("glommio::") {
            problems.push(format!("{file}: names the runtime"));
        }
    }
    report(&problems);
}

#[test]
fn pure_folders_ban_ambient_time_and_randomness() {
    let mut problems = Vec::new();
    let all = sources(&["src"]);
    for folder in PURE {
        let banned = format!("#[deny(clippy::disallowed_methods)]\npub mod {folder};");
        if !all["src/lib.rs"].contains(&banned) {
            problems.push(format!("src/lib.rs does not deny the disallowed methods in {folder}"));
        }
    }
    for (file, text) in &all {
        let pure = PURE.contains(&top_module(file));
        let lifts = code(text).contains("clippy::disallowed_methods");
        if pure && !IO_SIDE.contains(&file.as_str()) && lifts {
            problems.push(format!("{file}: lifts the ban on ambient time and randomness"));
        }
    }
    report(&problems);
}

#[test]
fn files_are_short_and_finished() {
    let mut problems = Vec::new();
    for (file, text) in sources(&["src", "tests", "benches", "fuzz"]) {
        let lines = text.lines().count();
        if lines > MAX_LINES && !is_generated(&text) {
            problems.push(format!("{file}: {lines} lines, more than {MAX_LINES}"));
        }
        if file == "tests/tidy.rs" {
            continue;
        }
        let code = code(&text);
        for unfinished in ["todo!(", "unimplemented!(", "dbg!("] {
            if code.contains(unfinished) {
                problems.push(format!("{file}: contains {unfinished}…)"));
            }
        }
    }
    report(&problems);
}

/// Review tools, searches and people leave alone what says this in its head.
#[test]
fn generated_files_and_no_others_say_so() {
    let mut problems = Vec::new();
    for (file, text) in sources(&["src", "tests", "benches"]) {
        let generated = GENERATED.iter().any(|place| file.starts_with(place));
        if generated != is_generated(&text) {
            let should = if generated { "lacks" } else { "must not have" };
            problems.push(format!("{file}: {should} a line // @generated in its head"));
        }
    }
    report(&problems);
}

#[test]
fn no_file_is_dead_and_every_folder_says_what_it_is() {
    let all = sources(&["src"]);
    let mut problems = Vec::new();
    for (file, text) in &all {
        let path = Path::new(file);
        let (stem, folder) = match path.file_name().and_then(|n| n.to_str()) {
            Some("lib.rs" | "main.rs") => continue,
            Some("mod.rs") => {
                if !text.contains("//!") {
                    problems.push(format!("{file}: says nothing about its folder"));
                }
                let folder = path.parent().expect("a folder");
                (folder.file_name().expect("a name"), folder.parent().expect("a parent"))
            }
            _ => (path.file_stem().expect("a name"), path.parent().expect("a folder")),
        };
        // A module written inline holds generated files: the level above declares them.
        let folder = folder.to_string_lossy();
        let folder = folder.strip_suffix("/generated").unwrap_or(&folder);
        let declared = format!("mod {};", stem.to_string_lossy());
        let parents = if folder == "src" {
            vec!["src/lib.rs".to_owned(), "src/main.rs".to_owned()]
        } else {
            vec![format!("{folder}/mod.rs"), format!("{folder}.rs")]
        };
        if !parents.iter().any(|p| all.get(p).is_some_and(|t| code(t).contains(&declared))) {
            problems.push(format!("{file}: no parent declares it"));
        }
    }
    report(&problems);
}

/// Every document that names files of the tree.
fn documents() -> Vec<PathBuf> {
    let mut all = Vec::new();
    for folder in ["src", "tests", "benches", "schemas", "tuning"] {
        files_below(&root().join(folder), "md", &mut all);
    }
    for entry in fs::read_dir(root()).expect("the root") {
        let path = entry.expect("a directory entry").path();
        all.extend((path.extension().is_some_and(|e| e == "md")).then_some(path));
    }
    all
}

#[test]
fn documents_name_only_what_exists() {
    let mut problems = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a readable document");
        let name = document.strip_prefix(root()).expect("below the root").display();
        // Odd pieces lie between backticks, in running text and in code blocks alike.
        for (i, piece) in text.split('`').enumerate() {
            let word = piece.split_whitespace().next().unwrap_or_default();
            let ours = ["src/", "tests/", "benches/", "schemas/", "tuning/", ".ci/"];
            let is_path =
                ours.iter().any(|p| word.starts_with(p)) && !word.contains(['{', '<', '*']);
            if i % 2 == 1 && is_path && !root().join(word).exists() {
                problems.push(format!("{name} names {word}, which does not exist"));
            }
        }
    }
    report(&problems);
}

#[test]
fn the_readme_is_short_and_its_test_command_is_the_one_that_is_run() {
    let text = fs::read_to_string(root().join("README.md")).expect("README.md");
    let lines = text.lines().count();
    assert!(lines <= 150, "README.md has {lines} lines: what is not for users belongs elsewhere");
    let command = "cargo test --workspace";
    assert!(text.contains(command), "README.md does not name the test command");
    let ci = fs::read_to_string(root().join(".ci/run")).expect(".ci/run");
    assert!(ci.contains(command), ".ci/run does not call the README's test command");
}

/// The module of a source file, as a path below the crate root.
fn module_of(file: &str) -> String {
    let below = file.strip_prefix("src/").unwrap_or(file);
    below.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::")
}

/// The paths below the crate root that the code of a module names, those by way of `super` too.
fn named(module: &str, code: &str) -> Vec<String> {
    let mut out = paths_below(code, "crate::");
    let mut stem = Some(module);
    let mut prefix = String::new();
    while let Some(above) = stem.and_then(|it| it.rsplit_once("::")).map(|(above, _)| above) {
        prefix.push_str("super::");
        // Those that go on upward come with the next prefix.
        let below = paths_below(code, &prefix).into_iter().filter(|it| !it.starts_with("super"));
        out.extend(below.map(|it| format!("{above}::{it}")));
        stem = Some(above);
    }
    out
}

/// The file that a path leads to, among `modules`: the longest of them that it begins with.
fn owner<'a>(path: &str, modules: &BTreeMap<String, &'a str>) -> Option<(String, &'a str)> {
    let mut path = path;
    loop {
        if let Some(file) = modules.get(path) {
            return Some((path.to_owned(), file));
        }
        path = path.rsplit_once("::")?.0;
    }
}

/// A circle of imports that begins and ends at `start`, if there is one.
fn circle<'a>(start: &'a str, imports: &'a BTreeMap<String, Vec<String>>) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![start]];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in imports.get(*way.last().expect("a start")).into_iter().flatten() {
            let longer = [&way[..], &[next]].concat();
            if next == start {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push(longer);
            }
        }
    }
    None
}

/// What a file with a circle of imports means is understood only together with all others of the
/// circle. A `mod.rs` is left out: it puts its folder together, and its words are used there.
#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let all = sources(&["src"]);
    let is_node = |file: &str| !file.contains("test");
    let modules: BTreeMap<_, _> = all.keys().map(|it| (module_of(it), it.as_str())).collect();
    let mut imports: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in all.iter().filter(|(file, _)| is_node(file) && !file.ends_with("mod.rs")) {
        let code = code(text);
        let code = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let module = module_of(file);
        for path in named(&module, code) {
            let Some((found, other)) = owner(&path, &modules) else { continue };
            if found != module && is_node(other) && !other.ends_with("mod.rs") {
                imports.entry(module.clone()).or_default().push(found);
            }
        }
    }
    let circles: Vec<_> =
        imports.keys().filter_map(|it| circle(it, &imports)).map(|it| it.join(" → ")).collect();
    report(&circles);
}

#[test]
fn circles_are_seen() {
    let text = "use super::{c::X, d};\nuse super::super::e::f::Y;";
    let mut found = named("a::b::c", &code(text));
    found.sort();
    assert!(found.contains(&"a::b::c::X".to_owned()), "{found:?}");
    assert!(found.contains(&"a::e::f::Y".to_owned()), "{found:?}");
    let imports = |edges: &[(&str, &str)]| {
        let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (from, to) in edges {
            out.entry((*from).to_owned()).or_default().push((*to).to_owned());
        }
        out
    };
    let tree = imports(&[("a", "b"), ("a", "c"), ("b", "c"), ("d", "a")]);
    assert!(tree.keys().all(|it| circle(it, &tree).is_none()));
    let round = imports(&[("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]);
    assert_eq!(circle("a", &round), Some(vec!["a", "b", "c", "a"]));
    assert_eq!(circle("d", &round), None);
}

#[test]
fn the_import_scanner_sees_what_it_must() {
    let text = "use crate::{a::{b, c::d}, e};\nlet x = crate::f::g();\n// crate::no::where\nuse not_crate::x;";
    let mut found = paths_below(&code(text), "crate::");
    found.sort();
    assert_eq!(found, ["a::b", "a::c::d", "e", "f::g"]);
}
