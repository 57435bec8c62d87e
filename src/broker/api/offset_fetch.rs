//! OffsetFetch: what groups have committed; several groups from version 8 (KIP-709), topic ids from
//! version 10.

use super::Response;
use super::decode;
use crate::controller::Image;
use crate::group::{FetchOffsets, FetchTopic, FetchedOffset, FetchedOffsets, FetchedTopic};
use crate::types::{ErrorCode, TopicId};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopics};
use crate::wire::kafka::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

/// The first version that can say what is wrong with the group.
const GROUP_ERROR_FROM: i16 = 2;
/// The first version that can ask for several groups.
const GROUPS_FROM: i16 = 8;
/// The first version that names topics by their ids.
const TOPIC_IDS_FROM: i16 = 10;

/// A group that is asked for.
#[derive(Debug)]
struct Group {
    fetch: FetchOffsets,
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

/// Reads a request.
pub fn plan(body: &[u8], version: i16, image: &Image) -> Result<Plan, WireError> {
    let request = decode(body, |r| OffsetFetchRequest::decode(r, version))?;
    let require_stable = request.require_stable;
    let group = |id: &str, member: Option<&str>, epoch, topics: Option<Vec<Asked>>| {
        let known = |topics: &Vec<Asked>| {
            let known = topics.iter().filter(|it| !it.unknown).map(|it| FetchTopic {
                name: it.name.clone(),
                topic_id: it.id,
                partitions: it.partitions.clone(),
            });
            known.collect()
        };
        Group {
            fetch: FetchOffsets {
                group_id: id.to_owned(),
                member_id: member.map(str::to_owned),
                member_epoch: epoch,
                topics: topics.as_ref().map(known),
                require_stable,
            },
            topics,
        }
    };
    let by_name = |name: &str, partitions: &[i32]| Asked {
        name: name.to_owned(),
        id: image.topic(name).map_or(TopicId::ZERO, |it| it.id),
        partitions: partitions.to_vec(),
        unknown: false,
    };
    let asked = |it: &OffsetFetchRequestTopics<'_>| {
        if version < TOPIC_IDS_FROM {
            return by_name(it.name, &it.partition_indexes);
        }
        let known = image.topic_by_id(it.topic_id);
        Asked {
            name: known.map_or_else(String::new, |it| it.name.to_string()),
            id: it.topic_id,
            partitions: it.partition_indexes.clone(),
            unknown: known.is_none(),
        }
    };
    let groups = if version >= GROUPS_FROM {
        let each = request.groups.iter().map(|it| {
            let topics = it.topics.as_ref().map(|topics| topics.iter().map(asked).collect());
            group(it.group_id, it.member_id, it.member_epoch, topics)
        });
        each.collect()
    } else {
        let topics = request.topics.as_ref().map(|topics| {
            topics.iter().map(|it| by_name(it.name, &it.partition_indexes)).collect()
        });
        vec![group(request.group_id, None, -1, topics)]
    };
    Ok(Plan { groups })
}

impl Plan {
    /// What the coordinators are to be asked.
    pub fn fetches(&self) -> impl Iterator<Item = &FetchOffsets> {
        self.groups.iter().map(|it| &it.fetch)
    }

    /// The answer, with what the coordinators said, in the order of [`fetches`](Self::fetches).
    pub fn response(
        &self,
        header: &RequestHeader<'_>,
        fetched: Vec<FetchedOffsets>,
        image: &Image,
    ) -> Result<Response, WireError> {
        let version = header.version;
        let groups: Vec<FetchedOffsets> = self
            .groups
            .iter()
            .zip(fetched)
            .map(|(it, said)| it.merge(said, version, image))
            .collect();
        let mut response = OffsetFetchResponse::default();
        if version >= GROUPS_FROM {
            let each =
                self.groups.iter().zip(&groups).map(|(asked, it)| OffsetFetchResponseGroup {
                    group_id: &asked.fetch.group_id,
                    topics: it.topics.iter().map(topics_of).collect(),
                    error_code: it.error.0,
                });
            response.groups = each.collect();
        } else if let Some(only) = groups.first() {
            response.topics = only.topics.iter().map(topic_of).collect();
            if version >= GROUP_ERROR_FROM {
                response.error_code = only.error.0;
            }
        }
        Response::new(header, |w| response.encode(w, version))
    }
}

impl Group {
    /// The group's answer: what the coordinator said, and what it was not asked.
    fn merge(&self, mut said: FetchedOffsets, version: i16, image: &Image) -> FetchedOffsets {
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
        if said.error.is_err() {
            if version < GROUP_ERROR_FROM {
                let topics = self.topics.iter().flatten();
                said.topics = topics.map(|it| failed(it, said.error)).collect();
            } else {
                said.topics.clear();
            }
            return said;
        }
        match &self.topics {
            None => said.topics.retain_mut(|it| {
                // What was committed for a deleted topic is not that of its successor.
                if it.topic_id != TopicId::ZERO {
                    return image.topic_by_id(it.topic_id).is_some();
                }
                it.topic_id = image.topic(&it.name).map_or(TopicId::ZERO, |it| it.id);
                it.topic_id != TopicId::ZERO || version < TOPIC_IDS_FROM
            }),
            Some(asked) => {
                let mut known = std::mem::take(&mut said.topics).into_iter();
                let topics = asked.iter().map(|it| {
                    if it.unknown {
                        return failed(it, ErrorCode::UNKNOWN_TOPIC_ID);
                    }
                    let found = known.next();
                    found.unwrap_or_else(|| failed(it, ErrorCode::UNKNOWN_SERVER_ERROR))
                });
                said.topics = topics.collect();
            }
        }
        said
    }
}

fn topics_of(topic: &FetchedTopic) -> OffsetFetchResponseTopics<'_> {
    let partitions = topic.partitions.iter().map(|it| OffsetFetchResponsePartitions {
        partition_index: it.partition,
        committed_offset: it.offset,
        committed_leader_epoch: it.leader_epoch,
        metadata: Some(&it.metadata),
        error_code: it.error.0,
    });
    OffsetFetchResponseTopics {
        name: &topic.name,
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
    }
}

fn topic_of(topic: &FetchedTopic) -> OffsetFetchResponseTopic<'_> {
    let partitions = topic.partitions.iter().map(|it| OffsetFetchResponsePartition {
        partition_index: it.partition,
        committed_offset: it.offset,
        committed_leader_epoch: it.leader_epoch,
        metadata: Some(&it.metadata),
        error_code: it.error.0,
    });
    OffsetFetchResponseTopic { name: &topic.name, partitions: partitions.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{body_of, encode, header, id, image};
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::offset_fetch_request::{
        OffsetFetchRequestGroup, OffsetFetchRequestTopic,
    };

    fn offset(partition: i32, offset: i64) -> FetchedOffset {
        let metadata = "m".to_owned();
        FetchedOffset { partition, offset, leader_epoch: 2, metadata, error: ErrorCode::NONE }
    }

    fn topic(name: &str, topic_id: TopicId, partitions: Vec<FetchedOffset>) -> FetchedTopic {
        FetchedTopic { name: name.into(), topic_id, partitions }
    }

    fn said(topics: Vec<FetchedTopic>) -> FetchedOffsets {
        FetchedOffsets { error: ErrorCode::NONE, topics }
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
            let plan = plan(&body, version, &image()).unwrap();
            let fetch = plan.fetches().next().unwrap();
            let asked = fetch.topics.as_ref().unwrap();
            assert_eq!((asked[0].topic_id, &asked[0].partitions[..]), (id(1), &[1][..]));
            assert_eq!(fetch.require_stable, version >= 7);

            let header = header(ApiKey::OFFSET_FETCH, version);
            let found = said(vec![topic("exists", id(1), vec![offset(1, 7)])]);
            let sent = plan.response(&header, vec![found], &image()).unwrap();
            body_of(&sent, ApiKey::OFFSET_FETCH, version, |r| {
                let it = OffsetFetchResponse::decode(r, version)?;
                let partition = &it.topics[0].partitions[0];
                assert_eq!((it.topics[0].name, partition.committed_offset), ("exists", 7));
                assert_eq!(partition.metadata, Some("m"));
                assert_eq!(partition.committed_leader_epoch, if version >= 5 { 2 } else { -1 });
                Ok(())
            });
            let refused = FetchedOffsets::refused(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
            let sent = plan.response(&header, vec![refused], &image()).unwrap();
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
            let plan = plan(&body, version, &image()).unwrap();
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
            let header = header(ApiKey::OFFSET_FETCH, version);
            let sent = plan.response(&header, vec![said(some), said(all), gone], &image()).unwrap();
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
