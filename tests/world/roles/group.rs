//! What members of groups and those that only commit have in common.

use crate::checkers::topics::{LogKey, Stamp};
use crate::client::{Asked, Cx, Link};
use klamm::client::Reply;
use klamm::types::ErrorCode;
use klamm::wire::kafka::find_coordinator_request::FindCoordinatorRequest;
use klamm::wire::kafka::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm::wire::kafka::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use std::collections::BTreeMap;

/// Errors of a coordinator that does not serve now.
pub fn is_elsewhere(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
    )
}

pub fn find_coordinator(cx: &mut Cx<'_>, link: &mut Link, group: &str) {
    let request = FindCoordinatorRequest {
        coordinator_keys: vec![group],
        ..FindCoordinatorRequest::default()
    };
    link.send(cx, &request, Asked::FindCoordinator);
}

/// Whether there is one.
pub fn coordinator_found(reply: &Reply) -> bool {
    let response = reply.read::<FindCoordinatorRequest<'_>>().expect("an answer");
    let error = ErrorCode(response.coordinators[0].error_code);
    assert!(error == ErrorCode::NONE || is_elsewhere(error), "find coordinator: {error}");
    error == ErrorCode::NONE
}

/// Some of the logs that are certainly there.
pub fn some_logs(cx: &mut Cx<'_>) -> Vec<(LogKey, Stamp)> {
    let logs = cx.facts.topics.logs();
    let few = cx.rng.between(1, 4) as usize;
    let mut chosen: BTreeMap<LogKey, Stamp> = BTreeMap::new();
    for _ in 0..few.min(logs.len()) {
        let key = logs[cx.rng.index(logs.len())];
        chosen.insert(key, cx.facts.topics.stamp(key.topic));
    }
    chosen.into_iter().collect()
}

/// Who commits: nobody in particular, or a member, by its id, its instance where it is a static one, and
/// the generation that it knows.
#[derive(Clone, Copy, Debug)]
pub struct Committing<'a> {
    pub member: &'a str,
    pub instance: Option<&'a str>,
    pub generation: i32,
    /// Another has taken its place.
    pub fenced: bool,
}

impl Committing<'_> {
    pub const NOBODY: Self = Self { member: "", instance: None, generation: -1, fenced: false };
}

/// Commits some offsets.
pub fn commit(cx: &mut Cx<'_>, link: &mut Link, group: &str, who: Committing<'_>) {
    let logs = some_logs(cx);
    if logs.is_empty() {
        return;
    }
    let moment = cx.facts.next_moment();
    let commits: Vec<(LogKey, Stamp, u64)> = logs
        .into_iter()
        .map(|(key, stamp)| (key, stamp, cx.facts.commits.sent(group, key, moment)))
        .collect();
    let notes: Vec<String> = commits.iter().map(|(.., number)| number.to_string()).collect();
    let mut by_topic: BTreeMap<usize, Vec<OffsetCommitRequestPartition<'_>>> = BTreeMap::new();
    for ((key, _, number), note) in commits.iter().zip(&notes) {
        by_topic.entry(key.topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: key.partition,
            committed_offset: *number as i64,
            committed_leader_epoch: -1,
            committed_metadata: Some(note),
        });
    }
    let topics = &cx.facts.topics.0;
    let request = OffsetCommitRequest {
        group_id: group,
        generation_id_or_member_epoch: who.generation,
        member_id: who.member,
        group_instance_id: who.instance,
        topics: by_topic
            .into_iter()
            .map(|(topic, partitions)| OffsetCommitRequestTopic {
                name: &topics[topic].name,
                partitions,
                ..OffsetCommitRequestTopic::default()
            })
            .collect(),
        ..OffsetCommitRequest::default()
    };
    link.send(cx, &request, Asked::Commit { commits: commits.clone(), fenced: who.fenced });
}

/// Takes the answer; the errors that came.
pub fn committed(
    cx: &mut Cx<'_>,
    group: &str,
    commits: &[(LogKey, Stamp, u64)],
    reply: &Reply,
) -> Vec<ErrorCode> {
    let response = reply.read::<OffsetCommitRequest<'_>>().expect("an answer");
    let moment = cx.facts.next_moment();
    let mut errors = Vec::new();
    for (key, stamp, number) in commits {
        let name = &cx.facts.topics.0[key.topic].name;
        let answer = response
            .topics
            .iter()
            .filter(|it| it.name == name)
            .flat_map(|it| &it.partitions)
            .find(|it| it.partition_index == key.partition)
            .expect("an answer for each partition");
        let error = ErrorCode(answer.error_code);
        if error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION && !cx.facts.topics.holds(*stamp) {
            continue;
        }
        let ok = error == ErrorCode::NONE;
        // For which topic of this name it was is not known where that has changed.
        if cx.facts.topics.holds(*stamp) || !ok {
            cx.facts.commits.answered(group, *key, *number, ok, moment);
        }
        if ok {
            cx.facts.counts.commits += 1;
        } else {
            errors.push(error);
        }
    }
    errors
}

/// Asks what is committed of some logs.
pub fn fetch_committed(cx: &mut Cx<'_>, link: &mut Link, group: &str, keys: Vec<(LogKey, Stamp)>) {
    let mut by_topic: BTreeMap<usize, Vec<i32>> = BTreeMap::new();
    for (key, _) in &keys {
        by_topic.entry(key.topic).or_default().push(key.partition);
    }
    let moment = cx.facts.next_moment();
    let topics = &cx.facts.topics.0;
    let topics = by_topic
        .into_iter()
        .map(|(topic, partition_indexes)| OffsetFetchRequestTopics {
            name: &topics[topic].name,
            partition_indexes,
            ..OffsetFetchRequestTopics::default()
        })
        .collect();
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group,
            member_id: None,
            member_epoch: -1,
            topics: Some(topics),
        }],
        ..OffsetFetchRequest::default()
    };
    link.send(cx, &request, Asked::FetchCommitted { keys: keys.clone(), moment });
}

/// Takes the answer; false where the coordinator does not serve now.
pub fn committed_fetched(
    cx: &mut Cx<'_>,
    group: &str,
    keys: &[(LogKey, Stamp)],
    moment: u64,
    reply: &Reply,
) -> bool {
    let response = reply.read::<OffsetFetchRequest<'_>>().expect("an answer");
    let answer = &response.groups[0];
    let error = ErrorCode(answer.error_code);
    if error.is_err() {
        assert!(is_elsewhere(error), "{group}: fetch offsets: {error}");
        return false;
    }
    let now = cx.facts.next_moment();
    for (key, stamp) in keys {
        let name = &cx.facts.topics.0[key.topic].name;
        let found = answer
            .topics
            .iter()
            .filter(|it| it.name == name)
            .flat_map(|it| &it.partitions)
            .find(|it| it.partition_index == key.partition)
            .expect("an answer for each partition");
        if !cx.facts.topics.holds(*stamp) {
            continue;
        }
        let number = (found.committed_offset >= 0).then_some(found.committed_offset as u64);
        if let Some(number) = number {
            let note = found.metadata.unwrap_or_default();
            assert_eq!(note, number.to_string(), "{group} {key:?}: offset and metadata differ");
            cx.facts.counts.commits_fetched += 1;
        }
        cx.facts.commits.fetched(group, *key, number, moment, now);
    }
    true
}
