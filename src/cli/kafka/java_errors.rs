//! Errors in the words of Kafka's Java client, which scripts know.

use crate::client::ClientError;
use crate::types::ErrorCode;

const ERRORS: &[(ErrorCode, &str, &str)] = &[
    (ErrorCode::GROUP_ID_NOT_FOUND, "GroupIdNotFoundException", "The group id does not exist."),
    (ErrorCode::NON_EMPTY_GROUP, "GroupNotEmptyException", "The group is not empty."),
    (ErrorCode::INVALID_GROUP_ID, "InvalidGroupIdException", "The group id is invalid."),
    (
        ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC,
        "GroupSubscribedToTopicException",
        "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to \
         it.",
    ),
    (
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        "UnknownTopicOrPartitionException",
        "This server does not host this topic-partition.",
    ),
    (
        ErrorCode::UNKNOWN_MEMBER_ID,
        "UnknownMemberIdException",
        "The coordinator is not aware of this member.",
    ),
];

fn find(code: ErrorCode) -> Option<&'static (ErrorCode, &'static str, &'static str)> {
    ERRORS.iter().find(|(known, ..)| *known == code)
}

/// The message of a code.
pub fn message(code: ErrorCode) -> &'static str {
    find(code).map_or_else(|| code.message(), |(.., message)| message)
}

/// Class and message of a code.
pub fn of_code(code: ErrorCode) -> String {
    with_message(code, message(code))
}

/// Class of a code, with a message.
pub fn with_message(code: ErrorCode, message: &str) -> String {
    match find(code) {
        Some((_, class, _)) => format!("org.apache.kafka.common.errors.{class}: {message}"),
        None => format!("{}: {message}", code.name()),
    }
}

/// Class and message of an error.
pub fn named(e: &ClientError) -> String {
    match e {
        ClientError::Refused { code, .. } => of_code(*code),
        ClientError::UnknownTopic(_) => of_code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        _ => super::error::client_message(e),
    }
}

/// The message of an error, without its class.
pub fn said(e: &ClientError) -> String {
    match e {
        ClientError::Refused { code, message, .. } => {
            let own = message.as_deref().filter(|it| !it.is_empty());
            own.unwrap_or_else(|| self::message(*code)).to_owned()
        }
        e => execution(e),
    }
}

/// The cause of a failed command, in Java's words.
pub fn execution(e: &ClientError) -> String {
    match e {
        ClientError::Refused { code, .. } => with_message(*code, &said(e)),
        ClientError::UnknownTopic(_) => message(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION).to_owned(),
        ClientError::UnknownPartition { topic, partition, .. } => {
            format!("The partitions \"{topic}-{partition}\" do not exist")
        }
        ClientError::NoOffset { topic, partition } => format!(
            "Cannot shift offset for partition {topic}-{partition} since there is no current \
             committed offset"
        ),
        _ => super::error::client_message(e),
    }
}
