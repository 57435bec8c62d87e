//! The settings by which nodes find each other.

use super::sources::{Values, Written};
use super::values::host_port;
use super::{ConfigError, DEFAULT_PEER_PORT, PEER_PORT_OFFSET, PeerListen};
use crate::types::exit;
use data_encoding::BASE64URL_NOPAD;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Kafka's name for the voters.
const VOTERS: &str = "controller.quorum.voters";
/// Kafka's name for those who know a running cluster.
const BOOTSTRAP: &str = "controller.quorum.bootstrap.servers";

/// See the module.
pub(super) struct Cluster {
    pub voters: BTreeMap<i32, (String, u16)>,
    pub join: Vec<(String, u16)>,
    pub peer_listen: Option<PeerListen>,
    pub peer_secret_file: Option<PathBuf>,
    pub id: Option<String>,
}

/// What is known of this node besides.
#[derive(Clone, Copy)]
pub(super) struct Near<'a> {
    pub node_id: i32,
    /// Where it listens for clients.
    pub listen: SocketAddr,
    /// The host that clients are told.
    pub advertise: &'a str,
}

/// A value by the name of its flag, or by Kafka's.
struct Either<'a> {
    text: &'a str,
    written: Option<&'a Written>,
    property: &'static str,
}

impl<'a> Either<'a> {
    fn find(
        values: &'a Values,
        key: &str,
        of: Option<&'a String>,
        property: &'static str,
    ) -> Option<Self> {
        let written = values.get(key);
        let text = written.map(|it| &it.text).or(of)?;
        Some(Self { text, written, property })
    }

    fn error(&self, why: &str) -> ConfigError {
        match self.written {
            Some(written) => written.error(why),
            None => ConfigError {
                exit_code: exit::CONFIG,
                message: format!("{}={}: {why}", self.property, self.text),
            },
        }
    }
}

/// Reads who forms the cluster, or which one this node joins; takes the properties that say it out of `broker`. Without
/// either the node is alone, until others join it.
pub(super) fn check(
    values: &Values,
    broker: &mut BTreeMap<String, String>,
    near: Near<'_>,
    cluster_id: Option<String>,
) -> Result<Cluster, ConfigError> {
    if let Some(rack) = values.get("rack") {
        if rack.text.is_empty() {
            return Err(rack.error("name a rack"));
        }
        broker.insert("broker.rack".to_owned(), rack.text.clone());
    }
    let peer_secret_file = match values.get("peer-secret-file") {
        Some(written) if written.text.is_empty() => return Err(written.error("name a file")),
        Some(written) => Some(PathBuf::from(&written.text)),
        None => None,
    };
    let (told_voters, told_join) = (broker.remove(VOTERS), broker.remove(BOOTSTRAP));
    let voters = Either::find(values, "voters", told_voters.as_ref(), VOTERS);
    let join = Either::find(values, "join", told_join.as_ref(), BOOTSTRAP);
    let Some(voters) = voters else {
        let joined = join.as_ref().map(|it| addresses(it.text).map_err(|why| it.error(&why)));
        let join = joined.transpose()?.unwrap_or_default();
        let open = !join.is_empty() || peer_secret_file.is_some();
        let peer_listen = peer_listen(values, near, open)?;
        if let (None, Some(written)) = (&peer_listen, values.get("join")) {
            return Err(written.error("the brokers of a cluster need a port: --peer-listen"));
        }
        let voters = BTreeMap::new();
        return Ok(Cluster { voters, join, peer_listen, peer_secret_file, id: cluster_id });
    };
    if let Some(join) = join.filter(|it| it.written.is_some()) {
        return Err(join.error("--voters makes a cluster: a node that joins one is not told them"));
    }
    let all = self::voters(voters.text).map_err(|why| voters.error(&why))?;
    let Some((host, port)) = all.get(&near.node_id) else {
        return Err(voters.error(&format!(
            "this node, {}, is not among them: add it, or say which it is with --node-id",
            near.node_id
        )));
    };
    let at = match values.get("peer-listen") {
        Some(written) => address(written)?,
        None => SocketAddr::new(listening(host), *port),
    };
    let advertise = (host.clone(), *port);
    if let Some(written) = values.get("peer-advertise").filter(|_| voters.written.is_some()) {
        return Err(written.error("--voters says it already"));
    }
    // Nodes that are told the same make the same id of it, so that nobody has to give them one.
    let id = cluster_id.or_else(|| Some(derived_id(&all)));
    let peer_listen = Some(PeerListen { at, advertise, is_default: false });
    Ok(Cluster { voters: all, join: Vec::new(), peer_listen, peer_secret_file, id })
}

/// Where to listen for others, of a node that is told no voters; `open`: others may come from other machines.
fn peer_listen(
    values: &Values,
    near: Near<'_>,
    open: bool,
) -> Result<Option<PeerListen>, ConfigError> {
    let written = values.get("peer-listen");
    if written.is_some_and(|it| it.text == "none") {
        return match values.get("peer-advertise") {
            Some(it) => Err(it.error("nobody listens there: --peer-listen none")),
            None => Ok(None),
        };
    }
    let at = match written {
        Some(written) => address(written)?,
        None => {
            let port = match near.listen.port() {
                0 => Some(0),
                port => port.checked_add(PEER_PORT_OFFSET),
            };
            let Some(port) = port else { return Ok(None) };
            let ip = if open { near.listen.ip() } else { Ipv4Addr::LOCALHOST.into() };
            SocketAddr::new(ip, port)
        }
    };
    let advertise = match values.get("peer-advertise") {
        Some(it) => {
            let (host, port) = host_port(&it.text, at.port()).map_err(|e| it.error(e))?;
            if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
                return Err(it.error("brokers cannot connect to this; name a host that they reach"));
            }
            (host, port)
        }
        None if at.ip().is_unspecified() => (near.advertise.to_owned(), at.port()),
        None => (at.ip().to_string(), at.port()),
    };
    Ok(Some(PeerListen { at, advertise, is_default: written.is_none() }))
}

fn addresses(text: &str) -> Result<Vec<(String, u16)>, String> {
    let mut all = Vec::new();
    for one in text.split(',').map(str::trim) {
        let (host, port) = host_port(one, DEFAULT_PEER_PORT).map_err(|_| {
            format!("'{one}': write each broker as HOST:PORT, with its port for brokers")
        })?;
        if port == 0 {
            return Err(format!("'{one}': a port is needed"));
        }
        all.push((host, port));
    }
    Ok(all)
}

fn voters(text: &str) -> Result<BTreeMap<i32, (String, u16)>, String> {
    let mut voters = BTreeMap::new();
    for one in text.split(',').map(str::trim) {
        let shape = || format!("'{one}': write each node as ID@HOST:PORT");
        let (id, address) = one.split_once('@').ok_or_else(shape)?;
        let id: i32 = id.parse().ok().filter(|id| *id >= 0).ok_or_else(shape)?;
        let address = host_port(address, DEFAULT_PEER_PORT).map_err(|_| shape())?;
        if address.1 == 0 {
            return Err(format!("'{one}': other nodes need to know the port"));
        }
        if voters.values().any(|it| *it == address) {
            return Err(format!("'{one}': two nodes have this address"));
        }
        if voters.insert(id, address).is_some() {
            return Err(format!("node {id} is there twice"));
        }
    }
    Ok(voters)
}

/// Where to listen, of a host that others connect to: a name may stand for several addresses, of which
/// nobody knows which is this machine's.
fn listening(host: &str) -> IpAddr {
    match host {
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        _ => host.parse().unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
    }
}

fn address(written: &Written) -> Result<SocketAddr, ConfigError> {
    let (host, port) = host_port(&written.text, DEFAULT_PEER_PORT).map_err(|e| written.error(e))?;
    let ip = if host == "localhost" { Ok(Ipv4Addr::LOCALHOST.into()) } else { host.parse() };
    let ip =
        ip.map_err(|_| written.error("listening needs an IP address, such as 0.0.0.0:9292"))?;
    Ok(SocketAddr::new(ip, port))
}

fn derived_id(voters: &BTreeMap<i32, (String, u16)>) -> String {
    let all: Vec<String> =
        voters.iter().map(|(id, (host, port))| format!("{id}@{host}:{port}")).collect();
    let text = all.join(",");
    let words = (0..4).map(|n| crc32c::crc32c(format!("{n} {text}").as_bytes()).to_be_bytes());
    BASE64URL_NOPAD.encode(&words.flatten().collect::<Vec<u8>>())
}
