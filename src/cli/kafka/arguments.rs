//! Command lines of the tools that have commands, as Kafka reads them: argparse4j's rules.
//!
//! Options of the tool come before the command, those of the command after it. `--name value`, `--name=value`, `-n
//! value`, `-nvalue`; a long name may be cut short as long as it stays the only one. The messages are argparse4j's;
//! its lines are not filled with blanks here.

use super::ToolError;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Text,
    Short,
    Integer,
    Long,
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its names, the long one first.
    names: &'static [&'static str],
    takes: Takes,
    required: bool,
    help: &'static str,
}

/// An option without a value.
pub const fn flag(names: &'static [&'static str], help: &'static str) -> Argument {
    Argument { names, takes: Takes::Nothing, required: false, help }
}

/// An option with a value of text.
pub const fn text(names: &'static [&'static str], help: &'static str) -> Argument {
    Argument { takes: Takes::Text, ..flag(names, help) }
}

/// An option with a number of 32 bits.
pub const fn integer(names: &'static [&'static str], help: &'static str) -> Argument {
    Argument { takes: Takes::Integer, ..flag(names, help) }
}

/// An option with a number of 16 bits.
pub const fn short(names: &'static [&'static str], help: &'static str) -> Argument {
    Argument { takes: Takes::Short, ..flag(names, help) }
}

/// An option with a number of 64 bits.
pub const fn long(names: &'static [&'static str], help: &'static str) -> Argument {
    Argument { takes: Takes::Long, ..flag(names, help) }
}

/// `-h`, which each tool and each command has.
const HELP: Argument = flag(&["--help", "-h"], "show this help message and exit");

impl Argument {
    /// Makes it required.
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    fn name(&self) -> &'static str {
        self.names[0].trim_start_matches('-')
    }

    /// As messages name it: `--id/-i`.
    fn shown(&self) -> String {
        self.names.join("/")
    }

    /// As a usage line has it: `--id ID`.
    fn in_usage(&self) -> String {
        match self.takes {
            Takes::Nothing => self.names[0].to_owned(),
            _ => format!("{} {}", self.names[0], self.metavar()),
        }
    }

    /// Whether a value is a number where one is due. The words behind it are Java's.
    fn check(&self, value: &str) -> Result<(), String> {
        let (kind, fits) = match self.takes {
            Takes::Short => ("Short", value.parse::<i16>().is_ok()),
            Takes::Integer => ("Integer", value.parse::<i32>().is_ok()),
            Takes::Long => ("Long", value.parse::<i64>().is_ok()),
            Takes::Nothing | Takes::Text => return Ok(()),
        };
        if fits {
            return Ok(());
        }
        let why = if kind == "Short" && value.parse::<i32>().is_ok() {
            format!("Value out of range. Value:\"{value}\" Radix:10")
        } else {
            format!("For input string: \"{value}\"")
        };
        Err(format!("argument {}: could not convert '{value}' to {kind} ({why})", self.shown()))
    }

    fn metavar(&self) -> String {
        self.name().replace('-', "_").to_uppercase()
    }
}

/// Options, and of some of them just one, or at most one.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    /// Those that go with any.
    pub all: &'static [Argument],
    /// Those that exclude each other.
    pub one_of: &'static [Argument],
    /// Whether one of them must be there.
    pub one_required: bool,
}

/// No options.
pub const NONE: Arguments = Arguments { all: &[], one_of: &[], one_required: false };

/// A command of a tool.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Its options.
    pub arguments: Arguments,
}

/// A tool with commands.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The options before the command.
    pub arguments: Arguments,
    /// The commands.
    pub commands: &'static [Command],
    /// Help ends with exit code 1, as if it were wrong usage.
    pub help_fails: bool,
}

/// A command line that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// The command.
    pub command: &'static str,
    /// The values of each option that is there, by its long name; a flag has an empty list.
    values: BTreeMap<&'static str, Vec<String>>,
}

impl Namespace {
    /// Whether an option is there.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The value of an option, the last where it is repeated.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last().map(String::as_str)
    }

    /// All values of an option.
    pub fn values(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of an option that takes a number: it was looked at when it was read.
    pub fn integer(&self, name: &str) -> Option<i32> {
        self.value(name)?.parse().ok()
    }

    /// As [`integer`](Self::integer), of 64 bits.
    pub fn long(&self, name: &str) -> Option<i64> {
        self.value(name)?.parse().ok()
    }
}

/// Why a command line has no meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// Help was asked for: this.
    Help(String),
    /// How it is used, and what is wrong.
    Wrong {
        /// The usage line.
        usage: String,
        /// What is wrong.
        why: String,
    },
}

impl Misuse {
    /// As most of these tools say it: the usage, then the error, on the standard error output.
    pub fn error(self, program: &Program) -> ToolError {
        match self {
            Self::Help(text) if program.help_fails => ToolError::FailedOnOutput(text),
            Self::Help(text) => ToolError::Help(text),
            Self::Wrong { usage, why } => {
                ToolError::Failed(format!("{usage}\n{}: error: {why}", program.name))
            }
        }
    }
}

impl Program {
    /// Whether a flag of the tool stands among the options before the command, as one that asks for the version does.
    pub fn starts_with_flag(&self, args: &[String], name: &str) -> bool {
        let mut rest = args;
        let (own, mut found) = (Reader { arguments: &self.arguments }, Namespace::default());
        while let Some((word, after)) = rest.split_first() {
            let taken = looks_like_an_option(word).then(|| own.take(word, after, &mut found));
            let Some(Ok(Some(after))) = taken else { return false };
            if found.has(name) {
                return true;
            }
            rest = after;
        }
        false
    }

    /// Reads a command line.
    ///
    /// # Errors
    /// argparse4j's messages.
    pub fn parse(&self, args: &[String]) -> Result<Namespace, Misuse> {
        let mut found = Namespace::default();
        let wrong = |why: String| Misuse::Wrong { usage: self.usage(), why };
        let mut rest = args;
        let own = Reader { arguments: &self.arguments };
        while let Some((word, after)) = rest.split_first() {
            if !looks_like_an_option(word) {
                break;
            }
            rest = match own.take(word, after, &mut found).map_err(wrong)? {
                Some(rest) => rest,
                None => return Err(Misuse::Help(self.help())),
            };
        }
        let Some((word, mut rest)) = rest.split_first() else {
            return Err(wrong("too few arguments".to_owned()));
        };
        let Some(command) = self.commands.iter().find(|it| it.name == word) else {
            let names: Vec<String> =
                self.commands.iter().map(|it| format!("'{}'", it.name)).collect();
            let names = names.join(", ");
            return Err(wrong(format!("invalid choice: '{word}' (choose from {names})")));
        };
        found.command = command.name;
        let wrong = |why: String| Misuse::Wrong { usage: self.usage_of(command), why };
        let reader = Reader { arguments: &command.arguments };
        while let Some((word, after)) = rest.split_first() {
            if !looks_like_an_option(word) {
                return Err(wrong(format!("unrecognized arguments: '{}'", rest.join(" "))));
            }
            rest = match reader.take(word, after, &mut found).map_err(wrong)? {
                Some(rest) => rest,
                None => return Err(Misuse::Help(self.help_of(command))),
            };
        }
        reader.complete(&found).map_err(wrong)?;
        let wrong = |why: String| Misuse::Wrong { usage: self.usage(), why };
        own.complete(&found).map_err(wrong)?;
        Ok(found)
    }

    fn usage(&self) -> String {
        let names: Vec<&str> = self.commands.iter().map(|it| it.name).collect();
        let own = self.arguments.usage();
        format!("usage: {} [-h]{own} {{{}}} ...", self.name, names.join(","))
    }

    fn usage_of(&self, command: &Command) -> String {
        // The options that must be there stand before the command.
        let group =
            if self.arguments.one_required { self.arguments.group() } else { String::new() };
        let own = command.arguments.usage();
        format!("usage: {}{group} {} [-h]{own}", self.name, command.name)
    }

    fn help(&self) -> String {
        let mut out = format!("{}\n\n{}\n\ncommands:\n", self.usage(), self.about);
        for it in self.commands {
            row(&mut out, it.name, it.help);
        }
        self.arguments.describe(&mut out);
        out
    }

    fn help_of(&self, command: &Command) -> String {
        let mut out = format!("{}\n\n{}\n", self.usage_of(command), command.help);
        command.arguments.describe(&mut out);
        out
    }
}

impl Arguments {
    fn usage(&self) -> String {
        let mut out = String::new();
        for it in self.all {
            let shown = it.in_usage();
            let _ = if it.required { write!(out, " {shown}") } else { write!(out, " [{shown}]") };
        }
        out + &self.group()
    }

    fn group(&self) -> String {
        if self.one_of.is_empty() {
            return String::new();
        }
        let names: Vec<String> = self.one_of.iter().map(Argument::in_usage).collect();
        let names = names.join(" | ");
        if self.one_required { format!(" ({names})") } else { format!(" [{names}]") }
    }

    fn describe(&self, out: &mut String) {
        out.push_str("\noptions:\n");
        row(out, &HELP.shown(), HELP.help);
        for it in self.one_of.iter().chain(self.all) {
            let value = if it.takes == Takes::Nothing {
                String::new()
            } else {
                " ".to_owned() + &it.metavar()
            };
            let names: Vec<String> = it.names.iter().map(|name| format!("{name}{value}")).collect();
            row(out, &names.join(", "), it.help);
        }
    }
}

/// A row of a help, 80 columns wide.
fn row(out: &mut String, head: &str, help: &str) {
    const LEFT: usize = 25;
    let mut line = format!("  {head}");
    if line.len() + 1 >= LEFT {
        let _ = writeln!(out, "{line}");
        line.clear();
    }
    line = format!("{line:LEFT$}");
    for word in help.split(' ') {
        if line.len() + 1 + word.len() > 80 {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(LEFT);
        }
        if !line.ends_with(' ') {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

fn looks_like_an_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-')
}

/// A number may be negative: no option here looks like one.
fn is_number(word: &str) -> bool {
    word.parse::<f64>().is_ok()
}

/// Reads the options of a tool, or of a command.
struct Reader<'a> {
    arguments: &'a Arguments,
}

impl Reader<'_> {
    fn options(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.all.iter().chain(self.arguments.one_of)
    }

    /// The option that a word names, and the value that is attached to it.
    fn find<'w>(&self, word: &'w str) -> Result<(&Argument, Option<&'w str>), String> {
        let unknown = || format!("unrecognized arguments: '{word}'");
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) if word.starts_with("--") => (name, Some(value)),
            _ => (word, None),
        };
        if let Some(it) = self.options().chain([&HELP]).find(|it| it.names.contains(&name)) {
            return Ok((it, attached));
        }
        if name.starts_with("--") {
            let starts = |it: &&Argument| it.names[0].starts_with(name);
            let matches: Vec<&Argument> = self.options().chain([&HELP]).filter(starts).collect();
            return match matches[..] {
                [] => Err(unknown()),
                [it] => Ok((it, attached)),
                _ => {
                    let mut names: Vec<&str> = matches.iter().map(|it| it.names[0]).collect();
                    names.sort_unstable();
                    let names = names.join(", ");
                    Err(format!("ambiguous option: {name} could match {names}"))
                }
            };
        }
        // -i5
        let short = word.get(..2).ok_or_else(unknown)?;
        let it = self.options().find(|it| it.names.contains(&short)).ok_or_else(unknown)?;
        Ok((it, word.get(2..)))
    }

    /// Takes an option and its value; returns what is left, or `None` where help was asked for.
    fn take<'w>(
        &self,
        word: &'w str,
        after: &'w [String],
        found: &mut Namespace,
    ) -> Result<Option<&'w [String]>, String> {
        let (it, attached) = self.find(word)?;
        if it.names == HELP.names {
            return Ok(None);
        }
        let among = |one: &Argument| self.arguments.one_of.iter().any(|it| it.names == one.names);
        if among(it) {
            let mut others = self.arguments.one_of.iter().filter(|other| other.names != it.names);
            if let Some(other) = others.find(|other| found.has(other.name())) {
                return Err(format!(
                    "argument {}: not allowed with argument {}",
                    it.shown(),
                    other.shown()
                ));
            }
        }
        if it.takes == Takes::Nothing {
            found.values.entry(it.name()).or_default();
            return Ok(Some(after));
        }
        let (value, rest) = match (attached, after.split_first()) {
            (Some(value), _) => (value, after),
            (None, Some((value, rest))) if !looks_like_an_option(value) || is_number(value) => {
                (&**value, rest)
            }
            _ => return Err(format!("argument {}: expected one argument", it.shown())),
        };
        it.check(value)?;
        found.values.entry(it.name()).or_default().push(value.to_owned());
        Ok(Some(rest))
    }

    /// Whether all is there that must be.
    fn complete(&self, found: &Namespace) -> Result<(), String> {
        // argparse4j looks at them in the order of a hash table, which for these tools is the last first.
        if let Some(it) = self.options().filter(|it| it.required && !found.has(it.name())).last() {
            return Err(format!("argument {} is required", it.shown()));
        }
        let there = |it: &Argument| found.has(it.name());
        if self.arguments.one_required && !self.arguments.one_of.iter().any(there) {
            let names: Vec<String> = self.arguments.one_of.iter().map(Argument::shown).collect();
            return Err(format!("one of the arguments {} is required", names.join(" ")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: Program = Program {
        name: "kafka-thing",
        about: "A thing.",
        help_fails: false,
        arguments: Arguments {
            all: &[text(&["--command-config"], "A file.")],
            one_of: &[
                text(&["--bootstrap-server", "-b"], "Brokers."),
                text(&["--bootstrap-controller"], "Controllers."),
            ],
            one_required: true,
        },
        commands: &[
            Command { name: "show", help: "Shows.", arguments: NONE },
            Command {
                name: "remove",
                help: "Removes.",
                arguments: Arguments {
                    all: &[
                        integer(&["--id", "-i"], "Which.").required(),
                        flag(&["--dry-run"], "Not really."),
                    ],
                    ..NONE
                },
            },
        ],
    };

    fn parse(line: &str) -> Result<Namespace, Misuse> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        PROGRAM.parse(&args)
    }

    fn wrong(line: &str) -> String {
        match parse(line) {
            Err(Misuse::Wrong { usage, why }) => {
                assert!(usage.starts_with("usage: kafka-thing"), "{usage}");
                why
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn values_come_in_all_of_argparses_forms() {
        for line in [
            "-b x remove --id 5",
            "-bx remove -i5",
            "--bootstrap-server=x remove -i 5",
            "--bootstrap-s x remove --i=5",
        ] {
            let found = parse(line).expect(line);
            assert_eq!((found.command, found.value("bootstrap-server")), ("remove", Some("x")));
            assert_eq!((found.integer("id"), found.has("dry-run")), (Some(5), false), "{line}");
        }
        assert_eq!(parse("-b x remove -i -3").expect("reads").integer("id"), Some(-3));
        assert!(parse("-b x remove -i 5 --dry-run").expect("reads").has("dry-run"));
    }

    #[test]
    fn mistakes_get_argparses_messages() {
        for (line, why) in [
            ("", "too few arguments"),
            ("-b x", "too few arguments"),
            ("-b x foo", "invalid choice: 'foo' (choose from 'show', 'remove')"),
            (
                "show",
                "one of the arguments --bootstrap-server/-b --bootstrap-controller is required",
            ),
            (
                "-b x --bootstrap-controller y show",
                "argument --bootstrap-controller: not allowed with argument --bootstrap-server/-b",
            ),
            (
                "--boot x show",
                "ambiguous option: --boot could match --bootstrap-controller, --bootstrap-server",
            ),
            ("-b x show --foo", "unrecognized arguments: '--foo'"),
            ("-b x show foo bar", "unrecognized arguments: 'foo bar'"),
            ("-b x remove", "argument --id/-i is required"),
            ("-b x remove -i", "argument --id/-i: expected one argument"),
            (
                "-b x remove -i y",
                "argument --id/-i: could not convert 'y' to Integer (For input string: \"y\")",
            ),
        ] {
            assert_eq!(wrong(line), why, "{line}");
        }
    }

    #[test]
    fn help_is_at_most_eighty_columns_wide() {
        for line in ["-h", "-b x remove --help"] {
            let Err(Misuse::Help(text)) = parse(line) else { panic!("no help for {line}") };
            assert!(text.contains("-h") && text.lines().skip(1).all(|it| it.len() <= 80), "{text}");
        }
    }
}
