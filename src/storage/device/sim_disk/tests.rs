//! Each thing that a power cut may take is taken for some seed, and kept for every seed once synced.

use super::outcome::SECTOR;
use super::*;

const BLOCK: usize = ALIGN;

fn path(text: &str) -> FilePath {
    text.into()
}

fn block(fill: u8, blocks: usize) -> Bytes {
    AlignedBuf::copy_of(&vec![fill; blocks * BLOCK], &Budget::new(usize::MAX)).freeze()
}

fn write(disk: &SimDisk, name: &str, at: usize, fill: u8) {
    let data = block(fill, 1);
    disk.run(Op::Write { path: path(name), pos: (at * BLOCK) as u64, data }).unwrap();
}

fn sync(disk: &SimDisk, name: &str) {
    disk.run(Op::Sync { path: path(name) }).unwrap();
}

fn sync_dir(disk: &SimDisk, name: &str) {
    disk.run(Op::SyncDir { path: path(name) }).unwrap();
}

fn create(disk: &SimDisk, name: &str) {
    disk.run(Op::Create { path: path(name) }).unwrap();
}

fn make_dir(disk: &SimDisk, name: &str) {
    disk.run(Op::MakeDir { path: path(name) }).unwrap();
}

fn rename(disk: &SimDisk, from: &str, to: &str) {
    disk.run(Op::Rename { from: path(from), to: path(to) }).unwrap();
}

fn durable_file(disk: &SimDisk, name: &str, fill: u8, blocks: usize) {
    create(disk, name);
    for at in 0..blocks {
        write(disk, name, at, fill);
    }
    sync(disk, name);
    sync_dir(disk, parent(name));
}

fn cut(disk: &SimDisk) {
    disk.power_cut();
    assert!(disk.is_off());
    disk.restart();
}

/// Runs `act` on many disks, cuts the power, and returns how often `seen` held afterwards.
fn times(act: impl Fn(&SimDisk), seen: impl Fn(&SimDisk) -> bool) -> usize {
    let held = |seed: &u64| {
        let disk = SimDisk::new(*seed);
        act(&disk);
        cut(&disk);
        seen(&disk)
    };
    (0..SEEDS as u64).filter(held).count()
}

const SEEDS: usize = 200;

fn is_random(count: usize) {
    assert!((SEEDS / 20..SEEDS * 19 / 20).contains(&count), "{count} of {SEEDS}");
}

#[test]
fn reads_see_completed_writes_and_short_ends() {
    let disk = SimDisk::new(1);
    create(&disk, "f");
    write(&disk, "f", 1, 7);
    let read = disk.run(Op::Read { path: path("f"), pos: 0, len: 4 * BLOCK }).unwrap();
    assert_eq!((read.len(), read[0], read[BLOCK]), (2 * BLOCK, 0, 7));
    assert_eq!(read.as_ptr() as usize % ALIGN, 0);
    let beyond = disk.run(Op::Read { path: path("f"), pos: 1 << 20, len: BLOCK }).unwrap();
    assert!(beyond.is_empty());
    assert_eq!(disk.len("f").unwrap(), Some(2 * BLOCK as u64));
    assert_eq!(disk.len("g").unwrap(), None);
}

#[test]
fn misaligned_and_missing_are_errors() {
    let disk = SimDisk::new(1);
    let missing = disk.run(Op::Write { path: path("f"), pos: 0, data: block(1, 1) });
    assert_eq!(missing.unwrap_err().raw_os_error(), Some(libc::ENOENT));
    create(&disk, "f");
    for (pos, data) in [
        (512, block(1, 1)),
        (0, block(1, 1).slice(..512)),
        (0, block(1, 2).slice(512..512 + BLOCK)),
    ] {
        let error = disk.run(Op::Write { path: path("f"), pos, data }).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
    assert!(disk.run(Op::Create { path: path("no/f") }).is_err());
    assert!(disk.run(Op::Sync { path: path("no") }).is_err());
    assert!(disk.run(Op::SyncDir { path: path("no") }).is_err());
    assert!(disk.run(Op::Unlink { path: path("no") }).is_ok());
    assert!(disk.run(Op::RemoveDir { path: path("no") }).is_ok());
}

#[test]
fn listing_names_lengths_and_directories() {
    let disk = SimDisk::new(1);
    make_dir(&disk, "a/b");
    create(&disk, "a/f");
    write(&disk, "a/f", 0, 1);
    create(&disk, "a/b/g");
    let entry = |name: &str, len, is_dir| Entry { name: name.into(), len, is_dir };
    let want = vec![entry("b", 0, true), entry("f", BLOCK as u64, false)];
    assert_eq!(disk.list("a").unwrap(), want);
    assert_eq!(disk.list("").unwrap(), vec![entry("a", 0, true)]);
    assert!(disk.list("nowhere").unwrap().is_empty());
    disk.run(Op::RemoveDir { path: path("a/b") }).unwrap();
    assert_eq!(disk.list("a").unwrap().len(), 2, "not empty: stays");
    disk.run(Op::Unlink { path: path("a/b/g") }).unwrap();
    disk.run(Op::RemoveDir { path: path("a/b") }).unwrap();
    assert_eq!(disk.list("a").unwrap().len(), 1);
}

#[test]
fn a_created_file_may_vanish_until_its_directory_is_synced() {
    let exists = |disk: &SimDisk| disk.len("f").unwrap().is_some();
    let unsynced = |disk: &SimDisk| {
        create(disk, "f");
        write(disk, "f", 0, 1);
        sync(disk, "f");
    };
    is_random(times(unsynced, exists));
    let synced = |disk: &SimDisk| {
        unsynced(disk);
        sync_dir(disk, "");
    };
    assert_eq!(times(synced, exists), SEEDS);
}

#[test]
fn a_file_goes_with_its_unsynced_directory() {
    let exists = |disk: &SimDisk| disk.len("d/f").unwrap().is_some();
    let inner_only = |disk: &SimDisk| {
        make_dir(disk, "d");
        create(disk, "d/f");
        sync_dir(disk, "d");
    };
    is_random(times(inner_only, exists));
    let both = |disk: &SimDisk| {
        inner_only(disk);
        sync_dir(disk, "");
    };
    assert_eq!(times(both, exists), SEEDS);
}

#[test]
fn an_unlinked_file_may_come_back_until_its_directory_is_synced() {
    let exists = |disk: &SimDisk| {
        let read = disk.contents("f");
        assert!(read.is_none() || read == Some(vec![5; BLOCK]));
        read.is_some()
    };
    let unsynced = |disk: &SimDisk| {
        durable_file(disk, "f", 5, 1);
        disk.run(Op::Unlink { path: path("f") }).unwrap();
    };
    is_random(times(unsynced, exists));
    let synced = |disk: &SimDisk| {
        unsynced(disk);
        sync_dir(disk, "");
    };
    assert_eq!(times(synced, exists), 0);
}

#[test]
fn a_rename_is_whole_or_not_at_all_and_certain_when_synced() {
    let new = |disk: &SimDisk| {
        let (tmp, name) = (disk.contents("tmp"), disk.contents("name").unwrap());
        assert_eq!(tmp.is_none(), name[0] == 2, "one or the other");
        name[0] == 2
    };
    let unsynced = |disk: &SimDisk| {
        durable_file(disk, "name", 1, 1);
        durable_file(disk, "tmp", 2, 1);
        rename(disk, "tmp", "name");
    };
    is_random(times(unsynced, new));
    let synced = |disk: &SimDisk| {
        unsynced(disk);
        sync_dir(disk, "");
    };
    assert_eq!(times(synced, new), SEEDS);
}

#[test]
fn a_rename_over_two_directories_never_loses_a_durable_file() {
    let setup = |disk: &SimDisk| {
        make_dir(disk, "a");
        make_dir(disk, "b");
        sync_dir(disk, "");
        durable_file(disk, "a/f", 3, 1);
        rename(disk, "a/f", "b/f");
    };
    let moved = |disk: &SimDisk| {
        let (old, new) = (disk.contents("a/f"), disk.contents("b/f"));
        assert!(old.is_some() || new.is_some());
        new.is_some()
    };
    let gone = |disk: &SimDisk| disk.contents("a/f").is_none();
    is_random(times(setup, moved));
    let from_synced = |disk: &SimDisk| {
        setup(disk);
        sync_dir(disk, "a");
    };
    is_random(times(from_synced, moved));
    let to_synced = |disk: &SimDisk| {
        setup(disk);
        sync_dir(disk, "b");
    };
    assert_eq!(times(to_synced, moved), SEEDS);
    is_random(times(to_synced, gone));
    for first in ["a", "b"] {
        let both = |disk: &SimDisk| {
            setup(disk);
            sync_dir(disk, first);
            sync_dir(disk, if first == "a" { "b" } else { "a" });
        };
        assert_eq!(times(both, moved), SEEDS);
        assert_eq!(times(both, gone), SEEDS);
    }
}

#[test]
fn a_directory_moves_with_what_is_in_it() {
    let setup = |disk: &SimDisk| {
        make_dir(disk, "topics/x");
        make_dir(disk, "orphans");
        sync_dir(disk, "");
        sync_dir(disk, "topics");
        durable_file(disk, "topics/x/f", 3, 1);
        rename(disk, "topics/x", "orphans/x");
        assert_eq!(disk.contents("orphans/x/f"), Some(vec![3; BLOCK]));
        assert_eq!(disk.contents("topics/x/f"), None);
    };
    let moved = |disk: &SimDisk| {
        let (old, new) = (disk.contents("topics/x/f"), disk.contents("orphans/x/f"));
        assert!(old.is_some() != new.is_some());
        new.is_some()
    };
    is_random(times(setup, moved));
    let synced = |disk: &SimDisk| {
        setup(disk);
        sync_dir(disk, "topics");
        sync_dir(disk, "orphans");
    };
    assert_eq!(times(synced, moved), SEEDS);
}

#[test]
fn unsynced_bytes_are_old_or_new_by_sector() {
    let act = |disk: &SimDisk| {
        durable_file(disk, "f", 1, 2);
        write(disk, "f", 0, 2);
        write(disk, "f", 1, 3);
    };
    let (mut torn, mut second_only) = (0, 0);
    for seed in 0..SEEDS as u64 {
        let disk = SimDisk::new(seed);
        act(&disk);
        cut(&disk);
        let bytes = disk.contents("f").unwrap();
        assert_eq!(bytes.len(), 2 * BLOCK);
        for (i, sector) in bytes.chunks(SECTOR).enumerate() {
            let new = if i * SECTOR < BLOCK { 2 } else { 3 };
            assert!(sector.iter().all(|b| *b == 1) || sector.iter().all(|b| *b == new));
        }
        let fresh: Vec<bool> = bytes.chunks(SECTOR).map(|s| s[0] != 1).collect();
        torn += usize::from(fresh[..8].contains(&true) && fresh[..8].contains(&false));
        second_only += usize::from(!fresh[..8].contains(&true) && !fresh[8..].contains(&false));
    }
    is_random(torn);
    is_random(second_only);
    let lost = |disk: &SimDisk| disk.contents("f").unwrap() == vec![1; 2 * BLOCK];
    is_random(times(act, lost));
    let synced = |disk: &SimDisk| {
        act(disk);
        sync(disk, "f");
    };
    let kept =
        |disk: &SimDisk| disk.contents("f") == Some([vec![2; BLOCK], vec![3; BLOCK]].concat());
    assert_eq!(times(synced, kept), SEEDS);
}

#[test]
fn what_a_durable_write_has_replaced_does_not_come_back() {
    let act = |disk: &SimDisk| {
        durable_file(disk, "f", 1, 3);
        let data = block(2, 3);
        disk.run(Op::Write { path: path("f"), pos: 0, data }).unwrap();
        let (pos, data) = (BLOCK as u64, block(3, 1));
        let op = Op::WriteSync { path: path("f"), pos, data, sync_id: 8, apart: true };
        disk.run(op).unwrap();
    };
    let bytes = |disk: &SimDisk| disk.contents("f").unwrap();
    let durable = |disk: &SimDisk| bytes(disk)[BLOCK..2 * BLOCK] == vec![3; BLOCK];
    assert_eq!(times(act, durable), SEEDS);
    is_random(times(act, |disk| bytes(disk)[0] == 2));
    is_random(times(act, |disk| bytes(disk)[2 * BLOCK] == 2));
}

#[test]
fn a_grown_length_may_be_lost_and_the_bytes_may_be_zeros() {
    let act = |disk: &SimDisk| {
        durable_file(disk, "f", 1, 1);
        write(disk, "f", 1, 2);
    };
    is_random(times(act, |disk| disk.len("f").unwrap() == Some(BLOCK as u64)));
    is_random(times(act, |disk| disk.contents("f").unwrap().get(BLOCK) == Some(&0)));
    is_random(times(act, |disk| disk.contents("f").unwrap().get(BLOCK) == Some(&2)));
    let synced = |disk: &SimDisk| {
        act(disk);
        sync(disk, "f");
    };
    assert_eq!(times(synced, |disk| disk.contents("f").unwrap().get(BLOCK) == Some(&2)), SEEDS);
}

#[test]
fn a_renamed_file_keeps_its_stale_bytes() {
    let act = |disk: &SimDisk| {
        durable_file(disk, "old", 9, 4);
        rename(disk, "old", "new");
        sync_dir(disk, "");
        write(disk, "new", 0, 1);
        sync(disk, "new");
    };
    let stale = |disk: &SimDisk| {
        disk.contents("new") == Some([vec![1; BLOCK], vec![9; 3 * BLOCK]].concat())
    };
    assert_eq!(times(act, stale), SEEDS);
}

#[test]
fn emptying_an_existing_file_is_certain_when_synced() {
    let act = |disk: &SimDisk| {
        durable_file(disk, "f", 1, 2);
        create(disk, "f");
        assert_eq!(disk.len("f").unwrap(), Some(0));
    };
    is_random(times(act, |disk| disk.len("f").unwrap() == Some(0)));
    for by_dir in [false, true] {
        let synced = |disk: &SimDisk| {
            act(disk);
            if by_dir { sync_dir(disk, "") } else { sync(disk, "f") }
        };
        assert_eq!(times(synced, |disk| disk.len("f").unwrap() == Some(0)), SEEDS);
    }
}

#[test]
fn a_sync_covers_only_what_completed_before_it_was_submitted() {
    let act = |disk: &SimDisk, write_first: bool| {
        durable_file(disk, "f", 1, 1);
        let sync = Submission { id: 2, op: Op::Sync { path: path("f") } };
        let op = Op::Write { path: path("f"), pos: 0, data: block(2, 1) };
        disk.submit(Submission { id: 1, op });
        if write_first {
            assert_eq!(disk.complete_oldest().unwrap().id, 1);
            disk.submit(sync);
        } else {
            disk.submit(sync);
            assert_eq!(disk.complete_oldest().unwrap().id, 1);
        }
        assert_eq!(disk.complete_oldest().unwrap().id, 2);
    };
    let kept = |disk: &SimDisk| disk.contents("f") == Some(vec![2; BLOCK]);
    assert_eq!(times(|disk| act(disk, true), kept), SEEDS);
    is_random(times(|disk| act(disk, false), kept));
}

#[test]
fn a_write_with_its_sync_completes_twice_and_is_durable_after_the_second() {
    let act = |disk: &SimDisk, completions: usize| {
        durable_file(disk, "f", 1, 1);
        let op =
            Op::WriteSync { path: path("f"), pos: 0, data: block(2, 1), sync_id: 8, apart: true };
        disk.submit(Submission { id: 7, op });
        let mut rng = Rng::new(1);
        let ids: Vec<u64> =
            (0..completions).map(|_| disk.complete_next(&mut rng).unwrap().id).collect();
        assert_eq!(ids, [7, 8][..completions]);
    };
    let kept = |disk: &SimDisk| disk.contents("f") == Some(vec![2; BLOCK]);
    is_random(times(|disk| act(disk, 0), kept));
    is_random(times(|disk| act(disk, 1), kept));
    assert_eq!(times(|disk| act(disk, 2), kept), SEEDS);
}

#[test]
fn completes_out_of_order() {
    let disk = SimDisk::new(1);
    create(&disk, "f");
    let mut orders = BTreeSet::new();
    let mut rng = Rng::new(3);
    for _ in 0..50 {
        for id in 0..3 {
            let op = Op::Write { path: path("f"), pos: id * BLOCK as u64, data: block(1, 1) };
            disk.submit(Submission { id, op });
        }
        let order: Vec<u64> =
            std::iter::from_fn(|| disk.complete_next(&mut rng)).map(|c| c.id).collect();
        orders.insert(order);
    }
    assert_eq!(orders.len(), 6);
}

#[test]
fn a_process_crash_keeps_what_completed_but_does_not_make_it_durable() {
    let disk = SimDisk::new(1);
    durable_file(&disk, "f", 1, 1);
    write(&disk, "f", 0, 2);
    disk.process_crash();
    disk.restart();
    assert_eq!(disk.contents("f"), Some(vec![2; BLOCK]));
    let act = |disk: &SimDisk| {
        durable_file(disk, "f", 1, 1);
        write(disk, "f", 0, 2);
        disk.process_crash();
        disk.restart();
    };
    is_random(times(act, |disk| disk.contents("f") == Some(vec![1; BLOCK])));
}

#[test]
fn fuel_ends_with_the_power() {
    let disk = SimDisk::new(1);
    create(&disk, "f");
    disk.set_fuel(Some(2));
    write(&disk, "f", 0, 1);
    write(&disk, "f", 1, 1);
    assert!(disk.run(Op::Sync { path: path("f") }).is_err());
    assert!(disk.is_off());
    assert!(disk.run(Op::Create { path: path("g") }).is_err());
    assert!(disk.list("").is_err() && disk.len("f").is_err());
    disk.submit(Submission { id: 1, op: Op::Create { path: path("g") } });
    assert!(disk.complete_oldest().is_none());
    disk.restart();
    create(&disk, "g");
}

#[test]
fn a_failed_sync_loses_for_good_what_a_later_one_reports() {
    let act = |disk: &SimDisk| {
        durable_file(disk, "f", 1, 1);
        write(disk, "f", 0, 2);
        disk.set_fault(Some(Fault {
            kind: Some(OpKind::Sync),
            prefix: String::new(),
            skip: 0,
            count: 1,
        }));
        let error = disk.run(Op::Sync { path: path("f") }).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        assert_eq!(disk.faults_hit(), 1);
        sync(disk, "f");
        assert_eq!(disk.contents("f"), Some(vec![2; BLOCK]));
    };
    assert!(times(act, |disk| disk.contents("f") == Some(vec![2; BLOCK])) < SEEDS / 10);
}

#[test]
fn faults_choose_kind_path_and_turn() {
    let disk = SimDisk::new(1);
    durable_file(&disk, "a", 1, 1);
    durable_file(&disk, "b", 1, 1);
    disk.set_fault(Some(Fault {
        kind: Some(OpKind::Write),
        prefix: "a".into(),
        skip: 1,
        count: 2,
    }));
    let try_write =
        |name: &str| disk.run(Op::Write { path: path(name), pos: 0, data: block(2, 1) }).is_ok();
    assert!(try_write("a") && try_write("b"));
    assert!(!try_write("a") && try_write("b") && !try_write("a"));
    assert!(try_write("a"));
    disk.set_fault(Some(Fault { kind: None, prefix: String::new(), skip: 0, count: 1 }));
    let op = Op::WriteSync { path: path("a"), pos: 0, data: block(3, 1), sync_id: 2, apart: true };
    disk.submit(Submission { id: 1, op });
    assert!(disk.complete_oldest().unwrap().result.is_err());
    assert!(disk.complete_oldest().unwrap().result.is_err(), "the sync goes with the write");
}

#[test]
fn a_full_disk_refuses_and_unlinking_gives_back() {
    let disk = SimDisk::new(1);
    disk.set_capacity(2 * BLOCK as u64);
    durable_file(&disk, "a", 1, 1);
    durable_file(&disk, "b", 1, 1);
    let more = || disk.run(Op::Write { path: path("b"), pos: BLOCK as u64, data: block(1, 1) });
    assert_eq!(more().unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    write(&disk, "b", 0, 2);
    disk.run(Op::Unlink { path: path("a") }).unwrap();
    more().unwrap();
    assert_eq!(disk.used(), 2 * BLOCK as u64);
    create(&disk, "b");
    assert_eq!(disk.used(), 0);
}

#[test]
fn flipped_bits_stay() {
    let disk = SimDisk::new(1);
    durable_file(&disk, "f", 1, 1);
    assert!(disk.flip("f", 17, 0x10));
    assert!(!disk.flip("f", BLOCK as u64, 1));
    assert!(!disk.flip("g", 0, 1));
    cut(&disk);
    assert_eq!(disk.contents("f").unwrap()[17], 0x11);
}

#[test]
#[should_panic(expected = "writes in flight overlap")]
fn overlapping_writes_in_flight_are_a_bug_of_the_caller() {
    let disk = SimDisk::new(1);
    create(&disk, "f");
    for id in 0..2 {
        let op = Op::Write { path: path("f"), pos: 0, data: block(1, 1) };
        disk.submit(Submission { id, op });
    }
}

#[test]
fn the_same_seed_leaves_the_same_trace() {
    let run = |seed: u64| {
        let disk = SimDisk::new(seed);
        disk.keep_log();
        let mut rng = Rng::new(seed);
        for id in 0..200 {
            let name = format!("f{}", rng.below(4));
            let op = match rng.below(6) {
                0 => Op::Create { path: path(&name) },
                1 => Op::Sync { path: path(&name) },
                2 => Op::SyncDir { path: path("") },
                3 => Op::Rename { from: path(&name), to: path("f0") },
                4 => Op::Read { path: path(&name), pos: 0, len: BLOCK },
                _ => Op::Write {
                    path: path(&name),
                    pos: id * BLOCK as u64,
                    data: block(rng.bits() as u8, 1),
                },
            };
            disk.submit(Submission { id, op });
            if rng.chance(60) {
                disk.complete_next(&mut rng);
            }
            if rng.chance(2) {
                cut(&disk);
            }
        }
        disk.power_cut();
        (disk.trace_hash(), disk.take_log())
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(1).0, run(2).0);
}
