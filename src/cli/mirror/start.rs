//! Where a partition is copied from: on from where its mirror was, from its beginning, or not at all.

use super::checkpoint::Checkpoint;
use super::translation::Translation;
use std::ops::Range;

/// What is known of a partition before it is copied.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// The topic at the source and at the target.
    pub topics: (&'a str, &'a str),
    /// The ids of the two topics; empty where a cluster does not say.
    pub ids: (&'a str, &'a str),
    /// The position that the mirror has committed, and what it has written with it.
    pub committed: Option<(i64, &'a str)>,
    /// The first offset at the source.
    pub source_start: i64,
    /// The first offset at the target, and the one after the last.
    pub target: Range<i64>,
    /// Records are copied behind what is there.
    pub append: bool,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// From this offset of the source on.
    Resume(i64, Translation),
    /// From this offset on, which is to be committed before anything is copied: records without a position are
    /// taken for somebody else's.
    Begin(i64, Translation),
    /// Not before somebody has done something.
    Refuse(String),
}

/// Whether two ids differ, as far as both are known.
pub fn differ(a: &str, b: &str) -> bool {
    !a.is_empty() && !b.is_empty() && a != b
}

/// The line for a topic that is another one than the one that was copied.
pub fn created_again(source: &str, target: &str) -> String {
    format!(
        "topic '{source}' was deleted and created again at the source: delete '{target}' at the target, and it is \
         copied anew"
    )
}

/// See the module.
pub fn start(known: &Known<'_>) -> Start {
    let (source, target) = known.topics;
    let begin =
        Start::Begin(known.source_start, Translation::begin(known.source_start, known.target.end));
    let theirs = !known.target.is_empty() && !known.append;
    let refuse_theirs = || {
        Start::Refuse(format!(
            "topic '{target}' has records at the target that this mirror has not written, or has forgotten (see \
             offsets.retention.minutes there): delete it, or let the mirror write behind them (--append)"
        ))
    };
    let Some((position, text)) = known.committed.filter(|(offset, _)| *offset >= 0) else {
        return if theirs { refuse_theirs() } else { begin };
    };
    let Some(checkpoint) = Checkpoint::parse(text) else {
        return Start::Refuse(format!(
            "the position of topic '{target}' at the target was not written by klamm mirror: delete the topic there, \
             or the group's offsets"
        ));
    };
    if differ(&checkpoint.target, known.ids.1) {
        // The copy that the position was of is gone.
        return if theirs { refuse_theirs() } else { begin };
    }
    if differ(&checkpoint.source, known.ids.0) {
        return Start::Refuse(created_again(source, target));
    }
    Start::Resume(position, checkpoint.translation)
}

/// What is to be done about a position that the source does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// Retention has taken so many offsets before they were copied: on from this one.
    Lost(i64, i64),
    /// The source has it after all.
    There,
    /// The source has less than was copied from it.
    Refuse(String),
}

/// See [`Elsewhere`]; `range` is what the source has.
pub fn out_of_range(source: &str, target: &str, position: i64, range: &Range<i64>) -> Elsewhere {
    if position < range.start {
        Elsewhere::Lost(range.start - position, range.start)
    } else if position <= range.end {
        Elsewhere::There
    } else {
        let end = range.end;
        Elsewhere::Refuse(format!(
            "topic '{source}' ends at offset {end} at the source, but was copied up to {position}: it was created \
             again, or has lost records; delete '{target}' at the target, and it is copied anew"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::Owner;
    use super::*;

    fn written(source: &str, target: &str) -> String {
        let checkpoint = Checkpoint {
            source: source.to_owned(),
            target: target.to_owned(),
            owner: Owner::default(),
            path: vec!["c".to_owned()],
            translation: Translation::begin(3, 0),
        };
        checkpoint.encode()
    }

    fn known(committed: Option<(i64, &str)>, target: Range<i64>) -> Known<'_> {
        Known {
            topics: ("t", "x.t"),
            ids: ("S", "T"),
            committed,
            source_start: 3,
            target,
            append: false,
        }
    }

    fn refused(known: &Known<'_>) -> String {
        match start(known) {
            Start::Refuse(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_empty_copy_begins_where_the_source_does() {
        let begin = Start::Begin(3, Translation::begin(3, 0));
        assert_eq!(start(&known(None, 0..0)), begin);
        assert_eq!(start(&known(Some((-1, "")), 0..0)), begin);
        let begin = Start::Begin(3, Translation::begin(3, 9));
        assert_eq!(start(&known(None, 9..9)), begin);
    }

    #[test]
    fn a_position_is_where_it_goes_on() {
        let text = written("S", "T");
        let resume = Start::Resume(50, Translation::begin(3, 0));
        assert_eq!(start(&known(Some((50, &text)), 0..60)), resume);
        // A cluster without ids of topics cannot tell.
        let text = written("", "");
        assert_eq!(start(&known(Some((50, &text)), 0..60)), resume);
    }

    #[test]
    fn records_of_others_are_not_written_behind_unless_asked_for() {
        let why = refused(&known(None, 0..5));
        assert!(why.contains("'x.t'") && why.contains("--append"), "{why}");
        let append = Known { append: true, ..known(None, 0..5) };
        assert_eq!(start(&append), Start::Begin(3, Translation::begin(3, 5)));
    }

    #[test]
    fn a_topic_that_was_created_again_is_refused() {
        let text = written("old", "T");
        let why = refused(&known(Some((50, &text)), 0..60));
        assert!(why.contains("created again") && why.contains("delete 'x.t'"), "{why}");
        // And when its copy was deleted, as the line says, it begins anew.
        let text = written("old", "old");
        assert_eq!(
            start(&known(Some((50, &text)), 0..0)),
            Start::Begin(3, Translation::begin(3, 0))
        );
        assert!(refused(&known(Some((50, &text)), 0..1)).contains("not written"));
    }

    #[test]
    fn a_position_of_others_is_refused() {
        assert!(refused(&known(Some((50, "")), 0..60)).contains("was not written by klamm mirror"));
    }

    #[test]
    fn a_position_outside_the_source() {
        assert_eq!(out_of_range("t", "t", 5, &(20..30)), Elsewhere::Lost(15, 20));
        assert_eq!(out_of_range("t", "t", 20, &(20..30)), Elsewhere::There);
        assert_eq!(out_of_range("t", "t", 30, &(20..30)), Elsewhere::There);
        let Elsewhere::Refuse(why) = out_of_range("t", "t", 31, &(20..30)) else {
            panic!("it went on")
        };
        assert!(why.contains("ends at offset 30") && why.contains("up to 31"), "{why}");
    }
}
