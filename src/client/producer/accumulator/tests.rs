use super::*;

fn accumulator(settings: ProducerSettings) -> Accumulator {
    let mut a = Accumulator::new(settings);
    a.topic("t", 2);
    a.set_producer(9, 1);
    a
}

fn put(a: &mut Accumulator, now: i64, partition: i32, value: &[u8], tag: u64) {
    let record = NewRecord { timestamp: now, key: None, value: Some(value), headers: &[], tag };
    a.append(now, 0, partition, &record).expect("fits");
}

fn sequence(batch: &Batch) -> i32 {
    BatchHeader::parse(batch.bytes()).expect("a batch").base_sequence
}

fn refused(code: ErrorCode) -> ClientError {
    ClientError::Refused { what: String::new(), code, message: None }
}

fn all(_: &str, _: i32) -> bool {
    true
}

#[test]
fn batches_leave_when_full_or_old() {
    let mut a =
        accumulator(ProducerSettings { batch_bytes: 300, linger_ms: 10, ..Default::default() });
    put(&mut a, 0, 0, &[0; 100], 1);
    assert!(a.drain(9, all).is_empty());
    assert_eq!(a.next_ready_ms(), 10);
    put(&mut a, 9, 0, &[0; 100], 1);
    put(&mut a, 9, 0, &[0; 100], 2);
    assert_eq!(a.closed(), 1, "two fill a batch");
    let first = a.drain(9, all);
    assert_eq!(first.len(), 1, "the second batch waits for more");
    assert_eq!(sequence(&first[0]), 0);
    let second = a.drain(19, all);
    assert_eq!(sequence(&second[0]), 2, "numbers count records");
    let batches = first.into_iter().chain(second);
    let done: Vec<_> = batches.filter_map(|b| a.completed(20, b, Ok(5))).collect();
    assert_eq!((done[0].records, &done[0].tags[..]), (2, &[(1, 2)][..]));
    assert_eq!(done[1].tags, [(2, 1)]);
    assert!(a.is_empty() && a.buffered() == 0);
    put(&mut a, 30, 0, b"x", 0);
    assert!(a.drain(30, all).is_empty());
    a.set_flushing(true);
    assert_eq!(a.drain(30, all).len(), 1, "a flush does not wait");
}

#[test]
fn only_what_the_leader_leads_and_a_request_holds() {
    let settings = ProducerSettings {
        batch_bytes: 100,
        request_bytes: 400,
        linger_ms: 0,
        ..Default::default()
    };
    let mut a = accumulator(settings);
    put(&mut a, 0, 0, &[0; 200], 0);
    put(&mut a, 0, 1, &[0; 200], 0);
    assert!(a.drain(0, |_, _| false).is_empty());
    assert_eq!(a.drain(0, |topic, p| topic == "t" && p == 1).len(), 1);
    put(&mut a, 0, 1, &[0; 200], 0);
    assert_eq!(a.drain(0, all).len(), 1, "two would be too large");
    let large = NewRecord { timestamp: 0, key: None, value: Some(&[0; 400]), headers: &[], tag: 0 };
    assert!(matches!(a.append(0, 0, 0, &large), Err(ClientError::RecordTooLarge { .. })));
}

#[test]
fn failed_batches_are_sent_again_first_and_alone() {
    let mut a =
        accumulator(ProducerSettings { batch_bytes: 1, linger_ms: 0, ..Default::default() });
    for tag in 0..4 {
        put(&mut a, 0, 0, b"x", tag);
    }
    let mut sent: Vec<Batch> = (0..3).flat_map(|_| a.drain(0, all)).collect();
    assert_eq!(sent.iter().map(sequence).collect::<Vec<_>>(), [0, 1, 2]);
    // The first was lost; the broker refuses the others, since a number is missing.
    let bytes: Vec<Vec<u8>> = sent.iter().map(|b| b.bytes().to_vec()).collect();
    let third = sent.pop().expect("three");
    let second = sent.pop().expect("three");
    let first = sent.pop().expect("three");
    let out_of_order = || Err(refused(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!(a.completed(0, second, out_of_order()), None);
    assert_eq!(a.completed(0, third, out_of_order()), None);
    assert_eq!(a.completed(0, first, Err(refused(ErrorCode::NOT_LEADER_OR_FOLLOWER))), None);
    assert!(a.drain(99, all).is_empty(), "not before retry.backoff.ms");
    for (i, want) in bytes.iter().enumerate() {
        let again = a.drain(100, all);
        assert_eq!(again.len(), 1, "batch {i}");
        assert_eq!(again[0].bytes(), want, "byte for byte, so that the broker knows it");
        if i == 0 {
            assert!(a.drain(100, all).is_empty(), "alone until one is confirmed");
        }
        for batch in again {
            let delivery = a.completed(100, batch, Ok(0)).expect("delivered");
            assert_eq!(delivery.tags, [(i as u64, 1)]);
        }
    }
    let last = a.drain(100, all);
    assert_eq!(sequence(&last[0]), 3);
}

#[test]
fn answers_that_end_a_batch() {
    let one = |code: ErrorCode, retries: u32, now: i64| {
        let settings = ProducerSettings {
            linger_ms: 0,
            retries,
            delivery_timeout_ms: 50,
            ..Default::default()
        };
        let mut a = accumulator(settings);
        put(&mut a, 0, 0, b"x", 0);
        let batch = a.drain(0, all).pop().expect("one");
        a.completed(now, batch, Err(refused(code))).map(|d| d.result)
    };
    assert_eq!(one(ErrorCode::DUPLICATE_SEQUENCE_NUMBER, 9, 1), Some(Ok(-1)), "it had arrived");
    let large = one(ErrorCode::MESSAGE_TOO_LARGE, 9, 1).expect("not sent again");
    assert!(large.is_err());
    let first = one(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, 9, 1).expect("nothing was before it");
    assert!(first.is_err());
    assert_eq!(one(ErrorCode::NOT_ENOUGH_REPLICAS, 9, 1), None);
    assert!(one(ErrorCode::NOT_ENOUGH_REPLICAS, 0, 1).is_some(), "no retries left");
    assert!(one(ErrorCode::NOT_ENOUGH_REPLICAS, 9, 50).is_some(), "no time left");
}

#[test]
fn what_waits_too_long_expires() {
    let mut a = accumulator(ProducerSettings { delivery_timeout_ms: 50, ..Default::default() });
    put(&mut a, 0, 0, b"x", 3);
    assert!(a.expire(49).is_empty());
    let expired = a.expire(50);
    assert!(matches!(expired[0].result, Err(ClientError::Expired { count: 1, ms: 50, .. })));
    assert!(a.is_empty() && a.buffered() == 0);
}
