//! `kafka-broker-api-versions`.

use super::ToolError;
use super::address::{addresses, connect, property_file};
use super::error::client_message;
use super::options::{self, Options};
use crate::client::To;
use crate::wire::api_keys::ApiKey;
use crate::wire::kafka::metadata_request::MetadataRequest;
use std::fmt::Write as _;
use std::io::Write as _;

const ABOUT: &str = "This tool helps to retrieve broker version information.";

static OPTIONS: Options = Options {
    all: &[
        options::BOOTSTRAP,
        options::COMMAND_CONFIG,
        options::HELP,
        options::VERSION,
        options::ZOOKEEPER,
    ],
};

/// The APIs that clients of Kafka 4.3 know: key, name, first and last version.
const KNOWN: &[(i16, &str, i16, i16)] = &[
    (0, "Produce", 3, 13),
    (1, "Fetch", 4, 18),
    (2, "ListOffsets", 1, 11),
    (3, "Metadata", 0, 13),
    (8, "OffsetCommit", 2, 10),
    (9, "OffsetFetch", 1, 10),
    (10, "FindCoordinator", 0, 6),
    (11, "JoinGroup", 0, 9),
    (12, "Heartbeat", 0, 4),
    (13, "LeaveGroup", 0, 5),
    (14, "SyncGroup", 0, 5),
    (15, "DescribeGroups", 0, 6),
    (16, "ListGroups", 0, 5),
    (17, "SaslHandshake", 0, 1),
    (18, "ApiVersions", 0, 4),
    (19, "CreateTopics", 2, 7),
    (20, "DeleteTopics", 1, 6),
    (21, "DeleteRecords", 0, 2),
    (22, "InitProducerId", 0, 5),
    (23, "OffsetForLeaderEpoch", 2, 4),
    (24, "AddPartitionsToTxn", 0, 5),
    (25, "AddOffsetsToTxn", 0, 4),
    (26, "EndTxn", 0, 5),
    (27, "WriteTxnMarkers", 1, 2),
    (28, "TxnOffsetCommit", 0, 5),
    (29, "DescribeAcls", 1, 3),
    (30, "CreateAcls", 1, 3),
    (31, "DeleteAcls", 1, 3),
    (32, "DescribeConfigs", 1, 4),
    (33, "AlterConfigs", 0, 2),
    (34, "AlterReplicaLogDirs", 1, 2),
    (35, "DescribeLogDirs", 1, 5),
    (36, "SaslAuthenticate", 0, 2),
    (37, "CreatePartitions", 0, 3),
    (38, "CreateDelegationToken", 1, 3),
    (39, "RenewDelegationToken", 1, 2),
    (40, "ExpireDelegationToken", 1, 2),
    (41, "DescribeDelegationToken", 1, 3),
    (42, "DeleteGroups", 0, 2),
    (43, "ElectLeaders", 0, 2),
    (44, "IncrementalAlterConfigs", 0, 1),
    (45, "AlterPartitionReassignments", 0, 1),
    (46, "ListPartitionReassignments", 0, 0),
    (47, "OffsetDelete", 0, 0),
    (48, "DescribeClientQuotas", 0, 1),
    (49, "AlterClientQuotas", 0, 1),
    (50, "DescribeUserScramCredentials", 0, 0),
    (51, "AlterUserScramCredentials", 0, 0),
    (55, "DescribeQuorum", 0, 2),
    (57, "UpdateFeatures", 0, 2),
    (60, "DescribeCluster", 0, 2),
    (61, "DescribeProducers", 0, 0),
    (64, "UnregisterBroker", 0, 0),
    (65, "DescribeTransactions", 0, 0),
    (66, "ListTransactions", 0, 2),
    (68, "ConsumerGroupHeartbeat", 0, 1),
    (69, "ConsumerGroupDescribe", 0, 1),
    (71, "GetTelemetrySubscriptions", 0, 0),
    (72, "PushTelemetry", 0, 0),
    (74, "ListConfigResources", 0, 1),
    (75, "DescribeTopicPartitions", 0, 0),
    (76, "ShareGroupHeartbeat", 1, 1),
    (77, "ShareGroupDescribe", 1, 1),
    (78, "ShareFetch", 1, 2),
    (79, "ShareAcknowledge", 1, 2),
    (80, "AddRaftVoter", 0, 1),
    (81, "RemoveRaftVoter", 0, 0),
    (83, "InitializeShareGroupState", 0, 0),
    (84, "ReadShareGroupState", 0, 0),
    (85, "WriteShareGroupState", 0, 1),
    (86, "DeleteShareGroupState", 0, 0),
    (87, "ReadShareGroupStateSummary", 0, 1),
    (88, "StreamsGroupHeartbeat", 0, 0),
    (89, "StreamsGroupDescribe", 0, 0),
    (90, "DescribeShareGroupOffsets", 0, 1),
    (91, "AlterShareGroupOffsets", 0, 0),
    (92, "DeleteShareGroupOffsets", 0, 0),
];

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    type Ask<'a> = MetadataRequest<'a>;
    let o = OPTIONS.parse_or_help(args, ABOUT)?;
    let properties = property_file(&o, "command-config")?;
    let Some(brokers) = addresses(&o, &["bootstrap-server"], &properties)? else {
        return o.require(&["bootstrap-server"]);
    };
    let mut cluster = connect(&brokers)?;
    cluster.refresh(Some(&[]), false)?;
    let ask = Ask { topics: Some(Vec::new()), ..MetadataRequest::default() };
    let nodes = cluster.call(To::Any, &ask, |reply| {
        let response = reply.read::<Ask<'_>>()?;
        let nodes = response.brokers.iter().map(|b| {
            let rack = b.rack.unwrap_or("null");
            let shown =
                format!("{}:{} (id: {} rack: {rack} isFenced: false)", b.host, b.port, b.node_id);
            (b.node_id, shown)
        });
        Ok(nodes.collect::<Vec<_>>())
    })?;
    let mut out = std::io::stdout().lock();
    for (id, shown) in nodes {
        match cluster.node(id) {
            Ok(node) => writeln!(out, "{shown} -> {}", versions(node.offered()))?,
            Err(e) => writeln!(out, "{shown} -> ERROR: {}", client_message(&e))?,
        }
    }
    Ok(())
}

/// What a broker offers, each API on its line.
fn versions(offered: &[(ApiKey, i16, i16)]) -> String {
    let range = |min: i16, max: i16| {
        if min == max { min.to_string() } else { format!("{min} to {max}") }
    };
    let mut lines: Vec<(i16, String)> = KNOWN
        .iter()
        .map(|&(key, name, min, max)| {
            let offer = offered.iter().find(|(k, ..)| k.0 == key);
            let mut line = format!("\t{name}({key}): ");
            let _ = match offer {
                Some(&(_, low, high)) if low.max(min) <= high.min(max) => {
                    write!(line, "{} [usable: {}]", range(low, high), high.min(max))
                }
                Some(&(_, low, high)) => write!(
                    line,
                    "{} [unusable: node too {}]",
                    range(low, high),
                    if high < min { "old" } else { "new" }
                ),
                None => write!(line, "UNSUPPORTED"),
            };
            (key, line)
        })
        .collect();
    let strangers = offered.iter().filter(|(k, ..)| !KNOWN.iter().any(|(key, ..)| *key == k.0));
    lines.extend(
        strangers.map(|(key, low, high)| {
            (key.0, format!("\tUNKNOWN({}): {}", key.0, range(*low, *high)))
        }),
    );
    lines.sort_by_key(|(key, _)| *key);
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    format!("(\n{}\n)", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_messages() {
        for &(key, name, min, max) in KNOWN {
            if let Some(api) = ApiKey(key).api() {
                assert_eq!((api.name, api.min, api.max), (name, min, max));
            }
        }
        assert!(KNOWN.is_sorted_by_key(|(key, ..)| *key));
    }

    #[test]
    fn lists_every_api() {
        let text =
            versions(&[(ApiKey::FETCH, 4, 99), (ApiKey::METADATA, 14, 15), (ApiKey(999), 0, 0)]);
        assert!(text.contains("\n\tFetch(1): 4 to 99 [usable: 18],\n"), "{text}");
        assert!(text.contains("\n\tMetadata(3): 14 to 15 [unusable: node too new],\n"), "{text}");
        assert!(text.contains("\n\tProduce(0): UNSUPPORTED,\n"), "{text}");
        assert!(text.ends_with(",\n\tUNKNOWN(999): 0\n)"), "{text}");
    }
}
