//! `kafka-transactions`, and settings of groups, against a real broker.

use super::tools::Tools;
use klamm::client::{Cluster, To, check_code};
use klamm::wire::kafka::find_coordinator_request::FindCoordinatorRequest;
use klamm::wire::kafka::init_producer_id_request::InitProducerIdRequest;
use klamm::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use klamm::wire::records::{BatchBuilder, Compression};
use support::broker_can_run;

fn start(name: &str) -> Tools {
    Tools::start(&format!("transactions-{name}"), &["transaction.state.log.num.partitions=2"])
}

impl Tools {
    /// The rows below the head of a table, cell by cell.
    fn rows(&self, line: &str) -> Vec<Vec<String>> {
        let out = self.quietly_done(line);
        let cells = |row: &str| row.split('\t').map(|cell| cell.trim().to_owned()).collect();
        out.lines().skip(1).map(cells).collect()
    }

    fn fails(&self, line: &str) -> String {
        let (code, _, err) = self.run(line);
        assert_eq!(code, 1, "{line}: {err}");
        err.lines().last().unwrap_or_default().to_owned()
    }

    /// Leaves a transaction open that has one record.
    fn begin_transaction(&self, id: &str, topic: &str) {
        let mut cluster = Cluster::connect(&self.broker.bootstrap()).expect("a broker");
        let find = FindCoordinatorRequest {
            key_type: 1,
            coordinator_keys: vec![id],
            ..FindCoordinatorRequest::default()
        };
        let found = cluster.call(To::Any, &find, |reply| {
            let response = reply.read::<FindCoordinatorRequest<'_>>()?;
            check_code(response.coordinators[0].error_code, || "a coordinator".to_owned(), None)
        });
        found.expect("a coordinator");
        let init = InitProducerIdRequest {
            transactional_id: Some(id),
            transaction_timeout_ms: 600_000,
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdRequest::default()
        };
        let producer = cluster.call(To::Any, &init, |reply| {
            let response = reply.read::<InitProducerIdRequest<'_>>()?;
            check_code(response.error_code, || "a producer".to_owned(), None)?;
            Ok((response.producer_id, response.producer_epoch))
        });
        let (producer, epoch) = producer.expect("a producer");
        let batch = BatchBuilder::new(Compression::None).producer(producer, epoch, 0);
        let mut batch = batch.transactional();
        batch.push(7, None, Some(b"one"), &[]);
        let batch = batch.build();
        let partition_data = vec![PartitionProduceData { index: 0, records: Some(&batch) }];
        let topic_data =
            vec![TopicProduceData { name: topic, partition_data, ..Default::default() }];
        let produce =
            ProduceRequest { transactional_id: Some(id), acks: -1, timeout_ms: 30_000, topic_data };
        let produced = cluster.call(To::Any, &produce, |reply| {
            let response = reply.read::<ProduceRequest<'_>>()?;
            let code = response.responses[0].partition_responses[0].error_code;
            check_code(code, || "a record".to_owned(), None)
        });
        produced.expect("a record");
    }
}

#[test]
fn open_transactions_are_shown_and_aborted() {
    if !broker_can_run() {
        return;
    }
    let b = start("abort");
    b.quietly_done("kafka-topics @ --create --topic t --partitions 1");
    assert_eq!(b.rows("kafka-transactions @ list"), Vec::<Vec<String>>::new());
    let unknown = b.fails("kafka-transactions @ describe --transactional-id nobody");
    assert_eq!(
        unknown,
        "Failed to describe transaction state of transactional-id `nobody`: DescribeTransactions \
         request for transactionalId `nobody` failed because the ID could not be found. Enable debug \
         logging for additional detail."
    );
    b.begin_transaction("mine", "t");

    let listed = b.rows("kafka-transactions.sh @ list");
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((listed[0][0].as_str(), listed[0][3].as_str()), ("mine", "Ongoing"));
    assert!(b.rows("kafka-transactions @ list --duration-filter 3600000").is_empty());
    assert!(b.rows("kafka-transactions @ list --transactional-id-pattern other").is_empty());
    assert_eq!(b.rows("kafka-transactions @ list --transactional-id-pattern m.*"), listed);
    assert_eq!(
        b.fails("kafka-transactions @ list --transactional-id-pattern ["),
        "Failed to list transactions: ListTransactions request sent to broker 1 failed with an \
         unexpected exception. Enable debug logging for additional detail."
    );
    let described = b.rows("kafka-transactions @ describe --transactional-id mine");
    let row: Vec<&str> = described[0].iter().map(String::as_str).collect();
    let producer = listed[0][2].as_str();
    assert_eq!(row[..6], ["1", "mine", producer, "0", "Ongoing", "600000"]);
    assert_eq!(row[8], "t-0");
    let producers = "kafka-transactions @ describe-producers --topic t --partition 0";
    let known = b.rows(producers);
    assert_eq!((known.len(), known[0][0].as_str(), known[0][5].as_str()), (1, producer, "0"));

    // Its coordinator knows of it, so it does not hang, however short a time is asked for.
    let hanging = "kafka-transactions @ find-hanging --topic t --max-transaction-timeout -1";
    assert!(b.rows(hanging).is_empty());
    let abort = "kafka-transactions @ abort --topic t --partition 0";
    assert_eq!(
        b.fails(&format!("{abort} --start-offset 5")),
        "Could not find any open transactions starting at offset 5 on partition t-0"
    );
    assert_eq!(b.quietly_done(&format!("{abort} --start-offset 0")), "");
    assert_eq!(b.rows(producers)[0][5], "None");
    assert!(b.fails(&format!("{abort} --start-offset 0")).starts_with("Could not find any open"));

    b.begin_transaction("other", "t");
    let end = "kafka-transactions @ forceTerminateTransaction --transactionalId other";
    assert_eq!(b.quietly_done(end), "");
    let described = b.rows("kafka-transactions @ describe --transactional-id other");
    assert_eq!((described[0][4].as_str(), described[0][6].as_str()), ("Empty", "None"));
}

#[test]
fn settings_of_groups_are_set_and_taken_back() {
    if !broker_can_run() {
        return;
    }
    let b = start("groups");
    let missing = b.quietly_done("kafka-configs @ --describe --group g");
    assert_eq!(missing, "The group 'g' doesn't exist and doesn't have dynamic config.\n");
    let alter = "kafka-configs @ --alter --group g";
    let set = b.quietly_done(&format!("{alter} --add-config consumer.session.timeout.ms=50000"));
    assert_eq!(set, "Completed updating config for group g.\n");
    let shown = b.quietly_done("kafka-configs @ --describe --entity-type groups");
    assert_eq!(
        shown,
        "Dynamic configs for group g are:\n  consumer.session.timeout.ms=50000 sensitive=false \
         synonyms={DYNAMIC_GROUP_CONFIG:consumer.session.timeout.ms=50000, \
         DEFAULT_CONFIG:group.consumer.session.timeout.ms=45000}\n"
    );
    let refused = b.fails(&format!("{alter} --add-config consumer.session.timeout.ms=1"));
    assert!(
        refused.contains("must be greater than or equal to group.consumer.min.session"),
        "{refused}"
    );
    let refused = b.fails(&format!("{alter} --add-config share.assignment.interval.ms=50000"));
    assert!(refused.contains("does not support the group config"), "{refused}");
    let own =
        b.quietly_done(&format!("config describe --group g --bootstrap {}", b.broker.bootstrap()));
    assert_eq!(own, "consumer.session.timeout.ms=50000   group\n");
    b.quietly_done(&format!("{alter} --delete-config consumer.session.timeout.ms"));
    assert_eq!(b.quietly_done("kafka-configs @ --describe --group g"), missing);
}
