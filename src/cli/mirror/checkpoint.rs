//! What a mirror commits with the position of each partition, as the metadata of that offset: whose position it is, of
//! which topic, and how offsets translate. So it is written in the transaction that writes the records, and whoever reads
//! the position has all of it.
//!
//! `klamm-mirror/1 source=ID target=ID owner=GENERATION.TOKEN path=CLUSTER,… runs=FROM+LEN>TO,…`

use super::translation::{Run, Translation};
use crate::types::TopicId;

/// The groups that mirrors keep their positions in begin with this.
pub const GROUP_PREFIX: &str = "klamm-mirror.";

const MAGIC: &str = "klamm-mirror/1";
/// Runs that are written down.
const RUNS_MAX: usize = 32;
/// Bytes of all that is written down. Brokers take 4,096 (`offset.metadata.max.bytes`); this is written with each
/// transaction.
const BYTES_MAX: usize = 2_000;

/// One process that mirrors. Of two with the same name the greater one goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// One more than the greatest that the process has found.
    pub generation: u64,
    /// Differs between two that found the same.
    pub token: String,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The id of the topic that is copied.
    pub source: String,
    /// The id of the copy.
    pub target: String,
    /// Who has written this.
    pub owner: Owner,
    /// The ids of the clusters that the records came through, the nearest first.
    pub path: Vec<String>,
    /// Offsets.
    pub translation: Translation,
}

/// The id of a topic as it is written down; of one without an id the empty string.
pub fn id_text(id: TopicId) -> String {
    if id == TopicId::ZERO { String::new() } else { id.to_string() }
}

/// The id of a cluster as it is written down.
pub fn cluster_text(id: &str) -> String {
    id.replace(|c: char| c == ',' || c.is_whitespace(), "_")
}

impl Checkpoint {
    /// The text.
    pub fn encode(&self) -> String {
        let mut most = RUNS_MAX;
        loop {
            let thinned = self.translation.thinned(most);
            let shown = |it: &Run| format!("{}+{}>{}", it.from, it.len, it.to);
            let runs: Vec<String> = thinned.runs().iter().map(shown).collect();
            let text = format!(
                "{MAGIC} source={} target={} owner={}.{} path={} runs={}",
                self.source,
                self.target,
                self.owner.generation,
                self.owner.token,
                self.path.join(","),
                runs.join(",")
            );
            if text.len() <= BYTES_MAX || most == 1 {
                return text;
            }
            most -= 1;
        }
    }

    /// Reads [`Checkpoint::encode`]; `None` if somebody else has written it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next() != Some(MAGIC) {
            return None;
        }
        let mut value = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
        let source = value("source")?.to_owned();
        let target = value("target")?.to_owned();
        let (generation, token) = value("owner")?.split_once('.')?;
        let owner = Owner { generation: generation.parse().ok()?, token: token.to_owned() };
        let path = value("path")?.split(',').map(str::to_owned).collect();
        let run = |text: &str| {
            let (from, rest) = text.split_once('+')?;
            let (len, to) = rest.split_once('>')?;
            Some(Run { from: from.parse().ok()?, len: len.parse().ok()?, to: to.parse().ok()? })
        };
        let runs = value("runs")?.split(',').map(run).collect::<Option<Vec<Run>>>()?;
        Some(Self { source, target, owner, path, translation: Translation::of(runs)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            source: id_text(TopicId([7; 16])),
            target: String::new(),
            owner: Owner { generation: 4, token: "ab12".to_owned() },
            path: vec!["east".to_owned(), "far-east".to_owned()],
            translation: Translation::begin(5, 0),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut it = checkpoint();
        it.translation.copied(Run { from: 5, to: 0, len: 10 });
        it.translation.copied(Run { from: 15, to: 11, len: 10 });
        let text = it.encode();
        assert!(text.ends_with(" owner=4.ab12 path=east,far-east runs=5+10>0,15+10>11"), "{text}");
        assert_eq!(Checkpoint::parse(&text), Some(it));
    }

    #[test]
    fn what_others_have_written_is_refused() {
        let text = checkpoint().encode();
        for other in [
            "",
            "klamm-mirror/2 x",
            &text.replace("runs=", "run="),
            &text.replace('>', "-"),
            &text.replace(" owner=4.", " owner=x."),
            text.split_once(" runs").expect("runs").0,
        ] {
            assert_eq!(Checkpoint::parse(other), None, "{other}");
        }
    }

    #[test]
    fn it_stays_short_however_long_the_mirror_runs() {
        let mut it = checkpoint();
        let far = 1 << 52;
        for n in 0..10_000 {
            it.translation.copied(Run { from: far + n * 1000, to: far + n * 900, len: 800 });
        }
        let text = it.encode();
        assert!(text.len() <= BYTES_MAX, "{}", text.len());
        let read = Checkpoint::parse(&text).expect("reads");
        assert!(read.translation.runs().len() > 20);
        let last = far + 9_999 * 1000 + 5;
        assert_eq!(read.translation.translate(last), it.translation.translate(last));
    }

    #[test]
    fn the_later_owner_is_greater() {
        let owner = |generation, token: &str| Owner { generation, token: token.to_owned() };
        assert!(owner(10, "a") > owner(9, "z") && owner(9, "z") > owner(9, "a"));
    }
}
