//! Reading at the source: one Fetch under way to each leader, of all partitions that a lane reads there.

use crate::client::transactions::NamedPartition;
use crate::client::{Channels, ClientError, Cluster, FetchById, Lane, LaneEvent, Reply};
use crate::types::{ErrorCode, TopicId};
use crate::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use crate::wire::kafka::fetch_response::{FetchResponse, PartitionData};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a broker waits for records, ms.
const WAIT_MS: i32 = 500;
/// Bytes of one answer, all of which may be of one partition: each answer is a transaction of its own.
const FETCH_BYTES: i32 = 4 << 20;
const PARTITION_BYTES: i32 = FETCH_BYTES;
/// The time that a broker has for an answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Between two attempts after an error, ms.
const AGAIN_MS: i64 = 250;

/// What was asked of a leader.
#[derive(Clone, Debug, Default)]
struct Asked {
    by_id: bool,
    names: BTreeMap<TopicId, String>,
    positions: BTreeMap<NamedPartition, i64>,
}

/// What is to be asked of a leader: offsets by topic.
type Partitions<'p> = BTreeMap<(&'p str, TopicId), Vec<(&'p NamedPartition, i64)>>;

/// An answer to a Fetch.
pub struct Answer {
    reply: Reply,
    asked: Asked,
}

/// See the module.
pub struct Source {
    /// The source.
    pub cluster: Cluster,
    /// A line about what went wrong since it was taken last.
    pub trouble: Option<String>,
    channels: Channels,
    events: Vec<LaneEvent>,
    asked: BTreeMap<i32, Asked>,
    topics: BTreeSet<String>,
    /// Leaders are to be asked for.
    stale: bool,
    not_before_ms: i64,
    turn: usize,
}

impl Source {
    /// A reader that reads nothing yet.
    pub fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            trouble: None,
            channels: Channels::default(),
            events: Vec::new(),
            asked: BTreeMap::new(),
            topics: BTreeSet::new(),
            stale: true,
            not_before_ms: 0,
            turn: 0,
        }
    }

    /// The topics whose leaders are to be known.
    pub fn follow<'t>(&mut self, topics: impl Iterator<Item = &'t String>) {
        self.topics = topics.cloned().collect();
        self.stale = true;
    }

    /// Leaders are asked for before the next Fetch, a moment later.
    pub fn look_again(&mut self) {
        self.stale = true;
        self.not_before_ms = self.cluster.now_ms() + AGAIN_MS;
    }

    fn failed(&mut self, e: &ClientError) {
        self.trouble = Some(format!("source: {e}; trying again"));
        self.look_again();
    }

    /// Sends a Fetch to each leader that has none under way: partition, id of its topic, offset.
    pub fn ask<'p>(&mut self, wanted: impl Iterator<Item = (&'p NamedPartition, TopicId, i64)>) {
        if self.topics.is_empty() || self.cluster.now_ms() < self.not_before_ms {
            return;
        }
        if self.stale {
            let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
            if let Err(e) = self.cluster.refresh_once(Some(&topics), false) {
                self.failed(&e);
                return;
            }
            self.stale = false;
        }
        let mut by_leader: BTreeMap<i32, Partitions<'p>> = BTreeMap::new();
        let mut missing = false;
        for (key, id, offset) in wanted {
            let metadata = self.cluster.metadata();
            // Another topic of that name is not read.
            let same = metadata.topics.get(&key.0).is_some_and(|it| it.id == id);
            match metadata.leader(&key.0, key.1) {
                Ok(leader) if same => {
                    let topics = by_leader.entry(leader).or_default();
                    topics.entry((&key.0, id)).or_default().push((key, offset));
                }
                _ => missing = true,
            }
        }
        if missing {
            self.look_again();
        }
        self.turn = self.turn.wrapping_add(1);
        for (leader, topics) in by_leader {
            let lane = Lane::Data(leader);
            if self.channels.in_flight(lane) > 0 {
                continue;
            }
            if let Err(e) = self.send(leader, topics) {
                self.channels.close(lane);
                self.asked.remove(&leader);
                self.failed(&e);
            }
        }
    }

    fn send(&mut self, leader: i32, topics: Partitions<'_>) -> Result<(), ClientError> {
        let lane = Lane::Data(leader);
        if !self.channels.has(lane) {
            let transport = self.cluster.open(leader)?;
            self.channels.add(lane, transport)?;
        }
        let ids = topics.keys().all(|(_, id)| *id != TopicId::ZERO);
        let mut asked = Asked {
            by_id: ids && self.channels.version::<FetchById<'_>>(lane).is_ok(),
            ..Asked::default()
        };
        let mut all: Vec<FetchTopic<'_>> = Vec::with_capacity(topics.len());
        for ((topic, topic_id), partitions) in topics {
            asked.names.insert(topic_id, topic.to_owned());
            let mut ask = Vec::with_capacity(partitions.len());
            for (key, fetch_offset) in partitions {
                asked.positions.insert(key.clone(), fetch_offset);
                ask.push(FetchPartition {
                    partition: key.1,
                    fetch_offset,
                    partition_max_bytes: PARTITION_BYTES,
                    ..FetchPartition::default()
                });
            }
            // A broker fills an answer from the front: everybody is in front at some time.
            let by = self.turn % ask.len();
            ask.rotate_left(by);
            all.push(FetchTopic { topic, topic_id, partitions: ask });
        }
        let by = self.turn % all.len();
        all.rotate_left(by);
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: WAIT_MS,
            min_bytes: 1,
            max_bytes: FETCH_BYTES,
            isolation_level: 1,
            session_id: 0,
            session_epoch: -1,
            topics: all,
            ..FetchRequest::default()
        };
        if asked.by_id {
            self.channels.send(lane, 0, &FetchById(request), TIMEOUT)?;
        } else {
            self.channels.send(lane, 0, &request, TIMEOUT)?;
        }
        self.asked.insert(leader, asked);
        Ok(())
    }

    /// Waits for answers, up to `wait`, and gives back those that have come.
    pub fn poll(&mut self, wait: Duration) -> Vec<Answer> {
        self.channels.poll(wait, None, &mut self.events);
        let mut answers = Vec::new();
        for event in std::mem::take(&mut self.events) {
            match event {
                LaneEvent::Reply { lane: Lane::Data(leader), reply, .. } => {
                    if let Some(asked) = self.asked.remove(&leader) {
                        answers.push(Answer { reply, asked });
                    }
                }
                LaneEvent::Reply { .. } => {}
                LaneEvent::Lost { lane, error, .. } => {
                    if let Lane::Data(leader) = lane {
                        self.asked.remove(&leader);
                        self.cluster.forget(leader);
                    }
                    self.failed(&error);
                }
            }
        }
        answers
    }

    /// Returns the memory of an answer.
    pub fn done(&mut self, answer: Answer) {
        self.channels.recycle(answer.reply);
    }
}

impl Answer {
    /// Gives each partition of the answer out, with the offset that was asked for. Those that have moved, or whose leader
    /// has, are asked for again later and not given out.
    pub fn each(
        &self,
        source: &mut Source,
        sink: &mut dyn FnMut(&NamedPartition, i64, &PartitionData<'_>),
    ) {
        let response: Result<FetchResponse<'_>, ClientError> = if self.asked.by_id {
            self.reply.read::<FetchById<'_>>()
        } else {
            self.reply.read::<FetchRequest<'_>>()
        };
        let response = match response {
            Ok(response) => response,
            Err(e) => return source.failed(&e),
        };
        let code = ErrorCode(response.error_code);
        if code.is_err() {
            let what = "fetching".to_owned();
            return source.failed(&ClientError::Refused { what, code, message: None });
        }
        for topic in &response.responses {
            let name = if self.asked.by_id {
                self.asked.names.get(&topic.topic_id).map_or("", String::as_str)
            } else {
                topic.topic
            };
            for data in &topic.partitions {
                let key = (name.to_owned(), data.partition_index);
                let Some(position) = self.asked.positions.get(&key) else { continue };
                let code = ErrorCode(data.error_code);
                if code.is_err() && code.is_retriable() {
                    source.look_again();
                } else {
                    sink(&key, *position, data);
                }
            }
        }
    }
}
