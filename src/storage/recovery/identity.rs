//! Who a data directory belongs to, and which life of the broker wrote it last.

use super::open_error::OpenError;
use crate::storage::buffer::{AlignedBuf, Budget};
use crate::storage::device::disk::Disk;
use crate::storage::device::io::{FilePath, Op};
use crate::types::TopicId;

const PROPERTIES: &str = "meta.properties";
const MANIFEST: &str = "MANIFEST";
const FORMAT: u32 = 1;
/// The first line; Kafka has a file of the same name and other lines.
const WRITTEN_BY: &str = "# Written by Klamm; do not change.";
const MAGIC: &[u8; 7] = b"KLMANIF";
/// A digit behind the magic.
const MANIFEST_VERSION: u8 = b'1';

/// What never changes about a data directory. Kept as text in `meta.properties`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// New with each directory: a wiped disk is another directory.
    pub directory_id: [u8; 16],
    /// The cluster, as Kafka shows it: 22 characters of base64.
    pub cluster_id: String,
    /// The broker's id.
    pub node_id: i32,
}

/// What is expected of a data directory, and what a new one gets.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Refuse another cluster's directory.
    pub cluster_id: Option<String>,
    /// Refuse another broker's directory.
    pub node_id: i32,
    /// Randomness for a new directory.
    pub random: [u8; 32],
}

impl Identity {
    /// Reads the identity, or gives an empty directory one. Anything else is refused untouched.
    pub fn open(disk: &Disk, expected: &Expected) -> Result<Self, OpenError> {
        let Some(identity) = Self::read(disk)? else {
            let known = ["LOCK", "lost+found", "meta.properties.tmp"];
            let found = disk.list("").map_err(|e| OpenError::io("the data directory", &e))?;
            if let Some(other) = found.iter().find(|e| !known.contains(&e.name.as_str())) {
                return Err(OpenError::Refused(format!(
                    "the directory is not empty and has no {PROPERTIES} (found {}): name another \
                     directory with --data",
                    other.name
                )));
            }
            return Self::create(disk, expected);
        };
        if let Some(cluster_id) =
            expected.cluster_id.as_ref().filter(|c| **c != identity.cluster_id)
        {
            return Err(OpenError::Refused(format!(
                "belongs to cluster {}, not {cluster_id}",
                identity.cluster_id
            )));
        }
        if expected.node_id != identity.node_id {
            return Err(OpenError::Refused(format!(
                "belongs to node {}, not {}",
                identity.node_id, expected.node_id
            )));
        }
        Ok(identity)
    }

    /// Reads the identity; `None` where there is none.
    pub fn read(disk: &Disk) -> Result<Option<Self>, OpenError> {
        let Some(text) = read_file(disk, PROPERTIES)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&text);
        let field = |name: &str| {
            let line = text.lines().filter_map(|l| l.split_once('='));
            line.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next_back()
        };
        let kafkas = field("cluster.id").is_some() || field("broker.id").is_some();
        if kafkas && !text.starts_with(WRITTEN_BY) {
            return Err(OpenError::Refused(
                "the directory holds data of Apache Kafka, which stays as it is: name another \
                 directory with --data"
                    .to_owned(),
            ));
        }
        let bad = || OpenError::Damaged(format!("{PROPERTIES} cannot be understood"));
        let format: u32 = field("version").and_then(|v| v.parse().ok()).ok_or_else(bad)?;
        if format > FORMAT {
            return Err(OpenError::Refused(format!(
                "written by a newer version of Klamm (format {format}, this program knows {FORMAT})"
            )));
        }
        let directory_id = field("directory.id").and_then(|v| TopicId::from_hex(&v));
        Ok(Some(Self {
            directory_id: directory_id.ok_or_else(bad)?.0,
            cluster_id: field("cluster.id").ok_or_else(bad)?,
            node_id: field("node.id").and_then(|v| v.parse().ok()).ok_or_else(bad)?,
        }))
    }

    fn create(disk: &Disk, expected: &Expected) -> Result<Self, OpenError> {
        let mut directory_id = [0; 16];
        directory_id.copy_from_slice(&expected.random[..16]);
        let mut cluster = [0; 16];
        cluster.copy_from_slice(&expected.random[16..]);
        let cluster_id = expected.cluster_id.clone().unwrap_or(TopicId(cluster).to_string());
        let node_id = expected.node_id;
        let identity = Self { directory_id, cluster_id, node_id };
        let mut text = format!(
            "{WRITTEN_BY}\nversion={FORMAT}\ndirectory.id={}\n\
             cluster.id={}\nnode.id={node_id}\n",
            TopicId(directory_id).hex(),
            identity.cluster_id
        );
        // Direct I/O writes whole blocks.
        text.extend(std::iter::repeat_n(
            '\n',
            crate::storage::buffer::align_up(text.len()) - text.len(),
        ));
        replace_file(disk, PROPERTIES, text.as_bytes())?;
        Ok(identity)
    }
}

/// Which life wrote last, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Raised durably at each open.
    pub life: u64,
    /// Shards of that life.
    pub shards: u16,
    /// Everything was written back: the journals hold nothing.
    pub clean: bool,
    /// After a clean end: files that nothing needs could not be removed. The next start looks for them.
    pub files_left: bool,
}

const CLEAN: u32 = 1;
/// Clean, with files left. Versions that do not know of it replay the journals, which hold nothing.
const FILES_LEFT: u32 = 2;

impl Manifest {
    /// Reads it; `None` in a new directory.
    pub fn read(disk: &Disk, directory_id: [u8; 16]) -> Result<Option<Self>, OpenError> {
        let Some(file) = read_file(disk, MANIFEST)? else { return Ok(None) };
        let bad = |why: &str| OpenError::Damaged(format!("{MANIFEST} {why}"));
        let head = file.get(..64).ok_or_else(|| bad("is cut short"))?;
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if head[..7] == *MAGIC && head[7] > MANIFEST_VERSION {
            return Err(OpenError::Refused(format!(
                "{MANIFEST} has version {}, which a newer version of Klamm wrote",
                head[7] as char
            )));
        }
        if head[..7] != *MAGIC
            || head[7] != MANIFEST_VERSION
            || word(60) != crc32c::crc32c(&head[..60])
        {
            return Err(bad("does not match its checksum"));
        }
        if head[8..24] != directory_id {
            return Err(bad("is of another data directory"));
        }
        let life = u64::from(word(24)) | u64::from(word(28)) << 32;
        let files_left = word(36) == FILES_LEFT;
        let clean = files_left || word(36) == CLEAN;
        Ok(Some(Self { life, shards: word(32) as u16, clean, files_left }))
    }

    /// Replaces it, durably.
    pub fn write(&self, disk: &Disk, directory_id: [u8; 16]) -> Result<(), OpenError> {
        let mut file = [0; 64];
        file[..7].copy_from_slice(MAGIC);
        file[7] = MANIFEST_VERSION;
        file[8..24].copy_from_slice(&directory_id);
        file[24..32].copy_from_slice(&self.life.to_le_bytes());
        file[32..36].copy_from_slice(&u32::from(self.shards).to_le_bytes());
        let end = match (self.clean, self.files_left) {
            (false, _) => 0,
            (true, false) => CLEAN,
            (true, true) => FILES_LEFT,
        };
        file[36..40].copy_from_slice(&end.to_le_bytes());
        let crc = crc32c::crc32c(&file[..60]);
        file[60..].copy_from_slice(&crc.to_le_bytes());
        replace_file(disk, MANIFEST, &file)
    }
}

/// All of a file; `None` where there is none.
pub(super) fn read_file(disk: &Disk, path: &str) -> Result<Option<bytes::Bytes>, OpenError> {
    let failed = |e| OpenError::io(path, &e);
    let Some(len) = disk.len(path).map_err(failed)? else { return Ok(None) };
    let len = crate::storage::buffer::align_up(len as usize);
    let op = Op::Read { path: path.into(), pos: 0, len };
    disk.run(op).map(Some).map_err(failed)
}

/// Writes a file beside the old one, and renames it over that, durably.
fn replace_file(disk: &Disk, path: &str, data: &[u8]) -> Result<(), OpenError> {
    let temporary: FilePath = format!("{path}.tmp").into();
    let data = AlignedBuf::copy_of(data, &Budget::new(usize::MAX)).freeze();
    for op in [
        Op::Create { path: temporary.clone() },
        Op::Write { path: temporary.clone(), pos: 0, data },
        Op::Sync { path: temporary.clone() },
        Op::Rename { from: temporary.clone(), to: path.into() },
        Op::SyncDir { path: "".into() },
    ] {
        disk.run(op).map_err(|e| OpenError::io(path, &e))?;
    }
    Ok(())
}
