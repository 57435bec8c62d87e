//! SIGKILL, restarts, and a different number of shards between them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::raw::{self, Client, error};
use conformance::{Broker, DataDir, free_port, now_ms, wait_for};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_mins(1);
const PARTITIONS: i32 = 4;

/// Per partition: the acknowledged numbers with their offsets, in the order of the reports.
type Acknowledged = Arc<Mutex<BTreeMap<i32, Vec<(i64, i64)>>>>;

struct Reports {
    acknowledged: Acknowledged,
    failed: Arc<Mutex<Vec<String>>>,
}

impl rdkafka::ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<i64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<i64>) {
        match result {
            Ok(m) => {
                let mut all = self.acknowledged.lock().expect("reports");
                all.entry(m.partition()).or_default().push((*number, m.offset()));
            }
            Err((e, _)) => self.failed.lock().expect("reports").push(e.to_string()),
        }
    }
}

/// Every number of a partition, in the order of its offsets, up to the high watermark.
fn read_all(bootstrap: &str, topic: &str, partition: i32) -> Vec<(i64, i64)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "assigned-by-hand")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true")
        .create()
        .expect("a consumer");
    let (start, end) = consumer.fetch_watermarks(topic, partition, PATIENCE).expect("watermarks");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(start)).expect("an offset");
    consumer.assign(&assignment).expect("an assignment");
    let mut out = Vec::new();
    while out.len() < (end - start) as usize {
        let message = match consumer.poll(PATIENCE).expect("a message") {
            Ok(message) => message,
            // Told for information: the library connects again by itself.
            Err(e) if e.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) => continue,
            Err(e) => panic!("partition {partition} after {} messages: {e}", out.len()),
        };
        let text = std::str::from_utf8(message.payload().expect("a value")).expect("UTF-8");
        let number = text.split(' ').next().expect("a number").parse().expect("a number");
        out.push((number, message.offset()));
    }
    out
}

/// The delivery reports of an idempotent producer, which retries for as long as it takes, against
/// what is there after the last restart.
#[test]
fn twenty_kills_under_an_idempotent_producer() {
    const KILLS: usize = 20;
    let dir = DataDir::new("kill");
    let port = free_port();
    let mut broker = Broker::start_at(&dir, port, &[]);
    let bootstrap = broker.bootstrap();
    let created =
        Client::connect(broker.addr()).and_then(|mut c| c.create_topic("kill", PARTITIONS, &[]));
    assert_eq!(created.expect("an answer"), error::NONE);

    let acknowledged = Acknowledged::default();
    let failed = Arc::new(Mutex::new(Vec::new()));
    let context = Reports { acknowledged: Arc::clone(&acknowledged), failed: Arc::clone(&failed) };
    let producer: BaseProducer<Reports> = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "2")
        .set("batch.num.messages", "50")
        .set("queue.buffering.max.messages", "2000")
        .set("message.timeout.ms", "600000")
        .set("reconnect.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "100")
        .set("retry.backoff.ms", "20")
        .create_with_context(context)
        .expect("a producer");
    let count = || acknowledged.lock().expect("reports").values().map(Vec::len).sum::<usize>();
    let mut next = 0_i64;
    let mut send_until = |enough: usize| {
        let reached = wait_for(PATIENCE, || {
            for _ in 0..200 {
                let value = format!("{next} {}", "x".repeat((next % 400) as usize));
                let partition = (next % i64::from(PARTITIONS)) as i32;
                let record =
                    BaseRecord::<(), str, Box<i64>>::with_opaque_to("kill", Box::new(next));
                match producer.send(record.partition(partition).payload(&value)) {
                    Ok(()) => next += 1,
                    Err((KafkaError::MessageProduction(_), _)) => break,
                    Err((e, _)) => panic!("{e}"),
                }
            }
            producer.poll(Duration::from_millis(1));
            (count() >= enough).then_some(())
        });
        assert!(reached.is_some(), "{} of {enough} messages acknowledged", count());
    };
    for round in 0..KILLS {
        // A different moment each time: after so many more acknowledgements.
        send_until(count() + 300 + 377 * round % 1000);
        broker.kill();
        broker = Broker::start_at(&dir, port, &[]);
    }
    send_until(count() + 1000);
    producer.flush(PATIENCE).expect("everything delivered");
    assert_eq!(
        *failed.lock().expect("reports"),
        Vec::<String>::new(),
        "an idempotent producer gave up"
    );
    broker.kill();
    let broker = Broker::start_at(&dir, port, &[]);

    let acknowledged = acknowledged.lock().expect("reports");
    assert_eq!(acknowledged.values().map(Vec::len).sum::<usize>(), next as usize);
    for (partition, mut told) in acknowledged.clone() {
        told.sort_by_key(|(number, _)| *number);
        let found = read_all(&broker.bootstrap(), "kill", partition);
        assert_eq!(found.len(), told.len(), "partition {partition}: lost or doubled records");
        assert_eq!(found, told, "partition {partition}: other records, order or offsets than told");
    }
}

/// Produces numbered values to each partition and gives them as they must be found.
fn fill(broker: &Broker, topic: &str, partitions: i32, rounds: usize) {
    let mut client = Client::connect(broker.addr()).expect("a connection");
    for round in 0..rounds {
        for partition in 0..partitions {
            let value = format!("{round} of {partition} {}", "y".repeat(round * 37 % 5_000));
            let batch = raw::batch(&[value.as_bytes(), b"and one more"], now_ms(), crc32c::crc32c);
            let (code, base) = client.produce(topic, partition, &batch).expect("an answer");
            assert_eq!((code, base % 2), (error::NONE, 0));
        }
    }
}

/// Every byte of records in a partition, and its end offset.
fn contents(broker: &Broker, topic: &str, partition: i32) -> (i64, Vec<u8>) {
    let mut client = Client::connect(broker.addr()).expect("a connection");
    let (code, start) = client.list_offset(topic, partition, -2).expect("an answer");
    assert_eq!(code, error::NONE);
    let (code, end) = client.list_offset(topic, partition, -1).expect("an answer");
    assert_eq!(code, error::NONE);
    let (mut at, mut all) = (start, Vec::new());
    while at < end {
        let (code, _, bytes) = client.fetch(topic, partition, at).expect("an answer");
        assert_eq!(code, error::NONE);
        let mut rest = &bytes[..];
        while rest.len() >= 61 {
            let length =
                12 + u32::from_be_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
            if rest.len() < length {
                break;
            }
            let base = i64::from_be_bytes(rest[..8].try_into().expect("eight bytes"));
            let last = i32::from_be_bytes(rest[23..27].try_into().expect("four bytes"));
            all.extend(&rest[..length]);
            at = base + i64::from(last) + 1;
            rest = &rest[length..];
        }
    }
    (start, all)
}

#[test]
fn everything_is_there_after_restarts_with_other_shards() {
    let dir = DataDir::new("restart");
    let mut want: BTreeMap<(String, i32), (i64, Vec<u8>)> = BTreeMap::new();
    let shards = ["1", "3", "2", "4", "1", "2"];
    for (n, count) in shards.into_iter().enumerate() {
        let broker = Broker::start(&dir, &["--shards", count]);
        for ((topic, partition), contents_then) in &want {
            assert_eq!(&contents(&broker, topic, *partition), contents_then, "{topic}-{partition}");
        }
        let topic = format!("life-{n}");
        let mut client = Client::connect(broker.addr()).expect("a connection");
        let configs = [("retention.ms", "86400000"), ("segment.bytes", "1048576")];
        assert_eq!(client.create_topic(&topic, 5, &configs).expect("an answer"), error::NONE);
        for topic in (0..=n).map(|n| format!("life-{n}")) {
            fill(&broker, &topic, 5, 30);
            for partition in 0..5 {
                want.insert((topic.clone(), partition), contents(&broker, &topic, partition));
            }
        }
        if n >= 3 {
            let gone = format!("life-{}", n - 3);
            assert_eq!(client.delete_topic(&gone).expect("an answer"), error::NONE);
            want.retain(|(topic, _), _| *topic != gone);
            let (code, _) = client.list_offset(&gone, 0, -1).expect("an answer");
            assert_eq!(code, error::UNKNOWN_TOPIC_OR_PARTITION);
            // A topic of the same name begins anew.
            assert_eq!(client.create_topic(&gone, 5, &[]).expect("an answer"), error::NONE);
            fill(&broker, &gone, 5, 1);
            for partition in 0..5 {
                want.insert((gone.clone(), partition), contents(&broker, &gone, partition));
            }
        }
        if n % 2 == 0 { broker.kill() } else { broker.stop() }
    }
}

#[test]
fn a_directory_in_use_is_refused() {
    let dir = DataDir::new("lock");
    let broker = Broker::start(&dir, &[]);
    let mut second = Broker::spawn(broker.data(), dir.path(), free_port(), &[]);
    let status = wait_for(PATIENCE, || second.exited()).expect("the second broker ends");
    assert!(!status.success());
    let log = second.log();
    let line = log.lines().last().unwrap_or_default();
    assert!(line.contains("in use"), "{log}");
    let mut client = Client::connect(broker.addr()).expect("a connection");
    assert_eq!(client.create_topic("still-serves", 1, &[]).expect("an answer"), error::NONE);
}
