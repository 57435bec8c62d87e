//! Share sessions (KIP-932): what each member fetches, so that requests need only say what has changed. A session lives on the
//! shard of the connection on which it was opened, and ends with it.
//!
//! What is acquired in a session is its own, not its member's: of a member that comes again, the session before may end
//! later than the next one begins, on another shard or in a fetch that still waits, and gives back what it had alone.

use crate::broker::api::share_fetch::{CLOSE, OPEN};
use crate::types::{ErrorCode, TopicPartition};
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// Group and member.
pub type SessionKey = (Arc<str>, Arc<str>);

/// Whose records are: a session of a member, which no other has the name of.
pub type Holder = Arc<str>;

/// What a session had when it ended: its name, and its partitions.
pub type Ended = (Holder, Vec<TopicPartition>);

/// A session.
#[derive(Debug)]
struct Session<C> {
    holder: Holder,
    /// The epoch of the next request.
    epoch: i32,
    connection: C,
    partitions: BTreeSet<TopicPartition>,
    /// Partitions that it does not fetch any more: what it has of them it can still acknowledge.
    left: BTreeSet<TopicPartition>,
    /// The partition that was served first the last time.
    turn: Option<TopicPartition>,
}

impl<C> Session<C> {
    fn bytes(&self) -> usize {
        512 + (self.partitions.len() + self.left.len()) * 48
    }
}

/// What a request is to fetch.
#[derive(Debug, PartialEq, Eq)]
pub struct Context {
    /// The session.
    pub holder: Holder,
    /// The partitions, in the order in which they are to be served.
    pub partitions: Vec<TopicPartition>,
    /// The session of the member that is over: what it may have acquired is available again.
    pub released: Option<Ended>,
}

/// All of a shard; `C` names connections.
#[derive(Debug)]
pub struct ShareSessions<C> {
    all: HashMap<SessionKey, Session<C>>,
    by_connection: HashMap<C, BTreeSet<SessionKey>>,
    most: usize,
    shard: usize,
    /// So many were opened.
    opened: u64,
}

impl<C: Copy + Eq + Hash> ShareSessions<C> {
    /// None of this shard; at most so many.
    pub fn new(shard: usize, most: usize) -> Self {
        Self { all: HashMap::new(), by_connection: HashMap::new(), most, shard, opened: 0 }
    }

    /// Memory that they take, bytes.
    pub fn bytes(&self) -> usize {
        self.all.values().map(Session::bytes).sum::<usize>()
    }

    /// Whether this is the member's session.
    pub fn has(&self, key: &SessionKey, holder: &Holder) -> bool {
        self.all.get(key).is_some_and(|it| it.holder == *holder)
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
                let released = self.close(key);
                if self.all.len() >= self.most {
                    return Err(ErrorCode::SHARE_SESSION_LIMIT_REACHED);
                }
                let partitions = added.iter().copied().collect();
                self.opened += 1;
                let holder = Holder::from(format!("{}@{}.{}", key.1, self.shard, self.opened));
                let opened = holder.clone();
                let left = BTreeSet::new();
                let session =
                    Session { holder, epoch: 1, connection, partitions, left, turn: None };
                self.all.insert(key.clone(), session);
                self.by_connection.entry(connection).or_default().insert(key.clone());
                Ok(Context { holder: opened, partitions: self.in_turn(key), released })
            }
            CLOSE => {
                let released = self.close(key).ok_or(ErrorCode::SHARE_SESSION_NOT_FOUND)?;
                let holder = released.0.clone();
                Ok(Context { holder, partitions: Vec::new(), released: Some(released) })
            }
            _ => {
                let session = self.go_on(key, epoch)?;
                for it in added {
                    session.partitions.insert(*it);
                    session.left.remove(it);
                }
                for it in forgotten {
                    if session.partitions.remove(it) {
                        session.left.insert(*it);
                    }
                }
                let holder = session.holder.clone();
                Ok(Context { holder, partitions: self.in_turn(key), released: None })
            }
        }
    }

    /// Takes a `ShareAcknowledge` in; there is nothing to be fetched.
    ///
    /// # Errors
    /// `SHARE_SESSION_NOT_FOUND`, `INVALID_SHARE_SESSION_EPOCH`.
    pub fn acknowledge(&mut self, key: &SessionKey, epoch: i32) -> Result<Context, ErrorCode> {
        let (holder, released) = match epoch {
            // A session is opened by a fetch.
            OPEN => return Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH),
            CLOSE => {
                let ended = self.close(key).ok_or(ErrorCode::SHARE_SESSION_NOT_FOUND)?;
                (ended.0.clone(), Some(ended))
            }
            _ => (self.go_on(key, epoch)?.holder.clone(), None),
        };
        Ok(Context { holder, partitions: Vec::new(), released })
    }

    /// A connection has ended, and its sessions with it: the group of each, and what it had.
    pub fn closed(&mut self, connection: C) -> Vec<(Arc<str>, Ended)> {
        let keys = self.by_connection.remove(&connection).unwrap_or_default();
        let gone = keys.into_iter().filter_map(|key| Some((key.0.clone(), self.close(&key)?)));
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

    fn close(&mut self, key: &SessionKey) -> Option<Ended> {
        let session = self.all.remove(key)?;
        if let Some(keys) = self.by_connection.get_mut(&session.connection) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_connection.remove(&session.connection);
            }
        }
        Some((session.holder, session.partitions.into_iter().chain(session.left).collect()))
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
        let mut all = ShareSessions::new(0, 10);
        let opened = all.fetch(&key("m"), 1, OPEN, &[tp(0), tp(1)], &[]).unwrap();
        assert_eq!(opened.partitions, [tp(0), tp(1)]);
        // Each partition is first in its turn.
        let next = all.fetch(&key("m"), 1, 1, &[], &[]).unwrap();
        assert_eq!(next.partitions, [tp(1), tp(0)]);
        assert_eq!(all.acknowledge(&key("m"), 2).unwrap().released, None);
        let changed = all.fetch(&key("m"), 1, 3, &[tp(2)], &[tp(0)]).unwrap();
        assert_eq!(changed.partitions, [tp(2), tp(1)]);
        let closed = all.fetch(&key("m"), 1, CLOSE, &[], &[]).unwrap();
        // What it has of the one that it left is available again, too.
        let ended = Some((opened.holder.clone(), vec![tp(1), tp(2), tp(0)]));
        assert_eq!((closed.partitions, closed.released), (vec![], ended));
        assert!(!all.has(&key("m"), &opened.holder) && all.by_connection.is_empty());
    }

    #[test]
    fn epochs_follow_each_other() {
        let mut all = ShareSessions::new(0, 10);
        let unknown = Err(ErrorCode::SHARE_SESSION_NOT_FOUND);
        assert_eq!(all.fetch(&key("m"), 1, 1, &[], &[]), unknown);
        assert_eq!(all.fetch(&key("m"), 1, CLOSE, &[], &[]), unknown);
        for epoch in [1, CLOSE] {
            assert_eq!(all.acknowledge(&key("m"), epoch), unknown);
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
        let mut all = ShareSessions::new(0, 2);
        let first = all.fetch(&key("a"), 1, OPEN, &[tp(0)], &[]).unwrap();
        all.fetch(&key("b"), 2, OPEN, &[tp(1)], &[]).unwrap();
        let third = all.fetch(&key("c"), 2, OPEN, &[tp(1)], &[]);
        assert_eq!(third, Err(ErrorCode::SHARE_SESSION_LIMIT_REACHED));
        // It comes again, on another connection: what it had is released, and no more.
        let again = all.fetch(&key("a"), 3, OPEN, &[tp(2)], &[]).unwrap();
        assert_ne!(again.holder, first.holder);
        let ended = Some((first.holder.clone(), vec![tp(0)]));
        assert_eq!((again.partitions, again.released), (vec![tp(2)], ended));
        assert_eq!(all.closed(1), []);
        assert!(all.has(&key("a"), &again.holder) && !all.has(&key("a"), &first.holder));
        assert_eq!(all.closed(3), [("g".into(), (again.holder, vec![tp(2)]))]);
        assert_eq!(all.bytes(), 512 + 48);
    }
}
