//! The command line's errors: one line that says what to do, and an exit code that means something.

use std::fs::{self, File};
use std::net::TcpListener;
use support::canned::Canned;
use support::{Ended, Scratch, klamm, run};

fn ended(args: &[&str]) -> Ended {
    run(klamm(), args)
}

/// Runs it, expects this exit code and nothing but one line of error; returns the line.
fn fails(code: i32, args: &[&str]) -> String {
    let ended = ended(args);
    assert!(ended.out.is_empty(), "{args:?} prints no result");
    let line = ended.failed(code);
    assert!(line.starts_with("klamm: "), "{line}");
    line
}

#[test]
fn wrong_flags_say_what_to_do() {
    let e = fails(2, &["serve", "--lisen", "127.0.0.1:9092"]);
    assert!(e.contains("'--listen'") && e.contains("klamm serve --help"), "{e}");
    assert!(fails(2, &["srve"]).contains("serve"));
    assert!(fails(2, &["topic", "create"]).contains("klamm topic create --help"));
    assert!(fails(2, &["serve", "--memory", "lots"]).contains("512MiB"));
    assert!(fails(2, &["serve", "--listen", "0.0.0.0:9092"]).contains("--advertise"));
    assert!(fails(2, &["serve", "--shards", "0"]).contains("whole number"));
    assert!(fails(2, &["serve", "--join", "a", "--voters", "1@a:1"]).contains("--voters"));
    assert!(fails(2, &["recover-quorum"]).contains("--data"));
    assert!(fails(78, &["recover-quorum", "--data", "/nowhere"]).contains("no such directory"));
    assert!(fails(2, &["topic", "create", "a b"]).contains("topic name"));
    assert!(fails(2, &["topic", "create", "a", "--partitions", "0"]).contains("--partitions"));
    assert!(fails(2, &["topic", "alter", "a"]).contains("nothing to change"));
    assert!(fails(2, &["topic", "create", "a", "--partitions=-3"]).contains("--partitions"));
    assert!(fails(2, &["topic", "list", "-b", "a:b:c:d,x:"]).contains("HOST:PORT"));
    assert!(fails(2, &["config", "describe"]).contains("--topic"));
    assert!(fails(2, &["config", "describe", "--topic", "a", "--brokers"]).contains("--brokers"));
    assert!(fails(2, &["config", "set", "--topic", "a b", "x=y"]).contains("topic name"));
    assert!(fails(2, &["config", "set", "--topic", "a", "x"]).contains("NAME=VALUE"));
    assert!(fails(2, &["config", "unset", "--topic", "a", "x=y"]).contains("without a value"));
    assert!(fails(2, &["produce", "a", "--acks", "2"]).contains("--acks"));
    assert!(fails(2, &["produce", "a", "--acks", "1", "--idempotent"]).contains("--acks all"));
    assert!(fails(2, &["produce", "a", "--header", "x"]).contains("NAME=VALUE"));
    assert!(fails(2, &["consume", "a", "--offset", "soon"]).contains("earliest"));
    assert!(fails(2, &["consume", "a", "-f", "--offset", "1"]).contains("--offset"));
    assert!(fails(2, &["consume", "a", "--timeout=-1"]).contains("seconds"));
    assert!(fails(2, &["cluster", "drain"]).contains("klamm cluster drain --help"));
    assert!(fails(2, &["cluster", "drain", "x"]).contains("'x'"));
    assert!(fails(2, &["cluster", "drain", "1", "--throttle", "fast"]).contains("--throttle"));
    assert!(fails(2, &["cluster", "reassign", "--at-a-time", "0"]).contains("--at-a-time"));
    assert!(fails(2, &["cluster", "join", "1", "--timeout=-1"]).contains("--timeout"));
    assert!(fails(2, &["cluster", "remove", "1", "2"]).contains("'2'"));
    assert!(fails(2, &["cluster", "status", "now"]).contains("'now'"));
    assert!(fails(2, &["mirror", "--from", "a:1"]).contains("--to"));
    let mirror = ["mirror", "--from", "a:1", "--to", "b:1"];
    assert!(fails(2, &[&mirror[..], &["--topics", "["]].concat()).contains("regular expression"));
    assert!(fails(2, &[&mirror[..], &["--interval", "0"]].concat()).contains("--interval"));
    assert!(fails(2, &[&mirror[..], &["--prefix", "a b"]].concat()).contains("topic name"));
}

#[test]
fn help_has_examples_and_goes_to_the_standard_output() {
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["topic", "--help"],
        &["topic", "create", "--help"],
        &["produce", "--help"],
        &["consume", "--help"],
        &["mirror", "--help"],
        &["bench", "--help"],
        &["bench", "produce", "--help"],
        &["bench", "e2e", "--help"],
        &["bench", "consume", "--help"],
        &["bench", "connections", "--help"],
        &["log", "--help"],
        &["config", "--help"],
        &["cluster", "--help"],
        &["cluster", "status", "--help"],
        &["cluster", "reassign", "--help"],
        &["cluster", "drain", "--help"],
        &["cluster", "join", "--help"],
        &["cluster", "remove", "--help"],
        &["config", "set", "--help"],
        &["recover-quorum", "--help"],
        &["install-tools", "--help"],
        &["completions", "--help"],
        &["man", "--help"],
    ] {
        let text = ended(args).quietly_done();
        assert!(text.contains("Examples:\n") && text.contains("  klamm "), "{args:?}: {text}");
    }
    assert!(ended(&["--version"]).done().starts_with("klamm "));
}

#[test]
fn a_broker_that_cannot_be_reached() {
    // Bound, never accepted from, closed: nobody listens there now.
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let broker = format!("127.0.0.1:{port}");
    for args in [
        &["topic", "list", "-b", &broker][..],
        &["topic", "create", "a", "-b", &broker],
        &["produce", "a", "-b", &broker],
        &["consume", "a", "-b", &broker],
        &["config", "describe", "--topic", "a", "-b", &broker],
        &["config", "set", "--brokers", "a=b", "-b", &broker],
        &["mirror", "--from", &broker, "--to", &broker],
    ] {
        let e = fails(74, args);
        assert!(e.contains(&broker) && e.contains("connection refused"), "{e}");
    }
}

#[test]
fn another_server_on_the_port() {
    for (answer, why) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "TLS"),
        (b"\xff\xff\xff\xff", "makes no sense"),
        (b"\x00\x00\x00\x08\x00\x00\x00\x63\x00\x00\x00\x00", "makes no sense"),
        (b"", "closed the connection"),
    ] {
        let server = Canned::start(answer, 1);
        let e = fails(74, &["topic", "list", "-b", server.address()]);
        assert!(e.contains("not a Kafka broker") && e.contains(why), "{e}");
        server.join();
    }
}

#[test]
fn serve_refuses_wrong_configuration() {
    let dir = Scratch::new("cli-config");
    let (file, name) = (dir.join("klamm.toml"), &*dir.arg("klamm.toml"));
    assert!(fails(78, &["serve", "--config", name]).contains(name));
    fs::write(&file, "lisen = '127.0.0.1:9092'").expect("a file");
    assert!(fails(78, &["serve", "--config", name]).contains("did you mean 'listen'"));
    fs::write(&file, "[broker]\nnum.partition = 3").expect("a file");
    assert!(fails(78, &["serve", "--config", name]).contains("num.partitions"));
    assert!(fails(78, &["serve", "--data", name]).contains("--data DIR"));
    // Nothing can be made there.
    assert!(fails(73, &["serve", "--data", "/proc/klamm/data"]).contains("--data DIR"));
}

#[test]
fn serve_refuses_a_directory_that_is_in_use_untouched() {
    let dir = Scratch::new("cli-in-use");
    let lock = File::create(dir.join("LOCK")).expect("a file");
    lock.try_lock().expect("nobody else's");
    let e = fails(78, &["serve", "--data", &dir.arg(""), "--listen", "127.0.0.1:0"]);
    assert!(e.contains("in use"), "{e}");
    let left: Vec<_> = fs::read_dir(dir.path()).expect("a directory").collect();
    assert_eq!(left.len(), 1, "only the lock file");
}

#[test]
fn log_commands_want_a_data_directory() {
    let dir = Scratch::new("cli-log");
    assert!(fails(78, &["log", "inspect", &dir.arg("")]).contains("not a data directory"));
    assert!(fails(74, &["log", "verify", &dir.arg("none")]).contains("none"));
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0, "nothing is written");
}
