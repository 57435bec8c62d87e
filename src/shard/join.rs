//! A node that joins a running cluster asks any of its brokers what the cluster is, before it begins.

use super::ServeError;
use crate::config::BrokerSettings;
use crate::storage::recovery::identity::Identity;
use crate::types::exit;
use crate::wire::peer::{
    Assembler, ClusterMap, Hello, Introduction, Lane, PeerMessage, Preamble, Secret, Side,
    VERSIONS, encode,
};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// An empty directory waits so long for a broker that answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// One that belongs to the cluster already goes on without them after this time.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);
/// An answer takes no longer.
const ANSWER: Duration = Duration::from_secs(3);
/// Bytes of an answer, at most.
const ANSWER_MAX: usize = 16 << 20;

/// What a node knows of the cluster that it joins.
#[derive(Debug, Default)]
pub struct Joined {
    /// Its id; `None` where nobody was asked, or answered.
    pub cluster_id: Option<String>,
    /// Where its brokers are, for brokers.
    pub known: BTreeMap<i32, (String, u16)>,
}

/// Why a broker gives no answer.
enum Failure {
    /// It may do so later.
    Unreachable(String),
    /// It will not.
    Refused(String),
}

/// Asks the brokers of `--join`; `found` is whom the data directory belongs to, where it is not empty.
pub fn ask(
    settings: &BrokerSettings,
    secret: Option<&Secret>,
    found: Option<&Identity>,
) -> Result<Joined, ServeError> {
    if settings.join.is_empty() {
        return Ok(Joined::default());
    }
    let patience = if found.is_some() { SHORT_PATIENCE } else { PATIENCE };
    let config = |message: String| ServeError::new(exit::CONFIG, format!("--join: {message}"));
    let (begun, mut attempt) = (Instant::now(), 0);
    let map = 'found: loop {
        let mut last = String::new();
        for (host, port) in &settings.join {
            attempt += 1;
            match ask_one(host, *port, settings.node_id, secret, attempt) {
                Ok(map) => break 'found map,
                Err(Failure::Unreachable(why)) => last = format!("{host}:{port}: {why}"),
                Err(Failure::Refused(why)) => return Err(config(format!("{host}:{port} {why}"))),
            }
        }
        if begun.elapsed() < patience {
            std::thread::sleep(PAUSE);
            continue;
        }
        if found.is_some() {
            tracing::warn!(
                "no broker of --join answers; the data directory says where others are: {last}"
            );
            return Ok(Joined::default());
        }
        let message = format!("--join: no broker of a cluster answers: {last}");
        return Err(ServeError::new(exit::UNAVAILABLE, message));
    };
    check(settings, found, &map).map_err(config)?;
    let known = map.brokers.into_iter().filter(|it| it.peer.1 != 0);
    let known: BTreeMap<_, _> =
        known.map(|it| (it.node, it.peer)).filter(|it| it.0 != settings.node_id).collect();
    if known.is_empty() && found.is_none() {
        return Err(config(
            "no broker there can be reached by others: start it with --peer-listen".into(),
        ));
    }
    Ok(Joined { cluster_id: Some(map.cluster_id), known })
}

/// Whether this node can be of that cluster; an error is a line.
fn check(
    settings: &BrokerSettings,
    found: Option<&Identity>,
    map: &ClusterMap,
) -> Result<(), String> {
    let node = settings.node_id;
    if let Some(found) = found.filter(|it| it.cluster_id != map.cluster_id) {
        return Err(format!(
            "the data directory {} belongs to cluster {}, and the brokers there to {}",
            settings.data.display(),
            found.cluster_id,
            map.cluster_id
        ));
    }
    if let Some(wanted) = settings.cluster_id.as_ref().filter(|it| **it != map.cluster_id) {
        return Err(format!(
            "the brokers there are of cluster {}, not of {wanted}",
            map.cluster_id
        ));
    }
    let directory = found.map_or(0, |it| u128::from_be_bytes(it.directory_id));
    let other = map.brokers.iter().find(|it| it.node == node && it.directory != directory);
    if let Some(it) = other.filter(|it| !it.fenced) {
        let (host, port) = &it.peer;
        return Err(format!(
            "node {node} is another broker, which runs at {host}:{port}: choose another --node-id"
        ));
    }
    if found.is_none() && map.voters.contains(&node) {
        return Err(format!(
            "node {node} votes in the cluster's quorum by what its directory held, and {} is empty: take its vote first \
             (kafka-metadata-quorum remove-controller --controller-id {node}), or choose another --node-id",
            settings.data.display()
        ));
    }
    Ok(())
}

fn ask_one(
    host: &str,
    port: u16,
    node: i32,
    secret: Option<&Secret>,
    attempt: u64,
) -> Result<ClusterMap, Failure> {
    let unreachable = |e: std::io::Error| Failure::Unreachable(e.to_string());
    let addresses = (host, port).to_socket_addrs().map_err(unreachable)?;
    let mut stream = Err(Failure::Unreachable("the name has no address".to_owned()));
    for address in addresses {
        stream = TcpStream::connect_timeout(&address, ANSWER).map_err(unreachable);
        if stream.is_ok() {
            break;
        }
    }
    let mut stream = stream?;
    stream.set_read_timeout(Some(ANSWER)).map_err(unreachable)?;
    stream.set_write_timeout(Some(ANSWER)).map_err(unreachable)?;
    let (incarnation, seed) = uuid::Uuid::new_v4().as_u64_pair();
    let nonce = secret.map(|it| it.nonce(seed, incarnation, 0, attempt));
    let hello = Hello {
        versions: (*VERSIONS.start(), *VERSIONS.end()),
        cluster_id: String::new(),
        node,
        incarnation,
        shards: 1,
        shard: 0,
        to: Hello::ANYBODY,
        nonce,
    };
    let meant = (Lane::Control, 0);
    let preamble = Preamble { shard: meant.1, lane: meant.0 };
    stream.write_all(&preamble.encode()).map_err(unreachable)?;
    let say = |message: &PeerMessage, stream: &mut TcpStream| {
        stream.write_all(&encode(message).0).map_err(unreachable)
    };
    say(&PeerMessage::Hello(hello.clone()), &mut stream)?;
    let refused = |why: String| Failure::Refused(why);
    let (mut incoming, mut challenge) = (Assembler::default(), None);
    loop {
        match next_message(&mut stream, &mut incoming)? {
            PeerMessage::Challenge(nonce) if challenge.is_none() => {
                challenge = Some(nonce);
                let secret = secret.ok_or_else(|| {
                    refused("wants to see a secret: give it with --peer-secret-file".to_owned())
                })?;
                let it = Introduction { hello: &hello, meant, challenge: &nonce };
                say(&PeerMessage::Proof(secret.prove(Side::Dials, it)), &mut stream)?;
            }
            PeerMessage::Refused(why) => {
                return Err(refused(format!("refuses this node: {why}")));
            }
            PeerMessage::Cluster(map) => {
                let proof = map.proof.as_ref();
                let shows = |it: &Secret| it.is_shown(&hello, meant, challenge.as_ref(), proof);
                let known = secret.is_none_or(shows);
                return if known {
                    Ok(map)
                } else {
                    Err(refused("does not know the secret".to_owned()))
                };
            }
            _ => return Err(refused("says what no broker says to who joins".to_owned())),
        }
    }
}

fn next_message(stream: &mut TcpStream, into: &mut Assembler) -> Result<PeerMessage, Failure> {
    let mut bytes = [0; 16 << 10];
    loop {
        match into.take() {
            Ok(Some(message)) => return Ok(message),
            Ok(None) if into.len() <= ANSWER_MAX => {}
            // Whatever listens there, it is no port for brokers.
            Ok(None) => return Err(Failure::Refused("says too much".to_owned())),
            Err(e) => return Err(Failure::Refused(format!("is no port for brokers: {e}"))),
        }
        match stream.read(&mut bytes) {
            Ok(0) => {
                let why = "it closes the connection: perhaps it is no port for brokers";
                return Err(Failure::Unreachable(why.to_owned()));
            }
            Ok(n) => into.put(&bytes[..n]),
            Err(e) => return Err(Failure::Unreachable(e.to_string())),
        }
    }
}
