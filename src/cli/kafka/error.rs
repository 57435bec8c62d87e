//! Errors of Kafka's tools: what is said, where, and with which exit code.

use crate::client::ClientError;
use crate::types::ErrorCode;
use std::io::{self, Write};

/// Why a tool ends early, and what it prints. Kafka's tools use the exit codes 0 and 1 only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolError {
    /// `--version`: to the standard output, exit code 0.
    Version,
    /// Wrong usage, or `--help`: what is wrong and the list of options, to the standard error
    /// output, exit code 1.
    Usage(String),
    /// What went wrong, to the standard error output, exit code 1.
    Failed(String),
    /// As `Failed`, for what Kafka's tool says on the standard output.
    FailedOnOutput(String),
    /// What was asked for is this text, such as help that is no error: to the standard output, exit code 0.
    Help(String),
    /// Everything was printed already; this is the exit code.
    Exit(u8),
    /// The reader of the standard output has closed the pipe. That is no failure.
    ClosedPipe,
}

/// The release of Apache Kafka whose tools these follow.
pub const KAFKA_VERSION: &str = "4.3.1";

impl ToolError {
    /// Prints the error, and returns the exit code.
    pub fn report(&self) -> u8 {
        // Nobody is left to be told about streams that are closed.
        let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
        let _ = out.flush();
        match self {
            Self::Version => {
                let _ = writeln!(out, "{KAFKA_VERSION} (Klamm {})", env!("CARGO_PKG_VERSION"));
                0
            }
            Self::Usage(text) | Self::Failed(text) => {
                let _ = writeln!(err, "{}", text.trim_end_matches('\n'));
                1
            }
            Self::FailedOnOutput(text) => {
                let _ = writeln!(out, "{text}");
                1
            }
            Self::Help(text) => {
                let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
                0
            }
            Self::Exit(code) => *code,
            Self::ClosedPipe => 0,
        }
    }

    /// An error of one line.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }
}

/// Prints a line on the standard error output. A closed pipe there is no error.
pub fn notice(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A client's error in words that fit the flags of Kafka's tools.
pub fn client_message(e: &ClientError) -> String {
    match e {
        ClientError::Unreachable { address, why } => format!(
            "cannot reach a broker at {address}: {why}; is it running, and is --bootstrap-server \
             right?"
        ),
        ClientError::NotKafka { .. } => format!("{e}; is --bootstrap-server right?"),
        _ => e.to_string(),
    }
}

/// The broker's own message where it refused; otherwise [`client_message`].
pub fn message_of(e: &ClientError) -> String {
    match e {
        ClientError::Refused { code, message, .. } => {
            let text = message.as_deref().filter(|m| !m.is_empty());
            text.unwrap_or_else(|| code.message()).to_owned()
        }
        _ => client_message(e),
    }
}

/// A refusal as Java shows it, the exception's class before the message; other errors as
/// [`client_message`] says them.
pub fn java_message(e: &ClientError) -> String {
    match e.code() {
        Some(code) => format!("{}: {}", java_class(code), message_of(e)),
        None => client_message(e),
    }
}

/// The exception that Kafka's Java client throws for an error code.
pub fn java_class(code: ErrorCode) -> String {
    let name = match code {
        ErrorCode::UNKNOWN_SERVER_ERROR => "UnknownServerException",
        ErrorCode::CORRUPT_MESSAGE => "CorruptRecordException",
        ErrorCode::REQUEST_TIMED_OUT => "TimeoutException",
        ErrorCode::MESSAGE_TOO_LARGE => "RecordTooLargeException",
        ErrorCode::OFFSET_METADATA_TOO_LARGE => "OffsetMetadataTooLarge",
        ErrorCode::NETWORK_EXCEPTION => "NetworkException",
        ErrorCode::INVALID_TOPIC_EXCEPTION => "InvalidTopicException",
        ErrorCode::RECORD_LIST_TOO_LARGE => "RecordBatchTooLargeException",
        ErrorCode::TOPIC_ALREADY_EXISTS => "TopicExistsException",
        ErrorCode::INVALID_CONFIG => "InvalidConfigurationException",
        ErrorCode::NON_EMPTY_GROUP => "GroupNotEmptyException",
        ErrorCode::KAFKA_STORAGE_ERROR => "KafkaStorageException",
        _ => "",
    };
    if !name.is_empty() {
        return format!("org.apache.kafka.common.errors.{name}");
    }
    // The rest follow a rule: OFFSET_OUT_OF_RANGE is OffsetOutOfRangeException, and where the code
    // says that something failed, the exception does not.
    let name = code.name();
    let name = name.strip_suffix("_FAILED").unwrap_or(name);
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(1.min(word.len()));
        format!("{first}{}", rest.to_lowercase())
    });
    format!("org.apache.kafka.common.errors.{}Exception", words.collect::<String>())
}

impl From<ClientError> for ToolError {
    fn from(e: ClientError) -> Self {
        Self::Failed(client_message(&e))
    }
}

/// For writing results to the standard output.
impl From<io::Error> for ToolError {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Failed(format!("standard output: {e}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_javas_classes() {
        for (code, want) in [
            (ErrorCode::OFFSET_OUT_OF_RANGE, "OffsetOutOfRangeException"),
            (ErrorCode::INVALID_CONFIG, "InvalidConfigurationException"),
            (ErrorCode::TOPIC_AUTHORIZATION_FAILED, "TopicAuthorizationException"),
            (ErrorCode::REQUEST_TIMED_OUT, "TimeoutException"),
        ] {
            assert_eq!(java_class(code), format!("org.apache.kafka.common.errors.{want}"));
        }
    }
}
