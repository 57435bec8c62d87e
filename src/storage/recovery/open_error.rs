//! Why a data directory is not opened.

use std::io;

/// Why a data directory is not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("{path}: {error}")]
    Io {
        /// Where.
        path: String,
        /// How.
        error: String,
    },
    /// Data that was durable is missing or rotten.
    #[error("the data is damaged: {0}")]
    Damaged(String),
    /// Somebody else's, or too new.
    #[error("the data directory is refused: {0}")]
    Refused(String),
}

impl OpenError {
    /// An I/O error at a path.
    pub fn io(path: &str, error: &io::Error) -> Self {
        Self::Io { path: path.to_owned(), error: error.to_string() }
    }
}
