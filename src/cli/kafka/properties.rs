//! Java's property files, and `key=value` words.

use super::ToolError;
use std::collections::BTreeMap;
use std::path::Path;

/// Properties by name.
pub type Properties = BTreeMap<String, String>;

/// Reads a property file.
pub fn load(path: &str) -> Result<Properties, ToolError> {
    let bytes = std::fs::read(Path::new(path))
        .map_err(|e| ToolError::Failed(format!("property file {path}: {e}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| ToolError::Failed(format!("property file {path}: it is not UTF-8")))?;
    parse(&text).map_err(|e| ToolError::Failed(format!("property file {path}: {e}")))
}

/// Reads the text of a property file, by the rules of `java.util.Properties`: comments begin with
/// `#` or `!`; a line that ends in a backslash goes on, without the blanks before what follows;
/// `=`, `:` or blanks end a name; backslashes escape. A later value replaces an earlier one.
pub fn parse(text: &str) -> Result<Properties, String> {
    let mut properties = Properties::new();
    let mut lines = text.lines();
    while let Some(first) = lines.next() {
        let first = first.trim_start_matches(BLANK);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut line = first.to_owned();
        while goes_on(&line) {
            line.pop();
            let Some(next) = lines.next() else { break };
            line.push_str(next.trim_start_matches(BLANK));
        }
        let (name, value) = split(&line);
        properties.insert(unescape(name)?, unescape(value)?);
    }
    Ok(properties)
}

const BLANK: [char; 3] = [' ', '\t', '\x0c'];

/// An odd number of backslashes at the end.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// Name and value, both as written.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (c == '=' || c == ':' || BLANK.contains(&c));
        escaped = c == '\\' && !escaped;
        ends
    });
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(BLANK);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (name, rest.trim_start_matches(BLANK))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\x0c'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                let c = code.and_then(char::from_u32);
                out.push(c.ok_or_else(|| format!("\\u{digits} is not a character"))?);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

/// `key=value` words, as `--producer-property` and `--property` take them. A word without `=` has an
/// empty value.
pub fn pairs<'a>(words: impl IntoIterator<Item = &'a str>) -> Properties {
    words
        .into_iter()
        .map(|word| {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> (String, String) {
        let mut all: Vec<_> = parse(line).expect("reads").into_iter().collect();
        assert_eq!(all.len(), 1, "{line:?} gives {all:?}");
        all.remove(0)
    }

    #[test]
    fn lines_follow_javas_rules() {
        for line in ["a=b", "a = b", "a:b", "  a b", "a\t=\tb", "a=\\\n   b", "a\\\n=b"] {
            assert_eq!(one(line), ("a".to_owned(), "b".to_owned()), "{line:?}");
        }
        assert_eq!(one("a"), ("a".to_owned(), String::new()));
        assert_eq!(one("a==b"), ("a".to_owned(), "=b".to_owned()));
        assert_eq!(one("a\\=b\\ c=d"), ("a=b c".to_owned(), "d".to_owned()));
        assert_eq!(one("a=b "), ("a".to_owned(), "b ".to_owned()), "blanks at the end stay");
        assert_eq!(one("a=\\u0041\\t\\\\x\\:"), ("a".to_owned(), "A\t\\x:".to_owned()));
        assert_eq!(one("a=b\\\\"), ("a".to_owned(), "b\\".to_owned()));
        assert_eq!(one("a=1\na=2"), ("a".to_owned(), "2".to_owned()));
        assert!(parse("# a=b\n ! c\n\n   \n").expect("reads").is_empty());
        assert!(parse("a=\\uzzzz").is_err());
    }

    #[test]
    fn words_are_split_at_the_first_equals_sign() {
        let all = pairs(["a=b=c", "d", "e="]);
        let want = [("a", "b=c"), ("d", ""), ("e", "")];
        let want: Properties =
            want.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(all, want);
    }
}
