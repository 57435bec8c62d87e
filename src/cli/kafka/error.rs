//! How a tool ends that does not end well.

use crate::client::ClientError;
use std::io::{self, Write};

/// Why a tool ends early, and what it says. Kafka's tools know the exit codes 0 and 1.
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
    /// All is said; only the exit code is left.
    Exit(u8),
    /// Whoever read the standard output has left: no error.
    ClosedPipe,
}

/// The release of Apache Kafka whose tools these follow.
pub const KAFKA_VERSION: &str = "4.3.1";

impl ToolError {
    /// Says it, and returns the exit code.
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
            Self::Exit(code) => *code,
            Self::ClosedPipe => 0,
        }
    }

    /// One line of what went wrong.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }
}

/// What a client's error says to a user of Kafka's tools.
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
