use super::{
    Configured, Configuring, CopartitionGroup, InternalTopic, PartitionCounts, Status, Subtopology,
    TopicInfo, Topology, TopologyError, Validating, configure, partitions_of, validate,
};
use crate::group::streams::tasks::TaskIds;
use crate::types::ErrorCode;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Topologies, and what Kafka 4.3.1 makes of them: by `tests/conformance/streams-groups/StreamsOracle.java`.
const KAFKA: &str = include_str!("../../../../tests/conformance/expected/streams-topologies.jsonl");

/// Partitions by topic.
#[derive(Debug)]
struct Known(BTreeMap<String, i32>);

impl PartitionCounts for Known {
    fn partitions(&self, topic: &str) -> Option<i32> {
        self.0.get(topic).copied()
    }
}

fn known<'a>(topics: impl IntoIterator<Item = (&'a str, i32)>) -> Known {
    Known(topics.into_iter().map(|it| (it.0.to_owned(), it.1)).collect())
}

fn names(all: &[&str]) -> Vec<Arc<str>> {
    all.iter().map(|it| Arc::from(*it)).collect()
}

fn internal(name: &str, partitions: i32) -> TopicInfo {
    TopicInfo { name: Arc::from(name), partitions, ..TopicInfo::default() }
}

/// Reads `in`, is joined with what it has written to `again`, and keeps `state`.
fn word_count() -> Topology {
    let first = Subtopology {
        id: Arc::from("0"),
        source_topics: names(&["in"]),
        repartition_sink_topics: names(&["again"]),
        ..Subtopology::default()
    };
    let second = Subtopology {
        id: Arc::from("1"),
        source_topics: names(&["other"]),
        repartition_source_topics: vec![internal("again", 0)],
        state_changelog_topics: vec![TopicInfo {
            replication_factor: 2,
            configs: Arc::from([(Arc::from("cleanup.policy"), Arc::from("compact"))]),
            ..internal("state", 0)
        }],
        copartition_groups: vec![CopartitionGroup {
            source_topics: vec![0],
            repartition_source_topics: vec![0],
            ..CopartitionGroup::default()
        }],
        ..Subtopology::default()
    };
    Topology { epoch: 3, subtopologies: vec![first, second] }
}

/// In one go, which is the same as some steps at a time.
fn configured(topology: &Topology, topics: &Known) -> Result<Configured, TopologyError> {
    let topology = Arc::new(topology.clone());
    let whole = configure(&topology, topics);
    for steps in [1, 2, 7] {
        let mut configuring = Configuring::new(Arc::clone(&topology));
        let done = loop {
            let mut room = steps;
            if let Some(done) = configuring.step(topics, &mut room) {
                break done;
            }
        };
        assert_eq!(done, whole, "{steps} steps at a time");
    }
    whole
}

fn status(topology: &Topology, topics: &Known) -> (Option<Status>, String) {
    let problem = configured(topology, topics).unwrap().problem;
    problem.map_or((None, String::new()), |it| (Some(it.status), it.detail))
}

#[test]
fn counts_as_kafka_counts() {
    let mut cases = 0;
    for line in KAFKA.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let topology = Topology {
            epoch: 1,
            subtopologies: case["topology"].as_array().unwrap().iter().map(subtopology).collect(),
        };
        validate(&topology).unwrap();
        let topics = case["topics"].as_object().unwrap().iter();
        let topics = known(topics.map(|(name, count)| (&**name, count.as_i64().unwrap() as i32)));
        let expected = &case["result"];
        match configured(&topology, &topics) {
            Err(error) => assert_eq!(expected["invalid"], error.message(), "{line}"),
            Ok(configured) => {
                let problem = configured.problem.as_ref();
                let status = match problem.map(|it| it.status) {
                    None => "READY",
                    Some(Status::MissingSourceTopics) => "MISSING_SOURCE_TOPICS",
                    Some(Status::IncorrectlyPartitionedTopics) => "INCORRECTLY_PARTITIONED_TOPICS",
                    Some(Status::MissingInternalTopics) => "MISSING_INTERNAL_TOPICS",
                };
                assert_eq!(expected["status"], status, "{line}");
                assert_eq!(expected["detail"], problem.map_or("", |it| &it.detail), "{line}");
                let tasks = configured.subtopologies.as_ref().map(|it| {
                    it.iter().map(|(id, it)| (id.to_string(), Value::from(it.tasks))).collect()
                });
                assert_eq!(expected["tasks"], tasks.map_or(Value::Null, Value::Object), "{line}");
                let replicas = |it: &InternalTopic| match it.replication_factor {
                    0 => -1,
                    given => given,
                };
                let create = configured.to_create.iter();
                let create =
                    create.map(|(name, it)| (name.to_string(), (it.partitions, replicas(it))));
                let create: BTreeMap<String, (i32, i16)> = create.collect();
                assert_eq!(expected["create"], serde_json::to_value(create).unwrap(), "{line}");
            }
        }
        cases += 1;
    }
    assert!(cases >= 100, "{cases}");
}

fn subtopology(of: &Value) -> Subtopology {
    let array = |it: &Value| it.as_array().unwrap().clone();
    let name = |it: &Value| Arc::from(it.as_str().unwrap());
    let topics = |of: &Value| array(of).iter().map(name).collect::<Vec<_>>();
    let places = |of: &Value| array(of).iter().map(|it| it.as_i64().unwrap() as i16).collect();
    let number = |it: &Value| it.as_i64().unwrap() as i32;
    let repartition = array(&of["repartition"]);
    let groups = array(&of["groups"]);
    Subtopology {
        id: name(&of["id"]),
        source_topics: topics(&of["sources"]),
        source_topic_regex: Vec::new(),
        repartition_sink_topics: topics(&of["sinks"]),
        repartition_source_topics: repartition
            .iter()
            .map(|it| TopicInfo {
                name: name(&it[0]),
                partitions: number(&it[1]),
                replication_factor: number(&it[2]) as i16,
                configs: Arc::default(),
            })
            .collect(),
        state_changelog_topics: array(&of["changelogs"])
            .iter()
            .map(|it| internal(it.as_str().unwrap(), 0))
            .collect(),
        copartition_groups: groups
            .iter()
            .map(|it| CopartitionGroup {
                source_topics: places(&it[0]),
                source_topic_regex: Vec::new(),
                repartition_source_topics: places(&it[1]),
            })
            .collect(),
    }
}

#[test]
fn internal_topics_follow_from_sources() {
    let topology = word_count();
    let sources = known([("in", 4), ("other", 6)]);
    let done = configured(&topology, &sources).unwrap();
    assert_eq!((done.epoch, done.ready()), (3, None));
    let (again, state) = (&done.to_create["again"], &done.to_create["state"]);
    assert_eq!((again.partitions, again.replication_factor), (6, 0));
    assert_eq!((state.partitions, state.replication_factor), (6, 2));
    assert_eq!(&*state.configs[0].1, "compact");
    let missing = "Internal topics are missing: again, state";
    assert_eq!(status(&topology, &sources), (Some(Status::MissingInternalTopics), missing.into()));

    let all = known([("in", 4), ("other", 6), ("again", 6), ("state", 6)]);
    let done = configured(&topology, &all).unwrap();
    assert_eq!(done.problem, None);
    let ready = done.ready().unwrap();
    assert_eq!((ready["0"].tasks, ready["1"].tasks), (4, 6));
    assert_eq!((ready["0"].is_stateful(), ready["1"].is_stateful()), (false, true));
    assert!(done.to_create.is_empty());

    let tasks = TaskIds::from([(Arc::from("0"), vec![1]), (Arc::from("1"), vec![0, 5])]);
    let read = partitions_of(&tasks, ready, &known([("in", 4), ("other", 6), ("again", 5)]));
    let read: Vec<String> = read.iter().map(|it| format!("{} {:?}", it.0, it.1)).collect();
    assert_eq!(read, ["again [0]", "in [1]", "other [0, 5]"]);
}

#[test]
fn says_what_is_wrong_with_topics() {
    let topology = word_count();
    let none = "Source topics in, other are missing.";
    assert_eq!(status(&topology, &known([])), (Some(Status::MissingSourceTopics), none.into()));
    let wrong = "Existing topic state has different number of partitions: expected 6, found 5";
    let topics = known([("in", 4), ("other", 6), ("again", 6), ("state", 5)]);
    let incorrect = Some(Status::IncorrectlyPartitionedTopics);
    assert_eq!(status(&topology, &topics), (incorrect, wrong.into()));
    assert_eq!(configured(&topology, &topics).unwrap().subtopologies, None);

    let mut given = topology.clone();
    given.subtopologies[1].repartition_source_topics[0].partitions = 5;
    let wrong = "Number of partitions [5] of repartition topic [again] doesn't match number of partitions [6] of \
                 the source topic.";
    assert_eq!(status(&given, &known([("in", 4), ("other", 6)])), (incorrect, wrong.into()));

    let mut many = topology.clone();
    many.subtopologies[0].source_topics = names(&["f", "e", "d", "c", "b"]);
    let wrong = "Source topics b, c, d and 2 additional topics are missing.";
    let topics = known([("other", 6)]);
    assert_eq!(status(&many, &topics), (Some(Status::MissingSourceTopics), wrong.into()));

    let mut joined = topology;
    joined.subtopologies[1].source_topics = names(&["other", "third"]);
    joined.subtopologies[1].copartition_groups[0].source_topics = vec![0, 1];
    let wrong = "Following topics do not have the same number of partitions: [{other=6, third=7}]";
    let topics = known([("in", 4), ("other", 6), ("third", 7)]);
    assert_eq!(status(&joined, &topics), (incorrect, wrong.into()));
}

/// A chain of subtopologies that are declared against its direction takes no more steps than one in it.
#[test]
fn a_long_chain_is_counted_in_steps() {
    let chain = |forward: bool| {
        let subtopologies = (0..2_000u32).map(|number| Subtopology {
            id: Arc::from(format!("{:04}", if forward { number } else { 1_999 - number })),
            source_topics: if number == 0 { names(&["in"]) } else { Vec::new() },
            repartition_source_topics: match number {
                0 => Vec::new(),
                _ => vec![internal(&format!("r{number:04}"), 0)],
            },
            repartition_sink_topics: vec![Arc::from(format!("r{:04}", number + 1))],
            ..Subtopology::default()
        });
        Topology { epoch: 1, subtopologies: subtopologies.collect() }
    };
    for forward in [true, false] {
        let mut configuring = Configuring::new(Arc::new(chain(forward)));
        let mut turns = 1;
        let done = loop {
            let mut room = 1_000;
            if let Some(done) = configuring.step(&known([("in", 7)]), &mut room) {
                break done.unwrap();
            }
            turns += 1;
        };
        assert!(turns < 80, "{turns}");
        assert!(done.to_create.values().all(|it| it.partitions == 7));
        assert_eq!(done.to_create.len(), 1_999);
    }
}

#[test]
fn refuses_what_kafka_refuses() {
    let refused = |change: fn(&mut Topology)| {
        let mut topology = word_count();
        change(&mut topology);
        let refused = validate(&topology);
        for steps in [1, 3] {
            let mut validating = Validating::default();
            let done = loop {
                let mut room = steps;
                if let Some(done) = validating.step(&topology, &mut room) {
                    break done;
                }
            };
            assert_eq!(done, refused, "{steps} steps at a time");
        }
        refused.map_or_else(
            |it| (it.code(), it.message().to_owned()),
            |()| (ErrorCode::NONE, String::new()),
        )
    };
    let invalid = |message: &str| (ErrorCode::STREAMS_INVALID_TOPOLOGY, message.to_owned());
    assert_eq!(refused(|_| {}), (ErrorCode::NONE, String::new()));
    assert_eq!(
        refused(|it| it.subtopologies[0].source_topic_regex = names(&["a.*"])),
        (
            ErrorCode::INVALID_REQUEST,
            "Regular expressions for source topics are not supported yet.".to_owned()
        )
    );
    assert_eq!(
        refused(|it| {
            it.subtopologies[0].source_topics =
                names(&["__consumer_offsets", "a/b", "__consumer_offsets"]);
            it.subtopologies[1].state_changelog_topics[0].name = Arc::from("__transaction_state");
        }),
        invalid(
            "Use of Kafka internal topics __consumer_offsets,__transaction_state in a Kafka Streams topology is \
             prohibited."
        )
    );
    assert_eq!(
        refused(|it| it.subtopologies[0].repartition_sink_topics = names(&["a/b", "", "a/b"])),
        invalid("Topic names a/b, are not valid topic names.")
    );
    assert_eq!(
        refused(|it| it.subtopologies[1].state_changelog_topics[0].partitions = 3),
        invalid(
            "Changelog topic state must have an undefined partition count, but it is set to 3."
        )
    );
    // Kafka fails with UNKNOWN_SERVER_ERROR on these.
    for change in [
        (|it| it.subtopologies[1].copartition_groups[0].source_topics = vec![1])
            as fn(&mut Topology),
        |it| it.subtopologies[1].copartition_groups[0].repartition_source_topics = vec![-1],
        |it| it.subtopologies[1].copartition_groups[0].source_topic_regex = vec![0],
        |it| it.subtopologies[1].id = Arc::from("0"),
        |it| it.subtopologies[1].repartition_source_topics[0].partitions = -2,
        |it| it.subtopologies[1].repartition_source_topics = vec![internal("again", 0); 2],
    ] {
        assert_eq!(refused(change).0, ErrorCode::STREAMS_INVALID_TOPOLOGY);
    }
    // Also of what somebody could have stored, nothing makes it panic or go on for ever.
    let mut twice = word_count();
    twice.subtopologies[1].id = Arc::from("0");
    twice.subtopologies[1].copartition_groups[0].source_topics = vec![-1, 9];
    let _ = configured(&twice, &known([("in", 4), ("other", 6)]));
}

#[test]
fn loops_and_topics_that_nobody_writes_to_are_invalid() {
    let mut topology = word_count();
    topology.subtopologies[0].repartition_sink_topics.clear();
    let topics = known([("in", 4), ("other", 6)]);
    let error = configured(&topology, &topics).unwrap_err();
    assert!(error.message().ends_with("a repartition source topic is never used as a sink topic."));
    topology.subtopologies[0].source_topics.clear();
    let error = configured(&topology, &topics).unwrap_err();
    assert!(error.message().ends_with("is never used as a sink topic."), "{error:?}");
    topology.subtopologies[0].repartition_source_topics = vec![internal("loop", 0)];
    topology.subtopologies[0].repartition_sink_topics = names(&["loop", "again"]);
    let error = configured(&topology, &topics).unwrap_err();
    assert!(error.message().contains("There may be loops in the topology"), "{error:?}");
    topology.subtopologies = vec![Subtopology { id: Arc::from("7"), ..Subtopology::default() }];
    let error = configured(&topology, &topics).unwrap_err();
    assert_eq!(error.message(), "No source topics found for subtopology 7");
}
