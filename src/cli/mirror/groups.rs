//! Committed offsets of the source's groups, translated and committed at the target, for groups that nobody uses there.

use super::lane::connect;
use super::shared::{Event, Settings, Shared, View};
use crate::client::groups::{self, CommittedOffsets};
use crate::client::{ClientError, Cluster, To, check_code};
use crate::types::ErrorCode;
use crate::wire::kafka::offset_commit_request::OffsetCommitRequest;
use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

/// Offsets to commit: by topic and partition, with what the group has stored beside.
type Offsets = BTreeMap<String, BTreeMap<i32, (i64, String)>>;

/// A group's offsets as those of the copies: of partitions that are copied, where the group has read so far.
fn translated(committed: &CommittedOffsets, view: impl Fn(&str, i32) -> Option<View>) -> Offsets {
    let mut found = Offsets::new();
    for (topic, partitions) in committed {
        for (number, it) in partitions.iter().filter(|(_, it)| it.offset >= 0) {
            let Some(view) = view(topic, *number) else { continue };
            let offset = view.translation.translate(it.offset);
            let offsets = found.entry(view.target).or_default();
            offsets.insert(*number, (offset, it.metadata.clone()));
        }
    }
    found
}

/// What is to be committed: a group never goes back.
fn raised(mut wanted: Offsets, there: &CommittedOffsets) -> Offsets {
    for (topic, partitions) in &mut wanted {
        let known = there.get(topic);
        partitions.retain(|number, (offset, _)| {
            known.and_then(|it| it.get(number)).is_none_or(|it| it.offset < *offset)
        });
    }
    wanted.retain(|_, partitions| !partitions.is_empty());
    wanted
}

/// Whether a refusal means that the group is in use at the target, or of a kind that commits otherwise.
fn is_in_use(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::STALE_MEMBER_EPOCH
            | ErrorCode::REBALANCE_IN_PROGRESS
            | ErrorCode::FENCED_INSTANCE_ID
    )
}

/// Brings the offsets of all groups over once. Returns how many groups have moved.
pub fn bring_over(
    settings: &Settings,
    shared: &Shared,
    source: &mut Cluster,
    target: &mut Cluster,
) -> Result<usize, ClientError> {
    if settings.selection.groups.is_none() {
        return Ok(0);
    }
    let mut moved = 0;
    let mut failed = None;
    for group in groups::list(source, &[], &[])? {
        let kind = (group.kind.to_lowercase(), group.protocol_type.as_str());
        let reads = kind.0 != "share" && matches!(kind.1, "" | "consumer" | "streams");
        if !reads || !settings.selection.chooses_group(&group.id) {
            continue;
        }
        if shared.stopped() {
            break;
        }
        match bring_one(shared, source, target, &group.id) {
            Ok(has_moved) => moved += usize::from(has_moved),
            // A group in trouble does not hold the others up.
            Err(e) => failed = failed.or(Some(e)),
        }
    }
    failed.map_or(Ok(moved), Err)
}

fn bring_one(
    shared: &Shared,
    source: &mut Cluster,
    target: &mut Cluster,
    group: &str,
) -> Result<bool, ClientError> {
    let committed = groups::fetch_offsets(source, group)?;
    let view = |topic: &str, number| shared.view(&(topic.to_owned(), number));
    let wanted = translated(&committed, view);
    if wanted.is_empty() {
        return Ok(false);
    }
    let there = groups::fetch_offsets(target, group)?;
    let offsets = raised(wanted, &there);
    if offsets.is_empty() {
        return Ok(false);
    }
    let mut retry = target.retry();
    loop {
        match commit(target, group, &offsets) {
            Err(e) => target.wait_or(&mut retry, e)?,
            done => return done,
        }
    }
}

/// Commits for a group without members. Whether it has none.
fn commit(target: &mut Cluster, group_id: &str, offsets: &Offsets) -> Result<bool, ClientError> {
    let request = OffsetCommitRequest {
        group_id,
        generation_id_or_member_epoch: -1,
        member_id: "",
        topics: groups::commit_topics(offsets, |(offset, metadata)| (*offset, -1, metadata)),
        ..OffsetCommitRequest::default()
    };
    let node = groups::find_coordinator_once(target, group_id)?;
    let reply = target.try_call(To::Node(node), &request)?;
    let response = reply.read::<OffsetCommitRequest<'_>>()?;
    let all = response.topics.iter().flat_map(|topic| &topic.partitions);
    for it in all {
        if is_in_use(ErrorCode(it.error_code)) {
            return Ok(false);
        }
        check_code(it.error_code, || format!("offsets of group '{group_id}' at the target"), None)?;
    }
    Ok(true)
}

/// Brings offsets over at each interval, until the mirror ends.
pub fn run(settings: &Settings, shared: &Shared, events: &Sender<Event>) {
    let mut tell = |e: &ClientError| drop(events.send(Event::Notice(format!("groups: {e}"))));
    let Some(mut source) = connect(shared, &settings.from, &mut tell) else { return };
    let Some(mut target) = connect(shared, &settings.to, &mut tell) else { return };
    while !shared.stopped() {
        if let Err(e) = bring_over(settings, shared, &mut source, &mut target) {
            tell(&e);
        }
        shared.pause(settings.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::super::translation::{Run, Translation};
    use super::*;
    use crate::client::groups::Committed;
    use std::sync::Arc;

    fn committed(all: &[(&str, i32, i64)]) -> CommittedOffsets {
        let mut found = CommittedOffsets::new();
        for (topic, number, offset) in all {
            let metadata = format!("m{number}");
            let it = Committed { offset: *offset, leader_epoch: 3, metadata };
            found.entry((*topic).to_owned()).or_default().insert(*number, it);
        }
        found
    }

    fn view(topic: &str, number: i32) -> Option<View> {
        let mut translation = Translation::begin(0, 0);
        translation.copied(Run { from: 0, to: 0, len: 10 });
        translation.copied(Run { from: 10, to: 11, len: 10 });
        (topic == "t" && number < 2).then(|| View {
            position: 20,
            end: 30,
            target: "x.t".to_owned(),
            translation: Arc::new(translation),
        })
    }

    #[test]
    fn offsets_become_those_of_the_copy() {
        let all = committed(&[("t", 0, 12), ("t", 1, 25), ("t", 2, 1), ("u", 0, 1), ("t", 3, -1)]);
        let found = translated(&all, view);
        let expected = BTreeMap::from([(0, (13, "m0".to_owned())), (1, (21, "m1".to_owned()))]);
        assert_eq!(found, Offsets::from([("x.t".to_owned(), expected)]));
    }

    #[test]
    fn a_group_never_goes_back() {
        let wanted = translated(&committed(&[("t", 0, 12), ("t", 1, 12)]), view);
        let moved = |there: &[(&str, i32, i64)]| {
            let left = raised(wanted.clone(), &committed(there));
            left.values().flat_map(BTreeMap::keys).copied().collect::<Vec<_>>()
        };
        assert_eq!(moved(&[]), [0, 1]);
        assert_eq!(moved(&[("x.t", 0, 13), ("x.t", 1, 12)]), [1]);
        assert_eq!(moved(&[("x.t", 0, -1), ("x.t", 1, 14)]), [0]);
        assert!(moved(&[("x.t", 0, 13), ("x.t", 1, 99)]).is_empty());
    }
}
