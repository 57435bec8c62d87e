//! Bits that flip in what a node has stored.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The files of segments below a data directory that something was written to.
fn segments(data: &Path) -> Vec<PathBuf> {
    let topics = fs::read_dir(data.join("topics")).expect("topics");
    let dirs = topics.map(|it| it.expect("an entry").path());
    let files = dirs.flat_map(|dir| fs::read_dir(dir).expect("a topic"));
    let files = files.map(|it| it.expect("an entry").path());
    let mut logs: Vec<PathBuf> =
        files.filter(|it| it.extension().is_some_and(|it| it == "log")).collect();
    logs.sort();
    logs
}

fn read(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = File::open(path).and_then(|mut it| it.read_to_end(&mut bytes));
    file.expect("a segment");
    bytes
}

/// Flips a bit in the first third of what each segment of a node holds, while it may run; how many it were.
pub fn flip(data: &Path) -> usize {
    let mut count = 0;
    for path in segments(data) {
        let bytes = read(&path);
        let Some(end) = bytes.iter().rposition(|it| *it != 0) else { continue };
        let at = end / 3;
        let file = OpenOptions::new().write(true).open(&path).expect("a segment");
        file.write_all_at(&[bytes[at] ^ 4], at as u64).expect("it is written");
        file.sync_all().expect("it is synced");
        count += 1;
    }
    count
}

/// Cuts off the end of each segment of a node that does not run; how many it were.
pub fn cut(data: &Path) -> usize {
    let mut count = 0;
    for path in segments(data) {
        let bytes = read(&path);
        if bytes.iter().any(|it| *it != 0) {
            let file = OpenOptions::new().write(true).open(&path).expect("a segment");
            file.set_len(0).expect("it is cut");
            file.sync_all().expect("it is synced");
            count += 1;
        }
    }
    count
}
