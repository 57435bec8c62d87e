//! Errors of the client.

use crate::types::ErrorCode;
use crate::wire::WireError;

/// Why a request has no useful answer. Addresses are `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Not an address.
    #[error("{0}: write brokers as HOST:PORT, several with commas between them")]
    BadAddress(String),
    /// No connection.
    #[error("cannot reach a broker at {address}: {why}; is it running, and is --bootstrap right?")]
    Unreachable {
        /// The broker.
        address: String,
        /// The system's message.
        why: String,
    },
    /// The connection ended or failed before the answer was there.
    #[error("the connection to {address} broke: {why}")]
    Broken {
        /// The broker.
        address: String,
        /// The system's message.
        why: String,
    },
    /// The answer did not come in time.
    #[error("{address} did not answer within {seconds} s")]
    NoAnswer {
        /// The broker.
        address: String,
        /// The time that it had.
        seconds: u64,
    },
    /// Something else is listening there.
    #[error("{address} is not a Kafka broker: {why}")]
    NotKafka {
        /// The address.
        address: String,
        /// Why it cannot be a Kafka broker.
        why: &'static str,
    },
    /// An answer that cannot be understood.
    #[error("an answer of {api} cannot be read: {why}")]
    BadResponse {
        /// The API.
        api: String,
        /// The reason.
        why: WireError,
    },
    /// A request that this version of the API cannot express.
    #[error("a request of {api} cannot be written: {why}")]
    BadRequest {
        /// The API.
        api: String,
        /// The reason.
        why: WireError,
    },
    /// The answer belongs to another request.
    #[error("an answer out of order: {got} came, {want} was due")]
    OutOfOrder {
        /// Correlation id of the oldest request without an answer.
        want: i32,
        /// Correlation id that came.
        got: i32,
    },
    /// Broker and client have no version in common.
    #[error("the broker does not offer {api} in versions {min} to {max}")]
    Unsupported {
        /// The API.
        api: String,
        /// The client's first version.
        min: i16,
        /// The client's last version.
        max: i16,
    },
    /// No such topic.
    #[error("topic '{0}' does not exist; create it with: klamm topic create {0}")]
    UnknownTopic(String),
    /// The topic has no such partition.
    #[error("topic '{topic}' has no partition {partition}: it has 0 to {last}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition that was asked for.
        partition: i32,
        /// The last one that there is.
        last: i32,
    },
    /// A partition has no leader, and does not get one in time.
    #[error("partition {partition} of topic '{topic}' has no leader")]
    NoLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// A batch that cannot be read.
    #[error("damaged batch at offset {offset} of partition {partition} of topic '{topic}': {why}")]
    Damaged {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// First offset of the batch.
        offset: i64,
        /// What is wrong with it.
        why: String,
    },
    /// A partition has no offset to begin at, and `auto.offset.reset` is `none`.
    #[error("partition {partition} of topic '{topic}' has no committed offset; say where to start")]
    NoOffset {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// A record that no request has room for.
    #[error("a record of {bytes} bytes is larger than max.request.size, {limit} bytes")]
    RecordTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A record that could not be delivered in time.
    #[error("{count} record(s) for partition {partition} of topic '{topic}' expired after {ms} ms")]
    Expired {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Number of records in the batch.
        count: u32,
        /// How long they waited.
        ms: i64,
    },
    /// Kafka's error code for what was asked.
    #[error("{what}: {}{}", .code.name(), text_of(*.code, .message.as_deref()))]
    Refused {
        /// What was asked, in a few words.
        what: String,
        /// The code.
        code: ErrorCode,
        /// What the broker says about it.
        message: Option<String>,
    },
}

fn text_of(code: ErrorCode, message: Option<&str>) -> String {
    let text = message.filter(|m| !m.is_empty()).unwrap_or_else(|| code.message());
    // Brokers' messages may have several lines; errors here have one.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!(": {text}")
}

impl ClientError {
    /// Kafka's error code, where the broker gave one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Asking again, perhaps another broker, may help.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::NoAnswer { .. }
            | Self::NoLeader { .. } => true,
            _ => false,
        }
    }
}

/// An error code as a result: `what` was asked, `message` is the broker's.
pub fn check_code(
    code: i16,
    what: impl FnOnce() -> String,
    message: Option<&str>,
) -> Result<(), ClientError> {
    if code == 0 {
        return Ok(());
    }
    let message = message.map(str::to_owned);
    Err(ClientError::Refused { what: what(), code: ErrorCode(code), message })
}

/// The first of what an answer has, of one thing that was asked for: `what`.
pub fn first_of<T>(found: &[T], what: impl FnOnce() -> String) -> Result<&T, ClientError> {
    found.first().ok_or_else(|| ClientError::Refused {
        what: what(),
        code: ErrorCode::UNKNOWN_SERVER_ERROR,
        message: None,
    })
}
