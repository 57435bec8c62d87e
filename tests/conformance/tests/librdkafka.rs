//! librdkafka through the `rdkafka` crate: what a C, C++, Go, Python or Rust service does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::{Broker, DataDir};
use futures_executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders, OwnedMessage, Timestamp};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_mins(1);
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

type Delivered = Arc<Mutex<Vec<Result<(i32, i64), RDKafkaErrorCode>>>>;

/// Collects what becomes of each message, in the order of the reports.
struct Reports(Delivered);

impl rdkafka::ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let outcome = match result {
            Ok(m) => Ok((m.partition(), m.offset())),
            Err((e, _)) => Err(e.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
        };
        self.0.lock().expect("reports").push(outcome);
    }
}

fn config(broker: &Broker, extra: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap()).set("group.id", "assigned-by-hand");
    for (key, value) in extra {
        config.set(*key, *value);
    }
    config
}

fn producer(broker: &Broker, extra: &[(&str, &str)]) -> (BaseProducer<Reports>, Delivered) {
    let reports = Delivered::default();
    let context = Reports(Arc::clone(&reports));
    (config(broker, extra).create_with_context(context).expect("a producer"), reports)
}

fn consumer(broker: &Broker, extra: &[(&str, &str)]) -> BaseConsumer {
    config(broker, extra).set("enable.auto.commit", "false").create().expect("a consumer")
}

fn admin(broker: &Broker) -> AdminClient<DefaultClientContext> {
    config(broker, &[]).create().expect("an admin client")
}

fn create(broker: &Broker, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (key, value) in configs {
        topic = topic.set(key, value);
    }
    let results = block_on(admin(broker).create_topics([&topic], &AdminOptions::new()));
    assert_eq!(results.expect("an answer"), [Ok(name.to_owned())]);
}

/// The first `count` messages of a partition from `from` on.
fn read(
    broker: &Broker,
    topic: &str,
    partition: i32,
    from: i64,
    count: usize,
) -> Vec<OwnedMessage> {
    let consumer = consumer(broker, &[("check.crcs", "true")]);
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(from)).expect("an offset");
    consumer.assign(&assignment).expect("an assignment");
    let mut out = Vec::new();
    while out.len() < count {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => out.push(message.detach()),
            Some(Err(e)) => panic!("after {} messages: {e}", out.len()),
            None => panic!("{} of {count} messages", out.len()),
        }
    }
    out
}

fn watermarks(broker: &Broker, topic: &str, partition: i32) -> (i64, i64) {
    consumer(broker, &[]).fetch_watermarks(topic, partition, PATIENCE).expect("watermarks")
}

#[test]
fn every_compression_both_ways() {
    let dir = DataDir::new("compression");
    let broker = Broker::start(&dir, &[]);
    for codec in CODECS {
        let topic = format!("codec-{codec}");
        create(&broker, &topic, 1, &[]);
        let (producer, reports) =
            producer(&broker, &[("compression.type", codec), ("linger.ms", "20"), ("acks", "all")]);
        let values: Vec<String> =
            (0..2_000).map(|i| format!("{codec} {i} {}", "x".repeat(i % 300))).collect();
        for (i, value) in values.iter().enumerate() {
            let key = format!("key {i}");
            let headers = OwnedHeaders::new()
                .insert(Header { key: "number", value: Some(&i.to_string()) })
                .insert(Header { key: "empty", value: None::<&str> });
            let record = BaseRecord::to(&topic).key(&key).payload(value).headers(headers);
            producer
                .send(record.timestamp(1_700_000_000_000 + i as i64))
                .expect("room in the queue");
        }
        producer.flush(PATIENCE).expect("everything delivered");
        let reports = reports.lock().expect("reports");
        assert!(reports.iter().all(Result::is_ok), "{codec}: {reports:?}");
        let messages = read(&broker, &topic, 0, 0, values.len());
        for (i, (message, value)) in messages.iter().zip(&values).enumerate() {
            assert_eq!(message.offset(), i as i64);
            assert_eq!(message.payload(), Some(value.as_bytes()));
            assert_eq!(message.key(), Some(format!("key {i}").as_bytes()));
            assert_eq!(message.timestamp(), Timestamp::CreateTime(1_700_000_000_000 + i as i64));
            let headers = message.headers().expect("headers");
            assert_eq!(headers.count(), 2);
            assert_eq!(headers.get(0).value, Some(i.to_string().as_bytes()));
            assert_eq!((headers.get(1).key, headers.get(1).value), ("empty", None));
        }
    }
}

#[test]
fn this_librdkafka_has_every_codec() {
    let features = ClientConfig::new().create_native_config().expect("a config");
    let features = features.get("builtin.features").expect("the list of features");
    for codec in &CODECS[1..] {
        assert!(features.contains(codec), "{codec} is not in {features}");
    }
}

#[test]
fn every_acks_and_an_idempotent_producer() {
    let dir = DataDir::new("acks");
    let broker = Broker::start(&dir, &[]);
    let idempotent: &[(&str, &str)] = &[("enable.idempotence", "true")];
    let modes: [&[(&str, &str)]; 4] =
        [&[("acks", "0")], &[("acks", "1")], &[("acks", "all")], idempotent];
    for (n, mode) in modes.into_iter().enumerate() {
        let topic = format!("acks-{n}");
        create(&broker, &topic, 3, &[]);
        let (producer, reports) = producer(&broker, mode);
        for i in 0..900 {
            let value = i.to_string();
            let record = BaseRecord::<(), str>::to(&topic).partition(i % 3).payload(&value);
            producer.send(record).expect("room in the queue");
        }
        producer.flush(PATIENCE).expect("everything delivered");
        assert!(reports.lock().expect("reports").iter().all(Result::is_ok));
        for partition in 0..3 {
            let messages = read(&broker, &topic, partition, 0, 300);
            for (i, message) in messages.iter().enumerate() {
                let value = (i as i32 * 3 + partition).to_string();
                assert_eq!(message.payload(), Some(value.as_bytes()), "{mode:?}");
            }
            assert_eq!(watermarks(&broker, &topic, partition), (0, 300));
        }
    }
}

#[test]
fn offsets_by_time_and_from_the_end() {
    let dir = DataDir::new("times");
    let broker = Broker::start(&dir, &[]);
    create(&broker, "times", 1, &[]);
    let (producer, _) = producer(&broker, &[("linger.ms", "50"), ("compression.type", "lz4")]);
    for i in 0..100_i64 {
        let value = i.to_string();
        let record =
            BaseRecord::<(), str>::to("times").payload(&value).timestamp(1_000_000 + i * 10);
        producer.send(record).expect("room in the queue");
    }
    producer.flush(PATIENCE).expect("everything delivered");
    let consumer = consumer(&broker, &[]);
    for (at, want) in
        [(0, Offset::Offset(0)), (1_000_455, Offset::Offset(46)), (1_000_990, Offset::Offset(99))]
    {
        let mut times = TopicPartitionList::new();
        times.add_partition_offset("times", 0, Offset::Offset(at)).expect("a time");
        let found = consumer.offsets_for_times(times, PATIENCE).expect("offsets");
        assert_eq!(found.elements()[0].offset(), want, "at {at}");
    }
    let mut times = TopicPartitionList::new();
    times.add_partition_offset("times", 0, Offset::Offset(1_000_991)).expect("a time");
    let found = consumer.offsets_for_times(times, PATIENCE).expect("offsets");
    assert_eq!(found.elements()[0].offset(), Offset::End, "later than every record");

    let mut tail = TopicPartitionList::new();
    tail.add_partition_offset("times", 0, Offset::OffsetTail(3)).expect("an offset");
    consumer.assign(&tail).expect("an assignment");
    let message = consumer.poll(PATIENCE).expect("a message").expect("no error");
    assert_eq!(message.offset(), 97);
}

#[test]
fn admin_requests() {
    let dir = DataDir::new("admin");
    let broker = Broker::start(&dir, &[]);
    let options = AdminOptions::new();
    create(&broker, "admin", 2, &[("retention.ms", "3600000")]);

    let topic = NewTopic::new("admin", 1, TopicReplication::Fixed(1));
    let again = block_on(admin(&broker).create_topics([&topic], &options)).expect("an answer");
    assert_eq!(again, [Err(("admin".to_owned(), RDKafkaErrorCode::TopicAlreadyExists))]);

    let spec = ResourceSpecifier::Topic("admin");
    let described =
        block_on(admin(&broker).describe_configs([&spec], &options)).expect("an answer");
    let resource = described[0].as_ref().expect("the topic's configs");
    let entry = resource.get("retention.ms").expect("retention.ms");
    assert_eq!(entry.value.as_deref(), Some("3600000"));
    assert!(!entry.is_default);
    let entry = resource.get("cleanup.policy").expect("defaults are listed");
    assert_eq!((entry.value.as_deref(), entry.is_default), (Some("delete"), true));

    let alter =
        AlterConfig::new(ResourceSpecifier::Topic("admin")).set("max.message.bytes", "2000");
    let altered = block_on(admin(&broker).alter_configs([&alter], &options)).expect("an answer");
    assert!(altered[0].is_ok(), "{altered:?}");
    let wrong =
        AlterConfig::new(ResourceSpecifier::Topic("admin")).set("max.message.bytes", "many");
    // The crate does not pass on the error of one resource; clients.py and the differential look at it.
    let _ = block_on(admin(&broker).alter_configs([&wrong], &options)).expect("an answer");
    let described =
        block_on(admin(&broker).describe_configs([&spec], &options)).expect("an answer");
    let resource = described[0].as_ref().expect("the topic's configs");
    let entry = resource.get("max.message.bytes").expect("max.message.bytes");
    assert_eq!(entry.value.as_deref(), Some("2000"), "a value that is no number was taken");

    let (producer, reports) = producer(&broker, &[("message.max.bytes", "100000")]);
    let large = "x".repeat(5_000);
    producer.send(BaseRecord::<(), str>::to("admin").payload(&large)).expect("room in the queue");
    // Not in one batch with the next, which would share its fate.
    producer.flush(PATIENCE).expect("everything reported");
    producer.send(BaseRecord::<(), str>::to("admin").payload("small")).expect("room in the queue");
    producer.flush(PATIENCE).expect("everything reported");
    let outcomes = reports.lock().expect("reports").clone();
    assert_eq!(outcomes.iter().filter(|r| r.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.contains(&Err(RDKafkaErrorCode::MessageSizeTooLarge)), "{outcomes:?}");

    let more = NewPartitions::new("admin", 5);
    let grown = block_on(admin(&broker).create_partitions([&more], &options)).expect("an answer");
    assert_eq!(grown, [Ok("admin".to_owned())]);
    let consumer = consumer(&broker, &[]);
    let metadata = consumer.fetch_metadata(Some("admin"), PATIENCE).expect("metadata");
    assert_eq!(metadata.topics()[0].partitions().len(), 5);
    assert_eq!(watermarks(&broker, "admin", 4), (0, 0));

    let deleted = block_on(admin(&broker).delete_topics(&["admin"], &options)).expect("an answer");
    assert_eq!(deleted, [Ok("admin".to_owned())]);
    let deleted = block_on(admin(&broker).delete_topics(&["admin"], &options)).expect("an answer");
    assert!(deleted[0].is_err(), "the topic was deleted twice");
}

#[test]
fn deleted_records_are_gone() {
    let dir = DataDir::new("delete-records");
    let broker = Broker::start(&dir, &[]);
    create(&broker, "old", 1, &[]);
    let (producer, _) = producer(&broker, &[]);
    for i in 0..100 {
        let value = i.to_string();
        producer.send(BaseRecord::<(), str>::to("old").payload(&value)).expect("room in the queue");
    }
    producer.flush(PATIENCE).expect("everything delivered");
    let mut before = TopicPartitionList::new();
    before.add_partition_offset("old", 0, Offset::Offset(40)).expect("an offset");
    let done =
        block_on(admin(&broker).delete_records(&before, &AdminOptions::new())).expect("an answer");
    assert_eq!(done.elements()[0].offset(), Offset::Offset(40));
    assert_eq!(watermarks(&broker, "old", 0), (40, 100));
    assert_eq!(read(&broker, "old", 0, 40, 60)[0].payload(), Some(&b"40"[..]));

    let consumer = consumer(&broker, &[("auto.offset.reset", "error")]);
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset("old", 0, Offset::Offset(5)).expect("an offset");
    consumer.assign(&assignment).expect("an assignment");
    let error = consumer.poll(PATIENCE).expect("an event").expect_err("offset 5 is gone");
    assert!(
        matches!(
            error,
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange
            )
        ),
        "{error:?}"
    );
}

#[test]
fn a_topic_appears_when_it_is_written_to() {
    let dir = DataDir::new("auto-create");
    let broker = Broker::start(&dir, &[]);
    let (producer, reports) = producer(&broker, &[]);
    producer.send(BaseRecord::<(), str>::to("new").payload("first")).expect("room in the queue");
    producer.flush(PATIENCE).expect("everything delivered");
    assert_eq!(*reports.lock().expect("reports"), [Ok((0, 0))]);
    assert_eq!(read(&broker, "new", 0, 0, 1)[0].payload(), Some(&b"first"[..]));
}
