//! Reads of segments that are damaged: who asks for what is sound gets it, whatever lies beside it.

use super::device::io::Op;
use super::engine::{Event, Slot};
use super::engine_tests::{Broker, Dir, config, value};
use super::log::LogConfig;
use super::read::{Read, ReadError, ReadFrames};
use std::io;
use std::path::PathBuf;

/// Records, each a frame of its own.
const RECORDS: i64 = 60;

/// A log whose frames lie some to a chunk in its segments, and nothing of it in memory.
fn cold(dir: &Dir) -> (Broker, Slot) {
    let mut broker = Broker::open(dir, 1);
    for i in 0..RECORDS {
        broker.append(0, &value(0, i as usize, 700), i as u64);
        broker.append(1, &value(1, i as usize, 700), i as u64);
        broker.settle();
    }
    broker.engines[0].begin_shutdown(broker.now_ms);
    broker.settle();
    let mut broker = Broker::open(dir, 1);
    let (_, slot) = broker.slot(0);
    (broker, slot)
}

/// Its only segment, and where each of its frames is in it.
fn segment(dir: &Dir, broker: &Broker) -> (PathBuf, Vec<usize>) {
    let seen = super::recovery::inspect::overview(broker.disk()).expect("an overview");
    let log = seen.logs.iter().find(|it| it.tp.partition == 0).expect("its log");
    assert_eq!((log.segments.len(), log.placed_end), (1, RECORDS));
    let path = dir.path(&log.segments[0].path);
    let bytes = std::fs::read(&path).expect("the segment");
    let magic = super::format::frame::MAGIC.to_le_bytes();
    let frames: Vec<_> = (0..bytes.len() - 4).filter(|at| bytes[*at..at + 4] == magic).collect();
    assert_eq!(frames.len(), RECORDS as usize);
    (path, frames)
}

fn flip(path: &PathBuf, at: usize) {
    let mut bytes = std::fs::read(path).expect("the segment");
    bytes[at] ^= 0x40;
    std::fs::write(path, bytes).expect("written");
}

/// Reads one record for a client.
fn read(broker: &mut Broker, slot: Slot, offset: i64) -> Result<(), ReadError> {
    loop {
        match broker.engines[0].read(slot, offset, offset + 1, 10_000, true)? {
            Read::Wait(ticket) => broker.wait_for(0, ticket)?,
            Read::Ready { next, .. } => {
                assert_eq!(next, offset + 1);
                return Ok(());
            }
        }
    }
}

/// Reads frames for a follower up to where it gets no more.
fn follow(broker: &mut Broker, slot: Slot, from: i64) -> i64 {
    let mut at = from;
    while at < RECORDS {
        match broker.engines[0].read_frames(slot, at, i64::MAX, 5_000) {
            Ok(ReadFrames::Wait(ticket)) => {
                if broker.wait_for(0, ticket).is_err() {
                    break;
                }
            }
            Ok(ReadFrames::Ready { next, .. }) => at = next,
            Err(error) => panic!("{error}"),
        }
    }
    at
}

#[test]
fn only_who_asks_for_a_damaged_frame_hears_of_it() {
    for (name, within) in [("payload", 300), ("header", 30)] {
        let dir = Dir::new(name);
        let (broker, _) = cold(&dir);
        let (path, frames) = segment(&dir, &broker);
        for bad in [0, 7, RECORDS - 1] {
            flip(&path, frames[bad as usize] + within);
            let mut broker = Broker::open(&dir, 1);
            let (_, slot) = broker.slot(0);
            for offset in (0..RECORDS).rev().chain(0..RECORDS) {
                let told = read(&mut broker, slot, offset);
                assert_eq!(told.is_err(), offset == bad, "{name} {bad} {offset} {told:?}");
            }
            // A follower that has what is damaged gets the rest.
            let mut broker = Broker::open(&dir, 1);
            let (_, slot) = broker.slot(0);
            assert_eq!(follow(&mut broker, slot, 0), bad);
            assert_eq!(follow(&mut broker, slot, bad + 1), RECORDS);
            flip(&path, frames[bad as usize] + within);
        }
    }
}

/// Two ask for different offsets, which one read of the disk brings; one of them is damaged. The log is known to be.
#[test]
fn those_who_wait_for_one_read_hear_of_what_they_asked_for() {
    let dir = Dir::new("waiters");
    let (broker, _) = cold(&dir);
    let (path, frames) = segment(&dir, &broker);
    flip(&path, frames[1] + 300);
    let mut broker = Broker::open(&dir, 1);
    let (_, slot) = broker.slot(0);
    let ask = |broker: &mut Broker, offset| match broker.engines[0].read(
        slot,
        offset,
        offset + 1,
        10_000,
        true,
    ) {
        Ok(Read::Wait(ticket)) => ticket,
        other => panic!("{other:?}"),
    };
    let [sound, bad] = [2, 1].map(|it| ask(&mut broker, it));
    assert_eq!(ask(&mut broker, 2), sound);
    assert_eq!(
        broker.wait_for(0, bad).err().map(|it| it.to_string().contains("payload")),
        Some(true)
    );
    assert_eq!(broker.wait_for(0, sound), Ok(()));
    assert_eq!(read(&mut broker, slot, 2), Ok(()));
    assert!(broker.events.iter().any(|it| matches!(it, Event::Damaged { .. })));
}

#[test]
fn beside_a_sector_that_cannot_be_read_the_other_chunks_are_given() {
    let dir = Dir::new("sector");
    let mut broker = Broker::open(&dir, 1);
    let (_, slot) = broker.slot(0);
    let config = LogConfig { segment_bytes: 4 << 20, ..config() };
    broker.engines[0].configure(slot, &config);
    for i in 0..300 {
        broker.append(0, &value(0, i, 9000), i as u64);
        broker.settle();
    }
    broker.engines[0].begin_shutdown(broker.now_ms);
    broker.settle();
    let mut broker = Broker::open(&dir, 1);
    let (_, slot) = broker.slot(0);
    // A reader that goes on where it was gets several chunks with one read.
    let bad = 600 << 10;
    let (mut lost, mut given) = (Vec::new(), 0);
    for offset in 0..200 {
        let told = loop {
            match broker.engines[0].read(slot, offset, offset + 1, 10_000, true) {
                Ok(Read::Ready { .. }) => break Ok(()),
                Err(error) => break Err(error),
                Ok(Read::Wait(ticket)) => {
                    let result = broker.wait_with(0, ticket, |op| match op {
                        Op::Read { pos, len, .. } if (*pos..*pos + *len as u64).contains(&bad) => {
                            Some(io::Error::from_raw_os_error(libc::EIO))
                        }
                        _ => None,
                    });
                    if let Err(error) = result {
                        break Err(error);
                    }
                }
            }
        };
        match told {
            Ok(()) => given += 1,
            Err(_) => lost.push(offset),
        }
    }
    assert!(!lost.is_empty() && lost.len() < 60 && given == 200 - lost.len(), "{lost:?}");
    assert!(lost[0] > 0 && lost.last() < Some(&199), "{lost:?}");
    assert!(lost.windows(2).all(|it| it[1] == it[0] + 1), "one chunk: {lost:?}");
    assert!(broker.events.iter().any(|it| matches!(it, Event::Damaged { .. })));
}
