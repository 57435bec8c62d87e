//! Command lines as Kafka's tools read them: joptsimple's rules.
//!
//! `--name value`, `--name=value`, `-name value`; a value that is required is the next word, whatever
//! it looks like; one that may be left out is the next word unless that begins with a dash; words
//! that belong to no option are kept apart; after `--` there are only such. An option may be repeated
//! where a tool asks for all its values. Names must be written out: Kafka's tools switch
//! abbreviations off.

use super::ToolError;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arity {
    Flag,
    Optional,
    Required,
}

/// One option of a tool.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Name, without dashes.
    name: &'static str,
    arity: Arity,
    /// Java's name of the value's type, for the help: `String`, `Integer`, `Long`.
    kind: &'static str,
    /// What the value is, for the help.
    describes: &'static str,
    /// What the option does. Empty: the option is accepted, and the help does not list it.
    text: &'static str,
    default: Option<&'static str>,
    /// Where given, values are lists, and this is between their items.
    separator: Option<char>,
}

/// An option without a value.
pub const fn flag(name: &'static str, text: &'static str) -> Opt {
    Opt { name, arity: Arity::Flag, kind: "", describes: "", text, default: None, separator: None }
}

/// An option with a value of text.
pub const fn text(name: &'static str, describes: &'static str, text: &'static str) -> Opt {
    Opt { arity: Arity::Required, kind: "String", describes, ..flag(name, text) }
}

/// An option with a number of 32 bits.
pub const fn integer(name: &'static str, describes: &'static str, help: &'static str) -> Opt {
    Opt { kind: "Integer", ..text(name, describes, help) }
}

/// An option with a number of 64 bits.
pub const fn long(name: &'static str, describes: &'static str, help: &'static str) -> Opt {
    Opt { kind: "Long", ..text(name, describes, help) }
}

impl Opt {
    /// Makes the value optional.
    pub const fn optional(self) -> Self {
        Self { arity: Arity::Optional, ..self }
    }

    /// Sets the value that holds where the option is absent.
    pub const fn default(self, value: &'static str) -> Self {
        Self { default: Some(value), ..self }
    }

    /// Makes values lists with this separator.
    pub const fn separated_by(self, separator: char) -> Self {
        Self { separator: Some(separator), ..self }
    }

    /// As Kafka's messages name it: `[topic]`.
    pub fn bracketed(&self) -> String {
        format!("[{}]", self.name)
    }
}

/// `--help`, which every tool has.
pub const HELP: Opt = flag("help", "Print usage information.");
/// `--version`, which every tool has.
pub const VERSION: Opt = flag("version", "Display Kafka version.");
/// `--bootstrap-server`, for the tools that want it.
pub const BOOTSTRAP: Opt =
    text("bootstrap-server", "server to connect to", "REQUIRED: The broker(s) to connect to.");
/// `--command-config`.
pub const COMMAND_CONFIG: Opt = text(
    "command-config",
    "command config property file",
    "Property file with settings of the client.",
);
/// `--zookeeper`, which tools had up to Kafka 2.8: accepted, and not listed in the help.
pub const ZOOKEEPER: Opt = text("zookeeper", "hosts", "");

/// The options of a tool.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// All of them.
    pub all: &'static [Opt],
}

/// A command line that was read.
#[derive(Clone, Debug)]
pub struct Parsed {
    options: Options,
    /// The values of each option that is there, by its first name; a flag has an empty list.
    values: BTreeMap<&'static str, Vec<String>>,
    /// Arguments that belong to no option.
    pub words: Vec<String>,
}

impl Options {
    fn find(&self, name: &str) -> Option<&'static Opt> {
        self.all.iter().find(|o| o.name == name)
    }

    /// Reads a command line.
    ///
    /// # Errors
    /// joptsimple's messages.
    pub fn parse(&self, args: &[String]) -> Result<Parsed, ToolError> {
        let mut parsed = Parsed { options: *self, values: BTreeMap::new(), words: Vec::new() };
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            if arg == "--" {
                parsed.words.extend(rest.cloned());
                break;
            }
            if !looks_like_an_option(arg) {
                parsed.words.push(arg.clone());
                continue;
            }
            let bare = arg.trim_start_matches('-');
            let (name, attached) =
                bare.split_once('=').map_or((bare, None), |(name, value)| (name, Some(value)));
            let Some(option) = self.find(name) else {
                return Err(ToolError::Failed(format!("{name} is not a recognized option")));
            };
            let found = parsed.values.entry(option.name).or_default();
            let value = match (option.arity, attached) {
                (Arity::Flag, _) => continue,
                (_, Some(value)) if !value.is_empty() => Some(value),
                (Arity::Required, _) => match rest.next() {
                    Some(next) => Some(next.as_str()),
                    None => {
                        return Err(ToolError::Failed(format!(
                            "Option {name} requires an argument"
                        )));
                    }
                },
                (Arity::Optional, _) => {
                    let next = rest.as_slice().first();
                    let next = next.filter(|next| {
                        let number = option.kind != "String" && next.parse::<i64>().is_ok();
                        number || !looks_like_an_option(next)
                    });
                    if next.is_some() {
                        rest.next();
                    }
                    next.map(String::as_str)
                }
            };
            match (value, option.separator) {
                (Some(value), Some(separator)) => {
                    found.extend(value.split(separator).map(str::to_owned));
                }
                (value, _) => found.extend(value.map(str::to_owned)),
            }
        }
        Ok(parsed)
    }

    /// Reads a command line, and ends where it is empty or asks for help or the version; `about` is
    /// what the tool is for.
    pub fn parse_or_help(&self, args: &[String], about: &str) -> Result<Parsed, ToolError> {
        if args.is_empty() {
            return Err(self.usage(about));
        }
        let parsed = self.parse(args)?;
        if parsed.has("help") {
            return Err(self.usage(about));
        }
        if parsed.has("version") {
            return Err(ToolError::Version);
        }
        Ok(parsed)
    }

    /// Wrong usage: what is wrong, then all options.
    pub fn usage(&self, what: &str) -> ToolError {
        ToolError::Usage(format!("{what}\n{}", self.help()))
    }

    /// The list of options, 80 columns wide.
    pub fn help(&self) -> String {
        let mut listed: Vec<&Opt> = self.all.iter().filter(|o| !o.text.is_empty()).collect();
        listed.sort_by_key(|o| o.name);
        let mut rows = vec![("Option".to_owned(), "Description".to_owned())];
        rows.push(("------".to_owned(), "-----------".to_owned()));
        rows.extend(listed.iter().map(|o| (o.head(), o.description())));
        let left = rows.iter().map(|(head, _)| head.chars().count()).max().unwrap_or(0).min(39);
        let right = 78 - left;
        let mut out = String::new();
        for (head, text) in rows {
            let (heads, texts) = (pieces(&head, left), pieces(&text, right));
            for i in 0..heads.len().max(texts.len()) {
                let at = |of: &[String]| of.get(i).cloned().unwrap_or_default();
                let line = format!("{:left$}  {}", at(&heads), at(&texts));
                let _ = writeln!(out, "{}", line.trim_end());
            }
        }
        out
    }
}

impl Opt {
    fn head(&self) -> String {
        let name = self.name;
        let value = if self.describes.is_empty() {
            self.kind.to_owned()
        } else {
            format!("{}: {}", self.kind, self.describes)
        };
        match self.arity {
            Arity::Flag => format!("--{name}"),
            Arity::Required => format!("--{name} <{value}>"),
            Arity::Optional => format!("--{name} [{value}]"),
        }
    }

    fn description(&self) -> String {
        match self.default {
            Some(value) => format!("{} (default: {value})", self.text),
            None => self.text.to_owned(),
        }
    }
}

fn looks_like_an_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-')
}

/// Breaks a text at blanks and after hyphens; what follows the first line is indented by two.
fn pieces(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_inclusive([' ', '-']) {
            if line.chars().count() + word.trim_end().chars().count() > width && !line.is_empty() {
                lines.push(line.trim_end().to_owned());
                "  ".clone_into(&mut line);
            }
            line.push_str(word);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

impl Parsed {
    /// Whether the option is there.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(self.option(name).name)
    }

    /// The names of the options that are there.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.values.keys().copied()
    }

    fn option(&self, name: &str) -> &'static Opt {
        self.options.find(name).expect("tools ask for their own options")
    }

    /// All values of an option, in order; its default where it is absent.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let option = self.option(name);
        match self.values.get(option.name) {
            Some(values) if !values.is_empty() => values.iter().map(String::as_str).collect(),
            _ => option.default.into_iter().collect(),
        }
    }

    /// The value of an option, or its default.
    ///
    /// # Errors
    /// The option is there more than once.
    pub fn value(&self, name: &str) -> Result<Option<&str>, ToolError> {
        let values = self.values(name);
        if values.len() > 1 {
            let name = self.option(name).name;
            return Err(ToolError::Failed(format!(
                "Found multiple arguments for option {name}, but you asked for only one"
            )));
        }
        Ok(values.first().copied())
    }

    /// The value of an option as a number, or its default.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ToolError> {
        let Some(text) = self.value(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let name = self.option(name).name;
            ToolError::Failed(format!("Cannot parse argument '{text}' of option {name}"))
        })
    }

    /// Wrong usage: what is wrong, then all options.
    pub fn usage(&self, what: &str) -> ToolError {
        self.options.usage(what)
    }

    /// An error unless all of these options are there.
    pub fn require(&self, names: &[&str]) -> Result<(), ToolError> {
        match names.iter().find(|name| !self.has(name)) {
            Some(name) => {
                let name = self.option(name).bracketed();
                Err(self.usage(&format!("Missing required argument \"{name}\"")))
            }
            None => Ok(()),
        }
    }

    /// An error if `used` is there together with one of `others`.
    pub fn forbid(&self, used: &str, others: &[&str]) -> Result<(), ToolError> {
        match others.iter().find(|other| self.has(used) && self.has(other)) {
            Some(other) => {
                let (used, other) = (self.option(used).bracketed(), self.option(other).bracketed());
                Err(self.usage(&format!("Option \"{used}\" can't be used with option \"{other}\"")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Options = Options {
        all: &[
            flag("create", "Creates."),
            text("topic", "topic", "The topic to create or to delete, or whatever there is to do."),
            integer("partitions", "number", "How many partitions."),
            text("state", "", "States.").optional(),
            long("offsets", "count", "Some.").optional(),
            text("broker-list", "brokers", "Brokers."),
            text("list", "", "A list.").separated_by(','),
            text("timeout", "ms", "A time.").default("500"),
            ZOOKEEPER,
            HELP,
            VERSION,
        ],
    };

    fn parse(line: &str) -> Result<Parsed, ToolError> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        OPTIONS.parse_or_help(&args, "About.")
    }

    fn message(result: Result<Parsed, ToolError>) -> String {
        match result.expect_err("wrong usage") {
            ToolError::Failed(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_come_in_all_of_joptsimples_forms() {
        for line in ["--topic a", "--topic=a", "-topic a", "-topic=a", "--topic= a"] {
            assert_eq!(parse(line).expect(line).value("topic"), Ok(Some("a")), "{line}");
        }
        let p = parse("x --create --topic --create y -- --topic z").expect("reads");
        assert_eq!(p.value("topic"), Ok(Some("--create")), "a required value is the next word");
        assert_eq!(p.words, ["x", "y", "--topic", "z"]);
        let p = parse("-broker-list h:1 --state --create --offsets -5").expect("reads");
        assert_eq!(p.value("broker-list"), Ok(Some("h:1")));
        assert!(p.has("state") && p.has("create"));
        assert_eq!(p.value("state"), Ok(None));
        assert_eq!(p.number::<i64>("offsets"), Ok(Some(-5)), "a number may begin with a dash");
        let p = parse("--list a,b --list=c --topic a=b").expect("reads");
        assert_eq!(p.values("list"), ["a", "b", "c"]);
        assert_eq!(p.value("topic"), Ok(Some("a=b")));
        assert_eq!((p.has("timeout"), p.number("timeout")), (false, Ok(Some(500))));
    }

    #[test]
    fn mistakes_get_joptsimples_messages() {
        assert_eq!(message(parse("--foo")), "foo is not a recognized option");
        assert_eq!(message(parse("--part 3")), "part is not a recognized option");
        assert_eq!(message(parse("--topic")), "Option topic requires an argument");
        let p = parse("--partitions x --topic a --topic b").expect("reads");
        let failed = |text: &str| Some(ToolError::failed(text));
        assert_eq!(
            p.number::<i32>("partitions").err(),
            failed("Cannot parse argument 'x' of option partitions")
        );
        assert_eq!(
            p.value("topic").err(),
            failed("Found multiple arguments for option topic, but you asked for only one")
        );
    }

    #[test]
    fn needs_and_conflicts_show_the_options() {
        let p = parse("--create --topic a").expect("reads");
        let text = |r: Result<(), ToolError>| match r {
            Err(ToolError::Usage(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(p.require(&["topic"]), Ok(()));
        let e = text(p.require(&["topic", "partitions"]));
        assert!(e.starts_with("Missing required argument \"[partitions]\"\nOption "), "{e}");
        assert_eq!(p.forbid("partitions", &["topic"]), Ok(()));
        let e = text(p.forbid("create", &["partitions", "topic"]));
        assert!(
            e.starts_with("Option \"[create]\" can't be used with option \"[topic]\"\n"),
            "{e}"
        );
    }

    #[test]
    fn help_is_a_table_of_eighty_columns() {
        for line in ["", "--help --topic a"] {
            let Err(ToolError::Usage(text)) = parse(line) else { panic!("no help for '{line}'") };
            assert!(text.starts_with("About.\nOption "), "{text}");
            assert!(text.lines().all(|l| l.len() <= 80), "{text}");
            assert!(text.contains("--broker-list <String: brokers>"), "{text}");
            assert!(text.contains("--state [String]"), "{text}");
            assert!(text.contains("A time. (default: 500)"), "{text}");
            assert!(!text.contains("zookeeper"), "{text}");
        }
        assert_eq!(parse("--version").err(), Some(ToolError::Version));
    }
}
