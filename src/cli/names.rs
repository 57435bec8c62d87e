//! Names: checks of those that the user types, before a broker is asked; lists and counts as they are shown.

use super::CliError;
use std::fmt::Display;

/// Numbers with commas between them.
pub fn joined<'a>(ids: impl IntoIterator<Item = &'a i32>) -> String {
    ids.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A count with its noun.
pub fn count<N: PartialEq + From<u8> + Display>(n: N, noun: &str) -> String {
    if n == N::from(1) { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Kafka's rules for topic names.
pub fn check_topic(name: &str) -> Result<(), CliError> {
    let odd = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"._-".contains(*c));
    let why = if name.is_empty() {
        "it is empty".to_owned()
    } else if name == "." || name == ".." {
        "it may not be '.' or '..'".to_owned()
    } else if name.len() > 249 {
        format!("it has {} characters, at most 249 are allowed", name.len())
    } else if let Some(c) = odd {
        format!("it has {c:?}; use letters, digits, '.', '_' and '-'")
    } else {
        return Ok(());
    };
    Err(CliError::Usage(format!("'{name}' is not a topic name: {why}")))
}

/// `name=value`, as `--config` takes it.
pub fn pair<'a>(flag: &str, text: &'a str) -> Result<(&'a str, &'a str), CliError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        _ => Err(CliError::Usage(format!("{flag} {text}: write it as NAME=VALUE"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_follow_kafkas_rules() {
        for good in ["a", "A.b_c-9", "...", &"x".repeat(249)] {
            assert!(check_topic(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250)] {
            assert!(check_topic(bad).is_err(), "{bad}");
        }
        assert_eq!(pair("--config", "a=b=c").expect("a pair"), ("a", "b=c"));
        assert!(pair("--config", "a").is_err() && pair("--config", "=a").is_err());
    }
}
