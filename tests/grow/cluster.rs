//! The processes, and what an administrator does.

use crate::{PARTITIONS, TOPIC};
use klamm::client::admin::{NewTopic, Resource};
use klamm::client::{ApiRequest, ClientError, Cluster, To};
use klamm::wire::api_keys::ApiKey;
use klamm::wire::kafka::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use klamm::wire::kafka::alter_partition_reassignments_response::AlterPartitionReassignmentsResponse;
use klamm::wire::kafka::describe_quorum_request::{
    DescribeQuorumRequest, PartitionData, TopicData,
};
use klamm::wire::kafka::describe_quorum_response::DescribeQuorumResponse;
use klamm::wire::primitives::{Reader, WireError, Writer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use support::{Broker, Scratch, free_port, klamm, port, wait_for};

/// How long a cluster may take for what it does by itself.
const PATIENCE: Duration = Duration::from_mins(2);

/// Up to three brokers; what runs is ended when this is dropped.
pub struct Brokers {
    dir: Scratch,
    ports: Vec<u16>,
    running: BTreeMap<usize, Broker>,
}

impl Brokers {
    /// None runs yet.
    pub fn new() -> Self {
        // The port for brokers is so many above that for clients.
        let with_peer = |port: &u16| port::reserve(port + 200);
        let pair = || std::iter::repeat_with(free_port).find(with_peer).expect("ports");
        Self {
            dir: Scratch::new("grow"),
            ports: (0..3).map(|_| pair()).collect(),
            running: BTreeMap::new(),
        }
    }

    /// All addresses for clients.
    pub fn bootstrap(&self) -> String {
        let all: Vec<String> = self.ports.iter().map(|it| format!("127.0.0.1:{it}")).collect();
        all.join(",")
    }

    /// Where brokers connect to a broker that was told nothing about it.
    pub fn peer(&self, at: usize) -> String {
        format!("127.0.0.1:{}", self.ports[at] + 200)
    }

    /// The data directory of a broker.
    pub fn data(&self, at: usize) -> PathBuf {
        self.dir.join(format!("data-{}", at + 1))
    }

    /// Starts a broker, whose node id is one more than its place, and waits until it answers.
    pub fn start(&mut self, at: usize, args: &[&str]) {
        let args = with_defaults(at, args);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let broker = Broker::start_on(&self.data(at), self.dir.path(), self.ports[at], &args);
        self.running.insert(at, broker);
    }

    /// Starts a broker that ends by itself with this exit code; the line that says why.
    pub fn refused(&self, at: usize, args: &[&str], code: i32) -> String {
        let mut command = support::command(klamm());
        command.arg("serve").arg("--data").arg(self.data(at));
        command.args(["--listen", &format!("127.0.0.1:{}", self.ports[at])]);
        let ended = support::program::ended(command.args(with_defaults(at, args)));
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
        let line = ended.err.lines().find(|it| it.starts_with("klamm: "));
        line.unwrap_or_else(|| panic!("no line: {ended:?}")).to_owned()
    }

    /// What a broker has said since its last start.
    pub fn log(&self, at: usize) -> String {
        self.running[&at].log()
    }

    /// Waits until a broker has said this.
    pub fn wait_for_line(&self, at: usize, what: &str) {
        let said = wait_for(PATIENCE, || self.log(at).contains(what).then_some(()));
        assert!(said.is_some(), "no line with '{what}' in\n{}", self.log(at));
    }

    /// A path beside the data.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The address of one broker for clients.
    pub fn bootstrap_of(&self, at: usize) -> String {
        format!("127.0.0.1:{}", self.ports[at])
    }

    /// SIGKILL.
    pub fn kill(&mut self, at: usize) {
        self.running.remove(&at).expect("it runs").kill();
    }

    /// SIGTERM; waits for a clean end.
    pub fn stop(&mut self, at: usize) {
        self.running.remove(&at).expect("it runs").stop();
    }

    fn ask<T>(
        &self,
        what: &str,
        ask: impl Fn(&mut Cluster) -> Result<Option<T>, ClientError>,
    ) -> T {
        let mut last = None;
        let found = wait_for(PATIENCE, || {
            let result = Cluster::connect(&self.bootstrap()).and_then(|mut it| ask(&mut it));
            match result {
                Ok(found) => found,
                Err(e) => {
                    last = Some(e.to_string());
                    None
                }
            }
        });
        found.unwrap_or_else(|| {
            let logs: Vec<String> = self.running.values().map(Broker::log).collect();
            panic!("{what}: {last:?}\n{}", logs.join("\n----\n"))
        })
    }

    /// Creates the topic.
    pub fn create_topic(&self, replication_factor: i16, min_in_sync: &str) {
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: Some(PARTITIONS),
            replication_factor: Some(replication_factor),
            configs: vec![("min.insync.replicas".to_owned(), min_in_sync.to_owned())],
            ..NewTopic::default()
        };
        self.ask("create the topic", |it| it.create_topic(&topic).map(Some));
    }

    /// Waits until clients are shown so many brokers, and the controller has let all of them in.
    pub fn wait_for_brokers(&self, count: usize) {
        self.ask("brokers", |it| {
            it.refresh(Some(&[]), false)?;
            Ok((it.metadata().brokers.len() == count).then_some(()))
        });
    }

    /// Who votes in the quorum.
    pub fn voters(&self) -> Vec<i32> {
        self.ask("the quorum", |it| {
            it.try_call(To::Any, &Quorum)?.read::<Quorum>().map(|it| Some(it.0))
        })
    }

    /// Waits until these vote.
    pub fn wait_for_voters(&self, expected: &[i32]) {
        let found = wait_for(PATIENCE, || (self.voters() == expected).then_some(()));
        assert!(found.is_some(), "voters {:?}, not {expected:?}", self.voters());
    }

    /// Reassigns the first partitions of the topic; a code for each.
    pub fn try_reassign(&self, replicas: &[&[i32]]) -> Vec<i16> {
        self.alter(&Reassign(replicas.iter().map(|it| Some(it.to_vec())).collect()))
    }

    /// Reassigns the partitions of the topic.
    pub fn reassign(&self, replicas: &[[i32; 3]]) {
        let codes = self.alter(&Reassign(replicas.iter().map(|it| Some(it.to_vec())).collect()));
        assert!(codes.iter().all(|it| *it == 0), "{codes:?}");
    }

    /// Takes back what the first partition is reassigned to; its code.
    pub fn cancel_reassignment(&self) -> Vec<i16> {
        self.alter(&Reassign(vec![None]))
    }

    fn alter(&self, request: &Reassign) -> Vec<i16> {
        self.ask("reassign", |it| {
            let reply = it.try_call(To::Any, request)?;
            let (code, codes) = reply.read::<Reassign>()?;
            assert_eq!(code, 0, "{codes:?}");
            Ok(Some(codes))
        })
    }

    /// The replicas of a partition of the topic, and its leader.
    pub fn replicas_and_leader(&self, partition: usize) -> (Vec<i32>, i32) {
        self.ask("describe", |it| {
            let topics = it.describe_topics(&[TOPIC.to_owned()])?;
            let it = &topics[0].partitions[partition];
            Ok(Some((it.replicas.clone(), it.leader)))
        })
    }

    /// Sets `min.insync.replicas` of the topic.
    pub fn set_min_in_sync(&self, count: &str) {
        let change = ("min.insync.replicas".to_owned(), Some(count.to_owned()));
        let resource = Resource::Topic(TOPIC.to_owned());
        self.ask("settings", |it| {
            it.alter_configs(&resource, std::slice::from_ref(&change)).map(Some)
        });
    }

    /// Waits until each partition has a leader, and so many replicas, all in sync.
    pub fn wait_until_whole(&self, topic: &str, replicas: usize) {
        self.ask("whole", |it| {
            let topics = it.describe_topics(&[topic.to_owned()])?;
            let all = &topics[0].partitions;
            let whole = all.iter().all(|it| {
                it.leader > 0 && it.replicas.len() == replicas && it.isr.len() == replicas
            });
            Ok((whole && !all.is_empty()).then_some(()))
        });
    }
}

/// Arguments that every start has, unless they are given.
fn with_defaults(at: usize, args: &[&str]) -> Vec<String> {
    let id = (at + 1).to_string();
    let defaults =
        [("--node-id", &*id), ("--shards", "1"), ("--memory", "256MiB"), ("--journal", "64MiB")];
    let missing = defaults.into_iter().filter(|it| !args.contains(&it.0));
    let missing = missing.flat_map(|(flag, value)| [flag, value]);
    missing.chain(args.iter().copied()).map(str::to_owned).collect()
}

/// The answer is who votes.
struct Quorum;

impl ApiRequest for Quorum {
    const KEY: ApiKey = ApiKey::DESCRIBE_QUORUM;
    const MIN: i16 = 0;
    const MAX: i16 = 2;
    type Response<'r> = (Vec<i32>,);

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let partitions = vec![PartitionData { partition_index: 0 }];
        let topics = vec![TopicData { topic_name: "__cluster_metadata", partitions }];
        DescribeQuorumRequest { topics }.encode(w, version)
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<(Vec<i32>,), WireError> {
        let it = DescribeQuorumResponse::decode(r, version)?;
        let voters = it.topics.first().and_then(|it| it.partitions.first());
        let voters = voters.into_iter().flat_map(|it| &it.current_voters);
        Ok((voters.map(|it| it.replica_id).collect(),))
    }
}

/// New replicas of the first partitions of the topic, none to cancel; the answer is a code, and one for each of them.
struct Reassign(Vec<Option<Vec<i32>>>);

impl ApiRequest for Reassign {
    const KEY: ApiKey = ApiKey::ALTER_PARTITION_REASSIGNMENTS;
    const MIN: i16 = 0;
    const MAX: i16 = 1;
    type Response<'r> = (i16, Vec<i16>);

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let partition = |(partition_index, replicas): (i32, &Option<Vec<i32>>)| {
            ReassignablePartition { partition_index, replicas: replicas.clone() }
        };
        let partitions = (0..).zip(&self.0).map(partition).collect();
        let topics = vec![ReassignableTopic { name: TOPIC, partitions }];
        AlterPartitionReassignmentsRequest { topics, ..Default::default() }.encode(w, version)
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<(i16, Vec<i16>), WireError> {
        let it = AlterPartitionReassignmentsResponse::decode(r, version)?;
        let partitions = it.responses.iter().flat_map(|it| &it.partitions);
        Ok((it.error_code, partitions.map(|it| it.error_code).collect()))
    }
}
