//! Files that the load generator writes and reads, and what it says when it cannot.

use crate::cli::CliError;
use std::fs::{self, OpenOptions};
use std::path::Path;

/// A file that can be written; what it holds stays.
pub fn check_writable(file: &Path) -> Result<(), CliError> {
    let existed = file.exists();
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened.map_err(|e| cannot("write", file, &e))?;
    if !existed {
        let _ = fs::remove_file(file);
    }
    Ok(())
}

/// `verb` is what cannot be done with the file: read, write.
pub fn cannot(verb: &str, file: &Path, e: &std::io::Error) -> CliError {
    let e = e.to_string();
    let why = e.split(" (os error").next().unwrap_or(&e);
    CliError::Io(format!("cannot {verb} {}: {why}", file.display()))
}

/// Writes a whole file.
pub fn write_file(file: &Path, text: &str) -> Result<(), CliError> {
    fs::write(file, text).map_err(|e| cannot("write", file, &e))
}
