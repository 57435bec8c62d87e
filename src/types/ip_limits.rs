//! Connections that single addresses may have: `max.connections.per.ip.overrides`.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Reads `ADDRESS:COUNT` with commas between; IPv6 addresses may stand in brackets. Kafka takes host
/// names too, and looks them up once: here they are an error.
pub fn parse(text: &str) -> Result<BTreeMap<IpAddr, usize>, String> {
    let mut limits = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let (address, count) =
            part.rsplit_once(':').ok_or_else(|| format!("{part} is not ADDRESS:COUNT"))?;
        let address = address.trim().trim_start_matches('[').trim_end_matches(']');
        let ip: IpAddr = address.parse().map_err(|_| format!("{address} is not an IP address"))?;
        let count: i32 = count.trim().parse().map_err(|_| format!("{count} is not a number"))?;
        let count = usize::try_from(count).map_err(|_| format!("{count} is below 0"))?;
        limits.insert(ip.to_canonical(), count);
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_their_limits() {
        let limits = parse("127.0.0.1:1, [2001:db8::1]:0,::ffff:10.1.1.1:7").expect("sound");
        let shown: Vec<_> = limits.iter().map(|(ip, n)| format!("{ip}={n}")).collect();
        assert_eq!(shown, ["10.1.1.1=7", "127.0.0.1=1", "2001:db8::1=0"]);
        assert_eq!(parse(" "), Ok(BTreeMap::new()));
        for bad in ["localhost:5", "10.0.0.1", "10.0.0.1:x", "10.0.0.1:-1", "10.0.0.1:9999999999"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
