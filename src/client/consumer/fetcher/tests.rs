use super::*;
use crate::wire::kafka::fetch_response::AbortedTransaction;
use crate::wire::kafka::fetch_response::FetchableTopicResponse;
use crate::wire::records::{BatchBuilder, Compression};

fn batch(base: i64, values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None).appended_at(base, 4);
    for value in values {
        builder.push(0, None, Some(value.as_bytes()), &[]);
    }
    builder.build()
}

fn response(records: &[u8], error: ErrorCode) -> FetchResponse<'_> {
    let data = PartitionData {
        partition_index: 0,
        error_code: error.0,
        records: Some(records),
        ..PartitionData::default()
    };
    let topic = FetchableTopicResponse { topic: "t", partitions: vec![data], ..Default::default() };
    FetchResponse { responses: vec![topic], ..FetchResponse::default() }
}

fn fetcher(at: i64) -> (Fetcher, u64) {
    let mut f = Fetcher::default();
    f.assign(&Partitions::from([("t".to_owned(), vec![0])]));
    assert_eq!(f.without_position(false).len(), 1);
    f.seek("t", 0, at, -1, false);
    let mark = f.changes;
    (f, mark)
}

fn read(f: &mut Fetcher, mark: u64, r: &FetchResponse<'_>, most: usize) -> Vec<String> {
    let mut values = Vec::new();
    let settings = ConsumerSettings::default();
    let flow = f.hand_out(mark, r, &settings, &mut |m| {
        values.push(String::from_utf8_lossy(m.record.value.expect("a value")).into_owned());
        if values.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(flow.is_ok(), "whole batches");
    values
}

#[test]
fn records_come_once_and_in_order() {
    let (mut f, mark) = fetcher(1);
    let bytes = [batch(0, &["a", "b", "c"]), batch(3, &["d"])].concat();
    let r = response(&bytes, ErrorCode::NONE);
    assert!(f.answered(mark, &r).0);
    assert_eq!(f.topics["t"][&0].fetch_from, 4, "the next Fetch can go out at once");
    assert_eq!(f.position("t", 0), Some(1), "and nothing has been handed out");
    assert_eq!(read(&mut f, mark, &r, 2), ["b", "c"]);
    assert_eq!(f.position("t", 0), Some(3), "a reader that stops has read what it got");
    let commit = CommitOffset { offset: 3, leader_epoch: 4 };
    assert_eq!(f.uncommitted(None)["t"][&0], commit);
    f.committed("t", 0, 3);
    assert!(f.uncommitted(None).is_empty());
    assert_eq!(read(&mut f, mark, &r, 9), ["d"]);
    assert!(read(&mut f, mark, &r, 9).is_empty());
}

#[test]
fn what_was_fetched_before_a_change_is_dropped() {
    let bytes = batch(0, &["a"]);
    let r = response(&bytes, ErrorCode::NONE);
    let (mut f, mark) = fetcher(0);
    f.seek("t", 0, 0, -1, false);
    assert!(!f.answered(mark, &r).0);
    assert!(read(&mut f, mark, &r, 9).is_empty(), "after a seek");
    let (mut f, mark) = fetcher(0);
    f.assign(&Partitions::new());
    assert!(read(&mut f, mark, &r, 9).is_empty(), "after the partition was revoked");
    f.assign(&Partitions::from([("t".to_owned(), vec![0])]));
    assert_eq!(f.position("t", 0), None, "it comes back without a position");
    let (mut f, mark) = fetcher(0);
    f.assign(&Partitions::from([("t".to_owned(), vec![0, 1])]));
    assert_eq!(read(&mut f, mark, &r, 9), ["a"], "what stays goes on");
}

#[test]
fn errors_lead_to_what_helps() {
    let (mut f, mark) = fetcher(5);
    let (_, trouble) = f.answered(mark, &response(&[], ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert!(trouble.stale_metadata && trouble.fatal.is_none());
    let (_, trouble) = f.answered(mark, &response(&[], ErrorCode::OFFSET_OUT_OF_RANGE));
    assert!(!trouble.stale_metadata && trouble.fatal.is_none());
    assert_eq!(f.without_position(true).len(), 1, "a reset is due");
    let (mut f, mark) = fetcher(5);
    let (_, trouble) = f.answered(mark, &response(&[], ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    assert!(trouble.fatal.is_some());
    let mut damaged = batch(5, &["a"]);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let result = f.hand_out(
        mark,
        &response(&damaged, ErrorCode::NONE),
        &ConsumerSettings::default(),
        &mut |_| panic!("damaged records are not handed out"),
    );
    assert!(matches!(result, Err(ClientError::Damaged { offset: 5, .. })), "{result:?}");
}

#[test]
fn aborted_transactions_are_hidden_from_readers_of_committed_ones() {
    let of = |base: i64, producer: i64, value: &str| {
        let mut b =
            BatchBuilder::new(Compression::None).appended_at(base, 0).producer(producer, 0, 0);
        b = b.transactional();
        b.push(0, None, Some(value.as_bytes()), &[]);
        b.build()
    };
    let bytes = [of(0, 7, "aborted"), of(1, 8, "kept"), of(2, 7, "aborted too")].concat();
    let mut r = response(&bytes, ErrorCode::NONE);
    r.responses[0].partitions[0].aborted_transactions =
        Some(vec![AbortedTransaction { producer_id: 7, first_offset: 0 }]);
    let settings = ConsumerSettings { read_committed: true, ..ConsumerSettings::default() };
    let (mut f, mark) = fetcher(0);
    let mut seen = Vec::new();
    let flow = f.hand_out(mark, &r, &settings, &mut |m| {
        seen.push(m.record.offset);
        ControlFlow::Continue(())
    });
    assert!(flow.is_ok());
    assert_eq!(seen, [1]);
    assert_eq!(f.position("t", 0), Some(3));
}
