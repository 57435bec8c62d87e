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
fn what_goes_to_another_leader_does_not_wait() {
    let mut a =
        accumulator(ProducerSettings { batch_bytes: 1, linger_ms: 0, ..Default::default() });
    put(&mut a, 0, 0, b"x", 0);
    let sent = a.drain(0, all).pop().expect("it is ready");
    assert!(a.completed(5, sent, Err(refused(ErrorCode::NOT_LEADER_OR_FOLLOWER))).is_none());
    assert_eq!(a.next_ready_ms(), 105);
    a.hurry("t", 1, 5);
    a.hurry("other", 0, 5);
    assert!(a.drain(5, all).is_empty());
    a.hurry("t", 0, 7);
    assert!(a.drain(6, all).is_empty());
    assert_eq!(a.drain(7, all).iter().map(sequence).collect::<Vec<_>>(), [0]);
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
    assert_eq!(one(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, 9, 1), None, "under another epoch");
    assert!(one(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, 9, 50).is_some(), "no time left");
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

fn epoch(batch: &Batch) -> i16 {
    BatchHeader::parse(batch.bytes()).expect("a batch").producer_epoch
}

fn small() -> ProducerSettings {
    ProducerSettings {
        batch_bytes: 1,
        linger_ms: 0,
        retry_backoff_ms: 1,
        delivery_timeout_ms: 50,
        ..Default::default()
    }
}

#[test]
fn what_follows_a_batch_that_was_given_up_has_another_epoch_and_numbers_from_0() {
    let mut a = accumulator(small());
    put(&mut a, 0, 0, b"a", 0);
    put(&mut a, 0, 0, b"b", 1);
    put(&mut a, 0, 1, b"other", 2);
    let mut sent = a.drain(0, all);
    sent.extend(a.drain(0, all));
    assert!(sent.len() == 3 && sent.iter().all(|b| epoch(b) == 1));
    put(&mut a, 1, 0, b"c", 3);
    let at = |sent: &mut Vec<Batch>, p: i32| {
        let at = sent.iter().position(|b| b.partition == p).expect("it was sent");
        sent.remove(at)
    };
    let first = at(&mut sent, 0);
    let second = at(&mut sent, 0);
    let refusal = Err(refused(ErrorCode::MESSAGE_TOO_LARGE));
    assert!(a.completed(1, first, refusal.clone()).is_some_and(|d| d.result.is_err()));
    assert!(a.drain(2, |_, p| p == 0).is_empty(), "until all that was sent is answered");
    let out_of_order = Err(refused(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!(a.completed(2, second, out_of_order), None);
    let second = a.drain(3, |_, p| p == 0).pop().expect("sent again");
    assert_eq!((sequence(&second), epoch(&second)), (0, 2));
    assert!(a.completed(3, second, Ok(0)).is_some_and(|d| d.tags == [(1, 1)]));
    let third = a.drain(3, |_, p| p == 0).pop().expect("it follows");
    assert_eq!((sequence(&third), epoch(&third)), (1, 2));
    assert!(a.completed(3, third, Ok(1)).is_some_and(|d| d.result.is_ok()));
    // The other partition takes the new epoch when nothing of the old one is under way.
    put(&mut a, 3, 1, b"d", 4);
    assert!(a.drain(3, |_, p| p == 1).is_empty());
    let other = at(&mut sent, 1);
    assert!(a.completed(3, other, Ok(0)).is_some_and(|d| d.result.is_ok()));
    let other = a.drain(3, |_, p| p == 1).pop().expect("ready");
    assert_eq!((sequence(&other), epoch(&other)), (0, 2));
}

#[test]
fn what_was_sent_keeps_its_number_although_one_before_it_has_expired() {
    let mut a = accumulator(small());
    put(&mut a, 0, 0, b"a", 0);
    let first = a.drain(0, all).pop().expect("ready");
    put(&mut a, 40, 0, b"b", 1);
    let second = a.drain(40, all).pop().expect("ready");
    let lost = || Err(ClientError::Broken { address: String::new(), why: String::new() });
    assert_eq!(a.completed(41, first, lost()), None);
    assert_eq!(a.completed(41, second, lost()), None);
    assert_eq!(a.expire(50).len(), 1, "it may have arrived");
    put(&mut a, 50, 0, b"c", 2);
    let second = a.drain(50, all).pop().expect("sent again");
    assert_eq!((sequence(&second), epoch(&second)), (1, 1), "so this may have, too");
    assert!(a.completed(51, second, Ok(1)).is_some_and(|d| d.result.is_ok()));
    let third = a.drain(52, all).pop().expect("ready");
    assert_eq!((sequence(&third), epoch(&third)), (0, 2));
}

#[test]
fn epochs_that_are_used_up_need_another_id() {
    let mut a = Accumulator::new(small());
    a.topic("t", 1);
    a.set_producer(9, i16::MAX);
    put(&mut a, 0, 0, b"a", 0);
    let first = a.drain(0, all).pop().expect("ready");
    assert!(a.completed(0, first, Err(refused(ErrorCode::MESSAGE_TOO_LARGE))).is_some());
    put(&mut a, 0, 0, b"b", 1);
    assert!(a.drain(0, all).is_empty() && !a.has_producer());
    a.set_producer(10, 0);
    let second = a.drain(0, all).pop().expect("ready");
    assert_eq!((sequence(&second), epoch(&second)), (0, 0));
}
