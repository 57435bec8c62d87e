//! Share sessions (KIP-932): what each member fetches, so that requests need only say what has changed. A session lives on the
//! shard of the connection on which it was opened, and ends with it.

use crate::broker::api::share_fetch::{CLOSE, OPEN};
use crate::types::{ErrorCode, TopicPartition};
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// Group and member.
pub type SessionKey = (Arc<str>, Arc<str>);

/// A session.
#[derive(Debug)]
struct Session<C> {
    /// The epoch of the next request.
    epoch: i32,
    connection: C,
    partitions: BTreeSet<TopicPartition>,
    /// The partition that was served first the last time.
    turn: Option<TopicPartition>,
}

/// What a request is to fetch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The partitions, in the order in which they are to be served.
    pub partitions: Vec<TopicPartition>,
    /// What the member may have acquired in sessions, or of partitions, that are over: that is available again.
    pub released: Vec<TopicPartition>,
}

/// All of a shard; `C` names connections.
#[derive(Debug)]
pub struct ShareSessions<C> {
    all: HashMap<SessionKey, Session<C>>,
    by_connection: HashMap<C, BTreeSet<SessionKey>>,
    most: usize,
}

impl<C: Copy + Eq + Hash> ShareSessions<C> {
    /// None; at most so many.
    pub fn new(most: usize) -> Self {
        Self { all: HashMap::new(), by_connection: HashMap::new(), most }
    }

    /// Memory that they take, bytes.
    pub fn bytes(&self) -> usize {
        self.all.len() * 512 + self.all.values().map(|it| it.partitions.len() * 48).sum::<usize>()
    }

    /// Whether there is such a session of this connection.
    pub fn has(&self, key: &SessionKey, connection: C) -> bool {
        self.all.get(key).is_some_and(|it| it.connection == connection)
    }

    /// Takes a `ShareFetch` in.
    ///
    /// # Errors
    /// `SHARE_SESSION_NOT_FOUND`, `INVALID_SHARE_SESSION_EPOCH`, `SHARE_SESSION_LIMIT_REACHED`.
    pub fn fetch(
        &mut self,
        key: &SessionKey,
        connection: C,
        epoch: i32,
        added: &[TopicPartition],
        forgotten: &[TopicPartition],
    ) -> Result<Context, ErrorCode> {
        match epoch {
            OPEN => {
                let released = self.close(key).unwrap_or_default();
                if self.all.len() >= self.most {
                    return Err(ErrorCode::SHARE_SESSION_LIMIT_REACHED);
                }
                let partitions = added.iter().copied().collect();
                let session = Session { epoch: 1, connection, partitions, turn: None };
                self.all.insert(key.clone(), session);
                self.by_connection.entry(connection).or_default().insert(key.clone());
                Ok(Context { partitions: self.in_turn(key), released })
            }
            CLOSE => {
                let released = self.close(key).ok_or(ErrorCode::SHARE_SESSION_NOT_FOUND)?;
                Ok(Context { partitions: Vec::new(), released })
            }
            _ => {
                let session = self.go_on(key, epoch)?;
                session.partitions.extend(added);
                // What it has of partitions that it does not fetch any more, it can still acknowledge.
                for it in forgotten {
                    session.partitions.remove(it);
                }
                Ok(Context { partitions: self.in_turn(key), released: Vec::new() })
            }
        }
    }

    /// Takes a `ShareAcknowledge` in; what is released with a session that it closes.
    ///
    /// # Errors
    /// `SHARE_SESSION_NOT_FOUND`, `INVALID_SHARE_SESSION_EPOCH`.
    pub fn acknowledge(
        &mut self,
        key: &SessionKey,
        epoch: i32,
    ) -> Result<Vec<TopicPartition>, ErrorCode> {
        match epoch {
            // A session is opened by a fetch.
            OPEN => Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH),
            CLOSE => self.close(key).ok_or(ErrorCode::SHARE_SESSION_NOT_FOUND),
            _ => self.go_on(key, epoch).map(|_| Vec::new()),
        }
    }

    /// A connection has ended, and its sessions with it: what each had.
    pub fn closed(&mut self, connection: C) -> Vec<(SessionKey, Vec<TopicPartition>)> {
        let keys = self.by_connection.remove(&connection).unwrap_or_default();
        let gone = keys.into_iter().filter_map(|key| Some((key.clone(), self.close(&key)?)));
        gone.collect()
    }

    fn go_on(&mut self, key: &SessionKey, epoch: i32) -> Result<&mut Session<C>, ErrorCode> {
        let session = self.all.get_mut(key).ok_or(ErrorCode::SHARE_SESSION_NOT_FOUND)?;
        if session.epoch != epoch {
            return Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH);
        }
        session.epoch = epoch.checked_add(1).unwrap_or(1);
        Ok(session)
    }

    fn close(&mut self, key: &SessionKey) -> Option<Vec<TopicPartition>> {
        let session = self.all.remove(key)?;
        if let Some(keys) = self.by_connection.get_mut(&session.connection) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_connection.remove(&session.connection);
            }
        }
        Some(session.partitions.into_iter().collect())
    }

    /// The partitions, each first in its turn.
    fn in_turn(&mut self, key: &SessionKey) -> Vec<TopicPartition> {
        let Some(session) = self.all.get_mut(key) else { return Vec::new() };
        let mut all: Vec<TopicPartition> = session.partitions.iter().copied().collect();
        if let Some(last) = session.turn {
            let next = all.partition_point(|it| *it <= last);
            let count = all.len().max(1);
            all.rotate_left(next % count);
        }
        session.turn = all.first().copied();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TopicId;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition { topic: TopicId([1; 16]), partition }
    }

    fn key(member: &str) -> SessionKey {
        ("g".into(), member.into())
    }

    #[test]
    fn a_request_says_what_has_changed() {
        let mut all = ShareSessions::new(10);
        let opened = all.fetch(&key("m"), 1, OPEN, &[tp(0), tp(1)], &[]).unwrap();
        assert_eq!(opened.partitions, [tp(0), tp(1)]);
        // Each partition is first in its turn.
        let next = all.fetch(&key("m"), 1, 1, &[], &[]).unwrap();
        assert_eq!(next.partitions, [tp(1), tp(0)]);
        assert_eq!(all.acknowledge(&key("m"), 2), Ok(vec![]));
        let changed = all.fetch(&key("m"), 1, 3, &[tp(2)], &[tp(0)]).unwrap();
        assert_eq!(changed.partitions, [tp(2), tp(1)]);
        let closed = all.fetch(&key("m"), 1, CLOSE, &[], &[]).unwrap();
        assert_eq!((closed.partitions, closed.released), (vec![], vec![tp(1), tp(2)]));
        assert!(!all.has(&key("m"), 1) && all.by_connection.is_empty());
    }

    #[test]
    fn epochs_follow_each_other() {
        let mut all = ShareSessions::new(10);
        let unknown = Err(ErrorCode::SHARE_SESSION_NOT_FOUND);
        assert_eq!(all.fetch(&key("m"), 1, 1, &[], &[]), unknown);
        assert_eq!(all.fetch(&key("m"), 1, CLOSE, &[], &[]), unknown);
        for epoch in [1, CLOSE] {
            let said = all.acknowledge(&key("m"), epoch);
            assert_eq!(said, Err(ErrorCode::SHARE_SESSION_NOT_FOUND));
        }
        all.fetch(&key("m"), 1, OPEN, &[tp(0)], &[]).unwrap();
        let other = Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH);
        assert_eq!(all.fetch(&key("m"), 1, 2, &[], &[]), other);
        for epoch in [OPEN, 2] {
            let said = all.acknowledge(&key("m"), epoch);
            assert_eq!(said, Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH));
        }
        // Behind the last comes the first.
        all.all.get_mut(&key("m")).unwrap().epoch = i32::MAX;
        assert!(all.fetch(&key("m"), 1, i32::MAX, &[], &[]).is_ok());
        assert!(all.fetch(&key("m"), 1, 1, &[], &[]).is_ok());
    }

    #[test]
    fn sessions_end_with_their_connection_and_are_counted() {
        let mut all = ShareSessions::new(2);
        all.fetch(&key("a"), 1, OPEN, &[tp(0)], &[]).unwrap();
        all.fetch(&key("b"), 2, OPEN, &[tp(1)], &[]).unwrap();
        let third = all.fetch(&key("c"), 2, OPEN, &[tp(1)], &[]);
        assert_eq!(third, Err(ErrorCode::SHARE_SESSION_LIMIT_REACHED));
        // It comes again, on another connection: what it had is released.
        let again = all.fetch(&key("a"), 3, OPEN, &[tp(2)], &[]).unwrap();
        assert_eq!((again.partitions, again.released), (vec![tp(2)], vec![tp(0)]));
        assert_eq!(all.closed(1), []);
        assert!(all.has(&key("a"), 3) && !all.has(&key("a"), 1));
        assert_eq!(all.closed(3), [(key("a"), vec![tp(2)])]);
        assert_eq!(all.bytes(), 512 + 48);
    }
}
