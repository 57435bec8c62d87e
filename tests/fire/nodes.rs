//! The three processes.

use crate::disk::Volume;
use crate::network::Network;
use crate::{PARTITIONS, TOPIC};
use klamm::client::Cluster;
use klamm::client::admin::{NewTopic, PartitionState};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::process::{Child, Stdio};
use std::time::Duration;
use support::{Scratch, free_port, klamm, wait_for};

/// How long a cluster may take for what it does by itself.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Three brokers; what runs is ended when this is dropped.
pub struct Nodes {
    /// Dropped before the directory that they are mounted in.
    volumes: Vec<Volume>,
    dir: Scratch,
    /// Of each node: where it is, and its ports for clients and for brokers.
    places: Vec<(String, u16, u16)>,
    children: Vec<Option<Child>>,
    /// Where they do not share the machine's network.
    pub network: Option<Network>,
    starts: u32,
}

impl Nodes {
    /// Not started yet.
    pub fn on_loopback() -> Self {
        let places = (0..3).map(|_| ("127.0.0.1".to_owned(), free_port(), free_port()));
        Self::new(places.collect(), None)
    }

    /// Each in a network namespace of its own.
    pub fn on(network: Network) -> Self {
        let places = (0..3).map(|it| (network.address(it), 9092, 9292)).collect();
        Self::new(places, Some(network))
    }

    fn new(places: Vec<(String, u16, u16)>, network: Option<Network>) -> Self {
        let children = places.iter().map(|_| None).collect();
        let dir = Scratch::new("fire");
        Self { volumes: Vec::new(), dir, places, children, network, starts: 0 }
    }

    /// Gives each a file system of its own, where that is allowed; before the first start.
    pub fn mount(&mut self) -> bool {
        let made = (0..3).map(|it| Volume::make(self.dir.path(), &format!("volume-{it}")));
        self.volumes = made.collect::<Option<Vec<_>>>().unwrap_or_default();
        !self.volumes.is_empty()
    }

    /// The file system of a node.
    pub fn volume(&self, node: usize) -> &Volume {
        &self.volumes[node]
    }

    /// How many lines with this text a node has logged, in all of its starts.
    pub fn lines(&self, node: usize, text: &str) -> usize {
        let prefix = format!("node-{}-", node + 1);
        let files = std::fs::read_dir(self.dir.path()).expect("the logs");
        let logs = files.map(|it| it.expect("an entry").path()).filter(|it| {
            it.file_name().is_some_and(|it| it.to_string_lossy().starts_with(&prefix))
        });
        let lines = logs.map(|it| std::fs::read_to_string(it).expect("a log"));
        lines.map(|it| it.lines().filter(|it| it.contains(text)).count()).sum()
    }

    /// Waits until a node has logged this text.
    pub fn wait_for_line(&self, node: usize, text: &str) {
        let found = wait_for(PATIENCE, || (self.lines(node, text) > 0).then_some(()));
        assert!(
            found.is_some(),
            "node {} never said {text:?}: {}",
            node + 1,
            self.dir.path().display()
        );
    }

    /// Where a node has its data.
    pub fn data(&self, node: usize) -> std::path::PathBuf {
        match self.volumes.get(node) {
            Some(volume) => volume.path().join("data"),
            None => self.dir.join(format!("data-{node}")),
        }
    }

    /// All addresses for clients.
    pub fn bootstrap(&self) -> String {
        let all: Vec<String> =
            self.places.iter().map(|(host, port, _)| format!("{host}:{port}")).collect();
        all.join(",")
    }

    /// Starts a node.
    pub fn start(&mut self, node: usize) {
        let voters: Vec<String> = (1..)
            .zip(&self.places)
            .map(|(id, (host, _, port))| format!("{id}@{host}:{port}"))
            .collect();
        let (host, port, _) = &self.places[node];
        let mut command = match &self.network {
            Some(network) => {
                // Not `ip netns exec`, which takes a copy of all mounts: a volume would stay mounted by that.
                let mut command = support::command("nsenter");
                command.arg(format!("--net=/run/netns/{}", network.namespace(node))).arg(klamm());
                command
            }
            None => support::command(klamm()),
        };
        command.arg("serve").arg("--data").arg(self.data(node));
        command.args(["--node-id", &(node + 1).to_string(), "--voters", &voters.join(",")]);
        command.args(["--listen", &format!("{host}:{port}"), "--shards", "1"]);
        command.args(["--memory", "256MiB", "--journal", "64MiB"]);
        self.starts += 1;
        let log = self.dir.join(format!("node-{}-{}.log", node + 1, self.starts));
        let out = File::create(log).expect("a log file");
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("the log")).stderr(out);
        self.children[node] = Some(command.spawn().expect("the broker's process"));
    }

    /// Where their data and logs are.
    pub fn directory(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Sends a signal to a node.
    pub fn signal(&self, node: usize, signal: Signal) {
        let child = self.children[node].as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("a process");
    }

    /// SIGKILL.
    pub fn kill(&mut self, node: usize) {
        self.signal(node, Signal::KILL);
        self.children[node].take().expect("it runs").wait().expect("its end");
    }

    /// Waits until a node has ended by itself, and demands that it does not say that all was well.
    pub fn wait_for_the_end(&mut self, node: usize) {
        let mut child = self.children[node].take().expect("it runs");
        let ended = wait_for(PATIENCE, || child.try_wait().ok().flatten());
        let _ = child.kill();
        let status = ended.unwrap_or_else(|| panic!("node {} goes on without a disk", node + 1));
        assert!(!status.success(), "node {} ended with {status}", node + 1);
    }

    /// Starts a node anew that has ended by itself, as whoever keeps it running would.
    pub fn restart_if_ended(&mut self, node: usize) {
        let child = self.children[node].as_mut().expect("it was started");
        if let Some(status) = child.try_wait().expect("a child of ours") {
            println!("    node {} has ended with {status}", node + 1);
            self.start(node);
        }
    }

    /// SIGTERM; waits for the end, which is a clean one.
    pub fn stop(&mut self, node: usize) {
        self.signal(node, Signal::TERM);
        let mut child = self.children[node].take().expect("it runs");
        let status = child.wait().expect("its end");
        assert!(status.success(), "node {} ended with {status}", node + 1);
    }

    /// Starts the three, and creates the topic as soon as they are one cluster.
    pub fn start_all(&mut self) {
        (0..3).for_each(|it| self.start(it));
        self.create_topic(TOPIC, PARTITIONS);
        self.wait_until_whole();
    }

    /// Creates a topic with three replicas, as soon as there are so many brokers.
    pub fn create_topic(&self, name: &str, partitions: i32) {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(partitions),
            replication_factor: Some(3),
            configs: vec![("min.insync.replicas".to_owned(), "2".to_owned())],
            ..NewTopic::default()
        };
        let created = wait_for(PATIENCE, || {
            let mut cluster = Cluster::connect(&self.bootstrap()).ok()?;
            cluster.refresh(Some(&[]), false).ok()?;
            if cluster.metadata().brokers.len() < 3 {
                return None;
            }
            cluster.create_topic(&topic).ok()
        });
        created.expect("a cluster with the topic");
    }

    fn partitions(&self) -> Option<Vec<PartitionState>> {
        Self::partitions_by(&self.bootstrap(), TOPIC)
    }

    fn partitions_by(bootstrap: &str, topic: &str) -> Option<Vec<PartitionState>> {
        let mut cluster = Cluster::connect(bootstrap).ok()?;
        let mut topics = cluster.describe_topics(&[topic.to_owned()]).ok()?;
        Some(topics.pop()?.partitions)
    }

    /// A broker that clients can ask.
    pub fn address(&self, node: usize) -> String {
        let (host, port, _) = &self.places[node];
        format!("{host}:{port}")
    }

    /// Of each partition who leads it, and its replicas in their order.
    pub fn leaders(&self, topic: &str) -> Vec<(i32, Vec<i32>)> {
        let found = wait_for(PATIENCE, || Self::partitions_by(&self.bootstrap(), topic));
        found.expect("a broker").into_iter().map(|it| (it.leader, it.replicas)).collect()
    }

    /// The node that leads a partition now.
    pub fn leader_of(&self, partition: i32) -> usize {
        let found = wait_for(PATIENCE, || {
            let leader = self.partitions()?.get(partition as usize)?.leader;
            usize::try_from(leader - 1).ok()
        });
        found.expect("a leader")
    }

    /// Waits until each partition has a leader and three replicas in sync; how long that took.
    pub fn wait_until_whole(&self) -> Duration {
        self.wait_for_isr(TOPIC, PARTITIONS)
    }

    /// The same for another topic with so many partitions.
    pub fn wait_for_isr(&self, topic: &str, partitions: i32) -> Duration {
        let started = std::time::Instant::now();
        let mut last = None;
        let whole = wait_for(PATIENCE, || {
            // Who was frozen may not have heard yet of what has happened meanwhile: all of them have to say so.
            for node in 0..3 {
                last = Self::partitions_by(&self.address(node), topic);
                let all = last.as_ref()?;
                let is_whole = |it: &PartitionState| it.leader > 0 && it.isr.len() == 3;
                if all.len() != partitions as usize || !all.iter().all(is_whole) {
                    return None;
                }
            }
            Some(())
        });
        assert!(whole.is_some(), "not whole: {last:#?}; logs in {}", self.dir.path().display());
        started.elapsed()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
