//! A small file system of its own, filled up: errors, no hang, and service again when there is room.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use conformance::raw::{self, Client, error};
use conformance::{Broker, DataDir, free_port, now_ms, wait_for};

/// An ext4 in a file, mounted; unmounted at the end.
struct Mount {
    point: PathBuf,
}

impl Mount {
    /// `None`, with a message, where this user may not mount.
    fn new(dir: &Path, size: &str) -> Option<Self> {
        let (image, point) = (dir.join("disk.img"), dir.join("disk"));
        std::fs::create_dir_all(&point).expect("a mount point");
        let run = |program: &str, args: &[&str]| {
            let output = Command::new(program).args(args).output();
            output.is_ok_and(|o| {
                if !o.status.success() {
                    eprintln!("{program} {args:?}: {}", String::from_utf8_lossy(&o.stderr));
                }
                o.status.success()
            })
        };
        let (image, at) = (image.to_str().expect("UTF-8"), point.to_str().expect("UTF-8"));
        let mounted = run("truncate", &["-s", size, image])
            && run("mkfs.ext4", &["-q", "-F", "-m", "0", image])
            && run("mount", &["-o", "loop", image, at]);
        if mounted {
            return Some(Self { point });
        }
        eprintln!("skipped: no loop-mounted ext4 here (it takes root and mkfs.ext4)");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.point).status();
    }
}

#[test]
fn a_full_disk_gives_errors_and_comes_back() {
    let dir = DataDir::new("full-disk");
    let Some(mount) = Mount::new(dir.path(), "400M") else { return };
    let data = mount.point.join("data");
    let mut broker = Broker::start_on(
        &data,
        dir.path(),
        free_port(),
        &["--memory", "256MiB", "--journal", "64MiB"],
    );
    let mut client = Client::connect(broker.addr()).expect("a connection");
    let configs = [("file.delete.delay.ms", "0"), ("segment.bytes", "16777216")];
    assert_eq!(client.create_topic("big", 1, &configs).expect("an answer"), error::NONE);
    assert_eq!(client.create_topic("small", 1, &configs).expect("an answer"), error::NONE);

    let value = vec![7; 900 << 10];
    let batch = raw::batch(&[&value], now_ms(), crc32c::crc32c);
    let mut acknowledged = 0_i64;
    let refused = loop {
        // A read limit on the socket makes a hang a failure.
        let (code, base) = client.produce("big", 0, &batch).expect("an answer, not a hang");
        if code != error::NONE {
            break code;
        }
        assert_eq!(base, acknowledged);
        acknowledged += 1;
        assert!(acknowledged < 500, "450 MiB on a disk of 400");
    };
    assert_eq!(refused, error::KAFKA_STORAGE_ERROR);
    broker.assert_alive();
    // Reading goes on, and everything acknowledged is there.
    for offset in [0, acknowledged / 2, acknowledged - 1] {
        let (code, _, bytes) = client.fetch("big", 0, offset).expect("an answer");
        assert_eq!((code, bytes.is_empty()), (error::NONE, false), "offset {offset}");
    }
    let (code, end) = client.list_offset("big", 0, -1).expect("an answer");
    assert_eq!((code, end), (error::NONE, acknowledged));

    assert_eq!(client.delete_topic("big").expect("an answer"), error::NONE);
    let small = raw::batch(&[b"room again"], now_ms(), crc32c::crc32c);
    let again = wait_for(Duration::from_mins(1), || {
        let (code, _) = client.produce("small", 0, &small).expect("an answer");
        (code == error::NONE).then_some(())
    });
    assert!(again.is_some(), "no service after the deletion");
    broker.stop();
    let broker = Broker::start_on(&data, dir.path(), free_port(), &["--journal", "64MiB"]);
    let mut client = Client::connect(broker.addr()).expect("a connection");
    assert!(client.list_offset("small", 0, -1).expect("an answer").1 > 0);
    drop(broker);
    drop(mount);
}

/// A file of somebody else's.
struct Others {
    path: PathBuf,
    file: File,
}

impl Others {
    fn new(path: PathBuf) -> Self {
        let file = File::create(&path).expect("a file");
        Self { path, file }
    }

    /// Takes what is left of the disk.
    fn take_all(&mut self) {
        let zeros = vec![0; 1 << 20];
        for len in [1 << 20, 64 << 10, 4 << 10] {
            while self.file.write_all(&zeros[..len]).is_ok() {}
        }
        self.file.sync_all().expect("synced");
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Others take all that the disk has, and what the broker gives up of its reserve, while records are to be placed in segments: the broker
/// refuses what comes, serves what it has, and goes on when there is room.
#[test]
fn a_disk_that_others_fill_ends_no_broker() {
    let dir = DataDir::new("taken-disk");
    let Some(mount) = Mount::new(dir.path(), "400M") else { return };
    let data = mount.point.join("data");
    let args = ["--memory", "256MiB", "--journal", "64MiB"];
    let mut broker = Broker::start_on(&data, dir.path(), free_port(), &args);
    let mut client = Client::connect(broker.addr()).expect("a connection");
    let configs = [("segment.bytes", "16777216")];
    assert_eq!(client.create_topic("t", 1, &configs).expect("an answer"), error::NONE);
    let value = vec![7; 900 << 10];
    let batch = raw::batch(&[&value], now_ms(), crc32c::crc32c);
    let (mut acknowledged, mut refused) = (0_i64, 0);
    let mut others = Others::new(mount.point.join("others"));
    while refused < 200 {
        if acknowledged >= 10 {
            others.take_all();
        }
        let (code, base) = client.produce("t", 0, &batch).expect("an answer, not a hang");
        if code == error::NONE {
            assert_eq!(base, acknowledged);
            acknowledged += 1;
            assert!(acknowledged < 400, "360 MiB on a disk of 400 that others have filled");
        } else {
            assert_eq!(code, error::KAFKA_STORAGE_ERROR);
            refused += 1;
        }
        broker.assert_alive();
    }
    let all_there = |client: &mut Client| {
        for offset in 0..acknowledged {
            let (code, _, bytes) = client.fetch("t", 0, offset).expect("an answer");
            assert_eq!((code, bytes.is_empty()), (error::NONE, false), "offset {offset}");
        }
    };
    all_there(&mut client);
    broker.assert_alive();
    drop(others);
    let again = wait_for(Duration::from_mins(1), || {
        let (code, _) = client.produce("t", 0, &batch).expect("an answer");
        (code == error::NONE).then_some(())
    });
    assert!(again.is_some(), "no service when there is room");
    all_there(&mut client);
    broker.stop();
    let broker = Broker::start_on(&data, dir.path(), free_port(), &args);
    let mut client = Client::connect(broker.addr()).expect("a connection");
    assert_eq!(client.list_offset("t", 0, -1).expect("an answer").1, acknowledged + 1);
    all_there(&mut client);
    drop(broker);
    drop(mount);
}
