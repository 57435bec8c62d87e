//! Which topics a tool is asked about: Kafka's include lists.

use super::ToolError;
use crate::types::topic_name::is_internal;
use regex::Regex;

/// Topics whose whole name matches a regular expression, in which a comma is an "or".
#[derive(Clone, Debug)]
pub struct IncludeList(Regex);

impl IncludeList {
    /// Reads what the user wrote: blanks and quotes around it do not count.
    pub fn new(text: &str) -> Result<Self, ToolError> {
        let quotes = ['"', '\''];
        let pattern = text.trim().replace(',', "|").replace(' ', "");
        let pattern = pattern.trim_start_matches(quotes).trim_end_matches(quotes);
        Regex::new(&format!("^(?:{pattern})$"))
            .map(Self)
            .map_err(|_| ToolError::Failed(format!("{pattern} is an invalid regex.")))
    }

    /// Whether the list names the topic.
    pub fn allows(&self, topic: &str, exclude_internal: bool) -> bool {
        !(exclude_internal && is_internal(topic)) && self.0.is_match(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_name_must_match() {
        let list = |text: &str| IncludeList::new(text).expect("reads");
        assert!(list("a").allows("a", true) && !list("a").allows("ab", true));
        assert!(list("a, b.*").allows("bcd", true) && !list("a,b").allows("ab", false));
        assert!(list("'a|b'").allows("b", true));
        assert!(list("a.b").allows("a-b", true) && !list("a\\.b").allows("a-b", true));
        assert!(list("__.*").allows("__consumer_offsets", false));
        assert!(!list(".*").allows("__consumer_offsets", true));
        let e = IncludeList::new("[").expect_err("no expression");
        assert_eq!(e, ToolError::failed("[ is an invalid regex."));
    }
}
