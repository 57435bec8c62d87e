//! What share groups and share coordinators are asked together: states begin when members want partitions, and are shown,
//! moved and deleted for administrators.

use crate::broker::api::find_coordinator;
use crate::broker::api::list_offsets;
use crate::broker::api::share_group_offsets::{Alter, Describe, Described, OfTopic, Offset};
use crate::broker::begun::Unanswered;
use crate::broker::calls::{AskPeer, FindEnds};
use crate::broker::creating;
use crate::broker::group_asks::ask;
use crate::broker::state::State;
use crate::broker::wait::oneshot;
use crate::group::{
    ConsumerHeartbeaten, GroupRequest, GroupResponse, ListShareTopics, ListedShareTopics,
    ShareHeartbeat, ShareInitialized, ShareTopic, ShareTopics, Uninitialized,
};
use crate::share::{Key, Request, Response, ShareState};
use crate::types::{ErrorCode, TopicId, TopicPartition};
use crate::wire::api_keys::ApiKey;
use std::rc::Rc;

/// So many coordinators' answers are waited for at once.
const AT_ONCE: usize = 32;

/// Asks for what states a share group has.
async fn listed(
    state: &Rc<State>,
    group: &str,
    begins: bool,
) -> Result<ListedShareTopics, Unanswered> {
    let request = ListShareTopics { group_id: group.to_owned(), begins };
    ask_of_topics(state, GroupRequest::ListShareTopics(request)).await
}

/// As [`listed`], for who changes what states a group without members has; otherwise why it may not.
async fn listed_empty(
    state: &Rc<State>,
    group: &str,
    begins: bool,
) -> Result<Result<ListedShareTopics, ErrorCode>, Unanswered> {
    if group.is_empty() {
        return Ok(Err(ErrorCode::INVALID_GROUP_ID));
    }
    let known = listed(state, group, begins).await?;
    Ok(match known.error {
        error if error.is_err() => Err(error),
        _ if known.members > 0 => Err(ErrorCode::NON_EMPTY_GROUP),
        _ => Ok(known),
    })
}

/// Tells a share group what states it has; whether there is such a group. One that is not there yet may begin so.
async fn tell(
    state: &Rc<State>,
    group: &str,
    begins: bool,
    topics: ShareTopics,
) -> Result<ErrorCode, Unanswered> {
    let request = ShareInitialized { group_id: group.to_owned(), begins, topics };
    Ok(ask_of_topics(state, GroupRequest::ShareInitialized(Box::new(request))).await?.error)
}

/// Asks what is answered with the topics of a share group.
async fn ask_of_topics(
    state: &Rc<State>,
    request: GroupRequest,
) -> Result<ListedShareTopics, Unanswered> {
    match ask(state, request).await? {
        GroupResponse::ListShareTopics(it) => Ok(it),
        _ => unreachable!("the answer is of the request's kind"),
    }
}

async fn beat(
    state: &Rc<State>,
    request: ShareHeartbeat,
) -> Result<ConsumerHeartbeaten, Unanswered> {
    match ask(state, GroupRequest::ShareHeartbeat(Box::new(request))).await? {
        GroupResponse::ConsumerHeartbeat(it) => Ok(it),
        _ => unreachable!("the answer is of the request's kind"),
    }
}

/// A heartbeat; where it asks for partitions without states, those begin, and the member hears of them at once if that does not
/// take long.
pub async fn heartbeat(
    state: &Rc<State>,
    request: ShareHeartbeat,
) -> Result<ConsumerHeartbeaten, Unanswered> {
    let mut again = ShareHeartbeat { topics: None, rack_id: None, ..request.clone() };
    let first = beat(state, request).await?;
    if first.error.is_err() || first.uninitialized.is_empty() {
        return Ok(first);
    }
    let (state_2, group, wanted) =
        (state.clone(), again.group_id.clone(), first.uninitialized.clone());
    let begins = async move {
        let topics = begin(&state_2, &group, wanted).await;
        tell(&state_2, &group, false, topics).await
    };
    // Where nothing came of it, the next heartbeat tries again.
    let told = creating::create(state, &again.group_id, begins).await;
    if !matches!(told, Some(Ok(ErrorCode::NONE))) {
        return Ok(first);
    }
    again.member_epoch = first.member_epoch;
    let second = beat(state, again).await?;
    if second.error.is_err() {
        return Ok(first);
    }
    let assignment = second.assignment.or(first.assignment);
    Ok(ConsumerHeartbeaten { assignment, ..second })
}

/// Asks share coordinators of many share-partitions of a group, some at a time; the answers, in order.
async fn ask_each(
    state: &Rc<State>,
    group: &str,
    asked: Vec<(TopicId, i32, Request)>,
) -> Vec<Response> {
    let mut answers = Vec::with_capacity(asked.len());
    for some in asked.chunks(AT_ONCE) {
        let calls: Vec<_> = some
            .iter()
            .map(|(topic, partition, request)| {
                let key = Key { group: group.to_owned(), topic: *topic, partition: *partition };
                let (tx, rx) = oneshot();
                let (state_2, request) = (state.clone(), request.clone());
                state.start(async move {
                    tx.send(state_2.ask_share_coordinator(&key, &request).await);
                });
                rx
            })
            .collect();
        for call in calls {
            let lost = Response::Done(ErrorCode::UNKNOWN_SERVER_ERROR);
            answers.push(call.await.unwrap_or(lost));
        }
        state.pause().await;
    }
    answers
}

fn error_of(response: &Response) -> ErrorCode {
    match response {
        Response::Done(error) => *error,
        Response::State(_) => ErrorCode::NONE,
    }
}

/// Has states begin; the topics of which all partitions have one then.
async fn begin(state: &Rc<State>, group: &str, wanted: Vec<Uninitialized>) -> ShareTopics {
    let mut begun = ShareTopics::new();
    let request = Request::Initialize { state_epoch: 0, start_offset: -1 };
    for it in wanted {
        let each = (it.from..it.partitions).map(|number| (it.id, number, request.clone()));
        let answers = ask_each(state, group, each.collect()).await;
        // One that was begun anew by an administrator is there as well.
        let is_there =
            |it: &Response| matches!(error_of(it), ErrorCode::NONE | ErrorCode::FENCED_STATE_EPOCH);
        if answers.iter().all(is_there) {
            begun.insert(it.id, ShareTopic { name: it.name, partitions: it.partitions });
        } else {
            let error = answers.iter().map(error_of).find(|it| it.is_err());
            tracing::warn!(
                group,
                topic = it.name,
                error = error.map(ErrorCode::message).unwrap_or_default(),
                "the states of a share group cannot begin"
            );
        }
    }
    begun
}

/// Where a group is in its topics.
pub async fn describe(state: &Rc<State>, asked: Describe) -> Result<Described, Unanswered> {
    let (group, topics) = asked;
    let known = listed(state, &group, false).await?;
    if known.error.is_err() {
        return Ok(Described { group, error: known.error, topics: Vec::new() });
    }
    let image = state.image();
    // All that it reads.
    let is_all = topics.is_none();
    let named = topics.into_iter().flatten();
    let all = known.topics.values().filter(|_| is_all);
    let all = all.map(|it| (it.name.clone(), (0..it.partitions).collect::<Vec<i32>>()));
    let mut described = Vec::new();
    for (name, numbers) in named.chain(all) {
        let Some(topic) = image.topic(&name) else {
            // As Kafka does: a topic that is not there was not begun.
            let unknown = |it: &i32| Offset::failed(*it, ErrorCode::NONE);
            let partitions = numbers.iter().map(unknown).collect();
            described.push(OfTopic { name, id: TopicId::ZERO, partitions });
            continue;
        };
        let id = topic.id;
        let each = numbers.iter().map(|it| (id, *it, Request::Summary)).collect();
        let answers = ask_each(state, &group, each).await;
        let mut partitions = Vec::with_capacity(numbers.len());
        for (number, answer) in numbers.into_iter().zip(answers) {
            let tp = TopicPartition { topic: id, partition: number };
            partitions.push(match answer {
                _ if topic.partition(number).is_none() => {
                    Offset::failed(number, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                }
                Response::Done(error) => Offset::failed(number, error),
                Response::State(None) => Offset::failed(number, ErrorCode::NONE),
                Response::State(Some(kept)) => Offset {
                    partition: number,
                    start: kept.start_offset,
                    leader_epoch: kept.leader_epoch,
                    lag: lag(state, tp, &kept).await,
                    error: ErrorCode::NONE,
                },
            });
            state.pause().await;
        }
        described.push(OfTopic { name, id, partitions });
    }
    Ok(Described { group, error: ErrorCode::NONE, topics: described })
}

/// How many records a group has before it; -1 where that is not known, since it has not begun, or nobody leads.
async fn lag(state: &Rc<State>, tp: TopicPartition, kept: &ShareState) -> i64 {
    if kept.start_offset < 0 || kept.delivery_complete_count < 0 {
        return -1;
    }
    end(state, tp)
        .await
        .map_or(-1, |it| (it - kept.start_offset - i64::from(kept.delivery_complete_count)).max(0))
}

/// Where a partition ends for readers, as its leader has it.
async fn end(state: &Rc<State>, tp: TopicPartition) -> Option<i64> {
    let image = state.image();
    let topic = image.topic_by_id(tp.topic)?;
    let node = topic.partition(tp.partition)?.leader;
    if node == image.node_id {
        let ends = state.call(tp.shard(state.shards), FindEnds(vec![tp])).await?;
        return ends.into_iter().flatten().next();
    }
    let body = list_offsets::end_request(&topic.name, tp.partition).ok()?;
    let (api, version) = (ApiKey::LIST_OFFSETS, list_offsets::BETWEEN_BROKERS);
    let call = AskPeer { node, api, version, body: body.into() };
    list_offsets::end_answered(&state.call(0, call).await.flatten()?)
}

/// What became of an `AlterShareGroupOffsets`.
pub type Altered = (ErrorCode, Vec<OfTopic<Vec<(i32, ErrorCode)>>>);

/// Has a group without members begin elsewhere, also one that is not there yet.
pub async fn alter(state: &Rc<State>, asked: Alter) -> Result<Altered, Unanswered> {
    let (group, topics) = asked;
    let known = match listed_empty(state, &group, true).await? {
        Ok(known) => known,
        Err(error) => return Ok((error, Vec::new())),
    };
    let image = state.image();
    let mut altered = Vec::with_capacity(topics.len());
    for (name, offsets) in topics {
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let Some(topic) = image.topic(&name) else {
            let partitions = offsets.iter().map(|it| (it.0, unknown)).collect();
            altered.push(OfTopic { name, id: TopicId::ZERO, partitions });
            continue;
        };
        let id = topic.id;
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let from = known.topics.get(&id).map_or(0, |it| it.partitions);
        if from < count {
            let wanted = Uninitialized { id, name: name.clone(), from, partitions: count };
            let begun = begin(state, &group, vec![wanted]).await;
            let error = tell(state, &group, true, begun).await?;
            if error.is_err() {
                return Ok((error, Vec::new()));
            }
        }
        let mut partitions = Vec::with_capacity(offsets.len());
        for (number, offset) in offsets {
            let error = if topic.partition(number).is_none() {
                unknown
            } else if offset < 0 {
                ErrorCode::INVALID_REQUEST
            } else {
                move_start(state, &group, id, number, offset).await
            };
            partitions.push((number, error));
            state.pause().await;
        }
        altered.push(OfTopic { name, id, partitions });
    }
    Ok((ErrorCode::NONE, altered))
}

/// A share-partition begins anew, in a later epoch: so whoever leads it finds out before it writes.
async fn move_start(
    state: &Rc<State>,
    group: &str,
    topic: TopicId,
    partition: i32,
    start_offset: i64,
) -> ErrorCode {
    let key = Key { group: group.to_owned(), topic, partition };
    let state_epoch = match state.ask_share_coordinator(&key, &Request::Summary).await {
        Response::State(Some(kept)) => kept.state_epoch.saturating_add(1),
        Response::State(None) => 0,
        Response::Done(error) => return error,
    };
    let request = Request::Initialize { state_epoch, start_offset };
    error_of(&state.ask_share_coordinator(&key, &request).await)
}

/// What became of a `DeleteShareGroupOffsets`.
pub type Deleted = (ErrorCode, Vec<OfTopic<ErrorCode>>);

/// A group without members forgets topics.
pub async fn delete(
    state: &Rc<State>,
    group: String,
    topics: Vec<String>,
) -> Result<Deleted, Unanswered> {
    let known = match listed_empty(state, &group, false).await? {
        Ok(known) => known,
        Err(error) => return Ok((error, Vec::new())),
    };
    let image = state.image();
    let (mut deleted, mut gone) = (Vec::with_capacity(topics.len()), ShareTopics::new());
    for name in topics {
        let begun = image.topic(&name).and_then(|it| Some((it.id, known.topics.get(&it.id)?)));
        let Some((id, topic)) = begun else {
            let error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            deleted.push(OfTopic { name, id: TopicId::ZERO, partitions: error });
            continue;
        };
        let error = delete_states(state, &group, id, topic.partitions).await;
        if !error.is_err() {
            gone.insert(id, ShareTopic { name: name.clone(), partitions: 0 });
        }
        deleted.push(OfTopic { name, id, partitions: error });
    }
    let error = tell(state, &group, false, gone).await?;
    Ok((error, deleted))
}

/// The states of so many partitions of a topic go.
async fn delete_states(state: &Rc<State>, group: &str, topic: TopicId, count: i32) -> ErrorCode {
    let each = (0..count).map(|it| (topic, it, Request::Delete)).collect();
    let answers = ask_each(state, group, each).await;
    answers.iter().map(error_of).find(|it| it.is_err()).unwrap_or(ErrorCode::NONE)
}

/// All states of a share group without members go, before the group itself does.
pub async fn forget(state: &Rc<State>, group: &str) -> Result<(), Unanswered> {
    if find_coordinator::partition_of(group, &state.image()).is_none() {
        return Ok(());
    }
    let known = listed(state, group, false).await?;
    if known.error.is_err() || known.members > 0 {
        return Ok(());
    }
    let mut gone = ShareTopics::new();
    for (id, topic) in &*known.topics {
        if !delete_states(state, group, *id, topic.partitions).await.is_err() {
            gone.insert(*id, ShareTopic { name: topic.name.clone(), partitions: 0 });
        }
    }
    tell(state, group, false, gone).await?;
    Ok(())
}
