//! `klamm bench`: every subcommand against our broker, and against one that does wrong. No test
//! depends on how fast anything is.

mod fake;

use fake::{Fake, Fault};
use serde_json::Value;
use std::fs;
use std::time::Duration;
use support::{Broker, Ended, Scratch, klamm, run};

/// Runs `klamm bench`.
fn ended(args: &str) -> Ended {
    let args: Vec<&str> = ["bench"].into_iter().chain(args.split_whitespace()).collect();
    run(klamm(), &args)
}

/// Runs `klamm bench`, expects this exit code; gives its JSON and what it says besides.
fn bench(code: i32, broker: &str, args: &str) -> (Value, String) {
    let Ended { code: ended, out, err } = ended(&format!("{args} -b {broker} --json"));
    assert_eq!(ended, Some(code), "{args}: {err}");
    let json = serde_json::from_str(&out)
        .unwrap_or_else(|e| panic!("{args}: one JSON object: {e}; {err}"));
    (json, err)
}

fn number(json: &Value, path: &str) -> f64 {
    let value = path.split('/').fold(json, |v, field| &v[field]);
    value.as_f64().unwrap_or_else(|| panic!("{path} is a number in {json}"))
}

/// The fields that every complete run has.
fn check_run(json: &Value, workload: &str, latency: &str) {
    assert_eq!(json["workload"], workload);
    assert_eq!((&json["complete"], &json["reason"]), (&Value::Bool(true), &Value::Null), "{json}");
    let (p50, p99) =
        (number(json, &format!("{latency}/p50")), number(json, &format!("{latency}/p99")));
    let most = number(json, &format!("{latency}/max"));
    assert!(0.0 < p50 && p50 <= p99 && p99 <= most, "{json}");
    assert!(p99 <= number(json, &format!("{latency}/p99.999")));
    assert!(number(json, &format!("{latency}/count")) > 0.0);
    assert!(!json[latency]["distribution"].as_array().expect("points").is_empty());
    assert!(number(json, "bench/cpu_s") >= 0.0);
    assert_eq!(json["klamm_bench"], 1);
}

fn check_data(json: &Value) {
    let check = &json["check"];
    assert_eq!(check["checked"], true, "{json}");
    for field in ["lost", "duplicates", "reordered", "corrupt", "offset_gaps"] {
        assert_eq!(check[field], 0, "{json}");
    }
    assert!(number(check, "records") > 0.0);
}

#[test]
fn every_subcommand_measures_our_broker() {
    let dir = Scratch::new("bench");
    let small = ["--shards", "1", "--memory", "256MiB", "--journal", "64MiB"];
    let broker = Broker::start(&dir, &small);
    let (at, pid) = (&*broker.bootstrap(), broker.pid());
    let args = format!(
        "produce -d 200ms -w 50ms --partitions 3 --topics 2 --partitions-per-request 2 --batch 3 \
         --connections 3 --threads 2 --idempotent --key-size 8 --broker-pid {pid}"
    );
    let (json, errors) = bench(0, at, &args);
    assert_eq!(errors, "");
    check_run(&json, "produce", "ack_us");
    check_data(&json);
    assert!(number(&json, "records") >= number(&json, "requests") * 6.0);
    assert!(number(&json, "broker/rss_bytes_max") > 0.0);
    assert_eq!(json["settings"]["partitions"], 6);

    // The topic is gone: it was the run's own.
    run(klamm(), &["topic", "describe", "klamm-bench-0", "-b", at]).failed(1);

    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("--topic read-{compression} --topics 2");
        let args = format!(
            "produce {topic} --keep --count 40 --partitions 2 --batch 5 --compression {compression}"
        );
        let (json, _) = bench(0, at, &args);
        assert_eq!((number(&json, "requests"), number(&json, "records")), (40.0, 200.0));
        let (json, _) = bench(0, at, &format!("consume {topic} --connections 3 --threads 2"));
        check_run(&json, "consume", "fetch_us");
        check_data(&json);
        // And one small batch for each of the four partitions, before the rest.
        assert_eq!(json["records"], 204);
        assert_eq!(json["check"]["records"], 204);
    }

    let (json, _) = bench(
        0,
        at,
        "e2e --rate 300 -d 300ms -w 50ms --partitions 3 --connections 2 --consumers 2",
    );
    check_run(&json, "e2e", "e2e_us");
    check_data(&json);
    assert!(number(&json, "e2e_us/p50") >= number(&json, "ack_us/min"));
    let (json, _) = bench(0, at, "e2e --rate 200 -d 200ms -w 0 --batch 4 --compression zstd");
    check_data(&json);

    let (json, _) = bench(0, at, &format!("connections -c 20 --hold 50ms --broker-pid {pid}"));
    check_run(&json, "connections", "connect_us");
    assert_eq!((number(&json, "connections"), number(&json, "lost")), (20.0, 0.0));
    assert_eq!(json["answer_us"]["count"], 20);
    assert!(number(&json, "broker/rss_bytes_per_connection") >= 0.0);

    // Nobody acknowledges, and yet every record is counted.
    let (json, _) = bench(0, at, "produce --acks 0 -d 100ms -w 0");
    check_run(&json, "produce", "sent_us");
    check_data(&json);
    // An open loop's requests are all charged.
    let (json, _) = bench(0, at, "produce --rate 200 -d 500ms -w 0 --connections 2");
    assert_eq!(json["ack_us"]["count"], 100);
}

#[test]
fn loss_duplicates_order_and_damage_are_found() {
    let faults = [
        (Fault::Drop(20), "lost", "lost"),
        (Fault::Duplicate(20), "duplicates", "twice"),
        (Fault::Swap(20), "reordered", "out of order"),
        (Fault::Flip(20), "corrupt", "corrupt"),
    ];
    for (fault, field, word) in faults {
        let fake = Fake::start(fault);
        let (json, errors) =
            bench(1, &fake.address(), "e2e --rate 200 -d 300ms -w 0 --batch 2 --timeout 2s");
        assert_eq!(json["check"][field], 1, "{fault:?}: {json}");
        assert!(errors.contains("the data is wrong") && errors.contains(word), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(json["reason"].as_str().expect("a reason").contains(word), "{json}");
        assert_eq!(fake.deleted(), ["klamm-bench"]);

        // The same by writing first and reading later. What was acknowledged gives all but the
        // damage away: offsets that do not grow, or a wrong number of records at the end.
        let fake = Fake::start(fault);
        let code = i32::from(!matches!(fault, Fault::Flip(_)));
        let (_, errors) = bench(code, &fake.address(), "produce --count 60 --keep --connections 1");
        assert_eq!(errors.contains("the data is wrong"), code == 1, "{fault:?}: {errors}");
        let (json, errors) = bench(1, &fake.address(), "consume");
        assert_eq!(json["check"][field], 1, "{fault:?}: {json}");
        assert!(errors.contains("the data is wrong") && errors.contains(word), "{errors}");
        assert!(fake.deleted().is_empty(), "--keep");
    }
    // Several writers of one partition cannot know each other's offsets, but they can count.
    for (fault, field) in [(Fault::Drop(20), "lost"), (Fault::Duplicate(20), "duplicates")] {
        let fake = Fake::start(fault);
        let args = "produce --count 60 --connections 3 --inflight 1 --threads 3";
        let (json, errors) = bench(1, &fake.address(), args);
        if json["complete"] == true {
            assert_eq!(json["check"][field], 1, "{fault:?}: {json}");
            assert!(errors.contains("records were acknowledged"), "{errors}");
        }
    }
}

#[test]
fn what_is_not_checked_is_not_reported() {
    let fake = Fake::start(Fault::Drop(20));
    let (json, _) = bench(0, &fake.address(), "produce --count 60 --keep --no-verify");
    assert_eq!(json["check"]["checked"], false);
    let (json, _) = bench(0, &fake.address(), "consume --no-verify");
    assert_eq!(json["check"]["checked"], false);
    // Of what is too small for a number, CRCs and counts are checked all the same.
    let fake = Fake::start(Fault::Flip(20));
    let (_, errors) = bench(0, &fake.address(), "produce --count 60 --keep -s 10");
    assert!(errors.contains("under 16 bytes"), "{errors}");
    let (json, _) = bench(1, &fake.address(), "consume");
    assert_eq!(json["check"]["corrupt"], 1);
}

/// A stall of one second at 100 requests/s holds up 100 requests, and each is charged for its part
/// of it. Who measures from the time of sending sees one slow request, and 99 that were never late.
#[test]
fn a_stall_is_charged_to_every_request_that_it_held_up() {
    let stall = Duration::from_secs(1);
    let us = stall.as_secs_f64() * 1e6;
    for args in
        ["produce --rate 100 --connections 1 --inflight 1", "e2e --rate 100", "produce --rate 100"]
    {
        let fake = Fake::start(Fault::Stall(20, stall));
        let (json, _) = bench(0, &fake.address(), &format!("{args} -d 2s -w 0"));
        let field = if args.starts_with("e2e") { "e2e_us" } else { "ack_us" };
        let latency = &json[field];
        assert_eq!(latency["count"], 200, "{args}: every request counts: {json}");
        assert!(number(latency, "max") >= 0.95 * us, "{args}: {json}");
        // The slowest tenth, 20 requests, were due in the stall's first 0.2 s.
        assert!(number(latency, "p90") >= 0.7 * us, "{args}: {json}");
        assert!(number(latency, "p75") >= 0.4 * us, "{args}: {json}");
    }
}

#[test]
fn a_broker_that_vanishes_leaves_what_was_measured() {
    for args in
        ["produce --rate 500 -d 20s -w 0", "produce -d 20s -w 0", "e2e --rate 500 -d 20s -w 0"]
    {
        let fake = Fake::start(Fault::Vanish(50));
        // It may come back until the timeout ends.
        let (json, errors) = bench(74, &fake.address(), &format!("{args} --timeout 1s"));
        assert_eq!(json["complete"], false, "{args}: {json}");
        let reason = json["reason"].as_str().expect("a reason");
        assert!(reason.contains(&fake.address()), "{args}: {reason}");
        assert!(errors.lines().last().expect("a line").contains(reason), "{errors}");
        assert!(number(&json, "requests") > 0.0, "{args}: {json}");
        let field = if args.starts_with("e2e") { "e2e_us" } else { "ack_us" };
        assert!(number(&json, &format!("{field}/count")) > 0.0, "{args}: {json}");
    }
}

/// Apache Kafka names the leaders of a new topic some time before they know of it.
#[test]
fn leaders_of_a_new_topic_may_come_late() {
    for args in ["produce --count 20 --no-verify", "e2e --rate 100 -d 200ms -w 0"] {
        let fake = Fake::start(Fault::LateLeader(3));
        let (json, errors) = bench(0, &fake.address(), args);
        assert_eq!((json["complete"].as_bool(), errors.as_str()), (Some(true), ""), "{args}");
    }
}

#[test]
fn a_broker_that_does_not_answer_ends_the_run() {
    for args in ["produce --rate 500 -d 20s -w 0", "produce -d 20s -w 0"] {
        let fake = Fake::start(Fault::Silent(50));
        let (json, errors) = bench(74, &fake.address(), &format!("{args} --timeout 1s"));
        assert_eq!(json["complete"], false, "{args}: {json}");
        assert!(errors.contains("did not answer within 1 s"), "{errors}");
        // What waited is charged for it.
        assert!(number(&json, "ack_us/max") >= 0.9e6, "{json}");
    }
}

#[test]
fn rates_that_nobody_can_send_are_the_benchs_own_limit() {
    let fake = Fake::start(Fault::None);
    let (json, errors) = bench(0, &fake.address(), "produce --rate 900M -d 300ms -w 0 -s 16");
    assert_eq!(json["saturated"], "bench", "{json}");
    assert!(errors.contains("the bench was saturated, not the broker"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(number(&json, "unsent") > 0.0);
    // A broker that stands still is the broker's.
    let fake = Fake::start(Fault::Stall(20, Duration::from_secs(1)));
    let (json, errors) =
        bench(0, &fake.address(), "produce --rate 200 -d 600ms -w 0 --connections 1 --inflight 1");
    assert_eq!(json["saturated"], "broker", "{json}");
    assert!(errors.contains("the broker was saturated"), "{errors}");
}

#[test]
fn topics_with_other_settings_are_refused() {
    let fake = Fake::start(Fault::None);
    let at = fake.address();
    bench(0, &at, "produce --count 10 --partitions 2 --keep");
    let e = |args: &str| {
        let ended = ended(&format!("produce --count 1 -b {at} {args}"));
        assert!(ended.out.is_empty());
        ended.failed(1)
    };
    assert!(e("--partitions 3").contains("2 partitions, not 3"));
    assert!(e("--replication-factor 3").contains("1 replicas, not 3"));
    assert!(fake.deleted().is_empty(), "what the run did not create stays");
    // What nobody asked for may be as it is.
    bench(0, &at, "produce --count 10");
    assert_eq!(fake.records("klamm-bench"), 2 + 10 + 2 + 10);
}

#[test]
fn wrong_usage_is_told_before_anything_happens() {
    let dir = Scratch::new("usage");
    let text = dir.arg("text");
    fs::write(&text, "no JSON").expect("a file");
    for (code, args, want) in [
        (2, "produce --rate 0", "--rate"),
        (2, "produce --acks 2", "--acks"),
        (2, "produce --acks 1 --idempotent", "--acks all"),
        (2, "produce --record-size 900MiB --batch 9", "1 GiB"),
        (2, "produce --duration soon", "--duration"),
        (2, "produce --cpu x", "--cpu"),
        (2, "produce --cpu 1023", "core 1023"),
        (2, "produce --broker-pid 4294967295", "4294967295"),
        (2, "produce --keys 5", "--key-size"),
        (2, "produce --topic a/b", "topic name"),
        (2, "e2e --record-size 8", "16 bytes"),
        (74, "produce --plot /nowhere/at/all.svg", "/nowhere/at/all.svg"),
        (74, "produce --hgrm /proc/x.hgrm", "/proc/x.hgrm"),
        (74, "--compare /nowhere/a.json /nowhere/b.json", "/nowhere/a.json"),
        (1, &format!("--compare {text} {text}"), "--json"),
    ] {
        let e = ended(args).failed(code);
        assert!(e.contains(want), "{args}: {e}");
    }
    let help = ended("--help").done();
    assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
}

/// Every element that begins ends, in order, and no character is left that XML wants escaped.
fn check_xml(text: &str) {
    let mut open = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        assert!(!before.contains('>'), "{before}");
        for entity in before.split('&').skip(1) {
            let end = entity.find(';').expect("an entity ends");
            assert!(["amp", "lt", "gt", "quot"].contains(&&entity[..end]), "{entity}");
        }
        let end = tag.find('>').expect("a tag ends");
        let tag = &tag[1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_matches('/').split_whitespace().next().expect("a name").to_owned();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = &rest[at + end + 2..];
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn plots_logs_and_comparisons() {
    let dir = Scratch::new("plots");
    let path = |name: &str| dir.arg(name);
    let fake = Fake::start(Fault::None);
    let at = fake.address();
    let (first, _) = bench(0, &at, "produce --rate 200 -d 300ms -w 0 --label <a&b>");
    fs::write(path("first.json"), first.to_string()).expect("a file");
    let (plot, hgrm) = (path("plot.svg"), path("log.hgrm"));
    let args = format!(
        "e2e --rate 200 -d 300ms -w 0 --label second --plot {plot} --hgrm {hgrm} --overlay {}",
        path("first.json")
    );
    let (second, _) = bench(0, &at, &args);
    fs::write(path("second.json"), second.to_string()).expect("a file");
    let svg = fs::read_to_string(&plot).expect("a plot");
    check_xml(&svg);
    for series in ["&lt;a&amp;b&gt;, acknowledged", "second, end to end", "second, acknowledged"] {
        assert!(svg.contains(series), "{series}: {svg}");
    }
    assert_eq!(svg.matches("<polyline").count(), 3);
    let log = fs::read_to_string(&hgrm).expect("a log");
    assert!(log.trim_start().starts_with("Value"), "{log}");
    let total = format!("Total count    = {:12}]", number(&second, "e2e_us/count"));
    assert!(log.contains(&total), "{total}: {log}");

    let both = path("both.svg");
    let files = [path("first.json"), path("second.json")];
    let table = ended(&format!("--compare {} {} --plot {both}", files[0], files[1])).done();
    assert!(table.contains("ratio") && table.contains("acknowledged p99 µs"), "{table}");
    assert!(table.contains("the runs differ in: workload (produce, e2e)"), "{table}");
    check_xml(&fs::read_to_string(&both).expect("a plot"));
    let json = ended(&format!("--json --compare {} {}", files[0], files[0])).done();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["figures"]["requests/s"]["ratios"][1], 1.0, "{json}");
}
