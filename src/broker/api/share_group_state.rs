//! InitializeShareGroupState, ReadShareGroupState, WriteShareGroupState, DeleteShareGroupState and
//! ReadShareGroupStateSummary (KIP-932): whoever leads a partition, and group coordinators, ask share coordinators. Clients do
//! not, but may look.

use super::table::ShareState as Api;
use super::{Response, decode};
use crate::share::{self, DeliveryState, Key, Request, StateBatch, Update};
use crate::types::{ErrorCode, TopicId};
use crate::wire::api_keys::ApiKey;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::delete_share_group_state_request as delete;
use crate::wire::kafka::delete_share_group_state_response as deleted;
use crate::wire::kafka::initialize_share_group_state_request as initialize;
use crate::wire::kafka::initialize_share_group_state_response as initialized;
use crate::wire::kafka::read_share_group_state_request as read;
use crate::wire::kafka::read_share_group_state_response as was_read;
use crate::wire::kafka::read_share_group_state_summary_request as summary;
use crate::wire::kafka::read_share_group_state_summary_response as summarized;
use crate::wire::kafka::write_share_group_state_request as write;
use crate::wire::kafka::write_share_group_state_response as written;
use crate::wire::{WireError, Writer};

/// What is asked, in the order of the request.
pub type Asked = Vec<(Key, Request)>;

/// Key, topics and partitions of a request as [`Asked`].
macro_rules! asked {
    ($request:expr, $partition:ident => $one:expr) => {{
        let request = $request;
        let mut asked = Asked::new();
        for topic in &request.topics {
            for $partition in &topic.partitions {
                let key = Key {
                    group: request.group_id.to_owned(),
                    topic: topic.topic_id,
                    partition: $partition.partition,
                };
                asked.push((key, $one));
            }
        }
        asked
    }};
}

fn batch(first: i64, last: i64, code: i8, delivery_count: i16) -> Option<StateBatch> {
    let state = DeliveryState::of_code(code)?;
    (0 <= first && first <= last).then_some(StateBatch { first, last, state, delivery_count })
}

/// Reads a request. A batch that says nothing of offsets is left out.
pub fn plan(api: Api, body: &[u8], version: i16) -> Result<Asked, WireError> {
    Ok(match api {
        Api::Initialize => asked!(
            decode(body, |r| initialize::InitializeShareGroupStateRequest::decode(r, version))?,
            it => Request::Initialize {
                state_epoch: it.state_epoch,
                start_offset: it.start_offset,
            }
        ),
        Api::Read => asked!(
            decode(body, |r| read::ReadShareGroupStateRequest::decode(r, version))?,
            it => Request::Read { leader_epoch: it.leader_epoch }
        ),
        Api::Write => asked!(
            decode(body, |r| write::WriteShareGroupStateRequest::decode(r, version))?,
            it => Request::Write {
                state_epoch: it.state_epoch,
                update: Update {
                    leader_epoch: it.leader_epoch,
                    start_offset: it.start_offset,
                    delivery_complete_count: it.delivery_complete_count,
                    batches: it
                        .state_batches
                        .iter()
                        .filter_map(|it| {
                            let (first, last) = (it.first_offset, it.last_offset);
                            batch(first, last, it.delivery_state, it.delivery_count)
                        })
                        .collect(),
                },
            }
        ),
        Api::Delete => asked!(
            decode(body, |r| delete::DeleteShareGroupStateRequest::decode(r, version))?,
            it => {
                let _ = it;
                Request::Delete
            }
        ),
        Api::Summary => asked!(
            decode(body, |r| summary::ReadShareGroupStateSummaryRequest::decode(r, version))?,
            it => {
                let _ = it;
                Request::Summary
            }
        ),
    })
}

/// Answers by topic, in their order: `entry` makes one of a partition, `topic` one of those in a row of one topic.
fn by_topic<P, T>(
    answers: &[(Key, share::Response)],
    entry: impl Fn(&Key, &share::Response) -> P,
    topic: impl Fn(TopicId, Vec<P>) -> T,
) -> Vec<T> {
    let runs = answers.chunk_by(|a, b| a.0.topic == b.0.topic);
    let run = |run: &[(Key, share::Response)]| {
        topic(run[0].0.topic, run.iter().map(|(key, answer)| entry(key, answer)).collect())
    };
    runs.map(run).collect()
}

fn error(answer: &share::Response) -> ErrorCode {
    match answer {
        share::Response::Done(error) => *error,
        share::Response::State(_) => ErrorCode::NONE,
    }
}

/// The answer. `answers` are those to what was asked, in its order.
pub fn response(
    api: Api,
    header: &RequestHeader<'_>,
    answers: &[(Key, share::Response)],
) -> Result<Response, WireError> {
    let version = header.version;
    Response::new(header, |w| encode(api, version, answers, w))
}

fn encode(
    api: Api,
    version: i16,
    answers: &[(Key, share::Response)],
    w: &mut Writer,
) -> Result<(), WireError> {
    let text = |answer: &share::Response| {
        let error = error(answer);
        error.is_err().then(|| error.message())
    };
    match api {
        Api::Initialize => {
            let results = by_topic(
                answers,
                |key, it| initialized::PartitionResult {
                    partition: key.partition,
                    error_code: error(it).0,
                    error_message: text(it),
                },
                |topic_id, partitions| initialized::InitializeStateResult { topic_id, partitions },
            );
            initialized::InitializeShareGroupStateResponse { results }.encode(w, version)
        }
        Api::Write => {
            let results = by_topic(
                answers,
                |key, it| written::PartitionResult {
                    partition: key.partition,
                    error_code: error(it).0,
                    error_message: text(it),
                },
                |topic_id, partitions| written::WriteStateResult { topic_id, partitions },
            );
            written::WriteShareGroupStateResponse { results }.encode(w, version)
        }
        Api::Delete => {
            let results = by_topic(
                answers,
                |key, it| deleted::PartitionResult {
                    partition: key.partition,
                    error_code: error(it).0,
                    error_message: text(it),
                },
                |topic_id, partitions| deleted::DeleteStateResult { topic_id, partitions },
            );
            deleted::DeleteShareGroupStateResponse { results }.encode(w, version)
        }
        Api::Read => {
            let entry = |key: &Key, it: &share::Response| {
                let mut result = was_read::PartitionResult {
                    partition: key.partition,
                    error_code: error(it).0,
                    error_message: text(it),
                    ..Default::default()
                };
                if let share::Response::State(Some(state)) = it {
                    result.state_epoch = state.state_epoch;
                    result.start_offset = state.start_offset;
                    let batch = |it: StateBatch| was_read::StateBatch {
                        first_offset: it.first,
                        last_offset: it.last,
                        delivery_state: it.state.code(),
                        delivery_count: it.delivery_count,
                    };
                    result.state_batches = state.batches().map(batch).collect();
                }
                result
            };
            let results = by_topic(answers, entry, |topic_id, partitions| {
                was_read::ReadStateResult { topic_id, partitions }
            });
            was_read::ReadShareGroupStateResponse { results }.encode(w, version)
        }
        Api::Summary => {
            let entry = |key: &Key, it: &share::Response| {
                let mut result = summarized::PartitionResult {
                    partition: key.partition,
                    error_code: error(it).0,
                    error_message: text(it),
                    start_offset: -1,
                    ..Default::default()
                };
                if let share::Response::State(Some(state)) = it {
                    result.state_epoch = state.state_epoch;
                    result.leader_epoch = state.leader_epoch;
                    result.start_offset = state.start_offset;
                    result.delivery_complete_count = state.delivery_complete_count;
                }
                result
            };
            let results = by_topic(answers, entry, |topic_id, partitions| {
                summarized::ReadStateSummaryResult { topic_id, partitions }
            });
            summarized::ReadShareGroupStateSummaryResponse { results }.encode(w, version)
        }
    }
}

/// The body of a request of this broker to another one: its API, its version, the body.
pub fn request(key: &Key, asked: &Request) -> Result<(ApiKey, i16, Vec<u8>), WireError> {
    let mut w = Writer::new();
    let (group_id, topic_id, partition) = (&*key.group, key.topic, key.partition);
    let (api, version) = match asked {
        Request::Initialize { state_epoch, start_offset } => {
            let (state_epoch, start_offset) = (*state_epoch, *start_offset);
            let one = initialize::PartitionData { partition, state_epoch, start_offset };
            let topics = vec![initialize::InitializeStateData { topic_id, partitions: vec![one] }];
            initialize::InitializeShareGroupStateRequest { group_id, topics }.encode(&mut w, 0)?;
            (ApiKey::INITIALIZE_SHARE_GROUP_STATE, 0)
        }
        Request::Read { leader_epoch } => {
            let one = read::PartitionData { partition, leader_epoch: *leader_epoch };
            let topics = vec![read::ReadStateData { topic_id, partitions: vec![one] }];
            read::ReadShareGroupStateRequest { group_id, topics }.encode(&mut w, 0)?;
            (ApiKey::READ_SHARE_GROUP_STATE, 0)
        }
        Request::Write { state_epoch, update } => {
            let batch = |it: &StateBatch| write::StateBatch {
                first_offset: it.first,
                last_offset: it.last,
                delivery_state: it.state.code(),
                delivery_count: it.delivery_count,
            };
            let one = write::PartitionData {
                partition,
                state_epoch: *state_epoch,
                leader_epoch: update.leader_epoch,
                start_offset: update.start_offset,
                delivery_complete_count: update.delivery_complete_count,
                state_batches: update.batches.iter().map(batch).collect(),
            };
            let topics = vec![write::WriteStateData { topic_id, partitions: vec![one] }];
            write::WriteShareGroupStateRequest { group_id, topics }.encode(&mut w, 1)?;
            (ApiKey::WRITE_SHARE_GROUP_STATE, 1)
        }
        Request::Delete => {
            let one = delete::PartitionData { partition };
            let topics = vec![delete::DeleteStateData { topic_id, partitions: vec![one] }];
            delete::DeleteShareGroupStateRequest { group_id, topics }.encode(&mut w, 0)?;
            (ApiKey::DELETE_SHARE_GROUP_STATE, 0)
        }
        Request::Summary => {
            let one = summary::PartitionData { partition, leader_epoch: -1 };
            let topics = vec![summary::ReadStateSummaryData { topic_id, partitions: vec![one] }];
            summary::ReadShareGroupStateSummaryRequest { group_id, topics }.encode(&mut w, 1)?;
            (ApiKey::READ_SHARE_GROUP_STATE_SUMMARY, 1)
        }
    };
    Ok((api, version, w.into_vec()))
}

/// What the answer to that says; nothing where it does not say anything.
pub fn answered(asked: &Request, body: &[u8]) -> Result<Option<share::Response>, WireError> {
    let done = |code: Option<i16>| code.map(|it| share::Response::Done(ErrorCode(it)));
    Ok(match asked {
        Request::Initialize { .. } => {
            let it =
                decode(body, |r| initialized::InitializeShareGroupStateResponse::decode(r, 0))?;
            done(it.results.iter().flat_map(|it| &it.partitions).map(|it| it.error_code).next())
        }
        Request::Write { .. } => {
            let it = decode(body, |r| written::WriteShareGroupStateResponse::decode(r, 1))?;
            done(it.results.iter().flat_map(|it| &it.partitions).map(|it| it.error_code).next())
        }
        Request::Delete => {
            let it = decode(body, |r| deleted::DeleteShareGroupStateResponse::decode(r, 0))?;
            done(it.results.iter().flat_map(|it| &it.partitions).map(|it| it.error_code).next())
        }
        Request::Read { leader_epoch } => {
            let it = decode(body, |r| was_read::ReadShareGroupStateResponse::decode(r, 0))?;
            let first = it.results.iter().flat_map(|it| &it.partitions).next();
            first.map(|it| {
                if it.error_code != 0 {
                    return share::Response::Done(ErrorCode(it.error_code));
                }
                let batches: Vec<_> = it
                    .state_batches
                    .iter()
                    .filter_map(|it| {
                        let (first, last) = (it.first_offset, it.last_offset);
                        batch(first, last, it.delivery_state, it.delivery_count)
                    })
                    .collect();
                let mut state = share::ShareState::new(0, it.state_epoch, it.start_offset, 0);
                state.leader_epoch = *leader_epoch;
                share::Response::State(Some(Box::new(state.with_batches(&batches))))
            })
        }
        Request::Summary => {
            let it =
                decode(body, |r| summarized::ReadShareGroupStateSummaryResponse::decode(r, 1))?;
            let first = it.results.iter().flat_map(|it| &it.partitions).next();
            first.map(|it| {
                if it.error_code != 0 {
                    return share::Response::Done(ErrorCode(it.error_code));
                }
                let mut state = share::ShareState::new(0, it.state_epoch, it.start_offset, 0);
                state.leader_epoch = it.leader_epoch;
                state.delivery_complete_count = it.delivery_complete_count;
                share::Response::State(Some(Box::new(state)))
            })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::header;

    fn api(asked: &Request) -> Api {
        match asked {
            Request::Initialize { .. } => Api::Initialize,
            Request::Read { .. } => Api::Read,
            Request::Write { .. } => Api::Write,
            Request::Delete => Api::Delete,
            Request::Summary => Api::Summary,
        }
    }

    #[test]
    fn brokers_understand_each_other() {
        let key = Key { group: "g".to_owned(), topic: TopicId([7; 16]), partition: 3 };
        let state = DeliveryState::Acknowledged;
        let batches = vec![StateBatch { first: 5, last: 9, state, delivery_count: 2 }];
        let update = Update {
            leader_epoch: 4,
            start_offset: 5,
            delivery_complete_count: 6,
            batches: batches.clone(),
        };
        for asked in [
            Request::Initialize { state_epoch: 1, start_offset: -1 },
            Request::Read { leader_epoch: 4 },
            Request::Write { state_epoch: 1, update },
            Request::Delete,
            Request::Summary,
        ] {
            let (api_key, version, body) = request(&key, &asked).unwrap();
            let api = api(&asked);
            assert_eq!(plan(api, &body, version).unwrap(), [(key.clone(), asked.clone())]);
            let mut kept = share::ShareState::new(0, 1, 5, 0);
            let mut answers = vec![share::Response::Done(ErrorCode::FENCED_LEADER_EPOCH)];
            match asked {
                Request::Read { .. } => {
                    kept.leader_epoch = 4;
                    kept.delivery_complete_count = 0;
                    let kept = Box::new(kept.with_batches(&batches));
                    answers.push(share::Response::State(Some(kept)));
                }
                Request::Summary => {
                    (kept.leader_epoch, kept.delivery_complete_count) = (4, 6);
                    answers.push(share::Response::State(Some(Box::new(kept))));
                }
                _ => answers.push(share::Response::Done(ErrorCode::NONE)),
            }
            for answer in answers {
                let header = header(api_key, version);
                let sent = response(api, &header, &[(key.clone(), answer.clone())]).unwrap();
                let body = sent.into_body(&header);
                assert_eq!(answered(&asked, &body).unwrap(), Some(answer));
            }
        }
    }
}
