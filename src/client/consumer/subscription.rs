//! What members of a consumer group tell each other through the coordinator, which does not look
//! into it: Kafka's `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`, versions 0–3.

use crate::wire::{Reader, WireError, Writer};
use std::collections::BTreeMap;

/// Partitions by topic; the numbers of each in ascending order.
pub type Partitions = BTreeMap<String, Vec<i32>>;

/// The protocol type of consumer groups in JoinGroup.
pub const PROTOCOL_TYPE: &str = "consumer";

/// What a member subscribes to and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Topics, by name.
    pub topics: Vec<String>,
    /// The assignor's own bytes.
    pub user_data: Option<Vec<u8>>,
    /// Partitions that the member keeps while the group rebalances; none with an eager protocol.
    pub owned: Partitions,
    /// The generation in which it got them; -1 where it does not say.
    pub generation: i32,
    /// Where the member is.
    pub rack: Option<String>,
}

impl Default for Subscription {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            user_data: None,
            owned: Partitions::new(),
            generation: -1,
            rack: None,
        }
    }
}

fn put_partitions(w: &mut Writer, partitions: &Partitions) -> Result<(), WireError> {
    w.array_len(Some(partitions.len()), false)?;
    for (topic, numbers) in partitions {
        w.string(topic, false)?;
        w.array(numbers, false, |w, p| {
            w.i32(*p);
            Ok(())
        })?;
    }
    Ok(())
}

fn read_partitions(r: &mut Reader<'_>) -> Result<Partitions, WireError> {
    let mut partitions = Partitions::new();
    let topics =
        r.array(false, 6, |r| Ok((r.string(false)?.to_owned(), r.array(false, 4, Reader::i32)?)))?;
    for (topic, numbers) in topics {
        let all = partitions.entry(topic).or_default();
        all.extend(numbers);
        all.sort_unstable();
        all.dedup();
    }
    Ok(partitions)
}

impl Subscription {
    /// As version 3, which every member since Kafka 3.5 writes; older ones read what they know of it.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut w = Writer::new();
        w.i16(3);
        w.array(&self.topics, false, |w, t| w.string(t, false))?;
        w.nullable_bytes(self.user_data.as_deref(), false)?;
        put_partitions(&mut w, &self.owned)?;
        w.i32(self.generation);
        w.nullable_string(self.rack.as_deref(), false)?;
        Ok(w.into_vec())
    }

    /// Reads any version; of one above 3 what version 3 has.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        let topics = r.array(false, 2, |r| r.string(false).map(str::to_owned))?;
        let user_data = r.nullable_bytes(false)?.map(<[u8]>::to_vec);
        let owned = if version >= 1 { read_partitions(&mut r)? } else { Partitions::new() };
        let generation = if version >= 2 { r.i32()? } else { -1 };
        let rack = if version >= 3 { r.nullable_string(false)?.map(str::to_owned) } else { None };
        Ok(Self { topics, user_data, owned, generation, rack })
    }
}

/// An assignment in version 3, without an assignor's own bytes.
pub fn encode_assignment(partitions: &Partitions) -> Result<Vec<u8>, WireError> {
    let mut w = Writer::new();
    w.i16(3);
    put_partitions(&mut w, partitions)?;
    w.nullable_bytes(None, false)?;
    Ok(w.into_vec())
}

/// Reads an assignment of any version. No bytes at all are no partitions: what the coordinator hands
/// to a member that the leader left out.
pub fn decode_assignment(bytes: &[u8]) -> Result<Partitions, WireError> {
    if bytes.is_empty() {
        return Ok(Partitions::new());
    }
    let mut r = Reader::new(bytes);
    r.i16()?;
    read_partitions(&mut r)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_and_assignments_come_back() {
        let owned = Partitions::from([("a".to_owned(), vec![0, 3])]);
        let s = Subscription {
            topics: vec!["a".to_owned(), "b".to_owned()],
            user_data: Some(vec![0, 0, 0, 7]),
            owned: owned.clone(),
            generation: 7,
            rack: Some("r".to_owned()),
        };
        assert_eq!(Subscription::decode(&s.encode().expect("encodes")), Ok(s));
        let bytes = encode_assignment(&owned).expect("encodes");
        assert_eq!(decode_assignment(&bytes), Ok(owned));
        assert_eq!(decode_assignment(&[]), Ok(Partitions::new()));
        assert!(Subscription::decode(&[0]).is_err() && decode_assignment(&[0, 0, 0]).is_err());
    }

    #[test]
    fn reads_what_older_members_write() {
        // Version 0: topics ["t"], no user data.
        let v0 = [0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff];
        let s = Subscription::decode(&v0).expect("reads");
        assert_eq!((s.topics, s.generation), (vec!["t".to_owned()], -1));
        // Version 1: and one owned partition.
        let mut v1 = v0.to_vec();
        v1[1] = 1;
        v1.extend([0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 9]);
        let s = Subscription::decode(&v1).expect("reads");
        assert_eq!(s.owned, Partitions::from([("t".to_owned(), vec![9])]));
    }
}
