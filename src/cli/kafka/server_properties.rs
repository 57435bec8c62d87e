//! What a Kafka `server.properties` means to this broker.

use super::properties::Properties;
use crate::config::{DEFAULT_PORT, Flags, host_port};
use crate::types::config_def::Support;
use crate::types::config_table::broker_config;
use std::net::IpAddr;

/// Kafka's default of `log.dirs`.
const DEFAULT_LOG_DIR: &str = "/tmp/kafka-logs";

/// Properties that [`read`] takes a value from, besides those of the broker's configuration.
const TAKEN: [&str; 16] = [
    "advertised.host.name",
    "advertised.listeners",
    "advertised.port",
    "broker.id",
    "controller.listener.names",
    "controller.quorum.bootstrap.servers",
    "controller.quorum.voters",
    "host.name",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "node.id",
    "port",
    "process.roles",
    "security.inter.broker.protocol",
];

/// Settings of `klamm serve` that Kafka has no name for, as `klamm.NAME`.
const OWN: [&str; 14] = [
    "shards",
    "memory",
    "lock-memory",
    "journal",
    "admin-listen",
    "cluster-id",
    "join",
    "peer-listen",
    "peer-advertise",
    "peer-secret-file",
    "strict",
    "slow-request-ms",
    "log-format",
    "log",
];

/// What is asked of the machine; a trait so that tests need no network.
pub trait Hosts {
    /// An address of a host.
    fn resolve(&self, host: &str) -> Option<IpAddr>;
    /// The host name of this machine.
    fn own_name(&self) -> String;
}

/// A property file, translated into flags of `klamm serve`.
#[derive(Clone, Debug, Default)]
pub struct Meaning {
    /// The flags.
    pub flags: Flags,
    /// One line for each property that has no effect here.
    pub notices: Vec<String>,
}

/// One of the `listeners`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listener<'a> {
    name: &'a str,
    host: String,
    port: u16,
}

/// Reads the properties. Kafka's names and defaults hold, in those of ZooKeeper's time as well; a
/// property without effect here gets a notice, one that cannot be honoured where ignoring it would
/// do harm is an error.
pub fn read(properties: &Properties, hosts: &impl Hosts) -> Result<Meaning, String> {
    let get = |name: &str| properties.get(name).map(|v| v.trim()).filter(|v| !v.is_empty());
    let mut meaning = Meaning::default();
    if let Some(roles) = get("process.roles")
        && !items(roles).any(|role| role == "broker")
    {
        return Err(format!(
            "process.roles={roles}: a Klamm process is a broker and its own controller; use \
             broker,controller"
        ));
    }
    meaning.flags.node_id = node_id(get("node.id"), get("broker.id"))?;
    // Of one that is its own quorum, as Kafka's example is, nothing follows.
    let voters = get("controller.quorum.voters").filter(|list| items(list).count() > 1);
    meaning.flags.voters = voters.map(str::to_owned);
    if meaning.flags.voters.is_none()
        && let Some(list) = get("controller.quorum.bootstrap.servers")
    {
        let others = others(list, &get, hosts)?;
        meaning.flags.join = (!others.is_empty()).then(|| others.join(","));
        if meaning.flags.join.is_some()
            && let Some(own) = controller_listener(&get)?
        {
            let ip = match own.host.as_str() {
                "" => "0.0.0.0".parse().ok(),
                host => host.parse().ok().or_else(|| hosts.resolve(host)),
            };
            let ip: IpAddr =
                ip.ok_or_else(|| format!("listeners: the host {} has no address", own.host))?;
            meaning.flags.peer_listen = Some(join(&ip.to_string(), own.port));
        }
    }
    meaning.flags.data = Some(data_directory(get("log.dirs"), get("log.dir"))?);
    let listener = listener(properties, &get)?;
    let ip = match listener.host.as_str() {
        "" | "0.0.0.0" => "0.0.0.0".parse().ok(),
        host => host.parse().ok().or_else(|| hosts.resolve(host)),
    };
    let ip: IpAddr =
        ip.ok_or_else(|| format!("listeners: the host {} has no address", listener.host))?;
    meaning.flags.listen = Some(join(&ip.to_string(), listener.port));
    meaning.flags.advertise = Some(advertised(&get, &listener, ip, hosts, &mut meaning.notices)?);
    let mut unused = Vec::new();
    for (name, value) in properties {
        let value = value.trim();
        if TAKEN.contains(&name.as_str()) {
            continue;
        }
        if let Some(own) = name.strip_prefix("klamm.").filter(|own| OWN.contains(own)) {
            set_own(&mut meaning.flags, own, value)?;
            continue;
        }
        let Some(def) = broker_config(name) else {
            if name.starts_with("klamm.") && name != "klamm.batch.validation" {
                let known = OWN.map(|own| format!("klamm.{own}")).join(", ");
                return Err(format!("{name} is not a property; known are {known}"));
            }
            if name == "klamm.batch.validation" {
                meaning.flags.overrides.push(format!("{name}={value}"));
            } else {
                unused.push(name.as_str());
            }
            continue;
        };
        let wrong = def.check(value).err();
        match (def.support, wrong) {
            (Support::Honoured, None) => {
                meaning.flags.overrides.push(format!("{name}={value}"));
            }
            (Support::Honoured, Some(e)) => return Err(e),
            (_, None) => {}
            (_, Some(_)) => meaning.notices.push(format!(
                "{name}={value} is not used: Klamm knows {} only so far",
                def.default.unwrap_or("its own")
            )),
        }
    }
    if !unused.is_empty() {
        meaning.notices.push(format!("properties without a use here: {}", unused.join(", ")));
    }
    Ok(meaning)
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The node id. Without one, or with -1, Kafka generates an id.
fn node_id(node: Option<&str>, broker: Option<&str>) -> Result<Option<String>, String> {
    let number = |name: &str, text: Option<&str>| match text.map(|text| (text, text.parse::<i32>()))
    {
        None => Ok(None),
        Some((_, Ok(id))) => Ok(Some(id).filter(|id| *id >= 0)),
        Some((text, Err(_))) => Err(format!("{name}={text}: write a number of at least 0")),
    };
    match (number("node.id", node)?, number("broker.id", broker)?) {
        (Some(node), Some(broker)) if node != broker => {
            Err("You must set `node.id` to the same value as `broker.id`.".to_owned())
        }
        (node, broker) => Ok(node.or(broker).map(|id| id.to_string())),
    }
}

/// One directory: a partition's records, and the journal that all partitions share, are in one
/// place here. Spreading over several disks is the file system's.
fn data_directory(dirs: Option<&str>, dir: Option<&str>) -> Result<String, String> {
    let list = dirs.or(dir).unwrap_or(DEFAULT_LOG_DIR);
    let mut all = items(list);
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only.to_owned()),
        (Some(first), Some(_)) => Err(format!(
            "log.dirs={list}: Klamm keeps its data in one directory, so name one, such as {first}"
        )),
        (None, _) => Err(format!("log.dirs={list}: name a directory")),
    }
}

/// The listener for clients: the only one that is not the controller's.
fn listener<'a>(
    properties: &'a Properties,
    get: &impl Fn(&str) -> Option<&'a str>,
) -> Result<Listener<'a>, String> {
    let Some(list) = get("listeners") else {
        let port = match get("port") {
            Some(text) => text.parse().map_err(|_| format!("port={text}: write a port"))?,
            None => DEFAULT_PORT,
        };
        let host = get("host.name").unwrap_or_default().to_owned();
        return Ok(Listener { name: "PLAINTEXT", host, port });
    };
    let controllers: Vec<&str> = items(get("controller.listener.names").unwrap_or("")).collect();
    let all = listeners("listeners", list)?;
    let mut clients = all.into_iter().filter(|l| !controllers.contains(&l.name));
    let (Some(listener), None) = (clients.next(), clients.next()) else {
        return Err(format!(
            "listeners={list}: Klamm serves clients on one listener so far, so name one, and the \
             controller's in controller.listener.names"
        ));
    };
    let map = properties.get("listener.security.protocol.map").map_or("", String::as_str);
    let protocol = items(map)
        .filter_map(|pair| pair.split_once(':'))
        .find(|(name, _)| *name == listener.name)
        .map_or(listener.name, |(_, protocol)| protocol);
    if protocol != "PLAINTEXT" {
        return Err(format!(
            "listeners={list}: Klamm serves PLAINTEXT so far, not {protocol}; name a PLAINTEXT \
             listener"
        ));
    }
    Ok(listener)
}

fn listeners<'a>(property: &str, list: &'a str) -> Result<Vec<Listener<'a>>, String> {
    let wrong = || format!("{property}={list}: write it as PLAINTEXT://HOST:PORT");
    items(list)
        .map(|item| {
            let (name, address) = item.split_once("://").ok_or_else(wrong)?;
            let (host, port) = match address.strip_prefix(':') {
                Some(port) => (String::new(), port.parse().map_err(|_| wrong())?),
                None => {
                    let (_, last) = address.rsplit_once(':').ok_or_else(wrong)?;
                    let port: u16 = last.parse().map_err(|_| wrong())?;
                    (host_port(address, port).map_err(|_| wrong())?.0, port)
                }
            };
            Ok(Listener { name, host, port })
        })
        .collect()
}

/// The controller's listener, where the file names one: brokers connect to it here.
fn controller_listener<'a>(
    get: &impl Fn(&str) -> Option<&'a str>,
) -> Result<Option<Listener<'a>>, String> {
    let Some(name) = items(get("controller.listener.names").unwrap_or("")).next() else {
        return Ok(None);
    };
    let all = get("listeners").map(|list| listeners("listeners", list)).transpose()?;
    Ok(all.into_iter().flatten().find(|it| it.name == name))
}

/// Those who know the cluster besides this node itself: of one that only knows itself, as in Kafka's example, there is
/// nothing to join.
fn others<'a>(
    list: &'a str,
    get: &impl Fn(&str) -> Option<&'a str>,
    hosts: &impl Hosts,
) -> Result<Vec<&'a str>, String> {
    let own = controller_listener(get)?;
    let advertised = get("advertised.listeners").unwrap_or("");
    let told = listeners("advertised.listeners", advertised)?;
    let name = hosts.own_name();
    let is_own = |item: &&str| {
        let Ok((host, port)) = host_port(item, 0) else { return false };
        // A file that names no listener of the controller means this machine by this machine's names.
        if own.as_ref().is_some_and(|own| own.port != port) {
            return false;
        }
        let listens = own.as_ref().map_or("", |own| own.host.as_str());
        let known = [listens, "localhost", "127.0.0.1", "::1", &name];
        known.contains(&host.as_str()) || told.iter().any(|it| it.host == host)
    };
    Ok(items(list).filter(|item| !is_own(item)).collect())
}

/// What clients are told: `advertised.listeners`, or the listener's host, or this machine's name.
fn advertised<'a>(
    get: &impl Fn(&str) -> Option<&'a str>,
    listener: &Listener<'_>,
    ip: IpAddr,
    hosts: &impl Hosts,
    notices: &mut Vec<String>,
) -> Result<String, String> {
    if let Some(list) = get("advertised.listeners") {
        let all = listeners("advertised.listeners", list)?;
        let ours = all.iter().find(|l| l.name == listener.name && !l.host.is_empty());
        return ours.map(|l| join(&l.host, l.port)).ok_or_else(|| {
            format!("advertised.listeners={list}: name a host and a port for {}", listener.name)
        });
    }
    let port = match get("advertised.port") {
        Some(text) => text.parse().map_err(|_| format!("advertised.port={text}: write a port"))?,
        None => listener.port,
    };
    if let Some(host) = get("advertised.host.name") {
        return Ok(join(host, port));
    }
    if !ip.is_unspecified() {
        return Ok(join(&listener.host, port));
    }
    let name = hosts.own_name();
    if hosts.resolve(&name).is_some() {
        return Ok(join(&name, port));
    }
    notices.push(format!(
        "this machine's name, '{name}', has no address: clients are told to connect to localhost; \
         set advertised.listeners for those on other machines"
    ));
    Ok(join("localhost", port))
}

fn set_own(flags: &mut Flags, name: &str, value: &str) -> Result<(), String> {
    let value = Some(value.to_owned());
    match name {
        "shards" => flags.shards = value,
        "memory" => flags.memory = value,
        "journal" => flags.journal = value,
        "admin-listen" => flags.admin_listen = value,
        "cluster-id" => flags.cluster_id = value,
        "join" => flags.join = value,
        "peer-listen" => flags.peer_listen = value,
        "peer-advertise" => flags.peer_advertise = value,
        "peer-secret-file" => flags.peer_secret_file = value,
        "slow-request-ms" => flags.slow_request_ms = value,
        "log-format" => flags.log_format = value,
        "log" => flags.log = value,
        _ => {
            let on = match value.as_deref() {
                Some("true") => true,
                Some("false") => false,
                _ => return Err(format!("klamm.{name}: use true or false")),
            };
            if name == "strict" {
                flags.strict = on;
            } else {
                flags.lock_memory = on;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::properties::parse;
    use super::*;

    struct Here;

    impl Hosts for Here {
        fn resolve(&self, host: &str) -> Option<IpAddr> {
            match host {
                "localhost" => "127.0.0.1".parse().ok(),
                "here" => "10.0.0.1".parse().ok(),
                _ => None,
            }
        }
        fn own_name(&self) -> String {
            "here".to_owned()
        }
    }

    fn meaning(text: &str) -> Meaning {
        read(&parse(text).expect("properties"), &Here).expect(text)
    }

    fn wrong(text: &str) -> String {
        read(&parse(text).expect("properties"), &Here).expect_err(text)
    }

    #[test]
    fn the_stock_file_of_zookeepers_time() {
        let m = meaning(
            "broker.id=0\nnum.network.threads=3\nnum.io.threads=8\n\
             socket.send.buffer.bytes=102400\nsocket.request.max.bytes=104857600\n\
             log.dirs=/tmp/kafka-logs\nnum.partitions=1\nlog.retention.hours=168\n\
             log.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n\
             zookeeper.connect=localhost:2181\nzookeeper.connection.timeout.ms=6000\n",
        );
        assert_eq!(m.flags.node_id.as_deref(), Some("0"));
        assert_eq!(m.flags.listen.as_deref(), Some("0.0.0.0:9092"));
        assert_eq!(m.flags.advertise.as_deref(), Some("here:9092"));
        assert_eq!(m.flags.data.as_deref(), Some("/tmp/kafka-logs"));
        for used in ["num.partitions=1", "log.retention.hours=168"] {
            assert!(m.flags.overrides.iter().any(|o| o == used), "{used}");
        }
        let unused = m.notices.join("\n");
        for name in ["num.io.threads", "zookeeper.connect,", "log.retention.check.interval.ms"] {
            assert!(unused.contains(name), "{name}: {unused}");
        }
        assert!(!unused.contains("num.partitions"), "{unused}");
    }

    #[test]
    fn the_stock_file_of_kraft() {
        let m = meaning(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.bootstrap.servers=localhost:9093\n\
             listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
             inter.broker.listener.name=PLAINTEXT\n\
             advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL\n\
             log.dirs=/tmp/kraft-combined-logs\n",
        );
        assert_eq!(m.flags.listen.as_deref(), Some("0.0.0.0:9092"));
        assert_eq!(m.flags.advertise.as_deref(), Some("localhost:9092"));
        assert_eq!((m.flags.join, m.flags.peer_listen), (None, None), "it knows only itself");
        assert_eq!(m.flags.data.as_deref(), Some("/tmp/kraft-combined-logs"));
        assert!(m.notices.iter().all(|n| !n.contains("listeners")), "{:?}", m.notices);
    }

    #[test]
    fn listeners_are_chosen_by_name_and_protocol() {
        let m = meaning(
            "listeners=CLIENTS://here:1234\nlistener.security.protocol.map=CLIENTS:PLAINTEXT",
        );
        assert_eq!(m.flags.listen.as_deref(), Some("10.0.0.1:1234"));
        assert_eq!(m.flags.advertise.as_deref(), Some("here:1234"));
        let m = meaning("listeners=PLAINTEXT://[::1]:1234");
        assert_eq!(m.flags.listen.as_deref(), Some("[::1]:1234"));
        let m = meaning("port=1\nhost.name=localhost\nadvertised.host.name=a\nadvertised.port=2");
        assert_eq!(m.flags.listen.as_deref(), Some("127.0.0.1:1"));
        assert_eq!(m.flags.advertise.as_deref(), Some("a:2"));
        assert!(wrong("listeners=SSL://:9093").contains("not SSL"));
        assert!(wrong("listeners=PLAINTEXT://:1,X://:2").contains("one listener"));
        assert!(wrong("listeners=:9092").contains("PLAINTEXT://HOST:PORT"));
        assert!(wrong("listeners=PLAINTEXT://here").contains("PLAINTEXT://HOST:PORT"));
        assert!(wrong("listeners=PLAINTEXT://nowhere:1").contains("nowhere"));
        assert!(wrong("advertised.listeners=X://a:1").contains("for PLAINTEXT"));
    }

    #[test]
    fn what_cannot_be_honoured_is_said() {
        assert!(wrong("log.dirs=/a,/b").contains("such as /a"));
        assert!(wrong("node.id=1\nbroker.id=2").contains("same value"));
        assert!(wrong("node.id=x").contains("node.id=x"));
        assert!(wrong("process.roles=controller").contains("broker,controller"));
        assert!(wrong("num.partitions=0").contains("num.partitions"));
        assert!(wrong("klamm.sards=1").contains("klamm.shards"));
        let m = meaning("log.preallocate=true\nbroker.id=-1");
        assert_eq!((m.flags.node_id, m.flags.voters), (None, None));
        let m = meaning("node.id=1\ncontroller.quorum.voters=1@localhost:9093");
        assert_eq!((m.flags.voters, &m.notices[..]), (None, &[][..]));
        let m = meaning("node.id=1\ncontroller.quorum.voters=1@a:1,2@b:2");
        assert_eq!(m.flags.voters.as_deref(), Some("1@a:1,2@b:2"));
        let m = meaning(
            "node.id=2\ncontroller.quorum.bootstrap.servers=a:9093,localhost:9093,b:9094\n\
             listeners=PLAINTEXT://:9092,CONTROLLER://here:9093\ncontroller.listener.names=CONTROLLER",
        );
        assert_eq!(m.flags.join.as_deref(), Some("a:9093,b:9094"), "it does not join itself");
        assert_eq!(m.flags.peer_listen.as_deref(), Some("10.0.0.1:9093"));
        let m = meaning("node.id=2\ncontroller.quorum.bootstrap.servers=localhost:9093");
        assert_eq!(m.flags.join, None);
        let m = meaning("log.preallocate=true\nbroker.id=-1");
        let notices = m.notices.join("\n");
        assert!(notices.contains("log.preallocate=true is not used"), "{notices}");
        assert!(m.flags.overrides.is_empty(), "{:?}", m.flags.overrides);
        assert_eq!(meaning("klamm.shards=2").flags.shards.as_deref(), Some("2"));
        let flags = meaning("klamm.lock-memory=true\nklamm.strict=false").flags;
        let slow = meaning("klamm.slow-request-ms=5").flags.slow_request_ms;
        assert_eq!(slow.as_deref(), Some("5"));
        assert!(flags.lock_memory && !flags.strict);
        assert!(wrong("klamm.strict=perhaps").contains("klamm.strict"));
    }
}
