//! Elections and ISRs: every small state, and random histories beside a model of what replicas hold.

use super::isr::{IsrChange, IsrRequest, alter_isr};
use super::record::PartitionChange;
use super::*;
use crate::types::rng::Rng;
use crate::types::{ErrorCode, TopicId};
use futures_lite::future::block_on;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const TOPIC: TopicId = TopicId([7; 16]);

async fn no_pause() {}

fn registration(id: i32, incarnation: u64, directory: u128) -> Registration {
    Registration { id, incarnation, directory, ..Registration::default() }
}

/// Brokers `0..count`, alive, of incarnation 1 and a directory of their own.
fn image(count: i32) -> Image {
    let mut image = Image::new("cluster", 0, Arc::default());
    for broker in 0..count {
        let it = registration(broker, 1, 1_000 + broker as u128);
        image.apply(&Record::BrokerRegistered(it));
        image.apply(&Record::BrokerUnfenced { broker });
    }
    image
}

fn create(image: &mut Image, partitions: Vec<NewPartition>, settings: &[(&str, &str)]) {
    let settings = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    image.apply(&Record::TopicCreated { id: TOPIC, name: "t".into(), partitions, settings });
}

fn partition(image: &Image) -> &Partition {
    &image.topic_by_id(TOPIC).unwrap().partitions[0]
}

fn apply(image: &mut Image, decision: &Decision) {
    for it in &decision.records {
        image.apply(it);
        image.invariants();
    }
}

fn subsets(count: i32) -> impl Iterator<Item = Vec<i32>> {
    (0..1u32 << count).map(move |bits| (0..count).filter(|it| bits >> it & 1 == 1).collect())
}

/// One partition of brokers 0, 1 and 2, in each state that it can be in.
fn each_state(mut run: impl FnMut(&Image, usize)) {
    for min in 1..=3usize {
        for isr in subsets(3) {
            for elr in subsets(3) {
                for alive in subsets(3) {
                    for leader in isr.iter().copied().chain([-1]) {
                        let enough = isr.len() >= min;
                        let overlap = elr.iter().any(|it| isr.contains(it));
                        let there = isr.iter().all(|it| alive.contains(it));
                        let can = |it: &i32| isr.contains(it) || elr.contains(it);
                        let idle = leader == -1 && alive.iter().any(can);
                        if overlap || !there || idle || enough && !elr.is_empty() {
                            continue;
                        }
                        let mut image = image(3);
                        let settings = [("min.insync.replicas", &*min.to_string())];
                        create(&mut image, vec![NewPartition::new([0, 1, 2])], &settings);
                        let change = PartitionChange {
                            leader: Some(leader),
                            isr: Some(isr.clone().into()),
                            elr: Some(elr.clone().into()),
                            ..PartitionChange::default()
                        };
                        let changes = vec![(0, change)];
                        image.apply(&Record::PartitionsChanged { id: TOPIC, changes });
                        for broker in (0..3).filter(|it| !alive.contains(it)) {
                            image.apply(&Record::BrokerFenced { broker });
                        }
                        image.invariants();
                        run(&image, min);
                    }
                }
            }
        }
    }
}

/// What holds after each change that is clean. `lost` has lost its log.
fn check(before: &Image, decision: &Decision, min: usize, lost: Option<i32>) -> Image {
    let mut after = before.clone();
    apply(&mut after, decision);
    assert_eq!(decision.unclean, 0);
    let (old, new) = (partition(before), partition(&after));
    let had = |it: &i32| (old.isr.contains(it) || old.elr.contains(it)) && lost != Some(*it);
    let has = |it: &i32| new.isr.contains(it) || new.elr.contains(it);
    assert!(new.leader_epoch >= old.leader_epoch && new.partition_epoch >= old.partition_epoch);
    if new.leader != old.leader {
        assert!(new.leader_epoch > old.leader_epoch);
        assert!(new.leader == -1 || after.is_alive(new.leader) && had(&new.leader), "{new:?}");
    }
    if new != old {
        assert!(new.partition_epoch > old.partition_epoch);
    }
    if new.leader == -1 {
        let candidates = new.replicas.iter().filter(|it| has(it) && after.is_alive(**it));
        assert_eq!(candidates.count(), 0, "somebody could lead {new:?}");
    }
    assert!(new.isr.iter().all(|it| after.is_unfenced(*it)), "{new:?}");
    assert!(new.elr.is_empty() || new.isr.len() < min.min(new.replicas.len()), "{new:?}");
    if new.isr.len() < min {
        assert!(old.replicas.iter().filter(|it| had(it)).all(has), "forgotten: {old:?} {new:?}");
    }
    assert!(lost.is_none_or(|it| !has(&it)), "{new:?}");
    assert!(new.min_in_sync(min) > new.isr.len() || new.elr.is_empty());
    after
}

#[test]
fn each_state_of_a_partition_is_left_as_the_rules_say() {
    let mut states = 0;
    each_state(|image, min| {
        states += 1;
        for broker in 0..3 {
            let after = check(image, &block_on(on_fence(image, broker, &no_pause)), min, None);
            assert!(!after.is_unfenced(broker));
            assert_eq!(block_on(on_fence(&after, broker, &no_pause)), Decision::default());
            assert_eq!(block_on(on_lead(&after, &no_pause)), Decision::default());

            let back = check(&after, &block_on(on_unfence(&after, broker, &no_pause)), min, None);
            assert!(back.is_alive(broker));
            assert_eq!(block_on(on_unfence(&back, broker, &no_pause)), Decision::default());

            let again = registration(broker, 2, 1_000 + broker as u128);
            let decision = block_on(on_register(image, &again, &no_pause));
            let same = check(image, &decision, min, None);
            assert!(!same.is_unfenced(broker) && !partition(&same).isr.contains(&broker));
            assert_eq!(block_on(on_register(&same, &again, &no_pause)), Decision::default());

            let wiped = registration(broker, 2, 5);
            let decision = block_on(on_register(image, &wiped, &no_pause));
            check(image, &decision, min, Some(broker));

            let gone = block_on(on_unregister(image, broker, &no_pause));
            let gone = check(image, &gone, min, None);
            assert!(gone.broker(broker).is_none());
            let anew = block_on(on_register(&gone, &again, &no_pause));
            check(&gone, &anew, min, Some(broker));

            let decision = block_on(on_shutdown(image, broker, &no_pause));
            let after = check(image, &decision, min, None);
            let it = partition(&after);
            let others = it.replicas.iter().any(|it| {
                let p = partition(image);
                after.is_alive(*it) && (p.isr.contains(it) || p.elr.contains(it))
            });
            assert!(!others || it.leader != broker, "{it:?}");
            if partition(image).leader == broker && !others {
                assert_eq!(it, partition(image), "nobody else can lead it");
            }
            let after = check(&after, &block_on(on_fence(&after, broker, &no_pause)), min, None);
            assert_ne!(partition(&after).leader, broker);
        }
        let decision = block_on(imbalanced(image, &BTreeSet::new(), 9, &no_pause));
        let after = check(image, &decision, min, None);
        let it = partition(&after);
        assert!(it.leader == 0 || !it.isr.contains(&0) || !after.is_alive(0));
    });
    assert!(states > 200, "{states}");
}

/// As [`each_state`], with each set of brokers that have no space.
fn each_state_without_space(mut run: impl FnMut(&Image, usize)) {
    each_state(|image, min| {
        for full in subsets(3) {
            let mut image = image.clone();
            for broker in full {
                image.apply(&Record::BrokerSpace { broker, lacks: true });
            }
            run(&image, min);
        }
    });
}

#[test]
fn who_has_no_space_leads_what_nobody_in_sync_with_space_can_lead() {
    let mut moved = [0; 2];
    each_state_without_space(|image, min| {
        // What a controller finds that the one before has left half done.
        let image = &check(image, &block_on(on_lead(image, &no_pause)), min, None);
        let old = partition(image);
        let leads_full = |image: &Image, it: &Partition| {
            let others = it.isr.iter().any(|it| image.can_lead(*it));
            image.lacks_space(it.leader) && others
        };
        assert!(!leads_full(image, old), "{old:?}");
        for broker in 0..3 {
            let lacks = !image.lacks_space(broker);
            let decision = block_on(on_space(image, broker, lacks, &no_pause));
            if !image.is_unfenced(broker) {
                assert_eq!(decision, Decision::default());
                continue;
            }
            let after = check(image, &decision, min, None);
            assert_eq!(after.lacks_space(broker), lacks);
            assert_eq!(block_on(on_space(&after, broker, lacks, &no_pause)), Decision::default());
            assert_eq!(block_on(on_lead(&after, &no_pause)), Decision::default());
            let new = partition(&after);
            assert!(!leads_full(&after, new), "{new:?}");
            if new == old {
                continue;
            }
            moved[usize::from(lacks)] += 1;
            assert!(after.can_lead(new.leader) && old.isr.contains(&new.leader), "{old:?} {new:?}");
            assert_eq!(old.leader == broker, lacks, "only what is led without space moves");
            // Who led is not waited for, where it is not needed.
            let left = old.isr.len() > new.isr.len();
            assert_eq!(left, old.isr.len() > min, "{old:?} {new:?}");
            // Neither goes it back by itself, nor because somebody wants it.
            let balanced = block_on(imbalanced(&after, &BTreeSet::new(), 9, &no_pause));
            assert!(partition(&check(&after, &balanced, min, None)).leader != old.leader);
            let asked = [("t", 0)].into_iter();
            let (_, results) =
                block_on(elect_leaders(&after, Election::Preferred, asked, &no_pause));
            assert!(old.leader != 0 || results[0].is_err(), "{new:?}");
        }
        // What others do without knowing of it does no harm.
        for broker in 0..3 {
            let after = check(image, &block_on(on_fence(image, broker, &no_pause)), min, None);
            let it = partition(&after);
            assert!(!leads_full(&after, it), "{it:?}");
            let (was, kept) = (image.lacks_space(old.leader), it.leader == old.leader);
            assert!(!was || kept || old.leader == broker || after.can_lead(it.leader), "{it:?}");
        }
    });
    assert!(moved[0] > 20 && moved[1] > 20, "{moved:?}");
}

#[test]
fn who_joins_those_in_sync_with_space_leads_what_was_led_without() {
    let mut image = image(3);
    create(&mut image, vec![NewPartition::new([0, 1, 2])], &[]);
    let change = PartitionChange { isr: Some([0].into()), ..PartitionChange::default() };
    image.apply(&Record::PartitionsChanged { id: TOPIC, changes: vec![(0, change)] });
    let decision = block_on(on_space(&image, 0, true, &no_pause));
    apply(&mut image, &decision);
    assert_eq!(partition(&image).leader, 0, "nobody else has everything");
    let it = partition(&image);
    let change = IsrChange {
        topic: TOPIC,
        partition: 0,
        leader_epoch: it.leader_epoch,
        partition_epoch: it.partition_epoch,
        isr: vec![(0, 1), (1, 1)],
    };
    let request = IsrRequest { broker: 0, incarnation: 1, partitions: vec![change] };
    let (decision, results) = block_on(alter_isr(&image, &request, &no_pause));
    assert_eq!(results[0], Err(ErrorCode::NEW_LEADER_ELECTED));
    apply(&mut image, &decision);
    assert_eq!(partition(&image).leader, 1);
    // A new topic begins with those that have space.
    assert_eq!(image.first_in_sync(&[0, 1, 2]), [1, 2]);
    for broker in [1, 2] {
        let decision = block_on(on_space(&image, broker, true, &no_pause));
        apply(&mut image, &decision);
    }
    assert_eq!((partition(&image).leader, image.first_in_sync(&[0, 1, 2])), (1, vec![0, 1, 2]));
    // A process that begins anew says so anew.
    let decision = block_on(on_register(&image, &registration(2, 2, 1_002), &no_pause));
    apply(&mut image, &decision);
    assert!(!image.lacks_space(2));
}

#[test]
fn who_has_come_back_leads_again_when_it_has_settled() {
    let mut image = image(3);
    create(&mut image, vec![NewPartition::new([0, 1, 2]), NewPartition::new([1, 0, 2])], &[]);
    for decision in [
        block_on(on_fence(&image, 0, &no_pause)),
        Decision { records: vec![Record::BrokerUnfenced { broker: 0 }], ..Decision::default() },
    ] {
        apply(&mut image, &decision);
    }
    let led = |image: &Image, unsettled: &[i32]| {
        let unsettled = unsettled.iter().copied().collect();
        block_on(imbalanced(image, &unsettled, 9, &no_pause)).led
    };
    let joins = |image: &mut Image, partition: i32| {
        let it = &image.topic("t").unwrap().partitions[partition as usize];
        let isr = it.isr.iter().chain(&[0]).copied().collect();
        let change = PartitionChange { isr: Some(isr), ..PartitionChange::default() };
        image.apply(&Record::PartitionsChanged { id: TOPIC, changes: vec![(partition, change)] });
    };
    assert_eq!(led(&image, &[]), 0, "it is not in sync");
    joins(&mut image, 0);
    assert_eq!(led(&image, &[]), 0, "it is behind with the other partition");
    joins(&mut image, 1);
    assert_eq!((led(&image, &[0]), led(&image, &[1]), led(&image, &[])), (0, 1, 1));
}

#[test]
fn an_operator_may_have_somebody_lead_who_lacks_records() {
    each_state(|image, _| {
        let asked = [("t", 0), ("t", 1), ("u", 0), ("t", 0)];
        let election = elect_leaders(image, Election::Unclean, asked.into_iter(), &no_pause);
        let (decision, results) = block_on(election);
        let codes: Vec<_> = results.iter().map(|it| it.as_ref().err().map(|it| it.0)).collect();
        let alive = (0..3).any(|it| image.is_alive(it));
        let before = partition(image);
        let expected = match before.leader {
            -1 if alive => None,
            -1 => Some(ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE),
            _ => Some(ErrorCode::ELECTION_NOT_NEEDED),
        };
        let unknown = Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(codes[..3], [expected, unknown, unknown]);
        let mut after = image.clone();
        apply(&mut after, &decision);
        let it = partition(&after);
        if expected.is_none() {
            let clean = before.elr.contains(&it.leader);
            assert_eq!((it.leader_epoch, decision.led), (before.leader_epoch + 1, 1));
            assert_eq!((&*it.isr, decision.unclean), (&[it.leader][..], usize::from(!clean)));
            assert!(clean || it.elr.is_empty());
            let unclean_epoch = if clean { before.unclean_epoch } else { it.leader_epoch };
            assert_eq!(it.unclean_epoch, unclean_epoch);
        } else {
            assert_eq!(it, before);
        }
    });
}

#[test]
fn unclean_elections_happen_where_the_topic_allows_them() {
    for allowed in [false, true] {
        let mut image = image(2);
        let settings = [("unclean.leader.election.enable", if allowed { "true" } else { "false" })];
        create(&mut image, vec![NewPartition::new([0, 1])], &settings);
        for broker in [1, 0] {
            let decision = block_on(on_fence(&image, broker, &no_pause));
            apply(&mut image, &decision);
        }
        assert_eq!((&*partition(&image).elr, partition(&image).leader), (&[0][..], -1));
        let decision = block_on(on_unfence(&image, 1, &no_pause));
        apply(&mut image, &decision);
        assert_eq!(decision.unclean, usize::from(allowed));
        assert_eq!(partition(&image).leader, if allowed { 1 } else { -1 });
    }
}

#[test]
fn settings_of_a_topic_take_effect_on_its_partitions() {
    let mut image = image(3);
    create(&mut image, vec![NewPartition::new([0, 1, 2])], &[("min.insync.replicas", "2")]);
    for broker in [2, 1] {
        let decision = block_on(on_fence(&image, broker, &no_pause));
        apply(&mut image, &decision);
    }
    assert_eq!((&*partition(&image).isr, &*partition(&image).elr), (&[0][..], &[1][..]));
    let set = |name: &str, value: &str| Record::TopicConfigSet {
        id: TOPIC,
        settings: vec![(name.to_owned(), Some(value.to_owned()))],
    };
    assert_eq!(block_on(on_settings(&image, TOPIC, &no_pause)), Decision::default());
    let mut fewer = image.clone();
    fewer.apply(&set("min.insync.replicas", "1"));
    let decision = block_on(on_settings(&fewer, TOPIC, &no_pause));
    apply(&mut fewer, &decision);
    assert_eq!((partition(&fewer).leader, partition(&fewer).elr.len()), (0, 0));
    // The watermark may advance again, and who was eligible may not lead any more.
    assert_eq!(partition(&fewer).min_in_sync(1), 1);

    let decision = block_on(on_fence(&image, 0, &no_pause));
    apply(&mut image, &decision);
    let decision = block_on(on_unfence(&image, 2, &no_pause));
    apply(&mut image, &decision);
    assert_eq!(partition(&image).leader, -1);
    image.apply(&set("unclean.leader.election.enable", "true"));
    let decision = block_on(on_settings(&image, TOPIC, &no_pause));
    apply(&mut image, &decision);
    assert_eq!((partition(&image).leader, decision.unclean), (2, 1));
}

fn ask(image: &Image, broker: i32, isr: &[i32]) -> IsrRequest {
    let it = partition(image);
    let incarnation = |id| image.broker(id).map_or(0, |it| it.incarnation);
    let change = IsrChange {
        topic: TOPIC,
        partition: 0,
        leader_epoch: it.leader_epoch,
        partition_epoch: it.partition_epoch,
        isr: isr.iter().map(|id| (*id, incarnation(*id))).collect(),
    };
    IsrRequest { broker, incarnation: incarnation(broker), partitions: vec![change] }
}

#[test]
fn an_isr_is_altered_by_its_leader_with_replicas_that_may_join() {
    let mut image = image(4);
    create(&mut image, vec![NewPartition::new([0, 1, 2])], &[("min.insync.replicas", "2")]);
    let run = |image: &Image, request: &IsrRequest| {
        let (decision, mut results) = block_on(alter_isr(image, request, &no_pause));
        assert_eq!(results.len(), request.partitions.len());
        assert!(results[0].is_ok() || decision == Decision::default());
        (decision, results.remove(0))
    };
    let (shrink, result) = run(&image, &ask(&image, 0, &[0]));
    assert_eq!(result.unwrap().partition_epoch, 1);
    apply(&mut image, &shrink);
    let it = partition(&image).clone();
    assert_eq!((&*it.isr, &*it.elr, it.leader_epoch), (&[0][..], &[1, 2][..], 0));

    let with = |change: &dyn Fn(&mut IsrRequest)| {
        let mut request = ask(&image, 0, &[0, 2]);
        change(&mut request);
        run(&image, &request).1.err()
    };
    assert_eq!(with(&|_| {}), None);
    for (want, change) in [
        (ErrorCode::BROKER_ID_NOT_REGISTERED, &|it| it.broker = 9),
        (ErrorCode::STALE_BROKER_EPOCH, &|it| it.incarnation = 9),
        (ErrorCode::UNKNOWN_TOPIC_ID, &|it| it.partitions[0].topic = TopicId([8; 16])),
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, &|it| it.partitions[0].partition = 1),
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, &|it| it.partitions[0].partition = -1),
        (ErrorCode::NOT_CONTROLLER, &|it| it.partitions[0].leader_epoch = 1),
        (ErrorCode::NOT_CONTROLLER, &|it| it.partitions[0].partition_epoch = 2),
        (ErrorCode::FENCED_LEADER_EPOCH, &|it| it.partitions[0].leader_epoch = -1),
        (ErrorCode::INVALID_UPDATE_VERSION, &|it| it.partitions[0].partition_epoch = 0),
        (ErrorCode::INVALID_REQUEST, &|it| it.broker = 1),
        (ErrorCode::INVALID_REQUEST, &|it| it.partitions[0].isr = vec![(2, 1)]),
        (ErrorCode::INVALID_REQUEST, &|it| it.partitions[0].isr = vec![(0, 1), (3, 1)]),
        (ErrorCode::INVALID_REQUEST, &|it| it.partitions[0].isr = vec![(0, 1), (2, 1), (2, 1)]),
        (ErrorCode::INELIGIBLE_REPLICA, &|it| it.partitions[0].isr[1].1 = 9),
        (ErrorCode::INELIGIBLE_REPLICA, &|it| it.partitions[0].isr[0].1 = 9),
    ] as [(ErrorCode, &dyn Fn(&mut IsrRequest)); 15]
    {
        assert_eq!(with(change), Some(want));
    }
    let mut twice = ask(&image, 0, &[0, 2]);
    twice.partitions.push(twice.partitions[0].clone());
    let (decision, results) = block_on(alter_isr(&image, &twice, &no_pause));
    assert_eq!(
        (decision.records.len(), results[1].clone().err()),
        (1, Some(ErrorCode::INVALID_REQUEST))
    );
    for record in [Record::BrokerFenced { broker: 2 }, Record::BrokerShuttingDown { broker: 2 }] {
        let mut image = image.clone();
        image.apply(&record);
        let error = run(&image, &ask(&image, 0, &[0, 2])).1.unwrap_err();
        assert_eq!(error, ErrorCode::INELIGIBLE_REPLICA);
    }
    let (expand, result) = run(&image, &ask(&image, 0, &[2, 0]));
    assert_eq!(&*result.unwrap().isr, &[0, 2]);
    apply(&mut image, &expand);
    assert!(partition(&image).elr.is_empty(), "enough are in sync");
    // The same again raises the epoch: what was asked for before that cannot take effect any more.
    let (_, result) = run(&image, &ask(&image, 0, &[0, 2]));
    assert_eq!(result.map(|it| (it.isr.to_vec(), it.partition_epoch)), Ok((vec![0, 2], 3)));
}

#[test]
fn a_replica_gives_up_a_damaged_log_where_others_have_everything() {
    let run = |image: &Image, request: &IsrRequest| {
        let (decision, mut results) = block_on(alter_isr(image, request, &no_pause));
        (decision, results.remove(0).err())
    };
    let mut image = image(4);
    create(&mut image, vec![NewPartition::new([0, 1, 2])], &[("min.insync.replicas", "3")]);
    // Nobody says it of another one, or says more than that.
    for (broker, isr) in [(0, &[1][..]), (0, &[1, 2, 3]), (1, &[0]), (3, &[0, 1, 2])] {
        let (decision, error) = run(&image, &ask(&image, broker, isr));
        assert_eq!((decision, error), (Decision::default(), Some(ErrorCode::INVALID_REQUEST)));
    }
    // A follower: it is not eligible although fewer are in sync than are wanted, and the leader begins another epoch.
    let (decision, error) = run(&image, &ask(&image, 2, &[0, 1]));
    assert_eq!(error, None);
    apply(&mut image, &decision);
    let it = partition(&image).clone();
    assert_eq!((it.leader, it.leader_epoch, &*it.isr, &*it.elr), (0, 1, &[0, 1][..], &[][..]));
    // Once more, where it was found after it had followed in that epoch.
    let (again, error) = run(&image, &ask(&image, 2, &[0, 1]));
    assert_eq!(error, None);
    let mut later = image.clone();
    apply(&mut later, &again);
    assert_eq!((partition(&later).leader_epoch, &*partition(&later).isr), (2, &[0, 1][..]));
    // The leader: another one leads.
    let (decision, error) = run(&image, &ask(&image, 0, &[1]));
    assert_eq!(error, Some(ErrorCode::NEW_LEADER_ELECTED));
    apply(&mut image, &decision);
    let it = partition(&image).clone();
    assert_eq!((it.leader, it.leader_epoch, &*it.isr, &*it.elr), (1, 2, &[1][..], &[][..]));
    // The last one keeps what it has, whatever may lead there.
    for unclean in ["false", "true"] {
        let mut image = image.clone();
        let changes = vec![("unclean.leader.election.enable".into(), Some(unclean.into()))];
        image.apply(&Record::TopicConfigSet { id: TOPIC, settings: changes });
        let (decision, error) = run(&image, &ask(&image, 1, &[]));
        assert_eq!((decision, error), (Decision::default(), Some(ErrorCode::INELIGIBLE_REPLICA)));
    }
}

/// Brokers, what their logs hold, and what a client was told: a number of records for each partition.
struct History {
    rng: Rng,
    image: Image,
    min: usize,
    /// By partition and broker.
    ends: BTreeMap<(usize, i32), u64>,
    committed: Vec<u64>,
    /// The processes of brokers that run.
    running: BTreeMap<i32, u64>,
    /// Their data directories.
    directories: BTreeMap<i32, u128>,
    incarnation: u64,
    elected: usize,
    offline: usize,
    /// Damaged logs: partition, broker, and the leader epoch in which that was found.
    damaged: Vec<(usize, i32, i32)>,
    anew: usize,
}

const BROKERS: i32 = 4;

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut image = image(BROKERS);
        let min = rng.between(1, 3) as usize;
        let factor = rng.between(1, 3) as usize;
        let mut placer = Placer::new(&image);
        let topic = TopicId(u128::from(seed).to_be_bytes());
        let partitions = block_on(placer.place(topic, &[], 3, factor, &no_pause)).unwrap();
        create(&mut image, partitions, &[("min.insync.replicas", &min.to_string())]);
        Self {
            rng,
            image,
            min,
            ends: BTreeMap::new(),
            committed: vec![0; 3],
            running: (0..BROKERS).map(|it| (it, 1)).collect(),
            directories: (0..BROKERS).map(|it| (it, 1_000 + it as u128)).collect(),
            incarnation: 1,
            elected: 0,
            offline: 0,
            damaged: Vec::new(),
            anew: 0,
        }
    }

    fn run(&mut self) {
        for _ in 0..80 {
            let decision = self.step();
            let before = self.image.clone();
            // A controller that stops leaves some of it; the next one finishes.
            let count = decision.records.len();
            let kept = if self.rng.chance(10) { self.rng.index(count + 1) } else { count };
            for it in &decision.records[..kept] {
                self.image.apply(it);
                self.image.invariants();
            }
            if kept < count {
                let decision = block_on(on_lead(&self.image, &no_pause));
                apply(&mut self.image, &decision);
            }
            self.check(&before);
            self.begin_anew();
            self.commit();
        }
    }

    fn step(&mut self) -> Decision {
        let broker = self.rng.below(BROKERS as u64) as i32;
        self.incarnation += 1;
        match self.rng.below(13) {
            0 | 1 => block_on(on_fence(&self.image, broker, &no_pause)),
            2..=4 if self.runs(broker) => block_on(on_unfence(&self.image, broker, &no_pause)),
            5 if self.runs(broker) => block_on(on_shutdown(&self.image, broker, &no_pause)),
            6 | 7 => {
                if self.rng.chance(20) {
                    self.ends.retain(|it, _| it.1 != broker);
                    self.directories.insert(broker, u128::from(self.incarnation));
                }
                self.running.insert(broker, self.incarnation);
                let it = registration(broker, self.incarnation, self.directories[&broker]);
                block_on(on_register(&self.image, &it, &no_pause))
            }
            8 if self.rng.chance(20) => block_on(on_unregister(&self.image, broker, &no_pause)),
            9 => block_on(imbalanced(&self.image, &BTreeSet::new(), 2, &no_pause)),
            10 if self.runs(broker) => self.give_up(broker),
            _ => self.alter(),
        }
    }

    /// A log is damaged, and its replica says so.
    fn give_up(&mut self, broker: i32) -> Decision {
        let at = self.rng.index(3);
        let it = self.image.topic_by_id(TOPIC).unwrap().partitions[at].clone();
        let others = it.isr.iter().filter(|id| **id != broker);
        let change = IsrChange {
            topic: TOPIC,
            partition: at as i32,
            leader_epoch: it.leader_epoch,
            partition_epoch: it.partition_epoch,
            isr: others.map(|id| (*id, self.running[id])).collect(),
        };
        self.damaged.push((at, broker, it.leader_epoch));
        let incarnation = self.running[&broker];
        let request = IsrRequest { broker, incarnation, partitions: vec![change] };
        block_on(alter_isr(&self.image, &request, &no_pause)).0
    }

    /// Damaged logs begin anew that do not count any more.
    fn begin_anew(&mut self) {
        let topic = self.image.topic_by_id(TOPIC).unwrap();
        self.damaged.retain(|(at, broker, found)| {
            let it = &topic.partitions[*at];
            let counts = it.isr.contains(broker) || it.elr.contains(broker);
            let begins = it.leader_epoch > *found && !counts && ![-1, *broker].contains(&it.leader);
            if begins {
                self.ends.remove(&(*at, *broker));
                self.anew += 1;
            }
            !begins
        });
    }

    /// Whether the process that has registered runs.
    fn runs(&self, broker: i32) -> bool {
        self.image.broker(broker).is_some_and(|it| self.running[&broker] == it.incarnation)
    }

    /// A leader drops who is behind, and takes in who has caught up.
    fn alter(&mut self) -> Decision {
        let at = self.rng.index(3);
        let it = self.image.topic_by_id(TOPIC).unwrap().partitions[at].clone();
        if !self.runs(it.leader) {
            return Decision::default();
        }
        let mut isr = Vec::new();
        for id in &*it.replicas {
            let join = *id == it.leader || self.rng.chance(60);
            if join {
                isr.push((*id, self.running[id]));
                // It was brought to the leader's end before it was proposed.
                self.ends.insert((at, *id), self.committed[at]);
            }
        }
        let (leader_epoch, partition_epoch) = (it.leader_epoch, it.partition_epoch);
        let partition = at as i32;
        let change = IsrChange { topic: TOPIC, partition, leader_epoch, partition_epoch, isr };
        let (broker, incarnation) = (it.leader, self.running[&it.leader]);
        let request = IsrRequest { broker, incarnation, partitions: vec![change] };
        block_on(alter_isr(&self.image, &request, &no_pause)).0
    }

    fn check(&mut self, before: &Image) {
        let old = before.topic_by_id(TOPIC).unwrap();
        let new = self.image.topic_by_id(TOPIC).unwrap();
        for (at, (old, new)) in old.partitions.iter().zip(&*new.partitions).enumerate() {
            assert!(new.leader_epoch >= old.leader_epoch);
            assert!(new.partition_epoch >= old.partition_epoch);
            assert!(new == old || new.partition_epoch > old.partition_epoch);
            assert!(new.isr.iter().all(|it| self.image.is_unfenced(*it)), "{new:?}");
            self.offline += usize::from(new.leader == -1);
            if new.leader_epoch == old.leader_epoch {
                assert_eq!(new.leader, old.leader, "one leader an epoch");
                continue;
            }
            // A process that has not registered yet does not lead what the one before it would.
            if self.runs(new.leader) {
                self.elected += 1;
                let end = self.ends.get(&(at, new.leader)).copied().unwrap_or(0);
                assert!(end >= self.committed[at], "{old:?} {new:?}: a leader lacks records");
            }
        }
    }

    /// Leaders take records, and commit what all in sync have.
    fn commit(&mut self) {
        let topic = self.image.topic_by_id(TOPIC).unwrap();
        for (at, it) in topic.partitions.iter().enumerate() {
            let acknowledge = it.isr.iter().all(|it| self.runs(*it));
            if it.leader == -1 || !acknowledge || it.isr.len() < it.min_in_sync(self.min) {
                continue;
            }
            self.committed[at] += 1;
            for id in &*it.isr {
                self.ends.insert((at, *id), self.committed[at]);
            }
        }
    }
}

#[test]
fn in_random_histories_no_leader_lacks_what_was_committed() {
    let (mut elected, mut offline, mut committed, mut anew) = (0, 0, 0, 0);
    for seed in 0..1_500 {
        let result = std::panic::catch_unwind(|| {
            let mut history = History::new(seed);
            history.run();
            let committed = history.committed.iter().sum::<u64>();
            (history.elected, history.offline, committed, history.anew)
        });
        let (led, gone, more, begun) = result.unwrap_or_else(|_| panic!("seed {seed}"));
        (elected, offline, committed) = (elected + led, offline + gone, committed + more);
        anew += begun;
    }
    assert!(
        elected > 5_000 && offline > 10_000 && committed > 50_000 && anew > 1_000,
        "vacuous: {elected} {offline} {committed} {anew}"
    );
}
