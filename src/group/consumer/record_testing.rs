//! Records against those that Kafka's own classes have written, for tests of each protocol.

use super::change::Change;
use super::encoding;
use crate::group::records::{Key, RecordError};
use data_encoding::HEXLOWER;

/// Bytes, from their digits.
pub fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).expect("digits")
}

/// The change of a record of group `grp`.
pub fn read_back(key: &[u8], value: Option<&[u8]>) -> Result<Option<Change>, RecordError> {
    match Key::read(key)? {
        Key::Consumer { kind, group: "grp", part } => {
            encoding::read(kind, part, key.len(), value).map(|(_, change)| change)
        }
        other => panic!("{other:?}"),
    }
}

/// These changes, each of which knows the bytes of its record, are written as these records, and read from them.
pub fn check_records(records: &[(&str, &str)], changes: &[Change]) {
    assert_eq!(changes.len(), records.len());
    for (change, (key, value)) in changes.iter().zip(records) {
        let (key, value) = (hex(key), hex(value));
        let Ok(Key::Consumer { kind, part, .. }) = Key::read(&key) else { panic!("{key:?}") };
        let (protocol, found) =
            encoding::read(kind, part, key.len(), Some(&value)).expect("it is a record of Kafka");
        assert_eq!(found.as_ref(), Some(change));
        let mut written = change.clone();
        let record = encoding::record(protocol, "grp", &mut written).expect("it is short");
        assert_eq!((&record.key, record.value.as_ref()), (&key, Some(&value)));
        assert_eq!(&written, change);
        assert_eq!(read_back(&key, Some(&value)), Ok(found));
    }
}

/// What is cut is an error, and what is damaged at most that; without a value it is a tombstone.
pub fn check_damage(records: &[(&str, &str)]) {
    for (key, value) in records {
        let (key, value) = (hex(key), hex(value));
        assert!(matches!(read_back(&key, None), Ok(Some(_))), "a tombstone");
        for cut in 0..value.len() {
            assert!(read_back(&key, Some(&value[..cut])).is_err(), "{cut} of {value:?}");
        }
        for at in 0..value.len() {
            for byte in [0, 0x7f, 0x80, 0xff] {
                let mut damaged = value.clone();
                damaged[at] = byte;
                let _ = read_back(&key, Some(&damaged));
            }
        }
    }
}
