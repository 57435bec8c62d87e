//! Programs of others against the broker: kafka-python, kcat.

use std::io::Write as _;
use std::process::{Command, Stdio};

use conformance::{Broker, DataDir, programs};

#[test]
fn kafka_python() {
    let dir = DataDir::new("kafka-python");
    let broker = Broker::start(&dir, &[]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/clients.py");
    let output = Command::new(programs::python())
        .args(["-W", "error::ResourceWarning", script, &broker.bootstrap()])
        .output()
        .expect("Python");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.ends_with("all passed\n"),
        "{}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn kcat() {
    let Some(kcat) = programs::find("kcat").or_else(|| programs::find("kafkacat")) else {
        eprintln!("skipped: kcat is not installed (Debian: apt-get install kcat)");
        return;
    };
    let dir = DataDir::new("kcat");
    let broker = Broker::start(&dir, &[]);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("kcat-{codec}");
        let lines: Vec<_> = (0..500).map(|i| format!("{codec} line {i}\n")).collect();
        let text = lines.concat();
        let server = ["-b", &broker.bootstrap(), "-t", &topic].map(str::to_owned);
        let mut produce = Command::new(&kcat)
            .args(&server)
            .args(["-P", "-z", codec, "-X", "request.required.acks=-1"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("kcat");
        let mut input = produce.stdin.take().expect("its input");
        input.write_all(text.as_bytes()).expect("kcat reads");
        drop(input);
        assert!(produce.wait().expect("kcat").success());
        let consume = Command::new(&kcat)
            .args(&server)
            .args(["-C", "-e", "-q", "-o", "beginning", "-X", "check.crcs=true"])
            .output()
            .expect("kcat");
        assert!(consume.status.success(), "{}", String::from_utf8_lossy(&consume.stderr));
        assert_eq!(String::from_utf8_lossy(&consume.stdout), text, "{codec}");
    }
}
