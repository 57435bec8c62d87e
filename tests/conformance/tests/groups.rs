//! Consumer groups of librdkafka: one member and several, that come, leave, crash and come back.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::groups::error;
use conformance::raw::{self, Client};
use conformance::{Broker, DataDir, free_port, now_ms, wait_for};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};

const PATIENCE: Duration = Duration::from_mins(1);
const TOPIC: &str = "orders";
const PARTITIONS: i32 = 6;

type Partitions = BTreeSet<i32>;

/// What its callbacks told a member: partitions that came, and partitions that went.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(bool, Partitions)>>>);

struct Context(Told);

impl rdkafka::ClientContext for Context {}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let (comes, list) = match rebalance {
            Rebalance::Assign(list) => (true, list),
            Rebalance::Revoke(list) => (false, list),
            Rebalance::Error(e) => panic!("a rebalance failed: {e}"),
        };
        let partitions = list.elements().iter().map(TopicPartitionListElem::partition).collect();
        self.0.0.lock().expect("callbacks").push((comes, partitions));
    }
}

/// One member and what it was told.
struct Member {
    consumer: ManuallyDrop<BaseConsumer<Context>>,
    told: Told,
    /// Partition and offset of each message, in the order in which they came.
    seen: Vec<(i32, i64)>,
}

impl Member {
    fn start(broker: &Broker, group: &str, extra: &[(&str, &str)]) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", broker.bootstrap())
            .set("group.id", group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "200")
            .set("reconnect.backoff.max.ms", "200")
            .set("topic.metadata.refresh.interval.ms", "1000");
        for (key, value) in extra {
            config.set(*key, *value);
        }
        let told = Told::default();
        let consumer: BaseConsumer<Context> =
            config.create_with_context(Context(told.clone())).expect("a consumer");
        consumer.subscribe(&[TOPIC]).expect("a subscription");
        Self { consumer: ManuallyDrop::new(consumer), told, seen: Vec::new() }
    }

    /// Serves callbacks, and takes what has come.
    fn poll(&mut self) {
        match self.consumer.poll(Duration::from_millis(10)) {
            None => {}
            Some(Ok(message)) => self.seen.push((message.partition(), message.offset())),
            // Told for information: the library connects again by itself.
            Some(Err(e)) => assert!(
                matches!(
                    e.rdkafka_error_code(),
                    Some(
                        RDKafkaErrorCode::AllBrokersDown
                            | RDKafkaErrorCode::BrokerTransportFailure
                            | RDKafkaErrorCode::OperationTimedOut
                    )
                ),
                "{e}"
            ),
        }
    }

    fn assigned(&self) -> Partitions {
        let list = self.consumer.assignment().expect("an assignment");
        list.elements().iter().map(TopicPartitionListElem::partition).collect()
    }

    fn changes(&self) -> Vec<(bool, Partitions)> {
        self.told.0.lock().expect("callbacks").clone()
    }

    fn commit(&self, offsets: &[(i32, i64)]) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            let offset = Offset::Offset(*offset);
            list.add_partition_offset(TOPIC, *partition, offset).expect("an offset");
        }
        self.consumer.commit(&list, CommitMode::Sync).expect("a commit");
    }
}

impl Drop for Member {
    /// Closes the consumer, which leaves the group. On a thread of its own: where an assignment comes
    /// just then, the client's close waits for itself for ever.
    fn drop(&mut self) {
        // SAFETY: nobody uses it after this.
        let consumer = unsafe { ManuallyDrop::take(&mut self.consumer) };
        let (closed, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            drop(consumer);
            let _ = closed.send(());
        });
        if wait.recv_timeout(PATIENCE).is_err() {
            eprintln!("a consumer does not close: left alone");
        }
    }
}

fn all() -> Partitions {
    (0..PARTITIONS).collect()
}

/// Polls all members until they share the partitions, each with as many as `sizes` say in any
/// order; no partition has two owners then.
fn settle(members: &mut [Member], sizes: &[usize]) -> Vec<Partitions> {
    let mut want = sizes.to_vec();
    want.sort_unstable();
    let settled = wait_for(PATIENCE, || {
        members.iter_mut().for_each(Member::poll);
        let assigned: Vec<Partitions> = members.iter().map(Member::assigned).collect();
        let mut have: Vec<usize> = assigned.iter().map(BTreeSet::len).collect();
        have.sort_unstable();
        let together: Partitions = assigned.iter().flatten().copied().collect();
        (have == want && together == all()).then_some(assigned)
    });
    settled.unwrap_or_else(|| {
        let have: Vec<_> = members.iter().map(|it| (it.assigned(), it.changes())).collect();
        panic!("no balance of {sizes:?}: {have:?}")
    })
}

fn start(name: &str, delay_ms: u32) -> (DataDir, Broker, Client) {
    let dir = DataDir::new(name);
    let delay = format!("group.initial.rebalance.delay.ms={delay_ms}");
    let broker = Broker::start(&dir, &["--override", &delay]);
    let mut client = Client::connect(broker.addr()).expect("a connection");
    assert_eq!(client.create_topic(TOPIC, PARTITIONS, &[]).expect("an answer"), error::NONE);
    (dir, broker, client)
}

fn produce(client: &mut Client, each: i64) {
    for partition in 0..PARTITIONS {
        for n in 0..each {
            let value = format!("{partition} {n}");
            let batch = raw::batch(&[value.as_bytes()], now_ms(), crc32c::crc32c);
            assert_eq!(client.produce(TOPIC, partition, &batch).expect("an answer").0, 0);
        }
    }
}

/// Polls until the members have seen `count` messages together.
fn take(members: &mut [Member], count: usize) -> Vec<(i32, i64)> {
    let seen = |members: &[Member]| members.iter().map(|it| it.seen.len()).sum::<usize>();
    let done = wait_for(PATIENCE, || {
        members.iter_mut().for_each(Member::poll);
        (seen(members) >= count).then_some(())
    });
    assert!(done.is_some(), "{} of {count} messages", seen(members));
    members.iter_mut().flat_map(|it| std::mem::take(&mut it.seen)).collect()
}

#[test]
fn members_come_leave_and_crash() {
    let (_dir, broker, mut client) = start("groups-balance", 0);
    produce(&mut client, 10);
    let mut members = vec![Member::start(&broker, "g", &[])];
    settle(&mut members, &[6]);
    assert_eq!(take(&mut members, 60).len(), 60);
    members.push(Member::start(&broker, "g", &[]));
    settle(&mut members, &[3, 3]);
    members.push(Member::start(&broker, "g", &[]));
    settle(&mut members, &[2, 2, 2]);
    // Nothing was committed: whoever owns a partition now begins at its start.
    let (_, state, protocol, ids) = client.describe_group("g").expect("an answer");
    assert_eq!((&*state, &*protocol, ids.len()), ("Stable", "range", 3));
    // One leaves with a word.
    drop(members.pop());
    settle(&mut members, &[3, 3]);
    // One by hand joins, gets its share, and is never heard again.
    let mut silent =
        conformance::Member::new(Client::connect(broker.addr()).expect("a connection"), "g");
    let (metadata, mut joined) = (subscription(), conformance::groups::Joined::default());
    let in_time = wait_for(PATIENCE, || {
        // The others answer the rebalance while this one waits for it.
        std::thread::scope(|scope| {
            let join = scope.spawn(|| {
                let mut it = silent.join_once(&metadata).expect("an answer");
                if it.error == error::MEMBER_ID_REQUIRED {
                    silent.id.clone_from(&it.member);
                    it = silent.join_once(&metadata).expect("an answer");
                }
                silent.generation = it.generation;
                it
            });
            while !join.is_finished() {
                members.iter_mut().for_each(Member::poll);
            }
            joined = join.join().expect("no panic");
        });
        (joined.error == error::NONE).then_some(())
    });
    assert!(in_time.is_some(), "{joined:?}");
    assert_ne!(joined.leader, silent.id, "an older member leads");
    drop(silent);
    settle(&mut members, &[3, 3]);
    assert_eq!(client.describe_group("g").expect("an answer").3.len(), 2);
}

/// A subscription to the topic in the format of Kafka's consumers, version 0.
fn subscription() -> Vec<u8> {
    raw::Bytes::new().i16(0).i32(1).string(TOPIC).bytes(b"").0
}

#[test]
fn cooperative_members_keep_what_stays_theirs() {
    let (_dir, broker, mut client) = start("groups-cooperative", 0);
    let sticky = [("partition.assignment.strategy", "cooperative-sticky")];
    let mut members = vec![Member::start(&broker, "g", &sticky)];
    settle(&mut members, &[6]);
    let first = settle(&mut members, &[6])[0].clone();
    members.push(Member::start(&broker, "g", &sticky));
    let two = settle(&mut members, &[3, 3]);
    assert!(two[0].is_subset(&first));
    members.push(Member::start(&broker, "g", &sticky));
    let three = settle(&mut members, &[2, 2, 2]);
    assert!(three[0].is_subset(&two[0]) && three[1].is_subset(&two[1]));
    for (n, member) in members.iter().enumerate() {
        let gone: Vec<i32> =
            member.changes().into_iter().filter(|it| !it.0).flat_map(|it| it.1).collect();
        let kept = gone.iter().filter(|it| three[n].contains(it)).count();
        assert_eq!(kept, 0, "member {n} lost what it kept: {:?}", member.changes());
    }
    assert_eq!(client.describe_group("g").expect("an answer").2, "cooperative-sticky");
    drop(members.remove(0));
    let left = settle(&mut members, &[3, 3]);
    assert!(three[1].is_subset(&left[0]) && three[2].is_subset(&left[1]));
}

#[test]
fn a_static_member_comes_back_to_its_partitions() {
    let (_dir, broker, mut client) = start("groups-static", 500);
    let long = ("session.timeout.ms", "60000");
    let of = |name: &'static str| [("group.instance.id", name), long];
    let mut members =
        vec![Member::start(&broker, "g", &of("one")), Member::start(&broker, "g", &of("two"))];
    let before = settle(&mut members, &[3, 3]);
    let changes = members[0].changes();
    // A static member leaves without a word.
    drop(members.pop());
    let gone = std::time::Instant::now();
    members.push(Member::start(&broker, "g", &of("two")));
    let after = settle(&mut members, &[3, 3]);
    assert_eq!(before, after);
    assert!(gone.elapsed() < Duration::from_mins(1), "its session would have ended by then");
    assert_eq!(members[0].changes(), changes, "the other one noticed");
    // Who takes the name of a member that is there fences it.
    let mut thief = Member::start(&broker, "g", &of("two"));
    let fenced = wait_for(PATIENCE, || match members[1].consumer.poll(Duration::from_millis(20)) {
        Some(Err(e)) if e.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => Some(()),
        Some(Err(e)) if e.rdkafka_error_code() == Some(RDKafkaErrorCode::FencedInstanceId) => {
            Some(())
        }
        _ => {
            members[0].poll();
            None
        }
    });
    assert!(fenced.is_some(), "two members of one name");
    let taken = wait_for(PATIENCE, || {
        thief.poll();
        members[0].poll();
        (thief.assigned() == before[1]).then_some(())
    });
    assert!(taken.is_some(), "it has the place of the one that it fenced");
    assert_eq!(client.describe_group("g").expect("an answer").3.len(), 2);
}

#[test]
fn a_group_goes_on_where_it_was() {
    let dir = DataDir::new("groups-resume");
    let port = free_port();
    let options = ["--override", "group.initial.rebalance.delay.ms=0"];
    let mut broker = Broker::start_at(&dir, port, &options);
    let mut client = Client::connect(broker.addr()).expect("a connection");
    assert_eq!(client.create_topic(TOPIC, PARTITIONS, &[]).expect("an answer"), error::NONE);
    let mut next: BTreeMap<i32, i64> = all().into_iter().map(|it| (it, 0)).collect();
    for round in 0..4 {
        let mut client = Client::connect(broker.addr()).expect("a connection");
        produce(&mut client, 5);
        let mut members: Vec<Member> =
            (0..=round % 3).map(|_| Member::start(&broker, "g", &[])).collect();
        let count = members.len();
        settle(&mut members, &vec![PARTITIONS as usize / count; count]);
        // Messages that came before the last rebalance come again.
        let seen: BTreeSet<(i32, i64)> = take(&mut members, 30).into_iter().collect();
        let done = wait_for(PATIENCE, || {
            members.iter_mut().for_each(Member::poll);
            let seen: BTreeSet<_> =
                members.iter().flat_map(|it| &it.seen).chain(&seen).copied().collect();
            (seen.len() >= 30).then_some(seen)
        });
        let seen = done.expect("all messages of this round");
        let want: BTreeSet<(i32, i64)> =
            next.iter().flat_map(|(p, from)| (*from..from + 5).map(|it| (*p, it))).collect();
        assert_eq!(seen, want, "round {round}: from where the group was");
        for it in next.values_mut() {
            *it += 5;
        }
        for member in &members {
            let mine: Vec<(i32, i64)> =
                member.assigned().into_iter().map(|it| (it, next[&it])).collect();
            member.commit(&mine);
        }
        drop(members);
        if round % 2 == 0 {
            broker.kill();
        } else {
            broker.stop();
        }
        broker = Broker::start_at(&dir, port, &options);
    }
}

/// Members that go on polling while the broker is killed and started again.
#[test]
fn members_outlive_the_broker() {
    let dir = DataDir::new("groups-outlive");
    let port = free_port();
    let options = ["--override", "group.initial.rebalance.delay.ms=0"];
    let mut broker = Broker::start_at(&dir, port, &options);
    let mut client = Client::connect(broker.addr()).expect("a connection");
    assert_eq!(client.create_topic(TOPIC, PARTITIONS, &[]).expect("an answer"), error::NONE);
    let long = [("session.timeout.ms", "30000")];
    let mut members: Vec<Member> = (0..2).map(|_| Member::start(&broker, "g", &long)).collect();
    settle(&mut members, &[3, 3]);
    for round in 0..4 {
        broker.kill();
        broker = Broker::start_at(&dir, port, &options);
        let mut client = Client::connect(broker.addr()).expect("a connection");
        produce(&mut client, 2);
        settle(&mut members, &[3, 3]);
        let mut seen = BTreeSet::new();
        let done = wait_for(PATIENCE, || {
            members.iter_mut().for_each(Member::poll);
            seen.extend(members.iter_mut().flat_map(|it| std::mem::take(&mut it.seen)));
            let fresh = seen.iter().filter(|it| it.1 >= 2 * round).count();
            (fresh >= 2 * PARTITIONS as usize).then_some(())
        });
        assert!(done.is_some(), "round {round}: {seen:?}");
        for member in &members {
            let mine: Vec<(i32, i64)> =
                member.assigned().into_iter().map(|it| (it, 2 * (round + 1))).collect();
            member.commit(&mine);
        }
    }
}
