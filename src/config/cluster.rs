//! The settings by which nodes find each other.

use super::sources::{Values, Written};
use super::values::host_port;
use super::{ConfigError, DEFAULT_PEER_PORT};
use crate::types::exit;
use data_encoding::BASE64URL_NOPAD;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Kafka's name for the voters.
const PROPERTY: &str = "controller.quorum.voters";

/// See the module.
pub(super) struct Cluster {
    pub voters: BTreeMap<i32, (String, u16)>,
    pub peer_listen: Option<SocketAddr>,
    pub id: Option<String>,
}

/// Reads who forms the cluster; takes the properties that say it out of `broker`. Without voters the node is
/// alone.
pub(super) fn check(
    values: &Values,
    broker: &mut BTreeMap<String, String>,
    node_id: i32,
    cluster_id: Option<String>,
) -> Result<Cluster, ConfigError> {
    if let Some(rack) = values.get("rack") {
        if rack.text.is_empty() {
            return Err(rack.error("name a rack"));
        }
        broker.insert("broker.rack".to_owned(), rack.text.clone());
    }
    let property = broker.remove(PROPERTY);
    let written = values.get("voters");
    let Some(text) = written.map(|it| &it.text).or(property.as_ref()) else {
        if let Some(written) = values.get("peer-listen") {
            return Err(written.error("without --voters there are no other brokers"));
        }
        return Ok(Cluster { voters: BTreeMap::new(), peer_listen: None, id: cluster_id });
    };
    let error = |why: &str| match written {
        Some(written) => written.error(why),
        None => config_error(PROPERTY, text, why),
    };
    let voters = voters(text).map_err(|why| error(&why))?;
    let Some((host, port)) = voters.get(&node_id) else {
        return Err(error(&format!(
            "this node, {node_id}, is not among them: add it, or say which it is with --node-id"
        )));
    };
    let peer_listen = match values.get("peer-listen") {
        Some(written) => address(written)?,
        None => SocketAddr::new(listening(host), *port),
    };
    // Nodes that are told the same make the same id of it, so that nobody has to give them one.
    let cluster_id = cluster_id.or_else(|| Some(derived_id(&voters)));
    Ok(Cluster { voters, peer_listen: Some(peer_listen), id: cluster_id })
}

fn config_error(property: &str, text: &str, why: &str) -> ConfigError {
    ConfigError { exit_code: exit::CONFIG, message: format!("{property}={text}: {why}") }
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
