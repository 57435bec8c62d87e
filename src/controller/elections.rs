//! Who leads: what becomes of partitions when brokers come and go, and what an operator asks for.
//!
//! Pure functions of the image that has everything proposed. The records that they give go in pieces, and a crash may
//! leave the first of them. So a broker is fenced behind the changes of its partitions, and unfenced before
//! them: what is left over is a broker whose session ends anew, or partitions that [`on_lead`] finds.
//!
//! Loops over partitions pause after each.

use super::broker::Registration;
use super::changes::{Changes, Decision};
use super::image::{Image, Topic};
use super::partition::Partition;
use super::partition_change::{Builder, Change};
use super::record::Record;
use crate::types::{ErrorCode, TopicId};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Which election an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The preferred leader is to lead.
    Preferred,
    /// Somebody is to lead, whether it has everything or not.
    Unclean,
}

/// What happens to a broker.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    /// It is not there any more.
    Leaves,
    /// Nor is what it had written.
    Lost,
    /// It will stop soon, and leads what nobody else can lead until then.
    ShutsDown,
    /// It may lead again.
    Returns,
    /// Its disk has no space any more, or has some again.
    Space,
}

/// Changes each partition of which this broker holds a replica; `image` is that in which it is as the event has it.
async fn change_all(
    image: &Image,
    broker: i32,
    event: Event,
    changes: &mut Changes,
    pause: &impl AsyncFn(),
) {
    for topic in image.topics_of(broker) {
        for (partition, index) in topic.partitions.iter().zip(0..) {
            pause().await;
            if !partition.replicas.contains(&broker) {
                continue;
            }
            let builder = Builder::new(image, topic, partition);
            let change = match event {
                Event::Leaves => builder.leave(broker).build(),
                Event::Lost => builder.lose(broker).build(),
                Event::ShutsDown if partition.leader == -1 => None,
                Event::ShutsDown => {
                    builder.leave(broker).build().filter(|it| it.fields.leader != Some(-1))
                }
                Event::Returns if image.is_unfenced(partition.leader) => None,
                Event::Returns => builder.build(),
                Event::Space if !image.lacks_space(partition.leader) => None,
                Event::Space => {
                    let moves = |it: &Change| {
                        it.fields.leader.is_some_and(|leader| leader != partition.leader)
                    };
                    builder.leave_to_others(partition.leader).build().filter(moves)
                }
            };
            if let Some(change) = change {
                changes.add(topic, index, change);
            }
        }
    }
}

fn after(image: &Image, record: &Record) -> Image {
    let mut after = image.clone();
    after.apply(record);
    after
}

/// A process of a broker registers: what it led others lead, until it is unfenced. Where its data directory is not the
/// one of before, it has lost what it was in sync for; a partition for which only it was is without a leader until an
/// operator says that somebody is to lead it ([`Election::Unclean`]). The same process again changes nothing.
pub async fn on_register(image: &Image, it: &Registration, pause: &impl AsyncFn()) -> Decision {
    let mut changes = Changes::default();
    let before = image.broker(it.id);
    if before.is_some_and(|before| before.incarnation == it.incarnation) {
        return changes.finish();
    }
    let same_directory =
        before.is_some_and(|old| old.directory == 0 || old.directory == it.directory);
    let event = if same_directory { Event::Leaves } else { Event::Lost };
    let fenced = after(image, &Record::BrokerFenced { broker: it.id });
    change_all(&fenced, it.id, event, &mut changes, pause).await;
    changes.push(Record::BrokerRegistered(it.clone()));
    changes.finish()
}

/// A broker was not heard of for too long, or has stopped: it leaves the ISRs, and others lead what it led.
pub async fn on_fence(image: &Image, broker: i32, pause: &impl AsyncFn()) -> Decision {
    let mut changes = Changes::default();
    let fenced = Record::BrokerFenced { broker };
    change_all(&after(image, &fenced), broker, Event::Leaves, &mut changes, pause).await;
    if image.is_unfenced(broker) {
        changes.push(fenced);
    }
    changes.finish()
}

/// A broker has caught up with the metadata: it may lead what has no leader, where it is in sync or eligible.
pub async fn on_unfence(image: &Image, broker: i32, pause: &impl AsyncFn()) -> Decision {
    let mut changes = Changes::default();
    let unfenced = Record::BrokerUnfenced { broker };
    let after = after(image, &unfenced);
    if image.broker(broker).is_some_and(|it| it.fenced) {
        changes.push(unfenced);
    }
    change_all(&after, broker, Event::Returns, &mut changes, pause).await;
    changes.finish()
}

/// A broker is about to stop: others lead what they can, and it leaves the ISRs there.
pub async fn on_shutdown(image: &Image, broker: i32, pause: &impl AsyncFn()) -> Decision {
    let mut changes = Changes::default();
    let shutting_down = Record::BrokerShuttingDown { broker };
    let after = after(image, &shutting_down);
    if image.broker(broker).is_some_and(|it| !it.shutting_down) {
        changes.push(shutting_down);
    }
    change_all(&after, broker, Event::ShutsDown, &mut changes, pause).await;
    changes.finish()
}

/// A broker says that its disk has no space any more, or has some again. What it leads without space others lead who are in sync
/// and have some; so may it lead what others lead without. Where nobody can, all stays as it is. It leaves the ISR of what it
/// led, if enough are left: the new leader would wait for it to take what it has no space for.
pub async fn on_space(image: &Image, broker: i32, lacks: bool, pause: &impl AsyncFn()) -> Decision {
    let mut changes = Changes::default();
    let space = Record::BrokerSpace { broker, lacks };
    if image.broker(broker).is_none_or(|it| it.fenced || it.lacks_space == lacks) {
        return changes.finish();
    }
    let after = after(image, &space);
    changes.push(space);
    change_all(&after, broker, Event::Space, &mut changes, pause).await;
    changes.finish()
}

/// A broker will not come back. It stays a replica of what it holds until that is reassigned.
pub async fn on_unregister(image: &Image, broker: i32, pause: &impl AsyncFn()) -> Decision {
    let mut changes = Changes::default();
    let unregistered = Record::BrokerUnregistered { broker };
    change_all(&after(image, &unregistered), broker, Event::Leaves, &mut changes, pause).await;
    if image.broker(broker).is_some() {
        changes.push(unregistered);
    }
    changes.finish()
}

/// A controller begins to lead: finishes what the one before it may have left half done.
pub async fn on_lead(image: &Image, pause: &impl AsyncFn()) -> Decision {
    let mut changes = Changes::default();
    for topic in image.topics() {
        for (partition, index) in topic.partitions.iter().zip(0..) {
            pause().await;
            let in_order = image.is_unfenced(partition.leader)
                && !image.lacks_space(partition.leader)
                && partition.isr.iter().all(|it| image.is_unfenced(*it));
            if in_order {
                continue;
            }
            if let Some(change) = Builder::new(image, topic, partition).leave_fenced().build() {
                changes.add(topic, index, change);
            }
        }
    }
    changes.finish()
}

/// Partitions, at most so many, that another broker leads than the preferred one, although that is in sync: with these
/// changes it leads again. Also those whose eligible leaders are not needed any more, because
/// `min.insync.replicas` was lowered.
///
/// A broker that has come back takes nothing while it is among the `unsettled`, or is still catching up with anything
/// that it holds: its clients would wait behind that (KAFKA-20708).
pub async fn imbalanced(
    image: &Image,
    unsettled: &BTreeSet<i32>,
    most: usize,
    pause: &impl AsyncFn(),
) -> Decision {
    let (mut changes, mut count) = (Changes::default(), 0);
    let mut waits = unsettled.clone();
    for topic in image.topics() {
        for partition in topic.partitions.iter().filter(|it| it.leader != -1) {
            pause().await;
            let behind = |it: &&i32| !partition.isr.contains(it) && !partition.adding.contains(it);
            waits.extend(partition.replicas.iter().filter(behind));
        }
    }
    for topic in image.topics() {
        for (partition, index) in topic.partitions.iter().zip(0..) {
            pause().await;
            let preferred = partition.replicas.first().copied().unwrap_or(-1);
            let moves = partition.leader != preferred
                && partition.isr.contains(&preferred)
                && image.can_lead(preferred)
                && !waits.contains(&preferred);
            if partition.leader == -1 || !moves && partition.elr.is_empty() {
                continue;
            }
            let builder = Builder::new(image, topic, partition);
            let builder = if moves { builder.prefer() } else { builder };
            if let Some(change) = builder.build() {
                changes.add(topic, index, change);
                count += 1;
            }
            if count == most {
                return changes.finish();
            }
        }
    }
    changes.finish()
}

/// The settings of a topic have changed, in `image` already: eligible leaders may not be needed any more, where
/// `min.insync.replicas` was lowered, and a partition may have a leader, where unclean elections are allowed now.
pub async fn on_settings(image: &Image, id: TopicId, pause: &impl AsyncFn()) -> Decision {
    let mut changes = Changes::default();
    let Some(topic) = image.topic_by_id(id) else { return changes.finish() };
    for (partition, index) in topic.partitions.iter().zip(0..) {
        pause().await;
        if partition.leader != -1 && partition.elr.is_empty() {
            continue;
        }
        if let Some(change) = Builder::new(image, topic, partition).build() {
            changes.add(topic, index, change);
        }
    }
    changes.finish()
}

/// Why there is no election: Kafka's code, and words of its own where it has some.
pub type ElectionResult = Result<(), Refusal>;

/// Kafka's code, and words.
pub type Refusal = (ErrorCode, Cow<'static, str>);

/// Has leaders of these partitions elected; with each the result. `asked` is in any order; who comes twice is told
/// that the election is not needed.
pub async fn elect_leaders(
    image: &Image,
    election: Election,
    asked: impl Iterator<Item = (&str, i32)>,
    pause: &impl AsyncFn(),
) -> (Decision, Vec<ElectionResult>) {
    let (mut changes, mut results) = (Changes::default(), Vec::new());
    let mut done = BTreeSet::new();
    for (name, index) in asked {
        pause().await;
        let result = find(image, name, index).and_then(|(topic, partition)| {
            if !done.insert((topic.id, index)) {
                return Err(not_needed());
            }
            let change = elect(image, election, topic, partition)?;
            changes.add(topic, index, change);
            Ok(())
        });
        results.push(result);
    }
    (changes.finish(), results)
}

type Found<'a> = (&'a Topic, &'a Partition);

fn find<'a>(image: &'a Image, name: &str, index: i32) -> Result<Found<'a>, Refusal> {
    let unknown = |what: String| (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, what.into());
    let topic = image.topic(name).ok_or_else(|| unknown(format!("No such topic as {name}")))?;
    let partition = usize::try_from(index).ok().and_then(|it| topic.partitions.get(it));
    let partition =
        partition.ok_or_else(|| unknown(format!("No such partition as {name}-{index}")))?;
    Ok((topic, partition))
}

fn not_needed() -> Refusal {
    let message = "Leader election not needed for topic partition.";
    (ErrorCode::ELECTION_NOT_NEEDED, message.into())
}

fn elect(
    image: &Image,
    election: Election,
    topic: &Topic,
    partition: &Partition,
) -> Result<Change, Refusal> {
    let needed = match election {
        Election::Preferred => partition.replicas.first() != Some(&partition.leader),
        Election::Unclean => partition.leader == -1,
    };
    if !needed {
        return Err(not_needed());
    }
    let builder = Builder::new(image, topic, partition);
    let change = match election {
        Election::Preferred => builder.prefer().build(),
        Election::Unclean => builder.unclean().build(),
    };
    change.filter(|it| it.fields.leader.is_some()).ok_or_else(|| {
        let code = match election {
            Election::Preferred => ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE,
            Election::Unclean => ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE,
        };
        (code, code.message().into())
    })
}
