//! Many rounds, each with one fault, and how long a client was without acknowledgements.

use crate::load::Load;
use crate::moves;
use crate::network::Network;
use crate::nodes::Nodes;
use crate::{PARTITIONS, TOPIC};
use klamm::types::Rng;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

/// What happens in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// SIGKILL of a leader; it is started again.
    Kill,
    /// SIGSTOP for so many milliseconds: less than a session.
    Hiccup,
    /// SIGSTOP for longer than a session.
    Freeze,
    /// A node and the two others do not hear each other; clients hear all.
    Cut,
    /// A node is not heard by the two others.
    OneWay,
    /// Nobody hears a node.
    LinkDown,
    /// One node after the other is stopped and started.
    Roll,
    /// Nothing, 20 times: what the machine costs by itself.
    Calm,
    /// The leader of one partition after the other is moved, 20 times: counted is the longest time of each move.
    Move,
    /// The leaders of a thousand partitions and of those with load are moved with one request.
    MoveMany,
    /// The file system of a node loses power: its process ends, and is started on what has reached the medium.
    PowerCut,
    /// The file system of a node is full for a while.
    DiskFull,
}

impl Fault {
    const ALL: [Self; 12] = [
        Self::Kill,
        Self::Hiccup,
        Self::Freeze,
        Self::Cut,
        Self::OneWay,
        Self::LinkDown,
        Self::Roll,
        Self::Calm,
        Self::Move,
        Self::MoveMany,
        Self::PowerCut,
        Self::DiskFull,
    ];

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn needs_network(self) -> bool {
        matches!(self, Self::Cut | Self::OneWay | Self::LinkDown)
    }

    fn needs_volume(self) -> bool {
        matches!(self, Self::PowerCut | Self::DiskFull)
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// `KLAMM_FIRE_ROUNDS`, `KLAMM_FIRE_SEED` and `KLAMM_FIRE_FAULTS` (names, with commas) say what is done.
pub fn run() {
    let count: usize = setting("KLAMM_FIRE_ROUNDS", 30);
    let seed: u64 = setting("KLAMM_FIRE_SEED", 1);
    let wanted: String = setting("KLAMM_FIRE_FAULTS", String::new());
    let wanted: Vec<&str> = wanted.split(',').filter(|it| !it.is_empty()).collect();
    let asked = |it: &Fault| wanted.is_empty() || wanted.contains(&it.name().as_str());
    let mut faults: Vec<Fault> = Fault::ALL.into_iter().filter(asked).collect();
    let network = if faults.iter().any(|it| it.needs_network()) { Network::make() } else { None };
    let mut nodes = network.map_or_else(Nodes::on_loopback, Nodes::on);
    if nodes.network.is_none() {
        faults.retain(|it| !it.needs_network());
    }
    if !faults.iter().any(|it| it.needs_volume()) || !nodes.mount() {
        faults.retain(|it| !it.needs_volume());
    }
    assert!(!faults.is_empty(), "no such fault, or not allowed here");
    println!("seed {seed}, logs in {}", nodes.directory().display());
    nodes.start_all();
    if faults.contains(&Fault::MoveMany) {
        nodes.create_topic(MANY, MANY_PARTITIONS);
    }
    let load = Load::start(&nodes.bootstrap());
    let mut rng = Rng::new(seed);
    let mut gaps: BTreeMap<Fault, Vec<Duration>> = BTreeMap::new();
    let mut anomalies = 0;
    for round in 0..count {
        load.wait_for_acknowledgements(200);
        let fault = faults[rng.index(faults.len())];
        let victim = nodes.leader_of(rng.index(6) as i32);
        let wrong = load.wrong();
        load.begin_round();
        let leaders = nodes.leaders(TOPIC);
        if matches!(fault, Fault::Move | Fault::Calm) {
            let moves = fault == Fault::Move;
            let took = (0..MOVES).map(|_| move_one(&nodes, &load, &mut rng, moves));
            gaps.entry(fault).or_default().extend(took.collect::<Vec<_>>());
            continue;
        }
        if fault == Fault::MoveMany {
            gaps.entry(fault).or_default().push(move_many(&nodes, &load, round));
            continue;
        }
        carry_out(&mut nodes, &load, &mut rng, fault, victim);
        load.wait_for_acknowledgements(100);
        let whole = nodes.wait_until_whole();
        let (gap, ended) = load.longest_gap();
        let mut worse = load.wrong() - wrong;
        if fault == Fault::Hiccup && nodes.leaders(TOPIC) != leaders {
            println!("a hiccup has moved leaders: {leaders:?} {:?}", nodes.leaders(TOPIC));
            worse += 1;
        }
        anomalies += usize::from(worse > 0);
        let (gap_ms, whole_ms) = (gap.as_millis(), whole.as_millis());
        println!(
            "{round:3} {fault:?} of node {}: {gap_ms} ms without until {ended}, whole after {whole_ms} ms more, {worse} anomalies",
            victim + 1
        );
        gaps.entry(fault).or_default().push(gap);
    }
    let history = load.end(Duration::from_mins(2));
    nodes.wait_until_whole();
    let faults = history.faults(&nodes.bootstrap());
    for (fault, mut all) in gaps {
        all.sort_unstable();
        let at = |share: f64| all[((all.len() - 1) as f64 * share).round() as usize].as_millis();
        println!(
            "{fault:?}: {} rounds, without acknowledgements p50 {} ms, p99 {} ms, max {} ms",
            all.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
    println!(
        "{count} rounds, {anomalies} with an anomaly; {} acknowledged, {} given up, {} faults in the history",
        history.acknowledged.len(),
        history.failed,
        faults.len()
    );
    assert!(faults.is_empty(), "{:#?}", &faults[..faults.len().min(20)]);
}

/// Moves in one round.
const MOVES: usize = 20;
/// A topic without load, and its partitions.
const MANY: &str = "many";
const MANY_PARTITIONS: i32 = 1_000;

/// Has another replica lead a partition, or not; the longest time without acknowledgements meanwhile.
fn move_one(nodes: &Nodes, load: &Load, rng: &mut Rng, moves: bool) -> Duration {
    let partition = rng.index(PARTITIONS as usize);
    let (leader, mut replicas) = nodes.leaders(TOPIC).swap_remove(partition);
    let at = replicas.iter().position(|it| *it == leader).expect("a leader is a replica");
    replicas.rotate_left((at + 1) % 3);
    let asked = nodes.address(rng.index(3));
    if moves {
        moves::reorder(&asked, TOPIC, &[(partition as i32, replicas)]);
    }
    load.wait_for_acknowledgements(50);
    load.begin_round();
    let took = if moves {
        moves::elect_preferred(&asked, &[(TOPIC, vec![partition as i32])])
    } else {
        Duration::ZERO
    };
    load.wait_for_acknowledgements(100);
    let (gap, ended) = load.longest_gap();
    if gap.as_millis() > 40 {
        let (took, gap) = (took.as_millis(), gap.as_millis());
        println!(
            "    partition {partition} from node {leader}: elected in {took} ms, {gap} ms without until {ended}"
        );
    }
    gap
}

/// Has each partition's next replica lead, of [`MANY`] and of those with load; the longest time without acknowledgements.
fn move_many(nodes: &Nodes, load: &Load, round: usize) -> Duration {
    let asked = nodes.address(round % 3);
    let mut moved = Vec::new();
    for topic in [TOPIC, MANY] {
        let rotated = (0..).zip(nodes.leaders(topic)).map(|(partition, (leader, mut replicas))| {
            let at = replicas.iter().position(|it| *it == leader).expect("a leader is a replica");
            replicas.rotate_left((at + 1) % 3);
            (partition, replicas)
        });
        let rotated: Vec<_> = rotated.collect();
        moves::reorder(&asked, topic, &rotated);
        moved.push((topic, rotated.into_iter().map(|(partition, _)| partition).collect()));
    }
    nodes.wait_for_isr(MANY, MANY_PARTITIONS);
    load.wait_for_acknowledgements(50);
    load.begin_round();
    let took = moves::elect_preferred(&asked, &moved).as_millis();
    load.wait_for_acknowledgements(100);
    let (gap, ended) = load.longest_gap();
    let gap_ms = gap.as_millis();
    println!(
        "{round:3} {MANY_PARTITIONS} leaders moved: elected in {took} ms, {gap_ms} ms without until {ended}"
    );
    gap
}

fn carry_out(nodes: &mut Nodes, load: &Load, rng: &mut Rng, fault: Fault, victim: usize) {
    let others: Vec<usize> = (0..3).filter(|it| *it != victim).collect();
    let sleep = |ms: u64| std::thread::sleep(Duration::from_millis(ms));
    match fault {
        Fault::Kill => {
            nodes.kill(victim);
            load.wait_for_acknowledgements(100);
            nodes.start(victim);
        }
        Fault::Hiccup | Fault::Freeze => {
            nodes.signal(victim, Signal::STOP);
            sleep(if fault == Fault::Hiccup { 500 } else { 3_500 + rng.index(1_500) as u64 });
            nodes.signal(victim, Signal::CONT);
        }
        Fault::Cut | Fault::OneWay => {
            let ms = 1_000 + rng.index(5_000) as u64;
            for cut in [true, false] {
                let network = nodes.network.as_ref().expect("a network");
                for other in &others {
                    network.cut(victim, *other, cut);
                    if fault == Fault::Cut {
                        network.cut(*other, victim, cut);
                    }
                }
                if cut {
                    sleep(ms);
                }
            }
        }
        Fault::LinkDown => {
            let network = nodes.network.as_ref().expect("a network");
            network.set_link(victim, false);
            sleep(1_000 + rng.index(5_000) as u64);
            network.set_link(victim, true);
        }
        Fault::Move | Fault::MoveMany | Fault::Calm => unreachable!("they are not faults"),
        Fault::PowerCut => {
            nodes.volume(victim).cut_power();
            nodes.wait_for_the_end(victim);
            load.wait_for_acknowledgements(100);
            nodes.volume(victim).mount_again();
            nodes.start(victim);
        }
        Fault::DiskFull => {
            nodes.volume(victim).fill();
            sleep(1_000 + rng.index(4_000) as u64);
            nodes.volume(victim).release();
            // Where its journal has yet to grow, there is nothing that it could go on with.
            nodes.restart_if_ended(victim);
        }
        Fault::Roll => {
            for node in 0..3 {
                nodes.stop(node);
                nodes.start(node);
                nodes.wait_until_whole();
            }
        }
    }
}
