//! OffsetFetch: what groups have committed; several groups from version 8 (KIP-709), topic ids from
//! version 10.

use super::Response;
use super::decode_in_parts;
use super::response::begin;
use crate::controller::Image;
use crate::group::{FetchOffsets, FetchTopic, FetchedOffset, FetchedOffsets, FetchedTopic};
use crate::types::{ErrorCode, TopicId};
use crate::wire::header::RequestHeader;
use crate::wire::kafka::offset_fetch_request::OffsetFetchRequest;
use crate::wire::kafka::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::wire::{WireError, Writer};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The first version that can say what is wrong with the group.
const GROUP_ERROR_FROM: i16 = 2;
/// The first version that can ask for several groups.
const GROUPS_FROM: i16 = 8;
/// The first version that names topics by their ids.
const TOPIC_IDS_FROM: i16 = 10;

/// The first version with tagged fields.
const FLEXIBLE_FROM: i16 = 6;
/// The coordinator is asked for so many partitions in one go.
const PARTITIONS_A_STEP: usize = 512;

/// A group that is asked for.
#[derive(Debug)]
struct Group {
    /// What its coordinator is asked, in parts; one at least.
    fetches: Vec<FetchOffsets>,
    /// Topics as the request has them, and whether the coordinator is asked for them; `None` for
    /// all topics that have offsets.
    topics: Option<Vec<Asked>>,
}

/// A topic that is asked for.
#[derive(Debug)]
struct Asked {
    name: String,
    id: TopicId,
    partitions: Vec<i32>,
    /// There is no topic of this id.
    unknown: bool,
}

/// What is asked for.
#[derive(Debug)]
pub struct Plan {
    groups: Vec<Group>,
}

/// Reads a request. Pauses after each partition.
pub async fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Plan, WireError> {
    let request = decode_in_parts(body, async |r| {
        OffsetFetchRequest::decode_in_parts(r, version, pause).await
    })
    .await?;
    let require_stable = request.require_stable;
    let mut groups = Vec::with_capacity(request.groups.len());
    if version < GROUPS_FROM {
        let mut asked = Vec::new();
        for it in request.topics.iter().flatten() {
            asked.push(by_name(it.name, &it.partition_indexes, image));
            pause().await;
        }
        let topics = request.topics.is_some().then_some(asked);
        let of = |topics| FetchOffsets {
            group_id: request.group_id.to_owned(),
            member_id: None,
            member_epoch: -1,
            topics,
            after: None,
            require_stable,
        };
        groups.push(group(of, topics, pause).await);
    }
    for it in &request.groups {
        let mut asked = Vec::new();
        for it in it.topics.iter().flatten() {
            asked.push(if version < TOPIC_IDS_FROM {
                by_name(it.name, &it.partition_indexes, image)
            } else {
                by_id(it.topic_id, &it.partition_indexes, image)
            });
            pause().await;
        }
        let topics = it.topics.is_some().then_some(asked);
        let of = |topics| FetchOffsets {
            group_id: it.group_id.to_owned(),
            member_id: it.member_id.map(str::to_owned),
            member_epoch: it.member_epoch,
            topics,
            after: None,
            require_stable,
        };
        groups.push(group(of, topics, pause).await);
        pause().await;
    }
    Ok(Plan { groups })
}

fn by_name(name: &str, partitions: &[i32], image: &Image) -> Asked {
    Asked {
        name: name.to_owned(),
        id: image.topic(name).map_or(TopicId::ZERO, |it| it.id),
        partitions: partitions.to_vec(),
        unknown: false,
    }
}

fn by_id(id: TopicId, partitions: &[i32], image: &Image) -> Asked {
    let known = image.topic_by_id(id);
    Asked {
        name: known.map_or_else(String::new, |it| it.name.to_string()),
        id,
        partitions: partitions.to_vec(),
        unknown: known.is_none(),
    }
}

/// What the coordinator is asked for these topics, all where there are none, no more than
/// [`PARTITIONS_A_STEP`] partitions at a time. A topic that goes on in the next part is in both.
async fn group(
    of: impl Fn(Option<Vec<FetchTopic>>) -> FetchOffsets,
    topics: Option<Vec<Asked>>,
    pause: &impl AsyncFn(),
) -> Group {
    let Some(topics) = topics else { return Group { fetches: vec![of(None)], topics } };
    let (mut fetches, mut part, mut left) = (Vec::new(), Vec::new(), PARTITIONS_A_STEP);
    for topic in topics.iter().filter(|it| !it.unknown) {
        let mut rest = &topic.partitions[..];
        loop {
            let (now, later) = rest.split_at(rest.len().min(left));
            left -= now.len();
            part.push(FetchTopic {
                name: topic.name.clone(),
                topic_id: topic.id,
                partitions: now.to_vec(),
            });
            pause().await;
            if later.is_empty() {
                break;
            }
            rest = later;
            fetches.push(of(Some(std::mem::take(&mut part))));
            left = PARTITIONS_A_STEP;
        }
    }
    fetches.push(of(Some(part)));
    Group { fetches, topics: Some(topics) }
}

impl Plan {
    /// What the coordinators are to be asked. Where an answer has a [`FetchedOffsets::next`], it is to be
    /// asked for the rest as well.
    pub fn fetches(&self) -> impl Iterator<Item = &FetchOffsets> {
        self.groups.iter().flat_map(|it| &it.fetches)
    }

    /// The answer, with what the coordinators said, in the order of [`fetches`](Self::fetches): all parts
    /// of what each said. Pauses after each topic and each partition.
    pub async fn response(
        self,
        header: &RequestHeader<'_>,
        fetched: Vec<Vec<FetchedOffsets>>,
        image: &Image,
        pause: impl AsyncFn(),
    ) -> Result<Response, WireError> {
        let version = header.version;
        let mut fetched = fetched.into_iter();
        let mut groups = Vec::with_capacity(self.groups.len());
        for mut group in self.groups {
            let said: Vec<_> = fetched.by_ref().take(group.fetches.len()).flatten().collect();
            let group_id = std::mem::take(&mut group.fetches[0].group_id);
            groups.push((group_id, group.merge(said, version, image, &pause).await));
        }
        let mut w = begin(header);
        let flexible = version >= FLEXIBLE_FROM;
        let mut response = OffsetFetchResponse::default();
        if version >= GROUPS_FROM {
            response.encode(&mut w, version)?;
            let tail = w.open_array(groups.len(), flexible, 1)?;
            for (group_id, it) in groups {
                let topics = Vec::new();
                OffsetFetchResponseGroup { group_id: &group_id, topics, error_code: it.error.0 }
                    .encode(&mut w, version)?;
                put_topics(&mut w, version, it.topics, 3, &pause).await?;
                pause().await;
            }
            w.raw(&tail);
        } else if let Some((_, only)) = groups.into_iter().next() {
            let has_error = version >= GROUP_ERROR_FROM;
            if has_error {
                response.error_code = only.error.0;
            }
            response.encode(&mut w, version)?;
            let behind = 2 * usize::from(has_error) + usize::from(flexible);
            put_topics(&mut w, version, only.topics, behind, &pause).await?;
        }
        Ok(Response::from_writer(w))
    }
}

/// Writes topics into the empty array that stands so many bytes before the end.
async fn put_topics(
    w: &mut Writer,
    version: i16,
    topics: Vec<FetchedTopic>,
    behind: usize,
    pause: &impl AsyncFn(),
) -> Result<(), WireError> {
    let flexible = version >= FLEXIBLE_FROM;
    let after_topics = w.open_array(topics.len(), flexible, behind)?;
    for topic in topics {
        let FetchedTopic { name, topic_id, partitions } = topic;
        if version >= GROUPS_FROM {
            let none = Vec::new();
            OffsetFetchResponseTopics { name: &name, topic_id, partitions: none }
                .encode(w, version)?;
        } else {
            OffsetFetchResponseTopic { name: &name, partitions: Vec::new() }.encode(w, version)?;
        }
        let after_partitions = w.open_array(partitions.len(), flexible, flexible.into())?;
        for it in partitions {
            if version >= GROUPS_FROM {
                let partition = OffsetFetchResponsePartitions {
                    partition_index: it.partition,
                    committed_offset: it.offset,
                    committed_leader_epoch: it.leader_epoch,
                    metadata: Some(&it.metadata),
                    error_code: it.error.0,
                };
                partition.encode(w, version)?;
            } else {
                let partition = OffsetFetchResponsePartition {
                    partition_index: it.partition,
                    committed_offset: it.offset,
                    committed_leader_epoch: it.leader_epoch,
                    metadata: Some(&it.metadata),
                    error_code: it.error.0,
                };
                partition.encode(w, version)?;
            }
            pause().await;
        }
        w.raw(&after_partitions);
        pause().await;
    }
    w.raw(&after_topics);
    Ok(())
}

impl Group {
    /// The group's answer: what the coordinator said, part by part, and what it was not asked.
    async fn merge(
        &self,
        said: Vec<FetchedOffsets>,
        version: i16,
        image: &Image,
        pause: &impl AsyncFn(),
    ) -> FetchedOffsets {
        let failed = |asked: &Asked, error| {
            let partitions = asked.partitions.iter().map(|partition| FetchedOffset {
                partition: *partition,
                offset: -1,
                leader_epoch: -1,
                metadata: String::new(),
                error,
            });
            let partitions = partitions.collect();
            FetchedTopic { name: asked.name.clone(), topic_id: asked.id, partitions }
        };
        if let Some(refused) = said.iter().find(|it| it.error.is_err()) {
            let mut all = FetchedOffsets::refused(refused.error);
            if version < GROUP_ERROR_FROM {
                let topics = self.topics.iter().flatten();
                all.topics = topics.map(|it| failed(it, all.error)).collect();
            }
            return all;
        }
        let mut all = FetchedOffsets::refused(ErrorCode::NONE);
        let Some(asked) = &self.topics else {
            // By name and id, as each part is. A topic may go on in the next part.
            let mut topics = BTreeMap::<_, FetchedTopic>::new();
            for topic in said.into_iter().flat_map(|it| it.topics) {
                pause().await;
                match topics.entry((topic.name.clone(), topic.topic_id)) {
                    Entry::Occupied(it) => it.into_mut().partitions.extend(topic.partitions),
                    Entry::Vacant(it) => drop(it.insert(topic)),
                }
            }
            for (_, mut topic) in topics {
                pause().await;
                // What was committed for a deleted topic is not that of its successor.
                let shown = if topic.topic_id == TopicId::ZERO {
                    topic.topic_id = image.topic(&topic.name).map_or(TopicId::ZERO, |it| it.id);
                    topic.topic_id != TopicId::ZERO || version < TOPIC_IDS_FROM
                } else {
                    image.topic_by_id(topic.topic_id).is_some()
                };
                if shown {
                    all.topics.push(topic);
                }
            }
            return all;
        };
        let mut known = said.into_iter().flat_map(|it| it.topics);
        for it in asked {
            pause().await;
            if it.unknown {
                all.topics.push(failed(it, ErrorCode::UNKNOWN_TOPIC_ID));
                continue;
            }
            let mut found = known.next();
            while let Some(topic) = &mut found
                && topic.partitions.len() < it.partitions.len()
                && let Some(more) = known.next()
            {
                topic.partitions.extend(more.partitions);
                pause().await;
            }
            let unknown = || failed(it, ErrorCode::UNKNOWN_SERVER_ERROR);
            all.topics.push(found.unwrap_or_else(unknown));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{NO_PAUSE, body_of, encode, header, id, image};
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::offset_fetch_request::{
        OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    };
    use futures_lite::future::block_on;

    fn offset(partition: i32, offset: i64) -> FetchedOffset {
        let metadata = "m".to_owned();
        FetchedOffset { partition, offset, leader_epoch: 2, metadata, error: ErrorCode::NONE }
    }

    fn topic(name: &str, topic_id: TopicId, partitions: Vec<FetchedOffset>) -> FetchedTopic {
        FetchedTopic { name: name.into(), topic_id, partitions }
    }

    fn said(topics: Vec<FetchedTopic>) -> FetchedOffsets {
        FetchedOffsets { error: ErrorCode::NONE, topics, next: None }
    }

    fn respond(plan: Plan, version: i16, said: Vec<FetchedOffsets>) -> Response {
        let header = header(ApiKey::OFFSET_FETCH, version);
        let said = said.into_iter().map(|it| vec![it]).collect();
        block_on(plan.response(&header, said, &image(), async || {})).unwrap()
    }

    #[test]
    fn one_group_before_version_8() {
        for version in 1..8 {
            let request = OffsetFetchRequest {
                group_id: "g",
                topics: Some(vec![OffsetFetchRequestTopic {
                    name: "exists",
                    partition_indexes: vec![1],
                }]),
                require_stable: version >= 7,
                ..Default::default()
            };
            let body = encode(|w| request.encode(w, version));
            let plan = || block_on(plan(&body, version, &image(), &NO_PAUSE)).unwrap();
            let asked_for = plan();
            let fetch = asked_for.fetches().next().unwrap();
            let asked = fetch.topics.as_ref().unwrap();
            assert_eq!((asked[0].topic_id, &asked[0].partitions[..]), (id(1), &[1][..]));
            assert_eq!(fetch.require_stable, version >= 7);

            let found = said(vec![topic("exists", id(1), vec![offset(1, 7)])]);
            let sent = respond(plan(), version, vec![found]);
            body_of(&sent, ApiKey::OFFSET_FETCH, version, |r| {
                let it = OffsetFetchResponse::decode(r, version)?;
                let partition = &it.topics[0].partitions[0];
                assert_eq!((it.topics[0].name, partition.committed_offset), ("exists", 7));
                assert_eq!(partition.metadata, Some("m"));
                assert_eq!(partition.committed_leader_epoch, if version >= 5 { 2 } else { -1 });
                Ok(())
            });
            let refused = FetchedOffsets::refused(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
            let sent = respond(plan(), version, vec![refused]);
            body_of(&sent, ApiKey::OFFSET_FETCH, version, |r| {
                let it = OffsetFetchResponse::decode(r, version)?;
                if version >= 2 {
                    assert_eq!((it.error_code, it.topics.len()), (14, 0));
                } else {
                    let partition = &it.topics[0].partitions[0];
                    assert_eq!((partition.error_code, partition.committed_offset), (14, -1));
                }
                Ok(())
            });
        }
    }

    #[test]
    fn groups_by_name_and_by_id() {
        for version in 8..=10 {
            let topic_of = |name, number: u8| OffsetFetchRequestTopics {
                name: if version < 10 { name } else { "" },
                topic_id: if version < 10 { TopicId::ZERO } else { id(number) },
                partition_indexes: vec![0, 1],
            };
            let group = |group_id, topics| OffsetFetchRequestGroup {
                group_id,
                topics,
                ..Default::default()
            };
            let groups = vec![
                group("some", Some(vec![topic_of("none", 9), topic_of("exists", 1)])),
                group("all", None),
                group("gone", None),
            ];
            let request = OffsetFetchRequest { groups, ..Default::default() };
            let body = encode(|w| request.encode(w, version));
            let plan = block_on(plan(&body, version, &image(), &NO_PAUSE)).unwrap();
            let fetches: Vec<_> = plan.fetches().collect();
            let asked: Vec<&str> =
                fetches[0].topics.iter().flatten().map(|it| it.name.as_str()).collect();
            let by_name = version < 10;
            assert_eq!(asked, if by_name { vec!["none", "exists"] } else { vec!["exists"] });
            assert_eq!(fetches[1].topics, None);

            let mut some = vec![topic("exists", id(1), vec![offset(0, 5), offset(1, 6)])];
            if by_name {
                some.insert(0, topic("none", TopicId::ZERO, vec![offset(0, -1), offset(1, -1)]));
            }
            let all = vec![
                topic("dotted.name", id(2), vec![offset(4, 8)]),
                topic("exists", id(77), vec![offset(0, 99)]),
                topic("exists", TopicId::ZERO, vec![offset(1, 9)]),
                topic("none", TopicId::ZERO, vec![offset(1, 9)]),
            ];
            let gone = FetchedOffsets::refused(ErrorCode::NOT_COORDINATOR);
            let sent = respond(plan, version, vec![said(some), said(all), gone]);
            body_of(&sent, ApiKey::OFFSET_FETCH, version, |r| {
                let it = OffsetFetchResponse::decode(r, version)?;
                let shown = |group: usize| -> Vec<(&str, TopicId, i64, i16)> {
                    let topics = it.groups[group].topics.iter();
                    let first = |t: &OffsetFetchResponseTopics<'_>| {
                        (t.partitions[0].committed_offset, t.partitions[0].error_code)
                    };
                    topics.map(|t| (t.name, t.topic_id, first(t).0, first(t).1)).collect()
                };
                let zero = TopicId::ZERO;
                if by_name {
                    assert_eq!(shown(0), [("none", zero, -1, 0), ("exists", zero, 5, 0)]);
                    let all = [("dotted.name", zero, 8, 0), ("exists", zero, 9, 0)];
                    assert_eq!(shown(1)[..2], all);
                    assert_eq!(shown(1)[2..], [("none", zero, 9, 0)]);
                } else {
                    assert_eq!(shown(0), [("", id(9), -1, 100), ("", id(1), 5, 0)]);
                    assert_eq!(shown(1), [("", id(2), 8, 0), ("", id(1), 9, 0)]);
                }
                assert_eq!((it.groups[2].error_code, it.groups[2].group_id), (16, "gone"));
                assert!(it.groups[2].topics.is_empty());
                Ok(())
            });
        }
    }
}
