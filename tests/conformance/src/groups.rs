//! Requests of groups by hand, in versions without tagged fields.

use std::io;

use crate::raw::{Bytes, Client, Fields};

/// Kafka's API keys.
pub mod key {
    #![allow(missing_docs)]
    pub const OFFSET_COMMIT: i16 = 8;
    pub const OFFSET_FETCH: i16 = 9;
    pub const FIND_COORDINATOR: i16 = 10;
    pub const JOIN_GROUP: i16 = 11;
    pub const HEARTBEAT: i16 = 12;
    pub const LEAVE_GROUP: i16 = 13;
    pub const SYNC_GROUP: i16 = 14;
    pub const DESCRIBE_GROUPS: i16 = 15;
    pub const LIST_GROUPS: i16 = 16;
    pub const DELETE_GROUPS: i16 = 42;
}

/// Kafka's error codes.
pub mod error {
    #![allow(missing_docs)]
    pub const NONE: i16 = 0;
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub const OFFSET_METADATA_TOO_LARGE: i16 = 12;
    pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
    pub const NOT_COORDINATOR: i16 = 16;
    pub const INVALID_TOPIC_EXCEPTION: i16 = 17;
    pub const ILLEGAL_GENERATION: i16 = 22;
    pub const INVALID_GROUP_ID: i16 = 24;
    pub const UNKNOWN_MEMBER_ID: i16 = 25;
    pub const INVALID_SESSION_TIMEOUT: i16 = 26;
    pub const REBALANCE_IN_PROGRESS: i16 = 27;
    pub const NON_EMPTY_GROUP: i16 = 68;
    pub const GROUP_ID_NOT_FOUND: i16 = 69;
    pub const MEMBER_ID_REQUIRED: i16 = 79;
}

/// Answer to a `JoinGroup`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Kafka's code.
    pub error: i16,
    /// The generation.
    pub generation: i32,
    /// The leader's id.
    pub leader: String,
    /// The member's own id.
    pub member: String,
    /// All members with their metadata, for the leader.
    pub members: Vec<(String, Vec<u8>)>,
}

/// A member of a group, on its own connection.
#[derive(Debug)]
pub struct Member {
    /// Its connection.
    pub client: Client,
    /// Its group.
    pub group: String,
    /// Its id; empty before it has joined.
    pub id: String,
    /// Its generation.
    pub generation: i32,
    /// How long it may stay silent, ms.
    pub session_timeout_ms: i32,
    /// How long it may take to rejoin, ms.
    pub rebalance_timeout_ms: i32,
}

impl Member {
    /// Nobody yet.
    pub fn new(client: Client, group: &str) -> Self {
        Self {
            client,
            group: group.to_owned(),
            id: String::new(),
            generation: -1,
            session_timeout_ms: 6_000,
            rebalance_timeout_ms: 60_000,
        }
    }

    /// The body of its `JoinGroup` (version 4).
    pub fn join_body(&self, metadata: &[u8]) -> Vec<u8> {
        let body = Bytes::new().string(&self.group).i32(self.session_timeout_ms);
        let body = body.i32(self.rebalance_timeout_ms).string(&self.id).string("consumer");
        body.i32(1).string("range").bytes(metadata).0
    }

    /// One `JoinGroup` (version 4), as it is answered.
    pub fn join_once(&mut self, metadata: &[u8]) -> io::Result<Joined> {
        let body = self.join_body(metadata);
        let response = self.client.call(key::JOIN_GROUP, 4, &body)?;
        let mut f = Fields(&response);
        let _throttle = f.i32();
        let (error, generation, _protocol) = (f.i16(), f.i32(), f.string());
        let (leader, member) = (f.string().to_owned(), f.string().to_owned());
        let members = (0..f.i32()).map(|_| (f.string().to_owned(), f.bytes().to_vec())).collect();
        Ok(Joined { error, generation, leader, member, members })
    }

    /// Joins; a new member is told its id first.
    pub fn join(&mut self) -> io::Result<Joined> {
        let mut joined = self.join_once(b"subscription")?;
        if joined.error == error::MEMBER_ID_REQUIRED {
            self.id.clone_from(&joined.member);
            joined = self.join_once(b"subscription")?;
        }
        if joined.error == error::NONE {
            self.id.clone_from(&joined.member);
            self.generation = joined.generation;
        }
        Ok(joined)
    }

    /// `SyncGroup` (version 1): error and assignment.
    pub fn sync(&mut self, assignments: &[(String, Vec<u8>)]) -> io::Result<(i16, Vec<u8>)> {
        let mut body = Bytes::new().string(&self.group).i32(self.generation).string(&self.id);
        body = body.i32(assignments.len() as i32);
        for (member, assignment) in assignments {
            body = body.string(member).bytes(assignment);
        }
        let response = self.client.call(key::SYNC_GROUP, 1, &body.0)?;
        let mut f = Fields(&response);
        let _throttle = f.i32();
        Ok((f.i16(), f.bytes().to_vec()))
    }

    /// Joins alone and gets everything.
    pub fn join_alone(&mut self) -> io::Result<()> {
        let joined = self.join()?;
        assert_eq!((joined.error, &joined.leader), (error::NONE, &self.id), "{joined:?}");
        let (code, mine) = self.sync(&[(self.id.clone(), b"all".to_vec())])?;
        assert_eq!((code, &mine[..]), (error::NONE, &b"all"[..]));
        Ok(())
    }

    /// Heartbeat (version 1): error.
    pub fn heartbeat(&mut self) -> io::Result<i16> {
        let body = Bytes::new().string(&self.group).i32(self.generation).string(&self.id);
        let response = self.client.call(key::HEARTBEAT, 1, &body.0)?;
        Ok(Fields(&response[4..]).i16())
    }

    /// `LeaveGroup` (version 1): error.
    pub fn leave(&mut self) -> io::Result<i16> {
        let body = Bytes::new().string(&self.group).string(&self.id);
        let response = self.client.call(key::LEAVE_GROUP, 1, &body.0)?;
        Ok(Fields(&response[4..]).i16())
    }

    /// Commits as this member.
    pub fn commit(&mut self, topic: &str, offsets: &[(i32, i64, &str)]) -> io::Result<Vec<i16>> {
        let who = (self.generation, self.id.as_str());
        self.client.commit(&self.group, who, topic, offsets)
    }
}

impl Client {
    /// `FindCoordinator` (version 1) of a group: error and port.
    pub fn find_coordinator(&mut self, group: &str) -> io::Result<(i16, i32)> {
        let response = self.call(key::FIND_COORDINATOR, 1, &Bytes::new().string(group).i8(0).0)?;
        let mut f = Fields(&response);
        let (_throttle, error, _message) = (f.i32(), f.i16(), f.string());
        let (_node, _host) = (f.i32(), f.string());
        Ok((error, f.i32()))
    }

    /// `OffsetCommit` (version 7) of one topic's partitions, offsets and metadata: an error for each.
    /// Generation and member are -1 and nobody for a consumer outside of its group.
    pub fn commit(
        &mut self,
        group: &str,
        (generation, member): (i32, &str),
        topic: &str,
        offsets: &[(i32, i64, &str)],
    ) -> io::Result<Vec<i16>> {
        let body = Bytes::new().string(group).i32(generation).string(member).i16(-1);
        let mut body = body.i32(1).string(topic).i32(offsets.len() as i32);
        for (partition, offset, metadata) in offsets {
            body = body.i32(*partition).i64(*offset).i32(-1).string(metadata);
        }
        let response = self.call(key::OFFSET_COMMIT, 7, &body.0)?;
        let mut f = Fields(&response);
        let (_throttle, _topics, _name) = (f.i32(), f.i32(), f.string());
        Ok((0..f.i32()).map(|_| (f.i32(), f.i16()).1).collect())
    }

    /// Commits outside of a group; panics unless every partition is taken.
    pub fn commit_alone(&mut self, group: &str, topic: &str, offsets: &[(i32, i64, &str)]) {
        let codes = self.commit(group, (-1, ""), topic, offsets).expect("an answer");
        assert!(codes.iter().all(|it| *it == error::NONE), "{codes:?}");
    }

    /// `OffsetFetch` (version 5) of one topic's partitions: the group's error, and offsets with their
    /// metadata.
    pub fn committed(
        &mut self,
        group: &str,
        topic: &str,
        partitions: &[i32],
    ) -> io::Result<(i16, Vec<(i64, String)>)> {
        let body = Bytes::new().string(group).i32(1).string(topic).i32(partitions.len() as i32);
        let body = partitions.iter().fold(body, |body, it| body.i32(*it));
        let response = self.call(key::OFFSET_FETCH, 5, &body.0)?;
        let mut f = Fields(&response);
        let _throttle = f.i32();
        let mut offsets = Vec::new();
        for _ in 0..f.i32() {
            let _name = f.string();
            for _ in 0..f.i32() {
                let (_partition, offset, _epoch) = (f.i32(), f.i64(), f.i32());
                offsets.push((offset, f.string().to_owned()));
                assert_eq!(f.i16(), error::NONE);
            }
        }
        Ok((f.i16(), offsets))
    }

    /// [`committed`](Self::committed), as soon as the coordinator is loaded.
    pub fn committed_when_loaded(
        &mut self,
        group: &str,
        topic: &str,
        partitions: &[i32],
    ) -> Vec<(i64, String)> {
        let loaded = crate::wait_for(std::time::Duration::from_mins(1), || {
            let (code, offsets) = self.committed(group, topic, partitions).expect("an answer");
            let loading = code == error::COORDINATOR_LOAD_IN_PROGRESS;
            assert!(code == error::NONE || loading, "error {code}");
            (!loading).then_some(offsets)
        });
        loaded.expect("a coordinator that is loaded")
    }

    /// `ListGroups` (version 2): error, and ids with their protocol types.
    pub fn list_groups(&mut self) -> io::Result<(i16, Vec<(String, String)>)> {
        let response = self.call(key::LIST_GROUPS, 2, &[])?;
        let mut f = Fields(&response);
        let (_throttle, error) = (f.i32(), f.i16());
        let groups = (0..f.i32()).map(|_| (f.string().to_owned(), f.string().to_owned()));
        Ok((error, groups.collect()))
    }

    /// `DescribeGroups` (version 1) of one group: error, state, protocol, member ids.
    pub fn describe_group(
        &mut self,
        group: &str,
    ) -> io::Result<(i16, String, String, Vec<String>)> {
        let body = Bytes::new().i32(1).string(group);
        let response = self.call(key::DESCRIBE_GROUPS, 1, &body.0)?;
        let mut f = Fields(&response);
        let (_throttle, _count, error, _group) = (f.i32(), f.i32(), f.i16(), f.string());
        let (state, _type, protocol) = (f.string().to_owned(), f.string(), f.string().to_owned());
        let mut members = Vec::new();
        for _ in 0..f.i32() {
            members.push(f.string().to_owned());
            let (_client, host) = (f.string(), f.string());
            assert_eq!(host, "/127.0.0.1");
            let (_metadata, _assignment) = (f.bytes(), f.bytes());
        }
        Ok((error, state, protocol, members))
    }

    /// `DeleteGroups` (version 1) of one group: error.
    pub fn delete_group(&mut self, group: &str) -> io::Result<i16> {
        let response = self.call(key::DELETE_GROUPS, 1, &Bytes::new().i32(1).string(group).0)?;
        let mut f = Fields(&response);
        let (_throttle, _count, _group) = (f.i32(), f.i32(), f.string());
        Ok(f.i16())
    }
}
