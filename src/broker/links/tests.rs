use super::*;
use crate::wire::peer::{
    Assembler, ClusterMap, Hello, Introduction, PREAMBLE, Preamble, Side, Welcome,
};

fn me(node: i32, cluster: &str) -> Me {
    Me {
        cluster_id: cluster.into(),
        node,
        incarnation: 100 + node as u64,
        shards: 2,
        shard: (node % 2) as u16,
        secret: None,
        seed: node as u64,
    }
}

const TARGET: Target = Target { node: 2, lane: Lane::Control, shard: 0 };

/// Two nodes, of which the first dials the second.
struct Pair {
    dials: Links,
    takes: Links,
    /// Ids of the link at both ends.
    ids: Option<(LinkId, LinkId)>,
    /// Bytes of the dialler, before the preamble is whole.
    first: Vec<u8>,
    now: i64,
}

impl Pair {
    fn new(cluster: &str, other: &str, node: i32) -> Self {
        let mut dials = Links::new(me(1, cluster));
        dials.reach(0, TARGET, "host", 9292);
        let takes = Links::new(me(node, other));
        Self { dials, takes, ids: None, first: Vec::new(), now: 0 }
    }

    fn with_secrets(dials: Option<&str>, takes: Option<&str>) -> Self {
        let secret = |text: Option<&str>| text.map(|it| Secret::read(it.as_bytes()).unwrap());
        let mut pair = Self::new("c", "c", 2);
        pair.dials = Links::new(Me { secret: secret(dials), ..me(1, "c") });
        pair.dials.reach(0, TARGET, "host", 9292);
        // The shard that is dialled.
        pair.takes = Links::new(Me { secret: secret(takes), shard: 0, ..me(2, "c") });
        pair
    }

    fn up() -> Self {
        let mut pair = Self::new("c", "c", 2);
        pair.connect();
        let (dials, takes) = pair.exchange();
        assert!(
            matches!(dials[..], [LinkEvent::Up(_, it)] if it.node == 2 && it.incarnation == 102)
        );
        assert!(matches!(takes[..], [LinkEvent::Up(_, it)] if it.node == 1 && !it.dialled));
        pair
    }

    /// Carries out the dial.
    fn connect(&mut self) {
        let event = self.dials.poll();
        let Some(LinkEvent::Dial { link, host, port }) = event else { panic!("{event:?}") };
        assert_eq!((&*host, port), ("host", 9292));
        self.dials.connected(self.now, link);
        let sent: Vec<u8> = self.dials.outgoing(link).flatten().copied().collect();
        self.first = sent[..PREAMBLE].to_vec();
        let preamble = Preamble::decode(self.first.first_chunk().unwrap()).unwrap();
        assert_eq!(preamble, Preamble { shard: 0, lane: Lane::Control });
        let taken = self.takes.accepted(self.now, "peer", preamble).unwrap();
        self.dials.sent(self.now, link, PREAMBLE);
        self.ids = Some((link, taken));
    }

    /// Carries bytes to and fro, some at a time; what happened at both ends but flushes.
    fn exchange(&mut self) -> (Vec<LinkEvent>, Vec<LinkEvent>) {
        let (a, b) = self.ids.unwrap();
        loop {
            let forth: Vec<u8> = self.dials.outgoing(a).flatten().copied().take(7).collect();
            let back: Vec<u8> = self.takes.outgoing(b).flatten().copied().take(9).collect();
            if forth.is_empty() && back.is_empty() {
                break;
            }
            self.dials.sent(self.now, a, forth.len());
            self.takes.sent(self.now, b, back.len());
            self.takes.put(self.now, b, &forth);
            self.dials.put(self.now, a, &back);
        }
        (events(&mut self.dials), events(&mut self.takes))
    }
}

fn events(links: &mut Links) -> Vec<LinkEvent> {
    std::iter::from_fn(|| links.poll()).filter(|it| !matches!(it, LinkEvent::Flush(_))).collect()
}

#[test]
fn messages_cross_a_link_in_order() {
    let mut pair = Pair::up();
    let (a, b) = pair.ids.unwrap();
    assert_eq!(pair.dials.link_to(TARGET), Some(a));
    for bytes in [1, 2, 3] {
        pair.dials.send(0, a, &PeerMessage::Credit(bytes));
        pair.takes.send(0, b, &PeerMessage::Credit(10 * bytes));
    }
    let (dials, takes) = pair.exchange();
    let credits = |events: &[LinkEvent]| -> Vec<u64> {
        let credit = |it: &LinkEvent| match it {
            LinkEvent::Message(_, PeerMessage::Credit(bytes)) => *bytes,
            other => panic!("{other:?}"),
        };
        events.iter().map(credit).collect()
    };
    assert_eq!((credits(&dials), credits(&takes)), (vec![10, 20, 30], vec![1, 2, 3]));
}

#[test]
fn what_an_earlier_process_of_a_node_has_said_does_not_come_any_more() {
    let mut pair = Pair::up();
    let (a, b) = pair.ids.unwrap();
    pair.takes.send(0, b, &PeerMessage::Credit(1));
    let late: Vec<u8> = pair.takes.outgoing(b).flatten().copied().collect();
    pair.dials.end_former(0, 2, 102);
    pair.dials.end_former(0, 3, 7);
    assert_eq!(pair.dials.link_to(TARGET), Some(a), "it is the process that is known");
    pair.dials.end_former(0, 2, 103);
    assert_eq!((pair.dials.link_to(TARGET), pair.dials.up()), (None, 0));
    pair.dials.put(0, a, &late);
    let events = events(&mut pair.dials);
    assert!(events.iter().any(|it| matches!(it, LinkEvent::Down(id, _) if *id == a)));
    assert!(!events.iter().any(|it| matches!(it, LinkEvent::Message(..))), "{events:?}");
    assert!(pair.dials.next_deadline().is_some_and(|at| at <= 50), "the next one is dialled");
}

#[test]
fn who_does_not_belong_here_is_refused_with_a_reason() {
    for (mut pair, reason) in [
        (Pair::new("c", "d", 2), "it is of cluster c, not of d"),
        (Pair::new("c", "c", 3), "it means node 2, and this is node 3"),
    ] {
        pair.connect();
        let (dials, takes) = pair.exchange();
        let said = |events: &[LinkEvent]| {
            events.iter().any(|it| matches!(it, LinkEvent::Line(line) if line.contains(reason)))
        };
        assert!(said(&dials) && said(&takes), "{dials:?} {takes:?}");
        assert!(!dials.iter().chain(&takes).any(|it| matches!(it, LinkEvent::Up(..))));
        assert_eq!((pair.dials.up(), pair.takes.up()), (0, 0));
    }
    // The same node twice.
    let mut twice = Links::new(me(1, "c"));
    twice.reach(0, Target { node: 1, ..TARGET }, "host", 9292);
    let mut pair = Pair { dials: twice, ..Pair::new("c", "c", 1) };
    pair.connect();
    let (dials, _) = pair.exchange();
    assert!(
        matches!(&dials[..], [LinkEvent::Close(_), LinkEvent::Line(it)] if it.contains("is node 1"))
    );
}

#[test]
fn a_secret_is_proven_by_both_or_refused_on_both_sides() {
    const SECRET: Option<&str> = Some("a secret of the cluster");
    let mut pair = Pair::with_secrets(SECRET, SECRET);
    pair.connect();
    let (dials, takes) = pair.exchange();
    assert!(matches!(dials[..], [LinkEvent::Up(_, it)] if it.node == 2), "{dials:?}");
    assert!(matches!(takes[..], [LinkEvent::Up(_, it)] if it.node == 1), "{takes:?}");
    assert_eq!((pair.dials.refused(), pair.takes.refused()), (0, 0));
    let other = Some("a secret of some other cluster");
    for (dials, takes, reason) in [
        (SECRET, other, "its secret is another"),
        (None, SECRET, "it has no secret, and this node has one"),
        (SECRET, None, "it has a secret, and this node has none"),
    ] {
        let mut pair = Pair::with_secrets(dials, takes);
        pair.connect();
        let (dials, takes) = pair.exchange();
        let lines = |events: &[LinkEvent]| -> Vec<String> {
            let line = |it: &LinkEvent| match it {
                LinkEvent::Line(line) => Some(line.clone()),
                _ => None,
            };
            events.iter().filter_map(line).collect()
        };
        for lines in [lines(&dials), lines(&takes)] {
            assert!(lines.len() == 1 && lines[0].contains(reason), "{lines:?}");
        }
        assert!(!dials.iter().chain(&takes).any(|it| matches!(it, LinkEvent::Up(..))));
        assert_eq!((pair.dials.refused(), pair.takes.refused()), (1, 1));
    }
    // Who takes it, and only says that it knows the secret, is given up.
    let mut pair = Pair::with_secrets(SECRET, None);
    let Some(LinkEvent::Dial { link, .. }) = pair.dials.poll() else { panic!("no dial") };
    pair.dials.connected(0, link);
    for proof in [None, Some([7; 32])] {
        let welcome = Welcome { version: 1, incarnation: 5, shards: 1, proof };
        let (table, _) = crate::wire::peer::encode(&PeerMessage::Welcome(welcome));
        pair.dials.put(0, link, &table);
    }
    let seen = events(&mut pair.dials);
    assert!(matches!(&seen[..], [LinkEvent::Close(_), LinkEvent::Line(_)]), "{seen:?}");
    assert_eq!(pair.dials.refused(), 1);
}

#[test]
fn who_joins_is_told_of_the_cluster_when_it_has_proven_the_secret() {
    let secret = Secret::read(b"a secret of the cluster").unwrap();
    let preamble = Preamble { shard: 0, lane: Lane::Control };
    let hello = |nonce| Hello {
        versions: (1, 1),
        cluster_id: String::new(),
        node: 2,
        incarnation: 9,
        shards: 1,
        shard: 0,
        to: Hello::ANYBODY,
        nonce,
    };
    let map =
        ClusterMap { cluster_id: "c".into(), voters: vec![2], brokers: Vec::new(), proof: None };
    let say = |links: &mut Links, id, message: &PeerMessage| {
        links.put(0, id, &crate::wire::peer::encode(message).0);
    };
    let answer = |links: &mut Links, id| {
        let bytes: Vec<u8> = links.outgoing(id).flatten().copied().collect();
        let mut assembler = Assembler::default();
        assembler.put(&bytes);
        links.sent(0, id, bytes.len());
        assembler.take().unwrap().expect("an answer")
    };
    // A node of the same id is not disturbed by it, nor counted as up.
    let mut links = Links::new(Me { shard: 0, ..me(2, "c") });
    let id = links.accepted(0, "peer", preamble).unwrap();
    say(&mut links, id, &PeerMessage::Hello(hello(None)));
    assert!(matches!(events(&mut links)[..], [LinkEvent::Joins(it)] if it == id));
    links.introduce(0, id, map.clone());
    assert_eq!(answer(&mut links, id), PeerMessage::Cluster(map.clone()));
    assert!(matches!(events(&mut links)[..], [LinkEvent::Close(_)]));
    // With a secret.
    let mut links = Links::new(Me { shard: 0, secret: Some(secret.clone()), ..me(2, "c") });
    let id = links.accepted(0, "peer", preamble).unwrap();
    let hello = hello(Some([1; 32]));
    say(&mut links, id, &PeerMessage::Hello(hello.clone()));
    assert!(events(&mut links).is_empty(), "nothing is said before");
    let PeerMessage::Challenge(challenge) = answer(&mut links, id) else { panic!("no challenge") };
    let it = Introduction { hello: &hello, meant: (Lane::Control, 0), challenge: &challenge };
    say(&mut links, id, &PeerMessage::Proof(secret.prove(Side::Dials, it)));
    assert!(matches!(events(&mut links)[..], [LinkEvent::Joins(it)] if it == id));
    links.introduce(0, id, map);
    let PeerMessage::Cluster(map) = answer(&mut links, id) else { panic!("no map") };
    assert!(secret.verify(Side::Takes, it, &map.proof.expect("a proof")));
}

#[test]
fn strangers_are_few_and_have_little_time() {
    let mut links = Links::new(me(2, "c"));
    let preamble = Preamble { shard: 0, lane: Lane::Data };
    let taken = (0..100).filter_map(|_| links.accepted(0, "peer", preamble)).count();
    assert_eq!(taken, 64);
    events(&mut links);
    let deadline = links.next_deadline().unwrap();
    links.timeout(deadline);
    let closed = events(&mut links).iter().filter(|it| matches!(it, LinkEvent::Close(_))).count();
    assert_eq!(closed, 64);
    // Nonsense ends a link.
    let id = links.accepted(0, "peer", preamble).unwrap();
    links.put(0, id, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let ended = events(&mut links);
    assert!(matches!(ended[..], [LinkEvent::Close(it), ..] if it == id), "{ended:?}");
    // So does a greeting without an end, before it takes memory.
    let id = links.accepted(0, "peer", preamble).unwrap();
    let (endless, _) = crate::wire::peer::encode(&PeerMessage::Refused("x".repeat(1 << 20)));
    links.put(0, id, &endless[..10_000]);
    assert!(events(&mut links).is_empty());
    links.put(0, id, &endless[10_000..20_000]);
    assert!(matches!(events(&mut links)[..], [LinkEvent::Close(it), ..] if it == id));
    // A message before Hello, too.
    let id = links.accepted(0, "peer", preamble).unwrap();
    let (table, _) = crate::wire::peer::encode(&PeerMessage::Credit(1));
    links.put(0, id, &table);
    assert!(matches!(events(&mut links)[..], [LinkEvent::Close(it), ..] if it == id));
}

#[test]
fn a_link_that_fails_is_dialled_again_later_each_time() {
    let mut links = Links::new(me(1, "c"));
    links.reach(0, TARGET, "host", 9292);
    let (mut now, mut waits) = (0, Vec::new());
    for _ in 0..6 {
        let all = events(&mut links);
        let dial = all.iter().find_map(|it| match it {
            LinkEvent::Dial { link, .. } => Some(*link),
            _ => None,
        });
        links.failed(now, dial.expect("dialled"), true);
        let told = |it: &LinkEvent| matches!(it, LinkEvent::Unreachable { node: 2, refused: true });
        let all = events(&mut links);
        assert!(all.iter().any(told), "{all:?}");
        let next = links.next_deadline().unwrap();
        waits.push(next - now);
        now = next;
        links.timeout(now);
    }
    assert_eq!(waits, [50, 100, 200, 400, 800, 800]);
    links.leave(now, TARGET);
    links.timeout(now + 10_000);
    assert_eq!(links.targets().count(), 0);
}

#[test]
fn who_has_dialled_is_dialled_at_once() {
    let mut links = Links::new(me(2, "c"));
    let target = Target { node: 1, lane: Lane::Data, shard: 1 };
    for target in [target, Target { shard: 0, ..target }, Target { node: 3, ..target }] {
        links.reach(0, target, "host", 9292);
    }
    for event in events(&mut links) {
        if let LinkEvent::Dial { link, .. } = event {
            links.failed(0, link, true);
        }
    }
    events(&mut links);
    let mut pair = Pair { takes: links, ..Pair::new("c", "c", 2) };
    pair.connect();
    let (_, takes) = pair.exchange();
    let dials = takes.iter().filter(|it| matches!(it, LinkEvent::Dial { .. })).count();
    assert_eq!(dials, 2, "two shards of node 1: {takes:?}");
    assert_eq!(pair.takes.next_deadline(), Some(50), "node 3 has to wait");
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let mut pair = Pair::up();
    let (a, _) = pair.ids.unwrap();
    pair.dials.send(1_000, a, &PeerMessage::Credit(1));
    let mut ended_ms = 0;
    while pair.dials.up() > 0 {
        let next = pair.dials.next_deadline().unwrap();
        assert!(next > ended_ms, "it wakes for nothing");
        ended_ms = next;
        pair.dials.timeout(ended_ms);
    }
    assert_eq!(ended_ms, 11_000);
    let down = events(&mut pair.dials);
    assert!(down.iter().any(|it| matches!(it, LinkEvent::Down(id, _) if *id == a)), "{down:?}");
}

#[test]
fn a_peer_that_dials_again_replaces_what_it_had() {
    let mut pair = Pair::up();
    let (_, first) = pair.ids.unwrap();
    // Its end is broken, which nobody here has heard.
    pair.dials = Links::new(me(1, "c"));
    pair.dials.reach(0, TARGET, "host", 9292);
    pair.connect();
    let (_, takes) = pair.exchange();
    let downs: Vec<_> = takes.iter().filter(|it| matches!(it, LinkEvent::Down(..))).collect();
    assert!(matches!(downs[..], [LinkEvent::Down(id, _)] if *id == first), "{takes:?}");
    assert_eq!(pair.takes.up(), 1);
}
