//! The console tools, `kafka-consumer-groups`, the performance tests and `klamm group` by name,
//! against a real broker.

use super::tools::Tools;
use klamm::client::{Cluster, To, check_code};
use klamm::wire::kafka::share_group_heartbeat_request::ShareGroupHeartbeatRequest;
use std::fs;
use std::io::Write;
use support::program::ended_with_input;
use support::{Running, broker_can_run, klamm, run};

fn start(name: &str) -> Tools {
    Tools::start(
        &format!("clients-{name}"),
        &["group.initial.rebalance.delay.ms=0", "offsets.topic.num.partitions=4"],
    )
}

impl Tools {
    fn produce(&self, line: &str, input: &str) -> (i32, String, String) {
        ended_with_input(&mut self.command(line), input).parts()
    }

    fn topic(&self, name: &str, partitions: u32) {
        self.done(&format!("kafka-topics @ --create --topic {name} --partitions {partitions}"));
    }
}

#[test]
fn lines_go_in_and_come_out() {
    if !broker_can_run() {
        return;
    }
    let b = start("lines");
    // As the tutorials write it, to a topic that the broker makes.
    let list =
        format!("kafka-console-producer.sh --broker-list {} --topic test", b.broker.bootstrap());
    assert_eq!(b.produce(&list, "one\ntwo\r\nthree").0, 0);
    let (code, out, err) =
        b.run("kafka-console-consumer.sh @ --topic test --from-beginning --max-messages 3");
    assert_eq!((code, out.as_str()), (0, "one\ntwo\nthree\n"));
    assert_eq!(err, "Processed a total of 3 messages\n");

    b.topic("keyed", 1);
    let (code, out, err) = b.produce(
        "kafka-console-producer @ --topic keyed --reader-property parse.key=true \
         --reader-property key.separator=: --reader-property parse.headers=true \
         --reader-property headers.key.separator== --reader-property null.marker=NULL \
         --compression-codec zstd",
        "h=1,g=NULL\tk:v\nNULL\tNULL:NULL\n",
    );
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
    let read = "kafka-console-consumer @ --topic keyed --partition 0 --offset earliest \
                --max-messages 2 --formatter-property print.key=true --formatter-property \
                print.headers=true --formatter-property print.partition=true --formatter-property \
                print.offset=true --formatter-property null.literal=-";
    assert_eq!(
        b.done(read),
        "Partition:0\tOffset:0\th:1,g:-\tk\tv\nPartition:0\tOffset:1\tNO_HEADERS\t-\t-\n"
    );
    let read = "kafka-console-consumer @ --topic keyed --partition 0 --offset 1 --max-messages 1 \
                --formatter-property print.timestamp=true";
    let out = b.done(read);
    assert!(out.starts_with("CreateTime:1") && out.ends_with("\tnull\n"), "{out}");
    let nothing = "kafka-console-consumer @ --topic keyed --from-beginning --max-messages 2 \
                   --formatter org.apache.kafka.tools.consumer.NoOpMessageFormatter";
    assert_eq!(b.done(nothing), "");
    // Every topic that matches, and only those.
    let both = b.done("kafka-console-consumer @ --include te.* --from-beginning --max-messages 3");
    assert_eq!(both, "one\ntwo\nthree\n");
    // A value that the deserializer does not understand ends it, or is skipped.
    let longs = "kafka-console-consumer @ --topic test --from-beginning --max-messages 3 \
                 --value-deserializer org.apache.kafka.common.serialization.LongDeserializer";
    let (code, out, err) = b.run(longs);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("Processed a total of 1 messages\n") && err.contains("is not 8"), "{err}");
    let (code, _, err) = b.run(&format!("{longs} --skip-message-on-error"));
    assert!(code == 0 && err.matches("skipping this message").count() == 3, "{err}");
}

#[test]
fn mistakes_get_kafkas_words_and_exit_code() {
    let line = |args: &str| {
        let (code, _, err) = run(klamm(), &args.split_whitespace().collect::<Vec<_>>()).parts();
        assert_eq!(code, 1, "{args}: {err}");
        err.lines().next().unwrap_or_default().to_owned()
    };
    let at = "--bootstrap-server 127.0.0.1:1";
    for (args, want) in [
        ("kafka-console-producer", "This tool helps to read data from standard input"),
        ("kafka-console-producer --foo", "foo is not a recognized option"),
        ("kafka-console-producer --topic t", "Error while validating the bootstrap address"),
        ("kafka-console-producer --topic t --broker-list h", "Please provide valid host:port"),
        (&format!("kafka-console-producer {at}"), "Missing required argument \"[topic]\""),
        (
            &format!("kafka-console-producer {at} --topic t --command-property acks=7"),
            "Invalid value 7 for configuration acks: String must be one of: all, -1, 0, 1",
        ),
        (&format!("kafka-console-producer {at} --topic t --line-reader x.Y"), "--line-reader x.Y:"),
        (&format!("kafka-console-producer {at} --topic a/b"), "'a/b' is not a topic name"),
        (&format!("kafka-console-producer {at} --topic t"), "cannot reach a broker at 127.0.0.1:1"),
        ("kafka-console-consumer --topic t", "Missing required argument \"[bootstrap-server]\""),
        (&format!("kafka-console-consumer {at}"), "Exactly one of the following arguments"),
        (
            &format!("kafka-console-consumer {at} --topic t --offset 3"),
            "The partition is required when offset is specified.",
        ),
        (
            &format!("kafka-console-consumer {at} --topic t --partition 0 --group g"),
            "Options group and partition cannot be specified together.",
        ),
        (
            &format!("kafka-console-consumer {at} --topic t --partition 0 --offset -3"),
            "The provided offset value '-3' is incorrect.",
        ),
        (&format!("kafka-console-consumer {at} --topic t --formatter foo"), "foo"),
        (&format!("kafka-console-consumer {at} --include t["), "--include t[: it is not a regular"),
        (&format!("kafka-consumer-groups {at}"), "Command must include exactly one action:"),
        (&format!("kafka-consumer-groups {at} --describe"), "Option [describe] takes one of these"),
        (&format!("kafka-consumer-groups {at} --list"), "cannot reach a broker at 127.0.0.1:1"),
        ("kafka-share-groups --list", "Missing required argument \"[bootstrap-server]\""),
        (&format!("kafka-share-groups {at}"), "Command must include exactly one action:"),
        (
            &format!("kafka-share-groups {at} --describe"),
            "Option [describe] takes one of these options: [all-groups], [group]",
        ),
        (
            &format!("kafka-share-groups {at} --delete --group g --all-groups"),
            "Option [delete] takes either [group] or [all-groups], not both.",
        ),
        (
            &format!("kafka-share-groups {at} --reset-offsets --group g --topic t --to-latest"),
            "Option [reset-offsets] takes the option: [execute] or [dry-run]",
        ),
        (
            &format!("kafka-share-groups {at} --reset-offsets --group g --topic t --execute"),
            "Option [reset-offsets] takes one of these options: [to-datetime], [to-earliest], [to-latest]",
        ),
        (
            &format!("kafka-share-groups {at} --list --members"),
            "Option(s) [members] are unavailable",
        ),
        (&format!("kafka-consumer-perf-test {at} --topic t"), "Exactly one of the following"),
    ] {
        let said = line(args);
        assert!(said.starts_with(want), "{args}: {said}");
    }
    assert!(line("kafka-producer-perf-test --topic t").starts_with("usage: "));
}

#[test]
fn a_group_goes_on_where_it_stopped_and_ctrl_c_commits() {
    if !broker_can_run() {
        return;
    }
    let b = start("group");
    b.topic("t", 1);
    b.produce("kafka-console-producer @ --topic t", "1\n2\n3\n");
    let mut first =
        Running::start(b.command("kafka-console-consumer @ --topic t --group g --from-beginning"));
    assert_eq!([first.line(), first.line(), first.line()], ["1", "2", "3"]);
    // A group with a member: it is seen, and its offsets are not to be touched.
    let members = b.done("kafka-consumer-groups @ --describe --group g --members --verbose");
    let (header, row) = members.trim().split_once('\n').expect("two lines");
    assert!(header.starts_with("GROUP           CONSUMER-ID"), "{members}");
    assert!(row.contains("console-consumer ") && row.contains(" t:0 "), "{members}");
    let state = b.done("kafka-consumer-groups @ --describe --group g --state");
    assert!(state.contains("range                Stable               1\n"), "{state}");
    let refused = b.done(
        "kafka-consumer-groups @ --reset-offsets --group g --to-earliest --topic t --execute",
    );
    assert!(refused.contains("inactive, but the current state is Stable."), "{refused}");
    let (code, err) = first.interrupt();
    assert_eq!((code, err.as_str()), (Some(130), "Processed a total of 3 messages\n"));
    // It has left: the next member need not wait for a session to end, and nothing comes twice.
    b.produce("kafka-console-producer @ --topic t", "4\n");
    let next = b.done("kafka-console-consumer @ --topic t --group g --max-messages 1");
    assert_eq!(next, "4\n");
    let (code, out, err) = b.run("kafka-console-consumer @ --topic t --group g --timeout-ms 500");
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.contains("TimeoutException\nProcessed a total of 0 messages\n"), "{err}");
    let (_, table, err) = b.run("kafka-consumer-groups @ --describe --group g");
    assert_eq!(err, "\nConsumer group 'g' has no active members.\n");
    assert_eq!(
        table,
        "\nGROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             \
         CONSUMER-ID     HOST            CLIENT-ID\n\
         g               t               0          4               4               0               \
         -               -               -\n"
    );
    let commits = b.done(
        "kafka-console-consumer @ --topic __consumer_offsets --from-beginning --timeout-ms 500 \
         --formatter org.apache.kafka.tools.consumer.OffsetsMessageFormatter",
    );
    assert!(
        commits.contains("\"data\":{\"group\":\"g\",\"topic\":\"t\",\"partition\":0}"),
        "{commits}"
    );
    assert!(commits.contains("\"offset\":3,") && commits.contains("\"offset\":4,"), "{commits}");
}

#[test]
fn members_share_and_take_over() {
    if !broker_can_run() {
        return;
    }
    for strategy in ["", "RoundRobinAssignor", "CooperativeStickyAssignor"] {
        let b = start(&format!("share{strategy}"));
        b.topic("t", 4);
        let option = match strategy {
            "" => String::new(),
            name => format!(
                "--command-property partition.assignment.strategy=org.apache.kafka.clients.consumer.{name}"
            ),
        };
        let consume = format!(
            "kafka-console-consumer @ --topic t --group g --from-beginning {option} \
             --command-property heartbeat.interval.ms=100 --formatter-property print.partition=true"
        );
        let shares = |wanted: &[usize]| {
            // Until the group has settled: each look is a request, not a sleep.
            for _ in 0..2_000 {
                let all = b.done("group describe @ g --json").trim().to_owned();
                let all: serde_json::Value = serde_json::from_str(&all).expect("JSON");
                let members = all[0]["members"].as_array().expect("members").clone();
                let mut counts: Vec<usize> = members
                    .iter()
                    .map(|m| m["assignment"]["t"].as_array().map_or(0, Vec::len))
                    .collect();
                counts.sort_unstable();
                if counts == wanted && all[0]["state"] == "Stable" {
                    return;
                }
            }
            panic!("{strategy}: the group does not settle at {wanted:?}");
        };
        let mut one = Running::start(b.command(&consume));
        b.produce("kafka-console-producer @ --topic t --sync", "first\n");
        assert!(one.line().ends_with("\tfirst"));
        let two = Running::start(b.command(&consume));
        shares(&[2, 2]);
        // Who leaves hands its partitions over at once.
        let (code, err) = one.interrupt();
        assert_eq!(code, Some(130), "{err}");
        shares(&[4]);
        let mut two = two;
        b.produce("kafka-console-producer @ --topic t --sync", "second\n");
        assert!(two.line().ends_with("\tsecond"), "{strategy}: the first is committed");
        assert_eq!(two.interrupt().0, Some(130));
    }
}

#[test]
fn a_closed_pipe_ends_a_consumer() {
    if !broker_can_run() {
        return;
    }
    let b = start("pipe");
    b.topic("t", 1);
    b.produce("kafka-console-producer @ --topic t", "1\n");
    let mut consumer =
        Running::start(b.command("kafka-console-consumer @ --topic t --from-beginning"));
    assert_eq!(consumer.line(), "1");
    consumer.close_output();
    let (code, said) = consumer.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Unable to write to standard out"), "{said}");
}

#[test]
fn ctrl_c_sends_what_was_typed() {
    if !broker_can_run() {
        return;
    }
    let b = start("typed");
    b.topic("t", 1);
    // A linger far beyond the test: only the end sends it.
    let mut producer =
        Running::start(b.command("kafka-console-producer @ --topic t --timeout 600000"));
    let mut consumer =
        Running::start(b.command("kafka-console-consumer @ --topic t --from-beginning"));
    let stdin = producer.stdin.as_mut().expect("piped");
    stdin.write_all(b"typed\n").expect("it reads");
    // It has read the line when the pipe is empty.
    while rustix::io::ioctl_fionread(&*stdin).expect("a pipe") > 0 {}
    assert_eq!(producer.interrupt().0, Some(130));
    assert_eq!(consumer.line(), "typed");
    assert_eq!(consumer.interrupt().0, Some(130));
}

#[test]
fn offsets_are_reset_in_all_ways() {
    if !broker_can_run() {
        return;
    }
    let b = start("reset");
    b.topic("t", 2);
    b.topic("u", 1);
    b.produce("kafka-console-producer @ --topic u", "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    let reset = |how: &str| {
        let line = format!("kafka-consumer-groups @ --reset-offsets --group g {how} --export");
        b.done(&line).trim().to_owned()
    };
    assert_eq!(reset("--to-latest --topic u --execute"), "u,0,10");
    assert_eq!(reset("--to-earliest --topic u --dry-run"), "u,0,0");
    assert_eq!(reset("--shift-by -4 --all-topics --execute"), "u,0,6");
    assert_eq!(reset("--to-current --topic u --dry-run"), "u,0,6");
    assert_eq!(reset("--to-offset 3 --topic u:0 --dry-run"), "u,0,3");
    assert_eq!(reset("--to-offset 77 --topic u --dry-run"), "u,0,10", "what there is");
    assert_eq!(reset("--to-datetime 2000-01-01T00:00:00.000 --topic u --dry-run"), "u,0,0");
    assert_eq!(reset("--by-duration PT1H --topic u --dry-run"), "u,0,0");
    assert_eq!(reset("--to-latest --topic t:1 --topic u --dry-run"), "t,1,0\nu,0,10");
    fs::write(b.home.join("plan.csv"), "u,0,2\nt,1,0\n").expect("a file");
    assert_eq!(reset("--from-file plan.csv --execute"), "t,1,0\nu,0,2");
    let shown = b.done(
        "kafka-consumer-groups @ --reset-offsets --group g --to-offset 5 --topic u --dry-run",
    );
    assert_eq!(
        shown,
        "\nGROUP           TOPIC           PARTITION  NEW-OFFSET\n\
         g               u               0          5\n"
    );
    let (_, out, _) = b
        .run("kafka-consumer-groups @ --reset-offsets --group g --to-latest --topic u:7 --dry-run");
    assert!(out.contains("The partitions \"u-7\" do not exist"), "{out}");
    // It counts: the group reads from there.
    let read = b.done("kafka-console-consumer @ --topic u --group g --max-messages 1");
    assert_eq!(read, "2\n");

    let deleted = b.done("kafka-consumer-groups @ --delete-offsets --group g --topic t:1");
    assert!(
        deleted.starts_with("Request succeeded for deleting offsets from group g.\n"),
        "{deleted}"
    );
    assert_eq!(b.done("kafka-consumer-groups @ --list"), "g\n");
    let listed = b.done("kafka-consumer-groups @ --list --state empty --type classic");
    assert!(
        listed.lines().nth(1).is_some_and(|l| l.contains("Classic              Empty")),
        "{listed}"
    );
    let gone = b.done("kafka-consumer-groups @ --delete --group g");
    assert_eq!(gone, "Deletion of requested consumer groups ('g') was successful.\n");
    let again = b.done("kafka-consumer-groups @ --delete --group g");
    assert!(again.contains("GroupIdNotFoundException: The group id does not exist."), "{again}");
    let unknown = b.done("kafka-consumer-groups @ --describe --group g");
    assert!(unknown.contains("GroupIdNotFoundException: Group g not found."), "{unknown}");
}

/// A member of a share group joins with epoch 0, which wants a topic, or leaves with -1.
fn share_beat(b: &Tools, group: &str, topic: &str, epoch: i32) {
    let mut cluster = Cluster::connect(&b.broker.bootstrap()).expect("a broker");
    let beat = ShareGroupHeartbeatRequest {
        group_id: group,
        member_id: "AAAAAAAAAAAAAAAAAAAAAQ",
        member_epoch: epoch,
        rack_id: None,
        subscribed_topic_names: (epoch == 0).then(|| vec![topic]),
    };
    let told = cluster.call(To::Any, &beat, |reply| {
        let response = reply.read::<ShareGroupHeartbeatRequest<'_>>()?;
        check_code(response.error_code, || "a heartbeat".to_owned(), response.error_message)
    });
    told.expect("a member");
}

#[test]
fn share_groups_are_seen_and_moved() {
    if !broker_can_run() {
        return;
    }
    let b = start("share-groups");
    b.topic("t", 1);
    b.produce("kafka-console-producer @ --topic t", "1\n2\n3\n");
    let reset = |how: &str| {
        b.done(&format!("kafka-share-groups @ --reset-offsets --group s --topic t {how}"))
    };
    let moved = "\nGROUP           TOPIC           PARTITION  NEW-OFFSET\n\
                 s               t               0          3\n";
    assert_eq!(reset("--to-latest --dry-run"), moved);
    assert_eq!(b.done("kafka-share-groups @ --list"), "", "a dry run makes no group");
    // One that is not there begins so.
    assert_eq!(reset("--to-latest --execute"), moved);
    assert_eq!(b.done("kafka-share-groups @ --list"), "s\n");
    share_beat(&b, "s", "t", 0);
    let members = b.done("kafka-share-groups @ --describe --group s --members --verbose");
    assert!(
        members.contains(" MEMBER-EPOCH  ASSIGNMENT\ns ") && members.contains(" t:0\n"),
        "{members}"
    );
    let (code, _, err) =
        b.run("kafka-share-groups @ --reset-offsets --group s --topic t --to-latest --execute");
    assert_eq!((code, err.as_str()), (1, "Share group 's' is not empty.\n"));
    let refused = b.done("kafka-share-groups @ --delete --group s");
    assert!(refused.contains("GroupNotEmptyException: Share group 's' is not EMPTY."), "{refused}");
    share_beat(&b, "s", "t", -1);
    assert_eq!(reset("--to-latest --execute"), moved);
    assert_eq!(b.done("kafka-share-groups @ --list --state Stable"), "GROUP           STATE\n");
    let listed = b.done("kafka-share-groups @ --list --state");
    assert_eq!(listed, "GROUP           STATE\ns               Empty\n");
    let there = "\nGROUP           TOPIC           PARTITION  START-OFFSET  LAG\n\
                 s               t               0          3             0\n";
    assert_eq!(b.done("kafka-share-groups @ --describe --group s"), there);
    reset("--to-earliest --execute");
    let all = b.done("kafka-share-groups @ --describe --all-groups --offsets --verbose");
    let (head, row) = all.trim().split_once('\n').expect("two lines");
    assert_eq!(head, "GROUP           TOPIC           PARTITION  LEADER-EPOCH  START-OFFSET  LAG");
    assert!(row.ends_with(" 0             3"), "{all}");
    let (code, state, err) = b.run("kafka-share-groups @ --describe --group s --state --verbose");
    assert_eq!((code, err.as_str()), (0, "\nShare group 's' has no active members.\n"));
    assert!(state.contains(" Empty           "), "{state}");
    let (_, members, _) = b.run("kafka-share-groups @ --describe --group s --members");
    assert_eq!(members, "");
    let deleted = b.done("kafka-share-groups @ --delete-offsets --group s --topic t");
    assert_eq!(deleted, "\nTOPIC           STATUS\nt               Successful\n");
    let none = b.done("kafka-share-groups @ --describe --group s");
    assert_eq!(none, "\nShare group 's' has no offset information.\n");
    let gone = b.done("kafka-share-groups @ --delete --group s");
    assert_eq!(gone, "Deletion of requested share groups ('s') was successful.\n");
    let again = b.done("kafka-share-groups @ --delete --group s");
    assert!(again.contains("Group 's' is not a share group."), "{again}");
    let unknown = b.done("kafka-share-groups @ --describe --group s");
    assert!(
        unknown.contains("failed due to org.apache.kafka.common.errors.GroupIdNotFoundException: ")
    );
}

#[test]
fn klamms_own_commands_know_groups() {
    if !broker_can_run() {
        return;
    }
    let b = start("own");
    b.topic("t", 1);
    b.produce("kafka-console-producer @ --topic t", "1\n2\n3\n");
    let read = b.done("consume @ t --group g --from-beginning --max-messages 2");
    assert_eq!(read, "1\n2\n");
    assert_eq!(b.done("consume @ t --group g --timeout 0.5 --print-offset"), "0:2\t3\n");
    assert_eq!(b.done("group list @"), "g\tEmpty\n");
    let all = b.done("group describe @ g --json");
    let all: serde_json::Value = serde_json::from_str(&all).expect("JSON");
    assert_eq!(
        (&all[0]["offsets"][0]["committed"], &all[0]["offsets"][0]["lag"]),
        (&3.into(), &0.into())
    );
    assert_eq!(b.done("group reset @ g --topic t --to -2 --dry-run"), "t:0\t1\n");
    assert_eq!(b.done("group reset @ g --all-topics --to earliest"), "t:0\t0\n");
    assert_eq!(b.done("consume @ t --group g --max-messages 1"), "1\n");
    let (code, _, err) = b.run("group reset @ g --topic t --to soon");
    assert!(code == 2 && err.contains("earliest"), "{err}");
    assert_eq!(b.done("group delete @ g"), "");
    let (code, _, err) = b.run("group describe @ g");
    assert!(code == 1 && err.contains("klamm group list"), "{err}");
}

#[test]
fn performance_tests_count_what_they_move() {
    if !broker_can_run() {
        return;
    }
    let b = start("perf");
    b.topic("t", 3);
    let sent = b.done(
        "kafka-producer-perf-test @ --topic t --num-records 5000 --record-size 100 --throughput -1 \
         --command-property linger.ms=5 compression.type=lz4",
    );
    assert!(sent.starts_with("5000 records sent, ") && sent.contains(" ms 99.9th."), "{sent}");
    let read = b.done("kafka-consumer-perf-test @ --topic t --num-records 5000");
    let (header, row) = read.trim().split_once('\n').expect("two lines");
    assert!(header.starts_with("start.time, end.time, data.consumed.in.MB, MB.sec, "), "{read}");
    let fields: Vec<&str> = row.split(", ").collect();
    assert_eq!((fields.len(), fields[2], fields[4]), (10, "0.4768", "5000"), "{read}");
    let early = b.done("kafka-consumer-perf-test @ --topic t --num-records 6000 --timeout 300");
    assert!(early.contains("WARNING: Exiting before consuming the expected number"), "{early}");
}
