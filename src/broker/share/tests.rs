//! What members of a share group get of a broker of one shard, over its connections; and what its next start knows.

use crate::broker::ConnectionId;
use crate::broker::Input;
use crate::broker::testing::{GROUPS, Rig, image_with_groups};
use crate::controller::{Image, NewPartition, Record};
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::types::topic_name::SHARE_STATE;
use crate::types::{ErrorCode, TopicId};
use crate::wire::api_keys::ApiKey;
use crate::wire::header::decode_response;
use crate::wire::kafka as k;
use crate::wire::kafka::alter_share_group_offsets_request as alter;
use crate::wire::kafka::alter_share_group_offsets_response::AlterShareGroupOffsetsResponse;
use crate::wire::kafka::delete_share_group_offsets_request as delete;
use crate::wire::kafka::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponse;
use crate::wire::kafka::describe_share_group_offsets_request as describe;
use crate::wire::kafka::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponse;
use crate::wire::kafka::share_acknowledge_request as acknowledge;
use crate::wire::kafka::share_fetch_request as fetch;
use crate::wire::kafka::share_fetch_response::ShareFetchResponse;
use crate::wire::records::{BatchBuilder, Compression, batches};
use crate::wire::{Reader, Writer};

const TOPIC: TopicId = TopicId([7; 16]);
const STATES: TopicId = TopicId([8; 16]);

/// A topic `t` of one partition, and the topics of coordinators. Group `g` begins at the start of the log.
fn image() -> Image {
    let mut image = image_with_groups(1);
    image.apply(&Record::TopicCreated {
        id: STATES,
        name: SHARE_STATE.into(),
        partitions: vec![NewPartition::new([1])],
        settings: Vec::new(),
    });
    image.apply(&Record::GroupConfigSet {
        group: "g".into(),
        settings: [("share.auto.offset.reset".into(), Some("earliest".into()))].into(),
    });
    assert_ne!(GROUPS.topic, STATES);
    image.index = 1;
    image
}

/// What came of a fetch: offsets with delivery counts, batches, and the error of what was acknowledged.
#[derive(Debug, PartialEq, Eq)]
struct Got {
    error: ErrorCode,
    acquired: Vec<(i64, i64, i16)>,
    batches: Vec<(i64, i64)>,
    ack_error: ErrorCode,
}

fn got(acquired: &[(i64, i64, i16)], batches: &[(i64, i64)]) -> Got {
    let (acquired, batches) = (acquired.to_vec(), batches.to_vec());
    Got { error: ErrorCode::NONE, acquired, batches, ack_error: ErrorCode::NONE }
}

fn request(member: &str, epoch: i32, acks: &[(i64, i64, &[i8])]) -> Vec<u8> {
    let batch =
        |(first_offset, last_offset, types): &(i64, i64, &[i8])| fetch::AcknowledgementBatch {
            first_offset: *first_offset,
            last_offset: *last_offset,
            acknowledge_types: types.to_vec(),
        };
    let request = fetch::ShareFetchRequest {
        group_id: Some("g"),
        member_id: Some(member),
        share_session_epoch: epoch,
        max_bytes: 1 << 20,
        max_records: 500,
        batch_size: 500,
        topics: vec![fetch::FetchTopic {
            topic_id: TOPIC,
            partitions: vec![fetch::FetchPartition {
                partition_index: 0,
                acknowledgement_batches: acks.iter().map(batch).collect(),
            }],
        }],
        ..Default::default()
    };
    let mut w = Writer::new();
    request.encode(&mut w, 2).expect("a request");
    w.into_vec()
}

fn acknowledgement<'a>(
    member: &'a str,
    epoch: i32,
    (first_offset, last_offset, types): (i64, i64, &[i8]),
) -> acknowledge::ShareAcknowledgeRequest<'a> {
    let batch = acknowledge::AcknowledgementBatch {
        first_offset,
        last_offset,
        acknowledge_types: types.to_vec(),
    };
    acknowledge::ShareAcknowledgeRequest {
        group_id: Some("g"),
        member_id: Some(member),
        share_session_epoch: epoch,
        topics: vec![acknowledge::AcknowledgeTopic {
            topic_id: TOPIC,
            partitions: vec![acknowledge::AcknowledgePartition {
                partition_index: 0,
                acknowledgement_batches: vec![batch],
            }],
        }],
        ..Default::default()
    }
}

fn read(r: &mut Reader<'_>) -> Got {
    let it = ShareFetchResponse::decode(r, 2).expect("an answer");
    let mut all = got(&[], &[]);
    all.error = ErrorCode(it.error_code);
    for it in it.responses.iter().flat_map(|it| &it.partitions) {
        if it.error_code != 0 {
            all.error = ErrorCode(it.error_code);
        }
        all.ack_error = ErrorCode(it.acknowledge_error_code);
        let acquired = it.acquired_records.iter();
        all.acquired
            .extend(acquired.map(|it| (it.first_offset, it.last_offset, it.delivery_count)));
        all.batches.extend(batches(it.records).map(|(it, _)| (it.base_offset, it.last_offset())));
    }
    all
}

trait Shares {
    fn beat(&mut self, connection: ConnectionId, member: &str, epoch: i32) -> (i32, usize);
    fn share_fetch(
        &mut self,
        connection: ConnectionId,
        member: &str,
        epoch: i32,
        acks: &[(i64, i64, &[i8])],
    ) -> Got;
    fn acknowledge(
        &mut self,
        connection: ConnectionId,
        member: &str,
        epoch: i32,
        ack: (i64, i64, &[i8]),
    ) -> (ErrorCode, ErrorCode);
    fn produce_some(&mut self, connection: ConnectionId, count: usize);
}

impl Shares for Rig {
    /// A heartbeat; the member's epoch, and how many partitions it is told to have.
    fn beat(&mut self, connection: ConnectionId, member: &str, epoch: i32) -> (i32, usize) {
        let request = k::share_group_heartbeat_request::ShareGroupHeartbeatRequest {
            group_id: "g",
            member_id: member,
            member_epoch: epoch,
            rack_id: None,
            subscribed_topic_names: (epoch == 0).then(|| vec!["t"]),
        };
        self.ask(
            connection,
            (ApiKey::SHARE_GROUP_HEARTBEAT, 1),
            |w| request.encode(w, 1),
            |r| {
                let it =
                    k::share_group_heartbeat_response::ShareGroupHeartbeatResponse::decode(r, 1)?;
                assert_eq!(it.error_code, 0, "{:?}", it.error_message);
                let topics = it.assignment.map(|it| it.topic_partitions).unwrap_or_default();
                Ok((it.member_epoch, topics.iter().map(|it| it.partitions.len()).sum()))
            },
        )
    }

    fn share_fetch(
        &mut self,
        connection: ConnectionId,
        member: &str,
        epoch: i32,
        acks: &[(i64, i64, &[i8])],
    ) -> Got {
        let body = request(member, epoch, acks);
        self.ask(
            connection,
            (ApiKey::SHARE_FETCH, 2),
            |w| {
                w.raw(&body);
                Ok(())
            },
            |r| Ok(read(r)),
        )
    }

    /// The error of the whole answer, and that of the partition.
    fn acknowledge(
        &mut self,
        connection: ConnectionId,
        member: &str,
        epoch: i32,
        ack: (i64, i64, &[i8]),
    ) -> (ErrorCode, ErrorCode) {
        let request = acknowledgement(member, epoch, ack);
        self.ask(
            connection,
            (ApiKey::SHARE_ACKNOWLEDGE, 2),
            |w| request.encode(w, 2),
            |r| {
                let it = k::share_acknowledge_response::ShareAcknowledgeResponse::decode(r, 2)?;
                let of_partition = it.responses.first().map_or(0, |it| it.partitions[0].error_code);
                Ok((ErrorCode(it.error_code), ErrorCode(of_partition)))
            },
        )
    }

    fn produce_some(&mut self, connection: ConnectionId, count: usize) {
        let mut builder = BatchBuilder::new(Compression::None);
        for _ in 0..count {
            builder.push(7, None, Some(b"value"), &[]);
        }
        self.produce(connection, &[(0, &builder.build())]);
        self.settle();
        self.received(connection);
    }
}

fn rig() -> (Disk, Rig, ConnectionId) {
    let disk = Disk::Sim(SimDisk::new(1));
    let mut rig = Rig::new(&disk, &image(), 64 << 20);
    let connection = rig.connect();
    assert_eq!(rig.beat(connection, "m", 0), (2, 1), "it has the partition at once");
    (disk, rig, connection)
}

const NONE: (ErrorCode, ErrorCode) = (ErrorCode::NONE, ErrorCode::NONE);

#[test]
fn records_are_delivered_until_they_are_settled_and_never_again() {
    let (disk, mut rig, m) = rig();
    rig.produce_some(m, 3);
    assert_eq!(rig.share_fetch(m, "m", 0, &[]), got(&[(0, 2, 1)], &[(0, 2)]));
    assert_eq!(rig.share_fetch(m, "m", 1, &[]), got(&[], &[]), "they are locked");
    // Accepted, released, rejected.
    assert_eq!(rig.acknowledge(m, "m", 2, (0, 2, &[1, 2, 3])), NONE);
    assert_eq!(rig.share_fetch(m, "m", 3, &[]), got(&[(1, 1, 2)], &[(0, 2)]));
    let twice = rig.acknowledge(m, "m", 4, (2, 2, &[1]));
    assert_eq!(twice, (ErrorCode::NONE, ErrorCode::INVALID_RECORD_STATE));
    rig.produce_some(m, 2);
    // What a fetch says takes effect before it reads.
    let more = rig.share_fetch(m, "m", 5, &[(1, 1, &[1])]);
    assert_eq!(more, got(&[(3, 4, 1)], &[(3, 4)]));
    drop(rig);
    // Another process knows what was settled, and that nobody has anything.
    let mut rig = Rig::new(&disk, &image(), 64 << 20);
    let n = rig.connect();
    assert_eq!(rig.share_fetch(n, "n", 0, &[]), got(&[(3, 4, 1)], &[(3, 4)]));
}

#[test]
fn an_acknowledgement_is_answered_when_it_is_kept() {
    let (_, mut rig, m) = rig();
    rig.produce_some(m, 1);
    assert_eq!(rig.share_fetch(m, "m", 0, &[]), got(&[(0, 0, 1)], &[(0, 0)]));
    let request = acknowledgement("m", 1, (0, 0, &[1]));
    rig.send(m, (ApiKey::SHARE_ACKNOWLEDGE, 2), |w| request.encode(w, 2));
    while rig.broker.has_work() {
        rig.handle(Input::Continue);
    }
    assert_eq!(rig.received(m), [0; 0], "nothing of it is on the disk");
    rig.settle();
    assert_ne!(rig.received(m), [0; 0]);
}

#[test]
fn members_share_a_partition_and_leave_what_they_have_to_others() {
    let (_, mut rig, m) = rig();
    let n = rig.connect();
    rig.beat(n, "n", 0);
    rig.produce_some(m, 2);
    assert_eq!(rig.share_fetch(m, "m", 0, &[]), got(&[(0, 1, 1)], &[(0, 1)]));
    assert_eq!(rig.share_fetch(n, "n", 0, &[]), got(&[], &[]));
    let others = rig.acknowledge(n, "n", 1, (0, 0, &[1]));
    assert_eq!(others, (ErrorCode::NONE, ErrorCode::INVALID_RECORD_STATE));
    assert_eq!(rig.acknowledge(m, "m", 1, (0, 0, &[1])), NONE);
    // The connection ends, and its session with it.
    rig.handle(Input::HungUp(m));
    rig.settle();
    assert_eq!(rig.share_fetch(n, "n", 2, &[]), got(&[(1, 1, 2)], &[(0, 1)]));
    // So does a session that is closed.
    rig.share_fetch(n, "n", -1, &[]);
    let o = rig.connect();
    assert_eq!(rig.share_fetch(o, "o", 0, &[]), got(&[(1, 1, 3)], &[(0, 1)]));
}

#[test]
fn a_lock_ends_and_a_fetch_that_waits_hears_of_it() {
    let (_, mut rig, m) = rig();
    rig.produce_some(m, 1);
    assert_eq!(rig.share_fetch(m, "m", 0, &[]), got(&[(0, 0, 1)], &[(0, 0)]));
    let n = rig.connect();
    let mut body = request("n", 0, &[]);
    // The longest wait stands behind the group's and the member's name, and the epoch.
    body[8..12].copy_from_slice(&60_000i32.to_be_bytes());
    rig.send(n, (ApiKey::SHARE_FETCH, 2), |w| {
        w.raw(&body);
        Ok(())
    });
    rig.settle();
    assert_eq!(rig.received(n), [0; 0], "it waits");
    rig.now_ms = 29_999;
    rig.handle(Input::Continue);
    rig.settle();
    assert_eq!(rig.received(n), [0; 0], "it waits");
    rig.now_ms = 30_000;
    rig.handle(Input::Continue);
    rig.settle();
    let answer = rig.received(n);
    let mut r = Reader::new(&answer[4..]);
    decode_response(ApiKey::SHARE_FETCH, 2, &mut r).unwrap();
    assert_eq!(read(&mut r), got(&[(0, 0, 2)], &[(0, 0)]));
    let late = rig.acknowledge(m, "m", 1, (0, 0, &[1]));
    assert_eq!(late, (ErrorCode::NONE, ErrorCode::INVALID_RECORD_STATE));
}

#[test]
fn a_fetch_that_waits_hears_of_new_records() {
    let (_, mut rig, m) = rig();
    let n = rig.connect();
    let mut body = request("n", 0, &[]);
    body[8..12].copy_from_slice(&60_000i32.to_be_bytes());
    rig.send(n, (ApiKey::SHARE_FETCH, 2), |w| {
        w.raw(&body);
        Ok(())
    });
    rig.settle();
    assert_eq!(rig.received(n), [0; 0], "it waits");
    rig.produce_some(m, 4);
    let answer = rig.received(n);
    let mut r = Reader::new(&answer[4..]);
    decode_response(ApiKey::SHARE_FETCH, 2, &mut r).unwrap();
    assert_eq!(read(&mut r), got(&[(0, 3, 1)], &[(0, 3)]));
}

#[test]
fn sessions_and_states_are_checked() {
    let (_, mut rig, m) = rig();
    let code = |it: Got| it.error;
    assert_eq!(code(rig.share_fetch(m, "m", 3, &[])), ErrorCode::SHARE_SESSION_NOT_FOUND);
    rig.share_fetch(m, "m", 0, &[]);
    let wrong = rig.share_fetch(m, "m", 2, &[]);
    assert_eq!(wrong.error, ErrorCode::INVALID_SHARE_SESSION_EPOCH);
    let early = rig.share_fetch(m, "m", 0, &[(0, 0, &[1])]);
    assert_eq!(early.error, ErrorCode::INVALID_REQUEST);
    let nonsense = rig.share_fetch(m, "m", 1, &[(0, 4, &[1, 1])]);
    assert_eq!(nonsense.ack_error, ErrorCode::INVALID_REQUEST);
    let renewed = rig.share_fetch(m, "m", 2, &[(0, 0, &[4])]);
    assert_eq!(renewed.ack_error, ErrorCode::INVALID_REQUEST, "it does not say that it renews");
    let unknown = rig.acknowledge(m, "nobody", 3, (0, 0, &[1]));
    assert_eq!(unknown.0, ErrorCode::SHARE_SESSION_NOT_FOUND);
}

/// A group that nobody has joined has no states: its members are told to look for the partition again.
#[test]
fn nothing_is_delivered_without_a_state() {
    let disk = Disk::Sim(SimDisk::new(1));
    let mut rig = Rig::new(&disk, &image(), 64 << 20);
    let m = rig.connect();
    let told = rig.share_fetch(m, "m", 0, &[]);
    assert_eq!(told.error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

/// A group that is not there begins where an administrator says; deleted offsets are gone.
#[test]
fn a_group_begins_where_an_administrator_says() {
    let (_, mut rig, m) = rig();
    rig.produce_some(m, 4);
    let mut altered = |group_id| {
        let at =
            alter::AlterShareGroupOffsetsRequestPartition { partition_index: 0, start_offset: 3 };
        let topic =
            alter::AlterShareGroupOffsetsRequestTopic { topic_name: "t", partitions: vec![at] };
        let request = alter::AlterShareGroupOffsetsRequest { group_id, topics: vec![topic] };
        rig.ask(
            m,
            (ApiKey::ALTER_SHARE_GROUP_OFFSETS, 0),
            |w| request.encode(w, 0),
            |r| {
                let it = AlterShareGroupOffsetsResponse::decode(r, 0)?;
                let of = it.responses.first().map(|it| ErrorCode(it.partitions[0].error_code));
                Ok((ErrorCode(it.error_code), of))
            },
        )
    };
    assert_eq!(altered(""), (ErrorCode::INVALID_GROUP_ID, None));
    assert_eq!(altered("g"), (ErrorCode::NON_EMPTY_GROUP, None));
    assert_eq!(altered("n"), (ErrorCode::NONE, Some(ErrorCode::NONE)));
    let topic = |topic_name| describe::DescribeShareGroupOffsetsRequestTopic {
        topic_name,
        partitions: vec![0],
    };
    let group = describe::DescribeShareGroupOffsetsRequestGroup {
        group_id: "n",
        topics: Some(vec![topic("t"), topic("u")]),
    };
    let request = describe::DescribeShareGroupOffsetsRequest { groups: vec![group] };
    let described = rig.ask(
        m,
        (ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, 1),
        |w| request.encode(w, 1),
        |r| {
            let it = DescribeShareGroupOffsetsResponse::decode(r, 1)?;
            let of = it.groups[0].topics.iter().map(|it| &it.partitions[0]);
            Ok(of.map(|it| (it.error_code, it.start_offset, it.lag)).collect::<Vec<_>>())
        },
    );
    // A topic that is not there was not begun.
    assert_eq!(described, [(0, 3, 1), (0, -1, -1)]);
    let mut deleted = || {
        let topic = delete::DeleteShareGroupOffsetsRequestTopic { topic_name: "t" };
        let request = delete::DeleteShareGroupOffsetsRequest { group_id: "n", topics: vec![topic] };
        rig.ask(
            m,
            (ApiKey::DELETE_SHARE_GROUP_OFFSETS, 0),
            |w| request.encode(w, 0),
            |r| {
                let it = DeleteShareGroupOffsetsResponse::decode(r, 0)?;
                Ok((ErrorCode(it.error_code), ErrorCode(it.responses[0].error_code)))
            },
        )
    };
    assert_eq!(deleted(), NONE);
    assert_eq!(deleted(), (ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}
