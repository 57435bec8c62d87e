//! A group of very many members joins, is assigned, described, loaded, left and missed in parts: counted in
//! steps of work.

use super::calls::AskGroup;
use super::testing::{GROUPS, Rig, image_with_groups};
use super::wait::Receiver;
use super::{Input, work};
use crate::group::{GroupRequest, GroupResponse, Join, Protocol, Sync};
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::types::{ErrorCode, Now};
use crate::wire::api_keys::ApiKey;
use crate::wire::header::decode_response;
use crate::wire::kafka::describe_groups_request::DescribeGroupsRequest;
use crate::wire::kafka::describe_groups_response::DescribeGroupsResponse;
use crate::wire::kafka::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use crate::wire::kafka::join_group_response::JoinGroupResponse;
use crate::wire::kafka::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use crate::wire::kafka::leave_group_response::LeaveGroupResponse;
use crate::wire::kafka::list_groups_request::ListGroupsRequest;
use crate::wire::kafka::list_groups_response::ListGroupsResponse;
use crate::wire::kafka::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use crate::wire::kafka::sync_group_response::SyncGroupResponse;
use crate::wire::{Reader, WireError};
use bytes::Bytes;
use futures_lite::future::{block_on, poll_once};

const MEMBERS: usize = 10_000;
const SESSION_MS: i32 = 10_000;
/// `group.initial.rebalance.delay.ms`.
const DELAY_MS: i64 = 3_000;

fn member(number: usize) -> String {
    format!("m{number:05}")
}

struct Crowd {
    rig: Rig,
    /// Inputs at the last check.
    inputs: usize,
}

type Reply = Receiver<GroupResponse>;

fn answer(reply: &mut Reply) -> GroupResponse {
    block_on(poll_once(reply)).flatten().expect("it is answered")
}

impl Crowd {
    fn new(disk: &Disk) -> Self {
        let rig = Rig::with_room(disk, &image_with_groups(1), 1 << 30, 64 << 20);
        Self { rig, inputs: 0 }
    }

    /// Nothing held the shard for long; what was done took so many parts at least.
    fn check(&mut self, what: &str, steps: usize) {
        let inputs = self.rig.inputs - std::mem::replace(&mut self.inputs, self.rig.inputs);
        let most = self.rig.broker.steps_most();
        println!("{what}: {most} steps of {inputs} inputs");
        assert!(most <= work::BOUND, "{what}: one input took {most} steps");
        let parts = steps * MEMBERS / (work::INPUT + work::PIECE) as usize;
        assert!(inputs >= parts, "{what}: {inputs} inputs");
    }

    fn pass_ms(&mut self, ms: i64) {
        self.rig.now_ms += ms;
        self.rig.handle(Input::Timeout);
        self.rig.settle();
    }

    /// A request of a member, without a connection of its own.
    fn start(&mut self, request: GroupRequest) -> Reply {
        self.rig.broker.call(Now::at(self.rig.now_ms), 0, AskGroup(GROUPS, request))
    }

    fn join(&mut self, number: usize) -> Reply {
        let range = Protocol { name: "range".into(), metadata: Bytes::from_static(b"r") };
        let sticky = Protocol { name: "sticky".into(), metadata: Bytes::from_static(b"s") };
        self.start(GroupRequest::Join(Join {
            group_id: "g".into(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: 60_000,
            protocol_type: "crowd".into(),
            protocols: vec![range, sticky],
            client_host: "/h".into(),
            fresh_member_id: member(number),
            ..Join::default()
        }))
    }

    fn state(&mut self) -> (String, usize) {
        let connection = self.rig.connect();
        let request =
            DescribeGroupsRequest { groups: vec!["g"], include_authorized_operations: false };
        let described = self.rig.ask(
            connection,
            (ApiKey::DESCRIBE_GROUPS, 5),
            |w| request.encode(w, 5),
            |r| {
                let it = DescribeGroupsResponse::decode(r, 5)?;
                let group = &it.groups[0];
                let stable = group.group_state == "Stable";
                let given: &[u8] = if stable { b"take" } else { b"" };
                assert!(group.members.iter().all(|it| it.member_assignment == given));
                Ok((group.group_state.to_owned(), group.members.len()))
            },
        );
        self.rig.handle(Input::HungUp(connection));
        described
    }

    /// All join and are assigned something. The first of them leads, by a connection.
    fn become_stable(&mut self) {
        let leader = self.rig.connect();
        let protocols = ["range", "sticky"]
            .map(|name| JoinGroupRequestProtocol { name, metadata: &name.as_bytes()[..1] });
        let request = JoinGroupRequest {
            group_id: "g",
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: 60_000,
            protocol_type: "crowd",
            protocols: protocols.to_vec(),
            ..JoinGroupRequest::default()
        };
        self.rig.send(leader, (ApiKey::JOIN_GROUP, 3), |w| request.encode(w, 3));
        let mut joins: Vec<Reply> = (1..MEMBERS).map(|it| self.join(it)).collect();
        self.check("the members come", 0);
        self.pass_ms(DELAY_MS);
        // There is another delay since somebody came.
        self.pass_ms(DELAY_MS);
        let received = self.rig.received(leader);
        let mut r = Reader::new(&received[4..]);
        decode_response(ApiKey::JOIN_GROUP, 3, &mut r).unwrap();
        let joined = JoinGroupResponse::decode(&mut r, 3).unwrap();
        assert_eq!((joined.error_code, joined.leader), (0, joined.member_id));
        assert_eq!((joined.members.len(), joined.protocol_name), (MEMBERS, Some("range")));
        assert!(joined.members.iter().all(|it| it.metadata == b"r"));
        let (id, generation_id) = (joined.member_id.to_owned(), joined.generation_id);
        let mut others = joins.iter_mut().map(answer);
        assert!(others.all(|it| matches!(it, GroupResponse::Join(it) if it.leader == id)));
        // They vote and are told; the answer is made and written.
        self.check("a generation begins", 4);

        let sync = |number: usize| {
            GroupRequest::Sync(Sync {
                group_id: "g".into(),
                generation_id,
                member_id: member(number),
                ..Sync::default()
            })
        };
        let mut syncs: Vec<Reply> = (2..MEMBERS).map(|it| self.start(sync(it))).collect();
        let ids: Vec<String> = (1..MEMBERS).map(member).chain([id.clone()]).collect();
        let assignments = ids
            .iter()
            .map(|id| SyncGroupRequestAssignment { member_id: id, assignment: b"take" })
            .collect();
        let request = SyncGroupRequest {
            group_id: "g",
            generation_id,
            member_id: &id,
            assignments,
            ..SyncGroupRequest::default()
        };
        self.rig.send(leader, (ApiKey::SYNC_GROUP, 3), |w| request.encode(w, 3));
        // One comes while the assignments are taken in.
        self.rig.handle(Input::Continue);
        syncs.push(self.start(sync(1)));
        self.rig.settle();
        let received = self.rig.received(leader);
        let mut r = Reader::new(&received[4..]);
        decode_response(ApiKey::SYNC_GROUP, 3, &mut r).unwrap();
        let synced = SyncGroupResponse::decode(&mut r, 3).unwrap();
        assert_eq!((synced.error_code, synced.assignment), (0, &b"take"[..]));
        let mut others = syncs.iter_mut().map(answer);
        let take = |it: GroupResponse| {
            matches!(it, GroupResponse::Sync(it) if it.error == ErrorCode::NONE
                && it.assignment == "take")
        };
        assert!(others.all(take));
        // Read, taken in, written into the record, assigned.
        self.check("they are assigned", 4);
        self.rig.handle(Input::HungUp(leader));
    }
}

#[test]
fn a_crowd_joins_is_described_and_leaves_in_parts() {
    let mut crowd = Crowd::new(&Disk::Sim(SimDisk::new(1)));
    crowd.become_stable();
    assert_eq!(crowd.state(), ("Stable".to_owned(), MEMBERS));
    crowd.check("it is described", 2);
    let connection = crowd.rig.connect();
    let listed = crowd.rig.ask(
        connection,
        (ApiKey::LIST_GROUPS, 4),
        |w| ListGroupsRequest::default().encode(w, 4),
        |r: &mut Reader<'_>| -> Result<usize, WireError> {
            Ok(ListGroupsResponse::decode(r, 4)?.groups.len())
        },
    );
    assert_eq!(listed, 1);
    crowd.check("it is listed", 0);
    // All leave but the leader, and one that is not known.
    let ids: Vec<String> = (1..=MEMBERS).map(member).collect();
    let members =
        ids.iter().map(|id| MemberIdentity { member_id: id, ..MemberIdentity::default() });
    let request = LeaveGroupRequest {
        group_id: "g",
        members: members.collect(),
        ..LeaveGroupRequest::default()
    };
    let codes: Vec<i16> = crowd.rig.ask(
        connection,
        (ApiKey::LEAVE_GROUP, 3),
        |w| request.encode(w, 3),
        |r| {
            let it = LeaveGroupResponse::decode(r, 3)?;
            Ok(it.members.iter().map(|it| it.error_code).collect())
        },
    );
    let (last, left) = codes.split_last().unwrap();
    assert_eq!((*last, left.len()), (ErrorCode::UNKNOWN_MEMBER_ID.0, MEMBERS - 1));
    assert!(left.iter().all(|it| *it == 0));
    assert_eq!(crowd.state(), ("PreparingRebalance".to_owned(), 1));
    crowd.check("they leave", 4);
}

#[test]
fn a_crowd_is_loaded_and_missed_in_parts() {
    let disk = Disk::Sim(SimDisk::new(1));
    let mut crowd = Crowd::new(&disk);
    crowd.become_stable();
    let mut crowd = Crowd::new(&disk);
    crowd.rig.settle();
    assert_eq!(crowd.state(), ("Stable".to_owned(), MEMBERS));
    crowd.check("it is loaded", 3);
    // Nobody has been heard since the start.
    crowd.pass_ms(i64::from(SESSION_MS));
    assert_eq!(crowd.state(), ("Empty".to_owned(), 0));
    crowd.check("all are missed", 1);
}

#[test]
fn a_crowd_that_falls_silent_while_it_rebalances_is_missed_in_parts() {
    let mut crowd = Crowd::new(&Disk::Sim(SimDisk::new(1)));
    crowd.become_stable();
    // A newcomer calls all to join again, and nobody comes.
    let mut late = crowd.join(MEMBERS);
    crowd.rig.settle();
    crowd.check("all are called", 0);
    crowd.pass_ms(i64::from(SESSION_MS));
    let GroupResponse::Join(joined) = answer(&mut late) else { panic!("another answer") };
    assert_eq!((joined.error, joined.members.len()), (ErrorCode::NONE, 1));
    crowd.check("all are missed", 1);
}
