//! What `SubscribedTopicRegex` of a member of a consumer group (KIP-848) means: a regular expression of RE2's
//! syntax that a topic's whole name must match, and which topics those are.
//!
//! As in Kafka, internal topics are not left out: `exclude.internal.topics` is a setting of clients that resolve
//! patterns themselves.
//!
//! The crate `regex` has RE2's syntax but for what is never needed for names of topics (`\C`), and for
//! `\Q…\E`, which clients make of names (Java's `Pattern.quote`) and which is translated. Its time is linear in
//! the name, as RE2's; what a pattern may cost is bounded by [`PATTERN_BYTES_MAX`] and `COMPILED_BYTES_MAX`.

use regex::bytes::{Regex, RegexBuilder};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Longer patterns are refused, bytes.
pub const PATTERN_BYTES_MAX: usize = 4 << 10;
/// Patterns that take more memory once they are compiled are refused, bytes.
const COMPILED_BYTES_MAX: usize = 256 << 10;
/// Memory for states that are kept while names are matched, bytes.
const CACHE_BYTES_MAX: usize = 128 << 10;

/// A pattern that was compiled.
#[derive(Clone, Debug)]
pub struct TopicRegex {
    pattern: Arc<str>,
    whole: Regex,
}

impl TopicRegex {
    /// Compiles a pattern. The error is the message of `INVALID_REGULAR_EXPRESSION`.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let refused = |why: &str| {
            // A long one would not make the message clearer.
            let shown: String = pattern.chars().take(256).collect();
            format!("SubscribedTopicRegex `{shown}` is not a valid regular expression: {why}.")
        };
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(refused(&format!("it is longer than {PATTERN_BYTES_MAX} bytes")));
        }
        // Alone first: "a)(b" is none, though it would be one between brackets.
        let syntax = unquoted(pattern);
        let whole = format!("^(?:{syntax})$");
        compile(&syntax)
            .and_then(|_| compile(&whole))
            .map(|whole| Self { pattern: pattern.into(), whole })
            .map_err(|error| refused(&reason(&error)))
    }

    /// What it was compiled from.
    pub fn pattern(&self) -> &Arc<str> {
        &self.pattern
    }

    /// Whether the whole name matches.
    pub fn is_match(&self, topic: &str) -> bool {
        self.whole.is_match(topic.as_bytes())
    }
}

/// Names of topics are ASCII, and so are RE2's `\w`, `\d`, `\s` and `\b`: only what names classes of other letters needs
/// their tables.
fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    let build = |unicode| {
        RegexBuilder::new(pattern)
            .unicode(unicode)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(CACHE_BYTES_MAX)
            .build()
    };
    build(false).or_else(|error| match error {
        regex::Error::Syntax(_) => build(true),
        other => Err(other),
    })
}

/// Why a pattern is none, in a line.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("it takes more than {limit} bytes once compiled")
        }
        other => {
            let shown = other.to_string();
            let last = shown.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}

/// The pattern with what stands between `\Q` and `\E`, or the end, escaped instead.
fn unquoted(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at..];
        if let Some(quoted) = escape.strip_prefix("\\Q") {
            let (text, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            out.push_str(&regex::escape(text));
            rest = after;
        } else {
            // The escaped character goes along: "\\\\Q" is a backslash and a Q.
            let escaped = escape.chars().nth(1).map_or(0, char::len_utf8);
            out.push_str(&escape[..=escaped]);
            rest = &escape[1 + escaped..];
        }
    }
    out + rest
}

/// The names of all topics, in their order.
pub trait TopicNames {
    /// Those after this one, or all.
    fn names_after<'a>(&'a self, last: Option<&str>) -> impl Iterator<Item = &'a str>;
}

/// Finds the topics that match patterns, some topics at a time. Topics may come and go meanwhile: what comes after
/// it began may be missed, so it counts for the metadata that it began with.
#[derive(Debug)]
pub struct Resolving {
    patterns: Vec<(TopicRegex, BTreeSet<Arc<str>>)>,
    last: Option<Arc<str>>,
}

impl Resolving {
    /// Begins.
    pub fn new(patterns: impl IntoIterator<Item = TopicRegex>) -> Self {
        let patterns = patterns.into_iter().map(|it| (it, BTreeSet::new())).collect();
        Self { patterns, last: None }
    }

    /// Matches about so many names; how many steps were taken. Fewer are the last. A step is one name and
    /// one pattern.
    pub fn step(&mut self, topics: &impl TopicNames, steps: usize) -> usize {
        let each = self.patterns.len().max(1);
        let mut taken = 0;
        let mut last = None;
        for name in topics.names_after(self.last.as_deref()) {
            // All sets share one name.
            let mut shared = None;
            for (_, found) in self.patterns.iter_mut().filter(|it| it.0.is_match(name)) {
                found.insert(Arc::clone(shared.get_or_insert_with(|| name.into())));
            }
            taken += each;
            last = Some(name);
            if taken >= steps {
                break;
            }
        }
        if let Some(last) = last {
            self.last = Some(last.into());
        }
        taken
    }

    /// What was found, by pattern.
    pub fn finish(self) -> impl Iterator<Item = (Arc<str>, BTreeSet<Arc<str>>)> {
        self.patterns.into_iter().map(|(regex, found)| (regex.pattern, found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Bound;

    impl TopicNames for BTreeSet<&'static str> {
        fn names_after<'a>(&'a self, last: Option<&str>) -> impl Iterator<Item = &'a str> {
            let from = last.map_or(Bound::Unbounded, Bound::Excluded);
            self.range::<str, _>((from, Bound::Unbounded)).copied()
        }
    }

    fn matches(pattern: &str, topic: &str) -> bool {
        TopicRegex::new(pattern).unwrap().is_match(topic)
    }

    #[test]
    fn whole_names_match() {
        for (pattern, yes, no) in [
            ("foo", "foo", "foobar"),
            ("foo.*", "foobar", "afoobar"),
            ("a|b", "b", "bc"),
            ("^a$", "a", "aa"),
            ("(?i)ORDERS-\\d+", "orders-17", "orders-"),
            ("[[:alpha:]]+\\.v[12]", "x.v2", "x.v3"),
            ("\\Qa.b\\E", "a.b", "axb"),
            ("\\Qa.b\\E|\\Qc+", "c+", "cc"),
            ("a\\\\?Q", "aQ", "ab"),
            ("\\pL+", "abc", "a1"),
            ("\\w{2}", "a_", "a-"),
            ("(?P<x>a)(?s:.)(?U:b+)", "acbb", "acb\n"),
            ("a{2,3}", "aaa", "a"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            assert!(!matches(pattern, no), "{pattern} {no}");
        }
        assert!(matches("__.*", "__consumer_offsets"), "internal topics are topics");
        assert!(!matches("", "a"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_reason() {
        for (pattern, why) in [
            ("(a", "unclosed group"),
            ("a)(b", "unopened group"),
            ("*", "repetition operator missing expression"),
            ("[b-a]", "invalid character class range"),
            ("(?=a)", "look-around"),
            ("(a)\\1", "backreferences are not supported"),
            ("\\", "incomplete escape sequence"),
            ("((a{1,999}){1,999}){1,999}", "it takes more than 262144 bytes once compiled"),
        ] {
            let message = TopicRegex::new(pattern).unwrap_err();
            let begin =
                format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: ");
            assert!(message.starts_with(&begin), "{message}");
            assert!(message.contains(why) && message.ends_with('.'), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
        let long = "é".repeat(PATTERN_BYTES_MAX);
        let message = TopicRegex::new(&long).unwrap_err();
        assert!(message.ends_with("it is longer than 4096 bytes."), "{message}");
        assert!(message.len() < 1_024);
    }

    /// An expression that backtracking would not finish in the age of the universe, and as many names as a list has room for.
    #[test]
    fn time_is_linear_in_the_name() {
        let name = "a".repeat(249);
        assert!(!matches("(a*)*(a|aa)+b", &name));
        let names: Vec<String> = (0..120).map(|it| format!("orders-of-the-region-{it}")).collect();
        assert!(matches(&names.join("|"), "orders-of-the-region-119"));
    }

    #[test]
    fn topics_are_found_in_pieces_of_any_size() {
        let topics: BTreeSet<&'static str> = ["a", "a1", "a2", "b", "b1", "c"].into();
        let patterns = || ["a.*", ".1", "nothing"].map(|it| TopicRegex::new(it).unwrap());
        for steps in 1..30 {
            let mut resolving = Resolving::new(patterns());
            let mut pieces = 1;
            while resolving.step(&topics, steps) >= steps {
                pieces += 1;
            }
            // The last piece finds nothing left, where the one before just reached the end.
            let a_piece = steps.div_ceil(3);
            assert_eq!(pieces, topics.len() / a_piece + 1, "{steps}");
            let found: Vec<_> = resolving
                .finish()
                .map(|(pattern, found)| {
                    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                    (pattern.to_string(), found.join(" "))
                })
                .collect();
            let expected = [("a.*", "a a1 a2"), (".1", "a1 b1"), ("nothing", "")];
            assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        }
    }
}
