//! Errors of the commands, and their exit codes.

use crate::client::ClientError;
use crate::types::exit;
use std::io;

/// Why a command did not do what it was asked to; one line.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The broker refused, or what was asked for is not there.
    #[error("{0}")]
    Failed(String),
    /// A file, a pipe or a connection.
    #[error("{0}")]
    Io(String),
    /// With an exit code of its own: the broker's, and configuration's.
    #[error("{1}")]
    Exit(i32, String),
    /// The reader of the standard output has closed the pipe. That is no failure.
    #[error("closed pipe")]
    ClosedPipe,
}

impl CliError {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        let code = match self {
            Self::ClosedPipe => exit::OK,
            Self::Failed(_) => exit::FAILED,
            Self::Usage(_) => exit::USAGE,
            Self::Io(_) => exit::IO,
            Self::Exit(code, _) => *code,
        };
        u8::try_from(code).unwrap_or(1)
    }
}

impl From<ClientError> for CliError {
    fn from(e: ClientError) -> Self {
        match e {
            ClientError::BadAddress(_) => Self::Usage(e.to_string()),
            ClientError::Unreachable { .. }
            | ClientError::Broken { .. }
            | ClientError::NoAnswer { .. }
            | ClientError::NotKafka { .. } => Self::Io(e.to_string()),
            _ => Self::Failed(e.to_string()),
        }
    }
}

/// For writing results to the standard output.
impl From<io::Error> for CliError {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Io(format!("standard output: {e}")),
        }
    }
}
