//! Which topics and groups are copied, and under which names.

use super::checkpoint::{Checkpoint, GROUP_PREFIX};
use crate::cli::CliError;
use crate::types::topic_name::check_topic_name;
use regex::Regex;
use std::collections::BTreeMap;

/// Regular expressions with commas between them, one of which a whole name must match.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads the value of `flag`.
    pub fn new(flag: &str, text: &str) -> Result<Self, CliError> {
        let each: Vec<&str> = text.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
        let wrong =
            |why: &str| CliError::Usage(format!("{flag} {text}: {why}; such as 'orders,events.*'"));
        if each.is_empty() {
            return Err(wrong("no regular expression"));
        }
        Regex::new(&format!("^(?:{})$", each.join("|")))
            .map(Self)
            .map_err(|_| wrong("not a regular expression"))
    }

    /// Whether the whole name matches.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

/// What the user wants copied.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Topics.
    pub topics: Pattern,
    /// Topics that are not copied though they match.
    pub exclude: Option<Pattern>,
    /// Groups whose offsets are copied; `None` for none.
    pub groups: Option<Pattern>,
    /// What the names of copies begin with.
    pub prefix: String,
}

/// What mirrors have written at a cluster, by topic.
pub type Origins = BTreeMap<String, Origin>;

/// The mirror that has written a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name.
    pub mirror: String,
    /// The clusters that the records came through, the nearest first.
    pub path: Vec<String>,
}

/// What is done about a topic of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Copied, to the topic of this name.
    Copy(String),
    /// Not asked for, or a cluster's own.
    Ignore,
    /// Not copied, since it came from the target; a line that says so.
    Back(String),
    /// It cannot be copied, and why.
    Refuse(String),
}

impl Selection {
    /// What is done about a topic. `target` is the id of the cluster that is copied to: records that have come
    /// from there are not brought back, through however many clusters they came.
    pub fn choose(&self, topic: &str, internal: bool, origins: &Origins, target: &str) -> Choice {
        let excluded = self.exclude.as_ref().is_some_and(|it| it.matches(topic));
        if internal || topic.starts_with("__") || excluded || !self.topics.matches(topic) {
            return Choice::Ignore;
        }
        if origins.get(topic).is_some_and(|it| it.path.iter().any(|it| it == target)) {
            return Choice::Back(format!(
                "topic '{topic}' is a copy of what is at the target, made by another mirror: it is not copied back"
            ));
        }
        let name = format!("{}{topic}", self.prefix);
        match check_topic_name(&name) {
            Ok(()) => Choice::Copy(name),
            Err(why) => Choice::Refuse(format!("topic '{topic}' is not copied: {why}")),
        }
    }

    /// Whether the offsets of a group are copied.
    pub fn chooses_group(&self, group: &str) -> bool {
        !group.starts_with(GROUP_PREFIX) && self.groups.as_ref().is_some_and(|it| it.matches(group))
    }
}

/// Notes what a group has committed at a cluster that is a mirror's: the topics that it has written there.
pub fn note_origins<'a>(
    origins: &mut Origins,
    group: &str,
    committed: impl Iterator<Item = (&'a str, &'a str)>,
) {
    let Some(mirror) = group.strip_prefix(GROUP_PREFIX) else { return };
    for (topic, text) in committed {
        if !origins.contains_key(topic)
            && let Some(checkpoint) = Checkpoint::parse(text)
        {
            let origin = Origin { mirror: mirror.to_owned(), path: checkpoint.path };
            origins.insert(topic.to_owned(), origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::Owner;
    use super::super::translation::Translation;
    use super::*;

    fn selection(topics: &str, exclude: Option<&str>, prefix: &str) -> Selection {
        Selection {
            topics: Pattern::new("--topics", topics).expect("reads"),
            exclude: exclude.map(|it| Pattern::new("--exclude", it).expect("reads")),
            groups: Some(Pattern::new("--groups", "g.*").expect("reads")),
            prefix: prefix.to_owned(),
        }
    }

    #[test]
    fn whole_names_match_and_internal_topics_never() {
        let it = selection("orders, ev.*", Some(".*-tmp"), "us.");
        let choose = |name: &str| it.choose(name, false, &Origins::new(), "T");
        assert_eq!(choose("orders"), Choice::Copy("us.orders".to_owned()));
        assert_eq!(choose("events"), Choice::Copy("us.events".to_owned()));
        for other in ["orders2", "events-tmp", "x"] {
            assert_eq!(choose(other), Choice::Ignore, "{other}");
        }
        let all = selection(".*", None, "");
        assert_eq!(all.choose("__consumer_offsets", false, &Origins::new(), "T"), Choice::Ignore);
        assert_eq!(all.choose("odd", true, &Origins::new(), "T"), Choice::Ignore);
        assert!(Pattern::new("--topics", "[").is_err() && Pattern::new("--topics", " ,").is_err());
    }

    #[test]
    fn names_that_no_topic_may_have_are_skipped() {
        let it = selection(".*", None, "us.");
        let long = "x".repeat(248);
        let choice = it.choose(&long, false, &Origins::new(), "T");
        assert!(matches!(choice, Choice::Refuse(why) if why.contains("249")));
    }

    #[test]
    fn what_came_from_the_target_is_not_brought_back() {
        let checkpoint = Checkpoint {
            source: String::new(),
            target: String::new(),
            owner: Owner::default(),
            path: vec!["B".to_owned(), "A".to_owned()],
            translation: Translation::begin(0, 0),
        };
        let text = checkpoint.encode();
        let mut origins = Origins::new();
        note_origins(
            &mut origins,
            "klamm-mirror.m",
            [("copy", text.as_str()), ("own", "else")].into_iter(),
        );
        note_origins(&mut origins, "billing", [("own", text.as_str())].into_iter());
        assert_eq!(origins["copy"].mirror, "m");
        let it = selection(".*", None, "");
        for target in ["A", "B"] {
            assert!(matches!(it.choose("copy", false, &origins, target), Choice::Back(_)));
        }
        // On to a third cluster it may go.
        assert!(matches!(it.choose("copy", false, &origins, "C"), Choice::Copy(_)));
        assert!(matches!(it.choose("own", false, &origins, "A"), Choice::Copy(_)));
    }

    #[test]
    fn positions_of_mirrors_are_nobodys_group() {
        let mut it = selection(".*", None, "");
        it.groups = Some(Pattern::new("--groups", ".*").expect("reads"));
        assert!(it.chooses_group("billing") && !it.chooses_group("klamm-mirror.x"));
        it.groups = None;
        assert!(!it.chooses_group("billing"));
    }
}
