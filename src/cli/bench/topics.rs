//! The topics of a run: created, checked, deleted.

use super::options::TopicArgs;
use crate::cli::names::{check_topic, pair};
use crate::cli::{CliError, offsets, topic};
use crate::client::offsets::list_once;
use crate::client::{ClientError, Cluster, Reply, Retry, To, check_code};
use crate::types::ErrorCode;
use crate::wire::kafka::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use crate::wire::kafka::delete_topics_request::DeleteTopicsRequest;
use std::collections::BTreeMap;

/// How long the cluster may take to give every partition of a new topic a leader.
const LEADERS_MS: i64 = 120_000;

/// One partition of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Place of its topic in [`Topics::names`].
    pub topic: u32,
    /// Its number.
    pub partition: i32,
}

/// The topics of a run, which exist and have leaders.
#[derive(Debug)]
pub struct Topics {
    /// The client for everything but the load.
    pub cluster: Cluster,
    /// Their names.
    pub names: Vec<String>,
    /// Those that this run has created.
    created: Vec<String>,
    keep: bool,
}

/// A broker that leads partitions.
#[derive(Clone, Debug)]
pub struct Leader {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it leads, in order.
    pub places: Vec<Place>,
}

impl Topics {
    /// Makes sure that the topics exist as they were asked for; with `create`, those that do not
    /// exist are created.
    pub fn prepare(bootstrap: &str, args: &TopicArgs, create: bool) -> Result<Self, CliError> {
        check_topic(&args.topic)?;
        let configs = args
            .topic_config
            .iter()
            .map(|text| pair("--topic-config", text))
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let names = match args.topics {
            1 => vec![args.topic.clone()],
            n => (0..n).map(|i| format!("{}-{i}", args.topic)).collect(),
        };
        let cluster = Cluster::connect(bootstrap)?;
        let mut this = Self { cluster, names, created: Vec::new(), keep: args.keep };
        let made = this.make(args, &configs, create);
        if made.is_err() {
            this.delete()?;
        }
        made.map(|()| this)
    }

    fn make(
        &mut self,
        args: &TopicArgs,
        configs: &BTreeMap<&str, &str>,
        create: bool,
    ) -> Result<(), CliError> {
        for name in self.names.clone() {
            self.cluster.refresh(Some(&[&name]), false)?;
            match self.cluster.metadata().topic(&name) {
                Ok(_) => self.check(&name, args, configs)?,
                Err(ClientError::UnknownTopic(_)) if create => {
                    if self.create(&name, args, configs)? {
                        self.created.push(name.clone());
                    }
                }
                Err(ClientError::UnknownTopic(_)) => {
                    return Err(CliError::Failed(format!(
                        "topic '{name}' does not exist; fill one with: klamm bench produce \
                         --topic {name} --keep"
                    )));
                }
                Err(e) if e.is_retriable() => {}
                Err(e) => return Err(e.into()),
            }
            let now = self.cluster.now_ms();
            let mut retry = Retry::new(now, LEADERS_MS);
            while let Err(e) = self.find_leaders(&name) {
                // A new topic is not known to every broker at once.
                let new = self.created.contains(&name);
                match e {
                    ClientError::UnknownTopic(_) if new => {
                        let now = self.cluster.now_ms();
                        let wait = retry.after_failure(now).ok_or(e)?;
                        std::thread::sleep(std::time::Duration::from_millis(wait as u64));
                    }
                    e => self.cluster.wait_or(&mut retry, e)?,
                }
            }
        }
        Ok(())
    }

    /// Waits until every partition has a leader that serves it. Metadata may name the leader of a new
    /// partition before that broker knows it, so the brokers themselves are asked.
    fn find_leaders(&mut self, name: &str) -> Result<(), ClientError> {
        self.cluster.find_topic(name, false)?;
        if !self.created.iter().any(|created| created == name) {
            return Ok(());
        }
        let partitions: Vec<i32> =
            self.cluster.metadata().topic(name)?.partitions.keys().copied().collect();
        list_once(&mut self.cluster, name, &partitions, offsets::LATEST, 0).map(drop)
    }

    /// Creates a topic; false if it exists by now.
    fn create(
        &mut self,
        name: &str,
        args: &TopicArgs,
        configs: &BTreeMap<&str, &str>,
    ) -> Result<bool, CliError> {
        let configs =
            configs.iter().map(|(name, value)| CreatableTopicConfig { name, value: Some(value) });
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name,
                num_partitions: args.partitions.unwrap_or(1),
                replication_factor: args.replication_factor.unwrap_or(-1),
                configs: configs.collect(),
                ..CreatableTopic::default()
            }],
            timeout_ms: 60_000,
            validate_only: false,
        };
        let created = self.cluster.call(To::Controller, &request, |reply| {
            let response = reply.read::<CreateTopicsRequest<'_>>()?;
            response.topics.first().map_or(Ok(()), |topic| {
                check_code(topic.error_code, || format!("topic '{name}'"), topic.error_message)
            })
        });
        match created {
            Ok(()) => Ok(true),
            Err(e) if e.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// An error where an existing topic is not as it was asked for: its figures would mislead.
    fn check(
        &mut self,
        name: &str,
        args: &TopicArgs,
        configs: &BTreeMap<&str, &str>,
    ) -> Result<(), CliError> {
        let other = |what: String| {
            Err(CliError::Failed(format!(
                "topic '{name}' exists with {what}: choose another --topic, or delete it"
            )))
        };
        let meta = self.cluster.metadata().topic(name)?;
        let found = meta.partitions.len();
        if let Some(asked) = args.partitions.filter(|n| *n as usize != found) {
            return other(format!("{found} partitions, not {asked}"));
        }
        let replicas = meta.partitions.values().map(|p| p.replicas.len()).max().unwrap_or(0);
        if let Some(asked) = args.replication_factor.filter(|n| *n as usize != replicas) {
            return other(format!("{replicas} replicas, not {asked}"));
        }
        if configs.is_empty() {
            return Ok(());
        }
        let set = topic::configs(&mut self.cluster, name)?;
        for (key, value) in configs {
            match set.get(*key) {
                Some(Some(found)) if found == value => {}
                Some(found) => {
                    let found = found.as_deref().unwrap_or("null");
                    return other(format!("{key}={found}, not {value}"));
                }
                None => return other(format!("{key} not set, not with {key}={value}")),
            }
        }
        Ok(())
    }

    /// Every partition by leader.
    pub fn leaders(&self) -> Result<Vec<Leader>, CliError> {
        let metadata = self.cluster.metadata();
        let mut by_node: BTreeMap<i32, Vec<Place>> = BTreeMap::new();
        for (topic, name) in self.names.iter().enumerate() {
            for &partition in metadata.topic(name)?.partitions.keys() {
                let leader = metadata.leader(name, partition)?;
                by_node.entry(leader).or_default().push(Place { topic: topic as u32, partition });
            }
        }
        by_node
            .into_iter()
            .map(|(node, places)| {
                let broker = metadata.brokers.get(&node).ok_or_else(|| {
                    CliError::Failed(format!("broker {node} leads partitions, but is not known"))
                })?;
                let port = u16::try_from(broker.port).unwrap_or(0);
                Ok(Leader { host: broker.host.clone(), port, places })
            })
            .collect()
    }

    /// Number of partitions.
    pub fn partitions(&self) -> usize {
        let metadata = self.cluster.metadata();
        let of = |name: &String| metadata.topic(name).map_or(0, |t| t.partitions.len());
        self.names.iter().map(of).sum()
    }

    /// Whether this run created all of the topics, so that nobody else writes to them.
    pub fn are_ours(&self) -> bool {
        self.created.len() == self.names.len()
    }

    /// First or last offset of every partition ([`offsets::EARLIEST`], [`offsets::LATEST`]).
    pub fn offsets(&mut self, timestamp: i64) -> Result<BTreeMap<Place, i64>, CliError> {
        let mut all = BTreeMap::new();
        for (topic, name) in self.names.iter().enumerate() {
            let partitions: Vec<i32> =
                self.cluster.metadata().topic(name)?.partitions.keys().copied().collect();
            let found = offsets::list(&mut self.cluster, name, &partitions, timestamp)?;
            let topic = topic as u32;
            all.extend(found.into_iter().map(|(partition, o)| (Place { topic, partition }, o)));
        }
        Ok(all)
    }

    /// The sum of the last offsets; 0, without asking, where `unneeded`.
    pub fn end_offsets(&mut self, unwanted: bool) -> Result<u64, CliError> {
        if unwanted {
            return Ok(0);
        }
        Ok(self.offsets(offsets::LATEST)?.values().map(|o| (*o).max(0) as u64).sum())
    }

    /// `topic-partition`.
    pub fn name_of(&self, place: Place) -> String {
        format!("{}-{}", self.names[place.topic as usize], place.partition)
    }

    /// Deletes what this run has created, unless it is to be kept.
    pub fn delete(&mut self) -> Result<(), CliError> {
        if self.keep {
            return Ok(());
        }
        for name in std::mem::take(&mut self.created) {
            let request = DeleteTopicsRequest {
                topic_names: vec![&name],
                timeout_ms: 60_000,
                ..DeleteTopicsRequest::default()
            };
            self.cluster.call(To::Controller, &request, |reply: &Reply| {
                let response = reply.read::<DeleteTopicsRequest<'_>>()?;
                match response.responses.first() {
                    Some(topic) if topic.error_code != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0 => {
                        let what = || format!("deleting topic '{name}'");
                        check_code(topic.error_code, what, topic.error_message)
                    }
                    _ => Ok(()),
                }
            })?;
        }
        Ok(())
    }
}
