//! What a consumer group of KIP-848 with many members costs its coordinator: a thousand join ten thousand partitions, one
//! leaves, partitions come: `cargo bench --bench group_rebalance`.

use klamm::group::{
    Cluster, ClusterView, ConsumerHeartbeat, ConsumerHeartbeaten, Coordinator, CoordinatorSettings,
    Effect, GroupRequest, GroupResponse, TopicView, partitions::Partitions,
};
use klamm::types::{ErrorCode, GroupConfig, Now, TopicId};
use std::rc::Rc;

const MEMBERS: usize = 1_000;
const TOPICS: usize = 100;
const HEARTBEAT_MS: i64 = 5_000;
/// Steps of work at a time: as many as a shard takes before it looks at something else.
const STEPS: usize = 1_000;

/// Topics with so many partitions each.
#[derive(Debug)]
struct View {
    names: Vec<String>,
    partitions: i32,
}

impl View {
    fn new(partitions: i32) -> Rc<Self> {
        let names = (0..TOPICS).map(|it| format!("topic-{it:03}")).collect();
        Rc::new(Self { names, partitions })
    }

    fn view(&self, at: usize) -> TopicView<'_> {
        let (name, id) = (&*self.names[at], TopicId([at as u8 + 1; 16]));
        TopicView { name, id, partitions: self.partitions }
    }
}

impl ClusterView for View {
    fn topic(&self, name: &str) -> Option<TopicView<'_>> {
        Some(self.view(self.names.iter().position(|it| it == name)?))
    }

    fn topic_by_id(&self, id: TopicId) -> Option<TopicView<'_>> {
        Some(self.view(usize::from(id.0[0]).checked_sub(1).filter(|at| *at < TOPICS)?))
    }

    fn names_after<'a>(&'a self, last: Option<&str>) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        let from = last.map_or(0, |last| self.names.partition_point(|it| &**it <= last));
        Box::new(self.names[from..].iter().map(String::as_str))
    }

    fn has_racks(&self) -> bool {
        false
    }

    fn racks(&self, _: &str, _: i32) -> Vec<&str> {
        Vec::new()
    }

    fn group_config(&self, _: &str) -> GroupConfig {
        GroupConfig::default()
    }
}

/// A consumer that gives up at once what it is told to give up.
#[derive(Default)]
struct Client {
    id: String,
    epoch: i32,
    owned: Partitions,
    /// The last answer told it what to have.
    told: bool,
}

struct Bench {
    cluster: Cluster,
    coordinator: Coordinator,
    clients: Vec<Client>,
    now_ms: i64,
    heartbeats: usize,
    record_bytes: u64,
    /// The longest that the coordinator took for some steps, ns of processor time.
    longest_ns: u64,
}

/// Time that this process was on a core, ns.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or_default()
}

impl Bench {
    fn ask(&mut self, heartbeat: ConsumerHeartbeat) -> ConsumerHeartbeaten {
        self.heartbeats += 1;
        let (mut out, mut answer) = (Vec::new(), None);
        let now = Now::at(self.now_ms);
        let request = GroupRequest::ConsumerHeartbeat(Box::new(heartbeat));
        self.coordinator.request(now, 1, request, &mut out);
        loop {
            for effect in std::mem::take(&mut out) {
                match effect {
                    Effect::Append { write, records, .. } => {
                        let bytes = |it: &klamm::group::Record| {
                            (it.key.len() + it.value.as_ref().map_or(0, Vec::len)) as u64
                        };
                        self.record_bytes += records.iter().map(bytes).sum::<u64>();
                        self.coordinator.written(now, write, Ok(()), &mut out);
                    }
                    Effect::Reply { response: GroupResponse::ConsumerHeartbeat(it), .. } => {
                        answer = Some(it);
                    }
                    _ => {}
                }
            }
            if self.coordinator.has_long() {
                let begun = cpu_ns();
                self.coordinator.go_on_with_long(now, STEPS, &mut out);
                self.longest_ns = self.longest_ns.max(cpu_ns() - begun);
            } else if out.is_empty() {
                return answer.expect("each is answered at once");
            }
        }
    }

    fn beat(&mut self, at: usize, leaves: bool) {
        let client = &self.clients[at];
        let joins = client.epoch == 0;
        let heartbeat = ConsumerHeartbeat {
            group_id: "group".to_owned(),
            member_id: client.id.clone(),
            requires_member_id: true,
            member_epoch: if leaves { -1 } else { client.epoch },
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            rebalance_timeout_ms: if joins { 300_000 } else { -1 },
            topics: joins.then(|| (0..TOPICS).map(|it| format!("topic-{it:03}")).collect()),
            owned: (joins || client.told).then(|| client.owned.clone()),
            ..ConsumerHeartbeat::default()
        };
        let answer = self.ask(heartbeat);
        assert_eq!(answer.error, ErrorCode::NONE, "{:?}", answer.error_message);
        let client = &mut self.clients[at];
        client.epoch = answer.member_epoch;
        client.told = answer.assignment.is_some();
        if let Some(assignment) = answer.assignment {
            client.owned = assignment;
        }
    }

    /// All send heartbeats, until nobody is told anything more and all partitions have an owner.
    fn settle(&mut self, what: &str, partitions: usize) {
        let (begun_ms, begun_ns) = (self.now_ms, cpu_ns());
        (self.heartbeats, self.record_bytes, self.longest_ns) = (0, 0, 0);
        loop {
            for at in 0..self.clients.len() {
                self.now_ms = self.now_ms.max(begun_ms) + i64::from(at % 8 == 0);
                self.beat(at, false);
            }
            let owned: usize =
                self.clients.iter().flat_map(|it| it.owned.values()).map(Vec::len).sum();
            let (least, most) = self
                .clients
                .iter()
                .fold((i32::MAX, 0), |(least, most), it| (least.min(it.epoch), most.max(it.epoch)));
            if owned == partitions && least == most && !self.clients.iter().any(|it| it.told) {
                break;
            }
            self.now_ms += HEARTBEAT_MS - self.clients.len() as i64 / 8;
        }
        println!(
            "{what}: {} ms on a core, {} heartbeats in {} s of the group's time, {} KiB of records; at most {} us for {STEPS} \
             steps",
            (cpu_ns() - begun_ns) / 1_000_000,
            self.heartbeats,
            (self.now_ms - begun_ms) / 1_000,
            self.record_bytes >> 10,
            self.longest_ns / 1_000,
        );
    }
}

fn main() {
    let cluster = Cluster::default();
    let coordinator =
        Coordinator::new(CoordinatorSettings::default()).with_cluster(cluster.clone());
    let client = |at| Client { id: format!("member-{at:04}"), ..Client::default() };
    let mut bench = Bench {
        cluster,
        coordinator,
        clients: (0..MEMBERS).map(client).collect(),
        now_ms: 1_700_000_000_000,
        heartbeats: 0,
        record_bytes: 0,
        longest_ns: 0,
    };
    bench.coordinator.start(Now::at(bench.now_ms), &mut Vec::new());
    bench.cluster.show(View::new(100), true);
    bench.settle("1,000 members join, 10,000 partitions", 10_000);
    bench.beat(MEMBERS / 2, true);
    bench.clients.remove(MEMBERS / 2);
    bench.settle("one leaves", 10_000);
    bench.cluster.show(View::new(101), true);
    bench.settle("each topic gets a partition", 10_100);
    bench.settle("nothing changes", 10_100);
}
