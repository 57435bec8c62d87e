//! What consumers of the classic protocol tell each other in metadata and assignments of members
//! (`ConsumerProtocolSubscription`, `ConsumerProtocolAssignment`), as far as the coordinator looks.

use std::collections::BTreeSet;

use crate::wire::primitives::{Reader, WireError, Writer};

/// The protocol type of consumers.
pub const PROTOCOL_TYPE: &str = "consumer";
/// The last version; newer ones are read as this one.
const VERSION_MAX: i16 = 3;

/// Partitions of topics, by name.
pub type NamedPartitions<'a> = Vec<(&'a str, Vec<i32>)>;

/// What a consumer wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSubscription<'a> {
    /// Its version: assignments are written in the same.
    pub version: i16,
    /// Topics.
    pub topics: BTreeSet<String>,
    /// What it has (version 1+).
    pub owned: NamedPartitions<'a>,
    /// `client.rack` (version 3+).
    pub rack_id: Option<&'a str>,
}

/// Adds the topics that a consumer wants. Every version begins with those of version 0, so newer
/// ones are read too.
pub fn subscribed_topics(metadata: &[u8], out: &mut BTreeSet<String>) -> Result<(), WireError> {
    let mut r = Reader::new(metadata);
    read_version(&mut r)?;
    out.extend(r.array(false, 2, |r| r.string(false))?.into_iter().map(str::to_owned));
    Ok(())
}

fn read_version(r: &mut Reader<'_>) -> Result<i16, WireError> {
    let version = r.i16()?;
    if version < 0 {
        return Err(WireError::UnsupportedVersion(version));
    }
    Ok(version.min(VERSION_MAX))
}

fn read_partitions<'a>(r: &mut Reader<'a>) -> Result<NamedPartitions<'a>, WireError> {
    r.array(false, 6, |r| Ok((r.string(false)?, r.array(false, 4, Reader::i32)?)))
}

/// Reads what a consumer wants.
pub fn read_subscription(metadata: &[u8]) -> Result<ConsumerSubscription<'_>, WireError> {
    let mut r = Reader::new(metadata);
    let version = read_version(&mut r)?;
    let topics = r.array(false, 2, |r| r.string(false))?.into_iter().map(str::to_owned).collect();
    r.nullable_bytes(false)?;
    let owned = if version >= 1 { read_partitions(&mut r)? } else { Vec::new() };
    if version >= 2 {
        r.i32()?;
    }
    let rack_id = if version >= 3 { r.nullable_string(false)? } else { None };
    Ok(ConsumerSubscription { version, topics, owned, rack_id })
}

/// Reads what a consumer was assigned; of no bytes, nothing.
pub fn read_assignment(assignment: &[u8]) -> Result<NamedPartitions<'_>, WireError> {
    if assignment.is_empty() {
        return Ok(Vec::new());
    }
    let mut r = Reader::new(assignment);
    read_version(&mut r)?;
    read_partitions(&mut r)
}

/// Writes what a consumer is assigned, in the version of its subscription.
pub fn write_assignment(version: i16, topics: &NamedPartitions<'_>) -> Result<Vec<u8>, WireError> {
    let mut w = Writer::with_capacity(16);
    w.i16(version);
    w.array(topics, false, |w, (name, numbers)| {
        w.string(name, false)?;
        w.array(numbers, false, |w, it| {
            w.i32(*it);
            Ok(())
        })
    })?;
    w.nullable_bytes(None, false)?;
    Ok(w.into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_both_ways() {
        let topics = vec![("a", vec![0, 2]), ("b", vec![1])];
        for version in 0..=VERSION_MAX {
            let bytes = write_assignment(version, &topics).expect("it is short");
            assert_eq!(read_assignment(&bytes), Ok(topics.clone()));
            for cut in 1..bytes.len() - 4 {
                assert!(read_assignment(&bytes[..cut]).is_err(), "{cut}");
            }
        }
        assert_eq!(read_assignment(&[]), Ok(Vec::new()));
    }

    #[test]
    fn subscriptions_of_all_versions() {
        let mut w = Writer::with_capacity(64);
        w.i16(3);
        w.array(&["t"], false, |w, it| w.string(it, false)).expect("it is short");
        w.nullable_bytes(Some(&[1]), false).expect("it is short");
        w.array(&["t"], false, |w, it| {
            w.string(it, false)?;
            w.array(&[4], false, |w, it| {
                w.i32(*it);
                Ok(())
            })
        })
        .expect("it is short");
        w.i32(7);
        w.nullable_string(Some("r"), false).expect("it is short");
        let mut bytes = w.into_vec();
        for version in 0..=5_i16 {
            bytes[..2].copy_from_slice(&version.to_be_bytes());
            let it = read_subscription(&bytes).expect("it is whole");
            assert_eq!(it.topics, BTreeSet::from(["t".to_owned()]));
            assert_eq!(it.owned, if version >= 1 { vec![("t", vec![4])] } else { Vec::new() });
            assert_eq!(it.rack_id, (version >= 3).then_some("r"));
        }
    }
}
