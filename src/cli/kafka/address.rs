//! Which brokers a tool talks to.

use super::ToolError;
use super::error::notice;
use super::options::Parsed;
use super::properties::{self, Properties};
use crate::client::Cluster;
use crate::config::{DEFAULT_PORT, host_port};

/// The addresses of `--bootstrap-server`, `host:port` with commas between them, or what stands for
/// it: `--broker-list` where the tool has it, `bootstrap.servers` of `properties`, and `--zookeeper`,
/// which gets one line of notice and means the brokers on those hosts.
///
/// `None` where none of them is there. An address is checked when it is connected to.
pub fn addresses(
    parsed: &Parsed,
    flags: &[&str],
    properties: &Properties,
) -> Result<Option<String>, ToolError> {
    for flag in flags {
        if let Some(list) = parsed.value(flag)? {
            return Ok(Some(list.to_owned()));
        }
    }
    if let Some(list) = parsed.value("zookeeper")? {
        let brokers = brokers_of(list)?;
        notice(&format!(
            "--zookeeper {list}: there is no ZooKeeper any more; talking to the broker at {brokers}, \
             as --bootstrap-server {brokers} does"
        ));
        return Ok(Some(brokers));
    }
    Ok(properties.get("bootstrap.servers").cloned())
}

/// The brokers on the hosts of a ZooKeeper connection string, `host:port,host:port/chroot`.
fn brokers_of(zookeeper: &str) -> Result<String, ToolError> {
    let hosts = zookeeper.split_once('/').map_or(zookeeper, |(hosts, _)| hosts);
    let brokers: Option<Vec<String>> = hosts
        .split(',')
        .map(str::trim)
        .map(|text| {
            let (host, _) = host_port(text, DEFAULT_PORT).ok()?;
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            Some(format!("{host}:{DEFAULT_PORT}"))
        })
        .collect();
    brokers
        .map(|all| all.join(","))
        .ok_or_else(|| ToolError::Failed(format!("--zookeeper {zookeeper}: write it as HOST:2181")))
}

/// The file of `--command-config`, `--consumer.config` or another such option, if it is there.
pub fn property_file(parsed: &Parsed, flag: &str) -> Result<Properties, ToolError> {
    let properties = parsed.value(flag)?.map(properties::load).transpose()?.unwrap_or_default();
    check_client(&properties)?;
    Ok(properties)
}

/// Refuses client settings that cannot be honoured and must not be ignored.
pub fn check_client(properties: &Properties) -> Result<(), ToolError> {
    match properties.get("security.protocol").map(String::as_str) {
        None | Some("PLAINTEXT") => Ok(()),
        Some(other) => Err(ToolError::Failed(format!(
            "security.protocol={other}: these tools speak PLAINTEXT only; remove the property"
        ))),
    }
}

/// Connects to the first of the brokers that answers.
pub fn connect(addresses: &str) -> Result<Cluster, ToolError> {
    connect_as(addresses, "klamm")
}

/// As [`connect`], with a client id.
pub fn connect_as(addresses: &str, client_id: &str) -> Result<Cluster, ToolError> {
    // Kafka's clients want a port; so that a missing one is not guessed, it is said.
    let portless = addresses
        .split(',')
        .map(str::trim)
        .find(|text| !text.is_empty() && host_port(text, 0).is_ok_and(|(_, port)| port == 0));
    if let Some(text) = portless {
        return Err(ToolError::Failed(format!(
            "Invalid url in bootstrap.servers: {text}; write it as HOST:PORT"
        )));
    }
    Ok(Cluster::connect_as(addresses, client_id)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zookeepers_hosts_are_the_brokers() {
        assert_eq!(brokers_of("localhost:2181"), Ok("localhost:9092".to_owned()));
        assert_eq!(brokers_of("a:2181, b/kafka"), Ok("a:9092,b:9092".to_owned()));
        assert_eq!(brokers_of("[::1]:2181/x"), Ok("[::1]:9092".to_owned()));
        assert!(brokers_of("").is_err() && brokers_of("a b:1").is_err());
    }

    #[test]
    fn settings_that_cannot_be_honoured_are_refused() {
        let with = |value: &str| check_client(&properties::pairs([value]));
        assert_eq!(with("security.protocol=PLAINTEXT"), Ok(()));
        assert_eq!(with("request.timeout.ms=1"), Ok(()));
        assert!(with("security.protocol=SASL_SSL").is_err());
    }
}
