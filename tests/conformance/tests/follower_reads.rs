//! Three brokers in three racks: consumers read from the replica in their rack (KIP-392), with librdkafka.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::{Broker, DataDir, free_port, wait_for};
use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientContext, Statistics};

const PATIENCE: Duration = Duration::from_mins(1);
const TOPIC: &str = "near";
const LEADER: i32 = 1;

/// Notes from which broker the partition is read, by node id.
#[derive(Clone, Default)]
struct ReadFrom(Arc<Mutex<BTreeSet<i32>>>);

impl ClientContext for ReadFrom {
    fn stats(&self, statistics: Statistics) {
        let topic = statistics.topics.get(TOPIC);
        if let Some(partition) = topic.and_then(|it| it.partitions.get(&0)) {
            self.0.lock().expect("notes").insert(partition.broker);
        }
    }
}

impl ConsumerContext for ReadFrom {}

impl ReadFrom {
    fn has(&self, node: i32) -> bool {
        self.0.lock().expect("notes").contains(&node)
    }
}

fn start(dir: &DataDir) -> Vec<Option<Broker>> {
    let ports: Vec<(u16, u16)> = (0..3).map(|_| (free_port(), free_port())).collect();
    let voters = (1..).zip(&ports).map(|(id, it)| format!("{id}@127.0.0.1:{}", it.1));
    let voters = voters.collect::<Vec<_>>().join(",");
    let one = |(id, (port, _)): (i32, &(u16, u16))| {
        let (id, rack) = (id.to_string(), format!("r{id}"));
        let selector =
            "replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector";
        let args = ["--node-id", &id, "--voters", &voters, "--rack", &rack, "--shards", "2"];
        let args = [&args[..], &["--override", selector]].concat();
        let (data, logs) = (dir.join(format!("data-{id}")), dir.join(format!("logs-{id}")));
        std::fs::create_dir_all(&logs).expect("a directory for logs");
        Broker::spawn(&data, &logs, *port, &args)
    };
    let all: Vec<Broker> = (1..).zip(&ports).map(one).collect();
    all.into_iter().map(|it| Some(it.ready())).collect()
}

fn config(brokers: &[Option<Broker>]) -> ClientConfig {
    let all: Vec<String> = brokers.iter().flatten().map(Broker::bootstrap).collect();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", all.join(","));
    config
}

fn produce(brokers: &[Option<Broker>], from: i64, count: i64) {
    let mut config = config(brokers);
    let producer: BaseProducer =
        config.set("enable.idempotence", "true").create().expect("a producer");
    for number in from..from + count {
        let payload = number.to_string();
        let record = BaseRecord::<(), _>::to(TOPIC).partition(0).payload(&payload);
        producer.send(record).expect("room in the queue");
    }
    producer.flush(PATIENCE).expect("all acknowledged");
}

/// Reads the numbers from `from` up to `to`, each once and in order.
fn read(consumer: &BaseConsumer<ReadFrom>, from: i64, to: i64) {
    let mut next = from;
    let read = wait_for(PATIENCE, || {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let payload = std::str::from_utf8(message.payload().expect("a value"));
                assert_eq!(payload.expect("text"), next.to_string());
                next += 1;
            }
            Some(Err(e)) => println!("at {next}: {e}"),
            None => {}
        }
        (next == to).then_some(())
    });
    assert!(read.is_some(), "no more came behind {next}");
}

#[test]
fn a_consumer_reads_from_its_rack_and_goes_on_when_that_is_gone() {
    let dir = DataDir::new("follower-reads");
    let mut brokers = start(&dir);
    // A client that has seen a cluster without a controller does not look for one for long: each attempt is a new one.
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(5)));
    let created = wait_for(PATIENCE, || {
        let replicas: &[&[i32]] = &[&[LEADER, 2, 3]];
        let topic = NewTopic::new(TOPIC, 1, TopicReplication::Variable(replicas));
        let admin: AdminClient<DefaultClientContext> = config(&brokers).create().expect("an admin");
        let results = block_on(admin.create_topics([&topic], &options)).ok()?;
        results[0].is_ok().then_some(())
    });
    assert!(created.is_some(), "no cluster of three");
    produce(&brokers, 0, 500);

    let read_from = ReadFrom::default();
    let mut near = config(&brokers);
    near.set("group.id", "by-hand").set("client.rack", "r3").set("enable.auto.commit", "false");
    near.set("statistics.interval.ms", "50").set("check.crcs", "true");
    let consumer: BaseConsumer<ReadFrom> =
        near.create_with_context(read_from.clone()).expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(TOPIC, 0, Offset::Offset(0)).expect("an offset");
    consumer.assign(&assignment).expect("an assignment");
    read(&consumer, 0, 500);
    let there = wait_for(PATIENCE, || {
        assert!(consumer.poll(Duration::from_millis(50)).is_none_or(|it| it.is_err()));
        read_from.has(3).then_some(())
    });
    assert!(there.is_some(), "it reads from {:?}", read_from.0);
    // What is new comes from there, too.
    produce(&brokers, 500, 500);
    read(&consumer, 500, 1_000);

    read_from.0.lock().expect("notes").clear();
    brokers[2].take().expect("it runs").kill();
    produce(&brokers, 1_000, 500);
    read(&consumer, 1_000, 1_500);
    let at_the_leader = wait_for(PATIENCE, || {
        assert!(consumer.poll(Duration::from_millis(50)).is_none_or(|it| it.is_err()));
        read_from.has(LEADER).then_some(())
    });
    assert!(at_the_leader.is_some(), "it reads from {:?}", read_from.0);
}
