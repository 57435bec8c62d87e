//! Kafka's tools under their own names: messages, streams and exit codes, and a broker that is
//! started, used and stopped as tutorials do it.

use std::fs;
use support::canned::Canned;
use support::clock::PATIENCE;
use support::program::ended;
use support::{Broker, Ended, Scratch, broker_can_run, free_port, klamm, run, wait_for};

/// A directory of this test's own with the tools installed.
fn installed(name: &str) -> Scratch {
    let home = Scratch::new(&format!("tools-{name}"));
    run(klamm(), &["install-tools", &home.arg("")]).done();
    home
}

/// `klamm` with arguments, run in a directory.
fn klamm_in(home: &Scratch, args: &[&str]) -> Ended {
    ended(support::command(klamm()).args(args).current_dir(home.path()))
}

/// Runs a tool by its link; returns exit code, standard output and standard error output.
fn tool(home: &Scratch, line: &str) -> (i32, String, String) {
    tool_ended(home, line).parts()
}

fn tool_ended(home: &Scratch, line: &str) -> Ended {
    let mut words = line.split_whitespace();
    let link = home.join("bin").join(words.next().expect("a tool"));
    ended(support::command(link).args(words).current_dir(home.path()))
}

/// The tool succeeds and says nothing on the standard error output; returns what it prints.
#[track_caller]
fn done(home: &Scratch, line: &str) -> String {
    tool_ended(home, line).quietly_done()
}

/// The tool fails with exit code 1 and one line, wherever Kafka's tool writes it; returns the line.
#[track_caller]
fn fails(home: &Scratch, line: &str) -> String {
    tool_ended(home, line).failed(1)
}

/// A broker that `kafka-server-start.sh` runs with `config/server.properties`.
fn start_broker(home: &Scratch, more: &[&str]) -> Broker {
    let port = free_port();
    let listener = format!("listeners=PLAINTEXT://127.0.0.1:{port}");
    let advertised = format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port}");
    let data = format!("log.dirs={}", home.arg("data"));
    let mut command = support::command(home.join("bin/kafka-server-start.sh"));
    command.arg("config/server.properties").current_dir(home.path());
    let small = ["klamm.shards=1", "klamm.memory=64MiB", "klamm.journal=16MiB"];
    for setting in [&listener[..], &advertised, &data].iter().chain(&small).chain(more) {
        command.args(["--override", setting]);
    }
    Broker::spawn_command(command, &home.join("data"), home.path(), port).ready()
}

#[test]
fn installing_twice_changes_nothing_and_spares_what_is_foreign() {
    let home = installed("install");
    for name in ["kafka-topics", "kafka-topics.sh", "kafka-topic.sh", "kafka-server-start.sh"] {
        assert!(home.join("bin").join(name).is_symlink(), "{name}");
    }
    let settings = home.join("config/server.properties");
    fs::write(&settings, "node.id=9\n").expect("a file");
    let foreign = home.join("bin/kafka-configs.sh");
    fs::remove_file(&foreign).expect("a link");
    fs::write(&foreign, "mine").expect("a file");
    let dir = &*home.arg("");
    let (code, _, said) = klamm_in(&home, &["install-tools", dir]).parts();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("kafka-configs.sh") && said.contains("--force"), "{said}");
    assert_eq!(fs::read(&foreign).expect("a file"), b"mine");
    assert_eq!(fs::read(&settings).expect("a file"), b"node.id=9\n");
    klamm_in(&home, &["install-tools", dir, "--force"]).done();
    assert!(foreign.is_symlink());
    let only = home.join("links");
    klamm_in(&home, &["install-tools", "--only-links", &home.arg("links")]).done();
    assert!(only.join("kafka-topics").is_symlink() && !only.join("config").exists());
}

#[test]
fn tools_answer_to_their_names() {
    let home = installed("names");
    let (code, out, _) = tool(&home, "kafka-topics.sh --version");
    assert!(code == 0 && out.starts_with("4.3.1 (Klamm "), "{out}");
    assert_eq!(klamm_in(&home, &["kafka-topics", "--version"]).done(), out);
    for name in ["kafka-topics", "kafka-configs", "kafka-log-dirs", "kafka-get-offsets"] {
        let (code, out, err) = tool(&home, &format!("{name} --help"));
        assert_eq!((code, out.as_str()), (1, ""), "{name}");
        assert!(err.contains("\n--bootstrap-server <String: "), "{err}");
        let (code, _, without) = tool(&home, name);
        assert!(code == 1 && without.contains("Description"), "{without}");
    }
    let out = done(&home, "zookeeper-server-start.sh config/zookeeper.properties");
    assert!(out.contains("no ZooKeeper"), "{out}");
    done(&home, "zookeeper-server-stop.sh");
    assert!(fails(&home, "zookeeper-shell localhost:2181").contains("--bootstrap-server"));
    assert_eq!(
        fails(&home, "kafka-server-stop.sh --node-id=1999999999"),
        "No kafka server to stop"
    );
}

#[test]
fn wrong_usage_gets_kafkas_words() {
    let home = installed("usage");
    for (line, want) in [
        ("kafka-topics --bootstrap-server a:1 --foo", "foo is not a recognized option"),
        (
            "kafka-topics --bootstrap-server a:1 --delete --topic",
            "Option topic requires an argument",
        ),
        ("kafka-topics --list", "--bootstrap-server must be specified"),
        ("kafka-topics --list --bootstrap-server a", "write it as HOST:PORT"),
        ("kafka-configs --bootstrap-server a:1 --describe", "At least one entity type"),
        ("kafka-get-offsets --bootstrap-server a:1 --time soon", "Malformed time argument soon"),
        ("kafka-topics --list --bootstrap-server a:1 --command-config none", "none: No such file"),
    ] {
        let said = fails(&home, line);
        assert!(said.contains(want), "{line}: {said}");
    }
    let (code, out, err) = tool(&home, "kafka-topics --bootstrap-server a:1 --list --create");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.starts_with("Command must include exactly one action: --list, --describe,"),
        "{err}"
    );
}

#[test]
fn a_broker_that_is_not_there_and_one_that_is_none() {
    let home = installed("unreachable");
    let address = format!("127.0.0.1:{}", free_port());
    fs::write(home.join("r.json"), r#"{"partitions":[]}"#).expect("a file");
    let tools = [
        "kafka-topics --list",
        "kafka-configs --describe --topic a",
        "kafka-get-offsets --topic a",
        "kafka-log-dirs --describe",
        "kafka-broker-api-versions",
        "kafka-delete-records --offset-json-file r.json",
    ];
    for line in tools {
        let said = fails(&home, &format!("{line} --bootstrap-server {address}"));
        assert!(said.contains(&address) && said.contains("--bootstrap-server right?"), "{said}");
    }
    let server = Canned::start(b"HTTP/1.1 400 Bad Request\r\n\r\n", tools.len());
    let address = server.address().to_owned();
    for line in tools {
        let said = fails(&home, &format!("{line} --bootstrap-server {address}"));
        assert!(said.contains("not a Kafka broker") && said.contains("HTTP"), "{said}");
    }
    server.join();
}

#[test]
fn zookeepers_address_means_the_broker_beside_it() {
    let home = installed("zookeeper");
    // Nobody runs a broker on a name that no resolver knows.
    let (code, out, err) = tool(&home, "kafka-topics.sh --list --zookeeper h.invalid:2181/kafka");
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 2, "{err}");
    assert!(lines[0].starts_with("--zookeeper h.invalid:2181/kafka: "), "{err}");
    assert!(lines[0].contains("--bootstrap-server h.invalid:9092"), "{err}");
    assert!(lines[1].contains("cannot reach a broker at h.invalid:9092"), "{err}");
}

#[test]
fn server_properties_that_cannot_be() {
    let home = installed("properties");
    for (text, want) in [
        ("listeners=SSL://:9093", "PLAINTEXT"),
        ("log.dirs=/a,/b", "one directory"),
        ("num.partitions=none", "num.partitions"),
        ("node.id=1\nbroker.id=2", "same value"),
        ("klamm.memory=lots", "512MiB"),
    ] {
        fs::write(home.join("s.properties"), text).expect("a file");
        let said = fails(&home, "kafka-server-start.sh s.properties");
        assert!(said.starts_with("s.properties: ") && said.contains(want), "{said}");
    }
    assert!(fails(&home, "kafka-server-start none").contains("property file none"));
    assert!(fails(&home, "kafka-server-start").contains("USAGE: "));
}

#[test]
fn a_broker_from_start_to_stop() {
    if !broker_can_run() {
        return;
    }
    let home = installed("broker");
    // What the stock files of Kafka 2 and 4 set.
    let stock = [
        "num.network.threads=3",
        "num.io.threads=8",
        "socket.send.buffer.bytes=102400",
        "zookeeper.connect=localhost:2181",
        "log.retention.check.interval.ms=300000",
        "process.roles=broker,controller",
        "controller.quorum.bootstrap.servers=localhost:9093",
    ];
    let id = format!("node.id={}", 1_000_000_000 + std::process::id());
    let mut broker = start_broker(&home, &[&stock[..], &[&id]].concat());
    for name in ["num.network.threads", "zookeeper.connect", "log.retention.check.interval.ms"] {
        assert!(broker.log().contains(name), "{name} is named: {}", broker.log());
    }
    assert!(!broker.log().contains("process.roles"), "{}", broker.log());
    let address = broker.bootstrap();
    let b = format!("--bootstrap-server {address}");

    assert_eq!(
        done(&home, &format!("kafka-topics.sh {b} --create --topic a --partitions 2")),
        "Created topic a.\n"
    );
    let create = format!("kafka-topics {b} --create");
    for (rest, want) in [
        ("--topic a", "Topic 'a' already exists."),
        ("--topic b?", "'b?' contains one or more characters other than ASCII"),
        ("--topic b --partitions -3", "The partitions must be greater than 0"),
        ("--topic b --replication-factor 3", "only 1 broker(s) are registered"),
        ("--topic b --replication-factor 0", "must be between 1 and 32767"),
        ("--topic b --config x=y", "Unknown topic config name: x"),
    ] {
        let (code, out, err) = tool(&home, &format!("{create} {rest}"));
        assert_eq!((code, err.as_str()), (1, ""), "{rest}");
        assert!(out.starts_with("Error while executing topic command : "), "{out}");
        assert!(out.contains(want) && out.lines().count() == 1, "{rest}: {out}");
    }
    assert_eq!(done(&home, &format!("{create} --topic a --if-not-exists")), "");
    let (_, out, _) = tool(&home, &format!("{create} --topic x_y"));
    assert!(out.starts_with("WARNING: Due to limitations in metric names"), "{out}");
    assert_eq!(done(&home, &format!("kafka-topic.sh {b} --list")), "a\nx_y\n");
    let described = done(&home, &format!("kafka-topics {b} --describe --topic a"));
    let lines: Vec<&str> = described.lines().collect();
    assert_eq!(lines.len(), 3, "{described}");
    assert!(
        lines[0].starts_with("Topic: a\tTopicId: ") && lines[0].contains("\tPartitionCount: 2\t")
    );
    assert!(lines[0].ends_with("\tReplicationFactor: 1\tConfigs: segment.bytes=1073741824"));
    assert!(lines[2].starts_with("\tTopic: a\tPartition: 1\tLeader: "), "{described}");
    done(&home, &format!("kafka-topics {b} --alter --topic a --partitions 3"));
    let offsets = done(&home, &format!("kafka-get-offsets {b} --topic a"));
    assert_eq!(offsets, "a:0:0\na:1:0\na:2:0\n");

    let configs = format!("kafka-configs {b} --topic a");
    let set = done(&home, &format!("{configs} --alter --add-config retention.ms=5"));
    assert_eq!(set, "Completed updating config for topic a.\n");
    let shown = done(&home, &format!("{configs} --describe"));
    assert_eq!(
        shown,
        "Dynamic configs for topic a are:\n  retention.ms=5 sensitive=false \
         synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=5}\n"
    );
    let klamm = |args: &[&str]| {
        let ended = klamm_in(&home, &[args, &["-b", &address]].concat());
        (ended.code, ended.out, ended.err)
    };
    let described = klamm(&["config", "describe", "--topic", "a", "--json"]);
    assert_eq!(described.0, Some(0));
    let json: serde_json::Value = serde_json::from_str(&described.1).expect("JSON");
    assert_eq!(json["retention.ms"]["value"], "5");
    assert_eq!(klamm(&["config", "unset", "--topic", "a", "retention.ms"]).0, Some(0));
    assert_eq!(klamm(&["config", "set", "--brokers", "log.retention.ms=77"]).0, Some(0));
    assert!(
        klamm(&["config", "describe", "--topic", "a"]).1.contains("retention.ms=77   all brokers")
    );
    let refused = klamm(&["config", "set", "--topic", "a", "retention.ms=x"]);
    assert_eq!((refused.0, refused.2.lines().count()), (Some(1), 1), "{refused:?}");
    assert_eq!(klamm(&["config", "describe", "--broker", "7"]).0, Some(1));
    let refused = klamm(&["topic", "create", "b", "--replication-factor", "3"]);
    assert_eq!((refused.0, refused.2.lines().count()), (Some(1), 1), "{refused:?}");
    assert!(refused.2.contains("only 1 broker(s) are registered"), "{refused:?}");

    fs::write(home.join("r.json"), r#"{"partitions":[{"topic":"a","partition":0,"offset":-1}]}"#)
        .expect("a file");
    let deleted = done(&home, &format!("kafka-delete-records {b} --offset-json-file r.json"));
    assert!(deleted.ends_with("partition: a-0\tlow_watermark: 0\n"), "{deleted}");
    let dirs = done(&home, &format!("kafka-log-dirs {b} --describe --topic-list a"));
    let json = dirs.lines().nth(2).expect("three lines");
    let json: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let partitions = &json["brokers"][0]["logDirs"][0]["partitions"];
    assert_eq!(partitions.as_array().map(Vec::len), Some(3), "{json}");
    let versions = done(&home, &format!("kafka-broker-api-versions {b}"));
    assert!(versions.contains("\n\tFetch(1): 4 to 18 [usable: 18],\n"), "{versions}");

    // Not the brokers of others that this user may run: only the one with this id.
    let stop = format!("kafka-server-stop.sh --{}", id.replace("node.id", "node-id"));
    assert_eq!(done(&home, &stop), "");
    assert_eq!(broker.end().code(), Some(0), "{}", broker.log());
    assert_eq!(fails(&home, &stop), "No kafka server to stop");
}

#[test]
fn a_directory_of_kafkas_own_is_left_alone() {
    if !broker_can_run() {
        return;
    }
    let home = installed("kafkas");
    let data = home.join("data");
    fs::create_dir_all(&data).expect("a directory");
    let settings = format!(
        "listeners=PLAINTEXT://127.0.0.1:{}\nlog.dirs={}\nklamm.log=error\nklamm.shards=1\n\
         klamm.memory=64MiB\n",
        free_port(),
        data.display()
    );
    fs::write(home.join("s.properties"), settings).expect("a file");
    for theirs in [
        "#\n#Sat Nov 21\nversion=1\nnode.id=1\ncluster.id=a\ndirectory.id=b\n",
        "#\n#Sat Nov 21\nversion=0\nbroker.id=0\n",
    ] {
        fs::write(data.join("meta.properties"), theirs).expect("a file");
        let said = fails(&home, "kafka-server-start.sh s.properties");
        assert!(said.contains("data of Apache Kafka") && said.contains("log.dirs"), "{said}");
        assert_eq!(fs::read(data.join("meta.properties")).expect("a file"), theirs.as_bytes());
    }
}

/// Ends the broker with this node id, however the test ends.
struct Stop<'a>(&'a Scratch, u32);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        tool(self.0, &format!("kafka-server-stop --node-id {}", self.1));
    }
}

#[test]
fn a_broker_in_the_background() {
    if !broker_can_run() {
        return;
    }
    let home = installed("daemon");
    let (port, id) = (free_port(), 1_100_000_000 + std::process::id());
    fs::write(
        home.join("s.properties"),
        format!(
            "broker.id={id}\nlisteners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs={}\n\
             klamm.shards=1\nklamm.memory=64MiB\nklamm.journal=16MiB\n",
            home.join("data").display()
        ),
    )
    .expect("a file");
    // Wrong settings are said here, not in a log that nobody looks into.
    let wrong = "kafka-server-start.sh -daemon s.properties --override num.partitions=none";
    assert!(fails(&home, wrong).contains("num.partitions"));
    let _stop = Stop(&home, id);
    assert_eq!(done(&home, "kafka-server-start.sh -daemon s.properties"), "");
    let log = home.join("logs/kafkaServer.out");
    let until = |what: &str, it_is: &dyn Fn() -> bool| {
        wait_for(PATIENCE, || it_is().then_some(())).unwrap_or_else(|| {
            panic!("{what}: {}", fs::read_to_string(&log).unwrap_or_default());
        });
    };
    until("it serves", &|| {
        let line = format!("kafka-broker-api-versions --bootstrap-server 127.0.0.1:{port}");
        tool(&home, &line).1.contains(&format!("(id: {id} "))
    });
    assert_eq!(done(&home, &format!("kafka-server-stop.sh --node-id {id}")), "");
    until("it ends", &|| {
        let log = fs::read_to_string(&log).unwrap_or_default();
        log.contains("everything is written back")
    });
}

#[test]
fn completions_and_pages_cover_the_subcommands() {
    let home = installed("manual");
    for shell in ["bash", "zsh", "fish"] {
        let script = klamm_in(&home, &["completions", shell]).done();
        assert!(script.contains("install-tools"), "{shell}");
    }
    let page = klamm_in(&home, &["man"]).done();
    assert!(page.contains(".TH klamm 1") && page.contains("install"), "{page}");
    let pages = home.join("man");
    klamm_in(&home, &["man", &home.arg("man")]).done();
    for name in ["klamm.1", "klamm-serve.1", "klamm-topic-create.1", "klamm-config-set.1"] {
        assert!(pages.join(name).is_file(), "{name}");
    }
    assert_eq!(klamm_in(&home, &["completions", "dos"]).code, Some(2));
}
