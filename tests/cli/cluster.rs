//! Three brokers, looked at and administered: `klamm cluster` and Kafka's tools that need several brokers.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;
use support::program::{ended, ended_with_input};
use support::{Broker, Scratch, broker_can_run, free_port, klamm, wait_for};

/// How long a cluster may take for what it does by itself.
const PATIENCE: Duration = Duration::from_mins(2);

/// Brokers 1 to 3, and room for one more.
struct Three {
    home: Scratch,
    ports: Vec<u16>,
    admin: Vec<u16>,
    /// Where the fourth one listens for brokers.
    peer: u16,
    voters: String,
    brokers: Vec<Option<Broker>>,
}

impl Three {
    fn start(name: &str) -> Self {
        let ports = (0..4).map(|_| free_port()).collect();
        let admin = (0..4).map(|_| free_port()).collect();
        let voters: Vec<String> =
            (1..=3).map(|id| format!("{id}@127.0.0.1:{}", free_port())).collect();
        let home = Scratch::new(name);
        let (peer, voters, brokers) =
            (free_port(), voters.join(","), (0..4).map(|_| None).collect());
        let mut this = Self { home, ports, admin, peer, voters, brokers };
        (1..=3).for_each(|id| this.spawn(id));
        this.brokers = this.brokers.into_iter().map(|it| it.map(Broker::ready)).collect();
        this.wait("three brokers", |it| it.status()["brokers"].as_array().map(Vec::len) == Some(3));
        this.wait("a cluster that is well", |it| it.status()["healthy"] == true);
        this
    }

    fn data(&self, id: usize) -> PathBuf {
        self.home.join(format!("data-{id}"))
    }

    fn spawn(&mut self, id: usize) {
        let node = id.to_string();
        let admin = format!("127.0.0.1:{}", self.admin[id - 1]);
        let first = self.voters.split(['@', ',']).nth(1).unwrap_or_default();
        let peer = format!("127.0.0.1:{}", self.peer);
        let founds = ["--voters", &self.voters];
        let joins = ["--join", first, "--peer-listen", &peer];
        let in_which = if id <= 3 { &founds[..] } else { &joins };
        let who = [&["--node-id", &node, "--admin-listen", &admin], in_which].concat();
        let small = ["--shards", "1", "--memory", "64MiB", "--journal", "16MiB"];
        let few = ["--override", "offsets.topic.num.partitions=2"];
        let args = [&who[..], &small, &few].concat();
        let broker = Broker::spawn(&self.data(id), self.home.path(), self.ports[id - 1], &args);
        self.brokers[id - 1] = Some(broker);
    }

    fn bootstrap(&self) -> String {
        let all: Vec<String> = self.ports[..3].iter().map(|it| format!("127.0.0.1:{it}")).collect();
        all.join(",")
    }

    /// `klamm` with these words, of which `@` names the brokers: exit code, output, errors.
    fn run(&self, line: &str) -> (i32, String, String) {
        let mut command = support::command(klamm());
        for word in line.split_whitespace() {
            match word {
                "@" => command.args(["--bootstrap-server", &self.bootstrap()]),
                _ => command.arg(word),
            };
        }
        ended(command.current_dir(self.home.path())).parts()
    }

    #[track_caller]
    fn done(&self, line: &str) -> String {
        let (code, out, err) = self.run(line);
        assert_eq!((code, &*err), (0, ""), "{line}: {out}");
        out
    }

    /// It ends with exit code 1, and says this.
    #[track_caller]
    fn fails(&self, line: &str, why: &str) {
        let (code, out, err) = self.run(line);
        assert!(
            code == 1 && (err.contains(why) || out.contains(why)),
            "{line}: {code} {out} {err}"
        );
    }

    fn status(&self) -> Value {
        let (_, out, _) = self.run("cluster status --json @");
        serde_json::from_str(&out).unwrap_or_default()
    }

    #[track_caller]
    fn wait(&self, what: &str, probe: impl Fn(&Self) -> bool) {
        let found = wait_for(PATIENCE, || probe(self).then_some(()));
        assert!(found.is_some(), "no {what}: {}", self.status());
    }

    fn of_broker(&self, id: i64, name: &str) -> i64 {
        let status = self.status();
        let found =
            status["brokers"].as_array().and_then(|all| all.iter().find(|it| it["id"] == id));
        found.and_then(|it| it[name].as_i64()).unwrap_or(-1)
    }

    /// How many nodes of the quorum vote; one that leads does.
    fn votes(&self) -> usize {
        let status = self.status();
        let members = status["quorum"]["members"].as_array();
        members.map_or(0, |all| all.iter().filter(|it| it["role"] == "voter").count())
    }

    /// How many Produce requests were counted that waited for replicas.
    fn replicated(&self) -> u64 {
        let count = |port: &u16| {
            let page = metrics(*port).unwrap_or_default();
            let of = |line: &str| {
                let (name, value) = line.rsplit_once(' ')?;
                let counted = name.starts_with("klamm_produce_stage_seconds_count{");
                (counted && name.contains("stage=\"replicate\""))
                    .then(|| value.parse::<u64>().ok())?
            };
            page.lines().filter_map(of).sum::<u64>()
        };
        self.admin.iter().map(count).sum()
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.home.join(name), text).expect("a file");
    }
}

/// The figures of a broker.
fn metrics(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

#[test]
fn a_cluster_is_administered() {
    if !broker_can_run() {
        return;
    }
    let mut three = Three::start("cluster-tools");
    three.done("kafka-topics @ --create --topic a --replica-assignment 1:2,2:1,1:2,2:1");

    // What waits for replicas is counted, and all brokers are watched at once.
    assert_eq!(three.replicated(), 0);
    let mut produce = support::command(klamm());
    produce.args(["produce", "a", "--bootstrap", &three.bootstrap()]);
    ended_with_input(&mut produce, "one\ntwo\n").done();
    assert!(three.replicated() > 0);
    let admin: Vec<String> = three.admin[..3].iter().map(|it| format!("127.0.0.1:{it}")).collect();
    let top = three.done(&format!(
        "top --json --count 1 --interval 0.1 --admin {},127.0.0.1:{}",
        admin.join(","),
        free_port()
    ));
    let top: Value = serde_json::from_str(&top).expect("JSON");
    let is = |name: &str| {
        let brokers = top["brokers"].as_array().expect("a list");
        brokers.iter().filter(|it| it[name] == true).count()
    };
    assert_eq!(
        (is("up"), is("controller"), &top["partitions"]),
        (3, 1, &Value::from(4.0)),
        "{top}"
    );

    // Kafka's tools by name.
    let out = three.done("kafka-cluster list-endpoints @");
    assert_eq!(out.lines().count(), 4, "{out}");
    let out = three.done("kafka-metadata-quorum @ describe --replication");
    let roles = |role: &str| out.lines().filter(|it| it.contains(role)).count();
    assert_eq!((roles("Leader"), roles("Follower"), roles("Observer")), (1, 2, 0), "{out}");
    let out = three.done("kafka-metadata-quorum @ describe --status");
    assert!(out.contains("CurrentObservers:       []\n"), "{out}");
    three.file(
        "move.json",
        r#"{"partitions":[{"topic":"a","partition":1,"replicas":[3,1]}],"version":1}"#,
    );
    // The leader is one of those that give it up, and hears of that after the one that gets it.
    let line = "kafka-reassign-partitions @ --reassignment-json-file move.json";
    let out = three.done(&format!("{line} --execute"));
    assert!(out.ends_with("Successfully started partition reassignment for a-1\n"), "{out}");
    three.wait("end of the reassignment", |it| {
        let out = it.done(&format!("{line} --verify --preserve-throttles"));
        out.contains("Reassignment of partition a-1 is completed.")
    });
    three.fails(&format!("{line} --cancel --throttle 5"), "can't be used with action");
    let out =
        three.done("kafka-leader-election @ --election-type preferred --topic a --partition 0");
    assert_eq!(out, "Valid replica already elected for partitions a-0\n");

    // Evening out, then away from a broker.
    let (code, _, err) = three.run("cluster reassign @");
    assert!(code == 2 && err.contains("--yes"), "{err}");
    let out = three.done("cluster reassign @ --dry-run --json");
    let plan: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&plan["done"], plan["replicas_to_copy"].as_u64()), (&Value::Bool(false), Some(1)));
    assert!(three.done("cluster reassign @ --yes").contains("partitions are even"));
    assert_eq!(three.of_broker(3, "holds"), 2);
    assert!(three.done("cluster reassign @ --yes").contains("0 partitions moved"));
    three.fails("cluster drain @ 9", "not registered");
    three.fails("cluster remove @ 3", "klamm cluster drain 3");
    assert!(three.done("cluster drain @ 3").contains("broker 3 holds nothing any more"));
    assert_eq!(three.of_broker(3, "holds"), 0);
    assert!(three.done("cluster drain @ 3").contains("0 partitions moved"));
    three.fails("cluster join @ 9", "does not follow the quorum");
    assert_eq!(three.done("cluster join @ 1"), "node 1 votes already\n");

    // Another one comes, and gets a vote.
    three.spawn(4);
    let fourth = three.brokers[3].take().expect("just started");
    three.brokers[3] = Some(fourth.ready());
    three.wait("four brokers", |it| it.votes() == 3 && it.of_broker(4, "holds") == 0);
    assert_eq!(three.done("cluster join @ 4"), "node 4 votes now\n");
    three.wait("four votes", |it| it.votes() == 4);

    // It leaves: its vote first, then, when it has stopped, the rest. Whoever leads the quorum stops before that.
    let leads = three.status()["quorum"]["leader"] == 3;
    if !leads {
        three.fails("cluster remove @ 3", "still runs");
        three.wait("three votes", |it| it.votes() == 3);
    }
    three.brokers[2].take().expect("it runs").stop();
    three.wait("news of the stop", |it| {
        let status = it.status();
        status["problems"].to_string().contains("broker 3 fenced")
    });
    let out = three.done("cluster remove @ 3");
    assert!(out.contains("broker 3 does not belong to the cluster any more"), "{out}");
    three.wait("three brokers", |it| it.status()["brokers"].as_array().map(Vec::len) == Some(3));
    three.wait("a cluster that is well", |it| it.status()["healthy"] == true);
    assert_eq!(three.votes(), 3);
}
