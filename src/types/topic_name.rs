//! Which names topics may have.

/// Longest name of a topic, in bytes.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Topics that hold the state of the broker's coordinators, each with the setting that says how many replicas it has.
pub const INTERNAL: [(&str, &str); 3] = [
    (GROUP_STATE, "offsets.topic.replication.factor"),
    (TRANSACTION_STATE, "transaction.state.log.replication.factor"),
    (SHARE_STATE, "share.coordinator.state.topic.replication.factor"),
];

/// The topic that holds the state of consumer groups.
pub const GROUP_STATE: &str = "__consumer_offsets";

/// The topic that holds the state of transactions.
pub const TRANSACTION_STATE: &str = "__transaction_state";

/// The topic that holds the state of share groups.
pub const SHARE_STATE: &str = "__share_group_state";

/// Kafka's own log of metadata, whose name is not free.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Checks a topic's name; the error is Kafka's message for `INVALID_TOPIC_EXCEPTION`.
pub fn check_topic_name(name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if name.is_empty() {
        Err("Topic name is invalid: the empty string is not allowed".to_owned())
    } else if name == "." || name == ".." {
        Err(format!("Topic name is invalid: '{name}' is not allowed"))
    } else if name.len() > TOPIC_NAME_BYTES_MAX {
        Err(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length \
             {TOPIC_NAME_BYTES_MAX}"
        ))
    } else if !name.bytes().all(allowed) {
        Err(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII \
             alphanumerics, '.', '_' and '-'"
        ))
    } else {
        Ok(())
    }
}

/// Whether a topic holds the state of a coordinator.
pub fn is_internal(name: &str) -> bool {
    INTERNAL.iter().any(|it| it.0 == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_kafkas_names_only() {
        for name in ["a", "A.b_c-9", "__x", "...", &"x".repeat(249)] {
            check_topic_name(name).unwrap();
        }
        for (name, part) in [
            ("", "empty string"),
            (".", "'.' is not allowed"),
            ("..", "'..' is not allowed"),
            ("a b", "other than ASCII"),
            ("ä", "other than ASCII"),
            ("a/b", "other than ASCII"),
            (&"x".repeat(250), "max allowed length 249"),
        ] {
            assert!(check_topic_name(name).unwrap_err().contains(part), "{name}");
        }
    }
}
