use super::*;
use crate::wire::kafka::join_group_response::JoinGroupResponseMember;

/// What the request would say of this member.
fn joins(m: &mut Membership) -> (String, Subscription, usize) {
    m.join_request(9, |r| {
        let first = r.protocols.first().expect("a protocol");
        let subscription = Subscription::decode(first.metadata).expect("reads");
        Ok((r.member_id.to_owned(), subscription, r.protocols.len()))
    })
    .expect("sent")
}

fn named(m: &mut Membership, id: &str) {
    assert_eq!(m.step(0), Step::FindCoordinator);
    m.coordinator_found(1);
    assert_eq!(
        m.step(0),
        Step::Prepare(if m.settings.is_cooperative() { Release::Nothing } else { Release::All })
    );
    m.prepared(Partitions::new());
    assert_eq!(m.step(0), Step::Join);
    assert_eq!(joins(m).0, "");
    let response = JoinGroupResponse {
        error_code: ErrorCode::MEMBER_ID_REQUIRED.0,
        member_id: id,
        ..JoinGroupResponse::default()
    };
    m.joined(0, &response).expect("goes on");
    assert_eq!(m.step(0), Step::Join, "with the id that it got");
}

fn join_answer<'a>(
    generation: i32,
    leader: &'a str,
    me: &'a str,
    protocol: &'a str,
    members: Vec<JoinGroupResponseMember<'a>>,
) -> JoinGroupResponse<'a> {
    JoinGroupResponse {
        generation_id: generation,
        protocol_name: Some(protocol),
        leader,
        member_id: me,
        members,
        ..JoinGroupResponse::default()
    }
}

fn sync(m: &mut Membership, now: i64, assigned: &Partitions) -> Partitions {
    assert_eq!(m.step(now), Step::Sync);
    m.sync_request(5, |_| Ok(())).expect("sent");
    let assignment = encode_assignment(assigned).expect("encodes");
    let response = SyncGroupResponse { assignment: &assignment, ..SyncGroupResponse::default() };
    m.synced(now, &response).expect("goes on").expect("an assignment")
}

fn partitions(topic: &str, numbers: &[i32]) -> Partitions {
    Partitions::from([(topic.to_owned(), numbers.to_vec())])
}

fn follower(assignors: Vec<Assignor>, assigned: &Partitions) -> Membership {
    let settings = GroupSettings { assignors, ..GroupSettings::new("g") };
    let protocol = settings.assignors[0].name();
    let mut m = Membership::new(settings, vec!["t".to_owned()]);
    named(&mut m, "me");
    assert_eq!(joins(&mut m).0, "me");
    m.joined(0, &join_answer(3, "other", "me", protocol, Vec::new())).expect("joined");
    assert_eq!(sync(&mut m, 0, assigned), *assigned);
    m
}

#[test]
fn a_leader_assigns_for_all() {
    let mut m = Membership::new(GroupSettings::new("g"), vec!["t".to_owned()]);
    named(&mut m, "a");
    let (id, subscription, protocols) = joins(&mut m);
    assert_eq!((id.as_str(), subscription.topics.len(), protocols), ("a", 1, 2));
    let told = Subscription { topics: vec!["t".to_owned(), "u".to_owned()], ..Default::default() };
    let told = told.encode().expect("encodes");
    let of = |id| JoinGroupResponseMember {
        member_id: id,
        metadata: &told,
        ..JoinGroupResponseMember::default()
    };
    m.joined(0, &join_answer(1, "a", "a", "range", vec![of("a"), of("b")])).expect("joined");
    let topics = ["t".to_owned(), "u".to_owned()].into();
    assert_eq!(m.step(0), Step::CountPartitions(topics));
    let counts = PartitionCounts::from([("t".to_owned(), 3)]);
    m.assign(counts.clone()).expect("assigns");
    let given = |id: &str| decode_assignment(m.assignments()[id]).expect("reads");
    assert_eq!((given("a"), given("b")), (partitions("t", &[0, 1]), partitions("t", &[2])));
    sync(&mut m, 0, &partitions("t", &[0, 1]));
    assert!(m.is_stable());
    m.partitions_counted(&counts);
    assert!(m.is_stable(), "nothing has changed");
    m.partitions_counted(&PartitionCounts::from([("t".to_owned(), 4)]));
    assert_eq!(m.step(0), Step::Prepare(Release::All), "the topic has grown");
}

#[test]
fn heartbeats_keep_the_session_and_tell_of_rebalances() {
    let mut m = follower(vec![Assignor::Range], &partitions("t", &[1]));
    assert_eq!(m.step(0), Step::Wait(3_000));
    assert_eq!(m.step(3_000), Step::Heartbeat);
    let told = m.heartbeat_request(4, |r| Ok((r.generation_id, r.member_id.to_owned())));
    assert_eq!(told, Ok((3, "me".to_owned())));
    assert_eq!(m.step(9_000), Step::Wait(45_000), "one at a time, until the session ends");
    m.heartbeat_answered(9_000, 3, ErrorCode::NONE).expect("goes on");
    assert_eq!(m.step(9_000), Step::Wait(12_000));
    m.heartbeat_answered(9_500, 2, ErrorCode::UNKNOWN_MEMBER_ID).expect("an old generation's");
    assert!(m.is_stable());
    assert_eq!(m.step(12_000), Step::Heartbeat);
    m.heartbeat_answered(12_000, 3, ErrorCode::REBALANCE_IN_PROGRESS).expect("goes on");
    assert_eq!(m.step(12_000), Step::Prepare(Release::All));
    m.prepared(Partitions::new());
    assert_eq!(m.step(12_000), Step::Join);
    let (id, subscription, _) = joins(&mut m);
    assert_eq!((id.as_str(), subscription.owned.len()), ("me", 0), "the same member");
}

#[test]
fn a_session_that_ends_loses_the_partitions() {
    let mut m = follower(vec![Assignor::Range], &partitions("t", &[1]));
    assert_eq!(m.step(3_000), Step::Heartbeat);
    m.heartbeat_request(4, |_| Ok(())).expect("sent");
    assert_eq!(m.step(45_000), Step::Prepare(Release::Lost));
    m.prepared(Partitions::new());
    assert_eq!(m.step(45_000), Step::FindCoordinator);
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::ILLEGAL_GENERATION] {
        let mut m = follower(vec![Assignor::Range], &partitions("t", &[1]));
        m.heartbeat_answered(5, 3, code).expect("goes on");
        assert_eq!(m.step(5), Step::Prepare(Release::Lost), "{code:?}");
        m.prepared(Partitions::new());
        assert_eq!(m.step(5), Step::Join);
        let known = code == ErrorCode::ILLEGAL_GENERATION;
        assert_eq!(joins(&mut m).0.is_empty(), !known, "{code:?}: only an unknown id is given up");
        assert_eq!(m.identity().1, -1);
    }
}

#[test]
fn cooperative_members_keep_what_they_have() {
    let mut m = follower(vec![Assignor::CooperativeSticky], &partitions("t", &[0, 1]));
    m.heartbeat_answered(0, 3, ErrorCode::REBALANCE_IN_PROGRESS).expect("goes on");
    assert_eq!(m.step(0), Step::Prepare(Release::Nothing));
    m.prepared(partitions("t", &[0, 1]));
    assert_eq!(m.step(0), Step::Join);
    let (_, subscription, _) = joins(&mut m);
    assert_eq!((subscription.owned, subscription.generation), (partitions("t", &[0, 1]), 3));
    m.joined(0, &join_answer(4, "other", "me", "cooperative-sticky", Vec::new())).expect("joined");
    sync(&mut m, 0, &partitions("t", &[0]));
    assert_eq!(m.step(0), Step::Prepare(Release::Nothing), "what it lost is free for another");
    m.prepared(partitions("t", &[0]));
    assert_eq!(m.step(0), Step::Join);
    joins(&mut m);
    m.joined(0, &join_answer(5, "other", "me", "cooperative-sticky", Vec::new())).expect("joined");
    sync(&mut m, 0, &partitions("t", &[0]));
    assert!(m.is_stable(), "nothing was taken away");
}

#[test]
fn coordinators_that_load_or_move_are_met_with_patience() {
    let mut m = Membership::new(GroupSettings::new("g"), vec!["t".to_owned()]);
    named(&mut m, "me");
    let refused = |code: ErrorCode| JoinGroupResponse { error_code: code.0, ..Default::default() };
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..6 {
        joins(&mut m);
        m.joined(now, &refused(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)).expect("goes on");
        let Step::Wait(until) = m.step(now) else { panic!("no pause") };
        waits.push(until - now);
        now = until;
        assert_eq!(m.step(now), Step::Join, "at the same coordinator");
    }
    assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
    joins(&mut m);
    m.joined(now, &refused(ErrorCode::NOT_COORDINATOR)).expect("goes on");
    assert_eq!(m.coordinator(), None);
    assert_eq!(m.step(now + 1000), Step::FindCoordinator);
    m.coordinator_not_found(now + 1000);
    assert!(matches!(m.step(now + 1000), Step::Wait(_)));
    m.coordinator_found(2);
    assert_eq!(m.step(now + 3000), Step::Join, "still the same member");
    assert_eq!(joins(&mut m).0, "me");
    for fatal in [ErrorCode::FENCED_INSTANCE_ID, ErrorCode::INCONSISTENT_GROUP_PROTOCOL] {
        let mut m = m.clone();
        assert_eq!(m.joined(now, &refused(fatal)).expect_err("the end").code(), Some(fatal));
    }
}

#[test]
fn a_connection_that_breaks_does_not_end_the_membership() {
    let mut m = follower(vec![Assignor::Range], &partitions("t", &[1]));
    m.coordinator_lost(1_000);
    assert_eq!(m.step(1_100), Step::FindCoordinator);
    m.coordinator_found(1);
    assert!(m.is_stable());
    assert_eq!(m.step(3_000), Step::Heartbeat);
    // In the middle of a rebalance it joins again.
    m.heartbeat_answered(3_000, 3, ErrorCode::REBALANCE_IN_PROGRESS).expect("goes on");
    m.prepared(Partitions::new());
    m.step(4_000);
    joins(&mut m);
    m.coordinator_lost(4_000);
    m.coordinator_found(1);
    assert_eq!(m.step(9_000), Step::Join);
}

#[test]
fn refused_commits_that_concern_the_member() {
    let stays = |code| {
        let mut m = follower(vec![Assignor::Range], &partitions("t", &[1]));
        m.commit_refused(0, code).map(|()| m.is_stable())
    };
    assert_eq!(stays(ErrorCode::OFFSET_METADATA_TOO_LARGE), Ok(true));
    assert_eq!(stays(ErrorCode::REBALANCE_IN_PROGRESS), Ok(false));
    assert_eq!(stays(ErrorCode::UNKNOWN_MEMBER_ID), Ok(false));
    assert!(stays(ErrorCode::FENCED_INSTANCE_ID).is_err());
}
